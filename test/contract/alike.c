/* SPDX-License-Identifier: Apache-2.0 */

#include "alike.h"

#include <errno.h>

#include <tenon/barrier.h>
#include <tenon/condition.h>
#include <tenon/event.h>
#include <tenon/once.h>
#include <tenon/semaphore.h>

#include "contract.h"

#define UNDO TENON_SEMAPHORE_UNDO
#define GUARD "/guard"
#define LIMIT_NS (10 * SECOND_NS)

static int64_t limit(void)
{
	return tenon_deadline_after(LIMIT_NS);
}

static struct tenon_sync_options options_of(mode_t mode, uint32_t participants)
{
	return (struct tenon_sync_options){.size = sizeof(struct tenon_sync_options),
					   .mode = mode,
					   .max_participants = participants};
}

/* What every kind has, by its status. */
#define COMMON(noun)                                                                            \
	static void *noun##_close(void *object)                                                 \
	{                                                                                       \
		return tenon_##noun##_close(object);                                            \
	}                                                                                       \
	static int noun##_remove(const char *name)                                              \
	{                                                                                       \
		return tenon_##noun##_remove(contract_folder, name);                            \
	}                                                                                       \
	static int noun##_look(void *object, uint32_t *ret_participants, uint32_t *ret_waiting) \
	{                                                                                       \
		struct tenon_##noun##_status status = {.size = sizeof(status)};                 \
		int result = tenon_##noun##_status(object, &status);                            \
                                                                                                \
		EXPECT_IS(status.damaged, 0);                                                   \
		*ret_participants = status.participants;                                        \
		*ret_waiting = status.waiting;                                                  \
		return result;                                                                  \
	}

COMMON(semaphore)
COMMON(event)
COMMON(condition)
COMMON(barrier)
COMMON(once)

static int semaphore_open(const char *name, uint32_t flags, mode_t mode, uint32_t participants,
			  void **ret_object)
{
	struct tenon_semaphore_options options = {.size = sizeof(options),
						  .mode = mode,
						  .max_participants = participants,
						  .value = ALIKE_VALUE,
						  .maximum = ALIKE_MAXIMUM};

	return tenon_semaphore_open(contract_folder, name, flags, &options,
				    (struct tenon_semaphore **)ret_object);
}

static int semaphore_bar(void *object)
{
	return tenon_semaphore_acquire(object, 1, 0, limit());
}

static int semaphore_wait(void *object, int64_t deadline_ns)
{
	int result = tenon_semaphore_acquire(object, 1, UNDO, deadline_ns);

	return result == 0 ? tenon_semaphore_release(object, 1, UNDO, NULL) : result;
}

static int semaphore_use(void *object)
{
	return semaphore_wait(object, limit());
}

static int semaphore_wake(void *object)
{
	return tenon_semaphore_release(object, 1, 0, NULL);
}

static void semaphore_expect_sound(void *object)
{
	uint32_t value = 99;

	EXPECT_IS(tenon_semaphore_value(object, &value), 0);
	EXPECT_IS(value, ALIKE_VALUE);
}

static int event_open(const char *name, uint32_t flags, mode_t mode, uint32_t participants,
		      void **ret_object)
{
	struct tenon_sync_options options = options_of(mode, participants);

	return tenon_event_open(contract_folder, name, flags, &options,
				(struct tenon_event **)ret_object);
}

static int event_use(void *object)
{
	int result = tenon_event_set(object);

	if (result == 0)
		result = tenon_event_reset(object);
	return result;
}

static int event_wait(void *object, int64_t deadline_ns)
{
	return tenon_event_wait(object, deadline_ns);
}

static int event_wake(void *object)
{
	return tenon_event_set(object);
}

/* One who died between may have left it set. */
static void event_expect_sound(void *object)
{
	EXPECT_IS(tenon_event_reset(object), 0);
	EXPECT_IS(tenon_event_wait(object, 0), -ETIMEDOUT);
}

static int condition_open(const char *name, uint32_t flags, mode_t mode, uint32_t participants,
			  void **ret_object)
{
	struct tenon_sync_options options = options_of(mode, participants);

	return tenon_condition_open(contract_folder, name, flags, &options,
				    (struct tenon_condition **)ret_object);
}

