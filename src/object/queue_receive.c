/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Receiving.  A short message is copied under the receivers' lock and then ended; a long one is
 * leased, copied outside the lock, and done.
 */

#include <errno.h>
#include <string.h>

#include "object/queue_fast.h"
#include "object/queue_limit.h"
#include "object/queue_order.h"
#include "object/queue_private.h"

struct target {
	void *buffer;
	uint64_t capacity_bytes;
	struct tenon_message *message; /* may be NULL */
	struct tenon_lease *lease;     /* take: the other two are not used */
	bool in_batch;		       /* copied under the lock, whatever its length */
};

static int hand_over_lease(struct tni_call *call, struct tni_item *item, struct tenon_lease *lease)
{
	struct tenon_queue *queue = call->queue;
	uint64_t opaque;
	int result = tni_item_settle(queue, item);

	if (result == 0)
		result = tni_item_lease(queue, item, &opaque);
	if (result != 0)
		return result;
	/* Nobody will be told of this one's death. */
	if (!tni_object_has_stake(&queue->object, call->thread))
		call->wake_all = true;
	lease->data = item->data;
	lease->opaque = opaque;
	lease->message = item->message;
	return 0;
}

static bool somebody_sleeps(const struct tenon_queue *queue)
{
	return tni_get64(&queue->house.gate[TNI_RECEIVE]->word) &
	       (TNI_GATE_FLAG(TNI_CLASS_MESSAGE) | TNI_GATE_FLAG(TNI_CLASS_ROOM));
}

/* Under the lock.  1: *ret_lease has to be copied and ended outside. */
static int take_out(struct tni_call *call, const struct tenon_receive_options *options,
		    const struct target *target, struct tenon_lease *ret_lease)
{
	struct tenon_queue *queue = call->queue;
	struct tni_item item;
	uint64_t bytes;
	int result = tni_item_find(queue, options, &item);

	if (result != 0)
		return result;
	if (target->lease)
		return hand_over_lease(call, &item, target->lease);
	bytes = item.message.bytes;
	if (bytes > target->capacity_bytes) {
		if (!(options->flags & TENON_TRUNCATE))
			return -EMSGSIZE;
		bytes = target->capacity_bytes;
	}
	/* Where somebody sleeps, a lease would have to wake them all; who polls by a descriptor of both kinds is not
	 * told of the death of who has one. */
	if (bytes > TNI_COPY_UNDER_LOCK_BYTES && !target->in_batch && !somebody_sleeps(queue) &&
	    !tni_pair_is_wanted(queue)) {
		result = hand_over_lease(call, &item, ret_lease);
		/* Without memory for a lease: under the lock after all. */
		if (result != -ENOSPC)
			return result == 0 ? 1 : result;
	}
	tni_poll_raise(queue, TNI_RECEIVE);
	if (bytes > 0)
		tni_copy(target->buffer, item.data, bytes);
	if (target->message)
		*target->message = item.message;
	return tni_item_finish(queue, &item, TNI_RECEIVED);
}

static int finish_long(struct tni_call *call, const struct target *target,
		       const struct tenon_lease *lease)
{
	struct tenon_queue *queue = call->queue;
	uint64_t bytes = lease->message.bytes;
	int result;

	if (bytes > target->capacity_bytes)
		bytes = target->capacity_bytes;
	if (bytes > 0)
		tni_copy(target->buffer, lease->data, bytes);
	result = tni_side_lock(call, TNI_RECEIVE, INT64_MAX);
	if (result != 0)
		return result;
	tni_poll_raise(queue, TNI_RECEIVE);
	result = tni_lease_end(queue, lease->opaque, true);
	/* It was this call's own. */
	if (result == -EINVAL)
		result = -EBADMSG;
	tni_side_unlock(call, TNI_RECEIVE);
	if (result == 0 && target->message)
		*target->message = lease->message;
	return result;
}

/* One look, under the lock.  -EAGAIN: there is none; the call says what was seen.  `ret_seen` is for who
 * is about to sleep, and NULL otherwise: it looks at words that the senders write. */
static int look(struct tni_call *call, const struct tenon_receive_options *options,
		const struct target *target, struct tni_seen *ret_seen,
		struct tenon_lease *ret_lease)
{
	struct tenon_queue *queue = call->queue;
	struct tni_receive_view view;
	int result;

	if (!target->lease && !ret_seen && tni_receive_is_plain(queue, options)) {
		result = tni_fast_receive(call, target->buffer, target->capacity_bytes, 1, options,
					  target->message);
		if (result != 0)
			return result > 0 ? 0 : result;
	}
	result = tni_side_enter(call, TNI_RECEIVE, options->deadline_ns);
	if (result != 0)
		return result;
	if (ret_seen)
		*ret_seen = tni_wait_seen(queue);
	result = take_out(call, options, target, ret_lease);
	if (result == -EAGAIN) {
		view = tni_receive_view(&queue->control->receive);
		call->looked_version = tni_get64(&queue->control->receive.version);
		call->looked_head = view.head;
	}
	tni_side_unlock(call, TNI_RECEIVE);
	return result;
}

