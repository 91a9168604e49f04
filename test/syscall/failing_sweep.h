/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_SYSCALL_FAILING_SWEEP_H
#define TEST_SYSCALL_FAILING_SWEEP_H

/* Each of a set of operations with its first failing system call, then with its second, and so on
 * until it passes untouched; then the same with allocations. */

#include "failing.h"

struct failing_set {
	uint32_t operations;
	const char *(*name)(uint32_t operation);
	/* In a process of its own, with a pointer to the operation's number, in a namespace in
	 * which there is nothing: ends with exit code 0, or says what is wrong and ends with 1. */
	void (*scenario)(void *operation);
	/* What that process inherits; may make nothing. */
	void (*inherit)(uint32_t operation);
	/* Lets go of it, and removes all that there is. */
	void (*clean)(void);
};

/* A program of it: tells in TAP, answers its exit code.  An argument names the only operation. */
int failing_sweep_main(int argc, char **argv, const struct failing_set *set);

void failing_wrong(const char *what, int figure) __attribute__((noreturn));
int failing_count_descriptors(void);
uint64_t failing_count_mapped(void);

/* An answer that no header names is wrong.  `also`: what is named beside the errors of every
 * call. */
#define FAILING_LIST_END 1
void failing_told(int result, const int *also);

#endif
