// SPDX-License-Identifier: Apache-2.0
/*
 * Tenon's queue in its three orders.  The namespace is the program's own (TENON_NAMESPACE is set to
 * it at the start); each process of a run opens the queue by its name, as strangers would.
 */

#include <unistd.h>

#include <tenon/queue.h>

#include "loops.h"
#include "transports.h"

/* What a process keeps beside the handle. */
struct tenon_end {
	struct tenon_queue *queue;
	struct tenon_send_options send_keyed;
	struct tenon_receive_options receive_at_once;
	/* What is passed: NULL where all defaults are meant, that is, where the caller may wait and
	 * has no key to give. */
	struct tenon_send_options *send;
	struct tenon_receive_options *receive;
	struct tenon_slice slices[BATCH_MAX];
	struct tenon_message messages[BATCH_MAX];
	struct tenon_loan loan;
	struct tenon_lease lease;
};

static const char *refuse(const struct shape *shape)
{
	if (shape->wait == WAIT_POLL && shape->same_cpu)
		return "polling on one CPU";
	return NULL;
}

static int create(struct link *link, uint32_t order)
{
	static uint32_t counter;
	struct tenon_queue_options options = {.size = sizeof(options),
					      .order = order,
					      .capacity = link->shape->depth,
					      .max_message_bytes = link->shape->bytes,
					      .mode = TENON_QUEUE_DEFAULT_MODE};
	struct tenon_queue *queue;
	int result;

	snprintf(link->name, sizeof(link->name), "/bench-%d-%u", (int)getpid(), counter++);
	result = tenon_queue_open(NULL, link->name, TENON_QUEUE_CREATE | TENON_QUEUE_EXCLUSIVE,
				  &options, &queue);
	if (result < 0) {
		link->name[0] = '\0';
		return result;
	}
	tenon_queue_close(queue);
	return 0;
}

static int attach(struct link *link, enum end end)
{
	bool may_wait = link->shape->wait == WAIT_BLOCK;
	uint32_t flags = may_wait ? 0 : TENON_NONBLOCK;
	struct tenon_end *self = calloc(1, sizeof(*self));

	(void)end;
	if (!self)
		return -ENOMEM;
	self->send_keyed = (struct tenon_send_options){.size = sizeof(*self->send), .flags = flags};
	self->receive_at_once = (struct tenon_receive_options){.size = sizeof(*self->receive),
							       .flags = flags};
	self->send = may_wait && link->shape->keys == 1 ? NULL : &self->send_keyed;
	self->receive = may_wait ? NULL : &self->receive_at_once;
	link->handle = self;
	return tenon_queue_open(NULL, link->name, 0, NULL, &self->queue);
}

static int readable_fd(struct link *link)
{
	struct tenon_end *self = link->handle;
	int fd, result = tenon_queue_readable_fd(self->queue, &fd);

	return result < 0 ? result : fd;
}

static void destroy(struct link *link)
{
	if (link->name[0])
		tenon_queue_remove(NULL, link->name);
}

ALWAYS_INLINE int send_one(struct link *link, void *message, size_t bytes, uint64_t key)
{
	struct tenon_end *self = link->handle;

	self->send_keyed.key = key;
	return tenon_queue_send(self->queue, message, bytes, self->send);
}

ALWAYS_INLINE int receive_one(struct link *link, void *buffer, size_t bytes)
{
	struct tenon_end *self = link->handle;

	return tenon_queue_receive(self->queue, buffer, bytes, self->receive, NULL);
}

ALWAYS_INLINE int send_batch(struct link *link, void *data, size_t bytes, uint32_t count)
{
	struct tenon_end *self = link->handle;
	uint32_t sent = 0;
	int result;

	for (uint32_t i = 0; i < count; i++)
		self->slices[i] = (struct tenon_slice){(char *)data + i * bytes, bytes};
	result = tenon_queue_send_batch(self->queue, self->slices, count, self->send, &sent);
	return result < 0 ? result : (int)sent;
}

ALWAYS_INLINE int receive_batch(struct link *link, void *buffer, size_t bytes, uint32_t count)
{
	struct tenon_end *self = link->handle;
	uint32_t received = 0;
	int result = tenon_queue_receive_batch(self->queue, buffer, bytes * count, count,
					       self->receive, self->messages, &received);

	return result < 0 ? result : (int)received;
}

/* A loan that could not be sent at once stays, and is committed at the next try. */
ALWAYS_INLINE int loan(struct link *link, size_t bytes, void **ret_data)
{
	struct tenon_end *self = link->handle;
	int result = tenon_queue_loan(self->queue, bytes, &self->loan);

	if (result < 0)
		return result;
	*ret_data = self->loan.data;
	return 0;
}

ALWAYS_INLINE int commit(struct link *link, size_t bytes)
{
	struct tenon_end *self = link->handle;

	return tenon_queue_commit(self->queue, &self->loan, bytes, self->send);
}

ALWAYS_INLINE int take(struct link *link, const void **ret_data)
{
	struct tenon_end *self = link->handle;
	int result = tenon_queue_take(self->queue, self->receive, &self->lease);

	if (result < 0)
		return result;
	*ret_data = self->lease.data;
	return 0;
}

ALWAYS_INLINE int done(struct link *link)
{
	struct tenon_end *self = link->handle;

	return tenon_queue_done(self->queue, &self->lease);
}

static const struct transport_calls tenon_calls = {.send = send_one,
						   .receive = receive_one,
						   .send_batch = send_batch,
						   .receive_batch = receive_batch,
						   .loan = loan,
						   .commit = commit,
						   .take = take,
						   .done = done};
TRANSPORT_LOOPS(tenon)

/* The orders differ in how a queue is made, and in nothing else that a caller does. */
#define TENON_TRANSPORT(id, order, name_, title_)                                  \
	static int id##_create(struct link *link)                                  \
	{                                                                          \
		return create(link, order);                                        \
	}                                                                          \
	const struct transport transport_tenon_##id = {.name = (name_),            \
						       .title = (title_),          \
						       .refuse = refuse,           \
						       .create = id##_create,      \
						       .attach = attach,           \
						       .readable_fd = readable_fd, \
						       .destroy = destroy,         \
						       .loops = &tenon_loops};

TENON_TRANSPORT(fifo, TENON_QUEUE_FIFO, "tenon-fifo", "Tenon FIFO queue")
TENON_TRANSPORT(priority, TENON_QUEUE_PRIORITY, "tenon-priority", "Tenon priority queue")
TENON_TRANSPORT(typed, TENON_QUEUE_TYPED, "tenon-typed", "Tenon typed queue")
