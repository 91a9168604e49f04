/* SPDX-License-Identifier: Apache-2.0 */

#include "demo.h"

#include <errno.h>
#include <string.h>
#include <tenon/queue.h>

struct producer {
	struct tenon_queue *paths;
	struct board *board;
	uint64_t files;
};

static int queue_path(const char *path, size_t path_bytes, uint64_t file_bytes, void *context)
{
	struct producer *producer = context;
	int error;

	(void)file_bytes;
	error = tenon_queue_send(producer->paths, path, path_bytes, NULL);
	if (error)
		return error;
	producer->files++;
	board_add(&producer->board->queued, 1);
	return 0;
}

/* Tells the collector how many results it has to wait for. */
static int end_round(const struct demo *demo, uint64_t files)
{
	const struct result end = {.sequence = files};
	struct tenon_queue *results;
	int error;

	error = tenon_queue_open(demo->names, RESULTS_QUEUE, 0, NULL, &results);
	if (error)
		return error;
	error = tenon_queue_send(results, &end, sizeof(end), NULL);
	tenon_queue_close(results);
	return error;
}

/* Queues every path once.  The queue holds 1024; the producer waits whenever it is full. */
int producer_main(const struct demo *demo)
{
	struct producer producer = {.board = demo->board};
	int error;

	error = tenon_queue_open(demo->names, PATHS_QUEUE, 0, NULL, &producer.paths);
	if (!error)
		error = walk(demo->directories, queue_path, &producer);
	if (!error)
		error = end_round(demo, producer.files);
	if (error)
		complain_error("producer: queuing the paths", -error);
	tenon_queue_close(producer.paths);
	return error ? 1 : 0;
}
