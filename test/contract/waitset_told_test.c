/* SPDX-License-Identifier: Apache-2.0 */

/* Who waits in a waitset, and is killed, or does nothing, or is a child, or another thread: others get what it was woken
 * for, and are told what they were to be told. */

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sanitized.h"
#include "waitset_world.h"

/* Time to fall asleep in, where the kernel does not tell. */
#define ENOUGH_NS (SECOND_NS / 11)

static int64_t now_ns(void)
{
	return tenon_deadline_after(0);
}

static uint32_t value_of(struct tenon_semaphore *semaphore)
{
	uint32_t value = 99;

	EXPECT_IS(tenon_semaphore_value(semaphore, &value), 0);
	return value;
}

/* In the order that leaves the one that wakes to the end: the kernel tells of the first by the pending entry. */
static void add_behind(struct world *world, bool watched)
{
	EXPECT_IS(tenon_waitset_add_event(world->set, world->event, EVENT, NULL), 0);
	EXPECT_IS(tenon_waitset_add_semaphore(world->set, world->semaphore, 1, 0, SEMAPHORE, NULL),
		  0);
	EXPECT_IS(tenon_waitset_add_queue(world->set, world->queue, TENON_READABLE, QUEUE, NULL),
		  0);
	if (watched)
		EXPECT_IS(tenon_waitset_add_descriptor(world->set, world->pipe[0], POLLIN, PIPE,
						       NULL),
			  0);
}

struct victim {
	bool watched, once;
};

static void wait_in_set(void *context)
{
	const struct victim *victim = context;
	struct world world = open_world(0);
	struct tenon_waitset_event event;
	uint32_t count;

	EXPECT_IS(tenon_waitset_create(0, &world.set), 0);
	EXPECT_IS(pipe(world.pipe), 0);
	add_behind(&world, victim->watched);
	do
		(void)!tenon_waitset_wait(world.set, TENON_NO_DEADLINE, &event, 1, &count);
	while (!victim->once);
	for (;;)
		pause();
}

static void receive_once(void *context)
{
	struct world world = open_world(0);
	uint64_t number;

	(void)context;
	EXPECT_IS(contract_receive(world.queue, &number, LIMIT_NS), 0);
}

static void acquire_once(void *context)
{
	struct world world = open_world(0);

	(void)context;
	EXPECT_IS(tenon_semaphore_acquire(world.semaphore, 1, 0, tenon_deadline_after(LIMIT_NS)),
		  0);
}

static void await_waiters(struct world *world, bool queue, uint32_t count)
{
	struct tenon_semaphore_status status;
	struct tenon_queue_status queue_status;

	do {
		status = (struct tenon_semaphore_status){.size = sizeof(status)};
		queue_status = (struct tenon_queue_status){.size = sizeof(queue_status)};
		EXPECT_IS(tenon_semaphore_status(world->semaphore, &status), 0);
		EXPECT_IS(tenon_queue_status(world->queue, &queue_status), 0);
	} while ((queue ? queue_status.receivers_waiting : status.waiting) < count);
}

/* One who waits in a set is told that the queue is readable, and does not receive: another does. */
static void test_told_and_idle(void)
{
	struct world world = make_world(0);
	uint32_t late = 0;

	for (uint32_t round = 0; round < 20; round++) {
		struct victim victim = {.watched = round % 2, .once = true};
		pid_t idle = contract_start(wait_in_set, &victim), other;
		int64_t since_ns;

		await_waiters(&world, true, 1);
		other = contract_start(receive_once, NULL);
		await_waiters(&world, true, 2);
		since_ns = now_ns();
		EXPECT_IS(contract_send(world.queue, 1, LIMIT_NS), 0);
		contract_await(other);
		late += contract_was_late(since_ns);
		contract_kill(idle);
	}
	EXPECT(late < 10);
	close_world(&world);
}

/* One who waits in a set is killed just when it was woken: one who waits for the object itself gets what it was
 * woken for.  Who only had no processor is not late each time. */
