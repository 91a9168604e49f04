/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Running the requirements, and saying how they ended.
 *
 *     PROGRAM --implementation NAME [--differences FILE] [--watchdog SECONDS] [--list] [NAME | NUMBER]...
 *
 * A line of the file of differences is an implementation, the name of a requirement, and why the
 * implementation does otherwise.  Such a requirement has to fail: one that is listed and passes is a
 * failure of the list.  "kernel?" is for what depends on the version or on a race: it may do either.
 */

#include "conform.h"

#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define SKIPPED 77
#define REASON_BYTES 200
#define DIFFERENCES_MAX 64u
#define EXECUTED "--executed"

const char *conform_implementation = "kernel";
pid_t conform_run;

/* What a requirement and all its processes tell the frame. */
struct verdict {
	int failures;
	char reason[REASON_BYTES];
};

static struct conform_requirement *first, **last = &first;
static struct verdict *verdict;

static struct difference {
	char implementation[16], name[80], reason[REASON_BYTES];
	bool may, met;
} differences[DIFFERENCES_MAX];
static uint32_t difference_count;
static int watchdog_s = WATCHDOG_S;

void conform_register(struct conform_requirement *requirement)
{
	*last = requirement;
	last = &requirement->next;
}

void conform_skip(const char *reason)
{
	snprintf(verdict->reason, REASON_BYTES, "%s", reason);
	_exit(SKIPPED);
}

void conform_fail(const char *file, int line, const char *what, int64_t value)
{
	int error = errno;
	const char *slash = strrchr(file, '/');
	char text[400];
	int bytes;

	__atomic_add_fetch(&verdict->failures, 1, __ATOMIC_RELAXED);
	bytes = snprintf(text, sizeof(text), "# %s:%d: %s (%lld, errno %s)\n",
			 slash ? slash + 1 : file, line, what, (long long)value,
			 error ? strerrorname_np(error) : "0");
	/* One write, and without a lock: many processes and threads say something, and handlers may. */
	if (write(STDOUT_FILENO, text,
		  (size_t)bytes < sizeof(text) ? (size_t)bytes : sizeof(text)) < 0)
		abort();
	errno = error;
}

bool conform_failed(void)
{
	return __atomic_load_n(&verdict->failures, __ATOMIC_RELAXED) != 0;
}

void conform_give_up(void)
{
	_exit(1);
}

void *conform_share(size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		abort();
	return memory;
}

/* That it is listed as one, or NULL. */
static const struct difference *difference_of(const struct conform_requirement *requirement)
{
	for (uint32_t i = 0; i < difference_count; i++) {
		if (strcmp(differences[i].name, requirement->name) == 0) {
			differences[i].met = true;
			return &differences[i];
		}
	}
	return NULL;
}

/* Cuts off the mark of a difference that may be. */
static bool take_mark(char *implementation)
{
	char *mark = strchr(implementation, '?');

	if (mark)
		*mark = '\0';
	return mark != NULL;
}

/* Keeps those of this implementation. */
static int read_differences(const char *path)
{
	FILE *file = fopen(path, "re");
	char line[400];

	if (!file) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return -1;
	}
	while (fgets(line, sizeof(line), file) && difference_count < DIFFERENCES_MAX) {
		struct difference *one = &differences[difference_count];

		if (line[0] == '#' || line[0] == '\n')
			continue;
		if (sscanf(line, "%15s %79s %199[^\n]", one->implementation, one->name,
			   one->reason) != 3) {
			fprintf(stderr, "%s: no implementation, name and reason: %s", path, line);
			fclose(file);
			return -1;
		}
		one->may = take_mark(one->implementation);
		if (strcmp(one->implementation, conform_implementation) == 0)
			difference_count++;
	}
	fclose(file);
	return 0;
}

/* A process for something of the suite's, in a group of its own. */
static pid_t start_group(void)
{
	pid_t child;

	fflush(stdout);
	child = fork();
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		setpgid(0, 0);
	} else if (child > 0) {
		setpgid(child, child);
	} else {
		abort();
	}
	return child;
}

