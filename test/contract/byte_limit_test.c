/* SPDX-License-Identifier: Apache-2.0 */

/* A limit of bytes beside that of messages: what fits, who waits, and who is woken when it is another. */

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <tenon/waitset.h>

#include "contract.h"

#define NAME "/limited"
#define LONG_BYTES 20000u
#define PASSED_NS INT64_C(1) /* a moment long ago */

static char bytes[LONG_BYTES];

static struct tenon_queue *make(uint32_t order, uint32_t full, uint64_t max_bytes)
{
	struct tenon_queue_options options = {.size = sizeof(options),
					      .order = order,
					      .full = full,
					      .capacity = 64,
					      .max_message_bytes = LONG_BYTES,
					      .max_bytes = max_bytes};

	return contract_create(NAME, &options);
}

static int put(struct tenon_queue *queue, uint64_t length)
{
	struct tenon_send_options options = {
		.size = sizeof(options), .flags = TENON_NONBLOCK, .key = 1};

	return tenon_queue_send(queue, bytes, length, &options);
}

/* The length of the message that was received, or an error. */
static int64_t get(struct tenon_queue *queue)
{
	struct tenon_receive_options options = {.size = sizeof(options), .flags = TENON_NONBLOCK};
	struct tenon_message message;
	static char buffer[LONG_BYTES];
	int result = tenon_queue_receive(queue, buffer, sizeof(buffer), &options, &message);

	return result == 0 ? (int64_t)message.bytes : result;
}

static uint64_t queued(struct tenon_queue *queue)
{
	struct tenon_queue_status status = {.size = sizeof(status)};

	EXPECT_IS(tenon_queue_status(queue, &status), 0);
	return status.message_bytes;
}

static bool is_writable(struct tenon_queue *queue)
{
	return tenon_queue_wait(queue, TENON_WRITABLE, PASSED_NS, NULL) == 0;
}

/* Of every length that goes another way: in the log, in a slot, and copied beside the lock. */
static void fit_exactly(uint32_t order, uint64_t length)
{
	struct tenon_queue *queue = make(order, TENON_QUEUE_WAIT, 3 * length);
	struct tenon_queue_status status = {.size = sizeof(status)};

	for (uint32_t round = 0; round < 3; round++) {
		for (uint32_t i = 0; i < 3; i++)
			EXPECT_IS(put(queue, length), 0);
		EXPECT_IS(put(queue, 1), -EAGAIN);
		EXPECT_IS(put(queue, length), -EAGAIN);
		EXPECT_IS(put(queue, 0), 0);
		EXPECT_IS(get(queue), (int64_t)length);
		EXPECT_IS(put(queue, length - 1), 0);
		EXPECT_IS(put(queue, 2), -EAGAIN);
		EXPECT_IS(put(queue, 1), 0);
		EXPECT_IS((int64_t)queued(queue), (int64_t)(3 * length));
		while (get(queue) >= 0)
			;
	}
	EXPECT_IS(tenon_queue_status(queue, &status), 0);
	EXPECT_IS((int64_t)status.max_bytes, (int64_t)(3 * length));
	EXPECT_IS((int64_t)status.high_bytes, (int64_t)(3 * length));
	contract_expect_sound(queue);
	queue = tenon_queue_close(queue);
	EXPECT_IS(tenon_queue_remove(contract_folder, NAME), 0);
}

static void test_fit(void)
{
	static const uint64_t lengths[] = {8, 100, 1000, LONG_BYTES};

	for (uint32_t order = TENON_QUEUE_FIFO; order <= TENON_QUEUE_TYPED; order++)
		for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
			fit_exactly(order, lengths[i]);
}

/* As many messages as the limit has bytes: else there would be no end of empty ones. */
static void test_empty_messages(void)
{
	struct tenon_queue *queue = make(TENON_QUEUE_TYPED, TENON_QUEUE_WAIT, 4);

	for (uint32_t i = 0; i < 4; i++)
		EXPECT_IS(put(queue, 0), 0);
	EXPECT_IS(put(queue, 0), -EAGAIN);
	EXPECT(!is_writable(queue));
	EXPECT_IS(get(queue), 0);
	EXPECT_IS(put(queue, 4), 0);
	EXPECT_IS(put(queue, 0), -EAGAIN);
	queue = tenon_queue_close(queue);
}

