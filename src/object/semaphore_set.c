/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Sets of semaphores: lists of operations, done under the gate.  A list is worked out on copies of what it touches, and
 * written when all of it can be (object/semaphore_set_memory.c), or else it waits (object/semaphore_set_wait.c).
 *
 * Undo counts are the process's own, and written by it, by who sets values and by who buries it.  The dead have left
 * values too low by what they took, and too high by what they gave: who finds too little looks for them before it gives
 * up or sleeps, and who waits for a zero looks before it takes what it finds for one.  From the first undo count below
 * 0 on everybody does.
 */

#include <string.h>

#include "object/options.h"
#include "object/place.h"
#include "object/semaphore_set.h"

#define UNDO TENON_SEMAPHORE_SET_UNDO
#define NOWAIT TENON_SEMAPHORE_SET_NOWAIT
/* So many touched ones are found without a table. */
#define FEW 8u
#define SLOTS 1024u
#define SLOT_SHIFT 22

_Static_assert(SLOTS > TENON_SEMAPHORE_SET_OPERATIONS_MOST && SLOTS == 1u << (32 - SLOT_SHIFT),
	       "there is always a free slot");
_Static_assert(TENON_SEMAPHORE_SET_MOST == TNI_SET_MOST, "set");
_Static_assert(TENON_SEMAPHORE_SET_OPERATIONS_MOST == TNI_SET_OPERATIONS_MOST, "set");

static bool is_possible(uint32_t flags, uint32_t limit)
{
	return flags == 0 && limit > 0 && limit <= TENON_SEMAPHORE_SET_MOST;
}

const struct tni_sync_kind tni_semaphore_set_kind = {
	.named = TNI_SYNC_KIND(TENON_KIND_SEMAPHORE_SET),
	.has_rows = true,
	.is_possible = is_possible,
	.bury = tni_set_bury,
	.help = tni_set_help,
	.extra_bytes = tni_set_extra_bytes,
	.fill = tni_set_fill,
	.map = tni_set_map,
	.repair = tni_set_repair,
	.plan = tni_set_plan};

/* What a list has touched so far. */
struct list {
	struct tni_set_touched *touched;
	uint32_t count;
	uint16_t *slots; /* touched, + 1, by number; NULL: they are few */
};

/* Where in the list a semaphore is, or comes. */
static struct tni_set_touched *find_touched(struct list *list, uint32_t number)
{
	uint32_t slot = number * UINT32_C(2654435761) >> SLOT_SHIFT, i;

	if (!list->slots) {
		for (i = 0; i < list->count && list->touched[i].number != number; i++)
			;
		return &list->touched[i];
	}
	while (list->slots[slot] != 0 && list->touched[list->slots[slot] - 1].number != number)
		slot = (slot + 1) % SLOTS;
	if (list->slots[slot] == 0)
		list->slots[slot] = (uint16_t)(list->count + 1);
	return &list->touched[list->slots[slot] - 1];
}

static struct tni_set_touched *touch(struct tni_set_turn *turn, struct list *list, uint32_t number)
{
	struct tni_set_touched *touched = find_touched(list, number);

	if (touched == &list->touched[list->count]) {
		list->count++;
		*touched = (struct tni_set_touched){.number = number,
						    .value = tni_set_value(turn->set, number)};
	}
	return touched;
}

/* Says why the list has to wait. */
static int block(struct tni_set_turn *turn, const struct tenon_semaphore_operation *operation,
		 const struct tni_set_touched *touched)
{
	/* What the operations before make of it has to be made up for. */
	int64_t needed = (int64_t)tni_set_value(turn->set, touched->number) - touched->value -
			 operation->change;
	bool is_only = turn->count == 1;

	turn->number = touched->number;
	if (operation->change == 0)
		turn->number |= TNI_SET_WAITER_ZERO | (is_only ? TNI_SET_WAITER_ONLY : 0);
	turn->needed = needed < 0 || needed > turn->set->maximum ? TNI_SET_NEVER : (uint32_t)needed;
	turn->change = operation->change;
	turn->is_nowait = operation->flags & NOWAIT;
	return 0;
}

