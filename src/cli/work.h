/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TENON_CLI_WORK_H
#define TENON_CLI_WORK_H

/* tenon work: the child that a message is given to. */

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <tenon/queue.h>

struct work_command {
	char **arguments;	  /* as given, with {}; ended by NULL */
	const sigset_t *old_mask; /* the signals that the child finds blocked */
};

/*
 * Looks, before a message is taken, whether there is such a command at all: a delivery cannot be
 * taken back.  0, or what execvp(3) would say, -ENOENT or -EACCES mostly.
 */
int work_child_check(const struct work_command *command);

/*
 * Runs the command for a message, with {} replaced by it or, without {}, with the message as
 * standard input.  The child leads a process group of its own and is told by SIGTERM when this
 * process dies.
 *
 * 0 or a negative errno: -EILSEQ the message has a null byte and cannot be an argument, -E2BIG it
 * is too long for one; others come from making the process or from execve(2), and then `*ret_exec`
 * says which: true if it was execve().
 */
int work_child_start(const struct work_command *command, const void *data,
		     const struct tenon_message *message, pid_t *ret_pid, bool *ret_exec);

#endif
