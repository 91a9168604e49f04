/* SPDX-License-Identifier: Apache-2.0 */

/* svipc(7): message queues, semaphore sets and shared memory of System V. */

#include <tenon/sysv.h>

#include "preload/preload.h"

#include <errno.h>

/* The fourth argument of semctl(2), which programs declare themselves. */
union semun {
	int value;
	void *pointer;
};

static inline bool begin(uint32_t face)
{
	static struct tni_a32 is_begun;

	if (!tni_face_is_on(face))
		return false;
	if (__builtin_expect(tni_get32(&is_begun) == 0, 0)) {
		tni_signal_catch_faults();
		tni_set32(&is_begun, 1);
	}
	return true;
}

/* NULL in the place of what leads nowhere: the face looks at it in its turn. */
#define GOOD(pointer) (tni_pointer_is_bad(pointer) ? NULL : (pointer))

TNI_STAND_IN int msgget(key_t key, int flags)
{
	return begin(TNI_FACE_SYSV_MSG) ? TNI_CALL(tenon_msgget(key, flags))
					: TNI_NEXT(msgget)(key, flags);
}

TNI_STAND_IN int msgsnd(int id, const void *message, size_t bytes, int flags)
{
	return begin(TNI_FACE_SYSV_MSG) ? TNI_CALL(tenon_msgsnd(id, GOOD(message), bytes, flags))
					: TNI_NEXT(msgsnd)(id, message, bytes, flags);
}

TNI_STAND_IN ssize_t msgrcv(int id, void *message, size_t bytes, long type, int flags)
{
	return begin(TNI_FACE_SYSV_MSG)
		       ? TNI_CALL(tenon_msgrcv(id, GOOD(message), bytes, type, flags))
		       : TNI_NEXT(msgrcv)(id, message, bytes, type, flags);
}

TNI_STAND_IN int msgctl(int id, int command, struct msqid_ds *status)
{
	return begin(TNI_FACE_SYSV_MSG) ? TNI_CALL(tenon_msgctl(id, command, GOOD(status)))
					: TNI_NEXT(msgctl)(id, command, status);
}

TNI_STAND_IN int semget(key_t key, int count, int flags)
{
	return begin(TNI_FACE_SYSV_SEM) ? TNI_CALL(tenon_semget(key, count, flags))
					: TNI_NEXT(semget)(key, count, flags);
}

TNI_STAND_IN int semtimedop(int id, struct sembuf *operations, size_t count,
			    const struct timespec *timeout)
{
	if (!begin(TNI_FACE_SYSV_SEM))
		return TNI_NEXT(semtimedop)(id, operations, count, timeout);
	if (tni_pointer_is_bad(timeout))
		return tni_fail(EFAULT);
	return TNI_CALL(tenon_semtimedop(id, GOOD(operations), count, timeout));
}

TNI_STAND_IN int semop(int id, struct sembuf *operations, size_t count)
{
	return begin(TNI_FACE_SYSV_SEM) ? TNI_CALL(tenon_semop(id, GOOD(operations), count))
					: TNI_NEXT(semop)(id, operations, count);
}

/* Whether the command has a pointer. */
static bool takes_pointer(int command)
{
	return command == IPC_STAT || command == IPC_SET || command == IPC_INFO ||
	       command == SEM_STAT || command == SEM_STAT_ANY || command == SEM_INFO ||
	       command == GETALL || command == SETALL;
}

TNI_STAND_IN int semctl(int id, int number, int command, ...)
{
	union semun argument;
	va_list more;

	/* What it does not have is not looked at. */
	va_start(more, command);
	argument = va_arg(more, union semun);
	va_end(more);
	if (!begin(TNI_FACE_SYSV_SEM))
		return TNI_NEXT(semctl)(id, number, command, argument);
	if (takes_pointer(command))
		argument.pointer = GOOD(argument.pointer);
	return TNI_CALL(tenon_semctl(id, number, command, argument));
}

TNI_STAND_IN int shmget(key_t key, size_t bytes, int flags)
{
	return begin(TNI_FACE_SYSV_SHM) ? TNI_CALL(tenon_shmget(key, bytes, flags))
					: TNI_NEXT(shmget)(key, bytes, flags);
}

TNI_STAND_IN void *shmat(int id, const void *address, int flags)
{
	if (!begin(TNI_FACE_SYSV_SHM))
		return TNI_NEXT(shmat)(id, address, flags);
	tni_set32(&tni_has_segments_, 1);
	return TNI_CALL(tenon_shmat(id, address, flags));
}

TNI_STAND_IN int shmdt(const void *address)
{
	return begin(TNI_FACE_SYSV_SHM) ? TNI_CALL(tenon_shmdt(address)) : TNI_NEXT(shmdt)(address);
}

TNI_STAND_IN int shmctl(int id, int command, struct shmid_ds *status)
{
	return begin(TNI_FACE_SYSV_SHM) ? TNI_CALL(tenon_shmctl(id, command, GOOD(status)))
					: TNI_NEXT(shmctl)(id, command, status);
}
