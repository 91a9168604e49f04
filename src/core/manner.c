/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The one place where the library sleeps for a word, and what a face has said about how.
 *
 * Cancellation.  glibc wakes a thread to be cancelled only while it is of the asynchronous type, and then unwinds
 * its stack: what the calls below it were in the midst of would stay as it is.  So it is of that type in the system
 * call alone, where a buffer of the kind that pthread_cleanup_push(3) makes catches the unwinding; the call is
 * told -ECANCELED, which it ends with as with -EINTR, but for one thing: it may have been woken in the same instant, and
 * wakes all in its stead; and when the face is left the unwinding goes on from there.  Anywhere else in the call it
 * cannot be cancelled: much of what the library calls there (write(2), fallocate(2)) is a cancellation point.
 *
 * pthread_cancel(3) may have sent its signal when the system call is over.  glibc's own cancellation points wait for one that
 * is on its way, so one that fails at once is called while the buffer still catches it; else it would come at any time,
 * and have a thread that has done its work and ended pass for cancelled.
 *
 * Handlers.  System V's calls end with EINTR whatever handler has run.  futex_waitv(2), which alone sleeps on several words,
 * goes on behind a handler with SA_RESTART, and FUTEX_WAIT with a time-out never does.  So who never restarts
 *
 *	where handlers are put off	sleeps on all the words and one more, of its own thread, that is changed behind any
 *	(core/defer.c)			handler: the kernel goes on with another value than it was to find there, and ends
 *	elsewhere			sleeps on the last word alone, by which the living wake, and for LOOK_NS at most: the
 *					kernel tells of the dead by the others.  It looks that often, as on a kernel
 *					without futex_waitv(2)
 */

#include "core/manner.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/defer.h"
#include "core/thread.h"

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif

/* What pthread_cleanup_push(3) expands to, for C without exceptions. */
extern void __pthread_register_cancel(__pthread_unwind_buf_t *buffer);
extern void __pthread_unregister_cancel(__pthread_unwind_buf_t *buffer);
extern void __pthread_unwind_next(__pthread_unwind_buf_t *buffer) __attribute__((__noreturn__));
extern int __sigsetjmp(struct __jmp_buf_tag *environment, int save_mask)
	__attribute__((__returns_twice__));

/* How often who sleeps on one word alone looks for what the others would have told. */
#define LOOK_NS (100 * TNI_MILLISECOND_NS)

/* What one sleep is given. */
struct nap {
	struct futex_waitv *words;
	uint32_t count;
	const struct timespec *until;
	clockid_t clock;
	bool never_restarts;
	bool handlers_tell; /* by the thread's `was_interrupted` */
};

static long wait_words(struct futex_waitv *words, uint32_t count, const struct nap *nap)
{
	return syscall(SYS_futex_waitv, words, count, 0, nap->until, nap->clock);
}

/* On the last word alone, which is of the same kinds as for futex_waitv(2). */
static long wait_last(const struct nap *nap)
{
	const struct futex_waitv *word = &nap->words[nap->count - 1];
	int operation = FUTEX_WAIT_BITSET |
			(nap->clock == CLOCK_REALTIME ? FUTEX_CLOCK_REALTIME : 0) |
			(word->flags & FUTEX_PRIVATE_FLAG ? FUTEX_PRIVATE_FLAG : 0);
	long woken = syscall(SYS_futex, word->uaddr, operation, (uint32_t)word->val, nap->until,
			     NULL, FUTEX_BITSET_MATCH_ANY);

	return woken == 0 ? (long)nap->count - 1 : woken;
}

static long wait_and_be_told(const struct nap *nap)
{
	struct tni_thread *thread = &tni_thread_self_;
	struct futex_waitv words[TNI_WORDS_MOST + 1];
	long woken;

	memcpy(words, nap->words, nap->count * sizeof(*words));
	words[nap->count] = (struct futex_waitv){.uaddr = (uintptr_t)&thread->was_interrupted,
						 .flags = FUTEX_32 | FUTEX_PRIVATE_FLAG};
	woken = wait_words(words, nap->count + 1, nap);
	if (woken < 0 && errno == EAGAIN && thread->was_interrupted)
		errno = EINTR;
	return woken;
}

static long wait_so(const struct nap *nap)
{
	if (!nap->never_restarts)
		return wait_words(nap->words, nap->count, nap);
	return nap->handlers_tell ? wait_and_be_told(nap) : wait_last(nap);
}

