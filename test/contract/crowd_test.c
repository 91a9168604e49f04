/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Many on one queue: 32 and 64 processes, and 8 processes of 4 threads, half of them senders, with
 * every order and with room for one message, for a few, and without a bound.  Each message arrives
 * once and whole, a sender's messages keep their order as far as the queue's order lets them, the
 * statistics add up, and nobody sleeps for ever: no call has a deadline, the watchdog has.
 */

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "contract.h"

#define WORKERS_MOST 64u
/* In all; a sanitizer takes ten times as long for each. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define MESSAGES 2304u
#endif
#endif
#ifndef MESSAGES
#define MESSAGES 9216u
#endif
#define KEYS 4u
#define LONGEST 6000u /* a slot's; shorter ones lie in the log of a FIFO queue */
#define BATCH 3u

struct shape {
	uint32_t processes, threads;
	uint32_t order;
	uint64_t capacity;
};

/* What a message says. */
struct text {
	uint32_t sender, number;
};

static struct shared {
	uint32_t received, faults;
	uint8_t seen[MESSAGES];
	/* By sender and number: its place in the queue, + 1. */
	uint64_t sequence[MESSAGES];
	uint8_t place_taken[MESSAGES];
} * shared;

static struct shape shape;
static struct tenon_queue *queue; /* each process's own */

static uint32_t senders(void)
{
	return shape.processes * shape.threads / 2;
}

static uint32_t numbers(void)
{
	return MESSAGES / senders();
}

static uint64_t key_of(uint32_t number)
{
	return shape.order == TENON_QUEUE_FIFO ? 0 : number % KEYS;
}

static uint64_t bytes_of(const struct text *text)
{
	uint64_t lengths[] = {sizeof(*text), 100, 1000, LONGEST};

	return lengths[(text->sender + text->number) % 4];
}

static void fault(const char *what, const struct text *text)
{
	if (__atomic_fetch_add(&shared->faults, 1, __ATOMIC_SEQ_CST) < 10)
		printf("# %s: message %u of sender %u\n", what, text->number, text->sender);
}

static void write_text(char *buffer, const struct text *text)
{
	memset(buffer, (int)(text->sender * 7 + text->number), bytes_of(text));
	memcpy(buffer, text, sizeof(*text));
}

static void send_all(uint32_t sender)
{
	struct tenon_send_options options = {.size = sizeof(options)};
	struct text text = {.sender = sender};
	static __thread char buffer[BATCH][LONGEST];
	bool in_batches = sender % 4 == 3;
	int result = 0;

	while (text.number < numbers() && result == 0) {
		struct tenon_slice slices[BATCH];
		uint32_t count = 0, sent = 1;

		options.key = key_of(text.number);
		do {
			struct text next = {.sender = sender, .number = text.number + count};

			write_text(buffer[count], &next);
			slices[count] = (struct tenon_slice){buffer[count], bytes_of(&next)};
			count++;
		} while (in_batches && count < BATCH && text.number + count < numbers() &&
			 key_of(text.number + count) == options.key);
		result = in_batches ? tenon_queue_send_batch(queue, slices, count, &options, &sent)
				    : tenon_queue_send(queue, buffer[0], slices[0].bytes, &options);
		if (result == 0)
			text.number += sent;
	}
	if (result != 0)
		fault(strerror(-result), &text);
}

/* What one receiver has seen last of each sender, by key. */
struct memory {
	uint64_t sequence; /* + 1 */
	uint32_t number[WORKERS_MOST][KEYS];
};

