/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_SYNC_H
#define BENCH_SYNC_H

/*
 * Locks, and what processes wait for each other with, as transports.  An object is a constant table
 * of two steps, around which the loops are compiled (SYNC_LOOPS), as loops.h does it.
 *
 * Pairs: acquire, release, again and again, in one process or in several at once.  Where there are
 * several, what they do in between is to count in plain memory: a pair that is missing there at the
 * end was not alone, and fails the row.
 *
 * Round trips: the asker writes a payload and releases; the answerer acquires, reads it, and does
 * the same with an object of the other direction.  So they carry what the bare futex carries, and
 * the checks are the same.
 */

#include <pthread.h>
#include <semaphore.h>

#include "loops.h"

#define PAIRS_BETWEEN_CLOCKS 16u

/* 0 or -errno; -EAGAIN: it would have to wait, and the row polls. */
struct sync_calls {
	int (*acquire)(struct link *link);
	int (*release)(struct link *link);
};

/* Of one direction. */
struct sync_shared {
	_Alignas(LINE_BYTES) pthread_mutex_t mutex; /* the rivals' own */
	pthread_cond_t condition;
	_Alignas(LINE_BYTES) sem_t semaphore;
	_Alignas(LINE_BYTES) pthread_barrier_t barrier;
	_Alignas(LINE_BYTES) char payload[64];
	uint32_t turn;			     /* what a condition is about; under its lock */
	_Alignas(LINE_BYTES) uint64_t pairs; /* counted by who holds the lock */
};

static inline bool sync_is_polled(const struct link *link)
{
	return link->shape->wait == WAIT_POLL;
}

/* A semaphore that is a lock is free at first; what a round trip waits for has yet to come. */
static inline uint32_t sync_first_count(const struct link *link)
{
	return link->shape->pattern == PAIRS ? 1 : 0;
}

ALWAYS_INLINE int sync_send(const struct sync_calls *calls, struct link *link, const void *message)
{
	memcpy(((struct sync_shared *)link->shared)->payload, message, 64);
	return calls->release(link);
}

ALWAYS_INLINE int sync_receive(const struct sync_calls *calls, struct link *link, void *buffer)
{
	int result = calls->acquire(link);

	if (result == 0)
		memcpy(buffer, ((struct sync_shared *)link->shared)->payload, 64);
	return result;
}

/* False after a fault. */
ALWAYS_INLINE bool sync_pair(const struct sync_calls *calls, struct run *run, bool has_others)
{
	struct link *link = &run->there;
	int result;

	while ((result = calls->acquire(link)) == -EAGAIN)
		cpu_relax();
	if (has_others && result == 0)
		((struct sync_shared *)link->shared)->pairs++;
	if (result == 0)
		result = calls->release(link);
	if (__builtin_expect(result == 0, 1))
		return true;
	loop_fault(run, "pair", result);
	return false;
}

/* How many pairs there were before `until`, from `pairs` on; 0 after a fault. */
ALWAYS_INLINE uint64_t sync_pairs(const struct sync_calls *calls, struct run *run,
				  struct meter *meter, uint64_t pairs, uint64_t until)
{
	bool has_others = run->shape.producers > 1;
	uint64_t now;

	do {
		for (uint32_t i = 0; i < PAIRS_BETWEEN_CLOCKS; i++) {
			if (!sync_pair(calls, run, has_others))
				return 0;
		}
		pairs += PAIRS_BETWEEN_CLOCKS;
		now = ticks_now();
		meter_read(meter, now, pairs);
	} while (now < until);
	return pairs;
}

/* Each timed by itself. */
ALWAYS_INLINE uint64_t sync_timed_pairs(const struct sync_calls *calls, struct run *run,
					uint64_t pairs)
{
	uint64_t before, now;

	do {
		before = ticks_now();
		if (!sync_pair(calls, run, false))
			return 0;
		now = ticks_now();
		histogram_add(&run->board->trips, now - before);
		pairs++;
	} while (now < run->board->end_ticks);
	return pairs;
}

