// SPDX-License-Identifier: Apache-2.0
/*
 * The unsafe rival for many producers and consumers: the bounded ring with a turn number in each
 * cell, as Dmitry Vyukov described it.  A process that dies between taking a place and publishing it
 * stops everybody for ever; that is what it saves.
 *
 * WAIT_POLL leaves waiting to the caller.  WAIT_BLOCK waits adaptively: it looks for a while, then
 * says that it sleeps, looks again and sleeps; who changes something and sees a sleeper wakes one.
 */

#include <limits.h>

#include "futex.h"
#include "loops.h"
#include "transports.h"

#define SPIN_LOOKS 400u

struct cell {
	uint64_t turn;
	char payload[];
};

/* Those who sleep for one thing: for messages, or for room. */
struct sleepers {
	_Alignas(LINE_BYTES) uint32_t marked, epoch;
};

struct mpmc {
	_Alignas(LINE_BYTES) uint64_t enqueue_position;
	_Alignas(LINE_BYTES) uint64_t dequeue_position;
	struct sleepers senders, receivers;
	_Alignas(LINE_BYTES) char cells[];
};

static const char *refuse(const struct shape *shape)
{
	if (shape->method != METHOD_COPY)
		return "one at a time, copied";
	if (shape->wait == WAIT_POLL && shape->same_cpu)
		return "polling on one CPU";
	return shape->wait == WAIT_EPOLL ? "has no descriptor" : NULL;
}

ALWAYS_INLINE struct cell *cell_of(struct link *link, uint64_t position)
{
	struct mpmc *ring = link->shared;

	return (struct cell *)(ring->cells + (position & link->mask) * link->stride);
}

static int create(struct link *link)
{
	int result;

	link->stride = (sizeof(struct cell) + link->shape->bytes + 63) & ~(size_t)63;
	link->mask = link->shape->depth - 1;
	result = link_map(link, sizeof(struct mpmc) + link->stride * link->shape->depth);
	for (uint64_t i = 0; result == 0 && i <= link->mask; i++)
		cell_of(link, i)->turn = i;
	return result;
}

ALWAYS_INLINE int try_send(struct link *link, const void *message, size_t bytes)
{
	struct mpmc *ring = link->shared;
	uint64_t position = load_relaxed(&ring->enqueue_position);
	struct cell *cell;

	for (;;) {
		int64_t ahead;

		cell = cell_of(link, position);
		ahead = (int64_t)(load_acquire(&cell->turn) - position);
		if (ahead < 0)
			return -EAGAIN;
		if (ahead > 0)
			position = load_relaxed(&ring->enqueue_position);
		else if (swap_relaxed(&ring->enqueue_position, &position, position + 1))
			break;
	}
	copy_message(cell->payload, message, bytes);
	store_release(&cell->turn, position + 1);
	return 0;
}

ALWAYS_INLINE int try_receive(struct link *link, void *buffer, size_t bytes, uint64_t *ret_position)
{
	struct mpmc *ring = link->shared;
	uint64_t position = load_relaxed(&ring->dequeue_position);
	struct cell *cell;

	for (;;) {
		int64_t ahead;

		cell = cell_of(link, position);
		ahead = (int64_t)(load_acquire(&cell->turn) - (position + 1));
		if (ahead < 0)
			return -EAGAIN;
		if (ahead > 0)
			position = load_relaxed(&ring->dequeue_position);
		else if (swap_relaxed(&ring->dequeue_position, &position, position + 1))
			break;
	}
	copy_message(buffer, cell->payload, bytes);
	store_release(&cell->turn, position + link->mask + 1);
	*ret_position = position;
	return 0;
}

/* Who finds sleepers wakes them all and takes the mark away, so that it is paid for once a sleep and
 * not with every message until the woken one runs. */
ALWAYS_INLINE void notify(struct sleepers *sleepers)
{
	fence_full();
	if (__builtin_expect(load_relaxed32(&sleepers->marked) != 0, 0) &&
	    __atomic_exchange_n(&sleepers->marked, 0, __ATOMIC_SEQ_CST) != 0) {
		add_ordered32(&sleepers->epoch, 1);
		futex_wake(&sleepers->epoch, INT_MAX);
	}
}

/* The epoch to sleep on; the caller looks once more before it does. */
ALWAYS_INLINE uint32_t announce(struct sleepers *sleepers)
{
	uint32_t epoch = load_acquire32(&sleepers->epoch);

	__atomic_store_n(&sleepers->marked, 1, __ATOMIC_SEQ_CST);
	fence_full();
	return epoch;
}

ALWAYS_INLINE int mpmc_send(struct link *link, void *message, size_t bytes, uint64_t key)
{
	struct mpmc *ring = link->shared;
	uint32_t looks = 0;

	(void)key;
	if (link->shape->wait == WAIT_POLL)
		return try_send(link, message, bytes);
	while (try_send(link, message, bytes) == -EAGAIN) {
		cpu_relax();
		if (++looks >= SPIN_LOOKS) {
			uint32_t epoch = announce(&ring->senders);

			if (try_send(link, message, bytes) == 0)
				break;
			futex_wait(&ring->senders.epoch, epoch);
			looks = 0;
		}
	}
	notify(&ring->receivers);
	return 0;
}

ALWAYS_INLINE int mpmc_receive(struct link *link, void *buffer, size_t bytes)
{
	struct mpmc *ring = link->shared;
	uint32_t looks = 0;
	uint64_t position;

	if (link->shape->wait == WAIT_POLL)
		return try_receive(link, buffer, bytes, &position);
	while (try_receive(link, buffer, bytes, &position) == -EAGAIN) {
		cpu_relax();
		if (++looks >= SPIN_LOOKS) {
			uint32_t epoch = announce(&ring->receivers);

			notify(&ring->senders);
			if (try_receive(link, buffer, bytes, &position) == 0)
				break;
			futex_wait(&ring->receivers.epoch, epoch);
			looks = 0;
		}
	}
	/* Senders sleep only while the ring is full, so a look at the end of every quarter finds them;
	 * and one before sleeping, since a cell may be freed long after its neighbours were. */
	if ((position & (link->mask >> 2)) == link->mask >> 2)
		notify(&ring->senders);
	return 0;
}

static const struct transport_calls mpmc_calls = {.send = mpmc_send, .receive = mpmc_receive};
TRANSPORT_LOOPS(mpmc)

const struct transport transport_mpmc = {.name = "mpmc",
					 .title = "unsafe MPMC ring (Vyukov)",
					 .refuse = refuse,
					 .create = create,
					 .loops = &mpmc_loops};
