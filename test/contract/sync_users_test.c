/* SPDX-License-Identifier: Apache-2.0 */

/* Who holds, shares or waits for locks, events, conditions, barriers, onces and semaphores: named, and placed in a
 * region. */

#include <pthread.h>

#include <tenon/waitset.h>

#define PLACED 6u

#include "sync_users.h"

/* Two threads of a process, of which each does the same. */
static void do_twice(void *(*run)(void *object), void *object)
{
	pthread_t thread;

	EXPECT_IS(pthread_create(&thread, NULL, run, object), 0);
	run(object);
	pthread_join(thread, NULL);
}

/* Locks. */

static void hold_twice(void *context)
{
	struct tenon_lock *lock = open_lock();

	(void)context;
	EXPECT_IS(tenon_lock_acquire(lock, FOREVER), 0);
	EXPECT_IS(tenon_lock_acquire(lock, FOREVER), 0);
	pause();
}

static void share_twice(void *context)
{
	struct tenon_lock *lock = open_lock();

	(void)context;
	EXPECT_IS(tenon_lock_acquire_shared(lock, FOREVER), 0);
	EXPECT_IS(tenon_lock_acquire_shared(lock, FOREVER), 0);
	pause();
}

static void hold(void *context)
{
	struct tenon_lock *lock = open_lock();
	int result = tenon_lock_acquire(lock, FOREVER);

	(void)context;
	EXPECT(result == 0 || result == -EOWNERDEAD);
	pause();
}

static void share(void *context)
{
	int result = tenon_lock_acquire_shared(open_lock(), FOREVER);

	(void)context;
	EXPECT(result == 0 || result == -EOWNERDEAD);
	pause();
}

static void wait_in_set(void *context)
{
	struct tenon_waitset *set = NULL;
	struct tenon_waitset_event event;
	uint32_t count;

	(void)context;
	EXPECT_IS(tenon_waitset_create(0, &set), 0);
	EXPECT_IS(tenon_waitset_add_lock(set, open_lock(), 1, NULL), 0);
	EXPECT_IS(tenon_waitset_wait(set, FOREVER, &event, 1, &count), 0);
	pause();
}

static void test_lock(void)
{
	struct tenon_lock *lock = open_lock();
	pid_t holder, sharer, waiter, in_set;
	struct tenon_lock_user user;

	expect_nobody_lock(lock);
	sharer = contract_start(share_twice, NULL);
	AWAIT(tell_lock(lock, sharer).lock.shared == 2);
	user = tell_lock(lock, sharer).lock;
	EXPECT(user.depth == 0 && !user.waiting && !user.waiting_shared && user.reserved == 0);
	/* It has the gate, and waits for the other. */
	holder = contract_start(hold_twice, NULL);
	AWAIT(tell_lock(lock, holder).lock.waiting == 1);
	EXPECT_IS(tell_lock(lock, holder).lock.depth, 0);
	/* Who waits looks after the owner from time to time, and does not wait for that moment. */
	AWAIT(tell_lock(lock, 0).visits == 2);
	expect_answers_lock(lock);
	contract_kill(sharer);
	EXPECT_IS(tell_lock(lock, sharer).found, 0);
	AWAIT(tell_lock(lock, holder).lock.depth == 2);
	EXPECT_IS(tell_lock(lock, holder).lock.waiting, 0);
	waiter = contract_start(hold, NULL);
	AWAIT(tell_lock(lock, waiter).lock.waiting == 1);
	sharer = contract_start(share, NULL);
	AWAIT(tell_lock(lock, sharer).lock.waiting_shared == 1);
	in_set = contract_start(wait_in_set, NULL);
	AWAIT(tell_lock(lock, in_set).lock.waiting == 1);
	user = tell_lock(lock, sharer).lock;
	EXPECT(user.depth == 0 && user.shared == 0 && !user.waiting);
	AWAIT(tell_lock(lock, 0).visits == 4);
	AWAIT(lock_status(lock).waiting == 3);
	contract_kill(waiter);
	contract_kill(in_set);
	AWAIT(tell_lock(lock, 0).visits == 2);
	contract_kill(holder);
	EXPECT_IS(tell_lock(lock, holder).found, 0);
	AWAIT(tell_lock(lock, sharer).lock.shared == 1);
	contract_kill(sharer);
	expect_nobody_lock(lock);
	lock = tenon_lock_close(lock);
}

