/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The lock, killed at the instructions of its operations: points.h.  Survivors are told by -EOWNERDEAD if the victim may
 * have died with it, and only then.  Half of the scenarios are of a lock with priority inheritance.
 */

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <unistd.h>

#include <tenon/lock.h>

#include "placed.h"
#include "points.h"
#include "step.h"

#define NAME "/victim"
/* Of a case's number: a lock with priority inheritance. */
#define INHERIT 0x100u

enum operation {
	OP_ACQUIRE,	  /* for the first time: the entry is made */
	OP_ACQUIRE_AGAIN, /* the entry is in the list */
	OP_ACQUIRE_DEAD,  /* and the last owner died */
	OP_ACQUIRE_ASLEEP,
	OP_TRY,
	OP_RECURSIVE,
	OP_RELEASE,
	OP_REPAIRED,
	OP_LOST,
	OP_SHARE_DEAD, /* the last owner died */
	OP_DRAIN,      /* this process shares it */
	/* Those in which the victim does not hold it: */
	OP_SHARE,
	OP_SHARE_AGAIN,
	OP_SHARE_ASLEEP, /* this process holds it */
	OP_END_SHARE,
	OP_CLOSE_SHARED,
	OP_OPEN,
	OP_CREATE,
	OP_CLOSE,
	OP_STATUS,
	/* And with it: */
	OP_CLOSE_HELD,
};

static struct tenon_lock *own; /* this process's */
static struct tenon_lock *victims;

static enum operation operation_of(const struct points_case *one)
{
	return one->number & ~INHERIT;
}

static struct tenon_lock *open_placed(uint32_t flags, struct tenon_sync_options *options)
{
	struct tenon_region *region = placed_open(flags);
	struct tenon_lock *lock;

	options->max_participants = 0;
	if (!region || tenon_lock_open_at(region, PLACED_BYTES, flags, options, &lock) != 0) {
		tenon_region_close(region);
		return NULL;
	}
	placed_note(lock, region);
	return lock;
}

static struct tenon_lock *open_lock(const struct points_case *one, uint32_t flags)
{
	struct tenon_sync_options options = {.size = sizeof(options), .max_participants = 16};
	struct tenon_lock *lock;

	if (operation_of(one) == OP_RECURSIVE)
		options.flags |= TENON_LOCK_RECURSIVE;
	if (one->number & INHERIT)
		options.flags |= TENON_LOCK_INHERIT;
	if (points_are_placed())
		return open_placed(flags, &options);
	return tenon_lock_open(NULL, NAME, flags, &options, &lock) == 0 ? lock : NULL;
}

static struct tenon_lock *close_lock(struct tenon_lock *lock)
{
	struct tenon_region *region = placed_forget(lock);

	tenon_lock_close(lock);
	tenon_region_close(region);
	return NULL;
}

/* Whether there are locks with priority inheritance. */
static const char *obstacle(const struct points_case *one)
{
	struct tenon_lock *lock = one->number & INHERIT ? open_lock(one, TENON_CREATE) : NULL;
	int result = lock ? tenon_lock_acquire(lock, points_deadline()) : 0;

	close_lock(lock);
	tenon_lock_remove(NULL, NAME);
	placed_remove();
	return result == -ENOTSUP ? "the kernel has no FUTEX_LOCK_PI2" : NULL;
}

static int acquire_it(const struct points_case *one)
{
	struct tenon_lock *lock = open_lock(one, 0);
	int result = lock ? tenon_lock_acquire(lock, points_deadline()) : -EBADF;

	return result == -EOWNERDEAD ? 0 : result;
}

static int hold_before(void)
{
	int result = tenon_lock_acquire(victims, points_deadline());

	return result == 0 || result == -EOWNERDEAD ? 0 : result;
}

static int prepare(const struct points_case *one)
{
	if (operation_of(one) == OP_OPEN || operation_of(one) == OP_CREATE)
		return 0;
	victims = open_lock(one, 0);
	if (!victims)
		return -1;
	switch (operation_of(one)) {
	case OP_ACQUIRE_AGAIN:
	case OP_ACQUIRE_DEAD:
		return hold_before() == 0 ? tenon_lock_release(victims) : -1;
	case OP_RECURSIVE:
	case OP_RELEASE:
	case OP_LOST:
	case OP_REPAIRED:
	case OP_CLOSE_HELD:
		return hold_before();
	case OP_END_SHARE:
	case OP_CLOSE_SHARED:
		return tenon_lock_acquire_shared(victims, points_deadline());
	case OP_SHARE_AGAIN:
		return tenon_lock_try_shared(victims) == 0 ? tenon_lock_release_shared(victims)
							   : -1;
	default:
		return 0;
	}
}

