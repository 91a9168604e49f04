/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TNI_CORE_MANNER_H
#define TNI_CORE_MANNER_H

/*
 * How a thread's call waits, for faces whose systems say more about it than a deadline: until a
 * moment of CLOCK_REALTIME, also when that clock is set meanwhile; as a cancellation point
 * (pthreads(7)); and so that a signal handler always ends it.
 *
 *	struct tni_manner manner;
 *
 *	tni_manner_begin(&manner, realtime_ns, true);	and, if wanted, manner.may_sleep = …,
 *							manner.never_restarts = true
 *	result = tenon_queue_receive(… deadline manner.deadline_ns …);
 *	tni_manner_end(&manner, result);
 */

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/single_threaded.h>

#include "core/thread.h"

struct tni_manner {
	int64_t deadline_ns; /* what the call is to be given: of CLOCK_MONOTONIC, as the clocks stand */
	int64_t realtime_ns; /* INT64_MAX: none */
	bool is_cancellable;
	/* Any handler ends it with -EINTR, also one with SA_RESTART. */
	bool never_restarts;
	/* Asked before it sleeps: 0, or what the call is to end with; -EAGAIN is not for that.  May
	 * be NULL. */
	int (*may_sleep)(void *context);
	/* That is asked behind sleeping as well.  An answer that is not -EAGAIN is then for who has
	 * others woken in its stead. */
	bool asks_behind;
	/* Called when the thread is cancelled, before its stack goes.  May be NULL. */
	void (*cancelled)(void *context);
	void *context;
	int cancel_state;	  /* of the thread before; -1: it was left as it was */
	struct tni_manner *outer; /* of a call that a signal handler interrupted */
	__pthread_unwind_buf_t unwind;
};

/* As below, until a moment. */
void tni_manner_until(struct tni_manner *manner, int64_t realtime_ns);
int tni_manner_end_slow(struct tni_manner *manner, int result);

/* What the thread does from now on waits so.  A cancellation that is pending already is for the
 * caller to act on, before. */
static inline void tni_manner_begin(struct tni_manner *manner, int64_t realtime_ns,
				    bool is_cancellable)
{
	struct tni_thread *thread = tni_thread_self();

	manner->cancel_state = -1;
	/* Where there is another thread, somebody may want to cancel this one amid what it does
	 * under a lock. */
	if (is_cancellable && !__libc_single_threaded)
		pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &manner->cancel_state);
	manner->deadline_ns = INT64_MAX;
	manner->realtime_ns = realtime_ns;
	manner->is_cancellable = is_cancellable;
	manner->never_restarts = false;
	manner->may_sleep = NULL;
	manner->asks_behind = false;
	manner->cancelled = NULL;
	manner->outer = thread->manner;
	if (realtime_ns != INT64_MAX)
		tni_manner_until(manner, realtime_ns);
	thread->manner = manner;
}

/*
 * Ends that.  Of what the call answered: -ECANCELED does not return, as the thread is being
 * cancelled; -ETIMEDOUT is answered only if the moment has come, and else TNI_MANNER_AGAIN: the
 * clock was set back, to be called again from the beginning.
 */
#define TNI_MANNER_AGAIN 1 /* no call answers it */
static inline int tni_manner_end(struct tni_manner *manner, int result)
{
	tni_thread_self_.manner = manner->outer;
	if (manner->cancel_state >= 0 && result != -ECANCELED)
		pthread_setcancelstate(manner->cancel_state, NULL);
	return __builtin_expect(result == -ECANCELED || result == -ETIMEDOUT, 0)
		       ? tni_manner_end_slow(manner, result)
		       : result;
}

/*
 * Sleeps on the words until the deadline, in the manner of the thread's call; a cancellation point
 * only if the caller can end there, as who waits for a lock in between cannot.  Which one woke it;
 * -EAGAIN something moved, or it is time to look whether somebody has died (a handler that never
 * restarts: core/manner.c); -ETIMEDOUT, -EINTR; -ECANCELED: pass on the wake that it may have been
 * given, leave everything in order, and answer that; -ENOSYS the kernel cannot.  At most
 * TNI_WORDS_MOST.
 */
#define TNI_WORDS_MOST 127u
int tni_words_wait(struct futex_waitv *words, uint32_t count, int64_t deadline_ns, bool can_end);

#endif
