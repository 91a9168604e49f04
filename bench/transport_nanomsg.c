// SPDX-License-Identifier: Apache-2.0
/* nanomsg: NN_PUSH and NN_PULL over ipc://.  Settings: nn_setsockopt(3). */

#include <errno.h>
#include <nanomsg/nn.h>
#include <nanomsg/pipeline.h>

#include "loops.h"
#include "peer.h"
#include "transports.h"

#define BUFFER_BYTES_MIN (128u << 10) /* the library's default */

static int set(int socket, int option, int value)
{
	return nn_setsockopt(socket, NN_SOL_SOCKET, option, &value, sizeof(value)) < 0 ? -nn_errno()
										       : 0;
}

static int wait_for_connection(int socket)
{
	uint64_t begin_ns = monotonic_ns();

	while (nn_get_statistic(socket, NN_STAT_CURRENT_CONNECTIONS) == 0) {
		if (!peer_is_patient(begin_ns))
			return -ETIMEDOUT;
	}
	return 0;
}

static int attach(struct link *link, enum end end)
{
	bool is_sender = end == END_SEND;
	uint32_t room = link->shape->bytes * link->shape->depth;
	char address[128];
	int result, socket = nn_socket(AF_SP, is_sender ? NN_PUSH : NN_PULL);

	if (socket < 0)
		return -nn_errno();
	link->read_fd = socket; /* its number, which is no descriptor */
	if (room < BUFFER_BYTES_MIN)
		room = BUFFER_BYTES_MIN;
	result = set(socket, is_sender ? NN_SNDBUF : NN_RCVBUF, (int)room);
	if (result == 0)
		result = set(socket, is_sender ? NN_RECONNECT_IVL : NN_RCVMAXSIZE,
			     is_sender ? PEER_RECONNECT_MS : -1);
	if (result < 0)
		return result;
	peer_address(link, address, sizeof(address));
	if (!is_sender)
		return nn_bind(socket, address) < 0 ? -nn_errno() : 0;
	if (nn_connect(socket, address) < 0)
		return -nn_errno();
	return wait_for_connection(socket);
}

ALWAYS_INLINE int nanomsg_send(struct link *link, void *message, size_t bytes, uint64_t key)
{
	(void)key;
	return nn_send(link->read_fd, message, bytes, 0) < 0 ? -nn_errno() : 0;
}

ALWAYS_INLINE int nanomsg_receive(struct link *link, void *buffer, size_t bytes)
{
	int result = nn_recv(link->read_fd, buffer, bytes, 0);

	if (result < 0)
		return -nn_errno();
	return (size_t)result == bytes ? 0 : -EPIPE;
}

static const struct transport_calls nanomsg_calls = {
	.ends_each = true, .send = nanomsg_send, .receive = nanomsg_receive};
TRANSPORT_LOOPS(nanomsg)

const struct transport transport_nanomsg = {
	.name = "nanomsg",
	.title = "nanomsg ipc",
	.settings = "nanomsg " BENCH_NANOMSG_VERSION ", NN_PUSH/NN_PULL, ipc://; NN_SNDBUF and "
		    "NN_RCVBUF the depth in bytes (128 KiB at least), NN_RCVMAXSIZE -1",
	.refuse = peer_refuse,
	.create = peer_create,
	.attach = attach,
	.destroy = peer_destroy,
	.lingers = true,
	.loops = &nanomsg_loops};
