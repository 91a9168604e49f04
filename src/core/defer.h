/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TNI_CORE_DEFER_H
#define TNI_CORE_DEFER_H

/* Signal handlers that wait until a call is at rest.  See core/defer.c. */

#include <pthread.h>
#include <signal.h>

#include "core/thread.h"

/* Lets what was put off run. */
void tni_defer_release(struct tni_thread *thread);

/* From here on, handlers wait; calls may be nested. */
static inline void tni_defer_begin(void)
{
	tni_thread_self_.deferring++;
	tni_step();
}

static inline void tni_defer_end(void)
{
	struct tni_thread *thread = &tni_thread_self_;

	tni_step();
	if (--thread->deferring == 0 && __builtin_expect(thread->has_deferred, 0))
		tni_defer_release(thread);
}

uint32_t tni_defer_pause_slow(struct tni_thread *thread);

/*
 * Around a sleep: handlers run meanwhile, unless the thread holds a gate.  Gives what
 * tni_defer_resume() takes.  tni_defer_was_interrupted(), asked just before the system call: one
 * without SA_RESTART has run, and the call ends with -EINTR.
 */
static inline uint32_t tni_defer_pause(struct tni_thread *thread)
{
	return __builtin_expect(thread->deferring == 0, 1) ? 0 : tni_defer_pause_slow(thread);
}

static inline bool tni_defer_was_interrupted(const struct tni_thread *thread, uint32_t paused)
{
	return paused != 0 && thread->was_interrupted;
}

static inline void tni_defer_resume(struct tni_thread *thread, uint32_t paused)
{
	if (paused != 0)
		thread->deferring = paused;
}

/* pthread_testcancel(3) at the beginning of a call: a thread that ends there is at rest. */
static inline void tni_defer_test_cancel(void)
{
	struct tni_thread *thread = &tni_thread_self_;
	uint32_t paused = tni_defer_pause(thread);

	pthread_testcancel();
	tni_defer_resume(thread, paused);
}

/* For the handler that has come: whether it is to wait. */
static inline bool tni_defer_is_due(void)
{
	return tni_thread_self_.deferring != 0;
}

/* Puts the signal off.  The handler, to which this context was given, then returns. */
void tni_defer_signal(int number, const siginfo_t *info, void *context);

/* Around the program's own handler, which may call in, or leave by longjmp(3).  `restarts`:
 * SA_RESTART. */
uint32_t tni_defer_enter_handler(void);
void tni_defer_leave_handler(uint32_t deferring, bool restarts);

#endif
