/* SPDX-License-Identifier: Apache-2.0 */

/* Looking into a queue: status, participants; and clearing up after the dead on demand. */

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "core/file.h"
#include "object/queue_limit.h"
#include "object/queue_private.h"

static uint64_t above(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

/* Senders of a rendezvous wait for their message to be received. */
static uint32_t sender_class(const struct tenon_queue *queue)
{
	return queue->attributes.capacity == TENON_QUEUE_RENDEZVOUS ? TNI_CLASS_RECEIPT
								    : TNI_CLASS_ROOM;
}

static void fill_now(struct tenon_queue *queue, struct tenon_queue_status *status)
{
	const struct tni_send_side *send = &queue->control->send;
	const struct tni_receive_side *receive = &queue->control->receive;
	struct tni_receive_view view = tni_receive_view(receive);
	uint64_t sent = tni_get64(&send->sent_seen);

	status->messages = above(sent, view.drained - view.ready + tni_get64(&receive->voids));
	status->leased = above(view.drained - view.ready, view.done);
	status->message_bytes = above(tni_get64(&send->bytes_seen),
				      tni_get64(&receive->bytes_seen));
	status->loaned = tni_get64(&send->loans.used);
	status->memory_bytes = tni_file_memory(queue->object.fd);
	status->damaged = tni_get32(&queue->object.shared->damaged);
	status->receivers_waiting = tni_gatehouse_count(&queue->house, TNI_CLASS_MESSAGE);
	status->senders_waiting = tni_gatehouse_count(&queue->house, sender_class(queue));
	for (uint32_t i = 0; i < tni_object_participants_top(&queue->object); i++) {
		const struct tni_participant *entry = tni_object_participant(&queue->object, i);

		if (entry && tni_get32(&entry->state) != TNI_PARTICIPANT_FREE)
			status->participants++;
	}
}

static void fill_ever(struct tenon_queue *queue, struct tenon_queue_status *status)
{
	const struct tni_send_side *send = &queue->control->send;
	const struct tni_receive_side *receive = &queue->control->receive;
	uint64_t dropped = tni_get64(&receive->dropped);
	uint64_t withdrawn = tni_get64(&receive->withdrawn);
	uint64_t withdrawn_bytes = tni_get64(&receive->withdrawn_bytes);

	status->sent = above(tni_get64(&send->sent_seen), withdrawn) + tni_get64(&send->dropped);
	status->sent_bytes = above(tni_get64(&send->bytes_seen), withdrawn_bytes);
	status->received = above(tni_get64(&receive->done_seen) + tni_get64(&receive->voids),
				 dropped + withdrawn);
	status->received_bytes = above(tni_get64(&receive->bytes_seen),
				       tni_get64(&receive->dropped_bytes) + withdrawn_bytes);
	status->dropped = dropped + tni_get64(&send->dropped);
	status->redelivered = tni_get64(&receive->redelivered);
	status->send_waits = tni_get64(&send->waits);
	status->receive_waits = tni_get64(&receive->waits);
	status->repairs = (uint64_t)tni_get32(&send->gate.repairs) +
			  tni_get32(&receive->gate.repairs);
	status->high_messages = tni_get64(&send->high_messages);
	status->high_bytes = tni_get64(&send->high_bytes);
	status->last_sender_pid = (int32_t)tni_get32(&send->last_pid);
	status->last_receiver_pid = (int32_t)tni_get32(&receive->last_pid);
	status->last_send_ns = (int64_t)tni_get64(&send->last_ns);
	status->last_receive_ns = (int64_t)tni_get64(&receive->last_ns);
}

int tenon_queue_status(struct tenon_queue *queue, struct tenon_queue_status *ret_status)
{
	struct tenon_queue_status status = {.size = sizeof(status)};
	const struct tni_queue_attributes *attributes;
	struct tni_call call;
	struct stat file;
	uint32_t how;
	int result;

	if (!queue || tni_status_check(ret_status) != 0)
		return -EINVAL;
	result = tni_call_begin_any(&call, queue);
	if (result == 0)
		result = tni_call_heal(&call, tni_grace_ns());
	if (result != 0 && result != -EBADMSG && result != -ETIMEDOUT)
		return result;
	attributes = &queue->attributes;
	status.order = attributes->order;
	status.full = attributes->full;
	status.capacity = attributes->capacity;
	status.max_message_bytes = attributes->max_message_bytes;
	status.max_participants = queue->object.header.participants_max;
	status.id = queue->object.header.id;
	status.created_ns = queue->object.header.created_ns;
	if (fstat(queue->object.fd, &file) == 0) {
		status.mode = queue->object.header.access & TNI_ACCESS_GIVEN
				      ? queue->object.header.access & 0777
				      : file.st_mode & 07777;
		status.uid = file.st_uid;
		status.gid = file.st_gid;
	}
	status.split_mode = (queue->object.header.access & TNI_ACCESS_GIVEN) != 0;
	status.notify_pid = tni_notice_holder(queue, &how);
	status.max_bytes = tni_get64(&queue->control->max_bytes);
	status.destroyed = tni_is_destroyed(queue);
	fill_now(queue, &status);
	fill_ever(queue, &status);
	tni_status_write(ret_status, &status, sizeof(status));
	return 0;
}

static bool is_asleep(struct tenon_queue *queue, uint32_t class, uint32_t participant)
{
	const struct tni_a64 *row = queue->house.waitroom->asleep[class];

	return tni_get64(&row[participant / 64]) >> (participant % 64) & 1;
}

static void count_holds(struct tenon_queue *queue, uint32_t index,
			struct tenon_participant *participant)
{
	uint64_t leases = tni_pool_extent(&queue->control->receive.leases, &queue->leases);
	uint64_t loans = tni_pool_extent(&queue->control->send.loans, &queue->loans);

	for (uint64_t i = 0; i < leases; i++) {
		const struct tni_lease *lease = tni_table_at(&queue->leases, i);

		if (lease && tni_get64(&lease->state_participant) ==
				     (TNI_LEASE_TAKEN | (uint64_t)index << 32))
			participant->leased++;
	}
	for (uint64_t i = 0; i < loans; i++) {
		const struct tni_loan *loan = tni_table_at(&queue->loans, i);

		if (loan &&
		    tni_get64(&loan->state_participant) == (TNI_LOAN_HELD | (uint64_t)index << 32))
			participant->loaned++;
	}
}

int tenon_queue_participants(struct tenon_queue *queue,
			     int (*visit)(const struct tenon_participant *participant,
					  void *context),
			     void *context)
{
	struct tni_call call;
	int result;

	if (!queue || !visit)
		return -EINVAL;
	result = tni_call_begin(&call, queue);
	for (uint32_t i = 0; result == 0 && i < tni_object_participants_top(&queue->object); i++) {
		const struct tni_participant *entry = tni_object_participant(&queue->object, i);
		struct tenon_participant participant = {0};
		uint32_t state;

		/* ORD(participant): see core/object_living.c. */
		state = entry ? tni_load_acquire32(&entry->state) : TNI_PARTICIPANT_FREE;
		if (state == TNI_PARTICIPANT_FREE)
			continue;
		participant.pid = (int32_t)tni_get32(&entry->pid);
		participant.uid = tni_get32(&entry->uid);
		participant.alive = tni_object_is_attached(&queue->object, i);
		participant.attached_ns = (int64_t)tni_get64(&entry->attached_ns);
		if (is_asleep(queue, TNI_CLASS_MESSAGE, i))
			participant.waiting |= TENON_READABLE;
		if (is_asleep(queue, sender_class(queue), i))
			participant.waiting |= TENON_WRITABLE;
		count_holds(queue, i, &participant);
		result = visit(&participant, context);
	}
	return result;
}

int tenon_queue_recover(struct tenon_queue *queue, uint32_t *ret_freed)
{
	struct tni_call call;
	uint32_t buried = 0;
	int result;

	if (!queue)
		return -EINVAL;
	result = tni_call_begin(&call, queue);
	if (result == 0)
		result = tni_queue_recover(&call, INT64_MAX, &buried);
	if (result == 0)
		result = tni_side_lock(&call, TNI_SEND, INT64_MAX);
	if (result != 0)
		return result;
	tni_memory_release(queue);
	tni_side_unlock(&call, TNI_SEND);
	if (ret_freed)
		*ret_freed = buried;
	return 0;
}
