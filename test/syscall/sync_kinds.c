/* SPDX-License-Identifier: Apache-2.0 */

#include "sync_kinds.h"

#include <stddef.h>

#include <tenon/barrier.h>
#include <tenon/condition.h>
#include <tenon/event.h>
#include <tenon/once.h>
#include <tenon/semaphore.h>

static int semaphore_open(const char *name, uint32_t flags, void **ret_object)
{
	struct tenon_semaphore_options options = {
		.size = sizeof(options), .value = VALUE, .maximum = 5};

	return tenon_semaphore_open(NULL, name, flags, &options,
				    (struct tenon_semaphore **)ret_object);
}

static void *semaphore_close(void *object)
{
	return tenon_semaphore_close(object);
}

static int semaphore_remove(const char *name)
{
	return tenon_semaphore_remove(NULL, name);
}

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

static int event_open(const char *name, uint32_t flags, void **ret_object)
{
	return tenon_event_open(NULL, name, flags, NULL, (struct tenon_event **)ret_object);
}

static void *event_close(void *object)
{
	return tenon_event_close(object);
}

static int event_remove(const char *name)
{
	return tenon_event_remove(NULL, name);
}

static int event_look(void *object, int *ret_count, int *ret_waiting)
{
	struct tenon_event_status status = {.size = sizeof(status)};
	int result = tenon_event_status(object, &status);

	*ret_count = (int)status.is_set;
	*ret_waiting = (int)status.waiting;
	return result;
}

const struct sync_kind sync_event = {event_open, event_close, event_remove, event_look};

static int condition_open(const char *name, uint32_t flags, void **ret_object)
{
	return tenon_condition_open(NULL, name, flags, NULL, (struct tenon_condition **)ret_object);
}

static void *condition_close(void *object)
{
	return tenon_condition_close(object);
}

static int condition_remove(const char *name)
{
	return tenon_condition_remove(NULL, name);
}

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

static int barrier_open(const char *name, uint32_t flags, void **ret_object)
{
	struct tenon_barrier_options options = {.size = sizeof(options), .count = 2};

	return tenon_barrier_open(NULL, name, flags, &options, (struct tenon_barrier **)ret_object);
}

static void *barrier_close(void *object)
{
	return tenon_barrier_close(object);
}

static int barrier_remove(const char *name)
{
	return tenon_barrier_remove(NULL, name);
}

static int barrier_look(void *object, int *ret_count, int *ret_waiting)
{
	struct tenon_barrier_status status = {.size = sizeof(status)};
	int result = tenon_barrier_status(object, &status);

	*ret_count = (int)status.arrived;
	*ret_waiting = (int)status.waiting;
	return result;
}

const struct sync_kind sync_barrier = {barrier_open, barrier_close, barrier_remove, barrier_look};

static int once_open(const char *name, uint32_t flags, void **ret_object)
{
	return tenon_once_open(NULL, name, flags, NULL, (struct tenon_once **)ret_object);
}

static void *once_close(void *object)
{
	return tenon_once_close(object);
}

static int once_remove(const char *name)
{
	return tenon_once_remove(NULL, name);
}

static int once_look(void *object, int *ret_count, int *ret_waiting)
{
	struct tenon_once_status status = {.size = sizeof(status)};
	int result = tenon_once_status(object, &status);

	*ret_count = status.is_done ? 2 : status.owner_pid != 0;
	*ret_waiting = (int)status.waiting;
	return result;
}

const struct sync_kind sync_once = {once_open, once_close, once_remove, once_look};
