/* SPDX-License-Identifier: Apache-2.0 */

/* mq_overview(7): the calls of POSIX message queues. */

#include <tenon/posix.h>

#include "preload/preload.h"

#include <errno.h>

bool tni_queue_begin(void)
{
	if (!tni_face_is_on(TNI_FACE_POSIX_MQ))
		return false;
	if (__builtin_expect(tni_get32(&tni_has_queues_) == 0, 0)) {
		tni_signal_catch_faults();
		tni_set32(&tni_has_queues_, 1);
	}
	return true;
}

/* NULL in the place of what leads nowhere: the face looks at it in its turn. */
#define GOOD(pointer) (tni_pointer_is_bad(pointer) ? NULL : (pointer))

static mqd_t opened(mqd_t queue)
{
	if (queue >= 0) {
		tni_own_give(queue);
		tni_queue_note(queue);
		tni_offset_reset(queue);
	}
	return queue;
}

/* TENON_MQ_UNPOLLED is for who calls tenon_mq_open. */
TNI_STAND_IN mqd_t mq_open(const char *name, int flags, ...)
{
	mode_t mode = 0;
	struct mq_attr *attributes = NULL;
	va_list more;

	if (flags & O_CREAT) {
		va_start(more, flags);
		mode = va_arg(more, mode_t);
		attributes = va_arg(more, struct mq_attr *);
		va_end(more);
	}
	if (!tni_queue_begin())
		return TNI_NEXT(mq_open)(name, flags, mode, attributes);
	if (tni_pointer_is_bad(attributes))
		return tni_fail(EFAULT);
	return opened(TNI_CALL(tenon_mq_open(name, flags & ~TENON_MQ_UNPOLLED, mode, attributes)));
}

/* What a fortified program calls without a mode. */
TNI_STAND_IN mqd_t __mq_open_2(const char *name, int flags)
{
	if (!tni_queue_begin() || flags & O_CREAT)
		return TNI_NEXT(__mq_open_2)(name, flags);
	return opened(TNI_CALL(tenon_mq_open(name, flags & ~TENON_MQ_UNPOLLED)));
}

TNI_STAND_IN int mq_close(mqd_t queue)
{
	return tni_queue_begin() ? TNI_CALL(tenon_mq_close(queue)) : TNI_NEXT(mq_close)(queue);
}

TNI_STAND_IN int mq_unlink(const char *name)
{
	return tni_queue_begin() ? TNI_CALL(tenon_mq_unlink(name)) : TNI_NEXT(mq_unlink)(name);
}

TNI_STAND_IN int mq_send(mqd_t queue, const char *data, size_t bytes, unsigned priority)
{
	if (!tni_queue_begin())
		return TNI_NEXT(mq_send)(queue, data, bytes, priority);
	return TNI_CALL(tenon_mq_send(queue, GOOD(data), bytes, priority));
}

TNI_STAND_IN int mq_timedsend(mqd_t queue, const char *data, size_t bytes, unsigned priority,
			      const struct timespec *deadline)
{
	if (!tni_queue_begin())
		return TNI_NEXT(mq_timedsend)(queue, data, bytes, priority, deadline);
	if (tni_pointer_is_bad(deadline))
		return tni_fail(EFAULT);
	return TNI_CALL(tenon_mq_timedsend(queue, GOOD(data), bytes, priority, deadline));
}

/* Who may not be told of the priority has received the message, as on Linux. */
static ssize_t received(ssize_t bytes, const unsigned *ret_priority)
{
	return bytes >= 0 && tni_pointer_is_bad(ret_priority) ? tni_fail(EFAULT) : bytes;
}

TNI_STAND_IN ssize_t mq_receive(mqd_t queue, char *buffer, size_t bytes, unsigned *ret_priority)
{
	if (!tni_queue_begin())
		return TNI_NEXT(mq_receive)(queue, buffer, bytes, ret_priority);
	return received(TNI_CALL(tenon_mq_receive(queue, GOOD(buffer), bytes, GOOD(ret_priority))),
			ret_priority);
}

TNI_STAND_IN ssize_t mq_timedreceive(mqd_t queue, char *buffer, size_t bytes,
				     unsigned *ret_priority, const struct timespec *deadline)
{
	if (!tni_queue_begin())
		return TNI_NEXT(mq_timedreceive)(queue, buffer, bytes, ret_priority, deadline);
	if (tni_pointer_is_bad(deadline))
		return tni_fail(EFAULT);
	return received(TNI_CALL(tenon_mq_timedreceive(queue, GOOD(buffer), bytes,
						       GOOD(ret_priority), deadline)),
			ret_priority);
}

TNI_STAND_IN int mq_notify(mqd_t queue, const struct sigevent *notification)
{
	if (!tni_queue_begin())
		return TNI_NEXT(mq_notify)(queue, notification);
	if (tni_pointer_is_bad(notification))
		return tni_fail(EFAULT);
	return TNI_CALL(tenon_mq_notify(queue, notification));
}

/* What the old attributes are written to is looked at behind the call, as on Linux. */
static int told(int result, const struct mq_attr *ret_attributes)
{
	return result == 0 && tni_pointer_is_bad(ret_attributes) ? tni_fail(EFAULT) : result;
}

TNI_STAND_IN int mq_getattr(mqd_t queue, struct mq_attr *ret_attributes)
{
	if (!tni_queue_begin())
		return TNI_NEXT(mq_getattr)(queue, ret_attributes);
	return told(TNI_CALL(tenon_mq_getattr(queue, GOOD(ret_attributes))), ret_attributes);
}

TNI_STAND_IN int mq_setattr(mqd_t queue, const struct mq_attr *attributes,
			    struct mq_attr *ret_before)
{
	if (!tni_queue_begin())
		return TNI_NEXT(mq_setattr)(queue, attributes, ret_before);
	if (tni_pointer_is_bad(attributes))
		return tni_fail(EFAULT);
	return told(TNI_CALL(tenon_mq_setattr(queue, attributes, GOOD(ret_before))), ret_before);
}
