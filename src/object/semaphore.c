/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The semaphore: a turnstile (object/turnstile.c) whose value is the count.  A row's claim is the undo count of its
 * process.  While none has been negative, the dead have left the count too low, and who finds it so looks for them;
 * from then on who takes something looks first.
 */

#include "object/semaphore.h"

#include <errno.h>

#include "object/options.h"
#include "object/place.h"

static bool is_possible(uint32_t flags, uint32_t limit)
{
	return flags == 0 && limit > 0 && limit <= TENON_SEMAPHORE_MAX;
}

/* Words of a process that wrote what it liked count as what they can be at most. */
static uint64_t add_bounded(uint64_t word, int64_t more, uint32_t limit)
{
	int64_t value = (int64_t)(word & TNI_TURNSTILE_VALUE), most = limit;

	if (more > most)
		more = most;
	if (more < -most)
		more = -most;
	value += more;
	value = value < 0 ? 0 : value > most ? most : value;
	return (word & ~TNI_TURNSTILE_VALUE) | (uint64_t)value;
}

static uint64_t give_back(const struct tni_sync *sync, uint64_t word, uint64_t claim)
{
	return add_bounded(word, (int64_t)claim, sync->limit);
}

const struct tni_sync_kind tni_semaphore_kind = {.named = TNI_SYNC_KIND(TENON_KIND_SEMAPHORE),
						 .has_rows = true,
						 .is_possible = is_possible,
						 .bury = tni_turnstile_give_back,
						 .help = tni_turnstile_help,
						 .give_back = give_back};

/* The options of a new one: those that all objects have, and the rest.  The options may be NULL. */
static int complete(uint32_t flags, const struct tenon_semaphore_options *options,
		    struct tenon_sync_options *ret_general,
		    struct tenon_semaphore_options *ret_full)
{
	struct tenon_semaphore_options full = {.size = sizeof(full)};
	int result = 0;

	if (flags & TENON_CREATE)
		result = tni_options_copy(&full, sizeof(full), options, 0);
	if (full.maximum == 0)
		full.maximum = TENON_SEMAPHORE_MAX;
	if (result == 0 && full.value > full.maximum)
		result = -EINVAL;
	*ret_general = (struct tenon_sync_options){.size = sizeof(*ret_general),
						   .mode = full.mode,
						   .max_participants = full.max_participants};
	*ret_full = full;
	return result;
}

int tenon_semaphore_open(const char *namespace_path, const char *name, uint32_t flags,
			 const struct tenon_semaphore_options *options,
			 struct tenon_semaphore **ret_semaphore)
{
	struct tenon_semaphore_options full;
	struct tenon_sync_options general;
	int result = complete(flags, options, &general, &full);

	return result != 0
		       ? result
		       : tni_sync_open_named(&tni_semaphore_kind, sizeof(struct tenon_semaphore),
					     namespace_path, name, flags, &general, full.maximum,
					     full.value, ret_semaphore);
}

int tenon_semaphore_open_at(struct tenon_region *region, uint64_t offset, uint32_t flags,
			    const struct tenon_semaphore_options *options,
			    struct tenon_semaphore **ret_semaphore)
{
	struct tenon_semaphore_options full;
	struct tenon_sync_options general;
	int result = complete(flags, options, &general, &full);

	return result != 0 ? result
			   : tni_sync_open_at(&tni_semaphore_kind, sizeof(struct tenon_semaphore),
					      region, offset, flags, &general, full.maximum,
					      full.value, ret_semaphore);
}

struct tenon_semaphore *tenon_semaphore_close(struct tenon_semaphore *semaphore)
{
	return tni_sync_free((struct tni_sync *)semaphore);
}

int tenon_semaphore_remove(const char *namespace_path, const char *name)
{
	return tni_named_remove(TENON_KIND_SEMAPHORE, namespace_path, name, NULL);
}

/* tni_turnstile_change: */

static int64_t add(const struct tni_sync *sync, uint64_t word, uint64_t count, uint64_t *ret_next,
		   uint64_t *claim)
{
	if ((word & TNI_TURNSTILE_VALUE) + count > sync->limit)
		return -EOVERFLOW;
	*ret_next = word + count;
	if (claim) {
		*claim -= count;
		if ((int64_t)*claim < 0)
			*ret_next |= TNI_TURNSTILE_OWED;
	}
	return (int64_t)count;
}

static int64_t subtract(const struct tni_sync *sync, uint64_t word, uint64_t count,
			uint64_t *ret_next, uint64_t *claim)
{
	(void)sync;
	if ((word & TNI_TURNSTILE_VALUE) < count)
		return -EAGAIN;
	*ret_next = word - count;
	*claim += count;
	return 0;
}

static bool may_pass(const struct tni_turn *turn, uint64_t word)
{
	return (word & TNI_TURNSTILE_VALUE) >= turn->wanted;
}

static inline void count_up(struct tni_a64 *figure)
{
	tni_set64(figure, tni_get64(figure) + 1);
}

/* 1: taken; 0: there are fewer, or the long way has to be gone. */
static inline int take(struct tni_sync *sync, uint32_t count, uint64_t obstacles)
{
	struct tni_turnstile *turnstile = tni_turnstile(sync);
	uint64_t word = tni_get64(&turnstile->word);

	while ((word & TNI_TURNSTILE_VALUE) >= count && !(word & obstacles)) {
		if (!tni_cas64(&turnstile->word, &word, word - count)) /* ORD(turnstile) */
			continue;
		if (__builtin_expect(sync->row != NULL, 1))
			count_up(&sync->row->passed);
		return 1;
	}
	return 0;
}

