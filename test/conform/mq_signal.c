/* SPDX-License-Identifier: Apache-2.0 */

/* What signals do to a blocked call. */

#include <sys/time.h>
#include <sys/wait.h>

#include "mq.h"

/* A process that is blocked, with handlers for both signals. */
struct victim {
	struct process process;
	int flags;
	int error; /* that is expected; 0: the process's result */
	int handled;
};

static void victim(void *context)
{
	const struct victim *victim = context;
	const struct process *process = &victim->process;
	struct timespec far = after_ms(1000 * WATCHDOG_S * 2);
	ssize_t result;

	handle(SIGUSR1, victim->flags);
	errno = 0;
	result = call_until(process->call, process->queue,
			    process->deadline ? process->deadline : &far);
	if (victim->error) {
		EXPECT_IS(result, -1);
		EXPECT_IS(errno, victim->error);
	} else {
		EXPECT_IS(result, process->result);
	}
	EXPECT_IS(handled, victim->handled);
}

REQUIREMENT_OF_CALLS(interrupted, "ERRORS, EINTR; signal(7)",
		     "a handler without SA_RESTART ends the call, which has done nothing")
{
	struct victim one = {
		.process = {call, make_blocking(call), NULL, 0}, .error = EINTR, .handled = 1};
	pid_t child = conform_start(victim, &one);

	conform_await_blocked(child, 0);
	kill(child, SIGUSR1);
	conform_await(child);
	EXPECT_MESSAGES(one.process.queue, UNTOUCHED(call));
	let_go(call, one.process.queue);
	EXPECT_MESSAGES(one.process.queue, is_send(call) ? MESSAGES - 1 : 1);
}

/* Sends it the signal, and waits until it is blocked again. */
static void signal_and_await(pid_t child, int number)
{
	int status;

	kill(child, number);
	if (number == SIGSTOP) {
		EXPECT_IS(waitpid(child, &status, WUNTRACED), child);
		kill(child, SIGCONT);
	} else {
		/* A signal that is pending still, or whose handler runs, would be mistaken for a blocked call. */
		char path[40], line[200];
		unsigned long long pending = 1;

		snprintf(path, sizeof(path), "/proc/%d/status", child);
		while (pending) {
			FILE *file = fopen(path, "re");

			REQUIRE(file);
			while (fgets(line, sizeof(line), file)) {
				if (sscanf(line, "ShdPnd: %llx", &pending) == 1)
					break;
			}
			fclose(file);
		}
	}
	conform_await_blocked(child, 0);
}

REQUIREMENT_OF_CALLS(
	restarted, "signal(7), SA_RESTART",
	"a handler with SA_RESTART leaves the call waiting, and it gets what it waits for")
{
	struct victim one = {.process = {call, make_blocking(call), NULL, is_send(call) ? 0 : 2},
			     .flags = SA_RESTART,
			     .handled = 2};
	pid_t child = conform_start(victim, &one);

	conform_await_blocked(child, 0);
	signal_and_await(child, SIGUSR1);
	signal_and_await(child, SIGUSR1);
	let_go(call, one.process.queue);
	conform_await(child);
	EXPECT_MESSAGES(one.process.queue, is_send(call) ? MESSAGES : 0);
}

struct restarted {
	enum call call;
	mqd_t queue;
	struct timespec deadline;
	int handled;
};

static void is_restarted(void *context)
{
	struct restarted *restarted = context;

	handle(SIGUSR1, SA_RESTART);
	EXPECT_ERROR(call_until(restarted->call, restarted->queue, &restarted->deadline),
		     ETIMEDOUT);
	EXPECT(since(&restarted->deadline) >= 0);
	restarted->handled = handled;
}

static void restarted_deadline(enum call call)
{
	struct restarted *shared = conform_share(sizeof(*shared));
	bool in_time = false;

	shared->call = call;
	shared->queue = make_blocking(call);
	/* A later one if one of the two had no processor until it was over. */
	for (int64_t ms = 300; !in_time && ms < 1000 * WATCHDOG_S / 4; ms *= 2) {
		pid_t child;

		shared->deadline = after_ms(ms);
		child = conform_start(is_restarted, shared);
		if (conform_await_blocked_or_ended(child))
			kill(child, SIGUSR1);
		in_time = since(&shared->deadline) < 0;
		conform_await(child);
	}
	if (!in_time)
		conform_skip("this machine is too slow");
	EXPECT_IS(shared->handled, 1);
}

REQUIREMENT(timedsend_restarted_deadline, "mq_timedsend, ERRORS, ETIMEDOUT; signal(7), SA_RESTART",
	    "a call that went on after a handler ends at its deadline")
{
	restarted_deadline(TIMEDSEND);
}

REQUIREMENT(timedreceive_restarted_deadline,
	    "mq_timedreceive, ERRORS, ETIMEDOUT; signal(7), SA_RESTART",
	    "a call that went on after a handler ends at its deadline")
{
	restarted_deadline(TIMEDRECEIVE);
}

REQUIREMENT_OF_CALLS(stopped, "signal(7), stop signals",
		     "a process that is stopped and continued goes on waiting")
{
	struct process process = {call, make_blocking(call), NULL, is_send(call) ? 0 : 2};
	pid_t child = conform_start(process_calls, &process);

	conform_await_blocked(child, 0);
	signal_and_await(child, SIGSTOP);
	let_go(call, process.queue);
	conform_await(child);
}

static void ignores(void *context)
{
	signal(SIGUSR1, SIG_IGN);
	process_calls(context);
}

REQUIREMENT_OF_CALLS(ignored, "ERRORS, EINTR", "a signal that is ignored does not end the call")
{
	struct process process = {call, make_blocking(call), NULL, is_send(call) ? 0 : 2};
	pid_t child = conform_start(ignores, &process);

	conform_await_blocked(child, 0);
	signal_and_await(child, SIGUSR1);
	let_go(call, process.queue);
	conform_await(child);
}

