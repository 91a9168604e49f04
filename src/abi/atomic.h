/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TNI_ABI_ATOMIC_H
#define TNI_ABI_ATOMIC_H

/*
 * Words in shared memory, and the only names under which they are read and written.
 *
 *	get, set		relaxed: for words that a lock protects, or that are only a hint; also
 *				makes sure that a word another process can change is fetched once
 *	load_acquire,		the two ends of a hand-over; each use carries ORD(label)
 *	store_release
 *	cas, fetch_*		acquire and release at once
 *	*_total			in one order with all others of the name: for two who write one word each and
 *				then read the other's, of whom one at least must see the other
 *	step			orders nothing between processors: it keeps the compiler from moving
 *				stores across, so that a process that dies between two instructions
 *				leaves a prefix of its stores in program order, which is what every
 *				crash table in this project builds on
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct tni_a32 {
	_Atomic uint32_t v;
};

struct tni_a64 {
	_Atomic uint64_t v;
};

/* Only for words of one process. */
struct tni_apointer {
	_Atomic(void *) v;
};

_Static_assert(sizeof(struct tni_a32) == 4, "a32");
_Static_assert(sizeof(struct tni_a64) == 8, "a64");

static inline uint32_t tni_get32(const struct tni_a32 *word)
{
	return atomic_load_explicit(&word->v, memory_order_relaxed);
}

static inline uint64_t tni_get64(const struct tni_a64 *word)
{
	return atomic_load_explicit(&word->v, memory_order_relaxed);
}

static inline void tni_set32(struct tni_a32 *word, uint32_t value)
{
	atomic_store_explicit(&word->v, value, memory_order_relaxed);
}

static inline void tni_set64(struct tni_a64 *word, uint64_t value)
{
	atomic_store_explicit(&word->v, value, memory_order_relaxed);
}

static inline uint32_t tni_load_acquire32(const struct tni_a32 *word)
{
	return atomic_load_explicit(&word->v, memory_order_acquire);
}

static inline uint64_t tni_load_acquire64(const struct tni_a64 *word)
{
	return atomic_load_explicit(&word->v, memory_order_acquire);
}

static inline void tni_store_release32(struct tni_a32 *word, uint32_t value)
{
	atomic_store_explicit(&word->v, value, memory_order_release);
}

static inline void tni_store_release64(struct tni_a64 *word, uint64_t value)
{
	atomic_store_explicit(&word->v, value, memory_order_release);
}

static inline void *tni_load_acquire_pointer(const struct tni_apointer *word)
{
	return atomic_load_explicit(&word->v, memory_order_acquire);
}

static inline void tni_store_release_pointer(struct tni_apointer *word, void *value)
{
	atomic_store_explicit(&word->v, value, memory_order_release);
}

/* Stores `value` if the word is `*expected`; otherwise tells in `*expected` what it is. */
static inline bool tni_cas64(struct tni_a64 *word, uint64_t *expected, uint64_t value)
{
	return atomic_compare_exchange_strong_explicit(&word->v, expected, value,
						       memory_order_acq_rel, memory_order_acquire);
}

static inline bool tni_cas32(struct tni_a32 *word, uint32_t *expected, uint32_t value)
{
	return atomic_compare_exchange_strong_explicit(&word->v, expected, value,
						       memory_order_acq_rel, memory_order_acquire);
}

static inline bool tni_cas_pointer(struct tni_apointer *word, void *expected, void *value)
{
	return atomic_compare_exchange_strong_explicit(&word->v, &expected, value,
						       memory_order_acq_rel, memory_order_acquire);
}

static inline uint32_t tni_fetch_add32(struct tni_a32 *word, uint32_t value)
{
	return atomic_fetch_add_explicit(&word->v, value, memory_order_acq_rel);
}

static inline uint64_t tni_fetch_add64(struct tni_a64 *word, uint64_t value)
{
	return atomic_fetch_add_explicit(&word->v, value, memory_order_acq_rel);
}

static inline uint32_t tni_fetch_or32(struct tni_a32 *word, uint32_t value)
{
	return atomic_fetch_or_explicit(&word->v, value, memory_order_acq_rel);
}

static inline uint32_t tni_fetch_and32(struct tni_a32 *word, uint32_t value)
{
	return atomic_fetch_and_explicit(&word->v, value, memory_order_acq_rel);
}

static inline uint64_t tni_fetch_or64(struct tni_a64 *word, uint64_t value)
{
	return atomic_fetch_or_explicit(&word->v, value, memory_order_acq_rel);
}

static inline uint64_t tni_fetch_and64(struct tni_a64 *word, uint64_t value)
{
	return atomic_fetch_and_explicit(&word->v, value, memory_order_acq_rel);
}

static inline uint32_t tni_load_total32(const struct tni_a32 *word)
{
	return atomic_load_explicit(&word->v, memory_order_seq_cst);
}

static inline uint64_t tni_load_total64(const struct tni_a64 *word)
{
	return atomic_load_explicit(&word->v, memory_order_seq_cst);
}

static inline void tni_store_total32(struct tni_a32 *word, uint32_t value)
{
	atomic_store_explicit(&word->v, value, memory_order_seq_cst);
}

static inline uint32_t tni_fetch_add_total32(struct tni_a32 *word, uint32_t value)
{
	return atomic_fetch_add_explicit(&word->v, value, memory_order_seq_cst);
}

static inline uint64_t tni_fetch_add_total64(struct tni_a64 *word, uint64_t value)
{
	return atomic_fetch_add_explicit(&word->v, value, memory_order_seq_cst);
}

static inline bool tni_cas_total64(struct tni_a64 *word, uint64_t *expected, uint64_t value)
{
	return atomic_compare_exchange_strong_explicit(&word->v, expected, value,
						       memory_order_seq_cst, memory_order_acquire);
}

static inline bool tni_cas_total32(struct tni_a32 *word, uint32_t *expected, uint32_t value)
{
	return atomic_compare_exchange_strong_explicit(&word->v, expected, value,
						       memory_order_seq_cst, memory_order_acquire);
}

static inline void tni_step(void)
{
	atomic_signal_fence(memory_order_seq_cst);
}

/* Tells the processor that a line will be written, or read, soon.  Any address will do. */
static inline void tni_prefetch_write(const void *address)
{
#if defined(__x86_64__)
	__asm__ volatile("prefetchw %0" : : "m"(*(const char *)address));
#else
	__builtin_prefetch(address, 1);
#endif
}

static inline void tni_prefetch_read(const void *address)
{
	__builtin_prefetch(address, 0);
}

/* Tells the processor that this is a waiting loop. */
static inline void tni_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

#endif
