/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TNI_OBJECT_TURNSTILE_H
#define TNI_OBJECT_TURNSTILE_H

/* A word that lets threads pass or has them wait.  See object/turnstile.c. */

#include "core/thread.h"
#include "object/sync.h"

#define TNI_EVERYBODY UINT32_MAX

static inline struct tni_turnstile *tni_turnstile(const struct tni_sync *sync)
{
	return &sync->cell->turnstile;
}

static inline uint64_t tni_turnstile_word(const struct tni_sync *sync)
{
	/* ORD(turnstile) */
	return tni_load_acquire64(&sync->cell->turnstile.word);
}

/* Of a handle that is being made. */
void tni_turnstile_begin(struct tni_sync *sync);

/*
 * A change of the word, with what the calling process's row says where that goes with it (else
 * NULL).  Answers how many can pass by it who may be asleep, 0 nobody, or a negative error;
 * -EAGAIN: not now.  May be asked again.
 */
typedef int64_t tni_turnstile_change(const struct tni_sync *sync, uint64_t word, uint64_t argument,
				     uint64_t *ret_next, uint64_t *claim);

/* Makes it, and wakes who sleeps.  `ret_before` (may be NULL): the word before.  Without a lock;
 * async-signal-safe if `change` is. */
int tni_turnstile_let(struct tni_sync *sync, struct tni_thread *thread,
		      tni_turnstile_change *change, uint64_t argument, uint64_t *ret_before);

/* The same with the calling process's claim.  -ETIMEDOUT: somebody held the gate until then. */
int tni_turnstile_claim(struct tni_sync *sync, struct tni_thread *thread,
			tni_turnstile_change *change, uint64_t argument, int64_t deadline_ns,
			uint64_t *ret_before);

/* Has the kernel tell sleepers of the calling process's death: when it attaches, and before it has
 * a claim. */
void tni_turnstile_attach(struct tni_sync *sync);
void tni_turnstile_stake(struct tni_sync *sync, struct tni_thread *thread);

/* One who may have to wait. */
struct tni_turn {
	struct tni_sync *sync;
	struct tni_thread *thread;
	/* Whether it may pass when the word is this one. */
	bool (*may_pass)(const struct tni_turn *turn, uint64_t word);
	/* Passes.  1; 0: it has to wait; or a negative error. */
	int (*pass)(struct tni_turn *turn, int64_t deadline_ns);
	uint64_t argument; /* the kind's own */
	uint32_t wanted;   /* so much of it */
	uint32_t flags;
	bool is_waiting; /* and `row`, which may be NULL, says so */
	struct tni_row *row;
};

/* Says in the row that it waits, from before it may be given a wake.  For who has a claim before it
 * waits; tni_turnstile_wait() does so itself, and ends it, as does the other. */
void tni_turnstile_begin_waiting(struct tni_turn *turn);
void tni_turnstile_end_waiting(struct tni_turn *turn);

/* Waits until it has passed.  0; -ETIMEDOUT, -EINTR; or what pass() gives. */
int tni_turnstile_wait(struct tni_turn *turn, int64_t deadline_ns);

/* Its parts, for who sleeps at several objects at once.  Announces, behind tni_sleep_announce();
 * false: it may pass, or somebody who died left something to repair, which is done. */
bool tni_turnstile_announce(struct tni_turn *turn);
/* For object/deaths.c: whether there are claims, and whose. */
bool tni_turnstile_are_there(struct tni_sync *sync);
void tni_turnstile_find(struct tni_sync *sync, uint64_t bits[TNI_BITMAP_WORDS]);

/* Gives back what the dead held.  1: there was something; 0; or an error, but -ETIMEDOUT. */
int tni_turnstile_bring_back(struct tni_sync *sync, int64_t deadline_ns);

/* The same for who is about to go by the word: he bears for a moment with who is about to be
 * dead, and with others who have the gate. */
int tni_turnstile_settle(struct tni_sync *sync, int64_t deadline_ns);

/* How often all together passed, and let others pass. */
void tni_turnstile_figures(struct tni_sync *sync, uint64_t *ret_passed, uint64_t *ret_let);

/* A living process that waits at it or has a claim. */
struct tni_turnstile_user {
	struct tni_sync_user at;
	uint32_t waiting; /* threads; those that wait by waitsets count as one, if no other does */
	uint32_t wanted;  /* by the last of these; 0: none waits */
	uint64_t claim;
};

/* As tni_sync_next_user(). */
bool tni_turnstile_next_user(struct tni_sync *sync, struct tni_turnstile_user *user);

/* For struct tni_sync_kind: gives back one participant's claim, and helps with that.  For sync.c:
 * repairs, under the gate. */
int tni_turnstile_give_back(struct tni_sync *sync, uint32_t participant, int64_t deadline_ns);
int tni_turnstile_help(struct tni_sync *sync, uint32_t participant, int64_t deadline_ns);
int tni_turnstile_repair(struct tni_sync *sync);

/* Under the gate: whether a dead one claims something, and nobody has come to giving it back.  The
 * claim is looked at first: whoever has the entry next locks its byte before he claims anything,
 * and has that entry only when this gate has been had for burying, so not meanwhile.  Where there
 * is no claim any more, the entry and the rest of the row may be his while nothing says so. */
bool tni_turnstile_is_left(struct tni_sync *sync, uint32_t participant);
/* Wakes whom a dead one owed a wake, or who was to have the one that it was given.  Under the
 * gate. */
void tni_turnstile_pay(struct tni_sync *sync, struct tni_row *row);

#endif