/* Looks and waits until there is one; as look().  `result` is what a first look and some spinning brought:
 * -EAGAIN, or 0 for none yet. */
static int look_and_wait(struct tni_call *call, const struct tenon_receive_options *options,
			 const struct target *target, struct tenon_lease *lease, int result)
{
	struct tenon_queue *queue = call->queue;
	struct tni_reason none = {.class = TNI_CLASS_MESSAGE,
				  .lane = options->select == TENON_SELECT_EXACTLY
						  ? tni_lane_of(options->select_key)
						  : 0};
	bool sleepy = false, spun = result == -EAGAIN;

	if (result == 0)
		result = look(call, options, target, NULL, lease);
	while (result == -EAGAIN && !(options->flags & TENON_NONBLOCK)) {
		/* Looking may have moved it. */
		none.seen.version = call->looked_version;
		none.seen.head = call->looked_head;
		if (sleepy) {
			tni_notice_block(call);
			result = tni_wait(call, &none, options->deadline_ns);
			if (result != 0)
				break;
			sleepy = false;
		} else {
			sleepy = spun || !tni_spin(queue, &none, options->deadline_ns);
		}
		spun = false;
		result = look(call, options, target, sleepy ? &none.seen : NULL, lease);
	}
	tni_notice_unblock(call);
	return result;
}

static int receive_one(struct tni_call *call, const struct tenon_receive_options *options,
		       const struct target *target, int result)
{
	struct tenon_queue *queue = call->queue;
	struct tenon_lease lease;

	if ((target->lease || target->capacity_bytes > TNI_COPY_UNDER_LOCK_BYTES) &&
	    tni_object_ensure_stake(&queue->object, call->thread))
		call->wake_all = true;
	result = look_and_wait(call, options, target, &lease, result);
	/* What lies there for the taking is not waited for. */
	if (result == -EAGAIN && tni_queue_bring_back(call, 0) > 0)
		result = look_and_wait(call, options, target, &lease, 0);
	if (result == 1)
		result = finish_long(call, target, &lease);
	if (result == -EBADMSG)
		return tni_queue_damaged(queue);
	/* Also who found none: somebody may have died before telling. */
	if (result == 0 || result == -EAGAIN)
		tni_poll_lower(call, TNI_RECEIVE);
	return result;
}

static int begin(struct tenon_queue *queue, const struct tenon_receive_options *options,
		 struct tenon_receive_options *ret_options, struct tni_call *ret_call)
{
	int result;

	if (!queue)
		return -EINVAL;
	result = tni_receive_options_check(queue, options, ret_options);
	return result == 0 ? tni_call_begin(ret_call, queue) : result;
}

/* The short way.  As tni_fast_receive(). */
static inline int receive_quick(struct tni_call *call, struct tenon_queue *queue, void *buffer,
				uint64_t capacity_bytes, uint32_t count,
				const struct tenon_receive_options *options,
				struct tenon_message *messages)
{
	int result;

	if (!tni_receive_is_plain(queue, options) || !tni_call_quick(call, queue))
		return 0;
	/* Who asks again and again, or waits, shall not keep the others from the lock.  While there has
	 * always been something, there is no need to look first. */
	if (tni_get32(&queue->streak) < TNI_STREAK_MAX && tni_fast_is_empty(call)) {
		struct tni_reason none = {.class = TNI_CLASS_MESSAGE,
					  .seen = {.version = call->looked_version,
						   .head = call->looked_head}};

		tni_note_idle(queue);
		if (options && options->flags & TENON_NONBLOCK) {
			tni_poll_lower(call, TNI_RECEIVE);
			return tni_is_destroyed(queue) ? -EIDRM : -EAGAIN;
		}
		if (!tni_spin(queue, &none,
			      options && options->deadline_ns ? options->deadline_ns : INT64_MAX))
			return -EAGAIN;
	}
	result = tni_fast_receive(call, buffer, capacity_bytes, count, options, messages);
	/* Without having waited for one: who waits begins anew, and spins. */
	return result == -EAGAIN && !(options && options->flags & TENON_NONBLOCK) ? 0 : result;
}

int tenon_queue_receive(struct tenon_queue *queue, void *buffer, uint64_t capacity_bytes,
			const struct tenon_receive_options *options,
			struct tenon_message *ret_message)
{
	struct tenon_receive_options checked;
	struct target target = {
		.buffer = buffer, .capacity_bytes = capacity_bytes, .message = ret_message};
	struct tni_call call;
	int result, quick;

	if (__builtin_expect(!queue || (!buffer && capacity_bytes > 0), 0))
		return -EINVAL;
	quick = receive_quick(&call, queue, buffer, capacity_bytes, 1, options, ret_message);
	if (quick > 0)
		return 0;
	if (quick < 0 && options && options->flags & TENON_NONBLOCK) {
		if (!tni_has_foreign_leases(queue) && !tni_is_watching(queue))
			return quick;
		quick = 0;
	}
	result = begin(queue, options, &checked, &call);
	if (result != 0)
		return result;
	return receive_one(&call, &checked, &target, quick);
}

