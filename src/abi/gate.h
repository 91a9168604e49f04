/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TNI_ABI_GATE_H
#define TNI_ABI_GATE_H

/* The lock of one side of an object, and what sleepers leave there.  The protocol is told at the
 * head of core/gate.c. */

#include <stddef.h>

#include "abi/atomic.h"
#include "abi/object.h"

/* Low half of the word: what the kernel knows as a robust futex. */
#define TNI_GATE_OWNER UINT64_C(0x3fffffff)
#define TNI_GATE_OWNER_DIED UINT64_C(0x40000000)
#define TNI_GATE_WAITERS UINT64_C(0x80000000)
#define TNI_GATE_LOW UINT64_C(0xffffffff)
/* High half: which classes may be asleep, and a count of announcements. */
#define TNI_GATE_EPOCH_ONE (UINT64_C(1) << 32)
#define TNI_GATE_EPOCH (UINT64_C(0x0fffffff) << 32)
#define TNI_GATE_FLAGS (UINT64_C(0xf) << 60)
#define TNI_GATE_FLAG(class) (UINT64_C(1) << (60 + (class)))

/* Classes of sleepers. */
#define TNI_CLASS_LOCK 0u    /* for the gate itself */
#define TNI_CLASS_MESSAGE 1u /* for something to receive */
#define TNI_CLASS_ROOM 2u    /* for room to send */
#define TNI_CLASS_RECEIPT 3u /* for a message to be received */
#define TNI_CLASSES 4u

struct tni_gate {
	struct tni_a64 word;
	struct tni_a32 lock_event; /* counts; lockers sleep on it */
	struct tni_a32 cpu;	   /* CPU + 1 it was last locked on */
	struct tni_a32 repairs;
	uint32_t reserved;
	uint64_t reserved2[5];
};

_Static_assert(sizeof(struct tni_gate) == 64, "gate");
_Static_assert(offsetof(struct tni_gate, lock_event) == 8, "gate");
_Static_assert(offsetof(struct tni_gate, cpu) == 12, "gate");
_Static_assert(offsetof(struct tni_gate, repairs) == 16, "gate");

#define TNI_BITMAP_WORDS (TNI_PARTICIPANTS_MAX / 64u)

/* Which participants have a thread asleep; one bit each.  The first two rows are the lockers of the
 * two gates, then one row for each other class. */
#define TNI_SLEEPER_ROWS 5u

struct tni_waitroom {
	struct tni_a32 event[TNI_CLASSES]; /* [TNI_CLASS_LOCK] is unused: each gate has its own */
	uint64_t reserved[14];
	struct tni_a64 asleep[TNI_SLEEPER_ROWS][TNI_BITMAP_WORDS];
};

_Static_assert(sizeof(struct tni_waitroom) == 768, "waitroom");
_Static_assert(offsetof(struct tni_waitroom, asleep) == 128, "waitroom");

#endif
