/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Sending.  A short message of which no receipt is wanted is written into the log itself; any other into a
 * slot that the log then names.  A long one is written into a loaned slot, outside the lock.
 */

#include <errno.h>
#include <string.h>

#include "object/queue_fast.h"
#include "object/queue_limit.h"
#include "object/queue_order.h"
#include "object/queue_private.h"

#define SLOTS_A_RUN 12u
#define INLINES_A_RUN 256u
#define MEET_NS (100 * TNI_MILLISECOND_NS)

static bool is_inline(const struct tenon_queue *queue, uint64_t bytes)
{
	return bytes <= queue->short_bytes;
}

/* The marks may be higher than before.  Looks at what receivers tell when they find nothing first: the
 * other words are theirs to write with every message. */
void tni_note_high(struct tenon_queue *queue, const struct tni_send_view *view)
{
	struct tni_send_side *side = &queue->control->send;
	const struct tni_receive_side *receive = &queue->control->receive;
	const struct tni_queue_idle *idle = &queue->control->idle;
	uint64_t done = tni_load_acquire64(&idle->done); /* ORD(seen) */
	uint64_t done_bytes = tni_get64(&idle->bytes), held, bytes;

	if (view->sent - done > tni_get64(&side->high_messages) ||
	    view->bytes - done_bytes > tni_get64(&side->high_bytes)) {
		done = tni_load_acquire64(&receive->done_seen); /* ORD(seen) */
		done_bytes = tni_get64(&receive->bytes_seen);
	}
	tni_set64(&side->done_cache, done);
	tni_set64(&side->done_bytes_cache, done_bytes);
	held = view->sent - done;
	bytes = view->bytes - done_bytes;
	if ((int64_t)held > 0 && held > tni_get64(&side->high_messages))
		tni_set64(&side->high_messages, held);
	if ((int64_t)bytes > 0 && bytes > tni_get64(&side->high_bytes))
		tni_set64(&side->high_bytes, bytes);
}

static int append_in_slot(struct tenon_queue *queue, struct tni_append *append, const void *data,
			  uint64_t bytes, const struct tenon_send_options *options,
			  uint64_t *ret_receipt)
{
	struct tni_slot *slot;
	uint64_t index, receipt;
	int result = tni_slot_take(queue, &append->txn, bytes, &index, &slot);

	if (result != 0)
		return result;
	tni_slot_label(queue, slot, bytes, options->key);
	if (bytes > 0)
		tni_copy(tni_slot_data(queue, index), data, bytes);
	if (ret_receipt) {
		result = tni_receipt_take(queue, &append->txn, index, &receipt);
		if (result != 0)
			return result;
		*ret_receipt = receipt;
	}
	return tni_append_slot(queue, append, index, (uint32_t)bytes, options->key);
}

static void publish(struct tenon_queue *queue, struct tni_append *append)
{
	tni_poll_raise(queue, TNI_SEND);
	if (tni_notice_is_wanted(queue))
		tni_notice_before(queue,
				  append->view.sent - tni_send_view(&queue->control->send).sent);
	tni_append_publish(queue, append);
	tni_note_sent(queue, &append->view);
	if (tni_notice_is_wanted(queue))
		tni_notice_after(queue);
}

/* A run of messages under the senders' lock, all of them or none.  It ends early where freed slots or
 * chunks have to be fetched: that cannot be undone, so it comes between runs. */
static int put_run(struct tenon_queue *queue, const struct tenon_slice *slices, uint32_t *count,
		   const struct tenon_send_options *options, uint64_t *ret_receipt)
{
	struct tni_send_side *side = &queue->control->send;
	struct tni_append append;
	int result = tni_order_back(queue, tni_send_view(side).sent, *count,
				    is_inline(queue, slices[0].bytes) && !ret_receipt);
	uint32_t i;

	if (result != 0)
		return result;
	if (!is_inline(queue, slices[0].bytes) || ret_receipt)
		tni_slots_refill(queue);
	tni_append_begin(queue, &append);
	for (i = 0; i < *count && result == 0; i++) {
		if (i > 0 && (tni_transfer_is_short(&side->slots, &queue->slots) ||
			      tni_append_is_short(queue, &append)))
			break;
		if (is_inline(queue, slices[i].bytes) && !ret_receipt)
			result = tni_append_inline(queue, &append, slices[i].data,
						   (uint32_t)slices[i].bytes, options->key);
		else
			result = append_in_slot(queue, &append, slices[i].data, slices[i].bytes,
						options, ret_receipt);
	}
	if (result != 0) {
		tni_txn_abort(&append.txn);
		return result;
	}
	publish(queue, &append);
	*count = i;
	return 0;
}

