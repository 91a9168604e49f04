/* SPDX-License-Identifier: Apache-2.0 */

/* What a lock promises to threads and processes, dead ones among them. */

#include <tenon/lock.h>

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "contract.h"

#define NAME "/lock"
#define WAIT_NS (SECOND_NS / 50)
#define LIMIT_NS (10 * SECOND_NS)

static struct tenon_lock *make(uint32_t flags)
{
	struct tenon_sync_options options = {.size = sizeof(options), .flags = flags};
	struct tenon_lock *lock = NULL;

	EXPECT_IS(tenon_lock_open(contract_folder, NAME, TENON_CREATE | TENON_EXCLUSIVE, &options,
				  &lock),
		  0);
	REQUIRE(lock);
	return lock;
}

static struct tenon_lock *open_lock(void)
{
	struct tenon_lock *lock = NULL;

	EXPECT_IS(tenon_lock_open(contract_folder, NAME, 0, NULL, &lock), 0);
	REQUIRE(lock);
	return lock;
}

static int acquire(struct tenon_lock *lock, int64_t timeout_ns)
{
	return tenon_lock_acquire(lock, tenon_deadline_after(timeout_ns));
}

static struct tenon_lock_status status_of(struct tenon_lock *lock)
{
	struct tenon_lock_status status = {.size = sizeof(status)};

	EXPECT_IS(tenon_lock_status(lock, &status), 0);
	return status;
}

static void await_waiters(struct tenon_lock *lock, uint32_t count)
{
	while (status_of(lock).waiting < count)
		sched_yield();
}

/* Runs in another thread, and to its end. */
static void in_thread(void *(*run)(void *), void *context)
{
	pthread_t thread;

	REQUIRE(pthread_create(&thread, NULL, run, context) == 0);
	REQUIRE(pthread_join(thread, NULL) == 0);
}

static void test_one_after_the_other(void)
{
	struct tenon_lock *lock = make(0);

	EXPECT_IS(tenon_lock_release(lock), -EPERM);
	EXPECT_IS(acquire(lock, LIMIT_NS), 0);
	EXPECT_IS(status_of(lock).owner_pid, getpid());
	EXPECT_IS(status_of(lock).depth, 1);
	EXPECT_IS(acquire(lock, LIMIT_NS), -EDEADLK);
	EXPECT_IS(tenon_lock_try(lock), -EDEADLK);
	EXPECT_IS(tenon_lock_release(lock), 0);
	EXPECT_IS(tenon_lock_release(lock), -EPERM);
	EXPECT_IS(status_of(lock).owner_pid, 0);
	EXPECT_IS(tenon_lock_try(lock), 0);
	EXPECT_IS(tenon_lock_release(lock), 0);
	EXPECT_IS(status_of(lock).acquired, 2);
	EXPECT_IS(status_of(lock).state, TENON_LOCK_SOUND);
	lock = tenon_lock_close(lock);
}

static void *expect_busy(void *context)
{
	EXPECT_IS(tenon_lock_try(context), -EBUSY);
	EXPECT_IS(acquire(context, WAIT_NS), -ETIMEDOUT);
	EXPECT_IS(tenon_lock_acquire(context, 0), -ETIMEDOUT);
	EXPECT_IS(tenon_lock_release(context), -EPERM);
	EXPECT_IS(tenon_lock_repaired(context), -EPERM);
	EXPECT_IS(tenon_lock_lost(context), -EPERM);
	return NULL;
}

static void expect_busy_process(void *context)
{
	(void)context;
	expect_busy(open_lock());
}

static void test_others_are_kept_out(void)
{
	struct tenon_lock *lock = make(0), *other = open_lock();

	EXPECT_IS(acquire(lock, LIMIT_NS), 0);
	in_thread(expect_busy, lock);
	in_thread(expect_busy, other);
	contract_await(contract_start(expect_busy_process, NULL));
	/* By another handle of the same thread: it would wait for itself. */
	EXPECT_IS(acquire(other, WAIT_NS), -EDEADLK);
	EXPECT_IS(tenon_lock_release(other), -EPERM);
	EXPECT_IS(tenon_lock_release(lock), 0);
	EXPECT_IS(acquire(other, LIMIT_NS), 0);
	EXPECT_IS(tenon_lock_release(other), 0);
	other = tenon_lock_close(other);
	lock = tenon_lock_close(lock);
}