/* The capacity holds as well. */
static void test_capacity(void)
{
	struct tenon_queue *queue = make(TENON_QUEUE_FIFO, TENON_QUEUE_WAIT, 1000);

	for (uint32_t i = 0; i < 64; i++)
		EXPECT_IS(put(queue, 1), 0);
	EXPECT_IS(put(queue, 1), -EAGAIN);
	queue = tenon_queue_close(queue);
}

static void test_lease_counts(void)
{
	struct tenon_queue *queue = make(TENON_QUEUE_FIFO, TENON_QUEUE_WAIT, 100);
	struct tenon_lease lease;

	EXPECT_IS(put(queue, 100), 0);
	EXPECT_IS(tenon_queue_take(queue, NULL, &lease), 0);
	EXPECT_IS(put(queue, 1), -EAGAIN);
	EXPECT_IS(tenon_queue_return(queue, &lease), 0);
	EXPECT_IS(put(queue, 1), -EAGAIN);
	EXPECT_IS(tenon_queue_take(queue, NULL, &lease), 0);
	EXPECT_IS(tenon_queue_done(queue, &lease), 0);
	EXPECT_IS(put(queue, 100), 0);
	queue = tenon_queue_close(queue);
}

static void test_batch(void)
{
	struct tenon_queue *queue = make(TENON_QUEUE_FIFO, TENON_QUEUE_WAIT, 250);
	struct tenon_send_options options = {.size = sizeof(options), .flags = TENON_NONBLOCK};
	struct tenon_slice slices[5];
	uint32_t sent;

	for (uint32_t i = 0; i < 5; i++)
		slices[i] = (struct tenon_slice){.data = bytes, .bytes = 100};
	EXPECT_IS(tenon_queue_send_batch(queue, slices, 5, &options, &sent), 0);
	EXPECT_IS(sent, 2);
	EXPECT_IS(tenon_queue_send_batch(queue, slices, 5, &options, &sent), -EAGAIN);
	EXPECT_IS(put(queue, 50), 0);
	EXPECT_IS((int64_t)queued(queue), 250);
	/* Of several kinds: some in the log, some in slots. */
	EXPECT_IS(tenon_queue_set_max_bytes(queue, 250 + 100 + LONG_BYTES + 100 + 99), 0);
	slices[1].bytes = LONG_BYTES;
	EXPECT_IS(tenon_queue_send_batch(queue, slices, 5, &options, &sent), 0);
	EXPECT_IS(sent, 3);
	queue = tenon_queue_close(queue);
}

static void test_loan(void)
{
	struct tenon_queue *queue = make(TENON_QUEUE_FIFO, TENON_QUEUE_WAIT, 100);
	struct tenon_send_options options = {.size = sizeof(options), .flags = TENON_NONBLOCK};
	struct tenon_loan loan;

	EXPECT_IS(put(queue, 50), 0);
	EXPECT_IS(tenon_queue_loan(queue, 51, &loan), 0);
	EXPECT_IS(tenon_queue_commit(queue, &loan, 51, &options), -EAGAIN);
	EXPECT_IS(tenon_queue_commit(queue, &loan, 50, &options), 0);
	EXPECT_IS((int64_t)queued(queue), 100);
	queue = tenon_queue_close(queue);
}

static void send_length(void *context)
{
	struct tenon_queue *queue = contract_open(NAME);

	EXPECT_IS(tenon_queue_send(queue, bytes, (uintptr_t)context, NULL), 0);
	queue = tenon_queue_close(queue);
}

static pid_t start_sender(struct tenon_queue *queue, uintptr_t length, uint32_t asleep)
{
	pid_t sender = contract_start(send_length, (void *)length);

	contract_await_senders(queue, asleep);
	return sender;
}

