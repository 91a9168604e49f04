/* SPDX-License-Identifier: Apache-2.0 */

/* What synchronization objects that are placed in a region promise. */

#include <tenon/region.h>

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tenon/barrier.h>
#include <tenon/condition.h>
#include <tenon/once.h>
#include <tenon/waitset.h>

#include "contract.h"
#include "object/region_private.h"
#include "object/sync.h"

#define NAME "/region"
#define LIMIT_NS (10 * SECOND_NS)
#define WAIT_NS (SECOND_NS / 50)
#define PARTICIPANTS 16u
#define PLACE ((uint64_t)TENON_PLACE_BYTES(PARTICIPANTS))
#define PLACES 8u

static struct tenon_region *open_region(uint32_t flags)
{
	struct tenon_region_options options = {.size = sizeof(options),
					       .max_participants = PARTICIPANTS,
					       .bytes = PLACES * PLACE + 100,
					       .max_bytes = 100 * PLACE};
	struct tenon_region *region = NULL;

	EXPECT_IS(tenon_region_open(contract_folder, NAME, flags, &options, &region), 0);
	REQUIRE(region);
	return region;
}

static struct tenon_lock *lock_at(struct tenon_region *region, uint64_t place)
{
	struct tenon_lock *lock = NULL;

	EXPECT_IS(tenon_lock_open_at(region, place * PLACE, TENON_CREATE, NULL, &lock), 0);
	REQUIRE(lock);
	return lock;
}

static struct tenon_semaphore *semaphore_at(struct tenon_region *region, uint64_t place,
					    uint32_t value)
{
	struct tenon_semaphore_options options = {.size = sizeof(options), .value = value};
	struct tenon_semaphore *semaphore = NULL;

	EXPECT_IS(tenon_semaphore_open_at(region, place * PLACE, TENON_CREATE, &options,
					  &semaphore),
		  0);
	REQUIRE(semaphore);
	return semaphore;
}

static int count_places(uint32_t kind, uint64_t offset, void *context)
{
	EXPECT(kind == TENON_KIND_LOCK || kind == TENON_KIND_SEMAPHORE);
	EXPECT(offset % PLACE == 0);
	++*(uint32_t *)context;
	return 0;
}

static int count_names(uint32_t kind, const char *name, void *context)
{
	(void)kind;
	(void)name;
	++*(uint32_t *)context;
	return 0;
}

static int count_attached(const struct tenon_region_user *user, void *context)
{
	(void)user;
	++*(uint32_t *)context;
	return 0;
}

static uint32_t places(struct tenon_region *region)
{
	uint32_t count = 0;

	EXPECT_IS(tenon_region_placed(region, count_places, &count), 0);
	return count;
}

