/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A namespace on a small file system that fills up: sends give -ENOSPC and never a signal, nothing is
 * half-sent, what was sent is received whole and in order, and then sending works again.
 */

#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tenon/queue.h>

#define SKIPPED 77
#define SENDS_MOST 1000000u
#define BYTES_MOST 40000u
#define BATCH 20u
#define CHUNK_BYTES 16384u

#define CHECK(condition)                                                 \
	do {                                                             \
		if (!(condition)) {                                      \
			printf("# line %d: %s\n", __LINE__, #condition); \
			return -1;                                       \
		}                                                        \
	} while (0)

#define CHECK_RESULT(call, expected)                                                    \
	do {                                                                            \
		int result_ = (call);                                                   \
		if (result_ != (expected)) {                                            \
			printf("# line %d: %s: %d, not %d\n", __LINE__, #call, result_, \
			       (int)(expected));                                        \
			return -1;                                                      \
		}                                                                       \
	} while (0)

enum way { PLAIN, BATCHED, LOANED, WAYS };

static const char *const way_names[WAYS] = {"send", "batch", "loan"};
static const char *const order_names[] = {"fifo", "priority", "typed"};

static uint8_t message[BYTES_MOST], got[BYTES_MOST];

/* A message that tells its number, and is the same all over. */
static void write_message(uint8_t *data, uint64_t bytes, uint64_t number)
{
	memset(data, (int)(number * 7 % 251), bytes);
	memcpy(data, &number, bytes < sizeof(number) ? bytes : sizeof(number));
}

static int send_one(struct tenon_queue *queue, uint64_t bytes, uint64_t number)
{
	struct tenon_send_options options = {.size = sizeof(options), .flags = TENON_NONBLOCK};

	write_message(message, bytes, number);
	return tenon_queue_send(queue, message, bytes, &options);
}

static int send_loan(struct tenon_queue *queue, uint64_t bytes, uint64_t number)
{
	struct tenon_send_options options = {.size = sizeof(options), .flags = TENON_NONBLOCK};
	struct tenon_loan loan;
	int result = tenon_queue_loan(queue, bytes, &loan);

	if (result != 0)
		return result;
	write_message(loan.data, bytes, number);
	result = tenon_queue_commit(queue, &loan, bytes, &options);
	if (result != 0 && tenon_queue_abandon(queue, &loan) != 0)
		return -EPROTO;
	return result;
}

static int send_batch(struct tenon_queue *queue, uint64_t bytes, uint64_t number,
		      uint32_t *ret_sent)
{
	struct tenon_send_options options = {.size = sizeof(options), .flags = TENON_NONBLOCK};
	static uint8_t data[BATCH][BYTES_MOST];
	struct tenon_slice slices[BATCH];

	for (uint32_t i = 0; i < BATCH; i++) {
		write_message(data[i], bytes, number + i);
		slices[i] = (struct tenon_slice){data[i], bytes};
	}
	return tenon_queue_send_batch(queue, slices, BATCH, &options, ret_sent);
}

static int send_run(struct tenon_queue *queue, enum way way, uint64_t bytes, uint64_t number,
		    uint32_t *ret_sent)
{
	*ret_sent = 1;
	if (way == BATCHED)
		return send_batch(queue, bytes, number, ret_sent);
	return way == LOANED ? send_loan(queue, bytes, number) : send_one(queue, bytes, number);
}

/* Sends until it is refused; answers why. */
static int fill(struct tenon_queue *queue, enum way way, uint64_t bytes, uint64_t first,
		uint64_t *ret_sent)
{
	uint64_t sent = 0;

	for (;;) {
		uint32_t run;
		int result = send_run(queue, way, bytes, first + sent, &run);

		*ret_sent = sent;
		if (result != 0 || sent > SENDS_MOST)
			return result;
		sent += run;
	}
}

static int drain(struct tenon_queue *queue, uint64_t bytes, uint64_t first, uint64_t count)
{
	struct tenon_receive_options options = {.size = sizeof(options), .flags = TENON_NONBLOCK};
	struct tenon_message told;

	for (uint64_t i = 0; i < count; i++) {
		CHECK_RESULT(tenon_queue_receive(queue, got, sizeof(got), &options, &told), 0);
		CHECK(told.bytes == bytes);
		write_message(message, bytes, first + i);
		CHECK(memcmp(got, message, bytes) == 0);
	}
	CHECK_RESULT(tenon_queue_receive(queue, got, sizeof(got), &options, &told), -EAGAIN);
	return 0;
}

static int fill_and_drain(struct tenon_queue *queue, enum way way, uint64_t bytes)
{
	struct tenon_queue_status status = {.size = sizeof(status)};
	uint64_t first = 0, sent, before = 0;
	char text[200] = "";
	uint32_t run;

	for (uint32_t round = 0; round < 3; round++) {
		CHECK_RESULT(fill(queue, way, bytes, first, &sent), -ENOSPC);
		CHECK(sent > 0);
		/* It stays refused, and everything else still works. */
		CHECK_RESULT(send_run(queue, way, bytes, 0, &run), -ENOSPC);
		CHECK_RESULT(tenon_queue_status(queue, &status), 0);
		CHECK(status.messages == sent);
		CHECK(status.message_bytes == sent * bytes);
		CHECK(status.loaned == 0 && status.leased == 0 && status.damaged == 0);
		CHECK_RESULT(tenon_queue_check(queue, text, sizeof(text)), 0);
		CHECK_RESULT(drain(queue, bytes, first, sent), 0);
		first += sent;
		/* As much again, but for the chunks of the log that are not empty or not full. */
		CHECK(sent + 3 * CHUNK_BYTES / (bytes + 8) + 1 >= before);
		before = sent;
	}
	return 0;
}

static int run(uint32_t order, enum way way, uint64_t bytes)
{
	struct tenon_queue_options options = {.size = sizeof(options),
					      .order = order,
					      .capacity = TENON_QUEUE_UNBOUNDED,
					      .max_message_bytes = BYTES_MOST,
					      .mode = 0600,
					      .max_participants = 4};
	struct tenon_queue *queue;
	int result;

	/* Slots for the short ones as well. */
	if (bytes < 1000)
		options.max_message_bytes = 1000;
	CHECK_RESULT(tenon_queue_open(NULL, "full", TENON_QUEUE_CREATE, &options, &queue), 0);
	result = fill_and_drain(queue, way, bytes);
	tenon_queue_close(queue);
	CHECK_RESULT(tenon_queue_remove(NULL, "full"), 0);
	return result;
}

/* In a process of its own: SIGBUS is one of the answers. */
static bool passes(uint32_t order, enum way way, uint64_t bytes)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		status = run(order, way, bytes);
		fflush(stdout);
		_exit(status != 0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return false;
	if (WIFSIGNALED(status)) {
		printf("# killed by signal %d\n", WTERMSIG(status));
		tenon_queue_remove(NULL, "full");
	}
	return status == 0;
}

int main(void)
{
	static const uint64_t sizes[] = {10, 700, 5000, 40000};
	char folder[] = "/dev/shm/tenon-full-XXXXXX";
	uint32_t number = 0, failed = 0;

	if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) {
		printf("1..0 # SKIP no mount namespace of one's own: %s\n", strerror(errno));
		return SKIPPED;
	}
	if (!mkdtemp(folder))
		return 2;
	if (mount("tenon-full", folder, "tmpfs", 0, "size=1m") != 0) {
		printf("1..0 # SKIP tmpfs cannot be mounted: %s\n", strerror(errno));
		rmdir(folder);
		return SKIPPED;
	}
	setenv("TENON_NAMESPACE", folder, 1);
	printf("1..%u\n", 3 * WAYS * 4);
	for (uint32_t order = TENON_QUEUE_FIFO; order <= TENON_QUEUE_TYPED; order++)
		for (uint32_t way = 0; way < WAYS; way++)
			for (uint32_t i = 0; i < 4; i++) {
				bool passed = passes(order, way, sizes[i]);

				failed += !passed;
				printf("%sok %u - %s, %s, %llu bytes\n", passed ? "" : "not ",
				       ++number, order_names[order], way_names[way],
				       (unsigned long long)sizes[i]);
			}
	umount(folder);
	rmdir(folder);
	return failed > 0;
}
