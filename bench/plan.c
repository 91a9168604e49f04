// SPDX-License-Identifier: Apache-2.0
/*
 * What is measured: the groups and their rows.
 *
 * A row is written TRANSPORT[:WAIT][+METHOD][@DEPTH][*KEYS], for instance "posix-mq@10" or
 * "tenon-fifo:poll+batch"; what is left out is the group's.  Rivals stand in the same group as what
 * they are compared with, because only a group's rows are measured in turn.
 */

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "machine.h"

#define GROUPS_MAX 40u
#define TENON_EACH "tenon-fifo tenon-priority tenon-typed"
#define TENON_EACH_POLL "tenon-fifo:poll tenon-priority:poll tenon-typed:poll"
#define KERNEL "pipe posix-mq sysv seqpacket"

struct group_plan {
	const char *name, *title;
	struct shape shape;
	bool thorough; /* left out by --quick */
	const char *rows;
};

#define TRIP(bytes_, depth_, wait_, method_, ...)                                             \
	{                                                                                     \
		.pattern = ROUND_TRIP, .bytes = (bytes_), .depth = (depth_), .wait = (wait_), \
		.method = (method_), .producers = 1, .consumers = 1, .keys = 1, __VA_ARGS__   \
	}

static const struct group_plan trips[] = {
	{"rt-64-poll", "Round trip, 64 bytes, both polling, two CPUs",
	 TRIP(64, 8, WAIT_POLL, METHOD_COPY), false,
	 "cache-line cache-line-payload spsc mpmc futex " TENON_EACH " " KERNEL " stream"},
	{"rt-64-active", "Round trip, 64 bytes, blocking calls, both sides busy, two CPUs",
	 TRIP(64, 8, WAIT_BLOCK, METHOD_COPY), false,
	 "cache-line:poll cache-line-payload:poll spin-futex futex mpmc " TENON_EACH " " KERNEL
	 " posix-mq:poll sysv:poll pipe:poll zeromq aeron iceoryx"},
	{"rt-64-asleep", "Round trip, 64 bytes, asleep: 1 ms between messages, two CPUs (medians)",
	 TRIP(64, 8, WAIT_BLOCK, METHOD_COPY, .gap_ns = 1000000), false,
	 "futex spin-futex " TENON_EACH " " KERNEL},
	{"rt-64-epoll", "Round trip, 64 bytes, asleep in epoll_wait, two CPUs (medians)",
	 TRIP(64, 8, WAIT_EPOLL, METHOD_COPY, .gap_ns = 1000000), false,
	 "tenon-fifo tenon-priority pipe posix-mq seqpacket"},
	{"rt-64-same-cpu", "Round trip, 64 bytes, blocking calls, both on one CPU",
	 TRIP(64, 8, WAIT_BLOCK, METHOD_COPY, .same_cpu = true), false,
	 "futex " TENON_EACH " " KERNEL " zeromq"},
	{"rt-1k-poll", "Round trip, 1 KiB, both polling, two CPUs",
	 TRIP(1024, 8, WAIT_POLL, METHOD_COPY), false, "spsc mpmc tenon-fifo " KERNEL},
	{"rt-1k-active", "Round trip, 1 KiB, blocking calls, both sides busy, two CPUs",
	 TRIP(1024, 8, WAIT_BLOCK, METHOD_COPY), false, "spsc:poll mpmc tenon-fifo " KERNEL},
	{"rt-64k-poll", "Round trip, 64 KiB copied, both polling, two CPUs",
	 TRIP(65536, 2, WAIT_POLL, METHOD_COPY), false, "spsc tenon-fifo " KERNEL},
	{"rt-64k-active", "Round trip, 64 KiB copied, blocking calls, both sides busy, two CPUs",
	 TRIP(65536, 2, WAIT_BLOCK, METHOD_COPY), false, "spsc:poll tenon-fifo " KERNEL},
	{"rt-64k-loaned", "Round trip, 64 KiB loaned and taken, two CPUs",
	 TRIP(65536, 2, WAIT_BLOCK, METHOD_LOAN), false,
	 "cache-line-payload:poll+copy#64 tenon-fifo:poll tenon-fifo iceoryx"},
};

struct size_plan {
	const char *name, *title;
	uint32_t bytes, depth;
};

static const struct size_plan sizes[] = {
	{"64", "64 bytes", 64, 1024}, {"1k", "1 KiB", 1024, 256},   {"8k", "8 KiB", 8192, 64},
	{"64k", "64 KiB", 65536, 16}, {"1m", "1 MiB", 1u << 20, 4},
};

struct topology_plan {
	const char *name, *title;
	uint32_t producers, consumers;
	const char *small_rows, *large_rows;
};

