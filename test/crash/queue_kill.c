/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Kills processes at every instruction of the queue's operations and puts the survivors to the
 * proof; see queue_crash.h for the cast, --help for the options.
 *
 * The main process watches workers, one to a CPU, each with a namespace of its own.  A worker that
 * does not come to the end of a kill point hangs: that is a failure, the worker is killed and another
 * one goes on.
 */

#include <errno.h>
#include <getopt.h>
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
#include <time.h>
#include <unistd.h>

#include "folder.h"
#include "queue_sweep.h"

#define SKIPPED 77
#define SCENARIOS_MAX 4096u
#define WORKERS_MAX 64u
#define SECOND_NS INT64_C(1000000000)
#define MEDIAN_MAX_NS INT64_C(1000000)

extern unsigned tni_seeded_fault __attribute__((weak));

static const char usage[] =
	"usage: queue_kill [options]\n"
	"  --list              the scenarios' names; a * stands at those of the core\n"
	"  --scenario NAME     one scenario, or all whose name holds NAME\n"
	"  --from N --to N     the instructions behind which to kill, every one\n"
	"  --first N           the instruction behind which the first victim dies (repairs)\n"
	"  --all               every instruction of every scenario\n"
	"  --sample N          about N kill points a scenario that is not of the core (default "
	"24)\n"
	"  --firsts N          first victims' deaths a repair scenario (default 2; 0: all that "
	"need it)\n"
	"  --seed N            where strides begin, and with which scenario (default: the time)\n"
	"  --budget SECONDS    begin no scenario later than that; of the core's, and\n"
	"                      no kill point at all: twice that\n"
	"  --fault N           victims make the seeded mistake N; succeeds if that is caught\n"
	"  --watchdog MS       how long a survivor may take (default 5000)\n"
	"  -j N                workers (default: one to a CPU)\n";

static struct settings {
	struct sweep_options sweep;
	const char *pattern;
	bool list;
	uint32_t workers;
	int64_t budget_ns, end_ns;
	char folder[FOLDER_BYTES];
} settings;

static struct scenario scenarios[SCENARIOS_MAX];
static uint32_t jobs[SCENARIOS_MAX], job_count;

static const int awaited[] = {SIGCHLD, SIGTERM, SIGINT, SIGHUP};

static struct board *board;
static struct worker *workers;
static pid_t worker_pids[WORKERS_MAX];

static void *shared(size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED) {
		perror("mmap");
		exit(EXIT_FAILURE);
	}
	return memory;
}

static void pin(uint32_t index)
{
	cpu_set_t all, one;
	uint32_t wanted;

	if (sched_getaffinity(0, sizeof(all), &all) != 0)
		return;
	wanted = index % (uint32_t)CPU_COUNT(&all);
	CPU_ZERO(&one);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &all) && wanted-- == 0)
			CPU_SET(cpu, &one);
	sched_setaffinity(0, sizeof(one), &one);
}

/* The core's scenarios may take twice the time, for machines that are busy with other things. */
static bool is_too_late(const struct scenario *scenario)
{
	int64_t end_ns = settings.end_ns + (scenario->core ? settings.budget_ns : 0);

	return step_now_ns() > end_ns;
}

/* Takes jobs until there are none.  Core scenarios stand first in the list. */
static void be_worker(uint32_t index)
{
	struct sweep_options options = settings.sweep;
	char folder[96];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	pin(index);
	snprintf(folder, sizeof(folder), "%s/%u-%d", settings.folder, index, (int)getpid());
	if (mkdir(folder, 0700) != 0)
		_exit(EXIT_FAILURE);
	options.folder = folder;
	options.end_ns = settings.budget_ns ? settings.end_ns + settings.budget_ns : 0;
	while (!atomic_load(&board->stop)) {
		uint32_t job = atomic_fetch_add(&board->next_job, 1);

		if (job >= job_count)
			break;
		if (settings.budget_ns && is_too_late(&scenarios[jobs[job]])) {
			atomic_fetch_add(&board->scenarios_left_out, 1);
			continue;
		}
		atomic_store(&workers[index].scenario, jobs[job]);
		sweep_scenario(&scenarios[jobs[job]], &options, board, &workers[index]);
		/* One catch is enough. */
		if (options.fault && atomic_load(&board->failures))
			atomic_store(&board->stop, 1);
	}
	fflush(stdout);
	_exit(EXIT_SUCCESS);
}

