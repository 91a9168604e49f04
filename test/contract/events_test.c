/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The queue's descriptors where the header says that they may be used: in epoll(7) and io_uring(7).
 * Every case runs with both.  select(2) and poll(2) have users_test.c and the command.
 */

#include <errno.h>
#include <linux/io_uring.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "contract.h"

#define NAME "/events"
#define LIMIT_NS (20 * SECOND_NS)
#define ENTRIES 8u
#define RECEIVERS 4u
#define CROWD_MESSAGES 2000u
#define LAST UINT64_MAX

/* Something that tells whether a descriptor is readable. */
struct watcher {
	bool uses_ring;
	int fd; /* of the epoll or the ring */
	int watched;
	/* The ring's. */
	struct io_uring_params params;
	uint8_t *submissions, *completions;
	struct io_uring_sqe *entries;
};

static uint32_t *ring_word(uint8_t *ring, uint32_t offset)
{
	return (uint32_t *)(ring + offset);
}

static void *map_ring(const struct watcher *watcher, size_t bytes, off_t offset)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
			    watcher->fd, offset);

	REQUIRE(memory != MAP_FAILED);
	return memory;
}

static void open_ring(struct watcher *watcher)
{
	struct io_uring_params *params = &watcher->params;

	memset(params, 0, sizeof(*params));
	watcher->fd = (int)syscall(SYS_io_uring_setup, ENTRIES, params);
	if (watcher->fd < 0 && (errno == ENOSYS || errno == EPERM))
		contract_skip(errno == ENOSYS ? "this kernel has no io_uring"
					      : "this process may not use io_uring");
	REQUIRE(watcher->fd >= 0);
	watcher->submissions = map_ring(watcher, params->sq_off.array + params->sq_entries * 4,
					IORING_OFF_SQ_RING);
	watcher->completions = map_ring(
		watcher, params->cq_off.cqes + params->cq_entries * sizeof(struct io_uring_cqe),
		IORING_OFF_CQ_RING);
	watcher->entries = map_ring(watcher, params->sq_entries * sizeof(struct io_uring_sqe),
				    IORING_OFF_SQES);
}

static struct watcher watch(bool uses_ring, int watched)
{
	struct watcher watcher = {.uses_ring = uses_ring, .watched = watched};
	struct epoll_event event = {.events = EPOLLIN, .data.fd = watched};

	if (uses_ring) {
		open_ring(&watcher);
		return watcher;
	}
	watcher.fd = epoll_create1(EPOLL_CLOEXEC);
	REQUIRE(watcher.fd >= 0);
	REQUIRE(epoll_ctl(watcher.fd, EPOLL_CTL_ADD, watched, &event) == 0);
	return watcher;
}

static void submit(struct watcher *watcher, const struct io_uring_sqe *entry)
{
	const struct io_sqring_offsets *offsets = &watcher->params.sq_off;
	uint32_t *tail = ring_word(watcher->submissions, offsets->tail);
	uint32_t mask = *ring_word(watcher->submissions, offsets->ring_mask);
	uint32_t at = *tail & mask;

	watcher->entries[at] = *entry;
	ring_word(watcher->submissions, offsets->array)[at] = at;
	__atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
	REQUIRE(syscall(SYS_io_uring_enter, watcher->fd, 1, 0, 0, NULL, 0) == 1);
}

/* Takes a completion, for which it waits or not; false: there is none. */
static bool complete(struct watcher *watcher, bool waits, struct io_uring_cqe *ret_completion)
{
	const struct io_cqring_offsets *offsets = &watcher->params.cq_off;
	uint32_t *head = ring_word(watcher->completions, offsets->head);
	uint32_t *tail = ring_word(watcher->completions, offsets->tail);
	uint32_t mask = *ring_word(watcher->completions, offsets->ring_mask);
	const struct io_uring_cqe *all = (struct io_uring_cqe *)(watcher->completions +
								 offsets->cqes);

	while (__atomic_load_n(tail, __ATOMIC_ACQUIRE) == *head) {
		if (!waits)
			return false;
		if (syscall(SYS_io_uring_enter, watcher->fd, 0, 1, IORING_ENTER_GETEVENTS, NULL,
			    0) < 0)
			REQUIRE(errno == EINTR);
	}
	*ret_completion = all[*head & mask];
	__atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
	return true;
}

#define POLLED 1u
#define TAKEN_BACK 2u

/* One poll.  One that waits ends when there is something; one that does not is taken back. */
static bool ring_is_ready(struct watcher *watcher, bool waits)
{
	struct io_uring_sqe poll = {.opcode = IORING_OP_POLL_ADD,
				    .fd = watcher->watched,
				    .poll_events = POLLIN,
				    .user_data = POLLED};
	struct io_uring_sqe remove = {
		.opcode = IORING_OP_POLL_REMOVE, .addr = POLLED, .user_data = TAKEN_BACK};
	struct io_uring_cqe completion;
	bool ready = false, polled = false, removed = waits;

	submit(watcher, &poll);
	if (!waits)
		submit(watcher, &remove);
	while (!polled || !removed) {
		REQUIRE(complete(watcher, true, &completion));
		if (completion.user_data == TAKEN_BACK) {
			removed = true;
			continue;
		}
		polled = true;
		ready = completion.res > 0;
		EXPECT(completion.res == -ECANCELED || completion.res & POLLIN);
	}
	return ready;
}

