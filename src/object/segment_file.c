/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The file of a segment's data: made without a name, and where its name is.  That of huge pages lies in a hugetlbfs, of which
 * several may be mounted, each for some users: the first is taken in which it can be made, and it is looked for in all.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <tenon/tenon.h>

#include "core/file.h"
#include "core/huge.h"
#include "core/namespace.h"
#include "object/segment.h"

uint64_t tni_segment_page_bytes(uint32_t flags)
{
	uint32_t huge = TNI_SEGMENT_HUGE(flags);

	return huge != 0 ? UINT64_C(1) << huge : TNI_PAGE_BYTES;
}

uint64_t tni_segment_extent(uint64_t bytes, uint32_t flags)
{
	uint64_t page = tni_segment_page_bytes(flags);

	return (bytes + page - 1) & ~(page - 1);
}

void tni_segment_data_file(uint32_t flags, uint64_t inode, uint64_t id, char *file_name)
{
	int length = 0;

	/* There it lies beside what others have. */
	if (TNI_SEGMENT_HUGE(flags) != 0)
		length = sprintf(file_name, "tenon-");
	tni_namespace_data_file(TENON_KIND_SEGMENT, inode, id, file_name + length);
}

int tni_segment_data_folder(int directory_fd, uint32_t flags, unsigned int nth, int *ret_fd)
{
	if (TNI_SEGMENT_HUGE(flags) != 0)
		return tni_huge_open(tni_segment_page_bytes(flags), nth, ret_fd);
	if (nth > 0)
		return -ENOENT;
	*ret_fd = fcntl(directory_fd, F_DUPFD_CLOEXEC, 0);
	return *ret_fd < 0 ? -errno : 0;
}

static int take_memory(int fd, uint64_t bytes, uint32_t flags)
{
	int result;

	if (bytes > INT64_MAX - tni_segment_page_bytes(flags))
		return -ENOSPC;
	bytes = tni_segment_extent(bytes, flags);
	if (flags & TNI_SEGMENT_SPARSE) {
		/* As long as it is to be. */
		result = tni_file_reserve(fd, bytes - 1, 1);
		tni_file_release(fd, 0, bytes);
	} else {
		result = tni_file_reserve(fd, 0, bytes);
	}
	return result == -EFBIG ? -ENOSPC : result;
}

static int make_in(int folder_fd, uint64_t bytes, uint32_t flags, mode_t mode, int *ret_fd)
{
	int fd, result = tni_file_make(folder_fd, 0600, &fd);

	if (result != 0)
		return result;
	fd = tni_file_lift(fd);
	result = take_memory(fd, bytes, flags);
	if (result == 0 && fchmod(fd, mode & 0666) != 0)
		result = -errno;
	if (result == 0)
		*ret_fd = fd;
	else
		close(fd);
	return result;
}

int tni_segment_make_data(int directory_fd, uint64_t bytes, uint32_t flags, mode_t mode,
			  int *ret_fd)
{
	int folder_fd, result = -ENOENT;

	for (unsigned int nth = 0; result != 0; nth++) {
		int made = tni_segment_data_folder(directory_fd, flags, nth, &folder_fd);

		/* What was wrong with the last one that there was. */
		if (made != 0)
			return made == -ENOENT ? result : made;
		result = make_in(folder_fd, bytes, flags, mode, ret_fd);
		close(folder_fd);
	}
	return 0;
}

static int name_in(int folder_fd, const char *file_name, int data_fd)
{
	int result = tni_file_name(data_fd, folder_fd, file_name);

	if (result != -EEXIST)
		return result;
	/* Of an object that was there before, or of somebody who has no business there. */
	if (unlinkat(folder_fd, file_name, 0) != 0 && errno != ENOENT)
		return -EACCES;
	return tni_file_name(data_fd, folder_fd, file_name);
}

static bool is_of_device(int folder_fd, int fd)
{
	struct stat folder, status;

	return fstat(folder_fd, &folder) == 0 && fstat(fd, &status) == 0 &&
	       folder.st_dev == status.st_dev;
}

/* As the data's file says itself. */
static uint32_t flags_of(int data_fd)
{
	uint64_t huge = tni_huge_bytes_of(data_fd);

	return huge != 0 ? TNI_SEGMENT_HUGE_FLAG(__builtin_ctzll(huge)) : 0;
}

int tni_segment_name_data(int directory_fd, int fd, uint64_t id, int data_fd)
{
	char file_name[TNI_NAME_MAX + 1];
	uint32_t flags = flags_of(data_fd);
	uint64_t inode;
	int result = tni_file_inode(fd, "", &inode);

	if (result != 0)
		return result;
	tni_segment_data_file(flags, inode, id, file_name);
	for (unsigned int nth = 0;; nth++) {
		int folder_fd;
		bool is_same;

		result = tni_segment_data_folder(directory_fd, flags, nth, &folder_fd);
		if (result != 0)
			return result;
		is_same = is_of_device(folder_fd, data_fd);
		if (is_same)
			result = name_in(folder_fd, file_name, data_fd);
		close(folder_fd);
		if (is_same)
			return result;
	}
}

int tni_segment_unname_data(int directory_fd, uint64_t inode, const uint8_t *header_page)
{
	const volatile struct tni_object_header *header =
		(const volatile struct tni_object_header *)header_page;
	const volatile struct tni_segment_control *control =
		(const volatile struct tni_segment_control *)(header_page + TNI_SEGMENT_OFFSET);
	char file_name[TNI_NAME_MAX + 1];
	uint32_t flags = control->flags;
	int folder_fd, result = 0;

	tni_segment_data_file(flags, inode, header->id, file_name);
	for (unsigned int nth = 0; result == 0; nth++) {
		int found = tni_segment_data_folder(directory_fd, flags, nth, &folder_fd);

		if (found != 0)
			return found == -ENOENT ? 0 : found;
		/* In one that this user may not search there is nothing that he could know of. */
		if (unlinkat(folder_fd, file_name, 0) != 0 && errno != ENOENT &&
		    (errno != EACCES || faccessat(folder_fd, ".", X_OK, AT_EACCESS) == 0))
			result = errno == EPERM ? -EACCES : -errno;
		close(folder_fd);
	}
	return result;
}
