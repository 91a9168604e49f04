/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_CRASH_QUEUE_CRASH_H
#define TEST_CRASH_QUEUE_CRASH_H

/*
 * Kill scenarios of the queue.
 *
 * The cast of one run: the *worker* makes the queue and stays attached as a witness; the *first
 * victim*, where there is one, dies in the middle of an operation, at an instruction chosen before;
 * the *victim* is stepped; the *sleepers*, up to two, are asleep in a call when the victim begins;
 * after the kill the worker attaches once more, as the *fresh* process, and puts the queue to the
 * proof.
 *
 * Where somebody died before, sleepers are stopped (SIGSTOP) until the victim is dead as well: so
 * it is the victim who finds what the first one left, and not they.  Where the victim itself sleeps
 * in its call, the first one is stopped half-way, and its death is what wakes the victim.
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
#define SLEEPERS 2u

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
	OP_SEND_BATCH_ASLEEP,
	OP_COMMIT_ASLEEP,
	OP_RECEIPT,
	OP_RECEIPT_ASLEEP,
	OP_WAIT,
	OP_WAIT_ASLEEP,
	OP_READABLE_FD,
	OP_WRITABLE_FD,
	OPERATIONS
};

enum fill { FILL_EMPTY, FILL_PART, FILL_FULL, FILLS };

enum peer {
	PEER_NONE,
	PEER_WITNESS, /* attached, and does nothing */
	PEER_RECEIVER,
	PEER_SENDER,
	PEER_RECEIVERS, /* two */
	PEER_SENDERS,	/* two */
	PEER_BOTH,	/* a receiver and a sender, while all that the queue holds is under lease */
	PEER_WAITER,	/* in tenon_queue_wait */
	PEER_RECEIPT,	/* in tenon_queue_receipt, for the only message */
	PEER_CREATOR,	/* is stopped half-way in making the same queue, and goes on later */
	PEERS
};

/* What is otherwise than in most scenarios. */
enum variant {
	VARIANT_NONE,
	/* The victim selects, of a typed queue. */
	VARIANT_EXACTLY,
	VARIANT_ALL_BUT,
	VARIANT_LOWEST_TO,
	/* Whoever sleeps selects what is not there, while other messages are. */
	VARIANT_SLEEPS_EXACTLY,
	VARIANT_SLEEPS_ALL_BUT,
	VARIANT_SLEEPS_LOWEST_TO,
	/* When the queue is full. */
	VARIANT_FAIL,
	VARIANT_DROP_OLDEST, /* a victim that takes has taken all there is */
	VARIANT_DROP_NEWEST,
	VARIANT_UNBOUNDED,
	VARIANT_RECEIPT, /* the victim wants one */
	VARIANT_POLLED,	 /* somebody has asked for both descriptors */
	VARIANTS
};

/* What a sleeper sleeps in. */
enum role {
	ROLE_NONE,
	ROLE_RECEIVE,
	ROLE_SEND,
	ROLE_WAIT_READABLE,
	ROLE_WAIT_WRITABLE,
	ROLE_RECEIPT
};

/* How the fresh process begins.  Only the first of them looks for the dead on purpose. */
enum first_call {
	FIRST_RECOVER,
	FIRST_RECEIVE,	    /* without waiting */
	FIRST_RECEIVE_SOON, /* with a deadline of 2 ms */
	FIRST_PEEK,
	FIRST_WAIT, /* with a deadline that has passed */
	FIRST_SEND, /* to a queue that drops the oldest; others: FIRST_RECEIVE */
	FIRST_CALLS
};

#define ORDERS 3u
#define SIZES 4u

