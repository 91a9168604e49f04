/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Priority and typed queues.  Senders write into the log as they do for a FIFO queue and know nothing
 * of any order; receivers, under their lock, first drain the log into the index and then choose.  So
 * whoever chooses has seen everything that was sent before.
 *
 * Nothing has to be chosen, and the index stays empty, where the front of the log is what any order
 * would give: a typed queue asked for its oldest message, or a priority queue all of whose messages
 * have one priority.  Each receiver remembers, in memory of its own, how far it has looked.
 *
 * The index: a bucket for each key with messages, a list of slots from the oldest to the youngest.
 * The buckets hang in a tree by key (a priority p under TENON_QUEUE_PRIORITY_MAX - p: the lowest key
 * leaves first) and, in typed queues, in a second one by the age of their first message.
 */

#include <errno.h>
#include <string.h>

#include "core/file.h"
#include "core/index.h"
#include "object/queue_order.h"
#include "object/queue_private.h"

struct tni_index tni_order_index(struct tenon_queue *queue, uint32_t tree)
{
	struct tni_receive_side *side = &queue->control->receive;

	return (struct tni_index){.pool = &side->nodes,
				  .table = &queue->nodes,
				  .root = tree == TNI_TREE_KEY ? &side->key_root : &side->age_root,
				  .tree = tree};
}

static bool is_typed(const struct tenon_queue *queue)
{
	return queue->attributes.order == TENON_QUEUE_TYPED;
}

static uint64_t bucket_key(const struct tenon_queue *queue, const struct tni_slot *slot)
{
	uint64_t key = tni_get64(&slot->key);

	return is_typed(queue) ? key : TENON_QUEUE_PRIORITY_MAX - key;
}

struct tni_slot *tni_order_linked(struct tenon_queue *queue, uint64_t link)
{
	return link == 0 ? NULL : tni_slot_at(queue, link - 1);
}

int64_t tni_slot_bytes(struct tenon_queue *queue, uint64_t index, const struct tni_slot *slot)
{
	uint64_t bytes = tni_get32(&slot->bytes);
	int result;

	if (tni_slot_is_held(queue, index))
		return bytes <= queue->short_bytes ? (int64_t)bytes : -EBADMSG;
	if (bytes > queue->attributes.max_message_bytes || bytes > tni_get64(&slot->room_bytes))
		return -EBADMSG;
	/* What the slot says of its memory is not taken for granted. */
	result = tni_table_back(&queue->data, index, bytes);
	return result == 0 ? (int64_t)bytes : result;
}

static int new_bucket(struct tenon_queue *queue, struct tni_txn *txn, struct tni_slot *slot,
		      uint64_t slot_link, uint64_t key)
{
	struct tni_index by_key = tni_order_index(queue, TNI_TREE_KEY);
	struct tni_index by_age = tni_order_index(queue, TNI_TREE_AGE);
	struct tni_node *bucket;
	uint64_t node;
	int result = tni_pool_take(txn, by_key.pool, by_key.table, &node);

	if (result != 0)
		return result;
	bucket = tni_table_at(&queue->nodes, node);
	tni_set64(&bucket->key[TNI_TREE_KEY], key);
	tni_set64(&bucket->key[TNI_TREE_AGE], tni_get64(&slot->sequence));
	tni_set64(&bucket->first_link, slot_link);
	tni_set64(&bucket->last_link, slot_link);
	tni_set64(&bucket->count, 1);
	/* Not journaled, here and below: in no list, these words mean nothing. */
	tni_set64(&slot->older_link, 0);
	tni_set64(&slot->younger_link, 0);
	result = tni_index_insert(txn, &by_key, node);
	if (result == 0 && is_typed(queue))
		result = tni_index_insert(txn, &by_age, node);
	return result == -EEXIST ? -EBADMSG : result;
}

/* More of an ordered queue's memory than fits into a page, for the next few messages as well. */
#define BACK_STEP 32u

static int back(struct tni_table *table, uint64_t each, uint64_t *backed, uint64_t messages)
{
	uint64_t from = *backed * each, to;
	int result;

	if (messages <= *backed)
		return 0;
	messages = (messages + BACK_STEP - 1) / BACK_STEP * BACK_STEP;
	to = messages * each < table->max ? messages * each : table->max;
	result = from < to ? tni_table_reserve(table, from, 0, (to - from) * table->entry_bytes)
			   : 0;
	if (result == 0)
		*backed = messages;
	return result;
}

