// SPDX-License-Identifier: Apache-2.0
/*
 * What is measured: the groups and their rows.
 *
 * A row is the name of a probe, or is written TRANSPORT[:WAIT][+METHOD][@DEPTH][*KEYS], for instance "posix-mq@10" or
 * "tenon-fifo:poll+batch"; what is left out is the group's.  Rivals stand in the same group as what
 * they are compared with, because only a group's rows are measured in turn.
 */

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "machine.h"

#define GROUPS_MAX 96u
#define TENON_EACH "tenon-fifo tenon-priority tenon-typed"
#define TENON_EACH_POLL "tenon-fifo:poll tenon-priority:poll tenon-typed:poll"
#define KERNEL "pipe posix-mq sysv seqpacket"
#define KERNEL_ALSO "mkfifo dgram"
/* Libraries of others: those whose callers can poll, and all. */
#define PEERS_POLLED "boost-mq libqb iceoryx"
#define PEERS_POLLING "boost-mq:poll libqb:poll iceoryx:poll"
#define PEERS "zeromq nng nanomsg " PEERS_POLLED

enum often { ALWAYS, ONCE /* not repeated */, THOROUGH /* left out by --quick */ };

struct group_plan {
	const char *name, *title;
	struct shape shape;
	enum often often;
	const char *rows;
};

#define TRIP(bytes_, depth_, wait_, method_, ...)                                             \
	{                                                                                     \
		.pattern = ROUND_TRIP, .bytes = (bytes_), .depth = (depth_), .wait = (wait_), \
		.method = (method_), .producers = 1, .consumers = 1, .keys = 1, __VA_ARGS__   \
	}

#define FLOW(bytes_, depth_, producers_, consumers_)                                          \
	{                                                                                     \
		.pattern = ONE_WAY, .bytes = (bytes_), .depth = (depth_), .wait = WAIT_BLOCK, \
		.producers = (producers_), .consumers = (consumers_), .keys = 1               \
	}

static const struct group_plan trips[] = {
	{"rt-64-poll", "Round trip, 64 bytes, both polling, two CPUs",
	 TRIP(64, 8, WAIT_POLL, METHOD_COPY), ALWAYS,
	 "cache-line cache-line-payload spsc mpmc futex " TENON_EACH " " KERNEL
	 " stream " KERNEL_ALSO " " PEERS_POLLED},
	{"rt-64-active", "Round trip, 64 bytes, blocking calls, both sides busy, two CPUs",
	 TRIP(64, 8, WAIT_BLOCK, METHOD_COPY), ALWAYS,
	 "cache-line:poll cache-line-payload:poll spin-futex futex mpmc " TENON_EACH " " KERNEL
	 " posix-mq:poll sysv:poll pipe:poll stream " KERNEL_ALSO " " PEERS " " PEERS_POLLING
	 " aeron"},
	{"rt-64-asleep", "Round trip, 64 bytes, asleep: 1 ms between messages, two CPUs (medians)",
	 TRIP(64, 8, WAIT_BLOCK, METHOD_COPY, .gap_ns = 1000000), ALWAYS,
	 "futex spin-futex " TENON_EACH " " KERNEL " stream " KERNEL_ALSO " " PEERS},
	{"rt-64-epoll", "Round trip, 64 bytes, asleep in epoll_wait, two CPUs (medians)",
	 TRIP(64, 8, WAIT_EPOLL, METHOD_COPY, .gap_ns = 1000000), ALWAYS,
	 "tenon-fifo tenon-priority pipe posix-mq seqpacket stream " KERNEL_ALSO},
	{"rt-64-same-cpu", "Round trip, 64 bytes, blocking calls, both on one CPU",
	 TRIP(64, 8, WAIT_BLOCK, METHOD_COPY, .same_cpu = true), ALWAYS,
	 "futex " TENON_EACH " " KERNEL " stream " KERNEL_ALSO " " PEERS},
	{"rt-1k-poll", "Round trip, 1 KiB, both polling, two CPUs",
	 TRIP(1024, 8, WAIT_POLL, METHOD_COPY), ALWAYS, "spsc mpmc tenon-fifo " KERNEL},
	{"rt-1k-active", "Round trip, 1 KiB, blocking calls, both sides busy, two CPUs",
	 TRIP(1024, 8, WAIT_BLOCK, METHOD_COPY), ALWAYS, "spsc:poll mpmc tenon-fifo " KERNEL},
	{"rt-64k-poll", "Round trip, 64 KiB copied, both polling, two CPUs",
	 TRIP(65536, 2, WAIT_POLL, METHOD_COPY), ALWAYS, "spsc tenon-fifo " KERNEL},
	{"rt-64k-active", "Round trip, 64 KiB copied, blocking calls, both sides busy, two CPUs",
	 TRIP(65536, 2, WAIT_BLOCK, METHOD_COPY), ALWAYS, "spsc:poll tenon-fifo " KERNEL},
	{"rt-64k-loaned", "Round trip, 64 KiB loaned and taken, two CPUs",
	 TRIP(65536, 2, WAIT_BLOCK, METHOD_LOAN), ALWAYS,
	 "cache-line-payload:poll+copy#64 tenon-fifo:poll tenon-fifo iceoryx:poll iceoryx"},
};

