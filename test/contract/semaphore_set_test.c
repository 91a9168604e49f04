/* SPDX-License-Identifier: Apache-2.0 */

/* What a set of semaphores promises to threads and processes.  Those who die: semaphore_set_deaths_test.c. */

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "semaphore_set.h"

static void test_counts(void)
{
	struct tenon_semaphore_set *set = make(3, 5, 2);
	struct tenon_semaphore_operation list[] = {{0, -2, 0}, {1, 3, 0}, {0, 0, 0}};

	EXPECT_IS(operate(set, list, 3), 0);
	EXPECT_VALUES(set, 0, 5, 2);
	EXPECT_IS(one(set, 0, -1, NOWAIT), -EAGAIN);
	EXPECT_IS(tenon_semaphore_set_operate(set, list, 1, tenon_deadline_after(WAIT_NS)),
		  -ETIMEDOUT);
	EXPECT_IS(tenon_semaphore_set_operate(set, list, 1, 0), -ETIMEDOUT);
	EXPECT_IS(one(set, 1, 1, 0), -ERANGE);
	EXPECT_IS(one(set, 1, INT32_MAX, 0), -ERANGE);
	EXPECT_IS(one(set, 1, INT32_MIN, NOWAIT), -EAGAIN);
	EXPECT_IS(one(set, 1, 0, NOWAIT), -EAGAIN);
	EXPECT_IS(one(set, 0, 0, NOWAIT), 0);
	EXPECT_IS(one(set, 2, -2, NOWAIT | UNDO), 0);
	EXPECT_VALUES(set, 0, 5, 0);
	EXPECT_IS((int64_t)status_of(set).operations, 3);
	set = tenon_semaphore_set_close(set);
}

/* Each operation finds what those before it leave, and nothing is done if one cannot be. */
static void test_order(void)
{
	struct tenon_semaphore_set *set = make(3, 5, 0);
	struct tenon_semaphore_operation first_take[] = {{0, -1, NOWAIT}, {0, 1, 0}};
	struct tenon_semaphore_operation first_add[] = {{0, 1, 0}, {0, -1, 0}, {0, 0, 0}};
	struct tenon_semaphore_operation lock[] = {{1, 0, NOWAIT}, {1, 1, 0}};
	struct tenon_semaphore_operation own_zero[] = {{2, 1, 0}, {2, 0, NOWAIT}};
	struct tenon_semaphore_operation half[] = {{2, 3, UNDO}, {1, 4, 0}, {0, -1, NOWAIT}};
	struct tenon_semaphore_operation beyond[] = {{2, 3, 0}, {2, 3, 0}, {2, -6, 0}};
	struct tenon_semaphore_operation blocked_first[] = {{0, -1, NOWAIT}, {2, 9, 0}};
	struct tenon_semaphore_operation beyond_first[] = {{2, 9, 0}, {0, -1, NOWAIT}};
	struct tenon_semaphore_operation not_this[] = {{2, 1, NOWAIT}, {0, -1, 0}};

	EXPECT_IS(operate(set, first_take, 2), -EAGAIN);
	EXPECT_IS(operate(set, first_add, 3), 0);
	EXPECT_IS(operate(set, lock, 2), 0);
	EXPECT_IS(operate(set, lock, 2), -EAGAIN);
	EXPECT_IS(operate(set, own_zero, 2), -EAGAIN);
	EXPECT_IS(operate(set, half, 3), -EAGAIN);
	EXPECT_IS(operate(set, beyond, 3), -ERANGE);
	EXPECT_IS(operate(set, blocked_first, 2), -EAGAIN);
	EXPECT_IS(operate(set, beyond_first, 2), -ERANGE);
	EXPECT_IS(tenon_semaphore_set_operate(set, not_this, 2, 0), -ETIMEDOUT);
	EXPECT_VALUES(set, 0, 1, 0);
	set = tenon_semaphore_set_close(set);
}

