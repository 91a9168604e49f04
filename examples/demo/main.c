/* SPDX-License-Identifier: Apache-2.0 */

#include "demo.h"

#include <errno.h>
#include <ftw.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <tenon/queue.h>
#include <unistd.h>

#define EXIT_USAGE 2
#define DEFAULT_DIRECTORIES "/usr/include:/usr/share/doc"
#define SECONDS_MAX 3600
#define KILLS_MAX 1000u

/* A way of doing the job is timed again until it has taken so long, at most three times. */
#define TIMING_RUNS 3u
#define TIMING_S 2.0
/* Nothing is done again for the sake of its time alone if it takes longer than this. */
#define TIMING_LIMIT_S 5.0

static const char usage[] =
	"usage: tenon-demo [options] [DIRECTORY ...]\n"
	"\n"
	"Checksums every file below the directories with workers that are killed all the time, "
	"and\n"
	"compares the result with that of find and sha256sum.  Without arguments the directories "
	"are\n"
	"those of the environment's DEMO_DIR, separated by ':', or else\n" DEFAULT_DIRECTORIES ".\n"
	"\n"
	"  --seconds N            kill for at least N seconds (6)\n"
	"  --kills-per-second N   kill N workers a second (10)\n"
	"  --workers N            1 to 64 workers (4)\n"
	"  --keep                 keep the queues and the results, and say where they are\n"
	"  --json FILE            write the figures to FILE as well\n"
	"  --help\n"
	"\n"
	"Exit status: 0 the results are the same; 1 they are not, or something failed; 2 usage.\n";

static int parse_number(const char *name, const char *text, uint64_t low, uint64_t high,
			uint64_t *ret_value)
{
	unsigned long long value;
	char *end;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno || end == text || *end || text[0] == '-' || value < low || value > high) {
		complain("--%s %s: a number from %llu to %llu is wanted", name, text,
			 (unsigned long long)low, (unsigned long long)high);
		return EXIT_USAGE;
	}
	*ret_value = value;
	return 0;
}

