/* SPDX-License-Identifier: Apache-2.0 */

/* What users of a region do at the same time, and what one of them can keep the others from. */

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <unistd.h>

#include "abi/region.h"
#include "region.h"

#define ROUNDS 3000u
#define WAIT_NS (SECOND_NS / 50)

static uint32_t turn; /* of each round: 1 it may begin, 2 the mapping begins, 3 it is done */
static struct tenon_region *mapped;
static int map_result;

static void await_turn(uint32_t value)
{
	for (uint32_t i = 0; __atomic_load_n(&turn, __ATOMIC_SEQ_CST) < value; i++)
		if (i % 10000 == 9999)
			sched_yield();
}

static void dawdle(uint32_t rounds)
{
	for (uint32_t i = 0; i < rounds; i++)
		__asm__ volatile("" ::: "memory");
}

static void *map_each(void *context)
{
	(void)context;
	for (uint32_t round = 0; round < ROUNDS; round++) {
		void *address;

		await_turn(3 * round + 1);
		__atomic_store_n(&turn, 3 * round + 2, __ATOMIC_SEQ_CST);
		dawdle(round % 4 == 3 ? 3000 : 0);
		map_result = tenon_region_map(mapped, TENON_REGION_WRITE, &address, NULL);
		__atomic_store_n(&turn, 3 * round + 3, __ATOMIC_SEQ_CST);
	}
	return NULL;
}

/* Never both, however close. */
static void test_map_and_seal(void)
{
	uint32_t sealed = 0, written = 0;
	pthread_t thread;

	REQUIRE(pthread_create(&thread, NULL, map_each, NULL) == 0);
	for (uint32_t round = 0; round < ROUNDS; round++) {
		struct tenon_region *region = region_make(PAGE, 0, 0);
		int result;

		mapped = region_open(0);
		__atomic_store_n(&turn, 3 * round + 1, __ATOMIC_SEQ_CST);
		/* Now the one begins before, now the other. */
		if (round % 2)
			await_turn(3 * round + 2);
		dawdle(round / 4 % 50 * 100);
		result = region_seal(region, TENON_REGION_SEAL_WRITE);
		await_turn(3 * round + 3);
		EXPECT(result == 0 || result == -EBUSY);
		EXPECT(map_result == 0 || map_result == -EPERM || map_result == -EAGAIN);
		EXPECT(result != 0 || map_result != 0);
		EXPECT_IS(region_status(region).seals, result == 0 ? TENON_REGION_SEAL_WRITE : 0);
		EXPECT_IS(region_status(region).writers, map_result == 0);
		sealed += result == 0;
		written += map_result == 0;
		mapped = tenon_region_close(mapped);
		region = tenon_region_close(region);
		EXPECT_IS(tenon_region_remove(contract_folder, NAME), 0);
	}
	pthread_join(thread, NULL);
	printf("# sealed %u times, mapped %u times\n", sealed, written);
}

/* Where the control page lies: behind the participants and the stakes. */
static uint64_t control_of(uint64_t participants)
{
	uint64_t pages = participants * sizeof(struct tni_participant) / PAGE +
			 (participants + TNI_STAKES_A_PAGE - 1) / TNI_STAKES_A_PAGE;

	return TNI_PARTICIPANTS_OFFSET + pages * PAGE;
}

static void stay(void *context)
{
	struct tenon_region *region = region_open(0);
	uint8_t byte = 0;

	EXPECT(region && write(*(int *)context, &byte, 1) == 1);
	for (;;)
		pause();
}

/* Another one's thread is named as the owner of the gate, lives, and knows nothing of it. */
static void test_gate_held(void)
{
	struct tenon_region *region = region_make(PAGE, 2 * PAGE, 0), *other;
	uint64_t word, bytes, offset = control_of(region_status(region).max_participants);
	int ends[2], fd = open(region_path(), O_RDWR);
	void *address;
	uint8_t byte;
	pid_t child;

	REQUIRE(fd >= 0 && pipe(ends) == 0);
	child = contract_start(stay, &ends[1]);
	REQUIRE(read(ends[0], &byte, 1) == 1);
	word = (uint64_t)child | UINT64_C(1) << TNI_GATE_HOLDER_SHIFT;
	REQUIRE(pwrite(fd, &word, sizeof(word),
		       (off_t)(offset + offsetof(struct tni_region_control, gate))) ==
		sizeof(word));
	EXPECT_IS(tenon_region_grow(region, 2 * PAGE, tenon_deadline_after(WAIT_NS)), -ETIMEDOUT);
	EXPECT_IS(tenon_region_grow(region, 2 * PAGE, 0), -ETIMEDOUT);
	EXPECT_IS(tenon_region_seal(region, TENON_REGION_SEAL_GROW, tenon_deadline_after(WAIT_NS)),
		  -ETIMEDOUT);
	/* Nothing else waits for it. */
	region_map(region, TENON_REGION_WRITE)[0] = 1;
	EXPECT_IS(tenon_region_snapshot(region, 0, &address, &bytes), 0);
	EXPECT_IS(region_status(region).participants, 2);
	other = region_open(0);
	other = tenon_region_close(other);
	contract_kill(child);
	EXPECT_IS(region_grow(region, 2 * PAGE), 0);
	region = tenon_region_close(region);
}

int main(void)
{
	static const struct contract_case cases[] = {
		{"mapped and sealed at once", test_map_and_seal, NULL},
		{"a gate whose owner lives", test_gate_held, NULL},
	};

	return contract_main(cases, sizeof(cases) / sizeof(cases[0]));
}
