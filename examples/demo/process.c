/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The supervisor's children.  Signals are blocked in the supervisor and taken where it waits, so
 * that being told to end is dealt with at one place and the demo's folder is always removed.
 */

#include "demo.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CHILDREN_MAX (WORKERS_MAX + 8u)

static struct child {
	pid_t pid;
	bool group;
} children[CHILDREN_MAX];
static uint32_t child_count;
static sigset_t awaited;
static int interruption;

int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * NS_PER_S + now.tv_nsec;
}

void complain(const char *format, ...)
{
	char text[1024];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	report_live_end();
	/* One write, so that the complaints of several processes do not mix. */
	fprintf(stderr, "tenon-demo: %s\n", text);
}

void complain_error(const char *what, int error)
{
	complain("%s: %s", what, strerror(error));
}

void process_init(void)
{
	sigemptyset(&awaited);
	sigaddset(&awaited, SIGCHLD);
	sigaddset(&awaited, SIGINT);
	sigaddset(&awaited, SIGTERM);
	sigaddset(&awaited, SIGHUP);
	sigprocmask(SIG_BLOCK, &awaited, NULL);
	/* A reader of the output that goes away is noticed by the error of the write. */
	signal(SIGPIPE, SIG_IGN);
}

int interrupted_by(void)
{
	return interruption;
}

static void remember(pid_t pid, bool group)
{
	if (child_count == CHILDREN_MAX)
		abort();
	children[child_count++] = (struct child){.pid = pid, .group = group};
}

static void forget(pid_t pid)
{
	uint32_t i;

	for (i = 0; i < child_count; i++) {
		if (children[i].pid != pid)
			continue;
		children[i] = children[--child_count];
		return;
	}
}

pid_t spawn(int (*run)(const void *context), const void *context, bool group)
{
	pid_t supervisor = getpid();
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid < 0) {
		complain_error("fork", errno);
		end_children();
		return -1;
	}
	if (pid > 0) {
		if (group)
			setpgid(pid, pid);
		remember(pid, group);
		return pid;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != supervisor)
		_exit(1);
	if (group)
		setpgid(0, 0);
	/* Ctrl-C reaches the whole group of the terminal: the supervisor alone decides. */
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_DFL);
	sigprocmask(SIG_UNBLOCK, &awaited, NULL);
	_exit(run(context));
}

bool wait_event(int64_t until_ns)
{
	int64_t left = until_ns - now_ns();
	struct timespec time_out = {0};
	int signal_number;

	if (left > 0) {
		time_out.tv_sec = left / NS_PER_S;
		time_out.tv_nsec = left % NS_PER_S;
	}
	signal_number = sigtimedwait(&awaited, NULL, &time_out);
	if (signal_number > 0 && signal_number != SIGCHLD && !interruption)
		interruption = signal_number;
	if (report_failed() && !interruption)
		interruption = SIGPIPE;
	return !interruption;
}

pid_t reap(int *ret_status)
{
	pid_t pid = waitpid(-1, ret_status, WNOHANG | __WALL);

	if (pid <= 0)
		return 0;
	if (!WIFSTOPPED(*ret_status))
		forget(pid);
	return pid;
}

void end_child(pid_t pid)
{
	uint32_t i;
	int status;

	for (i = 0; i < child_count; i++)
		if (children[i].pid == pid && children[i].group)
			kill(-pid, SIGKILL);
	kill(pid, SIGKILL);
	/* A traced child may report a stop first. */
	do {
		if (waitpid(pid, &status, __WALL) < 0 && errno != EINTR)
			break;
	} while (!WIFEXITED(status) && !WIFSIGNALED(status));
	forget(pid);
}

void end_children(void)
{
	while (child_count > 0)
		end_child(children[0].pid);
}

int wait_child(pid_t pid)
{
	int status;

	for (;;) {
		if (waitpid(pid, &status, WNOHANG | __WALL) == pid) {
			forget(pid);
			return status;
		}
		if (!wait_event(now_ns() + NS_PER_S)) {
			end_child(pid);
			return -1;
		}
	}
}
