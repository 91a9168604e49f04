/* SPDX-License-Identifier: Apache-2.0 */

/* A call fails by not being made: its number is changed to one that does not exist when the process
 * enters the kernel, and its result when it leaves. */

#include "failing.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define BEGIN 0x5e01
#define END 0x5e02
#define ERRORS 3u

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_clone3
#define SYS_clone3 435
#endif
#ifndef FUTEX_LOCK_PI2
#define FUTEX_LOCK_PI2 13
#endif

static const struct call {
	uint64_t number;
	const char *name;
	int error[ERRORS];
	bool is_made; /* it does its work and then complains */
} calls[] = {
	{SYS_openat, "openat", {EMFILE, ENFILE, EINTR}, false},
	{SYS_fallocate, "fallocate", {ENOSPC, EINTR, ENOMEM}, false},
	{SYS_ftruncate, "ftruncate", {ENOSPC}, false},
	{SYS_mmap, "mmap", {ENOMEM}, false},
	{SYS_newfstatat, "newfstatat", {ENOMEM}, false},
	{SYS_fstat, "fstat", {ENOMEM}, false},
	{SYS_fcntl, "fcntl", {EMFILE, EINTR}, false},
	{SYS_fcntl, "fcntl of a lock", {ENOLCK, EINTR}, false},
	{SYS_fcntl, "fcntl of seals", {ENOMEM, EINTR}, false},
	{SYS_pread64, "pread64", {ENOMEM, EINTR}, false},
	{SYS_memfd_create, "memfd_create", {EMFILE, ENOMEM}, false},
	{SYS_sendfile, "sendfile", {ENOMEM, EINTR, EIO}, false},
	{SYS_fstatfs, "fstatfs", {ENOMEM}, false},
	{SYS_linkat, "linkat", {ENOSPC, ENOMEM}, false},
	{SYS_unlinkat, "unlinkat", {ENOMEM}, false},
	{SYS_mknodat, "mknodat", {ENOSPC}, false},
	{SYS_mkdir, "mkdir", {ENOSPC, EIO}, false},
	{SYS_fchmodat, "fchmodat", {EPERM}, false},
	{SYS_fchmod, "fchmod", {EIO}, false},
	{SYS_fchown, "fchown", {EPERM}, false},
	{SYS_munmap, "munmap", {ENOMEM}, false},
	{SYS_madvise, "madvise", {EINVAL, ENOMEM}, false},
	{SYS_dup3, "dup3", {EMFILE, EINTR}, false},
	{SYS_access, "access", {ENOMEM}, false},
	{SYS_prlimit64, "prlimit64", {EPERM}, false},
	{SYS_poll, "poll", {EINTR, ENOMEM}, false},
	{SYS_read, "read", {EAGAIN, EINTR}, false},
	{SYS_write, "write", {EAGAIN, EINTR}, false},
	{SYS_lseek, "lseek", {EINVAL}, false},
	{SYS_readlink, "readlink", {ENOMEM}, false},
	{SYS_getrandom, "getrandom", {EAGAIN, ENOSYS, EINTR}, false},
	{SYS_getdents64, "getdents64", {ENOMEM}, false},
	{SYS_futex, "futex", {EINTR, EAGAIN}, false},
	{SYS_futex, "futex with priority inheritance", {EAGAIN, ENOMEM, ENOSYS}, false},
	{SYS_futex_waitv, "futex_waitv", {EINTR, EAGAIN, ENOSYS}, false},
	{SYS_pidfd_open, "pidfd_open", {EMFILE, ENFILE, ENOMEM}, false},
	{SYS_epoll_create1, "epoll_create1", {EMFILE, ENFILE, ENOMEM}, false},
	{SYS_epoll_ctl, "epoll_ctl", {ENOMEM, ENOSPC}, false},
	{SYS_eventfd2, "eventfd2", {EMFILE, ENFILE, ENOMEM}, false},
	{SYS_timerfd_create, "timerfd_create", {EMFILE, ENFILE, ENOMEM}, false},
	{SYS_ppoll, "ppoll", {EINTR, ENOMEM}, false},
	{SYS_clock_nanosleep, "clock_nanosleep", {EINTR}, false},
	{SYS_mprotect, "mprotect", {ENOMEM}, false},
	{SYS_ioctl, "ioctl", {ENOMEM}, false},
	{SYS_clone3, "clone3", {EAGAIN, ENOMEM}, false},
	{SYS_close, "close", {EINTR}, true},
};

void failing_begin(void)
{
	failing_memory_begin();
	syscall(BEGIN);
}

void failing_end(void)
{
	syscall(END);
	failing_memory_end();
}

#if defined(__x86_64__)

