/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The kernel's objects of System V with one thing wrong, for selftest.py: each requirement has to be
 * seen to fail.  It is preloaded; TENON_MUTANT says what is wrong. One called "no-ERROR" takes calls
 * that fail with that for done.
 */

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "sysv_mutant.h"

union semun {
	int val;
	struct semid_ds *buf;
	unsigned short *array;
};

bool mutant_is(const char *mutant)
{
	const char *wanted = getenv("TENON_MUTANT");

	return wanted && strcmp(wanted, mutant) == 0;
}

long mutant_fail(int error)
{
	errno = error;
	return -1;
}

/* Who made or found the last one, for which others are none. */
static pid_t only_user;

/* The end of each call. */
long mutant_end(long result)
{
	const char *wanted = getenv("TENON_MUTANT");

	if (result != -1) {
		if (is("clears-errno"))
			errno = 0;
		return result;
	}
	if (is("one-error"))
		return mutant_fail(EIO);
	if (wanted && strncmp(wanted, "no-E", 4) == 0 &&
	    strcmp(wanted + 3, strerrorname_np(errno)) == 0)
		return 0;
	return -1;
}

/* The identifier for an index, of "index-only". */
int mutant_whole(enum kind kind, int id)
{
	struct msqid_ds msg;
	struct semid_ds sem;
	struct shmid_ds shm;
	union semun argument = {.buf = &sem};
	int found;

	if (!is("index-only") || id < 0)
		return id;
	found = kind == MSG   ? REAL(msgctl)(id, MSG_STAT_ANY, &msg)
		: kind == SEM ? REAL(semctl)(id, 0, SEM_STAT_ANY, argument)
			      : REAL(shmctl)(id, SHM_STAT_ANY, &shm);
	return found >= 0 ? found : id;
}

bool mutant_is_others(void)
{
	return is("per-process") && only_user != getpid();
}

static int real_get(enum kind kind, key_t key, size_t size, int flags)
{
	switch (kind) {
	case MSG:
		return REAL(msgget)(key, flags);
	case SEM:
		return REAL(semget)(key, (int)size, flags);
	default:
		return REAL(shmget)(key, size, flags);
	}
}

/* msgctl, semctl or shmctl of a status. */
static int real_status(enum kind kind, int id, int command, void *status)
{
	union semun argument = {.buf = status};

	switch (kind) {
	case MSG:
		return REAL(msgctl)(id, command, status);
	case SEM:
		return REAL(semctl)(id, 0, command, argument);
	default:
		return REAL(shmctl)(id, command, status);
	}
}

/* Wherever it is in the status of a kind, it is the first. */
union status {
	struct ipc_perm perm;
	struct msqid_ds msg;
	struct semid_ds sem;
	struct shmid_ds shm;
};

static void give_to(enum kind kind, int id, uid_t user)
{
	union status status;

	if (real_status(kind, id, IPC_STAT, &status) == 0) {
		status.perm.uid = user;
		(void)real_status(kind, id, IPC_SET, &status);
	}
}

static void mark_used(enum kind kind, int id)
{
	unsigned short ones[32000];
	union semun argument = {.array = ones};
	char *address;

	if (kind == SEM) {
		for (size_t i = 0; i < sizeof(ones) / sizeof(ones[0]); i++)
			ones[i] = 1;
		(void)REAL(semctl)(id, 0, SETALL, argument);
	} else if (kind == SHM) {
		address = REAL(shmat)(id, NULL, 0);
		if (address != (void *)-1) {
			address[0] = 'u';
			(void)REAL(shmdt)(address);
		}
	} else {
		struct msgbuf buffer = {.mtype = 1};

		(void)REAL(msgsnd)(id, &buffer, 1, IPC_NOWAIT);
	}
}

/* Looks first, and then makes: others may in between. */
static int get_in_two(enum kind kind, key_t key, size_t size, int flags)
{
	int id = real_get(kind, key, size, 0);

	if (id >= 0)
		return flags & IPC_EXCL ? (int)mutant_fail(EEXIST) : id;
	(void)usleep(1000);
	return real_get(kind, key, size, flags ^ IPC_EXCL);
}

