/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A thread's robust list is libc's as much as ours: both put entries in at its front, and take them out
 * by the pointers of their neighbours.  An entry lies 32 bytes behind its word (`futex_offset`), and
 * libc and the kernel follow what is written there; in shared memory another process could lead them
 * astray.  So a word that is to go into a list lies at the very end of a page of its object, and each
 * process maps that page once more, with a page of its own behind: the entry is private.
 *
 *	page of the object	+ 4096 - 24		words of three
 *	page of its own		+ 4096 + 8 + 8 × slot	entry: previous before, next at it
 *
 * Only the thread itself can take an entry out of its list.  What another one frees stays, with a page of
 * no file under it, until its thread comes by or has ended (`left`).  Threads are told apart by serial
 * numbers of our own: the kernel gives the id of one that ended to the next.
 */

#include "core/robust.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAIR_BYTES (2u * TNI_PAGE_BYTES)

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct tni_hold *left; /* which their threads have yet to take out */

void tni_robust_lock(void)
{
	pthread_mutex_lock(&mutex);
}

void tni_robust_unlock(void)
{
	pthread_mutex_unlock(&mutex);
}

void tni_robust_renew(void)
{
	pthread_mutex_init(&mutex, NULL);
}

/* Of the same open file description as the first mapping, which has no locks. */
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

static uint8_t *pages_of(const struct tni_hold *hold)
{
	return (uint8_t *)((uintptr_t)hold->entry & ~(uintptr_t)(TNI_PAGE_BYTES - 1)) -
	       TNI_PAGE_BYTES;
}

struct tni_hold *tni_hold_make(void *page, const struct tni_a32 *word)
{
	struct tni_hold *hold = calloc(1, sizeof(*hold));
	uint8_t *pages = hold ? map_pair(page) : NULL;
	uint64_t offset = (uint64_t)((const uint8_t *)word - (uint8_t *)page);

	if (!pages) {
		free(hold);
		return NULL;
	}
	hold->entry = (void **)(pages + offset - TNI_ROBUST_OFFSET);
	return hold;
}

bool tni_hold_is_idle(const struct tni_hold *hold)
{
	return syscall(SYS_tgkill, getpid(), hold->tid, 0) != 0 && errno == ESRCH;
}

/* False: it is in a list, or may be; libc, or a call that this one interrupted, may be at it. */
static bool take_out(struct tni_hold *hold, struct tni_thread *thread)
{
	if (tni_get32(&hold->serial) == 0 || hold->generation != thread->generation)
		return true;
	if (tni_get32(&hold->serial) != thread->serial)
		return tni_hold_is_idle(hold);
	if (tni_pending_get(thread))
		return false;
	tni_robust_take_out(thread, hold->entry);
	return true;
}

/* In a child the parent's lists are copies that nobody follows, as a rule: the pages stay. */
static void destroy(struct tni_hold *hold, const struct tni_thread *thread)
{
	if (tni_get32(&hold->serial) == 0 || hold->generation == thread->generation)
		munmap(pages_of(hold), PAIR_BYTES);
	free(hold);
}

void tni_hold_clear(struct tni_thread *thread)
{
	struct tni_hold **place = &left;

	while (*place) {
		struct tni_hold *one = *place;

		if (!take_out(one, thread)) {
			place = &one->next;
			continue;
		}
		*place = one->next;
		destroy(one, thread);
	}
}

/* Nobody writes to the page of no file that comes under the entry; where there is not even that, the
 * object's file stays mapped. */
void tni_hold_free(struct tni_hold *hold, struct tni_thread *thread)
{
	if (take_out(hold, thread)) {
		destroy(hold, thread);
		return;
	}
	(void)!mmap(pages_of(hold), TNI_PAGE_BYTES, PROT_READ,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	hold->next = left;
	left = hold;
}
