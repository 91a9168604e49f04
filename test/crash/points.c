/* SPDX-License-Identifier: Apache-2.0 */

/*
 *	PROGRAM [--all | --points N] [--placed] [NAME]
 *
 *	--all		every instruction
 *	--points	about so many of each scenario
 *	--placed	objects that are placed in a region, by programs that can
 *	NAME		the scenarios whose names hold it
 */

#include "points.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "folder.h"
#include "step.h"

#define STEPS_LIMIT 200000
/* Nobody waits for a timer: the shortest there is anywhere is of 100 ms.  Who only had no processor is not
 * late each time. */
#ifndef SLOW_NS
#define SLOW_NS INT64_C(90000000)
#endif
#define SLOW_ROUNDS 3u
/* Kill points of a scenario, unless all are wanted. */
#define POINTS 40u

static const struct points_case *current;
static bool has_sleeper, has_helped, are_placed;
static uint64_t points_wanted = POINTS;
static char folder[FOLDER_BYTES];
static uint32_t descriptors; /* of this process, once it has done all that it does once */
static int64_t killed_ns;

/* What the sleeper got: 1 - its answer, which is not positive; 0 nothing yet. */
static _Atomic int64_t *answered;
static char fault[200];
static bool slow; /* what is wrong is that somebody waited for long */

bool points_wrong(const char *what, int64_t figure)
{
	if (fault[0] == '\0')
		snprintf(fault, sizeof(fault), "%s (%" PRId64 ")", what, figure);
	return false;
}

bool points_slow(const char *what, int64_t took_ns)
{
	slow = true;
	return points_wrong(what, took_ns);
}

bool points_is_slow(int64_t took_ns)
{
	return took_ns > SLOW_NS;
}

int64_t points_deadline(void)
{
	return step_now_ns() + POINTS_PATIENCE_NS;
}

int64_t points_killed_ns(void)
{
	return killed_ns;
}

static uint32_t entries(const char *path)
{
	DIR *directory = opendir(path);
	uint32_t count = 0;

	while (directory && readdir(directory))
		count++;
	if (directory)
		closedir(directory);
	return count;
}

uint32_t points_descriptors(void)
{
	/* "." and "..", and this thread. */
	while (entries("/proc/self/task") > 3)
		sched_yield();
	return entries("/proc/self/fd");
}

bool points_are_tenons(void)
{
	return folder_files(folder) > 0;
}

bool points_are_placed(void)
{
	return are_placed;
}

int points_die_behind(int (*run)(const struct points_case *one), const struct points_case *one)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		if (run(one) == 0)
			kill(getpid(), SIGKILL);
		_exit(1);
	}
	return waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) ? 0 : -1;
}

/* For struct step_plan. */
static int prepare(void *context)
{
	(void)context;
	return current->prepare(current);
}

static void operate(void *context)
{
	(void)context;
	current->operate(current);
}

static int help(void)
{
	if (!current->help)
		return 0;
	has_helped = true;
	return current->help(current);
}

static struct step_plan plan = {
	.prepare = prepare, .operate = operate, .patience_ns = POINTS_PATIENCE_NS};

static pid_t sleeper;

static pid_t start_sleeper(void)
{
	pid_t pid;

	atomic_store(answered, 0);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		atomic_store(answered, 1 - current->sleep(current));
		_exit(0);
	}
	return pid;
}

/* Asleep, or done with it already. */
static void await_sleeper(void)
{
	while (!step_is_asleep(sleeper, NULL) && atomic_load(answered) == 0)
		sched_yield();
}

static void add_sleeper(void)
{
	if (!has_sleeper || sleeper)
		return;
	sleeper = start_sleeper();
	await_sleeper();
}

static int on_sleep(void *context)
{
	(void)context;
	if (current->is_second)
		add_sleeper();
	return has_helped ? 0 : help();
}

/* The sleeper's answer. */
static bool prove_sleeper(bool finished, int64_t since_ns, int *ret_answer)
{
	bool was_due = false, right = true;
	int64_t answer, took_ns = 0;
	int status;

	while (atomic_load(answered) == 0 && took_ns < POINTS_PATIENCE_NS) {
		took_ns = step_now_ns() - since_ns;
		if ((!has_helped || current->helps_again) && current->is_due &&
		    !current->is_due(current, finished)) {
			if (help() != 0)
				right = points_wrong("help", 0);
			since_ns = step_now_ns();
			continue;
		}
		was_due = true;
		sched_yield();
	}
	if (was_due && took_ns > SLOW_NS)
		right = points_slow("the sleeper waited: ns", took_ns);
	answer = atomic_load(answered);
	if (answer == 0)
		kill(sleeper, SIGKILL);
	waitpid(sleeper, &status, 0);
	*ret_answer = (int)(1 - answer);
	if (answer == 0 || !current->is_right(current, *ret_answer))
		right = points_wrong("the sleeper's answer", 1 - answer);
	return right;
}