/* The three entries stand together, as those of the next do. */
static const struct call *find_fcntl(const struct call *first, uint64_t command)
{
	switch (command) {
	case F_DUPFD_CLOEXEC:
		return first;
	case F_OFD_SETLK:
	case F_OFD_GETLK:
		return first + 1;
	case F_ADD_SEALS:
		return first + 2;
	default:
		return NULL;
	}
}

/* Waking does not fail. */
static const struct call *find_futex(const struct call *first, uint64_t operation)
{
	if (operation == FUTEX_LOCK_PI2)
		return first + 1;
	return operation == FUTEX_WAIT || operation == FUTEX_WAIT_BITSET ? first : NULL;
}

static const struct call *find_call(const struct user_regs_struct *registers)
{
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		if (calls[i].number != registers->orig_rax)
			continue;
		if (calls[i].number == SYS_fcntl)
			return find_fcntl(&calls[i], registers->rsi);
		if (calls[i].number == SYS_futex)
			return find_futex(&calls[i], registers->rsi & 0x7f);
		return &calls[i];
	}
	return NULL;
}

struct tracee {
	pid_t pid;
	int status;
	struct user_regs_struct registers;
};

/* To the next entry to the kernel or exit from it.  False: the process has ended. */
static bool next_stop(struct tracee *tracee)
{
	int number = 0;

	for (;;) {
		if (ptrace(PTRACE_SYSCALL, tracee->pid, 0, number) != 0 ||
		    waitpid(tracee->pid, &tracee->status, __WALL) < 0 ||
		    !WIFSTOPPED(tracee->status))
			return false;
		number = WSTOPSIG(tracee->status);
		if (number == (SIGTRAP | 0x80))
			return ptrace(PTRACE_GETREGS, tracee->pid, 0, &tracee->registers) == 0;
	}
}

/* At the entry of a call: makes it fail. */
static bool let_fail(struct tracee *tracee, const struct call *call, int error)
{
	if (!call->is_made) {
		tracee->registers.orig_rax = UINT64_MAX;
		ptrace(PTRACE_SETREGS, tracee->pid, 0, &tracee->registers);
	}
	if (!next_stop(tracee))
		return false;
	tracee->registers.rax = (uint64_t)(int64_t)-error;
	return ptrace(PTRACE_SETREGS, tracee->pid, 0, &tracee->registers) == 0;
}

static bool start(struct tracee *tracee, void (*run)(void *context), void *context)
{
	tracee->pid = fork();
	if (tracee->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (ptrace(PTRACE_TRACEME, 0, 0, 0) != 0)
			_exit(101);
		raise(SIGSTOP);
		run(context);
		_exit(0);
	}
	return tracee->pid > 0 && waitpid(tracee->pid, &tracee->status, __WALL) == tracee->pid &&
	       WIFSTOPPED(tracee->status) &&
	       ptrace(PTRACE_SETOPTIONS, tracee->pid, 0,
		      PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL) == 0;
}

enum failing_end failing_run(void (*run)(void *context), void *context, uint32_t nth,
			     uint32_t variant, struct failing_hit *ret_hit, uint32_t *ret_variants)
{
	struct tracee tracee;
	bool counts = false, hit = false;
	uint32_t seen = 0;

	*ret_hit = (struct failing_hit){.call = "none"};
	*ret_variants = 0;
	if (!start(&tracee, run, context))
		return FAILING_IMPOSSIBLE;
	while (next_stop(&tracee)) {
		const struct call *call = find_call(&tracee.registers);

		if (tracee.registers.orig_rax == BEGIN)
			counts = true;
		else if (tracee.registers.orig_rax == END)
			counts = false;
		if (counts && call && seen++ == nth) {
			while (*ret_variants < ERRORS && call->error[*ret_variants] != 0)
				++*ret_variants;
			hit = true;
			ret_hit->call = call->name;
			/* Where threads take turns it may be another call than the last time, with fewer errors. */
			ret_hit->error = variant < *ret_variants ? call->error[variant] : 0;
			if (ret_hit->error ? !let_fail(&tracee, call, ret_hit->error)
					   : !next_stop(&tracee))
				break;
		} else if (!next_stop(&tracee)) {
			break;
		}
	}
	ret_hit->status = tracee.status;
	if (!WIFEXITED(tracee.status) || WEXITSTATUS(tracee.status) != 0)
		return FAILING_CRASHED;
	return hit ? FAILING_HIT : FAILING_UNTOUCHED;
}

#else

enum failing_end failing_run(void (*run)(void *context), void *context, uint32_t nth,
			     uint32_t variant, struct failing_hit *ret_hit, uint32_t *ret_variants)
{
	(void)run;
	(void)context;
	(void)nth;
	(void)variant;
	(void)ret_hit;
	(void)ret_variants;
	return FAILING_IMPOSSIBLE;
}

#endif
