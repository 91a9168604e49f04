/* SPDX-License-Identifier: Apache-2.0 */

/* Reading and setting the values of a set of semaphores, its end, and what there is to see of it. */

#include <stdlib.h>

#include "object/options.h"
#include "object/semaphore_set.h"

/* Under the gate, with what the dead have left. */
static int begin_reading(struct tenon_semaphore_set *set, struct tni_thread *thread, void *pending)
{
	int result = tni_sync_begin(&set->sync, thread);

	if (result == 0)
		result = tni_turnstile_settle(&set->sync, 0);
	return result < 0 ? result : tni_set_enter(set, thread, pending, INT64_MAX);
}

int tenon_semaphore_set_get(struct tenon_semaphore_set *set, uint32_t number, uint32_t *ret_value)
{
	struct tni_thread *thread = tni_thread_self();
	void *pending = tni_pending_get(thread);
	uint32_t value;
	int result;

	if (!set || !ret_value || number >= set->sync.limit)
		return -EINVAL;
	result = begin_reading(set, thread, pending);
	if (result != 0)
		return result;
	value = tni_set_value(set, number);
	tni_set_leave(set, thread, pending);
	*ret_value = value;
	return 0;
}

int tenon_semaphore_set_get_all(struct tenon_semaphore_set *set, uint32_t *ret_values,
				uint32_t count)
{
	struct tni_thread *thread = tni_thread_self();
	void *pending = tni_pending_get(thread);
	int result;

	if (!set || !ret_values || count != set->sync.limit)
		return -EINVAL;
	result = begin_reading(set, thread, pending);
	if (result != 0)
		return result;
	for (uint32_t i = 0; i < count; i++)
		ret_values[i] = tni_set_value(set, i);
	tni_set_leave(set, thread, pending);
	return 0;
}

/* Under the gate: notes it, and does it. */
static int follow(struct tenon_semaphore_set *set, uint32_t note)
{
	tni_step();
	tni_set32(&set->head->note, note);
	tni_step();
	return tni_set_follow_note(set) == 0 ? 0 : tni_sync_damaged(&set->sync);
}

int tenon_semaphore_set_set(struct tenon_semaphore_set *set, uint32_t number, uint32_t value)
{
	struct tni_thread *thread = tni_thread_self();
	void *pending = tni_pending_get(thread);
	int result;

	if (!set || number >= set->sync.limit)
		return -EINVAL;
	if (value > set->maximum)
		return -ERANGE;
	result = tni_set_enter(set, thread, pending, INT64_MAX);
	if (result != 0)
		return result;
	result = tni_set_back_note(set);
	if (result == 0) {
		tni_set64(&set->head->note_number, number);
		tni_set64(&set->head->note_word, value | tni_set_own_pid(set));
		result = follow(set, TNI_SET_NOTE_ONE);
	}
	tni_set_leave(set, thread, pending);
	return result;
}

int tenon_semaphore_set_set_all(struct tenon_semaphore_set *set, const uint32_t *values,
				uint32_t count)
{
	struct tni_thread *thread = tni_thread_self();
	void *pending = tni_pending_get(thread);
	int result;

	if (!set || !values || count != set->sync.limit)
		return -EINVAL;
	for (uint32_t i = 0; i < count; i++)
		if (values[i] > set->maximum)
			return -ERANGE;
	result = tni_set_back_next(set);
	if (result == 0)
		result = tni_set_enter(set, thread, pending, INT64_MAX);
	if (result != 0)
		return result;
	result = tni_set_back_note(set);
	if (result == 0) {
		for (uint32_t i = 0; i < count; i++)
			tni_set64(&set->next_values[i], values[i] | tni_set_own_pid(set));
		result = follow(set, TNI_SET_NOTE_ALL);
	}
	tni_set_leave(set, thread, pending);
	return result;
}

int tenon_semaphore_set_destroy(struct tenon_semaphore_set *set)
{
	struct tni_thread *thread = tni_thread_self();
	void *pending = tni_pending_get(thread);
	int result = set ? tni_set_enter(set, thread, pending, INT64_MAX) : -EINVAL;

	if (result != 0)
		return result;
	tni_set32(&set->head->removed, 1);
	tni_step();
	tni_set_leave(set, thread, pending);
	return 0;
}

/* Without the gate: attached, and not destroyed. */
static int begin_looking(struct tenon_semaphore_set *set)
{
	int result = tni_sync_begin(&set->sync, tni_thread_self());

	return result == 0 && tni_get32(&set->head->removed) ? -EIDRM : result;
}

