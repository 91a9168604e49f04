/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TENON_SEMAPHORE_H
#define TENON_SEMAPHORE_H

/*
 * The semaphore: a count that processes take from and give to, by name.
 *
 *	acquire n: wait until the count is at least n, then take n from it
 *	release n: give n to it
 *
 * Promises.  The count is never below 0 and never above the maximum.  n are taken at once or not at
 * all.  Who dies while it waits, or just when it was woken, takes nothing, and whoever can go on
 * does.  What was acquired with TENON_SEMAPHORE_UNDO comes back when the process that acquired it
 * dies, at whatever instruction, or closes its handle; what was acquired without is gone, as with
 * sem_post(3).
 *
 * Costs.  One compare-and-swap and no system call where nobody has to wait; with UNDO four.
 * Waiting takes no processor time, but for some microseconds at the beginning.
 *
 * Order.  Whoever can go on first does: there is no queue, so one who waits for many may be
 * overtaken again and again by those who want few.
 *
 * Who may use it is the file mode: reading and writing are both needed.  Whoever may can change the
 * count at will, by writing into its memory too; he cannot make others crash.
 *
 * Threads.  A handle may be used by all threads of a process.  tenon_semaphore_release without UNDO
 * is async-signal-safe, but for the first call in a child of fork(2); no other call is.  A child
 * may use its parent's handle; what its parent acquired with UNDO is the parent's, and comes back
 * when that ends.
 *
 * Known faults of this version.  A process that is stopped (SIGSTOP) just when it was woken may
 * keep others from what it was woken for until it goes on or dies.  Of a thread that is not its
 * process's first and calls exec(3), and where somebody who may truncates the file of another
 * object that the dead one had open, nobody is told: what it held comes back with the next one who
 * opens the object.  Beside more than 120 processes that wait, sleepers look ten times a second.
 *
 * Errors that every call may give: -EBADMSG the shared memory of the semaphore is damaged; -ENOSPC
 * the memory behind the namespace is full; -ENOMEM; -EMFILE, -ENFILE; -EUSERS as many processes
 * have it open as it was made for; -EINVAL an argument is out of its range.
 */

#include <tenon/tenon.h>

