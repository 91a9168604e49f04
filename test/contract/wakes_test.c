/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Wakes that somebody owes who dies.  The victim is killed by a filter at its first FUTEX_WAKE: its
 * operation is done and the gate is unlocked, and nobody has been told but the one sleeper whom the
 * kernel wakes for it.
 */

#include <errno.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "contract.h"
#include "object/queue_private.h"

/* No passing test waits that long; without the wake that is looked for, the call does. */
#define LIMIT_NS (30 * SECOND_NS)

static uint32_t *stage; /* shared: how far a child is */

static void reach(uint32_t next)
{
	__atomic_store_n(stage, next, __ATOMIC_SEQ_CST);
}

static void await_stage(uint32_t least)
{
	while (__atomic_load_n(stage, __ATOMIC_SEQ_CST) < least)
		sched_yield();
}

static struct tenon_queue *begin(uint32_t order, uint64_t capacity)
{
	struct tenon_queue_options options = {.size = sizeof(options),
					      .order = order,
					      .capacity = capacity,
					      .max_message_bytes = 64};

	if (syscall(SYS_futex_waitv, NULL, 0, 0, NULL, 0) < 0 && errno == ENOSYS)
		contract_skip("this kernel has no futex_waitv(2)");
	stage = contract_share(sizeof(*stage));
	return contract_create("/wakes", &options);
}

/* The next FUTEX_WAKE kills this process. */
static void die_at_a_wake(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_futex, 0, 4),
		/* Its low half: that the machine is little endian is checked elsewhere. */
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1])),
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, FUTEX_CMD_MASK),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, FUTEX_WAKE, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {.len = sizeof(filter) / sizeof(filter[0]), .filter = filter};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
		_exit(77);
}

