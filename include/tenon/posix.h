/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TENON_POSIX_H
#define TENON_POSIX_H

/*
 * POSIX.1-2017's message queues, semaphores and shared memory on Tenon's objects: the same calls
 * behind the prefix tenon_, with the types, the results and the errno of the originals.
 * <tenon/compat/mqueue.h> and its neighbours give them the original names, for programs that are
 * compiled anew (-I.../tenon/compat); `tenon run` puts them under programs that are not.
 *
 * Unlike the rest of the library these calls return -1 and set errno, but for two that say so.
 *
 * Names.  As the standard and Linux have them: a slash and then up to 255 bytes without one.  They
 * are looked up in the namespace that NULL stands for (tenon/tenon.h), where a queue "/jobs" is the
 * queue that tenon_queue_open(NULL, "/jobs", …) opens and `tenon ls` shows.
 */

#include <mqueue.h>
#include <semaphore.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include <tenon/tenon.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Message queues.
 *
 * A queue is a PRIORITY queue of tenon/queue.h, which has its promises: who dies, at any
 * instruction, hurts nobody.  mq_open of one that another interface has made opens it whatever its
 * order is: the messages of a FIFO queue have no priority, of a TYPED one the priority is the type,
 * and messages of any type are received, the oldest first.
 *
 * Descriptors.  As on Linux a message queue descriptor is a file descriptor with FD_CLOEXEC, which
 * poll(2), select(2) and epoll(7) understand: readable while there is a message, writable while
 * there is room.  dup(2), fork(2), SCM_RIGHTS and RLIMIT_NOFILE do with it what they do with
 * others.  O_NONBLOCK belongs to the open file description, and fcntl(2) changes it as mq_setattr
 * does.  Copies by dup(2), and those that came over exec(3) or a socket, become known with their
 * first use; one that came so finds its queue by the queue's name, and is EBADF if that was
 * removed.  Close it with tenon_mq_close or tenon_close: after a bare close(2) the queue stays open
 * until the number is used for another queue, a call is about to wait at it, another queue is
 * opened, or the process ends.  Each queue that is open takes two descriptors more, which are the
 * library's.
 *
 * Limits.  None of the kernel's: mq_maxmsg up to 2^32, mq_msgsize up to 2^30, as many queues as
 * there is memory for, of which each takes what it has held at once and 96 KiB.  1024 processes may
 * have a queue open.  With TENON_LIMITS=kernel in the environment (secure_getenv(3)) exactly the
 * kernel's: those of /proc/sys/fs/mqueue, and RLIMIT_MSGQUEUE.
 *
 * Permission.  The mode, less the umask, says who may receive (read) and send (write), and mq_open
 * asks it.  The queue's file lets all of these both read and write, since receiving changes it: see
 * docs/SECURITY.md.
 *
 * Signals.  tenon_mq_send, _receive, _timedsend and _timedreceive end with EINTR when a handler ran
 * that was installed without SA_RESTART, and go on if it was installed with that.  A handler that
 * interrupts one of these calls and calls in itself is given EDEADLK if the interrupted call was
 * just changing the queue, a fraction of a microsecond; under `tenon run` handlers are put off so
 * long, and it is not.  No call is async-signal-safe by the standard.
 *
 * Threads.  All calls are thread-safe.  _send, _timedsend, _receive and _timedreceive are
 * cancellation points; a thread that is cancelled there has neither sent nor received.
 *
 * Errors beside those that the standard names: EBADMSG the shared memory of the queue is damaged;
 * ENOSPC the memory behind the namespace is full, EFBIG RLIMIT_FSIZE (both of mq_send, too); EUSERS
 * 1024 processes have it open; EPROTO it was made by another version of this library; EPERM the
 * namespace belongs to somebody unexpected; EIDRM somebody has destroyed it (tenon/queue.h).
 */

/* For the flags of tenon_mq_open: this program will not poll the descriptor, nor hand it to
 * somebody who does.  Else a queue that was opened so pays two to four system calls whenever it
 * turns empty or full or stops being so. */
#define TENON_MQ_UNPOLLED 0x40000000

