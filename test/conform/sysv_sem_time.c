/* SPDX-License-Identifier: Apache-2.0 */

/* semtimedop; signals and cancellation. */

#include <pthread.h>
#include <sys/wait.h>

#include "sysv_sem.h"

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * SECOND_NS + now.tv_nsec;
}

static int operate_for(int id, int number, int operation, int flags, const struct timespec *wait)
{
	struct sembuf one = OPERATION(number, operation, flags);

	return semtimedop(id, &one, 1, wait);
}

REQUIREMENT(timed_out, "semop(2), semtimedop; ERRORS, EAGAIN",
	    "when the time has passed it is EAGAIN, and not before, and nothing is done")
{
	struct timespec wait = {.tv_nsec = 50000000};
	int id = make_values(1, 1, 0);
	struct sembuf two[] = {OPERATION(1, -1, 0), OPERATION(2, -1, 0)};
	int64_t before = now_ns();

	EXPECT_ERROR(operate_for(id, 0, -2, 0, &wait), EAGAIN);
	EXPECT(now_ns() - before >= wait.tv_nsec);
	before = now_ns();
	EXPECT_ERROR(operate_for(id, 0, 0, 0, &wait), EAGAIN);
	EXPECT(now_ns() - before >= wait.tv_nsec);
	EXPECT_ERROR(semtimedop(id, two, 2, &wait), EAGAIN);
	expect_values(id, 1, 1, 0);
	EXPECT_IS(semctl(id, 0, GETNCNT), 0);
	EXPECT_IS(semctl(id, 0, GETZCNT), 0);
}

REQUIREMENT(timed_zero, "semop(2), semtimedop",
	    "with no time it does not wait, and does what it can")
{
	struct timespec none = {0};
	int id = make_values(1, 0, 0);

	EXPECT_ERROR(operate_for(id, 0, -2, 0, &none), EAGAIN);
	EXPECT_IS(operate_for(id, 0, -1, 0, &none), 0);
	EXPECT_IS(operate_for(id, 0, 0, 0, &none), 0);
}

REQUIREMENT(timed_invalid, "semop(2), ERRORS, EINVAL",
	    "a time that is none is EINVAL, also when it need not wait")
{
	static const struct timespec waits[] = {{.tv_sec = -1},
						{.tv_nsec = -1},
						{.tv_nsec = 1000000000},
						{.tv_sec = 1, .tv_nsec = 2000000000}};
	int id = make_values(1, 0, 0);

	for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
		EXPECT_ERROR(operate_for(id, 0, 1, 0, &waits[i]), EINVAL);
		EXPECT_ERROR(operate_for(id, 0, -5, 0, &waits[i]), EINVAL);
	}
	expect_values(id, 1, 0, 0);
}

REQUIREMENT(timed_nowait, "semop(2), semtimedop", "IPC_NOWAIT does not wait, whatever the time is")
{
	struct timespec far = {.tv_sec = 1000};

	EXPECT_ERROR(operate_for(make(SEM), 0, -1, IPC_NOWAIT, &far), EAGAIN);
}

REQUIREMENT(timed_served, "semop(2), semtimedop", "who is served in time goes on")
{
	struct timespec far = {.tv_sec = 1000},
			farthest = {.tv_sec = INT64_MAX, .tv_nsec = 999999999};
	struct caller caller = caller_of(make(SEM), 0, -1, 0);
	pid_t child;

	caller.timeout = &far;
	child = block(process_calls, &caller);
	EXPECT_IS(operate(caller.id, 0, 1, 0), 0);
	conform_await(child);
	caller.timeout = &farthest;
	child = block(process_calls, &caller);
	EXPECT_IS(operate(caller.id, 0, 1, 0), 0);
	conform_await(child);
}

static void waits_for_ever(void *context)
{
	EXPECT_IS(operate_for(*(int *)context, 0, -1, 0, NULL), 0);
}

REQUIREMENT(timed_null, "semop(2), semtimedop", "without a time it is as semop")
{
	int id = make(SEM);
	pid_t child = block(waits_for_ever, &id);

	EXPECT_IS(operate(id, 0, 1, 0), 0);
	conform_await(child);
}

static void is_interrupted_in_time(void *context)
{
	struct timespec far = {.tv_sec = 1000};

	handle(SIGUSR1, SA_RESTART);
	EXPECT_ERROR(operate_for(*(int *)context, 0, -1, 0, &far), EINTR);
	EXPECT_IS(far.tv_sec, 1000);
	EXPECT_IS(far.tv_nsec, 0);
}

