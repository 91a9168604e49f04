/* SPDX-License-Identifier: Apache-2.0 */

/* Conditions, barriers, onces and locks with priority inheritance, and random kills: moments.h. */

#include "moments.h"

#include <errno.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <time.h>

#include <tenon/barrier.h>
#include <tenon/condition.h>
#include <tenon/lock.h>
#include <tenon/once.h>
#include <tenon/waitset.h>

#define NAME "/sync"
#define OTHER "/other"

static const struct tenon_sync_options general = {.size = sizeof(general), .max_participants = 32};

/* A lock that is all right: nobody has it, nobody waits. */
static bool prove_lock(struct tenon_lock *lock)
{
	struct tenon_lock_status status = {.size = sizeof(status)};
	int result = tenon_lock_acquire(lock, moments_deadline());

	if (result == -EOWNERDEAD)
		result = tenon_lock_repaired(lock);
	if (result == 0)
		result = tenon_lock_release(lock);
	if (result != 0 || tenon_lock_status(lock, &status) != 0)
		return moments_wrong("the lock", result);
	return (status.participants == 1 && status.waiting == 0 && status.owner_pid == 0 &&
		!status.damaged) ||
	       moments_wrong("the dead are left at the lock", status.participants);
}

/*
 * A bounded buffer of one place, between as many producers as consumers.  With one place each signal is needed: who is
 * not woken is missed by all.  word: how many were put in, and taken out; what is in it; who has the lock.
 *
 * What is changed is told before it is changed, so that who dies in between with the lock has told somebody; who is
 * told of a death tells all.
 */
enum { IN, OUT, ITEM, OWNER };

struct buffer {
	struct tenon_lock *lock;
	struct tenon_condition *not_full, *not_empty;
};

static struct buffer own;

static bool open_buffer(struct buffer *buffer, uint32_t flags)
{
	return tenon_lock_open(NULL, NAME, flags, &general, &buffer->lock) == 0 &&
	       tenon_condition_open(NULL, NAME, flags, &general, &buffer->not_full) == 0 &&
	       tenon_condition_open(NULL, OTHER, flags, &general, &buffer->not_empty) == 0;
}

static bool condition_set_up(void)
{
	return open_buffer(&own, TENON_CREATE);
}

/* The lock has been acquired. */
static int enter(const struct buffer *buffer, int result)
{
	if (result == -EOWNERDEAD) {
		tenon_condition_broadcast(buffer->not_full);
		tenon_condition_broadcast(buffer->not_empty);
		result = tenon_lock_repaired(buffer->lock);
	}
	if (result == 0)
		moments_own(&moments->word[OWNER]);
	return result;
}

static int wait_for(const struct buffer *buffer, struct tenon_condition *condition)
{
	if (!moments_disown(&moments->word[OWNER], "two have the lock"))
		return -EBUSY;
	return enter(buffer, tenon_condition_wait(condition, buffer->lock, moments_deadline()));
}

static bool is_full(void)
{
	return atomic_load(&moments->word[IN]) != atomic_load(&moments->word[OUT]);
}

static int leave(const struct buffer *buffer)
{
	if (!moments_disown(&moments->word[OWNER], "two have the lock"))
		return -EBUSY;
	atomic_fetch_add(&moments->progress, 1);
	return tenon_lock_release(buffer->lock);
}

static int move_one(const struct buffer *buffer, bool produces)
{
	int result = enter(buffer, tenon_lock_acquire(buffer->lock, moments_deadline()));

	while (result == 0 && is_full() == produces)
		result = wait_for(buffer, produces ? buffer->not_full : buffer->not_empty);
	if (result != 0)
		return result;
	if (produces) {
		atomic_store(&moments->word[ITEM], atomic_load(&moments->word[IN]) * 3);
		result = tenon_condition_signal(buffer->not_empty);
		atomic_fetch_add(&moments->word[IN], 1);
	} else {
		if (atomic_load(&moments->word[ITEM]) != atomic_load(&moments->word[OUT]) * 3)
			return -EILSEQ;
		result = tenon_condition_signal(buffer->not_full);
		atomic_fetch_add(&moments->word[OUT], 1);
	}
	return result == 0 ? leave(buffer) : result;
}

