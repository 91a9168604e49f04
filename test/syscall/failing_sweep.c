/* SPDX-License-Identifier: Apache-2.0 */

#include "failing_sweep.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../crash/folder.h"

#define SKIPPED 77
#define CALLS_MOST 200u
/* A process that still runs by then hangs. */
#define PATIENCE_S 10u

void failing_wrong(const char *what, int figure)
{
	printf("# %s: %d\n", what, figure);
	fflush(stdout);
	_exit(1);
}

int failing_count_descriptors(void)
{
	DIR *directory = opendir("/proc/self/fd");
	int count = -3;

	while (directory && readdir(directory))
		count++;
	if (directory)
		closedir(directory);
	return count;
}

struct run {
	const struct failing_set *set;
	uint32_t operation;
};

static void run_scenario(void *context)
{
	struct run *run = context;

	/* Its default action ends the process, and the report says by which signal. */
	alarm(PATIENCE_S);
	run->set->scenario(&run->operation);
}

/* How many failed; -1: there is no tracing here. */
static int sweep(const struct failing_set *set, uint32_t operation, uint64_t *points)
{
	struct run run = {set, operation};
	int failed = 0;

	for (uint32_t nth = 0; nth < CALLS_MOST; nth++) {
		uint32_t variants = 1;

		for (uint32_t variant = 0; variant < variants; variant++) {
			struct failing_hit hit;
			enum failing_end end;

			fflush(stdout);
			set->inherit(operation);
			end = failing_run(run_scenario, &run, nth, variant, &hit, &variants);
			set->clean();
			if (end == FAILING_IMPOSSIBLE)
				return -1;
			if (end == FAILING_UNTOUCHED)
				return failed;
			++*points;
			if (end != FAILING_CRASHED)
				continue;
			failed++;
			printf("# call %u, %s: %s%s\n", nth, hit.call, strerrorname_np(hit.error),
			       WIFSIGNALED(hit.status) ? ": killed" : "");
			if (hit.error == 0)
				return failed;
		}
	}
	return failed + 1;
}

int failing_sweep_main(int argc, char **argv, const struct failing_set *set)
{
	char folder[FOLDER_BYTES];
	int failed = 0, number = 0;

	failing_memory = mmap(NULL, sizeof(*failing_memory), PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (failing_memory == MAP_FAILED || folder_make(folder) != 0)
		return 2;
	failing_memory->nth = FAILING_NONE;
	for (uint32_t i = 0; i < set->operations; i++) {
		uint64_t points = 0;
		int result;

		if (argc > 1 && strcmp(argv[1], set->name(i)) != 0)
			continue;
		result = sweep(set, i, &points);
		if (result < 0) {
			printf("1..0 # SKIP no process may trace another here\n");
			folder_remove(folder);
			return SKIPPED;
		}
		failed += result;
		printf("%sok %d - %s: %llu failing calls\n", result ? "not " : "", ++number,
		       set->name(i), (unsigned long long)points);
	}
	printf("1..%d\n", number);
	if (folder_remove(folder) != 0) {
		printf("# files were left behind\n");
		failed++;
	}
	return failed > 0;
}
