/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TNI_ABI_QUEUE_H
#define TNI_ABI_QUEUE_H

/*
 * The queue's file, behind the participants (abi/object.h):
 *
 *	struct tni_queue_control	both sides, who sleeps, statistics
 *	stakes				pages of three words each (abi/object.h)
 *	struct tni_receipt []		sender's side
 *	struct tni_loan []		sender's side
 *	struct tni_lease []		receiver's side
 *	struct tni_node []		receiver's side: the index of ordered queues
 *	struct tni_slot []		receiver's side: short messages of ordered queues that were moved
 *					out of the log, each behind its header
 *	chunks				the log: records in the order in which they were sent
 *	slots				headers of messages that do not lie in the log itself
 *	data				these messages, as many pages of each as it needs
 *
 * An index into a table is kept as index + 1 wherever 0 has to mean "none" (fields named *_link).
 * A position in the log is a file offset relative to the first chunk.
 */

#include <stddef.h>

#include "abi/gate.h"

struct tni_queue_attributes {
	uint32_t order;
	uint32_t full;
	uint64_t capacity;
	uint64_t max_message_bytes;
	uint32_t chunk_bytes;
	uint32_t inline_max_bytes; /* longer messages lie in slots */
	uint64_t data_bytes;	   /* of a slot, without its header */
	uint32_t receipts_max, loans_max, leases_max, nodes_max;
	uint32_t chunks_max, slots_max;
	uint32_t held_max, held_bytes; /* of an entry, with its header */
	uint64_t reserved[1];
};

#define TNI_QUEUE_ATTRIBUTES_OFFSET 1024u

_Static_assert(sizeof(struct tni_queue_attributes) == 80, "queue attributes");
_Static_assert(offsetof(struct tni_queue_attributes, capacity) == 8, "queue attributes");
_Static_assert(offsetof(struct tni_queue_attributes, data_bytes) == 32, "queue attributes");
_Static_assert(offsetof(struct tni_queue_attributes, chunks_max) == 56, "queue attributes");

/* The undo journal of a side: see core/journal.h. */
#define TNI_JOURNAL_ENTRIES 96u

struct tni_journal_entry {
	struct tni_a64 offset; /* of the word in the file */
	struct tni_a64 old;
};

struct tni_journal {
	struct tni_a64 version; /* of the side when the operation began */
	struct tni_a64 count;
	struct tni_journal_entry entry[TNI_JOURNAL_ENTRIES];
};

_Static_assert(sizeof(struct tni_journal) == 16 + 16 * TNI_JOURNAL_ENTRIES, "journal");

/* A free list that one side alone uses; every word of it is journaled. */
struct tni_pool {
	struct tni_a64 free_link;
	struct tni_a64
		top; /* entries below have been used; their memory is there, or was given back */
	struct tni_a64 used;
};

/* What was freed by the receivers' side and not yet fetched by the senders'. */
#define TNI_FREED_LINK UINT64_C(0xffffffff)
#define TNI_FREED_PUSH_ONE (UINT64_C(1) << 32)
#define TNI_FREED_PUSHES (UINT64_C(0xffff) << 32)
#define TNI_FREED_GRAB_ONE (UINT64_C(1) << 48)
#define TNI_FREED_GRABS (UINT64_C(0xffff) << 48)

/* A pool whose entries one side takes and the other gives back. */
struct tni_transfer {
	struct tni_pool pool;	    /* senders' side */
	struct tni_a64 grab_link;   /* senders' side: list being fetched */
	struct tni_a64 grab_expect; /* TNI_GRAB_VALID | grabs before */
	uint64_t reserved[3];
	struct tni_a64 freed; /* both sides: link, pushes, grabs */
	uint64_t reserved2[7];
};

#define TNI_GRAB_VALID (UINT64_C(1) << 63)

_Static_assert(sizeof(struct tni_transfer) == 128, "transfer");
_Static_assert(offsetof(struct tni_transfer, freed) == 64, "transfer");

/* The senders' words that change together; see core/journal.h. */
struct tni_send_state {
	struct tni_a64 tail;  /* position of the next record */
	struct tni_a64 sent;  /* messages ever */
	struct tni_a64 bytes; /* ever */
	uint64_t reserved[5];
};

