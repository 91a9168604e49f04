/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_CONFORM_SYSV_SEM_H
#define TEST_CONFORM_SYSV_SEM_H

/* What the requirements of System V's semaphore sets share. */

#include "sysv.h"

/* The kernel's defaults: semaphores of a set, operations of a call, the largest value. */
#define SET_MAX 32000
#define OPERATIONS_MAX 500
#define VALUE_MAX 32767

/* A set with these values, of SEMAPHORES. */
int make_values(int first, int second, int third);
int value_of(int id, int number);
void expect_values(int id, int first, int second, int third);
void set_value(int id, int number, int value);
/* SETALL of SEMAPHORES.  May fail. */
int set_all(int id, int first, int second, int third);
struct semid_ds set_of(int id);

/* For an array of operations: number, operation, flags. */
#define OPERATION(number, operation, flags) \
	((struct sembuf){(unsigned short)(number), (short)(operation), (short)(flags)})

/* What a process that a requirement starts does: these operations, and expects that result. */
struct caller {
	int id;
	size_t count;
	struct sembuf operations[4];
	/* 0: it succeeds. */
	int error;
	/* Of semtimedop, if it is that. */
	const struct timespec *timeout;
	/* It waits for that behind it, and then ends. */
	int *end;
	int *done;
};
void process_calls(void *caller);
struct caller caller_of(int id, int number, int operation, int flags);

/* Waits for so many: the semaphore's GETNCNT or GETZCNT. */
void await_count(int id, int number, int command, int count);

#endif
