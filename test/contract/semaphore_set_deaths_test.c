/* SPDX-License-Identifier: Apache-2.0 */

/* What a set of semaphores promises when processes that use it die. */

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "object/sync.h"
#include "semaphore_set.h"

static int64_t now_ns(void)
{
	return tenon_deadline_after(0);
}

static void do_and_stay(void *context)
{
	const struct demand *demand = context;

	EXPECT_IS(operate(open_set(), demand->list, demand->count), 0);
	for (;;)
		pause();
}

static void do_and_die(void *context)
{
	const struct demand *demand = context;

	EXPECT_IS(operate(open_set(), demand->list, demand->count), 0);
	kill(getpid(), SIGKILL);
}

static void die_with(struct demand demand)
{
	EXPECT(waitpid(contract_start(do_and_die, &demand), NULL, 0) > 0);
}

/* What it took comes back, what it gave goes, as far as that can be. */
static void test_undone(void)
{
	struct tenon_semaphore_set *set = make(3, 9, 4);
	uint32_t values[3] = {9, 0, 4};

	die_with((struct demand){3, {{0, -3, UNDO}, {1, 2, UNDO}, {2, -1, 0}}});
	EXPECT_VALUES(set, 4, 4, 3);
	EXPECT_IS((int64_t)status_of(set).undone, 1);
	die_with((struct demand){1, {{1, 5, UNDO}}});
	EXPECT_IS(one(set, 1, -5, NOWAIT), -EAGAIN);
	/* Beyond the ends. */
	die_with((struct demand){2, {{0, -3, UNDO}, {0, 3, 0}}});
	EXPECT_IS(value_of(set, 0), 7);
	EXPECT_IS(tenon_semaphore_set_set_all(set, values, 3), 0);
	die_with((struct demand){3, {{0, -5, UNDO}, {0, 5, 0}, {1, 1, UNDO}}});
	EXPECT_VALUES(set, 9, 0, 4);
	die_with((struct demand){3, {{1, 1, UNDO}, {1, -1, 0}, {2, 0 - 4, UNDO}}});
	EXPECT_VALUES(set, 9, 0, 4);
	set = tenon_semaphore_set_close(set);
}

/* Whoever helps, and is late, takes nobody who has the entry by now for dead. */
static void test_living(void)
{
	struct tenon_semaphore_set *set = make(3, 9, 4);
	struct tni_sync *sync = (struct tni_sync *)set;
	struct demand demand = {1, {{0, -3, UNDO}}};
	pid_t child = contract_start(do_and_stay, &demand);

	while (value_of(set, 0) != 1)
		sched_yield();
	EXPECT_IS(sync->kind->help(sync, 1, INT64_MAX), 0);
	EXPECT_IS(value_of(set, 0), 1);
	contract_kill(child);
	EXPECT_IS(value_of(set, 0), 4);
	set = tenon_semaphore_set_close(set);
}

/* Who finds too little, and who wants a zero, looks for the dead. */
static void test_looks_for_the_dead(void)
{
	struct tenon_semaphore_set *set = make(3, 9, 4);

	die_with((struct demand){1, {{0, -4, UNDO}}});
	EXPECT_IS(one(set, 0, 0, NOWAIT), -EAGAIN);
	die_with((struct demand){1, {{0, -4, UNDO}}});
	EXPECT_IS(one(set, 0, -1, NOWAIT), 0);
	die_with((struct demand){1, {{1, -4, UNDO}}});
	EXPECT_IS(tenon_semaphore_set_operate(set, &(struct tenon_semaphore_operation){1, -1, 0}, 1,
					      0),
		  0);
	set = tenon_semaphore_set_close(set);
}

static void test_last_is_the_dead_one(void)
{
	struct demand demand = {1, {{0, -3, UNDO}}};
	struct tenon_semaphore_set *set = make(3, 9, 4);
	struct tenon_semaphore_set_member member;
	pid_t child = contract_start(do_and_die, &demand);

	EXPECT(waitpid(child, NULL, 0) > 0);
	EXPECT_IS(one(set, 0, 1, 0), 0);
	EXPECT_IS(value_of(set, 0), 5);
	EXPECT_IS(tenon_semaphore_set_read(set, 0, &member), 0);
	EXPECT_IS(member.pid, child);
	set = tenon_semaphore_set_close(set);
}

