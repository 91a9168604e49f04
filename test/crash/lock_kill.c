/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Kills processes at the instructions of the lock's operations, and puts the survivors to the proof.
 *
 * The cast of one run: this process has the lock open all the time, and holds it in some scenarios; the
 * victim is stepped and killed; a sleeper, in half of the scenarios, is asleep for the lock when the victim
 * begins.  Afterwards the sleeper must get the lock, and then this process and one that opens it anew; each
 * is told by -EOWNERDEAD if the victim may have died with it, and only then; and nothing is left.
 *
 *	lock_kill [--all] [NAME]	every instruction; the scenarios whose names hold NAME
 */

#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tenon/lock.h>

#include "folder.h"
#include "step.h"

#define SKIPPED 77
#define NAME "/victim"
#define STEPS_LIMIT 200000
#define PATIENCE_NS INT64_C(5000000000)
/* Nobody waits for a timer: the shortest there is anywhere is of 100 ms.  Who only had no processor is not
 * late each time. */
#define SLOW_NS INT64_C(90000000)
#define SLOW_ROUNDS 3u
/* Kill points of a scenario, unless all are wanted. */
#define POINTS 40u

enum operation {
	OP_ACQUIRE,	  /* for the first time: the entry is made */
	OP_ACQUIRE_AGAIN, /* the entry is in the list */
	OP_ACQUIRE_DEAD,  /* and the last owner died */
	OP_ACQUIRE_ASLEEP,
	OP_TRY,
	OP_RECURSIVE,
	OP_RELEASE,
	OP_REPAIRED,
	OP_LOST,
	OP_OPEN,
	OP_CREATE,
	OP_CLOSE,
	OP_CLOSE_HELD,
	OP_STATUS,
	OPERATIONS
};

static const char *const operation_names[OPERATIONS] = {
	"acquire",   "acquire-again", "acquire-dead", "acquire-asleep", "try",
	"recursive", "release",	      "repaired",     "lost",		"open",
	"create",    "close",	      "close-held",   "status"};

struct scenario {
	enum operation operation;
	bool sleeper;
};

static struct scenario scenario;
static struct tenon_lock *own; /* this process's */
static bool holding;
static struct tenon_lock *victims;

/* What the sleeper got: 1 + the negative answer; 0 nothing yet. */
static _Atomic int64_t *answered;
static char fault[200];
static bool slow; /* what is wrong is that somebody waited for long */

static bool wrong(const char *what, int64_t figure)
{
	if (fault[0] == '\0')
		snprintf(fault, sizeof(fault), "%s (%" PRId64 ")", what, figure);
	return false;
}

static int64_t deadline(void)
{
	return tenon_deadline_after(PATIENCE_NS);
}

static bool is_recursive(void)
{
	return scenario.operation == OP_RECURSIVE;
}

static struct tenon_lock *open_lock(uint32_t flags)
{
	struct tenon_sync_options options = {.size = sizeof(options),
					     .flags = is_recursive() ? TENON_LOCK_RECURSIVE : 0,
					     .max_participants = 16};
	struct tenon_lock *lock;

	return tenon_lock_open(NULL, NAME, flags, &options, &lock) == 0 ? lock : NULL;
}

static int die_holding(void)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		struct tenon_lock *lock = open_lock(0);

		(void)!tenon_lock_acquire(lock, deadline());
		kill(getpid(), SIGKILL);
	}
	return waitpid(pid, &status, 0) == pid ? 0 : -1;
}

static int hold_before(void)
{
	int result = tenon_lock_acquire(victims, deadline());

	return result == 0 || result == -EOWNERDEAD ? 0 : result;
}

/* In the victim. */
static int prepare(void *context)
{
	(void)context;
	if (scenario.operation == OP_OPEN || scenario.operation == OP_CREATE)
		return 0;
	victims = open_lock(0);
	if (!victims)
		return -1;
	switch (scenario.operation) {
	case OP_ACQUIRE_AGAIN:
	case OP_ACQUIRE_DEAD:
		return hold_before() == 0 ? tenon_lock_release(victims) : -1;
	case OP_RECURSIVE:
	case OP_RELEASE:
	case OP_LOST:
	case OP_REPAIRED:
	case OP_CLOSE_HELD:
		return hold_before();
	default:
		return 0;
	}
}

