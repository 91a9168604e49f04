/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Each operation of a lock with its first failing system call, then with its second, and so on until it
 * passes untouched.  Afterwards others get the lock, and are told of a death only if it was held; nothing is
 * left, and the operation works.
 */

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tenon/lock.h>

#include "../crash/folder.h"
#include "failing.h"

#define SKIPPED 77
#define NAME "/failing"
#define OTHER "/other"
#define CALLS_MOST 200u
#define PATIENCE_S 10u
#define WAIT_NS 1000000

enum call {
	OPEN,
	CREATE,
	ACQUIRE,
	AGAIN,
	BUSY,
	TRY,
	RELEASE,
	STATUS,
	CLOSE,
	CLOSE_HELD,
	REMOVE,
	FORKED,
	OPERATIONS
};

static const char *const names[OPERATIONS] = {"open",  "create",     "acquire", "acquire-again",
					      "busy",  "try",	     "release", "status",
					      "close", "close-held", "remove",	"fork-acquire"};

static struct tenon_lock *inherited;

static void end_with(const char *what, int figure)
{
	printf("# %s: %d\n", what, figure);
	fflush(stdout);
	_exit(1);
}

static struct tenon_lock *must_open(const char *name)
{
	struct tenon_lock *lock;
	int result = tenon_lock_open(NULL, name, TENON_CREATE, NULL, &lock);

	if (result != 0)
		end_with("cannot be opened", result);
	return lock;
}

static int acquire(struct tenon_lock *lock)
{
	return tenon_lock_acquire(lock, tenon_deadline_after(WAIT_NS));
}

static int count_descriptors(void)
{
	DIR *directory = opendir("/proc/self/fd");
	int count = -3;

	while (directory && readdir(directory))
		count++;
	if (directory)
		closedir(directory);
	return count;
}

static int operate(enum call operation, struct tenon_lock **lock)
{
	struct tenon_lock_status status = {.size = sizeof(status)};

	switch (operation) {
	case OPEN:
		return tenon_lock_open(NULL, NAME, 0, NULL, lock);
	case CREATE:
		return tenon_lock_open(NULL, OTHER, TENON_CREATE | TENON_EXCLUSIVE, NULL, lock);
	case TRY:
		return tenon_lock_try(*lock);
	case RELEASE:
		return tenon_lock_release(*lock);
	case STATUS:
		return tenon_lock_status(*lock, &status);
	case CLOSE:
	case CLOSE_HELD:
		*lock = tenon_lock_close(*lock);
		return 0;
	case REMOVE:
		return tenon_lock_remove(NULL, OTHER);
	default:
		return acquire(*lock);
	}
}

static bool is_wanted(enum call operation, int result)
{
	return result == (operation == BUSY ? -ETIMEDOUT : 0);
}

/* Another process holds it. */
static pid_t start_holder(struct tenon_lock *watch)
{
	struct tenon_lock_status status = {.size = sizeof(status)};
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (acquire(must_open(NAME)) != 0)
			_exit(1);
		for (;;)
			pause();
	}
	while (status.owner_pid != pid)
		tenon_lock_status(watch, &status);
	return pid;
}

/* In the traced process. */
static void scenario(void *context)
{
	enum call operation = *(const enum call *)context;
	struct tenon_lock *watch = must_open(NAME), *lock = NULL;
	int descriptors, result;
	pid_t helper = 0;
	bool held;

	alarm(PATIENCE_S);
	if (operation == FORKED)
		lock = inherited;
	else if (operation != OPEN && operation != CREATE && operation != REMOVE)
		lock = must_open(NAME);
	if (operation == REMOVE)
		tenon_lock_close(must_open(OTHER));
	if (operation == AGAIN || operation == RELEASE || operation == CLOSE_HELD)
		result = acquire(lock);
	if (operation == AGAIN)
		tenon_lock_release(lock);
	if (operation == BUSY)
		helper = start_holder(watch);
	descriptors = count_descriptors();
	failing_begin();
	result = operate(operation, &lock);
	failing_end();

	if (!is_wanted(operation, result)) {
		if (result == 0 || count_descriptors() != descriptors)
			end_with("descriptors are left, or the answer is wrong", result);
		/* It works now. */
		result = operate(operation, &lock);
		if (!is_wanted(operation, result) && !(operation == REMOVE && result == -ENOENT))
			end_with("works no more", result);
	}
	if (helper > 0) {
		kill(helper, SIGKILL);
		waitpid(helper, NULL, 0);
	}
	held = operation == ACQUIRE || operation == AGAIN || operation == TRY ||
	       operation == FORKED;
	result = tenon_lock_try(watch);
	if (held ? result != -EDEADLK && result != -EBUSY
		 : result != 0 && !((operation == CLOSE_HELD || operation == BUSY) &&
				    result == -EOWNERDEAD))
		end_with("another one's answer", result);
	if (held && (tenon_lock_release(lock) != 0 || tenon_lock_try(watch) != 0))
		end_with("cannot be released", 0);
	tenon_lock_release(watch);
	_exit(0);
}

/* How many failed; -1: there is no tracing here. */
static int sweep(enum call operation, uint64_t *points)
{
	int failed = 0;

	for (uint32_t nth = 0; nth < CALLS_MOST; nth++) {
		uint32_t variants = 1;

		for (uint32_t variant = 0; variant < variants; variant++) {
			struct failing_hit hit;
			enum failing_end end;

			fflush(stdout);
			inherited = operation == FORKED ? must_open(NAME) : NULL;
			end = failing_run(scenario, &operation, nth, variant, &hit, &variants);
			inherited = tenon_lock_close(inherited);
			tenon_lock_remove(NULL, NAME);
			tenon_lock_remove(NULL, OTHER);
			if (end == FAILING_IMPOSSIBLE)
				return -1;
			if (end == FAILING_UNTOUCHED)
				return failed;
			++*points;
			if (end != FAILING_CRASHED)
				continue;
			failed++;
			printf("# call %u, %s: %s%s\n", nth, hit.call, strerrorname_np(hit.error),
			       WIFSIGNALED(hit.status) ? ": killed" : "");
			if (hit.error == 0)
				return failed;
		}
	}
	return failed + 1;
}

int main(void)
{
	char folder[FOLDER_BYTES];
	int failed = 0;

	failing_memory = mmap(NULL, sizeof(*failing_memory), PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	failing_memory->nth = FAILING_NONE;
	if (folder_make(folder) != 0)
		return 2;
	for (uint32_t i = 0; i < OPERATIONS; i++) {
		uint64_t points = 0;
		int result = sweep(i, &points);

		if (result < 0) {
			printf("1..0 # SKIP no process may trace another here\n");
			folder_remove(folder);
			return SKIPPED;
		}
		failed += result;
		printf("%sok %u - %s: %llu failing calls\n", result ? "not " : "", i + 1, names[i],
		       (unsigned long long)points);
	}
	printf("1..%u\n", OPERATIONS);
	folder_remove(folder);
	return failed > 0;
}
