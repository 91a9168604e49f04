/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TNI_OBJECT_QUEUE_PRIVATE_H
#define TNI_OBJECT_QUEUE_PRIVATE_H

/*
 * The queue from the inside.  Two sides, each behind a gate of its own:
 *
 *	SEND	 the end of the log, the pools that messages are made from, loans, receipts
 *	RECEIVE	 the front of the log, what was taken from it (index, returned messages), leases
 *
 * Lock order: there is none, because no thread ever holds both; a thread has one pending entry.
 *
 *	queue_open.c	layout, creation, opening, removing
 *	queue_known.c	opening by file
 *	queue_side.c	locking a side, repairing it, waking who can go on, burying the dead
 *	queue_log.c	records: writing them behind the end, reading them at the front
 *	queue_order.c	the index of ordered queues
 *	queue_item.c	finding the next message, ending it, leasing it, putting it back
 *	queue_send.c	send, commit
 *	queue_loan.c	slots to write into; loan, abandon
 *	queue_memory.c	giving memory back that lies idle
 *	queue_receive.c	receive, take, done, return
 *	queue_limit.c	a limit of bytes
 *	queue_end.c	destroying a queue
 *	queue_fast.c	the short way: the fast path of send and receive
 *	queue_fast_loan.c	the same of loan, commit, take and done
 *	queue_receipt.c	receipts, and the meeting of a rendezvous
 *	queue_peek.c	looking at messages and leaving them there
 *	queue_fifo.c	the files of FIFOs beside the queue's
 *	queue_poll.c	descriptors to poll: one for each direction
 *	queue_pair.c	one for both
 *	queue_notice.c	the notice of a message that comes to the empty queue
 *	queue_options.c	checking options
 *	queue_wait.c	spinning and sleeping
 *	queue_withdraw.c	a rendezvous takes its message back
 *	queue_status.c	looking inside
 *	queue_check.c	checking the whole structure
 */

#include <tenon/queue.h>

#include "abi/queue.h"
#include "core/clock.h"
#include "core/copy.h"
#include "core/deathwatch.h"
#include "core/gate.h"
#include "core/object.h"
#include "core/table.h"
#include "object/options.h"
#include "object/queue_descriptor.h"

#define TNI_SEND 0u
#define TNI_RECEIVE 1u

/* Up to this a message is copied under the lock; a longer one as a rule beside it: queue_fast.c. */
#define TNI_COPY_UNDER_LOCK_BYTES 16384u
/* Messages received in a row without finding none, from which on a queue counts as busy. */
#define TNI_STREAK_MAX 4u
#define TNI_RUN_MAX 1024u /* messages in one commit */

/* How far a receiver has looked into the log of a priority queue: messages from one number to
 * another, all of one key, and where the next one is.  Under the receivers' lock. */
struct tni_scan {
	uint64_t from, to, position, key;
};

/* Which message of a typed queue was looked at last, at which version of the receivers' side. */
struct tni_peek {
	uint64_t version, position, sequence;
};

struct tenon_queue {
	struct tni_object object; /* first: bury() is given this */
	struct tni_gatehouse house;
	struct tni_queue_control *control;
	struct tni_queue_attributes attributes; /* checked copy */
	struct tni_table receipts, loans, leases, nodes, held, chunks, slots, data;
	uint64_t short_bytes;	      /* up to this a message lies in the log itself */
	uint64_t head_bytes;	      /* of a record, before its message or slot */
	struct tni_a32 spin_ns[2];    /* budget of receivers, of senders */
	struct tni_a32 spin_trust[2]; /* 1: the last spinning was worth it */
	struct tni_a32 streak;	      /* messages received without finding none, up to a few */
	struct tni_a32 alone[2];     /* long messages since others received, or sent, up to a few */
	struct tni_a32 poll_fd[2];   /* + 1 */
	struct tni_a32 pair_fd;	     /* + 1 */
	struct tni_a32 pair_looks;   /* in vain, while it was not raised */
	struct tni_deathwatch watch; /* of the readable one */
	struct tni_scan scan;
	struct tni_peek peeked;
	uint32_t pid;
	uint32_t chunk_shift; /* log2 of chunk_bytes */
	/* Ordered: messages with memory in the index, and outside the log; senders' lock. */
	uint64_t backed_nodes, backed_held;
	char *directory; /* of the namespace */
	/* while it is opened */
	const char *namespace_path;
	struct tenon_queue_options making;
	uint64_t made_inode; /* of the file that it has made; 0 none */
	uint32_t access;     /* TENON_READABLE, TENON_WRITABLE: what it is opened for */
	uint64_t handle;     /* another number for each that this process opens */
};

