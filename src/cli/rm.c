/* SPDX-License-Identifier: Apache-2.0 */

/* tenon rm: removes objects. */

#include "kind.h"

#include <errno.h>
#include <json-c/json.h>

static int add_answer(struct json_object *array, const struct cli_named *named, int error)
{
	struct json_object *json = json_object_new_object();

	if (!json || json_object_array_add(array, json) ||
	    cli_json_add_name(json, named->kind, named->name))
		return -ENOMEM;
	cli_json_add_boolean(json, "removed", !error);
	return error ? cli_json_add_error(json, named->kind, named->name, error) : 0;
}

/* With an array, what became of each is told in it as well. */
static int remove_objects(const struct cli_named *all, int count, bool force,
			  struct json_object *array)
{
	int status = CLI_OK;
	int i, error;

	for (i = 0; i < count; ++i) {
		const struct cli_named *named = &all[i];

		error = cli_object_remove(named->kind, named->name);
		if (error && !(error == -ENOENT && force))
			status = cli_kind_error(named->kind, named->name, error);
		if (array && add_answer(array, named, error))
			status = cli_kind_error(named->kind, named->name, -ENOMEM);
	}
	return status;
}

static int run(int argc, char **argv)
{
	static const struct option options[] = {
		{"force", no_argument, NULL, 'f'},
		{"json", no_argument, NULL, CLI_OPTION_JSON},
		CLI_KIND_OPTION,
		CLI_COMMON_OPTIONS,
		{NULL, 0, NULL, 0},
	};
	CLI_CLEANUP(cli_cleanup_free) struct cli_named *all = NULL;
	const struct cli_kind *kind = NULL;
	struct json_object *array = NULL;
	bool force = false, json = false;
	int option, status;

	while ((option = cli_option(argc, argv, "f", options)) != -1) {
		if (option == CLI_OPTION_JSON)
			json = true;
		else if (option == 'f')
			force = true;
		else if (option != CLI_OPTION_KIND)
			return cli_option_status(option);
		else if (cli_kind_option(&kind))
			return CLI_USAGE;
	}
	if (optind == argc)
		return cli_usage("the name of an object is missing");
	/* All names are checked before anything is removed. */
	status = cli_resolve(argc - optind, argv + optind, kind, &all);
	if (status)
		return status;
	if (json) {
		array = json_object_new_array();
		if (!array)
			return cli_system_error("rm", -ENOMEM);
	}
	status = remove_objects(all, argc - optind, force, array);
	if (array)
		cli_json_print(array, true);
	return status;
}

const struct cli_command cli_command_rm = {
	.name = "rm",
	.synopsis = "[-f] [--json] [--kind KIND] NAME…",
	.summary = "remove objects",
	.help = "Removes objects: queues with the messages in them.  Who has one open goes on "
		"using "
		"it;\n"
		"its memory is freed when the last one lets go.\n"
		"\n"
		"  -f, --force   an object that is not there is no error\n"
		"      --json    an array that tells of each whether it was removed\n"
		"      --kind KIND  queue, lock, …; needed where several have that name\n"
		"\n"
		"Of System V's a NAME may also be key/0x2a or id/98304, as 'ipcs' shows them.\n",
	.run = run,
};
