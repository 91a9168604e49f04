/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Each operation of a lock, of one with priority inheritance, and of sharing one, with its first failing system call,
 * then with its second, and so on until it passes untouched.  Afterwards others get the lock, and are told of a death
 * only if it was held; nothing is left, and the operation works.
 */

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tenon/lock.h>

#include "failing_sweep.h"
#include "sync_kinds.h"

#define NAME "/failing"
#define OTHER "/other"
#define WAIT_NS 1000000
#define LONG_NS INT64_C(40000000000)

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
	OF_BOTH, /* kinds of lock; and of one that is shared: */
	SHARE = OF_BOTH,
	SHARE_AGAIN,
	SHARE_BUSY, /* while another holds it */
	TRY_SHARE,
	END_SHARING,
	CLOSE_SHARED,
	STATUS_SHARED,
	BUSY_SHARED, /* acquire, while another shares it */
	DEAD_SHARER,
	DEAD_HOLDER, /* share what a dead one held */
	SHARE_FORKED,
	OPERATIONS
};

static const char *const names[OPERATIONS] = {
	"open",	       "create",       "acquire",      "acquire-again", "busy",
	"try",	       "release",      "status",       "close",		"close-held",
	"remove",      "fork-acquire", "share",	       "share-again",	"share-busy",
	"try-share",   "end-sharing",  "close-shared", "status-shared", "busy-shared",
	"dead-sharer", "dead-holder",  "fork-share"};
static const char *const names_inherit[OF_BOTH] = {
	"inherit open",	 "inherit create",     "inherit acquire", "inherit acquire-again",
	"inherit busy",	 "inherit try",	       "inherit release", "inherit status",
	"inherit close", "inherit close-held", "inherit remove",  "inherit fork-acquire"};

static const struct sync_kind *kind;
static struct tenon_lock *inherited;
/* What is not in vain may take its time. */
static int64_t wait_ns = LONG_NS;

static struct tenon_lock *must_open(const char *name)
{
	void *lock;
	int result = kind->open(name, TENON_CREATE, &lock);

	if (result != 0)
		failing_wrong("cannot be opened", result);
	return lock;
}

static int acquire(struct tenon_lock *lock)
{
	return tenon_lock_acquire(lock, tenon_deadline_after(wait_ns));
}

static int share(struct tenon_lock *lock)
{
	return tenon_lock_acquire_shared(lock, tenon_deadline_after(wait_ns));
}

/* Those of a lock, then those of one with priority inheritance. */
static enum call operation_of(uint32_t number)
{
	return (enum call)(number < OPERATIONS ? number : number - OPERATIONS);
}

static int visit(const struct tenon_lock_user *user, void *context)
{
	(void)user;
	(void)context;
	return 0;
}

static int operate(enum call operation, struct tenon_lock **lock)
{
	struct tenon_lock_status status = {.size = sizeof(status)};
	int result;

	switch (operation) {
	case OPEN:
		return kind->open(NAME, 0, (void **)lock);
	case CREATE:
		return kind->open(OTHER, TENON_CREATE | TENON_EXCLUSIVE, (void **)lock);
	case TRY:
		return tenon_lock_try(*lock);
	case RELEASE:
		return tenon_lock_release(*lock);
	case STATUS:
	case STATUS_SHARED:
		result = tenon_lock_status(*lock, &status);
		return result == 0 ? tenon_lock_users(*lock, visit, NULL) : result;
	case CLOSE:
	case CLOSE_HELD:
	case CLOSE_SHARED:
		*lock = kind->close(*lock);
		return 0;
	case REMOVE:
		return kind->remove(OTHER);
	case TRY_SHARE:
		return tenon_lock_try_shared(*lock);
	case END_SHARING:
		return tenon_lock_release_shared(*lock);
	case SHARE:
	case SHARE_AGAIN:
	case SHARE_BUSY:
	case SHARE_FORKED:
	case DEAD_HOLDER:
		return share(*lock);
	default:
		return acquire(*lock);
	}
}

static int wanted(enum call operation)
{
	return operation == BUSY || operation == SHARE_BUSY || operation == BUSY_SHARED ? -ETIMEDOUT
	       : operation == DEAD_HOLDER ? -EOWNERDEAD
					  : 0;
}

static bool is_wanted(enum call operation, int result)
{
	return result == wanted(operation);
}

/* Another process holds it, or shares it. */
static pid_t start_helper(struct tenon_lock *watch, bool shares)
{
	struct tenon_lock_status status = {.size = sizeof(status)};
	pid_t pid = fork();

	if (pid == 0) {
		struct tenon_lock *lock;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		lock = must_open(NAME);
		if ((shares ? share(lock) : acquire(lock)) != 0)
			_exit(1);
		for (;;)
			pause();
	}
	while (shares ? status.shared == 0 : status.owner_pid != pid)
		tenon_lock_status(watch, &status);
	return pid;
}

