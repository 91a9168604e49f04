// SPDX-License-Identifier: Apache-2.0
/*
 * The limit of one way with one producer and one consumer: a ring with a position for each side,
 * which each side publishes once a message (or once a batch) and reads only when what it last saw
 * of the other is used up.  It always polls, and a death on either side ends it.
 */

#include "loops.h"
#include "transports.h"

struct spsc {
	_Alignas(LINE_BYTES) uint64_t sent;
	_Alignas(LINE_BYTES) uint64_t received;
	_Alignas(LINE_BYTES) char slots[];
};

static const char *refuse(const struct shape *shape)
{
	if (shape->producers != 1 || shape->consumers != 1)
		return "one producer, one consumer only";
	if (shape->wait != WAIT_POLL || shape->same_cpu)
		return "always polls";
	return shape->method == METHOD_LOAN ? "copies" : NULL;
}

static int create(struct link *link)
{
	link->stride = (link->shape->bytes + 63) & ~(size_t)63;
	link->mask = link->shape->depth - 1;
	return link_map(link, sizeof(struct spsc) + link->stride * link->shape->depth);
}

ALWAYS_INLINE char *slot_of(struct link *link, uint64_t position)
{
	return ((struct spsc *)link->shared)->slots + (position & link->mask) * link->stride;
}

/* How many messages there is room for, at most `wanted`. */
ALWAYS_INLINE uint64_t room(struct link *link, uint64_t wanted)
{
	uint64_t used = link->position - link->far_position;

	if (used + wanted > link->mask + 1) {
		link->far_position = load_acquire(&((struct spsc *)link->shared)->received);
		used = link->position - link->far_position;
	}
	return link->mask + 1 - used < wanted ? link->mask + 1 - used : wanted;
}

ALWAYS_INLINE uint64_t queued(struct link *link, uint64_t wanted)
{
	if (link->far_position == link->position)
		link->far_position = load_acquire(&((struct spsc *)link->shared)->sent);
	return link->far_position - link->position < wanted ? link->far_position - link->position
							    : wanted;
}

ALWAYS_INLINE int spsc_send_batch(struct link *link, void *data, size_t bytes, uint32_t count)
{
	uint64_t sent = room(link, count);

	if (sent == 0)
		return -EAGAIN;
	for (uint64_t i = 0; i < sent; i++)
		copy_message(slot_of(link, link->position + i), (char *)data + i * bytes, bytes);
	link->position += sent;
	store_release(&((struct spsc *)link->shared)->sent, link->position);
	return (int)sent;
}

ALWAYS_INLINE int spsc_receive_batch(struct link *link, void *buffer, size_t bytes, uint32_t count)
{
	uint64_t received = queued(link, count);

	if (received == 0)
		return -EAGAIN;
	for (uint64_t i = 0; i < received; i++)
		copy_message((char *)buffer + i * bytes, slot_of(link, link->position + i), bytes);
	link->position += received;
	store_release(&((struct spsc *)link->shared)->received, link->position);
	return (int)received;
}

ALWAYS_INLINE int spsc_send(struct link *link, void *message, size_t bytes, uint64_t key)
{
	(void)key;
	if (room(link, 1) == 0)
		return -EAGAIN;
	copy_message(slot_of(link, link->position), message, bytes);
	store_release(&((struct spsc *)link->shared)->sent, ++link->position);
	return 0;
}

ALWAYS_INLINE int spsc_receive(struct link *link, void *buffer, size_t bytes)
{
	if (queued(link, 1) == 0)
		return -EAGAIN;
	copy_message(buffer, slot_of(link, link->position), bytes);
	store_release(&((struct spsc *)link->shared)->received, ++link->position);
	return 0;
}

static const struct transport_calls spsc_calls = {.send = spsc_send,
						  .receive = spsc_receive,
						  .send_batch = spsc_send_batch,
						  .receive_batch = spsc_receive_batch};
TRANSPORT_LOOPS(spsc)

const struct transport transport_spsc = {.name = "spsc",
					 .title = "limit: single-producer ring",
					 .refuse = refuse,
					 .create = create,
					 .loops = &spsc_loops};