static void test_bad_input(void)
{
	struct tenon_semaphore_set_options options = {.size = sizeof(options)};
	struct tenon_semaphore_set *set = make(3, 5, 2), *other;
	struct tenon_semaphore_set_status status = {.size = 4};
	struct tenon_semaphore_set_member member;
	uint32_t values[3] = {1, 2, 6};

	EXPECT_IS(tenon_semaphore_set_open(contract_folder, "/other", TENON_CREATE, &options,
					   &other),
		  -EINVAL);
	EXPECT_IS(tenon_semaphore_set_open(contract_folder, "/other", TENON_CREATE, NULL, &other),
		  -EINVAL);
	options.count = TENON_SEMAPHORE_SET_MOST + 1;
	EXPECT_IS(tenon_semaphore_set_open(contract_folder, "/other", TENON_CREATE, &options,
					   &other),
		  -EINVAL);
	options.count = 1;
	options.value = TENON_SEMAPHORE_SET_DEFAULT_MAXIMUM + 1;
	EXPECT_IS(tenon_semaphore_set_open(contract_folder, "/other", TENON_CREATE, &options,
					   &other),
		  -EINVAL);
	options.maximum = TENON_SEMAPHORE_SET_VALUE_MAX + 1;
	EXPECT_IS(tenon_semaphore_set_open(contract_folder, "/other", TENON_CREATE, &options,
					   &other),
		  -EINVAL);
	options.flags = 1;
	EXPECT_IS(tenon_semaphore_set_open(contract_folder, "/other", TENON_CREATE, &options,
					   &other),
		  -EINVAL);
	EXPECT_IS(tenon_semaphore_set_open(contract_folder, NAME, 0, NULL, NULL), -EINVAL);
	EXPECT_IS(tenon_semaphore_set_open(contract_folder, "/none", 0, NULL, &other), -ENOENT);
	EXPECT_IS(one(set, 3, 1, 0), -EFBIG);
	EXPECT_IS(one(set, UINT32_MAX, 1, UNDO), -EFBIG);
	EXPECT_IS(one(set, 0, 1, 4), -EINVAL);
	EXPECT_IS(one(NULL, 0, 1, 0), -EINVAL);
	EXPECT_IS(operate(set, NULL, 1), -EINVAL);
	EXPECT_IS(tenon_semaphore_set_get(set, 3, values), -EINVAL);
	EXPECT_IS(tenon_semaphore_set_get(set, 0, NULL), -EINVAL);
	EXPECT_IS(tenon_semaphore_set_get(NULL, 0, values), -EINVAL);
	EXPECT_IS(tenon_semaphore_set_set(set, 3, 1), -EINVAL);
	EXPECT_IS(tenon_semaphore_set_set(set, 0, 6), -ERANGE);
	EXPECT_IS(tenon_semaphore_set_set(NULL, 0, 1), -EINVAL);
	EXPECT_IS(tenon_semaphore_set_get_all(set, values, 2), -EINVAL);
	EXPECT_IS(tenon_semaphore_set_get_all(set, NULL, 3), -EINVAL);
	EXPECT_IS(tenon_semaphore_set_set_all(set, values, 3), -ERANGE);
	EXPECT_IS(tenon_semaphore_set_set_all(set, values, 4), -EINVAL);
	EXPECT_IS(tenon_semaphore_set_set_all(set, NULL, 3), -EINVAL);
	EXPECT_IS(tenon_semaphore_set_read(set, 3, &member), -EINVAL);
	EXPECT_IS(tenon_semaphore_set_read(set, 0, NULL), -EINVAL);
	EXPECT_IS(tenon_semaphore_set_status(set, &status), -EINVAL);
	EXPECT_IS(tenon_semaphore_set_users(set, NULL, NULL), -EINVAL);
	EXPECT_IS(tenon_semaphore_set_destroy(NULL), -EINVAL);
	EXPECT_VALUES(set, 2, 2, 2);
	EXPECT(!tenon_semaphore_set_close(NULL));
	set = tenon_semaphore_set_close(set);
	EXPECT_IS(remove_set(), 0);
	EXPECT_IS(remove_set(), -ENOENT);
}