/* Moves the target behind the `count` messages that it was filled with; false: the buffer ends here. */
static bool advance(struct target *target, uint32_t count)
{
	for (; count > 0; count--, target->message++) {
		uint64_t bytes = target->message->bytes;

		if (bytes > target->capacity_bytes)
			return false;
		target->buffer = (uint8_t *)target->buffer + bytes;
		target->capacity_bytes -= bytes;
	}
	return true;
}

/* One more, if it is there and fits. */
static int receive_next(struct tni_call *call, const struct tenon_receive_options *options,
			const struct target *target)
{
	int result = tni_side_lock(call, TNI_RECEIVE, tni_grace_ns());

	if (result != 0)
		return result;
	result = take_out(call, options, target, NULL);
	tni_side_unlock(call, TNI_RECEIVE);
	return result == 0 ? 1 : result;
}

/* What else is there and fits, behind the `received` ones that the target was filled with. */
static uint32_t receive_rest(struct tni_call *call, const struct tenon_receive_options *options,
			     struct target *target, uint32_t count, uint32_t received)
{
	bool plain = tni_receive_is_plain(call->queue, options);
	int more = (int)received;

	while (received < count && advance(target, (uint32_t)more)) {
		more = plain ? tni_fast_receive(call, target->buffer, target->capacity_bytes,
						count - received, options, target->message)
			     : 0;
		if (more == 0)
			more = receive_next(call, options, target);
		if (more <= 0)
			break;
		received += (uint32_t)more;
	}
	/* What was received is not kept from the caller: the next call says what is the matter. */
	if (more == -EBADMSG)
		tni_queue_damaged(call->queue);
	return received;
}

int tenon_queue_receive_batch(struct tenon_queue *queue, void *buffer, uint64_t capacity_bytes,
			      uint32_t count, const struct tenon_receive_options *options,
			      struct tenon_message *ret_messages, uint32_t *ret_count)
{
	struct tenon_receive_options checked;
	struct target target = {
		.buffer = buffer, .capacity_bytes = capacity_bytes, .message = ret_messages};
	struct tni_call call;
	int result, quick;

	if (!queue || !buffer || !ret_messages || !ret_count || count == 0)
		return -EINVAL;
	quick = receive_quick(&call, queue, buffer, capacity_bytes, count, options, ret_messages);
	if (quick > 0 && (uint32_t)quick == count) {
		*ret_count = count;
		return 0;
	}
	result = begin(queue, options, &checked, &call);
	if (result == 0 && quick <= 0)
		result = receive_one(&call, &checked, &target, quick);
	if (result != 0)
		return result;
	checked.flags &= ~TENON_TRUNCATE;
	target.in_batch = true;
	*ret_count = receive_rest(&call, &checked, &target, count, quick > 0 ? (uint32_t)quick : 1);
	tni_poll_lower(&call, TNI_RECEIVE);
	return 0;
}

int tenon_queue_take(struct tenon_queue *queue, const struct tenon_receive_options *options,
		     struct tenon_lease *ret_lease)
{
	struct tenon_receive_options checked;
	struct target target = {.lease = ret_lease};
	struct tni_call call;
	int result;

	if (queue && ret_lease && tni_receive_is_plain(queue, options) &&
	    tni_call_quick(&call, queue) && tni_fast_take(&call, ret_lease))
		return 0;
	result = begin(queue, options, &checked, &call);
	if (result != 0)
		return result;
	if (!ret_lease)
		return -EINVAL;
	return receive_one(&call, &checked, &target, 0);
}

static int end_lease(struct tenon_queue *queue, struct tenon_lease *lease, bool done)
{
	struct tni_call call;
	int result;

	if (!queue || !lease)
		return -EINVAL;
	result = tni_call_begin(&call, queue);
	if (result == 0)
		result = tni_side_lock(&call, TNI_RECEIVE, INT64_MAX);
	if (result != 0)
		return result;
	if (done)
		tni_poll_raise(queue, TNI_RECEIVE);
	else
		tni_poll_raise_returned(queue);
	result = tni_lease_end(queue, lease->opaque, done);
	if (!done)
		tni_poll_confirm_returned(queue);
	tni_side_unlock(&call, TNI_RECEIVE);
	if (result == -EBADMSG)
		return tni_queue_damaged(queue);
	/* What was raised for nothing. */
	if (result != 0)
		tni_poll_lower(&call, done ? TNI_SEND : TNI_RECEIVE);
	if (result == 0) {
		lease->data = NULL;
		lease->opaque = 0;
	}
	return result;
}

int tenon_queue_done(struct tenon_queue *queue, struct tenon_lease *lease)
{
	struct tni_call call;

	if (queue && lease && tni_call_quick(&call, queue) && tni_fast_done(&call, lease->opaque)) {
		lease->data = NULL;
		lease->opaque = 0;
		return 0;
	}
	return end_lease(queue, lease, true);
}

int tenon_queue_return(struct tenon_queue *queue, struct tenon_lease *lease)
{
	return end_lease(queue, lease, false);
}
