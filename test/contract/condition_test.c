/* SPDX-License-Identifier: Apache-2.0 */

/* What a condition promises to threads and processes, dead ones among them. */

#include <tenon/condition.h>

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "contract.h"

#define CONDITION "/condition"
#define LOCK "/lock"
#define WAIT_NS (SECOND_NS / 50)
#define LIMIT_NS (10 * SECOND_NS)

/* What the lock protects. */
struct state {
	uint32_t items, eaten;
	_Atomic uint32_t waiting;
};

static struct state *state;
static struct tenon_condition *condition;
static struct tenon_lock *lock;

static void open_both(uint32_t flags, bool recursive)
{
	struct tenon_sync_options options = {.size = sizeof(options),
					     .flags = recursive ? TENON_LOCK_RECURSIVE : 0};

	condition = NULL;
	lock = NULL;
	EXPECT_IS(tenon_condition_open(contract_folder, CONDITION, flags, NULL, &condition), 0);
	EXPECT_IS(tenon_lock_open(contract_folder, LOCK, flags, &options, &lock), 0);
	REQUIRE(condition && lock);
}

static void make(bool recursive)
{
	state = contract_share(sizeof(*state));
	open_both(TENON_CREATE, recursive);
}

static void close_both(void)
{
	condition = tenon_condition_close(condition);
	lock = tenon_lock_close(lock);
}

static int64_t limit(void)
{
	return tenon_deadline_after(LIMIT_NS);
}

static struct tenon_condition_status status(void)
{
	struct tenon_condition_status now = {.size = sizeof(now)};

	EXPECT_IS(tenon_condition_status(condition, &now), 0);
	return now;
}

static void await_waiters(uint32_t count)
{
	while (status().waiting < count)
		sched_yield();
}

static void acquire(void)
{
	int result = tenon_lock_acquire(lock, limit());

	if (result == -EOWNERDEAD)
		result = tenon_lock_repaired(lock);
	EXPECT_IS(result, 0);
}

/* Whoever held the lock may have died with it. */
static void wait_for_signal(void)
{
	int result = tenon_condition_wait(condition, lock, limit());

	if (result == -EOWNERDEAD)
		result = tenon_lock_repaired(lock);
	EXPECT_IS(result, 0);
}

static void test_alone(void)
{
	struct tenon_condition_status wrong = {.size = 4};

	make(false);
	EXPECT_IS(tenon_condition_wait(condition, lock, 0), -EPERM);
	EXPECT_IS(tenon_condition_wait(condition, NULL, 0), -EINVAL);
	EXPECT_IS(tenon_condition_wait(NULL, lock, 0), -EINVAL);
	EXPECT_IS(tenon_condition_signal(NULL), -EINVAL);
	EXPECT_IS(tenon_condition_broadcast(NULL), -EINVAL);
	EXPECT_IS(tenon_condition_status(condition, &wrong), -EINVAL);
	/* A signal is not kept for who comes later. */
	EXPECT_IS(tenon_condition_signal(condition), 0);
	acquire();
	EXPECT_IS(tenon_condition_wait(condition, lock, tenon_deadline_after(WAIT_NS)), -ETIMEDOUT);
	EXPECT_IS(tenon_condition_wait(condition, lock, 0), -ETIMEDOUT);
	/* It is held again. */
	EXPECT_IS(tenon_lock_release(lock), 0);
	EXPECT_IS(tenon_lock_release(lock), -EPERM);
	close_both();
	EXPECT_IS(tenon_condition_remove(contract_folder, CONDITION), 0);
	EXPECT_IS(tenon_condition_remove(contract_folder, CONDITION), -ENOENT);
}

/* Waits for an item, and eats it. */
static void eat(void *context)
{
	(void)context;
	open_both(0, false);
	acquire();
	while (state->items == 0)
		wait_for_signal();
	state->items--;
	state->eaten++;
	EXPECT_IS(tenon_lock_release(lock), 0);
}

static void give(uint32_t count)
{
	acquire();
	state->items += count;
	EXPECT_IS(tenon_lock_release(lock), 0);
}

#define CROWD 4u

static void start_crowd(pid_t crowd[CROWD])
{
	for (uint32_t i = 0; i < CROWD; i++)
		crowd[i] = contract_start(eat, NULL);
	await_waiters(CROWD);
}

static void test_signal(void)
{
	pid_t crowd[CROWD];

	make(false);
	start_crowd(crowd);
	for (uint32_t i = 0; i < CROWD; i++) {
		give(1);
		EXPECT_IS(tenon_condition_signal(condition), 0);
	}
	for (uint32_t i = 0; i < CROWD; i++)
		contract_await(crowd[i]);
	EXPECT_IS(state->eaten, CROWD);
	EXPECT_IS(status().signals, CROWD);
	close_both();
}

static void test_broadcast(void)
{
	pid_t crowd[CROWD];

	make(false);
	start_crowd(crowd);
	give(CROWD);
	EXPECT_IS(tenon_condition_broadcast(condition), 0);
	for (uint32_t i = 0; i < CROWD; i++)
		contract_await(crowd[i]);
	EXPECT_IS(state->eaten, CROWD);
	close_both();
}

static void signal_once(void *context)
{
	(void)context;
	open_both(0, true);
	await_waiters(1);
	/* Whoever waits does not hold the lock, however often it was acquired. */
	acquire();
	state->items = 1;
	EXPECT_IS(tenon_condition_signal(condition), 0);
	EXPECT_IS(tenon_lock_release(lock), 0);
}

