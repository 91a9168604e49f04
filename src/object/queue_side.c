/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A side of the queue: locked, repaired when its last owner died, unlocked with a look at who sleeps.
 *
 * Who is woken.  In FIFO and priority queues every sleeping receiver can use any message, so whoever
 * unlocks either side wakes as many as there are messages, and as many senders as there is room:
 * that depends on the state of the queue only, and holds whoever died before.  In typed queues a
 * message suits some: there, all receivers are woken for every message sent or returned, but those who
 * want another type (lanes: core/gate_event.c), and the count of those of which that was begun (woken_*) tells who unlocks next.  So are
 * all who wait for room where bytes are limited (object/queue_limit.c).  Of a queue that was destroyed all
 * are woken.
 *
 * Whoever takes a message for the first time wakes all: they go back to sleep with his stake in their
 * vector, which tells of his death (core/stake.c), or, where that could not be had, for a bounded time
 * (object/queue_wait.c).
 *
 * ORD seen: the words that the other side reads (sent_seen, done_seen …) are released after the
 * commit and acquired by the other side before it decides that there is nothing to do.
 */

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/file.h"
#include "object/queue_limit.h"
#include "object/queue_order.h"
#include "object/queue_private.h"

int tni_queue_damaged(struct tenon_queue *queue)
{
	int result = tni_table_failure;

	/* Memory that could not be had looks like an index that leads nowhere. */
	tni_table_failure = 0;
	if (result != 0)
		return result;
	tni_object_damage(&queue->object);
	return -EBADMSG;
}

void tni_queue_renew(struct tni_object *object)
{
	struct tenon_queue *queue = (struct tenon_queue *)object;

	tni_gatehouse_renew(&queue->house, object->participant);
	queue->pid = (uint32_t)getpid();
}

void tni_queue_rouse(struct tni_object *object)
{
	struct tenon_queue *queue = (struct tenon_queue *)object;

	tni_gatehouse_rouse(&queue->house);
	if (tni_notice_is_wanted(queue))
		tni_notice_rouse(queue);
}

int tni_call_begin(struct tni_call *call, struct tenon_queue *queue)
{
	int result = tni_call_begin_any(call, queue);

	return result == 0 && tni_is_destroyed(queue) ? -EIDRM : result;
}

int tni_call_begin_any(struct tni_call *call, struct tenon_queue *queue)
{
	int result;

	tni_table_failure = 0;
	if (tni_call_quick(call, queue))
		return 0;
	result = tni_object_reattach(&queue->object);
	if (result != 0)
		return result;
	call->pending = tni_pending_get(call->thread);
	return 0;
}

static int resolve_limbo(struct tenon_queue *queue, uint64_t slot, uint64_t chunk)
{
	struct tni_send_side *send = &queue->control->send;
	int result = 0;

	if (__builtin_expect(slot != 0, 0)) {
		if (tni_limbo_is_open(&send->slots, slot))
			tni_receipt_finish(queue, (slot & TNI_FREED_LINK) - 1,
					   slot & TNI_LIMBO_DROPPED);
		result = tni_limbo_resolve(&send->slots, &queue->slots, slot);
	}
	if (__builtin_expect(chunk != 0, 0) && result == 0)
		result = tni_limbo_resolve(&send->chunks, &queue->chunks, chunk);
	return result;
}

int tni_receive_commit(struct tenon_queue *queue, const struct tni_receive_view *view)
{
	tni_receive_commit_log(&queue->control->receive, view);
	return resolve_limbo(queue, view->limbo_slot, view->limbo_chunk);
}

uint64_t tni_queue_available(const struct tenon_queue *queue)
{
	uint64_t gone = tni_load_acquire64(&queue->control->receive.gone_seen); /* ORD(seen) */
	uint64_t sent = tni_load_acquire64(&queue->control->send.sent_seen);

	if (queue->attributes.capacity == TENON_QUEUE_RENDEZVOUS)
		gone += tni_get64(&queue->control->receive.voids);
	return sent > gone ? sent - gone : 0;
}

