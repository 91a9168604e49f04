/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The collector gathers one result for each file of a round.  The messages of a round have
 * consecutive sequence numbers in "/paths" beginning at `base`; a number that was seen before, or
 * that belongs to an earlier round, is the result of a worker that was killed after it had sent it
 * and before it said done.  It is counted and dropped.
 *
 * At the end of the round it sorts by path and makes what `find … -print0 | sort -z` and `sha256sum
 * --zero` make.  The first round writes that to files; every later one must be the same.
 */

#include "demo.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <tenon/queue.h>

#define BATCH 64u
#define BUFFER_BYTES (BATCH * 1024u + PATH_BYTES_MAX + (uint32_t)sizeof(struct result))
#define STATUS_EVERY_NS (100 * NS_PER_MS)

struct record {
	char *path; /* NULL: not gathered yet */
	int32_t error;
	uint8_t digest[DIGEST_BYTES];
};

struct collector {
	const struct demo *demo;
	struct board *board;
	struct tenon_queue *paths, *results;
	uint64_t base, gathered;
	uint64_t files; /* of the round, as far as the producer has told; else UINT64_MAX */
	struct record *records;
	uint64_t capacity;
	uint8_t buffer[BUFFER_BYTES];
	struct tenon_message messages[BATCH];
};

static int make_room(struct collector *collector, uint64_t index)
{
	uint64_t capacity = collector->capacity ? collector->capacity : 16384;
	struct record *records;

	while (capacity <= index)
		capacity *= 2;
	if (capacity == collector->capacity)
		return 0;
	records = realloc(collector->records, capacity * sizeof(*records));
	if (!records)
		return -ENOMEM;
	memset(records + collector->capacity, 0,
	       (capacity - collector->capacity) * sizeof(*records));
	collector->records = records;
	collector->capacity = capacity;
	return 0;
}

static int gather(struct collector *collector, const uint8_t *data, uint64_t bytes)
{
	struct result result;
	struct record *record;
	uint64_t index;
	int error;

	if (bytes < sizeof(result))
		return -EBADMSG;
	memcpy(&result, data, sizeof(result));
	board_add(&collector->board->results, 1);
	if (bytes == sizeof(result)) {
		collector->files = result.sequence;
		return 0;
	}
	if (result.sequence < collector->base) {
		board_add(&collector->board->doubles, 1);
		return 0;
	}
	index = result.sequence - collector->base;
	/* The producer counts a path only after its send returned: it may be one behind. */
	if (index > board_read(&collector->board->queued) - collector->base)
		return -EBADMSG;
	error = make_room(collector, index);
	if (error)
		return error;
	record = &collector->records[index];
	if (record->path) {
		board_add(&collector->board->doubles, 1);
		return 0;
	}
	record->path = strndup((const char *)data + sizeof(result), bytes - sizeof(result));
	if (!record->path)
		return -ENOMEM;
	record->error = result.error;
	memcpy(record->digest, result.digest, DIGEST_BYTES);
	if (result.error)
		board_add(&collector->board->unreadable, 1);
	board_write(&collector->board->gathered, ++collector->gathered);
	return 0;
}

static int receive(struct collector *collector)
{
	struct tenon_receive_options options = {.size = sizeof(options)};
	const uint8_t *data = collector->buffer;
	uint32_t count, i;
	int error;

	options.deadline_ns = tenon_deadline_after(STATUS_EVERY_NS);
	error = tenon_queue_receive_batch(collector->results, collector->buffer, BUFFER_BYTES,
					  BATCH, &options, collector->messages, &count);
	if (error == -ETIMEDOUT || error == -EINTR)
		return 0;
	if (error)
		return error;
	for (i = 0; i < count; i++) {
		error = gather(collector, data, collector->messages[i].bytes);
		if (error)
			return error;
		data += collector->messages[i].bytes;
	}
	return 0;
}

/* Puts on the board what the queues say of themselves. */
static int publish(struct collector *collector)
{
	struct tenon_queue_status paths = {.size = sizeof(paths)};
	struct tenon_queue_status results = {.size = sizeof(results)};
	int error;

	error = tenon_queue_status(collector->paths, &paths);
	if (!error)
		error = tenon_queue_status(collector->results, &results);
	if (error)
		return error;
	board_write(&collector->board->redelivered, paths.redelivered + results.redelivered);
	board_write(&collector->board->repairs, paths.repairs + results.repairs);
	return 0;
}

