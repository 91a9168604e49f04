/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Sharing a lock.  How often a process shares it stands in its row, which no other process writes; who holds the gate
 * has the lock when all rows say 0.
 *
 *	share	S1 claim + 1		dies: the claim goes with its row
 *		S2 the gate has no owner: shared
 *		   or else claim - 1, and it waits for the gate to be free
 *	end	E1 claim - 1		dies: the kernel tells who drains of the death, by the stake
 *		E2 wakes who drains	dies: the same
 *	drain	D1 the gate is held	dies: the next one takes it over (core/gate.c)
 *		D2 draining := 1	dies: the same, and nobody had the lock
 *		D3 waits until all rows say 0
 *		D4 draining := 0
 *
 * Readers who wait sleep in the class MESSAGE and are all woken when the gate is free; who drains sleeps in the class
 * ROOM, with the stakes of all who share in its vector (object/deaths.c).
 *
 * ORD shared: S1 and then S2 here, the gate taken and then the rows read there: whichever comes second sees the other.
 * The same holds for `shared`, which is set before S1, and with `total` orders for all of these words.
 */

#include <errno.h>

#include "core/clock.h"
#include "object/deaths.h"
#include "object/lock.h"

#define SPIN_ROUNDS 200u

/* Wakes who drains.  The dead one's stake would. */
static void tell_drainer(struct tenon_lock *lock)
{
	/* ORD(shared) */
	uint64_t word = tni_load_total64(&tni_lock_gate(lock)->word);

	if (__builtin_expect((word & TNI_GATE_FLAG(TNI_CLASS_ROOM)) != 0, 0))
		tni_gatehouse_wake(&lock->sync.house, TNI_CLASS_ROOM, UINT32_MAX);
}

static void leave(struct tenon_lock *lock, struct tni_row *row)
{
	tni_fetch_add_total64(&row->claim, UINT64_MAX); /* ORD(shared) */
	tell_drainer(lock);
}

/* S1 and S2. */
static bool try_share(struct tenon_lock *lock, struct tni_row *row)
{
	uint64_t word;

	/* ORD(shared) */
	tni_fetch_add_total64(&row->claim, 1);
	word = tni_load_total64(&tni_lock_gate(lock)->word);
	if (__builtin_expect(!(word & (TNI_GATE_OWNER | TNI_GATE_OWNER_DIED)), 1))
		return true;
	leave(lock, row);
	return false;
}

/* The last owner died, and nobody who wants to hold it has come yet. */
static int take_over(struct tenon_lock *lock, struct tni_thread *thread, int64_t deadline_ns)
{
	void *pending = tni_pending_get(thread);
	int result = tni_gate_lock(&lock->sync.house, 0, thread, pending, deadline_ns);

	if (result == TNI_OWNER_DIED)
		tni_lock_take_over(lock);
	if (result >= 0)
		tni_sync_unlock(&lock->sync, thread, pending);
	return result < 0 ? result : 0;
}

static int sleep_until_free(struct tenon_lock *lock, struct tni_thread *thread, int64_t deadline_ns)
{
	struct tni_gatehouse *house = &lock->sync.house;
	struct tni_sleep sleep;
	int result = 0;

	tni_sleep_begin(house, TNI_CLASS_BIT(TNI_CLASS_MESSAGE), &sleep);
	while (result >= 0 || result == -EINTR) {
		tni_sleep_announce(house, &sleep);
		if (tni_gate_is_orphaned(tni_lock_gate(lock))) {
			result = take_over(lock, thread, deadline_ns);
			continue;
		}
		if (!(tni_get64(&tni_lock_gate(lock)->word) & TNI_GATE_OWNER))
			break;
		tni_object_hand_over(lock->sync.object, thread);
		result = tni_sleep_wait(house, &sleep, deadline_ns);
		/* The dead one would have woken all who wait like this one. */
		if (result == TNI_WOKEN_DEATH)
			tni_gatehouse_wake(house, TNI_CLASS_MESSAGE, UINT32_MAX);
		if (result == 0 && tni_clock_ns(CLOCK_MONOTONIC) >= deadline_ns)
			result = -ETIMEDOUT;
	}
	tni_sleep_end(house, &sleep);
	return result < 0 && result != -EINTR ? result : 0;
}

