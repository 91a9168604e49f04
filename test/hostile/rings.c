/* SPDX-License-Identifier: Apache-2.0 */

/* Attacks that lead a walk in a circle, or keep a call at something that can be done again and again. */

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "stage.h"

#define MIDDLE_BYTES 20000u

static struct tni_a64 *records(struct stage *stage, uint64_t chunk)
{
	return (struct tni_a64 *)((struct tni_chunk *)entry_of(stage, &stage->queue->chunks,
							       chunk) +
				  1);
}

static uint64_t record(uint32_t kind, uint64_t low)
{
	return low | (uint64_t)kind << TNI_RECORD_KIND_SHIFT;
}

/* Memory for two chunks, of which each may lead to the other. */
static void set_ring(struct stage *stage, uint32_t order, uint64_t capacity, uint64_t bytes)
{
	set_stage(stage, order, capacity, bytes);
	if (fallocate(stage->queue->object.fd, 0, (off_t)stage->queue->chunks.offset, 65536) != 0)
		_exit(3);
}

static void must_send(struct stage *stage, uint64_t bytes)
{
	if (send_bytes(stage, bytes) != 0)
		_exit(3);
}

static struct tni_slot *slot_of(struct stage *stage, uint64_t index)
{
	return entry_of(stage, &stage->queue->slots, index);
}

static void set_ready(struct stage *stage, uint64_t ready)
{
	for (uint32_t i = 0; i < 2; i++)
		tni_set64(&stage->control->receive.state[i].ready, ready);
}

/* A lease that was given back, and is its own next. */
static void return_to_itself(struct stage *stage, uint64_t bytes)
{
	struct tenon_receive_options options;
	struct tenon_lease lease;

	must_send(stage, bytes);
	options = receiving();
	if (tenon_queue_take(stage->queue, &options, &lease) != 0 ||
	    tenon_queue_return(stage->queue, &lease) != 0)
		_exit(3);
	tni_set64(&((struct tni_lease *)entry_of(stage, &stage->queue->leases, 0))->next_link, 1);
}

void jump_ring_scanned(struct stage *stage)
{
	set_ring(stage, TENON_QUEUE_PRIORITY, 100, 64);
	for (uint64_t chunk = 0; chunk < 2; chunk++)
		tni_set64(records(stage, chunk), record(TNI_RECORD_JUMP, 1 - chunk));
	receive_bytes(stage);
}

void withdrawn_record_ring(struct stage *stage)
{
	set_ring(stage, TENON_QUEUE_FIFO, 100, 60000);
	must_send(stage, MIDDLE_BYTES);
	tni_set32(&slot_of(stage, 0)->flags_sender, TNI_SLOT_CANCELLED);
	for (uint64_t chunk = 0; chunk < 2; chunk++) {
		struct tni_a64 *at = records(stage, chunk);

		tni_set64(at, record(TNI_RECORD_SLOT, MIDDLE_BYTES));
		tni_set64(at + 1, 0);
		tni_set64(at + 2, record(TNI_RECORD_JUMP, 1 - chunk));
	}
	receive_bytes(stage);
}

void withdrawn_lease_ring(struct stage *stage)
{
	set_stage(stage, TENON_QUEUE_FIFO, 100, 60000);
	return_to_itself(stage, MIDDLE_BYTES);
	tni_set32(&slot_of(stage, 0)->flags_sender, TNI_SLOT_CANCELLED);
	tni_set64(&stage->control->receive.leases.free_link, 1);
	receive_bytes(stage);
}

/* The first of its bucket says that there is an older one, and so stays the first. */
void withdrawn_in_bucket(struct stage *stage)
{
	struct tenon_message message;
	struct tni_slot *slot;

	set_stage(stage, TENON_QUEUE_TYPED, 100, SLOT_BYTES);
	for (uint32_t i = 0; i < 2; i++)
		must_send(stage, SLOT_BYTES);
	if (tenon_queue_peek(stage->queue, 0, stage->bytes, 64, &message) != 0)
		_exit(3);
	slot = slot_of(stage, 0);
	tni_set32(&slot->flags_sender, TNI_SLOT_CANCELLED);
	tni_set64(&slot->older_link, 2);
	tni_set64(&slot->younger_link, 2);
	set_ready(stage, UINT64_MAX / 2);
	receive_bytes(stage);
}

void void_ring(struct stage *stage)
{
	set_ring(stage, TENON_QUEUE_FIFO, 100, 64);
	for (uint64_t chunk = 0; chunk < 2; chunk++) {
		tni_set64(records(stage, chunk), record(TNI_RECORD_VOID, 0));
		tni_set64(records(stage, chunk) + 2, record(TNI_RECORD_JUMP, 1 - chunk));
	}
	receive_bytes(stage);
}

void returned_ring_checked(struct stage *stage)
{
	set_stage(stage, TENON_QUEUE_FIFO, 100, 64);
	return_to_itself(stage, 20);
	set_ready(stage, UINT64_MAX);
	(void)!tenon_queue_check(stage->queue, NULL, 0);
}

