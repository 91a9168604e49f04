/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Operations of semaphores, events, conditions, barriers and onces whose n-th system call fails: see failing_sweep.h.
 * When an operation has failed, counts are as before; it works then, and counts are right; nothing is left open.
 */

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tenon/barrier.h>
#include <tenon/condition.h>
#include <tenon/event.h>
#include <tenon/once.h>
#include <tenon/semaphore.h>
#include <tenon/semaphore_set.h>

#include "failing_sweep.h"
#include "sync_kinds.h"

#define NAME "/failing"
#define OTHER "/other"
#define WAIT_NS 1000000
#define UNDO TENON_SEMAPHORE_UNDO
/* Counts as they are without the operation. */
#define SAME (-1)

struct sync_state {
	void *watch, *object;
	struct tenon_lock *lock;
	pid_t helper;
};

struct sync_operation {
	const char *name;
	const struct sync_kind *kind;
	int (*run)(struct sync_state *state);
	int normal;
	int count;				 /* behind it; SAME */
	int (*before)(struct sync_state *state); /* with its handle */
	/* Another process: begins, and says by `is_ready` when it has. */
	void (*help)(void *object);
	bool helper_waits; /* until then the operation does not begin; else it is killed before */
	bool no_handle, is_inherited;
	/* Afterwards the handle is good for this, whose answer it is. */
	int (*then)(struct sync_state *state);
	int then_normal;
	bool closes_after; /* then the handle is closed, and what is counted is as in the beginning */
};

static void *inherited;
static const struct sync_operation *running;

static int64_t later(void)
{
	return tenon_deadline_after(INT64_C(40000000000));
}

/* What is not in vain may take its time. */
static int64_t soon(void)
{
	return running->normal == -ETIMEDOUT || running->then_normal == -ETIMEDOUT
		       ? tenon_deadline_after(WAIT_NS)
		       : later();
}

/* Semaphores. */

static int take(struct sync_state *state)
{
	return tenon_semaphore_acquire(state->object, 1, 0, soon());
}

static int take_undo(struct sync_state *state)
{
	return tenon_semaphore_acquire(state->object, 1, UNDO, soon());
}

static int take_all(struct sync_state *state)
{
	return tenon_semaphore_acquire(state->object, VALUE, 0, soon());
}

static int take_all_undo(struct sync_state *state)
{
	return tenon_semaphore_acquire(state->object, VALUE, UNDO, soon());
}

static int take_too_many(struct sync_state *state)
{
	return tenon_semaphore_acquire(state->object, VALUE + 1, 0, soon());
}

static int take_too_many_undo(struct sync_state *state)
{
	return tenon_semaphore_acquire(state->object, VALUE + 1, UNDO, soon());
}

static int try_too_many(struct sync_state *state)
{
	return tenon_semaphore_try(state->object, VALUE + 1, UNDO);
}

static int give(struct sync_state *state)
{
	return tenon_semaphore_release(state->object, 1, 0, NULL);
}

static int give_undo(struct sync_state *state)
{
	return tenon_semaphore_release(state->object, 1, UNDO, NULL);
}

static int look_at_value(struct sync_state *state)
{
	uint32_t value;

	return tenon_semaphore_value(state->object, &value);
}

static int visit(const struct tenon_semaphore_user *user, void *context)
{
	(void)user;
	(void)context;
	return 0;
}

static int visit_event(const struct tenon_event_user *user, void *context)
{
	(void)user;
	(void)context;
	return 0;
}

static int look_at_event_users(struct sync_state *state)
{
	return tenon_event_users(state->object, visit_event, NULL);
}

static int look_at_users(struct sync_state *state)
{
	return tenon_semaphore_users(state->object, visit, NULL);
}

static void help_waiting(void *object)
{
	if (tenon_semaphore_acquire(object, VALUE + 1, 0, later()) != 0)
		_exit(1);
}

static void help_dying(void *object)
{
	if (tenon_semaphore_acquire(object, 2, UNDO, later()) != 0)
		_exit(1);
}

/* Sets. */

static int operate(void *object, int32_t change, int64_t deadline_ns)
{
	struct tenon_semaphore_operation list[] = {{0, change, TENON_SEMAPHORE_SET_UNDO},
						   {2, change, TENON_SEMAPHORE_SET_UNDO}};

	return tenon_semaphore_set_operate(object, list, 2, deadline_ns);
}

#define OPERATE(noun, change)                                    \
	static int noun(struct sync_state *state)                \
	{                                                        \
		return operate(state->object, (change), soon()); \
	}

OPERATE(take_two, -1)
OPERATE(take_two_all, -VALUE)
OPERATE(take_two_in_vain, -VALUE - 1)
OPERATE(give_two, 1)

