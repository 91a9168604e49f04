/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TENON_SEMAPHORE_SET_H
#define TENON_SEMAPHORE_SET_H

/*
 * The semaphore set: counts of which several are changed at once, and that can be waited for to be
 * zero, by name.  It is what semop(2) and semctl(2) of System V do.
 *
 *	operate: a list of operations, done all at once or not at all, for which it waits if need be
 *
 * Promises.  No value is ever below 0 or above the maximum.  Nobody sees a list half done, whoever
 * dies at whatever instruction.  Who dies while it waits changes nothing, and whoever can go on
 * does.  What was done with TENON_SEMAPHORE_SET_UNDO is undone when the process that did it dies or
 * closes its handle.
 *
 * Costs.  Where nobody has to wait: two compare-and-swaps and no system call.  While somebody is
 * asleep, whoever changes something looks at the record of each who is.  Waiting takes no processor
 * time, but for some microseconds at the beginning.
 *
 * Order.  Whoever can go on first does: there is no queue.  But who waits for one semaphore to be
 * zero, and for nothing else, goes on when it has been zero, even if it was for a moment only.
 *
 * Who may use it is the file mode: reading and writing are both needed.  Whoever may can change the
 * values at will, by writing into its memory too; he cannot make others crash.
 *
 * Threads.  A handle may be used by all threads of a process; not by signal handlers.  A child may
 * use its parent's handle, and has undo counts of its own; what its parent did with UNDO is the
 * parent's.
 *
 * All calls but _status, _read and _users wait for who is in the midst of a call: a fraction of a
 * microsecond, longer only if that one is stopped.
 *
 * Errors that every call may give: -EIDRM the set has been destroyed; -EBADMSG the shared memory of
 * the set is damaged; -ENOSPC the memory behind the namespace is full; -ENOMEM; -EMFILE, -ENFILE;
 * -EUSERS as many processes have it open as it was made for; -EINVAL an argument is out of its
 * range.
 */

#include <tenon/tenon.h>

