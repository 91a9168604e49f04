/* SPDX-License-Identifier: Apache-2.0 */

/*
 * How many messages a second go from one process to another: the kernel's POSIX message queue, and
 * Tenon's priority and FIFO queues, with the same messages (paths of the job), the same depth, one
 * blocking call for each message, and the receiver checking every byte.
 */

#include "demo.h"

#include <errno.h>
#include <mqueue.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <tenon/queue.h>
#include <unistd.h>

#define RUN_NS (250 * NS_PER_MS)
#define RUNS 3u
#define CLOCK_EVERY 64u
#define RATE_QUEUE "/rate"

enum kind { KIND_KERNEL, KIND_PRIORITY, KIND_FIFO };

static const char *const kind_names[RATE_QUEUES] = {
	[KIND_KERNEL] = "the kernel's POSIX queue",
	[KIND_PRIORITY] = "Tenon, priority queue",
	[KIND_FIFO] = "Tenon, FIFO queue",
};

/* What the kernel allows to everybody, and what Tenon takes by default. */
static const uint64_t depths[RATE_DEPTHS] = {10, TENON_QUEUE_DEFAULT_CAPACITY};

struct port {
	const struct demo *demo;
	enum kind kind;
	mqd_t mq;
	struct tenon_queue *queue;
};

static int port_attach(struct port *port)
{
	if (port->kind == KIND_KERNEL)
		return 0;
	return tenon_queue_open(port->demo->names, RATE_QUEUE, 0, NULL, &port->queue);
}

static int port_send(struct port *port, const struct sample *sample)
{
	if (port->kind != KIND_KERNEL)
		return tenon_queue_send(port->queue, sample->data, sample->bytes, NULL);
	return mq_send(port->mq, sample->data, sample->bytes, 0) ? -errno : 0;
}

static int port_receive(struct port *port, char *buffer, size_t capacity, size_t *ret_bytes)
{
	struct tenon_message message;
	ssize_t got;
	int error;

	if (port->kind != KIND_KERNEL) {
		error = tenon_queue_receive(port->queue, buffer, capacity, NULL, &message);
		if (!error)
			*ret_bytes = message.bytes;
		return error;
	}
	got = mq_receive(port->mq, buffer, capacity, NULL);
	if (got < 0)
		return -errno;
	*ret_bytes = (size_t)got;
	return 0;
}

static int run_sender(const void *context)
{
	struct port port = *(const struct port *)context;
	const struct sample end = {.data = "", .bytes = 0};
	int64_t until = now_ns() + RUN_NS;
	uint64_t i;
	int error;

	error = port_attach(&port);
	for (i = 0; !error; i++) {
		if (i % CLOCK_EVERY == 0 && now_ns() >= until)
			break;
		error = port_send(&port, &port.demo->samples[i % port.demo->sample_count]);
	}
	if (!error)
		error = port_send(&port, &end);
	if (error)
		complain_error("rates: sending", -error);
	return error ? 1 : 0;
}

static int run_receiver(const void *context)
{
	struct port port = *(const struct port *)context;
	const struct demo *demo = port.demo;
	static char buffer[SAMPLE_BYTES_MAX];
	const struct sample *sample;
	int64_t begin = 0;
	size_t bytes = 0;
	uint64_t i;
	int error;

	error = port_attach(&port);
	for (i = 0; !error; i++) {
		error = port_receive(&port, buffer, demo->sample_bytes_max, &bytes);
		if (error || bytes == 0)
			break;
		if (i == 0)
			begin = now_ns();
		sample = &demo->samples[i % demo->sample_count];
		if (bytes != sample->bytes || memcmp(buffer, sample->data, bytes))
			error = -EBADMSG;
	}
	if (error) {
		complain_error("rates: receiving", -error);
		return 1;
	}
	board_write(&demo->board->rate_messages, i);
	board_write(&demo->board->rate_ns, (uint64_t)(now_ns() - begin));
	return 0;
}

/* Waits for both; if one fails, the other may wait for ever, and is killed. */
static int wait_both(void)
{
	uint32_t left = 2;
	int status;

	while (left > 0) {
		if (!reap(&status)) {
			if (!wait_event(now_ns() + NS_PER_S))
				break;
		} else if (status != 0) {
			break;
		} else {
			left--;
		}
	}
	if (left > 0)
		end_children();
	return left > 0 ? 1 : 0;
}

