/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Waiting for a set of semaphores.  Who cannot do its list writes down, under the gate, which semaphore it waits for and
 * what that has to be: a record.  Whoever unlocks the gate looks at the records, and wakes if a value is as one of them
 * needs it, whether or not it was this very operation that made it so.  The sleeper then locks the gate and looks at its
 * list from the beginning.  It sleeps as at any turnstile (object/turnstile.c), of whose word only SLEEPERS says anything
 * here.
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

#include "object/semaphore_set.h"

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

	if (!tni_object_is_attached(set->sync.object, participant)) {
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

/* Whether it is worth while to look: for struct tni_turn. */
bool tni_set_may_go_on(const struct tni_turn *of, uint64_t word)
{
	const struct tni_set_turn *turn = (const struct tni_set_turn *)of;
	const struct tenon_semaphore_set *set = turn->set;

	(void)word;
	return is_met(set, turn->number, turn->needed) || tni_get32(&set->head->removed) ||
	       (tni_get32(&set->waiters[turn->record].owner) & TNI_SET_WAITER_GRANTED);
}
