/* SPDX-License-Identifier: Apache-2.0 */

#include "trial.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../crash/folder.h"

#define WATCHDOG_S 20
#define QUEUES 8u
#define PEEKS 6u

struct things at;
struct outputs out;

/* All that a call which is refused must leave alone. */
struct image {
	struct outputs out;
	struct tenon_loan loans[2];
	struct tenon_lease leases[2];
	struct {
		struct tenon_queue_status status;
		struct tenon_message messages[PEEKS];
		char bytes[PEEKS][SHORT_BYTES];
		int results[PEEKS];
	} queues[QUEUES];
	uint64_t files;
};

static char folder[FOLDER_BYTES];
static const char *subject = "";
static uint32_t trials, failures;
static struct image before, after;

static void require(bool condition, const char *what)
{
	if (condition)
		return;
	printf("# %s\n", what);
	fflush(stdout);
	_exit(EXIT_FAILURE);
}

static struct tenon_queue *make(const char *name, struct tenon_queue_options options)
{
	struct tenon_queue *queue = NULL;

	options.size = sizeof(options);
	options.mode = 0600;
	require(tenon_queue_open(at.folder, name, TENON_QUEUE_CREATE | TENON_QUEUE_EXCLUSIVE,
				 &options, &queue) == 0,
		"a queue of the trial cannot be made");
	return queue;
}

static void put(struct tenon_queue *queue, const char *text, uint64_t key, uint32_t flags)
{
	struct tenon_send_options options = {.size = sizeof(options), .flags = flags, .key = key};

	require(tenon_queue_send(queue, text, strlen(text), &options) == 0,
		"a message of the trial cannot be sent");
}

static void make_fifo(void)
{
	at.fifo = make("/fifo", (struct tenon_queue_options){.capacity = 16,
							     .max_message_bytes = SHORT_BYTES});
	put(at.fifo, "taken", 0, TENON_WANT_RECEIPT);
	require(tenon_queue_last_receipt(at.fifo, &at.receipt) == 0, "receipt");
	put(at.fifo, "done", 0, TENON_WANT_RECEIPT);
	require(tenon_queue_last_receipt(at.fifo, &at.ended_receipt) == 0, "receipt");
	require(tenon_queue_take(at.fifo, NULL, &at.lease) == 0, "take");
	require(tenon_queue_take(at.fifo, NULL, &at.ended_lease) == 0, "take");
	out.lease = at.ended_lease;
	require(tenon_queue_done(at.fifo, &out.lease) == 0, "done");
	require(tenon_queue_receipt(at.fifo, at.ended_receipt, 0, NULL) == 0, "receipt");
	require(tenon_queue_loan(at.fifo, 8, &at.loan) == 0, "loan");
	require(tenon_queue_loan(at.fifo, 8, &at.ended_loan) == 0, "loan");
	out.loan = at.ended_loan;
	require(tenon_queue_abandon(at.fifo, &out.loan) == 0, "abandon");
	put(at.fifo, "1", 0, 0);
	put(at.fifo, "22", 0, 0);
	put(at.fifo, "333", 0, 0);
}

static void make_things(void)
{
	const struct tenon_queue_options small = {.capacity = 2, .max_message_bytes = SHORT_BYTES};
	struct tenon_queue_options options = small;

	at = (struct things){.folder = folder};
	make_fifo();
	at.full = make("/full", small);
	put(at.full, "1", 0, 0);
	put(at.full, "2", 0, 0);
	at.empty = make("/empty", small);
	options.order = TENON_QUEUE_PRIORITY;
	at.priority = make("/priority", options);
	put(at.priority, "p", 5, 0);
	options.order = TENON_QUEUE_TYPED;
	at.typed = make("/typed", options);
	put(at.typed, "t", 5, 0);
	options = small;
	options.capacity = TENON_QUEUE_RENDEZVOUS;
	at.meeting = make("/meeting", options);
	options = small;
	options.max_message_bytes = LONG_BYTES;
	at.large = make("/large", options);
	at.gone = make("/gone", small);
	require(tenon_queue_remove(folder, "/gone") == 0, "remove");
	memset(&out, 0xa5, sizeof(out));
}

