/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Kills processes at the instructions of the region's operations, and puts the survivors to the
 * proof.
 *
 * This process has the region open all the time; the victim is stepped and killed; a second one, in
 * half of the scenarios, sleeps behind the victim to grow the region itself.  Afterwards the region
 * has grown or has not, what is new is zero, what was there is there, nobody but the living is
 * attached, the survivors and one who opens it anew map, grow and seal it without a wait, and no
 * memory is left that nobody counts.
 *
 *	region_kill [--all] [NAME]	every instruction; the scenarios whose names hold NAME
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

#include <tenon/region.h>

#include "folder.h"
#include "step.h"

#define SKIPPED 77
#define NAME "/victim"
#define PAGE 4096u
#define BYTES 5000u		/* at first */
#define GROWN (4 * PAGE + 100u) /* what the victim makes of it */
#define RIVAL (5 * PAGE)	/* what the other one does */
#define LAST (8 * PAGE)
#define MOST (16 * PAGE)
#define STEPS_LIMIT 200000
#define PATIENCE_NS INT64_C(5000000000)
/* Nobody waits for a timer.  Who only had no processor is not late each time. */
#define SLOW_NS INT64_C(90000000)
#define SLOW_ROUNDS 3u
/* Kill points of a scenario, unless all are wanted. */
#define POINTS 60u

enum operation {
	OP_GROW,
	OP_SEAL,
	OP_SEAL_BUSY,
	OP_MAP,
	OP_UNMAP,
	OP_BYTES,
	OP_SNAPSHOT,
	OP_VIEW,
	OP_FD,
	OP_COPY_FD,
	OP_FROM_FD,
	OP_OPEN,
	OP_OPEN_GUARDED,
	OP_CREATE,
	OP_CLOSE,
	OP_STATUS,
	OPERATIONS
};

static const char *const operation_names[OPERATIONS] = {
	"grow", "seal",	   "seal-busy", "map",	"unmap",	"bytes",  "snapshot", "view",
	"fd",	"copy-fd", "from-fd",	"open", "open-guarded", "create", "close",    "status"};

struct scenario {
	enum operation operation;
	bool rival;
};

static struct scenario scenario;
static struct tenon_region *own; /* this process's */
static uint8_t *data;		 /* and its mapping */
static struct tenon_region *victims;
static void *victims_data;
static int victims_fd;

/* What the rival got: 1 + the negative answer; 0 nothing yet. */
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

static struct tenon_region *open_region(uint32_t flags)
{
	struct tenon_region_options options = {
		.size = sizeof(options), .bytes = BYTES, .max_bytes = MOST, .max_participants = 16};
	struct tenon_region *region;

	return tenon_region_open(NULL, NAME, flags, &options, &region) == 0 ? region : NULL;
}

/* In the victim. */
static int prepare(void *context)
{
	(void)context;
	if (scenario.operation == OP_FROM_FD)
		return tenon_region_fd(own, TENON_REGION_WRITE, &victims_fd);
	if (scenario.operation == OP_OPEN || scenario.operation == OP_OPEN_GUARDED ||
	    scenario.operation == OP_CREATE)
		return 0;
	victims = open_region(0);
	if (!victims)
		return -1;
	/* The guard's and the gate's first times are not of interest. */
	if (scenario.operation == OP_UNMAP || scenario.operation == OP_CLOSE)
		return tenon_region_map(victims, TENON_REGION_WRITE, &victims_data, NULL);
	return 0;
}

