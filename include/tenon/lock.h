/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TENON_LOCK_H
#define TENON_LOCK_H

/*
 * The lock: a critical section for the threads of any number of processes, by name.
 *
 *	acquire … what one alone may do … release
 *
 * Promises.  At most one thread holds it.  When the thread or the process that holds it dies, at
 * whatever instruction, the kernel wakes one who waits, who gets the lock and is told so by
 * -EOWNERDEAD: what the lock protects may be half done.  He mends it and says so
 * (tenon_lock_repaired), or releases the lock as it is, so that the next one is told as well, or
 * gives it up for good (tenon_lock_lost).  Nobody's death makes others wait for longer than the
 * lock was held.
 *
 * Costs.  Where nobody waits: two compare-and-swaps and no system call for acquiring and releasing;
 * for sharing it two additions to a word that no other process writes, so that those who share it
 * do not slow each other down.  Waiting takes no processor time, but for some microseconds at the
 * beginning where the holder runs on another processor.
 *
 * Who may use it is the file mode: reading and writing are both needed.  Whoever may can keep
 * others from it, or let them in two at a time, by writing into its memory; he cannot make them
 * crash.
 *
 * Threads.  A handle may be used by all threads of a process.  Not by signal handlers, but
 * for _status.  A child of fork(2) may use its parent's handle, and holds nothing that the parent
 * does.  Programs that were replaced by exec(3) let go as if they had died.
 *
 * Known faults of this version.  A thread that is not its process's first and calls exec(3) with a
 * lock, or with a message under lease, is not told of: others wait until somebody opens the object
 * anew.  Where processes of several pid namespaces have the lock open, a thread that ends with it,
 * while its process lives, is not told of either, nor is a killed holder of whom the next to open
 * the lock takes the place.  A process that is stopped (SIGSTOP) just when it was woken for the
 * lock keeps those who sleep from it until it goes on or dies.  Who may truncate the file of
 * another object that a holder has open can keep its death from being told.
 *
 * Errors that every call may give: -EBADMSG the shared memory of the lock is damaged; -ENOSPC the
 * memory behind the namespace is full; -ENOMEM; -EMFILE, -ENFILE; -EUSERS as many processes have it
 * open as it was made for; -EINVAL an argument is out of its range.
 */

#include <tenon/tenon.h>

