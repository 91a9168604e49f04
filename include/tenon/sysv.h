/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TENON_SYSV_H
#define TENON_SYSV_H

/*
 * System V's message queues, semaphore sets and shared memory (XSI, POSIX.1-2017; svipc(7)) on
 * Tenon's objects: the same calls behind the prefix tenon_, with the types, the results and the
 * errno of the originals.  <tenon/compat/sys/msg.h> and its neighbours give them the original
 * names, for programs that are compiled anew (-I.../tenon/compat); `tenon run` puts them under
 * programs that are not.  ftok(3) is libc's.
 *
 * Unlike the rest of the library these calls return -1 and set errno, but for those that say so.
 *
 * Identity.  The table of keys and identifiers is the folder of the namespace that NULL stands for
 * (tenon/tenon.h).  An object is there until it is removed, as the kernel's are until the machine
 * is restarted.  It has a name for the other interfaces and the shell, "/sysv-" and four
 * hexadecimal digits, which tenon_sysv_name() tells; with the calls of those it keeps the promises
 * of both.  An identifier has a random part, so that it is not soon another object's.
 *
 * Limits.  Those of proc(5), which the administrator sets for the kernel's objects, hold for each
 * namespace's: msgmax, msgmnb, msgmni, sem, shmall, shmmax, shmmni in /proc/sys/kernel.  One that
 * is 0 or not there is what Linux has by default: 32000 queues and sets, 4096 segments.  More than
 * 32768 of a kind there never are.
 *
 * Permission.  Owner, creator and mode are looked at by each call, and CAP_IPC_OWNER and the other
 * capabilities of svipc(7) count.  The umask does not.  The object's file lets all whom the mode
 * allows anything both read and write, since receiving changes it: see docs/SECURITY.md.  A process
 * compiled with this header that changes its own user or groups calls tenon_sysv_hold() before and
 * tenon_sysv_credentials() afterwards; <unistd.h> and <grp.h> of tenon/compat, and `tenon run`, do
 * that for it.
 *
 * Signals.  Calls that wait end with EINTR when a handler has run, also if it was installed with
 * SA_RESTART.  None is async-signal-safe; see tenon/posix.h about handlers that call in.  Whom a
 * handler takes out of a call with siglongjmp(3) counts as waiting until its process ends.
 *
 * Threads and forks.  All calls are thread-safe.  msgsnd and msgrcv are cancellation points.  A
 * child of fork(2) has its parent's attached memory, and no undo counts.
 *
 * Death.  Whoever is killed, at any instruction, hurts nobody: a message is sent or not, IPC_SET
 * has set all or nothing, what was done with SEM_UNDO is undone, what was attached is detached.
 * Who is blocked learns of a death in the midst of a call within 100 ms, under `tenon run` at once.
 *
 * Errors beside those that the standard and Linux name: EBADMSG the shared memory of the object is
 * damaged; ENOSPC the memory behind the namespace is full (of all calls that change something, but
 * shmget, whose is ENOMEM); EUSERS 1024 processes use it; EPROTO it was made by another version of
 * this library; EMFILE, ENFILE: each object that a process has used costs it a descriptor; EPERM
 * the namespace belongs to somebody unexpected.
 */

#include <stddef.h>
#include <stdint.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/types.h>
#include <time.h>

#include <tenon/tenon.h>