struct scenario {
	uint8_t operation;
	uint8_t order;
	uint8_t size_index;
	uint8_t fill;
	uint8_t peer;
	uint8_t variant;
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

enum actor { ACTOR_FIRST_VICTIM, ACTOR_VICTIM, ACTOR_SLEEPER, ACTORS = ACTOR_SLEEPER + SLEEPERS };

struct selection {
	uint32_t select;
	uint64_t key;
};

struct sleeper {
	pid_t pid; /* 0: there is none, or it has returned */
	enum role role;
	bool stopped;
};

struct run {
	const struct scenario *scenario;
	const char *folder;
	struct account *accounts; /* [ACTORS], shared */
	struct tenon_queue *witness;
	int64_t patience_ns;
	unsigned fault;
	enum actor actor; /* who executes operate() in this process */
	uint32_t operation;
	struct sleeper sleepers[SLEEPERS];
	uint32_t prefilled;
	struct tenon_lease held[QUEUE_CAPACITY]; /* the witness's, beside PEER_BOTH */
	uint32_t held_count;
	struct step_victim victim, first_victim;
	struct step_plan first_plan;
	const struct step_trace *first_trace;
	uint64_t first_steps; /* where the first victim dies */
	enum first_call first_call;
	uint8_t fresh_sent;    /* messages that the fresh process sent before the proof */
	uint8_t fresh_dropped; /* at most so many old ones for it */
	bool woken_by_worker;  /* a message or room was made for a victim that slept */
	bool blind;	       /* nobody looks at the queue before a sleeper must have gone on */
	/* What survivors got. */
	uint8_t seen[NUMBERS];
	uint32_t deliveries[NUMBERS];
	uint32_t seen_unnumbered; /* messages of no bytes that were not there at the beginning */
	uint32_t next_rank;	  /* the least place in the order that the next message may have */
	bool lease_was_open;   /* after the kill: what the sleeper waited for was the dead one's */
	int64_t progress_ns;   /* from the kill until a sleeper returned; -1: not by the death */
	int64_t begin_ns;      /* CLOCK_REALTIME, to the tick */
	uint64_t sent;	       /* by all but victims */
	uint32_t slept[2];     /* sleepers in send, in receive */
	uint32_t most_at_once; /* messages that the fresh process queued */
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
bool operation_commits(uint32_t operation);
/* Whether somebody has a message under lease in the scenario: its death may be told later. */
bool scenario_holds_lease(const struct scenario *scenario);
bool scenario_drops_oldest(const struct scenario *scenario);
bool scenario_is_polled(const struct scenario *scenario);
/* Messages; 0: rendezvous. */
uint64_t scenario_capacity(const struct scenario *scenario);
enum role scenario_role(const struct scenario *scenario, uint32_t index);
struct selection victim_selection(const struct scenario *scenario);
struct selection sleeper_selection(const struct scenario *scenario);

/* queue_message.c: messages that can be recognised. */
uint64_t message_key(const struct scenario *scenario, uint32_t number);
void message_write(void *data, uint32_t bytes, uint32_t number);
/* The number, or a negative value: not a whole message of `bytes` bytes.  A message of no bytes has
 * no number: 0. */
int message_read(const void *data, uint64_t bytes, uint32_t expected_bytes);
/* The same by a few of the words: for victims, each of whose instructions is a step. */
int message_glance(const void *data, uint64_t bytes, uint32_t expected_bytes);
/* The number of the message that leaves i-th of those that the queue was filled with; NUMBERS:
 * none. */
uint32_t message_leaving(const struct run *run, uint32_t position);
/* The same for a receiver that selects. */
uint32_t message_chosen(const struct run *run, struct selection selection, uint32_t position);

/* queue_victim.c: what victims do. */
int victim_prepare(void *context);
void victim_operate(void *context);

/* queue_sleeper.c: those who are asleep when somebody dies. */
int sleepers_start(struct run *run);
int sleepers_halt(struct run *run);
void sleepers_continue(struct run *run);
void sleepers_stop(struct run *run);
/* Waits until each has made progress or sleeps with good reason. */
int sleepers_settle(struct run *run);
/* Those for whom there was nothing get something from the fresh process. */
int sleepers_serve(struct run *run, struct tenon_queue *fresh);

/* queue_survivor.c: what survivors do. */
/* Lets the survivors go on after the kill, and puts the queue to the proof. */
int survivors_prove(struct run *run);
/* A survivor got a message. */
int survivor_saw(struct run *run, const void *data, const struct tenon_message *message);
int survivor_send(struct run *run, struct tenon_queue *queue, uint32_t number);
/* Into a buffer of its own, and notes what it saw. */
int survivor_receive(struct run *run, struct tenon_queue *queue);

/* queue_figures.c: what the queue says of itself in the end. */
int figures_add_up(struct run *run, struct tenon_queue *fresh);
int64_t figures_now_ns(void);

/* queue_reference.c: how long this machine takes to wake somebody when a process dies. */
/* From the kill to the sleeper's return; negative: something failed. */
int64_t reference_measure(struct run *run);

/* queue_expect.c: who has to get what. */
/* Whether all that was promised was kept, once nothing is left in the queue. */
int expect_kept(struct run *run);
/* How many messages are certainly still to come. */
uint32_t expect_left(struct run *run);
/* How many messages victims have sent. */
void expect_sent(const struct run *run, uint64_t *ret_least, uint64_t *ret_most);

/* queue_run.c: one kill. */
int fail(struct run *run, const char *format, ...) __attribute__((format(printf, 2, 3)));
struct tenon_queue_options queue_options(const struct scenario *scenario);
/* The first victim dies now, unless it is dead already. */
int run_kill_first(struct run *run);
/* Makes what the scenario begins with, up to the victim at its marker and the sleeper asleep. */
int run_begin(struct run *run, struct step_plan *plan);
/* The first victim only: its trace, from its marker to its end. */
int run_record_first(struct run *run, struct step_trace *ret_trace);
void run_end(struct run *run);

#endif
