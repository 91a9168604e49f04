/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Sleeping for several objects at once: what each of them has a sleeper sleep on goes into one vector of the kernel's.
 *
 * For each object the rules of gates hold (core/gate.c): event read, announced, looked once more, asleep on gates, stakes
 * and events in this order.  Stakes that find no room there are made up for by a look from time to time.
 *
 * Several objects may have woken the sleeper, of which the kernel names one.  Whose event has been counted since the
 * announcement is noted: if what was there is not taken, somebody else is woken for it (tni_visit_hand_on).
 */

#include <errno.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/clock.h"
#include "core/manner.h"
#include "object/waitset.h"

#define TICK_NS (100 * TNI_MILLISECOND_NS)
/* Where the kernel has no vectors. */
#define BLIND_TICK_NS (2 * TNI_MILLISECOND_NS)
#define WORDS_MOST 128u

/* The sleep for one object. */
struct rest {
	struct tni_member *member;
	uint32_t number;
	struct tni_sleep sleep;
	struct tni_deaths deaths;
	struct tni_holders holders;
	struct tni_visit *visit;
	uint32_t first, first_event, end; /* in the vector */
	int64_t until_ns;
};

struct vector {
	struct futex_waitv words[WORDS_MOST + TNI_SLEEP_WORDS_MOST];
	uint32_t count;
	int64_t until_ns;
};

/* For object/deaths.c, which asks by the member. */
static bool must_not_sleep(void *context)
{
	(void)context;
	return false;
}

static void begin_rest(struct rest *rest, struct tni_visit *visit, uint32_t number)
{
	struct tni_member *member = &visit->set->members[number];

	*rest = (struct rest){.member = member, .number = number, .visit = visit};
	rest->holders = (struct tni_holders){.object = member->object,
					     .house = member->house,
					     .are_there = member->kind->are_there,
					     .find = member->kind->find,
					     .bring_back = member->kind->bring_back,
					     .must_not_sleep = must_not_sleep,
					     .context = member};
	tni_deaths_begin(&rest->deaths);
	tni_sleep_begin(member->house, member->kind->classes(member), &rest->sleep);
}

static void end_rest(struct rest *rest)
{
	tni_sleep_end(rest->member->house, &rest->sleep);
	tni_deaths_end(&rest->deaths, &rest->holders, &rest->sleep);
}

/* True: the set may be ready. */
static bool announce_all(struct tni_visit *visit, struct rest *rests, uint32_t count)
{
	bool any = false;

	for (uint32_t i = 0; i < count; i++) {
		struct tni_member *member = rests[i].member;

		tni_sleep_announce(member->house, &rests[i].sleep);
		any |= !member->kind->announce(member, visit->thread,
					       visit->tickets[rests[i].number]);
	}
	/* In a set for all those that are ready have not been announced: others have, or it does not sleep. */
	return visit->set->flags & TENON_WAITSET_ALL ? tni_visit_is_ready(visit) : any;
}

/* Appends one object's words; its stakes go first when there is no room.  False: look again. */
static bool append(struct vector *vector, struct rest *rest, uint32_t room, int64_t deadline_ns)
{
	uint32_t count, events, without;
	int result = tni_deaths_prepare(&rest->deaths, &rest->holders, &rest->sleep, deadline_ns,
					&rest->until_ns);

	if (result <= 0)
		return false;
	without = tni_member_words(rest->member);
	if (without + rest->sleep.stakes > room) {
		rest->sleep.stakes = room > without ? room - without : 0;
		if (rest->until_ns > tni_clock_ns(CLOCK_MONOTONIC) + TICK_NS)
			rest->until_ns = tni_clock_ns(CLOCK_MONOTONIC) + TICK_NS;
	}
	events = tni_sleep_words(rest->member->house, &rest->sleep, &vector->words[vector->count],
				 &count);
	rest->first = vector->count;
	rest->first_event = vector->count + events;
	vector->count += count;
	rest->end = vector->count;
	if (rest->until_ns < vector->until_ns)
		vector->until_ns = rest->until_ns;
	return true;
}

/* All objects' words, each with as many stakes as leave room for the others' gates and events. */
static bool fill(struct vector *vector, struct rest *rests, uint32_t count, int64_t deadline_ns)
{
	uint32_t needed = 0;

	for (uint32_t i = 0; i < count; i++)
		needed += tni_member_words(rests[i].member);
	for (uint32_t i = 0; i < count; i++) {
		uint32_t own = tni_member_words(rests[i].member), before = vector->count;

		if (!append(vector, &rests[i], WORDS_MOST - before - (needed - own), deadline_ns))
			return false;
		needed -= own;
	}
	return true;
}

/* Whether a lock whose word is not in the vector was let go before the stakes of others were read. */
static bool may_have_missed(const struct rest *rests, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		const struct rest *rest = &rests[i];
		const struct tni_visit *visit = rest->visit;

		if (rest->member->house->is_inheriting &&
		    rest->member->kind->is_ready(rest->member, visit->tickets[rest->number]))
			return !(visit->set->flags & TENON_WAITSET_ALL) ||
			       tni_visit_is_ready(visit);
	}
	return false;
}

/* A set for all may not use what it was woken for, and sleeps on: all who sleep for that look.  The event is not counted:
 * who is not asleep yet has looked since it was, and other sets for all that are woken by this do not wake this one again,
 * and so on for ever. */
