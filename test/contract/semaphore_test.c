/* SPDX-License-Identifier: Apache-2.0 */

/* What a semaphore promises to threads and processes, dead ones among them. */

#include <tenon/semaphore.h>

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "contract.h"

#define NAME "/semaphore"
#define WAIT_NS (SECOND_NS / 50)
#define LIMIT_NS (10 * SECOND_NS)

static struct tenon_semaphore *make(uint32_t value, uint32_t maximum)
{
	struct tenon_semaphore_options options = {
		.size = sizeof(options), .value = value, .maximum = maximum};
	struct tenon_semaphore *semaphore = NULL;

	EXPECT_IS(tenon_semaphore_open(contract_folder, NAME, TENON_CREATE | TENON_EXCLUSIVE,
				       &options, &semaphore),
		  0);
	REQUIRE(semaphore);
	return semaphore;
}

static struct tenon_semaphore *open_semaphore(void)
{
	struct tenon_semaphore *semaphore = NULL;

	EXPECT_IS(tenon_semaphore_open(contract_folder, NAME, 0, NULL, &semaphore), 0);
	REQUIRE(semaphore);
	return semaphore;
}

static uint32_t value_of(struct tenon_semaphore *semaphore)
{
	uint32_t value = UINT32_MAX;

	EXPECT_IS(tenon_semaphore_value(semaphore, &value), 0);
	return value;
}

static int acquire(struct tenon_semaphore *semaphore, uint32_t count, uint32_t flags)
{
	return tenon_semaphore_acquire(semaphore, count, flags, tenon_deadline_after(LIMIT_NS));
}

static int release(struct tenon_semaphore *semaphore, uint32_t count, uint32_t flags)
{
	return tenon_semaphore_release(semaphore, count, flags, NULL);
}

static struct tenon_semaphore_status status_of(struct tenon_semaphore *semaphore)
{
	struct tenon_semaphore_status status = {.size = sizeof(status)};

	EXPECT_IS(tenon_semaphore_status(semaphore, &status), 0);
	return status;
}

static void await_waiters(struct tenon_semaphore *semaphore, uint32_t count)
{
	while (status_of(semaphore).waiting < count)
		sched_yield();
}

static int64_t now_ns(void)
{
	return tenon_deadline_after(0);
}

static void test_counts(void)
{
	struct tenon_semaphore *semaphore = make(3, 5);
	uint32_t before = 99;

	EXPECT_IS(value_of(semaphore), 3);
	EXPECT_IS(acquire(semaphore, 2, 0), 0);
	EXPECT_IS(tenon_semaphore_try(semaphore, 2, 0), -EAGAIN);
	EXPECT_IS(tenon_semaphore_acquire(semaphore, 2, 0, tenon_deadline_after(WAIT_NS)),
		  -ETIMEDOUT);
	EXPECT_IS(value_of(semaphore), 1);
	EXPECT_IS(tenon_semaphore_try(semaphore, 1, 0), 0);
	EXPECT_IS(value_of(semaphore), 0);
	EXPECT_IS(tenon_semaphore_release(semaphore, 5, 0, &before), 0);
	EXPECT_IS(before, 0);
	EXPECT_IS(release(semaphore, 1, 0), -EOVERFLOW);
	EXPECT_IS(release(semaphore, 1, TENON_SEMAPHORE_UNDO), -EOVERFLOW);
	EXPECT_IS(value_of(semaphore), 5);
	EXPECT_IS(acquire(semaphore, 5, TENON_SEMAPHORE_UNDO), 0);
	EXPECT_IS(tenon_semaphore_try(semaphore, 1, TENON_SEMAPHORE_UNDO), -EAGAIN);
	EXPECT_IS(release(semaphore, 2, TENON_SEMAPHORE_UNDO), 0);
	EXPECT_IS(value_of(semaphore), 2);
	semaphore = tenon_semaphore_close(semaphore);
}