/* The receivers'. */
struct tni_receive_state {
	struct tni_a64 head;	/* position of the next record */
	struct tni_a64 drained; /* messages ever taken from the log */
	struct tni_a64 ready;	/* of these: in the index or returned */
	struct tni_a64 done;	/* of these: received or dropped */
	struct tni_a64 bytes;	/* of the done ones */
	struct tni_a64
		limbo_slot; /* TNI_LIMBO_VALID | pushes before << 32 | link: on its way into freed */
	struct tni_a64 limbo_chunk;
	uint64_t reserved;
};

#define TNI_LIMBO_VALID (UINT64_C(1) << 63)
#define TNI_LIMBO_DROPPED (UINT64_C(1) << 62)

_Static_assert(sizeof(struct tni_send_state) == 64, "send state");
_Static_assert(sizeof(struct tni_receive_state) == 64, "receive state");

struct tni_send_side {
	struct tni_gate gate;
	uint64_t reserved0[6];
	struct tni_a64 version;	   /* state[version & 1] is the one that holds */
	struct tni_a64 done_cache; /* receivers' `done` as last seen */
	struct tni_a64 last_ns;
	struct tni_a32 last_participant;
	struct tni_a32 last_pid;
	struct tni_a64 done_bytes_cache; /* receivers' `bytes` as last seen */
	uint64_t reserved[3];
	struct tni_send_state state[2];
	/* what the other side reads */
	struct tni_a64 sent_seen; /* `sent` */
	struct tni_a64 bytes_seen;
	struct tni_a64 dropped; /* newest; journaled */
	struct tni_a64 high_messages;
	struct tni_a64 high_bytes;
	struct tni_a64 waits;
	struct tni_a64 level;	   /* writable descriptor: 1 there is a packet; journaled */
	struct tni_a64 woken_sent; /* typed: `sent` when waking receivers was last begun */
	struct tni_a64 told_sent;  /* and done */
	uint64_t reserved2[7];
	struct tni_pool receipts;
	struct tni_pool loans;
	struct tni_a64 orphans; /* receipts whose owner died */
	uint64_t reserved3[1];
	struct tni_transfer chunks;
	struct tni_transfer slots;
	struct tni_journal journal;
	uint64_t reserved4[6];
};

struct tni_receive_side {
	struct tni_gate gate;
	uint64_t reserved0[6];
	struct tni_a64 version;
	struct tni_a64 last_ns;
	struct tni_a32 last_participant;
	struct tni_a32 last_pid;
	uint64_t reserved[5];
	struct tni_receive_state state[2];
	/* what the other side reads */
	struct tni_a64 done_seen; /* `done` */
	struct tni_a64 gone_seen; /* `drained` - `ready`: not to be had any more */
	struct tni_a64 bytes_seen;
	struct tni_a64 dropped; /* oldest; journaled */
	struct tni_a64 dropped_bytes;
	struct tni_a64 withdrawn; /* by their senders; journaled */
	struct tni_a64 withdrawn_bytes;
	struct tni_a64 redelivered; /* journaled */
	struct tni_a64 waits;
	struct tni_a64 level;	       /* readable descriptor */
	struct tni_a64 woken_returned; /* typed: `redelivered` then */
	struct tni_a64 woken_done;     /* `done` when those who wait for receipts were last woken */
	struct tni_a64 voids;	       /* records of that kind from head on; journaled */
	struct tni_a64 told_returned;  /* typed: as told_sent */
	uint64_t reserved2[2];
	struct tni_pool leases;
	struct tni_pool nodes;
	struct tni_a64 returned_link; /* FIFO: leases, oldest message first; journaled */
	struct tni_a64 key_root;      /* ordered: buckets by key */
	struct tni_a64 age_root;      /* typed: buckets by the age of their first message */
	struct tni_pool held;
	uint64_t reserved3[4];
	struct tni_journal journal;
	uint64_t reserved4[14];
};

_Static_assert(sizeof(struct tni_send_side) % 128 == 0, "send side");
_Static_assert(sizeof(struct tni_receive_side) % 128 == 0, "receive side");
_Static_assert(offsetof(struct tni_send_side, version) == 64, "send side");
_Static_assert(offsetof(struct tni_send_side, state) == 128, "send side");
_Static_assert(offsetof(struct tni_send_side, sent_seen) == 256, "send side");
_Static_assert(offsetof(struct tni_send_side, receipts) == 384, "send side");
_Static_assert(offsetof(struct tni_send_side, chunks) == 448, "send side");
_Static_assert(offsetof(struct tni_receive_side, version) == 64, "receive side");
_Static_assert(offsetof(struct tni_receive_side, state) == 128, "receive side");
_Static_assert(offsetof(struct tni_receive_side, done_seen) == 256, "receive side");
_Static_assert(offsetof(struct tni_receive_side, leases) == 384, "receive side");

