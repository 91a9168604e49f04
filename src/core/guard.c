/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Truncation by another process.  Whoever touches a page of a mapping that the file does not have
 * any more, or for which there is no memory left, is sent SIGBUS.  The handler here looks whether
 * the address is one that is guarded; if so it maps zeros of the process's own there, notes that,
 * and the program goes on.  Any other SIGBUS goes to the handler that was there before.
 *
 * What the handler looks at is a table that never moves: blocks of entries, linked at the end,
 * never freed.  A handler may run beside threads that change it, and in the midst of them, so it
 * takes no lock that they hold.
 *
 * ORD guard: an entry has a serial number, odd while the entry is changed.  Who changes it releases
 * what it wrote with the even one; the handler acquires that, and looks at the number again at the
 * end.  A block is released by the link that leads to it.
 *
 * Handlers of several threads come one after the other, by `at_it`, or one would map zeros over
 * what the other's thread has written to its zeros.  All signals are blocked there, so that nobody
 * waits for himself.  A process that was forked meanwhile finds the number of its parent there, and
 * passes.
 */

#include "core/guard.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "abi/object.h"

#define ENTRIES 64u

struct tni_guard {
	struct tni_a32 taken;
	struct tni_a32 serial;
	struct tni_a64 from, to; /* from 0: none */
	struct tni_a64 mended;	 /* what lies behind is zeros already */
	struct tni_a64 page_bytes, offset, inode;
	struct tni_a32 fd, protection;
	struct tni_apointer broken;
};

struct block {
	struct tni_guard entry[ENTRIES];
	struct tni_apointer next;
};

/* One entry, as it was at one moment. */
struct range {
	uint64_t from, to, mended, page_bytes, offset, inode;
	int fd, protection;
	struct tni_a32 *broken;
};

static struct block first;
static struct tni_a32 at_it; /* process whose handler is at it; 0 none */
static struct sigaction before;

/* False: it is being changed, or none. */
static bool read_entry(struct tni_guard *guard, struct range *range)
{
	uint32_t serial = tni_load_acquire32(&guard->serial); /* ORD(guard) */

	range->from = tni_get64(&guard->from);
	range->to = tni_get64(&guard->to);
	range->mended = tni_get64(&guard->mended);
	range->page_bytes = tni_get64(&guard->page_bytes);
	range->offset = tni_get64(&guard->offset);
	range->inode = tni_get64(&guard->inode);
	range->fd = (int)tni_get32(&guard->fd);
	range->protection = (int)tni_get32(&guard->protection);
	range->broken = tni_load_acquire_pointer(&guard->broken); /* ORD(guard) */
	return serial % 2 == 0 && range->from != 0 && tni_fetch_add32(&guard->serial, 0) == serial;
}

static struct tni_guard *find(uint64_t address, struct range *range)
{
	for (struct block *block = &first; block;
	     block = tni_load_acquire_pointer(&block->next)) { /* ORD(guard) */
		for (uint32_t i = 0; i < ENTRIES; i++)
			if (read_entry(&block->entry[i], range) && address >= range->from &&
			    address < range->to)
				return &block->entry[i];
	}
	return NULL;
}

/* Without touching it: the kernel looks at the signals to be set before it looks at how. */
static bool is_there(uint64_t page)
{
	return syscall(SYS_rt_sigprocmask, -1, page, NULL, 8) == 0 || errno != EFAULT;
}

static bool put_zeros(const struct range *range, uint64_t from, uint64_t to)
{
	return mmap((void *)(uintptr_t)from, to - from, range->protection,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0) != MAP_FAILED;
}

/* All that the file does not have, or this page alone.  False: the file has it, and there is no memory left. */
static bool mend(struct tni_guard *guard, const struct range *range, uint64_t address)
{
	uint64_t page = address & ~(range->page_bytes - 1), start = range->from, end;
	struct stat status;

	if (is_there(address))
		return true;
	if (fstat(range->fd, &status) != 0 || (range->inode && range->inode != status.st_ino)) {
		tni_set32(range->broken, 1);
		return put_zeros(range, page, page + range->page_bytes);
	}
	end = ((uint64_t)status.st_size + range->page_bytes - 1) & ~(range->page_bytes - 1);
	if (range->inode && page - range->from + range->offset < end)
		return false;
	tni_set32(range->broken, 1);
	if (end > range->offset)
		start += end - range->offset;
	if (page < start || page >= range->mended || !put_zeros(range, start, range->mended))
		return put_zeros(range, page, page + range->page_bytes);
	tni_set64(&guard->mended, start);
	return true;
}

static bool mend_alone(uint64_t page)
{
	uint32_t pid = (uint32_t)getpid(), other = 0;
	struct tni_guard *guard;
	struct range range;
	bool is_mended;

	while (!tni_cas32(&at_it, &other, pid)) {
		if (other != pid && tni_cas32(&at_it, &other, pid))
			break;
		other = 0;
		tni_pause();
	}
	guard = find(page, &range);
	is_mended = guard && mend(guard, &range, page);
	tni_store_release32(&at_it, 0); /* ORD(guard) */
	return is_mended;
}

