/* SPDX-License-Identifier: Apache-2.0 */

/* What a waitset promises. */

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <tenon/region.h>

#include "waitset_world.h"

#define WAIT_NS (SECOND_NS / 50)

#if defined(__has_feature)
#define IS_SANITIZED (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_SANITIZED 1
#else
#define IS_SANITIZED 0
#endif

static void test_bad_input(void)
{
	struct world world = make_world(0);
	struct tenon_waitset_event event;
	uint32_t count, member;
	int fd;

	EXPECT_IS(tenon_waitset_create(2, &world.set), -EINVAL);
	EXPECT_IS(tenon_waitset_create(0, NULL), -EINVAL);
	EXPECT_IS(tenon_waitset_wait(world.set, 0, &event, 1, &count), -EINVAL);
	EXPECT_IS(tenon_waitset_add_queue(world.set, world.queue, 0, 1, NULL), -EINVAL);
	EXPECT_IS(tenon_waitset_add_queue(world.set, NULL, TENON_READABLE, 1, NULL), -EINVAL);
	EXPECT_IS(tenon_waitset_add_queue(NULL, world.queue, TENON_READABLE, 1, NULL), -EINVAL);
	EXPECT_IS(tenon_waitset_add_lock(world.set, NULL, 1, NULL), -EINVAL);
	EXPECT_IS(tenon_waitset_add_semaphore(world.set, world.semaphore, 0, 0, 1, NULL), -EINVAL);
	EXPECT_IS(tenon_waitset_add_semaphore(world.set, world.semaphore, 1, 8, 1, NULL), -EINVAL);
	EXPECT_IS(tenon_waitset_add_event(world.set, NULL, 1, NULL), -EINVAL);
	EXPECT_IS(tenon_waitset_add_process(world.set, 0, 1, NULL), -EINVAL);
	EXPECT_IS(tenon_waitset_add_process(world.set, 0x3ffffffe, 1, NULL), -ESRCH);
	EXPECT_IS(tenon_waitset_add_descriptor(world.set, -1, POLLIN, 1, NULL), -EBADF);
	EXPECT_IS(tenon_waitset_add_timer(world.set, 5, -1, 1, NULL), -EINVAL);
	EXPECT_IS(tenon_waitset_remove(world.set, 0), -ENOENT);
	EXPECT_IS(tenon_waitset_add_event(world.set, world.event, EVENT, &member), 0);
	EXPECT_IS(tenon_waitset_wait(world.set, 0, &event, 0, &count), -EINVAL);
	EXPECT_IS(tenon_waitset_wait(world.set, 0, NULL, 1, &count), -EINVAL);
	EXPECT_IS(tenon_waitset_wait(world.set, 0, &event, 1, NULL), -EINVAL);
	EXPECT_IS(tenon_waitset_wait(NULL, 0, &event, 1, &count), -EINVAL);
	EXPECT_IS(tenon_waitset_fd(NULL, &fd), -EINVAL);
	EXPECT_IS(tenon_waitset_fd(world.set, NULL), -EINVAL);
	EXPECT_IS(tenon_waitset_wait(world.set, 0, &event, 1, &count), -ETIMEDOUT);
	EXPECT_IS(tenon_waitset_remove(world.set, member), 0);
	EXPECT_IS(tenon_waitset_remove(world.set, member), -ENOENT);
	EXPECT(!tenon_waitset_close(NULL));
	close_world(&world);
}

/* What is ready is told of, and taken if its kind is. */
static void expect_each(struct world *world)
{
	struct tenon_waitset_event events[8];
	uint32_t count;

	EXPECT_IS(wait_one(world->set, WAIT_NS), -ETIMEDOUT);
	EXPECT_IS(contract_send(world->queue, 1, LIMIT_NS), 0);
	for (uint32_t i = 0; i < 2; i++)
		EXPECT_IS(wait_one(world->set, LIMIT_NS), QUEUE);
	EXPECT_IS(tenon_semaphore_release(world->semaphore, 3, 0, NULL), 0);
	EXPECT_IS(tenon_event_set(world->event), 0);
	EXPECT_IS(tenon_waitset_wait(world->set, 0, events, 8, &count), 0);
	EXPECT_IS(count, 3);
	for (uint32_t i = 0; i < count; i++)
		EXPECT_IS(events[i].events, events[i].user == QUEUE ? TENON_READABLE : 0);
	EXPECT_IS(wait_one(world->set, 0), QUEUE);
	EXPECT_IS(contract_receive(world->queue, &(uint64_t){0}, 0), 0);
	EXPECT_IS(wait_one(world->set, 0), -ETIMEDOUT);
	EXPECT_IS(tenon_semaphore_release(world->semaphore, 1, 0, NULL), 0);
	EXPECT_IS(wait_one(world->set, 0), SEMAPHORE);
	EXPECT_IS(wait_one(world->set, WAIT_NS), -ETIMEDOUT);
}