#ifdef __cplusplus
extern "C" {
#endif

struct timespec; /* where a strict standard does without */

/*
 * Message queues: each a TYPED queue of tenon/queue.h.
 *
 * Limits: MSGMAX, by default 8192 bytes a message, and MSGMNB, 16384 bytes a queue; as in Linux a
 * queue is also full when it has as many messages as msg_qbytes says, and when it has 1048576.
 */

/* msgget(2): of `flags` IPC_CREAT, IPC_EXCL and the mode count.  EACCES, EEXIST, ENOENT, ENOMEM,
 * ENOSPC. */
TENON_PUBLIC int tenon_msgget(key_t key, int flags);

/* msgsnd(2).  Waits for room, unless IPC_NOWAIT.  EACCES, EAGAIN, EFAULT, EIDRM, EINTR, EINVAL,
 * ENOMEM. */
TENON_PUBLIC int tenon_msgsnd(int id, const void *message, size_t bytes, int flags);

/* msgrcv(2): how many bytes the text has.  `flags`: IPC_NOWAIT, MSG_NOERROR, MSG_EXCEPT, MSG_COPY.
 * E2BIG, EACCES, EFAULT, EIDRM, EINTR, EINVAL, ENOMSG. */
TENON_PUBLIC ssize_t tenon_msgrcv(int id, void *message, size_t bytes, long type, int flags);

/* msgctl(2): IPC_STAT, IPC_SET, IPC_RMID, IPC_INFO, MSG_INFO, MSG_STAT, MSG_STAT_ANY.  EACCES,
 * EFAULT, EIDRM, EINVAL, EPERM. */
TENON_PUBLIC int tenon_msgctl(int id, int command, struct msqid_ds *status);

/*
 * Semaphore sets: each one of tenon/semaphore_set.h.
 */

/* semget(2).  EACCES, EEXIST, EINVAL, ENOENT, ENOMEM, ENOSPC. */
TENON_PUBLIC int tenon_semget(key_t key, int count, int flags);

/* semop(2).  E2BIG, EACCES, EAGAIN, EFAULT, EFBIG, EIDRM, EINTR, EINVAL, ENOMEM, ERANGE. */
TENON_PUBLIC int tenon_semop(int id, struct sembuf *operations, size_t count);

/* semtimedop(2): the time-out is relative; NULL: none.  EAGAIN it has passed. */
TENON_PUBLIC int tenon_semtimedop(int id, struct sembuf *operations, size_t count,
				  const struct timespec *timeout);

/* semctl(2): IPC_STAT, IPC_SET, IPC_RMID, IPC_INFO, SEM_INFO, SEM_STAT, SEM_STAT_ANY, GETALL,
 * GETNCNT, GETPID, GETVAL, GETZCNT, SETALL, SETVAL; the fourth argument is a union semun.  EACCES,
 * EFAULT, EIDRM, EINVAL, EPERM, ERANGE. */
TENON_PUBLIC int tenon_semctl(int id, int number, int command, ...);

/*
 * Shared memory.
 */

/* shmget(2).  EACCES, EEXIST, EINVAL, ENOENT, ENOMEM, ENOSPC, EPERM. */
TENON_PUBLIC int tenon_shmget(key_t key, size_t bytes, int flags);

/* shmat(2): SHM_RDONLY, SHM_RND, SHM_REMAP, SHM_EXEC.  (void *)-1 and EACCES, EIDRM, EINVAL,
 * ENOMEM. */
TENON_PUBLIC void *tenon_shmat(int id, const void *address, int flags);

/* shmdt(2).  EINVAL nothing is attached there. */
TENON_PUBLIC int tenon_shmdt(const void *address);

/* shmctl(2): IPC_STAT, IPC_SET, IPC_RMID, IPC_INFO, SHM_INFO, SHM_STAT, SHM_STAT_ANY, SHM_LOCK,
 * SHM_UNLOCK.  EACCES, EFAULT, EIDRM, EINVAL, ENOMEM, EPERM. */
TENON_PUBLIC int tenon_shmctl(int id, int command, struct shmid_ds *status);

/* The caller is about to change its user, its groups or its capabilities: objects whose identifiers
 * it has been given, and that it has not used yet, are opened, up to 256, since as another user it
 * may be kept out, where the kernel asks nothing but the mode.  Not async-signal-safe. */
TENON_PUBLIC void tenon_sysv_hold(void);

/* The caller has changed its user, its groups or its capabilities: permissions are looked at anew.
 * Async-signal-safe. */
TENON_PUBLIC void tenon_sysv_credentials(void);

/* Behind a call that answered this, for <tenon/compat/unistd.h>. */
static inline int tenon_sysv_changed(int result)
{
	tenon_sysv_credentials();
	return result;
}

/*
 * For tools.  Like the rest of the library, and unlike the calls above, these return 0 or a
 * negative errno.  `kind` is TENON_KIND_QUEUE, TENON_KIND_SEMAPHORE_SET or TENON_KIND_SEGMENT.
 */

/* Room for a name, with its null byte. */
#define TENON_SYSV_NAME_BYTES 16u

/* The name, in the namespace, of the object of an identifier, whether or not there is one.
 * -EINVAL. */
TENON_PUBLIC int tenon_sysv_name(int id, char ret_name[TENON_SYSV_NAME_BYTES]);

/* What an object has of System V. */
struct tenon_sysv_identity {
	uint32_t size, flags; /* set by the caller: sizeof, 0 */
	int32_t id, key;      /* IPC_PRIVATE: none */
	uint32_t uid, gid, creator_uid, creator_gid;
	uint32_t mode;
	uint32_t granted; /* what the mode, or CAP_IPC_OWNER, lets the caller do: 4 read, 2 write */
	int64_t changed_ns; /* CLOCK_REALTIME_COARSE: made, or owner or mode changed */
};

/* By the object's name.  -ENOENT; -EACCES; -EINVAL it is none of System V. */
TENON_PUBLIC int tenon_sysv_identify(uint32_t kind, const char *name,
				     struct tenon_sysv_identity *ret_identity);

/* Removes it, as IPC_RMID does.  -EPERM the caller is neither owner nor creator; as above. */
TENON_PUBLIC int tenon_sysv_remove(uint32_t kind, const char *name);

/* A segment of shared memory, by its name.  To open one makes nobody counted as attached. */
struct tenon_segment;

/* -ENOENT there is none, or it is removed and nobody has it attached; -EACCES; -EINVAL; -EBADMSG,
 * -EPROTO, -EUSERS as above. */
TENON_PUBLIC int tenon_segment_open(const char *name, struct tenon_segment **ret_segment);

/* NULL is allowed; answers NULL. */
TENON_PUBLIC struct tenon_segment *tenon_segment_close(struct tenon_segment *segment);

/* As tenon_shmctl's IPC_RMID.  -ENOENT; -EACCES; -EPERM. */
TENON_PUBLIC int tenon_segment_remove(const char *name);

struct tenon_segment_status {
	uint32_t size, flags; /* set by the caller: sizeof, 0 */
	uint32_t mode, uid, gid;
	uint32_t participants; /* processes that have it attached */
	uint32_t max_participants;
	uint32_t damaged;    /* 1: a file of it was cut off */
	uint32_t is_removed; /* 1: it goes with the last who has it attached */
	uint32_t is_locked, is_sparse;
	uint32_t reserved;
	uint64_t id; /* random */
	uint64_t bytes, memory_bytes;
	uint64_t attachments;
	int64_t created_ns, attached_ns, detached_ns; /* CLOCK_REALTIME_COARSE; 0: never */
	int32_t creator_pid, last_pid;
	int32_t identifier, key; /* IPC_PRIVATE: none */
	uint64_t page_bytes;	 /* more than 4096: its memory is in huge pages of that size */
};

/* Reads the status.  -EINVAL. */
TENON_PUBLIC int tenon_segment_status(struct tenon_segment *segment,
				      struct tenon_segment_status *ret_status);

/* A process that has it attached. */
struct tenon_segment_user {
	int32_t pid; /* in its own pid namespace; 0: just forked */
	uint32_t uid;
	uint32_t attachments;
	uint32_t reserved;
	int64_t attached_ns; /* when the process came to it */
};

/* Calls `visit` for each of them; a non-zero answer ends it and is returned. */
TENON_PUBLIC int tenon_segment_attached(struct tenon_segment *segment,
					int (*visit)(const struct tenon_segment_user *user,
						     void *context),
					void *context);

#ifdef __cplusplus
}
#endif

#endif
