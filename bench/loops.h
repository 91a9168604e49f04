/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_LOOPS_H
#define BENCH_LOOPS_H

/*
 * The measuring loops, compiled once for each transport around its constant table of calls
 * (TRANSPORT_LOOPS), so that a rival's few instructions are inlined and nobody pays for an indirect
 * call.  All transports go through the same loops, checks and clocks.
 *
 * A message begins with its sequence number and its producer and ends with the sequence number
 * again; copied messages of 1 KiB and more also carry a pattern, of which one word is checked each
 * time.  A message out of order, torn, lost or doubled is a fault, and the row has no figure.
 *
 * A run has three parts: warm-up; the plain part, whose clock is read rarely and which gives the
 * figure; and, for round trips, the part in which each trip is timed for the quantiles.
 *
 * Where the asker sleeps between questions, what its sleeping costs is the benchmark's own and not
 * counted as processor time.
 *
 * A process that others kept from its CPU goes on until it has something to show.
 *
 * Where two processes have two CPUs, a pause of more than a millisecond in the plain part is a
 * stall: almost always somebody else's time slice.  Stalls are left out of the figure and their
 * share of the time is printed beside it.  Where processes share a CPU nothing is left out, since
 * a transport that burns time slices there does so by itself.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "atomics.h"
#include "bench.h"
#include "machine.h"

#define ALWAYS_INLINE static inline __attribute__((__always_inline__))

#define SEQUENCE_STOP UINT64_MAX
#define PATTERN_FACTOR UINT64_C(0x9e3779b97f4a7c15)
#define PATTERN_MIN_BYTES 1024u
#define TRIPS_BETWEEN_CLOCKS 4u

struct message_head {
	uint64_t sequence;
	uint32_t producer, key;
};

/* What a consumer expects next: exactly this if it is the only consumer, else at least this. */
struct expectation {
	uint64_t next[PROCESSES_MAX][KEYS_MAX];
	uint64_t received, sum;
};

/* The plain part, clock reading by clock reading. */
struct meter {
	uint64_t last_ticks, last_messages;
	uint64_t stall_limit_ticks; /* UINT64_MAX: none is left out */
	uint64_t elapsed_ticks, messages, stalled_ticks;
};

void meter_start(struct meter *meter, const struct run *run, uint64_t now, uint64_t messages,
		 uint32_t messages_between);
void meter_store(const struct meter *meter, struct process_result *result);

void loop_fault(struct run *run, const char *what, int error) __attribute__((__cold__));
void *loop_buffer(struct run *run);
uint64_t loop_gap(const struct run *run);

ALWAYS_INLINE void meter_read(struct meter *meter, uint64_t now, uint64_t messages)
{
	uint64_t ticks = now - meter->last_ticks;

	if (__builtin_expect(ticks > meter->stall_limit_ticks, 0)) {
		meter->stalled_ticks += ticks;
	} else {
		meter->elapsed_ticks += ticks;
		meter->messages += messages - meter->last_messages;
	}
	meter->last_ticks = now;
	meter->last_messages = messages;
}

/* Copies without a call where the size is the common one. */
ALWAYS_INLINE void copy_message(void *restrict to, const void *restrict from, size_t bytes)
{
	if (bytes == 64)
		memcpy(to, from, 64);
	else
		memcpy(to, from, bytes);
}

ALWAYS_INLINE void message_stamp(void *message, size_t bytes, uint64_t sequence, uint32_t producer,
				 uint32_t key)
{
	struct message_head head = {sequence, producer, key};

	memcpy(message, &head, sizeof(head));
	memcpy((char *)message + bytes - sizeof(sequence), &sequence, sizeof(sequence));
}

ALWAYS_INLINE uint64_t message_sequence(const void *message)
{
	uint64_t sequence;

	memcpy(&sequence, message, sizeof(sequence));
	return sequence;
}

