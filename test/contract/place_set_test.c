/* SPDX-License-Identifier: Apache-2.0 */

/* What semaphore sets promise that are placed in a region, beside others: what they do there is looked at by the tests of
 * sets, with --placed. */

#include <tenon/region.h>

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include <tenon/event.h>
#include <tenon/lock.h>
#include <tenon/semaphore_set.h>

#include "contract.h"
#include "object/region_private.h"
#include "object/sync.h"

#define NAME "/region"
#define LIMIT_NS (10 * SECOND_NS)
#define PARTICIPANTS 16u
#define LEAST ((uint64_t)TENON_PLACE_BYTES(PARTICIPANTS))
#define BYTES (UINT64_C(4) << 20)
#define COUNT 3u
#define UNDO TENON_SEMAPHORE_SET_UNDO
#define NOWAIT TENON_SEMAPHORE_SET_NOWAIT

static struct tenon_region *open_region(uint32_t flags)
{
	struct tenon_region_options options = {.size = sizeof(options),
					       .max_participants = PARTICIPANTS,
					       .bytes = BYTES,
					       .max_bytes = UINT64_C(1) << 30};
	struct tenon_region *region = NULL;

	EXPECT_IS(tenon_region_open(contract_folder, NAME, flags, &options, &region), 0);
	REQUIRE(region);
	return region;
}

static int place(struct tenon_region *region, uint64_t offset, uint32_t flags, uint32_t count,
		 struct tenon_semaphore_set **ret_set)
{
	struct tenon_semaphore_set_options options = {
		.size = sizeof(options), .count = count, .value = 2};

	return tenon_semaphore_set_open_at(region, offset, flags, &options, ret_set);
}

static struct tenon_semaphore_set *set_at(struct tenon_region *region, uint64_t offset)
{
	struct tenon_semaphore_set *set = NULL;

	EXPECT_IS(place(region, offset, TENON_CREATE, COUNT, &set), 0);
	REQUIRE(set);
	return set;
}

static int one(struct tenon_semaphore_set *set, uint32_t number, int32_t change, uint32_t flags)
{
	struct tenon_semaphore_operation operation = {number, change, flags};

	return tenon_semaphore_set_operate(set, &operation, 1, tenon_deadline_after(LIMIT_NS));
}

static uint32_t value_of(struct tenon_semaphore_set *set, uint32_t number)
{
	uint32_t value = UINT32_MAX;

	EXPECT_IS(tenon_semaphore_set_get(set, number, &value), 0);
	return value;
}

static void test_sizes(void)
{
	struct tenon_region *region = open_region(TENON_CREATE), *view = NULL;
	uint64_t three = tenon_semaphore_set_place_bytes(region, COUNT);
	int fd = -1;

	EXPECT(three % TENON_PLACE_ALIGNMENT == 0 && three > LEAST && three <= 640 * 1024);
	EXPECT(tenon_semaphore_set_place_bytes(region, TENON_SEMAPHORE_SET_MOST) > three);
	EXPECT(tenon_semaphore_set_place_bytes(region, 0) == 0);
	EXPECT(tenon_semaphore_set_place_bytes(region, TENON_SEMAPHORE_SET_MOST + 1) == 0);
	EXPECT(tenon_semaphore_set_place_bytes(NULL, COUNT) == 0);
	EXPECT_IS(tenon_region_fd(region, TENON_REGION_READ, &fd), 0);
	EXPECT_IS(tenon_region_from_fd(fd, 0, &view), 0);
	EXPECT(tenon_semaphore_set_place_bytes(view, COUNT) == 0);
	close(fd);
	view = tenon_region_close(view);
	region = tenon_region_close(region);
}

