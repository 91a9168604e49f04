/* SPDX-License-Identifier: Apache-2.0 */

/* tenon create: makes a queue, or makes sure that there is one as asked for. */

#include "cli.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum {
	OPTION_CAPACITY = 256,
	OPTION_ORDER,
	OPTION_FULL,
	OPTION_MESSAGE_SIZE,
	OPTION_MODE,
	OPTION_PARTICIPANTS,
	OPTION_EXCLUSIVE,
};

struct create_request {
	struct tenon_queue_options options;
	uint32_t flags;
	bool json;
	/* Which of the options were given, as bits of 1 << (OPTION_… - OPTION_CAPACITY). */
	uint32_t given;
};

static int parse_capacity(const char *text, uint64_t *ret_capacity)
{
	uint64_t capacity;

	if (!strcmp(text, "rendezvous") || !strcmp(text, "0")) {
		*ret_capacity = TENON_QUEUE_RENDEZVOUS;
		return 0;
	}
	if (!strcmp(text, "unbounded")) {
		*ret_capacity = TENON_QUEUE_UNBOUNDED;
		return 0;
	}
	if (cli_parse_count(text, &capacity) || !capacity || capacity > TENON_QUEUE_MAX_CAPACITY)
		return -EINVAL;
	*ret_capacity = capacity;
	return 0;
}

static int parse_request(int option, struct create_request *request)
{
	struct tenon_queue_options *options = &request->options;
	uint64_t number;

	switch (option) {
	case OPTION_CAPACITY:
		if (parse_capacity(optarg, &options->capacity))
			return cli_usage("--capacity '%s': neither a number from 0 to %llu nor "
					 "'rendezvous' nor 'unbounded'",
					 optarg, (unsigned long long)TENON_QUEUE_MAX_CAPACITY);
		break;
	case OPTION_ORDER:
		if (cli_parse_word(optarg, cli_order_words, &options->order))
			return cli_usage("--order '%s': not one of fifo, priority, typed", optarg);
		break;
	case OPTION_FULL:
		if (cli_parse_word(optarg, cli_full_words, &options->full))
			return cli_usage("--full '%s': not one of wait, fail, drop-oldest, "
					 "drop-newest",
					 optarg);
		break;
	case OPTION_MESSAGE_SIZE:
		if (cli_parse_size(optarg, &options->max_message_bytes) ||
		    options->max_message_bytes > TENON_QUEUE_MAX_MESSAGE_BYTES)
			return cli_usage("--message-size '%s': not a size from 0 to 1G (K, M or G "
					 "may follow a "
					 "whole number)",
					 optarg);
		break;
	case OPTION_MODE:
		if (cli_parse_mode(optarg, &options->mode))
			return cli_usage("--mode '%s': not an octal number up to 0777", optarg);
		break;
	case OPTION_PARTICIPANTS:
		if (cli_parse_number(optarg, &number) || !number ||
		    number > TENON_QUEUE_MAX_PARTICIPANTS)
			return cli_usage("--participants '%s': not a number from 1 to %u", optarg,
					 TENON_QUEUE_MAX_PARTICIPANTS);
		options->max_participants = (uint32_t)number;
		break;
	case OPTION_EXCLUSIVE:
		request->flags |= TENON_QUEUE_EXCLUSIVE;
		break;
	case CLI_OPTION_JSON:
		request->json = true;
		return CLI_OK;
	default:
		return cli_option_status(option);
	}
	request->given |= UINT32_C(1) << (option - OPTION_CAPACITY);
	return CLI_OK;
}

/* An existing queue is opened as it is; it must not differ in what was asked for by name. */
static const char *find_difference(const struct create_request *request,
				   const struct tenon_queue_status *status)
{
	const struct tenon_queue_options *options = &request->options;
	const struct {
		int option;
		bool differs;
		const char *text;
	} rows[] = {
		{OPTION_CAPACITY, options->capacity != status->capacity, "--capacity"},
		{OPTION_ORDER, options->order != status->order, "--order"},
		{OPTION_FULL, options->full != status->full, "--full"},
		{OPTION_MESSAGE_SIZE, options->max_message_bytes != status->max_message_bytes,
		 "--message-size"},
		{OPTION_PARTICIPANTS, options->max_participants != status->max_participants,
		 "--participants"},
	};
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); ++i) {
		if (rows[i].differs && request->given & UINT32_C(1) << (rows[i].option - 256))
			return rows[i].text;
	}
	return NULL;
}

