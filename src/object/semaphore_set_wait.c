/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Waiting for a set of semaphores.  Who cannot do its list writes down, under the gate, which semaphore it waits for and
 * what that has to be: a record.  Whoever unlocks the gate looks at the records, and wakes if a value is as one of them
 * needs it, whether or not it was this very operation that made it so.  The sleeper then locks the gate and looks at its
 * list from the beginning.
 *
 *	W1 record written, under the gate	dies: the record is nobody's, and counts for nothing but a wake in vain,
 *						until its participant is buried
 *	W2 event read, announced		dies: the same
 *	W3 the value is looked at once more	dies: the same
 *	W4 asleep				dies: the same
 *	W5 woken				dies: the kernel wakes another one by the gate, who wakes all
 *	W6 list done and record ended, under the gate
 *
 * Whoever makes a value what W1 wants behind W1 and before W2 does not wake, and is seen by W3.
 *
 * Who waits for one semaphore to be zero and has nothing else to do is granted that: the record says so, and it goes on
 * although the value may be another by the time it is awake.  Its death takes nothing with it.
 *
 * As long as all records say the same, as many are woken as can go on; one who finds that it has to wait for something
 * else unlocks the gate, and so has the next one woken.
 */

#include "object/deaths.h"
#include "object/semaphore_set.h"

#define SPIN_NS 10000
#define SPIN_BURST 48u /* pauses between two readings of the clock */

/* Whether the value of a semaphore, whose number is right, is what somebody waits for. */
static bool is_met(const struct tenon_semaphore_set *set, uint32_t number, uint32_t needed)
{
	uint32_t value = tni_set_value(set, number & TNI_SET_WAITER_NUMBER);

	if (needed == TNI_SET_NEVER)
		return false;
	return number & TNI_SET_WAITER_ZERO ? value == needed : value >= needed;
}

static uint32_t top_of(struct tenon_semaphore_set *set)
{
	uint32_t top = tni_get32(&set->head->waiters_top);

	return top < TNI_SET_WAITERS ? top : TNI_SET_WAITERS;
}

/* The dead are granted nothing, and who has just given up waiting is not there any more. */
static void grant(struct tenon_semaphore_set *set, struct tni_set_waiter *waiter, uint32_t owner,
		  uint32_t number)
{
	uint32_t participant = (owner & TNI_SET_WAITER_OWNER) - 1, before = owner;
	uint64_t pid = (uint32_t)tni_sync_pid(&set->sync, participant);

	if (!tni_sync_is_attached(&set->sync, participant)) {
		tni_set32(&waiter->owner, 0);
		return;
	}
	if (!tni_cas32(&waiter->owner, &before, owner | TNI_SET_WAITER_GRANTED))
		return;
	tni_set64(&set->values[number], tni_set_value(set, number) | pid << TNI_SET_PID_SHIFT);
	tni_set_count_operation(set);
}

uint32_t tni_set_plan(struct tni_sync *sync)
{
	struct tenon_semaphore_set *set = (struct tenon_semaphore_set *)sync;
	uint32_t top = top_of(set), used = 0, number = UINT32_MAX, needed = 0;
	bool is_one = true, any = false;

	if (tni_get32(&set->head->removed) || tni_set_back_waiters(set, top) != 0)
		return TNI_EVERYBODY;
	for (uint32_t i = 0; i < top; i++) {
		struct tni_set_waiter *waiter = &set->waiters[i];
		uint32_t owner = tni_get32(&waiter->owner);
		uint32_t its_number = tni_get32(&waiter->number);
		uint32_t its_needed = tni_get32(&waiter->needed);

		if (owner == 0)
			continue;
		used = i + 1;
		if ((its_number & TNI_SET_WAITER_NUMBER) >= sync->limit)
			continue;
		if (number == UINT32_MAX) {
			number = its_number;
			needed = its_needed;
		}
		is_one = is_one && number == its_number && needed == its_needed;
		if (owner & TNI_SET_WAITER_GRANTED) {
			any = true;
		} else if (is_met(set, its_number, its_needed)) {
			any = true;
			if (its_number & TNI_SET_WAITER_ONLY)
				grant(set, waiter, owner, its_number & TNI_SET_WAITER_NUMBER);
		}
	}
	if (used < top)
		tni_set32(&set->head->waiters_top, used);
	if (!any)
		return 0;
	if (!is_one || number & TNI_SET_WAITER_ZERO || needed == 0)
		return TNI_EVERYBODY;
	return tni_set_value(set, number & TNI_SET_WAITER_NUMBER) / needed;
}

void tni_set_forget(struct tenon_semaphore_set *set, uint32_t participant)
{
	uint32_t top = top_of(set);

	if (tni_set_back_waiters(set, top) != 0)
		return;
	for (uint32_t i = 0; i < top; i++)
		if ((tni_get32(&set->waiters[i].owner) & TNI_SET_WAITER_OWNER) == participant + 1)
			tni_set32(&set->waiters[i].owner, 0);
}

