/* SPDX-License-Identifier: Apache-2.0 */

/*
 * One scenario, killed at many instructions.  Two runs go before: one in which the victim dies at
 * its marker, and one in which it dies when all is done; the addresses of the second are the map for
 * all that follow, and the memory that the two take is what no kill may exceed.
 */

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "queue_sweep.h"

/* An operation longer than this hangs. */
#define STEPS_LIMIT UINT64_C(1000000)
/* Runs may take a few instructions more than the one that was recorded. */
#define STEPS_BEYOND 64
/* Places in the first victim's operation that are looked at for a need of repair. */
#define FIRST_PROBES 32
#define FIRSTS_MAX 64
/* Of the runs with sleepers, one in so many is gone before by the reference. */
#define REFERENCE_EVERY 6
/* Of the kill points, one in so many is watched by nobody who looks at the queue. */
#define BLIND_EVERY 8

struct sweep {
	const struct scenario *scenario;
	const struct sweep_options *options;
	struct board *board;
	struct worker *worker;
	struct run run;
	struct step_trace trace, first_trace;
	uint64_t memory_bytes;
	uint64_t firsts[FIRSTS_MAX];
	uint32_t first_count;
	uint32_t failures;
};

void sweep_report(const struct scenario *scenario, uint64_t first_steps, uint64_t steps,
		  uint64_t address, const char *why)
{
	char name[100], place[400], first[48] = "";

	scenario_name(scenario, name, sizeof(name));
	step_describe(address, place, sizeof(place));
	if (scenario->first_operation)
		snprintf(first, sizeof(first), " --first %" PRIu64, first_steps);
	printf("FAIL --scenario %s%s --from %" PRIu64 ", killed before %s: %s\n", name, first,
	       steps, place, why);
	fflush(stdout);
}

static void note_failure(struct sweep *sweep, uint64_t first_steps, uint64_t steps)
{
	sweep->failures++;
	atomic_fetch_add(&sweep->board->failures, 1);
	atomic_store(&sweep->board->failed[sweep->options->index], 1);
	sweep_report(sweep->scenario, first_steps, steps, sweep->run.victim.address,
		     sweep->run.why);
}

static void note_latency(struct latency *latency, int64_t ns)
{
	int64_t bucket = ns / latency->bucket_ns;

	atomic_fetch_add(&latency->count, 1);
	if (ns > atomic_load(&latency->worst_ns))
		atomic_store(&latency->worst_ns, ns);
	if (bucket >= LATENCY_BUCKETS)
		bucket = LATENCY_BUCKETS - 1;
	atomic_fetch_add(&latency->bucket[bucket], 1);
}

static void note_run(struct sweep *sweep)
{
	struct board *board = sweep->board;
	struct run *run = &sweep->run;

	atomic_fetch_add(&board->kill_points, 1);
	atomic_fetch_add(&board->points[sweep->options->index], 1);
	atomic_fetch_add(&board->instructions, run->victim.steps);
	atomic_fetch_add(&board->repairs, run->repairs);
	/* Progress that came before the death was the victim's own work. */
	if (run->progress_ns <= 0)
		return;
	note_latency(run->lease_was_open || scenario_holds_lease(run->scenario)
			     ? &board->after_lease_holder
			     : &board->after_death,
		     run->progress_ns);
}

static bool has_sleepers(const struct scenario *scenario)
{
	return scenario_role(scenario, 0) != ROLE_NONE;
}

/* Now and then, what the machine takes for a death to be told at all. */
static void refer(struct sweep *sweep)
{
	static uint32_t runs;
	int64_t ns;

	if (!has_sleepers(sweep->scenario) || runs++ % REFERENCE_EVERY)
		return;
	ns = reference_measure(&sweep->run);
	if (ns > 0)
		note_latency(&sweep->board->reference, ns);
}

/* From the kill point, so that whoever tries it again has the same. */
static uint32_t chance(uint64_t steps)
{
	return (uint32_t)((steps * UINT64_C(0x9e3779b97f4a7c15)) >> 40);
}