#ifdef __cplusplus
extern "C" {
#endif

struct tenon_semaphore;
struct tenon_region;

/* The highest maximum. */
#define TENON_SEMAPHORE_MAX 2147483647u

/* What a new semaphore is made with. */
struct tenon_semaphore_options {
	uint32_t size, flags;	   /* flags: 0 */
	uint32_t mode;		   /* permission bits, less the umask; 0 stands for 0600 */
	uint32_t max_participants; /* processes that may be attached at once, to 1024; 0 stands for
				      256 */
	uint32_t value;		   /* the first count */
	uint32_t maximum;	   /* 0 stands for TENON_SEMAPHORE_MAX */
};

/*
 * Opens the semaphore `name`, or makes it (`flags`: TENON_CREATE, TENON_EXCLUSIVE).  `options` are
 * those of a new one; NULL: mode 0600, count 0.  Errors: as tenon_lock_open; -EINVAL a count above
 * the maximum, too.
 */
TENON_PUBLIC int tenon_semaphore_open(const char *namespace_path, const char *name, uint32_t flags,
				      const struct tenon_semaphore_options *options,
				      struct tenon_semaphore **ret_semaphore) TENON_MUST_USE;

/* The same in a region: tenon/region.h.  `options` say neither mode nor max_participants (-EINVAL).
 * Making it waits for who is in the midst of placing or growing; opening does not wait.  -EEXIST it
 * is there, with EXCLUSIVE, or something else is; -ENOENT, without CREATE, it is not; -EBUSY it is
 * open by this handle of the region; -ENOSPC the region has no place left; -EINVAL the offset is
 * none, or behind the region's end; -EACCES the region's handle is of a descriptor, and not
 * attached; as tenon_region_map for writing. */
TENON_PUBLIC int tenon_semaphore_open_at(struct tenon_region *region, uint64_t offset,
					 uint32_t flags,
					 const struct tenon_semaphore_options *options,
					 struct tenon_semaphore **ret_semaphore) TENON_MUST_USE;

/* Lets go of the handle; what its process acquired by it with UNDO comes back.  NULL is allowed.
 * Always returns NULL. */
TENON_PUBLIC struct tenon_semaphore *tenon_semaphore_close(struct tenon_semaphore *semaphore);

/* Removes the name.  Those who have the semaphore open go on using it.  Errors: as
 * tenon_lock_remove. */
TENON_PUBLIC int tenon_semaphore_remove(const char *namespace_path, const char *name);

#define TENON_SEMAPHORE_UNDO 1u /* it is taken back when the process dies */

/*
 * Takes `count` (1 to the maximum), and waits for that until the deadline (tenon_deadline_after;
 * TENON_NO_DEADLINE; one that has passed looks once).
 *
 * UNDO: the undo count of the handle in its process grows by `count`: see tenon_semaphore_release.
 *
 * 0: it has them.  Else nothing was taken: -ETIMEDOUT; -EINTR a signal handler ran while it waited.
 */
TENON_PUBLIC int tenon_semaphore_acquire(struct tenon_semaphore *semaphore, uint32_t count,
					 uint32_t flags, int64_t deadline_ns) TENON_MUST_USE;

/* The same without waiting: -EAGAIN there are fewer. */
TENON_PUBLIC int tenon_semaphore_try(struct tenon_semaphore *semaphore, uint32_t count,
				     uint32_t flags) TENON_MUST_USE;

/*
 * Gives `count` (1 to the maximum).  `ret_before` (may be NULL) is what the count was before.
 *
 * UNDO: the undo count of the handle in its process shrinks by `count`, and may become negative.
 * When the process dies, is replaced by exec(3) or closes the handle, the undo count is added to
 * the semaphore's count, which stays between 0 and the maximum: System V's SEM_UNDO.  So who
 * acquires with UNDO releases with UNDO.
 *
 * -EOVERFLOW: the count would be above the maximum; it is as before.  Does not wait; with UNDO for
 * who is in the midst of a call with UNDO, a fraction of a microsecond, and longer only if that one
 * is stopped.
 */
TENON_PUBLIC int tenon_semaphore_release(struct tenon_semaphore *semaphore, uint32_t count,
					 uint32_t flags, uint32_t *ret_before);

/* The count at this moment, with what the dead have left, for which it waits for at most a
 * millisecond. */
TENON_PUBLIC int tenon_semaphore_value(struct tenon_semaphore *semaphore, uint32_t *ret_value);

/* Everything that can be said about a semaphore. */
struct tenon_semaphore_status {
	uint32_t size, flags; /* set by the caller: sizeof, 0 */
	/* attributes */
	uint32_t mode, uid, gid, max_participants;
	uint64_t id; /* random, made with it */
	/* now */
	uint32_t value, maximum;
	uint32_t waiting;      /* processes of which a thread is asleep for it */
	uint32_t participants; /* attached processes */
	uint32_t damaged, reserved;
	uint64_t memory_bytes;
	/* since it was made */
	uint64_t acquired,
		released; /* calls that did; about, where threads of a process do it at once */
	uint64_t waited;  /* calls that had to wait */
	uint64_t undone;  /* processes whose undo count was added */
	int64_t created_ns;
};

/* Reads the status, as tenon_queue_status does.  Waits as tenon_semaphore_value. */
TENON_PUBLIC int tenon_semaphore_status(struct tenon_semaphore *semaphore,
					struct tenon_semaphore_status *ret_status);

/* A process that waits for a semaphore, or has an undo count. */
struct tenon_semaphore_user {
	int32_t pid;	  /* in its own pid namespace */
	uint32_t waiting; /* threads; all that wait by waitsets count as one, if no other does */
	uint32_t wanted;  /* how many the last of these waits for; 0: none waits */
	uint32_t reserved;
	int64_t undo;
};

/* Calls `visit` for each of them; a non-zero answer ends it and is returned.  The dead are none of
 * them.  Does not wait. */
TENON_PUBLIC int tenon_semaphore_users(struct tenon_semaphore *semaphore,
				       int (*visit)(const struct tenon_semaphore_user *user,
						    void *context),
				       void *context);

#ifdef __cplusplus
}
#endif

#endif
