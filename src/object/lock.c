/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The lock.  Its word is a gate's (core/gate.c) that stays held between calls; so that the kernel knows of
 * it then, too, the word is in the robust list of the thread that holds it (core/robust.c).
 *
 * Once there it stays there, until the handle is closed: a word that has another owner, or none, the kernel
 * passes over.  So who acquires it again has nothing to do but to take it.
 *
 *	acquire	A1 pending entry names the word	dies: nothing was held
 *		A2 word := thread, participant	dies: the kernel sees the pending entry, sets OWNER_DIED and
 *						wakes one who waits
 *		A3 entry into the list		dies: sees it there
 *		A4 pending entry put back
 *		A5 the word had OWNER_DIED:	dies: has it again
 *		   state := OWNER_DIED		dies: has it again, and the state with it
 *	again	A2 alone			dies: as A3
 *	release	R1 word := 0, nobody sleeps	dies: nothing is held, nothing is owed
 *	or	R1 pending entry names the word	dies: as A3
 *		R2 word := 0			dies: sees no owner, and wakes one who waits
 *		R3 the wake that is due		dies: the same
 *		R4 pending entry put back
 *
 * ORD last: whoever finds an entry finds what it says.
 *
 * What stands beside the word is written by who holds the lock.  Depth counts from 0, so that it need not
 * be written by who does not acquire twice; what a dead owner left there the next one clears (A5).
 */

#include <errno.h>

#include "object/lock.h"
#include "object/options.h"
#include "object/place.h"
#include "object/turnstile.h"

static bool is_possible(uint32_t flags, uint32_t limit)
{
	(void)flags;
	return limit == 0;
}

const struct tni_sync_kind tni_lock_kind = {.named = TNI_SYNC_KIND(TENON_KIND_LOCK),
					    .flags_known = TENON_LOCK_RECURSIVE |
							   TENON_LOCK_INHERIT,
					    .is_held_long = true,
					    .is_possible = is_possible,
					    .bury = tni_lock_bury};

int tenon_lock_open(const char *namespace_path, const char *name, uint32_t flags,
		    const struct tenon_sync_options *options, struct tenon_lock **ret_lock)
{
	return tni_sync_open_named(&tni_lock_kind, sizeof(struct tenon_lock), namespace_path, name,
				   flags, options, 0, 0, ret_lock);
}

int tenon_lock_open_at(struct tenon_region *region, uint64_t offset, uint32_t flags,
		       const struct tenon_sync_options *options, struct tenon_lock **ret_lock)
{
	return tni_sync_open_at(&tni_lock_kind, sizeof(struct tenon_lock), region, offset, flags,
				options, 0, 0, ret_lock);
}

int tenon_lock_remove(const char *namespace_path, const char *name)
{
	return tni_named_remove(TENON_KIND_LOCK, namespace_path, name, NULL);
}

/* The entry of the calling thread, which is in its list.  Entries come and stay, until the handle is closed. */
static struct tni_hold *find_own(const struct tenon_lock *lock, const struct tni_thread *thread)
{
	struct tni_hold *hold = tni_load_acquire_pointer(&lock->holds); /* ORD(last) */

	while (hold && tni_get32(&hold->serial) != thread->serial)
		hold = hold->next;
	return hold;
}

/* One that is in no list: claimed before, of a thread that has ended, or a new one.  Locked. */
static struct tni_hold *find_idle(struct tenon_lock *lock, const struct tni_thread *thread)
{
	struct tni_hold *first = tni_load_acquire_pointer(&lock->holds), *hold; /* ORD(last) */

	for (hold = first; hold; hold = hold->next)
		if (hold->generation == thread->generation &&
		    (hold->tid == thread->tid || tni_hold_is_idle(hold)))
			return hold;
	hold = tni_hold_make(lock->sync.cell, (struct tni_a32 *)&tni_lock_gate(lock)->word);
	if (hold) {
		hold->next = first;
		tni_store_release_pointer(&lock->holds, hold); /* ORD(last) */
	}
	return hold;
}

