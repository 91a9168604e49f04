/* SPDX-License-Identifier: Apache-2.0 */

/* What rows of a turnstile say of the dead, and looking for these.  See object/turnstile.c. */

#include <errno.h>
#include <time.h>

#include "core/clock.h"
#include "object/turnstile.h"

/* Between two looks for one who is about to be dead. */
#define DYING_NS 20000

bool tni_turnstile_are_there(struct tni_sync *sync)
{
	return tni_get32(&tni_turnstile(sync)->claims) != 0;
}

void tni_turnstile_find(struct tni_sync *sync, uint64_t bits[TNI_BITMAP_WORDS])
{
	for (uint32_t i = 0; i < tni_object_participants_top(sync->object); i++) {
		const struct tni_row *row = tni_sync_row(sync, i);

		if (row && (tni_get64(&row->claim) != 0 || tni_get32(&row->owing) != 0 ||
			    tni_get32(&row->waiting) != 0))
			bits[i / 64] |= UINT64_C(1) << (i % 64);
	}
}

static bool has_claim(struct tni_sync *sync, uint32_t participant)
{
	const struct tni_row *row = tni_sync_row(sync, participant);

	return row && tni_get64(&row->claim) != 0 &&
	       (!sync->kind->claims_wait || tni_get32(&row->waiting) != 0);
}

/* Whether the kernel has told of a death, and what the row says is not given back: the dead one is not quite dead, or it was
 * a thread of a process that lives, which nobody bears with more than once. */
static bool is_dying(struct tni_sync *sync, uint32_t participant)
{
	const struct tni_a32 *word = tni_object_stake(sync->object, participant);

	return word && (tni_get32(word) & TNI_STAKE_DIED) && has_claim(sync, participant) &&
	       !(tni_get64(&sync->outlives[participant / 64]) >> (participant % 64) & 1);
}

static void set_outlives(struct tni_sync *sync, uint32_t participant, bool does)
{
	struct tni_a64 *bits = &sync->outlives[participant / 64];
	uint64_t bit = UINT64_C(1) << (participant % 64);

	if (does)
		tni_fetch_or64(bits, bit);
	else if (tni_get64(bits) & bit)
		tni_fetch_and64(bits, ~bit);
}

/* 1: what a dead one claimed is given back; 0: it lives, as far as can be told; or an error. */
static int recover(struct tni_sync *sync, uint32_t participant, int64_t deadline_ns)
{
	int result = tni_object_recover_one(sync->object, participant, deadline_ns);

	/* Somebody else buries it, and may not go on, or has more to give back than this. */
	if (result == 0 && has_claim(sync, participant) &&
	    tni_object_is_dead(sync->object, participant))
		result = sync->kind->help(sync, participant, deadline_ns);
	return result;
}

/* The kernel marks a stake before it drops the lock by which its participant is known to be alive.  `ret_dying`: it
 * may be worth looking again soon.  `is_last`: nobody will, and those live whose threads have died. */
static int look_for_dead(struct tni_sync *sync, int64_t deadline_ns, bool is_last, bool *ret_dying)
{
	struct tni_object *object = sync->object;
	uint64_t bits[TNI_BITMAP_WORDS] = {0};
	int back = 0;

	*ret_dying = false;
	if (!tni_turnstile_are_there(sync))
		return 0;
	tni_turnstile_find(sync, bits);
	for (uint32_t i = 0; i < tni_object_participants_top(object); i++) {
		int result;

		if (!(bits[i / 64] >> (i % 64) & 1) || i == object->participant)
			continue;
		if (tni_object_is_vouched(object, i)) {
			set_outlives(sync, i, false);
			continue;
		}
		result = recover(sync, i, deadline_ns);
		if (result < 0 && result != -ETIMEDOUT)
			return result;
		back |= result > 0;
		if (result > 0)
			set_outlives(sync, i, false);
		else if (is_last && is_dying(sync, i))
			set_outlives(sync, i, true);
		else
			*ret_dying |= is_dying(sync, i);
	}
	return back;
}

int tni_turnstile_bring_back(struct tni_sync *sync, int64_t deadline_ns)
{
	bool dying;

	return look_for_dead(sync, deadline_ns, false, &dying);
}

/* Whoever died between C2 and C4 has a claim that no row says yet. */
static int repair_orphan(struct tni_sync *sync, int64_t deadline_ns)
{
	int result = tni_gate_is_orphaned(&sync->cell->gate)
			     ? tni_sync_heal(sync, tni_thread_self(), deadline_ns)
			     : 0;

	return result == -ETIMEDOUT ? 0 : result;
}

int tni_turnstile_settle(struct tni_sync *sync, int64_t deadline_ns)
{
	int64_t end_ns;
	int back = 0;

	if (!tni_turnstile_are_there(sync))
		return 0;
	end_ns = tni_grace_ns();
	if (deadline_ns < end_ns)
		deadline_ns = end_ns;
	for (;;) {
		int result = repair_orphan(sync, deadline_ns);
		bool is_last = tni_clock_ns(CLOCK_MONOTONIC) >= end_ns, dying = false;

		if (result == 0)
			result = look_for_dead(sync, deadline_ns, is_last, &dying);
		if (result < 0)
			return result;
		back |= result;
		if (!dying)
			return back;
		nanosleep(&(struct timespec){.tv_nsec = DYING_NS}, NULL);
	}
}

void tni_turnstile_figures(struct tni_sync *sync, uint64_t *ret_passed, uint64_t *ret_let)
{
	*ret_passed = *ret_let = 0;
	for (uint32_t i = 0; i < tni_object_participants_top(sync->object); i++) {
		const struct tni_row *row = tni_sync_row(sync, i);

		*ret_passed += row ? tni_get64(&row->passed) : 0;
		*ret_let += row ? tni_get64(&row->let) : 0;
	}
}