/* The same program with POSIX message queues of the kernel's and of ours. */
#define FACES "posix-mq posix-face posix-face-unpolled posix-preload"
#define FACES_POLL "posix-mq:poll posix-face:poll posix-preload:poll"

static const struct group_plan faces[] = {
	{"face-rt-64-poll", "POSIX face: round trip, 64 bytes, both polling, two CPUs",
	 TRIP(64, 8, WAIT_POLL, METHOD_COPY), ALWAYS, FACES},
	{"face-rt-64-active",
	 "POSIX face: round trip, 64 bytes, blocking calls, both sides busy, two CPUs",
	 TRIP(64, 8, WAIT_BLOCK, METHOD_COPY), ALWAYS, FACES " tenon-priority " FACES_POLL},
	{"face-rt-64-asleep",
	 "POSIX face: round trip, 64 bytes, asleep: 1 ms between messages, two CPUs (medians)",
	 TRIP(64, 8, WAIT_BLOCK, METHOD_COPY, .gap_ns = 1000000), ALWAYS, FACES},
	{"face-rt-64-epoll",
	 "POSIX face: round trip, 64 bytes, asleep in epoll_wait, two CPUs (medians)",
	 TRIP(64, 8, WAIT_EPOLL, METHOD_COPY, .gap_ns = 1000000), ALWAYS, FACES},
	{"face-rt-64-same-cpu", "POSIX face: round trip, 64 bytes, blocking calls, both on one CPU",
	 TRIP(64, 8, WAIT_BLOCK, METHOD_COPY, .same_cpu = true), ALWAYS, FACES},
	{"face-rt-1k-active",
	 "POSIX face: round trip, 1 KiB, blocking calls, both sides busy, two CPUs",
	 TRIP(1024, 8, WAIT_BLOCK, METHOD_COPY), THOROUGH, FACES " posix-mq:poll"},
	{"face-rt-8k-active",
	 "POSIX face: round trip, 8 KiB, blocking calls, both sides busy, two CPUs",
	 TRIP(8192, 8, WAIT_BLOCK, METHOD_COPY), THOROUGH, FACES " posix-mq:poll"},
	{"face-64-1to1", "POSIX face: one way, 64 bytes, 1 -> 1", FLOW(64, 1024, 1, 1), ALWAYS,
	 FACES " tenon-priority posix-mq@10 posix-face@10 posix-preload@10"
	       " posix-mq*8 posix-face*8 posix-preload*8"},
	{"face-64-2to1", "POSIX face: one way, 64 bytes, 2 -> 1", FLOW(64, 1024, 2, 1), ALWAYS,
	 FACES " posix-mq@10 posix-face@10 posix-preload@10"},
	{"face-64-2to2", "POSIX face: one way, 64 bytes, 2 -> 2", FLOW(64, 1024, 2, 2), ALWAYS,
	 FACES " posix-mq@10 posix-face@10 posix-preload@10"},
	{"face-1k-1to1", "POSIX face: one way, 1 KiB, 1 -> 1", FLOW(1024, 256, 1, 1), THOROUGH,
	 FACES " posix-mq@10 posix-face@10 posix-preload@10"},
	{"face-8k-1to1", "POSIX face: one way, 8 KiB, 1 -> 1", FLOW(8192, 16, 1, 1), THOROUGH,
	 FACES " posix-mq@10 posix-face@10 posix-preload@10"},
};

#define HOLD(processes_, same_cpu_)                                                         \
	{                                                                                   \
		.pattern = PAIRS, .wait = WAIT_BLOCK, .producers = (processes_), .keys = 1, \
		.same_cpu = (same_cpu_)                                                     \
	}
