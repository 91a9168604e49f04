/* SPDX-License-Identifier: Apache-2.0 */

/* What object/deaths.c promises sleepers: to be told of a death wherever in a region they sleep, and whichever thread
 * of the dead process had its stake. */

#include <tenon/region.h>
#include <tenon/semaphore_set.h>
#include <tenon/waitset.h>

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include "contract.h"
#include "object/queue_private.h"
#include "object/semaphore_set.h"
#include "object/sync.h"

#define LIMIT_NS (10 * SECOND_NS)
#define PARTICIPANTS 16u
#define PLACE ((uint64_t)TENON_PLACE_BYTES(PARTICIPANTS))
#define PLACES 8u
#define ROUNDS 20u

static int64_t soon(void)
{
	return tenon_deadline_after(LIMIT_NS);
}

static struct tenon_region *open_region(uint32_t flags)
{
	struct tenon_region_options options = {
		.size = sizeof(options), .max_participants = PARTICIPANTS, .bytes = PLACES * PLACE};
	struct tenon_region *region = NULL;

	EXPECT_IS(tenon_region_open(contract_folder, "/region", flags, &options, &region), 0);
	REQUIRE(region);
	return region;
}

static struct tenon_semaphore *semaphore_at(struct tenon_region *region, uint64_t place)
{
	struct tenon_semaphore_options options = {.size = sizeof(options), .value = 1};
	struct tenon_semaphore *semaphore = NULL;

	EXPECT_IS(tenon_semaphore_open_at(region, place * PLACE, TENON_CREATE, &options,
					  &semaphore),
		  0);
	REQUIRE(semaphore);
	return semaphore;
}

static struct tenon_lock *lock_at(struct tenon_region *region, uint64_t place)
{
	struct tenon_lock *lock = NULL;

	EXPECT_IS(tenon_lock_open_at(region, place * PLACE, TENON_CREATE, NULL, &lock), 0);
	REQUIRE(lock);
	return lock;
}

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

/* A thread opens everything, and so has the stakes; another one sleeps; the first one ends. */

struct world {
	struct tenon_region *region;
	struct tenon_semaphore *semaphore, *placed;
	struct tenon_semaphore_set *set;
	struct tenon_queue *queue;
	struct tenon_lock *lock;
	struct tenon_event *event;
	int (*sleep)(struct world *world);
	struct tni_object *object; /* whose stake moves */
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

static int sleep_acquiring(struct world *world)
{
	world->object = ((struct tni_sync *)world->semaphore)->object;
	return tenon_semaphore_acquire(world->semaphore, 1, 0, soon());
}

static int sleep_at_placed(struct world *world)
{
	world->object = ((struct tni_sync *)world->placed)->object;
	return tenon_semaphore_acquire(world->placed, 1, 0, soon());
}

static int sleep_operating(struct world *world)
{
	struct tenon_semaphore_operation operation = {.number = 1, .change = -1};

	world->object = ((struct tni_sync *)world->set)->object;
	return tenon_semaphore_set_operate(world->set, &operation, 1, soon());
}

static int sleep_with_queue(struct world *world)
{
	world->object = &world->queue->object;
	return wait_in_set(world, soon());
}

static int sleep_receiving(struct world *world)
{
	uint64_t number;

	world->object = &world->queue->object;
	return contract_receive(world->queue, &number, LIMIT_NS);
}

static int sleep_with_lock(struct world *world)
{
	world->object = ((struct tni_sync *)world->lock)->object;
	return wait_in_set(world, soon());
}

static int sleep_with_event(struct world *world)
{
	world->object = ((struct tni_sync *)world->event)->object;
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
	const struct tni_gatehouse *house =
		world->object == &world->queue->object ? &world->queue->house
		: world->object == ((struct tni_sync *)world->placed)->object
			? &((struct tni_sync *)world->placed)->house
			: &((struct tni_sync *)world->object)->house;

	return tni_gatehouse_count(house, TNI_CLASS_MESSAGE) > 0 ||
	       tni_gatehouse_count(house, TNI_CLASS_LOCK_0) > 0;
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

static void hand_over(int (*sleep)(struct world *world))
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
	REQUIRE(pthread_create(&sleeper, NULL, sleep_in_world, &world) == 0);
	while (!*(struct tni_object *volatile *)&world.object || !is_asleep(&world))
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
	EXPECT_IS(pthread_join(sleeper, &result), 0);
	EXPECT_IS((intptr_t)result, 0);
}

static void test_hand_over_acquirer(void)
{
	hand_over(sleep_acquiring);
}

static void test_hand_over_placed(void)
{
	hand_over(sleep_at_placed);
}

static void test_hand_over_operator(void)
{
	hand_over(sleep_operating);
}

static void test_hand_over_receiver(void)
{
	hand_over(sleep_receiving);
}

static void test_hand_over_queue(void)
{
	hand_over(sleep_with_queue);
}

static void test_hand_over_lock(void)
{
	hand_over(sleep_with_lock);
}

static void test_hand_over_event(void)
{
	hand_over(sleep_with_event);
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
		{"a sleeper takes the stake of a thread that ends: semaphore",
		 test_hand_over_acquirer, NULL},
		{"the same: placed semaphore", test_hand_over_placed, NULL},
		{"the same: set of semaphores", test_hand_over_operator, NULL},
		{"the same: receiver of a queue", test_hand_over_receiver, NULL},
		{"the same: queue in a waitset", test_hand_over_queue, NULL},
		{"the same: lock in a waitset", test_hand_over_lock, NULL},
		{"the same: event in a waitset", test_hand_over_event, NULL},
		{"a handler that lets somebody pass leaves the interrupted call's entry as it is",
		 test_handler_keeps_entry, NULL},
		{"who tries does not wait again and again for a thread that has ended",
		 test_outlived, NULL},
	};

	return contract_main(cases, sizeof(cases) / sizeof(cases[0]));
}