/* A long one that was woken in vain does not keep the wake to itself, in whatever order they fell asleep. */
static void short_beside_long(bool long_first)
{
	struct tenon_queue *queue = make(TENON_QUEUE_FIFO, TENON_QUEUE_WAIT, 100);
	pid_t large, small;

	EXPECT_IS(put(queue, 10), 0);
	EXPECT_IS(put(queue, 90), 0);
	large = long_first ? start_sender(queue, 100, 1) : 0;
	small = start_sender(queue, 10, long_first ? 2 : 1);
	if (!long_first)
		large = start_sender(queue, 100, 2);
	EXPECT_IS(get(queue), 10);
	contract_await(small);
	EXPECT_IS(get(queue), 90);
	contract_await_senders(queue, 1);
	EXPECT_IS(get(queue), 10);
	contract_await(large);
	EXPECT_IS(get(queue), 100);
	contract_expect_sound(queue);
	queue = tenon_queue_close(queue);
}

static void test_long_before_short(void)
{
	short_beside_long(true);
}

static void test_short_before_long(void)
{
	short_beside_long(false);
}

static void test_raised(void)
{
	struct tenon_queue *queue = make(TENON_QUEUE_TYPED, TENON_QUEUE_WAIT, 100);
	pid_t sender;

	EXPECT_IS(put(queue, 100), 0);
	sender = start_sender(queue, 150, 1);
	/* Not enough yet. */
	EXPECT_IS(tenon_queue_set_max_bytes(queue, 249), 0);
	contract_await_senders(queue, 1);
	EXPECT_IS(tenon_queue_set_max_bytes(queue, 250), 0);
	contract_await(sender);
	sender = start_sender(queue, 1, 1);
	EXPECT_IS(tenon_queue_set_max_bytes(queue, 0), 0);
	contract_await(sender);
	EXPECT_IS(put(queue, LONG_BYTES), 0);
	queue = tenon_queue_close(queue);
}

/* The bug: to lift the limit before anything was received woke nobody. */
static void test_lifted_at_first(void)
{
	struct tenon_queue *queue = make(TENON_QUEUE_FIFO, TENON_QUEUE_WAIT, 100);
	pid_t sender;

	EXPECT_IS(put(queue, 100), 0);
	sender = start_sender(queue, 1, 1);
	EXPECT_IS(tenon_queue_set_max_bytes(queue, 0), 0);
	contract_await(sender);
	queue = tenon_queue_close(queue);
}

/* The bug: a limit that was told of once was told of to nobody the next time. */
static void test_raised_again(void)
{
	struct tenon_queue *queue = make(TENON_QUEUE_FIFO, TENON_QUEUE_WAIT, 50);
	pid_t sender;

	EXPECT_IS(put(queue, 40), 0);
	sender = start_sender(queue, 70, 1);
	EXPECT_IS(tenon_queue_set_max_bytes(queue, 100), 0);
	contract_await_senders(queue, 1);
	contract_kill(sender);
	EXPECT_IS(tenon_queue_recover(queue, NULL), 0);
	EXPECT_IS(tenon_queue_set_max_bytes(queue, 50), 0);
	sender = start_sender(queue, 50, 1);
	EXPECT_IS(tenon_queue_set_max_bytes(queue, 100), 0);
	contract_await(sender);
	queue = tenon_queue_close(queue);
}

/* Below what is queued it only keeps senders waiting; and a queue that was made without one may get one. */
static void test_lowered(void)
{
	struct tenon_queue *queue = make(TENON_QUEUE_FIFO, TENON_QUEUE_WAIT, 0);
	struct tenon_queue *other = contract_open(NAME);
	pid_t sender;

	for (uint32_t i = 0; i < 4; i++)
		EXPECT_IS(put(queue, 100), 0);
	EXPECT_IS(tenon_queue_set_max_bytes(other, 200), 0);
	EXPECT_IS(put(queue, 0), -EAGAIN);
	sender = start_sender(queue, 100, 1);
	for (uint32_t i = 0; i < 2; i++) {
		EXPECT_IS(get(queue), 100);
		EXPECT_IS(put(queue, 1), -EAGAIN);
	}
	contract_await_senders(queue, 1);
	EXPECT_IS(get(queue), 100);
	contract_await(sender);
	EXPECT_IS((int64_t)queued(queue), 200);
	other = tenon_queue_close(other);
	queue = tenon_queue_close(queue);
}

