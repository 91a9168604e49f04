/* SPDX-License-Identifier: Apache-2.0 */

/*
 * tenon once: runs a command unless somebody has done that already.  See hold.c.
 *
 * Who begins holds the once as one holds a lock.  A command that succeeds has done it; one that fails
 * has not, and the next one begins; one that was cut off leaves it as a dead holder does, and so does
 * one that fails behind such a one: the next one is warned.
 */

#include "hold.h"

#include <errno.h>
#include <stdio.h>

struct once_request {
	struct cli_hold hold; /* first */
	uint32_t what;	      /* TENON_ONCE_… */
	struct tenon_once *once;
};

static int open_once(struct cli_hold *hold)
{
	struct once_request *request = (struct once_request *)hold;
	int error = tenon_once_open(NULL, hold->name, TENON_CREATE, NULL, &request->once);

	return error ? cli_hold_open_error(hold, error) : CLI_OK;
}

static int take(struct cli_hold *hold, int64_t deadline_ns)
{
	struct once_request *request = (struct once_request *)hold;
	int error = tenon_once_begin(request->once, deadline_ns, &request->what);

	return error == -ETIMEDOUT && !deadline_ns ? -EBUSY : error;
}

static int32_t holder(const struct cli_hold *hold)
{
	struct tenon_once_status status = {.size = sizeof(status)};
	int error = tenon_once_status(((const struct once_request *)hold)->once, &status);

	return error ? 0 : status.owner_pid;
}

static int report_conflict(const struct once_request *request)
{
	struct tenon_once_status status = {.size = sizeof(status)};
	char details[96] = "";

	if (!tenon_once_status(request->once, &status) && status.owner_pid > 0)
		snprintf(details, sizeof(details), ": process %d is at it", status.owner_pid);
	return cli_patience_conflict(&request->hold.patience, request->hold.kind,
				     request->hold.name, "it is not done", "it was not done",
				     details);
}

static int refuse(const struct once_request *request, int error)
{
	switch (-error) {
	case EBUSY:
	case ETIMEDOUT:
		return report_conflict(request);
	case ENOTSUP:
		cli_kind_warn(&cli_kind_once, request->hold.name,
			      "the C library in use is not glibc: nobody would be told of this "
			      "process's death");
		return CLI_FAILED;
	default:
		return cli_kind_error(&cli_kind_once, request->hold.name, error);
	}
}

/* Somebody died amid it.  Left to tenon_once_close(), the next one is told so, too. */
static bool dares_again(const struct cli_hold *hold, int *ret_status)
{
	static const char what[] = "who did it before died in the middle: it may be half done";

	if (hold->if_dead == CLI_IF_DEAD_RUN) {
		cli_kind_warn(&cli_kind_once, hold->name,
			      "%s; the command runs nevertheless, and the next one is warned as "
			      "well unless it succeeds",
			      what);
		return true;
	}
	cli_kind_warn(&cli_kind_once, hold->name,
		      "%s; the command was not run; look at it, and then leave out --if-dead, or "
		      "'tenon once %s -- true' says that it is done",
		      what, hold->name);
	*ret_status = CLI_DAMAGED;
	return false;
}

static bool dares(struct cli_hold *hold, int error, int *ret_status)
{
	struct once_request *request = (struct once_request *)hold;

	if (error) {
		*ret_status = refuse(request, error);
		return false;
	}
	if (request->what == TENON_ONCE_DONE) {
		*ret_status = CLI_OK;
		return false;
	}
	return request->what == TENON_ONCE_FIRST || dares_again(hold, ret_status);
}

static void give(struct cli_hold *hold, int ended)
{
	const struct once_request *request = (const struct once_request *)hold;

	if (!ended)
		tenon_once_done(request->once);
	else if (ended != CLI_HOLD_CUT_OFF && request->what == TENON_ONCE_FIRST)
		tenon_once_failed(request->once);
}

static void close_once(struct cli_hold *hold)
{
	tenon_once_close(((struct once_request *)hold)->once);
}

static const struct cli_hold_calls calls = {
	.open = open_once,
	.take = take,
	.holder = holder,
	.dares = dares,
	.give = give,
	.close = close_once,
};

static int run(int argc, char **argv)
{
	static const struct option options[] = {
		CLI_PATIENCE_OPTIONS,
		CLI_IF_DEAD_OPTION,
		CLI_COMMON_OPTIONS,
		{NULL, 0, NULL, 0},
	};
	static const struct cli_line line = {
		.shorts = "-" CLI_PATIENCE_SHORTS,
		.longs = options,
		.option = cli_hold_option,
		.operand = cli_hold_operand,
	};
	struct once_request request = {
		.hold = {.calls = &calls, .kind = &cli_kind_once, .patience = CLI_PATIENCE_USUAL},
	};
	int status;

	if (!cli_parse_line(argc, argv, &line, &request, &status))
		return status;
	status = cli_hold_check(&request.hold, argv + optind);
	return status ? status : cli_hold_run(&request.hold);
}

const struct cli_command cli_command_once = {
	.name = "once",
	.synopsis = "[OPTION…] NAME [--] COMMAND [ARGUMENT…]",
	.summary = "run a command unless that has been done",
	.help = "Runs the command if nobody has yet, and ends with its status; else waits until it "
		"is\n"
		"done, and ends with 0.  A command that fails has not done it: the next one runs "
		"its own.\n"
		"The once is made if it is missing; when it is removed all begins anew.\n"
		"\n" CLI_PATIENCE_HELP CLI_IF_DEAD_HELP,
	.run = run,
};