static void test_many_operations(void)
{
	struct tenon_semaphore_operation list[501];
	struct tenon_semaphore_set *set = make(300, 10, 0);

	EXPECT_IS(operate(set, list, 0), -EINVAL);
	for (uint32_t i = 0; i < 501; i++)
		list[i] = (struct tenon_semaphore_operation){i * 7 % 300, 1, 0};
	EXPECT_IS(operate(set, list, 501), -E2BIG);
	EXPECT_IS(operate(set, list, 500), 0);
	for (uint32_t i = 0; i < 300; i++)
		EXPECT_IS(value_of(set, i * 7 % 300), i < 200 ? 2 : 1);
	for (uint32_t i = 0; i < 500; i++)
		list[i].change = -1;
	list[499].change = -2;
	list[499].flags = NOWAIT;
	EXPECT_IS(operate(set, list, 500), -EAGAIN);
	list[499].change = -1;
	EXPECT_IS(operate(set, list, 500), 0);
	for (uint32_t i = 0; i < 300; i++)
		EXPECT_IS(value_of(set, i), 0);
	set = tenon_semaphore_set_close(set);
}

static void test_largest(void)
{
	struct tenon_semaphore_set_options options = {.size = sizeof(options),
						      .count = TENON_SEMAPHORE_SET_MOST,
						      .maximum = TENON_SEMAPHORE_SET_VALUE_MAX,
						      .max_participants = set_is_placed ? 0 : 1024,
						      .value = 7};
	uint32_t *values = calloc(options.count, sizeof(*values));
	struct tenon_semaphore_set *set;

	EXPECT_IS(open_with(TENON_CREATE, &options, &set), 0);
	EXPECT_IS(one(set, options.count - 1, INT32_MAX - 7, 0), 0);
	EXPECT_IS(one(set, options.count - 1, 1, 0), -ERANGE);
	EXPECT_IS(one(set, options.count - 1, -INT32_MAX, UNDO), 0);
	EXPECT_IS(one(set, options.count, 1, 0), -EFBIG);
	EXPECT_IS(tenon_semaphore_set_get_all(set, values, options.count), 0);
	for (uint32_t i = 0; i < options.count; i++) {
		EXPECT_IS(values[i], i + 1 < options.count ? 7 : 0);
		values[i] = i;
	}
	EXPECT_IS(tenon_semaphore_set_set_all(set, values, options.count), 0);
	memset(values, 0, options.count * sizeof(*values));
	EXPECT_IS(tenon_semaphore_set_get_all(set, values, options.count), 0);
	for (uint32_t i = 0; i < options.count; i++)
		EXPECT_IS(values[i], i);
	/* What was never used takes no memory, but of a region's, which is there. */
	EXPECT(set_is_placed || status_of(set).memory_bytes < 1 << 20);
	set = tenon_semaphore_set_close(set);
	free(values);
}

/* A list waits until all of it can be done, for what keeps it at that time. */
static void test_waits(void)
{
	struct tenon_semaphore_set *set = make(3, 9, 0);
	struct demand all = {3, {{0, -1, 0}, {1, -2, 0}, {2, 0, 0}}};
	pid_t child = contract_start(do_and_end, &all);

	await_waiters(set, 0, 1, 0);
	/* Who need not sleep, since what it waits for comes at once, has not waited. */
	await_sleepers(set, 1);
	EXPECT_IS(one(set, 1, 2, 0), 0);
	EXPECT_IS(one(set, 2, 1, 0), 0);
	await_waiters(set, 0, 1, 0);
	EXPECT_IS(one(set, 0, 1, 0), 0);
	await_waiters(set, 2, 0, 1);
	await_waiters(set, 0, 0, 0);
	EXPECT_VALUES(set, 1, 2, 1);
	EXPECT_IS(one(set, 2, -1, 0), 0);
	contract_await(child);
	EXPECT_VALUES(set, 0, 0, 0);
	EXPECT_IS((int64_t)status_of(set).waited, 1);
	set = tenon_semaphore_set_close(set);
}

/* Who changes first what it then waits for waits for what that makes of it. */
static void test_waits_for_own_changes(void)
{
	struct demand grows = {2, {{0, 1, 0}, {0, -4, 0}}}, falls = {2, {{1, -1, 0}, {1, 0, 0}}};
	struct tenon_semaphore_set *set = make(3, 9, 2);
	pid_t child[2] = {contract_start(do_and_end, &grows), contract_start(do_and_end, &falls)};

	await_waiters(set, 0, 1, 0);
	await_waiters(set, 1, 0, 1);
	await_sleepers(set, 2);
	EXPECT_IS(one(set, 0, 1, 0), 0);
	EXPECT_IS(one(set, 1, -1, 0), 0);
	contract_await(child[0]);
	contract_await(child[1]);
	EXPECT_VALUES(set, 0, 0, 2);
	set = tenon_semaphore_set_close(set);
}

