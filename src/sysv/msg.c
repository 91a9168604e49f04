/* SPDX-License-Identifier: Apache-2.0 */

/* Message queues: msgget(2), msgsnd(2), msgrcv(2), msgctl(2). */

#include <errno.h>
#include <limits.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include <tenon/queue.h>
#include <tenon/sysv.h>

#include "core/clock.h"
#include "core/defer.h"
#include "core/manner.h"
#include "core/quiet.h"
#include "object/queue_descriptor.h"
#include "object/queue_limit.h"
#include "sysv/errmap.h"
#include "sysv/limits.h"
#include "sysv/status.h"

#define PARTICIPANTS 1024u
/* A process has the address space for thousands of such queues, but for less than two hundred without a bound. */
#define MESSAGES_MOST (1u << 20)
#define SEGMENT_BYTES 16 /* of which Linux says that its messages consist */

/* struct msgbuf of msgop(2): the text follows. */
struct text {
	long type;
	char bytes[];
};

static int make(int directory_fd, uint64_t size, int flags, mode_t mode, int *ret_fd)
{
	struct tenon_queue_options options = {.size = sizeof(options),
					      .order = TENON_QUEUE_TYPED,
					      .full = TENON_QUEUE_WAIT,
					      .capacity = MESSAGES_MOST,
					      .max_message_bytes = tni_sysv_message_most(),
					      .mode = mode,
					      .max_participants = PARTICIPANTS,
					      .max_bytes = tni_sysv_queue_bytes()};

	(void)size;
	(void)flags;
	return tni_queue_make_nameless(directory_fd, &options, ret_fd);
}

static int open_queue(const char *name, void **ret_object)
{
	struct tenon_queue *queue;
	int result = tni_queue_open_for(NULL, name, 0, 0, NULL, &queue);

	if (result == 0)
		*ret_object = queue;
	return result;
}

static void close_queue(void *object)
{
	tenon_queue_close(object);
}

static int end(void *object)
{
	return tenon_queue_destroy(object);
}

static int settle(void *object, uint64_t limit)
{
	int result = limit == TNI_SYSV_NO_LIMIT
			     ? 0
			     : tenon_queue_set_max_bytes(object,
							 limit == 0 ? TENON_QUEUE_NO_BYTES : limit);

	if (result == 0)
		((struct tni_object *)object)->rouse(object);
	return result;
}

static bool is_ended(void *object)
{
	return tni_is_destroyed(object);
}

static int fits(uint64_t size, uint64_t wanted)
{
	(void)size;
	(void)wanted;
	return 0;
}

const struct tni_sysv_kind tni_sysv_msg = {.kind = TENON_KIND_QUEUE,
					   .row = 0u,
					   .make = make,
					   .open = open_queue,
					   .close = close_queue,
					   .end = end,
					   .is_ended = is_ended,
					   .is_over = tni_queue_is_over,
					   .settle = settle,
					   .fits = fits,
					   .most = tni_sysv_queues_most};

int tenon_msgget(key_t key, int flags)
{
	int error = errno;
	TNI_NO_CANCEL;

	return (int)tni_sysv_finish(tni_sysv_get(&tni_sysv_msg, key, 0, flags), error);
}

/* What a call does between its beginning and its end; a thread that is cancelled in its midst leaves the object. */
struct transfer {
	struct tni_sysv_handle *handle;
	const void *text;
	void *buffer;
	size_t bytes;
	struct tenon_send_options send;
	struct tenon_receive_options receive;
	struct tenon_message message;
};

static void leave(void *context)
{
	tni_sysv_leave(((const struct transfer *)context)->handle);
}

/* IPC_SET may have taken away meanwhile what the mode allowed. */
static int may_sleep(void *context)
{
	const struct transfer *transfer = context;

	return tni_sysv_admit(transfer->handle, transfer->text ? TNI_SYSV_WRITE : TNI_SYSV_READ);
}

static inline int attempt(struct transfer *transfer, bool is_send)
{
	struct tenon_queue *queue = transfer->handle->object;

	return is_send ? tenon_queue_send(queue, transfer->text, transfer->bytes, &transfer->send)
		       : tenon_queue_receive(queue, transfer->buffer, transfer->bytes,
					     &transfer->receive, &transfer->message);
}

static inline int wait_and_transfer(struct transfer *transfer, bool is_send)
{
	struct tni_manner manner;

	tni_manner_begin(&manner, INT64_MAX, true);
	manner.never_restarts = true;
	manner.cancelled = leave;
	manner.may_sleep = may_sleep;
	manner.asks_behind = true;
	manner.context = transfer;
	return tni_manner_end(&manner, attempt(transfer, is_send));
}

static inline int transfer_entered(struct transfer *transfer, bool is_send)
{
	int result = tni_sysv_admit(transfer->handle, is_send ? TNI_SYSV_WRITE : TNI_SYSV_READ);

	if (result == 0)
		result = wait_and_transfer(transfer, is_send);
	return tni_sysv_learn(transfer->handle, result);
}

