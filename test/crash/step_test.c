/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Shows that the stepping harness finds what it is there to find, on a toy: a ring in shared memory
 * with one sender and one sleeping receiver.  Its right version has to pass at every instruction,
 * each of its wrong versions has to be caught.
 */

#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "step.h"

#define SKIPPED 77
#define RING_SLOTS 4
#define MESSAGE_WORDS 16
#define STEPS_LIMIT 100000
#define PATIENCE_NS INT64_C(5000000000)
#define FAULTY_PATIENCE_NS INT64_C(50000000)

enum fault { FAULT_NONE, FAULT_PUBLISH_BEFORE_WRITE, FAULT_NO_WAKE, FAULT_NO_PENDING, FAULTS };

static const char *const fault_names[FAULTS] = {"right", "publish before write", "no wake",
						"wake without the kernel's help"};

struct ring {
	_Atomic uint32_t gate; /* FUTEX_WAITERS: the receiver sleeps.  Never an owner. */
	_Atomic uint32_t sent;
	_Atomic uint32_t got; /* the receiver's: messages, whole or torn */
	_Atomic uint32_t torn;
	uint64_t slot[RING_SLOTS][MESSAGE_WORDS];
};

static struct ring *ring;
static enum fault fault;	/* of this process */
static enum fault victim_fault; /* of the victims: survivors make no mistakes */

static struct robust_list_head *robust_head(void)
{
	struct robust_list_head *head = NULL;
	size_t bytes;

	syscall(SYS_get_robust_list, 0, &head, &bytes);
	return head;
}

static void ring_write(uint32_t number)
{
	volatile uint64_t *words = ring->slot[number % RING_SLOTS];

	for (uint32_t i = 0; i < MESSAGE_WORDS; i++)
		words[i] = number + 1 + i;
}

static void ring_send(void)
{
	struct robust_list_head *head = robust_head();
	uint32_t number = atomic_load(&ring->sent);

	if (fault != FAULT_NO_WAKE && fault != FAULT_NO_PENDING)
		head->list_op_pending = (struct robust_list *)((char *)&ring->gate -
							       head->futex_offset);
	__asm__ volatile("" ::: "memory");
	if (fault == FAULT_PUBLISH_BEFORE_WRITE)
		atomic_store(&ring->sent, number + 1);
	ring_write(number);
	if (fault != FAULT_PUBLISH_BEFORE_WRITE)
		atomic_store(&ring->sent, number + 1);
	if (atomic_exchange(&ring->gate, 0) != 0 && fault != FAULT_NO_WAKE)
		syscall(SYS_futex, &ring->gate, FUTEX_WAKE, 1, NULL, NULL, 0);
	__asm__ volatile("" ::: "memory");
	head->list_op_pending = NULL;
}

static void ring_receive(uint32_t number)
{
	while (atomic_load(&ring->sent) == number) {
		atomic_store(&ring->gate, FUTEX_WAITERS);
		if (atomic_load(&ring->sent) == number)
			syscall(SYS_futex, &ring->gate, FUTEX_WAIT, FUTEX_WAITERS, NULL, NULL, 0);
	}
	for (uint32_t i = 0; i < MESSAGE_WORDS; i++)
		if (ring->slot[number % RING_SLOTS][i] != number + 1 + i)
			atomic_store(&ring->torn, 1);
	atomic_fetch_add(&ring->got, 1);
}

static int victim_prepare(void *context)
{
	(void)context;
	fault = victim_fault;
	return 0;
}

static void victim_operate(void *context)
{
	(void)context;
	ring_send();
}

static pid_t start_receiver(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		ring_receive(0);
		_exit(0);
	}
	while (!step_is_asleep(pid, NULL) && atomic_load(&ring->gate) == 0)
		sched_yield();
	while (!step_is_asleep(pid, NULL))
		sched_yield();
	return pid;
}

