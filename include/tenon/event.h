/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TENON_EVENT_H
#define TENON_EVENT_H

/*
 * The event: set or not, by name; processes wait until it is set.
 *
 *	manual reset	everybody passes while it is set, until somebody resets it
 *	auto reset	one passes, and resets it by that
 *
 * Promises.  A set event stays set until it is reset, or until one has passed, whoever dies when:
 * one that was woken and dies before it has passed leaves it to another.  Setting wakes whom it
 * lets pass, even if the one who sets dies in the midst of it: then it has been set or not, and if
 * it has, they pass.  Who is woken passes if the event is still set when it looks: who sets and
 * resets it at once lets nobody pass for sure, and wants tenon_event_pulse.
 *
 * Costs.  Setting, resetting and passing are one compare-and-swap each, and passing a set event of
 * manual reset one read; no system call where nobody has to wait or to be woken.  Waiting takes no
 * processor time, but for some microseconds at the beginning.
 *
 * Who may use it is the file mode: reading and writing are both needed.
 *
 * Threads.  A handle may be used by all threads of a process.  tenon_event_set, _reset and _pulse
 * are async-signal-safe, and no other call is.  A child of fork(2) may use its parent's handle; its
 * first call is not async-signal-safe.
 *
 * Known faults of this version.  A process that is stopped (SIGSTOP) just when it was woken may
 * keep others from what it was woken for until it goes on or dies.  Of a thread that is not its
 * process's first and calls exec(3), and where somebody who may truncates the file of another
 * object that the dead one had open, nobody is told: what it held comes back with the next one who
 * opens the object.  Beside more than 120 processes that wait, sleepers look ten times a second.
 *
 * Errors that every call may give: -EBADMSG the shared memory of the event is damaged; -ENOSPC the
 * memory behind the namespace is full; -ENOMEM; -EMFILE, -ENFILE; -EUSERS as many processes have it
 * open as it was made for; -EINVAL an argument is out of its range.
 */

#include <tenon/tenon.h>

#ifdef __cplusplus
extern "C" {
#endif

struct tenon_event;
struct tenon_region;

/* Flags of struct tenon_sync_options. */
#define TENON_EVENT_MANUAL 1u /* manual reset; else auto reset */
#define TENON_EVENT_IS_SET 2u /* it is set from the beginning */

/*
 * Opens the event `name`, or makes it (`flags`: TENON_CREATE, TENON_EXCLUSIVE).  `options` are
 * those of a new event; NULL: mode 0600, auto reset, not set.  Errors: as tenon_lock_open.
 */
TENON_PUBLIC int tenon_event_open(const char *namespace_path, const char *name, uint32_t flags,
				  const struct tenon_sync_options *options,
				  struct tenon_event **ret_event) TENON_MUST_USE;

/* The same in a region: tenon/region.h.  `options` say neither mode nor max_participants (-EINVAL).
 * Making it waits for who is in the midst of placing or growing; opening does not wait.  -EEXIST it
 * is there, with EXCLUSIVE, or something else is; -ENOENT, without CREATE, it is not; -EBUSY it is
 * open by this handle of the region; -ENOSPC the region has no place left; -EINVAL the offset is
 * none, or behind the region's end; -EACCES the region's handle is of a descriptor, and not
 * attached; as tenon_region_map for writing. */
TENON_PUBLIC int tenon_event_open_at(struct tenon_region *region, uint64_t offset, uint32_t flags,
				     const struct tenon_sync_options *options,
				     struct tenon_event **ret_event) TENON_MUST_USE;

/* Lets go of the handle.  NULL is allowed.  Always returns NULL. */
TENON_PUBLIC struct tenon_event *tenon_event_close(struct tenon_event *event);

/* Removes the name.  Those who have the event open go on using it.  Errors: as
 * tenon_lock_remove. */
TENON_PUBLIC int tenon_event_remove(const char *namespace_path, const char *name);

/* Sets it.  Setting one that is set changes nothing.  Does not wait. */
TENON_PUBLIC int tenon_event_set(struct tenon_event *event);

/* Resets it.  Does not wait. */
TENON_PUBLIC int tenon_event_reset(struct tenon_event *event);

/*
 * Lets pass who is in tenon_event_wait at this moment, and leaves the event reset; unlike Win32's
 * PulseEvent it misses nobody who had called before.  Auto reset: lets one of these pass; pulses
 * that come before that one has passed count as one.  Does not wait.
 */
TENON_PUBLIC int tenon_event_pulse(struct tenon_event *event);

/*
 * Waits until it is set, or the deadline has passed (tenon_deadline_after; TENON_NO_DEADLINE; one
 * that has passed looks once).  0; -ETIMEDOUT; -EINTR a signal handler ran while it waited.
 */
TENON_PUBLIC int tenon_event_wait(struct tenon_event *event, int64_t deadline_ns) TENON_MUST_USE;

/* Everything that can be said about an event. */
struct tenon_event_status {
	uint32_t size, flags; /* set by the caller: sizeof, 0 */
	/* attributes */
	uint32_t mode, uid, gid, max_participants;
	uint64_t id; /* random, made with it */
	uint32_t manual;
	/* now */
	uint32_t is_set;
	uint32_t waiting;      /* processes of which a thread is asleep for it */
	uint32_t participants; /* attached processes */
	uint32_t damaged;
	/* since it was made */
	uint32_t pulses; /* modulo 2^30 */
	uint64_t memory_bytes;
	uint64_t passed; /* about, where threads of a process do it at once */
	uint64_t waited; /* of these and of those that did not: had to wait */
	int64_t created_ns;
};

/* Reads the status, as tenon_queue_status does.  Does not wait. */
TENON_PUBLIC int tenon_event_status(struct tenon_event *event,
				    struct tenon_event_status *ret_status);

/* A process that waits for an event. */
struct tenon_event_user {
	int32_t pid;	  /* in its own pid namespace */
	uint32_t waiting; /* threads; all that wait by waitsets count as one, if no other does */
	uint32_t reserved[2];
};

/* Calls `visit` for each of them; a non-zero answer ends it and is returned.  The dead are none of
 * them.  Does not wait. */
TENON_PUBLIC int tenon_event_users(struct tenon_event *event,
				   int (*visit)(const struct tenon_event_user *user, void *context),
				   void *context);

#ifdef __cplusplus
}
#endif

#endif
