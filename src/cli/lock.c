/* SPDX-License-Identifier: Apache-2.0 */

/*
 * tenon lock: runs a command while it holds a lock, or shares it, as flock(1) does.  See hold.c.
 *
 * A command that was cut off leaves the lock as a dead holder does: the next one is warned, until a
 * command that held it has succeeded.  Who shared it has changed nothing, and nobody is told.
 */

#include "hold.h"

#include <errno.h>
#include <stdio.h>

struct lock_request {
	struct cli_hold hold; /* first */
	bool shared;
	bool died; /* an earlier holder */
	struct tenon_lock *lock;
};

static int open_lock(struct cli_hold *hold)
{
	struct lock_request *request = (struct lock_request *)hold;
	int error = tenon_lock_open(NULL, hold->name, TENON_CREATE, NULL, &request->lock);

	return error ? cli_hold_open_error(hold, error) : CLI_OK;
}

static int take(struct cli_hold *hold, int64_t deadline_ns)
{
	struct tenon_lock *lock = ((struct lock_request *)hold)->lock;

	if (((struct lock_request *)hold)->shared)
		return deadline_ns ? tenon_lock_acquire_shared(lock, deadline_ns)
				   : tenon_lock_try_shared(lock);
	return deadline_ns ? tenon_lock_acquire(lock, deadline_ns) : tenon_lock_try(lock);
}

/* It was not had in time. */
static int report_conflict(const struct lock_request *request)
{
	struct tenon_lock_status status = {.size = sizeof(status)};
	char details[96] = "";

	/* While others share it, its owner is who waits for them, and nobody new shares it. */
	if (tenon_lock_status(request->lock, &status))
		details[0] = 0;
	else if (request->shared && status.shared && status.owner_pid > 0)
		snprintf(details, sizeof(details), ": process %d waits for it", status.owner_pid);
	else if (status.shared)
		snprintf(details, sizeof(details), ": it is shared %s",
			 cli_format_count(status.shared, "time", "times"));
	else if (status.owner_pid > 0)
		snprintf(details, sizeof(details), ": process %d holds it", status.owner_pid);
	return cli_patience_conflict(&request->hold.patience, request->hold.kind,
				     request->hold.name, "it is not free", "it was not free",
				     details);
}

/* It cannot be had like that, whoever has it. */
static int report_unsupported(const struct lock_request *request)
{
	struct tenon_lock_status status = {.size = sizeof(status)};
	const char *what = "the C library in use is not glibc: nobody would be told of this "
			   "process's death";

	if (!tenon_lock_status(request->lock, &status) && status.inherits)
		what = request->shared
			       ? "it is one with priority inheritance, which cannot be shared"
			       : "it is one with priority inheritance, which needs Linux 5.14 and "
				 "processes of one pid namespace";
	cli_kind_warn(&cli_kind_lock, request->hold.name, "%s", what);
	return CLI_FAILED;
}

/* Says why it cannot be had, and what the exit status is, which may be 0. */
static int refuse(const struct lock_request *request, int error)
{
	const char *name = request->hold.name;

	switch (-error) {
	case ENOTRECOVERABLE:
		cli_kind_warn(
			&cli_kind_lock, name,
			"it was given up, because what it protects is lost; mend that, remove "
			"the lock with 'tenon rm --kind lock %s', and it is made anew",
			name);
		return CLI_DAMAGED;
	case EBUSY:
	case ETIMEDOUT:
		return report_conflict(request);
	case ENOTSUP:
		return report_unsupported(request);
	default:
		return cli_kind_error(&cli_kind_lock, name, error);
	}
}

static void release(struct lock_request *request)
{
	if (request->shared)
		tenon_lock_release_shared(request->lock);
	else
		tenon_lock_release(request->lock);
}

/* Who shares the lock must not say that what it protects is sound: others share it as well. */
static bool dares(struct cli_hold *hold, int error, int *ret_status)
{
	static const char what[] = "who held it before died in the middle: what it protects may be "
				   "half done";
	struct lock_request *request = (struct lock_request *)hold;
	const char *name = hold->name;

	request->died = error == -EOWNERDEAD;
	if (error && !request->died) {
		*ret_status = refuse(request, error);
		return false;
	}
	if (!request->died)
		return true;
	if (hold->if_dead == CLI_IF_DEAD_FAIL) {
		cli_kind_warn(&cli_kind_lock, name,
			      "%s; the command was not run; look at it, and then 'tenon lock %s "
			      "-- true' says that it is sound",
			      what, name);
		release(request);
		*ret_status = CLI_DAMAGED;
		return false;
	}
	if (request->shared)
		cli_kind_warn(&cli_kind_lock, name,
			      "%s; the command runs nevertheless, and the next one is warned as "
			      "well, since who shares the lock mends nothing; look at it, and then "
			      "'tenon lock %s -- true' says that it is sound",
			      what, name);
	else
		cli_kind_warn(&cli_kind_lock, name,
			      "%s; the command runs nevertheless, and the next one is warned as "
			      "well unless it succeeds",
			      what);
	return true;
}

static void give(struct cli_hold *hold, int ended)
{
	struct lock_request *request = (struct lock_request *)hold;

	/* Left to tenon_lock_close(), it is as if its holder had died. */
	if (ended == CLI_HOLD_CUT_OFF && !request->shared)
		return;
	if (!ended && request->died && !request->shared)
		tenon_lock_repaired(request->lock);
	release(request);
}

static void close_lock(struct cli_hold *hold)
{
	tenon_lock_close(((struct lock_request *)hold)->lock);
}

static const struct cli_hold_calls calls = {
	.open = open_lock,
	.take = take,
	.dares = dares,
	.give = give,
	.close = close_lock,
};

static int parse_option(void *context, int option)
{
	struct lock_request *request = context;

	switch (option) {
	case 's':
	case 'x':
		request->shared = option == 's';
		return CLI_OK;
	default:
		return cli_hold_option(context, option);
	}
}

static int run(int argc, char **argv)
{
	static const struct option options[] = {
		{"shared", no_argument, NULL, 's'},
		{"exclusive", no_argument, NULL, 'x'},
		CLI_PATIENCE_OPTIONS,
		CLI_IF_DEAD_OPTION,
		CLI_COMMON_OPTIONS,
		{NULL, 0, NULL, 0},
	};
	static const struct cli_line line = {
		.shorts = "-sx" CLI_PATIENCE_SHORTS,
		.longs = options,
		.option = parse_option,
		.operand = cli_hold_operand,
	};
	struct lock_request request = {
		.hold = {.calls = &calls, .kind = &cli_kind_lock, .patience = CLI_PATIENCE_USUAL},
	};
	int status;

	if (!cli_parse_line(argc, argv, &line, &request, &status))
		return status;
	status = cli_hold_check(&request.hold, argv + optind);
	return status ? status : cli_hold_run(&request.hold);
}

const struct cli_command cli_command_lock = {
	.name = "lock",
	.synopsis = "[OPTION…] NAME [--] COMMAND [ARGUMENT…]",
	.summary = "run a command while holding a lock",
	.help = "Acquires the lock, which is made if it is missing, runs the command, and releases "
		"it.\n"
		"Ends with the command's status, or 128 and the number of the signal that killed "
		"it.\n"
		"If 'tenon lock' is killed, the command is killed before another gets the lock.\n"
		"\n"
		"  -x, --exclusive              nobody else has it meanwhile (usual)\n"
		"  -s, --shared                 others may share it at the same "
		"time\n" CLI_PATIENCE_HELP CLI_IF_DEAD_HELP,
	.run = run,
};
