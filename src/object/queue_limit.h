/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TNI_OBJECT_QUEUE_LIMIT_H
#define TNI_OBJECT_QUEUE_LIMIT_H

/* A limit of bytes (queue_limit.c), and the end of a queue (queue_end.c): what the others ask. */

#include "object/queue_private.h"

/* Sets bits of the word that says what the short way has to know. */
static inline void tni_queue_mark(struct tenon_queue *queue, uint32_t bits)
{
	struct tni_a32 *word = &queue->control->poll_wanted;
	uint32_t before = tni_get32(word);

	while (!tni_cas32(word, &before, before | bits)) /* ORD(destroyed) */
		;
}

static inline bool tni_bytes_are_limited(const struct tenon_queue *queue)
{
	return __builtin_expect(tni_get32(&queue->control->poll_wanted) & TNI_BYTES_LIMITED, 0);
}

/* How many of the messages, from the first on, the limit has room for; under the senders' lock. */
uint32_t tni_bytes_fit(struct tenon_queue *queue, const struct tenon_slice *slices, uint32_t count);
/* Room for messages as far as the limit goes, where `held` are queued or under lease: a hint, as
 * tni_queue_room(). */
uint64_t tni_bytes_room(const struct tenon_queue *queue, uint64_t held);
/* Whether a message of that length is longer than the limit alone. */
bool tni_bytes_exceed(const struct tenon_queue *queue, uint64_t bytes);

/* The limit was set, or may have been by who died with the receivers' lock, which is held. */
void tni_bytes_changed(struct tenon_queue *queue);
/* Whether all who wait for room have been woken since there is more, as of what is answered through
 * the pointers; and that they have been. */
bool tni_room_is_told(const struct tenon_queue *queue, uint64_t *ret_done, uint64_t *ret_changes);
void tni_room_told(struct tenon_queue *queue, uint64_t done, uint64_t changes);

static inline bool tni_is_destroyed(const struct tenon_queue *queue)
{
	return __builtin_expect(tni_get32(&queue->control->poll_wanted) & TNI_QUEUE_DESTROYED, 0);
}

#endif
