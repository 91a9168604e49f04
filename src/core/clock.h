/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TNI_CORE_CLOCK_H
#define TNI_CORE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#define TNI_SECOND_NS INT64_C(1000000000)
#define TNI_MILLISECOND_NS INT64_C(1000000)

static inline int64_t tni_clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * TNI_SECOND_NS + now.tv_nsec;
}

static inline struct timespec tni_timespec(int64_t ns)
{
	return (struct timespec){.tv_sec = ns / TNI_SECOND_NS, .tv_nsec = ns % TNI_SECOND_NS};
}

/* Now, to be kept as when something was done: CLOCK_REALTIME to the kernel's tick.  In seconds it
 * is never ahead of time(2), with which programs compare it; the finer clock is, for a tick of each
 * second. */
static inline int64_t tni_stamp_ns(void)
{
	return tni_clock_ns(CLOCK_REALTIME_COARSE);
}

/* A moment as the standard's calls are given it, in nanoseconds; what is too far is far.  False: it
 * is none. */
static inline bool tni_moment(const struct timespec *at, int64_t *ret_ns)
{
	if (at->tv_nsec < 0 || at->tv_nsec >= TNI_SECOND_NS)
		return false;
	if (at->tv_sec < 0)
		*ret_ns = -1;
	else if (at->tv_sec >= INT64_MAX / TNI_SECOND_NS)
		*ret_ns = INT64_MAX - 1;
	else
		*ret_ns = at->tv_sec * TNI_SECOND_NS + at->tv_nsec;
	return true;
}

/* Until when who does not want to wait bears that somebody is in the midst of something. */
static inline int64_t tni_grace_ns(void)
{
	return tni_clock_ns(CLOCK_MONOTONIC) + TNI_MILLISECOND_NS;
}

#endif
