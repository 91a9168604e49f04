/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The short way, the fast path: messages that are copied under the lock, at the front and the end of the
 * log of a queue of any order, when the side's gate is free, nobody polls the queue but by the descriptor
 * of queue_pair.c, and it is no rendezvous.  Messages that lie in the log go in runs, those in slots one by
 * one.  It takes the same steps in the same order as queue_send.c and queue_receive.c, under the same crash
 * tables, without the generality.  Whatever it does not know it leaves to them, having changed nothing.
 *
 * What it costs is lines that go from one processor to the other, so each side keeps to its own: it
 * looks at the other's counters only when what it last saw of them says "full" or "a new mark", and
 * asks early for the lines of the log that it will write next.
 *
 * ORD look: a version that is the same before and behind a look without the lock says that the look was
 * at one state; the acquiring loads keep them in this order.
 */

#include <errno.h>
#include <string.h>

#include "object/queue_fast.h"
#include "object/queue_limit.h"
#include "object/queue_order.h"
#include "object/queue_private.h"

/* Of the log, ahead of what is written or read now.  Senders do so only while there is that much room,
 * lest the lines are taken from a receiver that still reads them; receivers only when they found so many
 * messages without a wait in between, lest they are taken from a sender that still writes them. */
#define AHEAD_BYTES 384u
#define AHEAD_ROOM 16u

/* So long a message is copied under the lock, too, by who has been alone on his side for so many of
 * them, where the other side has no need of the lock: he keeps nobody waiting, and saves a loan, or a lease,
 * and the lock once more. */
#define ALONE_MOST_BYTES 65536u
#define ALONE_MIN 64u

static bool is_alone(struct tenon_queue *queue, uint32_t side)
{
	const struct tni_queue_control *control = queue->control;
	uint32_t last = tni_get32(side == TNI_SEND ? &control->send.last_pid
						   : &control->receive.last_pid);
	uint32_t alone = last == queue->pid ? tni_get32(&queue->alone[side]) : 0;

	if (alone < ALONE_MIN)
		tni_set32(&queue->alone[side], last == queue->pid ? alone + 1 : 0);
	return alone >= ALONE_MIN;
}

/* Whether a message is copied under the lock. */
static inline bool is_short(struct tenon_queue *queue, uint32_t side, uint64_t bytes)
{
	return __builtin_expect(bytes <= TNI_COPY_UNDER_LOCK_BYTES, 1) ||
	       (bytes <= ALONE_MOST_BYTES && queue->attributes.full != TENON_QUEUE_DROP_OLDEST &&
		!tni_pair_is_wanted(queue) && is_alone(queue, side));
}

/* The place of the log at a position.  NULL: there can be none. */
static inline struct tni_a64 *place_at(struct tenon_queue *queue, uint64_t position,
				       uint64_t *ret_left)
{
	uint64_t offset = position & (queue->attributes.chunk_bytes - 1);

	if (offset < sizeof(struct tni_chunk) || offset % 8 != 0 ||
	    tni_table_back(&queue->chunks, position >> queue->chunk_shift,
			   queue->attributes.chunk_bytes) != 0)
		return NULL;
	*ret_left = queue->attributes.chunk_bytes - offset;
	return (struct tni_a64 *)(queue->object.base + queue->chunks.offset + position);
}

/* What is to be sent or received shows at the descriptor that is both, before the commit. */
static inline void raise_pair(struct tenon_queue *queue, uint32_t side)
{
	if (tni_pair_is_wanted(queue) && tni_get32(&queue->control->pair_level[side]) == 0)
		tni_pair_raise(queue, side);
}

/* Whoever made it full or empty says so, and knows by his own side's lines that he did not. */
static void lower_when_full(struct tni_call *call)
{
	const struct tenon_queue *queue = call->queue;
	const struct tni_send_side *side = &queue->control->send;

	if (tni_bytes_are_limited(queue) ||
	    tni_get64(&side->sent_seen) - tni_get64(&side->done_cache) >=
		    queue->attributes.capacity)
		tni_pair_lower(call, TNI_RECEIVE);
}

