/* SPDX-License-Identifier: Apache-2.0 */

/* tenon rm: removes queues. */

#include "cli.h"

#include <errno.h>

static int run(int argc, char **argv)
{
	static const struct option options[] = {
		{"force", no_argument, NULL, 'f'},
		CLI_COMMON_OPTIONS,
		{NULL, 0, NULL, 0},
	};
	bool force = false;
	char name[258];
	int option, error, status = CLI_OK;
	int i;

	while ((option = cli_option(argc, argv, "f", options)) != -1) {
		if (option != 'f')
			return cli_option_status(option);
		force = true;
	}
	if (optind == argc)
		return cli_usage("the name of a queue is missing");
	/* All names are checked before anything is removed. */
	for (i = optind; i < argc; ++i) {
		if (cli_parse_name(argv[i], name))
			return CLI_USAGE;
	}
	for (i = optind; i < argc; ++i) {
		cli_parse_name(argv[i], name);
		error = tenon_queue_remove(NULL, name);
		if (error == -ENOENT && force)
			continue;
		if (error)
			status = cli_queue_error(name, error);
	}
	return status;
}

const struct cli_command cli_command_rm = {
	.name = "rm",
	.synopsis = "[-f] NAME…",
	.summary = "remove queues",
	.help = "Removes queues and the messages in them.  Who has one open goes on using it; its\n"
		"memory is freed when the last one lets go.\n"
		"\n"
		"  -f, --force   a queue that is not there is no error\n",
	.run = run,
};
