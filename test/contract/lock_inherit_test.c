/* SPDX-License-Identifier: Apache-2.0 */

/* What a lock with priority inheritance promises beside what all locks do. */

#include <tenon/condition.h>
#include <tenon/waitset.h>

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "contract.h"

#define NAME "/lock"
#define WAIT_NS (SECOND_NS / 50)
#define LIMIT_NS (10 * SECOND_NS)

static struct tenon_lock *open_named(const char *name, uint32_t flags)
{
	struct tenon_sync_options options = {.size = sizeof(options),
					     .flags = TENON_LOCK_INHERIT | TENON_LOCK_RECURSIVE};
	struct tenon_lock *lock = NULL;

	EXPECT_IS(tenon_lock_open(contract_folder, name, flags, &options, &lock), 0);
	REQUIRE(lock);
	return lock;
}

static struct tenon_lock *open_lock(uint32_t flags)
{
	return open_named(NAME, flags);
}

static int acquire(struct tenon_lock *lock, int64_t timeout_ns)
{
	return tenon_lock_acquire(lock, tenon_deadline_after(timeout_ns));
}

static struct tenon_lock *make(void)
{
	struct tenon_lock *lock = open_lock(TENON_CREATE);
	int result = acquire(lock, LIMIT_NS);

	if (result == -ENOTSUP)
		contract_skip("the kernel has no FUTEX_LOCK_PI2");
	EXPECT_IS(result, 0);
	EXPECT_IS(tenon_lock_release(lock), 0);
	return lock;
}

static struct tenon_lock_status status_of(struct tenon_lock *lock)
{
	struct tenon_lock_status status = {.size = sizeof(status)};

	EXPECT_IS(tenon_lock_status(lock, &status), 0);
	return status;
}

static void expect_busy(void *context)
{
	struct tenon_lock *lock = open_lock(0);

	(void)context;
	EXPECT_IS(tenon_lock_try(lock), -EBUSY);
	EXPECT_IS(acquire(lock, WAIT_NS), -ETIMEDOUT);
	EXPECT_IS(tenon_lock_acquire(lock, 0), -ETIMEDOUT);
	EXPECT_IS(tenon_lock_release(lock), -EPERM);
}

static void test_as_others(void)
{
	struct tenon_lock *lock = make();

	EXPECT_IS(status_of(lock).inherits, 1);
	for (uint32_t i = 0; i < 3; i++)
		EXPECT_IS(acquire(lock, LIMIT_NS), 0);
	EXPECT_IS(status_of(lock).owner_pid, getpid());
	EXPECT_IS(status_of(lock).depth, 3);
	EXPECT_IS(tenon_lock_try_shared(lock), -ENOTSUP);
	contract_await(contract_start(expect_busy, NULL));
	for (uint32_t i = 0; i < 3; i++)
		EXPECT_IS(tenon_lock_release(lock), 0);
	EXPECT_IS(tenon_lock_release(lock), -EPERM);
	EXPECT_IS(tenon_lock_try(lock), 0);
	EXPECT_IS(tenon_lock_lost(lock), 0);
	EXPECT_IS(acquire(lock, LIMIT_NS), -ENOTRECOVERABLE);
	lock = tenon_lock_close(lock);
}

static void hold_and_stay(void *context)
{
	struct tenon_lock *lock = open_lock(0);

	(void)context;
	EXPECT_IS(acquire(lock, LIMIT_NS), 0);
	for (;;)
		pause();
}

static void await_owner(struct tenon_lock *lock, pid_t pid)
{
	while (status_of(lock).owner_pid != pid)
		sched_yield();
}

static _Atomic uint32_t *begun;

static void take_over(void *context)
{
	struct tenon_lock *lock = open_lock(0);

	(void)context;
	atomic_fetch_add(begun, 1);
	EXPECT_IS(acquire(lock, LIMIT_NS), -EOWNERDEAD);
	EXPECT_IS(status_of(lock).owner_pid, getpid());
	/* The next one is told as well. */
	EXPECT_IS(tenon_lock_release(lock), 0);
}

