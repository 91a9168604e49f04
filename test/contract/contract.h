/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_CONTRACT_CONTRACT_H
#define TEST_CONTRACT_CONTRACT_H

/*
 * What the contract's tests share.  Each case runs in a process and a namespace of its own, under a
 * watchdog, and is one line of TAP.  It fails when it, or a child of whose end it asks, has
 * expected something that is not so.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include <tenon/queue.h>

#define SECOND_NS INT64_C(1000000000)
/* Nothing that passes comes near it. */
#define WATCHDOG_S 120

struct contract_case {
	const char *name;
	void (*run)(void);
	const char *todo; /* why it is known to fail; else NULL */
};

/* The namespace of the case that runs. */
extern const char *contract_folder;
/* Which of the cases it is. */
extern uint32_t contract_case_index;

int contract_main(const struct contract_case *cases, uint32_t count);

/* Ends the case: what it needs is not to be had here. */
void contract_skip(const char *reason) __attribute__((noreturn));

/* Says what is wrong, and goes on. */
void contract_fail(const char *file, int line, const char *what, int64_t value);

#define EXPECT(condition)                                                 \
	do {                                                              \
		if (!(condition))                                         \
			contract_fail(__FILE__, __LINE__, #condition, 0); \
	} while (0)

/* An int that has to be another. */
#define EXPECT_IS(actual, expected)                                                     \
	do {                                                                            \
		int64_t contract_actual = (actual);                                     \
		if (contract_actual != (expected))                                      \
			contract_fail(__FILE__, __LINE__, #actual " is not " #expected, \
				      contract_actual);                                 \
	} while (0)

/* Without which the case cannot go on. */
#define REQUIRE(condition)                                                \
	do {                                                              \
		if (!(condition)) {                                       \
			contract_fail(__FILE__, __LINE__, #condition, 0); \
			contract_give_up();                               \
		}                                                         \
	} while (0)

void contract_give_up(void) __attribute__((noreturn));

/* A child that runs `run` and ends with 1 if it failed somewhere, else with 0.  It dies with its
 * parent. */
pid_t contract_start(void (*run)(void *context), void *context);
/* What a forked child that is not made by contract_start() does first and last. */
void contract_child_begins(void);
void contract_child_ends(void) __attribute__((noreturn));
/* Waits for its end, which must be a good one. */
void contract_await(pid_t child);
/* Kills it, and waits until it is dead; it is reaped. */
void contract_kill(pid_t child);

/* Waits until a child, or the first thread of this process, sleeps in the kernel. */
void contract_await_asleep(pid_t pid);

/* Whether what began at `since_ns` was not over at once, but as if somebody had waited for a timer;
 * the shortest there is anywhere is one of 100 ms.  On a busy machine all takes long, the end of a
 * child as well, and that is no delay. */
bool contract_was_late(int64_t since_ns);

/* Memory that a case and its children share, zeroed. */
void *contract_share(size_t bytes);

/* Opens or makes a queue of the namespace, which must succeed.  Without a mode it is the default
 * one. */
struct tenon_queue *contract_open(const char *name);
struct tenon_queue *contract_create(const char *name, const struct tenon_queue_options *options);

/* A FIFO queue. */
struct tenon_queue *contract_make(const char *name, uint32_t full, uint64_t capacity,
				  uint64_t bytes);

/* Waits, without a pause, until that many processes sleep in a call of the queue. */
void contract_await_receivers(struct tenon_queue *queue, uint32_t count);
void contract_await_senders(struct tenon_queue *queue, uint32_t count);

/* Sends and receives a number, or gives the call's error; no waiting longer than `timeout_ns`. */
int contract_send(struct tenon_queue *queue, uint64_t number, int64_t timeout_ns);
int contract_receive(struct tenon_queue *queue, uint64_t *ret_number, int64_t timeout_ns);

/* The structure is sound and nothing is left in it. */
void contract_expect_sound(struct tenon_queue *queue);

#endif
