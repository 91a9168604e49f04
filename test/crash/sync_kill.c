/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Semaphores, events, conditions, barriers and onces, killed at the instructions of their operations: points.h.
 * One of each lies in the namespace, or in a region; a case uses some.
 */

#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

#include <tenon/barrier.h>
#include <tenon/condition.h>
#include <tenon/event.h>
#include <tenon/lock.h>
#include <tenon/once.h>
#include <tenon/semaphore.h>

#include "placed.h"
#include "points.h"
#include "step.h"

#define NAME "/victim"
#define UNDO TENON_SEMAPHORE_UNDO

/* What one process has open. */
struct set {
	struct tenon_semaphore *semaphore;
	struct tenon_event *event;
	struct tenon_condition *condition;
	struct tenon_lock *lock;
	struct tenon_barrier *barrier;
	struct tenon_once *once;
	struct tenon_region *region;
};

static struct set own, victims;
static uint32_t given; /* to the semaphore, by this process */
/* What the lock protects, and what a once does; shared with the victim and the sleeper. */
static _Atomic uint32_t *items;

enum operation {
	ACQUIRE,
	ACQUIRE_UNDO,
	RELEASE,
	RELEASE_UNDO,
	ACQUIRE_ASLEEP,
	ACQUIRE_UNDO_ASLEEP,
	USERS,
	CLOSE_UNDO,
	OPEN,
	SET,
	SET_MANUAL,
	PULSE,
	PULSE_MANUAL,
	RESET,
	EVENT_WAIT,
	EVENT_WAIT_ASLEEP,
	SIGNAL,
	BROADCAST,
	CONDITION_WAIT_ASLEEP,
	BARRIER_LAST,
	BARRIER_ASLEEP,
	ONCE_BEGIN,
	ONCE_DONE,
	ONCE_FAILED,
	STATUS,
};

static bool is_of_event(const struct points_case *one)
{
	return one->number >= SET && one->number <= EVENT_WAIT_ASLEEP;
}

static bool is_of_condition(const struct points_case *one)
{
	return one->number >= SIGNAL && one->number <= CONDITION_WAIT_ASLEEP;
}

static bool is_of_barrier(const struct points_case *one)
{
	return one->number == BARRIER_LAST || one->number == BARRIER_ASLEEP;
}

static bool is_of_once(const struct points_case *one)
{
	return one->number >= ONCE_BEGIN && one->number <= ONCE_FAILED;
}

/* How many there are when the victim begins: one that it takes, or holds; the sleeper waits for one more than
 * there can be without help, where what the victim takes comes back. */
static uint32_t first_value(const struct points_case *one)
{
	return one->number == ACQUIRE || one->number == ACQUIRE_UNDO ||
	       one->number == RELEASE_UNDO || one->number == CLOSE_UNDO;
}

static uint32_t sleepers_count(const struct points_case *one)
{
	return 1 + (one->number == ACQUIRE || one->number == ACQUIRE_UNDO);
}

/* What there is made with. */
struct made {
	struct tenon_semaphore_options semaphore;
	struct tenon_barrier_options barrier;
	struct tenon_sync_options general, event;
};

static struct made made_of(const struct points_case *one)
{
	uint32_t participants = points_are_placed() ? 0 : 16;
	struct made made = {.semaphore = {.size = sizeof(made.semaphore),
					  .max_participants = participants,
					  .value = first_value(one)},
			    .barrier = {.size = sizeof(made.barrier),
					.max_participants = participants,
					.count = 2},
			    .general = {.size = sizeof(made.general),
					.max_participants = participants}};

	made.event = made.general;
	if (one->number == SET_MANUAL || one->number == PULSE_MANUAL)
		made.event.flags |= TENON_EVENT_MANUAL;
	if (one->number == EVENT_WAIT || one->number == RESET)
		made.event.flags |= TENON_EVENT_IS_SET;
	return made;
}

static bool open_placed(const struct points_case *one, uint32_t flags, struct set *set)
{
	struct made made = made_of(one);
	struct tenon_region *region = placed_open(flags);

	set->region = region;
	if (!region)
		return false;
	if (is_of_event(one))
		return tenon_event_open_at(region, 0, flags, &made.event, &set->event) == 0;
	if (is_of_condition(one))
		return tenon_condition_open_at(region, 0, flags, &made.general, &set->condition) ==
			       0 &&
		       tenon_lock_open_at(region, PLACED_BYTES, flags, &made.general, &set->lock) ==
			       0;
	if (is_of_barrier(one))
		return tenon_barrier_open_at(region, 0, flags, &made.barrier, &set->barrier) == 0;
	if (is_of_once(one))
		return tenon_once_open_at(region, 0, flags, &made.general, &set->once) == 0;
	return tenon_semaphore_open_at(region, 0, flags, &made.semaphore, &set->semaphore) == 0;
}

