/* SPDX-License-Identifier: Apache-2.0 */

/* mq_timedsend and mq_timedreceive: deadlines. */

#include "mq.h"

#define TIMED(function, heading, text)                                          \
	static void function(enum call call);                                   \
	REQUIREMENT(timedsend_##function, "mq_timedsend, " heading, text)       \
	{                                                                       \
		function(TIMEDSEND);                                            \
	}                                                                       \
	REQUIREMENT(timedreceive_##function, "mq_timedreceive, " heading, text) \
	{                                                                       \
		function(TIMEDRECEIVE);                                         \
	}                                                                       \
	static void function(enum call call)

/* A queue on which the call need not wait. */
static mqd_t make_ready(enum call call)
{
	mqd_t queue = make_queue(O_RDWR);

	if (!is_send(call))
		put(queue, "ready", 1);
	return queue;
}

static void expect_done(enum call call, mqd_t queue, const struct timespec *deadline)
{
	EXPECT_IS(call_until(call, queue, deadline), is_send(call) ? 0 : 5);
	EXPECT_MESSAGES(queue, is_send(call) ? 1 : 0);
}

TIMED(passed, "ERRORS, ETIMEDOUT",
      "a deadline that has passed ends a call that would have to wait, at once")
{
	mqd_t queue = make_blocking(call);
	struct timespec before = after_ms(-1), long_ago = {.tv_sec = 1}, zero = {0};

	EXPECT_ERROR(call_until(call, queue, &before), ETIMEDOUT);
	EXPECT_ERROR(call_until(call, queue, &long_ago), ETIMEDOUT);
	EXPECT_ERROR(call_until(call, queue, &zero), ETIMEDOUT);
	EXPECT_MESSAGES(queue, UNTOUCHED(call));
}

TIMED(passed_ready, "DESCRIPTION, abstime",
      "under no circumstance does a call time out that can be done without waiting")
{
	struct timespec long_ago = {.tv_sec = 1};

	expect_done(call, make_ready(call), &long_ago);
}

TIMED(not_early, "DESCRIPTION, abstime, CLOCK_REALTIME",
      "the call ends at its deadline, by CLOCK_REALTIME, never earlier")
{
	mqd_t queue = make_blocking(call);

	for (int ms = 1; ms <= 64; ms *= 4) {
		struct timespec deadline = after_ms(ms);

		EXPECT_ERROR(call_until(call, queue, &deadline), ETIMEDOUT);
		EXPECT(since(&deadline) >= 0);
	}
	EXPECT_MESSAGES(queue, UNTOUCHED(call));
}

TIMED(no_nanoseconds, "ERRORS, EINVAL",
      "less than 0 or more than 999,999,999 nanoseconds are EINVAL if the call would wait")
{
	mqd_t queue = make_blocking(call);
	struct timespec negative = after_ms(1000), large = negative;

	negative.tv_nsec = -1;
	large.tv_nsec = SECOND_NS;
	EXPECT_ERROR(call_until(call, queue, &negative), EINVAL);
	EXPECT_ERROR(call_until(call, queue, &large), EINVAL);
	EXPECT_MESSAGES(queue, UNTOUCHED(call));
}

TIMED(no_nanoseconds_ready, "on Linux",
      "the deadline is looked at whether or not the call would wait")
{
	mqd_t queue = make_ready(call);
	struct timespec negative = after_ms(1000), large = negative;

	negative.tv_nsec = -1;
	large.tv_nsec = SECOND_NS;
	EXPECT_ERROR(call_until(call, queue, &negative), EINVAL);
	EXPECT_ERROR(call_until(call, queue, &large), EINVAL);
	EXPECT_MESSAGES(queue, is_send(call) ? 0 : 1);
}

TIMED(last_nanosecond, "ERRORS, EINVAL", "0 and 999,999,999 nanoseconds are a deadline")
{
	mqd_t queue = make_blocking(call);
	struct timespec first = {.tv_sec = 1}, last = {.tv_sec = 1, .tv_nsec = SECOND_NS - 1};

	EXPECT_ERROR(call_until(call, queue, &first), ETIMEDOUT);
	EXPECT_ERROR(call_until(call, queue, &last), ETIMEDOUT);
}

TIMED(negative_seconds, "on Linux", "negative seconds are EINVAL")
{
	mqd_t queue = make_blocking(call);
	struct timespec negative = {.tv_sec = -1};

	EXPECT_ERROR(call_until(call, queue, &negative), EINVAL);
	EXPECT_IS(mq_unlink(NAME), 0);
	queue = make_ready(call);
	EXPECT_ERROR(call_until(call, queue, &negative), EINVAL);
}

TIMED(null_deadline_ready, "on Linux", "without a deadline what need not wait is done")
{
	expect_done(call, make_ready(call), NULL);
}

static void waits_without_deadline(void *context)
{
	const struct process *process = context;

	EXPECT_IS(call_until(process->call, process->queue, NULL), process->result);
}

TIMED(null_deadline_waits, "on Linux",
      "a deadline of NULL is none: another process lets the call go on")
{
	struct process process = {call, make_blocking(call), NULL, is_send(call) ? 0 : 2};
	pid_t child = conform_start(waits_without_deadline, &process);

	conform_await_blocked(child, 0);
	let_go(call, process.queue);
	conform_await(child);
}

TIMED(far_deadline, "DESCRIPTION, abstime", "a deadline may be as far as a time can be")
{
	struct timespec never = {.tv_sec = INT64_MAX, .tv_nsec = SECOND_NS - 1};
	struct caller caller = {.call = call, .queue = make_blocking(call), .deadline = &never};

	caller_block(&caller);
	let_go(call, caller.queue);
	caller_join(&caller);
	EXPECT_IS(caller.result, is_send(call) ? 0 : 2);
}

TIMED(in_time, "DESCRIPTION, abstime", "what comes before the deadline ends the waiting")
{
	struct timespec deadline = after_ms(1000 * (WATCHDOG_S + 5));
	struct caller caller = {.call = call, .queue = make_blocking(call), .deadline = &deadline};

	caller_block(&caller);
	let_go(call, caller.queue);
	caller_join(&caller);
	EXPECT_IS(caller.result, is_send(call) ? 0 : 2);
	EXPECT(since(&deadline) < 0);
}

TIMED(timed_out_leaves, "ERRORS, ETIMEDOUT", "who has timed out takes and leaves nothing later")
{
	mqd_t queue = make_blocking(call);
	struct timespec deadline = after_ms(5);

	EXPECT_ERROR(call_until(call, queue, &deadline), ETIMEDOUT);
	let_go(call, queue);
	EXPECT_MESSAGES(queue, is_send(call) ? MESSAGES - 1 : 1);
}

TIMED(timed_out_between, "ERRORS, ETIMEDOUT",
      "who times out does not hinder those who wait with him")
{
	struct timespec soon = after_ms(50);
	struct caller brief = {.call = call, .queue = make_blocking(call), .deadline = &soon};
	struct caller patient = {.call = call, .queue = brief.queue};

	caller_start(&brief);
	caller_block(&patient);
	caller_join(&brief);
	EXPECT_IS(brief.result, -1);
	EXPECT_IS(brief.error, ETIMEDOUT);
	let_go(call, brief.queue);
	caller_join(&patient);
	EXPECT_IS(patient.result, is_send(call) ? 0 : 2);
}
