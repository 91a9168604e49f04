/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A signal handler may interrupt a call of this library in the same thread and call in itself.  If the thread
 * holds a gate, or a mutex of this process, at that moment, the handler would wait for itself.  Under the preload
 * library, through which all of a program's handlers are run (src/preload/signal.c), it waits instead until the
 * call is at rest: at its end, or where it goes to sleep.
 *
 *	D1	a call begins: `deferring` is counted up
 *	D2	a signal comes: its handler, ours, blocks all signals for the interrupted context, notes what
 *		was blocked before, and sends the thread the same signal with the same siginfo once more: the kernel
 *		keeps it, in the order it has for those that wait
 *	D3	the call ends, or goes to sleep without a gate: what was blocked before is blocked again, and the
 *		kernel runs the handlers
 *
 * The whole of the call is covered and not the gates alone: so there is no instruction of it at which a handler
 * could find a mutex or an allocator locked, and gates need not know of signals.  It costs two plain stores
 * a call.
 *
 * A signal that comes between D2's handler and its first system call does the same once more, inside; what was
 * blocked before is what was in both.
 *
 * From D2 to D3 the thread has all signals blocked but those that libc needs for itself; it does not sleep for
 * long, as every sleep of a call goes through tni_words_wait().  Faults are never put off.  A thread that is cancelled
 * leaves its call at D3.  Whoever dies in between is dead, with his signals; who is forked by a handler is at rest.
 *
 * A handler that runs at D3 before a sleep ends it as it would have ended the sleep: with -EINTR, unless it
 * restarts, or the call never does (core/manner.c).  (One that comes behind the last look and before the system call, three
 * instructions, is as one that came just before a call to the kernel: the sleep begins.)
 */

#include "core/defer.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "core/manner.h"

/* What the kernel has of a signal set.  libc's own are 32 and 33. */
#define MASK_BYTES 8u
#define MASK_ALL (~(UINT64_C(3) << 31))

void tni_defer_release(struct tni_thread *thread)
{
	uint64_t mask = thread->deferred_mask;
	int error = errno;

	thread->has_deferred = false;
	tni_step();
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, NULL, MASK_BYTES);
	errno = error;
}

/* Asked where the thread is about to sleep: for another gate, perhaps. */
static bool holds_gate(const struct tni_thread *thread)
{
	uintptr_t entry;

	if (!thread->robust)
		return false;
	entry = (uintptr_t)tni_pending_get(thread) & ~(uintptr_t)1;
	return entry != 0 &&
	       (*(volatile uint32_t *)(entry + (uintptr_t)thread->robust->futex_offset) &
		FUTEX_TID_MASK) == thread->tid;
}

uint32_t tni_defer_pause_slow(struct tni_thread *thread)
{
	uint32_t deferring = thread->deferring;

	if (holds_gate(thread))
		return 0;
	thread->was_interrupted = 0;
	thread->deferring = 0;
	tni_step();
	if (thread->has_deferred)
		tni_defer_release(thread);
	return deferring;
}

void tni_defer_signal(int number, const siginfo_t *info, void *context)
{
	struct tni_thread *thread = &tni_thread_self_;
	ucontext_t *interrupted = context;
	uint64_t all = MASK_ALL, mask;
	siginfo_t again = *info;
	int error = errno;

	/* With SA_NODEFER it would come again at once. */
	syscall(SYS_rt_sigprocmask, SIG_BLOCK, &all, NULL, MASK_BYTES);
	/* The kernel's part of it: there is no more. */
	memcpy(&mask, &interrupted->uc_sigmask, MASK_BYTES);
	thread->deferred_mask = thread->has_deferred ? thread->deferred_mask & mask : mask;
	thread->has_deferred = true;
	mask |= all;
	memcpy(&interrupted->uc_sigmask, &mask, MASK_BYTES);
	if (syscall(SYS_rt_tgsigqueueinfo, getpid(), syscall(SYS_gettid), number, &again) != 0) {
		/* RLIMIT_SIGPENDING: as the kernel does it, it comes without its siginfo. */
		again.si_code = SI_USER;
		syscall(SYS_rt_tgsigqueueinfo, getpid(), syscall(SYS_gettid), number, &again);
	}
	errno = error;
}

uint32_t tni_defer_enter_handler(void)
{
	uint32_t deferring = tni_thread_self_.deferring;

	tni_thread_self_.deferring = 0;
	tni_step();
	return deferring;
}

void tni_defer_leave_handler(uint32_t deferring, bool restarts)
{
	const struct tni_manner *manner = tni_thread_self_.manner;

	tni_step();
	tni_thread_self_.deferring = deferring;
	if (!restarts || (manner && manner->never_restarts))
		tni_thread_self_.was_interrupted = 1;
}