static int apply_undo(struct tni_set_turn *turn, struct tni_set_touched *touched, int32_t change)
{
	const struct tenon_semaphore_set *set = turn->set;
	int64_t undo;

	if (!touched->has_undo) {
		touched->has_undo = 1;
		touched->undo = (int32_t)tni_get32(
			tni_set_undo(set, set->sync.object->participant, touched->number));
	}
	undo = (int64_t)touched->undo - change;
	if (undo < -(int64_t)set->maximum - 1 || undo > set->maximum)
		return -ERANGE;
	touched->undo = (int32_t)undo;
	return 0;
}

/* Works the list out.  1: it can be done; 0: it has to wait; -ERANGE. */
static int work_out(struct tni_set_turn *turn, struct list *list)
{
	for (uint32_t i = 0; i < turn->count; i++) {
		const struct tenon_semaphore_operation *operation = &turn->operations[i];
		struct tni_set_touched *touched = touch(turn, list, operation->number);
		int64_t value = (int64_t)touched->value + operation->change;

		if (value < 0 || (operation->change == 0 && value != 0))
			return block(turn, operation, touched);
		if (value > turn->set->maximum)
			return -ERANGE;
		if (operation->flags & UNDO && operation->change != 0 &&
		    apply_undo(turn, touched, operation->change) != 0)
			return -ERANGE;
		touched->value = (uint32_t)value;
	}
	return 1;
}

static void note_owed(struct tenon_semaphore_set *set, const struct list *list)
{
	for (uint32_t i = 0; i < list->count; i++)
		if (list->touched[i].has_undo && list->touched[i].undo < 0)
			tni_set32(&set->head->owed, 1);
}

/* 1: it is done; 0: it has to wait, which its record says; or a negative error. */
static int attempt_with(struct tni_set_turn *turn, struct list *list, int64_t deadline_ns)
{
	struct tenon_semaphore_set *set = turn->set;
	void *pending = tni_pending_get(turn->turn.thread);
	int result = tni_set_enter(set, turn->turn.thread, pending, deadline_ns);

	if (result != 0)
		return result;
	if (tni_set_is_granted(turn)) {
		tni_set_leave(set, turn->turn.thread, pending);
		return 1;
	}
	result = work_out(turn, list);
	if (result > 0) {
		note_owed(set, list);
		tni_set_commit(set, list->touched, list->count);
		tni_set_record_end(turn);
		tni_set_count_operation(set);
	} else if (result == 0) {
		result = turn->is_nowait ? -EAGAIN : tni_set_record(turn);
	}
	tni_set_leave(set, turn->turn.thread, pending);
	return result;
}

static __attribute__((noinline)) int attempt_many(struct tni_set_turn *turn, int64_t deadline_ns)
{
	struct tni_set_touched touched[TENON_SEMAPHORE_SET_OPERATIONS_MOST];
	uint16_t slots[SLOTS] = {0};
	struct list list = {.touched = touched, .slots = slots};

	return attempt_with(turn, &list, deadline_ns);
}

static int attempt(struct tni_set_turn *turn, int64_t deadline_ns)
{
	struct tni_set_touched touched[FEW];
	struct list list = {.touched = touched};

	return turn->count <= FEW ? attempt_with(turn, &list, deadline_ns)
				  : attempt_many(turn, deadline_ns);
}

/* For struct tni_turn.  The dead may have had what it needs. */
static int pass(struct tni_turn *of, int64_t deadline_ns)
{
	struct tni_set_turn *turn = (struct tni_set_turn *)of;
	int result = attempt(turn, deadline_ns);

	if (result != -EAGAIN || turn->has_looked)
		return result;
	turn->has_looked = true;
	result = tni_turnstile_settle(&turn->set->sync, 0);
	if (result > 0)
		result = attempt(turn, deadline_ns);
	else if (result == 0)
		result = -EAGAIN;
	return result;
}

