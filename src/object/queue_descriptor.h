/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TNI_OBJECT_QUEUE_DESCRIPTOR_H
#define TNI_OBJECT_QUEUE_DESCRIPTOR_H

/* What faces have of queues beside <tenon/queue.h>: a descriptor that is both readable and
 * writable, and the notice of a message that comes to the empty queue. */

#include <stdbool.h>

#include <tenon/queue.h>

#include "abi/queue.h"

struct tni_call;

/* tenon_queue_open() for a part of what can be done: `access` TENON_READABLE, TENON_WRITABLE.  The
 * caller sees to it that no more is done. */
int tni_queue_open_for(const char *namespace_path, const char *name, uint32_t flags,
		       uint32_t access, const struct tenon_queue_options *options,
		       struct tenon_queue **ret_queue) TENON_MUST_USE;

/* Makes the file of a queue without a name, which is open then; of which as little is memory as can
 * be, until it is opened by name. */
int tni_queue_make_nameless(int directory_fd, const struct tenon_queue_options *options,
			    int *ret_fd) TENON_MUST_USE;

/* Whether the queue that this file is has been destroyed; without opening it as one. */
bool tni_queue_is_over(int fd);

/* By inode and identity, of whatever name.  -ENOENT. */
int tni_queue_open_known(const char *namespace_path, uint64_t inode, uint64_t id, uint32_t access,
			 struct tenon_queue **ret_queue) TENON_MUST_USE;

/* -EEXIST the name is an object's, sound or not, whoever may open it; else 0, or why that cannot be
 * told. */
int tni_queue_is_free(const char *namespace_path, const char *name) TENON_MUST_USE;

/* Messages that could be received now, what it was made with, and which queue it is. */
uint64_t tni_queue_messages(const struct tenon_queue *queue);
void tni_queue_limits(const struct tenon_queue *queue, uint64_t *ret_capacity,
		      uint64_t *ret_message_bytes);
/* Copies the message that was sent as the `position`-th, from 0, of those that are queued, and
 * leaves it there.  Of FIFO and TYPED queues.  -EAGAIN there are not that many; -EMSGSIZE it is
 * longer than the buffer, of which nothing is written, and not to be cut; -EOPNOTSUPP. */
int tni_queue_copy(struct tenon_queue *queue, uint64_t position, void *buffer,
		   uint64_t capacity_bytes, bool truncate, struct tenon_message *ret_message);
void tni_queue_identity(const struct tenon_queue *queue, uint64_t *ret_inode, uint64_t *ret_id);

/* object/queue_pair.c */

/* A descriptor of one's own (close-on-exec; the caller's to close) that is readable while there is
 * a message and writable while there is room, for all who poll it, once tni_pair_watch() was called
 * by anybody.  It is not to be read or written.  `flags` are as fcntl(2) sets them.  -ENOENT the
 * queue was removed; as mkfifo(3), open(2). */
int tni_pair_open(struct tenon_queue *queue, int flags, int *ret_fd);
/* From now on it tells. */
int tni_pair_watch(struct tenon_queue *queue);
bool tni_pair_is_watched(const struct tenon_queue *queue);
/* Who changes O_NONBLOCK of such a descriptor, which is all processes' that have it, says so
 * before and behind: what fcntl(2) answered holds as long as the count is the same.  The count is
 * odd while, and after, it cannot be relied on. */
void tni_pair_flags_begin(struct tenon_queue *queue);
void tni_pair_flags_end(struct tenon_queue *queue);
uint32_t tni_pair_flags_count(const struct tenon_queue *queue);
/* Whether it may be one: a pipe as small as those; a single system call, which looks at nothing
 * else. */
bool tni_pair_is_likely(int fd);

/* Which queue a descriptor of that kind is of, and the folder of its namespace.  -EBADF it is
 * none. */
int tni_pair_identify(int fd, char *ret_namespace, size_t capacity_bytes, uint64_t *ret_inode,
		      uint64_t *ret_id);