static void lower_when_empty(struct tni_call *call)
{
	struct tenon_queue *queue = call->queue;
	struct tni_receive_view view = tni_receive_view(&queue->control->receive);
	uint64_t left, kind;
	const struct tni_a64 *at = place_at(queue, view.head, &left);

	kind = at ? tni_get64(at) >> TNI_RECORD_KIND_SHIFT & TNI_RECORD_KIND_MASK : 0;
	if (view.ready == 0 && kind != TNI_RECORD_INLINE && kind != TNI_RECORD_SLOT)
		tni_pair_lower(call, TNI_SEND);
}

/* Behind the unlocking.  Who has begun to poll a FIFO meanwhile has seen the queue as it was: it may promise too
 * much. */
static inline void lower(struct tni_call *call, uint32_t side)
{
	uint32_t wanted = tni_get32(&call->queue->control->poll_wanted) &
			  (TENON_READABLE | TENON_WRITABLE | TNI_WANTED_PAIR);

	if (__builtin_expect(wanted == 0, 1))
		return;
	call->sent_now = 0;
	if (wanted != TNI_WANTED_PAIR)
		tni_poll_lower(call, side);
	else if (side == TNI_SEND)
		lower_when_full(call);
	else
		lower_when_empty(call);
}

/* Without a call for the common sizes. */
static inline void copy(void *restrict to, const void *restrict from, uint64_t bytes)
{
	uint8_t *t = to;
	const uint8_t *f = from;

	if (bytes == 64) {
		memcpy(t, f, 64);
	} else if (bytes >= 16 && bytes <= 32) {
		memcpy(t, f, 16);
		memcpy(t + bytes - 16, f + bytes - 16, 16);
	} else if (bytes > 0) {
		memcpy(t, f, bytes);
	}
}

/* Into the log, where a receiver may look at the record's first word all the time: what lies in the line of that comes last,
 * lest he takes it away in between. */
static inline void copy_in(uint8_t *to, const uint8_t *from, uint64_t bytes)
{
	uint64_t first = 64 - ((uintptr_t)to & 63);

	if (bytes > 128) {
		copy(to + first, from + first, bytes - first);
		tni_step();
		copy(to, from, first);
	} else {
		copy(to, from, bytes);
	}
}

/* The same when the chunk ends after `done` messages, or a long message comes: a batch that there is room
 * for is published in one piece. */
static int put_across(struct tenon_queue *queue, const struct tenon_slice *slices, uint32_t done,
		      uint32_t count, uint64_t key, const struct tni_send_view *view,
		      struct tni_a64 *first)
{
	struct tni_append append;
	int result = 0;

	tni_append_begin(queue, &append);
	if (done > 0) {
		append.view.tail = view->tail;
		append.view.bytes = view->bytes;
		append.view.sent += done;
		append.first = first;
		append.first_word = tni_record_word(queue, TNI_RECORD_INLINE, slices[0].bytes);
	}
	for (; done < count && slices[done].bytes <= queue->short_bytes && result == 0; done++)
		result = tni_append_inline(queue, &append, slices[done].data,
					   (uint32_t)slices[done].bytes, key);
	if (result != 0) {
		tni_txn_abort(&append.txn);
		return 0;
	}
	/* The word behind the last one of a run that ended here has not been written yet. */
	tni_log_end(queue, append.view.tail);
	raise_pair(queue, TNI_SEND);
	tni_append_publish(queue, &append);
	tni_note_sent(queue, &append.view);
	return (int)done;
}

