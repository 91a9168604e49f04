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
#define WORKERS_MAX 64u
#define SECOND_NS INT64_C(1000000000)
/* So many of those that had less are named. */
#define NAMED_MAX 5
/* That least may take so many times the budget; then the run has failed. */
#define PATIENCE_BUDGETS 4

extern unsigned tni_seeded_fault __attribute__((weak));

static const char usage[] =
	"usage: queue_kill [options]\n"
	"  --list              the scenarios' names; a * stands at those of the core\n"
	"  --scenario NAME     one scenario, or all whose name holds NAME\n"
	"  --from N --to N     the instructions behind which to kill, every one\n"
	"  --first N           the instruction behind which the first victim dies (repairs)\n"
	"  --sample N          N kill points in each scenario, besides its begin and its end\n"
	"                      (default 2); then every instruction of the core's\n"
	"  --all               every instruction of every scenario; with a budget in rounds, each\n"
	"                      with more kill points than the one before, as far as it goes\n"
	"  --firsts N          first victims' deaths a repair scenario (default 1; 0: all that "
	"need it)\n"
	"  --seed N            where strides begin, and with which scenario (default: the time)\n"
	"  --budget SECONDS    begin nothing later than that, except the least: the sample, begin\n"
	"                      and end of each scenario, for which there is four times that, or "
	"it\n"
	"                      fails\n"
	"  --budget-share N    a budget of N per cent of SOAK_HOURS (in the environment; default "
	"1)\n"
	"  --first-call N      how the fresh process begins: 0 recover, 1 receive, 2 receive with "
	"a\n"
	"                      short deadline, 3 peek, 4 wait, 5 send that may drop (default: "
	"all)\n"
	"  --fault N           victims make the seeded mistake N; succeeds if that is caught\n"
	"  --watchdog MS       how long a survivor may take (default 5000)\n"
	"  -j N                workers (default: one to a CPU)\n";

static struct settings {
	struct sweep_options sweep;
	const char *pattern;
	bool list, all;
	uint32_t workers;
	int64_t budget_ns, end_ns;
	char folder[FOLDER_BYTES];
} settings;

#define PASSES_MAX 6u

/* Once through the scenarios. */
struct pass {
	uint64_t sample, first_points;
	bool core_only;
};

static struct scenario scenarios[SCENARIOS_MAX];
static struct job {
	uint32_t scenario, pass;
} jobs[PASSES_MAX * SCENARIOS_MAX];
static uint32_t job_count, scenario_count; /* of those chosen */
static struct pass passes[PASSES_MAX];
static uint32_t pass_count;

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

/* The first time through has more time than what is done beyond it. */
static int64_t end_of(uint32_t pass)
{
	if (settings.budget_ns == 0)
		return 0;
	return settings.end_ns + (pass == 0 ? (PATIENCE_BUDGETS - 1) * settings.budget_ns : 0);
}

