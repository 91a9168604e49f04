/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What survivors do after the kill: the sleepers go on as soon as there is something for them, and a
 * fresh process drains the queue, fills it, empties it, and looks at it from all sides.
 *
 * Only some fresh processes begin with looking for the dead (tenon_queue_recover): what a dead process
 * had taken has to be found by whoever would otherwise find nothing, or no room.
 */

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "queue_crash.h"

#define CYCLES 2
/* More than can ever be in the queue: the end of every loop. */
#define MESSAGES_BOUND 64u
#define SOON_NS INT64_C(2000000)

static char buffer[MESSAGE_MAX_BYTES];

static uint32_t rank_of(const struct run *run, uint32_t number)
{
	for (uint32_t position = 0; position < run->prefilled; position++)
		if (message_leaving(run, position) == number)
			return position;
	return UINT32_MAX;
}

int survivor_saw(struct run *run, const void *data, const struct tenon_message *message)
{
	uint32_t bytes = scenario_bytes(run->scenario);
	int number = message_read(data, message->bytes, bytes);

	if (number < 0)
		return fail(run, "a torn message (%llu bytes, sequence %llu)",
			    (unsigned long long)message->bytes,
			    (unsigned long long)message->sequence);
	if (bytes == 0) {
		if (message->sequence >= run->prefilled) {
			run->seen_unnumbered++;
			return 0;
		}
		number = (int)message->sequence;
	}
	run->seen[number]++;
	run->deliveries[number] = message->deliveries;
	if ((uint32_t)number >= run->prefilled)
		return 0;
	if (message->sequence != (uint64_t)number)
		return fail(run, "message %d says that it is number %llu of the queue", number,
			    (unsigned long long)message->sequence);
	if (message->key != message_key(run->scenario, (uint32_t)number))
		return fail(run, "message %d has another key", number);
	/* Nobody looks for what a dead one had taken while there is something else. */
	if (message->deliveries > 0 && run->first_call != FIRST_RECOVER)
		return 0;
	if (rank_of(run, (uint32_t)number) < run->next_rank)
		return fail(run, "message %d is out of order", number);
	run->next_rank = rank_of(run, (uint32_t)number) + 1;
	return 0;
}

int survivor_send(struct run *run, struct tenon_queue *queue, uint32_t number)
{
	struct tenon_send_options options = {.size = sizeof(options),
					     .flags = TENON_NONBLOCK,
					     .key = message_key(run->scenario, number)};
	uint32_t bytes = scenario_bytes(run->scenario);
	int result;

	message_write(buffer, bytes, number);
	result = tenon_queue_send(queue, buffer, bytes, &options);
	run->sent += result == 0;
	return result;
}

static int receive_one(struct tenon_queue *queue, bool soon, struct tenon_message *ret_message)
{
	struct tenon_receive_options options = {.size = sizeof(options),
						.flags = soon ? 0 : TENON_NONBLOCK,
						.deadline_ns = soon ? tenon_deadline_after(SOON_NS)
								    : 0};

	return tenon_queue_receive(queue, buffer, sizeof(buffer), &options, ret_message);
}

int survivor_receive(struct run *run, struct tenon_queue *queue)
{
	struct tenon_message message;
	int result = receive_one(queue, false, &message);

	return result == 0 ? survivor_saw(run, buffer, &message) : result;
}

static int drain(struct run *run, struct tenon_queue *fresh)
{
	bool soon = run->first_call == FIRST_RECEIVE_SOON;
	struct tenon_message message;
	int result = 0;

	for (uint32_t i = 0; i < MESSAGES_BOUND; i++) {
		result = receive_one(fresh, soon, &message);
		if (result != 0)
			break;
		if (survivor_saw(run, buffer, &message) != 0)
			return -1;
	}
	if (result != (soon ? -ETIMEDOUT : -EAGAIN))
		return fail(run, "draining the queue: %s", strerror(-result));
	return 0;
}

/* Whether somebody who polls is told of a message, or of room. */
static bool poll_tells(struct tenon_queue *queue, bool writable)
{
	struct pollfd polled = {.fd = -1, .events = POLLIN};

	if ((writable ? tenon_queue_writable_fd(queue, &polled.fd)
		      : tenon_queue_readable_fd(queue, &polled.fd)) != 0)
		return false;
	return poll(&polled, 1, 0) == 1;
}

