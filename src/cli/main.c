/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The command `tenon`: global options, the table of commands, and the choice among them.
 */

#include "kind.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const struct cli_command *const cli_commands[] = {
	&cli_command_create,  &cli_command_rm,	    &cli_command_ls,
	&cli_command_stat,    &cli_command_send,    &cli_command_recv,
	&cli_command_peek,    &cli_command_work,    &cli_command_run,
	&cli_command_lock,    &cli_command_sem,	    &cli_command_event,
	&cli_command_barrier, &cli_command_once,    &cli_command_region,
	&cli_command_shm,     &cli_command_bench,   &cli_command_doctor,
	&cli_command_help,    &cli_command_version, NULL,
};

const struct cli_command *cli_current;

/* What other tools call it, for those who come from them. */
static const char *find_synonym(const char *name)
{
	static const char *const synonyms[][2] = {
		{"new", "create"},    {"make", "create"},  {"mk", "create"},
		{"remove", "rm"},     {"delete", "rm"},	   {"del", "rm"},
		{"unlink", "rm"},     {"destroy", "rm"},   {"list", "ls"},
		{"status", "stat"},   {"info", "stat"},	   {"show", "stat"},
		{"push", "send"},     {"put", "send"},	   {"write", "send"},
		{"enqueue", "send"},  {"receive", "recv"}, {"get", "recv"},
		{"pop", "recv"},      {"read", "recv"},	   {"dequeue", "recv"},
		{"cat", "peek"},      {"preload", "run"},  {"worker", "work"},
		{"check", "doctor"},  {"flock", "lock"},   {"acquire", "lock"},
		{"semaphore", "sem"}, {"fsck", "doctor"},  {"benchmark", "bench"},
		{"memory", "region"}, {"exec", "run"},
	};
	size_t i;

	for (i = 0; i < sizeof(synonyms) / sizeof(synonyms[0]); ++i) {
		if (!strcmp(synonyms[i][0], name))
			return synonyms[i][1];
	}
	return NULL;
}

const struct cli_command *cli_command_find(const char *name)
{
	const char *names[sizeof(cli_commands) / sizeof(cli_commands[0])] = {NULL};
	const struct cli_kind *kind = cli_kind_named(name);
	const char *nearest;
	size_t i;

	for (i = 0; cli_commands[i]; ++i) {
		if (!strcmp(cli_commands[i]->name, name))
			return cli_commands[i];
		names[i] = cli_commands[i]->name;
	}
	nearest = find_synonym(name);
	if (!nearest && kind) {
		cli_usage(
			"there is no command '%s', but a kind of object: 'tenon create %s NAME%s'",
			name, name, kind->example ? kind->example : "");
		return NULL;
	}
	if (!nearest)
		nearest = cli_nearest(name, names);
	if (nearest)
		cli_usage("there is no command '%s'; did you mean '%s'?", name, nearest);
	else
		cli_usage("there is no command '%s'", name);
	return NULL;
}

void cli_command_print_help(const struct cli_command *command)
{
	printf("Usage: tenon %s%s%s\n\n%s", command->name, command->synopsis[0] ? " " : "",
	       command->synopsis, command->help);
}

static int print_version_json(void)
{
	struct json_object *object = json_object_new_object();

	if (!object)
		return cli_system_error("version", -ENOMEM);
	json_object_object_add(object, "version", json_object_new_string(tenon_version()));
	cli_json_print(object, true);
	return CLI_OK;
}

static int run_version(int argc, char **argv)
{
	static const struct option options[] = {
		{"json", no_argument, NULL, CLI_OPTION_JSON},
		CLI_COMMON_OPTIONS,
		{NULL, 0, NULL, 0},
	};
	bool json = false;
	int option;

	while ((option = cli_option(argc, argv, "", options)) != -1) {
		if (option != CLI_OPTION_JSON)
			return cli_option_status(option);
		json = true;
	}
	if (optind < argc)
		return cli_usage("'%s' is too much", argv[optind]);
	if (json)
		return print_version_json();
	printf("tenon %s\n", tenon_version());
	return CLI_OK;
}

const struct cli_command cli_command_version = {
	.name = "version",
	.synopsis = "[--json]",
	.summary = "say which version this is",
	.help = "Prints the version of the library in use.\n"
		"\n"
		"  --json   an object with the key 'version'\n",
	.run = run_version,
};

