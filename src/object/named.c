/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A name is looked up, or given to a file that was made whole before.  Between the two steps of "open it,
 * or else make it" others may make or remove an object of that name: then the steps begin anew.
 */

#include "object/named.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <tenon/tenon.h>

#include "core/file.h"
#include "core/namespace.h"

#define ATTEMPTS 100

/* Of a call that failed nothing is left behind; what has the name meanwhile is another's, as far as can
 * be told: there is no system call that removes a name only if it is a certain file's. */
static int open_made(const struct tni_kind *kind, int directory_fd, const char *file_name,
		     uint64_t inode, void *context)
{
	int result = kind->open(directory_fd, file_name, context);
	uint64_t named;

	if (result != 0) {
		if (tni_file_inode(directory_fd, file_name, &named) == 0 && named == inode)
			unlinkat(directory_fd, file_name, 0);
		return result;
	}
	if (((struct tni_object *)context)->inode == inode)
		return 0;
	kind->close(context);
	return -EEXIST;
}

static int open_in(const struct tni_kind *kind, int directory_fd, const char *name, uint32_t flags,
		   void *context)
{
	char file_name[TNI_NAME_MAX + 1];
	uint64_t inode;
	int result;

	tni_namespace_file(kind->kind, name, file_name);
	for (int attempts = 0; attempts < ATTEMPTS; attempts++) {
		if (!(flags & TENON_EXCLUSIVE)) {
			result = kind->open(directory_fd, file_name, context);
			if (result != -ENOENT || !(flags & TENON_CREATE))
				return result;
		}
		result = kind->make(directory_fd, file_name, name, context, &inode);
		if (result != 0 && (result != -EEXIST || (flags & TENON_EXCLUSIVE)))
			return result;
		if (flags & TENON_EXCLUSIVE) {
			result = open_made(kind, directory_fd, file_name, inode, context);
			if (result != -ENOENT)
				return result;
		}
	}
	return -EAGAIN;
}

int tni_named_open(const struct tni_kind *kind, const char *namespace_path, const char *name,
		   uint32_t flags, void *context)
{
	const char *bare;
	int directory_fd, result = tni_name_check(name, &bare);

	if (result == 0 && (flags & ~(TENON_CREATE | TENON_EXCLUSIVE) || flags == TENON_EXCLUSIVE))
		result = -EINVAL;
	if (result == 0)
		result = tni_namespace_open(namespace_path, flags & TENON_CREATE, &directory_fd);
	if (result != 0)
		return result;
	result = open_in(kind, directory_fd, bare, flags, context);
	close(directory_fd);
	return result;
}

int tni_named_is_free(uint32_t kind, const char *namespace_path, const char *name)
{
	char file_name[TNI_NAME_MAX + 1];
	const char *bare;
	uint64_t inode;
	int directory_fd, result = tni_name_check(name, &bare);

	if (result == 0)
		result = tni_namespace_open(namespace_path, 0, &directory_fd);
	if (result != 0)
		return result == -ENOENT ? 0 : result;
	tni_namespace_file(kind, bare, file_name);
	result = tni_file_inode(directory_fd, file_name, &inode);
	close(directory_fd);
	return result == 0 ? -EEXIST : result == -ENOENT ? 0 : result;
}

int tni_named_remove(uint32_t kind, const char *namespace_path, const char *name,
		     void (*removed)(int directory_fd, int fd))
{
	char file_name[TNI_NAME_MAX + 1];
	const char *bare;
	int directory_fd, fd, result = tni_name_check(name, &bare);

	if (result == 0)
		result = tni_namespace_open(namespace_path, 0, &directory_fd);
	if (result != 0)
		return result;
	tni_namespace_file(kind, bare, file_name);
	do
		fd = openat(directory_fd, file_name,
			    O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	while (fd < 0 && errno == EINTR);
	/* What lies beside it could not be found any more. */
	if (fd < 0 && removed && (errno == EMFILE || errno == ENFILE))
		result = -errno;
	else if (unlinkat(directory_fd, file_name, 0) != 0)
		result = -errno;
	if (fd >= 0) {
		if (result == 0 && removed)
			removed(directory_fd, fd);
		close(fd);
	}
	close(directory_fd);
	return result;
}
