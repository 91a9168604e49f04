/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Semaphores in 32 bytes of the program's memory (src/posix/semaphore_memory.c), with threads that die by SIGKILL before
 * any step.  There is no owner, no row and no stake: only the word `kernel`, which pending entries name, and `event`.
 *
 * A compare-and-swap compares the word, value, SLEEPERS and epoch; so each thread keeps what it has read of the first two.
 * Epoch and event counter, which are only compared with what was read, are the sets of threads that would still find
 * that (`calm`, `event`), as in gate.pml.  A loop of compare-and-swaps that keeps nothing between its rounds is one step.
 *
 * Threads post POSTS times each or wait once each; one that is asleep may give up (TIMEOUTS in all), as for a time-out or a
 * signal, with a last look, or as for a cancellation, without one.
 *
 * Steps, by label: post to posted (P1 to P5); wait (W1), look (W2), take (W6), taken (W7), announce (W3), sleep and woken (W4,
 * W5), hand_on (W6 and W7 of one that takes nothing), leave (W8).
 *
 * Safety: whenever no thread can go on, none sleeps while there is one to take.  Nothing else blocks.
 *
 * Switches with a comment "Seeded" break the protocol, and each must be found.
 */

#ifndef WAITS
#define WAITS 2 /* threads that wait, once each */
#endif
#ifndef POSTERS
#define POSTERS 1 /* threads that post */
#endif
#ifndef POSTS
#define POSTS 2 /* each of them */
#endif
#ifndef TIMEOUTS
#define TIMEOUTS 0
#endif
#ifndef DEATHS
#define DEATHS 1
#endif
#define N (WAITS + POSTERS)
#define GATES 1
#define KERNEL 0

/* Words of futexes, as a set. */
#define WORD 1
#define EVENT 2

byte fresh[1]; /* of futex.pml: nobody ever owns the word `kernel` */

#include "futex.pml"

#define ALL ((1 << N) - 1)

/* The word. */
byte value;
bit flag; /* SLEEPERS */
byte calm; /* threads since whose reading nobody has announced: the epoch is the same */
byte sleepers;
byte event; /* threads for which the counter is still what they read */
byte timeouts = TIMEOUTS;

/* Seeded: what was prepared before an announcement is not told from what is there behind it. */
#ifdef NO_EPOCH
#define count_epoch
#else
#define count_epoch calm = 0
#endif

#define read_word was_value = value; was_flag = flag; calm = calm | BIT(me)
#define IS_UNCHANGED (value == was_value && flag == was_flag && (calm & BIT(me)))
#define forget_word was_value = 0; was_flag = 0; others = 0; calm = calm & ~BIT(me)

/* Seeded: who takes does not say that others sleep. */
#ifdef NO_OTHERS
#define OTHERS 0
#else
#define OTHERS (sleepers > 1)
#endif

/* Seeded: nobody is woken for what a taker has left. */
#ifdef NO_PASSING_ON
#define MAY_PASS_ON false
#else
#define MAY_PASS_ON true
#endif