static void print_overview(FILE *stream)
{
	int fd = stream == stdout ? STDOUT_FILENO : STDERR_FILENO;
	size_t i;

	fprintf(stream,
		"Usage: tenon [--namespace DIR] COMMAND [ARGUMENT…]\n\n"
		"Named message queues, locks, semaphores, events and shared memory that survive "
		"the death of any process.\n\n");
	for (i = 0; cli_commands[i]; ++i)
		fprintf(stream, "  %s%-8s%s %s\n", cli_colour(fd, CLI_BOLD), cli_commands[i]->name,
			cli_colour(fd, CLI_PLAIN), cli_commands[i]->summary);
	fprintf(stream,
		"\n"
		"  --namespace DIR   the folder of the objects; also TENON_NAMESPACE\n"
		"\n"
		"A name may be written with or without its leading slash.\n"
		"'tenon help COMMAND' explains a command, tenon(1) everything.\n"
		"\n"
		"Exit status: 0 done, 1 nothing there or no time left, 2 bad command line,\n"
		"3 no such object, 4 permission denied, 5 out of memory or places, 6 damaged,\n"
		"7 exists already, 8 message too long, 9 other failure, 10 message given up.\n");
}

void cli_print_overview(void)
{
	print_overview(stdout);
}

static int run_help(int argc, char **argv)
{
	static const struct option options[] = {CLI_COMMON_OPTIONS, {NULL, 0, NULL, 0}};
	const struct cli_command *command;
	int option = cli_option(argc, argv, "", options);

	if (option != -1)
		return cli_option_status(option);
	if (argc - optind > 1)
		return cli_usage("'%s' is too much", argv[optind + 1]);
	if (optind == argc) {
		cli_print_overview();
		return CLI_OK;
	}
	command = cli_command_find(argv[optind]);
	if (!command)
		return CLI_USAGE;
	cli_command_print_help(command);
	return CLI_OK;
}

const struct cli_command cli_command_help = {
	.name = "help",
	.synopsis = "[COMMAND]",
	.summary = "explain a command",
	.help = "Explains a command, or lists them all.\n",
	.run = run_help,
};

/* The options before the command; `ret_index` is where the command stands. */
static int parse_global(int argc, char **argv, int *ret_index)
{
	static const struct option options[] = {
		CLI_COMMON_OPTIONS,
		{"version", no_argument, NULL, 'V'},
		{NULL, 0, NULL, 0},
	};
	int option;

	while ((option = cli_option(argc, argv, "+V", options)) != -1) {
		if (option == 'V') {
			printf("tenon %s\n", tenon_version());
			*ret_index = 0;
			return CLI_OK;
		}
		*ret_index = 0;
		return cli_option_status(option);
	}
	*ret_index = optind;
	return CLI_OK;
}

/* What main() changes of the process. */
static struct {
	bool occupied[STDERR_FILENO + 1];
	void (*on_pipe)(int);
	void (*on_file_size)(int);
} found;

/* A closed standard stream must not become the number of a queue's file.  What is put in its place
 * cannot be used for what the stream is for, so that using it is an error as before. */
static void occupy_standard_streams(void)
{
	int fd;

	for (fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
		if (fcntl(fd, F_GETFD) >= 0)
			continue;
		if (open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) < 0)
			_exit(CLI_FAILED);
		found.occupied[fd] = true;
	}
}

void cli_leave_as_found(void)
{
	int fd;

	signal(SIGPIPE, found.on_pipe);
	signal(SIGXFSZ, found.on_file_size);
	/* Not closed before execve(2): it may yet fail, and that has to be said. */
	for (fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
		if (found.occupied[fd])
			fcntl(fd, F_SETFD, FD_CLOEXEC);
	}
}

int main(int argc, char **argv)
{
	int index, status;

	occupy_standard_streams();
	/* A reader that goes away is an error of the write, so that it can be dealt with. */
	found.on_pipe = signal(SIGPIPE, SIG_IGN);
	/* So is a file that may not be as large as a queue. */
	found.on_file_size = signal(SIGXFSZ, SIG_IGN);

	status = cli_begin_stdout();
	if (status)
		return status;
	status = parse_global(argc, argv, &index);
	if (status || !index)
		return cli_finish_stdout(status);
	if (index == argc) {
		print_overview(stderr);
		return CLI_USAGE;
	}
	cli_current = cli_command_find(argv[index]);
	if (!cli_current)
		return CLI_USAGE;

	/* Makes getopt_long() begin anew with the command's own arguments. */
	optind = 0;
	return cli_finish_stdout(cli_current->run(argc - index, argv + index));
}