uint64_t tni_queue_room(const struct tenon_queue *queue)
{
	uint64_t done = tni_load_acquire64(&queue->control->receive.done_seen); /* ORD(seen) */
	uint64_t sent = tni_load_acquire64(&queue->control->send.sent_seen);
	uint64_t held = sent > done ? sent - done : 0;
	uint64_t capacity = queue->attributes.capacity, room;

	if (capacity == TENON_QUEUE_UNBOUNDED || capacity == TENON_QUEUE_RENDEZVOUS)
		capacity = held + UINT32_MAX;
	room = capacity > held ? capacity - held : 0;
	if (tni_bytes_are_limited(queue) && tni_bytes_room(queue, held) < room)
		room = tni_bytes_room(queue, held);
	return room;
}

/* Where the tables begin: repair writes nowhere before it. */
static uint64_t control_offset(const struct tenon_queue *queue)
{
	return (uint64_t)((uint8_t *)queue->control - queue->object.base);
}

static int repair_send(struct tenon_queue *queue)
{
	struct tni_send_side *side = &queue->control->send;
	struct tni_send_view view = tni_send_view(side);
	struct tni_record record;
	int result;

	tni_transfer_repair_grab(&side->chunks);
	tni_transfer_repair_grab(&side->slots);
	result = tni_log_read(queue, view.tail, &record);
	if (result == 0 && record.kind == 0)
		result = tni_journal_undo(&side->journal, &side->version, queue->object.fd,
					  queue->object.base, control_offset(queue),
					  queue->object.extent_bytes);
	if (result == 0)
		result = tni_log_roll_forward(queue);
	view = tni_send_view(side);
	tni_set64(&side->bytes_seen, view.bytes);
	tni_store_release64(&side->sent_seen, view.sent); /* ORD(seen) */
	return result;
}

static int repair_receive(struct tenon_queue *queue)
{
	struct tni_receive_side *side = &queue->control->receive;
	const struct tni_receive_state *state;
	struct tni_receive_view view;
	int result = tni_journal_undo(&side->journal, &side->version, queue->object.fd,
				      queue->object.base, control_offset(queue),
				      queue->object.extent_bytes);

	view = tni_receive_view(side);
	state = &side->state[tni_get64(&side->version) & 1];
	tni_show_received(side, &view);
	if (result == 0)
		result = resolve_limbo(queue, tni_get64(&state->limbo_slot),
				       tni_get64(&state->limbo_chunk));
	tni_poll_confirm_returned(queue);
	if (tni_bytes_are_limited(queue))
		tni_bytes_changed(queue);
	return result;
}

/* A side that cannot be repaired, or a queue that was destroyed: everybody shall see it. */
static void plan_all(void *context, uint64_t flags, struct tni_wakes *ret_wakes)
{
	(void)context;
	for (uint32_t class = TNI_CLASS_MESSAGE; class < TNI_CLASSES; class ++)
		if (flags & TNI_GATE_FLAG(class))
			ret_wakes->count[class] = UINT32_MAX;
}

int tni_side_lock(struct tni_call *call, uint32_t side, int64_t deadline_ns)
{
	struct tenon_queue *queue = call->queue;
	struct tni_gate *gate = queue->house.gate[side];
	int result = tni_gate_lock(&queue->house, side, call->thread, call->pending, deadline_ns);

	if (result == TNI_OWNER_DIED) {
		result = side == TNI_SEND ? repair_send(queue) : repair_receive(queue);
		tni_fetch_add32(&gate->repairs, 1);
		/* What the dead one had said that it would tell. */
		call->wake_all |= queue->house.lanes != NULL;
		if (result == 0 && side == TNI_SEND)
			tni_notice_repair(queue);
		if (result == 0 && tni_pair_is_wanted(queue))
			tni_pair_count(queue);
		if (result != 0) {
			result = tni_queue_damaged(queue);
			tni_gate_unlock(&queue->house, side, plan_all, NULL);
		}
	}
	if (result != 0) {
		tni_pending_put(call->thread, call->pending);
		return result;
	}
	return 0;
}