REQUIREMENT(timed_interrupted, "semop(2), semtimedop",
	    "what is interrupted leaves the time as it was given")
{
	int id = make(SEM);
	pid_t child = block(is_interrupted_in_time, &id);

	kill(child, SIGUSR1);
	conform_await(child);
}

static void handles(void *context)
{
	handle(SIGUSR1, 0);
	process_calls(context);
	EXPECT_IS(handled, 1);
}

static void handles_restarting(void *context)
{
	handle(SIGUSR1, SA_RESTART);
	process_calls(context);
	EXPECT_IS(handled, 1);
}

static void ignores(void *context)
{
	signal(SIGUSR1, SIG_IGN);
	process_calls(context);
}

static void expect_interrupted(void (*run)(void *))
{
	int id = make_values(0, 1, 1);
	struct caller callers[] = {
		caller_of(id, 0, -1, 0), caller_of(id, 1, 0, 0), {.id = id, .count = 2}};

	callers[2].operations[0] = OPERATION(2, -1, SEM_UNDO);
	callers[2].operations[1] = OPERATION(0, -1, SEM_UNDO);
	for (int i = 0; i < 3; i++) {
		pid_t child;

		callers[i].error = EINTR;
		child = block(run, &callers[i]);
		kill(child, SIGUSR1);
		conform_await(child);
	}
	expect_values(id, 0, 1, 1);
	EXPECT_IS(semctl(id, 0, GETNCNT), 0);
	EXPECT_IS(semctl(id, 1, GETZCNT), 0);
}

REQUIREMENT(interrupted, "semop, ERRORS, EINTR",
	    "a handler ends it with EINTR, and nothing is done")
{
	expect_interrupted(handles);
}

REQUIREMENT(interrupted_restart, "semop(2), ERRORS, EINTR; signal(7)",
	    "it is EINTR also behind a handler with SA_RESTART")
{
	expect_interrupted(handles_restarting);
}

REQUIREMENT(ignored, "signal(7)", "a signal that is ignored does not end it")
{
	struct caller caller = caller_of(make(SEM), 0, -1, 0);
	pid_t child = block(ignores, &caller);

	kill(child, SIGUSR1);
	conform_await_blocked(child, 0);
	EXPECT_IS(operate(caller.id, 0, 1, 0), 0);
	conform_await(child);
}

REQUIREMENT(stopped, "signal(7), Interruption of system calls by stop signals",
	    "who is stopped and continued has EINTR")
{
	struct caller caller = caller_of(make(SEM), 0, -1, 0);
	pid_t child;
	int status;

	caller.error = EINTR;
	child = block(process_calls, &caller);
	kill(child, SIGSTOP);
	EXPECT(waitpid(child, &status, WUNTRACED) == child && WIFSTOPPED(status));
	kill(child, SIGCONT);
	if (conform_await_blocked_or_ended(child)) {
		EXPECT(false);
		conform_kill(child);
	} else {
		conform_await(child);
	}
}

struct target {
	int id, operation, tid, ended;
	bool before;
};

static void *goes_on(void *context)
{
	struct target *target = context;
	struct timespec far = {.tv_sec = 1000};

	if (target->before)
		pthread_cancel(pthread_self());
	conform_set_word(&target->tid, gettid());
	EXPECT_IS(operate(target->id, 0, target->operation, 0), 0);
	EXPECT_IS(operate_for(target->id, 1, 1, 0, &far), 0);
	EXPECT_IS(value_of(target->id, 1), 1);
	target->ended = 1;
	pthread_testcancel();
	return NULL;
}

REQUIREMENT(
	no_cancellation_point, "XSH 2.9.5.2 Cancellation Points; pthreads(7)",
	"semop, semtimedop and semctl are no cancellation points, neither before nor while blocked")
{
	struct target before = {.id = make(SEM), .operation = 1, .before = true};
	struct target blocked = {.id = make(SEM), .operation = -1};
	pthread_t thread;
	void *value;

	REQUIRE(pthread_create(&thread, NULL, goes_on, &before) == 0);
	REQUIRE(pthread_join(thread, &value) == 0);
	EXPECT(value == PTHREAD_CANCELED);
	EXPECT_IS(before.ended, 1);
	REQUIRE(pthread_create(&thread, NULL, goes_on, &blocked) == 0);
	conform_await_blocked(getpid(), conform_await_word(&blocked.tid));
	pthread_cancel(thread);
	conform_await_blocked(getpid(), blocked.tid);
	EXPECT_IS(operate(blocked.id, 0, 1, 0), 0);
	REQUIRE(pthread_join(thread, &value) == 0);
	EXPECT_IS(blocked.ended, 1);
}
