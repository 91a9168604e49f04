/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Gates: one for each side of an object, of which it has two, or one.  A gate is a lock whose word the kernel
 * understands as a robust futex, and the place where sleepers make themselves known.
 *
 * The word is 64 bits wide.  Low half: owner's thread id, WAITERS, OWNER_DIED, as the kernel has
 * them.  High half: a flag for each class that may be asleep, the participant that holds the lock, and
 * a count of announcements.  Both
 * halves change together, so whoever takes the lock knows who sleeps, and sets WAITERS for the
 * kernel exactly when somebody does.
 *
 * Sleepers do not sleep on that word alone: they sleep with futex_waitv(2) on the low halves of the
 * gates and on the event counter of their class.  The living wake by the event, which hits only the
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
 * Rules, each of which test/model shows to be needed:
 *
 *	G1 whoever unlocks either gate looks at the flags of all classes and wakes whom the state of
 *	   the object now lets go on, whether or not this very operation made it so
 *	G2 events are counted before the store that unlocks, and woken behind it: a sleeper that is not
 *	   yet queued when the unlocker dies sees the count
 *	G3 the gates come before the event in the vector that the kernel queues on: whoever dies while
 *	   a sleeper is being queued has counted before, or still wakes the gate
 *	G4 everybody who sleeps is found at gate 0: lockers of gate 1 announce and sleep at both, and
 *	   have gate 0 as pending entry meanwhile
 *	G5 whoever wakes looks at both gates: lockers whose gate has no owner are woken, an orphaned
 *	   gate is repaired (by a locker: by waking a receiver and a sender, who do)
 *
 * A flag goes when a wake found fewer asleep than it had something for, unless somebody has announced
 * since the release: whoever announced before it has read an event that has been counted up since, and
 * is awake, or will not fall asleep, or announces anew.  So a busy side pays for one wake in vain, not
 * for one with each operation until a woken sleeper gets a processor.  It goes in the same way when there is
 * nothing to wake for and no participant's bit says that it has somebody asleep: who announces has set its
 * bit before.  (Who receives faster than the sender unlocks would leave the flag there for good.)
 *
 * Between calls a process may hold something as well; a sleeper then has the stakes of the others in its
 * vector (core/stake.c).
 *
 * ORD gate: everything written under the lock is released by the compare-and-swap that unlocks and
 * acquired by the one that locks.  Two sides without a common lock meet here too: a sleeper announces
 * on the other side's word by a compare-and-swap and then looks for work once more; the other side
 * publishes work and then unlocks by one.  Whichever comes second sees the other.
 *
 * ORD event: the waker counts the event up before it unlocks; a sleeper reads the event before it
 * announces.  If the count is still the same when the kernel compares it, nothing was woken since.
 *
 * ORD asleep: who falls asleep sets its bit before the kernel compares the event; who counts the event for all looks
 * at the bits behind that.  One of them sees the other.
 *
 * Thread ids are each pid namespace's own.  A process that dies in a call while a thread of the same
 * number in another namespace holds the lock makes the kernel take that one for the dead: it writes
 * OWNER_DIED over the living owner's id.  Where participants come from more than one namespace, whoever
 * finds OWNER_DIED therefore asks whether the holder's process lives, and if so waits for it to unlock,
 * which it does as if nothing had been.  Whoever buries a holder, and whoever lets go of the object while it
 * holds, writes another number there, lest the next one who has the entry be taken for the holder.
 *
 * A lock whose owner is gone although the kernel said nothing (a thread without a robust list, a
 * scribbled word) is found by the participants' liveness: lockers, and only they, look once a second,
 * and take it over only if no living participant can have a thread of that number, themselves apart:
 * who waits for a gate does not hold it.
 */

#include "core/gate.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/defer.h"
#include "core/manner.h"

/* So many pauses a locker makes before it sleeps; and of a gate that is held long as many between two looks: one that is
 * wanted all the time would else change hands at each release, and its line and all that it protects with it. */
#define SPIN_PAUSES 200u
#define SPIN_PAUSES_LONG 64u
#define SUSPICION_NS TNI_SECOND_NS
#define DOUBT_NS 200000
/* Where futex_waitv(2) is missing, deaths are not told to sleepers: they look this often. */
#define BLIND_NS (100 * TNI_MILLISECOND_NS)

