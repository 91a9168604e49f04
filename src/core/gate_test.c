/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Shows what the gates build on: that the kernel wakes a sleeper on a word when the process dies that
 * has the word as its pending robust operation, in each of the three ways to die, also one that
 * sleeps with futex_waitv(2), and that without the pending entry it stays asleep; and that a gate
 * excludes, tells of its owner's death, and refuses its own thread.
 */

#include "core/gate.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "core/clock.h"
#include "core/test.h"

#define HELD 0
#define RELEASED 1
#define NEVER_HELD 2
#define NOT_PENDING 3

struct shared {
	struct tni_gate gate[2];
	struct tni_waitroom room;
	struct tni_a64 counter;
};

static struct shared *shared;
static struct tni_gatehouse house;

static bool never_gone(struct tni_object *object, uint32_t tid, uint32_t holder)
{
	(void)object;
	(void)tid;
	(void)holder;
	return false;
}

static bool never_doubtful(struct tni_object *object, uint32_t participant)
{
	(void)object;
	(void)participant;
	return false;
}

static bool always_own(struct tni_object *object, uint32_t participant)
{
	(void)object;
	(void)participant;
	return true;
}

static void reset(void)
{
	memset((void *)shared, 0, sizeof(*shared));
	house = (struct tni_gatehouse){.gate = {&shared->gate[0], &shared->gate[1]},
				       .gates = TNI_GATES,
				       .waitroom = &shared->room,
				       .top = 64,
				       .is_gone = never_gone,
				       .is_doubtful = never_doubtful,
				       .is_own = always_own};
}

/* Waits until a process sleeps in the kernel. */
static void await_asleep(pid_t pid)
{
	char path[64], line[512];

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	for (;;) {
		FILE *file = fopen(path, "r");
		const char *state = NULL;

		if (file) {
			if (fgets(line, sizeof(line), file))
				state = strrchr(line, ')');
			fclose(file);
		}
		/* Or its time was up, and it has ended. */
		if (state && (state[2] == 'S' || state[2] == 'Z'))
			return;
		sched_yield();
	}
}

static void die(int how)
{
	struct tni_thread *self = tni_thread_self();
	struct tni_a64 *word = &shared->gate[0].word;

	if (how != NOT_PENDING)
		tni_pending_set(self, word);
	if (how != NEVER_HELD)
		tni_set64(word, tni_get64(word) | self->tid | TNI_GATE_WAITERS);
	if (how != HELD)
		tni_set64(word, 0);
	raise(SIGKILL);
}

/* A sleeper whose word is as a dying owner's will be at that moment must be woken. */
static void test_death_wakes(int how)
{
	struct tni_sleep sleep;
	pid_t sleeper, victim;
	int status;

	reset();
	sleeper = fork();
	if (sleeper == 0) {
		int64_t deadline = tni_clock_ns(CLOCK_MONOTONIC) +
				   (how == NOT_PENDING ? TNI_SECOND_NS / 5 : 20 * TNI_SECOND_NS);

		tni_sleep_begin(&house, TNI_CLASS_BIT(TNI_CLASS_MESSAGE), &sleep);
		tni_sleep_announce(&house, &sleep);
		/* The word may change only after the kernel has compared it. */
		_exit(tni_sleep_wait(&house, &sleep, deadline) >= 0 ? 0 : 1);
	}
	await_asleep(sleeper);
	victim = fork();
	if (victim == 0)
		die(how);
	REQUIRE(waitpid(victim, &status, 0) == victim && WIFSIGNALED(status));
	REQUIRE(waitpid(sleeper, &status, 0) == sleeper && WIFEXITED(status));
	REQUIRE((WEXITSTATUS(status) == 0) == (how != NOT_PENDING));
	REQUIRE(tni_gate_is_orphaned(&shared->gate[0]) == (how == HELD));
}

static void plan_none(void *context, uint64_t flags, struct tni_wakes *ret_wakes)
{
	(void)context;
	(void)flags;
	(void)ret_wakes;
}

static void *count(void *unused)
{
	struct tni_thread *self = tni_thread_self();

	(void)unused;
	for (int i = 0; i < 20000; i++) {
		REQUIRE(tni_gate_lock(&house, 0, self, NULL, INT64_MAX) == 0);
		tni_set64(&shared->counter, tni_get64(&shared->counter) + 1);
		tni_gate_unlock(&house, 0, plan_none, NULL);
		tni_pending_put(self, NULL);
	}
	return NULL;
}

static void test_excludes(void)
{
	pthread_t thread[4];

	reset();
	for (int i = 0; i < 4; i++)
		REQUIRE(pthread_create(&thread[i], NULL, count, NULL) == 0);
	for (int i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
	REQUIRE(tni_get64(&shared->counter) == 80000);
}

static void test_owner_death_is_told(void)
{
	struct tni_thread *self;
	pid_t victim;
	int status;

	reset();
	victim = fork();
	if (victim == 0) {
		REQUIRE(tni_gate_lock(&house, 1, tni_thread_self(), NULL, INT64_MAX) == 0);
		raise(SIGKILL);
	}
	REQUIRE(waitpid(victim, &status, 0) == victim);
	self = tni_thread_self();
	REQUIRE(tni_gate_is_orphaned(&shared->gate[1]));
	REQUIRE(tni_gate_lock(&house, 1, self, NULL, INT64_MAX) == TNI_OWNER_DIED);
	REQUIRE(!tni_gate_is_orphaned(&shared->gate[1]));
	/* As a signal handler would that interrupts the owner. */
	REQUIRE(tni_gate_lock(&house, 1, self, tni_pending_get(self), INT64_MAX) == -EDEADLK);
	tni_gate_unlock(&house, 1, plan_none, NULL);
	tni_pending_put(self, NULL);
	REQUIRE(tni_gate_lock(&house, 1, self, NULL, INT64_MAX) == 0);
	tni_gate_unlock(&house, 1, plan_none, NULL);
	tni_pending_put(self, NULL);
}

int main(void)
{
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	REQUIRE(shared != MAP_FAILED);
	if (syscall(449, NULL, 0, 0, NULL, 0) < 0 && errno == ENOSYS) {
		printf("this kernel has no futex_waitv(2)\n");
		return 77;
	}
	for (int how = HELD; how <= NOT_PENDING; how++)
		test_death_wakes(how);
	test_excludes();
	test_owner_death_is_told();
	return 0;
}