/* 0, EXIT_USAGE, or -1: help was given. */
static int parse_options(int count, char **arguments, struct options *options)
{
	static const struct option known[] = {
		{"seconds", required_argument, NULL, 's'},
		{"kills-per-second", required_argument, NULL, 'p'},
		{"workers", required_argument, NULL, 'w'},
		{"keep", no_argument, NULL, 'k'},
		{"json", required_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	uint64_t seconds = 6, kills = 10, workers = 4;
	int option, error = 0;

	while (!error && (option = getopt_long(count, arguments, "", known, NULL)) != -1) {
		if (option == 's')
			error = parse_number("seconds", optarg, 1, SECONDS_MAX, &seconds);
		else if (option == 'p')
			error = parse_number("kills-per-second", optarg, 1, KILLS_MAX, &kills);
		else if (option == 'w')
			error = parse_number("workers", optarg, 1, WORKERS_MAX, &workers);
		else if (option == 'k')
			options->keep = true;
		else if (option == 'j')
			options->json_path = optarg;
		else if (option == 'h')
			return fputs(usage, stdout) < 0 ? 1 : -1;
		else
			error = EXIT_USAGE;
	}
	options->seconds = (int64_t)seconds;
	options->kills_per_second = (uint32_t)kills;
	options->workers = (uint32_t)workers;
	if (error)
		fputs("Try tenon-demo --help.\n", stderr);
	return error;
}

/* The directories of DEMO_DIR: "a:b". */
static char **directories_from_environment(void)
{
	const char *value = getenv("DEMO_DIR");
	char *text, *at, *name, **given, **directories;
	size_t count = 0;

	text = strdup(value && *value ? value : DEFAULT_DIRECTORIES);
	given = text ? calloc(strlen(text) + 1, sizeof(*given)) : NULL;
	if (!given) {
		free(text);
		complain_error("DEMO_DIR", ENOMEM);
		return NULL;
	}
	at = text;
	while ((name = strsep(&at, ":")))
		if (*name)
			given[count++] = name;
	directories = resolve_directories(given, count);
	free(given);
	free(text);
	return directories;
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *place)
{
	(void)status;
	(void)type;
	(void)place;
	return remove(path) && errno != ENOENT ? -1 : 0;
}

static void remove_folder(struct demo *demo)
{
	if (!demo->folder[0])
		return;
	if (demo->options.keep)
		report_line("Kept: %s (the queues: TENON_NAMESPACE=%s)", demo->folder, demo->names);
	else if (nftw(demo->folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS))
		complain("%s could not be removed: %s; remove it by hand", demo->folder,
			 strerror(errno));
}

static int make_queue(const struct demo *demo, const char *name, uint64_t max_message_bytes)
{
	struct tenon_queue_options options = {
		.size = sizeof(options),
		.order = TENON_QUEUE_FIFO,
		.full = TENON_QUEUE_WAIT,
		.capacity = TENON_QUEUE_DEFAULT_CAPACITY,
		.max_message_bytes = max_message_bytes,
		.mode = 0600,
	};
	struct tenon_queue *queue;
	int error;

	error = tenon_queue_open(demo->names, name, TENON_QUEUE_CREATE | TENON_QUEUE_EXCLUSIVE,
				 &options, &queue);
	if (error) {
		complain("making the queue %s in %s: %s", name, demo->names, strerror(-error));
		return 1;
	}
	tenon_queue_close(queue);
	return 0;
}

static int set_up(struct demo *demo)
{
	int error;

	demo->board = mmap(NULL, sizeof(*demo->board), PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (demo->board == MAP_FAILED) {
		complain_error("memory", errno);
		return 1;
	}
	error = survey(demo);
	if (error) {
		complain_error("walking the directories", -error);
		return 1;
	}
	if (demo->sample_count == 0) {
		complain("there are no files in the directories; name others in DEMO_DIR");
		return 1;
	}
	strcpy(demo->folder, "/dev/shm/tenon-demo.XXXXXX");
	if (!mkdtemp(demo->folder)) {
		complain("/dev/shm: %s; it must be a tmpfs that we may write to", strerror(errno));
		demo->folder[0] = 0;
		return 1;
	}
	snprintf(demo->names, sizeof(demo->names), "%s/names", demo->folder);
	if (mkdir(demo->names, 0700)) {
		complain_error(demo->names, errno);
		return 1;
	}
	return make_queue(demo, PATHS_QUEUE, PATH_BYTES_MAX) ||
	       make_queue(demo, RESULTS_QUEUE, PATH_BYTES_MAX + sizeof(struct result));
}

static void introduce(const struct demo *demo)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	char *const *directory;
	double load;

	report_line("Tenon %s: a job whose workers are killed all the time, and that loses nothing",
		    tenon_version());
	report_blank();
	report_line("  files      %s regular files, %.1f MB, in", with_commas(demo->files),
		    (double)demo->file_bytes / 1e6);
	for (directory = demo->directories; *directory; directory++)
		report_line("             %s", *directory);
	report_line("  processes  1 producer, %u workers, 1 collector, on %ld CPUs",
		    demo->options.workers, cpus);
	report_line("  queues     %s and %s in %s", PATHS_QUEUE, RESULTS_QUEUE, demo->names);
	report_line("             (another terminal can watch: TENON_NAMESPACE=… tenon ls)");
	if (getloadavg(&load, 1) == 1 && load > (double)cpus / 2)
		report_line("  load       %.1f: other programs are at work here, and will be seen "
			    "in the "
			    "times",
			    load);
}

static int run_killing(struct demo *demo, struct job_figures *figures)
{
	char text[768];

	snprintf(text, sizeof(text),
		 "  A producer queues the path of every file.  A worker takes a path under lease,\n"
		 "  checksums the file, sends the result, and only then says done; a collector\n"
		 "  gathers the results.  Meanwhile %u workers a second are killed with SIGKILL, "
		 "half\n"
		 "  of them in the middle of a call of Tenon, and replaced.  What a dead worker "
		 "had\n"
		 "  taken is delivered to another.  It goes on for at least %d s, in whole rounds.",
		 demo->options.kills_per_second, (int)demo->options.seconds);
	report_stage("1. The job, while its workers are being killed", text);
	if (job_run(demo, demo->options.seconds, demo->options.kills_per_second, true, figures))
		return 1;
	report_killing(demo, figures);
	return 0;
}

static int run_comparison(struct demo *demo, const struct job_figures *figures, struct times *times,
			  bool *ret_same)
{
	report_stage(
		"2. The same result without Tenon",
		"  find … -type f -print0 | sort -z | xargs -0 sha256sum makes the same list with\n"
		"  programs that know nothing of Tenon.  Both are compared byte for byte.");
	report_live("running find and sha256sum");
	if (reference_run(demo, 0, &times->reference_s)) {
		report_live_end();
		return 1;
	}
	report_live_end();
	*ret_same = reference_compare(demo) == 0;
	if (!*ret_same) {
		report_line("  NOT THE SAME.");
		return 0;
	}
	report_line(
		"  The same: %s files, nothing missing, nothing twice, every checksum equal, in",
		with_commas(demo->files));
	report_line("  each of the %u rounds.", figures->rounds);
	if (figures->unreadable)
		report_line("  (%s files could not be read, by sha256sum neither.)",
			    with_commas(figures->unreadable));
	return 0;
}

/* The shortest of a few runs.  `processes` 0: one sha256sum; UINT32_MAX: our own code. */
static int best_time(const struct demo *demo, uint32_t processes, double *ret_s)
{
	double best = 0, sum = 0, seconds;
	uint32_t run;
	int error;

	for (run = 0; run < TIMING_RUNS && sum < TIMING_S; run++) {
		error = processes == UINT32_MAX ? plain_run(demo, &seconds)
						: reference_run(demo, processes, &seconds);
		if (error)
			return 1;
		sum += seconds;
		best = run == 0 || seconds < best ? seconds : best;
	}
	*ret_s = best;
	return 0;
}

static int run_times(struct demo *demo, const struct job_figures *killed, struct times *times)
{
	struct job_figures alone;
	int error;

	report_stage(
		"3. What it costs",
		"  The job again with nobody killed, and the same checksums made in other ways: "
		"the\n"
		"  time of each for all files, which now lie in memory (the best of a few runs).");
	if (times->reference_s < TIMING_LIMIT_S) {
		report_live("timing sha256sum");
		/* A long first run, the one of the comparison, is exact enough. */
		error = times->reference_s < TIMING_S && best_time(demo, 0, &times->reference_s);
		report_live("timing several sha256sum at once");
		error = error || best_time(demo, demo->options.workers, &times->parallel_s);
		report_live("timing our checksum code without a queue");
		error = error || best_time(demo, UINT32_MAX, &times->plain_s);
		report_live("timing the job with nobody killed");
		error = error || job_run(demo, 1, 0, false, &alone);
		report_live_end();
		if (error)
			return 1;
		times->tenon_s = (double)alone.round_ns / NS_PER_S;
	}
	report_times(demo, killed, times);
	return 0;
}

static int run(struct demo *demo, bool *ret_same)
{
	struct rate rates[RATE_DEPTHS][RATE_QUEUES] = {0};
	struct job_figures figures;
	struct times times = {0};

	if (set_up(demo))
		return 1;
	introduce(demo);
	if (run_killing(demo, &figures) || run_comparison(demo, &figures, &times, ret_same) ||
	    run_times(demo, &figures, &times))
		return 1;
	report_stage(
		"4. Messages a second, beside the kernel's own queue",
		"  One process sends the paths of this job to another, a message a call, through\n"
		"  each kind of queue (the middle of three runs).");
	if (rates_run(demo, rates))
		return 1;
	report_rates(demo, rates);
	if (demo->options.json_path && report_json(demo, &figures, &times, rates, *ret_same))
		return 1;
	report_blank();
	if (*ret_same)
		report_line("Result: the same.  %s workers were killed, and nothing was lost or "
			    "counted twice.",
			    with_commas(figures.kills));
	else
		report_line("Result: NOT the same.  This is a defect: please report it.");
	return *ret_same ? 0 : 1;
}

int main(int count, char **arguments)
{
	static struct demo demo;
	bool same = false;
	int result;

	result = parse_options(count, arguments, &demo.options);
	if (result)
		return result < 0 ? 0 : result;
	demo.directories = optind < count ? resolve_directories(arguments + optind,
								(size_t)(count - optind))
					  : directories_from_environment();
	if (!demo.directories)
		return EXIT_USAGE;
	report_init();
	process_init();
	result = run(&demo, &same);
	end_children();
	remove_folder(&demo);
	if (interrupted_by()) {
		complain("ended by a signal (%s); nothing is left behind%s",
			 strsignal(interrupted_by()),
			 demo.options.keep ? " but what --keep kept" : "");
		return 128 + interrupted_by();
	}
	return result;
}
