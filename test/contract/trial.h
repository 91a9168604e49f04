/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_CONTRACT_TRIAL_H
#define TEST_CONTRACT_TRIAL_H

/*
 * One call, what it has to answer, and that it changed nothing.
 *
 * Each trial is a line of TAP.  It runs in a process and a namespace of its own, in which the
 * queues below lie, each with a handle.  A call that is refused leaves as it was: what every queue
 * tells of itself and all its messages, which files lie in the folder, and everything that the call
 * would have written through its pointers.
 */

#include <stdbool.h>
#include <stdint.h>

#include <tenon/queue.h>

#define FIFO_MESSAGES 3u
#define SHORT_BYTES 64u
#define LONG_BYTES 1000000u

/* What the call of a trial may use.  Made anew for each. */
extern struct things {
	const char *folder;
	/* /fifo holds three messages of 1, 2 and 3 bytes and room for more, of at most SHORT_BYTES;
	 * one more is under lease.  Of all the others:  */
	struct tenon_queue *fifo;
	struct tenon_queue *full;     /* /full holds as many as it may */
	struct tenon_queue *empty;    /* /empty holds none */
	struct tenon_queue *priority; /* /priority holds one, of key 5 */
	struct tenon_queue *typed;    /* /typed holds one, of key 5 */
	struct tenon_queue *meeting;  /* /meeting is a rendezvous */
	struct tenon_queue *large;    /* /large takes messages of LONG_BYTES; it holds none */
	struct tenon_queue *gone;     /* /gone was removed */
	/* Of /fifo: what is held, and what was held and is not any more. */
	struct tenon_loan loan, ended_loan;
	struct tenon_lease lease, ended_lease;
	uint64_t receipt, ended_receipt; /* the message is not received yet */
} at;

/* Where a call may write, if it succeeds. */
extern struct outputs {
	struct tenon_queue *queue;
	struct tenon_message messages[4];
	struct tenon_loan loan;
	struct tenon_lease lease;
	uint64_t receipt;
	uint32_t count;
	int number;
	int32_t pid;
	char bytes[256];
} out;

/* What the trials that follow are about. */
void about(const char *what);

/* For use by the two below.  True in the process of the trial, which ends in trial_end(). */
bool trial_begin(const char *name);
void trial_end(int actual, int expected, bool changes_nothing) __attribute__((noreturn));

#define REFUSED(name, expected, ...)                              \
	do {                                                      \
		if (trial_begin(name))                            \
			trial_end((__VA_ARGS__), expected, true); \
	} while (0)

/* The edge of what is refused: the call succeeds, and what follows holds. */
#define ACCEPTED(name, ...)                                 \
	do {                                                \
		if (trial_begin(name))                      \
			trial_end((__VA_ARGS__), 0, false); \
	} while (0)

/* Prints the plan; the exit status. */
int trials_end(void);

#define PASSED_NS INT64_C(1) /* a moment long ago */
#define UNKNOWN_FLAG UINT32_C(0x40000000)

/* Options that are right but for what is given. */
#pragma GCC diagnostic ignored "-Woverride-init"
#define QUEUE(...)                                                                 \
	(&(struct tenon_queue_options){.size = sizeof(struct tenon_queue_options), \
				       .capacity = 4,                              \
				       .max_message_bytes = 64,                    \
				       .mode = 0600,                               \
				       __VA_ARGS__})
#define SEND(...) \
	(&(struct tenon_send_options){.size = sizeof(struct tenon_send_options), __VA_ARGS__})
#define RECEIVE(...) \
	(&(struct tenon_receive_options){.size = sizeof(struct tenon_receive_options), __VA_ARGS__})
#define SLICES(...) ((struct tenon_slice[]){__VA_ARGS__})

/* Options of a later version: as many bytes behind those that are known, the last one being
 * this. */
#define LATER_BYTES 16u
#define LATER(kind, last)                                                                      \
	(&(struct {                                                                            \
		  struct kind known;                                                           \
		  char more[LATER_BYTES];                                                      \
	  }){.known.size = sizeof(struct kind) + LATER_BYTES, .more[LATER_BYTES - 1] = (last)} \
		  .known)

/* bad_input_calls.c: the calls that are given a handle. */
void bad_input_calls(void);

#endif