/* Writes messages behind the end, as many as fit into the chunk, and publishes them. */
static inline int put(struct tenon_queue *queue, const struct tenon_slice *slices, uint32_t count,
		      uint64_t key)
{
	struct tni_send_side *side = &queue->control->send;
	struct tni_send_view view = tni_send_view(side);
	uint64_t limit = tni_room_locked(queue, view.sent, count), head = queue->head_bytes, left;
	struct tni_a64 *first = place_at(queue, view.tail, &left), *at = first;
	uint32_t i;

	if (!first)
		return 0;
	if (limit == 0)
		return -EAGAIN;
	if (tni_order_back(queue, view.sent, limit < count ? limit : count, true) != 0)
		return 0;
	tni_order_note_key(queue, view.sent, key);
	for (i = 0; i < count && i < limit; i++) {
		uint64_t bytes = slices[i].bytes, need = head + tni_padded(bytes);

		if (limit > AHEAD_ROOM)
			tni_prefetch_write((uint8_t *)at + AHEAD_BYTES);
		if (bytes > queue->short_bytes || need + 8 > left)
			break;
		if (i > 0)
			tni_set64(at, tni_record_word(queue, TNI_RECORD_INLINE, bytes));
		if (head > 8)
			tni_set64(at + 1, key);
		copy_in((uint8_t *)at + head, slices[i].data, bytes);
		at += need / 8;
		left -= need;
		view.tail += need;
		view.bytes += bytes;
	}
	if (i < count && i < limit)
		return put_across(queue, slices, i, limit < count ? (uint32_t)limit : count, key,
				  &view, first);
	tni_set64(at, 0);
	raise_pair(queue, TNI_SEND);
	view.sent += i;
	tni_step();
	tni_store_release64(first, tni_record_word(queue, TNI_RECORD_INLINE,
						   slices[0].bytes)); /* ORD(record) */
	tni_send_commit(side, &view);
	tni_note_sent(queue, &view);
	return (int)i;
}

/* One message in a slot. */
static inline int put_slot(struct tenon_queue *queue, const struct tenon_slice *slice, uint64_t key)
{
	struct tni_send_side *side = &queue->control->send;
	struct tni_append append;
	struct tni_slot *slot;
	uint64_t index;
	int result;

	if (tni_room_locked(queue, tni_send_view(side).sent, 1) == 0)
		return -EAGAIN;
	if (tni_order_back(queue, tni_send_view(side).sent, 1, false) != 0)
		return 0;
	tni_slots_refill(queue);
	tni_append_begin(queue, &append);
	result = tni_slot_take(queue, &append.txn, slice->bytes, &index, &slot);
	if (result == 0) {
		tni_slot_label(queue, slot, slice->bytes,
			       queue->attributes.order == TENON_QUEUE_FIFO ? 0 : key);
		copy(tni_slot_data(queue, index), slice->data, slice->bytes);
		result = tni_append_slot(queue, &append, index, (uint32_t)slice->bytes, key);
	}
	if (result != 0) {
		tni_txn_abort(&append.txn);
		return 0;
	}
	raise_pair(queue, TNI_SEND);
	tni_append_publish(queue, &append);
	tni_note_sent(queue, &append.view);
	return 1;
}

/* Under the lock.  How many of the messages may be sent by what tni_is_special() found; 0: the long way; -EAGAIN. */
static int __attribute__((__noinline__))
allowed(struct tni_call *call, const struct tenon_slice *slices, uint32_t count)
{
	struct tenon_queue *queue = call->queue;
	uint32_t fitting;

	if (tni_is_polled(queue))
		return 0;
	/* Before it looks: who waits for another limit does not wait if this is one. */
	call->looked_limit = tni_get64(&queue->control->max_bytes);
	fitting = tni_bytes_fit(queue, slices, count);
	return fitting > 0 ? (int)fitting : -EAGAIN;
}