#define MUTEXES "mutex mutex-robust"
#define SYNC_EACH "tenon-semaphore tenon-event tenon-condition tenon-barrier tenon-waitset"
#define SYNC_RIVALS "posix-sem sysv-sem eventfd cond cond-robust barrier epoll-eventfd"

/* Locks, and what processes wait for each other with. */
static const struct group_plan syncs[] = {
	{"sync-lock", "Lock, acquired and released by one process alone", HOLD(1, true), ALWAYS,
	 "tenon-lock " MUTEXES " boost-mutex"},
	{"sync-lock-2", "Lock, acquired and released by two processes at once", HOLD(2, false),
	 ALWAYS, "tenon-lock " MUTEXES " boost-mutex"},
	{"sync-lock-4", "Lock, acquired and released by four processes at once, two CPUs",
	 HOLD(4, false), ALWAYS, "tenon-lock " MUTEXES " boost-mutex"},
	{"sync-semaphore", "Semaphore, acquired and released by one process alone", HOLD(1, true),
	 ALWAYS, "tenon-semaphore tenon-semaphore-undo posix-sem sysv-sem sysv-sem-undo eventfd"},
	{"sync-rt-active", "Round trip of semaphores and the like, both sides busy, two CPUs",
	 TRIP(64, 1, WAIT_BLOCK, METHOD_COPY), ALWAYS,
	 "spin-futex futex " SYNC_EACH " " SYNC_RIVALS
	 " tenon-semaphore:poll posix-sem:poll sysv-sem:poll eventfd:poll"},
	{"sync-rt-same-cpu", "Round trip of semaphores and the like, both on one CPU",
	 TRIP(64, 1, WAIT_BLOCK, METHOD_COPY, .same_cpu = true), ALWAYS,
	 "futex " SYNC_EACH " " SYNC_RIVALS},
};

/* The same with System V's. */
#define SYSV "sysv sysv-face sysv-preload"
#define SEMAPHORES "sysv-sem sysv-sem-face sysv-sem-preload"

static const struct group_plan sysv_faces[] = {
	{"face-msg-rt-64-poll", "System V face: round trip, 64 bytes, both polling, two CPUs",
	 TRIP(64, 8, WAIT_POLL, METHOD_COPY), ALWAYS, SYSV},
	{"face-msg-rt-64-active",
	 "System V face: round trip, 64 bytes, blocking calls, both sides busy, two CPUs",
	 TRIP(64, 8, WAIT_BLOCK, METHOD_COPY), ALWAYS,
	 SYSV " tenon-typed sysv:poll sysv-face:poll sysv-preload:poll"},
	{"face-msg-rt-64-asleep",
	 "System V face: round trip, 64 bytes, asleep: 1 ms between messages, two CPUs (medians)",
	 TRIP(64, 8, WAIT_BLOCK, METHOD_COPY, .gap_ns = 1000000), ALWAYS, SYSV},
	{"face-msg-rt-64-same-cpu",
	 "System V face: round trip, 64 bytes, blocking calls, both on one CPU",
	 TRIP(64, 8, WAIT_BLOCK, METHOD_COPY, .same_cpu = true), ALWAYS, SYSV},
	{"face-msg-rt-8k-active",
	 "System V face: round trip, 8 KiB, blocking calls, both sides busy, two CPUs",
	 TRIP(8192, 8, WAIT_BLOCK, METHOD_COPY), THOROUGH, SYSV " sysv:poll"},
	{"face-msg-64-1to1", "System V face: one way, 64 bytes, 1 -> 1", FLOW(64, 1024, 1, 1),
	 ALWAYS, SYSV " tenon-typed sysv*8 sysv-face*8 sysv-preload*8"},
	{"face-msg-64-2to1", "System V face: one way, 64 bytes, 2 -> 1", FLOW(64, 1024, 2, 1),
	 ALWAYS, SYSV},
	{"face-msg-64-2to2", "System V face: one way, 64 bytes, 2 -> 2", FLOW(64, 1024, 2, 2),
	 ALWAYS, SYSV},
	{"face-msg-8k-1to1", "System V face: one way, 8 KiB, 1 -> 1", FLOW(8192, 16, 1, 1),
	 THOROUGH, SYSV},
	{"face-semop", "System V face: semop -1 and +1, by one process alone", HOLD(1, true),
	 ALWAYS,
	 SEMAPHORES " tenon-semaphore sysv-sem-undo sysv-sem-undo-face sysv-sem-undo-preload"},
	{"face-semop-rt-active", "System V face: round trip of semop, both sides busy, two CPUs",
	 TRIP(64, 1, WAIT_BLOCK, METHOD_COPY), ALWAYS,
	 SEMAPHORES " sysv-sem:poll sysv-sem-face:poll sysv-sem-preload:poll"},
	{"face-semop-rt-same-cpu", "System V face: round trip of semop, both on one CPU",
	 TRIP(64, 1, WAIT_BLOCK, METHOD_COPY, .same_cpu = true), ALWAYS, SEMAPHORES},
	{"face-shm", "System V face: shmat and shmdt, by one process alone", HOLD(1, true), ALWAYS,
	 "sysv-shm sysv-shm-face sysv-shm-preload"},
};

