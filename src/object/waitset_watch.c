/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Threads that sleep in the caller's stead.  One system call sleeps on futexes, another on descriptors, and the
 * first on so many futexes only.  So where there are both, or too many, or where somebody polls the set, watchers sleep for
 * the objects, and tell by an eventfd that the set may be ready; the caller sleeps in poll(2).
 *
 *	order	IDLE	the watcher rests
 *		ARMED	it sleeps for its objects; when the set is ready it tells, and goes to rest
 *		END	it ends
 *
 * A watcher takes nothing, and hands on every wake that it gets.  In a child of fork(2) there are none, and the
 * descriptors are its parent's: it makes its own.
 *
 * ORD order: what members there are is released with the order and acquired by the watcher that follows it.
 */

#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "core/clock.h"
#include "object/waitset.h"

#define IDLE 0u
#define ARMED 1u
#define END 2u
#define STACK_BYTES (256u * 1024)

bool tni_waitset_is_watched(const struct tenon_waitset *set)
{
	return set->descriptors > 0 || set->words > TNI_WAITSET_WORDS_A_THREAD ||
	       tni_get32(&set->is_polled);
}

/* What is done under the mutex may be a cancellation point: a thread that ended there would keep it.  What is answered goes
 * back to unlock(). */
static int lock(struct tenon_waitset *set)
{
	int before;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
	pthread_mutex_lock(&set->mutex);
	return before;
}

static void unlock(struct tenon_waitset *set, int before)
{
	pthread_mutex_unlock(&set->mutex);
	pthread_setcancelstate(before, NULL);
}

