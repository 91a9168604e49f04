/* SPDX-License-Identifier: Apache-2.0 */

/*
 * An object's file is called by a letter for its kind, a dot, and its name.  A name too long for that
 * is replaced by a hash behind the capital letter; its whole length stands in the file's header, or in a symbolic
 * link beside the file where that has none.
 */

#include "core/namespace.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <tenon/tenon.h>

#include "abi/object.h"
#include "core/object.h"

int tni_name_check(const char *name, const char **ret_name)
{
	size_t bytes;

	if (!name)
		return -EINVAL;
	name += name[0] == '/';
	bytes = strlen(name);
	if (bytes > TNI_NAME_MAX)
		return -ENAMETOOLONG;
	if (bytes == 0 || strchr(name, '/') || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return -EINVAL;
	*ret_name = name;
	return 0;
}

int tenon_namespace_path(char *ret_path, uint64_t capacity_bytes)
{
	const char *path = secure_getenv("TENON_NAMESPACE");
	char own[32];
	size_t bytes;

	if (!ret_path)
		return -EINVAL;
	if (!path || !path[0]) {
		snprintf(own, sizeof(own), "/dev/shm/tenon-%u", geteuid());
		path = own;
	}
	bytes = strlen(path) + 1;
	if (bytes > capacity_bytes)
		return -ERANGE;
	memcpy(ret_path, path, bytes);
	return 0;
}

/* Whether a default folder is as it should be: the caller's, and written to by nobody else.  Root's may be for all, if
 * nobody may remove there what is another's; `tenon run` makes it so. */
static bool is_as_own(const struct stat *status)
{
	return status->st_uid == geteuid() &&
	       (!(status->st_mode & 022) || (status->st_uid == 0 && status->st_mode & S_ISVTX));
}

/* The caller's own folder under /dev/shm is made, and must be its alone: anybody may write beside it.
 * A folder that was named may belong to root, too. */
int tni_namespace_open(const char *path, int make, int *ret_directory_fd)
{
	char own[4096];
	const char *named = secure_getenv("TENON_NAMESPACE");
	bool is_own = !path && !(named && named[0]);
	struct stat status;
	int fd, result = 0;

	if (!path) {
		result = tenon_namespace_path(own, sizeof(own));
		if (result != 0)
			return -ENAMETOOLONG;
		path = own;
	}
	if (is_own && make && mkdir(path, 0700) != 0 && errno != EEXIST)
		return -errno;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | (is_own ? O_NOFOLLOW : 0));
	if (fd < 0)
		return errno == ELOOP || (is_own && errno == ENOTDIR) ? -EPERM : -errno;
	if (fstat(fd, &status) != 0)
		result = -errno;
	else if (is_own ? !is_as_own(&status) : status.st_uid != geteuid() && status.st_uid != 0)
		result = -EPERM;
	if (result != 0) {
		close(fd);
		return result;
	}
	*ret_directory_fd = fd;
	return 0;
}

/* By kind. */
static const char letters[] = {
	[TENON_KIND_QUEUE] = 'q',     [TENON_KIND_LOCK] = 'l',	 [TENON_KIND_REGION] = 'r',
	[TENON_KIND_SEMAPHORE] = 's', [TENON_KIND_EVENT] = 'e',	 [TENON_KIND_CONDITION] = 'c',
	[TENON_KIND_BARRIER] = 'b',   [TENON_KIND_ONCE] = 'o',	 [TENON_KIND_SEMAPHORE_SET] = 'a',
	[TENON_KIND_MEMORY] = 'm',    [TENON_KIND_SEGMENT] = 'g'};

/* 0: no kind has this letter. */
static uint32_t kind_of(char letter)
{
	for (uint32_t kind = 1; kind < sizeof(letters); kind++)
		if (letter != 0 && letters[kind] == letter)
			return kind;
	return 0;
}

static char hashed(char letter)
{
	return (char)(letter - 'a' + 'A');
}