/* The rest is the queue's.  object/queue_fifo.c */
#define TNI_FIFO_READABLE 'r'
#define TNI_FIFO_WRITABLE 'w'
#define TNI_FIFO_PAIR 'm'
/* In the order in which they are removed. */
#define TNI_FIFOS "rwm"

/* Opens one of the FIFOs beside the queue's file; makes it if asked to.  A descriptor or a negative
 * errno. */
int tni_fifo_open(const struct tenon_queue *queue, char which, bool make);
/* Removes the FIFOs of the queue whose file this is. */
void tni_fifo_remove(int directory_fd, int fd);
/* The same before a handle is closed, in the place of one who removed the queue and died before
 * he did it. */
void tni_fifo_remove_left(const struct tenon_queue *queue);

/* object/queue_poll.c */
bool tni_poll_is_ready(const struct tenon_queue *queue, uint32_t side);

/* Under the lock of a side, before it publishes something that pollers wait for: messages (SEND),
 * room (RECEIVE). */
void tni_poll_raise(struct tenon_queue *queue, uint32_t side);
/* Before messages are put back, under the receivers' lock. */
void tni_poll_raise_returned(struct tenon_queue *queue);
/* And behind that, under the same lock, or by who repairs that side. */
void tni_poll_confirm_returned(struct tenon_queue *queue);
/* Behind an operation of a side, without a lock: the other side's descriptor may have to fall. */
void tni_poll_lower(struct tni_call *call, uint32_t side);

bool tni_pair_is_wanted(const struct tenon_queue *queue);
/* As tni_poll_raise(), tni_poll_lower(). */
void tni_pair_raise(struct tenon_queue *queue, uint32_t side);
void tni_pair_lower(struct tni_call *call, uint32_t side);
/* Behind a repair of either side, under its lock. */
void tni_pair_count(struct tenon_queue *queue);
void tni_pair_close(struct tenon_queue *queue);

/* object/queue_notice.c */

/* Registers this process, and answers by which number.  `signal`: for who looks.  -EBUSY: a living
 * process is. */
int tni_notice_register(struct tenon_queue *queue, uint32_t signal, uint32_t *ret_serial);
/* Ends the registration; 0 too if it is over. */
int tni_notice_withdraw(struct tenon_queue *queue, uint32_t serial);
/* Waits until a message has come, and the registration is over.  -ETIMEDOUT; -ECANCELED it was
 * withdrawn. */
int tni_notice_wait(struct tenon_queue *queue, uint32_t serial, int64_t deadline_ns);
/* Takes the notice, once; -EAGAIN it has not come; -ETIMEDOUT somebody has the queue locked. */
int tni_notice_take(struct tenon_queue *queue, uint32_t serial, int64_t deadline_ns,
		    int32_t *ret_sender_pid, uint32_t *ret_sender_uid);
/* Who is registered, for who looks: 0 nobody; and the signal. */
int32_t tni_notice_holder(struct tenon_queue *queue, uint32_t *ret_signal);

/* The rest is the queue's. */
bool tni_notice_is_wanted(const struct tenon_queue *queue);
/* Under the senders' lock: before `count` messages are published, and behind that. */
void tni_notice_before(struct tenon_queue *queue, uint64_t count);
void tni_notice_after(struct tenon_queue *queue);
/* Behind a repair of the senders' side, under its lock. */
void tni_notice_repair(struct tenon_queue *queue);
/* Has the kernel tell of this process's death; without a lock. */
void tni_notice_stake(struct tni_call *call);
/* A thread waits for a message, from now on until it has taken one or gives up. */
void tni_notice_block(struct tni_call *call);
void tni_notice_unblock(struct tni_call *call);
/* A participant has died; under the senders' lock. */
void tni_notice_forget(struct tenon_queue *queue, uint32_t participant);
/* The handle is about to be closed. */
void tni_notice_leave(struct tenon_queue *queue);
/* Whoever is registered looks once more. */
void tni_notice_rouse(struct tenon_queue *queue);

#endif
