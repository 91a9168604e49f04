/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A victim dies, one comes who buries it and is stopped at any instruction of that, and then somebody wants what the victim
 * had: he does not take it for alive.  A barrier's round does not end with it; what it took with undo is there again.
 *
 * Victims die with the gate locked, and when they are done.  TAP.
 */

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <tenon/barrier.h>
#include <tenon/semaphore.h>
#include <tenon/semaphore_set.h>

#include "folder.h"
#include "object/sync.h"
#include "step.h"

#define NAME "/burial"
#define PATIENCE_NS INT64_C(20000000000)
#define WAIT_NS INT64_C(5000000)
#define WAIT_LOCKED_NS INT64_C(60000000) /* while another is stepped */
/* From one place to the next: of victims, and of these while they claim (object/turnstile.c, C3 to C5); of who buries them,
 * and of these while they do.  By default; "--all": 1. */
#define VICTIMS 60u
#define CLAIMING 3u
#define BURIERS 1000u
#define LOCKED 60u
#define ROUNDS 20u
#define STEPS_LIMIT 1000000u

/* Any of them; the others are NULL. */
struct handle {
	struct tenon_barrier *barrier;
	struct tenon_semaphore *semaphore;
	struct tenon_semaphore_set *set;
};

struct kind {
	const char *name;
	int (*open)(uint32_t flags, struct handle *ret_handle);
	void (*hold)(struct handle *handle); /* what is the victim's until it dies */
	int (*look)(struct handle *handle);  /* by which the dead are buried */
	int (*want)(struct handle *handle, int64_t timeout_ns);
	int wanted;	  /* what want() is to answer when the victim is dead */
	bool may_give_up; /* or that it could not within its time */
	bool may_sleep;	  /* hold() */
};

/* By another thread. */
struct asked {
	int result;
	atomic_bool is_answered;
};

static char folder[FOLDER_BYTES];
static const struct kind *kind;
static struct handle own, opened; /* the other by the victim */
static bool is_all;
static uint32_t points, points_locked;
static int failures;

static void expect(bool is_right, const char *what, uint64_t victim_point, uint64_t burier_point,
		   int result)
{
	if (is_right)
		return;
	printf("# %s: %s: victim %llu, burier %llu: %d\n", kind->name, what,
	       (unsigned long long)victim_point, (unsigned long long)burier_point, result);
	failures++;
}

static int open_barrier(uint32_t flags, struct handle *ret_handle)
{
	struct tenon_barrier_options options = {.size = sizeof(options), .count = 2};

	return tenon_barrier_open(folder, NAME, flags, &options, &ret_handle->barrier);
}

static void arrive(struct handle *handle)
{
	(void)!tenon_barrier_wait(handle->barrier, INT64_MAX, NULL);
}

static int look_at_barrier(struct handle *handle)
{
	struct tenon_barrier_status status = {.size = sizeof(status)};
	int result = tenon_barrier_status(handle->barrier, &status);

	return result != 0 ? result : status.arrived + status.rounds == 0 ? 0 : -EBUSY;
}

static int want_round(struct handle *handle, int64_t timeout_ns)
{
	return tenon_barrier_wait(handle->barrier, tenon_deadline_after(timeout_ns), NULL);
}

static int open_semaphore(uint32_t flags, struct handle *ret_handle)
{
	struct tenon_semaphore_options options = {.size = sizeof(options), .value = 1};

	return tenon_semaphore_open(folder, NAME, flags, &options, &ret_handle->semaphore);
}

static void acquire(struct handle *handle)
{
	(void)!tenon_semaphore_acquire(handle->semaphore, 1, TENON_SEMAPHORE_UNDO, INT64_MAX);
}

static int look_at_semaphore(struct handle *handle)
{
	struct tenon_semaphore_status status = {.size = sizeof(status)};
	int result = tenon_semaphore_status(handle->semaphore, &status);

	return result != 0 ? result : status.value == 1 ? 0 : -EBUSY;
}

static int try_and_release(struct handle *handle, int64_t timeout_ns)
{
	int result = tenon_semaphore_try(handle->semaphore, 1, 0);

	(void)timeout_ns;
	return result != 0 ? result : tenon_semaphore_release(handle->semaphore, 1, 0, NULL);
}

static int open_set(uint32_t flags, struct handle *ret_handle)
{
	struct tenon_semaphore_set_options options = {
		.size = sizeof(options), .count = 1, .maximum = 1, .value = 1};

	return tenon_semaphore_set_open(folder, NAME, flags, &options, &ret_handle->set);
}

static void operate_with_undo(struct handle *handle)
{
	struct tenon_semaphore_operation one = {0, -1, TENON_SEMAPHORE_SET_UNDO};

	(void)!tenon_semaphore_set_operate(handle->set, &one, 1, INT64_MAX);
}

static int look_at_set(struct handle *handle)
{
	uint32_t value = 0;
	int result = tenon_semaphore_set_get(handle->set, 0, &value);

	return result != 0 ? result : value == 1 ? 0 : -EBUSY;
}

