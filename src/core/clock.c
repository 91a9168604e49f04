/* SPDX-License-Identifier: Apache-2.0 */

/* Deadlines of the public interface; the rest is in the header. */

#include "core/clock.h"

#include <tenon/tenon.h>

int64_t tenon_deadline_after(int64_t timeout_ns)
{
	int64_t now_ns = tni_clock_ns(CLOCK_MONOTONIC);

	if (timeout_ns < 0 || timeout_ns > TENON_NO_DEADLINE - now_ns)
		return TENON_NO_DEADLINE;
	return now_ns + timeout_ns;
}

#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)

const char *tenon_version(void)
{
	return TEXT(TENON_VERSION_MAJOR) "." TEXT(TENON_VERSION_MINOR) "." TEXT(
		TENON_VERSION_PATCH);
}