/* The calling thread's entry, or one that it may put into its list. */
static int own_hold(struct tenon_lock *lock, struct tni_thread *thread, struct tni_hold **ret_hold)
{
	struct tni_hold *hold = find_own(lock, thread);
	bool has_room;

	*ret_hold = hold;
	if (hold)
		return 0;
	if (thread->robust->futex_offset != TNI_ROBUST_OFFSET)
		return -ENOTSUP;
	if (thread->at_stakes)
		return -EDEADLK;
	thread->at_stakes = true;
	tni_step();
	tni_robust_lock();
	tni_hold_clear(thread);
	has_room = tni_robust_has_room(thread);
	hold = has_room ? find_idle(lock, thread) : NULL;
	if (hold) {
		tni_hold_claim(hold, thread);
		hold->mark = tni_lock_inherits(lock) ? TNI_ROBUST_INHERIT : 0;
	}
	tni_robust_unlock();
	tni_step();
	thread->at_stakes = false;
	*ret_hold = hold;
	return hold ? 0 : has_room ? -ENOMEM : -EAGAIN;
}

/* It is held.  Answers its state. */
static inline uint32_t have(struct tenon_lock *lock, const struct tni_thread *thread)
{
	struct tni_lock_words *words = tni_lock_words(lock);

	tni_set32(&lock->holder_serial, thread->serial);
	tni_set64(&words->acquired, tni_get64(&words->acquired) + 1);
	return tni_get32(&words->state);
}

static void let_go_slow(struct tenon_lock *lock, struct tni_thread *thread)
{
	void *pending = tni_pending_get(thread);

	tni_pending_set(thread, &tni_lock_gate(lock)->word);
	tni_sync_unlock(&lock->sync, thread, pending);
}

static inline void let_go(struct tenon_lock *lock, struct tni_thread *thread)
{
	tni_set32(&lock->holder_serial, 0);
	if (__builtin_expect(tni_lock_inherits(lock), 0)) {
		tni_lock_inherit_release(lock, thread);
		return;
	}
	/* Where nobody sleeps, nothing is owed. */
	if (__builtin_expect(!tni_gate_unlock_quiet(tni_lock_gate(lock)), 0))
		let_go_slow(lock, thread);
}

/* Its gate is held; and it is, when nobody shares it any more.  0, or an error. */
static inline int have_alone(struct tenon_lock *lock, struct tni_thread *thread,
			     int64_t deadline_ns, uint32_t *ret_state)
{
	/* ORD(shared) */
	if (__builtin_expect(tni_load_total32(&tni_lock_words(lock)->shared) != 0, 0) &&
	    !tni_lock_is_drained(lock)) {
		int result = tni_lock_drain(lock, thread, deadline_ns);

		if (result != 0) {
			let_go(lock, thread);
			return result;
		}
	}
	*ret_state = have(lock, thread);
	return 0;
}

/* What is answered to who has the lock, whose state is `state`. */
static int answer(struct tenon_lock *lock, struct tni_thread *thread, uint32_t state)
{
	if (__builtin_expect(state == TNI_LOCK_SOUND, 1))
		return 0;
	if (state == TNI_LOCK_OWNER_DIED)
		return -EOWNERDEAD;
	let_go(lock, thread);
	if (state == TNI_LOCK_LOST)
		return -ENOTRECOVERABLE;
	if (state == TNI_LOCK_DONE && lock->sync.kind->named.kind == TENON_KIND_ONCE)
		return -EALREADY;
	tni_object_damage(lock->sync.object);
	return -EBADMSG;
}

static int acquire_again(struct tenon_lock *lock)
{
	struct tni_lock_words *words = tni_lock_words(lock);
	uint32_t depth;

	if (!(lock->sync.flags & TENON_LOCK_RECURSIVE))
		return -EDEADLK;
	depth = tni_get32(&words->depth);
	/* How often it is held, one more than this, is a number of 32 bits, too. */
	if (depth >= UINT32_MAX - 1)
		return -EAGAIN;
	tni_set32(&words->depth, depth + 1);
	return 0;
}