static void condition_work(uint32_t index)
{
	struct buffer buffer;
	int result = open_buffer(&buffer, 0) ? 0 : -EBADF;

	while (result == 0)
		result = move_one(&buffer, index % 2);
	moments_wrong("the buffer", result);
}

static bool condition_prove(void)
{
	struct tenon_condition *conditions[] = {own.not_full, own.not_empty};
	int64_t there = (int64_t)(atomic_load(&moments->word[IN]) -
				  atomic_load(&moments->word[OUT]));

	if (there != 0 && there != 1)
		return moments_wrong("there are in the buffer", there);
	for (uint32_t i = 0; i < 2; i++) {
		struct tenon_condition_status status = {.size = sizeof(status)};

		if (tenon_condition_status(conditions[i], &status) != 0 ||
		    status.participants != 1 || status.waiting != 0 || status.damaged)
			return moments_wrong("the dead are left at a condition", status.waiting);
	}
	return prove_lock(own.lock);
}

static void condition_clear(void)
{
	own.lock = tenon_lock_close(own.lock);
	own.not_full = tenon_condition_close(own.not_full);
	own.not_empty = tenon_condition_close(own.not_empty);
	tenon_lock_remove(NULL, NAME);
	tenon_condition_remove(NULL, NAME);
	tenon_condition_remove(NULL, OTHER);
}

const struct moments_kind moments_condition = {.name = "condition",
					       .workers = 6,
					       .needs_all = true,
					       .set_up = condition_set_up,
					       .work = condition_work,
					       .prove = condition_prove,
					       .clear = condition_clear};

/*
 * A barrier for all workers.  word: arrivals, counted before; who was told to be the last; rounds, of which the status
 * has 16 bits.  Passes are in the slots.
 */
#define BARRIER_WORKERS 4u

enum { ARRIVALS, LASTS, ROUNDS };

static struct tenon_barrier *barrier;

static struct tenon_barrier *open_barrier(uint32_t flags)
{
	struct tenon_barrier_options options = {
		.size = sizeof(options), .max_participants = 32, .count = BARRIER_WORKERS};
	struct tenon_barrier *opened;

	return tenon_barrier_open(NULL, NAME, flags, &options, &opened) == 0 ? opened : NULL;
}

static bool barrier_set_up(void)
{
	barrier = open_barrier(TENON_CREATE);
	return barrier != NULL;
}

static void barrier_work(uint32_t index)
{
	struct tenon_barrier *mine = open_barrier(0);
	int result = mine ? 0 : -EBADF;
	uint32_t is_last;

	while (result == 0) {
		atomic_fetch_add(&moments->word[ARRIVALS], 1);
		result = tenon_barrier_wait(mine, moments_deadline(), &is_last);
		if (result != 0)
			break;
		atomic_fetch_add(&moments->slot[index].passes, 1);
		atomic_fetch_add(&moments->word[LASTS], is_last);
		atomic_fetch_add(&moments->progress, 1);
	}
	moments_wrong("the barrier", result);
}

static struct tenon_barrier_status barrier_status(void)
{
	struct tenon_barrier_status status = {.size = sizeof(status)};

	if (tenon_barrier_status(barrier, &status) != 0)
		moments_wrong("status", 0);
	return status;
}

static bool barrier_bury(uint32_t index)
{
	uint64_t rounds = atomic_load(&moments->word[ROUNDS]);

	(void)index;
	rounds += (barrier_status().rounds - rounds) & 0xffff;
	atomic_store(&moments->word[ROUNDS], rounds);
	return true;
}

