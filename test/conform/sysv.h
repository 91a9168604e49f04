/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_CONFORM_SYSV_H
#define TEST_CONFORM_SYSV_H

/*
 * What the requirements of System V's queues, semaphores and shared memory share.  They fit into
 * the limits that the kernel sets by default.
 *
 * A call that fails in here ends the requirement, unless it says otherwise.
 */

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "conform.h"

#define NOBODY 65534u
#define ANN 65533u
#define BEN 65532u
#define PAGE 4096
#define SECOND_NS INT64_C(1000000000)
/* Of a set that get() makes. */
#define SEMAPHORES 3
#define KEYS 10

/* The application has to define it (semctl, DESCRIPTION). */
union semun {
	int val;
	struct semid_ds *buf;
	unsigned short *array;
	struct seminfo *__buf;
};

enum kind { MSG, SEM, SHM };

union status {
	struct msqid_ds msg;
	struct semid_ds sem;
	struct shmid_ds shm;
};

/* Of this run alone; what they lead to is removed after the requirement. */
key_t key_of(int which); /* 0 … KEYS - 1 */
#define KEY key_of(0)
#define OTHER key_of(1)

/* msgget; semget of SEMAPHORES; shmget of a page.  May fail. */
int get(enum kind kind, key_t key, int flags);
/* A new one of the mode 0600 without a key. */
int make(enum kind kind);
/* A new one by KEY with this mode, made by that user. */
int make_mode(enum kind kind, int mode);
int make_as(enum kind kind, uid_t user, int mode);
/* Has it removed after the requirement. */
int note(enum kind kind, int id);

/* The ctl calls.  May fail. */
int control(enum kind kind, int id, int command, union status *status);
union status status_of(enum kind kind, int id);
struct ipc_perm *perm_in(enum kind kind, union status *status);
struct ipc_perm perm_of(enum kind kind, int id);
void erase(enum kind kind, int id);
/* IPC_SET with this mode, owner and group. */
int set_perm(enum kind kind, int id, int mode, uid_t uid, gid_t gid);
/* What is wrong with the moment: it is not between that and now. */
#define EXPECT_SINCE(moment, before) EXPECT((moment) >= (before) && (moment) <= time(NULL))
/* Waits until time(2) says more than that. */
void await_after(time_t moment);
/* Waits until a second begins: the finer clock has it then, and time(2) as a rule not yet. */
void await_turn(void);

/* A child that is blocked when this returns. */
pid_t block(void (*run)(void *context), void *context);
pid_t block_as(uid_t user, void (*run)(void *context), void *context);

/* A handler that counts in `handled`; with these flags of sigaction(2). */
extern volatile sig_atomic_t handled;
void handle(int signal, int flags);

/* Goes to an empty folder, for files that are called a, b, c, d, and d/e; it is removed after the
 * requirement. */
void enter_folder(void);
/* A page that may not be touched. */
void *make_nowhere(void);
/* Skips the requirement if direct system calls go to the kernel, and not to whom this is about. */
void need_direct(void);
/* Skips the requirement if others' objects are seen, too. */
void need_alone(void);

/* Whether this process has it (capabilities(7)). */
#define CAPABILITY_LOCK 14
#define CAPABILITY_RESOURCE 24
bool has_capability(int number);

/* The semop of one operation. */
int operate(int id, int number, int operation, int flags);

/* A requirement of each of the three kinds: the function is given the kind. */
#define REQUIREMENT_OF_KINDS(function, heading, text)    \
	static void function(enum kind kind);            \
	REQUIREMENT(msg_##function, "msg" heading, text) \
	{                                                \
		function(MSG);                           \
	}                                                \
	REQUIREMENT(sem_##function, "sem" heading, text) \
	{                                                \
		function(SEM);                           \
	}                                                \
	REQUIREMENT(shm_##function, "shm" heading, text) \
	{                                                \
		function(SHM);                           \
	}                                                \
	static void function(enum kind kind)

/* The main() of the program that is about who has this name. */
int sysv_main(const char *symbol, int count, char **arguments);

#endif
