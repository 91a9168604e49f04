/* SPDX-License-Identifier: Apache-2.0 */

/*
 * One namespace folder in several containers: processes with pid and mount namespaces of their own,
 * who see the folder under different paths, use one queue.
 *
 * The kernel knows the owner of a robust futex by the number of the thread in the thread's own pid
 * namespace.  Each container's first process has number 1, so here all have the same: a death must
 * not be taken for that of a living twin, and a lock that a twin holds not for the caller's own.
 */

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "contained.h"
#include "contract.h"
#include "object/queue_private.h"

#define LIMIT_NS (10 * SECOND_NS)
/* Of contention, and for longer until so many have been received. */
#define WORK_NS (3 * SECOND_NS)
#define WORK_NUMBERS 1001u
#define SENDERS 2u
#define RECEIVERS 2u
#define NUMBERS (1u << 21)

static struct shared {
	uint32_t stop;
	uint32_t senders_done;	       /* nobody will send any more */
	uint32_t next[SENDERS];	       /* number to be sent */
	uint32_t ready;		       /* containers that say so */
	uint32_t go;		       /* containers that may go on */
	uint32_t received;	       /* numbers */
	uint32_t under_way[RECEIVERS]; /* the receiver's call did not return yet: 1 */
	uint8_t acknowledged[SENDERS][NUMBERS], seen[SENDERS][NUMBERS];
} * shared;

static uint32_t load(uint32_t *word)
{
	return __atomic_load_n(word, __ATOMIC_SEQ_CST);
}

static void add(uint32_t *word)
{
	__atomic_fetch_add(word, 1, __ATOMIC_SEQ_CST);
}

static void await(uint32_t *word, uint32_t least)
{
	while (load(word) < least)
		sched_yield();
}

static struct tenon_queue *begin(uint64_t capacity)
{
	struct tenon_queue_options options = {
		.size = sizeof(options), .capacity = capacity, .max_message_bytes = 64};

	shared = contract_share(sizeof(*shared));
	return contract_create("/shared", &options);
}

/* Sleeps for a message, and answers with the next number on the other queue. */
static void echo(void *context)
{
	struct tenon_queue *there = contract_open("/shared"), *back = contract_open("/back");
	uint64_t number = 0;

	(void)context;
	while (number < 200) {
		EXPECT_IS(contract_receive(there, &number, LIMIT_NS), 0);
		EXPECT_IS(contract_send(back, number + 1, LIMIT_NS), 0);
	}
	there = tenon_queue_close(there);
	back = tenon_queue_close(back);
}

static void ask(void *context)
{
	struct tenon_queue *there = contract_open("/shared"), *back = contract_open("/back");
	uint64_t number, answer = 0;

	(void)context;
	for (number = 1; number <= 201; number += 2) {
		EXPECT_IS(contract_send(there, number, LIMIT_NS), 0);
		EXPECT_IS(contract_receive(back, &answer, LIMIT_NS), 0);
		EXPECT_IS((int64_t)answer, (int64_t)number + 1);
	}
	there = tenon_queue_close(there);
	back = tenon_queue_close(back);
}

static void test_two_containers_talk(void)
{
	struct tenon_queue *there = begin(4), *back = contract_create("/back", NULL);
	pid_t one = start_contained(echo, NULL), other = start_contained(ask, NULL);

	contract_await(other);
	contract_await(one);
	contract_expect_sound(there);
	contract_expect_sound(back);
}

static void send_as_the_first(void *context)
{
	struct tenon_queue *queue = contract_open("/shared");

	(void)context;
	EXPECT_IS(contract_send(queue, 1, LIMIT_NS), 0);
	queue = tenon_queue_close(queue);
}

/* Process numbers are those of the namespace of whoever wrote them. */
static void test_number_of_a_contained_sender(void)
{
	struct tenon_queue *queue = begin(4);
	struct tenon_queue_status status = {.size = sizeof(status)};
	struct tenon_message message = {0};
	uint64_t number;

	contract_await(start_contained(send_as_the_first, NULL));
	EXPECT_IS(tenon_queue_status(queue, &status), 0);
	EXPECT_IS(status.last_sender_pid, 1);
	EXPECT_IS(tenon_queue_receive(queue, &number, sizeof(number), NULL, &message), 0);
	EXPECT(message.sender_pid == 1 || message.sender_pid == 0);
	queue = tenon_queue_close(queue);
}

