/* SPDX-License-Identifier: Apache-2.0 */

/* Waitsets and random kills: moments.h. */

#include "moments.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stddef.h>

#include <tenon/event.h>
#include <tenon/lock.h>
#include <tenon/queue.h>
#include <tenon/semaphore.h>
#include <tenon/waitset.h>

static const char *const names[] = {"/set", "/other"};

enum thing { SEMAPHORE, EVENT, OTHER_SEMAPHORE, OTHER_EVENT, QUEUE, LOCK, THINGS };

/* Half of the workers wait for one half of the things, and give the other: so each time somebody has to be woken. */
#define HALVES 2u

/* word: who has what there is one of; deaths when it was last given anew. */
enum { HAS, FED };

struct world {
	struct tenon_semaphore *semaphore[HALVES];
	struct tenon_event *event[HALVES];
	struct tenon_queue *queue;
	struct tenon_lock *lock;
	struct tenon_waitset *set;
	int fd; /* the set's, where it is polled; else -1 */
};

static struct world own;

static bool open_world(struct world *world, uint32_t flags)
{
	struct tenon_sync_options general = {.size = sizeof(general), .max_participants = 32};
	struct tenon_semaphore_options semaphore = {.size = sizeof(semaphore),
						    .max_participants = 32};
	struct tenon_queue_options queue = {.size = sizeof(queue),
					    .order = TENON_QUEUE_FIFO,
					    .capacity = 4,
					    .max_message_bytes = 8,
					    .mode = 0600,
					    .max_participants = 32};
	bool right = true;

	*world = (struct world){.fd = -1};
	for (uint32_t half = 0; half < HALVES; half++)
		right = right &&
			tenon_semaphore_open(NULL, names[half], flags, &semaphore,
					     &world->semaphore[half]) == 0 &&
			tenon_event_open(NULL, names[half], flags, &general, &world->event[half]) ==
				0;
	return right && tenon_queue_open(NULL, names[0], flags, &queue, &world->queue) == 0 &&
	       tenon_lock_open(NULL, names[0], flags, &general, &world->lock) == 0;
}

static void clear(void)
{
	for (uint32_t half = 0; half < HALVES; half++) {
		own.semaphore[half] = tenon_semaphore_close(own.semaphore[half]);
		own.event[half] = tenon_event_close(own.event[half]);
		tenon_semaphore_remove(NULL, names[half]);
		tenon_event_remove(NULL, names[half]);
	}
	own.queue = tenon_queue_close(own.queue);
	own.lock = tenon_lock_close(own.lock);
	tenon_queue_remove(NULL, names[0]);
	tenon_lock_remove(NULL, names[0]);
}

/* A part of the workers ask for the set's descriptor, so that threads of theirs wait. */
static int make_set(struct world *world, uint32_t flags, uint32_t index)
{
	uint32_t half = index % HALVES;
	int result = tenon_waitset_create(flags, &world->set);

	if (result == 0)
		result = tenon_waitset_add_semaphore(world->set, world->semaphore[half], 1, 0,
						     SEMAPHORE, NULL);
	if (result == 0)
		result = tenon_waitset_add_event(world->set, world->event[half], EVENT, NULL);
	if (result == 0 && flags & TENON_WAITSET_ALL)
		result = tenon_waitset_add_lock(world->set, world->lock, LOCK, NULL);
	else if (result == 0 && half == 1)
		result = tenon_waitset_add_queue(world->set, world->queue, TENON_READABLE, QUEUE,
						 NULL);
	return result == 0 && index % 3 == 2 ? tenon_waitset_fd(world->set, &world->fd) : result;
}

static int wait_in(struct world *world, struct tenon_waitset_event *events, uint32_t capacity,
		   uint32_t *ret_count)
{
	int64_t deadline_ns = moments_deadline();
	struct pollfd entry = {.fd = world->fd, .events = POLLIN};
	int result;

	if (world->fd < 0)
		return tenon_waitset_wait(world->set, deadline_ns, events, capacity, ret_count);
	do {
		if (poll(&entry, 1, (int)(MOMENTS_PATIENCE_NS / 1000000)) != 1)
			return -ETIMEDOUT;
		result = tenon_waitset_wait(world->set, 0, events, capacity, ret_count);
	} while (result == -ETIMEDOUT && !moments_is_late(deadline_ns));
	return result;
}

