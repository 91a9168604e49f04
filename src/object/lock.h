/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TNI_OBJECT_LOCK_H
#define TNI_OBJECT_LOCK_H

/* The lock, for those who are made of one.  See object/lock.c. */

#include <tenon/lock.h>

#include "core/robust.h"
#include "object/sync.h"

struct tenon_lock {
	struct tni_sync sync; /* first */
	/* The list entries of the threads that have acquired it, changed under the mutex of core/robust.c. */
	struct tni_apointer holds;
	struct tni_apointer last;     /* of these: of who acquired it last */
	struct tni_a32 holder_serial; /* of the thread that holds it by this handle; 0 none */
};

static inline struct tni_lock_words *tni_lock_words(const struct tenon_lock *lock)
{
	return &lock->sync.cell->lock;
}

/* Not by the word: another process may have written to it, and so may the kernel, for the death of a thread of
 * the same number in another pid namespace. */
static inline bool tni_lock_is_held(const struct tenon_lock *lock, const struct tni_thread *thread)
{
	return tni_get32(&lock->holder_serial) == thread->serial;
}

/* Releases it, however often it is held; answers its depth, with which it is acquired again, as
 * tenon_lock_acquire() without a deadline does. */
uint32_t tni_lock_let_go(struct tenon_lock *lock, struct tni_thread *thread);
int tni_lock_take_back(struct tenon_lock *lock, struct tni_thread *thread, uint32_t depth);

/* Closes the handle. */
void tni_lock_close(struct tenon_lock *lock);

#endif
