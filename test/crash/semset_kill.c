/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Sets of semaphores, killed at the instructions of their operations: points.h.  With --placed they are in a region, of
 * which each handle has one of its own, which ends with it.  Afterwards all of what the victim was
 * about is done or nothing of it, and what it had with undo is undone.
 */

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tenon/semaphore_set.h>

#include "placed.h"
#include "points.h"
#include "step.h"

#define NAME "/victim"
#define COUNT 4u
#define UNDO TENON_SEMAPHORE_SET_UNDO
#define NOWAIT TENON_SEMAPHORE_SET_NOWAIT

enum operation {
	TAKE,
	THREE,
	THREE_UNDO,
	FIRST_UNDO,
	GIVE_UNDO,
	ASLEEP,
	ASLEEP_UNDO,
	ZERO_ASLEEP,
	ZERO_LOCK_ASLEEP,
	GRANT,
	GIVE_BESIDE,
	SET,
	SET_ALL,
	CLOSE_UNDO,
	BURY,
	DESTROY,
	READ,
	STATUS,
	USERS,
	OPEN,
	CASES
};

struct list {
	uint32_t count;
	struct tenon_semaphore_operation operation[3];
};

static const uint32_t first_values[COUNT] = {1, 0, 2, 1}, next_values[COUNT] = {5, 6, 7, 8};

/* What the victim does, or did before with the value 1 of the first one; what the sleeper waits for; what helps them. */
static const struct list victims_list[CASES] = {
	[TAKE] = {1, {{0, -1, 0}}},
	[THREE] = {3, {{0, -1, 0}, {1, 2, 0}, {2, -2, 0}}},
	[THREE_UNDO] = {3, {{0, -1, UNDO}, {1, 2, UNDO}, {2, -2, UNDO}}},
	[FIRST_UNDO] = {3, {{0, -1, UNDO}, {1, 2, UNDO}, {2, -2, UNDO}}},
	[GIVE_UNDO] = {1, {{0, 1, UNDO}}},
	[ASLEEP] = {2, {{0, -2, 0}, {1, 1, 0}}},
	[ASLEEP_UNDO] = {2, {{1, 1, UNDO}, {0, -2, UNDO}}},
	[ZERO_ASLEEP] = {1, {{3, 0, 0}}},
	[ZERO_LOCK_ASLEEP] = {2, {{3, 0, 0}, {3, 1, UNDO}}},
	[GRANT] = {1, {{3, -1, 0}}},
	[GIVE_BESIDE] = {1, {{0, 1, 0}}},
};

static const struct list warming[] = {{1, {{2, -1, UNDO}}}, {1, {{2, 1, UNDO}}}};
static const struct list before_list = {1, {{0, -1, UNDO}}};

static const struct list sleepers_list[CASES] = {
	[TAKE] = {1, {{0, -2, 0}}},
	[THREE] = {2, {{1, -1, 0}, {2, 0, 0}}},
	[THREE_UNDO] = {2, {{0, -2, 0}, {2, -2, 0}}},
	[FIRST_UNDO] = {2, {{0, -2, 0}, {2, -2, 0}}},
	[GIVE_UNDO] = {1, {{0, -1, 0}}},
	[ASLEEP] = {1, {{0, -2, 0}}},
	[ASLEEP_UNDO] = {1, {{0, -2, 0}}},
	[ZERO_ASLEEP] = {1, {{3, 0, 0}}},
	[ZERO_LOCK_ASLEEP] = {2, {{3, 0, 0}, {3, 1, UNDO}}},
	[GRANT] = {1, {{3, 0, 0}}},
	[GIVE_BESIDE] = {1, {{0, -2, 0}}},
	[SET] = {1, {{0, -5, 0}}},
	[SET_ALL] = {2, {{1, -6, 0}, {3, -8, 0}}},
	[CLOSE_UNDO] = {1, {{0, -1, 0}}},
	[DESTROY] = {1, {{0, -2, 0}}},
};

static const struct list helps_list[CASES] = {
	[TAKE] = {1, {{0, 2, 0}}},	   [THREE] = {3, {{1, 1, 0}, {2, -2, 0}, {0, 1, 0}}},
	[THREE_UNDO] = {1, {{0, 1, 0}}},   [FIRST_UNDO] = {1, {{0, 1, 0}}},
	[ASLEEP] = {1, {{0, 3, 0}}},	   [ASLEEP_UNDO] = {1, {{0, 1, 0}}},
	[ZERO_ASLEEP] = {1, {{3, -1, 0}}}, [ZERO_LOCK_ASLEEP] = {1, {{3, -1, 0}}},
	[GRANT] = {1, {{3, -1, 0}}},	   [GIVE_BESIDE] = {1, {{0, 1, 0}}},
	[SET] = {1, {{0, 5, 0}}},	   [SET_ALL] = {2, {{1, 6, 0}, {3, 8, 0}}},
	[DESTROY] = {1, {{0, 1, 0}}},
};