ALWAYS_INLINE bool message_is_whole(const void *message, size_t bytes, uint64_t sequence,
				    bool has_pattern)
{
	uint64_t tail, word, index;

	memcpy(&tail, (const char *)message + bytes - sizeof(tail), sizeof(tail));
	if (!has_pattern || bytes < PATTERN_MIN_BYTES)
		return tail == sequence;
	index = 2 + sequence * 251 % (bytes / 8 - 4);
	memcpy(&word, (const char *)message + index * 8, sizeof(word));
	return tail == sequence && word == index * PATTERN_FACTOR;
}

ALWAYS_INLINE int loop_send(const struct transport_calls *calls, struct link *link, void *message,
			    size_t bytes, uint64_t key)
{
	int result;

	while ((result = calls->send(link, message, bytes, key)) == -EAGAIN)
		cpu_relax();
	return result;
}

ALWAYS_INLINE int loop_receive(const struct transport_calls *calls, struct link *link, void *buffer,
			       size_t bytes)
{
	int result;

	for (;;) {
		if (link->epoll_fd >= 0) {
			struct epoll_event event;

			if (epoll_wait(link->epoll_fd, &event, 1, -1) < 0 && errno != EINTR)
				return -errno;
		}
		result = calls->receive(link, buffer, bytes);
		if (result != -EAGAIN)
			return result;
		cpu_relax();
	}
}

/* One loaned message there, read where it lies. */
ALWAYS_INLINE int loop_send_loaned(const struct transport_calls *calls, struct link *link,
				   size_t bytes, uint64_t sequence, uint32_t producer)
{
	void *place;
	int result;

	while ((result = calls->loan(link, bytes, &place)) == -EAGAIN)
		cpu_relax();
	if (result < 0)
		return result;
	message_stamp(place, bytes, sequence, producer, 0);
	while ((result = calls->commit(link, bytes)) == -EAGAIN)
		cpu_relax();
	return result;
}

ALWAYS_INLINE int loop_take(const struct transport_calls *calls, struct link *link,
			    const void **ret_message)
{
	int result;

	while ((result = calls->take(link, ret_message)) == -EAGAIN)
		cpu_relax();
	return result;
}

ALWAYS_INLINE bool use_loans(const struct transport_calls *calls, const struct run *run)
{
	return calls->loan && run->shape.method == METHOD_LOAN;
}

ALWAYS_INLINE bool use_batches(const struct transport_calls *calls, const struct run *run)
{
	return calls->send_batch && run->shape.method == METHOD_BATCH;
}

/* A round trip as the asker sees it; false after a fault. */
ALWAYS_INLINE bool loop_trip(const struct transport_calls *calls, struct run *run, char *question,
			     char *answer, uint64_t sequence)
{
	size_t bytes = run->shape.bytes;
	int result;
	bool right;

	if (use_loans(calls, run)) {
		const void *place;

		result = loop_send_loaned(calls, &run->there, bytes, sequence, 0);
		if (result == 0)
			result = loop_take(calls, &run->back, &place);
		right = result == 0 && message_sequence(place) == sequence &&
			message_is_whole(place, bytes, sequence, false);
		if (result == 0)
			result = calls->done(&run->back);
	} else {
		message_stamp(question, bytes, sequence, 0, 0);
		result = loop_send(calls, &run->there, question, bytes, 0);
		if (result == 0)
			result = loop_receive(calls, &run->back, answer, bytes);
		right = result == 0 && message_sequence(answer) == sequence &&
			message_is_whole(answer, bytes, sequence, true);
	}
	if (result == 0 && right)
		return true;
	loop_fault(run, "round trip", result);
	return false;
}

