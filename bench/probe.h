/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_PROBE_H
#define BENCH_PROBE_H

/* What several probes need; the probes themselves, each a table in its probe_*.c. */

#include <sys/types.h>

#include <tenon/queue.h>

#include "bench.h"

extern const struct probe probes_open[], probes_memory[], probes_idle[], probes_death[],
	probes_growth[];

/* Says what went wrong, unless the result is 0 or more, and gives the result back. */
int probe_check(struct run *run, const char *what, int result);

/* A queue of its own for the probe: made, and opened.  `ret_name` has PROBE_NAME_BYTES. */
#define PROBE_NAME_BYTES 48u
int probe_queue(struct run *run, struct tenon_queue_options options, char *ret_name,
		struct tenon_queue **ret_queue);

/* Removes what a killed probe has left outside of the program's folder. */
void probe_open_clean(void);

/* fork(2); the child dies with its parent and does what its branch of the caller says. */
pid_t probe_fork(struct run *run, uint32_t cpu);
void probe_kill(pid_t pid);
void probe_sleep(double seconds);

/* True when /proc says that the process sleeps, at once or within five seconds. */
bool probe_is_asleep(pid_t pid);

#endif
