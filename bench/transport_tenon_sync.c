// SPDX-License-Identifier: Apache-2.0
/*
 * Tenon's lock, semaphore, event, condition and barrier, and a semaphore in a waitset.  Each process of a run opens the object by its name, as
 * strangers would; the round trip of a condition has a lock of its own in each direction, as its rival has.
 */

#include <unistd.h>

#include <tenon/barrier.h>
#include <tenon/condition.h>
#include <tenon/event.h>
#include <tenon/lock.h>
#include <tenon/semaphore.h>
#include <tenon/waitset.h>

#include "sync.h"
#include "transports.h"

#define MAKE (TENON_CREATE | TENON_EXCLUSIVE)

static int name_link(struct link *link)
{
	static uint32_t counter;

	snprintf(link->name, sizeof(link->name), "/bench-%d-%u", (int)getpid(), counter++);
	return link_map(link, sizeof(struct sync_shared));
}

static int create_lock(struct link *link)
{
	struct tenon_lock *lock;
	int result = name_link(link);

	if (result == 0)
		result = tenon_lock_open(NULL, link->name, MAKE, NULL, &lock);
	if (result == 0)
		tenon_lock_close(lock);
	return result;
}

static int attach_lock(struct link *link, enum end end)
{
	struct tenon_lock *lock;
	int result = tenon_lock_open(NULL, link->name, 0, NULL, &lock);

	(void)end;
	if (result == 0)
		link->handle = lock;
	return result;
}

static void destroy_lock(struct link *link)
{
	if (link->name[0])
		tenon_lock_remove(NULL, link->name);
}

ALWAYS_INLINE int acquire_lock(struct link *link)
{
	return tenon_lock_acquire(link->handle, TENON_NO_DEADLINE);
}

ALWAYS_INLINE int release_lock(struct link *link)
{
	return tenon_lock_release(link->handle);
}

static int create_condition(struct link *link)
{
	struct tenon_condition *condition;
	int result = create_lock(link);

	if (result == 0)
		result = tenon_condition_open(NULL, link->name, MAKE, NULL, &condition);
	if (result == 0)
		tenon_condition_close(condition);
	return result;
}

static int attach_condition(struct link *link, enum end end)
{
	struct tenon_condition *condition;
	int result = attach_lock(link, end);

	if (result == 0)
		result = tenon_condition_open(NULL, link->name, 0, NULL, &condition);
	if (result == 0)
		link->extra = condition;
	return result;
}

static void destroy_condition(struct link *link)
{
	destroy_lock(link);
	if (link->name[0])
		tenon_condition_remove(NULL, link->name);
}

/* Waits for the other one's turn. */
ALWAYS_INLINE int wait_condition(struct link *link)
{
	const struct sync_shared *shared = link->shared;
	int result = acquire_lock(link);

	if (result < 0)
		return result;
	while (shared->turn == (uint32_t)link->position && result == 0)
		result = tenon_condition_wait(link->extra, link->handle, TENON_NO_DEADLINE);
	link->position = shared->turn;
	release_lock(link);
	return result;
}

ALWAYS_INLINE int signal_condition(struct link *link)
{
	struct sync_shared *shared = link->shared;
	int result = acquire_lock(link);

	if (result < 0)
		return result;
	shared->turn++;
	result = tenon_condition_signal(link->extra);
	release_lock(link);
	return result;
}

static int create_semaphore(struct link *link)
{
	const struct tenon_semaphore_options options = {.size = sizeof(options),
							.value = sync_first_count(link)};
	struct tenon_semaphore *semaphore;
	int result = name_link(link);

	if (result == 0)
		result = tenon_semaphore_open(NULL, link->name, MAKE, &options, &semaphore);
	if (result == 0)
		tenon_semaphore_close(semaphore);
	return result;
}

static int attach_semaphore(struct link *link, enum end end)
{
	struct tenon_semaphore *semaphore;
	int result = tenon_semaphore_open(NULL, link->name, 0, NULL, &semaphore);

	(void)end;
	if (result == 0)
		link->handle = semaphore;
	return result;
}

static void destroy_semaphore(struct link *link)
{
	if (link->name[0])
		tenon_semaphore_remove(NULL, link->name);
}

ALWAYS_INLINE int acquire_semaphore(struct link *link)
{
	if (sync_is_polled(link))
		return tenon_semaphore_try(link->handle, 1, 0);
	return tenon_semaphore_acquire(link->handle, 1, 0, TENON_NO_DEADLINE);
}

ALWAYS_INLINE int release_semaphore(struct link *link)
{
	return tenon_semaphore_release(link->handle, 1, 0, NULL);
}

ALWAYS_INLINE int acquire_semaphore_undo(struct link *link)
{
	return tenon_semaphore_acquire(link->handle, 1, TENON_SEMAPHORE_UNDO, TENON_NO_DEADLINE);
}

ALWAYS_INLINE int release_semaphore_undo(struct link *link)
{
	return tenon_semaphore_release(link->handle, 1, TENON_SEMAPHORE_UNDO, NULL);
}

static int create_event(struct link *link)
{
	struct tenon_event *event;
	int result = name_link(link);

	if (result == 0)
		result = tenon_event_open(NULL, link->name, MAKE, NULL, &event);
	if (result == 0)
		tenon_event_close(event);
	return result;
}

