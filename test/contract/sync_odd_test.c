/* SPDX-License-Identifier: Apache-2.0 */

/* Semaphores, events, conditions, barriers and onces where it is odd: no memory, several users, forks in all places,
 * many processes, handles and names that go while others wait, and processes that stop. */

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tenon/event.h>
#include <tenon/semaphore.h>

#include "alike.h"
#include "users.h"

#define NAME "/odd"
#define LIMIT_NS (10 * SECOND_NS)
#define UNDO TENON_SEMAPHORE_UNDO

static const struct alike *kind; /* of the part that runs */

static void for_each_kind(void (*run)(void))
{
	for (uint32_t i = 0; i < ALIKE_KINDS; i++) {
		kind = &alike_kinds[i];
		run();
	}
}

static void *make(void)
{
	void *object = NULL;

	EXPECT_IS(kind->open(NAME, TENON_CREATE | TENON_EXCLUSIVE, 0, 0, &object), 0);
	REQUIRE(object);
	return object;
}

static void *open_it(void)
{
	void *object = NULL;

	EXPECT_IS(kind->open(NAME, 0, 0, 0, &object), 0);
	REQUIRE(object);
	return object;
}

static void remove_it(void *object)
{
	kind->close(object);
	EXPECT_IS(kind->remove(NAME), 0);
}

static void await_waiting(void *object, uint32_t expected)
{
	uint32_t participants, waiting = 0;

	while (waiting < expected) {
		EXPECT_IS(kind->look(object, &participants, &waiting), 0);
		sched_yield();
	}
}

static void expect_participants(void *object, uint32_t expected)
{
	uint32_t participants = 0, waiting;

	EXPECT_IS(kind->look(object, &participants, &waiting), 0);
	EXPECT_IS(participants, expected);
	EXPECT_IS(waiting, 0);
}

/* A full file system. */

#define PAGES 200u
#define PAGE_BYTES 4096

/* Leaves so many pages. */
static int fill(int fd, uint32_t pages)
{
	off_t bytes = 0;

	EXPECT_IS(ftruncate(fd, 0), 0);
	while (fallocate(fd, 0, bytes, PAGE_BYTES) == 0)
		bytes += PAGE_BYTES;
	return ftruncate(fd, bytes - (off_t)pages * PAGE_BYTES);
}

static void use_when_full(int filler, uint32_t pages)
{
	void *object = NULL, *other = NULL;
	int result;

	EXPECT_IS(fill(filler, pages), 0);
	result = kind->open(NAME, TENON_CREATE, 0, 0, &object);
	EXPECT(result == 0 || result == -ENOSPC);
	if (result == 0) {
		result = kind->use(object);
		EXPECT(result == 0 || result == -ENOSPC);
		result = kind->open(NAME, 0, 0, 0, &other);
		EXPECT(result == 0 || result == -ENOSPC);
	}
	EXPECT_IS(ftruncate(filler, 0), 0);
	if (object) {
		EXPECT_IS(kind->use(object), 0);
		kind->expect_sound(object);
	}
	if (other) {
		EXPECT_IS(kind->use(other), 0);
		kind->close(other);
	}
	if (object)
		remove_it(object);
	/* The bug: the name was left, where there was no memory for who had made it to attach. */
	EXPECT_IS(kind->remove(NAME), -ENOENT);
}

static void use_at_each_fill(void)
{
	char path[256];
	int filler;

	snprintf(path, sizeof(path), "%s/filler", contract_folder);
	filler = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	REQUIRE(filler >= 0);
	for (uint32_t pages = 0; pages < 20; pages++)
		use_when_full(filler, pages);
	close(filler);
}

static void test_full(void)
{
	char size[32];

	snprintf(size, sizeof(size), "size=%u", PAGES * PAGE_BYTES);
	if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
		contract_skip("no mount namespace of one's own");
	if (mount("tenon-odd", contract_folder, "tmpfs", 0, size) != 0)
		contract_skip("tmpfs cannot be mounted");
	for_each_kind(use_at_each_fill);
}

/* Two users. */