static void sleep_for_a_number(void *context)
{
	struct tenon_queue *queue = contract_open("/shared");
	uint64_t number = 0;

	EXPECT_IS(contract_receive(queue, &number, LIMIT_NS), 0);
	EXPECT_IS((int64_t)number, (int64_t)(uintptr_t)context);
	queue = tenon_queue_close(queue);
}

static void sleep_for_room(void *context)
{
	struct tenon_queue *queue = contract_open("/shared");

	EXPECT_IS(contract_send(queue, (uintptr_t)context, LIMIT_NS), 0);
	queue = tenon_queue_close(queue);
}

static void take_and_stop(void *context)
{
	struct tenon_queue *queue = contract_open("/shared");
	struct tenon_lease lease;

	(void)context;
	EXPECT_IS(tenon_queue_take(queue, NULL, &lease), 0);
	add(&shared->ready);
	for (;;)
		pause();
}

static void test_lease_comes_back(void)
{
	struct tenon_queue *queue = begin(4);
	pid_t holder, sleeper;

	EXPECT_IS(contract_send(queue, 7, 0), 0);
	holder = start_contained(take_and_stop, NULL);
	await(&shared->ready, 1);
	sleeper = start_contained(sleep_for_a_number, (void *)7);
	contract_await_receivers(queue, 1);
	contract_kill(holder);
	contract_await(sleeper);
	contract_expect_sound(queue);
}

/* One of two that sleep for messages dies; the other gets the next one. */
static void test_sleeping_receiver_dies(void)
{
	struct tenon_queue *queue = begin(4);
	pid_t first = start_contained(sleep_for_a_number, (void *)0), second;

	contract_await_receivers(queue, 1);
	second = start_contained(sleep_for_a_number, (void *)9);
	contract_await_receivers(queue, 2);
	contract_kill(first);
	EXPECT_IS(contract_send(queue, 9, 0), 0);
	contract_await(second);
	contract_expect_sound(queue);
}

static void test_sleeping_sender_dies(void)
{
	struct tenon_queue *queue = begin(1);
	pid_t first, second;
	uint64_t number;

	EXPECT_IS(contract_send(queue, 1, 0), 0);
	first = start_contained(sleep_for_room, (void *)2);
	contract_await_senders(queue, 1);
	second = start_contained(sleep_for_room, (void *)3);
	contract_await_senders(queue, 2);
	contract_kill(first);
	EXPECT_IS(contract_receive(queue, &number, LIMIT_NS), 0);
	EXPECT_IS((int64_t)number, 1);
	contract_await(second);
	EXPECT_IS(contract_receive(queue, &number, 0), 0);
	EXPECT_IS((int64_t)number, 3);
	contract_expect_sound(queue);
}

/* Locks a side and keeps it until it is told. */
static void hold_side(void *context)
{
	struct tenon_queue *queue = contract_open("/shared");
	uint32_t side = (uint32_t)(uintptr_t)context;
	struct tni_call call;

	REQUIRE(tni_call_begin(&call, queue) == 0);
	EXPECT_IS(tni_side_lock(&call, side, INT64_MAX), 0);
	add(&shared->ready);
	await(&shared->go, 1);
	tni_side_unlock(&call, side);
	queue = tenon_queue_close(queue);
}

static void await_locker(struct tenon_queue *queue, uint32_t side)
{
	while (tni_gatehouse_count(&queue->house, TNI_CLASS_LOCK_0 + side) == 0)
		sched_yield();
}

/* Nobody gets the lock, from here or from a container. */
static void expect_locked(struct tenon_queue *queue, uint32_t side)
{
	uint64_t number;
	int result = side == TNI_SEND ? contract_send(queue, 99, SECOND_NS / 4)
				      : contract_receive(queue, &number, SECOND_NS / 4);

	EXPECT_IS(result, -ETIMEDOUT);
}

/* A process that sleeps for a lock dies: the twin who holds the lock keeps it. */
static void locker_dies(uint32_t side)
{
	struct tenon_queue *queue = begin(4);
	struct tni_gate *gate = queue->house.gate[side];
	pid_t holder = start_contained(hold_side, (void *)(uintptr_t)side), locker;

	await(&shared->ready, 1);
	EXPECT_IS(contract_send(queue, 5, side == TNI_SEND ? 0 : LIMIT_NS),
		  side == TNI_SEND ? -ETIMEDOUT : 0);
	locker = side == TNI_SEND ? start_contained(sleep_for_room, (void *)5)
				  : start_contained(sleep_for_a_number, (void *)5);
	await_locker(queue, side);
	contract_kill(locker);
	expect_locked(queue, side);
	add(&shared->go);
	contract_await(holder);
	EXPECT_IS(tni_get32(&gate->repairs), 0);
}

