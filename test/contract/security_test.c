/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What docs/SECURITY.md says that a process may do to others which may use the same queue: fill it, drain
 * it, hold it up, and cut its file off under them.  What it may never do to them is in test/hostile.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "object/queue_private.h"
#include "users.h"

#define NAME "/security"
#define LIMIT_NS (20 * SECOND_NS)
/* Longer than a locker believes in an owner without a look. */
#define LONG_MS 2500
#define WAITERS 4u

static uint32_t *ready; /* shared */
static int64_t *due_ns; /* shared: when a sender's time is up */

static struct tenon_queue *begin(uint64_t capacity)
{
	const struct tenon_queue_options options = {
		.size = sizeof(options), .capacity = capacity, .max_message_bytes = 64};

	ready = contract_share(sizeof(*ready));
	return contract_create(NAME, &options);
}

static void say_ready(void)
{
	__atomic_fetch_add(ready, 1, __ATOMIC_SEQ_CST);
}

static void await_ready(uint32_t count)
{
	while (__atomic_load_n(ready, __ATOMIC_SEQ_CST) < count)
		sched_yield();
}

static void fill(void *context)
{
	struct tenon_send_options options = {.size = sizeof(options), .flags = TENON_NONBLOCK};
	struct tenon_queue *queue = contract_open(NAME);
	int result;

	(void)context;
	do
		result = tenon_queue_send(queue, "junk", 4, &options);
	while (result == 0);
	EXPECT_IS(result, -EAGAIN);
	queue = tenon_queue_close(queue);
}

static void test_filled(void)
{
	struct tenon_queue *queue = begin(8);

	contract_await(contract_start(fill, NULL));
	EXPECT_IS(contract_send(queue, 1, SECOND_NS / 20), -ETIMEDOUT);
	queue = tenon_queue_close(queue);
}

static void drain(void *context)
{
	struct tenon_queue *queue = contract_open(NAME);
	uint64_t number;

	for (uintptr_t i = 0; i < (uintptr_t)context; i++)
		EXPECT_IS(contract_receive(queue, &number, LIMIT_NS), 0);
	queue = tenon_queue_close(queue);
}

static void test_drained(void)
{
	struct tenon_queue *queue = begin(8);
	uint64_t number;

	for (uint64_t i = 0; i < 8; i++)
		EXPECT_IS(contract_send(queue, i, LIMIT_NS), 0);
	contract_await(contract_start(drain, (void *)8));
	EXPECT_IS(contract_receive(queue, &number, SECOND_NS / 20), -ETIMEDOUT);
	queue = tenon_queue_close(queue);
}

/* Has the queue open and lives: as much as an owner needs to be believed. */
static void live(void *context)
{
	struct tenon_queue *queue = contract_open(NAME);

	(void)context;
	say_ready();
	for (;;)
		pause();
	queue = tenon_queue_close(queue);
}

/* Somebody says that a process which knows nothing of it has both locks. */
static void forge(struct tenon_queue *queue, pid_t owner)
{
	for (uint32_t side = 0; side < TNI_GATES; side++)
		tni_set64(&queue->house.gate[side]->word, (uint64_t)owner);
}

static void send_and_wait(struct tenon_queue *queue)
{
	EXPECT_IS(tenon_queue_send(queue, "message", 7, NULL), 0);
}

static void check_and_wait(struct tenon_queue *queue)
{
	EXPECT_IS(tenon_queue_check(queue, NULL, 0), 0);
}

static void recover_and_wait(struct tenon_queue *queue)
{
	EXPECT_IS(tenon_queue_recover(queue, NULL), 0);
}

static void close_and_wait(struct tenon_queue *queue)
{
	(void)queue;
}

static void do_and_wait(void *context)
{
	static void (*const calls[WAITERS])(struct tenon_queue *) = {
		send_and_wait, check_and_wait, recover_and_wait, close_and_wait};
	struct tenon_queue *queue = contract_open(NAME);

	/* Attached, before the locks are said to be somebody's. */
	say_ready();
	await_ready(WAITERS + 2);
	calls[(uintptr_t)context](queue);
	queue = tenon_queue_close(queue);
}

static int descriptor_of(pid_t child)
{
	int fd = (int)syscall(SYS_pidfd_open, child, 0);

	REQUIRE(fd >= 0);
	return fd;
}

/* Whether one of them has ended within a time that is longer than all who wait look. */
static bool one_ends(const pid_t *children, uint32_t count)
{
	struct pollfd ends[WAITERS];
	int ended;

	for (uint32_t i = 0; i < count; i++)
		ends[i] = (struct pollfd){.fd = descriptor_of(children[i]), .events = POLLIN};
	ended = poll(ends, count, LONG_MS);
	for (uint32_t i = 0; i < count; i++) {
		if (ends[i].revents)
			printf("# the %u-th has ended\n", i);
		close(ends[i].fd);
	}
	return ended != 0;
}

/* Attached, and about to make a call each. */
static void start_waiters(pid_t waiting[WAITERS])
{
	for (uintptr_t i = 0; i < WAITERS; i++)
		waiting[i] = contract_start(do_and_wait, (void *)i);
	await_ready(WAITERS + 1);
}