/* Its holder dies: those who wait, and those who come, are told, whoever buries the dead. */
static void test_deaths(void)
{
	struct tenon_lock *lock = make();

	begun = contract_share(sizeof(*begun));
	for (uint32_t round = 0; round < 40; round++) {
		pid_t holder = contract_start(hold_and_stay, NULL), waiters[3];

		await_owner(lock, holder);
		atomic_store(begun, 0);
		for (uint32_t i = 0; i < 3 && round % 2; i++)
			waiters[i] = contract_start(take_over, NULL);
		while (round % 2 && atomic_load(begun) < 3)
			sched_yield();
		contract_kill(holder);
		/* Who opens it anew takes the dead one's place. */
		tenon_lock_close(open_lock(0));
		for (uint32_t i = 0; i < 3 && round % 2; i++)
			contract_await(waiters[i]);
		EXPECT_IS(acquire(lock, LIMIT_NS), -EOWNERDEAD);
		EXPECT_IS(tenon_lock_repaired(lock), 0);
		EXPECT_IS(tenon_lock_release(lock), 0);
		EXPECT_IS(acquire(lock, LIMIT_NS), 0);
		EXPECT_IS(tenon_lock_release(lock), 0);
	}
	lock = tenon_lock_close(lock);
	/* Closed while it is held. */
	lock = open_lock(0);
	EXPECT_IS(acquire(lock, LIMIT_NS), 0);
	lock = tenon_lock_close(lock);
	lock = open_lock(0);
	EXPECT_IS(acquire(lock, LIMIT_NS), -EOWNERDEAD);
	lock = tenon_lock_close(lock);
}

#define WORKERS 3u
#define ROUNDS 20000u

static uint64_t *counter;

static void count_up(void *context)
{
	struct tenon_lock *lock = open_lock(0);

	(void)context;
	for (uint32_t i = 0; i < ROUNDS; i++) {
		EXPECT_IS(acquire(lock, LIMIT_NS), 0);
		++*(volatile uint64_t *)counter;
		EXPECT_IS(tenon_lock_release(lock), 0);
	}
}

static void test_exclusion(void)
{
	struct tenon_lock *lock = make();
	pid_t workers[WORKERS];

	counter = contract_share(sizeof(*counter));
	for (uint32_t i = 0; i < WORKERS; i++)
		workers[i] = contract_start(count_up, NULL);
	for (uint32_t i = 0; i < WORKERS; i++)
		contract_await(workers[i]);
	EXPECT(*counter == WORKERS * ROUNDS);
	EXPECT_IS(status_of(lock).owner_pid, 0);
	lock = tenon_lock_close(lock);
}

/* As the kernel has it: field 18 of /proc/PID/stat, negative for real-time. */
static int64_t priority_of(pid_t pid)
{
	char path[64], line[512], *field;
	int64_t priority = 99;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	file = fopen(path, "r");
	REQUIRE(file);
	if (fgets(line, sizeof(line), file)) {
		field = strrchr(line, ')');
		for (uint32_t i = 0; field && i < 16; i++)
			field = strchr(field + 1, ' ');
		if (field)
			sscanf(field, "%ld", (long *)&priority);
	}
	fclose(file);
	return priority;
}

static void wait_in_front(void *context)
{
	struct sched_param parameter = {.sched_priority = 10};
	struct tenon_lock *lock = open_lock(0);

	(void)context;
	if (sched_setscheduler(0, SCHED_FIFO, &parameter) != 0)
		_exit(77);
	EXPECT_IS(acquire(lock, LIMIT_NS), 0);
	EXPECT_IS(tenon_lock_release(lock), 0);
	_exit(0);
}

