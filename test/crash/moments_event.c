/* SPDX-License-Identifier: Apache-2.0 */

/* Events and random kills: moments.h. */

#include "moments.h"

#include <errno.h>
#include <sched.h>
#include <stddef.h>

#include <tenon/event.h>

#define NAME "/event"
#define OTHER "/other"

static struct tenon_event *own, *other;

static struct tenon_event *open_named(const char *name, uint32_t flags, uint32_t event_flags)
{
	struct tenon_sync_options options = {
		.size = sizeof(options), .flags = event_flags, .max_participants = 32};
	struct tenon_event *event;

	return tenon_event_open(NULL, name, flags, &options, &event) == 0 ? event : NULL;
}

static struct tenon_event *open_event(uint32_t flags, uint32_t event_flags)
{
	return open_named(NAME, flags, event_flags);
}

static struct tenon_event_status status_of(struct tenon_event *event)
{
	struct tenon_event_status status = {.size = sizeof(status)};

	if (tenon_event_status(event, &status) != 0)
		moments_wrong("status", 0);
	return status;
}

static bool prove_figures(void)
{
	struct tenon_event_status status = status_of(own);

	return (status.participants == 1 && status.waiting == 0 && !status.damaged) ||
	       moments_wrong("the dead are left", status.participants);
}

static void clear(void)
{
	own = tenon_event_close(own);
	other = tenon_event_close(other);
	tenon_event_remove(NULL, NAME);
	tenon_event_remove(NULL, OTHER);
}

/*
 * What is handed on by an event of auto reset one has at a time: who passes has it.  Half of the workers wait for one
 * event and set another, for which the others wait; so each time somebody has to be woken.
 *
 * word: who has it; deaths when it was last given anew.
 */
#define HAS 0
#define FED 1

static bool event_set_up(void)
{
	own = open_event(TENON_CREATE, TENON_EVENT_IS_SET);
	other = open_named(OTHER, TENON_CREATE, 0);
	return own && other;
}

static void event_work(uint32_t index)
{
	struct tenon_event *from = open_named(index % 2 ? NAME : OTHER, 0, 0);
	struct tenon_event *to = open_named(index % 2 ? OTHER : NAME, 0, 0);
	int result = from && to ? 0 : -EBADF;

	while (result == 0) {
		result = tenon_event_wait(from, moments_deadline());
		if (result != 0)
			break;
		moments_own(&moments->word[HAS]);
		moments_dally();
		if (!moments_disown(&moments->word[HAS], "two have passed"))
			break;
		atomic_fetch_add(&moments->progress, 1);
		result = tenon_event_set(to);
	}
	moments_wrong("waiting, or setting", result);
}

/* It went down with a dead one; one death takes one. */
static bool event_feed(void)
{
	uint64_t deaths = atomic_load(&moments->deaths);

	if (status_of(own).is_set || status_of(other).is_set)
		return moments_wrong("all sleep, and it is set", 0);
	if (atomic_exchange(&moments->word[FED], deaths) == deaths)
		return moments_wrong("it is gone, and nobody died", 0);
	return tenon_event_set(own) == 0 || moments_wrong("set", 0);
}

static bool event_prove(void)
{
	tenon_event_set(own);
	if (tenon_event_wait(own, 0) != 0 || tenon_event_wait(own, 0) != -ETIMEDOUT)
		return moments_wrong("does not reset itself", 0);
	return prove_figures();
}

const struct moments_kind moments_event = {.name = "event",
					   .workers = 6,
					   .set_up = event_set_up,
					   .work = event_work,
					   .feed = event_feed,
					   .prove = event_prove,
					   .clear = clear};

/*
 * An event of manual reset is a gate: worker 0 opens and closes it, the others pass.  While it is open everybody has to
 * pass, and behind its closing each once more at most.
 */
#define GATE_WORKERS 6u

static bool gate_set_up(void)
{
	own = open_event(TENON_CREATE, TENON_EVENT_MANUAL);
	return own != NULL;
}