static int get_any(enum kind kind, key_t key, size_t size, int flags)
{
	int id;

	if (is("one-private") && key == IPC_PRIVATE) {
		key = 0x12345;
		flags = (flags | IPC_CREAT) & ~IPC_EXCL;
	}
	if (is("always-create"))
		flags |= IPC_CREAT;
	if (is("never-create") && (flags & IPC_CREAT))
		return (int)mutant_fail(ENOENT);
	if (is("no-exclusive"))
		flags &= ~IPC_EXCL;
	if (is("exclusive") && (flags & IPC_EXCL) && !(flags & IPC_CREAT))
		return (int)mutant_fail(EEXIST);
	if (is("one-space") && kind != MSG && REAL(msgget)(key, 0) >= 0 && key != IPC_PRIVATE)
		return (int)mutant_fail(EEXIST);
	if (is("positive-keys") && key < 0)
		return (int)mutant_fail(EINVAL);
	if (is("umask")) {
		mode_t mask = umask(0);

		umask(mask);
		flags &= ~(int)(mask & 0777);
	}
	if (is("mode-600"))
		flags = (flags & ~0777) | 0600;
	if (is("asks-nothing") && !(flags & IPC_CREAT))
		flags &= ~0777;
	if (is("in-two") && (flags & IPC_CREAT) && key != IPC_PRIVATE)
		id = get_in_two(kind, key, size, flags);
	else
		id = real_get(kind, key, size, flags);
	if (id < 0)
		return id;
	only_user = getpid();
	if (is("touches") && !(flags & IPC_EXCL) && key != IPC_PRIVATE)
		give_to(kind, id, geteuid());
	if (is("real-owner"))
		give_to(kind, id, getuid());
	if (is("root-owner") && key == IPC_PRIVATE)
		give_to(kind, id, 0);
	if (is("used") && (key == IPC_PRIVATE || (flags & IPC_CREAT)))
		mark_used(kind, id);
	return is("index-only") ? id & 0x7fff : id;
}

int msgget(key_t key, int flags)
{
	return (int)mutant_end(get_any(MSG, key, 0, flags));
}

int semget(key_t key, int count, int flags)
{
	if (is("one-semaphore") && count < 1)
		count = 1;
	if (is("any-size") && key != IPC_PRIVATE && count > 3 && !(flags & IPC_CREAT))
		count = 0;
	return (int)mutant_end(get_any(SEM, key, (size_t)count, flags));
}

int shmget(key_t key, size_t size, int flags)
{
	if (is("one-byte") && size == 0)
		size = 1;
	if (is("small") && size > 1 << 30)
		return (int)mutant_end(mutant_fail(EINVAL));
	if (is("whole-pages"))
		size = (size + 4095) & ~(size_t)4095;
	if (is("any-size") && size == 5001)
		size = 0;
	return (int)mutant_end(get_any(SHM, key, size, flags));
}

static void spoil_status(enum kind kind, union status *status)
{
	if (is("no-key"))
		status->perm.__key = 0;
	if (is("other-mode"))
		status->perm.mode ^= 04000;
	if (is("low-mode"))
		status->perm.mode &= 0777;
	if (is("no-sequence"))
		status->perm.__seq ^= 1;
	if (is("no-group"))
		status->perm.gid = 12345;
	if (kind == MSG && is("zero-status"))
		memset(&status->perm + 1, 0, sizeof(status->msg) - sizeof(status->perm));
	if (kind == SEM && is("zero-status"))
		memset(&status->perm + 1, 0, sizeof(status->sem) - sizeof(status->perm));
	if (kind == SHM && is("zero-status"))
		memset(&status->perm + 1, 0, sizeof(status->shm) - sizeof(status->perm));
	if (kind == MSG && is("old-status"))
		status->msg.msg_lspid = status->msg.msg_lrpid = 1;
	if (kind == SEM && is("old-status"))
		status->sem.sem_otime = time(NULL);
	if (kind == SHM && is("old-status"))
		status->shm.shm_atime = status->shm.shm_dtime = time(NULL),
		status->shm.shm_lpid = 1;
	if (kind == SEM && is("changes"))
		status->sem.sem_ctime = status->sem.sem_otime;
}

static const size_t sizes[] = {sizeof(struct msqid_ds), sizeof(struct semid_ds),
			       sizeof(struct shmid_ds)};