static void operate(void *context)
{
	(void)context;
	switch (scenario.operation) {
	case OP_TRY:
		(void)!tenon_lock_try(victims);
		break;
	case OP_RELEASE:
		tenon_lock_release(victims);
		break;
	case OP_REPAIRED:
		tenon_lock_repaired(victims);
		break;
	case OP_LOST:
		tenon_lock_lost(victims);
		break;
	case OP_OPEN:
	case OP_CREATE:
		victims = open_lock(TENON_CREATE);
		break;
	case OP_CLOSE:
	case OP_CLOSE_HELD:
		victims = tenon_lock_close(victims);
		break;
	case OP_STATUS: {
		struct tenon_lock_status status = {.size = sizeof(status)};

		tenon_lock_status(victims, &status);
		break;
	}
	case OP_RECURSIVE:
		(void)!tenon_lock_acquire(victims, deadline());
		tenon_lock_release(victims);
		break;
	default:
		(void)!tenon_lock_acquire(victims, deadline());
	}
}

static int on_sleep(void *context)
{
	(void)context;
	holding = false;
	return tenon_lock_release(own);
}

static bool may_have_died_with_it(void)
{
	return scenario.operation != OP_OPEN && scenario.operation != OP_CREATE &&
	       scenario.operation != OP_CLOSE && scenario.operation != OP_STATUS;
}

/* An answer that is right for who comes next. */
static bool is_right(int result)
{
	return result == 0 || (result == -EOWNERDEAD && may_have_died_with_it()) ||
	       (result == -ENOTRECOVERABLE && scenario.operation == OP_LOST);
}

static pid_t start_sleeper(void)
{
	pid_t pid;

	atomic_store(answered, 0);
	pid = fork();
	if (pid == 0) {
		struct tenon_lock *lock = open_lock(0);
		int result;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		result = lock ? tenon_lock_acquire(lock, deadline()) : -EBADF;
		if (result == -EOWNERDEAD)
			(void)!tenon_lock_repaired(lock);
		if (result == 0 || result == -EOWNERDEAD)
			tenon_lock_release(lock);
		atomic_store(answered, 1 - result);
		_exit(0);
	}
	return pid;
}

/* Asleep for the lock, or done with it already. */
static void await_sleeper(pid_t sleeper)
{
	while (!step_is_asleep(sleeper, NULL) && atomic_load(answered) == 0)
		sched_yield();
}

static bool prove_one(struct tenon_lock *lock)
{
	int64_t before_ns = step_now_ns(), took_ns;
	int result = tenon_lock_acquire(lock, deadline());

	took_ns = step_now_ns() - before_ns;
	if (!is_right(result))
		return wrong("a survivor's answer", result);
	if (took_ns > SLOW_NS) {
		slow = true;
		return wrong("a survivor waited: ns", took_ns);
	}
	if (result == -ENOTRECOVERABLE)
		return true;
	if (result == -EOWNERDEAD && tenon_lock_repaired(lock) != 0)
		return wrong("repaired", 0);
	return tenon_lock_release(lock) == 0 || wrong("release", 0);
}

static bool prove(void)
{
	struct tenon_lock_status status = {.size = sizeof(status)};
	struct tenon_lock *fresh;
	bool right = prove_one(own);

	fresh = open_lock(TENON_CREATE);
	if (!fresh)
		return wrong("cannot be opened", 0);
	right = right && prove_one(fresh) && prove_one(own);
	if (tenon_lock_status(own, &status) != 0 || status.owner_pid != 0 || status.waiting != 0 ||
	    status.participants != 2 || status.damaged || status.state == TENON_LOCK_OWNER_DIED)
		right = wrong("something is left", status.owner_pid);
	fresh = tenon_lock_close(fresh);
	return right;
}

/* The sleeper may wait for what this process holds. */
static bool prove_sleeper(pid_t sleeper, int64_t since_ns)
{
	int status;
	int64_t answer;

	while (atomic_load(answered) == 0 && step_now_ns() - since_ns < PATIENCE_NS)
		sched_yield();
	answer = atomic_load(answered);
	if (answer == 0)
		kill(sleeper, SIGKILL);
	waitpid(sleeper, &status, 0);
	if (answer == 0 || !is_right((int)(1 - answer)))
		return wrong("the sleeper's answer", 1 - answer);
	return true;
}

static struct step_plan plan = {.prepare = prepare, .operate = operate, .patience_ns = PATIENCE_NS};

/* Something for the victim, or for the sleeper, to wait for. */
static bool set_stage(void)
{
	fault[0] = '\0';
	own = open_lock(TENON_CREATE);
	if (!own)
		return wrong("cannot be made", 0);
	if (scenario.operation == OP_REPAIRED && die_holding() != 0)
		return wrong("stage", 0);
	holding = scenario.operation == OP_ACQUIRE_ASLEEP;
	plan.on_sleep = holding ? on_sleep : NULL;
	plan.may_sleep = holding;
	return !holding || tenon_lock_acquire(own, deadline()) == 0 || wrong("stage", 0);
}

