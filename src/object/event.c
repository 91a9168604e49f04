/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The event: a turnstile (object/turnstile.c) whose value is SET, and a count of pulses.  Who waits notes the count
 * when it comes, and so belongs to the next pulse; of an auto-reset event one of these takes the TOKEN that the pulse
 * left.
 */

#include "object/event.h"

#include <errno.h>

#include "object/options.h"
#include "object/place.h"

static bool is_possible(uint32_t flags, uint32_t limit)
{
	(void)flags;
	return limit == 0;
}

/* Nobody holds anything of it; who owed a wake, or was given one, is buried all the same. */
static uint64_t give_back(const struct tni_sync *sync, uint64_t word, uint64_t claim)
{
	(void)sync;
	(void)claim;
	return word;
}

const struct tni_sync_kind tni_event_kind = {.named = TNI_SYNC_KIND(TENON_KIND_EVENT),
					     .flags_known = TENON_EVENT_MANUAL | TENON_EVENT_IS_SET,
					     .has_rows = true,
					     .is_possible = is_possible,
					     .bury = tni_turnstile_give_back,
					     .help = tni_turnstile_help,
					     .give_back = give_back};

static uint64_t first_word(const struct tenon_sync_options *options)
{
	bool is_set = options && options->size >= 2 * sizeof(uint32_t) &&
		      (options->flags & TENON_EVENT_IS_SET);

	return is_set ? TNI_EVENT_SET : 0;
}

int tenon_event_open(const char *namespace_path, const char *name, uint32_t flags,
		     const struct tenon_sync_options *options, struct tenon_event **ret_event)
{
	return tni_sync_open_named(&tni_event_kind, sizeof(struct tenon_event), namespace_path,
				   name, flags, options, 0, first_word(options), ret_event);
}

int tenon_event_open_at(struct tenon_region *region, uint64_t offset, uint32_t flags,
			const struct tenon_sync_options *options, struct tenon_event **ret_event)
{
	return tni_sync_open_at(&tni_event_kind, sizeof(struct tenon_event), region, offset, flags,
				options, 0, first_word(options), ret_event);
}

struct tenon_event *tenon_event_close(struct tenon_event *event)
{
	return tni_sync_free((struct tni_sync *)event);
}

int tenon_event_remove(const char *namespace_path, const char *name)
{
	return tni_named_remove(TENON_KIND_EVENT, namespace_path, name, NULL);
}

static bool is_manual(const struct tni_sync *sync)
{
	return sync->flags & TENON_EVENT_MANUAL;
}

static int64_t set(const struct tni_sync *sync, uint64_t word, uint64_t argument,
		   uint64_t *ret_next, uint64_t *claim)
{
	(void)argument;
	(void)claim;
	*ret_next = word | TNI_EVENT_SET;
	return word & TNI_EVENT_SET ? 0 : is_manual(sync) ? TNI_EVERYBODY : 1;
}

static int64_t reset(const struct tni_sync *sync, uint64_t word, uint64_t argument,
		     uint64_t *ret_next, uint64_t *claim)
{
	(void)sync;
	(void)argument;
	(void)claim;
	*ret_next = word & ~TNI_EVENT_SET;
	return 0;
}

/* The one that a token is for may be any of those who sleep, and those who came behind do not take it. */
static int64_t pulse(const struct tni_sync *sync, uint64_t word, uint64_t argument,
		     uint64_t *ret_next, uint64_t *claim)
{
	uint64_t pulses = (word + TNI_EVENT_PULSE_ONE) & TNI_EVENT_PULSES;

	(void)argument;
	(void)claim;
	*ret_next = (word & ~(TNI_EVENT_PULSES | TNI_EVENT_SET)) | pulses;
	if (!is_manual(sync))
		*ret_next |= TNI_EVENT_TOKEN;
	return TNI_EVERYBODY;
}

/* A token that was taken and is not used. */
static int64_t return_token(const struct tni_sync *sync, uint64_t word, uint64_t argument,
			    uint64_t *ret_next, uint64_t *claim)
{
	(void)sync;
	(void)argument;
	(void)claim;
	*ret_next = word | TNI_EVENT_TOKEN;
	return TNI_EVERYBODY;
}

