/* SPDX-License-Identifier: Apache-2.0 */

/* Who waits in a waitset, and is killed, or does nothing, or is a child: others get what it was woken for. */

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "waitset_world.h"

/* Nobody waits for a timer; the shortest there is anywhere is of 100 ms. */
#define AT_ONCE_NS (SECOND_NS / 11)

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
		late += now_ns() - since_ns > AT_ONCE_NS;
		contract_kill(idle);
	}
	EXPECT(late < 5);
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
		late += now_ns() - since_ns > AT_ONCE_NS;
		while (tenon_semaphore_try(world.semaphore, 1, 0) == 0)
			;
	}
	EXPECT(late < 20);
	close_world(&world);
}

static struct tenon_waitset *inherited;

static void use_inherited(void *context)
{
	int fd;

	(void)context;
	EXPECT_IS(wait_one(inherited, 0), -ETIMEDOUT);
	EXPECT_IS(tenon_waitset_fd(inherited, &fd), 0);
	EXPECT_IS(wait_one(inherited, LIMIT_NS), EVENT);
	inherited = tenon_waitset_close(inherited);
}

static void test_fork(void)
{
	struct world world = make_world(0);
	pid_t child;
	int fd;

	add_objects(&world);
	EXPECT_IS(tenon_waitset_fd(world.set, &fd), 0);
	EXPECT_IS(wait_one(world.set, 0), -ETIMEDOUT);
	inherited = world.set;
	child = contract_start(use_inherited, NULL);
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

int main(void)
{
	static const struct contract_case cases[] = {
		{"who is told and does nothing keeps nobody", test_told_and_idle, NULL},
		{"who dies when it was woken leaves that to another", test_killed_when_woken, NULL},
		{"a child goes on with a set of its own", test_fork, NULL},
	};

	return contract_main(cases, sizeof(cases) / sizeof(cases[0]));
}
