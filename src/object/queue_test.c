/* SPDX-License-Identifier: Apache-2.0 */

/* Shows what tenon/queue.h says of each call, one requirement after the other. */

#include <tenon/queue.h>

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "core/test.h"

#define MS INT64_C(1000000)

static struct tenon_queue *make(uint32_t order, uint32_t full, uint64_t capacity, uint64_t bytes)
{
	struct tenon_queue_options options = {.size = sizeof(options),
					      .order = order,
					      .full = full,
					      .capacity = capacity,
					      .max_message_bytes = bytes,
					      .mode = 0600};
	struct tenon_queue *queue;

	tenon_queue_remove(NULL, "/test");
	REQUIRE(tenon_queue_open(NULL, "/test", TENON_QUEUE_CREATE | TENON_QUEUE_EXCLUSIVE,
				 &options, &queue) == 0);
	return queue;
}

static struct tenon_queue *reopen(void)
{
	struct tenon_queue *queue;

	REQUIRE(tenon_queue_open(NULL, "test", 0, NULL, &queue) == 0);
	return queue;
}

static struct tenon_queue_status status_of(struct tenon_queue *queue)
{
	struct tenon_queue_status status = {.size = sizeof(status)};

	REQUIRE(tenon_queue_status(queue, &status) == 0);
	return status;
}

static void done(struct tenon_queue *queue)
{
	char text[200] = "";
	int result = tenon_queue_check(queue, text, sizeof(text));

	if (result != 0)
		fprintf(stderr, "%s\n", text);
	REQUIRE(result == 0);
	REQUIRE(status_of(queue).leased == 0 && status_of(queue).loaned == 0);
	tenon_queue_close(queue);
	REQUIRE(tenon_queue_remove(NULL, "/test") == 0);
}

static int send_text(struct tenon_queue *queue, const char *text, uint64_t key)
{
	struct tenon_send_options options = {
		.size = sizeof(options), .flags = TENON_NONBLOCK, .key = key};

	return tenon_queue_send(queue, text, strlen(text), &options);
}

static bool receives(struct tenon_queue *queue, uint32_t select, uint64_t key, const char *text)
{
	struct tenon_receive_options options = {.size = sizeof(options),
						.flags = TENON_NONBLOCK,
						.select = select,
						.select_key = key};
	struct tenon_message message;
	char buffer[100];
	int result = tenon_queue_receive(queue, buffer, sizeof(buffer), &options, &message);

	if (!text)
		return result == -EAGAIN;
	return result == 0 && message.bytes == strlen(text) &&
	       memcmp(buffer, text, message.bytes) == 0;
}

static bool next_is(struct tenon_queue *queue, const char *text)
{
	return receives(queue, TENON_SELECT_ANY, 0, text);
}

static void test_open(void)
{
	struct tenon_queue_options options = {
		.size = sizeof(options), .max_message_bytes = 8, .capacity = 8, .mode = 0640};
	struct tenon_queue *queue, *other;
	char name[300];

	REQUIRE(tenon_queue_open(NULL, "/no", 0, NULL, &queue) == -ENOENT);
	REQUIRE(tenon_queue_open(NULL, "a/b", 0, NULL, &queue) == -EINVAL);
	REQUIRE(tenon_queue_open(NULL, "/", 0, NULL, &queue) == -EINVAL);
	REQUIRE(tenon_queue_open(NULL, "..", 0, NULL, &queue) == -EINVAL);
	memset(name, 'x', sizeof(name));
	name[256] = '\0';
	REQUIRE(tenon_queue_open(NULL, name, 0, NULL, &queue) == -ENAMETOOLONG);
	name[255] = '\0';
	REQUIRE(tenon_queue_open(NULL, name, 1, NULL, &queue) == 0);
	tenon_queue_close(queue);
	REQUIRE(tenon_queue_remove(NULL, name) == 0);
	umask(0);
	REQUIRE(tenon_queue_open(NULL, "/test", 3, &options, &queue) == 0);
	REQUIRE(tenon_queue_open(NULL, "/test", 3, &options, &other) == -EEXIST);
	REQUIRE(tenon_queue_open(NULL, "test", 1, &options, &other) == 0);
	REQUIRE(status_of(other).mode == 0640 && status_of(other).participants == 2);
	tenon_queue_close(other);
	REQUIRE(status_of(queue).participants == 1);
	/* Removed: those who have it open go on. */
	REQUIRE(tenon_queue_remove(NULL, "/test") == 0);
	REQUIRE(tenon_queue_remove(NULL, "/test") == -ENOENT);
	REQUIRE(send_text(queue, "still", 0) == 0 && next_is(queue, "still"));
	tenon_queue_close(queue);
	options.flags = 2;
	REQUIRE(tenon_queue_open(NULL, "/test", 3, &options, &queue) == -EINVAL);
}

