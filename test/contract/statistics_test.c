/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What a queue tells of its past: how often somebody went to sleep, and who was last, and when.  The
 * figures that count messages are compared with a model in model_test.c.
 */

#include <errno.h>
#include <sched.h>
#include <time.h>
#include <unistd.h>

#include "contract.h"
#include "object/queue_private.h"

#define NAME "/statistics"
#define LIMIT_NS (20 * SECOND_NS)
#define SLEEPS 5u

static struct tenon_queue_status look(struct tenon_queue *queue)
{
	struct tenon_queue_status status = {.size = sizeof(status)};

	EXPECT_IS(tenon_queue_status(queue, &status), 0);
	return status;
}

static struct tenon_queue *begin(uint32_t order, uint64_t capacity)
{
	const struct tenon_queue_options options = {.size = sizeof(options),
						    .order = order,
						    .capacity = capacity,
						    .max_message_bytes = 64};

	return contract_create(NAME, &options);
}

static void send_some(void *context)
{
	struct tenon_queue *queue = contract_open(NAME);

	for (uintptr_t i = 0; i < (uintptr_t)context; i++)
		EXPECT_IS(contract_send(queue, i, LIMIT_NS), 0);
	queue = tenon_queue_close(queue);
}

static void receive_some(void *context)
{
	struct tenon_queue *queue = contract_open(NAME);
	uint64_t number;

	for (uintptr_t i = 0; i < (uintptr_t)context; i++)
		EXPECT_IS(contract_receive(queue, &number, LIMIT_NS), 0);
	queue = tenon_queue_close(queue);
}

/* Until a process has gone to sleep so often, and is asleep: the watchdog ends what does not. */
static void await_receive_waits(struct tenon_queue *queue, uint64_t received, uint64_t waits)
{
	struct tenon_queue_status status;

	do {
		sched_yield();
		status = look(queue);
	} while (status.received != received || status.receive_waits < waits ||
		 status.receivers_waiting == 0);
}

static void await_send_waits(struct tenon_queue *queue, uint64_t sent, uint64_t waits)
{
	struct tenon_queue_status status;

	do {
		sched_yield();
		status = look(queue);
	} while (status.sent != sent || status.send_waits < waits || status.senders_waiting == 0);
}

/* Each message makes one who sleeps for it go on, and sleep again for the next. */
static void receivers_sleep(uint32_t order)
{
	struct tenon_queue *queue = begin(order, 4);
	pid_t receiver;

	EXPECT_IS(contract_send(queue, 1, LIMIT_NS), 0);
	receive_some((void *)1);
	EXPECT_IS((int64_t)look(queue).receive_waits, 0);
	receiver = contract_start(receive_some, (void *)(uintptr_t)SLEEPS);
	for (uint32_t i = 0; i < SLEEPS; i++) {
		await_receive_waits(queue, i + 1, i + 1);
		EXPECT_IS(contract_send(queue, i, LIMIT_NS), 0);
	}
	contract_await(receiver);
	/* Those who are woken in vain sleep again, and a sender that never slept is not counted. */
	EXPECT(look(queue).receive_waits >= SLEEPS && look(queue).receive_waits <= 4 * SLEEPS);
	EXPECT_IS((int64_t)look(queue).send_waits, 0);
	queue = tenon_queue_close(queue);
}

static void senders_sleep(uint32_t order)
{
	struct tenon_queue *queue = begin(order, 1);
	uint64_t number;
	pid_t sender;

	EXPECT_IS(contract_send(queue, 1, LIMIT_NS), 0);
	EXPECT_IS((int64_t)look(queue).send_waits, 0);
	sender = contract_start(send_some, (void *)(uintptr_t)SLEEPS);
	for (uint32_t i = 0; i < SLEEPS; i++) {
		await_send_waits(queue, i + 1, i + 1);
		EXPECT_IS(contract_receive(queue, &number, LIMIT_NS), 0);
	}
	contract_await(sender);
	EXPECT(look(queue).send_waits >= SLEEPS && look(queue).send_waits <= 4 * SLEEPS);
	EXPECT_IS((int64_t)look(queue).receive_waits, 0);
	queue = tenon_queue_close(queue);
}

static void test_receivers_sleep(void)
{
	receivers_sleep(TENON_QUEUE_FIFO);
}

static void test_ordered_receivers_sleep(void)
{
	receivers_sleep(TENON_QUEUE_PRIORITY);
}

static void test_senders_sleep(void)
{
	senders_sleep(TENON_QUEUE_FIFO);
}

static void test_ordered_senders_sleep(void)
{
	senders_sleep(TENON_QUEUE_PRIORITY);
}

static void meet(void *context)
{
	struct tenon_queue *queue = contract_open(NAME);

	(void)context;
	EXPECT_IS(contract_send(queue, 1, LIMIT_NS), 0);
	queue = tenon_queue_close(queue);
}

