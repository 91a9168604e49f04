/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TNI_OBJECT_LOCK_H
#define TNI_OBJECT_LOCK_H

/* The lock, for those who are made of one.  See object/lock.c. */

#include <tenon/lock.h>

#include "core/robust.h"
#include "object/sync.h"

struct tenon_lock {
	struct tni_sync sync; /* first */
	/* The list entries of the threads that have acquired it, changed under the mutex of
	 * core/robust.c. */
	struct tni_apointer holds;
	struct tni_apointer last;     /* of these: of who acquired it last */
	struct tni_a32 holder_serial; /* of the thread that holds it by this handle; 0 none */
	struct tni_a32 sharing;	      /* generation of the process that has a row; 0 none */
	struct tni_apointer row;      /* its row, then */
};

static inline struct tni_gate *tni_lock_gate(const struct tenon_lock *lock)
{
	return &lock->sync.cell->gate;
}

static inline struct tni_lock_words *tni_lock_words(const struct tenon_lock *lock)
{
	return &lock->sync.cell->lock;
}

/* Not by the word: another process may have written to it, and so may the kernel, for the death of
 * a thread of the same number in another pid namespace. */
static inline bool tni_lock_is_held(const struct tenon_lock *lock, const struct tni_thread *thread)
{
	return tni_get32(&lock->holder_serial) == thread->serial;
}

/* By the thread, but by another handle of the same lock. */
static inline bool tni_lock_is_held_otherwise(const struct tenon_lock *lock,
					      const struct tni_thread *thread)
{
	uint64_t word = tni_get64(&tni_lock_gate(lock)->word);

	return (word & TNI_GATE_OWNER) == thread->tid &&
	       tni_object_is_own(lock->sync.object, tni_gate_holder_of(word));
}

/* Releases it, however often it is held; answers its depth, with which it is acquired again, as
 * tenon_lock_acquire() without a deadline does. */
uint32_t tni_lock_let_go(struct tenon_lock *lock, struct tni_thread *thread);
int tni_lock_take_back(struct tenon_lock *lock, struct tni_thread *thread, uint32_t depth);

/* Whether nobody shares it. */
static inline bool tni_lock_is_drained(struct tenon_lock *lock)
{
	struct tni_sync *sync = &lock->sync;

	for (uint32_t i = 0; i < tni_object_participants_top(sync->object); i++) {
		const struct tni_row *row = tni_sync_row(sync, i);

		/* ORD(shared) */
		if (row && tni_load_total64(&row->claim) != 0)
			return false;
	}
	return true;
}

/* lock_inherit.c: as tni_gate_lock(), which see, but for the pending entry, which it sets;
 * -ENOTSUP, -ENOMEM, -EBADMSG.  And releases it. */
int tni_lock_inherit(struct tenon_lock *lock, struct tni_thread *thread, int64_t deadline_ns);
void tni_lock_inherit_release(struct tenon_lock *lock, struct tni_thread *thread);

static inline bool tni_lock_inherits(const struct tenon_lock *lock)
{
	return lock->sync.house.is_inheriting;
}

/* It is held: waits until nobody shares it any more.  The pending entry may be anything, and is as
 * it was.  -ETIMEDOUT; -EBADMSG, -ENOSPC. */
int tni_lock_drain(struct tenon_lock *lock, struct tni_thread *thread, int64_t deadline_ns);

/* Its last owner died: under the gate. */
void tni_lock_take_over(struct tenon_lock *lock);

/* For struct tni_sync_kind: what a dead one shares. */
int tni_lock_bury(struct tni_sync *sync, uint32_t participant, int64_t deadline_ns);

/* Who shares it, as bits; gives back what those of them had who are dead. */
void tni_lock_find_shared(struct tenon_lock *lock, uint64_t bits[TNI_BITMAP_WORDS]);
int tni_lock_bring_back(struct tenon_lock *lock, const uint64_t bits[TNI_BITMAP_WORDS],
			int64_t deadline_ns);

/* How often it is shared, by the living. */
uint32_t tni_lock_count_shared(struct tenon_lock *lock);

/* Closes the handle. */
void tni_lock_close(struct tenon_lock *lock);

#endif
