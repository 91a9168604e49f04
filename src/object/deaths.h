/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TNI_OBJECT_DEATHS_H
#define TNI_OBJECT_DEATHS_H

/* Sleeping at an object whose users may hold something between their calls.  See
 * object/deaths.c. */

#include "core/gate.h"
#include "core/object.h"

/* What an object knows of that. */
struct tni_holders {
	struct tni_object *object;
	struct tni_gatehouse *house;
	/* Whether anybody but this process may hold something; quick. */
	bool (*are_there)(void *context);
	/* Sets the bits of the participants that do. */
	void (*find)(void *context, uint64_t bits[TNI_BITMAP_WORDS]);
	/* Gives back what the dead held.  1: there was something; 0; or an error, but
	 * -ETIMEDOUT. */
	int (*bring_back)(void *context, int64_t deadline_ns);
	/* Whether what the sleeper waits for may be there by now. */
	bool (*must_not_sleep)(void *context);
	void *context;
};

/* What one sleeper knows of deaths. */
struct tni_deaths {
	int64_t told_ns; /* when the kernel last told of one; 0 never */
	int64_t tick_ns; /* to the next look for the dead, where nobody tells */
	bool looked;	 /* for who died before it slept */
	bool blind;	 /* somebody holds something of whose death nobody will tell */
};

void tni_deaths_begin(struct tni_deaths *deaths);

/* How long to sleep until the next look, where the last was `tick_ns`: behind a notice, which
 * came `told_ns`, in proportion to how long ago that is. */
int64_t tni_deaths_tick(int64_t tick_ns, int64_t told_ns);

/* Falls asleep, announced, after a look for the dead if that is due, and looks for them when it was
 * told of a death.  0: something moved; TNI_WOKEN: perhaps in the place of somebody else;
 * -ETIMEDOUT, -EINTR. */
int tni_deaths_sleep(struct tni_deaths *deaths, const struct tni_holders *holders,
		     struct tni_sleep *sleep, int64_t deadline_ns);

/*
 * Its parts, for who sleeps at several objects at once.  Before: 1: sleep, until `ret_until_ns` at
 * most; 0: something came back, look again; or an error.  After: `woken` by this object's words, as
 * tni_sleep_wait(); `ticked`: its time was up, and not the deadline.  0, or an error.
 */
int tni_deaths_prepare(struct tni_deaths *deaths, const struct tni_holders *holders,
		       struct tni_sleep *sleep, int64_t deadline_ns, int64_t *ret_until_ns);
int tni_deaths_after(struct tni_deaths *deaths, const struct tni_holders *holders,
		     const struct tni_sleep *sleep, int woken, bool ticked, int64_t deadline_ns);

/* The sleeper leaves, for whatever reason, behind tni_sleep_end(). */
void tni_deaths_end(const struct tni_deaths *deaths, const struct tni_holders *holders,
		    const struct tni_sleep *sleep);

#endif
