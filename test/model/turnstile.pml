/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Turnstiles (src/object/turnstile.c), with threads that die by SIGKILL before any step: semaphores, events (AUTO,
 * MANUAL) and conditions (CONDITION).  As in gate.pml a count that is only compared with what was read is the set of
 * threads that would still find it: the event counter (`event`), the word for a compare-and-swap (`unchanged`), its
 * count of announcements (`calm`), the value that who waits for a condition has noted (`changed`).
 *
 * Threads wait once each, or let pass, or have the gate for a moment, as who changes a claim has.  A condition's lock is
 * not here: it is robust, nobody sleeps with it, and all that matters is that who waits does some more steps behind its
 * wait before its claim goes.
 *
 * A row is a bit in `owing`: its process owes wakes, or waits; for a condition there are `claims`, too.  All hold
 * stakes.  A dying process is told of by its stake, then by its pending entry, and can be buried only when its files are
 * closed behind that (`buried`).  A sleeper that finds a row without a stake to sleep on, since the kernel has marked it
 * or there is none, looks from time to time (`blind`), which is in vain until then (MAY_LOOK).  Whoever buries has the
 * gate, changes the word for a claim, and wakes all for the rest.
 *
 * Steps, by label: let (L1), owe (L1 to L5), stand, announce, sleep and woken (W1 to W4), pass and passed (W5, W6);
 * bring_back, and lock to unlock: a dead one's claim (C1 to C6) and row.  Before: who attaches holds its stake, and then
 * looks whether anybody slept already (LATE); those it wakes before it owes or waits (tell_of_stake).
 *
 * Safety: whenever no thread can go on, none sleeps that may pass, and none for a gate without owner; of a condition
 * as many have returned as were signalled, or all who waited then.  Nothing else blocks.
 *
 * Switches with a comment "Seeded" break the protocol, and each must be found.  What each rule is for, and the case that
 * loses a wake without it:
 *
 *	stakes and rows: a wake by the event hides one by the gate, since futex_waitv(2) tells of the last that
 *	hit; whoever was hit by both does not wake the others, as a dead one's wake asks for
 *							-DPENDING_ONLY -DTIMES=2
 *	the same: who dies while a living one has the gate is not told of by its pending entry, since the
 *	kernel finds an owner, who wakes nobody; and without owner the wake may hit a locker, who does not hand
 *	it on						-DPENDING_ONLY -DWAITS=1 -DLOCKS=1
 *	rows, and that burying wakes all: the sleeper that the stake's one wake hits was woken by the event,
 *	too, and may not pass, but another may		-DNO_OWING (or -DNO_BURYING) -DWIDE=1 -DLATE=2
 *	waking all when somebody has announced since: a sleeper of a higher priority, who came behind the change
 *	of the word and may not pass, gets the wake that is due to one who may
 *							-DNO_WAKE_AGAIN -DWIDE=1 -DDEATHS=0 -DANY_ORDER
 *	telling of a stake: who slept before does not have it in its vector
 *							-DNO_TELLING -DNO_PENDING -DWAITS=1 -DLATE=2
 *
 * Where neither stake nor row can be had there are the pending entries (PENDING_ONLY), which do for simple cases; where
 * there is no stake but a row (NO_STAKE), they and looking from time to time.
 */

#ifndef WAITS
#define WAITS 2 /* threads that wait, once each */
#endif
#ifndef LETS
#define LETS 1 /* threads that let pass */
#endif
#ifndef TIMES
#define TIMES 1 /* each of them */
#endif
#ifndef LOCKS
#define LOCKS 0 /* threads that have the gate, once each, and change nothing */
#endif
#ifndef DEATHS
#define DEATHS 1
#endif
#ifdef PENDING_ONLY
#define NO_STAKE
#define NO_OWING
#define NO_WAITING
#endif
#ifndef LATE
#define LATE 0 /* threads that attach while others sleep */
#endif
#define N (WAITS + LETS + LOCKS)
#define GATES 1
#define G 0

#define WAITER 0
#define LETTER 1
#define LOCKER 2

/* Words of futexes, as a set. */
#define WORD 1
#define EVENT 2
#define LOCK 4
#define STAKE(thread) (LOCK << (thread))

