/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Descriptors to poll, and the queue's removal.  The bug: the first poll of a queue that was removed
 * already made its FIFO anew, which nobody removed any more.  And what they tell of deaths.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "contract.h"
#include "sanitized.h"

#define SKIPPED 77 /* as contract_skip() ends */
#define NAME "/polled"
/* Whoever makes it readable may have no processor for a while. */
#define PATIENCE_MS 30000

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

static struct tenon_queue *taking(void)
{
	struct tenon_queue *queue = contract_open(NAME);
	struct tenon_lease lease;

	REQUIRE(tenon_queue_take(queue, NULL, &lease) == 0);
	return queue;
}

static int receive_now(struct tenon_queue *queue)
{
	struct tenon_receive_options options = {.size = sizeof(options), .flags = TENON_NONBLOCK};
	uint64_t number;

	return tenon_queue_receive(queue, &number, sizeof(number), &options, NULL);
}

static void take_and_stay(void *context)
{
	(void)context;
	taking();
	for (;;)
		pause();
}

static void poll_for_a_message(void *context)
{
	struct tenon_queue *queue = contract_open(NAME);
	int fd = -1, result = -EAGAIN;

	(void)context;
	EXPECT_IS(tenon_queue_readable_fd(queue, &fd), 0);
	/* Readable for nothing is allowed, for ever is not. */
	for (uint32_t i = 0; i < 100 && result == -EAGAIN; i++) {
		REQUIRE(poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, PATIENCE_MS) == 1);
		result = receive_now(queue);
	}
	EXPECT_IS(result, 0);
	EXPECT_IS(receive_now(queue), -EAGAIN);
	queue = tenon_queue_close(queue);
}

/* The bug: whoever slept in poll(2) was not told when somebody died who had taken a message. */
static void test_taker_dies(void)
{
	struct tenon_queue *queue = contract_create(NAME, NULL);
	struct tenon_queue_status status = {.size = sizeof(status)};
	pid_t taker, poller;

	EXPECT_IS(contract_send(queue, 7, 0), 0);
	taker = contract_start(take_and_stay, NULL);
	while (status.leased == 0)
		REQUIRE(tenon_queue_status(queue, &status) == 0);
	poller = contract_start(poll_for_a_message, NULL);
	while (status.participants < 3)
		REQUIRE(tenon_queue_status(queue, &status) == 0);
	contract_await_asleep(poller);
	contract_kill(taker);
	contract_await(poller);
	contract_expect_sound(queue);
	queue = tenon_queue_close(queue);
}

/* The bug: what told of room went with the last who had it open, and was taken to be there still. */
static void test_asked_anew(void)
{
	struct tenon_queue *queue = contract_create(NAME, NULL);
	int fd = -1;

	EXPECT_IS(tenon_queue_writable_fd(queue, &fd), 0);
	EXPECT_IS(poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 0), 1);
	queue = tenon_queue_close(queue);
	queue = contract_open(NAME);
	EXPECT_IS(tenon_queue_writable_fd(queue, &fd), 0);
	EXPECT_IS(poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 0), 1);
	queue = tenon_queue_close(queue);
}

/* Somebody comes and goes, beside a lease: a poller wakes a few times, and then sleeps. */
static void test_nobody_died(void)
{
	struct tenon_queue *queue = contract_create(NAME, NULL), *other;
	uint32_t woken = 0;
	int fd = -1;

	EXPECT_IS(contract_send(queue, 7, 0), 0);
	other = taking();
	EXPECT_IS(tenon_queue_readable_fd(queue, &fd), 0);
	tenon_queue_close(contract_open(NAME));
	while (woken < 100 && poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 300) == 1) {
		EXPECT_IS(receive_now(queue), -EAGAIN);
		woken++;
	}
	printf("# woken %u times\n", woken);
	EXPECT(woken >= 1 && woken < 20);
	other = tenon_queue_close(other);
	queue = tenon_queue_close(queue);
}

static bool stop;

/* Finds nothing now and then, and lowers the descriptor. */
static void *look_again_and_again(void *context)
{
	struct tenon_receive_options options = {.size = sizeof(options),
						.flags = TENON_NONBLOCK,
						.select = TENON_SELECT_EXACTLY,
						.select_key = 12345};

	while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE))
		(void)!tenon_queue_receive(context, NULL, 0, &options, NULL);
	return NULL;
}