static void test_orders(void)
{
	struct tenon_queue *queue = make(TENON_QUEUE_PRIORITY, 0, 10, 100);

	REQUIRE(send_text(queue, "low", 1) == 0 && send_text(queue, "high", 9) == 0);
	REQUIRE(send_text(queue, "high2", 9) == 0 && send_text(queue, "top", 32767) == 0);
	REQUIRE(send_text(queue, "over", 32768) == -EINVAL);
	REQUIRE(next_is(queue, "top") && next_is(queue, "high") && next_is(queue, "high2"));
	REQUIRE(next_is(queue, "low") && next_is(queue, NULL));
	done(queue);
	queue = make(TENON_QUEUE_TYPED, 0, 10, 100);
	REQUIRE(send_text(queue, "five", 5) == 0 && send_text(queue, "three", 3) == 0);
	REQUIRE(send_text(queue, "five2", 5) == 0 && send_text(queue, "huge", UINT64_MAX) == 0);
	REQUIRE(send_text(queue, "three2", 3) == 0);
	REQUIRE(receives(queue, TENON_SELECT_EXACTLY, 4, NULL));
	REQUIRE(receives(queue, TENON_SELECT_LOWEST_TO, 2, NULL));
	REQUIRE(receives(queue, TENON_SELECT_LOWEST_TO, 9, "three"));
	REQUIRE(receives(queue, TENON_SELECT_ALL_BUT, 5, "huge"));
	REQUIRE(receives(queue, TENON_SELECT_ALL_BUT, 5, "three2"));
	REQUIRE(receives(queue, TENON_SELECT_ALL_BUT, 5, NULL));
	REQUIRE(next_is(queue, "five") && receives(queue, TENON_SELECT_EXACTLY, 5, "five2"));
	done(queue);
}

static void test_full(void)
{
	struct tenon_queue *queue = make(0, TENON_QUEUE_FAIL, 2, 100);
	struct tenon_queue_status status;

	REQUIRE(send_text(queue, "1", 0) == 0 && send_text(queue, "2", 0) == 0);
	REQUIRE(tenon_queue_send(queue, "3", 1, NULL) == -EAGAIN);
	done(queue);
	queue = make(0, TENON_QUEUE_DROP_OLDEST, 2, 100);
	for (int i = 0; i < 5; i++)
		REQUIRE(tenon_queue_send(queue, &"01234"[i], 1, NULL) == 0);
	status = status_of(queue);
	REQUIRE(status.sent == 5 && status.dropped == 3 && status.messages == 2);
	REQUIRE(next_is(queue, "3") && next_is(queue, "4") && next_is(queue, NULL));
	done(queue);
	queue = make(0, TENON_QUEUE_DROP_NEWEST, 2, 100);
	for (int i = 0; i < 5; i++)
		REQUIRE(tenon_queue_send(queue, &"01234"[i], 1, NULL) == 0);
	status = status_of(queue);
	REQUIRE(status.sent == 5 && status.dropped == 3 && status.messages == 2);
	REQUIRE(next_is(queue, "0") && next_is(queue, "1") && next_is(queue, NULL));
	done(queue);
}