/* What receivers had done when they last found nothing.  Senders learn from it that the queue was
 * empty, and leave the words alone that receivers write with every message. */
struct tni_queue_idle {
	struct tni_a64 done, bytes;
	uint64_t reserved[6];
};

_Static_assert(sizeof(struct tni_queue_idle) == 64, "queue idle");

/* Of a priority queue: all messages from this number on have this key.  Senders change it under
 * their lock before they send a message of another; while they do not, receivers know without
 * looking at what is being sent that the front of the log comes first. */
struct tni_queue_uniform {
	struct tni_a64 from, key;
	uint64_t reserved[6];
};

_Static_assert(sizeof(struct tni_queue_uniform) == 64, "queue uniform");

/* More of control.poll_wanted, in which stands all that the short way has to know. */
#define TNI_WANTED_PAIR 4u	/* the descriptor that is both is polled */
#define TNI_WANTED_NOTICE 8u	/* somebody is registered */
#define TNI_PAIR_SETTLED 16u	/* its levels have been right once */
#define TNI_BYTES_LIMITED 32u	/* there is, or has been, a limit of bytes; stays */
#define TNI_QUEUE_DESTROYED 64u /* stays */

/* Who is registered to be told of a message that comes to the empty queue: object/queue_notice.c.
 * Under the senders' lock. */
#define TNI_NOTICE_NONE 0u
#define TNI_NOTICE_ARMED 1u
#define TNI_NOTICE_WITHHELD 2u /* armed; a message came that somebody blocked is to get */
#define TNI_NOTICE_FIRING 3u   /* armed; the message is just being sent */

struct tni_queue_notice {
	struct tni_a32 state;
	struct tni_a32 serial;	    /* of the registration */
	struct tni_a32 participant; /* that is registered */
	struct tni_a32 event;	    /* counts; the registered sleeps on it; bit 30 is never set */
	struct tni_a32 sender_pid, sender_uid; /* FIRING */
	struct tni_a32 signal, reserved;       /* for who looks: what it is told by */
};

_Static_assert(sizeof(struct tni_queue_notice) == 32, "queue notice");

/* Of a queue with a limit of bytes: how often that was set, and at which `done`, and which of those
 * times, all who wait for room were last woken. */
struct tni_queue_room {
	struct tni_a64 changes; /* under the receivers' lock */
	struct tni_a64 woken_done, woken_changes;
	uint64_t reserved[5];
};

_Static_assert(sizeof(struct tni_queue_room) == 64, "queue room");

struct tni_queue_control {
	_Alignas(128) struct tni_send_side send;
	_Alignas(128) struct tni_receive_side receive;
	_Alignas(128) struct tni_waitroom waitroom;
	struct tni_a32
		poll_wanted; /* TENON_READABLE, TENON_WRITABLE, TNI_WANTED_…: somebody polls */
	struct tni_queue_notice notice;
	struct tni_a32 pair_level[2]; /* of the descriptor that is both: object/queue_pair.c */
	struct tni_a32 pair_epoch;    /* counts those who have counted its packets */
	struct tni_a32 flag_changes_begun, flag_changes_done; /* of descriptors of that kind */
	struct tni_a64
		max_bytes; /* queued or under lease; 0: no limit; under the receivers' lock */
	struct tni_queue_idle idle;
	struct tni_queue_uniform uniform;
	struct tni_queue_room room;
	struct tni_lanes lanes; /* typed: of the types that receivers wait for */
};

_Static_assert(offsetof(struct tni_queue_control, notice) -
			       offsetof(struct tni_queue_control, poll_wanted) ==
		       4,
	       "queue control");

_Static_assert(offsetof(struct tni_queue_control, idle) % 64 == 0, "queue control");
_Static_assert(offsetof(struct tni_queue_control, uniform) % 64 == 0, "queue control");
_Static_assert(offsetof(struct tni_queue_control, room) % 64 == 0, "queue control");
_Static_assert(offsetof(struct tni_queue_control, lanes) % 64 == 0, "queue control");

_Static_assert(sizeof(struct tni_queue_control) <= 2 * TNI_PAGE_BYTES, "queue control");

/* Records.  The first word is written last; 0 means "not yet".  In ordered queues the key
 * follows. */