static void test_each_object(void)
{
	struct world world = make_world(0);

	add_objects(&world);
	expect_each(&world);
	/* The same beside a descriptor, where others wait in the caller's stead. */
	EXPECT_IS(tenon_waitset_add_descriptor(world.set, world.pipe[0], POLLIN, PIPE, NULL), 0);
	expect_each(&world);
	EXPECT_IS(write(world.pipe[1], "x", 1), 1);
	for (uint32_t i = 0; i < 2; i++)
		EXPECT_IS(wait_one(world.set, LIMIT_NS), PIPE);
	close_world(&world);
}

/* What is always ready hides nothing: an object no descriptor, and none an object. */
static void test_in_turn(void)
{
	struct world world = make_world(0);
	uint32_t told[8] = {0};

	EXPECT_IS(tenon_waitset_add_queue(world.set, world.queue, TENON_WRITABLE, QUEUE, NULL), 0);
	EXPECT_IS(tenon_waitset_add_descriptor(world.set, world.pipe[1], POLLOUT, PIPE, NULL), 0);
	EXPECT_IS(tenon_semaphore_release(world.semaphore, 1000, 0, NULL), 0);
	EXPECT_IS(tenon_waitset_add_semaphore(world.set, world.semaphore, 1, 0, SEMAPHORE, NULL),
		  0);
	for (uint32_t i = 0; i < 1000; i++)
		told[(wait_one(world.set, 0) - QUEUE) & 7]++;
	EXPECT(told[0] > 100 && told[SEMAPHORE - QUEUE] > 100 && told[PIPE - QUEUE] > 10);
	close_world(&world);
}

static int64_t used_ns(void)
{
	struct timespec used;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	return used.tv_sec * SECOND_NS + used.tv_nsec;
}

/* A set for all takes each object once, and sleeps when a part of it is ready. */
static void test_all_in_part(void)
{
	struct world world = make_world(TENON_WAITSET_ALL);
	struct tenon_waitset_event events[8];
	uint32_t count, member;
	int64_t before_ns;

	EXPECT_IS(tenon_waitset_add_event(world.set, world.event, EVENT, &member), 0);
	EXPECT_IS(tenon_waitset_add_event(world.set, world.event, EVENT, NULL), -EEXIST);
	EXPECT_IS(tenon_waitset_add_descriptor(world.set, world.pipe[0], POLLIN, PIPE, NULL), 0);
	EXPECT_IS(tenon_waitset_add_descriptor(world.set, world.pipe[0], POLLIN, PIPE, NULL),
		  -EEXIST);
	EXPECT_IS(tenon_waitset_add_timer(world.set, 0, INT64_MAX / 4 + 1, TIMER, NULL), -EINVAL);
	EXPECT_IS(tenon_waitset_add_timer(world.set, 0, INT64_MAX / 4, TIMER, NULL), 0);
	for (uint32_t part = 0; part < 2; part++) {
		if (part == 0)
			EXPECT_IS(tenon_event_set(world.event), 0);
		before_ns = used_ns();
		EXPECT_IS(tenon_waitset_wait(world.set, tenon_deadline_after(SECOND_NS / 4), events,
					     8, &count),
			  -ETIMEDOUT);
		EXPECT(used_ns() - before_ns < SECOND_NS / 20);
		if (part == 0) {
			EXPECT_IS(tenon_event_wait(world.event, 0), 0);
			EXPECT_IS(write(world.pipe[1], "x", 1), 1);
		}
	}
	EXPECT_IS(tenon_event_set(world.event), 0);
	EXPECT_IS(tenon_waitset_wait(world.set, 0, events, 8, &count), 0);
	EXPECT_IS(count, 3);
	EXPECT_IS(tenon_waitset_wait(world.set, 0, events, 8, &count), -ETIMEDOUT);
	close_world(&world);
}

