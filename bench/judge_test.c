/* SPDX-License-Identifier: Apache-2.0 */

/* What the benchmark concludes from figures: quantiles, medians and their intervals, targets. */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"
#include "machine.h"

static uint32_t failures;

#define EXPECT(condition)                                                        \
	do {                                                                     \
		if (!(condition)) {                                              \
			printf("# %s:%d: %s\n", __FILE__, __LINE__, #condition); \
			failures++;                                              \
		}                                                                \
	} while (0)

/* What report.c asks of the rest of the program. */
double machine_ns_per_tick(void)
{
	return 1;
}

void machine_describe_json(FILE *file)
{
	fputs("{}", file);
}

const struct transport *transport_at(size_t index)
{
	(void)index;
	return NULL;
}

const struct probe *probe_find(const char *name, size_t length)
{
	(void)name;
	(void)length;
	return NULL;
}

static bool is_near(double figure, double expected)
{
	return fabs(figure - expected) < 1e-3 * fabs(expected) + 1e-9;
}

static void test_median(void)
{
	double odd[] = {5, 1, 3}, even[] = {4, 1, 3, 2}, none[1] = {7};

	EXPECT(median(odd, 3) == 3);
	EXPECT(median(even, 4) == 2.5);
	EXPECT(median(none, 0) == 0);
}

/* Twice the sum of the binomial distribution's tail, by hand. */
static void test_interval(void)
{
	static const struct {
		uint32_t count, left_out;
		double confidence;
	} cases[] = {
		{1, 0, 0},	 {2, 0, 0.5},	    {3, 0, 0.75},   {5, 0, 0.9375},
		{6, 0, 0.96875}, {8, 0, 0.9921875}, {9, 1, 0.9609}, {15, 3, 0.9648},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint32_t left_out;
		double confidence = median_interval(cases[i].count, &left_out);

		EXPECT(left_out == cases[i].left_out);
		EXPECT(is_near(confidence, cases[i].confidence));
	}
}

static void test_histogram(void)
{
	static struct histogram histogram, other;

	EXPECT(histogram_quantile(&histogram, 0.5) == 0);
	for (uint64_t i = 1; i <= 1000; i++)
		histogram_add(i % 2 ? &histogram : &other, i * 1000);
	histogram_merge(&histogram, &other);
	EXPECT(histogram.count == 1000 && histogram.maximum == 1000000);
	/* Right to 1.6 per cent. */
	EXPECT(fabs((double)histogram_quantile(&histogram, 0.5) - 500000) < 8000);
	EXPECT(fabs((double)histogram_quantile(&histogram, 0.99) - 990000) < 16000);
	EXPECT(histogram_quantile(&histogram, 1) == 1000000);
	histogram_add(&histogram, UINT64_MAX);
	EXPECT(histogram_quantile(&histogram, 1) == UINT64_MAX);
}

static struct row *add_row(struct group *group, const char *name, enum unit unit,
			   const double *figures)
{
	static const struct transport none = {.title = "none"};
	struct row *row = &group->rows[group->row_count++];

	snprintf(row->name, sizeof(row->name), "%s", name);
	row->transport = &none;
	row->unit = unit;
	row->shape.consumers = 1;
	for (uint32_t i = 0; i < group->sample_count; i++)
		row->samples[i].figure = figures[i];
	return row;
}

/* The line of a target for a program, and for people. */
static void conclude(const struct group *group, const char *rival, char *ret_json, char *ret_text,
		     size_t bytes)
{
	int before = dup(STDOUT_FILENO);
	FILE *text = tmpfile(), *json = tmpfile();
	char line[1024];

	ret_json[0] = ret_text[0] = '\0';
	fflush(stdout);
	dup2(fileno(text), STDOUT_FILENO);
	targets_print(json, group, 1, true);
	fflush(stdout);
	dup2(before, STDOUT_FILENO);
	close(before);
	rewind(json);
	while (fgets(line, sizeof(line), json))
		if (strstr(line, rival) && strstr(line, "\"result\"") && ret_json[0] == '\0')
			snprintf(ret_json, bytes, "%s", line);
	rewind(text);
	while (fgets(line, sizeof(line), text))
		if (strstr(line, rival) && strstr(line, " x ") && ret_text[0] == '\0')
			snprintf(ret_text, bytes, "%s", line);
	fclose(json);
	fclose(text);
}

static double field(const char *json, const char *name)
{
	const char *at = strstr(json, name);

	return at ? strtod(at + strlen(name) + 3, NULL) : -1;
}

/* 64 bytes one way are to be at least 0.8 of the ring's. */
static void test_targets(void)
{
	static const struct {
		double ours[5];
		const char *verdict;
		bool met;
	} cases[] = {
		{{9, 9, 9, 9, 9}, "met ", true},
		{{7, 7, 7, 7, 7}, "MISSED ", false},
		/* The bound itself. */
		{{8, 8, 8, 8, 8}, "met ", true},
		{{7, 9, 9, 9, 9}, "met?", true},
		{{7, 7, 7, 7, 9}, "MISSED?", false},
	};
	static const double rival[5] = {10, 10, 10, 10, 10};
	static struct group group;
	char json[1024], text[1024];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		memset(&group, 0, sizeof(group));
		snprintf(group.name, sizeof(group.name), "one-way-64-1to1");
		group.sample_count = 5;
		group.measured = true;
		add_row(&group, "tenon-fifo", UNIT_MESSAGES, cases[i].ours);
		add_row(&group, "spsc:poll", UNIT_MESSAGES, rival);
		conclude(&group, "spsc:poll", json, text, sizeof(json));
		EXPECT(is_near(field(json, "result"), cases[i].ours[2] / 10));
		EXPECT(is_near(field(json, "low"), cases[i].ours[0] / 10));
		EXPECT(is_near(field(json, "high"), cases[i].ours[4] / 10));
		EXPECT((strstr(json, "\"met\": true") != NULL) == cases[i].met);
		EXPECT(strstr(text, cases[i].verdict) != NULL);
		if (failures > 0)
			printf("# %s# %s", json, text);
	}
}

