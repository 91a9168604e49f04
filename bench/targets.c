// SPDX-License-Identifier: Apache-2.0
/*
 * The targets.  A ratio between two rows of a group is the median of the ratios of the single
 * repetitions, since what disturbs the machine disturbs neighbours alike; so is a difference.
 */

#include <stdlib.h>
#include <string.h>

#include "bench.h"

/* What is judged: our figure by the rival's; our figure less the rival's; our figure by itself; the
 * part of a CPU that we use, on the side that uses more, or on the answerer's, which does nothing but
 * sleep between messages. */
enum bound { AT_MOST, AT_LEAST, AT_MOST_MORE, AT_MOST_ITSELF, AT_MOST_CPU, AT_MOST_SLEEPER };

/* `rivals` are rows of the same group, or with a slash of another; the best of them counts.
 * The last three bounds need none. */
struct target {
	const char *text, *group, *ours;
	enum bound bound;
	double factor; /* or difference, value, share */
	const char *rivals;
};

#define ACTIVE "rt-64-active"
#define ASLEEP "rt-64-asleep"
#define SAME "rt-64-same-cpu"
#define FLOW "one-way-64-1to1"
#define MEMORY "cost-memory"
#define DEATH "cost-death"
#define IDLE(text, row)                                                              \
	{text ": switches", "cost-idle", row, AT_MOST_ITSELF, 0, ""}, /* a second */ \
	{                                                                            \
		text ": CPU", "cost-idle", row, AT_MOST_CPU, 0, ""                   \
	}
/* More than the caches hold has to come from memory; there is no more work than with one. */
#define GROWTH(text, group, row, with_one)               \
	{                                                \
		text, group, row, AT_MOST, 1.5, with_one \
	}
#define SYNC_ACTIVE "sync-rt-active"
#define SYNC_SAME "sync-rt-same-cpu"
#define REMARK(text, group, row, rival)             \
	{                                           \
		text, group, row, AT_MOST, 1, rival \
	}
#define SYNC_REMARKS(where, group)                                                  \
	REMARK("semaphore" where, group, "tenon-semaphore", "posix-sem"),           \
		REMARK("semaphore" where, group, "tenon-semaphore", "sysv-sem"),    \
		REMARK("semaphore" where, group, "tenon-semaphore", "eventfd"),     \
		REMARK("semaphore" where, group, "tenon-semaphore", "futex"),       \
		REMARK("event" where, group, "tenon-event", "posix-sem"),           \
		REMARK("event" where, group, "tenon-event", "sysv-sem"),            \
		REMARK("event" where, group, "tenon-event", "eventfd"),             \
		REMARK("event" where, group, "tenon-event", "futex"),               \
		REMARK("condition" where, group, "tenon-condition", "cond"),        \
		REMARK("condition" where, group, "tenon-condition", "cond-robust"), \
		REMARK("condition" where, group, "tenon-condition", "futex"),       \
		REMARK("barrier" where, group, "tenon-barrier", "barrier"),         \
		REMARK("waitset" where, group, "tenon-waitset", "epoll-eventfd")
#define SYNC_BEST(text, row)                                  \
	REMARK(text ", same CPU, best rival", SYNC_SAME, row, \
	       "posix-sem sysv-sem eventfd cond cond-robust")
#define POSIX_ROUND_TRIPS(row, text)                                                             \
	{"POSIX " text ", polling", "face-rt-64-poll", row, AT_MOST, 0.15, "posix-mq"},          \
		{"POSIX " text ", active, to polled mq",                                         \
		 "face-rt-64-active",                                                            \
		 row,                                                                            \
		 AT_MOST,                                                                        \
		 0.15,                                                                           \
		 "posix-mq:poll"},                                                               \
		{"POSIX " text ", active", "face-rt-64-active", row, AT_MOST, 0.01, "posix-mq"}, \
		{"POSIX " text ", asleep", "face-rt-64-asleep", row, AT_MOST, 1, "posix-mq"},    \
	{                                                                                        \
		"POSIX " text ", same CPU", "face-rt-64-same-cpu", row, AT_MOST, 1, "posix-mq"   \
	}