static void test_placing(void)
{
	struct tenon_region *region = open_region(TENON_CREATE), *other;
	struct tenon_lock *lock, *again;
	struct tenon_event *event;
	struct tenon_sync_options options = {.size = sizeof(options), .mode = 0600};
	void *address;

	EXPECT_IS(tenon_lock_open_at(region, 0, 0, NULL, &lock), -ENOENT);
	EXPECT_IS(tenon_lock_open_at(region, 1, TENON_CREATE, NULL, &lock), -EINVAL);
	EXPECT_IS(tenon_lock_open_at(region, PLACES * PLACE, TENON_CREATE, NULL, &lock), -EINVAL);
	EXPECT_IS(tenon_lock_open_at(region, UINT64_MAX - 4095, TENON_CREATE, NULL, &lock),
		  -EINVAL);
	EXPECT_IS(tenon_lock_open_at(region, 0, TENON_EXCLUSIVE, NULL, &lock), -EINVAL);
	EXPECT_IS(tenon_lock_open_at(region, 0, TENON_CREATE, &options, &lock), -EINVAL);
	EXPECT_IS(tenon_lock_open_at(region, 0, TENON_CREATE, NULL, NULL), -EINVAL);
	EXPECT_IS(tenon_lock_open_at(NULL, 0, TENON_CREATE, NULL, &lock), -EINVAL);
	EXPECT_IS(places(region), 0);
	lock = lock_at(region, 2);
	EXPECT_IS(places(region), 1);
	EXPECT_IS(tenon_lock_open_at(region, 2 * PLACE, TENON_CREATE | TENON_EXCLUSIVE, NULL,
				     &again),
		  -EEXIST);
	EXPECT_IS(tenon_event_open_at(region, 2 * PLACE, 0, NULL, &event), -ENOENT);
	EXPECT_IS(tenon_event_open_at(region, 2 * PLACE, TENON_CREATE, NULL, &event), -EEXIST);
	EXPECT_IS(tenon_event_open_at(region, 2 * PLACE - 4096, TENON_CREATE, NULL, &event),
		  -EEXIST);
	EXPECT_IS(tenon_lock_open_at(region, 2 * PLACE, 0, NULL, &again), -EBUSY);
	other = open_region(0);
	EXPECT_IS(tenon_lock_open_at(other, 2 * PLACE, 0, NULL, &again), 0);
	EXPECT_IS(tenon_lock_try(lock), 0);
	EXPECT_IS(tenon_lock_try(again), -EBUSY);
	EXPECT_IS(tenon_lock_acquire(again, 0), -EDEADLK);
	again = tenon_lock_close(again);
	other = tenon_region_close(other);
	EXPECT_IS(tenon_lock_release(lock), 0);
	EXPECT_IS(tenon_region_map(region, TENON_REGION_WRITE, &address, NULL), 0);
	EXPECT_IS(tenon_region_unmap(region, address), -EBUSY);
	EXPECT_IS(tenon_region_seal(region, TENON_REGION_SEAL_WRITE, INT64_MAX), -EBUSY);
	lock = tenon_lock_close(lock);
	EXPECT_IS(tenon_region_clear(region, 2 * PLACE + 4096), -ENOENT);
	EXPECT_IS(tenon_region_clear(region, 2 * PLACE), 0);
	EXPECT_IS(tenon_region_clear(region, 2 * PLACE), -ENOENT);
	EXPECT_IS(places(region), 0);
	EXPECT_IS(tenon_region_unmap(region, address), 0);
	region = tenon_region_close(region);
}

static void test_full(void)
{
	struct tenon_region_options options = {
		.size = sizeof(options), .max_participants = 1, .bytes = 1025 * 8192};
	struct tenon_region *region = NULL;
	struct tenon_lock *lock;

	EXPECT_IS(tenon_region_open(contract_folder, NAME, TENON_CREATE, &options, &region), 0);
	REQUIRE(region);
	for (uint64_t i = 0; i < 1024; i++) {
		EXPECT_IS(tenon_lock_open_at(region, i * 8192, TENON_CREATE, NULL, &lock), 0);
		lock = tenon_lock_close(lock);
	}
	EXPECT_IS(tenon_lock_open_at(region, 1024 * 8192, TENON_CREATE, NULL, &lock), -ENOSPC);
	EXPECT_IS(tenon_region_clear(region, 77 * 8192), 0);
	EXPECT_IS(tenon_lock_open_at(region, 1024 * 8192, TENON_CREATE, NULL, &lock), 0);
	lock = tenon_lock_close(lock);
	region = tenon_region_close(region);
}

/* The bounded buffer of the textbooks. */
#define SLOTS 3u
#define ITEMS 5000u

struct buffer {
	uint32_t in, out, item[SLOTS];
};

static struct buffer *map_buffer(struct tenon_region *region)
{
	void *address = NULL;

	EXPECT_IS(tenon_region_map(region, TENON_REGION_WRITE, &address, NULL), 0);
	REQUIRE(address);
	return (struct buffer *)((char *)address + PLACES * PLACE);
}

static void produce(void *context)
{
	struct tenon_region *region = open_region(0);
	struct tenon_semaphore *empty = semaphore_at(region, 0, 0);
	struct tenon_semaphore *full = semaphore_at(region, 1, 0);
	struct buffer *buffer = map_buffer(region);

	(void)context;
	for (uint32_t i = 0; i < ITEMS; i++) {
		EXPECT_IS(tenon_semaphore_acquire(empty, 1, 0, tenon_deadline_after(LIMIT_NS)), 0);
		buffer->item[buffer->in] = i;
		buffer->in = (buffer->in + 1) % SLOTS;
		EXPECT_IS(tenon_semaphore_release(full, 1, 0, NULL), 0);
	}
}