static void await_waiters(struct tenon_queue *queue, const pid_t waiting[WAITERS])
{
	for (uint32_t i = 0; i < WAITERS; i++)
		contract_await(waiting[i]);
	EXPECT_IS(contract_send(queue, 1, LIMIT_NS), 0);
}

static void test_owner_that_lives(void)
{
	struct tenon_queue *queue = begin(8);
	pid_t waiting[WAITERS], owner = contract_start(live, NULL);

	start_waiters(waiting);
	forge(queue, owner);
	say_ready();
	EXPECT(!one_ends(waiting, WAITERS));
	EXPECT_IS(contract_send(queue, 1, SECOND_NS / 20), -ETIMEDOUT);
	contract_kill(owner);
	await_waiters(queue, waiting);
	queue = tenon_queue_close(queue);
}

static void hold_and_stop(void *context)
{
	struct tenon_queue *queue = contract_open(NAME);
	struct tni_call call;

	(void)context;
	say_ready();
	await_ready(WAITERS + 1);
	REQUIRE(tni_call_begin(&call, queue) == 0);
	for (uint32_t side = 0; side < TNI_GATES; side++)
		EXPECT_IS(tni_side_lock(&call, side, INT64_MAX), 0);
	raise(SIGSTOP);
	for (uint32_t side = TNI_GATES; side-- > 0;)
		tni_side_unlock(&call, side);
	queue = tenon_queue_close(queue);
}

static void test_stopped_owner(void)
{
	struct tenon_queue *queue = begin(8);
	pid_t waiting[WAITERS], owner = contract_start(hold_and_stop, NULL);
	siginfo_t info;

	start_waiters(waiting);
	EXPECT(waitid(P_PID, (id_t)owner, &info, WSTOPPED | WNOWAIT) == 0);
	say_ready();
	EXPECT(!one_ends(waiting, WAITERS));
	EXPECT_IS(contract_send(queue, 1, SECOND_NS / 20), -ETIMEDOUT);
	kill(owner, SIGCONT);
	contract_await(owner);
	await_waiters(queue, waiting);
	queue = tenon_queue_close(queue);
}

static void meet_nobody(void *context)
{
	struct tenon_queue *queue = contract_open(NAME);
	struct tenon_send_options options = {.size = sizeof(options)};

	options.deadline_ns = tenon_deadline_after(*(const int64_t *)context);
	__atomic_store_n(due_ns, options.deadline_ns, __ATOMIC_SEQ_CST);
	EXPECT_IS(tenon_queue_send(queue, "message", 7, &options), -ETIMEDOUT);
	/* Not closed: that would wait as well. */
}

static int64_t time_left(void)
{
	return __atomic_load_n(due_ns, __ATOMIC_SEQ_CST) - tenon_deadline_after(0);
}

/* A sender that sleeps when the locks are said to be somebody's.  False: its time was up before that. */
static bool hold_up(struct tenon_queue *queue, int64_t timeout_ns, pid_t *ret_sender,
		    pid_t *ret_owner)
{
	__atomic_store_n(ready, 0, __ATOMIC_SEQ_CST);
	__atomic_store_n(due_ns, INT64_MAX, __ATOMIC_SEQ_CST);
	*ret_owner = contract_start(live, NULL);
	await_ready(1);
	*ret_sender = contract_start(meet_nobody, &timeout_ns);
	while (tni_gatehouse_count(&queue->house, TNI_CLASS_RECEIPT) == 0 && time_left() > 0)
		sched_yield();
	if (time_left() > 0)
		forge(queue, *ret_owner);
	return time_left() > 0;
}

/* A sender has to withdraw its message when its time is up, and needs a lock for it. */
static void test_given_back_behind_the_deadline(void)
{
	struct tenon_queue *queue = begin(TENON_QUEUE_RENDEZVOUS);
	int64_t timeout_ns = SECOND_NS / 2;
	pid_t sender, owner;

	due_ns = contract_share(sizeof(*due_ns));
	/* On a busy machine it takes a while: then anew, with more time. */
	while (!hold_up(queue, timeout_ns, &sender, &owner)) {
		REQUIRE(timeout_ns < LIMIT_NS);
		timeout_ns *= 2;
		contract_kill(sender);
		contract_kill(owner);
		queue = tenon_queue_close(queue);
		EXPECT_IS(tenon_queue_remove(contract_folder, NAME), 0);
		queue = begin(TENON_QUEUE_RENDEZVOUS);
	}
	while (time_left() > 0)
		EXPECT_IS(poll(NULL, 0, (int)(time_left() / 1000000) + 1), 0);
	EXPECT(!one_ends(&sender, 1));
	contract_kill(owner);
	contract_await(sender);
	EXPECT_IS(contract_send(queue, 1, SECOND_NS / 20), -ETIMEDOUT);
	queue = tenon_queue_close(queue);
}

