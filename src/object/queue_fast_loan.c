/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The short way of messages that are not copied: loan and commit, and, where messages are received in the order of their
 * arrival, take and done.  The side's gate is free, nobody polls, no limit of bytes holds, and it is no rendezvous.  Each does
 * what queue_loan.c, queue_send.c, queue_receive.c and queue_item.c do under the lock, by the same functions and so under the
 * same crash tables, and spares what comes before and behind: looking at options that are not there, at deaths that nobody told
 * of, at who polls.  Whatever it does not know it leaves to them, having changed nothing.
 */

#include "object/queue_fast.h"
#include "object/queue_order.h"

/* A descriptor that is both has to be told of each change of a level. */
static bool is_other(const struct tenon_queue *queue)
{
	return tni_get32(&queue->control->poll_wanted) != 0;
}

/* Who has begun to poll meanwhile has seen it as it was: it may promise too much. */
static void leave(struct tni_call *call, uint32_t side)
{
	tni_fast_leave(call, side);
	if (__builtin_expect(!is_other(call->queue), 1))
		return;
	call->sent_now = 0;
	tni_poll_lower(call, side);
}

/* Asked again under the lock. */
static bool enter(struct tni_call *call, uint32_t side)
{
	if (is_other(call->queue) || !tni_fast_enter(call, side))
		return false;
	if (__builtin_expect(!is_other(call->queue), 1))
		return true;
	tni_fast_leave(call, side);
	return false;
}

bool tni_fast_loan(struct tni_call *call, uint64_t bytes, uint64_t *ret_opaque, uint64_t *ret_slot)
{
	bool done;

	if (!enter(call, TNI_SEND))
		return false;
	done = tni_loan_begin(call->queue, bytes, ret_opaque, ret_slot) == 0;
	tni_fast_leave(call, TNI_SEND);
	return done;
}

bool tni_fast_commit(struct tni_call *call, uint64_t loan, uint64_t bytes, uint64_t key)
{
	struct tenon_queue *queue = call->queue;
	struct tni_append append;
	bool done;

	if (tni_is_rendezvous(queue) || TNI_FAULT(TNI_FAULT_PUBLISH_BEFORE_WRITE) ||
	    !enter(call, TNI_SEND))
		return false;
	done = tni_room_locked(queue, tni_send_view(&queue->control->send).sent, 1) > 0 &&
	       tni_loan_append(queue, loan, bytes, key, NULL, &append) == 0;
	if (done) {
		tni_append_publish(queue, &append);
		tni_note_sent(queue, &append.view);
		call->sent_now = 1;
		call->sent_key = key;
	}
	leave(call, TNI_SEND);
	return done;
}

/* The message at the front of the log.  False: something else is to be received first, or there is none. */
static bool find(struct tenon_queue *queue, struct tni_item *item)
{
	struct tni_receive_side *side = &queue->control->receive;
	struct tni_receive_view view = tni_receive_view(side);
	struct tni_record record;

	if (tni_get64(&side->returned_link) != 0 || tni_log_read(queue, view.head, &record) != 0 ||
	    (record.kind != TNI_RECORD_INLINE && record.kind != TNI_RECORD_SLOT) ||
	    tni_item_of_record(queue, &record, item) != 0)
		return false;
	if (item->in_slot &&
	    (tni_get32(&tni_slot_at(queue, item->slot)->flags_sender) & TNI_SLOT_CANCELLED))
		return false;
	item->origin = TNI_ITEM_RECORD;
	item->message.sequence = view.drained;
	return true;
}

bool tni_fast_take(struct tni_call *call, struct tenon_lease *lease)
{
	struct tenon_queue *queue = call->queue;
	struct tni_item item = {.slot = 0};
	uint64_t opaque;
	bool done;

	/* Without a stake nobody is told of the taker's death; the long way gets one. */
	if (queue->attributes.order != TENON_QUEUE_FIFO || tni_is_rendezvous(queue) ||
	    !tni_object_has_stake(&queue->object, call->thread) || tni_fast_is_empty(call) ||
	    !enter(call, TNI_RECEIVE))
		return false;
	done = find(queue, &item) && tni_item_lease(queue, &item, &opaque) == 0;
	/* The thread that has the stake may have ended since; who saw that saw no lease then. */
	if (done && !tni_object_has_stake(&queue->object, call->thread))
		call->wake_all = true;
	leave(call, TNI_RECEIVE);
	if (!done)
		return false;
	lease->data = item.data;
	lease->opaque = opaque;
	lease->message = item.message;
	return true;
}

bool tni_fast_done(struct tni_call *call, uint64_t opaque)
{
	bool done;

	if (!enter(call, TNI_RECEIVE))
		return false;
	done = tni_lease_end(call->queue, opaque, true) == 0;
	tni_fast_leave(call, TNI_RECEIVE);
	return done;
}
