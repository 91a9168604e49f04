// SPDX-License-Identifier: Apache-2.0
/*
 * What memory an object takes, as the file system counts it (not as the object says): the blocks of
 * everything in the namespace folder.
 *
 * "tenon-empty" is a fresh queue with the default options, "tenon-empty-large" one that may hold a
 * million messages of 1 MiB.  "tenon-full-SIZE" and "tenon-drained-SIZE" are what a queue takes
 * beyond an empty one while it holds messages, and after they were all received.  "messages-SIZE"
 * is what these have to be compared with: the messages themselves, with one cache line each for all
 * that has to be known of them, and one step of 64 KiB by which a file may grow ahead.
 *
 * A message, and an object: what one of a million queued messages takes, with its 64 bytes, and what a fresh object of each
 * kind does, for 256 processes (a region: with a page of memory; a semaphore set: with 16 semaphores).
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <tenon/barrier.h>
#include <tenon/condition.h>
#include <tenon/event.h>
#include <tenon/lock.h>
#include <tenon/once.h>
#include <tenon/region.h>
#include <tenon/semaphore.h>
#include <tenon/semaphore_set.h>

#include "loops.h"
#include "probe.h"

#define BLOCK_BYTES 512
#define HEAD_BYTES 64u
#define STEP_BYTES 65536u

enum moment { EMPTY, FULL, DRAINED, MESSAGES };

struct held {
	enum moment moment;
	uint32_t count, bytes; /* messages, and of each */
	uint64_t capacity, max_message_bytes;
};