static void pass(struct moments_slot *slot)
{
	struct tenon_event *event = open_event(0, 0);
	int result = event ? 0 : -EBADF;

	while (result == 0) {
		atomic_store(&slot->state, 1);
		result = tenon_event_wait(event, moments_deadline());
		atomic_store(&slot->state, 0);
		atomic_fetch_add(&slot->passes, result == 0);
		/* A set event keeps nobody, nor the one who is to reset it from the processor. */
		sched_yield();
	}
	moments_wrong("waiting", result);
}

struct seen {
	uint64_t passes[GATE_WORKERS];
	uint32_t incarnation[GATE_WORKERS];
};

static struct seen see(void)
{
	struct seen seen;

	for (uint32_t i = 1; i < GATE_WORKERS; i++) {
		seen.incarnation[i] = atomic_load(&moments->slot[i].incarnation);
		seen.passes[i] = atomic_load(&moments->slot[i].passes);
	}
	return seen;
}

static bool await_all(void)
{
	struct seen seen = see();
	int64_t deadline_ns = moments_deadline();

	for (uint32_t i = 1; i < GATE_WORKERS; i++) {
		while (atomic_load(&moments->slot[i].passes) == seen.passes[i]) {
			if (moments_is_late(deadline_ns))
				return moments_wrong("a set event keeps somebody", i);
			sched_yield();
		}
	}
	return true;
}

static bool none_passes(void)
{
	struct seen seen = see();

	moments_dally();
	for (uint32_t i = 1; i < GATE_WORKERS; i++) {
		uint64_t passes = atomic_load(&moments->slot[i].passes);

		if (passes > seen.passes[i] + 1 &&
		    atomic_load(&moments->slot[i].incarnation) == seen.incarnation[i])
			return moments_wrong("somebody passes an event that is not set", i);
	}
	return true;
}

static void gate_work(uint32_t index)
{
	struct tenon_event *event;

	if (index > 0)
		pass(&moments->slot[index]);
	event = open_event(0, 0);
	/* The one before may have died with it open. */
	if (!event || (status_of(event).is_set && !await_all()))
		return;
	while (tenon_event_reset(event) == 0 && none_passes() && tenon_event_set(event) == 0 &&
	       await_all())
		atomic_fetch_add(&moments->progress, 1);
}

static bool gate_prove(void)
{
	if (tenon_event_set(own) != 0 || tenon_event_wait(own, 0) != 0 ||
	    tenon_event_reset(own) != 0 || tenon_event_wait(own, 0) != -ETIMEDOUT)
		return moments_wrong("does not do what it is told", 0);
	return prove_figures();
}

const struct moments_kind moments_gate = {.name = "gate",
					  .workers = GATE_WORKERS,
					  .needs_all = true,
					  .set_up = gate_set_up,
					  .work = gate_work,
					  .prove = gate_prove,
					  .clear = clear};

/*
 * Worker 0 pulses, the others wait.  Whoever was asleep for the event when it was pulsed has to pass, or one of these
 * where it is of auto reset; and nobody without a pulse.
 *
 * word: pulses before the one that is under way + 1; passes of all before; of each who was asleep then the
 * incarnation + 1, and the passes.
 */
#define UNDER_WAY 0
#define PASSES 1
#define ASLEEP 8
#define ASLEEP_PASSES 16

static uint64_t count_passes(void)
{
	uint64_t passes = 0;

	for (uint32_t i = 1; i < GATE_WORKERS; i++)
		passes += atomic_load(&moments->slot[i].passes);
	return passes;
}

/* Notes who is asleep for it.  Answers how many. */
static uint32_t note_asleep(void)
{
	uint32_t count = 0;

	for (uint32_t i = 1; i < GATE_WORKERS; i++) {
		struct moments_slot *slot = &moments->slot[i];
		uint32_t incarnation = atomic_load(&slot->incarnation);
		uint64_t passes = atomic_load(&slot->passes);
		bool asleep = atomic_load(&slot->state) &&
			      moments_is_asleep(atomic_load(&slot->pid)) &&
			      atomic_load(&slot->state) && atomic_load(&slot->passes) == passes &&
			      atomic_load(&slot->incarnation) == incarnation;

		atomic_store(&moments->word[ASLEEP + i], asleep ? incarnation + UINT64_C(1) : 0);
		atomic_store(&moments->word[ASLEEP_PASSES + i], passes);
		count += asleep;
	}
	atomic_store(&moments->word[PASSES], count_passes());
	return count;
}