/* The path of the only queue. */
static void file_of_queue(char path[512])
{
	DIR *folder = opendir(contract_folder);
	const struct dirent *entry;

	path[0] = '\0';
	REQUIRE(folder);
	while ((entry = readdir(folder)) != NULL)
		if (strstr(entry->d_name, &NAME[1]))
			snprintf(path, 512, "%s/%s", contract_folder, entry->d_name);
	closedir(folder);
	REQUIRE(path[0]);
}

static void use_what_is_cut_off(void *context)
{
	struct tenon_queue *queue = contract_open(NAME);

	(void)context;
	/* A sanitizer has a handler of its own. */
	signal(SIGBUS, SIG_DFL);
	say_ready();
	await_ready(2);
	contract_send(queue, 1, LIMIT_NS);
}

/* The guard that is not built: when it is, this has to become an error. */
static void test_truncated_under_users(void)
{
	struct tenon_queue *queue = begin(8);
	pid_t user = contract_start(use_what_is_cut_off, NULL);
	char path[512];
	int status = 0;

	(void)queue;
	await_ready(1);
	file_of_queue(path);
	EXPECT_IS(truncate(path, 0), 0);
	say_ready();
	EXPECT(waitpid(user, &status, 0) == user);
	EXPECT(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
}

static void try_to_truncate(const struct part *part)
{
	char path[512];

	file_of_queue(path);
	EXPECT(truncate(path, 0) == -1);
	EXPECT_IS(errno, part->expected);
	EXPECT(open(path, O_WRONLY) == -1);
	EXPECT_IS(errno, part->expected);
}

static void test_who_may_not_write(void)
{
	struct tenon_queue *queue;
	char path[512];

	users_begin();
	queue = begin(8);
	file_of_queue(path);
	REQUIRE(chmod(path, 0644) == 0);
	users_act((struct part){.uid = BOB, .play = try_to_truncate, .expected = EACCES});
	EXPECT_IS(contract_send(queue, 1, LIMIT_NS), 0);
	queue = tenon_queue_close(queue);
}

/* Another user whom the mode admits is no better off with the kernel's help than this one. */
static void disturb(const struct part *part)
{
	struct tenon_queue *queue = contract_open(NAME);

	(void)part;
	fill(NULL);
	queue = tenon_queue_close(queue);
}

static bool is_readable(int fd)
{
	return poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 0) == 1;
}

/* A queue that says in its header that it is another one had that one's FIFOs. */
static void test_borrowed_identity(void)
{
	struct tenon_queue *queue = contract_create("/polled", NULL);
	struct tenon_queue *hostile = contract_create("/hostile", NULL);
	uint64_t number;
	int fd, other;

	EXPECT_IS(tenon_queue_readable_fd(queue, &fd), 0);
	EXPECT_IS(contract_send(queue, 1, 0), 0);
	EXPECT(is_readable(fd));
	hostile->object.shared->id = queue->object.header.id;
	hostile = tenon_queue_close(hostile);
	hostile = contract_open("/hostile");
	EXPECT_IS(tenon_queue_readable_fd(hostile, &other), 0);
	EXPECT(is_readable(fd));
	EXPECT(!is_readable(other));
	EXPECT_IS(tenon_queue_remove(contract_folder, "/hostile"), 0);
	hostile = tenon_queue_close(hostile);
	EXPECT_IS(contract_receive(queue, &number, 0), 0);
	EXPECT_IS(contract_receive(queue, &number, 0), -ETIMEDOUT);
	EXPECT(!is_readable(fd));
	/* Who comes now finds the FIFO there. */
	hostile = contract_open("/polled");
	EXPECT_IS(contract_send(hostile, 2, 0), 0);
	EXPECT(is_readable(fd));
	hostile = tenon_queue_close(hostile);
	queue = tenon_queue_close(queue);
}

static void test_another_user(void)
{
	struct tenon_queue *queue;
	char path[512];

	users_begin();
	queue = begin(8);
	file_of_queue(path);
	REQUIRE(chmod(path, 0666) == 0);
	users_act((struct part){.uid = BOB, .play = disturb});
	EXPECT_IS(contract_send(queue, 1, SECOND_NS / 20), -ETIMEDOUT);
	queue = tenon_queue_close(queue);
}

int main(void)
{
	static const struct contract_case cases[] = {
		{"whoever is admitted fills a queue", test_filled, NULL},
		{"whoever is admitted drains it", test_drained, NULL},
		{"another user who is admitted fills it", test_another_user, NULL},
		{"calls without a deadline wait for an owner that lives", test_owner_that_lives,
		 NULL},
		{"calls without a deadline wait for an owner that is stopped", test_stopped_owner,
		 NULL},
		{"what is given back behind a deadline waits for an owner that lives",
		 test_given_back_behind_the_deadline, NULL},
		{"a queue that takes another's identity", test_borrowed_identity, NULL},
		{"truncated under its users", test_truncated_under_users, NULL},
		{"who may not write may not truncate", test_who_may_not_write, NULL},
	};

	return contract_main(cases, sizeof(cases) / sizeof(cases[0]));
}