/*
 * mq_open(3): `oflag` is O_RDONLY, O_WRONLY or O_RDWR, and any of O_CREAT, O_EXCL, O_NONBLOCK,
 * TENON_MQ_UNPOLLED; with O_CREAT follow mode_t mode, struct mq_attr *attr.  `attr` NULL: 10
 * messages of 8192 bytes (what /proc/sys/fs/mqueue says, where it is).  Does not wait.
 *
 * (mqd_t)-1 and EACCES the mode does not allow it, or the name has a second slash; EEXIST; EINVAL a
 * name without its slash, or attributes that are not positive or too large; EMFILE, ENFILE;
 * ENAMETOOLONG; ENOENT, also of a slash alone; ENOMEM; ENOSPC; EPERM also if in the place of the
 * FIFO that is to be polled lies what is none.
 */
TENON_PUBLIC mqd_t tenon_mq_open(const char *name, int oflag, ...);

/* mq_close(3).  Ends the process's registration for notification at the queue, by whatever
 * descriptor it was made.  EBADF. */
TENON_PUBLIC int tenon_mq_close(mqd_t queue);

/* mq_unlink(3).  The queue goes with the last process that has it open, however that ends.  EACCES,
 * also where another user's queue lies in a sticky folder; ENAMETOOLONG; ENOENT; EINVAL; EMFILE,
 * ENFILE. */
TENON_PUBLIC int tenon_mq_unlink(const char *name);

/* mq_send(3).  Priorities from 0 to 32767: the highest leave first.  EAGAIN full, and O_NONBLOCK;
 * EBADF it is none, or not open for writing; EINTR; EINVAL the priority; EMSGSIZE longer than
 * mq_msgsize. */
TENON_PUBLIC int tenon_mq_send(mqd_t queue, const char *data, size_t bytes, unsigned priority);

/* mq_timedsend(3): until a moment of CLOCK_REALTIME, also when that clock is set meanwhile; NULL:
 * as _send.  ETIMEDOUT; EINVAL tv_nsec is none, or tv_sec negative, whether or not there is room.
 * */
TENON_PUBLIC int tenon_mq_timedsend(mqd_t queue, const char *data, size_t bytes, unsigned priority,
				    const struct timespec *deadline);

/* mq_receive(3): how long the message is.  `ret_priority` may be NULL.  EAGAIN empty, and
 * O_NONBLOCK; EBADF it is none, or not open for reading; EINTR; EMSGSIZE `capacity_bytes` is less
 * than mq_msgsize. */
TENON_PUBLIC ssize_t tenon_mq_receive(mqd_t queue, char *buffer, size_t capacity_bytes,
				      unsigned *ret_priority);

/* mq_timedreceive(3).  As above. */
TENON_PUBLIC ssize_t tenon_mq_timedreceive(mqd_t queue, char *buffer, size_t capacity_bytes,
					   unsigned *ret_priority, const struct timespec *deadline);

/*
 * mq_notify(3): registers this process to be told when a message comes to the empty queue and
 * nobody is blocked in mq_receive; once.  NULL: not any more.  SIGEV_NONE, SIGEV_SIGNAL (si_code
 * SI_MESGQ, si_pid and si_uid the sender's, si_value), SIGEV_THREAD (a detached thread that blocks
 * no signal, with the stack, the scheduling and the processors of the attributes, which may be
 * destroyed once the call has returned).  Gone with any close of a descriptor of that queue in this
 * process, with exec(3) and with its end, however that comes; a child of fork(2) is not registered.
 *
 * A thread of the library waits for it, all signals blocked; of whichever user the sender is.  The
 * signal is there when the call that sent the message has returned only if this process sent it.
 *
 * EBUSY a process is registered, perhaps this one; EBADF; EINVAL another sigev_notify or
 * sigev_signo; ENOMEM; EAGAIN no thread to be had.
 */
TENON_PUBLIC int tenon_mq_notify(mqd_t queue, const struct sigevent *notification);

/* mq_getattr(3).  EBADF. */
TENON_PUBLIC int tenon_mq_getattr(mqd_t queue, struct mq_attr *ret_attributes);