static void test_bounded_buffer(void)
{
	struct tenon_region *region = open_region(TENON_CREATE);
	struct tenon_semaphore *empty = semaphore_at(region, 0, SLOTS);
	struct tenon_semaphore *full = semaphore_at(region, 1, 0);
	struct buffer *buffer = map_buffer(region);
	pid_t child = contract_start(produce, NULL);

	for (uint32_t i = 0; i < ITEMS; i++) {
		EXPECT_IS(tenon_semaphore_acquire(full, 1, 0, tenon_deadline_after(LIMIT_NS)), 0);
		EXPECT_IS(buffer->item[buffer->out], i);
		buffer->out = (buffer->out + 1) % SLOTS;
		EXPECT_IS(tenon_semaphore_release(empty, 1, 0, NULL), 0);
	}
	contract_await(child);
	empty = tenon_semaphore_close(empty);
	full = tenon_semaphore_close(full);
	region = tenon_region_close(region);
}

static void hold_all(void *context)
{
	struct tenon_region *region = open_region(0);
	struct tenon_semaphore *semaphore = semaphore_at(region, 0, 0);
	struct tenon_lock *lock = lock_at(region, 1), *shared = lock_at(region, 2);

	(void)context;
	EXPECT_IS(tenon_lock_acquire_shared(shared, 0), 0);
	EXPECT_IS(tenon_lock_acquire(lock, 0), 0);
	EXPECT_IS(tenon_semaphore_acquire(semaphore, 2, TENON_SEMAPHORE_UNDO, 0), 0);
	for (;;)
		pause();
}

/* What the dead held comes back in all that is placed, also when only one of these is open. */
static void test_death(void)
{
	struct tenon_region *region = open_region(TENON_CREATE);
	struct tenon_semaphore *semaphore = semaphore_at(region, 0, 2);
	struct tenon_lock *lock = lock_at(region, 1), *shared = lock_at(region, 2);

	for (uint32_t round = 0; round < 20; round++) {
		pid_t child = contract_start(hold_all, NULL);
		uint32_t value = 99;

		while (tenon_semaphore_value(semaphore, &value) == 0 && value != 0)
			sched_yield();
		EXPECT_IS(tenon_lock_try(lock), -EBUSY);
		EXPECT_IS(tenon_lock_try(shared), -EBUSY);
		kill(child, SIGKILL);
		switch (round % 3) {
		case 0:
			EXPECT_IS(tenon_semaphore_acquire(semaphore, 2, 0,
							  tenon_deadline_after(LIMIT_NS)),
				  0);
			EXPECT_IS(tenon_semaphore_release(semaphore, 2, 0, NULL), 0);
			break;
		case 1:
			EXPECT_IS(tenon_lock_acquire(shared, tenon_deadline_after(LIMIT_NS)), 0);
			EXPECT_IS(tenon_lock_release(shared), 0);
			break;
		default:
			break;
		}
		EXPECT_IS(tenon_lock_acquire(lock, tenon_deadline_after(LIMIT_NS)), -EOWNERDEAD);
		EXPECT_IS(tenon_lock_repaired(lock), 0);
		EXPECT_IS(tenon_lock_release(lock), 0);
		contract_kill(child);
		EXPECT_IS(tenon_semaphore_try(semaphore, 2, 0), 0);
		EXPECT_IS(tenon_semaphore_release(semaphore, 2, 0, NULL), 0);
		EXPECT_IS(tenon_lock_try(shared), 0);
		EXPECT_IS(tenon_lock_release(shared), 0);
	}
	semaphore = tenon_semaphore_close(semaphore);
	lock = tenon_lock_close(lock);
	shared = tenon_lock_close(shared);
	region = tenon_region_close(region);
}

static void have_the_gate(void *context)
{
	struct tenon_region *region = open_region(0);
	void *pending;

	EXPECT_IS(tni_region_lock(region, tni_thread_self(), INT64_MAX, &pending), 0);
	*(volatile bool *)context = true;
	for (;;)
		pause();
}

