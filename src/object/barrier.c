/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The barrier: a turnstile (object/turnstile.c) whose value is how many have arrived, and the round.  A row's claim is
 * how many threads of its process have arrived, and in which round; one of another round says nothing any more.
 */

#include <tenon/barrier.h>

#include <errno.h>

#include "object/options.h"
#include "object/place.h"
#include "object/turnstile.h"

struct tenon_barrier {
	struct tni_sync sync; /* first */
};

static bool is_possible(uint32_t flags, uint32_t limit)
{
	return flags == 0 && limit > 0 && limit <= TENON_BARRIER_MOST;
}

/* How many a claim says have arrived in the round of a word. */
static uint64_t claimed(uint64_t word, uint64_t claim)
{
	return ((word ^ claim) & TNI_BARRIER_ROUND) == 0 ? claim & TNI_BARRIER_ARRIVED : 0;
}

static uint64_t without(uint64_t word, uint64_t count)
{
	uint64_t arrived = word & TNI_BARRIER_ARRIVED;

	return word - (count < arrived ? count : arrived);
}

static uint64_t give_back(const struct tni_sync *sync, uint64_t word, uint64_t claim)
{
	(void)sync;
	return without(word, claimed(word, claim));
}

const struct tni_sync_kind tni_barrier_kind = {.named = TNI_SYNC_KIND(TENON_KIND_BARRIER),
					       .has_rows = true,
					       .is_possible = is_possible,
					       .bury = tni_turnstile_give_back,
					       .help = tni_turnstile_help,
					       .claims_wait = true,
					       .give_back = give_back};

/* The options of a new one: those that all objects have, and for how many it is. */
static int complete(uint32_t flags, const struct tenon_barrier_options *options,
		    struct tenon_sync_options *ret_general, uint32_t *ret_count)
{
	struct tenon_barrier_options full = {.size = sizeof(full)};
	int result = 0;

	if (flags & TENON_CREATE)
		result = tni_options_copy(&full, sizeof(full), options, 0);
	if (result == 0 && full.reserved != 0)
		result = -EINVAL;
	*ret_general = (struct tenon_sync_options){.size = sizeof(*ret_general),
						   .mode = full.mode,
						   .max_participants = full.max_participants};
	*ret_count = full.count;
	return result;
}

int tenon_barrier_open(const char *namespace_path, const char *name, uint32_t flags,
		       const struct tenon_barrier_options *options,
		       struct tenon_barrier **ret_barrier)
{
	struct tenon_sync_options general;
	uint32_t count;
	int result = complete(flags, options, &general, &count);

	return result != 0 ? result
			   : tni_sync_open_named(&tni_barrier_kind, sizeof(struct tenon_barrier),
						 namespace_path, name, flags, &general, count, 0,
						 ret_barrier);
}

int tenon_barrier_open_at(struct tenon_region *region, uint64_t offset, uint32_t flags,
			  const struct tenon_barrier_options *options,
			  struct tenon_barrier **ret_barrier)
{
	struct tenon_sync_options general;
	uint32_t count;
	int result = complete(flags, options, &general, &count);

	return result != 0
		       ? result
		       : tni_sync_open_at(&tni_barrier_kind, sizeof(struct tenon_barrier), region,
					  offset, flags, &general, count, 0, ret_barrier);
}

struct tenon_barrier *tenon_barrier_close(struct tenon_barrier *barrier)
{
	return tni_sync_free((struct tni_sync *)barrier);
}

int tenon_barrier_remove(const char *namespace_path, const char *name)
{
	return tni_named_remove(TENON_KIND_BARRIER, namespace_path, name, NULL);
}

/* The last one ends the round. */
static int64_t arrive(const struct tni_sync *sync, uint64_t word, uint64_t argument,
		      uint64_t *ret_next, uint64_t *claim)
{
	uint64_t round = word & TNI_BARRIER_ROUND;

	(void)argument;
	if ((word & TNI_BARRIER_ARRIVED) + 1 < sync->limit) {
		*ret_next = word + 1;
		*claim = round | (claimed(word, *claim) + 1);
		return 0;
	}
	round = (round + TNI_BARRIER_ROUND_ONE) & TNI_BARRIER_ROUND;
	*ret_next = (word & ~(TNI_BARRIER_ROUND | TNI_BARRIER_ARRIVED)) | round;
	*claim = 0;
	return TNI_EVERYBODY;
}