int tni_fast_send(struct tni_call *call, const struct tenon_slice *slices, uint32_t count,
		  uint64_t key)
{
	struct tenon_queue *queue = call->queue;
	bool in_log = slices[0].bytes <= queue->short_bytes, special;
	int sent = 1;

	/* Whoever locks in vain wakes others in vain, who lose their turn. */
	if (!is_short(queue, TNI_SEND, slices[0].bytes) || tni_is_rendezvous(queue) ||
	    tni_is_polled(queue) || TNI_FAULT(TNI_FAULT_PUBLISH_BEFORE_WRITE) ||
	    count > (in_log ? TNI_RUN_MAX : 1) || !tni_fast_enter(call, TNI_SEND))
		return 0;
	special = tni_is_special(queue);
	if (__builtin_expect(special, 0)) {
		sent = allowed(call, slices, count);
		count = (uint32_t)sent;
	}
	if (sent > 0)
		sent = in_log ? put(queue, slices, count, key) : put_slot(queue, slices, key);
	if (sent == -EAGAIN) {
		call->looked_done = tni_get64(&queue->control->send.done_cache);
		if (!special)
			call->looked_limit = 0;
	}
	call->sent_now = sent > 0 ? (uint32_t)sent : 0;
	call->sent_key = key;
	tni_fast_leave(call, TNI_SEND);
	if (sent > 0)
		lower(call, TNI_SEND);
	return sent;
}

/* The record at a place.  0 none yet; -1 something else than a whole inline one. */
static inline int64_t inline_at(const struct tenon_queue *queue, const struct tni_a64 *at,
				uint64_t left, uint64_t *ret_bytes)
{
	uint64_t word = tni_load_acquire64(at),
		 bytes = word & TNI_RECORD_BYTES_MASK; /* ORD(record) */

	if (word == 0)
		return 0;
	if ((word >> TNI_RECORD_KIND_SHIFT & TNI_RECORD_KIND_MASK) != TNI_RECORD_INLINE ||
	    bytes > queue->short_bytes || queue->head_bytes + tni_padded(bytes) + 8 > left)
		return -1;
	*ret_bytes = bytes;
	return (int64_t)(word >> TNI_RECORD_SENDER_SHIFT) + 1;
}

/* Takes a run of messages, one behind the other, in one commit.  How many; 0 the long way; -EAGAIN. */
static inline int take_run(struct tni_call *call, uint8_t *buffer, uint64_t capacity_bytes,
			   uint32_t count, struct tenon_message *messages)
{
	struct tenon_queue *queue = call->queue;
	struct tni_receive_side *side = &queue->control->receive;
	struct tni_receive_view view;
	const struct tni_a64 *at;
	int64_t sender = -1;
	uint32_t taken = 0, streak = tni_get32(&queue->streak);
	uint64_t left, head = queue->head_bytes;

	view = tni_receive_view(side);
	at = place_at(queue, view.head, &left);
	for (; at && taken < count; taken++) {
		uint64_t bytes, need;

		if (streak >= TNI_STREAK_MAX)
			tni_prefetch_read((const uint8_t *)at + AHEAD_BYTES);
		sender = inline_at(queue, at, left, &bytes);
		if (sender <= 0 || bytes > capacity_bytes)
			break;
		copy(buffer, (const uint8_t *)at + head, bytes);
		if (messages)
			messages[taken] = (struct tenon_message){
				.bytes = bytes,
				.key = head > 8 ? tni_get64(at + 1) : 0,
				.sequence = view.drained,
				.sender_pid = (int32_t)(sender - 1)};
		buffer += bytes;
		capacity_bytes -= bytes;
		need = head + tni_padded(bytes);
		at += need / 8;
		left -= need;
		view.head += need;
		view.drained++;
		view.done++;
		view.bytes += bytes;
	}
	if (taken > 0) {
		raise_pair(queue, TNI_RECEIVE);
		tni_note_received(queue);
		tni_receive_commit_log(side, &view);
		if (streak < TNI_STREAK_MAX)
			tni_set32(&queue->streak, streak + taken);
		return (int)taken;
	}
	if (sender != 0)
		return 0;
	tni_set32(&queue->streak, 0);
	call->looked_version = tni_get64(&side->version);
	call->looked_head = view.head;
	return -EAGAIN;
}