/* Somebody is in the midst of placing, and does not go on. */
static void test_opening_does_not_wait(void)
{
	struct tenon_region *region = open_region(TENON_CREATE);
	volatile bool *has_it = contract_share(sizeof(*has_it));
	struct tenon_lock *lock = lock_at(region, 1);
	pid_t child;

	lock = tenon_lock_close(lock);
	child = contract_start(have_the_gate, (void *)has_it);
	while (!*has_it)
		sched_yield();
	lock = lock_at(region, 1);
	EXPECT_IS(tenon_lock_try(lock), 0);
	EXPECT_IS(tenon_lock_release(lock), 0);
	lock = tenon_lock_close(lock);
	EXPECT_IS(tenon_lock_open_at(region, 2 * PLACE, 0, NULL, &lock), -ENOENT);
	contract_kill(child);
	lock = lock_at(region, 2);
	lock = tenon_lock_close(lock);
	region = tenon_region_close(region);
}

static struct tenon_semaphore *inherited;
static struct tenon_region *inherited_region;

static void take_from_nameless(void *context)
{
	(void)context;
	EXPECT_IS(tenon_semaphore_try(inherited, 2, TENON_SEMAPHORE_UNDO), 0);
	for (;;)
		pause();
}

/* Children, and who gets a descriptor, are in it like anybody in a region with a name. */
static void test_nameless(void)
{
	struct tenon_region_options options = {
		.size = sizeof(options), .max_participants = PARTICIPANTS, .bytes = PLACES * PLACE};
	struct tenon_region *region = NULL, *other = NULL;
	struct tenon_semaphore *semaphore;
	uint32_t value = 9, count = 0;
	pid_t child;
	int fd = -1;

	EXPECT_IS(tenon_region_open(contract_folder, NULL, 0, NULL, &region), -EINVAL);
	EXPECT_IS(tenon_region_open(contract_folder, NULL, TENON_EXCLUSIVE, &options, &region),
		  -EINVAL);
	EXPECT_IS(tenon_region_open(contract_folder, NULL, TENON_CREATE | TENON_EXCLUSIVE, &options,
				    &region),
		  0);
	REQUIRE(region);
	inherited_region = region;
	EXPECT_IS(tenon_namespace_list(contract_folder, count_names, &count), 0);
	EXPECT_IS(count, 0);
	semaphore = semaphore_at(region, 0, 2);
	EXPECT_IS(tenon_semaphore_try(semaphore, 2, 0), 0);
	semaphore = tenon_semaphore_close(semaphore);
	semaphore = inherited = semaphore_at(region, 1, 2);
	child = contract_start(take_from_nameless, NULL);
	EXPECT_IS(tenon_region_fd(region, TENON_REGION_WRITE, &fd), 0);
	EXPECT_IS(tenon_region_from_fd(fd, 0, &other), 0);
	REQUIRE(other);
	close(fd);
	EXPECT(tenon_region_place_bytes(other) == PLACE);
	while (tenon_semaphore_value(semaphore, &value) == 0 && value != 0)
		sched_yield();
	EXPECT_IS(tenon_region_attached(other, count_attached, &count), 0);
	EXPECT_IS(count, 3);
	kill(child, SIGKILL);
	EXPECT_IS(tenon_semaphore_acquire(semaphore, 2, 0, tenon_deadline_after(LIMIT_NS)), 0);
	contract_kill(child);
	semaphore = tenon_semaphore_close(semaphore);
	region = tenon_region_close(region);
	semaphore = semaphore_at(other, 1, 9);
	EXPECT_IS(tenon_semaphore_try(semaphore, 1, 0), -EAGAIN);
	semaphore = tenon_semaphore_close(semaphore);
	other = tenon_region_close(other);
}