static const struct topology_plan topologies[] = {
	{"1to1", "1 -> 1", 1, 1,
	 "spsc:poll spsc:poll+batch mpmc:poll mpmc tenon-fifo:poll " TENON_EACH
	 " tenon-priority*8 tenon-typed*8 tenon-fifo+batch tenon-fifo+loan " KERNEL
	 " posix-mq@10 posix-mq*8 sysv*8 stream+batch zeromq aeron iceoryx",
	 "spsc:poll spsc:poll+batch mpmc tenon-fifo:poll tenon-fifo tenon-fifo+batch "
	 "tenon-fifo+loan " KERNEL " stream zeromq iceoryx"},
	{"2to1", "2 -> 1", 2, 1,
	 "mpmc:poll mpmc tenon-fifo:poll " TENON_EACH " tenon-fifo+batch tenon-fifo+loan " KERNEL
	 " zeromq",
	 "mpmc tenon-fifo tenon-fifo+batch tenon-fifo+loan seqpacket posix-mq"},
	{"2to2", "2 -> 2", 2, 2,
	 "mpmc:poll mpmc tenon-fifo:poll " TENON_EACH " tenon-fifo+batch tenon-fifo+loan " KERNEL
	 " zeromq",
	 "mpmc tenon-fifo tenon-fifo+batch tenon-fifo+loan seqpacket posix-mq"},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* A word of a row's text that begins with a sign; its length. */
static size_t apply_option(struct shape *shape, const char *option)
{
	size_t length = 1 + strcspn(option + 1, ":+@*# ");
	uint32_t number = (uint32_t)strtoul(option + 1, NULL, 10);

	switch (option[0]) {
	case ':':
		shape->wait = option[1] == 'p' ? WAIT_POLL : WAIT_BLOCK;
		break;
	case '+':
		shape->method = option[1] == 'b'   ? METHOD_BATCH
				: option[1] == 'l' ? METHOD_LOAN
						   : METHOD_COPY;
		break;
	case '@':
		shape->depth = number;
		break;
	case '*':
		shape->keys = number;
		break;
	default:
		shape->bytes = number;
		break;
	}
	return length;
}

static bool is_wanted(const struct settings *settings, const char *group, const char *row)
{
	const char *pattern = settings->row_pattern;
	char path[96];

	if (!pattern)
		return true;
	snprintf(path, sizeof(path), "%s/%s", group, row);
	return fnmatch(pattern, path, 0) == 0 || strstr(path, pattern) != NULL;
}

static const char *refusal(const struct row *row)
{
	const struct shape *shape = &row->shape;

	if (!shape->same_cpu && !machine_has_two_cpus())
		return "needs two CPUs";
	return row->transport->refuse(shape);
}

static void add_rows(struct group *group, const struct shape *shape, const char *text,
		     const struct settings *settings)
{
	while (*text && group->row_count < ROWS_MAX) {
		struct row *row = &group->rows[group->row_count];
		size_t length = strcspn(text, " "), used = strcspn(text, ":+@*# ");

		row->transport = transport_find(text, used);
		row->shape = *shape;
		snprintf(row->name, sizeof(row->name), "%.*s", (int)length, text);
		while (used < length)
			used += apply_option(&row->shape, text + used);
		text += length + strspn(text + length, " ");
		if (!row->transport) {
			fprintf(stderr, "tenon-bench: no transport for the row %s\n", row->name);
			abort();
		}
		if (!is_wanted(settings, group->name, row->name)) {
			memset(row, 0, sizeof(*row));
			continue;
		}
		row->skipped = refusal(row);
		group->row_count++;
	}
}

static char *text_of(const char *format, const char *first, const char *second)
{
	char text[128];
	char *copy;

	snprintf(text, sizeof(text), format, first, second);
	copy = strdup(text);
	if (!copy)
		abort();
	return copy;
}

static void add_group(struct group *groups, uint32_t *count, const struct group_plan *plan,
		      const struct settings *settings)
{
	struct group *group = &groups[*count];

	if ((settings->quick && plan->thorough) || *count == GROUPS_MAX)
		return;
	group->name = plan->name;
	group->title = plan->title;
	add_rows(group, &plan->shape, plan->rows, settings);
	if (group->row_count > 0)
		++*count;
}

/* The plan of this program's whole life: the texts are not freed. */
uint32_t plan_make(const struct settings *settings, struct group **ret_groups)
{
	struct group *groups = calloc(GROUPS_MAX, sizeof(*groups));
	uint32_t count = 0;

	if (!groups)
		abort();
	for (size_t i = 0; i < COUNT(trips); i++)
		add_group(groups, &count, &trips[i], settings);
	for (size_t i = 0; i < COUNT(sizes); i++) {
		const struct size_plan *size = &sizes[i];

		for (size_t j = 0; j < COUNT(topologies); j++) {
			const struct topology_plan *topology = &topologies[j];
			struct group_plan plan = {
				.name = text_of("one-way-%s-%s", size->name, topology->name),
				.title = text_of("One way, %s, %s", size->title, topology->title),
				.shape = {.pattern = ONE_WAY,
					  .wait = WAIT_BLOCK,
					  .bytes = size->bytes,
					  .depth = size->depth,
					  .producers = topology->producers,
					  .consumers = topology->consumers,
					  .keys = 1},
				.thorough = i > 0 && j > 0,
				.rows = i == 0 ? topology->small_rows : topology->large_rows};

			add_group(groups, &count, &plan, settings);
		}
	}
	*ret_groups = groups;
	return count;
}
