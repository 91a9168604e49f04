/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A semaphore in 32 bytes that the program gives, wherever they lie: there is no file, no row and no stake, and nobody
 * knows who uses it.  Still, whoever is killed, at whatever instruction, costs nobody else a wake.
 *
 * A thread sleeps, with one futex_waitv(2), on the word `kernel` and then on `event`.  The living wake by the event.  `kernel`
 * has no owner ever, and is what the pending entry of a thread's robust list names while it may owe a wake or may have
 * been given one; if it dies then, the kernel wakes one who sleeps there.
 *
 *	post	P1 pending entry			dies: a sleeper looks in vain
 *		P2 event counted up			dies: the same
 *		P3 one more; SLEEPERS taken away,	dies: the kernel wakes one
 *		   if `sleepers` is 1
 *		P4 wakes one by the event		dies: the same, one too many
 *		P5 pending entry put back
 *	wait	W1 pending entry, sleepers + 1		dies: `sleepers` stays too high
 *		W2 event read
 *		W3 announced: SLEEPERS, epoch + 1	dies: a wake in vain
 *		W4 asleep
 *		W5 woken				dies: the kernel wakes another
 *		W6 one less; SLEEPERS set if others	dies: the same
 *		   may be asleep
 *		W7 wakes one, if W6 has left some
 *		   and others may be asleep
 *		W8 sleepers - 1, pending entry put back
 *
 * Who finds one without waiting changes the word and no more (W6 alone), and so does who posts while SLEEPERS is not
 * set (P3): neither owes anything.
 *
 * Somebody is *charged* who has taken SLEEPERS away and not yet woken (P3 to P4), who has been woken and not yet done W6 or W3
 * again, or who has to do W7.  The invariants, for every moment:
 *
 *	I1 if the count is above 0 and somebody is asleep, a living thread is charged
 *	I2 if SLEEPERS is not set and somebody is asleep, a living thread is charged
 *
 * Why they hold:
 *	- To sleep, one has announced in a word with the count 0 (W3), and so set SLEEPERS.  P3 is the only step that takes it
 *	  away, and what makes the count more than 0; so whoever takes the count above 0 with somebody announced has done P2
 *	  behind the other's W2 and before P3: the other is in the kernel's queues already, or will not sleep (the epoch
 *	  makes a P3 fail that was prepared before an announcement).
 *	- Each wake makes its sleeper charged, or hits one who is charged already.  Whoever is charged ends with a wake (P4,
 *	  W7), with the count 0 and SLEEPERS set (W3; W6 when others may be asleep), or dies, and then the kernel wakes one at
 *	  `kernel`.  That a wake hits one who is charged already does no harm: who was woken and leaves some wakes the next.
 *	- Who is told of a time-out, of a signal, or that he is cancelled does what W6 and W7 do but for taking: he might
 *	  have been woken all the same.
 *	- `sleepers` is never too low: who is asleep has counted itself before W3.  After somebody was killed asleep it
 *	  is too high, which costs posts a wake in vain from then on, as it does with glibc's semaphores.
 *
 * `test/model/semaphore_memory.pml` is a model of all this, with deaths before every step; each of W1's count, W2 before W3, the
 * epoch, P1, P2 before P3, W6 and W7, also of who gives up, is left out there once, and missed.
 *
 * P4 touches nothing but the address of `event`: as soon as P3 is done, somebody may have taken the one and freed the memory.
 *
 * Where another call interrupts one of these, in a signal handler, the thread has the pending entry of the inner one
 * meanwhile: who is killed there may owe the wake of the outer one.  And where the kernel has no futex_waitv(2), sleepers look
 * ten times a second.
 *
 * Hostile bytes: whatever the words say, every loop ends or sleeps as long as nobody writes them again and again, and
 * with a deadline also then; counts may be wrong, and sleepers sleep on.
 *
 * ORD count: what was done before P3 is released by it, and acquired by who takes.  `sleepers` was counted before W3 and is
 * read behind the load that saw it.
 *
 * The event is read, counted and compared as in core/gate.c, whose ORD(event) it is.
 */

#include "posix/semaphore_memory.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/fault.h"
#include "core/manner.h"
#include "core/thread.h"