static bool open_set(const struct points_case *one, uint32_t flags, struct set *set)
{
	struct made made = made_of(one);

	if (points_are_placed())
		return open_placed(one, flags, set);
	if (is_of_event(one))
		return tenon_event_open(NULL, NAME, flags, &made.event, &set->event) == 0;
	if (is_of_condition(one))
		return tenon_condition_open(NULL, NAME, flags, &made.general, &set->condition) ==
			       0 &&
		       tenon_lock_open(NULL, NAME, flags, &made.general, &set->lock) == 0;
	if (is_of_barrier(one))
		return tenon_barrier_open(NULL, NAME, flags, &made.barrier, &set->barrier) == 0;
	if (is_of_once(one))
		return tenon_once_open(NULL, NAME, flags, &made.general, &set->once) == 0;
	return tenon_semaphore_open(NULL, NAME, flags, &made.semaphore, &set->semaphore) == 0;
}

static void close_set(struct set *set)
{
	set->semaphore = tenon_semaphore_close(set->semaphore);
	set->event = tenon_event_close(set->event);
	set->condition = tenon_condition_close(set->condition);
	set->lock = tenon_lock_close(set->lock);
	set->barrier = tenon_barrier_close(set->barrier);
	set->once = tenon_once_close(set->once);
	set->region = tenon_region_close(set->region);
}

static int acquire(const struct set *set, uint32_t count, uint32_t flags)
{
	return tenon_semaphore_acquire(set->semaphore, count, flags, points_deadline());
}

static int release(const struct set *set, uint32_t flags)
{
	return tenon_semaphore_release(set->semaphore, 1, flags, NULL);
}

/* Somebody may have died with it, who had only half of this to do. */
static int lock(const struct set *set)
{
	int result = tenon_lock_acquire(set->lock, points_deadline());

	return result == -EOWNERDEAD ? tenon_lock_repaired(set->lock) : result;
}

static int await_item(const struct set *set)
{
	int result = lock(set);

	while (result == 0 && atomic_load(items) == 0) {
		result = tenon_condition_wait(set->condition, set->lock, points_deadline());
		if (result == -EOWNERDEAD)
			result = tenon_lock_repaired(set->lock);
	}
	if (result != 0)
		return result;
	atomic_fetch_sub(items, 1);
	return tenon_lock_release(set->lock);
}

static int begin_once(const struct set *set)
{
	uint32_t what;

	return tenon_once_begin(set->once, points_deadline(), &what);
}

static int prepare(const struct points_case *one)
{
	if (one->number == OPEN)
		return 0;
	if (!open_set(one, 0, &victims))
		return -1;
	switch (one->number) {
	case RELEASE_UNDO:
	case CLOSE_UNDO:
		return acquire(&victims, 1, UNDO);
	case ONCE_DONE:
	case ONCE_FAILED:
		return begin_once(&victims);
	case CONDITION_WAIT_ASLEEP:
		return lock(&victims);
	default:
		return 0;
	}
}

static int note_nothing(const struct tenon_semaphore_user *user, void *context)
{
	(void)user;
	(void)context;
	return 0;
}

static void operate_semaphore(const struct points_case *one)
{
	struct tenon_semaphore_status status = {.size = sizeof(status)};

	switch (one->number) {
	case ACQUIRE:
	case ACQUIRE_ASLEEP:
		(void)!acquire(&victims, 1, 0);
		break;
	case ACQUIRE_UNDO:
	case ACQUIRE_UNDO_ASLEEP:
		(void)!acquire(&victims, 1, UNDO);
		break;
	case RELEASE:
		release(&victims, 0);
		break;
	case RELEASE_UNDO:
		release(&victims, UNDO);
		break;
	case USERS:
		tenon_semaphore_users(victims.semaphore, note_nothing, NULL);
		break;
	case OPEN:
		open_set(one, TENON_CREATE, &victims);
		break;
	case STATUS:
		tenon_semaphore_status(victims.semaphore, &status);
		break;
	default:
		close_set(&victims);
	}
}

static void operate(const struct points_case *one)
{
	switch (one->number) {
	case SET:
	case SET_MANUAL:
		tenon_event_set(victims.event);
		break;
	case PULSE:
	case PULSE_MANUAL:
		tenon_event_pulse(victims.event);
		break;
	case RESET:
		tenon_event_reset(victims.event);
		break;
	case EVENT_WAIT:
	case EVENT_WAIT_ASLEEP:
		(void)!tenon_event_wait(victims.event, points_deadline());
		break;
	case SIGNAL:
		atomic_store(items, 1);
		tenon_condition_signal(victims.condition);
		break;
	case BROADCAST:
		atomic_store(items, 1);
		tenon_condition_broadcast(victims.condition);
		break;
	case CONDITION_WAIT_ASLEEP:
		(void)!tenon_condition_wait(victims.condition, victims.lock, points_deadline());
		break;
	case BARRIER_LAST:
	case BARRIER_ASLEEP:
		(void)!tenon_barrier_wait(victims.barrier, points_deadline(), NULL);
		break;
	case ONCE_BEGIN:
		(void)!begin_once(&victims);
		break;
	case ONCE_DONE:
		tenon_once_done(victims.once);
		break;
	case ONCE_FAILED:
		tenon_once_failed(victims.once);
		break;
	default:
		operate_semaphore(one);
	}
}

