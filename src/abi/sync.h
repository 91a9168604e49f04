/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TNI_ABI_SYNC_H
#define TNI_ABI_SYNC_H

/*
 * Synchronization objects.  Each is a cell: one page, at whose end the gate's word lies, so that it
 * can be in a thread's robust list (core/robust.c), and a row for each participant.  Of a named one
 * the file is
 *
 *	0	struct tni_object_header
 *	4096	struct tni_participant [participants_max]
 *	…	stakes' pages (core/stake.c)
 *	…	struct tni_row [participants_max]
 *	…	what the kind has beside: abi/semaphore_set.h
 *	…	struct tni_cell
 *
 * each from a page boundary on.
 */

#include <stddef.h>

#include "abi/gate.h"

/* A lock: the gate's word is held for as long as the lock is. */
#define TNI_LOCK_SOUND 0u
#define TNI_LOCK_OWNER_DIED 1u /* and nobody has declared the state repaired */
#define TNI_LOCK_LOST 2u
#define TNI_LOCK_DONE 3u /* a once: what it is for has been done */

struct tni_lock_words {
	struct tni_a32 state;
	struct tni_a32 depth; /* acquired so often again by its owner */
	struct tni_a64 acquired;
	struct tni_a64 waited;	 /* of these: not at once */
	struct tni_a32 deaths;	 /* of owners */
	struct tni_a32 shared;	 /* 1: somebody has shared it: rows' claims say how often */
	struct tni_a32 draining; /* 1: who has the gate waits for those who share it */
	uint32_t reserved;
};

_Static_assert(sizeof(struct tni_lock_words) == 40, "lock");

/* The word of all others: what it says is the kind's own, but for
 *
 *	CLAIMING	a row is about to become what the note says: object/turnstile.c
 *	WIDE		a sleeper waits for more than one
 *	OWED		a dead one's claim may take away from it: look for them before passing
 *	EPOCH		how often somebody has announced that it is about to sleep
 *	SLEEPERS	somebody may be asleep
 */
#define TNI_TURNSTILE_VALUE UINT64_C(0xffffffff)
#define TNI_TURNSTILE_CLAIMING (UINT64_C(1) << 32)
#define TNI_TURNSTILE_WIDE (UINT64_C(1) << 33)
#define TNI_TURNSTILE_OWED (UINT64_C(1) << 34)
#define TNI_TURNSTILE_EPOCH_ONE (UINT64_C(1) << 35)
#define TNI_TURNSTILE_EPOCH (UINT64_C(0x0fffffff) << 35)
#define TNI_TURNSTILE_SLEEPERS (UINT64_C(1) << 63)

struct tni_turnstile {
	struct tni_a64 word;
	struct tni_a32 cpu;	   /* CPU + 1 it was last let through from */
	struct tni_a32 claims;	   /* 1: somebody has held something between calls */
	struct tni_a64 waits;	   /* how often somebody waited */
	struct tni_a64 given_back; /* rows of the dead */
	struct tni_a64 note_row;   /* whose row ... */
	struct tni_a64 note_claim; /* ... becomes what */
	uint64_t reserved[2];
};

_Static_assert(sizeof(struct tni_turnstile) == 64, "turnstile");

/* An event. */
#define TNI_EVENT_SET UINT64_C(1)
#define TNI_EVENT_TOKEN UINT64_C(2) /* for one who waited before the last pulse */
#define TNI_EVENT_PULSE_ONE UINT64_C(4)
#define TNI_EVENT_PULSES UINT64_C(0xfffffffc)

/* A barrier. */
#define TNI_BARRIER_ARRIVED UINT64_C(0xffff)
#define TNI_BARRIER_ROUND_ONE UINT64_C(0x10000)
#define TNI_BARRIER_ROUND UINT64_C(0xffff0000)

/* What a participant has of it; a line of its own. */
struct tni_row {
	struct tni_a64 claim;	/* what is given back when it dies; the kind's own */
	struct tni_a32 waiting; /* threads that wait, until they have passed */
	struct tni_a32 wanted;	/* by the last of these */
	struct tni_a64 passed;	/* how often it passed, and ... */
	struct tni_a64 let;	/* ... let others pass; about: threads may count at once */
	struct tni_a32 owing;	/* threads that are to wake somebody */
	uint32_t reserved;
	struct tni_a64 pages; /* of the kind's own memory of it, that are there: bits */
	uint64_t reserved2[2];
};

_Static_assert(sizeof(struct tni_row) == 64, "row");

struct tni_cell {
	/* Written before the object gets its name. */
	uint32_t flags; /* of the kind */
	uint32_t limit; /* most of it, or how many there are; the kind's own */
	uint64_t reserved[15];
	struct tni_waitroom waitroom;
	struct tni_turnstile turnstile;
	uint64_t reserved2[384];
	struct tni_lock_words lock; /* the rest of the gate's line */
	struct tni_gate gate;
	uint64_t reserved3;
};

_Static_assert(sizeof(struct tni_cell) == TNI_PAGE_BYTES, "cell");
_Static_assert(offsetof(struct tni_cell, waitroom) == 128, "cell");
_Static_assert(offsetof(struct tni_cell, turnstile) % 64 == 0, "cell");
_Static_assert(offsetof(struct tni_cell, lock) % 64 == 0, "cell");
_Static_assert(offsetof(struct tni_cell, gate) == TNI_STAKE_FIRST_OFFSET, "cell");

#endif
