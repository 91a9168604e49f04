/* SPDX-License-Identifier: Apache-2.0 */

/* tenon barrier: arrives at a barrier, and waits for the others. */

#include "kind.h"
#include "verb.h"

#include <errno.h>
#include <stdio.h>

static const char *const verbs[] = {"wait", NULL};

static int report_conflict(const struct cli_verb_request *request, struct tenon_barrier *barrier)
{
	struct tenon_barrier_status status = {.size = sizeof(status)};
	char details[96] = "";

	/* Who was one of them, and has left. */
	if (!tenon_barrier_status(barrier, &status))
		snprintf(details, sizeof(details), ": without this one, %u of %u have arrived",
			 status.arrived, status.count);
	return cli_patience_conflict(&request->patience, &cli_kind_barrier, request->name,
				     "not all have arrived", "not all arrived", details);
}

static int run(int argc, char **argv)
{
	static const struct option options[] = {
		CLI_PATIENCE_OPTIONS,
		CLI_COMMON_OPTIONS,
		{NULL, 0, NULL, 0},
	};
	struct cli_verb_request request = {
		.kind = &cli_kind_barrier,
		.verbs = verbs,
		.patience = CLI_PATIENCE_USUAL,
	};
	struct tenon_barrier *barrier;
	int error, status;

	if (!cli_verb_parse(argc, argv, "-" CLI_PATIENCE_SHORTS, options, &request, &status))
		return status;
	error = tenon_barrier_open(NULL, request.name, 0, NULL, &barrier);
	if (error)
		return cli_kind_error(&cli_kind_barrier, request.name, error);
	error = tenon_barrier_wait(barrier, cli_patience_deadline(&request.patience), NULL);
	if (error == -ETIMEDOUT)
		status = report_conflict(&request, barrier);
	else if (error)
		status = cli_kind_error(&cli_kind_barrier, request.name, error);
	tenon_barrier_close(barrier);
	return status;
}

const struct cli_command cli_command_barrier = {
	.name = "barrier",
	.synopsis = "wait NAME [OPTION…]",
	.summary = "wait until as many have arrived as a barrier is for",
	.help = "Arrives at the barrier, and ends when as many have arrived as it is for.  Who is "
		"killed\n"
		"while it waits, or gives up, has not arrived.\n"
		"\n" CLI_PATIENCE_HELP "\n"
		"The barrier is made with 'tenon create barrier NAME --count N'.\n",
	.run = run,
};