/* A round is of so many who arrived, and who arrived in it has passed, but for one pass that each death may have cost. */
static bool barrier_prove(void)
{
	uint64_t rounds = atomic_load(&moments->word[ROUNDS]), passes = 0;
	uint64_t deaths = atomic_load(&moments->deaths), lasts = atomic_load(&moments->word[LASTS]);
	struct tenon_barrier_status status;

	for (uint32_t i = 0; i < BARRIER_WORKERS; i++)
		passes += atomic_load(&moments->slot[i].passes);
	if (rounds * BARRIER_WORKERS > atomic_load(&moments->word[ARRIVALS]))
		return moments_wrong("fewer have arrived than for so many rounds", (int64_t)rounds);
	if (passes > rounds * BARRIER_WORKERS || passes + deaths < rounds * BARRIER_WORKERS)
		return moments_wrong("so many passed more than in all rounds",
				     (int64_t)(passes - rounds * BARRIER_WORKERS));
	if (lasts > rounds || lasts + deaths < rounds)
		return moments_wrong("so many were the last more than there are rounds",
				     (int64_t)(lasts - rounds));
	/* The dead have not arrived, for whoever comes. */
	if (tenon_barrier_wait(barrier, 0, NULL) != -ETIMEDOUT)
		return moments_wrong("the dead have arrived", 0);
	status = barrier_status();
	return (status.participants == 1 && status.waiting == 0 && status.arrived == 0 &&
		!status.damaged) ||
	       moments_wrong("the dead are left", status.arrived);
}

static void barrier_clear(void)
{
	barrier = tenon_barrier_close(barrier);
	tenon_barrier_remove(NULL, NAME);
}

const struct moments_kind moments_barrier = {.name = "barrier",
					     .workers = BARRIER_WORKERS,
					     .needs_all = true,
					     .set_up = barrier_set_up,
					     .work = barrier_work,
					     .bury = barrier_bury,
					     .prove = barrier_prove,
					     .clear = barrier_clear};

/*
 * One once after the other, which nobody goes on from before it is done.  slot: at which one its worker is.  word: of
 * the n-th once in a ring of them: who is at it; n + 1 since somebody began it, and did not say that it failed; the same
 * since it was done.
 */
#define ONCES 64u
#define AHEAD 8u /* nobody is further ahead of anybody */
#define ONCE_WORKERS 5u

static _Atomic uint64_t *once_word(uint32_t which, uint64_t number)
{
	return &moments->word[which * ONCES + number % ONCES];
}

enum { AT_IT, BEGUN, DONE };

static void name_once(char name[32], uint64_t number)
{
	snprintf(name, 32, "/once-%u", (uint32_t)number);
}

static bool once_set_up(void)
{
	return true;
}

/* Of those who are in their places, but for one. */
static uint64_t slowest(uint32_t but)
{
	uint64_t least = UINT64_MAX;

	for (uint32_t i = 0; i < ONCE_WORKERS; i++)
		if (i != but && atomic_load(&moments->slot[i].state) != 0 &&
		    atomic_load(&moments->slot[i].word) < least)
			least = atomic_load(&moments->slot[i].word);
	return least;
}

/* It is the caller's to do.  False: it is wrong, or it was not done. */
static bool do_once(struct tenon_once *once, uint64_t number, uint32_t what)
{
	bool begun = atomic_load(once_word(BEGUN, number)) == number + 1;

	moments_own(once_word(AT_IT, number));
	if (what == TENON_ONCE_FIRST && begun)
		return moments_wrong("somebody died amid it, and nobody is told", (int64_t)number);
	if (what == TENON_ONCE_FIRST && atomic_load(once_word(DONE, number)) == number + 1)
		return moments_wrong("it is done again", (int64_t)number);
	atomic_store(once_word(BEGUN, number), number + 1);
	moments_dally();
	if (moments_random(8) == 0) {
		atomic_store(once_word(BEGUN, number), 0);
		if (moments_disown(once_word(AT_IT, number), "two do it"))
			tenon_once_failed(once);
		return false;
	}
	atomic_store(once_word(DONE, number), number + 1);
	if (!moments_disown(once_word(AT_IT, number), "two do it"))
		return false;
	return tenon_once_done(once) == 0 || moments_wrong("done", 0);
}

