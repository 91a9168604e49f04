/* SPDX-License-Identifier: Apache-2.0 */

#include "cli.h"
#include "work.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
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

static void run_child(char **arguments, int stdin_fd, int report_fd, pid_t parent,
		      const sigset_t *old_mask)
{
	int error;

	setpgid(0, 0);
	if (prctl(PR_SET_PDEATHSIG, SIGTERM) || getppid() != parent)
		_exit(127);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGXFSZ, SIG_DFL);
	sigprocmask(SIG_SETMASK, old_mask, NULL);
	if (dup2(stdin_fd, STDIN_FILENO) >= 0)
		execvp(arguments[0], arguments);
	error = -errno;
	/* If this is not read either, the exit status has to do. */
	if (write(report_fd, &error, sizeof(error)) < 0)
		_exit(126);
	_exit(127);
}

static int start(char **arguments, int stdin_fd, const sigset_t *old_mask, pid_t *ret_pid,
		 bool *ret_exec)
{
	CLI_CLEANUP(cli_cleanup_fd) int report_read = -1;
	CLI_CLEANUP(cli_cleanup_fd) int report_write = -1;
	pid_t parent = getpid(), pid;
	int report[2];
	int error;
	ssize_t got;

	if (pipe2(report, O_CLOEXEC))
		return -errno;
	report_read = report[0];
	report_write = report[1];
	pid = fork();
	if (pid < 0)
		return -errno;
	if (!pid)
		run_child(arguments, stdin_fd, report_write, parent, old_mask);
	close(report_write);
	report_write = -1;
	do {
		got = read(report_read, &error, sizeof(error));
	} while (got < 0 && errno == EINTR);
	/* Nothing came: execve() closed the pipe, and the command runs. */
	if (got != sizeof(error)) {
		*ret_pid = pid;
		return 0;
	}
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	*ret_exec = true;
	return error;
}

static int check_file(const char *path)
{
	struct stat information;

	if (stat(path, &information))
		return -errno;
	if (!S_ISREG(information.st_mode))
		return -EACCES;
	return access(path, X_OK) ? -errno : 0;
}

int cli_child_check(const struct work_command *command)
{
	const char *program = command->arguments[0];
	const char *folder = getenv("PATH");
	int answer = -ENOENT;

	/* It depends on the message. */
	if (strstr(program, "{}"))
		return 0;
	if (!program[0] || strchr(program, '/'))
		return check_file(program);
	/* The C library searches folders of its own. */
	if (!folder)
		return 0;
	for (;;) {
		size_t bytes = strcspn(folder, ":");
		char path[PATH_MAX];
		int error = -ENOENT;

		/* An empty entry is the working folder. */
		if (snprintf(path, sizeof(path), "%.*s/%s", bytes ? (int)bytes : 1,
			     bytes ? folder : ".", program) < (int)sizeof(path))
			error = check_file(path);
		if (!error)
			return 0;
		if (error == -EACCES)
			answer = error;
		if (!folder[bytes])
			return answer;
		folder += bytes + 1;
	}
}

int cli_child_start(const struct work_command *command, const void *data,
		    const struct tenon_message *message, pid_t *ret_pid, bool *ret_exec)
{
	CLI_CLEANUP(cleanup_arguments) char **expanded = NULL;
	CLI_CLEANUP(cli_cleanup_fd) int stdin_fd = -1;
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
	return start(expanded, stdin_fd, command->old_mask, ret_pid, ret_exec);
}
