/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A region, what is placed in it, and random kills: moments.h.
 *
 * Workers attach, map, grow and detach, take units of a placed semaphore with undo, count up under a placed lock, and
 * under it place and clear objects.  Who is attached is told exactly behind each death; a page that was written is
 * as it was, and a new one is zero; and in the end all units are back.
 */

#include "moments.h"

#include <errno.h>
#include <stddef.h>

#include <tenon/event.h>
#include <tenon/lock.h>
#include <tenon/region.h>
#include <tenon/semaphore.h>

#define NAME "/region"
#define PAGE UINT64_C(4096)
#define PARTICIPANTS 32u
#define PLACE ((uint64_t)TENON_PLACE_BYTES(PARTICIPANTS))
#define UNITS 3u
#define WORKERS 6u
#define PAGES_MOST 256u

/* Places; pages behind them. */
enum { UNITS_AT, LOCK_AT, EVENT_AT, PLACES };

/* word: two counts that are the same, but in the midst of counting; who has the lock.  A slot's state: it is attached. */
enum { FIRST, SECOND, HAS_IT };

struct world {
	struct tenon_region *region;
	struct tenon_semaphore *units;
	struct tenon_lock *lock;
};

static struct world own;

static int open_world(struct world *world, uint32_t flags)
{
	struct tenon_region_options options = {.size = sizeof(options),
					       .max_participants = PARTICIPANTS,
					       .bytes = PLACES * PLACE,
					       .max_bytes = PLACES * PLACE + PAGES_MOST * PAGE};
	struct tenon_semaphore_options units = {.size = sizeof(units), .value = UNITS};
	int result;

	*world = (struct world){.region = NULL};
	result = tenon_region_open(NULL, NAME, flags, &options, &world->region);
	if (result == 0)
		result = tenon_semaphore_open_at(world->region, UNITS_AT * PLACE, flags, &units,
						 &world->units);
	if (result == 0)
		result = tenon_lock_open_at(world->region, LOCK_AT * PLACE, flags, NULL,
					    &world->lock);
	return result;
}

static void close_world(struct world *world)
{
	world->units = tenon_semaphore_close(world->units);
	world->lock = tenon_lock_close(world->lock);
	world->region = tenon_region_close(world->region);
}

static bool region_set_up(void)
{
	return open_world(&own, TENON_CREATE) == 0;
}

static int take_units(const struct world *world)
{
	uint32_t count = 1 + moments_random(UNITS);
	int result = tenon_semaphore_acquire(world->units, count, TENON_SEMAPHORE_UNDO,
					     moments_deadline());

	moments_dally();
	return result == 0
		       ? tenon_semaphore_release(world->units, count, TENON_SEMAPHORE_UNDO, NULL)
		       : result;
}

/* Under the lock nobody else does; who died amid it may have left either. */
static int place_or_clear(const struct world *world)
{
	uint64_t at = EVENT_AT * PLACE;
	struct tenon_event *event;
	int result = tenon_event_open_at(world->region, at, TENON_CREATE, NULL, &event);

	if (result != 0)
		return result;
	result = tenon_event_set(event);
	if (result == 0)
		result = tenon_event_wait(event, 0);
	tenon_event_close(event);
	if (result != 0 || moments_random(2))
		return result;
	return tenon_region_clear(world->region, at);
}

static int count_up(const struct world *world)
{
	int result = tenon_lock_acquire(world->lock, moments_deadline());
	uint64_t first;

	if (result != 0 && result != -EOWNERDEAD)
		return result;
	moments_own(&moments->word[HAS_IT]);
	first = atomic_load(&moments->word[FIRST]);
	if (result == 0 && first != atomic_load(&moments->word[SECOND]))
		return -EILSEQ;
	if (result == -EOWNERDEAD && tenon_lock_repaired(world->lock) != 0)
		return -EINVAL;
	atomic_store(&moments->word[FIRST], first + 1);
	result = place_or_clear(world);
	atomic_store(&moments->word[SECOND], first + 1);
	if (!moments_disown(&moments->word[HAS_IT], "two have the lock"))
		return -EBUSY;
	return result == 0 ? tenon_lock_release(world->lock) : result;
}

/* Each page says its number, in a word that whoever is first writes. */
static int grow(const struct world *world)
{
	uint64_t bytes, pages;
	_Atomic uint64_t *word;
	void *address;
	int result = tenon_region_bytes(world->region, &bytes);

	pages = bytes / PAGE;
	if (result == 0 && moments_random(4) == 0 && pages < PAGES_MOST)
		result = tenon_region_grow(world->region, (pages + 1) * PAGE, moments_deadline());
	if (result == 0)
		result = tenon_region_map(world->region, TENON_REGION_WRITE, &address, &bytes);
	if (result != 0)
		return result;
	for (pages = PLACES * PLACE / PAGE; (pages + 1) * PAGE <= bytes; pages++) {
		uint64_t found = 0;

		word = (_Atomic uint64_t *)((char *)address + pages * PAGE);
		if (!atomic_compare_exchange_strong(word, &found, pages) && found != pages)
			return -EILSEQ;
	}
	return 0;
}

