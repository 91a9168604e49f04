/* SPDX-License-Identifier: Apache-2.0 */

/* <sys/sem.h>: what it defines.  It is the first header here, since it has to stand alone. */

#include <sys/sem.h>

static int (*const controls)(int, int, int, ...) = semctl;
static int (*const gets)(key_t, int, int) = semget;
static int (*const operates)(int, struct sembuf *, size_t) = semop;
static int (*const operates_until)(int, struct sembuf *, size_t,
				   const struct timespec *) = semtimedop;

static struct semid_ds status_type;
static struct sembuf operation_type;
static struct ipc_perm *const perm_member = &status_type.sem_perm;
static time_t *const otime_member = &status_type.sem_otime;
static time_t *const ctime_member = &status_type.sem_ctime;
static unsigned short *const num_member = &operation_type.sem_num;
static short *const op_member = &operation_type.sem_op;
static short *const flg_member = &operation_type.sem_flg;

#include "sysv_sem.h"

REQUIREMENT(header_types, "<sys/sem.h>, DESCRIPTION",
	    "it defines struct semid_ds and struct sembuf with their members and types")
{
	EXPECT(perm_member && otime_member && ctime_member);
	EXPECT(num_member && op_member && flg_member);
	EXPECT(sizeof(status_type.sem_nsems) >= sizeof(unsigned short));
	EXPECT_IS(sizeof(struct sembuf), 6);
}

REQUIREMENT(header_functions, "<sys/sem.h>, DESCRIPTION; semop(2)",
	    "it declares the functions, and their addresses can be called")
{
	struct sembuf operation = OPERATION(0, 1, 0);
	struct timespec wait = {.tv_sec = 1};
	int id = note(SEM, gets(IPC_PRIVATE, 1, 0600));

	EXPECT(id >= 0);
	EXPECT_IS(operates(id, &operation, 1), 0);
	EXPECT_IS(operates_until(id, &operation, 1, &wait), 0);
	EXPECT_IS(controls(id, 0, GETVAL), 2);
	EXPECT_IS(controls(id, 0, IPC_RMID), 0);
}

REQUIREMENT(header_constants, "<sys/sem.h>, DESCRIPTION; semctl(2)",
	    "the flag and the commands have the values that programs were compiled with")
{
	EXPECT_IS(SEM_UNDO, 0x1000);
	EXPECT_IS(GETPID, 11);
	EXPECT_IS(GETVAL, 12);
	EXPECT_IS(GETALL, 13);
	EXPECT_IS(GETNCNT, 14);
	EXPECT_IS(GETZCNT, 15);
	EXPECT_IS(SETVAL, 16);
	EXPECT_IS(SETALL, 17);
	EXPECT_IS(SEM_STAT, 18);
	EXPECT_IS(SEM_INFO, 19);
	EXPECT_IS(SEM_STAT_ANY, 20);
}

REQUIREMENT(header_linux, "semctl(2), DESCRIPTION", "struct seminfo has its members")
{
	struct seminfo info = {.semmap = 1,
			       .semmni = 2,
			       .semmns = 3,
			       .semmnu = 4,
			       .semmsl = 5,
			       .semopm = 6,
			       .semume = 7,
			       .semusz = 8,
			       .semvmx = 9,
			       .semaem = 10};

	EXPECT_IS(sizeof(info), 40);
	EXPECT_IS(info.semaem, 10);
}

REQUIREMENT(get_number, "semget, ERRORS, EINVAL",
	    "a new set has from 1 to the limit of semaphores, else it is EINVAL")
{
	EXPECT_ERROR(semget(KEY, 0, IPC_CREAT | 0600), EINVAL);
	EXPECT_ERROR(semget(IPC_PRIVATE, 0, 0600), EINVAL);
	EXPECT_ERROR(semget(KEY, -1, IPC_CREAT | 0600), EINVAL);
	EXPECT_ERROR(semget(KEY, SET_MAX + 1, IPC_CREAT | 0600), EINVAL);
	EXPECT_ERROR(semget(KEY, 1, 0), ENOENT);
	EXPECT(note(SEM, semget(KEY, 1, IPC_CREAT | 0600)) >= 0);
	EXPECT(note(SEM, semget(OTHER, SET_MAX, IPC_CREAT | 0600)) >= 0);
	EXPECT_IS(set_of(semget(OTHER, 0, 0)).sem_nsems, SET_MAX);
	set_value(semget(OTHER, 0, 0), SET_MAX - 1, 5);
}

REQUIREMENT(get_existing_number, "semget, ERRORS, EINVAL",
	    "of a set that exists one may ask for less or for none, and for more it is EINVAL")
{
	int id = make_mode(SEM, 0600);

	EXPECT_IS(semget(KEY, 0, 0), id);
	EXPECT_IS(semget(KEY, 0, IPC_CREAT | 0600), id);
	EXPECT_IS(semget(KEY, 1, 0), id);
	EXPECT_IS(semget(KEY, SEMAPHORES, 0), id);
	EXPECT_ERROR(semget(KEY, SEMAPHORES + 1, 0), EINVAL);
	EXPECT_ERROR(semget(KEY, SEMAPHORES + 1, IPC_CREAT | 0600), EINVAL);
	EXPECT_ERROR(semget(KEY, -1, 0), EINVAL);
	EXPECT_IS(set_of(id).sem_nsems, SEMAPHORES);
}

REQUIREMENT(get_zero, "semget(2), NOTES", "the semaphores of a new set are 0")
{
	int id = note(SEM, semget(IPC_PRIVATE, 100, 0600));

	for (int i = 0; i < 100; i++) {
		EXPECT_IS(value_of(id, i), 0);
		EXPECT_IS(semctl(id, i, GETPID), 0);
		EXPECT_IS(semctl(id, i, GETNCNT), 0);
		EXPECT_IS(semctl(id, i, GETZCNT), 0);
	}
}