int tni_loan_append(struct tenon_queue *queue, uint64_t loan_index, uint64_t bytes, uint64_t key,
		    uint64_t *ret_receipt, struct tni_append *append)
{
	struct tni_loan *loan = tni_table_at(&queue->loans, loan_index);
	uint64_t index = tni_get64(&loan->slot), receipt;
	struct tni_slot *slot = tni_slot_at(queue, index);
	int result;

	if (!slot || index >= queue->slots.max)
		return -EBADMSG;
	result = tni_order_back(queue, tni_send_view(&queue->control->send).sent, 1, false);
	if (result != 0)
		return result;
	tni_append_begin(queue, append);
	tni_slot_label(queue, slot, bytes, key);
	tni_txn_set(&append->txn, &loan->state_participant, TNI_LOAN_FREE);
	result = tni_pool_give(&append->txn, &queue->control->send.loans, &queue->loans,
			       loan_index);
	if (result == 0 && ret_receipt) {
		result = tni_receipt_take(queue, &append->txn, index, &receipt);
		if (result == 0)
			*ret_receipt = receipt;
	}
	if (result == 0)
		result = tni_append_slot(queue, append, index, (uint32_t)bytes, key);
	if (result != 0)
		tni_txn_abort(&append->txn);
	return result;
}

/* A message that was written into a loan. */
static int put_loan(struct tenon_queue *queue, uint64_t loan_index, uint64_t bytes,
		    const struct tenon_send_options *options, uint64_t *ret_receipt)
{
	struct tni_append append;
	int result = tni_loan_append(queue, loan_index, bytes, options->key, ret_receipt, &append);

	if (result == 0)
		publish(queue, &append);
	return result;
}

/* What is to be sent: slices, or a loan. */
struct parcel {
	const struct tenon_slice *slices;
	uint32_t count;
	uint64_t loan, loan_bytes;
	bool is_loan;
};

/* Of the room for so many messages, how much a limit of bytes leaves. */
static uint64_t room_for(struct tenon_queue *queue, const struct parcel *parcel, uint64_t room)
{
	struct tenon_slice loaned = {.bytes = parcel->loan_bytes};
	uint64_t fitting = parcel->is_loan ? tni_bytes_fit(queue, &loaned, 1)
					   : tni_bytes_fit(queue, parcel->slices, parcel->count);

	return fitting < room ? fitting : room;
}

/* Under the senders' lock.  -EAGAIN: no room. */
static int put(struct tenon_queue *queue, const struct parcel *parcel,
	       const struct tenon_send_options *options, uint32_t *ret_put, uint64_t *ret_receipt)
{
	uint64_t room = tni_room_locked(queue, tni_send_view(&queue->control->send).sent,
					parcel->is_loan ? 1 : parcel->count);
	uint32_t done = 0;
	int result = 0;

	if (tni_bytes_are_limited(queue) && room > 0)
		room = room_for(queue, parcel, room);
	if (room == 0)
		return -EAGAIN;
	if (queue->attributes.capacity == TENON_QUEUE_RENDEZVOUS &&
	    (options->flags & TENON_NONBLOCK) && !tni_receipt_has_taker(queue))
		return -EAGAIN;
	if (parcel->is_loan) {
		*ret_put = 1;
		result = put_loan(queue, parcel->loan, parcel->loan_bytes, options, ret_receipt);
		if (result != -ENOSPC)
			return result;
		tni_memory_release(queue);
		return put_loan(queue, parcel->loan, parcel->loan_bytes, options, ret_receipt);
	}
	while (done < parcel->count && done < room) {
		const struct tenon_slice *next = parcel->slices + done;
		uint32_t limit = is_inline(queue, next->bytes) ? INLINES_A_RUN : SLOTS_A_RUN;
		uint32_t run = 0;

		/* One kind to a run: the journal has room for that many. */
		while (run < limit && done + run < parcel->count && done + run < room &&
		       next[run].bytes <= TNI_COPY_UNDER_LOCK_BYTES &&
		       is_inline(queue, next[run].bytes) == is_inline(queue, next->bytes))
			run++;
		if (run == 0)
			break;
		result = put_run(queue, next, &run, options, ret_receipt);
		if (result == -ENOSPC) {
			tni_memory_release(queue);
			result = put_run(queue, next, &run, options, ret_receipt);
		}
		if (result == -ENOSPC && run > 1) {
			run = 1;
			result = put_run(queue, next, &run, options, ret_receipt);
		}
		if (result != 0)
			break;
		done += run;
	}
	*ret_put = done;
	return done > 0 ? 0 : result;
}

