/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A queue's descriptor as a file, which on Linux is a regular one of 80 bytes whose text tells the state of the
 * queue, which has an offset, and which cannot be written to.  Here it is read; file_status.c and file_refused.c have the rest.
 *
 * The offset is this process's, and a copy begins where the descriptor stood of which it was made; on Linux the two
 * would go on together, and with the children.
 */

#include "preload/preload.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#define TEXT_BYTES 96
#define OFFSETS 1024

static struct tni_a64 offsets[OFFSETS];

static int64_t offset_of(int fd)
{
	return fd < OFFSETS ? (int64_t)tni_get64(&offsets[fd]) : 0;
}

static void set_offset(int fd, int64_t offset)
{
	if (fd < OFFSETS)
		tni_set64(&offsets[fd], (uint64_t)offset);
}

void tni_offset_reset(int fd)
{
	set_offset(fd, 0);
}

void tni_offset_copy(int fd, int copy)
{
	set_offset(copy, offset_of(fd));
}

bool tni_queue_may_read(int fd)
{
	int access = TNI_CALL(tni_mq_access(fd));

	return access == O_RDONLY || access == O_RDWR;
}

bool tni_queue_may_write(int fd)
{
	int access = TNI_CALL(tni_mq_access(fd));

	return access == O_WRONLY || access == O_RDWR;
}

bool tni_is_still_queue(int fd)
{
	return tni_is_queue(fd) && TNI_CALL(tni_mq_is_still(fd));
}

static ssize_t read_text(int fd, const struct iovec *parts, int count, int64_t offset)
{
	char text[TEXT_BYTES];
	int bytes;
	ssize_t total = 0;

	if (!tni_queue_may_read(fd))
		return tni_fail(EBADF);
	if (offset < 0)
		return tni_fail(EINVAL);
	bytes = TNI_CALL(tni_mq_describe(fd, text, sizeof(text)));
	if (bytes < 0)
		return tni_fail(-bytes);
	for (int i = 0; i < count && offset + total < bytes; i++) {
		size_t left = (size_t)(bytes - offset - total);
		size_t part = parts[i].iov_len < left ? parts[i].iov_len : left;

		memcpy(parts[i].iov_base, text + offset + total, part);
		total += (ssize_t)part;
	}
	return total;
}

/* What preadv2(2) and pwritev2(2) are asked for besides, and may be of a file that does without. */
#define FLAGS_USUAL (RWF_HIPRI | RWF_DSYNC | RWF_SYNC | RWF_APPEND)

static ssize_t read_on(int fd, const struct iovec *parts, int count)
{
	int64_t offset = offset_of(fd);
	ssize_t bytes = read_text(fd, parts, count, offset);

	if (bytes > 0)
		set_offset(fd, offset + bytes);
	return bytes;
}

TNI_STAND_IN ssize_t read(int fd, void *buffer, size_t bytes)
{
	if (tni_is_still_queue(fd))
		return read_on(fd, &(struct iovec){buffer, bytes}, 1);
	return TNI_NEXT(read)(fd, buffer, bytes);
}

TNI_STAND_IN ssize_t __read_chk(int fd, void *buffer, size_t bytes, size_t capacity_bytes)
{
	if (bytes <= capacity_bytes && tni_is_still_queue(fd))
		return read_on(fd, &(struct iovec){buffer, bytes}, 1);
	return TNI_NEXT(__read_chk)(fd, buffer, bytes, capacity_bytes);
}

TNI_STAND_IN ssize_t readv(int fd, const struct iovec *parts, int count)
{
	if (count >= 0 && count <= IOV_MAX && tni_is_still_queue(fd))
		return read_on(fd, parts, count);
	return TNI_NEXT(readv)(fd, parts, count);
}

TNI_STAND_IN ssize_t pread(int fd, void *buffer, size_t bytes, off_t offset)
{
	if (tni_is_still_queue(fd))
		return read_text(fd, &(struct iovec){buffer, bytes}, 1, offset);
	return TNI_NEXT(pread)(fd, buffer, bytes, offset);
}

TNI_STAND_IN ssize_t __pread_chk(int fd, void *buffer, size_t bytes, off_t offset,
				 size_t capacity_bytes)
{
	if (bytes <= capacity_bytes && tni_is_still_queue(fd))
		return read_text(fd, &(struct iovec){buffer, bytes}, 1, offset);
	return TNI_NEXT(__pread_chk)(fd, buffer, bytes, offset, capacity_bytes);
}

