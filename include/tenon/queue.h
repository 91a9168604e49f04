/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TENON_QUEUE_H
#define TENON_QUEUE_H

/*
 * The queue: a named mailbox of messages with any number of senders and receivers.
 *
 *	  send ──────────► ┌───────────────────┐ ──────────► receive
 *	  loan … commit ─► │ m₉ m₈ m₇ … m₂ m₁  │ ─► take … done | return
 *	                   └───────────────────┘
 *
 * A message is 0 to max_message_bytes bytes with a key.  What the key means is the queue's order:
 *
 *	TENON_QUEUE_FIFO	 nothing: messages leave in the order in which they were sent
 *	TENON_QUEUE_PRIORITY	 0 to 32767: the highest leaves first, the oldest first within one
 *	TENON_QUEUE_TYPED	 any 64-bit number: the receiver says which (struct
 *				 tenon_receive_options)
 *
 * Promises.  A send that returned 0 is delivered to exactly one receiver; only if that receiver had
 * taken it (tenon_queue_take) and died before tenon_queue_done, or died while it received one of
 * more than 16 KiB, is it delivered again, first in its order, with a raised delivery count.  A
 * send that did not return, because its process was killed, is delivered once and whole, or not at
 * all.  The death of any process at any moment leaves the queue usable for the others.  Bytes that
 * another process wrote wrongly into the shared memory give -EBADMSG, and the queue is marked
 * damaged; they never crash the caller.
 *
 * Who may do what is the file mode of the queue: reading and writing are both needed to use it.
 *
 * Waiting.  TENON_NONBLOCK, and "does not wait" below, are about messages and room.  Apart from
 * that nearly every call takes the lock of a side of the queue, senders' or receivers', for a short
 * time.  A process that dies with it hurts nobody, but one that is stopped inside a call (SIGSTOP,
 * a debugger, a frozen cgroup) holds it until it goes on or dies, and so long the others wait:
 *
 *	with a deadline		 end with -ETIMEDOUT, NONBLOCK or not; only the last step, when
 *				 what was waited for is there, a long message is copied, or a
 *				 RENDEZVOUS withdraws its message, waits on
 *	without one		 wait on, NONBLOCK or not; so do _open, _close, _destroy, _loan,
 *				 _abandon, _done, _return, _peek, _recover, _check, _readable_fd,
 *				 _writable_fd and _set_max_bytes, which have none
 *	_status, _participants,	 take a lock only if its holder has died
 *	_last_receipt, _remove
 *
 * Threads.  A handle may be used by all threads of a process.  No call is async-signal-safe: a
 * thread's first call that takes, waits or opens allocates memory, and what a call that was
 * interrupted holds cannot be had (-EDEADLK).
 *
 * Ordered queues are put in order by receivers and peekers, each message once: the first call that
 * has to choose behind a long backlog takes some 3 us for each message that was sent since, under
 * the receivers' lock, whatever its deadline.
 *
 * Errors that every call may give: -EBADMSG the shared memory of the queue is damaged; -ENOSPC the
 * memory behind the namespace is full, or 2^20 loans, receipts or leases of the queue are open;
 * -EIO the file system behind the namespace gave it; -ENOMEM; -EMFILE, -ENFILE; -EUSERS the queue
 * has as many attached processes as it was made for; -EINVAL an argument is out of its range;
 * -EIDRM it has been destroyed (tenon_queue_destroy; _close, _remove, _status and _last_receipt do
 * as ever); -EDEADLK the call came from a signal handler that interrupted a call of the same thread
 * on this queue, which holds the lock: nothing was done; -EFBIG the queue's file would become
 * longer than the RLIMIT_FSIZE of this process allows; no SIGXFSZ is sent.  The file is sparse: it
 * begins with 64 MiB of length or more, of which some 16 pages are memory.  Making a queue, sends
 * and loans make it longer; receiving does not.
 */

#include <tenon/tenon.h>