/* mq_setattr(3): of `attributes` mq_flags counts alone, of which only O_NONBLOCK may be set
 * (EINVAL).  `ret_before` may be NULL.  EBADF. */
TENON_PUBLIC int tenon_mq_setattr(mqd_t queue, const struct mq_attr *attributes,
				  struct mq_attr *ret_before);

/* close(2), for descriptors of every kind, with its errors; of a queue's it is tenon_mq_close.  In
 * a child of vfork(2) the parent's queue stays open. */
TENON_PUBLIC int tenon_close(int fd);

/*
 * Semaphores.
 *
 * The types are libc's: sem_t, SEM_FAILED, SEM_VALUE_MAX (2147483647).  The calls of libc must not
 * be mixed with these on one semaphore.
 *
 * A named one is a semaphore of tenon/semaphore.h, in the namespace that NULL stands for, and has
 * its promises; `tenon ls` shows it.  A name is one to 255 bytes without a slash, with any number
 * of slashes in front, or none.  As long as it is open in a process, each tenon_sem_open of it
 * gives the same address there.  A child of fork(2) has what its parent had open.  Each costs two
 * descriptors, and 1024 processes may have it open.
 *
 * An unnamed one lies in the 32 bytes of its sem_t, wherever these are; nothing else is used, so
 * that it is shared by whoever shares that memory, whatever tenon_sem_init was told.  Who is killed
 * (SIGKILL) in any call, also just when it was woken, loses no wake-up of anybody else: the next
 * who waits is woken.  What it had taken is gone.  Of a thread that is killed in a signal handler
 * that interrupted one of these calls and calls one itself, that is not promised; nor that a killed
 * one that slept costs nothing: from then on each post may be a system call, until tenon_sem_init.
 * All who use one have to use the same major version of this library.
 *
 * Costs.  One compare-and-swap each and no system call, where nobody has to wait.
 *
 * Signals.  tenon_sem_post is async-signal-safe, but for the first call in a child of fork(2).
 * tenon_sem_wait, _timedwait and _clockwait end with EINTR when a handler ran that was installed
 * without SA_RESTART, and go on if it was with.  (glibc's end with EINTR in any case, if they have
 * a deadline.)
 *
 * Threads.  All calls are thread-safe.  _wait, _timedwait and _clockwait are cancellation points; a
 * thread that is cancelled there has taken nothing.
 *
 * Errors beside those that the standard names, of named ones: EBADMSG its shared memory is damaged;
 * EUSERS 1024 processes have it open; EPROTO it was made by another version of this library; EPERM
 * (_open) the namespace belongs to somebody unexpected.
 */

/*
 * sem_open(3): of `flags` O_CREAT and O_EXCL count; with O_CREAT follow mode_t mode, unsigned
 * value.  Mode and umask as for a file; who may both read and write it may open it.  Does not wait.
 *
 * SEM_FAILED and EACCES; EEXIST; EINVAL the name, or the value of a new one is above SEM_VALUE_MAX;
 * EMFILE, ENFILE; ENAMETOOLONG; ENOENT; ENOMEM; ENOSPC.
 */
TENON_PUBLIC sem_t *tenon_sem_open(const char *name, int flags, ...);

/* sem_close(3): has to be called as often as tenon_sem_open.  EINVAL it is no named one that is
 * open. */
TENON_PUBLIC int tenon_sem_close(sem_t *semaphore);

/* sem_unlink(3): who has it open goes on using it.  EACCES; ENAMETOOLONG; ENOENT. */
TENON_PUBLIC int tenon_sem_unlink(const char *name);

/* sem_init(3).  EINVAL the value is above SEM_VALUE_MAX. */
TENON_PUBLIC int tenon_sem_init(sem_t *semaphore, int is_shared, unsigned value);

/* sem_destroy(3).  Does nothing: nobody may wait for it. */
TENON_PUBLIC int tenon_sem_destroy(sem_t *semaphore);

/* sem_post(3).  EOVERFLOW it is SEM_VALUE_MAX. */
TENON_PUBLIC int tenon_sem_post(sem_t *semaphore);

/* sem_wait(3).  EINTR. */
TENON_PUBLIC int tenon_sem_wait(sem_t *semaphore);