static void run_reset(struct sweep *sweep, uint64_t first_steps)
{
	struct run *run = &sweep->run;

	memset(run, 0, sizeof(*run));
	run->scenario = sweep->scenario;
	run->folder = sweep->options->folder;
	run->accounts = sweep->worker->accounts;
	run->patience_ns = sweep->options->patience_ns;
	run->fault = sweep->options->fault;
	run->first_trace = &sweep->first_trace;
	run->first_steps = first_steps;
	run->memory_bytes = sweep->memory_bytes;
	run->progress_ns = -1;
	atomic_store(&sweep->worker->first_steps, first_steps);
	atomic_store(&sweep->worker->beat_ns, step_now_ns());
}

/* One kill behind `steps` instructions; STEPS_LIMIT with a trace to fill: at the end. */
static enum step_end kill_at(struct sweep *sweep, uint64_t first_steps, uint64_t steps,
			     struct step_trace *recorded)
{
	struct run *run = &sweep->run;
	enum step_end end = STEP_CRASHED;
	struct step_plan plan;
	int result;

	run_reset(sweep, first_steps);
	atomic_store(&sweep->worker->steps, steps);
	refer(sweep);
	run->first_call = sweep->options->first_call;
	if (run->first_call >= FIRST_CALLS)
		run->first_call = chance(steps + first_steps) % FIRST_CALLS;
	run->blind = chance(steps + first_steps) / FIRST_CALLS % BLIND_EVERY == 0;
	result = run_begin(run, &plan);
	if (result == 0) {
		end = recorded ? step_record(&run->victim, recorded, steps)
			       : step_jump(&run->victim, &sweep->trace, steps);
		atomic_store(&sweep->worker->address, run->victim.address);
		step_kill(&run->victim);
		if (end == STEP_CRASHED)
			result = fail(run, "the victim came to an end of its own, status 0x%x",
				      (unsigned)run->victim.status);
		else if (end == STEP_HANGS)
			result = fail(run, "the victim hangs");
		if (!recorded && end == STEP_STOPPED && steps < sweep->trace.count &&
		    run->victim.address != sweep->trace.address[steps])
			atomic_fetch_add(&sweep->board->strays, 1);
	}
	if (result == 0)
		result = survivors_prove(run);
	run_end(run);
	note_run(sweep);
	if (result != 0)
		note_failure(sweep, first_steps, run->victim.steps);
	return end;
}

/* The two runs that go before.  Those in which the victim makes a seeded mistake and comes to the
 * end may fail already: that is a catch. */
static int map_out(struct sweep *sweep, uint64_t first_steps)
{
	uint32_t failures = sweep->failures;
	uint64_t at_marker;

	step_trace_free(&sweep->trace);
	sweep->memory_bytes = 0;
	kill_at(sweep, first_steps, 0, NULL);
	at_marker = sweep->run.ended_bytes;
	kill_at(sweep, first_steps, STEPS_LIMIT, &sweep->trace);
	sweep->memory_bytes = sweep->run.ended_bytes > at_marker ? sweep->run.ended_bytes
								 : at_marker;
	return sweep->failures > failures ? -1 : 0;
}

static uint64_t stride_of(const struct sweep *sweep)
{
	uint64_t sample = sweep->options->sample;

	/* After a lease holder's death sleepers may take 100 ms: fewer of those. */
	if (sample > 8 && scenario_holds_lease(sweep->scenario) && has_sleepers(sweep->scenario))
		sample = (sample + 3) / 4;
	if (sweep->options->from || sample == 0 || sweep->trace.count <= sample)
		return 1;
	return sweep->trace.count / sample;
}

static bool is_over(const struct sweep *sweep)
{
	int64_t end_ns = sweep->options->end_ns;

	return sweep->failures >= sweep->options->failures_max ||
	       atomic_load(&sweep->board->stop) || (end_ns && step_now_ns() > end_ns);
}