static void expect_killed(pid_t victim)
{
	int status = 0;

	EXPECT(waitpid(victim, &status, 0) == victim);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		contract_skip("this process may not filter its system calls");
	EXPECT(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
}

/* Waits until a process, whose class is known to be asleep, is so in the kernel. */
static void await_asleep(struct tenon_queue *queue, uint32_t class, uint32_t count, pid_t pid)
{
	while (tni_gatehouse_count(&queue->house, class) < count)
		sched_yield();
	contract_await_asleep(pid);
}

static int receive_type(struct tenon_queue *queue, uint64_t type)
{
	struct tenon_receive_options options = {.size = sizeof(options),
						.deadline_ns = tenon_deadline_after(LIMIT_NS),
						.select = TENON_SELECT_EXACTLY,
						.select_key = type};
	char buffer[64];

	return tenon_queue_receive(queue, buffer, sizeof(buffer), &options, NULL);
}

static int send_type(struct tenon_queue *queue, uint64_t type, uint32_t flags)
{
	struct tenon_send_options options = {.size = sizeof(options), .flags = flags, .key = type};

	return tenon_queue_send(queue, "type", 4, &options);
}

static void sleep_for_type(void *context)
{
	struct tenon_queue *queue = contract_open("/wakes");

	EXPECT_IS(receive_type(queue, (uintptr_t)context), 0);
	queue = tenon_queue_close(queue);
}

static void send_and_die(void *context)
{
	struct tenon_queue *queue = contract_open("/wakes");

	die_at_a_wake();
	send_type(queue, (uintptr_t)context, 0);
}

/* The kernel wakes the receiver that has slept longest, which wants another type. */
static void test_receiver_passes_on(void)
{
	struct tenon_queue *queue = begin(TENON_QUEUE_TYPED, 8);
	pid_t first = contract_start(sleep_for_type, (void *)1), second;

	await_asleep(queue, TNI_CLASS_MESSAGE, 1, first);
	second = contract_start(sleep_for_type, (void *)2);
	await_asleep(queue, TNI_CLASS_MESSAGE, 2, second);
	expect_killed(contract_start(send_and_die, (void *)2));
	contract_await(second);
	EXPECT_IS(send_type(queue, 1, 0), 0);
	contract_await(first);
	contract_expect_sound(queue);
}

static void wait_for_receipt(void *context)
{
	struct tenon_queue *queue = contract_open("/wakes");
	uint64_t receipt;
	int32_t pid = 0;

	EXPECT_IS(send_type(queue, (uintptr_t)context, TENON_WANT_RECEIPT), 0);
	EXPECT_IS(tenon_queue_last_receipt(queue, &receipt), 0);
	reach(1);
	await_stage(2);
	EXPECT_IS(tenon_queue_receipt(queue, receipt, tenon_deadline_after(LIMIT_NS), &pid), 0);
	EXPECT(pid > 0);
	reach(3);
	queue = tenon_queue_close(queue);
}

/* It wakes one who waits for a receipt. */
static void test_receipt_waiter_passes_on(void)
{
	struct tenon_queue *queue = begin(TENON_QUEUE_TYPED, 8);
	pid_t first = contract_start(wait_for_receipt, (void *)1), second;

	await_stage(1);
	reach(2);
	await_asleep(queue, TNI_CLASS_RECEIPT, 1, first);
	second = contract_start(sleep_for_type, (void *)2);
	await_asleep(queue, TNI_CLASS_MESSAGE, 1, second);
	expect_killed(contract_start(send_and_die, (void *)2));
	contract_await(second);
	EXPECT_IS(receive_type(queue, 1), 0);
	contract_await(first);
	contract_expect_sound(queue);
}

static void sleep_for_room(void *context)
{
	struct tenon_queue *queue = contract_open("/wakes");

	(void)context;
	EXPECT_IS(contract_send(queue, 0, LIMIT_NS), 0);
	/* Closing the queue would tell, too. */
	await_stage(3);
	queue = tenon_queue_close(queue);
}

static void receive_and_die(void *context)
{
	struct tenon_queue *queue = contract_open("/wakes");
	char buffer[64];

	(void)context;
	die_at_a_wake();
	tenon_queue_receive(queue, buffer, sizeof(buffer), NULL, NULL);
}

static void wait_for_room(void *context)
{
	struct tenon_queue *queue = contract_open("/wakes");

	(void)context;
	EXPECT_IS(tenon_queue_wait(queue, TENON_WRITABLE, tenon_deadline_after(LIMIT_NS), NULL), 0);
	/* Closing the queue would tell, too. */
	await_stage(3);
	queue = tenon_queue_close(queue);
}

/* The kernel wakes one who only waits for room, and takes no lock when it has it. */
static void test_receipt_by_waiter(void)
{
	struct tenon_queue *queue = begin(TENON_QUEUE_FIFO, 1);
	pid_t owner = contract_start(wait_for_receipt, NULL), waiter;

	await_stage(1);
	waiter = contract_start(wait_for_room, NULL);
	await_asleep(queue, TNI_CLASS_ROOM, 1, waiter);
	reach(2);
	await_asleep(queue, TNI_CLASS_RECEIPT, 1, owner);
	expect_killed(contract_start(receive_and_die, NULL));
	contract_await(owner);
	contract_await(waiter);
	contract_expect_sound(queue);
}

/* A receiver dies that owes a wake to one who waits for a receipt; the kernel wakes a sender, who goes
 * on at the senders' side only. */
static void receipt_by_sender(uint32_t order)
{
	struct tenon_queue *queue = begin(order, 1);
	pid_t waiter = contract_start(wait_for_receipt, NULL), sender;
	char buffer[64];

	await_stage(1);
	sender = contract_start(sleep_for_room, NULL);
	await_asleep(queue, TNI_CLASS_ROOM, 1, sender);
	reach(2);
	await_asleep(queue, TNI_CLASS_RECEIPT, 1, waiter);
	expect_killed(contract_start(receive_and_die, NULL));
	contract_await(waiter);
	/* The sender has been woken, too, but need not have run yet. */
	EXPECT_IS(tenon_queue_receive(queue, buffer, sizeof(buffer), NULL, NULL), 0);
	contract_kill(sender);
	contract_expect_sound(queue);
}

static void test_receipt_of_fifo(void)
{
	receipt_by_sender(TENON_QUEUE_FIFO);
}

static void test_receipt_of_priority(void)
{
	receipt_by_sender(TENON_QUEUE_PRIORITY);
}

static void test_receipt_of_typed(void)
{
	receipt_by_sender(TENON_QUEUE_TYPED);
}

static void *sleep_in_thread(void *context)
{
	EXPECT_IS(receive_type(context, 1), 0);
	return NULL;
}

/* One of several classes that may have been asleep in the parent. */
static void *wait_in_thread(void *context)
{
	uint64_t receipt;

	EXPECT_IS(send_type(context, 9, TENON_WANT_RECEIPT), 0);
	EXPECT_IS(tenon_queue_last_receipt(context, &receipt), 0);
	EXPECT_IS(tenon_queue_receipt(context, receipt, tenon_deadline_after(LIMIT_NS), NULL), 0);
	return NULL;
}

static void child_sleeps_once(struct tenon_queue *queue)
{
	contract_child_begins();
	EXPECT_IS(receive_type(queue, 2), 0);
	/* Up, and not asleep any more. */
	reach(1);
	await_stage(2);
	contract_child_ends();
}

/* Threads of the parent sleep while it forks: they are none of the child's. */
static void test_child_counts_its_own_sleepers(void)
{
	struct tenon_queue *queue = begin(TENON_QUEUE_TYPED, 8);
	struct tenon_queue_status status = {.size = sizeof(status)};
	pthread_t receiver, waiter;
	pid_t child;

	REQUIRE(pthread_create(&receiver, NULL, sleep_in_thread, queue) == 0);
	REQUIRE(pthread_create(&waiter, NULL, wait_in_thread, queue) == 0);
	while (tni_gatehouse_count(&queue->house, TNI_CLASS_MESSAGE) < 1 ||
	       tni_gatehouse_count(&queue->house, TNI_CLASS_RECEIPT) < 1)
		sched_yield();
	fflush(stdout);
	child = fork();
	if (child == 0)
		child_sleeps_once(queue);
	while (tni_gatehouse_count(&queue->house, TNI_CLASS_MESSAGE) < 2)
		sched_yield();
	EXPECT_IS(send_type(queue, 2, 0), 0);
	await_stage(1);
	/* The parent's own was woken as well, and goes back to sleep. */
	do
		EXPECT_IS(tenon_queue_status(queue, &status), 0);
	while (status.receivers_waiting != 1);
	reach(2);
	contract_await(child);
	EXPECT_IS(send_type(queue, 1, 0), 0);
	EXPECT_IS(receive_type(queue, 9), 0);
	pthread_join(receiver, NULL);
	pthread_join(waiter, NULL);
	EXPECT_IS(tenon_queue_status(queue, &status), 0);
	EXPECT_IS(status.receivers_waiting, 0);
	contract_expect_sound(queue);
}

/* Stays on one of the processors that it may use; ends the case if there are not so many. */
static void stay_on(int number)
{
	cpu_set_t allowed, one;

	CPU_ZERO(&one);
	REQUIRE(sched_getaffinity(0, sizeof(allowed), &allowed) == 0);
	for (int cpu = 0; cpu < CPU_SETSIZE && number >= 0; cpu++)
		if (CPU_ISSET(cpu, &allowed) && number-- == 0)
			CPU_SET(cpu, &one);
	if (CPU_COUNT(&one) == 0)
		contract_skip("it takes two processors");
	REQUIRE(sched_setaffinity(0, sizeof(one), &one) == 0);
}

static void receive_late(void *context)
{
	struct tenon_queue *queue;
	uint64_t number;

	if (context)
		stay_on(0);
	queue = contract_open("/wakes");
	EXPECT_IS(contract_receive(queue, &number, LIMIT_NS), 0);
	queue = tenon_queue_close(queue);
}

static void take_and_stay(void *context)
{
	struct tenon_queue *queue = contract_open("/wakes");
	struct tenon_lease lease;

	(void)context;
	EXPECT_IS(tenon_queue_take(queue, NULL, &lease), 0);
	for (;;)
		pause();
}

static void keep_processor(void *context)
{
	(void)context;
	stay_on(0);
	reach(1);
	await_stage(2);
}

/* A sleeper was woken by the kernel, for a death, and at once by a sender: it took the sender's message, and
 * the one who slept beside it was not told of the death. */
static void test_woken_twice(void)
{
	struct tenon_queue *queue = begin(TENON_QUEUE_FIFO, 8);
	struct tenon_queue_status status = {.size = sizeof(status)};
	struct sched_param none = {0};
	pid_t taker, late, other, busy;

	stay_on(1);
	EXPECT_IS(contract_send(queue, 1, 0), 0);
	taker = contract_start(take_and_stay, NULL);
	while (status.leased == 0)
		REQUIRE(tenon_queue_status(queue, &status) == 0);
	late = contract_start(receive_late, queue);
	await_asleep(queue, TNI_CLASS_MESSAGE, 1, late);
	REQUIRE(sched_setscheduler(late, SCHED_IDLE, &none) == 0);
	other = contract_start(receive_late, NULL);
	await_asleep(queue, TNI_CLASS_MESSAGE, 2, other);
	busy = contract_start(keep_processor, NULL);
	await_stage(1);
	contract_kill(taker);
	EXPECT_IS(contract_send(queue, 2, 0), 0);
	/* It may run now: those who are at work beside this test are not to keep it from that, where it can be said. */
	(void)!sched_setscheduler(late, SCHED_OTHER, &none);
	reach(2);
	contract_await(busy);
	contract_await(late);
	contract_await(other);
	contract_expect_sound(queue);
}

int main(void)
{
	static const struct contract_case cases[] = {
		{"a receiver woken in another's place passes it on", test_receiver_passes_on, NULL},
		{"one who waits for a receipt passes it on", test_receipt_waiter_passes_on, NULL},
		{"a sleeper woken twice tells of the death", test_woken_twice, NULL},
		{"a receipt is told by one who waits for room", test_receipt_by_waiter, NULL},
		{"a fifo queue's receipt is told by a sender", test_receipt_of_fifo, NULL},
		{"a priority queue's receipt is told by a sender", test_receipt_of_priority, NULL},
		{"a typed queue's receipt is told by a sender", test_receipt_of_typed, NULL},
		{"a forked child counts its own sleepers", test_child_counts_its_own_sleepers,
		 NULL},
	};

	return contract_main(cases, sizeof(cases) / sizeof(cases[0]));
}
