/* SPDX-License-Identifier: Apache-2.0 */

/* Locks, semaphores, events and the other synchronization objects, and regions with some of them in: load.h. */

#include "load.h"

#include <errno.h>
#include <stdio.h>

#include <tenon/barrier.h>
#include <tenon/condition.h>
#include <tenon/event.h>
#include <tenon/lock.h>
#include <tenon/once.h>
#include <tenon/region.h>
#include <tenon/semaphore.h>
#include <tenon/semaphore_set.h>

#define PARTICIPANTS 64u
#define PLACE ((uint64_t)TENON_PLACE_BYTES(PARTICIPANTS))
#define PAGE UINT64_C(4096)
#define PAGES 64u
#define UNITS 3u
#define SEMAPHORES 4u
#define ONCES 4u

/* Pairs of counts. */
enum { OF_LOCK, OF_INHERITING, OF_CONDITION, OF_PLACED };

static const struct tenon_sync_options general = {.size = sizeof(general),
						  .max_participants = PARTICIPANTS};

static int64_t soon(void)
{
	return tenon_deadline_after(1 + load_random(1000000));
}

/* Handles stay open for a while. */
static bool is_enough(void)
{
	return load_random(256) == 0;
}

/* The lock has been acquired, or not. */
static int count_under(struct tenon_lock *lock, int result, uint32_t guard)
{
	bool is_torn = result == -EOWNERDEAD;

	if (is_torn)
		result = tenon_lock_repaired(lock);
	if (result != 0)
		return load_expect("lock", result, LOAD_MAY(ETIMEDOUT));
	if (!load_count(guard, is_torn))
		return load_wrong("two have the lock", 0);
	return load_expect("release", tenon_lock_release(lock), LOAD_MAY(0));
}

static int share(struct tenon_lock *lock)
{
	int result = tenon_lock_acquire_shared(lock, soon());

	/* Who has it for reading cannot repair: whoever writes next does. */
	if (result == -EOWNERDEAD || result == 0)
		return load_expect("release_shared", tenon_lock_release_shared(lock), LOAD_MAY(0));
	return load_expect("shared", result, LOAD_MAY(ETIMEDOUT));
}

static int lock_round(void)
{
	static struct tenon_lock *lock;
	int result = 0;

	if (!lock)
		result = tenon_lock_open(NULL, "/lock", TENON_CREATE, &general, &lock);
	if (result != 0)
		return load_wrong("lock", -result);
	result = load_random(2) ? share(lock)
				: count_under(lock, tenon_lock_acquire(lock, soon()), OF_LOCK);
	if (is_enough())
		lock = tenon_lock_close(lock);
	return result;
}

static int inherit_round(void)
{
	static struct tenon_lock *lock;
	struct tenon_sync_options options = {.size = sizeof(options),
					     .flags = TENON_LOCK_INHERIT,
					     .max_participants = PARTICIPANTS};
	int result = 0;

	if (!lock)
		result = tenon_lock_open(NULL, "/inherit", TENON_CREATE, &options, &lock);
	if (result != 0)
		return load_wrong("lock", -result);
	result = count_under(lock, tenon_lock_acquire(lock, soon()), OF_INHERITING);
	if (is_enough())
		lock = tenon_lock_close(lock);
	return result;
}

/* Waits to be told, or for a while: either way the lock is held again. */
static int wait_under(struct tenon_condition *condition, struct tenon_lock *lock)
{
	int result = tenon_lock_acquire(lock, soon());

	if (result == -EOWNERDEAD) {
		result = tenon_lock_repaired(lock);
		load_count(OF_CONDITION, true);
	}
	if (result != 0)
		return load_expect("lock", result, LOAD_MAY(ETIMEDOUT));
	result = tenon_condition_wait(condition, lock, soon());
	return count_under(lock, result == -ETIMEDOUT ? 0 : result, OF_CONDITION);
}

static int condition_round(void)
{
	struct tenon_condition *condition = NULL;
	struct tenon_lock *lock = NULL;
	int result = tenon_lock_open(NULL, "/condition", TENON_CREATE, &general, &lock);

	if (result == 0)
		result = tenon_condition_open(NULL, "/condition", TENON_CREATE, &general,
					      &condition);
	if (result == 0)
		result = load_random(2) ? tenon_condition_signal(condition)
					: tenon_condition_broadcast(condition);
	result = result == 0 ? wait_under(condition, lock) : load_wrong("condition", -result);
	tenon_condition_close(condition);
	tenon_lock_close(lock);
	return result;
}

static int semaphore_round(void)
{
	static struct tenon_semaphore *semaphore;
	struct tenon_semaphore_options options = {.size = sizeof(options),
						  .max_participants = PARTICIPANTS,
						  .value = UNITS,
						  .maximum = UNITS};
	uint32_t units = 1 + load_random(UNITS);
	int result = 0;

	if (!semaphore)
		result = tenon_semaphore_open(NULL, "/semaphore", TENON_CREATE, &options,
					      &semaphore);
	if (result != 0)
		return load_wrong("semaphore", -result);
	result = tenon_semaphore_acquire(semaphore, units, TENON_SEMAPHORE_UNDO, soon());
	if (result == 0)
		result = tenon_semaphore_release(semaphore, units, TENON_SEMAPHORE_UNDO, NULL);
	if (is_enough())
		semaphore = tenon_semaphore_close(semaphore);
	return load_expect("acquire", result, LOAD_MAY(ETIMEDOUT));
}

