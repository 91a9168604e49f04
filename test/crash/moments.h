/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_CRASH_MOMENTS_H
#define TEST_CRASH_MOMENTS_H

/*
 * Kills at random moments: workers use an object, or some, and the main process kills one after the
 * other with SIGKILL and starts another in its slot.  What the workers do leaves its traces in a
 * ledger that all share, so that each kind says what must not be found there.
 *
 * The frame sees to it that somebody goes on behind each kill.  If all sleep for a while, the kind
 * says whether that may be: if what they wait for is there, or has to be, a wake was lost.  Who has
 * no processor is not asleep, so this does not depend on how fast the machine is.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define MOMENTS_WORKERS 8u /* at most */
#define MOMENTS_WORDS 256u
#define MOMENTS_PATIENCE_NS INT64_C(20000000000)

/* What one worker after the other holds. */
struct moments_slot {
	_Atomic int32_t pid;
	_Atomic uint32_t incarnation; /* counted up when the one before is dead and reaped */
	_Atomic uint32_t state;	      /* the kind's */
	_Atomic uint64_t passes;
	_Atomic uint64_t word;
};

struct moments_ledger {
	_Atomic uint32_t failed;
	char why[200];
	_Atomic uint64_t progress; /* counted up by whoever goes on */
	_Atomic uint64_t deaths;   /* in this epoch */
	_Atomic uint64_t word[MOMENTS_WORDS];
	struct moments_slot slot[MOMENTS_WORKERS];
};

extern struct moments_ledger *moments;

/* Set by set_up(), which fails then: why the kind cannot be tried here. */
extern const char *moments_obstacle;

struct moments_kind {
	const char *name;
	uint32_t workers;
	bool needs_all; /* those who are left cannot always go on before another has come */
	/* Makes the objects.  In the main process, as all but `work`.  False: it cannot be. */
	bool (*set_up)(void);
	/* Opens them, and works; comes back only if something is wrong, and has said so. */
	void (*work)(uint32_t index);
	/* One worker is dead and reaped.  May be NULL. */
	bool (*bury)(uint32_t index);
	/* All sleep: looks whether that is right, and gives what went down with the dead.  NULL: it
	 * never is. */
	bool (*feed)(void);
	/* All are dead. */
	bool (*prove)(void);
	/* Closes and removes; also when set_up() has failed. */
	void (*clear)(void);
};

extern const struct moments_kind moments_event, moments_gate, moments_pulse, moments_pulse_auto,
	moments_condition, moments_barrier, moments_once, moments_inherit, moments_any, moments_all,
	moments_region, moments_sysv_sem, moments_sysv_msg, moments_sysv_key;

/* Says what is wrong, in whatever process.  Answers false. */
bool moments_wrong(const char *what, int64_t figure);

/* A deadline that nothing that is right comes near, and whether it has come. */
int64_t moments_deadline(void);
bool moments_is_late(int64_t deadline_ns);

uint32_t moments_random(uint32_t bound);

/* Lets others run, in some rounds, as chance has it. */
void moments_dally(void);

/* Whether all threads of a process sleep; and whether it is gone, but perhaps not reaped. */
bool moments_is_asleep(int32_t pid);
bool moments_is_dead(int32_t pid);

/* What one has at a time: the caller has got it, whoever had it; and lets go of it.  False, and
 * said: somebody else has got it meanwhile.  Who died with it is not asked. */
void moments_own(_Atomic uint64_t *word);
bool moments_disown(_Atomic uint64_t *word, const char *what);

#endif
