// SPDX-License-Identifier: Apache-2.0
/*
 * What a blocked process costs while nothing happens to it.  It is left to settle, then watched from
 * outside for a second: how often it was switched to or away from, as /proc counts it, and the
 * processor time it used, as its clock says to the nanosecond.  "timer-100ms" is a process that does
 * wake, ten times a second: it shows that the watching works.
 */

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "loops.h"
#include "probe.h"

#define WATCH_SECONDS 1.0
#define SETTLE_SECONDS 0.1
#define TYPE_QUEUED 1u
#define TYPE_WANTED 2u

struct blocked {
	struct tenon_queue_options options;
	uint32_t messages; /* queued before */
	bool lease;	   /* and one of them taken by somebody who stays alive */
	int (*block)(struct tenon_queue *queue);
};

static int block_receiving(struct tenon_queue *queue)
{
	char message[64];

	return tenon_queue_receive(queue, message, sizeof(message), NULL, NULL);
}

static int block_choosing(struct tenon_queue *queue)
{
	const struct tenon_receive_options options = {
		.size = sizeof(options), .select = TENON_SELECT_EXACTLY, .select_key = TYPE_WANTED};
	char message[64];

	return tenon_queue_receive(queue, message, sizeof(message), &options, NULL);
}

static int block_sending(struct tenon_queue *queue)
{
	return tenon_queue_send(queue, "", 1, NULL);
}

static int block_waiting(struct tenon_queue *queue)
{
	return tenon_queue_wait(queue, TENON_READABLE, TENON_NO_DEADLINE, NULL);
}

static int block_polling(struct tenon_queue *queue)
{
	struct epoll_event event = {.events = EPOLLIN};
	int fd, epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	int result = tenon_queue_readable_fd(queue, &fd);

	if (epoll_fd < 0 || result < 0)
		return result < 0 ? result : -errno;
	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
		return -errno;
	return epoll_wait(epoll_fd, &event, 1, -1);
}

static int block_with_timer(struct tenon_queue *queue)
{
	while (queue)
		probe_sleep(0.1);
	return 0;
}

static uint64_t switches_of(pid_t pid)
{
	unsigned long long number, sum = 0;
	char path[32], line[128];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "voluntary_ctxt_switches: %llu", &number) == 1 ||
		    sscanf(line, "nonvoluntary_ctxt_switches: %llu", &number) == 1)
			sum += number;
	}
	if (file)
		fclose(file);
	return sum;
}

static uint64_t cpu_of(pid_t pid)
{
	struct timespec time = {0};
	clockid_t clock;

	if (clock_getcpuclockid(pid, &clock) == 0)
		clock_gettime(clock, &time);
	return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

/* That may be the machine's fault: the row is tried again. */
static void give_up(struct run *run, const char *why)
{
	run->board->timed_out = true;
	snprintf(run->board->results[0].fault, sizeof(run->board->results[0].fault), "%s", why);
}

static void watch(struct run *run, pid_t pid)
{
	struct process_result *result = &run->board->results[0];
	uint64_t switches, cpu, start;

	probe_sleep(SETTLE_SECONDS);
	if (!probe_is_asleep(pid)) {
		give_up(run, "does not sleep");
		return;
	}
	switches = switches_of(pid);
	cpu = cpu_of(pid);
	start = ticks_now();
	probe_sleep(WATCH_SECONDS);
	result->cpu_window_ticks = ticks_now() - start;
	result->cpu_ns = cpu_of(pid) - cpu;
	run->board->figure = (double)(switches_of(pid) - switches) / WATCH_SECONDS;
	if (!probe_is_asleep(pid))
		give_up(run, "did not stay asleep");
}

/* Messages that do not end the blocking; and a lease, which this process holds meanwhile. */
static int prepare(struct run *run, struct tenon_queue *queue, const struct blocked *blocked)
{
	const struct tenon_send_options options = {.size = sizeof(options), .key = TYPE_QUEUED};
	struct tenon_lease lease;
	int result = 0;

	for (uint32_t i = 0; i < blocked->messages && result == 0; i++)
		result = tenon_queue_send(queue, "", 1, &options);
	if (blocked->lease && result == 0)
		result = tenon_queue_take(queue, NULL, &lease);
	return probe_check(run, "prepare", result);
}

static void measure(struct run *run, const struct probe *probe)
{
	const struct blocked *blocked = probe->what;
	struct tenon_queue *queue, *own;
	char name[PROBE_NAME_BYTES];
	pid_t pid;
	int result;

	if (probe_queue(run, blocked->options, name, &queue) < 0)
		return;
	pid = prepare(run, queue, blocked) < 0 ? -1 : probe_fork(run, 1);
	if (pid == 0) {
		result = tenon_queue_open(NULL, name, 0, NULL, &own);
		if (result == 0)
			result = blocked->block(own);
		loop_fault(run, "did not block", result);
		_exit(1);
	}
	if (pid > 0)
		watch(run, pid);
	probe_kill(pid);
	tenon_queue_close(queue);
	tenon_queue_remove(NULL, name);
}

#define QUEUE(order_, capacity_)                                                    \
	{                                                                           \
		.order = (order_), .capacity = (capacity_), .max_message_bytes = 64 \
	}

static const struct blocked timer = {QUEUE(TENON_QUEUE_FIFO, 4), 0, false, block_with_timer};
static const struct blocked receive = {QUEUE(TENON_QUEUE_FIFO, 4), 0, false, block_receiving};
static const struct blocked priority = {QUEUE(TENON_QUEUE_PRIORITY, 4), 0, false, block_receiving};
static const struct blocked typed = {QUEUE(TENON_QUEUE_TYPED, 4), 2, false, block_choosing};
static const struct blocked sending = {QUEUE(TENON_QUEUE_FIFO, 4), 4, false, block_sending};
static const struct blocked rendezvous = {QUEUE(TENON_QUEUE_FIFO, TENON_QUEUE_RENDEZVOUS), 0, false,
					  block_sending};
static const struct blocked polling = {QUEUE(TENON_QUEUE_FIFO, 4), 0, false, block_polling};
static const struct blocked waiting = {QUEUE(TENON_QUEUE_FIFO, 4), 0, false, block_waiting};
static const struct blocked leased = {QUEUE(TENON_QUEUE_FIFO, 4), 1, true, block_receiving};

const struct probe probes_idle[] = {
	{"timer-100ms", "control: sleeps 100 ms at a time", UNIT_WAKES, measure, &timer},
	{"tenon-receive", "Tenon FIFO queue, in receive", UNIT_WAKES, measure, &receive},
	{"tenon-receive-priority", "Tenon priority queue, in receive", UNIT_WAKES, measure,
	 &priority},
	{"tenon-receive-typed", "Tenon typed queue, other types queued", UNIT_WAKES, measure,
	 &typed},
	{"tenon-send", "Tenon FIFO queue, full, in send", UNIT_WAKES, measure, &sending},
	{"tenon-send-rendezvous", "Tenon rendezvous queue, in send", UNIT_WAKES, measure,
	 &rendezvous},
	{"tenon-epoll", "Tenon FIFO queue, in epoll_wait", UNIT_WAKES, measure, &polling},
	{"tenon-wait", "Tenon FIFO queue, in wait", UNIT_WAKES, measure, &waiting},
	{"tenon-receive-leased", "Tenon FIFO queue, in receive, while another holds a lease",
	 UNIT_WAKES, measure, &leased},
	{.name = NULL},
};