#define TNI_RECORD_BYTES_MASK UINT64_C(0xffffffff)
#define TNI_RECORD_KIND_SHIFT 32
#define TNI_RECORD_KIND_MASK UINT64_C(0xff)
#define TNI_RECORD_SENDER_SHIFT 40 /* process id: 24 bits */
#define TNI_RECORD_INLINE 1u	   /* low half: bytes; then the message, padded to 8 */
#define TNI_RECORD_SLOT 2u	   /* low half: bytes; then a word: index of the slot */
#define TNI_RECORD_JUMP 3u	   /* low half: the next chunk */
#define TNI_RECORD_VOID 4u	   /* was SLOT: withdrawn, amid the log of a FIFO rendezvous */

struct tni_chunk {
	struct tni_a64 next_link; /* in a free list */
	struct tni_a64 pins;	  /* leases on records in here; journaled */
	struct tni_a64 retired;	  /* the receivers are past it; journaled */
	struct tni_a64 hollow;	  /* 1: free, and only its first page has memory */
	uint64_t reserved[4];
	/* records */
};

_Static_assert(sizeof(struct tni_chunk) == 64, "chunk");

/* Flags of a slot. */
#define TNI_SLOT_CANCELLED 1u

struct tni_slot {
	struct tni_a64 next_link;		 /* in a free list; journaled */
	struct tni_a64 younger_link, older_link; /* in a bucket; journaled */
	struct tni_a64 key;
	struct tni_a64 sequence;
	struct tni_a64 room_bytes; /* of its data: memory that is there */
	struct tni_a32 bytes;
	struct tni_a32 deliveries;
	struct tni_a32 receipt_link;
	struct tni_a32 flags_sender; /* flags, process id << 8 */
				     /* message */
};

_Static_assert(sizeof(struct tni_slot) == 64, "slot");

#define TNI_LOAN_FREE 0u
#define TNI_LOAN_HELD 1u

struct tni_loan {
	struct tni_a64 next_link;
	struct tni_a64 slot;
	struct tni_a64 state_participant; /* state, participant index << 32 */
	struct tni_a64 serial;		  /* tells it from earlier ones in this entry */
};

_Static_assert(sizeof(struct tni_loan) == 32, "loan");
_Static_assert(offsetof(struct tni_loan, serial) == 24, "loan");

#define TNI_LEASE_FREE 0u
#define TNI_LEASE_TAKEN 1u
#define TNI_LEASE_RETURNED 2u

struct tni_lease {
	struct tni_a64 next_link; /* free list or returned list; journaled */
	struct tni_a64 state_participant;
	struct tni_a64 sequence;
	struct tni_a64 record;		 /* position in the log, or TNI_LEASE_IN_SLOT | slot */
	struct tni_a64 bytes_deliveries; /* bytes, deliveries << 32 */
	struct tni_a64 sender;		 /* process id */
	uint64_t reserved[2];
};

#define TNI_LEASE_IN_SLOT (UINT64_C(1) << 63)

_Static_assert(sizeof(struct tni_lease) == 64, "lease");

#define TNI_RECEIPT_FREE 0u
#define TNI_RECEIPT_OPEN 1u
#define TNI_RECEIPT_DONE 2u
#define TNI_RECEIPT_CANCELLED 3u
#define TNI_RECEIPT_STATE_MASK UINT64_C(0xff)
#define TNI_RECEIPT_ORPHAN UINT64_C(0x100)

struct tni_receipt {
	struct tni_a64 next_link;
	struct tni_a64 state_pid; /* state and flag, receiver's pid << 32 */
	struct tni_a64 slot;
	struct tni_a64 owner; /* participant index, serial << 32 */
};

_Static_assert(sizeof(struct tni_receipt) == 32, "receipt");

/* The index of an ordered queue: core/index.c.  A bucket holds the messages of one key. */
#define TNI_NODE_TREES 2u
#define TNI_TREE_KEY 0u
#define TNI_TREE_AGE 1u

struct tni_node {
	struct tni_a64 next_link;	      /* in the free list; journaled */
	struct tni_a64 key[TNI_NODE_TREES];   /* bucket */
	struct tni_a64 first_link, last_link; /* bucket: slots */
	struct tni_a64 count;		      /* bucket */
	struct tni_a64 child[2];	      /* fork; its bit is in key[0] */
};

_Static_assert(sizeof(struct tni_node) == 64, "node");

#endif
