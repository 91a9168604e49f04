/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Receipts: who received a message, for its sender.  The sender's side makes and ends them; the
 * receivers' side writes the outcome, behind the commit that ends the message and before its slot is
 * pushed to the free ones (core/table.h), so that a repairer who pushes the slot also writes the
 * outcome.  The word is changed by compare-and-swap, since an orphaning may come in between.
 */

#include <errno.h>

#include "object/queue_private.h"

static __thread struct {
	uint64_t handle, receipt;
} last_receipt;

static int take_back_orphans(struct tenon_queue *queue, struct tni_txn *txn)
{
	struct tni_send_side *side = &queue->control->send;
	uint64_t top = tni_pool_extent(&side->receipts, &queue->receipts),
		 orphans = tni_get64(&side->orphans);

	/* A few at a time: the journal is short. */
	for (uint64_t i = 0, freed = 0; i < top && orphans > 0 && freed < 8; i++) {
		struct tni_receipt *receipt = tni_table_at(&queue->receipts, i);
		uint64_t state = receipt ? tni_get64(&receipt->state_pid) : 0;
		int result;

		if (!(state & TNI_RECEIPT_ORPHAN) ||
		    (state & TNI_RECEIPT_STATE_MASK) == TNI_RECEIPT_OPEN)
			continue;
		tni_txn_set(txn, &receipt->state_pid, TNI_RECEIPT_FREE);
		tni_txn_set(txn, &side->orphans, --orphans);
		result = tni_pool_give(txn, &side->receipts, &queue->receipts, i);
		if (result != 0)
			return result;
		freed++;
	}
	return 0;
}

static int take_entry(struct tenon_queue *queue, struct tni_txn *txn, uint64_t *ret_index)
{
	struct tni_send_side *side = &queue->control->send;
	int result = 0;

	if (tni_get64(&side->orphans) > 0 && tni_get64(&side->receipts.free_link) == 0)
		result = take_back_orphans(queue, txn);
	return result == 0 ? tni_pool_take(txn, &side->receipts, &queue->receipts, ret_index)
			   : result;
}

int tni_receipt_take(struct tenon_queue *queue, struct tni_txn *txn, uint64_t slot_index,
		     uint64_t *ret_receipt)
{
	struct tni_send_side *side = &queue->control->send;
	struct tni_slot *slot = tni_slot_at(queue, slot_index);
	struct tni_receipt *receipt;
	uint64_t index;
	int result = 0;

	result = take_entry(queue, txn, &index);
	if (result != 0)
		return result;
	receipt = tni_table_at(&queue->receipts, index);
	tni_txn_set(txn, &receipt->state_pid, TNI_RECEIPT_OPEN);
	tni_set64(&receipt->slot, slot_index);
	tni_set64(&receipt->owner, queue->object.participant | tni_serial(side) << 32);
	tni_set32(&slot->receipt_link, (uint32_t)index + 1);
	*ret_receipt = index | tni_serial(side) << 32;
	return 0;
}

int tni_receipt_of_dropped(struct tenon_queue *queue, uint64_t *ret_receipt)
{
	struct tni_send_side *side = &queue->control->send;
	struct tni_send_view view = tni_send_view(side);
	struct tni_receipt *receipt;
	struct tni_txn txn;
	uint64_t index;
	int result;

	tni_txn_begin(&txn, &side->journal, queue->object.base, &side->version);
	result = take_entry(queue, &txn, &index);
	if (result != 0) {
		tni_txn_abort(&txn);
		return result;
	}
	receipt = tni_table_at(&queue->receipts, index);
	tni_txn_set(&txn, &receipt->state_pid, TNI_RECEIPT_CANCELLED);
	tni_set64(&receipt->slot, UINT64_MAX);
	tni_set64(&receipt->owner, queue->object.participant | tni_serial(side) << 32);
	*ret_receipt = index | tni_serial(side) << 32;
	tni_send_commit(side, &view);
	return 0;
}

