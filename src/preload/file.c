/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A queue's descriptor as a file, which on Linux is a regular one of 80 bytes whose text tells the state of the
 * queue, which has an offset, and which cannot be written to.
 *
 * The offset is this process's, and a copy begins where the descriptor stood of which it was made; on Linux the two
 * would go on together, and with the children.
 */

#include "preload/preload.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#define FILE_BYTES 80
#define TEXT_BYTES 96
#define OFFSETS 1024

static struct tni_a64 offsets[OFFSETS];

static int fail(int error)
{
	errno = error;
	return -1;
}

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

static bool may(int fd, int other)
{
	int access = TNI_CALL(tni_mq_access(fd));

	return access >= 0 && access != other;
}

/* These are not called for speed: libc may have closed it by itself. */
static bool is_queue(int fd)
{
	return tni_is_queue(fd) && TNI_CALL(tni_mq_is_still(fd));
}

static ssize_t read_text(int fd, const struct iovec *parts, int count, int64_t offset)
{
	char text[TEXT_BYTES];
	int bytes;
	ssize_t total = 0;

	if (!may(fd, O_WRONLY))
		return fail(EBADF);
	if (offset < 0)
		return fail(EINVAL);
	bytes = TNI_CALL(tni_mq_describe(fd, text, sizeof(text)));
	if (bytes < 0)
		return fail(-bytes);
	for (int i = 0; i < count && offset + total < bytes; i++) {
		size_t left = (size_t)(bytes - offset - total);
		size_t part = parts[i].iov_len < left ? parts[i].iov_len : left;

		memcpy(parts[i].iov_base, text + offset + total, part);
		total += (ssize_t)part;
	}
	return total;
}

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
	if (is_queue(fd))
		return read_on(fd, &(struct iovec){buffer, bytes}, 1);
	return TNI_NEXT(read)(fd, buffer, bytes);
}

TNI_STAND_IN ssize_t __read_chk(int fd, void *buffer, size_t bytes, size_t capacity_bytes)
{
	if (bytes <= capacity_bytes && is_queue(fd))
		return read_on(fd, &(struct iovec){buffer, bytes}, 1);
	return TNI_NEXT(__read_chk)(fd, buffer, bytes, capacity_bytes);
}

TNI_STAND_IN ssize_t readv(int fd, const struct iovec *parts, int count)
{
	if (count >= 0 && count <= IOV_MAX && is_queue(fd))
		return read_on(fd, parts, count);
	return TNI_NEXT(readv)(fd, parts, count);
}

TNI_STAND_IN ssize_t pread(int fd, void *buffer, size_t bytes, off_t offset)
{
	if (is_queue(fd))
		return read_text(fd, &(struct iovec){buffer, bytes}, 1, offset);
	return TNI_NEXT(pread)(fd, buffer, bytes, offset);
}

TNI_STAND_IN ssize_t __pread_chk(int fd, void *buffer, size_t bytes, off_t offset,
				 size_t capacity_bytes)
{
	if (bytes <= capacity_bytes && is_queue(fd))
		return read_text(fd, &(struct iovec){buffer, bytes}, 1, offset);
	return TNI_NEXT(__pread_chk)(fd, buffer, bytes, offset, capacity_bytes);
}

TNI_STAND_IN ssize_t write(int fd, const void *data, size_t bytes)
{
	if (is_queue(fd))
		return fail(may(fd, O_RDONLY) ? EINVAL : EBADF);
	return TNI_NEXT(write)(fd, data, bytes);
}

TNI_STAND_IN ssize_t writev(int fd, const struct iovec *parts, int count)
{
	if (is_queue(fd))
		return fail(may(fd, O_RDONLY) ? EINVAL : EBADF);
	return TNI_NEXT(writev)(fd, parts, count);
}

TNI_STAND_IN ssize_t pwrite(int fd, const void *data, size_t bytes, off_t offset)
{
	if (is_queue(fd))
		return fail(offset < 0 || may(fd, O_RDONLY) ? EINVAL : EBADF);
	return TNI_NEXT(pwrite)(fd, data, bytes, offset);
}