static void test_inheritance(void)
{
	struct tenon_lock *lock = make();
	int64_t before = priority_of(getpid());
	pid_t waiter;
	int status = 0;

	EXPECT_IS(acquire(lock, LIMIT_NS), 0);
	waiter = contract_start(wait_in_front, NULL);
	while (priority_of(getpid()) == before && waitpid(waiter, &status, WNOHANG) == 0)
		sched_yield();
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		contract_skip("no real-time priority may be set");
	EXPECT_IS(priority_of(getpid()), -11);
	EXPECT_IS(tenon_lock_release(lock), 0);
	EXPECT_IS(priority_of(getpid()), before);
	EXPECT_IS(waitpid(waiter, &status, 0), waiter);
	EXPECT_IS(status, 0);
	lock = tenon_lock_close(lock);
}

static _Atomic uint32_t *told;

/* Waits until it has the lock, or is told that it never will. */
static void wait_or_be_told(struct tenon_lock *lock)
{
	int result;

	do
		result = acquire(lock, WAIT_NS);
	while (result == -ETIMEDOUT);
	EXPECT(result == 0 || result == -EDEADLK);
	if (result == 0)
		EXPECT_IS(tenon_lock_release(lock), 0);
	else
		atomic_fetch_add(told, 1);
}

static void wait_crosswise(void *context)
{
	struct tenon_lock *other = open_named("/other", 0), *lock = open_lock(0);

	(void)context;
	EXPECT_IS(acquire(other, LIMIT_NS), 0);
	atomic_store(begun, 1);
	wait_or_be_told(lock);
	EXPECT_IS(tenon_lock_release(other), 0);
}

/* Two who wait for each other: the kernel tells the one who comes second. */
static void test_ring(void)
{
	struct tenon_lock *lock = make(), *other = open_named("/other", TENON_CREATE);
	pid_t child;

	begun = contract_share(sizeof(*begun));
	told = contract_share(sizeof(*told));
	EXPECT_IS(acquire(lock, LIMIT_NS), 0);
	child = contract_start(wait_crosswise, NULL);
	while (atomic_load(begun) == 0)
		sched_yield();
	wait_or_be_told(other);
	EXPECT_IS(tenon_lock_release(lock), 0);
	contract_await(child);
	EXPECT(atomic_load(told) >= 1);
	lock = tenon_lock_close(lock);
	other = tenon_lock_close(other);
}

static void signal_it(void *context)
{
	struct tenon_condition_status status = {.size = sizeof(status)};
	struct tenon_condition *condition = NULL;
	struct tenon_lock *lock = open_lock(0);

	(void)context;
	EXPECT_IS(tenon_condition_open(contract_folder, "/c", 0, NULL, &condition), 0);
	REQUIRE(condition);
	while (status.waiting == 0)
		EXPECT_IS(tenon_condition_status(condition, &status), 0);
	EXPECT_IS(acquire(lock, LIMIT_NS), 0);
	EXPECT_IS(tenon_condition_signal(condition), 0);
	EXPECT_IS(tenon_lock_release(lock), 0);
}