static void test_fail(void)
{
	struct tenon_queue *queue = make(TENON_QUEUE_FIFO, TENON_QUEUE_FAIL, 100);

	EXPECT_IS(tenon_queue_send(queue, bytes, 101, NULL), -EAGAIN);
	EXPECT_IS(tenon_queue_send(queue, bytes, 100, NULL), 0);
	EXPECT_IS(tenon_queue_send(queue, bytes, 1, NULL), -EAGAIN);
	queue = tenon_queue_close(queue);
}

static void test_drop_oldest(void)
{
	struct tenon_queue *queue = make(TENON_QUEUE_FIFO, TENON_QUEUE_DROP_OLDEST, 100);
	struct tenon_queue_status status = {.size = sizeof(status)};

	EXPECT_IS(put(queue, 40), 0);
	EXPECT_IS(put(queue, 30), 0);
	EXPECT_IS(put(queue, 20), 0);
	/* As many as it takes. */
	EXPECT_IS(put(queue, 80), 0);
	EXPECT_IS((int64_t)queued(queue), 100);
	/* All of them would not be enough. */
	EXPECT_IS(put(queue, 101), -EAGAIN);
	EXPECT_IS((int64_t)queued(queue), 100);
	EXPECT_IS(tenon_queue_status(queue, &status), 0);
	EXPECT_IS((int64_t)status.dropped, 2);
	EXPECT_IS(get(queue), 20);
	EXPECT_IS(get(queue), 80);
	contract_expect_sound(queue);
	queue = tenon_queue_close(queue);
}

static void test_drop_newest(void)
{
	struct tenon_queue *queue = make(TENON_QUEUE_FIFO, TENON_QUEUE_DROP_NEWEST, 100);
	struct tenon_queue_status status = {.size = sizeof(status)};

	EXPECT_IS(put(queue, 60), 0);
	EXPECT_IS(put(queue, 41), 0);
	EXPECT_IS(put(queue, 40), 0);
	EXPECT_IS(tenon_queue_status(queue, &status), 0);
	EXPECT_IS((int64_t)status.dropped, 1);
	EXPECT_IS((int64_t)status.message_bytes, 100);
	queue = tenon_queue_close(queue);
}

static bool is_readable(int fd)
{
	struct pollfd entry = {.fd = fd, .events = POLLIN};

	return poll(&entry, 1, 0) == 1;
}

/* Room is for the longest message, or where nothing is queued. */
static void test_writable(void)
{
	struct tenon_queue *queue = make(TENON_QUEUE_FIFO, TENON_QUEUE_WAIT, LONG_BYTES + 100);
	int fd;

	EXPECT_IS(tenon_queue_writable_fd(queue, &fd), 0);
	EXPECT(is_writable(queue) && is_readable(fd));
	EXPECT_IS(put(queue, 100), 0);
	EXPECT(is_writable(queue) && is_readable(fd));
	EXPECT_IS(put(queue, 1), 0);
	EXPECT(!is_writable(queue) && !is_readable(fd));
	EXPECT_IS(tenon_queue_set_max_bytes(queue, LONG_BYTES + 101), 0);
	EXPECT(is_writable(queue) && is_readable(fd));
	EXPECT_IS(tenon_queue_set_max_bytes(queue, LONG_BYTES), 0);
	EXPECT(!is_writable(queue) && !is_readable(fd));
	EXPECT_IS(get(queue), 100);
	EXPECT_IS(get(queue), 1);
	EXPECT(is_writable(queue) && is_readable(fd));
	/* Nothing is queued: all that can be had. */
	EXPECT_IS(tenon_queue_set_max_bytes(queue, 10), 0);
	EXPECT(is_writable(queue) && is_readable(fd));
	queue = tenon_queue_close(queue);
}