/* ANY_ORDER: of different priorities. */
#ifdef ANY_ORDER
#define note_queued(word)
#define note_order(thread)
#else
/* Of threads of the same priority the one that queued first is hit. */
#define MAY_HIT(thread, word) ((queued[thread] & (word)) && ((word) != EVENT || older[thread] == 0))
#define note_queued(word) \
	if \
	:: (word) == EVENT -> \
		older[me] = ((queued[1] & EVENT) >> 1) | (queued[2] & EVENT) | \
			    ((queued[3] & EVENT) << 1) | ((queued[4] & EVENT) << 2) \
	:: else \
	fi;
#define note_order(thread) \
	older[1] = older[1] & ~BIT(thread); older[2] = older[2] & ~BIT(thread); \
	older[3] = older[3] & ~BIT(thread); older[4] = older[4] & ~BIT(thread);
byte older[5]; /* by thread: who queued on the event before it */
#endif

#define note_hit(thread, word) \
	if \
	:: (word) == EVENT -> by_event = by_event | BIT(thread); note_order(thread) \
	:: else \
	fi;
#define note_left \
	by_event = by_event & ~BIT(me); note_order(me)

byte by_event; /* threads that a wake has hit at the event: the last in the vector, and so what they are told */

#include "futex.pml"

#define ALL ((1 << N) - 1)
#define MESSAGE 1
#define LOCKERS 2

byte high;	/* the gate's flags */
byte fresh[1];	/* threads for which a compare-and-swap at the gate would succeed */
byte event, lock_event; /* threads for which the counter is still what they read */

/* The word. */
byte value;
bit sleepers, wide;
byte claiming;	/* whose claim is about to go, or 0 */
byte unchanged; /* threads for which a compare-and-swap would succeed */
byte calm;	/* threads since whose reading nobody has announced */

byte owing;	/* rows that say that their process owes wakes, or waits */
byte staked, marked; /* stakes that are held; that the kernel has marked */
byte buried;	/* participants that can be buried: dead, its file locks gone, and nobody is at it; who
		 * helps one who does not go on is not in the model: test/crash/burial.c */
byte blind;	/* sleepers that look from time to time: of somebody in `ROWS` they have no stake */

#ifdef CONDITION
byte claims;	/* rows that say that their process waits for a condition */
#define ROWS (owing | claims)
byte changed;	/* threads whose value is not the noted one any more */
byte waiting;	/* who has noted and not returned: in the memory of nobody */
byte owed;	/* how many of these are to return yet */
#define COUNT(set) (((set) & 1) + (((set) >> 1) & 1) + (((set) >> 2) & 1) + (((set) >> 3) & 1))
#define limit_owed \
	if \
	:: owed > COUNT(waiting) -> owed = COUNT(waiting) \
	:: else \
	fi
#define MAY_PASS(thread) (changed & BIT(thread))
#define pass_it skip
#define GAIN 1
#define change_it changed = ALL; owed++; limit_owed
#else
#define ROWS owing
#endif
#ifdef CONDITION
#elif defined(AUTO)
#define MAY_PASS(thread) (value == 1)
#define pass_it value = 0
#define GAIN (1 - value)
#define change_it value = 1
#elif defined(MANUAL)
#define MAY_PASS(thread) (value == 1)
#define pass_it skip
#define GAIN (value == 1 -> 0 : N)
#define change_it value = 1
#else
#define WANTED(thread) ((thread) <= WIDE -> 2 : 1)
#ifndef WIDE
#define WIDE 0
#endif
#define MAY_PASS(thread) (value >= WANTED(thread))
#define pass_it value = value - WANTED(me)
#define GAIN 1
#define change_it value++
#endif
#ifndef WIDE
#define WANTED(thread) 1
#endif

#define count_up event = 0
#define wake_all count_up; futex_wake(EVENT, N); enough = 0

/* Who has slept before it held its stake takes it into its vector. */
#define tell_of_stake \
	if \
	:: !known -> known = 1; wake_all \
	:: else \
	fi

/* Seeded: flags go although somebody announced meanwhile. */
#ifdef CLEAR_BLINDLY
#define MAY_CLEAR true
#else
#define MAY_CLEAR (calm & BIT(me))
#endif
#define drop_flags \
	atomic { \
		if \
		:: !enough && MAY_CLEAR && sleepers -> sleepers = 0; wide = 0; unchanged = 0 \
		:: else \
		fi; \
		enough = 0 \
	}

#define back_to(label, number) :: then == number -> then = 0; goto label

