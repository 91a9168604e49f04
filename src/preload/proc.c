/* SPDX-License-Identifier: Apache-2.0 */

/*
 * proc(5), /proc/sysvipc: the objects of System V, which are not the kernel's here.  Who opens one of its files gets, in a
 * memory file, the lines that the kernel would write of them: as they are at that moment.
 */

#include <tenon/sysv.h>

#include "preload/preload.h"
#include "sysv/shm.h"

#include <string.h>
#include <sys/syscall.h>

#define FOLDER "/proc/sysvipc/"

union semun {
	struct semid_ds *status;
	struct seminfo *information;
};

/* What a line begins with, and owners. */
#define PERMISSION "%10d %10d  %4o"
#define PERMISSION_OF(permission, id) (permission)->__key, id, (permission)->mode
#define OWNERS "%5u %5u %5u %5u"
#define OWNERS_OF(permission) \
	(permission)->uid, (permission)->gid, (permission)->cuid, (permission)->cgid

static __attribute__((__format__(__printf__, 2, 3))) void print(int fd, const char *format, ...)
{
	char line[512];
	va_list more;
	int bytes;

	va_start(more, format);
	bytes = vsnprintf(line, sizeof(line), format, more);
	va_end(more);
	(void)!TNI_NEXT(write)(fd, line, (size_t)bytes);
}

static void write_queues(int fd)
{
	struct msginfo information;
	struct msqid_ds status;
	int most = tenon_msgctl(0, MSG_INFO, (struct msqid_ds *)(void *)&information);

	print(fd, "       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  "
		  "cuid  cgid      stime      rtime      ctime\n");
	for (int index = 0; index <= most; index++) {
		int id = tenon_msgctl(index, MSG_STAT_ANY, &status);

		if (id < 0)
			continue;
		print(fd, PERMISSION "  %10lu %10lu %5u %5u " OWNERS " %10llu %10llu %10llu\n",
		      PERMISSION_OF(&status.msg_perm, id), (unsigned long)status.__msg_cbytes,
		      (unsigned long)status.msg_qnum, (unsigned)status.msg_lspid,
		      (unsigned)status.msg_lrpid, OWNERS_OF(&status.msg_perm),
		      (unsigned long long)status.msg_stime, (unsigned long long)status.msg_rtime,
		      (unsigned long long)status.msg_ctime);
	}
}

static void write_sets(int fd)
{
	struct seminfo information;
	struct semid_ds status;
	int most = tenon_semctl(0, 0, SEM_INFO, (union semun){.information = &information});

	print(fd, "       key      semid perms      nsems   uid   gid  cuid  cgid      otime      "
		  "ctime\n");
	for (int index = 0; index <= most; index++) {
		int id = tenon_semctl(index, 0, SEM_STAT_ANY, (union semun){.status = &status});

		if (id < 0)
			continue;
		print(fd, PERMISSION " %10lu " OWNERS " %10llu %10llu\n",
		      PERMISSION_OF(&status.sem_perm, id), (unsigned long)status.sem_nsems,
		      OWNERS_OF(&status.sem_perm), (unsigned long long)status.sem_otime,
		      (unsigned long long)status.sem_ctime);
	}
}

static void write_memory(int fd)
{
	struct shm_info information;
	struct shmid_ds status;
	int most = tenon_shmctl(0, SHM_INFO, (struct shmid_ds *)(void *)&information);

	print(fd, "       key      shmid perms                  size  cpid  lpid nattch   uid   "
		  "gid  cuid  cgid      atime      dtime      ctime                   rss       "
		  "           swap\n");
	for (int index = 0; index <= most; index++) {
		int id = tenon_shmctl(index, SHM_STAT_ANY, &status);

		if (id < 0)
			continue;
		print(fd,
		      PERMISSION " %21lu %5u %5u  %5lu " OWNERS
				 " %10llu %10llu %10llu %21lu %21lu\n",
		      PERMISSION_OF(&status.shm_perm, id), (unsigned long)status.shm_segsz,
		      (unsigned)status.shm_cpid, (unsigned)status.shm_lpid,
		      (unsigned long)status.shm_nattch, OWNERS_OF(&status.shm_perm),
		      (unsigned long long)status.shm_atime, (unsigned long long)status.shm_dtime,
		      (unsigned long long)status.shm_ctime,
		      (unsigned long)tni_sysv_shm_memory((uint32_t)index), 0ul);
	}
}