/* One call of one thread. */
struct tni_call {
	struct tenon_queue *queue;
	struct tni_thread *thread;
	void *pending; /* of the thread, before */
	/* This process's entry, in which it is counted, and its number: object/queue_notice.c. */
	struct tni_participant *blocked;
	uint32_t blocked_participant;
	bool wake_all; /* a new stake, a lease without one, a death to look for: sleepers have to know */
	/* Who found nothing to do: what the other side's, or its own side's, words were then. */
	uint64_t looked_done, looked_limit;   /* senders */
	uint64_t looked_version, looked_head; /* receivers */
	/* Messages that were just sent, for who unlocks, and the key of them. */
	uint32_t sent_now;
	uint64_t sent_key;
	/* while unlocking */
	bool told_done;			  /* all who wait for receipts are */
	bool told_room;			  /* all who wait for room are, where bytes are limited */
	uint64_t sent, redelivered, done; /* of what they are told */
	uint64_t begun_sent, begun_returned;
	bool is_owed, is_telling; /* lanes: queue_side.c */
	uint64_t changes;	  /* of the limit */
};

/* Working copies of the states; see abi/queue.h. */
struct tni_send_view {
	uint64_t tail, sent, bytes;
};

struct tni_receive_view {
	uint64_t head, drained, ready, done, bytes, limbo_slot, limbo_chunk;
};

/* queue_side.c */
int tni_call_begin(struct tni_call *call, struct tenon_queue *queue);
/* The same at a queue that may have been destroyed: tni_call_begin() answers -EIDRM. */
int tni_call_begin_any(struct tni_call *call, struct tenon_queue *queue);

/* The same where nothing has to be looked up again; false: tni_call_begin(). */
static inline bool tni_call_quick(struct tni_call *call, struct tenon_queue *queue)
{
	call->queue = queue;
	call->thread = tni_thread_self();
	call->wake_all = false;
	call->sent_now = 0;
	call->blocked = NULL;
	if (__builtin_expect(tni_get32(&queue->object.generation) != call->thread->generation, 0))
		return false;
	call->pending = tni_pending_get(call->thread);
	return true;
}

/* Locks a side and repairs it if need be.  0, -ETIMEDOUT, -EDEADLK, -EBADMSG: not locked. */
int tni_side_lock(struct tni_call *call, uint32_t side, int64_t deadline_ns);
/* The same for who has nothing to do at a queue that was destroyed: -EIDRM. */
int tni_side_enter(struct tni_call *call, uint32_t side, int64_t deadline_ns);
/* Unlocks and wakes whom the state lets go on. */
void tni_side_unlock(struct tni_call *call, uint32_t side);
/* The two for one who belongs to the other side.  Who waits for this side goes by where it ran
 * last: not by him, who may be that one himself.  Who waits for the lock does. */
int tni_side_visit(struct tni_call *call, uint32_t side, int64_t deadline_ns, uint32_t *ret_cpu);
void tni_side_part(struct tni_call *call, uint32_t side, uint32_t cpu);
/* Takes over gates whose owners died. */
int tni_call_heal(struct tni_call *call, int64_t deadline_ns);
void tni_queue_renew(struct tni_object *object);
void tni_queue_rouse(struct tni_object *object);
int tni_queue_bury(struct tni_object *object, uint32_t participant, int64_t deadline_ns);
/* Buries every dead participant, as far as the time goes; how many. */
int tni_queue_recover(struct tni_call *call, int64_t deadline_ns, uint32_t *ret_buried);
/* Whether somebody else may have a lease. */
static inline bool tni_has_foreign_leases(struct tenon_queue *queue)
{
	return tni_get64(&queue->control->receive.leases.used) > 0 &&
	       tni_object_participants_top(&queue->object) > 1;
}