/* The gate may be free when it answers 0. */
static int await_gate(struct tenon_lock *lock, struct tni_thread *thread, int64_t deadline_ns)
{
	struct tni_gate *gate = tni_lock_gate(lock);
	void *pending = tni_pending_get(thread);
	int result;

	for (uint32_t i = 0; i < SPIN_ROUNDS && tni_get32(&gate->cpu) != tni_cpu(); i++) {
		if (!(tni_get64(&gate->word) & (TNI_GATE_OWNER | TNI_GATE_OWNER_DIED)))
			return 0;
		tni_pause();
	}
	if (tni_gate_is_orphaned(gate))
		return take_over(lock, thread,
				 tni_grace_ns() > deadline_ns ? tni_grace_ns() : deadline_ns);
	if (tni_clock_ns(CLOCK_MONOTONIC) >= deadline_ns)
		return -ETIMEDOUT;
	tni_pending_set(thread, &gate->word);
	result = sleep_until_free(lock, thread, deadline_ns);
	tni_pending_put(thread, pending);
	return result;
}

/* What is answered to who shares it. */
static int answer(struct tenon_lock *lock, struct tni_row *row)
{
	switch (tni_get32(&tni_lock_words(lock)->state)) {
	case TNI_LOCK_SOUND:
		return 0;
	case TNI_LOCK_OWNER_DIED:
		return -EOWNERDEAD;
	case TNI_LOCK_LOST:
		leave(lock, row);
		return -ENOTRECOVERABLE;
	default:
		leave(lock, row);
		return tni_sync_damaged(&lock->sync);
	}
}

/* Before the first time: a row, and a stake. */
static int begin_sharing(struct tenon_lock *lock, struct tni_thread *thread)
{
	struct tni_sync *sync = &lock->sync;
	struct tni_row *row = tni_sync_row(sync, sync->object->participant);

	if (!row)
		return -ENOSPC;
	if (tni_get32(&tni_lock_words(lock)->shared) == 0)
		tni_store_total32(&tni_lock_words(lock)->shared, 1); /* ORD(shared) */
	tni_object_ensure_stake(sync->object, thread);
	tni_store_release_pointer(&lock->row, row);		 /* ORD(shared) */
	tni_store_release32(&lock->sharing, thread->generation); /* ORD(shared) */
	return 0;
}

static int begin(struct tenon_lock *lock, struct tni_thread *thread)
{
	int result;

	if (!lock)
		return -EINVAL;
	if (tni_lock_inherits(lock))
		return -ENOTSUP;
	if (tni_lock_is_held(lock, thread))
		return -EDEADLK;
	/* ORD(shared) */
	if (__builtin_expect(tni_load_acquire32(&lock->sharing) == thread->generation, 1)) {
		/* The thread that had it may have ended. */
		if (__builtin_expect(!tni_object_has_stake(lock->sync.object, thread), 0))
			tni_object_ensure_stake(lock->sync.object, thread);
		return 0;
	}
	result = tni_sync_begin(&lock->sync, thread);
	return result == 0 ? begin_sharing(lock, thread) : result;
}

static struct tni_row *own_row(struct tenon_lock *lock)
{
	return tni_load_acquire_pointer(&lock->row); /* ORD(shared) */
}

int tenon_lock_acquire_shared(struct tenon_lock *lock, int64_t deadline_ns)
{
	struct tni_thread *thread = tni_thread_self();
	int result = begin(lock, thread);
	struct tni_row *row;

	if (__builtin_expect(result != 0, 0))
		return result;
	row = own_row(lock);
	while (!try_share(lock, row)) {
		result = tni_lock_is_held_otherwise(lock, thread)
				 ? -EDEADLK
				 : await_gate(lock, thread, deadline_ns);
		if (result != 0)
			return result;
	}
	tni_set64(&row->passed, tni_get64(&row->passed) + 1);
	return answer(lock, row);
}

int tenon_lock_try_shared(struct tenon_lock *lock)
{
	int result = tenon_lock_acquire_shared(lock, 0);

	return result == -ETIMEDOUT ? -EBUSY : result;
}

int tenon_lock_release_shared(struct tenon_lock *lock)
{
	struct tni_row *row;
	uint64_t claim;

	if (!lock)
		return -EINVAL;
	/* ORD(shared).  A child shares nothing of its parent's. */
	if (tni_load_acquire32(&lock->sharing) != tni_thread_self()->generation)
		return -EPERM;
	row = own_row(lock);
	claim = tni_get64(&row->claim);
	/* Of two threads that end the last sharing one does. */
	do {
		if (claim == 0)
			return -EPERM;
	} while (!tni_cas_total64(&row->claim, &claim, claim - 1)); /* ORD(shared) */
	tell_drainer(lock);
	return 0;
}

int tni_lock_bury(struct tni_sync *sync, uint32_t participant, int64_t deadline_ns)
{
	struct tenon_lock *lock = (struct tenon_lock *)sync;
	struct tni_row *row;

	(void)deadline_ns;
	if (tni_get32(&tni_lock_words(lock)->shared) == 0)
		return 0;
	row = tni_sync_row(sync, participant);
	if (!row)
		return -ENOSPC;
	tni_set64(&row->claim, 0);
	tell_drainer(lock);
	return 0;
}