static int operate(struct tni_set_turn *turn, int64_t deadline_ns)
{
	int result = tni_turnstile_wait(&turn->turn, deadline_ns);

	tni_set_record_end(turn);
	return result;
}

/* The long way: what is needed before the gate. */
static int prepare(struct tni_set_turn *turn)
{
	struct tenon_semaphore_set *set = turn->set;
	bool is_for_zero = false, is_staked = false;
	int result = tni_sync_begin(&set->sync, turn->turn.thread);

	for (uint32_t i = 0; result == 0 && i < turn->count; i++) {
		const struct tenon_semaphore_operation *operation = &turn->operations[i];

		is_for_zero |= operation->change == 0;
		if (!(operation->flags & UNDO))
			continue;
		if (!is_staked)
			tni_turnstile_stake(&set->sync, turn->turn.thread);
		is_staked = true;
		result = tni_set_back_undo(set, set->sync.object->participant, operation->number);
	}
	if (result == 0 && turn->count > TNI_SET_JOURNAL_FEW)
		result = tni_set_back_journal(set);
	if (result == 0 && (is_for_zero || tni_get32(&set->head->owed))) {
		result = tni_turnstile_settle(&set->sync, 0);
		result = result < 0 ? result : 0;
	}
	return result;
}

static int check(const struct tenon_semaphore_set *set,
		 const struct tenon_semaphore_operation *operations, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		if (operations[i].number >= set->sync.limit)
			return -EFBIG;
		if (operations[i].flags & ~(UNDO | NOWAIT))
			return -EINVAL;
	}
	return 0;
}

/* One operation without an undo count.  1: it has to go the long way. */
static inline int operate_one(struct tenon_semaphore_set *set, struct tni_thread *thread,
			      const struct tenon_semaphore_operation *operation,
			      int64_t deadline_ns)
{
	void *pending = tni_pending_get(thread);
	int result = tni_set_enter(set, thread, pending, deadline_ns);
	int64_t value;

	if (__builtin_expect(result != 0, 0))
		return result;
	value = (int64_t)tni_set_value(set, operation->number) + operation->change;
	if (__builtin_expect(value < 0 || tni_get32(&set->head->owed), 0)) {
		result = 1;
	} else if (__builtin_expect(value > set->maximum, 0)) {
		result = -ERANGE;
	} else {
		tni_set64(&set->values[operation->number], (uint64_t)value | tni_set_own_pid(set));
		tni_set_count_operation(set);
	}
	tni_set_leave(set, thread, pending);
	return result;
}

static int operate_long(struct tenon_semaphore_set *set, struct tni_thread *thread,
			const struct tenon_semaphore_operation *operations, uint32_t count,
			int64_t deadline_ns)
{
	struct tni_set_turn turn = {.turn = {.sync = &set->sync,
					     .thread = thread,
					     .may_pass = tni_set_may_go_on,
					     .pass = pass,
					     .wanted = 1},
				    .set = set,
				    .operations = operations,
				    .count = count,
				    .record = UINT32_MAX};
	int result = prepare(&turn);

	return result == 0 ? operate(&turn, deadline_ns) : result;
}

static __attribute__((noinline)) int operate_many(
	struct tenon_semaphore_set *set, struct tni_thread *thread,
	const struct tenon_semaphore_operation *operations, uint32_t count, int64_t deadline_ns)
{
	struct tenon_semaphore_operation own[TENON_SEMAPHORE_SET_OPERATIONS_MOST];
	int result;

	memcpy(own, operations, count * sizeof(*operations));
	result = check(set, own, count);
	return result == 0 ? operate_long(set, thread, own, count, deadline_ns) : result;
}