/* Takes jobs until there are none.  In each pass core scenarios stand first. */
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
	while (!atomic_load(&board->stop)) {
		uint32_t number = atomic_fetch_add(&board->next_job, 1);
		const struct job *job = &jobs[number];

		if (number >= job_count)
			break;
		options.index = job->scenario;
		options.sample = passes[job->pass].sample;
		options.first_points = passes[job->pass].first_points;
		options.end_ns = end_of(job->pass);
		if (options.end_ns && step_now_ns() > options.end_ns)
			continue;
		if (atomic_load(&board->completed[job->scenario]))
			continue;
		atomic_store(&workers[index].scenario, job->scenario);
		sweep_scenario(&scenarios[job->scenario], &options, board, &workers[index]);
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
		printf("%u of %u jobs, %" PRIu64 " kill points, %.0f a second\n",
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

static void print_name(const char *what, uint32_t scenario)
{
	char name[100];

	scenario_name(&scenarios[scenario], name, sizeof(name));
	printf("%s %s\n", what, name);
}

/* Whether each scenario was tried at all, where that is asked for. */
static uint32_t judge_coverage(void)
{
	uint32_t wanted = (uint32_t)settings.sweep.sample + 2, enough = 0, complete = 0, named = 0,
		 least = UINT32_MAX;

	for (uint32_t i = 0; i < job_count; i++) {
		uint32_t points = atomic_load(&board->points[jobs[i].scenario]);

		if (jobs[i].pass != 0)
			continue;
		/* One that fails at once is left, and counts as it is. */
		if (points >= wanted || atomic_load(&board->failed[jobs[i].scenario]))
			enough++;
		else if (settings.budget_ns && named++ < NAMED_MAX)
			print_name("too few kill points:", jobs[i].scenario);
		complete += atomic_load(&board->completed[jobs[i].scenario]);
		least = points < least ? points : least;
	}
	printf("%u scenarios: at least %u kill points in each; every instruction of %u\n",
	       scenario_count, least, complete);
	if (settings.budget_ns == 0 || enough == scenario_count)
		return 0;
	printf("FAIL: %u scenarios were tried with fewer than %u kill points: %.0f s were not "
	       "enough; "
	       "--budget gives more\n",
	       scenario_count - enough, wanted,
	       (double)(PATIENCE_BUDGETS * settings.budget_ns) / 1e9);
	return 1;
}

static int conclude(int64_t elapsed_ns)
{
	double seconds = (double)elapsed_ns / 1e9;
	uint64_t points = atomic_load(&board->kill_points);
	uint32_t failures = atomic_load(&board->failures);

	printf("%" PRIu64 " kill points, %.1f s: %.0f a second; %" PRIu64 " instructions, %" PRIu64
	       " repairs; %" PRIu64 " off the recorded path\n",
	       points, seconds, (double)points / seconds, atomic_load(&board->instructions),
	       atomic_load(&board->repairs), atomic_load(&board->strays));
	verdict_print_latencies(board);
	if (settings.sweep.fault) {
		printf("seeded fault %u: %s\n", settings.sweep.fault,
		       failures ? "caught" : "NOT CAUGHT");
		return failures ? EXIT_SUCCESS : EXIT_FAILURE;
	}
	failures += judge_coverage();
	failures += verdict_of_latencies(board);
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

static int64_t soak_seconds(void)
{
	const char *seconds = getenv("SOAK_SECONDS");

	return seconds && seconds[0] != '\0' ? (int64_t)number_of(seconds) : 3600;
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
						{"first-call", required_argument, NULL, 'c'},
						{"seed", required_argument, NULL, 'e'},
						{"budget", required_argument, NULL, 'b'},
						{"budget-share", required_argument, NULL, 'B'},
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
			settings.all = true;
			break;
		case 'n':
			sweep->sample = number;
			break;
		case '2':
			sweep->first_points = number;
			break;
		case 'c':
			sweep->first_call = (uint32_t)number;
			break;
		case 'e':
			sweep->seed = number;
			break;
		case 'b':
			settings.budget_ns = (int64_t)number * SECOND_NS;
			break;
		case 'B':
			settings.budget_ns = (int64_t)number * soak_seconds() * (SECOND_NS / 100);
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

static bool is_chosen(const struct scenario *scenario, bool exactly)
{
	char name[100];

	scenario_name(scenario, name, sizeof(name));
	if (!settings.pattern)
		return true;
	return exactly ? strcmp(name, settings.pattern) == 0
		       : strstr(name, settings.pattern) != NULL;
}

/* The core's scenarios first, then the others from a place that the seed says. */
static void add_jobs(uint32_t pass, uint32_t count, bool exactly)
{
	for (int core = 1; core >= (passes[pass].core_only ? 1 : 0); core--) {
		for (uint32_t i = 0; i < count; i++) {
			/* Steps of a prime come to every scenario, in an order that mixes them. */
			uint32_t at = core ? i
					   : (uint32_t)((settings.sweep.seed + i * UINT64_C(997)) %
							count);

			if (scenarios[at].core == core && is_chosen(&scenarios[at], exactly))
				jobs[job_count++] = (struct job){at, pass};
		}
	}
}

static void make_passes(void)
{
	struct sweep_options *sweep = &settings.sweep;

	if (!settings.all) {
		passes[pass_count++] = (struct pass){sweep->sample, sweep->first_points, false};
		if (!sweep->from && !sweep->first_steps)
			passes[pass_count++] = (struct pass){0, 2, true};
		return;
	}
	if (settings.budget_ns)
		for (uint64_t round = 0; round < PASSES_MAX - 1; round++)
			passes[pass_count++] = (struct pass){UINT64_C(4) << (2 * round),
							     UINT64_C(1) << round, false};
	passes[pass_count++] = (struct pass){0, 0, false};
}

static void make_jobs(void)
{
	uint32_t count = scenarios_make(scenarios, SCENARIOS_MAX);
	bool exactly = false;
	char name[100];

	if (count > SCENARIOS_MAX) {
		fprintf(stderr, "queue_kill: %u scenarios, but room for %u\n", count,
			SCENARIOS_MAX);
		exit(2);
	}
	make_passes();
	for (uint32_t i = 0; i < count && settings.pattern && !exactly; i++) {
		scenario_name(&scenarios[i], name, sizeof(name));
		exactly = strcmp(name, settings.pattern) == 0;
	}
	for (uint32_t pass = 0; pass < pass_count; pass++) {
		add_jobs(pass, count, exactly);
		if (pass == 0)
			scenario_count = job_count;
	}
	for (uint32_t i = 0; i < scenario_count && settings.list; i++) {
		scenario_name(&scenarios[jobs[i].scenario], name, sizeof(name));
		printf("%c %s\n", scenarios[jobs[i].scenario].core ? '*' : ' ', name);
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
	board->reference.bucket_ns = 5000;
	board->after_death.bucket_ns = 5000;
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
						.sample = 2,
						.first_points = 1,
						.first_call = FIRST_CALLS,
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
	printf("seed %" PRIu64 ", %u scenarios, %u workers\n", settings.sweep.seed, scenario_count,
	       settings.workers);
	for (uint32_t i = 0; i < settings.workers; i++)
		start_worker(i);
	watch();
	result = conclude(step_now_ns() - start_ns);
	folder_remove(settings.folder);
	return result;
}