static int polled_is_right(struct run *run, struct tenon_queue *queue, uint32_t held,
			   const char *when)
{
	bool drops = scenario_drops_oldest(run->scenario) ||
		     run->scenario->variant == VARIANT_DROP_NEWEST;

	if (!scenario_is_polled(run->scenario))
		return 0;
	if (poll_tells(queue, false) != (held > 0))
		return fail(run, "%s, with %u messages, the readable descriptor is wrong", when,
			    held);
	if (!drops && poll_tells(queue, true) != (held < QUEUE_CAPACITY))
		return fail(run, "%s, with %u messages, the writable descriptor is wrong", when,
			    held);
	return 0;
}

/* Fills the queue and empties it: it has to hold its capacity, and give it back whole. */
static int cycle(struct run *run, struct tenon_queue *fresh)
{
	uint64_t capacity = scenario_capacity(run->scenario);
	bool endless = scenario_drops_oldest(run->scenario) ||
		       run->scenario->variant == VARIANT_DROP_NEWEST ||
		       capacity == TENON_QUEUE_UNBOUNDED;
	uint32_t wanted = endless && capacity == TENON_QUEUE_UNBOUNDED ? 2 * QUEUE_CAPACITY
								       : (uint32_t)capacity;
	uint32_t sent = 0, received = 0;
	struct tenon_message message;
	int result = 0;

	while (sent < MESSAGES_BOUND && !(endless && sent == wanted) && result == 0) {
		result = survivor_send(run, fresh, NUMBER_FRESH + sent % 8);
		sent += result == 0;
	}
	if (sent != wanted || (result != 0 && result != -EAGAIN))
		return fail(run, "filling ended after %u messages: %s", sent, strerror(-result));
	run->most_at_once = sent;
	if (polled_is_right(run, fresh, sent, "filled") != 0)
		return -1;
	for (result = 0; received < MESSAGES_BOUND && result == 0; received += result == 0) {
		result = receive_one(fresh, false, &message);
		if (result == 0 &&
		    message_read(buffer, message.bytes, scenario_bytes(run->scenario)) < 0)
			return fail(run, "a torn message after the repair");
	}
	if (received != sent || result != -EAGAIN)
		return fail(run, "%u messages sent, %u received: %s", sent, received,
			    strerror(-result));
	return polled_is_right(run, fresh, 0, "emptied");
}

/* Looks without taking: what is certainly there has to be seen. */
static int look_first(struct run *run, struct tenon_queue *fresh)
{
	uint32_t left = expect_left(run), events = 0;
	struct tenon_message message;
	int result;

	if (run->first_call == FIRST_PEEK) {
		result = tenon_queue_peek(fresh, 0, buffer, sizeof(buffer), &message);
		if (left > 0 && result != 0)
			return fail(run, "peek finds none of %u messages: %s", left,
				    strerror(-result));
		if (result == 0 &&
		    message_read(buffer, message.bytes, scenario_bytes(run->scenario)) < 0)
			return fail(run, "peek shows a torn message");
	} else if (run->first_call == FIRST_WAIT) {
		result = tenon_queue_wait(fresh, TENON_READABLE, 0, &events);
		if (left > 0 && (result != 0 || events != TENON_READABLE))
			return fail(run, "wait is told of none of %u messages: %s", left,
				    strerror(-result));
	}
	return 0;
}

/* The room that a dead process's lease takes is room where the oldest may be dropped. */
static int send_first(struct run *run, struct tenon_queue *fresh)
{
	int result = survivor_send(run, fresh, NUMBER_FRESH + run->fresh_sent);

	if (result != 0)
		return fail(run, "a send that may drop the oldest: %s", strerror(-result));
	run->fresh_sent++;
	run->fresh_dropped = 1;
	return 0;
}

static int begin(struct run *run, struct tenon_queue *fresh)
{
	int result = 0;

	if (run->first_call == FIRST_SEND && !scenario_drops_oldest(run->scenario))
		run->first_call = FIRST_RECEIVE;
	if (run->first_call == FIRST_RECOVER)
		result = tenon_queue_recover(fresh, NULL);
	if (result != 0)
		return fail(run, "recover: %s", strerror(-result));
	if (sleepers_serve(run, fresh) != 0)
		return -1;
	return run->first_call == FIRST_SEND ? send_first(run, fresh) : look_first(run, fresh);
}

