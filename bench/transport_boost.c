// SPDX-License-Identifier: Apache-2.0
/*
 * Boost.Interprocess: message_queue, whose keys are priorities, and named_mutex, which on Linux is a
 * named semaphore of POSIX.  Both lie in /dev/shm by their names, where nothing else puts them.
 */

#include <errno.h>
#include <unistd.h>

#include "boost.h"
#include "sync.h"
#include "transports.h"

static int make_name(struct link *link)
{
	static uint32_t number;

	snprintf(link->name, sizeof(link->name), "tenon-bench-%d-%u", (int)getpid(), ++number);
	return 0;
}

static const char *refuse_queue(const struct shape *shape)
{
	if (shape->pattern == PAIRS)
		return "is no lock";
	if (shape->method != METHOD_COPY)
		return "one at a time, copied";
	if (shape->wait == WAIT_POLL && shape->same_cpu)
		return "polling on one CPU";
	return shape->wait == WAIT_EPOLL ? "has no descriptor" : NULL;
}

static int create_queue(struct link *link)
{
	make_name(link);
	return boost_queue_create(link->name, link->shape->depth, link->shape->bytes);
}

static int attach_queue(struct link *link, enum end end)
{
	(void)end;
	return boost_queue_open(link->name, &link->handle);
}

static void destroy_queue(struct link *link)
{
	if (link->name[0])
		boost_queue_remove(link->name);
}

ALWAYS_INLINE int queue_send(struct link *link, void *message, size_t bytes, uint64_t key)
{
	return boost_queue_send(link->handle, message, bytes, (unsigned)key,
				link->shape->wait != WAIT_POLL);
}

ALWAYS_INLINE int queue_receive(struct link *link, void *buffer, size_t bytes)
{
	return boost_queue_receive(link->handle, buffer, bytes, link->shape->wait != WAIT_POLL);
}

static int create_mutex(struct link *link)
{
	int result = link_map(link, sizeof(struct sync_shared));

	make_name(link);
	return result < 0 ? result : boost_mutex_create(link->name);
}

static int attach_mutex(struct link *link, enum end end)
{
	(void)end;
	return boost_mutex_open(link->name, &link->handle);
}

static void destroy_mutex(struct link *link)
{
	if (link->name[0])
		boost_mutex_remove(link->name);
}

ALWAYS_INLINE int acquire_mutex(struct link *link)
{
	return boost_mutex_lock(link->handle);
}

ALWAYS_INLINE int release_mutex(struct link *link)
{
	return boost_mutex_unlock(link->handle);
}

static const struct transport_calls queue_calls = {.send = queue_send, .receive = queue_receive};
static const struct sync_calls mutex_sync = {acquire_mutex, release_mutex};
TRANSPORT_LOOPS(queue)
SYNC_LOOPS(mutex)

const struct transport transport_boost_queue = {
	.name = "boost-mq",
	.title = "Boost.Interprocess message_queue",
	.settings = "Boost " BENCH_BOOST_VERSION ", message_queue of the depth and of messages of "
		    "the size; a mutex and two conditions of POSIX",
	.refuse = refuse_queue,
	.create = create_queue,
	.attach = attach_queue,
	.destroy = destroy_queue,
	.loops = &queue_loops};
const struct transport transport_boost_mutex = {
	.name = "boost-mutex",
	.title = "Boost.Interprocess named_mutex",
	.settings = "Boost " BENCH_BOOST_VERSION
		    ", named_mutex, which is a named semaphore of POSIX",
	.refuse = refuse_all_but_pairs,
	.create = create_mutex,
	.attach = attach_mutex,
	.destroy = destroy_mutex,
	.loops = &mutex_loops};