#ifdef __cplusplus
extern "C" {
#endif

struct tenon_queue;

/* Orders. */
#define TENON_QUEUE_FIFO 0u
#define TENON_QUEUE_PRIORITY 1u
#define TENON_QUEUE_TYPED 2u

#define TENON_QUEUE_PRIORITY_MAX 32767u

/*
 * For the options: the mode says who may receive (read) and who may send (write), each alone, as
 * that of a POSIX message queue does, and whoever opens the queue by that interface is asked for
 * what he opens it for (tenon/posix.h); tenon_queue_open asks for both.  The file itself lets all
 * of these, and the owner, read and write, since who receives changes it: whoever does not keep to
 * this library can do more than the mode says.
 */
#define TENON_QUEUE_SPLIT_MODE 1u

/* What a send does when the queue is full. */
#define TENON_QUEUE_WAIT 0u	   /* waits for room (or gives -EAGAIN when it may not wait) */
#define TENON_QUEUE_FAIL 1u	   /* gives -EAGAIN */
#define TENON_QUEUE_DROP_OLDEST 2u /* makes room: the message that would leave next is dropped; */
				   /* -EAGAIN when all of them are under lease */
#define TENON_QUEUE_DROP_NEWEST 3u /* succeeds, and the message that was to be sent is dropped */

/* Capacities with a meaning of their own. */
#define TENON_QUEUE_RENDEZVOUS UINT64_C(0) /* a send returns when its message was received */
#define TENON_QUEUE_UNBOUNDED UINT64_MAX   /* until memory ends */
#define TENON_QUEUE_MAX_CAPACITY (UINT64_C(1) << 32)
#define TENON_QUEUE_MAX_MESSAGE_BYTES (UINT64_C(1) << 30)
#define TENON_QUEUE_MAX_PARTICIPANTS 1024u
#define TENON_QUEUE_DEFAULT_PARTICIPANTS 256u

struct tenon_queue_options {
	uint32_t size, flags;	    /* flags: TENON_QUEUE_SPLIT_MODE */
	uint32_t order;		    /* TENON_QUEUE_FIFO … */
	uint32_t full;		    /* TENON_QUEUE_WAIT … */
	uint64_t capacity;	    /* messages, 1 to TENON_QUEUE_MAX_CAPACITY, or one of the above;
				       counts messages that are queued or under lease */
	uint64_t max_message_bytes; /* 0 to TENON_QUEUE_MAX_MESSAGE_BYTES */
	uint32_t mode;		    /* permission bits of the queue, less the umask */
	uint32_t max_participants;  /* processes that may be attached at once; 0 stands for
				       TENON_QUEUE_DEFAULT_PARTICIPANTS */
	uint64_t max_bytes;	    /* of all messages that are queued or under lease; 0: no limit;
				       see tenon_queue_set_max_bytes() */
};

/*
 * What NULL options mean: FIFO, wait, 1024 messages of up to 8192 bytes, mode 0600.  That is not
 * what zeros mean: options given with nothing but their `size` set make a RENDEZVOUS of empty
 * messages with mode 0, which nobody without privileges can open: the call that makes it gives
 * -EACCES as well, and without EXCLUSIVE leaves the queue there.  So set capacity,
 * max_message_bytes and mode.
 */
#define TENON_QUEUE_DEFAULT_CAPACITY UINT64_C(1024)
#define TENON_QUEUE_DEFAULT_MESSAGE_BYTES UINT64_C(8192)
#define TENON_QUEUE_DEFAULT_MODE 0600u

/* Flags of tenon_queue_open(). */
#define TENON_QUEUE_CREATE TENON_CREATE
#define TENON_QUEUE_EXCLUSIVE TENON_EXCLUSIVE

/*
 * Opens the queue `name` of a namespace (NULL: see tenon_namespace_path), or makes it.  With CREATE
 * and without EXCLUSIVE an existing queue is opened as it is and `options` are ignored.  Does not
 * wait.  The descriptor that it keeps is close-on-exec.
 *
 * Errors: -ENOENT not there, or no such folder; -EEXIST; -EACCES the mode, or a folder's, does not
 * admit the caller; -EPERM the namespace folder belongs to somebody unexpected, or the file is a
 * symbolic link; -EINVAL name, flags (EXCLUSIVE alone, too) or options: an order, way when full,
 * capacity, length, mode or number of participants that is none of the above, or a RENDEZVOUS that
 * does not WAIT or has a limit of bytes; -EIDRM the queue of that name has been destroyed, and its
 * name not yet been removed; -EAGAIN others made and removed it again and again meanwhile; -E2BIG
 * options of a later version that this library cannot fulfil; -ENAMETOOLONG; -EPROTO made by a
 * library with another layout (`tenon doctor` names both); -EBADMSG the file is damaged or no
 * queue; -EISDIR; -ENOTDIR; -ENOSPC; -EFBIG; -EUSERS.
 */
TENON_PUBLIC int tenon_queue_open(const char *namespace_path, const char *name, uint32_t flags,
				  const struct tenon_queue_options *options,
				  struct tenon_queue **ret_queue) TENON_MUST_USE;

/* Lets go of the queue: what this handle had loaned is freed, what it had taken is returned.  Takes
 * both locks, for which it waits without a deadline.  NULL is allowed.  Always returns NULL. */
TENON_PUBLIC struct tenon_queue *tenon_queue_close(struct tenon_queue *queue);

/* Removes the name.  Those who have the queue open go on using it; its memory is freed when the
 * last lets go.  Errors: -ENOENT; -EACCES, -EPERM, -EISDIR as unlink(2); -EINVAL, -ENAMETOOLONG the
 * name; as tenon_namespace_path for the folder. */
TENON_PUBLIC int tenon_queue_remove(const char *namespace_path, const char *name);

/*
 * Ends the queue for all who have it open: whoever sleeps in a call is woken, and every call but
 * _close, _status and _last_receipt gives -EIDRM from then on; descriptors to poll become readable,
 * and who waits in a waitset gets -EIDRM for this member.  What was queued cannot be received any
 * more; the name stays, and opening it gives -EIDRM, until tenon_queue_remove().  A call that is
 * amid its work meanwhile may still succeed.  If this process dies in the call the queue is
 * destroyed or it is not, and if it is, whoever slept has been woken.  Waits for both locks,
 * without a deadline.  Errors: -EIDRM it has been destroyed before.
 */
TENON_PUBLIC int tenon_queue_destroy(struct tenon_queue *queue);

/*
 * Limits the bytes of all messages that are queued or under lease together, from now on; 0: no
 * limit.  Beside the capacity, not in its place: a message is sent when what is there is no longer
 * than the limit with it, and no more messages than the limit has bytes (which matters to empty
 * ones).  Else the queue is full, and what that means is said by its options: WAIT waits until
 * enough was received, or the limit raised; DROP_OLDEST drops as many messages as it needs.  A
 * limit below what is queued drops nothing: it keeps senders waiting until there is room.  A
 * message that is longer than the limit alone waits as well, since the limit can be raised (-EAGAIN
 * with NONBLOCK, FAIL and DROP_OLDEST, which drops nothing for it; DROP_NEWEST drops it).  Where
 * what is under lease leaves no room, DROP_OLDEST drops all the others and gives -EAGAIN.
 *
 * Who waits for room is woken whenever something was received, and sends if it fits; short messages
 * may overtake a long one that way.  tenon_queue_wait(), descriptors and waitsets say WRITABLE when
 * there is room for a message of max_message_bytes, or nothing at all is queued: with less room
 * short messages may be sent all the same.
 *
 * Waits for the receivers' lock, without a deadline.  If this process dies in the call the limit is
 * the old or the new one, and if it is the new one, whoever can go on has been woken.  Errors:
 * -EINVAL a RENDEZVOUS queue, which has nothing queued.
 */
#define TENON_QUEUE_NO_BYTES UINT64_MAX /* nothing may be sent */
TENON_PUBLIC int tenon_queue_set_max_bytes(struct tenon_queue *queue, uint64_t bytes);

/* Flags of the options below. */
#define TENON_NONBLOCK 1u     /* -EAGAIN instead of waiting */
#define TENON_TRUNCATE 2u     /* receive: cut a message that is longer than the buffer */
#define TENON_WANT_RECEIPT 4u /* send: keep a receipt, see tenon_queue_receipt() */

struct tenon_send_options {
	uint32_t size, flags; /* TENON_NONBLOCK, TENON_WANT_RECEIPT */
	int64_t deadline_ns;  /* 0 stands for TENON_NO_DEADLINE */
	uint64_t key;	      /* priority or type */
};

/* Which message a receiver wants of a TYPED queue.  Other orders take TENON_SELECT_ANY only. */
#define TENON_SELECT_ANY 0u	  /* the oldest */
#define TENON_SELECT_EXACTLY 1u	  /* the oldest with key == select_key */
#define TENON_SELECT_ALL_BUT 2u	  /* the oldest with key != select_key */
#define TENON_SELECT_LOWEST_TO 3u /* of the lowest key that is <= select_key, the oldest */

struct tenon_receive_options {
	uint32_t size, flags; /* TENON_NONBLOCK, TENON_TRUNCATE */
	int64_t deadline_ns;  /* 0 stands for TENON_NO_DEADLINE */
	uint32_t select;      /* TENON_SELECT_ANY … */
	uint32_t reserved;    /* 0 */
	uint64_t select_key;
};

/* What is told of a message. */
struct tenon_message {
	uint64_t bytes;	     /* its length (the whole one, where it was cut) */
	uint64_t key;	     /* priority or type; 0 in a FIFO queue */
	uint64_t sequence;   /* the message's number in the queue, from 0 */
	uint32_t deliveries; /* how often it was delivered before this */
	int32_t sender_pid;  /* in the pid namespace of the sender; 0 if it is not known any more */
};

/*
 * Sends a copy of `bytes` bytes; `data` may be NULL if there are none.  Waits while the queue is
 * full and says WAIT; in a RENDEZVOUS queue waits until the message was received, and withdraws it
 * when that does not happen in time.
 *
 * Errors: -EMSGSIZE longer than max_message_bytes; -EINVAL options, or a key that is no priority of
 * a PRIORITY queue; -E2BIG; -EAGAIN full (NONBLOCK or FAIL; DROP_OLDEST: of messages under
 * lease), or nobody is waiting to receive that has no message coming, of whatever key (RENDEZVOUS
 * with NONBLOCK); -ETIMEDOUT; -EINTR a signal handler ran while it waited (never if the
 * handler was installed with SA_RESTART, on a kernel with futex_waitv(2)).  On an error nothing was
 * sent.  A receiver's death while this call waits wakes it if that makes room.
 */
TENON_PUBLIC int tenon_queue_send(struct tenon_queue *queue, const void *data, uint64_t bytes,
				  const struct tenon_send_options *options);

struct tenon_slice {
	const void *data;
	uint64_t bytes;
};

/*
 * Sends `count` messages in order, with one key; cheaper than one by one.  Waits until at least one
 * is sent, then sends what fits without waiting; `ret_sent` says how many were.  They go in runs:
 * a run ends at a message of more than 16 KiB and where the log goes on elsewhere, and other
 * senders' messages may come between two.  Errors as tenon_queue_send, -EMSGSIZE and -EINVAL if any
 * of the messages gives it; nothing was sent then.  An error behind the first run ends the batch
 * with 0, and the next call gives it.  -EINVAL: also a count of 0.  Not for RENDEZVOUS queues, nor
 * with WANT_RECEIPT (-EOPNOTSUPP).
 */
TENON_PUBLIC int tenon_queue_send_batch(struct tenon_queue *queue, const struct tenon_slice *slices,
					uint32_t count, const struct tenon_send_options *options,
					uint32_t *ret_sent);

/*
 * Receives a message into `buffer`, which may be NULL if `capacity_bytes` is 0.  `ret_message` may
 * be NULL.  Waits while there is none.
 *
 * Errors: -EINVAL options, or a selection that is none, or that is not for this order; -E2BIG;
 * -EAGAIN none, or none that was selected (NONBLOCK); -EMSGSIZE the message is longer than
 * `capacity_bytes` and TRUNCATE was not given (it stays in the queue); -ETIMEDOUT; -EINTR.  On an
 * error nothing was received.  If this process dies in this call the message is either still queued
 * or received; one of more than 16 KiB may then come with a raised delivery count.
 */
TENON_PUBLIC int tenon_queue_receive(struct tenon_queue *queue, void *buffer,
				     uint64_t capacity_bytes,
				     const struct tenon_receive_options *options,
				     struct tenon_message *ret_message);

/*
 * Receives up to `count` messages, one behind the other, into one buffer.  ret_messages[i].bytes
 * says where each ends.  Waits for the first only; ends when the next does not fit, or gives
 * an error: then the answer is 0 with what was received, and the next call gives the error.  Errors
 * as tenon_queue_receive; -EINVAL: also a count of 0, and NULL for any but the options.
 */
TENON_PUBLIC int tenon_queue_receive_batch(struct tenon_queue *queue, void *buffer,
					   uint64_t capacity_bytes, uint32_t count,
					   const struct tenon_receive_options *options,
					   struct tenon_message *ret_messages, uint32_t *ret_count);

/* A place in shared memory to write a message into. */
struct tenon_loan {
	void *data;
	uint64_t bytes;	 /* room */
	uint64_t opaque; /* the library's */
};

/*
 * Loans room for a message of up to `bytes` bytes.  Does not wait for the queue to have room:
 * tenon_queue_commit does.  The loan belongs to the process; if the process dies, it is freed.
 * Waits for the senders' lock, without a deadline.  Errors: -EMSGSIZE; -ENOSPC.
 */
TENON_PUBLIC int tenon_queue_loan(struct tenon_queue *queue, uint64_t bytes,
				  struct tenon_loan *ret_loan);

/* Sends the first `bytes` bytes of the loan, as tenon_queue_send would, and ends the loan.  On an
 * error the loan is still held, except behind a RENDEZVOUS that nobody came to: a message that was
 * withdrawn is gone, and the loan with it.  -EINVAL: no such loan (it has ended, is another
 * queue's, or the parent's, of a handle that was inherited over fork), or more bytes than it has
 * room for, whatever `loan->bytes` has been changed to. */
TENON_PUBLIC int tenon_queue_commit(struct tenon_queue *queue, struct tenon_loan *loan,
				    uint64_t bytes, const struct tenon_send_options *options);

/* Ends the loan, sends nothing.  Waits for the senders' lock, without a deadline.  -EINVAL: no such
 * loan, as above. */
TENON_PUBLIC int tenon_queue_abandon(struct tenon_queue *queue, struct tenon_loan *loan);

/* A message that was taken, where it lies in shared memory.  Its sender may still be able to write
 * to it: check what you read, and read what you check only once. */
struct tenon_lease {
	const void *data;
	struct tenon_message message;
	uint64_t opaque; /* the library's */
};

/*
 * Takes a message under lease: nobody else gets it until it is returned or this process dies.
 * Options and errors as tenon_queue_receive; the lease counts against the capacity until its end.
 *
 * Any number of threads may take, and any thread of the process may end a lease.  When the process
 * dies, the kernel tells those who wait at once, as soon as it has taken the dead process apart.
 * It cannot, and those who wait look for the dead every 100 ms,
 *
 *	where more than 120 processes take beside it
 *	where the thread that took first has ended, and no other took or waited since
 *	where that thread has taken from 1024 queues
 *	in a signal handler that interrupted such a call
 *	with a C library whose robust mutexes are of another kind than glibc's
 *	on kernels without futex_waitv(2)
 *
 * A child made by _Fork(3) or a raw clone(2) keeps its parent from being known as dead until its
 * own first call.  If a thread that is not its process's first took, and calls exec(3), nobody who
 * sleeps is told: the message comes back when somebody next looks and finds nothing, or opens the
 * queue.
 */
TENON_PUBLIC int tenon_queue_take(struct tenon_queue *queue,
				  const struct tenon_receive_options *options,
				  struct tenon_lease *ret_lease);

/* The message was dealt with: it is gone for good.  Waits for the receivers' lock, without a
 * deadline.  On any other error than -EINVAL the lease is still held.  -EINVAL: no such lease (it
 * has ended, is another queue's, or the parent's, of a handle that was inherited over fork). */
TENON_PUBLIC int tenon_queue_done(struct tenon_queue *queue, struct tenon_lease *lease);

/* Puts the message back, first in its order, with its delivery count raised.  Waiting and errors as
 * tenon_queue_done. */
TENON_PUBLIC int tenon_queue_return(struct tenon_queue *queue, struct tenon_lease *lease);

/*
 * Copies the message that is `position` places behind the one that would be received next, and
 * leaves it there.  A longer message than `capacity_bytes` is cut; ret_message->bytes tells its
 * whole length.  `ret_message` may be NULL, and `buffer` if `capacity_bytes` is 0.  Does not wait
 * for messages, but for the receivers' lock, without a deadline.  A TYPED queue is looked at in
 * order of age.  Errors: -ENOENT there are not that many; -EINVAL.
 */
TENON_PUBLIC int tenon_queue_peek(struct tenon_queue *queue, uint64_t position, void *buffer,
				  uint64_t capacity_bytes, struct tenon_message *ret_message);

#define TENON_READABLE 1u
#define TENON_WRITABLE 2u

/*
 * Waits until a receive of any message would find one (READABLE), or there is room (WRITABLE; a
 * RENDEZVOUS queue always has it, and a DROP_OLDEST or DROP_NEWEST queue takes messages without it;
 * with a limit of bytes see tenon_queue_set_max_bytes); both: until one of them (on kernels without
 * futex_waitv(2) room alone is noticed up to 100 ms late).  Somebody else may be faster afterwards.
 * `ret_events` may be NULL.
 *
 * The deadline is one as it stands: 0 has passed, as any moment before now, and the call looks and
 * does not wait; TENON_NO_DEADLINE waits for ever.  (In options and for receipts 0 stands for
 * TENON_NO_DEADLINE.)  Errors: -ETIMEDOUT, -EINTR; -EINVAL events of another kind, or none.
 */
TENON_PUBLIC int tenon_queue_wait(struct tenon_queue *queue, uint32_t events, int64_t deadline_ns,
				  uint32_t *ret_events);

/*
 * A descriptor for poll(2), select(2), epoll(7) and io_uring that is readable (POLLIN),
 * level-triggered, while a receive would find a message; and one that is readable while a send
 * would find room.  It belongs to the handle: do not read, write or close it.  Readiness is a hint:
 * use TENON_NONBLOCK.
 *
 * The readable one also becomes so, for nothing, when somebody closes the queue; it may have died,
 * and have taken a message.  The next call that finds nothing notices both, and brings back what
 * the dead had taken; beside leases it is told so a few times more, within 130 ms.  (Where
 * inotify(7) instances or /proc are not to be had, deaths are not told; they are noticed by the
 * next call.) A forked child asks anew: what its parent was given is its parent's.
 *
 * From the first request on, whoever makes it, every sender and receiver of the queue pays for it,
 * as long as the queue lives: a system call or two whenever it turns empty or full or stops being
 * so, and up to two descriptors for each handle (three more for who asked for the readable one).
 *
 * What it tells comes through a FIFO beside the queue's file, which goes with the queue's name (in
 * a sticky folder only if who removes the queue may remove it: it belongs to whoever asked first).
 * Ask for a descriptor before the queue is removed: afterwards there is none to be had (-ENOENT),
 * and of those that were had only processes tell which have told of something before.
 *
 * Waits for the lock of the side that tells, without a deadline.  Errors: -EMFILE, -ENFILE;
 * -EACCES, -ENOENT, -ENOSPC as mkfifo(3) and open(2); -EPERM what lies in the FIFO's place is none.
 */
TENON_PUBLIC int tenon_queue_readable_fd(struct tenon_queue *queue, int *ret_fd);
TENON_PUBLIC int tenon_queue_writable_fd(struct tenon_queue *queue, int *ret_fd);

/*
 * Receipts.  A send with TENON_WANT_RECEIPT leaves a receipt, which belongs to the sending handle;
 * tenon_queue_last_receipt gives the one of the calling thread's last successful send.  _receipt
 * waits until the message was received (for a taken one: until done), tells by which process, and
 * ends the receipt; a deadline of 0 stands for TENON_NO_DEADLINE as in the options, a negative one
 * has passed, and `ret_receiver_pid` may be NULL.  Errors: -ETIMEDOUT, -EINTR the receipt is still
 * held; -EINVAL no such receipt (it has ended, is another's, or the thread's last send with a
 * receipt was not to this queue); -ECANCELED the message was dropped (DROP_OLDEST, DROP_NEWEST) and
 * the receipt is ended.
 */
TENON_PUBLIC int tenon_queue_last_receipt(struct tenon_queue *queue, uint64_t *ret_receipt);
TENON_PUBLIC int tenon_queue_receipt(struct tenon_queue *queue, uint64_t receipt,
				     int64_t deadline_ns, int32_t *ret_receiver_pid);

/* Everything that can be said about a queue. */
struct tenon_queue_status {
	uint32_t size, flags; /* set by the caller: sizeof, 0 */
	/* attributes */
	uint32_t order, full;
	uint64_t capacity, max_message_bytes;
	uint32_t mode, uid, gid, max_participants;
	uint64_t id; /* random, made with the queue */
	/* now */
	uint64_t messages, message_bytes;	     /* queued */
	uint64_t leased, loaned;		     /* messages under lease, loans open */
	uint64_t memory_bytes;			     /* taken from the file system */
	uint32_t participants;			     /* attached processes */
	uint32_t damaged;			     /* 1: -EBADMSG was given to somebody */
	uint32_t receivers_waiting, senders_waiting; /* processes asleep in a call */
	/* since it was made */
	/* `sent` counts what DROP_NEWEST dropped, `sent_bytes` does not */
	uint64_t sent, sent_bytes, received, received_bytes;
	uint64_t dropped, redelivered;
	uint64_t send_waits, receive_waits; /* how often somebody went to sleep */
	uint64_t repairs;		    /* deaths in the middle of an operation, mended */
	uint64_t high_messages;		    /* the most there ever were: queued or under lease */
	uint64_t high_bytes;
	/* who was last; 0 if nobody was. Times: ns since 1970, to the kernel's tick */
	int32_t last_sender_pid, last_receiver_pid;
	int64_t created_ns, last_send_ns, last_receive_ns;
	int32_t notify_pid; /* who is registered to be told of a message (tenon/posix.h); 0 nobody */
	uint32_t split_mode; /* 1: made with TENON_QUEUE_SPLIT_MODE */
	uint64_t max_bytes;  /* the limit of bytes as it is now; 0: none */
	uint32_t destroyed;  /* 1: by tenon_queue_destroy() */
	uint32_t reserved;   /* 0 */
};

/* Reads the status.  `ret_status->size` must be set, and `flags` be 0: as much is written, with
 * zeros for what this library does not know.  Does not wait.  The figures of a queue in use are
 * each right, not all of one instant.  -EINVAL. */
TENON_PUBLIC int tenon_queue_status(struct tenon_queue *queue,
				    struct tenon_queue_status *ret_status);

/* An attached process, as tenon_queue_participants() tells of it. */
struct tenon_participant {
	int32_t pid; /* in its own pid namespace */
	uint32_t uid;
	uint32_t alive;	     /* 0: it died and nobody has cleaned up yet */
	uint32_t leased;     /* messages it holds under lease */
	uint32_t loaned;     /* loans it holds */
	uint32_t waiting;    /* TENON_READABLE and TENON_WRITABLE: what it sleeps for */
	int64_t attached_ns; /* since 1970 */
	uint64_t reserved;
};

/*
 * Calls `visit` for each attached process, in no particular order, with `context`; a non-zero
 * answer ends the walk and is returned.  `visit` must not call anything on this queue.  No lock is
 * held: processes that attach, detach or die during the walk may or may not be seen, and may have
 * gone when `visit` is called; `alive` is what was known a moment before.  One that is cleaned up
 * after, or followed by another in its place, while its figures are read is told of with figures of
 * both.  Errors: -EINVAL; what every call may give.
 */
TENON_PUBLIC int tenon_queue_participants(struct tenon_queue *queue,
					  int (*visit)(const struct tenon_participant *participant,
						       void *context),
					  void *context);

/*
 * Looks for dead processes that still hold something, and frees it; gives memory back that lies
 * idle.  Happens by itself wherever somebody waits; this call is for tools.  `ret_freed` (may be
 * NULL): how many dead processes were cleaned up after.
 */
TENON_PUBLIC int tenon_queue_recover(struct tenon_queue *queue, uint32_t *ret_freed);

/*
 * Checks the whole structure, one side after the other, under its lock, for which it waits without
 * a deadline; senders or receivers wait meanwhile.  0: sound.  -EBADMSG: it is not, and the queue
 * is marked damaged; the first fault found is written as a sentence, if `ret_text` is not NULL, and
 * what does not fit of it is cut.  It changes nothing but that mark, and what a dead process had
 * left half done.
 */
TENON_PUBLIC int tenon_queue_check(struct tenon_queue *queue, char *ret_text,
				   uint64_t capacity_bytes);

#ifdef __cplusplus
}
#endif

#endif