TNI_STAND_IN ssize_t preadv(int fd, const struct iovec *parts, int count, off_t offset)
{
	if (tni_is_still_queue(fd))
		return count < 0 || count > IOV_MAX ? tni_fail(EINVAL)
						    : read_text(fd, parts, count, offset);
	return TNI_NEXT(preadv)(fd, parts, count, offset);
}

TNI_STAND_IN ssize_t preadv2(int fd, const struct iovec *parts, int count, off_t offset, int flags)
{
	if (!tni_is_still_queue(fd))
		return TNI_NEXT(preadv2)(fd, parts, count, offset, flags);
	if (count < 0 || count > IOV_MAX)
		return tni_fail(EINVAL);
	if (flags & ~FLAGS_USUAL && tni_queue_may_read(fd))
		return tni_fail(EOPNOTSUPP);
	return offset == -1 ? read_on(fd, parts, count) : read_text(fd, parts, count, offset);
}

int tni_refuse_write(int fd)
{
	return tni_fail(tni_queue_may_write(fd) ? EINVAL : EBADF);
}

TNI_STAND_IN ssize_t write(int fd, const void *data, size_t bytes)
{
	if (tni_is_still_queue(fd))
		return tni_refuse_write(fd);
	return TNI_NEXT(write)(fd, data, bytes);
}

TNI_STAND_IN ssize_t writev(int fd, const struct iovec *parts, int count)
{
	if (tni_is_still_queue(fd))
		return tni_refuse_write(fd);
	return TNI_NEXT(writev)(fd, parts, count);
}

TNI_STAND_IN ssize_t pwrite(int fd, const void *data, size_t bytes, off_t offset)
{
	if (tni_is_still_queue(fd))
		return offset < 0 ? tni_fail(EINVAL) : tni_refuse_write(fd);
	return TNI_NEXT(pwrite)(fd, data, bytes, offset);
}

TNI_STAND_IN ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset)
{
	if (tni_is_still_queue(fd))
		return offset < 0 ? tni_fail(EINVAL) : tni_refuse_write(fd);
	return TNI_NEXT(pwritev)(fd, parts, count, offset);
}

TNI_STAND_IN ssize_t pwritev2(int fd, const struct iovec *parts, int count, off_t offset, int flags)
{
	if (tni_is_still_queue(fd))
		return offset < -1 ? tni_fail(EINVAL) : tni_refuse_write(fd);
	return TNI_NEXT(pwritev2)(fd, parts, count, offset, flags);
}

TNI_STAND_IN off_t lseek(int fd, off_t offset, int whence)
{
	int64_t to = offset;

	if (!tni_is_still_queue(fd))
		return TNI_NEXT(lseek)(fd, offset, whence);
	switch (whence) {
	case SEEK_SET:
		break;
	case SEEK_CUR:
		to += offset_of(fd);
		break;
	case SEEK_END:
		to += TNI_FILE_BYTES;
		break;
	case SEEK_DATA:
	case SEEK_HOLE:
		if (offset < 0 || offset >= TNI_FILE_BYTES)
			return tni_fail(ENXIO);
		if (whence == SEEK_HOLE)
			to = TNI_FILE_BYTES;
		break;
	default:
		return tni_fail(EINVAL);
	}
	if (to < 0)
		return tni_fail(EINVAL);
	set_offset(fd, to);
	return to;
}

int tni_file_left(int fd)
{
	return (int)(TNI_FILE_BYTES - offset_of(fd));
}

TNI_STAND_IN_AS(__read, read);
TNI_STAND_IN_AS(pread64, pread);
TNI_STAND_IN_AS(__pread64, pread);
TNI_STAND_IN_AS(__pread64_chk, __pread_chk);
TNI_STAND_IN_AS(__write, write);
TNI_STAND_IN_AS(pwrite64, pwrite);
TNI_STAND_IN_AS(__pwrite64, pwrite);
TNI_STAND_IN_AS(preadv64, preadv);
TNI_STAND_IN_AS(preadv64v2, preadv2);
TNI_STAND_IN_AS(pwritev64, pwritev);
TNI_STAND_IN_AS(pwritev64v2, pwritev2);
TNI_STAND_IN_AS(lseek64, lseek);
TNI_STAND_IN_AS(__lseek, lseek);
