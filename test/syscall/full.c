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
#define LONGEST_BYTES 60000u
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

static struct tenon_queue *make(const char *name, uint32_t order)
{
	struct tenon_queue_options options = {.size = sizeof(options),
					      .order = order,
					      .capacity = TENON_QUEUE_UNBOUNDED,
					      .max_message_bytes = LONGEST_BYTES,
					      .mode = 0600,
					      .max_participants = 4};
	struct tenon_queue *queue = NULL;

	return tenon_queue_open(NULL, name, TENON_QUEUE_CREATE, &options, &queue) == 0 ? queue
										       : NULL;
}

/* All that is left of the file system, but for less than a page. */
static int fill_the_rest(struct tenon_queue *queue, uint64_t bytes)
{
	uint64_t sent;

	CHECK_RESULT(fill(queue, PLAIN, bytes, 0, &sent), -ENOSPC);
	CHECK_RESULT(fill(queue, PLAIN, 1, 0, &sent), -ENOSPC);
	return 0;
}

static int empty(struct tenon_queue *queue)
{
	struct tenon_receive_options options = {.size = sizeof(options), .flags = TENON_NONBLOCK};
	static uint8_t room[LONGEST_BYTES];
	int result;

	do
		result = tenon_queue_receive(queue, room, sizeof(room), &options, NULL);
	while (result == 0);
	return result == -EAGAIN ? 0 : result;
}

/* Sound, and works as before. */
static int recovers(struct tenon_queue *queue)
{
	char text[200] = "";

	CHECK_RESULT(tenon_queue_check(queue, text, sizeof(text)), 0);
	CHECK_RESULT(empty(queue), 0);
	CHECK_RESULT(send_one(queue, 700, 1), 0);
	CHECK_RESULT(drain(queue, 700, 1, 1), 0);
	return 0;
}

/* A receiver that takes is not worse off than one that receives. */
static int take_and_finish(uint32_t order, uint64_t bytes)
{
	struct tenon_receive_options options = {.size = sizeof(options), .flags = TENON_NONBLOCK};
	struct tenon_queue *queue = make("full", order);
	struct tenon_lease lease;
	uint64_t sent, taken = 0;
	int result;

	CHECK(queue);
	CHECK_RESULT(fill(queue, PLAIN, bytes, 0, &sent), -ENOSPC);
	CHECK_RESULT(tenon_queue_take(queue, &options, &lease), 0);
	CHECK_RESULT(tenon_queue_return(queue, &lease), 0);
	while ((result = tenon_queue_take(queue, &options, &lease)) == 0) {
		CHECK(lease.message.bytes == bytes);
		write_message(message, bytes, taken++);
		CHECK(memcmp(lease.data, message, bytes) == 0);
		CHECK_RESULT(tenon_queue_done(queue, &lease), 0);
	}
	CHECK_RESULT(result, -EAGAIN);
	CHECK(taken == sent);
	CHECK_RESULT(recovers(queue), 0);
	tenon_queue_close(queue);
	return 0;
}

static int take_fifo(void)
{
	return take_and_finish(TENON_QUEUE_FIFO, 700);
}

static int take_priority(void)
{
	return take_and_finish(TENON_QUEUE_PRIORITY, 700);
}

static int take_typed(void)
{
	return take_and_finish(TENON_QUEUE_TYPED, 700);
}

/* What was taken before the memory ended can be given back and finished after. */
static int held_before(uint32_t order)
{
	struct tenon_receive_options options = {.size = sizeof(options), .flags = TENON_NONBLOCK};
	struct tenon_queue *queue = make("full", order);
	struct tenon_lease returned, finished;
	struct tenon_loan loan;
	uint64_t sent;

	CHECK(queue);
	CHECK_RESULT(send_one(queue, 700, 0), 0);
	CHECK_RESULT(send_one(queue, 700, 1), 0);
	CHECK_RESULT(tenon_queue_take(queue, &options, &returned), 0);
	CHECK_RESULT(tenon_queue_take(queue, &options, &finished), 0);
	CHECK_RESULT(tenon_queue_loan(queue, 5000, &loan), 0);
	CHECK_RESULT(fill(queue, PLAIN, 700, 2, &sent), -ENOSPC);
	CHECK_RESULT(tenon_queue_return(queue, &returned), 0);
	CHECK_RESULT(tenon_queue_done(queue, &finished), 0);
	CHECK_RESULT(tenon_queue_abandon(queue, &loan), 0);
	CHECK_RESULT(recovers(queue), 0);
	tenon_queue_close(queue);
	return 0;
}

static int held_fifo(void)
{
	return held_before(TENON_QUEUE_FIFO);
}

static int held_priority(void)
{
	return held_before(TENON_QUEUE_PRIORITY);
}

/* Opening needs nothing that is not there; making a queue, and descriptors, may need memory. */
static int open_and_create(void)
{
	struct tenon_queue *queue = make("full", TENON_QUEUE_FIFO), *second = NULL, *other = NULL;
	int fd = -1, result;

	CHECK(queue);
	CHECK_RESULT(fill_the_rest(queue, 5000), 0);
	result = tenon_queue_open(NULL, "other", TENON_QUEUE_CREATE, NULL, &other);
	CHECK(result == -ENOSPC && other == NULL);
	/* It left nothing of itself. */
	CHECK_RESULT(tenon_queue_open(NULL, "other", 0, NULL, &other), -ENOENT);
	result = tenon_queue_open(NULL, "full", 0, NULL, &second);
	CHECK(result == 0 || result == -ENOSPC);
	if (second) {
		CHECK_RESULT(tenon_queue_receive(second, got, sizeof(got), NULL, NULL), 0);
		second = tenon_queue_close(second);
	}
	result = tenon_queue_readable_fd(queue, &fd);
	CHECK(result == 0 || result == -ENOSPC);
	CHECK_RESULT(recovers(queue), 0);
	CHECK_RESULT(tenon_queue_readable_fd(queue, &fd), 0);
	tenon_queue_close(queue);
	CHECK_RESULT(tenon_queue_remove(NULL, "full"), 0);
	CHECK_RESULT(tenon_queue_open(NULL, "other", TENON_QUEUE_CREATE, NULL, &other), 0);
	other = tenon_queue_close(other);
	return tenon_queue_remove(NULL, "other");
}

