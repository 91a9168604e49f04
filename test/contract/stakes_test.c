/* SPDX-License-Identifier: Apache-2.0 */

/* What object/deaths.c promises sleepers: to be told of a death wherever in a region they sleep, and whichever thread
 * of the dead process had its stake. */

#include <tenon/waitset.h>

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include "object/sync.h"
#include "stakes.h"

#define ROUNDS 20u

/* Whether a process sleeps for a class, or a class of lockers, at a placed object. */
static void await_sleeper(struct tni_sync *sync, uint32_t class)
{
	while (tni_gatehouse_count(&sync->house, class) == 0)
		sched_yield();
}

/* Places: 0 the semaphore that the one who dies has; 1 a lock that is held; 2 a semaphore that nobody has any of; 3 a lock
 * that is shared. */
static void hold_first(void *context)
{
	struct tenon_region *region = open_region(0);
	struct tenon_semaphore *semaphore = semaphore_at(region, 0);

	(void)context;
	EXPECT_IS(tenon_semaphore_try(semaphore, 1, TENON_SEMAPHORE_UNDO), 0);
	for (;;)
		pause();
}

static void sleep_at_lock(void *context)
{
	struct tenon_region *region = open_region(0);

	(void)!tenon_lock_acquire(lock_at(region, *(const uint32_t *)context), INT64_MAX);
}

static void sleep_at_semaphore(void *context)
{
	struct tenon_region *region = open_region(0);

	(void)context;
	(void)!tenon_semaphore_acquire(semaphore_at(region, 2), 1, 0, INT64_MAX);
}

static void sleep_in_set(void *context)
{
	struct tenon_region *region = open_region(0);
	struct tenon_waitset *set = NULL;
	struct tenon_waitset_event event;
	uint32_t member, count;

	(void)context;
	EXPECT_IS(tenon_waitset_create(0, &set), 0);
	EXPECT_IS(tenon_waitset_add_semaphore(set, semaphore_at(region, 2), 1, 0, 1, &member), 0);
	(void)!tenon_waitset_wait(set, INT64_MAX, &event, 1, &count);
}

static void take_first(void *context)
{
	struct tenon_region *region = open_region(0);

	(void)context;
	EXPECT_IS(tenon_semaphore_acquire(semaphore_at(region, 0), 1, 0, soon()), 0);
}

static void begin_sleeping(uint32_t how, struct tenon_lock *held, struct tenon_semaphore *none,
			   struct tenon_lock *shared, pid_t *ret_child)
{
	uint32_t places[] = {1, 3};

	switch (how) {
	case 0:
		*ret_child = contract_start(sleep_at_lock, &places[0]);
		await_sleeper((struct tni_sync *)held, TNI_CLASS_LOCK_0);
		break;
	case 1:
		*ret_child = contract_start(sleep_at_lock, &places[1]);
		await_sleeper((struct tni_sync *)shared, TNI_CLASS_ROOM);
		break;
	default:
		*ret_child = contract_start(how == 2 ? sleep_at_semaphore : sleep_in_set, NULL);
		await_sleeper((struct tni_sync *)none, TNI_CLASS_MESSAGE);
	}
}

/* The kernel tells the one who has slept longest, for whom it is of no use. */
static void told_across(uint32_t how)
{
	struct tenon_region *region = open_region(TENON_CREATE);
	struct tenon_semaphore *first = semaphore_at(region, 0), *none = semaphore_at(region, 2);
	struct tenon_lock *held = lock_at(region, 1), *shared = lock_at(region, 3);
	uint32_t value;

	EXPECT_IS(tenon_lock_acquire(held, 0), 0);
	EXPECT_IS(tenon_lock_acquire_shared(shared, 0), 0);
	EXPECT_IS(tenon_semaphore_try(none, 1, 0), 0);
	for (uint32_t round = 0; round < ROUNDS; round++) {
		pid_t holder = contract_start(hold_first, NULL), sleeper, taker;

		while (tenon_semaphore_value(first, &value) == 0 && value != 0)
			sched_yield();
		begin_sleeping(how, held, none, shared, &sleeper);
		taker = contract_start(take_first, NULL);
		await_sleeper((struct tni_sync *)first, TNI_CLASS_MESSAGE);
		contract_kill(holder);
		contract_await(taker);
		contract_kill(sleeper);
		EXPECT_IS(tenon_semaphore_release(first, 1, 0, NULL), 0);
	}
}

static void test_told_locker(void)
{
	told_across(0);
}

static void test_told_drainer(void)
{
	told_across(1);
}

static void test_told_acquirer(void)
{
	told_across(2);
}

static void test_told_set(void)
{
	told_across(3);
}

static struct tenon_lock *open_lock(void)
{
	struct tenon_lock *lock = NULL;