static void operate(void *context)
{
	struct tenon_region_status status = {.size = sizeof(status)};
	uint64_t bytes;
	void *address;
	int fd;

	(void)context;
	switch (scenario.operation) {
	case OP_GROW:
		(void)!tenon_region_grow(victims, GROWN, deadline());
		break;
	case OP_SEAL:
	case OP_SEAL_BUSY:
		(void)!tenon_region_seal(victims, TENON_REGION_SEAL_WRITE, deadline());
		break;
	case OP_MAP:
		tenon_region_map(victims, TENON_REGION_WRITE, &address, &bytes);
		break;
	case OP_UNMAP:
		tenon_region_unmap(victims, victims_data);
		break;
	case OP_BYTES:
		tenon_region_bytes(victims, &bytes);
		break;
	case OP_SNAPSHOT:
		tenon_region_snapshot(victims, 0, &address, &bytes);
		break;
	case OP_VIEW:
		tenon_region_snapshot(victims, TENON_REGION_COPY_ON_WRITE, &address, &bytes);
		break;
	case OP_FD:
		tenon_region_fd(victims, TENON_REGION_READ, &fd);
		break;
	case OP_COPY_FD:
		tenon_region_fd(victims, TENON_REGION_SEALED_COPY, &fd);
		break;
	case OP_FROM_FD:
		(void)!tenon_region_from_fd(victims_fd, 0, &victims);
		break;
	case OP_CLOSE:
		victims = tenon_region_close(victims);
		break;
	case OP_STATUS:
		tenon_region_status(victims, &status);
		break;
	default:
		victims = open_region(
			TENON_CREATE |
			(scenario.operation == OP_OPEN_GUARDED ? TENON_REGION_GUARD : 0));
	}
}

static bool is_all(uint64_t from, uint64_t to, uint8_t value)
{
	for (uint64_t i = from; i < to; i++)
		if (data[i] != value)
			return wrong("a byte is another", (int64_t)i);
	return true;
}

/* Grows beside the victim. */
static pid_t start_rival(void)
{
	pid_t pid;

	atomic_store(answered, 0);
	pid = fork();
	if (pid == 0) {
		struct tenon_region *region = open_region(0);
		int result;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		result = region ? tenon_region_grow(region, RIVAL, deadline()) : -EBADF;
		atomic_store(answered, 1 - result);
		_exit(0);
	}
	return pid;
}

static void await_rival(pid_t rival)
{
	while (!step_is_asleep(rival, NULL) && atomic_load(answered) == 0)
		sched_yield();
}

static bool prove_rival(pid_t rival, int64_t since_ns)
{
	int64_t answer;
	int status;

	while (atomic_load(answered) == 0 && step_now_ns() - since_ns < PATIENCE_NS)
		sched_yield();
	answer = atomic_load(answered);
	if (answer == 0)
		kill(rival, SIGKILL);
	waitpid(rival, &status, 0);
	if (answer != 1)
		return wrong("the rival's answer", 1 - answer);
	if (step_now_ns() - since_ns <= SLOW_NS)
		return true;
	slow = true;
	return wrong("the rival waited", 0);
}

static bool prove_size(bool rival)
{
	struct tenon_region_status status = {.size = sizeof(status)};
	uint64_t bytes = 0;
	int result = tenon_region_bytes(own, &bytes);

	if (result != 0)
		return wrong("size", result);
	if (bytes != (rival ? RIVAL : BYTES) &&
	    (rival || scenario.operation != OP_GROW || bytes != GROWN))
		return wrong("half grown", (int64_t)bytes);
	if (tenon_region_status(own, &status) != 0 || status.damaged || status.participants != 1 ||
	    status.writers != (data != NULL))
		return wrong("somebody is left", status.participants);
	return true;
}

/* Everything that a survivor may do, by this process or a handle of its own. */
static bool prove_one(struct tenon_region *region, uint64_t bytes)
{
	int64_t before_ns = step_now_ns(), took_ns;
	struct tenon_region_status status = {.size = sizeof(status)};
	void *address = NULL;
	uint64_t seen = 0;
	int result = tenon_region_grow(region, bytes, deadline());

	if (result != 0)
		return wrong("a survivor cannot grow it", result);
	result = tenon_region_map(region, TENON_REGION_WRITE, &address, &seen);
	if (result == -EPERM && scenario.operation == OP_SEAL)
		result = tenon_region_map(region, TENON_REGION_READ, &address, &seen);
	if (result != 0 || seen != bytes)
		return wrong("a survivor cannot map it", result);
	if (!data)
		data = address;
	took_ns = step_now_ns() - before_ns;
	if (took_ns > SLOW_NS) {
		slow = true;
		return wrong("a survivor waited: ns", took_ns);
	}
	/* The header, participants, stakes, the control page and places, each as far as they are
	 * used. */
	if (tenon_region_status(region, &status) != 0 ||
	    status.memory_bytes > bytes + PAGE + 6 * PAGE)
		return wrong("memory is left", (int64_t)status.memory_bytes);
	return true;
}

