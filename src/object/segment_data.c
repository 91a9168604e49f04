/* SPDX-License-Identifier: Apache-2.0 */

/* Where a segment's data is: by its name, by a descriptor of this process, by one of another's.  See object/segment.c. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <tenon/tenon.h>

#include "core/file.h"
#include "core/huge.h"
#include "core/namespace.h"
#include "core/registry.h"
#include "object/segment.h"

#define DELETED " (deleted)"
#define PATH_BYTES 40
#define ATTEMPTS 100
#define DYING_NS 1000000

static void name_of(const struct tenon_segment *segment, char *file_name)
{
	tni_segment_data_file(segment->flags, segment->object.inode, segment->object.header.id,
			      file_name);
}

static mode_t mode_of(const struct tenon_segment *segment)
{
	uint32_t version = tni_load_acquire32(&segment->part->version); /* ORD(permission) */

	return tni_get32(&segment->part->permission[version & 1].mode) & 0777;
}

/* Whoever may write to it could as well have made it. */
static bool is_right_owner(const struct tenon_segment *segment, const struct stat *status)
{
	struct stat object;

	if (status->st_uid == 0 || status->st_uid == geteuid() || mode_of(segment) & 022)
		return true;
	return fstat(segment->object.fd, &object) == 0 && object.st_uid == status->st_uid;
}

/* In the object's own file system, or in one of such pages. */
static bool is_right_place(const struct tenon_segment *segment, int fd, const struct stat *status)
{
	struct stat object;

	if (TNI_SEGMENT_HUGE(segment->flags) != 0)
		return tni_huge_bytes_of(fd) == tni_segment_page_bytes(segment->flags);
	return fstat(segment->object.fd, &object) == 0 && object.st_dev == status->st_dev;
}

/* Whether an open file is what it has to be, as far as it can be told of any. */
static int check(struct tenon_segment *segment, int fd, struct stat *ret_status)
{
	if (fstat(fd, ret_status) != 0)
		return -errno;
	if (!S_ISREG(ret_status->st_mode) || !is_right_place(segment, fd, ret_status) ||
	    !is_right_owner(segment, ret_status))
		return -EACCES;
	if ((uint64_t)ret_status->st_size >= segment->bytes)
		return 0;
	tni_set32(&segment->broken, 1);
	return -EIO;
}

/* Holes that another process has made are filled, as far as can be told without touching all of it. */
static int refill(const struct tenon_segment *segment, int fd, int access,
		  const struct stat *status)
{
	if (access != O_RDWR || segment->flags & TNI_SEGMENT_SPARSE ||
	    (uint64_t)status->st_blocks * 512 >= tni_segment_extent(segment->bytes, segment->flags))
		return 0;
	return tni_file_refill(fd, segment->bytes);
}

/* Takes `fd` over, which may be negative: errno. */
static int finish(struct tenon_segment *segment, int fd, int access, int *ret_fd)
{
	struct stat status;
	int result;

	if (fd < 0)
		return errno == ELOOP || errno == ENXIO || errno == EPERM ? -EACCES : -errno;
	result = check(segment, fd, &status);
	if (result == 0)
		result = refill(segment, fd, access, &status);
	if (result != 0) {
		close(fd);
		return result;
	}
	*ret_fd = tni_file_lift(fd);
	return 0;
}

static int find_named(struct tenon_segment *segment, int access, int *ret_fd)
{
	int directory_fd, folder_fd, result = tni_namespace_open(NULL, 0, &directory_fd);
	char file_name[TNI_NAME_MAX + 1];
	bool is_hidden = false;

	if (result != 0)
		return result;
	name_of(segment, file_name);
	result = -ENOENT;
	for (unsigned int nth = 0; result == -ENOENT; nth++) {
		result = tni_segment_data_folder(directory_fd, segment->flags, nth, &folder_fd);
		if (result != 0)
			break;
		result = finish(segment,
				openat(folder_fd, file_name,
				       access | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK),
				access, ret_fd);
		close(folder_fd);
		/* It may be in another. */
		if (result == -EACCES) {
			is_hidden = true;
			result = -ENOENT;
		}
	}
	close(directory_fd);
	return result == -ENOENT && is_hidden ? -EACCES : result;
}

/* By what this process has of it already; the program may have closed that. */
static int find_own(struct tenon_segment *segment, int access, int *ret_fd)
{
	char path[PATH_BYTES];
	struct stat status;
	int result = -ENOENT;

	tni_registry_lock();
	if (segment->data_fd >= 0 && fstat(segment->data_fd, &status) == 0 &&
	    status.st_ino == segment->data_inode && status.st_dev == segment->data_device) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", segment->data_fd);
		result = finish(segment, open(path, access | O_CLOEXEC), access, ret_fd);
	}
	tni_registry_unlock();
	return result;
}

/* Whether the file behind an O_PATH descriptor had the data's name, and has none any more. */
static bool was_named(const struct tenon_segment *segment, int fd)
{
	char path[PATH_BYTES], target[4096], file_name[TNI_NAME_MAX + 1 + sizeof(DELETED)];
	struct stat status;
	ssize_t bytes;
	size_t length;

	if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode) || status.st_nlink != 0)
		return false;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	bytes = readlink(path, target, sizeof(target));
	name_of(segment, file_name);
	strcat(file_name, DELETED);
	length = strlen(file_name);
	return bytes > (ssize_t)length && target[(size_t)bytes - length - 1] == '/' &&
	       memcmp(target + (size_t)bytes - length, file_name, length) == 0;
}