/* Who waits in the kernel. */
static void test_inheriting(void)
{
	struct tenon_lock *lock;
	pid_t waiter;
	int result;

	lock_flags = TENON_LOCK_INHERIT;
	lock = open_lock();
	result = tenon_lock_acquire(lock, FOREVER);
	if (result == -ENOTSUP)
		contract_skip("no locks with priority inheritance here");
	EXPECT_IS(result, 0);
	waiter = contract_start(hold, NULL);
	AWAIT(tell_lock(lock, waiter).lock.waiting == 1);
	AWAIT(lock_status(lock).waiting == 1);
	EXPECT_IS(tell_lock(lock, getpid()).lock.depth, 1);
	EXPECT_IS(tenon_lock_release(lock), 0);
	AWAIT(tell_lock(lock, waiter).lock.depth == 1);
	EXPECT_IS(tell_lock(lock, waiter).lock.waiting, 0);
	EXPECT_IS(lock_status(lock).waiting, 0);
	contract_kill(waiter);
	expect_nobody_lock(lock);
	lock = tenon_lock_close(lock);
}

/* Events, and conditions. */

static void *wait_for_event(void *event)
{
	EXPECT_IS(tenon_event_wait(event, FOREVER), 0);
	return NULL;
}

static void wait_for_event_twice(void *context)
{
	(void)context;
	do_twice(wait_for_event, open_event());
}

static void wait_for_event_in_set(void *context)
{
	struct tenon_waitset *set = NULL;
	struct tenon_waitset_event event;
	uint32_t count;

	(void)context;
	EXPECT_IS(tenon_waitset_create(0, &set), 0);
	EXPECT_IS(tenon_waitset_add_event(set, open_event(), 1, NULL), 0);
	EXPECT_IS(tenon_waitset_wait(set, FOREVER, &event, 1, &count), 0);
}

static void *wait_for_condition(void *context)
{
	static struct tenon_lock *lock;
	static pthread_mutex_t opening = PTHREAD_MUTEX_INITIALIZER;

	pthread_mutex_lock(&opening);
	if (!lock)
		lock = open_lock();
	pthread_mutex_unlock(&opening);
	EXPECT_IS(tenon_lock_acquire(lock, FOREVER), 0);
	EXPECT_IS(tenon_condition_wait(context, lock, FOREVER), 0);
	EXPECT_IS(tenon_lock_release(lock), 0);
	return NULL;
}

static void wait_for_condition_twice(void *context)
{
	(void)context;
	do_twice(wait_for_condition, open_condition());
}

static void test_event_and_condition(void)
{
	struct tenon_condition *condition;
	struct tenon_event *event = open_event();
	pid_t two, in_set;

	expect_nobody_event(event);
	two = contract_start(wait_for_event_twice, NULL);
	AWAIT(tell_event(event, two).event.waiting == 2);
	EXPECT_IS(tell_event(event, two).event.reserved[0], 0);
	in_set = contract_start(wait_for_event_in_set, NULL);
	AWAIT(tell_event(event, in_set).event.waiting == 1);
	EXPECT_IS(tell_event(event, 0).visits, 2);
	expect_answers_event(event);
	contract_kill(two);
	EXPECT_IS(tell_event(event, two).found, 0);
	EXPECT_IS(tenon_event_set(event), 0);
	contract_await(in_set);
	expect_nobody_event(event);
	event = tenon_event_close(event);

	condition = open_condition();
	expect_nobody_condition(condition);
	two = contract_start(wait_for_condition_twice, NULL);
	AWAIT(tell_condition(condition, two).condition.waiting == 2);
	expect_answers_condition(condition);
	EXPECT_IS(tell_condition(condition, 0).visits, 1);
	contract_kill(two);
	expect_nobody_condition(condition);
	two = contract_start(wait_for_condition_twice, NULL);
	AWAIT(tell_condition(condition, two).condition.waiting == 2);
	EXPECT_IS(tenon_condition_broadcast(condition), 0);
	contract_await(two);
	expect_nobody_condition(condition);
	condition = tenon_condition_close(condition);
}

/* Barriers. */

static void *arrive(void *barrier)
{
	EXPECT_IS(tenon_barrier_wait(barrier, FOREVER, NULL), 0);
	return NULL;
}

static void arrive_twice(void *context)
{
	(void)context;
	do_twice(arrive, open_barrier());
}

