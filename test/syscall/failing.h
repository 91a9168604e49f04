/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_SYSCALL_FAILING_H
#define TEST_SYSCALL_FAILING_H

/* Runs an operation in a process of its own whose n-th system call fails. */

#include <stdbool.h>
#include <stdint.h>

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
/* The `nth` call (from 0) gives its `variant`th error.  `ret_variants` (of that call) is for going on. */
enum failing_end failing_run(void (*run)(void *context), void *context, uint32_t nth,
			     uint32_t variant, struct failing_hit *ret_hit, uint32_t *ret_variants);

/* failing_operations.c */
struct scenario {
	uint32_t order, operation;
};

uint32_t failing_operations(void);
const char *failing_operation_name(uint32_t operation);
/* In the traced process: ends with exit code 0, or tells what is wrong and ends with 1. */
void failing_scenario(void *scenario);

#endif