static void test_locker_of_send_dies(void)
{
	locker_dies(TNI_SEND);
}

static void test_locker_of_receive_dies(void)
{
	locker_dies(TNI_RECEIVE);
}

/* A process dies that sleeps for a message, with the senders' gate as its pending entry. */
static void test_sleeper_dies_while_twin_sends(void)
{
	struct tenon_queue *queue = begin(4);
	struct tni_gate *gate = queue->house.gate[TNI_SEND];
	pid_t sleeper = start_contained(sleep_for_a_number, (void *)0), holder;

	contract_await_receivers(queue, 1);
	holder = start_contained(hold_side, (void *)TNI_SEND);
	await(&shared->ready, 1);
	contract_kill(sleeper);
	expect_locked(queue, TNI_SEND);
	add(&shared->go);
	contract_await(holder);
	EXPECT_IS(tni_get32(&gate->repairs), 0);
}

/* The true owner's death is still told. */
static void test_owner_dies(void)
{
	struct tenon_queue *queue = begin(4);
	pid_t holder = start_contained(hold_side, (void *)TNI_SEND), sleeper;

	await(&shared->ready, 1);
	sleeper = start_contained(sleep_for_room, (void *)6);
	await_locker(queue, TNI_SEND);
	contract_kill(holder);
	contract_await(sleeper);
	sleeper = start_contained(sleep_for_a_number, (void *)6);
	contract_await(sleeper);
	EXPECT_IS(tni_get32(&queue->house.gate[TNI_SEND]->repairs), 1);
	contract_expect_sound(queue);
}

/* A sleeper that buries a dead lease holder needs the senders' lock, which its twin holds. */
static void test_twin_holds_the_lock_of_a_burial(void)
{
	struct tenon_queue *queue = begin(4);
	pid_t taker, holder, sleeper;

	EXPECT_IS(contract_send(queue, 8, 0), 0);
	taker = start_contained(take_and_stop, NULL);
	await(&shared->ready, 1);
	holder = start_contained(hold_side, (void *)TNI_SEND);
	await(&shared->ready, 2);
	sleeper = start_contained(sleep_for_a_number, (void *)8);
	contract_await_receivers(queue, 1);
	contract_kill(taker);
	await_locker(queue, TNI_SEND);
	add(&shared->go);
	contract_await(holder);
	contract_await(sleeper);
	contract_expect_sound(queue);
}

static void send_numbers(void *context)
{
	uint32_t which = (uint32_t)(uintptr_t)context;
	struct tenon_queue *queue = contract_open("/shared");

	while (!load(&shared->stop) && shared->next[which] < NUMBERS) {
		uint32_t number = shared->next[which];
		int result;

		/* A number that was begun and not acknowledged may arrive, or not. */
		__atomic_store_n(&shared->next[which], number + 1, __ATOMIC_SEQ_CST);
		result = contract_send(queue, (uint64_t)which << 32 | number, LIMIT_NS);
		EXPECT_IS(result, 0);
		if (result != 0)
			break;
		__atomic_store_n(&shared->acknowledged[which][number], 1, __ATOMIC_SEQ_CST);
	}
	queue = tenon_queue_close(queue);
}

static void note(uint64_t message)
{
	uint32_t which = (uint32_t)(message >> 32), number = (uint32_t)message;

	REQUIRE(which < SENDERS && number < NUMBERS);
	EXPECT_IS(__atomic_fetch_add(&shared->seen[which][number], 1, __ATOMIC_SEQ_CST), 0);
	add(&shared->received);
}

static void receive_numbers(void *context)
{
	uint32_t which = (uint32_t)(uintptr_t)context;
	struct tenon_queue *queue = contract_open("/shared");
	int result = 0;

	while (result == 0 && !load(&shared->stop)) {
		uint64_t message;

		__atomic_store_n(&shared->under_way[which], 1, __ATOMIC_SEQ_CST);
		result = contract_receive(queue, &message, SECOND_NS / 2);
		if (result == 0)
			note(message);
		else if (result == -ETIMEDOUT)
			result = 0;
		__atomic_store_n(&shared->under_way[which], 0, __ATOMIC_SEQ_CST);
	}
	EXPECT_IS(result, 0);
	queue = tenon_queue_close(queue);
}

/* What is left comes to this process; then everything that was acknowledged must be there, but for
 * one message for each receiver that died in its call. */