int tni_order_back_slow(struct tenon_queue *queue, uint64_t sent, uint64_t more, bool in_log)
{
	struct tni_send_side *side = &queue->control->send;
	uint64_t messages, memory_bytes = tni_file_memory(queue->object.fd);
	int result;

	/* ORD(seen) */
	tni_set64(&side->done_cache, tni_load_acquire64(&queue->control->receive.done_seen));
	messages = sent - tni_get64(&side->done_cache);
	/* A dead sender's, received before they were counted. */
	if ((int64_t)messages < 0)
		messages = 0;
	/* Every one has a record: counters that somebody wrote over shall not take all memory. */
	if (memory_bytes > 0 && messages > memory_bytes / queue->head_bytes)
		return -EBADMSG;
	messages += more;
	if (in_log && messages > queue->held.max)
		return -ENOSPC;
	result = back(&queue->nodes, tni_order_nodes(&queue->attributes), &queue->backed_nodes,
		      messages);
	if (result == 0 && in_log)
		result = back(&queue->held, 1, &queue->backed_held, messages);
	return result;
}

/* A bucket has another first message: its place by age changes. */
static int set_first(struct tenon_queue *queue, struct tni_txn *txn, struct tni_node *bucket,
		     uint64_t node, uint64_t slot_link)
{
	struct tni_index by_age = tni_order_index(queue, TNI_TREE_AGE);
	const struct tni_slot *slot = tni_order_linked(queue, slot_link);
	int result;

	if (!slot)
		return -EBADMSG;
	tni_txn_set(txn, &bucket->first_link, slot_link);
	if (!is_typed(queue))
		return 0;
	result = tni_index_remove(txn, &by_age, tni_get64(&bucket->key[TNI_TREE_AGE]));
	if (result != 0)
		return -EBADMSG;
	tni_txn_set(txn, &bucket->key[TNI_TREE_AGE], tni_get64(&slot->sequence));
	result = tni_index_insert(txn, &by_age, node);
	return result == -EEXIST ? -EBADMSG : result;
}

/* Finds the message behind which one of age `sequence` belongs: none (link 0) for a returned one, as
 * a rule; the youngest for a new one. */
static int find_older(struct tenon_queue *queue, const struct tni_node *bucket, uint64_t sequence,
		      uint64_t *ret_older)
{
	uint64_t link = tni_get64(&bucket->last_link), older = 0;
	const struct tni_slot *slot = tni_order_linked(queue, link);
	struct tni_walk walk = {0, 0}; /* the bucket's count may be anything */

	if (!slot)
		return -EBADMSG;
	if (tni_get64(&slot->sequence) < sequence) {
		*ret_older = link;
		return 0;
	}
	link = tni_get64(&bucket->first_link);
	while (tni_walk_on(queue, &walk)) {
		slot = tni_order_linked(queue, link);
		if (!slot)
			return -EBADMSG;
		if (tni_get64(&slot->sequence) > sequence) {
			*ret_older = older;
			return 0;
		}
		older = link;
		link = tni_get64(&slot->younger_link);
	}
	return -EBADMSG;
}

int tni_order_insert(struct tenon_queue *queue, struct tni_txn *txn, uint64_t index)
{
	struct tni_index by_key = tni_order_index(queue, TNI_TREE_KEY);
	struct tni_slot *slot = tni_slot_at(queue, index), *older, *younger;
	uint64_t node, older_link, younger_link;
	struct tni_node *bucket;
	int result;

	if (!slot)
		return -EBADMSG;
	result = tni_index_find(&by_key, bucket_key(queue, slot), &node);
	if (result == -ENOENT)
		return new_bucket(queue, txn, slot, index + 1, bucket_key(queue, slot));
	if (result != 0)
		return result;
	bucket = tni_table_at(&queue->nodes, node);
	result = find_older(queue, bucket, tni_get64(&slot->sequence), &older_link);
	if (result != 0)
		return result;
	older = tni_order_linked(queue, older_link);
	younger_link = older ? tni_get64(&older->younger_link) : tni_get64(&bucket->first_link);
	younger = tni_order_linked(queue, younger_link);
	tni_set64(&slot->older_link, older_link);
	tni_set64(&slot->younger_link, younger_link);
	if (older)
		tni_txn_set(txn, &older->younger_link, index + 1);
	if (younger)
		tni_txn_set(txn, &younger->older_link, index + 1);
	else
		tni_txn_set(txn, &bucket->last_link, index + 1);
	tni_txn_set(txn, &bucket->count, tni_get64(&bucket->count) + 1);
	return older ? 0 : set_first(queue, txn, bucket, node, index + 1);
}