int tni_side_enter(struct tni_call *call, uint32_t side, int64_t deadline_ns)
{
	int result = tni_side_lock(call, side, deadline_ns);

	if (result != 0 || !tni_is_destroyed(call->queue))
		return result;
	tni_side_unlock(call, side);
	return -EIDRM;
}

static uint32_t at_most_32(uint64_t count)
{
	return count > UINT32_MAX ? UINT32_MAX : (uint32_t)count;
}

static uint32_t receivers_to_wake(const struct tni_call *call)
{
	struct tenon_queue *queue = call->queue;
	uint64_t available = tni_queue_available(queue);

	if (call->wake_all)
		return UINT32_MAX;
	if (queue->attributes.order != TENON_QUEUE_TYPED)
		return at_most_32(available);
	return call->sent != call->begun_sent || call->redelivered != call->begun_returned
		       ? UINT32_MAX
		       : 0;
}

/* Who is to be woken: all who are asleep or, if there is nothing to be told of but what this call has sent, with one key, whom that
 * may suit; and whom somebody else is about to wake, who may have died.  False: all, since a bit may have been lost. */
static bool choose_lanes(const struct tni_call *call, uint64_t *ret_lanes)
{
	const struct tni_gatehouse *house = &call->queue->house;
	bool is_own = call->redelivered == call->begun_returned &&
		      call->sent - call->begun_sent == call->sent_now;
	uint64_t lanes = 0;
	uint32_t lane = tni_lane_of(call->sent_key);

	if (call->wake_all)
		return false;
	if (!is_own || call->is_owed)
		lanes = tni_lanes_owed(house);
	if (!is_own) {
		lanes |= tni_lanes_used(house);
	} else if (call->sent_now > 0) {
		lanes |= tni_lanes_used(house) & (UINT64_C(1) | UINT64_C(1) << lane);
		/* Whose bit is away, since somebody was about to wake it. */
		lanes |= (uint64_t)tni_lane_is_owed(house, 0) |
			 (uint64_t)tni_lane_is_owed(house, lane) << lane;
	}
	*ret_lanes = lanes;
	return true;
}

/*
 * Of a typed queue.  That its wakes are begun is said under the lock, and that they are done behind them:
 *
 *	begun, bits away, events counted	dies: who repairs the side wakes all
 *	unlocked				dies: the kernel wakes one, or finds an owner; whoever unlocks next finds
 *							begun and not done, and wakes the lanes that are owed
 *	woken, told				dies: the same, for nothing
 *	done
 */
static void plan_lanes(struct tni_call *call, struct tni_wakes *wakes)
{
	struct tni_queue_control *control = call->queue->control;

	if (choose_lanes(call, &wakes->lanes))
		wakes->count[TNI_CLASS_MESSAGE] = 0;
	tni_set64(&control->send.woken_sent, call->sent);
	tni_set64(&control->receive.woken_returned, call->redelivered);
	call->is_telling = true;
}

/* What was begun, before unlocking; and that it is done. */
static void note_begun(struct tni_call *call)
{
	const struct tni_queue_control *control = call->queue->control;

	call->begun_sent = tni_get64(&control->send.woken_sent);
	call->begun_returned = tni_get64(&control->receive.woken_returned);
	call->is_owed = tni_get64(&control->send.told_sent) != call->begun_sent ||
			tni_get64(&control->receive.told_returned) != call->begun_returned;
	call->is_telling = false;
}

static void note_done(const struct tni_call *call)
{
	struct tni_queue_control *control = call->queue->control;

	if (!call->is_telling)
		return;
	tni_set64(&control->send.told_sent, call->sent);
	tni_set64(&control->receive.told_returned, call->redelivered);
}

static uint32_t senders_to_wake(struct tni_call *call)
{
	bool is_limited = tni_bytes_are_limited(call->queue);
	bool is_untold = is_limited && !tni_room_is_told(call->queue, &call->done, &call->changes);

	if (call->wake_all || is_untold)
		return UINT32_MAX;
	return is_limited ? 0 : at_most_32(tni_queue_room(call->queue));
}