static void test_sizes(uint32_t order)
{
	static const uint64_t sizes[] = {0, 1, 7, 8, 9, 1000, 4063, 4064, 16384, 16385, 100000};
	struct tenon_queue *queue = make(order, 0, 64, 100000);
	uint8_t *out = malloc(100001), *in = malloc(100001);
	struct tenon_message message;

	for (int round = 0; round < 8; round++) {
		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			memset(out, (int)i + 1, sizes[i]);
			REQUIRE(tenon_queue_send(queue, out, sizes[i], NULL) == 0);
		}
		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			memset(out, (int)i + 1, sizes[i]);
			REQUIRE(tenon_queue_peek(queue, 0, in, 100000, &message) == 0);
			REQUIRE(message.bytes == sizes[i] && memcmp(in, out, sizes[i]) == 0);
			REQUIRE(tenon_queue_receive(queue, in, 100000, NULL, &message) == 0);
			REQUIRE(message.bytes == sizes[i] && memcmp(in, out, sizes[i]) == 0);
			REQUIRE(message.sender_pid == getpid() && message.deliveries == 0);
		}
	}
	REQUIRE(tenon_queue_send(queue, out, 100001, NULL) == -EMSGSIZE);
	REQUIRE(tenon_queue_send(queue, "four", 4, NULL) == 0);
	REQUIRE(tenon_queue_receive(queue, in, 3, NULL, NULL) == -EMSGSIZE);
	REQUIRE(tenon_queue_receive(queue, in, 3,
				    &(struct tenon_receive_options){
					    .size = sizeof(struct tenon_receive_options),
					    .flags = TENON_TRUNCATE},
				    &message) == 0);
	REQUIRE(message.bytes == 4 && memcmp(in, "fou", 3) == 0);
	free(in);
	free(out);
	done(queue);
}

static void test_leases(uint32_t order, uint64_t bytes)
{
	struct tenon_queue *queue = make(order, 0, 4, 20000), *other;
	char *data = calloc(1, bytes);
	struct tenon_lease lease[4];
	struct tenon_message message;

	for (int i = 0; i < 4; i++) {
		data[0] = (char)('a' + i);
		REQUIRE(tenon_queue_send(queue, data, bytes, NULL) == 0);
	}
	for (int i = 0; i < 4; i++)
		REQUIRE(tenon_queue_take(queue, NULL, &lease[i]) == 0 &&
			*(const char *)lease[i].data == 'a' + i);
	REQUIRE(next_is(queue, NULL) && send_text(queue, "full", 0) == -EAGAIN);
	REQUIRE(status_of(queue).leased == 4);
	/* Back in their order, whatever the order of returning. */
	REQUIRE(tenon_queue_return(queue, &lease[2]) == 0);
	REQUIRE(tenon_queue_return(queue, &lease[0]) == 0);
	REQUIRE(tenon_queue_return(queue, &lease[1]) == 0);
	REQUIRE(tenon_queue_done(queue, &lease[3]) == 0);
	REQUIRE(tenon_queue_done(queue, &lease[3]) == -EINVAL);
	for (int i = 0; i < 3; i++) {
		REQUIRE(tenon_queue_receive(queue, data, bytes, NULL, &message) == 0);
		REQUIRE(data[0] == 'a' + i && message.deliveries == 1);
	}
	/* A handle that is closed returns what it had taken and frees what it had loaned. */
	other = reopen();
	REQUIRE(tenon_queue_send(queue, data, bytes, NULL) == 0);
	REQUIRE(tenon_queue_take(other, NULL, &lease[0]) == 0);
	REQUIRE(tenon_queue_loan(other, 100, &(struct tenon_loan){0}) == 0);
	REQUIRE(tenon_queue_done(queue, &lease[0]) == -EINVAL);
	tenon_queue_close(other);
	REQUIRE(tenon_queue_receive(queue, data, bytes, NULL, NULL) == 0);
	free(data);
	done(queue);
}

static void test_loans(void)
{
	struct tenon_queue *queue = make(0, 0, 2, 1 << 20);
	struct tenon_lease lease;
	struct tenon_loan loan;

	REQUIRE(tenon_queue_loan(queue, (1 << 20) + 1, &loan) == -EMSGSIZE);
	for (int i = 0; i < 100; i++) {
		REQUIRE(tenon_queue_loan(queue, 1 << 20, &loan) == 0);
		memset(loan.data, i, 1 << 20);
		REQUIRE(tenon_queue_commit(queue, &loan, (1 << 20) + 1, NULL) == -EINVAL);
		REQUIRE(tenon_queue_commit(queue, &loan, 1 << 20, NULL) == 0);
		REQUIRE(tenon_queue_commit(queue, &loan, 0, NULL) == -EINVAL);
		REQUIRE(tenon_queue_take(queue, NULL, &lease) == 0);
		REQUIRE(lease.message.bytes == 1 << 20);
		REQUIRE(((const uint8_t *)lease.data)[(1 << 20) - 1] == i);
		REQUIRE(tenon_queue_done(queue, &lease) == 0);
		REQUIRE(tenon_queue_loan(queue, 10, &loan) == 0);
		REQUIRE(tenon_queue_abandon(queue, &loan) == 0);
	}
	/* No more memory than it has held at once. */
	REQUIRE(status_of(queue).memory_bytes < 3 << 20);
	done(queue);
}