#define POSIX_FLOWS(row, text)                                                         \
	{"POSIX " text " 1->1", "face-64-1to1", row, AT_LEAST, 6, "posix-mq"},         \
		{"POSIX " text " 1->1, depth 10",                                      \
		 "face-64-1to1",                                                       \
		 row "@10",                                                            \
		 AT_LEAST,                                                             \
		 6,                                                                    \
		 "posix-mq@10"},                                                       \
		{"POSIX " text " 1->1, 8 priorities",                                  \
		 "face-64-1to1",                                                       \
		 row "*8",                                                             \
		 AT_LEAST,                                                             \
		 6,                                                                    \
		 "posix-mq*8"},                                                        \
		{"POSIX " text " 2->1", "face-64-2to1", row, AT_LEAST, 6, "posix-mq"}, \
	{                                                                              \
		"POSIX " text " 2->2", "face-64-2to2", row, AT_LEAST, 6, "posix-mq"    \
	}
#define POSIX_REMARKS(row, text)                                                      \
	REMARK("POSIX " text " 1 KiB, active", "face-rt-1k-active", row, "posix-mq"), \
		REMARK("POSIX " text " 8 KiB, active", "face-rt-8k-active", row, "posix-mq")
#define SYSV_ROUND_TRIPS(row, text)                                                                 \
	{"System V " text ", polling", "face-msg-rt-64-poll", row, AT_MOST, 0.15, "sysv"},          \
		{"System V " text ", active, to polled",                                            \
		 "face-msg-rt-64-active",                                                           \
		 row,                                                                               \
		 AT_MOST,                                                                           \
		 0.15,                                                                              \
		 "sysv:poll"},                                                                      \
		{"System V " text ", active", "face-msg-rt-64-active", row, AT_MOST, 0.01, "sysv"}, \
		{"System V " text ", asleep", "face-msg-rt-64-asleep", row, AT_MOST, 1, "sysv"},    \
	{                                                                                           \
		"System V " text ", same CPU", "face-msg-rt-64-same-cpu", row, AT_MOST, 1, "sysv"   \
	}
#define SYSV_FLOWS(row, text)                                                             \
	{"System V " text " 1->1", "face-msg-64-1to1", row, AT_LEAST, 8, "sysv"},         \
		{"System V " text " 1->1, 8 types",                                       \
		 "face-msg-64-1to1",                                                      \
		 row "*8",                                                                \
		 AT_LEAST,                                                                \
		 8,                                                                       \
		 "sysv*8"},                                                               \
		{"System V " text " 2->1", "face-msg-64-2to1", row, AT_LEAST, 8, "sysv"}, \
	{                                                                                 \
		"System V " text " 2->2", "face-msg-64-2to2", row, AT_LEAST, 8, "sysv"    \
	}
#define SYSV_PAIRS(ending, text)                                                              \
	{"semop " text ", alone", "face-semop", "sysv-sem" ending, AT_MOST, 0.2, "sysv-sem"}, \
	{                                                                                     \
		"semop " text " with SEM_UNDO, alone", "face-semop", "sysv-sem-undo" ending,  \
			AT_MOST, 0.2, "sysv-sem-undo"                                         \
	}
#define SYSV_REMARKS(ending, text)                                                                \
	REMARK("semop " text ", active", "face-semop-rt-active", "sysv-sem" ending, "sysv-sem"),  \
		REMARK("semop " text ", active, to polled", "face-semop-rt-active",               \
		       "sysv-sem" ending, "sysv-sem:poll"),                                       \
		REMARK("semop " text ", polling", "face-semop-rt-active",                         \
		       "sysv-sem" ending ":poll", "sysv-sem:poll"),                               \
		REMARK("semop " text ", same CPU", "face-semop-rt-same-cpu", "sysv-sem" ending,   \
		       "sysv-sem"),                                                               \
		REMARK("shmat, shmdt " text, "face-shm", "sysv-shm" ending, "sysv-shm"),          \
		REMARK("System V " text " 8 KiB, active", "face-msg-rt-8k-active", "sysv" ending, \
		       "sysv"),                                                                   \
	{                                                                                         \
		"System V " text " 1->1, 8 KiB", "face-msg-8k-1to1", "sysv" ending, AT_LEAST, 1,  \
			"sysv"                                                                    \
	}