static void pass_on(const struct rest *rest, int how)
{
	uint32_t classes = rest->member->kind->classes(rest->member);

	if (how != TNI_WOKEN_DEATH && !tni_sleep_was_called(rest->member->house, &rest->sleep))
		return;
	for (uint32_t class = 0; class < TNI_CLASSES; class ++)
		if (classes & TNI_CLASS_BIT(class))
			tni_event_wake(rest->member->house, class, TNI_EVERYBODY);
}

static int after(struct rest *rests, uint32_t count, int woken, int64_t deadline_ns)
{
	int64_t now_ns = tni_clock_ns(CLOCK_MONOTONIC);

	for (uint32_t i = 0; i < count; i++) {
		struct rest *rest = &rests[i];
		bool ticked = rest->until_ns <= now_ns && rest->until_ns < deadline_ns;
		int how = 0, result;

		if (woken >= (int)rest->first && woken < (int)rest->end)
			how = woken < (int)rest->first_event ? TNI_WOKEN_DEATH : TNI_WOKEN;
		if (tni_sleep_was_called(rest->member->house, &rest->sleep))
			rest->visit->called[rest->number / 64] |= UINT64_C(1)
								  << (rest->number % 64);
		if (how > 0 && rest->visit->set->flags & TENON_WAITSET_ALL)
			pass_on(rest, how);
		else if (how > 0)
			tni_sleep_woken(rest->member->house);
		/* The dead one owed wakes to others, too. */
		if (how == TNI_WOKEN_DEATH)
			rest->member->kind->hand_on(rest->member);
		result = tni_deaths_after(&rest->deaths, &rest->holders, &rest->sleep, how, ticked,
					  deadline_ns);
		if (result < 0)
			return result;
	}
	return 0;
}

static int wait_for_time(int64_t until_ns)
{
	struct timespec at = tni_timespec(until_ns);

	return -clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
}

static int sleep_once(struct rest *rests, uint32_t count, struct tni_a32 *order, uint32_t expected,
		      int64_t deadline_ns)
{
	struct vector vector = {.count = 0, .until_ns = deadline_ns};
	int woken, result;

	if (order)
		vector.words[vector.count++] = (struct futex_waitv){.val = expected,
								    .uaddr = (uintptr_t)order,
								    .flags = FUTEX_32 |
									     FUTEX_PRIVATE_FLAG};
	if (!fill(&vector, rests, count, deadline_ns) || may_have_missed(rests, count))
		return 0;
	woken = vector.count > 0
			? tni_words_wait(vector.words, vector.count, vector.until_ns, false)
			: wait_for_time(vector.until_ns);
	if (woken == -ENOSYS) {
		nanosleep(&(struct timespec){.tv_nsec = BLIND_TICK_NS}, NULL);
		woken = -EAGAIN;
	}
	result = after(rests, count, woken, deadline_ns);
	if (result < 0)
		return result;
	if (woken == -EINTR)
		return -EINTR;
	return tni_clock_ns(CLOCK_MONOTONIC) >= deadline_ns ? -ETIMEDOUT : 0;
}

static uint32_t begin_rests(struct rest *rests, struct tni_visit *visit, uint32_t first,
			    uint32_t end)
{
	uint32_t count = 0;

	for (uint32_t i = first; i < end; i++)
		if (tni_member_is_object(&visit->set->members[i]))
			begin_rest(&rests[count++], visit, i);
	return count;
}

int tni_visit_sleep(struct tni_visit *visit, uint32_t first, uint32_t end, struct tni_a32 *order,
		    uint32_t expected, int64_t deadline_ns)
{
	struct rest *rests = calloc(visit->set->objects + 1, sizeof(*rests));
	void *pending = tni_pending_get(visit->thread);
	int64_t until_ns = tni_waitset_next_ns(visit->set, deadline_ns);
	uint32_t count;
	int result = 0;

	if (!rests)
		return -ENOMEM;
	count = begin_rests(rests, visit, first, end);
	if (count > 0)
		tni_pending_set(visit->thread, &rests[0].member->house->gate[0]->word);
	while (result == 0) {
		if (announce_all(visit, rests, count) || (order && tni_get32(order) != expected))
			break;
		for (uint32_t i = 0; i < count; i++)
			tni_object_hand_over(rests[i].member->object, visit->thread);
		result = sleep_once(rests, count, order, expected, until_ns);
		/* A timer is due. */
		if (result == -ETIMEDOUT && until_ns < deadline_ns)
			break;
	}
	if (result == -ETIMEDOUT && until_ns < deadline_ns)
		result = 0;
	for (uint32_t i = 0; i < count; i++)
		end_rest(&rests[i]);
	if (count > 0)
		tni_pending_put(visit->thread, pending);
	free(rests);
	return result;
}

void tni_visit_hand_on(struct tni_visit *visit, const uint64_t *taken)
{
	for (uint32_t i = 0; i < visit->set->top; i++) {
		struct tni_member *member = &visit->set->members[i];
		uint64_t bit = UINT64_C(1) << (i % 64);

		/* What is left as it is, is taken by nobody. */
		if ((visit->called[i / 64] & bit) &&
		    (!(taken[i / 64] & bit) || !member->kind->put_back) &&
		    (!member->kind->is_of_use || member->kind->is_of_use(member)))
			member->kind->hand_on(member);
	}
	memset(visit->called, 0, sizeof(visit->called));
}
