/* SPDX-License-Identifier: Apache-2.0 */

/* SEM_UNDO. */

#include <pthread.h>
#include <sys/wait.h>

#include "sysv_sem.h"

/* A process that has done these operations, and ends when `end` is set, or it is killed. */
static pid_t start_holder(struct caller *caller)
{
	int *words = conform_share(2 * sizeof(*words));
	pid_t child;

	caller->done = &words[0];
	caller->end = &words[1];
	child = conform_start(process_calls, caller);
	(void)conform_await_word(caller->done);
	return child;
}

static void end_holder(const struct caller *caller, pid_t child)
{
	conform_set_word(caller->end, 1);
	conform_await(child);
}

REQUIREMENT(undo_exit, "semop, DESCRIPTION, SEM_UNDO; exit, DESCRIPTION",
	    "what was done with SEM_UNDO is undone when the process ends, and no earlier")
{
	struct caller caller = {.id = make_values(5, 5, 5), .count = 3};
	pid_t child;

	caller.operations[0] = OPERATION(0, -2, SEM_UNDO);
	caller.operations[1] = OPERATION(1, 3, SEM_UNDO);
	caller.operations[2] = OPERATION(2, 1, 0);
	child = start_holder(&caller);
	expect_values(caller.id, 3, 8, 6);
	end_holder(&caller, child);
	expect_values(caller.id, 5, 5, 6);
}

REQUIREMENT(undo_killed, "semop(2), SEM_UNDO", "it is undone when the process is killed")
{
	struct caller caller = caller_of(make_values(1, 0, 0), 0, -1, SEM_UNDO);
	pid_t child = start_holder(&caller);

	expect_values(caller.id, 0, 0, 0);
	conform_kill(child);
	expect_values(caller.id, 1, 0, 0);
}

REQUIREMENT(undo_wakes, "semop, DESCRIPTION, SEM_UNDO",
	    "who waits for what a process holds goes on when that is killed")
{
	struct caller caller = caller_of(make_values(1, 0, 0), 0, -1, SEM_UNDO);
	struct caller other = caller_of(caller.id, 0, -1, 0);
	pid_t holder = start_holder(&caller), child = block(process_calls, &other);

	conform_kill(holder);
	conform_await(child);
	expect_values(caller.id, 0, 0, 0);
}

REQUIREMENT(undo_wakes_zero, "semop, DESCRIPTION, SEM_UNDO",
	    "who waits for 0 goes on when undoing makes it 0")
{
	struct caller caller = caller_of(make(SEM), 0, 1, SEM_UNDO);
	struct caller other = caller_of(caller.id, 0, 0, 0);
	pid_t holder = start_holder(&caller), child = block(process_calls, &other);

	conform_kill(holder);
	conform_await(child);
}

REQUIREMENT(undo_sum, "semop, DESCRIPTION, semadj", "what is undone is the sum of what was done")
{
	struct caller caller = {.id = make_values(9, 9, 0), .count = 4};
	pid_t child;

	caller.operations[0] = OPERATION(0, -2, SEM_UNDO);
	caller.operations[1] = OPERATION(0, -3, SEM_UNDO);
	caller.operations[2] = OPERATION(0, 1, SEM_UNDO);
	caller.operations[3] = OPERATION(0, -1, 0);
	child = start_holder(&caller);
	expect_values(caller.id, 4, 9, 0);
	conform_kill(child);
	expect_values(caller.id, 8, 9, 0);
}

REQUIREMENT(undo_given_back, "semop, DESCRIPTION, semadj",
	    "what was given back with SEM_UNDO is not undone again")
{
	struct caller caller = {.id = make_values(1, 0, 0), .count = 2};
	pid_t child;

	caller.operations[0] = OPERATION(0, -1, SEM_UNDO);
	caller.operations[1] = OPERATION(0, 1, SEM_UNDO);
	child = start_holder(&caller);
	conform_kill(child);
	expect_values(caller.id, 1, 0, 0);
}

REQUIREMENT(undo_failed, "semop, DESCRIPTION, SEM_UNDO",
	    "an array that failed has nothing to be undone")
{
	struct caller caller = {.id = make_values(5, 0, 0), .count = 2, .error = EAGAIN};
	pid_t child;

	caller.operations[0] = OPERATION(0, -2, SEM_UNDO);
	caller.operations[1] = OPERATION(1, -1, SEM_UNDO | IPC_NOWAIT);
	child = start_holder(&caller);
	conform_kill(child);
	expect_values(caller.id, 5, 0, 0);
}