static int pass(struct tni_turn *turn, int64_t deadline_ns)
{
	int result = 0;

	if (tni_turnstile_word(turn->sync) & TNI_TURNSTILE_OWED)
		result = tni_turnstile_settle(turn->sync, deadline_ns);
	if (result < 0)
		return result;
	if (!(turn->flags & TENON_SEMAPHORE_UNDO))
		return take(turn->sync, turn->wanted, 0);
	if (!may_pass(turn, tni_turnstile_word(turn->sync)))
		return 0;
	result = tni_turnstile_claim(turn->sync, turn->thread, subtract, turn->wanted, deadline_ns,
				     NULL);
	if (result == 0)
		count_up(&tni_sync_own_row(turn->sync)->passed);
	return result == 0 ? 1 : result == -EAGAIN ? 0 : result;
}

struct tni_turn tni_semaphore_turn(struct tenon_semaphore *semaphore, uint32_t count,
				   uint32_t flags)
{
	return (struct tni_turn){.sync = &semaphore->sync,
				 .may_pass = may_pass,
				 .pass = pass,
				 .wanted = count,
				 .flags = flags};
}

static inline int begin(struct tenon_semaphore *semaphore, const struct tni_thread *thread,
			uint32_t count, uint32_t flags)
{
	int result;

	if (!semaphore || count == 0 || flags & ~TENON_SEMAPHORE_UNDO)
		return -EINVAL;
	result = tni_sync_begin(&semaphore->sync, thread);
	return result == 0 && count > semaphore->sync.limit ? -EINVAL : result;
}

int tenon_semaphore_acquire(struct tenon_semaphore *semaphore, uint32_t count, uint32_t flags,
			    int64_t deadline_ns)
{
	struct tni_thread *thread = tni_thread_self();
	struct tni_turn turn;
	int result = begin(semaphore, thread, count, flags);

	if (__builtin_expect(result != 0, 0))
		return result;
	if (__builtin_expect(flags == 0 && take(&semaphore->sync, count, TNI_TURNSTILE_OWED), 1))
		return 0;
	turn = tni_semaphore_turn(semaphore, count, flags);
	turn.thread = thread;
	return tni_turnstile_wait(&turn, deadline_ns);
}

int tenon_semaphore_try(struct tenon_semaphore *semaphore, uint32_t count, uint32_t flags)
{
	int result = tenon_semaphore_acquire(semaphore, count, flags, 0);

	return result == -ETIMEDOUT ? -EAGAIN : result;
}

int tenon_semaphore_release(struct tenon_semaphore *semaphore, uint32_t count, uint32_t flags,
			    uint32_t *ret_before)
{
	struct tni_thread *thread = tni_thread_self();
	struct tni_sync *sync;
	uint64_t before;
	int result = begin(semaphore, thread, count, flags);

	if (__builtin_expect(result != 0, 0))
		return result;
	sync = &semaphore->sync;
	if (flags & TENON_SEMAPHORE_UNDO)
		result = tni_turnstile_claim(sync, thread, add, count, INT64_MAX, &before);
	else
		result = tni_turnstile_let(sync, thread, add, count, &before);
	if (result != 0)
		return result;
	if (__builtin_expect(sync->row != NULL, 1))
		count_up(&sync->row->let);
	if (ret_before)
		*ret_before = (uint32_t)(before & TNI_TURNSTILE_VALUE);
	return 0;
}

int tenon_semaphore_value(struct tenon_semaphore *semaphore, uint32_t *ret_value)
{
	int result;

	if (!semaphore || !ret_value)
		return -EINVAL;
	result = tni_sync_begin(&semaphore->sync, tni_thread_self());
	if (result == 0)
		result = tni_turnstile_settle(&semaphore->sync, 0);
	if (result >= 0)
		*ret_value = (uint32_t)(tni_turnstile_word(&semaphore->sync) & TNI_TURNSTILE_VALUE);
	return result < 0 ? result : 0;
}

int tenon_semaphore_status(struct tenon_semaphore *semaphore,
			   struct tenon_semaphore_status *ret_status)
{
	struct tenon_semaphore_status status = {.size = sizeof(status)};
	struct tni_sync_status common;
	struct tni_sync *sync;
	int result;

	if (!semaphore || tni_status_check(ret_status) != 0)
		return -EINVAL;
	sync = &semaphore->sync;
	result = tni_sync_begin(sync, tni_thread_self());
	if (result == 0)
		result = tni_turnstile_settle(sync, 0);
	if (result < 0)
		return result;
	tni_sync_describe(sync, TNI_CLASS_BIT(TNI_CLASS_MESSAGE), &common);
	TNI_SYNC_STATUS_COPY(&status, &common);
	status.value = (uint32_t)(tni_turnstile_word(sync) & TNI_TURNSTILE_VALUE);
	status.maximum = sync->limit;
	tni_turnstile_figures(sync, &status.acquired, &status.released);
	status.waited = tni_get64(&tni_turnstile(sync)->waits);
	status.undone = tni_get64(&tni_turnstile(sync)->given_back);
	tni_status_write(ret_status, &status, sizeof(status));
	return 0;
}

int tenon_semaphore_users(struct tenon_semaphore *semaphore,
			  int (*visit)(const struct tenon_semaphore_user *user, void *context),
			  void *context)
{
	struct tni_turnstile_user found = {.at = {0}};
	int result;

	if (!semaphore || !visit)
		return -EINVAL;
	result = tni_sync_begin(&semaphore->sync, tni_thread_self());
	while (result == 0 && tni_turnstile_next_user(&semaphore->sync, &found)) {
		struct tenon_semaphore_user user = {.pid = found.at.pid,
						    .waiting = found.waiting,
						    .wanted = found.wanted,
						    .undo = (int64_t)found.claim};

		result = visit(&user, context);
	}
	return result;
}
