/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Single-stepping of victims.
 *
 * The tracer and its victim should run on one CPU: a step then costs two switches on that CPU
 * instead of two wake-ups of another.  The callers pin themselves.
 *
 * The marker is a breakpoint instruction; the end of the operation is a word in memory that victim
 * and tracer share, looked at after each step, followed by another breakpoint for a victim that runs
 * at full speed.
 */

#include "step.h"

#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define RESTARTED "TENON_CRASH_RESTARTED"
/* Looks at a running victim before it is asked whether it sleeps. */
#define LOOKS_BEFORE_SLEEP 8
/* What was made for a sleeping victim went to somebody else if it sleeps on for that long. */
#define STAYS_ASLEEP_NS INT64_C(20000000)
/* Rounds of step_give_way() that only yield. */
#define YIELDS 3
#define EXIT_UNPREPARED 101

#if defined(__has_feature)
#define CARRIES_SANITIZER (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CARRIES_SANITIZER 1
#else
#define CARRIES_SANITIZER 0
#endif

/* Victims that may be under way at a time. */
#define VICTIMS 16

static _Atomic uint32_t *finished_words;
static pid_t finished_owner;
static uint32_t victims_started;

int64_t step_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void step_give_way(_Atomic uint32_t *word, uint32_t *rounds)
{
	uint32_t round = (*rounds)++;
	struct timespec moment = {0, 31250};

	if (round < YIELDS) {
		sched_yield();
		return;
	}
	round -= YIELDS;
	moment.tv_nsec <<= round < 5 ? round : 5;
	syscall(SYS_futex, word, FUTEX_WAIT, 0, &moment, NULL, 0);
}

void step_notify(_Atomic uint32_t *word)
{
	atomic_store(word, 1);
	syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

#if defined(__x86_64__)

#define BREAKPOINT_BYTES 1

static inline void marker(void)
{
	__asm__ volatile("int3" ::: "memory");
}

static uint64_t address_of(pid_t pid)
{
	return (uint64_t)ptrace(PTRACE_PEEKUSER, pid, offsetof(struct user_regs_struct, rip), 0);
}

static int set_address(pid_t pid, uint64_t address)
{
	return (int)ptrace(PTRACE_POKEUSER, pid, offsetof(struct user_regs_struct, rip), address);
}

static uint64_t with_breakpoint(uint64_t word)
{
	return (word & ~UINT64_C(0xff)) | 0xcc;
}

static bool architecture_is_known(void)
{
	return true;
}

#else

#define BREAKPOINT_BYTES 0

static inline void marker(void)
{
	raise(SIGTRAP);
}

static uint64_t address_of(pid_t pid)
{
	(void)pid;
	return 0;
}

static int set_address(pid_t pid, uint64_t address)
{
	(void)pid;
	(void)address;
	return -1;
}

static uint64_t with_breakpoint(uint64_t word)
{
	return word;
}

static bool architecture_is_known(void)
{
	return false;
}

#endif

static void nothing(void *context)
{
	(void)context;
}

static int ready(void *context)
{
	(void)context;
	return 0;
}

const char *step_obstacle(void)
{
	struct step_plan plan = {.prepare = ready, .operate = nothing, .patience_ns = 1000000000};
	struct step_victim victim;
	bool works;

	if (CARRIES_SANITIZER)
		return "single-stepping through a sanitizer's code takes too long";
	if (!architecture_is_known())
		return "single-stepping is written for x86-64 only";
	if (step_start(&victim, &plan) != 0)
		return "this machine does not let a process trace its child";
	works = step_to(&victim, 1) == STEP_STOPPED && victim.address != 0;
	step_kill(&victim);
	return works ? NULL : "this machine does not let a process single-step its child";
}

void step_restart(char **arguments)
{
	if (getenv(RESTARTED))
		return;
	setenv(RESTARTED, "1", 1);
	setenv("LD_BIND_NOW", "1", 1);
	setenv("GLIBC_TUNABLES",
	       "glibc.cpu.x86_rep_movsb_threshold=0x10000000:"
	       "glibc.cpu.x86_rep_stosb_threshold=0x10000000",
	       1);
	execv("/proc/self/exe", arguments);
}

bool step_is_asleep(pid_t pid, char *ret_state)
{
	char path[40], line[256];
	const char *state;
	FILE *file;
	bool got;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	file = fopen(path, "re");
	if (!file)
		return false;
	got = fgets(line, sizeof(line), file) != NULL;
	fclose(file);
	/* The name in brackets may hold anything, brackets too. */
	state = got ? strrchr(line, ')') : NULL;
	if (!state || state[1] == '\0')
		return false;
	if (ret_state)
		*ret_state = state[2];
	return state[2] == 'S';
}

/* Waits for the victim's next stop. */
static enum step_end await_stop(struct step_victim *victim)
{
	const struct step_plan *plan = victim->plan;
	bool asleep, was_asleep = false;
	int64_t deadline_ns = 0;

	if (!plan->may_sleep)
		return waitpid(victim->pid, &victim->status, __WALL) < 0 ? STEP_CRASHED
									 : STEP_STOPPED;
	for (uint32_t looks = 1;; looks++) {
		pid_t pid = waitpid(victim->pid, &victim->status, __WALL | WNOHANG);

		if (pid < 0)
			return STEP_CRASHED;
		if (pid > 0)
			return STEP_STOPPED;
		sched_yield();
		if (looks % LOOKS_BEFORE_SLEEP)
			continue;
		if (!victim->slept && step_is_asleep(victim->pid, NULL)) {
			if (!plan->on_sleep)
				return STEP_ASLEEP;
			victim->slept = true;
			if (plan->on_sleep(plan->context) != 0)
				return STEP_HANGS;
		}
		asleep = step_is_asleep(victim->pid, NULL);
		if (deadline_ns == 0 || asleep != was_asleep)
			deadline_ns = step_now_ns() +
				      (asleep ? STAYS_ASLEEP_NS : plan->patience_ns);
		else if (step_now_ns() > deadline_ns)
			return asleep ? STEP_ASLEEP : STEP_HANGS;
		was_asleep = asleep;
	}
}

/* What a stop means.  `address` is left alone for a victim that is gone. */
static enum step_end judge_stop(struct step_victim *victim)
{
	if (!WIFSTOPPED(victim->status))
		return STEP_CRASHED;
	victim->address = address_of(victim->pid);
	if (WSTOPSIG(victim->status) != SIGTRAP)
		return STEP_CRASHED;
	return atomic_load(victim->finished) ? STEP_FINISHED : STEP_STOPPED;
}

static enum step_end resume(struct step_victim *victim, int request)
{
	enum step_end end;

	if (ptrace(request, victim->pid, 0, 0) != 0)
		return STEP_CRASHED;
	end = await_stop(victim);
	return end == STEP_STOPPED ? judge_stop(victim) : end;
}

static void be_victim(const struct step_victim *victim)
{
	const struct step_plan *plan = victim->plan;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (ptrace(PTRACE_TRACEME, 0, 0, 0) != 0 || plan->prepare(plan->context) < 0)
		_exit(EXIT_UNPREPARED);
	marker();
	plan->operate(plan->context);
	atomic_store(victim->finished, 1);
	marker();
	_exit(0);
}

int step_start(struct step_victim *victim, const struct step_plan *plan)
{
	memset(victim, 0, sizeof(*victim));
	victim->plan = plan;
	/* Of each process that steps: a page inherited over fork would be another stepper's as well. */
	if (finished_owner != getpid()) {
		void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
				  -1, 0);

		if (page == MAP_FAILED)
			return -ENOMEM;
		finished_words = page;
		finished_owner = getpid();
	}
	victim->finished = &finished_words[victims_started++ % VICTIMS];
	atomic_store(victim->finished, 0);
	victim->pid = fork();
	if (victim->pid < 0)
		return -errno;
	if (victim->pid == 0)
		be_victim(victim);
	if (waitpid(victim->pid, &victim->status, __WALL) < 0)
		return -errno;
	if (!WIFSTOPPED(victim->status)) {
		victim->pid = 0;
		return -ECHILD;
	}
	ptrace(PTRACE_SETOPTIONS, victim->pid, 0, PTRACE_O_EXITKILL);
	victim->address = address_of(victim->pid);
	if (WSTOPSIG(victim->status) != SIGTRAP) {
		step_kill(victim);
		return -ECHILD;
	}
	return 0;
}

