// SPDX-License-Identifier: Apache-2.0
/*
 * pipe(2), and the same by its name in a folder, mkfifo(3).  A message is written and read as its bytes; only what is not above PIPE_BUF stays whole
 * among several writers or readers.
 */

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "descriptor.h"
#include "loops.h"
#include "peer.h"
#include "transports.h"

#define PIPE_BYTES_MIN (64u << 10)
#define PIPE_BYTES_MAX (1u << 20)

static const char *refuse(const struct shape *shape)
{
	if (shape->method != METHOD_COPY)
		return "one at a time, copied";
	if (shape->producers + shape->consumers > 2 && shape->bytes > PIPE_BUF)
		return "messages above 4 KiB mix among several processes";
	return NULL;
}

static void set_size(const struct link *link)
{
	size_t wanted = (size_t)link->shape->bytes * link->shape->depth;

	if (wanted < PIPE_BYTES_MIN)
		wanted = PIPE_BYTES_MIN;
	if (wanted > PIPE_BYTES_MAX)
		wanted = PIPE_BYTES_MAX;
	/* Where a larger pipe is refused, the default has to do. */
	(void)fcntl(link->write_fd, F_SETPIPE_SZ, (int)wanted);
}

static int create(struct link *link)
{
	int flags = link->shape->wait == WAIT_POLL ? O_NONBLOCK : 0, fds[2];

	if (pipe2(fds, O_CLOEXEC | flags) < 0)
		return -errno;
	link->read_fd = fds[0];
	link->write_fd = fds[1];
	set_size(link);
	return 0;
}

/* Opening a reader does not wait with O_NONBLOCK, and a writer need not when there is a reader. */
static int create_named(struct link *link)
{
	static uint32_t number;

	peer_name(link, "fifo", ++number);
	if (mkfifo(link->name, 0600) < 0)
		return -errno;
	link->read_fd = open(link->name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (link->read_fd >= 0)
		link->write_fd = open(link->name, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	unlink(link->name);
	if (link->write_fd < 0)
		return -errno;
	if (link->shape->wait != WAIT_POLL &&
	    (fcntl(link->read_fd, F_SETFL, 0) < 0 || fcntl(link->write_fd, F_SETFL, 0) < 0))
		return -errno;
	set_size(link);
	return 0;
}

ALWAYS_INLINE int pipe_send(struct link *link, void *message, size_t bytes, uint64_t key)
{
	(void)key;
	return descriptor_write(link->write_fd, message, bytes);
}

ALWAYS_INLINE int pipe_receive(struct link *link, void *buffer, size_t bytes)
{
	return descriptor_read(link->read_fd, buffer, bytes);
}

static const struct transport_calls pipe_calls = {.send = pipe_send, .receive = pipe_receive};
TRANSPORT_LOOPS(pipe)

const struct transport transport_pipe = {.name = "pipe",
					 .title = "pipe",
					 .refuse = refuse,
					 .create = create,
					 .readable_fd = descriptor_readable,
					 .destroy = descriptor_close,
					 .loops = &pipe_loops};
const struct transport transport_mkfifo = {.name = "mkfifo",
					   .title = "FIFO (mkfifo)",
					   .refuse = refuse,
					   .create = create_named,
					   .readable_fd = descriptor_readable,
					   .destroy = descriptor_close,
					   .loops = &pipe_loops};
