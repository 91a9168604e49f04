/* SPDX-License-Identifier: Apache-2.0 */

/* One kill: what a scenario begins with, and its end. */

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "queue_crash.h"

static char buffer[MESSAGE_MAX_BYTES];

/* The first reason is the one that counts. */
int fail(struct run *run, const char *format, ...)
{
	va_list arguments;

	if (run->why[0] != '\0')
		return -1;
	va_start(arguments, format);
	vsnprintf(run->why, sizeof(run->why), format, arguments);
	va_end(arguments);
	return -1;
}

static uint32_t full_of(const struct scenario *scenario)
{
	if (scenario_drops_oldest(scenario))
		return TENON_QUEUE_DROP_OLDEST;
	switch (scenario->variant) {
	case VARIANT_FAIL:
		return TENON_QUEUE_FAIL;
	case VARIANT_DROP_NEWEST:
		return TENON_QUEUE_DROP_NEWEST;
	default:
		return TENON_QUEUE_WAIT;
	}
}

struct tenon_queue_options queue_options(const struct scenario *scenario)
{
	return (struct tenon_queue_options){
		.size = sizeof(struct tenon_queue_options),
		.order = scenario->order,
		.full = full_of(scenario),
		.capacity = scenario_capacity(scenario),
		.max_message_bytes = MESSAGE_MAX_BYTES,
		.mode = 0600,
		.max_participants = 16,
	};
}

static uint32_t prefill_count(const struct scenario *scenario)
{
	switch (scenario->fill) {
	case FILL_EMPTY:
		/* What is taken beside a receipt's holder is the message that the receipt is for. */
		return scenario->peer == PEER_RECEIPT
			       ? 0
			       : operation_holds_lease(scenario->operation) +
					 operation_holds_lease(scenario->first_operation);
	case FILL_PART:
		return 2;
	default:
		return QUEUE_CAPACITY;
	}
}

static int send_numbered(struct run *run, uint32_t number)
{
	struct tenon_send_options options = {.size = sizeof(options),
					     .flags = TENON_NONBLOCK,
					     .key = message_key(run->scenario, number)};
	int result;

	message_write(buffer, scenario_bytes(run->scenario), number);
	result = tenon_queue_send(run->witness, buffer, scenario_bytes(run->scenario), &options);
	run->sent += result == 0;
	return result;
}

/* A name that the last victim left behind goes first. */
static int make_queue(struct run *run)
{
	struct tenon_queue_options options = queue_options(run->scenario);
	uint32_t count = prefill_count(run->scenario);
	int result = tenon_queue_remove(run->folder, QUEUE_NAME), fd;

	run->begin_ns = figures_now_ns();
	if (result != 0 && result != -ENOENT)
		return fail(run, "remove: %s", strerror(-result));
	if (run->scenario->operation == OP_CREATE)
		return 0;
	result = tenon_queue_open(run->folder, QUEUE_NAME,
				  TENON_QUEUE_CREATE | TENON_QUEUE_EXCLUSIVE, &options,
				  &run->witness);
	if (result != 0)
		return fail(run, "create: %s", strerror(-result));
	if (run->scenario->variant == VARIANT_POLLED) {
		result = tenon_queue_readable_fd(run->witness, &fd);
		if (result == 0)
			result = tenon_queue_writable_fd(run->witness, &fd);
		if (result != 0)
			return fail(run, "the descriptors: %s", strerror(-result));
	}
	for (; run->prefilled < count; run->prefilled++) {
		result = send_numbered(run, NUMBER_PREFILLED + run->prefilled);
		if (result != 0)
			return fail(run, "filling the queue: %s", strerror(-result));
	}
	return 0;
}

/* Nothing can be had then, and there is no room. */
static int hold_the_rest(struct run *run)
{
	struct tenon_receive_options options = {.size = sizeof(options), .flags = TENON_NONBLOCK};
	int result = 0;

	while (result == 0 && run->held_count < QUEUE_CAPACITY) {
		result = tenon_queue_take(run->witness, &options, &run->held[run->held_count]);
		run->held_count += result == 0;
	}
	return result == 0 || result == -EAGAIN
		       ? 0
		       : fail(run, "taking what is there: %s", strerror(-result));
}

int run_kill_first(struct run *run)
{
	if (run->first_victim.pid <= 0)
		return 0;
	step_kill(&run->first_victim);
	return 0;
}

