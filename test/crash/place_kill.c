/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Placing objects in a region, and what becomes of what is placed there, killed at the instructions: points.h.  Afterwards an
 * object is there or is not, whole; its neighbours are as they were; and what the dead held comes back, in all
 * that is placed.  What the objects themselves do there is looked at by lock_kill and sync_kill --placed.
 */

#include <errno.h>
#include <string.h>

#include <tenon/barrier.h>
#include <tenon/condition.h>
#include <tenon/event.h>
#include <tenon/lock.h>
#include <tenon/once.h>
#include <tenon/semaphore.h>
#include <tenon/semaphore_set.h>

#include "placed.h"
#include "points.h"
#include "step.h"

#define PAGE UINT64_C(4096)
#define UNITS 2u /* of the semaphore */
/* The header, participants, stakes, the control page and the table, each as far as they are used. */
#define SET_BYTES (UINT64_C(1) << 20) /* enough for a set */
#define MEMORY_MOST (PLACED_MOST * PLACED_BYTES + 9 * PAGE)

enum operation {
	/* Of the kind that the number of the case says as well: */
	PLACE,
	OPEN,
	/* Of an event: */
	CLEAR,
	/* With what somebody held who died: */
	ATTACH,
	ATTACH_GUARDED,
	BURY,
	/* With what the victim holds: */
	CLOSE_HELD,
	WALK,
};

#define KIND_SHIFT 8

/* Places. */
enum { SUBJECT, HELD, COUNTED, SHARED, BEGUN };

/* What one process has open. */
struct world {
	struct tenon_region *region;
	struct tenon_lock *held, *shared;
	struct tenon_semaphore *counted;
	struct tenon_once *begun;
};

static struct world own, victims;

static enum operation operation_of(const struct points_case *one)
{
	return one->number & ((1u << KIND_SHIFT) - 1);
}

static uint32_t kind_of(const struct points_case *one)
{
	return one->number >> KIND_SHIFT;
}

static uint64_t place(uint32_t number)
{
	return number * PLACED_BYTES;
}

static bool has_company(const struct points_case *one)
{
	return operation_of(one) >= ATTACH;
}

/* An object of this kind at the place of the subject, whose handle is not asked for by its type. */
static int open_subject(struct tenon_region *region, uint32_t kind, uint32_t flags,
			void **ret_object)
{
	struct tenon_barrier_options barrier = {.size = sizeof(barrier), .count = 1};
	struct tenon_semaphore_options semaphore = {.size = sizeof(semaphore), .value = 1};
	struct tenon_semaphore_set_options set = {.size = sizeof(set), .count = 2, .value = 1};
	struct tenon_sync_options event = {.size = sizeof(event), .flags = TENON_EVENT_IS_SET};
	uint64_t at = place(SUBJECT);

	switch (kind) {
	case TENON_KIND_LOCK:
		return tenon_lock_open_at(region, at, flags, NULL, (void *)ret_object);
	case TENON_KIND_SEMAPHORE:
		return tenon_semaphore_open_at(region, at, flags, &semaphore, (void *)ret_object);
	case TENON_KIND_SEMAPHORE_SET:
		return tenon_semaphore_set_open_at(region, at, flags, &set, (void *)ret_object);
	case TENON_KIND_EVENT:
		return tenon_event_open_at(region, at, flags, &event, (void *)ret_object);
	case TENON_KIND_CONDITION:
		return tenon_condition_open_at(region, at, flags, NULL, (void *)ret_object);
	case TENON_KIND_BARRIER:
		return tenon_barrier_open_at(region, at, flags, &barrier, (void *)ret_object);
	default:
		return tenon_once_open_at(region, at, flags, NULL, (void *)ret_object);
	}
}

