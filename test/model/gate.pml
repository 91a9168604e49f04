/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The lock-and-wait protocol of the gates, with threads that die by SIGKILL before any step.
 *
 * Senders (threads 1 to NS) want room and work at gate T; receivers (the other NR) want messages and
 * work at gate H.  A gate's word is low (owner, OWNER_DIED, WAITERS: what the kernel compares and
 * changes) and high (flags of the classes that may be asleep); both change in one step, as by one
 * 64-bit compare-and-swap.  A compare-and-swap loop that keeps nothing between its rounds is one step
 * here; where a decision lies between reading and swapping, `fresh` says whether the word, its count
 * of announcements included, is still the one that was read.  In the same way an event counter is
 * the set of threads that would still find the value that they read: no count can wrap.
 *
 * The protocol's steps, by label:
 *
 *	again	 the pending entry names the own gate
 *	lock	 owner 0 -> me; WAITERS if any flag is set or the owner died; contended: read the lock
 *		 event, set the bit, announce, name T as pending, sleep.  Lockers of H announce and
 *		 sleep at T too: a sleeper that the kernel woke at H and that then dies is told of at T,
 *		 its pending gate
 *	locked	 repair if the last owner died; the operation; its commit is one store (head or tail)
 *	unlock	 count up the events of all classes that may now go on, then release; if the word has
 *		 changed since the flags were read, from the start; then wake.  Counting must come first:
 *		 else one that dies after the release leaves no trace for a sleeper that has looked for
 *		 work already and is not queued yet
 *	rest	 pending names T; read the event, announce at both gates, look once more,
 *		 then futex_waitv on T, H, event.  The event must be the last: entries are compared and
 *		 queued one after the other, and a wake by the kernel at a gate where the thread is not
 *		 queued yet is made up for by the event's later comparison only
 *	woken	 whatever woke it: for both gates, T first, pass on to lockers of a gate without owner,
 *		 and repair the gate if its owner died (lockers do not: they wake one of each other
 *		 class, which does)
 *	dying	 the kernel: leaves all futex queues, then looks at the pending gate's low half
 *
 * Safety: whenever no thread can go on, none sleeps for what is there; no message that was
 * acknowledged is missing, none is received twice; nobody works at a gate that it does not own; what
 * lies under a gate is consistent when its lock is taken.  Liveness (-DNP): no endless retrying,
 * between one sender and one receiver; two that lock the same gate only to find nothing can keep each
 * other from falling asleep.
 *
 * Switches with a comment "Seeded" break the protocol, and each must be found.
 */

#ifndef NS
#define NS 1
#endif
#ifndef NR
#define NR 1
#endif
#ifndef MSGS
#define MSGS 1 /* each sender sends */
#endif
#ifndef CAP
#define CAP 1
#endif
#ifndef FILL
#define FILL 0 /* messages there are from the start */
#endif
#ifndef DEATHS
#define DEATHS 1
#endif
#define N (NS + NR)
#define GATES 2

#include "futex.pml"

#define T 0
#define H 1

/* Classes, as flags in a gate's high half and as sets of words that a thread is queued on. */
#define LOCK_T 1
#define LOCK_H 2
#define MESSAGE 4
#define ROOM 8
#define WORD_T 16
#define WORD_H 32
#define INDEX(class) ((class) == LOCK_T -> 0 : ((class) == LOCK_H -> 1 : ((class) == MESSAGE -> 2 : 3)))

#define LOCK(gate) (LOCK_T << (gate))
#define WORD(gate) (WORD_T << (gate))
#define WANTED (ROOM >> side)
#define AVAILABLE (tail - head)
#define FREE (CAP - AVAILABLE)

byte high[2];
byte fresh[2];	 /* by gate: threads for which a compare-and-swap would succeed */
byte event[4];	 /* by class: threads for which the counter is still what they read */
byte calm[2];	 /* by gate: threads since whose release nobody has announced */
byte bits[2];	 /* by class: threads that say that they may be asleep */

byte head, tail; /* the queue */
byte echo[2];	 /* a second word under each gate, to be repaired: must equal tail, head */
byte slot[CAP];
byte acknowledged, received; /* sets of messages */