/* 1: failed, or told to end. */
static int measure(struct port *port, double *ret_rate)
{
	struct board *board = port->demo->board;

	if (spawn(run_receiver, port, false) < 0 || spawn(run_sender, port, false) < 0 ||
	    wait_both())
		return 1;
	*ret_rate = (double)board->rate_messages * NS_PER_S / (double)board->rate_ns;
	return 0;
}

/* The name is gone as soon as the queue is open: whatever happens, nothing stays behind. */
static mqd_t open_kernel_queue(const struct demo *demo, uint64_t depth, struct rate *rate)
{
	struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};
	struct mq_attr attributes = {
		.mq_maxmsg = (long)depth,
		.mq_msgsize = (long)demo->sample_bytes_max,
	};
	char name[64];
	mqd_t mq;

	/* Where we may not, the limit stays as it is, and mq_open tells. */
	(void)setrlimit(RLIMIT_MSGQUEUE, &limit);
	snprintf(name, sizeof(name), "/tenon-demo-%d", (int)getpid());
	mq = mq_open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600, &attributes);
	if (mq != (mqd_t)-1)
		mq_unlink(name);
	else if (errno == EINVAL || errno == EMFILE)
		snprintf(rate->skipped, sizeof(rate->skipped),
			 "skipped: the limits fs.mqueue.* or RLIMIT_MSGQUEUE forbid it");
	else
		snprintf(rate->skipped, sizeof(rate->skipped),
			 "skipped: mq_open is not available here: %s", strerror(errno));
	return mq;
}

static int run_kind(struct demo *demo, enum kind kind, uint64_t depth, struct rate *rate,
		    double *ret_rate)
{
	struct port port = {.demo = demo, .kind = kind, .mq = (mqd_t)-1};
	struct tenon_queue_options options = {
		.size = sizeof(options),
		.order = kind == KIND_PRIORITY ? TENON_QUEUE_PRIORITY : TENON_QUEUE_FIFO,
		.capacity = depth,
		.max_message_bytes = demo->sample_bytes_max,
		.mode = 0600,
	};
	struct tenon_queue *queue;
	int error;

	if (kind == KIND_KERNEL) {
		port.mq = open_kernel_queue(demo, depth, rate);
		if (port.mq == (mqd_t)-1)
			return 0;
		error = measure(&port, ret_rate);
		mq_close(port.mq);
		return error;
	}
	error = tenon_queue_open(demo->names, RATE_QUEUE,
				 TENON_QUEUE_CREATE | TENON_QUEUE_EXCLUSIVE, &options, &queue);
	if (error) {
		complain_error("rates: making the queue", -error);
		return 1;
	}
	tenon_queue_close(queue);
	error = measure(&port, ret_rate);
	(void)tenon_queue_remove(demo->names, RATE_QUEUE);
	return error;
}

static double median(double rates[RUNS])
{
	double low = rates[0], high = rates[0], sum = 0;
	uint32_t i;

	for (i = 0; i < RUNS; i++) {
		low = rates[i] < low ? rates[i] : low;
		high = rates[i] > high ? rates[i] : high;
		sum += rates[i];
	}
	return sum - low - high;
}
_Static_assert(RUNS == 3, "the middle of three is what is left without the ends");

int rates_run(struct demo *demo, struct rate rates[RATE_DEPTHS][RATE_QUEUES])
{
	double measured[RATE_DEPTHS][RATE_QUEUES][RUNS] = {0};
	uint32_t depth, kind, run;

	/* Interleaved, so that whatever else the machine does meets all of them. */
	for (run = 0; run < RUNS; run++)
		for (depth = 0; depth < RATE_DEPTHS; depth++)
			for (kind = 0; kind < RATE_QUEUES; kind++) {
				report_live("run %u of %u: %s, %s messages deep", run + 1, RUNS,
					    kind_names[kind], with_commas(depths[depth]));
				if (run_kind(demo, kind, depths[depth], &rates[depth][kind],
					     &measured[depth][kind][run])) {
					report_live_end();
					return 1;
				}
			}
	report_live_end();
	for (depth = 0; depth < RATE_DEPTHS; depth++)
		for (kind = 0; kind < RATE_QUEUES; kind++) {
			rates[depth][kind].name = kind_names[kind];
			rates[depth][kind].depth = depths[depth];
			rates[depth][kind].messages_per_second = median(measured[depth][kind]);
		}
	return 0;
}
