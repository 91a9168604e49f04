/* SPDX-License-Identifier: Apache-2.0 */

/* tenon work: the command of a message. */

#include "child.h"
#include "cli.h"
#include "work.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void cleanup_arguments(char ***arguments)
{
	char **next;

	if (!*arguments)
		return;
	for (next = *arguments; *next; ++next)
		free(*next);
	free(*arguments);
}

/* The argument with every {} replaced; counts the replacements. */
static char *expand(const char *argument, const void *data, size_t bytes, size_t *replaced)
{
	CLI_CLEANUP(cli_cleanup_free) char *expanded = NULL;
	size_t length = 0, capacity = 0;
	char *answer;

	while (argument[0]) {
		size_t plain = strcspn(argument, "{");
		int error;

		if (plain) {
			error = cli_append(&expanded, &length, &capacity, argument, plain);
		} else if (argument[1] == '}') {
			error = cli_append(&expanded, &length, &capacity, data, bytes);
			plain = 2;
			++*replaced;
		} else {
			error = cli_append(&expanded, &length, &capacity, "{", 1);
			plain = 1;
		}
		if (error)
			return NULL;
		argument += plain;
	}
	if (cli_append(&expanded, &length, &capacity, "", 1))
		return NULL;
	answer = expanded;
	expanded = NULL;
	return answer;
}

static int expand_all(char **arguments, const void *data, size_t bytes, char ***ret_expanded,
		      size_t *ret_replaced)
{
	CLI_CLEANUP(cleanup_arguments) char **expanded = NULL;
	size_t count, i;

	for (count = 0; arguments[count]; ++count)
		;
	expanded = calloc(count + 1, sizeof(*expanded));
	if (!expanded)
		return -ENOMEM;
	*ret_replaced = 0;
	for (i = 0; i < count; ++i) {
		expanded[i] = expand(arguments[i], data, bytes, ret_replaced);
		if (!expanded[i])
			return -ENOMEM;
	}
	if (*ret_replaced && memchr(data, 0, bytes))
		return -EILSEQ;
	*ret_expanded = expanded;
	expanded = NULL;
	return 0;
}

/* A file without a name holds the message: the command may read it at its own pace, or not at all,
 * and nobody has to feed a pipe meanwhile. */
static int message_file(const void *data, size_t bytes, int *ret_fd)
{
	CLI_CLEANUP(cli_cleanup_fd) int fd = memfd_create("tenon-message", MFD_CLOEXEC);
	int error;

	if (fd < 0)
		return -errno;
	error = cli_write_all(fd, data, bytes);
	if (error)
		return error;
	if (lseek(fd, 0, SEEK_SET))
		return -errno;
	*ret_fd = fd;
	fd = -1;
	return 0;
}

static int set_number(const char *name, uint64_t number)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)number);
	return setenv(name, text, 1) ? -ENOMEM : 0;
}

/* What the command may want to know of its message. */
static int set_environment(const struct tenon_message *message)
{
	int error;

	error = set_number("TENON_MESSAGE_SEQUENCE", message->sequence);
	if (!error)
		error = set_number("TENON_MESSAGE_KEY", message->key);
	if (!error)
		error = set_number("TENON_MESSAGE_DELIVERIES", message->deliveries);
	return error;
}

int work_child_check(const struct work_command *command)
{
	const char *program = command->arguments[0];

	/* It may depend on the message. */
	return strstr(program, "{}") ? 0 : cli_child_check(program);
}

int work_child_start(const struct work_command *command, const void *data,
		     const struct tenon_message *message, pid_t *ret_pid, bool *ret_exec)
{
	CLI_CLEANUP(cleanup_arguments) char **expanded = NULL;
	CLI_CLEANUP(cli_cleanup_fd) int stdin_fd = -1;
	struct cli_child child = {
		.leads_group = true,
		.death_signal = SIGTERM,
		.old_mask = command->old_mask,
	};
	size_t replaced;
	int error;

	*ret_exec = false;
	error = expand_all(command->arguments, data, message->bytes, &expanded, &replaced);
	if (error)
		return error;
	if (replaced) {
		stdin_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
		if (stdin_fd < 0)
			return -errno;
	} else {
		error = message_file(data, message->bytes, &stdin_fd);
		if (error)
			return error;
	}
	error = set_environment(message);
	if (error)
		return error;
	child.arguments = expanded;
	child.stdin_fd = stdin_fd;
	return cli_child_start(&child, ret_pid, ret_exec);
}
