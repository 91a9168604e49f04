/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Descriptors to poll: FIFOs beside the queue's file, opened for reading and writing by everybody who
 * needs them, in which a byte lies while the queue is readable (or writable).
 *
 * Each descriptor has a level, a word under the lock of the side that raises it: senders raise
 * "readable", receivers raise "writable".  The byte is written before the change that it tells of, and
 * drained only under the raising side's lock, when there is nothing to tell: whoever dies in between
 * leaves a byte too much, which the next one who looks and finds nothing drains, never one too few.
 *
 * The descriptor that is handed out for "readable" is a set of the FIFO and of the notice of deaths
 * (core/deathwatch.c): what a dead process had taken can be received again, and nobody else may be there to
 * say so.
 *
 * How the FIFOs come and go: queue_fifo.c.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/namespace.h"
#include "core/registry.h"
#include "object/queue_limit.h"
#include "object/queue_private.h"

/* Empties any FIFO, were it not filled meanwhile by somebody who has no business there. */
#define FIFO_READS 1025u

/* The descriptor that `side` raises, or a negative errno. */
static int descriptor(struct tenon_queue *queue, uint32_t side, bool make)
{
	int fd = (int)tni_get32(&queue->poll_fd[side]) - 1;
	uint32_t unset = 0;

	if (fd >= 0)
		return fd;
	fd = tni_fifo_open(queue, side == TNI_SEND ? TNI_FIFO_READABLE : TNI_FIFO_WRITABLE, make);
	if (fd >= 0 && !tni_cas32(&queue->poll_fd[side], &unset, (uint32_t)fd + 1)) {
		close(fd);
		fd = (int)unset - 1;
	}
	return fd;
}

static bool wanted(const struct tenon_queue *queue, uint32_t side)
{
	uint32_t flag = side == TNI_SEND ? TENON_READABLE : TENON_WRITABLE;

	return __builtin_expect(tni_get32(&queue->control->poll_wanted) & flag, 0);
}

static struct tni_a64 *level_of(struct tenon_queue *queue, uint32_t side)
{
	return side == TNI_SEND ? &queue->control->send.level : &queue->control->receive.level;
}

static void raise_level(struct tenon_queue *queue, uint32_t side)
{
	int fd = descriptor(queue, side, false);

	if (fd >= 0 && write(fd, "", 1) == 1)
		tni_set64(level_of(queue, side), 1);
}

void tni_poll_raise(struct tenon_queue *queue, uint32_t side)
{
	if (wanted(queue, side) && tni_get64(level_of(queue, side)) == 0)
		raise_level(queue, side);
	if (tni_pair_is_wanted(queue))
		tni_pair_raise(queue, side);
}

void tni_poll_raise_returned(struct tenon_queue *queue)
{
	int fd;

	if (tni_pair_is_wanted(queue))
		tni_pair_raise(queue, TNI_SEND);
	if (!wanted(queue, TNI_SEND))
		return;
	fd = descriptor(queue, TNI_SEND, false);
	if (fd >= 0)
		(void)!write(fd, "", 1); /* fails where it is full of bytes: readable as it is */
}

bool tni_poll_is_ready(const struct tenon_queue *queue, uint32_t side)
{
	if (tni_is_destroyed(queue))
		return true;
	return side == TNI_SEND ? tni_queue_available(queue) > 0 : tni_queue_room(queue) > 0;
}

/* Whether there is a byte, whatever the level says: it went with the last one who had the FIFO open. */
static bool has_byte(int fd)
{
	struct pollfd entry = {.fd = fd, .events = POLLIN};

	return poll(&entry, 1, 0) == 1;
}

void tni_poll_confirm_returned(struct tenon_queue *queue)
{
	int fd;

	if (tni_pair_is_wanted(queue) && tni_poll_is_ready(queue, TNI_SEND))
		tni_pair_raise(queue, TNI_SEND);
	if (!wanted(queue, TNI_SEND) || !tni_poll_is_ready(queue, TNI_SEND))
		return;
	fd = descriptor(queue, TNI_SEND, false);
	if (fd >= 0 && !has_byte(fd))
		(void)!write(fd, "", 1);
}

/* Makes the descriptor that `side` raises say what is.  Messages are put back under the receivers' lock, and
 * told of before and behind that: whoever looks last, here or there, sees that there are some and no byte. */
static void settle(struct tni_call *call, uint32_t side, int64_t deadline_ns)
{
	struct tenon_queue *queue = call->queue;
	int fd = descriptor(queue, side, false);
	char bytes[64];
	uint32_t cpu;

	if (fd < 0 || tni_side_visit(call, side, deadline_ns, &cpu) != 0)
		return;
	if (tni_poll_is_ready(queue, side)) {
		if (tni_get64(level_of(queue, side)) == 0 || !has_byte(fd))
			raise_level(queue, side);
	} else {
		for (uint32_t i = 0; i < FIFO_READS && read(fd, bytes, sizeof(bytes)) > 0; i++)
			;
		tni_set64(level_of(queue, side), 0);
		if (tni_poll_is_ready(queue, side))
			raise_level(queue, side);
	}
	tni_side_part(call, side, cpu);
}

void tni_poll_lower(struct tni_call *call, uint32_t side)
{
	uint32_t other = side == TNI_SEND ? TNI_RECEIVE : TNI_SEND;

	/* Who is stopped with the lock leaves the hint as it is, for the next one who looks. */
	if (wanted(call->queue, other) && !tni_poll_is_ready(call->queue, other))
		settle(call, other, tni_grace_ns());
	if (tni_pair_is_wanted(call->queue))
		tni_pair_lower(call, other);
}

/* The descriptor to poll for messages: also told of by the death of who has taken one, where that can be
 * had. */
static int watched(struct tenon_queue *queue, int fd)
{
	/* One thread at a time, and no fork meanwhile, whose child could not go on. */
	tni_registry_lock();
	/* The parent's is not this process's own. */
	if (tni_get32(&queue->watch.generation) != tni_process_generation()) {
		tni_deathwatch_close(&queue->watch);
		tni_deathwatch_open(&queue->watch, queue->object.fd, fd);
	}
	if (tni_get32(&queue->watch.generation) != 0)
		fd = queue->watch.set_fd;
	tni_registry_unlock();
	return fd;
}

static int get_descriptor(struct tenon_queue *queue, uint32_t side, int *ret_fd)
{
	uint32_t flag = side == TNI_SEND ? TENON_READABLE : TENON_WRITABLE;
	struct tni_call call;
	int fd, result;

	if (!queue || !ret_fd)
		return -EINVAL;
	result = tni_call_begin(&call, queue);
	if (result != 0)
		return result;
	fd = descriptor(queue, side, true);
	if (fd < 0)
		return fd;
	tni_queue_mark(queue, flag);
	settle(&call, side, INT64_MAX);
	*ret_fd = side == TNI_SEND ? watched(queue, fd) : fd;
	return 0;
}

int tenon_queue_readable_fd(struct tenon_queue *queue, int *ret_fd)
{
	return get_descriptor(queue, TNI_SEND, ret_fd);
}

int tenon_queue_writable_fd(struct tenon_queue *queue, int *ret_fd)
{
	return get_descriptor(queue, TNI_RECEIVE, ret_fd);
}
