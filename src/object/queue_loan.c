/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Slots to write into.
 *
 * Loans: the entry in the table and the slot leave their pools in one commit; the entry says who has
 * the slot.  Sending it gives the entry back in the same run that publishes the message.
 */

#include <errno.h>

#include "object/queue_fast.h"
#include "object/queue_private.h"

/* Memory for a message in a slot. */
static int make_room(struct tenon_queue *queue, uint64_t index, struct tni_slot *slot,
		     uint64_t bytes)
{
	struct tni_table *data = &queue->data;
	uint64_t room = tni_get64(&slot->room_bytes), want = data->entry_bytes;
	int result;

	if (data->pages)
		want = (bytes + TNI_PAGE_BYTES - 1) & ~(uint64_t)(TNI_PAGE_BYTES - 1);
	/* Given back meanwhile: what was known of it does not hold any more. */
	if (data->pages && room < want)
		tni_set32(&data->pages[index], 0);
	result = tni_table_back(data, index, want);
	if (result == 0 && (room < want || room > data->entry_bytes))
		tni_set64(&slot->room_bytes, want);
	return result;
}

/*
 * Freed ones lie there as a stack.  A slot that was freed just now is in the cache of the processor that
 * read it, and comes from there more slowly than from the one that all share: the one that was freed
 * first is taken first.
 */
void tni_slots_refill(struct tenon_queue *queue)
{
	struct tni_send_side *side = &queue->control->send;
	struct tni_send_view view;
	struct tni_txn txn;

	if (!tni_transfer_is_short(&side->slots, &queue->slots))
		return;
	tni_transfer_grab(&side->slots);
	view = tni_send_view(side);
	tni_txn_begin(&txn, &side->journal, queue->object.base, &side->version);
	/* What leads astray shows when it is taken. */
	if (tni_transfer_turn(&txn, &side->slots, &queue->slots) > 0)
		tni_send_commit(side, &view);
	else
		tni_txn_abort(&txn);
}

/* Takes a slot with room for a message, in an open run. */
int tni_slot_take(struct tenon_queue *queue, struct tni_txn *txn, uint64_t bytes,
		  uint64_t *ret_index, struct tni_slot **ret_slot)
{
	struct tni_slot *slot;
	uint64_t index;
	int result = tni_pool_take(txn, &queue->control->send.slots.pool, &queue->slots, &index);

	if (result != 0)
		return result;
	slot = tni_slot_at(queue, index);
	if (!slot)
		return -ENOSPC;
	result = make_room(queue, index, slot, bytes);
	if (result != 0)
		return result;
	tni_set32(&slot->receipt_link, 0);
	tni_set32(&slot->deliveries, 0);
	*ret_index = index;
	*ret_slot = slot;
	return 0;
}

int tni_loan_begin(struct tenon_queue *queue, uint64_t bytes, uint64_t *ret_opaque,
		   uint64_t *ret_slot)
{
	struct tni_send_side *side = &queue->control->send;
	struct tni_send_view view;
	struct tni_slot *slot;
	struct tni_loan *loan;
	struct tni_txn txn;
	uint64_t index;
	int result;

	tni_slots_refill(queue);
	view = tni_send_view(side);
	tni_txn_begin(&txn, &side->journal, queue->object.base, &side->version);
	result = tni_pool_take(&txn, &side->loans, &queue->loans, &index);
	if (result == 0)
		result = tni_slot_take(queue, &txn, bytes, ret_slot, &slot);
	if (result != 0) {
		tni_txn_abort(&txn);
		return result;
	}
	loan = tni_table_at(&queue->loans, index);
	tni_set64(&loan->serial, tni_serial(side));
	*ret_opaque = (index + 1) | tni_get64(&loan->serial) << 32;
	tni_txn_set(&txn, &loan->slot, *ret_slot);
	tni_txn_set(&txn, &loan->state_participant,
		    TNI_LOAN_HELD | (uint64_t)queue->object.participant << 32);
	tni_send_commit(side, &view);
	return 0;
}

int tni_loan_take(struct tni_call *call, uint64_t bytes, int64_t deadline_ns, uint64_t *ret_opaque,
		  uint64_t *ret_slot)
{
	struct tenon_queue *queue = call->queue;
	int result = tni_side_lock(call, TNI_SEND, deadline_ns);

	if (result != 0)
		return result;
	result = tni_loan_begin(queue, bytes, ret_opaque, ret_slot);
	if (result == -ENOSPC) {
		tni_memory_release(queue);
		result = tni_loan_begin(queue, bytes, ret_opaque, ret_slot);
	}
	tni_side_unlock(call, TNI_SEND);
	return result == -EBADMSG ? tni_queue_damaged(queue) : result;
}