/* Seeded: no WAITERS for the kernel when a sleeper announces at an owned gate. */
#ifdef NO_WAITERS
#define MARK_WAITERS false
#else
#define MARK_WAITERS true
#endif

/* Seeded: a flag is cleared although somebody announced meanwhile. */
#ifdef CLEAR_BLINDLY
#define MAY_CLEAR(gate) true
#else
#define MAY_CLEAR(gate) (calm[gate] & BIT(me))
#endif

/* One step of a sleeper's announcement at a gate. */
#define announce(gate, class) \
	high[gate] = high[gate] | (class); \
	fresh[gate] = 0; calm[gate] = 0; \
	if \
	:: MARK_WAITERS && OWNER(gate) -> low[gate] = low[gate] | WAITERS \
	:: else \
	fi; \
	seen[gate] = low[gate]

#define count_up(class) event[INDEX(class)] = 0
#define read_event(class) event[INDEX(class)] = event[INDEX(class)] | BIT(me)

#define forget_readings \
	event[0] = event[0] & ~BIT(me); event[1] = event[1] & ~BIT(me); \
	event[2] = event[2] & ~BIT(me); event[3] = event[3] & ~BIT(me)
/* Seeded: the event is counted up when it is waked, behind the release. */
#ifdef EVENT_AFTER_RELEASE
#define count_before(owed, class) \
	if \
	:: (flags & (class)) && !(owed) -> flags = flags & ~(class) \
	:: else \
	fi;
#define count_after(class) count_up(class)
#else
#define count_before(owed, class) \
	if \
	:: (flags & (class)) && (owed) -> count_up(class) \
	:: else -> flags = flags & ~(class) \
	fi;
#define count_after(class) skip
#endif

/* After a wake that found fewer than it could use: the flag goes unless somebody announced since the
 * release.  Whoever announced before has read the event before it was counted up, and will not sleep. */
#ifdef CLEARING
#define clear(class) \
	atomic { \
		if \
		:: !enough && MAY_CLEAR(g) -> high[g] = high[g] & ~(class); fresh[g] = 0 \
		:: else \
		fi; \
		enough = 0 \
	}
#else
#define clear(class) enough = 0
#endif

/* Where nothing was owed, the flag goes in the same way if nobody says that it may be asleep.  Seeded: without
 * asking. */
#ifdef DROP_BLINDLY
#define NOBODY(class) true
#else
#define NOBODY(class) (bits[INDEX(class) - 2] == 0)
#endif
#ifdef CLEARING
#define drop(class) \
	atomic { \
		if \
		:: (unowed & (class)) && NOBODY(class) && MAY_CLEAR(g) -> \
			high[g] = high[g] & ~(class); fresh[g] = 0 \
		:: else \
		fi \
	}
#else
#define drop(class) skip
#endif

/* Of what was seen to be owed when the events were counted, and no more. */
#define serve(class, count) \
	if \
	:: flags & (class) -> \
		count_after(class); \
		futex_wake(class, count); \
		clear(class) \
	:: else \
	fi

#define pass_on(class) \
	if \
	:: high[at] & (class) -> count_up(class); futex_wake(class, 1); enough = 0 \
	:: else \
	fi

