/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Processes as they come: forked with threads at work, stopped, dead and not reaped, with the number of
 * a dead one; and one process that has a queue open twice.  A lease holder that is stopped, a zombie or
 * whose number is taken again is in test/crash/liveness.c.
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "contract.h"
#include "object/queue_private.h"

#define LIMIT_NS (10 * SECOND_NS)
#define BRIEF_NS (SECOND_NS / 100)
#define FORKS 60u
#define WORKERS 3u

static uint32_t *ready; /* shared */

static struct tenon_queue *begin(uint32_t order)
{
	struct tenon_queue_options options = {
		.size = sizeof(options), .order = order, .capacity = 64, .max_message_bytes = 64};

	ready = contract_share(sizeof(*ready));
	return contract_create("/processes", &options);
}

static void say_ready(void)
{
	__atomic_fetch_add(ready, 1, __ATOMIC_SEQ_CST);
}

static void await_ready(uint32_t least)
{
	while (__atomic_load_n(ready, __ATOMIC_SEQ_CST) < least)
		sched_yield();
}

/* A message to oneself, under a type of one's own. */
static void send_and_receive(struct tenon_queue *queue, uint64_t type, uint64_t number)
{
	struct tenon_send_options send = {.size = sizeof(send), .key = type};
	struct tenon_receive_options receive = {.size = sizeof(receive),
						.deadline_ns = tenon_deadline_after(LIMIT_NS),
						.select = TENON_SELECT_EXACTLY,
						.select_key = type};
	struct tenon_message message = {0};
	uint64_t answer = 0;

	EXPECT_IS(tenon_queue_send(queue, &number, sizeof(number), &send), 0);
	EXPECT_IS(tenon_queue_receive(queue, &answer, sizeof(answer), &receive, &message), 0);
	EXPECT(answer == number && message.key == type && message.sender_pid == getpid());
}

static struct {
	struct tenon_queue *queue;
	uint32_t stop;
} work;

static void *work_on(void *type)
{
	for (uint64_t i = 0; !__atomic_load_n(&work.stop, __ATOMIC_SEQ_CST); i++) {
		send_and_receive(work.queue, (uintptr_t)type, i);
		if (i == 0)
			say_ready();
	}
	return NULL;
}

static void use_in_child(bool closes)
{
	contract_child_begins();
	for (uint64_t i = 0; i < 20; i++)
		send_and_receive(work.queue, (uint64_t)getpid() << 8, i);
	if (closes)
		work.queue = tenon_queue_close(work.queue);
	contract_child_ends();
}

static void test_fork_with_threads(void)
{
	struct tenon_queue *queue = begin(TENON_QUEUE_TYPED);
	struct tenon_queue_status status = {.size = sizeof(status)};
	pthread_t thread[WORKERS];
	uint32_t freed;

	work.queue = queue;
	for (uintptr_t i = 0; i < WORKERS; i++)
		REQUIRE(pthread_create(&thread[i], NULL, work_on, (void *)(i + 1)) == 0);
	/* A thread that begins allocates memory; amid that, the lock of a sanitizer's allocator would stay locked in a child. */
	await_ready(WORKERS);
	for (uint32_t i = 0; i < FORKS; i++) {
		pid_t child;

		fflush(stdout);
		child = fork();
		if (child == 0)
			use_in_child(i % 2 == 0);
		contract_await(child);
	}
	__atomic_store_n(&work.stop, 1, __ATOMIC_SEQ_CST);
	for (uint32_t i = 0; i < WORKERS; i++)
		pthread_join(thread[i], NULL);
	EXPECT_IS(tenon_queue_recover(queue, &freed), 0);
	EXPECT_IS(tenon_queue_status(queue, &status), 0);
	EXPECT_IS(status.participants, 1);
	EXPECT_IS((int64_t)status.repairs, 0);
	contract_expect_sound(queue);
	queue = tenon_queue_close(queue);
}

