/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The short way: a short message of a FIFO queue, when the side's gate is free, there is room (or a
 * message) at once, and nobody polls.  It takes the same steps in the same order as queue_send.c and
 * queue_receive.c, under the same crash tables, without the generality: 100 instructions instead of
 * 600.  Whatever it does not know it leaves to them, having changed nothing.
 */

#include <errno.h>
#include <string.h>

#include "object/queue_private.h"

#define RUN_MOST 1024u

/* Begins a call and takes a gate that is free.  False: the long way. */
static inline bool enter(struct tenon_queue *queue, uint32_t side, struct tni_call *call)
{
	struct tni_gate *gate = queue->house.gate[side];
	uint64_t word, waiters;
	uint32_t cpu;

	call->queue = queue;
	call->burying = false;
	call->leased = false;
	call->thread = tni_thread_self();
	if (tni_get32(&queue->object.generation) != call->thread->generation)
		return false;
	call->pending = tni_pending_get(call->thread);
	tni_pending_set(call->thread, &gate->word);
	word = tni_get64(&gate->word);
	waiters = word & TNI_GATE_FLAGS ? TNI_GATE_WAITERS : 0;
	if ((word & TNI_GATE_LOW) != 0 ||
	    !tni_cas64(&gate->word, &word, word | waiters | call->thread->tid)) {
		tni_pending_put(call->thread, call->pending);
		return false;
	}
	cpu = tni_cpu();
	if (tni_get32(&gate->cpu) != cpu)
		tni_set32(&gate->cpu, cpu);
	return true;
}

static inline bool is_short(const struct tenon_queue *queue, uint64_t bytes)
{
	return queue->attributes.inline_max_bytes != TNI_NO_INLINE &&
	       bytes <= queue->attributes.inline_max_bytes &&
	       tni_get32(&queue->control->poll_wanted) == 0;
}

static inline uint64_t padded(uint64_t bytes)
{
	return (bytes + 7) & ~UINT64_C(7);
}

static inline uint64_t inline_word(const struct tenon_queue *queue, uint64_t bytes)
{
	return bytes | (uint64_t)TNI_RECORD_INLINE << TNI_RECORD_KIND_SHIFT |
	       (uint64_t)queue->pid << TNI_RECORD_SENDER_SHIFT;
}

/* Room under the senders' lock, as far as is known without looking at the other side for nothing. */
static inline uint64_t room(struct tenon_queue *queue, uint64_t sent, uint64_t wanted)
{
	struct tni_send_side *side = &queue->control->send;
	uint64_t held = sent - tni_get64(&side->done_cache);

	if (held + wanted > queue->attributes.capacity) {
		/* ORD(seen): what the receivers have freed may be written over. */
		tni_set64(&side->done_cache,
			  tni_load_acquire64(&queue->control->receive.done_seen));
		held = sent - tni_get64(&side->done_cache);
	}
	return held < queue->attributes.capacity ? queue->attributes.capacity - held : 0;
}

/* Writes messages behind the end, as many as fit into the chunk, and publishes them. */
static inline uint32_t put(struct tenon_queue *queue, const struct tenon_slice *slices,
			   uint32_t count)
{
	struct tni_send_side *side = &queue->control->send;
	struct tni_send_view view = tni_send_view(side);
	uint64_t chunk_bytes = queue->attributes.chunk_bytes;
	uint64_t offset = view.tail & (chunk_bytes - 1), limit = room(queue, view.sent, count);
	struct tni_a64 *first, *at;
	uint32_t i;

	if (offset < sizeof(struct tni_chunk) || offset % 8 != 0 ||
	    view.tail >> queue->chunk_shift >= tni_get32(&queue->chunks.known))
		return 0;
	first = at = (struct tni_a64 *)(queue->object.base + queue->chunks.offset + view.tail);
	for (i = 0; i < count && i < limit; i++) {
		uint64_t bytes = slices[i].bytes, need = 8 + padded(bytes);

		if (bytes > queue->attributes.inline_max_bytes || offset + need + 8 > chunk_bytes)
			break;
		if (i > 0)
			tni_set64(at, inline_word(queue, bytes));
		memcpy(at + 1, slices[i].data, bytes);
		at += need / 8;
		offset += need;
		view.tail += need;
		view.bytes += bytes;
	}
	if (i == 0)
		return 0;
	tni_set64(at, 0);
	view.sent += i;
	tni_step();
	tni_store_release64(first, inline_word(queue, slices[0].bytes)); /* ORD(record) */
	tni_send_commit(side, &view);
	tni_note_sent(queue);
	return i;
}

