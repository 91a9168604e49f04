// SPDX-License-Identifier: Apache-2.0
/*
 * Whether an operation costs more where there is much: messages in the queue, objects that the process has open, processes
 * that have the queue open.  A message is sent and one received, again and again, by a process that is alone with it; of eight
 * priorities or types in turn, where the queue has those.  The figure is the time of such a pair.
 */

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "loops.h"
#include "probe.h"

#define BYTES 64u
#define KEYS 8u
#define DESCRIPTORS_AN_OBJECT 1u
#define SPARE_DESCRIPTORS 64u
#define PAIRS_TIMED 64u /* one look at the clock before them, one behind */

struct growth {
	uint32_t order;
	uint32_t messages, objects, processes; /* that are there besides */
};

struct grown {
	const struct growth *growth;
	struct tenon_queue *queue, **others;
	pid_t *children;
	uint32_t object_count, child_count;
	char name[PROBE_NAME_BYTES];
};

static struct tenon_queue_options options_of(const struct growth *growth)
{
	return (struct tenon_queue_options){.order = growth->order,
					    .capacity = growth->messages + KEYS,
					    .max_message_bytes = BYTES,
					    .max_participants = growth->processes + KEYS};
}

static int send(struct tenon_queue *queue, uint32_t turn, bool has_keys)
{
	struct tenon_send_options options = {.size = sizeof(options)};
	char message[BYTES] = "";

	if (has_keys)
		options.key = turn % KEYS;
	return tenon_queue_send(queue, message, sizeof(message), &options);
}

/* Of typed messages the oldest of the kind that has just come. */
static int receive(struct tenon_queue *queue, uint32_t turn, uint32_t order)
{
	struct tenon_receive_options options = {.size = sizeof(options)};
	char message[BYTES];

	if (order == TENON_QUEUE_TYPED) {
		options.select = TENON_SELECT_EXACTLY;
		options.select_key = turn % KEYS;
	}
	return tenon_queue_receive(queue, message, sizeof(message), &options, NULL);
}

static int fill(struct grown *grown)
{
	const struct growth *growth = grown->growth;
	int error = 0;

	for (uint32_t i = 0; i < growth->messages && error == 0; i++)
		error = send(grown->queue, i, growth->order != TENON_QUEUE_FIFO);
	return error;
}

/* How many of something one may have; many more than a shell lets one have by default. */
static rlim_t raise_limit(int resource)
{
	struct rlimit limit;

	if (getrlimit(resource, &limit) != 0)
		return 0;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(resource, &limit);
	return limit.rlim_max;
}

static int open_others(struct run *run, struct grown *grown)
{
	const struct tenon_queue_options options = {
		.capacity = KEYS, .max_message_bytes = BYTES, .max_participants = KEYS};
	char name[PROBE_NAME_BYTES];

	if (grown->growth->objects == 0)
		return 0;
	grown->others = calloc(grown->growth->objects, sizeof(struct tenon_queue *));
	if (!grown->others)
		return probe_check(run, "memory", -ENOMEM);
	while (grown->object_count < grown->growth->objects) {
		if (probe_queue(run, options, name, &grown->others[grown->object_count]) < 0)
			return -1;
		grown->object_count++;
		if (probe_check(run, "remove", tenon_queue_remove(NULL, name)) < 0)
			return -1;
	}
	return 0;
}

/* Has it open, and sleeps. */
static __attribute__((noreturn)) void stay_attached(const char *name, int ready_fd)
{
	struct tenon_queue *queue;
	int error = tenon_queue_open(NULL, name, 0, NULL, &queue);

	if (error == 0)
		error = send(queue, 0, false);
	if (error == 0)
		error = receive(queue, 0, TENON_QUEUE_FIFO);
	if (error == 0 && write(ready_fd, "", 1) == 1)
		for (;;)
			pause();
	_exit(1);
}

static int attach_one(struct run *run, struct grown *grown)
{
	int ready[2];
	char byte;
	pid_t pid;
	bool is_there;

	if (pipe(ready) < 0)
		return probe_check(run, "pipe", -errno);
	pid = probe_fork(run, 1);
	if (pid == 0)
		stay_attached(grown->name, ready[1]);
	close(ready[1]);
	is_there = pid > 0 && read(ready[0], &byte, 1) == 1;
	close(ready[0]);
	if (pid < 0)
		return -1;
	grown->children[grown->child_count++] = pid;
	return is_there ? 0 : probe_check(run, "open elsewhere", -EIO);
}

static int attach_others(struct run *run, struct grown *grown)
{
	uint32_t count = grown->growth->processes;

	grown->children = calloc(count + 1, sizeof(pid_t));
	if (!grown->children)
		return probe_check(run, "memory", -ENOMEM);
	while (grown->child_count < count)
		if (attach_one(run, grown) < 0)
			return -1;
	return 0;
}

