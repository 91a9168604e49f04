/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The waitset: members, looking at them, taking what is ready.
 *
 * Whoever waits looks at all members, takes what it can, and sleeps only if that was nothing; sleeping says that it is
 * worth looking again, and no more.  So all that can go wrong with sleeping is to sleep too long.
 *
 * To take all, one is taken after the other without waiting; if one cannot be, those that were are put back.
 */

#include "object/waitset.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/quiet.h"
#include "object/event.h"
#include "object/lock.h"
#include "object/queue_private.h"
#include "object/semaphore.h"

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

/* So often a wait looks at descriptors although an object is ready. */
#define DESCRIPTORS_EVERY 16u
#define PERIOD_MOST_NS (INT64_MAX / 4)

int tenon_waitset_create(uint32_t flags, struct tenon_waitset **ret_set)
{
	struct tenon_waitset *set;

	if (!ret_set || flags & ~TENON_WAITSET_ALL)
		return -EINVAL;
	set = calloc(1, sizeof(*set));
	if (!set)
		return -ENOMEM;
	set->flags = flags;
	set->poll_fd = set->timer_fd = -1;
	pthread_mutex_init(&set->mutex, NULL);
	tni_set32(&set->generation, tni_process_generation());
	*ret_set = set;
	return 0;
}

/* Before a call. */
static void begin(struct tenon_waitset *set)
{
	uint32_t generation = tni_thread_self()->generation;

	/* ORD(renewal) */
	if (__builtin_expect(tni_load_acquire32(&set->generation) != generation, 0))
		tni_waitset_renew(set, generation);
}

struct tenon_waitset *tenon_waitset_close(struct tenon_waitset *set)
{
	if (!set)
		return NULL;
	begin(set);
	tni_waitset_stop(set);
	tni_waitset_free_posts(set);
	for (uint32_t i = 0; i < set->top; i++)
		if (set->members[i].kind == &tni_member_process)
			close(set->members[i].fd);
	pthread_mutex_destroy(&set->mutex);
	free(set->members);
	free(set);
	return NULL;
}

static int find_place(struct tenon_waitset *set, uint32_t *ret_number)
{
	struct tni_member *members;
	uint32_t capacity = set->capacity ? 2 * set->capacity : 8;

	for (uint32_t i = 0; i < set->capacity; i++) {
		if (!set->members[i].kind) {
			*ret_number = i;
			return 0;
		}
	}
	if (set->capacity == TENON_WAITSET_MOST)
		return -ENOSPC;
	members = realloc(set->members, capacity * sizeof(*members));
	if (!members)
		return -ENOMEM;
	memset(&members[set->capacity], 0, (capacity - set->capacity) * sizeof(*members));
	*ret_number = set->capacity;
	set->members = members;
	set->capacity = capacity;
	return 0;
}

static void count(struct tenon_waitset *set, const struct tni_member *member, uint32_t more)
{
	set->objects += tni_member_is_object(member) ? more : 0;
	set->words += tni_member_is_object(member) ? more * tni_member_words(member) : 0;
	set->descriptors += tni_member_has_fd(member) ? more : 0;
	set->timers += member->kind == &tni_member_timer ? more : 0;
}

/* Of one object all could never be had twice, and epoll(7) takes a descriptor once. */
static bool is_there(const struct tenon_waitset *set, const struct tni_member *member)
{
	for (uint32_t i = 0; i < set->top; i++) {
		const struct tni_member *other = &set->members[i];

		if (!other->kind)
			continue;
		if (tni_member_has_fd(other) && tni_member_has_fd(member) &&
		    other->fd == member->fd)
			return true;
		if ((set->flags & TENON_WAITSET_ALL) && tni_member_is_object(other) &&
		    tni_member_is_object(member) &&
		    other->object->header.id == member->object->header.id &&
		    other->place == member->place)
			return true;
	}
	return false;
}

static void take_out(struct tenon_waitset *set, uint32_t number)
{
	struct tni_member *member = &set->members[number];

	if (tni_member_has_fd(member))
		tni_waitset_exclude(set, number);
	count(set, member, UINT32_MAX);
	member->kind = NULL;
}

static int insert(struct tenon_waitset *set, const struct tni_member *member, uint32_t *ret_number)
{
	int result = is_there(set, member) ? -EEXIST : find_place(set, ret_number);

	if (result != 0)
		return result;
	set->members[*ret_number] = *member;
	if (set->top <= *ret_number)
		set->top = *ret_number + 1;
	count(set, member, 1);
	if (tni_member_has_fd(member))
		result = tni_waitset_include(set, *ret_number);
	if (result != 0)
		take_out(set, *ret_number);
	return result;
}

