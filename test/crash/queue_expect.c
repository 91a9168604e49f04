/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The promises of <tenon/queue.h>, as the least and the most often that survivors may get each
 * message.  What a victim did and was told it did counts; what it was doing when it died may have
 * happened or not.
 */

#include <stdatomic.h>
#include <string.h>

#include "queue_crash.h"

struct bounds {
	uint8_t least[NUMBERS], most[NUMBERS];
};

static void set(struct bounds *bounds, uint32_t number, uint8_t least, uint8_t most)
{
	if (number >= NUMBERS)
		return;
	bounds->least[number] = least;
	bounds->most[number] = most;
}

/* `count` messages from `number` on were sent, if the call came to its end. */
static void sending(struct bounds *bounds, const struct account *account, uint32_t number,
		    uint32_t count)
{
	bool returned = atomic_load(&account->returned);
	uint32_t sent = count;

	if (returned && atomic_load(&account->result) != 0)
		sent = 0;
	else if (returned && count > 1)
		sent = atomic_load(&account->count);
	for (uint32_t i = 0; i < sent; i++)
		set(bounds, number + i, returned, 1);
}

/* The victim consumed the first `count` messages, if the call came to its end. */
static void consuming(struct bounds *bounds, const struct run *run, const struct account *account,
		      uint32_t count)
{
	bool returned = atomic_load(&account->returned);

	if (returned && atomic_load(&account->result) != 0)
		return;
	if (returned && count > 1)
		count = atomic_load(&account->count);
	for (uint32_t i = 0; i < count && i < run->prefilled; i++)
		set(bounds, message_leaving(run, i), 0, !returned);
}

static void consuming_of_waker(struct bounds *bounds, const struct account *account)
{
	bool returned = atomic_load(&account->returned);

	if (!returned || atomic_load(&account->result) == 0)
		set(bounds, NUMBER_WAKER, 0, !returned);
}

static void operating(struct bounds *bounds, const struct run *run, enum actor actor,
		      uint32_t operation)
{
	const struct account *account = &run->accounts[actor];
	uint32_t number = actor == ACTOR_VICTIM ? NUMBER_VICTIM : NUMBER_FIRST_VICTIM;

	switch (operation) {
	case OP_DROP_OLDEST:
		consuming(bounds, run, account, 1);
		sending(bounds, account, number, 1);
		break;
	case OP_SEND:
	case OP_COMMIT:
	case OP_ATTACH:
	case OP_SEND_ASLEEP:
	case OP_RENDEZVOUS:
		sending(bounds, account, number, 1);
		break;
	case OP_SEND_BATCH:
		sending(bounds, account, number, BATCH_MESSAGES);
		break;
	case OP_RECEIVE:
	case OP_DONE:
		consuming(bounds, run, account, 1);
		break;
	case OP_RECEIVE_BATCH:
		consuming(bounds, run, account, BATCH_MESSAGES);
		break;
	case OP_RECEIVE_ASLEEP:
		consuming_of_waker(bounds, account);
		break;
	default:
		break; /* a dead taker's messages come back, all others are as they were */
	}
}

static void bounds_make(const struct run *run, struct bounds *ret_bounds)
{
	const struct scenario *scenario = run->scenario;
	const struct account *sleeper = &run->accounts[ACTOR_SLEEPER];

	memset(ret_bounds, 0, sizeof(*ret_bounds));
	for (uint32_t i = 0; i < run->prefilled; i++)
		set(ret_bounds, NUMBER_PREFILLED + i, 1, 1);
	for (uint32_t i = 0; i < run->fresh_sent; i++)
		set(ret_bounds, NUMBER_FRESH + i, 1, 1);
	if (run->woken_by_worker &&
	    (scenario->operation == OP_RECEIVE_ASLEEP || scenario->operation == OP_TAKE_ASLEEP))
		set(ret_bounds, NUMBER_WAKER, 1, 1);
	if (scenario->peer == PEER_SENDER && atomic_load(&sleeper->returned))
		set(ret_bounds, NUMBER_SLEEPER, 1, 1);
	operating(ret_bounds, run, ACTOR_FIRST_VICTIM, scenario->first_operation);
	operating(ret_bounds, run, ACTOR_VICTIM, scenario->operation);
}

/* Without bytes a message has no number of its own: the later ones are only counted. */
static int unnumbered_kept(struct run *run, const struct bounds *bounds)
{
	uint32_t least = 0, most = 0;

	for (uint32_t number = run->prefilled; number < NUMBERS; number++) {
		least += bounds->least[number];
		most += bounds->most[number];
	}
	if (run->seen_unnumbered < least)
		return fail(run, "%u of at least %u later messages arrived", run->seen_unnumbered,
			    least);
	if (run->seen_unnumbered > most)
		return fail(run, "%u later messages arrived, of at most %u", run->seen_unnumbered,
			    most);
	return 0;
}

/* A message that a dead process had been given under lease says so when it comes again. */
static int redelivery_is_told(struct run *run)
{
	uint32_t operation = run->scenario->operation;
	const struct account *account = &run->accounts[ACTOR_VICTIM];
	uint32_t number = message_leaving(run, 0);

	if (operation == OP_TAKE_ASLEEP)
		number = NUMBER_WAKER;
	else if (operation != OP_TAKE && operation != OP_RETURN && operation != OP_CLOSE)
		return 0;
	if (!atomic_load(&account->returned) || atomic_load(&account->result) != 0 ||
	    run->seen[number] == 0 || run->deliveries[number] > 0)
		return 0;
	return fail(run, "message %u was taken before, but its delivery count is 0", number);
}

int expect_kept(struct run *run)
{
	bool numbered = scenario_bytes(run->scenario) > 0;
	struct bounds bounds;

	for (uint32_t actor = 0; actor < ACTORS; actor++)
		if (atomic_load(&run->accounts[actor].broken))
			return fail(run, "an actor got a message that is not whole");
	bounds_make(run, &bounds);
	for (uint32_t number = 0; number < (numbered ? NUMBERS : run->prefilled); number++) {
		if (run->seen[number] < bounds.least[number])
			return fail(run, "message %u is lost", number);
		if (run->seen[number] > bounds.most[number])
			return fail(run, "message %u came %u times, at most %u are right", number,
				    run->seen[number], bounds.most[number]);
	}
	if (!numbered && unnumbered_kept(run, &bounds) != 0)
		return -1;
	return redelivery_is_told(run);
}