	EXPECT_IS(tenon_lock_open(contract_folder, "/l", TENON_CREATE, NULL, &lock), 0);
	REQUIRE(lock);
	return lock;
}

static void wait_in_set_for_lock(void *context)
{
	struct tenon_waitset *set = NULL;
	struct tenon_waitset_event event;
	uint32_t count;

	(void)context;
	EXPECT_IS(tenon_waitset_create(0, &set), 0);
	EXPECT_IS(tenon_waitset_add_lock(set, open_lock(), 1, NULL), 0);
	(void)!tenon_waitset_wait(set, INT64_MAX, &event, 1, &count);
}

static void acquire_lock(void *context)
{
	struct tenon_lock *lock = open_lock();

	(void)context;
	EXPECT_IS(tenon_lock_acquire(lock, soon()), 0);
	EXPECT_IS(tenon_lock_release(lock), 0);
}

/* Who waits in a set has a stake; its death is told to who waits for the lock alone. */
static void test_told_of_set(void)
{
	struct tenon_lock *lock = open_lock();
	struct tni_gatehouse *house = &((struct tni_sync *)lock)->house;

	for (uint32_t round = 0; round < ROUNDS; round++) {
		pid_t in_set, alone;

		EXPECT_IS(tenon_lock_acquire(lock, 0), 0);
		in_set = contract_start(wait_in_set_for_lock, NULL);
		await_sleeper((struct tni_sync *)lock, TNI_CLASS_LOCK_0);
		alone = contract_start(acquire_lock, NULL);
		while (tni_gatehouse_count(house, TNI_CLASS_LOCK_0) < 2)
			sched_yield();
		contract_kill(in_set);
		EXPECT_IS(tenon_lock_release(lock), 0);
		contract_await(alone);
	}
	lock = tenon_lock_close(lock);
}

static void *take_one(void *semaphore)
{
	EXPECT_IS(tenon_semaphore_try(semaphore, 1, TENON_SEMAPHORE_UNDO), 0);
	return NULL;
}

/* A thread takes one, and ends; its process has it. */
static void take_by_thread(void *context)
{
	struct tenon_semaphore *semaphore = NULL;
	pthread_t thread;

	(void)context;
	EXPECT_IS(tenon_semaphore_open(contract_folder, "/s", 0, NULL, &semaphore), 0);
	/* Its own has had the stake since it attached. */
	tni_set64(&((struct tni_sync *)semaphore)->object->stake.held, 0);
	REQUIRE(pthread_create(&thread, NULL, take_one, semaphore) == 0);
	EXPECT_IS(pthread_join(thread, NULL), 0);
	for (;;)
		pause();
}

/* Others bear with it for a millisecond, as with one that is dying, and not once more. */
static void test_outlived(void)
{
	struct tenon_semaphore_options one = {.size = sizeof(one), .value = 1};
	struct tenon_semaphore *semaphore = NULL;
	uint32_t value = 1, round;
	int64_t begin_ns;
	pid_t child;

	EXPECT_IS(tenon_semaphore_open(contract_folder, "/s", TENON_CREATE, &one, &semaphore), 0);
	child = contract_start(take_by_thread, NULL);
	while (tenon_semaphore_value(semaphore, &value) == 0 && value != 0)
		sched_yield();
	/* A pause in which another process runs does not count. */
	for (round = 0; round < 50; round++) {
		begin_ns = tenon_deadline_after(0);
		for (uint32_t i = 0; i < 10; i++)
			EXPECT_IS(tenon_semaphore_try(semaphore, 1, 0), -EAGAIN);
		if (tenon_deadline_after(0) - begin_ns < SECOND_NS / 200)
			break;
	}
	EXPECT(round < 50);
	contract_kill(child);
	EXPECT_IS(tenon_semaphore_acquire(semaphore, 1, 0, soon()), 0);
}

/* What a call has in the pending entry that a signal handler has interrupted, and what is there while the handler owes a
 * wake. */
static char interrupted[64];
static void *seen;

static void see_pending(struct tni_object *object)
{
	(void)object;
	seen = tni_pending_get(tni_thread_self());
}

static void acquire_one(void *context)
{
	struct tenon_semaphore *semaphore = NULL;

	(void)context;
	EXPECT_IS(tenon_semaphore_open(contract_folder, "/s", 0, NULL, &semaphore), 0);
	EXPECT_IS(tenon_semaphore_acquire(semaphore, 1, 0, soon()), 0);
}

