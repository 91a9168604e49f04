/* SPDX-License-Identifier: Apache-2.0 */

/* Semaphores: each requirement of a call is shown of an unnamed and of a named one, where both have it. */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "conform.h"

#if defined(CONFORM_COMPAT) && !(defined(sem_open) && defined(sem_wait))
#error "the headers of the original names are not those of Tenon"
#endif

#define NAMES 3
#define SECOND_NS INT64_C(1000000000)

static const char *name_of(int which)
{
	static char names[NAMES][40];

	if (!names[which][0])
		snprintf(names[which], sizeof(names[which]), "/tenon-conform.%d.%d", conform_run,
			 which);
	return names[which];
}

#define NAME name_of(0)

static sem_t *make_unnamed(unsigned value)
{
	sem_t *semaphore = conform_share(sizeof(*semaphore));

	REQUIRE(sem_init(semaphore, 1, value) == 0);
	return semaphore;
}

static sem_t *make_named(unsigned value)
{
	sem_t *semaphore = sem_open(NAME, O_CREAT | O_EXCL, 0600, value);

	REQUIRE(semaphore != SEM_FAILED);
	return semaphore;
}

/* Of both kinds: the function is given the maker. */
#define REQUIREMENT_OF_BOTH(function, section, text)          \
	static void function(sem_t *(*make)(unsigned value)); \
	REQUIREMENT(unnamed_##function, section, text)        \
	{                                                     \
		function(make_unnamed);                       \
	}                                                     \
	REQUIREMENT(named_##function, section, text)          \
	{                                                     \
		function(make_named);                         \
	}                                                     \
	static void function(sem_t *(*make)(unsigned value))

static int value_of(sem_t *semaphore)
{
	int value = -1;

	EXPECT_IS(sem_getvalue(semaphore, &value), 0);
	return value;
}

static struct timespec after_ms(clockid_t clock, int64_t ms)
{
	struct timespec moment;
	int64_t ns;

	clock_gettime(clock, &moment);
	ns = moment.tv_sec * SECOND_NS + moment.tv_nsec + ms * 1000000;
	return (struct timespec){.tv_sec = ns / SECOND_NS, .tv_nsec = ns % SECOND_NS};
}

/* Opening. */

REQUIREMENT(open_absent, "sem_open, ERRORS, ENOENT",
	    "without O_CREAT one that does not exist is ENOENT")
{
	EXPECT(sem_open(NAME, 0) == SEM_FAILED);
	EXPECT_IS(errno, ENOENT);
}

REQUIREMENT(open_creates, "sem_open, DESCRIPTION, O_CREAT", "O_CREAT makes it with the value")
{
	sem_t *semaphore = sem_open(NAME, O_CREAT, 0600, 3);

	REQUIRE(semaphore != SEM_FAILED);
	EXPECT_IS(value_of(semaphore), 3);
}

REQUIREMENT(open_existing, "sem_open, DESCRIPTION, O_CREAT",
	    "O_CREAT has no effect on one that exists, even if the value is none")
{
	sem_t *first = make_named(2);
	sem_t *again = sem_open(NAME, O_CREAT, 0600, SEM_VALUE_MAX + 1u);

	EXPECT(again == first);
	EXPECT_IS(value_of(first), 2);
}

REQUIREMENT(open_exclusive, "sem_open, DESCRIPTION, O_EXCL; ERRORS, EEXIST",
	    "O_CREAT and O_EXCL fail on one that exists")
{
	make_named(0);
	EXPECT(sem_open(NAME, O_CREAT | O_EXCL, 0600, 1) == SEM_FAILED);
	EXPECT_IS(errno, EEXIST);
}

REQUIREMENT(open_value, "sem_open, ERRORS, EINVAL", "a value above SEM_VALUE_MAX is EINVAL")
{
	sem_t *most;

	EXPECT(sem_open(NAME, O_CREAT, 0600, SEM_VALUE_MAX + 1u) == SEM_FAILED);
	EXPECT_IS(errno, EINVAL);
	most = sem_open(NAME, O_CREAT, 0600, SEM_VALUE_MAX);
	REQUIRE(most != SEM_FAILED);
	EXPECT_IS(value_of(most), SEM_VALUE_MAX);
}

REQUIREMENT(open_address, "sem_open, DESCRIPTION",
	    "opening it again in a process gives the same address")
{
	sem_t *first = make_named(0);

	EXPECT(sem_open(NAME, 0) == first);
	EXPECT_IS(sem_close(first), 0);
	EXPECT(sem_open(NAME, 0) == first);
}

REQUIREMENT(open_name, "sem_open, ERRORS, EINVAL; sem_overview(7)",
	    "a name has no inner slash, and is not empty")
{
	static const char *const names[] = {"", "/", "/a/b", "a/"};

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		EXPECT(sem_open(names[i], O_CREAT, 0600, 1) == SEM_FAILED);
		EXPECT_IS(errno, EINVAL);
		EXPECT_ERROR(sem_unlink(names[i]), ENOENT);
	}
}

REQUIREMENT(open_slashes, "sem_open, DESCRIPTION", "a name without its slash is, here, the same")
{
	sem_t *semaphore = make_named(0);

	EXPECT_IS(sem_post(semaphore), 0);
	EXPECT_IS(value_of(sem_open(NAME + 1, 0)), 1);
}

REQUIREMENT(open_too_long, "sem_open, ERRORS, ENAMETOOLONG",
	    "a name that is too long is ENAMETOOLONG")
{
	char name[400] = "/";

	memset(name + 1, 'x', 300);
	EXPECT(sem_open(name, O_CREAT, 0600, 1) == SEM_FAILED);
	EXPECT_IS(errno, ENAMETOOLONG);
	EXPECT_ERROR(sem_unlink(name), ENAMETOOLONG);
}

static void open_denied(void *context)
{
	(void)context;
	EXPECT(sem_open(NAME, 0) == SEM_FAILED);
	EXPECT_IS(errno, EACCES);
}

static void open_allowed(void *context)
{
	sem_t *semaphore = sem_open(NAME, 0);

	(void)context;
	REQUIRE(semaphore != SEM_FAILED);
	EXPECT_IS(sem_post(semaphore), 0);
}

REQUIREMENT(open_permission, "sem_open, DESCRIPTION, mode; ERRORS, EACCES",
	    "who may not read and write it may not open it; the umask counts")
{
	umask(022);
	REQUIRE(sem_open(NAME, O_CREAT, 0666, 0) != SEM_FAILED);
	conform_act_as(65534, open_denied, NULL);
	EXPECT_IS(sem_unlink(NAME), 0);
	umask(0);
	REQUIRE(sem_open(NAME, O_CREAT, 0666, 0) != SEM_FAILED);
	conform_act_as(65534, open_allowed, NULL);
}

/* Closing and removing. */

REQUIREMENT(close_unknown, "sem_close, ERRORS, EINVAL", "what is no open semaphore is EINVAL")
{
	sem_t *named = make_named(0);

	EXPECT_ERROR(sem_close(make_unnamed(0)), EINVAL);
	EXPECT_IS(sem_close(named), 0);
}

REQUIREMENT(close_keeps, "sem_close, DESCRIPTION", "closing does not change or remove it")
{
	EXPECT_IS(sem_close(make_named(7)), 0);
	EXPECT_IS(value_of(sem_open(NAME, 0)), 7);
}

REQUIREMENT(unlink_absent, "sem_unlink, ERRORS, ENOENT", "one that does not exist is ENOENT")
{
	EXPECT_ERROR(sem_unlink(NAME), ENOENT);
}

REQUIREMENT(unlink_open, "sem_unlink, DESCRIPTION",
	    "who has it open goes on; the name is free at once, for another")
{
	sem_t *first = make_named(1), *second;

	EXPECT_IS(sem_unlink(NAME), 0);
	EXPECT(sem_open(NAME, 0) == SEM_FAILED);
	EXPECT_IS(sem_wait(first), 0);
	second = make_named(5);
	EXPECT(second != first);
	EXPECT_IS(value_of(first), 0);
	EXPECT_IS(value_of(second), 5);
}

static void unlink_denied(void *context)
{
	(void)context;
	EXPECT_ERROR(sem_unlink(NAME), EACCES);
}

REQUIREMENT(unlink_permission, "sem_unlink, ERRORS, EACCES", "another's may not be removed")
{
	make_named(0);
	conform_act_as(65534, unlink_denied, NULL);
}

/* Unnamed ones. */

REQUIREMENT(init_value, "sem_init, DESCRIPTION; ERRORS, EINVAL",
	    "the value is as given, and at most SEM_VALUE_MAX")
{
	sem_t semaphore;

	EXPECT_IS(value_of(make_unnamed(9)), 9);
	EXPECT_IS(value_of(make_unnamed(SEM_VALUE_MAX)), SEM_VALUE_MAX);
	EXPECT_ERROR(sem_init(&semaphore, 0, SEM_VALUE_MAX + 1u), EINVAL);
}

REQUIREMENT(init_again, "sem_destroy, DESCRIPTION",
	    "one that was destroyed can be initialized again")
{
	sem_t semaphore;

	REQUIRE(sem_init(&semaphore, 0, 1) == 0);
	EXPECT_IS(sem_destroy(&semaphore), 0);
	EXPECT_IS(sem_init(&semaphore, 0, 2), 0);
	EXPECT_IS(value_of(&semaphore), 2);
}

/* Taking and giving. */

REQUIREMENT_OF_BOTH(counts, "sem_wait, sem_trywait, sem_post, DESCRIPTION",
		    "each takes or gives one")
{
	sem_t *semaphore = make(2);

	EXPECT_IS(sem_wait(semaphore), 0);
	EXPECT_IS(value_of(semaphore), 1);
	EXPECT_IS(sem_trywait(semaphore), 0);
	EXPECT_IS(value_of(semaphore), 0);
	EXPECT_ERROR(sem_trywait(semaphore), EAGAIN);
	EXPECT_IS(sem_post(semaphore), 0);
	EXPECT_IS(value_of(semaphore), 1);
}

REQUIREMENT_OF_BOTH(overflow, "sem_post, ERRORS, EOVERFLOW",
		    "above SEM_VALUE_MAX it is EOVERFLOW, and the value stays")
{
	sem_t *semaphore = make(SEM_VALUE_MAX);

	EXPECT_ERROR(sem_post(semaphore), EOVERFLOW);
	EXPECT_IS(value_of(semaphore), SEM_VALUE_MAX);
}

static void waits(void *semaphore)
{
	EXPECT_IS(sem_wait(semaphore), 0);
}

REQUIREMENT_OF_BOTH(blocks, "sem_wait, DESCRIPTION; sem_post, DESCRIPTION",
		    "it blocks until one is given, and one is let go by one post")
{
	sem_t *semaphore = make(0);
	pid_t first = conform_start(waits, semaphore), second = conform_start(waits, semaphore);

	conform_await_blocked(first, 0);
	conform_await_blocked(second, 0);
	EXPECT_IS(value_of(semaphore), 0);
	EXPECT_IS(sem_post(semaphore), 0);
	EXPECT_IS(sem_post(semaphore), 0);
	conform_await(first);
	conform_await(second);
	EXPECT_IS(value_of(semaphore), 0);
}

static void posts(void *semaphore)
{
	EXPECT_IS(sem_post(semaphore), 0);
}

REQUIREMENT_OF_BOTH(inherited, "fork, DESCRIPTION",
		    "a child has the semaphores that its parent had open")
{
	sem_t *semaphore = make(0);

	conform_act(posts, semaphore);
	EXPECT_IS(sem_wait(semaphore), 0);
}

REQUIREMENT_OF_BOTH(killed_waiter, "sem_wait, DESCRIPTION",
		    "who is killed while it waits has taken nothing")
{
	sem_t *semaphore = make(0);
	pid_t child = conform_start(waits, semaphore);

	conform_await_blocked(child, 0);
	conform_kill(child);
	EXPECT_IS(sem_post(semaphore), 0);
	EXPECT_IS(value_of(semaphore), 1);
	EXPECT_IS(sem_trywait(semaphore), 0);
}

/* Deadlines. */

static const clockid_t clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC};

