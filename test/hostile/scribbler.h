/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_HOSTILE_SCRIBBLER_H
#define TEST_HOSTILE_SCRIBBLER_H

/*
 * Scribbles over each word of a synchronization object's file, and lets a victim call everything:
 * it must end in time, with answers that the header names, and alive.  A victim to a word and a
 * state, for all values.  Of an object that is placed in a region the file is the region's, and its
 * words too.
 */

#include <stdbool.h>
#include <stdint.h>

#include <tenon/region.h>

/* In what state the object is when its memory changes. */
#define SCRIBBLED_IDLE 0u
#define SCRIBBLED_HELD 1u   /* the victim has something of it */
#define SCRIBBLED_WAITED 2u /* another process waits for it */
#define SCRIBBLED_STATES 3u

/* For the options. */
#define SCRIBBLED_PARTICIPANTS 4u

/* Words of a file. */
struct scribbled_range {
	uint64_t from, bytes;
	bool is_gate;
};

/* A kind of object, as its victims use it. */
struct scribbled {
	const char *name, *file; /* of the kind, and of its file */
	/* Opens it, or makes it, by flags; at the beginning of the region, or if that is NULL, by
	 * name; the answer of the library. */
	int (*open)(struct tenon_region *region, uint32_t flags, void **ret_object);
	void (*remove)(void);
	/* All calls, but those that have a process wait for long.  The others may be NULL: of who
	 * has just opened it once more, and those that come last. */
	void (*call)(void *object);
	void (*call_other)(void *object);
	void (*call_last)(void *object);
	void (*close)(void *object);
	/* What leads to the states; may be NULL.  The first answers 0 if it went well; the other
	 * one is called in a process of its own and waits for long, for what is held if need be.
	 * `waiting`: how many do. */
	int (*hold)(void *object);
	void (*wait)(void *object);
	uint32_t (*waiting)(void *object);
	bool waits_for_held;
	/* Its gate is waited for until a deadline, whoever seems to hold it. */
	bool is_held_long;
	/* Of so many values a victim of the default set gets one; 0 stands for four. */
	uint32_t sample;
	/* Which words; NULL: those of a synchronization object.  The last one has no bytes. */
	const struct scribbled_range *ranges;
};

#define SCRIBBLED_LIST_END 1

/* An answer that no header names ends the process.  `also`: what is named beside the errors of
 * every call. */
void scribbler_told(const char *call, int result, const int *also);

#define TOLD(call, ...) \
	scribbler_told(#call, (call), (const int[]){__VA_ARGS__, SCRIBBLED_LIST_END})

/* A deadline that is near. */
int64_t scribbler_soon(void);

/* Of a program that is called with --all if it is to take every value of every word, else they are
 * sampled; with --placed if the objects are to be in a region; and with the name of a kind. */
int scribbler_main(int argc, char **argv, const struct scribbled *kinds, uint32_t count);

#endif