ALWAYS_INLINE void loop_hold(const struct sync_calls *calls, struct run *run)
{
	struct process_result *result = &run->board->results[run->self];
	const struct run_board *board = run->board;
	const struct sync_shared *shared = run->there.shared;
	struct meter meter;
	uint64_t pairs, cpu, start;

	meter_start(&meter, run, ticks_now(), 0, PAIRS_BETWEEN_CLOCKS);
	pairs = sync_pairs(calls, run, &meter, 0, board->warm_ticks);
	cpu = process_cpu_ns();
	start = ticks_now();
	meter_start(&meter, run, start, pairs, PAIRS_BETWEEN_CLOCKS);
	/* Who was kept from its CPU until now has had no part. */
	if (pairs > 0 && (run->shape.producers == 1 || start < board->plain_ticks))
		pairs = sync_pairs(calls, run, &meter, pairs, board->plain_ticks);
	meter_store(&meter, result);
	if (pairs > 0 && run->shape.producers == 1)
		pairs = sync_timed_pairs(calls, run, pairs);
	result->cpu_ns = process_cpu_ns() - cpu;
	result->cpu_window_ticks = ticks_now() - start;
	result->sent = pairs;
	if (run->shape.producers == 1)
		result->received = pairs;
	else if (add_ordered32(&run->board->producers_left, UINT32_MAX) == 0)
		result->received = shared->pairs;
}

#define SYNC_LOOPS(id)                                                                            \
	ALWAYS_INLINE int id##_send(struct link *link, void *message, size_t bytes, uint64_t key) \
	{                                                                                         \
		(void)bytes;                                                                      \
		(void)key;                                                                        \
		return sync_send(&id##_sync, link, message);                                      \
	}                                                                                         \
	ALWAYS_INLINE int id##_receive(struct link *link, void *buffer, size_t bytes)             \
	{                                                                                         \
		(void)bytes;                                                                      \
		return sync_receive(&id##_sync, link, buffer);                                    \
	}                                                                                         \
	static const struct transport_calls id##_calls = {.send = id##_send,                      \
							  .receive = id##_receive};               \
	static void id##_ask(struct run *run)                                                     \
	{                                                                                         \
		loop_ask(&id##_calls, run);                                                       \
	}                                                                                         \
	static void id##_answer(struct run *run)                                                  \
	{                                                                                         \
		loop_answer(&id##_calls, run);                                                    \
	}                                                                                         \
	static void id##_hold(struct run *run)                                                    \
	{                                                                                         \
		loop_hold(&id##_sync, run);                                                       \
	}                                                                                         \
	static const struct transport_loops id##_loops = {                                        \
		.ask = id##_ask, .answer = id##_answer, .hold = id##_hold};

/* Why an object cannot do this, or NULL: by what it can do. */
#define SYNC_PAIRS 1u
#define SYNC_TRIPS 2u
#define SYNC_POLLED 4u /* it has a call that does not wait */

static inline const char *sync_refuse(const struct shape *shape, uint32_t can)
{
	if (shape->pattern == PAIRS)
		return can & SYNC_PAIRS ? NULL : "is no lock";
	if (shape->pattern != ROUND_TRIP || !(can & SYNC_TRIPS))
		return "is no message";
	if (shape->bytes != 64 || shape->method != METHOD_COPY)
		return "round trips of 64 bytes only";
	if (shape->wait == WAIT_EPOLL || (shape->wait == WAIT_POLL && !(can & SYNC_POLLED)))
		return "blocks only";
	return NULL;
}

static inline const char *refuse_all_but_pairs(const struct shape *shape)
{
	return sync_refuse(shape, SYNC_PAIRS);
}

static inline const char *refuse_all_but_trips(const struct shape *shape)
{
	return sync_refuse(shape, SYNC_TRIPS);
}

static inline const char *refuse_unless_semaphore(const struct shape *shape)
{
	return sync_refuse(shape, SYNC_PAIRS | SYNC_TRIPS | SYNC_POLLED);
}

#endif