static void blocks_signal(void *context)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	handle(SIGUSR1, 0);
	sigprocmask(SIG_BLOCK, &set, NULL);
	process_calls(context);
	EXPECT_IS(handled, 0);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	EXPECT_IS(handled, 1);
}

REQUIREMENT_OF_CALLS(masked, "ERRORS, EINTR",
		     "a signal that is blocked does not end the call, and comes later")
{
	struct process process = {call, make_blocking(call), NULL, is_send(call) ? 0 : 2};
	pid_t child = conform_start(blocks_signal, &process);

	conform_await_blocked(child, 0);
	kill(child, SIGUSR1);
	/* It stays pending, so there is nothing to be waited for but the call's end. */
	conform_await_blocked(child, 0);
	let_go(call, process.queue);
	conform_await(child);
}

static volatile mqd_t handlers_queue;

static void use_in_handler(int number)
{
	char buffer[BYTES];

	(void)number;
	/* The queue is another one than that of the interrupted call. */
	if (mq_send(handlers_queue, "handler", 7, 1) == 0 &&
	    mq_receive(handlers_queue, buffer, sizeof(buffer), NULL) == 7)
		handled++;
}

static void calls_in_handler(void *context)
{
	struct sigaction action = {.sa_handler = use_in_handler, .sa_flags = SA_RESTART};

	REQUIRE(sigaction(SIGUSR1, &action, NULL) == 0);
	process_calls(context);
	EXPECT_IS(handled, 1);
}

REQUIREMENT_OF_CALLS(handler_calls, "on Linux",
		     "a handler that interrupts a blocked call may itself send and receive")
{
	struct process process = {call, make_blocking(call), NULL, is_send(call) ? 0 : 2};
	pid_t child;

	handlers_queue = make_sized(OTHER, O_RDWR, 2, BYTES);
	child = conform_start(calls_in_handler, &process);
	conform_await_blocked(child, 0);
	signal_and_await(child, SIGUSR1);
	let_go(call, process.queue);
	conform_await(child);
}

REQUIREMENT_OF_CALLS(
	killed, "on Linux",
	"whoever is killed while it is blocked takes and leaves nothing, and others go on")
{
	struct process process = {call, make_blocking(call), NULL, 0};
	struct caller caller = {.call = call, .queue = process.queue};
	pid_t child = conform_start(process_calls, &process);

	conform_await_blocked(child, 0);
	caller_block(&caller);
	conform_kill(child);
	EXPECT_MESSAGES(process.queue, UNTOUCHED(call));
	let_go(call, process.queue);
	caller_join(&caller);
	EXPECT_IS(caller.result, is_send(call) ? 0 : 2);
	EXPECT_MESSAGES(process.queue, is_send(call) ? MESSAGES : 0);
}

#define STORM 3000

/* A signal every 50 µs. */
static void storm(int flags, void (*handler)(int number))
{
	struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
	struct itimerval interval = {{0, 50}, {0, 50}};

	REQUIRE(sigaction(SIGALRM, &action, NULL) == 0);
	REQUIRE(setitimer(ITIMER_REAL, &interval, NULL) == 0);
}

static void calm(void)
{
	struct itimerval none = {0};

	setitimer(ITIMER_REAL, &none, NULL);
}

static void count_storm(int number)
{
	(void)number;
	handled++;
}

#define NUMBERS 3000

static void receives_in_storm(void *context)
{
	mqd_t queue = *(mqd_t *)context;
	char buffer[BYTES];

	storm(0, count_storm);
	for (int i = 0; i < NUMBERS;) {
		ssize_t bytes = mq_receive(queue, buffer, sizeof(buffer), NULL);
		int number;

		if (bytes < 0) {
			EXPECT_IS(errno, EINTR);
			continue;
		}
		memcpy(&number, buffer, sizeof(number));
		EXPECT_IS(number, i);
		i++;
	}
	calm();
}

REQUIREMENT(storm_each_once, "mq_send and mq_receive, ERRORS, EINTR",
	    "who is interrupted again and again, and repeats what was, sends and receives each "
	    "message once")
{
	mqd_t queue = make_queue(O_RDWR);
	pid_t child = conform_start(receives_in_storm, &queue);

	storm(0, count_storm);
	for (int i = 0; i < NUMBERS;) {
		if (mq_send(queue, (char *)&i, sizeof(i), 1) == 0)
			i++;
		else
			EXPECT_IS(errno, EINTR);
	}
	calm();
	conform_await(child);
	EXPECT_MESSAGES(queue, 0);
}

static void storm_calls(int number)
{
	int error = errno;
	char buffer[BYTES];

	(void)number;
	if (mq_send(handlers_queue, "h", 1, 9) == 0)
		EXPECT_IS(mq_receive(handlers_queue, buffer, sizeof(buffer), NULL), 1);
	else
		EXPECT_IS(errno, EAGAIN);
	handled++;
	errno = error;
}

REQUIREMENT(storm_handler_calls, "on Linux; signal-safety(7)",
	    "a handler sends to and receives from the very queue whose call it interrupts")
{
	mqd_t queue = make_queue(O_RDWR | O_NONBLOCK);
	char buffer[BYTES];

	handlers_queue = queue;
	storm(SA_RESTART, storm_calls);
	while (handled < STORM && !conform_failed()) {
		EXPECT_IS(mq_send(queue, "x", 1, 1), 0);
		EXPECT_IS(mq_receive(queue, buffer, sizeof(buffer), NULL), 1);
		EXPECT_IS(buffer[0], 'x');
	}
	calm();
	EXPECT_MESSAGES(queue, 0);
}