/* Whether this process polls and is to be told of deaths. */
static inline bool tni_is_watching(const struct tenon_queue *queue)
{
	return __builtin_expect(tni_get32(&queue->watch.generation) != 0, 0);
}

/* Who holds leases, as far as that can be told without a lock. */
void tni_queue_find_holders(struct tenon_queue *queue, uint64_t holders[TNI_BITMAP_WORDS]);

/* Brings back what the dead have taken: to be called by who found nothing, before it says so or
 * sleeps.  A deadline of 0: who does not wait.  1: something came back, look again; 0: nothing; an
 * error. */
int tni_queue_bring_back(struct tni_call *call, int64_t deadline_ns);
/* The mark of damage. Answers -EBADMSG. */
int tni_queue_damaged(struct tenon_queue *queue);

static inline struct tni_send_view tni_send_view(const struct tni_send_side *side)
{
	const struct tni_send_state *state = &side->state[tni_get64(&side->version) & 1];

	return (struct tni_send_view){.tail = tni_get64(&state->tail),
				      .sent = tni_get64(&state->sent),
				      .bytes = tni_get64(&state->bytes)};
}

static inline struct tni_receive_view tni_receive_view(const struct tni_receive_side *side)
{
	const struct tni_receive_state *state = &side->state[tni_get64(&side->version) & 1];

	return (struct tni_receive_view){.head = tni_get64(&state->head),
					 .drained = tni_get64(&state->drained),
					 .ready = tni_get64(&state->ready),
					 .done = tni_get64(&state->done),
					 .bytes = tni_get64(&state->bytes)};
}

/* Commits, and brings into line what the other side reads. */
static inline void tni_send_commit(struct tni_send_side *side, const struct tni_send_view *view)
{
	struct tni_send_state *next = &side->state[(tni_get64(&side->version) + 1) & 1];

	tni_set64(&next->tail, view->tail);
	tni_set64(&next->sent, view->sent);
	tni_set64(&next->bytes, view->bytes);
	tni_commit(&side->version);
	tni_set64(&side->bytes_seen, view->bytes);
	tni_store_release64(&side->sent_seen, view->sent); /* ORD(seen) */
}

static inline void tni_show_received(struct tni_receive_side *side,
				     const struct tni_receive_view *view)
{
	tni_set64(&side->bytes_seen, view->bytes);
	tni_store_release64(&side->gone_seen, view->drained - view->ready); /* ORD(seen) */
	tni_store_release64(&side->done_seen, view->done);
}

/* What freed no slot and no chunk. */
static inline void tni_receive_commit_log(struct tni_receive_side *side,
					  const struct tni_receive_view *view)
{
	struct tni_receive_state *next = &side->state[(tni_get64(&side->version) + 1) & 1];

	tni_set64(&next->head, view->head);
	tni_set64(&next->drained, view->drained);
	tni_set64(&next->ready, view->ready);
	tni_set64(&next->done, view->done);
	tni_set64(&next->bytes, view->bytes);
	tni_set64(&next->limbo_slot, view->limbo_slot);
	tni_set64(&next->limbo_chunk, view->limbo_chunk);
	tni_commit(&side->version);
	tni_show_received(side, view);
}

int tni_receive_commit(struct tenon_queue *queue, const struct tni_receive_view *view);

/* Room for up to `wanted` messages, under the senders' lock.  Looks at the receivers' words only
 * when it seems to be short. */
