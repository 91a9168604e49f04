/* SPDX-License-Identifier: Apache-2.0 */

/* tenon peek: shows messages and leaves them where they are. */

#include "cli.h"

#include <errno.h>
#include <stdlib.h>

#define BUFFER_BYTES ((size_t)64 << 10)

struct peek_job {
	char name[258];
	struct tenon_queue *queue;
	struct tenon_receive_options select_options;
	struct cli_view view;
	uint64_t position; /* of the first that matches */
	bool all;
	char *buffer;
	size_t buffer_bytes;
	uint64_t shown;
};

/* Reads the message at a position whole, whatever its length. */
static int peek(struct peek_job *job, uint64_t position, struct tenon_message *ret_message)
{
	char *moved;
	int error;

	for (;;) {
		error = tenon_queue_peek(job->queue, position, job->buffer, job->buffer_bytes,
					 ret_message);
		if (error || ret_message->bytes <= job->buffer_bytes)
			return error;
		moved = realloc(job->buffer, ret_message->bytes);
		if (!moved)
			return -ENOMEM;
		job->buffer = moved;
		job->buffer_bytes = ret_message->bytes;
	}
}

static bool matches(const struct peek_job *job, const struct tenon_message *message)
{
	switch (job->select_options.select) {
	case TENON_SELECT_EXACTLY:
		return message->key == job->select_options.select_key;
	case TENON_SELECT_ALL_BUT:
		return message->key != job->select_options.select_key;
	case TENON_SELECT_LOWEST_TO:
		return message->key <= job->select_options.select_key;
	default:
		return true;
	}
}

/* Finds the lowest key that --lowest admits, and asks for exactly that from then on. */
static int settle_lowest(struct peek_job *job)
{
	struct tenon_message message;
	uint64_t position, lowest = UINT64_MAX;
	int error;

	if (job->select_options.select != TENON_SELECT_LOWEST_TO)
		return 0;
	for (position = 0;; ++position) {
		error = tenon_queue_peek(job->queue, position, job->buffer, 0, &message);
		if (error == -ENOENT)
			break;
		if (error)
			return error;
		if (matches(job, &message) && message.key < lowest)
			lowest = message.key;
	}
	if (lowest <= job->select_options.select_key) {
		job->select_options.select = TENON_SELECT_EXACTLY;
		job->select_options.select_key = lowest;
	}
	return 0;
}

static int show(struct peek_job *job, const struct tenon_message *message)
{
	int error;

	error = cli_output_message(&job->view.output, job->buffer, message);
	if (!error && job->view.output.bytes >= BUFFER_BYTES)
		error = cli_output_flush(&job->view.output);
	++job->shown;
	return error ? cli_output_error(error) : CLI_OK;
}

static int show_matching(struct peek_job *job)
{
	struct tenon_message message;
	uint64_t position, matching = 0;
	int error, status;

	for (position = 0;; ++position) {
		/* Without a choice of types the position is the queue's own. */
		if (!job->select_options.select && !position)
			position = matching = job->position;
		error = peek(job, position, &message);
		if (error == -ENOENT)
			break;
		if (error)
			return cli_queue_error(job->name, error);
		if (!matches(job, &message) || matching++ < job->position)
			continue;
		status = show(job, &message);
		if (status)
			return status;
		if (!job->all)
			break;
	}
	error = cli_output_flush(&job->view.output);
	if (error)
		return cli_output_error(error);
	if (job->shown)
		return CLI_OK;
	if (!job->view.quiet)
		cli_queue_warn(job->name, "there is no message%s at position %llu",
			       job->view.select.given ? " of that type" : "",
			       (unsigned long long)job->position);
	return CLI_NOTHING;
}

static int peek_job_run(struct peek_job *job)
{
	CLI_CLEANUP(cli_cleanup_queue) struct tenon_queue *queue = NULL;
	struct tenon_queue_status queue_status;
	int status, error;

	status = cli_queue_open(job->name, 0, CLI_TO_RECEIVE, &queue, &queue_status);
	if (status)
		return status;
	job->queue = queue;
	status = cli_select_apply(&job->view.select, job->name, &queue_status,
				  &job->select_options);
	if (status)
		return status;
	job->buffer_bytes = BUFFER_BYTES;
	job->buffer = malloc(job->buffer_bytes);
	if (!job->buffer)
		return cli_queue_error(job->name, -ENOMEM);
	error = settle_lowest(job);
	return error ? cli_queue_error(job->name, error) : show_matching(job);
}

static int parse_option(int option, struct peek_job *job)
{
	switch (option) {
	case 'a':
		job->all = true;
		return CLI_OK;
	case 'p':
		if (cli_parse_count(optarg, &job->position))
			return cli_usage("--position '%s': not a number from 0 on", optarg);
		return CLI_OK;
	default:
		return cli_view_option(option, &job->view);
	}
}

static int run(int argc, char **argv)
{
	static const struct option options[] = {
		{"all", no_argument, NULL, 'a'},
		{"position", required_argument, NULL, 'p'},
		CLI_VIEW_OPTIONS,
		CLI_COMMON_OPTIONS,
		{NULL, 0, NULL, 0},
	};
	struct peek_job job = {.all = false};
	int option, status;

	while ((option = cli_option(argc, argv, "ap:0q", options)) != -1) {
		status = parse_option(option, &job);
		if (status || option == 'h')
			return status;
	}
	status = cli_operand_queue(argc, argv, job.name);
	if (!status)
		status = cli_view_check(&job.view);
	if (!status)
		status = peek_job_run(&job);
	cli_cleanup_output(&job.view.output);
	free(job.buffer);
	return status;
}

const struct cli_command cli_command_peek = {
	.name = "peek",
	.synopsis = "[OPTION…] NAME",
	.summary = "show messages without receiving them",
	.help = "Shows the message that would be received next, and leaves it in the queue.  On a\n"
		"terminal, what could steer it is escaped (not with --raw).\n"
		"\n"
		"  -p, --position N       so many places behind it\n"
		"  -a, --all              it and all behind it; others who receive meanwhile shift "
		"the\n"
		"                         positions\n" CLI_VIEW_HELP "\n"
		"With --type, positions count the messages that it chooses.  Of System V's a NAME "
		"may also\n"
		"be key/0x2a or id/98304, as 'ipcs' shows them.\n",
	.run = run,
};
