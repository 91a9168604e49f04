/* SPDX-License-Identifier: Apache-2.0 */

/* Shared memory of System V in huge pages, in a hugetlbfs that each case mounts for itself.  Where the machine has none to
 * spare (vm.nr_hugepages, vm.nr_overcommit_hugepages) the cases are skipped. */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "contract.h"
#include "core/huge.h"
#include "sysv_shm.h"

#ifndef SHM_HUGE_SHIFT
#define SHM_HUGE_SHIFT 26
#endif
#define OTHER_UID 61001
#define PATH_BYTES 200

static char near_path[PATH_BYTES], far_path[PATH_BYTES];
static uint64_t huge_bytes;

/* A mount namespace in which no hugetlbfs is mounted any more. */
static void leave_mounts(void)
{
	const struct mntent *mount_entry;
	FILE *mounts;

	if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
		contract_skip("no mount namespace of one's own");
	mounts = setmntent("/proc/self/mounts", "re");
	REQUIRE(mounts);
	while ((mount_entry = getmntent(mounts)) != NULL)
		if (strcmp(mount_entry->mnt_type, "hugetlbfs") == 0)
			REQUIRE(umount2(mount_entry->mnt_dir, MNT_DETACH) == 0);
	endmntent(mounts);
	huge_bytes = tni_huge_default_bytes();
	if (huge_bytes == 0)
		contract_skip("the machine knows no huge pages");
}

static bool can_have(int pages)
{
	int fd = memfd_create("huge", MFD_CLOEXEC | MFD_HUGETLB);
	bool answer = fd >= 0 && fallocate(fd, 0, 0, (off_t)(huge_bytes * (uint64_t)pages)) == 0;

	if (fd >= 0)
		close(fd);
	return answer;
}

static void mount_at(const char *path, const char *options)
{
	REQUIRE(mkdir(path, 0755) == 0);
	if (mount("huge", path, "hugetlbfs", 0, options) != 0)
		contract_skip("hugetlbfs cannot be mounted");
}

/* Two of them, of which the first is root's. */
static void mount_both(void)
{
	leave_mounts();
	if (!can_have(2))
		contract_skip("the machine has no huge pages to spare");
	/* Folders in the namespace's: not its objects. */
	snprintf(near_path, sizeof(near_path), "%s/near", contract_folder);
	snprintf(far_path, sizeof(far_path), "%s/far", contract_folder);
	mount_at(near_path, "mode=0700");
	mount_at(far_path, "mode=1777");
}

static void unmount_both(void)
{
	REQUIRE(umount2(near_path, MNT_DETACH) == 0 && umount2(far_path, MNT_DETACH) == 0);
	REQUIRE(rmdir(near_path) == 0 && rmdir(far_path) == 0);
}

/* Names in one of them. */
static int files_in(const char *path)
{
	const struct dirent *entry;
	DIR *directory = opendir(path);
	int count = 0;

	REQUIRE(directory);
	while ((entry = readdir(directory)) != NULL)
		count += entry->d_name[0] != '.';
	closedir(directory);
	return count;
}

static int make_huge(uint64_t bytes, int flags)
{
	int id = tenon_shmget(IPC_PRIVATE, bytes, 0600 | SHM_HUGETLB | flags);

	REQUIRE(id >= 0);
	return id;
}

static void used_and_removed(void)
{
	struct child child;
	char *bytes, *second;
	int id;

	mount_both();
	id = make_huge(BYTES, 0);
	EXPECT_IS(files_in(near_path), 1);
	EXPECT_IS(files_in(far_path), 0);
	bytes = shm_attach(id);
	EXPECT((uintptr_t)bytes % huge_bytes == 0);
	bytes[huge_bytes - 1] = 'x';
	EXPECT_IS(shm_status(id).shm_segsz, BYTES);
	if (child_start(&child, false) == 0) {
		EXPECT_IS((int64_t)shm_count(id), 2);
		EXPECT_IS(tenon_shmctl(id, IPC_RMID, NULL), 0);
		child_tell(&child, 1);
		/* From who has it attached, as the name has gone. */
		second = shm_attach(id);
		EXPECT_IS(second[huge_bytes - 1], 'x');
		_exit(0);
	}
	EXPECT_IS(child_hear(&child), 1);
	child_finish(&child, false);
	EXPECT_IS(files_in(near_path), 0);
	EXPECT_IS((int64_t)shm_count(id), 1);
	EXPECT_IS(shm_status(id).shm_perm.mode, (int)(0600 | SHM_DEST_BIT));
	EXPECT_IS(tenon_shmdt(bytes), 0);
	shm_expect_gone(id);
	/* All of their memory is to be had again. */
	EXPECT(can_have(2));
	unmount_both();
}