/* Waits until the receiver has its message, or sleeps rightly for lack of one. */
static const char *settle(pid_t receiver, int64_t patience_ns)
{
	int64_t deadline_ns = step_now_ns() + patience_ns;

	while (atomic_load(&ring->got) == 0) {
		bool asleep = step_is_asleep(receiver, NULL);

		if (asleep && atomic_load(&ring->sent) == 0)
			return NULL;
		if (step_now_ns() > deadline_ns)
			return "the receiver sleeps though a message is there";
		sched_yield();
	}
	return atomic_load(&ring->torn) ? "a torn message" : NULL;
}

/* One victim, killed behind `steps` instructions. */
static const char *try_at(const struct step_plan *plan, const struct step_trace *trace,
			  uint64_t steps, bool *ret_finished)
{
	int64_t patience_ns = victim_fault ? FAULTY_PATIENCE_NS : PATIENCE_NS;
	struct step_victim victim;
	const char *why = NULL;
	enum step_end end;
	pid_t receiver;

	memset(ring, 0, sizeof(*ring));
	receiver = start_receiver();
	if (step_start(&victim, plan) != 0)
		why = "the victim could not start";
	end = why ? STEP_CRASHED : step_jump(&victim, trace, steps);
	if (!why && (end == STEP_CRASHED || end == STEP_HANGS))
		why = "the victim came to an end of its own";
	if (!why && end == STEP_STOPPED && steps < trace->count &&
	    victim.address != trace->address[steps])
		why = "the jump went astray";
	*ret_finished = end == STEP_FINISHED;
	step_kill(&victim);
	if (!why)
		why = settle(receiver, patience_ns);
	if (!why && atomic_load(&ring->sent) == 0) {
		ring_send();
		why = settle(receiver, patience_ns);
	}
	if (!why && atomic_load(&ring->got) != 1)
		why = "not delivered exactly once";
	kill(receiver, SIGKILL);
	waitpid(receiver, NULL, 0);
	return why;
}

/* All instructions of one version; answers how many of them were found wrong. */
static int sweep(enum fault which)
{
	struct step_plan plan = {
		.prepare = victim_prepare, .operate = victim_operate, .patience_ns = PATIENCE_NS};
	struct step_victim victim;
	struct step_trace trace = {0};
	bool finished = false;
	uint64_t points = 0;
	int found = 0;

	victim_fault = which;
	memset(ring, 0, sizeof(*ring));
	if (step_start(&victim, &plan) != 0 ||
	    step_record(&victim, &trace, STEPS_LIMIT) != STEP_FINISHED)
		return -1;
	step_kill(&victim);
	for (uint64_t steps = 1; !finished && steps < STEPS_LIMIT; steps++, points++) {
		const char *why = try_at(&plan, &trace, steps, &finished);
		char place[400];

		if (!why || found++ > 0)
			continue;
		step_describe(trace.address[steps < trace.count ? steps : trace.count - 1], place,
			      sizeof(place));
		printf("%s: killed before instruction %llu, %s: %s\n", fault_names[which],
		       (unsigned long long)steps, place, why);
	}
	printf("%s: %llu kill points, %d caught\n", fault_names[which], (unsigned long long)points,
	       found);
	step_trace_free(&trace);
	return found;
}

int main(int count, char **arguments)
{
	cpu_set_t one;
	const char *obstacle;
	int failures = 0;

	(void)count;
	step_restart(arguments);
	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	sched_setaffinity(0, sizeof(one), &one);
	obstacle = step_obstacle();
	if (obstacle) {
		printf("skipped: %s\n", obstacle);
		return SKIPPED;
	}
	ring = mmap(NULL, sizeof(*ring), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (ring == MAP_FAILED)
		return EXIT_FAILURE;
	for (int which = FAULT_NONE; which < FAULTS; which++) {
		int found = sweep(which);

		if (which == FAULT_NONE ? found != 0 : found <= 0) {
			printf("FAIL: %s\n", fault_names[which]);
			failures++;
		}
	}
	return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