static int set_all(struct sync_state *state)
{
	return tenon_semaphore_set_set_all(state->object, (uint32_t[]){1, 2, 3}, 3);
}

static void help_set_dying(void *object)
{
	if (operate(object, -2, later()) != 0)
		_exit(1);
}

static void help_set_waiting(void *object)
{
	if (operate(object, -VALUE - 1, later()) != 0)
		_exit(1);
}

/* Events. */

static int set(struct sync_state *state)
{
	return tenon_event_set(state->object);
}

static int reset(struct sync_state *state)
{
	return tenon_event_reset(state->object);
}

static int pulse(struct sync_state *state)
{
	return tenon_event_pulse(state->object);
}

static int await_event(struct sync_state *state)
{
	return tenon_event_wait(state->object, soon());
}

static void help_by_event(void *object)
{
	if (tenon_event_wait(object, later()) != 0)
		_exit(1);
}

/* Conditions.  Whatever the wait answers, the lock is held as before. */

static int lock_it(struct sync_state *state)
{
	int result = tenon_lock_open(NULL, "/guard", TENON_CREATE, NULL, &state->lock);

	return result == 0 ? tenon_lock_acquire(state->lock, later()) : result;
}

static int await_condition(struct sync_state *state)
{
	int result = tenon_condition_wait(state->object, state->lock, soon());

	if (tenon_lock_acquire(state->lock, 0) != -EDEADLK)
		failing_wrong("the lock is not held behind", result);
	return result;
}

static int signal_one(struct sync_state *state)
{
	return tenon_condition_signal(state->object);
}

static int broadcast(struct sync_state *state)
{
	return tenon_condition_broadcast(state->object);
}

static void help_by_condition(void *object)
{
	struct sync_state state = {.object = object};

	if (lock_it(&state) != 0 || tenon_condition_wait(object, state.lock, later()) != 0)
		_exit(1);
}

/* Barriers. */

static int arrive(struct sync_state *state)
{
	return tenon_barrier_wait(state->object, soon(), NULL);
}

static void help_by_arriving(void *object)
{
	if (tenon_barrier_wait(object, later(), NULL) != 0)
		_exit(1);
}

/* Onces. */

static int begin(struct sync_state *state)
{
	uint32_t what;

	return tenon_once_begin(state->object, soon(), &what);
}

static int done(struct sync_state *state)
{
	return tenon_once_done(state->object);
}

static int failed(struct sync_state *state)
{
	return tenon_once_failed(state->object);
}

static void help_by_doing(void *object)
{
	uint32_t what;

	if (tenon_once_begin(object, later(), &what) != 0)
		_exit(1);
}

/* Of every kind. */

static const struct sync_kind *kind_of_run;

static int open_it(struct sync_state *state)
{
	return kind_of_run->open(NAME, 0, &state->object);
}

static int create(struct sync_state *state)
{
	return kind_of_run->open(OTHER, TENON_CREATE | TENON_EXCLUSIVE, &state->object);
}

static int close_it(struct sync_state *state)
{
	state->object = kind_of_run->close(state->object);
	return 0;
}

static int make_other(struct sync_state *state)
{
	void *other;
	int result = kind_of_run->open(OTHER, TENON_CREATE, &other);

	(void)state;
	if (result == 0)
		kind_of_run->close(other);
	return result;
}

static int remove_other(struct sync_state *state)
{
	(void)state;
	return kind_of_run->remove(OTHER);
}

static int look(struct sync_state *state)
{
	int count, waiting;

	return kind_of_run->look(state->object, &count, &waiting);
}

/* A handle that was had although there was no memory for all of it is whole when there is. */

static int use_condition(struct sync_state *state)
{
	int result = state->lock ? 0 : lock_it(state);

	return result == 0 ? await_condition(state) : result;
}