/* Put back under the one lock, and lowered under the other. */
static void test_put_back_beside_lookers(void)
{
	struct tenon_queue_options made = {.size = sizeof(made),
					   .order = TENON_QUEUE_TYPED,
					   .capacity = 8,
					   .max_message_bytes = 64};
	struct tenon_queue *queue = contract_create(NAME, &made);
	struct tenon_receive_options options = {.size = sizeof(options), .flags = TENON_NONBLOCK};
	struct tenon_lease lease;
	pthread_t looker;
	int fd;

	EXPECT_IS(tenon_queue_readable_fd(queue, &fd), 0);
	EXPECT_IS(contract_send(queue, 1, 0), 0);
	REQUIRE(pthread_create(&looker, NULL, look_again_and_again, queue) == 0);
	for (uint32_t i = 0; i < 3000; i++) {
		REQUIRE(tenon_queue_take(queue, &options, &lease) == 0);
		REQUIRE(tenon_queue_return(queue, &lease) == 0);
		REQUIRE(poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, PATIENCE_MS) == 1);
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELEASE);
	pthread_join(looker, NULL);
	queue = tenon_queue_close(queue);
}

/* The bug: what lies beside a queue was found by what stands in its file, and stayed where somebody had overwritten that. */
static void test_removed_spoilt(void)
{
	struct tenon_queue *queue = contract_create(NAME, NULL), *other;
	char path[300];
	int fd;

	other = contract_create("/beside", NULL);
	EXPECT_IS(tenon_queue_readable_fd(queue, &fd), 0);
	EXPECT_IS(tenon_queue_writable_fd(queue, &fd), 0);
	EXPECT_IS(tenon_queue_readable_fd(other, &fd), 0);
	EXPECT_IS((int64_t)files_left(), 5);
	queue = tenon_queue_close(queue);
	snprintf(path, sizeof(path), "%s/q.polled", contract_folder);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	REQUIRE(fd >= 0);
	for (uint32_t i = 0; i < 100; i++)
		REQUIRE(pwrite(fd, "spoilt", 6, 6 * i) == 6);
	close(fd);
	EXPECT_IS(tenon_queue_remove(contract_folder, NAME), 0);
	EXPECT_IS((int64_t)files_left(), 2);
	other = tenon_queue_close(other);
	EXPECT_IS(tenon_queue_remove(contract_folder, "/beside"), 0);
	EXPECT_IS((int64_t)files_left(), 0);
}

/* Removals of queues, until one FIFO is not there any more; each time by chance, with one out of 128. */
static bool is_swept(const char *fifo)
{
	bool is_there = access(fifo, F_OK) == 0;

	for (uint32_t i = 0; is_there && i < 4000; i++) {
		struct tenon_queue *queue = contract_create(NAME, NULL);

		queue = tenon_queue_close(queue);
		REQUIRE(tenon_queue_remove(contract_folder, NAME) == 0);
		is_there = access(fifo, F_OK) == 0;
	}
	return !is_there;
}

/* The bug: a FIFO was left over, for good, where one process removed the name of another queue than it had looked at,
 * whose name others had removed and given anew meanwhile; and where who removed was killed amid it. */
static void test_left_over(void)
{
	struct tenon_queue *queue = contract_create("/beside", NULL);
	char path[300];
	int fd;

	EXPECT_IS(tenon_queue_readable_fd(queue, &fd), 0);
	/* More than are looked at in one go. */
	for (uint32_t i = 0; i < 100; i++) {
		snprintf(path, sizeof(path), "%s/.q.%016x.0123456789abcdef.m", contract_folder,
			 0x7f000000 + i);
		REQUIRE(mkfifo(path, 0600) == 0);
	}
	for (uint32_t i = 0; i < 100; i++) {
		snprintf(path, sizeof(path), "%s/.q.%016x.0123456789abcdef.m", contract_folder,
			 0x7f000000 + i);
		REQUIRE(is_swept(path));
	}
	/* What is somebody's stays: the file, and the FIFO beside it. */
	EXPECT_IS((int64_t)files_left(), 2);
	EXPECT_IS(contract_send(queue, 1, 0), 0);
	EXPECT_IS(poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 0), 1);
	queue = tenon_queue_close(queue);
	EXPECT_IS(tenon_queue_remove(contract_folder, "/beside"), 0);
	EXPECT_IS((int64_t)files_left(), 0);
}

/* What a child does while somebody begins to poll, and what is shared with it. */
struct amid {
	bool sends;
	volatile bool is_done; /* looked at while the child is stopped */
};