#define PEERS "pipe seqpacket stream dgram posix-mq sysv zeromq nng nanomsg boost-mq libqb iceoryx"

static const struct target targets[] = {
	{"FIFO 64 B, active", ACTIVE, "tenon-fifo", AT_MOST, 1.3, "cache-line-payload:poll"},
	{"FIFO 64 B, polling", "rt-64-poll", "tenon-fifo", AT_MOST, 1.3, "cache-line-payload"},
	{"FIFO 64 B, active", ACTIVE, "tenon-fifo", AT_MOST, 0.95, "aeron"},
	{"FIFO 64 B, active, to polled pipe", ACTIVE, "tenon-fifo", AT_MOST, 0.2, "pipe:poll"},
	{"FIFO 64 B, polling", "rt-64-poll", "tenon-fifo", AT_MOST, 0.2, "pipe"},
	{"FIFO 1 KiB, active", "rt-1k-active", "tenon-fifo", AT_MOST, 1.4, "spsc:poll"},
	{"FIFO 1 KiB, polling", "rt-1k-poll", "tenon-fifo", AT_MOST, 1.4, "spsc"},
	{"FIFO 64 KiB copied, active", "rt-64k-active", "tenon-fifo", AT_MOST, 1.2, "spsc:poll"},
	{"FIFO 64 KiB copied, polling", "rt-64k-poll", "tenon-fifo", AT_MOST, 1.2, "spsc"},
	{"FIFO 64 KiB loaned", "rt-64k-loaned", "tenon-fifo", AT_MOST, 2,
	 "cache-line-payload:poll+copy#64"},
	{"FIFO 64 B, same CPU", SAME, "tenon-fifo", AT_MOST, 1.05, "futex"},
	{"FIFO 64 B, asleep", ASLEEP, "tenon-fifo", AT_MOST, 0.7, "futex"},
	{"FIFO 64 B, asleep in epoll", "rt-64-epoll", "tenon-fifo", AT_MOST, 1.1, "pipe"},
	{"FIFO 64 B, asleep, CPU of the sleeper", ASLEEP, "tenon-fifo", AT_MOST_SLEEPER, 0.02, ""},
	{"FIFO 64 B, asleep, CPU of either side", ASLEEP, "tenon-fifo", AT_MOST_CPU, 0.02, ""},
	{"FIFO 64 B, epoll, CPU of the sleeper", "rt-64-epoll", "tenon-fifo", AT_MOST_SLEEPER, 0.02,
	 ""},
	{"FIFO 64 B, epoll, CPU of either side", "rt-64-epoll", "tenon-fifo", AT_MOST_CPU, 0.02,
	 ""},
	{"priority, polling", "rt-64-poll", "tenon-priority", AT_MOST, 0.15, "posix-mq"},
	{"typed, polling", "rt-64-poll", "tenon-typed", AT_MOST, 0.15, "sysv"},
	{"priority, active, to polled mq", ACTIVE, "tenon-priority", AT_MOST, 0.15,
	 "posix-mq:poll"},
	{"typed, active, to polled System V", ACTIVE, "tenon-typed", AT_MOST, 0.15, "sysv:poll"},
	{"priority, active", ACTIVE, "tenon-priority", AT_MOST, 0.01, "posix-mq"},
	{"typed, active", ACTIVE, "tenon-typed", AT_MOST, 0.01, "sysv"},
	{"priority, asleep", ASLEEP, "tenon-priority", AT_MOST, 1, "posix-mq"},
	{"typed, asleep", ASLEEP, "tenon-typed", AT_MOST, 1, "sysv"},
	{"priority, same CPU", SAME, "tenon-priority", AT_MOST, 1, "posix-mq"},
	{"typed, same CPU", SAME, "tenon-typed", AT_MOST, 1, "sysv"},
	{"FIFO 1->1 64 B, one at a time", FLOW, "tenon-fifo", AT_LEAST, 0.8, "spsc:poll"},
	{"FIFO 1->1 64 B, one at a time", FLOW, "tenon-fifo", AT_LEAST, 1.05, "aeron"},
	{"FIFO 1->1 64 B, one at a time", FLOW, "tenon-fifo", AT_LEAST, 15, "pipe"},
	{"FIFO 1->1 64 B, one at a time", FLOW, "tenon-fifo", AT_LEAST, 30, "posix-mq"},
	{"FIFO 1->1 64 B, batches of 32", FLOW, "tenon-fifo+batch", AT_LEAST, 0.75,
	 "spsc:poll+batch"},
	{"FIFO 1->1 64 B, loaned", FLOW, "tenon-fifo+loan", AT_LEAST, 0.75, "spsc:poll+batch"},
	{"FIFO 1->1 64 B, batches of 32", FLOW, "tenon-fifo+batch", AT_LEAST, 1.9, "stream+batch"},
	{"FIFO 1->1 64 B, loaned", FLOW, "tenon-fifo+loan", AT_LEAST, 1.9, "stream+batch"},
	{"FIFO 2->1 64 B, adaptive", "one-way-64-2to1", "tenon-fifo", AT_LEAST, 1, "mpmc"},
	{"FIFO 2->1 64 B, polling", "one-way-64-2to1", "tenon-fifo:poll", AT_LEAST, 1, "mpmc:poll"},
	{"FIFO 2->1 64 B", "one-way-64-2to1", "tenon-fifo", AT_LEAST, 2.7, "zeromq"},
	{"FIFO 2->2 64 B, adaptive", "one-way-64-2to2", "tenon-fifo", AT_LEAST, 1, "mpmc"},
	{"FIFO 2->2 64 B, polling", "one-way-64-2to2", "tenon-fifo:poll", AT_LEAST, 1, "mpmc:poll"},
	{"FIFO 2->2 64 B", "one-way-64-2to2", "tenon-fifo", AT_LEAST, 1.4, "zeromq"},
	{"priority 1->1", FLOW, "tenon-priority", AT_LEAST, 6, "posix-mq"},
	{"typed 1->1", FLOW, "tenon-typed", AT_LEAST, 8, "sysv"},
	{"priority 1->1, 8 priorities", FLOW, "tenon-priority*8", AT_LEAST, 6, "posix-mq*8"},
	{"typed 1->1, 8 types", FLOW, "tenon-typed*8", AT_LEAST, 8, "sysv*8"},
	POSIX_FLOWS("posix-preload", "preloaded"),
	POSIX_FLOWS("posix-face", "compiled"),
	POSIX_ROUND_TRIPS("posix-preload", "preloaded"),
	POSIX_ROUND_TRIPS("posix-face", "compiled"),
	{"POSIX compiled, asleep in epoll", "face-rt-64-epoll", "posix-face", AT_MOST, 1,
	 "posix-mq"},
	{"FIFO 1->1 1 KiB copied", "one-way-1k-1to1", "tenon-fifo", AT_LEAST, 0.85, "spsc:poll"},
	{"FIFO 1->1 1 KiB, best peer", "one-way-1k-1to1", "tenon-fifo", AT_LEAST, 1, PEERS},
	{"FIFO 1->1 8 KiB copied", "one-way-8k-1to1", "tenon-fifo", AT_LEAST, 0.85, "spsc:poll"},
	{"FIFO 1->1 8 KiB, best peer", "one-way-8k-1to1", "tenon-fifo", AT_LEAST, 1, PEERS},
	{"FIFO 1->1 64 KiB copied", "one-way-64k-1to1", "tenon-fifo", AT_LEAST, 0.85, "spsc:poll"},
	{"FIFO 1->1 64 KiB, best peer", "one-way-64k-1to1", "tenon-fifo", AT_LEAST, 1, PEERS},
	{"FIFO 1->1 1 MiB copied", "one-way-1m-1to1", "tenon-fifo", AT_LEAST, 0.85, "spsc:poll"},
	{"FIFO 1->1 1 MiB, best peer", "one-way-1m-1to1", "tenon-fifo", AT_LEAST, 1, PEERS},
	{"FIFO 1 MiB loaned, as fast as 1 KiB", "one-way-1m-1to1", "tenon-fifo+loan", AT_LEAST, 0.8,
	 "one-way-1k-1to1/tenon-fifo+loan"},
	{"FIFO 1 MiB loaned", "one-way-1m-1to1", "tenon-fifo+loan", AT_LEAST, 8, "iceoryx+loan"},
	{"opening a queue", "cost-open", "tenon-open", AT_MOST_ITSELF, 20000, ""},
	{"4096 x 64 B queued: memory", MEMORY, "tenon-full-64", AT_MOST, 1, "messages-64"},
	{"256 x 8 KiB queued: memory", MEMORY, "tenon-full-8k", AT_MOST, 1, "messages-8k"},
	{"4 x 1 MiB queued: memory", MEMORY, "tenon-full-1m", AT_MOST, 1, "messages-1m"},
	{"4096 x 64 B received: memory", MEMORY, "tenon-drained-64", AT_MOST, 1, "messages-64"},
	{"256 x 8 KiB received: memory", MEMORY, "tenon-drained-8k", AT_MOST, 1, "messages-8k"},
	{"4 x 1 MiB received: memory", MEMORY, "tenon-drained-1m", AT_MOST, 1, "messages-1m"},
	IDLE("blocked in receive", "tenon-receive"),
	IDLE("blocked in receive, priority", "tenon-receive-priority"),
	IDLE("blocked in receive, typed", "tenon-receive-typed"),
	IDLE("blocked in send", "tenon-send"),
	IDLE("blocked in rendezvous send", "tenon-send-rendezvous"),
	IDLE("blocked in epoll", "tenon-epoll"),
	IDLE("blocked in wait", "tenon-wait"),
	IDLE("blocked beside a lease", "tenon-receive-leased"),
	{"peer dies in a call, FIFO", DEATH, "tenon-in-call", AT_MOST_MORE, 1e5, "wake-robust"},
	{"peer dies in a call, priority", DEATH, "tenon-in-call-priority", AT_MOST_MORE, 1e5,
	 "wake-robust"},
	{"peer dies with a lease", DEATH, "tenon-lease", AT_MOST_MORE, 1e5, "wake-pipe"},
	GROWTH("FIFO, 1,000,000 queued", "growth-messages", "fifo-1000000", "fifo-1"),
	GROWTH("priority, 1,000,000 queued", "growth-messages", "priority-1000000", "priority-1"),
	GROWTH("typed, 1,000,000 queued", "growth-messages", "typed-1000000", "typed-1"),
	GROWTH("10,000 queues open", "growth-objects", "objects-10000", "objects-1"),
	GROWTH("1,000 processes attached", "growth-processes", "processes-1000", "processes-1"),
	{"lock, alone", "sync-lock", "tenon-lock", AT_MOST, 1.5, "mutex"},
	{"lock, alone", "sync-lock", "tenon-lock", AT_MOST, 1, "mutex-robust"},
	{"lock, two processes", "sync-lock-2", "tenon-lock", AT_LEAST, 1, "mutex-robust"},
	{"lock, four processes", "sync-lock-4", "tenon-lock", AT_LEAST, 1, "mutex-robust"},
	SYSV_ROUND_TRIPS("sysv-preload", "preloaded"),
	SYSV_ROUND_TRIPS("sysv-face", "compiled"),
	SYSV_FLOWS("sysv-preload", "preloaded"),
	SYSV_FLOWS("sysv-face", "compiled"),
	SYSV_PAIRS("-preload", "preloaded"),
	SYSV_PAIRS("-face", "compiled"),
	{"semaphore, alone", "sync-semaphore", "tenon-semaphore", AT_MOST, 0.2, "sysv-sem"},
	{"semaphore with UNDO, alone", "sync-semaphore", "tenon-semaphore-undo", AT_MOST, 0.2,
	 "sysv-sem-undo"},
};

