/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Sending to and receiving from message queues, and their attributes.
 *
 * Whether a call may wait is a property of the open file description, which other processes may change.  To ask the
 * kernel each time would cost more than the message, so it is asked only when it matters: before a thread sleeps, and
 * when it would not wait because of what was known last.  Where all calls of the program are seen, those that change it are
 * counted, and as long as there was none the latter is asked once in a while only (tni_mqd_stays_nonblocking()).  A sleep
 * pays for the question, and would not end were it wrong: programs that nobody sees may have the descriptor, too.
 */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include <tenon/posix.h>

#include "core/clock.h"
#include "core/defer.h"
#include "core/manner.h"
#include "object/queue_descriptor.h"
#include "posix/errmap.h"
#include "posix/mq.h"
#include "posix/mq_table.h"

/* -EINVAL: as Linux has it, also what lies before the beginning of the clock. */
static int moment_of(const struct timespec *deadline, int64_t *ret_ns)
{
	return tni_moment(deadline, ret_ns) && *ret_ns >= 0 ? 0 : -EINVAL;
}

/* For struct tni_manner. */
static int may_sleep(void *context)
{
	int is_nonblocking = tni_mqd_is_nonblocking(context);

	if (is_nonblocking < 0)
		return is_nonblocking;
	return is_nonblocking ? -ENODATA : 0;
}

/* What is sent or received. */
struct transfer {
	struct tni_mqd *descriptor;
	const char *data; /* sent */
	char *buffer;	  /* received */
	size_t bytes;
	unsigned priority;
	struct tenon_message message;
};

/* All of this is compiled for each of the two directions by itself. */
#define EACH_WAY static inline __attribute__((__always_inline__))

EACH_WAY int attempt(struct transfer *transfer, bool is_send, uint32_t flags, int64_t deadline_ns)
{
	struct tenon_queue *queue = transfer->descriptor->mq->queue;

	if (is_send) {
		struct tenon_send_options options = {.size = sizeof(options),
						     .flags = flags,
						     .key = transfer->priority,
						     .deadline_ns = deadline_ns};

		return tenon_queue_send(queue, transfer->data, transfer->bytes, &options);
	} else {
		struct tenon_receive_options options = {
			.size = sizeof(options), .flags = flags, .deadline_ns = deadline_ns};

		return tenon_queue_receive(queue, transfer->buffer, transfer->bytes, &options,
					   &transfer->message);
	}
}

/* The thread is cancelled while it is counted at the descriptor. */
static void leave(void *context)
{
	tni_mqd_leave(context);
}

/* The moment, for a call that only looks, and has to wait for a lock at most: a lock that is soon free is worth it, also if
 * the moment has passed, since who looks may find what it came for. */
static int64_t not_at_once(int64_t deadline_ns)
{
	int64_t grace_ns = tni_grace_ns();

	return deadline_ns > grace_ns ? deadline_ns : grace_ns;
}

/* As a cancellation point, and until the moment at most. */
EACH_WAY int wait_and_transfer(struct transfer *transfer, bool is_send, uint32_t flags,
			       int64_t realtime_ns)
{
	struct tni_manner manner;
	int result;

	do {
		tni_manner_begin(&manner, realtime_ns, true);
		manner.may_sleep = may_sleep;
		manner.cancelled = leave;
		manner.context = transfer->descriptor;
		if (flags != 0 && realtime_ns != INT64_MAX)
			manner.deadline_ns = not_at_once(manner.deadline_ns);
		result = attempt(transfer, is_send, flags, manner.deadline_ns);
		result = tni_manner_end(&manner, result);
	} while (result == TNI_MANNER_AGAIN);
	return result;
}

