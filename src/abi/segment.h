/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TNI_ABI_SEGMENT_H
#define TNI_ABI_SEGMENT_H

/*
 * A segment: shared memory of System V.  Its file is
 *
 *	0	struct tni_object_header, struct tni_sysv_part, struct tni_segment_control
 *	4096	struct tni_participant [participants_max]
 *
 * and the program's bytes are a file of their own, beside it, which has nothing else.  How often it
 * is attached is the sum over the participants that live.  `flags` and `creator_pid` are written
 * before the file gets its name and never again.
 */

#include <stddef.h>

#include "abi/atomic.h"

#define TNI_SEGMENT_OFFSET 3584u /* in the page of the header */

/* flags */
#define TNI_SEGMENT_SPARSE 1u /* the data's memory is taken when it is touched */
/* The data is in huge pages: two to that power is what one has.  0: it is not. */
#define TNI_SEGMENT_HUGE(flags) ((flags) >> 8 & 0x3f)
#define TNI_SEGMENT_HUGE_FLAG(power) ((uint32_t)(power) << 8)

/* state */
#define TNI_SEGMENT_REMOVED 1u /* it is not any more, as soon as nobody has it attached */
#define TNI_SEGMENT_LOCKED 2u  /* who attaches it keeps it in memory */

struct tni_segment_control {
	uint32_t flags;
	uint32_t creator_pid;
	struct tni_a32 state;
	struct tni_a32 last_pid;		 /* who has attached or detached it; 0: nobody */
	struct tni_a64 attached_ns, detached_ns; /* CLOCK_REALTIME_COARSE; 0: never */
};

_Static_assert(sizeof(struct tni_segment_control) == 32, "segment control");
_Static_assert(offsetof(struct tni_segment_control, state) == 8, "segment control");
_Static_assert(offsetof(struct tni_segment_control, attached_ns) == 16, "segment control");

#endif