static void test_bad_input(void)
{
	struct tenon_semaphore_options options = {
		.size = sizeof(options), .value = 6, .maximum = 5};
	struct tenon_semaphore *semaphore = make(3, 5), *other;
	struct tenon_semaphore_status status = {.size = 4};
	uint32_t value;

	EXPECT_IS(tenon_semaphore_open(contract_folder, "/other", TENON_CREATE, &options, &other),
		  -EINVAL);
	options.maximum = TENON_SEMAPHORE_MAX + 1;
	EXPECT_IS(tenon_semaphore_open(contract_folder, "/other", TENON_CREATE, &options, &other),
		  -EINVAL);
	options = (struct tenon_semaphore_options){.size = sizeof(options), .flags = 1};
	EXPECT_IS(tenon_semaphore_open(contract_folder, "/other", TENON_CREATE, &options, &other),
		  -EINVAL);
	EXPECT_IS(tenon_semaphore_open(contract_folder, NAME, 0, NULL, NULL), -EINVAL);
	EXPECT_IS(tenon_semaphore_open(contract_folder, "/none", 0, NULL, &other), -ENOENT);
	EXPECT_IS(acquire(semaphore, 0, 0), -EINVAL);
	EXPECT_IS(acquire(semaphore, 6, 0), -EINVAL);
	EXPECT_IS(acquire(semaphore, 1, 2), -EINVAL);
	EXPECT_IS(acquire(NULL, 1, 0), -EINVAL);
	EXPECT_IS(release(semaphore, 0, 0), -EINVAL);
	EXPECT_IS(release(semaphore, 6, 0), -EINVAL);
	EXPECT_IS(release(semaphore, UINT32_MAX, 0), -EINVAL);
	EXPECT_IS(release(semaphore, 1, 4), -EINVAL);
	EXPECT_IS(release(NULL, 1, 0), -EINVAL);
	EXPECT_IS(tenon_semaphore_value(NULL, &value), -EINVAL);
	EXPECT_IS(tenon_semaphore_value(semaphore, NULL), -EINVAL);
	EXPECT_IS(tenon_semaphore_status(semaphore, &status), -EINVAL);
	EXPECT_IS(tenon_semaphore_users(semaphore, NULL, NULL), -EINVAL);
	EXPECT_IS(value_of(semaphore), 3);
	EXPECT(!tenon_semaphore_close(NULL));
	semaphore = tenon_semaphore_close(semaphore);
	EXPECT_IS(tenon_semaphore_remove(contract_folder, NAME), 0);
	EXPECT_IS(tenon_semaphore_remove(contract_folder, NAME), -ENOENT);
}

struct demand {
	uint32_t count, flags;
};

static void acquire_and_end(void *context)
{
	const struct demand *demand = context;
	struct tenon_semaphore *semaphore = open_semaphore();

	EXPECT_IS(acquire(semaphore, demand->count, demand->flags), 0);
	_exit(0); /* by which what is undone comes back */
}

static void test_waits(void)
{
	struct tenon_semaphore *semaphore = make(0, 0);
	struct demand demand = {2, 0};
	pid_t child = contract_start(acquire_and_end, &demand);

	await_waiters(semaphore, 1);
	EXPECT_IS(release(semaphore, 1, 0), 0);
	await_waiters(semaphore, 1);
	EXPECT_IS(value_of(semaphore), 1);
	EXPECT_IS(release(semaphore, 1, 0), 0);
	contract_await(child);
	EXPECT_IS(value_of(semaphore), 0);
	EXPECT(status_of(semaphore).waited > 0);
	semaphore = tenon_semaphore_close(semaphore);
}

/* Who waits for many does not keep what there is from who waits for one. */
static void test_wide_and_narrow(void)
{
	struct tenon_semaphore *semaphore = make(0, 0);
	struct demand many = {5, 0}, one = {1, 0};

	for (uint32_t round = 0; round < 20; round++) {
		pid_t wide = contract_start(acquire_and_end, &many), narrow[3];

		await_waiters(semaphore, 1);
		for (uint32_t i = 0; i < 3; i++)
			narrow[i] = contract_start(acquire_and_end, &one);
		await_waiters(semaphore, 4);
		for (uint32_t i = 0; i < 3; i++)
			EXPECT_IS(release(semaphore, 1, 0), 0);
		for (uint32_t i = 0; i < 3; i++)
			contract_await(narrow[i]);
		EXPECT_IS(release(semaphore, 5, 0), 0);
		contract_await(wide);
		EXPECT_IS(value_of(semaphore), 0);
	}
	semaphore = tenon_semaphore_close(semaphore);
}