/* Uses it and closes it; what it does at once when it has just been made, and leaves it so. */
static int use_subject(uint32_t kind, void *object)
{
	static const struct tenon_semaphore_operation take[] = {{0, -1, 0}, {1, -1, 0}};
	static const struct tenon_semaphore_operation give[] = {{0, 1, 0}, {1, 1, 0}};
	uint32_t what;
	int result;

	switch (kind) {
	case TENON_KIND_LOCK:
		result = tenon_lock_try(object);
		if (result == 0)
			result = tenon_lock_release(object);
		tenon_lock_close(object);
		return result;
	case TENON_KIND_SEMAPHORE:
		result = tenon_semaphore_try(object, 1, 0);
		if (result == 0)
			result = tenon_semaphore_try(object, 1, 0) == -EAGAIN
					 ? tenon_semaphore_release(object, 1, 0, NULL)
					 : -ERANGE;
		tenon_semaphore_close(object);
		return result;
	case TENON_KIND_SEMAPHORE_SET:
		result = tenon_semaphore_set_operate(object, take, 2, 0);
		if (result == 0)
			result = tenon_semaphore_set_operate(object, give, 2, 0);
		tenon_semaphore_set_close(object);
		return result;
	case TENON_KIND_EVENT:
		result = tenon_event_wait(object, 0);
		if (result == 0)
			result = tenon_event_wait(object, 0) == -ETIMEDOUT ? tenon_event_set(object)
									   : -ERANGE;
		tenon_event_close(object);
		return result;
	case TENON_KIND_CONDITION:
		result = tenon_condition_broadcast(object);
		tenon_condition_close(object);
		return result;
	case TENON_KIND_BARRIER:
		result = tenon_barrier_wait(object, 0, NULL);
		tenon_barrier_close(object);
		return result;
	default:
		result = tenon_once_begin(object, 0, &what);
		if (result == 0)
			result = what == TENON_ONCE_FIRST ? tenon_once_failed(object) : -ERANGE;
		tenon_once_close(object);
		return result;
	}
}

static bool open_company(struct world *world, uint32_t flags)
{
	struct tenon_semaphore_options semaphore = {.size = sizeof(semaphore), .value = UNITS};
	struct tenon_region *region = world->region;

	return tenon_lock_open_at(region, place(HELD), flags, NULL, &world->held) == 0 &&
	       tenon_lock_open_at(region, place(SHARED), flags, NULL, &world->shared) == 0 &&
	       tenon_semaphore_open_at(region, place(COUNTED), flags, &semaphore,
				       &world->counted) == 0 &&
	       tenon_once_open_at(region, place(BEGUN), flags, NULL, &world->begun) == 0;
}

static void close_company(struct world *world)
{
	world->held = tenon_lock_close(world->held);
	world->shared = tenon_lock_close(world->shared);
	world->counted = tenon_semaphore_close(world->counted);
	world->begun = tenon_once_close(world->begun);
}

static int hold(struct world *world)
{
	uint32_t what;
	int result;

	world->region = placed_open(0);
	if (!world->region || !open_company(world, 0))
		return -EBADF;
	result = tenon_lock_try(world->held);
	if (result == 0)
		result = tenon_lock_try_shared(world->shared);
	if (result == 0)
		result = tenon_semaphore_try(world->counted, UNITS, TENON_SEMAPHORE_UNDO);
	if (result == 0)
		result = tenon_once_begin(world->begun, 0, &what);
	return result;
}

static int hold_and_die(const struct points_case *one)
{
	struct world world = {.region = NULL};

	(void)one;
	return hold(&world);
}

static int prepare(const struct points_case *one)
{
	switch (operation_of(one)) {
	case ATTACH:
	case ATTACH_GUARDED:
		return 0;
	case CLOSE_HELD:
		return hold(&victims);
	default:
		victims.region = placed_open(0);
		if (!victims.region)
			return -1;
		return operation_of(one) != BURY || open_company(&victims, 0) ? 0 : -1;
	}
}

static int visit_nothing(uint32_t kind, uint64_t offset, void *context)
{
	(void)kind;
	(void)offset;
	(void)context;
	return 0;
}

static void operate(const struct points_case *one)
{
	uint32_t value;
	void *object;

	switch (operation_of(one)) {
	case PLACE:
		(void)!open_subject(victims.region, kind_of(one), TENON_CREATE, &object);
		break;
	case OPEN:
		(void)!open_subject(victims.region, kind_of(one), 0, &object);
		break;
	case CLEAR:
		tenon_region_clear(victims.region, place(SUBJECT));
		break;
	case ATTACH:
		victims.region = placed_open(0);
		break;
	case ATTACH_GUARDED:
		victims.region = placed_open(TENON_REGION_GUARD);
		break;
	case BURY:
		tenon_semaphore_value(victims.counted, &value);
		break;
	case WALK:
		tenon_region_placed(victims.region, visit_nothing, NULL);
		break;
	default:
		close_company(&victims);
		victims.region = tenon_region_close(victims.region);
	}
}