/* No targets: only to be seen, and not counted. */
static const struct target remarks[] = {
	{"lock, two processes", "sync-lock-2", "tenon-lock", AT_LEAST, 1, "mutex"},
	{"lock, four processes", "sync-lock-4", "tenon-lock", AT_LEAST, 1, "mutex"},
	REMARK("semaphore, alone", "sync-semaphore", "tenon-semaphore", "posix-sem"),
	REMARK("semaphore, alone", "sync-semaphore", "tenon-semaphore", "eventfd"),
	POSIX_REMARKS("posix-preload", "preloaded"),
	POSIX_REMARKS("posix-face", "compiled"),
	{"POSIX preloaded 1->1, 1 KiB", "face-1k-1to1", "posix-preload", AT_LEAST, 1, "posix-mq"},
	{"POSIX preloaded 1->1, 8 KiB, depth 10", "face-8k-1to1", "posix-preload@10", AT_LEAST, 1,
	 "posix-mq@10"},
	SYSV_REMARKS("-preload", "preloaded"),
	SYSV_REMARKS("-face", "compiled"),
	SYNC_REMARKS(", active", SYNC_ACTIVE),
	REMARK("semaphore, polling", SYNC_ACTIVE, "tenon-semaphore:poll", "posix-sem:poll"),
	REMARK("semaphore, active, best polled rival", SYNC_ACTIVE, "tenon-semaphore",
	       "posix-sem:poll sysv-sem:poll eventfd:poll"),
	SYNC_REMARKS(", same CPU", SYNC_SAME),
	SYNC_BEST("semaphore", "tenon-semaphore"),
	SYNC_BEST("event", "tenon-event"),
	SYNC_BEST("condition", "tenon-condition"),
};