static void test_barrier(void)
{
	struct tenon_barrier *barrier = open_barrier();
	pid_t two[2];

	expect_nobody_barrier(barrier);
	for (uint32_t i = 0; i < 2; i++) {
		two[i] = contract_start(arrive_twice, NULL);
		AWAIT(tell_barrier(barrier, two[i]).barrier.arrived == 2);
		EXPECT_IS(tell_barrier(barrier, two[i]).barrier.reserved[0], 0);
	}
	EXPECT_IS(tell_barrier(barrier, 0).visits, 2);
	expect_answers_barrier(barrier);
	contract_kill(two[0]);
	EXPECT_IS(tell_barrier(barrier, two[0]).found, 0);
	EXPECT_IS(tell_barrier(barrier, two[1]).barrier.arrived, 2);
	two[0] = contract_start(arrive_twice, NULL);
	AWAIT(tell_barrier(barrier, two[0]).barrier.arrived == 2);
	arrive(barrier);
	contract_await(two[0]);
	contract_await(two[1]);
	expect_nobody_barrier(barrier);
	barrier = tenon_barrier_close(barrier);
}

/* Onces. */

static void do_it(void *context)
{
	struct tenon_once *once = open_once();
	uint32_t what;

	(void)context;
	EXPECT_IS(tenon_once_begin(once, FOREVER, &what), 0);
	pause();
}

static void test_once(void)
{
	struct tenon_once *once = open_once();
	pid_t first, second;
	uint32_t what;

	expect_nobody_once(once);
	first = contract_start(do_it, NULL);
	AWAIT(tell_once(once, first).once.is_doing == 1);
	second = contract_start(do_it, NULL);
	AWAIT(tell_once(once, second).once.waiting == 1);
	EXPECT_IS(tell_once(once, second).once.is_doing, 0);
	EXPECT_IS(tell_once(once, first).once.waiting, 0);
	EXPECT_IS(tell_once(once, 0).visits, 2);
	expect_answers_once(once);
	contract_kill(first);
	EXPECT_IS(tell_once(once, first).found, 0);
	AWAIT(tell_once(once, second).once.is_doing == 1);
	contract_kill(second);
	expect_nobody_once(once);
	EXPECT_IS(tenon_once_begin(once, FOREVER, &what), 0);
	EXPECT_IS(tenon_once_done(once), 0);
	expect_nobody_once(once);
	once = tenon_once_close(once);
}

/* Semaphores. */

static void take_in_set(void *context)
{
	struct tenon_waitset *set = NULL;
	struct tenon_waitset_event event;
	uint32_t count;

	(void)context;
	EXPECT_IS(tenon_waitset_create(0, &set), 0);
	EXPECT_IS(tenon_waitset_add_semaphore(set, open_semaphore(), 3, 0, 1, NULL), 0);
	EXPECT_IS(tenon_waitset_wait(set, FOREVER, &event, 1, &count), 0);
}

static void test_semaphore(void)
{
	struct tenon_semaphore *semaphore = open_semaphore();
	struct tenon_semaphore_user user;
	pid_t in_set = contract_start(take_in_set, NULL);

	AWAIT(tell_semaphore(semaphore, in_set).semaphore.waiting == 1);
	AWAIT(tell_semaphore(semaphore, in_set).semaphore.wanted == 3);
	user = tell_semaphore(semaphore, in_set).semaphore;
	EXPECT(user.undo == 0 && user.reserved == 0);
	expect_answers_semaphore(semaphore);
	EXPECT_IS(tenon_semaphore_release(semaphore, 3, 0, NULL), 0);
	contract_await(in_set);
	expect_nobody_semaphore(semaphore);
	semaphore = tenon_semaphore_close(semaphore);
}

int main(void)
{
	static const struct contract_case cases[] = {
		{"a lock: held, shared, waited for", test_lock, NULL},
		{"an event and a condition: how many threads wait", test_event_and_condition, NULL},
		{"a barrier: how many threads have arrived", test_barrier, NULL},
		{"a once: who does it, and who waits", test_once, NULL},
		{"a semaphore that is waited for by a waitset", test_semaphore, NULL},
		{"a lock with priority inheritance: who waits in the kernel", test_inheriting,
		 NULL},
		{"placed: a lock", test_lock, NULL},
		{"placed: an event and a condition", test_event_and_condition, NULL},
		{"placed: a barrier", test_barrier, NULL},
		{"placed: a once", test_once, NULL},
		{"placed: a semaphore", test_semaphore, NULL},
	};

	return contract_main(cases, sizeof(cases) / sizeof(cases[0]));
}
