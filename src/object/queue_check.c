/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Checks the whole structure of a queue, one side after the other, each under its lock: every free
 * list, every record, every lease, every bucket, and that no slot is in two places or in none.
 */

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/index.h"
#include "object/queue_private.h"

struct check {
	struct tenon_queue *queue;
	char *text;
	uint64_t capacity_bytes;
	uint64_t free_slots, used_slots; /* found so far */
	uint64_t held;			 /* of the receivers' own */
};

static int __attribute__((format(printf, 2, 3)))
fault(const struct check *check, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	if (check->capacity_bytes > 0)
		vsnprintf(check->text, check->capacity_bytes, format, arguments);
	va_end(arguments);
	return -EBADMSG;
}

/* A free list: within the used part, and no longer than it. */
static int check_free(const struct check *check, const char *what, const struct tni_pool *pool,
		      struct tni_table *table, uint64_t *ret_count)
{
	uint64_t top = tni_get64(&pool->top), link = tni_get64(&pool->free_link), count = 0;

	if (top > table->max)
		return fault(check, "%s: %llu were used, there is room for %u", what,
			     (unsigned long long)top, table->max);
	while (link != 0) {
		const struct tni_a64 *next = link <= top ? tni_table_at(table, link - 1) : NULL;

		if (!next || count++ > top)
			return fault(check, "%s: the free list leads astray at %llu", what,
				     (unsigned long long)link);
		link = tni_get64(next);
	}
	*ret_count = count;
	return 0;
}

static int check_own_pool(const struct check *check, const char *what, const struct tni_pool *pool,
			  struct tni_table *table)
{
	uint64_t count;
	int result = check_free(check, what, pool, table, &count);

	if (result != 0)
		return result;
	if (count + tni_get64(&pool->used) != tni_get64(&pool->top))
		return fault(check, "%s: %llu free and %llu used are not %llu", what,
			     (unsigned long long)count, (unsigned long long)tni_get64(&pool->used),
			     (unsigned long long)tni_get64(&pool->top));
	return 0;
}

/* Slots on the stack between the sides.  No sender fetches it meanwhile. */
static int check_freed(struct check *check)
{
	const struct tni_transfer *slots = &check->queue->control->send.slots;
	uint64_t link = tni_get64(&slots->freed) & TNI_FREED_LINK;
	uint64_t top = tni_pool_top(&slots->pool, &check->queue->slots), count = 0;

	for (; link != 0; count++) {
		const struct tni_a64 *next = link <= top
						     ? tni_table_at(&check->queue->slots, link - 1)
						     : NULL;

		if (!next || count > top)
			return fault(check, "freed slots: the list leads astray at %llu",
				     (unsigned long long)link);
		link = tni_get64(next);
	}
	check->free_slots += count;
	return 0;
}

static int check_send(struct check *check)
{
	struct tni_send_side *side = &check->queue->control->send;
	struct tni_send_view view = tni_send_view(side);
	struct tni_record record;
	uint64_t count;
	int result = check_own_pool(check, "loans", &side->loans, &check->queue->loans);

	if (result == 0)
		result = check_own_pool(check, "receipts", &side->receipts,
					&check->queue->receipts);
	if (result == 0)
		result = check_free(check, "chunks", &side->chunks.pool, &check->queue->chunks,
				    &count);
	if (result == 0)
		result = check_free(check, "slots", &side->slots.pool, &check->queue->slots,
				    &check->free_slots);
	if (result == 0)
		result = check_freed(check);
	check->used_slots += tni_get64(&side->loans.used);
	if (result != 0)
		return result;
	if (tni_log_read(check->queue, view.tail, &record) != 0 || record.kind != 0)
		return fault(check, "the log does not end at its tail");
	return 0;
}