static uint64_t files_of(const char *path)
{
	DIR *directory = opendir(path);
	const struct dirent *entry;
	uint64_t files = 0;

	require(directory, "the folder cannot be read");
	while ((entry = readdir(directory)) != NULL) {
		uint64_t hash = UINT64_C(0xcbf29ce484222325);

		for (const char *c = entry->d_name; *c; c++)
			hash = (hash ^ (uint8_t)*c) * UINT64_C(0x100000001b3);
		files += hash;
	}
	closedir(directory);
	return files;
}

static void look(struct image *image)
{
	struct tenon_queue *queues[QUEUES] = {at.fifo,	at.full,    at.empty, at.priority,
					      at.typed, at.meeting, at.large, at.gone};

	memset(image, 0, sizeof(*image));
	image->out = out;
	image->loans[0] = at.loan;
	image->loans[1] = at.ended_loan;
	image->leases[0] = at.lease;
	image->leases[1] = at.ended_lease;
	for (uint32_t i = 0; i < QUEUES; i++) {
		for (uint32_t j = 0; j < PEEKS; j++)
			image->queues[i].results[j] = tenon_queue_peek(
				queues[i], j, image->queues[i].bytes[j], SHORT_BYTES,
				&image->queues[i].messages[j]);
		image->queues[i].status.size = sizeof(image->queues[i].status);
		require(tenon_queue_status(queues[i], &image->queues[i].status) == 0, "status");
		/* What was taken on the way to an error stays, for the next. */
		image->queues[i].status.memory_bytes = 0;
	}
	image->files = files_of(folder);
}

static void expect_same(void)
{
	look(&after);
	require(memcmp(&before.out, &after.out, sizeof(before.out)) == 0,
		"something was written through a pointer");
	require(memcmp(before.loans, after.loans, sizeof(before.loans)) == 0 &&
			memcmp(before.leases, after.leases, sizeof(before.leases)) == 0,
		"a loan or a lease was changed");
	require(before.files == after.files, "the folder has changed");
	for (uint32_t i = 0; i < QUEUES; i++) {
		const uint64_t *was = (const uint64_t *)&before.queues[i].status,
			       *is = (const uint64_t *)&after.queues[i].status;

		for (uint32_t j = 0; j < sizeof(before.queues[i].status) / 8; j++)
			if (was[j] != is[j])
				printf("# status of queue %u, bytes from %u: %llx, not %llx\n", i,
				       j * 8, (unsigned long long)is[j],
				       (unsigned long long)was[j]);
		require(memcmp(&before.queues[i], &after.queues[i], sizeof(before.queues[i])) == 0,
			"a queue has changed");
	}
}

static void expect_sound(void)
{
	struct tenon_queue *queues[QUEUES] = {at.fifo,	at.full,    at.empty, at.priority,
					      at.typed, at.meeting, at.large, at.gone};

	for (uint32_t i = 0; i < QUEUES; i++) {
		struct tenon_queue_status status = {.size = sizeof(status)};
		char text[200] = "";

		require(tenon_queue_check(queues[i], text, sizeof(text)) == 0, text);
		require(tenon_queue_status(queues[i], &status) == 0 && status.damaged == 0,
			"a queue is damaged");
	}
}

void about(const char *what)
{
	subject = what;
}

bool trial_begin(const char *name)
{
	int status = -1;
	pid_t child;

	if (folder_make(folder) != 0) {
		printf("Bail out! no folder can be made under /dev/shm\n");
		exit(EXIT_FAILURE);
	}
	fflush(stdout);
	child = fork();
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		alarm(WATCHDOG_S);
		make_things();
		look(&before);
		return true;
	}
	if (child > 0)
		waitpid(child, &status, 0);
	folder_remove(folder);
	if (status != 0 && WIFSIGNALED(status))
		printf("# ended by signal %d\n", WTERMSIG(status));
	failures += status != 0;
	printf("%s %u - %s: %s\n", status == 0 ? "ok" : "not ok", ++trials, subject, name);
	return false;
}

void trial_end(int actual, int expected, bool changes_nothing)
{
	/* A trial may have been under a limit that its own lines are not. */
	setrlimit(RLIMIT_FSIZE, &(struct rlimit){RLIM_INFINITY, RLIM_INFINITY});
	if (actual != expected) {
		printf("# is %d and not %d\n", actual, expected);
		fflush(stdout);
		_exit(EXIT_FAILURE);
	}
	if (changes_nothing)
		expect_same();
	expect_sound();
	fflush(stdout);
	_exit(EXIT_SUCCESS);
}

int trials_end(void)
{
	printf("1..%u\n", trials);
	return failures == 0 && trials > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
