/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A page that the kernel empties in the child of every fork (MADV_WIPEONFORK) tells, at the price of
 * one load, that thread ids and attachments have to be looked up again.  Unlike an atfork handler it
 * also sees _Fork and raw clone.
 *
 * Whoever asks first makes the page, and of several one: by a compare-and-swap and not by pthread_once(3), since what
 * stands in for libc asks before the runtime of a sanitizer is ready, which has a pthread_once of its own.
 *
 * ORD fork: the first thread that calls releases the mark with the page it points to, and the others
 * acquire it.
 */

#include "core/thread.h"

#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/robust.h"

__thread struct tni_thread tni_thread_self_;
/* Both stay 0: nobody has asked yet; and where no page can be had, every call takes the slow way and compares the
 * process id. */
static struct tni_a32 not_made, no_mark;
struct tni_apointer tni_fork_mark_ = {&not_made};
static struct tni_a32 generations; /* that there were, of this process and those it comes from */

static struct tni_a32 generation_pid;
static struct tni_a32 serials;

static void make_mark(void)
{
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (page != MAP_FAILED && madvise(page, 4096, MADV_WIPEONFORK) != 0) {
		munmap(page, 4096);
		page = MAP_FAILED;
	}
	if (page == MAP_FAILED)
		(void)tni_cas_pointer(&tni_fork_mark_, &not_made, &no_mark);
	else if (!tni_cas_pointer(&tni_fork_mark_, &not_made, page)) /* ORD(fork) */
		munmap(page, 4096);
}

uint32_t tni_process_generation(void)
{
	struct tni_a32 *mark = tni_fork_mark();
	uint32_t value;

	if (mark == &not_made) {
		make_mark();
		mark = tni_fork_mark();
	}
	if (mark == &no_mark) {
		uint32_t pid = (uint32_t)getpid();

		if (pid != tni_get32(&generation_pid) || tni_get32(&generations) == 0) {
			tni_set32(&generation_pid, pid);
			tni_fetch_add32(&generations, 1);
		}
		return tni_get32(&generations);
	}
	/* The mark is the number: whichever thread comes first, all have the same one. */
	value = tni_get32(mark);
	if (value == 0) {
		uint32_t fresh = 1 + tni_fetch_add32(&generations, 1);

		if (tni_cas32(mark, &value, fresh))
			value = fresh;
	}
	return value;
}

/* libc registers a list for every thread it makes; a thread that somebody else made has none. */
static struct robust_list_head *robust_list(void)
{
	static __thread struct robust_list_head own;
	struct robust_list_head *head = NULL;
	size_t bytes = 0;

	if (syscall(SYS_get_robust_list, 0, &head, &bytes) == 0 && head)
		return head;
	own.list.next = &own.list;
	own.futex_offset = TNI_ROBUST_OFFSET;
	own.list_op_pending = NULL;
	syscall(SYS_set_robust_list, &own, sizeof(own));
	return &own;
}

bool tni_memory_is_borrowed(void)
{
	static struct tni_a64 known; /* generation and process */
	uint64_t pid = (uint32_t)getpid(), generation = tni_process_generation();
	uint64_t seen = tni_get64(&known);

	if (seen >> 32 != generation) {
		seen = generation << 32 | pid;
		tni_set64(&known, seen);
	}
	return (uint32_t)seen != pid;
}

struct tni_thread *tni_thread_refresh(void)
{
	struct tni_thread *self = &tni_thread_self_;
	uint32_t generation = tni_process_generation();

	if (self->generation != generation) {
		self->tid = (uint32_t)syscall(SYS_gettid);
		self->robust = robust_list();
		self->serial = 1 + tni_fetch_add32(&serials, 1);
		self->entries = 0;
		self->at_stakes = false;
		self->generation = generation;
	}
	return self;
}

uint32_t tni_cpu_slow(void)
{
	return (uint32_t)sched_getcpu() + 1;
}