static bool is_overfull(const struct tenon_queue *queue)
{
	uint64_t sent = tni_send_view(&queue->control->send).sent;
	int64_t held = (int64_t)(sent - tni_get64(&queue->control->receive.done_seen));

	return held > 0 && (uint64_t)held > queue->attributes.capacity;
}

/* A full queue: 0 try again, 1 the message is to be dropped, or an error.  `bytes`: of the message. */
static int when_full(struct tni_call *call, uint64_t bytes,
		     const struct tenon_send_options *options, struct tni_reason *full)
{
	struct tenon_queue *queue = call->queue;
	int result;

	full->seen.done = call->looked_done;
	full->seen.limit = call->looked_limit;
	switch (queue->attributes.full) {
	case TENON_QUEUE_FAIL:
		return -EAGAIN;
	case TENON_QUEUE_DROP_NEWEST:
		return 1;
	case TENON_QUEUE_DROP_OLDEST:
		/* More than there is room for there cannot be, however often one is dropped. */
		if (is_overfull(queue))
			return -EBADMSG;
		/* All of them would not be enough. */
		if (tni_bytes_exceed(queue, bytes))
			return -EAGAIN;
		result = tni_side_lock(call, TNI_RECEIVE, options->deadline_ns);
		if (result != 0)
			return result;
		result = tni_item_drop(queue);
		tni_side_unlock(call, TNI_RECEIVE);
		if (result == -EAGAIN && tni_queue_bring_back(call, options->deadline_ns) > 0)
			return 0;
		/* Somebody received meanwhile what was to be dropped: not merely room, which words
		 * that somebody wrote over might promise for ever. */
		return result == -EAGAIN &&
				       tni_load_acquire64(&queue->control->receive.done_seen) !=
					       call->looked_done /* ORD(seen) */
			       ? 0
			       : result;
	default:
		if (options->flags & TENON_NONBLOCK)
			return -EAGAIN;
		if (tni_spin(queue, full, options->deadline_ns))
			return 0;
		return tni_wait(call, full, options->deadline_ns);
	}
}

/* The message itself is dropped, and with it the loan that it is in. */
static int drop_newest(struct tni_call *call, const struct parcel *parcel,
		       const struct tenon_send_options *options, uint32_t *ret_sent)
{
	struct tni_send_side *side = &call->queue->control->send;
	/* Where bytes are limited, a shorter one behind it may still have room. */
	bool is_one = parcel->is_loan || tni_bytes_are_limited(call->queue);
	uint32_t count = is_one ? 1 : parcel->count;
	uint64_t receipt;
	int result = tni_side_lock(call, TNI_SEND, options->deadline_ns);

	if (result != 0)
		return result;
	if (options->flags & TENON_WANT_RECEIPT) {
		result = tni_receipt_of_dropped(call->queue, &receipt);
		if (result == 0)
			tni_receipt_remember(call->queue, receipt);
	}
	if (result == 0 && parcel->is_loan)
		result = tni_loan_free(call->queue, parcel->loan);
	if (result == 0)
		tni_set64(&side->dropped, tni_get64(&side->dropped) + count);
	tni_side_unlock(call, TNI_SEND);
	*ret_sent = count;
	return result == -EBADMSG ? tni_queue_damaged(call->queue) : result;
}

/* Waits for the receiver.  Who may not wait has seen one asleep, which may still have left or died
 * instead of taking the message. */
static int meet(struct tni_call *call, uint64_t receipt, const struct tenon_send_options *options)
{
	int64_t deadline_ns = options->deadline_ns;
	int result;

	if (options->flags & TENON_NONBLOCK)
		deadline_ns = tni_clock_ns(CLOCK_MONOTONIC) + MEET_NS;
	result = tni_receipt_rendezvous(call, receipt, options->flags & TENON_WANT_RECEIPT,
					deadline_ns);
	if (result == 0 && options->flags & TENON_WANT_RECEIPT)
		tni_receipt_remember(call->queue, receipt);
	return result == -ETIMEDOUT && options->flags & TENON_NONBLOCK ? -EAGAIN : result;
}

/* Who may give notice has a stake, as far as one can be had. */
static int lock_to_send(struct tni_call *call, int64_t deadline_ns)
{
	struct tenon_queue *queue = call->queue;
	int result = tni_side_enter(call, TNI_SEND, deadline_ns);

	if (result != 0 || !tni_notice_is_wanted(queue) ||
	    tni_object_has_stake(&queue->object, call->thread))
		return result;
	tni_side_unlock(call, TNI_SEND);
	tni_notice_stake(call);
	return tni_side_enter(call, TNI_SEND, deadline_ns);
}

