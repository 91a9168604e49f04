// SPDX-License-Identifier: Apache-2.0
/*
 * iceoryx: a publisher for each producer and one subscriber, in chunks of shared memory that its daemon
 * RouDi hands out.  Nothing is thrown away: a publisher waits for its subscriber.  A subscriber that
 * blocks waits with a WaitSet; one that polls takes what there is.
 *
 * The daemon is started with the first row that needs it, and stopped with this program.  There is one
 * on a machine at most: if somebody else's runs, the row fails and says that it is busy.
 */

#include <errno.h>
#include <iceoryx_binding_c/log.h>
#include <iceoryx_binding_c/publisher.h>
#include <iceoryx_binding_c/runtime.h>
#include <iceoryx_binding_c/subscriber.h>
#include <iceoryx_binding_c/wait_set.h>

#include "loops.h"
#include "peer.h"
#include "roudi.h"
#include "transports.h"

#define QUEUE_MAX 256u			     /* of the library, as Debian builds it */
#define APPLICATION "/tmp/tenon-bench-%d-%u" /* where the library puts the sockets of a process */

struct port {
	iox_pub_storage_t publisher_storage;
	iox_sub_storage_t subscriber_storage;
	iox_ws_storage_t wait_set_storage;
	iox_pub_t publisher;
	iox_sub_t subscriber;
	iox_ws_t wait_set;
	void *loaned;
	const void *taken;
};

/* Of this process, for both directions. */
static struct port ports[2];
static uint32_t port_count;

static const char *refuse(const struct shape *shape)
{
	if (shape->pattern == PAIRS)
		return "is no lock";
	if (shape->method == METHOD_BATCH)
		return "one at a time";
	if (shape->wait == WAIT_EPOLL)
		return "is waited for by its own calls";
	if (shape->wait == WAIT_POLL && shape->same_cpu)
		return "polling on one CPU";
	return shape->consumers > 1 ? "each subscriber gets every message" : NULL;
}

/* `shared` counts the processes, whose names it makes. */
static int create(struct link *link)
{
	static uint32_t number;
	int result = roudi_start(getenv("TENON_NAMESPACE"));

	snprintf(link->name, sizeof(link->name), "%d-%u", (int)getpid(), ++number);
	return result < 0 ? result : link_map(link, sizeof(uint32_t));
}

static void destroy(struct link *link)
{
	/* There is nothing left of those that went by leave(). */
	for (uint32_t i = 0; link->shared && i < *(uint32_t *)link->shared; i++) {
		char path[72];

		snprintf(path, sizeof(path), APPLICATION, (int)getpid(), i);
		unlink(path);
		strcat(path, ".lock");
		unlink(path);
	}
}

static void init_runtime(struct link *link)
{
	char path[64];

	if (port_count > 0)
		return;
	snprintf(path, sizeof(path), APPLICATION, (int)getppid(),
		 __atomic_fetch_add((uint32_t *)link->shared, 1, __ATOMIC_RELAXED));
	iox_set_loglevel(Iceoryx_LogLevel_Error);
	iox_runtime_init(strrchr(path, '/') + 1);
}

static int attach_publisher(struct link *link, struct port *port)
{
	uint64_t begin_ns = monotonic_ns();
	iox_pub_options_t options;

	iox_pub_options_init(&options);
	options.subscriberTooSlowPolicy = ConsumerTooSlowPolicy_WAIT_FOR_CONSUMER;
	port->publisher = iox_pub_init(&port->publisher_storage, "tenon-bench", link->name,
				       "messages", &options);
	while (!iox_pub_has_subscribers(port->publisher)) {
		if (!peer_is_patient(begin_ns))
			return -ETIMEDOUT;
	}
	return 0;
}

static int attach_subscriber(struct link *link, struct port *port)
{
	uint32_t depth = link->shape->depth;
	iox_sub_options_t options;

	iox_sub_options_init(&options);
	options.queueCapacity = depth < QUEUE_MAX ? depth : QUEUE_MAX;
	options.queueFullPolicy = QueueFullPolicy_BLOCK_PRODUCER;
	port->subscriber = iox_sub_init(&port->subscriber_storage, "tenon-bench", link->name,
					"messages", &options);
	if (link->shape->wait == WAIT_POLL)
		return 0;
	port->wait_set = iox_ws_init(&port->wait_set_storage);
	return iox_ws_attach_subscriber_state(port->wait_set, port->subscriber,
					      SubscriberState_HAS_DATA, 0,
					      NULL) == WaitSetResult_SUCCESS
		       ? 0
		       : -EIO;
}

