/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TNI_ABI_OBJECT_H
#define TNI_ABI_OBJECT_H

/*
 * What every named object's file begins with: a header that can be refused, and the table of the
 * processes that are attached.
 *
 *	0	struct tni_object_header
 *	4096	struct tni_participant [participants_max]
 *	…	what the kind of object puts there (see abi/queue.h)
 *
 * Everything in the header up to `damaged` is written before the file gets its name and never
 * again; a process keeps its own checked copy.
 */

#include <stddef.h>

#include "abi/atomic.h"

#define TNI_PAGE_BYTES 4096u
#define TNI_MAGIC UINT64_C(0x314e4f4e45540a7f) /* "\x7f\nTENON1", read as little endian */
#define TNI_LAYOUT_VERSION 1u
#define TNI_BYTE_ORDER 0x01020304u
#define TNI_PARTICIPANTS_MAX 1024u
#define TNI_PARTICIPANTS_OFFSET 4096u

#define TNI_ACCESS_GIVEN 0x80000000u

struct tni_object_header {
	uint64_t magic;
	uint32_t layout_version;
	uint32_t byte_order;
	uint64_t fingerprint; /* of the sizes and offsets that the creator was built with */
	uint32_t kind;	      /* TENON_KIND_… */
	uint32_t participants_max;
	uint64_t id;	       /* random */
	int64_t created_ns;    /* CLOCK_REALTIME_COARSE */
	uint64_t extent_bytes; /* of address space; the file itself is as long as what was used */
	uint32_t
		access; /* queues: TNI_ACCESS_GIVEN | permission bits of who may do what, if the file's mode does not say it */
	uint32_t
		hollow; /* queues: 1: who opens it takes the memory that others have from the beginning */
	uint64_t reserved[2];
	struct tni_a32 damaged;		 /* 1: somebody found bytes that cannot be */
	struct tni_a32 participants_top; /* entries below have been used */
	struct tni_a64 pid_namespace;	 /* of the first who attached */
	struct tni_a64 mixed;		 /* 1: somebody attached from another one */
	struct tni_a32 stakes_top;	 /* participants below have held a stake */
	uint32_t reserved2;
};

_Static_assert(sizeof(struct tni_object_header) == 112, "object header");
_Static_assert(offsetof(struct tni_object_header, layout_version) == 8, "object header");
_Static_assert(offsetof(struct tni_object_header, byte_order) == 12, "object header");
_Static_assert(offsetof(struct tni_object_header, fingerprint) == 16, "object header");
_Static_assert(offsetof(struct tni_object_header, kind) == 24, "object header");
_Static_assert(offsetof(struct tni_object_header, participants_max) == 28, "object header");
_Static_assert(offsetof(struct tni_object_header, id) == 32, "object header");
_Static_assert(offsetof(struct tni_object_header, created_ns) == 40, "object header");
_Static_assert(offsetof(struct tni_object_header, extent_bytes) == 48, "object header");
_Static_assert(offsetof(struct tni_object_header, damaged) == 80, "object header");
_Static_assert(offsetof(struct tni_object_header, participants_top) == 84, "object header");

/* States of a participant entry: core/object_living.c says who changes it. */
#define TNI_PARTICIPANT_FREE 0u
#define TNI_PARTICIPANT_ATTACHED 1u

/* Far behind the end of the file, for each entry: a byte whose open-file-description lock says
 * "alive", and one that is locked by whoever buries its owner, or is about to have it. */
#define TNI_LIVENESS_OFFSET (INT64_C(1) << 62)
#define TNI_ENTRY_LOCK_OFFSET (TNI_LIVENESS_OFFSET + (1 << 16))

struct tni_participant {
	struct tni_a32 state;
	struct tni_a32 pid; /* as its own pid namespace has it; for people only */
	struct tni_a32 uid;
	struct tni_a32 staked;	      /* 1: its stake has been used, and there is memory for it */
	struct tni_a64 attached_ns;   /* CLOCK_REALTIME_COARSE */
	struct tni_a64 pid_namespace; /* inode number; 0 unknown */
	struct tni_a32 blocked;	      /* threads that wait for a message of a queue */
	/* The last registration of a queue's whose message has come (object/queue_notice.c; 0
	 * none), and who has sent it. */
	struct tni_a32 notice_serial, notice_pid, notice_uid;
	/* Of a segment: how often the process has attached it, and its descriptor of the data. */
	struct tni_a32 attachments, data_fd;
	uint64_t reserved2;
};

_Static_assert(sizeof(struct tni_participant) == 64, "participant");
_Static_assert(offsetof(struct tni_participant, pid) == 4, "participant");
_Static_assert(offsetof(struct tni_participant, uid) == 8, "participant");
_Static_assert(offsetof(struct tni_participant, attached_ns) == 16, "participant");

/* A word by which the kernel tells of the participant's death: core/stake.c.  Three at the end of a
 * page, in pages that the kind of object has a place for. */
#define TNI_STAKES_A_PAGE 3u
#define TNI_STAKE_FIRST_OFFSET 4072u
#define TNI_STAKE_BYTES 8u
#define TNI_STAKE_OWNER 0x3fffffffu /* thread id; WAITERS and OWNER_DIED as the kernel has them */
#define TNI_STAKE_WAITERS 0x80000000u
#define TNI_STAKE_DIED 0x40000000u

_Static_assert(offsetof(struct tni_participant, staked) == 12, "participant");
_Static_assert(TNI_STAKE_FIRST_OFFSET + TNI_STAKES_A_PAGE * TNI_STAKE_BYTES == TNI_PAGE_BYTES,
	       "stake");

#endif