static inline uint64_t tni_room_locked(struct tenon_queue *queue, uint64_t sent, uint64_t wanted)
{
	struct tni_send_side *side = &queue->control->send;
	uint64_t capacity = queue->attributes.capacity;
	uint64_t held = sent - tni_get64(&side->done_cache);

	if (capacity == TENON_QUEUE_UNBOUNDED || capacity == TENON_QUEUE_RENDEZVOUS)
		return UINT32_MAX;
	if (__builtin_expect(held > capacity || capacity - held < wanted, 0)) {
		/* ORD(seen): what the receivers have freed may be written over. */
		tni_set64(&side->done_cache,
			  tni_load_acquire64(&queue->control->receive.done_seen));
		held = sent - tni_get64(&side->done_cache);
		/* Below none: what a dead sender published was received, and then counted. */
		if (held > capacity)
			held = (int64_t)held < 0 ? 0 : capacity;
	}
	return capacity - held;
}

/* When nothing was found; without the lock, lest others wait for it while the line comes. */
static inline void tni_note_idle(struct tenon_queue *queue)
{
	const struct tni_receive_side *side = &queue->control->receive;
	uint64_t version = tni_load_acquire64(&side->version); /* ORD(look) */
	struct tni_receive_view view = tni_receive_view(side);
	struct tni_queue_idle *idle = &queue->control->idle;

	/* A state that was being written may never be: its writer may have died. */
	if (tni_load_acquire64(&side->version) != version) /* ORD(look) */
		return;
	if (tni_get64(&idle->done) == view.done)
		return;
	tni_set64(&idle->bytes, view.bytes);
	tni_store_release64(&idle->done, view.done); /* ORD(seen) */
}

/* How many messages could be received now, and how many sent: hints, exact under no lock. */
uint64_t tni_queue_available(const struct tenon_queue *queue);
uint64_t tni_queue_room(const struct tenon_queue *queue);

static inline void tni_note_received(struct tenon_queue *queue)
{
	tni_set32(&queue->control->receive.last_pid, queue->pid);
	tni_set64(&queue->control->receive.last_ns, (uint64_t)tni_stamp_ns());
}

/* A walk over what lies in shared memory, of which nothing else says how long it is. */
struct tni_walk {
	uint64_t steps, most;
};

/* Whether to go on: there may be so many things as the memory has room for smallest records. */
bool tni_walk_on(const struct tenon_queue *queue, struct tni_walk *walk);

/* queue_log.c */
static inline uint64_t tni_padded(uint64_t bytes)
{
	return (bytes + 7) & ~UINT64_C(7);
}

static inline uint64_t tni_record_word(const struct tenon_queue *queue, uint32_t kind, uint64_t low)
{
	return low | (uint64_t)kind << TNI_RECORD_KIND_SHIFT |
	       (uint64_t)queue->pid << TNI_RECORD_SENDER_SHIFT;
}

struct tni_record {
	uint32_t kind; /* 0: nothing there yet */
	uint32_t bytes;
	uint32_t sender;
	uint64_t position, next;
	uint64_t key;	/* ordered queues */
	uint64_t slot;	/* SLOT */
	uint64_t chunk; /* JUMP: the next one */
	void *data;
};

/* The first word of the record at a position; NULL: there can be none. */
const struct tni_a64 *tni_log_word(struct tenon_queue *queue, uint64_t position);
int tni_log_read(struct tenon_queue *queue, uint64_t position, struct tni_record *ret_record);

/* A run of records behind the end, seen by receivers all at once or not at all. */
struct tni_append {
	struct tni_txn txn;
	struct tni_send_view view; /* as it will be */
	struct tni_a64 *first;	   /* the word that publishes */
	uint64_t first_word;
};

/* Whether the run had better end here, so that freed chunks can be fetched. */
bool tni_append_is_short(const struct tenon_queue *queue, const struct tni_append *append);
void tni_append_begin(struct tenon_queue *queue, struct tni_append *append);
/* Writes the 0 behind the last record: L1 of queue_log.c. */
void tni_log_end(struct tenon_queue *queue, uint64_t tail);
int tni_append_inline(struct tenon_queue *queue, struct tni_append *append, const void *data,
		      uint32_t bytes, uint64_t key);
