/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TNI_CORE_CLOCK_H
#define TNI_CORE_CLOCK_H

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

/* Until when who does not want to wait bears that somebody is in the midst of something. */
static inline int64_t tni_grace_ns(void)
{
	return tni_clock_ns(CLOCK_MONOTONIC) + TNI_MILLISECOND_NS;
}

#endif