static int add(struct tenon_waitset *set, const struct tni_member *member, uint32_t *ret_member)
{
	uint32_t number = 0;
	int result, armed = 0;

	begin(set);
	tni_waitset_stop(set);
	result = insert(set, member, &number);
	/* Who polls is told of the others, too, where this one cannot be had. */
	if (tni_get32(&set->is_polled))
		armed = tni_waitset_arm_polled(set, NULL);
	if (result != 0)
		return result;
	if (armed != 0) {
		take_out(set, number);
		return armed;
	}
	if (ret_member)
		*ret_member = number;
	return 0;
}

int tenon_waitset_add_queue(struct tenon_waitset *set, struct tenon_queue *queue, uint32_t events,
			    uint64_t user, uint32_t *ret_member)
{
	if (!set || !queue || events == 0 || events & ~(TENON_READABLE | TENON_WRITABLE))
		return -EINVAL;
	return add(set,
		   &(struct tni_member){.kind = &tni_member_queue,
					.user = user,
					.object = &queue->object,
					.house = &queue->house,
					.events = events,
					.queue = queue},
		   ret_member);
}

static struct tni_member of_sync(const struct tni_member_kind *kind, struct tni_sync *sync,
				 uint64_t user)
{
	return (struct tni_member){.kind = kind,
				   .user = user,
				   .object = sync->object,
				   .house = &sync->house,
				   .place = sync->region ? sync->place + 1 : 0};
}

int tenon_waitset_add_lock(struct tenon_waitset *set, struct tenon_lock *lock, uint64_t user,
			   uint32_t *ret_member)
{
	struct tni_member member;

	if (!set || !lock)
		return -EINVAL;
	member = of_sync(&tni_member_lock, &lock->sync, user);
	member.lock = lock;
	return add(set, &member, ret_member);
}

int tenon_waitset_add_semaphore(struct tenon_waitset *set, struct tenon_semaphore *semaphore,
				uint32_t count, uint32_t flags, uint64_t user, uint32_t *ret_member)
{
	struct tni_member member;

	if (!set || !semaphore || count == 0 || count > semaphore->sync.limit ||
	    flags & ~TENON_SEMAPHORE_UNDO)
		return -EINVAL;
	member = of_sync(&tni_member_semaphore, &semaphore->sync, user);
	member.semaphore = semaphore;
	member.count = count;
	member.flags = flags;
	return add(set, &member, ret_member);
}

int tenon_waitset_add_event(struct tenon_waitset *set, struct tenon_event *event, uint64_t user,
			    uint32_t *ret_member)
{
	struct tni_member member;

	if (!set || !event)
		return -EINVAL;
	member = of_sync(&tni_member_event, &event->sync, user);
	member.event = event;
	return add(set, &member, ret_member);
}

int tenon_waitset_add_process(struct tenon_waitset *set, int32_t pid, uint64_t user,
			      uint32_t *ret_member)
{
	struct tni_member member = {
		.kind = &tni_member_process, .user = user, .events = TNI_WAITSET_POLLIN};
	int result;

	if (!set || pid <= 0)
		return -EINVAL;
	member.fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (member.fd < 0)
		return -errno;
	result = add(set, &member, ret_member);
	if (result != 0)
		close(member.fd);
	return result;
}

int tenon_waitset_add_descriptor(struct tenon_waitset *set, int fd, uint32_t events, uint64_t user,
				 uint32_t *ret_member)
{
	if (!set || events & ~UINT32_C(0x7fff))
		return -EINVAL;
	if (fd < 0 || fcntl(fd, F_GETFD) < 0)
		return -EBADF;
	return add(
		set,
		&(struct tni_member){
			.kind = &tni_member_descriptor, .user = user, .events = events, .fd = fd},
		ret_member);
}

int tenon_waitset_add_timer(struct tenon_waitset *set, int64_t at_ns, int64_t period_ns,
			    uint64_t user, uint32_t *ret_member)
{
	if (!set || at_ns == INT64_MAX || period_ns < 0 || period_ns > PERIOD_MOST_NS)
		return -EINVAL;
	return add(set,
		   &(struct tni_member){.kind = &tni_member_timer,
					.user = user,
					.at_ns = {(uint64_t)(at_ns < 0 ? 0 : at_ns)},
					.period_ns = period_ns},
		   ret_member);
}

