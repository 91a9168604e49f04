/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_CRASH_QUEUE_CRASH_H
#define TEST_CRASH_QUEUE_CRASH_H

/*
 * Kill scenarios of the queue.
 *
 * The cast of one run: the *worker* makes the queue and stays attached as a witness; the *first
 * victim*, where there is one, dies in the middle of an operation, at an instruction chosen before;
 * the *victim* is stepped; the *sleeper* is asleep in receive or send when the victim begins; after
 * the kill the worker attaches once more, as the *fresh* process, and puts the queue to the proof.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <tenon/queue.h>

#include "step.h"

#define QUEUE_NAME "/victim"
#define QUEUE_CAPACITY 4u
#define MESSAGE_MAX_BYTES 20000u
#define BATCH_MESSAGES 3u

/* Messages are numbered by who sends them. */
#define NUMBER_PREFILLED 0u
#define NUMBER_FIRST_VICTIM 16u
#define NUMBER_VICTIM 24u
#define NUMBER_SLEEPER 32u
#define NUMBER_WAKER 40u
#define NUMBER_FRESH 48u
#define NUMBERS 64u

enum operation_id {
	OP_NONE,
	OP_SEND,
	OP_RECEIVE,
	OP_SEND_BATCH,
	OP_RECEIVE_BATCH,
	OP_LOAN,
	OP_COMMIT,
	OP_ABANDON,
	OP_TAKE,
	OP_DONE,
	OP_RETURN,
	OP_PEEK,
	OP_OPEN,
	OP_CREATE,
	OP_REMOVE,
	OP_CLOSE,
	OP_ATTACH,
	OP_STATUS,
	OP_CHECK,
	OP_RECOVER,
	OP_DROP_OLDEST,
	OP_RENDEZVOUS,
	OP_SEND_ASLEEP,
	OP_RECEIVE_ASLEEP,
	OP_TAKE_ASLEEP,
	OPERATIONS
};

enum fill { FILL_EMPTY, FILL_PART, FILL_FULL, FILLS };
enum peer { PEER_NONE, PEER_WITNESS, PEER_RECEIVER, PEER_SENDER, PEERS };

#define ORDERS 3u
#define SIZES 4u

struct scenario {
	uint8_t operation;
	uint8_t order;
	uint8_t size_index;
	uint8_t fill;
	uint8_t peer;
	uint8_t first_operation; /* OP_NONE: nobody died before */
	uint8_t core;		 /* one of those whose every instruction `make check` tries */
};

/* What an actor tells the worker, in shared memory. */
struct account {
	_Atomic uint32_t called, returned;
	_Atomic int32_t result;
	_Atomic uint32_t count;
	_Atomic uint32_t number, deliveries; /* of the message it got */
	_Atomic uint32_t broken;	     /* the message was not whole */
	_Atomic int64_t returned_ns;
};

enum actor { ACTOR_FIRST_VICTIM, ACTOR_VICTIM, ACTOR_SLEEPER, ACTORS };

struct run {
	const struct scenario *scenario;
	const char *folder;
	struct account *accounts; /* [ACTORS], shared */
	struct tenon_queue *witness;
	int64_t patience_ns;
	unsigned fault;
	enum actor actor; /* who executes operate() in this process */
	uint32_t operation;
	pid_t sleeper;
	uint32_t prefilled;
	struct step_victim victim, first_victim;
	const struct step_trace *first_trace;
	uint64_t first_steps; /* where the first victim dies */
	uint8_t fresh_sent;   /* messages that the fresh process sent before the proof */
	bool woken_by_worker; /* a message or room was made for a victim that slept */
	/* What survivors got. */
	uint8_t seen[NUMBERS];
	uint32_t deliveries[NUMBERS];
	uint32_t seen_unnumbered; /* messages of no bytes that were not there at the beginning */
	uint32_t next_rank;	  /* the least place in the order that the next message may have */
	bool lease_was_open;   /* after the kill: what the sleeper waited for was the dead one's */
	int64_t progress_ns;   /* from the kill until the sleeper returned; -1: not by the death */
	uint64_t memory_bytes; /* what an unharmed queue takes; 0: not known yet */
	uint64_t ended_bytes, repairs;
	char why[400];
};

/* queue_table.c: the scenarios. */
extern const char *const operation_names[OPERATIONS];
uint32_t scenarios_make(struct scenario *ret_scenarios, uint32_t capacity);
void scenario_name(const struct scenario *scenario, char *ret_name, size_t capacity_bytes);
uint32_t scenario_bytes(const struct scenario *scenario);
bool operation_holds_lease(uint32_t operation);
bool operation_sleeps(uint32_t operation);

/* queue_message.c: messages that can be recognised. */
uint64_t message_key(const struct scenario *scenario, uint32_t number);
void message_write(void *data, uint32_t bytes, uint32_t number);
/* The number, or a negative value: not a whole message of `bytes` bytes.  A message of no bytes has
 * no number: 0. */
int message_read(const void *data, uint64_t bytes, uint32_t expected_bytes);
/* The number of the message that leaves i-th of those that the queue was filled with. */
uint32_t message_leaving(const struct run *run, uint32_t position);

/* queue_victim.c: what victims do. */
int victim_prepare(void *context);
void victim_operate(void *context);

/* queue_survivor.c: what survivors do. */
int sleeper_start(struct run *run);
void sleeper_stop(struct run *run);
/* Lets the survivors go on after the kill, and puts the queue to the proof. */
int survivors_prove(struct run *run);
/* A survivor got a message. */
int survivor_saw(struct run *run, const void *data, const struct tenon_message *message);

/* queue_expect.c: who has to get what. */
/* Whether all that was promised was kept, once nothing is left in the queue. */
int expect_kept(struct run *run);

/* queue_run.c: one kill. */
int fail(struct run *run, const char *format, ...) __attribute__((format(printf, 2, 3)));
struct tenon_queue_options queue_options(const struct scenario *scenario);
/* Makes what the scenario begins with, up to the victim at its marker and the sleeper asleep. */
int run_begin(struct run *run, struct step_plan *plan);
/* The first victim only: its trace, from its marker to its end. */
int run_record_first(struct run *run, struct step_trace *ret_trace);
void run_end(struct run *run);

#endif
