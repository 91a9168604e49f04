// SPDX-License-Identifier: Apache-2.0
/*
 * POSIX message queues: keys are priorities.
 *
 * One program, compiled several times: as it is, for the kernel's; with the headers of tenon/compat in front of the
 * system's, for ours; once more for a program that says that it does not poll, which is what the preload library finds
 * out by itself; and with that library's calls, as far as it lies beside this program.
 */

#include <fcntl.h>
#include <mqueue.h>
#include <unistd.h>

#include "loops.h"
#include "transports.h"

#if defined(BENCH_PRELOADED)
#include "preload.h"
#define TRANSPORT transport_posix_preload
#define NAME "posix-preload"
#define TITLE "POSIX mq, calls of the preload library"
#define HOW 0

/* What a program has whose calls the dynamic linker has led there: one jump through a table. */
static mqd_t (*open_call)(const char *name, int flags, ...);
static int (*close_call)(mqd_t queue), (*unlink_call)(const char *name);
static int (*send_call)(mqd_t queue, const char *data, size_t bytes, unsigned priority);
static ssize_t (*receive_call)(mqd_t queue, char *buffer, size_t bytes, unsigned *ret_priority);

static bool has_calls(void)
{
	if (open_call)
		return true;
	*(void **)&close_call = preload_find("mq_close");
	*(void **)&unlink_call = preload_find("mq_unlink");
	*(void **)&send_call = preload_find("mq_send");
	*(void **)&receive_call = preload_find("mq_receive");
	if (close_call && unlink_call && send_call && receive_call)
		*(void **)&open_call = preload_find("mq_open");
	return open_call != NULL;
}

#define mq_open open_call
#define mq_close close_call
#define mq_unlink unlink_call
#define mq_send send_call
#define mq_receive receive_call
#elif !defined(TENON_COMPAT_MQUEUE_H)
#define TRANSPORT transport_posix_mq
#define NAME "posix-mq"
#define TITLE "POSIX mq"
#define HOW 0
#elif !defined(BENCH_UNPOLLED)
#define TRANSPORT transport_posix_face
#define NAME "posix-face"
#define TITLE "POSIX mq, compiled for Tenon"
#define HOW 0
#else
#define TRANSPORT transport_posix_face_unpolled
#define NAME "posix-face-unpolled"
#define TITLE "POSIX mq, compiled for Tenon, never polled"
#define HOW TENON_MQ_UNPOLLED
#endif

static const char *refuse(const struct shape *shape)
{
	if (shape->method != METHOD_COPY)
		return "one at a time, copied";
#ifdef BENCH_PRELOADED
	if (shape->wait == WAIT_EPOLL)
		return "needs all calls of the program";
	if (!has_calls())
		return PRELOAD_MISSING;
#endif
	if (HOW && shape->wait == WAIT_EPOLL)
		return "is not polled";
	if (machine_mq_depth(shape->bytes, 1) == 0)
		return "RLIMIT_MSGQUEUE or fs.mqueue.msgsize_max, and no permission to raise it";
	return NULL;
}

/* The name is removed at once: the descriptor, which is inherited, keeps the queue. */
static int create(struct link *link)
{
	const struct shape *shape = link->shape;
	struct mq_attr attributes = {.mq_maxmsg = machine_mq_depth(shape->bytes, shape->depth),
				     .mq_msgsize = shape->bytes};
	int flags = HOW | (shape->wait == WAIT_BLOCK ? 0 : O_NONBLOCK);
	mqd_t queue;

	snprintf(link->name, sizeof(link->name), "/tenon-bench-%d", (int)getpid());
	queue = mq_open(link->name, O_CREAT | O_EXCL | O_RDWR | flags, 0600, &attributes);
	if (queue < 0)
		return -errno;
	mq_unlink(link->name);
	link->read_fd = queue;
	return 0;
}

static int readable_fd(struct link *link)
{
	return link->read_fd;
}

static void destroy(struct link *link)
{
	if (link->read_fd >= 0)
		mq_close(link->read_fd);
}

ALWAYS_INLINE int posix_mq_send(struct link *link, void *message, size_t bytes, uint64_t key)
{
	return mq_send(link->read_fd, message, bytes, (unsigned int)key) < 0 ? -errno : 0;
}

ALWAYS_INLINE int posix_mq_receive(struct link *link, void *buffer, size_t bytes)
{
	return mq_receive(link->read_fd, buffer, bytes, NULL) < 0 ? -errno : 0;
}

static const struct transport_calls posix_mq_calls = {.send = posix_mq_send,
						      .receive = posix_mq_receive};
TRANSPORT_LOOPS(posix_mq)

const struct transport TRANSPORT = {.name = NAME,
				    .title = TITLE,
				    .refuse = refuse,
				    .create = create,
				    .readable_fd = readable_fd,
				    .destroy = destroy,
				    .loops = &posix_mq_loops};