static void make_as(const struct part *part)
{
	char path[512];
	void *object = NULL;

	umask(0);
	EXPECT_IS(kind->open(part->name, TENON_CREATE | TENON_EXCLUSIVE, part->mode, 0, &object),
		  0);
	snprintf(path, sizeof(path), "%s/%c.%s", contract_folder, kind->letter, part->name + 1);
	EXPECT_IS(chown(path, (uid_t)-1, GROUP), 0);
	REQUIRE(object);
	kind->close(object);
}

static void use_as(const struct part *part)
{
	void *object = NULL;

	EXPECT_IS(kind->open(part->name, 0, 0, 0, &object), part->expected);
	if (!object)
		return;
	EXPECT_IS(kind->use(object), 0);
	kind->close(object);
}

static void wait_as(const struct part *part)
{
	void *object = NULL;

	EXPECT_IS(kind->open(part->name, 0, 0, 0, &object), 0);
	REQUIRE(object);
	EXPECT_IS(kind->wait(object, tenon_deadline_after(LIMIT_NS)), 0);
	kind->close(object);
}

static bool *is_barred;

static void wake_as(const struct part *part)
{
	void *object = NULL;

	EXPECT_IS(kind->open(part->name, 0, 0, 0, &object), 0);
	REQUIRE(object);
	if (kind->bar)
		EXPECT_IS(kind->bar(object), 0);
	__atomic_store_n(is_barred, true, __ATOMIC_RELEASE);
	await_waiting(object, 1);
	EXPECT_IS(kind->wake(object), 0);
	kind->close(object);
}

static void users_of_kind(void)
{
	struct part ann = {.uid = ANN, .in_group = true, .name = NAME, .mode = 0600};
	struct part bob = {.uid = BOB, .in_group = true, .name = NAME};
	pid_t waiter, waker;

	ann.play = make_as;
	users_act(ann);
	bob.play = use_as;
	bob.expected = -EACCES;
	users_act(bob);
	EXPECT_IS(kind->remove(NAME), 0);

	ann.mode = 0660;
	users_act(ann);
	bob.expected = 0;
	users_act(bob);
	bob.in_group = false;
	bob.expected = -EACCES;
	users_act(bob);
	bob.in_group = true;
	/* One wakes the other. */
	ann.play = wake_as;
	bob.play = wait_as;
	*is_barred = false;
	waker = users_start(ann);
	while (!__atomic_load_n(is_barred, __ATOMIC_ACQUIRE))
		sched_yield();
	waiter = users_start(bob);
	contract_await(waker);
	contract_await(waiter);
	EXPECT_IS(kind->remove(NAME), 0);
}

static void test_users(void)
{
	users_begin();
	is_barred = contract_share(sizeof(*is_barred));
	for_each_kind(users_of_kind);
}

/* Forks. */

#define STORM 60u
#define STORM_AT_ONCE 4u

static void *inherited;

static void use_for_ever(void *context)
{
	(void)context;
	for (;;)
		EXPECT_IS(kind->use(inherited), 0);
}

/* Children that inherit the handle, also from a child, and die at any moment. */
static void storm_of_kind(void)
{
	pid_t children[STORM_AT_ONCE] = {0};

	inherited = make();
	for (uint32_t i = 0; i < STORM + STORM_AT_ONCE; i++) {
		pid_t *child = &children[i % STORM_AT_ONCE];

		if (*child > 0)
			contract_kill(*child);
		*child = i < STORM ? contract_start(use_for_ever, NULL) : 0;
		for (uint32_t j = 0; j < i % 7; j++)
			EXPECT_IS(kind->use(inherited), 0);
	}
	kind->expect_sound(inherited);
	expect_participants(inherited, 1);
	remove_it(inherited);
}

static void test_fork_storm(void)
{
	for_each_kind(storm_of_kind);
}

/* Handles and names that go. */

static void wait_by_own_handle(void *context)
{
	void *object = open_it();

	(void)context;
	EXPECT_IS(kind->wait(object, tenon_deadline_after(LIMIT_NS)), 0);
	kind->close(object);
}

