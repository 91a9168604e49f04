/* SPDX-License-Identifier: Apache-2.0 */

/* tenon ls: lists the objects of a namespace, sorted by name. */

#include "cli.h"

#include <errno.h>
#include <json-c/json.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int read_status(const char *name, struct tenon_queue_status *ret_status)
{
	CLI_CLEANUP(cli_cleanup_queue) struct tenon_queue *queue = NULL;
	int error;

	error = tenon_queue_open(NULL, name, 0, NULL, &queue);
	if (error)
		return error;
	ret_status->size = sizeof(*ret_status);
	return tenon_queue_status(queue, ret_status);
}

/* `end` is what stands behind each name: a newline or a null byte. */
static void print_name(const char *name, char end)
{
	CLI_CLEANUP(cli_cleanup_free) char *shown = NULL;

	if (isatty(STDOUT_FILENO))
		shown = cli_escape(name, strlen(name), NULL);
	fputs(shown ? shown : name, stdout);
	putchar(end);
}

static void print_long(const char *name, char end)
{
	struct tenon_queue_status status = {.size = sizeof(status)};
	const struct passwd *user;
	char owner[32], capacity[32], mode[12];
	int error;

	error = read_status(name, &status);
	if (error) {
		printf("queue     ?  %-10s %-9s %8s %10s %9s %5s ", "?", "?", "?", "?", "?", "?");
		print_name(name, end);
		cli_queue_error(name, error);
		return;
	}
	user = getpwuid(status.uid);
	if (user)
		snprintf(owner, sizeof(owner), "%s", user->pw_name);
	else
		snprintf(owner, sizeof(owner), "%u", status.uid);
	if (status.capacity == TENON_QUEUE_UNBOUNDED)
		snprintf(capacity, sizeof(capacity), "unbounded");
	else if (status.capacity == TENON_QUEUE_RENDEZVOUS)
		snprintf(capacity, sizeof(capacity), "rendezvous");
	else
		snprintf(capacity, sizeof(capacity), "%llu", (unsigned long long)status.capacity);
	snprintf(mode, sizeof(mode), "%04o", status.mode);
	printf("queue  %s  %-10s %-9s %8llu %10s %9s %5u ", mode, owner,
	       cli_word(cli_order_words, status.order), (unsigned long long)status.messages,
	       capacity, cli_format_bytes(status.memory_bytes), status.participants);
	if (status.damaged)
		printf("%s(damaged)%s ", cli_colour(STDOUT_FILENO, CLI_RED),
		       cli_colour(STDOUT_FILENO, CLI_PLAIN));
	print_name(name, end);
}

/* A queue that went away since it was listed is left out; another trouble is told in its entry. */
static int print_json(const struct cli_listing *listing)
{
	struct json_object *array = json_object_new_array();
	size_t i;

	if (!array)
		return cli_system_error("ls", -ENOMEM);
	for (i = 0; i < listing->count; ++i) {
		struct tenon_queue_status status = {.size = sizeof(status)};
		int error = read_status(listing->names[i], &status);

		if (error == -ENOENT)
			continue;
		if (!error) {
			json_object_array_add(array, cli_json_status(listing->names[i], &status));
			continue;
		}
		json_object_array_add(array, cli_json_unopened(listing->names[i], error));
	}
	cli_json_print(array, true);
	return CLI_OK;
}

static int list(bool details, bool json, char end)
{
	CLI_CLEANUP(cli_cleanup_listing) struct cli_listing listing = {NULL, 0, 0};
	int error;
	size_t i;

	error = cli_listing_read(&listing);
	/* The usual folder is made with the first queue; another one somebody has mistyped. */
	if (!error && !listing.count && cli_namespace_is_named() && cli_namespace_is_missing())
		error = -ENOENT;
	if (error)
		return cli_namespace_error(error);
	if (json)
		return print_json(&listing);
	if (details && listing.count && isatty(STDOUT_FILENO))
		printf("%skind   mode  %-10s %-9s %8s %10s %9s %5s name%s\n",
		       cli_colour(STDOUT_FILENO, CLI_DIM), "owner", "order", "messages", "capacity",
		       "memory", "procs", cli_colour(STDOUT_FILENO, CLI_PLAIN));
	for (i = 0; i < listing.count; ++i) {
		if (details)
			print_long(listing.names[i], end);
		else
			print_name(listing.names[i], end);
	}
	return CLI_OK;
}

static int run(int argc, char **argv)
{
	static const struct option options[] = {
		{"long", no_argument, NULL, 'l'},
		{"json", no_argument, NULL, 'j'},
		{"null", no_argument, NULL, '0'},
		CLI_COMMON_OPTIONS,
		{NULL, 0, NULL, 0},
	};
	bool details = false, json = false;
	char end = '\n';
	int option;

	while ((option = cli_option(argc, argv, "l0", options)) != -1) {
		switch (option) {
		case 'l':
			details = true;
			break;
		case 'j':
			json = true;
			break;
		case '0':
			end = 0;
			break;
		default:
			return cli_option_status(option);
		}
	}
	if (optind < argc)
		return cli_usage("'%s' is too much; 'tenon stat' shows one queue", argv[optind]);
	if (json && !end)
		return cli_usage("--json is a format of its own; leave out --null");
	return list(details, json, end);
}

const struct cli_command cli_command_ls = {
	.name = "ls",
	.synopsis = "[-l] [-0 | --json]",
	.summary = "list the queues",
	.help = "Lists the queues of the namespace, one a line, sorted by name.\n"
		"\n"
		"  -l, --long   with kind, mode, owner, order, messages, capacity, memory and\n"
		"               attached processes before the name\n"
		"  -0, --null   a null byte after each, for names with newlines\n"
		"      --json   an array of what 'tenon stat --json' tells of each, without "
		"processes\n",
	.run = run,
};
