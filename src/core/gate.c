/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Gates: one for each side of an object, two to an object.  A gate is a lock whose word the kernel
 * understands as a robust futex, and the place where sleepers make themselves known.
 *
 * The word is 64 bits wide.  Low half: owner's thread id, WAITERS, OWNER_DIED, as the kernel has
 * them.  High half: a flag for each class that may be asleep, and a count of announcements.  Both
 * halves change together, so whoever takes the lock knows who sleeps, and sets WAITERS for the
 * kernel exactly when somebody does.
 *
 * Sleepers do not sleep on that word alone: they sleep with futex_waitv(2) on the event counter of
 * their class and on the low halves of both gates.  The living wake by the event, which hits only the
 * class that can go on; the kernel, when somebody dies, wakes by the gate.  A count instead of a flag
 * as event makes it impossible to sleep through a change that came between the last look and the
 * system call.
 *
 * While a thread is at a gate its robust list's pending entry names the word.  Then, if it dies
 *
 *	holding the lock	the kernel sets OWNER_DIED and, WAITERS being set, wakes one that
 *				sleeps on the word: that one takes the lock over, repairs, and wakes
 *				the others by the rules of unlocking
 *	behind the unlocking,	the kernel finds no owner and wakes one on the word, which looks at
 *	before its wakes	the flags as the dead one would have, or finds another owner and
 *				does nothing: that owner sees the flags when it unlocks
 *	woken, not yet served	the same
 *
 * Rule of unlocking: whoever unlocks either gate looks at the flags of all classes and wakes whom the
 * state of the object now lets go on, whether or not this very operation made it so.
 *
 * A flag stays until somebody finds nobody to wake and no bit set in the bitmap of the class: a
 * sleeper sets its bit before it announces, an announcement changes the count, and the flag is only
 * cleared if the count has not changed since before the bitmap was read.
 *
 * ORD gate: everything written under the lock is released by the compare-and-swap that unlocks and
 * acquired by the one that locks.  Two sides without a common lock meet here too: a sleeper announces
 * on the other side's word by a compare-and-swap and then looks for work once more; the other side
 * publishes work and then unlocks by one.  Whichever comes second sees the other.
 *
 * ORD event: the waker counts the event up before it wakes; a sleeper reads the event before it
 * announces.  If the count is still the same when the kernel compares it, nothing was woken since.
 *
 * A lock whose owner is gone although the kernel said nothing (a thread without a robust list, a
 * scribbled word) is found by the participants' liveness: lockers, and only they, look once a second,
 * and take it over only if no living participant can have a thread of that number.
 */

#include "core/gate.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/fault.h"

#define SPIN_ROUNDS 200
#define SUSPICION_NS TNI_SECOND_NS
/* Where futex_waitv(2) is missing, deaths are not told to sleepers: they look this often. */
#define BLIND_NS (100 * TNI_MILLISECOND_NS)

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif

static bool no_waitv;

static uint32_t *futex_of(struct tni_gate *gate)
{
	return (uint32_t *)&gate->word; /* the low half; little endian is checked at open */
}

static int wait_event(struct tni_a32 *event, uint32_t expected, int64_t deadline_ns)
{
	int64_t soon = tni_clock_ns(CLOCK_MONOTONIC) + BLIND_NS;
	struct timespec at = tni_timespec(soon < deadline_ns ? soon : deadline_ns);

	if (syscall(SYS_futex, event, FUTEX_WAIT_BITSET, expected, &at, NULL,
		    FUTEX_BITSET_MATCH_ANY) == 0)
		return 0;
	return errno == ETIMEDOUT && soon < deadline_ns ? -EAGAIN : -errno;
}

/* Sleeps on an event and on up to two gates.  0 or a negative errno. */
static int wait_any(struct tni_a32 *event, uint32_t expected, struct tni_gate *const *gates,
		    const uint32_t *lows, uint32_t gate_count, int64_t deadline_ns)
{
	struct timespec at;
	struct futex_waitv waiters[1 + TNI_GATES] = {
	    {.val = expected, .uaddr = (uintptr_t)event, .flags = FUTEX_32}};

	if (no_waitv)
		return wait_event(event, expected, deadline_ns);
	for (uint32_t i = 0; i < gate_count; i++) {
		waiters[1 + i].val = lows[i];
		waiters[1 + i].uaddr = (uintptr_t)futex_of(gates[i]);
		waiters[1 + i].flags = FUTEX_32;
	}
	if (deadline_ns != INT64_MAX)
		at = tni_timespec(deadline_ns > 0 ? deadline_ns : 0);
	if (syscall(SYS_futex_waitv, waiters, 1 + gate_count, 0,
		    deadline_ns != INT64_MAX ? &at : NULL, CLOCK_MONOTONIC) >= 0)
		return 0;
	if (errno == ENOSYS || errno == EPERM) {
		no_waitv = true;
		return -EAGAIN;
	}
	return -errno;
}