static int deliver(struct tni_call *call, const struct parcel *parcel,
		   const struct tenon_send_options *options, uint32_t *ret_sent)
{
	struct tenon_queue *queue = call->queue;
	bool rendezvous = queue->attributes.capacity == TENON_QUEUE_RENDEZVOUS;
	bool wants_receipt = rendezvous || (options->flags & TENON_WANT_RECEIPT);
	bool plain = !parcel->is_loan && !wants_receipt;
	uint64_t bytes = parcel->is_loan ? parcel->loan_bytes : parcel->slices[0].bytes;
	struct tni_reason full = {.class = TNI_CLASS_ROOM};
	uint64_t receipt = 0;
	uint32_t buried;
	int result = 0;

	/* The dead do not take anything. */
	if (rendezvous && options->flags & TENON_NONBLOCK)
		result = tni_queue_recover(call, options->deadline_ns, &buried);
	if (result != 0)
		return result;
	for (;;) {
		result = plain ? tni_fast_send(call, parcel->slices, parcel->count, options->key)
			       : 0;
		if (result > 0) {
			*ret_sent = (uint32_t)result;
			return 0;
		}
		if (result == 0) {
			result = lock_to_send(call, options->deadline_ns);
			if (result != 0)
				return result;
			/* Before it looks: who waits for another limit does not wait if this is one. */
			call->looked_limit = tni_get64(&queue->control->max_bytes);
			result = put(queue, parcel, options, ret_sent,
				     wants_receipt ? &receipt : NULL);
			call->looked_done = tni_get64(&queue->control->send.done_cache);
			call->sent_now = result == 0 ? *ret_sent : 0;
			call->sent_key = options->key;
			tni_side_unlock(call, TNI_SEND);
		}
		if (result != -EAGAIN || (rendezvous && options->flags & TENON_NONBLOCK))
			break;
		tni_poll_lower(call, TNI_SEND);
		result = when_full(call, bytes, options, &full);
		if (result > 0)
			return drop_newest(call, parcel, options, ret_sent);
		if (result != 0)
			break;
	}
	if (result == -EBADMSG)
		return tni_queue_damaged(queue);
	if (result != 0)
		return result;
	tni_poll_lower(call, TNI_SEND);
	if (rendezvous) {
		result = meet(call, receipt, options);
		return result == -EBADMSG ? tni_queue_damaged(queue) : result;
	}
	if (wants_receipt)
		tni_receipt_remember(queue, receipt);
	return 0;
}

static int send_long(struct tni_call *call, const struct tenon_slice *slice,
		     const struct tenon_send_options *options, uint32_t *ret_sent)
{
	struct tenon_queue *queue = call->queue;
	struct parcel parcel = {.is_loan = true, .loan_bytes = slice->bytes};
	struct tenon_loan loan = {.bytes = slice->bytes};
	uint64_t slot;
	int result = tni_loan_take(call, slice->bytes, options->deadline_ns, &loan.opaque, &slot);

	if (result == 0)
		result = tni_loan_find(queue, &loan, slice->bytes, &parcel.loan);
	if (result != 0)
		return result;
	tni_copy(tni_slot_data(queue, slot), slice->data, slice->bytes);
	result = deliver(call, &parcel, options, ret_sent);
	if (result == 0)
		return 0;
	/* Not sent; withdrawn by a rendezvous, it is not a loan any more. */
	if (tni_side_lock(call, TNI_SEND, INT64_MAX) == 0) {
		if (tni_loan_find(queue, &loan, 0, &parcel.loan) == 0)
			tni_loan_free(queue, parcel.loan);
		tni_side_unlock(call, TNI_SEND);
	}
	return result;
}

static int slices_check(const struct tenon_queue *queue, const struct tenon_slice *slices,
			uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		if (slices[i].bytes > queue->attributes.max_message_bytes)
			return -EMSGSIZE;
		if (!slices[i].data && slices[i].bytes > 0)
			return -EINVAL;
	}
	return 0;
}

static int send_slices(struct tenon_queue *queue, const struct tenon_slice *slices, uint32_t count,
		       const struct tenon_send_options *options, uint32_t *ret_sent)
{
	struct parcel parcel = {.slices = slices, .count = count};
	struct tenon_send_options checked;
	struct tni_call call;
	int result;

	result = tni_send_options_check(queue, options, &checked);
	if (result != 0)
		return result;
	result = tni_call_begin(&call, queue);
	if (result != 0)
		return result;
	if (slices[0].bytes > TNI_COPY_UNDER_LOCK_BYTES)
		return send_long(&call, slices, &checked, ret_sent);
	return deliver(&call, &parcel, &checked, ret_sent);
}