static int check_log(struct check *check, const struct tni_receive_view *view)
{
	uint64_t counted = tni_get64(&check->queue->control->receive.voids);
	uint64_t position = view->head, jumps = 0, voids = 0;
	uint64_t top = tni_pool_top(&check->queue->control->send.chunks.pool,
				    &check->queue->chunks);
	struct tni_walk walk = {0, 0};

	while (tni_walk_on(check->queue, &walk)) {
		struct tni_record record;
		struct tni_item item = {0};

		if (tni_log_read(check->queue, position, &record) != 0)
			return fault(check, "the log holds a broken record at %llu",
				     (unsigned long long)position);
		if (record.kind == 0 && voids != counted)
			return fault(check, "the log has %llu withdrawn messages, %llu are counted",
				     (unsigned long long)voids, (unsigned long long)counted);
		if (record.kind == 0)
			return 0;
		voids += record.kind == TNI_RECORD_VOID;
		if (record.kind == TNI_RECORD_JUMP && jumps++ > top)
			return fault(check, "the log's chunks form a ring");
		if (record.kind == TNI_RECORD_SLOT &&
		    tni_item_of_record(check->queue, &record, &item) != 0)
			return fault(check, "the log names a broken slot at %llu",
				     (unsigned long long)position);
		check->used_slots += record.kind == TNI_RECORD_SLOT;
		position = record.next;
	}
	return fault(check, "the log does not end");
}

static void count_slot(struct check *check, uint64_t slot)
{
	if (tni_slot_is_held(check->queue, slot))
		check->held++;
	else
		check->used_slots++;
}

static int check_bucket(struct check *check, const struct tni_node *bucket, uint64_t *messages)
{
	uint64_t link = tni_get64(&bucket->first_link), count = tni_get64(&bucket->count);
	uint64_t before = 0, seen = 0;

	for (; link != 0; seen++) {
		const struct tni_slot *slot = tni_slot_at(check->queue, link - 1);

		if (!slot || seen >= count || tni_slot_bytes(check->queue, link - 1, slot) < 0 ||
		    tni_get64(&slot->older_link) != before)
			return fault(check, "a bucket of the index leads astray at slot %llu",
				     (unsigned long long)link - 1);
		count_slot(check, link - 1);
		before = link;
		link = tni_get64(&slot->younger_link);
	}
	if (seen != count || tni_get64(&bucket->last_link) != before)
		return fault(check, "a bucket of the index counts %llu messages and has %llu",
			     (unsigned long long)count, (unsigned long long)seen);
	*messages += count;
	return 0;
}

static int check_index(struct check *check, const struct tni_receive_view *view)
{
	struct tni_receive_side *side = &check->queue->control->receive;
	struct tni_index by_key = {.pool = &side->nodes,
				   .table = &check->queue->nodes,
				   .root = &side->key_root,
				   .tree = TNI_TREE_KEY};
	uint64_t node, messages = 0, buckets = 0;
	int result = tni_index_first(&by_key, &node);

	while (result == 0) {
		const struct tni_node *bucket = tni_table_at(&check->queue->nodes, node);

		result = check_bucket(check, bucket, &messages);
		if (result != 0)
			return result;
		if (++buckets > tni_get64(&side->nodes.top))
			return fault(check, "the index has more buckets than nodes");
		result = tni_index_next(&by_key, tni_get64(&bucket->key[TNI_TREE_KEY]), &node);
	}
	if (result != -ENOENT)
		return fault(check, "the index is broken");
	if (messages != view->ready)
		return fault(check, "the index holds %llu messages, %llu are ready",
			     (unsigned long long)messages, (unsigned long long)view->ready);
	return 0;
}

static int check_returned(const struct check *check, const struct tni_receive_view *view)
{
	struct tni_receive_side *side = &check->queue->control->receive;
	uint64_t extent = tni_pool_extent(&side->leases, &check->queue->leases);
	uint64_t link = tni_get64(&side->returned_link), count = 0;

	while (link != 0) {
		const struct tni_lease *lease = tni_table_at(&check->queue->leases, link - 1);
		struct tni_item item = {0};

		if (!lease || count >= view->ready || count > extent ||
		    (tni_get64(&lease->state_participant) & UINT32_MAX) != TNI_LEASE_RETURNED ||
		    tni_item_of_lease(check->queue, link - 1, &item) != 0)
			return fault(check, "the list of returned messages leads astray at %llu",
				     (unsigned long long)link - 1);
		count++;
		link = tni_get64(&lease->next_link);
	}
	if (count != view->ready)
		return fault(check, "%llu messages were returned, %llu are listed",
			     (unsigned long long)view->ready, (unsigned long long)count);
	return 0;
}

