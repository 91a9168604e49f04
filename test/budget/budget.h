/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_BUDGET_BUDGET_H
#define TEST_BUDGET_BUDGET_H

/* A hot path: what is done before, and what is counted. */
struct budget_path {
	const char *name;
	void (*begin)(void), (*once)(void);
};

/* The last has no name. */
extern const struct budget_path budget_paths[];

#endif
