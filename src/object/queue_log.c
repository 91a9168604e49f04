/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The log: chunks of records, in the order in which they were sent.  A record's first word says what
 * it is; it is 0 until the record is whole.
 *
 * Invariants.  L1: the word behind the last record that was published is 0.  L2: a record and the 0
 * behind it lie in one chunk; where that does not fit, a jump to a fresh chunk stands instead.
 *
 * A sender publishes a run of records by storing the first word of the run; the others are written
 * before and cannot be reached until then.  That store is where the send happens:
 *
 *	the sender dies			found by the next owner of the senders' side
 *	S1 records being written	the word at the tail is 0: the journal is undone
 *	S2 first word stored		it is not 0: the journal is kept, and the run is counted
 *	S3 version counted up		all done
 *
 * ORD record: the sender's release of a record's first word makes the record visible to the receiver
 * that acquires it; there is no lock that both take.
 */

#include <errno.h>
#include <string.h>

#include "core/file.h"
#include "object/queue_order.h"
#include "object/queue_private.h"

/* From here on a walk's length is checked against the memory there is, which takes a system call. */
#define LONG_WALK 4096u

bool tni_walk_on(const struct tenon_queue *queue, struct tni_walk *walk)
{
	if (++walk->steps < LONG_WALK)
		return true;
	if (walk->most == 0) {
		uint64_t bytes = tni_file_memory(queue->object.fd);

		walk->most = bytes > 0 ? bytes / queue->head_bytes + LONG_WALK : UINT32_MAX;
	}
	return walk->steps < walk->most;
}

#define ROLL_FORWARD_STEPS (4u * TNI_RUN_MAX)

static struct tni_a64 *word_at(struct tenon_queue *queue, uint64_t position, uint64_t *ret_left)
{
	uint64_t chunk_bytes = queue->attributes.chunk_bytes;
	uint64_t offset = position & (chunk_bytes - 1);

	if (offset < sizeof(struct tni_chunk) || offset % 8 != 0 ||
	    tni_table_back(&queue->chunks, position >> queue->chunk_shift, chunk_bytes) != 0)
		return NULL;
	*ret_left = chunk_bytes - offset;
	return (struct tni_a64 *)(queue->object.base + queue->chunks.offset + position);
}

const struct tni_a64 *tni_log_word(struct tenon_queue *queue, uint64_t position)
{
	uint64_t left;

	return word_at(queue, position, &left);
}

int tni_log_read(struct tenon_queue *queue, uint64_t position, struct tni_record *ret_record)
{
	struct tni_record record = {.position = position};
	uint64_t left, word;
	struct tni_a64 *at = word_at(queue, position, &left);
	uint64_t head = queue->head_bytes;

	if (!at)
		return -EBADMSG;
	word = tni_load_acquire64(at); /* ORD(record) */
	record.kind = (uint32_t)(word >> TNI_RECORD_KIND_SHIFT & TNI_RECORD_KIND_MASK);
	record.sender = (uint32_t)(word >> TNI_RECORD_SENDER_SHIFT);
	switch (record.kind) {
	case 0:
		if (word != 0)
			return -EBADMSG;
		break;
	case TNI_RECORD_INLINE:
		record.bytes = (uint32_t)word;
		record.data = (uint8_t *)at + head;
		record.next = position + head + tni_padded(record.bytes);
		if (record.bytes > queue->short_bytes || head + tni_padded(record.bytes) + 8 > left)
			return -EBADMSG;
		if (head > 8)
			record.key = tni_get64(at + 1);
		break;
	case TNI_RECORD_SLOT:
		record.bytes = (uint32_t)word;
		record.next = position + head + 8;
		if (left < head + 16)
			return -EBADMSG;
		if (head > 8)
			record.key = tni_get64(at + 1);
		record.slot = tni_get64(at + head / 8);
		if (record.slot >= queue->slots.max)
			return -EBADMSG;
		break;
	case TNI_RECORD_VOID:
		record.next = position + head + 8;
		if (left < head + 16)
			return -EBADMSG;
		break;
	case TNI_RECORD_JUMP:
		record.chunk = (uint32_t)word;
		record.next = tni_chunk_start(queue, record.chunk);
		break;
	default:
		return -EBADMSG;
	}
	*ret_record = record;
	return 0;
}

/* A chunk's end is near: the next record, of at most a quarter of a chunk, may need another. */
static bool is_near_end(const struct tenon_queue *queue, uint64_t tail)
{
	uint64_t chunk_bytes = queue->attributes.chunk_bytes;

	return chunk_bytes - (tail & (chunk_bytes - 1)) < chunk_bytes / 2;
}

bool tni_append_is_short(const struct tenon_queue *queue, const struct tni_append *append)
{
	return is_near_end(queue, append->view.tail) &&
	       tni_transfer_is_short(&queue->control->send.chunks, &queue->chunks);
}

void tni_append_begin(struct tenon_queue *queue, struct tni_append *append)
{
	struct tni_send_side *side = &queue->control->send;

	append->view = tni_send_view(side);
	append->first = NULL;
	/* A refill is not undone by the journal, so it comes before. */
	if (is_near_end(queue, append->view.tail))
		tni_transfer_refill(&side->chunks, &queue->chunks);
	tni_txn_begin(&append->txn, &side->journal, queue->object.base, &side->version);
}

