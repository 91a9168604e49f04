/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_CONTRACT_MODEL_H
#define TEST_CONTRACT_MODEL_H

/*
 * A queue as simple as can be: an array of messages in the order in which they were sent, searched
 * from one end to the other.  What a queue has to answer is worked out here; what it does answer is
 * compared in model_test.c.
 */

#include <stdbool.h>
#include <stdint.h>

#include <tenon/queue.h>

#define MODEL_MOST 2048u
#define MODEL_RECEIPTS 16u
#define MODEL_NOBODY UINT32_MAX

struct model_message {
	uint64_t bytes, key, sequence, pattern;
	uint32_t deliveries,
		holder; /* holder: the handle that has it under lease, or MODEL_NOBODY */
	int32_t sender_pid;
	uint32_t receipt; /* + 1 */
};

struct model_receipt {
	uint64_t number;
	uint32_t handle; /* MODEL_NOBODY: not in use */
	int32_t result;	 /* -ETIMEDOUT, 0, -ECANCELED */
	int32_t pid;
};

struct model {
	struct tenon_queue_options options;
	struct model_message messages[MODEL_MOST];
	struct model_receipt receipts[MODEL_RECEIPTS];
	uint32_t count;
	/* What the status says. */
	uint64_t loaned, appended, sent_bytes, received, received_bytes;
	uint64_t dropped_oldest, dropped_newest, redelivered, high_messages, high_bytes;
	int32_t last_sender_pid, last_receiver_pid;
};

void model_begin(struct model *model, const struct tenon_queue_options *options);

/* The message that a receiver gets, or NULL. */
struct model_message *model_next(struct model *model, uint32_t select, uint64_t key);
/* The one at a position, as tenon_queue_peek() counts; or NULL. */
struct model_message *model_at(struct model *model, uint64_t position);
uint64_t model_queued(const struct model *model);
uint64_t model_bytes(const struct model *model, bool leased_too);
uint64_t model_room(const struct model *model);
/* Whether there is room for one of that length. */
bool model_fits(const struct model *model, uint64_t bytes);

/* It is sent; NULL: the model is full. */
struct model_message *model_send(struct model *model, uint64_t bytes, uint64_t key,
				 uint64_t pattern, int32_t pid);
/* It is gone for good, with the process that has it; 0: dropped. */
void model_end(struct model *model, struct model_message *message, int32_t pid);
void model_put_back(struct model *model, struct model_message *message);
/* The handle is closed, or its process is dead. */
void model_forget(struct model *model, uint32_t handle);

/* What a message consists of. */
void model_fill(uint8_t *bytes, uint64_t count, uint64_t pattern);

#endif