/* What fits is sent, whatever is done when the queue is full; and memory that is not used is given
 * back when somebody asks for that. */
static void test_batch_and_recover(uint32_t full)
{
	struct tenon_queue *queue = make(TENON_QUEUE_FIFO, full, 2000, 1 << 20);
	struct tenon_send_options *options = malloc(8); /* as an older program has them */
	struct tenon_receive_options nonblock = {.size = sizeof(nonblock), .flags = TENON_NONBLOCK};
	struct tenon_slice slices[1000];
	uint8_t *large = calloc(1, 1 << 20);
	uint32_t sent, freed;

	memcpy(options, (uint32_t[2]){8, 0}, 8);
	for (int i = 0; i < 1000; i++)
		slices[i] = (struct tenon_slice){.data = large, .bytes = i % 100 == 3 ? 20000 : 64};
	for (int round = 0; round < 3; round++) {
		REQUIRE(tenon_queue_send_batch(queue, slices, 1000, options, &sent) == 0);
		REQUIRE(sent == 1000);
		while (tenon_queue_receive(queue, large, 1 << 20, &nonblock, NULL) == 0)
			continue;
	}
	for (int i = 0; i < 10; i++)
		REQUIRE(tenon_queue_send(queue, large, 1 << 20, NULL) == 0);
	for (int i = 0; i < 10; i++)
		REQUIRE(tenon_queue_receive(queue, large, 1 << 20, NULL, NULL) == 0);
	REQUIRE(status_of(queue).memory_bytes > 10 << 20);
	REQUIRE(tenon_queue_recover(queue, &freed) == 0 && freed == 0);
	REQUIRE(status_of(queue).memory_bytes < 1 << 20);
	REQUIRE(tenon_queue_send(queue, large, 1 << 20, NULL) == 0);
	free(options);
	free(large);
	done(queue);
}

static void test_batches(uint32_t order, uint64_t bytes)
{
	struct tenon_queue *queue = make(order, 0, 1000, 20000);
	struct tenon_message messages[300];
	struct tenon_slice slices[300];
	char *out = malloc(bytes), *in = malloc(300 * bytes);
	uint32_t sent, count, total = 0;

	memset(out, 7, bytes);
	for (int i = 0; i < 300; i++)
		slices[i] = (struct tenon_slice){.data = out, .bytes = bytes};
	for (int round = 0; round < 3; round++)
		REQUIRE(tenon_queue_send_batch(queue, slices, 300, NULL, &sent) == 0 &&
			sent == 300);
	REQUIRE(tenon_queue_send_batch(queue, slices, 300, NULL, &sent) == 0 && sent == 100);
	while (total < 1000) {
		REQUIRE(tenon_queue_receive_batch(queue, in, 300 * bytes, 300, NULL, messages,
						  &count) == 0);
		for (uint32_t i = 0; i < count; i++)
			REQUIRE(messages[i].bytes == bytes && messages[i].sequence == total + i &&
				memcmp(in + i * bytes, out, bytes) == 0);
		total += count;
	}
	REQUIRE(total == 1000 && next_is(queue, NULL));
	/* Nothing was delivered twice on the way. */
	REQUIRE(status_of(queue).redelivered == 0);
	free(in);
	free(out);
	done(queue);
}

static void *receive_late(void *queue)
{
	char buffer[100];

	REQUIRE(tenon_queue_receive(queue, buffer, sizeof(buffer), NULL, NULL) == 0);
	return NULL;
}

/* With the shortest messages there are more slots than a 32-bit count of them can tell. */
static void test_rendezvous(uint64_t bytes)
{
	struct tenon_queue *queue = make(0, 0, TENON_QUEUE_RENDEZVOUS, bytes);
	struct tenon_send_options options = {.size = sizeof(options)};
	pthread_t receiver;

	REQUIRE(send_text(queue, "nobody", 0) == -EAGAIN);
	options.deadline_ns = tenon_deadline_after(20 * MS);
	REQUIRE(tenon_queue_send(queue, "late", 4, &options) == -ETIMEDOUT);
	REQUIRE(next_is(queue, NULL));
	for (int i = 0; i < 50; i++) {
		REQUIRE(pthread_create(&receiver, NULL, receive_late, queue) == 0);
		REQUIRE(tenon_queue_send(queue, "x", 1, NULL) == 0);
		pthread_join(receiver, NULL);
	}
	REQUIRE(status_of(queue).messages == 0);
	done(queue);
}

