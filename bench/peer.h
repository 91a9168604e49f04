/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

/*
 * What the libraries of others have in common: names in the folder of this program, which is
 * removed at its end with all that is in there; and those that carry messages through a socket of
 * their own, from a thread in the sender to one in the receiver (ZeroMQ, nng, nanomsg).
 *
 * Of these the receiver binds and each sender connects, so that there is a connection for each
 * sender.  The sender waits for it before the run begins.
 */

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"
#include "machine.h"

#define PEER_SCHEME "ipc://"
#define PEER_CONNECT_NS UINT64_C(4000000000)
/* Who connects before the other one has bound tries again soon: at the start alone. */
#define PEER_RECONNECT_MS 5

/* As text, of the macros that a library's header has; for `settings`. */
#define PEER_TEXT_OF(number) #number
#define PEER_TEXT(number) PEER_TEXT_OF(number)
#define PEER_VERSION(major, minor, patch) PEER_TEXT(major) "." PEER_TEXT(minor) "." PEER_TEXT(patch)

static inline void peer_name(struct link *link, const char *kind, uint32_t number)
{
	snprintf(link->name, sizeof(link->name), "%s/%s-%u", getenv("TENON_NAMESPACE"), kind,
		 number);
}

static inline int peer_create(struct link *link)
{
	static uint32_t number;

	peer_name(link, "socket", ++number);
	return 0;
}

static inline void peer_destroy(struct link *link)
{
	unlink(link->name);
}

static inline const char *peer_address(const struct link *link, char *address, size_t bytes)
{
	snprintf(address, bytes, PEER_SCHEME "%s", link->name);
	return address;
}

static inline const char *peer_refuse(const struct shape *shape)
{
	if (shape->pattern == PAIRS)
		return "is no lock";
	if (shape->method != METHOD_COPY)
		return "one at a time, copied";
	if (shape->wait == WAIT_POLL)
		return "its threads sleep, whatever the caller does";
	if (shape->wait == WAIT_EPOLL)
		return "is waited for by its own calls";
	return shape->consumers > 1 ? "a sender deals out to receivers, who share no queue" : NULL;
}

/* Between two looks for a connection, before the run: false when it took too long. */
static inline bool peer_is_patient(uint64_t begin_ns)
{
	struct timespec pause = {0, 1000000};

	clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
	return monotonic_ns() - begin_ns < PEER_CONNECT_NS;
}

#endif
