/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Destroying a queue: one bit, which stays, ends it for all who have it open.  Whoever begins a call, locks a side for
 * one, or is about to sleep looks at it.
 *
 *	E1 writable is raised, under the receivers' lock	dies: it promises too much, until somebody looks
 *	E2 readable is raised, under the senders' lock		dies: the same
 *	E3 the bit						dies: who takes that lock over wakes all
 *	E4 unlocking wakes all					dies: the kernel wakes one, who wakes all
 *	E5 writable is raised again, since it may have fallen behind E1; whoever is registered for a notice is told
 *
 * Whoever is killed between E3 and E5 leaves a descriptor for room as it is if in that instant somebody had found none: it
 * is the only one that may not be told.
 *
 * A queue that cannot be repaired is destroyed without the lock.
 *
 * ORD destroyed: the bit is set before the events are counted; a sleeper reads its event and looks at the bit behind that.
 */

#include <errno.h>

#include "object/queue_limit.h"

static int raise_writable(struct tni_call *call)
{
	int result = tni_side_lock(call, TNI_RECEIVE, INT64_MAX);

	if (result != 0)
		return result;
	tni_poll_raise(call->queue, TNI_RECEIVE);
	tni_side_unlock(call, TNI_RECEIVE);
	return 0;
}

int tenon_queue_destroy(struct tenon_queue *queue)
{
	struct tni_call call;
	int result = queue ? tni_call_begin(&call, queue) : -EINVAL;

	if (result != 0)
		return result;
	/* Of this one's death whoever is registered is to be told as well. */
	if (tni_notice_is_wanted(queue))
		tni_notice_stake(&call);
	result = raise_writable(&call);
	if (result == 0 || result == -EBADMSG)
		result = tni_side_enter(&call, TNI_SEND, INT64_MAX);
	if (result == -EBADMSG) {
		tni_queue_mark(queue, TNI_QUEUE_DESTROYED);
		tni_gatehouse_rouse(&queue->house);
	} else if (result == 0) {
		tni_poll_raise(queue, TNI_SEND);
		tni_queue_mark(queue, TNI_QUEUE_DESTROYED);
		tni_step();
		tni_side_unlock(&call, TNI_SEND);
	} else {
		return result;
	}
	(void)!raise_writable(&call);
	tni_notice_rouse(queue);
	return 0;
}

static uint64_t wanted_offset(uint32_t participants)
{
	return tni_object_own_offset(participants) +
	       offsetof(struct tni_queue_control, poll_wanted);
}

bool tni_queue_is_over(int fd)
{
	return tni_object_read_word(fd, TENON_KIND_QUEUE, wanted_offset) & TNI_QUEUE_DESTROYED;
}
