/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The condition: a turnstile (object/turnstile.c) whose value counts signals.  Who waits notes the value under the
 * lock and passes when it is another.
 *
 *	wait	W1 claim + 1, the value noted
 *		W2 the lock released		dies: the claim says that it waits; whoever buries it wakes all
 *		W3 waits for another value	dies: the same, and the kernel wakes one (core/gate.c)
 *		W4 the lock acquired		dies: the signal that woke it is another's, as behind W2
 *		W5 claim - 1			dies: it has the lock
 *
 * The claim is changed without the gate: it does not go together with the value, and broadcasting once too often does
 * no harm.
 */

#include <tenon/condition.h>

#include <errno.h>

#include "object/lock.h"
#include "object/options.h"
#include "object/place.h"
#include "object/turnstile.h"

struct tenon_condition {
	struct tni_sync sync; /* first */
};

static bool is_possible(uint32_t flags, uint32_t limit)
{
	return flags == 0 && limit == 0;
}

static uint64_t next_value(uint64_t word)
{
	return (word & ~TNI_TURNSTILE_VALUE) | ((word + 1) & TNI_TURNSTILE_VALUE);
}

/* Everybody is let through: give_back() in object/turnstile.c. */
static uint64_t give_back(const struct tni_sync *sync, uint64_t word, uint64_t claim)
{
	(void)sync;
	(void)claim;
	return next_value(word);
}

const struct tni_sync_kind tni_condition_kind = {.named = TNI_SYNC_KIND(TENON_KIND_CONDITION),
						 .has_rows = true,
						 .is_possible = is_possible,
						 .bury = tni_turnstile_give_back,
						 .help = tni_turnstile_help,
						 .give_back = give_back};

int tenon_condition_open(const char *namespace_path, const char *name, uint32_t flags,
			 const struct tenon_sync_options *options,
			 struct tenon_condition **ret_condition)
{
	return tni_sync_open_named(&tni_condition_kind, sizeof(struct tenon_condition),
				   namespace_path, name, flags, options, 0, 0, ret_condition);
}

int tenon_condition_open_at(struct tenon_region *region, uint64_t offset, uint32_t flags,
			    const struct tenon_sync_options *options,
			    struct tenon_condition **ret_condition)
{
	return tni_sync_open_at(&tni_condition_kind, sizeof(struct tenon_condition), region, offset,
				flags, options, 0, 0, ret_condition);
}

struct tenon_condition *tenon_condition_close(struct tenon_condition *condition)
{
	return tni_sync_free((struct tni_sync *)condition);
}

int tenon_condition_remove(const char *namespace_path, const char *name)
{
	return tni_named_remove(TENON_KIND_CONDITION, namespace_path, name, NULL);
}

static bool may_pass(const struct tni_turn *turn, uint64_t word)
{
	return ((word ^ turn->argument) & TNI_TURNSTILE_VALUE) != 0;
}

static int pass(struct tni_turn *turn, int64_t deadline_ns)
{
	(void)deadline_ns;
	return may_pass(turn, tni_turnstile_word(turn->sync));
}

/* Without the lock.  The sleeper's own handlers do not end it. */
static int await(struct tni_turn *turn, struct tni_row *row, int64_t deadline_ns)
{
	int result;

	do
		result = tni_turnstile_wait(turn, deadline_ns);
	while (result == -EINTR);
	if (result == 0)
		tni_set64(&row->passed, tni_get64(&row->passed) + 1);
	return result;
}

int tenon_condition_wait(struct tenon_condition *condition, struct tenon_lock *lock,
			 int64_t deadline_ns)
{
	struct tni_thread *thread = tni_thread_self();
	struct tni_turn turn = {.thread = thread, .may_pass = may_pass, .pass = pass, .wanted = 1};
	struct tni_sync *sync;
	struct tni_row *row;
	int result, locked;
	uint32_t depth;

	if (!condition || !lock)
		return -EINVAL;
	sync = &condition->sync;
	result = tni_sync_begin(sync, thread);
	if (result == 0 && !tni_lock_is_held(lock, thread))
		result = -EPERM;
	if (result != 0)
		return result;
	row = tni_sync_own_row(sync);
	if (!row)
		return -ENOSPC;
	turn.sync = sync;
	tni_turnstile_stake(sync, thread);
	tni_fetch_add64(&row->claim, 1);
	turn.argument = tni_turnstile_word(sync);
	depth = tni_lock_let_go(lock, thread);
	result = await(&turn, row, deadline_ns);
	locked = tni_lock_take_back(lock, thread, depth);
	tni_fetch_add64(&row->claim, UINT64_MAX);
	return locked != 0 ? locked : result;
}

/* How many: `argument`. */
static int64_t let_go_on(const struct tni_sync *sync, uint64_t word, uint64_t argument,
			 uint64_t *ret_next, uint64_t *claim)
{
	(void)sync;
	(void)claim;
	*ret_next = next_value(word);
	return (int64_t)argument;
}

static int wake(struct tenon_condition *condition, uint32_t count)
{
	struct tni_thread *thread = tni_thread_self();
	struct tni_sync *sync;
	int result;

	if (!condition)
		return -EINVAL;
	sync = &condition->sync;
	result = tni_sync_begin(sync, thread);
	return result == 0 ? tni_turnstile_let(sync, thread, let_go_on, count, NULL) : result;
}

int tenon_condition_signal(struct tenon_condition *condition)
{
	return wake(condition, 1);
}

int tenon_condition_broadcast(struct tenon_condition *condition)
{
	return wake(condition, TNI_EVERYBODY);
}

int tenon_condition_status(struct tenon_condition *condition,
			   struct tenon_condition_status *ret_status)
{
	struct tenon_condition_status status = {.size = sizeof(status)};
	struct tni_sync_status common;
	struct tni_sync *sync;
	uint64_t let;
	int result;

	if (!condition || tni_status_check(ret_status) != 0)
		return -EINVAL;
	sync = &condition->sync;
	result = tni_sync_begin(sync, tni_thread_self());
	if (result != 0)
		return result;
	tni_sync_describe(sync, TNI_CLASS_BIT(TNI_CLASS_MESSAGE), &common);
	TNI_SYNC_STATUS_COPY(&status, &common);
	tni_turnstile_figures(sync, &status.woken, &let);
	status.signals = (uint32_t)(tni_turnstile_word(sync) & TNI_TURNSTILE_VALUE);
	tni_status_write(ret_status, &status, sizeof(status));
	return 0;
}

int tenon_condition_users(struct tenon_condition *condition,
			  int (*visit)(const struct tenon_condition_user *user, void *context),
			  void *context)
{
	struct tni_turnstile_user found = {.at = {0}};
	int result;

	if (!condition || !visit)
		return -EINVAL;
	result = tni_sync_begin(&condition->sync, tni_thread_self());
	while (result == 0 && tni_turnstile_next_user(&condition->sync, &found)) {
		struct tenon_condition_user user = {.pid = found.at.pid, .waiting = found.waiting};

		if (user.waiting > 0)
			result = visit(&user, context);
	}
	return result;
}
