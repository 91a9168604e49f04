/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_CONFORM_SYSV_MSG_H
#define TEST_CONFORM_SYSV_MSG_H

/* What the requirements of System V's message queues share. */

#include "sysv.h"

/* The kernel's defaults: the bytes of a message and of a queue. */
#define MESSAGE_MAX 8192
#define QUEUE_MAX 16384

struct message {
	long type;
	char text[MESSAGE_MAX + 1];
};

/* msgsnd and msgrcv of a text.  May fail. */
int send_text(int id, long type, const char *text, int flags);
int send_bytes(int id, long type, size_t bytes, int flags);
ssize_t receive(int id, long type, struct message *message, size_t bytes, int flags);

/* Expects to send it at once. */
void put(int id, long type, const char *text);
/* Expects that this is what is received now, if `wanted` is asked for. */
void take(int id, long wanted, long type, const char *text);
void expect_none(int id, long wanted);
/* Until there is no room for another byte. */
void fill(int id);

struct msqid_ds queue_of(int id);
#define EXPECT_MESSAGES(id, count) EXPECT_IS(queue_of(id).msg_qnum, count)
/* IPC_SET of only that.  May fail. */
int set_bytes(int id, unsigned long bytes);

/* What a process that a requirement starts does: it sends or receives, and expects this. */
struct caller {
	int id;
	bool sends;
	/* What is sent, or asked for. */
	long type;
	const char *text;
	/* What is sent has so many bytes, if text is NULL; what is received at most; 0: all. */
	size_t bytes;
	int flags;
	/* The error that is expected; 0: none, and then what is received. */
	int error;
	long from;
};
void process_calls(void *caller);

/* A caller that blocks: a receiver of an empty queue, and a sender to a full one. */
struct caller make_blocking(bool sends);
/* Lets one such caller go on. */
void let_go(const struct caller *caller);

/* A requirement of each of the two calls that block: the function is told whether it is msgsnd. */
#define REQUIREMENT_OF_BOTH(function, heading, text)              \
	static void function(bool sends);                         \
	REQUIREMENT(send_##function, "msgsnd, " heading, text)    \
	{                                                         \
		function(true);                                   \
	}                                                         \
	REQUIREMENT(receive_##function, "msgrcv, " heading, text) \
	{                                                         \
		function(false);                                  \
	}                                                         \
	static void function(bool sends)

#endif
