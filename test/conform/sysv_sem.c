/* SPDX-License-Identifier: Apache-2.0 */

/* What the requirements of System V's semaphore sets share. */

#include "sysv_sem.h"

#include <sched.h>

int make_values(int first, int second, int third)
{
	int id = make(SEM);

	REQUIRE(set_all(id, first, second, third) == 0);
	return id;
}

int value_of(int id, int number)
{
	return semctl(id, number, GETVAL);
}

void expect_values(int id, int first, int second, int third)
{
	EXPECT_IS(value_of(id, 0), first);
	EXPECT_IS(value_of(id, 1), second);
	EXPECT_IS(value_of(id, 2), third);
}

void set_value(int id, int number, int value)
{
	union semun argument = {.val = value};

	EXPECT_IS(semctl(id, number, SETVAL, argument), 0);
}

int set_all(int id, int first, int second, int third)
{
	unsigned short values[] = {(unsigned short)first, (unsigned short)second,
				   (unsigned short)third};
	union semun argument = {.array = values};

	return semctl(id, 0, SETALL, argument);
}

struct semid_ds set_of(int id)
{
	return status_of(SEM, id).sem;
}

void process_calls(void *context)
{
	struct caller *caller = context;
	int result;

	errno = 0;
	if (caller->timeout)
		result = semtimedop(caller->id, caller->operations, caller->count, caller->timeout);
	else
		result = semop(caller->id, caller->operations, caller->count);
	EXPECT_IS(result, caller->error ? -1 : 0);
	EXPECT_IS(errno, caller->error);
	if (caller->done)
		conform_set_word(caller->done, 1);
	if (caller->end)
		(void)conform_await_word(caller->end);
}

struct caller caller_of(int id, int number, int operation, int flags)
{
	return (struct caller){
		.id = id, .count = 1, .operations = {OPERATION(number, operation, flags)}};
}

void await_count(int id, int number, int command, int count)
{
	while (semctl(id, number, command) != count)
		sched_yield();
}

int main(int count, char **arguments)
{
	return sysv_main("semop", count, arguments);
}
