/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_LOAD_LOAD_H
#define TEST_LOAD_LOAD_H

/*
 * Mixed load: a process that does a little of everything with objects that many such processes
 * have in common, until it is killed.  load_test.py starts, kills and watches them.
 *
 * Each activity is one round with objects of one kind: it opens what it needs or has it open from
 * before, waits for milliseconds at most, and comes back also where nobody answers, for the others
 * may all just have been killed.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOAD_SLOTS 32u	     /* processes */
#define LOAD_ACTIVITIES 32u  /* of a program, at most */
#define LOAD_GUARDS 16u	     /* pairs of counts, each under a lock */
#define LOAD_TEXT_BYTES 512u /* of a message, at most */

struct load_activity {
	const char *name;
	/* 0, or what must not happen, said before with load_wrong(). */
	int (*round)(void);
};

/* Each ends with an empty entry.  load_classic has nothing in it that is Tenon's own. */
extern const struct load_activity load_classic[], load_native_queues[], load_native_objects[];

struct load_slot {
	_Atomic uint64_t rounds;
	_Atomic uint64_t activity;		 /* its number + 1, while it is under way */
	_Atomic uint64_t whole[LOAD_ACTIVITIES]; /* rounds in which nothing was in vain */
};

/* What all the processes of a run map. */
struct load_ledger {
	struct load_slot slots[LOAD_SLOTS];
	struct {
		_Atomic uint64_t first, second; /* the same, unless who counted died amid it */
	} guards[LOAD_GUARDS];
};

extern struct load_ledger *load_ledger;

/* Below a bound. */
uint32_t load_random(uint32_t bound);

/* Says what is wrong on standard error.  Answers -1. */
int load_wrong(const char *what, int error);

/* 0 where `result` is 0 or one of the errors, which end with 0 and make the round one in vain; else
 * says so, and answers -1. */
int load_expect(const char *what, int result, const int *errors);
#define LOAD_MAY(...) ((const int[]){__VA_ARGS__, 0})

/* Writes one letter again and again, and answers how often; whether that is what a text is: of two
 * that were mixed it is not. */
size_t load_text(char text[LOAD_TEXT_BYTES]);
bool load_is_text(const char *text, size_t bytes);

/* Adds one to both counts; who calls it holds the lock.  False: somebody else was at it.
 * `is_torn`: somebody died amid it, and they may differ. */
bool load_count(uint32_t guard, bool is_torn);

#endif
