/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Operations of waitsets whose n-th system call fails: see failing_sweep.h.  What has failed has taken nothing, and works
 * then; what it answers its header names; descriptors and mappings are as before when the set is closed.
 */

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tenon/waitset.h>

#include "../contract/sanitized.h"
#include "failing_sweep.h"

#define WAIT_NS 1000000
#define LONG_NS INT64_C(40000000000)
#define FAR_NS INT64_C(3600000000000)
#define VALUE 3u
#define EVENTS_MOST 8u

/* Members. */
#define QUEUE 1u
#define LOCK 2u
#define SEMAPHORE 4u
#define EVENT 8u
#define PROCESS 16u
#define TIMER 32u
#define DESCRIPTOR 64u
#define OBJECTS (QUEUE | LOCK | SEMAPHORE | EVENT)
#define ALL_KINDS 127u

struct world {
	struct tenon_queue *queue;
	struct tenon_lock *lock;
	struct tenon_semaphore *semaphore;
	struct tenon_event *event;
};

struct waiting {
	struct world world, watch;
	struct tenon_waitset *set;
	uint32_t member; /* the last one that was added */
	int descriptor;
	pid_t child;
};

struct waitset_operation {
	const char *name;
	int (*run)(struct waiting *state);
	int normal;
	uint32_t flags, members, ready; /* of the set; which of them */
	uint32_t taken;			/* by the wait */
	bool is_polled, is_inherited, no_set;
};

static struct world inherited;
static const struct waitset_operation *running;

static struct world open_world(void)
{
	struct tenon_semaphore_options options = {.size = sizeof(options), .value = VALUE};
	struct world world;

	if (tenon_queue_open(NULL, "/q", TENON_CREATE, NULL, &world.queue) != 0 ||
	    tenon_lock_open(NULL, "/l", TENON_CREATE, NULL, &world.lock) != 0 ||
	    tenon_semaphore_open(NULL, "/s", TENON_CREATE, &options, &world.semaphore) != 0 ||
	    tenon_event_open(NULL, "/e", TENON_CREATE, NULL, &world.event) != 0)
		failing_wrong("cannot be opened", 0);
	return world;
}

static void close_world(struct world *world)
{
	world->queue = tenon_queue_close(world->queue);
	world->lock = tenon_lock_close(world->lock);
	world->semaphore = tenon_semaphore_close(world->semaphore);
	world->event = tenon_event_close(world->event);
}

/* One kind of member; `user` is its bit. */
static int add(struct waiting *state, uint32_t kind)
{
	struct world *world = &state->world;
	struct tenon_waitset *set = state->set;
	uint32_t *member = &state->member;
	bool due = running->ready & TIMER;

	switch (kind) {
	case QUEUE:
		return tenon_waitset_add_queue(set, world->queue, TENON_READABLE, kind, member);
	case LOCK:
		return tenon_waitset_add_lock(set, world->lock, kind, member);
	case SEMAPHORE:
		return tenon_waitset_add_semaphore(set, world->semaphore, VALUE,
						   TENON_SEMAPHORE_UNDO, kind, member);
	case EVENT:
		return tenon_waitset_add_event(set, world->event, kind, member);
	case PROCESS:
		return tenon_waitset_add_process(set, state->child, kind, member);
	case TIMER:
		return tenon_waitset_add_timer(set, due ? 0 : tenon_deadline_after(FAR_NS), 0, kind,
					       member);
	default:
		return tenon_waitset_add_descriptor(set, state->descriptor, POLLIN, kind, member);
	}
}

/* Operations. */

static int create(struct waiting *state)
{
	return tenon_waitset_create(0, &state->set);
}

static int add_last(struct waiting *state)
{
	return add(state, running->taken);
}

static int remove_last(struct waiting *state)
{
	return tenon_waitset_remove(state->set, state->member);
}

static int poll_it(struct waiting *state)
{
	int fd;

	return tenon_waitset_fd(state->set, &fd);
}

static void check_taken(const struct tenon_waitset_event *events, uint32_t count)
{
	uint32_t taken = 0;

	for (uint32_t i = 0; i < count; i++) {
		if (events[i].result != 0)
			failing_told(events[i].result, (const int[]){FAILING_LIST_END});
		taken |= (uint32_t)events[i].user;
	}
	if (count == 0 || taken & ~running->taken)
		failing_wrong("told of what is not ready", (int)taken);
}

static int wait_once(struct waiting *state)
{
	struct tenon_waitset_event events[EVENTS_MOST];
	uint32_t count = 0;
	/* What is not in vain may take its time. */
	int64_t wait_ns = running->normal == -ETIMEDOUT ? WAIT_NS : LONG_NS;
	int result = tenon_waitset_wait(state->set, tenon_deadline_after(wait_ns), events,
					EVENTS_MOST, &count);

	if (result != 0)
		return result;
	check_taken(events, count);
	for (uint32_t i = 0; i < count; i++)
		if (events[i].result != 0)
			result = events[i].result;
	/* What was had beside the one that failed is given back, as a program would. */
	for (uint32_t i = 0; result != 0 && i < count; i++) {
		if (events[i].result == 0 && events[i].user == LOCK)
			tenon_lock_release(state->world.lock);
		if (events[i].result == 0 && events[i].user == SEMAPHORE)
			tenon_semaphore_release(state->world.semaphore, VALUE, TENON_SEMAPHORE_UNDO,
						NULL);
		if (events[i].result == 0 && events[i].user == EVENT)
			tenon_event_set(state->world.event);
	}
	return result;
}

