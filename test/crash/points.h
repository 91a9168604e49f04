/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_CRASH_POINTS_H
#define TEST_CRASH_POINTS_H

/*
 * Kills processes at the instructions of operations of one kind of object, and puts the survivors
 * to the proof.
 *
 * The cast of one run: this process has the object open all the time; the victim is stepped and
 * killed; a sleeper, in half of the scenarios, is asleep for the object when the victim begins, or
 * comes when the victim sleeps, or, a rival, when it is at its last instruction.  Afterwards the
 * sleeper must go on, at once if what it waits for is there, else when this process gives it; then
 * this process, and whom it starts, find the object as it has to be; and nothing is left, neither
 * in the object nor in the namespace.
 */

#include <stdbool.h>
#include <stdint.h>

#define POINTS_PATIENCE_NS INT64_C(20000000000)

struct points_case {
	const char *name;
	uint32_t number; /* for the case's own functions */
	bool no_sleeper;
	bool is_rival;	  /* the sleeper comes when the victim is at its last instruction */
	bool is_second;	  /* it comes when the victim sleeps, which is woken first then */
	bool may_wait;	  /* the victim has to be helped, or is left asleep */
	bool is_long;	  /* its loops are: a quarter of the points, and of no loop all rounds */
	bool forks;	  /* the victim does, and nobody else has children here */
	bool has_threads; /* the victim's are not stepped: all of its instructions are */
	/* Why it cannot be run here, or NULL.  May be NULL. */
	const char *(*obstacle)(const struct points_case *one);
	/* In this process: makes the object, and what the victim is to find. */
	bool (*set_stage)(const struct points_case *one);
	/* In the victim: up to the operation, and the operation.  A negative answer: it cannot
	 * be. */
	int (*prepare)(const struct points_case *one);
	/* In this process, when the victim is at its marker.  May be NULL. */
	bool (*disturb)(const struct points_case *one);
	void (*operate)(const struct points_case *one);
	/* In the sleeper, which waits.  Its answer is looked at by is_right(). */
	int (*sleep)(const struct points_case *one);
	bool (*is_right)(const struct points_case *one, int answer);
	/* In this process: whether the sleeper can go on; NULL: always, when the victim is dead. */
	bool (*is_due)(const struct points_case *one, bool finished);
	/* In this process: gives what is waited for; once, or `helps_again`, where the victim may
	 * have died with it. */
	bool helps_again;
	int (*help)(const struct points_case *one);
	/* In this process, when all is over.  `answer` is the sleeper's. */
	bool (*prove)(const struct points_case *one, bool finished, int answer);
	void (*clear_stage)(const struct points_case *one);
};

#define POINTS_NO_ANSWER 1 /* there was no sleeper */

/* Says what is wrong, once for each run.  Answers false. */
bool points_wrong(const char *what, int64_t figure);
/* Somebody waited too long for what should come at once: is tried again. */
bool points_slow(const char *what, int64_t took_ns);
/* Whether that time is too long. */
bool points_is_slow(int64_t took_ns);

/* A deadline that nothing that is right comes near. */
int64_t points_deadline(void);

/* Runs a function in a process of its own, which is killed by SIGKILL behind it.  0, or -1. */
int points_die_behind(int (*run)(const struct points_case *one), const struct points_case *one);

/* Just before the victim of this run was killed. */
int64_t points_killed_ns(void);

/* How many this process has, when its other threads have ended. */
uint32_t points_descriptors(void);

/* Whether something is in the namespace: else the system's own calls were made. */
bool points_are_tenons(void);

/* Whether the objects are to lie in a region. */
bool points_are_placed(void);

/* For main(). */
int points_main(int argc, char **argv, const struct points_case *cases, uint32_t count);

#endif
