/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_CRASH_STEP_H
#define TEST_CRASH_STEP_H

/*
 * Kills a process behind the n-th instruction of an operation.
 *
 * A victim is a fork of the caller.  It prepares itself at full speed, stops at a marker, and from
 * there the caller lets it execute one instruction after another.  Every n needs a victim of its
 * own; to make that cheap, step_record() notes the addresses of one whole run, and later victims
 * run at full speed to the last address before the n-th that comes only once in the run.
 *
 * Not thread-safe; one process may have a few victims at a time.  x86-64 only; see
 * step_obstacle().
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct step_plan {
	/* In the victim.  A negative answer of prepare ends the victim before its marker. */
	int (*prepare)(void *context);
	void (*operate)(void *context);
	/* In the caller, once, when the victim has gone to sleep in the middle of the operation:
	 * does what wakes it.  NULL: such a victim is left asleep. */
	int (*on_sleep)(void *context);
	void *context;
	bool may_sleep;	     /* the operation may sleep: look for that at every step */
	bool jumps;	     /* all the same, step_jump() runs at full speed to where it sleeps */
	int64_t patience_ns; /* how long one step may take, beyond which the victim hangs */
};

enum step_end {
	STEP_STOPPED,  /* behind the n-th instruction */
	STEP_FINISHED, /* the operation came to its end before */
	STEP_ASLEEP,   /* asleep in the middle */
	STEP_HANGS,    /* neither, and patience is over */
	STEP_CRASHED,  /* it died by itself: see `status` */
};

struct step_victim {
	const struct step_plan *plan;
	pid_t pid;
	uint64_t steps;		    /* instructions since the marker */
	uint64_t address;	    /* of the instruction that would come next */
	int64_t killed_ns;	    /* CLOCK_MONOTONIC, just before the SIGKILL */
	int status;		    /* of waitpid(2) */
	_Atomic uint32_t *finished; /* shared with the victim: it came to the end */
	bool slept;		    /* on_sleep was called */
};

/* The addresses of one run of an operation: address[i] is executed as the i-th, from 0. */
struct step_trace {
	uint64_t *address;
	uint64_t *
		anchor; /* anchor[i]: the last j <= i whose address comes once only, + 1; 0: none */
	uint64_t count, capacity;
	uint64_t slept; /* in which it went to sleep; `count`: it did not */
};

/* Why there can be no stepping here, or NULL: the machine does not let a process single-step its
 * child, or the program carries a sanitizer. */
const char *step_obstacle(void);

/* Starts the program again, once, with libc's string functions free of `rep` instructions (each of
 * their rounds would be a step of its own) and with all symbols bound.  Call it first in main(). */
void step_restart(char **arguments);

/* Forks a victim and takes it to its marker.  Negative errno; -ECHILD: it could not prepare. */
int step_start(struct step_victim *victim, const struct step_plan *plan);

/* Goes on until `steps` instructions in all are executed. */
enum step_end step_to(struct step_victim *victim, uint64_t steps);

/* The same, by the addresses of an earlier run; for the first call on a victim only.  Fast, unless
 * the operation may sleep and the plan does not say that it jumps. */
enum step_end step_jump(struct step_victim *victim, const struct step_trace *trace, uint64_t steps);

/* Steps to the end of the operation, or to `limit`, and notes the addresses. */
enum step_end step_record(struct step_victim *victim, struct step_trace *trace, uint64_t limit);
void step_trace_free(struct step_trace *trace);

/* Kills and reaps.  The kernel has done its part of the clearing up when this returns. */
void step_kill(struct step_victim *victim);

/* Lets a stopped victim go on at full speed, without the tracer, to where plan->operate returns: it
 * exits with 0.  Reaps it.  For the unharmed reference. */
void step_release(struct step_victim *victim);

/* Writes where an address lies: function, file and line, or the file and the offset in it. */
void step_describe(uint64_t address, char *ret_text, size_t capacity_bytes);

/* Whether a process sleeps in a system call: in state S.  `ret_state` may be NULL. */
bool step_is_asleep(pid_t pid, char *ret_state);

int64_t step_now_ns(void);

/* Lets others run until `word` is not 0 any more, or for a moment that grows with `*rounds`: at
 * first only the other processes of this CPU, at last a millisecond. */
void step_give_way(_Atomic uint32_t *word, uint32_t *rounds);
/* Sets the word to 1 and ends such a moment in another process. */
void step_notify(_Atomic uint32_t *word);

#endif