static const struct group *find_group(const struct group *groups, uint32_t count, const char *name,
				      size_t length)
{
	for (uint32_t i = 0; i < count; i++) {
		if (strlen(groups[i].name) == length && strncmp(groups[i].name, name, length) == 0)
			return &groups[i];
	}
	return NULL;
}

static const struct row *find_row(const struct group *group, const char *name, size_t length)
{
	for (uint32_t i = 0; group && i < group->row_count; i++) {
		const struct row *row = &group->rows[i];

		if (strlen(row->name) == length && strncmp(row->name, name, length) == 0)
			return row;
	}
	return NULL;
}

static bool has_figure(const struct group *group, const struct row *row)
{
	return group && row && !row->skipped && !row->fault[0] && group->sample_count > 0;
}

struct verdict {
	const char *why_not; /* no result, and why; else NULL */
	double result, low, high, confidence;
	char rival[64];
	/* For people: figures and processor time of both. */
	const struct group *our_group, *rival_group;
	const struct row *our_row, *rival_row;
};

/* Where a rival is, or why it has no figure. */
static const char *rival_row(const struct group *groups, uint32_t count, const struct group **group,
			     const char *name, size_t length, const struct row **ret_row)
{
	const char *slash = memchr(name, '/', length);

	if (slash) {
		*group = find_group(groups, count, name, (size_t)(slash - name));
		length -= (size_t)(slash + 1 - name);
		name = slash + 1;
	}
	*ret_row = find_row(*group, name, length);
	if (!*ret_row)
		return "the rival was not measured";
	if ((*ret_row)->skipped)
		return (*ret_row)->skipped;
	if (!has_figure(*group, *ret_row))
		return (*ret_row)->fault[0] ? (*ret_row)->fault : "the rival was not measured";
	return NULL;
}

