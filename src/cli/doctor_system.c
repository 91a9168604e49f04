/* SPDX-License-Identifier: Apache-2.0 */

/* tenon doctor: the kernel, the limits, the folder. */

#include "doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif

#define LOW_SPACE_BYTES (UINT64_C(16) << 20)
#define LOW_DESCRIPTORS 256
#define LOW_FILE_BYTES (UINT64_C(1) << 30)

/* Where the usual namespaces are made. */
#define USUAL_PARENT "/dev/shm"

static void examine_kernel(struct doctor *doctor)
{
	struct utsname name;
	void *head;
	size_t head_bytes;

	if (uname(&name))
		return;
	/* Without arguments it must refuse them; a kernel that lacks it says so. */
	if (syscall(SYS_futex_waitv, NULL, 0, 0, NULL, 0) && errno == EINVAL)
		doctor_report(doctor, DOCTOR_FINE, "kernel", NULL, "Linux %s with futex_waitv",
			      name.release);
	else
		doctor_report(doctor, DOCTOR_NOTE, "kernel",
			      "use Linux 5.16 or later, or allow the call in the seccomp filter",
			      "Linux %s without futex_waitv: calls with a deadline end with EINTR "
			      "when a signal handler runs, even with SA_RESTART",
			      name.release);
	if (syscall(SYS_get_robust_list, 0, &head, &head_bytes) || !head)
		doctor_report(doctor, DOCTOR_WARNING, "kernel",
			      "allow get_robust_list in the seccomp filter; use glibc or musl",
			      "no robust futex list: the death of a process may go unnoticed");
}

static void examine_limits(struct doctor *doctor)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	if (limit.rlim_cur < LOW_DESCRIPTORS)
		doctor_report(doctor, DOCTOR_WARNING, "descriptors",
			      "raise it with 'ulimit -n' or LimitNOFILE=",
			      "a process may have %llu open files; each open object takes some",
			      (unsigned long long)limit.rlim_cur);
	else
		doctor_report(doctor, DOCTOR_FINE, "descriptors", NULL,
			      "a process may have %llu open files",
			      (unsigned long long)limit.rlim_cur);
	if (!getrlimit(RLIMIT_FSIZE, &limit) && limit.rlim_cur != RLIM_INFINITY)
		doctor_report(doctor,
			      limit.rlim_cur < LOW_FILE_BYTES ? DOCTOR_WARNING : DOCTOR_NOTE,
			      "file size", "lift it with 'ulimit -f unlimited'",
			      "files may have %s, and so may a queue, with room for what it could "
			      "hold",
			      cli_format_bytes((uint64_t)limit.rlim_cur));
}

static uint64_t huge_pages(void)
{
	FILE *file = fopen("/proc/meminfo", "re");
	unsigned long long count = 0;
	char line[128];

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "HugePages_Total: %llu", &count) == 1)
			break;
	if (file)
		fclose(file);
	return count;
}

/* Huge pages that nobody can have. */
static void examine_huge_pages(struct doctor *doctor)
{
	const struct mntent *mount_entry;
	FILE *mounts;
	bool is_there = false;

	if (!huge_pages())
		return;
	mounts = setmntent("/proc/self/mounts", "re");
	while (mounts && (mount_entry = getmntent(mounts)))
		if (!strcmp(mount_entry->mnt_type, "hugetlbfs") &&
		    !faccessat(AT_FDCWD, mount_entry->mnt_dir, W_OK | X_OK, AT_EACCESS))
			is_there = true;
	if (mounts)
		endmntent(mounts);
	if (!is_there)
		doctor_report(doctor, DOCTOR_NOTE, "huge pages",
			      "mount -t hugetlbfs -o mode=1777 none /dev/hugepages",
			      "there are some, but no hugetlbfs in which you may make files: "
			      "shmget(2) with SHM_HUGETLB fails");
}