/* For object/deaths.c. */
static bool are_there_claims(void *context)
{
	(void)context;
	return true;
}

void tni_lock_find_shared(struct tenon_lock *lock, uint64_t bits[TNI_BITMAP_WORDS])
{
	struct tni_sync *sync = &lock->sync;

	for (uint32_t i = 0; i < tni_object_participants_top(sync->object); i++) {
		const struct tni_row *row = tni_sync_row(sync, i);

		/* ORD(shared) */
		if (row && tni_load_total64(&row->claim) != 0)
			bits[i / 64] |= UINT64_C(1) << (i % 64);
	}
}

static void find_claims(void *context, uint64_t bits[TNI_BITMAP_WORDS])
{
	tni_lock_find_shared(context, bits);
}

static bool is_drained(void *context)
{
	return tni_lock_is_drained(context);
}

int tni_lock_bring_back(struct tenon_lock *lock, const uint64_t bits[TNI_BITMAP_WORDS],
			int64_t deadline_ns)
{
	struct tni_object *object = lock->sync.object;
	int back = 0;

	for (uint32_t i = 0; i < tni_object_participants_top(object); i++) {
		int result = bits[i / 64] >> (i % 64) & 1
				     ? tni_object_recover_one(object, i, deadline_ns)
				     : 0;

		if (result < 0 && result != -ETIMEDOUT)
			return result;
		back |= result > 0;
	}
	return back;
}

static int bring_back(void *context, int64_t deadline_ns)
{
	uint64_t bits[TNI_BITMAP_WORDS] = {0};

	tni_lock_find_shared(context, bits);
	return tni_lock_bring_back(context, bits, deadline_ns);
}

static int sleep_until_drained(struct tenon_lock *lock, struct tni_thread *thread,
			       int64_t deadline_ns)
{
	struct tni_gatehouse *house = &lock->sync.house;
	struct tni_holders holders = {.object = lock->sync.object,
				      .house = house,
				      .are_there = are_there_claims,
				      .find = find_claims,
				      .bring_back = bring_back,
				      .must_not_sleep = is_drained,
				      .context = lock};
	struct tni_deaths deaths;
	struct tni_sleep sleep;
	int result = 0;

	tni_deaths_begin(&deaths);
	tni_sleep_begin(house, TNI_CLASS_BIT(TNI_CLASS_ROOM), &sleep);
	while (result >= 0 || result == -EINTR) {
		tni_sleep_announce(house, &sleep);
		if (tni_lock_is_drained(lock))
			break;
		tni_object_hand_over(lock->sync.object, thread);
		result = tni_deaths_sleep(&deaths, &holders, &sleep, deadline_ns);
	}
	tni_sleep_end(house, &sleep);
	tni_deaths_end(&deaths, &holders, &sleep);
	return result < 0 && result != -EINTR ? result : 0;
}

static int drain(struct tenon_lock *lock, struct tni_thread *thread, int64_t deadline_ns)
{
	void *pending = tni_pending_get(thread);
	int result;

	for (uint32_t i = 0; i < SPIN_ROUNDS; i++) {
		if (tni_lock_is_drained(lock))
			return 0;
		tni_pause();
	}
	if (tni_clock_ns(CLOCK_MONOTONIC) >= deadline_ns) {
		result = bring_back(lock, tni_grace_ns());
		return result < 0 ? result : tni_lock_is_drained(lock) ? 0 : -ETIMEDOUT;
	}
	tni_pending_set(thread, &tni_lock_gate(lock)->word);
	result = sleep_until_drained(lock, thread, deadline_ns);
	tni_pending_put(thread, pending);
	return result;
}

int tni_lock_drain(struct tenon_lock *lock, struct tni_thread *thread, int64_t deadline_ns)
{
	int result;

	tni_set32(&tni_lock_words(lock)->draining, 1);
	result = drain(lock, thread, deadline_ns);
	tni_set32(&tni_lock_words(lock)->draining, 0);
	return result;
}

uint32_t tni_lock_count_shared(struct tenon_lock *lock)
{
	struct tni_sync *sync = &lock->sync;
	uint64_t count = 0;

	if (tni_get32(&tni_lock_words(lock)->shared) == 0)
		return 0;
	for (uint32_t i = 0; i < tni_object_participants_top(sync->object); i++) {
		const struct tni_row *row = tni_sync_row(sync, i);

		if (row && tni_get64(&row->claim) != 0 && tni_object_is_attached(sync->object, i))
			count += tni_get64(&row->claim);
	}
	return count < UINT32_MAX ? (uint32_t)count : UINT32_MAX;
}