static bool is_ready(struct watcher *watcher, bool waits)
{
	struct epoll_event event = {0};
	int count;

	if (watcher->uses_ring)
		return ring_is_ready(watcher, waits);
	do
		count = epoll_wait(watcher->fd, &event, 1, waits ? -1 : 0);
	while (count < 0 && errno == EINTR);
	if (count == 1) {
		EXPECT_IS(event.data.fd, watcher->watched);
		EXPECT_IS((int64_t)event.events, EPOLLIN);
	}
	return count == 1;
}

static struct tenon_queue *begin(uint32_t order, uint64_t capacity)
{
	const struct tenon_queue_options options = {.size = sizeof(options),
						    .order = order,
						    .capacity = capacity,
						    .max_message_bytes = 64};

	return contract_create(NAME, &options);
}

/* It is told of again and again, until the last message is gone. */
static void level(bool uses_ring, uint32_t order)
{
	struct tenon_queue *queue = begin(order, 8);
	struct watcher watcher;
	uint64_t number;
	int fd = -1;

	REQUIRE(tenon_queue_readable_fd(queue, &fd) == 0);
	watcher = watch(uses_ring, fd);
	EXPECT(!is_ready(&watcher, false));
	for (uint64_t i = 0; i < 3; i++)
		EXPECT_IS(contract_send(queue, i, LIMIT_NS), 0);
	for (uint64_t i = 0; i < 3; i++) {
		EXPECT(is_ready(&watcher, true));
		EXPECT(is_ready(&watcher, false));
		EXPECT_IS(contract_receive(queue, &number, LIMIT_NS), 0);
		EXPECT_IS((int64_t)number, (int64_t)i);
	}
	EXPECT(!is_ready(&watcher, false));
	EXPECT_IS(contract_send(queue, 3, LIMIT_NS), 0);
	EXPECT(is_ready(&watcher, false));
	queue = tenon_queue_close(queue);
}

/* The same for room. */
static void room(bool uses_ring)
{
	struct tenon_queue *queue = begin(TENON_QUEUE_FIFO, 2);
	struct watcher watcher;
	uint64_t number;
	int fd = -1;

	REQUIRE(tenon_queue_writable_fd(queue, &fd) == 0);
	watcher = watch(uses_ring, fd);
	EXPECT(is_ready(&watcher, false));
	EXPECT_IS(contract_send(queue, 0, LIMIT_NS), 0);
	EXPECT(is_ready(&watcher, true));
	EXPECT_IS(contract_send(queue, 1, LIMIT_NS), 0);
	EXPECT(!is_ready(&watcher, false));
	EXPECT_IS(contract_receive(queue, &number, LIMIT_NS), 0);
	EXPECT(is_ready(&watcher, false));
	EXPECT(is_ready(&watcher, true));
	queue = tenon_queue_close(queue);
}

struct crowd {
	uint64_t received, last;
	uint32_t watching;
};

static struct crowd *crowd;
static bool crowd_uses_ring;
static struct tenon_queue *inherited;

/* Sleeps for messages, and takes all there are, until one says that it is the last.  Half of them use the
 * handle of their parent. */
static void watch_and_receive(void *context)
{
	struct tenon_receive_options options = {.size = sizeof(options), .flags = TENON_NONBLOCK};
	struct tenon_queue *queue = (uintptr_t)context % 2 ? inherited : contract_open(NAME);
	struct watcher watcher;
	uint64_t number = 0;
	int fd = -1, result;

	REQUIRE(tenon_queue_readable_fd(queue, &fd) == 0);
	watcher = watch(crowd_uses_ring, fd);
	__atomic_fetch_add(&crowd->watching, 1, __ATOMIC_SEQ_CST);
	while (number != LAST) {
		REQUIRE(is_ready(&watcher, true));
		/* Somebody else may have been faster. */
		result = tenon_queue_receive(queue, &number, sizeof(number), &options, NULL);
		EXPECT(result == 0 || result == -EAGAIN);
		if (result == 0 && number != LAST)
			__atomic_fetch_add(&crowd->received, 1, __ATOMIC_SEQ_CST);
	}
	queue = tenon_queue_close(queue);
}

/* Nobody sleeps on while there is a message: each of many senders' messages is received, though the
 * queue turns empty all the time, and a receiver is killed in between. */
