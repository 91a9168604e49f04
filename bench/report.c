// SPDX-License-Identifier: Apache-2.0
/* Tables for people, and the same as JSON for programs. */

#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "machine.h"

#define STALLS_LIMIT 0.05

const struct unit_text unit_texts[] = {
	[UNIT_NS] = {"ns", "microseconds", "us ", 1e3},
	[UNIT_MESSAGES] = {"messages/s", "million messages/s", "M/s", 1e6},
	[UNIT_BYTES] = {"bytes", "KiB", "KiB", 1024},
	[UNIT_WAKES] = {"switches/s", "switches/s", "/s ", 1},
	[UNIT_PAIRS] = {"pairs/s", "million pairs/s", "M/s", 1e6},
};

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

/* Each value is above the true median with a probability of a half: by the binomial distribution, and no other is assumed. */
double median_interval(uint32_t count, uint32_t *ret_left_out)
{
	double tail = 1, term = 1, beyond = 0;
	uint32_t left_out = 0;

	for (uint32_t i = 0; i < count; i++)
		term /= 2;
	/* `term`: just i of them are below; `tail`: i or fewer are. */
	for (uint32_t i = 0; i < count / 2; i++) {
		beyond += term;
		if (i > 0 && 2 * beyond > 0.05)
			break;
		tail = beyond;
		left_out = i;
		term = term * (count - i) / (i + 1);
	}
	*ret_left_out = left_out;
	return count < 2 ? 0 : 1 - 2 * tail;
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

double row_cpu_share(const struct group *group, const struct row *row, uint32_t side)
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

/* Of the pairs, what the process with fewest had, or with most. */
static double median_part(const struct group *group, const struct row *row, bool most)
{
	double values[REPEAT_MAX];

	for (uint32_t i = 0; i < group->sample_count; i++)
		values[i] = most ? row->samples[i].most_share : row->samples[i].least_share;
	return median(values, group->sample_count);
}

/* The columns that all rows of transports share: processor time and stalls.  On a quiet machine a
 * stall is the transport's own. */
static void report_costs(const struct group *group, const struct row *row)
{
	double stalls = median_stall_share(group, row);

	if (row->shape.consumers > 0)
		printf("   %4.0f + %4.0f", 100 * row_cpu_share(group, row, 0),
		       100 * row_cpu_share(group, row, 1));
	else
		printf("   %11.0f", 100 * row_cpu_share(group, row, 0));
	printf(" %7.1f%s\n", 100 * stalls,
	       stalls > STALLS_LIMIT && !group->disturbed ? "  <- stalls of its own" : "");
}

static double quantile_us(const struct row *row, double share)
{
	return (double)histogram_quantile(&row->trips, share) * machine_ns_per_tick() / 1e3;
}

static void report_times(const struct group *group, const struct row *row, const double *values,
			 double middle)
{
	int digits = middle < 100 ? 4 : 3;

	printf("%9.*f %9.*f -%9.*f", digits, middle / 1e3, digits, values[0] / 1e3, digits,
	       values[group->sample_count - 1] / 1e3);
	if (row->trips.count > 0)
		printf(" %9.3f %9.3f %9.3f %9.0f", quantile_us(row, 0.5), quantile_us(row, 0.99),
		       quantile_us(row, 0.999), quantile_us(row, 1.0));
	else
		printf(" %9s %9s %9s %9s", "-", "-", "-", "-");
	if (row->transport)
		report_costs(group, row);
	else if (row_cpu_share(group, row, 0) > 0)
		printf("   %11.0f\n", 100 * row_cpu_share(group, row, 0));
	else
		printf("   %11s\n", "-");
}

static void report_row(const struct group *group, const struct row *row)
{
	double values[REPEAT_MAX], middle, most;
	uint32_t count = sorted_figures(group, row, values);
	int digits;

	middle = median(values, count);
	most = values[count - 1];
	printf("  %-26s ", row->name);
	switch (row->unit) {
	case UNIT_NS:
		report_times(group, row, values, middle);
		break;
	case UNIT_MESSAGES:
		printf("%10.4f %10.4f -%10.4f", middle / 1e6, values[0] / 1e6, most / 1e6);
		/* What is loaned is neither copied nor read but for its ends. */
		if (row->shape.method == METHOD_LOAN)
			printf(" %9s", "-");
		else
			printf(" %9.3f", middle * row->shape.bytes / 1e9);
		report_costs(group, row);
		break;
	case UNIT_PAIRS:
		printf("%10.4f %10.4f -%10.4f %4.0f -%3.0f", middle / 1e6, values[0] / 1e6,
		       most / 1e6, 100 * median_part(group, row, false),
		       100 * median_part(group, row, true));
		report_costs(group, row);
		break;
	case UNIT_BYTES:
		digits = middle < 1024 ? 3 : 1;
		printf("%10.*f %10.*f -%10.*f\n", digits, middle / 1024, digits, values[0] / 1024,
		       digits, most / 1024);
		break;
	default:
		printf("%10.1f %10.1f -%10.1f   %11.4f\n", middle, values[0], most,
		       100 * row_cpu_share(group, row, 0));
		break;
	}
}

static void report_head(const struct group *group)
{
	enum unit unit = group->rows[0].unit;

	printf("\n%s  [%s]\n", group->title, group->name);
	if (unit == UNIT_NS)
		printf("  %-26s %9s %9s -%9s %9s %9s %9s %9s   %11s", unit_texts[unit].shown,
		       "median", "low", "high", "p50", "p99", "p99.9", "max", "CPU %");
	else
		printf("  %-26s %10s %10s -%10s", unit_texts[unit].shown, "median", "low", "high");
	if (unit == UNIT_MESSAGES)
		printf(" %9s   %11s", "GB/s", "CPU %");
	else if (unit == UNIT_PAIRS)
		printf(" %9s   %11s", "parts %", "CPU %");
	else if (unit == UNIT_WAKES)
		printf("   %11s", "CPU %");
	printf("%s\n", group->rows[0].transport ? " stall %" : "");
}

/* Of libraries of others, once for each. */
static void report_settings(const struct group *group)
{
	const struct transport *transport;

	for (size_t i = 0; (transport = transport_at(i)); i++) {
		bool is_measured = false;

		for (uint32_t j = 0; j < group->row_count; j++) {
			const struct row *row = &group->rows[j];

			is_measured = is_measured || (row->transport == transport && !row->skipped);
		}
		if (is_measured && transport->settings)
			printf("  %s: %s\n", transport->name, transport->settings);
	}
}

void report_group(const struct group *group)
{
	report_head(group);
	for (uint32_t i = 0; i < group->row_count; i++) {
		const struct row *row = &group->rows[i];

		if (row->skipped)
			printf("  %-26s skipped: %s\n", row->name, row->skipped);
		else if (row->fault[0])
			printf("  %-26s FAILED: %s\n", row->name, row->fault);
		else if (group->sample_count == 0)
			printf("  %-26s not measured\n", row->name);
		else
			report_row(group, row);
	}
	report_settings(group);
	printf("  %u repetition%s; steal %.1f %%, other processes %.1f %%%s\n", group->sample_count,
	       group->sample_count == 1 ? "" : "s", 100 * group->steal_share,
	       100 * group->others_share,
	       group->disturbed ? "  <- DISTURBED: compare with care" : "");
	fflush(stdout);
}

/* What the figures are worth, and why the program ends with 1: groups scroll away. */
void report_end(const struct group *groups, uint32_t count)
{
	uint32_t disturbed = 0, failed = 0;

	for (uint32_t i = 0; i < count; i++)
		disturbed += groups[i].disturbed;
	if (disturbed > 0)
		printf("DISTURBED: in %u of %u groups other processes or the hypervisor took more "
		       "of the CPUs than is allowed; compare these with care, or measure again on "
		       "a quiet machine\n",
		       disturbed, count);
	for (uint32_t i = 0; i < count; i++) {
		for (uint32_t j = 0; j < groups[i].row_count; j++) {
			const struct row *row = &groups[i].rows[j];

			if (!row->fault[0])
				continue;
			printf("%s  %s/%s: %s\n", failed++ ? "" : "FAILED, hence exit status 1:\n",
			       groups[i].name, row->name, row->fault);
		}
	}
	fflush(stdout);
}

/* Shares of the events, and within which time they were over. */
static void json_distribution(FILE *file, const struct row *row)
{
	static const double shares[] = {0,   0.01, 0.05, 0.1,	0.25,	0.5,	 0.75,
					0.9, 0.95, 0.99, 0.999, 0.9999, 0.99999, 1};

	fprintf(file, ", \"distribution_us\": [");
	for (size_t i = 0; i < sizeof(shares) / sizeof(shares[0]); i++)
		fprintf(file, "%s[%g, %.3f]", i ? ", " : "", shares[i],
			quantile_us(row, shares[i]));
	fprintf(file, "]");
}

/* Only our own texts are printed, and none holds a quote; errors of the system do not either. */
static void json_row(FILE *file, const struct group *group, const struct row *row)
{
	double values[REPEAT_MAX];
	uint32_t count;

	fprintf(file, "      {\"row\": \"%s\", \"title\": \"%s\"", row->name,
		row->probe ? row->probe->title : row->transport->title);
	if (row->transport && row->transport->settings)
		fprintf(file, ", \"settings\": \"%s\"", row->transport->settings);
	if (row->skipped || row->fault[0] || group->sample_count == 0) {
		fprintf(file, ", \"%s\": \"%s\"}", row->skipped ? "skipped" : "failed",
			row->skipped ? row->skipped : row->fault);
		return;
	}
	count = sorted_figures(group, row, values);
	fprintf(file, ", \"median\": %.3f, \"min\": %.3f, \"max\": %.3f", median(values, count),
		values[0], values[count - 1]);
	fprintf(file, ", \"cpu_share\": [%.4f, %.4f]", row_cpu_share(group, row, 0),
		row_cpu_share(group, row, 1));
	fprintf(file, ", \"stall_share\": %.4f", median_stall_share(group, row));
	if (row->unit == UNIT_PAIRS)
		fprintf(file, ", \"parts\": [%.4f, %.4f]", median_part(group, row, false),
			median_part(group, row, true));
	if (row->trips.count > 0) {
		fprintf(file, ", \"p50_us\": %.3f, \"p99_us\": %.3f", quantile_us(row, 0.5),
			quantile_us(row, 0.99));
		fprintf(file, ", \"p99_9_us\": %.3f, \"max_us\": %.3f", quantile_us(row, 0.999),
			quantile_us(row, 1.0));
		json_distribution(file, row);
	}
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

		fprintf(file, "    {\"group\": \"%s\", \"title\": \"%s\", ", group->name,
			group->title);
		fprintf(file, "\"unit\": \"%s\", \"steal\": %.4f, ",
			unit_texts[group->rows[0].unit].name, group->steal_share);
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
