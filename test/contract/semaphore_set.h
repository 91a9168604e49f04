/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_CONTRACT_SEMAPHORE_SET_H
#define TEST_CONTRACT_SEMAPHORE_SET_H

/* What the tests of sets of semaphores share.  With the argument --placed their set is in a
 * region. */

#include <tenon/region.h>
#include <tenon/semaphore_set.h>

#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "contract.h"

#define NAME "/set"
#define UNDO TENON_SEMAPHORE_SET_UNDO
#define NOWAIT TENON_SEMAPHORE_SET_NOWAIT
#define WAIT_NS (SECOND_NS / 50)
#define LIMIT_NS (10 * SECOND_NS)

/* Whether it is in a region, of which each handle of the set has one of its own, which ends with
 * it. */
static bool set_is_placed;

static inline int open_placed(uint32_t flags, const struct tenon_semaphore_set_options *options,
			      struct tenon_semaphore_set **ret_set)
{
	struct tenon_region_options space = {.size = sizeof(space), .max_bytes = UINT64_C(1) << 32};
	struct tenon_region *region = NULL;
	int result;

	EXPECT_IS(tenon_region_open(contract_folder, NAME, flags & TENON_CREATE, &space, &region),
		  0);
	REQUIRE(region);
	if (options)
		EXPECT_IS(tenon_region_grow(region,
					    tenon_semaphore_set_place_bytes(region, options->count),
					    INT64_MAX),
			  0);
	result = tenon_semaphore_set_open_at(region, 0, flags, options, ret_set);
	region = tenon_region_close(region);
	return result;
}

static inline int open_with(uint32_t flags, const struct tenon_semaphore_set_options *options,
			    struct tenon_semaphore_set **ret_set)
{
	return set_is_placed
		       ? open_placed(flags, options, ret_set)
		       : tenon_semaphore_set_open(contract_folder, NAME, flags, options, ret_set);
}

/* -ENOENT: there is none. */
static inline int remove_set(void)
{
	struct tenon_region *region = NULL;
	int result;

	if (!set_is_placed)
		return tenon_semaphore_set_remove(contract_folder, NAME);
	EXPECT_IS(tenon_region_open(contract_folder, NAME, 0, NULL, &region), 0);
	REQUIRE(region);
	result = tenon_region_clear(region, 0);
	region = tenon_region_close(region);
	return result;
}

static inline int set_main(int argc, char **argv, const struct contract_case *cases, uint32_t count)
{
	set_is_placed = argc > 1 && strcmp(argv[1], "--placed") == 0;
	return contract_main(cases, count);
}

static inline struct tenon_semaphore_set *make(uint32_t count, uint32_t maximum, uint32_t value)
{
	struct tenon_semaphore_set_options options = {
		.size = sizeof(options), .count = count, .maximum = maximum, .value = value};
	struct tenon_semaphore_set *set = NULL;

	EXPECT_IS(open_with(TENON_CREATE | TENON_EXCLUSIVE, &options, &set), 0);
	REQUIRE(set);
	return set;
}

static inline struct tenon_semaphore_set *open_set(void)
{
	struct tenon_semaphore_set *set = NULL;

	EXPECT_IS(open_with(0, NULL, &set), 0);
	REQUIRE(set);
	return set;
}

/* Who was not woken finds what it waits for when its time is up. */
static inline int operate(struct tenon_semaphore_set *set,
			  const struct tenon_semaphore_operation *operations, uint32_t count)
{
	int64_t deadline_ns = tenon_deadline_after(LIMIT_NS);
	int result = tenon_semaphore_set_operate(set, operations, count, deadline_ns);

	EXPECT(tenon_deadline_after(0) < deadline_ns);
	return result;
}

static inline int one(struct tenon_semaphore_set *set, uint32_t number, int32_t change,
		      uint32_t flags)
{
	return operate(set, &(struct tenon_semaphore_operation){number, change, flags}, 1);
}

static inline uint32_t value_of(struct tenon_semaphore_set *set, uint32_t number)
{
	uint32_t value = UINT32_MAX;

	EXPECT_IS(tenon_semaphore_set_get(set, number, &value), 0);
	return value;
}

/* Of a set of three. */
#define EXPECT_VALUES(set, first, second, third)                              \
	do {                                                                  \
		uint32_t values_[3];                                          \
		EXPECT_IS(tenon_semaphore_set_get_all((set), values_, 3), 0); \
		EXPECT_IS(values_[0], first);                                 \
		EXPECT_IS(values_[1], second);                                \
		EXPECT_IS(values_[2], third);                                 \
	} while (0)

static inline struct tenon_semaphore_set_status status_of(struct tenon_semaphore_set *set)
{
	struct tenon_semaphore_set_status status = {.size = sizeof(status)};

	EXPECT_IS(tenon_semaphore_set_status(set, &status), 0);
	return status;
}

/* Until exactly so many wait for that semaphore. */
static inline void await_waiters(struct tenon_semaphore_set *set, uint32_t number, uint32_t waiting,
				 uint32_t for_zero)
{
	struct tenon_semaphore_set_member member;

	do {
		sched_yield();
		EXPECT_IS(tenon_semaphore_set_read(set, number, &member), 0);
	} while (member.waiting != waiting || member.waiting_for_zero != for_zero);
}

/* Until so many processes are asleep, or nearly. */
static inline void await_sleepers(struct tenon_semaphore_set *set, uint32_t count)
{
	while (status_of(set).waiting < count)
		sched_yield();
}

static inline uint32_t next_random(uint64_t *seed)
{
	*seed = *seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return (uint32_t)(*seed >> 33);
}

struct demand {
	uint32_t count;
	struct tenon_semaphore_operation list[3];
};

static inline void do_and_end(void *context)
{
	const struct demand *demand = context;

	EXPECT_IS(operate(open_set(), demand->list, demand->count), 0);
	contract_child_ends(); /* by which what has an undo comes back */
}

#endif
