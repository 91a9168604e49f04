/* SPDX-License-Identifier: Apache-2.0 */

#include "failing_sweep.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../crash/folder.h"

#define CALLS_MOST 200u
/* A process that still runs by then hangs. */
#define PATIENCE_S 60u

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

/* Address space, but for the C library's own. */
uint64_t failing_count_mapped(void)
{
	FILE *file = fopen("/proc/self/maps", "r");
	unsigned long long from, to;
	uint64_t bytes = 0;
	char line[512];

	while (file && fgets(line, sizeof(line), file))
		if (!strstr(line, "[heap]") && !strstr(line, "[stack]") &&
		    sscanf(line, "%llx-%llx", &from, &to) == 2)
			bytes += to - from;
	if (file)
		fclose(file);
	return bytes;
}

/* Of what may fail anywhere; that the memory is damaged is not so.  -EINTR comes of calls that no signal interrupts on
 * tmpfs, and is nothing that a header would have to name. */
void failing_told(int result, const int *also)
{
	static const int general[] = {-ENOSPC, -ENOMEM, -EMFILE, -ENFILE, -EINTR, 0};

	for (size_t i = 0; i < sizeof(general) / sizeof(general[0]); i++)
		if (result == general[i])
			return;
	for (; *also != FAILING_LIST_END; also++)
		if (result == *also)
			return;
	failing_wrong("an answer that the header does not name", result);
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

static enum failing_end run(struct run *run, uint32_t nth, uint32_t variant,
			    struct failing_hit *ret_hit, uint32_t *ret_variants)
{
	enum failing_end end;

	fflush(stdout);
	run->set->inherit(run->operation);
	end = failing_run(run_scenario, run, nth, variant, ret_hit, ret_variants);
	run->set->clean();
	return end;
}

/* How many failed; -1: there is no tracing here. */
static int sweep(struct run *of, uint64_t *points)
{
	int failed = 0;

	for (uint32_t nth = 0; nth < CALLS_MOST; nth++) {
		uint32_t variants = 1;

		for (uint32_t variant = 0; variant < variants; variant++) {
			struct failing_hit hit;
			enum failing_end end = run(of, nth, variant, &hit, &variants);

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

/* The same with allocations; all system calls are made. */
static int sweep_memory(struct run *of, uint64_t *points)
{
	int failed = 0;

	for (uint32_t nth = 0; nth < CALLS_MOST; nth++) {
		struct failing_hit hit;
		uint32_t variants;
		enum failing_end end;

		*failing_memory = (struct failing_memory){.nth = nth};
		end = run(of, FAILING_NONE, 0, &hit, &variants);
		failing_memory->nth = FAILING_NONE;
		if (end == FAILING_CRASHED) {
			failed++;
			printf("# allocation %u%s\n", nth,
			       WIFSIGNALED(hit.status) ? ": killed" : "");
		}
		if (!failing_memory->failed)
			return failed;
		++*points;
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
		struct run of = {set, i};
		uint64_t points = 0;
		int result;

		if (argc > 1 && strcmp(argv[1], set->name(i)) != 0)
			continue;
		result = sweep(&of, &points);
		if (result < 0) {
			printf("1..0 # SKIP no process may trace another here\n");
			folder_remove(folder);
			return 0; /* TAP says that it is skipped */
		}
		result += sweep_memory(&of, &points);
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
