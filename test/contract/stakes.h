/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_CONTRACT_STAKES_H
#define TEST_CONTRACT_STAKES_H

/* What the tests of stakes share: a region, and what is placed in it. */

#include <tenon/region.h>

#include "contract.h"

#define LIMIT_NS (10 * SECOND_NS)
#define PARTICIPANTS 16u
#define PLACE ((uint64_t)TENON_PLACE_BYTES(PARTICIPANTS))
#define PLACES 8u

static inline int64_t soon(void)
{
	return tenon_deadline_after(LIMIT_NS);
}

static inline struct tenon_region *open_region(uint32_t flags)
{
	struct tenon_region_options options = {
		.size = sizeof(options), .max_participants = PARTICIPANTS, .bytes = PLACES * PLACE};
	struct tenon_region *region = NULL;

	EXPECT_IS(tenon_region_open(contract_folder, "/region", flags, &options, &region), 0);
	REQUIRE(region);
	return region;
}

static inline struct tenon_semaphore *semaphore_at(struct tenon_region *region, uint64_t place)
{
	struct tenon_semaphore_options options = {.size = sizeof(options), .value = 1};
	struct tenon_semaphore *semaphore = NULL;

	EXPECT_IS(tenon_semaphore_open_at(region, place * PLACE, TENON_CREATE, &options,
					  &semaphore),
		  0);
	REQUIRE(semaphore);
	return semaphore;
}

static inline struct tenon_lock *lock_at(struct tenon_region *region, uint64_t place)
{
	struct tenon_lock *lock = NULL;

	EXPECT_IS(tenon_lock_open_at(region, place * PLACE, TENON_CREATE, NULL, &lock), 0);
	REQUIRE(lock);
	return lock;
}

#endif