static void test_recursive(void)
{
	struct tenon_lock *lock = make(TENON_LOCK_RECURSIVE);

	for (uint32_t i = 0; i < 3; i++)
		EXPECT_IS(i % 2 ? tenon_lock_try(lock) : acquire(lock, LIMIT_NS), 0);
	EXPECT_IS(status_of(lock).depth, 3);
	for (uint32_t i = 0; i < 3; i++) {
		in_thread(expect_busy, lock);
		EXPECT_IS(tenon_lock_release(lock), 0);
	}
	EXPECT_IS(tenon_lock_release(lock), -EPERM);
	EXPECT_IS(status_of(lock).depth, 0);
	EXPECT_IS(status_of(lock).recursive, 1);
	lock = tenon_lock_close(lock);
}

static struct {
	uint64_t count, inside;
} * shared;

#define ROUNDS 20000u

static void *count_up(void *context)
{
	for (uint32_t i = 0; i < ROUNDS; i++) {
		EXPECT_IS(acquire(context, LIMIT_NS), 0);
		EXPECT_IS(shared->inside++, 0);
		shared->count++;
		shared->inside--;
		EXPECT_IS(tenon_lock_release(context), 0);
	}
	return NULL;
}

static void count_up_process(void *context)
{
	pthread_t thread;
	struct tenon_lock *lock = open_lock();

	(void)context;
	REQUIRE(pthread_create(&thread, NULL, count_up, lock) == 0);
	count_up(lock);
	REQUIRE(pthread_join(thread, NULL) == 0);
	lock = tenon_lock_close(lock);
}

static void test_exclusion(void)
{
	struct tenon_lock *lock = make(0);
	pid_t children[3];

	shared = contract_share(sizeof(*shared));
	for (uint32_t i = 0; i < 3; i++)
		children[i] = contract_start(count_up_process, NULL);
	for (uint32_t i = 0; i < 3; i++)
		contract_await(children[i]);
	EXPECT_IS((int64_t)shared->count, 6 * ROUNDS);
	EXPECT_IS((int64_t)status_of(lock).acquired, 6 * ROUNDS);
	EXPECT_IS(status_of(lock).owner_deaths, 0);
	EXPECT_IS(status_of(lock).participants, 1);
	lock = tenon_lock_close(lock);
}

static void acquire_and_die(void *context)
{
	struct tenon_lock *lock = open_lock();

	for (uint32_t i = 0; i < (context ? 3 : 1); i++)
		EXPECT_IS(acquire(lock, LIMIT_NS), 0);
	kill(getpid(), SIGKILL);
}

static void die_with_it(bool recursive)
{
	pid_t child = contract_start(acquire_and_die, recursive ? "" : NULL);

	EXPECT(waitpid(child, NULL, 0) == child);
}

static void test_owner_dies(void)
{
	struct tenon_lock *lock = make(0);

	die_with_it(false);
	EXPECT_IS(status_of(lock).state, TENON_LOCK_OWNER_DIED);
	EXPECT_IS(status_of(lock).owner_pid, 0);
	EXPECT_IS(acquire(lock, LIMIT_NS), -EOWNERDEAD);
	/* Undeclared, the next one is told as well. */
	EXPECT_IS(tenon_lock_release(lock), 0);
	EXPECT_IS(tenon_lock_try(lock), -EOWNERDEAD);
	EXPECT_IS(tenon_lock_repaired(lock), 0);
	EXPECT_IS(tenon_lock_repaired(lock), -EINVAL);
	EXPECT_IS(tenon_lock_release(lock), 0);
	EXPECT_IS(acquire(lock, LIMIT_NS), 0);
	EXPECT_IS(tenon_lock_release(lock), 0);
	EXPECT_IS(status_of(lock).owner_deaths, 1);
	/* And by who does not wait. */
	die_with_it(false);
	EXPECT_IS(tenon_lock_try(lock), -EOWNERDEAD);
	EXPECT_IS(tenon_lock_release(lock), 0);
	lock = tenon_lock_close(lock);
}

static void test_recursive_owner_dies(void)
{
	struct tenon_lock *lock = make(TENON_LOCK_RECURSIVE);

	die_with_it(true);
	EXPECT_IS(acquire(lock, LIMIT_NS), -EOWNERDEAD);
	EXPECT_IS(status_of(lock).depth, 1);
	EXPECT_IS(tenon_lock_release(lock), 0);
	EXPECT_IS(tenon_lock_release(lock), -EPERM);
	lock = tenon_lock_close(lock);
}

