/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Threads that sleep in the caller's stead.  One system call sleeps on futexes, another on descriptors, and the
 * first on so many futexes only.  So where there are both, or too many, or where somebody polls the set, watchers sleep for
 * the objects, and tell by an eventfd that the set may be ready; the caller sleeps in poll(2).
 *
 * A post is one eventfd and watchers for all objects of the set.  Who is about to sleep takes a post that nobody has, or makes
 * one, and gives it back when it has slept; the set keeps it, watchers and all.  Who polls the set has one for good.
 *
 *	P1	A post has one user at a time, who alone arms it and empties its eventfd: nobody takes from another what that one
 *		was told.  (Threads that polled one eventfd did: one emptied it before another, asleep in poll(2), had a
 *		processor to look at it again.)
 *	P2	Behind an arming each watcher tells as soon as the set is ready for the user's tickets, or for older ones.  What
 *		is ready for a ticket is ready for an older one, so the user is told of all that it would find; at worst of
 *		something that it does not.
 *	P3	The user looks behind each arming that it was told by, and arms anew before it sleeps again.
 *
 *	order	IDLE	the watcher rests
 *		END	it ends
 *		others	it is armed: it sleeps for its objects; when the set is ready it rests, and tells
 *
 * Arming is: A1 the tickets, and another order than the last if one of them differs; A2 the eventfd is emptied; A3 the order is
 * given.  A watcher: W1 copies the tickets, W2 announces, looks, sleeps, W3 finds the set ready and goes from its order to IDLE,
 * W4 tells.  It may be anywhere when the user of before has been told by a descriptor, or by another watcher, and has gone:
 *
 *	the watcher is		and then
 *	idle			A3 wakes it, and it looks with these tickets
 *	before W3, tickets	A3 changes nothing and wakes nobody: those that it has copied are these or, copied amid A1, some
 *	the same		that were there before, which are the same or older (see below); it tells by W4
 *	before W3, another	A3 wakes it from W2, or W3 fails: it begins at W1.  So a younger ticket that the user of before
 *	order			left does not stay, and an older one wakes nobody in vain a second time
 *	between W3 and A3	A3 finds IDLE; W4 before A2 is lost, behind it tells in vain, and it looks once more in both
 *	behind A3 at W3		W4 comes behind A2
 *
 * Tickets that an order stands for do not change while it stands: A1 writes only those that differ, and then the order is
 * another.  A watcher that copies amid A1 finds the order changed behind W2.
 *
 * Who polls has no call amid which it could be told: its post is armed by those whose waits found nothing until their time was
 * up, under the mutex, and the eventfd stays readable until then.
 *
 * A watcher takes nothing, and hands on every wake that it gets.  Nobody waits for who is stopped, and members change
 * only while nobody waits, so watchers are stopped then.  In a child of fork(2) there are none, and the descriptors are its
 * parent's: it makes its own, also in the place of those that other threads of the parent had.
 *
 * ORD order: what members there are, and the tickets, are released with the order and acquired by the watcher that follows it.
 *
 * ORD renewal: the thread of a child that makes the set anew releases it with the generation; whoever finds that acquires it.
 *
 * ORD post: a post is released when it is whole, as a child of fork(2), which may come at any time, acquires it.
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
#include "core/quiet.h"
#include "core/registry.h"
#include "object/waitset.h"

#define IDLE 0u
#define END 1u
#define ARMED_FIRST 2u
#define STACK_BYTES (256u * 1024)

bool tni_waitset_is_watched(const struct tenon_waitset *set)
{
	return set->descriptors > 0 || set->words > TNI_WAITSET_WORDS_A_THREAD;
}

/* What is done under the mutex may be a cancellation point: a thread that ended there would keep it.  What is answered goes
 * back to unlock(). */
static int lock(struct tenon_waitset *set)
{
	int before = tni_cancel_off();

	pthread_mutex_lock(&set->mutex);
	return before;
}

static void unlock(struct tenon_waitset *set, int before)
{
	pthread_mutex_unlock(&set->mutex);
	tni_cancel_back(&before);
}

static struct tni_post *first_post(const struct tenon_waitset *set)
{
	return tni_load_acquire_pointer(&set->posts); /* ORD(post) */
}