/* Something for a victim that sleeps: a message, room, or the end of its receipt. */
static int make_what_is_awaited(struct run *run)
{
	struct tenon_receive_options options = {.size = sizeof(options), .flags = TENON_NONBLOCK};
	uint32_t operation = run->scenario->operation;
	struct tenon_message message;
	int result;

	run->woken_by_worker = true;
	if (operation == OP_RECEIVE_ASLEEP || operation == OP_TAKE_ASLEEP ||
	    (operation == OP_WAIT_ASLEEP && run->scenario->fill == FILL_EMPTY))
		return send_numbered(run, NUMBER_WAKER);
	result = tenon_queue_receive(run->witness, buffer, sizeof(buffer), &options, &message);
	return result == 0 ? survivor_saw(run, buffer, &message) : result;
}

/* A victim has gone to sleep in the middle of its call.  The worker makes what it waits for, behind
 * sleepers that came later than the victim and may have it if the victim dies; or the first victim
 * dies, and the kernel wakes. */
static int wake_victim(void *context)
{
	struct run *run = context;
	bool meets = run->scenario->operation == OP_RENDEZVOUS;
	int result;

	if (meets && run->scenario->peer == PEER_RECEIVER)
		return 0;
	if (!meets && sleepers_start(run) != 0)
		return -1;
	if (run->scenario->first_operation)
		return run_kill_first(run);
	result = make_what_is_awaited(run);
	return result == 0 ? 0 : fail(run, "waking the victim: %s", strerror(-result));
}

static struct step_plan plan_of(struct run *run, uint32_t operation)
{
	return (struct step_plan){
		.prepare = victim_prepare,
		.operate = victim_operate,
		.on_sleep = wake_victim,
		.context = run,
		.may_sleep = operation_sleeps(operation),
		.patience_ns = run->patience_ns,
	};
}

static int start_victim(struct run *run, enum actor actor, uint32_t operation,
			struct step_victim *victim, struct step_plan *plan)
{
	int result;

	*plan = plan_of(run, operation);
	run->actor = actor;
	run->operation = operation;
	result = step_start(victim, plan);
	if (result != 0)
		return fail(run, "the victim cannot prepare itself: %s", strerror(-result));
	return 0;
}

/* The victim attaches before somebody dies, so that the repair is not done in attaching.  Sleepers
 * who sleep already are stopped; a victim that will sleep finds the first one stopped half-way. */
static int advance_first_victim(struct run *run)
{
	const struct scenario *scenario = run->scenario;
	enum step_end end;

	if (start_victim(run, ACTOR_FIRST_VICTIM, scenario->first_operation, &run->first_victim,
			 &run->first_plan) != 0)
		return -1;
	if (!operation_sleeps(scenario->operation) &&
	    (sleepers_start(run) != 0 || sleepers_halt(run) != 0))
		return -1;
	end = step_jump(&run->first_victim, run->first_trace, run->first_steps);
	if (end == STEP_CRASHED || end == STEP_HANGS)
		return fail(run, "the first victim came to an end of its own");
	if (operation_sleeps(scenario->operation) || scenario->peer == PEER_CREATOR)
		return 0;
	return run_kill_first(run);
}

int run_record_first(struct run *run, struct step_trace *ret_trace)
{
	enum step_end end;

	memset(run->accounts, 0, ACTORS * sizeof(*run->accounts));
	if (make_queue(run) != 0 ||
	    start_victim(run, ACTOR_FIRST_VICTIM, run->scenario->first_operation,
			 &run->first_victim, &run->first_plan) != 0)
		return -1;
	if (!operation_sleeps(run->scenario->operation) &&
	    (sleepers_start(run) != 0 || sleepers_halt(run) != 0))
		return -1;
	end = step_record(&run->first_victim, ret_trace, UINT64_C(1000000));
	step_kill(&run->first_victim);
	return end == STEP_FINISHED ? 0 : fail(run, "the first victim does not finish");
}

int run_begin(struct run *run, struct step_plan *plan)
{
	const struct scenario *scenario = run->scenario;
	bool early = scenario->peer == PEER_RECEIPT;
	int result;

	memset(run->accounts, 0, ACTORS * sizeof(*run->accounts));
	if (make_queue(run) != 0 || (early && sleepers_start(run) != 0))
		return -1;
	if (start_victim(run, ACTOR_VICTIM, scenario->operation, &run->victim, plan) != 0)
		return -1;
	if (scenario->peer == PEER_BOTH && hold_the_rest(run) != 0)
		return -1;
	result = scenario->first_operation ? advance_first_victim(run) : 0;
	if (result != 0)
		return -1;
	run->operation = scenario->operation;
	if (scenario->peer == PEER_NONE)
		run->witness = tenon_queue_close(run->witness);
	if (early || scenario->first_operation ||
	    (operation_sleeps(scenario->operation) && scenario->operation != OP_RENDEZVOUS))
		return 0;
	return sleepers_start(run);
}

void run_end(struct run *run)
{
	step_kill(&run->victim);
	step_kill(&run->first_victim);
	sleepers_stop(run);
	run->witness = tenon_queue_close(run->witness);
}