static void bit_set(struct tni_gatehouse *house, uint32_t row)
{
	uint32_t index = house->participant;

	tni_fetch_or64(&house->waitroom->asleep[row][index / 64], UINT64_C(1) << (index % 64));
}

/* A thread of this process starts or stops to sleep.  The bit is the process's; a count in its own
 * memory tells when the last thread is up.  A thread that goes to sleep just as another one clears
 * the bit is made up for by setting it again, and by a look at what it might have missed. */
static void asleep_enter(struct tni_gatehouse *house, uint32_t row)
{
	tni_fetch_add32(&house->asleep[row], 1);
	bit_set(house, row);
}

static bool asleep_leave(struct tni_gatehouse *house, uint32_t row)
{
	uint32_t index = house->participant;

	if (tni_fetch_add32(&house->asleep[row], UINT32_MAX) != 1)
		return false;
	tni_fetch_and64(&house->waitroom->asleep[row][index / 64], ~(UINT64_C(1) << (index % 64)));
	if (tni_get32(&house->asleep[row]) == 0)
		return false;
	bit_set(house, row);
	return true;
}

/* Makes a class known at a gate; answers the low half as it is from then on. */
static uint32_t announce(struct tni_gate *gate, uint32_t class)
{
	uint64_t word = tni_get64(&gate->word);

	for (;;) {
		uint64_t epoch = (word + TNI_GATE_EPOCH_ONE) & TNI_GATE_EPOCH;
		uint64_t next = (word & ~TNI_GATE_EPOCH) | epoch | TNI_GATE_FLAG(class);

		if (word & TNI_GATE_OWNER)
			next |= TNI_GATE_WAITERS;
		/* ORD(gate): see the paragraph above. */
		if (tni_cas64(&gate->word, &word, next))
			return (uint32_t)next;
	}
}

/* Takes a gate that has no owner now. */
static int try_take(struct tni_gate *gate, const struct tni_thread *thread, uint64_t word)
{
	uint64_t next = (word & ~TNI_GATE_LOW) | thread->tid | TNI_GATE_WAITERS;

	if (!(word & TNI_GATE_FLAGS) && !(word & TNI_GATE_OWNER_DIED))
		next &= ~TNI_GATE_WAITERS;
	if (!tni_cas64(&gate->word, &word, next))
		return -EAGAIN;
	return word & TNI_GATE_OWNER_DIED ? TNI_OWNER_DIED : 0;
}

static int sleep_for_lock(struct tni_gatehouse *house, uint32_t which, int64_t deadline_ns)
{
	struct tni_gate *gate = house->gate[which];
	int64_t suspicion_ns = tni_clock_ns(CLOCK_MONOTONIC) + SUSPICION_NS;
	uint32_t event = tni_load_acquire32(&gate->lock_event); /* ORD(event) */
	uint32_t low;
	int result;

	asleep_enter(house, which);
	low = announce(gate, TNI_CLASS_LOCK);
	if (low & TNI_GATE_OWNER)
		result = wait_any(&gate->lock_event, event, &gate, &low, 1,
				  suspicion_ns < deadline_ns ? suspicion_ns : deadline_ns);
	else
		result = 0;
	if (asleep_leave(house, which))
		tni_gate_wake(house, which, TNI_CLASS_LOCK, 1);
	if (result == -ETIMEDOUT && suspicion_ns < deadline_ns) {
		uint64_t word = tni_get64(&gate->word);

		/* As if the kernel had seen the owner die. */
		if ((word & TNI_GATE_OWNER) &&
		    house->is_gone(house->context, (uint32_t)(word & TNI_GATE_OWNER)))
			tni_cas64(&gate->word, &word,
				  (word & ~TNI_GATE_OWNER) | TNI_GATE_OWNER_DIED);
		return 0;
	}
	return result == -ETIMEDOUT ? result : 0;
}

