/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TNI_ABI_SYSV_H
#define TNI_ABI_SYSV_H

/*
 * What an object of System V has more than others: its identity, in the page of the object's header
 * (abi/object.h).  What is no struct tni_a32 is written before the file gets a name and never
 * again; a process keeps its own checked copy.
 */

#include <stddef.h>

#include "abi/atomic.h"

#define TNI_SYSV_OFFSET 3072u

/* An identifier: SEQUENCE << INDEX_BITS | index, not negative. */
#define TNI_SYSV_INDEX_BITS 15u
#define TNI_SYSV_INDEX 0x7fffu
#define TNI_SYSV_ID 0x7fffffffu

#define TNI_SYSV_BORN 1u     /* the file has been given the name of its identifier */
#define TNI_SYSV_REMOVING 2u /* somebody has begun to end it; whether it is ended the object says */
#define TNI_SYSV_REMOVED 4u  /* it is; memory lives on while it is attached */

/* The byte of the file whose lock keeps two from changing names or permissions at once. */
#define TNI_SYSV_LOCK_OFFSET ((INT64_C(1) << 62) + (INT64_C(1) << 32))

/* In `version`: they hold, but what follows from them, the file's mode and a queue's limit, may not
 * have been done. */
#define TNI_SYSV_UNSETTLED 0x80000000u

#define TNI_SYSV_NO_LIMIT UINT64_MAX

struct tni_sysv_permission {
	struct tni_a32 uid, gid, mode, reserved;
	struct tni_a64 changed_ns; /* CLOCK_REALTIME_COARSE */
	struct tni_a64 limit;	   /* bytes of a queue; TNI_SYSV_NO_LIMIT: as it is */
};

struct tni_sysv_part {
	uint32_t kind; /* the object's; 0: it is none of System V */
	uint32_t key;
	uint32_t creator_uid, creator_gid;
	uint64_t size;	   /* semaphores, bytes of memory; 0 */
	struct tni_a32 id; /* under the lock until BORN */
	struct tni_a32 state;
	struct tni_a32 version; /* permission[version & 1] holds */
	uint32_t reserved;
	struct tni_sysv_permission permission[2];
};

_Static_assert(sizeof(struct tni_sysv_permission) == 32, "System V permission");
_Static_assert(sizeof(struct tni_sysv_part) == 104, "System V part");
_Static_assert(offsetof(struct tni_sysv_part, size) == 16, "System V part");
_Static_assert(offsetof(struct tni_sysv_part, id) == 24, "System V part");
_Static_assert(offsetof(struct tni_sysv_part, version) == 32, "System V part");
_Static_assert(offsetof(struct tni_sysv_part, permission) == 40, "System V part");

#endif
