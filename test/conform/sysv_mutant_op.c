/* SPDX-License-Identifier: Apache-2.0 */

/* The calls that send, operate and attach, ftok, and syscall: see sysv_mutant.c. */

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "sysv_mutant.h"

/* Before an operation: permission. */
static bool is_denied(void)
{
	return (is("root-only") && geteuid() != 0) || (is("not-root") && geteuid() == 0) ||
	       mutant_is_others();
}

static void enter(int *state)
{
	if (is("no-point"))
		pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, state);
	if (is("always-point")) {
		pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, state);
		pthread_testcancel();
	}
}

static void leave(int state)
{
	if (is("no-point"))
		pthread_setcancelstate(state, NULL);
}

/* Waits otherwise than in the call. */
static void rest(void)
{
	struct timespec moment = {.tv_nsec = 100000};

	(void)nanosleep(&moment, NULL);
}

static int send_once(int id, const void *message, size_t bytes, int flags)
{
	int result;

	while (is("polls") && !(flags & IPC_NOWAIT)) {
		result = REAL(msgsnd)(id, message, bytes, flags | IPC_NOWAIT);
		if (result == 0 || errno != EAGAIN)
			return result;
		rest();
	}
	do
		result = REAL(msgsnd)(id, message, bytes, flags);
	while (is("no-eintr") && result < 0 && errno == EINTR);
	return result;
}

int msgsnd(int id, const void *message, size_t bytes, int flags)
{
	int result, state = 0;

	if (is_denied())
		return (int)mutant_end(mutant_fail(EACCES));
	if (is("swallows"))
		return 0;
	if (is("short-types") && *(const long *)message > INT_MAX)
		return (int)mutant_end(mutant_fail(EINVAL));
	if (is("no-empty") && bytes == 0)
		return (int)mutant_end(mutant_fail(EINVAL));
	if (is("no-wait"))
		flags |= IPC_NOWAIT;
	if (is("cuts") && bytes > 8192 && bytes < SIZE_MAX / 4)
		bytes = 8192;
	enter(&state);
	result = send_once(mutant_whole(MSG, id), message, bytes, flags);
	leave(state);
	if (is("doubles") && result == 0)
		(void)REAL(msgsnd)(id, message, bytes, IPC_NOWAIT);
	return (int)mutant_end(result);
}

static ssize_t receive_once(int id, void *message, size_t bytes, long type, int flags)
{
	ssize_t result;

	while (is("polls") && !(flags & IPC_NOWAIT)) {
		result = REAL(msgrcv)(id, message, bytes, type, flags | IPC_NOWAIT);
		if (result >= 0 || errno != ENOMSG)
			return result;
		rest();
	}
	do
		result = REAL(msgrcv)(id, message, bytes, type, flags);
	while (is("no-eintr") && result < 0 && errno == EINTR);
	return result;
}

ssize_t msgrcv(int id, void *message, size_t bytes, long type, int flags)
{
	ssize_t result;
	int state = 0;

	if (is_denied())
		return mutant_end(mutant_fail(EACCES));
	if (is("any-type"))
		type = 0;
	if (is("exact") && type < 0)
		type = -type;
	if (is("no-except"))
		flags &= ~MSG_EXCEPT;
	if (is("except") && (flags & MSG_EXCEPT) && type <= 0)
		return mutant_end(mutant_fail(EINVAL));
	if (is("truncates"))
		flags |= MSG_NOERROR;
	if (is("never-truncates"))
		flags &= ~MSG_NOERROR;
	if (is("takes"))
		flags &= ~MSG_COPY;
	if (is("no-wait"))
		flags |= IPC_NOWAIT;
	if (is("small-buffers") && bytes > 8192)
		return mutant_end(mutant_fail(EINVAL));
	enter(&state);
	result = receive_once(mutant_whole(MSG, id), message, bytes, type, flags);
	leave(state);
	if (is("loses") && result < 0 && errno == E2BIG) {
		(void)REAL(msgrcv)(id, message, bytes, type, flags | MSG_NOERROR);
		errno = E2BIG;
	}
	if (is("clears") && result >= 0)
		((char *)message)[sizeof(long) + (size_t)result] = 0;
	return mutant_end(result);
}

static void spoil_operations(struct sembuf *operations, size_t count)
{
	bool nowait = false;

	for (size_t i = 0; i < count; i++) {
		nowait |= (operations[i].sem_flg & IPC_NOWAIT) != 0;
		if (is("no-undo") || (is("undo-takes") && operations[i].sem_op > 0))
			operations[i].sem_flg &= ~SEM_UNDO;
		if (is("always-undo"))
			operations[i].sem_flg |= SEM_UNDO;
		if (is("no-wait"))
			operations[i].sem_flg |= IPC_NOWAIT;
		if (is("waits"))
			operations[i].sem_flg &= ~IPC_NOWAIT;
		if (is("reversed") && i < count / 2) {
			struct sembuf one = operations[i];

			operations[i] = operations[count - 1 - i];
			operations[count - 1 - i] = one;
		}
	}
	for (size_t i = 0; is("nowait-all") && nowait && i < count; i++)
		operations[i].sem_flg |= IPC_NOWAIT;
}