static void clear_stage(void)
{
	own = tenon_lock_close(own);
	tenon_lock_remove(NULL, NAME);
}

/* Takes a victim to its marker.  In one scenario somebody dies with the lock just then. */
static bool start_victim(struct step_victim *victim)
{
	if (step_start(victim, &plan) != 0)
		return wrong("the victim cannot begin", 0);
	return scenario.operation != OP_ACQUIRE_DEAD || die_holding() == 0 || wrong("stage", 0);
}

/* Kills behind the n-th instruction.  1: the operation ended before; 0; -1 wrong. */
static int run_point(const struct step_trace *trace, uint64_t point)
{
	struct step_victim victim;
	pid_t sleeper = 0;
	enum step_end end;
	int64_t since_ns;
	bool right = set_stage();

	right = right && start_victim(&victim);
	if (right) {
		if (scenario.sleeper) {
			sleeper = start_sleeper();
			await_sleeper(sleeper);
		}
		end = step_jump(&victim, trace, point);
		since_ns = step_now_ns();
		step_kill(&victim);
		if (holding)
			on_sleep(NULL);
		if (end == STEP_HANGS || end == STEP_CRASHED)
			right = wrong("the victim hangs or crashed", end);
		if (sleeper)
			right = prove_sleeper(sleeper, since_ns) && right;
		right = right && prove();
	}
	clear_stage();
	return right ? end == STEP_FINISHED : -1;
}

static bool record(struct step_trace *trace)
{
	struct step_victim victim;
	enum step_end end = STEP_HANGS;

	if (set_stage() && start_victim(&victim)) {
		end = step_record(&victim, trace, STEPS_LIMIT);
		step_kill(&victim);
		if (holding)
			on_sleep(NULL);
	}
	clear_stage();
	return end == STEP_FINISHED || wrong("the operation does not end", end);
}

static bool run_scenario(bool all, uint64_t *points)
{
	struct step_trace trace = {0};
	uint64_t stride;
	bool right = record(&trace);

	stride = all || trace.count <= POINTS ? 1 : trace.count / POINTS;
	for (uint64_t point = 0; right && point <= trace.count; point += stride) {
		char where[200] = "";

		for (uint32_t round = 0; round < SLOW_ROUNDS; round++) {
			slow = false;
			right = run_point(&trace, point) >= 0;
			if (right || !slow)
				break;
		}
		++*points;
		if (!right && point < trace.count)
			step_describe(trace.address[point], where, sizeof(where));
		if (!right)
			printf("# behind instruction %" PRIu64 " of %" PRIu64 ": %s; %s\n", point,
			       trace.count, fault, where);
	}
	if (!right && trace.count == 0)
		printf("# %s\n", fault);
	step_trace_free(&trace);
	return right;
}

static bool needs_no_sleeper(enum operation operation)
{
	return operation == OP_OPEN || operation == OP_CREATE || operation == OP_CLOSE ||
	       operation == OP_STATUS;
}

int main(int argc, char **argv)
{
	const char *pattern = "", *obstacle;
	uint32_t number = 0, failed = 0;
	char folder[FOLDER_BYTES];
	bool all = false;

	step_restart(argv);
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--all") == 0)
			all = true;
		else
			pattern = argv[i];
	}
	obstacle = step_obstacle();
	if (obstacle) {
		printf("1..0 # SKIP %s\n", obstacle);
		return SKIPPED;
	}
	if (folder_make(folder) != 0)
		return 2;
	answered = mmap(NULL, sizeof(*answered), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			-1, 0);
	printf("TAP version 13\n");
	for (uint32_t i = 0; i < 2u * OPERATIONS; i++) {
		uint64_t points = 0;
		char name[64];
		bool right;

		scenario = (struct scenario){.operation = i / 2, .sleeper = i % 2};
		if (scenario.sleeper && needs_no_sleeper(scenario.operation))
			continue;
		snprintf(name, sizeof(name), "%s%s", operation_names[scenario.operation],
			 scenario.sleeper ? "/sleeper" : "");
		if (!strstr(name, pattern))
			continue;
		right = run_scenario(all, &points);
		failed += !right;
		printf("%sok %u - %s: %" PRIu64 " kill points\n", right ? "" : "not ", ++number,
		       name, points);
		fflush(stdout);
	}
	printf("1..%u\n", number);
	folder_remove(folder);
	return failed > 0;
}