void tni_namespace_file(uint32_t kind, const char *name, char *file_name)
{
	uint64_t hash[2] = {UINT64_C(0xcbf29ce484222325), UINT64_C(0x9ae16a3b2f90404f)};

	if (strlen(name) <= TNI_NAME_MAX - 2) {
		snprintf(file_name, TNI_NAME_MAX + 1, "%c.%s", letters[kind], name);
		return;
	}
	for (const char *c = name; *c; c++) {
		hash[0] = (hash[0] ^ (uint8_t)*c) * UINT64_C(0x100000001b3);
		hash[1] = (hash[1] + (uint8_t)*c) * UINT64_C(0xc6a4a7935bd1e995);
		hash[1] ^= hash[1] >> 29;
	}
	snprintf(file_name, TNI_NAME_MAX + 1, "%c.%016llx%016llx", hashed(letters[kind]),
		 (unsigned long long)hash[0], (unsigned long long)hash[1]);
}

void tni_namespace_key_file(uint32_t kind, uint32_t key, char *file_name)
{
	snprintf(file_name, TNI_NAME_MAX + 1, "%c-key.%08x", letters[kind], key);
}

void tni_namespace_data_file(uint32_t kind, uint64_t inode, uint64_t id, char *file_name)
{
	snprintf(file_name, TNI_NAME_MAX + 1, "%c-data.%llx.%016llx", letters[kind],
		 (unsigned long long)inode, (unsigned long long)id);
}

bool tni_namespace_link(const char *file_name, const char *name, char *link_name)
{
	if (strlen(name) <= TNI_NAME_MAX - 2)
		return false;
	snprintf(link_name, TNI_NAME_LINK_MAX + 1, "%.34s.name", file_name);
	return true;
}

static bool is_regular(int directory_fd, const struct dirent *entry)
{
	struct stat status;

	if (entry->d_type != DT_UNKNOWN)
		return entry->d_type == DT_REG;
	return fstatat(directory_fd, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
	       S_ISREG(status.st_mode);
}

static int read_link(int directory_fd, const char *file_name, char *ret_name)
{
	char link_name[TNI_NAME_LINK_MAX + 1];
	ssize_t bytes;

	snprintf(link_name, sizeof(link_name), "%.34s.name", file_name);
	bytes = readlinkat(directory_fd, link_name, ret_name, TNI_NAME_MAX + 1);
	if (bytes < 0 || bytes > TNI_NAME_MAX)
		return -ENOENT;
	ret_name[bytes] = '\0';
	return 0;
}

/* The name behind a hash: whoever wrote it there may have meant another. */
static bool read_long_name(int directory_fd, const char *file_name, uint32_t kind, char *ret_name)
{
	char expected[TNI_NAME_MAX + 1];
	int result = kind == TENON_KIND_MEMORY
			     ? read_link(directory_fd, file_name, ret_name)
			     : tni_object_read_name(directory_fd, file_name, ret_name);

	if (result != 0 || strlen(ret_name) <= TNI_NAME_MAX - 2 || strchr(ret_name, '/'))
		return false;
	tni_namespace_file(kind, ret_name, expected);
	return strcmp(expected, file_name) == 0;
}

/* The name behind a file's name; false if it is none of ours. */
static bool name_of(int directory_fd, const char *file_name, uint32_t *ret_kind, char *ret_name)
{
	const char *bare;

	if (file_name[0] == '\0' || file_name[1] != '.')
		return false;
	*ret_kind = kind_of(file_name[0]);
	if (*ret_kind != 0) {
		snprintf(ret_name, TNI_NAME_MAX + 2, "/%s", file_name + 2);
		return tni_name_check(ret_name, &bare) == 0;
	}
	*ret_kind = kind_of((char)(file_name[0] - 'A' + 'a'));
	ret_name[0] = '/';
	return *ret_kind != 0 && read_long_name(directory_fd, file_name, *ret_kind, ret_name + 1);
}

int tenon_namespace_list(const char *namespace_path,
			 int (*visit)(uint32_t kind, const char *name, void *context),
			 void *context)
{
	const struct dirent *entry;
	DIR *directory;
	int fd, result = visit ? tni_namespace_open(namespace_path, 0, &fd) : -EINVAL;

	if (result != 0)
		return result == -ENOENT ? 0 : result;
	directory = fdopendir(fd);
	if (!directory) {
		result = -errno;
		close(fd);
		return result;
	}
	while (result == 0) {
		char name[TNI_NAME_MAX + 2];
		uint32_t kind;

		errno = 0;
		entry = readdir(directory);
		if (!entry) {
			result = -errno;
			break;
		}
		if (is_regular(fd, entry) && name_of(fd, entry->d_name, &kind, name))
			result = visit(kind, name, context);
	}
	closedir(directory);
	return result;
}