/* Who is to die does so at once: later is the same as being chosen later. */
proctype thread(byte me; byte role) provided (victim == 0 || victim == _pid)
{
	byte seen, n, x, count, then, vector, row, turn;
	bit died, locker, told, looked, was_told, known, back, enough;

	{
		atomic {
			if
			:: (LATE) & BIT(me)
			:: else ->
				known = 1;
				if
				:: role == LETTER -> goto let
				:: role == LOCKER -> goto lock
				:: else -> goto begin
				fi
			fi
		}
#ifdef TOLD_TOO_EARLY /* Seeded. */
		known = !sleepers;
		staked = staked | BIT(me);
#else
		staked = staked | BIT(me);
		known = !sleepers;
#endif
#ifdef NO_TELLING /* Seeded. */
		known = 1;
#endif
		if
		:: role == LETTER -> goto let
		:: role == LOCKER -> goto lock
		:: else
		fi;

begin:
#ifdef CONDITION
		tell_of_stake;
#ifndef NO_CLAIM /* Seeded. */
		claims = claims | BIT(me);
#endif
		atomic { changed = changed & ~BIT(me); waiting = waiting | BIT(me) }
#endif

pass:		atomic {
			if
			:: MAY_PASS(me) -> pass_it; unchanged = 0; goto passed
			:: known -> goto stand
			:: else
			fi
		}
		tell_of_stake;
stand:		atomic {
			pending[me] = G + 1; looked = 0; was_told = 0;
#ifndef NO_WAITING /* Seeded. */
			owing = owing | BIT(me)
#endif
		}

announce:
#ifndef READ_BEHIND
		event = event | BIT(me);
#endif
		atomic {
			high = high | MESSAGE; fresh[G] = 0;
			low[G] = low[G] | (OWNER(G) -> WAITERS : 0);
			seen = low[G]
		}
		if
		:: (low[G] & DIED) && OWNER(G) == 0 -> then = 1; goto lock
		:: else
		fi;
		atomic {
			if
			:: MAY_PASS(me) -> goto leave
			:: else ->
				sleepers = 1; wide = wide | (WANTED(me) > 1);
				unchanged = 0; calm = 0
			fi
		}
#ifdef READ_BEHIND /* Seeded. */
		event = event | BIT(me);
#endif
		turn = ROWS & ~BIT(me);
		atomic {
			vector = staked & ~BIT(me);
			was_told = was_told || (turn & marked);
			blind = (blind & ~BIT(me)) | ((turn & ~vector) -> BIT(me) : 0);
			turn = 0
		}
		if
		:: !looked -> looked = 1; then = 2; goto bring_back
		:: else
		fi;
gathered:	futex_queue(low[G] == seen, WORD);
		turn = vector;
		do
		:: atomic {
				turn ->
				n = 1;
				do
				:: turn & BIT(n) -> break
				:: else -> n++
				od;
				turn = turn & ~BIT(n);
				if
				:: staked & BIT(n) -> queued[me] = queued[me] | STAKE(n); n = 0
				:: else -> n = 0; goto woken
				fi
			}
		:: else -> break
		od;
		futex_queue(event & BIT(me), EVENT);

sleep:		atomic {
			turn = 0; seen = 0;
			if
			:: hit & BIT(me)
			:: else ->
				asleep = asleep | BIT(me);
				if
				:: hit & BIT(me)
				:: !locker && (blind & BIT(me)) && (ROWS & buried) -> told = 1
				fi
			fi
		}

woken:		atomic {
			turn = 0; seen = 0;
			died = (hit & BIT(me)) && !(by_event & BIT(me));
			if
			:: locker ->
				locker = 0; lock_event = lock_event & ~BIT(me);
				if
				:: hit & BIT(me) -> leave_queues; goto hand_on
				:: else -> leave_queues; died = 0; goto lock
				fi
			:: else
			fi;
			was_told = was_told || died || ((hit & BIT(me)) && (vector & marked));
			told = told || died || ((hit & BIT(me)) && (vector & marked));
			event = event & ~BIT(me);
			leave_queues
		}
#ifdef PENDING_ENDS_EARLY /* Seeded. */
		pending[me] = 0;
#endif
#ifdef WAITING_ENDS_EARLY /* Seeded. */
		owing = owing & ~BIT(me);
#endif
		atomic {
			if
			:: told -> told = 0; then = 3; goto bring_back
			:: else
			fi
		}
looked_again:
		if
#ifndef NO_WAKE_BEHIND_DEATH /* Seeded. */
		:: died -> died = 0; wake_all
#endif
		:: else -> died = 0
		fi;
		goto announce;

leave:		if
		:: (was_told && (blind & BIT(me))) || (vector & marked) -> wake_all
		:: else
		fi;
		atomic { blind = blind & ~BIT(me); vector = 0; was_told = 0; looked = 0; event = event & ~BIT(me) }
		goto pass;

passed:		atomic { owing = owing & ~BIT(me); pending[me] = 0 }
#ifdef CONDITION
		/* The lock is acquired. */
		atomic {
			claims = claims & ~BIT(me); waiting = waiting & ~BIT(me);
			owed = (owed > 0 -> owed - 1 : 0)
		}
#endif
		goto done;

bring_back:	atomic {
			if
			:: ROWS & buried & ~BIT(me) ->
				row = 1;
				do
				:: ROWS & buried & ~BIT(me) & BIT(row) -> break
				:: else -> row++
				od;
				buried = buried & ~BIT(row);
				goto lock
			:: else
			fi
		}
brought:	atomic {
			if
			:: then == 2 && back -> back = 0; then = 0; goto announce
			:: then == 2 -> then = 0; goto gathered
			:: else -> back = 0; then = 0; goto looked_again
			fi
		}

lock:		pending[me] = G + 1;
		atomic {
			if
			:: OWNER(G) == 0 ->
				died = (low[G] & DIED) != 0;
				low[G] = me | ((high || died) -> WAITERS : 0);
				fresh[G] = 0;
				goto locked
			:: else
			fi
		}
		lock_event = lock_event | BIT(me);
		locker = 1;
		atomic {
			if
			:: OWNER(G) == 0 -> goto woken
			:: else ->
				high = high | LOCKERS; fresh[G] = 0;
				low[G] = low[G] | WAITERS;
				seen = low[G]
			fi
		}
		futex_queue(low[G] == seen, WORD);
		futex_queue(lock_event & BIT(me), LOCK);
		goto sleep;

hand_on:	died = 0;
		if
		:: OWNER(G) == 0 && (high & LOCKERS) -> lock_event = 0; futex_wake(LOCK, 1); enough = 0
		:: else
		fi;
		if
		:: (low[G] & DIED) && OWNER(G) == 0 && (high & MESSAGE) -> count_up; futex_wake(EVENT, 1); enough = 0
		:: else
		fi;
		goto lock;

locked:		if
		:: died ->
#ifdef CONDITION
			if
			:: claiming -> claims = claims & ~BIT(claiming); claiming = 0
			:: else
			fi;
#endif
			wake_all
		:: else
		fi;
		died = 0;
#ifdef CONDITION
		if
		:: row && (claims & BIT(row)) ->
change:			atomic { count = (sleepers -> N : 0); unchanged = unchanged | BIT(me); calm = calm | BIT(me) }
			if
			:: count -> count_up
			:: else
			fi;
			atomic {
				if
				:: unchanged & BIT(me) -> changed = ALL; claiming = row; unchanged = 0
				:: else -> goto change
				fi
			}
			claims = claims & ~BIT(row);
			atomic { claiming = 0; unchanged = 0 }
			if
			:: count -> futex_wake(EVENT, count); drop_flags
			:: else
			fi;
			count = 0; calm = calm & ~BIT(me)
		:: else
		fi;
#endif
#ifndef NO_BURYING /* Seeded. */
		if
		:: row && (owing & BIT(row)) ->
#ifdef CLEARED_BEFORE_WAKE /* Seeded. */
			owing = owing & ~BIT(row);
			wake_all
#else
			wake_all;
			owing = owing & ~BIT(row)
#endif
		:: else
		fi;
#endif
unlock:		atomic { turn = high & LOCKERS; fresh[G] = fresh[G] | BIT(me) }
		if
		:: turn -> lock_event = 0
		:: else
		fi;
		atomic {
			if
			:: fresh[G] & BIT(me) -> low[G] = 0; fresh[G] = 0
			:: else -> goto unlock
			fi
		}
		if
		:: turn -> futex_wake(LOCK, 1); enough = 0
		:: else
		fi;
		turn = 0;
		if
		back_to(announce, 1)
		:: then >= 2 -> row = 0; back = 1; goto bring_back
		:: role == LOCKER -> pending[me] = 0; goto done
		fi;

let:		atomic {
			unchanged = unchanged | BIT(me); calm = calm | BIT(me);
			count = (sleepers -> ((GAIN) && wide -> N : (GAIN)) : 0);
			if
			:: count == 0 ->
				change_it; unchanged = 0; calm = calm & ~BIT(me);
				goto let_pass
			:: else
			fi
		}
		atomic {
#ifndef NO_PENDING /* Seeded. */
			pending[me] = G + 1;
#endif
			if
			:: known -> goto owe
			:: else
			fi
		}
		tell_of_stake;
owe:
#ifndef NO_OWING /* Seeded. */
		owing = owing | BIT(me);
#endif
#ifndef EVENT_BEHIND
		count_up;
#endif
		atomic {
			if
			:: unchanged & BIT(me) -> change_it; unchanged = 0
			:: else -> goto let
			fi
		}
#ifdef EVENT_BEHIND /* Seeded. */
		count_up;
#endif
		futex_wake(EVENT, count);
#ifndef NO_WAKE_AGAIN /* Seeded. */
		if
		:: enough && !(calm & BIT(me)) -> wake_all; enough = 1
		:: else
		fi;
#endif
		drop_flags;
		count = 0; calm = calm & ~BIT(me);
let_pass:	atomic {
			owing = owing & ~BIT(me); pending[me] = 0;
			turn++;
			if
			:: turn < TIMES -> goto let
			:: else -> goto done
			fi
		}

done:		atomic { mortal = mortal & ~BIT(me); goto gone }
	} unless {
		victim == me
	};

	/* Dying. */
	d_step {
		victim = 0; mortal = mortal & ~BIT(me);
		leave_queues; event = event & ~BIT(me); lock_event = lock_event & ~BIT(me);
		fresh[G] = fresh[G] & ~BIT(me); unchanged = unchanged & ~BIT(me);
		blind = blind & ~BIT(me);
#ifdef CONDITION
		waiting = waiting & ~BIT(me);
		limit_owed;
#endif
		seen = 0; n = 0; x = 0; count = 0; then = 0; vector = 0; turn = 0;
		died = 0; locker = 0; told = 0; looked = 0; was_told = 0; known = 0; back = 0; enough = 0
	}
	if
	:: staked & BIT(me) ->
		atomic { staked = staked & ~BIT(me); marked = marked | BIT(me) }
		futex_wake(STAKE(me), 1);
		enough = 0
	:: else
	fi;
	atomic {
		if
		:: pending[me] -> futex_death(G, died)
		:: else
		fi;
		if
		:: died -> futex_wake(WORD, 1)
		:: else
		fi
	}
	/* The files are closed: it can be buried, and so can whoever it was burying. */
	buried = buried | BIT(me) | (row -> BIT(row) : 0);
gone:	atomic {
		calm = calm & ~BIT(me);
		staked = staked & ~BIT(me);
		pending[me] = 0; died = 0; enough = 0; row = 0; turn = 0;
		alive = alive & ~BIT(me)
	}
}

#define sleeps_wrongly(thread) \
	((asleep & BIT(thread)) && (((queued[thread] & LOCK) && OWNER(G) == 0) || \
				    (!(queued[thread] & LOCK) && IS_OWED(thread))))
#ifdef CONDITION
#define IS_OWED(thread) owed
#else
#define IS_OWED(thread) MAY_PASS(thread)
#endif
#define MAY_LOOK (blind & asleep) && (ROWS & buried)

active proctype monitor()
{
	byte i;

	atomic {
		alive = ALL; mortal = alive;
#ifndef NO_STAKE
		staked = ALL & ~(LATE);
#endif
		i = 1;
		do
		:: i <= N ->
			run thread(i, (i <= WAITS -> WAITER : (i <= WAITS + LETS -> LETTER : LOCKER)));
			i++
		:: else -> break
		od;
		i = 0;
		run killer()
	}
end:	do
	:: d_step {
			alive == asleep && victim == 0 && !(MAY_LOOK) ->
			assert(!sleeps_wrongly(1)); assert(!sleeps_wrongly(2));
			assert(!sleeps_wrongly(3)); assert(!sleeps_wrongly(4))
		}
progress:	skip
	od
}
