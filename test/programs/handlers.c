/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What a program sees of its signal handlers: prints an answer a line.  alike_test.py runs it with and without the
 * preload library, and compares.
 */

#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

static volatile sig_atomic_t runs, depth, deepest;
static volatile long value;
static volatile int on_other_stack, mask_bits;
static char *other_stack;
static sem_t ran;
static sigjmp_buf back;

static void note(int number)
{
	char here;
	sigset_t mask;

	runs++;
	sem_post(&ran);
	if (++depth > deepest)
		deepest = depth;
	sigprocmask(SIG_BLOCK, NULL, &mask);
	mask_bits = sigismember(&mask, SIGUSR1) + 2 * sigismember(&mask, SIGUSR2) +
		    4 * sigismember(&mask, SIGTERM);
	on_other_stack = other_stack && &here > other_stack && &here < other_stack + 65536;
	if (runs == 1 && number == SIGUSR1)
		raise(SIGUSR1);
	depth--;
}

static void note_info(int number, siginfo_t *info, void *context)
{
	value = info->si_value.sival_int + 1000 * info->si_code + (context != NULL);
	note(number);
}

static void jump(int number)
{
	siglongjmp(back, number);
}

static void say_action(const char *what, int number)
{
	struct sigaction action;
	int result;

	memset(&action, 0, sizeof(action));
	result = sigaction(number, NULL, &action);
	printf("%s: %d %s flags %x mask %d%d%d\n", what, result,
	       action.sa_handler == SIG_DFL	  ? "default"
	       : action.sa_handler == SIG_IGN	  ? "ignored"
	       : action.sa_handler == note	  ? "note"
	       : action.sa_sigaction == note_info ? "note_info"
						  : "another",
	       (unsigned)action.sa_flags, sigismember(&action.sa_mask, SIGUSR1),
	       sigismember(&action.sa_mask, SIGUSR2), sigismember(&action.sa_mask, SIGTERM));
}

static void try_action(const char *what, int flags, int with_info)
{
	struct sigaction action = {.sa_flags = flags};
	sigset_t mask;

	if (with_info)
		action.sa_sigaction = note_info;
	else
		action.sa_handler = note;
	sigaddset(&action.sa_mask, SIGUSR2);
	runs = depth = deepest = 0;
	value = 0;
	if (flags & (int)SA_RESETHAND)
		runs = 1;
	printf("install: %d\n", sigaction(SIGUSR1, &action, NULL));
	say_action(what, SIGUSR1);
	sigqueue(getpid(), SIGUSR1, (union sigval){.sival_int = 5});
	sigprocmask(SIG_BLOCK, NULL, &mask);
	printf("%s: runs %d deepest %d mask %d value %ld stack %d, behind it %d%d\n", what,
	       (int)runs, (int)deepest, mask_bits, value, on_other_stack,
	       sigismember(&mask, SIGUSR1), sigismember(&mask, SIGUSR2));
	say_action("behind it", SIGUSR1);
}

static void old_calls(void)
{
	printf("signal: %d\n", signal(SIGUSR2, note) == SIG_DFL);
	say_action("signal", SIGUSR2);
	printf("siginterrupt: %d\n", siginterrupt(SIGUSR2, 1));
	say_action("siginterrupt", SIGUSR2);
	printf("signal: %d\n", signal(SIGUSR2, SIG_IGN) == note);
	say_action("ignored", SIGUSR2);
	printf("signal: %d\n", signal(SIGUSR2, note) == SIG_IGN);
	say_action("signal", SIGUSR2);
	printf("siginterrupt: %d\n", siginterrupt(SIGUSR2, 0));
	say_action("siginterrupt", SIGUSR2);
	printf("sysv_signal: %d\n", sysv_signal(SIGUSR2, note) == note);
	say_action("sysv_signal", SIGUSR2);
	printf("ssignal: %d\n", ssignal(SIGUSR2, note) == note);
	printf("sigset: %d\n", sigset(SIGUSR2, SIG_HOLD) == note);
	printf("sigset: %d\n", sigset(SIGUSR2, note) == SIG_HOLD);
	say_action("sigset", SIGUSR2);
	printf("sigignore: %d\n", sigignore(SIGUSR2));
	say_action("sigignore", SIGUSR2);
	errno = 0;
	printf("bad: %d %d\n", signal(0, note) == SIG_ERR, errno);
	printf("bad: %d %d\n", signal(SIGKILL, note) == SIG_ERR, errno);
	printf("bad: %d %d\n", signal(65, note) == SIG_ERR, errno);
	printf("bad: %d %d\n", signal(32, note) == SIG_ERR, errno);
	printf("bad: %d %d\n", sigaction(99, NULL, NULL), errno);
	printf("SIG_ERR: %d %d\n", signal(SIGUSR2, SIG_ERR) == SIG_ERR, errno);
}

static void faults(void)
{
	struct sigaction action = {.sa_handler = jump};
	char *nothing = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd = fileno(tmpfile()), number;
	volatile char *file;

	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
	number = sigsetjmp(back, 1);
	if (!number)
		nothing[0] = 1;
	printf("fault: %d\n", number);
	file = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	number = sigsetjmp(back, 1);
	if (!number)
		number = file[0];
	printf("fault: %d\n", number);
	say_action("SIGBUS", SIGBUS);
	signal(SIGBUS, SIG_IGN);
	say_action("SIGBUS", SIGBUS);
	kill(getpid(), SIGBUS);
	signal(SIGBUS, SIG_DFL);
	say_action("SIGBUS", SIGBUS);
	fflush(stdout);
	if (fork() == 0)
		_exit(file[0]);
	wait(&number);
	printf("died by %d\n", WTERMSIG(number));
	if (fork() == 0) {
		kill(getpid(), SIGBUS);
		_exit(0);
	}
	wait(&number);
	printf("died by %d\n", WTERMSIG(number));
}