/* The child of a process that dies does not keep its lease alive. */
static void leave_a_child(void *context)
{
	struct tenon_queue *queue = contract_open("/processes");
	struct tenon_lease lease;

	(void)context;
	EXPECT_IS(tenon_queue_take(queue, NULL, &lease), 0);
	if (fork() == 0) {
		say_ready();
		for (;;)
			pause();
	}
	await_ready(1);
	raise(SIGKILL);
}

static void test_child_outlives_lease_holder(void)
{
	struct tenon_queue *queue = begin(TENON_QUEUE_FIFO);
	pid_t holder;
	uint64_t number = 0;

	EXPECT_IS(contract_send(queue, 4, 0), 0);
	holder = contract_start(leave_a_child, NULL);
	EXPECT(waitpid(holder, NULL, 0) == holder);
	EXPECT_IS(contract_receive(queue, &number, LIMIT_NS), 0);
	EXPECT_IS((int64_t)number, 4);
	contract_expect_sound(queue);
}

static void expect_both_alive(void *context)
{
	struct tenon_queue *queue = contract_open("/processes");
	struct tenon_queue_status status = {.size = sizeof(status)};
	uint32_t freed = 0;

	EXPECT_IS(tenon_queue_recover(queue, &freed), 0);
	EXPECT_IS(freed, 0);
	EXPECT_IS(tenon_queue_status(queue, &status), 0);
	EXPECT_IS(status.participants, (int64_t)(uintptr_t)context + 1);
	queue = tenon_queue_close(queue);
}

static void test_two_handles(void)
{
	struct tenon_queue *one = begin(TENON_QUEUE_FIFO), *other = contract_open("/processes"),
			   *third = contract_open("/processes");
	struct tenon_lease lease;
	uint64_t number = 0;

	EXPECT_IS(contract_send(one, 1, 0), 0);
	EXPECT_IS(contract_receive(other, &number, 0), 0);
	EXPECT_IS((int64_t)number, 1);
	/* A lease belongs to the handle, and comes back when that is closed. */
	EXPECT_IS(contract_send(one, 2, 0), 0);
	EXPECT_IS(tenon_queue_take(other, NULL, &lease), 0);
	EXPECT_IS(tenon_queue_done(one, &lease), -EINVAL);
	EXPECT_IS(contract_receive(one, &number, 0), -ETIMEDOUT);
	other = tenon_queue_close(other);
	/* The others' locks are their own: closing one descriptor drops none of them. */
	contract_await(contract_start(expect_both_alive, (void *)2));
	EXPECT_IS(contract_receive(one, &number, 0), 0);
	EXPECT_IS((int64_t)number, 2);
	third = tenon_queue_close(third);
	contract_await(contract_start(expect_both_alive, (void *)1));
	contract_expect_sound(one);
	one = tenon_queue_close(one);
}

static void *open_and_close(void *unused)
{
	(void)unused;
	while (!__atomic_load_n(&work.stop, __ATOMIC_SEQ_CST)) {
		struct tenon_queue *queue = contract_open("/processes");
		struct tenon_receive_options options = {.size = sizeof(options),
							.flags = TENON_NONBLOCK};
		struct tenon_lease lease;

		EXPECT_IS(contract_send(queue, 1, LIMIT_NS), 0);
		if (tenon_queue_take(queue, &options, &lease) == 0)
			EXPECT_IS(tenon_queue_done(queue, &lease), 0);
		queue = tenon_queue_close(queue);
	}
	return NULL;
}