static void hold_until_killed(void *context)
{
	(void)context;
	EXPECT_IS(acquire(open_lock(), LIMIT_NS), 0);
	for (;;)
		pause();
}

static void take_over(void *context)
{
	struct tenon_lock *lock = open_lock();

	(void)context;
	EXPECT_IS(acquire(lock, LIMIT_NS), -EOWNERDEAD);
	EXPECT_IS(tenon_lock_repaired(lock), 0);
	EXPECT_IS(tenon_lock_release(lock), 0);
}

static pid_t start_holder(struct tenon_lock *lock)
{
	pid_t holder = contract_start(hold_until_killed, NULL);

	while (status_of(lock).owner_pid != holder)
		sched_yield();
	return holder;
}

/* The kernel wakes one, who wakes the next by releasing. */
static void test_sleepers_are_told(void)
{
	struct tenon_lock *lock = make(0);
	pid_t holder = start_holder(lock), first, second;

	first = contract_start(take_over, NULL);
	await_waiters(lock, 1);
	contract_kill(holder);
	contract_await(first);
	EXPECT_IS(acquire(lock, LIMIT_NS), 0);
	EXPECT_IS(tenon_lock_release(lock), 0);

	holder = start_holder(lock);
	first = contract_start(hold_until_killed, NULL);
	second = contract_start(take_over, NULL);
	await_waiters(lock, 2);
	/* Whoever of the two gets it: the first dies with it. */
	contract_kill(first);
	contract_kill(holder);
	contract_await(second);
	EXPECT_IS(status_of(lock).waiting, 0);
	lock = tenon_lock_close(lock);
}

static void *acquire_and_end(void *context)
{
	EXPECT_IS(acquire(context, LIMIT_NS), 0);
	return NULL;
}

static void test_thread_ends(void)
{
	struct tenon_lock *lock = make(0);

	in_thread(acquire_and_end, lock);
	EXPECT_IS(acquire(lock, LIMIT_NS), -EOWNERDEAD);
	EXPECT_IS(tenon_lock_repaired(lock), 0);
	EXPECT_IS(tenon_lock_release(lock), 0);
	/* Many threads, one after the other: their entries are used again. */
	for (uint32_t i = 0; i < 200; i++) {
		in_thread(acquire_and_end, lock);
		EXPECT_IS(acquire(lock, LIMIT_NS), -EOWNERDEAD);
		EXPECT_IS(tenon_lock_repaired(lock), 0);
		EXPECT_IS(tenon_lock_release(lock), 0);
	}
	lock = tenon_lock_close(lock);
}

static uint64_t maps_of_this_process(void)
{
	FILE *file = fopen("/proc/self/maps", "r");
	uint64_t count = 0;
	int letter;

	REQUIRE(file);
	while ((letter = fgetc(file)) != EOF)
		count += letter == '\n';
	fclose(file);
	return count;
}

static void *try_in_vain(void *context)
{
	uint64_t before;

	EXPECT_IS(acquire(context, 1000), -ETIMEDOUT);
	before = maps_of_this_process();
	for (uint32_t i = 0; i < 100; i++)
		EXPECT_IS(acquire(context, 1000), -ETIMEDOUT);
	EXPECT(maps_of_this_process() < before + 10);
	return NULL;
}

/* Whoever does not get it keeps one entry for the next time. */
static void test_in_vain(void)
{
	struct tenon_lock *lock = make(0);

	EXPECT_IS(acquire(lock, LIMIT_NS), 0);
	in_thread(try_in_vain, lock);
	in_thread(try_in_vain, lock);
	EXPECT_IS(tenon_lock_release(lock), 0);
	lock = tenon_lock_close(lock);
}

static void test_lost(void)
{
	struct tenon_lock *lock = make(TENON_LOCK_RECURSIVE);

	EXPECT_IS(acquire(lock, LIMIT_NS), 0);
	EXPECT_IS(acquire(lock, LIMIT_NS), 0);
	EXPECT_IS(tenon_lock_lost(lock), 0);
	EXPECT_IS(acquire(lock, LIMIT_NS), -ENOTRECOVERABLE);
	EXPECT_IS(tenon_lock_try(lock), -ENOTRECOVERABLE);
	EXPECT_IS(status_of(lock).state, TENON_LOCK_LOST);
	EXPECT_IS(status_of(lock).owner_pid, 0);
	lock = tenon_lock_close(lock);
}