static int operate_and_back(struct handle *handle, int64_t timeout_ns)
{
	struct tenon_semaphore_operation one = {0, -1, TENON_SEMAPHORE_SET_NOWAIT};
	int result = tenon_semaphore_set_operate(handle->set, &one, 1,
						 tenon_deadline_after(timeout_ns));

	one.change = 1;
	return result != 0 ? result
			   : tenon_semaphore_set_operate(handle->set, &one, 1,
							 tenon_deadline_after(PATIENCE_NS));
}

static const struct kind kinds[] = {
	{"a barrier", open_barrier, arrive, look_at_barrier, want_round, -ETIMEDOUT, false, true},
	{"a semaphore", open_semaphore, acquire, look_at_semaphore, try_and_release, 0, true,
	 false},
	{"a set of semaphores", open_set, operate_with_undo, look_at_set, operate_and_back, 0, true,
	 false},
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static const struct tni_sync *own_sync(void)
{
	return own.barrier     ? (const struct tni_sync *)own.barrier
	       : own.semaphore ? (const struct tni_sync *)own.semaphore
			       : (const struct tni_sync *)own.set;
}

/* The thread that has the gate locked; 0: none. */
static uint32_t gate_owner(void)
{
	return (uint32_t)tni_get64(&own_sync()->cell->gate.word) & TNI_GATE_OWNER;
}

/* Of the participant behind this one. */
static bool is_entry_locked(void)
{
	struct flock lock = {.l_type = F_WRLCK,
			     .l_whence = SEEK_SET,
			     .l_start = TNI_ENTRY_LOCK_OFFSET + 1,
			     .l_len = 1};

	return fcntl(own_sync()->object->fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

static int prepare(void *context)
{
	(void)context;
	return kind->open(0, &opened);
}

static void hold(void *context)
{
	(void)context;
	kind->hold(&opened);
}

static int prepare_nothing(void *context)
{
	(void)context;
	return 0;
}

/* With what it has inherited: it attaches, and buries whose entry it comes to have, or who is in its way. */
static void look(void *context)
{
	(void)context;
	(void)!kind->look(&own);
}

static struct step_plan victims_plan = {
	.prepare = prepare, .operate = hold, .jumps = true, .patience_ns = PATIENCE_NS};
static const struct step_plan buriers_plan = {
	.prepare = prepare_nothing, .operate = look, .patience_ns = PATIENCE_NS};

static bool set_stage(void)
{
	own = (struct handle){.barrier = NULL};
	return kind->open(TENON_CREATE | TENON_EXCLUSIVE, &own) == 0;
}

static void clear_stage(void)
{
	own.barrier = tenon_barrier_close(own.barrier);
	own.semaphore = tenon_semaphore_close(own.semaphore);
	own.set = tenon_semaphore_set_close(own.set);
	expect(folder_remove(folder) == 1 && folder_make(folder) == 0, "clearing", 0, 0, 0);
}

/* A run from its marker to its end, or to where it sleeps; and between which steps it has the gate or the victim's entry, and
 * claims. */
struct run {
	struct step_trace trace;
	struct range {
		uint64_t from, to;
	} locked, claiming;
};

static void extend(struct range *range, uint64_t step)
{
	range->from = range->from == 0 ? step : range->from;
	range->to = step;
}

static bool start_both(struct step_victim *burier, struct step_victim *victim)
{
	if (!set_stage() || step_start(burier, &buriers_plan) != 0)
		return false;
	if (step_start(victim, &victims_plan) == 0)
		return true;
	step_kill(burier);
	return false;
}

/* Of the burier, behind a victim that has died at `point`; or of the victim, if `victims` is NULL. */
static bool start(const struct run *victims, uint64_t point, struct step_victim *ret_one)
{
	struct step_victim burier, victim;

	if (!start_both(&burier, &victim))
		return false;
	if (victims)
		step_jump(&victim, &victims->trace, point);
	step_kill(victims ? &victim : &burier);
	*ret_one = victims ? burier : victim;
	return true;
}

static bool record_trace(const struct run *victims, uint64_t point, struct step_trace *ret_trace)
{
	enum step_end end = STEP_CRASHED;
	struct step_victim one;

	step_trace_free(ret_trace);
	if (start(victims, point, &one)) {
		end = step_record(&one, ret_trace, STEPS_LIMIT);
		step_kill(&one);
	}
	clear_stage();
	return end == STEP_FINISHED || end == STEP_ASLEEP;
}

static bool mark_ranges(const struct run *victims, uint64_t point, struct run *run)
{
	enum step_end end = STEP_STOPPED;
	struct step_victim one;
	uint64_t i = 1;

	run->locked = run->claiming = (struct range){0, 0};
	if (start(victims, point, &one)) {
		for (; i < run->trace.count && end == STEP_STOPPED; i++) {
			end = step_to(&one, i);
			if (gate_owner() == (uint32_t)one.pid || is_entry_locked())
				extend(&run->locked, i);
			/* A set has a journal instead. */
			if (!own.set &&
			    (tni_get64(&own_sync()->cell->turnstile.word) & TNI_TURNSTILE_CLAIMING))
				extend(&run->claiming, i);
		}
		step_kill(&one);
	}
	clear_stage();
	return (end != STEP_ASLEEP || i >= run->trace.slept) && run->locked.from > 0;
}

/* More than once where somebody was taken for asleep, for want of a processor. */
static bool record(const struct run *victims, uint64_t point, struct run *ret_run)
{
	*ret_run = (struct run){.locked = {0}};
	for (uint32_t round = 0; round < ROUNDS; round++)
		if (record_trace(victims, point, &ret_run->trace) &&
		    mark_ranges(victims, point, ret_run))
			return true;
	return false;
}

/* Meanwhile another thread lets the burier go on. */
static void *want_it(void *context)
{
	struct asked *asked = context;

	asked->result = kind->want(&own, WAIT_LOCKED_NS);
	atomic_store(&asked->is_answered, true);
	return NULL;
}

/* Where the burier was stopped with the gate locked, it goes on when somebody waits for that, but not while he has the gate;
 * he may have to say that he could not have it in time. */
static int probe(struct step_victim *burier, bool *ret_locked)
{
	struct asked asked = {.result = -ECANCELED};
	pthread_t thread;

	*ret_locked = gate_owner() == (uint32_t)burier->pid;
	if (!*ret_locked)
		return kind->want(&own, WAIT_NS);
	if (pthread_create(&thread, NULL, want_it, &asked) != 0)
		return asked.result;
	nanosleep(&(struct timespec){.tv_nsec = WAIT_NS / 2}, NULL);
	while (!atomic_load(&asked.is_answered)) {
		uint32_t owner = gate_owner();

		if (owner == 0 || owner == (uint32_t)burier->pid)
			step_to(burier, burier->steps + 1);
	}
	pthread_join(thread, NULL);
	return kind->may_give_up && (asked.result == -EAGAIN || asked.result == -ETIMEDOUT)
		       ? kind->wanted
		       : asked.result;
}

static void bury_at(const struct run *victims, uint64_t victim_point, const struct run *buriers,
		    uint64_t burier_point)
{
	struct step_victim burier;
	int result = -ECANCELED;
	bool is_locked = false;

	if (start(victims, victim_point, &burier)) {
		step_jump(&burier, &buriers->trace, burier_point);
		result = probe(&burier, &is_locked);
		step_kill(&burier);
	}
	expect(result == kind->wanted, is_locked ? "wanted, locked" : "wanted", victim_point,
	       burier_point, result);
	result = kind->look(&own);
	expect(result == 0, "looked at", victim_point, burier_point, result);
	clear_stage();
	points++;
	points_locked += is_locked;
}

static void bury(const struct run *victims, uint64_t point)
{
	struct run buriers;

	if (!record(victims, point, &buriers)) {
		expect(false, "recording a burial", point, 0, 0);
		return;
	}
	/* Other places for another victim. */
	for (uint64_t i = is_all ? 0 : point % BURIERS; i < buriers.trace.count;
	     i += is_all ? 1 : BURIERS)
		bury_at(victims, point, &buriers, i);
	for (uint64_t i = buriers.locked.from + point % LOCKED; i <= buriers.locked.to && !is_all;
	     i += LOCKED)
		bury_at(victims, point, &buriers, i);
	step_trace_free(&buriers.trace);
}

static void run_kind(void)
{
	struct run victims;

	points = points_locked = 0;
	victims_plan.may_sleep = kind->may_sleep;
	if (!record(NULL, 0, &victims)) {
		expect(false, "recording", 0, 0, 0);
		return;
	}
	for (uint64_t i = victims.locked.from; i <= victims.locked.to; i += is_all ? 1 : VICTIMS)
		bury(&victims, i);
	for (uint64_t i = victims.claiming.from; i < victims.claiming.to && !is_all; i += CLAIMING)
		bury(&victims, i);
	bury(&victims, victims.trace.count);
	printf("# %s: %u points, %u of them with the gate locked\n", kind->name, points,
	       points_locked);
	expect(points_locked > 0 && points_locked < points, "always, or never, locked", 0, 0, 0);
	step_trace_free(&victims.trace);
}

int main(int argc, char **argv)
{
	const char *obstacle = step_obstacle();
	int failed = 0;

	if (!obstacle)
		step_restart(argv);
	if (argc > 1 && strcmp(argv[1], "--all") == 0)
		is_all = true;
	if (folder_make(folder) != 0) {
		perror("/dev/shm");
		return EXIT_FAILURE;
	}
	printf("TAP version 13\n1..%zu\n", KINDS);
	for (size_t i = 0; i < KINDS; i++) {
		failures = 0;
		kind = &kinds[i];
		if (!obstacle)
			run_kind();
		printf("%sok %zu - who buries one that had something of %s is stopped%s%s\n",
		       failures ? "not " : "", i + 1, kind->name, obstacle ? " # SKIP " : "",
		       obstacle ? obstacle : "");
		fflush(stdout);
		failed += failures;
	}
	folder_remove(folder);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
