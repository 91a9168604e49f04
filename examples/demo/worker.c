/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The worker.  It may be killed at any instruction:
 *
 *	killed after		what happens to the path
 *	the take began		it is still queued, or delivered again
 *	the take		delivered again
 *	the result was sent	delivered again: a second result, which the collector drops
 *	done			nothing: it is dealt with
 */

#include "demo.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <tenon/queue.h>

struct worker {
	struct slot *slot;
	struct board *board;
	struct tenon_queue *paths, *results;
	struct checksum *checksum;
	struct {
		struct result result;
		char path[PATH_BYTES_MAX + 1];
	} message;
};

/* Notes what comes next.  If the supervisor wants this worker dead in it, stops here, and the
 * supervisor lets it run a random number of instructions more before the SIGKILL. */
static void enter(struct worker *worker, enum phase phase)
{
	struct slot *slot = worker->slot;

	if (__atomic_load_n(&slot->aim, __ATOMIC_ACQUIRE) == (uint32_t)phase) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0) {
			raise(SIGSTOP);
		} else {
			__atomic_store_n(&slot->aim, (uint32_t)PHASE_NONE, __ATOMIC_RELEASE);
			board_write(&worker->board->untraceable, 1);
		}
	}
	__atomic_store_n(&slot->phase, (uint32_t)phase, __ATOMIC_RELEASE);
}

static int attach(struct worker *worker, const struct demo *demo)
{
	int error;

	worker->checksum = checksum_new();
	if (!worker->checksum)
		return -ENOMEM;
	enter(worker, PHASE_ATTACH);
	error = tenon_queue_open(demo->names, PATHS_QUEUE, 0, NULL, &worker->paths);
	if (error)
		return error;
	return tenon_queue_open(demo->names, RESULTS_QUEUE, 0, NULL, &worker->results);
}

/* 1: there was work; 0: the message that says that there is no more. */
static int work(struct worker *worker)
{
	struct tenon_lease lease;
	struct result *result = &worker->message.result;
	uint64_t bytes;
	int error;

	enter(worker, PHASE_TAKE);
	error = tenon_queue_take(worker->paths, NULL, &lease);
	if (error)
		return error;
	bytes = lease.message.bytes;
	if (bytes > PATH_BYTES_MAX)
		return -EBADMSG;
	__atomic_store_n(&worker->slot->deliveries, lease.message.deliveries, __ATOMIC_RELEASE);
	if (bytes) {
		enter(worker, PHASE_CHECKSUM);
		memcpy(worker->message.path, lease.data, bytes);
		worker->message.path[bytes] = 0;
		*result = (struct result){.sequence = lease.message.sequence};
		result->error = checksum_file(worker->checksum, worker->message.path,
					      &worker->board->bytes, result->digest);
		enter(worker, PHASE_SEND);
		error = tenon_queue_send(worker->results, &worker->message, sizeof(*result) + bytes,
					 NULL);
		if (error)
			return error;
		enter(worker, PHASE_BETWEEN);
	}
	enter(worker, PHASE_DONE);
	error = tenon_queue_done(worker->paths, &lease);
	__atomic_store_n(&worker->slot->deliveries, 0, __ATOMIC_RELEASE);
	return error ? error : bytes > 0;
}

static const char *const phase_calls[PHASE_COUNT] = {
	[PHASE_NONE] = "starting",
	[PHASE_ATTACH] = "tenon_queue_open",
	[PHASE_TAKE] = "tenon_queue_take from " PATHS_QUEUE,
	[PHASE_CHECKSUM] = "checksumming",
	[PHASE_SEND] = "tenon_queue_send to " RESULTS_QUEUE,
	[PHASE_BETWEEN] = "after tenon_queue_send",
	[PHASE_DONE] = "tenon_queue_done on " PATHS_QUEUE,
};

int worker_main(const struct demo *demo, uint32_t index)
{
	struct worker *worker = calloc(1, sizeof(*worker));
	char text[128];
	int error;

	if (!worker) {
		complain_error("worker", ENOMEM);
		return 1;
	}
	worker->board = demo->board;
	worker->slot = &demo->board->slots[index];
	error = attach(worker, demo);
	if (!error) {
		do
			error = work(worker);
		while (error > 0 || error == -EINTR);
	}
	if (error) {
		snprintf(text, sizeof(text), "worker %u: %s", index + 1,
			 phase_calls[worker->slot->phase % PHASE_COUNT]);
		complain_error(text, -error);
	}
	tenon_queue_close(worker->paths);
	tenon_queue_close(worker->results);
	checksum_free(worker->checksum);
	free(worker);
	return error ? 1 : 0;
}
