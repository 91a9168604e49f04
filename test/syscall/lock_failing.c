/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Each operation of a lock with its first failing system call, then with its second, and so on until it
 * passes untouched.  Afterwards others get the lock, and are told of a death only if it was held; nothing is
 * left, and the operation works.
 */

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tenon/lock.h>

#include "failing_sweep.h"

#define NAME "/failing"
#define OTHER "/other"
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

static struct tenon_lock *must_open(const char *name)
{
	struct tenon_lock *lock;
	int result = tenon_lock_open(NULL, name, TENON_CREATE, NULL, &lock);

	if (result != 0)
		failing_wrong("cannot be opened", result);
	return lock;
}

static int acquire(struct tenon_lock *lock)
{
	return tenon_lock_acquire(lock, tenon_deadline_after(WAIT_NS));
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
	enum call operation = (enum call) * (const uint32_t *)context;
	struct tenon_lock *watch = must_open(NAME), *lock = NULL;
	int descriptors, result;
	pid_t helper = 0;
	bool held;

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
	descriptors = failing_count_descriptors();
	failing_begin();
	result = operate(operation, &lock);
	failing_end();

	if (!is_wanted(operation, result)) {
		failing_told(result, (const int[]){FAILING_LIST_END});
		if (result == 0 || failing_count_descriptors() != descriptors)
			failing_wrong("descriptors are left, or the answer is wrong", result);
		/* It works now. */
		result = operate(operation, &lock);
		if (!is_wanted(operation, result) && !(operation == REMOVE && result == -ENOENT))
			failing_wrong("works no more", result);
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
		failing_wrong("another one's answer", result);
	if (held && (tenon_lock_release(lock) != 0 || tenon_lock_try(watch) != 0))
		failing_wrong("cannot be released", 0);
	tenon_lock_release(watch);
	_exit(0);
}

static const char *name_of(uint32_t operation)
{
	return names[operation];
}

static void inherit(uint32_t operation)
{
	inherited = operation == FORKED ? must_open(NAME) : NULL;
}

static void clean(void)
{
	inherited = tenon_lock_close(inherited);
	tenon_lock_remove(NULL, NAME);
	tenon_lock_remove(NULL, OTHER);
}

int main(int argc, char **argv)
{
	static const struct failing_set set = {.operations = OPERATIONS,
					       .name = name_of,
					       .scenario = scenario,
					       .inherit = inherit,
					       .clean = clean};

	return failing_sweep_main(argc, argv, &set);
}