static bool prove(bool rival)
{
	struct tenon_region *fresh;
	uint64_t before = BYTES;
	bool right = prove_size(rival) && tenon_region_bytes(own, &before) == 0 &&
		     prove_one(own, before) && is_all(0, BYTES, 1) && is_all(BYTES, before, 0);
	int result;

	fresh = open_region(TENON_CREATE);
	if (!fresh)
		return wrong("cannot be opened", 0);
	right = right && prove_one(fresh, LAST) && prove_one(own, LAST) && is_all(before, LAST, 0);
	fresh = tenon_region_close(fresh);
	tenon_region_unmap(own, data);
	data = NULL;
	result = right ? tenon_region_seal(own, TENON_REGION_SEAL_WRITE, deadline()) : 0;
	return right && (result == 0 || wrong("cannot be sealed", result));
}

static struct step_plan plan = {.prepare = prepare, .operate = operate, .patience_ns = PATIENCE_NS};

static bool set_stage(void)
{
	void *address = NULL;

	fault[0] = '\0';
	own = open_region(TENON_CREATE);
	if (!own || tenon_region_map(own, TENON_REGION_WRITE, &address, NULL) != 0)
		return wrong("cannot be made", 0);
	data = address;
	memset(data, 1, BYTES);
	/* To be seen if it is not zeroed when the region grows. */
	memset(data + BYTES, 9, 2 * PAGE - BYTES);
	if (scenario.operation == OP_SEAL) {
		tenon_region_unmap(own, data);
		data = NULL;
	}
	return true;
}

static void clear_stage(void)
{
	own = tenon_region_close(own);
	tenon_region_remove(NULL, NAME);
}

/* Kills behind the n-th instruction.  False: something is wrong. */
static bool run_point(const struct step_trace *trace, uint64_t point)
{
	struct step_victim victim;
	pid_t rival = 0;
	enum step_end end;
	int64_t since_ns;
	bool right = set_stage();

	if (right && step_start(&victim, &plan) != 0)
		right = wrong("the victim cannot begin", 0);
	if (right) {
		end = step_jump(&victim, trace, point);
		if (scenario.rival) {
			rival = start_rival();
			await_rival(rival);
		}
		since_ns = step_now_ns();
		step_kill(&victim);
		if (end == STEP_HANGS || end == STEP_CRASHED)
			right = wrong("the victim hangs or crashed", end);
		if (rival)
			right = prove_rival(rival, since_ns) && right;
		right = right && prove(scenario.rival);
	}
	clear_stage();
	return right;
}

static bool record(struct step_trace *trace)
{
	struct step_victim victim;
	enum step_end end = STEP_HANGS;

	if (set_stage() && step_start(&victim, &plan) == 0) {
		end = step_record(&victim, trace, STEPS_LIMIT);
		step_kill(&victim);
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
			right = run_point(&trace, point);
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

static bool has_rival(enum operation operation)
{
	return operation == OP_GROW || operation == OP_SEAL || operation == OP_SEAL_BUSY;
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

		scenario = (struct scenario){.operation = i / 2, .rival = i % 2};
		if (scenario.rival && !has_rival(scenario.operation))
			continue;
		snprintf(name, sizeof(name), "%s%s", operation_names[scenario.operation],
			 scenario.rival ? "/rival" : "");
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
