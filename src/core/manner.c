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
 */

#include "core/manner.h"

#include <errno.h>
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

static long wait_words(struct futex_waitv *words, uint32_t count, const struct timespec *until,
		       clockid_t clock)
{
	return syscall(SYS_futex_waitv, words, count, 0, until, clock);
}

static __attribute__((__noinline__)) long wait_cancellable(struct tni_manner *manner,
							   struct futex_waitv *words,
							   uint32_t count,
							   const struct timespec *until,
							   clockid_t clock)
{
	long woken;
	int type, error;

	/* With no other thread there is nobody who could. */
	if (manner->cancel_state != PTHREAD_CANCEL_ENABLE)
		return wait_words(words, count, until, clock);
	if (__sigsetjmp((struct __jmp_buf_tag *)(void *)manner->unwind.__cancel_jmp_buf, 0) != 0) {
		errno = ECANCELED;
		return -1;
	}
	__pthread_register_cancel(&manner->unwind);
	/* In this order: of who is cancelled by the other one glibc 2.36 says to who joins it that it returned NULL. */
	pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
	pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &type);
	woken = wait_words(words, count, until, clock);
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
	error = errno;
	pthread_setcanceltype(type, NULL);
	(void)!read(-1, NULL, 0);
	errno = error;
	__pthread_unregister_cancel(&manner->unwind);
	return woken;
}

int tni_words_wait(struct futex_waitv *words, uint32_t count, int64_t deadline_ns, bool can_end)
{
	struct tni_thread *thread = &tni_thread_self_;
	struct tni_manner *manner = thread->manner;
	struct timespec at = tni_timespec(deadline_ns > 0 ? deadline_ns : 0);
	const struct timespec *until = deadline_ns != INT64_MAX ? &at : NULL;
	clockid_t clock = CLOCK_MONOTONIC;
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
		clock = CLOCK_REALTIME;
	}
	paused = tni_defer_pause(thread);
	if (tni_defer_was_interrupted(thread, paused)) {
		woken = -1;
		errno = EINTR;
	} else if (manner && manner->is_cancellable && can_end) {
		woken = wait_cancellable(manner, words, count, until, clock);
	} else {
		woken = wait_words(words, count, until, clock);
	}
	tni_defer_resume(thread, paused);
	if (woken >= 0)
		return (int)woken;
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
