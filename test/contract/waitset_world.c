/* SPDX-License-Identifier: Apache-2.0 */

#include "waitset_world.h"

#include <unistd.h>

struct world open_world(uint32_t flags)
{
	struct world world;

	EXPECT_IS(tenon_queue_open(contract_folder, "/q", flags, NULL, &world.queue), 0);
	EXPECT_IS(tenon_lock_open(contract_folder, "/l", flags, NULL, &world.lock), 0);
	EXPECT_IS(tenon_semaphore_open(contract_folder, "/s", flags, NULL, &world.semaphore), 0);
	EXPECT_IS(tenon_event_open(contract_folder, "/e", flags, NULL, &world.event), 0);
	return world;
}

struct world make_world(uint32_t flags)
{
	struct world world = open_world(TENON_CREATE);

	EXPECT_IS(tenon_waitset_create(flags, &world.set), 0);
	EXPECT_IS(pipe(world.pipe), 0);
	return world;
}

void close_world(struct world *world)
{
	world->set = tenon_waitset_close(world->set);
	world->queue = tenon_queue_close(world->queue);
	world->lock = tenon_lock_close(world->lock);
	world->semaphore = tenon_semaphore_close(world->semaphore);
	world->event = tenon_event_close(world->event);
	close(world->pipe[0]);
	close(world->pipe[1]);
}

void add_objects(struct world *world)
{
	EXPECT_IS(tenon_waitset_add_queue(world->set, world->queue, TENON_READABLE, QUEUE, NULL),
		  0);
	EXPECT_IS(tenon_waitset_add_semaphore(world->set, world->semaphore, 2, 0, SEMAPHORE, NULL),
		  0);
	EXPECT_IS(tenon_waitset_add_event(world->set, world->event, EVENT, NULL), 0);
}

int64_t wait_one(struct tenon_waitset *set, int64_t timeout_ns)
{
	struct tenon_waitset_event event = {.result = 99};
	uint32_t count = 0;
	int result = tenon_waitset_wait(set, tenon_deadline_after(timeout_ns), &event, 1, &count);

	if (result != 0)
		return result;
	EXPECT_IS(count, 1);
	EXPECT_IS(event.result, 0);
	return (int64_t)event.user;
}