/* Strides begin at another instruction each time, and with each scenario. */
static void sweep_instructions(struct sweep *sweep, uint64_t first_steps)
{
	const struct sweep_options *options = sweep->options;
	uint64_t stride, steps, last, points = 0;
	enum step_end end = STEP_STOPPED;

	if (map_out(sweep, first_steps) != 0 || is_over(sweep))
		return;
	stride = stride_of(sweep);
	steps = options->from ? options->from
			      : 1 + (options->seed + options->index * UINT64_C(977)) % stride;
	last = options->to ? options->to : sweep->trace.count + STEPS_BEYOND;
	for (; steps <= last && !is_over(sweep); steps += stride) {
		end = kill_at(sweep, first_steps, steps, NULL);
		points++;
		/* A run may be shorter than the recorded one: of a few points, the others remain. */
		if (stride > 1 ? points == options->sample
			       : end == STEP_FINISHED ||
					 (end == STEP_ASLEEP && steps > sweep->trace.count))
			break;
	}
}

/* Whether somebody who dies there leaves work to a repairer. */
static bool needs_repair(struct sweep *sweep, uint64_t first_steps)
{
	struct tenon_queue_status status = {.size = sizeof(status)};
	struct run *run = &sweep->run;
	struct step_plan plan;
	bool needed = false;

	run_reset(sweep, first_steps);
	if (run_begin(run, &plan) == 0 && run->witness && run_kill_first(run) == 0 &&
	    tenon_queue_recover(run->witness, NULL) == 0 &&
	    tenon_queue_status(run->witness, &status) == 0)
		needed = status.repairs > 0;
	run_end(run);
	return needed;
}

/* Chooses where first victims die: where it needs repair, and when all is done.  When a few are
 * enough, the search begins elsewhere each time and ends when they are found. */
static void choose_firsts(struct sweep *sweep)
{
	uint64_t wanted = sweep->options->first_points, count = sweep->first_trace.count;
	uint64_t turn = sweep->options->seed + sweep->options->index * UINT64_C(977);
	struct scenario watched = *sweep->scenario;
	const struct scenario *scenario = sweep->scenario;

	if (wanted == 0 || wanted > FIRST_PROBES)
		wanted = FIRST_PROBES;
	if (watched.peer == PEER_NONE)
		watched.peer = PEER_WITNESS;
	sweep->scenario = &watched;
	/* The dead who were through leave leases and loans: of a few choices, that is one in four. */
	for (uint64_t i = 0;
	     i < FIRST_PROBES && sweep->first_count < wanted && !(wanted == 1 && turn % 4 == 0);
	     i++) {
		uint64_t steps = (1 + (turn * 7 + i * 13) % FIRST_PROBES) * count /
				 (FIRST_PROBES + 1);

		if (steps > 0 && (scenario->peer == PEER_CREATOR || needs_repair(sweep, steps)))
			sweep->firsts[sweep->first_count++] = steps;
	}
	sweep->scenario = scenario;
	if (sweep->first_count == 0 || wanted > 1)
		sweep->firsts[sweep->first_count++] = count + 1;
}

static void sweep_repairs(struct sweep *sweep)
{
	int result;

	run_reset(sweep, 0);
	result = run_record_first(&sweep->run, &sweep->first_trace);
	run_end(&sweep->run);
	if (result != 0) {
		note_failure(sweep, 0, 0);
		return;
	}
	if (sweep->options->first_steps)
		sweep->firsts[sweep->first_count++] = sweep->options->first_steps;
	else
		choose_firsts(sweep);
	for (uint32_t i = 0; i < sweep->first_count && !is_over(sweep); i++)
		sweep_instructions(sweep, sweep->firsts[i]);
}

void sweep_scenario(const struct scenario *scenario, const struct sweep_options *options,
		    struct board *board, struct worker *worker)
{
	struct sweep sweep = {
		.scenario = scenario, .options = options, .board = board, .worker = worker};

	if (scenario->first_operation)
		sweep_repairs(&sweep);
	else
		sweep_instructions(&sweep, 0);
	if (options->sample == 0 && options->from == 0 &&
	    (options->first_points == 0 || !scenario->first_operation) && !is_over(&sweep))
		atomic_store(&board->completed[options->index], 1);
	step_trace_free(&sweep.trace);
	step_trace_free(&sweep.first_trace);
}
