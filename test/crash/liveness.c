/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Nobody alive is evicted, and everybody dead is: a stopped process keeps its lease; a zombie's is
 * given to another, though its parent never reaps it; a process that has the pid of a dead one is
 * not taken for it.
 */

#include <errno.h>
#include <linux/futex.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tenon/queue.h>

#include "folder.h"

#define SKIPPED 77
#define NAME "/liveness"
#define SECOND_NS INT64_C(1000000000)

static char folder[FOLDER_BYTES];
static struct tenon_queue *queue;
static int failures;

#define EXPECT(condition)                                                           \
	do {                                                                        \
		if (!(condition)) {                                                 \
			printf("FAIL %s:%d: %s\n", __func__, __LINE__, #condition); \
			failures++;                                                 \
		}                                                                   \
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
		printf("FAIL: the queue cannot be made\n");
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

int main(void)
{
	bool all = true;

	if (folder_make(folder) != 0) {
		perror("/dev/shm");
		return EXIT_FAILURE;
	}
	stopped_keeps_its_lease();
	zombie_loses_its_lease();
	sleeper_is_told_of_a_zombie();
	if (!pid_reuse_fools_nobody()) {
		printf("skipped: pid reuse (this process may not choose the pid of a child)\n");
		all = false;
	}
	if (folder_remove(folder) != 0) {
		printf("FAIL: files were left in the namespace\n");
		failures++;
	}
	if (failures)
		return EXIT_FAILURE;
	return all ? EXIT_SUCCESS : SKIPPED;
}
