/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What Linux refuses to do with a message queue's file, or what does nothing there: a table.  A pipe, which is what stands
 * behind the descriptor here, would do it, and what it holds would not be the queue's state any more.
 */

#include "preload/preload.h"

#include <errno.h>
#include <sys/sendfile.h>

#define NO_QUEUE (-1)

/* What it has to be open for. */
enum need { NEEDS_NOTHING, NEEDS_READ, NEEDS_WRITE };

/* NO_QUEUE, or what the answer is: an errno, or 0. */
static int answer(int fd, enum need need, int error)
{
	if (!tni_is_still_queue(fd))
		return NO_QUEUE;
	if ((need == NEEDS_READ && !tni_queue_may_read(fd)) ||
	    (need == NEEDS_WRITE && !tni_queue_may_write(fd)))
		return EBADF;
	return error;
}

/* Where one of the two is. */
static int answer_pair(int from, int to, int error)
{
	int of_from = answer(from, NEEDS_READ, error), of_to = answer(to, NEEDS_WRITE, error);

	return of_from == NO_QUEUE || of_to == EBADF ? of_to : of_from;
}

static int as_result(int error)
{
	return error == 0 ? 0 : tni_fail(error);
}

/* How the answer is given, the type, the name, its parameters, what is handed on, and the answer. */
#define TNI_STAND_IN_REFUSED(given, type, name, parameters, arguments, found)                 \
	TNI_STAND_IN type name parameters                                                     \
	{                                                                                     \
		int answer_ = found;                                                          \
                                                                                              \
		return answer_ == NO_QUEUE ? TNI_NEXT(name) arguments : (type)given(answer_); \
	}

/* clang-format off */
TNI_STAND_IN_REFUSED(, int, posix_fadvise, (int fd, off_t from, off_t bytes, int advice), (fd, from, bytes, advice),
	answer(fd, NEEDS_NOTHING, bytes < 0 || advice < 0 || advice > POSIX_FADV_NOREUSE ? EINVAL : 0))
TNI_STAND_IN_REFUSED(, int, posix_fallocate, (int fd, off_t from, off_t bytes), (fd, from, bytes),
	answer(fd, NEEDS_WRITE, EINVAL))
TNI_STAND_IN_REFUSED(as_result, int, fallocate, (int fd, int mode, off_t from, off_t bytes), (fd, mode, from, bytes),
	answer(fd, NEEDS_WRITE, from < 0 || bytes <= 0 ? EINVAL : EOPNOTSUPP))
TNI_STAND_IN_REFUSED(as_result, ssize_t, readahead, (int fd, off_t from, size_t bytes), (fd, from, bytes),
	answer(fd, NEEDS_READ, 0))
TNI_STAND_IN_REFUSED(as_result, int, sync_file_range, (int fd, off_t from, off_t bytes, unsigned flags),
	(fd, from, bytes, flags), answer(fd, NEEDS_NOTHING, 0))
TNI_STAND_IN_REFUSED(as_result, ssize_t, sendfile, (int to, int from, off_t *offset, size_t bytes),
	(to, from, offset, bytes), answer_pair(from, to, EINVAL))
TNI_STAND_IN_REFUSED(as_result, ssize_t, splice,
	(int from, off64_t *from_offset, int to, off64_t *to_offset, size_t bytes, unsigned flags),
	(from, from_offset, to, to_offset, bytes, flags), answer_pair(from, to, EINVAL))
TNI_STAND_IN_REFUSED(as_result, ssize_t, tee, (int from, int to, size_t bytes, unsigned flags),
	(from, to, bytes, flags), answer_pair(from, to, EINVAL))
TNI_STAND_IN_REFUSED(as_result, ssize_t, copy_file_range,
	(int from, off64_t *from_offset, int to, off64_t *to_offset, size_t bytes, unsigned flags),
	(from, from_offset, to, to_offset, bytes, flags), answer_pair(from, to, EXDEV))
TNI_STAND_IN_REFUSED(as_result, ssize_t, vmsplice, (int fd, const struct iovec *parts, size_t count, unsigned flags),
	(fd, parts, count, flags), answer(fd, NEEDS_NOTHING, EBADF))
/* clang-format on */

TNI_STAND_IN_AS(posix_fadvise64, posix_fadvise);
TNI_STAND_IN_AS(posix_fallocate64, posix_fallocate);
TNI_STAND_IN_AS(fallocate64, fallocate);
TNI_STAND_IN_AS(sendfile64, sendfile);
