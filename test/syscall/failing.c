/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Each operation with its first failing system call, then with its second, and so on until it passes
 * untouched; and the same with its allocations.  After a failure nothing has changed, nothing is leaked, and the next call works.
 */

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tenon/queue.h>

#include "../crash/folder.h"
#include "failing.h"

#define SKIPPED 77
#define CALLS_MOST 200u
/* A process that still runs by then hangs. */
#define PATIENCE_S 60u

static const char *const order_names[] = {"fifo", "priority", "typed"};

static uint64_t points, allocations;

static void run_scenario(void *context)
{
	/* Its default action ends the process, and the report says by which signal. */
	alarm(PATIENCE_S);
	failing_scenario(context);
}

static void tell(const struct failing_hit *hit, uint32_t nth)
{
	printf("# call %u, %s: %s", nth, hit->call, strerrorname_np(hit->error));
	if (WIFSIGNALED(hit->status))
		printf(": killed by signal %d", WTERMSIG(hit->status));
	printf("\n");
}

static enum failing_end run(struct scenario *scenario, uint32_t nth, uint32_t variant,
			    struct failing_hit *ret_hit, uint32_t *ret_variants)
{
	enum failing_end end;

	fflush(stdout);
	failing_inherit(scenario);
	end = failing_run(run_scenario, scenario, nth, variant, ret_hit, ret_variants);
	failing_disinherit();
	tenon_queue_remove(NULL, "failing");
	tenon_queue_remove(NULL, "another");
	return end;
}

/* The same with allocations; all system calls are made. */
static int sweep_memory(const struct scenario *scenario)
{
	int failed = 0;

	for (uint32_t nth = 0; nth < CALLS_MOST; nth++) {
		struct scenario copy = *scenario;
		struct failing_hit hit;
		uint32_t variants;
		enum failing_end end;

		*failing_memory = (struct failing_memory){.nth = nth};
		end = run(&copy, UINT32_MAX, 0, &hit, &variants);
		failing_memory->nth = FAILING_NONE;
		if (end == FAILING_CRASHED) {
			failed++;
			printf("# allocation %u%s\n", nth,
			       WIFSIGNALED(hit.status) ? ": killed by a signal" : "");
		}
		if (!failing_memory->failed)
			return failed;
		allocations++;
	}
	return failed + 1;
}

/* -1: there is no tracing here; otherwise the number of failures. */
static int sweep(const struct scenario *scenario)
{
	int failed = 0;

	for (uint32_t nth = 0; nth < CALLS_MOST; nth++) {
		uint32_t variants = 1;

		for (uint32_t variant = 0; variant < variants; variant++) {
			struct scenario copy = *scenario;
			struct failing_hit hit;
			enum failing_end end;

			end = run(&copy, nth, variant, &hit, &variants);
			if (end == FAILING_IMPOSSIBLE)
				return -1;
			if (end == FAILING_UNTOUCHED)
				return failed;
			points++;
			if (end == FAILING_CRASHED) {
				failed++;
				tell(&hit, nth);
				if (hit.error == 0)
					return failed;
			}
		}
	}
	return failed + 1;
}

int main(int argc, char **argv)
{
	char folder[FOLDER_BYTES];
	uint32_t number = 0, failed = 0;

	failing_memory = mmap(NULL, sizeof(*failing_memory), PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (failing_memory == MAP_FAILED || folder_make(folder) != 0)
		return 2;
	failing_memory->nth = FAILING_NONE;
	printf("1..%u\n", 3 * failing_operations());
	for (uint32_t order = TENON_QUEUE_FIFO; order <= TENON_QUEUE_TYPED; order++) {
		for (uint32_t i = 0; i < failing_operations(); i++) {
			struct scenario scenario = {.order = order, .operation = i};
			const struct operation *operation = failing_operation(i);
			int result;

			if (argc > 1 && strcmp(argv[1], operation->name) != 0)
				continue;
			result = sweep(&scenario);
			if (result < 0) {
				folder_remove(folder);
				printf("Bail out! this machine does not let a process trace its "
				       "child\n");
				return SKIPPED;
			}
			result += sweep_memory(&scenario);
			failed += result > 0;
			printf("%sok %u - %s, %s\n", result > 0 ? "not " : "", ++number,
			       order_names[order], operation->name);
		}
	}
	if (folder_remove(folder) != 0) {
		printf("# files were left behind\n");
		failed++;
	}
	printf("# %llu calls failed, and %llu allocations\n", (unsigned long long)points,
	       (unsigned long long)allocations);
	if (allocations == 0 && argc == 1) {
		printf("# no allocation was seen: the linker did not do its part\n");
		failed++;
	}
	return failed > 0;
}