/* Sleepers get what comes back, and at once; also who sleeps for a zero. */
static void test_sleepers_get_what_comes_back(void)
{
	struct tenon_semaphore_set *set = make(3, 9, 2);
	struct demand holds = {2, {{0, -2, UNDO}, {1, 3, UNDO}}};
	struct demand takes = {2, {{0, -1, UNDO}, {2, 0, 0}}}, zero = {1, {{1, -2, 0}}};
	uint32_t late = 0;

	EXPECT_IS(tenon_semaphore_set_set(set, 2, 0), 0);
	EXPECT_IS(tenon_semaphore_set_set(set, 1, 0), 0);
	zero.list[0].change = 0;
	for (uint32_t round = 0; round < 20; round++) {
		pid_t holder = contract_start(do_and_stay, &holds), sleepers[3];
		int64_t since_ns;

		while (value_of(set, 0) != 0)
			sched_yield();
		for (uint32_t i = 0; i < 2; i++)
			sleepers[i] = contract_start(do_and_end, &takes);
		sleepers[2] = contract_start(do_and_end, &zero);
		await_waiters(set, 0, 2, 0);
		await_waiters(set, 1, 0, 1);
		kill(holder, SIGKILL);
		since_ns = now_ns();
		for (uint32_t i = 0; i < 3; i++)
			contract_await(sleepers[i]);
		late += contract_was_late(since_ns);
		contract_kill(holder);
		EXPECT_VALUES(set, 2, 0, 0);
	}
	EXPECT(late < 10);
	set = tenon_semaphore_set_close(set);
}

struct seen {
	uint32_t waiting, undos, visits;
	pid_t waiter, holder;
	uint32_t number;
	int32_t change;
};

static int note_user(const struct tenon_semaphore_set_user *user, void *context)
{
	struct seen *seen = context;

	seen->visits++;
	if (user->waiting) {
		seen->waiting++;
		seen->waiter = user->pid;
		seen->number = user->number;
		seen->change = user->change;
	} else {
		seen->undos += user->undos;
		seen->holder = user->pid;
	}
	return 0;
}

static int stop_at_once(const struct tenon_semaphore_set_user *user, void *context)
{
	(void)user;
	(void)context;
	return 42;
}

/* Dead ones do not count, whether or not somebody has looked for them. */
static void test_users(void)
{
	struct tenon_semaphore_set *set = make(3, 9, 1);
	struct demand holds = {3, {{0, -1, UNDO}, {1, 1, UNDO}, {2, 1, 0}}};
	struct demand waits = {2, {{1, 1, 0}, {2, -7, 0}}}, zero = {1, {{2, 0, 0}}};
	pid_t holder = contract_start(do_and_stay, &holds), waiter, others[3];
	struct seen seen = {0};

	while (value_of(set, 2) != 2)
		sched_yield();
	waiter = contract_start(do_and_end, &waits);
	await_waiters(set, 2, 1, 0);
	EXPECT_IS(tenon_semaphore_set_users(set, note_user, &seen), 0);
	EXPECT_IS(seen.visits, 2);
	EXPECT_IS(seen.waiter, waiter);
	EXPECT_IS(seen.number, 2);
	EXPECT_IS(seen.change, -7);
	EXPECT_IS(seen.holder, holder);
	EXPECT_IS(seen.undos, 2);
	EXPECT_IS(tenon_semaphore_set_users(set, stop_at_once, NULL), 42);
	for (uint32_t i = 0; i < 3; i++)
		others[i] = contract_start(do_and_end, &zero);
	await_waiters(set, 2, 1, 3);
	contract_kill(others[1]);
	await_waiters(set, 2, 1, 2);
	contract_kill(waiter);
	await_waiters(set, 2, 0, 2);
	contract_kill(holder);
	/* Those who wait are at burying it. */
	do {
		seen = (struct seen){0};
		EXPECT_IS(tenon_semaphore_set_users(set, note_user, &seen), 0);
		EXPECT_IS(seen.waiting, 2);
	} while (seen.undos > 0);
	EXPECT_IS(tenon_semaphore_set_set(set, 2, 0), 0);
	contract_await(others[0]);
	contract_await(others[2]);
	set = tenon_semaphore_set_close(set);
}

