// SPDX-License-Identifier: Apache-2.0
/*
 * The limits of a round trip that sleeps: a payload, a counter, and futex(2) on the counter.
 *
 * "futex" wakes at every message and sleeps at once; "spin-futex" looks for 50 microseconds first,
 * and wakes only who said that it sleeps.  One message is under way in each direction at most.
 */

#include "futex.h"
#include "loops.h"
#include "transports.h"

#define SPIN_NS 50000.0
#define LOOKS_BETWEEN_CLOCKS 64u

struct slot {
	_Alignas(LINE_BYTES) char payload[64];
	uint32_t counter, sleeping;
};

static const char *refuse_bare(const struct shape *shape)
{
	if (shape->pattern != ROUND_TRIP || shape->bytes != 64 || shape->method != METHOD_COPY)
		return "round trips of 64 bytes only";
	return shape->wait == WAIT_EPOLL ? "has no descriptor" : NULL;
}

static const char *refuse_spinning(const struct shape *shape)
{
	if (shape->wait == WAIT_POLL || shape->same_cpu)
		return "spins, then sleeps";
	return refuse_bare(shape);
}

static int create(struct link *link)
{
	link->mask = (size_t)machine_ticks(SPIN_NS / 1e9);
	return link_map(link, sizeof(struct slot));
}

ALWAYS_INLINE uint32_t publish(struct link *link, const void *message)
{
	struct slot *slot = link->shared;

	memcpy(slot->payload, message, 64);
	store_release32(&slot->counter, (uint32_t)++link->position);
	return (uint32_t)link->position;
}

ALWAYS_INLINE int fetch(struct link *link, void *buffer)
{
	const struct slot *slot = link->shared;
	uint32_t counter = load_acquire32(&slot->counter);

	if (counter == (uint32_t)link->position)
		return -EAGAIN;
	link->position = counter;
	memcpy(buffer, slot->payload, 64);
	return 0;
}

ALWAYS_INLINE int futex_send(struct link *link, void *message, size_t bytes, uint64_t key)
{
	(void)bytes;
	(void)key;
	publish(link, message);
	futex_wake(&((struct slot *)link->shared)->counter, 1);
	return 0;
}

ALWAYS_INLINE int futex_receive(struct link *link, void *buffer, size_t bytes)
{
	(void)bytes;
	while (fetch(link, buffer) == -EAGAIN) {
		if (link->shape->wait == WAIT_POLL)
			return -EAGAIN;
		futex_wait(&((struct slot *)link->shared)->counter, (uint32_t)link->position);
	}
	return 0;
}

ALWAYS_INLINE int spin_send(struct link *link, void *message, size_t bytes, uint64_t key)
{
	struct slot *slot = link->shared;

	(void)bytes;
	(void)key;
	publish(link, message);
	fence_full();
	if (load_relaxed32(&slot->sleeping))
		futex_wake(&slot->counter, 1);
	return 0;
}

static void spin_sleep(struct link *link)
{
	struct slot *slot = link->shared;

	__atomic_store_n(&slot->sleeping, 1, __ATOMIC_RELAXED);
	fence_full();
	if (load_relaxed32(&slot->counter) == (uint32_t)link->position)
		futex_wait(&slot->counter, (uint32_t)link->position);
	__atomic_store_n(&slot->sleeping, 0, __ATOMIC_RELAXED);
}

ALWAYS_INLINE int spin_receive(struct link *link, void *buffer, size_t bytes)
{
	uint64_t begin = 0;
	uint32_t looks = 0;

	(void)bytes;
	while (fetch(link, buffer) == -EAGAIN) {
		cpu_relax();
		if (++looks % LOOKS_BETWEEN_CLOCKS != 0)
			continue;
		if (begin == 0)
			begin = ticks_now();
		else if (ticks_now() - begin > link->mask)
			spin_sleep(link);
	}
	return 0;
}

static const struct transport_calls futex_calls = {.send = futex_send, .receive = futex_receive};
static const struct transport_calls spin_calls = {.send = spin_send, .receive = spin_receive};
TRANSPORT_LOOPS(futex)
TRANSPORT_LOOPS(spin)

const struct transport transport_futex = {.name = "futex",
					  .title = "limit: bare futex",
					  .refuse = refuse_bare,
					  .create = create,
					  .loops = &futex_loops};
const struct transport transport_spin_futex = {.name = "spin-futex",
					       .title = "limit: spin 50 us, then futex",
					       .refuse = refuse_spinning,
					       .create = create,
					       .loops = &spin_loops};
