/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Descriptors come, go and change.  The queue behind one is told before it goes, so that it is closed with its
 * last descriptor, and after a copy was made.  What the library keeps for itself (own.c) is not there.
 */

#include "preload/preload.h"

#include <errno.h>
#include <limits.h>
#include <linux/close_range.h>
#include <sys/ioctl.h>

/* What came over exec(3), or by a socket, is known by its first use, and seldom has a larger number. */
#define QUEUES_USUAL 1024u

/* A bound of the descriptors of queues that this process has opened or copied. */
static struct tni_a32 top = {QUEUES_USUAL};

static bool is_hidden(int fd)
{
	return __builtin_expect(tni_own_is(fd), 0) && !tni_memory_is_borrowed();
}

static void closing(int fd)
{
	if (tni_get32(&tni_has_queues_) != 0 && fd >= 0 && !tni_inherited_take(fd) &&
	    tni_mq_is(fd)) {
		TNI_CALL_VOID(tni_mq_closing(fd));
	}
}

void tni_queue_note(int fd)
{
	uint32_t seen = tni_get32(&top);

	while (seen <= (uint32_t)fd && !tni_cas32(&top, &seen, (uint32_t)fd + 1))
		;
}

static int copied(int fd, int copy)
{
	if (copy >= 0 && copy != fd && tni_is_queue(fd)) {
		tni_queue_note(copy);
		TNI_CALL_VOID(tni_mq_copied(fd, copy));
		tni_offset_copy(fd, copy);
	}
	return copy;
}

TNI_STAND_IN int close(int fd)
{
	if (is_hidden(fd))
		return tni_fail(EBADF);
	closing(fd);
	return TNI_NEXT(close)(fd);
}

/* The pieces between those that are the library's. */
static int close_between(unsigned first, unsigned last, int flags)
{
	unsigned end = (unsigned)tni_own_top(), from = first;
	int result = 0;

	for (unsigned fd = first; fd < end && fd <= last && result == 0; fd++) {
		if (!is_hidden((int)fd))
			continue;
		if (fd > from)
			result = TNI_NEXT(close_range)(from, fd - 1, flags);
		from = fd + 1;
	}
	if (result == 0 && from <= last)
		result = TNI_NEXT(close_range)(from, last, flags);
	return result;
}

TNI_STAND_IN int close_range(unsigned first, unsigned last, int flags)
{
	unsigned end = tni_get32(&top), own_end = (unsigned)tni_own_top();

	if ((tni_get32(&tni_has_queues_) == 0 && own_end == 0) || first > last || flags < 0 ||
	    flags & ~(int)(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC))
		return TNI_NEXT(close_range)(first, last, flags);
	if (own_end > end)
		end = own_end;
	if (!(flags & (int)CLOSE_RANGE_CLOEXEC))
		for (unsigned fd = first; fd < end && fd <= last; fd++)
			closing((int)fd);
	return close_between(first, last, flags);
}

TNI_STAND_IN void closefrom(int first)
{
	if ((tni_get32(&tni_has_queues_) == 0 && tni_own_top() == 0) ||
	    close_range(first < 0 ? 0 : (unsigned)first, UINT_MAX, 0) != 0)
		TNI_NEXT(closefrom)(first);
}

TNI_STAND_IN int dup(int fd)
{
	return is_hidden(fd) ? tni_fail(EBADF) : copied(fd, TNI_NEXT(dup)(fd));
}

/* 0: `copy` may become another. */
static int make_way(int fd, int copy)
{
	if (is_hidden(fd))
		return EBADF;
	if (fd == copy)
		return 0;
	/* The library cannot do without. */
	if (is_hidden(copy))
		return EBUSY;
	if (tni_is_queue(copy) && TNI_NEXT(fcntl)(fd, F_GETFD) >= 0)
		closing(copy);
	return 0;
}

TNI_STAND_IN int dup2(int fd, int copy)
{
	int error = make_way(fd, copy);

	return error ? tni_fail(error) : copied(fd, TNI_NEXT(dup2)(fd, copy));
}

TNI_STAND_IN int dup3(int fd, int copy, int flags)
{
	int error = flags & ~O_CLOEXEC ? 0 : make_way(fd, copy);

	return error ? tni_fail(error) : copied(fd, TNI_NEXT(dup3)(fd, copy, flags));
}

/* Of the flags of the queue's own descriptor the program sees and changes O_NONBLOCK alone. */
static int queue_flags(int fd, int command, int flags)
{
	int now = TNI_NEXT(fcntl)(fd, F_GETFL), access, result;

	if (now < 0)
		return now;
	if (command == F_SETFL) {
		if (flags & O_DIRECT)
			return tni_fail(EINVAL);
		TNI_CALL_VOID(tni_mq_flags_changing(fd));
		result = TNI_NEXT(fcntl)(fd, F_SETFL, (now & ~O_NONBLOCK) | (flags & O_NONBLOCK));
		TNI_CALL_VOID(tni_mq_flags_changed(fd));
		return result;
	}
	access = TNI_CALL(tni_mq_access(fd));
	return access < 0 ? tni_fail(-access) : access | (now & O_NONBLOCK);
}

/* Also one that has come over a socket, and that no call of queues has met yet: who has it as well is to be told. */
static bool is_queue_from_anywhere(int fd)
{
	int error = errno;
	bool is_queue = tni_is_queue(fd);

	if (!is_queue && tni_face_is_on(TNI_FACE_POSIX_MQ) && !tni_memory_is_borrowed())
		is_queue = tni_mq_is_named(fd) && tni_queue_begin() && TNI_CALL(tni_mq_meet(fd));
	errno = error;
	return is_queue;
}

TNI_STAND_IN int fcntl(int fd, int command, ...)
{
	va_list more;
	void *argument;

	va_start(more, command);
	argument = va_arg(more, void *);
	va_end(more);
	if (is_hidden(fd))
		return tni_fail(EBADF);
	if (command == F_DUPFD || command == F_DUPFD_CLOEXEC)
		return copied(fd, TNI_NEXT(fcntl)(fd, command, argument));
	if ((command == F_GETPIPE_SZ || command == F_SETPIPE_SZ) && tni_is_queue(fd))
		return tni_fail(EBADF);
	if ((command == F_GETFL || command == F_SETFL) && is_queue_from_anywhere(fd))
		return queue_flags(fd, command, (int)(intptr_t)argument);
	return TNI_NEXT(fcntl)(fd, command, argument);
}

TNI_STAND_IN int ioctl(int fd, unsigned long request, ...)
{
	bool is_flag = request == FIONBIO && is_queue_from_anywhere(fd);
	va_list more;
	void *argument;
	int result;

	va_start(more, request);
	argument = va_arg(more, void *);
	va_end(more);
	if (is_hidden(fd))
		return tni_fail(EBADF);
	/* How much there is to be read: to Linux it is a file of some size. */
	if (request == FIONREAD && tni_is_still_queue(fd)) {
		*(int *)argument = tni_file_left(fd);
		return 0;
	}
	if (is_flag)
		TNI_CALL_VOID(tni_mq_flags_changing(fd));
	result = TNI_NEXT(ioctl)(fd, request, argument);
	if (is_flag)
		TNI_CALL_VOID(tni_mq_flags_changed(fd));
	return result;
}

TNI_STAND_IN_AS(__close, close);
TNI_STAND_IN_AS(__dup2, dup2);
TNI_STAND_IN_AS(__fcntl, fcntl);
TNI_STAND_IN_AS(fcntl64, fcntl);