/* With a condition, and in a waitset. */
static void test_company(void)
{
	struct tenon_lock *lock = make();
	struct tenon_condition *condition = NULL;
	struct tenon_waitset *set = NULL;
	struct tenon_waitset_event event;
	uint32_t count;
	pid_t child;

	EXPECT_IS(tenon_condition_open(contract_folder, "/c", TENON_CREATE, NULL, &condition), 0);
	child = contract_start(signal_it, NULL);
	EXPECT_IS(acquire(lock, LIMIT_NS), 0);
	EXPECT_IS(tenon_condition_wait(condition, lock, tenon_deadline_after(LIMIT_NS)), 0);
	EXPECT_IS(tenon_lock_release(lock), 0);
	contract_await(child);
	EXPECT_IS(tenon_waitset_create(0, &set), 0);
	EXPECT_IS(tenon_waitset_add_lock(set, lock, 1, NULL), 0);
	for (uint32_t round = 0; round < 20; round++) {
		child = contract_start(hold_and_stay, NULL);
		await_owner(lock, child);
		EXPECT_IS(tenon_waitset_wait(set, tenon_deadline_after(WAIT_NS), &event, 1, &count),
			  -ETIMEDOUT);
		kill(child, SIGKILL);
		EXPECT_IS(tenon_waitset_wait(set, tenon_deadline_after(LIMIT_NS), &event, 1,
					     &count),
			  0);
		EXPECT_IS(event.result, -EOWNERDEAD);
		EXPECT_IS(tenon_lock_repaired(lock), 0);
		EXPECT_IS(tenon_lock_release(lock), 0);
		contract_kill(child);
	}
	set = tenon_waitset_close(set);
	condition = tenon_condition_close(condition);
	lock = tenon_lock_close(lock);
}

/* Waits for the lock in a set. */
static int32_t wait_in_set(struct tenon_lock *lock)
{
	struct tenon_waitset_event event = {.result = 0};
	struct tenon_waitset *set = NULL;
	uint32_t count;

	EXPECT_IS(tenon_waitset_create(0, &set), 0);
	EXPECT_IS(tenon_waitset_add_lock(set, lock, 1, NULL), 0);
	EXPECT_IS(tenon_waitset_wait(set, tenon_deadline_after(LIMIT_NS), &event, 1, &count), 0);
	set = tenon_waitset_close(set);
	return event.result;
}

static void have_by_set(void *context)
{
	struct tenon_lock *lock = open_lock(0);

	(void)context;
	EXPECT_IS(wait_in_set(lock), 0);
	EXPECT_IS(tenon_lock_release(lock), 0);
}

/* Who waited for such a lock in a waitset slept on its word, and the kernel, which takes nobody there but those who wait
 * by its own call, refused these: -EBADMSG, and the lock was said to be damaged. */
static void test_beside_a_set(void)
{
	struct tenon_lock *lock = make();
	pid_t in_set, busy;

	for (uint32_t round = 0; round < 20; round++) {
		EXPECT_IS(acquire(lock, LIMIT_NS), 0);
		in_set = contract_start(have_by_set, NULL);
		while (status_of(lock).waiting == 0)
			sched_yield();
		busy = contract_start(expect_busy, NULL);
		contract_await(busy);
		EXPECT_IS(tenon_lock_release(lock), 0);
		contract_await(in_set);
	}
	EXPECT_IS(status_of(lock).damaged, 0);
	lock = tenon_lock_close(lock);
}

static void *hold_in_thread(void *context)
{
	EXPECT_IS(acquire(context, LIMIT_NS), 0);
	atomic_store(begun, 1);
	for (;;)
		pause();
	return NULL;
}

/* The first thread has had it, the second one has it now. */
static void hold_in_second(void *context)
{
	struct tenon_lock *lock = open_lock(0);
	pthread_t thread;

	(void)context;
	EXPECT_IS(acquire(lock, LIMIT_NS), 0);
	EXPECT_IS(tenon_lock_release(lock), 0);
	REQUIRE(pthread_create(&thread, NULL, hold_in_thread, lock) == 0);
	for (;;)
		pause();
}

/* A process dies, and the thread that has the lock later than the one by whose stake others are told. */
static void test_threads_die(void)
{
	struct tenon_lock *lock = make();
	pid_t holder, killer;

	begun = contract_share(sizeof(*begun));
	for (uint32_t round = 0; round < 100; round++) {
		atomic_store(begun, 0);
		holder = contract_start(hold_in_second, NULL);
		while (atomic_load(begun) == 0)
			sched_yield();
		killer = fork();
		if (killer == 0) {
			while (status_of(lock).waiting == 0)
				sched_yield();
			kill(holder, SIGKILL);
			_exit(0);
		}
		EXPECT_IS(wait_in_set(lock), -EOWNERDEAD);
		EXPECT_IS(tenon_lock_repaired(lock), 0);
		EXPECT_IS(tenon_lock_release(lock), 0);
		EXPECT_IS(waitpid(killer, NULL, 0), killer);
		contract_kill(holder);
	}
	lock = tenon_lock_close(lock);
}