/* By what a process ends that touches what it must not, amid calls of queues. */
static void ends_by_fault(const char *what, const struct sigaction *action)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		volatile char *nowhere = NULL;
		struct sigaction now;

		if (action)
			sigaction(SIGSEGV, action, NULL);
		mq_getattr((mqd_t)-1, &(struct mq_attr){0});
		sigaction(SIGSEGV, NULL, &now);
		printf("%s: default %d, ignored %d\n", what, now.sa_handler == SIG_DFL,
		       now.sa_handler == SIG_IGN);
		fflush(stdout);
		*nowhere = 1;
		_exit(0);
	}
	waitpid(child, &status, 0);
	printf("%s: signal %d, status %d\n", what, WTERMSIG(status), WEXITSTATUS(status));
}

static void end(int number)
{
	_exit(number);
}

static void children(void)
{
	char *const arguments[] = {"sh", "-c", "trap", NULL};
	extern char **environ;
	pid_t child;

	signal(SIGUSR1, note);
	runs = 5;
	child = vfork();
	if (child == 0) {
		signal(SIGUSR1, SIG_IGN);
		signal(SIGUSR2, note);
		_exit(0);
	}
	waitpid(child, NULL, 0);
	say_action("behind vfork", SIGUSR1);
	say_action("behind vfork", SIGUSR2);
	raise(SIGUSR1);
	printf("runs: %d\n", (int)runs);
	fflush(stdout);
	child = fork();
	if (child == 0) {
		raise(SIGUSR1);
		signal(SIGUSR1, SIG_DFL);
		_exit(runs);
	}
	waitpid(child, (int *)&value, 0);
	printf("child: %d\n", WEXITSTATUS((int)value));
	say_action("behind fork", SIGUSR1);
	printf("system: %d\n", system("exit 3") >> 8);
	say_action("behind system", SIGINT);
	printf("spawn: %d\n", posix_spawnp(&child, "sh", NULL, NULL, arguments, environ));
	waitpid(child, NULL, 0);
}

static volatile int is_over; /* the call */

/* Whether the main thread is asleep in a call that waits for a message, the kernel's or the library's. */
static int is_asleep(void)
{
	char path[64], text[32] = "";
	long number;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/task/%d/syscall", getpid());
	fd = open(path, O_RDONLY);
	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		abort();
	close(fd);
	number = strtol(text, NULL, 10); /* "running" */
	return number == SYS_mq_timedreceive || number == SYS_futex || number == SYS_futex_waitv;
}

/* A blocked call, with a handler that runs meanwhile.  A call that a handler has ended is not waited for again. */
static void *send_when_asleep(void *context)
{
	pthread_t *thread = context;

	for (int i = 0; i < 3; i++) {
		while (!is_asleep() && !is_over)
			sched_yield();
		pthread_kill(*thread, SIGUSR1);
		/* Of two that are pending only one would be handled. */
		sem_wait(&ran);
	}
	return NULL;
}

static void blocked(int flags)
{
	struct mq_attr attributes = {.mq_maxmsg = 1, .mq_msgsize = 8};
	mqd_t queue = mq_open("/handlers", O_RDWR | O_CREAT, 0600, &attributes);
	struct sigaction action = {.sa_handler = note, .sa_flags = flags};
	struct timespec deadline;
	pthread_t self = pthread_self(), thread;
	int result;

	runs = 5;
	sem_init(&ran, 0, 0);
	mq_unlink("/handlers");
	sigaction(SIGUSR1, &action, NULL);
	clock_gettime(CLOCK_REALTIME, &deadline);
	/* Far, where a signal ends it. */
	deadline.tv_sec += flags & SA_RESTART ? 1 : 60;
	is_over = 0;
	pthread_create(&thread, NULL, send_when_asleep, &self);
	errno = 0;
	result = (int)mq_timedreceive(queue, (char[8]){0}, 8, NULL, &deadline);
	is_over = 1;
	printf("blocked: %d %s\n", result, strerrorname_np(errno));
	pthread_join(thread, NULL);
	printf("runs: %d\n", (int)runs);
	mq_close(queue);
}

int main(void)
{
	stack_t stack = {.ss_size = 65536};

	other_stack = stack.ss_sp = malloc(65536);
	sigaltstack(&stack, NULL);
	ends_by_fault("a fault", NULL);
	say_action("at first", SIGUSR1);
	say_action("at first", SIGPIPE);
	try_action("plain", 0, 0);
	try_action("siginfo", SA_SIGINFO, 1);
	try_action("nodefer", SA_NODEFER, 0);
	try_action("restart", SA_RESTART | SA_SIGINFO, 1);
	try_action("onstack", SA_ONSTACK, 0);
	try_action("reset", (int)SA_RESETHAND, 0);
	try_action("reset, siginfo", (int)(SA_RESETHAND | SA_SIGINFO | SA_NODEFER), 1);
	old_calls();
	faults();
	children();
	ends_by_fault("a fault by default", &(struct sigaction){.sa_handler = SIG_DFL});
	ends_by_fault("a fault ignored", &(struct sigaction){.sa_handler = SIG_IGN});
	ends_by_fault("a fault handled", &(struct sigaction){.sa_handler = end});
	blocked(0);
	blocked(SA_RESTART);
	return 0;
}
