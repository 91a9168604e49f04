/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_HOSTILE_VICTIM_H
#define TEST_HOSTILE_VICTIM_H

/* A process that does everything the public interface offers, on a queue that somebody scribbles
 * over.  Shared by the sweep and by the fuzzers. */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <tenon/queue.h>

struct kind {
	const char *name;
	struct tenon_queue_options options;
	uint32_t message_bytes; /* of the ones that it is filled with */
};

extern const struct kind kinds[];
extern const uint32_t kinds_count;

/* What the watchdog and the final report see; in memory that all processes share. */
#define ERRORS_MAX 4096u

struct record {
	_Atomic uint64_t steps;	    /* rises with every call */
	_Atomic uint32_t operation; /* under way; index into operation_name */
	_Atomic uint64_t called;
	_Atomic uint64_t seen[ERRORS_MAX]; /* by -result */
	_Atomic uint32_t wrong;		   /* a promise was broken; `fault` says which */
	char fault[200];
};

/* What a victim holds from before the scribbling. */
struct holdings {
	struct tenon_queue *queue;
	struct tenon_lease lease[2];
	struct tenon_loan loan;
	uint64_t receipt;
};

/* Makes the namespace's queue `name` with messages, gaps, a dead process's lease and loan. */
int victim_prepare(const struct kind *kind, const char *name);

/* Opens the queue, and takes what a busy process would hold.  Errors are fine. */
void victim_hold(struct record *record, const struct kind *kind, const char *name,
		 struct holdings *holdings);

/* One operation, by number; opening takes `name`.  Without a queue all others do nothing. */
void victim_do(struct record *record, const struct kind *kind, const char *name,
	       struct holdings *holdings, uint32_t operation);
void victim_close(struct record *record, struct holdings *holdings);

/* Every operation once, in an order that `order` shuffles; then closes. */
void victim_operate(struct record *record, const struct kind *kind, const char *name,
		    struct holdings *holdings, uint64_t order);

const char *victim_operation_name(uint32_t operation);
uint32_t victim_operations(void);

/* splitmix64 */
uint64_t hostile_random(uint64_t *state);

#endif
