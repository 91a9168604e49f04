/* SPDX-License-Identifier: Apache-2.0 */

/* Scribbles over the memory of semaphores, events, conditions, barriers and onces: see scribbler.h. */

#include <errno.h>
#include <stddef.h>

#include <tenon/barrier.h>
#include <tenon/condition.h>
#include <tenon/event.h>
#include <tenon/once.h>
#include <tenon/semaphore.h>

#include "scribbler.h"

#define NAME "/attacked"
#define WAIT_NS INT64_C(1000000000)
#define GUARD_NS (30 * WAIT_NS)
#define UNDO TENON_SEMAPHORE_UNDO

#define NOTHING_ELSE 0

/* A region says who may use what is placed in it, and how many. */
#define PARTICIPANTS(region) ((region) ? 0 : SCRIBBLED_PARTICIPANTS)

static int64_t later(void)
{
	return tenon_deadline_after(WAIT_NS);
}

/* Semaphores. */

static int semaphore_open(struct tenon_region *region, uint32_t flags, void **ret_object)
{
	struct tenon_semaphore_options options = {.size = sizeof(options),
						  .max_participants = PARTICIPANTS(region),
						  .value = 3,
						  .maximum = 5};

	return region ? tenon_semaphore_open_at(region, 0, flags, &options,
						(struct tenon_semaphore **)ret_object)
		      : tenon_semaphore_open(NULL, NAME, flags, &options,
					     (struct tenon_semaphore **)ret_object);
}

static void semaphore_remove(void)
{
	tenon_semaphore_remove(NULL, NAME);
}

#define NO_MORE(kind)                                                                    \
	static int no_more_##kind(const struct tenon_##kind##_user *user, void *context) \
	{                                                                                \
		(void)user;                                                              \
		(void)context;                                                           \
		return 0;                                                                \
	}

NO_MORE(semaphore)
NO_MORE(event)
NO_MORE(condition)
NO_MORE(barrier)
NO_MORE(once)

static void semaphore_call(void *object)
{
	struct tenon_semaphore_status status = {.size = sizeof(status)};
	struct tenon_semaphore *semaphore = object;
	uint32_t value;

	TOLD(tenon_semaphore_release(semaphore, 1, 0, &value), -EOVERFLOW);
	TOLD(tenon_semaphore_status(semaphore, &status), NOTHING_ELSE);
	TOLD(tenon_semaphore_value(semaphore, &value), NOTHING_ELSE);
	TOLD(tenon_semaphore_users(semaphore, no_more_semaphore, NULL), NOTHING_ELSE);
	TOLD(tenon_semaphore_acquire(semaphore, 2, UNDO, scribbler_soon()), -ETIMEDOUT);
	TOLD(tenon_semaphore_acquire(semaphore, 5, 0, scribbler_soon()), -ETIMEDOUT);
	TOLD(tenon_semaphore_release(semaphore, 2, UNDO, NULL), -EOVERFLOW);
	TOLD(tenon_semaphore_try(semaphore, 1, UNDO), -EAGAIN);
}

static void semaphore_call_other(void *object)
{
	TOLD(tenon_semaphore_try(object, 1, UNDO), -EAGAIN);
}

static void semaphore_close(void *object)
{
	tenon_semaphore_close(object);
}

static int semaphore_hold(void *object)
{
	return tenon_semaphore_acquire(object, 2, UNDO, later());
}

static void semaphore_wait(void *object)
{
	TOLD(tenon_semaphore_acquire(object, 4, UNDO, later()), -ETIMEDOUT);
}

static uint32_t semaphore_waiting(void *object)
{
	struct tenon_semaphore_status status = {.size = sizeof(status)};

	return tenon_semaphore_status(object, &status) == 0 ? status.waiting : 0;
}

/* Events. */

static int event_open(struct tenon_region *region, uint32_t flags, void **ret_object)
{
	struct tenon_sync_options options = {.size = sizeof(options),
					     .max_participants = PARTICIPANTS(region)};

	return region ? tenon_event_open_at(region, 0, flags, &options,
					    (struct tenon_event **)ret_object)
		      : tenon_event_open(NULL, NAME, flags, &options,
					 (struct tenon_event **)ret_object);
}

