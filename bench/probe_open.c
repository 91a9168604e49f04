// SPDX-License-Identifier: Apache-2.0
/*
 * What it costs to open and to make an object.  Each step is timed by itself, over and over, in one
 * process; what belongs to the loop and not to the step stands in `after`.  "map-limit" is what any
 * object in a file cannot do without: open a file on tmpfs, map it, touch a page.
 */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <mqueue.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <unistd.h>

#include <tenon/once.h>
#include <tenon/region.h>

#include "loops.h"
#include "probe.h"

#define MAP_BYTES 65536u
#define POSIX_NAME "/tenon-bench-probe-%d"
#define TIMES_LEAST 20u

struct state {
	char name[PATH_MAX];
	struct tenon_queue *queue;
	struct tenon_region *region;
	struct tenon_once *once;
	void *memory;
	int fd;
};

struct steps {
	int (*before)(struct run *run, struct state *state); /* once */
	int (*timed)(struct state *state);
	int (*after)(struct state *state);
	int (*last)(struct state *state); /* once */
};

static int make_queue(struct run *run, struct state *state)
{
	const struct tenon_queue_options options = {
		.capacity = TENON_QUEUE_DEFAULT_CAPACITY,
		.max_message_bytes = TENON_QUEUE_DEFAULT_MESSAGE_BYTES};

	return probe_queue(run, options, state->name, &state->queue);
}

static int close_queue(struct state *state)
{
	tenon_queue_close(state->queue);
	state->queue = NULL;
	return 0;
}

static int make_and_close_queue(struct run *run, struct state *state)
{
	return make_queue(run, state) < 0 ? -1 : close_queue(state);
}

static int open_queue(struct state *state)
{
	return tenon_queue_open(NULL, state->name, 0, NULL, &state->queue);
}

static int remove_queue(struct state *state)
{
	tenon_queue_close(state->queue);
	return tenon_queue_remove(NULL, state->name);
}

/* What opening puts off, if anything, is paid here. */
static int use_queue(struct state *state)
{
	char message[64] = "";
	int result = open_queue(state);

	if (result == 0)
		result = tenon_queue_send(state->queue, message, sizeof(message), NULL);
	if (result == 0)
		result = tenon_queue_receive(state->queue, message, sizeof(message), NULL, NULL);
	close_queue(state);
	return result;
}

static int name_queue(struct run *run, struct state *state)
{
	(void)run;
	snprintf(state->name, sizeof(state->name), "/probe-%d", (int)getpid());
	return 0;
}

static int create_and_remove_queue(struct state *state)
{
	int result = tenon_queue_open(NULL, state->name, TENON_QUEUE_CREATE | TENON_QUEUE_EXCLUSIVE,
				      NULL, &state->queue);

	if (result == 0)
		result = remove_queue(state);
	state->queue = NULL;
	return result;
}

static int open_posix(struct state *state)
{
	state->fd = mq_open(state->name, O_RDWR);
	return state->fd < 0 ? -errno : 0;
}

static int close_posix(struct state *state)
{
	return mq_close(state->fd) < 0 ? -errno : 0;
}

static int unlink_posix(struct state *state)
{
	return mq_unlink(state->name) < 0 ? -errno : 0;
}

static int create_and_remove_posix(struct state *state)
{
	int result;

	state->fd = mq_open(state->name, O_CREAT | O_EXCL | O_RDWR, 0600, NULL);
	if (state->fd < 0)
		return -errno;
	result = close_posix(state);
	return result < 0 ? result : unlink_posix(state);
}

/* A kernel queue is outside of the program's folder; it bears the program's own number, so that the
 * program finds it when this process was killed. */
static int name_posix(struct run *run, struct state *state)
{
	(void)run;
	snprintf(state->name, sizeof(state->name), POSIX_NAME, (int)getppid());
	return 0;
}

void probe_open_clean(void)
{
	char name[PROBE_NAME_BYTES];

	snprintf(name, sizeof(name), POSIX_NAME, (int)getpid());
	mq_unlink(name);
}

static int make_posix(struct run *run, struct state *state)
{
	name_posix(run, state);
	state->fd = mq_open(state->name, O_CREAT | O_EXCL | O_RDWR, 0600, NULL);
	return probe_check(run, "create", state->fd < 0 ? -errno : close_posix(state));
}

static int create_and_remove_sysv(struct state *state)
{
	int queue = msgget(IPC_PRIVATE, 0600);

	(void)state;
	return queue < 0 || msgctl(queue, IPC_RMID, NULL) < 0 ? -errno : 0;
}

static int make_file(struct run *run, struct state *state)
{
	int fd;

	snprintf(state->name, sizeof(state->name), "%s/probe-%d", getenv("TENON_NAMESPACE"),
		 (int)getpid());
	fd = open(state->name, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0 || (errno = posix_fallocate(fd, 0, MAP_BYTES)) != 0)
		return probe_check(run, "create", -errno);
	return close(fd);
}

static int map_file(struct state *state)
{
	state->fd = open(state->name, O_RDWR | O_CLOEXEC);
	if (state->fd < 0)
		return -errno;
	state->memory = mmap(NULL, MAP_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, state->fd, 0);
	if (state->memory == MAP_FAILED)
		return -errno;
	*(volatile char *)state->memory = 1;
	return 0;
}

