/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Nobody alive is evicted, and everybody dead is: a stopped process keeps its lease; a zombie's is
 * given to another, though its parent never reaps it; a process that has the pid of a dead one is
 * not taken for it; and one that is slow in the middle of a call is waited for, at whatever
 * instruction, and comes to its end.
 *
 * TAP: a case that cannot be had on a machine is skipped alone.
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tenon/queue.h>

#include "folder.h"
#include "step.h"

#define NAME "/liveness"
#define SECOND_NS INT64_C(1000000000)

static char folder[FOLDER_BYTES];
static struct tenon_queue *queue;
static int failures;

#define EXPECT(condition)                                                        \
	do {                                                                     \
		if (!(condition)) {                                              \
			printf("# %s:%d: %s\n", __func__, __LINE__, #condition); \
			failures++;                                              \
		}                                                                \
	} while (0)

/* A child and the two pipes to talk to it: it says one byte when it has its lease, and goes on when
 * it is told one. */
struct holder {
	pid_t pid;
	int said, told;
};

static void hold(int say, int told, const char *name)
{
	struct tenon_queue *own;
	struct tenon_lease lease;
	char byte = 'l';
	int result;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (tenon_queue_open(folder, name, 0, NULL, &own) != 0 ||
	    tenon_queue_take(own, NULL, &lease) != 0)
		_exit(1);
	if (write(say, &byte, 1) != 1 || read(told, &byte, 1) != 1)
		_exit(2);
	result = tenon_queue_done(own, &lease);
	own = tenon_queue_close(own);
	_exit(result == 0 ? 0 : 3);
}

/* Answers -1 where the pid cannot be chosen. */
static pid_t fork_as(pid_t wanted_pid)
{
	struct clone_args arguments = {
		.exit_signal = SIGCHLD, .set_tid = (uintptr_t)&wanted_pid, .set_tid_size = 1};

	struct robust_list_head *head = NULL;
	size_t head_bytes = 0;
	pid_t pid;

	/* libc does not know of this fork: what it would do for the child's first thread is done
	 * here. */
	syscall(SYS_get_robust_list, 0, &head, &head_bytes);
	pid = (pid_t)syscall(SYS_clone3, &arguments, sizeof(arguments));
	if (pid == 0)
		syscall(SYS_set_robust_list, head, head_bytes);
	return pid;
}

static struct holder start_holder(const char *name)
{
	struct holder holder;
	int say[2], tell[2];
	char byte;

	if (pipe(say) != 0 || pipe(tell) != 0)
		exit(EXIT_FAILURE);
	holder.pid = fork();
	if (holder.pid == 0)
		hold(say[1], tell[0], name);
	close(say[1]);
	close(tell[0]);
	holder.said = say[0];
	holder.told = tell[1];
	EXPECT(read(holder.said, &byte, 1) == 1);
	return holder;
}

static void forget_holder(struct holder *holder)
{
	close(holder->said);
	close(holder->told);
}

static void make_queue(void)
{
	queue = NULL;
	if (tenon_queue_open(folder, NAME, TENON_QUEUE_CREATE | TENON_QUEUE_EXCLUSIVE, NULL,
			     &queue) != 0) {
		printf("Bail out! The queue cannot be made\n");
		exit(EXIT_FAILURE);
	}
	EXPECT(tenon_queue_send(queue, "message", 7, NULL) == 0);
}

static void remove_queue(void)
{
	char text[200] = "";

	EXPECT(tenon_queue_check(queue, text, sizeof(text)) == 0);
	queue = tenon_queue_close(queue);
	EXPECT(tenon_queue_remove(folder, NAME) == 0);
}

static int receive_within(int64_t timeout_ns, struct tenon_message *ret_message)
{
	struct tenon_receive_options options = {.size = sizeof(options),
						.deadline_ns = tenon_deadline_after(timeout_ns)};
	char buffer[8192];

	return tenon_queue_receive(queue, buffer, sizeof(buffer), &options, ret_message);
}

/* A stopped process is slow, not dead. */
static void stopped_keeps_its_lease(void)
{
	struct tenon_message message;
	struct holder holder;
	uint32_t freed = 1;
	siginfo_t info;
	int status;

	make_queue();
	holder = start_holder(NAME);
	kill(holder.pid, SIGSTOP);
	EXPECT(waitid(P_PID, (id_t)holder.pid, &info, WSTOPPED) == 0);
	EXPECT(tenon_queue_recover(queue, &freed) == 0 && freed == 0);
	/* Longer than a sleeper takes to find a dead lease holder. */
	EXPECT(receive_within(SECOND_NS / 2, &message) == -ETIMEDOUT);
	kill(holder.pid, SIGCONT);
	EXPECT(write(holder.told, "g", 1) == 1);
	EXPECT(waitpid(holder.pid, &status, 0) == holder.pid && status == 0);
	EXPECT(receive_within(0, &message) == -ETIMEDOUT);
	forget_holder(&holder);
	remove_queue();
}

/* A zombie is dead, even if its parent never reaps it. */
static void zombie_loses_its_lease(void)
{
	struct tenon_message message = {0};
	struct holder holder;
	siginfo_t info;

	make_queue();
	holder = start_holder(NAME);
	kill(holder.pid, SIGKILL);
	EXPECT(waitid(P_PID, (id_t)holder.pid, &info, WEXITED | WNOWAIT) == 0);
	EXPECT(receive_within(5 * SECOND_NS, &message) == 0);
	EXPECT(message.bytes == 7 && message.deliveries == 1);
	EXPECT(waitpid(holder.pid, NULL, 0) == holder.pid);
	forget_holder(&holder);
	remove_queue();
}

/* Somebody sleeps in receive while the holder dies, and is told. */
static void sleeper_is_told_of_a_zombie(void)
{
	struct tenon_message message = {0};
	struct holder holder;
	pid_t killer;
	int status;

	make_queue();
	holder = start_holder(NAME);
	killer = fork();
	if (killer == 0) {
		struct tenon_queue_status seen = {.size = sizeof(seen)};
		struct tenon_queue *own;

		if (tenon_queue_open(folder, NAME, 0, NULL, &own) != 0)
			_exit(1);
		do {
			if (tenon_queue_status(own, &seen) != 0)
				_exit(2);
		} while (seen.receivers_waiting == 0);
		kill(holder.pid, SIGKILL);
		_exit(0);
	}
	EXPECT(receive_within(5 * SECOND_NS, &message) == 0);
	EXPECT(message.bytes == 7 && message.deliveries == 1);
	EXPECT(waitpid(killer, &status, 0) == killer && status == 0);
	waitpid(holder.pid, NULL, 0);
	forget_holder(&holder);
	remove_queue();
}

/*
 * A stranger with the pid of a dead lease holder does not keep the lease alive, and when it attaches
 * itself, clearing up after the dead one does not touch it.  Answers false where pids cannot be
 * chosen.
 */
static bool pid_reuse_fools_nobody(void)
{
	struct tenon_message message = {0};
	struct holder holder;
	pid_t again;
	int say[2], tell[2], status;
	char byte;

	make_queue();
	EXPECT(tenon_queue_send(queue, "another", 7, NULL) == 0);
	holder = start_holder(NAME);
	kill(holder.pid, SIGKILL);
	waitpid(holder.pid, NULL, 0);
	if (pipe(say) != 0 || pipe(tell) != 0)
		exit(EXIT_FAILURE);
	again = fork_as(holder.pid);
	if (again == 0)
		hold(say[1], tell[0], NAME);
	if (again == holder.pid) {
		uint32_t freed = 0;

		/* It holds a lease of its own now, under the dead one's pid. */
		EXPECT(read(say[0], &byte, 1) == 1);
		EXPECT(tenon_queue_recover(queue, &freed) == 0);
		EXPECT(receive_within(5 * SECOND_NS, &message) == 0);
		EXPECT(receive_within(SECOND_NS / 4, &message) == -ETIMEDOUT);
		EXPECT(write(tell[1], "g", 1) == 1);
		EXPECT(waitpid(again, &status, 0) == again && status == 0);
		EXPECT(receive_within(0, &message) == -ETIMEDOUT);
	}
	for (int i = 0; i < 2; i++) {
		close(say[i]);
		close(tell[i]);
	}
	forget_holder(&holder);
	remove_queue();
	return again == holder.pid;
}

/* Being somebody else's user there, a process may choose pids in a pid namespace of its own. */
static bool enter_namespaces(void)
{
	char path[] = "/proc/self/uid_map", map[40];
	unsigned user = (unsigned)geteuid();
	int fd, bytes;

	if (unshare(CLONE_NEWUSER | CLONE_NEWPID) != 0)
		return false;
	fd = open(path, O_WRONLY | O_CLOEXEC);
	bytes = snprintf(map, sizeof(map), "%u %u 1", user, user);
	if (fd < 0 || write(fd, map, (size_t)bytes) != bytes)
		return false;
	return close(fd) == 0;
}

/* The exit status of a process that tries it in namespaces of its own: 0 well, 1 not, 2 not to be had. */
static int pid_reuse_in_namespaces(void)
{
	int status;
	pid_t pid;

	if (!enter_namespaces())
		return 2;
	pid = fork();
	if (pid == 0) {
		bool had = pid_reuse_fools_nobody();

		fflush(stdout);
		_exit(failures ? 1 : had ? 0 : 2);
	}
	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static const char *pid_reuse(void)
{
	int status;
	pid_t pid;

	if (pid_reuse_fools_nobody())
		return NULL;
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		status = pid_reuse_in_namespaces();
		fflush(stdout);
		_exit(status);
	}
	EXPECT(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
	if (WEXITSTATUS(status) == 2)
		return "this process may not choose the pid of a child";
	EXPECT(WEXITSTATUS(status) == 0);
	return NULL;
}

/*
 * Slow in the middle of a call.  Whoever sleeps at a lock looks after a second whether its owner is
 * alive: that must have passed.
 */
#define SLOW_NS (SECOND_NS + SECOND_NS / 2)
#define SLOW_PLACES 6u

enum slow_call { SLOW_SEND, SLOW_RECEIVE, SLOW_DONE, SLOW_CALLS };

static struct slow {
	enum slow_call call;
	char name[24];
	struct tenon_queue *queue;
	struct tenon_lease lease;
	_Atomic int *result; /* shared */
} slow;

static int slow_prepare(void *context)
{
	int result = tenon_queue_open(folder, slow.name, 0, NULL, &slow.queue);

	(void)context;
	if (result == 0 && slow.call == SLOW_DONE)
		result = tenon_queue_take(slow.queue, NULL, &slow.lease);
	return result;
}

static void slow_operate(void *context)
{
	static char buffer[8192];
	int result;

	(void)context;
	if (slow.call == SLOW_SEND)
		result = tenon_queue_send(slow.queue, "slow", 4, NULL);
	else if (slow.call == SLOW_RECEIVE)
		result = tenon_queue_receive(slow.queue, buffer, sizeof(buffer), NULL, NULL);
	else
		result = tenon_queue_done(slow.queue, &slow.lease);
	atomic_store(slow.result, result);
}

static const struct step_plan slow_plan = {
	.prepare = slow_prepare, .operate = slow_operate, .patience_ns = 5 * SECOND_NS};

/* Makes the queue, with two messages in it, and the slow process at its marker. */
static bool slow_start(enum slow_call call, uint32_t place, struct step_victim *ret_victim)
{
	slow.call = call;
	snprintf(slow.name, sizeof(slow.name), "/slow-%u-%u", (unsigned)call, place);
	slow.result = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (slow.result == MAP_FAILED ||
	    tenon_queue_open(folder, slow.name, TENON_QUEUE_CREATE, NULL, &queue) != 0)
		return false;
	atomic_store(slow.result, 1);
	EXPECT(tenon_queue_send(queue, "first", 5, NULL) == 0);
	EXPECT(tenon_queue_send(queue, "second", 6, NULL) == 0);
	return step_start(ret_victim, &slow_plan) == 0;
}

static void slow_end(void)
{
	queue = tenon_queue_close(queue);
	EXPECT(tenon_queue_remove(folder, slow.name) == 0);
	munmap((void *)slow.result, 4096);
}

/* Sends and receives with a deadline; counts those that were in vain. */
static uint32_t slow_beside(int *messages)
{
	struct tenon_send_options options = {.size = sizeof(options),
					     .deadline_ns = tenon_deadline_after(SLOW_NS)};
	int result = tenon_queue_send(queue, "other", 5, &options);
	uint32_t timeouts = result == -ETIMEDOUT;

	EXPECT(result == 0 || result == -ETIMEDOUT);
	*messages += result == 0;
	result = receive_within(SLOW_NS, NULL);
	EXPECT(result == 0 || result == -ETIMEDOUT);
	*messages -= result == 0;
	return timeouts + (result == -ETIMEDOUT);
}

/* One who stops at an instruction, and others meanwhile.  The answer is an exit status: how many of
 * them waited in vain, or 100. */
static int slow_at(enum slow_call call, uint32_t place, uint64_t steps)
{
	struct tenon_queue_status status = {.size = sizeof(status)};
	int messages = call == SLOW_SEND ? 3 : 1;
	struct step_victim victim;
	uint32_t timeouts;

	if (!slow_start(call, place, &victim))
		return 100;
	EXPECT(step_to(&victim, steps) == STEP_STOPPED);
	timeouts = slow_beside(&messages);
	step_release(&victim);
	EXPECT(WIFEXITED(victim.status) && WEXITSTATUS(victim.status) == 0);
	EXPECT(atomic_load(slow.result) == 0);
	EXPECT(tenon_queue_status(queue, &status) == 0);
	EXPECT(status.repairs == 0);
	for (; receive_within(0, NULL) == 0; messages--)
		;
	EXPECT(messages == 0);
	slow_end();
	fflush(stdout);
	return failures ? 100 : (int)timeouts;
}

static uint64_t slow_length(enum slow_call call)
{
	struct step_victim victim;
	struct step_trace trace;

	if (!slow_start(call, SLOW_PLACES, &victim))
		return 0;
	EXPECT(step_record(&victim, &trace, 1000000) == STEP_FINISHED);
	step_kill(&victim);
	slow_end();
	step_trace_free(&trace);
	return victim.steps;
}

/* All places at once: each takes seconds of waiting. */
static const char *slow_is_waited_for(void)
{
	const char *obstacle = step_obstacle();
	pid_t pids[SLOW_CALLS * SLOW_PLACES];
	int in_vain = 0, status;

	if (obstacle)
		return obstacle;
	for (uint32_t call = 0; call < SLOW_CALLS; call++) {
		uint64_t length = slow_length(call);

		EXPECT(length > SLOW_PLACES);
		fflush(stdout);
		for (uint32_t place = 0; place < SLOW_PLACES; place++) {
			pid_t pid = fork();

			if (pid == 0)
				_exit(slow_at(call, place,
					      (place + 1) * length / (SLOW_PLACES + 1)));
			pids[call * SLOW_PLACES + place] = pid;
		}
	}
	for (uint32_t i = 0; i < SLOW_CALLS * SLOW_PLACES; i++) {
		EXPECT(waitpid(pids[i], &status, 0) == pids[i]);
		EXPECT(WIFEXITED(status) && WEXITSTATUS(status) < 100);
		in_vain += WEXITSTATUS(status);
	}
	/* Some stop with a lock held. */
	EXPECT(in_vain > 0);
	return NULL;
}

static const struct test_case {
	const char *name;
	const char *(*run)(void); /* why it cannot be had here, or NULL */
	void (*run_always)(void);
} cases[] = {
	{"a stopped process keeps its lease", NULL, stopped_keeps_its_lease},
	{"a zombie loses its lease", NULL, zombie_loses_its_lease},
	{"a sleeper is told of a zombie", NULL, sleeper_is_told_of_a_zombie},
	{"a slow process is waited for at any instruction", slow_is_waited_for, NULL},
	{"a reused pid fools nobody", pid_reuse, NULL},
};
#define CASES (sizeof(cases) / sizeof(cases[0]))

int main(void)
{
	int failed = 0;

	if (folder_make(folder) != 0) {
		perror("/dev/shm");
		return EXIT_FAILURE;
	}
	printf("TAP version 13\n1..%zu\n", CASES + 1);
	for (size_t i = 0; i < CASES; i++) {
		const char *obstacle = NULL;

		failures = 0;
		if (cases[i].run)
			obstacle = cases[i].run();
		else
			cases[i].run_always();
		printf("%sok %zu - %s%s%s\n", failures ? "not " : "", i + 1, cases[i].name,
		       obstacle && !failures ? " # SKIP " : "",
		       obstacle && !failures ? obstacle : "");
		fflush(stdout);
		failed += failures;
	}
	failures = folder_remove(folder);
	printf("%sok %zu - nothing is left in the namespace\n", failures ? "not " : "", CASES + 1);
	return failed || failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
