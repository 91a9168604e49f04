/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TNI_ABI_SYNC_H
#define TNI_ABI_SYNC_H

/*
 * Synchronization objects.  Each is a cell: one page, at whose end the gate's word lies, so that it can be
 * in a thread's robust list (core/robust.c).  Of a named one the file is
 *
 *	0	struct tni_object_header
 *	4096	struct tni_participant [participants_max]
 *	…	struct tni_cell
 */

#include <stddef.h>

#include "abi/gate.h"

/* A lock: the gate's word is held for as long as the lock is. */
#define TNI_LOCK_SOUND 0u
#define TNI_LOCK_OWNER_DIED 1u /* and nobody has declared the state repaired */
#define TNI_LOCK_LOST 2u

struct tni_lock_words {
	struct tni_a32 state;
	struct tni_a32 depth; /* acquired so often again by its owner */
	struct tni_a64 acquired;
	struct tni_a64 waited; /* of these: not at once */
	struct tni_a32 deaths; /* of owners */
	uint32_t reserved[3];
};

_Static_assert(sizeof(struct tni_lock_words) == 40, "lock");

struct tni_cell {
	uint32_t flags; /* of the kind; written before the object gets its name */
	uint32_t reserved;
	uint64_t reserved2[15];
	struct tni_waitroom waitroom;
	uint64_t reserved3[392];
	struct tni_lock_words lock; /* the rest of the gate's line */
	struct tni_gate gate;
	uint64_t reserved4;
};

_Static_assert(sizeof(struct tni_cell) == TNI_PAGE_BYTES, "cell");
_Static_assert(offsetof(struct tni_cell, waitroom) == 128, "cell");
_Static_assert(offsetof(struct tni_cell, lock) % 64 == 0, "cell");
_Static_assert(offsetof(struct tni_cell, gate) == TNI_STAKE_FIRST_OFFSET, "cell");

#endif
