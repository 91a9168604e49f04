/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What each kind of member of a waitset does.
 *
 * Who waits in a set can name one gate only in its pending entry (core/gate.c).  So that the kernel tells of its death in
 * the others, where it may have been woken in the place of somebody else, it holds a stake in each object, which all
 * sleepers have in their vectors (core/stake.c).
 */

#include <errno.h>
#include <poll.h>

#include "core/clock.h"
#include "object/event.h"
#include "object/lock.h"
#include "object/queue_limit.h"
#include "object/queue_private.h"
#include "object/semaphore.h"
#include "object/waitset.h"

static bool are_no_holders(void *context)
{
	(void)context;
	return false;
}

static int stake(struct tni_sync *sync, struct tni_thread *thread)
{
	int result = tni_sync_begin(sync, thread);

	if (result == 0)
		tni_turnstile_stake(sync, thread);
	return result;
}

/* Queues. */

static int queue_begin(struct tni_member *member, struct tni_thread *thread)
{
	int result = tni_object_reattach(member->object);

	if (result == 0 && tni_object_ensure_stake(member->object, thread))
		member->object->rouse(member->object);
	return result;
}

static uint32_t queue_events(const struct tni_member *member)
{
	uint32_t events = 0;

	if ((member->events & TENON_READABLE) && tni_queue_available(member->queue) > 0)
		events |= TENON_READABLE;
	if ((member->events & TENON_WRITABLE) && tni_queue_room(member->queue) > 0)
		events |= TENON_WRITABLE;
	return events;
}

static bool queue_is_ready(const struct tni_member *member, uint64_t ticket)
{
	(void)ticket;
	return queue_events(member) != 0 || tni_is_destroyed(member->queue);
}

static int queue_take(struct tni_member *member, uint64_t ticket, uint32_t *ret_events)
{
	int result = tni_object_reattach(member->object);

	(void)ticket;
	if (result == 0 && tni_is_destroyed(member->queue))
		result = -EIDRM;
	if (result != 0)
		return result;
	*ret_events = queue_events(member);
	return *ret_events ? 0 : TNI_NOT_NOW;
}

static uint32_t queue_classes(const struct tni_member *member)
{
	return (member->events & TENON_READABLE ? TNI_CLASS_BIT(TNI_CLASS_MESSAGE) : 0) |
	       (member->events & TENON_WRITABLE ? TNI_CLASS_BIT(TNI_CLASS_ROOM) : 0);
}

static bool queue_are_there(void *context)
{
	return tni_has_foreign_leases(((struct tni_member *)context)->queue);
}

static void queue_find(void *context, uint64_t bits[TNI_BITMAP_WORDS])
{
	tni_queue_find_holders(((struct tni_member *)context)->queue, bits);
}

static int queue_bring_back(void *context, int64_t deadline_ns)
{
	struct tni_call call;
	int result = tni_call_begin_any(&call, ((struct tni_member *)context)->queue);

	return result == 0 ? tni_queue_bring_back(&call, deadline_ns) : result;
}

static bool queue_announce(struct tni_member *member, struct tni_thread *thread, uint64_t ticket)
{
	(void)thread;
	for (uint32_t side = 0; side < TNI_GATES; side++)
		if (tni_gate_is_orphaned(member->house->gate[side]))
			(void)!queue_bring_back(member, 0);
	return !queue_is_ready(member, ticket);
}

static void queue_hand_on(struct tni_member *member)
{
	tni_queue_hand_on(member->queue);
}

const struct tni_member_kind tni_member_queue = {.begin = queue_begin,
						 .is_ready = queue_is_ready,
						 .take = queue_take,
						 .classes = queue_classes,
						 .announce = queue_announce,
						 .are_there = queue_are_there,
						 .find = queue_find,
						 .bring_back = queue_bring_back,
						 .hand_on = queue_hand_on};

/* Locks. */

static int lock_begin(struct tni_member *member, struct tni_thread *thread)
{
	return stake(&member->lock->sync, thread);
}