static void operate(const struct points_case *one)
{
	struct tenon_lock_status status = {.size = sizeof(status)};

	switch (operation_of(one)) {
	case OP_TRY:
		(void)!tenon_lock_try(victims);
		break;
	case OP_RELEASE:
		tenon_lock_release(victims);
		break;
	case OP_REPAIRED:
		tenon_lock_repaired(victims);
		break;
	case OP_LOST:
		tenon_lock_lost(victims);
		break;
	case OP_OPEN:
	case OP_CREATE:
		victims = open_lock(one, TENON_CREATE);
		break;
	case OP_SHARE:
	case OP_SHARE_AGAIN:
	case OP_SHARE_ASLEEP:
	case OP_SHARE_DEAD:
		(void)!tenon_lock_acquire_shared(victims, points_deadline());
		break;
	case OP_END_SHARE:
		tenon_lock_release_shared(victims);
		break;
	case OP_CLOSE:
	case OP_CLOSE_HELD:
	case OP_CLOSE_SHARED:
		victims = close_lock(victims);
		break;
	case OP_STATUS:
		tenon_lock_status(victims, &status);
		break;
	case OP_RECURSIVE:
		(void)!tenon_lock_acquire(victims, points_deadline());
		tenon_lock_release(victims);
		break;
	default:
		(void)!tenon_lock_acquire(victims, points_deadline());
	}
}

/* Whether this process keeps the victim, and the sleeper, waiting. */
static bool is_kept(const struct points_case *one)
{
	return operation_of(one) == OP_ACQUIRE_ASLEEP || operation_of(one) == OP_SHARE_ASLEEP ||
	       operation_of(one) == OP_DRAIN;
}

/* What the victim, or the sleeper, waits for. */
static int let_go(const struct points_case *one)
{
	return operation_of(one) == OP_DRAIN ? tenon_lock_release_shared(own)
					     : tenon_lock_release(own);
}

/* Whether the victim holds it at the end, or may on the way. */
static bool dies_with_it(const struct points_case *one)
{
	return operation_of(one) < OP_SHARE || operation_of(one) > OP_STATUS;
}

/* An answer that is right for who comes next. */
static bool is_right(const struct points_case *one, int result)
{
	return result == 0 || (result == -EOWNERDEAD && dies_with_it(one)) ||
	       (result == -ENOTRECOVERABLE && operation_of(one) == OP_LOST);
}

static int sleep_for_it(const struct points_case *one)
{
	struct tenon_lock *lock = open_lock(one, 0);
	int result = lock ? tenon_lock_acquire(lock, points_deadline()) : -EBADF;

	if (result == -EOWNERDEAD)
		(void)!tenon_lock_repaired(lock);
	if (result == 0 || result == -EOWNERDEAD)
		tenon_lock_release(lock);
	return result;
}

/* Nobody holds it but this process in one case, which lets go then. */
static bool is_due(const struct points_case *one, bool finished)
{
	(void)finished;
	return !is_kept(one);
}

/* Whether somebody is told of a death.  `first`: what the first of the survivors got; `answer`: the sleeper. */
static bool prove_told(const struct points_case *one, bool finished, int first, int answer)
{
	bool told = first == -EOWNERDEAD || answer == -EOWNERDEAD;

	switch (operation_of(one)) {
	case OP_RELEASE:
		return !(finished && told) || points_wrong("told of who had let go", first);
	case OP_LOST:
		return !finished || first == -ENOTRECOVERABLE ||
		       points_wrong("given up, and had", first);
	case OP_REPAIRED:
	case OP_CLOSE_HELD:
		return told || points_wrong("nobody is told of a death", first);
	default:
		return !finished || told || !dies_with_it(one) ||
		       points_wrong("nobody is told of the victim's death", first);
	}
}

static bool prove_one(const struct points_case *one, struct tenon_lock *lock, int *ret_result)
{
	int64_t before_ns = step_now_ns(), took_ns;
	int result = tenon_lock_acquire(lock, points_deadline());

	*ret_result = result;
	took_ns = step_now_ns() - before_ns;
	if (!is_right(one, result))
		return points_wrong("a survivor's answer", result);
	if (points_is_slow(took_ns))
		return points_slow("a survivor waited: ns", took_ns);
	if (result == -ENOTRECOVERABLE)
		return true;
	if (result == -EOWNERDEAD && tenon_lock_repaired(lock) != 0)
		return points_wrong("repaired", 0);
	return tenon_lock_release(lock) == 0 || points_wrong("release", 0);
}