static void test_killed_when_woken(void)
{
	struct world world = make_world(0);
	uint32_t late = 0;

	for (uint32_t round = 0; round < 200; round++) {
		struct victim victim = {.watched = round % 2};
		bool queue = round % 4 > 1;
		pid_t doomed = contract_start(wait_in_set, &victim), other;
		int64_t since_ns;

		await_waiters(&world, queue, 1);
		other = contract_start(queue ? receive_once : acquire_once, NULL);
		await_waiters(&world, queue, 2);
		if (queue)
			EXPECT_IS(contract_send(world.queue, 1, LIMIT_NS), 0);
		else
			EXPECT_IS(tenon_semaphore_release(world.semaphore, 1, 0, NULL), 0);
		for (uint32_t i = 0; i < round % 10; i++)
			(void)value_of(world.semaphore);
		contract_kill(doomed);
		since_ns = now_ns();
		/* It may have taken it. */
		if (!queue && waitpid(other, NULL, WNOHANG) == 0 && value_of(world.semaphore) < 1)
			EXPECT_IS(tenon_semaphore_release(world.semaphore, 1, 0, NULL), 0);
		waitpid(other, NULL, 0);
		late += contract_was_late(since_ns);
		while (tenon_semaphore_try(world.semaphore, 1, 0) == 0)
			;
	}
	EXPECT(late < 20);
	close_world(&world);
}

static struct tenon_waitset *inherited;

static void use_inherited(void *context)
{
	atomic_bool *has_looked = context;
	int fd;

	EXPECT_IS(wait_one(inherited, 0), -ETIMEDOUT);
	atomic_store(has_looked, true);
	EXPECT_IS(tenon_waitset_fd(inherited, &fd), 0);
	EXPECT_IS(wait_one(inherited, LIMIT_NS), EVENT);
	inherited = tenon_waitset_close(inherited);
}

static void skip_with_sanitizer(void)
{
	if (IS_SANITIZED)
		contract_skip("the sanitizer's allocator may be locked by another thread when a "
			      "process forks");
}

static void test_fork(void)
{
	struct world world = make_world(0);
	atomic_bool *has_looked = contract_share(sizeof(*has_looked));
	pid_t child;
	int fd;

	skip_with_sanitizer();
	add_objects(&world);
	EXPECT_IS(tenon_waitset_fd(world.set, &fd), 0);
	EXPECT_IS(wait_one(world.set, 0), -ETIMEDOUT);
	inherited = world.set;
	child = contract_start(use_inherited, has_looked);
	while (!atomic_load(has_looked))
		sched_yield();
	for (struct tenon_event_status status = {.waiting = 0}; status.waiting < 2;) {
		status.size = sizeof(status);
		EXPECT_IS(tenon_event_status(world.event, &status), 0);
	}
	/* The parent's watcher is told, too, and takes nothing. */
	EXPECT_IS(tenon_event_set(world.event), 0);
	contract_await(child);
	EXPECT_IS(wait_one(world.set, 0), -ETIMEDOUT);
	EXPECT_IS(tenon_event_set(world.event), 0);
	EXPECT_IS(poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 10000), 1);
	EXPECT_IS(wait_one(world.set, 0), EVENT);
	close_world(&world);
}

/* Two threads in one set. */

/* Who is told has no processor for so long on no machine. */
#define LONG_NS (60 * SECOND_NS)

struct pair {
	struct tenon_waitset *set;
	bool looks_only; /* the other one's time is always up */
	_Atomic int sleeper;
	atomic_bool waits, ends;
	int64_t found;
};

static void *wait_long(void *context)
{
	struct pair *pair = context;

	atomic_store(&pair->sleeper, (int)syscall(SYS_gettid));
	EXPECT_IS(wait_one(pair->set, 0), -ETIMEDOUT);
	atomic_store(&pair->waits, true);
	pair->found = wait_one(pair->set, LONG_NS);
	return NULL;
}

static void *wait_shortly(void *context)
{
	struct pair *pair = context;

	for (uint32_t i = 0; !atomic_load(&pair->ends); i++)
		(void)wait_one(pair->set, pair->looks_only ? 0 : i % 4 * 1000);
	return NULL;
}

/* Until it is seen asleep in poll(2); where that is not told, for a time that is enough. */
static void await_asleep(struct pair *pair)
{
	int64_t enough_ns;
	char path[64], said[16];
	bool is_asleep = false, is_told = true;

	while (!atomic_load(&pair->waits))
		sched_yield();
	enough_ns = now_ns() + ENOUGH_NS;
	snprintf(path, sizeof(path), "/proc/self/task/%d/syscall", atomic_load(&pair->sleeper));
	while (!is_asleep && (is_told || now_ns() < enough_ns)) {
		FILE *file = fopen(path, "r");

		is_told = file && fgets(said, sizeof(said), file);
		is_asleep = is_told && atoi(said) == SYS_ppoll;
		if (file)
			fclose(file);
		sched_yield();
	}
}

