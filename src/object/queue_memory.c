/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Giving memory back that lies idle: when there is none left, when the last message is gone and somebody
 * closes the queue, and on demand.  Under the senders' lock, of whose pools it is.
 *
 * What is free is in two places, the senders' list and the stack of what receivers freed.  They become one
 * list first, in one commit (core/table.h), which is then fetched.  Then:
 *
 *	data of a slot	S1 room 0	dies: its next owner takes the memory anew, which is there
 *			S2 given back
 *	chunk		S1 hollow 1	dies: the same
 *			S2 given back, but for the first page, which has the link
 *
 * One free chunk stays whole: the log can always go on.
 *
 * Chunks are given back only where nobody else is attached, by a process that has never had a second thread.
 * Receivers look at the front of the log without a lock (object/queue_fast.c); one that was stopped there would
 * find a hole, and where all memory is taken again by then, a signal.  A process that attaches later knows of no
 * chunk's memory.
 */

#include <errno.h>
#include <sys/single_threaded.h>

#include "core/file.h"
#include "object/queue_private.h"

/* A queue keeps as much when it is closed. */
#define IDLE_MOST_BYTES (UINT64_C(1) << 20)

/* One list of all that is free.  False: there is none, or its links lead astray. */
static bool collect_free(struct tenon_queue *queue, struct tni_transfer *transfer,
			 struct tni_table *table)
{
	struct tni_send_side *side = &queue->control->send;
	struct tni_send_view view = tni_send_view(side);
	struct tni_txn txn;

	tni_txn_begin(&txn, &side->journal, queue->object.base, &side->version);
	if (tni_transfer_gather(&txn, transfer, table) > 0)
		tni_send_commit(side, &view);
	else
		tni_txn_abort(&txn);
	if (tni_get64(&transfer->pool.free_link) == 0)
		tni_transfer_grab(transfer);
	return tni_get64(&transfer->pool.free_link) != 0;
}

/* How long a free list can be: what `top` says may be scribbled over. */
static uint64_t most_free(struct tenon_queue *queue, const struct tni_pool *pool,
			  const struct tni_table *table)
{
	uint64_t top = tni_pool_top(pool, table);
	uint64_t there = tni_file_memory(queue->object.fd) / sizeof(struct tni_slot);

	return top < there ? top : there;
}

static void release_slots(struct tenon_queue *queue)
{
	const struct tni_pool *pool = &queue->control->send.slots.pool;
	uint64_t top = most_free(queue, pool, &queue->slots), link;

	if (!collect_free(queue, &queue->control->send.slots, &queue->slots) || !queue->data.pages)
		return;
	link = tni_get64(&pool->free_link);
	for (uint64_t i = 0; link != 0 && i < top; i++) {
		struct tni_slot *slot = tni_table_at(&queue->slots, link - 1);

		if (!slot)
			return;
		if (tni_get64(&slot->room_bytes) > 0) {
			tni_set64(&slot->room_bytes, 0);
			tni_set32(&queue->data.pages[link - 1], 0);
			tni_step();
			tni_file_release(queue->object.fd,
					 queue->data.offset + (link - 1) * queue->data.entry_bytes,
					 queue->data.entry_bytes);
		}
		link = tni_get64(&slot->next_link);
	}
}

static bool is_alone(struct tenon_queue *queue)
{
	struct tni_object *object = &queue->object;

	if (!__libc_single_threaded)
		return false;
	for (uint32_t i = 0; i < tni_object_participants_top(object); i++) {
		const struct tni_participant *entry = tni_object_participant(object, i);

		/* ORD(participant): see core/object_living.c. */
		if (i != object->participant && entry &&
		    tni_load_acquire32(&entry->state) != TNI_PARTICIPANT_FREE &&
		    !tni_object_is_dead(object, i))
			return false;
	}
	return true;
}

static void release_chunks(struct tenon_queue *queue)
{
	const struct tni_pool *pool = &queue->control->send.chunks.pool;
	const struct tni_table *table = &queue->chunks;
	uint64_t top = most_free(queue, pool, table), link;

	/* First what is free, then who is there: whoever attaches behind that finds the front elsewhere. */
	if (table->entry_bytes <= TNI_PAGE_BYTES ||
	    !collect_free(queue, &queue->control->send.chunks, &queue->chunks) || !is_alone(queue))
		return;
	link = tni_get64(&pool->free_link);
	for (uint64_t i = 0; link != 0 && i < top; i++) {
		struct tni_chunk *chunk = tni_table_at(&queue->chunks, link - 1);

		if (!chunk)
			return;
		if (i > 0 && !tni_get64(&chunk->hollow)) {
			tni_set64(&chunk->hollow, 1);
			tni_set32(&table->pages[link - 1], 1);
			tni_step();
			tni_file_release(queue->object.fd,
					 table->offset + (link - 1) * table->entry_bytes +
						 TNI_PAGE_BYTES,
					 table->entry_bytes - TNI_PAGE_BYTES);
		}
		link = tni_get64(&chunk->next_link);
	}
}

int tni_chunk_fill(struct tenon_queue *queue, uint64_t index)
{
	struct tni_chunk *chunk = tni_table_at(&queue->chunks, index);
	int result;

	if (!chunk)
		return -ENOSPC;
	/* Given back meanwhile, perhaps by another process: what was known does not hold any more. */
	if (tni_get64(&chunk->hollow))
		tni_set32(&queue->chunks.pages[index], 1);
	result = tni_table_back(&queue->chunks, index, queue->chunks.entry_bytes);
	if (result == 0 && tni_get64(&chunk->hollow))
		tni_set64(&chunk->hollow, 0);
	return result;
}

void tni_memory_release(struct tenon_queue *queue)
{
	release_slots(queue);
	release_chunks(queue);
}

void tni_memory_leave(struct tenon_queue *queue)
{
	const struct tni_queue_control *control = queue->control;
	struct tni_call call;

	if (tni_load_acquire64(&control->send.sent_seen) !=
		    tni_load_acquire64(&control->receive.done_seen) || /* ORD(seen) */
	    tni_file_memory(queue->object.fd) <= IDLE_MOST_BYTES ||
	    !tni_call_quick(&call, queue) || tni_side_lock(&call, TNI_SEND, 0) != 0)
		return;
	tni_memory_release(queue);
	tni_side_unlock(&call, TNI_SEND);
}