#ifdef __cplusplus
extern "C" {
#endif

struct tenon_lock;
struct tenon_region;

/* Flags of struct tenon_sync_options. */
#define TENON_LOCK_RECURSIVE 1u /* its holder may acquire it again, and releases it as often */
/* Priority inheritance: its holder runs at the highest priority of those who wait for it
 * (sched(7)), and the first of these gets it next.  It cannot be shared, and not be used from
 * several pid namespaces.  Waiting is a system call at once.  Who waits for it in a waitset is told
 * of its holder's death when the whole process dies.  -ENOTSUP from acquiring where the kernel does
 * not have it (before Linux 5.14). */
#define TENON_LOCK_INHERIT 2u

/*
 * Opens the lock `name`, or makes it (`flags`: TENON_CREATE, TENON_EXCLUSIVE).  `options` are those
 * of a new lock; NULL: mode 0600, not recursive.  Errors: -ENOENT; -EEXIST; -EACCES; -EPERM the
 * file belongs to somebody unexpected; -EPROTO it was made by a library with another layout;
 * -EAGAIN others made and removed it again and again meanwhile; -ENAMETOOLONG; as
 * tenon_namespace_path for the folder.
 */
TENON_PUBLIC int tenon_lock_open(const char *namespace_path, const char *name, uint32_t flags,
				 const struct tenon_sync_options *options,
				 struct tenon_lock **ret_lock) TENON_MUST_USE;

/* The same in a region: tenon/region.h.  `options` say neither mode nor max_participants (-EINVAL).
 * Making it waits for who is in the midst of placing or growing; opening does not wait.  -EEXIST it
 * is there, with EXCLUSIVE, or something else is; -ENOENT, without CREATE, it is not; -EBUSY it is
 * open by this handle of the region; -ENOSPC the region has no place left; -EINVAL the offset is
 * none, or behind the region's end; -EACCES the region's handle is of a descriptor, and not
 * attached; as tenon_region_map for writing. */
TENON_PUBLIC int tenon_lock_open_at(struct tenon_region *region, uint64_t offset, uint32_t flags,
				    const struct tenon_sync_options *options,
				    struct tenon_lock **ret_lock) TENON_MUST_USE;

/* Lets go of the handle.  What its process holds by it is released as if its holder had died; a
 * lock with priority inheritance that another thread holds not before that ends.  NULL is allowed.
 * Always returns NULL. */
TENON_PUBLIC struct tenon_lock *tenon_lock_close(struct tenon_lock *lock);

/* Removes the name.  Those who have the lock open go on using it.  Errors: -ENOENT; -EACCES,
 * -EPERM, -EISDIR as unlink(2); -EINVAL, -ENAMETOOLONG the name; as tenon_namespace_path for the
 * folder. */
TENON_PUBLIC int tenon_lock_remove(const char *namespace_path, const char *name);

/*
 * Acquires the lock, and waits for that until the deadline (tenon_deadline_after;
 * TENON_NO_DEADLINE; one that has passed looks once).  Signals do not end the wait.
 *
 * 0: it is held.  -EOWNERDEAD: it is held too, and somebody who held it died; see
 * tenon_lock_repaired. Else it is not: -ETIMEDOUT; -EDEADLK the calling thread holds it, and it is
 * not recursive; -ENOTRECOVERABLE it was given up by tenon_lock_lost; -EAGAIN the thread has
 * acquired 1024 locks that are still open, held or not, or a recursive one 2^32 - 1 times; -ENOTSUP
 * the C library's robust mutexes are of another kind than glibc's, or the lock is one with priority
 * inheritance that cannot be had; -EDEADLK, of such a one, also those who wait for each other in a
 * ring.
 *
 * Sharing is not made into holding: a thread that shares it lets go of that first, or waits for
 * itself.
 */
TENON_PUBLIC int tenon_lock_acquire(struct tenon_lock *lock, int64_t deadline_ns) TENON_MUST_USE;

/* The same without waiting: -EBUSY somebody holds it. */
TENON_PUBLIC int tenon_lock_try(struct tenon_lock *lock) TENON_MUST_USE;

/* Releases what the calling thread holds.  -EPERM: it does not hold it. */
TENON_PUBLIC int tenon_lock_release(struct tenon_lock *lock);

/*
 * Shares the lock: many may at the same time, and nobody holds it meanwhile.  Waits while somebody
 * holds it, or waits for those who share it to let go; so a thread that shares it already must not
 * do so again while others may wait for it.  Signals do not end the wait.  A lock may be used in
 * both ways by everybody.
 *
 * 0: it is shared.  -EOWNERDEAD: it is shared, too, and somebody who held it died, and nobody who
 * holds it has said since that what it protects is sound: to mend it, let go and acquire the lock.
 * Else it is not: -ETIMEDOUT; -EDEADLK the calling thread holds it; -ENOTRECOVERABLE it was given
 * up; -ENOTSUP it is one with priority inheritance.
 *
 * When a process dies that shares it, that is over at once; a thread that ends without letting go
 * keeps it shared for as long as its process lives.
 */
TENON_PUBLIC int tenon_lock_acquire_shared(struct tenon_lock *lock, int64_t deadline_ns)
	TENON_MUST_USE;

/* The same without waiting: -EBUSY somebody holds it, or waits for it. */
TENON_PUBLIC int tenon_lock_try_shared(struct tenon_lock *lock) TENON_MUST_USE;

/* Ends one sharing.  -EPERM: the process does not share it by this handle. */
TENON_PUBLIC int tenon_lock_release_shared(struct tenon_lock *lock);

/* What the lock protects is sound again: the next one is not told any more.  -EPERM: the calling
 * thread does not hold it; -EINVAL: nobody died. */
TENON_PUBLIC int tenon_lock_repaired(struct tenon_lock *lock);

/* What the lock protects is lost: releases it, however often it is held, and from now on nobody
 * gets it: -ENOTRECOVERABLE.  -EPERM: the calling thread does not hold it. */
TENON_PUBLIC int tenon_lock_lost(struct tenon_lock *lock);

#define TENON_LOCK_SOUND 0u
#define TENON_LOCK_OWNER_DIED 1u /* and nobody said that it is repaired */
#define TENON_LOCK_LOST 2u

/* Everything that can be said about a lock. */
struct tenon_lock_status {
	uint32_t size, flags; /* set by the caller: sizeof, 0 */
	/* attributes */
	uint32_t mode, uid, gid, max_participants;
	uint64_t id; /* random, made with the lock */
	uint32_t recursive;
	/* now */
	uint32_t state;	   /* TENON_LOCK_SOUND … */
	int32_t owner_pid; /* in its own pid namespace; 0: free */
	uint32_t
		depth; /* how often its owner has acquired it; 0: free, or who is named as its owner waits
				  for those who share it, and is one of `waiting` */
	uint32_t waiting;      /* processes of which a thread is asleep for it */
	uint32_t participants; /* attached processes */
	uint32_t damaged;
	uint32_t shared; /* how often it is shared */
	uint64_t memory_bytes;
	/* since it was made */
	uint64_t acquired, waited; /* how often, and how often not at once */
	uint64_t owner_deaths;	   /* of which the next one has been told */
	int64_t created_ns;
	uint32_t inherits, reserved;
};

/* Reads the status, as tenon_queue_status does.  Does not wait. */
TENON_PUBLIC int tenon_lock_status(struct tenon_lock *lock, struct tenon_lock_status *ret_status);

/* A process that holds a lock, shares it or waits for it. */
struct tenon_lock_user {
	int32_t pid;	  /* in its own pid namespace */
	uint32_t depth;	  /* how often a thread of it has acquired the lock; 0: none holds it */
	uint32_t shared;  /* how often it shares it */
	uint32_t waiting; /* 1: a thread of it waits to hold it, at least one */
	uint32_t waiting_shared; /* 1: a thread of it waits to share it, at least one */
	uint32_t reserved;
};

/* Calls `visit` for each of them; a non-zero answer ends it and is returned.  The dead are none of
 * them.  Does not wait. */
TENON_PUBLIC int tenon_lock_users(struct tenon_lock *lock,
				  int (*visit)(const struct tenon_lock_user *user, void *context),
				  void *context);

#ifdef __cplusplus
}
#endif

#endif