/* Sorts the values. */
static void judge_values(struct verdict *verdict, double *values, uint32_t count)
{
	uint32_t left_out;

	verdict->why_not = NULL;
	verdict->result = median(values, count);
	verdict->confidence = median_interval(count, &left_out);
	verdict->low = values[left_out];
	verdict->high = values[count - 1 - left_out];
}

/* Keeps the verdict on the rival that makes it worst for us. */
static void judge_rival(const struct target *target, struct verdict *verdict,
			const struct group *group, const struct row *rival, const char *name,
			size_t length)
{
	const struct group *our_group = verdict->our_group;
	struct verdict next = *verdict;
	double values[REPEAT_MAX];
	bool is_worse;

	for (uint32_t i = 0; i < our_group->sample_count; i++) {
		double ours = verdict->our_row->samples[i].figure;
		double its = group == our_group ? rival->samples[i].figure
						: row_median(group, rival);

		values[i] = target->bound == AT_MOST_MORE ? ours - its : ours / its;
	}
	judge_values(&next, values, our_group->sample_count);
	is_worse = target->bound == AT_LEAST ? next.result < verdict->result
					     : next.result > verdict->result;
	if (!verdict->why_not && !is_worse)
		return;
	next.rival_group = group;
	next.rival_row = rival;
	snprintf(next.rival, sizeof(next.rival), "%.*s", (int)length, name);
	*verdict = next;
}