/* However many are dropped, there is no room. */
void endless_dropping(struct stage *stage)
{
	struct tenon_queue_options options = {.size = sizeof(options),
					      .full = TENON_QUEUE_DROP_OLDEST,
					      .capacity = 10,
					      .max_message_bytes = 64,
					      .mode = 0600,
					      .max_participants = 4};

	if (tenon_queue_open(NULL, "attack", TENON_QUEUE_CREATE, &options, &stage->queue) != 0)
		_exit(3);
	stage->queue = tenon_queue_close(stage->queue);
	set_ring(stage, TENON_QUEUE_FIFO, 10, 64);
	must_send(stage, 8);
	tni_set64(records(stage, 0) + 2, record(TNI_RECORD_JUMP, 1));
	tni_set64(records(stage, 1), record(TNI_RECORD_INLINE, 8));
	tni_set64(records(stage, 1) + 2, record(TNI_RECORD_JUMP, 0));
	for (uint32_t i = 0; i < 2; i++)
		tni_set64(&stage->control->send.state[i].sent, UINT64_C(1) << 40);
	send_bytes(stage, 8);
}

static void ring_of_short(struct stage *stage, uint32_t order)
{
	uint64_t words = order == TENON_QUEUE_FIFO ? 2 : 3;

	set_ring(stage, order, TENON_QUEUE_UNBOUNDED, 64);
	must_send(stage, 8);
	tni_set64(records(stage, 0) + words, record(TNI_RECORD_JUMP, 1));
	tni_set64(records(stage, 1), record(TNI_RECORD_INLINE, 8));
	tni_set64(records(stage, 1) + 1, 0);
	tni_set64(records(stage, 1) + words, record(TNI_RECORD_JUMP, 0));
}

void unbounded_ring_received(struct stage *stage)
{
	ring_of_short(stage, TENON_QUEUE_PRIORITY);
	receive_bytes(stage);
}

void unbounded_ring_peeked(struct stage *stage)
{
	ring_of_short(stage, TENON_QUEUE_FIFO);
	tni_set64(&stage->control->send.sent_seen, UINT64_MAX / 2);
	(void)!tenon_queue_peek(stage->queue, TENON_QUEUE_MAX_CAPACITY - 1, stage->bytes, 64, NULL);
}

/* As many messages to a jump as a chunk has room for. */
void unbounded_ring_checked(struct stage *stage)
{
	uint64_t chunk_bytes, words;

	set_ring(stage, TENON_QUEUE_FIFO, TENON_QUEUE_UNBOUNDED, 64);
	chunk_bytes = stage->queue->attributes.chunk_bytes;
	words = (chunk_bytes - sizeof(struct tni_chunk)) / 8;
	for (uint64_t chunk = 0; chunk < 2; chunk++) {
		struct tni_a64 *at = records(stage, chunk);

		for (uint64_t i = 0; i < words - 2; i++)
			tni_set64(at + i, record(TNI_RECORD_INLINE, 0));
		tni_set64(at + words - 2, record(TNI_RECORD_JUMP, 1 - chunk));
	}
	tni_set64(&stage->control->send.chunks.pool.top, stage->queue->chunks.max);
	for (uint32_t i = 0; i < 2; i++)
		tni_set64(&stage->control->send.state[i].tail,
			  2 * chunk_bytes + sizeof(struct tni_chunk));
	(void)!tenon_queue_check(stage->queue, NULL, 0);
}

/* Of a type that is not there: the same two messages are put in order again and again. */
void unbounded_slots_selected(struct stage *stage)
{
	struct tenon_receive_options options;
	struct tni_a64 *at;

	set_ring(stage, TENON_QUEUE_TYPED, TENON_QUEUE_UNBOUNDED, 400);
	for (uint32_t i = 0; i < 2; i++)
		must_send(stage, SLOT_BYTES);
	tni_set64(records(stage, 0) + 6, record(TNI_RECORD_JUMP, 1));
	at = records(stage, 1);
	for (uint32_t i = 0; i < 2; i++, at += 3) {
		tni_set64(at, record(TNI_RECORD_SLOT, SLOT_BYTES));
		tni_set64(at + 1, 0);
		tni_set64(at + 2, i);
	}
	tni_set64(at, record(TNI_RECORD_JUMP, 0));
	options = receiving();
	options.select = TENON_SELECT_EXACTLY;
	options.select_key = 77;
	(void)!tenon_queue_receive(stage->queue, stage->bytes, 400, &options, NULL);
}

static void attach_and_wait(void)
{
	struct tenon_queue *queue;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (tenon_queue_open(NULL, "attack", 0, NULL, &queue) != 0)
		_exit(1);
	for (;;)
		pause();
}

/* It is said that the owner died, and that it lives: so one waits for it, but not who has no time. */
void doubtful_owner(struct stage *stage)
{
	struct tenon_receive_options options = {.size = sizeof(options), .deadline_ns = 1};
	struct tenon_queue_status status = {.size = sizeof(status)};
	struct tenon_lease lease;
	pid_t holder;

	set_stage(stage, TENON_QUEUE_FIFO, 10, 64);
	holder = fork();
	if (holder == 0)
		attach_and_wait();
	while (status.participants < 2)
		(void)!tenon_queue_status(stage->queue, &status);
	tni_set64(&((struct tni_object_header *)stage->base)->mixed, 1);
	tni_set64(&stage->control->send.gate.word,
		  TNI_GATE_OWNER_DIED | UINT64_C(1) << TNI_GATE_HOLDER_SHIFT);
	(void)!tenon_queue_wait(stage->queue, TENON_READABLE, 0, NULL);
	(void)!tenon_queue_receive(stage->queue, stage->bytes, 64, &options, NULL);
	(void)!tenon_queue_status(stage->queue, &status);
	options = receiving();
	options.flags = TENON_NONBLOCK;
	(void)!tenon_queue_take(stage->queue, &options, &lease);
	kill(holder, SIGKILL);
}
