/* SPDX-License-Identifier: Apache-2.0 */

#include "core/huge.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <mntent.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#define KIB UINT64_C(1024)
#define LINE_BYTES 4096

uint64_t tni_huge_default_bytes(void)
{
	FILE *file = fopen("/proc/meminfo", "re");
	unsigned long long size = 0;
	char line[128];

	while (file && size == 0 && fgets(line, sizeof(line), file))
		if (sscanf(line, "Hugepagesize: %llu kB", &size) != 1)
			size = 0;
	if (file)
		fclose(file);
	return size * KIB;
}

int tni_huge_check(uint64_t page_bytes)
{
	char path[80];

	if (page_bytes == 0)
		return -EINVAL;
	/* The default is known without /sys. */
	if (page_bytes == tni_huge_default_bytes())
		return 0;
	snprintf(path, sizeof(path), "/sys/kernel/mm/hugepages/hugepages-%llukB",
		 (unsigned long long)(page_bytes / KIB));
	return access(path, F_OK) == 0 ? 0 : -EINVAL;
}

uint64_t tni_huge_bytes_of(int fd)
{
	struct statfs status;

	return fstatfs(fd, &status) == 0 && status.f_type == HUGETLBFS_MAGIC
		       ? (uint64_t)status.f_bsize
		       : 0;
}

/* -1: it is none of these, or cannot be reached. */
static int open_mount(const struct mntent *mount, uint64_t page_bytes)
{
	int fd;

	if (strcmp(mount->mnt_type, "hugetlbfs") != 0)
		return -1;
	fd = open(mount->mnt_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	/* Another may be mounted over it. */
	if (fd >= 0 && tni_huge_bytes_of(fd) != page_bytes) {
		close(fd);
		return -1;
	}
	return fd;
}

int tni_huge_open(uint64_t page_bytes, unsigned int nth, int *ret_directory_fd)
{
	FILE *mounts = setmntent("/proc/self/mounts", "re");
	char line[LINE_BYTES];
	struct mntent mount;
	int fd = -1;

	while (mounts && fd < 0 && getmntent_r(mounts, &mount, line, sizeof(line))) {
		fd = open_mount(&mount, page_bytes);
		if (fd >= 0 && nth-- > 0) {
			close(fd);
			fd = -1;
		}
	}
	if (mounts)
		endmntent(mounts);
	if (fd < 0)
		return -ENOENT;
	*ret_directory_fd = fd;
	return 0;
}