static void region_work(uint32_t index)
{
	struct moments_slot *slot = &moments->slot[index];
	struct world world;
	int result = 0;

	while (result == 0) {
		result = open_world(&world, 0);
		if (result != 0)
			break;
		atomic_store(&slot->state, 1);
		for (uint32_t i = moments_random(8); result == 0 && i > 0; i--) {
			result = grow(&world);
			if (result == 0)
				result = take_units(&world);
			if (result == 0)
				result = count_up(&world);
			atomic_fetch_add(&moments->progress, 1);
		}
		atomic_store(&slot->state, 0);
		atomic_fetch_add(&slot->passes, 1);
		close_world(&world);
	}
	moments_wrong("the region, or what is placed there", result);
}

struct attached {
	int32_t pids[PARTICIPANTS];
	uint32_t count;
};

static int note_user(const struct tenon_region_user *user, void *context)
{
	struct attached *attached = context;

	if (attached->count < PARTICIPANTS)
		attached->pids[attached->count++] = user->pid;
	return 0;
}

static uint32_t count_pid(const struct attached *attached, int32_t pid)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < attached->count; i++)
		count += attached->pids[i] == pid;
	return count;
}

/* Who was attached before the list was made, and since, is told of once; who is not alive is not. */
static bool region_bury(uint32_t index)
{
	struct attached attached = {.count = 0};
	uint64_t passes[WORKERS];
	bool was[WORKERS];

	(void)index;
	for (uint32_t i = 0; i < WORKERS; i++) {
		passes[i] = atomic_load(&moments->slot[i].passes);
		was[i] = atomic_load(&moments->slot[i].state);
	}
	if (tenon_region_attached(own.region, note_user, &attached) != 0)
		return moments_wrong("attached", 0);
	for (uint32_t i = 0; i < WORKERS; i++) {
		struct moments_slot *slot = &moments->slot[i];
		uint32_t count = count_pid(&attached, atomic_load(&slot->pid));

		if (was[i] && atomic_load(&slot->state) &&
		    atomic_load(&slot->passes) == passes[i] && count != 1)
			return moments_wrong("times one who is attached is told of", count);
	}
	for (uint32_t i = 0; i < attached.count; i++)
		if (moments_is_dead(attached.pids[i]))
			return moments_wrong("a dead one is told of", attached.pids[i]);
	return true;
}

static int count_place(uint32_t kind, uint64_t offset, void *context)
{
	static const uint32_t kinds[] = {TENON_KIND_SEMAPHORE, TENON_KIND_LOCK, TENON_KIND_EVENT};

	++*(uint32_t *)context;
	return offset % PLACE != 0 || offset / PLACE >= PLACES || kind != kinds[offset / PLACE];
}

static bool region_prove(void)
{
	struct tenon_region_status status = {.size = sizeof(status)};
	struct attached attached = {.count = 0};
	uint32_t places = 0, value = 0;
	int result = tenon_lock_acquire(own.lock, moments_deadline());

	if (result == -EOWNERDEAD)
		result = tenon_lock_repaired(own.lock);
	if (result == 0)
		result = tenon_lock_release(own.lock);
	if (result != 0)
		return moments_wrong("the lock", result);
	if (tenon_semaphore_value(own.units, &value) != 0 || value != UNITS)
		return moments_wrong("units", value);
	if (tenon_region_placed(own.region, count_place, &places) != 0 || places < 2 || places > 3)
		return moments_wrong("what is placed there", places);
	if (tenon_region_attached(own.region, note_user, &attached) != 0 || attached.count != 1)
		return moments_wrong("the dead are attached", attached.count);
	if (tenon_region_status(own.region, &status) != 0 || status.participants != 1 ||
	    status.writers != 1 || status.damaged)
		return moments_wrong("the dead are left", status.participants);
	if (status.memory_bytes > status.bytes + 16 * PAGE)
		return moments_wrong("memory is left",
				     (int64_t)(status.memory_bytes - status.bytes));
	return grow(&own) == 0 || moments_wrong("a survivor cannot grow it", 0);
}

static void region_clear(void)
{
	close_world(&own);
	tenon_region_remove(NULL, NAME);
}

const struct moments_kind moments_region = {.name = "region",
					    .workers = WORKERS,
					    .set_up = region_set_up,
					    .work = region_work,
					    .bury = region_bury,
					    .prove = region_prove,
					    .clear = region_clear};
