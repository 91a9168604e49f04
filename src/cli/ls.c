/* SPDX-License-Identifier: Apache-2.0 */

/* tenon ls: lists the objects of a namespace, sorted by name. */

#include "kind.h"

#include <errno.h>
#include <json-c/json.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Wide enough for the kinds that are listed. */
static int kind_width;

/* `end` is what stands behind each name: a newline or a null byte. */
static void print_name(const char *name, char end)
{
	CLI_CLEANUP(cli_cleanup_free) char *shown = NULL;

	if (isatty(STDOUT_FILENO))
		shown = cli_escape(name, strlen(name), NULL);
	fputs(shown ? shown : name, stdout);
	putchar(end);
}

static void print_columns(const char *kind, const char *mode, const char *owner,
			  const struct cli_columns *columns, const char *memory,
			  const char *processes)
{
	printf("%-*s  %4s  %-10s %-10s %8s %10s %9s %5s ", kind_width, kind, mode, owner,
	       columns->first, columns->second, columns->third, memory, processes);
}

static void print_long(const struct cli_entry *entry, char end)
{
	CLI_CLEANUP(cli_cleanup_object) struct cli_object object = {.handle = NULL};
	struct cli_columns columns = {"?", "?", "?"};
	const struct passwd *user;
	char owner[32], mode[12], processes[12];
	int error;

	error = cli_object_open(&object, entry->kind, entry->name, NULL);
	/* It has gone meanwhile; or it was over, and opening it has cleared it away. */
	if (error == -ENOENT)
		return;
	if (error) {
		print_columns(entry->kind->name, "?", "?", &columns, "?", "?");
		print_name(entry->name, end);
		cli_kind_error(entry->kind, entry->name, error);
		return;
	}
	user = getpwuid(object.uid);
	if (user)
		snprintf(owner, sizeof(owner), "%s", user->pw_name);
	else
		snprintf(owner, sizeof(owner), "%u", object.uid);
	snprintf(mode, sizeof(mode), "%04o", object.mode);
	snprintf(processes, sizeof(processes), "%u", object.participants);
	entry->kind->fill_columns(&object, &columns);
	print_columns(entry->kind->name, mode, owner, &columns,
		      cli_format_bytes(object.memory_bytes), processes);
	if (object.damaged)
		printf("%s(damaged)%s ", cli_colour(STDOUT_FILENO, CLI_RED),
		       cli_colour(STDOUT_FILENO, CLI_PLAIN));
	/* Of segments it is a column. */
	if (object.sysv.size && object.sysv.key && entry->kind != &cli_kind_segment)
		printf("(key %s) ", cli_sysv_format_key(object.sysv.key));
	print_name(entry->name, end);
}

/* Three columns mean something else for each kind: where there are several, each has its titles. */
static void print_titles(const struct cli_listing *listing)
{
	uint32_t seen = 0;
	size_t i, j, kinds = 0;

	for (i = 0; cli_kinds[i]; ++i) {
		for (j = 0; j < listing->count && listing->entries[j].kind != cli_kinds[i]; ++j)
			;
		if (j == listing->count)
			continue;
		seen |= UINT32_C(1) << i;
		++kinds;
		if ((int)strlen(cli_kinds[i]->name) > kind_width)
			kind_width = (int)strlen(cli_kinds[i]->name);
	}
	for (i = 0; cli_kinds[i] && isatty(STDOUT_FILENO); ++i) {
		struct cli_columns columns;

		if (!(seen & UINT32_C(1) << i))
			continue;
		snprintf(columns.first, sizeof(columns.first), "%s", cli_kinds[i]->columns[0]);
		snprintf(columns.second, sizeof(columns.second), "%s", cli_kinds[i]->columns[1]);
		snprintf(columns.third, sizeof(columns.third), "%s", cli_kinds[i]->columns[2]);
		fputs(cli_colour(STDOUT_FILENO, CLI_DIM), stdout);
		print_columns(kinds > 1 ? cli_kinds[i]->name : "kind", "mode", "owner", &columns,
			      "memory", "procs");
		printf("name%s\n", cli_colour(STDOUT_FILENO, CLI_PLAIN));
	}
}