static int close_it(struct waiting *state)
{
	state->set = tenon_waitset_close(state->set);
	return 0;
}

static const struct waitset_operation operations[] = {
	{"create", create, .no_set = true},
	{"add a queue", add_last, .taken = QUEUE},
	{"add a lock", add_last, .taken = LOCK},
	{"add a process", add_last, .members = LOCK, .taken = PROCESS},
	{"add a descriptor", add_last, .members = LOCK, .taken = DESCRIPTOR},
	{"add a process while polled", add_last, .members = LOCK, .taken = PROCESS,
	 .is_polled = true},
	{"add an event while polled", add_last, .members = LOCK, .taken = EVENT, .is_polled = true},
	{"remove a process", remove_last, .members = EVENT | PROCESS},
	{"remove a descriptor while polled", remove_last, .members = EVENT | DESCRIPTOR,
	 .is_polled = true},
	{"fd", poll_it, .members = ALL_KINDS},
	{"fd of a set for all", poll_it, .flags = TENON_WAITSET_ALL, .members = OBJECTS | TIMER},
	{"wait for a queue", wait_once, .members = QUEUE, .ready = QUEUE, .taken = QUEUE},
	{"wait for a lock", wait_once, .members = LOCK, .ready = LOCK, .taken = LOCK},
	{"wait for a semaphore", wait_once, .members = SEMAPHORE, .ready = SEMAPHORE,
	 .taken = SEMAPHORE},
	{"wait for an event", wait_once, .members = EVENT, .ready = EVENT, .taken = EVENT},
	{"wait for a timer", wait_once, .members = TIMER, .ready = TIMER, .taken = TIMER},
	{"wait for a descriptor", wait_once, .members = OBJECTS | DESCRIPTOR, .ready = DESCRIPTOR,
	 .taken = DESCRIPTOR},
	{"wait for a process", wait_once, .members = OBJECTS | PROCESS, .ready = PROCESS,
	 .taken = PROCESS},
	{"wait in vain", wait_once, -ETIMEDOUT, .members = OBJECTS | TIMER},
	{"wait in vain for a timer", wait_once, -ETIMEDOUT, .members = TIMER},
	{"wait in vain for descriptors, too", wait_once, -ETIMEDOUT, .members = ALL_KINDS},
	{"wait in vain while polled", wait_once, -ETIMEDOUT, .members = OBJECTS, .is_polled = true},
	{"wait in a child", wait_once, .members = OBJECTS, .ready = SEMAPHORE, .taken = SEMAPHORE,
	 .is_inherited = true},
	{"wait in vain in a child", wait_once, -ETIMEDOUT, .members = OBJECTS,
	 .is_inherited = true},
	{"wait for all", wait_once, .flags = TENON_WAITSET_ALL, .members = ALL_KINDS,
	 .ready = ALL_KINDS, .taken = ALL_KINDS},
	{"wait for all in a child", wait_once, .flags = TENON_WAITSET_ALL, .members = OBJECTS,
	 .ready = OBJECTS, .taken = OBJECTS, .is_inherited = true},
	{"wait for all in vain", wait_once, -ETIMEDOUT, .flags = TENON_WAITSET_ALL,
	 .members = OBJECTS, .ready = LOCK | SEMAPHORE | EVENT},
	{"wait for all in vain, and a descriptor", wait_once, -ETIMEDOUT,
	 .flags = TENON_WAITSET_ALL, .members = OBJECTS | DESCRIPTOR, .ready = OBJECTS},
	{"close", close_it, .members = ALL_KINDS},
	{"close while polled", close_it, .members = ALL_KINDS, .is_polled = true},
};

/* What is to be ready is, by the watching handles, which keep the rest. */
static void make_ready(const struct world *watch, int descriptor)
{
	uint32_t ready = running->ready;
	uint64_t one = 1;

	if ((ready & QUEUE && tenon_queue_send(watch->queue, "message", 7, NULL) != 0) ||
	    (!(ready & LOCK) && tenon_lock_acquire(watch->lock, TENON_NO_DEADLINE) != 0) ||
	    (!(ready & SEMAPHORE) &&
	     tenon_semaphore_acquire(watch->semaphore, 1, 0, TENON_NO_DEADLINE) != 0) ||
	    (ready & EVENT && tenon_event_set(watch->event) != 0) ||
	    (ready & DESCRIPTOR && write(descriptor, &one, sizeof(one)) != sizeof(one)))
		failing_wrong("cannot be made ready", 0);
}

