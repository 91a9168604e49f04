/* SPDX-License-Identifier: Apache-2.0 */

/* semop: what arrays of operations do at once, and what they do not. */

#include "sysv_sem.h"

REQUIREMENT(op_adds, "semop, DESCRIPTION, sem_op above 0", "what is above 0 is added")
{
	int id = make(SEM);

	EXPECT_IS(operate(id, 0, 1, 0), 0);
	EXPECT_IS(operate(id, 2, 5, 0), 0);
	EXPECT_IS(operate(id, 2, 7, 0), 0);
	expect_values(id, 1, 0, 12);
}

REQUIREMENT(op_takes, "semop, DESCRIPTION, sem_op below 0",
	    "what is below 0 is taken, if it is there")
{
	int id = make_values(5, 6, 7);

	EXPECT_IS(operate(id, 0, -1, IPC_NOWAIT), 0);
	EXPECT_IS(operate(id, 2, -7, IPC_NOWAIT), 0);
	expect_values(id, 4, 6, 0);
	EXPECT_ERROR(operate(id, 0, -5, IPC_NOWAIT), EAGAIN);
	EXPECT_ERROR(operate(id, 2, -1, IPC_NOWAIT), EAGAIN);
	expect_values(id, 4, 6, 0);
}

REQUIREMENT(op_zero, "semop, DESCRIPTION, sem_op 0", "0 is to find that the value is 0")
{
	int id = make_values(0, 1, 0);

	EXPECT_IS(operate(id, 0, 0, 0), 0);
	EXPECT_ERROR(operate(id, 1, 0, IPC_NOWAIT), EAGAIN);
	expect_values(id, 0, 1, 0);
}

REQUIREMENT(op_atomic, "semop, DESCRIPTION", "all of an array is done, or nothing of it")
{
	int id = make_values(3, 3, 0);
	struct sembuf fails[] = {OPERATION(0, -1, IPC_NOWAIT), OPERATION(1, 2, IPC_NOWAIT),
				 OPERATION(2, -1, IPC_NOWAIT)};
	struct sembuf succeeds[] = {OPERATION(0, -3, 0), OPERATION(1, 2, 0), OPERATION(2, 0, 0)};

	EXPECT_ERROR(semop(id, fails, 3), EAGAIN);
	expect_values(id, 3, 3, 0);
	EXPECT_IS(semop(id, succeeds, 3), 0);
	expect_values(id, 0, 5, 0);
}

REQUIREMENT(op_in_order, "semop(2), DESCRIPTION",
	    "operations are done in the order of the array: what one adds the next can take")
{
	int id = make(SEM);
	struct sembuf gives[] = {OPERATION(0, 1, IPC_NOWAIT), OPERATION(0, -1, IPC_NOWAIT)};
	struct sembuf takes[] = {OPERATION(0, -1, IPC_NOWAIT), OPERATION(0, 1, IPC_NOWAIT)};

	EXPECT_IS(semop(id, gives, 2), 0);
	EXPECT_ERROR(semop(id, takes, 2), EAGAIN);
	expect_values(id, 0, 0, 0);
}

REQUIREMENT(op_repeated, "semop(2), DESCRIPTION",
	    "one semaphore may stand several times in an array")
{
	int id = make(SEM);
	struct sembuf lock[] = {OPERATION(1, 0, IPC_NOWAIT), OPERATION(1, 1, IPC_NOWAIT)};
	struct sembuf three[] = {OPERATION(1, 4, IPC_NOWAIT), OPERATION(1, -2, IPC_NOWAIT),
				 OPERATION(1, -3, IPC_NOWAIT), OPERATION(1, 0, IPC_NOWAIT)};

	EXPECT_IS(semop(id, lock, 2), 0);
	expect_values(id, 0, 1, 0);
	EXPECT_ERROR(semop(id, lock, 2), EAGAIN);
	EXPECT_IS(semop(id, three, 4), 0);
	expect_values(id, 0, 0, 0);
}

REQUIREMENT(op_number, "semop, ERRORS, EFBIG",
	    "a number that the set does not have is EFBIG, and nothing is done")
{
	int id = make(SEM);
	struct sembuf two[] = {OPERATION(0, 1, 0), OPERATION(SEMAPHORES, 1, 0)};

	EXPECT_ERROR(operate(id, SEMAPHORES, 1, 0), EFBIG);
	EXPECT_ERROR(operate(id, 0xffff, 0, 0), EFBIG);
	EXPECT_ERROR(semop(id, two, 2), EFBIG);
	expect_values(id, 0, 0, 0);
}