static struct tni_a32 no_waitv; /* 1: the kernel has none */

_Static_assert(TNI_SLEEP_WORDS_MOST <= TNI_WORDS_MOST, "words");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the low half of a gate comes first");

static uint32_t *futex_of(struct tni_gate *gate)
{
	return (uint32_t *)&gate->word;
}

static uint32_t flag_free(uint64_t word, uint32_t class)
{
	return !(word & TNI_GATE_OWNER) && (word & TNI_GATE_FLAG(class));
}

static int wait_event(struct tni_a32 *event, uint32_t expected, int64_t deadline_ns)
{
	int64_t soon = tni_clock_ns(CLOCK_MONOTONIC) + BLIND_NS;
	int64_t until = soon < deadline_ns ? soon : deadline_ns;
	struct timespec at = tni_timespec(until > 0 ? until : 0);
	struct tni_thread *thread = &tni_thread_self_;
	uint32_t paused = tni_defer_pause(thread);
	long result = -1;

	if (tni_defer_was_interrupted(thread, paused))
		errno = EINTR;
	else
		result = syscall(SYS_futex, event, FUTEX_WAIT_BITSET, expected, &at, NULL,
				 FUTEX_BITSET_MATCH_ANY);
	tni_defer_resume(thread, paused);
	if (result == 0)
		return TNI_WOKEN;
	return errno == ETIMEDOUT && soon < deadline_ns ? -EAGAIN : -errno;
}

static void put_waiter(struct futex_waitv *waiters, uint32_t *count, const void *word,
		       uint32_t expected)
{
	waiters[(*count)++] = (struct futex_waitv){
		.val = expected, .uaddr = (uintptr_t)word, .flags = FUTEX_32};
}

/* Gates (the first `gate_count`), stakes and events, in this order: G3. */
static uint32_t list_words(const struct tni_gatehouse *house, const struct tni_sleep *sleep,
			   uint32_t gate_count, struct futex_waitv *words, uint32_t *ret_count)
{
	uint32_t count = 0, first_event;

	for (uint32_t i = 0; i < gate_count; i++)
		put_waiter(words, &count, futex_of(house->gate[i]), sleep->low[i]);
	for (uint32_t i = 0; i < sleep->stakes; i++)
		put_waiter(words, &count, sleep->stake[i].word, sleep->stake[i].value);
	first_event = count;
	for (uint32_t class = 0; class < TNI_CLASSES; class ++)
		if (sleep->classes & TNI_CLASS_BIT(class))
			put_waiter(words, &count, tni_event_of(house, sleep, class),
				   sleep->event[class]);
	*ret_count = count;
	return first_event;
}

uint32_t tni_sleep_words(const struct tni_gatehouse *house, const struct tni_sleep *sleep,
			 struct futex_waitv *ret_words, uint32_t *ret_count)
{
	return list_words(house, sleep, tni_gatehouse_words(house), ret_words, ret_count);
}

/* Which of them it was. */
static int wait_any(struct tni_gatehouse *house, const struct tni_sleep *sleep, uint32_t gate_count,
		    int64_t deadline_ns)
{
	struct futex_waitv words[TNI_SLEEP_WORDS_MOST];
	uint32_t first_class = (uint32_t)__builtin_ctz(sleep->classes), first_event, count;
	int woken;

	if (tni_get32(&no_waitv))
		return wait_event(tni_event_of(house, sleep, first_class),
				  sleep->event[first_class], deadline_ns);
	first_event = list_words(house, sleep, gate_count, words, &count);
	woken = tni_words_wait(words, count, deadline_ns,
			       !(sleep->classes & (TNI_CLASS_BIT(TNI_CLASS_LOCK_0) |
						   TNI_CLASS_BIT(TNI_CLASS_LOCK_1))));
	if (woken >= 0)
		return woken >= (int)first_event ? TNI_WOKEN : TNI_WOKEN_DEATH;
	if (woken == -ENOSYS) {
		tni_set32(&no_waitv, 1);
		return -EAGAIN;
	}
	return woken;
}

