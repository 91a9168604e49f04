/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The file behind an object: unnamed until it is whole, and given memory before that is touched.  Without
 * /proc, which names descriptors, only who may search every folder can make one.
 */

#include "core/file.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* Whether making the file that long would break RLIMIT_FSIZE.  The kernel does not only refuse that, it
 * also sends SIGXFSZ, which ends the program: it is not for a library to provoke. */
static bool is_beyond_limit(int fd, uint64_t to)
{
	struct rlimit limit;
	struct stat status;

	if (getrlimit(RLIMIT_FSIZE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY ||
	    to <= limit.rlim_cur)
		return false;
	return fstat(fd, &status) != 0 || (uint64_t)status.st_size < to;
}

/* Older kernels stop at a signal and give back what they had taken: beside a timer that is faster, nothing
 * would ever come of it, so that from the second time on signals wait. */
static int take_memory(int fd, int mode, uint64_t from, uint64_t to)
{
	sigset_t all, before;
	int result = 0;

	if (to <= from || fallocate(fd, mode, (off_t)from, (off_t)(to - from)) == 0)
		return 0;
	if (errno == EINTR) {
		sigfillset(&all);
		pthread_sigmask(SIG_SETMASK, &all, &before);
		do
			result = fallocate(fd, mode, (off_t)from, (off_t)(to - from)) == 0 ? 0
											   : errno;
		while (result == EINTR);
		pthread_sigmask(SIG_SETMASK, &before, NULL);
	} else {
		result = errno;
	}
	return result == ENOMEM ? -ENOSPC : -result;
}

int tni_file_reserve(int fd, uint64_t offset, uint64_t bytes)
{
	uint64_t from = offset & ~UINT64_C(4095);
	uint64_t to = (offset + bytes + 4095) & ~UINT64_C(4095);

	return is_beyond_limit(fd, to) ? -EFBIG : take_memory(fd, 0, from, to);
}

int tni_file_refill(int fd, uint64_t bytes)
{
	return take_memory(fd, FALLOC_FL_KEEP_SIZE, 0, bytes);
}

int tni_file_refill_range(int fd, uint64_t offset, uint64_t bytes)
{
	return take_memory(fd, FALLOC_FL_KEEP_SIZE, offset, offset + bytes);
}

void tni_file_release(int fd, uint64_t offset, uint64_t bytes)
{
	fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)bytes);
}

int tni_file_make(int directory_fd, mode_t mode, int *ret_fd)
{
	int fd = openat(directory_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, mode);

	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

int tni_file_name(int fd, int directory_fd, const char *name)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (linkat(AT_FDCWD, path, directory_fd, name, AT_SYMLINK_FOLLOW) == 0)
		return 0;
	/* Without /proc: allowed to those who may search everything. */
	if (errno == ENOENT && access("/proc/self/fd", F_OK) != 0 &&
	    linkat(fd, "", directory_fd, name, AT_EMPTY_PATH) == 0)
		return 0;
	return -errno;
}

static int reopen(int fd, int flags, int *ret_fd)
{
	char path[32];
	int fresh;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	fresh = open(path, flags | O_CLOEXEC);
	if (fresh < 0)
		return -errno;
	*ret_fd = fresh;
	return 0;
}

int tni_file_reopen(int fd, int *ret_fd)
{
	return reopen(fd, O_RDWR, ret_fd);
}

int tni_file_reopen_at_once(int fd, int access, int *ret_fd)
{
	return reopen(fd, access | O_NONBLOCK, ret_fd);
}

int tni_file_try_lock(int fd, int64_t offset)
{
	struct flock lock = {
		.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = offset, .l_len = 1};

	if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
		return 0;
	return errno == EACCES ? -EAGAIN : errno == ENOLCK ? -ENOMEM : -errno;
}

int tni_file_lock(int fd, int64_t offset)
{
	struct flock lock = {
		.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = offset, .l_len = 1};
	int result;

	do
		result = fcntl(fd, F_OFD_SETLKW, &lock);
	while (result != 0 && errno == EINTR);
	return result == 0 ? 0 : errno == ENOLCK ? -ENOMEM : -errno;
}

void tni_file_unlock(int fd)
{
	struct flock lock = {.l_type = F_UNLCK, .l_whence = SEEK_SET};

	fcntl(fd, F_OFD_SETLK, &lock);
}

int tni_file_inode(int directory_fd, const char *name, uint64_t *ret_inode)
{
	struct stat status;

	if (fstatat(directory_fd, name, &status, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) != 0)
		return -errno;
	*ret_inode = status.st_ino;
	return 0;
}

bool tni_file_is_shorter(int fd, uint64_t bytes)
{
	struct stat status;

	return fstat(fd, &status) != 0 || (uint64_t)status.st_size < bytes;
}

uint64_t tni_file_memory(int fd)
{
	struct stat status;

	return fstat(fd, &status) == 0 ? (uint64_t)status.st_blocks * 512 : 0;
}

int tni_file_least_ = STDERR_FILENO + 1;

int tni_file_lift(int fd)
{
	int lifted, error = errno;

	if (fd < 0 || fd >= tni_file_least_)
		return fd;
	lifted = fcntl(fd, F_DUPFD_CLOEXEC, tni_file_least_);
	/* There may be none so high. */
	if (lifted < 0 && fd <= STDERR_FILENO)
		lifted = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	if (lifted >= 0)
		close(fd);
	errno = error;
	return lifted >= 0 ? lifted : fd;
}