static void test_recursive(void)
{
	pid_t child;

	make(true);
	child = contract_start(signal_once, NULL);
	for (uint32_t i = 0; i < 3; i++)
		acquire();
	while (state->items == 0)
		EXPECT_IS(tenon_condition_wait(condition, lock, limit()), 0);
	for (uint32_t i = 0; i < 3; i++)
		EXPECT_IS(tenon_lock_release(lock), 0);
	EXPECT_IS(tenon_lock_release(lock), -EPERM);
	contract_await(child);
	close_both();
}

static void eat_for_ever(void *context)
{
	(void)context;
	open_both(0, false);
	for (;;) {
		acquire();
		while (state->items == 0)
			wait_for_signal();
		atomic_fetch_add(&state->waiting, 1); /* it has woken, and holds the lock */
		for (;;)
			pause();
	}
}

/*
 * Of two who wait one is killed when it has been woken: behind its wake-up, or with the lock.  The other one gets
 * what the signal was for.  Who only had no processor is not late each time.
 */
static void test_killed_when_woken(void)
{
	uint32_t late = 0;

	make(false);
	for (uint32_t round = 0; round < 200; round++) {
		pid_t victim = contract_start(eat_for_ever, NULL), other;
		int64_t since_ns;

		await_waiters(1);
		other = contract_start(eat, NULL);
		await_waiters(2);
		give(1);
		EXPECT_IS(tenon_condition_signal(condition), 0);
		for (uint32_t i = 0; i < round % 20; i++)
			(void)status();
		contract_kill(victim);
		since_ns = tenon_deadline_after(0);
		/* Who died with the lock told the others by it, if they were at it. */
		contract_await(other);
		late += contract_was_late(since_ns);
		EXPECT_IS(state->eaten, round + 1);
		EXPECT_IS(state->items, 0);
	}
	EXPECT(late < 20);
	close_both();
}

static void die_with_the_lock(void *context)
{
	(void)context;
	open_both(0, false);
	await_waiters(1);
	acquire();
	EXPECT_IS(tenon_condition_signal(condition), 0);
	kill(getpid(), SIGKILL);
}

static void test_owner_dies(void)
{
	pid_t child;
	int result;

	make(false);
	child = contract_start(die_with_the_lock, NULL);
	acquire();
	result = tenon_condition_wait(condition, lock, limit());
	EXPECT_IS(result, -EOWNERDEAD);
	EXPECT_IS(tenon_lock_repaired(lock), 0);
	EXPECT_IS(tenon_lock_release(lock), 0);
	kill(child, SIGKILL);
	close_both();
}

static void on_signal(int signal)
{
	(void)signal;
}

static void interrupt_me(void *context)
{
	open_both(0, false);
	await_waiters(1);
	kill(*(pid_t *)context, SIGUSR1);
	give(1);
	EXPECT_IS(tenon_condition_signal(condition), 0);
}

static void test_handler(void)
{
	struct sigaction action = {.sa_handler = on_signal};
	pid_t own = getpid(), child;

	make(false);
	sigaction(SIGUSR1, &action, NULL);
	acquire();
	child = contract_start(interrupt_me, &own);
	EXPECT_IS(tenon_condition_wait(condition, lock, limit()), 0);
	EXPECT_IS(state->items, 1);
	EXPECT_IS(tenon_lock_release(lock), 0);
	contract_await(child);
	close_both();
}

#define ITEMS 20000u

static void produce(void *context)
{
	(void)context;
	open_both(0, false);
	for (uint32_t i = 0; i < ITEMS; i++) {
		acquire();
		while (state->items >= 3)
			EXPECT_IS(tenon_condition_wait(condition, lock, limit()), 0);
		state->items++;
		EXPECT_IS(tenon_condition_broadcast(condition), 0);
		EXPECT_IS(tenon_lock_release(lock), 0);
	}
}

/* A bounded buffer of three: no wake-up is lost. */
static void test_bounded_buffer(void)
{
	pid_t producers[2];

	make(false);
	for (uint32_t i = 0; i < 2; i++)
		producers[i] = contract_start(produce, NULL);
	for (uint32_t i = 0; i < 2 * ITEMS; i++) {
		acquire();
		while (state->items == 0)
			EXPECT_IS(tenon_condition_wait(condition, lock, limit()), 0);
		state->items--;
		EXPECT_IS(tenon_condition_broadcast(condition), 0);
		EXPECT_IS(tenon_lock_release(lock), 0);
	}
	for (uint32_t i = 0; i < 2; i++)
		contract_await(producers[i]);
	EXPECT_IS(state->items, 0);
	close_both();
}

int main(void)
{
	static const struct contract_case cases[] = {
		{"alone: time-outs, errors, and the lock is held again", test_alone, NULL},
		{"a signal wakes one", test_signal, NULL},
		{"a broadcast wakes all", test_broadcast, NULL},
		{"a recursive lock is let go of and held as often again", test_recursive, NULL},
		{"who dies when it was woken leaves the signal to another", test_killed_when_woken,
		 NULL},
		{"who is woken is told that the lock's owner died", test_owner_dies, NULL},
		{"signal handlers do not end a wait", test_handler, NULL},
		{"a bounded buffer of two producers", test_bounded_buffer, NULL},
	};

	return contract_main(cases, sizeof(cases) / sizeof(cases[0]));
}
