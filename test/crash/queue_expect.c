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
	/* Of the messages that may be missing, so many at most are. */
	uint32_t missing_most;
};

static void set(struct bounds *bounds, uint32_t number, uint8_t least, uint8_t most)
{
	if (number >= NUMBERS)
		return;
	bounds->least[number] = least;
	bounds->most[number] = most;
}

static bool came_to_nothing(const struct account *account)
{
	return atomic_load(&account->returned) && atomic_load(&account->result) != 0;
}

/* How many messages an operation sends if nothing goes wrong, and how many it consumes. */
static uint32_t sends(const struct scenario *scenario, uint32_t operation)
{
	switch (operation) {
	case OP_SEND:
	case OP_COMMIT:
	case OP_ATTACH:
	case OP_SEND_ASLEEP:
	case OP_COMMIT_ASLEEP:
	case OP_RENDEZVOUS:
	case OP_DROP_OLDEST:
		return 1;
	case OP_SEND_BATCH:
	case OP_SEND_BATCH_ASLEEP:
		return BATCH_MESSAGES;
	default:
		(void)scenario;
		return 0;
	}
}

static uint32_t consumes(const struct scenario *scenario, uint32_t operation)
{
	switch (operation) {
	case OP_RECEIVE:
	case OP_DONE:
		return 1;
	case OP_RECEIVE_BATCH:
		return BATCH_MESSAGES;
	default:
		return scenario_drops_oldest(scenario) && scenario->fill != FILL_EMPTY
			       ? sends(scenario, operation)
			       : 0;
	}
}

/* Messages from `number` on were sent, if the call came to its end. */
static void sending(struct bounds *bounds, const struct run *run, const struct account *account,
		    uint32_t number, uint32_t operation)
{
	const struct scenario *scenario = run->scenario;
	uint32_t count = sends(scenario, operation), sent = count;
	bool returned = atomic_load(&account->returned);

	if (came_to_nothing(account))
		sent = 0;
	else if (returned && count > 1)
		sent = atomic_load(&account->count);
	/* What does not fit is sent and dropped: nobody receives anything meanwhile. */
	if (scenario->variant == VARIANT_DROP_NEWEST && run->prefilled + sent > QUEUE_CAPACITY)
		sent = QUEUE_CAPACITY - run->prefilled;
	for (uint32_t i = 0; i < sent; i++)
		set(bounds, number + i, returned, 1);
}

/* The victim consumed some of the first messages, if the call came to its end. */
static void consuming(struct bounds *bounds, const struct run *run, enum actor actor,
		      uint32_t operation)
{
	const struct scenario *scenario = run->scenario;
	const struct account *account = &run->accounts[actor];
	uint32_t count = consumes(scenario, operation), slack = 0;
	bool returned = atomic_load(&account->returned), batch = count > 1;
	bool knows = operation == OP_RECEIVE || operation == OP_DONE;

	if (came_to_nothing(account))
		return;
	if (returned && batch)
		count = atomic_load(&account->count);
	/* Dropped is what is there beyond the capacity. */
	if (sends(scenario, operation) > 0)
		count = run->prefilled + count > QUEUE_CAPACITY
				? run->prefilled + count - QUEUE_CAPACITY
				: 0;
	/* Who consumes beside somebody else's lease, or behind it, may get what lies further back. */
	if (scenario->first_operation)
		slack = BATCH_MESSAGES;
	for (uint32_t i = 0; i < BATCH_MESSAGES && scenario->first_operation &&
			     run->prefilled < count + consumes(scenario, scenario->first_operation);
	     i++)
		bounds->least[NUMBER_FIRST_VICTIM + i] = 0;
	/* A batch is received in runs, between which senders may put something that goes before. */
	for (uint32_t i = 0; i < SLEEPERS && batch && run->sleepers[i].role == ROLE_SEND; i++) {
		bounds->least[NUMBER_SLEEPER + i] = 0;
		slack = BATCH_MESSAGES;
	}
	if (scenario->peer == PEER_RECEIPT) {
		set(bounds, NUMBER_SLEEPER, 0, !returned);
	} else if (returned && knows && scenario_bytes(scenario) > 0) {
		set(bounds, atomic_load(&account->number), 0, 0);
		return;
	}
	bounds->missing_most += count;
	for (uint32_t i = 0; i < count + slack && i < run->prefilled; i++) {
		struct selection selection = actor == ACTOR_VICTIM ? victim_selection(scenario)
								   : (struct selection){0};
		uint32_t number = message_chosen(run, selection, i);

		if (number < NUMBERS && bounds->most[number] > 0)
			set(bounds, number, 0, !returned || slack > 0);
	}
}

static void consuming_of_waker(struct bounds *bounds, const struct account *account)
{
	bool returned = atomic_load(&account->returned);

	if (!returned || atomic_load(&account->result) == 0)
		set(bounds, NUMBER_WAKER, 0, !returned);
}

