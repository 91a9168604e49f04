/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TNI_CORE_THREAD_H
#define TNI_CORE_THREAD_H

/* What the library knows of the calling thread, and whether the process is still the one it was. */

#include <linux/futex.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/rseq.h>

#include "abi/atomic.h"

struct tni_manner;

struct tni_thread {
	struct robust_list_head *robust; /* the thread's own, registered with the kernel */
	uint32_t tid;
	uint32_t generation; /* of the process when this was filled */
	uint32_t serial;     /* another one for each thread, as ids are not */
	uint32_t entries;    /* of ours in its robust list: core/robust.c */
	bool at_stakes; /* in the midst of core/stake.c: a signal handler must not begin anew */
	struct tni_manner *manner; /* of its call, or NULL: core/manner.h */
	/* core/defer.h.  Signal handlers change them. */
	volatile uint32_t deferring; /* calls amid which handlers wait */
	volatile bool has_deferred;
	volatile uint32_t was_interrupted; /* 1; a futex of core/manner.c */
	volatile uint64_t deferred_mask;   /* what was blocked before */
};

extern __thread struct tni_thread tni_thread_self_;
/* The generation; 0 in a child, by the kernel's hand, until somebody asks. */
extern struct tni_apointer tni_fork_mark_;

struct tni_thread *tni_thread_refresh(void);

/* Counts forks: another value than before means that this is another process. Never 0. */
uint32_t tni_process_generation(void);

/* A child of vfork(2), which has its parent's memory, but not its signals nor its descriptors.
 * Known if the parent has asked before. */
bool tni_memory_is_borrowed(void);

static inline struct tni_a32 *tni_fork_mark(void)
{
	return tni_load_acquire_pointer(&tni_fork_mark_); /* ORD(fork) */
}

static inline struct tni_thread *tni_thread_self(void)
{
	struct tni_thread *self = &tni_thread_self_;
	uint32_t generation = tni_get32(tni_fork_mark());

	if (__builtin_expect(generation != 0 && self->generation == generation, 1))
		return self;
	return tni_thread_refresh();
}

/*
 * The pending entry of the thread's robust list.  While it names a word, the kernel looks at that
 * word when the thread dies: see core/gate.c.  The entry belongs to libc; what was in it before is
 * put back.
 */
static inline void *tni_pending_get(const struct tni_thread *thread)
{
	return *(void *volatile *)&thread->robust->list_op_pending;
}

static inline void tni_pending_put(struct tni_thread *thread, void *entry)
{
	tni_step();
	*(void *volatile *)&thread->robust->list_op_pending = entry;
	tni_step();
}

static inline void *tni_pending_entry(const struct tni_thread *thread, void *word)
{
	return (char *)word - thread->robust->futex_offset;
}

static inline void tni_pending_set(struct tni_thread *thread, void *word)
{
	tni_pending_put(thread, tni_pending_entry(thread, word));
}

uint32_t tni_cpu_slow(void);

/* The CPU the caller runs on, + 1.  A hint: it may have moved when this returns. */
static inline uint32_t tni_cpu(void)
{
	if (__builtin_expect(__rseq_size > 0, 1)) {
		const struct rseq *area = (const struct rseq *)((char *)__builtin_thread_pointer() +
								__rseq_offset);
		int32_t cpu = (int32_t) * (const volatile uint32_t *)&area->cpu_id;

		if (__builtin_expect(cpu >= 0, 1))
			return (uint32_t)cpu + 1;
	}
	return tni_cpu_slow();
}

#endif
