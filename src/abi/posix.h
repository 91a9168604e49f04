/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TNI_ABI_POSIX_H
#define TNI_ABI_POSIX_H

/* What the POSIX face puts into memory that programs give it. */

#include <stddef.h>

#include "abi/atomic.h"

/*
 * A sem_t of sem_init: posix/semaphore_memory.c.  All zeros is one with the count 0.  There is
 * nothing in it by which another version of the library could tell: this layout stays.
 *
 *	 63                    33    32     31            0
 *	┌──────────────────────┬──────────┬───────────────┐
 *	│announcements, counted│ SLEEPERS │ the semaphore's count
 *	└──────────────────────┴──────────┴───────────────┘
 */
struct tni_posix_semaphore {
	struct tni_a64 word;
	struct tni_a32 event;	 /* counts; sleepers sleep on it */
	struct tni_a32 kernel;	 /* 0; by it the kernel wakes when somebody dies */
	struct tni_a32 sleepers; /* threads that are about to sleep, and those that died there */
	struct tni_a32 cpu;	 /* CPU + 1 of who has posted last; a hint */
	struct tni_a32 spin_ns;	 /* how long it is worth to spin; a hint */
	uint32_t reserved;
};

#define TNI_POSIX_VALUE UINT64_C(0xffffffff)
#define TNI_POSIX_SLEEPERS (UINT64_C(1) << 32)
#define TNI_POSIX_EPOCH_ONE (UINT64_C(1) << 33)
#define TNI_POSIX_EPOCH (UINT64_C(0x7fffffff) << 33)

_Static_assert(sizeof(struct tni_posix_semaphore) == 32, "posix semaphore");
_Static_assert(offsetof(struct tni_posix_semaphore, event) == 8, "posix semaphore");
_Static_assert(offsetof(struct tni_posix_semaphore, kernel) == 12, "posix semaphore");
_Static_assert(offsetof(struct tni_posix_semaphore, sleepers) == 16, "posix semaphore");
_Static_assert(offsetof(struct tni_posix_semaphore, cpu) == 20, "posix semaphore");
_Static_assert(offsetof(struct tni_posix_semaphore, spin_ns) == 24, "posix semaphore");

#endif
