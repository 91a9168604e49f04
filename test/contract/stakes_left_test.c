/* SPDX-License-Identifier: Apache-2.0 */

/* A thread that ends leaves the stakes it has to threads of its process that sleep: core/registry.c. */

#include <tenon/semaphore_set.h>
#include <tenon/waitset.h>

#include <pthread.h>
#include <sched.h>

#include "object/queue_private.h"
#include "object/semaphore_set.h"
#include "object/sync.h"
#include "stakes.h"

/* A thread opens everything, and so has the stakes; another one sleeps; the first one ends. */

struct world {
	struct tenon_region *region;
	struct tenon_semaphore *semaphore, *placed;
	struct tenon_semaphore_set *set;
	struct tenon_queue *queue;
	struct tenon_lock *lock;
	struct tenon_event *event;
	int (*sleep)(struct world *world);
	struct tenon_lock *placed_lock; /* held by the first thread of all */
	struct tni_object *object;	/* whose stake moves */
	struct tni_gatehouse *house;	/* at which the other one sleeps */
	struct tni_a32 is_open, may_end;
};

/* Looks at all of them in a set, or sleeps there. */
static int wait_in_set(struct world *world, int64_t deadline_ns)
{
	struct tenon_waitset *set = NULL;
	struct tenon_waitset_event event;
	uint32_t count;
	int result;

	EXPECT_IS(tenon_waitset_create(0, &set), 0);
	EXPECT_IS(tenon_waitset_add_semaphore(set, world->semaphore, 1, 0, 1, NULL), 0);
	EXPECT_IS(tenon_waitset_add_queue(set, world->queue, TENON_READABLE, 1, NULL), 0);
	EXPECT_IS(tenon_waitset_add_lock(set, world->lock, 1, NULL), 0);
	EXPECT_IS(tenon_waitset_add_event(set, world->event, 1, NULL), 0);
	result = tenon_waitset_wait(set, deadline_ns, &event, 1, &count);
	set = tenon_waitset_close(set);
	return result;
}

static void *open_world(void *context)
{
	struct tenon_semaphore_set_options options = {.size = sizeof(options), .count = 2};
	struct tenon_semaphore_options none = {.size = sizeof(none)};
	struct world *world = context;

	EXPECT_IS(tenon_semaphore_open(contract_folder, "/s", TENON_CREATE, &none,
				       &world->semaphore),
		  0);
	EXPECT_IS(tenon_semaphore_set_open(contract_folder, "/a", TENON_CREATE, &options,
					   &world->set),
		  0);
	EXPECT_IS(tenon_event_open(contract_folder, "/e", TENON_CREATE, NULL, &world->event), 0);
	world->queue = contract_make("/q", 0, 4, 8);
	world->region = open_region(TENON_CREATE);
	world->placed = semaphore_at(world->region, 2);
	EXPECT_IS(tenon_semaphore_try(world->placed, 1, 0), 0);
	EXPECT_IS(wait_in_set(world, 0), -ETIMEDOUT);
	tni_set32(&world->is_open, 1);
	while (tni_get32(&world->may_end) == 0)
		sched_yield();
	return NULL;
}

/* Where the sleeper sleeps. */
static void at(struct world *world, void *of)
{
	struct tni_sync *sync = of;

	world->house = &sync->house;
	__atomic_store_n(&world->object, sync->object, __ATOMIC_RELEASE);
}

static void at_queue(struct world *world)
{
	world->house = &world->queue->house;
	__atomic_store_n(&world->object, &world->queue->object, __ATOMIC_RELEASE);
}

static int sleep_acquiring(struct world *world)
{
	at(world, world->semaphore);
	return tenon_semaphore_acquire(world->semaphore, 1, 0, soon());
}

static int sleep_at_placed(struct world *world)
{
	at(world, world->placed);
	return tenon_semaphore_acquire(world->placed, 1, 0, soon());
}

static int sleep_operating(struct world *world)
{
	struct tenon_semaphore_operation operation = {.number = 1, .change = -1};

	at(world, world->set);
	return tenon_semaphore_set_operate(world->set, &operation, 1, soon());
}

static int sleep_locking(struct world *world)
{
	at(world, world->placed_lock);
	return tenon_lock_acquire(world->placed_lock, soon());
}

static int sleep_sharing(struct world *world)
{
	at(world, world->placed_lock);
	return tenon_lock_acquire_shared(world->placed_lock, soon());
}

static int sleep_with_queue(struct world *world)
{
	at_queue(world);
	return wait_in_set(world, soon());
}

static int sleep_receiving(struct world *world)
{
	uint64_t number;

	at_queue(world);
	return contract_receive(world->queue, &number, LIMIT_NS);
}

static int sleep_with_lock(struct world *world)
{
	at(world, world->lock);
	return wait_in_set(world, soon());
}