static void test_close_beside_another_handle(void)
{
	struct tenon_queue *queue = begin(TENON_QUEUE_FIFO);
	struct tenon_queue_status status = {.size = sizeof(status)};
	pthread_t thread[2];
	uint64_t number;
	int result;

	for (uint32_t i = 0; i < 2; i++)
		REQUIRE(pthread_create(&thread[i], NULL, open_and_close, NULL) == 0);
	for (uint64_t i = 0; i < 5000; i++) {
		/* Where somebody had the lock for long, the others sent and did not receive: all wait for room by now. */
		while ((result = contract_send(queue, i, BRIEF_NS)) == -ETIMEDOUT)
			contract_receive(queue, &number, BRIEF_NS);
		EXPECT_IS(result, 0);
		contract_receive(queue, &number, 0);
	}
	__atomic_store_n(&work.stop, 1, __ATOMIC_SEQ_CST);
	for (uint32_t i = 0; i < 2; i++)
		while (pthread_tryjoin_np(thread[i], NULL) != 0)
			contract_receive(queue, &number, BRIEF_NS);
	while (contract_receive(queue, &number, 0) == 0)
		;
	EXPECT_IS(tenon_queue_status(queue, &status), 0);
	EXPECT_IS(status.participants, 1);
	EXPECT_IS((int64_t)(status.sent - status.received), 0);
	EXPECT_IS((int64_t)status.repairs, 0);
	contract_expect_sound(queue);
	queue = tenon_queue_close(queue);
}

/* Locks the senders' side, and does to itself what the case wants. */
static void hold_and(int signal_number, bool told)
{
	struct tenon_queue *queue = contract_open("/processes");
	struct tni_call call;

	REQUIRE(tni_call_begin(&call, queue) == 0);
	EXPECT_IS(tni_side_lock(&call, TNI_SEND, INT64_MAX), 0);
	if (!told) /* as if the kernel did not know of the lock */
		tni_pending_put(call.thread, NULL);
	kill(getpid(), signal_number);
	tni_side_unlock(&call, TNI_SEND);
	queue = tenon_queue_close(queue);
}

static void hold_and_stop(void *context)
{
	(void)context;
	hold_and(SIGSTOP, true);
}

static void hold_and_die(void *context)
{
	(void)context;
	hold_and(SIGKILL, true);
}

static void hold_and_die_untold(void *context)
{
	(void)context;
	hold_and(SIGKILL, false);
}

static void await_state(pid_t child, int what)
{
	siginfo_t info;

	EXPECT(waitid(P_PID, (id_t)child, &info, what | WNOWAIT) == 0);
}

/* Longer than lockers wait before they look whether the owner is gone. */
static void test_stopped_in_a_gate(void)
{
	struct tenon_queue *queue = begin(TENON_QUEUE_FIFO);
	pid_t child = contract_start(hold_and_stop, NULL);

	await_state(child, WSTOPPED);
	EXPECT_IS(contract_send(queue, 1, 5 * SECOND_NS / 2), -ETIMEDOUT);
	EXPECT_IS((int64_t)(tni_get64(&queue->house.gate[TNI_SEND]->word) & TNI_GATE_OWNER), child);
	kill(child, SIGCONT);
	EXPECT_IS(contract_send(queue, 1, LIMIT_NS), 0);
	contract_await(child);
	EXPECT_IS(tni_get32(&queue->house.gate[TNI_SEND]->repairs), 0);
}

/* The same, and somebody polls. */
static void test_stopped_in_a_gate_polled(void)
{
	struct tenon_queue *queue = begin(TENON_QUEUE_FIFO);
	struct tenon_receive_options options = {.size = sizeof(options), .flags = TENON_NONBLOCK};
	uint64_t number;
	pid_t child;
	int fd;

	EXPECT_IS(tenon_queue_readable_fd(queue, &fd), 0);
	EXPECT_IS(tenon_queue_writable_fd(queue, &fd), 0);
	child = contract_start(hold_and_stop, NULL);
	await_state(child, WSTOPPED);
	options.deadline_ns = tenon_deadline_after(SECOND_NS / 10);
	EXPECT_IS(tenon_queue_receive(queue, &number, sizeof(number), &options, NULL), -EAGAIN);
	EXPECT_IS(contract_send(queue, 1, SECOND_NS / 10), -ETIMEDOUT);
	kill(child, SIGCONT);
	EXPECT_IS(contract_send(queue, 1, LIMIT_NS), 0);
	contract_await(child);
}