int tenon_msgsnd(int id, const void *message, size_t bytes, int flags)
{
	struct transfer transfer = {
		.bytes = bytes,
		.send = {.size = sizeof(transfer.send),
			 .flags = flags & IPC_NOWAIT ? TENON_NONBLOCK : 0},
	};
	long type;
	int result, error = errno;

	tni_defer_test_cancel();
	if (!message)
		return (int)tni_sysv_result(-EFAULT);
	type = *(const volatile long *)&((const struct text *)message)->type;
	if (!tni_sysv_message_fits(bytes) || id < 0 || type < 1)
		return (int)tni_sysv_result(-EINVAL);
	transfer.text = ((const struct text *)message)->bytes;
	transfer.send.key = (uint64_t)type;
	result = tni_sysv_enter(&tni_sysv_msg, id, &transfer.handle);
	if (result != 0)
		return (int)tni_sysv_result(result);
	result = transfer_entered(&transfer, true);
	tni_sysv_leave(transfer.handle);
	/* Of a queue that was made when less was allowed. */
	if (result == -EMSGSIZE)
		result = -EINVAL;
	return (int)tni_sysv_finish(result, error);
}

static void select_type(struct tenon_receive_options *options, long type, int flags)
{
	if (type == 0)
		return;
	if (type < 0) {
		options->select = TENON_SELECT_LOWEST_TO;
		options->select_key = type == LONG_MIN ? LONG_MAX : (uint64_t)-type;
		return;
	}
	options->select = flags & MSG_EXCEPT ? TENON_SELECT_ALL_BUT : TENON_SELECT_EXACTLY;
	options->select_key = (uint64_t)type;
}

/* MSG_COPY: the message of that number.  There is no copy of a part. */
static int copy(struct transfer *transfer, long number)
{
	TNI_NO_CANCEL;
	int result = tni_sysv_admit(transfer->handle, TNI_SYSV_READ);

	if (result == 0)
		result = number < 0 ? -EAGAIN
				    : tni_queue_copy(transfer->handle->object, (uint64_t)number,
						     transfer->buffer, transfer->bytes, false,
						     &transfer->message);
	if (result == -EMSGSIZE && transfer->receive.flags & TENON_TRUNCATE)
		result = -EINVAL;
	return tni_sysv_learn(transfer->handle, result);
}

/* As in the kernel the message is gone that was to be written there. */
static ssize_t receive_nowhere(int id, size_t bytes, long type, int flags)
{
	TNI_NO_CANCEL;
	struct text *text;
	ssize_t result;

	if (!tni_sysv_message_fits(bytes))
		bytes = tni_sysv_message_most();
	text = malloc(sizeof(*text) + bytes);
	if (!text)
		return tni_sysv_result(-ENOMEM);
	result = tenon_msgrcv(id, text, bytes, type, flags);
	free(text);
	return result < 0 ? result : tni_sysv_result(-EFAULT);
}

ssize_t tenon_msgrcv(int id, void *message, size_t bytes, long type, int flags)
{
	struct text *text = message;
	struct transfer transfer = {
		.bytes = bytes,
		.receive = {.size = sizeof(transfer.receive),
			    .flags = (flags & IPC_NOWAIT ? TENON_NONBLOCK : 0) |
				     (flags & MSG_NOERROR ? TENON_TRUNCATE : 0)},
	};
	int result, error = errno;

	tni_defer_test_cancel();
	if (id < 0 || bytes > SSIZE_MAX)
		return tni_sysv_result(-EINVAL);
	if (flags & MSG_COPY && (flags & MSG_EXCEPT || !(flags & IPC_NOWAIT)))
		return tni_sysv_result(-EINVAL);
	if (!message)
		return receive_nowhere(id, bytes, type, flags);
	transfer.buffer = text->bytes;
	result = tni_sysv_enter(&tni_sysv_msg, id, &transfer.handle);
	if (result != 0)
		return tni_sysv_result(result);
	if (flags & MSG_COPY) {
		result = copy(&transfer, type);
	} else {
		select_type(&transfer.receive, type, flags);
		result = transfer_entered(&transfer, false);
	}
	tni_sysv_leave(transfer.handle);
	if (__builtin_expect(result != 0, 0))
		return tni_sysv_result(result == -EAGAIN     ? -ENOMSG
				       : result == -EMSGSIZE ? -E2BIG
							     : result);
	text->type = (long)transfer.message.key;
	errno = error;
	return (ssize_t)(transfer.message.bytes < bytes ? transfer.message.bytes : bytes);
}