proctype thread(byte me; bit side)
{
	byte seen[2];
	byte flags, unowed, n, x, sent, messages, room;
	bit g;		/* the gate that is being locked or is held */
	bit at;		/* the gate that is looked at after waking */
	bit died;	/* the last owner died */
	bit repairing;	/* the lock is for repair only */
	bit locker;	/* asleep as a locker */
	bit done;	/* the operation succeeded */
	bit enough;

	{
		skip;
again:		atomic {
			if
			:: side == T && sent == MSGS -> mortal = mortal & ~BIT(me); goto gone
			:: else
			fi;
			pending[me] = side + 1; g = side
		}

lock:		atomic {
			if
			:: OWNER(g) == 0 ->
				died = (low[g] & DIED) != 0;
				low[g] = me | ((high[g] || died) -> WAITERS : 0);
				fresh[g] = 0;
				goto locked
			:: OWNER(g) && repairing -> repairing = 0; goto looked
			:: else
			fi
		}
		read_event(LOCK(g));
		locker = 1;
		atomic {
			if
			:: OWNER(g) == 0 -> goto woken
			:: else -> announce(g, LOCK(g))
			fi
		}
#ifdef LOCKERS_AT_ONE_GATE /* Seeded: lockers of H are not told of what is told at T. */
		futex_queue(low[g] == seen[g], WORD(g));
#else
		if
		:: g == H ->
			atomic { announce(T, LOCK_H) }
			pending[me] = T + 1
		:: else
		fi;
		futex_queue(low[T] == seen[T], WORD_T);
		if
		:: g == H -> futex_queue(low[H] == seen[H], WORD_H)
		:: else
		fi;
#endif
		futex_queue(event[INDEX(LOCK(g))] & BIT(me), LOCK(g));
		goto sleep;

locked:		assert(OWNER(g) == me);
#ifndef NO_REPAIR /* Seeded. */
		if
		:: died -> echo[g] = (g == T -> tail : head)
		:: else
		fi;
#endif
		died = 0;
		assert(echo[g] == (g == T -> tail : head));
		if
		:: !repairing && side == T && FREE > 0 ->
#ifdef PUBLISH_BEFORE_WRITE /* Seeded. */
			tail++;
			slot[(tail - 1) % CAP] = (me - 1) * MSGS + sent;
#else
			slot[tail % CAP] = (me - 1) * MSGS + sent;
			tail++;
#endif
			assert(OWNER(T) == me);
			echo[T] = tail;
			done = 1
		:: !repairing && side == H && AVAILABLE > 0 ->
			d_step {
				assert(!(received & (1 << slot[head % CAP])));
				received = received | (1 << slot[head % CAP]);
				head++
			}
			assert(OWNER(H) == me);
			echo[H] = head;
			done = 1
		:: else
		fi;

unlock:		atomic {
			flags = high[g];
			fresh[g] = fresh[g] | BIT(me);
			calm[g] = calm[g] | BIT(me);
			count_before(g == T || OWNER(T) == 0, LOCK_T)
			count_before(g == H || OWNER(H) == 0, LOCK_H)
#ifdef OWN_WAKES_ONLY /* Seeded: wakes only for what this operation itself did. */
			count_before(AVAILABLE > 0 && g == T && done, MESSAGE)
			count_before(FREE > 0 && g == H && done, ROOM)
#else
			count_before(AVAILABLE > 0, MESSAGE)
			count_before(FREE > 0, ROOM)
#endif
			unowed = high[g] & ~flags;
			messages = AVAILABLE; room = FREE
		}
		atomic {
			if
			:: fresh[g] & BIT(me) -> low[g] = 0; fresh[g] = 0
			:: else -> goto unlock
			fi
		}
#ifdef PENDING_ENDS_EARLY /* Seeded. */
		pending[me] = 0;
#endif
		serve(LOCK_T, 1);
		serve(LOCK_H, 1);
		serve(MESSAGE, messages);
		serve(ROOM, room);
		drop(MESSAGE);
		drop(ROOM);
		unowed = 0; flags = 0; messages = 0; room = 0; calm[g] = calm[g] & ~BIT(me);
		if
		:: repairing -> repairing = 0; goto looked
		:: done ->
			d_step {
				done = 0;
				pending[me] = 0;
				if
				:: side == T ->
					acknowledged = acknowledged | (1 << ((me - 1) * MSGS + sent));
					sent++
				:: else
				fi
			}
progress:		goto again
		:: else
		fi;

#ifdef ASLEEP_UNCOVERED /* Seeded. */
		pending[me] = 0;
#else
		pending[me] = T + 1;
#endif
		bits[INDEX(WANTED) - 2] = bits[INDEX(WANTED) - 2] | BIT(me);
		read_event(WANTED);
		atomic { announce(T, WANTED) }
#ifndef AT_OWN_GATE_ONLY
		atomic { announce(H, WANTED) }
#endif
		if
		:: (seen[T] | seen[H]) & DIED -> goto woken
		:: else
		fi;
#ifndef NO_SECOND_LOOK /* Seeded. */
		if
		:: (side == T -> FREE > 0 : AVAILABLE > 0) -> goto woken
		:: else
		fi;
#endif
#ifdef EVENT_FIRST /* Seeded. */
		futex_queue(event[INDEX(WANTED)] & BIT(me), WANTED);
#endif
		futex_queue(low[T] == seen[T], WORD_T);
#ifndef AT_OWN_GATE_ONLY /* Seeded: all sleep at T only. */
		futex_queue(low[H] == seen[H], WORD_H);
#endif
#ifndef EVENT_FIRST
		futex_queue(event[INDEX(WANTED)] & BIT(me), WANTED);
#endif

sleep:		atomic {
			seen[T] = 0; seen[H] = 0;
			if
			:: hit & BIT(me)
			:: else -> asleep = asleep | BIT(me); (hit & BIT(me)) != 0
			fi
		}

woken:		atomic {
			leave_queues; forget_readings;
			bits[0] = bits[0] & ~BIT(me); bits[1] = bits[1] & ~BIT(me);
			seen[T] = 0; seen[H] = 0; at = T
		}
look:		if
		:: OWNER(at) == 0 ->
#ifndef NO_PASSING_ON /* Seeded. */
			pass_on(LOCK(at));
#endif
			if
			:: (low[at] & DIED) && !locker ->
				atomic { g = at; repairing = 1; pending[me] = g + 1; goto lock }
			:: (low[at] & DIED) && locker ->
				pass_on(MESSAGE);
				pass_on(ROOM)
			:: else
			fi
		:: else
		fi;
looked:		atomic {
			if
			:: at == T -> at = H; goto look
			:: else -> at = T
			fi;
			if
			:: locker -> locker = 0; pending[me] = g + 1; goto lock
			:: else -> goto again
			fi
		}
	} unless {
		victim == me
	};

	/* Dying. */
	d_step {
		victim = 0; mortal = mortal & ~BIT(me);
		leave_queues; forget_readings;
		fresh[T] = fresh[T] & ~BIT(me); fresh[H] = fresh[H] & ~BIT(me);
		seen[T] = 0; seen[H] = 0; flags = 0; unowed = 0; messages = 0; room = 0; n = 0; x = 0; at = 0; died = 0;
		repairing = 0; locker = 0; done = 0; enough = 0
	}
	if
	:: pending[me] == 0 -> goto gone
	:: else
	fi;
	d_step {
		g = pending[me] - 1;
		futex_death(g, done)
	}
	if
	:: done -> futex_wake(WORD(g), 1)
	:: else
	fi;
gone:	atomic {
		calm[T] = calm[T] & ~BIT(me); calm[H] = calm[H] & ~BIT(me);
		pending[me] = 0; g = 0; done = 0; enough = 0; sent = 0; alive = alive & ~BIT(me)
	}
}

#define is_owed(thread) \
	((alive & BIT(thread)) && \
	 (((queued[thread] & MESSAGE) && AVAILABLE > 0) || \
	  ((queued[thread] & ROOM) && FREE > 0) || \
	  ((queued[thread] & LOCK_T) && OWNER(T) == 0) || \
	  ((queued[thread] & LOCK_H) && OWNER(H) == 0)))

active proctype monitor()
{
	byte i, there;

	atomic {
		i = 0;
		do
		:: i < FILL -> slot[i] = 7 - i; i++
		:: else -> break
		od;
		tail = FILL; echo[T] = FILL;
		alive = (1 << N) - 1; mortal = alive;
		i = 1;
		do
		:: i <= N -> run thread(i, i > NS); i++
		:: else -> break
		od;
		i = 0;
		run killer()
	}
end:	do
	:: d_step {
			alive == asleep && victim == 0 ->
			assert(!is_owed(1)); assert(!is_owed(2));
			assert(!is_owed(3)); assert(!is_owed(4));
			there = received; i = head;
			do
			:: i < tail -> there = there | (1 << slot[i % CAP]); i++
			:: else -> break
			od;
			assert((acknowledged & ~there) == 0);
			i = 0; there = 0
		}
progress:	skip
	od
}
