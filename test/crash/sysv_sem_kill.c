/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Semaphore sets of System V, killed at the instructions of their calls: points.h.  What all of System V has in common
 * is sysv_kill.c's.  Afterwards all of what the victim was about is done or nothing of it, what it had with SEM_UNDO is
 * undone, and seen so at once.
 *
 * Nothing of Tenon's is named here: it is compiled with tenon/compat, and, without it, for the preload library.
 */

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/sem.h>
#include <time.h>
#include <unistd.h>

#include "points.h"
#include "step.h"

#define KEY ((key_t)0x54454e5f)
#define COUNT 4
#define MOST 3
#define OWNER 4711 /* nobody has to be it */

union semun {
	int val;
	struct semid_ds *buf;
	unsigned short *array;
};

enum operation { OPERATE, MAKE, REMOVE, SET, SET_VALUE, SET_ALL, GET_ALL, GET_WAITING };

struct list {
	size_t count;
	struct sembuf operation[MOST];
};

static const unsigned short first_values[COUNT] = {1, 0, 2, 1}, next_values[COUNT] = {5, 6, 7, 8};

static const struct kind {
	enum operation operation;
	bool is_fresh; /* the victim has not used it before */
	bool is_undone;
	struct list victims, before; /* what it has done, with SEM_UNDO, before */
	struct list sleepers, helps;
} kinds[] = {
	{OPERATE, .victims = {1, {{0, -1, 0}}}, .sleepers = {1, {{0, -2, 0}}},
	 .helps = {1, {{0, 2, 0}}}},
	{OPERATE, .victims = {3, {{0, -1, 0}, {1, 2, 0}, {2, -2, 0}}},
	 .sleepers = {2, {{1, -1, 0}, {2, 0, 0}}}, .helps = {2, {{1, 1, 0}, {2, -2, IPC_NOWAIT}}}},
	{OPERATE, .is_undone = true,
	 .victims = {3, {{0, -1, SEM_UNDO}, {1, 2, SEM_UNDO}, {2, -2, SEM_UNDO}}},
	 .sleepers = {2, {{0, -2, 0}, {2, -2, 0}}}, .helps = {1, {{0, 1, 0}}}},
	{OPERATE, .is_fresh = true, .is_undone = true,
	 .victims = {2, {{0, -1, SEM_UNDO}, {1, 2, SEM_UNDO}}}, .sleepers = {1, {{0, -2, 0}}},
	 .helps = {1, {{0, 1, 0}}}},
	{OPERATE, .is_undone = true, .before = {1, {{0, -1, SEM_UNDO}}},
	 .victims = {1, {{0, 1, SEM_UNDO}}}, .sleepers = {1, {{0, -1, 0}}},
	 .helps = {1, {{0, 1, 0}}}},
	{OPERATE, .victims = {2, {{0, -2, 0}, {1, 1, 0}}}, .sleepers = {1, {{0, -2, 0}}},
	 .helps = {1, {{0, 3, 0}}}},
	{OPERATE, .is_undone = true, .victims = {2, {{1, 1, SEM_UNDO}, {0, -2, SEM_UNDO}}},
	 .sleepers = {1, {{0, -2, 0}}}, .helps = {1, {{0, 1, 0}}}},
	{OPERATE, .is_undone = true, .victims = {2, {{3, 0, 0}, {3, 1, SEM_UNDO}}},
	 .sleepers = {2, {{3, 0, 0}, {3, 1, SEM_UNDO}}}, .helps = {1, {{3, -1, IPC_NOWAIT}}}},
	{OPERATE, .victims = {1, {{3, -1, 0}}}, .sleepers = {1, {{3, 0, 0}}},
	 .helps = {1, {{3, -1, IPC_NOWAIT}}}},
	{.operation = MAKE},
	{REMOVE, .sleepers = {1, {{0, -2, 0}}}, .helps = {1, {{0, 1, 0}}}},
	{REMOVE, .sleepers = {1, {{3, 0, 0}}}, .helps = {1, {{3, -1, IPC_NOWAIT}}}},
	{SET, .sleepers = {1, {{0, -2, 0}}}, .helps = {1, {{0, 1, 0}}}},
	{SET_VALUE, .sleepers = {1, {{0, -5, 0}}}, .helps = {1, {{0, 5, 0}}}},
	{SET_ALL, .sleepers = {2, {{1, -6, 0}, {3, -8, 0}}}, .helps = {2, {{1, 6, 0}, {3, 8, 0}}}},
	{GET_ALL, .is_undone = true, .before = {1, {{0, -1, SEM_UNDO}}},
	 .sleepers = {1, {{0, -1, 0}}}, .helps = {1, {{0, 1, 0}}}},
	{GET_WAITING, .is_fresh = true, .sleepers = {1, {{0, -2, 0}}}, .helps = {1, {{0, 1, 0}}}},
};

static struct shared {
	_Atomic int id;
} * shared;

static int own, helped;

static const struct kind *kind_of(const struct points_case *one)
{
	return &kinds[one->number];
}