/* Of two threads that wait in a set one read away what the other had been told and had no processor yet to see; a pulse
 * was seen by nobody anew, and that one slept until its time was up. */
static void expect_pulses(struct world *world, bool looks_only)
{
	struct pair pair = {.set = world->set, .looks_only = looks_only};
	pthread_t sleeper, other;

	REQUIRE(pthread_create(&other, NULL, wait_shortly, &pair) == 0);
	for (uint32_t round = 0; round < 200; round++) {
		int64_t since_ns;

		atomic_store(&pair.waits, false);
		REQUIRE(pthread_create(&sleeper, NULL, wait_long, &pair) == 0);
		await_asleep(&pair);
		since_ns = now_ns();
		EXPECT_IS(tenon_event_pulse(world->event), 0);
		pthread_join(sleeper, NULL);
		EXPECT_IS(pair.found, EVENT);
		if (now_ns() - since_ns >= LONG_NS / 2) {
			EXPECT(!"a pulse that was told in time");
			break;
		}
	}
	atomic_store(&pair.ends, true);
	pthread_join(other, NULL);
}

static void test_two_threads(void)
{
	struct tenon_sync_options options = {.size = sizeof(options), .flags = TENON_EVENT_MANUAL};
	struct world world = make_world(0);
	int fd;

	world.event = tenon_event_close(world.event);
	EXPECT_IS(tenon_event_open(contract_folder, "/manual", TENON_CREATE, &options,
				   &world.event),
		  0);
	EXPECT_IS(tenon_waitset_add_event(world.set, world.event, EVENT, NULL), 0);
	EXPECT_IS(tenon_waitset_add_descriptor(world.set, world.pipe[0], POLLIN, PIPE, NULL), 0);
	expect_pulses(&world, false);
	/* And of a set that is polled. */
	EXPECT_IS(tenon_waitset_fd(world.set, &fd), 0);
	expect_pulses(&world, true);
	close_world(&world);
}

#define CHILD_THREADS 4u
#define CHILDREN 200u

static struct tenon_waitset *inherited;
static atomic_uint together;

static void *wait_together(void *context)
{
	(void)context;
	atomic_fetch_add(&together, 1);
	/* Those that are still to begin may need this processor. */
	for (uint32_t i = 1; atomic_load(&together) < CHILD_THREADS; i++)
		if (i % 1000 == 0)
			sched_yield();
	EXPECT_IS(wait_one(inherited, 0), -ETIMEDOUT);
	return NULL;
}

static void begin_together(void *context)
{
	pthread_t threads[CHILD_THREADS];

	(void)context;
	for (uint32_t i = 0; i < CHILD_THREADS; i++)
		REQUIRE(pthread_create(&threads[i], NULL, wait_together, NULL) == 0);
	for (uint32_t i = 0; i < CHILD_THREADS; i++)
		EXPECT_IS(pthread_join(threads[i], NULL), 0);
}

/* Each made the set anew, and freed what its parent had. */
static void test_threads_of_a_child(void)
{
	struct world world = make_world(0);

	skip_with_sanitizer();
	add_objects(&world);
	EXPECT_IS(tenon_waitset_add_descriptor(world.set, world.pipe[0], POLLIN, PIPE, NULL), 0);
	/* So that there is something to be freed. */
	EXPECT_IS(wait_one(world.set, SECOND_NS / 1000), -ETIMEDOUT);
	inherited = world.set;
	for (uint32_t i = 0; i < CHILDREN; i++)
		contract_await(contract_start(begin_together, NULL));
	close_world(&world);
}

int main(void)
{
	static const struct contract_case cases[] = {
		{"who is told and does nothing keeps nobody", test_told_and_idle, NULL},
		{"who dies when it was woken leaves that to another", test_killed_when_woken, NULL},
		{"a child goes on with a set of its own", test_fork, NULL},
		{"threads of a child that come at once", test_threads_of_a_child, NULL},
		{"no thread takes from another what that one was told", test_two_threads, NULL},
	};

	return contract_main(cases, sizeof(cases) / sizeof(cases[0]));
}