static void test_refused(void)
{
	struct tenon_region *region = open_region(TENON_CREATE);
	struct tenon_semaphore_set_options options = {.size = sizeof(options), .count = COUNT};
	uint64_t bytes = tenon_semaphore_set_place_bytes(region, COUNT);
	struct tenon_semaphore_set *set = NULL;
	struct tenon_event *event = NULL;

	EXPECT_IS(place(region, 0, 0, COUNT, &set), -ENOENT);
	EXPECT_IS(place(region, 1, TENON_CREATE, COUNT, &set), -EINVAL);
	EXPECT_IS(place(region, 0, TENON_CREATE, 0, &set), -EINVAL);
	EXPECT_IS(place(region, 0, TENON_CREATE, TENON_SEMAPHORE_SET_MOST + 1, &set), -EINVAL);
	EXPECT_IS(place(region, 0, TENON_CREATE, COUNT, NULL), -EINVAL);
	EXPECT_IS(place(NULL, 0, TENON_CREATE, COUNT, &set), -EINVAL);
	EXPECT_IS(tenon_semaphore_set_open_at(region, 0, TENON_CREATE, NULL, &set), -EINVAL);
	options.mode = 0600;
	EXPECT_IS(tenon_semaphore_set_open_at(region, 0, TENON_CREATE, &options, &set), -EINVAL);
	options.mode = 0;
	options.max_participants = PARTICIPANTS;
	EXPECT_IS(tenon_semaphore_set_open_at(region, 0, TENON_CREATE, &options, &set), -EINVAL);
	/* The cell and the rows would have room. */
	EXPECT_IS(place(region, BYTES - bytes + 4096, TENON_CREATE, COUNT, &set), -EINVAL);
	EXPECT_IS(place(region, BYTES - LEAST, TENON_CREATE, COUNT, &set), -EINVAL);
	set = set_at(region, BYTES - bytes);
	EXPECT_IS(one(set, COUNT - 1, 7, 0), 0);
	EXPECT_IS(tenon_event_open_at(region, BYTES - bytes, 0, NULL, &event), -ENOENT);
	EXPECT_IS(tenon_event_open_at(region, BYTES - bytes, TENON_CREATE, NULL, &event), -EEXIST);
	set = tenon_semaphore_set_close(set);
	region = tenon_region_close(region);
}

/* No two places overlap, whichever is the larger one; and next to each other they are not in each other's way. */
static void test_overlap(void)
{
	struct tenon_region *region = open_region(TENON_CREATE);
	uint64_t bytes = tenon_semaphore_set_place_bytes(region, COUNT), at = 2 * LEAST;
	struct tenon_semaphore_set *set = set_at(region, at), *other = NULL;
	struct tenon_event *before = NULL, *behind = NULL, *event;

	for (uint64_t offset = at; offset < at + bytes; offset += 4096)
		EXPECT_IS(tenon_event_open_at(region, offset, TENON_CREATE, NULL, &event), -EEXIST);
	EXPECT_IS(tenon_event_open_at(region, at + 4096, 0, NULL, &event), -ENOENT);
	EXPECT_IS(tenon_event_open_at(region, at - LEAST, TENON_CREATE, NULL, &before), 0);
	EXPECT_IS(tenon_event_open_at(region, at + bytes, TENON_CREATE, NULL, &behind), 0);
	EXPECT_IS(one(set, 0, -1, UNDO), 0);
	EXPECT_IS(tenon_event_set(before), 0);
	EXPECT_IS(tenon_event_set(behind), 0);
	EXPECT_IS(value_of(set, 0), 1);
	/* A set is where an event would not be. */
	EXPECT_IS(place(region, 0, TENON_CREATE, COUNT, &other), -EEXIST);
	EXPECT_IS(tenon_event_open_at(region, 0, TENON_CREATE, NULL, &event), 0);
	event = tenon_event_close(event);
	/* One that is there is opened with whatever is asked for, also where there was no room for that. */
	set = tenon_semaphore_set_close(set);
	EXPECT_IS(place(region, at, TENON_CREATE | TENON_EXCLUSIVE, COUNT, &set), -EEXIST);
	EXPECT_IS(place(region, at, TENON_CREATE, TENON_SEMAPHORE_SET_MOST, &set), 0);
	EXPECT_IS(one(set, COUNT, 1, 0), -EFBIG);
	EXPECT_IS(place(region, at, 0, 0, &other), -EBUSY);
	EXPECT_IS(value_of(set, 0), 2);
	set = tenon_semaphore_set_close(set);
	before = tenon_event_close(before);
	behind = tenon_event_close(behind);
	region = tenon_region_close(region);
}

struct seen {
	uint32_t count, kind;
	uint64_t offset;
};

static int note_place(uint32_t kind, uint64_t offset, void *context)
{
	struct seen *seen = context;

	seen->count++;
	seen->kind = kind;
	seen->offset = offset;
	return 0;
}

static struct seen placed(struct tenon_region *region)
{
	struct seen seen = {.count = 0};