static bool lock_is_ready(const struct tni_member *member, uint64_t ticket)
{
	(void)ticket;
	return !(tni_get64(&member->lock->sync.cell->gate.word) & TNI_GATE_OWNER) &&
	       tni_lock_is_drained(member->lock);
}

static int lock_take(struct tni_member *member, uint64_t ticket, uint32_t *ret_events)
{
	int result;

	if (!lock_is_ready(member, ticket) && !tni_lock_is_held(member->lock, tni_thread_self()))
		return TNI_NOT_NOW;
	result = tenon_lock_try(member->lock);
	*ret_events = 0;
	return result == -EBUSY || result == -EDEADLK ? TNI_NOT_NOW : result;
}

static void lock_put_back(struct tni_member *member, uint32_t events)
{
	(void)events;
	tenon_lock_release(member->lock);
}

/* Who shares it wakes those who wait for room when it lets go. */
static uint32_t lock_classes(const struct tni_member *member)
{
	(void)member;
	return TNI_CLASS_BIT(TNI_CLASS_LOCK_0) | TNI_CLASS_BIT(TNI_CLASS_ROOM);
}

static bool lock_announce(struct tni_member *member, struct tni_thread *thread, uint64_t ticket)
{
	(void)thread;
	return !lock_is_ready(member, ticket);
}

/* Held with priority inheritance: object/lock_inherit.c. */
static bool is_held_inheriting(const struct tenon_lock *lock)
{
	return tni_lock_inherits(lock) &&
	       (tni_get64(&lock->sync.cell->gate.word) & TNI_GATE_OWNER) != 0;
}

static bool lock_are_there(void *context)
{
	struct tenon_lock *lock = ((struct tni_member *)context)->lock;

	return tni_get32(&tni_lock_words(lock)->shared) != 0 || is_held_inheriting(lock);
}

/* Those of whose death the kernel has told, and who are not buried: the mark stays until another one takes the place. */
static void find_marked(struct tni_object *object, uint64_t bits[TNI_BITMAP_WORDS])
{
	for (uint32_t i = 0; i < tni_object_stakes_top(object); i++) {
		const struct tni_participant *entry = tni_object_participant(object, i);
		const struct tni_a32 *stake = tni_object_stake(object, i);

		if (stake && (tni_get32(stake) & TNI_STAKE_DIED) &&
		    tni_load_acquire32(&entry->state) !=
			    TNI_PARTICIPANT_FREE) /* ORD(participant) */
			bits[i / 64] |= UINT64_C(1) << (i % 64);
	}
}

static void lock_find(void *context, uint64_t bits[TNI_BITMAP_WORDS])
{
	struct tenon_lock *lock = ((struct tni_member *)context)->lock;

	if (is_held_inheriting(lock))
		find_marked(lock->sync.object, bits);
	else
		tni_lock_find_shared(lock, bits);
}

static int lock_bring_back(void *context, int64_t deadline_ns)
{
	uint64_t bits[TNI_BITMAP_WORDS] = {0};

	lock_find(context, bits);
	return tni_lock_bring_back(((struct tni_member *)context)->lock, bits, deadline_ns);
}

static void lock_hand_on(struct tni_member *member)
{
	if (lock_is_ready(member, 0))
		tni_gatehouse_wake(member->house, TNI_CLASS_LOCK_0, 1);
}

const struct tni_member_kind tni_member_lock = {.begin = lock_begin,
						.is_ready = lock_is_ready,
						.take = lock_take,
						.put_back = lock_put_back,
						.classes = lock_classes,
						.announce = lock_announce,
						.are_there = lock_are_there,
						.find = lock_find,
						.bring_back = lock_bring_back,
						.hand_on = lock_hand_on};

/* Turnstiles. */

static uint32_t turnstile_classes(const struct tni_member *member)
{
	(void)member;
	return TNI_CLASS_BIT(TNI_CLASS_MESSAGE);
}

static void turnstile_hand_on(struct tni_member *member)
{
	tni_gatehouse_wake(member->house, TNI_CLASS_MESSAGE, TNI_EVERYBODY);
}

