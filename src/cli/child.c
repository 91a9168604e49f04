/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A child that runs a command, or else reports why it cannot: through a pipe that execve(2) closes.
 */

#include "child.h"
#include "cli.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static int check_file(const char *path)
{
	struct stat information;

	if (stat(path, &information))
		return -errno;
	if (!S_ISREG(information.st_mode))
		return -EACCES;
	return access(path, X_OK) ? -errno : 0;
}

int cli_child_check(const char *program)
{
	const char *folder = getenv("PATH");
	int answer = -ENOENT;

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

static void run_child(const struct cli_child *child, int report_fd, pid_t parent)
{
	int error;

	if (child->leads_group)
		setpgid(0, 0);
	/* If the parent died before it was asked for, nothing tells of that but another parent. */
	if (prctl(PR_SET_PDEATHSIG, child->death_signal) || getppid() != parent)
		_exit(127);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGXFSZ, SIG_DFL);
	sigprocmask(SIG_SETMASK, child->old_mask, NULL);
	if (child->stdin_fd < 0 || dup2(child->stdin_fd, STDIN_FILENO) >= 0)
		execvp(child->arguments[0], child->arguments);
	error = -errno;
	/* If this is not read either, the exit status has to do. */
	if (write(report_fd, &error, sizeof(error)) < 0)
		_exit(126);
	_exit(127);
}

int cli_child_start(const struct cli_child *child, pid_t *ret_pid, bool *ret_exec)
{
	CLI_CLEANUP(cli_cleanup_fd) int report_read = -1;
	CLI_CLEANUP(cli_cleanup_fd) int report_write = -1;
	pid_t parent = getpid(), pid;
	int report[2];
	int error;
	ssize_t got;

	*ret_exec = false;
	if (pipe2(report, O_CLOEXEC))
		return -errno;
	report_read = report[0];
	report_write = report[1];
	pid = fork();
	if (pid < 0)
		return -errno;
	if (!pid)
		run_child(child, report_write, parent);
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
