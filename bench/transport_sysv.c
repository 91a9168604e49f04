// SPDX-License-Identifier: Apache-2.0
/*
 * System V message queues: keys are types, less one.
 *
 * One program, compiled several times: as it is, for the kernel's; with the headers of tenon/compat in front of the
 * system's, for ours; and with the calls of the preload library, as far as it lies beside this program.
 */

#include <sys/ipc.h>
#include <sys/msg.h>

#include "loops.h"
#include "transports.h"

#if defined(BENCH_PRELOADED)
#include "preload.h"
#define TRANSPORT transport_sysv_preload
#define NAME "sysv-preload"
#define TITLE "System V queue, calls of the preload library"

static int (*get_call)(key_t key, int flags);
static int (*send_call)(int queue, const void *message, size_t bytes, int flags);
static ssize_t (*receive_call)(int queue, void *buffer, size_t bytes, long type, int flags);
static int (*control_call)(int queue, int command, struct msqid_ds *status);

static bool has_calls(void)
{
	if (get_call)
		return true;
	*(void **)&send_call = preload_find("msgsnd");
	*(void **)&receive_call = preload_find("msgrcv");
	*(void **)&control_call = preload_find("msgctl");
	if (send_call && receive_call && control_call)
		*(void **)&get_call = preload_find("msgget");
	return get_call != NULL;
}

#define msgget get_call
#define msgsnd send_call
#define msgrcv receive_call
#define msgctl control_call
#elif !defined(TENON_COMPAT_SYS_MSG_H)
#define TRANSPORT transport_sysv
#define NAME "sysv"
#define TITLE "System V queue"
#else
#define TRANSPORT transport_sysv_face
#define NAME "sysv-face"
#define TITLE "System V queue, compiled for Tenon"
#endif

static const char *refuse(const struct shape *shape)
{
	if (shape->method != METHOD_COPY)
		return "one at a time, copied";
	if (shape->wait == WAIT_EPOLL)
		return "has no descriptor";
#ifdef BENCH_PRELOADED
	if (!has_calls())
		return PRELOAD_MISSING;
#endif
	if (shape->bytes > machine_msg_max() || shape->bytes > machine_msg_total())
		return "kernel.msgmax, and no permission to raise it";
	return NULL;
}

static int create(struct link *link)
{
	uint64_t wanted = (uint64_t)link->shape->bytes * link->shape->depth;
	struct msqid_ds status;
	int queue = msgget(IPC_PRIVATE, 0600);

	if (queue < 0)
		return -errno;
	link->read_fd = queue;
	if (msgctl(queue, IPC_STAT, &status) == 0) {
		if (wanted > machine_msg_total())
			wanted = machine_msg_total();
		status.msg_qbytes = wanted;
		(void)msgctl(queue, IPC_SET, &status);
	}
	return 0;
}

static void destroy(struct link *link)
{
	if (link->read_fd >= 0)
		msgctl(link->read_fd, IPC_RMID, NULL);
}

/* The type goes into the room in front of the message, so that nothing is copied for it. */
ALWAYS_INLINE int sysv_send(struct link *link, void *message, size_t bytes, uint64_t key)
{
	long *type = (long *)((char *)message - sizeof(long));
	int flags = link->shape->wait == WAIT_POLL ? IPC_NOWAIT : 0;

	*type = (long)key + 1;
	return msgsnd(link->read_fd, type, bytes, flags) < 0 ? -errno : 0;
}

ALWAYS_INLINE int sysv_receive(struct link *link, void *buffer, size_t bytes)
{
	int flags = link->shape->wait == WAIT_POLL ? IPC_NOWAIT : 0;

	if (msgrcv(link->read_fd, (char *)buffer - sizeof(long), bytes, 0, flags) >= 0)
		return 0;
	return errno == ENOMSG ? -EAGAIN : -errno;
}

static const struct transport_calls sysv_calls = {.send = sysv_send, .receive = sysv_receive};
TRANSPORT_LOOPS(sysv)

const struct transport TRANSPORT = {.name = NAME,
				    .title = TITLE,
				    .refuse = refuse,
				    .create = create,
				    .destroy = destroy,
				    .loops = &sysv_loops};
