/* SPDX-License-Identifier: Apache-2.0 */

/* tenon rm: removes queues. */

#include "cli.h"

#include <errno.h>
#include <json-c/json.h>
#include <string.h>

static int add_answer(struct json_object *array, const char *name, int error)
{
	struct json_object *object = json_object_new_object();

	if (!object || json_object_array_add(array, object) ||
	    cli_json_add_text(object, "name", name, strlen(name)))
		return -ENOMEM;
	json_object_object_add(object, "removed", json_object_new_boolean(!error));
	return error ? cli_json_add_error(object, name, error) : 0;
}

/* The names were checked.  With an array, what became of each is told in it as well. */
static int remove_queues(int count, char **names, bool force, struct json_object *array)
{
	char name[258];
	int status = CLI_OK;
	int i, error;

	for (i = 0; i < count; ++i) {
		cli_parse_name(names[i], name);
		error = tenon_queue_remove(NULL, name);
		if (error && !(error == -ENOENT && force))
			status = cli_queue_error(name, error);
		if (array && add_answer(array, name, error))
			status = cli_queue_error(name, -ENOMEM);
	}
	return status;
}

static int run(int argc, char **argv)
{
	static const struct option options[] = {
		{"force", no_argument, NULL, 'f'},
		{"json", no_argument, NULL, CLI_OPTION_JSON},
		CLI_COMMON_OPTIONS,
		{NULL, 0, NULL, 0},
	};
	struct json_object *array = NULL;
	bool force = false, json = false;
	char name[258];
	int option, status, i;

	while ((option = cli_option(argc, argv, "f", options)) != -1) {
		if (option == CLI_OPTION_JSON)
			json = true;
		else if (option == 'f')
			force = true;
		else
			return cli_option_status(option);
	}
	if (optind == argc)
		return cli_usage("the name of a queue is missing");
	/* All names are checked before anything is removed. */
	for (i = optind; i < argc; ++i) {
		if (cli_parse_name(argv[i], name))
			return CLI_USAGE;
	}
	if (json) {
		array = json_object_new_array();
		if (!array)
			return cli_system_error("rm", -ENOMEM);
	}
	status = remove_queues(argc - optind, argv + optind, force, array);
	if (array)
		cli_json_print(array, true);
	return status;
}

const struct cli_command cli_command_rm = {
	.name = "rm",
	.synopsis = "[-f] [--json] NAME…",
	.summary = "remove queues",
	.help = "Removes queues and the messages in them.  Who has one open goes on using it; its\n"
		"memory is freed when the last one lets go.\n"
		"\n"
		"  -f, --force   a queue that is not there is no error\n"
		"      --json    an array that tells of each whether it was removed\n",
	.run = run,
};
