/* SPDX-License-Identifier: Apache-2.0 */

/* semctl: values, who waits, who was last, times, and what it tells of the system. */

#include "sysv_sem.h"

REQUIREMENT(ctl_value, "semctl, DESCRIPTION, SETVAL, GETVAL",
	    "SETVAL sets a value that GETVAL gives")
{
	int id = make(SEM);

	set_value(id, 1, 7);
	set_value(id, 2, VALUE_MAX);
	expect_values(id, 0, 7, VALUE_MAX);
	set_value(id, 1, 0);
	expect_values(id, 0, 0, VALUE_MAX);
}

REQUIREMENT(ctl_value_range, "semctl, ERRORS, ERANGE",
	    "a value beyond the largest, or below 0, is ERANGE")
{
	int id = make_values(1, 2, 3);
	union semun more = {.val = VALUE_MAX + 1}, negative = {.val = -1};

	EXPECT_ERROR(semctl(id, 0, SETVAL, more), ERANGE);
	EXPECT_ERROR(semctl(id, 0, SETVAL, negative), ERANGE);
	EXPECT_ERROR(set_all(id, 0, 0, VALUE_MAX + 1), ERANGE);
	expect_values(id, 1, 2, 3);
}

REQUIREMENT(ctl_number, "semctl, ERRORS, EINVAL",
	    "a number that the set does not have is EINVAL, for commands of one semaphore")
{
	static const int commands[] = {GETVAL, SETVAL, GETPID, GETNCNT, GETZCNT};
	int id = make(SEM);
	union semun argument = {.val = 1};

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		EXPECT_ERROR(semctl(id, SEMAPHORES, commands[i], argument), EINVAL);
		EXPECT_ERROR(semctl(id, -1, commands[i], argument), EINVAL);
		EXPECT_ERROR(semctl(-1, 0, commands[i], argument), EINVAL);
	}
	expect_values(id, 0, 0, 0);
}

REQUIREMENT(ctl_all, "semctl, DESCRIPTION, SETALL, GETALL",
	    "SETALL sets all values, GETALL gives them, and nothing behind; the number is ignored")
{
	unsigned short values[SEMAPHORES + 1] = {9, 9, 9, 9}, given[SEMAPHORES] = {5, 6, 7};
	union semun get_all = {.array = values}, set = {.array = given};
	int id = make(SEM);

	EXPECT_IS(semctl(id, 77, SETALL, set), 0);
	expect_values(id, 5, 6, 7);
	EXPECT_IS(semctl(id, -1, GETALL, get_all), 0);
	EXPECT_IS(values[0], 5);
	EXPECT_IS(values[1], 6);
	EXPECT_IS(values[2], 7);
	EXPECT_IS(values[3], 9);
}

REQUIREMENT(ctl_all_many, "semctl, DESCRIPTION, SETALL, GETALL", "that holds for large sets, too")
{
	enum { COUNT = 5000 };
	unsigned short *values = calloc(COUNT, sizeof(*values));
	union semun argument = {.array = values};
	int id = note(SEM, semget(IPC_PRIVATE, COUNT, 0600));

	for (int i = 0; i < COUNT; i++)
		values[i] = (unsigned short)(i * 3);
	EXPECT_IS(semctl(id, 0, SETALL, argument), 0);
	memset(values, 0, COUNT * sizeof(*values));
	EXPECT_IS(semctl(id, 0, GETALL, argument), 0);
	for (int i = 0; i < COUNT; i++)
		EXPECT_IS(values[i], i * 3);
	EXPECT_IS(value_of(id, COUNT - 1), (COUNT - 1) * 3);
	free(values);
}

REQUIREMENT(ctl_pointer, "semctl(2), ERRORS, EFAULT", "an array that leads nowhere is EFAULT")
{
	int id = make_values(1, 2, 3);
	union semun argument = {.array = make_nowhere()};

	EXPECT_ERROR(semctl(id, 0, GETALL, argument), EFAULT);
	EXPECT_ERROR(semctl(id, 0, SETALL, argument), EFAULT);
	expect_values(id, 1, 2, 3);
}

struct denied {
	int id, error;
	bool reads;
};

static void controls(void *context)
{
	static const int readers[] = {GETVAL, GETPID, GETNCNT, GETZCNT, GETALL};
	const struct denied *denied = context;
	unsigned short values[SEMAPHORES] = {0};
	union semun argument = {.array = values}, value = {.val = 3};

	for (size_t i = 0; denied->reads && i < sizeof(readers) / sizeof(readers[0]); i++) {
		errno = 0;
		(void)semctl(denied->id, 0, readers[i], argument);
		EXPECT_IS(errno, denied->error);
	}
	for (int i = 0; !denied->reads && i < 2; i++) {
		errno = 0;
		(void)semctl(denied->id, 0, i ? SETVAL : SETALL, i ? value : argument);
		EXPECT_IS(errno, denied->error);
	}
}