REQUIREMENT(undo_blocked, "semop, DESCRIPTION, SEM_UNDO",
	    "what was done after it had been blocked is undone")
{
	struct caller caller = caller_of(make(SEM), 0, -2, SEM_UNDO);
	int *words = conform_share(2 * sizeof(*words));
	pid_t child;

	caller.done = &words[0];
	caller.end = &words[1];
	child = block(process_calls, &caller);
	EXPECT_IS(operate(caller.id, 0, 3, 0), 0);
	(void)conform_await_word(caller.done);
	expect_values(caller.id, 1, 0, 0);
	conform_kill(child);
	expect_values(caller.id, 3, 0, 0);
}

REQUIREMENT(undo_below_zero, "semop(2), BUGS",
	    "undoing that would take more than there is takes all there is, and does not wait")
{
	struct caller caller = caller_of(make(SEM), 0, 5, SEM_UNDO);
	pid_t child = start_holder(&caller);

	EXPECT_IS(operate(caller.id, 0, -3, 0), 0);
	conform_kill(child);
	expect_values(caller.id, 0, 0, 0);
}

REQUIREMENT(undo_beyond, "semop(2), BUGS; SEMVMX", "undoing does not exceed the largest value")
{
	struct caller caller = caller_of(make_values(5, 0, 0), 0, -5, SEM_UNDO);
	pid_t child = start_holder(&caller);

	EXPECT_IS(operate(caller.id, 0, VALUE_MAX, 0), 0);
	conform_kill(child);
	expect_values(caller.id, VALUE_MAX, 0, 0);
}

static void forks(void *context)
{
	struct caller *caller = context;
	pid_t child;

	EXPECT_IS(semop(caller->id, caller->operations, 1), 0);
	child = fork();
	if (child == 0)
		_exit(0);
	EXPECT_IS(conform_status(child), 0);
	expect_values(caller->id, 0, 0, 0);
}

REQUIREMENT(undo_fork, "fork, DESCRIPTION, semadj; fork(2)",
	    "a child does not inherit what is to be undone")
{
	struct caller caller = caller_of(make_values(1, 0, 0), 0, -1, SEM_UNDO);

	conform_act(forks, &caller);
	expect_values(caller.id, 1, 0, 0);
}

static void executes(void *context)
{
	const struct caller *caller = context;
	char id[16];

	EXPECT_IS(operate(caller->id, 0, -1, SEM_UNDO), 0);
	EXPECT_IS(operate(caller->id, 2, 1, SEM_UNDO), 0);
	snprintf(id, sizeof(id), "%d", caller->id);
	conform_execute("value", id, "0");
}

REQUIREMENT(undo_exec, "exec, DESCRIPTION, semadj; execve(2)",
	    "what is to be undone is kept over exec, and undone when that program ends")
{
	struct caller caller = {.id = make_values(1, 0, 0)};

	conform_act(executes, &caller);
	expect_values(caller.id, 1, 1, 0);
}

static void *takes_in_thread(void *context)
{
	EXPECT_IS(operate(*(int *)context, 0, -1, SEM_UNDO), 0);
	return NULL;
}

static void has_thread(void *context)
{
	pthread_t thread;

	REQUIRE(pthread_create(&thread, NULL, takes_in_thread, context) == 0);
	REQUIRE(pthread_join(thread, NULL) == 0);
	expect_values(*(int *)context, 0, 0, 0);
}

REQUIREMENT(undo_thread, "semop, DESCRIPTION, SEM_UNDO; pthread_create(3)",
	    "what a thread did is undone at the end of the process, and not of the thread")
{
	int id = make_values(1, 0, 0);

	conform_act(has_thread, &id);
	expect_values(id, 1, 0, 0);
}

REQUIREMENT(undo_setval, "semctl, DESCRIPTION, SETVAL",
	    "SETVAL clears what all processes had to undo of that semaphore, and of no other")
{
	struct caller caller = {.id = make_values(5, 5, 0), .count = 2};
	pid_t child;

	caller.operations[0] = OPERATION(0, -1, SEM_UNDO);
	caller.operations[1] = OPERATION(1, -1, SEM_UNDO);
	child = start_holder(&caller);
	set_value(caller.id, 0, 7);
	conform_kill(child);
	expect_values(caller.id, 7, 5, 0);
}

REQUIREMENT(undo_setall, "semctl, DESCRIPTION, SETALL",
	    "SETALL clears what all processes had to undo of the set")
{
	struct caller caller = {.id = make_values(5, 5, 0), .count = 2};
	pid_t child;

	caller.operations[0] = OPERATION(0, -1, SEM_UNDO);
	caller.operations[1] = OPERATION(1, -1, SEM_UNDO);
	child = start_holder(&caller);
	EXPECT_IS(set_all(caller.id, 7, 8, 9), 0);
	conform_kill(child);
	expect_values(caller.id, 7, 8, 9);
}

