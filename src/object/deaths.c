/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Users of an object may hold something between their calls: a message under lease, a unit of a semaphore that
 * comes back on their death.  A sleeper has their stakes in its vector, and is told of their death by the
 * kernel (core/stake.c).  Where a stake could not be had, it looks from time to time.
 *
 * The kernel tells before it takes the dead one's memory apart and drops its file locks, by which it is known
 * to be dead.  So a sleeper that was told looks for some time without sleeping, and then after a part of the
 * time since it was told.  It tells one sleeper, which may sleep for something that the dead one had nothing to do
 * with, at another of the objects that are placed in a region: so whoever may have been told rouses all the others.
 */

#include "object/deaths.h"

#include <errno.h>
#include <sched.h>
#include <string.h>

#include "core/clock.h"

/* How often a sleeper looks for the dead where nobody will tell. */
#define TICK_NS (100 * TNI_MILLISECOND_NS)
/* After the kernel told: without sleeping; then after a part of the time since, this at least. */
#define NOTICE_SPIN_NS 200000
#define NOTICE_PART 8
#define NOTICE_TICK_NS 25000
#define SPIN_BURST 48u /* pauses between two looks */

void tni_deaths_begin(struct tni_deaths *deaths)
{
	*deaths = (struct tni_deaths){.tick_ns = TICK_NS};
}

int64_t tni_deaths_tick(int64_t tick_ns, int64_t told_ns)
{
	int64_t next_ns = 2 * tick_ns;

	if (told_ns != 0)
		next_ns = (tni_clock_ns(CLOCK_MONOTONIC) - told_ns) / NOTICE_PART;
	if (next_ns < NOTICE_TICK_NS)
		next_ns = NOTICE_TICK_NS;
	return next_ns < TICK_NS ? next_ns : TICK_NS;
}

static bool has_one_cpu(void)
{
	cpu_set_t cpus;

	return sched_getaffinity(0, sizeof(cpus), &cpus) == 0 && CPU_COUNT(&cpus) == 1;
}

/* Buries who is dead.  Behind a notice it looks for some time without sleeping, unless that would keep
 * the one that is dying from the only processor. */
static int bury_dead(const struct tni_holders *holders, bool is_told, int64_t deadline_ns)
{
	int64_t now_ns = tni_clock_ns(CLOCK_MONOTONIC), end_ns = now_ns + NOTICE_SPIN_NS;
	int result = holders->bring_back(holders->context, deadline_ns);

	if (!is_told || has_one_cpu())
		return result < 0 ? result : 0;
	while (result == 0 && now_ns < end_ns && now_ns < deadline_ns &&
	       !holders->must_not_sleep(holders->context)) {
		for (uint32_t i = 0; i < SPIN_BURST; i++)
			tni_pause();
		result = holders->bring_back(holders->context, deadline_ns);
		now_ns = tni_clock_ns(CLOCK_MONOTONIC);
	}
	return result < 0 ? result : 0;
}

/* Puts the stakes of others into the vector.  True: somebody who holds something is not among them, and nobody
 * will tell of his death; `ret_died`: the kernel has told already. */
static bool gather_stakes(const struct tni_holders *holders, struct tni_sleep *sleep,
			  bool *ret_died)
{
	struct tni_object *object = holders->object;
	uint64_t bits[TNI_BITMAP_WORDS] = {0};

	sleep->stakes = 0;
	*ret_died = false;
	if (holders->are_there(holders->context))
		holders->find(holders->context, bits);
	bits[object->participant / 64] &= ~(UINT64_C(1) << (object->participant % 64));
	for (uint32_t i = 0; i < tni_object_stakes_top(object); i++) {
		const struct tni_a32 *word = tni_object_stake(object, i);
		uint32_t value = word ? tni_get32(word) : 0;

		if (value & TNI_STAKE_DIED && bits[i / 64] >> (i % 64) & 1)
			*ret_died = true;
		if (!(value & TNI_STAKE_OWNER) || i == object->participant ||
		    sleep->stakes == TNI_SLEEP_STAKES_MOST)
			continue;
		sleep->stake[sleep->stakes].word = word;
		sleep->stake[sleep->stakes++].value = value;
		bits[i / 64] &= ~(UINT64_C(1) << (i % 64));
	}
	for (uint32_t i = 0; i < TNI_BITMAP_WORDS; i++)
		if (bits[i] != 0)
			return true;
	return false;
}