REQUIREMENT(ctl_denied, "semctl, ERRORS, EACCES",
	    "what gives values needs permission to read, what sets them permission to alter")
{
	struct denied reads = {.id = make_mode(SEM, 0602), .error = EACCES, .reads = true};
	struct denied sets = {.id = reads.id};

	conform_act_as(NOBODY, controls, &reads);
	conform_act_as(NOBODY, controls, &sets);
	EXPECT_IS(set_perm(SEM, reads.id, 0604, geteuid(), getegid()), 0);
	reads.error = 0;
	sets.error = EACCES;
	conform_act_as(NOBODY, controls, &reads);
	conform_act_as(NOBODY, controls, &sets);
}

REQUIREMENT(ctl_value_wakes, "semctl, DESCRIPTION, SETVAL; semctl(2)",
	    "who waits goes on when SETVAL makes it possible: to take, and for 0")
{
	int id = make_values(0, 1, 0);
	struct caller takes = caller_of(id, 0, -2, 0), zero = caller_of(id, 1, 0, 0);
	pid_t first = block(process_calls, &takes), second = block(process_calls, &zero);

	set_value(id, 0, 1);
	conform_await_blocked(first, 0);
	set_value(id, 0, 5);
	conform_await(first);
	set_value(id, 1, 0);
	conform_await(second);
	expect_values(id, 3, 0, 0);
}

REQUIREMENT(ctl_all_wakes, "semctl(2), SETALL", "who waits goes on when SETALL makes it possible")
{
	int id = make_values(0, 1, 0);
	struct caller takes = caller_of(id, 0, -2, 0), zero = caller_of(id, 1, 0, 0);
	pid_t first = block(process_calls, &takes), second = block(process_calls, &zero);

	EXPECT_IS(set_all(id, 3, 0, 0), 0);
	conform_await(first);
	conform_await(second);
	expect_values(id, 1, 0, 0);
}

REQUIREMENT(waiters, "semctl, DESCRIPTION, GETNCNT, GETZCNT",
	    "GETNCNT counts who waits to take, GETZCNT who waits for 0, of each semaphore")
{
	int id = make_values(0, 1, 1);
	struct caller takes = caller_of(id, 0, -1, 0), zero = caller_of(id, 1, 0, 0);
	struct caller more = caller_of(id, 1, -2, 0);
	pid_t children[] = {block(process_calls, &takes), block(process_calls, &takes),
			    block(process_calls, &zero), block(process_calls, &more)};

	EXPECT_IS(semctl(id, 0, GETNCNT), 2);
	EXPECT_IS(semctl(id, 0, GETZCNT), 0);
	EXPECT_IS(semctl(id, 1, GETNCNT), 1);
	EXPECT_IS(semctl(id, 1, GETZCNT), 1);
	EXPECT_IS(semctl(id, 2, GETNCNT), 0);
	EXPECT_IS(semctl(id, 2, GETZCNT), 0);
	EXPECT_IS(operate(id, 0, 1, 0), 0);
	await_count(id, 0, GETNCNT, 1);
	EXPECT_IS(operate(id, 1, -1, 0), 0);
	conform_await(children[2]);
	EXPECT_IS(semctl(id, 1, GETZCNT), 0);
	EXPECT_IS(semctl(id, 1, GETNCNT), 1);
	conform_kill(children[3]);
	EXPECT_IS(semctl(id, 1, GETNCNT), 0);
}

REQUIREMENT(waiters_array, "semctl(2), GETNCNT, NOTES",
	    "who waits with an array counts for the semaphore of the operation that cannot be done")
{
	int id = make_values(1, 0, 1);
	struct caller caller = {.id = id, .count = 3};
	pid_t child;

	caller.operations[0] = OPERATION(0, -1, 0);
	caller.operations[1] = OPERATION(1, -1, 0);
	caller.operations[2] = OPERATION(2, 0, 0);
	child = block(process_calls, &caller);
	EXPECT_IS(semctl(id, 0, GETNCNT), 0);
	EXPECT_IS(semctl(id, 1, GETNCNT), 1);
	EXPECT_IS(semctl(id, 2, GETZCNT), 0);
	EXPECT_IS(operate(id, 1, 1, 0), 0);
	await_count(id, 2, GETZCNT, 1);
	EXPECT_IS(semctl(id, 1, GETNCNT), 0);
	EXPECT_IS(operate(id, 2, -1, 0), 0);
	conform_await(child);
	expect_values(id, 0, 0, 0);
}

REQUIREMENT(process_last, "semctl, DESCRIPTION, GETPID; semop, DESCRIPTION",
	    "GETPID gives who did the last operation, of each semaphore of the array")
{
	int id = make(SEM);
	struct caller caller = {.id = id, .count = 2};
	pid_t child;

	EXPECT_IS(operate(id, 0, 1, 0), 0);
	EXPECT_IS(semctl(id, 0, GETPID), getpid());
	EXPECT_IS(semctl(id, 1, GETPID), 0);
	caller.operations[0] = OPERATION(0, -1, 0);
	caller.operations[1] = OPERATION(1, 0, 0);
	child = conform_start(process_calls, &caller);
	conform_await(child);
	EXPECT_IS(semctl(id, 0, GETPID), child);
	EXPECT_IS(semctl(id, 1, GETPID), child);
	EXPECT_IS(semctl(id, 2, GETPID), 0);
}

