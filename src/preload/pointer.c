/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Pointers of the program that lead nowhere.  Linux answers EFAULT, and a program may count on that; so what is handed in is
 * read once, at its first byte, by one instruction that may fault: the handler of SIGSEGV (signal.c), which knows the
 * instruction by its address, goes on behind it.  A pointer that is good costs a load, and no system call.
 *
 * What leads nowhere further on, or may be read and not be written, is a fault of the program as it is anywhere else.
 */

#include "preload/preload.h"

#include <errno.h>
#include <sys/syscall.h>
#include <ucontext.h>

#if defined(__x86_64__) || defined(__aarch64__)

/* The instruction that may fault, which is the function's first, and where it goes on then. */
extern const char tni_pointer_read[], tni_pointer_lost[];

#define FUNCTION(name) ".globl " name "\n.hidden " name "\n.type " name ", %function\n" name ":\n"

/* clang-format off */
__asm__(".text\n"
#ifdef __x86_64__
#define COUNTER(context) (context)->uc_mcontext.gregs[REG_RIP]
	FUNCTION("tni_pointer_read")
	"movzbl (%rdi), %eax\n"
	"movl $1, %eax\n"
	"ret\n"
	FUNCTION("tni_pointer_lost")
	"xorl %eax, %eax\n"
	"ret\n"
#else
#define COUNTER(context) (context)->uc_mcontext.pc
	FUNCTION("tni_pointer_read")
	"ldrb w1, [x0]\n"
	"mov w0, #1\n"
	"ret\n"
	FUNCTION("tni_pointer_lost")
	"mov w0, #0\n"
	"ret\n"
#endif
);
/* clang-format on */

bool tni_pointer_mend(void *context)
{
	ucontext_t *interrupted = context;

	if ((uintptr_t)COUNTER(interrupted) != (uintptr_t)tni_pointer_read)
		return false;
	COUNTER(interrupted) = (__typeof__(COUNTER(interrupted)))(uintptr_t)tni_pointer_lost;
	return true;
}

static bool is_good(const void *pointer)
{
	return ((int (*)(const void *))(uintptr_t)tni_pointer_read)(pointer) != 0;
}

#else

bool tni_pointer_mend(void *context)
{
	(void)context;
	return false;
}

/* The kernel looks at the signals to be set before it looks at how. */
static bool is_good(const void *pointer)
{
	int error = errno;
	bool is_there;

	is_there = TNI_NEXT(syscall)(SYS_rt_sigprocmask, -1, pointer, NULL, 8) == 0 ||
		   errno != EFAULT;
	errno = error;
	return is_there;
}

#endif

bool tni_pointer_is_bad(const void *pointer)
{
	return pointer && !is_good(pointer);
}