REQUIREMENT_OF_BOTH(times_out, "sem_timedwait, sem_clockwait, ERRORS, ETIMEDOUT",
		    "it ends at the moment, and not before")
{
	sem_t *semaphore = make(0);
	struct timespec at = after_ms(CLOCK_REALTIME, 50), now;

	EXPECT_ERROR(sem_timedwait(semaphore, &at), ETIMEDOUT);
	clock_gettime(CLOCK_REALTIME, &now);
	EXPECT(now.tv_sec > at.tv_sec || (now.tv_sec == at.tv_sec && now.tv_nsec >= at.tv_nsec));
	for (int i = 0; i < 2; i++) {
		at = after_ms(clocks[i], 50);
		EXPECT_ERROR(sem_clockwait(semaphore, clocks[i], &at), ETIMEDOUT);
		clock_gettime(clocks[i], &now);
		EXPECT(now.tv_sec > at.tv_sec ||
		       (now.tv_sec == at.tv_sec && now.tv_nsec >= at.tv_nsec));
	}
	EXPECT_IS(value_of(semaphore), 0);
}

REQUIREMENT_OF_BOTH(passed, "sem_timedwait, DESCRIPTION",
		    "a moment that has passed is ETIMEDOUT, and no failure if there is one to take")
{
	sem_t *semaphore = make(1);
	struct timespec at = {.tv_sec = 1}, before = {.tv_sec = -1};

	EXPECT_IS(sem_timedwait(semaphore, &at), 0);
	EXPECT_ERROR(sem_timedwait(semaphore, &at), ETIMEDOUT);
	EXPECT_ERROR(sem_timedwait(semaphore, &before), ETIMEDOUT);
}