static void test_receipts(void)
{
	struct tenon_queue *queue = make(0, 0, 4, 100);
	struct tenon_send_options options = {.size = sizeof(options), .flags = TENON_WANT_RECEIPT};
	uint64_t receipt, again;
	int32_t pid = 0;
	pid_t child;

	for (int i = 0; i < 20; i++) {
		REQUIRE(tenon_queue_send(queue, "x", 1, &options) == 0);
		REQUIRE(tenon_queue_last_receipt(queue, &receipt) == 0);
		REQUIRE(tenon_queue_receipt(queue, receipt, 1, &pid) == -ETIMEDOUT);
		child = fork();
		if (child == 0) {
			char buffer[10];

			REQUIRE(tenon_queue_receive(queue, buffer, 10, NULL, NULL) == 0);
			_exit(0);
		}
		REQUIRE(tenon_queue_receipt(queue, receipt, TENON_NO_DEADLINE, &pid) == 0);
		REQUIRE(pid == child);
		REQUIRE(tenon_queue_receipt(queue, receipt, 1, &pid) == -EINVAL);
		REQUIRE(waitpid(child, NULL, 0) == child);
	}
	REQUIRE(tenon_queue_last_receipt(queue, &again) == 0 && again == receipt);
	done(queue);
}

static bool is_ready(int fd)
{
	struct pollfd ready = {.fd = fd, .events = POLLIN};

	return poll(&ready, 1, 0) == 1;
}

static void test_descriptors(void)
{
	struct tenon_queue *queue = make(0, 0, 2, 100);
	struct tenon_queue *other = reopen();
	struct tenon_lease lease;
	int readable, writable;

	REQUIRE(tenon_queue_readable_fd(queue, &readable) == 0);
	REQUIRE(tenon_queue_writable_fd(queue, &writable) == 0);
	REQUIRE(!is_ready(readable) && is_ready(writable));
	REQUIRE(send_text(other, "1", 0) == 0);
	REQUIRE(is_ready(readable) && is_ready(writable));
	REQUIRE(send_text(other, "2", 0) == 0);
	REQUIRE(is_ready(readable) && !is_ready(writable));
	REQUIRE(next_is(other, "1"));
	REQUIRE(is_ready(readable) && is_ready(writable));
	REQUIRE(tenon_queue_take(other, NULL, &lease) == 0);
	REQUIRE(!is_ready(readable) && is_ready(writable));
	REQUIRE(tenon_queue_return(other, &lease) == 0);
	REQUIRE(is_ready(readable));
	REQUIRE(next_is(queue, "2"));
	REQUIRE(!is_ready(readable) && is_ready(writable));
	tenon_queue_close(other);
	done(queue);
}

static void nothing(int signal)
{
	(void)signal;
}

static void *wait_for_either(void *context)
{
	uint32_t events = 0;

	REQUIRE(tenon_queue_wait(context, TENON_READABLE | TENON_WRITABLE,
				 tenon_deadline_after(5000 * MS), &events) == 0);
	return (void *)(uintptr_t)events;
}

/* Who waits for both is told of room as well as of messages. */
static void test_waits_for_either(void)
{
	struct tenon_queue *queue = make(0, 0, 1, 100);
	struct tenon_lease lease;
	pthread_t thread;
	void *events;

	for (int round = 0; round < 2; round++) {
		REQUIRE(send_text(queue, "x", 0) == 0);
		REQUIRE(tenon_queue_take(queue, NULL, &lease) == 0);
		REQUIRE(pthread_create(&thread, NULL, wait_for_either, queue) == 0);
		while (status_of(queue).receivers_waiting == 0)
			sched_yield();
		REQUIRE((round == 0 ? tenon_queue_done(queue, &lease)
				    : tenon_queue_return(queue, &lease)) == 0);
		REQUIRE(pthread_join(thread, &events) == 0);
		REQUIRE((uintptr_t)events == (round == 0 ? TENON_WRITABLE : TENON_READABLE));
	}
	REQUIRE(next_is(queue, "x"));
	done(queue);
}