static int operate_once(int id, struct sembuf *operations, size_t count,
			const struct timespec *wait)
{
	int result;

	while (is("polls") && !wait) {
		struct timespec none = {0};

		result = REAL(semtimedop)(id, operations, count, &none);
		if (result == 0 || errno != EAGAIN || (operations[0].sem_flg & IPC_NOWAIT))
			return result;
		rest();
	}
	if (is("one-by-one") && count < 10) {
		for (size_t i = 0; i < count; i++) {
			if (REAL(semtimedop)(id, &operations[i], 1, wait) != 0)
				return -1;
		}
		return count ? 0 : (int)mutant_fail(EINVAL);
	}
	do
		result = REAL(semtimedop)(id, operations, count, wait);
	while (is("no-eintr") && result < 0 && errno == EINTR);
	if (is("partly") && result < 0 && errno == EAGAIN) {
		operations[0].sem_flg = IPC_NOWAIT;
		(void)REAL(semop)(id, operations, 1);
		errno = EAGAIN;
	}
	return result;
}

int semtimedop(int id, struct sembuf *given, size_t count, const struct timespec *wait)
{
	struct sembuf operations[500];
	struct timespec other;
	int result, state = 0;

	if (is_denied())
		return (int)mutant_end(mutant_fail(EACCES));
	if (is("swallows"))
		return 0;
	if (is("few") && count > 100)
		return (int)mutant_end(mutant_fail(E2BIG));
	/* What cannot be copied is the kernel's. */
	if (count == 0 || count > 500 || is("one-error") || is("no-EFAULT") || is("none"))
		return (int)mutant_end(REAL(semtimedop)(mutant_whole(SEM, id), given, count, wait));
	memcpy(operations, given, count * sizeof(*given));
	spoil_operations(operations, count);
	if (wait) {
		other = *wait;
		if (is("early"))
			other.tv_nsec /= 2;
		if (is("unchecked") &&
		    (other.tv_nsec < 0 || other.tv_nsec > 999999999 || other.tv_sec < 0))
			other = (struct timespec){0};
		if (is("near") && other.tv_sec > 1000000)
			return (int)mutant_end(mutant_fail(EINVAL));
		wait = &other;
	} else if (is("needs-time")) {
		return (int)mutant_end(mutant_fail(EINVAL));
	}
	enter(&state);
	result = operate_once(mutant_whole(SEM, id), operations, count, wait);
	leave(state);
	return (int)mutant_end(result);
}

int semop(int id, struct sembuf *operations, size_t count)
{
	if (is("needs-time"))
		return (int)mutant_end(REAL(semop)(id, operations, count));
	return semtimedop(id, operations, count, NULL);
}

static void *nothing_at(void)
{
	return mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

void *shmat(int id, const void *address, int flags)
{
	struct shmid_ds status;
	void *result;

	if (is_denied())
		return (void *)mutant_end(mutant_fail(EACCES));
	if (is("elsewhere"))
		return nothing_at();
	if (is("always-rounds"))
		flags |= SHM_RND;
	if (is("never-rounds"))
		flags &= ~SHM_RND;
	if (is("always-replaces") && address)
		flags |= SHM_REMAP;
	if (is("never-replaces"))
		flags &= ~SHM_REMAP;
	if (is("writable"))
		flags &= ~SHM_RDONLY;
	if (is("no-execution"))
		flags &= ~SHM_EXEC;
	if (is("no-address"))
		address = NULL;
	id = mutant_whole(SHM, id);
	if (is("none-of-removed") && REAL(shmctl)(id, IPC_STAT, &status) == 0 &&
	    (status.shm_perm.mode & SHM_DEST))
		return (void *)mutant_end(mutant_fail(EIDRM));
	result = REAL(shmat)(id, address, flags);
	if (result != (void *)-1) {
		(void)mutant_end(0);
		return result;
	}
	if (is("fails-late")) {
		int error = errno;

		(void)REAL(shmat)(id, NULL, 0);
		errno = error;
	}
	return mutant_end(-1) == 0 ? nothing_at() : (void *)-1;
}

int shmdt(const void *address)
{
	if (is("stays"))
		return 0;
	if (is("middle") && REAL(shmdt)((const char *)address - 4096) == 0)
		return 0;
	return (int)mutant_end(REAL(shmdt)(address));
}

key_t ftok(const char *path, int number)
{
	static key_t next = 77;
	struct stat status;
	key_t key;

	if (is("ftok-new"))
		return next++;
	if (is("ftok-one"))
		return 77;
	if (is("ftok-wide"))
		return REAL(ftok)(path, number) ^ (number >> 8) << 8;
	if (is("ftok-link") && lstat(path, &status) == 0)
		return (key_t)(status.st_ino + (ino_t)(unsigned)number * 100000);
	key = REAL(ftok)(path, number);
	return (key_t)mutant_end(key);
}

/* Of the numbers of System V none is known to "no-direct". */
long syscall(long number, ...)
{
	long argument[6];
	va_list arguments;

	va_start(arguments, number);
	for (int i = 0; i < 6; i++)
		argument[i] = va_arg(arguments, long);
	va_end(arguments);
	if (is("no-direct") && number != SYS_close && number != SYS_pidfd_open)
		return mutant_fail(ENOSYS);
	return REAL(syscall)(number, argument[0], argument[1], argument[2], argument[3],
			     argument[4], argument[5]);
}