static int grow(struct run *run, struct grown *grown)
{
	if (probe_queue(run, options_of(grown->growth), grown->name, &grown->queue) < 0 ||
	    open_others(run, grown) < 0 || attach_others(run, grown) < 0)
		return -1;
	return probe_check(run, "fill", fill(grown));
}

static void shrink(struct grown *grown)
{
	for (uint32_t i = 0; i < grown->child_count; i++)
		probe_kill(grown->children[i]);
	for (uint32_t i = 0; i < grown->object_count; i++)
		tenon_queue_close(grown->others[i]);
	free(grown->children);
	free(grown->others);
	tenon_queue_close(grown->queue);
	tenon_queue_remove(NULL, grown->name);
}

static int pass(struct grown *grown)
{
	uint32_t order = grown->growth->order;
	int error = 0;

	for (uint32_t i = 0; i < PAIRS_TIMED && error == 0; i++) {
		error = send(grown->queue, i, order != TENON_QUEUE_FIFO);
		if (error == 0)
			error = receive(grown->queue, i, order);
	}
	return error;
}

static void measure(struct run *run, const struct probe *probe)
{
	struct process_result *result = &run->board->results[0];
	struct grown grown = {.growth = probe->what};
	/* As long from its own start, which may be late: growing takes longer than the run. */
	uint64_t window_ticks = run->board->end_ticks - run->board->warm_ticks;
	uint64_t cpu, start, now;
	uint32_t rounds = 0;
	int error = 0;

	if (grow(run, &grown) == 0) {
		/* What is amortized shows in the mean alone: so it is no median of pairs. */
		for (uint32_t i = 0; i < 16 && error == 0; i++)
			error = pass(&grown);
		cpu = process_cpu_ns();
		start = now = ticks_now();
		while (error == 0 && now - start < window_ticks) {
			error = pass(&grown);
			rounds++;
			now = ticks_now();
		}
		result->cpu_ns = process_cpu_ns() - cpu;
		result->cpu_window_ticks = now - start;
		if (probe_check(run, "pair", error) == 0)
			run->board->figure = (double)(now - start) * machine_ns_per_tick() /
					     ((double)rounds * PAIRS_TIMED);
	}
	shrink(&grown);
}

/* RLIM_INFINITY is more than any. */
const char *probe_refusal(const struct probe *probe)
{
	const struct growth *growth = probe->what;

	if (probe->measure != measure)
		return NULL;
	if (growth->objects > 0 &&
	    raise_limit(RLIMIT_NOFILE) <
		    (rlim_t)growth->objects * DESCRIPTORS_AN_OBJECT + SPARE_DESCRIPTORS)
		return "RLIMIT_NOFILE, and no permission to raise it";
	if (growth->processes > 0 && raise_limit(RLIMIT_NPROC) < growth->processes)
		return "RLIMIT_NPROC, and no permission to raise it";
	return NULL;
}

#define ORDER(word, title_, order_)                                             \
	{word "-1", title_ ", 1 queued", UNIT_NS, measure,                      \
	 &(const struct growth){order_, 1, 0, 0}},                              \
		{word "-1000", title_ ", 1,000 queued", UNIT_NS, measure,       \
		 &(const struct growth){order_, 1000, 0, 0}},                   \
		{word "-100000", title_ ", 100,000 queued", UNIT_NS, measure,   \
		 &(const struct growth){order_, 100000, 0, 0}},                 \
	{                                                                       \
		word "-1000000", title_ ", 1,000,000 queued", UNIT_NS, measure, \
			&(const struct growth)                                  \
		{                                                               \
			order_, 1000000, 0, 0                                   \
		}                                                               \
	}
#define BESIDE(word, title_, objects_, processes_)                     \
	{                                                              \
		word, title_, UNIT_NS, measure, &(const struct growth) \
		{                                                      \
			TENON_QUEUE_FIFO, 1, objects_, processes_      \
		}                                                      \
	}

const struct probe probes_growth[] = {
	ORDER("fifo", "FIFO", TENON_QUEUE_FIFO),
	ORDER("priority", "eight priorities", TENON_QUEUE_PRIORITY),
	ORDER("typed", "eight types", TENON_QUEUE_TYPED),
	BESIDE("objects-1", "1 queue open", 0, 0),
	BESIDE("objects-100", "100 queues open", 99, 0),
	BESIDE("objects-1000", "1,000 queues open", 999, 0),
	BESIDE("objects-10000", "10,000 queues open", 9999, 0),
	BESIDE("processes-1", "1 process attached", 0, 0),
	BESIDE("processes-16", "16 processes attached", 0, 15),
	BESIDE("processes-256", "256 processes attached", 0, 255),
	BESIDE("processes-1000", "1,000 processes attached", 0, 999),
	{.name = NULL},
};