uint32_t tni_fast_send(struct tenon_queue *queue, const struct tenon_slice *slices, uint32_t count)
{
	struct tni_call call;
	uint32_t sent;

	if (!is_short(queue, slices[0].bytes) ||
	    queue->attributes.capacity == TENON_QUEUE_RENDEZVOUS ||
	    TNI_FAULT(TNI_FAULT_PUBLISH_BEFORE_WRITE) || !enter(queue, TNI_SEND, &call))
		return 0;
	sent = put(queue, slices, count < RUN_MOST ? count : RUN_MOST);
	tni_side_unlock(&call, TNI_SEND);
	return sent;
}

/* The record at a position, if it is a whole inline one.  -1: something else. */
static inline int64_t inline_at(struct tenon_queue *queue, uint64_t position,
				struct tni_a64 **ret_at, uint32_t *ret_sender)
{
	uint64_t offset = position & (queue->attributes.chunk_bytes - 1), word, bytes;
	struct tni_a64 *at;

	if (offset < sizeof(struct tni_chunk) || offset % 8 != 0 ||
	    position >> queue->chunk_shift >= tni_get32(&queue->chunks.known))
		return -1;
	at = (struct tni_a64 *)(queue->object.base + queue->chunks.offset + position);
	word = tni_load_acquire64(at); /* ORD(record) */
	bytes = word & TNI_RECORD_BYTES_MASK;
	if ((word >> TNI_RECORD_KIND_SHIFT & TNI_RECORD_KIND_MASK) != TNI_RECORD_INLINE ||
	    bytes > queue->attributes.inline_max_bytes ||
	    offset + 16 + padded(bytes) > queue->attributes.chunk_bytes)
		return -1;
	*ret_at = at;
	*ret_sender = (uint32_t)(word >> TNI_RECORD_SENDER_SHIFT);
	return (int64_t)bytes;
}

/* Takes a run of messages, one behind the other, in one commit.  How many. */
static uint32_t take_run(struct tenon_queue *queue, uint8_t *buffer, uint64_t capacity_bytes,
			 uint32_t count, struct tenon_message *messages)
{
	struct tni_receive_side *side = &queue->control->receive;
	struct tni_receive_view view;
	uint32_t taken = 0;

	if (tni_get64(&side->returned_link) != 0)
		return 0;
	view = tni_receive_view(side);
	for (; taken < count; taken++) {
		struct tni_a64 *at;
		uint32_t sender;
		int64_t bytes = inline_at(queue, view.head, &at, &sender);

		if (bytes < 0 || (uint64_t)bytes > capacity_bytes)
			break;
		memcpy(buffer, at + 1, (size_t)bytes);
		if (messages) {
			messages[taken] = (struct tenon_message){.bytes = (uint64_t)bytes,
								 .sequence = view.drained,
								 .sender_pid = (int32_t)sender};
		}
		buffer += bytes;
		capacity_bytes -= (uint64_t)bytes;
		view.head += 8 + padded((uint64_t)bytes);
		view.drained++;
		view.done++;
		view.bytes += (uint64_t)bytes;
	}
	if (taken > 0) {
		tni_set32(&side->last_pid, queue->pid);
		tni_set64(&side->last_ns, (uint64_t)tni_now_ns());
		tni_receive_commit(queue, &view);
	}
	return taken;
}

uint32_t tni_fast_receive(struct tenon_queue *queue, void *buffer, uint64_t capacity_bytes,
			  uint32_t count, struct tenon_message *messages)
{
	struct tni_call call;
	uint32_t taken;

	if (!is_short(queue, 0) || !enter(queue, TNI_RECEIVE, &call))
		return 0;
	taken = take_run(queue, buffer, capacity_bytes, count < RUN_MOST ? count : RUN_MOST,
			 messages);
	tni_side_unlock(&call, TNI_RECEIVE);
	return taken;
}