static void event_remove(void)
{
	tenon_event_remove(NULL, NAME);
}

static void event_call(void *object)
{
	struct tenon_event_status status = {.size = sizeof(status)};
	struct tenon_event *event = object;

	TOLD(tenon_event_status(event, &status), NOTHING_ELSE);
	TOLD(tenon_event_users(event, no_more_event, NULL), NOTHING_ELSE);
	TOLD(tenon_event_wait(event, scribbler_soon()), -ETIMEDOUT);
	TOLD(tenon_event_set(event), NOTHING_ELSE);
	TOLD(tenon_event_wait(event, scribbler_soon()), -ETIMEDOUT);
	TOLD(tenon_event_pulse(event), NOTHING_ELSE);
	TOLD(tenon_event_reset(event), NOTHING_ELSE);
	TOLD(tenon_event_wait(event, 0), -ETIMEDOUT);
}

static void event_close(void *object)
{
	tenon_event_close(object);
}

static int event_hold(void *object)
{
	return tenon_event_set(object);
}

static void event_wait(void *object)
{
	TOLD(tenon_event_wait(object, later()), -ETIMEDOUT);
}

static uint32_t event_waiting(void *object)
{
	struct tenon_event_status status = {.size = sizeof(status)};

	return tenon_event_status(object, &status) == 0 ? status.waiting : 0;
}

/* Conditions, with a lock that is sound. */

static struct tenon_lock *must_open_guard(void)
{
	struct tenon_lock *guard;

	if (tenon_lock_open(NULL, "/guard", TENON_CREATE, NULL, &guard) != 0)
		return NULL;
	return guard;
}

static int condition_open(struct tenon_region *region, uint32_t flags, void **ret_object)
{
	struct tenon_sync_options options = {.size = sizeof(options),
					     .max_participants = PARTICIPANTS(region)};

	return region ? tenon_condition_open_at(region, 0, flags, &options,
						(struct tenon_condition **)ret_object)
		      : tenon_condition_open(NULL, NAME, flags, &options,
					     (struct tenon_condition **)ret_object);
}

static void condition_remove(void)
{
	tenon_condition_remove(NULL, NAME);
}

static void wait_until(struct tenon_condition *condition, int64_t deadline_ns)
{
	struct tenon_lock *guard = must_open_guard();

	/* Whoever has it had no processor, if this lasts. */
	TOLD(tenon_lock_acquire(guard, tenon_deadline_after(GUARD_NS)), -EOWNERDEAD);
	TOLD(tenon_condition_wait(condition, guard, deadline_ns), -ETIMEDOUT, -EOWNERDEAD);
	TOLD(tenon_lock_release(guard), NOTHING_ELSE);
	guard = tenon_lock_close(guard);
}

static void condition_call(void *object)
{
	struct tenon_condition_status status = {.size = sizeof(status)};
	struct tenon_condition *condition = object;

	TOLD(tenon_condition_status(condition, &status), NOTHING_ELSE);
	TOLD(tenon_condition_users(condition, no_more_condition, NULL), NOTHING_ELSE);
	wait_until(condition, scribbler_soon());
	TOLD(tenon_condition_signal(condition), NOTHING_ELSE);
	TOLD(tenon_condition_broadcast(condition), NOTHING_ELSE);
	wait_until(condition, 0);
}

static void condition_call_other(void *object)
{
	wait_until(object, scribbler_soon());
}

static void condition_close(void *object)
{
	tenon_condition_close(object);
}

static void condition_wait(void *object)
{
	wait_until(object, later());
}

static uint32_t condition_waiting(void *object)
{
	struct tenon_condition_status status = {.size = sizeof(status)};

	return tenon_condition_status(object, &status) == 0 ? status.waiting : 0;
}

/* Barriers. */

static int barrier_open(struct tenon_region *region, uint32_t flags, void **ret_object)
{
	struct tenon_barrier_options options = {
		.size = sizeof(options), .max_participants = PARTICIPANTS(region), .count = 3};

	return region ? tenon_barrier_open_at(region, 0, flags, &options,
					      (struct tenon_barrier **)ret_object)
		      : tenon_barrier_open(NULL, NAME, flags, &options,
					   (struct tenon_barrier **)ret_object);
}