proctype thread(byte me; bit posts) provided (victim == 0 || victim == _pid)
{
	byte n, x, was_value, turn;
	bit was_flag, others, enough, wakes, gives_up, looks;

	{
		if
		:: posts
		:: else -> goto wait
		fi;

post:		atomic {
			if
			:: !flag -> value++; goto posted
			:: else -> read_word
			fi
		}
again:		atomic {
			others = (sleepers > 1);
			if
			:: !was_flag -> goto swap
			:: else
			fi
		}
#ifndef NO_PENDING /* Seeded. */
		pending[me] = KERNEL + 1;
#endif
#ifndef EVENT_BEHIND
		event = 0;
#endif
swap:		atomic {
			if
			:: IS_UNCHANGED ->
				value = was_value + 1;
#ifdef KEEP_FLAG /* No fault, and only slower: the flag never goes. */
				flag = was_flag
#elif defined(CLEAR_BLINDLY) /* No fault either, as W6 sets it again: it goes although more are asleep. */
				flag = 0
#else
				flag = was_flag && others
#endif
			:: else -> read_word; goto again
			fi
		}
#ifdef EVENT_BEHIND /* Seeded. */
		event = 0;
#endif
		if
		:: was_flag -> futex_wake(EVENT, 1); enough = 0
		:: else
		fi;
		atomic { pending[me] = 0; forget_word }
posted:		atomic {
			turn++;
			if
			:: turn < POSTS -> goto post
			:: else -> goto done
			fi
		}

wait:		atomic {
			if
			:: value > 0 -> value--; goto done
			:: else
			fi
		}
#ifndef NO_PENDING
		pending[me] = KERNEL + 1;
#endif
#ifndef COUNTED_LATE
		sleepers++;
#endif

look:
#ifndef READ_BEHIND
		event = event | BIT(me);
#endif
		atomic {
			if
			:: gives_up && !looks -> goto hand_on
			:: else -> read_word
			fi
		}
take:		atomic {
			if
			:: was_value == 0 && gives_up -> forget_word; goto hand_on
			:: was_value == 0 -> forget_word; goto announce
			:: else -> others = OTHERS
			fi
		}
		atomic {
			if
			:: IS_UNCHANGED ->
				value = was_value - 1; flag = was_flag || others;
				was_value = value; was_flag = flag; event = event & ~BIT(me);
				calm = calm & ~BIT(me); others = 0
			:: else -> read_word; others = 0; goto take
			fi
		}
taken:		if
		:: was_value > 0 && was_flag && MAY_PASS_ON -> futex_wake(EVENT, 1); enough = 0
		:: else
		fi;
		goto leave;

announce:	atomic {
			if
			:: value > 0 -> goto look
			:: else -> flag = 1; count_epoch
			fi
		}
#ifdef READ_BEHIND /* Seeded. */
		event = event | BIT(me);
#endif
#ifdef COUNTED_LATE /* Seeded. */
		sleepers++;
#endif
		futex_queue(true, WORD);
		futex_queue(event & BIT(me), EVENT);

sleep:		atomic {
			if
			:: hit & BIT(me)
			:: else ->
				asleep = asleep | BIT(me);
				if
				:: hit & BIT(me)
				:: timeouts > 0 -> timeouts--; gives_up = 1; looks = 1
				:: timeouts > 0 -> timeouts--; gives_up = 1
				fi
			fi
		}
woken:		atomic { event = event & ~BIT(me); leave_queues }
#ifdef COUNTED_LATE
		sleepers--;
#endif
#ifdef PENDING_ENDS_EARLY /* Seeded. */
		pending[me] = 0;
#endif
		goto look;

hand_on:
#ifndef NO_HANDING_ON /* Seeded: a wake that came beside a time-out is lost. */
		atomic { event = event & ~BIT(me); read_word }
		others = (sleepers > 1);
		atomic {
			if
			:: IS_UNCHANGED -> flag = was_flag || others; was_flag = flag
			:: else -> forget_word; goto hand_on
			fi
		}
		if
		:: was_value > 0 && was_flag -> futex_wake(EVENT, 1); enough = 0
		:: else
		fi;
#endif

leave:
#ifndef COUNTED_LATE
		atomic { forget_word; sleepers-- }
#endif
		pending[me] = 0;

done:		atomic { mortal = mortal & ~BIT(me); goto gone }
	} unless {
		victim == me
	};

	/* Dying. */
	d_step {
		victim = 0; mortal = mortal & ~BIT(me);
		leave_queues; event = event & ~BIT(me);
		n = 0; x = 0; enough = 0
	}
	atomic {
		if
		:: pending[me] -> futex_death(KERNEL, wakes)
		:: else
		fi;
		if
		:: wakes -> futex_wake(WORD, 1)
		:: else
		fi
	}
gone:	atomic {
		event = event & ~BIT(me);
		pending[me] = 0; forget_word; turn = 0; enough = 0; wakes = 0; gives_up = 0; looks = 0;
		alive = alive & ~BIT(me)
	}
}

active proctype monitor()
{
	byte i;

	atomic {
		alive = ALL; mortal = alive;
		i = 1;
		do
		:: i <= N -> run thread(i, i > WAITS); i++
		:: else -> break
		od;
		i = 0;
		run killer()
	}
end:	do
	:: d_step {
			alive == asleep && victim == 0 && (timeouts == 0 || alive == 0) ->
			assert(value == 0 || alive == 0)
		}
progress:	skip
	od
}
