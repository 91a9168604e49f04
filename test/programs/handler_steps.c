/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A signal comes behind every instruction of mq_send and of mq_receive, one in each round, and its handler sends and
 * receives at the same queue: nothing waits for itself, nothing fails, each handler runs once, and each message is there
 * once.
 *
 *	handler_steps PRELOAD-LIBRARY
 *
 * The program starts itself with the library preloaded, and traces that.  A round begins and ends at a breakpoint of
 * the child's own; in between the parent lets it do one instruction more than in the round before.
 */

#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../crash/folder.h"

#define NAME "/handler-steps"
#define MESSAGE_BYTES 64
#define WATCHDOG_S 250

#if defined(__x86_64__)
#define BREAK() __asm__ volatile("int3" ::: "memory")
#else
#define BREAK() abort()
#endif

static mqd_t queue;
static volatile int handled, failed;
static volatile char taken;

static void on_signal(int number, siginfo_t *info, void *context)
{
	char message[MESSAGE_BYTES];
	int error = errno;

	(void)context;
	handled++;
	if (number != SIGUSR1 || info->si_value.sival_int != 77)
		failed = EINVAL;
	if (mq_send(queue, "h", 1, 0) != 0)
		failed = errno;
	if (mq_receive(queue, message, sizeof(message), NULL) != 1)
		failed = errno;
	taken = message[0];
	errno = error;
}

static void complain(const char *what, long number)
{
	fprintf(stderr, "# %s %ld\n", what, number);
	exit(1);
}

/* What is left is one of the three messages, and the others were received. */
static void check_rest(int main_took, unsigned expected)
{
	char message[MESSAGE_BYTES];
	unsigned seen = 0;

	if (main_took)
		seen += 1u << (4 * (main_took - 'f'));
	seen += 1u << (4 * (taken - 'f'));
	while (mq_receive(queue, message, sizeof(message), NULL) == 1)
		seen += 1u << (4 * (message[0] - 'f'));
	if (errno != EAGAIN)
		complain("receiving the rest failed with", errno);
	if (seen != expected)
		complain("other messages than were sent:", (long)seen);
	if (handled != 1)
		complain("so many handlers have run:", handled);
	if (failed)
		complain("a call of the handler failed with", failed);
}

/* f is sent before, g is sent or f received in the round, h by the handler. */
static void round_of(bool sends)
{
	char message[MESSAGE_BYTES] = "";
	sigset_t pending;
	ssize_t result;

	handled = 0;
	if (mq_send(queue, "f", 1, 0) != 0)
		complain("sending failed with", errno);
	BREAK();
	result = sends ? mq_send(queue, "g", 1, 0)
		       : mq_receive(queue, message, sizeof(message), NULL);
	BREAK();
	if (result != (sends ? 0 : 1))
		complain("the interrupted call failed with", errno);
	sigprocmask(SIG_BLOCK, NULL, &pending);
	if (sigismember(&pending, SIGUSR1) || sigismember(&pending, SIGTERM))
		complain("signals are blocked", 0);
	check_rest(message[0], sends ? 0x111 : 0x101);
}

static __attribute__((__noreturn__)) void be_traced(void)
{
	struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_RESTART};
	struct mq_attr attributes = {.mq_maxmsg = 8, .mq_msgsize = MESSAGE_BYTES};

	queue = mq_open(NAME, O_RDWR | O_CREAT | O_NONBLOCK, 0600, &attributes);
	if (queue < 0)
		complain("mq_open failed with", errno);
	mq_unlink(NAME);
	sigaction(SIGUSR1, &action, NULL);
	ptrace(PTRACE_TRACEME, 0, NULL, NULL);
	BREAK();
	for (;;) {
		round_of(true);
		round_of(false);
	}
}

static int wait_for(pid_t child)
{
	int status;

	if (waitpid(child, &status, 0) != child)
		return -1;
	if (!WIFSTOPPED(status)) {
		printf("# the child ended with %x\n", (unsigned)status);
		return -1;
	}
	return WSTOPSIG(status);
}

/* Goes on to the next breakpoint, and hands signals to the child. */
static bool go_on(pid_t child)
{
	int stopped = 0;

	do {
		if (ptrace(PTRACE_CONT, child, NULL, (void *)(long)stopped) != 0)
			return false;
		stopped = wait_for(child);
	} while (stopped > 0 && stopped != SIGTRAP);
	return stopped == SIGTRAP;
}

static bool send_signal(pid_t child)
{
	siginfo_t info = {.si_signo = SIGUSR1, .si_code = SI_QUEUE};

	info.si_pid = getpid();
	info.si_value.sival_int = 77;
	return syscall(SYS_rt_tgsigqueueinfo, child, child, SIGUSR1, &info) == 0;
}

/* One round with the signal behind so many instructions.  1: the call had no more; -1: it went wrong. */
static int step_round(pid_t child, long steps)
{
	siginfo_t info;
	bool at_end = false;

	if (!go_on(child))
		return -1;
	for (long i = 0; i < steps && !at_end; i++) {
		if (ptrace(PTRACE_SINGLESTEP, child, NULL, NULL) != 0 ||
		    wait_for(child) != SIGTRAP ||
		    ptrace(PTRACE_GETSIGINFO, child, NULL, &info) != 0)
			return -1;
		/* A breakpoint, and not a step. */
		at_end = info.si_code == SI_KERNEL;
	}
	if (!send_signal(child))
		return -1;
	if (!at_end && !go_on(child))
		return -1;
	return at_end;
}

static int trace(pid_t child)
{
	bool ended[2] = {false, false};
	long steps, counts[2] = {0, 0};

	for (steps = 1; !ended[0] || !ended[1]; steps++) {
		for (int which = 0; which < 2; which++) {
			int result = step_round(child, ended[which] ? 1 : steps);

			if (result < 0) {
				printf("not ok 1 - %s, behind %ld instructions\n",
				       which ? "mq_receive" : "mq_send", steps);
				return 1;
			}
			ended[which] |= result > 0;
			if (!ended[which])
				counts[which] = steps;
		}
	}
	/* The last round is checked at the beginning of the next. */
	if (!go_on(child)) {
		printf("not ok 1 - the last round\n");
		return 1;
	}
	printf("ok 1 - a signal behind each of %ld instructions of mq_send and %ld of mq_receive\n",
	       counts[0], counts[1]);
	return counts[0] < 50 || counts[1] < 50;
}

int main(int count, char **arguments)
{
	char folder[FOLDER_BYTES];
	pid_t child;
	int result;

	if (count > 1 && strcmp(arguments[1], "--traced") == 0)
		be_traced();
#if !defined(__x86_64__)
	printf("1..0 # SKIP breakpoints of its own are for x86-64\n");
	return 0;
#endif
	if (count != 2 || folder_make(folder) != 0)
		return 2;
	printf("1..1\n");
	fflush(stdout);
	child = fork();
	if (child == 0) {
		alarm(WATCHDOG_S);
		setenv("LD_PRELOAD", arguments[1], 1);
		setenv("LD_BIND_NOW", "1", 1);
		execl("/proc/self/exe", arguments[0], "--traced", NULL);
		_exit(127);
	}
	result = wait_for(child) == SIGTRAP ? trace(child) : 1;
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	folder_remove(folder);
	return result;
}