REQUIREMENT(op_count, "semop, ERRORS, E2BIG; semop(2), ERRORS, EINVAL",
	    "an array has as many operations as the limit says; more are E2BIG, and none is EINVAL")
{
	struct sembuf operations[OPERATIONS_MAX + 1];
	int id = make(SEM);

	for (int i = 0; i <= OPERATIONS_MAX; i++)
		operations[i] = OPERATION(i % SEMAPHORES, 1, 0);
	EXPECT_ERROR(semop(id, operations, OPERATIONS_MAX + 1), E2BIG);
	EXPECT_ERROR(semop(id, operations, SIZE_MAX / 2), E2BIG);
	EXPECT_ERROR(semop(id, operations, 0), EINVAL);
	expect_values(id, 0, 0, 0);
	EXPECT_IS(semop(id, operations, OPERATIONS_MAX), 0);
	expect_values(id, 167, 167, 166);
}

REQUIREMENT(op_no_set, "semop, ERRORS, EINVAL", "an identifier that is nobody's is EINVAL")
{
	int id = make(SEM);

	EXPECT_ERROR(operate(-1, 0, 1, 0), EINVAL);
	EXPECT_ERROR(operate(INT32_MAX, 0, 1, 0), EINVAL);
	erase(SEM, id);
	EXPECT_ERROR(operate(id, 0, 1, 0), EINVAL);
}

REQUIREMENT(op_pointer, "semop(2), ERRORS, EFAULT", "operations that lead nowhere are EFAULT")
{
	int id = make(SEM);
	struct sembuf *nowhere = make_nowhere(), operation = OPERATION(0, -1, 0);

	EXPECT_ERROR(semop(id, nowhere, 1), EFAULT);
	EXPECT_ERROR(semop(id, nowhere, 0), EINVAL);
	EXPECT_ERROR(semtimedop(id, &operation, 1, (struct timespec *)nowhere), EFAULT);
	expect_values(id, 0, 0, 0);
}

REQUIREMENT(op_range, "semop, ERRORS, ERANGE",
	    "what would exceed the largest value is ERANGE, and nothing is done")
{
	int id = make_values(VALUE_MAX, VALUE_MAX - 1, 0);
	struct sembuf two[] = {OPERATION(2, 1, 0), OPERATION(0, 1, 0)};
	struct sembuf between[] = {OPERATION(0, 1, 0), OPERATION(0, -2, 0)};

	EXPECT_ERROR(operate(id, 0, 1, 0), ERANGE);
	EXPECT_ERROR(semop(id, two, 2), ERANGE);
	EXPECT_ERROR(semop(id, between, 2), ERANGE);
	EXPECT_IS(operate(id, 1, 1, 0), 0);
	EXPECT_ERROR(operate(id, 1, VALUE_MAX, 0), ERANGE);
	expect_values(id, VALUE_MAX, VALUE_MAX, 0);
	EXPECT_IS(operate(id, 0, -VALUE_MAX, 0), 0);
	expect_values(id, 0, VALUE_MAX, 0);
}

REQUIREMENT(op_blocks, "semop, DESCRIPTION", "what cannot be taken yet blocks, and is then taken")
{
	int id = make(SEM);
	struct caller caller = caller_of(id, 1, -2, 0);
	pid_t child = block(process_calls, &caller);

	EXPECT_IS(operate(id, 1, 1, 0), 0);
	conform_await_blocked(child, 0);
	expect_values(id, 0, 1, 0);
	EXPECT_IS(operate(id, 1, 2, 0), 0);
	conform_await(child);
	expect_values(id, 0, 1, 0);
}

REQUIREMENT(op_blocks_zero, "semop, DESCRIPTION, sem_op 0", "who waits for 0 goes on when it is 0")
{
	int id = make_values(2, 0, 0);
	struct caller caller = caller_of(id, 0, 0, 0);
	pid_t first = block(process_calls, &caller), second = block(process_calls, &caller);

	EXPECT_IS(operate(id, 0, -1, 0), 0);
	conform_await_blocked(first, 0);
	EXPECT_IS(operate(id, 0, -1, 0), 0);
	conform_await(first);
	conform_await(second);
}