	EXPECT_IS(tenon_region_placed(region, note_place, &seen), 0);
	return seen;
}

/* What was there before is not seen in what is placed. */
static void test_clearing(void)
{
	struct tenon_region *region = open_region(TENON_CREATE);
	struct tenon_semaphore_set *set, *other;
	void *address = NULL;

	EXPECT_IS(tenon_region_map(region, TENON_REGION_WRITE, &address, NULL), 0);
	REQUIRE(address);
	memset(address, 0xa5, BYTES);
	for (uint32_t round = 0; round < 3; round++) {
		EXPECT_IS(placed(region).count, 0);
		set = set_at(region, 4096);
		EXPECT_IS(placed(region).count, 1);
		EXPECT_IS(placed(region).kind, TENON_KIND_SEMAPHORE_SET);
		EXPECT_IS((int64_t)placed(region).offset, 4096);
		for (uint32_t i = 0; i < COUNT; i++)
			EXPECT_IS(value_of(set, i), 2);
		EXPECT_IS(one(set, 1, -1, UNDO), 0);
		EXPECT_IS(tenon_semaphore_set_set(set, 2, 9), 0);
		EXPECT_IS(tenon_semaphore_set_destroy(set), 0);
		EXPECT_IS(one(set, 1, 1, 0), -EIDRM);
		set = tenon_semaphore_set_close(set);
		EXPECT_IS(place(region, 4096, TENON_CREATE, COUNT, &other), -EIDRM);
		EXPECT_IS(tenon_region_clear(region, 8192), -ENOENT);
		EXPECT_IS(tenon_region_clear(region, 4096), 0);
	}
	region = tenon_region_close(region);
}

static void take_and_stay(void *context)
{
	struct tenon_semaphore_set *set = set_at(open_region(0), LEAST);
	struct tenon_semaphore_operation list[] = {{0, -2, UNDO}, {1, 3, UNDO}};

	(void)context;
	/* Who looks whether it has taken them may be amid its call. */
	EXPECT_IS(tenon_semaphore_set_operate(set, list, 2, tenon_deadline_after(LIMIT_NS)), 0);
	for (;;)
		pause();
}

/* Who has only something else of the region open gives back what a dead one had of the set. */
static void test_given_back_by_others(void)
{
	struct tenon_region *region = open_region(TENON_CREATE), *other;
	struct tenon_semaphore_set *set = set_at(region, LEAST);
	struct tenon_semaphore_set_member member;
	struct tenon_lock *lock = NULL;

	for (uint32_t round = 0; round < 5; round++) {
		pid_t child = contract_start(take_and_stay, NULL);

		while (value_of(set, 0) != 0)
			sched_yield();
		contract_kill(child);
		/* Reading waits for nobody and looks for no dead. */
		EXPECT_IS(tenon_semaphore_set_read(set, 0, &member), 0);
		EXPECT_IS(member.value, 0);
		other = open_region(0);
		EXPECT_IS(tenon_lock_open_at(other, 0, TENON_CREATE, NULL, &lock), 0);
		EXPECT_IS(tenon_lock_acquire(lock, tenon_deadline_after(LIMIT_NS)), 0);
		EXPECT_IS(tenon_lock_release(lock), 0);
		lock = tenon_lock_close(lock);
		other = tenon_region_close(other);
		EXPECT_IS(tenon_semaphore_set_read(set, 0, &member), 0);
		EXPECT_IS(member.value, 2);
		EXPECT_IS(tenon_semaphore_set_read(set, 1, &member), 0);
		EXPECT_IS(member.value, 2);
	}
	set = tenon_semaphore_set_close(set);
	region = tenon_region_close(region);
}

static void wait_for_two(void *context)
{
	struct tenon_semaphore_set *set = set_at(open_region(0), LEAST);

	(void)context;
	EXPECT_IS(one(set, 0, -2, 0), 0);
	EXPECT_IS(one(set, 0, 2, 0), 0);
}

static void wait_for_zero(void *context)
{
	struct tenon_semaphore_set *set = set_at(open_region(0), LEAST);

	(void)context;
	EXPECT_IS(one(set, 2, 0, 0), 0);
}