static int make_set(const struct points_case *one)
{
	unsigned short values[COUNT];
	union semun argument = {.array = values};
	int id = semget(KEY, COUNT, IPC_CREAT | IPC_EXCL | 0600);

	(void)one;
	memcpy(values, first_values, sizeof(values));
	atomic_store(&shared->id, id);
	return id >= 0 && semctl(id, 0, SETALL, argument) == 0 ? 0 : -errno;
}

static bool set_stage(const struct points_case *one)
{
	const struct kind *kind = kind_of(one);

	helped = 0;
	if (!shared)
		shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return false;
	own = -1;
	if (kind->operation == MAKE)
		return true;
	if ((kind->is_fresh ? points_die_behind(make_set, one) : make_set(one)) != 0)
		return false;
	own = atomic_load(&shared->id);
	return points_are_tenons();
}

static int operate_list(const struct list *list)
{
	struct timespec patience = {.tv_sec = POINTS_PATIENCE_NS / 1000000000};
	struct sembuf operations[MOST];

	if (list->count == 0)
		return 0;
	memcpy(operations, list->operation, sizeof(operations));
	return semtimedop(own, operations, list->count, &patience) == 0 ? 0 : -errno;
}

static int prepare(const struct points_case *one)
{
	return operate_list(&kind_of(one)->before);
}

static void set_owner(void)
{
	struct semid_ds status = {.sem_perm.uid = geteuid() == 0 ? OWNER : geteuid(),
				  .sem_perm.gid = geteuid() == 0 ? OWNER : getegid(),
				  .sem_perm.mode = 0640};
	union semun argument = {.buf = &status};

	semctl(own, 0, IPC_SET, argument);
}

static void operate(const struct points_case *one)
{
	unsigned short values[COUNT];
	union semun argument = {.array = values};

	memcpy(values, next_values, sizeof(values));
	switch (kind_of(one)->operation) {
	case MAKE:
		semget(KEY, COUNT, IPC_CREAT | 0600);
		break;
	case REMOVE:
		semctl(own, 0, IPC_RMID, argument);
		break;
	case SET:
		set_owner();
		break;
	case SET_VALUE:
		argument.val = next_values[0];
		semctl(own, 0, SETVAL, argument);
		break;
	case SET_ALL:
		semctl(own, 0, SETALL, argument);
		break;
	case GET_ALL:
		semctl(own, 0, GETALL, argument);
		break;
	case GET_WAITING:
		semctl(own, 0, GETNCNT, argument);
		break;
	default:
		operate_list(&kind_of(one)->victims);
	}
}

static int sleep_for_it(const struct points_case *one)
{
	return operate_list(&kind_of(one)->sleepers);
}

static bool read_values(unsigned short values[COUNT])
{
	union semun argument = {.array = values};

	return semctl(own, 0, GETALL, argument) == 0;
}

static bool is_removed(void)
{
	unsigned short values[COUNT];

	return !read_values(values) && (errno == EINVAL || errno == EIDRM);
}

static bool is_right(const struct points_case *one, int answer)
{
	return answer == 0 ||
	       (answer == -EIDRM && kind_of(one)->operation == REMOVE && is_removed());
}

/* Whether the operations can be done, one after the other. */
static bool can_do(const unsigned short values[COUNT], const struct list *list)
{
	int there[COUNT];

	for (int i = 0; i < COUNT; i++)
		there[i] = values[i];
	for (size_t i = 0; i < list->count; i++) {
		int *value = &there[list->operation[i].sem_num];

		if (list->operation[i].sem_op == 0 && *value != 0)
			return false;
		*value += list->operation[i].sem_op;
		if (*value < 0)
			return false;
	}
	return true;
}

static bool is_due(const struct points_case *one, bool finished)
{
	unsigned short values[COUNT];

	(void)finished;
	return !read_values(values) || can_do(values, &kind_of(one)->sleepers);
}

static int help(const struct points_case *one)
{
	int result = operate_list(&kind_of(one)->helps);

	helped += result == 0;
	return result == -EIDRM || result == -EINVAL || result == -EAGAIN ? 0 : result;
}

static void add(int values[COUNT], const struct list *list, int times)
{
	for (size_t i = 0; i < list->count; i++)
		values[list->operation[i].sem_num] += times * list->operation[i].sem_op;
}

static bool is_equal(const unsigned short there[COUNT], const int expected[COUNT])
{
	for (int i = 0; i < COUNT; i++)
		if (there[i] != expected[i])
			return false;
	return true;
}

/* What was set with SETVAL or SETALL is counted from there on: the sleeper came behind it, if the help did. */
static bool are_values_right(const struct kind *kind, bool finished, int answer,
			     const unsigned short there[COUNT])
{
	for (int done = finished && !kind->is_undone; done <= !kind->is_undone; done++) {
		int values[COUNT];

		for (int i = 0; i < COUNT; i++)
			values[i] = first_values[i];
		if (done && kind->operation == SET_VALUE)
			values[0] = next_values[0];
		for (int i = 0; done && kind->operation == SET_ALL && i < COUNT; i++)
			values[i] = next_values[i];
		if (done && kind->operation == OPERATE)
			add(values, &kind->victims, 1);
		if (answer == 0 && !(kind->sleepers.operation[1].sem_flg & SEM_UNDO))
			add(values, &kind->sleepers, 1);
		add(values, &kind->helps, helped);
		if (is_equal(there, values))
			return true;
	}
	return false;
}