static void give_order(struct tni_watcher *watcher, uint32_t order)
{
	tni_store_release32(&watcher->order, order); /* ORD(order) */
	syscall(SYS_futex, &watcher->order, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void await_order(struct tni_watcher *watcher)
{
	while (tni_load_acquire32(&watcher->order) == IDLE) /* ORD(order) */
		syscall(SYS_futex, &watcher->order, FUTEX_WAIT_PRIVATE, IDLE, NULL, NULL, 0);
}

static void tell(const struct tenon_waitset *set)
{
	uint64_t one = 1;

	(void)!write(set->told_fd, &one, sizeof(one));
}

/* Until the set may be ready, or there is another order. */
static void watch(struct tni_watcher *watcher, struct tni_visit *visit)
{
	static const uint64_t nothing[TENON_WAITSET_MOST / 64];
	struct tenon_waitset *set = watcher->set;
	uint32_t armed = ARMED;
	int result;

	tni_visit_begin(visit, set, tni_thread_self());
	for (uint32_t i = 0; i < set->top; i++)
		visit->tickets[i] = tni_get64(&set->members[i].ticket);
	for (uint32_t i = watcher->first; i < watcher->end; i++)
		if (tni_member_is_object(&set->members[i]))
			(void)!set->members[i].kind->begin(&set->members[i], visit->thread);
	result = tni_visit_sleep(visit, watcher->first, watcher->end, &watcher->order, ARMED,
				 INT64_MAX);
	tni_visit_hand_on(visit, nothing);
	if (result != 0 && result != -EINTR)
		nanosleep(&(struct timespec){.tv_nsec = TNI_MILLISECOND_NS}, NULL);
	if (tni_cas32(&watcher->order, &armed, IDLE))
		tell(set);
}

static void *run(void *context)
{
	struct tni_watcher *watcher = context;
	struct tni_visit *visit = malloc(sizeof(*visit));

	for (;;) {
		await_order(watcher);
		if (tni_get32(&watcher->order) == END)
			break;
		if (visit) {
			watch(watcher, visit);
		} else {
			tni_set32(&watcher->order, IDLE);
			tell(watcher->set);
		}
	}
	free(visit);
	return NULL;
}

static int start(struct tni_watcher *watcher)
{
	sigset_t all, before;
	pthread_attr_t attributes;
	int result;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK_BYTES);
	result = -pthread_create(&watcher->thread, &attributes, run, watcher);
	pthread_attr_destroy(&attributes);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (result == 0)
		pthread_setname_np(watcher->thread, "tenon-waitset");
	return result;
}

/* Shares the objects out among as many watchers as are needed. */
static int start_all(struct tenon_waitset *set)
{
	uint32_t words = 0, first = 0;
	int result = 0;

	set->watchers = calloc(set->objects, sizeof(*set->watchers));
	if (!set->watchers)
		return -ENOMEM;
	for (uint32_t i = 0; i <= set->top && result == 0; i++) {
		uint32_t own = i < set->top && tni_member_is_object(&set->members[i])
				       ? tni_member_words(&set->members[i])
				       : 0;

		if (words > 0 && (i == set->top || words + own > TNI_WAITSET_WORDS_A_THREAD)) {
			struct tni_watcher *watcher = &set->watchers[set->watcher_count];

			*watcher = (struct tni_watcher){.set = set, .first = first, .end = i};
			result = start(watcher);
			set->watcher_count += result == 0;
			first = i;
			words = 0;
		}
		words += own;
	}
	return result;
}

/* Locked. */
static void stop_all(struct tenon_waitset *set)
{
	for (uint32_t i = 0; i < set->watcher_count; i++)
		give_order(&set->watchers[i], END);
	for (uint32_t i = 0; i < set->watcher_count; i++)
		pthread_join(set->watchers[i].thread, NULL);
	free(set->watchers);
	set->watchers = NULL;
	set->watcher_count = 0;
}

void tni_waitset_stop(struct tenon_waitset *set)
{
	int before = lock(set);

	stop_all(set);
	unlock(set, before);
}

/* Locked. */
static int arm(struct tenon_waitset *set)
{
	int result = 0;

	if (set->told_fd < 0)
		set->told_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (set->told_fd < 0)
		return -errno;
	if (set->objects > 0 && set->watcher_count == 0)
		result = start_all(set);
	if (result != 0)
		stop_all(set);
	for (uint32_t i = 0; i < set->watcher_count; i++)
		give_order(&set->watchers[i], ARMED);
	return result;
}

static void set_timer(const struct tenon_waitset *set)
{
	int64_t next_ns = tni_waitset_next_ns(set, INT64_MAX);
	struct itimerspec when = {.it_value = {0}};

	if (set->timer_fd < 0)
		return;
	if (next_ns != INT64_MAX)
		when.it_value = tni_timespec(next_ns > 0 ? next_ns : 1);
	timerfd_settime(set->timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
}

/* What was told has been seen. */
static void take_told(const struct tenon_waitset *set)
{
	uint64_t count;

	(void)!read(set->told_fd, &count, sizeof(count));
}

/* The watchers' tickets are no younger than those of who waits: what was pulsed since is not missed. */
static void hand_tickets(struct tenon_waitset *set, const uint64_t *tickets)
{
	for (uint32_t i = 0; i < set->top; i++) {
		struct tni_member *member = &set->members[i];

		if (member->kind && member->kind->ticket)
			tni_set64(&member->ticket,
				  tickets ? tickets[i] : member->kind->ticket(member));
	}
}

int tni_waitset_arm(struct tenon_waitset *set, const uint64_t *tickets)
{
	int before = lock(set), result;

	hand_tickets(set, tickets);
	if (set->told_fd >= 0)
		take_told(set);
	result = arm(set);
	set_timer(set);
	unlock(set, before);
	return result;
}

/* In a set for all those that are ready already would keep poll(2) from sleeping. */
static nfds_t list_descriptors(const struct tenon_waitset *set, struct pollfd *entries)
{
	nfds_t count = 0;

	for (uint32_t i = 0; i < set->top; i++) {
		const struct tni_member *member = &set->members[i];

		if (member->kind && tni_member_has_fd(member) &&
		    !((set->flags & TENON_WAITSET_ALL) && member->kind->is_ready(member, 0)))
			entries[count++] = (struct pollfd){.fd = member->fd,
							   .events = (short)member->events};
	}
	return count;
}

int tni_waitset_watch(struct tni_visit *visit, int64_t deadline_ns)
{
	struct tenon_waitset *set = visit->set;
	struct pollfd *entries = calloc(set->descriptors + 1, sizeof(*entries));
	int64_t until_ns = tni_waitset_next_ns(set, deadline_ns);
	int64_t rest_ns = until_ns - tni_clock_ns(CLOCK_MONOTONIC);
	struct timespec rest = tni_timespec(rest_ns > 0 ? rest_ns : 0);
	bool objects_wait = !(set->flags & TENON_WAITSET_ALL) || !tni_visit_is_ready(visit);
	nfds_t count;
	int result = 0;

	if (!entries)
		return -ENOMEM;
	/* In a set for all the objects may be what is ready already. */
	if (objects_wait)
		result = tni_waitset_arm(set, visit->tickets);
	count = list_descriptors(set, entries);
	if (objects_wait)
		entries[count++] = (struct pollfd){.fd = set->told_fd, .events = POLLIN};
	if (result == 0 && count > 0) {
		result = ppoll(entries, count, until_ns == INT64_MAX ? NULL : &rest, NULL);
		if (result < 0)
			result = -errno;
		else if (result == 0 && until_ns == deadline_ns)
			result = -ETIMEDOUT;
	}
	free(entries);
	return result < 0 ? result : 0;
}

static int include(const struct tenon_waitset *set, int fd, uint32_t events)
{
	/* poll(2) and epoll(7) have the same numbers. */
	struct epoll_event event = {.events = events, .data.fd = fd};

	if (epoll_ctl(set->poll_fd, EPOLL_CTL_ADD, fd, &event) == 0)
		return 0;
	/* A plain file is always ready, and epoll does not take it. */
	return errno == EPERM ? -ENOTSUP : -errno;
}

int tni_waitset_include(struct tenon_waitset *set, uint32_t number)
{
	if (set->poll_fd < 0)
		return 0;
	if (set->flags & TENON_WAITSET_ALL)
		return -ENOTSUP;
	return include(set, set->members[number].fd, set->members[number].events);
}

void tni_waitset_exclude(struct tenon_waitset *set, uint32_t number)
{
	if (set->poll_fd >= 0)
		epoll_ctl(set->poll_fd, EPOLL_CTL_DEL, set->members[number].fd, NULL);
}

/* Locked. */
static int make_poll_fd(struct tenon_waitset *set)
{
	int result = 0;

	set->poll_fd = epoll_create1(EPOLL_CLOEXEC);
	set->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (set->told_fd < 0)
		set->told_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (set->poll_fd < 0 || set->timer_fd < 0 || set->told_fd < 0)
		result = -errno;
	if (result == 0)
		result = include(set, set->told_fd, EPOLLIN);
	if (result == 0)
		result = include(set, set->timer_fd, EPOLLIN);
	for (uint32_t i = 0; i < set->top && result == 0; i++)
		if (set->members[i].kind && tni_member_has_fd(&set->members[i]))
			result = include(set, set->members[i].fd, set->members[i].events);
	return result;
}

static void close_one(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void tni_waitset_close_descriptors(struct tenon_waitset *set)
{
	close_one(&set->poll_fd);
	close_one(&set->timer_fd);
	close_one(&set->told_fd);
}

int tenon_waitset_fd(struct tenon_waitset *set, int *ret_fd)
{
	uint32_t generation = tni_thread_self()->generation;
	int before, result = 0;

	if (!set || !ret_fd)
		return -EINVAL;
	if (tni_get32(&set->generation) != generation)
		tni_waitset_renew(set, generation);
	if ((set->flags & TENON_WAITSET_ALL) && set->descriptors > 0)
		return -ENOTSUP;
	before = lock(set);
	if (set->poll_fd < 0) {
		result = make_poll_fd(set);
		if (result != 0) {
			close_one(&set->poll_fd);
			close_one(&set->timer_fd);
		}
	}
	unlock(set, before);
	if (result != 0)
		return result;
	tni_set32(&set->is_polled, 1);
	/* What is ready now is told of by the watchers, and what is due by the timer. */
	result = tni_waitset_arm(set, NULL);
	if (result == 0)
		*ret_fd = set->poll_fd;
	return result;
}

void tni_waitset_renew(struct tenon_waitset *set, uint32_t generation)
{
	pthread_mutex_init(&set->mutex, NULL);
	free(set->watchers);
	set->watchers = NULL;
	set->watcher_count = 0;
	tni_waitset_close_descriptors(set);
	tni_set32(&set->is_polled, 0);
	tni_set32(&set->generation, generation);
}
