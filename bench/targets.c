// SPDX-License-Identifier: Apache-2.0
/*
 * The targets: ratios between rows of one group, each the median of the ratios of the single
 * repetitions, since what disturbs the machine disturbs neighbours alike.
 */

#include <stdlib.h>
#include <string.h>

#include "bench.h"

enum bound { AT_MOST, AT_LEAST };

/* `rivals` are rows of the same group, or with a slash of another; the best of them counts.  The
 * word cpu stands for a whole CPU: the share that the answerer or consumer uses is judged. */
struct target {
	const char *text, *group, *ours;
	enum bound bound;
	double factor;
	const char *rivals;
};

#define ACTIVE "rt-64-active"
#define ASLEEP "rt-64-asleep"
#define SAME "rt-64-same-cpu"
#define FLOW "one-way-64-1to1"
#define PEERS "pipe seqpacket stream posix-mq sysv zeromq iceoryx"

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
	{"FIFO 64 B, asleep, CPU of the sleeper", ASLEEP, "tenon-fifo", AT_MOST, 0.02, "cpu"},
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
	{"FIFO 1 MiB loaned", "one-way-1m-1to1", "tenon-fifo+loan", AT_LEAST, 8, "iceoryx"},
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
	double ratio, low, high;
	char rival[64];
};

/* The figures of one rival, as `ret_values`, or why there are none. */
static const char *rival_values(const struct group *groups, uint32_t count,
				const struct group *group, const char *name, size_t length,
				double *ret_values)
{
	const char *slash = memchr(name, '/', length);
	const struct group *its_group = group;
	const struct row *row;

	if (slash) {
		its_group = find_group(groups, count, name, (size_t)(slash - name));
		length -= (size_t)(slash + 1 - name);
		name = slash + 1;
	}
	row = find_row(its_group, name, length);
	if (!row)
		return "the rival was not measured";
	if (row->skipped)
		return row->skipped;
	if (!has_figure(its_group, row))
		return row->fault[0] ? row->fault : "the rival was not measured";
	for (uint32_t i = 0; i < group->sample_count; i++)
		ret_values[i] = slash ? row_median(its_group, row) : row->samples[i].figure;
	return NULL;
}

static void judge_rival(const struct group *group, const struct row *ours,
			const struct target *target, const double *rival, struct verdict *verdict,
			const char *name, size_t length)
{
	double ratios[REPEAT_MAX], middle;
	bool is_worse;

	for (uint32_t i = 0; i < group->sample_count; i++)
		ratios[i] = ours->samples[i].figure / rival[i];
	middle = median(ratios, group->sample_count);
	is_worse = target->bound == AT_MOST ? middle > verdict->ratio : middle < verdict->ratio;
	if (!verdict->why_not && !is_worse)
		return;
	verdict->why_not = NULL;
	verdict->ratio = middle;
	verdict->low = ratios[0];
	verdict->high = ratios[group->sample_count - 1];
	snprintf(verdict->rival, sizeof(verdict->rival), "%.*s", (int)length, name);
}

static void judge_cpu(const struct group *group, const struct row *ours, struct verdict *verdict)
{
	double shares[REPEAT_MAX];

	for (uint32_t i = 0; i < group->sample_count; i++)
		shares[i] = ours->samples[i].cpu_share[1];
	verdict->ratio = median(shares, group->sample_count);
	verdict->low = shares[0];
	verdict->high = shares[group->sample_count - 1];
	verdict->why_not = NULL;
	snprintf(verdict->rival, sizeof(verdict->rival), "one CPU");
}

static struct verdict judge(const struct target *target, const struct group *groups, uint32_t count)
{
	const struct group *group = find_group(groups, count, target->group, strlen(target->group));
	const struct row *ours = find_row(group, target->ours, strlen(target->ours));
	struct verdict verdict = {.why_not = "not measured"};
	double rival[REPEAT_MAX];
	const char *name = target->rivals, *why = NULL;

	snprintf(verdict.rival, sizeof(verdict.rival), "%s", target->rivals);
	if (!has_figure(group, ours)) {
		if (ours && ours->fault[0])
			verdict.why_not = ours->fault;
		else if (ours && ours->skipped)
			verdict.why_not = ours->skipped;
		return verdict;
	}
	if (strcmp(target->rivals, "cpu") == 0) {
		judge_cpu(group, ours, &verdict);
		return verdict;
	}
	while (*name) {
		size_t length = strcspn(name, " ");

		why = rival_values(groups, count, group, name, length, rival);
		if (!why)
			judge_rival(group, ours, target, rival, &verdict, name, length);
		else if (verdict.why_not)
			verdict.why_not = why;
		name += length + strspn(name + length, " ");
	}
	return verdict;
}

static void print_json(FILE *json, const struct target *target, const struct verdict *verdict,
		       bool is_met, bool is_last)
{
	fprintf(json, "    {\"what\": \"%s\", \"row\": \"%s/%s\", \"rival\": \"%s\", ",
		target->text, target->group, target->ours, verdict->rival);
	fprintf(json, "\"bound\": \"%s\", \"target\": %g, ",
		target->bound == AT_MOST ? "at most" : "at least", target->factor);
	if (verdict->why_not)
		fprintf(json, "\"skipped\": \"%s\"}", verdict->why_not);
	else
		fprintf(json, "\"result\": %.4f, \"low\": %.4f, \"high\": %.4f, \"met\": %s}",
			verdict->ratio, verdict->low, verdict->high, is_met ? "true" : "false");
	fprintf(json, "%s\n", is_last ? "" : ",");
}

void targets_print(FILE *json, const struct group *groups, uint32_t count, bool filtered)
{
	uint32_t met = 0, missed = 0, skipped = 0;
	const size_t target_count = sizeof(targets) / sizeof(targets[0]);

	printf("\nTargets: our figure by the rival's, in one run\n");
	printf("  %-38s %-32s %9s %9s %18s\n", "what", "rival", "target", "result", "low - high");
	for (size_t i = 0; i < target_count; i++) {
		const struct target *target = &targets[i];
		struct verdict verdict = judge(target, groups, count);
		bool is_met = target->bound == AT_MOST ? verdict.ratio <= target->factor
						       : verdict.ratio >= target->factor;

		if (json)
			print_json(json, target, &verdict, is_met, i + 1 == target_count);
		if (verdict.why_not && filtered)
			continue;
		printf("  %-38s %-32s %s%7g ", target->text, verdict.rival,
		       target->bound == AT_MOST ? "<=" : ">=", target->factor);
		if (verdict.why_not) {
			skipped++;
			printf("%9s  %s\n", "-", verdict.why_not);
			continue;
		}
		met += is_met;
		missed += !is_met;
		printf("%9.3f %8.3f -%8.3f  %s\n", verdict.ratio, verdict.low, verdict.high,
		       is_met ? "met" : "MISSED");
	}
	printf("%u targets met, %u missed, %u without a result\n", met, missed, skipped);
}