static void settle(struct tenon_queue *queue, uint32_t forgiven)
{
	uint64_t message;
	uint32_t lost = 0;
	int result;

	while ((result = contract_receive(queue, &message, 0)) == 0)
		note(message);
	EXPECT_IS(result, -ETIMEDOUT);
	for (uint32_t which = 0; which < SENDERS; which++)
		for (uint32_t i = 0; i < shared->next[which]; i++)
			lost += shared->acknowledged[which][i] && !shared->seen[which][i];
	if (lost > forgiven)
		EXPECT_IS(lost, forgiven);
	EXPECT(shared->received >= WORK_NUMBERS);
	contract_expect_sound(queue);
}

/* Senders that are told to stop may be waiting for room, and receivers may have stopped. */
static void receive_until_done(void *context)
{
	struct tenon_queue *queue = contract_open("/shared");
	uint64_t message;

	(void)context;
	while (!load(&shared->senders_done))
		if (contract_receive(queue, &message, SECOND_NS / 50) == 0)
			note(message);
	queue = tenon_queue_close(queue);
}

static void await_all(const pid_t child[SENDERS + RECEIVERS])
{
	pid_t receiver;

	add(&shared->stop);
	receiver = contract_start(receive_until_done, NULL);
	for (uint32_t i = 0; i < SENDERS + RECEIVERS; i++)
		contract_await(child[i]);
	add(&shared->senders_done);
	contract_await(receiver);
}

static void wait_until(int64_t end_ns)
{
	struct timespec at = tni_timespec(end_ns);

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == EINTR)
		;
}

static void test_twins_contend(void)
{
	struct tenon_queue *queue = begin(7);
	pid_t child[SENDERS + RECEIVERS];

	for (uintptr_t i = 0; i < SENDERS + RECEIVERS; i++)
		child[i] = i < SENDERS ? start_contained(send_numbers, (void *)i)
				       : start_contained(receive_numbers, (void *)(i - SENDERS));
	wait_until(tenon_deadline_after(WORK_NS));
	await(&shared->received, WORK_NUMBERS);
	await_all(child);
	settle(queue, 0);
}

/* One after the other is killed, wherever it is, and replaced. */
static void test_twins_die(void)
{
	struct tenon_queue *queue = begin(7);
	int64_t end_ns = tenon_deadline_after(WORK_NS), now_ns;
	uint32_t which = 0, cut_short = 0, kills = 0;
	pid_t child[SENDERS + RECEIVERS];

	for (uintptr_t i = 0; i < SENDERS + RECEIVERS; i++)
		child[i] = i < SENDERS ? start_contained(send_numbers, (void *)i)
				       : start_contained(receive_numbers, (void *)(i - SENDERS));
	while ((now_ns = tenon_deadline_after(0)) < end_ns ||
	       load(&shared->received) < WORK_NUMBERS) {
		wait_until(now_ns + SECOND_NS / 50);
		contract_kill(child[which]);
		kills++;
		if (which >= SENDERS)
			cut_short += load(&shared->under_way[which - SENDERS]);
		child[which] = which < SENDERS
				       ? start_contained(send_numbers, (void *)(uintptr_t)which)
				       : start_contained(receive_numbers,
							 (void *)(uintptr_t)(which - SENDERS));
		which = (which + 1) % (SENDERS + RECEIVERS);
	}
	await_all(child);
	printf("# %u kills, %u of receivers in their call\n", kills, cut_short);
	settle(queue, cut_short);
}

int main(void)
{
	static const struct contract_case cases[] = {
		{"two containers wake each other", test_two_containers_talk, NULL},
		{"a contained sender's number is its own", test_number_of_a_contained_sender, NULL},
		{"a lease comes back from a container that died", test_lease_comes_back, NULL},
		{"a sleeping receiver dies in its container", test_sleeping_receiver_dies, NULL},
		{"a sleeping sender dies in its container", test_sleeping_sender_dies, NULL},
		{"the owner of a gate dies in its container", test_owner_dies, NULL},
		{"a twin who waits for the senders' gate dies", test_locker_of_send_dies, NULL},
		{"a twin who waits for the receivers' gate dies", test_locker_of_receive_dies,
		 NULL},
		{"a twin who sleeps for a message dies", test_sleeper_dies_while_twin_sends, NULL},
		{"a twin holds the lock that a burial needs", test_twin_holds_the_lock_of_a_burial,
		 NULL},
		{"twins contend", test_twins_contend, NULL},
		{"twins contend and die", test_twins_die, NULL},
	};

	return contract_main(cases, sizeof(cases) / sizeof(cases[0]));
}
