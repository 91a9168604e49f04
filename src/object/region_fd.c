/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Regions that are sent as descriptors.  What comes as one is looked at before anything is done
 * with it that could wait, or reach another file: it must be a file of tmpfs, and a sealed copy or
 * one with a region's header.
 *
 * The kernel takes seals for files without a name only (memfd_create(2)); a file on tmpfs that has,
 * or could have got, a name answers F_ADD_SEALS with EPERM (seen on Linux 6.18).  So the sealed
 * copy is a file of its own.
 */

#include "object/region_private.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "core/file.h"

#define FIRST_FD 3 /* not in the place of a standard stream */
#define COPY_SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8u
#endif

static int duplicate(int fd, int *ret_fd)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, FIRST_FD);

	if (copy < 0)
		return -errno;
	*ret_fd = copy;
	return 0;
}

static int make_memory_file(int *ret_fd)
{
	unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	int fd = memfd_create("tenon-region", flags | MFD_NOEXEC_SEAL);

	/* Before Linux 6.3. */
	if (fd < 0 && errno == EINVAL)
		fd = memfd_create("tenon-region", flags);
	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

/* By the kernel: neither the region's mapping nor the copy's is needed, which a child could keep
 * from being sealed. */
static int copy_data(const struct tenon_region *region, int fd, uint64_t bytes)
{
	off_t from = (off_t)region->data_offset, end = from + (off_t)bytes;

	while (from < end) {
		ssize_t copied = sendfile(fd, region->fd, &from, (size_t)(end - from));

		if (copied < 0 && errno != EINTR)
			return errno == ENOMEM ? -ENOSPC : -errno;
		if (copied == 0)
			return -EIO;
	}
	return 0;
}

static int make_sealed_copy(struct tenon_region *region, int *ret_fd)
{
	uint64_t bytes;
	int fd = -1, result = tni_region_look(region, &bytes);

	if (result == 0)
		result = make_memory_file(&fd);
	if (result != 0)
		return result;
	result = tni_file_reserve(fd, 0, bytes);
	if (result == 0)
		result = copy_data(region, fd, bytes);
	if (result == 0 &&
	    (ftruncate(fd, (off_t)bytes) != 0 || fcntl(fd, F_ADD_SEALS, COPY_SEALS) != 0))
		result = -errno;
	if (result != 0) {
		close(fd);
		return result;
	}
	*ret_fd = fd;
	return 0;
}

static int may_be_written(struct tenon_region *region)
{
	struct tni_region_control control;
	uint64_t seals;
	int result = 0;

	if (region->kind == TNI_REGION_COPY)
		return -EPERM;
	if (!region->may_write)
		return -EACCES;
	if (region->kind == TNI_REGION_ATTACHED) {
		seals = tni_get64(&region->control->seals);
	} else {
		result = tni_region_read_control(region->fd, region->control_offset, &control);
		seals = tni_get64(&control.seals);
	}
	return result != 0 ? result : seals & TNI_REGION_SEAL_WRITE ? -EPERM : 0;
}

int tenon_region_fd(struct tenon_region *region, uint32_t access, int *ret_fd)
{
	int result = ret_fd ? tni_region_begin(region) : -EINVAL, fd = -1;

	if (result != 0)
		return result;
	if (access == TENON_REGION_SEALED_COPY) {
		result = region->kind == TNI_REGION_COPY ? duplicate(region->fd, &fd)
							 : make_sealed_copy(region, &fd);
	} else if (access == TENON_REGION_READ) {
		result = region->may_write ? tni_file_reopen_at_once(region->fd, O_RDONLY, &fd)
					   : duplicate(region->fd, &fd);
	} else if (access == TENON_REGION_WRITE ||
		   access == (TENON_REGION_READ | TENON_REGION_WRITE)) {
		result = may_be_written(region);
		if (result == 0)
			result = duplicate(region->fd, &fd);
	} else {
		result = -EINVAL;
	}
	if (result == 0 && tni_get32(&region->broken)) {
		close(fd);
		result = -EIO;
	}
	if (result == 0)
		*ret_fd = fd;
	return result;
}

/* A file whose bytes can be trusted to stay: all of them have memory. */
static int adopt_copy(struct tenon_region *region, const struct stat *status)
{
	if ((uint64_t)status->st_size > TENON_REGION_BYTES_MOST ||
	    (uint64_t)status->st_blocks * 512 < tni_page_up((uint64_t)status->st_size))
		return -EBADMSG;
	region->kind = TNI_REGION_COPY;
	region->max_bytes = (uint64_t)status->st_size;
	tni_set64(&region->known, region->max_bytes);
	return 0;
}

/* Attaches if the file can be opened. */
static int adopt_file(struct tenon_region *region, int fd)
{
	struct stat status;
	int result = tni_object_check(fd, TENON_KIND_REGION, &region->object.header, &status);

	if (result == 0)
		result = tni_region_adopt(region, &region->object.header);
	if (result != 0 || !region->may_write)
		return result;
	result = tni_object_open_fd(fd, TENON_KIND_REGION, &region->object);
	if (result == -EACCES || result == -EPERM || result == -ENOENT || result == -EROFS ||
	    result == -EAGAIN)
		return 0;
	if (result == 0) {
		region->kind = TNI_REGION_ATTACHED;
		result = tni_region_adopt(region, &region->object.header);
	}
	return result == 0 ? tni_region_attach(region) : result;
}

/* What a descriptor must be, whatever it is of: readable, and of tmpfs, where no read waits for
 * anybody. */
static int look_at(int fd, struct stat *status, bool *ret_writable)
{
	int flags = fcntl(fd, F_GETFL);
	struct statfs system;

	if (flags < 0 || flags & O_PATH || (flags & O_ACCMODE) == O_WRONLY)
		return -EBADF;
	if (fstat(fd, status) != 0)
		return -errno;
	if (!S_ISREG(status->st_mode))
		return -EBADMSG;
	if (fstatfs(fd, &system) != 0)
		return -errno;
	if (system.f_type != TMPFS_MAGIC)
		return -EBADMSG;
	*ret_writable = (flags & O_ACCMODE) == O_RDWR;
	return 0;
}

int tenon_region_from_fd(int fd, uint32_t flags, struct tenon_region **ret_region)
{
	struct tenon_region *region;
	struct stat status;
	bool writable = false;
	int seals, result;

	if (!ret_region || flags & ~TENON_REGION_GUARD)
		return -EINVAL;
	result = look_at(fd, &status, &writable);
	if (result != 0)
		return result;
	region = calloc(1, sizeof(*region));
	if (!region)
		return -ENOMEM;
	region->is_guarded = flags & TENON_REGION_GUARD;
	region->kind = TNI_REGION_GUEST;
	result = duplicate(fd, &region->fd);
	if (result != 0) {
		free(region);
		return result;
	}
	seals = fcntl(fd, F_GET_SEALS);
	if (seals >= 0 && (seals & COPY_SEALS) == COPY_SEALS) {
		result = adopt_copy(region, &status);
	} else {
		region->may_write = writable;
		result = adopt_file(region, fd);
	}
	if (result != 0) {
		tni_region_let_go(region);
		free(region);
		return result;
	}
	*ret_region = region;
	return 0;
}