/* Beside the victim: does the same, or wants what somebody held. */
static int be_rival(const struct points_case *one)
{
	struct world world = {.region = placed_open(0)};
	void *object = NULL;
	int result;

	if (!world.region)
		return -EBADF;
	switch (operation_of(one)) {
	case PLACE:
	case OPEN:
		result = open_subject(world.region, kind_of(one), TENON_CREATE, &object);
		return result == 0 ? use_subject(kind_of(one), object) : result;
	case CLEAR:
		result = tenon_region_clear(world.region, place(SUBJECT));
		return result == -ENOENT ? 0 : result;
	default:
		if (!open_company(&world, 0))
			return -EBADF;
		result = tenon_lock_acquire(world.shared, points_deadline());
		if (result == 0)
			result = tenon_lock_release(world.shared);
		if (result == 0)
			result = tenon_semaphore_acquire(world.counted, UNITS, TENON_SEMAPHORE_UNDO,
							 points_deadline());
		return result;
	}
}

static bool is_right(const struct points_case *one, int answer)
{
	(void)one;
	return answer == 0;
}

struct found {
	uint32_t kinds, objects;
	bool subject;
};

static int note_place(uint32_t kind, uint64_t offset, void *context)
{
	struct found *found = context;

	found->objects++;
	found->kinds |= 1u << kind;
	found->subject |= offset == place(SUBJECT);
	return offset % PLACED_BYTES != 0;
}

static bool find_places(struct found *found)
{
	*found = (struct found){0};
	return tenon_region_placed(own.region, note_place, found) == 0 ||
	       points_wrong("places", found->objects);
}

/* Placed by the victim or not; then anything can be placed there. */
static bool prove_subject(const struct points_case *one, bool finished, int answer)
{
	uint32_t kind = kind_of(one);
	struct found found;
	void *object = NULL;
	int result;

	if (!find_places(&found))
		return false;
	if (found.subject != (found.objects == 1) || found.kinds & ~(1u << kind))
		return points_wrong("what is placed: kinds", found.kinds);
	if (operation_of(one) == CLEAR ? found.subject && (finished || answer == 0)
				       : !found.subject && (finished || answer == 0))
		return points_wrong("the place of one that was placed, or cleared", found.subject);
	for (uint32_t round = 0; round < 2; round++) {
		result = open_subject(own.region, kind, TENON_CREATE, &object);
		if (result == 0)
			result = use_subject(kind, object);
		if (result != 0)
			return points_wrong("a survivor cannot use what is placed", result);
	}
	if (tenon_region_clear(own.region, place(SUBJECT)) != 0)
		return points_wrong("a survivor cannot clear the place", 0);
	kind = kind == TENON_KIND_LOCK ? TENON_KIND_EVENT : TENON_KIND_LOCK;
	result = open_subject(own.region, kind, TENON_CREATE | TENON_EXCLUSIVE, &object);
	if (result == 0)
		result = use_subject(kind, object);
	return result == 0 || points_wrong("a survivor cannot place another kind", result);
}

/* What the dead held is back. */
static bool prove_company(const struct points_case *one, struct world *world, bool first)
{
	bool was_held = operation_of(one) != WALK;
	uint32_t what = TENON_ONCE_DONE, value = 0;
	int result = tenon_lock_acquire(world->held, points_deadline());

	if (result != (first && was_held ? -EOWNERDEAD : 0))
		return points_wrong("the lock that was held", result);
	if (result != 0 && tenon_lock_repaired(world->held) != 0)
		return points_wrong("repaired", 0);
	if (tenon_lock_release(world->held) != 0)
		return points_wrong("release", 0);
	result = tenon_lock_acquire(world->shared, points_deadline());
	if (result != 0 || tenon_lock_release(world->shared) != 0)
		return points_wrong("the lock that was shared", result);
	if (tenon_semaphore_value(world->counted, &value) != 0 || value != UNITS)
		return points_wrong("units are left", value);
	result = tenon_once_begin(world->begun, points_deadline(), &what);
	if (result != 0 || (first && what != (was_held ? TENON_ONCE_AGAIN : TENON_ONCE_FIRST)))
		return points_wrong("the once that was begun", what);
	return tenon_once_failed(world->begun) == 0 || points_wrong("once", 0);
}