static void test_handler_keeps_entry(void)
{
	struct tenon_semaphore_options none = {.size = sizeof(none)};
	struct tenon_semaphore *semaphore = NULL;
	struct tni_object *object;
	void (*rouse)(struct tni_object * object);
	pid_t child;

	EXPECT_IS(tenon_semaphore_open(contract_folder, "/s", TENON_CREATE, &none, &semaphore), 0);
	object = ((struct tni_sync *)semaphore)->object;
	child = contract_start(acquire_one, NULL);
	await_sleeper((struct tni_sync *)semaphore, TNI_CLASS_MESSAGE);
	tni_set32(&object->told, 0);
	rouse = object->rouse;
	object->rouse = see_pending;
	tni_pending_put(tni_thread_self(), interrupted);
	EXPECT_IS(tenon_semaphore_release(semaphore, 1, 0, NULL), 0);
	EXPECT(tni_pending_get(tni_thread_self()) == interrupted);
	tni_pending_put(tni_thread_self(), NULL);
	object->rouse = rouse;
	EXPECT(seen == interrupted);
	contract_await(child);
}

#define BURIED "/buried"
#define LATEST_US 400

static void take_and_end(void *context)
{
	struct tenon_queue *queue = contract_open(BURIED);
	struct tenon_lease lease;

	(void)context;
	EXPECT_IS(tenon_queue_take(queue, NULL, &lease), 0);
	/* Ends without a word. */
}

/* The bug: who buried until its time was up said just that, and had brought the message back itself. */
static void test_buried_late(void)
{
	struct tenon_queue *queue = contract_make(BURIED, TENON_QUEUE_WAIT, 4, 64);
	uint64_t number = 0;

	for (int64_t us = 0; us < LATEST_US; us++) {
		EXPECT_IS(contract_send(queue, (uint64_t)us, 0), 0);
		contract_await(contract_start(take_and_end, NULL));
		EXPECT_IS(contract_receive(queue, &number, us * 1000), 0);
		EXPECT_IS(number, us);
	}
	queue = tenon_queue_close(queue);
}

static void acquire_and_end(void *context)
{
	struct tenon_semaphore *semaphore = NULL;

	(void)context;
	EXPECT_IS(tenon_semaphore_open(contract_folder, BURIED, 0, NULL, &semaphore), 0);
	EXPECT_IS(tenon_semaphore_acquire(semaphore, 1, TENON_SEMAPHORE_UNDO, 0), 0);
}

static void test_undone_late(void)
{
	struct tenon_semaphore_options one = {.size = sizeof(one), .value = 1};
	struct tenon_semaphore *semaphore = NULL;

	EXPECT_IS(tenon_semaphore_open(contract_folder, BURIED, TENON_CREATE, &one, &semaphore), 0);
	for (int64_t us = 0; us < LATEST_US; us++) {
		contract_await(contract_start(acquire_and_end, NULL));
		EXPECT_IS(tenon_semaphore_acquire(semaphore, 1, 0, tenon_deadline_after(us * 1000)),
			  0);
		EXPECT_IS(tenon_semaphore_release(semaphore, 1, 0, NULL), 0);
	}
	semaphore = tenon_semaphore_close(semaphore);
}

static void share_and_end(void *context)
{
	struct tenon_lock *lock = NULL;

	(void)context;
	EXPECT_IS(tenon_lock_open(contract_folder, BURIED, 0, NULL, &lock), 0);
	EXPECT_IS(tenon_lock_acquire_shared(lock, 0), 0);
}

static void test_unshared_late(void)
{
	struct tenon_lock *lock = NULL;

	EXPECT_IS(tenon_lock_open(contract_folder, BURIED, TENON_CREATE, NULL, &lock), 0);
	for (int64_t us = 0; us < LATEST_US; us++) {
		contract_await(contract_start(share_and_end, NULL));
		EXPECT_IS(tenon_lock_acquire(lock, tenon_deadline_after(us * 1000)), 0);
		EXPECT_IS(tenon_lock_release(lock), 0);
	}
	lock = tenon_lock_close(lock);
}

int main(void)
{
	static const struct contract_case cases[] = {
		{"a death is told beside one who waits for a placed lock", test_told_locker, NULL},
		{"the same beside one who waits for its sharers", test_told_drainer, NULL},
		{"the same beside one who waits for another placed semaphore", test_told_acquirer,
		 NULL},
		{"the same beside one who waits for it in a set", test_told_set, NULL},
		{"who waits for a lock is told of the death of one who waited for it in a set",
		 test_told_of_set, NULL},
		{"a handler that lets somebody pass leaves the interrupted call's entry as it is",
		 test_handler_keeps_entry, NULL},
		{"who tries does not wait again and again for a thread that has ended",
		 test_outlived, NULL},
		{"who buries until its time is up has what came back", test_buried_late, NULL},
		{"the same: what a dead one had acquired", test_undone_late, NULL},
		{"the same: what a dead one had shared", test_unshared_late, NULL},
	};

	return contract_main(cases, sizeof(cases) / sizeof(cases[0]));
}
