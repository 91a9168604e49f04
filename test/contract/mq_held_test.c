/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Somebody is stopped with a message queue locked.  The bug: calls that have to wait for him, to open, close or be notified,
 * waited with what all queues of the process have in common, and every call of another queue that needs that waited as
 * well.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tenon/posix.h>

#include "contract.h"
#include "object/queue_private.h"
#include "sanitized.h"

#define HELD "/held"
#define OTHER "/other"
#define BYTES 64u

static mqd_t open_queue(const char *name)
{
	struct mq_attr attributes = {.mq_maxmsg = 4, .mq_msgsize = BYTES};
	mqd_t queue = tenon_mq_open(name, O_RDWR | O_CREAT, 0600, &attributes);

	REQUIRE(queue >= 0);
	return queue;
}

static int register_signal(mqd_t queue)
{
	struct sigevent how = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};

	return tenon_mq_notify(queue, &how);
}

/* Without a thread that might come to the lock late. */
static int register_silently(mqd_t queue)
{
	struct sigevent how = {.sigev_notify = SIGEV_NONE};

	return tenon_mq_notify(queue, &how);
}

static void hold_side_and_stop(struct tenon_queue *queue, uint32_t side)
{
	struct tni_call call;

	REQUIRE(tni_call_begin(&call, queue) == 0);
	REQUIRE(tni_side_lock(&call, side, INT64_MAX) == 0);
	raise(SIGSTOP);
	tni_side_unlock(&call, side);
}

static void hold_and_stop(void *context)
{
	hold_side_and_stop(context, TNI_SEND);
}

static void hold_receivers_and_stop(void *context)
{
	hold_side_and_stop(context, TNI_RECEIVE);
}

/* A case: what is done to the held queue by another thread, which has to wait. */
struct held {
	mqd_t queue; /* -1: it is not open */
	int (*call)(mqd_t queue);
};

static void *call_it(void *context)
{
	const struct held *held = context;

	EXPECT_IS(held->call(held->queue), 0);
	return NULL;
}

static void end_well(void *context)
{
	(void)context;
}

/* What every program does with a queue of its own. */
static void use_other(void)
{
	char message[BYTES];
	mqd_t queue = open_queue(OTHER);

	EXPECT_IS(register_signal(queue), 0);
	EXPECT_IS(tenon_mq_send(queue, "1", 1, 0), 0);
	EXPECT_IS(tenon_mq_receive(queue, message, sizeof(message), NULL), 1);
	EXPECT_IS(register_signal(queue), 0);
	EXPECT_IS(tenon_mq_notify(queue, NULL), 0);
	EXPECT_IS(register_signal(queue), 0);
	EXPECT_IS(tenon_mq_close(queue), 0);
	/* The threads that wait for notice allocate memory, and the lock of a sanitizer's allocator stays locked in a child. */
	if (!IS_SANITIZED)
		contract_await(contract_start(end_well, NULL));
}

static void try_beside(struct held held, struct tenon_queue *look)
{
	pid_t holder;
	pthread_t thread;
	siginfo_t info;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	holder = contract_start(hold_and_stop, look);
	EXPECT_IS(waitid(P_PID, (id_t)holder, &info, WSTOPPED | WNOWAIT), 0);
	REQUIRE(pthread_create(&thread, NULL, call_it, &held) == 0);
	while (tni_gatehouse_count(&look->house, TNI_CLASS_LOCK_0) == 0)
		sched_yield();
	use_other();
	EXPECT_IS((int64_t)(tni_get64(&look->house.gate[TNI_SEND]->word) & TNI_GATE_OWNER), holder);
	kill(holder, SIGCONT);
	REQUIRE(pthread_join(thread, NULL) == 0);
	contract_await(holder);
	tenon_queue_close(look);
}

static int withdraw(mqd_t queue)
{
	return tenon_mq_notify(queue, NULL);
}

static int open_held(mqd_t queue)
{
	queue = tenon_mq_open(HELD, O_RDWR);
	return queue >= 0 ? tenon_mq_close(queue) : -1;
}

static int close_copy(mqd_t queue)
{
	int copy = dup(queue);
	char message[BYTES];

	EXPECT_IS(tenon_mq_close(queue), 0);
	EXPECT_IS((int)tenon_mq_receive(copy, message, sizeof(message), NULL), 1);
	return tenon_mq_close(copy);
}

static void test_opening(void)
{
	/* Of another interface: nobody has made its descriptor ready to be polled yet. */
	struct tenon_queue *look = contract_make(HELD, TENON_QUEUE_WAIT, 4, BYTES);

	try_beside((struct held){-1, open_held}, look);
}

static void test_registering(void)
{
	mqd_t queue = open_queue(HELD);

	try_beside((struct held){queue, register_signal}, contract_open(HELD));
	EXPECT_IS(tenon_mq_close(queue), 0);
}

static void test_withdrawing(void)
{
	mqd_t queue = open_queue(HELD);

	EXPECT_IS(register_silently(queue), 0);
	try_beside((struct held){queue, withdraw}, contract_open(HELD));
	EXPECT_IS(tenon_mq_close(queue), 0);
}