void tni_receipt_finish(struct tenon_queue *queue, uint64_t slot_index, bool dropped)
{
	const struct tni_slot *slot = tni_slot_at(queue, slot_index);
	uint32_t link = slot ? tni_get32(&slot->receipt_link) : 0;
	struct tni_receipt *receipt;
	uint64_t before, outcome = dropped ? TNI_RECEIPT_CANCELLED : TNI_RECEIPT_DONE;

	receipt = link == 0 ? NULL : tni_table_at(&queue->receipts, link - 1);
	/* A sender that died while it withdrew leaves a link to an entry that is another's now. */
	if (!receipt || tni_get64(&receipt->slot) != slot_index)
		return;
	outcome |= (uint64_t)tni_get32(&queue->control->receive.last_pid) << 32;
	before = tni_get64(&receipt->state_pid);
	while ((before & TNI_RECEIPT_STATE_MASK) == TNI_RECEIPT_OPEN &&
	       !tni_cas64(&receipt->state_pid, &before, outcome | (before & TNI_RECEIPT_ORPHAN)))
		;
}

int tni_receipt_orphan_all(struct tenon_queue *queue, uint32_t participant)
{
	struct tni_send_side *side = &queue->control->send;
	uint64_t top = tni_pool_extent(&side->receipts, &queue->receipts);

	for (uint64_t i = 0; i < top; i++) {
		struct tni_receipt *receipt = tni_table_at(&queue->receipts, i);
		uint64_t state;

		if (!receipt)
			return -EBADMSG;
		state = tni_get64(&receipt->state_pid);
		if ((state & TNI_RECEIPT_STATE_MASK) == TNI_RECEIPT_FREE ||
		    (state & TNI_RECEIPT_ORPHAN) ||
		    (uint32_t)tni_get64(&receipt->owner) != participant)
			continue;
		/* Dying in between leaves a count too low: the orphan is found by the next. */
		tni_fetch_or64(&receipt->state_pid, TNI_RECEIPT_ORPHAN);
		tni_set64(&side->orphans, tni_get64(&side->orphans) + 1);
	}
	return 0;
}

void tni_receipt_remember(struct tenon_queue *queue, uint64_t receipt)
{
	last_receipt.handle = queue->handle;
	last_receipt.receipt = receipt;
}

int tenon_queue_last_receipt(struct tenon_queue *queue, uint64_t *ret_receipt)
{
	if (!queue || !ret_receipt || last_receipt.handle != queue->handle)
		return -EINVAL;
	*ret_receipt = last_receipt.receipt;
	return 0;
}

static struct tni_receipt *own_receipt(struct tenon_queue *queue, uint64_t number)
{
	struct tni_receipt *receipt;
	uint64_t state, index = (uint32_t)number, serial = number >> 32;

	if (index >= tni_pool_top(&queue->control->send.receipts, &queue->receipts))
		return NULL;
	receipt = tni_table_at(&queue->receipts, index);
	state = receipt ? tni_get64(&receipt->state_pid) & TNI_RECEIPT_STATE_MASK : 0;
	if (state == TNI_RECEIPT_FREE ||
	    tni_get64(&receipt->owner) != (queue->object.participant | serial << 32))
		return NULL;
	return receipt;
}

/* Gives the entry back.  Answers what stood in it. */
static int end_receipt(struct tni_call *call, uint64_t number, uint64_t *ret_state)
{
	struct tenon_queue *queue = call->queue;
	struct tni_send_side *side = &queue->control->send;
	struct tni_receipt *receipt;
	struct tni_send_view view;
	struct tni_txn txn;
	int result = tni_side_lock(call, TNI_SEND, INT64_MAX);

	if (result != 0)
		return result;
	receipt = own_receipt(queue, number);
	if (receipt) {
		*ret_state = tni_get64(&receipt->state_pid);
		view = tni_send_view(side);
		tni_txn_begin(&txn, &side->journal, queue->object.base, &side->version);
		tni_txn_set(&txn, &receipt->state_pid, TNI_RECEIPT_FREE);
		result = tni_pool_give(&txn, &side->receipts, &queue->receipts, (uint32_t)number);
		if (result == 0)
			tni_send_commit(side, &view);
		else
			tni_txn_abort(&txn);
	} else {
		result = -EINVAL;
	}
	tni_side_unlock(call, TNI_SEND);
	return result;
}

static int await(struct tni_call *call, const struct tni_receipt *receipt, int64_t deadline_ns)
{
	struct tni_reason reason = {.class = TNI_CLASS_RECEIPT, .receipt = receipt};
	int result = 0;

	tni_spin(call->queue, &reason, deadline_ns);
	while (result == 0 && (tni_load_acquire64(&receipt->state_pid) & TNI_RECEIPT_STATE_MASK) ==
				      TNI_RECEIPT_OPEN) /* ORD(seen) */
		result = tni_wait(call, &reason, deadline_ns);
	tni_wait_leave(call);
	return result;
}

