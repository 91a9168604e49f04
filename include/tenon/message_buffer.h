/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TENON_MESSAGE_BUFFER_H
#define TENON_MESSAGE_BUFFER_H

/*
 * The message buffer: what textbooks and small operating systems call a bounded queue of messages,
 * first in, first out, whose senders wait while it is full and whose receivers wait while it is
 * empty.
 *
 * It is a queue (tenon/queue.h), with that order and those ways of waiting, and these calls are the
 * queue's: its promises, errors and costs hold, the other calls work on it, and in the shell it is
 * a queue, too.
 */

#include <tenon/queue.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Opens the message buffer `name`, or makes it (`flags`: TENON_CREATE, TENON_EXCLUSIVE), with room
 * for `messages` messages of up to `max_message_bytes` each, mode 0600.  Errors: as
 * tenon_queue_open; -EINVAL, of a new one, no messages.  One that exists is opened as it is.
 */
static inline int tenon_message_buffer_open(const char *namespace_path, const char *name,
					    uint32_t flags, uint64_t messages,
					    uint64_t max_message_bytes,
					    struct tenon_queue **ret_buffer)
{
	struct tenon_queue_options options = {sizeof(options),		0,	  TENON_QUEUE_FIFO,
					      TENON_QUEUE_WAIT,		messages, max_message_bytes,
					      TENON_QUEUE_DEFAULT_MODE, 0,	  0};

	if (messages == 0 || messages == TENON_QUEUE_UNBOUNDED)
		options.size = 0; /* -EINVAL */
	return tenon_queue_open(namespace_path, name, flags, &options, ret_buffer);
}

/* Sends a message, and waits for room until the deadline (tenon_deadline_after; TENON_NO_DEADLINE;
 * one that has passed looks once).  Errors: as tenon_queue_send. */
static inline int tenon_message_buffer_send(struct tenon_queue *buffer, const void *data,
					    uint64_t bytes, int64_t deadline_ns)
{
	struct tenon_send_options options = {sizeof(options), 0, deadline_ns ? deadline_ns : -1, 0};

	return tenon_queue_send(buffer, data, bytes, &options);
}

/* Receives the oldest message into `data`, where there is room for `capacity_bytes`, and waits for
 * one until the deadline.  `ret_bytes` (may be NULL) is its length.  Errors: as
 * tenon_queue_receive. */
static inline int tenon_message_buffer_receive(struct tenon_queue *buffer, void *data,
					       uint64_t capacity_bytes, int64_t deadline_ns,
					       uint64_t *ret_bytes)
{
	struct tenon_receive_options options = {sizeof(options),  0, deadline_ns ? deadline_ns : -1,
						TENON_SELECT_ANY, 0, 0};
	struct tenon_message message;
	int result;

	result = tenon_queue_receive(buffer, data, capacity_bytes, &options, &message);
	if (result == 0 && ret_bytes)
		*ret_bytes = message.bytes;
	return result;
}

/* Closes and removes it: as tenon_queue_close and tenon_queue_remove. */
static inline struct tenon_queue *tenon_message_buffer_close(struct tenon_queue *buffer)
{
	return tenon_queue_close(buffer);
}

static inline int tenon_message_buffer_remove(const char *namespace_path, const char *name)
{
	return tenon_queue_remove(namespace_path, name);
}

#ifdef __cplusplus
}
#endif

#endif
