/* SPDX-License-Identifier: Apache-2.0 */

/* Processes in several containers, some of whom hold something and die: who is taken for the holder, and who is not.  See
 * ./containers_test.c. */

#include <tenon/lock.h>
#include <tenon/region.h>
#include <tenon/semaphore.h>

#include <errno.h>
#include <stdatomic.h>

#include "contained.h"
#include "object/queue_private.h"
#include "object/sync.h"

#define LIMIT_NS (10 * SECOND_NS)

static atomic_uint *ready;

static void await_ready(uint32_t count)
{
	while (atomic_load(ready) < count)
		sched_yield();
}

/* Locks a side and keeps it. */
static void hold_side(void *context)
{
	struct tenon_queue *queue = contract_open("/shared");
	struct tni_call call;

	REQUIRE(tni_call_begin(&call, queue) == 0);
	EXPECT_IS(tni_side_lock(&call, (uint32_t)(uintptr_t)context, INT64_MAX), 0);
	atomic_fetch_add(ready, 1);
	for (;;)
		pause();
}

static void have_queue_open(void *context)
{
	struct tenon_queue *queue = contract_open("/shared");

	(void)context;
	EXPECT(queue != NULL);
	atomic_fetch_add(ready, 1);
	for (;;)
		pause();
}

/* Only the entry of the one who had the receivers' gate is left for who comes, who has to wait for the senders': nobody waits
 * with him. */
static void test_burier_waits(void)
{
	struct tenon_queue_options options = {.size = sizeof(options),
					      .capacity = 4,
					      .max_message_bytes = 64,
					      .max_participants = 4};
	struct tenon_queue *queue = contract_create("/shared", &options);
	pid_t owner, holder, other, burier;
	uint64_t number;

	ready = contract_share(sizeof(*ready));
	EXPECT_IS(contract_send(queue, 7, 0), 0);
	owner = start_contained(hold_side, (void *)TNI_RECEIVE);
	await_ready(1);
	holder = start_contained(hold_side, (void *)TNI_SEND);
	await_ready(2);
	other = contract_start(have_queue_open, NULL);
	await_ready(3);
	contract_kill(owner);
	burier = contract_start(have_queue_open, NULL);
	while (tni_gatehouse_count(&queue->house, TNI_CLASS_LOCK_0 + TNI_SEND) == 0)
		sched_yield();
	EXPECT_IS(contract_receive(queue, &number, LIMIT_NS), 0);
	EXPECT_IS((int64_t)number, 7);
	contract_kill(holder);
	await_ready(4);
	contract_kill(burier);
	contract_kill(other);
	contract_expect_sound(queue);
}

/* A region of four participants, with a semaphore and, behind it, a lock. */
static struct tenon_region *open_region(void)
{
	struct tenon_region_options options = {.size = sizeof(options),
					       .max_participants = 4,
					       .bytes = 2 * (uint64_t)TENON_PLACE_BYTES(4)};
	struct tenon_region *region = NULL;

	EXPECT_IS(tenon_region_open(contract_folder, "/region", TENON_CREATE, &options, &region),
		  0);
	REQUIRE(region);
	return region;
}

static struct tenon_semaphore *placed_semaphore(struct tenon_region *region)
{
	struct tenon_semaphore_options options = {.size = sizeof(options), .value = 1};
	struct tenon_semaphore *semaphore = NULL;

	EXPECT_IS(tenon_semaphore_open_at(region, 0, TENON_CREATE, &options, &semaphore), 0);
	REQUIRE(semaphore);
	return semaphore;
}

static struct tenon_lock *placed_lock(struct tenon_region *region)
{
	struct tenon_lock *lock = NULL;

	EXPECT_IS(tenon_lock_open_at(region, TENON_PLACE_BYTES(4), TENON_CREATE, NULL, &lock), 0);
	REQUIRE(lock);
	return lock;
}

static void hold_placed_lock(void *context)
{
	(void)context;
	EXPECT_IS(tenon_lock_acquire(placed_lock(open_region()), tenon_deadline_after(LIMIT_NS)),
		  0);
	atomic_fetch_add(ready, 1);
	for (;;)
		pause();
}