static void bit_set(struct tni_gatehouse *house, uint32_t class)
{
	uint32_t index = house->participant;

	tni_fetch_or64(&house->waitroom->asleep[class][index / 64], UINT64_C(1) << (index % 64));
}

/* A thread of this process starts or stops to sleep.  The bit is the process's; a count in its own
 * memory tells when the last thread is up.  A thread that goes to sleep just as another one clears
 * the bit is made up for by setting it again, and by a look at what it might have missed. */
static void asleep_enter(struct tni_gatehouse *house, uint32_t class)
{
	tni_fetch_add32(&house->asleep[class], 1);
	bit_set(house, class); /* ORD(asleep) */
}

static bool asleep_leave(struct tni_gatehouse *house, uint32_t class)
{
	uint32_t index = house->participant;

	if (tni_fetch_add32(&house->asleep[class], UINT32_MAX) != 1)
		return false;
	tni_fetch_and64(&house->waitroom->asleep[class][index / 64],
			~(UINT64_C(1) << (index % 64)));
	if (tni_get32(&house->asleep[class]) == 0)
		return false;
	bit_set(house, class);
	return true;
}

/* Makes classes known at a gate; answers the low half as it is from then on. */
static uint32_t announce(struct tni_gate *gate, uint32_t classes)
{
	uint64_t word = tni_get64(&gate->word);

	for (;;) {
		uint64_t epoch = (word + TNI_GATE_EPOCH_ONE) & TNI_GATE_EPOCH;
		uint64_t next = (word & ~TNI_GATE_EPOCH) | epoch | classes * TNI_GATE_FLAG(0);

		if (word & TNI_GATE_OWNER)
			next |= TNI_GATE_WAITERS;
		/* ORD(gate): see the paragraph above. */
		if (tni_cas64(&gate->word, &word, next))
			return (uint32_t)next;
	}
}

/* Takes a gate that has no owner now. */
static int try_take(struct tni_gatehouse *house, struct tni_gate *gate,
		    const struct tni_thread *thread, uint64_t word)
{
	uint64_t next = (word & ~TNI_GATE_HELD) | tni_gate_holder(house, thread) | TNI_GATE_WAITERS;

	if (!(word & TNI_GATE_FLAGS) && !(word & TNI_GATE_OWNER_DIED))
		next &= ~TNI_GATE_WAITERS;
	/* ORD(shared) */
	if (!tni_cas_total64(&gate->word, &word, next))
		return -EAGAIN;
	tni_set32(&gate->cpu, tni_cpu());
	return word & TNI_GATE_OWNER_DIED ? TNI_OWNER_DIED : 0;
}

uint32_t tni_gatehouse_count(const struct tni_gatehouse *house, uint32_t class)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i * 64 < house->top; i++)
		count += (uint32_t)__builtin_popcountll(
			tni_get64(&house->waitroom->asleep[class][i]));
	return count;
}

void tni_gatehouse_forget(struct tni_gatehouse *house, uint32_t participant)
{
	for (uint32_t class = 0; class < TNI_CLASSES; class ++)
		tni_fetch_and64(&house->waitroom->asleep[class][participant / 64],
				~(UINT64_C(1) << (participant % 64)));
}

/* Takes the flag of a class away, unless somebody has announced since the word became `released`. */
static void drop_flag(struct tni_gate *gate, uint32_t class, uint64_t released)
{
	uint64_t word = tni_get64(&gate->word);

	while (((word ^ released) & TNI_GATE_EPOCH) == 0 && (word & TNI_GATE_FLAG(class)) &&
	       !tni_cas64(&gate->word, &word, word & ~TNI_GATE_FLAG(class)))
		;
}

/* Wakes up to `count` of a class whose event was counted before the word became `released`. */
static void wake(struct tni_gatehouse *house, uint32_t which, uint32_t class, uint32_t count,
		 uint64_t released)
{
	if (tni_event_wake(house, class, count) < count)
		drop_flag(house->gate[which], class, released);
}

void tni_gatehouse_wake(struct tni_gatehouse *house, uint32_t class, uint32_t count)
{
	tni_event_count(house, class);
	tni_event_wake(house, class, count);
}