/* Its exit status; -1: it crashed, or had to be ended.  With it ends what it left running. */
static int await_group(pid_t child)
{
	struct pollfd ended = {.fd = (int)syscall(SYS_pidfd_open, child, 0), .events = POLLIN};
	int status = 0, ready;

	do
		ready = poll(&ended, 1, watchdog_s * 1000);
	while (ready < 0 && errno == EINTR);
	if (ready == 0)
		printf("# not done after %d s\n", watchdog_s);
	/* It is not reaped yet, so the number is still its own. */
	kill(-child, SIGKILL);
	waitpid(child, &status, 0);
	close(ended.fd);
	if (ready == 1 && WIFSIGNALED(status))
		printf("# ended by signal %d\n", WTERMSIG(status));
	return ready == 1 && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void clean(const struct conform_suite *suite)
{
	pid_t child = start_group();

	if (child == 0) {
		suite->clean();
		_exit(0);
	}
	(void)await_group(child);
}

/* Whether the run may go on as if the requirement had passed. */
static bool run_one(const struct conform_suite *suite, const struct conform_requirement *one,
		    uint32_t number)
{
	const struct difference *listed = difference_of(one);
	bool passed, skipped, good;
	int result;
	pid_t child;

	memset(verdict, 0, sizeof(*verdict));
	child = start_group();
	if (child == 0) {
		one->run();
		_exit(0);
	}
	result = await_group(child);
	clean(suite);
	skipped = result == SKIPPED && verdict->failures == 0;
	passed = result == 0 && verdict->failures == 0;
	good = skipped || (listed ? !passed || listed->may : passed);
	if (listed && passed && !listed->may)
		printf("# it is listed as a difference (%s), and passes\n", listed->reason);
	printf("%s %u - %s: %s: %s", good ? "ok" : "not ok", number, one->name, one->section,
	       one->text);
	if (skipped)
		printf(" # SKIP %s", verdict->reason);
	else if (listed && !passed)
		printf(" (otherwise here: %s)", listed->reason);
	printf("\n");
	return good;
}

static bool is_wanted(const struct conform_requirement *one, uint32_t number, char **wanted)
{
	if (!*wanted)
		return true;
	for (; *wanted; wanted++) {
		if (strcmp(*wanted, one->name) == 0 || strtoul(*wanted, NULL, 10) == number)
			return true;
	}
	return false;
}

static uint32_t count_wanted(char **wanted)
{
	uint32_t number = 0, count = 0;

	for (const struct conform_requirement *one = first; one; one = one->next)
		count += is_wanted(one, ++number, wanted);
	return count;
}

static int list(void)
{
	uint32_t number = 0;

	for (const struct conform_requirement *one = first; one; one = one->next)
		printf("%u\t%s\t%s\t%s\n", ++number, one->name, one->section, one->text);
	return EXIT_SUCCESS;
}

/* A name of the list that no requirement has. */
static bool differences_are_known(void)
{
	bool known = true;

	for (uint32_t i = 0; i < difference_count; i++) {
		if (!differences[i].met) {
			printf("# there is no requirement %s to differ from\n",
			       differences[i].name);
			known = false;
		}
	}
	return known;
}

static int run(const struct conform_suite *suite, char **wanted)
{
	uint32_t number = 0;
	bool good = true;

	printf("1..%u\n", count_wanted(wanted));
	for (const struct conform_requirement *one = first; one; one = one->next) {
		if (is_wanted(one, ++number, wanted))
			good &= run_one(suite, one, number);
	}
	if (!*wanted)
		good &= differences_are_known();
	return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

static bool is(const char *implementation)
{
	return strcmp(conform_implementation, implementation) == 0;
}

/* That a name which was to stand in for the system's does, or one that was not does not. */
static bool is_whom_it_says(const struct conform_suite *suite)
{
	void *address = dlsym(RTLD_DEFAULT, suite->symbol);
	Dl_info found;
	bool preloaded;

	if (!address || !dladdr(address, &found))
		return false;
	preloaded = strstr(found.dli_fname, "tenon") != NULL;
	printf("# %s is in %s\n", suite->symbol, found.dli_fname);
	return preloaded == (is("preload") || is("mutant"));
}

/* Whether the suite can run here; says so if not. */
static bool is_usable(const struct conform_suite *suite)
{
	pid_t child = start_group();

	if (child == 0) {
		const char *reason = suite->unusable();

		if (reason)
			conform_skip(reason);
		_exit(0);
	}
	if (await_group(child) != SKIPPED)
		return true;
	printf("1..0 # SKIP %s\n", verdict->reason);
	return false;
}

/*
 * Tenon's objects lie in a folder of the run's own, which any user may use as /tmp.  The variable has to be there
 * when a library that is preloaded begins, so the program runs itself again.
 */
static volatile pid_t in_folder;

/* So that the folder is removed also when a time-out ends the run. */
static void pass_on(int number)
{
	if (in_folder > 0)
		kill(in_folder, number);
}

static int run_in_folder(char **arguments)
{
	char folder[] = "/dev/shm/tenon-test-conform.XXXXXX";
	char command[100];
	int status = -1;
	pid_t child;

	if (!mkdtemp(folder) || chmod(folder, 01777) != 0) {
		printf("Bail out! no folder can be made under /dev/shm\n");
		return EXIT_FAILURE;
	}
	setenv("TENON_NAMESPACE", folder, 1);
	setenv("TENON_CONFORM_FOLDER", folder, 1);
	child = fork();
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execv("/proc/self/exe", arguments);
		_exit(127);
	}
	in_folder = child;
	signal(SIGTERM, pass_on);
	signal(SIGINT, pass_on);
	while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	snprintf(command, sizeof(command), "rm -r %s", folder);
	if (system(command) != 0)
		printf("# %s stays\n", folder);
	return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE;
}

/*
 * Where that is permitted, the kernel's objects are of a namespace of their own, with which they end, and
 * others' of the same user do not count.
 */
static void be_alone(void)
{
	struct rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};

	(void)unshare(CLONE_NEWIPC);
	(void)setrlimit(RLIMIT_MSGQUEUE, &unlimited);
}

