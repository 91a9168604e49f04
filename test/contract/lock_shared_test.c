/* SPDX-License-Identifier: Apache-2.0 */

/* What a lock promises to those who share it, and to who wants it alone; dead ones among them. */

#include <tenon/lock.h>

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "contract.h"

#define NAME "/lock"
#define WAIT_NS (SECOND_NS / 50)
#define LIMIT_NS (10 * SECOND_NS)

static struct tenon_lock *open_lock(uint32_t flags)
{
	struct tenon_lock *lock = NULL;

	EXPECT_IS(tenon_lock_open(contract_folder, NAME, flags, NULL, &lock), 0);
	REQUIRE(lock);
	return lock;
}

static int hold(struct tenon_lock *lock, int64_t timeout_ns)
{
	return tenon_lock_acquire(lock, tenon_deadline_after(timeout_ns));
}

static int share(struct tenon_lock *lock, int64_t timeout_ns)
{
	return tenon_lock_acquire_shared(lock, tenon_deadline_after(timeout_ns));
}

static struct tenon_lock_status status_of(struct tenon_lock *lock)
{
	struct tenon_lock_status status = {.size = sizeof(status)};

	EXPECT_IS(tenon_lock_status(lock, &status), 0);
	return status;
}

static int64_t now_ns(void)
{
	return tenon_deadline_after(0);
}

static void *expect_held(void *context)
{
	EXPECT_IS(tenon_lock_try_shared(context), -EBUSY);
	EXPECT_IS(share(context, WAIT_NS), -ETIMEDOUT);
	return NULL;
}

static void in_thread(void *(*run)(void *), void *context)
{
	pthread_t thread;

	REQUIRE(pthread_create(&thread, NULL, run, context) == 0);
	REQUIRE(pthread_join(thread, NULL) == 0);
}

static void test_alone(void)
{
	struct tenon_lock *lock = open_lock(TENON_CREATE), *other = open_lock(0);

	EXPECT_IS(tenon_lock_acquire_shared(NULL, 0), -EINVAL);
	EXPECT_IS(tenon_lock_try_shared(NULL), -EINVAL);
	EXPECT_IS(tenon_lock_release_shared(NULL), -EINVAL);
	EXPECT_IS(tenon_lock_release_shared(lock), -EPERM);
	EXPECT_IS(share(lock, LIMIT_NS), 0);
	EXPECT_IS(tenon_lock_try_shared(lock), 0);
	EXPECT_IS(tenon_lock_try_shared(other), 0);
	EXPECT_IS(status_of(lock).shared, 3);
	EXPECT_IS(tenon_lock_release(lock), -EPERM);
	EXPECT_IS(tenon_lock_try(other), -EBUSY);
	EXPECT_IS(hold(other, WAIT_NS), -ETIMEDOUT);
	for (uint32_t i = 0; i < 2; i++)
		EXPECT_IS(tenon_lock_release_shared(lock), 0);
	EXPECT_IS(tenon_lock_release_shared(lock), -EPERM);
	EXPECT_IS(tenon_lock_try(lock), -EBUSY);
	EXPECT_IS(tenon_lock_release_shared(other), 0);
	EXPECT_IS(status_of(lock).shared, 0);
	EXPECT_IS(tenon_lock_try(lock), 0);
	EXPECT_IS(share(lock, LIMIT_NS), -EDEADLK);
	/* By another handle of the same thread: it would wait for itself. */
	EXPECT_IS(tenon_lock_try_shared(other), -EDEADLK);
	EXPECT_IS(share(other, WAIT_NS), -EDEADLK);
	in_thread(expect_held, other);
	EXPECT_IS(tenon_lock_release(lock), 0);
	EXPECT_IS(share(other, LIMIT_NS), 0);
	/* Closing ends it. */
	other = tenon_lock_close(other);
	EXPECT_IS(tenon_lock_try(lock), 0);
	EXPECT_IS(tenon_lock_lost(lock), 0);
	EXPECT_IS(tenon_lock_try_shared(lock), -ENOTRECOVERABLE);
	EXPECT_IS(share(lock, LIMIT_NS), -ENOTRECOVERABLE);
	lock = tenon_lock_close(lock);
}

static void share_and_stay(void *context)
{
	struct tenon_lock *lock = open_lock(0);

	(void)context;
	EXPECT_IS(share(lock, LIMIT_NS), 0);
	for (;;)
		pause();
}

static void hold_once(void *context)
{
	struct tenon_lock *lock = open_lock(0);

	(void)context;
	EXPECT_IS(hold(lock, LIMIT_NS), 0);
	EXPECT_IS(tenon_lock_release(lock), 0);
}

static void await_shared(struct tenon_lock *lock, uint32_t count)
{
	while (status_of(lock).shared < count)
		sched_yield();
}