REQUIREMENT_OF_BOTH(invalid, "sem_timedwait, ERRORS, EINVAL",
		    "nanoseconds below 0 or of a second are EINVAL, if it would block")
{
	sem_t *semaphore = make(0);
	struct timespec low = {.tv_nsec = -1}, high = {.tv_nsec = SECOND_NS};

	EXPECT_ERROR(sem_timedwait(semaphore, &low), EINVAL);
	EXPECT_ERROR(sem_timedwait(semaphore, &high), EINVAL);
	EXPECT_ERROR(sem_clockwait(semaphore, CLOCK_MONOTONIC, &low), EINVAL);
	EXPECT_ERROR(sem_clockwait(semaphore, CLOCK_PROCESS_CPUTIME_ID, &high), EINVAL);
}

static void waits_until(void *semaphore)
{
	struct timespec at = after_ms(CLOCK_REALTIME, 1000 * WATCHDOG_S);

	EXPECT_IS(sem_timedwait(semaphore, &at), 0);
}

REQUIREMENT_OF_BOTH(let_go_in_time, "sem_timedwait, DESCRIPTION",
		    "a post lets it go before its moment")
{
	sem_t *semaphore = make(0);
	pid_t child = conform_start(waits_until, semaphore);

	conform_await_blocked(child, 0);
	EXPECT_IS(sem_post(semaphore), 0);
	conform_await(child);
}