/* The slot of the next message may be on another processor yet. */
static inline void ask_ahead(struct tenon_queue *queue, uint64_t position)
{
	uint64_t left;
	const struct tni_a64 *at = place_at(queue, position, &left);
	uint64_t slot;

	if (!at || left < queue->head_bytes + 16 || tni_get64(at) == 0)
		return;
	slot = tni_get64(at + queue->head_bytes / 8);
	tni_prefetch_read((const void *)((uintptr_t)queue->slots.base + queue->slots.offset +
					 slot * queue->slots.entry_bytes));
	tni_prefetch_read((const void *)((uintptr_t)queue->data.base + queue->data.offset +
					 slot * queue->data.entry_bytes));
}

/* Takes the message at the front of the log out of its slot. */
static inline int take_slot(struct tni_call *call, void *buffer, uint64_t capacity_bytes,
			    struct tenon_message *message)
{
	struct tenon_queue *queue = call->queue;
	struct tni_receive_side *side = &queue->control->receive;
	struct tni_receive_view view = tni_receive_view(side);
	struct tni_record record;
	struct tni_item item = {.slot = 0};

	if (tni_log_read(queue, view.head, &record) != 0 || record.kind == TNI_RECORD_JUMP)
		return 0;
	call->looked_version = tni_get64(&side->version);
	call->looked_head = view.head;
	if (record.kind == 0)
		return view.ready == 0 && tni_get64(&side->returned_link) == 0 ? -EAGAIN : 0;
	if (record.kind != TNI_RECORD_SLOT || tni_item_of_record(queue, &record, &item) != 0 ||
	    item.message.bytes > capacity_bytes ||
	    !is_short(queue, TNI_RECEIVE, item.message.bytes) ||
	    (tni_get32(&tni_slot_at(queue, item.slot)->flags_sender) & TNI_SLOT_CANCELLED))
		return 0;
	ask_ahead(queue, record.next);
	copy(buffer, item.data, item.message.bytes);
	if (message) {
		*message = item.message;
		message->sequence = view.drained;
	}
	view.head = record.next;
	view.drained++;
	view.done++;
	view.bytes += item.message.bytes;
	view.limbo_slot = tni_limbo(&queue->control->send.slots, item.slot);
	raise_pair(queue, TNI_RECEIVE);
	tni_note_received(queue);
	return tni_receive_commit(queue, &view) == 0 ? 1 : 0;
}

/* Takes a message out of the index of an ordered queue. */
static int take_indexed(struct tni_call *call, void *buffer, uint64_t capacity_bytes,
			const struct tenon_receive_options *options, struct tenon_message *message)
{
	static const struct tenon_receive_options any = {.size = sizeof(any)};
	struct tenon_queue *queue = call->queue;
	const struct tni_receive_side *side = &queue->control->receive;
	struct tni_item item;
	int result = tni_item_find(queue, options ? options : &any, &item);

	if (result == -EAGAIN) {
		call->looked_version = tni_get64(&side->version);
		call->looked_head = tni_receive_view(side).head;
		return -EAGAIN;
	}
	if (result != 0 || item.message.bytes > capacity_bytes ||
	    !is_short(queue, TNI_RECEIVE, item.message.bytes))
		return 0;
	copy(buffer, item.data, item.message.bytes);
	if (message)
		*message = item.message;
	raise_pair(queue, TNI_RECEIVE);
	return tni_item_finish(queue, &item, TNI_RECEIVED) == 0 ? 1 : 0;
}

/* Goes on to the next chunk, if the front of the log leads there. */
static bool pass_jump(struct tenon_queue *queue)
{
	struct tni_receive_view view = tni_receive_view(&queue->control->receive);
	struct tni_record record;
	uint64_t left;
	const struct tni_a64 *at = place_at(queue, view.head, &left);

	if (!at ||
	    (tni_get64(at) >> TNI_RECORD_KIND_SHIFT & TNI_RECORD_KIND_MASK) != TNI_RECORD_JUMP)
		return false;
	return tni_log_read(queue, view.head, &record) == 0 && record.kind == TNI_RECORD_JUMP &&
	       tni_log_leave_chunk(queue, &view, &record) == 0;
}