/* Somebody holds it, or waits for those who share it. */
static void await_drainer(struct tenon_lock *lock)
{
	while (status_of(lock).owner_pid == 0 && status_of(lock).waiting == 0)
		sched_yield();
}

/* Of two who share it one dies, and the other: who waits gets it, untold, for nothing is half done.  At once: who
 * only had no processor is not late each time. */
static void test_who_shares_dies(void)
{
	struct tenon_lock *lock = open_lock(TENON_CREATE);
	uint32_t late = 0;

	for (uint32_t round = 0; round < 30; round++) {
		pid_t sharers[2], holder;
		int64_t since_ns;

		for (uint32_t i = 0; i < 2; i++)
			sharers[i] = contract_start(share_and_stay, NULL);
		await_shared(lock, 2);
		holder = contract_start(hold_once, NULL);
		await_drainer(lock);
		/* Nobody new gets in before it. */
		EXPECT_IS(tenon_lock_try_shared(lock), -EBUSY);
		contract_kill(sharers[round % 2]);
		while (status_of(lock).shared != 1)
			sched_yield();
		since_ns = now_ns();
		kill(sharers[(round + 1) % 2], SIGKILL);
		contract_await(holder);
		late += contract_was_late(since_ns);
		contract_kill(sharers[(round + 1) % 2]);
		EXPECT_IS(tenon_lock_try(lock), 0);
		EXPECT_IS(tenon_lock_release(lock), 0);
	}
	EXPECT(late < 10);
	EXPECT_IS(status_of(lock).state, TENON_LOCK_SOUND);
	lock = tenon_lock_close(lock);
}

static void hold_and_stay(void *context)
{
	struct tenon_lock *lock = open_lock(0);

	(void)context;
	EXPECT_IS(hold(lock, LIMIT_NS), 0);
	for (;;)
		pause();
}

static void share_told(void *context)
{
	struct tenon_lock *lock = open_lock(0);

	(void)context;
	EXPECT_IS(share(lock, LIMIT_NS), -EOWNERDEAD);
	EXPECT_IS(tenon_lock_release_shared(lock), 0);
}

/* All who share it are told that its holder died, until one who holds it says that it is sound. */
static void test_holder_dies(void)
{
	struct tenon_lock *lock = open_lock(TENON_CREATE);

	for (uint32_t round = 0; round < 30; round++) {
		pid_t holder = contract_start(hold_and_stay, NULL), sharers[3];

		await_drainer(lock);
		for (uint32_t i = 0; i < 3; i++)
			sharers[i] = contract_start(share_told, NULL);
		while (round % 2 && status_of(lock).participants < 5)
			sched_yield();
		contract_kill(holder);
		for (uint32_t i = 0; i < 3; i++)
			contract_await(sharers[i]);
		EXPECT_IS(tenon_lock_try_shared(lock), -EOWNERDEAD);
		EXPECT_IS(tenon_lock_repaired(lock), -EPERM);
		EXPECT_IS(tenon_lock_release_shared(lock), 0);
		EXPECT_IS(tenon_lock_try(lock), -EOWNERDEAD);
		EXPECT_IS(tenon_lock_repaired(lock), 0);
		EXPECT_IS(tenon_lock_release(lock), 0);
		EXPECT_IS(tenon_lock_try_shared(lock), 0);
		EXPECT_IS(tenon_lock_release_shared(lock), 0);
	}
	lock = tenon_lock_close(lock);
}

/* One who holds it, or waits for those who share it, dies just then; the sharers stay. */
static void test_drainer_dies(void)
{
	struct tenon_lock *lock = open_lock(TENON_CREATE), *other = open_lock(0);
	pid_t holder;

	EXPECT_IS(share(lock, LIMIT_NS), 0);
	holder = contract_start(hold_and_stay, NULL);
	while (status_of(lock).waiting == 0)
		sched_yield();
	contract_kill(holder);
	/* It had nothing yet. */
	EXPECT_IS(tenon_lock_try(other), -EBUSY);
	EXPECT_IS(share(other, LIMIT_NS), 0);
	EXPECT_IS(tenon_lock_release_shared(other), 0);
	EXPECT_IS(tenon_lock_release_shared(lock), 0);
	EXPECT_IS(hold(other, LIMIT_NS), 0);
	EXPECT_IS(tenon_lock_release(other), 0);
	other = tenon_lock_close(other);
	lock = tenon_lock_close(lock);
}

static struct tenon_lock *inherited;

static void use_inherited(void *context)
{
	(void)context;
	EXPECT_IS(tenon_lock_release_shared(inherited), -EPERM);
	EXPECT_IS(share(inherited, LIMIT_NS), 0);
	EXPECT_IS(tenon_lock_release_shared(inherited), 0);
	EXPECT_IS(tenon_lock_release_shared(inherited), -EPERM);
}