static void expect_lost(void *context)
{
	(void)context;
	EXPECT_IS(acquire(open_lock(), LIMIT_NS), -ENOTRECOVERABLE);
}

static void test_lost_is_told(void)
{
	struct tenon_lock *lock = make(0);
	pid_t waiters[3];

	EXPECT_IS(acquire(lock, LIMIT_NS), 0);
	for (uint32_t i = 0; i < 3; i++)
		waiters[i] = contract_start(expect_lost, NULL);
	await_waiters(lock, 3);
	EXPECT_IS(tenon_lock_lost(lock), 0);
	for (uint32_t i = 0; i < 3; i++)
		contract_await(waiters[i]);
	lock = tenon_lock_close(lock);
}

static void test_closed_while_held(void)
{
	struct tenon_lock *lock = make(0), *other = open_lock();

	EXPECT_IS(acquire(lock, LIMIT_NS), 0);
	lock = tenon_lock_close(lock);
	EXPECT_IS(acquire(other, LIMIT_NS), -EOWNERDEAD);
	EXPECT_IS(tenon_lock_repaired(other), 0);
	EXPECT_IS(tenon_lock_release(other), 0);
	other = tenon_lock_close(other);
}

static struct tenon_lock *closed;
static uint32_t may_end;

static void *hold_while_closed(void *context)
{
	(void)context;
	EXPECT_IS(acquire(closed, LIMIT_NS), 0);
	__atomic_store_n(&may_end, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&may_end, __ATOMIC_SEQ_CST) == 1)
		sched_yield();
	return NULL;
}

/* Its entry stays in the other thread's list. */
static void test_closed_by_another_thread(void)
{
	struct tenon_lock *lock = make(0);
	pthread_t thread;

	closed = open_lock();
	REQUIRE(pthread_create(&thread, NULL, hold_while_closed, NULL) == 0);
	while (__atomic_load_n(&may_end, __ATOMIC_SEQ_CST) == 0)
		sched_yield();
	closed = tenon_lock_close(closed);
	EXPECT_IS(acquire(lock, LIMIT_NS), -EOWNERDEAD);
	EXPECT_IS(tenon_lock_repaired(lock), 0);
	__atomic_store_n(&may_end, 2, __ATOMIC_SEQ_CST);
	pthread_join(thread, NULL);
	EXPECT_IS(tenon_lock_release(lock), 0);
	EXPECT_IS(acquire(lock, LIMIT_NS), 0);
	EXPECT_IS(tenon_lock_release(lock), 0);
	lock = tenon_lock_close(lock);
}

/* A child has its parent's handle, and nothing that the parent holds. */
static void test_fork(void)
{
	struct tenon_lock *lock = make(0);
	pid_t child;

	EXPECT_IS(acquire(lock, LIMIT_NS), 0);
	child = fork();
	if (child == 0) {
		contract_child_begins();
		EXPECT_IS(tenon_lock_release(lock), -EPERM);
		EXPECT_IS(tenon_lock_try(lock), -EBUSY);
		EXPECT_IS(acquire(lock, LIMIT_NS), 0);
		kill(getpid(), SIGKILL);
	}
	await_waiters(lock, 1);
	EXPECT_IS(tenon_lock_release(lock), 0);
	EXPECT(waitpid(child, NULL, 0) == child);
	EXPECT_IS(acquire(lock, LIMIT_NS), -EOWNERDEAD);
	EXPECT_IS(tenon_lock_repaired(lock), 0);
	EXPECT_IS(tenon_lock_release(lock), 0);
	lock = tenon_lock_close(lock);
}

static void exec_with_it(void *context)
{
	(void)context;
	EXPECT_IS(acquire(open_lock(), LIMIT_NS), 0);
	execl("/bin/true", "true", (char *)NULL);
	_exit(1);
}

static void test_exec(void)
{
	struct tenon_lock *lock = make(0);

	contract_await(contract_start(exec_with_it, NULL));
	EXPECT_IS(acquire(lock, LIMIT_NS), -EOWNERDEAD);
	EXPECT_IS(tenon_lock_release(lock), 0);
	lock = tenon_lock_close(lock);
}

