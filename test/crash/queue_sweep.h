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

#define SCENARIOS_MAX 4096u

struct board {
	_Atomic uint32_t next_job, failures;
	_Atomic uint64_t kill_points, repairs, strays, instructions;
	_Atomic int32_t stop; /* enough was seen */
	struct latency after_death, after_lease_holder, reference;
	_Atomic uint32_t points[SCENARIOS_MAX];	  /* kill points of each scenario */
	_Atomic uint8_t completed[SCENARIOS_MAX]; /* every instruction was tried */
	_Atomic uint8_t failed[SCENARIOS_MAX];
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
	uint32_t first_call;   /* of the fresh process; FIRST_CALLS: by the kill point */
	uint32_t index;	       /* of the scenario: to choose for each other instructions */
	uint32_t failures_max; /* of a scenario */
	int64_t end_ns;	       /* no kill point is begun later; 0: no such time */
};

/* queue_verdict.c.  The answer is a number of failures. */
void verdict_print_latencies(const struct board *board);
uint32_t verdict_of_latencies(const struct board *board);

void sweep_scenario(const struct scenario *scenario, const struct sweep_options *options,
		    struct board *board, struct worker *worker);

/* Writes a line about a failure. */
void sweep_report(const struct scenario *scenario, uint64_t first_steps, uint64_t steps,
		  uint64_t address, const char *why);

#endif
