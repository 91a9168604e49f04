/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_CONFORM_MQ_H
#define TEST_CONFORM_MQ_H

/*
 * What the requirements of message queues share.  They fit into the limits that the kernel sets by
 * default: ten messages of 8192 bytes, 819200 bytes of one user's.
 *
 * A call that fails in here ends the requirement, unless it says otherwise.
 */

#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "conform.h"

#define NONE ((mqd_t)-1)
#define SECOND_NS INT64_C(1000000000)
#define NOBODY 65534u
#define ANN 65533u

/* Of the queues that make_queue() makes. */
#define MESSAGES 4
#define BYTES 16

/* Names of the requirement's own; after its end they are removed. */
const char *name_of(int which); /* 0 … 9 */
#define NAME name_of(0)
#define OTHER name_of(1)

/* A new queue, by NAME; open with that access and these flags. */
mqd_t make_queue(int oflag);
/* With this many messages of at most so many bytes. */
mqd_t make_sized(const char *name, int oflag, long messages, long bytes);
/* With this mode, whatever the umask is. */
void make_mode(mode_t mode);
mqd_t open_queue(int oflag);
/* A new queue that every user may use, open for both. */
mqd_t make_common(void);

struct mq_attr attributes_of(mqd_t queue);
#define EXPECT_MESSAGES(queue, count) EXPECT_IS(attributes_of(queue).mq_curmsgs, count)

/* Expects to send it at once, and that it is what is received now. */
void put(mqd_t queue, const char *text, unsigned priority);
void take(mqd_t queue, const char *text, unsigned priority);
void fill(mqd_t queue); /* "fill", priority 0 */
void drain(mqd_t queue);

/* Now and so many milliseconds, which may be negative, of CLOCK_REALTIME. */
struct timespec after_ms(int64_t ms);
/* How many nanoseconds ago it was. */
int64_t since(const struct timespec *moment);

/* The four calls that block. */
enum call { SEND, TIMEDSEND, RECEIVE, TIMEDRECEIVE };

static inline bool is_send(enum call call)
{
	return call == SEND || call == TIMEDSEND;
}

static inline bool is_timed(enum call call)
{
	return call == TIMEDSEND || call == TIMEDRECEIVE;
}

/* Makes the call; of the timed ones until the deadline.  Sends are of "sent" with priority 1.  May
 * fail. */
ssize_t call_until(enum call call, mqd_t queue, const struct timespec *deadline);
/* The same with a deadline that is far. */
ssize_t make_call(enum call call, mqd_t queue);
/* A new queue on which it would block. */
mqd_t make_blocking(enum call call);
/* Lets one such call go on, from whatever process. */
void let_go(enum call call, mqd_t queue);
/* How many messages there are on a queue of make_blocking(), if nobody called. */
#define UNTOUCHED(call) (is_send(call) ? MESSAGES : 0)

/* A requirement of each of the four calls: the function is given the call. */
#define REQUIREMENT_OF_CALLS(function, heading, text)                           \
	static void function(enum call call);                                   \
	REQUIREMENT(send_##function, "mq_send, " heading, text)                 \
	{                                                                       \
		function(SEND);                                                 \
	}                                                                       \
	REQUIREMENT(timedsend_##function, "mq_timedsend, " heading, text)       \
	{                                                                       \
		function(TIMEDSEND);                                            \
	}                                                                       \
	REQUIREMENT(receive_##function, "mq_receive, " heading, text)           \
	{                                                                       \
		function(RECEIVE);                                              \
	}                                                                       \
	REQUIREMENT(timedreceive_##function, "mq_timedreceive, " heading, text) \
	{                                                                       \
		function(TIMEDRECEIVE);                                         \
	}                                                                       \
	static void function(enum call call)

/* A thread that makes one of the calls. */
struct caller {
	enum call call;
	mqd_t queue;
	const struct timespec *deadline; /* NULL: a far one */
	/* Written by the thread. */
	pthread_t thread;
	int tid;
	ssize_t result;
	int error;
	char text[BYTES];
	unsigned priority;
	int done;
};

void caller_start(struct caller *caller);
/* Starts it, and waits until it is blocked. */
void caller_block(struct caller *caller);
/* Waits for its end. */
void caller_join(struct caller *caller);
/* Waits until one of them, that was not found before, has ended: which. */
uint32_t callers_await_one(struct caller *callers, uint32_t count);

/* A handler that counts in `handled`; with these flags of sigaction(2). */
extern volatile sig_atomic_t handled;
void handle(int signal, int flags);

/* For a process that a requirement starts and that makes one of the calls; see
 * blocking_process(). */
struct process {
	enum call call;
	mqd_t queue;
	const struct timespec *deadline;
	ssize_t result; /* what is expected */
};
/* To be started with a struct process. */
void process_calls(void *context);

/* Registering for a signal, which is blocked; the result of mq_notify(). */
#define NOTIFY_SIGNAL SIGUSR1
int notify_by_signal(mqd_t queue, int value);
/* Takes that signal; false: none came in `wait_ms`. */
bool take_signal(siginfo_t *ret_info, int wait_ms);
#define SIGNAL_MS 30000
#define EXPECT_TOLD()                                  \
	do {                                           \
		siginfo_t told;                        \
		EXPECT(take_signal(&told, SIGNAL_MS)); \
	} while (0)
#define EXPECT_NOT_TOLD()                                \
	do {                                             \
		siginfo_t told;                          \
		EXPECT(!take_signal(&told, NOTHING_MS)); \
	} while (0)
/* To be started with the address of an mqd_t: expects that it can register now, and gives it up
 * again; or that it cannot. */
void process_registers(void *queue);
void process_finds_busy(void *queue);
/* Sends "told" with priority 1. */
void process_sends(void *queue);

#endif