static bool prove(const struct points_case *one, bool finished, int answer)
{
	struct tenon_lock_status status = {.size = sizeof(status)};
	struct tenon_lock *fresh;
	int first = 0, again;
	bool right;

	/* It may have been let go of already. */
	if (is_kept(one))
		let_go(one);
	right = prove_one(one, own, &first) && prove_told(one, finished, first, answer);
	fresh = open_lock(one, TENON_CREATE);
	if (!fresh)
		return points_wrong("cannot be opened", 0);
	right = right && prove_one(one, fresh, &again) && prove_one(one, own, &again);
	if (tenon_lock_status(own, &status) != 0 || status.owner_pid != 0 || status.waiting != 0 ||
	    status.participants != 2 || status.damaged || status.shared != 0 ||
	    status.state == TENON_LOCK_OWNER_DIED)
		right = points_wrong("something is left", status.owner_pid);
	fresh = close_lock(fresh);
	return right;
}

/* Something for the victim, or for the sleeper, to wait for. */
static bool set_stage(const struct points_case *one)
{
	own = open_lock(one, TENON_CREATE);
	if (!own)
		return false;
	if (operation_of(one) == OP_REPAIRED && points_die_behind(acquire_it, one) != 0)
		return false;
	if (operation_of(one) == OP_DRAIN)
		return tenon_lock_acquire_shared(own, points_deadline()) == 0;
	return !is_kept(one) || tenon_lock_acquire(own, points_deadline()) == 0;
}

static void clear_stage(const struct points_case *one)
{
	(void)one;
	own = close_lock(own);
	tenon_lock_remove(NULL, NAME);
	placed_remove();
}

/* In one scenario somebody dies with the lock when the victim is at its marker. */
static bool disturb(const struct points_case *one)
{
	return (operation_of(one) != OP_ACQUIRE_DEAD && operation_of(one) != OP_SHARE_DEAD) ||
	       points_die_behind(acquire_it, one) == 0;
}

#define CASE(text, operation, ...)                                                                 \
	{                                                                                          \
		.name = (text), .number = (operation), .obstacle = obstacle,                       \
		.set_stage = set_stage, .prepare = prepare, .disturb = disturb,                    \
		.operate = operate, .sleep = sleep_for_it, .is_right = is_right, .is_due = is_due, \
		.help = let_go, .prove = prove, .clear_stage = clear_stage, __VA_ARGS__            \
	}

int main(int argc, char **argv)
{
	static const struct points_case cases[] = {
		CASE("acquire", OP_ACQUIRE, ),
		CASE("acquire-again", OP_ACQUIRE_AGAIN, ),
		CASE("acquire-dead", OP_ACQUIRE_DEAD, ),
		CASE("acquire-asleep", OP_ACQUIRE_ASLEEP, .may_wait = true),
		CASE("try", OP_TRY, ),
		CASE("recursive", OP_RECURSIVE, ),
		CASE("release", OP_RELEASE, ),
		CASE("repaired", OP_REPAIRED, ),
		CASE("lost", OP_LOST, ),
		CASE("share", OP_SHARE, ),
		CASE("share-again", OP_SHARE_AGAIN, ),
		CASE("share-asleep", OP_SHARE_ASLEEP, .may_wait = true),
		CASE("share-dead", OP_SHARE_DEAD, ),
		CASE("end-share", OP_END_SHARE, ),
		CASE("drain", OP_DRAIN, .may_wait = true),
		CASE("close-shared", OP_CLOSE_SHARED, ),
		CASE("open", OP_OPEN, .no_sleeper = true),
		CASE("create", OP_CREATE, .no_sleeper = true),
		CASE("close", OP_CLOSE, .no_sleeper = true),
		CASE("close-held", OP_CLOSE_HELD, ),
		CASE("status", OP_STATUS, .no_sleeper = true),
		CASE("inherit/acquire", INHERIT | OP_ACQUIRE, ),
		CASE("inherit/acquire-again", INHERIT | OP_ACQUIRE_AGAIN, ),
		CASE("inherit/acquire-dead", INHERIT | OP_ACQUIRE_DEAD, ),
		CASE("inherit/acquire-asleep", INHERIT | OP_ACQUIRE_ASLEEP, .may_wait = true),
		CASE("inherit/try", INHERIT | OP_TRY, ),
		CASE("inherit/recursive", INHERIT | OP_RECURSIVE, ),
		CASE("inherit/release", INHERIT | OP_RELEASE, ),
		CASE("inherit/repaired", INHERIT | OP_REPAIRED, ),
		CASE("inherit/lost", INHERIT | OP_LOST, ),
		CASE("inherit/close-held", INHERIT | OP_CLOSE_HELD, ),
		CASE("inherit/status", INHERIT | OP_STATUS, .no_sleeper = true),
	};

	return points_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
