/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_CONTRACT_SYNC_USERS_H
#define TEST_CONTRACT_SYNC_USERS_H

/* Locks, events, conditions, barriers, onces and semaphores, named and placed in a region, and what
 * is told of who uses them.  PLACED is which of the cases is the first with what is placed. */

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include <tenon/barrier.h>
#include <tenon/condition.h>
#include <tenon/once.h>
#include <tenon/region.h>

#include "contract.h"
#include "object/event.h"
#include "object/lock.h"
#include "object/semaphore.h"

#define NAME "/users"
#define PARTICIPANTS 16u
#define FOREVER TENON_NO_DEADLINE
#define PLACE ((uint64_t)TENON_PLACE_BYTES(PARTICIPANTS))

/* Opening, by name or in the case's region. */

static inline struct tenon_region *open_region(void)
{
	struct tenon_region_options options = {
		.size = sizeof(options), .max_participants = PARTICIPANTS, .bytes = 3 * PLACE};
	struct tenon_region *region = NULL;

	EXPECT_IS(tenon_region_open(contract_folder, NAME, TENON_CREATE, &options, &region), 0);
	REQUIRE(region);
	return region;
}

/* The region's handle stays as long as its process does. */
#define DEFINE_OPEN(noun, at, made, initial)                                               \
	static inline struct tenon_##noun *open_##noun(void)                               \
	{                                                                                  \
		struct made options = {.size = sizeof(options), initial};                  \
		struct tenon_##noun *noun = NULL;                                          \
                                                                                           \
		if (contract_case_index >= PLACED) {                                       \
			EXPECT_IS(tenon_##noun##_open_at(open_region(), at, TENON_CREATE,  \
							 &options, &noun),                 \
				  0);                                                      \
		} else {                                                                   \
			options.max_participants = PARTICIPANTS;                           \
			EXPECT_IS(tenon_##noun##_open(contract_folder, NAME, TENON_CREATE, \
						      &options, &noun),                    \
				  0);                                                      \
		}                                                                          \
		REQUIRE(noun);                                                             \
		return noun;                                                               \
	}

static uint32_t lock_flags = TENON_LOCK_RECURSIVE;

DEFINE_OPEN(lock, 0, tenon_sync_options, .flags = lock_flags)
DEFINE_OPEN(event, PLACE, tenon_sync_options, .flags = 0)
DEFINE_OPEN(condition, 2 * PLACE, tenon_sync_options, .flags = 0)
DEFINE_OPEN(barrier, PLACE, tenon_barrier_options, .count = 5)
DEFINE_OPEN(once, PLACE, tenon_sync_options, .flags = 0)
DEFINE_OPEN(semaphore, PLACE, tenon_semaphore_options, .value = 0)

/* What was told of a process, and of how many processes something was. */

struct told {
	pid_t pid;
	uint32_t visits, found;
	struct tenon_lock_user lock;
	struct tenon_event_user event;
	struct tenon_condition_user condition;
	struct tenon_barrier_user barrier;
	struct tenon_once_user once;
	struct tenon_semaphore_user semaphore;
};

#define DEFINE_TELL(noun)                                                                      \
	static inline int note_##noun(const struct tenon_##noun##_user *user, void *context)   \
	{                                                                                      \
		struct told *told = context;                                                   \
                                                                                               \
		told->visits++;                                                                \
		if (user->pid == told->pid) {                                                  \
			told->found++;                                                         \
			told->noun = *user;                                                    \
		}                                                                              \
		return 0;                                                                      \
	}                                                                                      \
	static inline int refuse_##noun(const struct tenon_##noun##_user *user, void *context) \
	{                                                                                      \
		(void)user;                                                                    \
		++*(uint32_t *)context;                                                        \
		return -ECANCELED;                                                             \
	}                                                                                      \
	static inline struct told tell_##noun(struct tenon_##noun *noun, pid_t pid)            \
	{                                                                                      \
		struct told told = {.pid = pid};                                               \
                                                                                               \
		EXPECT_IS(tenon_##noun##_users(noun, note_##noun, &told), 0);                  \
		EXPECT(told.found <= 1);                                                       \
		return told;                                                                   \
	}                                                                                      \
	/* A visitor's answer ends it; and what is no argument. */                             \
	static inline void expect_answers_##noun(struct tenon_##noun *noun)                    \
	{                                                                                      \
		uint32_t visits = 0;                                                           \
                                                                                               \
		EXPECT_IS(tenon_##noun##_users(noun, refuse_##noun, &visits), -ECANCELED);     \
		EXPECT_IS(visits, 1);                                                          \
		EXPECT_IS(tenon_##noun##_users(noun, NULL, NULL), -EINVAL);                    \
		EXPECT_IS(tenon_##noun##_users(NULL, note_##noun, NULL), -EINVAL);             \
	}                                                                                      \
	static inline void expect_nobody_##noun(struct tenon_##noun *noun)                     \
	{                                                                                      \
		EXPECT_IS(tell_##noun(noun, 0).visits, 0);                                     \
	}

static inline struct tenon_lock_status lock_status(struct tenon_lock *lock)
{
	struct tenon_lock_status status = {.size = sizeof(status)};

	EXPECT_IS(tenon_lock_status(lock, &status), 0);
	return status;
}

DEFINE_TELL(lock)
DEFINE_TELL(event)
DEFINE_TELL(condition)
DEFINE_TELL(barrier)
DEFINE_TELL(once)
DEFINE_TELL(semaphore)

/* Until something is told of a process. */
#define AWAIT(condition)     \
	while (!(condition)) \
	sched_yield()

#endif
