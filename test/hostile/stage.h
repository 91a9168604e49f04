/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_HOSTILE_STAGE_H
#define TEST_HOSTILE_STAGE_H

/* A queue, and the attacker's mapping of it.  What cannot be set up ends the victim. */

#include <tenon/queue.h>

#include "object/queue_private.h"

/* A call of the victim may take so long. */
#define WAIT_NS 2000000
/* Too long for the log of an ordered queue: lies in a slot. */
#define SLOT_BYTES 300

struct stage {
	struct tenon_queue *queue;	   /* the victim's */
	struct tni_queue_control *control; /* through the attacker's mapping */
	uint8_t *base;
	uint8_t bytes[70000];
};

void set_stage(struct stage *stage, uint32_t order, uint64_t capacity, uint64_t bytes);
/* The attacker's view of a table's entry. */
void *entry_of(struct stage *stage, const struct tni_table *table, uint64_t index);

/* With a deadline. */
struct tenon_send_options sending(void);
struct tenon_receive_options receiving(void);
int send_bytes(struct stage *stage, uint64_t bytes);
int receive_bytes(struct stage *stage);

/* races.c */
void astray_journal(struct stage *stage);
void rendezvous_without_front(struct stage *stage);
void received_under_a_lost_lease(struct stage *stage);

/* rings.c */
void jump_ring_scanned(struct stage *stage);
void withdrawn_record_ring(struct stage *stage);
void withdrawn_lease_ring(struct stage *stage);
void withdrawn_in_bucket(struct stage *stage);
void void_ring(struct stage *stage);
void returned_ring_checked(struct stage *stage);
void endless_dropping(struct stage *stage);
void unbounded_ring_received(struct stage *stage);
void unbounded_ring_peeked(struct stage *stage);
void unbounded_ring_checked(struct stage *stage);
void unbounded_slots_selected(struct stage *stage);
void doubtful_owner(struct stage *stage);

#endif
