/* SPDX-License-Identifier: Apache-2.0 */

#include "sync_kinds.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include <tenon/barrier.h>
#include <tenon/condition.h>
#include <tenon/event.h>
#include <tenon/lock.h>
#include <tenon/once.h>
#include <tenon/region.h>
#include <tenon/semaphore.h>
#include <tenon/semaphore_set.h>

#define REGION "/region"
#define PARTICIPANTS 4u
#define STEP (UINT64_C(1) << 20) /* more than any of them takes */
#define HANDLES_MOST 8u

bool sync_is_placed;

/* The regions of those that are open. */
static struct {
	void *object;
	struct tenon_region *region;
} handles[HANDLES_MOST];

static uint64_t place_of(const char *name)
{
	return strcmp(name, "/failing") == 0 ? 0 : STEP;
}

static int open_region(struct tenon_region **ret_region)
{
	struct tenon_region_options options = {
		.size = sizeof(options), .max_participants = PARTICIPANTS, .bytes = 2 * STEP};

	return tenon_region_open(NULL, REGION, TENON_CREATE, &options, ret_region);
}

typedef int open_in(struct tenon_region *region, const char *name, uint32_t flags,
		    void **ret_object);

static int open_with(open_in *open, const char *name, uint32_t flags, void **ret_object)
{
	struct tenon_region *region;
	uint32_t i = 0;
	int result;

	if (!sync_is_placed)
		return open(NULL, name, flags, ret_object);
	while (i < HANDLES_MOST && handles[i].object)
		i++;
	if (i == HANDLES_MOST)
		return -E2BIG;
	result = open_region(&region);
	if (result != 0)
		return result;
	result = open(region, name, flags, ret_object);
	if (result != 0) {
		region = tenon_region_close(region);
		return result;
	}
	handles[i].object = *ret_object;
	handles[i].region = region;
	return 0;
}

/* Behind its object. */
static void *close_region(const void *object)
{
	for (uint32_t i = 0; object && i < HANDLES_MOST; i++) {
		if (handles[i].object != object)
			continue;
		handles[i].object = NULL;
		handles[i].region = tenon_region_close(handles[i].region);
	}
	return NULL;
}

static int clear(const char *name)
{
	struct tenon_region *region;
	int result = open_region(&region);

	if (result != 0)
		return result;
	result = tenon_region_clear(region, place_of(name));
	region = tenon_region_close(region);
	return result;
}

void sync_clean(void)
{
	tenon_region_remove(NULL, REGION);
}