static struct tni_turn semaphore_turn(const struct tni_member *member)
{
	return tni_semaphore_turn(member->semaphore, member->count, member->flags);
}

static int semaphore_begin(struct tni_member *member, struct tni_thread *thread)
{
	return stake(&member->semaphore->sync, thread);
}

static bool semaphore_is_ready(const struct tni_member *member, uint64_t ticket)
{
	struct tni_turn turn = semaphore_turn(member);

	(void)ticket;
	return turn.may_pass(&turn, tni_turnstile_word(turn.sync));
}

static int semaphore_take(struct tni_member *member, uint64_t ticket, uint32_t *ret_events)
{
	int result;

	*ret_events = 0;
	if (!semaphore_is_ready(member, ticket))
		return TNI_NOT_NOW;
	result = tenon_semaphore_try(member->semaphore, member->count, member->flags);
	return result == -EAGAIN ? TNI_NOT_NOW : result;
}

static void semaphore_put_back(struct tni_member *member, uint32_t events)
{
	(void)events;
	tenon_semaphore_release(member->semaphore, member->count, member->flags, NULL);
}

static bool semaphore_announce(struct tni_member *member, struct tni_thread *thread,
			       uint64_t ticket)
{
	struct tni_turn turn = semaphore_turn(member);

	(void)ticket;
	turn.thread = thread;
	return tni_turnstile_announce(&turn);
}

static bool semaphore_are_there(void *context)
{
	return tni_turnstile_are_there(&((struct tni_member *)context)->semaphore->sync);
}

static void semaphore_find(void *context, uint64_t bits[TNI_BITMAP_WORDS])
{
	tni_turnstile_find(&((struct tni_member *)context)->semaphore->sync, bits);
}

static int semaphore_bring_back(void *context, int64_t deadline_ns)
{
	return tni_turnstile_bring_back(&((struct tni_member *)context)->semaphore->sync,
					deadline_ns);
}

/* Others may want one only.  Where there is none, who wakes others for it would be woken by them, and so on. */
static bool semaphore_is_of_use(const struct tni_member *member)
{
	struct tni_turn turn = tni_semaphore_turn(member->semaphore, 1, member->flags);

	return turn.may_pass(&turn, tni_turnstile_word(turn.sync));
}

const struct tni_member_kind tni_member_semaphore = {.begin = semaphore_begin,
						     .is_ready = semaphore_is_ready,
						     .take = semaphore_take,
						     .put_back = semaphore_put_back,
						     .classes = turnstile_classes,
						     .announce = semaphore_announce,
						     .are_there = semaphore_are_there,
						     .find = semaphore_find,
						     .bring_back = semaphore_bring_back,
						     .hand_on = turnstile_hand_on,
						     .is_of_use = semaphore_is_of_use};

static int event_begin(struct tni_member *member, struct tni_thread *thread)
{
	return stake(&member->event->sync, thread);
}

/* Two that count the same pulses are the same. */
static uint64_t event_ticket(const struct tni_member *member)
{
	return tni_turnstile_word(&member->event->sync) & TNI_EVENT_PULSES;
}

static bool event_is_ready(const struct tni_member *member, uint64_t ticket)
{
	struct tni_turn turn = tni_event_turn(member->event, ticket);

	return turn.may_pass(&turn, tni_turnstile_word(turn.sync));
}

/* By what it passed. */
static int event_take(struct tni_member *member, uint64_t ticket, uint32_t *ret_events)
{
	struct tni_turn turn = tni_event_turn(member->event, ticket);
	int result = tni_sync_begin(turn.sync, tni_thread_self());

	if (result == 0)
		result = turn.pass(&turn, 0);
	*ret_events = result > 0 ? (uint32_t)result : 0;
	return result > 0 ? 0 : result == 0 ? TNI_NOT_NOW : result;
}

static void event_put_back(struct tni_member *member, uint32_t events)
{
	tni_event_put_back(member->event, (int)events);
}

