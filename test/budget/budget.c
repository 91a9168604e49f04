/* SPDX-License-Identifier: Apache-2.0 */

/*
 * How many instructions the hot paths take, which does not depend on the machine's mood: a child is stepped through each, one
 * instruction after the other, and what it takes for one round is compared with budgets.txt.  So nothing becomes slower unseen.
 *
 *	budget BUDGETS			TAP: a line for each path
 *	budget --run PATH ROUNDS	a path, for profilers
 *	budget --skip REASON		TAP: none, and why
 */

#include "budget.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../crash/folder.h"

#define WARM_ROUNDS 1000u
#define ROUNDS 64u
/* So much more is no fault: libc chooses by the processor how it copies. */
#define ROOM_PERCENT 2u
/* What is so much less shall become the budget. */
#define SPARE_PERCENT 5u
#define SKIPPED 77

static uint32_t failed;

static const struct budget_path *find(const char *name)
{
	for (const struct budget_path *path = budget_paths; path->name; path++)
		if (strcmp(name, path->name) == 0)
			return path;
	return NULL;
}

/* Where the kernel's own code lies in a process, by which it reads the clock.  It begins anew whenever the clock has ticked
 * meanwhile, so it counts for nothing: stepped through on a busy machine it hardly comes to an end. */
struct vdso {
	unsigned long begin, end;
};

static struct vdso find_vdso(void)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	struct vdso vdso = {0};
	char line[400];

	while (maps && fgets(line, sizeof(line), maps))
		if (strstr(line, "[vdso]") && sscanf(line, "%lx-%lx", &vdso.begin, &vdso.end) == 2)
			break;
	if (maps)
		fclose(maps);
	return vdso;
}

/* Whether its next instruction is the kernel's. */
static bool is_in(const struct vdso *vdso, pid_t child)
{
#if defined(__x86_64__)
	unsigned long at = (unsigned long)ptrace(PTRACE_PEEKUSER, child,
						 offsetof(struct user_regs_struct, rip), NULL);

	return at >= vdso->begin && at < vdso->end;
#else
	(void)vdso, (void)child;
	return false; /* there are no budgets for it */
#endif
}

/* Instructions of what stands between the two stops, of which each is one of these. */
static __attribute__((noreturn)) void run_stepped(const struct budget_path *path)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
		_exit(SKIPPED);
	path->begin();
	for (uint32_t i = 0; i < WARM_ROUNDS; i++)
		path->once();
	raise(SIGSTOP);
	for (uint32_t i = 0; i < ROUNDS; i++)
		path->once();
	raise(SIGSTOP);
	_exit(0);
}

/* Whether it has stopped of itself; else it has ended as *ret_status says. */
static bool await_stop(pid_t child, int *ret_status)
{
	while (waitpid(child, ret_status, 0) < 0 && errno == EINTR)
		;
	return WIFSTOPPED(*ret_status) && WSTOPSIG(*ret_status) == SIGSTOP;
}

/* For one round, rounded.  Negative: it has ended otherwise. */
static int64_t step(pid_t child)
{
	const struct vdso vdso = find_vdso(); /* the child is a fork: it lies there, too */
	uint64_t steps = 0;
	int status;

	if (!await_stop(child, &status))
		return WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED ? -SKIPPED : -1;
	do {
		steps += !is_in(&vdso, child);
		if (ptrace(PTRACE_SINGLESTEP, child, NULL, NULL) != 0 ||
		    waitpid(child, &status, 0) != child || !WIFSTOPPED(status))
			return -1;
	} while (WSTOPSIG(status) == SIGTRAP);
	if (WSTOPSIG(status) != SIGSTOP)
		return -1;
	return (int64_t)((steps + ROUNDS / 2) / ROUNDS);
}

static int64_t measure(const struct budget_path *path)
{
	pid_t child = fork();
	int64_t instructions;

	if (child == 0)
		run_stepped(path);
	if (child < 0)
		return -1;
	instructions = step(child);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	return instructions;
}

/* 0: there is no such line. */
static int64_t budget_of(const char *file_name, const char *name)
{
	FILE *file = fopen(file_name, "re");
	char line[200], word[40];
	int64_t budget = 0;
	long number;

	if (!file) {
		perror(file_name);
		exit(2);
	}
	while (budget == 0 && fgets(line, sizeof(line), file))
		if (sscanf(line, "%39s %ld", word, &number) == 2 && strcmp(word, name) == 0)
			budget = number;
	fclose(file);
	return budget;
}

static void judge(const struct budget_path *path, const char *file_name)
{
	int64_t budget = budget_of(file_name, path->name), taken = measure(path);
	bool is_good = taken >= 0 && taken * 100 <= budget * (100 + ROOM_PERCENT);

	if (taken == -SKIPPED) {
		printf("ok - %s # SKIP no process may be traced here\n", path->name);
		return;
	}
	if (is_good && taken * 100 < budget * (100 - SPARE_PERCENT))
		printf("# fewer than the budget of %ld: let that be what is taken now\n",
		       (long)budget);
	else if (taken < 0)
		printf("# it ended, or was stopped, amid the rounds\n");
	else if (budget == 0)
		printf("# no budget in %s\n", file_name);
	else if (!is_good)
		printf("# more than the budget of %ld\n", (long)budget);
	printf("%s - %s: %ld instructions\n", is_good ? "ok" : "not ok", path->name, (long)taken);
	failed += !is_good;
}

static int run(const struct budget_path *path, const char *rounds)
{
	path->begin();
	for (unsigned long left = strtoul(rounds, NULL, 10); left > 0; left--)
		path->once();
	return 0;
}

static char folder[FOLDER_BYTES];

static void remove_folder(void)
{
	folder_remove(folder);
}

static int with_folder(const struct budget_path *path, const char *file_name, const char *rounds)
{
	int result = 0;

	if (folder_make(folder) != 0) {
		perror("/dev/shm");
		return 2;
	}
	if (rounds) {
		/* Here, and not in a child: what is not to be had ends the program. */
		atexit(remove_folder);
		result = run(path, rounds);
	} else {
		judge(path, file_name);
		remove_folder();
	}
	return result;
}

static int usage(void)
{
	fprintf(stderr,
		"usage: budget BUDGETS | budget --run PATH ROUNDS | budget --skip REASON\n");
	return 2;
}

int main(int argument_count, char **arguments)
{
	const struct budget_path *path;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argument_count == 3 && strcmp(arguments[1], "--skip") == 0) {
		printf("1..0 # SKIP %s\n", arguments[2]);
		return 0;
	}
	if (argument_count == 4 && strcmp(arguments[1], "--run") == 0) {
		path = find(arguments[2]);
		return path ? with_folder(path, NULL, arguments[3]) : usage();
	}
	if (argument_count != 2)
		return usage();
	for (path = budget_paths; path->name; path++)
		if (with_folder(path, arguments[1], NULL) != 0)
			return 2;
	printf("1..%td\n", path - budget_paths);
	return failed != 0;
}
