/* SPDX-License-Identifier: Apache-2.0 */

/* The four calls are cancellation points. */

#include "mq.h"

struct target {
	enum call call;
	mqd_t queue;
	int tid, go;
	int cleaned, ended;
	ssize_t result;
	bool disabled;
};

static void cleanup(void *context)
{
	struct target *target = context;

	target->cleaned++;
}

static void *calls(void *context)
{
	struct target *target = context;

	if (target->disabled)
		pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
	pthread_cleanup_push(cleanup, target);
	conform_set_word(&target->tid, gettid());
	target->result = make_call(target->call, target->queue);
	target->ended = 1;
	pthread_cleanup_pop(0);
	return NULL;
}

static void *waits_and_calls(void *context)
{
	struct target *target = context;

	(void)conform_await_word(&target->go);
	return calls(context);
}

/* A thread that is about to be cancelled. */
static pthread_t start(void *(*run)(void *context), struct target *target)
{
	pthread_t thread;

	if (CONFORM_UNDER_ASAN)
		conform_skip(
			"the address sanitizer takes the stack of a cancelled thread for damaged");
	REQUIRE(pthread_create(&thread, NULL, run, target) == 0);
	return thread;
}

static void expect_canceled(pthread_t thread, const struct target *target)
{
	void *value = NULL;

	REQUIRE(pthread_join(thread, &value) == 0);
	EXPECT(value == PTHREAD_CANCELED);
	EXPECT_IS(target->cleaned, 1);
	EXPECT_IS(target->ended, 0);
}

/* The queue does as a new one. */
static void expect_usable(enum call call, mqd_t queue)
{
	struct caller caller = {.call = call, .queue = queue};

	EXPECT_MESSAGES(queue, UNTOUCHED(call));
	caller_block(&caller);
	let_go(call, queue);
	caller_join(&caller);
	EXPECT_IS(caller.result, is_send(call) ? 0 : 2);
	EXPECT_MESSAGES(queue, is_send(call) ? MESSAGES : 0);
	drain(queue);
	put(queue, "usable", 1);
	take(queue, "usable", 1);
}

REQUIREMENT_OF_CALLS(
	cancelled, "XSH 2.9.5.2, Cancellation Points",
	"a thread that is cancelled while it is blocked runs its cleanup handlers and has neither "
	"sent nor received")
{
	struct target target = {.call = call, .queue = make_blocking(call)};
	pthread_t thread;

	thread = start(calls, &target);
	conform_await_blocked(getpid(), conform_await_word(&target.tid));
	EXPECT_IS(pthread_cancel(thread), 0);
	expect_canceled(thread, &target);
	expect_usable(call, target.queue);
}

REQUIREMENT_OF_CALLS(cancelled_before, "XSH 2.9.5.2, Cancellation Points",
		     "a cancellation that is pending when the call begins is acted upon there")
{
	struct target target = {.call = call, .queue = make_blocking(call)};
	pthread_t thread;

	thread = start(waits_and_calls, &target);
	EXPECT_IS(pthread_cancel(thread), 0);
	conform_set_word(&target.go, 1);
	expect_canceled(thread, &target);
	expect_usable(call, target.queue);
}

REQUIREMENT_OF_CALLS(cancelled_before_ready, "XSH 2.9.5.2, Cancellation Points",
		     "a pending cancellation is acted upon also where the call would not wait, and "
		     "nothing is done")
{
	struct target target = {.call = call, .queue = make_queue(O_RDWR)};
	pthread_t thread;

	if (!is_send(call))
		put(target.queue, "kept", 1);
	thread = start(waits_and_calls, &target);
	EXPECT_IS(pthread_cancel(thread), 0);
	conform_set_word(&target.go, 1);
	expect_canceled(thread, &target);
	EXPECT_MESSAGES(target.queue, is_send(call) ? 0 : 1);
	if (!is_send(call))
		take(target.queue, "kept", 1);
}

REQUIREMENT_OF_CALLS(cancel_disabled, "XSH 2.9.5.1, Cancelability State",
		     "a thread that has disabled cancellation waits on, and gets what it waits for")
{
	struct target target = {.call = call, .queue = make_blocking(call), .disabled = true};
	pthread_t thread;
	void *value = &target;

	thread = start(calls, &target);
	conform_await_blocked(getpid(), conform_await_word(&target.tid));
	EXPECT_IS(pthread_cancel(thread), 0);
	conform_await_blocked(getpid(), target.tid);
	let_go(call, target.queue);
	REQUIRE(pthread_join(thread, &value) == 0);
	EXPECT(value == NULL);
	EXPECT_IS(target.result, is_send(call) ? 0 : 2);
	EXPECT_IS(target.cleaned, 0);
}

REQUIREMENT_OF_CALLS(cancelled_others_wait, "XSH 2.9.5.2, Cancellation Points",
		     "what comes after the cancellation goes to another who waits")
{
	struct target target = {.call = call, .queue = make_blocking(call)};
	struct caller other = {.call = call, .queue = target.queue};
	pthread_t thread;

	thread = start(calls, &target);
	conform_await_blocked(getpid(), conform_await_word(&target.tid));
	caller_block(&other);
	EXPECT_IS(pthread_cancel(thread), 0);
	expect_canceled(thread, &target);
	let_go(call, target.queue);
	caller_join(&other);
	EXPECT_IS(other.result, is_send(call) ? 0 : 2);
}

#define CONTESTS 200

REQUIREMENT_OF_CALLS(cancelled_or_done, "XSH 2.9.5.2, Cancellation Points",
		     "when the cancellation and what is waited for come together, the call is done "
		     "or is not, and "
		     "no message is lost or doubled")
{
	mqd_t queue = make_blocking(call);

	for (int i = 0; i < CONTESTS; i++) {
		struct target target = {.call = call, .queue = queue};
		pthread_t thread;
		void *value = NULL;

		thread = start(calls, &target);
		if (i % 2)
			conform_await_blocked(getpid(), conform_await_word(&target.tid));
		let_go(call, queue);
		EXPECT_IS(pthread_cancel(thread), 0);
		REQUIRE(pthread_join(thread, &value) == 0);
		if (value == PTHREAD_CANCELED) {
			EXPECT_MESSAGES(queue, is_send(call) ? MESSAGES - 1 : 1);
			drain(queue);
			if (is_send(call))
				fill(queue);
		} else {
			EXPECT_IS(target.ended, 1);
			EXPECT_MESSAGES(queue, UNTOUCHED(call));
		}
	}
}

static void *opens(void *context)
{
	struct target *target = context;

	(void)conform_await_word(&target->go);
	target->queue = mq_open(NAME, O_RDWR);
	EXPECT_IS(mq_close(target->queue), 0);
	target->ended = 1;
	return NULL;
}

REQUIREMENT(open_no_point, "XSH 2.9.5.2, Cancellation Points",
	    "mq_open and mq_close are none on Linux")
{
	struct target target = {0};
	pthread_t thread;
	void *value = NULL;

	make_queue(O_RDWR);
	thread = start(opens, &target);
	EXPECT_IS(pthread_cancel(thread), 0);
	conform_set_word(&target.go, 1);
	REQUIRE(pthread_join(thread, &value) == 0);
	EXPECT_IS(target.ended, 1);
}