/* Whether it has lost its memory already, and with that, or soon, its descriptors. */
static bool is_dying(int pid)
{
	char path[PATH_BYTES], target;

	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	return readlink(path, &target, 1) < 0 && errno == ENOENT;
}

/* From one who has it attached.  Nothing that the numbers may lead to is opened before it is looked at.  -ESRCH: he is dying. */
static int find_at(struct tenon_segment *segment, const struct tni_participant *entry, int access,
		   int *ret_fd)
{
	int pid = (int)tni_get32(&entry->pid), number = (int)tni_get32(&entry->data_fd);
	char path[PATH_BYTES];
	int fd, result;

	if (pid <= 0 || number <= 0)
		return -ENOENT;
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, number);
	fd = open(path, O_PATH | O_CLOEXEC);
	if (fd < 0)
		return errno == EPERM			  ? -EACCES
		       : errno == ENOENT && is_dying(pid) ? -ESRCH
							  : -errno;
	if (!was_named(segment, fd)) {
		close(fd);
		return -ENOENT;
	}
	if (access == O_PATH)
		return finish(segment, fd, access, ret_fd);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	result = finish(segment, open(path, access | O_CLOEXEC), access, ret_fd);
	close(fd);
	return result;
}

/* -EIDRM: nobody has it; -EAGAIN: somebody who was just about to let it go; -ESRCH: who is dying. */
static int find_at_others_once(struct tenon_segment *segment, int access, int *ret_fd)
{
	struct tni_object *object = &segment->object;
	int result = -EIDRM;

	for (uint32_t i = 0; i < tni_object_participants_top(object); i++) {
		const struct tni_participant *entry = tni_object_participant(object, i);
		int one;

		/* Who has not said a descriptor is about to attach it himself. */
		if (i == object->participant || !entry || tni_get32(&entry->attachments) == 0 ||
		    tni_get32(&entry->data_fd) == 0 || !tni_object_is_attached(object, i))
			continue;
		one = find_at(segment, entry, access, ret_fd);
		if (one == 0 || one == -EIO)
			return one;
		if (one == -EACCES || one == -ESRCH)
			result = result == -EACCES ? result : one;
		else if (result == -EIDRM)
			result = -EAGAIN;
	}
	return result;
}

/* Who has it, but does not let this process have it, or has lost the descriptor: -EACCES.  Who is dying has lost all of them
 * before the kernel has dropped the lock by which it is known to live; that takes it a moment. */
static int find_at_others(struct tenon_segment *segment, int access, int *ret_fd)
{
	int result = -EAGAIN;

	for (int attempts = 0; attempts < ATTEMPTS; attempts++) {
		result = find_at_others_once(segment, access, ret_fd);
		if (result == -ESRCH)
			nanosleep(&(struct timespec){.tv_nsec = DYING_NS}, NULL);
		else if (result != -EAGAIN)
			return result;
	}
	return -EACCES;
}

int tni_segment_find_data(struct tenon_segment *segment, int access, int *ret_fd)
{
	/* One that is removed has its name until who removes it, or who goes on for him, takes it away. */
	int result = find_named(segment, access, ret_fd);

	if (result == -ENOENT)
		result = find_own(segment, access, ret_fd);
	return result == -ENOENT ? find_at_others(segment, access, ret_fd) : result;
}

/* Locked, and it is not removed. */
static int make(struct tenon_segment *segment)
{
	int directory_fd, fd, result = tni_namespace_open(NULL, 0, &directory_fd);

	if (result != 0)
		return result;
	result = tni_segment_make_data(directory_fd, segment->bytes, segment->flags,
				       mode_of(segment), &fd);
	if (result == 0) {
		result = tni_segment_name_data(directory_fd, segment->object.fd,
					       segment->object.header.id, fd);
		close(fd);
	}
	close(directory_fd);
	return result;
}

/* Whether somebody has it attached, or is about to, beside the calling thread. */
static bool is_held(struct tenon_segment *segment)
{
	uint32_t own;

	tni_registry_lock();
	own = segment->attachments;
	tni_registry_unlock();
	return own > 0 || tni_segment_count_others(segment) > 0;
}

/* Locked. */
static int find_locked(struct tenon_segment *segment, int access, int *ret_fd)
{
	int result;

	if (tni_segment_is_removed(segment) && !is_held(segment))
		return -EIDRM;
	result = tni_segment_find_data(segment, access, ret_fd);
	if (result != -EIDRM || tni_segment_is_removed(segment))
		return result;
	result = make(segment);
	return result == 0 ? find_named(segment, access, ret_fd) : result;
}

int tni_segment_find_data_slowly(struct tenon_segment *segment, int access, int *ret_fd)
{
	struct tni_file_hold hold;
	int result = -ENOENT;

	/* What is found by its name was not removed when this process had counted itself. */
	if (!tni_segment_is_removed(segment))
		result = find_named(segment, access, ret_fd);
	if (result != -ENOENT)
		return result;
	result = tni_registry_hold(&hold, segment->object.fd, TNI_SYSV_LOCK_OFFSET);
	if (result != 0)
		return result;
	result = find_locked(segment, access, ret_fd);
	tni_registry_release(&hold);
	return result;
}

uint64_t tni_segment_memory(struct tenon_segment *segment)
{
	uint64_t bytes;
	int fd;

	if (tni_segment_find_data(segment, O_PATH, &fd) != 0)
		return 0;
	bytes = tni_file_memory(fd);
	close(fd);
	return bytes;
}