static void end_helper(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static bool is_held_by(enum call operation)
{
	return operation == ACQUIRE || operation == AGAIN || operation == TRY ||
	       operation == FORKED || operation == DEAD_SHARER;
}

static bool is_shared_by(enum call operation)
{
	return operation == SHARE || operation == SHARE_AGAIN || operation == TRY_SHARE ||
	       operation == SHARE_FORKED || operation == STATUS_SHARED || operation == DEAD_HOLDER;
}

/* With another handle, and another process's: who holds it or shares it lets go, and then others get it. */
static void prove(enum call operation, struct tenon_lock *watch, struct tenon_lock *lock)
{
	bool held = is_held_by(operation), is_shared = is_shared_by(operation);
	bool died = operation == CLOSE_HELD || operation == BUSY || operation == SHARE_BUSY ||
		    operation == DEAD_HOLDER;
	int result = tenon_lock_try(watch);

	if (held || is_shared) {
		if (result != -EBUSY && (!held || result != -EDEADLK))
			failing_wrong("another one's answer", result);
		result = held ? tenon_lock_release(lock) : tenon_lock_release_shared(lock);
		if (result != 0)
			failing_wrong("cannot be released", result);
		result = tenon_lock_try(watch);
	}
	if (result != 0 && !(died && result == -EOWNERDEAD))
		failing_wrong("another one does not get it", result);
	tenon_lock_release(watch);
}

/* What is there before it begins. */
static void prepare(enum call operation, struct tenon_lock *lock)
{
	int result = 0;

	if (operation == REMOVE)
		kind->close(must_open(OTHER));
	if (operation == AGAIN || operation == RELEASE || operation == CLOSE_HELD)
		result = acquire(lock);
	if (operation == AGAIN)
		tenon_lock_release(lock);
	if (operation == SHARE_AGAIN || operation == END_SHARING || operation == CLOSE_SHARED ||
	    operation == STATUS_SHARED)
		result = share(lock);
	if (operation == SHARE_AGAIN)
		tenon_lock_release_shared(lock);
	if (result != 0)
		failing_wrong("cannot be prepared", result);
}

static pid_t help(enum call operation, struct tenon_lock *watch)
{
	pid_t helper = 0;

	if (operation == BUSY || operation == SHARE_BUSY || operation == DEAD_HOLDER)
		helper = start_helper(watch, false);
	if (operation == BUSY_SHARED || operation == DEAD_SHARER)
		helper = start_helper(watch, true);
	if (operation == DEAD_HOLDER || operation == DEAD_SHARER) {
		end_helper(helper);
		helper = 0;
	}
	return helper;
}

/* In the traced process. */
static void scenario(void *context)
{
	enum call operation = operation_of(*(const uint32_t *)context);
	struct tenon_lock *watch = must_open(NAME), *lock = NULL;
	int descriptors, result;
	uint64_t mapped;
	pid_t helper;

	if (operation == FORKED || operation == SHARE_FORKED)
		lock = inherited;
	else if (operation != OPEN && operation != CREATE && operation != REMOVE)
		lock = must_open(NAME);
	prepare(operation, lock);
	helper = help(operation, watch);
	if (wanted(operation) == -ETIMEDOUT)
		wait_ns = WAIT_NS;
	descriptors = failing_count_descriptors();
	mapped = failing_count_mapped();
	failing_begin();
	result = operate(operation, &lock);
	failing_end();

	if (!is_wanted(operation, result)) {
		failing_told(result, (const int[]){-ENOTSUP, FAILING_LIST_END});
		if (result == 0 || failing_count_descriptors() != descriptors)
			failing_wrong("descriptors are left, or the answer is wrong", result);
		if ((operation == OPEN || operation == CREATE) && failing_count_mapped() != mapped)
			failing_wrong("mappings are left", result);
		/* It works now. */
		result = operate(operation, &lock);
		if (!is_wanted(operation, result) && !(operation == REMOVE && result == -ENOENT))
			failing_wrong("works no more", result);
	}
	if (helper > 0)
		end_helper(helper);
	prove(operation, watch, lock);
	_exit(0);
}

static const char *name_of(uint32_t number)
{
	return number < OPERATIONS ? names[number] : names_inherit[number - OPERATIONS];
}

static void inherit(uint32_t number)
{
	enum call operation = operation_of(number);

	kind = number < OPERATIONS ? &sync_lock : &sync_inherit;
	inherited = operation == FORKED || operation == SHARE_FORKED ? must_open(NAME) : NULL;
}

static void clean(void)
{
	inherited = kind->close(inherited);
	kind->remove(NAME);
	kind->remove(OTHER);
	sync_clean();
}

int main(int argc, char **argv)
{
	static const struct failing_set set = {.operations = OPERATIONS + OF_BOTH,
					       .name = name_of,
					       .scenario = scenario,
					       .inherit = inherit,
					       .clean = clean};

	sync_is_placed = argc > 1 && strcmp(argv[1], "--placed") == 0;
	return failing_sweep_main(argc - sync_is_placed, argv + sync_is_placed, &set);
}
