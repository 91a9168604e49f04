/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_SYSCALL_FAILING_H
#define TEST_SYSCALL_FAILING_H

/* Runs an operation in a process of its own whose n-th system call fails. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <tenon/queue.h>

/* failing_tracer.c */
enum failing_end {
	FAILING_UNTOUCHED, /* there was no n-th call that can fail */
	FAILING_HIT,
	FAILING_CRASHED,
	FAILING_IMPOSSIBLE /* no tracing here */
};

struct failing_hit {
	const char *call;
	int error;
	int status; /* of the process, as waitpid(2) has it */
};

/* What stands between these two is what can fail. */
void failing_begin(void);
void failing_end(void);
/* The `nth` call (from 0) gives its `variant`th error.  `ret_variants` (of that call) is for going
 * on. */
enum failing_end failing_run(void (*run)(void *context), void *context, uint32_t nth,
			     uint32_t variant, struct failing_hit *ret_hit, uint32_t *ret_variants);

/* failing_memory.c: calls of malloc(3) and its kind, counted between the same two. */
void failing_memory_begin(void);
void failing_memory_end(void);
/* Shared with the traced process: which of them fails (from 0; FAILING_NONE), and whether it
 * did. */
#define FAILING_NONE UINT32_MAX
extern struct failing_memory {
	uint32_t nth;
	bool failed;
} * failing_memory;

/* failing_operations.c */
#define LONG_BYTES 20000u
#define SHORT_BYTES 40u
#define MESSAGES 4u /* in the queue, before anything is done */
#define ANY 99	    /* whoever repairs may also bury */

struct state {
	struct tenon_queue *watch, *queue;
	uint32_t order;
	struct tenon_lease lease;
	struct tenon_loan loan;
	uint64_t receipt;
	struct tenon_queue_options options;
	pid_t helper; /* another process of the queue, 0: none */
};

/* `before` runs first, through the watching handle where that is possible; `deltas` are of
 * messages, leases, loans, participants and descriptors. */
struct operation {
	const char *name;
	int (*before)(struct state *state);
	int (*run)(struct state *state);
	int normal;
	int messages, leased, loaned, participants, descriptors;
	bool own_handle; /* what `before` made belongs to the handle that operates */
	bool no_handle;	 /* the operation opens one */
	/* Of the queue; 0 stands for one with room. */
	uint64_t capacity;
	uint32_t full;
	bool is_rendezvous;
	bool is_inherited; /* the handle is the parent's, and this its first call here */
};

uint32_t failing_operations(void);
const struct operation *failing_operation(uint32_t operation);
struct tenon_send_options failing_sending(uint32_t flags);

/* failing_scenario.c */
struct scenario {
	uint32_t order, operation;
};

/* What the process inherits that is forked next; and lets go of it. */
void failing_inherit(const struct scenario *scenario);
void failing_disinherit(void);

/* In the traced process: ends with exit code 0, or tells what is wrong and ends with 1. */
void failing_scenario(void *scenario);

#endif
