/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Locks with priority inheritance.  The low half of the gate's word is what the kernel knows as such a futex (futex(2),
 * FUTEX_LOCK_PI2): who waits, waits in the kernel, which raises its holder's priority, and hands the lock to the first of
 * those who wait when it is released, or when its holder dies.  What the high half says of the holder is set by who
 * has got it.
 *
 *	acquire	I1 pending entry names the word, marked as such	dies: nothing was held
 *		I2 low half := thread, by the kernel or by	dies: the kernel hands it on, and marks it
 *		   compare-and-swap
 *		I3 entry into the list, marked			dies: the same
 *		I4 high half := participant; OWNER_DIED away	dies: the same; it was told to nobody, and
 *								the next one is told of this death
 *	release	U1 pending entry				dies: as I3
 *		U2 high half: nobody				dies: the same
 *		U3 low half := the next one, by the kernel	dies: it is not held
 *		U4 wakes those who wait in waitsets		dies: its stake tells them
 *
 * Who waits in a waitset cannot sleep on the word: while anybody is queued there who has not come by FUTEX_LOCK_PI2, the
 * kernel refuses that (EINVAL).  He has the event and the stakes of all others.  Having read those he looks at the
 * word once more: if it was let go before, he sees that; if it is behind that, U4 counts the event, or the stake is not what he
 * has read.  A process of several threads may leave its stake before the thread that holds the lock has ended, and of that
 * end nobody is told; so while the lock is held those who have left a marked stake count as its holders
 * (object/deaths.c), and who buries one of them has all look again.
 *
 * The kernel finds a holder by its number, which is each pid namespace's own: where participants are of several, such
 * locks are refused.
 */

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/clock.h"
#include "object/lock.h"

#ifndef FUTEX_LOCK_PI2
#define FUTEX_LOCK_PI2 13
#endif

static void set_pending(const struct tenon_lock *lock, struct tni_thread *thread)
{
	char *entry = tni_pending_entry(thread, &tni_lock_gate(lock)->word);

	tni_pending_put(thread, entry + TNI_ROBUST_INHERIT);
}

static long futex(struct tenon_lock *lock, int operation, const struct timespec *until)
{
	return syscall(SYS_futex, &tni_lock_gate(lock)->word, operation, 0, until, NULL, 0) == 0
		       ? 0
		       : -errno;
}

/* The kernel does not know the holder.  0: it was gone, and is marked now; or an error. */
static int suspect(struct tenon_lock *lock)
{
	struct tni_gatehouse *house = &lock->sync.house;
	uint64_t word = tni_get64(&tni_lock_gate(lock)->word);
	uint32_t owner = (uint32_t)(word & TNI_GATE_OWNER);

	if (owner == 0)
		return 0;
	/* Who attaches does not hold such a lock. */
	if (!house->is_gone(house->object, owner, UINT32_MAX))
		return -ENOTSUP;
	tni_cas64(&tni_lock_gate(lock)->word, &word,
		  (word & ~(TNI_GATE_OWNER | TNI_GATE_WAITERS)) | TNI_GATE_OWNER_DIED);
	return 0;
}

static int wait_in_kernel(struct tenon_lock *lock, int64_t deadline_ns)
{
	struct timespec at = tni_timespec(deadline_ns > 0 ? deadline_ns : 0);

	for (;;) {
		long result = futex(lock, FUTEX_LOCK_PI2, deadline_ns == INT64_MAX ? NULL : &at);

		switch (result) {
		case 0:
		case -ETIMEDOUT:
		case -EDEADLK:
		case -ENOMEM:
			return (int)result;
		case -ENOSYS:
			return -ENOTSUP;
		case -EAGAIN: /* the holder is just dying */
		case -EINTR:
			break;
		case -ESRCH:
			result = suspect(lock);
			if (result != 0)
				return (int)result;
			break;
		default:
			return tni_sync_damaged(&lock->sync);
		}
		if (tni_clock_ns(CLOCK_MONOTONIC) >= deadline_ns)
			return -ETIMEDOUT;
	}
}

int tni_lock_inherit(struct tenon_lock *lock, struct tni_thread *thread, int64_t deadline_ns)
{
	struct tni_gatehouse *house = &lock->sync.house;
	struct tni_gate *gate = tni_lock_gate(lock);
	struct tni_sleep sleep;
	uint64_t word, next;
	int result;

	if (tni_get64(&lock->sync.object->shared->mixed))
		return -ENOTSUP;
	set_pending(lock, thread);
	if (tni_gate_try(&lock->sync.house, 0, thread))
		return 0;
	/* For those who look: the kernel wakes it. */
	tni_sleep_begin(house, TNI_CLASS_BIT(TNI_CLASS_LOCK_0), &sleep);
	result = wait_in_kernel(lock, deadline_ns);
	tni_sleep_end(house, &sleep);
	if (result != 0)
		return result;
	word = tni_get64(&gate->word);
	do
		next = (word & ~(TNI_GATE_HOLDER | TNI_GATE_OWNER_DIED)) |
		       (tni_gate_holder(house, thread) & TNI_GATE_HOLDER);
	while (!tni_cas_total64(&gate->word, &word, next)); /* ORD(shared) */
	return word & TNI_GATE_OWNER_DIED ? TNI_OWNER_DIED : 0;
}

void tni_lock_inherit_release(struct tenon_lock *lock, struct tni_thread *thread)
{
	struct tni_gatehouse *house = &lock->sync.house;
	struct tni_gate *gate = tni_lock_gate(lock);
	uint64_t word = tni_get64(&gate->word);
	void *pending = tni_pending_get(thread);

	while (!(word & (TNI_GATE_FLAGS | TNI_GATE_WAITERS)))
		if (tni_cas64(&gate->word, &word, word & ~TNI_GATE_HELD)) /* ORD(gate) */
			return;
	set_pending(lock, thread);
	while (!tni_cas64(&gate->word, &word, word & ~TNI_GATE_HOLDER))
		;
	/* A word that somebody has scribbled on is let go of all the same. */
	if (futex(lock, FUTEX_UNLOCK_PI, NULL) != 0) {
		word = tni_get64(&gate->word);
		while ((word & TNI_GATE_OWNER) == thread->tid &&
		       !tni_cas64(&gate->word, &word, word & ~TNI_GATE_HELD))
			;
	}
	tni_gate_wake_all(house, 0, TNI_CLASS_LOCK_0);
	tni_gate_wake_all(house, 0, TNI_CLASS_ROOM);
	tni_pending_put(thread, pending);
}