ALWAYS_INLINE void loop_ask(const struct transport_calls *calls, struct run *run)
{
	struct process_result *result = &run->board->results[run->self];
	const struct run_board *board = run->board;
	char *question = loop_buffer(run), *answer = loop_buffer(run);
	uint64_t sequence = 0, start, now, cpu, gaps_cpu = 0;
	struct meter meter;

	do {
		loop_gap(run);
		if (!loop_trip(calls, run, question, answer, sequence++))
			return;
	} while (ticks_now() < board->warm_ticks);
	cpu = process_cpu_ns();
	start = now = ticks_now();
	meter_start(&meter, run, now, sequence, TRIPS_BETWEEN_CLOCKS);
	while (now < board->plain_ticks || (meter.messages == 0 && run->shape.gap_ns == 0)) {
		for (uint32_t i = 0; i < TRIPS_BETWEEN_CLOCKS; i++) {
			if (!loop_trip(calls, run, question, answer, sequence++))
				return;
		}
		now = ticks_now();
		meter_read(&meter, now, sequence);
	}
	meter_store(&meter, result);
	while (now < board->end_ticks || board->trips.count == 0) {
		uint64_t before;

		gaps_cpu += loop_gap(run);
		before = ticks_now();
		if (!loop_trip(calls, run, question, answer, sequence++))
			return;
		now = ticks_now();
		histogram_add(&run->board->trips, now - before);
	}
	result->cpu_ns = process_cpu_ns() - cpu - gaps_cpu;
	result->cpu_window_ticks = ticks_now() - start;
	if (use_loans(calls, run)) {
		loop_send_loaned(calls, &run->there, run->shape.bytes, SEQUENCE_STOP, 0);
	} else {
		message_stamp(question, run->shape.bytes, SEQUENCE_STOP, 0, 0);
		loop_send(calls, &run->there, question, run->shape.bytes, 0);
	}
}

/* Receives a question and sends it back; its sequence number, or SEQUENCE_STOP at the end. */
ALWAYS_INLINE uint64_t loop_reply(const struct transport_calls *calls, struct run *run,
				  char *buffer)
{
	size_t bytes = run->shape.bytes;
	uint64_t sequence = SEQUENCE_STOP;
	int result;

	if (use_loans(calls, run)) {
		const void *place;

		result = loop_take(calls, &run->there, &place);
		if (result == 0) {
			sequence = message_sequence(place);
			if (sequence != SEQUENCE_STOP)
				result = loop_send_loaned(calls, &run->back, bytes, sequence, 0);
			if (result == 0)
				result = calls->done(&run->there);
		}
	} else {
		result = loop_receive(calls, &run->there, buffer, bytes);
		sequence = message_sequence(buffer);
		if (result == 0 && sequence != SEQUENCE_STOP)
			result = loop_send(calls, &run->back, buffer, bytes, 0);
	}
	if (result < 0) {
		loop_fault(run, "answer", result);
		return SEQUENCE_STOP;
	}
	return sequence;
}

ALWAYS_INLINE void loop_answer(const struct transport_calls *calls, struct run *run)
{
	struct process_result *result = &run->board->results[run->self];
	char *buffer = loop_buffer(run);
	uint64_t cpu, start;

	do {
		if (loop_reply(calls, run, buffer) == SEQUENCE_STOP)
			return;
	} while (ticks_now() < run->board->warm_ticks);
	cpu = process_cpu_ns();
	start = ticks_now();
	while (loop_reply(calls, run, buffer) != SEQUENCE_STOP)
		;
	result->cpu_ns = process_cpu_ns() - cpu;
	result->cpu_window_ticks = ticks_now() - start;
}

/* Sends `count` messages from `sequence` on. */
ALWAYS_INLINE int loop_produce_some(const struct transport_calls *calls, struct run *run,
				    char *buffer, uint64_t sequence, uint32_t count)
{
	size_t bytes = run->shape.bytes;
	uint32_t self = run->self, sent = 0;
	int result;

	if (use_batches(calls, run)) {
		for (uint32_t i = 0; i < count; i++)
			message_stamp(buffer + i * bytes, bytes, sequence + i, self, 0);
		while (sent < count) {
			result = calls->send_batch(&run->there, buffer + sent * bytes, bytes,
						   count - sent);
			if (result < 0 && result != -EAGAIN)
				return result;
			if (result > 0)
				sent += (uint32_t)result;
			else
				cpu_relax();
		}
		return 0;
	}
	for (uint32_t i = 0; i < count; i++) {
		uint32_t key = (uint32_t)(sequence + i) & (run->shape.keys - 1);

		if (use_loans(calls, run)) {
			result = loop_send_loaned(calls, &run->there, bytes, sequence + i, self);
		} else {
			message_stamp(buffer, bytes, sequence + i, self, key);
			result = loop_send(calls, &run->there, buffer, bytes, key);
		}
		if (result < 0)
			return result;
	}
	return 0;
}