REQUIREMENT(op_blocks_array, "semop, DESCRIPTION",
	    "an array that is blocked takes nothing until all of it can be done")
{
	int id = make_values(1, 0, 0);
	struct caller caller = {.id = id, .count = 3};
	pid_t child;

	caller.operations[0] = OPERATION(0, -1, 0);
	caller.operations[1] = OPERATION(1, -1, 0);
	caller.operations[2] = OPERATION(2, 1, 0);
	child = block(process_calls, &caller);
	expect_values(id, 1, 0, 0);
	EXPECT_IS(operate(id, 0, -1, IPC_NOWAIT), 0);
	EXPECT_IS(operate(id, 1, 1, 0), 0);
	conform_await_blocked(child, 0);
	expect_values(id, 0, 1, 0);
	EXPECT_IS(operate(id, 0, 1, 0), 0);
	conform_await(child);
	expect_values(id, 0, 0, 1);
}

REQUIREMENT(op_blocks_twice, "semop(2), DESCRIPTION",
	    "an array that names one semaphore twice blocks, and is done whole")
{
	int id = make_values(1, 0, 0);
	struct caller caller = {.id = id, .count = 2};
	pid_t child;

	caller.operations[0] = OPERATION(0, 0, 0);
	caller.operations[1] = OPERATION(0, 1, 0);
	child = block(process_calls, &caller);
	EXPECT_IS(operate(id, 0, -1, 0), 0);
	conform_await(child);
	expect_values(id, 1, 0, 0);
}

REQUIREMENT(op_wakes_chain, "semop, DESCRIPTION",
	    "what one who is woken gives lets the next one go on")
{
	int id = make(SEM);
	struct caller first = {.id = id, .count = 2}, second = first;
	pid_t children[2];

	first.operations[0] = OPERATION(1, -1, 0);
	first.operations[1] = OPERATION(2, 1, 0);
	second.operations[0] = OPERATION(0, -1, 0);
	second.operations[1] = OPERATION(1, 1, 0);
	children[0] = block(process_calls, &first);
	children[1] = block(process_calls, &second);
	EXPECT_IS(operate(id, 0, 1, 0), 0);
	conform_await(children[0]);
	conform_await(children[1]);
	expect_values(id, 0, 0, 1);
}

REQUIREMENT(op_nowait_each, "semop, DESCRIPTION, IPC_NOWAIT",
	    "IPC_NOWAIT is of the operation that cannot be done: of another one it says nothing")
{
	int id = make_values(0, 1, 0);
	struct caller caller = {.id = id, .count = 2};
	pid_t child;

	caller.operations[0] = OPERATION(0, -1, 0);
	caller.operations[1] = OPERATION(1, -1, IPC_NOWAIT);
	child = block(process_calls, &caller);
	EXPECT_IS(operate(id, 0, 1, 0), 0);
	conform_await(child);
	expect_values(id, 0, 0, 0);
	caller.operations[0] = OPERATION(2, 1, 0);
	EXPECT_ERROR(semop(id, caller.operations, 2), EAGAIN);
	expect_values(id, 0, 0, 0);
}

REQUIREMENT(op_smaller_passes, "semop, DESCRIPTION",
	    "who can be served is, while another who came before waits for more")
{
	int id = make(SEM);
	struct caller large = caller_of(id, 0, -5, 0), small = caller_of(id, 0, -2, 0);
	pid_t first = block(process_calls, &large), second = block(process_calls, &small);

	EXPECT_IS(operate(id, 0, 2, 0), 0);
	conform_await(second);
	expect_values(id, 0, 0, 0);
	EXPECT_IS(operate(id, 0, 6, 0), 0);
	conform_await(first);
	expect_values(id, 1, 0, 0);
}

/* Waits until one more of them has gone on; that has to be the one. */
static void expect_next(const int *done, int count, int next)
{
	int sum = 0;

	for (int naps = 0; naps < 10000 && sum <= next; naps++) {
		sum = 0;
		for (int i = 0; i < count; i++)
			sum += __atomic_load_n(&done[i], __ATOMIC_ACQUIRE);
		usleep(1000);
	}
	EXPECT_IS(sum, next + 1);
	EXPECT_IS(__atomic_load_n(&done[next], __ATOMIC_ACQUIRE), 1);
}