/* The one who wakes is not the one who has made it, whose handle is closed, and the name is gone. */
static void goes_while_awaited(void)
{
	void *maker = make(), *other = open_it(), *third = NULL;
	pid_t waiter;

	if (kind->bar)
		EXPECT_IS(kind->bar(other), 0);
	waiter = contract_start(wait_by_own_handle, NULL);
	await_waiting(maker, 1);
	remove_it(maker);
	EXPECT_IS(kind->open(NAME, 0, 0, 0, &third), -ENOENT);
	/* Another one of the same name has nothing to do with it. */
	maker = make();
	EXPECT_IS(kind->use(maker), 0);
	expect_participants(maker, 1);
	await_waiting(other, 1);
	EXPECT_IS(kind->wake(other), 0);
	contract_await(waiter);
	expect_participants(other, 1);
	kind->close(other);
	remove_it(maker);
}

static void test_gone(void)
{
	for_each_kind(goes_while_awaited);
}

/* As many as can be. */

#define MANY 1024u

static void many_of_kind(void)
{
	void **objects = contract_share(MANY * sizeof(*objects)), *more = NULL;
	pid_t waiter;

	for (uint32_t i = 0; i < MANY - 1; i++)
		REQUIRE(kind->open(NAME, TENON_CREATE, 0, MANY, &objects[i]) == 0);
	if (kind->bar)
		EXPECT_IS(kind->bar(objects[MANY - 2]), 0);
	/* The last one is another process. */
	waiter = contract_start(wait_by_own_handle, NULL);
	await_waiting(objects[0], 1);
	EXPECT_IS(kind->open(NAME, 0, 0, 0, &more), -EUSERS);
	EXPECT(!more);
	EXPECT_IS(kind->wake(objects[MANY - 2]), 0);
	contract_await(waiter);
	EXPECT_IS(kind->open(NAME, 0, 0, 0, &more), 0);
	REQUIRE(more);
	EXPECT_IS(kind->use(more), 0);
	EXPECT_IS(kind->use(objects[0]), 0);
	kind->expect_sound(more);
	expect_participants(more, MANY);
	kind->close(more);
	for (uint32_t i = 0; i < MANY - 1; i++)
		kind->close(objects[i]);
	EXPECT_IS(kind->remove(NAME), 0);
}

/* Semaphores and onces: of the others nothing is counted otherwise. */
static void test_many(void)
{
	struct rlimit files = {.rlim_cur = 4 * MANY, .rlim_max = 4 * MANY}, had;

	REQUIRE(getrlimit(RLIMIT_NOFILE, &had) == 0);
	if (had.rlim_cur < files.rlim_cur) {
		files.rlim_max = had.rlim_max > files.rlim_max ? had.rlim_max : files.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &files) != 0)
			contract_skip("not enough descriptors are to be had");
	}
	kind = &alike_kinds[0];
	many_of_kind();
	kind = &alike_kinds[ALIKE_KINDS - 1];
	many_of_kind();
}

/* Programs that are replaced. */

static uint32_t *acquired;

static void exec_with_it(void *context)
{
	struct tenon_semaphore *semaphore = open_it();

	(void)context;
	EXPECT_IS(tenon_semaphore_acquire(semaphore, 2, UNDO, 0), 0);
	__atomic_store_n(acquired, 1, __ATOMIC_RELEASE);
	execl("/bin/sleep", "sleep", "100", (char *)NULL);
	_exit(1);
}

/* What it had comes back at once, while the new program runs. */
static void test_exec(void)
{
	struct tenon_semaphore *semaphore;
	pid_t child;

	acquired = contract_share(sizeof(*acquired));
	kind = &alike_kinds[0];
	semaphore = make();
	EXPECT_IS(tenon_semaphore_release(semaphore, 2, 0, NULL), 0);
	child = contract_start(exec_with_it, NULL);
	while (!__atomic_load_n(acquired, __ATOMIC_ACQUIRE))
		sched_yield();
	EXPECT_IS(tenon_semaphore_acquire(semaphore, 3, 0, tenon_deadline_after(LIMIT_NS)), 0);
	contract_kill(child);
	EXPECT_IS(tenon_semaphore_try(semaphore, 1, 0), -EAGAIN);
	expect_participants(semaphore, 1);
	remove_it(semaphore);
}

/* Processes that stop. */

#define DEADLINE_NS (SECOND_NS / 20)
#define LATE_NS (30 * SECOND_NS)
#define MARGIN_NS (SECOND_NS / 100)
#define STOPS 5u