static void barrier_remove(void)
{
	tenon_barrier_remove(NULL, NAME);
}

static void barrier_call(void *object)
{
	struct tenon_barrier_status status = {.size = sizeof(status)};
	struct tenon_barrier *barrier = object;
	uint32_t is_last;

	TOLD(tenon_barrier_status(barrier, &status), NOTHING_ELSE);
	TOLD(tenon_barrier_users(barrier, no_more_barrier, NULL), NOTHING_ELSE);
	TOLD(tenon_barrier_wait(barrier, scribbler_soon(), &is_last), -ETIMEDOUT);
	TOLD(tenon_barrier_wait(barrier, 0, NULL), -ETIMEDOUT);
}

static void barrier_call_other(void *object)
{
	TOLD(tenon_barrier_wait(object, scribbler_soon(), NULL), -ETIMEDOUT);
}

static void barrier_close(void *object)
{
	tenon_barrier_close(object);
}

static void barrier_wait(void *object)
{
	TOLD(tenon_barrier_wait(object, later(), NULL), -ETIMEDOUT);
}

static uint32_t barrier_waiting(void *object)
{
	struct tenon_barrier_status status = {.size = sizeof(status)};

	return tenon_barrier_status(object, &status) == 0 ? status.waiting : 0;
}

/* Onces. */

#define BEGUN -ETIMEDOUT, -EDEADLK, -EAGAIN, -ENOTSUP

static int once_open(struct tenon_region *region, uint32_t flags, void **ret_object)
{
	struct tenon_sync_options options = {.size = sizeof(options),
					     .max_participants = PARTICIPANTS(region)};

	return region ? tenon_once_open_at(region, 0, flags, &options,
					   (struct tenon_once **)ret_object)
		      : tenon_once_open(NULL, NAME, flags, &options,
					(struct tenon_once **)ret_object);
}

static void once_remove(void)
{
	tenon_once_remove(NULL, NAME);
}

static void once_call(void *object)
{
	struct tenon_once_status status = {.size = sizeof(status)};
	struct tenon_once *once = object;
	uint32_t what;

	TOLD(tenon_once_status(once, &status), NOTHING_ELSE);
	TOLD(tenon_once_users(once, no_more_once, NULL), NOTHING_ELSE);
	TOLD(tenon_once_begin(once, scribbler_soon(), &what), BEGUN);
	TOLD(tenon_once_failed(once), -EPERM);
	TOLD(tenon_once_begin(once, scribbler_soon(), &what), BEGUN);
}

static void once_call_other(void *object)
{
	uint32_t what;

	TOLD(tenon_once_begin(object, 0, &what), BEGUN);
}

static void once_call_last(void *object)
{
	TOLD(tenon_once_done(object), -EPERM);
}

static void once_close(void *object)
{
	tenon_once_close(object);
}

static int once_hold(void *object)
{
	uint32_t what;

	return tenon_once_begin(object, later(), &what);
}

#define KIND(noun, letter)                                                                        \
	.name = #noun, .file = #letter ".attacked", .open = noun##_open, .remove = noun##_remove, \
	.call = noun##_call, .close = noun##_close
#define WAITED(noun) .wait = noun##_wait, .waiting = noun##_waiting

int main(int argc, char **argv)
{
	static const struct scribbled kinds[] = {
		{KIND(semaphore, s), WAITED(semaphore), .hold = semaphore_hold,
		 .call_other = semaphore_call_other},
		{KIND(event, e), WAITED(event), .hold = event_hold},
		{KIND(condition, c), WAITED(condition), .call_other = condition_call_other},
		{KIND(barrier, b), WAITED(barrier), .call_other = barrier_call_other},
		{KIND(once, o), .hold = once_hold, .call_other = once_call_other,
		 .call_last = once_call_last},
	};

	return scribbler_main(argc, argv, kinds, sizeof(kinds) / sizeof(kinds[0]));
}