REQUIREMENT(op_in_turn, "semop(2), DESCRIPTION", "who waits longest for the same is served first")
{
	enum { COUNT = 4 };
	int id = make(SEM), *done = conform_share(COUNT * sizeof(*done));
	struct caller callers[COUNT];
	pid_t children[COUNT];

	for (int i = 0; i < COUNT; i++) {
		callers[i] = caller_of(id, 0, -1, 0);
		callers[i].done = &done[i];
		children[i] = block(process_calls, &callers[i]);
	}
	for (int i = 0; i < COUNT; i++) {
		EXPECT_IS(operate(id, 0, 1, 0), 0);
		expect_next(done, COUNT, i);
	}
	for (int i = 0; i < COUNT; i++)
		conform_await(children[i]);
}

REQUIREMENT(op_killed, "semop, DESCRIPTION", "who is killed while it waits has done nothing")
{
	int id = make_values(1, 0, 0);
	struct caller caller = {.id = id, .count = 2};
	pid_t child;

	caller.operations[0] = OPERATION(0, -1, SEM_UNDO);
	caller.operations[1] = OPERATION(1, -1, SEM_UNDO);
	child = block(process_calls, &caller);
	conform_kill(child);
	EXPECT_IS(operate(id, 1, 1, 0), 0);
	expect_values(id, 1, 1, 0);
	EXPECT_IS(semctl(id, 1, GETNCNT), 0);
}

static void expect_removed(struct caller caller)
{
	struct timespec far = {.tv_sec = 1000};
	pid_t children[3];

	caller.error = EIDRM;
	children[0] = block(process_calls, &caller);
	caller.timeout = &far;
	children[1] = block(process_calls, &caller);
	caller.count = 2;
	caller.operations[1] = OPERATION(2, 1, SEM_UNDO);
	children[2] = block(process_calls, &caller);
	erase(SEM, caller.id);
	for (int i = 0; i < 3; i++)
		conform_await(children[i]);
}

REQUIREMENT(removed_taking, "semop, ERRORS, EIDRM",
	    "who is blocked to take when the set is removed has EIDRM")
{
	expect_removed(caller_of(make(SEM), 1, -1, 0));
}

REQUIREMENT(removed_waiting, "semop, ERRORS, EIDRM",
	    "who waits for 0 when the set is removed has EIDRM")
{
	expect_removed(caller_of(make_values(0, 1, 0), 1, 0, 0));
}

/* Several at once. */

static void counts(void *context)
{
	int *shared = context;
	struct sembuf lock[] = {OPERATION(0, 0, 0), OPERATION(0, 1, SEM_UNDO)};

	for (int i = 0; i < 2000; i++) {
		EXPECT_IS(semop(shared[0], lock, 2), 0);
		shared[1]++;
		EXPECT_IS(operate(shared[0], 0, -1, SEM_UNDO), 0);
	}
}

REQUIREMENT(op_excludes, "semop, DESCRIPTION", "waiting for 0 and adding at once excludes others")
{
	int *shared = conform_share(2 * sizeof(*shared));
	pid_t children[4];

	shared[0] = make(SEM);
	for (int i = 0; i < 4; i++)
		children[i] = conform_start(counts, shared);
	for (int i = 0; i < 4; i++)
		conform_await(children[i]);
	EXPECT_IS(shared[1], 4 * 2000);
	expect_values(shared[0], 0, 0, 0);
}

REQUIREMENT(direct, "syscall(2); semop(2), semctl(2)", "the system calls are of the same sets")
{
	struct sembuf operation = OPERATION(0, 3, 0), takes = OPERATION(0, -4, 0);
	struct timespec soon = {.tv_nsec = 1000000};
	int id = make(SEM);

	need_direct();
	EXPECT_IS(syscall(SYS_semop, id, &operation, 1), 0);
	expect_values(id, 3, 0, 0);
	EXPECT_IS(syscall(SYS_semtimedop, id, &operation, 1, NULL), 0);
	EXPECT_IS(syscall(SYS_semctl, id, 0, GETVAL, 0), 6);
	EXPECT_IS(syscall(SYS_semctl, id, 1, SETVAL, 9), 0);
	expect_values(id, 6, 9, 0);
	EXPECT_IS(syscall(SYS_semtimedop, id, &takes, 1, &soon), 0);
	EXPECT_ERROR(syscall(SYS_semtimedop, id, &takes, 1, &soon), EAGAIN);
	EXPECT_ERROR(syscall(SYS_semop, -1, &operation, 1), EINVAL);
}