static void wait_for_room(void *context)
{
	struct tenon_queue *queue = contract_open(NAME);
	uint32_t events = *(uint32_t *)context;

	EXPECT_IS(tenon_queue_wait(queue, events, TENON_NO_DEADLINE, &events), 0);
	EXPECT(events & TENON_WRITABLE);
	queue = tenon_queue_close(queue);
}

static void wait_in_set(void *context)
{
	struct tenon_queue *queue = contract_open(NAME);
	struct tenon_waitset_event event;
	struct tenon_waitset *set;
	uint32_t count;

	(void)context;
	EXPECT_IS(tenon_waitset_create(0, &set), 0);
	EXPECT_IS(tenon_waitset_add_queue(set, queue, TENON_WRITABLE, 0, NULL), 0);
	EXPECT_IS(tenon_waitset_wait(set, TENON_NO_DEADLINE, &event, 1, &count), 0);
	set = tenon_waitset_close(set);
	queue = tenon_queue_close(queue);
}

/* Whoever waits for room is told of a limit that was raised, in whatever way. */
static void test_waiters(void)
{
	struct tenon_queue *queue = make(TENON_QUEUE_FIFO, TENON_QUEUE_WAIT, 10);
	uint32_t room = TENON_WRITABLE;
	pid_t waiter[2];

	EXPECT_IS(put(queue, 1), 0);
	waiter[0] = contract_start(wait_for_room, &room);
	waiter[1] = contract_start(wait_in_set, NULL);
	contract_await_senders(queue, 2);
	EXPECT_IS(tenon_queue_set_max_bytes(queue, 1 + LONG_BYTES), 0);
	contract_await(waiter[0]);
	contract_await(waiter[1]);
	queue = tenon_queue_close(queue);
}

static void test_rendezvous(void)
{
	struct tenon_queue_options options = {.size = sizeof(options),
					      .capacity = TENON_QUEUE_RENDEZVOUS,
					      .max_message_bytes = 8,
					      .mode = 0600,
					      .max_bytes = 8};
	struct tenon_queue *queue;

	EXPECT_IS(tenon_queue_open(contract_folder, NAME, TENON_QUEUE_CREATE, &options, &queue),
		  -EINVAL);
	options.max_bytes = 0;
	queue = contract_create(NAME, &options);
	EXPECT_IS(tenon_queue_set_max_bytes(queue, 8), -EINVAL);
	EXPECT_IS(tenon_queue_set_max_bytes(NULL, 8), -EINVAL);
	queue = tenon_queue_close(queue);
}

/* Options of a header that did not know of it. */
static void test_older_options(void)
{
	struct tenon_queue_options options = {.size = offsetof(struct tenon_queue_options,
							       max_bytes),
					      .capacity = 4,
					      .max_message_bytes = 64,
					      .mode = 0600,
					      .max_bytes = 1};
	struct tenon_queue *queue = contract_create(NAME, &options);

	EXPECT_IS(put(queue, 64), 0);
	queue = tenon_queue_close(queue);
}

int main(void)
{
	static const struct contract_case cases[] = {
		{"what fits, of every length and order", test_fit, NULL},
		{"empty messages", test_empty_messages, NULL},
		{"the capacity holds as well", test_capacity, NULL},
		{"what is under lease counts", test_lease_counts, NULL},
		{"batches", test_batch, NULL},
		{"loans", test_loan, NULL},
		{"a long one waits before a short one", test_long_before_short, NULL},
		{"a short one waits before a long one", test_short_before_long, NULL},
		{"raised", test_raised, NULL},
		{"lifted before anything was received", test_lifted_at_first, NULL},
		{"raised again", test_raised_again, NULL},
		{"lowered below what is queued", test_lowered, NULL},
		{"fail", test_fail, NULL},
		{"drop oldest", test_drop_oldest, NULL},
		{"drop newest", test_drop_newest, NULL},
		{"writable", test_writable, NULL},
		{"who waits for room", test_waiters, NULL},
		{"not for a rendezvous", test_rendezvous, NULL},
		{"options of an older header", test_older_options, NULL},
	};

	return contract_main(cases, sizeof(cases) / sizeof(cases[0]));
}