/* Ten wait for one each: as many go on as can. */
static void test_crowd(void)
{
	struct tenon_semaphore_set *set = make(3, 99, 0);
	struct demand both = {2, {{0, -1, 0}, {1, -1, 0}}}, some = {1, {{0, -2, 0}}};
	pid_t child[10];

	for (uint32_t round = 0; round < 5; round++) {
		for (uint32_t i = 0; i < 10; i++)
			child[i] = contract_start(do_and_end, i % 2 ? &both : &some);
		await_waiters(set, 0, 10, 0);
		await_sleepers(set, 10);
		EXPECT_IS(one(set, 1, 5, 0), 0);
		for (uint32_t i = 0; i < 15; i++)
			EXPECT_IS(one(set, 0, 1, 0), 0);
		for (uint32_t i = 0; i < 10; i++)
			contract_await(child[i]);
		EXPECT_VALUES(set, 0, 0, 0);
	}
	set = tenon_semaphore_set_close(set);
}

/* Who waits for a zero goes on although it was one for a moment only, and so as semop(2) has it. */
static void test_moment(void)
{
	struct demand zero = {1, {{0, 0, 0}}};
	struct tenon_semaphore_operation down = {0, -1, 0}, up = {0, 1, 0};
	struct tenon_semaphore_set *set = make(3, 9, 1);
	struct tenon_semaphore_set_member member;

	for (uint32_t round = 0; round < 300; round++) {
		/* One alone may not be asleep yet. */
		uint32_t count = 1 + round % 2;
		pid_t child[2] = {0};

		for (uint32_t i = 0; i < count; i++)
			child[i] = contract_start(do_and_end, &zero);
		await_waiters(set, 0, 0, count);
		EXPECT_IS(operate(set, &down, 1), 0);
		if (count == 2) {
			EXPECT_IS(tenon_semaphore_set_read(set, 0, &member), 0);
			EXPECT(member.pid == child[0] || member.pid == child[1]);
		}
		EXPECT_IS(operate(set, &up, 1), 0);
		for (uint32_t i = 0; i < count; i++)
			contract_await(child[i]);
	}
	EXPECT_VALUES(set, 1, 1, 1);
	set = tenon_semaphore_set_close(set);
}

static void test_undo_range(void)
{
	struct tenon_semaphore_set *set = make(3, 5, 0), *other = open_set();
	struct tenon_semaphore_operation twice[] = {{2, 5, UNDO}, {2, -5, 0}};

	for (uint32_t i = 0; i < 7; i++) {
		EXPECT_IS(one(set, 0, 1, UNDO), i < 6 ? 0 : -ERANGE);
		if (i < 6)
			EXPECT_IS(one(other, 0, -1, 0), 0);
	}
	EXPECT_IS(one(other, 1, 5, 0), 0);
	EXPECT_IS(one(set, 1, -5, UNDO), 0);
	EXPECT_IS(one(other, 1, 1, 0), 0);
	EXPECT_IS(one(set, 1, -1, UNDO), -ERANGE);
	EXPECT_IS(operate(set, twice, 2), 0);
	EXPECT_IS(one(set, 2, 1, UNDO), 0);
	EXPECT_IS(one(set, 2, 1, UNDO), -ERANGE);
	set = tenon_semaphore_set_close(set);
	EXPECT_VALUES(other, 0, 5, 0);
	other = tenon_semaphore_set_close(other);
}

/* What is set has no undo any more. */
static void test_setting_clears_undo(void)
{
	struct tenon_semaphore_set *set = make(3, 9, 5), *other = open_set(), *third = open_set();
	uint32_t values[3] = {1, 2, 3};

	EXPECT_IS(one(other, 0, -2, UNDO), 0);
	EXPECT_IS(one(other, 1, -2, UNDO), 0);
	EXPECT_IS(one(third, 0, 2, UNDO), 0);
	EXPECT_IS(one(third, 2, -1, UNDO), 0);
	EXPECT_IS(tenon_semaphore_set_set(set, 0, 7), 0);
	third = tenon_semaphore_set_close(third);
	EXPECT_VALUES(set, 7, 3, 5);
	EXPECT_IS(one(other, 2, -1, UNDO), 0);
	EXPECT_IS(tenon_semaphore_set_set_all(set, values, 3), 0);
	EXPECT_VALUES(set, 1, 2, 3);
	EXPECT_IS(one(other, 2, -1, UNDO), 0);
	other = tenon_semaphore_set_close(other);
	EXPECT_VALUES(set, 1, 2, 3);
	set = tenon_semaphore_set_close(set);
}