/* A victim that was woken by a death: by what the dead one sent, or had taken. */
static void consuming_of_anything(struct bounds *bounds, const struct run *run,
				  const struct account *account)
{
	bool returned = atomic_load(&account->returned);

	if (came_to_nothing(account))
		return;
	for (uint32_t i = 0; i < BATCH_MESSAGES; i++)
		bounds->least[NUMBER_FIRST_VICTIM + i] = 0;
	for (uint32_t i = 0; i < run->prefilled; i++)
		bounds->least[i] = 0;
	bounds->missing_most++;
	if (returned && scenario_bytes(run->scenario) > 0)
		set(bounds, atomic_load(&account->number), 0, 0);
}

static void operating(struct bounds *bounds, const struct run *run, enum actor actor,
		      uint32_t operation)
{
	const struct account *account = &run->accounts[actor];
	uint32_t number = actor == ACTOR_VICTIM ? NUMBER_VICTIM : NUMBER_FIRST_VICTIM;

	if (sends(run->scenario, operation) > 0)
		sending(bounds, run, account, number, operation);
	if (consumes(run->scenario, operation) > 0)
		consuming(bounds, run, actor, operation);
	if (operation == OP_RECEIPT_ASLEEP)
		set(bounds, number, 1, 1);
	/* A dead taker's messages come back, and beside other operations all are as they were. */
	if (operation == OP_RECEIVE_ASLEEP) {
		if (run->scenario->first_operation)
			consuming_of_anything(bounds, run, account);
		else
			consuming_of_waker(bounds, account);
	}
}

static void bounds_make(const struct run *run, struct bounds *ret_bounds)
{
	const struct scenario *scenario = run->scenario;
	uint32_t operation = scenario->operation;

	memset(ret_bounds, 0, sizeof(*ret_bounds));
	for (uint32_t i = 0; i < run->prefilled; i++)
		set(ret_bounds, NUMBER_PREFILLED + i, 1, 1);
	for (uint32_t i = 0; i < run->fresh_sent; i++)
		set(ret_bounds, NUMBER_FRESH + i, 1, 1);
	if (run->woken_by_worker && scenario->fill != FILL_FULL &&
	    (operation == OP_RECEIVE_ASLEEP || operation == OP_TAKE_ASLEEP ||
	     operation == OP_WAIT_ASLEEP))
		set(ret_bounds, NUMBER_WAKER, 1, 1);
	for (uint32_t i = 0; i < SLEEPERS; i++) {
		const struct account *sleeper = &run->accounts[ACTOR_SLEEPER + i];

		if (run->sleepers[i].role == ROLE_RECEIPT ||
		    (run->sleepers[i].role == ROLE_SEND && atomic_load(&sleeper->returned)))
			set(ret_bounds, NUMBER_SLEEPER + i, 1, 1);
	}
	operating(ret_bounds, run, ACTOR_FIRST_VICTIM, scenario->first_operation);
	operating(ret_bounds, run, ACTOR_VICTIM, operation);
	/* What the fresh process made room for may have been any of the oldest. */
	if (run->fresh_dropped) {
		ret_bounds->missing_most++;
		for (uint32_t number = 0; number < NUMBER_FRESH; number++)
			ret_bounds->least[number] = 0;
	}
}

void expect_sent(const struct run *run, uint64_t *ret_least, uint64_t *ret_most)
{
	const struct scenario *scenario = run->scenario;
	const uint32_t operations[] = {[ACTOR_FIRST_VICTIM] = scenario->first_operation,
				       [ACTOR_VICTIM] = scenario->operation};

	*ret_least = *ret_most = 0;
	for (uint32_t actor = 0; actor <= ACTOR_VICTIM; actor++) {
		const struct account *account = &run->accounts[actor];
		uint32_t count = sends(scenario, operations[actor]);

		if (operations[actor] == OP_RECEIPT || operations[actor] == OP_RECEIPT_ASLEEP) {
			(*ret_least)++;
			(*ret_most)++;
		}
		if (count == 0 || came_to_nothing(account))
			continue;
		if (atomic_load(&account->returned)) {
			count = count > 1 ? atomic_load(&account->count) : count;
			*ret_least += count;
		}
		*ret_most += count;
	}
}

uint32_t expect_left(struct run *run)
{
	struct bounds bounds;
	uint32_t least = 0, seen = run->seen_unnumbered;

	bounds_make(run, &bounds);
	for (uint32_t number = 0; number < NUMBERS; number++) {
		least += bounds.least[number];
		if (bounds.least[number] > 0)
			seen += run->seen[number];
	}
	return least > seen ? least - seen : 0;
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
	else if (scenario_bytes(run->scenario) > 0)
		number = atomic_load(&account->number);
	if (!atomic_load(&account->returned) || atomic_load(&account->result) != 0 ||
	    run->seen[number] == 0 || run->deliveries[number] > 0)
		return 0;
	return fail(run, "message %u was taken before, but its delivery count is 0", number);
}

int expect_kept(struct run *run)
{
	bool numbered = scenario_bytes(run->scenario) > 0;
	struct bounds bounds;
	uint32_t missing = 0;

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
		if (number < run->prefilled && bounds.most[number] > 0 && run->seen[number] == 0)
			missing++;
	}
	if (!numbered && unnumbered_kept(run, &bounds) != 0)
		return -1;
	if (missing > bounds.missing_most)
		return fail(run, "%u messages are missing, at most %u may be", missing,
			    bounds.missing_most);
	return redelivery_is_told(run);
}