static int condition_wait(void *object, int64_t deadline_ns)
{
	struct tenon_sync_options options = options_of(0660, 1024);
	struct tenon_lock *guard;
	int result = tenon_lock_open(contract_folder, GUARD, TENON_CREATE, &options, &guard);

	if (result != 0)
		return result;
	result = tenon_lock_acquire(guard, limit());
	if (result == 0 || result == -EOWNERDEAD) {
		result = tenon_condition_wait(object, guard, deadline_ns);
		EXPECT_IS(tenon_lock_release(guard), 0);
	}
	guard = tenon_lock_close(guard);
	return result == -EOWNERDEAD ? 0 : result;
}

pid_t alike_guard_owner(void)
{
	struct tenon_sync_options options = options_of(0660, 1024);
	struct tenon_lock_status status = {.size = sizeof(status)};
	struct tenon_lock *guard = NULL;

	EXPECT_IS(tenon_lock_open(contract_folder, GUARD, TENON_CREATE, &options, &guard), 0);
	EXPECT_IS(tenon_lock_status(guard, &status), 0);
	guard = tenon_lock_close(guard);
	return status.owner_pid;
}

static int condition_use(void *object)
{
	int result = condition_wait(object, 0);

	if (result == -ETIMEDOUT || result == 0)
		result = tenon_condition_broadcast(object);
	return result;
}

static int condition_wake(void *object)
{
	return tenon_condition_signal(object);
}

static void condition_expect_sound(void *object)
{
	EXPECT_IS(condition_use(object), 0);
}

static int barrier_open(const char *name, uint32_t flags, mode_t mode, uint32_t participants,
			void **ret_object)
{
	struct tenon_barrier_options options = {.size = sizeof(options),
						.mode = mode,
						.max_participants = participants,
						.count = 2};

	return tenon_barrier_open(contract_folder, name, flags, &options,
				  (struct tenon_barrier **)ret_object);
}

/* With whom it meets does not matter. */
static int barrier_use(void *object)
{
	int result = tenon_barrier_wait(object, 0, NULL);

	return result == -ETIMEDOUT ? 0 : result;
}

static int barrier_wait(void *object, int64_t deadline_ns)
{
	return tenon_barrier_wait(object, deadline_ns, NULL);
}

static int barrier_wake(void *object)
{
	return tenon_barrier_wait(object, limit(), NULL);
}

static void barrier_expect_sound(void *object)
{
	struct tenon_barrier_status status = {.size = sizeof(status)};

	EXPECT_IS(tenon_barrier_wait(object, 0, NULL), -ETIMEDOUT);
	EXPECT_IS(tenon_barrier_status(object, &status), 0);
	EXPECT_IS(status.arrived, 0);
}

static int once_open(const char *name, uint32_t flags, mode_t mode, uint32_t participants,
		     void **ret_object)
{
	struct tenon_sync_options options = options_of(mode, participants);

	return tenon_once_open(contract_folder, name, flags, &options,
			       (struct tenon_once **)ret_object);
}

static int once_bar(void *object)
{
	uint32_t what;

	return tenon_once_begin(object, limit(), &what);
}

static int once_use(void *object)
{
	int result = once_bar(object);

	return result == 0 ? tenon_once_failed(object) : result;
}

static int once_wait(void *object, int64_t deadline_ns)
{
	uint32_t what;
	int result = tenon_once_begin(object, deadline_ns, &what);

	if (result == 0 && what != TENON_ONCE_DONE)
		result = tenon_once_failed(object);
	return result;
}

static int once_wake(void *object)
{
	return tenon_once_failed(object);
}

static void once_expect_sound(void *object)
{
	EXPECT_IS(once_use(object), 0);
}

#define KIND(noun, itself)                                                                    \
	.name = #noun, .letter = (itself), .open = noun##_open, .close = noun##_close,        \
	.remove = noun##_remove, .use = noun##_use, .wait = noun##_wait, .wake = noun##_wake, \
	.look = noun##_look, .expect_sound = noun##_expect_sound

const struct alike alike_kinds[ALIKE_KINDS] = {
	{KIND(semaphore, 's'), .bar = semaphore_bar},
	{KIND(event, 'e')},
	{KIND(condition, 'c')},
	{KIND(barrier, 'b')},
	{KIND(once, 'o'), .bar = once_bar},
};