/* It waits for its own threads, which go on. */
static int on_threads(void *context)
{
	(void)context;
	return 0;
}

static bool set_stage(void)
{
	fault[0] = '\0';
	has_helped = false;
	sleeper = 0;
	plan.may_sleep = current->may_wait || current->has_threads;
	/* Its threads would run into the breakpoint. */
	plan.jumps = !current->has_threads;
	plan.on_sleep = current->may_wait && (current->help || current->is_second) ? on_sleep
			: current->has_threads					   ? on_threads
										   : NULL;
	return current->set_stage(current) || points_wrong("stage", 0);
}

/* Takes a victim to its marker. */
static bool start_victim(struct step_victim *victim)
{
	if (step_start(victim, &plan) != 0)
		return points_wrong("the victim cannot begin", 0);
	return !current->disturb || current->disturb(current) || points_wrong("stage", 0);
}

/* Whether the victim came to where it was to be killed. */
static bool is_possible(enum step_end end)
{
	if (end == STEP_HANGS || end == STEP_CRASHED)
		return points_wrong("the victim hangs or crashed", end);
	return true;
}

/* With the others about, since what they do makes its way longer. */
static enum step_end record(struct step_victim *victim, struct step_trace *ret_trace)
{
	enum step_end end = step_record(victim, ret_trace, STEPS_LIMIT);

	/* One that nobody helps is left asleep, and so is one whose threads have no processor for long. */
	if (end != STEP_FINISHED &&
	    !(end == STEP_ASLEEP && (current->may_wait || current->has_threads)))
		points_wrong("the operation does not end", end);
	return end;
}

/* Kills it behind the n-th instruction; without a trace, at its end. */
static bool survive(struct step_victim *victim, const struct step_trace *trace, uint64_t point,
		    struct step_trace *ret_trace)
{
	enum step_end end;
	int64_t since_ns;
	bool right, finished;
	int answer = POINTS_NO_ANSWER;

	sleeper = 0;
	if (!current->is_rival && !current->is_second)
		add_sleeper();
	end = trace ? step_jump(victim, trace, point) : record(victim, ret_trace);
	add_sleeper();
	finished = end == STEP_FINISHED;
	since_ns = step_now_ns();
	step_kill(victim);
	killed_ns = victim->killed_ns;
	right = is_possible(end) && fault[0] == '\0';
	if (sleeper)
		right = prove_sleeper(finished, since_ns, &answer) && right;
	/* Whom the victim has started, and whose parent this is now. */
	while (current->forks && waitpid(-1, NULL, 0) > 0)
		;
	return right && current->prove(current, finished, answer);
}

static void clear_stage(bool *right)
{
	uint32_t files;

	current->clear_stage(current);
	files = folder_files(folder);
	if (files > 0) {
		*right = points_wrong("files are left", files);
		folder_remove(folder);
		mkdir(folder, 0700);
	}
	if (descriptors == 0)
		descriptors = points_descriptors();
	else if (points_descriptors() != descriptors)
		*right = points_wrong("descriptors are left, of how many", descriptors);
}

static bool run_once(const struct step_trace *trace, uint64_t point, struct step_trace *ret_trace)
{
	struct step_victim victim;
	bool right = set_stage() && start_victim(&victim) &&
		     survive(&victim, trace, point, ret_trace);

	clear_stage(&right);
	return right;
}

/* Kills behind the n-th instruction. */
static bool run_point(const struct step_trace *trace, uint64_t point)
{
	return run_once(trace, point, NULL);
}

/* The whole operation, noted.  Again, if somebody only had no processor. */
static bool record_run(struct step_trace *ret_trace)
{
	bool right = false;

	for (uint32_t round = 0; round < SLOW_ROUNDS && !right; round++) {
		step_trace_free(ret_trace);
		slow = false;
		right = run_once(NULL, 0, ret_trace);
		if (!slow)
			break;
	}
	return right;
}

/* An instruction of a run, and where it is. */
struct place {
	uint64_t address, point;
};

static int compare_places(const void *a, const void *b)
{
	const struct place *left = a, *right = b;

	if (left->address != right->address)
		return left->address < right->address ? -1 : 1;
	return left->point < right->point ? -1 : 1;
}

static int compare_points(const void *a, const void *b)
{
	const uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

	return left < right ? -1 : left > right;
}

/* Of a loop the first two rounds and the last one: what lies between is more of the same.  Answers how many. */
static uint64_t skip_rounds(const struct step_trace *trace, uint64_t *ret_points)
{
	struct place *places = malloc((trace->count + 1) * sizeof(*places));
	uint64_t count = 0;

	for (uint64_t i = 0; places && i < trace->count; i++)
		places[i] = (struct place){.address = trace->address[i], .point = i};
	if (places)
		qsort(places, trace->count, sizeof(*places), compare_places);
	for (uint64_t i = 0; places && i < trace->count; i++) {
		bool is_early = i < 2 || places[i - 2].address != places[i].address;
		bool is_last = i + 1 == trace->count || places[i + 1].address != places[i].address;

		if (is_early || is_last)
			ret_points[count++] = places[i].point;
	}
	free(places);
	qsort(ret_points, count, sizeof(*ret_points), compare_points);
	return count;
}