static void test_closing_registered(void)
{
	mqd_t queue = open_queue(HELD), other = open_queue(HELD);

	EXPECT_IS(register_silently(queue), 0);
	try_beside((struct held){queue, tenon_mq_close}, contract_open(HELD));
	/* It is withdrawn. */
	EXPECT_IS(register_silently(other), 0);
	EXPECT_IS(tenon_mq_close(other), 0);
}

static void test_closing_last(void)
{
	mqd_t queue = open_queue(HELD);

	try_beside((struct held){queue, tenon_mq_close}, contract_open(HELD));
}

/* The first call at a descriptor that came by dup(2) opens the queue anew, if it is the last one. */
static void test_recognizing(void)
{
	mqd_t queue = open_queue(HELD);

	EXPECT_IS(tenon_mq_send(queue, "1", 1, 0), 0);
	try_beside((struct held){queue, close_copy}, contract_open(HELD));
}

static void use_and_wait(void *context)
{
	(void)context;
	EXPECT_IS(tenon_mq_send(open_queue(HELD), "1", 1, 0), 0);
	raise(SIGSTOP);
}

/* The bug: to open a queue took over the first entry of a dead process, and waited for the lock to bury him. */
static void test_opening_beside_dead(void)
{
	pid_t dead = contract_start(use_and_wait, NULL), holder;
	struct tenon_queue *look;
	siginfo_t info;
	mqd_t other;

	EXPECT_IS(waitid(P_PID, (id_t)dead, &info, WSTOPPED | WNOWAIT), 0);
	look = contract_open(HELD);
	holder = contract_start(hold_and_stop, look);
	EXPECT_IS(waitid(P_PID, (id_t)holder, &info, WSTOPPED | WNOWAIT), 0);
	contract_kill(dead);
	other = tenon_mq_open(HELD, O_RDWR);
	EXPECT(other >= 0);
	EXPECT_IS((int64_t)(tni_get64(&look->house.gate[TNI_SEND]->word) & TNI_GATE_OWNER), holder);
	kill(holder, SIGCONT);
	contract_await(holder);
	tenon_queue_close(look);
}

/* The bug: what was registered at a descriptor that was closed meanwhile was nobody's to withdraw: others were refused, and
 * a thread waited for ever. */
static void test_closing_while_registering(void)
{
	mqd_t queue = open_queue(HELD), other = open_queue(HELD);
	struct held held = {queue, register_signal};
	struct tenon_queue *look = contract_open(HELD);
	pid_t holder = contract_start(hold_and_stop, look);
	pthread_t thread;
	siginfo_t info;

	EXPECT_IS(waitid(P_PID, (id_t)holder, &info, WSTOPPED | WNOWAIT), 0);
	REQUIRE(pthread_create(&thread, NULL, call_it, &held) == 0);
	while (tni_gatehouse_count(&look->house, TNI_CLASS_LOCK_0) == 0)
		sched_yield();
	EXPECT_IS(tenon_mq_close(queue), 0);
	kill(holder, SIGCONT);
	REQUIRE(pthread_join(thread, NULL) == 0);
	contract_await(holder);
	EXPECT_IS(register_silently(other), 0);
	EXPECT_IS(tenon_mq_close(other), 0);
	tenon_queue_close(look);
}

static int polled(mqd_t queue)
{
	struct pollfd one = {.fd = queue, .events = POLLIN | POLLOUT};

	EXPECT(poll(&one, 1, 0) >= 0);
	return one.revents;
}

/* The bug: who made it full could not say so, and who found it full did not look: it was writable for good, and who polls and
 * sends went round and round. */
static void test_full_beside_dead(void)
{
	mqd_t queue = tenon_mq_open(HELD, O_RDWR | O_CREAT | O_NONBLOCK, 0600, NULL);
	struct tenon_queue *look = contract_open(HELD);
	pid_t holder = contract_start(hold_receivers_and_stop, look);
	siginfo_t info;

	EXPECT_IS(waitid(P_PID, (id_t)holder, &info, WSTOPPED | WNOWAIT), 0);
	while (tenon_mq_send(queue, "1", 1, 0) == 0)
		;
	EXPECT_IS(errno, EAGAIN);
	contract_kill(holder);
	EXPECT_IS(tenon_mq_send(queue, "1", 1, 0), -1);
	EXPECT_IS(errno, EAGAIN);
	EXPECT_IS(polled(queue), POLLIN);
	EXPECT_IS(tenon_mq_close(queue), 0);
	tenon_queue_close(look);
}

int main(void)
{
	static const struct contract_case cases[] = {
		{"another goes on beside mq_open", test_opening, NULL},
		{"mq_open goes on where somebody died", test_opening_beside_dead, NULL},
		{"another goes on beside mq_notify", test_registering, NULL},
		{"another goes on beside the end of a registration", test_withdrawing, NULL},
		{"another goes on beside mq_close of who is registered", test_closing_registered,
		 NULL},
		{"another goes on beside the last mq_close", test_closing_last, NULL},
		{"another goes on beside a descriptor that came by dup", test_recognizing, NULL},
		{"a registration at what is closed meanwhile ends", test_closing_while_registering,
		 NULL},
		{"a queue that is full ceases to be writable", test_full_beside_dead, NULL},
	};

	return contract_main(cases, sizeof(cases) / sizeof(cases[0]));
}
