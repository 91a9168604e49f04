// SPDX-License-Identifier: Apache-2.0
/* Tables for people, and the same as JSON for programs. */

#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "machine.h"

#define STALLS_LIMIT 0.05

static int compare_doubles(const void *left, const void *right)
{
	double a = *(const double *)left, b = *(const double *)right;

	return (a > b) - (a < b);
}

/* Sorts the values. */
double median(double *values, uint32_t count)
{
	if (count == 0)
		return 0;
	qsort(values, count, sizeof(*values), compare_doubles);
	return (values[(count - 1) / 2] + values[count / 2]) / 2;
}

static uint32_t sorted_figures(const struct group *group, const struct row *row, double *ret_values)
{
	for (uint32_t i = 0; i < group->sample_count; i++)
		ret_values[i] = row->samples[i].figure;
	qsort(ret_values, group->sample_count, sizeof(*ret_values), compare_doubles);
	return group->sample_count;
}

double row_median(const struct group *group, const struct row *row)
{
	double values[REPEAT_MAX];

	return median(values, sorted_figures(group, row, values));
}

static double median_cpu_share(const struct group *group, const struct row *row, uint32_t side)
{
	double values[REPEAT_MAX];

	for (uint32_t i = 0; i < group->sample_count; i++)
		values[i] = row->samples[i].cpu_share[side];
	return median(values, group->sample_count);
}

static double median_stall_share(const struct group *group, const struct row *row)
{
	double values[REPEAT_MAX];

	for (uint32_t i = 0; i < group->sample_count; i++)
		values[i] = row->samples[i].stall_share;
	return median(values, group->sample_count);
}

/* The columns that all rows share: processor time and stalls.  On a quiet machine a stall is the
 * transport's own. */
static void report_costs(const struct group *group, const struct row *row)
{
	double stalls = median_stall_share(group, row);

	printf("   %4.0f + %4.0f %7.1f%s\n", 100 * median_cpu_share(group, row, 0),
	       100 * median_cpu_share(group, row, 1), 100 * stalls,
	       stalls > STALLS_LIMIT && !group->disturbed ? "  <- stalls of its own" : "");
}

static double quantile_us(const struct row *row, double share)
{
	return (double)histogram_quantile(&row->trips, share) * machine_ns_per_tick() / 1e3;
}

static void report_trip(const struct group *group, const struct row *row)
{
	double values[REPEAT_MAX];
	uint32_t count = sorted_figures(group, row, values);

	printf("  %-26s %9.3f %9.3f -%9.3f %9.3f %9.3f %9.0f", row->name,
	       median(values, count) / 1e3, values[0] / 1e3, values[count - 1] / 1e3,
	       quantile_us(row, 0.5), quantile_us(row, 0.999), quantile_us(row, 1.0));
	report_costs(group, row);
}

static void report_flow(const struct group *group, const struct row *row)
{
	double values[REPEAT_MAX], middle;
	uint32_t count = sorted_figures(group, row, values);

	middle = median(values, count);
	printf("  %-26s %10.4f %10.4f -%10.4f %9.3f", row->name, middle / 1e6, values[0] / 1e6,
	       values[count - 1] / 1e6, middle * row->shape.bytes / 1e9);
	report_costs(group, row);
}

void report_group(const struct group *group)
{
	bool is_trip = group->rows[0].shape.pattern == ROUND_TRIP;

	printf("\n%s  [%s]\n", group->title, group->name);
	if (is_trip)
		printf("  %-26s %9s %9s -%9s %9s %9s %9s   %11s %7s\n", "microseconds", "median",
		       "min", "max", "p50", "p99.9", "max", "CPU %", "stall %");
	else
		printf("  %-26s %10s %10s -%10s %9s   %11s %7s\n", "million messages/s", "median",
		       "min", "max", "GB/s", "CPU %", "stall %");
	for (uint32_t i = 0; i < group->row_count; i++) {
		const struct row *row = &group->rows[i];

		if (row->skipped)
			printf("  %-26s skipped: %s\n", row->name, row->skipped);
		else if (row->fault[0])
			printf("  %-26s FAILED: %s\n", row->name, row->fault);
		else if (group->sample_count == 0)
			printf("  %-26s not measured\n", row->name);
		else if (is_trip)
			report_trip(group, row);
		else
			report_flow(group, row);
	}
	printf("  %u repetitions; steal %.1f %%, other processes %.1f %%%s\n", group->sample_count,
	       100 * group->steal_share, 100 * group->others_share,
	       group->disturbed ? "  <- DISTURBED: compare with care" : "");
	fflush(stdout);
}

/* Only our own texts are printed, and none holds a quote; errors of the system do not either. */
static void json_row(FILE *file, const struct group *group, const struct row *row)
{
	double values[REPEAT_MAX];
	uint32_t count;

	fprintf(file, "      {\"row\": \"%s\", \"transport\": \"%s\"", row->name,
		row->transport->title);
	if (row->skipped || row->fault[0] || group->sample_count == 0) {
		fprintf(file, ", \"%s\": \"%s\"}", row->skipped ? "skipped" : "failed",
			row->skipped ? row->skipped : row->fault);
		return;
	}
	count = sorted_figures(group, row, values);
	fprintf(file, ", \"median\": %.3f, \"min\": %.3f, \"max\": %.3f", median(values, count),
		values[0], values[count - 1]);
	fprintf(file, ", \"cpu_share\": [%.4f, %.4f]", median_cpu_share(group, row, 0),
		median_cpu_share(group, row, 1));
	fprintf(file, ", \"stall_share\": %.4f", median_stall_share(group, row));
	if (row->shape.pattern == ROUND_TRIP)
		fprintf(file, ", \"p50_us\": %.3f, \"p99_9_us\": %.3f, \"max_us\": %.3f",
			quantile_us(row, 0.5), quantile_us(row, 0.999), quantile_us(row, 1.0));
	fprintf(file, ", \"samples\": [");
	for (uint32_t i = 0; i < count; i++)
		fprintf(file, "%s%.3f", i ? ", " : "", row->samples[i].figure);
	fprintf(file, "]}");
}

void report_json(FILE *file, const struct group *groups, uint32_t count,
		 const struct settings *settings)
{
	fprintf(file, "{\n  \"machine\": ");
	machine_describe_json(file);
	fprintf(file, ",\n  \"run_seconds\": %.3f,\n  \"groups\": [\n", settings->run_seconds);
	for (uint32_t i = 0; i < count; i++) {
		const struct group *group = &groups[i];
		bool is_trip = group->rows[0].shape.pattern == ROUND_TRIP;

		fprintf(file, "    {\"group\": \"%s\", \"unit\": \"%s\", \"steal\": %.4f, ",
			group->name, is_trip ? "ns" : "messages/s", group->steal_share);
		fprintf(file, "\"others\": %.4f, \"disturbed\": %s, \"rows\": [\n",
			group->others_share, group->disturbed ? "true" : "false");
		for (uint32_t j = 0; j < group->row_count; j++) {
			json_row(file, group, &group->rows[j]);
			fprintf(file, "%s\n", j + 1 < group->row_count ? "," : "");
		}
		fprintf(file, "    ]}%s\n", i + 1 < count ? "," : "");
	}
	fprintf(file, "  ],\n  \"targets\": [\n");
}
