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
 *	pages		+ 4096 - 24		+ 4096			+ 4096 + 8 + 8 × slot
 *	page of file	words of three		page of its own		entry: previous before, next at it
 *
 *	hold	S1 pending entry names the word	dies: nothing was held
 *		S2 word := thread id		dies: the kernel sees the pending entry
 *		S3 entry into the list		dies: the kernel sees it there
 *		S4 pending entry put back
 *	release	R1 word := 0, if it is the own	dies: nothing is held any more
 *		R2 entry out of the list
 *
 * Only the thread itself can take an entry out of its list.  If another one closes the object, the
 * entry stays, with a page of no file under it, until its thread comes by or has ended (`left`).  Threads
 * are told apart by serial numbers of our own: the kernel gives the id of one that ended to the next.
 *
 * If the thread ends and the process goes on, the kernel tells of the thread: sleepers look, find the
 * process alive, and look again from time to time until another thread of it takes something.
 */

#include "core/stake.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAIR_BYTES (2u * TNI_PAGE_BYTES)
/* Of glibc, and of every libc whose robust mutexes are shared with glibc's. */
#define FUTEX_OFFSET (-32)

/* Entries that their threads have yet to take out. */
struct left {
	struct left *next;
	uint8_t *pages;
	void **entry;
	uint32_t tid, serial, generation;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct left *left;

void tni_stake_lock(void)
{
	pthread_mutex_lock(&mutex);
}

void tni_stake_unlock(void)
{
	pthread_mutex_unlock(&mutex);
}

void tni_stake_renew(void)
{
	pthread_mutex_init(&mutex, NULL);
}

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

/* False: libc, or a call that this one interrupted, may be at the list. */
static bool take_out(struct tni_thread *thread, void **entry)
{
	void **previous = entry[-1], *next = entry[0];

	if (tni_pending_get(thread))
		return false;
	*(void *volatile *)previous = next;
	tni_step();
	if (next != (void *)&thread->robust->list)
		*previous_of(next) = previous;
	return true;
}

static bool has_ended(uint32_t tid)
{
	return syscall(SYS_tgkill, getpid(), tid, 0) != 0 && errno == ESRCH;
}

/* What this thread can take out, and what was of threads that have ended. */
static void clear_left(struct tni_thread *thread)
{
	struct left **place = &left;

	while (*place) {
		struct left *one = *place;
		bool is_own = one->generation == thread->generation;

		if (is_own && !(one->serial == thread->serial ? take_out(thread, one->entry)
							      : has_ended(one->tid))) {
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

/* A second mapping of the word's page, of the same open file description (which has no locks), and a page
 * of this process's own behind it. */
static uint8_t *map_pair(void *page)
{
	uint8_t *pages = mmap(NULL, PAIR_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			      -1, 0);

	if (pages == MAP_FAILED)
		return NULL;
	if (mremap(page, 0, TNI_PAGE_BYTES, MREMAP_MAYMOVE | MREMAP_FIXED, pages) != MAP_FAILED)
		return pages;
	/* The first page may be somebody else's by now. */
	munmap(pages + TNI_PAGE_BYTES, TNI_PAGE_BYTES);
	return NULL;
}

/* The entry is in the list of another thread, or may be.  Nobody writes to the page of no file that comes
 * under it; where there is not even that, the object's file stays mapped. */
static void leave_behind(struct tni_stake *stake)
{
	struct left *one = malloc(sizeof(*one));
	uint64_t held = tni_get64(&stake->held);

	(void)!mmap(stake->pages, TNI_PAGE_BYTES, PROT_READ,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	/* Without memory for a note the two pages stay: they must not go while a list leads there. */
	if (one) {
		*one = (struct left){.next = left,
				     .pages = stake->pages,
				     .entry = entry_of(stake->word),
				     .tid = (uint32_t)held,
				     .serial = stake->serial,
				     .generation = (uint32_t)(held >> 32)};
		left = one;
	}
	stake->pages = NULL;
	tni_set64(&stake->held, 0);
}

static int put_word_in(struct tni_stake *stake, struct tni_thread *thread, uint8_t *page,
		       struct tni_a32 *word)
{
	uint8_t *pages;

	if (thread->robust->futex_offset != FUTEX_OFFSET)
		return -ENOTSUP;
	if (tni_pending_get(thread))
		return -EBUSY;
	pages = map_pair(page);
	if (!pages)
		return -ENOMEM;
	word = (struct tni_a32 *)(pages + ((uint8_t *)word - page));
	tni_pending_set(thread, word);
	/* Who sleeps on it is woken without having said so. */
	tni_set32(word, thread->tid | TNI_STAKE_WAITERS);
	put_in(thread, entry_of(word));
	tni_pending_put(thread, NULL);
	stake->pages = pages;
	stake->word = word;
	stake->serial = thread->serial;
	tni_set64(&stake->held, thread->tid | (uint64_t)thread->generation << 32);
	return 1;
}

int tni_stake_hold(struct tni_stake *stake, struct tni_thread *thread, void *page,
		   struct tni_a32 *word)
{
	int result = 0;

	if (thread->at_stakes)
		return -EBUSY;
	thread->at_stakes = true;
	tni_step();
	pthread_mutex_lock(&mutex);
	clear_left(thread);
	if (!tni_stake_is_held(stake, thread, word)) {
		if (stake->pages)
			leave_behind(stake);
		result = put_word_in(stake, thread, page, word);
	}
	pthread_mutex_unlock(&mutex);
	tni_step();
	thread->at_stakes = false;
	return result;
}

void tni_stake_release(struct tni_stake *stake, struct tni_thread *thread)
{
	bool is_nested = thread->at_stakes;

	thread->at_stakes = true;
	tni_step();
	pthread_mutex_lock(&mutex);
	if (stake->pages) {
		uint64_t held = tni_get64(&stake->held);
		uint32_t own = (uint32_t)held | TNI_STAKE_WAITERS;
		bool is_own = held >> 32 == thread->generation;

		if (is_own)
			tni_cas32(stake->word, &own, 0);
		if (is_own && stake->serial == thread->serial &&
		    take_out(thread, entry_of(stake->word))) {
			munmap(stake->pages, PAIR_BYTES);
			stake->pages = NULL;
			tni_set64(&stake->held, 0);
		} else {
			leave_behind(stake);
		}
	}
	pthread_mutex_unlock(&mutex);
	tni_step();
	thread->at_stakes = is_nested;
}