static int attach(struct link *link, enum end end)
{
	struct port *port = &ports[port_count];

	init_runtime(link);
	port_count++;
	link->handle = port;
	return end == END_SEND ? attach_publisher(link, port) : attach_subscriber(link, port);
}

/* The runtime says good-bye to the daemon in a destructor that only exit() calls. */
static void leave(void)
{
	for (uint32_t i = 0; i < port_count; i++) {
		if (ports[i].wait_set)
			iox_ws_deinit(ports[i].wait_set);
		if (ports[i].subscriber)
			iox_sub_deinit(ports[i].subscriber);
		if (ports[i].publisher)
			iox_pub_deinit(ports[i].publisher);
	}
	exit(0);
}

ALWAYS_INLINE int iceoryx_loan(struct link *link, size_t bytes, void **ret_data)
{
	struct port *port = link->handle;
	enum iox_AllocationResult result = iox_pub_loan_chunk(port->publisher, &port->loaned,
							      (uint32_t)bytes);

	if (result == AllocationResult_RUNNING_OUT_OF_CHUNKS)
		return -ENOMEM;
	*ret_data = port->loaned;
	return result == AllocationResult_SUCCESS ? 0 : -EIO;
}

ALWAYS_INLINE int iceoryx_commit(struct link *link, size_t bytes)
{
	struct port *port = link->handle;

	(void)bytes;
	iox_pub_publish_chunk(port->publisher, port->loaned);
	return 0;
}

ALWAYS_INLINE int iceoryx_take(struct link *link, const void **ret_data)
{
	struct port *port = link->handle;

	for (;;) {
		enum iox_ChunkReceiveResult result = iox_sub_take_chunk(port->subscriber,
									&port->taken);
		iox_notification_info_t notification;
		uint64_t missed;

		if (result == ChunkReceiveResult_SUCCESS)
			break;
		if (result != ChunkReceiveResult_NO_CHUNK_AVAILABLE)
			return -EIO;
		if (!port->wait_set)
			return -EAGAIN;
		iox_ws_wait(port->wait_set, &notification, 1, &missed);
	}
	*ret_data = port->taken;
	return 0;
}

ALWAYS_INLINE int iceoryx_done(struct link *link)
{
	struct port *port = link->handle;

	iox_sub_release_chunk(port->subscriber, port->taken);
	return 0;
}

ALWAYS_INLINE int iceoryx_send(struct link *link, void *message, size_t bytes, uint64_t key)
{
	void *place;
	int result = iceoryx_loan(link, bytes, &place);

	(void)key;
	if (result < 0)
		return result;
	copy_message(place, message, bytes);
	return iceoryx_commit(link, bytes);
}

ALWAYS_INLINE int iceoryx_receive(struct link *link, void *buffer, size_t bytes)
{
	const void *place;
	int result = iceoryx_take(link, &place);

	if (result < 0)
		return result;
	copy_message(buffer, place, bytes);
	return iceoryx_done(link);
}

static const struct transport_calls iceoryx_calls = {.ends_each = true,
						     .send = iceoryx_send,
						     .receive = iceoryx_receive,
						     .loan = iceoryx_loan,
						     .commit = iceoryx_commit,
						     .take = iceoryx_take,
						     .done = iceoryx_done};
TRANSPORT_LOOPS(iceoryx)

const struct transport transport_iceoryx = {
	.name = "iceoryx",
	.title = "iceoryx",
	.settings = "iceoryx " BENCH_ICEORYX_VERSION ", WAIT_FOR_CONSUMER and BLOCK_PRODUCER, "
		    "WaitSet unless polling, a queue of the depth, 256 at most; RouDi with chunks "
		    "for each size",
	.refuse = refuse,
	.create = create,
	.attach = attach,
	.destroy = destroy,
	.lingers = true,
	.leave = leave,
	.stop = roudi_stop,
	.loops = &iceoryx_loops};
