/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_SYSCALL_SYNC_KINDS_H
#define TEST_SYSCALL_SYNC_KINDS_H

/* Synchronization objects, all alike; by name, or placed in a region. */

#include <stdbool.h>

#include <stdint.h>

/* The first count of a semaphore. */
#define VALUE 3

/* Whether they are in a region, which is opened with each, and closed with it. */
extern bool sync_is_placed;

/* Removes the region, if there is one. */
void sync_clean(void);

/* What a kind of object is opened with and looked at by. */
struct sync_kind {
	int (*open)(const char *name, uint32_t flags, void **ret_object);
	void *(*close)(void *object);
	int (*remove)(const char *name);
	/* What there is to be counted of it, and how many processes wait; or an error. */
	int (*look)(void *object, int *ret_count, int *ret_waiting);
};

extern const struct sync_kind sync_lock;      /* whether it is held */
extern const struct sync_kind sync_inherit;   /* the same, with priority inheritance */
extern const struct sync_kind sync_semaphore; /* its count */
extern const struct sync_kind sync_set;	      /* of three semaphores: the first one's value */
extern const struct sync_kind sync_event;     /* whether it is set */
extern const struct sync_kind sync_condition; /* nothing */
extern const struct sync_kind sync_barrier;   /* of two: how many have arrived */
extern const struct sync_kind sync_once;      /* 1 while somebody is at it, 2 when it is done */

#endif