static int64_t now_ns(void)
{
	return tenon_deadline_after(0);
}

static void end_when_told(void *context)
{
	char byte;

	(void)!read(*(int *)context, &byte, 1);
}

static void test_timers_and_processes(void)
{
	struct world world = make_world(0);
	int64_t start_ns = now_ns(), period_ns = WAIT_NS / 2, found;
	uint32_t timer;
	pid_t child = contract_start(end_when_told, &world.pipe[0]);

	EXPECT_IS(tenon_waitset_add_timer(world.set, start_ns + WAIT_NS, 0, TIMER, &timer), 0);
	found = wait_one(world.set, 0);
	/* It may be due already, on a busy machine. */
	if (now_ns() - start_ns < WAIT_NS)
		EXPECT_IS(found, -ETIMEDOUT);
	if (found == -ETIMEDOUT)
		found = wait_one(world.set, LIMIT_NS);
	EXPECT_IS(found, TIMER);
	EXPECT(now_ns() - start_ns >= WAIT_NS);
	EXPECT_IS(wait_one(world.set, WAIT_NS), -ETIMEDOUT);
	EXPECT_IS(tenon_waitset_remove(world.set, timer), 0);
	start_ns = now_ns();
	EXPECT_IS(tenon_waitset_add_timer(world.set, start_ns, period_ns, TIMER, &timer), 0);
	add_objects(&world);
	for (uint32_t i = 0; i < 4; i++)
		EXPECT_IS(wait_one(world.set, LIMIT_NS), TIMER);
	EXPECT(now_ns() - start_ns >= 3 * period_ns);
	EXPECT_IS(tenon_waitset_add_process(world.set, child, PROCESS, NULL), 0);
	EXPECT_IS(wait_one(world.set, LIMIT_NS), TIMER);
	EXPECT_IS(tenon_waitset_remove(world.set, timer), 0);
	EXPECT_IS(wait_one(world.set, WAIT_NS), -ETIMEDOUT);
	EXPECT_IS(write(world.pipe[1], "x", 1), 1);
	for (uint32_t i = 0; i < 2; i++)
		EXPECT_IS(wait_one(world.set, LIMIT_NS), PROCESS);
	contract_await(child);
	EXPECT_IS(wait_one(world.set, LIMIT_NS), PROCESS);
	close_world(&world);
}

static void hold_and_stay(void *context)
{
	struct world world = open_world(0);

	(void)context;
	EXPECT_IS(tenon_lock_acquire(world.lock, tenon_deadline_after(LIMIT_NS)), 0);
	for (;;)
		pause();
}

static void await_owner(struct tenon_lock *lock)
{
	struct tenon_lock_status status = {.size = sizeof(status)};

	while (status.owner_pid == 0)
		EXPECT_IS(tenon_lock_status(lock, &status), 0);
}

static void kill_later(void *context)
{
	struct tenon_lock_status status = {.size = sizeof(status)};
	struct world world = open_world(0);

	while (status.waiting == 0)
		EXPECT_IS(tenon_lock_status(world.lock, &status), 0);
	kill(*(pid_t *)context, SIGKILL);
}

/* A lock is acquired, also from a dead one, of which it is told. */
static void test_locks(void)
{
	struct world world = make_world(0);
	struct tenon_waitset_event event;
	uint32_t count;

	EXPECT_IS(tenon_waitset_add_lock(world.set, world.lock, LOCK, NULL), 0);
	add_objects(&world);
	EXPECT_IS(wait_one(world.set, 0), LOCK);
	EXPECT_IS(wait_one(world.set, WAIT_NS), -ETIMEDOUT);
	EXPECT_IS(tenon_lock_release(world.lock), 0);
	for (uint32_t round = 0; round < 20; round++) {
		pid_t holder = contract_start(hold_and_stay, NULL), killer;

		await_owner(world.lock);
		EXPECT_IS(wait_one(world.set, 0), -ETIMEDOUT);
		killer = contract_start(kill_later, &holder);
		EXPECT_IS(tenon_waitset_wait(world.set, tenon_deadline_after(LIMIT_NS), &event, 1,
					     &count),
			  0);
		EXPECT_IS(event.user, LOCK);
		EXPECT_IS(event.result, -EOWNERDEAD);
		EXPECT_IS(tenon_lock_repaired(world.lock), 0);
		EXPECT_IS(tenon_lock_release(world.lock), 0);
		contract_await(killer);
		contract_kill(holder);
	}
	EXPECT_IS(wait_one(world.set, 0), LOCK);
	EXPECT_IS(tenon_lock_lost(world.lock), 0);
	EXPECT_IS(tenon_waitset_wait(world.set, 0, &event, 1, &count), 0);
	EXPECT_IS(event.result, -ENOTRECOVERABLE);
	close_world(&world);
}