/* sem_trywait(3).  EAGAIN. */
TENON_PUBLIC int tenon_sem_trywait(sem_t *semaphore);

/* sem_timedwait(3): until a moment of CLOCK_REALTIME, also when that clock is set meanwhile.
 * ETIMEDOUT; EINTR; EINVAL tv_nsec is none, whether or not it has to wait. */
TENON_PUBLIC int tenon_sem_timedwait(sem_t *semaphore, const struct timespec *deadline);

/* sem_clockwait(3): of CLOCK_REALTIME or CLOCK_MONOTONIC; EINVAL of another. */
TENON_PUBLIC int tenon_sem_clockwait(sem_t *semaphore, clockid_t clock,
				     const struct timespec *deadline);

/* sem_getvalue(3): 0 while others wait.  Async-signal-safe of unnamed ones. */
TENON_PUBLIC int tenon_sem_getvalue(sem_t *semaphore, int *ret_value);

/*
 * Shared memory.
 *
 * A shared memory object is a plain file in the namespace that NULL stands for, and what
 * tenon_shm_open gives is a descriptor of it: ftruncate(2), mmap(2), fstat(2), fchmod(2) and
 * close(2) are the system's.  Names as of semaphores.  It is not a region of tenon/region.h, which
 * has a header, liveness and seals; names of the two do not meet.  Nobody attaches to it: it is
 * there until its name is removed and the last descriptor and mapping are gone, however their
 * processes end.
 *
 * All of these calls are thread-safe, none is async-signal-safe, and none waits for another
 * process.  tenon_shm_open and _unlink are no cancellation points.
 *
 * Under `tenon run --only shm` what a program has mapped is guarded: where somebody makes the file
 * shorter, it reads zeros.
 */

/*
 * shm_open(3): O_RDONLY or O_RDWR, and any of O_CREAT, O_EXCL, O_TRUNC.  The descriptor has
 * FD_CLOEXEC.  Does not wait.
 *
 * -1 and EACCES; EEXIST; EINVAL the name, or something else than a file has it; EMFILE, ENFILE;
 * ENAMETOOLONG; ENOENT; ENOSPC; EPERM the namespace belongs to somebody unexpected.
 */
TENON_PUBLIC int tenon_shm_open(const char *name, int flags, mode_t mode);

/* shm_unlink(3): who has it open or mapped goes on using it.  EACCES; ENAMETOOLONG; ENOENT. */
TENON_PUBLIC int tenon_shm_unlink(const char *name);

/* What can be said about a shared memory object. */
struct tenon_shm_status {
	uint32_t size, flags; /* set by the caller: sizeof, 0 */
	uint32_t mode, uid, gid;
	uint32_t reserved;
	uint64_t id; /* the file's inode */
	uint64_t bytes, memory_bytes;
	int64_t created_ns; /* 0: the file system does not say */
	int64_t changed_ns; /* when it was last written by write(2), or its length changed */
};

/* Reads the status.  Like the rest of the library, and unlike the calls above, this and the next
 * return 0 or a negative errno.  -ENOENT; -EACCES; -EINVAL. */
TENON_PUBLIC int tenon_shm_status(const char *name, struct tenon_shm_status *ret_status);

/* A process that has it open or mapped. */
struct tenon_shm_user {
	int32_t pid;
	uint32_t descriptors;	   /* of it */
	uint64_t mapped_bytes;	   /* of address space */
	uint32_t maps_for_writing; /* 1: a mapping of it is shared and may be written */
	uint32_t reserved;
};

/*
 * Calls `visit` for each of them that /proc shows to the caller; a non-zero answer ends it and is
 * returned.  `ret_unseen` (may be NULL): processes of which the caller may not know; those of other
 * users, unless it is root's.  It looks at up to 65536 processes, and 65536 mappings and
 * descriptors of each.  Errors as above.
 */
TENON_PUBLIC int tenon_shm_users(const char *name,
				 int (*visit)(const struct tenon_shm_user *user, void *context),
				 void *context, uint32_t *ret_unseen);

#ifdef __cplusplus
}
#endif

#endif
