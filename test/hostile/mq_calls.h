/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_HOSTILE_MQ_CALLS_H
#define TEST_HOSTILE_MQ_CALLS_H

/* The calls of message queues by a process whose queue others spoil.  An answer that tenon/posix.h
 * does not name, one that cannot be, and one that comes too late end the process. */

#include <mqueue.h>

#define MQ_CALLS_NAME "/attacked"
#define MQ_CALLS_MESSAGE_BYTES 16u
#define MQ_CALLS_CAPACITY 4u

/* Opens it for both; -errno. */
int mq_calls_open(int oflag);
/* Makes it anew, by the other interface, with few participants and a mode of its own; negative
 * errno. */
int mq_calls_make(void);

/* Once to be told of the next message, in a thread of the library. */
int mq_calls_register(mqd_t queue);
/* All of them, that have to end at once or soon. */
void mq_calls_all(mqd_t queue);
/* For a message, up to a second. */
void mq_calls_wait(mqd_t queue);
/* Closes it.  No thread of the library may be left behind. */
void mq_calls_close(mqd_t queue);

#endif
