/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TNI_OBJECT_QUEUE_ORDER_H
#define TNI_OBJECT_QUEUE_ORDER_H

/* The index of priority and typed queues.  See queue_order.c. */

#include "core/index.h"
#include "object/queue_private.h"

/* Nodes that a message of an ordered queue may need: a bucket of its own, and a fork in each
 * tree. */
static inline uint64_t tni_order_nodes(const struct tni_queue_attributes *attributes)
{
	return attributes->order == TENON_QUEUE_TYPED ? 3 : 2;
}

/* The lane of who waits for messages of one key alone: see core/gate_event.c. */
static inline uint32_t tni_lane_of(uint64_t key)
{
	return 1 + (uint32_t)((key * UINT64_C(0x9e3779b97f4a7c15) >> 32) % (TNI_LANES - 1));
}

/* Whether the front of the log is what a receiver with this selection gets, if there is
 * anything. */
bool tni_order_is_log(struct tenon_queue *queue, const struct tenon_receive_options *options);
/* Moves the log into the index.  -ENOSPC: as far as there was memory for that. */
int tni_order_drain(struct tenon_queue *queue);
/* Moves the message at the very front of the log into the index: *ret_slot. */
int tni_order_drain_front(struct tenon_queue *queue, uint64_t *ret_slot);
int tni_order_insert(struct tenon_queue *queue, struct tni_txn *txn, uint64_t slot);
int tni_order_remove(struct tenon_queue *queue, struct tni_txn *txn, uint64_t slot);
/* The slot that a receiver with this selection gets.  -EAGAIN none. */
int tni_order_select(struct tenon_queue *queue, uint32_t select, uint64_t key, uint64_t *ret_slot);
/* For queue_peek.c.  One of the two trees of buckets; the slot behind a link, or NULL; a bucket's
 * first. */
struct tni_index tni_order_index(struct tenon_queue *queue, uint32_t tree);
struct tni_slot *tni_order_linked(struct tenon_queue *queue, uint64_t link);
int tni_order_first(struct tenon_queue *queue, uint64_t node, uint64_t *ret_slot);

/* The next message, number `sent`, is to have this key: said before it is written, and in this
 * order.  Who dies in between, or does not send it, has said too little of the messages that there
 * are. */
static inline void tni_order_note_key(struct tenon_queue *queue, uint64_t sent, uint64_t key)
{
	struct tni_queue_uniform *uniform = &queue->control->uniform;

	if (queue->attributes.order != TENON_QUEUE_PRIORITY ||
	    __builtin_expect(tni_get64(&uniform->key) == key, 1))
		return;
	tni_set64(&uniform->from, sent);
	tni_step();
	tni_set64(&uniform->key, key);
	tni_step();
}

int tni_order_back_slow(struct tenon_queue *queue, uint64_t sent, uint64_t more, bool in_log);

/* Makes sure that receivers have memory for `more` messages behind the `sent` ones, in the index
 * and, for those that lie in the log, outside it: what was sent can always be received.  Under the
 * senders' lock, before they are written.  -ENOSPC. */
static inline int tni_order_back(struct tenon_queue *queue, uint64_t sent, uint64_t more,
				 bool in_log)
{
	/* As of what is known of the receivers: it cannot be more. */
	uint64_t messages = sent - tni_get64(&queue->control->send.done_cache) + more;

	if (__builtin_expect(queue->attributes.order == TENON_QUEUE_FIFO ||
				     (messages <= queue->backed_nodes &&
				      (!in_log || messages <= queue->backed_held)),
			     1))
		return 0;
	return tni_order_back_slow(queue, sent, more, in_log);
}

#endif
