/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TNI_ABI_GATE_H
#define TNI_ABI_GATE_H

/* The locks of an object's sides, and what sleepers leave there.  The protocol is told at the head
 * of core/gate.c. */

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
#define TNI_GATE_EPOCH (UINT64_C(0xffff) << 32)
/* Participant that locked it: thread numbers are each pid namespace's own.  There is none of the
 * last number. */
#define TNI_GATE_HOLDER_SHIFT 48
#define TNI_GATE_HOLDER (UINT64_C(0x7ff) << TNI_GATE_HOLDER_SHIFT)
#define TNI_GATE_NOBODY TNI_GATE_HOLDER
#define TNI_GATE_HELD (TNI_GATE_LOW | TNI_GATE_HOLDER)
#define TNI_GATE_FLAGS (UINT64_C(0x1f) << 59)
#define TNI_GATE_FLAG(class) (UINT64_C(1) << (59 + (class)))

/* Classes of sleepers.  The first two are the lockers of the two gates. */
#define TNI_CLASS_LOCK_0 0u
#define TNI_CLASS_LOCK_1 1u
#define TNI_CLASS_MESSAGE 2u /* for something to receive */
#define TNI_CLASS_ROOM 3u    /* for room to send */
#define TNI_CLASS_RECEIPT 4u /* for a message to be received */
#define TNI_CLASSES 5u

struct tni_gate {
	struct tni_a64 word;
	struct tni_a32 cpu; /* CPU + 1 it was last locked on */
	struct tni_a32 repairs;
};

_Static_assert(sizeof(struct tni_gate) == 16, "gate");
_Static_assert(offsetof(struct tni_gate, cpu) == 8, "gate");
_Static_assert(offsetof(struct tni_gate, repairs) == 12, "gate");

#define TNI_BITMAP_WORDS (TNI_PARTICIPANTS_MAX / 64u)

struct tni_waitroom {
	struct tni_a32 event[TNI_CLASSES]; /* counts; sleepers of the class sleep on it */
	uint32_t reserved[27];
	struct tni_a64 asleep[TNI_CLASSES]
			     [TNI_BITMAP_WORDS]; /* participants with a thread asleep */
};

_Static_assert(sizeof(struct tni_waitroom) == 768, "waitroom");
_Static_assert(offsetof(struct tni_waitroom, asleep) == 128, "waitroom");

/* Where sleepers for a message want different ones: those who want the same are in a lane, which
 * has an event of its own.  Lane 0 is that of who may want any, and its event the class's. */
#define TNI_LANES 64u
#define TNI_LANES_ALL UINT64_MAX

struct tni_lanes {
	struct tni_a64 used;		     /* bits of those in which somebody may be asleep */
	struct tni_a32 event[TNI_LANES - 1]; /* of those from 1 on */
	uint32_t reserved;
	struct tni_a32 told[TNI_LANES]; /* the event as of which all of a lane were woken */
	uint64_t reserved2[15];
};

_Static_assert(sizeof(struct tni_lanes) == 640, "lanes");
_Static_assert(offsetof(struct tni_lanes, event) == 8, "lanes");
_Static_assert(offsetof(struct tni_lanes, told) == 264, "lanes");

#endif