static double folder_bytes(struct run *run)
{
	const char *path = getenv("TENON_NAMESPACE");
	DIR *folder = opendir(path ? path : "");
	struct dirent *entry;
	double bytes = 0;

	if (!folder)
		probe_check(run, "folder", -errno);
	while (folder && (entry = readdir(folder))) {
		struct stat status;

		if (fstatat(dirfd(folder), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISREG(status.st_mode))
			bytes += (double)status.st_blocks * BLOCK_BYTES;
	}
	if (folder)
		closedir(folder);
	return bytes;
}

static int fill(struct tenon_queue *queue, char *message, const struct held *held)
{
	int result = 0;

	for (uint32_t i = 0; i < held->count && result == 0; i++)
		result = tenon_queue_send(queue, message, held->bytes, NULL);
	return result;
}

static int drain(struct tenon_queue *queue, char *message, const struct held *held)
{
	int result = 0;

	for (uint32_t i = 0; i < held->count && result == 0; i++)
		result = tenon_queue_receive(queue, message, held->bytes, NULL, NULL);
	return result;
}

static void measure(struct run *run, const struct probe *probe)
{
	const struct held *held = probe->what;
	const struct tenon_queue_options options = {.capacity = held->capacity,
						    .max_message_bytes = held->max_message_bytes};
	double before = folder_bytes(run), empty;
	char *message = calloc(1, held->max_message_bytes), name[PROBE_NAME_BYTES];
	struct tenon_queue *queue;
	int result = 0;

	if (held->moment == MESSAGES) {
		run->board->figure = (double)held->count * (held->bytes + HEAD_BYTES) + STEP_BYTES;
		free(message);
		return;
	}
	if (!message || probe_queue(run, options, name, &queue) < 0) {
		free(message);
		return;
	}
	empty = folder_bytes(run);
	if (held->moment != EMPTY)
		result = fill(queue, message, held);
	if (held->moment == DRAINED && result == 0)
		result = drain(queue, message, held);
	probe_check(run, "fill", result);
	run->board->figure = folder_bytes(run) - (held->moment == EMPTY ? before : empty);
	tenon_queue_close(queue);
	tenon_queue_remove(NULL, name);
	free(message);
}

#define QUEUED 1000000u

static void measure_message(struct run *run, const struct probe *probe)
{
	const uint32_t *order = probe->what;
	const struct tenon_queue_options options = {
		.order = *order, .capacity = QUEUED, .max_message_bytes = HEAD_BYTES};
	struct tenon_send_options send = {.size = sizeof(send)};
	char name[PROBE_NAME_BYTES], message[HEAD_BYTES] = {0};
	struct tenon_queue *queue;
	double empty;
	int result = 0;

	if (probe_queue(run, options, name, &queue) < 0)
		return;
	empty = folder_bytes(run);
	for (uint32_t i = 0; i < QUEUED && result == 0; i++) {
		send.key = *order == TENON_QUEUE_FIFO ? 0 : i % KEYS_MAX;
		result = tenon_queue_send(queue, message, sizeof(message), &send);
	}
	probe_check(run, "fill", result);
	run->board->figure = (folder_bytes(run) - empty) / QUEUED;
	tenon_queue_close(queue);
	tenon_queue_remove(NULL, name);
}

#define NAME "/memory"
#define SEMAPHORES 16u

/* One of each kind: the handle stays open until the process of the run ends. */
static int make_queue(void)
{
	struct tenon_queue *queue;

	return tenon_queue_open(NULL, NAME, TENON_CREATE, NULL, &queue);
}

static int make_lock(void)
{
	struct tenon_lock *lock;

	return tenon_lock_open(NULL, NAME, TENON_CREATE, NULL, &lock);
}

static int make_condition(void)
{
	struct tenon_condition *condition;

	return tenon_condition_open(NULL, NAME, TENON_CREATE, NULL, &condition);
}

static int make_event(void)
{
	struct tenon_event *event;

	return tenon_event_open(NULL, NAME, TENON_CREATE, NULL, &event);
}

static int make_once(void)
{
	struct tenon_once *once;

	return tenon_once_open(NULL, NAME, TENON_CREATE, NULL, &once);
}

static int make_semaphore(void)
{
	struct tenon_semaphore *semaphore;

	return tenon_semaphore_open(NULL, NAME, TENON_CREATE, NULL, &semaphore);
}

static int make_barrier(void)
{
	const struct tenon_barrier_options options = {.size = sizeof(options), .count = 2};
	struct tenon_barrier *barrier;

	return tenon_barrier_open(NULL, NAME, TENON_CREATE, &options, &barrier);
}

static int make_set(void)
{
	const struct tenon_semaphore_set_options options = {.size = sizeof(options),
							    .count = SEMAPHORES};
	struct tenon_semaphore_set *set;

	return tenon_semaphore_set_open(NULL, NAME, TENON_CREATE, &options, &set);
}

static int make_region(void)
{
	const struct tenon_region_options options = {.size = sizeof(options), .bytes = 4096};
	struct tenon_region *region;

	return tenon_region_open(NULL, NAME, TENON_CREATE, &options, &region);
}

struct kind {
	int (*make)(void);
	int (*remove)(const char *namespace_path, const char *name);
};

static void measure_object(struct run *run, const struct probe *probe)
{
	const struct kind *kind = probe->what;
	double before = folder_bytes(run);

	if (probe_check(run, "make", kind->make()) < 0)
		return;
	run->board->figure = folder_bytes(run) - before;
	probe_check(run, "remove", kind->remove(NULL, NAME));
}

#define MESSAGE(name, title, order)                                         \
	{                                                                   \
		name, title, UNIT_BYTES, measure_message, &(const uint32_t) \
		{                                                           \
			order                                               \
		}                                                           \
	}
#define OBJECT(name, title, make, remove)                                     \
	{                                                                     \
		name, title, UNIT_BYTES, measure_object, &(const struct kind) \
		{                                                             \
			make, remove                                          \
		}                                                             \
	}

#define HELD(moment, count, bytes)                                         \
	&(const struct held)                                               \
	{                                                                  \
		moment, count, bytes, count > 1024 ? count : 1024, (bytes) \
	}
#define PROBES(size, title, count, bytes)                                                      \
	{"messages-" size, "allowed: the messages, " title, UNIT_BYTES, measure,               \
	 HELD(MESSAGES, count, bytes)},                                                        \
		{"tenon-full-" size, "Tenon queue, holding " title, UNIT_BYTES, measure,       \
		 HELD(FULL, count, bytes)},                                                    \
	{                                                                                      \
		"tenon-drained-" size, "Tenon queue, having held " title, UNIT_BYTES, measure, \
			HELD(DRAINED, count, bytes)                                            \
	}

const struct probe probes_memory[] = {
	{"tenon-empty", "Tenon queue, fresh, default options", UNIT_BYTES, measure,
	 &(const struct held){EMPTY, 0, 0, TENON_QUEUE_DEFAULT_CAPACITY,
			      TENON_QUEUE_DEFAULT_MESSAGE_BYTES}},
	{"tenon-empty-large", "Tenon queue, fresh, for a million messages of 1 MiB", UNIT_BYTES,
	 measure, &(const struct held){EMPTY, 0, 0, 1u << 20, 1u << 20}},
	PROBES("64", "4096 messages of 64 B", 4096, 64),
	PROBES("8k", "256 messages of 8 KiB", 256, 8192),
	PROBES("1m", "4 messages of 1 MiB", 4, 1u << 20),
	MESSAGE("message-fifo", "FIFO", TENON_QUEUE_FIFO),
	MESSAGE("message-priority", "priority", TENON_QUEUE_PRIORITY),
	MESSAGE("message-typed", "typed", TENON_QUEUE_TYPED),
	OBJECT("object-queue", "queue", make_queue, tenon_queue_remove),
	OBJECT("object-lock", "lock", make_lock, tenon_lock_remove),
	OBJECT("object-semaphore", "semaphore", make_semaphore, tenon_semaphore_remove),
	OBJECT("object-event", "event", make_event, tenon_event_remove),
	OBJECT("object-condition", "condition", make_condition, tenon_condition_remove),
	OBJECT("object-barrier", "barrier", make_barrier, tenon_barrier_remove),
	OBJECT("object-once", "once", make_once, tenon_once_remove),
	OBJECT("object-semaphore-set", "semaphore set", make_set, tenon_semaphore_set_remove),
	OBJECT("object-region", "region", make_region, tenon_region_remove),
	{.name = NULL},
};