static bool go_through(uint64_t number)
{
	struct tenon_once *once;
	char name[32];
	uint32_t what;
	bool through;
	int result;

	name_once(name, number);
	result = tenon_once_open(NULL, name, TENON_CREATE, &general, &once);
	if (result != 0)
		return moments_wrong("open", result);
	result = tenon_once_begin(once, moments_deadline(), &what);
	if (result != 0)
		through = moments_wrong("begin", result);
	else if (what == TENON_ONCE_DONE)
		through = atomic_load(once_word(DONE, number)) == number + 1 ||
			  moments_wrong("somebody goes on before it is done", (int64_t)number);
	else
		through = do_once(once, number, what);
	tenon_once_close(once);
	if (through && what != TENON_ONCE_DONE && number >= 2 * AHEAD) {
		name_once(name, number - 2 * AHEAD);
		tenon_once_remove(NULL, name);
	}
	return through;
}

static uint64_t furthest(void)
{
	uint64_t most = 0;

	for (uint32_t i = 0; i < ONCE_WORKERS; i++)
		if (atomic_load(&moments->slot[i].word) > most)
			most = atomic_load(&moments->slot[i].word);
	return most;
}

/* A newcomer takes its place where the others are: what lies behind them has been removed.  From then on they wait for
 * it. */
static void take_place(struct moments_slot *slot, uint32_t index)
{
	uint64_t number = slowest(index);

	if (number == UINT64_MAX)
		number = furthest();
	do {
		atomic_store(&slot->word, number);
		atomic_store(&slot->state, 1);
		number = slowest(index);
	} while (number != UINT64_MAX && number > atomic_load(&slot->word));
}

static void once_work(uint32_t index)
{
	struct moments_slot *slot = &moments->slot[index];

	take_place(slot, index);
	while (!atomic_load(&moments->failed)) {
		uint64_t number = atomic_load(&slot->word), others = slowest(index);

		if (others != UINT64_MAX && number > others + AHEAD) {
			sched_yield();
		} else if (go_through(number)) {
			atomic_store(&slot->word, number + 1);
			atomic_fetch_add(&moments->progress, 1);
		}
	}
}

/* Those who come last, with nobody before them. */
static bool once_prove(void)
{
	uint64_t last = furthest();

	for (uint64_t number = last; number <= last + AHEAD; number++)
		while (!go_through(number))
			if (atomic_load(&moments->failed))
				return false;
	return true;
}

static void once_clear(void)
{
	char name[32];

	for (uint64_t number = 0; number <= furthest() + AHEAD; number++) {
		name_once(name, number);
		tenon_once_remove(NULL, name);
	}
}

const struct moments_kind moments_once = {.name = "once",
					  .workers = ONCE_WORKERS,
					  .set_up = once_set_up,
					  .work = once_work,
					  .prove = once_prove,
					  .clear = once_clear};

/*
 * A lock with priority inheritance, waited for in the kernel, in sets, or both.  word: two counts that are the same, but
 * in the midst; who has the lock; of so many workers each second or third, or all, waits in a set.
 */
enum { FIRST, SECOND, HAS_IT, SETS };

static struct tenon_lock *inherit;

static struct tenon_lock *open_inherit(uint32_t flags)
{
	struct tenon_sync_options options = general;
	struct tenon_lock *lock;

	options.flags = TENON_LOCK_INHERIT;
	return tenon_lock_open(NULL, NAME, flags, &options, &lock) == 0 ? lock : NULL;
}

static bool inherit_set_up(void)
{
	int result;

	atomic_store(&moments->word[SETS], 1 + moments_random(3));
	inherit = open_inherit(TENON_CREATE);
	if (!inherit)
		return false;
	result = tenon_lock_try(inherit);
	if (result == -ENOTSUP)
		moments_obstacle = "the kernel has no FUTEX_LOCK_PI2";
	return result == 0 && tenon_lock_release(inherit) == 0;
}

