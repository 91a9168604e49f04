/* SPDX-License-Identifier: Apache-2.0 */

#include "mq_calls.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <tenon/posix.h>
#include <tenon/queue.h>

#include "core/clock.h"
#include "scribbled.h"

#define SOON_NS INT64_C(30000)
#define WAIT_NS TNI_SECOND_NS
/* A call with a deadline lasts no longer; far more than any machine needs. */
#define LATE_NS (20 * TNI_SECOND_NS)
#define THREADS_MOST 1u

/* Every call of a queue that is open may say that. */
#define OF_ALL -EBADMSG, -ENOSPC, -EFBIG, -EUSERS, -EIDRM

/* Descriptors that are open. */
static unsigned opened;

static void wrong(const char *what, long figure)
{
	fprintf(stderr, "%s: %ld\n", what, figure);
	_exit(UNDOCUMENTED);
}

static void told(const char *call, long result, const int *named)
{
	int number = -errno;

	if (result >= 0)
		return;
	while (*named != SCRIBBLED_LIST_END && *named != number)
		named++;
	if (*named == SCRIBBLED_LIST_END)
		wrong(call, number);
}

#define CALL(call, ...) told(#call, (call), (const int[]){__VA_ARGS__, SCRIBBLED_LIST_END})

int mq_calls_make(void)
{
	struct tenon_queue_options options = {.size = sizeof(options),
					      .flags = TENON_QUEUE_SPLIT_MODE,
					      .order = TENON_QUEUE_PRIORITY,
					      .mode = 0600,
					      .max_participants = SCRIBBLED_PARTICIPANTS,
					      .capacity = MQ_CALLS_CAPACITY,
					      .max_message_bytes = MQ_CALLS_MESSAGE_BYTES};
	struct tenon_queue *queue;
	int result = tenon_queue_open(NULL, MQ_CALLS_NAME, TENON_CREATE, &options, &queue);

	if (result == 0)
		tenon_queue_close(queue);
	return result;
}

int mq_calls_open(int oflag)
{
	mqd_t queue = tenon_mq_open(MQ_CALLS_NAME, oflag);

	if (queue == (mqd_t)-1)
		return -errno;
	opened++;
	return (int)queue;
}

/* A signal that does nothing to who does not ask for it. */
static struct sigevent notification(void)
{
	struct sigevent how = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGURG};

	return how;
}

int mq_calls_register(mqd_t queue)
{
	struct sigevent how = notification();

	return tenon_mq_notify(queue, &how) == 0 ? 0 : -errno;
}

static struct timespec moment(int64_t from_now_ns)
{
	return tni_timespec(tni_clock_ns(CLOCK_REALTIME) + from_now_ns);
}

static void check_time(const char *call, int64_t begin_ns)
{
	int64_t lasted_ns = tni_clock_ns(CLOCK_MONOTONIC) - begin_ns;

	if (lasted_ns > LATE_NS)
		wrong(call, (long)lasted_ns);
}

static void receive(mqd_t queue, int64_t wait_ns)
{
	int64_t begin_ns = tni_clock_ns(CLOCK_MONOTONIC);
	char message[MQ_CALLS_MESSAGE_BYTES];
	struct timespec until = moment(wait_ns);
	unsigned priority = 0;
	long bytes;

	bytes = wait_ns == 0
			? tenon_mq_receive(queue, message, sizeof(message), &priority)
			: tenon_mq_timedreceive(queue, message, sizeof(message), &priority, &until);
	told("receive", bytes,
	     (const int[]){OF_ALL, -EAGAIN, wait_ns == 0 ? -EAGAIN : -ETIMEDOUT,
			   SCRIBBLED_LIST_END});
	if (bytes > (long)sizeof(message))
		wrong("so many bytes were received", bytes);
	check_time("receive", begin_ns);
}

