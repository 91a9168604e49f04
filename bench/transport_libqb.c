// SPDX-License-Identifier: Apache-2.0
/*
 * libqb: the ring buffer between two processes (qbrb.h) that its IPC over shared memory is made of.
 *
 * Its reader sleeps on a semaphore of POSIX.  Its writer never waits: a full ring refuses, and whoever
 * writes tries again, as the header says; so it polls, in every row.
 */

#include <errno.h>
#include <qb/qbconfig.h>
#include <qb/qbrb.h>

#include "loops.h"
#include "peer.h"
#include "transports.h"

#define CHUNK_HEAD_BYTES 16u
#define RING_BYTES_MIN 4096u

static const char *refuse(const struct shape *shape)
{
	if (shape->pattern == PAIRS)
		return "is no lock";
	if (shape->method != METHOD_COPY)
		return "one at a time, copied";
	if (shape->producers + shape->consumers > 2)
		return "one writer and one reader";
	return shape->wait == WAIT_EPOLL ? "has no descriptor" : NULL;
}

static int open_ring(struct link *link, uint32_t flags)
{
	size_t bytes = (size_t)link->shape->depth * (link->shape->bytes + CHUNK_HEAD_BYTES);

	if (bytes < RING_BYTES_MIN)
		bytes = RING_BYTES_MIN;
	link->handle = qb_rb_open(link->name, bytes, flags | QB_RB_FLAG_SHARED_PROCESS, 0);
	return link->handle ? 0 : -errno;
}

static int create(struct link *link)
{
	static uint32_t number;

	peer_name(link, "ring", ++number);
	return open_ring(link, QB_RB_FLAG_CREATE);
}

static int attach(struct link *link, enum end end)
{
	(void)end;
	return open_ring(link, 0);
}

static void destroy(struct link *link)
{
	if (link->handle)
		qb_rb_close(link->handle);
}

ALWAYS_INLINE int libqb_send(struct link *link, void *message, size_t bytes, uint64_t key)
{
	ssize_t result = qb_rb_chunk_write(link->handle, message, bytes);

	(void)key;
	return result < 0 ? (int)result : 0;
}

ALWAYS_INLINE int libqb_receive(struct link *link, void *buffer, size_t bytes)
{
	int timeout_ms = link->shape->wait == WAIT_POLL ? 0 : -1;
	ssize_t result = qb_rb_chunk_read(link->handle, buffer, bytes, timeout_ms);

	if (result == -ETIMEDOUT)
		return -EAGAIN;
	if (result < 0)
		return (int)result;
	return (size_t)result == bytes ? 0 : -EPIPE;
}

static const struct transport_calls libqb_calls = {.send = libqb_send, .receive = libqb_receive};
TRANSPORT_LOOPS(libqb)

const struct transport transport_libqb = {
	.name = "libqb",
	.title = "libqb ring buffer",
	.settings = "libqb " QB_VER_STR ", qb_rb_chunk_write/_read, QB_RB_FLAG_SHARED_PROCESS with "
		    "its semaphore; a sender polls a full ring",
	.refuse = refuse,
	.create = create,
	.attach = attach,
	.destroy = destroy,
	.loops = &libqb_loops};
