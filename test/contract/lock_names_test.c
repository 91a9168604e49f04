/* SPDX-License-Identifier: Apache-2.0 */

/* Locks have names as queues have, in a space of their own; and what is no argument is refused. */

#include <tenon/lock.h>

#include <errno.h>
#include <string.h>

#include "contract.h"

#define NAME "/lock"

static struct tenon_lock *open_lock(const char *name, uint32_t flags)
{
	struct tenon_lock *lock = NULL;

	EXPECT_IS(tenon_lock_open(contract_folder, name, flags, NULL, &lock), 0);
	REQUIRE(lock);
	return lock;
}

static uint32_t mode_of(struct tenon_lock *lock)
{
	struct tenon_lock_status status = {.size = sizeof(status)};

	EXPECT_IS(tenon_lock_status(lock, &status), 0);
	return status.mode;
}

static int count_locks(uint32_t kind, const char *name, void *context)
{
	if (kind == TENON_KIND_LOCK && strcmp(name, NAME) == 0)
		++*(uint32_t *)context;
	return 0;
}

static void test_names_and_arguments(void)
{
	struct tenon_lock *lock = open_lock(NAME, TENON_CREATE | TENON_EXCLUSIVE), *other = NULL;
	struct tenon_sync_options options = {.size = sizeof(options), .mode = 0640};
	uint32_t found = 0;

	EXPECT_IS(tenon_lock_open(contract_folder, NAME, TENON_CREATE | TENON_EXCLUSIVE, NULL,
				  &other),
		  -EEXIST);
	EXPECT_IS(tenon_lock_open(contract_folder, "/missing", 0, NULL, &other), -ENOENT);
	EXPECT_IS(tenon_lock_open(contract_folder, "", 0, NULL, &other), -EINVAL);
	EXPECT_IS(tenon_lock_open(contract_folder, NAME, 4, NULL, &other), -EINVAL);
	EXPECT_IS(tenon_lock_open(contract_folder, NAME, TENON_EXCLUSIVE, NULL, &other), -EINVAL);
	EXPECT_IS(tenon_lock_open(contract_folder, NAME, 0, NULL, NULL), -EINVAL);
	options.flags = 4;
	EXPECT_IS(tenon_lock_open(contract_folder, "/other", TENON_CREATE, &options, &other),
		  -EINVAL);
	options.flags = 0;
	EXPECT_IS(tenon_lock_open(contract_folder, "/other", TENON_CREATE, &options, &other), 0);
	EXPECT_IS(mode_of(other), 0640);
	other = tenon_lock_close(other);
	EXPECT_IS(tenon_namespace_list(contract_folder, count_locks, &found), 0);
	EXPECT_IS(found, 1);
	EXPECT_IS(tenon_lock_remove(contract_folder, NAME), 0);
	EXPECT_IS(tenon_lock_remove(contract_folder, NAME), -ENOENT);
	/* Those who have it go on. */
	EXPECT_IS(tenon_lock_acquire(lock, TENON_NO_DEADLINE), 0);
	EXPECT_IS(tenon_lock_release(lock), 0);
	lock = tenon_lock_close(lock);
	EXPECT(tenon_lock_close(NULL) == NULL);
	EXPECT_IS(tenon_lock_acquire(NULL, 0), -EINVAL);
	EXPECT_IS(tenon_lock_try(NULL), -EINVAL);
	EXPECT_IS(tenon_lock_release(NULL), -EINVAL);
	EXPECT_IS(tenon_lock_repaired(NULL), -EINVAL);
	EXPECT_IS(tenon_lock_lost(NULL), -EINVAL);
	EXPECT_IS(tenon_lock_status(NULL, NULL), -EINVAL);
}

/* A queue and a lock of one name are two objects. */
static void test_space_of_its_own(void)
{
	struct tenon_queue *queue = contract_create(NAME, NULL);
	struct tenon_lock *lock = open_lock(NAME, TENON_CREATE | TENON_EXCLUSIVE);

	EXPECT_IS(tenon_queue_remove(contract_folder, NAME), 0);
	EXPECT_IS(tenon_lock_remove(contract_folder, NAME), 0);
	lock = tenon_lock_close(lock);
	queue = tenon_queue_close(queue);
}

int main(void)
{
	static const struct contract_case cases[] = {
		{"names, flags and bad arguments", test_names_and_arguments, NULL},
		{"a queue and a lock of one name", test_space_of_its_own, NULL},
	};

	return contract_main(cases, sizeof(cases) / sizeof(cases[0]));
}