static void acquire_and_stay(void *context)
{
	const struct demand *demand = context;
	struct tenon_semaphore *semaphore = open_semaphore();

	EXPECT_IS(acquire(semaphore, demand->count, demand->flags), 0);
	for (;;)
		pause();
}

static void await_value(struct tenon_semaphore *semaphore, uint32_t value)
{
	while (value_of(semaphore) != value)
		sched_yield();
}

static void test_undone_by_death(void)
{
	struct tenon_semaphore *semaphore = make(4, 4);
	struct demand undone = {3, TENON_SEMAPHORE_UNDO}, gone = {1, 0};
	pid_t child = contract_start(acquire_and_stay, &undone);

	await_value(semaphore, 1);
	contract_kill(child);
	EXPECT_IS(tenon_semaphore_try(semaphore, 4, 0), 0);
	EXPECT_IS(release(semaphore, 4, 0), 0);
	EXPECT_IS(status_of(semaphore).undone, 1);
	child = contract_start(acquire_and_stay, &gone);
	await_value(semaphore, 3);
	contract_kill(child);
	EXPECT_IS(tenon_semaphore_try(semaphore, 4, 0), -EAGAIN);
	EXPECT_IS(value_of(semaphore), 3);
	semaphore = tenon_semaphore_close(semaphore);
}

/* A sleeper gets what comes back, and at once.  Who only had no processor is not late each time. */
static void test_sleepers_get_what_comes_back(void)
{
	struct tenon_semaphore *semaphore = make(2, 2);
	struct demand undone = {2, TENON_SEMAPHORE_UNDO};
	uint32_t late = 0;

	for (uint32_t round = 0; round < 20; round++) {
		pid_t holder = contract_start(acquire_and_stay, &undone), sleepers[2];
		struct demand one = {1, round % 2 ? TENON_SEMAPHORE_UNDO : 0};
		int64_t since_ns;

		await_value(semaphore, 0);
		for (uint32_t i = 0; i < 2; i++)
			sleepers[i] = contract_start(acquire_and_end, &one);
		await_waiters(semaphore, 2);
		kill(holder, SIGKILL);
		since_ns = now_ns();
		for (uint32_t i = 0; i < 2; i++)
			contract_await(sleepers[i]);
		late += contract_was_late(since_ns);
		contract_kill(holder);
		if (round % 2 == 0)
			EXPECT_IS(release(semaphore, 2, 0), 0);
		/* The sleepers' own came back when they ended. */
		EXPECT_IS(tenon_semaphore_try(semaphore, 2, 0), 0);
		EXPECT_IS(release(semaphore, 2, 0), 0);
	}
	EXPECT(late < 10);
	semaphore = tenon_semaphore_close(semaphore);
}

static void release_and_die(void *context)
{
	struct tenon_semaphore *semaphore = open_semaphore();

	(void)context;
	EXPECT_IS(release(semaphore, 2, TENON_SEMAPHORE_UNDO), 0);
	kill(getpid(), SIGKILL);
}

/* System V's: what was given with UNDO is taken away again, as far as it is there. */
static void test_given_with_undo(void)
{
	struct tenon_semaphore *semaphore = make(1, 9);
	int status;

	EXPECT(waitpid(contract_start(release_and_die, NULL), &status, 0) > 0);
	EXPECT_IS(tenon_semaphore_try(semaphore, 2, 0), -EAGAIN);
	EXPECT_IS(value_of(semaphore), 1);
	EXPECT_IS(tenon_semaphore_try(semaphore, 1, 0), 0);
	semaphore = tenon_semaphore_close(semaphore);
}

static void test_closing_undoes(void)
{
	struct tenon_semaphore *semaphore = make(2, 2), *other = open_semaphore();

	EXPECT_IS(acquire(other, 2, TENON_SEMAPHORE_UNDO), 0);
	EXPECT_IS(value_of(semaphore), 0);
	other = tenon_semaphore_close(other);
	EXPECT_IS(value_of(semaphore), 2);
	semaphore = tenon_semaphore_close(semaphore);
}

static struct tenon_semaphore *inherited;

static void use_inherited(void *context)
{
	(void)context;
	EXPECT_IS(value_of(inherited), 1);
	EXPECT_IS(acquire(inherited, 1, TENON_SEMAPHORE_UNDO), 0);
	_exit(0);
}

