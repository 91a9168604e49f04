/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TNI_ABI_REGION_H
#define TNI_ABI_REGION_H

/*
 * A region.  Its file is
 *
 *	0	struct tni_object_header
 *	4096	struct tni_participant [participants_max]
 *	…	pages of stakes (core/stake.c), for synchronization objects placed in the data
 *	…	struct tni_region_control
 *	…	uint64_t [TNI_REGION_PLACES]: which of them lie where (object/place.c); 0: none
 *	…	data, of which there is address space for max_bytes
 *
 * each from a page boundary on.  The header's extent ends where the data begins.  `max_bytes` is
 * written before the file gets its name and never again; a process keeps its own checked copy.
 */

#include <stddef.h>

#include "abi/gate.h"

#define TNI_REGION_PLACES 1024u
#define TNI_REGION_PLACES_BYTES (TNI_REGION_PLACES * 8u)

/* One of them: its kind; the page of the data at which it begins; and its `limit` (abi/sync.h), if
 * the kind has memory beside cell and rows, which depends on that: a set, how many semaphores.  It
 * lies there as in a file of its own from the cell on, which is first; then rows; then the rest. */
#define TNI_REGION_PLACE_KIND UINT64_C(0xff)
#define TNI_REGION_PLACE_PAGE_SHIFT 8
#define TNI_REGION_PLACE_PAGE UINT64_C(0xffffffff00)
#define TNI_REGION_PLACE_LIMIT_SHIFT 40

#define TNI_REGION_SEAL_GROW 1u
#define TNI_REGION_SEAL_WRITE 2u
#define TNI_REGION_SEALING 4u /* against writing, if it turns out that nobody writes */

struct tni_region_control {
	uint64_t max_bytes;
	uint64_t reserved[7];
	struct tni_gate gate;
	struct tni_a64 bytes; /* the size; never less than before */
	struct tni_a64 grown; /* times */
	struct tni_a64 seals;
	uint64_t reserved2[3];
	struct tni_waitroom waitroom;
	struct tni_a64 writers[TNI_BITMAP_WORDS]; /* participants that have mapped it for writing */
	uint64_t reserved3[384];
};

_Static_assert(sizeof(struct tni_region_control) == TNI_PAGE_BYTES, "region control");
_Static_assert(offsetof(struct tni_region_control, gate) == 64, "region control");
_Static_assert(offsetof(struct tni_region_control, bytes) == 80, "region control");
_Static_assert(offsetof(struct tni_region_control, seals) == 96, "region control");
_Static_assert(offsetof(struct tni_region_control, grown) == 88, "region control");
_Static_assert(offsetof(struct tni_region_control, waitroom) == 128, "region control");
_Static_assert(offsetof(struct tni_region_control, writers) == 896, "region control");
_Static_assert(offsetof(struct tni_region_control, reserved3) == 1024, "region control");
_Static_assert(TNI_REGION_PLACES_BYTES % TNI_PAGE_BYTES == 0, "region places");

#endif