/* Dead in a gate, and nobody reaps it. */
static void test_zombie_in_a_gate(void)
{
	struct tenon_queue *queue = begin(TENON_QUEUE_FIFO);
	pid_t child = contract_start(hold_and_die, NULL);

	await_state(child, WEXITED);
	EXPECT_IS(contract_send(queue, 1, SECOND_NS / 4), 0);
	EXPECT_IS(tni_get32(&queue->house.gate[TNI_SEND]->repairs), 1);
	EXPECT(waitpid(child, NULL, 0) == child);
}

static void test_zombie_in_a_gate_untold(void)
{
	struct tenon_queue *queue = begin(TENON_QUEUE_FIFO);
	pid_t child = contract_start(hold_and_die_untold, NULL);

	await_state(child, WEXITED);
	EXPECT_IS(contract_send(queue, 1, LIMIT_NS), 0);
	EXPECT_IS(tni_get32(&queue->house.gate[TNI_SEND]->repairs), 1);
	EXPECT(waitpid(child, NULL, 0) == child);
}

/* A stranger has the number of the dead owner: nobody waits for it. */
static void test_number_of_an_owner_is_taken(void)
{
	struct tenon_queue *queue = begin(TENON_QUEUE_FIFO);
	pid_t child = contract_start(hold_and_die_untold, NULL), stranger;
	struct clone_args arguments = {
		.exit_signal = SIGCHLD, .set_tid = (uintptr_t)&child, .set_tid_size = 1};

	EXPECT(waitpid(child, NULL, 0) == child);
	stranger = (pid_t)syscall(SYS_clone3, &arguments, sizeof(arguments));
	if (stranger == 0) {
		contract_child_begins();
		for (;;)
			pause();
	}
	if (stranger < 0)
		contract_skip("this process may not choose the number of a child");
	EXPECT_IS(contract_send(queue, 1, LIMIT_NS), 0);
	EXPECT_IS(tni_get32(&queue->house.gate[TNI_SEND]->repairs), 1);
	contract_kill(stranger);
}

static uint32_t *child_of_opener; /* shared */
static uint32_t *entry_of_opener;