/* Held together, let go of in any order, beside a robust mutex of the C library's. */
static void die_with_many(void *context)
{
	static struct tenon_lock *locks[8];
	pthread_mutexattr_t attributes;
	static pthread_mutex_t mutex;
	uint64_t order = (uint64_t)(uintptr_t)context;

	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(&mutex, &attributes);
	for (uint32_t i = 0; i < 8; i++) {
		char name[16];

		snprintf(name, sizeof(name), "/lock-%u", i);
		EXPECT_IS(tenon_lock_open(contract_folder, name, TENON_CREATE, NULL, &locks[i]), 0);
		if (i == 3)
			pthread_mutex_lock(&mutex);
		EXPECT_IS(acquire(locks[i], LIMIT_NS), 0);
	}
	pthread_mutex_unlock(&mutex);
	for (uint32_t i = 0; i < 8; i++)
		if (order >> i & 1)
			EXPECT_IS(tenon_lock_release(locks[i]), 0);
	kill(getpid(), SIGKILL);
}

static void test_many(void)
{
	for (uint32_t order = 0; order < 256; order += 37) {
		pid_t child = contract_start(die_with_many, (void *)(uintptr_t)order);

		EXPECT(waitpid(child, NULL, 0) == child);
		for (uint32_t i = 0; i < 8; i++) {
			struct tenon_lock *lock = NULL;
			char name[16];

			snprintf(name, sizeof(name), "/lock-%u", i);
			EXPECT_IS(tenon_lock_open(contract_folder, name, 0, NULL, &lock), 0);
			REQUIRE(lock);
			EXPECT_IS(acquire(lock, LIMIT_NS), order >> i & 1 ? 0 : -EOWNERDEAD);
			(void)!tenon_lock_repaired(lock);
			EXPECT_IS(tenon_lock_release(lock), 0);
			lock = tenon_lock_close(lock);
		}
	}
}

static void sleep_for_it(void *context)
{
	(void)context;
	EXPECT_IS(acquire(open_lock(), -1), 0);
}

static uint64_t switches_of(pid_t pid)
{
	char path[64], line[128];
	unsigned long long count = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	file = fopen(path, "r");
	REQUIRE(file);
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "voluntary_ctxt_switches: %llu", &count) == 1)
			break;
	fclose(file);
	return count;
}

/* However long it is held, who waits is not woken. */
static void test_sleeps_for_long(void)
{
	struct tenon_lock *lock = make(0);
	uint64_t before;
	pid_t sleeper;

	EXPECT_IS(acquire(lock, LIMIT_NS), 0);
	sleeper = contract_start(sleep_for_it, NULL);
	await_waiters(lock, 1);
	contract_await_asleep(sleeper);
	nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
	before = switches_of(sleeper);
	nanosleep(&(struct timespec){.tv_sec = 2, .tv_nsec = 500000000}, NULL);
	EXPECT_IS((int64_t)(switches_of(sleeper) - before), 0);
	EXPECT_IS(tenon_lock_release(lock), 0);
	contract_await(sleeper);
	lock = tenon_lock_close(lock);
}

int main(void)
{
	static const struct contract_case cases[] = {
		{"acquired and released", test_one_after_the_other, NULL},
		{"others are kept out", test_others_are_kept_out, NULL},
		{"recursive", test_recursive, NULL},
		{"one at a time, of six threads in three processes", test_exclusion, NULL},
		{"its owner dies", test_owner_dies, NULL},
		{"a recursive one's owner dies", test_recursive_owner_dies, NULL},
		{"who sleeps is told of the owner's death", test_sleepers_are_told, NULL},
		{"the owner's thread ends", test_thread_ends, NULL},
		{"again and again in vain", test_in_vain, NULL},
		{"given up", test_lost, NULL},
		{"given up, and who sleeps is told", test_lost_is_told, NULL},
		{"closed while it is held", test_closed_while_held, NULL},
		{"closed while another thread holds it", test_closed_by_another_thread, NULL},
		{"over fork", test_fork, NULL},
		{"over exec", test_exec, NULL},
		{"many, and libc's robust mutex among them", test_many, NULL},
		{"who sleeps for long is not woken", test_sleeps_for_long, NULL},
	};

	return contract_main(cases, sizeof(cases) / sizeof(cases[0]));
}