static int run_round(struct collector *collector)
{
	int64_t now, status_ns = 0;
	int error;

	while (collector->gathered < collector->files) {
		error = receive(collector);
		now = now_ns();
		if (!error && now >= status_ns) {
			status_ns = now + STATUS_EVERY_NS;
			error = publish(collector);
		}
		if (error)
			return error;
	}
	return publish(collector);
}

static int compare_paths(const void *a, const void *b)
{
	const struct record *left = a, *right = b;

	return strcmp(left->path, right->path);
}

/* Tells the first entry of this round's result that is not as it was before. */
static void tell_change(const char *before, size_t before_bytes, const char *data, size_t bytes)
{
	size_t entry = 0, i;

	for (i = 0; i < bytes && i < before_bytes && data[i] == before[i]; i++)
		if (data[i] == 0)
			entry = i + 1;
	complain("a round gave another result than the first one, at %s (did the file change?)",
		 entry < bytes ? data + entry : "its end");
}

/* Compares with the file, or writes it. */
static int keep_or_compare(struct collector *collector, const char *name, const char *data,
			   size_t bytes, bool first)
{
	char path[128], *before;
	size_t before_bytes;
	bool same = false;
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", collector->demo->folder, name);
	file = fopen(path, first ? "we" : "re");
	if (!file)
		return -errno;
	if (first) {
		same = fwrite(data, 1, bytes, file) == bytes;
		return fclose(file) == 0 && same ? 0 : -EIO;
	}
	before = malloc(bytes + 1);
	if (before) {
		before_bytes = fread(before, 1, bytes + 1, file);
		same = before_bytes == bytes && !memcmp(before, data, bytes);
		if (!same)
			tell_change(before, before_bytes, data, bytes);
	}
	free(before);
	fclose(file);
	return same ? 0 : -ESTALE;
}

static void write_sum(FILE *file, const struct record *record)
{
	unsigned int i;

	for (i = 0; i < DIGEST_BYTES; i++)
		fprintf(file, "%02x", record->digest[i]);
	fprintf(file, "  %s%c", record->path, 0);
}

static int finish(struct collector *collector, bool first)
{
	char *list = NULL, *sums = NULL;
	size_t list_bytes, sums_bytes;
	FILE *list_file, *sums_file;
	uint64_t i;
	int error;

	for (i = 0; i < collector->gathered; i++)
		if (!collector->records[i].path)
			return -EBADMSG;
	if (collector->gathered)
		qsort(collector->records, collector->gathered, sizeof(*collector->records),
		      compare_paths);
	list_file = open_memstream(&list, &list_bytes);
	sums_file = open_memstream(&sums, &sums_bytes);
	if (!list_file || !sums_file)
		return -ENOMEM;
	for (i = 0; i < collector->gathered; i++) {
		fprintf(list_file, "%s%c", collector->records[i].path, 0);
		if (!collector->records[i].error)
			write_sum(sums_file, &collector->records[i]);
	}
	if (fclose(list_file) || fclose(sums_file))
		return -ENOMEM;
	error = keep_or_compare(collector, "tenon.list", list, list_bytes, first);
	if (!error)
		error = keep_or_compare(collector, "tenon.sums", sums, sums_bytes, first);
	free(list);
	free(sums);
	return error;
}

int collector_main(const struct demo *demo, const struct round *round)
{
	struct collector *collector = calloc(1, sizeof(*collector));
	int error;

	if (!collector) {
		complain_error("collector", ENOMEM);
		return 1;
	}
	collector->demo = demo;
	collector->board = demo->board;
	collector->base = round->base;
	collector->files = UINT64_MAX;
	error = tenon_queue_open(demo->names, PATHS_QUEUE, 0, NULL, &collector->paths);
	if (!error)
		error = tenon_queue_open(demo->names, RESULTS_QUEUE, 0, NULL, &collector->results);
	if (!error)
		error = run_round(collector);
	if (error) {
		complain_error("collector: receiving the results", -error);
		return 1;
	}
	error = finish(collector, round->first);
	if (error && error != -ESTALE)
		complain_error("collector: sorting the results", -error);
	tenon_queue_close(collector->paths);
	tenon_queue_close(collector->results);
	return error ? 1 : 0;
}
