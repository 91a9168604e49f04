/* SPDX-License-Identifier: Apache-2.0 */

/* Scribbles over a lock's memory: see scribbler.h. */

#include <errno.h>
#include <stddef.h>

#include <tenon/lock.h>

#include "object/lock.h"
#include "scribbler.h"

#define NAME "/attacked"
#define WAIT_NS INT64_C(1000000000)

#define NOTHING_ELSE 0
#define ACQUIRED -EOWNERDEAD, -ETIMEDOUT, -EDEADLK, -ENOTRECOVERABLE, -EAGAIN, -ENOTSUP
#define SHARED -EOWNERDEAD, -ETIMEDOUT, -EDEADLK, -ENOTRECOVERABLE, -ENOTSUP

static int64_t later(void)
{
	return tenon_deadline_after(WAIT_NS);
}

static int open_with(uint32_t kind_flags, struct tenon_region *region, uint32_t flags,
		     void **ret_object)
{
	struct tenon_sync_options options = {.size = sizeof(options), .flags = kind_flags};

	if (region)
		return tenon_lock_open_at(region, 0, flags, &options,
					  (struct tenon_lock **)ret_object);
	options.max_participants = SCRIBBLED_PARTICIPANTS;
	return tenon_lock_open(NULL, NAME, flags, &options, (struct tenon_lock **)ret_object);
}

static int lock_open(struct tenon_region *region, uint32_t flags, void **ret_object)
{
	return open_with(TENON_LOCK_RECURSIVE, region, flags, ret_object);
}

static int plain_open(struct tenon_region *region, uint32_t flags, void **ret_object)
{
	return open_with(0, region, flags, ret_object);
}

static int inherit_open(struct tenon_region *region, uint32_t flags, void **ret_object)
{
	return open_with(TENON_LOCK_RECURSIVE | TENON_LOCK_INHERIT, region, flags, ret_object);
}

static void lock_remove(void)
{
	tenon_lock_remove(NULL, NAME);
}

static void lock_close(void *object)
{
	tenon_lock_close(object);
}

static int no_more(const struct tenon_lock_user *user, void *context)
{
	(void)user;
	(void)context;
	return 0;
}

static void look(struct tenon_lock *lock)
{
	struct tenon_lock_status status = {.size = sizeof(status)};

	TOLD(tenon_lock_status(lock, &status), NOTHING_ELSE);
	TOLD(tenon_lock_users(lock, no_more, NULL), NOTHING_ELSE);
}

/* Held by one. */

static void lock_call(void *object)
{
	look(object);
	TOLD(tenon_lock_try(object), ACQUIRED, -EBUSY);
	TOLD(tenon_lock_release(object), -EPERM);
	TOLD(tenon_lock_acquire(object, scribbler_soon()), ACQUIRED);
	TOLD(tenon_lock_acquire(object, scribbler_soon()), ACQUIRED);
	TOLD(tenon_lock_repaired(object), -EPERM);
	TOLD(tenon_lock_release(object), -EPERM);
}

static void lock_call_other(void *object)
{
	TOLD(tenon_lock_try(object), ACQUIRED, -EBUSY);
	TOLD(tenon_lock_release(object), -EPERM);
}

static void lock_call_last(void *object)
{
	TOLD(tenon_lock_lost(object), -EPERM);
}

static int lock_hold(void *object)
{
	return tenon_lock_acquire(object, later());
}

static void lock_wait(void *object)
{
	TOLD(tenon_lock_acquire(object, later()), ACQUIRED);
	TOLD(tenon_lock_release(object), -EPERM);
}

/* Also one who waits for those who share it. */
static uint32_t lock_waiting(void *object)
{
	struct tenon_lock_status status = {.size = sizeof(status)};

	return tenon_lock_status(object, &status) == 0 ? status.waiting : 0;
}

/* In the kernel, which says so in the word. */
static uint32_t inherit_waiting(void *object)
{
	const struct tenon_lock *lock = object;

	return (tni_get64(&lock->sync.cell->gate.word) & TNI_GATE_WAITERS) != 0;
}

/* Shared. */

static void shared_call(void *object)
{
	look(object);
	TOLD(tenon_lock_try_shared(object), SHARED, -EBUSY);
	TOLD(tenon_lock_acquire_shared(object, scribbler_soon()), SHARED);
	TOLD(tenon_lock_acquire(object, scribbler_soon()), ACQUIRED);
	TOLD(tenon_lock_release_shared(object), -EPERM);
	look(object);
	TOLD(tenon_lock_release_shared(object), -EPERM);
	TOLD(tenon_lock_release_shared(object), -EPERM);
	TOLD(tenon_lock_acquire(object, scribbler_soon()), ACQUIRED);
	TOLD(tenon_lock_try_shared(object), SHARED, -EBUSY);
	TOLD(tenon_lock_release(object), -EPERM);
	TOLD(tenon_lock_acquire_shared(object, scribbler_soon()), SHARED);
}

static void shared_call_other(void *object)
{
	TOLD(tenon_lock_try(object), ACQUIRED, -EBUSY);
	TOLD(tenon_lock_try_shared(object), SHARED, -EBUSY);
	TOLD(tenon_lock_release_shared(object), -EPERM);
}

static int shared_hold(void *object)
{
	return tenon_lock_acquire_shared(object, later());
}

static void shared_wait(void *object)
{
	TOLD(tenon_lock_acquire_shared(object, later()), SHARED);
	TOLD(tenon_lock_release_shared(object), -EPERM);
}

static uint32_t sharer_waiting(void *object)
{
	const struct tenon_lock *lock = object;

	return tni_gatehouse_count(&lock->sync.house, TNI_CLASS_MESSAGE);
}

#define KIND(noun)                                                                             \
	.file = "l.attacked", .open = noun##_open, .remove = lock_remove, .close = lock_close, \
	.waits_for_held = true, .is_held_long = true

int main(int argc, char **argv)
{
	static const struct scribbled kinds[] = {
		{KIND(lock), .name = "lock", .call = lock_call, .call_other = lock_call_other,
		 .call_last = lock_call_last, .hold = lock_hold, .wait = lock_wait,
		 .waiting = lock_waiting},
		{KIND(inherit), .name = "inherit", .call = lock_call, .call_other = lock_call_other,
		 .call_last = lock_call_last, .hold = lock_hold, .wait = lock_wait,
		 .waiting = inherit_waiting},
		/* Another process waits for those who share it, ... */
		{KIND(plain), .name = "shared", .call = shared_call,
		 .call_other = shared_call_other, .hold = shared_hold, .wait = lock_wait,
		 .waiting = lock_waiting},
		/* ... or to share it. */
		{KIND(plain), .name = "held", .call = shared_call, .call_other = shared_call_other,
		 .call_last = lock_call_last, .hold = lock_hold, .wait = shared_wait,
		 .waiting = sharer_waiting},
	};

	return scribbler_main(argc, argv, kinds, sizeof(kinds) / sizeof(kinds[0]));
}
