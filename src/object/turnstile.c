/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Turnstiles: what semaphores, events, conditions and barriers are made of.  A word of 64 bits says
 * who may pass; whoever passes, and whoever lets others pass, changes it by one compare-and-swap.  That is all
 * while nobody sleeps.
 *
 * Sleepers announce themselves in the word, too (SLEEPERS, and a count of announcements), so whoever changes it
 * knows whether somebody is to be woken.  They sleep by the rules of gates (core/gate.c), on the gate's word, which
 * nobody has to hold, and on the event of their class.
 *
 *	let	L1 no sleepers: word := next		dies: nothing is owed
 *	or	L1 row: owing + 1			dies: whoever buries it wakes all
 *		L2 event counted up			dies: the same
 *		L3 word := next				dies: the same
 *		L4 wakes				dies: the same
 *		L5 row: owing - 1
 *	wait	W1 row: waiting + 1			dies: the same
 *		W2 event read, SLEEPERS announced
 *		W3 asleep
 *		W4 woken				dies: the same: another one is woken
 *		W5 word := next: it has passed
 *		W6 row: waiting - 1
 *
 * L2 comes before L3, and both again when L3 fails: a sleeper that announced before L3 read the event before L2 was
 * done, so that it does not fall asleep any more (G2); one that announces behind it finds the new word.
 *
 * Who owes a wake, or may have been given one, has a stake in the object (core/stake.c).  All who sleep have it in
 * their vectors, and find it marked when they look, whoever the kernel woke: the pending entry alone would not do.  Its
 * one wake may hit a sleeper that is being woken by the event already, of which the kernel tells it instead; and if
 * somebody holds the gate just then, there is none.  (test/model/turnstile.pml has the runs.)  The pending entry names the
 * gate's word all the same: it tells where a stake could not be had.
 *
 * A wake that is meant for one can hit another who came meanwhile and may not pass, if that one has a higher priority, or
 * sleeps for more.  So whoever has woken looks whether somebody has announced since, and then wakes all.
 *
 * Claims.  What a process holds between its calls, and what is given back when it dies, stands in its row.  A change
 * of the word and of a row goes together, under the gate:
 *
 *	C1 the gate is locked
 *	C2 note := row and its new claim	dies: nothing happened
 *	C3 word := next, CLAIMING		dies: whoever repairs finds CLAIMING and does the rest
 *	C4 row's claim := the note's		dies: the same, once more
 *	C5 word: CLAIMING taken away		dies: all done
 *	C6 the gate is unlocked
 *
 * Those who pass without a claim, and without the gate, leave CLAIMING as it is.
 *
 * Where claims of the dead would let others pass (a barrier's), whoever claims gives those back first, between C1 and C2: it
 * may have looked for the dead before C4 was done for one of them, or have found somebody else at burying it.
 *
 * ORD turnstile: what was done before letting pass is released by the compare-and-swap on the word and acquired by
 * the one that passes, or by the load that finds that it may.
 */

#include "object/turnstile.h"

#include <errno.h>

#include "core/clock.h"

/* Takes the flags away, unless somebody has announced since the word was `before`. */
static void drop_flags(struct tni_turnstile *turnstile, uint64_t before)
{
	uint64_t word = tni_get64(&turnstile->word);

	while (((word ^ before) & TNI_TURNSTILE_EPOCH) == 0 && (word & TNI_TURNSTILE_SLEEPERS) &&
	       !tni_cas64(&turnstile->word, &word,
			  word & ~(TNI_TURNSTILE_SLEEPERS | TNI_TURNSTILE_WIDE)))
		;
}

static void note_cpu(struct tni_turnstile *turnstile)
{
	uint32_t cpu = tni_cpu();

	if (tni_get32(&turnstile->cpu) != cpu)
		tni_set32(&turnstile->cpu, cpu);
}

/* Of those who sleep for more than one of something nobody knows how many can go on. */
static uint32_t count_of(uint64_t word, int64_t count)
{
	if ((word & TNI_TURNSTILE_WIDE) || count > TNI_EVERYBODY)
		return TNI_EVERYBODY;
	return (uint32_t)count;
}

/* Behind a change of the word that was `before`, whose event has been counted. */
static void wake(struct tni_sync *sync, uint64_t before, int64_t count)
{
	uint32_t most = count_of(before, count);

	if (tni_event_wake(&sync->house, TNI_CLASS_MESSAGE, most) < most)
		drop_flags(tni_turnstile(sync), before);
	else if (((tni_turnstile_word(sync) ^ before) & TNI_TURNSTILE_EPOCH) != 0)
		tni_gatehouse_wake(&sync->house, TNI_CLASS_MESSAGE, TNI_EVERYBODY);
}

/* Who sleeps takes the stake of this process into its vector, or finds it marked: also who sleeps at another object that is
 * placed in the same region, since the kernel may tell this process of a death that is meant for that one. */
static void tell_of_stake(struct tni_sync *sync, const struct tni_thread *thread)
{
	if (__builtin_expect(tni_get32(&sync->object->told) == thread->generation, 1))
		return;
	tni_set32(&sync->object->told, thread->generation);
	sync->object->rouse(sync->object);
}

/* `row` may be NULL. */
static void begin_owing(struct tni_row *row)
{
	if (row)
		tni_fetch_add32(&row->owing, 1);
}

static void end_owing(struct tni_row *row)
{
	if (row)
		tni_fetch_add32(&row->owing, UINT32_MAX);
}

int tni_turnstile_let(struct tni_sync *sync, struct tni_thread *thread,
		      tni_turnstile_change *change, uint64_t argument, uint64_t *ret_before)
{
	struct tni_turnstile *turnstile = tni_turnstile(sync);
	uint64_t word = tni_get64(&turnstile->word), next;
	void *pending = tni_pending_get(thread);
	struct tni_row *row = sync->row;
	bool is_owing = false;
	int64_t count;

	do {
		count = change(sync, word, argument, &next, NULL);
		if (count < 0)
			break;
		if (!(word & TNI_TURNSTILE_SLEEPERS))
			count = 0;
		if (count > 0) {
			if (!is_owing) {
				/* What a signal handler has interrupted needs the entry, and the stake tells. */
				if (!pending || !tni_object_has_stake(sync->object, thread))
					tni_pending_set(thread, &sync->cell->gate.word);
				tell_of_stake(sync, thread);
				begin_owing(row);
			}
			is_owing = true;
			tni_event_count(&sync->house, TNI_CLASS_MESSAGE);
		}
		/* ORD(turnstile) */
	} while (!tni_cas64(&turnstile->word, &word, next));
	if (count >= 0)
		note_cpu(turnstile);
	if (count > 0)
		wake(sync, word, count);
	if (is_owing) {
		end_owing(row);
		tni_pending_put(thread, pending);
	}
	if (count >= 0 && ret_before)
		*ret_before = word;
	return count < 0 ? (int)count : 0;
}

static void end_claiming(struct tni_turnstile *turnstile)
{
	uint64_t word = tni_get64(&turnstile->word);

	tni_step();
	while (!tni_cas64(&turnstile->word, &word, word & ~TNI_TURNSTILE_CLAIMING))
		;
}

int tni_turnstile_repair(struct tni_sync *sync)
{
	struct tni_turnstile *turnstile = tni_turnstile(sync);
	uint64_t number = tni_get64(&turnstile->note_row);
	struct tni_row *row;

	if (!(tni_turnstile_word(sync) & TNI_TURNSTILE_CLAIMING))
		return 0;
	row = number < TNI_PARTICIPANTS_MAX ? tni_sync_row(sync, (uint32_t)number) : NULL;
	if (row)
		tni_set64(&row->claim, tni_get64(&turnstile->note_claim));
	end_claiming(turnstile);
	return row ? 0 : tni_sync_damaged(sync);
}

/* C2 to C5, under the gate.  Wakes like tni_turnstile_let(). */
static int change_both(struct tni_sync *sync, uint32_t participant, tni_turnstile_change *change,
		       uint64_t argument, uint64_t *ret_before)
{
	struct tni_turnstile *turnstile = tni_turnstile(sync);
	struct tni_row *row = &sync->rows[participant];
	uint64_t word = tni_get64(&turnstile->word), next, claim;
	int64_t count;

	tni_set64(&turnstile->note_row, participant);
	do {
		claim = tni_get64(&row->claim);
		count = change(sync, word, argument, &next, &claim);
		if (count < 0)
			return (int)count;
		tni_set64(&turnstile->note_claim, claim);
		tni_step();
		if (!(word & TNI_TURNSTILE_SLEEPERS))
			count = 0;
		if (count > 0)
			tni_event_count(&sync->house, TNI_CLASS_MESSAGE);
		/* ORD(turnstile) */
	} while (!tni_cas64(&turnstile->word, &word, next | TNI_TURNSTILE_CLAIMING));
	tni_step();
	tni_set64(&row->claim, claim);
	end_claiming(turnstile);
	note_cpu(turnstile);
	if (count > 0)
		wake(sync, word, count);
	if (ret_before)
		*ret_before = word;
	return 0;
}

/* Here, since letting pass may be a signal handler's, who cannot.  Whoever falls asleep from now on finds the
 * stake; if nobody sleeps, all know it. */
void tni_turnstile_attach(struct tni_sync *sync)
{
	struct tni_turnstile *turnstile = tni_turnstile(sync);
	struct tni_thread *thread = tni_thread_self();

	if (tni_object_ensure_stake(sync->object, thread))
		tni_set32(&sync->object->told, 0);
	tni_set32(&turnstile->claims, 1);
	/* ORD(turnstile): both ways, the stake before and the flag behind. */
	if (!sync->region && !(tni_fetch_or64(&turnstile->word, 0) & TNI_TURNSTILE_SLEEPERS))
		tni_set32(&sync->object->told, thread->generation);
}

void tni_turnstile_stake(struct tni_sync *sync, struct tni_thread *thread)
{
	struct tni_a32 *claims = &tni_turnstile(sync)->claims;

	if (!tni_object_has_stake(sync->object, thread) &&
	    tni_object_ensure_stake(sync->object, thread))
		tni_set32(&sync->object->told, 0);
	if (tni_get32(claims) == 0)
		tni_set32(claims, 1);
	tell_of_stake(sync, thread);
}

static int64_t give_back(const struct tni_sync *sync, uint64_t word, uint64_t argument,
			 uint64_t *ret_next, uint64_t *claim)
{
	(void)argument;
	*ret_next = sync->kind->give_back(sync, word, *claim);
	*claim = 0;
	return TNI_EVERYBODY;
}

bool tni_turnstile_is_left(struct tni_sync *sync, uint32_t participant)
{
	const struct tni_row *row = tni_sync_row(sync, participant);

	return row && tni_get64(&row->claim) != 0 && tni_object_is_dead(sync->object, participant);
}

/* Under the gate: of one who is buried, or left one, or the caller's own. */
static int give_back_claim(struct tni_sync *sync, uint32_t participant, struct tni_row *row)
{
	struct tni_turnstile *turnstile = tni_turnstile(sync);
	uint64_t word = tni_turnstile_word(sync);

	/* One that says nothing any more may say something again, much later. */
	if (sync->kind->claims_wait && tni_get32(&row->waiting) == 0)
		tni_set64(&row->claim, 0);
	if (tni_get64(&row->claim) == 0)
		return 0;
	if (sync->kind->give_back(sync, word, tni_get64(&row->claim)) != word)
		tni_set64(&turnstile->given_back, tni_get64(&turnstile->given_back) + 1);
	return change_both(sync, participant, give_back, 0, NULL);
}

/* Under the gate.  Whoever had it before may have found claims that no row said, and others may not have come to burying the
 * dead. */
static int give_back_all(struct tni_sync *sync)
{
	int result = 0;

	for (uint32_t i = 0; result == 0 && i < tni_object_participants_top(sync->object); i++)
		if (!tni_object_is_vouched(sync->object, i) && tni_turnstile_is_left(sync, i))
			result = give_back_claim(sync, i, tni_sync_row(sync, i));
	return result;
}

int tni_turnstile_claim(struct tni_sync *sync, struct tni_thread *thread,
			tni_turnstile_change *change, uint64_t argument, int64_t deadline_ns,
			uint64_t *ret_before)
{
	struct tni_row *row = tni_sync_own_row(sync);
	void *pending = tni_pending_get(thread);
	int result;

	if (!row)
		return -ENOSPC;
	tni_turnstile_stake(sync, thread);
	result = tni_sync_lock(sync, thread, pending, deadline_ns);
	/* Who does not want to wait for a turn waits for the gate: it is not held for long. */
	if (result == -ETIMEDOUT)
		result = tni_sync_lock(sync, thread, pending, tni_grace_ns());
	if (result != 0)
		return result;
	begin_owing(row);
	if (sync->kind->claims_wait)
		result = give_back_all(sync);
	if (result == 0)
		result = change_both(sync, sync->object->participant, change, argument, ret_before);
	end_owing(row);
	tni_sync_unlock(sync, thread, pending);
	return result;
}

bool tni_turnstile_next_user(struct tni_sync *sync, struct tni_turnstile_user *user)
{
	while (tni_sync_next_user(sync, &user->at)) {
		const struct tni_row *row = tni_sync_row(sync, user->at.participant);

		user->waiting = row ? tni_get32(&row->waiting) : 0;
		if (user->waiting == 0 && (user->at.asleep & TNI_CLASS_BIT(TNI_CLASS_MESSAGE)))
			user->waiting = 1;
		user->wanted = row && user->waiting > 0 ? tni_get32(&row->wanted) : 0;
		user->claim = row ? tni_get64(&row->claim) : 0;
		if (user->waiting > 0 || user->claim != 0)
			return true;
	}
	return false;
}

void tni_turnstile_pay(struct tni_sync *sync, struct tni_row *row)
{
	if (tni_get32(&row->owing) == 0 && tni_get32(&row->waiting) == 0)
		return;
	tni_gatehouse_wake(&sync->house, TNI_CLASS_MESSAGE, TNI_EVERYBODY);
	tni_set32(&row->owing, 0);
	tni_set32(&row->waiting, 0);
}

int tni_turnstile_give_back(struct tni_sync *sync, uint32_t participant, int64_t deadline_ns)
{
	struct tni_thread *thread = tni_thread_self();
	void *pending = tni_pending_get(thread);
	struct tni_row *row;
	int result;

	if (tni_get32(&tni_turnstile(sync)->claims) == 0)
		return 0;
	row = tni_sync_row(sync, participant);
	if (!row)
		return -ENOSPC;
	result = tni_sync_lock(sync, thread, pending, deadline_ns);
	if (result != 0)
		return result;
	result = give_back_claim(sync, participant, row);
	tni_turnstile_pay(sync, row);
	tni_sync_unlock(sync, thread, pending);
	return result;
}

int tni_turnstile_help(struct tni_sync *sync, uint32_t participant, int64_t deadline_ns)
{
	struct tni_thread *thread = tni_thread_self();
	void *pending = tni_pending_get(thread);
	int result = tni_sync_lock(sync, thread, pending, deadline_ns);

	if (result != 0)
		return result;
	if (tni_turnstile_is_left(sync, participant)) {
		struct tni_row *row = tni_sync_row(sync, participant);

		result = give_back_claim(sync, participant, row);
		tni_turnstile_pay(sync, row);
		if (result == 0)
			result = tni_get64(&row->claim) == 0;
	}
	tni_sync_unlock(sync, thread, pending);
	return result;
}
