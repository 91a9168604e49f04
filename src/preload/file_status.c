/* SPDX-License-Identifier: Apache-2.0 */

/* What is told of a queue's descriptor as of a file, and its mode and owner. */

#include "preload/preload.h"

#include <errno.h>

/* What fstat(2) said of the queue's own descriptor. */
static int describe(int fd, struct stat *status)
{
	unsigned mode, uid, gid;
	int result = TNI_CALL(tni_mq_owner(fd, &mode, &uid, &gid));

	if (result != 0)
		return tni_fail(-result);
	status->st_mode = S_IFREG | (mode & 07777);
	status->st_uid = uid;
	status->st_gid = gid;
	status->st_nlink = 1;
	status->st_size = TNI_FILE_BYTES;
	status->st_blocks = 0;
	status->st_rdev = 0;
	return 0;
}

TNI_STAND_IN int fstat(int fd, struct stat *ret_status)
{
	int result = TNI_NEXT(fstat)(fd, ret_status);

	return result == 0 && tni_is_still_queue(fd) ? describe(fd, ret_status) : result;
}

TNI_STAND_IN int __fxstat(int version, int fd, struct stat *ret_status)
{
	int result = TNI_NEXT(__fxstat)(version, fd, ret_status);

	return result == 0 && tni_is_still_queue(fd) ? describe(fd, ret_status) : result;
}

/* Whether a call that takes a folder and a path means the descriptor itself, and that is one of a queue. */
static bool is_meant(int fd, const char *path, int flags)
{
	/* Since Linux 6.11 it may be NULL, which libc's headers deny: so the compiler must not know what it was. */
	const char *volatile given = path;

	return flags & AT_EMPTY_PATH && (!given || given[0] == '\0') && tni_is_still_queue(fd);
}

TNI_STAND_IN int fstatat(int folder, const char *path, struct stat *ret_status, int flags)
{
	int result = TNI_NEXT(fstatat)(folder, path, ret_status, flags);

	return result == 0 && is_meant(folder, path, flags) ? describe(folder, ret_status) : result;
}

TNI_STAND_IN int __fxstatat(int version, int folder, const char *path, struct stat *ret_status,
			    int flags)
{
	int result = TNI_NEXT(__fxstatat)(version, folder, path, ret_status, flags);

	return result == 0 && is_meant(folder, path, flags) ? describe(folder, ret_status) : result;
}

TNI_STAND_IN int statx(int folder, const char *path, int flags, unsigned wanted,
		       struct statx *ret_status)
{
	int result = TNI_NEXT(statx)(folder, path, flags, wanted, ret_status);
	struct stat status;

	if (result != 0 || !is_meant(folder, path, flags))
		return result;
	if (describe(folder, &status) != 0)
		return -1;
	ret_status->stx_mode = (uint16_t)status.st_mode;
	ret_status->stx_uid = status.st_uid;
	ret_status->stx_gid = status.st_gid;
	ret_status->stx_nlink = 1;
	ret_status->stx_size = TNI_FILE_BYTES;
	ret_status->stx_blocks = 0;
	ret_status->stx_mask &= ~STATX_BTIME;
	return 0;
}

/* The mode of a queue is that which it was made with: what this would change is the file of what one polls. */
TNI_STAND_IN int fchmod(int fd, mode_t mode)
{
	return tni_is_still_queue(fd) ? tni_fail(EPERM) : TNI_NEXT(fchmod)(fd, mode);
}

TNI_STAND_IN int fchown(int fd, uid_t uid, gid_t gid)
{
	return tni_is_still_queue(fd) ? tni_fail(EPERM) : TNI_NEXT(fchown)(fd, uid, gid);
}

TNI_STAND_IN int fchownat(int folder, const char *path, uid_t uid, gid_t gid, int flags)
{
	return is_meant(folder, path, flags) ? tni_fail(EPERM)
					     : TNI_NEXT(fchownat)(folder, path, uid, gid, flags);
}

extern TNI_STAND_IN int fstat64(int fd, struct stat64 *ret_status)
	__attribute__((__alias__("fstat")));
extern TNI_STAND_IN int __fxstat64(int version, int fd, struct stat64 *ret_status)
	__attribute__((__alias__("__fxstat")));
extern TNI_STAND_IN int fstatat64(int folder, const char *path, struct stat64 *ret_status,
				  int flags) __attribute__((__alias__("fstatat")));
extern TNI_STAND_IN int __fxstatat64(int version, int folder, const char *path,
				     struct stat64 *ret_status, int flags)
	__attribute__((__alias__("__fxstatat")));
