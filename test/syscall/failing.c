/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Each operation with its first failing system call, then with its second, and so on until it passes
 * untouched.  After a failure nothing has changed, nothing is leaked, and the next call works.
 */

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tenon/queue.h>

#include "../crash/folder.h"
#include "failing.h"

#define SKIPPED 77
#define CALLS_MOST 200u
/* A process that still runs by then hangs. */
#define PATIENCE_S 10u

static const char *const order_names[] = {"fifo", "priority", "typed"};

static uint64_t points;

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

			fflush(stdout);
			end = failing_run(run_scenario, &copy, nth, variant, &hit, &variants);
			tenon_queue_remove(NULL, "failing");
			tenon_queue_remove(NULL, "another");
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

	if (folder_make(folder) != 0)
		return 2;
	printf("1..%u\n", 3 * failing_operations());
	for (uint32_t order = TENON_QUEUE_FIFO; order <= TENON_QUEUE_TYPED; order++) {
		for (uint32_t i = 0; i < failing_operations(); i++) {
			struct scenario scenario = {.order = order, .operation = i};
			const char *name = failing_operation_name(i);
			int result;

			if (argc > 1 && strcmp(argv[1], name) != 0)
				continue;
			result = sweep(&scenario);
			if (result < 0) {
				folder_remove(folder);
				printf("Bail out! this machine does not let a process trace its "
				       "child\n");
				return SKIPPED;
			}
			failed += result > 0;
			printf("%sok %u - %s, %s\n", result > 0 ? "not " : "", ++number,
			       order_names[order], name);
		}
	}
	if (folder_remove(folder) != 0) {
		printf("# files were left behind\n");
		failed++;
	}
	printf("# %llu calls failed\n", (unsigned long long)points);
	return failed > 0;
}
