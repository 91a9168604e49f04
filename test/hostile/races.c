/* SPDX-License-Identifier: Apache-2.0 */

/* Attacks by a thread that writes while the victim is in its call. */

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include "stage.h"

#define MEETING_NS 100000000

static struct tni_a32 over;

static void *lead_astray(void *context)
{
	struct stage *stage = context;

	while (!tni_get32(&over))
		for (uint32_t i = 0; i < 16; i++) {
			tni_set64(&stage->control->send.journal.entry[i].offset, UINT64_C(1) << 45);
			tni_set64(&stage->control->receive.journal.entry[i].offset, UINT64_C(1)
											    << 45);
		}
	return NULL;
}

/* Operations that are taken back: their journal changes in between. */
void astray_journal(struct stage *stage)
{
	struct tni_slot *slot;
	pthread_t attacker;
	int64_t end;

	set_stage(stage, TENON_QUEUE_PRIORITY, 10, SLOT_BYTES);
	send_bytes(stage, SLOT_BYTES);
	slot = entry_of(stage, &stage->queue->slots, 0);
	if (pthread_create(&attacker, NULL, lead_astray, stage) != 0)
		_exit(3);
	end = tenon_deadline_after(INT64_C(2000000000));
	while (tenon_deadline_after(0) < end) {
		/* A chunk that cannot be: the send fails behind its first steps. */
		tni_set64(&stage->control->send.state[0].tail, UINT64_MAX);
		tni_set64(&stage->control->send.state[1].tail, UINT64_MAX);
		tni_set64(&stage->control->send.slots.pool.free_link, 0);
		tni_set64(&stage->control->send.slots.pool.top, 1);
		tni_set64(&slot->sequence, 0);
		send_bytes(stage, SLOT_BYTES);
	}
	tni_set32(&over, 1);
	pthread_join(attacker, NULL);
}

static void *hide_the_front(void *context)
{
	struct stage *stage = context;

	while (tni_get64(&stage->control->send.sent_seen) == 0)
		sched_yield();
	for (uint32_t i = 0; i < 2; i++)
		tni_set64(&stage->control->receive.state[i].head, 0x7777777777777777);
	return NULL;
}

/* Whether the message was received cannot be known: it is not said that it was. */
void rendezvous_without_front(struct stage *stage)
{
	struct tenon_send_options options = {.size = sizeof(options),
					     .deadline_ns = tenon_deadline_after(MEETING_NS)};
	pthread_t attacker;

	set_stage(stage, TENON_QUEUE_FIFO, TENON_QUEUE_RENDEZVOUS, 100);
	if (pthread_create(&attacker, NULL, hide_the_front, stage) != 0)
		_exit(3);
	if (tenon_queue_send(stage->queue, stage->bytes, 8, &options) == 0)
		_exit(4);
	pthread_join(attacker, NULL);
}

static struct tni_a32 begun;

static void *disown_lease(void *context)
{
	struct stage *stage = context;
	struct tni_lease *leases = entry_of(stage, &stage->queue->leases, 0);

	tni_set32(&begun, 1);
	while (!tni_get32(&over))
		for (uint32_t i = 0; i < 8; i++)
			tni_set64(&leases[i].state_participant, 0x7777);
	return NULL;
}

/* A long message is received under a lease, which is another's when the copy is done. */
void received_under_a_lost_lease(struct stage *stage)
{
	struct tenon_receive_options options;
	pthread_t attacker;
	int result = 0;

	set_stage(stage, TENON_QUEUE_FIFO, 10, 60000);
	if (send_bytes(stage, 60000) != 0 || receive_bytes(stage) != 0 ||
	    pthread_create(&attacker, NULL, disown_lease, stage) != 0)
		_exit(3);
	while (!tni_get32(&begun))
		sched_yield();
	for (uint32_t i = 0; i < 100000 && result == 0; i++) {
		options = receiving();
		result = send_bytes(stage, 60000);
		if (result == 0)
			result = tenon_queue_receive(stage->queue, stage->bytes, 60000, &options,
						     NULL);
	}
	tni_set32(&over, 1);
	pthread_join(attacker, NULL);
	if (result == -EINVAL)
		_exit(4);
}
