/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A set of semaphores on a file system that is full: what needs memory for the first time gives -ENOSPC, changes nothing
 * and never has a signal come; what has its memory works.
 */

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include <tenon/semaphore_set.h>

#define SKIPPED 77
#define COUNT 4000u
#define OPERATIONS 400u
#define UNDO TENON_SEMAPHORE_SET_UNDO
#define NOWAIT TENON_SEMAPHORE_SET_NOWAIT

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

static void empty(const char *folder)
{
	char path[100];

	snprintf(path, sizeof(path), "%s/filler", folder);
	unlink(path);
}

static int one(struct tenon_semaphore_set *set, uint32_t number, int32_t change, uint32_t flags)
{
	struct tenon_semaphore_operation operation = {number, change, flags};

	return tenon_semaphore_set_operate(set, &operation, 1, 0);
}

static void use(const char *folder)
{
	static struct tenon_semaphore_operation list[OPERATIONS];
	static uint32_t values[COUNT];
	struct tenon_semaphore_set_options options = {
		.size = sizeof(options), .count = COUNT, .value = 1};
	struct tenon_semaphore_set *set, *other;

	EXPECT_IS(tenon_semaphore_set_open(NULL, "/set", TENON_CREATE, &options, &set), 0);
	EXPECT_IS(tenon_semaphore_set_open(NULL, "/set", 0, NULL, &other), 0);
	if (failed)
		return;
	for (uint32_t i = 0; i < OPERATIONS; i++)
		list[i] = (struct tenon_semaphore_operation){i * 9, 1, 0};
	EXPECT_IS(one(other, 0, -1, UNDO), 0);
	fill(folder);
	EXPECT_IS(one(set, 0, 1, 0), 0);
	EXPECT_IS(one(set, 1, 1, UNDO), -ENOSPC);
	EXPECT_IS(one(other, 1, -1, UNDO), 0);
	EXPECT_IS(one(other, COUNT - 1, -1, UNDO), -ENOSPC);
	EXPECT_IS(tenon_semaphore_set_operate(set, list, OPERATIONS, 0), -ENOSPC);
	EXPECT_IS(one(set, 2, -2, 0), -ENOSPC);
	EXPECT_IS(one(set, 2, -2, NOWAIT), -EAGAIN);
	EXPECT_IS(tenon_semaphore_set_set_all(set, values, COUNT), -ENOSPC);
	EXPECT_IS(tenon_semaphore_set_set(set, 3, 5), 0);
	EXPECT_IS(tenon_semaphore_set_get_all(set, values, COUNT), 0);
	for (uint32_t i = 0; i < COUNT; i++)
		EXPECT_IS((int)values[i], i == 3 ? 5 : i != 1);
	other = tenon_semaphore_set_close(other);
	EXPECT_IS(tenon_semaphore_set_get_all(set, values, COUNT), 0);
	EXPECT_IS((int)values[0], 2);
	EXPECT_IS((int)values[1], 1);
	empty(folder);
	EXPECT_IS(one(set, 1, 1, UNDO), 0);
	EXPECT_IS(tenon_semaphore_set_operate(set, list, OPERATIONS, 0), 0);
	EXPECT_IS(tenon_semaphore_set_set_all(set, values, COUNT), 0);
	set = tenon_semaphore_set_close(set);
	EXPECT_IS(tenon_semaphore_set_remove(NULL, "/set"), 0);
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