static int acquire(struct tenon_lock *lock, struct tenon_waitset *set)
{
	struct tenon_waitset_event event;
	uint32_t count;
	int result;

	if (!set)
		return tenon_lock_acquire(lock, moments_deadline());
	result = tenon_waitset_wait(set, moments_deadline(), &event, 1, &count);
	return result == 0 ? event.result : result;
}

static int count_up(struct tenon_lock *lock, int result)
{
	uint64_t first;
	bool is_sound;

	moments_own(&moments->word[HAS_IT]);
	first = atomic_load(&moments->word[FIRST]);
	is_sound = first == atomic_load(&moments->word[SECOND]);
	if (result == 0 && !is_sound)
		return -EILSEQ;
	if (result == -EOWNERDEAD) {
		atomic_store(&moments->word[SECOND], first);
		result = tenon_lock_repaired(lock);
	}
	atomic_store(&moments->word[FIRST], first + 1);
	moments_dally();
	atomic_store(&moments->word[SECOND], first + 1);
	if (!moments_disown(&moments->word[HAS_IT], "two have the lock"))
		return -EBUSY;
	atomic_fetch_add(&moments->progress, 1);
	return result == 0 ? tenon_lock_release(lock) : result;
}

static void inherit_work(uint32_t index)
{
	const struct timespec rest = {.tv_nsec = 30000000};
	struct tenon_lock *lock = open_inherit(0);
	struct tenon_waitset *set = NULL;
	int result = lock ? 0 : -EBADF;

	if (result == 0 && index % atomic_load(&moments->word[SETS]) == 0)
		result = tenon_waitset_create(0, &set);
	if (result == 0 && set)
		result = tenon_waitset_add_lock(set, lock, 0, NULL);
	while (result == 0) {
		atomic_store(&moments->slot[index].state, 1);
		result = acquire(lock, set);
		atomic_store(&moments->slot[index].state, 0);
		if (result == 0 || result == -EOWNERDEAD)
			result = count_up(lock, result);
		/* Who comes again at once gets it again, and nobody had to be woken. */
		if (set && moments_random(32) == 0)
			clock_nanosleep(CLOCK_MONOTONIC, 0, &rest, NULL);
	}
	moments_wrong("the lock, or what it protects", result);
}

/*
 * They may be at rest, and come from there at any moment: who sleeps between two looks at an owner
 * that is none, while nobody goes on, waits for nobody.
 */
static bool sleeps_for_nobody(uint32_t index)
{
	struct tenon_lock_status before = {.size = sizeof(before)}, after = {.size = sizeof(after)};
	uint64_t progress = atomic_load(&moments->progress);

	return tenon_lock_status(inherit, &before) == 0 && before.owner_pid == 0 &&
	       atomic_load(&moments->slot[index].state) &&
	       moments_is_asleep(atomic_load(&moments->slot[index].pid)) &&
	       tenon_lock_status(inherit, &after) == 0 && after.owner_pid == 0 &&
	       atomic_load(&moments->progress) == progress;
}

static bool inherit_feed(void)
{
	for (uint32_t i = 0; i < MOMENTS_WORKERS; i++)
		if (sleeps_for_nobody(i))
			return moments_wrong("somebody sleeps, and nobody has it", i);
	return true;
}

static bool inherit_prove(void)
{
	return prove_lock(inherit);
}

static void inherit_clear(void)
{
	inherit = tenon_lock_close(inherit);
	tenon_lock_remove(NULL, NAME);
}

const struct moments_kind moments_inherit = {.name = "inherit",
					     .workers = 6,
					     .set_up = inherit_set_up,
					     .work = inherit_work,
					     .feed = inherit_feed,
					     .prove = inherit_prove,
					     .clear = inherit_clear};