/* Handles may be closed in any order. */
static void test_closing_order(void)
{
	struct tenon_region *region = open_region(TENON_CREATE), *other;
	struct tenon_lock *lock = lock_at(region, 1);
	struct tenon_semaphore *semaphore = semaphore_at(region, 2, 1);
	uint32_t count = 0;

	EXPECT(tenon_region_place_bytes(region) == PLACE);
	EXPECT(tenon_region_place_bytes(NULL) == 0);
	region = tenon_region_close(region);
	EXPECT_IS(tenon_lock_acquire(lock, 0), 0);
	EXPECT_IS(tenon_semaphore_try(semaphore, 1, TENON_SEMAPHORE_UNDO), 0);
	EXPECT_IS(tenon_lock_release(lock), 0);
	lock = tenon_lock_close(lock);
	other = open_region(0);
	EXPECT_IS(tenon_region_attached(other, count_attached, &count), 0);
	EXPECT_IS(count, 2);
	semaphore = tenon_semaphore_close(semaphore);
	count = 0;
	EXPECT_IS(tenon_region_attached(other, count_attached, &count), 0);
	EXPECT_IS(count, 1);
	semaphore = semaphore_at(other, 2, 9);
	EXPECT_IS(tenon_semaphore_try(semaphore, 1, 0), 0);
	semaphore = tenon_semaphore_close(semaphore);
	other = tenon_region_close(other);
}

static void use_inherited(void *context)
{
	(void)context;
	EXPECT_IS(tenon_semaphore_acquire(inherited, 1, TENON_SEMAPHORE_UNDO, 0), 0);
	EXPECT_IS(tenon_semaphore_try(inherited, 1, 0), -EAGAIN);
	inherited = tenon_semaphore_close(inherited);
	inherited = semaphore_at(inherited_region, 0, 9);
	EXPECT_IS(tenon_semaphore_try(inherited, 1, TENON_SEMAPHORE_UNDO), 0);
	_exit(0);
}

static void test_fork(void)
{
	inherited_region = open_region(TENON_CREATE);
	inherited = semaphore_at(inherited_region, 0, 2);
	EXPECT_IS(tenon_semaphore_acquire(inherited, 1, TENON_SEMAPHORE_UNDO, 0), 0);
	contract_await(contract_start(use_inherited, NULL));
	EXPECT_IS(tenon_semaphore_try(inherited, 2, 0), -EAGAIN);
	EXPECT_IS(tenon_semaphore_try(inherited, 1, 0), 0);
	inherited = tenon_semaphore_close(inherited);
	/* What was taken with undo came back with the last handle. */
	inherited = semaphore_at(inherited_region, 0, 9);
	EXPECT_IS(tenon_semaphore_try(inherited, 1, 0), 0);
	inherited = tenon_semaphore_close(inherited);
	inherited_region = tenon_region_close(inherited_region);
}

static void take_and_die(void *context)
{
	(void)context;
	EXPECT_IS(tenon_semaphore_acquire(inherited, 1, TENON_SEMAPHORE_UNDO, 0), 0);
	for (;;)
		pause();
}

static void take_once(void *context)
{
	(void)context;
	EXPECT_IS(tenon_semaphore_acquire(inherited, 1, 0, tenon_deadline_after(LIMIT_NS)), 0);
}

/* A child whose first call finds what a dead process held, and has to wait for its turn to give that
 * back, slept under its parent's number; and where the semaphore was placed it had none: SIGSEGV. */
static void expect_own_number(void)
{
	struct tni_thread *thread = tni_thread_self();
	void *pending = tni_pending_get(thread);
	struct tni_sync *sync;
	uint32_t value = 99;
	uint64_t asleep = 0;
	pid_t child;

	sync = (struct tni_sync *)inherited;
	child = contract_start(take_and_die, NULL);
	while (tenon_semaphore_value(inherited, &value) == 0 && value != 0)
		sched_yield();
	EXPECT_IS(tni_sync_lock(sync, thread, pending, tenon_deadline_after(LIMIT_NS)), 0);
	contract_kill(child);
	child = contract_start(take_once, NULL);
	/* It sleeps, and is the first of those who attach after the dead one: it has its number; or the next, where
	 * the dead one's turn did not come within the time that a new one waits for it.  Not its parent's, 0. */
	while (asleep == 0 && waitpid(child, NULL, WNOHANG) == 0) {
		sched_yield();
		asleep = tni_get64(&sync->cell->waitroom.asleep[TNI_CLASS_LOCK_0][0]);
	}
	EXPECT(asleep == 1 << 1 || asleep == 1 << 2);
	tni_sync_unlock(sync, thread, pending);
	contract_await(child);
	EXPECT_IS(tenon_semaphore_value(inherited, &value), 0);
	EXPECT_IS(value, 0);
	inherited = tenon_semaphore_close(inherited);
}

