/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TNI_CORE_GATE_H
#define TNI_CORE_GATE_H

/* Locks that survive their owner, and sleeping on what they protect.  See core/gate.c. */

#include <stdint.h>

#include "abi/gate.h"
#include "core/thread.h"

/* A condition of tni_gate_lock(): the lock is held, and its last owner died holding it. */
#define TNI_OWNER_DIED 1

#define TNI_GATES 2u

struct tni_object;
struct tni_sleep;

/* One process's view of the gates of one object.  Plain memory of the process. */
struct tni_gatehouse {
	struct tni_gate *gate[TNI_GATES];
	uint32_t gates; /* 1 or 2 */
	/* The gate is held between calls as well, as long as its holder likes: a locker that has
	 * waited for long does not suspect that the kernel has told nobody of a death. */
	bool is_held_long;
	/* The gate's word is a futex with priority inheritance (object/lock_inherit.c): the kernel
	 * refuses those who wait for it by its own call while anybody else sleeps on it.  So nobody
	 * does. */
	bool is_inheriting;
	struct tni_waitroom *waitroom;
	struct tni_lanes *lanes; /* of class MESSAGE; NULL: there are none */
	uint32_t participant;	 /* own index */
	uint32_t top;		 /* participants that may have a bit: a bound for scans */
	struct tni_a32 asleep[TNI_CLASSES]; /* own threads */
	/* Whether no living participant has this thread, or only the caller is it; for locks of
	 * whose owner's death the kernel did not tell.  `holder`: whose it should be. */
	bool (*is_gone)(struct tni_object *object, uint32_t tid, uint32_t holder);
	/* Whether a death that the kernel told of may be that of another process with the same
	 * thread number in another pid namespace: the participant that holds the gate lives. */
	bool (*is_doubtful)(struct tni_object *object, uint32_t participant);
	/* Whether a holder with the caller's thread number is the caller. */
	bool (*is_own)(struct tni_object *object, uint32_t participant);
	/* For gates that are held long: puts the stakes of others into the vector of a locker.  May
	 * be NULL. */
	void (*add_stakes)(struct tni_object *object, struct tni_sleep *sleep);
	void (*rouse)(struct tni_object *object); /* then set: what struct tni_object has */
	struct tni_object *object;
};

int tni_gate_lock_slow(struct tni_gatehouse *house, uint32_t which, struct tni_thread *thread,
		       const void *pending, int64_t deadline_ns);

/* How many gates' words a sleeper sleeps on. */
static inline uint32_t tni_gatehouse_words(const struct tni_gatehouse *house)
{
	return house->is_inheriting ? 0 : house->gates;
}

/* What the word of a gate says of its holder. */
static inline uint64_t tni_gate_holder(const struct tni_gatehouse *house,
				       const struct tni_thread *thread)
{
	return thread->tid | (uint64_t)house->participant << TNI_GATE_HOLDER_SHIFT;
}

static inline uint32_t tni_gate_holder_of(uint64_t word)
{
	return (uint32_t)((word & TNI_GATE_HOLDER) >> TNI_GATE_HOLDER_SHIFT);
}

/* Takes a gate that is free, and leaves a note where.  The pending entry has to name it. */
static inline bool tni_gate_try(struct tni_gatehouse *house, uint32_t which,
				const struct tni_thread *thread)
{
	struct tni_gate *gate = house->gate[which];
	uint64_t word = tni_get64(&gate->word);
	uint64_t waiters = word & TNI_GATE_FLAGS ? TNI_GATE_WAITERS : 0;
	uint32_t cpu;

	if (__builtin_expect((word & TNI_GATE_LOW) != 0, 0) ||
	    /* ORD(shared) */
	    !tni_cas_total64(&gate->word, &word, word | waiters | tni_gate_holder(house, thread)))
		return false;
	cpu = tni_cpu();
	if (tni_get32(&gate->cpu) != cpu)
		tni_set32(&gate->cpu, cpu);
	return true;
}