/* Signals. */

static volatile sig_atomic_t handled;
static sem_t *posted;

static void count(int number)
{
	(void)number;
	handled++;
}

static void post(int number)
{
	(void)number;
	(void)sem_post(posted);
}

static void handle(void (*handler)(int number), int flags)
{
	struct sigaction action = {.sa_handler = handler, .sa_flags = flags};

	sigaction(SIGUSR1, &action, NULL);
}

static void is_interrupted(void *semaphore)
{
	handle(count, 0);
	EXPECT_ERROR(sem_wait(semaphore), EINTR);
	EXPECT_IS(handled, 1);
}

static void is_interrupted_in_time(void *semaphore)
{
	struct timespec at = after_ms(CLOCK_REALTIME, 1000 * WATCHDOG_S);

	handle(count, 0);
	EXPECT_ERROR(sem_timedwait(semaphore, &at), EINTR);
}

static void goes_on(void *semaphore)
{
	handle(count, SA_RESTART);
	EXPECT_IS(sem_wait(semaphore), 0);
	EXPECT_IS(handled, 1);
}

static void is_posted_by_handler(void *semaphore)
{
	posted = semaphore;
	handle(post, SA_RESTART);
	EXPECT_IS(sem_wait(semaphore), 0);
}

static pid_t start_and_signal(void (*run)(void *context), sem_t *semaphore)
{
	pid_t child = conform_start(run, semaphore);

	conform_await_blocked(child, 0);
	kill(child, SIGUSR1);
	return child;
}