static void note(struct memory *memory, const char *buffer, const struct tenon_message *message)
{
	char expected[LONGEST];
	struct text text;
	uint32_t index, *last;

	memcpy(&text, buffer, sizeof(text));
	if (text.sender >= senders() || text.number >= numbers()) {
		fault("unknown", &text);
		return;
	}
	write_text(expected, &text);
	if (message->bytes != bytes_of(&text) || memcmp(buffer, expected, message->bytes) != 0)
		fault("torn", &text);
	if (message->key != key_of(text.number) || message->deliveries != 0)
		fault("mislabelled", &text);
	index = text.sender * numbers() + text.number;
	if (__atomic_fetch_add(&shared->seen[index], 1, __ATOMIC_SEQ_CST) != 0)
		fault("doubled", &text);
	if (message->sequence >= MESSAGES ||
	    __atomic_fetch_add(&shared->place_taken[message->sequence], 1, __ATOMIC_SEQ_CST) != 0)
		fault("out of place", &text);
	shared->sequence[index] = message->sequence + 1;
	if (shape.order == TENON_QUEUE_FIFO && message->sequence + 1 <= memory->sequence)
		fault("received too late", &text);
	memory->sequence = message->sequence + 1;
	last = &memory->number[text.sender][key_of(text.number)];
	if (text.number + 1 <= *last)
		fault("behind a later one", &text);
	*last = text.number + 1;
	__atomic_fetch_add(&shared->received, 1, __ATOMIC_SEQ_CST);
}

/* Receives until it is killed.  Of a typed queue, some take one type only: whoever takes any sees to
 * it that nothing is in their way. */
static void receive_all(uint32_t receiver)
{
	struct tenon_receive_options options = {.size = sizeof(options)};
	static __thread struct memory memory;
	static __thread char buffer[LONGEST];
	struct tenon_message message;
	int result;

	if (shape.order == TENON_QUEUE_TYPED) {
		static const uint32_t select[] = {TENON_SELECT_ANY, TENON_SELECT_EXACTLY,
						  TENON_SELECT_ALL_BUT, TENON_SELECT_LOWEST_TO};

		options.select = select[receiver % 4];
		options.select_key = receiver % 4 == 0 ? 0 : receiver / 4 % KEYS;
	}
	do {
		result = tenon_queue_receive(queue, buffer, sizeof(buffer), &options, &message);
		if (result == 0)
			note(&memory, buffer, &message);
	} while (result == 0);
	fault(strerror(-result), &(struct text){.sender = receiver});
}

static void *work(void *context)
{
	uint32_t index = (uint32_t)(uintptr_t)context;

	/* Every second one sends. */
	if (index % 2 == 0)
		send_all(index / 2);
	else
		receive_all(index / 2);
	return NULL;
}

/* A process's threads do the same: all send or all receive. */
static void work_in_threads(void *context)
{
	uint32_t process = (uint32_t)(uintptr_t)context;
	pthread_t thread[8];

	queue = contract_open("/crowd");
	for (uint32_t i = 0; i < shape.threads; i++) {
		uint32_t worker = 2 * (process / 2 * shape.threads + i) + process % 2;

		REQUIRE(pthread_create(&thread[i], NULL, work, (void *)(uintptr_t)worker) == 0);
	}
	for (uint32_t i = 0; i < shape.threads; i++)
		pthread_join(thread[i], NULL);
	queue = tenon_queue_close(queue);
}

static void expect_figures(void)
{
	struct tenon_queue_status status = {.size = sizeof(status)};
	uint64_t bytes = 0;

	for (uint32_t sender = 0; sender < senders(); sender++) {
		for (uint32_t i = 0; i < numbers(); i++) {
			struct text text = {.sender = sender, .number = i};
			const uint64_t *sequence = &shared->sequence[sender * numbers() + i];

			bytes += bytes_of(&text);
			if (i > 0 && sequence[0] <= sequence[-1])
				fault("sent behind a later one", &text);
		}
	}
	EXPECT_IS(tenon_queue_status(queue, &status), 0);
	EXPECT_IS((int64_t)status.sent, MESSAGES);
	EXPECT_IS((int64_t)status.received, MESSAGES);
	EXPECT_IS((int64_t)status.sent_bytes, (int64_t)bytes);
	EXPECT_IS((int64_t)status.received_bytes, (int64_t)bytes);
	EXPECT_IS((int64_t)(status.dropped + status.redelivered + status.repairs), 0);
	EXPECT(status.high_messages >= 1 && status.high_messages <= shape.capacity);
	EXPECT_IS((int64_t)status.message_bytes, 0);
}