/* Behind how many instructions to kill, in rising order; the last is behind them all. */
static uint64_t *choose_points(const struct step_trace *trace, uint64_t *ret_count)
{
	uint64_t *points = malloc((trace->count + 1) * sizeof(*points));
	uint64_t count = 0, chosen = 0;

	if (!points)
		return NULL;
	if (points_wanted == UINT64_MAX && !current->is_long)
		for (; count < trace->count; count++)
			points[count] = count;
	else
		count = skip_rounds(trace, points);
	chosen = current->is_long ? points_wanted / 4 + 1 : points_wanted;
	if (chosen > count)
		chosen = count;
	for (uint64_t i = 0; i < chosen; i++)
		points[i] = points[i * count / chosen];
	points[chosen++] = trace->count;
	*ret_count = chosen;
	return points;
}

static bool try_point(const struct step_trace *trace, uint64_t point)
{
	char where[200] = "";
	bool right = false;

	for (uint32_t round = 0; round < SLOW_ROUNDS && !right; round++) {
		slow = false;
		right = run_point(trace, point);
		if (!slow)
			break;
	}
	if (!right && point < trace->count)
		step_describe(trace->address[point], where, sizeof(where));
	if (!right)
		printf("# behind instruction %" PRIu64 " of %" PRIu64 ": %s; %s\n", point,
		       trace->count, fault, where);
	return right;
}

static bool run_scenario(uint64_t *ret_points, uint64_t *ret_instructions)
{
	struct step_trace trace = {0};
	uint64_t *points, count = 0;
	bool right = record_run(&trace);

	if (!right)
		printf("# behind its end, recording: %s\n", fault);
	points = right ? choose_points(&trace, &count) : NULL;
	right = points != NULL;
	for (*ret_points = 0; right && *ret_points < count; ++*ret_points)
		right = try_point(&trace, points[*ret_points]);
	*ret_instructions = trace.count;
	free(points);
	step_trace_free(&trace);
	return right;
}

/* One line of TAP. */
static bool report(uint32_t number, const char *name)
{
	const char *obstacle = current->obstacle ? current->obstacle(current) : NULL;
	uint64_t points = 0, instructions = 0;
	bool right;

	if (obstacle) {
		printf("ok %u - %s # SKIP %s\n", number, name, obstacle);
		return true;
	}
	right = run_scenario(&points, &instructions);
	printf("%sok %u - %s: %" PRIu64 " kill points of %" PRIu64 "\n", right ? "" : "not ",
	       number, name, points, instructions);
	fflush(stdout);
	return right;
}

static uint32_t run_all(const struct points_case *cases, uint32_t count, const char *pattern,
			uint32_t *ret_failed)
{
	uint32_t number = 0;

	for (uint32_t i = 0; i < 2 * count; i++) {
		char name[64];

		current = &cases[i / 2];
		has_sleeper = i % 2;
		snprintf(name, sizeof(name), "%s%s%s", are_placed ? "placed/" : "", current->name,
			 !has_sleeper	     ? ""
			 : current->is_rival ? "/rival"
					     : "/sleeper");
		if ((has_sleeper && current->no_sleeper) || !strstr(name, pattern))
			continue;
		*ret_failed += !report(++number, name);
	}
	return number;
}

static const char *read_options(int argc, char **argv)
{
	const char *pattern = "";

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--all") == 0)
			points_wanted = UINT64_MAX;
		else if (strcmp(argv[i], "--points") == 0 && i + 1 < argc)
			points_wanted = strtoull(argv[++i], NULL, 10);
		else if (strcmp(argv[i], "--placed") == 0)
			are_placed = true;
		else
			pattern = argv[i];
	}
	if (points_wanted == 0)
		points_wanted = 1;
	return pattern;
}

int points_main(int argc, char **argv, const struct points_case *cases, uint32_t count)
{
	const char *pattern, *obstacle;
	uint32_t failed = 0;

	step_restart(argv);
	pattern = read_options(argc, argv);
	obstacle = step_obstacle();
	if (obstacle) {
		printf("1..0 # SKIP %s\n", obstacle);
		return 0; /* TAP says that it is skipped */
	}
	if (folder_make(folder) != 0)
		return 2;
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	answered = mmap(NULL, sizeof(*answered), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			-1, 0);
	printf("TAP version 13\n");
	printf("1..%u\n", run_all(cases, count, pattern, &failed));
	folder_remove(folder);
	return failed > 0;
}