enum step_end step_to(struct step_victim *victim, uint64_t steps)
{
	enum step_end end = STEP_STOPPED;

	while (end == STEP_STOPPED && victim->steps < steps) {
		end = resume(victim, PTRACE_SINGLESTEP);
		victim->steps++;
	}
	return end;
}

/* Runs at full speed until `address` is about to be executed. */
static enum step_end run_to(struct step_victim *victim, uint64_t address)
{
	enum step_end end;
	long word;

	errno = 0;
	word = ptrace(PTRACE_PEEKTEXT, victim->pid, address, 0);
	/* The victim's text is a private mapping: nobody else sees the breakpoint. */
	if (errno != 0 ||
	    ptrace(PTRACE_POKETEXT, victim->pid, address, with_breakpoint((uint64_t)word)) != 0)
		return STEP_STOPPED;
	end = resume(victim, PTRACE_CONT);
	if (end != STEP_STOPPED || victim->address != address + BREAKPOINT_BYTES)
		return end == STEP_STOPPED ? STEP_CRASHED : end;
	ptrace(PTRACE_POKETEXT, victim->pid, address, word);
	set_address(victim->pid, address);
	victim->address = address;
	return STEP_STOPPED;
}

enum step_end step_jump(struct step_victim *victim, const struct step_trace *trace, uint64_t steps)
{
	enum step_end end;
	uint64_t anchor;

	uint64_t last = steps;

	/* Behind its sleep, one that is woken by chance would run on to the breakpoint, and may hold a lock
	 * there that on_sleep needs. */
	if (trace->count == 0 || (victim->plan->may_sleep && !victim->plan->jumps))
		return step_to(victim, steps);
	if (victim->plan->may_sleep && last > trace->slept)
		last = trace->slept;
	anchor = trace->anchor[last < trace->count ? last : trace->count - 1];
	/* A breakpoint costs as much as a few steps. */
	if (anchor > 8) {
		end = run_to(victim, trace->address[anchor - 1]);
		if (end != STEP_STOPPED)
			return end;
		victim->steps = anchor - 1;
	}
	return step_to(victim, steps);
}

