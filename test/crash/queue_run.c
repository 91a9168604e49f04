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

struct tenon_queue_options queue_options(const struct scenario *scenario)
{
	bool drops = scenario->operation == OP_DROP_OLDEST ||
		     scenario->first_operation == OP_DROP_OLDEST;
	bool rendezvous = scenario->operation == OP_RENDEZVOUS;

	return (struct tenon_queue_options){
		.size = sizeof(struct tenon_queue_options),
		.order = scenario->order,
		.full = drops ? TENON_QUEUE_DROP_OLDEST : TENON_QUEUE_WAIT,
		.capacity = rendezvous ? TENON_QUEUE_RENDEZVOUS : QUEUE_CAPACITY,
		.max_message_bytes = MESSAGE_MAX_BYTES,
		.mode = 0600,
		.max_participants = 16,
	};
}

static uint32_t prefill_count(const struct scenario *scenario)
{
	switch (scenario->fill) {
	case FILL_EMPTY:
		return operation_holds_lease(scenario->operation);
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

	message_write(buffer, scenario_bytes(run->scenario), number);
	return tenon_queue_send(run->witness, buffer, scenario_bytes(run->scenario), &options);
}

/* A name that the last victim left behind goes first. */
static int make_queue(struct run *run)
{
	struct tenon_queue_options options = queue_options(run->scenario);
	uint32_t count = prefill_count(run->scenario);
	int result = tenon_queue_remove(run->folder, QUEUE_NAME);

	if (result != 0 && result != -ENOENT)
		return fail(run, "remove: %s", strerror(-result));
	if (run->scenario->operation == OP_CREATE)
		return 0;
	result = tenon_queue_open(run->folder, QUEUE_NAME,
				  TENON_QUEUE_CREATE | TENON_QUEUE_EXCLUSIVE, &options,
				  &run->witness);
	if (result != 0)
		return fail(run, "create: %s", strerror(-result));
	for (; run->prefilled < count; run->prefilled++) {
		result = send_numbered(run, NUMBER_PREFILLED + run->prefilled);
		if (result != 0)
			return fail(run, "filling the queue: %s", strerror(-result));
	}
	return 0;
}

/* A victim has gone to sleep in the middle of its call: the worker makes what it waits for, behind a
 * sleeper that came later than the victim and may have it if the victim dies. */
static int wake_victim(void *context)
{
	struct run *run = context;
	uint32_t operation = run->scenario->operation;
	struct tenon_receive_options options = {.size = sizeof(options), .flags = TENON_NONBLOCK};
	struct tenon_message message;
	int result;

	if (operation == OP_RENDEZVOUS && run->scenario->peer == PEER_RECEIVER)
		return 0;
	if (operation != OP_RENDEZVOUS && run->scenario->peer >= PEER_RECEIVER &&
	    sleeper_start(run) != 0)
		return -1;
	run->woken_by_worker = true;
	if (operation == OP_RECEIVE_ASLEEP || operation == OP_TAKE_ASLEEP) {
		result = send_numbered(run, NUMBER_WAKER);
	} else {
		result = tenon_queue_receive(run->witness, buffer, sizeof(buffer), &options,
					     &message);
		if (result == 0)
			result = survivor_saw(run, buffer, &message);
	}
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
			struct step_victim *victim, const struct step_plan *plan)
{
	int result;

	run->actor = actor;
	run->operation = operation;
	result = step_start(victim, plan);
	if (result != 0)
		return fail(run, "the victim cannot prepare itself: %s", strerror(-result));
	return 0;
}

int run_record_first(struct run *run, struct step_trace *ret_trace)
{
	struct step_plan plan = plan_of(run, run->scenario->first_operation);
	enum step_end end;

	if (make_queue(run) != 0 ||
	    start_victim(run, ACTOR_FIRST_VICTIM, run->scenario->first_operation,
			 &run->first_victim, &plan) != 0)
		return -1;
	end = step_record(&run->first_victim, ret_trace, UINT64_C(1000000));
	step_kill(&run->first_victim);
	return end == STEP_FINISHED ? 0 : fail(run, "the first victim does not finish");
}

/* The repairer attaches before somebody dies, so that the repair is not done in attaching. */
static int kill_first_victim(struct run *run)
{
	struct step_plan plan = plan_of(run, run->scenario->first_operation);
	enum step_end end;

	if (start_victim(run, ACTOR_FIRST_VICTIM, run->scenario->first_operation,
			 &run->first_victim, &plan) != 0)
		return -1;
	end = step_jump(&run->first_victim, run->first_trace, run->first_steps);
	step_kill(&run->first_victim);
	if (end == STEP_CRASHED || end == STEP_HANGS)
		return fail(run, "the first victim came to an end of its own");
	return 0;
}

int run_begin(struct run *run, struct step_plan *plan)
{
	const struct scenario *scenario = run->scenario;

	memset(run->accounts, 0, ACTORS * sizeof(*run->accounts));
	if (make_queue(run) != 0)
		return -1;
	*plan = plan_of(run, scenario->operation);
	if (start_victim(run, ACTOR_VICTIM, scenario->operation, &run->victim, plan) != 0)
		return -1;
	if (scenario->first_operation && kill_first_victim(run) != 0)
		return -1;
	run->operation = scenario->operation;
	if (scenario->peer == PEER_NONE)
		run->witness = tenon_queue_close(run->witness);
	if (scenario->peer >= PEER_RECEIVER &&
	    (!operation_sleeps(scenario->operation) || scenario->operation == OP_RENDEZVOUS))
		return sleeper_start(run);
	return 0;
}

void run_end(struct run *run)
{
	step_kill(&run->victim);
	step_kill(&run->first_victim);
	sleeper_stop(run);
	run->witness = tenon_queue_close(run->witness);
}
