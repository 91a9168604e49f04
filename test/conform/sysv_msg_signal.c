/* SPDX-License-Identifier: Apache-2.0 */

/* Signals and cancellation while msgsnd and msgrcv are blocked; threads and processes. */

#include <pthread.h>
#include <sys/wait.h>

#include "sysv_msg.h"

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

static void masks(void *context)
{
	sigset_t set;

	handle(SIGUSR1, 0);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	process_calls(context);
	EXPECT_IS(handled, 0);
}

REQUIREMENT_OF_BOTH(interrupted, "ERRORS, EINTR",
		    "a handler ends it with EINTR, and nothing is done")
{
	struct caller caller = make_blocking(sends);
	unsigned long messages = queue_of(caller.id).msg_qnum;
	pid_t child;

	caller.error = EINTR;
	child = block(handles, &caller);
	kill(child, SIGUSR1);
	conform_await(child);
	EXPECT_MESSAGES(caller.id, messages);
}

REQUIREMENT_OF_BOTH(interrupted_restart, "ERRORS, EINTR; signal(7)",
		    "it is EINTR also behind a handler with SA_RESTART")
{
	struct caller caller = make_blocking(sends);
	pid_t child;

	caller.error = EINTR;
	child = block(handles_restarting, &caller);
	kill(child, SIGUSR1);
	conform_await(child);
}

/* It goes on behind that. */
static void goes_on(bool sends, void (*run)(void *caller), int first, int second)
{
	struct caller caller = make_blocking(sends);
	pid_t child = block(run, &caller);
	int status;

	kill(child, first);
	if (first == SIGSTOP)
		EXPECT(waitpid(child, &status, WUNTRACED) == child && WIFSTOPPED(status));
	if (second)
		kill(child, second);
	conform_await_blocked(child, 0);
	let_go(&caller);
	conform_await(child);
}

REQUIREMENT_OF_BOTH(ignored, "signal(7)", "a signal that is ignored does not end it")
{
	goes_on(sends, ignores, SIGUSR1, 0);
}

REQUIREMENT_OF_BOTH(masked, "signal(7)", "a signal that is blocked does not end it")
{
	goes_on(sends, masks, SIGUSR1, 0);
}

REQUIREMENT_OF_BOTH(stopped, "signal(7), Interruption by stop signals",
		    "who is stopped and continued goes on")
{
	goes_on(sends, process_calls, SIGSTOP, SIGCONT);
}

/* Cancellation. */

struct target {
	const struct caller *caller;
	int tid, cleaned, ended;
	bool before, disabled;
};

static void cleanup(void *context)
{
	((struct target *)context)->cleaned = 1;
}

static void *is_cancelled(void *context)
{
	struct target *target = context;
	struct message message;
	const struct caller *caller = target->caller;

	if (target->disabled)
		pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
	pthread_cleanup_push(cleanup, target);
	if (target->before)
		pthread_cancel(pthread_self());
	conform_set_word(&target->tid, gettid());
	if (caller->sends)
		(void)send_text(caller->id, caller->type, caller->text, 0);
	else
		(void)receive(caller->id, caller->type, &message, MESSAGE_MAX, 0);
	target->ended = 1;
	pthread_cleanup_pop(0);
	return NULL;
}

static pthread_t start(struct target *target)
{
	pthread_t thread;

	if (CONFORM_UNDER_ASAN)
		conform_skip(
			"the address sanitizer takes the stack of a cancelled thread for damaged");
	REQUIRE(pthread_create(&thread, NULL, is_cancelled, target) == 0);
	return thread;
}

static void expect_cancelled(pthread_t thread, const struct target *target)
{
	void *value;

	REQUIRE(pthread_join(thread, &value) == 0);
	EXPECT(value == PTHREAD_CANCELED);
	EXPECT_IS(target->cleaned, 1);
	EXPECT_IS(target->ended, 0);
}

REQUIREMENT_OF_BOTH(cancelled, "XSH 2.9.5.2 Cancellation Points; pthreads(7)",
		    "who is blocked can be cancelled, and nothing is done")
{
	struct caller caller = make_blocking(sends);
	struct target target = {.caller = &caller};
	unsigned long messages = queue_of(caller.id).msg_qnum;
	pthread_t thread = start(&target);
	pid_t child;

	conform_await_blocked(getpid(), conform_await_word(&target.tid));
	pthread_cancel(thread);
	expect_cancelled(thread, &target);
	EXPECT_MESSAGES(caller.id, messages);
	child = block(process_calls, &caller);
	let_go(&caller);
	conform_await(child);
}

REQUIREMENT_OF_BOTH(cancelled_before, "XSH 2.9.5.2 Cancellation Points",
		    "a pending cancellation is acted upon even if it would not block")
{
	struct caller caller = {.id = make(MSG), .sends = sends, .type = 1, .text = "x"};
	struct target target = {.caller = &caller, .before = true};

	put(caller.id, 1, "first");
	expect_cancelled(start(&target), &target);
	EXPECT_MESSAGES(caller.id, 1);
}

