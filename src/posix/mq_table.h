/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TNI_POSIX_MQ_TABLE_H
#define TNI_POSIX_MQ_TABLE_H

/* The message queues that this process has open, and their descriptors.  See posix/mq_table.c. */

#include <mqueue.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include <tenon/queue.h>

#include "abi/atomic.h"
#include "core/quiet.h"

/* This process's registration at a queue for notice. */
struct tni_mq_registration {
	struct sigevent how;
	pthread_attr_t attributes; /* of the thread to be made; its own */
	bool has_attributes;
};

/* A queue, however many descriptors of it there are. */
struct tni_mq {
	struct tenon_queue *queue;
	uint64_t inode, id;
	uint64_t capacity, message_bytes;
	uint32_t references; /* descriptors, and threads that wait for notice; under the mutex */
	struct tni_mq *next;
	/* With all signals blocked; who has it may wait for the queue's locks. */
	pthread_mutex_t registering;
	struct tni_a32 serial; /* of the registration, which is under `registering`; 0 none */
	struct tni_mq_registration registration;
};

/* A descriptor.  Their memory is used again, and never given back: whoever looks one up may be
 * late. */
struct tni_mqd {
	struct tni_a64 users;	       /* calls that are at it */
	struct tni_a32 closed;	       /* 1: the last of them lets go of the queue */
	struct tni_a32 is_nonblocking; /* as the description was when it was last asked */
	struct tni_a64 asked;	       /* posix/mq_table.c: how long that holds */
	struct tni_mq *mq;
	int fd;
	int access;	      /* O_RDONLY, O_WRONLY, O_RDWR */
	uint64_t inode;	      /* of its FIFO */
	struct tni_mqd *next; /* of those in use, of the closed ones, or of the free ones */
	uint32_t withdrawn;   /* by its closing: the registration of this serial */
	struct tni_mqd *next_withdrawn;
};

/* What a descriptor stands for, until tni_mqd_leave(): NULL, none.  The quick way, and the one that
 * gets to know what came by dup(2), exec(3) or a socket. */
struct tni_mqd *tni_mqd_enter(int fd);
/* Only where it is known already. */
struct tni_mqd *tni_mqd_enter_known(int fd);
void tni_mqd_leave(struct tni_mqd *descriptor);

/* Whether the open file description is not to wait; asks the kernel.  -EBADF: it was closed by
 * somebody else, and is now here, too. */
int tni_mqd_is_nonblocking(struct tni_mqd *descriptor);

/* Whether it is still not to wait, without asking; false: ask.  True only where those who change it
 * are counted (object/queue_pair.c), and none has. */
bool tni_mqd_stays_nonblocking(struct tni_mqd *descriptor);

/* Makes a descriptor known, which has just been opened; takes `queue` over, also on an error. */
int tni_mqd_add(int fd, int access, bool is_nonblocking, struct tenon_queue *queue);

/* Of the flags of a descriptor, for who gets it by exec(3) or over a socket: what it was opened
 * for. */
int tni_mqd_flags(int access, bool is_nonblocking);

/* One reference more, and one less. */
void tni_mq_keep(struct tni_mq *mq);
void tni_mq_drop(struct tni_mq *mq);

/* Forgets what was closed by a call that nobody told of. */
void tni_mqd_sweep(void);

/* Whether all is told that is done to descriptors: posix/mq.h. */
bool tni_mq_is_told_all(void);

/* posix/mq_notify.c: tells of what has come, if a registration of this process is over; ends the
 * one of that serial, if there is one.  The latter waits for the queue's locks. */
void tni_mq_tell(struct tni_mq *mq);
void tni_mq_withdraw(struct tni_mq *mq, uint32_t serial);
/* The registration is over; of one that never was, too. */
void tni_mq_forget_attributes(struct tni_mq_registration *registration);

/* posix/mq_limits.c: whether the kernel's limits hold, and what they say of a new queue.  0,
 * -EINVAL, -EMFILE, -ENOSPC. */
bool tni_mq_has_limits(void);
int tni_mq_check_limits(uint64_t capacity, uint64_t message_bytes);
/* What attributes that are not given stand for. */
void tni_mq_defaults(uint64_t *ret_capacity, uint64_t *ret_message_bytes);

#endif