static void processes(bool uses_ring)
{
	pid_t child[RECEIVERS], victim;

	if (uses_ring) {
		struct watcher probe = {.uses_ring = true};

		open_ring(&probe);
		close(probe.fd);
	}
	crowd = contract_share(sizeof(*crowd));
	crowd_uses_ring = uses_ring;
	inherited = begin(TENON_QUEUE_FIFO, 4);
	victim = contract_start(watch_and_receive, NULL);
	for (uintptr_t i = 0; i < RECEIVERS; i++)
		child[i] = contract_start(watch_and_receive, (void *)i);
	while (__atomic_load_n(&crowd->watching, __ATOMIC_SEQ_CST) < RECEIVERS + 1)
		sched_yield();
	for (uint64_t i = 0; i < CROWD_MESSAGES; i++) {
		/* It may have received one that it did not count. */
		if (i == CROWD_MESSAGES / 2)
			contract_kill(victim);
		EXPECT_IS(contract_send(inherited, i, LIMIT_NS), 0);
	}
	for (uint32_t i = 0; i < RECEIVERS; i++)
		EXPECT_IS(contract_send(inherited, LAST, LIMIT_NS), 0);
	for (uint32_t i = 0; i < RECEIVERS; i++)
		contract_await(child[i]);
	EXPECT(crowd->received == CROWD_MESSAGES || crowd->received == CROWD_MESSAGES - 1);
	contract_expect_sound(inherited);
	inherited = tenon_queue_close(inherited);
}

static void make_room(void *context)
{
	struct tenon_queue *queue = contract_open(NAME);
	uint64_t number;

	(void)context;
	for (uint64_t i = 0; i < CROWD_MESSAGES; i++) {
		EXPECT_IS(contract_receive(queue, &number, LIMIT_NS), 0);
		EXPECT_IS((int64_t)number, (int64_t)i);
	}
	queue = tenon_queue_close(queue);
}

/* One sleeps for room, another process makes it. */
static void room_of_another(bool uses_ring)
{
	struct tenon_queue *queue = begin(TENON_QUEUE_FIFO, 2);
	struct tenon_send_options options = {.size = sizeof(options), .flags = TENON_NONBLOCK};
	struct watcher watcher;
	pid_t child;
	int fd = -1, result;

	REQUIRE(tenon_queue_writable_fd(queue, &fd) == 0);
	watcher = watch(uses_ring, fd);
	child = contract_start(make_room, NULL);
	for (uint64_t i = 0; i < CROWD_MESSAGES;) {
		REQUIRE(is_ready(&watcher, true));
		result = tenon_queue_send(queue, &i, sizeof(i), &options);
		EXPECT(result == 0 || result == -EAGAIN);
		i += result == 0;
	}
	contract_await(child);
	contract_expect_sound(queue);
	queue = tenon_queue_close(queue);
}

#define BOTH(name, ...)                  \
	static void name##_epoll(void)   \
	{                                \
		const bool ring = false; \
		__VA_ARGS__;             \
	}                                \
	static void name##_ring(void)    \
	{                                \
		const bool ring = true;  \
		__VA_ARGS__;             \
	}

BOTH(test_level, level(ring, TENON_QUEUE_FIFO))
BOTH(test_level_ordered, level(ring, TENON_QUEUE_PRIORITY))
BOTH(test_room, room(ring))
BOTH(test_processes, processes(ring))
BOTH(test_room_of_another, room_of_another(ring))

static void test_select(void)
{
	struct tenon_queue *queue = begin(TENON_QUEUE_FIFO, 2);
	struct timeval now = {0, 0};
	fd_set set;
	int fd = -1;

	REQUIRE(tenon_queue_readable_fd(queue, &fd) == 0 && fd < FD_SETSIZE);
	for (int messages = 0; messages < 2; messages++) {
		FD_ZERO(&set);
		FD_SET(fd, &set);
		EXPECT_IS(select(fd + 1, &set, NULL, NULL, &now), messages);
		EXPECT_IS(contract_send(queue, 1, LIMIT_NS), 0);
	}
	queue = tenon_queue_close(queue);
}

int main(void)
{
	static const struct contract_case cases[] = {
		{"epoll tells of messages, as long as there are some", test_level_epoll, NULL},
		{"io_uring tells of messages, as long as there are some", test_level_ring, NULL},
		{"epoll tells of messages by priority", test_level_ordered_epoll, NULL},
		{"io_uring tells of messages by priority", test_level_ordered_ring, NULL},
		{"epoll tells of room", test_room_epoll, NULL},
		{"io_uring tells of room", test_room_ring, NULL},
		{"processes sleep in epoll for messages", test_processes_epoll, NULL},
		{"processes sleep in io_uring for messages", test_processes_ring, NULL},
		{"one sleeps in epoll for room that another makes", test_room_of_another_epoll,
		 NULL},
		{"one sleeps in io_uring for room that another makes", test_room_of_another_ring,
		 NULL},
		{"select tells of messages", test_select, NULL},
	};

	return contract_main(cases, sizeof(cases) / sizeof(cases[0]));
}