static int sleep_with_event(struct world *world)
{
	at(world, world->event);
	return wait_in_set(world, soon());
}

static void *sleep_in_world(void *context)
{
	struct world *world = context;

	return (void *)(intptr_t)world->sleep(world);
}

static uint32_t holder_of(struct tni_object *object)
{
	return (uint32_t)tni_get64(&object->stake.held);
}

static bool is_asleep(const struct world *world)
{
	for (uint32_t class = 0; class < TNI_CLASSES; class ++)
		if (tni_gatehouse_count(world->house, class) > 0)
			return true;
	return false;
}

/* Ends the sleep, whatever it is for. */
static void let_all(struct world *world)
{
	struct tenon_semaphore_operation operation = {.number = 1, .change = 1};

	EXPECT_IS(tenon_semaphore_release(world->semaphore, 1, 0, NULL), 0);
	EXPECT_IS(tenon_semaphore_release(world->placed, 1, 0, NULL), 0);
	EXPECT_IS(contract_send(world->queue, 1, 0), 0);
	EXPECT_IS(tenon_semaphore_set_operate(world->set, &operation, 1, 0), 0);
}

/* `is_shared`: the placed lock is shared by the first thread, else held. */
static void hand_over(int (*sleep)(struct world *world), bool is_shared)
{
	struct world world = {.sleep = sleep};
	pthread_t opener, sleeper;
	int64_t end_ns = soon();
	uint32_t first;
	void *result;

	EXPECT_IS(tenon_lock_open(contract_folder, "/l", TENON_CREATE, NULL, &world.lock), 0);
	EXPECT_IS(tenon_lock_acquire(world.lock, 0), 0);
	REQUIRE(pthread_create(&opener, NULL, open_world, &world) == 0);
	while (tni_get32(&world.is_open) == 0)
		sched_yield();
	world.placed_lock = lock_at(world.region, 1);
	EXPECT_IS(is_shared ? tenon_lock_acquire_shared(world.placed_lock, 0)
			    : tenon_lock_acquire(world.placed_lock, 0),
		  0);
	REQUIRE(pthread_create(&sleeper, NULL, sleep_in_world, &world) == 0);
	while (!__atomic_load_n(&world.object, __ATOMIC_ACQUIRE) || !is_asleep(&world))
		sched_yield();
	first = holder_of(world.object);
	EXPECT(first != 0);
	tni_set32(&world.may_end, 1);
	EXPECT_IS(pthread_join(opener, NULL), 0);
	while ((holder_of(world.object) == 0 || holder_of(world.object) == first) &&
	       tenon_deadline_after(0) < end_ns)
		sched_yield();
	EXPECT(holder_of(world.object) != 0 && holder_of(world.object) != first);
	let_all(&world);
	EXPECT_IS(is_shared ? tenon_lock_release_shared(world.placed_lock)
			    : tenon_lock_release(world.placed_lock),
		  0);
	EXPECT_IS(pthread_join(sleeper, &result), 0);
	EXPECT_IS((intptr_t)result, 0);
}

static void test_hand_over_acquirer(void)
{
	hand_over(sleep_acquiring, false);
}

static void test_hand_over_placed(void)
{
	hand_over(sleep_at_placed, false);
}

static void test_hand_over_operator(void)
{
	hand_over(sleep_operating, false);
}

static void test_hand_over_locker(void)
{
	hand_over(sleep_locking, false);
}

static void test_hand_over_sharer(void)
{
	hand_over(sleep_sharing, false);
}

static void test_hand_over_drainer(void)
{
	hand_over(sleep_locking, true);
}

static void test_hand_over_receiver(void)
{
	hand_over(sleep_receiving, false);
}

static void test_hand_over_queue(void)
{
	hand_over(sleep_with_queue, false);
}

static void test_hand_over_lock(void)
{
	hand_over(sleep_with_lock, false);
}

static void test_hand_over_event(void)
{
	hand_over(sleep_with_event, false);
}

int main(void)
{
	static const struct contract_case cases[] = {
		{"a sleeper takes the stake of a thread that ends: semaphore",
		 test_hand_over_acquirer, NULL},
		{"the same: placed semaphore", test_hand_over_placed, NULL},
		{"the same: set of semaphores", test_hand_over_operator, NULL},
		{"the same: lock", test_hand_over_locker, NULL},
		{"the same: lock, to share it", test_hand_over_sharer, NULL},
		{"the same: lock that others share", test_hand_over_drainer, NULL},
		{"the same: receiver of a queue", test_hand_over_receiver, NULL},
		{"the same: queue in a waitset", test_hand_over_queue, NULL},
		{"the same: lock in a waitset", test_hand_over_lock, NULL},
		{"the same: event in a waitset", test_hand_over_event, NULL},
	};

	return contract_main(cases, sizeof(cases) / sizeof(cases[0]));
}
