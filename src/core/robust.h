/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TNI_CORE_ROBUST_H
#define TNI_CORE_ROBUST_H

/* Words of an object in the robust list of a thread: what the kernel marks when the thread dies.
 * See core/robust.c. */

#include "abi/object.h"
#include "core/fault.h"
#include "core/thread.h"

/* Of glibc, and of every libc whose robust mutexes are shared with glibc's. */
#define TNI_ROBUST_OFFSET (-32)
/* The kernel follows 2048 entries of a list; some are libc's. */
#define TNI_ROBUST_MOST 1024u

/* The lowest bit of what leads to an entry: its word is a futex with priority inheritance. */
#define TNI_ROBUST_INHERIT 1u

/* One word and its entry.  Plain memory of the process. */
struct tni_hold {
	struct tni_hold *next; /* for who keeps it */
	void **entry;
	uint32_t mark; /* TNI_ROBUST_INHERIT or 0 */
	/* The thread that has claimed it, and in whose list it is, or was when it ended; serial 0:
	 * in none yet. */
	struct tni_a32 serial;
	uint32_t tid, generation;
};

/* Where the entry of a word lies that was mapped like that. */
static inline void **tni_robust_entry(const struct tni_a32 *word)
{
	return (void **)((uintptr_t)word - TNI_ROBUST_OFFSET);
}

/* An entry is named by where its next pointer is; the pointer before that leads back. */
static inline void **tni_robust_previous(void *entry)
{
	return (void **)((uintptr_t)entry & ~(uintptr_t)TNI_ROBUST_INHERIT) - 1;
}

/* Puts an entry in.  The thread's pending entry names the word. */
static inline void tni_robust_put_in(struct tni_thread *thread, void **entry, uint32_t mark)
{
	struct robust_list *head = &thread->robust->list;
	void *first = head->next;

	entry[0] = first;
	entry[-1] = head;
	tni_step();
	if (first != head)
		*tni_robust_previous(first) = entry;
	*(void *volatile *)&head->next = (char *)entry + mark;
	tni_step();
	thread->entries++;
}

/* Takes an entry of the thread's own list out. */
static inline void tni_robust_take_out(struct tni_thread *thread, void **entry)
{
	void **previous = entry[-1], *next = entry[0];

	*(void *volatile *)previous = next;
	tni_step();
	if (next != (void *)&thread->robust->list)
		*tni_robust_previous(next) = previous;
	thread->entries--;
}

/* Whether the thread may put something in: its list is of the right kind, and has room. */
static inline bool tni_robust_has_room(const struct tni_thread *thread)
{
	return thread->robust->futex_offset == TNI_ROBUST_OFFSET &&
	       thread->entries < TNI_ROBUST_MOST;
}

/* Maps the page of `word`, whose first byte `page` is, once more.  NULL: there is no memory. */
struct tni_hold *tni_hold_make(void *page, const struct tni_a32 *word);

/* The word, in that mapping. */
static inline struct tni_a32 *tni_hold_word(const struct tni_hold *hold)
{
	return (struct tni_a32 *)((uintptr_t)hold->entry + TNI_ROBUST_OFFSET);
}

/* It is the thread's from now on, and in no list yet.  Locked. */
static inline void tni_hold_claim(struct tni_hold *hold, const struct tni_thread *thread)
{
	hold->tid = thread->tid;
	hold->generation = thread->generation;
	tni_set32(&hold->serial, 0);
}

/* Into the list of the thread that has claimed it, and whose pending entry names the word. */
static inline void tni_hold_put_in(struct tni_hold *hold, struct tni_thread *thread)
{
	tni_robust_put_in(thread, hold->entry, hold->mark);
	tni_set32(&hold->serial, thread->serial);
}

/* Frees it, once it is in no list: at once, if it is in none or in the calling thread's, and the
 * thread is not in the midst of something; else when its thread comes by or has ended.  Locked. */
void tni_hold_free(struct tni_hold *hold, struct tni_thread *thread);

/* Frees what can be of what was left.  Locked. */
void tni_hold_clear(struct tni_thread *thread);

/* Whether its thread has ended, and another may have it.  Of this process. */
bool tni_hold_is_idle(const struct tni_hold *hold);

/* For the two above, and around fork(2). */
void tni_robust_lock(void);
void tni_robust_unlock(void);
void tni_robust_renew(void);

#endif