/* Rule G1 of core/gate.c for a queue. */
static void plan(void *context, uint64_t flags, struct tni_wakes *ret_wakes)
{
	struct tni_call *call = context;
	struct tenon_queue *queue = call->queue;

	queue->house.top = tni_object_participants_top(&queue->object);
	call->done = tni_get64(&queue->control->receive.done_seen);
	if (tni_is_destroyed(queue)) {
		plan_all(context, flags, ret_wakes);
		return;
	}
	if (flags & TNI_GATE_FLAG(TNI_CLASS_MESSAGE)) {
		call->sent = tni_get64(&queue->control->send.sent_seen);
		call->redelivered = tni_get64(&queue->control->receive.redelivered);
		ret_wakes->count[TNI_CLASS_MESSAGE] = receivers_to_wake(call);
	}
	if (flags & TNI_GATE_FLAG(TNI_CLASS_ROOM))
		ret_wakes->count[TNI_CLASS_ROOM] = senders_to_wake(call);
	if ((flags & TNI_GATE_FLAG(TNI_CLASS_RECEIPT)) &&
	    call->done != tni_get64(&queue->control->receive.woken_done))
		ret_wakes->count[TNI_CLASS_RECEIPT] = UINT32_MAX;
	call->told_done = ret_wakes->count[TNI_CLASS_RECEIPT] != 0;
	call->told_room = ret_wakes->count[TNI_CLASS_ROOM] == UINT32_MAX;
	if ((flags & TNI_GATE_FLAG(TNI_CLASS_MESSAGE)) && queue->house.lanes)
		plan_lanes(call, ret_wakes);
}

void tni_side_unlock(struct tni_call *call, uint32_t side)
{
	struct tenon_queue *queue = call->queue;

	if (__builtin_expect(!tni_gate_unlock_quiet(queue->house.gate[side]), 0)) {
		note_begun(call);
		call->told_done = false;
		call->told_room = false;
		tni_gate_unlock(&queue->house, side, plan, call);
		tni_step();
		note_done(call);
		if (call->told_done)
			tni_set64(&queue->control->receive.woken_done, call->done);
		if (call->told_room && tni_bytes_are_limited(queue))
			tni_room_told(queue, call->done, call->changes);
		call->wake_all = false;
	}
	call->sent_now = 0;
	tni_pending_put(call->thread, call->pending);
}

int tni_side_visit(struct tni_call *call, uint32_t side, int64_t deadline_ns, uint32_t *ret_cpu)
{
	uint32_t cpu = tni_get32(&call->queue->house.gate[side]->cpu);
	int result = tni_side_lock(call, side, deadline_ns);

	if (result == 0)
		*ret_cpu = cpu;
	return result;
}

void tni_side_part(struct tni_call *call, uint32_t side, uint32_t cpu)
{
	tni_set32(&call->queue->house.gate[side]->cpu, cpu);
	tni_side_unlock(call, side);
}

int tni_call_heal(struct tni_call *call, int64_t deadline_ns)
{
	for (uint32_t side = 0; side < TNI_GATES; side++) {
		int result;

		if (!tni_gate_is_orphaned(call->queue->house.gate[side]))
			continue;
		result = tni_side_lock(call, side, deadline_ns);
		if (result != 0)
			return result;
		tni_side_unlock(call, side);
	}
	return 0;
}