static __attribute__((__noinline__)) long wait_cancellable(struct tni_manner *manner,
							   const struct nap *nap)
{
	long woken;
	int type, error;

	/* With no other thread there is nobody who could. */
	if (manner->cancel_state != PTHREAD_CANCEL_ENABLE)
		return wait_so(nap);
	if (__sigsetjmp((struct __jmp_buf_tag *)(void *)manner->unwind.__cancel_jmp_buf, 0) != 0) {
		errno = ECANCELED;
		return -1;
	}
	__pthread_register_cancel(&manner->unwind);
	/* In this order: of who is cancelled by the other one glibc 2.36 says to who joins it that it returned NULL. */
	pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
	pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &type);
	woken = wait_so(nap);
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
	error = errno;
	pthread_setcanceltype(type, NULL);
	(void)!read(-1, NULL, 0);
	errno = error;
	__pthread_unregister_cancel(&manner->unwind);
	return woken;
}

/* Sets the end of a sleep on one word; true: it is not the deadline. */
static bool look_soon(struct nap *nap, int64_t deadline_ns, struct timespec *ret_at)
{
	int64_t soon_ns = tni_clock_ns(CLOCK_MONOTONIC) + LOOK_NS;

	if (soon_ns >= deadline_ns)
		return false;
	*ret_at = tni_timespec(soon_ns);
	nap->until = ret_at;
	nap->clock = CLOCK_MONOTONIC;
	return true;
}

int tni_words_wait(struct futex_waitv *words, uint32_t count, int64_t deadline_ns, bool can_end)
{
	struct tni_thread *thread = &tni_thread_self_;
	struct tni_manner *manner = thread->manner;
	struct timespec at = tni_timespec(deadline_ns > 0 ? deadline_ns : 0);
	struct nap nap = {.words = words,
			  .count = count,
			  .until = deadline_ns != INT64_MAX ? &at : NULL,
			  .clock = CLOCK_MONOTONIC,
			  .never_restarts = manner && manner->never_restarts && can_end};
	bool looks = false;
	uint32_t paused;
	long woken;

	if (manner && can_end && manner->may_sleep) {
		int result = manner->may_sleep(manner->context);

		if (result != 0)
			return result;
	}
	/* Not one who looks in between. */
	if (manner && manner->realtime_ns != INT64_MAX && deadline_ns == manner->deadline_ns) {
		at = tni_timespec(manner->realtime_ns > 0 ? manner->realtime_ns : 0);
		nap.clock = CLOCK_REALTIME;
	}
	paused = tni_defer_pause(thread);
	nap.handlers_tell = paused != 0;
	if (nap.never_restarts && !nap.handlers_tell)
		looks = look_soon(&nap, deadline_ns, &at);
	if (tni_defer_was_interrupted(thread, paused)) {
		woken = -1;
		errno = EINTR;
	} else if (manner && manner->is_cancellable && can_end) {
		woken = wait_cancellable(manner, &nap);
	} else {
		woken = wait_so(&nap);
	}
	tni_defer_resume(thread, paused);
	if (woken >= 0 && manner && manner->asks_behind && can_end) {
		int result = manner->may_sleep(manner->context);

		if (result != 0)
			return result;
	}
	if (woken >= 0)
		return (int)woken;
	if (looks && errno == ETIMEDOUT)
		return -EAGAIN;
	return errno == EPERM ? -ENOSYS : -errno;
}

void tni_manner_until(struct tni_manner *manner, int64_t realtime_ns)
{
	int64_t left_ns = realtime_ns - tni_clock_ns(CLOCK_REALTIME);

	manner->deadline_ns = tni_clock_ns(CLOCK_MONOTONIC);
	if (left_ns < 0)
		manner->deadline_ns = -1;
	else if (left_ns < INT64_MAX - 1 - manner->deadline_ns)
		manner->deadline_ns += left_ns;
	else
		manner->deadline_ns = INT64_MAX - 1;
}

int tni_manner_end_slow(struct tni_manner *manner, int result)
{
	if (result == -ECANCELED && manner->cancelled)
		manner->cancelled(manner->context);
	if (result == -ECANCELED) {
		/* The thread's clearing up is at rest. */
		tni_defer_pause(&tni_thread_self_);
		__pthread_unwind_next(&manner->unwind);
	}
	if (result == -ETIMEDOUT && manner->realtime_ns != INT64_MAX &&
	    tni_clock_ns(CLOCK_REALTIME) < manner->realtime_ns)
		return TNI_MANNER_AGAIN;
	return result;
}
