/* SPDX-License-Identifier: Apache-2.0 */

/* Waiting at a turnstile: see object/turnstile.c. */

#include <errno.h>

#include "core/clock.h"
#include "object/deaths.h"
#include "object/turnstile.h"

/* How long one who has to wait spins before it sleeps: all of it while waits are short, else half as long each time. */
#define SPIN_FULL_NS 50000
#define SPIN_LEAST_NS 500
#define WAIT_SHORT_NS 100000
#define SPIN_BURST 48u /* pauses between two readings of the clock */

void tni_turnstile_begin(struct tni_sync *sync)
{
	tni_set32(&sync->spin_ns, SPIN_FULL_NS);
}

/* For object/deaths.c. */
static bool are_there_claims(void *context)
{
	return tni_turnstile_are_there(((const struct tni_turn *)context)->sync);
}

static void find_claims(void *context, uint64_t bits[TNI_BITMAP_WORDS])
{
	tni_turnstile_find(((const struct tni_turn *)context)->sync, bits);
}

static int bring_back(void *context, int64_t deadline_ns)
{
	return tni_turnstile_bring_back(((const struct tni_turn *)context)->sync, deadline_ns);
}

static bool must_not_sleep(void *context)
{
	const struct tni_turn *turn = context;

	return turn->may_pass(turn, tni_turnstile_word(turn->sync));
}

/* Announces, unless it may pass.  False: it may. */
static bool announce(const struct tni_turn *turn)
{
	struct tni_turnstile *turnstile = tni_turnstile(turn->sync);
	uint64_t word = tni_get64(&turnstile->word), next;

	do {
		if (turn->may_pass(turn, word))
			return false;
		next = (word & ~TNI_TURNSTILE_EPOCH) |
		       ((word + TNI_TURNSTILE_EPOCH_ONE) & TNI_TURNSTILE_EPOCH) |
		       TNI_TURNSTILE_SLEEPERS | (turn->wanted > 1 ? TNI_TURNSTILE_WIDE : 0);
		/* ORD(event): behind tni_sleep_announce(), which has read it. */
	} while (!tni_cas64(&turnstile->word, &word, next));
	return true;
}

bool tni_turnstile_announce(struct tni_turn *turn)
{
	if (turn->sync->row)
		tni_set32(&turn->sync->row->wanted, turn->wanted);
	if (tni_gate_is_orphaned(&turn->sync->cell->gate)) {
		(void)!tni_sync_heal(turn->sync, turn->thread, tni_grace_ns());
		return false;
	}
	return announce(turn);
}

/* Whether it is worth looking once more without sleeping.  Where who lets pass was last seen on this very
 * processor, spinning would keep him from it. */
static bool spin(const struct tni_turn *turn, int64_t deadline_ns)
{
	struct tni_sync *sync = turn->sync;
	const struct tni_a32 *last = sync->kind->plan ? &sync->cell->gate.cpu
						      : &tni_turnstile(sync)->cpu;
	int64_t now_ns = tni_clock_ns(CLOCK_MONOTONIC);
	int64_t end_ns = now_ns + tni_get32(&sync->spin_ns);

	if (end_ns > deadline_ns)
		end_ns = deadline_ns;
	while (now_ns < end_ns) {
		uint32_t cpu = tni_get32(last);

		if (cpu == 0 || cpu == tni_cpu())
			return false;
		for (uint32_t i = 0; i < SPIN_BURST; i++) {
			if (turn->may_pass(turn, tni_turnstile_word(sync)))
				return true;
			tni_pause();
		}
		now_ns = tni_clock_ns(CLOCK_MONOTONIC);
	}
	return false;
}

static void learn(struct tni_sync *sync, int64_t waited_ns)
{
	uint32_t ns = tni_get32(&sync->spin_ns);

	if (waited_ns < WAIT_SHORT_NS)
		tni_set32(&sync->spin_ns, SPIN_FULL_NS);
	else if (ns > SPIN_LEAST_NS)
		tni_set32(&sync->spin_ns, ns / 2);
}

