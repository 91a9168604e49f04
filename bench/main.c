// SPDX-License-Identifier: Apache-2.0
/*
 * tenon-bench: Tenon's queue, locks and semaphores against the kernel's and the C library's own and against the
 * limits of the machine, in one run.
 *
 * The rows of a group are measured in turn, A B C A B C ..., so that what changes on the machine
 * meets all of them; a turn during which somebody else used the CPUs is measured again.
 */

#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench.h"
#include "machine.h"
#include "probe.h"

#define BUDGET_SECONDS 415.0
#define BUDGET_QUICK_SECONDS 110.0
#define SPARE_SECONDS 40.0 /* for turns that were disturbed */
#define SPARE_QUICK_SECONDS 8.0
#define OVERHEAD_SECONDS 0.035 /* of a run: forking, opening, first touch, the end of daemons */
#define RUN_SECONDS_MIN 0.05
#define RUN_SECONDS_MAX 0.5
#define STEAL_LIMIT 0.03
#define OTHERS_LIMIT 0.06

static char folder[] = "/dev/shm/tenon-bench-XXXXXX";

static void remove_folder(void)
{
	DIR *directory = opendir(folder);
	struct dirent *entry;

	while (directory && (entry = readdir(directory))) {
		if (entry->d_name[0] != '.' || strlen(entry->d_name) > 2)
			unlinkat(dirfd(directory), entry->d_name, 0);
	}
	if (directory)
		closedir(directory);
	rmdir(folder);
}

static int make_folder(void)
{
	if (!mkdtemp(folder) || setenv("TENON_NAMESPACE", folder, 1) < 0) {
		fprintf(stderr, "tenon-bench: no folder for the objects under /dev/shm: %s\n",
			strerror(errno));
		return -1;
	}
	return 0;
}

static void stop_transports(void)
{
	const struct transport *transport;

	for (size_t i = 0; (transport = transport_at(i)); i++) {
		if (transport->stop)
			transport->stop();
	}
}

static bool measure_turn(struct group *group, uint32_t turn, double seconds)
{
	for (uint32_t i = 0; i < group->row_count; i++) {
		struct row *row = &group->rows[i];

		if (row->skipped || row->fault[0])
			continue;
		if (!run_row(row, turn, seconds))
			return false;
		if (row->fault[0] && row->starved && !row->tried_again) {
			row->tried_again = true;
			row->fault[0] = '\0';
			if (!run_row(row, turn, seconds))
				return false;
		}
	}
	return true;
}

static bool is_disturbed(const struct machine_load *load)
{
	return load->steal_share > STEAL_LIMIT || load->others_share > OTHERS_LIMIT;
}

static uint32_t repetitions(const struct group *group, const struct settings *settings)
{
	return group->repeat_most > 0 && settings->repeat > group->repeat_most ? group->repeat_most
									       : settings->repeat;
}

/* A disturbed turn is measured again while there is spare time, at most every other one of a group;
 * then what there is has to do. */
static bool measure_group(struct group *group, struct settings *settings)
{
	uint32_t repeat = repetitions(group, settings), again = repeat / 2, turn = 0;

	group->measured = true;
	while (turn < repeat) {
		uint64_t begin_ns = monotonic_ns();
		struct machine_load load;

		machine_load_begin();
		if (!measure_turn(group, turn, settings->run_seconds))
			return false;
		load = machine_load_end();
		if (is_disturbed(&load) && again > 0 && settings->spare_seconds > 0) {
			again--;
			settings->spare_seconds -= (double)(monotonic_ns() - begin_ns) / 1e9;
			continue;
		}
		group->disturbed = group->disturbed || is_disturbed(&load);
		group->steal_share += load.steal_share / repeat;
		group->others_share += load.others_share / repeat;
		group->sample_count = ++turn;
	}
	return true;
}

