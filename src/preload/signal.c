/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Signal handlers.  The kernel is given one of ours in the place of each of the program's, which asks whether a call
 * of the library is to come to rest first (core/defer.c) and else runs the program's.
 *
 * It is done for all handlers of a process in which a face is on, from its beginning, and not only from the first
 * queue on: handlers are installed before, as a rule, and to change all of them later, under the eyes of other
 * threads, would not be exact.  What the program sees is as before: sigaction(2) gives back its handler and its flags;
 * the mask, SA_ONSTACK, SA_RESTART, SA_NODEFER and SA_NOCLDSTOP are the kernel's work and are handed to it.  Of
 * the flags the kernel has SA_SIGINFO always, since a handler of one argument is not disturbed by three; and
 * SA_RESETHAND never: a handler that was put off must still be there, so it is taken away here, when it runs.
 * SIG_DFL and SIG_IGN are handed on, and what exec(3) and posix_spawn(3) do to handlers is the kernel's.
 * It costs a handler some nanoseconds, and the stack of one more function.
 *
 * Of SIGBUS and SIGSEGV ours stays, whatever the program says, as the guard of mappings (core/guard.c) and what looks at
 * pointers (pointer.c) depend on it.
 *
 * A child of vfork(2) has its parent's memory but handlers of its own: what it asks for goes to the kernel as it is.
 * So does what rt_sigaction(2) is asked for by syscall(2), and what libc does itself: system(3) and its like put back what
 * they found, which is ours.
 *
 * The table below is changed under `busy`, and read by handlers without.  A new handler stands there before the kernel
 * knows of it, and an old one until the kernel does not any more.
 *
 * ORD handlers: what one thread has written to the table another finds there when it locks it.
 */

#include "preload/preload.h"

#include <errno.h>
#include <pthread.h>
#include <sys/syscall.h>

#include "core/guard.h"

#define SIGNALS 65

struct entry {
	struct tni_a64 handler;
	struct tni_a32 flags; /* as the program gave them */
};

static struct entry table[SIGNALS];
static struct tni_a32
	busy; /* generation of the process that is at it; another is left from a fork */
static struct tni_a64 interrupting; /* siginterrupt(3): a bit for each signal */

static bool is_handler(uint64_t handler)
{
	return handler != (uintptr_t)SIG_DFL && handler != (uintptr_t)SIG_IGN;
}

static bool is_fault(int number, const siginfo_t *info)
{
	switch (number) {
	case SIGSEGV:
	case SIGBUS:
	case SIGFPE:
	case SIGILL:
	case SIGTRAP:
	case SIGSYS:
		return info->si_code > 0;
	default:
		return false;
	}
}

static void trampoline(int number, siginfo_t *info, void *context);

/* What the program has said, of a signal that the kernel gives to the trampoline. */
static void tell(uint64_t handler, uint32_t flags, struct sigaction *action)
{
	int ours = SA_SIGINFO | (int)SA_RESETHAND;

	action->sa_sigaction = (void (*)(int, siginfo_t *, void *))(uintptr_t)handler;
	action->sa_flags = (action->sa_flags & ~ours) | ((int)flags & ours);
}

static void reset(int number)
{
	struct sigaction action;

	if (TNI_NEXT(sigaction)(number, NULL, &action) != 0 || action.sa_sigaction != trampoline)
		return;
	tell(0, tni_get32(&table[number].flags), &action);
	action.sa_handler = SIG_DFL;
	TNI_NEXT(sigaction)(number, &action, NULL);
}

static bool stays(int number)
{
	return number == SIGBUS || number == SIGSEGV;
}

/* A signal of which the trampoline stays, or one whose handler another thread has just taken away. */
static void act_by_default(int number, const siginfo_t *info, uint64_t handler)
{
	if (!stays(number) || (handler == (uintptr_t)SIG_IGN && !is_fault(number, info)))
		return;
	TNI_NEXT(signal)(number, SIG_DFL);
	/* A fault comes again by itself. */
	if (!is_fault(number, info))
		TNI_NEXT(syscall)(SYS_tgkill, getpid(), TNI_NEXT(syscall)(SYS_gettid), number);
}

static void trampoline(int number, siginfo_t *info, void *context)
{
	struct entry *entry = &table[number];
	uint64_t handler;
	uint32_t flags, deferring;

	if (number == SIGSEGV && tni_pointer_mend(context))
		return;
	if (tni_defer_is_due() && !is_fault(number, info)) {
		tni_defer_signal(number, info, context);
		return;
	}
	if (number == SIGBUS && tni_guard_mend(info))
		return;
	handler = tni_get64(&entry->handler);
	flags = tni_get32(&entry->flags);
	if (!is_handler(handler)) {
		act_by_default(number, info, handler);
		return;
	}
	if (flags & SA_RESETHAND)
		reset(number);
	deferring = tni_defer_enter_handler();
	((void (*)(int, siginfo_t *, void *))(uintptr_t)handler)(number, info, context);
	tni_defer_leave_handler(deferring, (flags & SA_RESTART) != 0);
}

/* Handlers of this thread, which may call sigaction() as well, wait. */
static void enter(void)
{
	uint32_t process = tni_process_generation(), other = 0;

	tni_defer_begin();
	while (!tni_cas32(&busy, &other, process)) { /* ORD(handlers) */
		if (other != process && tni_cas32(&busy, &other, process))
			break;
		other = 0;
		tni_pause();
	}
}

static void leave(void)
{
	tni_store_release32(&busy, 0); /* ORD(handlers) */
	tni_defer_end();
}