#define IN_REGION(noun)                                                                  \
	static int noun##_open(const char *name, uint32_t flags, void **ret_object)      \
	{                                                                                \
		return open_with(noun##_open_in, name, flags, ret_object);               \
	}                                                                                \
	static void *noun##_close(void *object)                                          \
	{                                                                                \
		tenon_##noun##_close(object);                                            \
		return close_region(object);                                             \
	}                                                                                \
	static int noun##_remove(const char *name)                                       \
	{                                                                                \
		return sync_is_placed ? clear(name) : tenon_##noun##_remove(NULL, name); \
	}

static int open_lock(uint32_t kind_flags, struct tenon_region *region, const char *name,
		     uint32_t flags, void **ret_object)
{
	struct tenon_sync_options options = {.size = sizeof(options), .flags = kind_flags};

	return region ? tenon_lock_open_at(region, place_of(name), flags, &options,
					   (struct tenon_lock **)ret_object)
		      : tenon_lock_open(NULL, name, flags, &options,
					(struct tenon_lock **)ret_object);
}

static int lock_open_in(struct tenon_region *region, const char *name, uint32_t flags,
			void **ret_object)
{
	return open_lock(0, region, name, flags, ret_object);
}

static int inherit_open_in(struct tenon_region *region, const char *name, uint32_t flags,
			   void **ret_object)
{
	return open_lock(TENON_LOCK_INHERIT, region, name, flags, ret_object);
}

IN_REGION(lock)

static int inherit_open(const char *name, uint32_t flags, void **ret_object)
{
	return open_with(inherit_open_in, name, flags, ret_object);
}

static int lock_look(void *object, int *ret_count, int *ret_waiting)
{
	struct tenon_lock_status status = {.size = sizeof(status)};
	int result = tenon_lock_status(object, &status);

	*ret_count = status.owner_pid != 0;
	*ret_waiting = (int)status.waiting;
	return result;
}

const struct sync_kind sync_lock = {lock_open, lock_close, lock_remove, lock_look};
const struct sync_kind sync_inherit = {inherit_open, lock_close, lock_remove, lock_look};

static int semaphore_open_in(struct tenon_region *region, const char *name, uint32_t flags,
			     void **ret_object)
{
	struct tenon_semaphore_options options = {
		.size = sizeof(options), .value = VALUE, .maximum = 5};

	return region ? tenon_semaphore_open_at(region, place_of(name), flags, &options,
						(struct tenon_semaphore **)ret_object)
		      : tenon_semaphore_open(NULL, name, flags, &options,
					     (struct tenon_semaphore **)ret_object);
}

IN_REGION(semaphore)

static int semaphore_look(void *object, int *ret_count, int *ret_waiting)
{
	struct tenon_semaphore_status status = {.size = sizeof(status)};
	int result = tenon_semaphore_status(object, &status);

	*ret_count = (int)status.value;
	*ret_waiting = (int)status.waiting;
	return result;
}

const struct sync_kind sync_semaphore = {semaphore_open, semaphore_close, semaphore_remove,
					 semaphore_look};

static int semaphore_set_open_in(struct tenon_region *region, const char *name, uint32_t flags,
				 void **ret_object)
{
	struct tenon_semaphore_set_options options = {
		.size = sizeof(options), .count = 3, .value = VALUE, .maximum = 5};

	return region ? tenon_semaphore_set_open_at(region, place_of(name), flags, &options,
						    (struct tenon_semaphore_set **)ret_object)
		      : tenon_semaphore_set_open(NULL, name, flags, &options,
						 (struct tenon_semaphore_set **)ret_object);
}

IN_REGION(semaphore_set)

static int semaphore_set_look(void *object, int *ret_count, int *ret_waiting)
{
	struct tenon_semaphore_set_member member = {0};
	uint32_t value = 0;
	int result = tenon_semaphore_set_get(object, 0, &value);

	if (result == 0)
		result = tenon_semaphore_set_read(object, 0, &member);
	*ret_count = (int)value;
	*ret_waiting = (int)(member.waiting + member.waiting_for_zero);
	return result;
}

const struct sync_kind sync_set = {semaphore_set_open, semaphore_set_close, semaphore_set_remove,
				   semaphore_set_look};

static int event_open_in(struct tenon_region *region, const char *name, uint32_t flags,
			 void **ret_object)
{
	return region ? tenon_event_open_at(region, place_of(name), flags, NULL,
					    (struct tenon_event **)ret_object)
		      : tenon_event_open(NULL, name, flags, NULL,
					 (struct tenon_event **)ret_object);
}

IN_REGION(event)

static int event_look(void *object, int *ret_count, int *ret_waiting)
{
	struct tenon_event_status status = {.size = sizeof(status)};
	int result = tenon_event_status(object, &status);

	*ret_count = (int)status.is_set;
	*ret_waiting = (int)status.waiting;
	return result;
}

const struct sync_kind sync_event = {event_open, event_close, event_remove, event_look};

static int condition_open_in(struct tenon_region *region, const char *name, uint32_t flags,
			     void **ret_object)
{
	return region ? tenon_condition_open_at(region, place_of(name), flags, NULL,
						(struct tenon_condition **)ret_object)
		      : tenon_condition_open(NULL, name, flags, NULL,
					     (struct tenon_condition **)ret_object);
}

IN_REGION(condition)

static int condition_look(void *object, int *ret_count, int *ret_waiting)
{
	struct tenon_condition_status status = {.size = sizeof(status)};
	int result = tenon_condition_status(object, &status);

	*ret_count = 0;
	*ret_waiting = (int)status.waiting;
	return result;
}

const struct sync_kind sync_condition = {condition_open, condition_close, condition_remove,
					 condition_look};

static int barrier_open_in(struct tenon_region *region, const char *name, uint32_t flags,
			   void **ret_object)
{
	struct tenon_barrier_options options = {.size = sizeof(options), .count = 2};

	return region ? tenon_barrier_open_at(region, place_of(name), flags, &options,
					      (struct tenon_barrier **)ret_object)
		      : tenon_barrier_open(NULL, name, flags, &options,
					   (struct tenon_barrier **)ret_object);
}

IN_REGION(barrier)

static int barrier_look(void *object, int *ret_count, int *ret_waiting)
{
	struct tenon_barrier_status status = {.size = sizeof(status)};
	int result = tenon_barrier_status(object, &status);

	*ret_count = (int)status.arrived;
	*ret_waiting = (int)status.waiting;
	return result;
}

const struct sync_kind sync_barrier = {barrier_open, barrier_close, barrier_remove, barrier_look};

static int once_open_in(struct tenon_region *region, const char *name, uint32_t flags,
			void **ret_object)
{
	return region ? tenon_once_open_at(region, place_of(name), flags, NULL,
					   (struct tenon_once **)ret_object)
		      : tenon_once_open(NULL, name, flags, NULL, (struct tenon_once **)ret_object);
}

IN_REGION(once)

static int once_look(void *object, int *ret_count, int *ret_waiting)
{
	struct tenon_once_status status = {.size = sizeof(status)};
	int result = tenon_once_status(object, &status);

	*ret_count = status.is_done ? 2 : status.owner_pid != 0;
	*ret_waiting = (int)status.waiting;
	return result;
}

const struct sync_kind sync_once = {once_open, once_close, once_remove, once_look};