static uint32_t value_of(uint32_t half)
{
	uint32_t value = 0;

	if (tenon_semaphore_value(own.semaphore[half], &value) != 0)
		moments_wrong("value", 0);
	return value;
}

static struct tenon_event_status event_status(uint32_t half)
{
	struct tenon_event_status status = {.size = sizeof(status)};

	if (tenon_event_status(own.event[half], &status) != 0)
		moments_wrong("status", 0);
	return status;
}

static struct tenon_queue_status queue_status(void)
{
	struct tenon_queue_status status = {.size = sizeof(status)};

	if (tenon_queue_status(own.queue, &status) != 0)
		moments_wrong("status", 0);
	return status;
}

static bool prove_figures(void)
{
	struct tenon_lock_status lock = {.size = sizeof(lock)};

	for (uint32_t half = 0; half < HALVES; half++) {
		struct tenon_semaphore_status semaphore = {.size = sizeof(semaphore)};
		struct tenon_event_status event = event_status(half);

		if (tenon_semaphore_status(own.semaphore[half], &semaphore) != 0 ||
		    semaphore.participants != 1 || semaphore.waiting != 0 || semaphore.damaged)
			return moments_wrong("the dead are left at a semaphore", semaphore.waiting);
		if (event.participants != 1 || event.waiting != 0 || event.damaged)
			return moments_wrong("the dead are left at an event", event.waiting);
	}
	if (tenon_lock_status(own.lock, &lock) != 0 || lock.participants != 1 ||
	    lock.waiting != 0 || lock.owner_pid != 0 || lock.damaged)
		return moments_wrong("the dead are left at the lock", lock.owner_pid);
	/* A queue counts the dead until somebody looks for them. */
	if (tenon_queue_recover(own.queue, NULL) != 0 || queue_status().participants != 1)
		return moments_wrong("the dead are left at the queue", queue_status().participants);
	return true;
}

/* It went down with a dead one; one death takes one. */
static bool has_died(void)
{
	uint64_t deaths = atomic_load(&moments->deaths);

	return atomic_exchange(&moments->word[FED], deaths) != deaths ||
	       moments_wrong("it is gone, and nobody died", 0);
}

/*
 * Any: one thing wanders between semaphores, events and a queue.  Whoever gets it has it alone, and puts it somewhere
 * in the other half.
 */
static int put(const struct world *world, enum thing where)
{
	struct tenon_send_options options = {.size = sizeof(options), .flags = TENON_NONBLOCK};

	switch (where) {
	case SEMAPHORE:
	case OTHER_SEMAPHORE:
		return tenon_semaphore_release(world->semaphore[where / 2], 1, 0, NULL);
	case EVENT:
	case OTHER_EVENT:
		return tenon_event_set(world->event[where / 2]);
	default:
		return tenon_queue_send(world->queue, "thing", 5, &options);
	}
}

static bool any_set_up(void)
{
	return open_world(&own, TENON_CREATE) && put(&own, SEMAPHORE) == 0;
}

/* -EAGAIN: a message was another's. */
static int get(struct world *world)
{
	struct tenon_receive_options options = {.size = sizeof(options), .flags = TENON_NONBLOCK};
	struct tenon_waitset_event event;
	uint64_t message;
	uint32_t count;
	int result = wait_in(world, &event, 1, &count);

	if (result == 0)
		result = event.result;
	if (result == 0 && event.user == QUEUE)
		result = tenon_queue_receive(world->queue, &message, sizeof(message), &options,
					     NULL);
	return result;
}

static void any_work(uint32_t index)
{
	struct world world;
	int result = open_world(&world, 0) ? make_set(&world, 0, index) : -EBADF;

	while (result == 0) {
		result = get(&world);
		if (result == -EAGAIN) {
			result = 0;
			continue;
		}
		if (result != 0)
			break;
		moments_own(&moments->word[HAS]);
		moments_dally();
		if (!moments_disown(&moments->word[HAS], "two have got it"))
			break;
		atomic_fetch_add(&moments->progress, 1);
		result = put(&world, index % HALVES ? moments_random(2)
						    : OTHER_SEMAPHORE + moments_random(3));
	}
	moments_wrong("the set", result);
}

