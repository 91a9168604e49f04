/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TNI_OBJECT_QUEUE_FAST_H
#define TNI_OBJECT_QUEUE_FAST_H

/* What the short ways have in common: queue_fast.c, queue_fast_loan.c. */

#include "object/queue_limit.h"
#include "object/queue_private.h"

/* Takes a gate that is free.  False: the long way. */
static inline bool tni_fast_enter(struct tni_call *call, uint32_t side)
{
	struct tni_gatehouse *house = &call->queue->house;
	void *before = tni_pending_get(call->thread);

	tni_pending_set(call->thread, &house->gate[side]->word);
	if (__builtin_expect(tni_gate_try(house, side, call->thread), 1))
		return true;
	/* Of one who was woken it stays at a gate. */
	tni_pending_put(call->thread, before);
	tni_set32(&call->queue->alone[side], 0);
	return false;
}

static inline void tni_fast_leave(struct tni_call *call, uint32_t side)
{
	if (__builtin_expect(tni_gate_unlock_quiet(call->queue->house.gate[side]), 1))
		tni_pending_put(call->thread, call->pending);
	else
		tni_side_unlock(call, side);
}

static inline bool tni_is_rendezvous(const struct tenon_queue *queue)
{
	return queue->attributes.capacity == TENON_QUEUE_RENDEZVOUS;
}

#define TNI_FAST_KNOWN (TNI_WANTED_PAIR | TNI_PAIR_SETTLED)

/* Whether somebody polls what is not told of here, or the queue has been destroyed.  To be asked
 * under the lock of the side, too: whoever begins to poll says so and then locks it to look. */
static inline bool tni_is_polled(const struct tenon_queue *queue)
{
	return (tni_get32(&queue->control->poll_wanted) & ~(TNI_FAST_KNOWN | TNI_BYTES_LIMITED)) !=
	       0;
}

/* The same for who sends, to whom a limit of bytes matters as well. */
static inline bool tni_is_special(const struct tenon_queue *queue)
{
	return (tni_get32(&queue->control->poll_wanted) & ~TNI_FAST_KNOWN) != 0;
}

/* queue_fast.c */
/* Sends as many of the messages as need nothing special.  How many; 0: nothing was done; -EAGAIN:
 * there is no room (call->looked_done says as of when). */
int tni_fast_send(struct tni_call *call, const struct tenon_slice *slices, uint32_t count,
		  uint64_t key);
/* Receives up to `count` messages into one buffer, as above.  How many; 0: nothing was done;
 * -EAGAIN: there is none (call->looked_version, looked_head). */
int tni_fast_receive(struct tni_call *call, void *buffer, uint64_t capacity_bytes, uint32_t count,
		     const struct tenon_receive_options *options, struct tenon_message *messages);
/* Whether there is surely nothing to receive, as above.  Without a lock. */
bool tni_fast_is_empty(struct tni_call *call);

/*
 * queue_fast_loan.c: false, the long way; nothing was changed.  `loan`: which one, as
 * tni_loan_find() tells.
 */
bool tni_fast_loan(struct tni_call *call, uint64_t bytes, uint64_t *ret_opaque, uint64_t *ret_slot);
bool tni_fast_commit(struct tni_call *call, uint64_t loan, uint64_t bytes, uint64_t key);
bool tni_fast_take(struct tni_call *call, struct tenon_lease *ret_lease);
bool tni_fast_done(struct tni_call *call, uint64_t opaque);

#endif