/* Who waits for a receiver sleeps in a send as well. */
static void test_sleeping_at_a_rendezvous(void)
{
	struct tenon_queue *queue = begin(TENON_QUEUE_FIFO, TENON_QUEUE_RENDEZVOUS);
	pid_t sender = contract_start(meet, NULL);
	uint64_t number;

	while (tni_gatehouse_count(&queue->house, TNI_CLASS_RECEIPT) == 0)
		sched_yield();
	EXPECT_IS(look(queue).senders_waiting, 1);
	EXPECT(look(queue).send_waits > 0);
	EXPECT_IS(contract_receive(queue, &number, LIMIT_NS), 0);
	contract_await(sender);
	queue = tenon_queue_close(queue);
}

/* A wait that ends by its deadline was one as well. */
static void test_waits_in_vain(void)
{
	struct tenon_queue *queue = begin(TENON_QUEUE_FIFO, 1);
	uint64_t number;

	/* Its time may be up before the call begins, on a busy machine: then there is no wait.  With more time there is one. */
	for (int64_t ns = SECOND_NS / 50; look(queue).receive_waits == 0 && ns < LIMIT_NS; ns *= 2)
		EXPECT_IS(contract_receive(queue, &number, ns), -ETIMEDOUT);
	EXPECT(look(queue).receive_waits > 0);
	EXPECT_IS(contract_send(queue, 1, 0), 0);
	for (int64_t ns = SECOND_NS / 50; look(queue).send_waits == 0 && ns < LIMIT_NS; ns *= 2)
		EXPECT_IS(contract_send(queue, 1, ns), -ETIMEDOUT);
	EXPECT(look(queue).send_waits > 0);
	queue = tenon_queue_close(queue);
}

static int64_t read_clock(clockid_t clock)
{
	struct timespec now;

	REQUIRE(clock_gettime(clock, &now) == 0);
	return (int64_t)now.tv_sec * SECOND_NS + now.tv_nsec;
}

/* The figures are as old as the kernel's last tick, and those of before a tick are told apart. */
static int64_t tick_ns(void)
{
	int64_t before_ns = read_clock(CLOCK_REALTIME_COARSE), now_ns;

	do
		now_ns = read_clock(CLOCK_REALTIME_COARSE);
	while (now_ns == before_ns);
	return now_ns;
}

static int64_t now_ns(void)
{
	return read_clock(CLOCK_REALTIME);
}

static void expect_between(int64_t from_ns, int64_t moment_ns, int64_t to_ns)
{
	if (moment_ns < from_ns || moment_ns > to_ns)
		printf("# %lld is not from %lld to %lld\n", (long long)moment_ns,
		       (long long)from_ns, (long long)to_ns);
	EXPECT(from_ns <= moment_ns && moment_ns <= to_ns);
}

enum way { COPIED, BATCHED, HELD };

static void send_by(struct tenon_queue *queue, enum way way)
{
	const struct tenon_slice slice = {"message", 7};
	struct tenon_loan loan;
	uint32_t count;

	if (way == COPIED)
		EXPECT_IS(tenon_queue_send(queue, "message", 7, NULL), 0);
	if (way == BATCHED)
		EXPECT_IS(tenon_queue_send_batch(queue, &slice, 1, NULL, &count), 0);
	if (way == HELD) {
		REQUIRE(tenon_queue_loan(queue, 7, &loan) == 0);
		EXPECT_IS(tenon_queue_commit(queue, &loan, 7, NULL), 0);
	}
}

static void receive_by(struct tenon_queue *queue, enum way way)
{
	struct tenon_message message;
	struct tenon_lease lease;
	char buffer[64];
	uint32_t count;

	if (way == COPIED)
		EXPECT_IS(tenon_queue_receive(queue, buffer, 64, NULL, NULL), 0);
	if (way == BATCHED)
		EXPECT_IS(tenon_queue_receive_batch(queue, buffer, 64, 1, NULL, &message, &count),
			  0);
	if (way == HELD) {
		REQUIRE(tenon_queue_take(queue, NULL, &lease) == 0);
		EXPECT_IS(tenon_queue_done(queue, &lease), 0);
	}
}

/* In this process, whose number is told as well. */
static void last_ones(uint32_t order)
{
	int64_t born_ns = tick_ns(), before_ns, after_ns;
	struct tenon_queue *queue = begin(order, 4);
	struct tenon_queue_status status = look(queue), then;

	expect_between(born_ns, status.created_ns, now_ns());
	EXPECT_IS(status.last_send_ns, 0);
	EXPECT_IS(status.last_receive_ns, 0);
	EXPECT_IS(status.last_sender_pid, 0);
	EXPECT_IS(status.last_receiver_pid, 0);
	for (uint32_t way = COPIED; way <= HELD; way++) {
		before_ns = tick_ns();
		send_by(queue, way);
		after_ns = now_ns();
		then = status;
		status = look(queue);
		expect_between(before_ns, status.last_send_ns, after_ns);
		EXPECT_IS(status.last_receive_ns, then.last_receive_ns);
		EXPECT_IS(status.last_sender_pid, getpid());
		before_ns = tick_ns();
		receive_by(queue, way);
		after_ns = now_ns();
		then = status;
		status = look(queue);
		expect_between(before_ns, status.last_receive_ns, after_ns);
		EXPECT_IS(status.last_send_ns, then.last_send_ns);
		EXPECT_IS(status.last_receiver_pid, getpid());
		EXPECT_IS(status.created_ns, then.created_ns);
	}
	queue = tenon_queue_close(queue);
}