/* A child's undo is its own, and its parent's stays when it ends. */
static void test_fork(void)
{
	struct tenon_semaphore *watch = make(2, 2);

	inherited = open_semaphore();
	EXPECT_IS(acquire(inherited, 1, TENON_SEMAPHORE_UNDO), 0);
	contract_await(contract_start(use_inherited, NULL));
	EXPECT_IS(tenon_semaphore_try(watch, 2, 0), -EAGAIN);
	EXPECT_IS(tenon_semaphore_try(watch, 1, 0), 0);
	EXPECT_IS(release(watch, 1, 0), 0);
	inherited = tenon_semaphore_close(inherited);
	EXPECT_IS(value_of(watch), 2);
	watch = tenon_semaphore_close(watch);
}

static int note_user(const struct tenon_semaphore_user *user, void *context)
{
	struct tenon_semaphore_user *users = context;

	for (uint32_t i = 0; i < 4; i++) {
		if (users[i].pid == 0) {
			users[i] = *user;
			break;
		}
	}
	return 0;
}

static void test_users(void)
{
	struct tenon_semaphore *semaphore = make(3, 3);
	struct demand some = {2, TENON_SEMAPHORE_UNDO}, many = {3, 0};
	struct tenon_semaphore_user users[4];
	pid_t holder = contract_start(acquire_and_stay, &some), waiter;

	await_value(semaphore, 1);
	/* What it took is not at once said to come back. */
	do {
		memset(users, 0, sizeof(users));
		EXPECT_IS(tenon_semaphore_users(semaphore, note_user, users), 0);
	} while (users[0].pid == 0);
	waiter = contract_start(acquire_and_end, &many);
	await_waiters(semaphore, 1);
	memset(users, 0, sizeof(users));
	EXPECT_IS(tenon_semaphore_users(semaphore, note_user, users), 0);
	for (uint32_t i = 0; i < 2; i++) {
		bool is_holder = users[i].pid == holder;

		EXPECT(users[i].pid == (is_holder ? holder : waiter));
		EXPECT_IS(users[i].undo, is_holder ? 2 : 0);
		EXPECT_IS(users[i].waiting, is_holder ? 0 : 1);
		EXPECT_IS(users[i].wanted, is_holder ? 0 : 3);
	}
	EXPECT_IS(users[2].pid, 0);
	contract_kill(holder);
	contract_await(waiter);
	memset(users, 0, sizeof(users));
	EXPECT_IS(tenon_semaphore_users(semaphore, note_user, users), 0);
	EXPECT_IS(users[0].pid, 0);
	semaphore = tenon_semaphore_close(semaphore);
}

static struct tenon_semaphore *in_handler;

static void on_signal(int signal)
{
	(void)signal;
	if (in_handler)
		EXPECT_IS(release(in_handler, 1, 0), 0);
}

static void interrupt_me(void *context)
{
	struct tenon_semaphore *semaphore = open_semaphore();

	await_waiters(semaphore, 1);
	/* It may not sleep yet; a handler that lets it pass runs once. */
	do
		kill(*(pid_t *)context, SIGUSR1);
	while (!in_handler && status_of(semaphore).waiting > 0);
}

/* A handler ends a wait, or gives what is waited for. */
static void test_signals(void)
{
	struct tenon_semaphore *semaphore = make(0, 0);
	struct sigaction action = {.sa_handler = on_signal};
	pid_t own = getpid(), child;

	sigaction(SIGUSR1, &action, NULL);
	child = contract_start(interrupt_me, &own);
	EXPECT_IS(acquire(semaphore, 1, 0), -EINTR);
	signal(SIGUSR1, SIG_IGN);
	contract_await(child);
	sigaction(SIGUSR1, &action, NULL);
	in_handler = semaphore;
	child = contract_start(interrupt_me, &own);
	EXPECT_IS(acquire(semaphore, 1, 0), 0);
	contract_await(child);
	EXPECT_IS(value_of(semaphore), 0);
	semaphore = tenon_semaphore_close(semaphore);
}

#define WORKERS 4u
#define ROUNDS 30000u

struct field {
	_Atomic uint32_t inside, most;
};

