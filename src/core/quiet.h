/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TNI_CORE_QUIET_H
#define TNI_CORE_QUIET_H

/* Keeps the calling thread from being cancelled, or also from handling signals, while it is at
 * something. */

#include <pthread.h>
#include <signal.h>

static inline int tni_cancel_off(void)
{
	int before;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
	return before;
}

static inline void tni_cancel_back(const int *before)
{
	pthread_setcancelstate(*before, NULL);
}

/* A declaration, of calls that are no cancellation points where what they call is: from here to the
 * end of the scope the thread is not cancelled. */
#define TNI_NO_CANCEL \
	int no_cancel __attribute__((__cleanup__(tni_cancel_back), __unused__)) = tni_cancel_off()

/* What was so before. */
struct tni_quiet {
	sigset_t mask;
	int cancel;
};

/* Nor is it interrupted, but by its own faults: of what a signal handler that calls in must not
 * find half done. */
static inline void tni_quiet_begin(struct tni_quiet *ret_before)
{
	sigset_t all;

	ret_before->cancel = tni_cancel_off();
	sigfillset(&all);
	/* Of a fault there is no putting off: it kills who blocks it. */
	sigdelset(&all, SIGBUS);
	sigdelset(&all, SIGFPE);
	sigdelset(&all, SIGILL);
	sigdelset(&all, SIGSEGV);
	sigdelset(&all, SIGTRAP);
	pthread_sigmask(SIG_SETMASK, &all, &ret_before->mask);
}

static inline void tni_quiet_end(const struct tni_quiet *before)
{
	pthread_sigmask(SIG_SETMASK, &before->mask, NULL);
	tni_cancel_back(&before->cancel);
}

#endif