static void test_fork(void)
{
	struct tenon_lock *watch = open_lock(TENON_CREATE);

	inherited = open_lock(0);
	EXPECT_IS(share(inherited, LIMIT_NS), 0);
	contract_await(contract_start(use_inherited, NULL));
	EXPECT_IS(status_of(watch).shared, 1);
	EXPECT_IS(tenon_lock_release_shared(inherited), 0);
	inherited = tenon_lock_close(inherited);
	watch = tenon_lock_close(watch);
}

#define THREADS 3u
#define PROCESSES 3u
#define ROUNDS 4000u

struct field {
	uint64_t one, two; /* the same, to who may look */
};

static struct field *field;

static void *read_and_write(void *context)
{
	struct tenon_lock *lock = context;

	for (uint32_t i = 0; i < ROUNDS; i++) {
		if (i % 8 == 0) {
			int result = hold(lock, LIMIT_NS);

			EXPECT(result == 0 || result == -EOWNERDEAD);
			if (result == -EOWNERDEAD) {
				field->two = field->one;
				tenon_lock_repaired(lock);
			}
			field->one++;
			field->two++;
			EXPECT_IS(tenon_lock_release(lock), 0);
			continue;
		}
		if (share(lock, LIMIT_NS) == 0)
			EXPECT(field->one == field->two);
		EXPECT_IS(tenon_lock_release_shared(lock), 0);
	}
	return NULL;
}

static void work(void *context)
{
	struct tenon_lock *lock = open_lock(0);
	pthread_t threads[THREADS];

	do {
		for (uint32_t i = 0; i < THREADS; i++)
			REQUIRE(pthread_create(&threads[i], NULL, read_and_write, lock) == 0);
		for (uint32_t i = 0; i < THREADS; i++)
			REQUIRE(pthread_join(threads[i], NULL) == 0);
	} while (context);
}

static void test_exclusion(void)
{
	struct tenon_lock *lock = open_lock(TENON_CREATE);
	pid_t workers[PROCESSES];

	field = contract_share(sizeof(*field));
	for (uint32_t i = 0; i < PROCESSES; i++)
		workers[i] = contract_start(work, NULL);
	for (uint32_t i = 0; i < PROCESSES; i++)
		contract_await(workers[i]);
	EXPECT(field->one == PROCESSES * THREADS * ROUNDS / 8);
	EXPECT(field->two == field->one);
	EXPECT_IS(status_of(lock).shared, 0);
	lock = tenon_lock_close(lock);
}

static void test_random_kills(void)
{
	struct tenon_lock *lock = open_lock(TENON_CREATE);
	pid_t workers[PROCESSES];

	field = contract_share(sizeof(*field));
	for (uint32_t i = 0; i < PROCESSES; i++)
		workers[i] = contract_start(work, lock);
	for (uint32_t i = 0; i < 100; i++) {
		uint64_t before = *(volatile uint64_t *)&field->one;

		contract_kill(workers[i % PROCESSES]);
		workers[i % PROCESSES] = contract_start(work, lock);
		while (*(volatile uint64_t *)&field->one < before + 2)
			sched_yield();
	}
	for (uint32_t i = 0; i < PROCESSES; i++)
		contract_kill(workers[i]);
	EXPECT_IS(status_of(lock).shared, 0);
	EXPECT(tenon_lock_try(lock) != -EBUSY);
	EXPECT_IS(status_of(lock).participants, 1);
	lock = tenon_lock_close(lock);
}

static void share_it_once(void *context)
{
	(void)context;
	EXPECT_IS(share(open_lock(0), LIMIT_NS), 0);
}

/* Those who wait to share it did not count among those who wait. */
static void test_waiting_is_seen(void)
{
	struct tenon_lock *lock = open_lock(TENON_CREATE);
	pid_t child;

	EXPECT_IS(hold(lock, LIMIT_NS), 0);
	child = contract_start(share_it_once, NULL);
	while (status_of(lock).waiting != 1)
		sched_yield();
	EXPECT_IS(tenon_lock_release(lock), 0);
	contract_await(child);
	EXPECT_IS(status_of(lock).waiting, 0);
	lock = tenon_lock_close(lock);
}

int main(void)
{
	static const struct contract_case cases[] = {
		{"who shares it keeps out who holds it, and the reverse", test_alone, NULL},
		{"who shares it dies, and who waits gets it at once", test_who_shares_dies, NULL},
		{"its holder dies, and all who share it are told", test_holder_dies, NULL},
		{"who waits for the sharers dies, and they stay", test_drainer_dies, NULL},
		{"a child shares nothing that its parent does", test_fork, NULL},
		{"nobody who shares it sees what is half done", test_exclusion, NULL},
		{"the same with processes killed at any moment", test_random_kills, NULL},
		{"who waits to share it is seen", test_waiting_is_seen, NULL},
	};

	return contract_main(cases, sizeof(cases) / sizeof(cases[0]));
}