static void die_in_turn(struct tenon_semaphore_set *set)
{
	pid_t holder = contract_start(take_and_stay, NULL), sleepers[2];
	struct tenon_semaphore_set_status status = {.size = sizeof(status)};

	while (value_of(set, 0) != 0)
		sched_yield();
	sleepers[0] = contract_start(wait_for_two, NULL);
	sleepers[1] = contract_start(wait_for_zero, NULL);
	do {
		sched_yield();
		EXPECT_IS(tenon_semaphore_set_status(set, &status), 0);
	} while (status.waiting < 2);
	kill(holder, SIGKILL);
	contract_await(sleepers[0]);
	contract_kill(holder);
	/* A zero for a moment only. */
	EXPECT_IS(one(set, 2, -2, 0), 0);
	EXPECT_IS(one(set, 2, 2, 0), 0);
	contract_await(sleepers[1]);
}

static void test_sleepers(void)
{
	struct tenon_region *region = open_region(TENON_CREATE);
	struct tenon_semaphore_set *set = set_at(region, LEAST);

	for (uint32_t round = 0; round < 5; round++)
		die_in_turn(set);
	set = tenon_semaphore_set_close(set);
	region = tenon_region_close(region);
}

static int open_only(struct tenon_region *region, uint64_t offset)
{
	struct tenon_semaphore_set *set = NULL;
	int result = place(region, offset, 0, 0, &set);

	set = tenon_semaphore_set_close(set);
	return result;
}

/* What stands in the table is not believed. */
static void test_hostile_table(void)
{
	struct tenon_region *region = open_region(TENON_CREATE);
	uint64_t bytes = tenon_semaphore_set_place_bytes(region, COUNT);
	struct tenon_semaphore_set *set = set_at(region, BYTES - bytes);
	struct tni_a64 *entry = (struct tni_a64 *)(region->control + 1);
	uint64_t word = tni_get64(entry), limit = word >> TNI_REGION_PLACE_LIMIT_SHIFT;
	struct tni_cell *cell = ((struct tni_sync *)set)->cell;

	EXPECT_IS((int64_t)limit, COUNT);
	set = tenon_semaphore_set_close(set);
	word &= ~(UINT64_MAX << TNI_REGION_PLACE_LIMIT_SHIFT);
	/* None, too many. */
	tni_set64(entry, word);
	EXPECT_IS(open_only(region, BYTES - bytes), -ENOENT);
	tni_set64(entry, word | UINT64_C(32001) << TNI_REGION_PLACE_LIMIT_SHIFT);
	EXPECT_IS(open_only(region, BYTES - bytes), -ENOENT);
	EXPECT_IS(placed(region).count, 0);
	/* As many as have room; and beyond the end. */
	tni_set64(entry, word | UINT64_C(1) << TNI_REGION_PLACE_LIMIT_SHIFT);
	EXPECT_IS(open_only(region, BYTES - bytes), -EBADMSG);
	tni_set64(entry, word | UINT64_C(32000) << TNI_REGION_PLACE_LIMIT_SHIFT);
	EXPECT_IS(open_only(region, BYTES - bytes), -EBADMSG);
	/* Also when what lies there says the same. */
	cell->limit = 32000;
	EXPECT_IS(open_only(region, BYTES - bytes), -EBADMSG);
	cell->limit = COUNT;
	tni_set64(entry, word | limit << TNI_REGION_PLACE_LIMIT_SHIFT);
	EXPECT_IS(open_only(region, BYTES - bytes), 0);
	/* Of a kind that has no memory beside. */
	tni_set64(entry, (word & ~TNI_REGION_PLACE_KIND) | TENON_KIND_EVENT |
				 limit << TNI_REGION_PLACE_LIMIT_SHIFT);
	EXPECT_IS(placed(region).count, 0);
	EXPECT_IS(tenon_region_clear(region, BYTES - bytes), 0);
	region = tenon_region_close(region);
}

int main(void)
{
	static const struct contract_case cases[] = {
		{"a set's place has a size", test_sizes, NULL},
		{"what cannot be is refused", test_refused, NULL},
		{"places do not overlap", test_overlap, NULL},
		{"clearing, and placing anew", test_clearing, NULL},
		{"who has something else open gives back what the dead had",
		 test_given_back_by_others, NULL},
		{"sleepers get what the dead had, and a zero", test_sleepers, NULL},
		{"the table is not believed", test_hostile_table, NULL},
	};

	return contract_main(cases, sizeof(cases) / sizeof(cases[0]));
}
