/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_HOSTILE_PATIENCE_H
#define TEST_HOSTILE_PATIENCE_H

/* Runs `run` in a process of its own, which is killed if it does not end in time.  Its status, as
 * of waitpid(2); -1: there is no process to be had.  Blocks SIGCHLD. */
int patience_run(void (*run)(const void *context), const void *context, unsigned seconds);

#endif
