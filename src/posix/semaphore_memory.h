/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TNI_POSIX_SEMAPHORE_MEMORY_H
#define TNI_POSIX_SEMAPHORE_MEMORY_H

/* Semaphores in memory of the caller's: sem_init.  See posix/semaphore_memory.c. */

#include "abi/posix.h"
#include "core/thread.h"

#define TNI_POSIX_VALUE_MAX 2147483647u

/* Takes one if there is one: a compare-and-swap. */
static inline bool tni_posix_semaphore_try(struct tni_posix_semaphore *semaphore)
{
	/* ORD(count) */
	uint64_t word = tni_load_acquire64(&semaphore->word);

	while ((word & TNI_POSIX_VALUE) != 0)
		if (tni_cas64(&semaphore->word, &word, word - 1)) /* ORD(count) */
			return true;
	return false;
}

/* Gives one, if nobody may be asleep: the same.  False: nothing was done. */
static inline bool tni_posix_semaphore_give(struct tni_posix_semaphore *semaphore)
{
	uint64_t word = tni_load_acquire64(&semaphore->word); /* ORD(count) */
	uint32_t cpu = tni_cpu();

	if (tni_get32(&semaphore->cpu) != cpu)
		tni_set32(&semaphore->cpu, cpu);
	while (!(word & TNI_POSIX_SLEEPERS) && (word & TNI_POSIX_VALUE) < TNI_POSIX_VALUE_MAX)
		if (tni_cas64(&semaphore->word, &word, word + 1)) /* ORD(count) */
			return true;
	return false;
}

/* Takes one; waits for it in the manner of the thread's call (core/manner.h), which has begun.  0;
 * -ETIMEDOUT, -EINTR, -ECANCELED. */
int tni_posix_semaphore_wait(struct tni_posix_semaphore *semaphore, int64_t deadline_ns);

/* Gives one.  -EOVERFLOW.  Async-signal-safe. */
int tni_posix_semaphore_post(struct tni_posix_semaphore *semaphore);

/* Of whatever stands there. */
static inline uint32_t tni_posix_semaphore_value(const struct tni_posix_semaphore *semaphore)
{
	uint64_t value = tni_load_acquire64(&semaphore->word) & TNI_POSIX_VALUE; /* ORD(count) */

	return value > TNI_POSIX_VALUE_MAX ? TNI_POSIX_VALUE_MAX : (uint32_t)value;
}

#endif