static struct field *field;

/* At most two at a time, in many ways. */
static void work(void *context)
{
	struct tenon_semaphore *semaphore = open_semaphore();
	uint32_t number = *(uint32_t *)context;

	for (uint32_t i = 0; i < ROUNDS; i++) {
		uint32_t flags = (i + number) % 3 == 0 ? TENON_SEMAPHORE_UNDO : 0;
		uint32_t inside;

		EXPECT_IS(acquire(semaphore, 1, flags), 0);
		inside = atomic_fetch_add(&field->inside, 1) + 1;
		if (inside > atomic_load(&field->most))
			atomic_store(&field->most, inside);
		atomic_fetch_sub(&field->inside, 1);
		EXPECT_IS(release(semaphore, 1, flags), 0);
	}
}

static void test_exclusion(void)
{
	struct tenon_semaphore *semaphore = make(2, 2);
	pid_t workers[WORKERS];

	field = contract_share(sizeof(*field));
	for (uint32_t i = 0; i < WORKERS; i++)
		workers[i] = contract_start(work, &i);
	for (uint32_t i = 0; i < WORKERS; i++)
		contract_await(workers[i]);
	EXPECT(atomic_load(&field->most) <= 2);
	EXPECT_IS(value_of(semaphore), 2);
	EXPECT_IS(status_of(semaphore).acquired, WORKERS * ROUNDS);
	EXPECT_IS(status_of(semaphore).released, WORKERS * ROUNDS);
	semaphore = tenon_semaphore_close(semaphore);
}

static void work_for_ever(void *context)
{
	struct tenon_semaphore *semaphore = open_semaphore();
	uint32_t count = 1 + *(uint32_t *)context % 2;

	for (;;) {
		EXPECT_IS(acquire(semaphore, count, TENON_SEMAPHORE_UNDO), 0);
		EXPECT_IS(release(semaphore, count, TENON_SEMAPHORE_UNDO), 0);
	}
}

/* Killed at any moment, again and again: the count is right when all are dead. */
static void test_random_kills(void)
{
	struct tenon_semaphore *semaphore = make(3, 3);
	pid_t workers[WORKERS];
	uint64_t seed = 1;

	for (uint32_t i = 0; i < WORKERS; i++)
		workers[i] = contract_start(work_for_ever, &i);
	for (uint32_t i = 0; i < 400; i++) {
		uint32_t which = i % WORKERS;
		uint64_t before = status_of(semaphore).acquired;

		seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
		for (uint32_t j = 0; j < (seed >> 40) % 20; j++)
			sched_yield();
		contract_kill(workers[which]);
		workers[which] = contract_start(work_for_ever, &which);
		/* The others go on. */
		while (status_of(semaphore).acquired == before)
			sched_yield();
	}
	for (uint32_t i = 0; i < WORKERS; i++)
		contract_kill(workers[i]);
	EXPECT_IS(tenon_semaphore_try(semaphore, 3, 0), 0);
	EXPECT_IS(value_of(semaphore), 0);
	EXPECT_IS(status_of(semaphore).participants, 1);
	semaphore = tenon_semaphore_close(semaphore);
}

int main(void)
{
	static const struct contract_case cases[] = {
		{"a semaphore counts, and takes all or nothing", test_counts, NULL},
		{"what cannot be is refused", test_bad_input, NULL},
		{"a process waits for two, and gets them", test_waits, NULL},
		{"who waits for many keeps nobody who waits for one", test_wide_and_narrow, NULL},
		{"what was taken with undo comes back on death, the rest does not",
		 test_undone_by_death, NULL},
		{"sleepers get what comes back, at once", test_sleepers_get_what_comes_back, NULL},
		{"what was given with undo goes again on death", test_given_with_undo, NULL},
		{"closing the handle undoes", test_closing_undoes, NULL},
		{"a child has an undo count of its own", test_fork, NULL},
		{"who waits for how many, and what comes back on whose death", test_users, NULL},
		{"a signal handler ends a wait, and may release", test_signals, NULL},
		{"no more than two are inside", test_exclusion, NULL},
		{"processes killed at any moment leave the count right", test_random_kills, NULL},
	};

	return contract_main(cases, sizeof(cases) / sizeof(cases[0]));
}