/* Writes a record's first word, or keeps it for last if it is the run's first. */
static void put_word(struct tni_append *append, struct tni_a64 *at, uint64_t word)
{
	if (append->first) {
		tni_set64(at, word);
		return;
	}
	append->first = at;
	append->first_word = word;
	if (TNI_FAULT(TNI_FAULT_PUBLISH_BEFORE_WRITE))
		tni_store_release64(at, word); /* ORD(record): too early, for the harness to find */
}

/* Room for a record of `need` bytes and the 0 behind it. */
static int place(struct tenon_queue *queue, struct tni_append *append, uint64_t need,
		 struct tni_a64 **ret_at)
{
	struct tni_send_side *side = &queue->control->send;
	uint64_t left, chunk;
	struct tni_a64 *at = word_at(queue, append->view.tail, &left);
	struct tni_chunk *fresh;
	int result;

	if (!at)
		return -EBADMSG;
	if (need + 8 > left) {
		result = tni_pool_take(&append->txn, &side->chunks.pool, &queue->chunks, &chunk);
		if (result != 0)
			return result;
		result = tni_chunk_fill(queue, chunk);
		if (result != 0)
			return result;
		fresh = tni_table_entry(&queue->chunks, chunk);
		tni_set64(&fresh->pins, 0);
		tni_set64(&fresh->retired, 0);
		put_word(append, at, tni_record_word(queue, TNI_RECORD_JUMP, chunk));
		append->view.tail = tni_chunk_start(queue, chunk);
		at = (struct tni_a64 *)(fresh + 1);
	}
	tni_set64(at + need / 8, 0);
	*ret_at = at;
	return 0;
}

void tni_log_end(struct tenon_queue *queue, uint64_t tail)
{
	uint64_t left;
	struct tni_a64 *at = word_at(queue, tail, &left);

	if (at)
		tni_set64(at, 0);
}

int tni_append_inline(struct tenon_queue *queue, struct tni_append *append, const void *data,
		      uint32_t bytes, uint64_t key)
{
	uint64_t need = queue->head_bytes + tni_padded(bytes);
	struct tni_a64 *at;
	int result = place(queue, append, need, &at);

	if (result != 0)
		return result;
	tni_order_note_key(queue, append->view.sent, key);
	put_word(append, at, tni_record_word(queue, TNI_RECORD_INLINE, bytes));
	if (queue->head_bytes > 8)
		tni_set64(at + 1, key);
	if (bytes > 0)
		memcpy((uint8_t *)at + queue->head_bytes, data, bytes);
	append->view.tail += need;
	append->view.sent++;
	append->view.bytes += bytes;
	return 0;
}

int tni_append_slot(struct tenon_queue *queue, struct tni_append *append, uint64_t slot,
		    uint32_t bytes, uint64_t key)
{
	uint64_t head = queue->head_bytes;
	struct tni_a64 *at;
	int result = place(queue, append, head + 8, &at);

	if (result != 0)
		return result;
	tni_order_note_key(queue, append->view.sent, key);
	put_word(append, at, tni_record_word(queue, TNI_RECORD_SLOT, bytes));
	if (head > 8)
		tni_set64(at + 1, key);
	tni_set64(at + head / 8, slot);
	append->view.tail += head + 8;
	append->view.sent++;
	append->view.bytes += bytes;
	return 0;
}

void tni_append_publish(struct tenon_queue *queue, struct tni_append *append)
{
	tni_step();
	tni_store_release64(append->first, append->first_word); /* ORD(record) */
	tni_send_commit(&queue->control->send, &append->view);
}

int tni_log_roll_forward(struct tenon_queue *queue)
{
	struct tni_send_side *side = &queue->control->send;
	struct tni_send_view view = tni_send_view(side);
	uint64_t before = view.tail;

	for (uint32_t i = 0; i < ROLL_FORWARD_STEPS; i++) {
		struct tni_record record;
		int result = tni_log_read(queue, view.tail, &record);

		if (result != 0)
			return result;
		if (record.kind == 0) {
			if (view.tail != before)
				tni_send_commit(side, &view);
			return 0;
		}
		if (record.kind != TNI_RECORD_JUMP) {
			view.sent++;
			view.bytes += record.bytes;
		}
		view.tail = record.next;
	}
	return -EBADMSG;
}

int tni_log_leave_chunk(struct tenon_queue *queue, struct tni_receive_view *view,
			const struct tni_record *jump)
{
	struct tni_receive_side *side = &queue->control->receive;
	uint64_t left = jump->position / queue->attributes.chunk_bytes;
	struct tni_chunk *chunk = tni_table_at(&queue->chunks, left);
	struct tni_txn txn;
	int result;

	if (!chunk || !tni_table_at(&queue->chunks, jump->chunk) || jump->chunk == left)
		return -EBADMSG;
	view->head = jump->next;
	if (tni_get64(&chunk->pins) == 0) {
		view->limbo_chunk = tni_limbo(&queue->control->send.chunks, left);
	} else {
		tni_txn_begin(&txn, &side->journal, queue->object.base, &side->version);
		tni_txn_set(&txn, &chunk->retired, 1);
	}
	result = tni_receive_commit(queue, view);
	view->limbo_chunk = 0;
	return result;
}