static struct tenon_semaphore_set *own, *second, *victims;
static bool has_helped;
static pid_t bystander;

static struct tenon_semaphore_set *open_placed(uint32_t flags,
					       const struct tenon_semaphore_set_options *options)
{
	struct tenon_region *region = placed_open(flags);
	struct tenon_semaphore_set *set = NULL;
	int result = region ? 0 : -EBADF;

	if (result == 0 && flags & TENON_CREATE)
		result = tenon_region_grow(region, tenon_semaphore_set_place_bytes(region, COUNT),
					   points_deadline());
	if (result == 0)
		result = tenon_semaphore_set_open_at(region, 0, flags, options, &set);
	region = tenon_region_close(region);
	return result == 0 ? set : NULL;
}

static struct tenon_semaphore_set *open_set(uint32_t flags)
{
	struct tenon_semaphore_set_options options = {
		.size = sizeof(options), .count = COUNT, .maximum = 99};
	struct tenon_semaphore_set *set = NULL;

	if (points_are_placed())
		return open_placed(flags, &options);
	options.max_participants = 16;
	return tenon_semaphore_set_open(NULL, NAME, flags, &options, &set) == 0 ? set : NULL;
}

static int operate_list(struct tenon_semaphore_set *set, const struct list *list)
{
	return tenon_semaphore_set_operate(set, list->operation, list->count, points_deadline());
}

static bool has_before(const struct points_case *one)
{
	return one->number == GIVE_UNDO || one->number == CLOSE_UNDO;
}

/* In the victim. */
static int prepare(const struct points_case *one)
{
	if (one->number == OPEN)
		return 0;
	victims = open_set(0);
	if (!victims)
		return -1;
	/* The first time takes longer than all the rest. */
	if (one->number != FIRST_UNDO &&
	    (operate_list(victims, &warming[0]) != 0 || operate_list(victims, &warming[1]) != 0))
		return -1;
	return has_before(one) ? operate_list(victims, &before_list) : 0;
}

static int note_nothing(const struct tenon_semaphore_set_user *user, void *context)
{
	(void)user;
	(void)context;
	return 0;
}

static void operate(const struct points_case *one)
{
	struct tenon_semaphore_set_status status = {.size = sizeof(status)};
	struct tenon_semaphore_set_member member;
	uint32_t value;

	switch (one->number) {
	case SET:
		tenon_semaphore_set_set(victims, 0, next_values[0]);
		break;
	case SET_ALL:
		tenon_semaphore_set_set_all(victims, next_values, COUNT);
		break;
	case CLOSE_UNDO:
		victims = tenon_semaphore_set_close(victims);
		break;
	case BURY:
		tenon_semaphore_set_get(victims, 0, &value);
		break;
	case DESTROY:
		tenon_semaphore_set_destroy(victims);
		break;
	case READ:
		tenon_semaphore_set_read(victims, 0, &member);
		break;
	case STATUS:
		tenon_semaphore_set_status(victims, &status);
		break;
	case USERS:
		tenon_semaphore_set_users(victims, note_nothing, NULL);
		break;
	case OPEN:
		victims = open_set(TENON_CREATE);
		break;
	default:
		(void)!operate_list(victims, &victims_list[one->number]);
	}
}

static int sleep_for_it(const struct points_case *one)
{
	struct tenon_semaphore_set *set = open_set(0);

	return set ? operate_list(set, &sleepers_list[one->number]) : -EBADF;
}

/* Without the gate, which is for others to repair. */
static bool is_destroyed(void)
{
	struct tenon_semaphore_set_member member;

	return tenon_semaphore_set_read(own, 0, &member) == -EIDRM;
}

static bool is_right(const struct points_case *one, int answer)
{
	return answer == 0 || (one->number == DESTROY && answer == -EIDRM && is_destroyed());
}

static bool read_values(uint32_t values[COUNT])
{
	return tenon_semaphore_set_get_all(own, values, COUNT) == 0 || points_wrong("values", 0);
}

/* Somebody who cannot go on is asleep before the sleeper is, and first to be woken. */
static bool start_bystander(void)
{
	static const struct list never = {1, {{1, -50, 0}}};
	struct tenon_semaphore_set_member member;

	bystander = fork();
	if (bystander == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)!operate_list(open_set(0), &never);
		_exit(0);
	}
	do
		if (bystander < 0 || tenon_semaphore_set_read(own, 1, &member) != 0)
			return false;
	while (member.waiting == 0 || !step_is_asleep(bystander, NULL));
	return true;
}