/* Whether the thread may try to acquire it: 0; 1: it has it already; or an error. */
static int begin(struct tenon_lock *lock, struct tni_thread *thread)
{
	int result;

	if (!lock)
		return -EINVAL;
	result = tni_sync_begin(&lock->sync, thread);
	if (result != 0)
		return result;
	if (tni_lock_is_held(lock, thread))
		return 1;
	return tni_lock_is_held_otherwise(lock, thread) ? -EDEADLK : 0;
}

void tni_lock_take_over(struct tenon_lock *lock)
{
	struct tni_lock_words *words = tni_lock_words(lock);

	/* Who waited for those who share it had nothing yet. */
	if (tni_get32(&words->draining) != 0) {
		tni_set32(&words->draining, 0);
		return;
	}
	if (tni_get32(&words->state) < TNI_LOCK_LOST)
		tni_set32(&words->state, TNI_LOCK_OWNER_DIED);
	tni_set32(&words->depth, 0);
	tni_set32(&words->deaths, tni_get32(&words->deaths) + 1);
}

static int acquire_slow(struct tenon_lock *lock, struct tni_thread *thread, int64_t deadline_ns)
{
	struct tni_lock_words *words;
	struct tni_hold *hold;
	uint32_t state = 0;
	bool waits;
	void *pending;
	int result = begin(lock, thread);

	if (result > 0)
		return acquire_again(lock);
	/* Of the death of the holder of such a word the kernel tells only those who wait for it in the kernel; and of
	 * another's it may tell this process, for who sleeps at another object of a region. */
	if (result == 0 && (tni_lock_inherits(lock) || lock->sync.region))
		tni_turnstile_stake(&lock->sync, thread);
	if (result == 0)
		result = own_hold(lock, thread, &hold);
	if (result != 0)
		return result;
	words = tni_lock_words(lock);
	waits = (tni_get64(&tni_lock_gate(lock)->word) & TNI_GATE_OWNER) != 0;
	pending = tni_pending_get(thread);
	result = tni_lock_inherits(lock)
			 ? tni_lock_inherit(lock, thread, deadline_ns)
			 : tni_gate_lock(&lock->sync.house, 0, thread, pending, deadline_ns);
	if (result >= 0) {
		if (tni_get32(&hold->serial) != thread->serial)
			tni_hold_put_in(hold, thread);
		tni_store_release_pointer(&lock->last, hold); /* ORD(last) */
		if (result == TNI_OWNER_DIED)
			tni_lock_take_over(lock);
		if (waits)
			tni_set64(&words->waited, tni_get64(&words->waited) + 1);
		result = have_alone(lock, thread, deadline_ns, &state);
	}
	tni_pending_put(thread, pending);
	return result < 0 ? result : answer(lock, thread, state);
}

/* Where nothing has to be looked up, the word is in the thread's list already, and it is free.  1: not so. */
static inline int acquire_fast(struct tenon_lock *lock, struct tni_thread *thread,
			       int64_t deadline_ns)
{
	const struct tni_hold *last;
	uint32_t state = 0;
	int result;

	if (__builtin_expect(!lock, 0))
		return 1;
	last = tni_load_acquire_pointer(&lock->last); /* ORD(last) */
	if (__builtin_expect(!last || tni_get32(&last->serial) != thread->serial ||
				     !tni_gate_try(&lock->sync.house, 0, thread),
			     0))
		return 1;
	result = have_alone(lock, thread, deadline_ns, &state);
	if (__builtin_expect(result == 0 && state == TNI_LOCK_SOUND, 1))
		return 0;
	return result < 0 ? result : answer(lock, thread, state);
}

int tenon_lock_acquire(struct tenon_lock *lock, int64_t deadline_ns)
{
	struct tni_thread *thread = tni_thread_self();
	int result = acquire_fast(lock, thread, deadline_ns);

	return __builtin_expect(result > 0, 0) ? acquire_slow(lock, thread, deadline_ns) : result;
}