static void send(mqd_t queue, unsigned priority, int64_t wait_ns)
{
	int64_t begin_ns = tni_clock_ns(CLOCK_MONOTONIC);
	struct timespec until = moment(wait_ns);
	int result;

	result = wait_ns == 0 ? tenon_mq_send(queue, "message", 7, priority)
			      : tenon_mq_timedsend(queue, "message", 7, priority, &until);
	told("send", result,
	     (const int[]){OF_ALL, -EAGAIN, wait_ns == 0 ? -EAGAIN : -ETIMEDOUT,
			   SCRIBBLED_LIST_END});
	check_time("send", begin_ns);
}

static void look(mqd_t queue)
{
	struct pollfd entry = {.fd = (int)queue, .events = POLLIN | POLLOUT};
	int count = poll(&entry, 1, 0);

	if (count < 0 || (entry.revents & ~(POLLIN | POLLOUT)) != 0)
		wrong("poll", count < 0 ? -errno : entry.revents);
}

/* What the process knows by itself does not change. */
static void look_at_attributes(mqd_t queue, long flags)
{
	struct mq_attr attributes = {0};

	CALL(tenon_mq_getattr(queue, &attributes), -EBADMSG);
	if (attributes.mq_maxmsg != MQ_CALLS_CAPACITY ||
	    attributes.mq_msgsize != MQ_CALLS_MESSAGE_BYTES || attributes.mq_flags != flags ||
	    attributes.mq_curmsgs < 0)
		wrong("attributes", attributes.mq_curmsgs);
}

static void set_nonblocking(mqd_t queue, bool is_nonblocking)
{
	struct mq_attr attributes = {.mq_flags = is_nonblocking ? O_NONBLOCK : 0}, before;

	CALL(tenon_mq_setattr(queue, &attributes, &before), -EBADMSG);
	look_at_attributes(queue, attributes.mq_flags);
}

static void be_notified(mqd_t queue)
{
	struct sigevent how = notification(), silent = {.sigev_notify = SIGEV_NONE};

	CALL(tenon_mq_notify(queue, &how), OF_ALL, -EBUSY, -ENOMEM, -EAGAIN);
	CALL(tenon_mq_notify(queue, &silent), OF_ALL, -EBUSY, -ENOMEM, -EAGAIN);
	send(queue, 1, 0);
	CALL(tenon_mq_notify(queue, NULL), OF_ALL);
	CALL(tenon_mq_notify(queue, &silent), OF_ALL, -EBUSY, -ENOMEM, -EAGAIN);
	receive(queue, 0);
}

void mq_calls_all(mqd_t queue)
{
	look(queue);
	set_nonblocking(queue, true);
	receive(queue, 0);
	send(queue, 3, 0);
	look(queue);
	send(queue, 5, 0);
	receive(queue, 0);
	receive(queue, 0);
	set_nonblocking(queue, false);
	receive(queue, SOON_NS);
	for (unsigned i = 0; i <= MQ_CALLS_CAPACITY; i++)
		send(queue, i, SOON_NS);
	look(queue);
	for (unsigned i = 0; i <= MQ_CALLS_CAPACITY; i++)
		receive(queue, SOON_NS);
	set_nonblocking(queue, true);
	be_notified(queue);
	CALL(tenon_mq_notify(queue, NULL), OF_ALL);
	look(queue);
}

void mq_calls_wait(mqd_t queue)
{
	set_nonblocking(queue, false);
	receive(queue, WAIT_NS);
}

/* Threads of this process. */
static unsigned threads(void)
{
	DIR *folder = opendir("/proc/self/task");
	const struct dirent *entry;
	unsigned count = 0;

	if (!folder)
		_exit(IMPOSSIBLE);
	while ((entry = readdir(folder)) != NULL)
		count += entry->d_name[0] != '.';
	closedir(folder);
	return count;
}

void mq_calls_close(mqd_t queue)
{
	CALL(tenon_mq_close(queue), -EBADMSG);
	opened--;
	/* The one that waits for notice has nothing to wait for: who waits here in vain is ended. */
	while (opened == 0 && threads() > THREADS_MOST)
		sched_yield();
}