/* Ours alone. */
static void judge_alone(const struct target *target, struct verdict *verdict)
{
	const struct sample *samples = verdict->our_row->samples;
	double values[REPEAT_MAX];

	for (uint32_t i = 0; i < verdict->our_group->sample_count; i++) {
		const double *shares = samples[i].cpu_share;

		bool use_other = target->bound == AT_MOST_SLEEPER || shares[1] > shares[0];

		values[i] = target->bound == AT_MOST_ITSELF ? samples[i].figure : shares[use_other];
	}
	judge_values(verdict, values, verdict->our_group->sample_count);
}

static struct verdict judge(const struct target *target, const struct group *groups, uint32_t count)
{
	const struct group *group = find_group(groups, count, target->group, strlen(target->group));
	const struct row *ours = find_row(group, target->ours, strlen(target->ours));
	struct verdict verdict = {.why_not = "not measured", .our_group = group, .our_row = ours};
	const char *name = target->rivals;

	snprintf(verdict.rival, sizeof(verdict.rival), "%s", target->rivals);
	if (!has_figure(group, ours)) {
		if (ours && ours->fault[0])
			verdict.why_not = ours->fault;
		else if (ours && ours->skipped)
			verdict.why_not = ours->skipped;
		return verdict;
	}
	if (target->bound >= AT_MOST_ITSELF)
		judge_alone(target, &verdict);
	while (*name) {
		const struct group *its_group = group;
		size_t length = strcspn(name, " ");
		const struct row *rival;
		const char *why = rival_row(groups, count, &its_group, name, length, &rival);

		if (!why)
			judge_rival(target, &verdict, its_group, rival, name, length);
		else if (verdict.why_not)
			verdict.why_not = why;
		name += length + strspn(name + length, " ");
	}
	return verdict;
}

static bool meets(const struct target *target, double figure)
{
	return target->bound == AT_LEAST ? figure >= target->factor : figure <= target->factor;
}

/* Of what a result is, or would be; for programs. */
static const char *unit_name(const struct target *target)
{
	const struct probe *probe = probe_find(target->ours, strlen(target->ours));

	if (target->bound <= AT_LEAST)
		return "ratio";
	if (target->bound >= AT_MOST_CPU)
		return "share";
	return unit_texts[probe ? probe->unit : UNIT_NS].name;
}

static void print_json(FILE *json, const struct target *target, const struct verdict *verdict,
		       bool is_met, bool is_remark, bool is_last)
{
	static const char *const judged[] = {"ratio", "ratio",	   "difference",
					     "value", "cpu share", "cpu share of the answerer"};

	fprintf(json, "    {\"what\": \"%s\", \"row\": \"%s/%s\", \"rival\": \"%s\", ",
		target->text, target->group, target->ours, verdict->rival);
	if (is_remark)
		fprintf(json, "\"remark\": true, ");
	fprintf(json, "\"judged\": \"%s\", \"bound\": \"%s\", \"unit\": \"%s\", \"target\": %g, ",
		judged[target->bound], target->bound == AT_LEAST ? "at least" : "at most",
		unit_name(target), target->factor);
	if (verdict->why_not)
		fprintf(json, "\"skipped\": \"%s\"}", verdict->why_not);
	else
		fprintf(json,
			"\"result\": %.4f, \"low\": %.4f, \"high\": %.4f, "
			"\"confidence\": %.4f, "
			"\"met\": %s}",
			verdict->result, verdict->low, verdict->high, verdict->confidence,
			is_met ? "true" : "false");
	fprintf(json, "%s\n", is_last ? "" : ",");
}

/* By what a result is divided to be read, and what it is then. */
static double scale_of(const struct target *target, const struct verdict *verdict,
		       const char **ret_unit)
{
	enum unit unit = verdict->our_row ? verdict->our_row->unit : UNIT_WAKES;

	if (target->bound <= AT_LEAST) {
		*ret_unit = "x ";
		return 1;
	}
	if (target->bound >= AT_MOST_CPU) {
		*ret_unit = "% ";
		return 0.01;
	}
	*ret_unit = unit == UNIT_NS ? "us" : "/s";
	return unit == UNIT_NS ? 1e3 : 1;
}