static void have_it_once(void *context)
{
	struct tenon_lock *lock = open_lock(0);

	(void)context;
	EXPECT_IS(acquire(lock, LIMIT_NS), 0);
	EXPECT_IS(tenon_lock_release(lock), 0);
}

/* Those who wait do so in the kernel, and were not to be seen. */
static void test_waiting_is_seen(void)
{
	struct tenon_lock *lock = make();
	pid_t child;

	EXPECT_IS(acquire(lock, LIMIT_NS), 0);
	child = contract_start(have_it_once, NULL);
	while (status_of(lock).waiting != 1)
		sched_yield();
	EXPECT_IS(tenon_lock_release(lock), 0);
	contract_await(child);
	EXPECT_IS(status_of(lock).waiting, 0);
	lock = tenon_lock_close(lock);
}

struct stay {
	atomic_int are_there;
};

/* One that holds it, and one that has waited for it. */
static void stay_there(void *context)
{
	struct stay *stay = context;
	struct tenon_lock *lock = open_lock(0);
	int result = acquire(lock, WAIT_NS);

	EXPECT(result == 0 || result == -ETIMEDOUT);
	atomic_fetch_add(&stay->are_there, 1);
	for (;;)
		pause();
}

static pid_t start_staying(struct stay *stay)
{
	int before = atomic_load(&stay->are_there);
	pid_t child = contract_start(stay_there, stay);

	while (atomic_load(&stay->are_there) == before)
		sched_yield();
	return child;
}

/* One that was killed, and is buried, keeps nobody from sleeping. */
static void test_sleeps_behind_a_death(void)
{
	struct stay *both = mmap(NULL, sizeof(*both), PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct tenon_lock *lock = make();
	struct tenon_waitset *set = NULL;
	struct tenon_waitset_event event;
	struct rusage before, after;
	uint32_t count;
	pid_t holder;

	REQUIRE(both != MAP_FAILED);
	holder = start_staying(both);
	contract_kill(start_staying(both));
	EXPECT_IS(tenon_waitset_create(0, &set), 0);
	EXPECT_IS(tenon_waitset_add_lock(set, lock, 1, NULL), 0);
	getrusage(RUSAGE_THREAD, &before);
	EXPECT_IS(tenon_waitset_wait(set, tenon_deadline_after(SECOND_NS), &event, 1, &count),
		  -ETIMEDOUT);
	getrusage(RUSAGE_THREAD, &after);
	EXPECT(after.ru_nvcsw - before.ru_nvcsw < 6);
	set = tenon_waitset_close(set);
	contract_kill(holder);
	munmap(both, sizeof(*both));
	lock = tenon_lock_close(lock);
}

int main(void)
{
	static const struct contract_case cases[] = {
		{"recursive, timed, shared by nobody, given up", test_as_others, NULL},
		{"its holder dies, and all are told", test_deaths, NULL},
		{"one at a time", test_exclusion, NULL},
		{"its holder runs at the priority of who waits", test_inheritance, NULL},
		{"two who wait for each other", test_ring, NULL},
		{"with a condition, and in a waitset", test_company, NULL},
		{"acquired while another waits for it in a waitset", test_beside_a_set, NULL},
		{"its holder's process dies thread by thread", test_threads_die, NULL},
		{"who waits is seen", test_waiting_is_seen, NULL},
		{"one that was killed keeps nobody awake in a waitset", test_sleeps_behind_a_death,
		 NULL},
	};

	return contract_main(cases, sizeof(cases) / sizeof(cases[0]));
}