static uint32_t count_runs(const struct group *groups, uint32_t count,
			   const struct settings *settings)
{
	uint32_t runs = 0;

	for (uint32_t i = 0; i < count; i++) {
		for (uint32_t j = 0; j < groups[i].row_count; j++)
			runs += groups[i].rows[j].skipped ? 0 : repetitions(&groups[i], settings);
	}
	return runs;
}

static void plan_time(struct settings *settings, uint32_t runs)
{
	double budget = settings->quick ? BUDGET_QUICK_SECONDS : BUDGET_SECONDS;
	double seconds = budget / (runs + 1) - OVERHEAD_SECONDS;

	settings->spare_seconds = settings->quick ? SPARE_QUICK_SECONDS : SPARE_SECONDS;
	if (settings->run_seconds > 0) {
		settings->spare_seconds = 0;
		return;
	}
	if (seconds < RUN_SECONDS_MIN)
		seconds = RUN_SECONDS_MIN;
	if (seconds > RUN_SECONDS_MAX)
		seconds = RUN_SECONDS_MAX;
	settings->run_seconds = seconds;
}

static void print_time(const char *before, double seconds, const char *behind)
{
	if (seconds < 100)
		printf("%s%.0f seconds%s\n", before, seconds + 0.5, behind);
	else
		printf("%s%.0f minutes%s\n", before, seconds / 60 + 0.5, behind);
}

static void print_list(const struct group *groups, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		for (uint32_t j = 0; j < groups[i].row_count; j++) {
			const struct row *row = &groups[i].rows[j];

			printf("%s/%s%s%s\n", groups[i].name, row->name,
			       row->skipped ? "  skipped: " : "", row->skipped ? row->skipped : "");
		}
	}
}

static void usage(FILE *file)
{
	fprintf(file,
		"usage: tenon-bench [--quick] [--row PATTERN] [--json FILE] [--repeat N] "
		"[--seconds S] [--list]\n"
		"  --quick        fewer rows and repetitions: two minutes, or somewhat more on a "
		"busy machine\n"
		"  --row PATTERN  only rows whose GROUP/ROW matches, or contains, PATTERN (once "
		"only);\n"
		"                 take a whole group to compare: --row 'rt-64-active/*'\n"
		"  --json FILE    write the figures as JSON as well\n"
		"  --repeat N     repetitions of each row, 1 to 64 (default 5, quick 3)\n"
		"  --seconds S    each for so long, 0.01 to 60 (default: what the time allows)\n"
		"  --list         print the rows, measure nothing\n"
		"Exit status: 0; 1 a row has no figure (on a machine with other work to do one may "
		"not get\na processor in its time: measure it again), or the file cannot be "
		"written; 2 the arguments;\n130 a signal ended it.  A missed target is a figure, "
		"and no failure.\n");
}

static int parse(int argc, char **argv, struct settings *settings)
{
	static const struct option options[] = {
		{"quick", no_argument, NULL, 'q'},	   {"row", required_argument, NULL, 'r'},
		{"json", required_argument, NULL, 'j'},	   {"repeat", required_argument, NULL, 'n'},
		{"seconds", required_argument, NULL, 's'}, {"list", no_argument, NULL, 'l'},
		{"help", no_argument, NULL, 'h'},	   {NULL, 0, NULL, 0},
	};
	unsigned long repeat = 0;
	char *end = NULL;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'q')
			settings->quick = true;
		else if (option == 'r')
			settings->row_pattern = optarg;
		else if (option == 'j')
			settings->json_path = optarg;
		else if (option == 'l')
			settings->list = true;
		else if (option == 'n')
			repeat = strtoul(optarg, &end, 10);
		else if (option == 'h')
			usage(stdout);
		else if (option == 's')
			settings->run_seconds = strtod(optarg, &end);
		if (option == 'h')
			exit(0);
		if (option == 's' &&
		    (*end || !(settings->run_seconds >= 0.01 && settings->run_seconds <= 60)))
			return -EINVAL;
		if (option == '?' || (option == 'n' && (*end || repeat < 1 || repeat > REPEAT_MAX)))
			return -EINVAL;
	}
	settings->repeat = repeat ? (uint32_t)repeat : settings->quick ? 3 : 5;
	return optind == argc ? 0 : -EINVAL;
}