static int set_any(enum kind kind, int id, void *given)
{
	union status status;

	if (is("sets-nothing"))
		return 0;
	if (is("owner-only") || is("creator-only")) {
		if (real_status(kind, id, kind == MSG ? MSG_STAT_ANY : IPC_STAT, &status) == 0 &&
		    geteuid() != (is("owner-only") ? status.perm.uid : status.perm.cuid))
			return (int)mutant_fail(EPERM);
	}
	if (is("uses")) {
		int result = real_status(kind, id, IPC_SET, given);

		mark_used(kind, id);
		return result;
	}
	return real_status(kind, id, IPC_SET, given);
}

/* The commands that the kinds have in common. */
static int control_any(enum kind kind, int id, int command, void *given)
{
	union status status;
	int result;

	if (mutant_is_others())
		return (int)mutant_fail(EINVAL);
	id = mutant_whole(kind, id);
	if (command == IPC_RMID)
		return is("no-removal") ? 0 : real_status(kind, id, command, given);
	if (command == IPC_SET)
		return set_any(kind, id, given);
	if (command == IPC_STAT && is("partial-status")) {
		result = real_status(kind, id, command, &status);
		if (result >= 0)
			memcpy(given, &status, sizes[kind] - 20);
		return result;
	}
	if (command == IPC_STAT && is("null-status") && !given)
		return 0;
	result = real_status(kind, id, command, given);
	if (result >= 0 && command == IPC_STAT)
		spoil_status(kind, given);
	if (result >= 0 && command == IPC_INFO) {
		if (is("zero-info"))
			memset(given, 0, 32);
		return is("no-walk") ? 0 : result;
	}
	return result;
}

int msgctl(int id, int command, struct msqid_ds *given)
{
	int result = control_any(MSG, id, command, given);

	if (result >= 0 && command == MSG_INFO && is("zero-info"))
		memset(given, 0, 32);
	if (command == IPC_SET && is("bytes-0") && result == 0)
		return 0;
	return (int)mutant_end(result);
}

int shmctl(int id, int command, struct shmid_ds *given)
{
	int result;

	if ((command == SHM_LOCK || command == SHM_UNLOCK) && is("no-lock"))
		return 0;
	result = control_any(SHM, id, command, given);
	if (result >= 0 && command == SHM_INFO && is("zero-info"))
		memset(given, 0, sizeof(struct shm_info));
	if (result >= 0 && command == IPC_STAT && is("no-count"))
		given->shm_nattch = 0;
	return (int)mutant_end(result);
}

/* SETVAL that adds, and clears nothing that is to be undone. */
static int add_up_to(int id, int number, int value)
{
	struct sembuf operation = {.sem_num = (unsigned short)number};
	int now = REAL(semctl)(id, number, GETVAL);

	operation.sem_op = (short)(value - now);
	return now == value ? 0 : REAL(semop)(id, &operation, 1);
}

static int control_values(int id, int number, int command, union semun argument)
{
	int result;

	if ((is("no-setval") && command == SETVAL) || (is("no-setall") && command == SETALL))
		return 0;
	if (is("adds-up") && command == SETVAL && number >= 0 && argument.val >= 0)
		return add_up_to(id, number, argument.val);
	if (is("adds-up") && command == SETALL) {
		for (int i = 0; i < 3; i++)
			(void)add_up_to(id, i, argument.array[i]);
		return 0;
	}
	if (is("no-waiters") && (command == GETNCNT || command == GETZCNT))
		return 0;
	if (is("waiters-first") && command == GETNCNT && number > 0)
		return 0;
	if (is("no-process") && command == GETPID)
		return 0;
	if (is("own-process") && command == GETPID)
		return getpid();
	result = REAL(semctl)(id, number, command, argument);
	if (result >= 0 && is("behind") && command == GETALL)
		argument.array[3] = 0;
	return result;
}

int semctl(int id, int number, int command, ...)
{
	union semun argument = {.val = 0};
	va_list arguments;
	int result;

	va_start(arguments, command);
	if (command != GETVAL && command != GETPID && command != GETNCNT && command != GETZCNT &&
	    command != IPC_RMID)
		argument = va_arg(arguments, union semun);
	va_end(arguments);
	switch (command) {
	case GETVAL:
	case GETPID:
	case GETNCNT:
	case GETZCNT:
	case GETALL:
	case SETVAL:
	case SETALL:
		return (int)mutant_end(
			control_values(mutant_whole(SEM, id), number, command, argument));
	default:
		result = control_any(SEM, id, command, argument.buf);
		if (result >= 0 && command == SEM_INFO && is("zero-info"))
			memset(argument.buf, 0, 40);
		return (int)mutant_end(result);
	}
}
