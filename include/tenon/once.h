/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TENON_ONCE_H
#define TENON_ONCE_H

/*
 * Once: what is to be done by one of many processes, before the others go on, by name.
 *
 *	tenon_once_begin	the first one is told to do it, and does; the others wait
 *	tenon_once_done		and everybody goes on, now and later
 *
 * Promises.  Two never do it at the same time.  When the thread or the process that does it dies,
 * at whatever instruction, another is told to do it, and that somebody had begun.  Nobody goes on
 * before it is done.  It is a lock that is held by who does it: its known faults are those of
 * tenon/lock.h.
 *
 * Costs.  Once it is done, one read.
 *
 * Who may use it is the file mode: reading and writing are both needed.
 *
 * Threads.  A handle may be used by all threads of a process.  No call is async-signal-safe.  A
 * child of fork(2) may use its parent's handle; what its parent has begun is the parent's.
 *
 * Errors that every call may give: -EBADMSG the shared memory is damaged; -ENOSPC the memory
 * behind the namespace is full; -ENOMEM; -EMFILE, -ENFILE; -EUSERS as many processes have it open
 * as it was made for; -EINVAL an argument is out of its range.
 */

#include <tenon/tenon.h>

#ifdef __cplusplus
extern "C" {
#endif

struct tenon_once;
struct tenon_region;

/*
 * Opens the once `name`, or makes it (`flags`: TENON_CREATE, TENON_EXCLUSIVE).  `options` are those
 * of a new one (no flags); NULL: mode 0600.  Errors: as tenon_lock_open.
 */
TENON_PUBLIC int tenon_once_open(const char *namespace_path, const char *name, uint32_t flags,
				 const struct tenon_sync_options *options,
				 struct tenon_once **ret_once) TENON_MUST_USE;

/* The same in a region: tenon/region.h.  `options` say neither mode nor max_participants (-EINVAL).
 * Making it waits for who is in the midst of placing or growing; opening does not wait.  -EEXIST it
 * is there, with EXCLUSIVE, or something else is; -ENOENT, without CREATE, it is not; -EBUSY it is
 * open by this handle of the region; -ENOSPC the region has no place left; -EINVAL the offset is
 * none, or behind the region's end; -EACCES the region's handle is of a descriptor, and not
 * attached; as tenon_region_map for writing. */
TENON_PUBLIC int tenon_once_open_at(struct tenon_region *region, uint64_t offset, uint32_t flags,
				    const struct tenon_sync_options *options,
				    struct tenon_once **ret_once) TENON_MUST_USE;

/* Lets go of the handle; what was begun by it and is not done, another begins, as if the one at it
 * had died.  NULL is allowed.  Always returns NULL. */
TENON_PUBLIC struct tenon_once *tenon_once_close(struct tenon_once *once);

/* Removes the name.  Those who have it open go on using it.  Errors: as tenon_lock_remove. */
TENON_PUBLIC int tenon_once_remove(const char *namespace_path, const char *name);

#define TENON_ONCE_DONE 0u  /* it has been done: go on */
#define TENON_ONCE_FIRST 1u /* do it, then tenon_once_done */
#define TENON_ONCE_AGAIN 2u /* the same, and somebody who did it died amid it */

/*
 * Waits until it is done, or is the caller's to do; until the deadline (one that has passed looks
 * once).  Signals do not end the wait.  0, and `ret_what` says which; -ETIMEDOUT somebody is at it;
 * -EDEADLK the calling thread is; -EAGAIN, -ENOTSUP as tenon_lock_acquire.
 */
TENON_PUBLIC int tenon_once_begin(struct tenon_once *once, int64_t deadline_ns, uint32_t *ret_what)
	TENON_MUST_USE;

/* It is done.  -EPERM: the calling thread has not begun it. */
TENON_PUBLIC int tenon_once_done(struct tenon_once *once);

/* It could not be done: the next one is told to do it, as this one was.  -EPERM: the calling thread
 * has not begun it. */
TENON_PUBLIC int tenon_once_failed(struct tenon_once *once);

/* Everything that can be said about a once. */
struct tenon_once_status {
	uint32_t size, flags; /* set by the caller: sizeof, 0 */
	/* attributes */
	uint32_t mode, uid, gid, max_participants;
	uint64_t id; /* random, made with it */
	/* now */
	uint32_t is_done;
	int32_t owner_pid;     /* who is at it, in its own pid namespace; 0: nobody */
	uint32_t waiting;      /* processes of which a thread is asleep for it */
	uint32_t participants; /* attached processes */
	uint32_t damaged;
	uint32_t owner_died; /* who was at it died, and it is not done yet */
	uint64_t memory_bytes;
	/* since it was made */
	uint64_t owner_deaths;
	int64_t created_ns;
};

/* Reads the status, as tenon_queue_status does.  Does not wait. */
TENON_PUBLIC int tenon_once_status(struct tenon_once *once, struct tenon_once_status *ret_status);

/* A process that is at it, or waits. */
struct tenon_once_user {
	int32_t pid;	   /* in its own pid namespace */
	uint32_t is_doing; /* 1: a thread of it is at it */
	uint32_t waiting;  /* 1: a thread of it waits, at least one */
	uint32_t reserved;
};

/* Calls `visit` for each of them; a non-zero answer ends it and is returned.  The dead are none of
 * them.  Does not wait. */
TENON_PUBLIC int tenon_once_users(struct tenon_once *once,
				  int (*visit)(const struct tenon_once_user *user, void *context),
				  void *context);

#ifdef __cplusplus
}
#endif

#endif