/* In the sleeper. */
static int sleep_for_it(const struct points_case *one)
{
	struct set set = {0};
	int result;

	if (!open_set(one, 0, &set))
		return -EBADF;
	if (is_of_event(one))
		return tenon_event_wait(set.event, points_deadline());
	if (is_of_condition(one))
		return await_item(&set);
	if (is_of_barrier(one))
		return tenon_barrier_wait(set.barrier, points_deadline(), NULL);
	if (!is_of_once(one))
		return acquire(&set, sleepers_count(one), 0);
	result = begin_once(&set);
	tenon_once_failed(set.once);
	return result;
}

static bool is_right(const struct points_case *one, int answer)
{
	(void)one;
	return answer == 0;
}

static uint32_t value(void)
{
	uint32_t count = 0;

	if (tenon_semaphore_value(own.semaphore, &count) != 0)
		points_wrong("value", 0);
	return count;
}

static struct tenon_event_status event_status(void)
{
	struct tenon_event_status status = {.size = sizeof(status)};

	if (tenon_event_status(own.event, &status) != 0)
		points_wrong("status", 0);
	return status;
}

static struct tenon_barrier_status barrier_status(void)
{
	struct tenon_barrier_status status = {.size = sizeof(status)};

	if (tenon_barrier_status(own.barrier, &status) != 0)
		points_wrong("status", 0);
	return status;
}

static struct tenon_condition_status condition_status(void)
{
	struct tenon_condition_status status = {.size = sizeof(status)};

	if (tenon_condition_status(own.condition, &status) != 0)
		points_wrong("status", 0);
	return status;
}

/* Whether what the sleeper waits for is there. */
static bool is_due(const struct points_case *one, bool finished)
{
	(void)finished;
	if (is_of_event(one))
		return event_status().is_set || event_status().pulses != 0;
	/* The death of one who waits lets all look, and counts as a signal. */
	if (is_of_condition(one))
		return one->number != CONDITION_WAIT_ASLEEP && condition_status().signals != 0;
	if (is_of_barrier(one))
		return barrier_status().rounds > 0;
	if (is_of_once(one))
		return true;
	return value() >= sleepers_count(one);
}

/* Gives what the victim, and the sleeper, wait for. */
static int help(const struct points_case *one)
{
	int result;

	if (is_of_event(one))
		return tenon_event_set(own.event);
	if (is_of_barrier(one))
		return tenon_barrier_wait(own.barrier, points_deadline(), NULL);
	if (!is_of_condition(one)) {
		given = 2;
		return tenon_semaphore_release(own.semaphore, given, 0, NULL);
	}
	result = lock(&own);
	atomic_store(items, 1);
	if (result == 0)
		result = tenon_condition_broadcast(own.condition);
	return result == 0 ? tenon_lock_release(own.lock) : result;
}

/* With what was undone, or done, there are as many as there have to be. */
static bool prove_value(const struct points_case *one, int answer)
{
	int64_t base = (int64_t)first_value(one) + given, least = base, most = base;
	int64_t there = (int64_t)value() + (answer == 0 ? sleepers_count(one) : 0);

	if (one->number == ACQUIRE || one->number == ACQUIRE_ASLEEP)
		least--;
	if (one->number == RELEASE)
		most++;
	return (there >= least && there <= most) || points_wrong("the count", there);
}

/* Everything works, for this process and for who comes. */
static bool prove_use(const struct points_case *one, struct set *set)
{
	uint32_t what = 0;

	if (is_of_event(one)) {
		tenon_event_set(set->event);
		return tenon_event_wait(set->event, 0) == 0 ||
		       points_wrong("a set event keeps who comes", 0);
	}
	if (is_of_condition(one)) {
		if (lock(set) != 0)
			return points_wrong("the lock", 0);
		/* The dead one may have had a signal. */
		if (tenon_condition_wait(set->condition, set->lock, 0) != -ETIMEDOUT &&
		    tenon_condition_wait(set->condition, set->lock, 0) != -ETIMEDOUT)
			return points_wrong("somebody signals", 0);
		return tenon_lock_release(set->lock) == 0 || points_wrong("release", 0);
	}
	if (is_of_barrier(one))
		return tenon_barrier_wait(set->barrier, 0, NULL) == -ETIMEDOUT ||
		       points_wrong("a dead one has arrived", 0);
	if (is_of_once(one)) {
		int result = tenon_once_begin(set->once, points_deadline(), &what);

		if (result == 0 && what != TENON_ONCE_DONE)
			result = tenon_once_failed(set->once);
		return result == 0 || points_wrong("once", result);
	}
	return (release(set, 0) == 0 && tenon_semaphore_try(set->semaphore, 1, UNDO) == 0 &&
		release(set, UNDO) == 0 && tenon_semaphore_try(set->semaphore, 1, 0) == 0) ||
	       points_wrong("the semaphore", 0);
}