/* How many there are. */
static uint64_t count_things(void)
{
	return value_of(0) + value_of(1) + event_status(0).is_set + event_status(1).is_set +
	       queue_status().messages;
}

static bool any_feed(void)
{
	if (count_things() != 0)
		return moments_wrong("it is there, and all sleep: in the queue",
				     (int64_t)queue_status().messages);
	return has_died() && (put(&own, moments_random(LOCK)) == 0 || moments_wrong("put", 0));
}

static bool any_prove(void)
{
	return (count_things() <= 1 || moments_wrong("there are", (int64_t)count_things())) &&
	       prove_figures();
}

const struct moments_kind moments_any = {.name = "any",
					 .workers = 6,
					 .set_up = any_set_up,
					 .work = any_work,
					 .feed = any_feed,
					 .prove = any_prove,
					 .clear = clear};

/*
 * All: a semaphore and an event of each half, and a lock for both.  There is a unit and a set event in one half, and
 * whoever gets both, and the lock, lets go of the lock and gives them to the other half.
 */
static int give_pair(const struct world *world, uint32_t half)
{
	int result = tenon_semaphore_release(world->semaphore[half], 1, 0, NULL);

	return result == 0 ? tenon_event_set(world->event[half]) : result;
}

static bool all_set_up(void)
{
	return open_world(&own, TENON_CREATE) && give_pair(&own, 0) == 0;
}

static int take_all(struct world *world)
{
	struct tenon_waitset_event events[THINGS];
	uint32_t count = 0;
	int result = wait_in(world, events, THINGS, &count);

	for (uint32_t i = 0; result == 0 && i < count; i++)
		result = events[i].result == -EOWNERDEAD ? tenon_lock_repaired(world->lock)
							 : events[i].result;
	return result == 0 && count != 3 ? -ERANGE : result;
}

static void all_work(uint32_t index)
{
	struct world world;
	int result = open_world(&world, 0) ? make_set(&world, TENON_WAITSET_ALL, index) : -EBADF;

	while (result == 0) {
		result = take_all(&world);
		if (result != 0)
			break;
		moments_own(&moments->word[HAS]);
		moments_dally();
		if (!moments_disown(&moments->word[HAS], "two have all"))
			break;
		atomic_fetch_add(&moments->progress, 1);
		result = tenon_lock_release(world.lock);
		if (result == 0)
			result = give_pair(&world, (index + 1) % HALVES);
	}
	moments_wrong("the set", result);
}

/* The dead one may have had one of the two. */
static bool all_feed(void)
{
	for (uint32_t half = 0; half < HALVES; half++) {
		if (value_of(half) > 1)
			return moments_wrong("units", value_of(half));
		if (value_of(half) != 0 && event_status(half).is_set)
			return moments_wrong("all are there, and all sleep: half", half);
	}
	if (!has_died())
		return false;
	for (uint32_t half = 0; half < HALVES; half++) {
		tenon_event_reset(own.event[half]);
		if (tenon_semaphore_try(own.semaphore[half], 1, 0) == -EBADMSG)
			return moments_wrong("damaged", half);
	}
	return give_pair(&own, moments_random(HALVES)) == 0 || moments_wrong("give", 0);
}

static bool all_prove(void)
{
	int result = tenon_lock_acquire(own.lock, moments_deadline());

	if (result == -EOWNERDEAD)
		result = tenon_lock_repaired(own.lock);
	if (result == 0)
		result = tenon_lock_release(own.lock);
	if (result != 0)
		return moments_wrong("the lock", result);
	if (value_of(0) + value_of(1) > 1)
		return moments_wrong("units", value_of(0) + value_of(1));
	return prove_figures();
}

const struct moments_kind moments_all = {.name = "all",
					 .workers = 6,
					 .set_up = all_set_up,
					 .work = all_work,
					 .feed = all_feed,
					 .prove = all_prove,
					 .clear = clear};
