// SPDX-License-Identifier: Apache-2.0
/*
 * nng over ipc://: pair0, and where there are several senders push0 and pull0.  A pull0 has room for
 * one message of each sender only, and takes a multiple of the time.  Settings: nng.h.
 */

#include <errno.h>
#include <nng/nng.h>
#include <nng/protocol/pair0/pair.h>
#include <nng/protocol/pipeline0/pull.h>
#include <nng/protocol/pipeline0/push.h>

#include "loops.h"
#include "peer.h"
#include "transports.h"

#define SENDBUF_MAX 8192u /* of the library */

/* Its errors below 1000 are not the system's; which one it was does not matter for a row. */
static int error_of(int result)
{
	switch (result) {
	case 0:
		return 0;
	case NNG_EAGAIN:
		return -EAGAIN;
	case NNG_ENOMEM:
		return -ENOMEM;
	case NNG_ETIMEDOUT:
		return -ETIMEDOUT;
	case NNG_EINVAL:
		return -EINVAL;
	case NNG_EADDRINUSE:
		return -EADDRINUSE;
	case NNG_ENOTSUP:
		return -ENOTSUP;
	default:
		return result & NNG_ESYSERR ? -(result & ~NNG_ESYSERR) : -EIO;
	}
}

static nng_socket socket_of(const struct link *link)
{
	return (nng_socket){.id = (uint32_t)link->position};
}

static int open_socket(nng_socket *ret_socket, const struct shape *shape, bool is_sender)
{
	if (shape->producers == 1)
		return nng_pair0_open(ret_socket);
	return is_sender ? nng_push0_open(ret_socket) : nng_pull0_open(ret_socket);
}

static int dial(nng_socket socket, const char *address)
{
	uint64_t begin_ns = monotonic_ns();
	int result;

	do
		result = nng_dial(socket, address, NULL, 0);
	while ((result == NNG_ECONNREFUSED || result == NNG_ENOENT) && peer_is_patient(begin_ns));
	return error_of(result);
}

static int attach(struct link *link, enum end end)
{
	bool is_sender = end == END_SEND;
	uint32_t depth = link->shape->depth < SENDBUF_MAX ? link->shape->depth : SENDBUF_MAX;
	char address[128];
	nng_socket socket;
	int result = open_socket(&socket, link->shape, is_sender);

	if (result != 0)
		return error_of(result);
	link->position = socket.id;
	peer_address(link, address, sizeof(address));
	result = nng_socket_set_int(socket, is_sender ? NNG_OPT_SENDBUF : NNG_OPT_RECVBUF,
				    (int)depth);
	if (result == 0)
		result = nng_socket_set_size(socket, NNG_OPT_RECVMAXSZ, 0);
	if (result != 0)
		return error_of(result);
	return is_sender ? dial(socket, address) : error_of(nng_listen(socket, address, NULL, 0));
}

ALWAYS_INLINE int peer_send(struct link *link, void *message, size_t bytes, uint64_t key)
{
	(void)key;
	return error_of(nng_send(socket_of(link), message, bytes, 0));
}

ALWAYS_INLINE int peer_receive(struct link *link, void *buffer, size_t bytes)
{
	size_t received = bytes;
	int result = nng_recv(socket_of(link), buffer, &received, 0);

	if (result != 0)
		return error_of(result);
	return received == bytes ? 0 : -EPIPE;
}

static const struct transport_calls nng_calls = {
	.ends_each = true, .rounds_between = 4, .send = peer_send, .receive = peer_receive};
TRANSPORT_LOOPS(nng)

const struct transport transport_nng = {
	.name = "nng",
	.title = "nng ipc",
	.settings = "nng " PEER_VERSION(
		NNG_MAJOR_VERSION, NNG_MINOR_VERSION,
		NNG_PATCH_VERSION) ", pair0, several senders push0/pull0, ipc://; NNG_OPT_SENDBUF "
				   "and NNG_OPT_RECVBUF the "
				   "depth, NNG_OPT_RECVMAXSZ 0",
	.refuse = peer_refuse,
	.create = peer_create,
	.attach = attach,
	.destroy = peer_destroy,
	.lingers = true,
	.loops = &nng_loops};
