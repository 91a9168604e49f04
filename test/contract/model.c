/* SPDX-License-Identifier: Apache-2.0 */

#include "model.h"

#include <errno.h>
#include <string.h>

void model_begin(struct model *model, const struct tenon_queue_options *options)
{
	memset(model, 0, sizeof(*model));
	model->options = *options;
	for (uint32_t i = 0; i < MODEL_RECEIPTS; i++)
		model->receipts[i].handle = MODEL_NOBODY;
}

static bool is_wanted(const struct model_message *message, uint32_t select, uint64_t key)
{
	if (message->holder != MODEL_NOBODY)
		return false;
	switch (select) {
	case TENON_SELECT_EXACTLY:
		return message->key == key;
	case TENON_SELECT_ALL_BUT:
		return message->key != key;
	case TENON_SELECT_LOWEST_TO:
		return message->key <= key;
	default:
		return true;
	}
}

struct model_message *model_next(struct model *model, uint32_t select, uint64_t key)
{
	bool priority = model->options.order == TENON_QUEUE_PRIORITY;
	bool lowest = select == TENON_SELECT_LOWEST_TO;
	struct model_message *best = NULL;

	for (uint32_t i = 0; i < model->count; i++) {
		struct model_message *message = &model->messages[i];

		if (!is_wanted(message, select, key))
			continue;
		if (!best || (priority && message->key > best->key) ||
		    (lowest && message->key < best->key))
			best = message;
	}
	return best;
}

/* Whether a message is looked at before another one. */
static bool is_before(const struct model *model, const struct model_message *a,
		      const struct model_message *b)
{
	if (model->options.order == TENON_QUEUE_PRIORITY && a->key != b->key)
		return a->key > b->key;
	return a->sequence < b->sequence;
}

struct model_message *model_at(struct model *model, uint64_t position)
{
	for (uint32_t i = 0; i < model->count; i++) {
		uint64_t before = 0;

		if (model->messages[i].holder != MODEL_NOBODY)
			continue;
		for (uint32_t j = 0; j < model->count; j++)
			before += model->messages[j].holder == MODEL_NOBODY &&
				  is_before(model, &model->messages[j], &model->messages[i]);
		if (before == position)
			return &model->messages[i];
	}
	return NULL;
}

uint64_t model_queued(const struct model *model)
{
	uint64_t queued = 0;

	for (uint32_t i = 0; i < model->count; i++)
		queued += model->messages[i].holder == MODEL_NOBODY;
	return queued;
}

uint64_t model_bytes(const struct model *model, bool leased_too)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < model->count; i++)
		if (leased_too || model->messages[i].holder == MODEL_NOBODY)
			bytes += model->messages[i].bytes;
	return bytes;
}

bool model_fits(const struct model *model, uint64_t bytes)
{
	uint64_t limit = model->options.max_bytes;

	return model->options.capacity > model->count &&
	       (limit == 0 || (model->count < limit && model_bytes(model, true) + bytes <= limit));
}

/* For the longest, as far as there can be room for that. */
uint64_t model_room(const struct model *model)
{
	uint64_t longest = model->options.max_message_bytes, limit = model->options.max_bytes;

	return model_fits(model, limit != 0 && limit < longest ? limit : longest);
}

struct model_message *model_send(struct model *model, uint64_t bytes, uint64_t key,
				 uint64_t pattern, int32_t pid)
{
	struct model_message *message = &model->messages[model->count];
	uint64_t held;

	if (model->count == MODEL_MOST)
		return NULL;
	*message = (struct model_message){.bytes = bytes,
					  .key = model->options.order == TENON_QUEUE_FIFO ? 0 : key,
					  .sequence = model->appended,
					  .pattern = pattern,
					  .holder = MODEL_NOBODY,
					  .sender_pid = pid};
	model->count++;
	model->appended++;
	model->sent_bytes += bytes;
	model->last_sender_pid = pid;
	held = model_bytes(model, true);
	if (model->count > model->high_messages)
		model->high_messages = model->count;
	if (held > model->high_bytes)
		model->high_bytes = held;
	return message;
}

void model_end(struct model *model, struct model_message *message, int32_t pid)
{
	uint32_t index = (uint32_t)(message - model->messages);

	if (message->receipt != 0) {
		struct model_receipt *receipt = &model->receipts[message->receipt - 1];

		receipt->result = pid == 0 ? -ECANCELED : 0;
		receipt->pid = pid;
	}
	if (pid == 0) {
		model->dropped_oldest++;
	} else {
		model->received++;
		model->received_bytes += message->bytes;
	}
	model->count--;
	memmove(message, message + 1, (model->count - index) * sizeof(*message));
}

void model_put_back(struct model *model, struct model_message *message)
{
	message->holder = MODEL_NOBODY;
	message->deliveries++;
	model->redelivered++;
}

void model_forget(struct model *model, uint32_t handle)
{
	for (uint32_t i = 0; i < model->count; i++) {
		struct model_message *message = &model->messages[i];

		if (message->holder == handle)
			model_put_back(model, message);
		if (message->receipt != 0 && model->receipts[message->receipt - 1].handle == handle)
			message->receipt = 0;
	}
	for (uint32_t i = 0; i < MODEL_RECEIPTS; i++)
		if (model->receipts[i].handle == handle)
			model->receipts[i].handle = MODEL_NOBODY;
}

void model_fill(uint8_t *bytes, uint64_t count, uint64_t pattern)
{
	for (uint64_t i = 0; i < count; i++)
		bytes[i] = (uint8_t)(pattern * 31 + i * 7 + (i >> 8));
}
