/* SPDX-License-Identifier: Apache-2.0 */

/* mq_overview(7): the calls of POSIX message queues. */

#include <tenon/posix.h>

#include "preload/preload.h"

static bool is_on(void)
{
	if (!tni_face_is_on(TNI_FACE_POSIX_MQ))
		return false;
	if (__builtin_expect(tni_get32(&tni_has_queues_) == 0, 0))
		tni_set32(&tni_has_queues_, 1);
	return true;
}

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
	if (!is_on())
		return TNI_NEXT(mq_open)(name, flags, mode, attributes);
	return opened(TNI_CALL(tenon_mq_open(name, flags & ~TENON_MQ_UNPOLLED, mode, attributes)));
}

/* What a fortified program calls without a mode. */
TNI_STAND_IN mqd_t __mq_open_2(const char *name, int flags)
{
	if (!is_on() || flags & O_CREAT)
		return TNI_NEXT(__mq_open_2)(name, flags);
	return opened(TNI_CALL(tenon_mq_open(name, flags & ~TENON_MQ_UNPOLLED)));
}

TNI_STAND_IN int mq_close(mqd_t queue)
{
	return is_on() ? TNI_CALL(tenon_mq_close(queue)) : TNI_NEXT(mq_close)(queue);
}

TNI_STAND_IN int mq_unlink(const char *name)
{
	return is_on() ? TNI_CALL(tenon_mq_unlink(name)) : TNI_NEXT(mq_unlink)(name);
}

TNI_STAND_IN int mq_send(mqd_t queue, const char *data, size_t bytes, unsigned priority)
{
	return is_on() ? TNI_CALL(tenon_mq_send(queue, data, bytes, priority))
		       : TNI_NEXT(mq_send)(queue, data, bytes, priority);
}

TNI_STAND_IN int mq_timedsend(mqd_t queue, const char *data, size_t bytes, unsigned priority,
			      const struct timespec *deadline)
{
	return is_on() ? TNI_CALL(tenon_mq_timedsend(queue, data, bytes, priority, deadline))
		       : TNI_NEXT(mq_timedsend)(queue, data, bytes, priority, deadline);
}

TNI_STAND_IN ssize_t mq_receive(mqd_t queue, char *buffer, size_t bytes, unsigned *ret_priority)
{
	return is_on() ? TNI_CALL(tenon_mq_receive(queue, buffer, bytes, ret_priority))
		       : TNI_NEXT(mq_receive)(queue, buffer, bytes, ret_priority);
}

TNI_STAND_IN ssize_t mq_timedreceive(mqd_t queue, char *buffer, size_t bytes,
				     unsigned *ret_priority, const struct timespec *deadline)
{
	return is_on() ? TNI_CALL(tenon_mq_timedreceive(queue, buffer, bytes, ret_priority,
							deadline))
		       : TNI_NEXT(mq_timedreceive)(queue, buffer, bytes, ret_priority, deadline);
}

TNI_STAND_IN int mq_notify(mqd_t queue, const struct sigevent *notification)
{
	return is_on() ? TNI_CALL(tenon_mq_notify(queue, notification))
		       : TNI_NEXT(mq_notify)(queue, notification);
}

TNI_STAND_IN int mq_getattr(mqd_t queue, struct mq_attr *ret_attributes)
{
	return is_on() ? TNI_CALL(tenon_mq_getattr(queue, ret_attributes))
		       : TNI_NEXT(mq_getattr)(queue, ret_attributes);
}

TNI_STAND_IN int mq_setattr(mqd_t queue, const struct mq_attr *attributes,
			    struct mq_attr *ret_before)
{
	return is_on() ? TNI_CALL(tenon_mq_setattr(queue, attributes, ret_before))
		       : TNI_NEXT(mq_setattr)(queue, attributes, ret_before);
}