/* A free record. */
static int find_record(struct tenon_semaphore_set *set, uint32_t *ret_record)
{
	uint32_t top = top_of(set), record;
	int result = tni_set_back_waiters(set, top < TNI_SET_WAITERS ? top + 1 : top);

	if (result != 0)
		return result;
	for (record = 0; record < top && tni_get32(&set->waiters[record].owner) != 0; record++)
		;
	if (record == TNI_SET_WAITERS)
		return -ENOSPC;
	if (record == top)
		tni_set32(&set->head->waiters_top, top + 1);
	*ret_record = record;
	return 0;
}

int tni_set_record(struct tni_set_turn *turn)
{
	struct tenon_semaphore_set *set = turn->set;
	bool is_new = turn->record == UINT32_MAX;
	struct tni_set_waiter *waiter;
	int result = is_new ? find_record(set, &turn->record) : 0;

	if (result != 0)
		return result;
	waiter = &set->waiters[turn->record];
	tni_set32(&waiter->number, turn->number);
	tni_set32(&waiter->needed, turn->needed);
	tni_set32(&waiter->change, (uint32_t)turn->change);
	tni_step();
	tni_set32(&waiter->owner, set->sync.object->participant + 1);
	if (is_new)
		tni_set64(&set->head->waits, tni_get64(&set->head->waits) + 1);
	return 0;
}

void tni_set_record_end(struct tni_set_turn *turn)
{
	if (turn->record != UINT32_MAX)
		tni_set32(&turn->set->waiters[turn->record].owner, 0);
	turn->record = UINT32_MAX;
}

bool tni_set_is_granted(struct tni_set_turn *turn)
{
	if (turn->record == UINT32_MAX ||
	    !(tni_get32(&turn->set->waiters[turn->record].owner) & TNI_SET_WAITER_GRANTED))
		return false;
	tni_set_record_end(turn);
	return true;
}

/* Whether it is worth while to look. */
static bool may_go_on(const struct tni_set_turn *turn)
{
	const struct tenon_semaphore_set *set = turn->set;

	return is_met(set, turn->number, turn->needed) || tni_get32(&set->head->removed) ||
	       (tni_get32(&set->waiters[turn->record].owner) & TNI_SET_WAITER_GRANTED);
}

/* For object/deaths.c. */
static bool are_there_claims(void *context)
{
	const struct tni_set_turn *turn = context;

	return tni_get32(&tni_turnstile(&turn->set->sync)->claims) != 0;
}

static void find_claims(void *context, uint64_t bits[TNI_BITMAP_WORDS])
{
	tni_turnstile_find(&((const struct tni_set_turn *)context)->set->sync, bits);
}

static int bring_back(void *context, int64_t deadline_ns)
{
	return tni_turnstile_bring_back(&((const struct tni_set_turn *)context)->set->sync,
					deadline_ns);
}

static bool must_not_sleep(void *context)
{
	return may_go_on(context);
}

/* Where who changes something was last seen on this very processor, spinning would keep him from it. */
static bool spin(const struct tni_set_turn *turn, int64_t deadline_ns)
{
	const struct tni_gate *gate = &turn->set->sync.cell->gate;
	int64_t now_ns = tni_clock_ns(CLOCK_MONOTONIC), end_ns = now_ns + SPIN_NS;

	while (now_ns < end_ns && now_ns < deadline_ns && tni_get32(&gate->cpu) != tni_cpu()) {
		for (uint32_t i = 0; i < SPIN_BURST; i++) {
			if (may_go_on(turn))
				return true;
			tni_pause();
		}
		now_ns = tni_clock_ns(CLOCK_MONOTONIC);
	}
	return false;
}

/* W2 to W5.  The pending entry names the gate's word. */
int tni_set_sleep(struct tni_set_turn *turn, int64_t deadline_ns)
{
	struct tni_sync *sync = &turn->set->sync;
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

	if (spin(turn, deadline_ns))
		return 0;
	tni_deaths_begin(&deaths);
	tni_sleep_begin(&sync->house, TNI_CLASS_BIT(TNI_CLASS_MESSAGE), &sleep);
	while (result >= 0) {
		tni_sleep_announce(&sync->house, &sleep);
		if (tni_gate_is_orphaned(&sync->cell->gate)) {
			result = tni_sync_heal(sync, turn->thread, deadline_ns);
			continue;
		}
		if (may_go_on(turn))
			break;
		result = tni_deaths_sleep(&deaths, &holders, &sleep, deadline_ns);
		/* The dead one owed wakes to others, too. */
		if (result == TNI_WOKEN_DEATH)
			tni_gatehouse_wake(&sync->house, TNI_CLASS_MESSAGE, TNI_EVERYBODY);
	}
	tni_sleep_end(&sync->house, &sleep);
	tni_deaths_end(&deaths, &holders, &sleep);
	return result < 0 ? result : 0;
}