static uint32_t value_of(struct tenon_semaphore *semaphore)
{
	uint32_t value = 99;

	EXPECT_IS(tenon_semaphore_value(semaphore, &value), 0);
	return value;
}

static void release_later(void *context)
{
	struct tenon_semaphore_status status = {.size = sizeof(status)};
	struct world world = open_world(0);

	(void)context;
	while (status.waiting == 0)
		EXPECT_IS(tenon_semaphore_status(world.semaphore, &status), 0);
	EXPECT_IS(tenon_event_set(world.event), 0);
	EXPECT_IS(tenon_semaphore_release(world.semaphore, 1, 0, NULL), 0);
	EXPECT_IS(contract_send(world.queue, 1, LIMIT_NS), 0);
	EXPECT_IS(tenon_semaphore_release(world.semaphore, 1, 0, NULL), 0);
}

/* Nothing is taken unless all can be. */
static void test_all(void)
{
	struct world world = make_world(TENON_WAITSET_ALL);
	struct tenon_waitset_event events[8];
	pid_t child;
	uint32_t count, seen = 0;

	add_objects(&world);
	EXPECT_IS(tenon_waitset_add_lock(world.set, world.lock, LOCK, NULL), 0);
	EXPECT_IS(tenon_waitset_wait(world.set, 0, events, 3, &count), -EINVAL);
	EXPECT_IS(tenon_event_set(world.event), 0);
	EXPECT_IS(tenon_semaphore_release(world.semaphore, 2, 0, NULL), 0);
	EXPECT_IS(tenon_waitset_wait(world.set, tenon_deadline_after(WAIT_NS), events, 8, &count),
		  -ETIMEDOUT);
	EXPECT_IS(value_of(world.semaphore), 2);
	EXPECT_IS(tenon_event_wait(world.event, 0), 0);
	EXPECT_IS(tenon_semaphore_try(world.semaphore, 2, 0), 0);
	EXPECT_IS(tenon_lock_release(world.lock), -EPERM);
	child = contract_start(release_later, NULL);
	EXPECT_IS(tenon_waitset_wait(world.set, tenon_deadline_after(LIMIT_NS), events, 8, &count),
		  0);
	EXPECT_IS(count, 4);
	for (uint32_t i = 0; i < count; i++)
		seen |= 1u << (events[i].user - QUEUE);
	EXPECT_IS(seen, 0xf);
	EXPECT_IS(value_of(world.semaphore), 0);
	EXPECT_IS(tenon_event_wait(world.event, 0), -ETIMEDOUT);
	EXPECT_IS(tenon_lock_release(world.lock), 0);
	contract_await(child);
	/* And beside a descriptor. */
	EXPECT_IS(tenon_waitset_add_descriptor(world.set, world.pipe[0], POLLIN, PIPE, NULL), 0);
	child = contract_start(release_later, NULL);
	EXPECT_IS(tenon_waitset_wait(world.set, tenon_deadline_after(WAIT_NS), events, 8, &count),
		  -ETIMEDOUT);
	EXPECT_IS(write(world.pipe[1], "x", 1), 1);
	EXPECT_IS(tenon_waitset_wait(world.set, tenon_deadline_after(LIMIT_NS), events, 8, &count),
		  0);
	EXPECT_IS(count, 5);
	EXPECT_IS(tenon_lock_release(world.lock), 0);
	contract_await(child);
	close_world(&world);
}