/* The short way, at once.  As tni_fast_send(). */
static inline int send_quick(struct tenon_queue *queue, const struct tenon_slice *slices,
			     uint32_t count, const struct tenon_send_options *options)
{
	struct tni_call call;
	int result;

	if (!tni_send_is_plain(queue, options) || !tni_call_quick(&call, queue))
		return 0;
	result = tni_fast_send(&call, slices, count, options ? options->key : 0);
	if (result != -EAGAIN)
		return result;
	if (!options || !(options->flags & TENON_NONBLOCK) ||
	    queue->attributes.full > TENON_QUEUE_FAIL)
		return 0;
	/* Who made it full may have died before telling. */
	tni_poll_lower(&call, TNI_SEND);
	return -EAGAIN;
}

int tenon_queue_send(struct tenon_queue *queue, const void *data, uint64_t bytes,
		     const struct tenon_send_options *options)
{
	struct tenon_slice slice = {.data = data ? data : "", .bytes = bytes};
	uint32_t sent;
	int result;

	if (__builtin_expect(!queue || (!data && bytes > 0), 0))
		return -EINVAL;
	if (__builtin_expect(bytes > queue->attributes.max_message_bytes, 0))
		return -EMSGSIZE;
	result = send_quick(queue, &slice, 1, options);
	if (result != 0)
		return result > 0 ? 0 : result;
	return send_slices(queue, &slice, 1, options, &sent);
}

int tenon_queue_send_batch(struct tenon_queue *queue, const struct tenon_slice *slices,
			   uint32_t count, const struct tenon_send_options *options,
			   uint32_t *ret_sent)
{
	struct tenon_send_options rest;
	uint32_t sent = 0;
	int result;

	if (!queue || !slices || !ret_sent || count == 0)
		return -EINVAL;
	result = tni_send_options_check(queue, options, &rest);
	if (result != 0)
		return result;
	if (queue->attributes.capacity == TENON_QUEUE_RENDEZVOUS || rest.flags & TENON_WANT_RECEIPT)
		return -EOPNOTSUPP;
	result = slices_check(queue, slices, count);
	if (result != 0)
		return result;
	result = send_quick(queue, slices, count, options);
	if (result < 0)
		return result;
	sent = (uint32_t)result;
	if (sent == 0) {
		result = send_slices(queue, slices, count, options, &sent);
		if (result != 0)
			return result;
	}
	/* Runs end at long messages and with a chunk; what fits without waiting follows. */
	rest.size = sizeof(rest);
	rest.flags = TENON_NONBLOCK;
	while (sent < count) {
		uint32_t more;

		if (send_slices(queue, slices + sent, count - sent, &rest, &more) != 0)
			break;
		sent += more;
	}
	*ret_sent = sent;
	return 0;
}

static uint64_t key_of(const struct tenon_queue *queue, const struct tenon_send_options *options)
{
	return options && queue->attributes.order != TENON_QUEUE_FIFO ? options->key : 0;
}

int tenon_queue_commit(struct tenon_queue *queue, struct tenon_loan *loan, uint64_t bytes,
		       const struct tenon_send_options *options)
{
	struct parcel parcel = {.is_loan = true, .loan_bytes = bytes};
	struct tenon_send_options checked;
	struct tni_call call;
	uint32_t sent;
	int result;

	if (!queue || !loan || bytes > loan->bytes)
		return -EINVAL;
	if (tni_send_is_plain(queue, options) && tni_call_quick(&call, queue) &&
	    tni_loan_find(queue, loan, bytes, &parcel.loan) == 0 &&
	    tni_fast_commit(&call, parcel.loan, bytes, key_of(queue, options))) {
		loan->data = NULL;
		loan->opaque = 0;
		return 0;
	}
	result = tni_send_options_check(queue, options, &checked);
	if (result == 0)
		result = tni_call_begin(&call, queue);
	if (result == 0)
		result = tni_loan_find(queue, loan, bytes, &parcel.loan);
	if (result != 0)
		return result;
	result = deliver(&call, &parcel, &checked, &sent);
	/* Withdrawn by a rendezvous it is gone, too. */
	if (result != 0 && tni_loan_find(queue, loan, 0, &parcel.loan) == 0)
		return result;
	loan->data = NULL;
	loan->opaque = 0;
	return result;
}