/* -EAGAIN: the round, `argument`, has ended. */
static int64_t withdraw(const struct tni_sync *sync, uint64_t word, uint64_t argument,
			uint64_t *ret_next, uint64_t *claim)
{
	uint64_t own = claimed(word, *claim);

	(void)sync;
	if (((word ^ argument) & TNI_BARRIER_ROUND) != 0)
		return -EAGAIN;
	*ret_next = without(word, 1);
	*claim = own > 1 ? *claim - 1 : 0;
	return 0;
}

static bool may_pass(const struct tni_turn *turn, uint64_t word)
{
	return ((word ^ turn->argument) & TNI_BARRIER_ROUND) != 0;
}

static int pass(struct tni_turn *turn, int64_t deadline_ns)
{
	(void)deadline_ns;
	return may_pass(turn, tni_turnstile_word(turn->sync));
}

/* It has arrived in the round `argument`. */
static int await(struct tni_turn *turn, int64_t deadline_ns)
{
	int result, withdrawn;

	do
		result = tni_turnstile_wait(turn, deadline_ns);
	while (result == -EINTR);
	if (result == 0)
		return 0;
	withdrawn = tni_turnstile_claim(turn->sync, turn->thread, withdraw, turn->argument,
					INT64_MAX, NULL);
	return withdrawn == -EAGAIN ? 0 : withdrawn != 0 ? withdrawn : result;
}

int tenon_barrier_wait(struct tenon_barrier *barrier, int64_t deadline_ns, uint32_t *ret_is_last)
{
	struct tni_thread *thread = tni_thread_self();
	struct tni_turn turn = {.thread = thread, .may_pass = may_pass, .pass = pass, .wanted = 1};
	struct tni_turn whole;
	bool is_last;
	int result;

	if (!barrier)
		return -EINVAL;
	turn.sync = &barrier->sync;
	result = tni_sync_begin(turn.sync, thread);
	/* Those who have died since they arrived do not count. */
	if (result == 0)
		result = tni_turnstile_settle(turn.sync, deadline_ns);
	if (result < 0)
		return result;
	/* From before it arrives until it has passed, or has withdrawn: a claim counts while somebody waits. */
	whole = turn;
	tni_turnstile_begin_waiting(&whole);
	result = tni_turnstile_claim(turn.sync, thread, arrive, 0, deadline_ns, &turn.argument);
	if (result != 0) {
		tni_turnstile_end_waiting(&whole);
		return result;
	}
	is_last = may_pass(&turn, tni_turnstile_word(turn.sync)) &&
		  (turn.argument & TNI_BARRIER_ARRIVED) + 1 >= turn.sync->limit;
	result = is_last ? 0 : await(&turn, deadline_ns);
	tni_turnstile_end_waiting(&whole);
	if (result == 0 && ret_is_last)
		*ret_is_last = is_last;
	return result;
}

int tenon_barrier_status(struct tenon_barrier *barrier, struct tenon_barrier_status *ret_status)
{
	struct tenon_barrier_status status = {.size = sizeof(status)};
	struct tni_sync_status common;
	struct tni_sync *sync;
	uint64_t word;
	int result;

	if (!barrier || tni_status_check(ret_status) != 0)
		return -EINVAL;
	sync = &barrier->sync;
	result = tni_sync_begin(sync, tni_thread_self());
	if (result == 0)
		result = tni_turnstile_settle(sync, 0);
	if (result < 0)
		return result;
	tni_sync_describe(sync, TNI_CLASS_BIT(TNI_CLASS_MESSAGE), &common);
	TNI_SYNC_STATUS_COPY(&status, &common);
	word = tni_turnstile_word(sync);
	status.count = sync->limit;
	status.arrived = (uint32_t)(word & TNI_BARRIER_ARRIVED);
	status.rounds = (uint32_t)((word & TNI_BARRIER_ROUND) / TNI_BARRIER_ROUND_ONE);
	status.withdrawn = tni_get64(&tni_turnstile(sync)->given_back);
	tni_status_write(ret_status, &status, sizeof(status));
	return 0;
}

int tenon_barrier_users(struct tenon_barrier *barrier,
			int (*visit)(const struct tenon_barrier_user *user, void *context),
			void *context)
{
	struct tni_turnstile_user found = {.at = {0}};
	int result;

	if (!barrier || !visit)
		return -EINVAL;
	result = tni_sync_begin(&barrier->sync, tni_thread_self());
	while (result == 0 && tni_turnstile_next_user(&barrier->sync, &found)) {
		uint64_t word = tni_turnstile_word(&barrier->sync);
		struct tenon_barrier_user user = {.pid = found.at.pid,
						  .arrived = (uint32_t)claimed(word, found.claim)};

		/* A claim that is left of a round long ago may name this one. */
		if (found.waiting > 0 && user.arrived > 0)
			result = visit(&user, context);
	}
	return result;
}
