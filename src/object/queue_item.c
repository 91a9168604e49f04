/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The next message: found, ended, leased, put back; all under the receivers' lock.
 *
 * A message is in one of four places:
 *
 *	the log			not drained yet
 *	ready			FIFO: a lease in state RETURNED, linked from the oldest to the
 *				youngest; otherwise: a slot in the index (of the senders', or, for
 *				what lay in the log, of the receivers' own)
 *	a lease (TAKEN)		of one participant
 *	gone			its slot or chunk is in limbo, then free; or the receivers' slot is free
 *
 * Every change of place is one commit (core/journal.h); the crash table there is the one for all of
 * them.  A lease on a record that lies in the log pins its chunk.
 */

#include <errno.h>

#include "object/queue_order.h"
#include "object/queue_private.h"

static int item_in_slot(struct tenon_queue *queue, uint64_t index, struct tni_item *item)
{
	struct tni_slot *slot = tni_slot_at(queue, index);
	int64_t bytes = slot ? tni_slot_bytes(queue, index, slot) : -EBADMSG;

	if (bytes < 0)
		return (int)bytes;
	item->in_slot = true;
	item->slot = index;
	item->data = tni_slot_data(queue, index);
	item->message.sender_pid = (int32_t)(tni_get32(&slot->flags_sender) >> 8);
	item->message.bytes = (uint64_t)bytes;
	item->message.key = tni_get64(&slot->key);
	return 0;
}

int tni_item_of_slot(struct tenon_queue *queue, uint64_t index, struct tni_item *item)
{
	const struct tni_slot *slot;
	int result = item_in_slot(queue, index, item);

	if (result != 0)
		return result;
	slot = tni_slot_at(queue, index);
	item->origin = TNI_ITEM_INDEXED;
	item->message.sequence = tni_get64(&slot->sequence);
	item->message.deliveries = tni_get32(&slot->deliveries);
	return 0;
}

int tni_item_of_record(struct tenon_queue *queue, const struct tni_record *record,
		       struct tni_item *item)
{
	item->position = record->position;
	item->next = record->next;
	if (record->kind == TNI_RECORD_SLOT) {
		int result = item_in_slot(queue, record->slot, item);

		return result == 0 && item->message.bytes != record->bytes ? -EBADMSG : result;
	}
	item->data = record->data;
	item->message.bytes = record->bytes;
	item->message.key = record->key;
	item->message.sender_pid = (int32_t)record->sender;
	return 0;
}

int tni_item_of_lease(struct tenon_queue *queue, uint64_t lease_index, struct tni_item *item)
{
	const struct tni_lease *lease = tni_table_at(&queue->leases, lease_index);
	struct tni_record record;
	uint64_t where;
	int result;

	if (!lease)
		return -EBADMSG;
	item->origin = TNI_ITEM_RETURNED;
	item->lease = lease_index;
	where = tni_get64(&lease->record);
	if (where & TNI_LEASE_IN_SLOT) {
		result = item_in_slot(queue, where & ~TNI_LEASE_IN_SLOT, item);
	} else {
		result = tni_log_read(queue, where, &record);
		if (result == 0)
			result = record.kind == TNI_RECORD_INLINE
					 ? tni_item_of_record(queue, &record, item)
					 : -EBADMSG;
	}
	item->message.sender_pid = (int32_t)tni_get64(&lease->sender);
	item->message.sequence = tni_get64(&lease->sequence);
	item->message.deliveries = (uint32_t)(tni_get64(&lease->bytes_deliveries) >> 32);
	return result;
}

/* What was withdrawn was counted then. */
static int pass_void(struct tenon_queue *queue, struct tni_receive_view *view,
		     const struct tni_record *record)
{
	struct tni_receive_side *side = &queue->control->receive;
	struct tni_txn txn;

	tni_txn_begin(&txn, &side->journal, queue->object.base, &side->version);
	tni_txn_set(&txn, &side->voids, tni_get64(&side->voids) - 1);
	view->head = record->next;
	view->drained++;
	view->done++;
	return tni_receive_commit(queue, view);
}

static int find_in_log(struct tenon_queue *queue, struct tni_item *item)
{
	struct tni_receive_view view = tni_receive_view(&queue->control->receive);
	struct tni_walk walk = {0, 0};
	bool jumped = false;

	while (tni_walk_on(queue, &walk)) {
		struct tni_record record;
		int result = tni_log_read(queue, view.head, &record);

		if (result != 0)
			return result;
		if (record.kind == 0)
			return -EAGAIN;
		if (record.kind == TNI_RECORD_INLINE || record.kind == TNI_RECORD_SLOT) {
			item->origin = TNI_ITEM_RECORD;
			item->message.sequence = view.drained;
			return tni_item_of_record(queue, &record, item);
		}
		/* A jump leads to a record, never to another jump. */
		if (jumped && record.kind == TNI_RECORD_JUMP)
			break;
		jumped = record.kind == TNI_RECORD_JUMP;
		result = jumped ? tni_log_leave_chunk(queue, &view, &record)
				: pass_void(queue, &view, &record);
		if (result != 0)
			return result;
	}
	return -EBADMSG;
}

static int find_indexed(struct tenon_queue *queue, const struct tenon_receive_options *options,
			struct tni_item *item)
{
	uint64_t index;
	int result = -EAGAIN, drained;

	if (tni_order_is_log(queue, options))
		return find_in_log(queue, item);
	/* Where age decides, nothing in the log comes before what is in the index. */
	if (queue->attributes.order == TENON_QUEUE_TYPED &&
	    options->select != TENON_SELECT_LOWEST_TO)
		result = tni_order_select(queue, options->select, options->select_key, &index);
	if (result == 0)
		return tni_item_of_slot(queue, index, item);
	if (result != -EAGAIN)
		return result;
	drained = tni_order_drain(queue);
	if (drained != 0 && drained != -ENOSPC)
		return drained;
	result = tni_order_select(queue, options->select, options->select_key, &index);
	/* No memory for the index: what is in it can still be received. */
	if (result == -EAGAIN)
		return drained == -ENOSPC ? drained : result;
	return result == 0 ? tni_item_of_slot(queue, index, item) : result;
}

static int find_any(struct tenon_queue *queue, const struct tenon_receive_options *options,
		    struct tni_item *item)
{
	uint64_t returned;

	if (queue->attributes.order != TENON_QUEUE_FIFO)
		return find_indexed(queue, options, item);
	returned = tni_get64(&queue->control->receive.returned_link);
	if (__builtin_expect(returned != 0, 0))
		return tni_item_of_lease(queue, returned - 1, item);
	return find_in_log(queue, item);
}

int tni_item_find(struct tenon_queue *queue, const struct tenon_receive_options *options,
		  struct tni_item *ret_item)
{
	struct tni_walk walk = {0, 0};

	while (tni_walk_on(queue, &walk)) {
		struct tni_item item = {.slot = 0};
		int result = find_any(queue, options, &item);

		if (result != 0)
			return result;
		/* Withdrawn by its sender: it was never sent. */
		if (item.in_slot && (tni_get32(&tni_slot_at(queue, item.slot)->flags_sender) &
				     TNI_SLOT_CANCELLED)) {
			result = tni_item_finish(queue, &item, TNI_WITHDRAWN);
			if (result != 0)
				return result;
			continue;
		}
		*ret_item = item;
		return 0;
	}
	return -EBADMSG;
}

/* Lets go of the memory of a record in the log: of its chunk, if that was the last lease in it. */
static int unpin(struct tenon_queue *queue, struct tni_txn *txn, struct tni_receive_view *view,
		 uint64_t position)
{
	uint64_t index = position / queue->attributes.chunk_bytes;
	struct tni_chunk *chunk = tni_table_at(&queue->chunks, index);
	uint64_t pins = chunk ? tni_get64(&chunk->pins) : 0;

	if (pins == 0)
		return -EBADMSG;
	tni_txn_set(txn, &chunk->pins, pins - 1);
	if (pins == 1 && tni_get64(&chunk->retired))
		view->limbo_chunk = tni_limbo(&queue->control->send.chunks, index);
	return 0;
}

int tni_item_end(struct tenon_queue *queue, struct tni_txn *txn, struct tni_receive_view *view,
		 const struct tni_item *item, uint32_t outcome)
{
	struct tni_receive_side *side = &queue->control->receive;
	int result = 0;

	view->done++;
	view->bytes += item->message.bytes;
	if (item->in_slot && tni_slot_is_held(queue, item->slot))
		result = tni_pool_give(txn, &side->held, &queue->held,
				       item->slot - queue->slots.max);
	else if (item->in_slot)
		view->limbo_slot = tni_limbo(&queue->control->send.slots, item->slot) |
				   (outcome == TNI_RECEIVED ? 0 : TNI_LIMBO_DROPPED);
	if (outcome == TNI_DROPPED) {
		tni_txn_add(txn, &side->dropped, 1);
		tni_txn_add(txn, &side->dropped_bytes, item->message.bytes);
	} else if (outcome == TNI_WITHDRAWN) {
		tni_txn_add(txn, &side->withdrawn, 1);
		tni_txn_add(txn, &side->withdrawn_bytes, item->message.bytes);
	}
	return result;
}

/* Takes a returned lease off its list, which it heads. */
static int unlink_returned(struct tenon_queue *queue, struct tni_txn *txn, uint64_t index)
{
	struct tni_receive_side *side = &queue->control->receive;
	const struct tni_lease *lease = tni_table_at(&queue->leases, index);

	if (!lease || tni_get64(&side->returned_link) != index + 1)
		return -EBADMSG;
	tni_txn_set(txn, &side->returned_link, tni_get64(&lease->next_link));
	return 0;
}

int tni_item_free_lease(struct tenon_queue *queue, struct tni_txn *txn, uint64_t index)
{
	struct tni_lease *lease = tni_table_at(&queue->leases, index);

	tni_txn_set(txn, &lease->state_participant, TNI_LEASE_FREE);
	return tni_pool_give(txn, &queue->control->receive.leases, &queue->leases, index);
}

/* Takes the item from where it was found. */
static int detach(struct tenon_queue *queue, struct tni_txn *txn, struct tni_receive_view *view,
		  const struct tni_item *item)
{
	switch (item->origin) {
	case TNI_ITEM_RECORD:
		view->head = item->next;
		view->drained++;
		return 0;
	case TNI_ITEM_RETURNED:
		view->ready--;
		return unlink_returned(queue, txn, item->lease);
	default:
		view->ready--;
		return tni_order_remove(queue, txn, item->slot);
	}
}

int tni_item_commit(struct tenon_queue *queue, struct tni_txn *txn,
		    const struct tni_receive_view *view, int result)
{
	if (result != 0) {
		tni_txn_abort(txn);
		return result;
	}
	return tni_receive_commit(queue, view);
}

int tni_item_finish(struct tenon_queue *queue, const struct tni_item *item, uint32_t outcome)
{
	struct tni_receive_side *side = &queue->control->receive;
	struct tni_receive_view view = tni_receive_view(side);
	struct tni_txn txn;
	int result;

	if (outcome == TNI_RECEIVED)
		tni_note_received(queue);
	/* The common case needs no journal: nothing changes but the state. */
	if (item->origin == TNI_ITEM_RECORD && !item->in_slot && outcome == TNI_RECEIVED) {
		view.head = item->next;
		view.drained++;
		view.done++;
		view.bytes += item->message.bytes;
		return tni_receive_commit(queue, &view);
	}
	tni_txn_begin(&txn, &side->journal, queue->object.base, &side->version);
	result = detach(queue, &txn, &view, item);
	if (result == 0)
		result = tni_item_end(queue, &txn, &view, item, outcome);
	if (result == 0 && item->origin == TNI_ITEM_RETURNED) {
		if (!item->in_slot)
			result = unpin(queue, &txn, &view, item->position);
		if (result == 0)
			result = tni_item_free_lease(queue, &txn, item->lease);
	}
	return tni_item_commit(queue, &txn, &view, result);
}

/* Tells a lease from an earlier one of the same message by the same entry, too. */
static uint64_t lease_opaque(uint64_t index, uint64_t sequence, uint64_t deliveries)
{
	return (index + 1) | (sequence + (deliveries << 20)) << 32;
}

static uint64_t taken_by(uint32_t participant)
{
	return TNI_LEASE_TAKEN | (uint64_t)participant << 32;
}

/* A short message of an ordered queue that lies in the log could not be put back into the index: it is
 * moved there before it is leased. */
int tni_item_settle(struct tenon_queue *queue, struct tni_item *item)
{
	uint64_t slot;
	int result;

	if (queue->attributes.order == TENON_QUEUE_FIFO || item->in_slot)
		return 0;
	result = tni_order_drain_front(queue, &slot);
	return result == 0 ? tni_item_of_slot(queue, slot, item) : result;
}

int tni_item_lease(struct tenon_queue *queue, const struct tni_item *item, uint64_t *ret_opaque)
{
	struct tni_receive_side *side = &queue->control->receive;
	struct tni_receive_view view = tni_receive_view(side);
	uint64_t index = item->lease;
	struct tni_lease *lease;
	struct tni_chunk *chunk;
	struct tni_txn txn;
	int result = 0;

	tni_note_received(queue);
	tni_txn_begin(&txn, &side->journal, queue->object.base, &side->version);
	if (item->origin != TNI_ITEM_RETURNED)
		result = tni_pool_take(&txn, &side->leases, &queue->leases, &index);
	if (result == 0)
		result = detach(queue, &txn, &view, item);
	if (result != 0)
		return tni_item_commit(queue, &txn, &view, result);
	lease = tni_table_at(&queue->leases, index);
	if (item->origin == TNI_ITEM_RECORD && item->in_slot)
		tni_set64(&tni_slot_at(queue, item->slot)->sequence, item->message.sequence);
	if (item->origin != TNI_ITEM_RETURNED) {
		tni_set64(&lease->sequence, item->message.sequence);
		tni_set64(&lease->record,
			  item->in_slot ? TNI_LEASE_IN_SLOT | item->slot : item->position);
		tni_set64(&lease->bytes_deliveries,
			  item->message.bytes | (uint64_t)item->message.deliveries << 32);
		tni_set64(&lease->sender, (uint32_t)item->message.sender_pid);
		if (!item->in_slot) {
			chunk = tni_table_at(&queue->chunks,
					     item->position / queue->attributes.chunk_bytes);
			tni_txn_set(&txn, &chunk->pins, tni_get64(&chunk->pins) + 1);
		}
	}
	tni_txn_set(&txn, &lease->state_participant, taken_by(queue->object.participant));
	*ret_opaque = lease_opaque(index, item->message.sequence, item->message.deliveries);
	return tni_receive_commit(queue, &view);
}

/* Puts a lease into the list of returned ones, which is in order of age. */
static int link_returned(struct tenon_queue *queue, struct tni_txn *txn, uint64_t index)
{
	struct tni_lease *lease = tni_table_at(&queue->leases, index);
	struct tni_a64 *place = &queue->control->receive.returned_link;
	uint64_t bound = tni_pool_extent(&queue->control->receive.leases, &queue->leases);

	for (uint64_t i = 0; i <= bound; i++) {
		uint64_t link = tni_get64(place);
		struct tni_lease *other = link ? tni_table_at(&queue->leases, link - 1) : NULL;

		if (link != 0 && !other)
			return -EBADMSG;
		if (!other || tni_get64(&other->sequence) > tni_get64(&lease->sequence)) {
			tni_txn_set(txn, &lease->next_link, link);
			tni_txn_set(txn, place, index + 1);
			return 0;
		}
		place = &other->next_link;
	}
	return -EBADMSG;
}

static int put_back(struct tenon_queue *queue, struct tni_txn *txn, struct tni_receive_view *view,
		    uint64_t index)
{
	struct tni_receive_side *side = &queue->control->receive;
	struct tni_lease *lease = tni_table_at(&queue->leases, index);
	uint64_t where = tni_get64(&lease->record);
	uint64_t counts = tni_get64(&lease->bytes_deliveries);
	struct tni_slot *slot;
	int result;

	view->ready++;
	tni_txn_add(txn, &side->redelivered, 1);
	if (queue->attributes.order == TENON_QUEUE_FIFO) {
		tni_txn_set(txn, &lease->bytes_deliveries, counts + (UINT64_C(1) << 32));
		tni_txn_set(txn, &lease->state_participant, TNI_LEASE_RETURNED);
		return link_returned(queue, txn, index);
	}
	slot = tni_slot_at(queue, where & ~TNI_LEASE_IN_SLOT);
	if (!slot)
		return -EBADMSG;
	/* Not journaled: undone, it would count a delivery too many, which it may well have been. */
	tni_set32(&slot->deliveries, (uint32_t)(counts >> 32) + 1);
	result = tni_order_insert(queue, txn, where & ~TNI_LEASE_IN_SLOT);
	return result == 0 ? tni_item_free_lease(queue, txn, index) : result;
}

static int finish_lease(struct tenon_queue *queue, struct tni_txn *txn,
			struct tni_receive_view *view, uint64_t index)
{
	const struct tni_lease *lease = tni_table_at(&queue->leases, index);
	uint64_t where = tni_get64(&lease->record);
	struct tni_item item = {
		.in_slot = where & TNI_LEASE_IN_SLOT,
		.slot = where & ~TNI_LEASE_IN_SLOT,
		.message.bytes = tni_get64(&lease->bytes_deliveries) & UINT32_MAX,
	};
	int result;

	if (item.in_slot && !tni_slot_at(queue, item.slot))
		return -EBADMSG;
	result = tni_item_end(queue, txn, view, &item, TNI_RECEIVED);
	if (result == 0 && !item.in_slot)
		result = unpin(queue, txn, view, where);
	return result == 0 ? tni_item_free_lease(queue, txn, index) : result;
}

static int end_lease(struct tenon_queue *queue, uint64_t index, bool done)
{
	struct tni_receive_side *side = &queue->control->receive;
	struct tni_receive_view view = tni_receive_view(side);
	struct tni_txn txn;
	int result;

	tni_txn_begin(&txn, &side->journal, queue->object.base, &side->version);
	result = done ? finish_lease(queue, &txn, &view, index)
		      : put_back(queue, &txn, &view, index);
	return tni_item_commit(queue, &txn, &view, result);
}

int tni_lease_end(struct tenon_queue *queue, uint64_t opaque, bool done)
{
	uint64_t index = (opaque & 0xffffffff) - 1;
	const struct tni_lease *lease;

	if ((opaque & 0xffffffff) == 0 ||
	    index >= tni_pool_top(&queue->control->receive.leases, &queue->leases))
		return -EINVAL;
	lease = tni_table_at(&queue->leases, index);
	if (!lease || tni_get64(&lease->state_participant) != taken_by(queue->object.participant) ||
	    lease_opaque(index, tni_get64(&lease->sequence),
			 tni_get64(&lease->bytes_deliveries) >> 32) != opaque)
		return -EINVAL;
	/* A receipt tells of who dealt with the message, not of who took one last. */
	if (done)
		tni_note_received(queue);
	return end_lease(queue, index, done);
}

int tni_lease_return_all(struct tenon_queue *queue, uint32_t participant)
{
	uint64_t top = tni_pool_extent(&queue->control->receive.leases, &queue->leases);
	bool raised = false;

	/* From behind: later leases are of younger messages as a rule, and each is put before those that
	 * were put back already. */
	for (uint64_t i = top; i-- > 0;) {
		const struct tni_lease *lease = tni_table_at(&queue->leases, i);
		int result;

		if (!lease)
			return -EBADMSG;
		if (tni_get64(&lease->state_participant) != taken_by(participant))
			continue;
		if (!raised)
			tni_poll_raise_returned(queue);
		raised = true;
		result = end_lease(queue, i, false);
		if (result != 0)
			return result;
	}
	if (raised)
		tni_poll_confirm_returned(queue);
	return 0;
}

int tni_item_drop(struct tenon_queue *queue)
{
	struct tenon_receive_options any = {.size = sizeof(any)};
	struct tni_item item;
	int result = tni_item_find(queue, &any, &item);

	return result == 0 ? tni_item_finish(queue, &item, TNI_DROPPED) : result;
}