static uint32_t stopped_in_time, *late;
static int64_t *woken_ns; /* when; 0: not yet */
static bool *is_missed, *is_over;

static void wait_for_ever(void *context)
{
	(void)context;
	kind->wait(open_it(), TENON_NO_DEADLINE);
	_exit(0);
}

/* It has what the stopped one was woken for, at the latest when its time is up, if that one has not taken it; a lock's
 * known fault is that it need not. */
static void wait_until_deadline(void *context)
{
	int64_t begin_ns = tenon_deadline_after(0), took_ns;
	int result = kind->wait(open_it(), begin_ns + DEADLINE_NS);
	bool is_early;

	(void)context;
	took_ns = tenon_deadline_after(0) - begin_ns;
	EXPECT(took_ns < DEADLINE_NS + LATE_NS);
	*late = took_ns >= DEADLINE_NS;
	is_early = *woken_ns != 0 && *woken_ns < begin_ns + DEADLINE_NS - MARGIN_NS;
	EXPECT(result == 0 || result == -ETIMEDOUT);
	*is_missed = result != 0 && is_early && strcmp(kind->name, "once") != 0;
	__atomic_store_n(is_over, true, __ATOMIC_RELEASE);
}

/* On a busy machine the second one's time may be up before anybody has seen both wait. */
static void await_both(void *object)
{
	uint32_t participants, waiting = 0;

	while (waiting < 2 && !__atomic_load_n(is_over, __ATOMIC_ACQUIRE)) {
		EXPECT_IS(kind->look(object, &participants, &waiting), 0);
		sched_yield();
	}
}

/* A sleeper that is stopped leaves the queue; one that was woken on this very processor has not got to do anything
 * before it is stopped, as a rule. */
static void stop_when_woken(void)
{
	void *object = make();
	pid_t stopped, other;
	siginfo_t info;

	if (kind->bar)
		EXPECT_IS(kind->bar(object), 0);
	stopped = contract_start(wait_for_ever, NULL);
	await_waiting(object, 1);
	*late = 0;
	*woken_ns = 0;
	*is_missed = *is_over = false;
	other = contract_start(wait_until_deadline, NULL);
	await_both(object);
	EXPECT_IS(kind->wake(object), 0);
	kill(stopped, SIGSTOP);
	*woken_ns = tenon_deadline_after(0);
	/* Where it has got so far as to have a condition's lock, which the other one needs at the end. */
	EXPECT(waitid(P_PID, (id_t)stopped, &info, WSTOPPED | WEXITED | WNOWAIT) == 0);
	if (alike_guard_owner() == stopped)
		kill(stopped, SIGCONT);
	contract_await(other);
	stopped_in_time += *late;
	if (*is_missed)
		EXPECT(kind->wait(object, 0) != 0);
	contract_kill(stopped);
	kind->expect_sound(object);
	remove_it(object);
}

/* Of a barrier for two there is nobody else to wait. */
static void stop_some(void)
{
	for (uint32_t i = 0; i < STOPS && strcmp(kind->name, "barrier") != 0; i++)
		stop_when_woken();
}

static void test_stopped(void)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	REQUIRE(sched_setaffinity(0, sizeof(one), &one) == 0);
	late = contract_share(sizeof(*late));
	woken_ns = contract_share(sizeof(*woken_ns));
	is_missed = contract_share(sizeof(*is_missed));
	is_over = contract_share(sizeof(*is_over));
	for_each_kind(stop_some);
	printf("# %u of %u were stopped in time\n", stopped_in_time, 4 * STOPS);
}

int main(void)
{
	static const struct contract_case cases[] = {
		{"on a full file system, with each number of pages left", test_full, NULL},
		{"two users, and the modes 0600 and 0660", test_users, NULL},
		{"children with inherited handles, killed at any moment", test_fork_storm, NULL},
		{"handles closed and names removed while others wait", test_gone, NULL},
		{"1024 processes, and one more", test_many, NULL},
		{"what a replaced program had comes back", test_exec, NULL},
		{"one that stops just when it was woken", test_stopped, NULL},
	};

	return contract_main(cases, sizeof(cases) / sizeof(cases[0]));
}