/* Setting wakes who can go on. */
static void test_setting_wakes(void)
{
	struct tenon_semaphore_set *set = make(3, 9, 1);
	struct demand take = {1, {{0, -5, 0}}}, zero = {2, {{1, 0, 0}, {1, 1, 0}}};
	uint32_t values[3] = {5, 0, 1};
	pid_t child = contract_start(do_and_end, &take), other;

	await_waiters(set, 0, 1, 0);
	EXPECT_IS(tenon_semaphore_set_set(set, 0, 5), 0);
	contract_await(child);
	child = contract_start(do_and_end, &take);
	other = contract_start(do_and_end, &zero);
	await_waiters(set, 0, 1, 0);
	await_waiters(set, 1, 0, 1);
	await_sleepers(set, 2);
	EXPECT_IS(tenon_semaphore_set_set_all(set, values, 3), 0);
	contract_await(child);
	contract_await(other);
	EXPECT_VALUES(set, 0, 1, 1);
	set = tenon_semaphore_set_close(set);
}

static void sleep_until_destroyed(void *context)
{
	struct tenon_semaphore_set *set = open_set();

	EXPECT_IS(one(set, 0, *(int32_t *)context, 0), -EIDRM);
	set = tenon_semaphore_set_close(set);
}

static void test_destroy(void)
{
	struct tenon_semaphore_set *set = make(3, 9, 1), *other = open_set();
	struct tenon_semaphore_set_status status = {.size = sizeof(status)};
	struct tenon_semaphore_set_member member;
	int32_t take = -2, zero = 0;
	pid_t child[2] = {contract_start(sleep_until_destroyed, &take),
			  contract_start(sleep_until_destroyed, &zero)};
	uint32_t values[3] = {0, 0, 0};

	EXPECT_IS(one(other, 1, -1, UNDO), 0);
	await_waiters(set, 0, 1, 1);
	await_sleepers(set, 2);
	EXPECT_IS(tenon_semaphore_set_destroy(set), 0);
	contract_await(child[0]);
	contract_await(child[1]);
	EXPECT_IS(one(other, 1, 1, 0), -EIDRM);
	EXPECT_IS(one(other, 1, 1, UNDO), -EIDRM);
	EXPECT_IS(one(other, 0, 0, NOWAIT), -EIDRM);
	EXPECT_IS(tenon_semaphore_set_get(other, 0, values), -EIDRM);
	EXPECT_IS(tenon_semaphore_set_set(other, 0, 1), -EIDRM);
	EXPECT_IS(tenon_semaphore_set_get_all(other, values, 3), -EIDRM);
	EXPECT_IS(tenon_semaphore_set_set_all(other, values, 3), -EIDRM);
	EXPECT_IS(tenon_semaphore_set_read(other, 0, &member), -EIDRM);
	EXPECT_IS(tenon_semaphore_set_status(other, &status), -EIDRM);
	EXPECT_IS(tenon_semaphore_set_destroy(other), -EIDRM);
	other = tenon_semaphore_set_close(other);
	EXPECT_IS(open_with(0, NULL, &other), -EIDRM);
	set = tenon_semaphore_set_close(set);
	EXPECT_IS(remove_set(), 0);
	set = make(3, 9, 1);
	EXPECT_VALUES(set, 1, 1, 1);
	set = tenon_semaphore_set_close(set);
}

static struct tenon_semaphore_set *inherited;

static void use_inherited(void *context)
{
	(void)context;
	EXPECT_VALUES(inherited, 1, 2, 2);
	EXPECT_IS(one(inherited, 0, -1, UNDO), 0);
	EXPECT_IS(one(inherited, 1, -1, UNDO), 0);
	_exit(0);
}