/* As at turnstiles: object/turnstile_wait.c. */
#define SPIN_FULL_NS 50000u
#define SPIN_LEAST_NS 500u
#define WAIT_SHORT_NS 100000
#define SPIN_BURST 48u
#define BLIND_NS (100 * TNI_MILLISECOND_NS)

static void wake_one(struct tni_posix_semaphore *semaphore)
{
	if (TNI_FAULT(TNI_FAULT_NO_WAKE))
		return;
	syscall(SYS_futex, &semaphore->event, FUTEX_WAKE, 1, NULL, NULL, 0);
}

/* SLEEPERS, if somebody else than the caller may be asleep. */
static uint64_t others(const struct tni_posix_semaphore *semaphore)
{
	return tni_get32(&semaphore->sleepers) > 1 ? TNI_POSIX_SLEEPERS : 0;
}

/* W6 and W7. */
static bool take(struct tni_posix_semaphore *semaphore)
{
	uint64_t word = tni_load_acquire64(&semaphore->word), next; /* ORD(count) */

	do {
		if ((word & TNI_POSIX_VALUE) == 0)
			return false;
		next = (word - 1) | others(semaphore);
	} while (!tni_cas64(&semaphore->word, &word, next)); /* ORD(count) */
	if ((next & TNI_POSIX_VALUE) != 0 && (next & TNI_POSIX_SLEEPERS))
		wake_one(semaphore);
	return true;
}

/* The same of one who takes nothing. */
static void hand_on(struct tni_posix_semaphore *semaphore)
{
	uint64_t word = tni_load_acquire64(&semaphore->word), next; /* ORD(count) */

	do
		next = word | others(semaphore);
	while (next != word && !tni_cas64(&semaphore->word, &word, next));
	if ((next & TNI_POSIX_VALUE) != 0 && (next & TNI_POSIX_SLEEPERS))
		wake_one(semaphore);
}

/* W3.  False: there is one to take. */
static bool announce(struct tni_posix_semaphore *semaphore)
{
	uint64_t word = tni_load_acquire64(&semaphore->word), next; /* ORD(count) */

	do {
		if ((word & TNI_POSIX_VALUE) != 0)
			return false;
		next = ((word + TNI_POSIX_EPOCH_ONE) & TNI_POSIX_EPOCH) | TNI_POSIX_SLEEPERS;
	} while (!tni_cas64(&semaphore->word, &word, next)); /* ORD(count) */
	return true;
}

/* Without futex_waitv(2). */
static int sleep_blindly(struct tni_posix_semaphore *semaphore, uint32_t event, int64_t deadline_ns)
{
	int64_t soon = tni_clock_ns(CLOCK_MONOTONIC) + BLIND_NS;
	struct timespec at = tni_timespec(soon < deadline_ns ? soon : deadline_ns);

	if (syscall(SYS_futex, &semaphore->event, FUTEX_WAIT_BITSET, event, &at, NULL,
		    FUTEX_BITSET_MATCH_ANY) == 0)
		return 0;
	return errno == EINTR ? -EINTR : -EAGAIN;
}

/* W4.  What woke it does not matter. */
static int sleep_once(struct tni_posix_semaphore *semaphore, uint32_t event, int64_t deadline_ns)
{
	struct futex_waitv words[2] = {
		{.val = tni_get32(&semaphore->kernel),
		 .uaddr = (uintptr_t)&semaphore->kernel,
		 .flags = FUTEX_32},
		{.val = event, .uaddr = (uintptr_t)&semaphore->event, .flags = FUTEX_32},
	};
	int result = tni_words_wait(words, 2, deadline_ns, true);

	return result == -ENOSYS ? sleep_blindly(semaphore, event, deadline_ns) : result;
}

