/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TNI_ABI_SEMAPHORE_SET_H
#define TNI_ABI_SEMAPHORE_SET_H

/*
 * What a set of semaphores has in its file between the rows and the cell (abi/sync.h), whose
 * `limit` is how many semaphores there are:
 *
 *	struct tni_set_head, and behind it struct tni_set_entry [TNI_SET_ENTRIES], the journal
 *	struct tni_a64 [limit]: the semaphores, each a value and the process that changed it last
 *	struct tni_a64 [limit]: what they become by setting all
 *	struct tni_set_waiter [TNI_SET_WAITERS]
 *	struct tni_a32 [participants][limit]: what is added to a semaphore when a participant dies
 *
 * each from a page boundary on.  The memory of the first page, and of the semaphores, is taken when
 * it is made, that of the others with the first use.  A participant's undo counts are padded to a
 * power of two that divides a page, or to whole pages.
 */

#include <stddef.h>

#include "abi/sync.h"

#define TNI_SET_MOST 32000u
#define TNI_SET_OPERATIONS_MOST 500u
/* The value and the undo count of each, and how many undo counts there are. */
#define TNI_SET_ENTRIES (2u * TNI_SET_OPERATIONS_MOST + 1u)
#define TNI_SET_WAITERS 32768u

/* A semaphore. */
#define TNI_SET_VALUE UINT64_C(0xffffffff)
#define TNI_SET_PID_SHIFT 32

/* A word that is about to change: in `what` which, and which participant's. */
struct tni_set_entry {
	struct tni_a64 what;
	struct tni_a64 old;
};

_Static_assert(sizeof(struct tni_set_entry) == 16, "set entry");

#define TNI_SET_ENTRY_VALUE (UINT64_C(1) << 60)
#define TNI_SET_ENTRY_UNDO (UINT64_C(2) << 60)
#define TNI_SET_ENTRY_CLAIM (UINT64_C(3) << 60)
#define TNI_SET_ENTRY_KIND (UINT64_C(15) << 60)
#define TNI_SET_ENTRY_PARTICIPANT_SHIFT 32
#define TNI_SET_ENTRY_PARTICIPANT (UINT64_C(0xffff) << TNI_SET_ENTRY_PARTICIPANT_SHIFT)
#define TNI_SET_ENTRY_NUMBER UINT64_C(0xffffffff)

/* A thread that waits: for a semaphore to be at least, or to be exactly, what it needs. */
struct tni_set_waiter {
	struct tni_a32 owner;  /* participant + 1; 0: nobody */
	struct tni_a32 number; /* of the semaphore */
	struct tni_a32 needed; /* NEVER: it cannot come true */
	struct tni_a32 change; /* what the operation would do */
};

_Static_assert(sizeof(struct tni_set_waiter) == 16, "set waiter");

#define TNI_SET_WAITER_OWNER 0xffffu
#define TNI_SET_WAITER_GRANTED 0x10000u /* the value was as needed, and that is all it waits for */
#define TNI_SET_WAITER_NUMBER 0xffffu
#define TNI_SET_WAITER_ZERO 0x10000u /* exactly */
#define TNI_SET_WAITER_ONLY 0x20000u /* and then nothing is to be done */
#define TNI_SET_NEVER UINT32_MAX

/* What is to be done to the end, whoever does it. */
#define TNI_SET_NOTE_NONE 0u
#define TNI_SET_NOTE_ONE 1u /* `note_number` becomes `note_word` */
#define TNI_SET_NOTE_ALL 2u

struct tni_set_head {
	/* Written before the object gets its name. */
	uint32_t maximum;
	uint32_t reserved;
	struct tni_a32 removed; /* 1: for everybody */
	struct tni_a32 owed;	/* 1: there has been an undo count below 0 */
	struct tni_a32 waiters_top;
	struct tni_a32 note;
	struct tni_a64 open; /* entries of the journal that hold */
	struct tni_a64 note_number;
	struct tni_a64 note_word;
	struct tni_a64 operated_ns; /* CLOCK_REALTIME_COARSE; 0: never */
	struct tni_a64 operations;  /* calls that did something */
	struct tni_a64 changed_ns;
	struct tni_a64 undone; /* participants */
	uint64_t reserved2[6];
};

_Static_assert(sizeof(struct tni_set_head) == 128, "set head");
_Static_assert(offsetof(struct tni_set_head, open) == 24, "set head");
_Static_assert(offsetof(struct tni_set_head, operations) == 56, "set head");

#endif
