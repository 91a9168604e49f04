/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Receiving.  A short message is copied under the receivers' lock and then ended; a long one is
 * leased, copied outside the lock, and done.
 */

#include <errno.h>
#include <string.h>

#include "object/queue_private.h"

struct target {
	void *buffer;
	uint64_t capacity_bytes;
	struct tenon_message *message; /* may be NULL */
	struct tenon_lease *lease;     /* take: the other two are not used */
};

static int hand_over_lease(struct tni_call *call, const struct tni_item *item,
			   struct tenon_lease *lease)
{
	struct tenon_queue *queue = call->queue;
	bool first = tni_get64(&queue->control->receive.leases.used) == 0;
	uint64_t opaque;
	int result = tni_item_lease(queue, item, &opaque);

	if (result != 0)
		return result;
	call->leased |= first;
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
	/* Where somebody sleeps, a lease would have to wake them all. */
	if (bytes > TNI_COPY_UNDER_LOCK_BYTES && !somebody_sleeps(queue)) {
		result = hand_over_lease(call, &item, ret_lease);
		/* Without memory for a lease: under the lock after all. */
		if (result != -ENOSPC)
			return result == 0 ? 1 : result;
	}
	tni_poll_raise(queue, TNI_RECEIVE);
	memcpy(target->buffer, item.data, bytes);
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
	memcpy(target->buffer, lease->data, bytes);
	result = tni_side_lock(call, TNI_RECEIVE, INT64_MAX);
	if (result != 0)
		return result;
	tni_poll_raise(queue, TNI_RECEIVE);
	result = tni_lease_end(queue, lease->opaque, true);
	tni_side_unlock(call, TNI_RECEIVE);
	if (result == 0 && target->message)
		*target->message = lease->message;
	return result;
}

static int receive_one(struct tni_call *call, const struct tenon_receive_options *options,
		       const struct target *target)
{
	struct tenon_queue *queue = call->queue;
	struct tenon_lease lease;
	int result;

	for (;;) {
		struct tni_reason none = {.class = TNI_CLASS_MESSAGE};

		result = tni_side_lock(call, TNI_RECEIVE, options->deadline_ns);
		if (result != 0)
			return result;
		none.seen = tni_wait_seen(queue);
		result = take_out(call, options, target, &lease);
		if (result == -EAGAIN) { /* looking may have moved it */
			none.seen.version = tni_get64(&queue->control->receive.version);
			none.seen.head = tni_receive_view(&queue->control->receive).head;
		}
		tni_side_unlock(call, TNI_RECEIVE);
		if (result != -EAGAIN || options->flags & TENON_NONBLOCK)
			break;
		result = tni_wait(call, &none, options->deadline_ns);
		if (result != 0)
			return result;
	}
	if (result == 1)
		result = finish_long(call, target, &lease);
	if (result == -EBADMSG)
		return tni_queue_damaged(queue);
	if (result == 0)
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

int tenon_queue_receive(struct tenon_queue *queue, void *buffer, uint64_t capacity_bytes,
			const struct tenon_receive_options *options,
			struct tenon_message *ret_message)
{
	struct tenon_receive_options checked;
	struct target target = {
		.buffer = buffer, .capacity_bytes = capacity_bytes, .message = ret_message};
	struct tni_call call;
	int result;

	if (!queue || (!buffer && capacity_bytes > 0))
		return -EINVAL;
	if (!options && tni_fast_receive(queue, buffer, capacity_bytes, 1, ret_message) == 1)
		return 0;
	result = begin(queue, options, &checked, &call);
	if (result != 0)
		return result;
	return receive_one(&call, &checked, &target);
}

int tenon_queue_receive_batch(struct tenon_queue *queue, void *buffer, uint64_t capacity_bytes,
			      uint32_t count, const struct tenon_receive_options *options,
			      struct tenon_message *ret_messages, uint32_t *ret_count)
{
	struct tenon_receive_options checked;
	struct target target = {
		.buffer = buffer, .capacity_bytes = capacity_bytes, .message = ret_messages};
	struct tenon_lease lease;
	struct tni_call call;
	uint32_t received = 1;
	bool locked;
	int result;

	if (!queue || !buffer || !ret_messages || !ret_count || count == 0)
		return -EINVAL;
	if (!options) {
		received = tni_fast_receive(queue, buffer, capacity_bytes, count, ret_messages);
		if (received > 0) {
			*ret_count = received;
			return 0;
		}
		received = 1;
	}
	result = begin(queue, options, &checked, &call);
	if (result != 0)
		return result;
	result = receive_one(&call, &checked, &target);
	if (result != 0)
		return result;
	/* The others under one lock, as long as they are there and fit. */
	checked.flags &= ~TENON_TRUNCATE;
	if (count > 1)
		result = tni_side_lock(&call, TNI_RECEIVE, INT64_MAX);
	locked = count > 1 && result == 0;
	while (result == 0 && received < count) {
		uint64_t bytes = target.message->bytes;

		if (bytes > target.capacity_bytes)
			break;
		target.buffer = (uint8_t *)target.buffer + bytes;
		target.capacity_bytes -= bytes;
		target.message++;
		result = take_out(&call, &checked, &target, &lease);
		if (result == 1) {
			tni_lease_end(queue, lease.opaque, false);
			break;
		}
		if (result == 0)
			received++;
	}
	if (locked)
		tni_side_unlock(&call, TNI_RECEIVE);
	tni_poll_lower(&call, TNI_RECEIVE);
	*ret_count = received;
	return result == -EBADMSG ? tni_queue_damaged(queue) : 0;
}

int tenon_queue_take(struct tenon_queue *queue, const struct tenon_receive_options *options,
		     struct tenon_lease *ret_lease)
{
	struct tenon_receive_options checked;
	struct target target = {.lease = ret_lease};
	struct tni_call call;
	int result = begin(queue, options, &checked, &call);

	if (result != 0)
		return result;
	if (!ret_lease)
		return -EINVAL;
	return receive_one(&call, &checked, &target);
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
	tni_side_unlock(&call, TNI_RECEIVE);
	if (result == -EBADMSG)
		return tni_queue_damaged(queue);
	if (result == 0) {
		lease->data = NULL;
		lease->opaque = 0;
	}
	return result;
}

int tenon_queue_done(struct tenon_queue *queue, struct tenon_lease *lease)
{
	return end_lease(queue, lease, true);
}

int tenon_queue_return(struct tenon_queue *queue, struct tenon_lease *lease)
{
	return end_lease(queue, lease, false);
}
