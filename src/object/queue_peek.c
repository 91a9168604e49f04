/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Looking at messages in the order in which they would be received, and leaving them there.  Ordered
 * queues are drained first; typed ones are looked at by age, which no list of theirs has.
 */

#include <errno.h>
#include <string.h>

#include "core/index.h"
#include "object/queue_order.h"
#include "object/queue_private.h"

/* By key, then by age: for priority queues. */
static int peek_by_key(struct tenon_queue *queue, uint64_t position, uint64_t *ret_slot)
{
	struct tni_index by_key = tni_order_index(queue, TNI_TREE_KEY);
	uint64_t node, slot;
	int result = tni_index_first(&by_key, &node);

	while (result == 0) {
		const struct tni_node *bucket = tni_table_at(&queue->nodes, node);
		uint64_t count = tni_get64(&bucket->count);

		if (position < count) {
			result = tni_order_first(queue, node, &slot);
			for (; result == 0 && position > 0; position--) {
				uint64_t link = tni_get64(&tni_slot_at(queue, slot)->younger_link);

				if (link == 0 || !tni_order_linked(queue, link))
					return -EBADMSG;
				slot = link - 1;
			}
			if (result == 0)
				*ret_slot = slot;
			return result;
		}
		position -= count;
		result = tni_index_next(&by_key, tni_get64(&bucket->key[TNI_TREE_KEY]), &node);
	}
	return result;
}

/* Of the messages over all keys, by their sequence numbers. */
struct age_count {
	uint64_t limit; /* up to this number they count */
	uint64_t count;
	uint64_t last, last_slot; /* of those that count */
	uint64_t next, next_slot; /* of those that do not, the first; UINT64_MAX none */
};

static void note_next(struct age_count *ages, uint64_t sequence, uint64_t slot)
{
	if (sequence >= ages->next)
		return;
	ages->next = sequence;
	ages->next_slot = slot;
}

static int count_list(struct tenon_queue *queue, uint64_t link, struct age_count *ages)
{
	uint64_t previous = 0, before = ages->count;
	struct tni_walk walk = {0, 0};

	while (link != 0) {
		const struct tni_slot *slot = tni_order_linked(queue, link);
		uint64_t sequence;

		if (!slot || !tni_walk_on(queue, &walk))
			return -EBADMSG;
		sequence = tni_get64(&slot->sequence);
		if (ages->count > before && sequence <= previous)
			return -EBADMSG;
		if (sequence > ages->limit) {
			note_next(ages, sequence, link - 1);
			break;
		}
		ages->count++;
		if (sequence >= ages->last) {
			ages->last = sequence;
			ages->last_slot = link - 1;
		}
		previous = sequence;
		link = tni_get64(&slot->younger_link);
	}
	/* The tree promised one. */
	return ages->count > before ? 0 : -EBADMSG;
}

static int count_ages(struct tenon_queue *queue, uint64_t limit, struct age_count *ret_ages)
{
	struct tni_index by_age = tni_order_index(queue, TNI_TREE_AGE);
	uint64_t node;
	int result = tni_index_first(&by_age, &node);

	*ret_ages = (struct age_count){.limit = limit, .next = UINT64_MAX};
	while (result == 0) {
		const struct tni_node *bucket = tni_table_at(&queue->nodes, node);
		uint64_t first = tni_get64(&bucket->key[TNI_TREE_AGE]);
		uint64_t link = tni_get64(&bucket->first_link);

		if (first > limit) {
			if (link == 0 || !tni_order_linked(queue, link))
				return -EBADMSG;
			note_next(ret_ages, first, link - 1);
			return 0;
		}
		result = count_list(queue, link, ret_ages);
		if (result == 0)
			result = tni_index_next(&by_age, first, &node);
	}
	return result == -ENOENT ? 0 : result;
}

/* By age over all keys: bisects for the number up to which there are `position` + 1 messages, since
 * the lists of the buckets have no common order.  Who looks at one after the other is spared that. */
static int peek_by_age(struct tenon_queue *queue, uint64_t position, uint64_t *ret_slot)
{
	struct tni_receive_view view = tni_receive_view(&queue->control->receive);
	uint64_t version = tni_get64(&queue->control->receive.version);
	uint64_t from = 0, to = view.drained;
	struct tni_peek *peeked = &queue->peeked;
	struct age_count ages;
	int result;

	if (position >= view.ready)
		return -ENOENT;
	if (peeked->version == version && position == peeked->position + 1) {
		result = count_ages(queue, peeked->sequence, &ages);
		if (result == 0 && ages.count == position && ages.next != UINT64_MAX) {
			ages.last = ages.next;
			ages.last_slot = ages.next_slot;
			goto found;
		}
	}
	while (from < to) {
		uint64_t middle = from + (to - from) / 2;

		result = count_ages(queue, middle, &ages);
		if (result != 0)
			return result;
		if (ages.count == position + 1)
			goto found;
		if (ages.count <= position)
			from = middle + 1;
		else
			to = middle;
	}
	return -EBADMSG;
found:
	*peeked = (struct tni_peek){
		.version = version, .position = position, .sequence = ages.last};
	*ret_slot = ages.last_slot;
	return 0;
}