/*
 * Locks a gate.  0; TNI_OWNER_DIED: held too, to be repaired before anything else; -ETIMEDOUT;
 * -EDEADLK this thread holds it (a signal handler that interrupted its own thread's call).  Sets
 * the thread's pending entry, which the caller restores behind the unlocking; `pending` is what
 * stood there.
 */
static inline int tni_gate_lock(struct tni_gatehouse *house, uint32_t which,
				struct tni_thread *thread, const void *pending, int64_t deadline_ns)
{
	tni_pending_set(thread, &house->gate[which]->word);
	if (__builtin_expect(tni_gate_try(house, which, thread), 1))
		return 0;
	return tni_gate_lock_slow(house, which, thread, pending, deadline_ns);
}

/* Unlocks if nobody sleeps; else answers false, and has done nothing. */
static inline bool tni_gate_unlock_quiet(struct tni_gate *gate)
{
	uint64_t word = tni_get64(&gate->word);

	/* ORD(gate): releases what was done under the lock. */
	return (word & TNI_GATE_FLAGS) == 0 && tni_cas64(&gate->word, &word, word & ~TNI_GATE_HELD);
}

/* How many sleepers of each class can go on; 0 none. */
struct tni_wakes {
	uint32_t count[TNI_CLASSES];
	/* Of class MESSAGE, if its count is 0: all in these lanes, and nobody in the others. */
	uint64_t lanes;
};

/*
 * Unlocks and wakes.  `plan` is asked, under the lock, how many sleepers of the flagged classes can
 * go on, lockers excepted; it may be asked again when somebody announces meanwhile.
 */
void tni_gate_unlock(struct tni_gatehouse *house, uint32_t which,
		     void (*plan)(void *context, uint64_t flags, struct tni_wakes *ret_wakes),
		     void *context);

/* What the kernel's vector has room for beside gates and events. */
#define TNI_SLEEP_STAKES_MOST 120u

/* A sleeper's ticket. */
struct tni_sleep {
	uint32_t classes;	     /* TNI_CLASS_BIT() of each */
	uint32_t lane;		     /* of class MESSAGE; set by who begins it, or 0 */
	uint32_t event[TNI_CLASSES]; /* values of these classes' events before the announcement */
	uint32_t low[TNI_GATES];     /* of the gates' words, when announced */
	/* Stakes of others, whose deaths it is to be told of, too; the caller's to fill in. */
	uint32_t stakes;
	struct {
		const struct tni_a32 *word;
		uint32_t value;
	} stake[TNI_SLEEP_STAKES_MOST];
};

#define TNI_CLASS_BIT(class) (1u << (class))

/* A ticket with no stakes.  There is room for two thousand bytes of them, which are not cleared:
 * most are never used. */
static inline void tni_sleep_set(struct tni_sleep *ret_sleep, uint32_t classes)
{
	ret_sleep->classes = classes;
	ret_sleep->lane = 0;
	ret_sleep->stakes = 0;
}

/* Whether somebody has died whose stake was in the vector.  The kernel has told one sleeper,
 * wherever in the object that sleeps; who may be it rouses the others. */
static inline bool tni_sleep_has_seen_death(const struct tni_sleep *sleep)
{
	for (uint32_t i = 0; i < sleep->stakes; i++)
		if (tni_get32(sleep->stake[i].word) & TNI_STAKE_DIED)
			return true;
	return false;
}

/*
 * Sleeping for one class or several takes three steps: announce; check once more that there is
 * nothing to do; sleep.  Whatever the checks say, tni_sleep_end() ends it.
 */
void tni_sleep_begin(struct tni_gatehouse *house, uint32_t classes, struct tni_sleep *ret_sleep);
void tni_sleep_announce(struct tni_gatehouse *house, struct tni_sleep *sleep);
#define TNI_WOKEN 1	  /* perhaps in the place of somebody else */
#define TNI_WOKEN_DEATH 2 /* by the kernel: somebody died in a call, or with a stake */
/* TNI_WOKEN …; 0: something moved; -ETIMEDOUT, -EINTR. */
int tni_sleep_wait(struct tni_gatehouse *house, struct tni_sleep *sleep, int64_t deadline_ns);
/* Its parts, for who sleeps at several objects at once.  What it sleeps on, at most
 * TNI_SLEEP_WORDS_MOST; how many of these, at the front, are not events. */
