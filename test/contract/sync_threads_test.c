/* SPDX-License-Identifier: Apache-2.0 */

/* Semaphores, events, conditions, barriers and onces, each used by eight threads of each of four processes at once. */

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include <tenon/barrier.h>
#include <tenon/condition.h>
#include <tenon/event.h>
#include <tenon/once.h>
#include <tenon/semaphore.h>

#include "contract.h"

#define NAME "/threads"
#define THREADS 8u
#define PROCESSES 4u
#define ALL (THREADS * PROCESSES)
#define ROUNDS 500u
#define MEETINGS 500u
#define ROOM 3u
#define LIMIT_NS (20 * SECOND_NS)
#define UNDO TENON_SEMAPHORE_UNDO

/* What all of them share. */
static struct field {
	atomic_uint ready, inside, most, done, last;
	atomic_uint arrived[MEETINGS];
	uint32_t plain; /* of who is alone */
} * field;

/* The handle of a process: its threads have it together. */
static void *handle;
static void (*part)(uint32_t thread);

static int64_t limit(void)
{
	return tenon_deadline_after(LIMIT_NS);
}

/* All begin together. */
static void *run_thread(void *context)
{
	atomic_fetch_add(&field->ready, 1);
	while (atomic_load(&field->ready) < ALL)
		sched_yield();
	part((uint32_t)(uintptr_t)context);
	return NULL;
}

