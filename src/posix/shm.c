/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Shared memory objects: plain files in the namespace's folder, without a header, since all of a file is the program's.
 * A name that is too long for a file's stands, behind its hash, in a symbolic link beside the file; who finds that missing
 * makes it, and nothing depends on it but who lists the names.
 */

#include "posix/shm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

#include <tenon/posix.h>

#include "core/quiet.h"
#include "posix/errmap.h"
#include "posix/name.h"

/* Whoever may write beside it may have put something else there: a FIFO, for which an open would wait. */
static bool is_memory(int fd)
{
	struct stat status;

	return fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
}

static int open_in(int directory_fd, const char *name, int flags, mode_t mode)
{
	char file_name[TNI_NAME_MAX + 1], link_name[TNI_NAME_LINK_MAX + 1];
	int fd;

	tni_namespace_file(TENON_KIND_MEMORY, name, file_name);
	if ((flags & O_CREAT) && tni_namespace_link(file_name, name, link_name))
		(void)!symlinkat(name, directory_fd, link_name);
	fd = openat(directory_fd, file_name, flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, mode);
	if (fd < 0)
		return errno == EISDIR || errno == ENXIO ? -EINVAL : -errno;
	if (!is_memory(fd)) {
		close(fd);
		return -EINVAL;
	}
	if (!(flags & O_NONBLOCK))
		fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
	return fd;
}

/* The standard wants the lowest number, which the folder had. */
static int lowest(int fd)
{
	int lower = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	if (lower < 0)
		return fd;
	close(lower < fd ? fd : lower);
	return lower < fd ? lower : fd;
}

static int open_named(const char *name, int flags, mode_t mode)
{
	const char *bare;
	int directory_fd, result = tni_posix_name(name, &bare);

	if (result == 0)
		result = tni_namespace_open(NULL, flags & O_CREAT, &directory_fd);
	if (result != 0)
		return result;
	result = open_in(directory_fd, bare, flags, mode);
	close(directory_fd);
	return result < 0 ? result : lowest(result);
}

static int unlink_named(const char *name)
{
	char file_name[TNI_NAME_MAX + 1], link_name[TNI_NAME_LINK_MAX + 1];
	const char *bare;
	int directory_fd, result = tni_posix_name(name, &bare);

	/* Nothing can have a name that is none. */
	if (result == -EINVAL)
		return -ENOENT;
	if (result == 0)
		result = tni_namespace_open(NULL, 0, &directory_fd);
	if (result != 0)
		return result;
	tni_namespace_file(TENON_KIND_MEMORY, bare, file_name);
	if (unlinkat(directory_fd, file_name, 0) != 0)
		result = -errno;
	else if (tni_namespace_link(file_name, bare, link_name))
		unlinkat(directory_fd, link_name, 0);
	close(directory_fd);
	return result;
}

int tenon_shm_open(const char *name, int flags, mode_t mode)
{
	TNI_NO_CANCEL;

	return (int)tni_posix_result(open_named(name, flags, mode));
}

int tenon_shm_unlink(const char *name)
{
	TNI_NO_CANCEL;

	return tni_posix_removed(unlink_named(name));
}