#define TNI_SLEEP_WORDS_MOST (TNI_GATES + TNI_SLEEP_STAKES_MOST + TNI_CLASSES)
uint32_t tni_sleep_words(const struct tni_gatehouse *house, const struct tni_sleep *sleep,
			 struct futex_waitv *ret_words, uint32_t *ret_count);
/* When it was woken by a word of this object. */
void tni_sleep_woken(struct tni_gatehouse *house);
/* Whether somebody has counted an event since the announcement: its wake may have been for this
 * sleeper. */
bool tni_sleep_was_called(const struct tni_gatehouse *house, const struct tni_sleep *sleep);
void tni_sleep_end(struct tni_gatehouse *house, struct tni_sleep *sleep);

/* Whether the owner of a gate died and nobody has taken over yet. */
static inline bool tni_gate_is_orphaned(const struct tni_gate *gate)
{
	uint64_t word = tni_get64(&gate->word);

	return (word & TNI_GATE_OWNER_DIED) && !(word & TNI_GATE_OWNER);
}

/* What a participant still holds of a gate, which is dead or lets go of the object, is as if the
 * kernel had seen it die there. */
void tni_gate_orphan(struct tni_gatehouse *house, uint32_t which, uint32_t participant);

/* Wakes up to `count` who sleep for a class, who look for themselves whether they can go on;
 * without a lock. */
void tni_gatehouse_wake(struct tni_gatehouse *house, uint32_t class, uint32_t count);

/* The two halves of that, for who changes a word in between: see object/turnstile.c.  How many were
 * woken. */
void tni_event_count(struct tni_gatehouse *house, uint32_t class);
uint32_t tni_event_wake(struct tni_gatehouse *house, uint32_t class, uint32_t count);

/* Of one lane, as below. */
static inline bool tni_lane_is_owed(const struct tni_gatehouse *house, uint32_t lane)
{
	const struct tni_a32 *event = lane == 0 ? &house->waitroom->event[TNI_CLASS_MESSAGE]
						: &house->lanes->event[lane - 1];

	return tni_get32(event) != tni_get32(&house->lanes->told[lane]);
}

/* Lanes in which somebody may be asleep; and whose event was counted, and that perhaps nobody has
 * woken: who was to may have died. */
static inline uint64_t tni_lanes_used(const struct tni_gatehouse *house)
{
	return tni_get64(&house->lanes->used);
}
uint64_t tni_lanes_owed(const struct tni_gatehouse *house);

/* The two halves of waking lanes of class MESSAGE. */
void tni_lanes_count(struct tni_gatehouse *house, uint64_t lanes);
void tni_lanes_wake(struct tni_gatehouse *house, uint64_t lanes);

/* What a sleeper of a class sleeps on. */
static inline struct tni_a32 *tni_event_of(const struct tni_gatehouse *house,
					   const struct tni_sleep *sleep, uint32_t class)
{
	if (class == TNI_CLASS_MESSAGE && sleep->lane != 0)
		return &house->lanes->event[sleep->lane - 1];
	return &house->waitroom->event[class];
}

/* Wakes all who sleep for anything. */
void tni_gatehouse_rouse(struct tni_gatehouse *house);

/* Wakes all of a class who have announced themselves at a gate, if anybody has, and takes its flag
 * away. */
void tni_gate_wake_all(struct tni_gatehouse *house, uint32_t which, uint32_t class);

/* This process has attached, perhaps anew: its parent's threads do not sleep here. */
void tni_gatehouse_renew(struct tni_gatehouse *house, uint32_t participant);

/* Clears a dead participant's bits. */
void tni_gatehouse_forget(struct tni_gatehouse *house, uint32_t participant);

/* How many participants have a thread of a class asleep. */
uint32_t tni_gatehouse_count(const struct tni_gatehouse *house, uint32_t class);

#endif