#define MANY 32000u

static void take_many_and_die(void *context)
{
	struct tenon_semaphore_set *set = open_set();
	struct tenon_semaphore_operation list[500];

	(void)context;
	for (uint32_t first = 0; first < MANY; first += 500) {
		for (uint32_t i = 0; i < 500; i++)
			list[i] = (struct tenon_semaphore_operation){first + i, -1 - (int)i % 3,
								     UNDO};
		EXPECT_IS(operate(set, list, 500), 0);
	}
	kill(getpid(), SIGKILL);
}

static void test_many_undone(void)
{
	static uint32_t values[MANY];
	struct tenon_semaphore_set *set = make(MANY, 9, 5);

	EXPECT(waitpid(contract_start(take_many_and_die, NULL), NULL, 0) > 0);
	EXPECT_IS(tenon_semaphore_set_get_all(set, values, MANY), 0);
	for (uint32_t i = 0; i < MANY; i++)
		EXPECT_IS(values[i], 5);
	set = tenon_semaphore_set_close(set);
}

#define WORKERS 4u
#define HELD 4u

/* Takes units of two semaphores for a while, and moves units between two others, so that the sum stays. */
static void work_for_ever(void *context)
{
	struct tenon_semaphore_set *set = open_set();
	uint64_t seed = (uint64_t)getpid() + *(uint32_t *)context;

	for (;;) {
		uint32_t first = next_random(&seed) % 2, from = 2 + next_random(&seed) % 2;
		int32_t count = 1 + (int32_t)(next_random(&seed) % 3);
		struct tenon_semaphore_operation move[] = {{from, -1, NOWAIT}, {5 - from, 1, 0}};
		struct tenon_semaphore_operation take[] = {{first, -count, UNDO},
							   {1 - first, -1, UNDO}};
		struct tenon_semaphore_operation give[] = {{1 - first, 1, UNDO},
							   {first, count, UNDO}};
		int moved = operate(set, move, 2);

		EXPECT(moved == 0 || moved == -EAGAIN);
		EXPECT_IS(operate(set, take, 2), 0);
		EXPECT_IS(operate(set, give, 2), 0);
	}
}

/* Killed at any moment, again and again: the sum is right when all are dead. */
static void test_random_kills(void)
{
	struct tenon_semaphore_set *set = make(4, 30, HELD);
	struct seen seen = {0};
	pid_t workers[WORKERS];
	uint64_t seed = 1;

	for (uint32_t i = 0; i < WORKERS; i++)
		workers[i] = contract_start(work_for_ever, &i);
	for (uint32_t i = 0; i < 400; i++) {
		uint32_t which = i % WORKERS;
		uint64_t before = status_of(set).operations;

		for (uint32_t j = next_random(&seed) % 20; j > 0; j--)
			sched_yield();
		contract_kill(workers[which]);
		workers[which] = contract_start(work_for_ever, &which);
		/* The others go on. */
		while (status_of(set).operations == before)
			sched_yield();
	}
	for (uint32_t i = 0; i < WORKERS; i++)
		contract_kill(workers[i]);
	EXPECT_IS(value_of(set, 0), HELD);
	EXPECT_IS(value_of(set, 1), HELD);
	EXPECT_IS(value_of(set, 2) + value_of(set, 3), 2 * HELD);
	EXPECT_IS(tenon_semaphore_set_users(set, note_user, &seen), 0);
	EXPECT_IS(seen.visits, 0);
	EXPECT_IS(status_of(set).participants, 1);
	set = tenon_semaphore_set_close(set);
}

int main(int argc, char **argv)
{
	static const struct contract_case cases[] = {
		{"what the dead did with undo is undone", test_undone, NULL},
		{"the living are not buried", test_living, NULL},
		{"who has to looks for the dead", test_looks_for_the_dead, NULL},
		{"the dead one was it last", test_last_is_the_dead_one, NULL},
		{"sleepers get what comes back, at once", test_sleepers_get_what_comes_back, NULL},
		{"who waits for what, but for the dead", test_users, NULL},
		{"32000 undo counts", test_many_undone, NULL},
		{"processes killed at any moment leave the sum right", test_random_kills, NULL},
	};

	return set_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