/* A child's undo is its own, and its parent's stays when it ends. */
static void test_fork(void)
{
	struct tenon_semaphore_set *watch = make(3, 9, 2);

	inherited = open_set();
	EXPECT_IS(one(inherited, 0, -1, UNDO), 0);
	contract_await(contract_start(use_inherited, NULL));
	EXPECT_VALUES(watch, 1, 2, 2);
	inherited = tenon_semaphore_set_close(inherited);
	EXPECT_VALUES(watch, 2, 2, 2);
	watch = tenon_semaphore_set_close(watch);
}

static void on_signal(int signal)
{
	(void)signal;
}

static void interrupt_me(void *context)
{
	struct tenon_semaphore_set *set = open_set();

	await_waiters(set, 0, 1, 0);
	for (;; sched_yield()) /* it may not sleep yet */
		kill(*(pid_t *)context, SIGUSR1);
}

static void test_signals(void)
{
	struct sigaction action = {.sa_handler = on_signal};
	struct tenon_semaphore_set *set = make(3, 9, 0);
	struct tenon_semaphore_set_member member;
	pid_t own = getpid(), child;

	sigaction(SIGUSR1, &action, NULL);
	child = contract_start(interrupt_me, &own);
	EXPECT_IS(one(set, 0, -1, 0), -EINTR);
	contract_kill(child);
	EXPECT_IS(tenon_semaphore_set_read(set, 0, &member), 0);
	EXPECT_IS(member.waiting, 0);
	set = tenon_semaphore_set_close(set);
}

static void add_one(void *context)
{
	struct tenon_semaphore_set *set = open_set();

	(void)context;
	EXPECT_IS(one(set, 1, 1, 0), 0);
	set = tenon_semaphore_set_close(set);
}

static void test_who_and_when(void)
{
	struct tenon_semaphore_operation list[] = {{0, 1, 0}, {1, -1, 0}, {2, 0, NOWAIT}};
	struct tenon_semaphore_set *set = make(3, 9, 0);
	struct tenon_semaphore_set_member member;
	int64_t made_ns = status_of(set).changed_ns;
	pid_t child;

	EXPECT(made_ns > 0);
	EXPECT_IS(status_of(set).operated_ns, 0);
	EXPECT_IS(tenon_semaphore_set_read(set, 1, &member), 0);
	EXPECT_IS(member.pid, 0);
	child = contract_start(add_one, NULL);
	contract_await(child);
	EXPECT_IS(tenon_semaphore_set_read(set, 1, &member), 0);
	EXPECT_IS(member.pid, child);
	EXPECT(status_of(set).operated_ns >= made_ns);
	EXPECT_IS(status_of(set).changed_ns, made_ns);
	EXPECT_IS(operate(set, list, 3), 0);
	for (uint32_t i = 0; i < 3; i++) {
		EXPECT_IS(tenon_semaphore_set_read(set, i, &member), 0);
		EXPECT_IS(member.pid, getpid());
	}
	while (status_of(set).changed_ns == made_ns)
		EXPECT_IS(tenon_semaphore_set_set(set, 0, 1), 0);
	set = tenon_semaphore_set_close(set);
}

#define WORKERS 4u
#define ROUNDS 20000u

struct field {
	_Atomic uint32_t inside, most;
};

static struct field *field;

/* Two of the workers at a time, by two semaphores at once. */
static void work(void *context)
{
	struct tenon_semaphore_set *set = open_set();
	uint32_t number = *(uint32_t *)context;

	for (uint32_t i = 0; i < ROUNDS; i++) {
		uint32_t flags = (i + number) % 3 == 0 ? UNDO : 0, other = 1 + i % 2, inside;
		struct tenon_semaphore_operation in[] = {{0, -1, flags}, {other, -1, flags}};
		struct tenon_semaphore_operation out[] = {{other, 1, flags}, {0, 1, flags}};

		EXPECT_IS(operate(set, in, 2), 0);
		inside = atomic_fetch_add(&field->inside, 1) + 1;
		if (inside > atomic_load(&field->most))
			atomic_store(&field->most, inside);
		atomic_fetch_sub(&field->inside, 1);
		EXPECT_IS(operate(set, out, 2), 0);
	}
	set = tenon_semaphore_set_close(set);
}

