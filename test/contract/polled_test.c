/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Descriptors to poll, and the queue's removal.  The bug: the first poll of a queue that was removed
 * already made its FIFO anew, which nobody removed any more.
 */

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "contract.h"

#define SKIPPED 77 /* as contract_skip() ends */
#define NAME "/polled"

static uint32_t files_left(void)
{
	DIR *folder = opendir(contract_folder);
	const struct dirent *entry;
	uint32_t count = 0;

	REQUIRE(folder);
	while ((entry = readdir(folder)) != NULL)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
			printf("# there is %s\n", entry->d_name);
			count++;
		}
	closedir(folder);
	return count;
}

static void test_polled_then_removed(void)
{
	struct tenon_queue *queue = contract_create(NAME, NULL);
	int fd = -1, again = -1;

	EXPECT_IS(tenon_queue_readable_fd(queue, &fd), 0);
	EXPECT_IS(tenon_queue_remove(contract_folder, NAME), 0);
	EXPECT_IS((int64_t)files_left(), 0);
	/* It goes on, and is the same when asked for again. */
	EXPECT_IS(contract_send(queue, 1, 0), 0);
	EXPECT_IS(poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 0), 1);
	EXPECT_IS(tenon_queue_readable_fd(queue, &again), 0);
	EXPECT_IS(again, fd);
	queue = tenon_queue_close(queue);
	EXPECT_IS((int64_t)files_left(), 0);
}

static void test_removed_then_polled(void)
{
	struct tenon_queue *queue = contract_create(NAME, NULL);
	int fd = -1;

	EXPECT_IS(tenon_queue_remove(contract_folder, NAME), 0);
	EXPECT_IS(tenon_queue_readable_fd(queue, &fd), -ENOENT);
	EXPECT_IS(tenon_queue_writable_fd(queue, &fd), -ENOENT);
	EXPECT_IS(fd, -1);
	EXPECT_IS((int64_t)files_left(), 0);
	EXPECT_IS(contract_send(queue, 1, 0), 0);
	queue = tenon_queue_close(queue);
}

/* Another queue has the name now: its descriptors are no business of the first one's. */
static void test_name_is_anothers(void)
{
	struct tenon_queue *old = contract_create(NAME, NULL), *new;
	int fd = -1;

	EXPECT_IS(tenon_queue_remove(contract_folder, NAME), 0);
	new = contract_create(NAME, NULL);
	EXPECT_IS(tenon_queue_readable_fd(old, &fd), -ENOENT);
	EXPECT_IS(tenon_queue_readable_fd(new, &fd), 0);
	EXPECT_IS((int64_t)files_left(), 2);
	old = tenon_queue_close(old);
	new = tenon_queue_close(new);
}

/* Asks for both descriptors, as soon as it is let to, under the eyes of its parent. */
static void ask(void *context)
{
	struct tenon_queue *queue = context;
	int fd = -1, result;

	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
		contract_skip("ptrace(2) is not allowed");
	raise(SIGSTOP);
	result = tenon_queue_readable_fd(queue, &fd);
	EXPECT(result == 0 || result == -ENOENT);
	result = tenon_queue_writable_fd(queue, &fd);
	EXPECT(result == 0 || result == -ENOENT);
}

/* Lets the child go on up to its n-th stop at a system call: its begin or its end.  False: it ended
 * before, and ended well. */
static bool stop_at(pid_t child, uint32_t stop)
{
	int status = 0;

	REQUIRE(waitpid(child, &status, 0) == child);
	if (WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED)
		contract_skip("ptrace(2) is not allowed");
	REQUIRE(WIFSTOPPED(status));
	for (uint32_t i = 0; i < stop; i++) {
		REQUIRE(ptrace(PTRACE_SYSCALL, child, NULL, NULL) == 0);
		REQUIRE(waitpid(child, &status, 0) == child);
		if (WIFEXITED(status)) {
			EXPECT_IS(WEXITSTATUS(status), 0);
			return false;
		}
		REQUIRE(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP);
	}
	return true;
}

/* The queue is removed when somebody who asks for its descriptors is at a system call, each in turn, and
 * goes on then, or was killed there. */
static void remove_meanwhile(bool dies)
{
	bool there = true;
	uint32_t stop;

	for (stop = 1; there; stop++) {
		struct tenon_queue *queue = contract_create(NAME, NULL);
		pid_t child = contract_start(ask, queue);

		there = stop_at(child, stop);
		if (there && dies)
			contract_kill(child);
		EXPECT_IS(tenon_queue_remove(contract_folder, NAME), 0);
		if (there && !dies) {
			REQUIRE(ptrace(PTRACE_DETACH, child, NULL, NULL) == 0);
			contract_await(child);
		}
		EXPECT_IS((int64_t)files_left(), 0);
		queue = tenon_queue_close(queue);
	}
	printf("# at %u stops\n", stop);
	EXPECT(stop > 20);
}

static void test_removed_meanwhile(void)
{
	remove_meanwhile(false);
}

static void test_poller_dies(void)
{
	remove_meanwhile(true);
}

int main(void)
{
	static const struct contract_case cases[] = {
		{"a queue is polled, then removed", test_polled_then_removed, NULL},
		{"a queue is removed, then polled", test_removed_then_polled, NULL},
		{"another queue has the name", test_name_is_anothers, NULL},
		{"a queue is removed at each step of its first poll", test_removed_meanwhile, NULL},
		{"its poller is killed at each step, and it is removed", test_poller_dies, NULL},
	};

	return contract_main(cases, sizeof(cases) / sizeof(cases[0]));
}