/* Short, middling and long in turn: what is refused is not half there, and what fits still goes. */
static int mixed(uint32_t order)
{
	static const uint64_t sizes[] = {10, 700, 5000, 300, 20000};
	struct tenon_receive_options options = {.size = sizeof(options), .flags = TENON_NONBLOCK};
	struct tenon_queue *queue = make("full", order);
	struct tenon_message told;

	CHECK(queue);
	for (uint32_t round = 0; round < 3; round++) {
		uint64_t sent = 0;

		while (send_one(queue, sizes[sent % 5], sent) == 0)
			sent++;
		CHECK(sent > 20);
		for (uint64_t i = 0; i < sent; i++) {
			CHECK_RESULT(tenon_queue_receive(queue, got, sizeof(got), &options, &told),
				     0);
			CHECK(told.bytes == sizes[i % 5]);
			write_message(message, told.bytes, i);
			CHECK(memcmp(got, message, told.bytes) == 0);
		}
	}
	CHECK_RESULT(recovers(queue), 0);
	tenon_queue_close(queue);
	return 0;
}

static int mixed_fifo(void)
{
	return mixed(TENON_QUEUE_FIFO);
}

static int mixed_priority(void)
{
	return mixed(TENON_QUEUE_PRIORITY);
}

/* Two queues share the room: what one gives back the other has. */
static int two_queues(void)
{
	struct tenon_queue *one = make("full", TENON_QUEUE_FIFO);
	struct tenon_queue *other = make("other", TENON_QUEUE_PRIORITY);
	uint64_t sent;

	CHECK(one && other);
	CHECK_RESULT(send_one(other, 700, 0), 0);
	CHECK_RESULT(fill_the_rest(one, 5000), 0);
	/* The other one is full as well, and keeps what it has. */
	CHECK_RESULT(fill(other, PLAIN, 5000, 0, &sent), -ENOSPC);
	CHECK_RESULT(tenon_queue_check(other, NULL, 0), 0);
	CHECK_RESULT(empty(one), 0);
	one = tenon_queue_close(one);
	CHECK_RESULT(tenon_queue_remove(NULL, "full"), 0);
	CHECK_RESULT(fill(other, PLAIN, 5000, 0, &sent), -ENOSPC);
	CHECK(sent > 50);
	CHECK_RESULT(recovers(other), 0);
	other = tenon_queue_close(other);
	return tenon_queue_remove(NULL, "other");
}

/* The bug: what short messages had taken, a long one never got. */
static int short_then_long(void)
{
	struct tenon_queue *queue = make("full", TENON_QUEUE_FIFO);
	uint64_t sent;

	CHECK(queue);
	CHECK_RESULT(fill(queue, PLAIN, 700, 0, &sent), -ENOSPC);
	CHECK_RESULT(drain(queue, 700, 0, sent), 0);
	CHECK_RESULT(send_one(queue, BYTES_MOST, 1), 0);
	CHECK_RESULT(drain(queue, BYTES_MOST, 1, 1), 0);
	tenon_queue_close(queue);
	return 0;
}

static const struct other {
	const char *name;
	int (*run)(void);
} others[] = {
	{"fifo, filled and worked off by taking", take_fifo},
	{"priority, filled and worked off by taking", take_priority},
	{"typed, filled and worked off by taking", take_typed},
	{"fifo, held from before it was full", held_fifo},
	{"priority, held from before it was full", held_priority},
	{"opened, made and polled when full", open_and_create},
	{"fifo, mixed lengths", mixed_fifo},
	{"priority, mixed lengths", mixed_priority},
	{"two queues", two_queues},
	{"fifo, short ones and then a long one", short_then_long},
};
#define OTHERS (sizeof(others) / sizeof(others[0]))

/* In a process of its own: SIGBUS is one of the answers. */
static bool passes(const struct other *other, uint32_t order, enum way way, uint64_t bytes)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		status = other ? other->run() : run(order, way, bytes);
		fflush(stdout);
		_exit(status != 0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return false;
	if (WIFSIGNALED(status))
		printf("# killed by signal %d\n", WTERMSIG(status));
	if (status != 0 || other) {
		tenon_queue_remove(NULL, "full");
		tenon_queue_remove(NULL, "other");
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
	printf("1..%u\n", 3 * WAYS * 4 + (uint32_t)OTHERS);
	for (uint32_t order = TENON_QUEUE_FIFO; order <= TENON_QUEUE_TYPED; order++)
		for (uint32_t way = 0; way < WAYS; way++)
			for (uint32_t i = 0; i < 4; i++) {
				bool passed = passes(NULL, order, way, sizes[i]);

				failed += !passed;
				printf("%sok %u - %s, %s, %llu bytes\n", passed ? "" : "not ",
				       ++number, order_names[order], way_names[way],
				       (unsigned long long)sizes[i]);
			}
	for (uint32_t i = 0; i < OTHERS; i++) {
		bool passed = passes(&others[i], 0, 0, 0);

		failed += !passed;
		printf("%sok %u - %s\n", passed ? "" : "not ", ++number, others[i].name);
	}
	umount(folder);
	rmdir(folder);
	return failed > 0;
}