static bool is_anybody_asleep(const struct tni_gatehouse *house, uint32_t class)
{
	for (uint32_t i = 0; i * 64 < house->top; i++)
		/* ORD(asleep) */
		if (tni_load_total64(&house->waitroom->asleep[class][i]) != 0)
			return true;
	return false;
}

void tni_gatehouse_rouse(struct tni_gatehouse *house)
{
	for (uint32_t class = 0; class < TNI_CLASSES; class ++) {
		tni_event_count(house, class);
		if (is_anybody_asleep(house, class))
			tni_event_wake(house, class, UINT32_MAX);
	}
}

void tni_gate_wake_all(struct tni_gatehouse *house, uint32_t which, uint32_t class)
{
	uint64_t word = tni_get64(&house->gate[which]->word);

	if (!(word & TNI_GATE_FLAG(class)))
		return;
	tni_event_count(house, class);
	wake(house, which, class, UINT32_MAX, word);
}

static void count_and_wake(struct tni_gatehouse *house, uint32_t class)
{
	tni_gatehouse_wake(house, class, 1);
}

/* G5, but for the repairing. */
static void pass_on(struct tni_gatehouse *house, bool is_locker)
{
	for (uint32_t i = 0; i < house->gates; i++) {
		uint64_t word = tni_get64(&house->gate[i]->word);

		if (flag_free(word, TNI_CLASS_LOCK_0 + i))
			count_and_wake(house, TNI_CLASS_LOCK_0 + i);
		if (!is_locker || !tni_gate_is_orphaned(house->gate[i]))
			continue;
		if (word & TNI_GATE_FLAG(TNI_CLASS_MESSAGE))
			count_and_wake(house, TNI_CLASS_MESSAGE);
		if (word & TNI_GATE_FLAG(TNI_CLASS_ROOM))
			count_and_wake(house, TNI_CLASS_ROOM);
	}
}

/* Whether a thread that waits for a gate may nevertheless hold it: in the midst of something that its
 * pending entry tells of, such as a call on another handle of this object that a signal interrupted. */
static bool may_hold(const struct tni_gatehouse *house, const struct tni_thread *thread,
		     const void *pending)
{
	for (uint32_t i = 0; pending && i < house->gates; i++)
		if (pending == (const char *)&house->gate[i]->word - thread->robust->futex_offset)
			return false;
	return pending != NULL;
}

/* As if the kernel had seen the owner die. */
static void suspect_owner(struct tni_gatehouse *house, struct tni_gate *gate,
			  const struct tni_thread *thread, const void *pending)
{
	uint64_t word = tni_get64(&gate->word);
	uint32_t owner = (uint32_t)(word & TNI_GATE_OWNER);

	if (owner == thread->tid && may_hold(house, thread, pending))
		return;
	if (owner != 0 && house->is_gone(house->object, owner, tni_gate_holder_of(word)))
		tni_cas64(&gate->word, &word, (word & ~TNI_GATE_OWNER) | TNI_GATE_OWNER_DIED);
}

/* Whoever dies between the two steps has the word pending, and the kernel gives the wake. */
void tni_gate_orphan(struct tni_gatehouse *house, uint32_t which, uint32_t participant)
{
	struct tni_thread *thread = tni_thread_self();
	struct tni_gate *gate = house->gate[which];
	void *pending = tni_pending_get(thread);
	uint64_t word = tni_get64(&gate->word);

	tni_pending_set(thread, &gate->word);
	while ((word & (TNI_GATE_OWNER | TNI_GATE_OWNER_DIED)) &&
	       tni_gate_holder_of(word) == participant) {
		uint64_t next = (word & ~TNI_GATE_OWNER) | TNI_GATE_OWNER_DIED | TNI_GATE_NOBODY;

		if (!tni_cas64(&gate->word, &word, next))
			continue;
		/* Else the kernel has. */
		if (word & TNI_GATE_OWNER)
			count_and_wake(house, TNI_CLASS_LOCK_0 + which);
		break;
	}
	tni_pending_put(thread, pending);
}