int tni_gate_lock_slow(struct tni_gatehouse *house, uint32_t which, struct tni_thread *thread,
		       const void *pending, int64_t deadline_ns)
{
	struct tni_gate *gate = house->gate[which];
	uint32_t spins = 0;

	for (;;) {
		uint64_t word = tni_get64(&gate->word);
		int result;

		if (!(word & TNI_GATE_OWNER)) {
			result = try_take(gate, thread, word);
			if (result >= 0)
				return result;
			continue;
		}
		if ((word & TNI_GATE_OWNER) == thread->tid &&
		    pending == tni_pending_get(thread))
			return -EDEADLK;
		if (spins++ < SPIN_ROUNDS && tni_get32(&gate->cpu) != tni_cpu()) {
			tni_pause();
			continue;
		}
		spins = 0;
		result = sleep_for_lock(house, which, deadline_ns);
		if (result != 0)
			return result;
	}
}

uint32_t tni_gatehouse_count(const struct tni_gatehouse *house, uint32_t row)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i * 64 < house->top; i++)
		count += (uint32_t)__builtin_popcountll(tni_get64(&house->waitroom->asleep[row][i]));
	return count;
}

void tni_gatehouse_forget(struct tni_gatehouse *house, uint32_t participant)
{
	for (uint32_t row = 0; row < TNI_SLEEPER_ROWS; row++)
		tni_fetch_and64(&house->waitroom->asleep[row][participant / 64],
				~(UINT64_C(1) << (participant % 64)));
}

bool tni_gate_wake(struct tni_gatehouse *house, uint32_t which, uint32_t class, uint32_t count)
{
	struct tni_gate *gate = house->gate[which];
	struct tni_a32 *event = class == TNI_CLASS_LOCK ? &gate->lock_event
							: &house->waitroom->event[class];
	uint64_t word = tni_get64(&gate->word);
	long woken;

	if (TNI_FAULT(TNI_FAULT_NO_WAKE))
		return true;
	/* ORD(event): counted before the wake. */
	tni_fetch_add32(event, 1);
	woken = syscall(SYS_futex, event, FUTEX_WAKE, count > INT_MAX ? INT_MAX : count, NULL, NULL,
			0);
	if (woken > 0)
		return true;
	if (tni_gatehouse_count(house, tni_sleeper_row(which, class)) > 0)
		return false;
	tni_cas64(&gate->word, &word, word & ~TNI_GATE_FLAG(class));
	return true;
}

void tni_sleep_begin(struct tni_gatehouse *house, uint32_t class, struct tni_sleep *ret_sleep)
{
	ret_sleep->class = class;
	asleep_enter(house, tni_sleeper_row(0, class));
}

void tni_sleep_announce(struct tni_gatehouse *house, struct tni_sleep *sleep)
{
	/* ORD(event): read before the announcement. */
	sleep->event = tni_load_acquire32(&house->waitroom->event[sleep->class]);
	for (uint32_t i = 0; i < TNI_GATES; i++)
		sleep->low[i] = announce(house->gate[i], sleep->class);
}

/* Woken by the kernel for a dead one's sake: lockers may be owed the wake. */
static void pass_on(struct tni_gatehouse *house)
{
	for (uint32_t i = 0; i < TNI_GATES; i++) {
		uint64_t word = tni_get64(&house->gate[i]->word);

		if (!(word & TNI_GATE_OWNER) && (word & TNI_GATE_FLAG(TNI_CLASS_LOCK)))
			tni_gate_wake(house, i, TNI_CLASS_LOCK, 1);
	}
}

int tni_sleep_wait(struct tni_gatehouse *house, struct tni_sleep *sleep, int64_t deadline_ns)
{
	int result = wait_any(&house->waitroom->event[sleep->class], sleep->event, house->gate,
			      sleep->low, TNI_GATES, deadline_ns);

	if (result == 0)
		pass_on(house);
	return result == -EAGAIN ? 0 : result;
}

void tni_sleep_end(struct tni_gatehouse *house, struct tni_sleep *sleep)
{
	if (asleep_leave(house, tni_sleeper_row(0, sleep->class)))
		tni_gate_wake(house, 0, sleep->class, 1);
}