/* Calls `visit` for each record of a living process. */
static int each_waiter(struct tenon_semaphore_set *set,
		       int (*visit)(const struct tenon_semaphore_set_user *user, void *context),
		       void *context)
{
	uint32_t top = tni_get32(&set->head->waiters_top), known = UINT32_MAX;
	bool is_alive = false;
	int result;

	if (top > TNI_SET_WAITERS)
		top = TNI_SET_WAITERS;
	result = tni_set_back_waiters(set, top);
	for (uint32_t i = 0; result == 0 && i < top; i++) {
		const struct tni_set_waiter *waiter = &set->waiters[i];
		uint32_t owner = tni_get32(&waiter->owner);
		uint32_t number = tni_get32(&waiter->number) & TNI_SET_WAITER_NUMBER;
		uint32_t participant = (owner & TNI_SET_WAITER_OWNER) - 1;
		struct tenon_semaphore_set_user user;

		if (owner == 0 || owner & TNI_SET_WAITER_GRANTED || number >= set->sync.limit)
			continue;
		if (participant != known)
			is_alive = tni_object_is_attached(set->sync.object, participant);
		known = participant;
		if (!is_alive)
			continue;
		user = (struct tenon_semaphore_set_user){
			.pid = tni_sync_pid(&set->sync, participant),
			.waiting = 1,
			.number = number,
			.change = (int32_t)tni_get32(&waiter->change)};
		result = visit(&user, context);
	}
	return result;
}

struct count {
	uint32_t number;
	struct tenon_semaphore_set_member *member;
};

static int count_waiter(const struct tenon_semaphore_set_user *user, void *context)
{
	struct count *count = context;

	if (user->number != count->number)
		return 0;
	if (user->change == 0)
		count->member->waiting_for_zero++;
	else
		count->member->waiting++;
	return 0;
}

int tenon_semaphore_set_read(struct tenon_semaphore_set *set, uint32_t number,
			     struct tenon_semaphore_set_member *ret_member)
{
	struct tenon_semaphore_set_member member = {0};
	struct count count = {.number = number, .member = &member};
	uint64_t word;
	int result;

	if (!set || !ret_member || number >= set->sync.limit)
		return -EINVAL;
	result = begin_looking(set);
	if (result == 0)
		result = each_waiter(set, count_waiter, &count);
	if (result != 0)
		return result;
	word = tni_get64(&set->values[number]);
	member.value = tni_set_value(set, number);
	member.pid = (int32_t)(word >> TNI_SET_PID_SHIFT);
	*ret_member = member;
	return 0;
}

int tenon_semaphore_set_status(struct tenon_semaphore_set *set,
			       struct tenon_semaphore_set_status *ret_status)
{
	struct tenon_semaphore_set_status status = {.size = sizeof(status)};
	struct tni_sync_status common;
	int result;

	if (!set || tni_status_check(ret_status) != 0)
		return -EINVAL;
	result = begin_looking(set);
	if (result != 0)
		return result;
	tni_sync_describe(&set->sync, TNI_CLASS_BIT(TNI_CLASS_MESSAGE), &common);
	TNI_SYNC_STATUS_COPY(&status, &common);
	status.count = set->sync.limit;
	status.maximum = set->maximum;
	status.operations = tni_get64(&set->head->operations);
	status.waited = tni_get64(&tni_turnstile(&set->sync)->waits);
	status.undone = tni_get64(&set->head->undone);
	status.operated_ns = (int64_t)tni_get64(&set->head->operated_ns);
	status.changed_ns = (int64_t)tni_get64(&set->head->changed_ns);
	tni_status_write(ret_status, &status, sizeof(status));
	return 0;
}

int tenon_semaphore_set_users(struct tenon_semaphore_set *set,
			      int (*visit)(const struct tenon_semaphore_set_user *user,
					   void *context),
			      void *context)
{
	int result;

	if (!set || !visit)
		return -EINVAL;
	result = begin_looking(set);
	if (result == 0)
		result = each_waiter(set, visit, context);
	for (uint32_t i = 0; result == 0 && i < tni_object_participants_top(set->sync.object);
	     i++) {
		const struct tni_row *row = tni_sync_row(&set->sync, i);
		uint64_t undos = row ? tni_get64(&row->claim) : 0;
		struct tenon_semaphore_set_user user;

		if (undos == 0 || !tni_object_is_attached(set->sync.object, i))
			continue;
		user = (struct tenon_semaphore_set_user){
			.pid = tni_sync_pid(&set->sync, i),
			.undos = undos < set->sync.limit ? (uint32_t)undos : set->sync.limit};
		result = visit(&user, context);
	}
	return result;
}