int tni_append_slot(struct tenon_queue *queue, struct tni_append *append, uint64_t slot,
		    uint32_t bytes, uint64_t key);
void tni_append_publish(struct tenon_queue *queue, struct tni_append *append);
/* Goes past a jump: the chunk behind it is freed, or as soon as no lease lies in it.  Commits. */
int tni_log_leave_chunk(struct tenon_queue *queue, struct tni_receive_view *view,
			const struct tni_record *jump);
/* Repair: counts what a dead sender published and did not count. */
int tni_log_roll_forward(struct tenon_queue *queue);

static inline uint64_t tni_chunk_start(const struct tenon_queue *queue, uint64_t chunk)
{
	return chunk * queue->attributes.chunk_bytes + sizeof(struct tni_chunk);
}

/* Slots are numbered through: first those that senders write into, then those that receivers move
 * short messages into, out of the log. */
static inline bool tni_slot_is_held(const struct tenon_queue *queue, uint64_t slot)
{
	return slot >= queue->slots.max;
}

static inline struct tni_slot *tni_slot_at(struct tenon_queue *queue, uint64_t slot)
{
	return tni_slot_is_held(queue, slot) ? tni_table_at(&queue->held, slot - queue->slots.max)
					     : tni_table_at(&queue->slots, slot);
}

/* Its message, whose memory was made sure of. */
static inline void *tni_slot_data(const struct tenon_queue *queue, uint64_t slot)
{
	if (tni_slot_is_held(queue, slot))
		return (struct tni_slot *)tni_table_entry(&queue->held, slot - queue->slots.max) +
		       1;
	return tni_table_entry(&queue->data, slot);
}

/* How many there can be: what bounds a walk. */
static inline uint64_t tni_slots_max(const struct tenon_queue *queue)
{
	return (uint64_t)queue->slots.max + queue->held.max;
}

static inline void tni_slot_label(struct tenon_queue *queue, struct tni_slot *slot, uint64_t bytes,
				  uint64_t key)
{
	tni_set64(&slot->key, key);
	tni_set32(&slot->bytes, (uint32_t)bytes);
	tni_set32(&slot->flags_sender, queue->pid << 8);
}

/* The length of a slot's message, or -EBADMSG. */
int64_t tni_slot_bytes(struct tenon_queue *queue, uint64_t index, const struct tni_slot *slot);

/* queue_item.c */
#define TNI_ITEM_RECORD 1u   /* at the front of the log */
#define TNI_ITEM_RETURNED 2u /* a lease that was given back */
#define TNI_ITEM_INDEXED 3u  /* a slot in the index */

struct tni_item {
	uint32_t origin;
	bool in_slot;
	uint64_t slot, lease;
	uint64_t position, next; /* of the record */
	const void *data;
	struct tenon_message message;
};

/* Finds what a receiver gets next, and changes nothing that anybody could notice.  -EAGAIN none. */
int tni_item_find(struct tenon_queue *queue, const struct tenon_receive_options *options,
		  struct tni_item *ret_item);
/* A message by where it is. */
int tni_item_of_slot(struct tenon_queue *queue, uint64_t slot, struct tni_item *item);
int tni_item_of_record(struct tenon_queue *queue, const struct tni_record *record,
		       struct tni_item *item);
int tni_item_of_lease(struct tenon_queue *queue, uint64_t lease, struct tni_item *item);
/* What became of a message. */
#define TNI_RECEIVED 0u
#define TNI_DROPPED 1u	 /* to make room */
#define TNI_WITHDRAWN 2u /* by its sender, who was told that it was not sent */

/* Ends it.  Commits. */
int tni_item_finish(struct tenon_queue *queue, const struct tni_item *item, uint32_t outcome);
/* Steps of that: counts it, and frees what it lay in; frees a lease's entry; commits, or undoes
 * what was done if `result` is an error, which it answers. */
int tni_item_end(struct tenon_queue *queue, struct tni_txn *txn, struct tni_receive_view *view,
		 const struct tni_item *item, uint32_t outcome);