/* At a descriptor that was not to wait, or until a moment. */
EACH_WAY int look_and_transfer(struct transfer *transfer, bool is_send, int64_t realtime_ns)
{
	int result = wait_and_transfer(transfer, is_send, TENON_NONBLOCK, realtime_ns),
	    is_nonblocking;

	if (result != -EAGAIN || tni_mqd_stays_nonblocking(transfer->descriptor))
		return result;
	is_nonblocking = tni_mqd_is_nonblocking(transfer->descriptor);
	if (is_nonblocking < 0)
		return is_nonblocking;
	return is_nonblocking ? -EAGAIN : wait_and_transfer(transfer, is_send, 0, realtime_ns);
}

EACH_WAY int transfer_it(struct transfer *transfer, bool is_send, int64_t realtime_ns)
{
	struct tni_mqd *descriptor = transfer->descriptor;
	bool is_registered = is_send && tni_get32(&descriptor->mq->serial) != 0;
	int result;

	if (__builtin_expect(realtime_ns == INT64_MAX, 1) &&
	    tni_get32(&descriptor->is_nonblocking) == 0)
		result = wait_and_transfer(transfer, is_send, 0, INT64_MAX);
	else
		result = look_and_transfer(transfer, is_send, realtime_ns);
	/* This process's own registration, before the call returns. */
	if (result == 0 && is_registered)
		tni_mq_tell(descriptor->mq);
	tni_mqd_leave(descriptor);
	return result;
}

int tenon_mq_timedsend(mqd_t queue, const char *data, size_t bytes, unsigned priority,
		       const struct timespec *deadline)
{
	struct transfer transfer = {.data = data ? data : "", .bytes = bytes, .priority = priority};
	int64_t realtime_ns = INT64_MAX;
	int result = deadline ? moment_of(deadline, &realtime_ns) : 0;

	tni_defer_test_cancel();
	if (result == 0 && priority > TENON_QUEUE_PRIORITY_MAX)
		result = -EINVAL;
	if (result != 0)
		return (int)tni_posix_result(result);
	transfer.descriptor = tni_mqd_enter(queue);
	if (!transfer.descriptor)
		return (int)tni_posix_result(-EBADF);
	if (transfer.descriptor->access == O_RDONLY)
		result = -EBADF;
	else if (bytes > transfer.descriptor->mq->message_bytes)
		result = -EMSGSIZE;
	else if (!data && bytes > 0)
		result = -EFAULT;
	if (result != 0)
		tni_mqd_leave(transfer.descriptor);
	else
		result = transfer_it(&transfer, true, realtime_ns);
	return result == 0 ? 0 : (int)tni_posix_result(result);
}

int tenon_mq_send(mqd_t queue, const char *data, size_t bytes, unsigned priority)
{
	return tenon_mq_timedsend(queue, data, bytes, priority, NULL);
}

ssize_t tenon_mq_timedreceive(mqd_t queue, char *buffer, size_t capacity_bytes,
			      unsigned *ret_priority, const struct timespec *deadline)
{
	struct transfer transfer = {.buffer = buffer, .bytes = capacity_bytes};
	int64_t realtime_ns = INT64_MAX;
	int result = deadline ? moment_of(deadline, &realtime_ns) : 0;

	tni_defer_test_cancel();
	if (result != 0)
		return tni_posix_result(result);
	transfer.descriptor = tni_mqd_enter(queue);
	if (!transfer.descriptor)
		return tni_posix_result(-EBADF);
	if (transfer.descriptor->access == O_WRONLY)
		result = -EBADF;
	else if (capacity_bytes < transfer.descriptor->mq->message_bytes)
		result = -EMSGSIZE;
	else if (!buffer && capacity_bytes > 0)
		result = -EFAULT;
	if (result != 0)
		tni_mqd_leave(transfer.descriptor);
	else
		result = transfer_it(&transfer, false, realtime_ns);
	if (result != 0)
		return tni_posix_result(result);
	if (ret_priority)
		*ret_priority = (unsigned)transfer.message.key;
	return (ssize_t)transfer.message.bytes;
}

ssize_t tenon_mq_receive(mqd_t queue, char *buffer, size_t capacity_bytes, unsigned *ret_priority)
{
	return tenon_mq_timedreceive(queue, buffer, capacity_bytes, ret_priority, NULL);
}