TNI_STAND_IN off_t lseek(int fd, off_t offset, int whence)
{
	int64_t to = offset;

	if (!is_queue(fd))
		return TNI_NEXT(lseek)(fd, offset, whence);
	switch (whence) {
	case SEEK_SET:
		break;
	case SEEK_CUR:
		to += offset_of(fd);
		break;
	case SEEK_END:
		to += FILE_BYTES;
		break;
	case SEEK_DATA:
	case SEEK_HOLE:
		if (offset < 0 || offset >= FILE_BYTES)
			return fail(ENXIO);
		if (whence == SEEK_HOLE)
			to = FILE_BYTES;
		break;
	default:
		return fail(EINVAL);
	}
	if (to < 0)
		return fail(EINVAL);
	set_offset(fd, to);
	return to;
}

/* What fstat(2) said of the queue's own descriptor. */
static int describe(int fd, struct stat *status)
{
	unsigned mode, uid, gid;
	int result = TNI_CALL(tni_mq_owner(fd, &mode, &uid, &gid));

	if (result != 0)
		return fail(-result);
	status->st_mode = S_IFREG | (mode & 07777);
	status->st_uid = uid;
	status->st_gid = gid;
	status->st_nlink = 1;
	status->st_size = FILE_BYTES;
	status->st_blocks = 0;
	status->st_rdev = 0;
	return 0;
}

TNI_STAND_IN int fstat(int fd, struct stat *ret_status)
{
	int result = TNI_NEXT(fstat)(fd, ret_status);

	return result == 0 && is_queue(fd) ? describe(fd, ret_status) : result;
}

TNI_STAND_IN int __fxstat(int version, int fd, struct stat *ret_status)
{
	int result = TNI_NEXT(__fxstat)(version, fd, ret_status);

	return result == 0 && is_queue(fd) ? describe(fd, ret_status) : result;
}

TNI_STAND_IN int statx(int folder, const char *path, int flags, unsigned wanted,
		       struct statx *ret_status)
{
	int result = TNI_NEXT(statx)(folder, path, flags, wanted, ret_status);
	struct stat status;

	if (result != 0 || !(flags & AT_EMPTY_PATH) || path[0] != '\0' || !is_queue(folder))
		return result;
	if (describe(folder, &status) != 0)
		return -1;
	ret_status->stx_mode = (uint16_t)status.st_mode;
	ret_status->stx_uid = status.st_uid;
	ret_status->stx_gid = status.st_gid;
	ret_status->stx_nlink = 1;
	ret_status->stx_size = FILE_BYTES;
	ret_status->stx_blocks = 0;
	return 0;
}

/* The mode of a queue is that which it was made with: what this would change is the file of what one polls. */
TNI_STAND_IN int fchmod(int fd, mode_t mode)
{
	return is_queue(fd) ? fail(EPERM) : TNI_NEXT(fchmod)(fd, mode);
}

TNI_STAND_IN int fchown(int fd, uid_t uid, gid_t gid)
{
	return is_queue(fd) ? fail(EPERM) : TNI_NEXT(fchown)(fd, uid, gid);
}

TNI_STAND_IN_AS(__read, read);
TNI_STAND_IN_AS(pread64, pread);
TNI_STAND_IN_AS(__pread64, pread);
TNI_STAND_IN_AS(__pread64_chk, __pread_chk);
TNI_STAND_IN_AS(__write, write);
TNI_STAND_IN_AS(pwrite64, pwrite);
TNI_STAND_IN_AS(__pwrite64, pwrite);
TNI_STAND_IN_AS(lseek64, lseek);
TNI_STAND_IN_AS(__lseek, lseek);
extern TNI_STAND_IN int fstat64(int fd, struct stat64 *ret_status)
	__attribute__((__alias__("fstat")));
extern TNI_STAND_IN int __fxstat64(int version, int fd, struct stat64 *ret_status)
	__attribute__((__alias__("__fxstat")));
