/* SPDX-License-Identifier: Apache-2.0 */

/* A set of semaphores beside one of the kernel's: the same lists have the same answers and values. */

#include <errno.h>
#include <sys/sem.h>
#include <sys/wait.h>
#include <unistd.h>

#include "semaphore_set.h"

#define KERNELS 5u

/* A random list, for us and for semop(2). */
static uint32_t draw(uint64_t *seed, struct tenon_semaphore_operation *list, struct sembuf *theirs)
{
	uint32_t count = 1 + next_random(seed) % 4;

	for (uint32_t i = 0; i < count; i++) {
		uint32_t number = next_random(seed) % KERNELS;
		int32_t change = (int32_t)(next_random(seed) % 7) - 3;
		bool is_undo = next_random(seed) % 3 == 0;

		if (next_random(seed) % 20 == 0)
			change *= 8000;
		list[i] = (struct tenon_semaphore_operation){number, change,
							     NOWAIT | (is_undo ? UNDO : 0)};
		theirs[i] = (struct sembuf){.sem_num = (unsigned short)number,
					    .sem_op = (short)change,
					    .sem_flg = (short)(IPC_NOWAIT |
							       (is_undo ? SEM_UNDO : 0))};
	}
	return count;
}

union semun {
	int val;
	unsigned short *array;
};

struct twin {
	int id;
	uint64_t seed;
};

static void expect_equal(struct tenon_semaphore_set *set, int id)
{
	unsigned short theirs[KERNELS];
	uint32_t values[KERNELS];

	EXPECT_IS(semctl(id, 0, GETALL, (union semun){.array = theirs}), 0);
	EXPECT_IS(tenon_semaphore_set_get_all(set, values, KERNELS), 0);
	for (uint32_t i = 0; i < KERNELS; i++)
		EXPECT_IS(values[i], theirs[i]);
}

static void do_random_lists(void *context)
{
	const struct twin *twin = context;
	struct tenon_semaphore_set *set = open_set();
	uint64_t seed = twin->seed;

	for (uint32_t i = 0; i < 2000; i++) {
		struct tenon_semaphore_operation list[4];
		struct sembuf theirs[4];
		uint32_t count = draw(&seed, list, theirs), number;
		int answer = semop(twin->id, theirs, count) == 0 ? 0 : -errno;

		EXPECT_IS(operate(set, list, count), answer);
		if (i % 97 == 0) {
			number = next_random(&seed) % KERNELS;
			EXPECT_IS(semctl(twin->id, (int)number, SETVAL, (union semun){.val = 3}),
				  0);
			EXPECT_IS(tenon_semaphore_set_set(set, number, 3), 0);
		}
		expect_equal(set, twin->id);
		for (number = 0; number < KERNELS; number++) {
			struct tenon_semaphore_set_member member;

			EXPECT_IS(tenon_semaphore_set_read(set, number, &member), 0);
			EXPECT_IS(member.pid, semctl(twin->id, (int)number, GETPID));
		}
	}
	_exit(0);
}

/* The same lists have the same answers and values, also when who did them is dead. */
static void test_as_the_kernel(void)
{
	struct tenon_semaphore_set_options options = {.size = sizeof(options), .count = KERNELS};
	struct twin twin = {.id = semget(IPC_PRIVATE, KERNELS, 0600), .seed = 1};
	struct tenon_semaphore_set *set;

	if (twin.id < 0)
		contract_skip("System V semaphores cannot be had here");
	EXPECT_IS(open_with(TENON_CREATE, &options, &set), 0);
	for (; twin.seed < 12; twin.seed++) {
		pid_t child = contract_start(do_random_lists, &twin);

		EXPECT_IS(waitpid(child, NULL, 0), child);
		expect_equal(set, twin.id);
	}
	semctl(twin.id, 0, IPC_RMID);
	EXPECT((int64_t)status_of(set).undone > 0);
	set = tenon_semaphore_set_close(set);
}

int main(int argc, char **argv)
{
	static const struct contract_case cases[] = {
		{"random lists have the answers of semop", test_as_the_kernel, NULL},
	};

	return set_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