int tni_item_free_lease(struct tenon_queue *queue, struct tni_txn *txn, uint64_t index);
int tni_item_commit(struct tenon_queue *queue, struct tni_txn *txn,
		    const struct tni_receive_view *view, int result);

/* queue_withdraw.c */
/* Its sender takes the message of a slot back, wherever it stands.  Commits. */
int tni_item_withdraw(struct tenon_queue *queue, uint64_t slot);
/* To be called before it is leased.  The item may lie elsewhere afterwards.  Commits. */
int tni_item_settle(struct tenon_queue *queue, struct tni_item *item);
/* Leases it to this process.  Commits. */
int tni_item_lease(struct tenon_queue *queue, const struct tni_item *item, uint64_t *ret_opaque);
/* Ends a lease of a participant: done, or put back.  Commits. -EINVAL. */
int tni_lease_end(struct tenon_queue *queue, uint64_t opaque, bool done);
/* Returns everything that a participant has leased. */
int tni_lease_return_all(struct tenon_queue *queue, uint32_t participant);
/* Drops the message that would be received next.  -EAGAIN none. */
int tni_item_drop(struct tenon_queue *queue);

/* queue_wait.c */
/* What who waits saw when it found nothing to do. */
struct tni_seen {
	uint64_t version, head, sent, done, limit;
};

/* To be called before looking. */
struct tni_seen tni_wait_seen(const struct tenon_queue *queue);

/* What somebody waits for. */
struct tni_reason {
	uint32_t class;
	bool or_room; /* MESSAGE: or room, for which the version of the receivers' side tells, too */
	struct tni_seen seen;		   /* MESSAGE; ROOM: `done` and `limit` alone */
	const struct tni_receipt *receipt; /* RECEIPT */
	uint32_t lane;			   /* MESSAGE: tni_lane_of() */
	bool spun;			   /* it has once been said to look again, and ... */
	struct tni_seen spun_seen;	   /* ... this had been seen before */
};

/* Spins for a while, if that promises anything.  True: look again.  Not twice about the same: where
 * a look finds nothing though the words say otherwise, only sleeping and its repairs get any
 * further. */
bool tni_spin(struct tenon_queue *queue, struct tni_reason *reason, int64_t deadline_ns);

/* Sleeps until the reason may be gone.  0: look again (the thread's pending entry stays at a gate:
 * lock one next, or call tni_wait_leave()).  -ETIMEDOUT, -EINTR, -EBADMSG. */
int tni_wait(struct tni_call *call, const struct tni_reason *reason, int64_t deadline_ns);
void tni_wait_leave(struct tni_call *call);
void tni_queue_hand_on(struct tenon_queue *queue);

/* Tells what lies in an entry now from what lay there before; under the senders' lock. */
static inline uint64_t tni_serial(const struct tni_send_side *side)
{
	return (uint32_t)tni_get64(&side->version);
}

/* queue_receipt.c */
/* A receipt for the message that will be in `slot`. */
int tni_receipt_take(struct tenon_queue *queue, struct tni_txn *txn, uint64_t slot,
		     uint64_t *ret_receipt);
/* A receipt for a message that was dropped instead of sent.  Commits. */
int tni_receipt_of_dropped(struct tenon_queue *queue, uint64_t *ret_receipt);
/* The message of a slot is gone: fills in its receipt, if it has one. */
void tni_receipt_finish(struct tenon_queue *queue, uint64_t slot, bool dropped);
/* What tenon_queue_last_receipt() will answer. */
void tni_receipt_remember(struct tenon_queue *queue, uint64_t receipt);
/* Waits for the message of a RENDEZVOUS send; takes it back when the time is up.  `keep`: the
 * receipt is wanted if there was somebody to meet. */
int tni_receipt_rendezvous(struct tni_call *call, uint64_t receipt, bool keep, int64_t deadline_ns);
/* Whether a receiver is waiting that has no message coming. */
bool tni_receipt_has_taker(struct tenon_queue *queue);
/* The participant will ask for none of its receipts any more. */
int tni_receipt_orphan_all(struct tenon_queue *queue, uint32_t participant);