static void test_attaching_waits(void)
{
	struct tenon_semaphore_options options = {.size = sizeof(options), .value = 1};

	inherited_region = open_region(TENON_CREATE);
	inherited = semaphore_at(inherited_region, 0, 1);
	expect_own_number();
	inherited_region = tenon_region_close(inherited_region);
	EXPECT_IS(tenon_semaphore_open(contract_folder, "/semaphore", TENON_CREATE, &options,
				       &inherited),
		  0);
	REQUIRE(inherited);
	expect_own_number();
}

/* Each kind works there. */
static void test_every_kind(void)
{
	struct tenon_region *region = open_region(TENON_CREATE);
	struct tenon_sync_options manual = {.size = sizeof(manual),
					    .flags = TENON_EVENT_MANUAL | TENON_EVENT_IS_SET};
	struct tenon_barrier_options one = {.size = sizeof(one), .count = 1};
	struct tenon_waitset_event events[4];
	struct tenon_condition *condition = NULL;
	struct tenon_lock *lock = lock_at(region, 0);
	struct tenon_barrier *barrier = NULL;
	struct tenon_event *event = NULL;
	struct tenon_once *once = NULL;
	struct tenon_waitset *set = NULL;
	uint32_t what, count;

	EXPECT_IS(tenon_event_open_at(region, PLACE, TENON_CREATE, &manual, &event), 0);
	EXPECT_IS(tenon_condition_open_at(region, 2 * PLACE, TENON_CREATE, NULL, &condition), 0);
	EXPECT_IS(tenon_barrier_open_at(region, 3 * PLACE, TENON_CREATE, &one, &barrier), 0);
	EXPECT_IS(tenon_once_open_at(region, 4 * PLACE, TENON_CREATE, NULL, &once), 0);
	EXPECT_IS(tenon_event_wait(event, 0), 0);
	EXPECT_IS(tenon_lock_acquire(lock, 0), 0);
	EXPECT_IS(tenon_condition_wait(condition, lock, tenon_deadline_after(WAIT_NS)), -ETIMEDOUT);
	EXPECT_IS(tenon_lock_release(lock), 0);
	EXPECT_IS(tenon_barrier_wait(barrier, 0, NULL), 0);
	EXPECT_IS(tenon_once_begin(once, 0, &what), 0);
	EXPECT_IS(what, TENON_ONCE_FIRST);
	EXPECT_IS(tenon_once_done(once), 0);
	EXPECT_IS(tenon_waitset_create(TENON_WAITSET_ALL, &set), 0);
	EXPECT_IS(tenon_waitset_add_event(set, event, 1, NULL), 0);
	EXPECT_IS(tenon_waitset_add_lock(set, lock, 2, NULL), 0);
	EXPECT_IS(tenon_waitset_wait(set, 0, events, 4, &count), 0);
	EXPECT_IS(count, 2);
	EXPECT_IS(tenon_lock_release(lock), 0);
	set = tenon_waitset_close(set);
	event = tenon_event_close(event);
	condition = tenon_condition_close(condition);
	barrier = tenon_barrier_close(barrier);
	once = tenon_once_close(once);
	lock = tenon_lock_close(lock);
	region = tenon_region_close(region);
}

int main(void)
{
	static const struct contract_case cases[] = {
		{"placing, opening, clearing, and what is refused", test_placing, NULL},
		{"a region has room for 1024", test_full, NULL},
		{"the bounded buffer", test_bounded_buffer, NULL},
		{"what the dead held comes back in all that is placed", test_death, NULL},
		{"in a region without a name", test_nameless, NULL},
		{"handles are closed in any order", test_closing_order, NULL},
		{"what is there is opened while somebody is placing", test_opening_does_not_wait,
		 NULL},
		{"a child has what it takes itself", test_fork, NULL},
		{"who attaches may have to wait for what a dead one held", test_attaching_waits,
		 NULL},
		{"each kind works there", test_every_kind, NULL},
	};

	return contract_main(cases, sizeof(cases) / sizeof(cases[0]));
}