static void run_process(void *context)
{
	pthread_t threads[THREADS];

	(void)context;
	for (uint32_t i = 0; i < THREADS; i++)
		REQUIRE(pthread_create(&threads[i], NULL, run_thread, (void *)(uintptr_t)i) == 0);
	for (uint32_t i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
}

/* In processes that inherit the handle. */
static void run_all(void (*run)(uint32_t thread))
{
	pid_t processes[PROCESSES];

	part = run;
	for (uint32_t i = 0; i < PROCESSES; i++)
		processes[i] = contract_start(run_process, NULL);
	for (uint32_t i = 0; i < PROCESSES; i++)
		contract_await(processes[i]);
}

static void make_field(void)
{
	field = contract_share(sizeof(*field));
}

/* Others come meanwhile. */
static void enter(void)
{
	uint32_t inside = atomic_fetch_add(&field->inside, 1) + 1;

	if (inside > atomic_load(&field->most))
		atomic_store(&field->most, inside);
	sched_yield();
}

/* Every other thread has what it takes back on its death. */
static void pass_semaphore(uint32_t thread)
{
	uint32_t flags = thread % 2 ? UNDO : 0, count = 1 + thread / 2 % ROOM;

	for (uint32_t i = 0; i < ROUNDS; i++) {
		EXPECT_IS(tenon_semaphore_acquire(handle, count, flags, limit()), 0);
		for (uint32_t j = 0; j < count; j++)
			enter();
		atomic_fetch_sub(&field->inside, count);
		EXPECT_IS(tenon_semaphore_release(handle, count, flags, NULL), 0);
	}
}

static void test_semaphore(void)
{
	struct tenon_semaphore_options options = {
		.size = sizeof(options), .value = ROOM, .maximum = ROOM};
	struct tenon_semaphore *semaphore;
	uint32_t value = 0;

	make_field();
	REQUIRE(tenon_semaphore_open(contract_folder, NAME, TENON_CREATE, &options, &semaphore) ==
		0);
	handle = semaphore;
	run_all(pass_semaphore);
	EXPECT(atomic_load(&field->most) <= ROOM);
	EXPECT_IS(tenon_semaphore_value(semaphore, &value), 0);
	EXPECT_IS(value, ROOM);
	semaphore = tenon_semaphore_close(semaphore);
}

/* An event of auto reset lets one pass, who sets it again. */
static void pass_event(uint32_t thread)
{
	(void)thread;
	for (uint32_t i = 0; i < ROUNDS; i++) {
		EXPECT_IS(tenon_event_wait(handle, limit()), 0);
		enter();
		field->plain++;
		atomic_fetch_sub(&field->inside, 1);
		EXPECT_IS(tenon_event_set(handle), 0);
	}
}

static void test_event(void)
{
	struct tenon_sync_options options = {.size = sizeof(options), .flags = TENON_EVENT_IS_SET};
	struct tenon_event *event;

	make_field();
	REQUIRE(tenon_event_open(contract_folder, NAME, TENON_CREATE, &options, &event) == 0);
	handle = event;
	run_all(pass_event);
	EXPECT_IS(atomic_load(&field->most), 1);
	EXPECT_IS(field->plain, ALL * ROUNDS);
	EXPECT_IS(tenon_event_wait(event, 0), 0);
	event = tenon_event_close(event);
}

static struct tenon_lock *guard;

/* Room for so many; who finds none waits for one of those who leave to signal. */
static void pass_condition(uint32_t thread)
{
	for (uint32_t i = 0; i < ROUNDS / 4; i++) {
		EXPECT_IS(tenon_lock_acquire(guard, limit()), 0);
		while (field->plain == ROOM)
			EXPECT_IS(tenon_condition_wait(handle, guard, limit()), 0);
		field->plain++;
		EXPECT_IS(tenon_lock_release(guard), 0);
		enter();
		atomic_fetch_sub(&field->inside, 1);
		EXPECT_IS(tenon_lock_acquire(guard, limit()), 0);
		field->plain--;
		EXPECT_IS(thread % 2 ? tenon_condition_signal(handle)
				     : tenon_condition_broadcast(handle),
			  0);
		EXPECT_IS(tenon_lock_release(guard), 0);
	}
}

static void test_condition(void)
{
	struct tenon_condition *condition;

	make_field();
	REQUIRE(tenon_lock_open(contract_folder, NAME, TENON_CREATE, NULL, &guard) == 0);
	REQUIRE(tenon_condition_open(contract_folder, NAME, TENON_CREATE, NULL, &condition) == 0);
	handle = condition;
	run_all(pass_condition);
	EXPECT(atomic_load(&field->most) <= ROOM);
	EXPECT_IS(field->plain, 0);
	condition = tenon_condition_close(condition);
	guard = tenon_lock_close(guard);
}

/* Nobody goes on before all have come, and one in each round is the last. */
static void meet(uint32_t thread)
{
	(void)thread;
	for (uint32_t i = 0; i < MEETINGS; i++) {
		uint32_t is_last = 99;

		atomic_fetch_add(&field->arrived[i], 1);
		EXPECT_IS(tenon_barrier_wait(handle, limit(), &is_last), 0);
		EXPECT_IS(atomic_load(&field->arrived[i]), ALL);
		EXPECT(is_last <= 1);
		atomic_fetch_add(&field->last, is_last);
	}
}

static void test_barrier(void)
{
	struct tenon_barrier_options options = {.size = sizeof(options), .count = ALL};
	struct tenon_barrier_status status = {.size = sizeof(status)};
	struct tenon_barrier *barrier;

	make_field();
	REQUIRE(tenon_barrier_open(contract_folder, NAME, TENON_CREATE, &options, &barrier) == 0);
	handle = barrier;
	run_all(meet);
	EXPECT_IS(atomic_load(&field->last), MEETINGS);
	EXPECT_IS(tenon_barrier_status(barrier, &status), 0);
	EXPECT_IS(status.rounds, MEETINGS);
	EXPECT_IS(status.arrived, 0);
	EXPECT_IS(status.withdrawn, 0);
	barrier = tenon_barrier_close(barrier);
}

/* The first five could not do it. */
static void do_once(uint32_t thread)
{
	uint32_t what = 99;

	(void)thread;
	for (;;) {
		EXPECT_IS(tenon_once_begin(handle, limit(), &what), 0);
		if (what == TENON_ONCE_DONE)
			break;
		EXPECT_IS(what, TENON_ONCE_FIRST);
		enter();
		atomic_fetch_sub(&field->inside, 1);
		if (++field->plain <= 5) {
			EXPECT_IS(tenon_once_failed(handle), 0);
			continue;
		}
		atomic_fetch_add(&field->done, 1);
		EXPECT_IS(tenon_once_done(handle), 0);
	}
	EXPECT_IS(field->plain, 6);
}

static void test_once(void)
{
	struct tenon_once *once;

	make_field();
	REQUIRE(tenon_once_open(contract_folder, NAME, TENON_CREATE, NULL, &once) == 0);
	handle = once;
	run_all(do_once);
	EXPECT_IS(atomic_load(&field->most), 1);
	EXPECT_IS(atomic_load(&field->done), 1);
	once = tenon_once_close(once);
}

int main(void)
{
	static const struct contract_case cases[] = {
		{"a semaphore, of which they take one to three", test_semaphore, NULL},
		{"an event, which lets one pass", test_event, NULL},
		{"a condition, for room", test_condition, NULL},
		{"a barrier for all", test_barrier, NULL},
		{"a once, which fails five times", test_once, NULL},
	};

	return contract_main(cases, sizeof(cases) / sizeof(cases[0]));
}
