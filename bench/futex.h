/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_FUTEX_H
#define BENCH_FUTEX_H

/* futex(2) as the rivals use it: shared between processes, no time-out. */

#include <linux/futex.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

static inline void futex_wait(uint32_t *word, uint32_t seen)
{
	/* Every caller looks again; why the wait ended does not matter. */
	(void)!syscall(SYS_futex, word, FUTEX_WAIT, seen, NULL, NULL, 0);
}

static inline void futex_wake(uint32_t *word, int count)
{
	(void)!syscall(SYS_futex, word, FUTEX_WAKE, count, NULL, NULL, 0);
}

#endif
