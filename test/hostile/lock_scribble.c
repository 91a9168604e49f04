/* SPDX-License-Identifier: Apache-2.0 */

/* Scribbles over a lock's memory: see scribbler.h. */

#include <errno.h>
#include <stddef.h>

#include <tenon/lock.h>

#include "scribbler.h"

#define NAME "/attacked"
#define WAIT_NS INT64_C(1000000000)

#define ACQUIRED -EOWNERDEAD, -ETIMEDOUT, -EDEADLK, -ENOTRECOVERABLE, -EAGAIN, -ENOTSUP

static int lock_open(void **ret_object)
{
	struct tenon_sync_options options = {
		.size = sizeof(options), .flags = TENON_LOCK_RECURSIVE, .max_participants = 4};

	return tenon_lock_open(NULL, NAME, TENON_CREATE, &options,
			       (struct tenon_lock **)ret_object);
}

static void lock_remove(void)
{
	tenon_lock_remove(NULL, NAME);
}

static void lock_call(void *object)
{
	struct tenon_lock_status status = {.size = sizeof(status)};
	struct tenon_lock *lock = object, *other;
	int result;

	TOLD(tenon_lock_status(lock, &status), 0);
	TOLD(tenon_lock_try(lock), ACQUIRED, -EBUSY);
	TOLD(tenon_lock_release(lock), -EPERM);
	TOLD(tenon_lock_acquire(lock, scribbler_soon()), ACQUIRED);
	TOLD(tenon_lock_acquire(lock, scribbler_soon()), ACQUIRED);
	TOLD(tenon_lock_repaired(lock), -EPERM);
	TOLD(tenon_lock_release(lock), -EPERM);
	result = tenon_lock_open(NULL, NAME, 0, NULL, &other);
	TOLD(result, -EPROTO, -ENOENT);
	if (result == 0)
		other = tenon_lock_close(other);
	TOLD(tenon_lock_lost(lock), -EPERM);
}

static void lock_close(void *object)
{
	tenon_lock_close(object);
}

static int lock_hold(void *object)
{
	return tenon_lock_acquire(object, tenon_deadline_after(WAIT_NS));
}

int main(int argc, char **argv)
{
	static const struct scribbled lock = {.name = "lock",
					      .file = "l.attacked",
					      .open = lock_open,
					      .remove = lock_remove,
					      .call = lock_call,
					      .close = lock_close,
					      .hold = lock_hold};

	return scribbler_main(argc, argv, &lock, 1);
}
