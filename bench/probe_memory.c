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
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

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
	{.name = NULL},
};