/* As if the signal had found the handler that was there before. */
static void pass_on(int number, siginfo_t *info, void *context)
{
	const ucontext_t *interrupted = context;
	sigset_t mask;

	if (before.sa_handler == SIG_IGN && info->si_code <= 0)
		return;
	if (before.sa_handler == SIG_DFL || before.sa_handler == SIG_IGN) {
		signal(number, SIG_DFL);
		/* A fault comes again by itself, one that was sent does not. */
		if (info->si_code <= 0)
			raise(number);
		return;
	}
	sigorset(&mask, &interrupted->uc_sigmask, &before.sa_mask);
	if (!(before.sa_flags & SA_NODEFER))
		sigaddset(&mask, number);
	pthread_sigmask(SIG_SETMASK, &mask, NULL);
	if (before.sa_flags & SA_SIGINFO)
		before.sa_sigaction(number, info, context);
	else
		before.sa_handler(number);
}

bool tni_guard_mend(const siginfo_t *info)
{
	uint64_t page = (uintptr_t)info->si_addr & ~(uint64_t)(TNI_PAGE_BYTES - 1);
	struct range range;
	sigset_t all, mask;
	int error = errno;
	bool is_mended;

	if (info->si_code != BUS_ADRERR || !find(page, &range))
		return false;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &mask);
	is_mended = mend_alone(page);
	pthread_sigmask(SIG_SETMASK, &mask, NULL);
	errno = error;
	return is_mended;
}

static void on_signal(int number, siginfo_t *info, void *context)
{
	uint64_t page = (uintptr_t)info->si_addr & ~(uint64_t)(TNI_PAGE_BYTES - 1);
	int error = errno;
	struct range range;

	if (info->si_code != BUS_ADRERR || !find(page, &range) || !mend_alone(page))
		pass_on(number, info, context);
	errno = error;
}

void tni_guard_before(struct sigaction *action)
{
	if (action->sa_sigaction == on_signal)
		*action = before;
}

static void install(void)
{
	struct sigaction action = {.sa_sigaction = on_signal,
				   .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART};

	sigfillset(&action.sa_mask);
	/* Known before it may be needed. */
	sigaction(SIGBUS, NULL, &before);
	sigaction(SIGBUS, &action, NULL);
}

/* One that nobody has; NULL: there is no memory for more of them. */
static struct tni_guard *claim(void)
{
	struct block *block = &first;

	for (;;) {
		struct block *next, *fresh;

		for (uint32_t i = 0; i < ENTRIES; i++) {
			uint32_t taken = 0;

			if (tni_get32(&block->entry[i].taken) == 0 &&
			    tni_cas32(&block->entry[i].taken, &taken, 1))
				return &block->entry[i];
		}
		next = tni_load_acquire_pointer(&block->next); /* ORD(guard) */
		if (!next) {
			fresh = calloc(1, sizeof(*fresh));
			if (!fresh)
				return NULL;
			if (tni_cas_pointer(&block->next, NULL, fresh))
				next = fresh;
			else
				free(fresh);
		}
		if (next)
			block = next;
	}
}

static struct tni_guard *add(const struct range *range)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct tni_guard *guard;

	pthread_once(&once, install);
	guard = claim();
	if (!guard)
		return NULL;
	tni_fetch_add32(&guard->serial, 1);
	tni_set64(&guard->from, range->from);
	tni_set64(&guard->to, range->to);
	tni_set64(&guard->mended, range->to);
	tni_set64(&guard->page_bytes, range->page_bytes);
	tni_set64(&guard->offset, range->offset);
	tni_set64(&guard->inode, range->inode);
	tni_set32(&guard->fd, (uint32_t)range->fd);
	tni_set32(&guard->protection, (uint32_t)range->protection);
	tni_store_release_pointer(&guard->broken, range->broken); /* ORD(guard) */
	tni_fetch_add32(&guard->serial, 1);
	return guard;
}

struct tni_guard *tni_guard_add_sparse(void *address, uint64_t bytes, int protection,
				       const struct tni_guard_file *file, struct tni_a32 *broken)
{
	const struct range range = {.from = (uintptr_t)address,
				    .to = (uintptr_t)address + bytes,
				    .page_bytes = file->page_bytes,
				    .offset = file->offset,
				    .inode = file->inode,
				    .fd = file->fd,
				    .protection = protection,
				    .broken = broken};

	return add(&range);
}

struct tni_guard *tni_guard_add(void *address, uint64_t bytes, int protection, int fd,
				uint64_t offset, struct tni_a32 *broken)
{
	const struct range range = {.from = (uintptr_t)address,
				    .to = (uintptr_t)address + bytes,
				    .page_bytes = TNI_PAGE_BYTES,
				    .offset = offset,
				    .fd = fd,
				    .protection = protection,
				    .broken = broken};

	return add(&range);
}

void tni_guard_remove(struct tni_guard *guard)
{
	if (!guard)
		return;
	tni_fetch_add32(&guard->serial, 1);
	tni_set64(&guard->from, 0);
	tni_fetch_add32(&guard->serial, 1);
	tni_store_release32(&guard->taken, 0); /* ORD(guard) */
}
