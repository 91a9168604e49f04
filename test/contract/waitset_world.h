/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_CONTRACT_WAITSET_WORLD_H
#define TEST_CONTRACT_WAITSET_WORLD_H

/* What the tests of waitsets share. */

#include <tenon/waitset.h>

#include "contract.h"

#define LIMIT_NS (10 * SECOND_NS)

/* Of members: */
enum { QUEUE = 100, LOCK, SEMAPHORE, EVENT, PROCESS, PIPE, TIMER };

/* One object of each kind, and a set. */
struct world {
	struct tenon_queue *queue;
	struct tenon_lock *lock;
	struct tenon_semaphore *semaphore;
	struct tenon_event *event;
	struct tenon_waitset *set;
	int pipe[2];
};

struct world open_world(uint32_t flags); /* without a set */
struct world make_world(uint32_t flags); /* flags of the set */
void close_world(struct world *world);

/* The queue to be read, two of the semaphore, the event. */
void add_objects(struct world *world);

/* Waits for one, and answers what `user` is of it, or the error. */
int64_t wait_one(struct tenon_waitset *set, int64_t timeout_ns);

#endif