REQUIREMENT(undo_after_setval, "semctl, DESCRIPTION, SETVAL",
	    "what is done behind SETVAL is undone again")
{
	int id = make_values(5, 0, 0);
	struct caller caller = caller_of(id, 0, -1, SEM_UNDO);
	pid_t child;

	set_value(id, 0, 7);
	child = start_holder(&caller);
	expect_values(id, 6, 0, 0);
	conform_kill(child);
	expect_values(id, 7, 0, 0);
}

REQUIREMENT(undo_removed, "semctl, DESCRIPTION, IPC_RMID",
	    "who had something to undo of a set that was removed ends as others; a new set is left "
	    "alone")
{
	struct caller caller = caller_of(make_mode(SEM, 0600), 0, 1, SEM_UNDO);
	pid_t child = start_holder(&caller);
	int id;

	erase(SEM, caller.id);
	id = make_mode(SEM, 0600);
	set_value(id, 0, 3);
	end_holder(&caller, child);
	EXPECT_IS(value_of(id, 0), 3);
}

REQUIREMENT(undo_several, "semop, DESCRIPTION, SEM_UNDO",
	    "of several processes each has its own to be undone, and of several sets")
{
	struct caller first = caller_of(make_values(9, 9, 9), 0, -2, SEM_UNDO);
	struct caller second = caller_of(first.id, 0, -3, SEM_UNDO);
	struct caller third = caller_of(make_values(4, 4, 4), 2, -1, SEM_UNDO);
	pid_t children[] = {start_holder(&first), start_holder(&second), start_holder(&third)};

	expect_values(first.id, 4, 9, 9);
	conform_kill(children[0]);
	expect_values(first.id, 6, 9, 9);
	conform_kill(children[1]);
	expect_values(first.id, 9, 9, 9);
	expect_values(third.id, 4, 4, 3);
	conform_kill(children[2]);
	expect_values(third.id, 4, 4, 4);
}

static void exceeds(void *context)
{
	int id = *(int *)context;

	EXPECT_IS(operate(id, 0, VALUE_MAX, SEM_UNDO), 0);
	EXPECT_IS(operate(id, 0, -VALUE_MAX, 0), 0);
	/* Two's complement has one more below 0. */
	(void)operate(id, 0, 1, SEM_UNDO);
	(void)operate(id, 0, -1, IPC_NOWAIT);
	EXPECT_ERROR(operate(id, 0, 1, SEM_UNDO), ERANGE);
	expect_values(id, 0, 0, 0);
	EXPECT_IS(operate(id, 0, 1, 0), 0);
}

REQUIREMENT(undo_range, "semop, ERRORS, ERANGE; semop(2), SEMAEM",
	    "more to be undone than can be said is ERANGE, and nothing is done")
{
	int id = make(SEM);

	conform_act(exceeds, &id);
}

static void undoes_as_other(void *context)
{
	EXPECT_IS(operate(*(int *)context, 0, -1, SEM_UNDO), 0);
}

REQUIREMENT(undo_denied, "semop, DESCRIPTION, SEM_UNDO",
	    "it is undone also when the mode has been taken away in the meantime")
{
	int id = make_values(1, 0, 0);
	struct caller caller = caller_of(id, 0, -1, SEM_UNDO);
	int *words = conform_share(2 * sizeof(*words));
	pid_t child;

	EXPECT_IS(set_perm(SEM, id, 0666, geteuid(), getegid()), 0);
	conform_act_as(NOBODY, undoes_as_other, &id);
	expect_values(id, 1, 0, 0);
	caller.done = &words[0];
	caller.end = &words[1];
	child = conform_start_as(NOBODY, process_calls, &caller);
	(void)conform_await_word(caller.done);
	EXPECT_IS(set_perm(SEM, id, 0600, geteuid(), getegid()), 0);
	expect_values(id, 0, 0, 0);
	conform_kill(child);
	expect_values(id, 1, 0, 0);
}

REQUIREMENT(undo_process, "semctl, DESCRIPTION, GETPID; semctl(2), sem_otime",
	    "undoing is the ended process's last operation")
{
	struct caller caller = caller_of(make_values(1, 0, 0), 0, -1, SEM_UNDO);
	pid_t child = start_holder(&caller);
	time_t before;

	EXPECT_IS(operate(caller.id, 0, 1, 0), 0);
	EXPECT_IS(semctl(caller.id, 0, GETPID), getpid());
	await_after(set_of(caller.id).sem_otime);
	before = time(NULL);
	conform_kill(child);
	EXPECT_IS(semctl(caller.id, 0, GETPID), child);
	EXPECT_SINCE(set_of(caller.id).sem_otime, before);
}