int tenon_waitset_remove(struct tenon_waitset *set, uint32_t member)
{
	if (!set)
		return -EINVAL;
	if (member >= set->top || !set->members[member].kind)
		return -ENOENT;
	begin(set);
	tni_waitset_stop(set);
	if (set->members[member].kind == &tni_member_process)
		close(set->members[member].fd);
	take_out(set, member);
	/* Where that cannot be had the next wait sees to it. */
	if (tni_get32(&set->is_polled))
		(void)!tni_waitset_arm_polled(set, NULL);
	return 0;
}

void tni_visit_begin(struct tni_visit *visit, struct tenon_waitset *set, struct tni_thread *thread)
{
	visit->set = set;
	visit->thread = thread;
	memset(visit->called, 0, sizeof(visit->called));
	for (uint32_t i = 0; i < set->top; i++) {
		const struct tni_member *member = &set->members[i];

		if (member->kind && member->kind->ticket)
			visit->tickets[i] = member->kind->ticket(member);
	}
}

bool tni_visit_is_ready(const struct tni_visit *visit)
{
	const struct tenon_waitset *set = visit->set;
	bool all = set->flags & TENON_WAITSET_ALL;

	for (uint32_t i = 0; i < set->top; i++) {
		const struct tni_member *member = &set->members[i];

		if (member->kind && !tni_member_has_fd(member) &&
		    member->kind->is_ready(member, visit->tickets[i]) != all)
			return !all;
	}
	return all;
}

int64_t tni_waitset_next_ns(const struct tenon_waitset *set, int64_t deadline_ns)
{
	for (uint32_t i = 0; set->timers > 0 && i < set->top; i++) {
		const struct tni_member *member = &set->members[i];

		/* One that is due already does not keep a set for all from sleeping. */
		if (member->kind == &tni_member_timer && tni_member_due_ns(member) < deadline_ns &&
		    !((set->flags & TENON_WAITSET_ALL) && tni_member_timer.is_ready(member, 0)))
			deadline_ns = tni_member_due_ns(member);
	}
	return deadline_ns;
}

/* What a wait has found.  The caller's array is written and not read: others may write to it, too. */
struct catch
{
	struct tenon_waitset_event *events;
	uint32_t capacity, count;
	uint64_t taken[TENON_WAITSET_MOST / 64];
	uint64_t pulsed[TENON_WAITSET_MOST / 64]; /* of these: events that were passed by a pulse */
};

static bool is_error(int result)
{
	return result != 0 && result != -EOWNERDEAD;
}

static void note(struct catch *catch, const struct tni_member *member, uint32_t number,
		 uint32_t events, int result)
{
	uint64_t bit = UINT64_C(1) << (number % 64);

	/* By what an event was passed is nobody's business. */
	if (member->kind == &tni_member_event && events == TNI_EVENT_BY_PULSE)
		catch->pulsed[number / 64] |= bit;
	catch->events[catch->count++] = (struct tenon_waitset_event){
		.user = member->user,
		.member = number,
		.events = member->kind == &tni_member_event ? 0 : events,
		.result = result};
	if (!is_error(result))
		catch->taken[number / 64] |= bit;
}

static void take_any(struct tni_visit *visit, struct catch *catch, bool descriptors)
{
	struct tenon_waitset *set = visit->set;
	uint32_t first = tni_get32(&set->turn);

	for (uint32_t n = 0; n < set->top && catch->count < catch->capacity; n++) {
		uint32_t number = (first + n) % set->top, events = 0;
		struct tni_member *member = &set->members[number];
		int result;

		if (!member->kind || tni_member_has_fd(member) != descriptors)
			continue;
		result = member->kind->take(member, visit->tickets[number], &events);
		if (result == TNI_NOT_NOW)
			continue;
		note(catch, member, number, events, result);
		tni_set32(&set->turn, number + 1);
	}
}

static void put_all_back(struct tni_visit *visit, struct catch *catch)
{
	for (uint32_t i = 0; i < visit->set->top; i++) {
		struct tni_member *member = &visit->set->members[i];
		uint64_t bit = UINT64_C(1) << (i % 64);

		if ((catch->taken[i / 64] & bit) && member->kind->put_back)
			member->kind->put_back(member, catch->pulsed[i / 64] & bit
							       ? TNI_EVENT_BY_PULSE
							       : TNI_EVENT_BY_SET);
	}
	memset(catch->taken, 0, sizeof(catch->taken));
	memset(catch->pulsed, 0, sizeof(catch->pulsed));
	catch->count = 0;
}

static bool are_descriptors_ready(const struct tenon_waitset *set)
{
	for (uint32_t i = 0; i < set->top; i++) {
		const struct tni_member *member = &set->members[i];

		if (member->kind && tni_member_has_fd(member) && !member->kind->is_ready(member, 0))
			return false;
	}
	return true;
}