static int stat_queue(int id, int command, struct msqid_ds *ret_status)
{
	struct tenon_queue_status status = {.size = sizeof(status)};
	struct tni_sysv_identity identity;
	struct tni_sysv_handle *handle;
	struct msqid_ds answer;
	int result = tni_sysv_look(&tni_sysv_msg, id, command != IPC_STAT, command == MSG_STAT_ANY,
				   &handle, &identity),
	    told;

	if (result < 0)
		return result;
	told = tni_sysv_learn(handle, tenon_queue_status(handle->object, &status));
	tni_sysv_leave(handle);
	if (told == 0 && !ret_status)
		told = -EFAULT;
	if (told != 0)
		return told;
	memset(&answer, 0, sizeof(answer));
	tni_sysv_fill(&identity, &answer.msg_perm);
	answer.msg_stime = status.last_send_ns / TNI_SECOND_NS;
	answer.msg_rtime = status.last_receive_ns / TNI_SECOND_NS;
	answer.msg_ctime = identity.changed_ns / TNI_SECOND_NS;
	answer.__msg_cbytes = status.message_bytes;
	answer.msg_qnum = status.messages;
	answer.msg_qbytes = status.max_bytes == TENON_QUEUE_NO_BYTES ? 0 : status.max_bytes;
	answer.msg_lspid = status.last_sender_pid;
	answer.msg_lrpid = status.last_receiver_pid;
	*ret_status = answer;
	return result;
}

struct sum {
	uint64_t messages, bytes;
};

static int add_up(uint32_t index, void *context)
{
	struct tenon_queue_status status = {.size = sizeof(status)};
	struct tni_sysv_handle *handle;
	struct sum *sum = context;

	if (tni_sysv_look_at(&tni_sysv_msg, index, &handle) != 0)
		return 0;
	if (tenon_queue_status(handle->object, &status) == 0) {
		sum->messages += status.messages;
		sum->bytes += status.message_bytes;
	}
	tni_sysv_leave(handle);
	return 0;
}

static int at_most(uint64_t value)
{
	return value > INT_MAX ? INT_MAX : (int)value;
}

static int inform(int command, struct msginfo *ret_information)
{
	struct msginfo information = {.msgmax = at_most(tni_sysv_message_most()),
				      .msgmnb = at_most(tni_sysv_queue_bytes()),
				      .msgmni = (int)tni_sysv_queues_most(),
				      .msgssz = SEGMENT_BYTES,
				      .msgseg = USHRT_MAX};
	struct sum sum = {.messages = 0};
	uint32_t count;
	int result = tni_sysv_count(&tni_sysv_msg, &count);

	if (result < 0)
		return result;
	information.msgpool = at_most((uint64_t)information.msgmni * (uint64_t)information.msgmnb /
				      1024);
	information.msgmap = information.msgtql = information.msgmnb;
	if (command == MSG_INFO) {
		(void)!tni_sysv_list(&tni_sysv_msg, add_up, &sum);
		information.msgpool = at_most(count);
		information.msgmap = at_most(sum.messages);
		information.msgtql = at_most(sum.bytes);
	}
	if (!ret_information)
		return -EFAULT;
	*ret_information = information;
	return result;
}

static int set(struct tni_sysv_handle *handle, const struct msqid_ds *from)
{
	struct ipc_perm permission = from->msg_perm;
	uint64_t bytes = from->msg_qbytes;
	struct tni_sysv_identity identity;
	int result = tni_sysv_read(handle->part, &identity);

	if (result == 0 && !tni_sysv_is_owner(&identity))
		result = -EPERM;
	if (result == 0 && bytes > tni_sysv_queue_bytes() && !tni_sysv_is_capable(CAP_SYS_RESOURCE))
		result = -EPERM;
	/* The one more byte is not missed. */
	if (bytes == TNI_SYSV_NO_LIMIT)
		bytes--;
	return result == 0 ? tni_sysv_change(handle, &permission, bytes) : result;
}

static int control(int id, int command, struct msqid_ds *status)
{
	struct tni_sysv_handle *handle;
	int result;

	if (id < 0)
		return -EINVAL;
	switch (command) {
	case IPC_INFO:
	case MSG_INFO:
		return inform(command, (struct msginfo *)status);
	case IPC_STAT:
	case MSG_STAT:
	case MSG_STAT_ANY:
		return stat_queue(id, command, status);
	case IPC_SET:
		if (!status)
			return -EFAULT;
		break;
	case IPC_RMID:
		return tni_sysv_end(&tni_sysv_msg, id);
	default:
		return -EINVAL;
	}
	result = tni_sysv_enter_to_change(&tni_sysv_msg, id, &handle);
	if (result != 0)
		return result;
	result = tni_sysv_learn(handle, set(handle, status));
	tni_sysv_leave(handle);
	return result;
}

int tenon_msgctl(int id, int command, struct msqid_ds *status)
{
	int error = errno;
	TNI_NO_CANCEL;

	tenon_sysv_credentials();
	return (int)tni_sysv_finish(control(id, command, status), error);
}
