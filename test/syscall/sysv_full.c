/* SPDX-License-Identifier: Apache-2.0 */

/*
 * System V on a file system that is full: what needs memory gives ENOSPC, leaves nothing half made and never has a signal
 * come; what has its memory works.  With one page more each time, until it passes.
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

#include "../crash/folder.h"

#define SKIPPED 77
#define PAGE 4096
#define PAGES 1024 /* of the file system */
#define KEY 0x5254
#define COUNT 3000

static uint32_t failed;
static char folder[] = "/tmp/tenon-full-XXXXXX";
static char filler[100];

struct text {
	long type;
	char bytes[2 * PAGE];
};

#define EXPECT_IS(actual, expected)                                                       \
	do {                                                                              \
		int actual_ = (int)(actual);                                              \
		if (actual_ != (int)(expected)) {                                         \
			printf("# line %d: %s: %d, not %d\n", __LINE__, #actual, actual_, \
			       (int)(expected));                                          \
			failed++;                                                         \
		}                                                                         \
	} while (0)

/* Until so many pages are left. */
static void fill(off_t left)
{
	static const char zeros[PAGE];
	int fd = open(filler, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	off_t pages = 0;

	while (write(fd, zeros, PAGE) == PAGE)
		pages++;
	if (ftruncate(fd, (pages > left ? pages - left : 0) * PAGE) != 0)
		failed++;
	close(fd);
}

static void empty(void)
{
	unlink(filler);
}

static int make_queue(void)
{
	return tenon_msgget(KEY, IPC_CREAT | IPC_EXCL | 0600) < 0 ? -errno : 0;
}

static int make_set(void)
{
	return tenon_semget(KEY, COUNT, IPC_CREAT | IPC_EXCL | 0600) < 0 ? -errno : 0;
}

/* Makes it with no page, with one, and so on.  Answers with how many it could be made. */
static off_t make_at_last(int (*make)(void))
{
	for (off_t left = 0; left < PAGES; left++) {
		int result;

		fill(left);
		result = make();
		empty();
		if (result == 0)
			return left;
		EXPECT_IS(result, -ENOSPC);
		EXPECT_IS(folder_files(folder), 0);
	}
	return PAGES;
}

static int send(int id)
{
	struct text text = {.type = 1};

	memset(text.bytes, 'm', sizeof(text.bytes));
	return tenon_msgsnd(id, &text, sizeof(text.bytes), IPC_NOWAIT) == 0 ? 0 : -errno;
}

static ssize_t receive(int id)
{
	struct text text;
	ssize_t bytes = tenon_msgrcv(id, &text, sizeof(text.bytes), 0, IPC_NOWAIT);

	for (ssize_t i = 0; i < bytes; i++)
		EXPECT_IS(text.bytes[i], 'm');
	return bytes < 0 ? -errno : bytes;
}

static int remove_queue(int id)
{
	return tenon_msgctl(id, IPC_RMID, NULL);
}

static int remove_set(int id)
{
	return tenon_semctl(id, 0, IPC_RMID);
}

/* As ipcrm(1) does, which has not used it before: started before this process does. */
static pid_t start_remover(int id, int (*remove)(int id), int *ret_end)
{
	int ends[2];
	char told;
	pid_t pid;

	if (pipe(ends) != 0)
		return -1;
	pid = fork();
	if (pid == 0) {
		close(ends[1]);
		(void)!read(ends[0], &told, 1);
		_exit(remove(id) == 0 ? 0 : errno);
	}
	close(ends[0]);
	*ret_end = ends[1];
	return pid;
}

static int end_remover(pid_t pid, int end)
{
	int status;

	close(end);
	return waitpid(pid, &status, 0) == pid ? WEXITSTATUS(status) : -1;
}

static void try_queue(void)
{
	off_t made = make_at_last(make_queue), left = 0;
	int id = tenon_msgget(KEY, 0), result, end;
	pid_t remover = start_remover(id, remove_queue, &end);
	struct msqid_ds status;

	/* From the first call on a process has its part of it. */
	EXPECT_IS(tenon_msgctl(id, IPC_STAT, &status), 0);
	do {
		fill(left++);
		result = send(id);
		if (result != 0) {
			EXPECT_IS(result, -ENOSPC);
			EXPECT_IS(receive(id), -ENOMSG);
			EXPECT_IS(tenon_msgctl(id, IPC_STAT, &status), 0);
			EXPECT_IS(status.msg_qnum, 0);
			EXPECT_IS(status.__msg_cbytes, 0);
			EXPECT_IS(tenon_msgctl(id, IPC_SET, &status), 0);
		}
		if (result == 0)
			EXPECT_IS(receive(id), 2 * PAGE);
		empty();
	} while (result != 0 && left < PAGES);
	printf("# a queue: %d pages, a message: %d\n", (int)made, (int)left - 1);
	fill(0);
	EXPECT_IS(end_remover(remover, end), 0);
	EXPECT_IS(tenon_msgctl(id, IPC_RMID, NULL), -1);
	EXPECT_IS(errno, EINVAL);
	empty();
	EXPECT_IS(folder_files(folder), 0);
}

static void try_set(void)
{
	struct sembuf list[] = {{0, 2, SEM_UNDO}, {COUNT - 1, 3, SEM_UNDO}, {COUNT / 2, 1, 0}};
	off_t made = make_at_last(make_set), left = 0;
	int id = tenon_semget(KEY, 0, 0), result, end;
	pid_t remover = start_remover(id, remove_set, &end);

	do {
		fill(left++);
		result = tenon_semop(id, list, 3) == 0 ? 0 : -errno;
		if (result != 0)
			EXPECT_IS(result, -ENOSPC);
		EXPECT_IS(tenon_semctl(id, 0, GETVAL), result == 0 ? 2 : 0);
		EXPECT_IS(tenon_semctl(id, COUNT - 1, GETVAL), result == 0 ? 3 : 0);
		EXPECT_IS(tenon_semctl(id, COUNT / 2, GETVAL), result == 0 ? 1 : 0);
		empty();
	} while (result != 0 && left < PAGES);
	printf("# a set: %d pages, an operation: %d\n", (int)made, (int)left - 1);
	fill(0);
	EXPECT_IS(end_remover(remover, end), 0);
	EXPECT_IS(tenon_semctl(id, 0, IPC_RMID), -1);
	EXPECT_IS(errno, EINVAL);
	empty();
	EXPECT_IS(folder_files(folder), 0);
}

int main(void)
{
	if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) {
		printf("no mount namespace of one's own: %s\n", strerror(errno));
		return SKIPPED;
	}
	if (!mkdtemp(folder))
		return 2;
	if (mount("tenon-full", folder, "tmpfs", 0, "size=4m") != 0) {
		printf("tmpfs cannot be mounted: %s\n", strerror(errno));
		rmdir(folder);
		return SKIPPED;
	}
	snprintf(filler, sizeof(filler), "%s/filler", folder);
	setenv("TENON_NAMESPACE", folder, 1);
	try_queue();
	try_set();
	umount(folder);
	rmdir(folder);
	return failed > 0;
}