static int check_receive(struct check *check)
{
	struct tni_receive_side *side = &check->queue->control->receive;
	struct tni_receive_view view = tni_receive_view(side);
	uint64_t top = tni_pool_extent(&side->leases, &check->queue->leases), taken = 0;
	int result = check_own_pool(check, "leases", &side->leases, &check->queue->leases);

	if (result == 0)
		result = check_own_pool(check, "index nodes", &side->nodes, &check->queue->nodes);
	if (result == 0)
		result = check_own_pool(check, "moved messages", &side->held, &check->queue->held);
	if (result == 0)
		result = check_log(check, &view);
	if (result == 0)
		result = check->queue->attributes.order == TENON_QUEUE_FIFO
				 ? check_returned(check, &view)
				 : check_index(check, &view);
	if (result != 0)
		return result;
	for (uint64_t i = 0; i < top; i++) {
		const struct tni_lease *lease = tni_table_at(&check->queue->leases, i);
		uint64_t state = lease ? tni_get64(&lease->state_participant) & UINT32_MAX
				       : TNI_LEASE_FREE;

		taken += state == TNI_LEASE_TAKEN;
		/* Taken, or put back: neither the log nor the index names its slot any more. */
		if (state != TNI_LEASE_FREE && tni_get64(&lease->record) & TNI_LEASE_IN_SLOT)
			count_slot(check, tni_get64(&lease->record) & ~TNI_LEASE_IN_SLOT);
	}
	if (check->held != tni_get64(&side->held.used))
		return fault(check, "%llu messages were moved out of the log, %llu are found",
			     (unsigned long long)tni_get64(&side->held.used),
			     (unsigned long long)check->held);
	if (view.drained - view.ready - view.done != taken)
		return fault(check, "%llu messages are under lease, %llu leases are open",
			     (unsigned long long)(view.drained - view.ready - view.done),
			     (unsigned long long)taken);
	return 0;
}

/* Every slot that was ever used is free, loaned, or holds a message; once. */
static int check_slots(const struct check *check)
{
	uint64_t top = tni_pool_top(&check->queue->control->send.slots.pool, &check->queue->slots);

	if (check->free_slots + check->used_slots != top)
		return fault(check, "slots: %llu free and %llu used are not %llu",
			     (unsigned long long)check->free_slots,
			     (unsigned long long)check->used_slots, (unsigned long long)top);
	return 0;
}

int tenon_queue_check(struct tenon_queue *queue, char *ret_text, uint64_t capacity_bytes)
{
	struct check check = {
		.queue = queue, .text = ret_text, .capacity_bytes = ret_text ? capacity_bytes : 0};
	struct tni_call call;
	uint64_t version, received;
	uint32_t repairs;
	int result;

	if (!queue)
		return -EINVAL;
	result = tni_call_begin(&call, queue);
	if (result == 0)
		result = tni_call_heal(&call, INT64_MAX);
	if (result == 0)
		result = tni_side_lock(&call, TNI_SEND, INT64_MAX);
	if (result != 0)
		return result == -EBADMSG ? fault(&check, "a side cannot be repaired") : result;
	result = check_send(&check);
	version = tni_get64(&queue->control->send.version);
	received = tni_get64(&queue->control->receive.version);
	repairs = tni_get32(&queue->control->receive.gate.repairs);
	tni_side_unlock(&call, TNI_SEND);
	if (result == 0) {
		result = tni_side_lock(&call, TNI_RECEIVE, INT64_MAX);
		if (result != 0)
			return result == -EBADMSG ? fault(&check, "a side cannot be repaired")
						  : result;
		result = check_receive(&check);
		/* Exact only if nobody did anything since the senders' side was looked at. */
		if (result == 0 && tni_get64(&queue->control->send.version) == version &&
		    tni_get64(&queue->control->receive.version) == received &&
		    tni_get32(&queue->control->receive.gate.repairs) == repairs)
			result = check_slots(&check);
		tni_side_unlock(&call, TNI_RECEIVE);
	}
	return result == -EBADMSG ? tni_queue_damaged(queue) : result;
}