/* Turn by turn: what slows a whole turn does not count. */
static void test_turns(void)
{
	static const double ours[5] = {9, 0.9, 90, 9, 9}, rival[5] = {10, 1, 100, 10, 10};
	static struct group group;
	char json[1024], text[1024];

	snprintf(group.name, sizeof(group.name), "one-way-64-1to1");
	group.sample_count = 5;
	group.measured = true;
	add_row(&group, "tenon-fifo", UNIT_MESSAGES, ours);
	add_row(&group, "spsc:poll", UNIT_MESSAGES, rival);
	conclude(&group, "spsc:poll", json, text, sizeof(json));
	EXPECT(is_near(field(json, "low"), 0.9) && is_near(field(json, "high"), 0.9));
}

/* Whoever sees only the end learns what was disturbed, and which rows have no figure. */
static void test_end(void)
{
	static const double figures[5] = {10, 10, 10, 10, 10};
	static struct group groups[2];
	FILE *text = tmpfile();
	int before = dup(STDOUT_FILENO);
	char said[1024] = "";
	size_t length;

	for (size_t i = 0; i < 2; i++) {
		snprintf(groups[i].name, sizeof(groups[i].name), "group-%zu", i);
		groups[i].sample_count = 5;
		add_row(&groups[i], "spsc:poll", UNIT_MESSAGES, figures);
	}
	fflush(stdout);
	dup2(fileno(text), STDOUT_FILENO);
	report_end(groups, 2);
	EXPECT(lseek(fileno(text), 0, SEEK_CUR) == 0);
	groups[1].disturbed = true;
	snprintf(groups[1].rows[0].fault, sizeof(groups[1].rows[0].fault), "lost");
	report_end(groups, 2);
	dup2(before, STDOUT_FILENO);
	close(before);
	rewind(text);
	length = fread(said, 1, sizeof(said) - 1, text);
	fclose(text);
	EXPECT(length > 0 && strstr(said, "in 1 of 2 groups") == strstr(said, "in "));
	EXPECT(strstr(said, "  group-1/spsc:poll: lost\n") != NULL);
	EXPECT(strstr(said, "group-0") == NULL);
}

int main(void)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} cases[] = {
		{"a median", test_median},
		{"its interval", test_interval},
		{"quantiles of a histogram", test_histogram},
		{"targets that are met, missed, and in doubt", test_targets},
		{"ratios are taken turn by turn", test_turns},
		{"the end says what was disturbed and what failed", test_end},
	};
	uint32_t count = sizeof(cases) / sizeof(cases[0]), all = 0;

	printf("TAP version 13\n1..%u\n", count);
	for (uint32_t i = 0; i < count; i++) {
		failures = 0;
		cases[i].run();
		printf("%s %u - %s\n", failures ? "not ok" : "ok", i + 1, cases[i].name);
		all += failures;
	}
	return all > 0;
}
