// SPDX-License-Identifier: Apache-2.0
/*
 * AF_UNIX socket pairs: SOCK_SEQPACKET and SOCK_DGRAM, a message a packet; and SOCK_STREAM, one message
 * at a time or with user-side batching, where a batch is one write and one read brings what there is.
 *
 * How many datagrams may wait is the system's limit net.unix.max_dgram_qlen, and no option.
 */

#include <sys/socket.h>

#include "descriptor.h"
#include "loops.h"
#include "transports.h"

#define SOCKET_BYTES_MIN (256u << 10)

static const char *refuse_packets(const struct shape *shape)
{
	return shape->method != METHOD_COPY ? "one at a time, copied" : NULL;
}

static const char *refuse_stream(const struct shape *shape)
{
	if (shape->method == METHOD_LOAN)
		return "copies";
	if (shape->producers + shape->consumers > 2)
		return "bytes mix among several processes";
	return NULL;
}

static int create(struct link *link, int type)
{
	int flags = link->shape->wait == WAIT_POLL ? SOCK_NONBLOCK : 0, fds[2];
	size_t wanted = (size_t)link->shape->bytes * link->shape->depth;
	int room = wanted < SOCKET_BYTES_MIN ? (int)SOCKET_BYTES_MIN : (int)wanted;

	if (socketpair(AF_UNIX, type | SOCK_CLOEXEC | flags, 0, fds) < 0)
		return -errno;
	link->write_fd = fds[0];
	link->read_fd = fds[1];
	/* SO_SNDBUFFORCE needs CAP_NET_ADMIN; without it the system's limit decides. */
	if (setsockopt(link->write_fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room)) < 0)
		(void)setsockopt(link->write_fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	return 0;
}

static int seqpacket_create(struct link *link)
{
	return create(link, SOCK_SEQPACKET);
}

static int dgram_create(struct link *link)
{
	return create(link, SOCK_DGRAM);
}

static int stream_create(struct link *link)
{
	return create(link, SOCK_STREAM);
}

ALWAYS_INLINE int packet_send(struct link *link, void *message, size_t bytes, uint64_t key)
{
	(void)key;
	return send(link->write_fd, message, bytes, 0) < 0 ? -errno : 0;
}

ALWAYS_INLINE int packet_receive(struct link *link, void *buffer, size_t bytes)
{
	ssize_t result = recv(link->read_fd, buffer, bytes, 0);

	if (result < 0)
		return -errno;
	return (size_t)result == bytes ? 0 : -EPIPE;
}

ALWAYS_INLINE int stream_send(struct link *link, void *message, size_t bytes, uint64_t key)
{
	(void)key;
	return descriptor_write(link->write_fd, message, bytes);
}

ALWAYS_INLINE int stream_receive(struct link *link, void *buffer, size_t bytes)
{
	return descriptor_read(link->read_fd, buffer, bytes);
}

ALWAYS_INLINE int stream_send_batch(struct link *link, void *data, size_t bytes, uint32_t count)
{
	int result = descriptor_write(link->write_fd, data, bytes * count);

	return result < 0 ? result : (int)count;
}

ALWAYS_INLINE int stream_receive_batch(struct link *link, void *buffer, size_t bytes,
				       uint32_t count)
{
	ssize_t result = read(link->read_fd, buffer, bytes * count);
	size_t part;

	if (result <= 0)
		return result < 0 ? -errno : -EPIPE;
	part = (size_t)result % bytes;
	if (part > 0) {
		int rest;

		while ((rest = descriptor_read(link->read_fd, (char *)buffer + result,
					       bytes - part)) == -EAGAIN)
			cpu_relax();
		if (rest < 0)
			return rest;
		result += (ssize_t)(bytes - part);
	}
	return (int)((size_t)result / bytes);
}

static const struct transport_calls packet_calls = {.send = packet_send, .receive = packet_receive};
static const struct transport_calls stream_calls = {.send = stream_send,
						    .receive = stream_receive,
						    .send_batch = stream_send_batch,
						    .receive_batch = stream_receive_batch};
TRANSPORT_LOOPS(packet)
TRANSPORT_LOOPS(stream)

const struct transport transport_seqpacket = {.name = "seqpacket",
					      .title = "AF_UNIX seqpacket",
					      .refuse = refuse_packets,
					      .create = seqpacket_create,
					      .readable_fd = descriptor_readable,
					      .destroy = descriptor_close,
					      .loops = &packet_loops};
const struct transport transport_dgram = {.name = "dgram",
					  .title = "AF_UNIX datagrams",
					  .refuse = refuse_packets,
					  .create = dgram_create,
					  .readable_fd = descriptor_readable,
					  .destroy = descriptor_close,
					  .loops = &packet_loops};
const struct transport transport_stream = {.name = "stream",
					   .title = "AF_UNIX stream",
					   .refuse = refuse_stream,
					   .create = stream_create,
					   .readable_fd = descriptor_readable,
					   .destroy = descriptor_close,
					   .loops = &stream_loops};
