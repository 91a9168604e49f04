/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Shared memory of System V on a file system that is full: shmget(2) gives ENOMEM and leaves nothing; what it has given has
 * its memory.
 */

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tenon/sysv.h>

#define SKIPPED 77
#define KEY 9
#define BYTES 20000u

static uint32_t failed;

#define EXPECT_IS(actual, expected)                                                       \
	do {                                                                              \
		int actual_ = (actual);                                                   \
		if (actual_ != (expected)) {                                              \
			printf("# line %d: %s: %d, not %d\n", __LINE__, #actual, actual_, \
			       (int)(expected));                                          \
			failed++;                                                         \
		}                                                                         \
	} while (0)

/* Until nothing is left. */
static bool fill(const char *folder)
{
	static const char zeros[4096];
	char path[100];
	int fd;

	snprintf(path, sizeof(path), "%s/filler", folder);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return false;
	while (write(fd, zeros, sizeof(zeros)) == (ssize_t)sizeof(zeros))
		;
	close(fd);
	return true;
}

static void use(const char *folder)
{
	int id, other, kept;
	struct shmid_ds status;
	char *bytes;

	EXPECT_IS(tenon_shmget(IPC_PRIVATE, 2 << 20, 0600), -1);
	EXPECT_IS(errno, ENOMEM);
	EXPECT_IS(tenon_shmget(KEY, 2 << 20, IPC_CREAT | 0600), -1);
	EXPECT_IS(errno, ENOMEM);
	EXPECT_IS(tenon_shmget(KEY, 0, 0), -1);
	EXPECT_IS(errno, ENOENT);
	/* Nothing was left of these. */
	kept = tenon_shmget(IPC_PRIVATE, 900 << 10, 0600);
	EXPECT_IS(kept >= 0, 1);
	EXPECT_IS(tenon_shmctl(kept, IPC_RMID, NULL), 0);
	id = tenon_shmget(KEY, BYTES, IPC_CREAT | 0600);
	other = tenon_shmget(IPC_PRIVATE, 2 << 20, SHM_NORESERVE | 0600);
	EXPECT_IS(id >= 0 && other >= 0, 1);
	fill(folder);
	bytes = tenon_shmat(id, NULL, 0);
	EXPECT_IS(bytes != (char *)-1, 1);
	if (failed)
		return;
	memset(bytes, 'f', BYTES);
	if (fork() == 0)
		_exit(tenon_shmctl(id, IPC_STAT, &status) != 0 || status.shm_nattch != 2);
	EXPECT_IS(wait(&kept) > 0 && kept == 0, 1);
	EXPECT_IS(tenon_shmctl(id, IPC_STAT, &status), 0);
	EXPECT_IS((int)status.shm_nattch, 1);
	EXPECT_IS(tenon_shmget(IPC_PRIVATE, 1, 0600), -1);
	EXPECT_IS(errno, ENOMEM);
	EXPECT_IS(tenon_shmctl(id, IPC_RMID, NULL), 0);
	EXPECT_IS(bytes[BYTES - 1], 'f');
	EXPECT_IS(tenon_shmdt(bytes), 0);
	EXPECT_IS(tenon_shmctl(other, IPC_RMID, NULL), 0);
	/* What it took is free. */
	id = tenon_shmget(KEY, BYTES, IPC_CREAT | 0600);
	EXPECT_IS(id >= 0, 1);
	EXPECT_IS(tenon_shmctl(id, IPC_RMID, NULL), 0);
}

int main(void)
{
	char folder[] = "/tmp/tenon-full-XXXXXX";

	if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) {
		printf("no mount namespace of one's own: %s\n", strerror(errno));
		return SKIPPED;
	}
	if (!mkdtemp(folder))
		return 2;
	if (mount("tenon-full", folder, "tmpfs", 0, "size=1m") != 0) {
		printf("tmpfs cannot be mounted: %s\n", strerror(errno));
		rmdir(folder);
		return SKIPPED;
	}
	setenv("TENON_NAMESPACE", folder, 1);
	use(folder);
	umount(folder);
	rmdir(folder);
	return failed > 0;
}