/* Itself polled: readable when something may be ready. */
static void test_polled(void)
{
	struct world world = make_world(0);
	struct pollfd entry = {.events = POLLIN};
	int64_t due_ns, looked_ns, found;
	uint32_t timer;

	add_objects(&world);
	EXPECT_IS(tenon_waitset_fd(world.set, &entry.fd), 0);
	EXPECT_IS(tenon_waitset_add_descriptor(world.set, world.pipe[0], POLLIN, PIPE, NULL), 0);
	EXPECT_IS(wait_one(world.set, 0), -ETIMEDOUT);
	/* A member that was refused left nobody to tell. */
	EXPECT_IS(tenon_waitset_add_descriptor(world.set, world.pipe[0], POLLIN, PIPE, NULL),
		  -EEXIST);
	for (uint32_t round = 0; round < 200; round++) {
		pid_t child = 0;

		/* It may be, for what was just taken: then nothing is found, and it tells anew. */
		if (poll(&entry, 1, round < 3 ? 20 : 0) == 1)
			EXPECT_IS(wait_one(world.set, 0), -ETIMEDOUT);
		switch (round % 4) {
		case 0:
			EXPECT_IS(tenon_event_set(world.event), 0);
			break;
		case 1:
			EXPECT_IS(contract_send(world.queue, 1, LIMIT_NS), 0);
			break;
		case 2:
			EXPECT_IS(write(world.pipe[1], "x", 1), 1);
			break;
		default:
			child = contract_start(release_later, NULL);
		}
		EXPECT_IS(poll(&entry, 1, 10000), 1);
		if (child)
			contract_await(child);
		while (wait_one(world.set, 0) != -ETIMEDOUT) {
			char byte;

			contract_receive(world.queue, &(uint64_t){0}, 0);
			if (round % 4 == 2)
				EXPECT_IS(read(world.pipe[0], &byte, 1), 1);
		}
	}
	due_ns = now_ns() + WAIT_NS;
	EXPECT_IS(tenon_waitset_add_timer(world.set, due_ns, 0, TIMER, &timer), 0);
	/* And here. */
	do {
		EXPECT_IS(poll(&entry, 1, 10000), 1);
		looked_ns = now_ns();
		found = wait_one(world.set, 0);
	} while (found == -ETIMEDOUT && looked_ns < due_ns);
	EXPECT_IS(found, TIMER);
	EXPECT_IS(wait_one(world.set, 0), -ETIMEDOUT);
	EXPECT(poll(&entry, 1, 20) == 0 || wait_one(world.set, 0) == -ETIMEDOUT);
	close_world(&world);
}

#define MANY 200u

/* More than one thread can sleep for. */
static void test_many(void)
{
	struct tenon_event *events[MANY];
	struct tenon_waitset *set;
	char name[16];

	EXPECT_IS(tenon_waitset_create(0, &set), 0);
	for (uint32_t i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "/e%u", i);
		EXPECT_IS(tenon_event_open(contract_folder, name, TENON_CREATE, NULL, &events[i]),
			  0);
		EXPECT_IS(tenon_waitset_add_event(set, events[i], i, NULL), 0);
	}
	EXPECT_IS(wait_one(set, WAIT_NS), -ETIMEDOUT);
	for (uint32_t i = 0; i < MANY; i += 7) {
		EXPECT_IS(tenon_event_set(events[i]), 0);
		EXPECT_IS(wait_one(set, LIMIT_NS), i);
	}
	EXPECT_IS(wait_one(set, WAIT_NS), -ETIMEDOUT);
	set = tenon_waitset_close(set);
	for (uint32_t i = 0; i < MANY; i++)
		events[i] = tenon_event_close(events[i]);
}

static void on_signal(int signal)
{
	(void)signal;
}

static void interrupt_me(void *context)
{
	struct tenon_event_status status = {.size = sizeof(status)};
	struct world world = open_world(0);

	while (status.waiting == 0)
		EXPECT_IS(tenon_event_status(world.event, &status), 0);
	/* It may not sleep yet, but in poll(2). */
	while (kill(*(pid_t *)context, SIGUSR1) == 0 && getppid() == *(pid_t *)context)
		sched_yield();
}

static void test_signals(void)
{
	struct sigaction action = {.sa_handler = on_signal};
	pid_t own = getpid(), child;

	sigaction(SIGUSR1, &action, NULL);
	for (uint32_t watched = 0; watched < 2; watched++) {
		struct world world = make_world(0);

		add_objects(&world);
		if (watched)
			EXPECT_IS(tenon_waitset_add_descriptor(world.set, world.pipe[0], POLLIN,
							       PIPE, NULL),
				  0);
		child = contract_start(interrupt_me, &own);
		EXPECT_IS(wait_one(world.set, LIMIT_NS), -EINTR);
		contract_kill(child);
		close_world(&world);
	}
}