/* What is no message on its way; the rows are probes, see probe_*.c. */
static const struct group_plan costs[] = {
	{"cost-open", "Opening an object",
	 .rows = "map-limit tenon-open tenon-close tenon-open-use-close tenon-create-remove "
		 "tenon-region-map tenon-once-done posix-mq-open posix-mq-create-remove "
		 "sysv-create-remove"},
	{"cost-memory",
	 "Memory of an object's file; of what has held messages, beyond the empty one's",
	 .rows = "tenon-empty tenon-empty-large messages-64 tenon-full-64 tenon-drained-64 "
		 "messages-8k tenon-full-8k tenon-drained-8k messages-1m tenon-full-1m "
		 "tenon-drained-1m",
	 .often = ONCE},
	{"cost-memory-message", "Memory of a message of 64 bytes, of 1,000,000 that are queued",
	 .rows = "message-fifo message-priority message-typed", .often = ONCE},
	{"cost-memory-object", "Memory of a fresh object's file",
	 .rows = "object-queue object-lock object-semaphore object-event object-condition "
		 "object-barrier object-once object-semaphore-set object-region",
	 .often = ONCE},
	{"cost-idle", "A blocked process that nothing happens to, for a second",
	 .rows = "timer-100ms tenon-receive tenon-receive-priority tenon-receive-typed tenon-send "
		 "tenon-send-rendezvous tenon-epoll tenon-wait tenon-receive-leased",
	 .often = ONCE},
	{"cost-death",
	 "From the SIGKILL of a peer to the survivor that runs again, two CPUs (medians)",
	 .rows = "wake-robust wake-pipe wake-pipe-mapped tenon-in-call tenon-in-call-priority "
		 "tenon-lease"},
};

/* Rows that are compared with the first of their kind. */
static const struct group_plan growths[] = {
	{"growth-messages", "A message sent and one received, by how many are queued",
	 .rows = "fifo-1 fifo-1000 fifo-100000 fifo-1000000 priority-1 priority-1000 "
		 "priority-100000 priority-1000000 typed-1 typed-1000 typed-100000 typed-1000000",
	 .often = THOROUGH},
	{"growth-objects", "A message sent and one received, by how many queues are open",
	 .rows = "objects-1 objects-100 objects-1000 objects-10000", .often = THOROUGH},
	{"growth-processes", "A message sent and one received, by how many processes are attached",
	 .rows = "processes-1 processes-16 processes-256 processes-1000", .often = THOROUGH},
};

#define SCALES "mpmc tenon-fifo tenon-fifo+batch pipe posix-mq sysv seqpacket boost-mq"
#define SCALE(producers_, consumers_)                                            \
	{                                                                        \
		"scale-" #producers_ "to" #consumers_,                           \
			"One way, 64 bytes, " #producers_ " -> " #consumers_     \
			" processes, two CPUs",                                  \
			FLOW(64, 1024, producers_, consumers_), THOROUGH, SCALES \
	}

/* Up to 16 processes; 1 -> 1 and 2 -> 2 stand in topologies. */
static const struct group_plan scales[] = {
	SCALE(4, 1), SCALE(8, 1),  SCALE(15, 1), SCALE(1, 4),
	SCALE(1, 8), SCALE(1, 15), SCALE(4, 4),	 SCALE(8, 8),
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
	 " posix-mq@10 posix-mq*8 sysv*8 stream stream+batch " KERNEL_ALSO " " PEERS
	 " boost-mq*8 " PEERS_POLLING " iceoryx+loan aeron",
	 "spsc:poll spsc:poll+batch mpmc tenon-fifo:poll tenon-fifo tenon-fifo+batch "
	 "tenon-fifo+loan " KERNEL " stream dgram " PEERS " iceoryx+loan"},
	{"2to1", "2 -> 1", 2, 1,
	 "mpmc:poll mpmc tenon-fifo:poll " TENON_EACH " tenon-fifo+batch tenon-fifo+loan " KERNEL
	 " " KERNEL_ALSO " " PEERS,
	 "mpmc tenon-fifo tenon-fifo+batch tenon-fifo+loan seqpacket posix-mq"},
	{"2to2", "2 -> 2", 2, 2,
	 "mpmc:poll mpmc tenon-fifo:poll " TENON_EACH " tenon-fifo+batch tenon-fifo+loan " KERNEL
	 " " KERNEL_ALSO " " PEERS,
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

	if (row->probe)
		return probe_refusal(row->probe);
	if (!shape->same_cpu && !machine_has_two_cpus())
		return "needs two CPUs";
	return row->transport->refuse(shape);
}

