/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TENON_WAITSET_H
#define TENON_WAITSET_H

/*
 * The waitset: one wait for many things, of whatever kinds.
 *
 *	member		is ready when			waiting for it
 *	queue		it is readable, or writable	leaves it as it is
 *	lock		nobody holds or shares it	acquires it
 *	semaphore	its count is high enough	takes so many
 *	event		it is set, or pulsed amid the	passes: an auto-reset one is reset
 *			wait
 *	process		it has ended			leaves it as it is
 *	timer		its time has come		sets it to the next period, or takes it out of the running
 *	descriptor	poll(2) says so			leaves it as it is
 *
 * A set waits for any of its members, or, made with TENON_WAITSET_ALL, for all of them at once:
 * then nothing is acquired, taken or passed unless all can be.  (While it finds that out, others
 * may for an instant find taken what is given back; and a process that is killed amid that has
 * taken what it had until then.)
 *
 * Level-triggered: a member that is ready, and stays so, is told of by every wait.  Members are
 * told of in turn, so that none that is always ready hides the others.
 *
 * Promises.  Who waits in a set is woken as one who waits for the member itself, and takes no
 * wake-up from those who do: what it was woken for and does not take, or cannot because it died,
 * somebody else is woken for.
 *
 * Costs.  If a member is ready, one look at it, and no system call for queues, locks, semaphores,
 * events and timers.  A wait for up to 60 semaphores and events, 40 locks or 30 queues sleeps in
 * one system call; with more of them, and beside descriptors and processes, threads of the library
 * wait in the caller's stead (one for so many; all signals are blocked in them), and a wake-up
 * takes one more switch.  There are such threads, and a descriptor that they tell by, for each
 * thread that waits so at the same time, and for who polls the set; they stay for the next wait
 * until members are added or removed.  Nobody wakes up without a reason.
 *
 * A set belongs to its process.  Objects stay open as long as they are members: to close one that
 * is a member is the caller's mistake.  Several threads may wait in a set at once, but while
 * members are added or removed none may.  A child of fork(2) may go on using its parent's set, from
 * which its own is separate then; it has to ask for the descriptor anew.  No call is
 * async-signal-safe.
 */

#include <tenon/event.h>
#include <tenon/lock.h>
#include <tenon/queue.h>
#include <tenon/semaphore.h>

#ifdef __cplusplus
extern "C" {
#endif

struct tenon_waitset;

#define TENON_WAITSET_ALL 1u /* it waits for all members at once */

/* Makes an empty set.  Errors: -EINVAL unknown flags; -ENOMEM. */
TENON_PUBLIC int tenon_waitset_create(uint32_t flags, struct tenon_waitset **ret_set)
	TENON_MUST_USE;

/* Frees it; its members stay as they are.  NULL is allowed.  Always returns NULL. */
TENON_PUBLIC struct tenon_waitset *tenon_waitset_close(struct tenon_waitset *set);

/*
 * Add a member, with which `user` comes back when it is ready.  `ret_member` (may be NULL) names it
 * for tenon_waitset_remove.  Errors of all of these: -EEXIST the descriptor is a member, or in a
 * set for all the object; -ENOSPC there are TENON_WAITSET_MOST members; -ENOMEM; -EINVAL; of a set
 * of which tenon_waitset_fd has been asked, what that gives, too.
 *
 * queue: `events` is TENON_READABLE or TENON_WRITABLE, or both.  semaphore: `count` and `flags` as
 * tenon_semaphore_acquire.  lock: one that is recursive, and the calling thread holds, is acquired
 * again by a set for any, and never by a set for all.  process: a process id, whose end is told of
 * once it has ended, also before its parent has waited for it (errors as pidfd_open(2): -ESRCH
 * there is none).  descriptor: `events` as poll(2) (-EBADF).  timer: at `at_ns`
 * (tenon_deadline_after; not TENON_NO_DEADLINE), and then each `period_ns` (to INT64_MAX / 4), if
 * that is not 0; periods that went by unseen count as one.
 */
#define TENON_WAITSET_MOST 1024u
TENON_PUBLIC int tenon_waitset_add_queue(struct tenon_waitset *set, struct tenon_queue *queue,
					 uint32_t events, uint64_t user, uint32_t *ret_member);
TENON_PUBLIC int tenon_waitset_add_lock(struct tenon_waitset *set, struct tenon_lock *lock,
					uint64_t user, uint32_t *ret_member);
TENON_PUBLIC int tenon_waitset_add_semaphore(struct tenon_waitset *set,
					     struct tenon_semaphore *semaphore, uint32_t count,
					     uint32_t flags, uint64_t user, uint32_t *ret_member);
TENON_PUBLIC int tenon_waitset_add_event(struct tenon_waitset *set, struct tenon_event *event,
					 uint64_t user, uint32_t *ret_member);
TENON_PUBLIC int tenon_waitset_add_process(struct tenon_waitset *set, int32_t pid, uint64_t user,
					   uint32_t *ret_member);
TENON_PUBLIC int tenon_waitset_add_descriptor(struct tenon_waitset *set, int fd, uint32_t events,
					      uint64_t user, uint32_t *ret_member);
TENON_PUBLIC int tenon_waitset_add_timer(struct tenon_waitset *set, int64_t at_ns,
					 int64_t period_ns, uint64_t user, uint32_t *ret_member);

/* Takes a member out.  -ENOENT: there is none of that name. */
TENON_PUBLIC int tenon_waitset_remove(struct tenon_waitset *set, uint32_t member);

/* One member that was ready. */
struct tenon_waitset_event {
	uint64_t user;
	uint32_t member;
	uint32_t events; /* a queue's, or a descriptor's, that are; else 0 */
	/* 0; -EOWNERDEAD, a lock, as tenon_lock_acquire: it is held.  Other errors of the member's
	 * own call: it was not acquired, taken or passed. */
	int32_t result;
	uint32_t reserved;
};

/*
 * Waits until a member is ready (or all are), or until the deadline (tenon_deadline_after;
 * TENON_NO_DEADLINE; one that has passed looks once), and writes up to `capacity` events, at least
 * 1: as many members as are ready, each acquired, taken or passed.  So with a capacity of 1 one at
 * most is taken, as by Win32's WaitForMultipleObjects.  Of a set for all `capacity` is at least the
 * number of its members; a member whose result is an error other than -EOWNERDEAD comes alone then,
 * and nothing was taken.
 *
 * 0; -ETIMEDOUT; -EINTR a signal handler ran while it waited; -EINVAL the set is empty, or the
 * capacity too small; -ENOMEM, -EMFILE, -ENFILE, -EAGAIN what it needs to sleep could not be had.
 */
TENON_PUBLIC int tenon_waitset_wait(struct tenon_waitset *set, int64_t deadline_ns,
				    struct tenon_waitset_event *ret_events, uint32_t capacity,
				    uint32_t *ret_count) TENON_MUST_USE;

/*
 * A descriptor that poll(2), epoll(7) and io_uring find readable when a wait would find something,
 * or might; then call tenon_waitset_wait with a deadline that has passed, until it gives
 * -ETIMEDOUT: from then on the descriptor tells anew.  It is the set's: do not close it.  Adding
 * and removing members keeps it.
 *
 * Errors: -ENOTSUP a set for all that has descriptors or processes in it, or a descriptor that
 * epoll(7) does not take, as a plain file's; -EMFILE, -ENFILE, -ENOMEM, -EAGAIN.
 */
TENON_PUBLIC int tenon_waitset_fd(struct tenon_waitset *set, int *ret_fd);

#ifdef __cplusplus
}
#endif

#endif
