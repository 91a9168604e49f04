/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What the kernel does: futexes, robust lists' pending entries, deaths.  For the models beside it, which say
 * before how many threads there are (N, 4 at most), how many may die (DEATHS) and how many gates there are (GATES).
 *
 * Threads are numbered from 1 and stand for processes of one thread.  Each has a variable `me`, and for waking n, x
 * and enough; a label `woken`; and ends its life by `unless { victim == me }`.
 */

#define TID 7
#define DIED 8
#define WAITERS 16

#define BIT(thread) (1 << ((thread) - 1))
#define OWNER(gate) (low[gate] & TID)

byte low[GATES];     /* of the gates' words: owner, OWNER_DIED, WAITERS */
byte pending[N + 1]; /* gate + 1, or 0 */

byte queued[5];	 /* by thread: the kernel's futex queues, as a set of words */
byte hit;	 /* threads that a wake has hit since they began to queue */
byte asleep;	 /* threads that are blocked */

byte alive, mortal; /* threads that are not gone; of them, those that are not dying yet */
byte victim;
byte deaths = DEATHS;

/* Whom a wake may hit: any of those queued, since their priorities may differ. */
#ifndef MAY_HIT
#define MAY_HIT(thread, word) (queued[thread] & (word))
#endif
/* What else is noted of who is hit, is queued, or leaves. */
#ifndef note_hit
#define note_hit(thread, word)
#define note_queued(word)
#define note_left
#endif

#define wake_one(word) \
	queued[x] = queued[x] & ~(word); \
	hit = hit | BIT(x); \
	note_hit(x, word) \
	asleep = asleep & ~BIT(x); \
	n--

/* futex_wake.  `enough`: as many as asked for. */
#define futex_wake(word, count) \
	atomic { \
		n = count; \
		do \
		:: n > 0 && MAY_HIT(1, word) -> x = 1; wake_one(word) \
		:: n > 0 && MAY_HIT(2, word) -> x = 2; wake_one(word) \
		:: n > 0 && MAY_HIT(3, word) -> x = 3; wake_one(word) \
		:: n > 0 && MAY_HIT(4, word) -> x = 4; wake_one(word) \
		:: else -> break \
		od; \
		enough = (n == 0); x = 0; n = 0 \
	}

/* One entry of futex_waitv: compare and queue. */
#define futex_queue(same, word) \
	atomic { \
		if \
		:: same -> note_queued(word) queued[me] = queued[me] | (word) \
		:: else -> goto woken \
		fi \
	}

#define leave_queues \
	note_left \
	queued[me] = 0; hit = hit & ~BIT(me); asleep = asleep & ~BIT(me)

/* The pending entry of one that died names `gate`; `wakes`: one is to be waked there. */
#define futex_death(gate, wakes) \
	if \
	:: OWNER(gate) == me -> \
		wakes = (low[gate] & WAITERS) != 0; \
		low[gate] = (low[gate] & WAITERS) | DIED; \
		fresh[gate] = 0 \
	:: OWNER(gate) == 0 && WAKES_FOR(gate) -> wakes = 1 \
	:: else \
	fi

/* Seeded: Linux before 6.2 wakes nobody if OWNER_DIED is set already. */
#ifdef OLD_KERNEL
#define WAKES_FOR(gate) (low[gate] == 0)
#else
#define WAKES_FOR(gate) true
#endif

#define may_kill(thread) \
	atomic { deaths > 0 && victim == 0 && (mortal & BIT(thread)) -> deaths--; victim = thread }

proctype killer()
{
	do
	:: may_kill(1)
	:: may_kill(2)
	:: may_kill(3)
	:: may_kill(4)
	od
}