/* Between its instructions the parent has looked.  The first message of each kind prepares the way. */
static void send_or_receive(void *context)
{
	struct tenon_queue *queue = contract_open(NAME);
	struct amid *amid = context;

	EXPECT_IS(contract_send(queue, 1, 0), 0);
	EXPECT_IS(receive_now(queue), 0);
	if (!amid->sends)
		EXPECT_IS(contract_send(queue, 1, 0), 0);
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
		contract_skip("ptrace(2) is not allowed");
	raise(SIGSTOP);
	EXPECT_IS(amid->sends ? contract_send(queue, 2, 0) : receive_now(queue), 0);
	amid->is_done = true;
	/* Its end would be told of, too. */
	raise(SIGSTOP);
}

/* Lets the child go on by so many instructions.  False: it had done its part before. */
static bool step_to(pid_t child, const struct amid *amid, uint32_t steps)
{
	int status = 0;

	REQUIRE(waitpid(child, &status, 0) == child);
	if (WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED)
		contract_skip("ptrace(2) is not allowed");
	REQUIRE(WIFSTOPPED(status));
	for (uint32_t i = 0; i < steps && !amid->is_done; i++) {
		REQUIRE(ptrace(PTRACE_SINGLESTEP, child, NULL, NULL) == 0);
		REQUIRE(waitpid(child, &status, 0) == child);
		REQUIRE(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP);
	}
	return !amid->is_done;
}

static void go_on_to_stop(pid_t child)
{
	int status = 0;

	REQUIRE(ptrace(PTRACE_CONT, child, NULL, NULL) == 0);
	REQUIRE(waitpid(child, &status, 0) == child);
	REQUIRE(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
}

/* The bug: the last message was received by the short way while somebody began to poll, who was promised it until he
 * looked; likewise the last room. */
static void begin_amid(bool sends)
{
	struct amid *amid = contract_share(sizeof(*amid));
	bool is_amid = true;
	uint32_t steps;
	int fd;

	/* As the tests that kill at each instruction, which are not run with sanitizers either. */
	if (IS_SANITIZED)
		contract_skip("single steps through a sanitizer's instructions take too long");
	for (steps = 0; is_amid; steps += 5) {
		struct tenon_queue *queue = contract_make(NAME, TENON_QUEUE_WAIT, 1, 64);
		pid_t child;

		*amid = (struct amid){.sends = sends};
		child = contract_start(send_or_receive, amid);
		is_amid = step_to(child, amid, steps);
		EXPECT_IS(sends ? tenon_queue_writable_fd(queue, &fd)
				: tenon_queue_readable_fd(queue, &fd),
			  0);
		go_on_to_stop(child);
		EXPECT_IS(poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 0), 0);
		REQUIRE(ptrace(PTRACE_DETACH, child, NULL, NULL) == 0);
		contract_await(child);
		queue = tenon_queue_close(queue);
		EXPECT_IS(tenon_queue_remove(contract_folder, NAME), 0);
	}
	printf("# up to %u instructions\n", steps);
	EXPECT(steps > 200);
}

static void test_polling_begins_amid_receive(void)
{
	begin_amid(false);
}

static void test_polling_begins_amid_send(void)
{
	begin_amid(true);
}

int main(void)
{
	static const struct contract_case cases[] = {
		{"polling begins amid a receipt of the last message",
		 test_polling_begins_amid_receive, NULL},
		{"polling begins amid a sending into the last room", test_polling_begins_amid_send,
		 NULL},
		{"readable: put back beside who looks", test_put_back_beside_lookers, NULL},
		{"a taker dies, and who polls is told", test_taker_dies, NULL},
		{"all who polled are gone, and one asks anew", test_asked_anew, NULL},
		{"nobody dies beside a lease, and who polls sleeps on", test_nobody_died, NULL},
		{"a queue is polled, then removed", test_polled_then_removed, NULL},
		{"a queue is removed, then polled", test_removed_then_polled, NULL},
		{"another queue has the name", test_name_is_anothers, NULL},
		{"a queue is removed at each step of its first poll", test_removed_meanwhile, NULL},
		{"its poller is killed at each step, and it is removed", test_poller_dies, NULL},
		{"the FIFOs of a spoilt queue go with it", test_removed_spoilt, NULL},
		{"FIFOs that are left over are swept away", test_left_over, NULL},
	};

	return contract_main(cases, sizeof(cases) / sizeof(cases[0]));
}