static void start_worker(uint32_t index)
{
	pid_t pid;

	fflush(stdout);
	atomic_store(&workers[index].beat_ns, step_now_ns());
	pid = fork();
	if (pid == 0)
		be_worker(index);
	worker_pids[index] = pid > 0 ? pid : 0;
}

static void report_worker(uint32_t index, const char *why)
{
	struct worker *worker = &workers[index];

	atomic_fetch_add(&board->failures, 1);
	sweep_report(&scenarios[atomic_load(&worker->scenario)], atomic_load(&worker->first_steps),
		     atomic_load(&worker->steps), atomic_load(&worker->address), why);
	if (settings.sweep.fault)
		atomic_store(&board->stop, 1);
}

/* Answers whether the worker is still, or again, at work. */
static bool watch_worker(uint32_t index)
{
	int64_t silence_ns = step_now_ns() - atomic_load(&workers[index].beat_ns);
	pid_t pid = worker_pids[index];
	int status;

	if (pid <= 0)
		return false;
	if (waitpid(pid, &status, WNOHANG) == pid) {
		worker_pids[index] = 0;
		if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS)
			return false;
		report_worker(index, "the fresh process crashed");
	} else if (silence_ns > 2 * settings.sweep.patience_ns + SECOND_NS) {
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
		worker_pids[index] = 0;
		report_worker(index, "the fresh process hangs");
	} else {
		return true;
	}
	if (atomic_load(&board->stop))
		return false;
	start_worker(index);
	return true;
}

/* Once in ten seconds, so that nobody wonders. */
static void print_progress(void)
{
	static int64_t last_ns;
	static uint64_t last_points;
	uint64_t points = atomic_load(&board->kill_points);
	int64_t now_ns = step_now_ns();
	uint32_t next = atomic_load(&board->next_job);

	if (last_ns != 0 && now_ns < last_ns + 10 * SECOND_NS)
		return;
	if (last_ns != 0)
		printf("%u of %u scenarios, %" PRIu64 " kill points, %.0f a second\n",
		       next < job_count ? next : job_count, job_count, points,
		       (double)(points - last_points) * 1e9 / (double)(now_ns - last_ns));
	fflush(stdout);
	last_ns = now_ns;
	last_points = points;
}

/* Somebody wants the program to end: nothing is left behind. */
static void end_workers(void)
{
	atomic_store(&board->stop, 1);
	atomic_fetch_add(&board->failures, 1);
	printf("FAIL: ended by a signal\n");
	for (uint32_t i = 0; i < settings.workers; i++) {
		if (worker_pids[i] <= 0)
			continue;
		kill(worker_pids[i], SIGKILL);
		waitpid(worker_pids[i], NULL, 0);
		worker_pids[i] = 0;
	}
}

static void watch(void)
{
	const struct timespec moment = {0, SECOND_NS / 20};
	bool busy = true;
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(awaited) / sizeof(awaited[0]); i++)
		sigaddset(&set, awaited[i]);
	while (busy) {
		int signal = sigtimedwait(&set, NULL, &moment);

		busy = false;
		if (signal > 0 && signal != SIGCHLD)
			end_workers();
		for (uint32_t i = 0; i < settings.workers; i++)
			busy |= watch_worker(i);
		print_progress();
	}
}

static int64_t quantile_ns(const struct latency *latency, double share)
{
	uint64_t wanted = (uint64_t)(share * atomic_load(&latency->count)), below = 0;

	for (uint32_t i = 0; i < LATENCY_BUCKETS; i++) {
		below += atomic_load(&latency->bucket[i]);
		if (below > wanted)
			return i * latency->bucket_ns + latency->bucket_ns / 2;
	}
	return atomic_load(&latency->worst_ns);
}

