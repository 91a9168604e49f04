/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Stakes.  While a thread is in a call, its robust list's pending entry names a gate, and the kernel tells
 * sleepers of its death (core/gate.c).  Between calls a process may hold something too: a message under
 * lease.  For that each participant has a word of its own in the object's file, its stake, which lies in the
 * robust list of one of its threads for as long as it is attached.  When the process dies, the kernel
 * sets OWNER_DIED in the word and wakes one who sleeps on it.  Sleepers have the words of all who hold
 * stakes in their vector; the word changes, so nobody can miss it.
 *
 * The list is libc's as much as ours: both put entries in at its front, and take them out by the
 * pointers of their neighbours.  An entry lies 32 bytes behind its word (`futex_offset`), and libc and
 * the kernel follow what is written there; in shared memory another process could lead them astray.
 * So the word lies at the very end of a page, and in the address space of the process whose word it is, the
 * next page is the process's own: the entry is private.
 *
 *	base		base + 4096 - 24 …	base + 4096		base + 4096 + 8 + 8 × slot
 *	page of file	words of three		page of its own		entry: previous before, next at it
 *
 *	hold	S1 pending entry names the word	dies: nothing was held
 *		S2 word := thread id		dies: the kernel sees the pending entry
 *		S3 entry into the list		dies: the kernel sees it there
 *		S4 pending entry put back
 *	release	R1 word := 0			dies: nothing is held any more
 *		R2 entry out of the list
 *
 * Only the thread itself can take an entry out of its list.  If another one closes the object, the
 * entry stays, with a page of no file under it, until its thread comes by or has ended (`left`).
 *
 * If the thread ends and the process goes on, the kernel tells of the thread: sleepers look, find the
 * process alive, and look again from time to time until another thread of it takes something.
 */

#include "core/stake.h"

#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/file.h"

#define PAIR_BYTES (2u * TNI_PAGE_BYTES)
/* Of glibc, and of every libc whose robust mutexes are shared with glibc's. */
#define FUTEX_OFFSET (-32)

/* Entries that their threads have yet to take out. */
struct left {
	struct left *next;
	uint8_t *pages;
	void **entry;
	uint32_t tid, generation;
};

static struct left *left; /* under the caller's mutex */

static void **entry_of(const struct tni_a32 *word)
{
	return (void **)((uintptr_t)word - FUTEX_OFFSET);
}

/* An entry is named by where its next pointer is; the pointer before that leads back.  The lowest bit is
 * a mark of libc's. */
static void **previous_of(void *entry)
{
	return (void **)((uintptr_t)entry & ~(uintptr_t)1) - 1;
}

static void put_in(struct tni_thread *thread, void **entry)
{
	struct robust_list *head = &thread->robust->list;
	void *first = head->next;

	entry[0] = first;
	entry[-1] = head;
	tni_step();
	if (first != head)
		*previous_of(first) = entry;
	*(void *volatile *)&head->next = entry;
	tni_step();
}

static void take_out(struct tni_thread *thread, void **entry)
{
	void **previous = entry[-1], *next = entry[0];

	*(void *volatile *)previous = next;
	tni_step();
	if (next != (void *)&thread->robust->list)
		*previous_of(next) = previous;
}

/* A page of no file in the place of the object's. */
static void let_go_of_file(uint8_t *pages)
{
	if (mmap(pages, TNI_PAGE_BYTES, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
		abort(); /* cannot be: the range is mapped */
}

/* What this thread can take out, and what was of threads that have ended. */
static void clear_left(struct tni_thread *thread)
{
	struct left **place = &left;

	while (*place) {
		struct left *one = *place;
		bool is_own = one->generation == thread->generation;

		if (is_own && one->tid == thread->tid && !tni_pending_get(thread)) {
			take_out(thread, one->entry);
		} else if (is_own &&
			   (one->tid == thread->tid ||
			    syscall(SYS_tgkill, getpid(), one->tid, 0) == 0 || errno != ESRCH)) {
			place = &one->next;
			continue;
		}
		*place = one->next;
		/* In a child the parent's lists are copies that nobody follows, as a rule. */
		if (is_own)
			munmap(one->pages, PAIR_BYTES);
		free(one);
	}
}

static uint8_t *map_pair(int fd, uint64_t page_offset)
{
	uint8_t *pages = mmap(NULL, PAIR_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			      -1, 0);
	int own = -1;

	if (pages == MAP_FAILED)
		return NULL;
	/* Through a description without locks: a mapping keeps it. */
	if (tni_file_reopen(fd, &own) == 0 &&
	    mmap(pages, TNI_PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, own,
		 (off_t)page_offset) != MAP_FAILED) {
		close(own);
		return pages;
	}
	if (own >= 0)
		close(own);
	munmap(pages, PAIR_BYTES);
	return NULL;
}

/* The entry is in the list of another thread, or may be. */
static void leave_behind(struct tni_stake *stake)
{
	struct left *one = malloc(sizeof(*one));

	let_go_of_file(stake->pages);
	/* Without memory for a note the two pages stay: they must not go while a list leads there. */
	if (one) {
		*one = (struct left){.next = left,
				     .pages = stake->pages,
				     .entry = entry_of(stake->word),
				     .tid = stake->tid,
				     .generation = stake->generation};
		left = one;
	}
	stake->pages = NULL;
}

static int hold(struct tni_stake *stake, struct tni_thread *thread, int fd, uint64_t page_offset,
		uint32_t slot)
{
	uint8_t *pages;
	struct tni_a32 *word;

	if (thread->robust->futex_offset != FUTEX_OFFSET)
		return -ENOTSUP;
	if (tni_pending_get(thread))
		return -EBUSY;
	pages = map_pair(fd, page_offset);
	if (!pages)
		return -ENOMEM;
	word = (struct tni_a32 *)(pages + TNI_STAKE_FIRST_OFFSET + slot * TNI_STAKE_BYTES);
	tni_pending_set(thread, word);
	/* Who sleeps on it is woken without having said so. */
	tni_set32(word, thread->tid | TNI_STAKE_WAITERS);
	put_in(thread, entry_of(word));
	tni_pending_put(thread, NULL);
	*stake = (struct tni_stake){
		.pages = pages, .word = word, .tid = thread->tid, .generation = thread->generation};
	return 0;
}

/* Whether it is this process's: a child's handle has its parent's stake. */
static bool is_own(const struct tni_stake *stake, const struct tni_thread *thread)
{
	return stake->generation == thread->generation;
}

int tni_stake_hold(struct tni_stake *stake, struct tni_thread *thread, int fd, uint64_t page_offset,
		   uint32_t slot)
{
	clear_left(thread);
	if (tni_stake_is_held(stake))
		return 0;
	if (stake->pages)
		leave_behind(stake);
	return hold(stake, thread, fd, page_offset, slot);
}

void tni_stake_release(struct tni_stake *stake, struct tni_thread *thread)
{
	if (!stake->pages)
		return;
	if (is_own(stake, thread) && tni_stake_is_held(stake))
		tni_set32(stake->word, 0);
	if (is_own(stake, thread) && stake->tid == thread->tid && !tni_pending_get(thread)) {
		take_out(thread, entry_of(stake->word));
		munmap(stake->pages, PAIR_BYTES);
		stake->pages = NULL;
	} else {
		leave_behind(stake);
	}
}