/* queue_options.c */
int tni_send_options_check(struct tenon_queue *queue, const struct tenon_send_options *options,
			   struct tenon_send_options *ret_options);
int tni_receive_options_check(struct tenon_queue *queue,
			      const struct tenon_receive_options *options,
			      struct tenon_receive_options *ret_options);

/* Options of this very size that ask for nothing that the short way does not do. */
static inline bool tni_send_is_plain(const struct tenon_queue *queue,
				     const struct tenon_send_options *options)
{
	return !options ||
	       (options->size == sizeof(*options) && (options->flags & ~TENON_NONBLOCK) == 0 &&
		(queue->attributes.order != TENON_QUEUE_PRIORITY ||
		 options->key <= TENON_QUEUE_PRIORITY_MAX));
}

static inline bool tni_receive_is_plain(const struct tenon_queue *queue,
					const struct tenon_receive_options *options)
{
	return !options ||
	       (options->size == sizeof(*options) && (options->flags & ~TENON_NONBLOCK) == 0 &&
		options->reserved == 0 && options->select <= TENON_SELECT_LOWEST_TO &&
		(options->select == TENON_SELECT_ANY ||
		 queue->attributes.order == TENON_QUEUE_TYPED));
}

/* queue_send.c */
void tni_note_high(struct tenon_queue *queue, const struct tni_send_view *view);

/* Statistics, under the senders' lock, behind a commit. */
static inline void tni_note_sent(struct tenon_queue *queue, const struct tni_send_view *view)
{
	struct tni_send_side *side = &queue->control->send;

	tni_set32(&side->last_pid, queue->pid);
	tni_set64(&side->last_ns, (uint64_t)tni_stamp_ns());
	/* As of what is known of the receivers: it cannot be more than that. */
	if (__builtin_expect(view->sent - tni_get64(&side->done_cache) >
					     tni_get64(&side->high_messages) ||
				     view->bytes - tni_get64(&side->done_bytes_cache) >
					     tni_get64(&side->high_bytes),
			     0))
		tni_note_high(queue, view);
}

/* queue_memory.c */
/* Gives the memory of free slots and chunks back.  Under the senders' lock, outside a run. */
void tni_memory_release(struct tenon_queue *queue);
/* The same where an empty queue that keeps much is about to be closed.  Locks, if that is free. */
void tni_memory_leave(struct tenon_queue *queue);
/* Makes sure of the memory of a chunk that was free; -ENOSPC. */
int tni_chunk_fill(struct tenon_queue *queue, uint64_t index);

/* queue_loan.c */
/* Fetches freed slots if that is due.  Under the senders' lock, outside a run. */
void tni_slots_refill(struct tenon_queue *queue);
/* Takes a slot with room for a message, in an open run. */
int tni_slot_take(struct tenon_queue *queue, struct tni_txn *txn, uint64_t bytes,
		  uint64_t *ret_index, struct tni_slot **ret_slot);
/* Loans a slot to this process.  Under the senders' lock, outside a run. */
int tni_loan_begin(struct tenon_queue *queue, uint64_t bytes, uint64_t *ret_opaque,
		   uint64_t *ret_slot);
/* The same, and locks. */
int tni_loan_take(struct tni_call *call, uint64_t bytes, int64_t deadline_ns, uint64_t *ret_opaque,
		  uint64_t *ret_slot);
/* The entry of a loan that this process holds.  -EINVAL. */
int tni_loan_find(struct tenon_queue *queue, const struct tenon_loan *loan, uint64_t bytes,
		  uint64_t *ret_index);
/* Ends a loan, under the senders' lock. */
int tni_loan_free(struct tenon_queue *queue, uint64_t index);
int tni_loan_free_all(struct tenon_queue *queue, uint32_t participant);
/* queue_send.c: puts its message into the log, and ends it; to be published. */
int tni_loan_append(struct tenon_queue *queue, uint64_t index, uint64_t bytes, uint64_t key,
		    uint64_t *ret_receipt, struct tni_append *append);

#endif