REQUIREMENT_OF_BOTH(cancel_disabled, "XSH 2.9.5.1 Cancelability States",
		    "who has cancellation disabled goes on")
{
	struct caller caller = make_blocking(sends);
	struct target target = {.caller = &caller, .disabled = true};
	pthread_t thread = start(&target);

	conform_await_blocked(getpid(), conform_await_word(&target.tid));
	pthread_cancel(thread);
	let_go(&caller);
	REQUIRE(pthread_join(thread, NULL) == 0);
	EXPECT_IS(target.ended, 1);
	EXPECT_IS(target.cleaned, 0);
}

/* Several processes and threads. */

#define STORM 2000

struct storm {
	int id, tid;
};

static void sends_many(void *context)
{
	struct message message = {.type = 1};

	for (int i = 0; i < STORM; i++) {
		memcpy(message.text, &i, sizeof(i));
		message.type = 1 + i % 3;
		EXPECT_IS(msgsnd(*(int *)context, &message, sizeof(i) + (size_t)i % 100, 0), 0);
	}
}

/* Each type comes in the order of each sender, so that the sum is what there was. */
static void receives_many(void *context)
{
	struct message message;
	int64_t sum = 0;

	for (int i = 0; i < STORM; i++) {
		int number;

		EXPECT(receive(*(int *)context, 0, &message, MESSAGE_MAX, 0) >= 4);
		memcpy(&number, message.text, sizeof(number));
		EXPECT_IS(message.type, 1 + number % 3);
		sum += number;
	}
	conform_set_word((int *)context + 1, 1);
	__atomic_add_fetch((int64_t *)context + 1, sum, __ATOMIC_RELAXED);
}

REQUIREMENT(storm_processes, "msgsnd, msgrcv, DESCRIPTION",
	    "of many senders and receivers at once each message is received once")
{
	int64_t *shared = conform_share(2 * sizeof(*shared));
	pid_t children[4];

	*(int *)shared = make(MSG);
	for (int i = 0; i < 2; i++) {
		children[i] = conform_start(sends_many, shared);
		children[2 + i] = conform_start(receives_many, shared);
	}
	for (int i = 0; i < 4; i++)
		conform_await(children[i]);
	EXPECT_IS(shared[1], (int64_t)STORM * (STORM - 1));
	EXPECT_MESSAGES(*(int *)shared, 0);
}

static void *sends_in_thread(void *context)
{
	sends_many(context);
	return NULL;
}

REQUIREMENT(storm_threads, "msgsnd, DESCRIPTION; pthreads(7)",
	    "threads of one process may use one queue at once")
{
	int64_t *shared = conform_share(2 * sizeof(*shared));
	pthread_t threads[2];

	*(int *)shared = make(MSG);
	for (int i = 0; i < 2; i++)
		REQUIRE(pthread_create(&threads[i], NULL, sends_in_thread, shared) == 0);
	receives_many(shared);
	receives_many(shared);
	for (int i = 0; i < 2; i++)
		REQUIRE(pthread_join(threads[i], NULL) == 0);
	EXPECT_IS(shared[1], (int64_t)STORM * (STORM - 1));
	EXPECT_MESSAGES(*(int *)shared, 0);
}

REQUIREMENT(order_in_type, "msgrcv, DESCRIPTION",
	    "what one sender sends of one type another process receives in that order")
{
	int id = make(MSG), last[4] = {0};
	pid_t child = conform_start(sends_many, &id);
	struct message message;

	for (int i = 0; i < STORM; i++) {
		int number;

		EXPECT(receive(id, 1 + i % 3, &message, MESSAGE_MAX, 0) >= 4);
		memcpy(&number, message.text, sizeof(number));
		EXPECT(number >= last[message.type]);
		last[message.type] = number;
		EXPECT_IS(number, i);
	}
	conform_await(child);
}

static void executes(void *context)
{
	char id[16];

	snprintf(id, sizeof(id), "%d", *(int *)context);
	conform_execute("receive", id, "4");
}

REQUIREMENT(executed, "exec, DESCRIPTION; svipc(7)",
	    "a program that is executed uses the queue by its identifier")
{
	int id = make(MSG);

	put(id, 1, "text");
	conform_act(executes, &id);
	EXPECT_MESSAGES(id, 0);
}

REQUIREMENT(direct, "syscall(2); msgop(2)",
	    "the system calls send to and receive of the same queues")
{
	struct message message = {.type = 1, .text = "text"};
	int id = make(MSG);

	need_direct();
	EXPECT_IS(syscall(SYS_msgsnd, id, &message, 4, 0), 0);
	take(id, 0, 1, "text");
	put(id, 2, "more");
	EXPECT_IS(syscall(SYS_msgrcv, id, &message, 8, 2, 0), 4);
	EXPECT_IS(memcmp(message.text, "more", 4), 0);
	EXPECT_ERROR(syscall(SYS_msgrcv, id, &message, 8, 0, IPC_NOWAIT), ENOMSG);
	EXPECT_ERROR(syscall(SYS_msgsnd, -1, &message, 8, 0), EINVAL);
}
