/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_CONTRACT_MODEL_WORLD_H
#define TEST_CONTRACT_MODEL_WORLD_H

/* What the processes of model_test.c share, and the calls that they compare (model_calls.c). */

#include "contract.h"
#include "model.h"

#define PROCESSES 3u
#define HANDLES_EACH 2u
#define HANDLES (PROCESSES * HANDLES_EACH)
#define HELD 6u
#define TRACE_LINES 24u
#define TRACE_BYTES 120u

struct handle {
	struct {
		struct tenon_lease lease;
		uint64_t sequence;
		bool is_held;
	} leases[HELD];
	struct {
		struct tenon_loan loan;
		bool is_held;
	} loans[HELD];
};

struct world {
	struct model model;
	struct handle handles[HANDLES];
	uint64_t seed, random, patterns, steps;
	uint64_t one_key; /* which key all messages have for a time; 0: any */
	bool polled;
	uint32_t attached;     /* handles */
	uint32_t dead_handles; /* to be cleaned up after */
	char trace[TRACE_LINES][TRACE_BYTES];
};

extern struct world *world;
extern struct model *model;
/* Of this process. */
extern uint32_t process;
extern struct tenon_queue *queues[HANDLES_EACH];

uint64_t rnd(uint64_t bound);
bool one_in(uint64_t count);

/* What the next lines of a failure tell. */
void trace(const char *format, ...) __attribute__((format(printf, 1, 2)));
void expect(int64_t actual, int64_t expected, const char *what);

/* A call of one of this process's handles, and what it must answer. */
void one_call(uint32_t own, bool sends);

#endif