static int print_queue(const char *name, const struct tenon_queue_status *status)
{
	struct json_object *object = cli_json_status(name, status);

	if (!object)
		return cli_queue_error(name, -ENOMEM);
	cli_json_print(object, true);
	return CLI_OK;
}

static int create(const char *name, const struct create_request *request)
{
	CLI_CLEANUP(cli_cleanup_queue) struct tenon_queue *queue = NULL;
	struct tenon_queue_status status = {.size = sizeof(status)};
	const char *difference;
	int error;

	error = tenon_queue_open(NULL, name, TENON_QUEUE_CREATE | request->flags, &request->options,
				 &queue);
	if (error == -EINVAL) {
		if (request->options.capacity == TENON_QUEUE_RENDEZVOUS &&
		    request->options.full != TENON_QUEUE_WAIT)
			cli_queue_warn(name,
				       "--capacity rendezvous and --full %s do not go together: a "
				       "rendezvous is never full, its senders wait for a receiver",
				       cli_word(cli_full_words, request->options.full));
		else
			cli_queue_warn(name, "these options do not go together");
		return CLI_USAGE;
	}
	if (!error)
		error = tenon_queue_status(queue, &status);
	if (error == -ENOENT) {
		cli_queue_warn(name, "there is no namespace folder '%s'; %s", cli_namespace(),
			       cli_namespace_remedy());
		return CLI_MISSING;
	}
	if (error)
		return cli_queue_error(name, error);
	difference = find_difference(request, &status);
	if (difference) {
		cli_queue_warn(name,
			       "it exists already with another %s; look at it with 'tenon stat "
			       "%s', or remove it first",
			       difference, name);
		return CLI_EXISTS;
	}
	if (cli_is_on_disk(cli_namespace()))
		cli_queue_warn(name,
			       "it lies in '%s', which is not on tmpfs: messages are written to a "
			       "disk",
			       cli_namespace());
	return request->json ? print_queue(name, &status) : CLI_OK;
}

static int run(int argc, char **argv)
{
	static const struct option options[] = {
		{"capacity", required_argument, NULL, OPTION_CAPACITY},
		{"order", required_argument, NULL, OPTION_ORDER},
		{"full", required_argument, NULL, OPTION_FULL},
		{"message-size", required_argument, NULL, OPTION_MESSAGE_SIZE},
		{"mode", required_argument, NULL, OPTION_MODE},
		{"participants", required_argument, NULL, OPTION_PARTICIPANTS},
		{"exclusive", no_argument, NULL, OPTION_EXCLUSIVE},
		{"json", no_argument, NULL, CLI_OPTION_JSON},
		CLI_COMMON_OPTIONS,
		{NULL, 0, NULL, 0},
	};
	struct create_request request = {
		.options = {.size = sizeof(request.options),
			    .capacity = TENON_QUEUE_DEFAULT_CAPACITY,
			    .max_message_bytes = TENON_QUEUE_DEFAULT_MESSAGE_BYTES,
			    .mode = TENON_QUEUE_DEFAULT_MODE},
	};
	char name[258];
	int option, status;

	while ((option = cli_option(argc, argv, "", options)) != -1) {
		status = parse_request(option, &request);
		if (status || option == 'h')
			return status;
	}
	if (optind == argc)
		return cli_usage("what to create is missing: 'tenon create queue NAME'");
	if (strcmp(argv[optind], "queue"))
		return cli_usage("'%s' is no kind of object; there is 'queue': 'tenon create queue "
				 "NAME'",
				 argv[optind]);
	++optind;
	status = cli_operand_queue(argc, argv, name);
	if (status)
		return status;
	return create(name, &request);
}

const struct cli_command cli_command_create = {
	.name = "create",
	.synopsis = "queue NAME [OPTION…]",
	.summary = "make a queue",
	.help = "Makes a queue.  If it exists it is left as it is, and only options that differ "
		"from\n"
		"it are an error.\n"
		"\n"
		"  --capacity N         messages it holds at most (1024; K, M and G may follow),\n"
		"                       or 0, 'rendezvous': a send ends when its message was\n"
		"                       received, or 'unbounded'\n"
		"  --order ORDER        fifo (usual), priority, typed\n"
		"  --full WHAT          when it is full a send should wait (usual), fail,\n"
		"                       drop-oldest or drop-newest\n"
		"  --message-size SIZE  the longest message (8K); K, M and G may follow\n"
		"  --mode OCTAL         permission bits, less the umask (0600)\n"
		"  --participants N     processes that may be attached at once (256)\n"
		"  --exclusive          fail if it exists\n"
		"  --json               print what it is now, as 'tenon stat --json' does\n",
	.run = run,
};