static void crowd(struct shape wanted)
{
	struct tenon_queue_options options = {.size = sizeof(options),
					      .order = wanted.order,
					      .capacity = wanted.capacity,
					      .max_message_bytes = LONGEST};
	struct tenon_queue_status status = {.size = sizeof(status)};
	pid_t child[WORKERS_MOST];
	uint32_t freed;

	shape = wanted;
	shared = contract_share(sizeof(*shared));
	queue = contract_create("/crowd", &options);
	for (uint32_t i = 0; i < shape.processes; i++)
		child[i] = contract_start(work_in_threads, (void *)(uintptr_t)i);
	for (uint32_t i = 0; i < shape.processes; i += 2)
		contract_await(child[i]);
	while (__atomic_load_n(&shared->received, __ATOMIC_SEQ_CST) < MESSAGES)
		sched_yield();
	expect_figures();
	/* A receiver that had nothing to do may still be about to attach. */
	do
		EXPECT_IS(tenon_queue_status(queue, &status), 0);
	while (status.participants != 1 + shape.processes / 2);
	for (uint32_t i = 1; i < shape.processes; i += 2)
		contract_kill(child[i]);
	EXPECT_IS(tenon_queue_recover(queue, &freed), 0);
	EXPECT_IS(tenon_queue_status(queue, &status), 0);
	EXPECT_IS(status.participants, 1);
	EXPECT_IS(shared->faults, 0);
	contract_expect_sound(queue);
	queue = tenon_queue_close(queue);
}

static const struct shape shapes[] = {
	{32, 1, TENON_QUEUE_FIFO, 1},
	{32, 1, TENON_QUEUE_FIFO, 7},
	{32, 1, TENON_QUEUE_FIFO, TENON_QUEUE_UNBOUNDED},
	{32, 1, TENON_QUEUE_PRIORITY, 1},
	{32, 1, TENON_QUEUE_PRIORITY, 7},
	{32, 1, TENON_QUEUE_PRIORITY, TENON_QUEUE_UNBOUNDED},
	{32, 1, TENON_QUEUE_TYPED, 1},
	{32, 1, TENON_QUEUE_TYPED, 7},
	{32, 1, TENON_QUEUE_TYPED, TENON_QUEUE_UNBOUNDED},
	{64, 1, TENON_QUEUE_FIFO, 1},
	{64, 1, TENON_QUEUE_FIFO, 7},
	{64, 1, TENON_QUEUE_FIFO, TENON_QUEUE_UNBOUNDED},
	{64, 1, TENON_QUEUE_PRIORITY, 1},
	{64, 1, TENON_QUEUE_PRIORITY, 7},
	{64, 1, TENON_QUEUE_PRIORITY, TENON_QUEUE_UNBOUNDED},
	{64, 1, TENON_QUEUE_TYPED, 1},
	{64, 1, TENON_QUEUE_TYPED, 7},
	{64, 1, TENON_QUEUE_TYPED, TENON_QUEUE_UNBOUNDED},
	{8, 4, TENON_QUEUE_FIFO, 1},
	{8, 4, TENON_QUEUE_FIFO, 7},
	{8, 4, TENON_QUEUE_FIFO, TENON_QUEUE_UNBOUNDED},
	{8, 4, TENON_QUEUE_PRIORITY, 1},
	{8, 4, TENON_QUEUE_PRIORITY, 7},
	{8, 4, TENON_QUEUE_PRIORITY, TENON_QUEUE_UNBOUNDED},
	{8, 4, TENON_QUEUE_TYPED, 1},
	{8, 4, TENON_QUEUE_TYPED, 7},
	{8, 4, TENON_QUEUE_TYPED, TENON_QUEUE_UNBOUNDED},
};

#define SHAPES (sizeof(shapes) / sizeof(shapes[0]))

static void run_shape(void)
{
	crowd(shapes[contract_case_index]);
}

int main(void)
{
	static const char *const orders[] = {"fifo", "priority", "typed"};
	static struct contract_case cases[SHAPES];
	static char names[SHAPES][80];

	for (uint32_t i = 0; i < SHAPES; i++) {
		char room[32] = "without bound";

		if (shapes[i].capacity != TENON_QUEUE_UNBOUNDED)
			snprintf(room, sizeof(room), "capacity %u", (unsigned)shapes[i].capacity);
		snprintf(names[i], sizeof(names[i]), "%u processes of %u threads, %s, %s",
			 shapes[i].processes, shapes[i].threads, orders[shapes[i].order], room);
		cases[i] = (struct contract_case){.name = names[i], .run = run_shape};
	}
	return contract_main(cases, SHAPES);
}