int tni_deaths_prepare(struct tni_deaths *deaths, const struct tni_holders *holders,
		       struct tni_sleep *sleep, int64_t deadline_ns, int64_t *ret_until_ns)
{
	bool died;
	int result;

	*ret_until_ns = deadline_ns;
	deaths->blind = gather_stakes(holders, sleep, &died);
	if (!deaths->looked && holders->are_there(holders->context)) {
		deaths->looked = true;
		result = holders->bring_back(holders->context, deadline_ns);
		if (result != 0)
			return result < 0 ? result : 0;
	}
	if (died && deaths->told_ns == 0) {
		deaths->told_ns = tni_clock_ns(CLOCK_MONOTONIC);
		deaths->tick_ns = NOTICE_TICK_NS;
		/* If it was but a thread that ended, another one of its process that sleeps takes a stake. */
		holders->object->rouse(holders->object);
	}
	if (deaths->blind)
		*ret_until_ns = tni_clock_ns(CLOCK_MONOTONIC) + deaths->tick_ns;
	if (*ret_until_ns > deadline_ns)
		*ret_until_ns = deadline_ns;
	return 1;
}

int tni_deaths_after(struct tni_deaths *deaths, const struct tni_holders *holders,
		     const struct tni_sleep *sleep, int woken, bool ticked, int64_t deadline_ns)
{
	/* Woken for two reasons at once, one is told of one. */
	bool is_told = woken == TNI_WOKEN_DEATH || (woken > 0 && tni_sleep_has_seen_death(sleep));
	int result;

	if (!is_told && !ticked)
		return 0;
	if (tni_sleep_has_seen_death(sleep))
		holders->object->rouse(holders->object);
	if (is_told)
		deaths->told_ns = tni_clock_ns(CLOCK_MONOTONIC);
	deaths->tick_ns = tni_deaths_tick(deaths->tick_ns, deaths->told_ns);
	if (!holders->are_there(holders->context))
		return 0;
	result = bury_dead(holders, is_told, deadline_ns);
	return result < 0 ? result : 0;
}

int tni_deaths_sleep(struct tni_deaths *deaths, const struct tni_holders *holders,
		     struct tni_sleep *sleep, int64_t deadline_ns)
{
	bool ticked = false;
	int64_t until_ns;
	int woken = tni_deaths_prepare(deaths, holders, sleep, deadline_ns, &until_ns), result;

	/* What came back is looked at, also where the burying has taken the time that there was. */
	if (woken <= 0)
		return woken;
	woken = tni_sleep_wait(holders->house, sleep, until_ns);
	ticked = woken == -ETIMEDOUT && until_ns < deadline_ns;
	if (ticked)
		woken = 0;
	/* Words that others change again and again do not keep it beyond its time. */
	if (woken == 0 && !ticked && tni_clock_ns(CLOCK_MONOTONIC) >= deadline_ns)
		return -ETIMEDOUT;
	if (woken < 0)
		return woken;
	result = tni_deaths_after(deaths, holders, sleep, woken, ticked, deadline_ns);
	return result < 0 ? result : woken;
}

void tni_deaths_end(const struct tni_deaths *deaths, const struct tni_holders *holders,
		    const struct tni_sleep *sleep)
{
	if (holders->are_there(holders->context) &&
	    ((deaths->told_ns != 0 && deaths->blind) || tni_sleep_has_seen_death(sleep)))
		holders->object->rouse(holders->object);
}
