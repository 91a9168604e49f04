/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A limit of the bytes that a queue holds, beside that of the messages.  A message is sent when all that is queued or under
 * lease is no longer than the limit with it, and no more messages than the limit has bytes: else there would be no end
 * of empty ones.
 *
 * The limit is one word, which changes under the receivers' lock: so it shows at the descriptors that receivers raise.
 * Senders read it once for each look, under their lock.  A bit, which stays, says that there may be one; a queue that
 * never had a limit pays nothing.
 *
 *	S1 the bit is set		dies: there is no limit, or the old one
 *	S2 the descriptors are raised	dies: they promise too much, until somebody looks in vain
 *	S3 the limit			dies: who takes the lock over counts (S4), and wakes
 *	S4 one change more is counted	dies: the same
 *	S5 unlocking wakes		dies: who is woken in its stead wakes the others
 *
 * Who waits for room waits for as much as its message is long, which nobody else knows: a long one that was woken would
 * go back to sleep, and the wake that a short one could have used would be lost.  So all of them are woken when
 * something was received, or the limit changed, and once for each: the counts that they were told of (`room`) say
 * whether the last one who should have woken them died before he did.  Who looks remembers the limit that it looked by, and
 * does not sleep if it is another.
 */

#include <errno.h>

#include "object/queue_limit.h"

/* As a number of bytes, if there is a limit. */
static uint64_t bytes_of(uint64_t limit)
{
	return limit == TENON_QUEUE_NO_BYTES ? 0 : limit;
}

uint32_t tni_bytes_fit(struct tenon_queue *queue, const struct tenon_slice *slices, uint32_t count)
{
	struct tni_send_side *side = &queue->control->send;
	const struct tni_receive_side *receive = &queue->control->receive;
	uint64_t limit = tni_get64(&queue->control->max_bytes);
	struct tni_send_view view = tni_send_view(side);
	uint32_t fitting = 0;

	if (limit == 0)
		return count;
	limit = bytes_of(limit);
	for (bool is_fresh = false;; is_fresh = true) {
		uint64_t held = view.sent - tni_get64(&side->done_cache);
		uint64_t bytes = view.bytes - tni_get64(&side->done_bytes_cache);

		/* Below none: what a dead sender published was received, and then counted. */
		held = (int64_t)held < 0 ? 0 : held;
		bytes = (int64_t)bytes < 0 ? 0 : bytes;
		for (fitting = 0; fitting < count; fitting++) {
			if (held >= limit || bytes > limit || slices[fitting].bytes > limit - bytes)
				break;
			held++;
			bytes += slices[fitting].bytes;
		}
		if (fitting == count || is_fresh)
			return fitting;
		/* ORD(seen) */
		tni_set64(&side->done_cache, tni_load_acquire64(&receive->done_seen));
		tni_set64(&side->done_bytes_cache, tni_get64(&receive->bytes_seen));
	}
}

/* Whoever may send at once may send any message: so there is room if there is some for the longest, or if nothing is there. */
uint64_t tni_bytes_room(const struct tenon_queue *queue, uint64_t held)
{
	uint64_t limit = tni_get64(&queue->control->max_bytes), bytes, longest;

	if (limit == 0)
		return UINT64_MAX;
	limit = bytes_of(limit);
	bytes = tni_get64(&queue->control->send.bytes_seen) -
		tni_get64(&queue->control->receive.bytes_seen);
	bytes = (int64_t)bytes < 0 ? 0 : bytes;
	longest = queue->attributes.max_message_bytes;
	longest = longest < limit ? longest : limit;
	return bytes <= limit && longest <= limit - bytes && held < limit ? limit - held : 0;
}

bool tni_bytes_exceed(const struct tenon_queue *queue, uint64_t bytes)
{
	uint64_t limit = tni_get64(&queue->control->max_bytes);

	return tni_bytes_are_limited(queue) && limit != 0 && bytes > bytes_of(limit);
}

void tni_bytes_changed(struct tenon_queue *queue)
{
	struct tni_a64 *changes = &queue->control->room.changes;

	tni_step();
	tni_store_release64(changes, tni_get64(changes) + 1); /* ORD(seen) */
	tni_step();
}

bool tni_room_is_told(const struct tenon_queue *queue, uint64_t *ret_done, uint64_t *ret_changes)
{
	const struct tni_queue_room *room = &queue->control->room;

	*ret_done = tni_load_acquire64(&queue->control->receive.done_seen); /* ORD(seen) */
	*ret_changes = tni_load_acquire64(&room->changes);
	return tni_get64(&room->woken_done) == *ret_done &&
	       tni_get64(&room->woken_changes) == *ret_changes;
}

void tni_room_told(struct tenon_queue *queue, uint64_t done, uint64_t changes)
{
	struct tni_queue_room *room = &queue->control->room;

	tni_set64(&room->woken_done, done);
	tni_set64(&room->woken_changes, changes);
}

int tenon_queue_set_max_bytes(struct tenon_queue *queue, uint64_t bytes)
{
	struct tni_call call;
	int result;

	if (!queue || queue->attributes.capacity == TENON_QUEUE_RENDEZVOUS)
		return -EINVAL;
	result = tni_call_begin(&call, queue);
	if (result != 0)
		return result;
	tni_queue_mark(queue, TNI_BYTES_LIMITED);
	tni_step();
	result = tni_side_enter(&call, TNI_RECEIVE, INT64_MAX);
	if (result != 0)
		return result;
	tni_poll_raise(queue, TNI_RECEIVE);
	tni_set64(&queue->control->max_bytes, bytes);
	tni_bytes_changed(queue);
	tni_side_unlock(&call, TNI_RECEIVE);
	/* What was raised for nothing. */
	tni_poll_lower(&call, TNI_SEND);
	return 0;
}
