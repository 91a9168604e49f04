/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A call whose manner never restarts ends with -EINTR behind any handler, also one with SA_RESTART; with handlers of the
 * program's own, and with those that are put off and say what they did (core/defer.c).
 */

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "contract.h"
#include "core/defer.h"
#include "core/manner.h"
#include "object/queue_private.h"

#define NAME "/handlers"

static bool puts_off; /* handlers, as the preload library does */
static volatile sig_atomic_t handled;

/* What is sent, and how often it is put off. */
static void handler(int number, siginfo_t *info, void *context)
{
	uint32_t deferring;

	if (puts_off && tni_defer_is_due()) {
		tni_defer_signal(number, info, context);
		return;
	}
	deferring = tni_defer_enter_handler();
	handled++;
	tni_defer_leave_handler(deferring, true);
}

static void install(void)
{
	struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_RESTART};

	REQUIRE(sigaction(SIGUSR1, &action, NULL) == 0);
}

struct sleeper {
	pthread_t thread;
	struct tenon_queue *queue;
	int (*sleep)(struct tenon_queue *queue);
	bool never_restarts;
	int result;
};

static int receive(struct tenon_queue *queue)
{
	char buffer[64];

	return tenon_queue_receive(queue, buffer, sizeof(buffer), NULL, NULL);
}

static int send_one(struct tenon_queue *queue)
{
	return tenon_queue_send(queue, "x", 1, NULL);
}

static void *sleep_so(void *context)
{
	struct sleeper *sleeper = context;
	struct tni_manner manner;

	if (puts_off)
		tni_defer_begin();
	tni_manner_begin(&manner, INT64_MAX, false);
	manner.never_restarts = sleeper->never_restarts;
	sleeper->result = tni_manner_end(&manner, sleeper->sleep(sleeper->queue));
	if (puts_off)
		tni_defer_end();
	return NULL;
}

static void start(struct sleeper *sleeper, uint32_t class)
{
	REQUIRE(pthread_create(&sleeper->thread, NULL, sleep_so, sleeper) == 0);
	while (tni_gatehouse_count(&sleeper->queue->house, class) == 0)
		sched_yield();
}

/* Until it has returned: a handler that ran before it slept does not count, as for the kernel's calls. */
static void interrupt(const struct sleeper *sleeper)
{
	struct timespec pause = {.tv_nsec = 1000000};

	while (pthread_tryjoin_np(sleeper->thread, NULL) != 0) {
		pthread_kill(sleeper->thread, SIGUSR1);
		nanosleep(&pause, NULL);
	}
}

static void ends(int (*sleep)(struct tenon_queue *), uint32_t class)
{
	struct sleeper sleeper = {.queue = contract_make(NAME, TENON_QUEUE_WAIT, 1, 64),
				  .sleep = sleep,
				  .never_restarts = true};

	install();
	if (class == TNI_CLASS_ROOM)
		EXPECT_IS(contract_send(sleeper.queue, 1, 0), 0);
	start(&sleeper, class);
	interrupt(&sleeper);
	EXPECT_IS(sleeper.result, -EINTR);
	EXPECT(handled > 0);
	EXPECT_IS((int64_t)tni_gatehouse_count(&sleeper.queue->house, class), 0);
	sleeper.queue = tenon_queue_close(sleeper.queue);
}

static void test_receive(void)
{
	ends(receive, TNI_CLASS_MESSAGE);
}

static void test_send(void)
{
	ends(send_one, TNI_CLASS_ROOM);
}

static void test_receive_put_off(void)
{
	puts_off = true;
	ends(receive, TNI_CLASS_MESSAGE);
}

static void test_send_put_off(void)
{
	puts_off = true;
	ends(send_one, TNI_CLASS_ROOM);
}

/* Without it such a handler is only run, and the call goes on. */
static void goes_on(void)
{
	struct sleeper sleeper = {.queue = contract_make(NAME, TENON_QUEUE_WAIT, 1, 64),
				  .sleep = receive};

	install();
	start(&sleeper, TNI_CLASS_MESSAGE);
	for (int before = handled; handled < before + 3;) {
		pthread_kill(sleeper.thread, SIGUSR1);
		sched_yield();
	}
	EXPECT_IS(contract_send(sleeper.queue, 1, 0), 0);
	pthread_join(sleeper.thread, NULL);
	EXPECT_IS(sleeper.result, 0);
	sleeper.queue = tenon_queue_close(sleeper.queue);
}

static void test_restarts(void)
{
	goes_on();
}

static void test_restarts_put_off(void)
{
	puts_off = true;
	goes_on();
}

/* It is woken as anybody is. */
static void is_woken(void)
{
	struct sleeper sleeper = {.queue = contract_make(NAME, TENON_QUEUE_WAIT, 1, 64),
				  .sleep = receive,
				  .never_restarts = true};

	for (uint32_t i = 0; i < 20; i++) {
		start(&sleeper, TNI_CLASS_MESSAGE);
		EXPECT_IS(contract_send(sleeper.queue, i, 0), 0);
		pthread_join(sleeper.thread, NULL);
		EXPECT_IS(sleeper.result, 0);
	}
	sleeper.queue = tenon_queue_close(sleeper.queue);
}

static void test_woken(void)
{
	is_woken();
}

static void test_woken_put_off(void)
{
	puts_off = true;
	is_woken();
}

static void take_and_stay(void *context)
{
	struct tenon_queue *queue = contract_open(NAME);
	struct tenon_lease lease;

	(void)context;
	EXPECT_IS(tenon_queue_take(queue, NULL, &lease), 0);
	for (;;)
		pause();
}

/* Somebody has a message, of whose death it is told. */
static void outlives_holder(void)
{
	struct sleeper sleeper = {.queue = contract_make(NAME, TENON_QUEUE_WAIT, 1, 64),
				  .sleep = receive,
				  .never_restarts = true};
	struct tenon_queue_status status = {.size = sizeof(status)};
	pid_t holder;

	EXPECT_IS(contract_send(sleeper.queue, 1, 0), 0);
	holder = contract_start(take_and_stay, NULL);
	while (status.leased == 0)
		REQUIRE(tenon_queue_status(sleeper.queue, &status) == 0);
	start(&sleeper, TNI_CLASS_MESSAGE);
	contract_kill(holder);
	pthread_join(sleeper.thread, NULL);
	EXPECT_IS(sleeper.result, 0);
	sleeper.queue = tenon_queue_close(sleeper.queue);
}

static void test_holder(void)
{
	outlives_holder();
}

static void test_holder_put_off(void)
{
	puts_off = true;
	outlives_holder();
}

int main(void)
{
	static const struct contract_case cases[] = {
		{"receive", test_receive, NULL},
		{"send", test_send, NULL},
		{"receive, handlers put off", test_receive_put_off, NULL},
		{"send, handlers put off", test_send_put_off, NULL},
		{"restarts where it may", test_restarts, NULL},
		{"restarts where it may, handlers put off", test_restarts_put_off, NULL},
		{"woken", test_woken, NULL},
		{"woken, handlers put off", test_woken_put_off, NULL},
		{"the death of who has a message", test_holder, NULL},
		{"the same, handlers put off", test_holder_put_off, NULL},
	};

	return contract_main(cases, sizeof(cases) / sizeof(cases[0]));
}
