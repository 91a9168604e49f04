/* SPDX-License-Identifier: Apache-2.0 */

/* A rendezvous takes its message back: from the index, from the list of returned ones, from the front of the
 * log, or from amid it, where a void stays. */

#include <errno.h>

#include "object/queue_order.h"
#include "object/queue_private.h"

/* A record of a slot amid the log, behind others: the record stays, and says nothing any more. */
static int make_void(struct tenon_queue *queue, const struct tni_item *item)
{
	struct tni_receive_side *side = &queue->control->receive;
	struct tni_receive_view view = tni_receive_view(side);
	struct tni_a64 *word = (struct tni_a64 *)tni_log_word(queue, item->position);
	struct tni_txn txn;

	tni_txn_begin(&txn, &side->journal, queue->object.base, &side->version);
	tni_txn_set(&txn, word, tni_record_word(queue, TNI_RECORD_VOID, 0));
	tni_txn_add(&txn, &side->voids, 1);
	tni_txn_add(&txn, &side->withdrawn, 1);
	tni_txn_add(&txn, &side->withdrawn_bytes, item->message.bytes);
	view.bytes += item->message.bytes;
	view.limbo_slot = tni_limbo(&queue->control->send.slots, item->slot) | TNI_LIMBO_DROPPED;
	return tni_receive_commit(queue, &view);
}

/* One that was taken and put back, wherever in that list.  -EAGAIN: it is not there. */
static int withdraw_returned(struct tenon_queue *queue, uint64_t slot)
{
	struct tni_receive_side *side = &queue->control->receive;
	struct tni_receive_view view = tni_receive_view(side);
	uint64_t bound = tni_pool_extent(&side->leases, &queue->leases);
	struct tni_a64 *place = &side->returned_link;

	for (uint64_t i = 0; i <= bound; i++) {
		uint64_t link = tni_get64(place), index = link - 1;
		struct tni_lease *lease = link ? tni_table_at(&queue->leases, index) : NULL;
		struct tni_item item = {.slot = 0};
		struct tni_txn txn;
		int result;

		if (!lease)
			return link ? -EBADMSG : -EAGAIN;
		if (tni_get64(&lease->record) != (TNI_LEASE_IN_SLOT | slot)) {
			place = &lease->next_link;
			continue;
		}
		result = tni_item_of_lease(queue, index, &item);
		if (result != 0)
			return result;
		tni_txn_begin(&txn, &side->journal, queue->object.base, &side->version);
		tni_txn_set(&txn, place, tni_get64(&lease->next_link));
		view.ready--;
		result = tni_item_end(queue, &txn, &view, &item, TNI_WITHDRAWN);
		if (result == 0)
			result = tni_item_free_lease(queue, &txn, index);
		return tni_item_commit(queue, &txn, &view, result);
	}
	return -EBADMSG;
}

static int withdraw_from_log(struct tenon_queue *queue, uint64_t slot)
{
	struct tni_receive_view view = tni_receive_view(&queue->control->receive);
	struct tni_walk walk = {0, 0};

	while (tni_walk_on(queue, &walk)) {
		struct tni_item item = {.origin = TNI_ITEM_RECORD};
		struct tni_record record;
		int result = tni_log_read(queue, view.head, &record);

		if (result != 0 || record.kind == 0)
			return result;
		if (record.kind == TNI_RECORD_SLOT && record.slot == slot) {
			result = tni_item_of_record(queue, &record, &item);
			return result == 0 ? make_void(queue, &item) : result;
		}
		view.head = record.next;
	}
	return -EBADMSG;
}

int tni_item_withdraw(struct tenon_queue *queue, uint64_t index)
{
	static const struct tenon_receive_options any = {.size = sizeof(any)};
	struct tni_slot *slot = tni_slot_at(queue, index);
	struct tni_item item = {.slot = 0};
	int result;

	if (!slot)
		return -EBADMSG;
	if (queue->attributes.order != TENON_QUEUE_FIFO) {
		result = tni_order_drain(queue);
		if (result == 0)
			result = tni_item_of_slot(queue, index, &item);
		if (result != -ENOSPC)
			return result == 0 ? tni_item_finish(queue, &item, TNI_WITHDRAWN) : result;
	}
	if (queue->attributes.order == TENON_QUEUE_FIFO) {
		result = withdraw_returned(queue, index);
		if (result != -EAGAIN)
			return result;
	}
	/* Where it stands at the front now, or later, looking for the next message clears it away. */
	tni_set32(&slot->flags_sender, tni_get32(&slot->flags_sender) | TNI_SLOT_CANCELLED);
	result = tni_item_find(queue, &any, &item);
	if (result != 0)
		return result == -EAGAIN ? 0 : result;
	return queue->attributes.order == TENON_QUEUE_FIFO ? withdraw_from_log(queue, index) : 0;
}