void tni_gatehouse_renew(struct tni_gatehouse *house, uint32_t participant)
{
	house->participant = participant;
	for (uint32_t class = 0; class < TNI_CLASSES; class ++)
		tni_set32(&house->asleep[class], 0);
}

static int sleep_for_lock(struct tni_gatehouse *house, uint32_t which, struct tni_thread *thread,
			  int64_t suspicion_ns, int64_t deadline_ns)
{
	struct tni_gate *gate = house->gate[which];
	uint32_t class = TNI_CLASS_LOCK_0 + which;
	struct tni_sleep sleep;
	int result = 0;

	tni_sleep_set(&sleep, TNI_CLASS_BIT(class));
	tni_pending_set(thread, &house->gate[0]->word); /* G4 */
	asleep_enter(house, class);
	/* ORD(event): read before the announcement. */
	sleep.event[class] = tni_load_acquire32(&house->waitroom->event[class]);
	for (uint32_t i = 0; i <= which; i++)
		sleep.low[i] = announce(house->gate[i], sleep.classes);
	if (house->add_stakes)
		house->add_stakes(house->object, &sleep);
	if (sleep.low[which] & TNI_GATE_OWNER) {
		result = wait_any(house, &sleep, which + 1,
				  suspicion_ns < deadline_ns ? suspicion_ns : deadline_ns);
		if (result > 0)
			pass_on(house, true);
		if (tni_sleep_has_seen_death(&sleep))
			house->rouse(house->object);
	}
	if (asleep_leave(house, class))
		count_and_wake(house, class);
	tni_pending_set(thread, &gate->word);
	return result == -ETIMEDOUT && suspicion_ns >= deadline_ns ? result : 0;
}

int tni_gate_lock_slow(struct tni_gatehouse *house, uint32_t which, struct tni_thread *thread,
		       const void *pending, int64_t deadline_ns)
{
	struct tni_gate *gate = house->gate[which];
	int64_t suspicion_ns = INT64_MAX, now_ns;
	uint32_t pauses = house->is_held_long ? SPIN_PAUSES_LONG : 1, spins = 0;

	if (!house->is_held_long)
		suspicion_ns = tni_clock_ns(CLOCK_MONOTONIC) + SUSPICION_NS;

	for (;;) {
		uint64_t word = tni_get64(&gate->word);
		int result;

		if (!(word & TNI_GATE_OWNER)) {
			if ((word & TNI_GATE_OWNER_DIED) &&
			    house->is_doubtful(house->object, tni_gate_holder_of(word))) {
				if (tni_clock_ns(CLOCK_MONOTONIC) >= deadline_ns)
					return -ETIMEDOUT;
				nanosleep(&(struct timespec){.tv_nsec = DOUBT_NS}, NULL);
				continue;
			}
			result = try_take(house, gate, thread, word);
			if (result >= 0)
				return result;
			continue;
		}
		if ((word & TNI_GATE_OWNER) == thread->tid && pending == tni_pending_get(thread) &&
		    house->is_own(house->object, tni_gate_holder_of(word)))
			return -EDEADLK;
		if (spins < SPIN_PAUSES && tni_get32(&gate->cpu) != tni_cpu()) {
			for (uint32_t i = 0; i < pauses; i++)
				tni_pause();
			spins += pauses;
			continue;
		}
		spins = 0;
		/* Interruptions do not put it off. */
		now_ns = tni_clock_ns(CLOCK_MONOTONIC);
		if (now_ns >= deadline_ns)
			return -ETIMEDOUT;
		if (now_ns >= suspicion_ns) {
			suspect_owner(house, gate, thread, pending);
			suspicion_ns = now_ns + SUSPICION_NS;
		}
		result = sleep_for_lock(house, which, thread, suspicion_ns, deadline_ns);
		if (result != 0)
			return result;
	}
}

/* Which lockers an unlocker of `which` lets go on. */
static void plan_lockers(struct tni_gatehouse *house, uint32_t which, uint64_t flags,
			 struct tni_wakes *wakes)
{
	for (uint32_t i = 0; i < house->gates; i++) {
		uint64_t word = tni_get64(&house->gate[i]->word);

		wakes->count[TNI_CLASS_LOCK_0 + i] = (flags &
						      TNI_GATE_FLAG(TNI_CLASS_LOCK_0 + i)) &&
						     (i == which || !(word & TNI_GATE_OWNER));
	}
}