static void take_all(struct tni_visit *visit, struct catch *catch)
{
	struct tenon_waitset *set = visit->set;

	if (!tni_visit_is_ready(visit) || !are_descriptors_ready(set))
		return;
	for (uint32_t i = 0; i < set->top; i++) {
		struct tni_member *member = &set->members[i];
		uint32_t events = 0;
		int result;

		if (!member->kind)
			continue;
		result = member->kind->take(member, visit->tickets[i], &events);
		if (result == TNI_NOT_NOW || is_error(result))
			put_all_back(visit, catch);
		if (result == TNI_NOT_NOW)
			return;
		note(catch, member, i, events, result);
		if (is_error(result))
			return;
	}
}

/* Takes what there is to take. */
static void look(struct tni_visit *visit, struct catch *catch)
{
	struct tenon_waitset *set = visit->set;

	if (set->flags & TENON_WAITSET_ALL) {
		take_all(visit, catch);
	} else if (set->descriptors > 0 &&
		   tni_fetch_add32(&set->looks, 1) % DESCRIPTORS_EVERY == 0) {
		take_any(visit, catch, true);
		take_any(visit, catch, false);
	} else {
		take_any(visit, catch, false);
		if (set->descriptors > 0 && catch->count == 0)
			take_any(visit, catch, true);
	}
	tni_visit_hand_on(visit, catch->taken);
}

/* What the dead had comes back. */
static void bring_back(struct tenon_waitset *set)
{
	for (uint32_t i = 0; i < set->top; i++) {
		struct tni_member *member = &set->members[i];

		if (tni_member_is_object(member) && member->kind->are_there(member))
			(void)!member->kind->bring_back(member, 0);
	}
}

static int sleep_once(struct tni_visit *visit, int64_t deadline_ns)
{
	struct tenon_waitset *set = visit->set;

	/* It is looked once more behind that. */
	if (tni_clock_ns(CLOCK_MONOTONIC) >= deadline_ns) {
		bring_back(set);
		return -ETIMEDOUT;
	}
	if (tni_waitset_is_watched(set))
		return tni_waitset_watch(visit, deadline_ns);
	return tni_visit_sleep(visit, 0, set->top, NULL, 0, deadline_ns);
}

/* What goes wrong here is told by taking. */
static int begin_members(struct tenon_waitset *set, struct tni_thread *thread, uint32_t capacity)
{
	uint32_t members = 0;
	int result;

	for (uint32_t i = 0; i < set->top; i++) {
		struct tni_member *member = &set->members[i];

		if (!member->kind)
			continue;
		members++;
		result = member->kind->begin(member, thread);
		/* A child that could not attach must not sleep under its parent's number; what else is wrong is told of when it is
		 * looked at. */
		if (result != 0 && member->object &&
		    tni_get32(&member->object->generation) != thread->generation)
			return result;
	}
	return members == 0 || ((set->flags & TENON_WAITSET_ALL) && capacity < members) ? -EINVAL
											: 0;
}

static int wait_for(struct tenon_waitset *set, int64_t deadline_ns,
		    struct tenon_waitset_event *ret_events, uint32_t capacity, uint32_t *ret_count)
{
	struct catch catch = {.events = ret_events, .capacity = capacity};
	struct tni_visit visit;
	int waited = 0, result;

	begin(set);
	/* First: what is pulsed from now on is pulsed amid the wait. */
	tni_visit_begin(&visit, set, tni_thread_self());
	result = begin_members(set, visit.thread, capacity);
	if (result != 0)
		return result;
	while (catch.count == 0) {
		look(&visit, &catch);
		if (catch.count > 0 || waited < 0)
			break;
		waited = sleep_once(&visit, deadline_ns);
	}
	if (catch.count == 0) {
		if (waited == -ETIMEDOUT && tni_get32(&set->is_polled))
			result = tni_waitset_arm_polled(set, visit.tickets);
		return result != 0 ? result : waited;
	}
	*ret_count = catch.count;
	return 0;
}

/* Not cancelled amid it: what it has taken would be lost. */
int tenon_waitset_wait(struct tenon_waitset *set, int64_t deadline_ns,
		       struct tenon_waitset_event *ret_events, uint32_t capacity,
		       uint32_t *ret_count)
{
	TNI_NO_CANCEL;

	if (!set || !ret_events || !ret_count || capacity == 0)
		return -EINVAL;
	return wait_for(set, deadline_ns, ret_events, capacity, ret_count);
}