static void examine_space(struct doctor *doctor, const char *path)
{
	struct statfs information;
	uint64_t bytes;

	if (statfs(path, &information))
		return;
	if (cli_is_on_disk(path))
		doctor_report(doctor, DOCTOR_WARNING, path,
			      "choose a folder on tmpfs, for instance under /dev/shm",
			      "it is not on tmpfs: messages would be written to a disk");
	bytes = (uint64_t)information.f_bavail * (uint64_t)information.f_bsize;
	if (bytes < LOW_SPACE_BYTES)
		doctor_report(doctor, DOCTOR_WARNING, path,
			      "receive or remove something there, or enlarge it (mount -o "
			      "remount,size=SIZE; docker run --shm-size SIZE)",
			      "%s of memory are left there", cli_format_bytes(bytes));
	else
		doctor_report(doctor, DOCTOR_FINE, path, NULL, "%s of memory are left there",
			      cli_format_bytes(bytes));
	if (information.f_files && !information.f_ffree)
		doctor_report(doctor, DOCTOR_WARNING, path,
			      "remove something, or remount with a larger nr_inodes=",
			      "there is no room for another file");
}

/* What the library needs of the file system beyond memory: unnamed files and locks on them. */
static void examine_files(struct doctor *doctor, const char *path)
{
	CLI_CLEANUP(cli_cleanup_fd) int fd = open(path, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};

	if (fd < 0) {
		doctor_report(doctor, errno == EACCES ? DOCTOR_NOTE : DOCTOR_WARNING, path,
			      "look at the permissions of the folder, and whether its file system "
			      "has O_TMPFILE",
			      "no object can be made there by you: %m");
		return;
	}
	if (fcntl(fd, F_OFD_SETLK, &lock))
		doctor_report(doctor, DOCTOR_WARNING, path, "choose a folder on tmpfs",
			      "its files cannot be locked, so that deaths go unnoticed: %m");
}

/* The usual folder is made with the first queue, if that can be done; a named one is not. */
static void report_missing_folder(struct doctor *doctor, const char *path)
{
	struct stat information;

	if (cli_namespace_is_named()) {
		doctor_report(doctor, DOCTOR_WARNING, path, cli_namespace_remedy(),
			      "there is no such folder");
		return;
	}
	if (stat(USUAL_PARENT, &information) || !S_ISDIR(information.st_mode)) {
		doctor_report(doctor, DOCTOR_WARNING, USUAL_PARENT,
			      "mount it with 'mount -t tmpfs -o mode=1777 tmpfs " USUAL_PARENT
			      "', or set TENON_NAMESPACE to a folder on another tmpfs",
			      "there is no such folder, and so no queue can be made");
		return;
	}
	if (faccessat(AT_FDCWD, USUAL_PARENT, W_OK | X_OK, AT_EACCESS)) {
		doctor_report(doctor, DOCTOR_WARNING, USUAL_PARENT,
			      "look at its mode (1777) and at how it is mounted, or set "
			      "TENON_NAMESPACE to another folder",
			      "you cannot make a folder there, and so no queue: %m");
		return;
	}
	doctor_report(doctor, DOCTOR_FINE, path, NULL,
		      "there is no such folder yet; it is made with the first queue");
	examine_space(doctor, USUAL_PARENT);
}

bool doctor_examine_system(struct doctor *doctor)
{
	const char *path = cli_namespace();
	struct stat information;

	examine_kernel(doctor);
	examine_limits(doctor);
	examine_huge_pages(doctor);
	if (stat(path, &information)) {
		if (errno == ENOENT)
			report_missing_folder(doctor, path);
		else
			doctor_report(doctor, DOCTOR_WARNING, path, "look at the folders above it",
				      "it cannot be looked at: %m");
		return false;
	}
	if (!S_ISDIR(information.st_mode)) {
		doctor_report(doctor, DOCTOR_WARNING, path, "set TENON_NAMESPACE to a folder",
			      "it is no folder");
		return false;
	}
	if (information.st_uid != geteuid() && information.st_uid)
		doctor_report(doctor, DOCTOR_WARNING, path,
			      "use a folder of your own, or one that root has made",
			      "it belongs to user %u, who could replace every queue in it",
			      information.st_uid);
	if (information.st_mode & (S_IWGRP | S_IWOTH) && !(information.st_mode & S_ISVTX))
		doctor_report(doctor, DOCTOR_WARNING, path, "chmod +t, or chmod go-w",
			      "others may write there, and without the sticky bit they may remove "
			      "queues that are not theirs");
	examine_space(doctor, path);
	examine_files(doctor, path);
	return true;
}