static int trace_add(struct step_trace *trace, uint64_t address)
{
	if (trace->count == trace->capacity) {
		uint64_t capacity = trace->capacity ? 2 * trace->capacity : 4096;
		uint64_t *grown = realloc(trace->address, capacity * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		trace->address = grown;
		trace->capacity = capacity;
	}
	trace->address[trace->count++] = address;
	return 0;
}

static int compare_addresses(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

	return left < right ? -1 : left > right;
}

/* Finds the addresses that come once only. */
static int find_anchors(struct step_trace *trace)
{
	uint64_t *sorted = malloc((trace->count + 1) * sizeof(*sorted));
	uint64_t last = 0;

	trace->anchor = malloc((trace->count + 1) * sizeof(*trace->anchor));
	if (!sorted || !trace->anchor) {
		free(sorted);
		return -ENOMEM;
	}
	memcpy(sorted, trace->address, trace->count * sizeof(*sorted));
	qsort(sorted, trace->count, sizeof(*sorted), compare_addresses);
	for (uint64_t i = 0; i < trace->count; i++) {
		uint64_t *found = bsearch(&trace->address[i], sorted, trace->count, sizeof(*sorted),
					  compare_addresses);

		if ((found == sorted || found[-1] != *found) &&
		    (found + 1 == sorted + trace->count || found[1] != *found))
			last = i + 1;
		trace->anchor[i] = last;
	}
	free(sorted);
	return 0;
}

enum step_end step_record(struct step_victim *victim, struct step_trace *trace, uint64_t limit)
{
	enum step_end end = STEP_STOPPED;
	bool slept = false;

	memset(trace, 0, sizeof(*trace));
	while (end == STEP_STOPPED && victim->steps < limit) {
		if (trace_add(trace, victim->address) != 0)
			return STEP_HANGS;
		end = step_to(victim, victim->steps + 1);
		if (!slept && (victim->slept || end == STEP_ASLEEP)) {
			slept = true;
			trace->slept = trace->count - 1;
		}
	}
	if (!slept)
		trace->slept = trace->count;
	if (find_anchors(trace) != 0)
		trace->count = 0;
	return end;
}

void step_trace_free(struct step_trace *trace)
{
	free(trace->address);
	free(trace->anchor);
	memset(trace, 0, sizeof(*trace));
}

void step_kill(struct step_victim *victim)
{
	if (victim->pid <= 0)
		return;
	victim->killed_ns = step_now_ns();
	kill(victim->pid, SIGKILL);
	/* A victim that was stopped just then may still report that stop. */
	while (waitpid(victim->pid, &victim->status, __WALL) > 0 && WIFSTOPPED(victim->status))
		;
	victim->pid = 0;
}

void step_release(struct step_victim *victim)
{
	if (victim->pid <= 0)
		return;
	while (ptrace(PTRACE_CONT, victim->pid, 0, 0) == 0 &&
	       waitpid(victim->pid, &victim->status, __WALL) > 0 && WIFSTOPPED(victim->status))
		;
	victim->pid = 0;
}

/* Finds the file that is mapped at an address, and the offset from its first mapping. */
static bool find_mapping(uint64_t address, char *ret_path, uint64_t *ret_offset)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[512], path[300], first_path[300] = "";
	uint64_t first = 0, start, end;
	bool found = false;

	while (maps && !found && fgets(line, sizeof(line), maps)) {
		path[0] = '\0';
		if (sscanf(line, "%lx-%lx %*s %*s %*s %*s %299[^\n]", &start, &end, path) < 2)
			continue;
		if (strcmp(path, first_path) != 0) {
			strcpy(first_path, path);
			first = start;
		}
		if (address < start || address >= end)
			continue;
		strcpy(ret_path, path);
		*ret_offset = address - first;
		found = true;
	}
	if (maps)
		fclose(maps);
	return found;
}

void step_describe(uint64_t address, char *ret_text, size_t capacity_bytes)
{
	char path[300], command[512], line[300] = "";
	uint64_t offset;
	FILE *answer;

	if (!find_mapping(address, path, &offset)) {
		snprintf(ret_text, capacity_bytes, "0x%lx", (unsigned long)address);
		return;
	}
	if (path[0] == '/') {
		snprintf(command, sizeof(command), "addr2line -spfe '%s' 0x%lx 2>/dev/null", path,
			 (unsigned long)offset);
		answer = popen(command, "re");
		if (answer) {
			if (!fgets(line, sizeof(line), answer))
				line[0] = '\0';
			pclose(answer);
		}
		line[strcspn(line, "\n")] = '\0';
	}
	if (line[0] != '\0' && line[0] != '?')
		snprintf(ret_text, capacity_bytes, "%s", line);
	else
		snprintf(ret_text, capacity_bytes, "%s+0x%lx", path, (unsigned long)offset);
}