static void end_bystander(void)
{
	if (bystander > 0) {
		kill(bystander, SIGKILL);
		waitpid(bystander, NULL, 0);
	}
	bystander = 0;
}

/* Whether what the sleeper waits for is there; without the gate, which is for the sleeper to repair. */
static bool is_due(const struct points_case *one, bool finished)
{
	uint32_t values[COUNT];

	(void)finished;
	for (uint32_t i = 0; i < COUNT; i++) {
		struct tenon_semaphore_set_member member;
		int result = tenon_semaphore_set_read(own, i, &member);

		if (result != 0)
			return result == -EIDRM || points_wrong("read", result);
		values[i] = member.value;
	}
	switch (one->number) {
	case THREE:
		return values[1] >= 1;
	case GIVE_UNDO:
	case CLOSE_UNDO:
		return true;
	case GRANT:
		return values[3] == 0;
	case GIVE_BESIDE:
		return values[0] >= 2;
	case SET:
		return values[0] >= 5;
	case SET_ALL:
		return values[1] >= 6;
	default:
		return false;
	}
}

/* Who waits for a zero alone is content with a moment of it. */
static int help(const struct points_case *one)
{
	struct list up = {1, {{3, 1, 0}}};
	int result = operate_list(own, &helps_list[one->number]);

	has_helped = true;
	if (one->number == ZERO_ASLEEP && result == 0)
		result = operate_list(own, &up);
	return result == -EIDRM ? 0 : result;
}

static void add(int64_t values[COUNT], const struct list *list, int sign)
{
	for (uint32_t i = 0; i < list->count; i++)
		values[list->operation[i].number] += sign * list->operation[i].change;
}

static bool is_equal(const uint32_t *there, const int64_t *expected)
{
	for (uint32_t i = 0; i < COUNT; i++)
		if (there[i] != expected[i])
			return false;
	return true;
}

static int add_undos(const struct tenon_semaphore_set_user *user, void *context)
{
	*(uint32_t *)context += user->undos;
	return 0;
}

/* How many this process has, which are gone where values were set. */
static bool prove_undos(const struct points_case *one, int answer)
{
	uint32_t undos = 0, values[COUNT];
	bool is_set;

	if (!read_values(values) || tenon_semaphore_set_users(own, add_undos, &undos) != 0)
		return points_wrong("users", 0);
	/* The third one is not what helps, nor what the sleeper takes; nor does that one do it without either. */
	if (one->number == SET_ALL)
		is_set = values[2] == next_values[2];
	else
		is_set = values[0] >= next_values[0] || (answer == 0 && !has_helped);
	return undos == (!is_set	      ? 2
			 : one->number == SET ? 1
					      : 0) ||
	       points_wrong("undo counts", undos);
}

/* All or nothing. */
static bool prove_values(const struct points_case *one, int answer)
{
	int64_t nothing[COUNT], all[COUNT];
	uint32_t there[COUNT];

	if (second && !prove_undos(one, answer))
		return false;
	/* What this process had with undo comes back, unless it was set. */
	second = tenon_semaphore_set_close(second);
	for (uint32_t i = 0; i < COUNT; i++)
		all[i] = nothing[i] = first_values[i];
	if (has_helped && one->number != ZERO_ASLEEP) {
		add(nothing, &helps_list[one->number], 1);
		add(all, &helps_list[one->number], 1);
	}
	if (one->number <= GIVE_BESIDE && !(victims_list[one->number].operation[0].flags & UNDO) &&
	    one->number != ZERO_LOCK_ASLEEP)
		add(all, &victims_list[one->number], 1);
	if (one->number == SET)
		all[0] = next_values[0] + (has_helped ? 5 : 0);
	for (uint32_t i = 0; i < COUNT && one->number == SET_ALL; i++)
		all[i] = next_values[i] + all[i] - first_values[i];
	if (answer == 0 && one->number != ZERO_LOCK_ASLEEP) {
		add(nothing, &sleepers_list[one->number], 1);
		add(all, &sleepers_list[one->number], 1);
	}
	if (!read_values(there))
		return false;
	return is_equal(there, nothing) || is_equal(there, all) ||
	       points_wrong("values: hexadecimal digits",
			    there[0] << 12 | there[1] << 8 | there[2] << 4 | there[3]);
}