static const struct {
	const char *name;
	uint32_t face;
	void (*write)(int fd);
} files[] = {{"msg", TNI_FACE_SYSV_MSG, write_queues},
	     {"sem", TNI_FACE_SYSV_SEM, write_sets},
	     {"shm", TNI_FACE_SYSV_SHM, write_memory}};

#define FILES (sizeof(files) / sizeof(files[0]))

/* Whether a path begins as that of the folder does.  One that leads nowhere is for the kernel to refuse: where eight bytes
 * of it cannot be read, it is another.  (The kernel looks at the signals to be set before it looks at how.) */
static bool begins_so(const char *path)
{
	int error = errno;
	bool is_there = path && (TNI_NEXT(syscall)(SYS_rt_sigprocmask, -1, path, NULL, 8) == 0 ||
				 errno != EFAULT);

	errno = error;
	return is_there && memcmp(path, FOLDER, 8) == 0;
}

/* Which of the files it is; FILES: none. */
static size_t find(const char *path)
{
	size_t i = FILES;

	if (__builtin_expect(!begins_so(path) || strncmp(path, FOLDER, sizeof(FOLDER) - 1) != 0, 1))
		return i;
	for (i = 0; i < FILES; i++)
		if (strcmp(path + sizeof(FOLDER) - 1, files[i].name) == 0 &&
		    tni_face_is_on(files[i].face))
			break;
	return i;
}

static int open_file(size_t file, int flags)
{
	int error = errno, fd;

	if ((flags & O_ACCMODE) != O_RDONLY)
		return tni_fail(EACCES);
	fd = TNI_NEXT(memfd_create)(files[file].name, flags & O_CLOEXEC ? MFD_CLOEXEC : 0);
	if (fd < 0)
		return fd;
	TNI_CALL_VOID(files[file].write(fd));
	TNI_NEXT(lseek)(fd, 0, SEEK_SET);
	errno = error;
	return fd;
}

static mode_t mode_of(int flags, va_list more)
{
	return flags & (O_CREAT | __O_TMPFILE) ? va_arg(more, mode_t) : 0;
}

TNI_STAND_IN int open(const char *path, int flags, ...)
{
	size_t file = find(path);
	va_list more;
	mode_t mode;

	va_start(more, flags);
	mode = mode_of(flags, more);
	va_end(more);
	return __builtin_expect(file < FILES, 0) ? open_file(file, flags)
						 : TNI_NEXT(open)(path, flags, mode);
}

TNI_STAND_IN int openat(int folder, const char *path, int flags, ...)
{
	size_t file = find(path);
	va_list more;
	mode_t mode;

	va_start(more, flags);
	mode = mode_of(flags, more);
	va_end(more);
	return __builtin_expect(file < FILES, 0) ? open_file(file, flags)
						 : TNI_NEXT(openat)(folder, path, flags, mode);
}

TNI_STAND_IN FILE *fopen(const char *path, const char *mode)
{
	size_t file = find(path);
	FILE *stream;
	int fd;

	if (__builtin_expect(file == FILES, 1))
		return TNI_NEXT(fopen)(path, mode);
	fd = open_file(file, (mode[0] == 'r' && !strchr(mode, '+') ? O_RDONLY : O_RDWR) |
				     (strchr(mode, 'e') ? O_CLOEXEC : 0));
	if (fd < 0)
		return NULL;
	stream = TNI_NEXT(fdopen)(fd, mode);
	if (!stream)
		TNI_NEXT(close)(fd);
	return stream;
}

TNI_STAND_IN_AS(open64, open);
TNI_STAND_IN_AS(openat64, openat);
TNI_STAND_IN_AS(__open, open);
TNI_STAND_IN_AS(__open64, open);
TNI_STAND_IN_AS(fopen64, fopen);