static bool prove_values(const struct kind *kind, bool finished, int answer)
{
	static const struct list all = {MOST, {{0, 1, SEM_UNDO}, {1, 1, 0}, {2, 1, 0}}};
	unsigned short there[COUNT], then[COUNT];

	if (!read_values(there))
		return points_wrong("GETALL", errno);
	if (!are_values_right(kind, finished, answer, there))
		return points_wrong("values",
				    there[0] * 1000 + there[1] * 100 + there[2] * 10 + there[3]);
	/* It works for who comes. */
	if (operate_list(&all) != 0 || !read_values(then) || then[0] != there[0] + 1 ||
	    then[1] != there[1] + 1 || then[2] != there[2] + 1 || then[3] != there[3])
		return points_wrong("an operation", errno);
	return true;
}

static bool prove_set(bool finished)
{
	struct semid_ds status;
	union semun argument = {.buf = &status};
	bool is_set;

	if (semctl(own, 0, IPC_STAT, argument) != 0)
		return points_wrong("IPC_STAT", errno);
	is_set = (status.sem_perm.mode & 0777) == 0640;
	if (finished && !is_set)
		return points_wrong("it is not set", status.sem_perm.mode);
	return geteuid() != 0 ||
	       ((status.sem_perm.uid == OWNER) == is_set &&
		(status.sem_perm.gid == OWNER) == is_set) ||
	       points_wrong("half is set", status.sem_perm.uid);
}

static bool prove_removed(const struct kind *kind, bool finished, int answer)
{
	if (!is_removed()) {
		if (finished || answer == -EIDRM)
			return points_wrong("it is not removed", 0);
		return prove_values(kind, false, answer);
	}
	if (semget(KEY, 0, 0) >= 0 || errno != ENOENT)
		return points_wrong("the key of what is removed", errno);
	own = semget(KEY, COUNT, IPC_CREAT | IPC_EXCL | 0600);
	return own >= 0 || points_wrong("a new one", errno);
}

static bool prove_made(bool finished)
{
	unsigned short values[COUNT];

	own = semget(KEY, COUNT, 0);
	if (own < 0)
		return (errno == ENOENT && !finished) || points_wrong("finding it", errno);
	return (read_values(values) && is_equal(values, (const int[COUNT]){0})) ||
	       points_wrong("a new one", values[0]);
}

static bool prove_all(const struct points_case *one, bool finished, int answer)
{
	const struct kind *kind = kind_of(one);

	if (kind->operation == MAKE)
		return prove_made(finished);
	if (kind->operation == REMOVE)
		return prove_removed(kind, finished, answer);
	if (semget(KEY, COUNT, 0) != own)
		return points_wrong("its key", errno);
	return (kind->operation != SET || prove_set(finished)) &&
	       prove_values(kind, finished, answer);
}

static bool prove(const struct points_case *one, bool finished, int answer)
{
	int64_t before_ns = step_now_ns();

	if (!prove_all(one, finished, answer))
		return false;
	return !points_is_slow(step_now_ns() - before_ns) ||
	       points_slow("a survivor waited: ns", step_now_ns() - before_ns);
}

static void clear_stage(const struct points_case *one)
{
	int id = semget(KEY, 0, 0);
	union semun argument = {.val = 0};

	(void)one;
	if (id >= 0)
		semctl(id, 0, IPC_RMID, argument);
}

#define ALONE(text, row, ...)                                                                \
	{                                                                                    \
		.name = (text), .number = (row), .set_stage = set_stage, .prepare = prepare, \
		.operate = operate, .prove = prove, .clear_stage = clear_stage, __VA_ARGS__  \
	}
#define CASE(text, row, ...)                                                            \
	ALONE(text, row, .sleep = sleep_for_it, .is_right = is_right, .is_due = is_due, \
	      .help = help, __VA_ARGS__)
#define WAITS .may_wait = true

int main(int argc, char **argv)
{
	static const struct points_case cases[] = {
		CASE("take", 0),
		CASE("three", 1),
		CASE("three-undo", 2),
		CASE("first-undo", 3),
		CASE("give-undo", 4),
		CASE("asleep", 5, WAITS),
		CASE("asleep-undo", 6, WAITS),
		CASE("zero-lock-asleep", 7, WAITS),
		CASE("grant-zero", 8),
		ALONE("make", 9, .no_sleeper = true),
		CASE("remove", 10),
		CASE("remove-zero", 11),
		CASE("set", 12),
		CASE("set-value", 13),
		CASE("set-all", 14),
		CASE("get-all-undo", 15),
		CASE("get-waiting-first", 16),
	};

	return points_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