/* A thread has room for 1024 locks in what the kernel looks at when it dies.  A set with one more was never told so, and
 * did not sleep either: "not now" was the same number. */
static void test_too_many_locks(void)
{
	const uint64_t place = TENON_PLACE_BYTES(1);
	struct tenon_region_options options = {
		.size = sizeof(options), .max_participants = 1, .bytes = 1024 * place};
	struct tenon_waitset_event event = {.result = 0};
	struct tenon_lock *locks[1025] = {NULL};
	struct tenon_waitset *set = NULL;
	struct tenon_region *regions[2];
	uint32_t count = 0, i;

	EXPECT_IS(tenon_region_open(contract_folder, "/0", TENON_CREATE, &options, &regions[0]), 0);
	EXPECT_IS(tenon_region_open(contract_folder, "/1", TENON_CREATE, &options, &regions[1]), 0);
	for (i = 0; i < 1025; i++) {
		EXPECT_IS(tenon_lock_open_at(regions[i / 1024], i % 1024 * place, TENON_CREATE,
					     NULL, &locks[i]),
			  0);
		if (tenon_lock_acquire(locks[i], 0) != 0)
			break;
		EXPECT_IS(tenon_lock_release(locks[i]), 0);
	}
	EXPECT(i <= 1024);
	REQUIRE(i <= 1024 && locks[i]);
	EXPECT_IS(tenon_waitset_create(0, &set), 0);
	EXPECT_IS(tenon_waitset_add_lock(set, locks[i], 1, NULL), 0);
	EXPECT_IS(tenon_waitset_wait(set, tenon_deadline_after(SECOND_NS), &event, 1, &count), 0);
	EXPECT_IS(event.result, -EAGAIN);
	set = tenon_waitset_close(set);
	for (i = 0; i < 1025; i++)
		locks[i] = tenon_lock_close(locks[i]);
	for (i = 0; i < 2; i++)
		regions[i] = tenon_region_close(regions[i]);
}

static void *wait_again_and_again(void *context)
{
	struct tenon_waitset_event event;
	uint32_t count;
	int result;

	for (;;) {
		result = tenon_waitset_wait(context, tenon_deadline_after(1000), &event, 1, &count);
		EXPECT_IS(result, -ETIMEDOUT);
		pthread_testcancel();
	}
	return NULL;
}

/* A thread that was cancelled in a wait kept the set from all others. */
static void test_cancelled(void)
{
	struct world world;
	pthread_t thread;

	if (IS_SANITIZED)
		contract_skip("sanitizers take a cancelled thread's stack for another's");
	world = make_world(0);
	EXPECT_IS(tenon_waitset_add_event(world.set, world.event, EVENT, NULL), 0);
	EXPECT_IS(tenon_waitset_add_descriptor(world.set, world.pipe[0], POLLIN, PIPE, NULL), 0);
	for (uint32_t i = 0; i < 300; i++) {
		REQUIRE(pthread_create(&thread, NULL, wait_again_and_again, world.set) == 0);
		nanosleep(&(struct timespec){.tv_nsec = 1000000 + i * 7000}, NULL);
		EXPECT_IS(pthread_cancel(thread), 0);
		pthread_join(thread, NULL);
	}
	close_world(&world);
}

int main(void)
{
	static const struct contract_case cases[] = {
		{"what cannot be is refused", test_bad_input, NULL},
		{"queues, semaphores, events, and a pipe", test_each_object, NULL},
		{"what is always ready hides nothing", test_in_turn, NULL},
		{"a set for all sleeps when a part of it is ready", test_all_in_part, NULL},
		{"timers and processes", test_timers_and_processes, NULL},
		{"locks, also of the dead", test_locks, NULL},
		{"all at once, or nothing", test_all, NULL},
		{"it can be polled", test_polled, NULL},
		{"more members than one thread can sleep for", test_many, NULL},
		{"a signal handler ends a wait", test_signals, NULL},
		{"a lock that cannot be had is told of", test_too_many_locks, NULL},
		{"a thread that waits is cancelled", test_cancelled, NULL},
	};

	return contract_main(cases, sizeof(cases) / sizeof(cases[0]));
}