/* What is checked is a copy: others may write to the caller's memory. */
int tenon_semaphore_set_operate(struct tenon_semaphore_set *set,
				const struct tenon_semaphore_operation *operations, uint32_t count,
				int64_t deadline_ns)
{
	struct tni_thread *thread = tni_thread_self();
	struct tenon_semaphore_operation one;
	int result;

	if (!set || !operations || count == 0)
		return -EINVAL;
	if (count > TENON_SEMAPHORE_SET_OPERATIONS_MOST)
		return -E2BIG;
	if (count > 1)
		return operate_many(set, thread, operations, count, deadline_ns);
	one = *(const volatile struct tenon_semaphore_operation *)operations;
	result = check(set, &one, 1);
	if (__builtin_expect(result != 0, 0))
		return result;
	result = one.change != 0 && !(one.flags & UNDO)
			 ? operate_one(set, thread, &one, deadline_ns)
			 : 1;
	return __builtin_expect(result <= 0, 1) ? result
						: operate_long(set, thread, &one, 1, deadline_ns);
}

static int complete(uint32_t flags, const struct tenon_semaphore_set_options *options,
		    struct tenon_sync_options *ret_general,
		    struct tenon_semaphore_set_options *ret_full)
{
	struct tenon_semaphore_set_options full = {.size = sizeof(full)};
	int result = 0;

	if (flags & TENON_CREATE)
		result = tni_options_copy(&full, sizeof(full), options, 0);
	if (result != 0)
		return result;
	if (full.maximum == 0)
		full.maximum = TENON_SEMAPHORE_SET_DEFAULT_MAXIMUM;
	if (full.maximum > TENON_SEMAPHORE_SET_VALUE_MAX || full.value > full.maximum ||
	    full.reserved != 0)
		return -EINVAL;
	*ret_general = (struct tenon_sync_options){.size = sizeof(*ret_general),
						   .mode = full.mode,
						   .max_participants = full.max_participants};
	*ret_full = full;
	return 0;
}

int tenon_semaphore_set_open(const char *namespace_path, const char *name, uint32_t flags,
			     const struct tenon_semaphore_set_options *options,
			     struct tenon_semaphore_set **ret_set)
{
	struct tenon_semaphore_set_options full;
	struct tenon_sync_options general;
	int result = complete(flags, options, &general, &full);

	return result != 0
		       ? result
		       : tni_sync_open_named(&tni_semaphore_set_kind,
					     sizeof(struct tenon_semaphore_set), namespace_path,
					     name, flags, &general, full.count,
					     full.maximum | (uint64_t)full.value << 32, ret_set);
}

int tni_set_make_nameless(int directory_fd, const struct tenon_semaphore_set_options *options,
			  int *ret_fd)
{
	struct tenon_semaphore_set_options full;
	struct tenon_sync_options general;
	int result = complete(TENON_CREATE, options, &general, &full);

	return result != 0
		       ? result
		       : tni_sync_make_nameless(&tni_semaphore_set_kind, directory_fd, &general,
						full.count,
						full.maximum | (uint64_t)full.value << 32, ret_fd);
}

int tenon_semaphore_set_open_at(struct tenon_region *region, uint64_t offset, uint32_t flags,
				const struct tenon_semaphore_set_options *options,
				struct tenon_semaphore_set **ret_set)
{
	struct tenon_semaphore_set_options full;
	struct tenon_sync_options general;
	int result = complete(flags, options, &general, &full);

	return result != 0 ? result
			   : tni_sync_open_at(&tni_semaphore_set_kind,
					      sizeof(struct tenon_semaphore_set), region, offset,
					      flags, &general, full.count,
					      full.maximum | (uint64_t)full.value << 32, ret_set);
}

uint64_t tenon_semaphore_set_place_bytes(const struct tenon_region *region, uint32_t count)
{
	return tni_place_bytes(region, &tni_semaphore_set_kind, count);
}

struct tenon_semaphore_set *tenon_semaphore_set_close(struct tenon_semaphore_set *set)
{
	return tni_sync_free((struct tni_sync *)set);
}

int tenon_semaphore_set_remove(const char *namespace_path, const char *name)
{
	return tni_named_remove(TENON_KIND_SEMAPHORE_SET, namespace_path, name, NULL);
}