void tni_gate_unlock(struct tni_gatehouse *house, uint32_t which,
		     void (*plan)(void *context, uint64_t flags, struct tni_wakes *ret_wakes),
		     void *context)
{
	struct tni_gate *gate = house->gate[which];
	/* ORD(gate): behind who has announced it finds the bit of his lane. */
	uint64_t word = tni_load_acquire64(&gate->word);
	struct tni_wakes wakes;
	uint64_t lanes = 0;

	do {
		wakes = (struct tni_wakes){.count = {0}};
		if (word & TNI_GATE_FLAGS) {
			plan_lockers(house, which, word, &wakes);
			plan(context, word & TNI_GATE_FLAGS, &wakes);
		}
		/* ORD(event): counted before the unlocking, G2, and anew for who announced meanwhile. */
		for (uint32_t class = 0; class < TNI_CLASSES; class ++)
			if (wakes.count[class] > 0)
				tni_event_count(house, class);
		if (wakes.lanes != 0)
			tni_lanes_count(house, wakes.lanes);
		/* Their bits are gone now. */
		lanes |= wakes.lanes;
		/* ORD(gate): releases what was done under the lock. */
	} while (!tni_cas64(&gate->word, &word, word & ~TNI_GATE_HELD));
	if (lanes != 0)
		tni_lanes_wake(house, lanes);
	for (uint32_t class = 0; class < TNI_CLASSES; class ++)
		if (wakes.count[class] > 0)
			wake(house, which, class, wakes.count[class], word);
		else if (class >= TNI_CLASS_MESSAGE && (word & TNI_GATE_FLAG(class)) &&
			 tni_gatehouse_count(house, class) == 0)
			drop_flag(gate, class, word);
}

void tni_sleep_begin(struct tni_gatehouse *house, uint32_t classes, struct tni_sleep *ret_sleep)
{
	tni_sleep_set(ret_sleep, classes);
	for (uint32_t class = 0; class < TNI_CLASSES; class ++)
		if (classes & TNI_CLASS_BIT(class))
			asleep_enter(house, class);
}

void tni_sleep_announce(struct tni_gatehouse *house, struct tni_sleep *sleep)
{
	/* ORD(event): read before the announcement. */
	for (uint32_t class = 0; class < TNI_CLASSES; class ++)
		if (sleep->classes & TNI_CLASS_BIT(class))
			sleep->event[class] = tni_load_acquire32(tni_event_of(house, sleep, class));
	if (house->lanes && sleep->classes & TNI_CLASS_BIT(TNI_CLASS_MESSAGE))
		tni_fetch_or64(&house->lanes->used, UINT64_C(1) << sleep->lane);
	for (uint32_t i = 0; i < house->gates; i++)
		sleep->low[i] = announce(house->gate[i], sleep->classes);
}

void tni_sleep_woken(struct tni_gatehouse *house)
{
	pass_on(house, false);
}

bool tni_sleep_was_called(const struct tni_gatehouse *house, const struct tni_sleep *sleep)
{
	for (uint32_t class = 0; class < TNI_CLASSES; class ++)
		if ((sleep->classes & TNI_CLASS_BIT(class)) &&
		    tni_load_acquire32(tni_event_of(house, sleep, class)) != sleep->event[class])
			return true; /* ORD(event) */
	return false;
}

int tni_sleep_wait(struct tni_gatehouse *house, struct tni_sleep *sleep, int64_t deadline_ns)
{
	int result = wait_any(house, sleep, tni_gatehouse_words(house), deadline_ns);

	if (result > 0)
		tni_sleep_woken(house);
	return result == -EAGAIN ? 0 : result;
}

void tni_sleep_end(struct tni_gatehouse *house, struct tni_sleep *sleep)
{
	for (uint32_t class = 0; class < TNI_CLASSES; class ++)
		if ((sleep->classes & TNI_CLASS_BIT(class)) && asleep_leave(house, class))
			count_and_wake(house, class);
}