static int unmap_file(struct state *state)
{
	munmap(state->memory, MAP_BYTES);
	return close(state->fd);
}

static int unlink_file(struct state *state)
{
	return unlink(state->name) < 0 ? -errno : 0;
}

static int make_region(struct run *run, struct state *state)
{
	const struct tenon_region_options options = {.size = sizeof(options), .bytes = MAP_BYTES};
	struct tenon_region *region;
	int result;

	name_queue(run, state);
	result = tenon_region_open(NULL, state->name, TENON_CREATE | TENON_EXCLUSIVE, &options,
				   &region);
	if (result == 0)
		tenon_region_close(region);
	return probe_check(run, "create", result);
}

static int map_region(struct state *state)
{
	int result = tenon_region_open(NULL, state->name, 0, NULL, &state->region);

	if (result == 0)
		result = tenon_region_map(state->region, TENON_REGION_WRITE, &state->memory, NULL);
	if (result == 0)
		*(volatile char *)state->memory = 1;
	return result;
}

static int unmap_region(struct state *state)
{
	tenon_region_unmap(state->region, state->memory);
	tenon_region_close(state->region);
	return 0;
}

static int remove_region(struct state *state)
{
	return tenon_region_remove(NULL, state->name);
}

/* One that has been done, as it is for all but the first. */
static int make_once(struct run *run, struct state *state)
{
	uint32_t what;
	int result;

	name_queue(run, state);
	result = tenon_once_open(NULL, state->name, TENON_CREATE | TENON_EXCLUSIVE, NULL,
				 &state->once);
	if (result == 0)
		result = tenon_once_begin(state->once, TENON_NO_DEADLINE, &what);
	if (result == 0)
		result = tenon_once_done(state->once);
	return probe_check(run, "create", result);
}

static int ask_once(struct state *state)
{
	uint32_t what;
	int result = tenon_once_begin(state->once, TENON_NO_DEADLINE, &what);

	return result == 0 && what != TENON_ONCE_DONE ? -EPROTO : result;
}

static int remove_once(struct state *state)
{
	tenon_once_close(state->once);
	return tenon_once_remove(NULL, state->name);
}

static int nothing(struct state *state)
{
	(void)state;
	return 0;
}

static void measure(struct run *run, const struct probe *probe)
{
	const struct steps *steps = probe->what;
	struct process_result *result = &run->board->results[0];
	struct histogram *times = &run->board->trips;
	struct state state = {.queue = NULL};
	uint64_t cpu, start;
	int error;

	if (steps->before(run, &state) < 0)
		return;
	error = steps->timed(&state);
	cpu = process_cpu_ns();
	start = ticks_now();
	while (error >= 0 && (ticks_now() < run->board->end_ticks || times->count < TIMES_LEAST)) {
		uint64_t before;

		error = steps->after(&state);
		before = ticks_now();
		if (error >= 0)
			error = steps->timed(&state);
		histogram_add(times, ticks_now() - before);
	}
	result->cpu_ns = process_cpu_ns() - cpu;
	result->cpu_window_ticks = ticks_now() - start;
	if (error >= 0)
		error = steps->after(&state);
	probe_check(run, "step", error);
	probe_check(run, "remove", steps->last(&state));
	run->board->figure = (double)histogram_quantile(times, 0.5) * machine_ns_per_tick();
}

static const struct steps tenon_open = {make_and_close_queue, open_queue, close_queue,
					remove_queue};
static const struct steps tenon_close = {make_queue, close_queue, open_queue, remove_queue};
static const struct steps tenon_use = {make_and_close_queue, use_queue, nothing, remove_queue};
static const struct steps tenon_create = {name_queue, create_and_remove_queue, nothing, nothing};
static const struct steps posix_open = {make_posix, open_posix, close_posix, unlink_posix};
static const struct steps posix_create = {name_posix, create_and_remove_posix, nothing, nothing};
static const struct steps sysv_create = {name_queue, create_and_remove_sysv, nothing, nothing};
static const struct steps region_map = {make_region, map_region, unmap_region, remove_region};
static const struct steps once_done = {make_once, ask_once, nothing, remove_once};
static const struct steps map_limit = {make_file, map_file, unmap_file, unlink_file};

const struct probe probes_open[] = {
	{"map-limit", "limit: open, map and touch a file", UNIT_NS, measure, &map_limit},
	{"tenon-open", "Tenon queue, open", UNIT_NS, measure, &tenon_open},
	{"tenon-close", "Tenon queue, close", UNIT_NS, measure, &tenon_close},
	{"tenon-open-use-close", "Tenon queue, open, send, receive, close", UNIT_NS, measure,
	 &tenon_use},
	{"tenon-create-remove", "Tenon queue, create, close, remove", UNIT_NS, measure,
	 &tenon_create},
	{"tenon-region-map", "Tenon region, open, map and touch", UNIT_NS, measure, &region_map},
	{"tenon-once-done", "Tenon once, asked when it is done", UNIT_NS, measure, &once_done},
	{"posix-mq-open", "POSIX mq, open", UNIT_NS, measure, &posix_open},
	{"posix-mq-create-remove", "POSIX mq, create, close, unlink", UNIT_NS, measure,
	 &posix_create},
	{"sysv-create-remove", "System V queue, get, remove", UNIT_NS, measure, &sysv_create},
	{.name = NULL},
};