/* How many of the messages at the front of the log may be taken as they come.  0: another order. */
static inline uint32_t run_in_log(struct tenon_queue *queue, uint32_t count,
				  const struct tenon_receive_options *options)
{
	const struct tni_receive_side *side = &queue->control->receive;
	struct tni_receive_view view;
	uint64_t known;

	if (queue->attributes.order == TENON_QUEUE_FIFO)
		return tni_get64(&side->returned_link) == 0 ? TNI_RUN_MAX : 0;
	/* Of what was sent before this look.  Of several, one might come meanwhile that is to be first. */
	if (queue->attributes.order == TENON_QUEUE_PRIORITY && count == 1) {
		view = tni_receive_view(side);
		if (view.ready == 0 &&
		    (int64_t)(view.drained - tni_get64(&queue->control->uniform.from)) >= 0)
			return 1;
	}
	if (!tni_order_is_log(queue, options))
		return 0;
	if (queue->attributes.order == TENON_QUEUE_TYPED)
		return options && options->select != TENON_SELECT_ANY ? 1 : TNI_RUN_MAX;
	known = queue->scan.to - tni_receive_view(side).drained;
	return known == 0 ? 1 : known < TNI_RUN_MAX ? (uint32_t)known : TNI_RUN_MAX;
}

static inline int take(struct tni_call *call, void *buffer, uint64_t capacity_bytes, uint32_t count,
		       const struct tenon_receive_options *options, struct tenon_message *messages)
{
	struct tenon_queue *queue = call->queue;
	uint32_t run;
	int taken;

	run = run_in_log(queue, count, options);
	if (run == 0)
		return queue->attributes.order == TENON_QUEUE_FIFO
			       ? 0
			       : take_indexed(call, buffer, capacity_bytes, options, messages);
	count = count < run ? count : run;
	taken = take_run(call, buffer, capacity_bytes, count, messages);
	if (taken == 0 && pass_jump(queue))
		taken = take_run(call, buffer, capacity_bytes, count, messages);
	return taken == 0 ? take_slot(call, buffer, capacity_bytes, messages) : taken;
}

int tni_fast_receive(struct tni_call *call, void *buffer, uint64_t capacity_bytes, uint32_t count,
		     const struct tenon_receive_options *options, struct tenon_message *messages)
{
	int taken = 0;

	if (tni_is_rendezvous(call->queue) || tni_is_polled(call->queue) ||
	    !tni_fast_enter(call, TNI_RECEIVE))
		return 0;
	if (!tni_is_polled(call->queue))
		taken = take(call, buffer, capacity_bytes, count, options, messages);
	tni_fast_leave(call, TNI_RECEIVE);
	if (taken > 0)
		lower(call, TNI_RECEIVE);
	return taken;
}

bool tni_fast_is_empty(struct tni_call *call)
{
	struct tenon_queue *queue = call->queue;
	const struct tni_receive_side *side = &queue->control->receive;
	uint64_t version = tni_load_acquire64(&side->version), left; /* ORD(look) */
	uint64_t head = tni_receive_view(side).head;
	const struct tni_a64 *at = place_at(queue, head, &left);

	call->looked_version = version;
	call->looked_head = head;
	if (at && tni_get64(at) == 0) {
		/* Who asks again and again: as spin_burst() in queue_wait.c. */
		if (tni_get32(&queue->streak) == 0)
			tni_prefetch_read((const uint8_t *)at + 64);
		tni_set32(&queue->streak, 0);
	}
	return at && tni_load_acquire64(at) == 0 && /* ORD(record) */
	       tni_receive_view(side).ready == 0 && tni_get64(&side->returned_link) == 0 &&
	       !tni_gate_is_orphaned(&side->gate) &&
	       tni_load_acquire64(&side->version) == version; /* ORD(look) */
}
