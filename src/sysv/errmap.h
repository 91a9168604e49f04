/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TNI_SYSV_ERRMAP_H
#define TNI_SYSV_ERRMAP_H

#include <errno.h>

/* A result of the library's as System V has it: a negative errno is set as errno, by the number
 * that Linux gives, and -1 answered; any other is the answer itself. */
long tni_sysv_result(long result);

/* The same for a call that began when errno was `error`, which a call that succeeds leaves alone:
 * programs ask errno of system calls that it was not set by. */
static inline long tni_sysv_finish(long result, int error)
{
	if (__builtin_expect(result < 0, 0))
		return tni_sysv_result(result);
	errno = error;
	return result;
}

#endif