static bool may_pass(const struct tni_turn *turn, uint64_t word)
{
	if (word & TNI_EVENT_SET)
		return true;
	return ((word ^ turn->argument) & TNI_EVENT_PULSES) != 0 &&
	       (is_manual(turn->sync) || (word & TNI_EVENT_TOKEN));
}

static int pass(struct tni_turn *turn, int64_t deadline_ns)
{
	struct tni_sync *sync = turn->sync;
	struct tni_turnstile *turnstile = tni_turnstile(sync);
	uint64_t word = tni_turnstile_word(sync), taken = 0;

	(void)deadline_ns;
	do {
		if (!may_pass(turn, word))
			return 0;
		taken = word & TNI_EVENT_SET ? TNI_EVENT_SET : TNI_EVENT_TOKEN;
		/* ORD(turnstile) */
	} while (!is_manual(sync) && !tni_cas64(&turnstile->word, &word, word & ~taken));
	if (sync->row)
		tni_set64(&sync->row->passed, tni_get64(&sync->row->passed) + 1);
	return taken == TNI_EVENT_SET ? TNI_EVENT_BY_SET : TNI_EVENT_BY_PULSE;
}

struct tni_turn tni_event_turn(struct tenon_event *event, uint64_t ticket)
{
	return (struct tni_turn){.sync = &event->sync,
				 .may_pass = may_pass,
				 .pass = pass,
				 .argument = ticket,
				 .wanted = 1};
}

static int change(struct tenon_event *event, tni_turnstile_change *how)
{
	struct tni_thread *thread = tni_thread_self();
	int result;

	if (!event)
		return -EINVAL;
	result = tni_sync_begin(&event->sync, thread);
	return result == 0 ? tni_turnstile_let(&event->sync, thread, how, 0, NULL) : result;
}

void tni_event_put_back(struct tenon_event *event, int by)
{
	if (!is_manual(&event->sync))
		change(event, by == TNI_EVENT_BY_SET ? set : return_token);
}

int tenon_event_set(struct tenon_event *event)
{
	return change(event, set);
}

int tenon_event_reset(struct tenon_event *event)
{
	return change(event, reset);
}

int tenon_event_pulse(struct tenon_event *event)
{
	return change(event, pulse);
}

int tenon_event_wait(struct tenon_event *event, int64_t deadline_ns)
{
	struct tni_thread *thread = tni_thread_self();
	struct tni_turn turn;
	int result;

	if (!event)
		return -EINVAL;
	result = tni_sync_begin(&event->sync, thread);
	if (result != 0)
		return result;
	turn = tni_event_turn(event, tni_turnstile_word(&event->sync));
	turn.thread = thread;
	return tni_turnstile_wait(&turn, deadline_ns);
}

int tenon_event_status(struct tenon_event *event, struct tenon_event_status *ret_status)
{
	struct tenon_event_status status = {.size = sizeof(status)};
	struct tni_sync_status common;
	struct tni_sync *sync;
	uint64_t let, word;
	int result;

	if (!event || tni_status_check(ret_status) != 0)
		return -EINVAL;
	sync = &event->sync;
	result = tni_sync_begin(sync, tni_thread_self());
	if (result != 0)
		return result;
	tni_sync_describe(sync, TNI_CLASS_BIT(TNI_CLASS_MESSAGE), &common);
	TNI_SYNC_STATUS_COPY(&status, &common);
	status.manual = is_manual(sync);
	word = tni_turnstile_word(sync);
	status.is_set = (word & TNI_EVENT_SET) != 0;
	status.pulses = (uint32_t)((word & TNI_EVENT_PULSES) / TNI_EVENT_PULSE_ONE);
	tni_turnstile_figures(sync, &status.passed, &let);
	status.waited = tni_get64(&tni_turnstile(sync)->waits);
	tni_status_write(ret_status, &status, sizeof(status));
	return 0;
}

int tenon_event_users(struct tenon_event *event,
		      int (*visit)(const struct tenon_event_user *user, void *context),
		      void *context)
{
	struct tni_turnstile_user found = {.at = {0}};
	int result;

	if (!event || !visit)
		return -EINVAL;
	result = tni_sync_begin(&event->sync, tni_thread_self());
	while (result == 0 && tni_turnstile_next_user(&event->sync, &found)) {
		struct tenon_event_user user = {.pid = found.at.pid, .waiting = found.waiting};

		if (user.waiting > 0)
			result = visit(&user, context);
	}
	return result;
}