/* An object that went away since it was listed is left out; another trouble is told in its entry. */
static int print_json(const struct cli_listing *listing)
{
	struct json_object *array = json_object_new_array();
	size_t i;

	if (!array)
		return cli_system_error("ls", -ENOMEM);
	for (i = 0; i < listing->count; ++i) {
		const struct cli_entry *entry = &listing->entries[i];
		CLI_CLEANUP(cli_cleanup_object) struct cli_object object = {.handle = NULL};
		int error = cli_object_open(&object, entry->kind, entry->name, NULL);

		if (error == -ENOENT)
			continue;
		json_object_array_add(array,
				      error ? cli_json_unopened(entry->kind, entry->name, error)
					    : cli_object_json(&object));
	}
	cli_json_print(array, true);
	return CLI_OK;
}

static int list(const struct cli_kind *only, bool details, bool json, char end)
{
	CLI_CLEANUP(cli_cleanup_listing) struct cli_listing listing = {.only = only};
	int error;
	size_t i;

	error = cli_listing_read(&listing);
	/* The usual folder is made with the first object; another one somebody has mistyped. */
	if (!error && !listing.count && cli_namespace_is_named() && cli_namespace_is_missing())
		error = -ENOENT;
	if (error)
		return cli_namespace_error(error);
	if (json)
		return print_json(&listing);
	if (details)
		print_titles(&listing);
	for (i = 0; i < listing.count; ++i) {
		if (details)
			print_long(&listing.entries[i], end);
		else
			print_name(listing.entries[i].name, end);
	}
	return CLI_OK;
}

static int run(int argc, char **argv)
{
	static const struct option options[] = {
		{"long", no_argument, NULL, 'l'},
		{"json", no_argument, NULL, 'j'},
		{"null", no_argument, NULL, '0'},
		CLI_KIND_OPTION,
		CLI_COMMON_OPTIONS,
		{NULL, 0, NULL, 0},
	};
	const struct cli_kind *only = NULL;
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
		case CLI_OPTION_KIND:
			if (cli_kind_option(&only))
				return CLI_USAGE;
			break;
		default:
			return cli_option_status(option);
		}
	}
	if (optind < argc)
		return cli_usage("'%s' is too much; 'tenon stat' shows one object", argv[optind]);
	if (json && !end)
		return cli_usage("--json is a format of its own; leave out --null");
	return list(only, details, json, end);
}

const struct cli_command cli_command_ls = {
	.name = "ls",
	.synopsis = "[-l] [-0 | --json] [--kind KIND]",
	.summary = "list the objects",
	.help = "Lists the objects of the namespace, one a line, sorted by name.  A name that "
		"several "
		"have,\n"
		"of different kinds, stands there as often.\n"
		"\n"
		"  -l, --long   with kind, mode, owner, three figures of the kind's own, memory "
		"and\n"
		"               attached processes before the name:\n"
		"                 queue      order, messages, capacity\n"
		"                 lock       state, waiting processes, process id of who holds "
		"it,\n"
		"                            or shared: and those of who share it\n"
		"                 semaphore  value, waiting processes, maximum\n"
		"                 semaphore-set  semaphores, waiting processes, maximum\n"
		"                 event      set or reset, waiting processes, manual or auto\n"
		"                 condition  wake-ups, waiting processes, signals\n"
		"                 barrier    arrived/count, waiting processes, rounds\n"
		"                 once       state, waiting processes, process id of who does it\n"
		"                 region     size, largest size, seals\n"
		"                 segment    size, how often it is attached, key\n"
		"               and of System V's queues and semaphores the key\n"
		"  -0, --null   a null byte after each, for names with newlines\n"
		"      --json   an array of what 'tenon stat --json' tells of each, without "
		"processes,\n"
		"               values of semaphore sets and what is placed in regions\n"
		"      --kind KIND  only these: queue, lock, semaphore, semaphore-set, event,\n"
		"               condition, barrier, once, region, shm, segment\n",
	.run = run,
};
