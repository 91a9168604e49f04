/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_HOSTILE_SCRIBBLER_H
#define TEST_HOSTILE_SCRIBBLER_H

/*
 * Scribbles over each word of a synchronization object's file, and lets a victim call everything: it must end in
 * time, with answers that the header names, and alive.  A victim to a word and a state, for all values.
 */

#include <stdbool.h>
#include <stdint.h>

/* In what state the object is when its memory changes. */
#define SCRIBBLED_IDLE 0u
#define SCRIBBLED_HELD 1u   /* the victim has something of it */
#define SCRIBBLED_WAITED 2u /* another process waits for it */
#define SCRIBBLED_STATES 3u

/* A kind of object, as its victims use it. */
struct scribbled {
	const char *name, *file; /* of the kind, and of its file */
	/* Makes the object, or opens it if it is there; the answer of the library. */
	int (*open)(void **ret_object);
	void (*remove)(void);
	/* All calls, but those that have a process wait for long. */
	void (*call)(void *object);
	void (*close)(void *object);
	/* What leads to the states; may be NULL.  The first answers 0 if it went well; the other one is called in a
	 * process of its own and waits for long.  `waiting`: how many do. */
	int (*hold)(void *object);
	void (*wait)(void *object);
	uint32_t (*waiting)(void *object);
};

#define SCRIBBLED_LIST_END 1

/* An answer that no header names ends the process.  `also`: what is named beside the errors of every call. */
void scribbler_told(const char *call, int result, const int *also);

#define TOLD(call, ...) \
	scribbler_told(#call, (call), (const int[]){__VA_ARGS__, SCRIBBLED_LIST_END})

/* A deadline that is near. */
int64_t scribbler_soon(void);

/* Of a program that is called with --all if it is to take every value of every word; else they are sampled. */
int scribbler_main(int argc, char **argv, const struct scribbled *kinds, uint32_t count);

#endif