static void print_latency(const char *what, const struct latency *latency)
{
	if (atomic_load(&latency->count) == 0)
		return;
	printf("%s: %u times, median %.1f us, 99 %% %.1f us, longest %.2f ms\n", what,
	       atomic_load(&latency->count), (double)quantile_ns(latency, 0.5) / 1e3,
	       (double)quantile_ns(latency, 0.99) / 1e3,
	       (double)atomic_load(&latency->worst_ns) / 1e6);
}

static int conclude(int64_t elapsed_ns)
{
	double seconds = (double)elapsed_ns / 1e9;
	uint64_t points = atomic_load(&board->kill_points);
	uint32_t failures = atomic_load(&board->failures);

	printf("%" PRIu64 " kill points in %u scenarios, %.1f s: %.0f a second; %" PRIu64
	       " instructions, %" PRIu64 " repairs; %" PRIu64 " off the recorded path\n",
	       points, atomic_load(&board->scenarios_tried), seconds, (double)points / seconds,
	       atomic_load(&board->instructions), atomic_load(&board->repairs),
	       atomic_load(&board->strays));
	if (atomic_load(&board->scenarios_left_out))
		printf("%u scenarios were left out for lack of time; --seed chooses which\n",
		       atomic_load(&board->scenarios_left_out));
	print_latency("from a death to the sleeper's progress", &board->after_death);
	print_latency("from a lease holder's death to the sleeper's progress",
		      &board->after_lease_holder);
	if (settings.sweep.fault) {
		printf("seeded fault %u: %s\n", settings.sweep.fault,
		       failures ? "caught" : "NOT CAUGHT");
		return failures ? EXIT_SUCCESS : EXIT_FAILURE;
	}
	if (atomic_load(&board->after_death.count) > 20 &&
	    quantile_ns(&board->after_death, 0.5) > MEDIAN_MAX_NS) {
		printf("FAIL: the median is above 1 ms: a timer, not the kernel, wakes\n");
		failures++;
	}
	printf("%u failures\n", failures);
	return failures || points == 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

static uint64_t number_of(const char *text)
{
	char *end;
	uint64_t number = strtoull(text, &end, 0);

	if (end == text || *end != '\0') {
		fprintf(stderr, "queue_kill: '%s' is not a number\n%s", text, usage);
		exit(2);
	}
	return number;
}

static void parse(int count, char **arguments)
{
	static const struct option options[] = {{"list", no_argument, NULL, 'l'},
						{"scenario", required_argument, NULL, 's'},
						{"from", required_argument, NULL, 'f'},
						{"to", required_argument, NULL, 't'},
						{"first", required_argument, NULL, '1'},
						{"all", no_argument, NULL, 'a'},
						{"sample", required_argument, NULL, 'n'},
						{"firsts", required_argument, NULL, '2'},
						{"seed", required_argument, NULL, 'e'},
						{"budget", required_argument, NULL, 'b'},
						{"fault", required_argument, NULL, 'x'},
						{"watchdog", required_argument, NULL, 'w'},
						{"help", no_argument, NULL, 'h'},
						{NULL, 0, NULL, 0}};
	struct sweep_options *sweep = &settings.sweep;
	int option;

	while ((option = getopt_long(count, arguments, "j:", options, NULL)) != -1) {
		uint64_t number = optarg && option != 's' ? number_of(optarg) : 0;

		switch (option) {
		case 'l':
			settings.list = true;
			break;
		case 's':
			settings.pattern = optarg;
			break;
		case 'f':
			sweep->from = number;
			break;
		case 't':
			sweep->to = number;
			break;
		case '1':
			sweep->first_steps = number;
			break;
		case 'a':
			sweep->sample = 0, sweep->first_points = 0;
			break;
		case 'n':
			sweep->sample = number;
			break;
		case '2':
			sweep->first_points = number;
			break;
		case 'e':
			sweep->seed = number;
			break;
		case 'b':
			settings.budget_ns = (int64_t)number * SECOND_NS;
			break;
		case 'x':
			sweep->fault = (unsigned)number;
			break;
		case 'w':
			sweep->patience_ns = (int64_t)number * 1000000;
			break;
		case 'j':
			settings.workers = (uint32_t)number;
			break;
		case 'h':
			fputs(usage, stdout);
			exit(EXIT_SUCCESS);
		default:
			fputs(usage, stderr);
			exit(2);
		}
	}
}

/* The core's scenarios first, then the others from a place that the seed says. */
static void make_jobs(void)
{
	uint32_t count = scenarios_make(scenarios, SCENARIOS_MAX);
	bool exactly = false;
	char name[100];

	if (count > SCENARIOS_MAX)
		count = SCENARIOS_MAX;
	for (uint32_t i = 0; i < count && settings.pattern && !exactly; i++) {
		scenario_name(&scenarios[i], name, sizeof(name));
		exactly = strcmp(name, settings.pattern) == 0;
	}
	for (int core = 1; core >= 0; core--) {
		for (uint32_t i = 0; i < count; i++) {
			/* Steps of a prime come to every scenario, in an order that mixes them. */
			uint32_t at = core ? i
					   : (uint32_t)((settings.sweep.seed + i * UINT64_C(997)) %
							count);

			scenario_name(&scenarios[at], name, sizeof(name));
			if (scenarios[at].core != core ||
			    (settings.pattern &&
			     !(exactly ? strcmp(name, settings.pattern) == 0
				       : strstr(name, settings.pattern) != NULL)))
				continue;
			jobs[job_count++] = at;
			if (settings.list)
				printf("%c %s\n", core ? '*' : ' ', name);
		}
	}
}

static void prepare(void)
{
	sigset_t set;

	if (folder_make(settings.folder) != 0) {
		perror("/dev/shm");
		exit(EXIT_FAILURE);
	}
	board = shared(sizeof(*board));
	board->after_death.bucket_ns = 1000;
	board->after_lease_holder.bucket_ns = 100000;
	workers = shared(WORKERS_MAX * sizeof(*workers));
	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(awaited) / sizeof(awaited[0]); i++)
		sigaddset(&set, awaited[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

int main(int count, char **arguments)
{
	int64_t start_ns = step_now_ns();
	const char *obstacle;
	int result;

	settings.workers = (uint32_t)sysconf(_SC_NPROCESSORS_ONLN);
	settings.sweep = (struct sweep_options){.patience_ns = 5 * SECOND_NS,
						.sample = 24,
						.first_points = 2,
						.seed = (uint64_t)time(NULL),
						.failures_max = 3};
	parse(count, arguments);
	make_jobs();
	if (settings.list)
		return EXIT_SUCCESS;
	if (job_count == 0) {
		fprintf(stderr, "queue_kill: no scenario is called '%s'; see --list\n",
			settings.pattern);
		return 2;
	}
	step_restart(arguments);
	obstacle = step_obstacle();
	if (obstacle) {
		printf("skipped: %s\n", obstacle);
		return SKIPPED;
	}
	if (settings.sweep.fault && !&tni_seeded_fault) {
		printf("skipped: this library was built without seeded faults\n");
		return SKIPPED;
	}
	if (settings.workers < 1 || settings.workers > WORKERS_MAX)
		settings.workers = 1;
	prepare();
	settings.end_ns = start_ns + settings.budget_ns;
	printf("seed %" PRIu64 ", %u scenarios, %u workers\n", settings.sweep.seed, job_count,
	       settings.workers);
	for (uint32_t i = 0; i < settings.workers; i++)
		start_worker(i);
	watch();
	result = conclude(step_now_ns() - start_ns);
	folder_remove(settings.folder);
	return result;
}