#ifdef __cplusplus
extern "C" {
#endif

struct tenon_region;
struct tenon_semaphore_set;

#define TENON_SEMAPHORE_SET_MOST 32000u		  /* semaphores in a set */
#define TENON_SEMAPHORE_SET_OPERATIONS_MOST 500u  /* in one call */
#define TENON_SEMAPHORE_SET_VALUE_MAX 2147483647u /* the highest maximum */
#define TENON_SEMAPHORE_SET_DEFAULT_MAXIMUM 32767u

/* What a new set is made with. */
struct tenon_semaphore_set_options {
	uint32_t size, flags;	   /* flags: 0 */
	uint32_t mode;		   /* permission bits, less the umask; 0 stands for 0600 */
	uint32_t max_participants; /* processes that may be attached at once, to 1024; 0 stands for
				      256 */
	uint32_t count;		   /* semaphores, 1 to TENON_SEMAPHORE_SET_MOST */
	uint32_t maximum;	   /* of each value; 0 stands for 32767 */
	uint32_t value;		   /* the first one of each */
	uint32_t reserved;	   /* 0 */
};

/*
 * Opens the set `name`, or makes it (`flags`: TENON_CREATE, TENON_EXCLUSIVE).  `options` are those
 * of a new one, which says at least how many semaphores there are.  Errors: as tenon_lock_open;
 * -EIDRM the set of that name has been destroyed, and its name not yet been removed; -EINVAL no
 * count, a count, a maximum or a value that cannot be.
 */
TENON_PUBLIC int tenon_semaphore_set_open(const char *namespace_path, const char *name,
					  uint32_t flags,
					  const struct tenon_semaphore_set_options *options,
					  struct tenon_semaphore_set **ret_set) TENON_MUST_USE;

/* The same in a region: tenon/region.h.  `options` say neither mode nor max_participants (-EINVAL).
 * Making it waits for who is in the midst of placing or growing; opening does not wait.  -EEXIST it
 * is there, with EXCLUSIVE, or something else is where it would lie; -ENOENT, without CREATE, it is
 * not; -EBUSY it is open by this handle of the region; -EIDRM it has been destroyed, and not been
 * cleared away (tenon_region_clear); -ENOSPC the region has no place left; -EINVAL the offset is
 * none, or there is too little room behind it; -EACCES the region's handle is of a descriptor, and
 * not attached; as tenon_region_map for writing. */
TENON_PUBLIC int tenon_semaphore_set_open_at(struct tenon_region *region, uint64_t offset,
					     uint32_t flags,
					     const struct tenon_semaphore_set_options *options,
					     struct tenon_semaphore_set **ret_set) TENON_MUST_USE;

/* The bytes that a set of `count` semaphores takes there, a multiple of TENON_PLACE_ALIGNMENT: half
 * a mebibyte, and more of larger ones.  They depend on nothing but that and the region's
 * max_participants.  0: the region is NULL, or its handle of a descriptor and not attached; or
 * there is no set of so many.  Does not wait. */
TENON_PUBLIC uint64_t tenon_semaphore_set_place_bytes(const struct tenon_region *region,
						      uint32_t count);

/* Lets go of the handle; what its process did by it with UNDO is undone.  NULL is allowed.  Always
 * returns NULL. */
TENON_PUBLIC struct tenon_semaphore_set *tenon_semaphore_set_close(struct tenon_semaphore_set *set);

/* Removes the name.  Those who have the set open go on using it.  Errors: as tenon_lock_remove. */
TENON_PUBLIC int tenon_semaphore_set_remove(const char *namespace_path, const char *name);

/* Ends the set for all who have it open: who sleeps is woken, and every call but closing gives
 * -EIDRM from now on.  The name stays. */
TENON_PUBLIC int tenon_semaphore_set_destroy(struct tenon_semaphore_set *set);

#define TENON_SEMAPHORE_SET_UNDO 1u   /* the operation is undone when the process dies */
#define TENON_SEMAPHORE_SET_NOWAIT 2u /* -EAGAIN instead of waiting because of this operation */

struct tenon_semaphore_operation {
	uint32_t number; /* of the semaphore, from 0 */
	int32_t change; /* above 0: added; below 0: taken, when so many are there; 0: waits for the value 0 */
	uint32_t flags;
};

/*
 * Does `count` (1 to 500) operations at once, or waits until it can: until the deadline
 * (tenon_deadline_after; TENON_NO_DEADLINE; one that has passed looks once).  They are looked at in
 * the order of the array, each with the values as those before it leave them; several may name the
 * same semaphore.
 *
 * UNDO: what was changed is subtracted from the undo count that the handle has of that semaphore in
 * its process.  When the process dies, is replaced by exec(3) or closes the handle, its undo counts
 * are added to the values, which stay between 0 and the maximum.
 *
 * 0: all is done.  Else nothing is: -E2BIG more than 500; -EFBIG there is no semaphore of that
 * number; and, of the first operation that cannot be done: -EAGAIN it has NOWAIT; -ERANGE the value
 * would be above the maximum, or the undo count below -(maximum + 1) or above the maximum;
 * -ETIMEDOUT; -EINTR a signal handler ran while it waited; -EIDRM also if the set was destroyed
 * meanwhile; -ENOSPC also if 32768 threads wait.
 */
TENON_PUBLIC int tenon_semaphore_set_operate(struct tenon_semaphore_set *set,
					     const struct tenon_semaphore_operation *operations,
					     uint32_t count, int64_t deadline_ns) TENON_MUST_USE;

/* One value.  What the dead have left is in it, for which it waits for at most a millisecond.
 * -EINVAL: there is no such semaphore. */
TENON_PUBLIC int tenon_semaphore_set_get(struct tenon_semaphore_set *set, uint32_t number,
					 uint32_t *ret_value);

/* Sets one value, and all processes' undo counts of that semaphore to 0.  -ERANGE: above the
 * maximum. */
TENON_PUBLIC int tenon_semaphore_set_set(struct tenon_semaphore_set *set, uint32_t number,
					 uint32_t value);

/* The same with all values at once: `count` is how many semaphores there are, else -EINVAL. */
TENON_PUBLIC int tenon_semaphore_set_get_all(struct tenon_semaphore_set *set, uint32_t *ret_values,
					     uint32_t count);
TENON_PUBLIC int tenon_semaphore_set_set_all(struct tenon_semaphore_set *set,
					     const uint32_t *values, uint32_t count);

/* What there is to know of one semaphore. */
struct tenon_semaphore_set_member {
	uint32_t value;
	int32_t pid; /* of who operated on it, set it or died last, in its own namespace; 0: nobody */
	uint32_t waiting;	   /* threads that wait for it to grow */
	uint32_t waiting_for_zero; /* threads that wait for it to be 0 */
};

/* Reads that.  Of a list that waits, the first operation that cannot be done counts.  The dead do
 * not.  Does not wait. */
TENON_PUBLIC int tenon_semaphore_set_read(struct tenon_semaphore_set *set, uint32_t number,
					  struct tenon_semaphore_set_member *ret_member);

/* Everything that can be said about a set. */
struct tenon_semaphore_set_status {
	uint32_t size, flags; /* set by the caller: sizeof, 0 */
	/* attributes */
	uint32_t mode, uid, gid, max_participants;
	uint64_t id; /* random, made with it */
	uint32_t count, maximum;
	/* now */
	uint32_t waiting;      /* processes of which a thread is asleep for it */
	uint32_t participants; /* attached processes */
	uint32_t damaged, reserved;
	uint64_t memory_bytes;
	/* since it was made */
	uint64_t operations; /* calls that did theirs */
	uint64_t waited;     /* calls that had to wait */
	uint64_t undone;     /* processes whose undo counts were added */
	int64_t operated_ns; /* CLOCK_REALTIME_COARSE, as time(2); 0: never */
	int64_t changed_ns;  /* when values were set last, or it was made */
	int64_t created_ns;
};

/* Reads the status, as tenon_queue_status does.  Does not wait. */
TENON_PUBLIC int tenon_semaphore_set_status(struct tenon_semaphore_set *set,
					    struct tenon_semaphore_set_status *ret_status);

/* A thread that waits, or a process that has undo counts. */
struct tenon_semaphore_set_user {
	int32_t pid;	  /* in its own pid namespace */
	uint32_t waiting; /* 1: a thread of it waits for semaphore `number`, because of `change` */
	uint32_t number;
	int32_t change;
	uint32_t undos; /* of the process, if `waiting` is 0: semaphores with an undo count */
	uint32_t reserved;
};

/* Calls `visit` for each thread that waits, and then for each process that has undo counts; a
 * non-zero answer ends it and is returned.  Does not wait. */
TENON_PUBLIC int tenon_semaphore_set_users(struct tenon_semaphore_set *set,
					   int (*visit)(const struct tenon_semaphore_set_user *user,
							void *context),
					   void *context);

#ifdef __cplusplus
}
#endif

#endif