/* The dead do not keep anybody from it, nor does who waits. */
int tenon_lock_try(struct tenon_lock *lock)
{
	struct tni_thread *thread = tni_thread_self();
	int result = acquire_fast(lock, thread, 0);

	if (__builtin_expect(result <= 0, 1))
		return result == -ETIMEDOUT ? -EBUSY : result;
	if (lock && (tni_get64(&tni_lock_gate(lock)->word) & TNI_GATE_OWNER) &&
	    !tni_lock_is_held(lock, thread))
		return -EBUSY;
	result = acquire_slow(lock, thread, 0);
	return result == -ETIMEDOUT ? -EBUSY : result;
}

int tenon_lock_release(struct tenon_lock *lock)
{
	struct tni_thread *thread = tni_thread_self();
	uint32_t depth;

	if (!lock)
		return -EINVAL;
	if (!tni_lock_is_held(lock, thread))
		return -EPERM;
	depth = tni_get32(&tni_lock_words(lock)->depth);
	if (__builtin_expect(depth > 0, 0))
		tni_set32(&tni_lock_words(lock)->depth, depth - 1);
	else
		let_go(lock, thread);
	return 0;
}

int tenon_lock_repaired(struct tenon_lock *lock)
{
	if (!lock)
		return -EINVAL;
	if (!tni_lock_is_held(lock, tni_thread_self()))
		return -EPERM;
	if (tni_get32(&tni_lock_words(lock)->state) != TNI_LOCK_OWNER_DIED)
		return -EINVAL;
	tni_set32(&tni_lock_words(lock)->state, TNI_LOCK_SOUND);
	return 0;
}

int tenon_lock_lost(struct tenon_lock *lock)
{
	struct tni_thread *thread = tni_thread_self();

	if (!lock)
		return -EINVAL;
	if (!tni_lock_is_held(lock, thread))
		return -EPERM;
	tni_set32(&tni_lock_words(lock)->state, TNI_LOCK_LOST);
	tni_lock_let_go(lock, thread);
	return 0;
}

uint32_t tni_lock_let_go(struct tenon_lock *lock, struct tni_thread *thread)
{
	uint32_t depth = tni_get32(&tni_lock_words(lock)->depth);

	tni_set32(&tni_lock_words(lock)->depth, 0);
	let_go(lock, thread);
	return depth;
}

int tni_lock_take_back(struct tenon_lock *lock, struct tni_thread *thread, uint32_t depth)
{
	int result = acquire_fast(lock, thread, INT64_MAX);

	if (result > 0)
		result = acquire_slow(lock, thread, INT64_MAX);
	if (result == 0 || result == -EOWNERDEAD)
		tni_set32(&tni_lock_words(lock)->depth, depth);
	return result;
}

void tni_lock_close(struct tenon_lock *lock)
{
	struct tni_thread *thread = tni_thread_self();
	struct tni_hold *hold, *next;

	/* In case it is held: as if its holder died, before its entry is gone. */
	if (tni_lock_inherits(lock) && tni_lock_is_held(lock, thread)) {
		tni_lock_take_over(lock);
		let_go(lock, thread);
	} else if (tni_get32(&lock->holder_serial) != 0 &&
		   tni_get32(&lock->sync.object->generation) == thread->generation)
		tni_gate_orphan(&lock->sync.house, 0, lock->sync.object->participant);
	tni_robust_lock();
	for (hold = tni_load_acquire_pointer(&lock->holds); hold; hold = next) { /* ORD(last) */
		next = hold->next;
		tni_hold_free(hold, thread);
	}
	tni_robust_unlock();
	tni_sync_free(&lock->sync);
}

struct tenon_lock *tenon_lock_close(struct tenon_lock *lock)
{
	if (lock)
		tni_lock_close(lock);
	return NULL;
}

/* How often its owner has it. */
static uint32_t depth_of(const struct tni_lock_words *words)
{
	uint32_t depth = tni_get32(&words->depth);

	return depth < UINT32_MAX ? depth + 1 : depth;
}

