/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TENON_CLI_CHILD_H
#define TENON_CLI_CHILD_H

/* The commands that `tenon work`, and hold.c, run. */

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

struct cli_child {
	char *const *arguments;	  /* ended by NULL */
	int stdin_fd;		  /* -1: this process's own */
	bool leads_group;	  /* a process group of its own */
	int death_signal;	  /* that it gets when this process dies */
	const sigset_t *old_mask; /* the signals that it finds blocked */
};

/* Whether there is such a program at all, in a folder of PATH or where the path says.  0, or what
 * execvp(3) would say, -ENOENT or -EACCES mostly. */
int cli_child_check(const char *program);

/* Starts it.  0 or a negative errno, from making the process or from execve(2), and `*ret_exec`
 * says which: true if it was execve(). */
int cli_child_start(const struct cli_child *child, pid_t *ret_pid, bool *ret_exec);

#endif