/* One that it follows already it is not given anew. */
static void give_order(struct tni_watcher *watcher, uint32_t order)
{
	uint32_t before = tni_get32(&watcher->order);

	/* ORD(order) */
	while (before != order && !tni_cas32(&watcher->order, &before, order))
		;
	if (before != order)
		syscall(SYS_futex, &watcher->order, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static uint32_t await_order(struct tni_watcher *watcher)
{
	uint32_t order;

	while ((order = tni_load_acquire32(&watcher->order)) == IDLE) /* ORD(order) */
		syscall(SYS_futex, &watcher->order, FUTEX_WAIT_PRIVATE, IDLE, NULL, NULL, 0);
	return order;
}

/* Unless there is another order. */
static void rest_and_tell(struct tni_watcher *watcher, uint32_t order)
{
	uint64_t one = 1;

	if (tni_cas32(&watcher->order, &order, IDLE))
		(void)!write(watcher->post->told_fd, &one, sizeof(one));
}

/* Until the set may be ready, or there is another order. */
static void watch(struct tni_watcher *watcher, struct tni_visit *visit, uint32_t order)
{
	static const uint64_t nothing[TENON_WAITSET_MOST / 64];
	struct tni_post *post = watcher->post;
	struct tenon_waitset *set = post->set;
	int result;

	tni_visit_begin(visit, set, tni_thread_self());
	for (uint32_t i = 0; i < set->top; i++)
		visit->tickets[i] = tni_get64(&post->tickets[i]);
	for (uint32_t i = watcher->first; i < watcher->end; i++)
		if (tni_member_is_object(&set->members[i]))
			(void)!set->members[i].kind->begin(&set->members[i], visit->thread);
	result = tni_visit_sleep(visit, watcher->first, watcher->end, &watcher->order, order,
				 INT64_MAX);
	tni_visit_hand_on(visit, nothing);
	if (result != 0 && result != -EINTR)
		nanosleep(&(struct timespec){.tv_nsec = TNI_MILLISECOND_NS}, NULL);
	rest_and_tell(watcher, order);
}

static void *run(void *context)
{
	struct tni_watcher *watcher = context;
	struct tni_visit *visit = malloc(sizeof(*visit));
	uint32_t order;

	while ((order = await_order(watcher)) != END) {
		if (visit)
			watch(watcher, visit, order);
		else
			rest_and_tell(watcher, order);
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
static int start_all(struct tni_post *post)
{
	const struct tenon_waitset *set = post->set;
	uint32_t words = 0, first = 0;
	int result = 0;

	post->watchers = calloc(set->objects, sizeof(*post->watchers));
	if (!post->watchers)
		return -ENOMEM;
	for (uint32_t i = 0; i <= set->top && result == 0; i++) {
		uint32_t own = i < set->top && tni_member_is_object(&set->members[i])
				       ? tni_member_words(&set->members[i])
				       : 0;

		if (words > 0 && (i == set->top || words + own > TNI_WAITSET_WORDS_A_THREAD)) {
			struct tni_watcher *watcher = &post->watchers[post->watcher_count];

			*watcher = (struct tni_watcher){.post = post, .first = first, .end = i};
			result = start(watcher);
			post->watcher_count += result == 0;
			first = i;
			words = 0;
		}
		words += own;
	}
	return result;
}

static void forget_watchers(struct tni_post *post)
{
	free(post->watchers);
	post->watchers = NULL;
	post->watcher_count = 0;
}

static void stop_all(struct tni_post *post)
{
	for (uint32_t i = 0; i < post->watcher_count; i++)
		give_order(&post->watchers[i], END);
	for (uint32_t i = 0; i < post->watcher_count; i++)
		pthread_join(post->watchers[i].thread, NULL);
	forget_watchers(post);
}

void tni_waitset_stop(struct tenon_waitset *set)
{
	int before = lock(set);

	for (struct tni_post *post = first_post(set); post; post = post->next)
		stop_all(post);
	unlock(set, before);
}

/* Locked. */
static int make_post(struct tenon_waitset *set, struct tni_post **ret_post)
{
	struct tni_post *post = calloc(1, sizeof(*post));
	int result;

	if (!post)
		return -ENOMEM;
	post->set = set;
	post->next = first_post(set);
	post->is_taken = true;
	post->armed = ARMED_FIRST;
	post->told_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (post->told_fd < 0) {
		result = -errno;
		free(post);
		return result;
	}
	tni_store_release_pointer(&set->posts, post); /* ORD(post) */
	*ret_post = post;
	return 0;
}

/* Locked. */
static int take_post(struct tenon_waitset *set, struct tni_post **ret_post)
{
	for (struct tni_post *post = first_post(set); post; post = post->next) {
		if (post->is_taken)
			continue;
		post->is_taken = true;
		*ret_post = post;
		return 0;
	}
	return make_post(set, ret_post);
}

/* A1: no ticket is younger than the user's, who may have come before who had the post last. */
static void hand_tickets(struct tni_post *post, const uint64_t *tickets)
{
	bool differ = false;

	for (uint32_t i = 0; i < post->set->top; i++) {
		const struct tni_member *member = &post->set->members[i];
		uint64_t ticket;

		if (!member->kind || !member->kind->ticket)
			continue;
		ticket = tickets ? tickets[i] : member->kind->ticket(member);
		if (ticket == tni_get64(&post->tickets[i]))
			continue;
		tni_set64(&post->tickets[i], ticket);
		differ = true;
	}
	if (differ)
		post->armed = post->armed < UINT32_MAX ? post->armed + 1 : ARMED_FIRST;
}

/* By the post's user. */
static int arm(struct tni_post *post, const uint64_t *tickets)
{
	uint64_t count;
	int result = 0;

	hand_tickets(post, tickets);
	(void)!read(post->told_fd, &count, sizeof(count));
	if (post->set->objects > 0 && post->watcher_count == 0)
		result = start_all(post);
	if (result != 0)
		stop_all(post);
	for (uint32_t i = 0; i < post->watcher_count; i++)
		give_order(&post->watchers[i], post->armed);
	return result;
}

static void set_timer(const struct tenon_waitset *set)
{
	int64_t next_ns = tni_waitset_next_ns(set, INT64_MAX);
	struct itimerspec when = {.it_value = {0}};

	if (next_ns != INT64_MAX)
		when.it_value = tni_timespec(next_ns > 0 ? next_ns : 1);
	timerfd_settime(set->timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
}

int tni_waitset_arm_polled(struct tenon_waitset *set, const uint64_t *tickets)
{
	int before = lock(set), result;

	result = arm(set->polled, tickets);
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

static int take_armed(struct tni_visit *visit, struct tni_post **ret_post)
{
	int before = lock(visit->set), result = take_post(visit->set, ret_post);

	unlock(visit->set, before);
	return result == 0 ? arm(*ret_post, visit->tickets) : result;
}

static void give_back(struct tni_post *post)
{
	int before = lock(post->set);

	post->is_taken = false;
	unlock(post->set, before);
}

int tni_waitset_watch(struct tni_visit *visit, int64_t deadline_ns)
{
	struct tenon_waitset *set = visit->set;
	struct pollfd *entries = calloc(set->descriptors + 1, sizeof(*entries));
	int64_t until_ns = tni_waitset_next_ns(set, deadline_ns);
	int64_t rest_ns = until_ns - tni_clock_ns(CLOCK_MONOTONIC);
	struct timespec rest = tni_timespec(rest_ns > 0 ? rest_ns : 0);
	bool objects_wait = !(set->flags & TENON_WAITSET_ALL) || !tni_visit_is_ready(visit);
	struct tni_post *post = NULL;
	nfds_t count;
	int result = 0;

	if (!entries)
		return -ENOMEM;
	/* In a set for all the objects may be what is ready already. */
	if (objects_wait)
		result = take_armed(visit, &post);
	count = list_descriptors(set, entries);
	if (post)
		entries[count++] = (struct pollfd){.fd = post->told_fd, .events = POLLIN};
	if (result == 0 && count > 0) {
		result = ppoll(entries, count, until_ns == INT64_MAX ? NULL : &rest, NULL);
		if (result < 0)
			result = -errno;
		else if (result == 0 && until_ns == deadline_ns)
			result = -ETIMEDOUT;
	}
	if (post)
		give_back(post);
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
	int result = take_post(set, &set->polled);

	if (result != 0)
		return result;
	set->poll_fd = epoll_create1(EPOLL_CLOEXEC);
	set->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (set->poll_fd < 0 || set->timer_fd < 0)
		result = -errno;
	if (result == 0)
		result = include(set, set->polled->told_fd, EPOLLIN);
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

static void drop_poll_fd(struct tenon_waitset *set)
{
	close_one(&set->poll_fd);
	close_one(&set->timer_fd);
	if (set->polled)
		set->polled->is_taken = false;
	set->polled = NULL;
}

int tenon_waitset_fd(struct tenon_waitset *set, int *ret_fd)
{
	uint32_t generation = tni_thread_self()->generation;
	int before, result = 0;

	if (!set || !ret_fd)
		return -EINVAL;
	if (tni_load_acquire32(&set->generation) != generation) /* ORD(renewal) */
		tni_waitset_renew(set, generation);
	if ((set->flags & TENON_WAITSET_ALL) && set->descriptors > 0)
		return -ENOTSUP;
	before = lock(set);
	if (set->poll_fd < 0) {
		result = make_poll_fd(set);
		if (result != 0)
			drop_poll_fd(set);
	}
	unlock(set, before);
	if (result != 0)
		return result;
	tni_set32(&set->is_polled, 1);
	/* What is ready now is told of by the watchers, and what is due by the timer. */
	result = tni_waitset_arm_polled(set, NULL);
	if (result == 0)
		*ret_fd = set->poll_fd;
	return result;
}

void tni_waitset_free_posts(struct tenon_waitset *set)
{
	struct tni_post *post = first_post(set), *next;

	drop_poll_fd(set);
	for (; post; post = next) {
		next = post->next;
		forget_watchers(post);
		close_one(&post->told_fd);
		free(post);
	}
	tni_store_release_pointer(&set->posts, NULL); /* ORD(post) */
}

void tni_waitset_renew(struct tenon_waitset *set, uint32_t generation)
{
	/* Threads of a child may come at once; the registry's mutex is the child's own. */
	tni_registry_lock();
	if (tni_get32(&set->generation) != generation) {
		pthread_mutex_init(&set->mutex, NULL);
		tni_waitset_free_posts(set);
		tni_set32(&set->is_polled, 0);
		tni_store_release32(&set->generation, generation); /* ORD(renewal) */
	}
	tni_registry_unlock();
}