static long as_long(uint64_t value)
{
	return value > LONG_MAX ? LONG_MAX : (long)value;
}

static int get_attributes(struct tni_mqd *descriptor, struct mq_attr *ret_attributes)
{
	const struct tni_mq *mq = descriptor->mq;
	int is_nonblocking = tni_mqd_is_nonblocking(descriptor);

	if (is_nonblocking < 0)
		return is_nonblocking;
	*ret_attributes = (struct mq_attr){.mq_flags = is_nonblocking ? O_NONBLOCK : 0,
					   .mq_maxmsg = as_long(mq->capacity),
					   .mq_msgsize = as_long(mq->message_bytes),
					   .mq_curmsgs = as_long(tni_queue_messages(mq->queue))};
	return 0;
}

static int set_nonblocking(struct tni_mqd *descriptor, bool is_nonblocking)
{
	int flags = fcntl(descriptor->fd, F_GETFL), result = 0;

	flags = is_nonblocking ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
	/* Not what the program may see of it: tni_mqd_flags(). */
	flags = (flags & O_NONBLOCK) | tni_mqd_flags(descriptor->access, false);
	tni_pair_flags_begin(descriptor->mq->queue);
	if (fcntl(descriptor->fd, F_SETFL, flags) != 0)
		result = -errno;
	else
		tni_set32(&descriptor->is_nonblocking, is_nonblocking);
	tni_pair_flags_end(descriptor->mq->queue);
	return result;
}

int tenon_mq_setattr(mqd_t queue, const struct mq_attr *attributes, struct mq_attr *ret_before)
{
	struct mq_attr before;
	struct tni_mqd *descriptor;
	int result = 0;

	if (attributes && attributes->mq_flags & ~(long)O_NONBLOCK)
		return (int)tni_posix_result(-EINVAL);
	descriptor = tni_mqd_enter(queue);
	if (!descriptor)
		return (int)tni_posix_result(-EBADF);
	result = get_attributes(descriptor, &before);
	if (result == 0 && attributes)
		result = set_nonblocking(descriptor, attributes->mq_flags & O_NONBLOCK);
	if (result == 0 && ret_before)
		*ret_before = before;
	tni_mqd_leave(descriptor);
	return (int)tni_posix_result(result);
}

int tenon_mq_getattr(mqd_t queue, struct mq_attr *ret_attributes)
{
	return tenon_mq_setattr(queue, NULL, ret_attributes);
}

int tni_mq_describe(int fd, char *ret_text, size_t capacity_bytes)
{
	struct tenon_queue_status status = {.size = sizeof(status)};
	struct tni_mqd *descriptor = tni_mqd_enter(fd);
	uint32_t how;
	int32_t pid;
	int bytes = -EBADF;

	if (!descriptor)
		return -EBADF;
	if (tenon_queue_status(descriptor->mq->queue, &status) == 0) {
		pid = tni_notice_holder(descriptor->mq->queue, &how);
		bytes = snprintf(ret_text, capacity_bytes,
				 "QSIZE:%-10lu NOTIFY:%-5d SIGNO:%-5d NOTIFY_PID:%-6d\n",
				 (unsigned long)status.message_bytes, pid ? (int)(how >> 16) : 0,
				 pid ? (int)(how & 0xffff) : 0, (int)pid);
	}
	tni_mqd_leave(descriptor);
	return bytes;
}

int tni_mq_owner(int fd, unsigned *ret_mode, unsigned *ret_uid, unsigned *ret_gid)
{
	struct tenon_queue_status status = {.size = sizeof(status)};
	struct tni_mqd *descriptor = tni_mqd_enter(fd);
	int result;

	if (!descriptor)
		return -EBADF;
	result = tenon_queue_status(descriptor->mq->queue, &status);
	tni_mqd_leave(descriptor);
	if (result != 0)
		return -EBADF;
	*ret_mode = status.mode;
	*ret_uid = status.uid;
	*ret_gid = status.gid;
	return 0;
}