static pid_t start_child(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	if (running->ready & PROCESS) {
		siginfo_t ended;

		kill(pid, SIGKILL);
		waitid(P_PID, (id_t)pid, &ended, WEXITED | WNOWAIT);
	}
	return pid;
}

/* As others see it. */
static void expect_taken(const struct world *watch, uint32_t taken)
{
	uint32_t kept = running->ready & SEMAPHORE ? 0 : 1, value = 99;
	struct tenon_event_status event = {.size = sizeof(event)};
	struct tenon_queue_status queue = {.size = sizeof(queue)};
	struct tenon_lock_status lock = {.size = sizeof(lock)};

	if (tenon_semaphore_value(watch->semaphore, &value) != 0 ||
	    value != (taken & SEMAPHORE ? 0 : VALUE - kept))
		failing_wrong("the semaphore's count", (int)value);
	if (tenon_event_status(watch->event, &event) != 0 ||
	    event.is_set != (running->ready & EVENT && !(taken & EVENT)))
		failing_wrong("the event", (int)event.is_set);
	if (tenon_lock_status(watch->lock, &lock) != 0 ||
	    (lock.owner_pid != 0) != (taken & LOCK || !(running->ready & LOCK)))
		failing_wrong("the lock's owner", lock.owner_pid);
	if (tenon_queue_status(watch->queue, &queue) != 0 ||
	    queue.messages != (running->ready & QUEUE ? 1 : 0))
		failing_wrong("the queue's messages", (int)queue.messages);
}

static void prepare(struct waiting *state)
{
	if (!running->no_set && tenon_waitset_create(running->flags, &state->set) != 0)
		failing_wrong("no set", 0);
	for (uint32_t kind = 1; kind <= DESCRIPTOR; kind *= 2)
		if (running->members & kind && add(state, kind) != 0)
			failing_wrong("cannot be a member", (int)kind);
	if (running->is_polled && poll_it(state) != 0)
		failing_wrong("no descriptor to poll", 0);
}

/* Others use what was taken when its taker has let go. */
static void prove(struct waiting *state)
{
	close_world(&state->world);
	if (running->ready & SEMAPHORE &&
	    tenon_semaphore_try(state->watch.semaphore, VALUE, 0) != 0)
		failing_wrong("the semaphore is not to be had", 0);
	if (running->ready & LOCK) {
		int result = tenon_lock_try(state->watch.lock);

		if (result != 0 && result != -EOWNERDEAD)
			failing_wrong("the lock is not to be had", result);
	}
}

/* In the traced process. */
static void scenario(void *context)
{
	struct waiting state = {.descriptor = eventfd(0, EFD_CLOEXEC)};
	bool waits;
	int before, result;

	running = &operations[*(const uint32_t *)context];
	waits = running->run == wait_once;
	state.watch = open_world();
	state.world = running->is_inherited ? inherited : open_world();
	state.child = start_child();
	make_ready(&state.watch, state.descriptor);
	before = failing_count_descriptors();
	prepare(&state);
	failing_begin();
	result = running->run(&state);
	failing_end();

	if (result != running->normal) {
		failing_told(result,
			     (const int[]){-EAGAIN, waits ? -ETIMEDOUT : 0, FAILING_LIST_END});
		if (waits)
			expect_taken(&state.watch, 0);
		result = running->run(&state);
		if (result != running->normal)
			failing_wrong("works no more", result);
	}
	expect_taken(&state.watch, waits && running->normal == 0 ? running->taken : 0);
	state.set = tenon_waitset_close(state.set);
	/* The descriptors of a set go with it. */
	if (!running->is_inherited && failing_count_descriptors() > before)
		failing_wrong("descriptors are left", failing_count_descriptors() - before);
	prove(&state);
	kill(state.child, SIGKILL);
	waitpid(state.child, NULL, 0);
	_exit(0);
}

static const char *name_of(uint32_t operation)
{
	return operations[operation].name;
}

static void inherit(uint32_t operation)
{
	running = &operations[operation];
	inherited = (struct world){.queue = NULL};
	if (running->is_inherited)
		inherited = open_world();
}

static void clean(void)
{
	close_world(&inherited);
	tenon_queue_remove(NULL, "/q");
	tenon_lock_remove(NULL, "/l");
	tenon_semaphore_remove(NULL, "/s");
	tenon_event_remove(NULL, "/e");
}

int main(int argc, char **argv)
{
	static const struct failing_set set = {.operations = sizeof(operations) /
							     sizeof(operations[0]),
					       .name = name_of,
					       .scenario = scenario,
					       .inherit = inherit,
					       .clean = clean};

	/* A sanitizer ends the process when it gets no memory for a thread. */
	if (IS_SANITIZED) {
		printf("1..0 # SKIP what threads are made of fails, and the sanitizer with it\n");
		return 0;
	}
	return failing_sweep_main(argc, argv, &set);
}