static void hold_gate_of_semaphore(void *context)
{
	struct tni_thread *thread = tni_thread_self();
	struct tni_sync *sync = (struct tni_sync *)placed_semaphore(open_region());

	(void)context;
	EXPECT_IS(tni_sync_lock(sync, thread, tni_pending_get(thread), INT64_MAX), 0);
	atomic_fetch_add(ready, 1);
	for (;;)
		pause();
}

static void have_region_open(void *context)
{
	(void)context;
	EXPECT(open_region() != NULL);
	atomic_fetch_add(ready, 1);
	for (;;)
		pause();
}

/* The same in a region: he waits at one object, and nobody has to wait for him at another. */
static void test_burier_waits_in_region(void)
{
	struct tenon_region *region = open_region();
	struct tenon_semaphore *semaphore = placed_semaphore(region);
	struct tenon_lock *lock = placed_lock(region);
	struct tni_gatehouse *house = &((struct tni_sync *)semaphore)->house;
	pid_t owner, holder, other, burier;

	ready = contract_share(sizeof(*ready));
	owner = start_contained(hold_placed_lock, NULL);
	await_ready(1);
	holder = start_contained(hold_gate_of_semaphore, NULL);
	await_ready(2);
	other = contract_start(have_region_open, NULL);
	await_ready(3);
	contract_kill(owner);
	burier = contract_start(have_region_open, NULL);
	while (tni_gatehouse_count(house, TNI_CLASS_LOCK_0) == 0)
		sched_yield();
	EXPECT_IS(tenon_lock_acquire(lock, tenon_deadline_after(LIMIT_NS)), -EOWNERDEAD);
	contract_kill(holder);
	await_ready(4);
	contract_kill(burier);
	contract_kill(other);
	lock = tenon_lock_close(lock);
	semaphore = tenon_semaphore_close(semaphore);
	region = tenon_region_close(region);
}

static struct tenon_lock *open_lock(uint32_t flags)
{
	struct tenon_lock *lock = NULL;

	EXPECT_IS(tenon_lock_open(contract_folder, "/lock", flags, NULL, &lock), 0);
	REQUIRE(lock);
	return lock;
}

static void hold_lock(void *context)
{
	EXPECT_IS(tenon_lock_acquire(open_lock(0), tenon_deadline_after(LIMIT_NS)), 0);
	atomic_fetch_add(ready, 1);
	(void)context;
	for (;;)
		pause();
}

static void have_lock_open(void *context)
{
	const struct tenon_lock *lock = open_lock(0);

	EXPECT_IS((int64_t)((const struct tni_sync *)lock)->object->participant, 1);
	atomic_fetch_add(ready, 1);
	(void)context;
	for (;;)
		pause();
}

/* The bug: who had the dead owner's entry next was taken for the owner, and everybody waited until that one went. */
static void test_entry_of_a_dead_owner(void)
{
	struct tenon_lock *lock = open_lock(TENON_CREATE);
	pid_t owner, other;

	ready = contract_share(sizeof(*ready));
	owner = start_contained(hold_lock, NULL);
	await_ready(1);
	contract_kill(owner);
	other = start_contained(have_lock_open, NULL);
	await_ready(2);
	EXPECT_IS(tenon_lock_acquire(lock, tenon_deadline_after(LIMIT_NS)), -EOWNERDEAD);
	/* Nor is who lets go of it while he has it. */
	lock = tenon_lock_close(lock);
	lock = open_lock(0);
	EXPECT_IS(tenon_lock_acquire(lock, tenon_deadline_after(LIMIT_NS)), -EOWNERDEAD);
	contract_kill(other);
	lock = tenon_lock_close(lock);
}

int main(void)
{
	static const struct contract_case cases[] = {
		{"who buries the owner of one gate waits for the other", test_burier_waits, NULL},
		{"the same in a region", test_burier_waits_in_region, NULL},
		{"another has the entry of a lock's dead owner", test_entry_of_a_dead_owner, NULL},
	};

	return contract_main(cases, sizeof(cases) / sizeof(cases[0]));
}