/* Under the senders' lock. */
int tni_loan_free(struct tenon_queue *queue, uint64_t index)
{
	struct tni_send_side *side = &queue->control->send;
	struct tni_loan *loan = tni_table_at(&queue->loans, index);
	struct tni_send_view view = tni_send_view(side);
	struct tni_txn txn;
	int result;

	tni_txn_begin(&txn, &side->journal, queue->object.base, &side->version);
	result = tni_pool_give(&txn, &side->slots.pool, &queue->slots, tni_get64(&loan->slot));
	if (result == 0) {
		tni_txn_set(&txn, &loan->state_participant, TNI_LOAN_FREE);
		result = tni_pool_give(&txn, &side->loans, &queue->loans, index);
	}
	if (result == 0)
		tni_send_commit(side, &view);
	else
		tni_txn_abort(&txn);
	return result;
}

int tni_loan_free_all(struct tenon_queue *queue, uint32_t participant)
{
	uint64_t top = tni_pool_extent(&queue->control->send.loans, &queue->loans);

	for (uint64_t i = 0; i < top; i++) {
		const struct tni_loan *loan = tni_table_at(&queue->loans, i);
		int result;

		if (!loan)
			return -EBADMSG;
		if (tni_get64(&loan->state_participant) !=
		    (TNI_LOAN_HELD | (uint64_t)participant << 32))
			continue;
		result = tni_loan_free(queue, i);
		if (result != 0)
			return result;
	}
	return 0;
}

int tenon_queue_loan(struct tenon_queue *queue, uint64_t bytes, struct tenon_loan *ret_loan)
{
	struct tni_call call;
	uint64_t opaque, slot;
	int result;

	if (!queue || !ret_loan)
		return -EINVAL;
	if (bytes > queue->attributes.max_message_bytes)
		return -EMSGSIZE;
	if (!tni_call_quick(&call, queue) || !tni_fast_loan(&call, bytes, &opaque, &slot)) {
		result = tni_call_begin(&call, queue);
		if (result == 0)
			result = tni_loan_take(&call, bytes, INT64_MAX, &opaque, &slot);
		if (result != 0)
			return result;
	}
	ret_loan->data = tni_slot_data(queue, slot);
	ret_loan->bytes = bytes;
	ret_loan->opaque = opaque;
	return 0;
}

/* The entry of a loan that this process holds, with room for `bytes`: what the caller's structure says
 * of it may have been changed. */
int tni_loan_find(struct tenon_queue *queue, const struct tenon_loan *loan, uint64_t bytes,
		  uint64_t *ret_index)
{
	uint64_t index = (loan->opaque & 0xffffffff) - 1;
	const struct tni_loan *entry;
	const struct tni_slot *slot;

	if ((loan->opaque & 0xffffffff) == 0 ||
	    index >= tni_pool_top(&queue->control->send.loans, &queue->loans))
		return -EINVAL;
	entry = tni_table_at(&queue->loans, index);
	if (!entry ||
	    tni_get64(&entry->state_participant) !=
		    (TNI_LOAN_HELD | (uint64_t)queue->object.participant << 32) ||
	    (uint32_t)tni_get64(&entry->serial) != loan->opaque >> 32)
		return -EINVAL;
	slot = tni_slot_at(queue, tni_get64(&entry->slot));
	if (!slot || bytes > queue->attributes.max_message_bytes ||
	    bytes > tni_get64(&slot->room_bytes))
		return -EINVAL;
	*ret_index = index;
	return 0;
}

int tenon_queue_abandon(struct tenon_queue *queue, struct tenon_loan *loan)
{
	struct tni_call call;
	uint64_t index;
	int result;

	if (!queue || !loan)
		return -EINVAL;
	result = tni_call_begin(&call, queue);
	if (result == 0)
		result = tni_side_lock(&call, TNI_SEND, INT64_MAX);
	if (result != 0)
		return result;
	result = tni_loan_find(queue, loan, 0, &index);
	if (result == 0)
		result = tni_loan_free(queue, index);
	tni_side_unlock(&call, TNI_SEND);
	if (result != 0)
		return result == -EBADMSG ? tni_queue_damaged(queue) : result;
	loan->data = NULL;
	loan->opaque = 0;
	return 0;
}