ALWAYS_INLINE int loop_send_stop(const struct transport_calls *calls, struct run *run, char *buffer)
{
	if (use_loans(calls, run))
		return loop_send_loaned(calls, &run->there, run->shape.bytes, SEQUENCE_STOP, 0);
	message_stamp(buffer, run->shape.bytes, SEQUENCE_STOP, 0, 0);
	if (use_batches(calls, run)) {
		int result;

		while ((result = calls->send_batch(&run->there, buffer, run->shape.bytes, 1)) ==
		       -EAGAIN)
			cpu_relax();
		return result < 0 ? result : 0;
	}
	return loop_send(calls, &run->there, buffer, run->shape.bytes, 0);
}

ALWAYS_INLINE void loop_produce(const struct transport_calls *calls, struct run *run)
{
	struct process_result *result = &run->board->results[run->self];
	char *buffer = loop_buffer(run);
	uint32_t chunk = run->shape.bytes > 4096 ? 4 : BATCH_MAX;
	uint64_t until = run->board->plain_ticks, least = (until - run->board->warm_ticks) / 4;
	uint64_t sequence = 0, cpu = 0, start = 0, now;
	int error = 0;

	if (use_batches(calls, run))
		chunk = run->shape.depth < BATCH_MAX ? run->shape.depth : BATCH_MAX;
	while ((now = ticks_now()) < until || start == 0) {
		if (start == 0 && now >= run->board->warm_ticks) {
			start = now;
			if (until < start + least)
				until = start + least;
			cpu = process_cpu_ns();
		}
		error = loop_produce_some(calls, run, buffer, sequence, chunk);
		if (error < 0)
			break;
		sequence += chunk;
	}
	result->cpu_ns = process_cpu_ns() - cpu;
	result->cpu_window_ticks = now - start;
	result->sent = sequence;
	result->sent_sum = sequence & 1 ? sequence * ((sequence - 1) / 2)
					: sequence / 2 * (sequence - 1);
	/* Who is last stops the consumers; or everybody the one. */
	if (error == 0 &&
	    (calls->ends_each || add_ordered32(&run->board->producers_left, UINT32_MAX) == 0)) {
		for (uint32_t i = 0; i < run->shape.consumers && error == 0; i++)
			error = loop_send_stop(calls, run, buffer);
	}
	if (error < 0)
		loop_fault(run, "send", error);
}

/* Checks one message; false on a fault.  A stop message is the caller's. */
ALWAYS_INLINE bool loop_expect(struct run *run, struct expectation *expected, const void *message,
			       bool has_pattern)
{
	struct message_head head;
	uint64_t *next;

	memcpy(&head, message, sizeof(head));
	if (head.producer >= PROCESSES_MAX || head.key >= KEYS_MAX)
		return false;
	next = &expected->next[head.producer][head.key];
	if (run->shape.consumers == 1 ? head.sequence != *next : head.sequence < *next)
		return false;
	*next = head.sequence + run->shape.keys;
	expected->received++;
	expected->sum += head.sequence;
	return message_is_whole(message, run->shape.bytes, head.sequence, has_pattern);
}

/* Receives once and checks; how many stop messages came, or -errno.  A message that should not be
 * is -EILSEQ. */