static enum unit unit_of(const struct row *row)
{
	const struct shape *shape = &row->shape;

	if (row->probe)
		return row->probe->unit;
	if (shape->pattern == PAIRS)
		return shape->producers == 1 ? UNIT_NS : UNIT_PAIRS;
	return shape->pattern == ROUND_TRIP ? UNIT_NS : UNIT_MESSAGES;
}

/* A row that was left out for want of room would be missed by nobody. */
static void check_room(uint32_t count, uint32_t most, const char *limit)
{
	if (count < most)
		return;
	fprintf(stderr, "tenon-bench: the plan has more than %u: make %s larger\n", most, limit);
	abort();
}

static void add_rows(struct group *group, const struct shape *shape, const char *text,
		     const struct settings *settings)
{
	while (*text) {
		struct row *row = &group->rows[group->row_count];
		size_t length = strcspn(text, " "), used = strcspn(text, ":+@*# ");

		check_room(group->row_count, ROWS_MAX, "ROWS_MAX");
		row->transport = transport_find(text, used);
		row->probe = row->transport ? NULL : probe_find(text, used);
		row->shape = *shape;
		row->unit = unit_of(row);
		snprintf(row->name, sizeof(row->name), "%.*s", (int)length, text);
		while (used < length)
			used += apply_option(&row->shape, text + used);
		text += length + strspn(text + length, " ");
		if (!row->transport && !row->probe) {
			fprintf(stderr, "tenon-bench: nothing to measure for the row %s\n",
				row->name);
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

static void add_group(struct group *groups, uint32_t *count, const struct group_plan *plan,
		      const struct settings *settings)
{
	struct group *group = &groups[*count];

	if (settings->quick && plan->often == THOROUGH)
		return;
	check_room(*count, GROUPS_MAX, "GROUPS_MAX");
	snprintf(group->name, sizeof(group->name), "%s", plan->name);
	snprintf(group->title, sizeof(group->title), "%s", plan->title);
	group->repeat_most = plan->often == ONCE ? 1 : 0;
	add_rows(group, &plan->shape, plan->rows, settings);
	if (group->row_count > 0)
		++*count;
}

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
			char name[32], title[64];
			struct group_plan plan = {.name = name,
						  .title = title,
						  .shape = {.pattern = ONE_WAY,
							    .wait = WAIT_BLOCK,
							    .bytes = size->bytes,
							    .depth = size->depth,
							    .producers = topology->producers,
							    .consumers = topology->consumers,
							    .keys = 1},
						  .often = i > 0 && j > 0 ? THOROUGH : ALWAYS,
						  .rows = i == 0 ? topology->small_rows
								 : topology->large_rows};

			snprintf(name, sizeof(name), "one-way-%s-%s", size->name, topology->name);
			snprintf(title, sizeof(title), "One way, %s, %s", size->title,
				 topology->title);
			add_group(groups, &count, &plan, settings);
		}
	}
	for (size_t i = 0; i < COUNT(scales); i++)
		add_group(groups, &count, &scales[i], settings);
	for (size_t i = 0; i < COUNT(faces); i++)
		add_group(groups, &count, &faces[i], settings);
	for (size_t i = 0; i < COUNT(syncs); i++)
		add_group(groups, &count, &syncs[i], settings);
	for (size_t i = 0; i < COUNT(sysv_faces); i++)
		add_group(groups, &count, &sysv_faces[i], settings);
	for (size_t i = 0; i < COUNT(costs); i++)
		add_group(groups, &count, &costs[i], settings);
	for (size_t i = 0; i < COUNT(growths); i++)
		add_group(groups, &count, &growths[i], settings);
	*ret_groups = groups;
	return count;
}