/* As if another thread forked between the two steps of opening. */
static void fork_in_opening(void *context)
{
	struct tni_object object;
	int directory = open(contract_folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	pid_t child;

	(void)context;
	REQUIRE(directory >= 0 &&
		tni_object_open(directory, "q.processes", TENON_KIND_QUEUE, &object) == 0);
	child = fork();
	if (child == 0)
		for (;;)
			pause();
	__atomic_store_n(child_of_opener, (uint32_t)child, __ATOMIC_SEQ_CST);
	EXPECT_IS(tni_object_attach(&object), 0);
	__atomic_store_n(entry_of_opener, object.participant, __ATOMIC_SEQ_CST);
	kill(getpid(), SIGKILL);
}

/* The child had the open file whose lock said that its parent was alive. */
static void test_fork_in_opening(void)
{
	struct tenon_queue *queue = begin(TENON_QUEUE_FIFO);
	pid_t opener;

	child_of_opener = contract_share(sizeof(*child_of_opener));
	entry_of_opener = contract_share(sizeof(*entry_of_opener));
	opener = contract_start(fork_in_opening, NULL);
	EXPECT(waitpid(opener, NULL, 0) == opener);
	REQUIRE(*child_of_opener != 0);
	EXPECT(*entry_of_opener > 0);
	EXPECT(tni_object_is_dead(&queue->object, *entry_of_opener));
	kill((pid_t)*child_of_opener, SIGKILL);
	queue = tenon_queue_close(queue);
}

static void attach_and_die(void *context)
{
	(void)context;
	contract_open("/processes");
	kill(getpid(), SIGKILL);
}

static void take_and_die(void *name)
{
	struct tenon_receive_options options = {.size = sizeof(options), .flags = TENON_NONBLOCK};
	struct tenon_queue *queue = contract_open(name);
	struct tenon_lease lease;

	EXPECT_IS(tenon_queue_take(queue, &options, &lease), 0);
	kill(getpid(), SIGKILL);
}

static struct {
	struct tenon_queue *queue;
	uint32_t ended;
} recovery;

static void *recover(void *context)
{
	(void)context;
	EXPECT_IS(tenon_queue_recover(recovery.queue, NULL), 0);
	__atomic_store_n(&recovery.ended, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

/* Threads that brought back what the dead had of different queues once waited for each other, and so for
 * a stopped process in one of these. */
static void test_stopped_in_another_queue(void)
{
	struct tenon_queue_options options = {
		.size = sizeof(options), .capacity = 64, .max_message_bytes = 64};
	struct tenon_queue *queue = begin(TENON_QUEUE_FIFO);
	struct tenon_queue *other = contract_create("/other", &options);
	pid_t stopped = contract_start(hold_and_stop, NULL), taker;
	uint64_t number = 0;
	pthread_t thread;

	await_state(stopped, WSTOPPED);
	recovery.queue = queue;
	taker = contract_start(attach_and_die, NULL);
	EXPECT(waitpid(taker, NULL, 0) == taker);
	REQUIRE(pthread_create(&thread, NULL, recover, NULL) == 0);
	while (!(tni_get64(&queue->house.gate[TNI_SEND]->word) & TNI_GATE_WAITERS))
		sched_yield();

	for (uint32_t i = 0; i < 20; i++) {
		EXPECT_IS(contract_send(other, i, 0), 0);
		taker = contract_start(take_and_die, "/other");
		EXPECT(waitpid(taker, NULL, 0) == taker);
		EXPECT_IS(contract_receive(other, &number, LIMIT_NS), 0);
		EXPECT_IS((int64_t)number, (int64_t)i);
	}
	other = tenon_queue_close(other);
	EXPECT(!__atomic_load_n(&recovery.ended, __ATOMIC_SEQ_CST));
	kill(stopped, SIGCONT);
	pthread_join(thread, NULL);
	contract_await(stopped);
	contract_expect_sound(queue);
	queue = tenon_queue_close(queue);
}

#define LONG_BYTES 1000u
#define LONG_COUNT 2500u

/* Fills the log with messages, takes them out, and asks for the memory back: so much is left. */
static uint64_t left_of_log(struct tenon_queue *queue, uint64_t *ret_before)
{
	struct tenon_queue_status status = {.size = sizeof(status)};
	char bytes[LONG_BYTES] = "";

	for (uint32_t i = 0; i < LONG_COUNT; i++)
		EXPECT_IS(tenon_queue_send(queue, bytes, sizeof(bytes), NULL), 0);
	for (uint32_t i = 0; i < LONG_COUNT; i++)
		EXPECT_IS(tenon_queue_receive(queue, bytes, sizeof(bytes), NULL, NULL), 0);
	EXPECT_IS(tenon_queue_status(queue, &status), 0);
	*ret_before = status.memory_bytes;
	EXPECT_IS(tenon_queue_recover(queue, NULL), 0);
	EXPECT_IS(tenon_queue_status(queue, &status), 0);
	return status.memory_bytes;
}

static void attach_and_wait(void *context)
{
	(void)context;
	contract_open("/log");
	say_ready();
	for (;;)
		pause();
}

static void *wait_for_lock(void *mutex)
{
	pthread_mutex_lock(mutex);
	pthread_mutex_unlock(mutex);
	return NULL;
}

/* Somebody may just be looking at the front of the log, without a lock: another process, or another thread
 * of this one.  What it looks at was given back, and with the file system full it got SIGBUS. */
static void test_log_is_looked_at(void)
{
	struct tenon_queue_options options = {.size = sizeof(options),
					      .capacity = TENON_QUEUE_UNBOUNDED,
					      .max_message_bytes = LONG_BYTES};
	struct tenon_queue *queue = contract_create("/log", &options);
	pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	pthread_t thread;
	uint64_t before;
	pid_t child;

	ready = contract_share(sizeof(*ready));
	EXPECT(left_of_log(queue, &before) < before / 2);
	child = contract_start(attach_and_wait, NULL);
	await_ready(1);
	EXPECT(left_of_log(queue, &before) == before);
	contract_kill(child);
	EXPECT(left_of_log(queue, &before) < before / 2);
	pthread_mutex_lock(&mutex);
	REQUIRE(pthread_create(&thread, NULL, wait_for_lock, &mutex) == 0);
	EXPECT(left_of_log(queue, &before) == before);
	pthread_mutex_unlock(&mutex);
	pthread_join(thread, NULL);
	queue = tenon_queue_close(queue);
}

static void receive_one(void *context)
{
	struct tenon_queue *queue = contract_open("/processes");
	uint64_t number = 0;

	EXPECT_IS(contract_receive(queue, &number, LIMIT_NS), 0);
	EXPECT_IS((int64_t)number, (int64_t)(uintptr_t)context);
	queue = tenon_queue_close(queue);
}

/* A receiver that is stopped asleep does not keep a message from another one. */
static void test_stopped_asleep(void)
{
	struct tenon_queue *queue = begin(TENON_QUEUE_FIFO);
	pid_t stopped = contract_start(receive_one, (void *)2), other;

	contract_await_receivers(queue, 1);
	kill(stopped, SIGSTOP);
	await_state(stopped, WSTOPPED);
	other = contract_start(receive_one, (void *)1);
	contract_await_receivers(queue, 2);
	EXPECT_IS(contract_send(queue, 1, 0), 0);
	contract_await(other);
	kill(stopped, SIGCONT);
	EXPECT_IS(contract_send(queue, 2, 0), 0);
	contract_await(stopped);
	contract_expect_sound(queue);
}

static void test_zombie_asleep(void)
{
	struct tenon_queue *queue = begin(TENON_QUEUE_FIFO);
	pid_t zombie = contract_start(receive_one, (void *)0), other;

	contract_await_receivers(queue, 1);
	other = contract_start(receive_one, (void *)1);
	contract_await_receivers(queue, 2);
	kill(zombie, SIGKILL);
	await_state(zombie, WEXITED);
	EXPECT_IS(contract_send(queue, 1, 0), 0);
	contract_await(other);
	contract_expect_sound(queue);
	EXPECT(waitpid(zombie, NULL, 0) == zombie);
}

int main(void)
{
	static const struct contract_case cases[] = {
		{"forks while threads are at work", test_fork_with_threads, NULL},
		{"a child outlives a lease holder", test_child_outlives_lease_holder, NULL},
		{"two handles in one process", test_two_handles, NULL},
		{"a handle is closed beside another", test_close_beside_another_handle, NULL},
		{"a fork in the middle of opening", test_fork_in_opening, NULL},
		{"stopped in a gate", test_stopped_in_a_gate, NULL},
		{"stopped in a gate, and somebody polls", test_stopped_in_a_gate_polled, NULL},
		{"stopped in a gate of another queue", test_stopped_in_another_queue, NULL},
		{"the front of the log is looked at", test_log_is_looked_at, NULL},
		{"a zombie in a gate", test_zombie_in_a_gate, NULL},
		{"a zombie in a gate, of whom the kernel does not tell",
		 test_zombie_in_a_gate_untold, NULL},
		{"a stranger has the number of a dead owner", test_number_of_an_owner_is_taken,
		 NULL},
		{"stopped asleep", test_stopped_asleep, NULL},
		{"a zombie asleep", test_zombie_asleep, NULL},
	};

	return contract_main(cases, sizeof(cases) / sizeof(cases[0]));
}