/* W2 to W4: sleeps until it may pass.  0, -ETIMEDOUT, -EINTR, -EBADMSG.  The pending entry names the gate's word. */
static int sleep_until_may(struct tni_turn *turn, int64_t deadline_ns)
{
	struct tni_sync *sync = turn->sync;
	struct tni_holders holders = {.object = sync->object,
				      .house = &sync->house,
				      .are_there = are_there_claims,
				      .find = find_claims,
				      .bring_back = bring_back,
				      .must_not_sleep = must_not_sleep,
				      .context = turn};
	struct tni_deaths deaths;
	struct tni_sleep sleep;
	int result = 0;

	tni_deaths_begin(&deaths);
	tni_sleep_begin(&sync->house, TNI_CLASS_BIT(TNI_CLASS_MESSAGE), &sleep);
	while (result >= 0) {
		tni_sleep_announce(&sync->house, &sleep);
		if (tni_gate_is_orphaned(&sync->cell->gate)) {
			result = tni_sync_heal(sync, turn->thread, deadline_ns);
			continue;
		}
		if (!announce(turn))
			break;
		tni_object_hand_over(sync->object, turn->thread);
		result = tni_deaths_sleep(&deaths, &holders, &sleep, deadline_ns);
		/* The dead one owed wakes to others, too. */
		if (result == TNI_WOKEN_DEATH)
			tni_gatehouse_wake(&sync->house, TNI_CLASS_MESSAGE, TNI_EVERYBODY);
	}
	tni_sleep_end(&sync->house, &sleep);
	tni_deaths_end(&deaths, &holders, &sleep);
	if (result == -ECANCELED)
		tni_gatehouse_rouse(&sync->house);
	return result < 0 ? result : 0;
}

/* From before it may be given a wake, until it has passed or has looked once more. */
void tni_turnstile_begin_waiting(struct tni_turn *turn)
{
	if (turn->is_waiting)
		return;
	turn->is_waiting = true;
	turn->row = tni_sync_own_row(turn->sync);
	tni_turnstile_stake(turn->sync, turn->thread);
	if (turn->row) {
		tni_set32(&turn->row->wanted, turn->wanted);
		tni_fetch_add32(&turn->row->waiting, 1);
	}
}

void tni_turnstile_end_waiting(struct tni_turn *turn)
{
	if (turn->is_waiting && turn->row)
		tni_fetch_add32(&turn->row->waiting, UINT32_MAX);
	turn->is_waiting = false;
}

static int wait_once(struct tni_turn *turn, int64_t deadline_ns)
{
	int64_t start_ns = tni_clock_ns(CLOCK_MONOTONIC);
	struct tni_sync *sync = turn->sync;
	int result;

	if (start_ns >= deadline_ns) {
		result = tni_turnstile_settle(sync, 0);
		return result < 0 ? result : -ETIMEDOUT;
	}
	if (spin(turn, deadline_ns))
		return 0;
	if (!turn->is_waiting)
		tni_fetch_add64(&tni_turnstile(sync)->waits, 1);
	tni_turnstile_begin_waiting(turn);
	tni_pending_set(turn->thread, &sync->cell->gate.word);
	result = sleep_until_may(turn, deadline_ns);
	learn(sync, tni_clock_ns(CLOCK_MONOTONIC) - start_ns);
	return result;
}

int tni_turnstile_wait(struct tni_turn *turn, int64_t deadline_ns)
{
	void *pending = tni_pending_get(turn->thread);
	int waited = 0, result;

	for (;;) {
		result = turn->pass(turn, deadline_ns);
		/* When the time is up, it has looked once more. */
		if (result != 0 || waited < 0)
			break;
		waited = wait_once(turn, deadline_ns);
		if (waited < 0 && waited != -ETIMEDOUT && waited != -EINTR)
			break;
	}
	tni_turnstile_end_waiting(turn);
	if (tni_pending_get(turn->thread) != pending)
		tni_pending_put(turn->thread, pending);
	if (result == 0)
		result = waited;
	return result < 0 ? result : 0;
}
