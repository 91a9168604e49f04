// SPDX-License-Identifier: Apache-2.0
/* ZeroMQ: PUSH and PULL over ipc://.  Settings: zmq_setsockopt(3), zmq_ctx_set(3). */

#include <errno.h>
#include <zmq.h>

#include "loops.h"
#include "peer.h"
#include "transports.h"

/* Of this process, for both directions: one I/O thread, which is the default. */
static void *context;

/* As many messages as others may hold wait on either side. */
static int set_options(void *socket, const struct link *link, bool is_sender)
{
	const int depth = (int)link->shape->depth, yes = 1, none = 0, reconnect = PEER_RECONNECT_MS;

	if (zmq_setsockopt(socket, is_sender ? ZMQ_SNDHWM : ZMQ_RCVHWM, &depth, sizeof(depth)) <
		    0 ||
	    zmq_setsockopt(socket, ZMQ_IMMEDIATE, &yes, sizeof(yes)) < 0 ||
	    zmq_setsockopt(socket, ZMQ_LINGER, &none, sizeof(none)) < 0 ||
	    zmq_setsockopt(socket, ZMQ_RECONNECT_IVL, &reconnect, sizeof(reconnect)) < 0)
		return -zmq_errno();
	return 0;
}

/* With ZMQ_IMMEDIATE nothing can be sent before there is a connection. */
static int wait_for_connection(void *socket)
{
	zmq_pollitem_t item = {.socket = socket, .events = ZMQ_POLLOUT};
	int result = zmq_poll(&item, 1, (long)(PEER_CONNECT_NS / 1000000));

	if (result < 0)
		return -zmq_errno();
	return result == 0 ? -ETIMEDOUT : 0;
}

static int attach(struct link *link, enum end end)
{
	bool is_sender = end == END_SEND;
	char address[128];
	int result;

	if (!context && !(context = zmq_ctx_new()))
		return -zmq_errno();
	link->handle = zmq_socket(context, is_sender ? ZMQ_PUSH : ZMQ_PULL);
	if (!link->handle)
		return -zmq_errno();
	result = set_options(link->handle, link, is_sender);
	if (result < 0)
		return result;
	peer_address(link, address, sizeof(address));
	if (!is_sender)
		return zmq_bind(link->handle, address) < 0 ? -zmq_errno() : 0;
	if (zmq_connect(link->handle, address) < 0)
		return -zmq_errno();
	return wait_for_connection(link->handle);
}

ALWAYS_INLINE int zeromq_send(struct link *link, void *message, size_t bytes, uint64_t key)
{
	(void)key;
	return zmq_send(link->handle, message, bytes, 0) < 0 ? -zmq_errno() : 0;
}

ALWAYS_INLINE int zeromq_receive(struct link *link, void *buffer, size_t bytes)
{
	int result = zmq_recv(link->handle, buffer, bytes, 0);

	if (result < 0)
		return -zmq_errno();
	return (size_t)result == bytes ? 0 : -EPIPE;
}

static const struct transport_calls zeromq_calls = {
	.ends_each = true, .send = zeromq_send, .receive = zeromq_receive};
TRANSPORT_LOOPS(zeromq)

const struct transport transport_zeromq = {
	.name = "zeromq",
	.title = "ZeroMQ ipc",
	.settings =
		"libzmq " PEER_VERSION(ZMQ_VERSION_MAJOR, ZMQ_VERSION_MINOR,
				       ZMQ_VERSION_PATCH) ", PUSH/PULL, ipc://; ZMQ_SNDHWM and "
							  "ZMQ_RCVHWM the depth, ZMQ_IMMEDIATE 1, "
							  "ZMQ_IO_THREADS 1",
	.refuse = peer_refuse,
	.create = peer_create,
	.attach = attach,
	.destroy = peer_destroy,
	.lingers = true,
	.loops = &zeromq_loops};