/* Who waits to have it alone, also by a waitset or for those who share it; and who waits to share it. */
#define WAIT_ALONE (TNI_CLASS_BIT(TNI_CLASS_LOCK_0) | TNI_CLASS_BIT(TNI_CLASS_ROOM))
#define WAIT_SHARED TNI_CLASS_BIT(TNI_CLASS_MESSAGE)

int tenon_lock_status(struct tenon_lock *lock, struct tenon_lock_status *ret_status)
{
	struct tenon_lock_status status = {.size = sizeof(status)};
	const struct tni_lock_words *words;
	struct tni_sync_status common;
	struct tni_sync *sync;
	uint64_t word;
	int result;

	if (!lock || tni_status_check(ret_status) != 0)
		return -EINVAL;
	sync = &lock->sync;
	result = tni_sync_begin(sync, tni_thread_self());
	if (result != 0)
		return result;
	words = tni_lock_words(lock);
	word = tni_get64(&tni_lock_gate(lock)->word);
	tni_sync_describe(sync, WAIT_ALONE | WAIT_SHARED, &common);
	TNI_SYNC_STATUS_COPY(&status, &common);
	status.recursive = (sync->flags & TENON_LOCK_RECURSIVE) != 0;
	status.state = tni_get32(&words->state);
	if (word & TNI_GATE_OWNER) {
		uint32_t holder = tni_gate_holder_of(word);

		status.owner_pid = tni_sync_pid(sync, holder);
		/* Who drains may not be asleep yet. */
		if (tni_get32(&words->draining) == 0)
			status.depth = depth_of(words);
		else if (!(tni_sync_asleep(sync, holder) & (WAIT_ALONE | WAIT_SHARED)))
			status.waiting++;
	} else if ((word & TNI_GATE_OWNER_DIED) && status.state == TNI_LOCK_SOUND &&
		   tni_get32(&words->draining) == 0) {
		status.state = TNI_LOCK_OWNER_DIED;
	}
	status.acquired = tni_get64(&words->acquired);
	status.waited = tni_get64(&words->waited);
	status.owner_deaths = tni_get32(&words->deaths);
	status.shared = tni_lock_count_shared(lock);
	status.inherits = tni_lock_inherits(lock);
	tni_status_write(ret_status, &status, sizeof(status));
	return 0;
}

/* What a living participant has of a lock whose gate's word is `word`. */
static struct tenon_lock_user user_of(struct tenon_lock *lock, const struct tni_sync_user *found,
				      uint64_t word)
{
	const struct tni_lock_words *words = tni_lock_words(lock);
	struct tenon_lock_user user = {.pid = found->pid,
				       .waiting = (found->asleep & WAIT_ALONE) != 0,
				       .waiting_shared = (found->asleep & WAIT_SHARED) != 0};
	const struct tni_row *row = NULL;
	uint64_t shared;

	/* Where nobody has shared it, the rows have no memory. */
	if (tni_get32(&words->shared) != 0)
		row = tni_sync_row(&lock->sync, found->participant);
	shared = row ? tni_get64(&row->claim) : 0;
	user.shared = shared < UINT32_MAX ? (uint32_t)shared : UINT32_MAX;
	if ((word & TNI_GATE_OWNER) && tni_gate_holder_of(word) == found->participant) {
		if (tni_get32(&words->draining) != 0)
			user.waiting = 1;
		else
			user.depth = depth_of(words);
	}
	return user;
}

int tenon_lock_users(struct tenon_lock *lock,
		     int (*visit)(const struct tenon_lock_user *user, void *context), void *context)
{
	struct tni_sync_user found = {0};
	int result;

	if (!lock || !visit)
		return -EINVAL;
	result = tni_sync_begin(&lock->sync, tni_thread_self());
	while (result == 0 && tni_sync_next_user(&lock->sync, &found)) {
		struct tenon_lock_user user = user_of(lock, &found,
						      tni_get64(&tni_lock_gate(lock)->word));

		if (user.depth > 0 || user.shared > 0 || user.waiting || user.waiting_shared)
			result = visit(&user, context);
	}
	return result;
}