/* Whether there is one to take, after a while that is worth it. */
static bool spin(const struct tni_posix_semaphore *semaphore, int64_t now_ns, int64_t deadline_ns)
{
	uint32_t ns = tni_get32(&semaphore->spin_ns);
	int64_t end_ns = now_ns + (ns == 0 || ns > SPIN_FULL_NS ? SPIN_FULL_NS : ns);

	if (end_ns > deadline_ns)
		end_ns = deadline_ns;
	while (now_ns < end_ns) {
		uint32_t cpu = tni_get32(&semaphore->cpu);

		if (cpu == 0 || cpu == tni_cpu())
			return false;
		for (uint32_t i = 0; i < SPIN_BURST; i++) {
			if ((tni_get64(&semaphore->word) & TNI_POSIX_VALUE) != 0)
				return true;
			tni_pause();
		}
		now_ns = tni_clock_ns(CLOCK_MONOTONIC);
	}
	return false;
}

static void learn(struct tni_posix_semaphore *semaphore, int64_t waited_ns)
{
	uint32_t ns = tni_get32(&semaphore->spin_ns);

	if (waited_ns < WAIT_SHORT_NS || ns > SPIN_FULL_NS)
		ns = SPIN_FULL_NS;
	else if (ns == 0)
		ns = SPIN_FULL_NS / 2;
	else if (ns > SPIN_LEAST_NS)
		ns /= 2;
	tni_set32(&semaphore->spin_ns, ns);
}

/* W2 to W7. */
static int wait_asleep(struct tni_posix_semaphore *semaphore, int64_t deadline_ns)
{
	int result = 0;

	for (;;) {
		/* ORD(event): read before the announcement. */
		uint32_t event = tni_load_acquire32(&semaphore->event);

		if (result != -ECANCELED && take(semaphore))
			return 0;
		if (result == -ETIMEDOUT || result == -EINTR || result == -ECANCELED)
			break;
		if (!announce(semaphore))
			continue;
		result = sleep_once(semaphore, event, deadline_ns);
		/* Who writes to the words again and again does not put the end off. */
		if (result == -EAGAIN && tni_clock_ns(CLOCK_MONOTONIC) >= deadline_ns)
			result = -ETIMEDOUT;
		if (result < 0 && result != -EAGAIN && result != -EINTR && result != -ETIMEDOUT &&
		    result != -ECANCELED)
			break;
	}
	hand_on(semaphore);
	return result;
}

int tni_posix_semaphore_wait(struct tni_posix_semaphore *semaphore, int64_t deadline_ns)
{
	int64_t start_ns = tni_clock_ns(CLOCK_MONOTONIC);
	struct tni_thread *thread;
	void *pending;
	int result;

	if (start_ns >= deadline_ns)
		return tni_posix_semaphore_try(semaphore) ? 0 : -ETIMEDOUT;
	if (spin(semaphore, start_ns, deadline_ns) && tni_posix_semaphore_try(semaphore))
		return 0;
	thread = tni_thread_self();
	pending = tni_pending_get(thread);
	tni_pending_set(thread, &semaphore->kernel);
	tni_fetch_add32(&semaphore->sleepers, 1);
	result = wait_asleep(semaphore, deadline_ns);
	tni_fetch_add32(&semaphore->sleepers, UINT32_MAX);
	tni_pending_put(thread, pending);
	learn(semaphore, tni_clock_ns(CLOCK_MONOTONIC) - start_ns);
	return result;
}

int tni_posix_semaphore_post(struct tni_posix_semaphore *semaphore)
{
	uint64_t word = tni_load_acquire64(&semaphore->word), next; /* ORD(count) */
	struct tni_thread *thread = NULL;
	void *pending = NULL;
	int result = 0;

	do {
		if ((word & TNI_POSIX_VALUE) >= TNI_POSIX_VALUE_MAX) {
			result = -EOVERFLOW;
			break;
		}
		next = word + 1;
		if (!others(semaphore))
			next &= ~TNI_POSIX_SLEEPERS;
		if (word & TNI_POSIX_SLEEPERS) {
			if (!thread) {
				thread = tni_thread_self();
				pending = tni_pending_get(thread);
				tni_pending_set(thread, &semaphore->kernel);
			}
			tni_fetch_add32(&semaphore->event, 1); /* ORD(event) */
		}
	} while (!tni_cas64(&semaphore->word, &word, next)); /* ORD(count) */
	if (result == 0 && (word & TNI_POSIX_SLEEPERS))
		wake_one(semaphore);
	if (thread)
		tni_pending_put(thread, pending);
	return result;
}
