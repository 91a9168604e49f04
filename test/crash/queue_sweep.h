/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_CRASH_QUEUE_SWEEP_H
#define TEST_CRASH_QUEUE_SWEEP_H

/* One scenario, killed at many instructions. */

#include "queue_crash.h"

#define LATENCY_BUCKETS 4096u

/* Times from a death to a sleeper's progress; the last bucket holds what is longer. */
struct latency {
	int64_t bucket_ns;
	_Atomic uint32_t bucket[LATENCY_BUCKETS];
	_Atomic uint32_t count;
	_Atomic int64_t worst_ns;
};

/* A worker, as the main process sees it: in shared memory. */
struct worker {
	_Atomic int64_t beat_ns;   /* when it began the present kill point */
	_Atomic uint32_t scenario; /* at which it is */
	_Atomic uint64_t first_steps, steps, address;
	struct account accounts[ACTORS];
};

struct board {
	_Atomic uint32_t next_job, failures, scenarios_tried, scenarios_left_out;
	_Atomic uint64_t kill_points, repairs, strays, instructions;
	_Atomic int32_t stop; /* enough was seen */
	struct latency after_death, after_lease_holder;
};

struct sweep_options {
	const char *folder; /* a namespace of the worker's own */
	int64_t patience_ns;
	unsigned fault;
	uint64_t sample; /* kill points a scenario; 0: every instruction */
	uint64_t
		first_points; /* instructions at which first victims die; 0: as many as make a repair */
	uint64_t from, to;    /* instructions; to 0: to the end */
	uint64_t first_steps; /* the only one at which the first victim dies; 0: see first_points */
	uint64_t seed;
	uint32_t failures_max; /* of a scenario */
	int64_t end_ns;	       /* no kill point is begun later; 0: no such time */
};

void sweep_scenario(const struct scenario *scenario, const struct sweep_options *options,
		    struct board *board, struct worker *worker);

/* Writes a line about a failure. */
void sweep_report(const struct scenario *scenario, uint64_t first_steps, uint64_t steps,
		  uint64_t address, const char *why);

#endif
