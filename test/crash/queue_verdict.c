/* SPDX-License-Identifier: Apache-2.0 */

/*
 * How long sleepers took to go on after a death, beside what the machine takes for that at all
 * (queue_reference.c): both were measured in the same run, in turns.
 */

#include <stdatomic.h>
#include <stdio.h>

#include "queue_sweep.h"

/* How much later than the reference a sleeper may go on after a death, in the median; on a machine
 * where the reference itself takes longer than that, as much again.  A timer that looked for the dead
 * would make it 100 ms. */
#define LATER_MAX_NS INT64_C(500000)
/* Where the dead one had a lease, the file lock that it was known by may be dropped a little later. */
#define LEASE_LATER_MAX_NS INT64_C(20000000)
/* Fewer deaths than that have no median to speak of. */
#define MEDIAN_COUNT_MIN 20
#define REFERENCE_COUNT_MIN 5

static int64_t quantile_ns(const struct latency *latency, double share)
{
	uint64_t wanted = (uint64_t)(share * atomic_load(&latency->count)), below = 0;

	for (uint32_t i = 0; i < LATENCY_BUCKETS; i++) {
		below += atomic_load(&latency->bucket[i]);
		if (below > wanted && i < LATENCY_BUCKETS - 1)
			return i * latency->bucket_ns + latency->bucket_ns / 2;
	}
	return atomic_load(&latency->worst_ns);
}

static void print_latency(const char *what, const struct latency *latency)
{
	if (atomic_load(&latency->count) == 0)
		return;
	printf("%s: %u times, median %.1f us, 99 %% %.1f us, longest %.2f ms\n", what,
	       atomic_load(&latency->count), (double)quantile_ns(latency, 0.5) / 1e3,
	       (double)quantile_ns(latency, 0.99) / 1e3,
	       (double)atomic_load(&latency->worst_ns) / 1e6);
}

/* Whether sleepers went on about as soon as the machine can tell of a death at all. */
static uint32_t judge(const struct board *board, const char *whose, const struct latency *latency,
		      int64_t later_max_ns)
{
	int64_t median_ns = quantile_ns(latency, 0.5);
	int64_t reference_ns = quantile_ns(&board->reference, 0.5);
	int64_t later_ns = median_ns - reference_ns;

	if (atomic_load(&latency->count) <= MEDIAN_COUNT_MIN ||
	    atomic_load(&board->reference.count) < REFERENCE_COUNT_MIN)
		return 0;
	if (later_max_ns < reference_ns)
		later_max_ns = reference_ns;
	printf("after %s death: %+.1f us against the reference in the median, of %.1f us that are "
	       "allowed\n",
	       whose, (double)later_ns / 1e3, (double)later_max_ns / 1e3);
	if (later_ns <= later_max_ns)
		return 0;
	printf("FAIL: after %s death a sleeper goes on after %.1f us (median), but one at a robust "
	       "mutex after %.1f us, on this machine in this run: more than %.1f us later\n",
	       whose, (double)median_ns / 1e3, (double)reference_ns / 1e3,
	       (double)later_max_ns / 1e3);
	return 1;
}

void verdict_print_latencies(const struct board *board)
{
	print_latency("reference, from a death to the progress of a sleeper at a robust mutex",
		      &board->reference);
	print_latency("from a death to the sleeper's progress", &board->after_death);
	print_latency("from a lease holder's death to the sleeper's progress",
		      &board->after_lease_holder);
}

uint32_t verdict_of_latencies(const struct board *board)
{
	return judge(board, "a", &board->after_death, LATER_MAX_NS) +
	       judge(board, "a lease holder's", &board->after_lease_holder, LEASE_LATER_MAX_NS);
}
