/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_CRASH_RANDOM_H
#define TEST_CRASH_RANDOM_H

/* Workers that are killed at random, and the ledger that knows of every message; see random.c. */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <tenon/queue.h>

#define NAME "/random"
#define CAPACITY 64u
#define MESSAGE_BYTES 20000u
#define BATCH 4u
#define WORKERS 12u
#define LEDGER_MESSAGES (1u << 23)
/* What the ledger knows of a message. */
#define STARTED 1u    /* somebody began to send it */
#define SENT 2u	      /* the send returned 0 */
#define MAYBE_DONE 4u /* its taker was killed while it said done */
#define WITHDRAWN 16u /* did not fit into a batch: must not arrive */
#define FINISHED 8u   /* received, or done; a second time is a failure of its own */

/* A place for a worker; one after the other holds it. */
struct place {
	_Atomic uint32_t receiving; /* most messages that the call under way may receive */
	_Atomic uint32_t finishing; /* number + 1 of the message it says done to */
	_Atomic uint32_t failed;
	char why[200];
};

struct ledger {
	_Atomic uint32_t next; /* message */
	_Atomic uint64_t finished;
	_Atomic uint32_t pause; /* senders: the epoch is over */
	struct place place[WORKERS];
	_Atomic uint8_t message[LEDGER_MESSAGES];
};

extern struct ledger *ledger;
extern struct tenon_queue *queue; /* this process's */
extern uint32_t order;

/* Works in a place until it is killed.  `exact`: takers only, no receivers. */
void worker_work(uint32_t index, bool exact, const char *folder) __attribute__((noreturn));

/* A message was received or is done with.  A negative number: it is torn. */
void worker_finish(struct place *place, int64_t number);

/* The number of a message, or -1. */
int64_t worker_read_message(const void *data, uint64_t bytes);

#endif
