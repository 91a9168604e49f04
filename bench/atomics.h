/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_ATOMICS_H
#define BENCH_ATOMICS_H

/*
 * The few ordered accesses that the rival rings and the start of a run need.  The benchmark keeps
 * its own, so that no rival depends on the library it is measured against.
 */

#include <stdbool.h>
#include <stdint.h>

static inline uint64_t load_acquire(const uint64_t *word)
{
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static inline uint64_t load_relaxed(const uint64_t *word)
{
	return __atomic_load_n(word, __ATOMIC_RELAXED);
}

static inline void store_release(uint64_t *word, uint64_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
}

static inline bool swap_relaxed(uint64_t *word, uint64_t *expected, uint64_t value)
{
	return __atomic_compare_exchange_n(word, expected, value, true, __ATOMIC_RELAXED,
					   __ATOMIC_RELAXED);
}

static inline uint32_t load_acquire32(const uint32_t *word)
{
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static inline uint32_t load_relaxed32(const uint32_t *word)
{
	return __atomic_load_n(word, __ATOMIC_RELAXED);
}

static inline void store_release32(uint32_t *word, uint32_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
}

static inline uint32_t add_ordered32(uint32_t *word, uint32_t value)
{
	return __atomic_add_fetch(word, value, __ATOMIC_SEQ_CST);
}

static inline void fence_full(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static inline void cpu_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

#endif