/* What ends the program is taken while it waits for a run, so that nothing is left behind. */
static void block_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

/* How long the rest will take, if it goes on as it has begun. */
static void print_left(const struct group *groups, uint32_t count, uint32_t done, uint64_t begin_ns,
		       const struct settings *settings)
{
	double seconds = (double)(monotonic_ns() - begin_ns) / 1e9;
	uint32_t runs = count_runs(groups, done, settings);
	char before[60];

	if (done == count || runs == 0)
		return;
	seconds *= (double)count_runs(groups + done, count - done, settings) / runs;
	snprintf(before, sizeof(before), "  group %u of %u; about ", done, count);
	print_time(before, seconds, " to go");
	fflush(stdout);
}

static int measure(struct settings *settings, struct group *groups, uint32_t count, FILE *json)
{
	uint64_t begin_ns = monotonic_ns();
	int status = 0;

	machine_describe(stdout);
	printf("Each row: %u repetition%s of %.2f s, the rows of a group in turn.  CPU %% is of "
	       "one "
	       "CPU:"
	       " askers or producers + answerers or consumers.\n",
	       settings->repeat, settings->repeat == 1 ? "" : "s", settings->run_seconds);
	print_time("About ",
		   count_runs(groups, count, settings) * (settings->run_seconds + OVERHEAD_SECONDS),
		   ", where nothing else runs.");
	for (uint32_t i = 0; i < count; i++) {
		if (!measure_group(&groups[i], settings)) {
			fprintf(stderr, "tenon-bench: stopped\n");
			if (json) {
				report_json(json, groups, i, settings);
				fprintf(json, "  ]\n}\n");
			}
			return 130;
		}
		report_group(&groups[i]);
		print_left(groups, count, i + 1, begin_ns, settings);
		for (uint32_t j = 0; j < groups[i].row_count; j++) {
			if (groups[i].rows[j].fault[0])
				status = 1;
		}
	}
	if (json)
		report_json(json, groups, count, settings);
	targets_print(json, groups, count, settings->row_pattern != NULL);
	report_end(groups, count);
	if (json)
		fprintf(json, "  ]\n}\n");
	return status;
}

int main(int argc, char **argv)
{
	struct settings settings = {0};
	struct group *groups;
	FILE *json = NULL;
	uint32_t count, runs;
	int status = 1;

	if (parse(argc, argv, &settings) < 0) {
		usage(stderr);
		return 2;
	}
	machine_prepare();
	count = plan_make(&settings, &groups);
	runs = count_runs(groups, count, &settings);
	plan_time(&settings, runs);
	if (settings.list || count == 0) {
		print_list(groups, count);
		if (count > 0)
			fprintf(stderr, "%u groups; %.0f seconds or so\n", count,
				runs * (settings.run_seconds + OVERHEAD_SECONDS));
		else
			fprintf(stderr, "tenon-bench: no row matches %s; see --list\n",
				settings.row_pattern);
		return count == 0 ? 2 : 0;
	}
	if (settings.json_path && !(json = fopen(settings.json_path, "we"))) {
		fprintf(stderr, "tenon-bench: %s: %s\n", settings.json_path, strerror(errno));
		return 1;
	}
	block_signals();
	if (make_folder() == 0) {
		status = measure(&settings, groups, count, json);
		probe_open_clean();
		stop_transports();
		remove_folder();
	}
	if (json && fclose(json) != 0) {
		fprintf(stderr, "tenon-bench: %s: %s\n", settings.json_path, strerror(errno));
		status = 1;
	}
	free(groups);
	return status;
}