static bool prove(const struct points_case *one, bool finished, int answer)
{
	struct set fresh = {0};
	uint32_t waiting = 0, damaged = 0;
	int64_t before_ns, took_ns;
	bool right = true;

	(void)finished;
	if (!is_of_event(one) && !is_of_condition(one) && !is_of_barrier(one) && !is_of_once(one))
		right = prove_value(one, answer);
	before_ns = step_now_ns();
	right = right && open_set(one, TENON_CREATE, &fresh) && prove_use(one, &own) &&
		prove_use(one, &fresh);
	took_ns = step_now_ns() - before_ns;
	if (right && points_is_slow(took_ns))
		right = points_slow("a survivor waited: ns", took_ns);
	if (is_of_condition(one)) {
		waiting = condition_status().waiting;
		damaged = condition_status().damaged;
	} else if (is_of_event(one)) {
		waiting = event_status().waiting;
		damaged = event_status().damaged;
	} else if (is_of_barrier(one)) {
		waiting = barrier_status().waiting + barrier_status().arrived;
		damaged = barrier_status().damaged;
	}
	close_set(&fresh);
	return right && ((waiting == 0 && damaged == 0) || points_wrong("is left", waiting));
}

static bool set_stage(const struct points_case *one)
{
	if (!items)
		items = mmap(NULL, sizeof(*items), PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	atomic_store(items, 0);
	given = 0;
	return open_set(one, TENON_CREATE, &own);
}

static void clear_stage(const struct points_case *one)
{
	(void)one;
	close_set(&own);
	tenon_semaphore_remove(NULL, NAME);
	tenon_event_remove(NULL, NAME);
	tenon_condition_remove(NULL, NAME);
	tenon_lock_remove(NULL, NAME);
	tenon_barrier_remove(NULL, NAME);
	tenon_once_remove(NULL, NAME);
	placed_remove();
}

#define CASE(text, operation, ...)                                                                 \
	{                                                                                          \
		.name = (text), .number = (operation), .set_stage = set_stage, .prepare = prepare, \
		.operate = operate, .sleep = sleep_for_it, .is_right = is_right, .is_due = is_due, \
		.help = (operation) == BARRIER_ASLEEP ? NULL : help, .prove = prove,               \
		.clear_stage = clear_stage, __VA_ARGS__                                            \
	}

int main(int argc, char **argv)
{
	static const struct points_case cases[] = {
		CASE("acquire", ACQUIRE, ),
		CASE("acquire-undo", ACQUIRE_UNDO, ),
		CASE("release", RELEASE, ),
		CASE("release-undo", RELEASE_UNDO, ),
		CASE("acquire-asleep", ACQUIRE_ASLEEP, .may_wait = true),
		CASE("acquire-undo-asleep", ACQUIRE_UNDO_ASLEEP, .may_wait = true),
		CASE("users", USERS, .no_sleeper = true),
		CASE("close-undo", CLOSE_UNDO, ),
		CASE("open", OPEN, .no_sleeper = true),
		CASE("status", STATUS, .no_sleeper = true),
		CASE("set", SET, ),
		CASE("set-manual", SET_MANUAL, ),
		CASE("pulse", PULSE, ),
		CASE("pulse-manual", PULSE_MANUAL, ),
		CASE("reset", RESET, .no_sleeper = true),
		CASE("event-wait", EVENT_WAIT, .no_sleeper = true),
		CASE("event-wait-asleep", EVENT_WAIT_ASLEEP, .no_sleeper = true, .may_wait = true),
		CASE("signal", SIGNAL, ),
		CASE("broadcast", BROADCAST, ),
		CASE("condition-wait-asleep", CONDITION_WAIT_ASLEEP, .may_wait = true),
		CASE("barrier-last", BARRIER_LAST, .may_wait = true),
		CASE("barrier-asleep", BARRIER_ASLEEP, .no_sleeper = true, .may_wait = true),
		CASE("once-begin", ONCE_BEGIN, ),
		CASE("once-done", ONCE_DONE, ),
		CASE("once-failed", ONCE_FAILED, ),
	};

	return points_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