static void test_last_ones(void)
{
	last_ones(TENON_QUEUE_FIFO);
}

static void test_last_ones_ordered(void)
{
	last_ones(TENON_QUEUE_PRIORITY);
}

static void test_last_ones_typed(void)
{
	last_ones(TENON_QUEUE_TYPED);
}

/* Of other processes, and after their end. */
static void test_last_processes(void)
{
	struct tenon_queue *queue = begin(TENON_QUEUE_FIFO, 4);
	struct tenon_queue_status status;
	pid_t sender, receiver;

	sender = contract_start(send_some, (void *)2);
	contract_await(sender);
	receiver = contract_start(receive_some, (void *)1);
	contract_await(receiver);
	status = look(queue);
	EXPECT_IS(status.last_sender_pid, sender);
	EXPECT_IS(status.last_receiver_pid, receiver);
	/* What finds nothing to do changes nothing. */
	receive_some((void *)1);
	status = look(queue);
	EXPECT_IS(status.last_receiver_pid, getpid());
	tick_ns();
	EXPECT_IS(contract_receive(queue, &(uint64_t){0}, 0), -ETIMEDOUT);
	EXPECT_IS(look(queue).last_receive_ns, status.last_receive_ns);
	queue = tenon_queue_close(queue);
}

#define TRIPS 2000u
#define ECHO NAME "-echo"

static void echo(void *context)
{
	struct tenon_queue *there = contract_open(NAME), *back = contract_open(ECHO);
	uint64_t number;

	(void)context;
	for (;;) {
		EXPECT_IS(tenon_queue_receive(there, &number, sizeof(number), NULL, NULL), 0);
		EXPECT_IS(tenon_queue_send(back, &number, sizeof(number), NULL), 0);
	}
}

static uint64_t waits_of_trips(struct tenon_queue *there, struct tenon_queue *back,
			       const struct tenon_receive_options *options)
{
	uint64_t before = look(back).receive_waits, number = 0;

	for (uint32_t i = 0; i < TRIPS; i++) {
		EXPECT_IS(tenon_queue_send(there, &number, sizeof(number), NULL), 0);
		EXPECT_IS(tenon_queue_receive(back, &number, sizeof(number), options, NULL), 0);
	}
	return look(back).receive_waits - before;
}

/* Who gave options, and in them no deadline, went to sleep at once. */
static void test_options_without_a_deadline(void)
{
	const struct tenon_queue_options options = {
		.size = sizeof(options), .capacity = 4, .max_message_bytes = 64};
	const struct tenon_receive_options receive = {.size = sizeof(receive)};
	struct tenon_queue *there = begin(TENON_QUEUE_FIFO, 4);
	struct tenon_queue *back = contract_create(ECHO, &options);
	pid_t child = contract_start(echo, NULL);
	bool right = false;

	/* On one processor, or where others are at work, both sleep, now and then one of them more. */
	for (uint32_t attempt = 0; attempt < 5 && !right; attempt++) {
		uint64_t usual = waits_of_trips(there, back, NULL);
		uint64_t waits = waits_of_trips(there, back, &receive);

		printf("# %llu waits, and %llu without options\n", (unsigned long long)waits,
		       (unsigned long long)usual);
		right = waits <= 2 * usual + TRIPS / 4;
	}
	EXPECT(right);
	contract_kill(child);
	there = tenon_queue_close(there);
	back = tenon_queue_close(back);
}

int main(void)
{
	static const struct contract_case cases[] = {
		{"sleeping receivers are counted", test_receivers_sleep, NULL},
		{"sleeping receivers of an ordered queue are counted", test_ordered_receivers_sleep,
		 NULL},
		{"sleeping senders are counted", test_senders_sleep, NULL},
		{"sleeping senders of an ordered queue are counted", test_ordered_senders_sleep,
		 NULL},
		{"senders asleep at a rendezvous are counted", test_sleeping_at_a_rendezvous, NULL},
		{"waits in vain are counted", test_waits_in_vain, NULL},
		{"who was last, and when", test_last_ones, NULL},
		{"who was last, and when, by priority", test_last_ones_ordered, NULL},
		{"who was last, and when, by type", test_last_ones_typed, NULL},
		{"other processes were last", test_last_processes, NULL},
		{"options without a deadline", test_options_without_a_deadline, NULL},
	};

	return contract_main(cases, sizeof(cases) / sizeof(cases[0]));
}
