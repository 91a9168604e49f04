/* SPDX-License-Identifier: Apache-2.0 */

#include "patience.h"

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

int patience_run(void (*run)(const void *context), const void *context, unsigned seconds)
{
	struct timespec patience = {seconds, 0}, none = {0, 0};
	sigset_t set;
	int status;
	pid_t pid;

	fflush(stdout);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	pid = fork();
	if (pid == 0) {
		run(context);
		_exit(0);
	}
	if (pid < 0)
		return -1;
	if (sigtimedwait(&set, NULL, &patience) < 0)
		kill(pid, SIGKILL);
	if (waitpid(pid, &status, 0) != pid)
		return -1;
	/* What is told of this one is not the next one's. */
	while (sigtimedwait(&set, NULL, &none) > 0)
		;
	return status;
}