int tni_order_remove(struct tenon_queue *queue, struct tni_txn *txn, uint64_t index)
{
	struct tni_index by_key = tni_order_index(queue, TNI_TREE_KEY);
	struct tni_index by_age = tni_order_index(queue, TNI_TREE_AGE);
	const struct tni_slot *slot = tni_slot_at(queue, index);
	struct tni_slot *older, *younger;
	struct tni_node *bucket;
	uint64_t node;
	int result;

	if (!slot || tni_index_find(&by_key, bucket_key(queue, slot), &node) != 0)
		return -EBADMSG;
	bucket = tni_table_at(&queue->nodes, node);
	if ((tni_get64(&slot->older_link) == 0) != (tni_get64(&bucket->first_link) == index + 1))
		return -EBADMSG;
	older = tni_order_linked(queue, tni_get64(&slot->older_link));
	younger = tni_order_linked(queue, tni_get64(&slot->younger_link));
	tni_txn_set(txn, &bucket->count, tni_get64(&bucket->count) - 1);
	if (!older && !younger) {
		result = tni_index_remove(txn, &by_key, bucket_key(queue, slot));
		if (result == 0 && is_typed(queue))
			result = tni_index_remove(txn, &by_age,
						  tni_get64(&bucket->key[TNI_TREE_AGE]));
		if (result == 0)
			result = tni_pool_give(txn, by_key.pool, &queue->nodes, node);
		return result == -ENOENT ? -EBADMSG : result;
	}
	if (younger)
		tni_txn_set(txn, &younger->older_link, tni_get64(&slot->older_link));
	else
		tni_txn_set(txn, &bucket->last_link, tni_get64(&slot->older_link));
	if (older) {
		tni_txn_set(txn, &older->younger_link, tni_get64(&slot->younger_link));
		return 0;
	}
	return set_first(queue, txn, bucket, node, tni_get64(&slot->younger_link));
}

/* Copies a message out of the log into a slot of the receivers'. */
static int hold(struct tenon_queue *queue, struct tni_txn *txn, const struct tni_record *record,
		uint64_t *ret_slot)
{
	struct tni_slot *slot;
	uint64_t index;
	int result = tni_pool_take(txn, &queue->control->receive.held, &queue->held, &index);

	if (result != 0)
		return result;
	slot = tni_table_entry(&queue->held, index);
	tni_set64(&slot->key, record->key);
	tni_set32(&slot->bytes, record->bytes);
	tni_set32(&slot->deliveries, 0);
	tni_set32(&slot->receipt_link, 0);
	tni_set32(&slot->flags_sender, record->sender << 8);
	if (record->bytes > 0)
		memcpy(slot + 1, record->data, record->bytes);
	*ret_slot = queue->slots.max + index;
	return 0;
}

static int check_slot(struct tenon_queue *queue, const struct tni_record *record)
{
	const struct tni_slot *slot = tni_slot_at(queue, record->slot);
	int64_t bytes = slot ? tni_slot_bytes(queue, record->slot, slot) : -EBADMSG;

	if (bytes != (int64_t)record->bytes)
		return bytes < 0 ? (int)bytes : -EBADMSG;
	return 0;
}

/* Moves the record at the front of the log into the index. */
static int drain_one(struct tenon_queue *queue, struct tni_receive_view *view,
		     const struct tni_record *record, uint64_t *ret_slot)
{
	struct tni_receive_side *side = &queue->control->receive;
	bool is_inline = record->kind == TNI_RECORD_INLINE;
	uint64_t slot = record->slot;
	struct tni_txn txn;
	int result = is_inline ? 0 : check_slot(queue, record);

	if (result != 0)
		return result;
	tni_txn_begin(&txn, &side->journal, queue->object.base, &side->version);
	if (is_inline)
		result = hold(queue, &txn, record, &slot);
	if (result == 0) {
		tni_set64(&tni_slot_at(queue, slot)->sequence, view->drained);
		result = tni_order_insert(queue, &txn, slot);
	}
	if (result != 0) {
		tni_txn_abort(&txn);
		return result;
	}
	view->drained++;
	view->ready++;
	view->head = record->next;
	*ret_slot = slot;
	return tni_receive_commit(queue, view);
}

int tni_order_drain_front(struct tenon_queue *queue, uint64_t *ret_slot)
{
	struct tni_receive_view view = tni_receive_view(&queue->control->receive);
	struct tni_record record;
	int result = tni_log_read(queue, view.head, &record);

	if (result != 0)
		return result;
	return record.kind == TNI_RECORD_INLINE || record.kind == TNI_RECORD_SLOT
		       ? drain_one(queue, &view, &record, ret_slot)
		       : -EBADMSG;
}

