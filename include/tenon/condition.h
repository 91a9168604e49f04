/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TENON_CONDITION_H
#define TENON_CONDITION_H

/*
 * The condition variable: waiting, with a lock, for what others change under that lock, by name.
 *
 *	acquire the lock; while (what is awaited is not so) tenon_condition_wait; …; release the lock
 *
 * As with pthread_cond_wait(3) a wait may end without a signal: look again, in a loop.
 *
 * Promises.  A signal wakes one, at least, of those who have called _wait before it.  It is not
 * lost when the one that it woke dies before it returns, nor when the one who signals dies having
 * signalled half: others who wait are woken instead, perhaps more than one.  When a process dies
 * that waits, all others who wait may be woken.
 *
 * Any lock may be used; those who wait for the same thing use the same one.
 *
 * Costs.  Signalling is one compare-and-swap, and a system call if somebody sleeps.
 *
 * Who may use it is the file mode: reading and writing are both needed.
 *
 * Threads.  A handle may be used by all threads of a process.  No call is async-signal-safe.  A
 * child of fork(2) may use its parent's handle.
 *
 * Known faults of this version.  A process that is stopped (SIGSTOP) just when it was woken may
 * keep others from what it was woken for until it goes on or dies.  Of a thread that is not its
 * process's first and calls exec(3), and where somebody who may truncates the file of another
 * object that the dead one had open, nobody is told: what it held comes back with the next one who
 * opens the object.  Beside more than 120 processes that wait, sleepers look ten times a second.
 *
 * Errors that every call may give: -EBADMSG the shared memory of the condition is damaged; -ENOSPC
 * the memory behind the namespace is full; -ENOMEM; -EMFILE, -ENFILE; -EUSERS as many processes
 * have it open as it was made for; -EINVAL an argument is out of its range.
 */

#include <tenon/lock.h>

#ifdef __cplusplus
extern "C" {
#endif

struct tenon_condition;
struct tenon_region;

/*
 * Opens the condition `name`, or makes it (`flags`: TENON_CREATE, TENON_EXCLUSIVE).  `options` are
 * those of a new one (no flags); NULL: mode 0600.  Errors: as tenon_lock_open.
 */
TENON_PUBLIC int tenon_condition_open(const char *namespace_path, const char *name, uint32_t flags,
				      const struct tenon_sync_options *options,
				      struct tenon_condition **ret_condition) TENON_MUST_USE;

/* The same in a region: tenon/region.h.  `options` say neither mode nor max_participants (-EINVAL).
 * Making it waits for who is in the midst of placing or growing; opening does not wait.  -EEXIST it
 * is there, with EXCLUSIVE, or something else is; -ENOENT, without CREATE, it is not; -EBUSY it is
 * open by this handle of the region; -ENOSPC the region has no place left; -EINVAL the offset is
 * none, or behind the region's end; -EACCES the region's handle is of a descriptor, and not
 * attached; as tenon_region_map for writing. */
TENON_PUBLIC int tenon_condition_open_at(struct tenon_region *region, uint64_t offset,
					 uint32_t flags, const struct tenon_sync_options *options,
					 struct tenon_condition **ret_condition) TENON_MUST_USE;

/* Lets go of the handle.  NULL is allowed.  Always returns NULL. */
TENON_PUBLIC struct tenon_condition *tenon_condition_close(struct tenon_condition *condition);

/* Removes the name.  Those who have the condition open go on using it.  Errors: as
 * tenon_lock_remove. */
TENON_PUBLIC int tenon_condition_remove(const char *namespace_path, const char *name);

/*
 * Releases the lock, however often the calling thread holds it, waits for a signal, and acquires
 * the lock as often again.  Signals of the system (signal(7)) do not end the wait.
 *
 * 0: woken, perhaps without a reason.  -ETIMEDOUT: the deadline has passed (one that has passed
 * already looks once).  -EOWNERDEAD as tenon_lock_acquire, whatever else there was.  -EPERM the
 * calling thread does not hold the lock.  -ENOTRECOVERABLE the lock was given up meanwhile, and is
 * not held any more; nor is it after -ENOTSUP, of a lock with priority inheritance to which a
 * process of another pid namespace has come meanwhile.  After any other answer it is held as
 * before, if its memory is not damaged (-EBADMSG; tenon_lock_release tells).
 *
 * The deadline does not bound how long acquiring the lock again takes.
 */
TENON_PUBLIC int tenon_condition_wait(struct tenon_condition *condition, struct tenon_lock *lock,
				      int64_t deadline_ns) TENON_MUST_USE;

/* Wakes one, at least, of those who wait; with or without the lock. */
TENON_PUBLIC int tenon_condition_signal(struct tenon_condition *condition);

/* Wakes all who wait. */
TENON_PUBLIC int tenon_condition_broadcast(struct tenon_condition *condition);

/* Everything that can be said about a condition. */
struct tenon_condition_status {
	uint32_t size, flags; /* set by the caller: sizeof, 0 */
	/* attributes */
	uint32_t mode, uid, gid, max_participants;
	uint64_t id; /* random, made with it */
	/* now */
	uint32_t waiting;      /* processes of which a thread is asleep for it */
	uint32_t participants; /* attached processes */
	uint32_t damaged, reserved;
	uint64_t memory_bytes;
	/* since it was made */
	uint64_t woken;	  /* waits that did not end by their deadline; about */
	uint32_t signals; /* and broadcasts, and deaths of who waited; modulo 2^32 */
	uint32_t reserved2;
	int64_t created_ns;
};

/* Reads the status, as tenon_queue_status does.  Does not wait. */
TENON_PUBLIC int tenon_condition_status(struct tenon_condition *condition,
					struct tenon_condition_status *ret_status);

/* A process that waits for a condition. */
struct tenon_condition_user {
	int32_t pid;	  /* in its own pid namespace */
	uint32_t waiting; /* threads that wait for a signal */
	uint32_t reserved[2];
};

/* Calls `visit` for each of them; a non-zero answer ends it and is returned.  The dead are none of
 * them.  Does not wait. */
TENON_PUBLIC int tenon_condition_users(struct tenon_condition *condition,
				       int (*visit)(const struct tenon_condition_user *user,
						    void *context),
				       void *context);

#ifdef __cplusplus
}
#endif

#endif
