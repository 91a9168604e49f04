/* SPDX-License-Identifier: Apache-2.0 */

/* Opening, closing and removing message queues by name, as mq_open(3) and Linux have it. */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <tenon/posix.h>

#include "core/quiet.h"
#include "object/queue_descriptor.h"
#include "posix/errmap.h"
#include "posix/mq.h"
#include "posix/mq_table.h"

/* A queue that is there may be removed, and one that is not be made, between two looks. */
#define ATTEMPTS 100u

static int name_check(const char *name)
{
	if (!name)
		return -EFAULT;
	if (name[0] != '/')
		return -EINVAL;
	name++;
	if (name[0] == '\0')
		return -ENOENT;
	if (strlen(name) > NAME_MAX)
		return -ENAMETOOLONG;
	if (strchr(name, '/') || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return -EACCES;
	return 0;
}

static uint32_t access_of(int oflag)
{
	switch (oflag & O_ACCMODE) {
	case O_RDONLY:
		return TENON_READABLE;
	case O_WRONLY:
		return TENON_WRITABLE;
	default:
		return TENON_READABLE | TENON_WRITABLE;
	}
}

/* What a new queue is made with.  -EINVAL. */
static int options_of(mode_t mode, const struct mq_attr *attributes,
		      struct tenon_queue_options *ret_options)
{
	uint64_t capacity, message_bytes;
	int result = 0;

	if (attributes) {
		if (attributes->mq_maxmsg <= 0 || attributes->mq_msgsize <= 0 ||
		    (uint64_t)attributes->mq_maxmsg > TENON_QUEUE_MAX_CAPACITY ||
		    (uint64_t)attributes->mq_msgsize > TENON_QUEUE_MAX_MESSAGE_BYTES)
			return -EINVAL;
		capacity = (uint64_t)attributes->mq_maxmsg;
		message_bytes = (uint64_t)attributes->mq_msgsize;
	} else {
		tni_mq_defaults(&capacity, &message_bytes);
	}
	if (tni_mq_has_limits())
		result = tni_mq_check_limits(capacity, message_bytes);
	*ret_options = (struct tenon_queue_options){
		.size = sizeof(*ret_options),
		.flags = TENON_QUEUE_SPLIT_MODE,
		.order = TENON_QUEUE_PRIORITY,
		.full = TENON_QUEUE_WAIT,
		.capacity = capacity,
		.max_message_bytes = message_bytes,
		.mode = mode & 0777,
		.max_participants = TENON_QUEUE_MAX_PARTICIPANTS};
	return result;
}

/* The handle.  Attributes are looked at only if a queue is to be made. */
static int open_queue(const char *name, int oflag, mode_t mode, const struct mq_attr *attributes,
		      struct tenon_queue **ret_queue)
{
	struct tenon_queue_options options;
	int result;

	for (uint32_t i = 0; i < ATTEMPTS; i++) {
		if ((oflag & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL)) {
			result = tni_queue_is_free(NULL, name);
			if (result != 0)
				return result;
		} else {
			result = tni_queue_open_for(NULL, name, 0, access_of(oflag), NULL,
						    ret_queue);
			if (result != -ENOENT || !(oflag & O_CREAT))
				return result;
		}
		result = options_of(mode, attributes, &options);
		if (result == 0)
			result = tni_queue_open_for(NULL, name, TENON_CREATE | TENON_EXCLUSIVE,
						    access_of(oflag), &options, ret_queue);
		if (result != -EEXIST || oflag & O_EXCL)
			return result;
	}
	return -EAGAIN;
}

/* Gives the handle a descriptor.  -ENOENT: it was removed, and has none. */
/* The kernel's would have the number that the library has just had for the namespace. */
static int lowest(int fd)
{
	int lower = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	if (lower < 0)
		return fd;
	close(lower < fd ? fd : lower);
	return lower < fd ? lower : fd;
}

static int add_descriptor(struct tenon_queue *queue, int oflag, int *ret_fd)
{
	int access = oflag & O_ACCMODE, fd;
	bool is_nonblocking = (oflag & O_NONBLOCK) != 0;
	int result = 0;

	if (!tni_mq_is_told_all() && !(oflag & TENON_MQ_UNPOLLED))
		result = tni_pair_watch(queue);
	if (result == 0)
		result = tni_pair_open(queue, tni_mqd_flags(access, is_nonblocking), &fd);
	if (result != 0) {
		tenon_queue_close(queue);
		return result;
	}
	/* Where the library's own are above it they are to be told from the program's. */
	if (tni_mq_is_told_all())
		fd = lowest(fd);
	result = tni_mqd_add(fd, access, is_nonblocking, queue);
	if (result != 0)
		close(fd);
	else
		*ret_fd = fd;
	return result;
}

static int open_descriptor(const char *name, int oflag, mode_t mode,
			   const struct mq_attr *attributes, int *ret_fd)
{
	struct tenon_queue *queue;
	struct tni_quiet before;
	int result = name_check(name);

	if (result == 0 && (oflag & O_ACCMODE) == O_ACCMODE)
		result = -EINVAL;
	if (result != 0)
		return result;
	tni_quiet_begin(&before);
	tni_mqd_sweep();
	for (uint32_t i = 0; i < ATTEMPTS; i++) {
		result = open_queue(name, oflag, mode, attributes, &queue);
		if (result == 0)
			result = add_descriptor(queue, oflag, ret_fd);
		if (result != -ENOENT || !(oflag & O_CREAT))
			break;
	}
	tni_quiet_end(&before);
	return result;
}

mqd_t tenon_mq_open(const char *name, int oflag, ...)
{
	const struct mq_attr *attributes = NULL;
	mode_t mode = 0;
	va_list arguments;
	int fd, result;

	if (oflag & O_CREAT) {
		va_start(arguments, oflag);
		mode = va_arg(arguments, mode_t);
		attributes = va_arg(arguments, struct mq_attr *);
		va_end(arguments);
	}
	result = open_descriptor(name, oflag, mode, attributes, &fd);
	return (mqd_t)tni_posix_result(result != 0 ? result : fd);
}

int tenon_close(int fd)
{
	tni_mq_closing(fd);
	return close(fd);
}

int tenon_mq_close(mqd_t queue)
{
	TNI_NO_CANCEL;
	struct tni_mqd *descriptor = tni_mqd_enter(queue);

	if (!descriptor)
		return (int)tni_posix_result(-EBADF);
	tni_mqd_leave(descriptor);
	return tenon_close(queue);
}

int tenon_mq_unlink(const char *name)
{
	TNI_NO_CANCEL;
	int result = name_check(name);

	if (result == 0)
		result = tenon_queue_remove(NULL, name);
	return tni_posix_removed(result);
}