static bool event_announce(struct tni_member *member, struct tni_thread *thread, uint64_t ticket)
{
	struct tni_turn turn = tni_event_turn(member->event, ticket);

	turn.thread = thread;
	return tni_turnstile_announce(&turn);
}

/* By one of manual reset all were woken. */
static bool event_is_of_use(const struct tni_member *member)
{
	return !(member->event->sync.flags & TENON_EVENT_MANUAL) &&
	       (tni_turnstile_word(&member->event->sync) & (TNI_EVENT_SET | TNI_EVENT_TOKEN));
}

static int event_bring_back(void *context, int64_t deadline_ns)
{
	(void)context;
	(void)deadline_ns;
	return 0;
}

const struct tni_member_kind tni_member_event = {.begin = event_begin,
						 .ticket = event_ticket,
						 .is_ready = event_is_ready,
						 .take = event_take,
						 .put_back = event_put_back,
						 .classes = turnstile_classes,
						 .announce = event_announce,
						 .are_there = are_no_holders,
						 .bring_back = event_bring_back,
						 .hand_on = turnstile_hand_on,
						 .is_of_use = event_is_of_use};

/* Descriptors and processes: looked at by poll(2), and in waitset_watch.c for many at once. */

static int nothing_to_begin(struct tni_member *member, struct tni_thread *thread)
{
	(void)member;
	(void)thread;
	return 0;
}

static int descriptor_take(struct tni_member *member, uint64_t ticket, uint32_t *ret_events)
{
	struct pollfd entry = {.fd = member->fd, .events = (short)member->events};

	(void)ticket;
	if (poll(&entry, 1, 0) != 1)
		return TNI_NOT_NOW;
	*ret_events = (uint16_t)entry.revents;
	return entry.revents & POLLNVAL ? -EBADF : 0;
}

static bool descriptor_is_ready(const struct tni_member *member, uint64_t ticket)
{
	struct tni_member copy = *member;
	uint32_t events;

	return descriptor_take(&copy, ticket, &events) != TNI_NOT_NOW;
}

static int process_take(struct tni_member *member, uint64_t ticket, uint32_t *ret_events)
{
	int result = descriptor_take(member, ticket, ret_events);

	*ret_events = 0;
	return result;
}

const struct tni_member_kind tni_member_descriptor = {
	.begin = nothing_to_begin, .is_ready = descriptor_is_ready, .take = descriptor_take};

const struct tni_member_kind tni_member_process = {
	.begin = nothing_to_begin, .is_ready = descriptor_is_ready, .take = process_take};

/* Timers. */

static bool timer_is_ready(const struct tni_member *member, uint64_t ticket)
{
	int64_t due_ns = tni_member_due_ns(member);

	(void)ticket;
	return due_ns != INT64_MAX && tni_clock_ns(CLOCK_MONOTONIC) >= due_ns;
}

/* Of several threads one. */
static int timer_take(struct tni_member *member, uint64_t ticket, uint32_t *ret_events)
{
	int64_t now_ns = tni_clock_ns(CLOCK_MONOTONIC), next_ns = INT64_MAX;
	uint64_t due_ns = tni_get64(&member->at_ns);

	(void)ticket;
	if ((int64_t)due_ns == INT64_MAX || now_ns < (int64_t)due_ns)
		return TNI_NOT_NOW;
	if (member->period_ns > 0)
		next_ns = now_ns + member->period_ns -
			  (now_ns - (int64_t)due_ns) % member->period_ns;
	if (!tni_cas64(&member->at_ns, &due_ns, (uint64_t)next_ns))
		return TNI_NOT_NOW;
	member->was_ns = (int64_t)due_ns;
	*ret_events = 0;
	return 0;
}

static void timer_put_back(struct tni_member *member, uint32_t events)
{
	(void)events;
	tni_set64(&member->at_ns, (uint64_t)member->was_ns);
}

const struct tni_member_kind tni_member_timer = {.begin = nothing_to_begin,
						 .is_ready = timer_is_ready,
						 .take = timer_take,
						 .put_back = timer_put_back};