/* The name may be missing where the victim was making or removing it, and only there. */
static int fresh_open(struct run *run, struct tenon_queue **ret_fresh)
{
	uint32_t operation = run->scenario->operation;
	const struct account *account = &run->accounts[ACTOR_VICTIM];
	struct tenon_queue_options options = queue_options(run->scenario);
	bool returned = atomic_load(&account->returned);
	int result = tenon_queue_open(run->folder, QUEUE_NAME, 0, NULL, ret_fresh);

	if (result == -ENOENT && operation == OP_CREATE && !returned)
		result = tenon_queue_open(run->folder, QUEUE_NAME,
					  TENON_QUEUE_CREATE | TENON_QUEUE_EXCLUSIVE, &options,
					  ret_fresh);
	if (result == -ENOENT && operation == OP_REMOVE && atomic_load(&account->called)) {
		*ret_fresh = run->witness;
		return 0;
	}
	if (result == 0 && operation == OP_REMOVE && returned) {
		*ret_fresh = tenon_queue_close(*ret_fresh);
		return fail(run, "a removed queue can be opened");
	}
	if (result != 0)
		return fail(run, "a fresh process cannot open the queue: %s", strerror(-result));
	return 0;
}

static int prove_with(struct run *run, struct tenon_queue *fresh)
{
	struct tenon_queue_status status = {.size = sizeof(status)};
	char text[200] = "";
	int result;

	if (begin(run, fresh) != 0 || drain(run, fresh) != 0 || expect_kept(run) != 0)
		return -1;
	result = tenon_queue_recover(fresh, NULL);
	if (result == 0)
		result = tenon_queue_status(fresh, &status);
	if (result != 0)
		return fail(run, "recover: %s", strerror(-result));
	if (status.messages > 0)
		return fail(run, "%llu messages that were not found came with recover",
			    (unsigned long long)status.messages);
	if (polled_is_right(run, fresh, 0, "drained") != 0)
		return -1;
	for (int i = 0; i < CYCLES; i++)
		if (cycle(run, fresh) != 0)
			return -1;
	result = tenon_queue_check(fresh, text, sizeof(text));
	if (result != 0)
		return fail(run, "check: %s: %s", strerror(-result), text);
	return figures_add_up(run, fresh);
}

/* Whoever was stopped half-way in making the queue goes on, and has it. */
static int creator_goes_on(struct run *run)
{
	const struct account *account = &run->accounts[ACTOR_FIRST_VICTIM];
	int result;

	if (run->scenario->peer != PEER_CREATOR || run->first_victim.pid <= 0)
		return run_kill_first(run);
	step_release(&run->first_victim);
	result = atomic_load(&account->result);
	if (!atomic_load(&account->returned) || result != 0)
		return fail(run, "the other creator: %s", strerror(-result));
	return 0;
}

/* A message that can be seen has been told of: the byte is written before. */
static int pollers_knew(struct run *run, bool told, uint32_t found)
{
	if (run->scenario->variant != VARIANT_POLLED || scenario_holds_lease(run->scenario) ||
	    run->scenario->peer >= PEER_RECEIVER || told || found == 0)
		return 0;
	return fail(run, "%u messages, of which no descriptor told", found);
}

int survivors_prove(struct run *run)
{
	struct tenon_queue_status status = {.size = sizeof(status)};
	struct tenon_queue *fresh;
	bool told = run->scenario->variant == VARIANT_POLLED && poll_tells(run->witness, false);
	int result;

	if (creator_goes_on(run) != 0)
		return -1;
	sleepers_continue(run);
	if (sleepers_settle(run) != 0 || fresh_open(run, &fresh) != 0)
		return -1;
	result = 0;
	if (run->scenario->variant == VARIANT_POLLED &&
	    tenon_queue_status(run->witness, &status) == 0)
		result = pollers_knew(run, told, (uint32_t)status.messages);
	if (result == 0)
		result = prove_with(run, fresh);
	if (fresh != run->witness)
		fresh = tenon_queue_close(fresh);
	return result;
}