static void test_waits(void)
{
	struct tenon_queue *queue = make(0, 0, 1, 100);
	struct tenon_receive_options options = {.size = sizeof(options)};
	struct sigaction action = {.sa_handler = nothing};
	timer_t timer;
	/* Again and again: the first one may come before the wait. */
	struct itimerspec soon = {.it_value.tv_nsec = 20 * MS, .it_interval.tv_nsec = 20 * MS};
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM};
	uint32_t events;
	int64_t before = tenon_deadline_after(0);
	char buffer[100];

	options.deadline_ns = tenon_deadline_after(30 * MS);
	REQUIRE(tenon_queue_receive(queue, buffer, 100, &options, NULL) == -ETIMEDOUT);
	REQUIRE(tenon_deadline_after(0) - before >= 30 * MS);
	REQUIRE(tenon_queue_wait(queue, TENON_WRITABLE, 1, &events) == 0 &&
		events == TENON_WRITABLE);
	REQUIRE(tenon_queue_wait(queue, TENON_READABLE, 1, &events) == -ETIMEDOUT);
	REQUIRE(send_text(queue, "x", 0) == 0);
	REQUIRE(tenon_queue_wait(queue, TENON_READABLE, 1, &events) == 0);
	REQUIRE(tenon_queue_wait(queue, TENON_WRITABLE, 1, &events) == -ETIMEDOUT);
	REQUIRE(next_is(queue, "x"));
	sigaction(SIGALRM, &action, NULL);
	REQUIRE(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
	REQUIRE(timer_settime(timer, 0, &soon, NULL) == 0);
	REQUIRE(tenon_queue_receive(queue, buffer, 100, NULL, NULL) == -EINTR);
	timer_delete(timer);
	done(queue);
}

/* A child goes on with the parent's handle as a process of its own; the parent's leases stay. */
static void test_fork(void)
{
	struct tenon_queue *queue = make(0, 0, 10, 100);
	struct tenon_lease lease;
	int status;
	pid_t child;

	REQUIRE(send_text(queue, "mine", 0) == 0 && send_text(queue, "its", 0) == 0);
	REQUIRE(tenon_queue_take(queue, NULL, &lease) == 0);
	child = fork();
	if (child == 0) {
		struct tenon_lease taken;

		REQUIRE(tenon_queue_done(queue, &lease) == -EINVAL);
		REQUIRE(tenon_queue_take(queue, NULL, &taken) == 0);
		REQUIRE(memcmp(taken.data, "its", 3) == 0);
		raise(SIGKILL);
	}
	REQUIRE(waitpid(child, &status, 0) == child && WIFSIGNALED(status));
	REQUIRE(tenon_queue_recover(queue, NULL) == 0);
	REQUIRE(next_is(queue, "its") && tenon_queue_done(queue, &lease) == 0);
	done(queue);
}

static void test_unbounded(uint32_t order)
{
	struct tenon_queue *queue = make(order, 0, TENON_QUEUE_UNBOUNDED, 100);
	uint64_t number, full_bytes = 0;

	for (int round = 0; round < 3; round++) {
		for (number = 0; number < 20000; number++)
			REQUIRE(tenon_queue_send(queue, &number, sizeof(number), NULL) == 0);
		if (round == 0)
			full_bytes = status_of(queue).memory_bytes;
		for (uint64_t i = 0; i < 20000; i++)
			REQUIRE(tenon_queue_receive(queue, &number, sizeof(number), NULL, NULL) ==
					0 &&
				number == i);
	}
	REQUIRE(status_of(queue).high_messages == 20000);
	REQUIRE(status_of(queue).memory_bytes <= full_bytes + 64 * 1024);
	done(queue);
}

int main(void)
{
	test_folder_make();
	test_open();
	test_orders();
	test_full();
	for (uint32_t order = 0; order <= TENON_QUEUE_TYPED; order++) {
		test_sizes(order);
		test_leases(order, 8);
		test_leases(order, 20000);
		test_batches(order, 64);
		test_batches(order, 20000);
		test_unbounded(order);
	}
	for (uint32_t full = TENON_QUEUE_WAIT; full <= TENON_QUEUE_DROP_NEWEST; full++)
		test_batch_and_recover(full);
	test_loans();
	test_rendezvous(100);
	test_rendezvous(16);
	test_receipts();
	test_descriptors();
	test_waits();
	test_waits_for_either();
	test_fork();
	return 0;
}