static int set_round(void)
{
	static struct tenon_semaphore_set *set;
	struct tenon_semaphore_set_options options = {.size = sizeof(options),
						      .max_participants = PARTICIPANTS,
						      .count = SEMAPHORES,
						      .value = UNITS};
	uint32_t first = load_random(SEMAPHORES), second = (first + 1) % SEMAPHORES;
	struct tenon_semaphore_operation take[] = {{first, -1, TENON_SEMAPHORE_SET_UNDO},
						   {second, -2, TENON_SEMAPHORE_SET_UNDO}};
	struct tenon_semaphore_operation give[] = {{first, 1, TENON_SEMAPHORE_SET_UNDO},
						   {second, 2, TENON_SEMAPHORE_SET_UNDO}};
	int result = 0;

	if (!set)
		result = tenon_semaphore_set_open(NULL, "/set", TENON_CREATE, &options, &set);
	if (result != 0)
		return load_wrong("set", -result);
	result = tenon_semaphore_set_operate(set, take, 2, soon());
	if (result == 0)
		result = tenon_semaphore_set_operate(set, give, 2, TENON_NO_DEADLINE);
	if (is_enough())
		set = tenon_semaphore_set_close(set);
	return load_expect("operate", result, LOAD_MAY(ETIMEDOUT));
}

static int event_round(void)
{
	bool manual = load_random(2);
	struct tenon_sync_options options = {.size = sizeof(options),
					     .flags = manual ? TENON_EVENT_MANUAL : 0,
					     .max_participants = PARTICIPANTS};
	struct tenon_event *event;
	int result = tenon_event_open(NULL, manual ? "/manual" : "/auto", TENON_CREATE, &options,
				      &event);

	if (result != 0)
		return load_wrong("event", -result);
	switch (load_random(8)) {
	case 0:
		result = tenon_event_set(event);
		break;
	case 1:
		result = tenon_event_reset(event);
		break;
	case 2:
		result = tenon_event_pulse(event);
		break;
	default:
		result = tenon_event_wait(event, soon());
	}
	tenon_event_close(event);
	return load_expect("event", result, LOAD_MAY(ETIMEDOUT));
}

static int barrier_round(void)
{
	static struct tenon_barrier *barrier;
	struct tenon_barrier_options options = {
		.size = sizeof(options), .max_participants = PARTICIPANTS, .count = 2};
	int result = 0;

	if (!barrier)
		result = tenon_barrier_open(NULL, "/barrier", TENON_CREATE, &options, &barrier);
	if (result != 0)
		return load_wrong("barrier", -result);
	result = tenon_barrier_wait(barrier, soon(), NULL);
	if (is_enough())
		barrier = tenon_barrier_close(barrier);
	return load_expect("barrier", result, LOAD_MAY(ETIMEDOUT));
}

static int once_round(void)
{
	struct tenon_once *once;
	uint32_t what;
	char name[16];
	int result;

	snprintf(name, sizeof(name), "/once-%u", load_random(ONCES));
	result = tenon_once_open(NULL, name, TENON_CREATE, &general, &once);
	/* Others may make and remove it again and again meanwhile. */
	if (result != 0)
		return load_expect("once", result, LOAD_MAY(EAGAIN));
	result = tenon_once_begin(once, soon(), &what);
	if (result == 0 && what != TENON_ONCE_DONE)
		result = load_random(4) ? tenon_once_done(once) : tenon_once_failed(once);
	result = load_expect("once", result, LOAD_MAY(ETIMEDOUT));
	if (load_random(8) == 0)
		result |= load_expect("remove", tenon_once_remove(NULL, name), LOAD_MAY(ENOENT));
	tenon_once_close(once);
	return result;
}

static int use_region(struct tenon_region *region)
{
	uint64_t bytes = PLACE + (1 + load_random(PAGES)) * PAGE;
	struct tenon_lock *lock = NULL;
	_Atomic uint64_t *words;
	void *address;
	int result = tenon_region_grow(region, bytes, soon());

	if (result != 0)
		return load_expect("grow", result, LOAD_MAY(ETIMEDOUT));
	result = tenon_region_map(region, TENON_REGION_WRITE, &address, &bytes);
	if (result != 0)
		return load_wrong("map", -result);
	words = address;
	atomic_fetch_add(&words[PLACE / sizeof(*words) +
				load_random((uint32_t)((bytes - PLACE) / sizeof(*words)))],
			 1);
	result = tenon_lock_open_at(region, 0, TENON_CREATE, NULL, &lock);
	if (result != 0)
		return load_wrong("a placed lock", -result);
	result = count_under(lock, tenon_lock_acquire(lock, soon()), OF_PLACED);
	tenon_lock_close(lock);
	return result | load_expect("unmap", tenon_region_unmap(region, address), LOAD_MAY(EBUSY));
}

static int region_round(void)
{
	static struct tenon_region *region;
	struct tenon_region_options options = {.size = sizeof(options),
					       .max_participants = PARTICIPANTS,
					       .bytes = PLACE + PAGE,
					       .max_bytes = PLACE + PAGES * PAGE};
	int result = 0;

	if (!region)
		result = tenon_region_open(NULL, "/region", TENON_CREATE, &options, &region);
	if (result != 0)
		return load_wrong("region", -result);
	result = use_region(region);
	if (is_enough())
		region = tenon_region_close(region);
	return result;
}

const struct load_activity load_native_objects[] = {
	{"lock", lock_round},		{"lock-inherit", inherit_round},
	{"condition", condition_round}, {"semaphore", semaphore_round},
	{"semaphore-set", set_round},	{"event", event_round},
	{"barrier", barrier_round},	{"once", once_round},
	{"region", region_round},	{NULL, NULL},
};