static void test_exclusion(void)
{
	struct tenon_semaphore_set *set = make(3, 9, 2);
	pid_t workers[WORKERS];

	field = contract_share(sizeof(*field));
	for (uint32_t i = 0; i < WORKERS; i++)
		workers[i] = contract_start(work, &i);
	for (uint32_t i = 0; i < WORKERS; i++)
		contract_await(workers[i]);
	EXPECT(atomic_load(&field->most) <= 2);
	EXPECT_VALUES(set, 2, 2, 2);
	EXPECT_IS((int64_t)status_of(set).operations, 2 * WORKERS * ROUNDS);
	set = tenon_semaphore_set_close(set);
}

#define SCRIBBLED 50000u
#define LISTED 200u

/* A list in shared memory, whose last number is another one at every moment. */
static struct tenon_semaphore_operation *shared_list;

static void scribble(void *context)
{
	volatile uint32_t *number = &shared_list[LISTED - 1].number;

	(void)context;
	for (;;) {
		*number = 100000;
		for (volatile uint32_t i = 0; i < 100; i++)
			;
		*number = 0;
		for (volatile uint32_t i = 0; i < 1000; i++)
			;
	}
}

/* A list that another process wrote to amid the call was looked at again after it had been checked: memory was taken
 * behind the end of the file, and with a higher number the handle's own memory was left. */
static void test_scribbled_list(void)
{
	struct tenon_semaphore_set *set = make(2, 100, 0);
	uint64_t memory_bytes;
	uint32_t done = 0, tried;
	pid_t child;

	shared_list = contract_share(LISTED * sizeof(*shared_list));
	for (uint32_t i = 0; i < LISTED; i++)
		shared_list[i] = (struct tenon_semaphore_operation){1, 0, UNDO};
	/* Takes all memory that the right calls need. */
	EXPECT_IS(operate(set, shared_list, LISTED), 0);
	shared_list[LISTED - 1].change = -1;
	EXPECT_IS(tenon_semaphore_set_operate(set, shared_list, LISTED, 0), -ETIMEDOUT);
	memory_bytes = status_of(set).memory_bytes;
	shared_list[LISTED - 1] = (struct tenon_semaphore_operation){0, 1, UNDO};
	child = contract_start(scribble, NULL);
	/* More of them where the child has no processor of its own. */
	for (tried = 0; tried < SCRIBBLED || done % tried == 0; tried++) {
		int result = tenon_semaphore_set_operate(set, shared_list, LISTED, 0);

		EXPECT(result == 0 || result == -EFBIG || result == -ETIMEDOUT);
		done += result == 0;
		/* Up and down, lest it goes up to the most that the value may be. */
		shared_list[LISTED - 1].change = done % 2 ? -1 : 1;
	}
	EXPECT(done > 0 && done < tried);
	contract_kill(child);
	EXPECT(status_of(set).memory_bytes == memory_bytes);
	set = tenon_semaphore_set_close(set);
}

int main(int argc, char **argv)
{
	static const struct contract_case cases[] = {
		{"a list is done at once or not at all", test_counts, NULL},
		{"operations are looked at in order", test_order, NULL},
		{"what cannot be is refused", test_bad_input, NULL},
		{"500 operations at once", test_many_operations, NULL},
		{"32000 semaphores", test_largest, NULL},
		{"a list waits for all of it", test_waits, NULL},
		{"own changes count in what a list waits for", test_waits_for_own_changes, NULL},
		{"of a crowd as many go on as can", test_crowd, NULL},
		{"a zero for a moment is seen by who waits for it", test_moment, NULL},
		{"an undo count has a range", test_undo_range, NULL},
		{"setting a value clears its undo counts", test_setting_clears_undo, NULL},
		{"setting a value wakes who can go on", test_setting_wakes, NULL},
		{"destroying wakes, and ends all", test_destroy, NULL},
		{"a child has undo counts of its own", test_fork, NULL},
		{"a signal handler ends a wait", test_signals, NULL},
		{"who was it last, and when", test_who_and_when, NULL},
		{"no more than two are inside", test_exclusion, NULL},
		{"a list that another process writes to", test_scribbled_list, NULL},
	};

	return set_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
