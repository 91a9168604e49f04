/* SPDX-License-Identifier: Apache-2.0 */

/* Children of a requirement, and seeing that one of them, or a thread, is asleep. */

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "conform.h"

/* How often in a row a thread has to be seen asleep in the same call. */
#define SAME_SEEN 3

static void become(uid_t user)
{
	REQUIRE(setgroups(0, NULL) == 0);
	REQUIRE(setresgid(user, user, user) == 0 && setresuid(user, user, user) == 0);
}

static pid_t start(uid_t user, void (*run)(void *context), void *context)
{
	pid_t child = fork();

	if (child == 0) {
		if (user != geteuid())
			become(user);
		/* Here, since it is forgotten with a change of the user. */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		run(context);
		_exit(0);
	}
	REQUIRE(child > 0);
	return child;
}

pid_t conform_start(void (*run)(void *context), void *context)
{
	return start(geteuid(), run, context);
}

pid_t conform_start_as(uid_t user, void (*run)(void *context), void *context)
{
	if (geteuid() != 0)
		conform_skip("only root can be several users");
	return start(user, run, context);
}

int conform_status(pid_t child)
{
	int status = 0;
	pid_t ended;

	/* A requirement may have handlers, and its child may send signals. */
	do
		ended = waitpid(child, &status, 0);
	while (ended < 0 && errno == EINTR);
	EXPECT(ended == child);
	return status;
}

void conform_await(pid_t child)
{
	EXPECT_IS(conform_status(child), 0);
}

void conform_kill(pid_t child)
{
	kill(child, SIGKILL);
	(void)conform_status(child);
}

void conform_act(void (*run)(void *context), void *context)
{
	conform_await(conform_start(run, context));
}

void conform_act_as(uid_t user, void (*run)(void *context), void *context)
{
	conform_await(conform_start_as(user, run, context));
}

static bool read_text(const char *path, char *text, size_t bytes)
{
	int file = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got;

	if (file < 0)
		return false;
	got = read(file, text, bytes - 1);
	(void)syscall(SYS_close, file);
	text[got > 0 ? got : 0] = '\0';
	return got > 0;
}

/* The calls in which one waits for what somebody else does. */
static bool is_waiting_call(long number)
{
	static const long calls[] = {
#ifdef SYS_poll
		SYS_poll,	  SYS_select,	       SYS_epoll_wait,
#endif
		SYS_mq_timedsend, SYS_mq_timedreceive, SYS_futex,	SYS_futex_waitv,
		SYS_ppoll,	  SYS_pselect6,	       SYS_epoll_pwait, SYS_msgsnd,
		SYS_msgrcv,	  SYS_semop,	       SYS_semtimedop,
	};

	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		if (calls[i] == number)
			return true;
	}
	return false;
}

enum state { RUNS, BLOCKED, ENDED };

/* With the text of /proc that says in what a thread waits. */
static enum state look(pid_t process, pid_t thread, char *text, size_t bytes)
{
	char path[64], *end;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", process, thread);
	if (!read_text(path, text, bytes))
		return RUNS;
	end = strrchr(text, ')');
	if (end && strncmp(end, ") Z", 3) == 0)
		return ENDED;
	if (!end || strncmp(end, ") S", 3) != 0)
		return RUNS;
	snprintf(path, sizeof(path), "/proc/%d/task/%d/syscall", process, thread);
	/* Where the kernel does not tell, sleeping has to do. */
	if (!read_text(path, text, bytes))
		return BLOCKED;
	return is_waiting_call(strtol(text, &end, 10)) && end != text ? BLOCKED : RUNS;
}

/* False: it has ended. */
static bool is_blocked_at_last(pid_t process, pid_t thread)
{
	char before[256] = "", now[256];
	int seen = 0;

	while (seen < SAME_SEEN) {
		enum state state = look(process, thread, now, sizeof(now));

		if (state == ENDED)
			return false;
		if (state == RUNS)
			seen = 0;
		else if (strcmp(before, now) != 0)
			seen = 1;
		else
			seen++;
		memcpy(before, now, sizeof(before));
		sched_yield();
	}
	return true;
}

void conform_await_blocked(pid_t process, pid_t thread)
{
	if (is_blocked_at_last(process, thread ? thread : process))
		return;
	conform_fail(__FILE__, __LINE__, "who was to be blocked has ended", process);
	conform_give_up();
}

bool conform_await_blocked_or_ended(pid_t child)
{
	return is_blocked_at_last(child, child);
}

int conform_await_word(const int *word)
{
	int value;

	while ((value = __atomic_load_n(word, __ATOMIC_ACQUIRE)) == 0)
		sched_yield();
	return value;
}

void conform_set_word(int *word, int value)
{
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
}