/* The whole pages have to be free at an address that is asked for. */
static void addresses(void)
{
	char *bytes, *room, *beside;
	int id;

	mount_both();
	id = make_huge(BYTES, 0);
	bytes = shm_attach(id);
	EXPECT(tenon_shmat(id, bytes + PAGE, 0) == (void *)-1 && errno == EINVAL);
	EXPECT(tenon_shmat(id, bytes + PAGE + 1, SHM_RND) == (void *)-1 && errno == EINVAL);
	EXPECT(tenon_shmat(id, bytes, 0) == (void *)-1 && errno == EINVAL);
	EXPECT(tenon_shmat(id, bytes, SHM_REMAP) == bytes);
	EXPECT_IS((int64_t)shm_count(id), 1);
	room = mmap(NULL, 3 * huge_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		    -1, 0);
	REQUIRE(room != MAP_FAILED);
	room = (char *)(((uintptr_t)room + huge_bytes - 1) & ~(huge_bytes - 1));
	/* Something lies where the segment does not reach, but its page does. */
	REQUIRE(munmap(room, huge_bytes) == 0);
	beside = mmap(room + huge_bytes - PAGE, PAGE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	REQUIRE(beside == room + huge_bytes - PAGE);
	*beside = 'y';
	EXPECT(tenon_shmat(id, room, 0) == (void *)-1 && errno == EINVAL);
	EXPECT_IS(*beside, 'y');
	REQUIRE(munmap(beside, PAGE) == 0);
	EXPECT(tenon_shmat(id, room, 0) == room);
	EXPECT_IS(tenon_shmdt(room), 0);
	EXPECT_IS(tenon_shmdt(bytes), 0);
	shm_remove(id);
	unmount_both();
}

static void another_user_elsewhere(void)
{
	char *bytes;
	int id;

	mount_both();
	REQUIRE(chmod(contract_folder, 01777) == 0);
	if (setresuid(-1, OTHER_UID, -1) != 0)
		contract_skip("no other user to be had");
	tenon_sysv_credentials();
	id = make_huge(BYTES, 0);
	bytes = shm_attach(id);
	bytes[0] = 'x';
	EXPECT_IS(files_in(far_path), 1);
	EXPECT_IS(tenon_shmdt(bytes), 0);
	bytes = shm_attach(id);
	EXPECT_IS(bytes[0], 'x');
	EXPECT_IS(tenon_shmdt(bytes), 0);
	shm_remove(id);
	EXPECT_IS(files_in(far_path), 0);
	REQUIRE(setresuid(-1, 0, -1) == 0);
	tenon_sysv_credentials();
	/* Those in which he may make nothing. */
	REQUIRE(umount2(far_path, MNT_DETACH) == 0 && setresuid(-1, OTHER_UID, -1) == 0);
	tenon_sysv_credentials();
	EXPECT_IS(tenon_shmget(IPC_PRIVATE, BYTES, 0600 | SHM_HUGETLB), -1);
	EXPECT_IS(errno, EPERM);
	REQUIRE(setresuid(-1, 0, -1) == 0);
	tenon_sysv_credentials();
	EXPECT_IS(shm_files(), 0);
	REQUIRE(umount2(near_path, MNT_DETACH) == 0);
	REQUIRE(rmdir(near_path) == 0 && rmdir(far_path) == 0);
}

static void sizes_and_none_left(void)
{
	int power = __builtin_ctzll(tni_huge_default_bytes());
	int id;

	mount_both();
	id = make_huge(BYTES, power << SHM_HUGE_SHIFT);
	shm_remove(id);
	EXPECT_IS(tenon_shmget(IPC_PRIVATE, BYTES, 0600 | SHM_HUGETLB | 20 << SHM_HUGE_SHIFT), -1);
	EXPECT_IS(errno, EINVAL);
	EXPECT_IS(tenon_shmget(IPC_PRIVATE, 0, 0600 | SHM_HUGETLB), -1);
	EXPECT_IS(errno, EINVAL);
	EXPECT_IS(tenon_shmget(IPC_PRIVATE, UINT64_C(1) << 42, 0600 | SHM_HUGETLB), -1);
	EXPECT_IS(errno, ENOMEM);
	EXPECT_IS(files_in(near_path) + files_in(far_path), 0);
	EXPECT_IS(shm_files(), 0);
	/* Kept in memory they are anyway. */
	id = make_huge(BYTES, 0);
	EXPECT_IS(tenon_shmctl(id, SHM_LOCK, NULL), 0);
	EXPECT_IS(shm_status(id).shm_perm.mode, 0600);
	shm_remove(id);
	unmount_both();
}

/* Who cuts the file off hurts nobody: zeros, and no SIGBUS. */
static void cut_off_is_zeros(void)
{
	struct dirent **names;
	char path[2 * PATH_BYTES + 300], *bytes;
	int id;

	mount_both();
	id = make_huge(huge_bytes + BYTES, 0);
	bytes = shm_attach(id);
	bytes[0] = bytes[huge_bytes + 5000] = 'x';
	REQUIRE(scandir(near_path, &names, NULL, alphasort) == 3);
	snprintf(path, sizeof(path), "%s/%s", near_path, names[2]->d_name);
	REQUIRE(truncate(path, (off_t)huge_bytes) == 0);
	EXPECT_IS(bytes[0], 'x');
	EXPECT_IS(bytes[huge_bytes + 5000], 0);
	bytes[huge_bytes] = 'y';
	EXPECT_IS(bytes[huge_bytes], 'y');
	EXPECT(tenon_shmat(id, NULL, 0) == (void *)-1 && errno == EIO);
	EXPECT_IS(tenon_shmdt(bytes), 0);
	shm_remove(id);
	for (int i = 0; i < 3; i++)
		free(names[i]);
	free(names);
	unmount_both();
}

static void nowhere_mounted(void)
{
	leave_mounts();
	EXPECT_IS(tenon_shmget(IPC_PRIVATE, BYTES, 0600 | SHM_HUGETLB), -1);
	EXPECT(errno == ENOMEM || errno == EPERM);
	EXPECT_IS(shm_files(), 0);
}

/* The command and others know. */
static void as_tools_see_it(void)
{
	struct tenon_segment_status status = {.size = sizeof(status)};
	char name[TENON_SYSV_NAME_BYTES];
	struct tenon_segment *segment;
	int id;

	mount_both();
	id = make_huge(BYTES, 0);
	EXPECT_IS(tenon_sysv_name(id, name), 0);
	REQUIRE(tenon_segment_open(name, &segment) == 0);
	EXPECT_IS(tenon_segment_status(segment, &status), 0);
	EXPECT_IS((int64_t)status.page_bytes, (int64_t)huge_bytes);
	EXPECT_IS((int64_t)status.bytes, BYTES);
	EXPECT(status.memory_bytes >= huge_bytes);
	segment = tenon_segment_close(segment);
	EXPECT_IS(tenon_segment_remove(name), 0);
	EXPECT_IS(files_in(near_path), 0);
	unmount_both();
}

int main(void)
{
	static const struct contract_case cases[] = {
		{"used, and removed while attached", used_and_removed, NULL},
		{"addresses", addresses, NULL},
		{"another user, in another file system", another_user_elsewhere, NULL},
		{"sizes, and none left", sizes_and_none_left, NULL},
		{"what is cut off reads zeros", cut_off_is_zeros, NULL},
		{"no hugetlbfs", nowhere_mounted, NULL},
		{"as tools see it", as_tools_see_it, NULL},
	};

	return contract_main(cases, sizeof(cases) / sizeof(cases[0]));
}