static int attach_event(struct link *link, enum end end)
{
	struct tenon_event *event;
	int result = tenon_event_open(NULL, link->name, 0, NULL, &event);

	(void)end;
	if (result == 0)
		link->handle = event;
	return result;
}

static void destroy_event(struct link *link)
{
	if (link->name[0])
		tenon_event_remove(NULL, link->name);
}

ALWAYS_INLINE int wait_event(struct link *link)
{
	return tenon_event_wait(link->handle, TENON_NO_DEADLINE);
}

ALWAYS_INLINE int set_event(struct link *link)
{
	return tenon_event_set(link->handle);
}

static int attach_waitset(struct link *link, enum end end)
{
	struct tenon_waitset *set;
	int result = attach_semaphore(link, end);

	if (result == 0)
		result = tenon_waitset_create(0, &set);
	if (result == 0)
		result = tenon_waitset_add_semaphore(set, link->handle, 1, 0, 0, NULL);
	if (result == 0)
		link->extra = set;
	return result;
}

ALWAYS_INLINE int wait_waitset(struct link *link)
{
	struct tenon_waitset_event event;
	uint32_t count;
	int result = tenon_waitset_wait(link->extra, TENON_NO_DEADLINE, &event, 1, &count);

	return result == 0 ? event.result : result;
}

static int create_barrier(struct link *link)
{
	const struct tenon_barrier_options options = {.size = sizeof(options), .count = 2};
	struct tenon_barrier *barrier;
	int result = name_link(link);

	if (result == 0)
		result = tenon_barrier_open(NULL, link->name, MAKE, &options, &barrier);
	if (result == 0)
		tenon_barrier_close(barrier);
	return result;
}

static int attach_barrier(struct link *link, enum end end)
{
	struct tenon_barrier *barrier;
	int result = tenon_barrier_open(NULL, link->name, 0, NULL, &barrier);

	(void)end;
	if (result == 0)
		link->handle = barrier;
	return result;
}

static void destroy_barrier(struct link *link)
{
	if (link->name[0])
		tenon_barrier_remove(NULL, link->name);
}

/* Who sends and who receives meet. */
ALWAYS_INLINE int meet_barrier(struct link *link)
{
	return tenon_barrier_wait(link->handle, TENON_NO_DEADLINE, NULL);
}

static const struct sync_calls lock_sync = {acquire_lock, release_lock};
static const struct sync_calls semaphore_sync = {acquire_semaphore, release_semaphore};
static const struct sync_calls semaphore_undo_sync = {acquire_semaphore_undo,
						      release_semaphore_undo};
static const struct sync_calls event_sync = {wait_event, set_event};
static const struct sync_calls condition_sync = {wait_condition, signal_condition};
static const struct sync_calls waitset_sync = {wait_waitset, release_semaphore};
static const struct sync_calls barrier_sync = {meet_barrier, meet_barrier};
SYNC_LOOPS(lock)
SYNC_LOOPS(semaphore)
SYNC_LOOPS(semaphore_undo)
SYNC_LOOPS(event)
SYNC_LOOPS(condition)
SYNC_LOOPS(waitset)
SYNC_LOOPS(barrier)

const struct transport transport_tenon_lock = {.name = "tenon-lock",
					       .title = "Tenon lock",
					       .refuse = refuse_all_but_pairs,
					       .create = create_lock,
					       .attach = attach_lock,
					       .destroy = destroy_lock,
					       .loops = &lock_loops};
const struct transport transport_tenon_semaphore = {.name = "tenon-semaphore",
						    .title = "Tenon semaphore",
						    .refuse = refuse_unless_semaphore,
						    .create = create_semaphore,
						    .attach = attach_semaphore,
						    .destroy = destroy_semaphore,
						    .loops = &semaphore_loops};
const struct transport transport_tenon_semaphore_undo = {.name = "tenon-semaphore-undo",
							 .title = "Tenon semaphore, UNDO",
							 .refuse = refuse_all_but_pairs,
							 .create = create_semaphore,
							 .attach = attach_semaphore,
							 .destroy = destroy_semaphore,
							 .loops = &semaphore_undo_loops};
const struct transport transport_tenon_event = {.name = "tenon-event",
						.title = "Tenon event, auto reset",
						.refuse = refuse_all_but_trips,
						.create = create_event,
						.attach = attach_event,
						.destroy = destroy_event,
						.loops = &event_loops};
const struct transport transport_tenon_condition = {.name = "tenon-condition",
						    .title = "Tenon condition and lock",
						    .refuse = refuse_all_but_trips,
						    .create = create_condition,
						    .attach = attach_condition,
						    .destroy = destroy_condition,
						    .loops = &condition_loops};
const struct transport transport_tenon_waitset = {.name = "tenon-waitset",
						  .title = "Tenon waitset of a semaphore",
						  .refuse = refuse_all_but_trips,
						  .create = create_semaphore,
						  .attach = attach_waitset,
						  .destroy = destroy_semaphore,
						  .loops = &waitset_loops};
const struct transport transport_tenon_barrier = {.name = "tenon-barrier",
						  .title = "Tenon barrier",
						  .refuse = refuse_all_but_trips,
						  .create = create_barrier,
						  .attach = attach_barrier,
						  .destroy = destroy_barrier,
						  .loops = &barrier_loops};