int conform_main(const struct conform_suite *suite, int count, char **arguments)
{
	const char *path = NULL;
	bool only_list = false;
	int next = 1;

	setvbuf(stdout, NULL, _IOLBF, 0);
	verdict = conform_share(sizeof(*verdict));
	conform_run = getpid();
	if (count > 1 && strcmp(arguments[1], EXECUTED) == 0)
		return suite->executed(count - 2, arguments + 2);
	for (; next < count && strncmp(arguments[next], "--", 2) == 0; next++) {
		if (strcmp(arguments[next], "--list") == 0)
			only_list = true;
		else if (strcmp(arguments[next], "--implementation") == 0 && next + 1 < count)
			conform_implementation = arguments[++next];
		else if (strcmp(arguments[next], "--differences") == 0 && next + 1 < count)
			path = arguments[++next];
		else if (strcmp(arguments[next], "--watchdog") == 0 && next + 1 < count)
			watchdog_s = atoi(arguments[++next]);
		else
			return fprintf(stderr, "%s is no option\n", arguments[next]), 2;
	}
	if (only_list)
		return list();
	if (path && read_differences(path) != 0)
		return 2;
	if (is("kernel") || is("mutant"))
		be_alone();
	else if (!getenv("TENON_CONFORM_FOLDER"))
		return run_in_folder(arguments);
	printf("TAP version 13\n");
	if (!is_whom_it_says(suite)) {
		printf("Bail out! this is not the implementation \"%s\"\n", conform_implementation);
		return EXIT_FAILURE;
	}
	if (!is_usable(suite))
		return EXIT_SUCCESS;
	return run(suite, arguments + next);
}

void conform_execute(const char *what, const char *one, const char *other)
{
	execl("/proc/self/exe", "conform", EXECUTED, what, one, other, (char *)NULL);
	conform_fail(__FILE__, __LINE__, "execl", 0);
	_exit(127);
}