int tni_order_drain(struct tenon_queue *queue)
{
	struct tni_receive_view view = tni_receive_view(&queue->control->receive);
	struct tni_walk walk = {0, 0};
	bool jumped = false;
	uint64_t slot;

	while (tni_walk_on(queue, &walk)) {
		struct tni_record record;
		int result = tni_log_read(queue, view.head, &record);

		if (result != 0 || record.kind == 0)
			return result;
		/* A jump leads to a record; every message has a slot of its own. */
		if ((jumped && record.kind == TNI_RECORD_JUMP) || view.ready > tni_slots_max(queue))
			return -EBADMSG;
		jumped = record.kind == TNI_RECORD_JUMP;
		result = jumped ? tni_log_leave_chunk(queue, &view, &record)
				: drain_one(queue, &view, &record, &slot);
		if (result != 0)
			return result;
	}
	return -EBADMSG;
}

/* Goes on with the scan over the log, whose messages up to `scan->to` have one key.  Whether all of
 * them have. */
static bool scan_log(struct tenon_queue *queue, struct tni_scan *scan)
{
	struct tni_walk walk = {0, 0};

	/* Beyond what the queue has memory for: a log that leads in a circle. */
	while (tni_walk_on(queue, &walk)) {
		struct tni_record record;

		if (tni_log_read(queue, scan->position, &record) != 0)
			return false;
		if (record.kind == 0)
			return true;
		if (record.kind != TNI_RECORD_JUMP) {
			if (scan->to == scan->from)
				scan->key = record.key;
			else if (record.key != scan->key)
				return false;
			scan->to++;
		}
		scan->position = record.next;
	}
	return false;
}

bool tni_order_is_log(struct tenon_queue *queue, const struct tenon_receive_options *options)
{
	uint32_t select = options ? options->select : TENON_SELECT_ANY;
	struct tni_receive_view view = tni_receive_view(&queue->control->receive);
	struct tni_scan *scan = &queue->scan;
	struct tni_record record;

	if (view.ready != 0)
		return false;
	if (is_typed(queue)) {
		if (select == TENON_SELECT_ANY)
			return true;
		return select == TENON_SELECT_EXACTLY &&
		       tni_log_read(queue, view.head, &record) == 0 &&
		       (record.kind == TNI_RECORD_INLINE || record.kind == TNI_RECORD_SLOT) &&
		       record.key == options->select_key;
	}
	/* What was scanned stays true of what is left of it, whoever received meanwhile. */
	if (view.drained - scan->from >= scan->to - scan->from) {
		scan->from = scan->to = view.drained;
		scan->position = view.head;
	}
	scan->from = view.drained;
	return scan_log(queue, scan);
}

int tni_order_first(struct tenon_queue *queue, uint64_t node, uint64_t *ret_slot)
{
	const struct tni_node *bucket = tni_table_at(&queue->nodes, node);
	uint64_t link = tni_get64(&bucket->first_link);

	if (link == 0 || !tni_order_linked(queue, link))
		return -EBADMSG;
	*ret_slot = link - 1;
	return 0;
}

int tni_order_select(struct tenon_queue *queue, uint32_t select, uint64_t key, uint64_t *ret_slot)
{
	struct tni_index by_key = tni_order_index(queue, TNI_TREE_KEY);
	struct tni_index by_age = tni_order_index(queue, TNI_TREE_AGE);
	const struct tni_node *bucket;
	uint64_t node;
	int result;

	switch (select) {
	case TENON_SELECT_ANY:
		result = tni_index_first(is_typed(queue) ? &by_age : &by_key, &node);
		break;
	case TENON_SELECT_EXACTLY:
		result = tni_index_find(&by_key, key, &node);
		break;
	case TENON_SELECT_ALL_BUT:
		result = tni_index_first(&by_age, &node);
		if (result != 0)
			break;
		bucket = tni_table_at(&queue->nodes, node);
		if (tni_get64(&bucket->key[TNI_TREE_KEY]) == key)
			result = tni_index_next(&by_age, tni_get64(&bucket->key[TNI_TREE_AGE]),
						&node);
		break;
	default:
		result = tni_index_first(&by_key, &node);
		if (result != 0)
			break;
		bucket = tni_table_at(&queue->nodes, node);
		if (tni_get64(&bucket->key[TNI_TREE_KEY]) > key)
			result = -ENOENT;
		break;
	}
	if (result != 0)
		return result == -ENOENT ? -EAGAIN : result;
	return tni_order_first(queue, node, ret_slot);
}