ALWAYS_INLINE int loop_consume_some(const struct transport_calls *calls, struct run *run,
				    struct expectation *expected, char *buffer)
{
	size_t bytes = run->shape.bytes;
	int result, count = 1, stops = 0;

	if (use_loans(calls, run)) {
		const void *place;

		result = loop_take(calls, &run->there, &place);
		if (result < 0)
			return result;
		if (message_sequence(place) == SEQUENCE_STOP)
			stops = 1;
		else if (!loop_expect(run, expected, place, false))
			return -EILSEQ;
		result = calls->done(&run->there);
		return result < 0 ? result : stops;
	}
	if (use_batches(calls, run)) {
		while ((count = calls->receive_batch(&run->there, buffer, bytes, BATCH_MAX)) ==
		       -EAGAIN)
			cpu_relax();
		if (count < 0)
			return count;
	} else {
		result = loop_receive(calls, &run->there, buffer, bytes);
		if (result < 0)
			return result;
	}
	for (int i = 0; i < count; i++, buffer += bytes) {
		if (message_sequence(buffer) == SEQUENCE_STOP)
			stops++;
		else if (!loop_expect(run, expected, buffer, true))
			return -EILSEQ;
	}
	return stops;
}

ALWAYS_INLINE void loop_consume(const struct transport_calls *calls, struct run *run)
{
	struct process_result *result = &run->board->results[run->self];
	uint32_t rounds_usual = run->shape.bytes > 65536 ? 1 : run->shape.bytes > 4096 ? 4 : 64;
	uint32_t rounds_between = calls->rounds_between ? calls->rounds_between : rounds_usual;
	uint64_t cpu = 0, start = 0;
	struct expectation expected = {0};
	struct meter meter = {0};
	char *buffer = loop_buffer(run);
	int stops = 0, stops_due = calls->ends_each ? (int)run->shape.producers : 1;

	for (uint32_t i = 0; i < PROCESSES_MAX; i++) {
		for (uint32_t key = 0; key < KEYS_MAX; key++)
			expected.next[i][key] = key;
	}
	do {
		uint64_t now;

		for (uint32_t i = 0; i < rounds_between && stops >= 0 && stops < stops_due; i++) {
			int some = loop_consume_some(calls, run, &expected, buffer);

			stops = some < 0 ? some : stops + some;
		}
		now = ticks_now();
		if (start > 0) {
			meter_read(&meter, now, expected.received);
		} else if (now >= run->board->warm_ticks) {
			start = now;
			cpu = process_cpu_ns();
			meter_start(&meter, run, now, expected.received, rounds_between);
		}
	} while (stops >= 0 && stops < stops_due);
	meter_store(&meter, result);
	result->cpu_window_ticks = start ? ticks_now() - start : 0;
	result->cpu_ns = process_cpu_ns() - cpu;
	result->received = expected.received;
	result->received_sum = expected.sum;
	/* A batch may have brought other consumers' stop messages. */
	while (stops > stops_due) {
		int error = loop_send_stop(calls, run, buffer);

		stops = error < 0 ? error : stops - 1;
	}
	if (stops < 0)
		loop_fault(run, stops == -EILSEQ ? "message" : "receive", stops);
}

#define TRANSPORT_LOOPS(id)                                                        \
	static void id##_ask(struct run *run)                                      \
	{                                                                          \
		loop_ask(&id##_calls, run);                                        \
	}                                                                          \
	static void id##_answer(struct run *run)                                   \
	{                                                                          \
		loop_answer(&id##_calls, run);                                     \
	}                                                                          \
	static void id##_produce(struct run *run)                                  \
	{                                                                          \
		loop_produce(&id##_calls, run);                                    \
	}                                                                          \
	static void id##_consume(struct run *run)                                  \
	{                                                                          \
		loop_consume(&id##_calls, run);                                    \
	}                                                                          \
	static const struct transport_loops id##_loops = {.ask = id##_ask,         \
							  .answer = id##_answer,   \
							  .produce = id##_produce, \
							  .consume = id##_consume};

#endif