static int peek_ordered(struct tenon_queue *queue, uint64_t position, uint64_t *ret_slot)
{
	if (position >= tni_slots_max(queue))
		return -ENOENT;
	return queue->attributes.order == TENON_QUEUE_TYPED
		       ? peek_by_age(queue, position, ret_slot)
		       : peek_by_key(queue, position, ret_slot);
}

/* Finds the message `position` places behind the next one, under the receivers' lock. */
static int find_at(struct tenon_queue *queue, uint64_t position, struct tni_item *ret_item)
{
	struct tni_receive_view view;
	struct tni_walk walk = {0, 0};
	uint64_t link, slot;
	bool jumped = false;
	int result, drained;

	memset(ret_item, 0, sizeof(*ret_item));
	if (queue->attributes.order != TENON_QUEUE_FIFO) {
		drained = tni_order_drain(queue);
		if (drained != 0 && drained != -ENOSPC)
			return drained;
		result = peek_ordered(queue, position, &slot);
		/* Not all could be looked through: there was no memory for the index. */
		if (result == -ENOENT && drained != 0)
			return drained;
		return result == 0 ? tni_item_of_slot(queue, slot, ret_item) : result;
	}
	link = tni_get64(&queue->control->receive.returned_link);
	view = tni_receive_view(&queue->control->receive);
	for (uint64_t i = 0; link != 0; i++) {
		const struct tni_lease *lease = tni_table_at(&queue->leases, link - 1);

		if (!lease || i >= queue->leases.max)
			return -EBADMSG;
		if (position-- == 0)
			return tni_item_of_lease(queue, link - 1, ret_item);
		link = tni_get64(&lease->next_link);
	}
	while (tni_walk_on(queue, &walk)) {
		struct tni_record record;

		result = tni_log_read(queue, view.head, &record);
		if (result != 0 || record.kind == 0)
			return result == 0 ? -ENOENT : result;
		view.head = record.next;
		if (record.kind == TNI_RECORD_VOID) {
			view.drained++;
			continue;
		}
		if (record.kind == TNI_RECORD_JUMP && jumped)
			return -EBADMSG;
		jumped = record.kind == TNI_RECORD_JUMP;
		if (jumped)
			continue;
		if (position-- == 0) {
			ret_item->message.sequence = view.drained;
			return tni_item_of_record(queue, &record, ret_item);
		}
		view.drained++;
	}
	return -EBADMSG;
}

/* `whole`: -EMSGSIZE, and nothing is copied, if it is longer than the buffer. */
static int peek(struct tenon_queue *queue, uint64_t position, void *buffer, uint64_t capacity_bytes,
		bool whole, struct tenon_message *ret_message)
{
	struct tni_call call;
	struct tni_item item;
	int result;

	if (!queue || (!buffer && capacity_bytes > 0))
		return -EINVAL;
	result = tni_call_begin(&call, queue);
	if (result != 0)
		return result;
	/* Surely not so many: nobody need walk there. */
	if (position >= TENON_QUEUE_MAX_CAPACITY)
		return -ENOENT;
	if (position >= tni_queue_available(queue)) {
		result = tni_queue_bring_back(&call, INT64_MAX);
		if (result < 0)
			return result;
		if (position >= tni_queue_available(queue))
			return -ENOENT;
	}
	result = tni_side_lock(&call, TNI_RECEIVE, INT64_MAX);
	if (result != 0)
		return result;
	result = find_at(queue, position, &item);
	if (result == 0 && whole && item.message.bytes > capacity_bytes)
		result = -EMSGSIZE;
	if (result == 0) {
		uint64_t bytes = item.message.bytes;

		bytes = bytes < capacity_bytes ? bytes : capacity_bytes;
		if (bytes > 0)
			tni_copy(buffer, item.data, bytes);
		if (ret_message)
			*ret_message = item.message;
	}
	tni_side_unlock(&call, TNI_RECEIVE);
	return result == -EBADMSG ? tni_queue_damaged(queue) : result;
}

int tenon_queue_peek(struct tenon_queue *queue, uint64_t position, void *buffer,
		     uint64_t capacity_bytes, struct tenon_message *ret_message)
{
	return peek(queue, position, buffer, capacity_bytes, false, ret_message);
}

int tni_queue_copy(struct tenon_queue *queue, uint64_t position, void *buffer,
		   uint64_t capacity_bytes, bool truncate, struct tenon_message *ret_message)
{
	int result;

	/* The others have an order by age only as far as nobody has looked by key. */
	if (queue && queue->attributes.order == TENON_QUEUE_PRIORITY)
		return -EOPNOTSUPP;
	result = peek(queue, position, buffer, capacity_bytes, !truncate, ret_message);
	return result == -ENOENT ? -EAGAIN : result;
}