int tenon_queue_receipt(struct tenon_queue *queue, uint64_t receipt, int64_t deadline_ns,
			int32_t *ret_receiver_pid)
{
	const struct tni_receipt *entry;
	struct tni_call call;
	uint64_t state;
	int result;

	if (!queue)
		return -EINVAL;
	result = tni_call_begin(&call, queue);
	if (result != 0)
		return result;
	entry = own_receipt(queue, receipt);
	if (!entry)
		return -EINVAL;
	result = await(&call, entry, deadline_ns == 0 ? TENON_NO_DEADLINE : deadline_ns);
	if (result == 0)
		result = end_receipt(&call, receipt, &state);
	if (result != 0)
		return result;
	if ((state & TNI_RECEIPT_STATE_MASK) == TNI_RECEIPT_CANCELLED)
		return -ECANCELED;
	if (ret_receiver_pid)
		*ret_receiver_pid = (int32_t)(state >> 32);
	return 0;
}

/* Under the receivers' lock: whether somebody has the message of a slot under lease. */
static bool is_leased(struct tenon_queue *queue, uint64_t slot)
{
	uint64_t top = tni_pool_extent(&queue->control->receive.leases, &queue->leases);

	for (uint64_t i = 0; i < top; i++) {
		const struct tni_lease *lease = tni_table_at(&queue->leases, i);

		if (lease &&
		    (tni_get64(&lease->state_participant) & UINT32_MAX) == TNI_LEASE_TAKEN &&
		    tni_get64(&lease->record) == (TNI_LEASE_IN_SLOT | slot))
			return true;
	}
	return false;
}

/* The sender will not ask any more.  The state goes first, so that the entry can be had again if the
 * sender dies in between. */
static void forgo(struct tni_receipt *receipt, struct tni_slot *slot)
{
	uint64_t before = TNI_RECEIPT_OPEN;

	tni_cas64(&receipt->state_pid, &before, TNI_RECEIPT_CANCELLED);
	tni_set32(&slot->receipt_link, 0);
	tni_step();
}

/* Takes a message back that nobody has received yet.  -EALREADY: somebody has, or has it under
 * lease, which a receipt that is kept will tell of. */
static int withdraw(struct tni_call *call, struct tni_receipt *receipt, bool keep)
{
	struct tenon_queue *queue = call->queue;
	uint64_t index = tni_get64(&receipt->slot);
	struct tni_slot *slot = tni_slot_at(queue, index);
	int result = tni_side_lock(call, TNI_RECEIVE, INT64_MAX);

	if (result != 0)
		return result;
	if (!slot) {
		result = -EBADMSG;
	} else if ((tni_get64(&receipt->state_pid) & TNI_RECEIPT_STATE_MASK) != TNI_RECEIPT_OPEN) {
		result = -EALREADY;
	} else if (is_leased(queue, index)) {
		if (!keep)
			forgo(receipt, slot);
		result = -EALREADY;
	} else {
		forgo(receipt, slot);
		result = tni_item_withdraw(queue, index);
	}
	tni_side_unlock(call, TNI_RECEIVE);
	return result;
}

int tni_receipt_rendezvous(struct tni_call *call, uint64_t receipt, bool keep, int64_t deadline_ns)
{
	struct tni_receipt *entry = tni_table_at(&call->queue->receipts, (uint32_t)receipt);
	int result = await(call, entry, deadline_ns), withdrawn = 0;
	uint64_t state = 0;

	if (result == 0 && keep)
		return 0;
	if (result != 0)
		withdrawn = withdraw(call, entry, keep);
	/* Under lease is received: whether the holder is ever done is not waited for, since who wrote
	 * the lease is not known. */
	if (withdrawn == -EALREADY)
		result = 0;
	else if (withdrawn != 0)
		result = withdrawn;
	if (result != 0 || !keep)
		end_receipt(call, receipt, &state);
	return result;
}

bool tni_receipt_has_taker(struct tenon_queue *queue)
{
	uint32_t waiting = tni_gatehouse_count(&queue->house, TNI_CLASS_MESSAGE);

	return waiting > tni_queue_available(queue);
}