REQUIREMENT(process_blocked, "semctl, DESCRIPTION, GETPID",
	    "who waits has done nothing yet; when it has, it is the last one")
{
	int id = make(SEM);
	struct caller caller = caller_of(id, 0, -1, 0);
	pid_t child;

	set_value(id, 1, 1);
	child = block(process_calls, &caller);
	EXPECT_IS(semctl(id, 0, GETPID), 0);
	EXPECT_IS(operate(id, 0, 1, 0), 0);
	conform_await(child);
	EXPECT_IS(semctl(id, 0, GETPID), child);
}

REQUIREMENT(process_set, "semctl(2), SETVAL, SETALL", "who sets a value is the last one, too")
{
	int id = make(SEM);

	set_value(id, 1, 1);
	EXPECT_IS(semctl(id, 0, GETPID), 0);
	EXPECT_IS(semctl(id, 1, GETPID), getpid());
	EXPECT_IS(set_all(id, 1, 1, 1), 0);
	EXPECT_IS(semctl(id, 0, GETPID), getpid());
	EXPECT_IS(semctl(id, 2, GETPID), getpid());
}

REQUIREMENT(process_failed, "semop, DESCRIPTION",
	    "who fails changes neither the process nor the time")
{
	int id = make(SEM);

	EXPECT_ERROR(operate(id, 0, -1, IPC_NOWAIT), EAGAIN);
	EXPECT_ERROR(operate(id, 9, -1, IPC_NOWAIT), EFBIG);
	EXPECT_IS(semctl(id, 0, GETPID), 0);
	EXPECT_IS(set_of(id).sem_otime, 0);
}

REQUIREMENT(status_new, "semget, DESCRIPTION",
	    "a new set has its number of semaphores, and no time of use")
{
	struct semid_ds set = set_of(make(SEM));

	EXPECT_IS(set.sem_nsems, SEMAPHORES);
	EXPECT_IS(set.sem_otime, 0);
}

REQUIREMENT(status_used, "semop, DESCRIPTION, sem_otime",
	    "semop sets the time of use, also when it waits for 0, and not that of change")
{
	int id = make(SEM);
	struct semid_ds before = set_of(id), after;

	await_after(before.sem_ctime);
	EXPECT_IS(operate(id, 0, 0, 0), 0);
	after = set_of(id);
	EXPECT_SINCE(after.sem_otime, before.sem_ctime + 1);
	EXPECT_IS(after.sem_ctime, before.sem_ctime);
	before = after;
	await_after(before.sem_otime);
	EXPECT_IS(operate(id, 0, 1, 0), 0);
	EXPECT_SINCE(set_of(id).sem_otime, before.sem_otime + 1);
}

REQUIREMENT(status_set, "semctl, DESCRIPTION, SETVAL, SETALL; semctl(2), sem_ctime",
	    "SETVAL and SETALL set the time of change, and not that of use")
{
	int id = make(SEM);
	time_t before = set_of(id).sem_ctime;

	await_after(before);
	set_value(id, 0, 1);
	EXPECT_SINCE(set_of(id).sem_ctime, before + 1);
	before = set_of(id).sem_ctime;
	await_after(before);
	EXPECT_IS(set_all(id, 1, 1, 1), 0);
	EXPECT_SINCE(set_of(id).sem_ctime, before + 1);
	EXPECT_IS(set_of(id).sem_otime, 0);
}

static int told(int command, struct seminfo *info)
{
	union semun argument = {.__buf = info};

	memset(info, 0xee, sizeof(*info));
	return semctl(0, 0, command, argument);
}

REQUIREMENT(info_limits, "semctl(2), IPC_INFO", "IPC_INFO tells the limits")
{
	struct seminfo info;

	EXPECT(told(IPC_INFO, &info) >= 0);
	EXPECT_IS(info.semmsl, SET_MAX);
	EXPECT_IS(info.semopm, OPERATIONS_MAX);
	EXPECT_IS(info.semvmx, VALUE_MAX);
	EXPECT_IS(info.semaem, VALUE_MAX);
	EXPECT(info.semmni >= 1000 && info.semmns >= SET_MAX);
}

REQUIREMENT(info_used, "semctl(2), SEM_INFO",
	    "SEM_INFO tells how many sets and semaphores there are")
{
	struct seminfo info;
	int id;

	need_alone();
	id = make(SEM);
	EXPECT(note(SEM, semget(IPC_PRIVATE, 100, 0600)) >= 0);
	EXPECT(told(SEM_INFO, &info) >= 1);
	EXPECT_IS(info.semusz, 2);
	EXPECT_IS(info.semaem, 100 + SEMAPHORES);
	EXPECT_IS(info.semmsl, SET_MAX);
	erase(SEM, id);
	EXPECT(told(SEM_INFO, &info) >= 0);
	EXPECT_IS(info.semusz, 1);
	EXPECT_IS(info.semaem, 100);
}