static void print_figure(const struct group *group, const struct row *row)
{
	const struct unit_text *text = &unit_texts[row->unit];
	double figure = row_median(group, row) / text->scale;

	printf("  %9.*f %s", figure < 0.1 ? 4 : figure < 1000 ? 3 : 0, figure, text->shown_short);
	if (row->unit == UNIT_BYTES || (row->probe && !row_cpu_share(group, row, 0)))
		printf(" %9s", "");
	else if (row->probe || row->shape.consumers == 0)
		printf(" %8.2f%%", 100 * row_cpu_share(group, row, 0));
	else
		printf(" %4.0f+%3.0f%%", 100 * row_cpu_share(group, row, 0),
		       100 * row_cpu_share(group, row, 1));
}

static void print_result(const struct verdict *verdict, double scale, const char *said)
{
	printf("%9.3f %9.3f -%9.3f  %-7s", verdict->result / scale, verdict->low / scale,
	       verdict->high / scale, said);
	print_figure(verdict->our_group, verdict->our_row);
	if (verdict->rival_row) {
		print_figure(verdict->rival_group, verdict->rival_row);
		printf("  %s", verdict->rival);
	}
	printf("%s\n", verdict->our_group->disturbed ? "  (disturbed)" : "");
}

static void print_head(void)
{
	printf("\nTargets.  x: our figure by the rival's, in one run; us: ours less the rival's, "
	       "or "
	       "ours where there is none; /s: ours; %%: of a CPU; -: no target, only to be seen\n"
	       "low - high: of the median, with 95 %% confidence, or what the repetitions give "
	       "(5: 94 %%, 3: 75 %%); ?: the bound is between\n");
	printf("  %-38s %11s %9s %9s -%9s  %-7s  %13s %9s  %13s %9s  %s\n", "what", "target",
	       "result", "low", "high", "", "ours", "CPU", "rival's", "CPU", "rival");
}

struct counts {
	uint32_t met, missed, skipped;
};

static void print_target(const struct target *target, const struct verdict *verdict, bool is_met,
			 struct counts *counts)
{
	const char *unit;
	double scale = scale_of(target, verdict, &unit);
	bool is_sure;

	printf("  %-38s %s%6g %s ", target->text,
	       target->bound == AT_LEAST ? ">=" : "<=", target->factor / scale, unit);
	if (verdict->why_not) {
		counts->skipped++;
		printf("%9s  %s: %s\n", "-", verdict->rival, verdict->why_not);
		return;
	}
	counts->met += is_met;
	counts->missed += !is_met;
	is_sure = meets(target, verdict->low) == is_met && meets(target, verdict->high) == is_met;
	print_result(verdict, scale,
		     is_met    ? is_sure ? "met" : "met?"
		     : is_sure ? "MISSED"
			       : "MISSED?");
}

static void print_remark(const struct target *target, const struct verdict *verdict, bool is_met)
{
	printf("  %-38s %8s x  ", target->text, "-");
	if (verdict->why_not)
		printf("%9s  %s: %s\n", "-", verdict->rival, verdict->why_not);
	else
		print_result(verdict, 1, is_met ? "faster" : "slower");
}

void targets_print(FILE *json, const struct group *groups, uint32_t count, bool filtered)
{
	const size_t target_count = sizeof(targets) / sizeof(targets[0]);
	const size_t all_count = target_count + sizeof(remarks) / sizeof(remarks[0]);
	struct counts counts = {0};
	bool has_head = false;

	for (size_t i = 0; i < all_count; i++) {
		bool is_remark = i >= target_count;
		const struct target *target = is_remark ? &remarks[i - target_count] : &targets[i];
		struct verdict verdict = judge(target, groups, count);
		bool is_met = meets(target, verdict.result);

		if (json)
			print_json(json, target, &verdict, is_met, is_remark, i + 1 == all_count);
		if (verdict.why_not && filtered)
			continue;
		if (!has_head)
			print_head();
		has_head = true;
		if (is_remark)
			print_remark(target, &verdict, is_met);
		else
			print_target(target, &verdict, is_met, &counts);
	}
	if (has_head)
		printf("%u targets met, %u missed, %u without a result\n", counts.met,
		       counts.missed, counts.skipped);
	else
		printf("\nNo target is judged by these rows alone: see whether one is by their "
		       "whole "
		       "group, --row 'GROUP/*'\n");
}