/* What the kernel is told, of what the program says. */
static void translate(int number, struct sigaction *action)
{
	if (!is_handler((uintptr_t)action->sa_handler) && !stays(number))
		return;
	action->sa_sigaction = trampoline;
	action->sa_flags = (action->sa_flags & ~(int)SA_RESETHAND) | SA_SIGINFO;
}

static int exchange(int number, const struct sigaction *action, struct sigaction *ret_before)
{
	struct entry *entry = &table[number];
	uint64_t handler = tni_get64(&entry->handler);
	uint32_t flags = tni_get32(&entry->flags);
	struct sigaction kernels, before;
	int result;

	if (action) {
		kernels = *action;
		translate(number, &kernels);
		if (kernels.sa_sigaction == trampoline) {
			tni_set32(&entry->flags, (uint32_t)action->sa_flags);
			tni_set64(&entry->handler, (uintptr_t)action->sa_handler);
		}
	}
	result = TNI_NEXT(sigaction)(number, action ? &kernels : NULL, &before);
	if (result != 0)
		return result;
	if (number == SIGBUS)
		tni_guard_before(&before);
	if (before.sa_sigaction == trampoline)
		tell(handler, flags, &before);
	if (ret_before)
		*ret_before = before;
	return 0;
}

static bool is_ours(int number)
{
	return number > 0 && number < SIGNALS && (number < 32 || number > 33) &&
	       number != SIGKILL && number != SIGSTOP && tni_face_is_on(~TNI_FACES_KNOWN) &&
	       !tni_memory_is_borrowed();
}

void tni_signal_catch_faults(void)
{
	struct entry *entry = &table[SIGSEGV];
	struct sigaction action;

	if (tni_memory_is_borrowed())
		return;
	enter();
	if (TNI_NEXT(sigaction)(SIGSEGV, NULL, &action) == 0 && action.sa_sigaction != trampoline) {
		tni_set32(&entry->flags, (uint32_t)action.sa_flags);
		tni_set64(&entry->handler, (uintptr_t)action.sa_handler);
		translate(SIGSEGV, &action);
		TNI_NEXT(sigaction)(SIGSEGV, &action, NULL);
	}
	leave();
}

TNI_STAND_IN int sigaction(int number, const struct sigaction *action, struct sigaction *ret_before)
{
	struct sigaction given;
	int result;

	if (!is_ours(number))
		return TNI_NEXT(sigaction)(number, action, ret_before);
	if (action)
		given = *action;
	enter();
	result = exchange(number, action ? &given : NULL, ret_before);
	leave();
	return result;
}

static sighandler_t install(int number, sighandler_t handler, int flags, bool masks_itself)
{
	struct sigaction action = {.sa_handler = handler, .sa_flags = flags}, before;

	if (handler == SIG_ERR) {
		errno = EINVAL;
		return SIG_ERR;
	}
	sigemptyset(&action.sa_mask);
	if (masks_itself)
		sigaddset(&action.sa_mask, number);
	return sigaction(number, &action, &before) == 0 ? before.sa_handler : SIG_ERR;
}

TNI_STAND_IN sighandler_t signal(int number, sighandler_t handler)
{
	if (!is_ours(number))
		return TNI_NEXT(signal)(number, handler);
	return install(number, handler,
		       tni_get64(&interrupting) >> (number - 1) & 1 ? 0 : SA_RESTART, true);
}

TNI_STAND_IN sighandler_t sysv_signal(int number, sighandler_t handler)
{
	if (!is_ours(number))
		return TNI_NEXT(sysv_signal)(number, handler);
	return install(number, handler, (int)(SA_RESETHAND | SA_NODEFER | SA_INTERRUPT), false);
}

TNI_STAND_IN sighandler_t sigset(int number, sighandler_t handler)
{
	bool holds = handler == SIG_HOLD;
	struct sigaction action;
	sigset_t one, before;

	if (!is_ours(number))
		return TNI_NEXT(sigset)(number, handler);
	if (holds)
		sigaction(number, NULL, &action);
	else
		action.sa_handler = install(number, handler, 0, false);
	if (action.sa_handler == SIG_ERR)
		return SIG_ERR;
	sigemptyset(&one);
	sigaddset(&one, number);
	pthread_sigmask(holds ? SIG_BLOCK : SIG_UNBLOCK, &one, &before);
	return sigismember(&before, number) ? SIG_HOLD : action.sa_handler;
}

TNI_STAND_IN int sigignore(int number)
{
	if (!is_ours(number))
		return TNI_NEXT(sigignore)(number);
	return install(number, SIG_IGN, 0, false) == SIG_ERR ? -1 : 0;
}

TNI_STAND_IN int siginterrupt(int number, int interrupts)
{
	uint64_t bit = UINT64_C(1) << ((number - 1) & 63);
	struct sigaction action;

	if (!is_ours(number))
		return TNI_NEXT(siginterrupt)(number, interrupts);
	if (sigaction(number, NULL, &action) != 0)
		return -1;
	if (interrupts) {
		tni_fetch_or64(&interrupting, bit);
		action.sa_flags &= ~SA_RESTART;
	} else {
		tni_fetch_and64(&interrupting, ~bit);
		action.sa_flags |= SA_RESTART;
	}
	return sigaction(number, &action, NULL);
}

TNI_STAND_IN_AS(__sigaction, sigaction);
TNI_STAND_IN_AS(bsd_signal, signal);
TNI_STAND_IN_AS(ssignal, signal);
TNI_STAND_IN_AS(__sysv_signal, sysv_signal);
