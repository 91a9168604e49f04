/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Stakes.  While a thread is in a call, its robust list's pending entry names a gate, and the kernel tells
 * sleepers of its death (core/gate.c).  Between calls a process may hold something too: a message under
 * lease.  For that each participant has a word of its own in the object's file, its stake, which lies in the
 * robust list of one of its threads for as long as it is attached.  When the process dies, the kernel
 * sets OWNER_DIED in the word and wakes one who sleeps on it.  Sleepers have the words of all who hold
 * stakes in their vector; the word changes, so nobody can miss it.
 *
 * How a word in shared memory gets into a list, and where its entry is: core/robust.c.
 *
 *	hold	S1 pending entry names the word	dies: nothing was held
 *		S2 word := thread id		dies: the kernel sees the pending entry
 *		S3 entry into the list		dies: the kernel sees it there
 *		S4 pending entry put back
 *	release	R1 word := 0, if it is the own	dies: nothing is held any more
 *		R2 entry out of the list
 *
 * If the thread ends and the process goes on, other threads of it that sleep at the object take the stake before
 * (core/registry.c).  If there is none, the kernel tells of the thread: sleepers look, find the process alive, and look
 * again from time to time until a thread of it takes something.
 *
 * From one thread to another:
 *
 *	T1 word := the new one's id, pending	dies: the kernel sees the old entry before, the pending one behind
 *	T2 entry into the new one's list	dies: the kernel sees it there
 *	T3 old entry out of its list, or a page of no file under it
 */

#include "core/stake.h"

#include <errno.h>

#include "core/robust.h"

static int put_word_in(struct tni_stake *stake, struct tni_thread *thread, uint8_t *page,
		       struct tni_a32 *word)
{
	struct tni_hold *hold;

	if (thread->robust->futex_offset != TNI_ROBUST_OFFSET)
		return -ENOTSUP;
	if (tni_pending_get(thread) || !tni_robust_has_room(thread))
		return -EBUSY;
	hold = tni_hold_make(page, word);
	if (!hold)
		return -ENOMEM;
	tni_hold_claim(hold, thread);
	tni_pending_set(thread, tni_hold_word(hold));
	/* Who sleeps on it is woken without having said so.  By the mapping that may be guarded. */
	tni_set32(word, thread->tid | TNI_STAKE_WAITERS);
	tni_hold_put_in(hold, thread);
	tni_pending_put(thread, NULL);
	stake->hold = hold;
	stake->word = word;
	tni_set32(&stake->had, thread->generation);
	tni_set64(&stake->held, thread->tid | (uint64_t)thread->generation << 32);
	return 1;
}

int tni_stake_hold(struct tni_stake *stake, struct tni_thread *thread, void *page,
		   struct tni_a32 *word)
{
	struct tni_hold *before;
	int result = 0;

	if (thread->at_stakes)
		return -EBUSY;
	thread->at_stakes = true;
	tni_step();
	tni_robust_lock();
	tni_hold_clear(thread);
	if (!tni_stake_is_held(stake, thread, word)) {
		before = stake->hold;
		result = put_word_in(stake, thread, page, word);
		if (result > 0 && before)
			tni_hold_free(before, thread);
	}
	tni_robust_unlock();
	tni_step();
	thread->at_stakes = false;
	return result;
}

bool tni_stake_leave(struct tni_stake *stake, const struct tni_thread *thread)
{
	uint64_t held = thread->tid | (uint64_t)thread->generation << 32;

	return tni_cas64(&stake->held, &held, 0);
}

void tni_stake_release(struct tni_stake *stake, struct tni_thread *thread, bool is_cut)
{
	bool is_nested = thread->at_stakes;

	thread->at_stakes = true;
	tni_step();
	tni_robust_lock();
	if (stake->hold) {
		uint32_t own = stake->hold->tid | TNI_STAKE_WAITERS;

		if (stake->hold->generation == thread->generation && !is_cut)
			tni_cas32(stake->word, &own, 0);
		tni_hold_free(stake->hold, thread);
		stake->hold = NULL;
		tni_set64(&stake->held, 0);
	}
	tni_robust_unlock();
	tni_step();
	thread->at_stakes = is_nested;
}