#define OF_EVERY(noun, first_use, answer)                                                    \
	{#noun " open",	    &sync_##noun,	  open_it, .count = SAME, .no_handle = true, \
	 .then = first_use, .then_normal = answer},                                          \
		{#noun " create", &sync_##noun, create, .count = SAME, .no_handle = true},   \
		{#noun " close", &sync_##noun, close_it, .count = SAME},                     \
		{#noun " remove", &sync_##noun, remove_other, .before = make_other,          \
		 .count = SAME},                                                             \
		{#noun " status", &sync_##noun, look, .count = SAME},                        \
	{                                                                                    \
#noun " status in a child", &sync_##noun, look,                              \
			.count = SAME, .is_inherited = true, .then = first_use,              \
			.then_normal = answer                                                \
	}

static const struct sync_operation operations[] = {
	OF_EVERY(semaphore, take_undo, 0),
	{"acquire", &sync_semaphore, take, .count = VALUE - 1},
	{"acquire with undo", &sync_semaphore, take_undo, .count = VALUE - 1, .closes_after = true},
	{"acquire with undo, again", &sync_semaphore, take_undo, .before = take_undo,
	 .count = VALUE - 2, .closes_after = true},
	{"acquire in vain", &sync_semaphore, take_too_many, -ETIMEDOUT, SAME, .before = NULL},
	{"acquire with undo in vain", &sync_semaphore, take_too_many_undo, -ETIMEDOUT, SAME,
	 .before = NULL},
	{"try in vain", &sync_semaphore, try_too_many, -EAGAIN, SAME, .before = NULL},
	{"acquire in a child", &sync_semaphore, take, .count = VALUE - 1, .is_inherited = true},
	{"acquire with undo in a child", &sync_semaphore, take_undo, .count = VALUE - 1,
	 .is_inherited = true, .closes_after = true},
	{"acquire what a dead one had", &sync_semaphore, take_all, .count = 0, .help = help_dying},
	{"acquire with undo what a dead one had", &sync_semaphore, take_all_undo, .count = 0,
	 .help = help_dying, .closes_after = true},
	{"value, with what a dead one had", &sync_semaphore, look_at_value, .count = SAME,
	 .help = help_dying},
	{"release", &sync_semaphore, give, .count = VALUE + 1},
	{"release with undo", &sync_semaphore, give_undo, .count = VALUE + 1, .closes_after = true},
	{"release with undo what was acquired", &sync_semaphore, give_undo, .before = take_undo,
	 .count = VALUE},
	{"release to one who waits", &sync_semaphore, give, .count = 0, .help = help_waiting,
	 .helper_waits = true},
	{"release with undo to one who waits", &sync_semaphore, give_undo, .count = 0,
	 .help = help_waiting, .helper_waits = true},
	{"value", &sync_semaphore, look_at_value, .count = SAME},
	{"users", &sync_semaphore, look_at_users, .before = take_undo, .count = VALUE - 1},
	{"close with undo", &sync_semaphore, close_it, .before = take_undo, .count = VALUE},
	OF_EVERY(set, take_two, 0),
	{"set: take", &sync_set, take_two, .count = VALUE - 1, .closes_after = true},
	{"set: take in vain", &sync_set, take_two_in_vain, -ETIMEDOUT, SAME, .before = NULL},
	{"set: take in a child", &sync_set, take_two, .count = VALUE - 1, .is_inherited = true,
	 .closes_after = true},
	{"set: take what a dead one had", &sync_set, take_two_all, .count = 0,
	 .help = help_set_dying, .closes_after = true},
	{"set: give to one who waits", &sync_set, give_two, .count = VALUE + 1,
	 .help = help_set_waiting, .helper_waits = true},
	{"set: set all", &sync_set, set_all, .count = 1},
	{"set: close", &sync_set, close_it, .before = take_two, .count = VALUE},
	OF_EVERY(event, await_event, -ETIMEDOUT),
	{"set", &sync_event, set, .count = 1},
	{"set in a child", &sync_event, set, .count = 1, .is_inherited = true},
	{"set for one who waits", &sync_event, set, .count = 0, .help = help_by_event,
	 .helper_waits = true},
	{"reset", &sync_event, reset, .before = set, .count = 0},
	{"pulse for one who waits", &sync_event, pulse, .count = 0, .help = help_by_event,
	 .helper_waits = true},
	{"event wait", &sync_event, await_event, .before = set, .count = 0},
	{"event users", &sync_event, look_at_event_users, .count = 0},
	{"event wait in vain", &sync_event, await_event, -ETIMEDOUT, 0, .before = NULL},
	OF_EVERY(condition, use_condition, -ETIMEDOUT),
	{"condition wait", &sync_condition, await_condition, -ETIMEDOUT, 0, .before = lock_it},
	{"condition wait in a child", &sync_condition, await_condition, -ETIMEDOUT, 0,
	 .before = lock_it, .is_inherited = true},
	{"signal one who waits", &sync_condition, signal_one, .count = 0, .help = help_by_condition,
	 .helper_waits = true},
	{"broadcast", &sync_condition, broadcast, .count = 0, .help = help_by_condition,
	 .helper_waits = true},
	OF_EVERY(barrier, arrive, -ETIMEDOUT),
	{"barrier wait in vain", &sync_barrier, arrive, -ETIMEDOUT, 0, .before = NULL},
	{"barrier wait in a child", &sync_barrier, arrive, -ETIMEDOUT, 0, .before = NULL,
	 .is_inherited = true},
	{"barrier wait, the last", &sync_barrier, arrive, .count = 0, .help = help_by_arriving,
	 .helper_waits = true},
	OF_EVERY(once, begin, 0),
	{"begin", &sync_once, begin, .count = 1, .closes_after = true},
	{"begin in a child", &sync_once, begin, .count = 1, .is_inherited = true,
	 .closes_after = true},
	{"begin what a dead one had begun", &sync_once, begin, .count = 1, .help = help_by_doing,
	 .closes_after = true},
	{"done", &sync_once, done, .before = begin, .count = 2},
	{"failed", &sync_once, failed, .before = begin, .count = 0},
	{"close what was begun", &sync_once, close_it, .before = begin, .count = 0},
};

static void must_open(const struct sync_kind *kind, void **ret_object)
{
	int result = kind->open(NAME, TENON_CREATE, ret_object);

	if (result != 0)
		failing_wrong("cannot be opened", result);
}

static int count_of(const struct sync_operation *operation, const struct sync_state *state)
{
	int count, waiting, result = operation->kind->look(state->watch, &count, &waiting);

	if (result != 0)
		failing_wrong("cannot be looked at", result);
	return count;
}

/* Another process that waits, or that dies with what it has. */
static pid_t start_helper(const struct sync_operation *operation, const struct sync_state *state)
{
	int before = count_of(operation, state), count, waiting = 0;
	pid_t pid = fork();

	if (pid == 0) {
		void *object;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		must_open(operation->kind, &object);
		operation->help(object);
		while (!operation->helper_waits)
			pause();
		_exit(0);
	}
	do {
		sched_yield();
		operation->kind->look(state->watch, &count, &waiting);
	} while (operation->helper_waits ? waiting == 0 : count == before);
	if (operation->helper_waits)
		return pid;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return 0;
}

static void expect_helped(const struct sync_state *state)
{
	int status;

	if (state->helper == 0)
		return;
	if (waitpid(state->helper, &status, 0) != state->helper || status != 0)
		failing_wrong("who waited ended otherwise", status);
}

/* Once, and once more if that fails. */
static void run(const struct sync_operation *operation, struct sync_state *state, int before)
{
	int descriptors = failing_count_descriptors(), result;
	uint64_t mapped = failing_count_mapped();

	failing_begin();
	result = operation->run(state);
	failing_end();
	if (result == operation->normal)
		return;
	failing_told(result, (const int[]){FAILING_LIST_END});
	if (result == 0 || failing_count_descriptors() != descriptors)
		failing_wrong("descriptors are left, or the answer is wrong", result);
	if (operation->no_handle && failing_count_mapped() != mapped)
		failing_wrong("mappings are left", result);
	if (count_of(operation, state) != before)
		failing_wrong("failed, and changed the count", count_of(operation, state));
	result = operation->run(state);
	if (result != operation->normal && !(operation->run == remove_other && result == -ENOENT))
		failing_wrong("works no more", result);
}

/* In the traced process. */
static void scenario(void *context)
{
	const struct sync_operation *operation = &operations[*(const uint32_t *)context];
	struct sync_state state = {.object = inherited};
	int first, before, count;

	running = operation;
	kind_of_run = operation->kind;
	must_open(operation->kind, &state.watch);
	if (!operation->no_handle && !operation->is_inherited)
		must_open(operation->kind, &state.object);
	first = count_of(operation, &state);
	if (operation->before && operation->before(&state) != 0)
		failing_wrong("cannot be prepared", 0);
	before = count_of(operation, &state);
	if (operation->help)
		state.helper = start_helper(operation, &state);

	run(operation, &state, before);
	expect_helped(&state);
	count = count_of(operation, &state);
	if (count != (operation->count == SAME ? before : operation->count))
		failing_wrong("another count", count);
	if (operation->then) {
		int answer = operation->then(&state);

		if (answer != operation->then_normal)
			failing_wrong("the handle is not whole", answer);
	}
	if (operation->closes_after) {
		operation->kind->close(state.object);
		if (count_of(operation, &state) != first)
			failing_wrong("closing left another count", count_of(operation, &state));
	}
	_exit(0);
}

static const char *name_of(uint32_t operation)
{
	return operations[operation].name;
}

static void inherit(uint32_t operation)
{
	kind_of_run = operations[operation].kind;
	inherited = NULL;
	if (operations[operation].is_inherited)
		must_open(kind_of_run, &inherited);
}

static void clean(void)
{
	inherited = kind_of_run->close(inherited);
	kind_of_run->remove(NAME);
	kind_of_run->remove(OTHER);
	sync_clean();
	tenon_lock_remove(NULL, "/guard");
}

int main(int argc, char **argv)
{
	static const struct failing_set set = {.operations = sizeof(operations) /
							     sizeof(operations[0]),
					       .name = name_of,
					       .scenario = scenario,
					       .inherit = inherit,
					       .clean = clean};

	sync_is_placed = argc > 1 && strcmp(argv[1], "--placed") == 0;
	return failing_sweep_main(argc - sync_is_placed, argv + sync_is_placed, &set);
}
