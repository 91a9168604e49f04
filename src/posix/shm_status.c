/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What can be said of a shared memory object from outside: nobody attaches to it, so who uses it is what /proc shows of
 * descriptors and mappings.
 */

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <tenon/posix.h>

#include "core/clock.h"
#include "core/quiet.h"
#include "object/options.h"
#include "posix/name.h"

#define PROCESSES_MOST 65536u
#define USES_MOST 65536u

static int64_t nanoseconds(const struct statx_timestamp *at)
{
	return at->tv_sec * TNI_SECOND_NS + at->tv_nsec;
}

static int look_at(const char *name, struct statx *ret_file)
{
	char file_name[TNI_NAME_MAX + 1];
	const char *bare;
	int directory_fd, result = tni_posix_name(name, &bare);

	if (result == 0)
		result = tni_namespace_open(NULL, 0, &directory_fd);
	if (result != 0)
		return result;
	tni_namespace_file(TENON_KIND_MEMORY, bare, file_name);
	if (statx(directory_fd, file_name, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS | STATX_BTIME,
		  ret_file) != 0)
		result = -errno;
	else if (!S_ISREG(ret_file->stx_mode))
		result = -ENOENT;
	close(directory_fd);
	return result;
}

int tenon_shm_status(const char *name, struct tenon_shm_status *ret_status)
{
	struct tenon_shm_status status = {.size = sizeof(status)};
	struct statx file;
	TNI_NO_CANCEL;
	int result = tni_status_check(ret_status);

	if (result == 0)
		result = look_at(name, &file);
	if (result != 0)
		return result;
	status.mode = file.stx_mode & 07777;
	status.uid = file.stx_uid;
	status.gid = file.stx_gid;
	status.id = file.stx_ino;
	status.bytes = file.stx_size;
	status.memory_bytes = file.stx_blocks * 512;
	if (file.stx_mask & STATX_BTIME)
		status.created_ns = nanoseconds(&file.stx_btime);
	status.changed_ns = nanoseconds(&file.stx_mtime);
	tni_status_write(ret_status, &status, sizeof(status));
	return 0;
}

/* The mappings of a process.  False: they may not be known. */
static bool look_at_mappings(int process_fd, const struct statx *file, struct tenon_shm_user *user)
{
	int fd = openat(process_fd, "maps", O_RDONLY | O_CLOEXEC);
	FILE *maps = fd >= 0 ? fdopen(fd, "re") : NULL;
	char *line = NULL;
	size_t capacity = 0;

	if (!maps) {
		if (fd >= 0)
			close(fd);
		return errno == ENOENT || errno == ESRCH;
	}
	for (uint32_t i = 0; i < USES_MOST && getline(&line, &capacity, maps) > 0; i++) {
		unsigned long long from, to, offset, inode;
		unsigned major, minor;
		char may[5];

		if (sscanf(line, "%llx-%llx %4s %llx %x:%x %llu", &from, &to, may, &offset, &major,
			   &minor, &inode) != 7 ||
		    inode != file->stx_ino || major != file->stx_dev_major ||
		    minor != file->stx_dev_minor)
			continue;
		user->mapped_bytes += to - from;
		if (may[1] == 'w' && may[3] == 's')
			user->maps_for_writing = 1;
	}
	free(line);
	fclose(maps);
	return true;
}

static bool look_at_descriptors(int process_fd, const struct statx *file,
				struct tenon_shm_user *user)
{
	int fd = openat(process_fd, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *directory = fd >= 0 ? fdopendir(fd) : NULL;
	const struct dirent *entry;
	struct stat status;

	if (!directory) {
		if (fd >= 0)
			close(fd);
		return errno == ENOENT || errno == ESRCH;
	}
	for (uint32_t i = 0; i < USES_MOST && (entry = readdir(directory)); i++)
		if (isdigit((unsigned char)entry->d_name[0]) &&
		    fstatat(fd, entry->d_name, &status, 0) == 0 && status.st_ino == file->stx_ino &&
		    major(status.st_dev) == file->stx_dev_major &&
		    minor(status.st_dev) == file->stx_dev_minor)
			user->descriptors++;
	closedir(directory);
	return true;
}

/* A kernel thread has neither. */
static int visit_process(int proc_fd, const char *name, const struct statx *file,
			 int (*visit)(const struct tenon_shm_user *user, void *context),
			 void *context, uint32_t *unseen)
{
	struct tenon_shm_user user = {.pid = (int32_t)strtol(name, NULL, 10)};
	int process_fd = openat(proc_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool is_seen;

	if (process_fd < 0)
		return 0;
	is_seen = look_at_mappings(process_fd, file, &user) &&
		  look_at_descriptors(process_fd, file, &user);
	close(process_fd);
	if (!is_seen)
		++*unseen;
	return user.descriptors > 0 || user.mapped_bytes > 0 ? visit(&user, context) : 0;
}

int tenon_shm_users(const char *name,
		    int (*visit)(const struct tenon_shm_user *user, void *context), void *context,
		    uint32_t *ret_unseen)
{
	const struct dirent *entry;
	uint32_t unseen = 0;
	struct statx file;
	DIR *proc;
	TNI_NO_CANCEL;
	int result = visit ? look_at(name, &file) : -EINVAL;

	if (result != 0)
		return result;
	proc = opendir("/proc");
	if (!proc)
		return -errno;
	for (uint32_t i = 0; i < PROCESSES_MOST && result == 0 && (entry = readdir(proc));)
		if (isdigit((unsigned char)entry->d_name[0])) {
			result = visit_process(dirfd(proc), entry->d_name, &file, visit, context,
					       &unseen);
			i++;
		}
	closedir(proc);
	if (result == 0 && ret_unseen)
		*ret_unseen = unseen;
	return result;
}
