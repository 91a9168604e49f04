/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TENON_BARRIER_H
#define TENON_BARRIER_H

/*
 * The barrier: so many threads, of any processes, wait for each other, by name; then all go on, and
 * the next round begins.
 *
 * Promises.  A round ends when as many have arrived as the barrier is for, and those who wait are
 * alive: who dies while it waits, or gives up, has not arrived.  Nobody's death keeps those who
 * have arrived from going on once the others have; if somebody has to come in the dead one's place,
 * that is the program's to see to.
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
 * Errors that every call may give: -EBADMSG the shared memory of the barrier is damaged; -ENOSPC
 * the memory behind the namespace is full; -ENOMEM; -EMFILE, -ENFILE; -EUSERS as many processes
 * have it open as it was made for; -EINVAL an argument is out of its range.
 */

#include <tenon/tenon.h>

#ifdef __cplusplus
extern "C" {
#endif

struct tenon_barrier;
struct tenon_region;

#define TENON_BARRIER_MOST 65535u

/* What a new barrier is made with. */
struct tenon_barrier_options {
	uint32_t size, flags;	   /* flags: 0 */
	uint32_t mode;		   /* permission bits, less the umask; 0 stands for 0600 */
	uint32_t max_participants; /* processes that may be attached at once, to 1024; 0 stands for
				      256 */
	uint32_t count;		   /* of threads that it is for: 1 to TENON_BARRIER_MOST */
	uint32_t reserved;	   /* 0 */
};

/*
 * Opens the barrier `name`, or makes it (`flags`: TENON_CREATE, TENON_EXCLUSIVE), for which
 * `options` are needed: they say for how many threads.  Errors: as tenon_lock_open; -EINVAL no
 * count, too.
 */
TENON_PUBLIC int tenon_barrier_open(const char *namespace_path, const char *name, uint32_t flags,
				    const struct tenon_barrier_options *options,
				    struct tenon_barrier **ret_barrier) TENON_MUST_USE;

/* The same in a region: tenon/region.h.  `options` say neither mode nor max_participants (-EINVAL).
 * Making it waits for who is in the midst of placing or growing; opening does not wait.  -EEXIST it
 * is there, with EXCLUSIVE, or something else is; -ENOENT, without CREATE, it is not; -EBUSY it is
 * open by this handle of the region; -ENOSPC the region has no place left; -EINVAL the offset is
 * none, or behind the region's end; -EACCES the region's handle is of a descriptor, and not
 * attached; as tenon_region_map for writing. */
TENON_PUBLIC int tenon_barrier_open_at(struct tenon_region *region, uint64_t offset, uint32_t flags,
				       const struct tenon_barrier_options *options,
				       struct tenon_barrier **ret_barrier) TENON_MUST_USE;

/* Lets go of the handle.  NULL is allowed.  Always returns NULL. */
TENON_PUBLIC struct tenon_barrier *tenon_barrier_close(struct tenon_barrier *barrier);

/* Removes the name.  Those who have the barrier open go on using it.  Errors: as
 * tenon_lock_remove. */
TENON_PUBLIC int tenon_barrier_remove(const char *namespace_path, const char *name);

/*
 * Arrives, and waits until as many have arrived as the barrier is for, or until the deadline; one
 * that has passed looks once.  `ret_is_last` (may be NULL): 1 for the last to arrive; 0 for the
 * others.  Signals do not end the wait.
 *
 * 0: the round has ended.  -ETIMEDOUT: it has not, and the thread has not arrived.
 */
TENON_PUBLIC int tenon_barrier_wait(struct tenon_barrier *barrier, int64_t deadline_ns,
				    uint32_t *ret_is_last) TENON_MUST_USE;

/* Everything that can be said about a barrier. */
struct tenon_barrier_status {
	uint32_t size, flags; /* set by the caller: sizeof, 0 */
	/* attributes */
	uint32_t mode, uid, gid, max_participants;
	uint64_t id; /* random, made with it */
	uint32_t count;
	/* now */
	uint32_t arrived;
	uint32_t waiting;      /* processes of which a thread is asleep for it */
	uint32_t participants; /* attached processes */
	uint32_t damaged;
	/* since it was made */
	uint32_t rounds; /* modulo 65536 */
	uint64_t memory_bytes;
	uint64_t withdrawn; /* processes that died waiting */
	int64_t created_ns;
};

/* Reads the status, as tenon_queue_status does.  Does not wait. */
TENON_PUBLIC int tenon_barrier_status(struct tenon_barrier *barrier,
				      struct tenon_barrier_status *ret_status);

/* A process that waits at a barrier. */
struct tenon_barrier_user {
	int32_t pid;	  /* in its own pid namespace */
	uint32_t arrived; /* threads that have arrived in this round, and wait for the others */
	uint32_t reserved[2];
};

/* Calls `visit` for each of them; a non-zero answer ends it and is returned.  The dead are none of
 * them.  Does not wait. */
TENON_PUBLIC int tenon_barrier_users(struct tenon_barrier *barrier,
				     int (*visit)(const struct tenon_barrier_user *user,
						  void *context),
				     void *context);

#ifdef __cplusplus
}
#endif

#endif