static bool prove_figures(const struct points_case *one)
{
	struct tenon_region_status status = {.size = sizeof(status)};

	if (tenon_region_status(own.region, &status) != 0 || status.damaged ||
	    status.participants != 1 || status.writers != 1)
		return points_wrong("somebody is left", status.participants);
	return status.memory_bytes <= (kind_of(one) == TENON_KIND_SEMAPHORE_SET
					       ? MEMORY_MOST + SET_BYTES
					       : MEMORY_MOST) ||
	       points_wrong("memory is left", (int64_t)status.memory_bytes);
}

static bool prove(const struct points_case *one, bool finished, int answer)
{
	struct world fresh = {.region = NULL};
	int64_t before_ns = step_now_ns(), took_ns;
	bool right;

	if (has_company(one))
		right = prove_company(one, &own, true);
	else
		right = prove_subject(one, finished, answer);
	fresh.region = placed_open(TENON_CREATE);
	if (right && has_company(one))
		right = open_company(&fresh, 0) && prove_company(one, &fresh, false) &&
			prove_company(one, &own, false);
	took_ns = step_now_ns() - before_ns;
	close_company(&fresh);
	fresh.region = tenon_region_close(fresh.region);
	if (right && points_is_slow(took_ns))
		right = points_slow("a survivor waited: ns", took_ns);
	return right && prove_figures(one);
}

static bool set_stage(const struct points_case *one)
{
	enum operation operation = operation_of(one);
	void *address, *object;
	uint64_t bytes;

	own = victims = (struct world){.region = NULL};
	own.region = placed_open(TENON_CREATE);
	/* A set is larger than all that else is placed there. */
	if (own.region && kind_of(one) == TENON_KIND_SEMAPHORE_SET &&
	    tenon_region_grow(own.region, SET_BYTES, points_deadline()) != 0)
		return false;
	if (!own.region || tenon_region_map(own.region, TENON_REGION_WRITE, &address, &bytes) != 0)
		return false;
	/* To be seen where something is not filled in. */
	memset(address, 9, bytes);
	if (has_company(one))
		return open_company(&own, TENON_CREATE);
	return operation == PLACE ||
	       (open_subject(own.region, kind_of(one), TENON_CREATE, &object) == 0 &&
		use_subject(kind_of(one), object) == 0);
}

static bool disturb(const struct points_case *one)
{
	enum operation operation = operation_of(one);

	return (operation != ATTACH && operation != ATTACH_GUARDED && operation != BURY) ||
	       points_die_behind(hold_and_die, one) == 0;
}

static void clear_stage(const struct points_case *one)
{
	(void)one;
	close_company(&own);
	own.region = tenon_region_close(own.region);
	placed_remove();
}

#define CASE(text, operation, kind, ...)                                                       \
	{                                                                                      \
		.name = (text), .number = (operation) | (uint32_t)(kind) << KIND_SHIFT,        \
		.set_stage = set_stage, .prepare = prepare, .disturb = disturb,                \
		.operate = operate, .is_rival = true, .sleep = be_rival, .is_right = is_right, \
		.prove = prove, .clear_stage = clear_stage, __VA_ARGS__                        \
	}

int main(int argc, char **argv)
{
	static const struct points_case cases[] = {
		CASE("place-lock", PLACE, TENON_KIND_LOCK, ),
		CASE("place-semaphore", PLACE, TENON_KIND_SEMAPHORE, ),
		CASE("place-event", PLACE, TENON_KIND_EVENT, ),
		CASE("place-condition", PLACE, TENON_KIND_CONDITION, ),
		CASE("place-barrier", PLACE, TENON_KIND_BARRIER, ),
		CASE("place-set", PLACE, TENON_KIND_SEMAPHORE_SET, .is_long = true),
		CASE("place-once", PLACE, TENON_KIND_ONCE, ),
		CASE("open-lock", OPEN, TENON_KIND_LOCK, ),
		CASE("open-semaphore", OPEN, TENON_KIND_SEMAPHORE, .no_sleeper = true),
		CASE("open-barrier", OPEN, TENON_KIND_BARRIER, .no_sleeper = true),
		CASE("open-set", OPEN, TENON_KIND_SEMAPHORE_SET, .no_sleeper = true),
		CASE("clear", CLEAR, TENON_KIND_EVENT, ),
		CASE("attach", ATTACH, 0, ),
		CASE("attach-guarded", ATTACH_GUARDED, 0, .no_sleeper = true),
		CASE("bury", BURY, 0, ),
		CASE("close-held", CLOSE_HELD, 0, ),
		CASE("walk", WALK, 0, .no_sleeper = true),
	};

	return points_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