static bool prove_use(struct tenon_semaphore_set *set)
{
	static const struct list lists[] = {{1, {{1, 1, 0}}},
					    {1, {{1, -1, UNDO}}},
					    {3, {{1, 1, UNDO}, {0, 1, 0}, {1, -1, NOWAIT}}},
					    {1, {{0, -1, NOWAIT}}}};

	for (uint32_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		if (operate_list(set, &lists[i]) != 0)
			return points_wrong("the set: list", i);
	return true;
}

static int count_users(const struct tenon_semaphore_set_user *user, void *context)
{
	(void)user;
	++*(uint32_t *)context;
	return 0;
}

static bool prove_rest(void)
{
	struct tenon_semaphore_set_status status = {.size = sizeof(status)};
	uint32_t users = 0;

	if (tenon_semaphore_set_users(own, count_users, &users) != 0 || users != 0)
		return points_wrong("users are left", users);
	if (tenon_semaphore_set_status(own, &status) != 0 || status.waiting != 0 || status.damaged)
		return points_wrong("is left", status.waiting);
	return true;
}

static bool prove(const struct points_case *one, bool finished, int answer)
{
	struct tenon_semaphore_set *fresh;
	int64_t before_ns, took_ns;
	bool right;

	(void)finished;
	end_bystander();
	if (is_destroyed())
		return one->number == DESTROY && !open_set(0);
	right = prove_values(one, answer);
	before_ns = step_now_ns();
	fresh = open_set(TENON_CREATE);
	right = right && fresh && prove_use(own) && prove_use(fresh);
	took_ns = step_now_ns() - before_ns;
	if (right && points_is_slow(took_ns))
		right = points_slow("a survivor waited: ns", took_ns);
	fresh = tenon_semaphore_set_close(fresh);
	return right && prove_rest();
}

static bool set_stage(const struct points_case *one)
{
	static const struct list undone = {2, {{0, -1, UNDO}, {2, -1, UNDO}}};

	has_helped = false;
	own = open_set(TENON_CREATE);
	if (!own || tenon_semaphore_set_set_all(own, first_values, COUNT) != 0)
		return false;
	if (one->number != SET && one->number != SET_ALL)
		return true;
	second = open_set(0);
	return second && operate_list(second, &undone) == 0;
}

static void clear_stage(const struct points_case *one)
{
	(void)one;
	end_bystander();
	own = tenon_semaphore_set_close(own);
	second = tenon_semaphore_set_close(second);
	if (points_are_placed())
		placed_remove();
	else
		tenon_semaphore_set_remove(NULL, NAME);
}

static int take_three(const struct points_case *one)
{
	struct tenon_semaphore_set *set = open_set(0);

	(void)one;
	return set ? operate_list(set, &victims_list[THREE_UNDO]) : -EBADF;
}

/* Somebody dies with undo counts when the victim is at its marker. */
static bool disturb(const struct points_case *one)
{
	if (one->number == GIVE_BESIDE)
		return start_bystander();
	return one->number != BURY || points_die_behind(take_three, one) == 0;
}

#define CASE(text, operation, ...)                                                                 \
	{                                                                                          \
		.name = (text), .number = (operation), .set_stage = set_stage, .prepare = prepare, \
		.disturb = disturb, .operate = operate, .sleep = sleep_for_it,                     \
		.is_right = is_right, .is_due = is_due, .help = help, .prove = prove,              \
		.clear_stage = clear_stage, __VA_ARGS__                                            \
	}

int main(int argc, char **argv)
{
	static const struct points_case cases[] = {
		CASE("take", TAKE, ),
		CASE("three", THREE, ),
		CASE("three-undo", THREE_UNDO, ),
		CASE("first-undo", FIRST_UNDO, ),
		CASE("give-undo", GIVE_UNDO, ),
		CASE("asleep", ASLEEP, .may_wait = true),
		CASE("asleep-undo", ASLEEP_UNDO, .may_wait = true),
		CASE("zero-asleep", ZERO_ASLEEP, .may_wait = true),
		CASE("zero-lock-asleep", ZERO_LOCK_ASLEEP, .may_wait = true),
		CASE("grant", GRANT, ),
		CASE("give-beside", GIVE_BESIDE, ),
		CASE("set", SET, ),
		CASE("set-all", SET_ALL, ),
		CASE("close-undo", CLOSE_UNDO, ),
		CASE("bury", BURY, .no_sleeper = true),
		CASE("destroy", DESTROY, ),
		CASE("read", READ, .no_sleeper = true),
		CASE("status", STATUS, .no_sleeper = true),
		CASE("users", USERS, .no_sleeper = true),
		CASE("open", OPEN, .no_sleeper = true),
	};

	return points_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