static bool has_passed(uint32_t index)
{
	uint64_t incarnation = atomic_load(&moments->word[ASLEEP + index]);

	return incarnation == 0 ||
	       atomic_load(&moments->slot[index].passes) !=
		       atomic_load(&moments->word[ASLEEP_PASSES + index]) ||
	       atomic_load(&moments->slot[index].incarnation) + UINT64_C(1) != incarnation;
}

/* Whether those who were asleep have passed, or died. */
static bool have_passed(bool is_manual)
{
	bool all = true, died = false;

	for (uint32_t i = 1; i < GATE_WORKERS; i++) {
		uint64_t incarnation = atomic_load(&moments->word[ASLEEP + i]);

		all = all && has_passed(i);
		died |= incarnation != 0 &&
			atomic_load(&moments->slot[i].incarnation) + UINT64_C(1) != incarnation;
	}
	return is_manual ? all : died || count_passes() != atomic_load(&moments->word[PASSES]);
}

static bool await_passes(struct tenon_event *event)
{
	int64_t deadline_ns = moments_deadline();
	bool is_manual = status_of(event).manual;

	while (!have_passed(is_manual)) {
		if (moments_is_late(deadline_ns))
			return moments_wrong("a pulse missed who slept", is_manual);
		sched_yield();
	}
	return true;
}

/* Each pulse lets each pass once, or one. */
static bool count_pulses(struct tenon_event *event)
{
	uint64_t all = count_passes();
	bool is_manual = status_of(event).manual;
	uint32_t pulses;

	for (uint32_t i = 1; i < GATE_WORKERS && is_manual; i++) {
		uint64_t passes = atomic_load(&moments->slot[i].passes);

		if (passes > status_of(event).pulses)
			return moments_wrong("somebody passes without a pulse", i);
	}
	pulses = status_of(event).pulses;
	return is_manual || all <= pulses ||
	       moments_wrong("more pass than there are pulses", pulses);
}

static void pulse_work(uint32_t index)
{
	struct tenon_event *event;
	uint64_t before;

	if (index > 0)
		pass(&moments->slot[index]);
	event = open_event(0, 0);
	if (!event)
		return;
	/* The one before may have died amid a pulse, and what it began is true all the same. */
	before = atomic_load(&moments->word[UNDER_WAY]);
	if (before != 0 && status_of(event).pulses + UINT64_C(1) != before && !await_passes(event))
		return;
	for (;;) {
		atomic_store(&moments->word[UNDER_WAY], 0);
		if (note_asleep() == 0) {
			sched_yield();
			continue;
		}
		atomic_store(&moments->word[UNDER_WAY], status_of(event).pulses + UINT64_C(1));
		if (tenon_event_pulse(event) != 0 || !await_passes(event) || !count_pulses(event))
			return;
		atomic_fetch_add(&moments->progress, 1);
	}
}

static bool pulse_prove(void)
{
	if (tenon_event_wait(own, 0) != -ETIMEDOUT && !status_of(own).manual &&
	    tenon_event_wait(own, 0) != -ETIMEDOUT)
		return moments_wrong("a pulse has set it", 0);
	return prove_figures();
}

static bool pulse_auto_set_up(void)
{
	own = open_event(TENON_CREATE, 0);
	return own != NULL;
}

const struct moments_kind moments_pulse = {.name = "pulse",
					   .workers = GATE_WORKERS,
					   .needs_all = true,
					   .set_up = gate_set_up,
					   .work = pulse_work,
					   .prove = pulse_prove,
					   .clear = clear};

const struct moments_kind moments_pulse_auto = {.name = "pulse-auto",
						.workers = GATE_WORKERS,
						.needs_all = true,
						.set_up = pulse_auto_set_up,
						.work = pulse_work,
						.prove = pulse_prove,
						.clear = clear};