REQUIREMENT_OF_BOTH(interrupted, "sem_wait, sem_timedwait, ERRORS, EINTR",
		    "a handler ends it with EINTR, and nothing is taken")
{
	sem_t *semaphore = make(0);

	conform_await(start_and_signal(is_interrupted, semaphore));
	conform_await(start_and_signal(is_interrupted_in_time, semaphore));
	EXPECT_IS(value_of(semaphore), 0);
}

REQUIREMENT_OF_BOTH(restarted, "sigaction, SA_RESTART; signal(7)",
		    "behind a handler with SA_RESTART it goes on")
{
	sem_t *semaphore = make(0);
	pid_t child = start_and_signal(goes_on, semaphore);

	conform_await_blocked(child, 0);
	EXPECT_IS(sem_post(semaphore), 0);
	conform_await(child);
}

REQUIREMENT_OF_BOTH(posted_by_handler, "sem_post, DESCRIPTION",
		    "sem_post may be called by a signal handler, also of the thread that waits")
{
	sem_t *semaphore = make(0);

	conform_await(start_and_signal(is_posted_by_handler, semaphore));
}

/* Cancellation. */

struct target {
	sem_t *semaphore;
	int kind, tid, cleaned;
};

static void clean_up(void *context)
{
	((struct target *)context)->cleaned = 1;
}

static void *is_cancelled(void *context)
{
	struct target *target = context;
	struct timespec at = after_ms(CLOCK_REALTIME, 1000 * WATCHDOG_S);

	pthread_cleanup_push(clean_up, target);
	conform_set_word(&target->tid, gettid());
	if (target->kind == 0)
		(void)sem_wait(target->semaphore);
	else
		(void)sem_timedwait(target->semaphore, &at);
	pthread_cleanup_pop(0);
	return NULL;
}

static void cancel(sem_t *semaphore, int kind)
{
	struct target target = {.semaphore = semaphore, .kind = kind};
	pthread_t thread;
	void *value;

	REQUIRE(pthread_create(&thread, NULL, is_cancelled, &target) == 0);
	conform_await_blocked(getpid(), conform_await_word(&target.tid));
	REQUIRE(pthread_cancel(thread) == 0 && pthread_join(thread, &value) == 0);
	EXPECT(value == PTHREAD_CANCELED);
	EXPECT_IS(target.cleaned, 1);
}

REQUIREMENT_OF_BOTH(cancelled, "2.9.5.2 Cancellation Points",
		    "sem_wait and sem_timedwait are cancellation points, and have taken nothing")
{
	sem_t *semaphore = make(0);
	pid_t child;

	cancel(semaphore, 0);
	cancel(semaphore, 1);
	EXPECT_IS(value_of(semaphore), 0);
	child = conform_start(waits, semaphore);
	conform_await_blocked(child, 0);
	EXPECT_IS(sem_post(semaphore), 0);
	conform_await(child);
}

static void *cancelled_at_once(void *context)
{
	struct target *target = context;

	pthread_cancel(pthread_self());
	(void)sem_wait(target->semaphore);
	target->cleaned = 1;
	return NULL;
}

REQUIREMENT_OF_BOTH(cancelled_before, "2.9.5.2 Cancellation Points",
		    "a pending cancellation is acted upon even if it would not block")
{
	struct target target = {.semaphore = make(1)};
	pthread_t thread;
	void *value;

	REQUIRE(pthread_create(&thread, NULL, cancelled_at_once, &target) == 0);
	REQUIRE(pthread_join(thread, &value) == 0);
	EXPECT(value == PTHREAD_CANCELED);
	EXPECT_IS(target.cleaned, 0);
	EXPECT_IS(value_of(target.semaphore), 1);
}

static void clean(void)
{
	for (int i = 0; i < NAMES; i++)
		(void)sem_unlink(name_of(i));
}

static const char *unusable(void)
{
	return NULL;
}

int main(int count_of_arguments, char **arguments)
{
	static const struct conform_suite suite = {
		.symbol = "sem_open", .unusable = unusable, .clean = clean};

	return conform_main(&suite, count_of_arguments, arguments);
}