static int bury(struct tni_object *object, uint32_t participant, int64_t deadline_ns)
{
	struct tenon_queue *queue = (struct tenon_queue *)object;
	struct tni_call call = {.queue = queue, .thread = tni_thread_self()};
	int result;

	call.pending = tni_pending_get(call.thread);
	/* Whoever attaches holds gates under the number that it takes over. */
	if (object->participant == UINT32_MAX)
		queue->house.participant = participant;
	tni_gatehouse_forget(&queue->house, participant);
	/* Before anything is waited for: nobody else takes a gate from who may be about to have this number. */
	for (uint32_t side = 0; side < TNI_GATES && participant != object->participant; side++)
		tni_gate_orphan(&queue->house, side, participant);
	result = tni_side_lock(&call, TNI_SEND, deadline_ns);
	if (result != 0)
		return result;
	result = tni_loan_free_all(queue, participant);
	if (result == 0)
		result = tni_receipt_orphan_all(queue, participant);
	if (result == 0)
		tni_notice_forget(queue, participant);
	tni_side_unlock(&call, TNI_SEND);
	if (result != 0)
		return result;
	result = tni_side_lock(&call, TNI_RECEIVE, deadline_ns);
	if (result != 0)
		return result;
	result = tni_lease_return_all(queue, participant);
	tni_side_unlock(&call, TNI_RECEIVE);
	return result;
}

int tni_queue_bury(struct tni_object *object, uint32_t participant, int64_t deadline_ns)
{
	int result = bury(object, participant, deadline_ns);

	return result == -EBADMSG ? tni_queue_damaged((struct tenon_queue *)object) : result;
}

void tni_queue_find_holders(struct tenon_queue *queue, uint64_t holders[TNI_BITMAP_WORDS])
{
	uint64_t top = tni_pool_extent(&queue->control->receive.leases, &queue->leases);

	memset(holders, 0, TNI_BITMAP_WORDS * sizeof(*holders));
	for (uint64_t i = 0; i < top; i++) {
		const struct tni_lease *lease = tni_table_at(&queue->leases, i);
		uint64_t state = lease ? tni_get64(&lease->state_participant) : 0;
		uint64_t holder = state >> 32;

		if ((state & UINT32_MAX) == TNI_LEASE_TAKEN && holder < TNI_PARTICIPANTS_MAX)
			holders[holder / 64] |= UINT64_C(1) << (holder % 64);
	}
}

static bool is_orphaned(const struct tenon_queue *queue)
{
	return tni_gate_is_orphaned(queue->house.gate[TNI_SEND]) ||
	       tni_gate_is_orphaned(queue->house.gate[TNI_RECEIVE]);
}

int tni_queue_bring_back(struct tni_call *call, int64_t deadline_ns)
{
	struct tni_object *object = &call->queue->object;
	uint64_t holders[TNI_BITMAP_WORDS];
	bool told = tni_is_watching(call->queue) && tni_deathwatch_take(&call->queue->watch);
	int back = is_orphaned(call->queue), result = 0;
	bool is_held_up = false; /* by somebody who is stopped with a lock */

	if (deadline_ns == 0)
		deadline_ns = tni_grace_ns();
	if (back)
		result = tni_call_heal(call, deadline_ns);
	/* Only a side that is whole tells of its leases. */
	if (result == -ETIMEDOUT && told)
		tni_deathwatch_again(&call->queue->watch, true);
	if (result < 0)
		return result == -ETIMEDOUT ? 0 : result;
	if (__builtin_expect(!tni_has_foreign_leases(call->queue), 1))
		return back;
	tni_queue_find_holders(call->queue, holders);
	for (uint32_t i = 0; i < tni_object_participants_top(object); i++) {
		if (!(holders[i / 64] >> (i % 64) & 1))
			continue;
		result = tni_object_recover_one(object, i, deadline_ns);
		if (result < 0 && result != -ETIMEDOUT)
			return result;
		back |= result > 0;
		is_held_up |= result == -ETIMEDOUT;
	}
	if (told && (back == 0 || is_held_up))
		tni_deathwatch_again(&call->queue->watch, is_held_up);
	return back;
}

int tni_queue_recover(struct tni_call *call, int64_t deadline_ns, uint32_t *ret_buried)
{
	struct tni_object *object = &call->queue->object;
	uint32_t buried = 0;
	int result = tni_call_heal(call, deadline_ns);

	for (uint32_t i = 0; result >= 0 && i < tni_object_participants_top(object); i++) {
		result = tni_object_recover_one(object, i, deadline_ns);
		if (result > 0)
			buried++;
	}
	*ret_buried = buried;
	return result < 0 && result != -ETIMEDOUT ? result : 0;
}
