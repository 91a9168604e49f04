/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What the library in here calls under a name that stands in: the linker has renamed it (--wrap).
 *
 * A program that closes all descriptors, as daemons do, or all from some number on, means its own, and would let
 * other processes take this one for dead, or write what it writes into a queue's file.  So it is known of each
 * descriptor whether the library made it and keeps it: to the program such a one is as if it were not open.
 *
 * None of them is 0, 1 or 2: what a program prints would be written into a queue's file.
 */

#include "preload/preload.h"

#include <errno.h>
#include <sys/syscall.h>

#define OWN_LEAST 3
#define OWN_MOST 65536
#define WORD_BITS 64

static struct tni_a64 own[OWN_MOST / WORD_BITS];
static struct tni_a32 top;

/* The program has closed its standard descriptors.  All of the library's are closed by exec(3). */
static int lift(int fd)
{
	int lifted = TNI_NEXT(fcntl)(fd, F_DUPFD_CLOEXEC, OWN_LEAST), error = errno;

	TNI_NEXT(close)(fd);
	errno = error;
	return lifted;
}

static int take(int fd)
{
	uint32_t seen = tni_get32(&top);

	if (fd >= 0 && fd < OWN_LEAST)
		fd = lift(fd);
	if (fd < 0 || fd >= OWN_MOST)
		return fd;
	tni_fetch_or64(&own[fd / WORD_BITS], UINT64_C(1) << (fd % WORD_BITS));
	while (seen <= (uint32_t)fd && !tni_cas32(&top, &seen, (uint32_t)fd + 1))
		;
	return fd;
}

void tni_own_give(int fd)
{
	if (fd >= 0 && fd < (int)tni_get32(&top))
		tni_fetch_and64(&own[fd / WORD_BITS], ~(UINT64_C(1) << (fd % WORD_BITS)));
}

static int take_two(int *ends)
{
	int error;

	ends[0] = take(ends[0]);
	if (ends[0] >= 0) {
		ends[1] = take(ends[1]);
		if (ends[1] >= 0)
			return 0;
	}
	error = errno;
	for (int i = 0; i < 2; i++)
		if (ends[i] >= 0) {
			tni_own_give(ends[i]);
			TNI_NEXT(close)(ends[i]);
		}
	errno = error;
	return -1;
}

bool tni_own_is(int fd)
{
	return fd >= 0 && fd < (int)tni_get32(&top) &&
	       (tni_get64(&own[fd / WORD_BITS]) >> (fd % WORD_BITS) & 1) && !tni_mq_is(fd);
}

int tni_own_top(void)
{
	return (int)tni_get32(&top);
}

/* `__wrap_` is the linker's. */
#define OWN(type, name, ...)             \
	type __wrap_##name(__VA_ARGS__); \
	type __wrap_##name(__VA_ARGS__)

OWN(int, close, int fd)
{
	tni_own_give(fd);
	return TNI_NEXT(close)(fd);
}

OWN(int, dup3, int fd, int copy, int flags)
{
	return take(TNI_NEXT(dup3)(fd, copy, flags));
}

OWN(int, fcntl64, int fd, int command, ...)
{
	va_list more;
	void *argument;
	int result;

	va_start(more, command);
	argument = va_arg(more, void *);
	va_end(more);
	result = TNI_NEXT(fcntl)(fd, command, argument);
	return command == F_DUPFD || command == F_DUPFD_CLOEXEC ? take(result) : result;
}

OWN(int, open64, const char *path, int flags, ...)
{
	va_list more;
	mode_t mode;

	va_start(more, flags);
	mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(more, mode_t) : 0;
	va_end(more);
	return take(TNI_NEXT(open)(path, flags, mode));
}

OWN(int, openat64, int folder, const char *path, int flags, ...)
{
	va_list more;
	mode_t mode;

	va_start(more, flags);
	mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(more, mode_t) : 0;
	va_end(more);
	return take(TNI_NEXT(openat)(folder, path, flags, mode));
}

OWN(int, memfd_create, const char *name, unsigned flags)
{
	return take(TNI_NEXT(memfd_create)(name, flags));
}

OWN(int, eventfd, unsigned value, int flags)
{
	return take(TNI_NEXT(eventfd)(value, flags));
}

OWN(int, epoll_create1, int flags)
{
	return take(TNI_NEXT(epoll_create1)(flags));
}

OWN(int, timerfd_create, clockid_t clock, int flags)
{
	return take(TNI_NEXT(timerfd_create)(clock, flags));
}

OWN(int, inotify_init1, int flags)
{
	return take(TNI_NEXT(inotify_init1)(flags));
}

OWN(int, pipe2, int *ends, int flags)
{
	int result = TNI_NEXT(pipe2)(ends, flags);

	return result == 0 ? take_two(ends) : result;
}

OWN(int, socketpair, int family, int type, int protocol, int *ends)
{
	int result = TNI_NEXT(socketpair)(family, type, protocol, ends);

	return result == 0 ? take_two(ends) : result;
}

OWN(int, fstat64, int fd, struct stat *ret_status)
{
	return TNI_NEXT(fstat)(fd, ret_status);
}

OWN(int, statx, int folder, const char *path, int flags, unsigned wanted, struct statx *ret_status)
{
	return TNI_NEXT(statx)(folder, path, flags, wanted, ret_status);
}

OWN(int, fstatat64, int folder, const char *path, struct stat *ret_status, int flags)
{
	return TNI_NEXT(fstatat)(folder, path, ret_status, flags);
}

/* What another library that is preloaded (fakeroot(1)) tells the program of itself is not so for files and permissions, and
 * it may ask the library in here for its telling: these go to the kernel. */
OWN(int, stat64, const char *path, struct stat *ret_status)
{
	return TNI_NEXT(fstatat)(AT_FDCWD, path, ret_status, 0);
}

OWN(uid_t, geteuid, void)
{
	return (uid_t)TNI_NEXT(syscall)(SYS_geteuid);
}

OWN(gid_t, getegid, void)
{
	return (gid_t)TNI_NEXT(syscall)(SYS_getegid);
}

OWN(uid_t, getuid, void)
{
	return (uid_t)TNI_NEXT(syscall)(SYS_getuid);
}

OWN(int, getgroups, int count, gid_t *groups)
{
	return (int)TNI_NEXT(syscall)(SYS_getgroups, count, groups);
}

OWN(int, mkdir, const char *path, mode_t mode)
{
	return (int)TNI_NEXT(syscall)(SYS_mkdirat, AT_FDCWD, path, mode);
}

OWN(int, unlinkat, int folder, const char *path, int flags)
{
	return (int)TNI_NEXT(syscall)(SYS_unlinkat, folder, path, flags);
}

OWN(int, fallocate64, int fd, int mode, off_t from, off_t bytes)
{
	return TNI_NEXT(fallocate)(fd, mode, from, bytes);
}

OWN(ssize_t, sendfile64, int to, int from, off_t *offset, size_t bytes)
{
	return TNI_NEXT(sendfile)(to, from, offset, bytes);
}

OWN(FILE *, fopen64, const char *path, const char *mode)
{
	return TNI_NEXT(fopen)(path, mode);
}

OWN(FILE *, fdopen, int fd, const char *mode)
{
	return TNI_NEXT(fdopen)(fd, mode);
}

OWN(int, ioctl, int fd, unsigned long request, void *argument)
{
	return TNI_NEXT(ioctl)(fd, request, argument);
}

OWN(off_t, lseek64, int fd, off_t offset, int whence)
{
	return TNI_NEXT(lseek)(fd, offset, whence);
}

OWN(ssize_t, read, int fd, void *buffer, size_t bytes)
{
	return TNI_NEXT(read)(fd, buffer, bytes);
}

OWN(ssize_t, pread64, int fd, void *buffer, size_t bytes, off_t offset)
{
	return TNI_NEXT(pread)(fd, buffer, bytes, offset);
}

OWN(ssize_t, write, int fd, const void *data, size_t bytes)
{
	return TNI_NEXT(write)(fd, data, bytes);
}

OWN(int, fchmod, int fd, mode_t mode)
{
	return TNI_NEXT(fchmod)(fd, mode);
}

OWN(int, fchown, int fd, uid_t uid, gid_t gid)
{
	return TNI_NEXT(fchown)(fd, uid, gid);
}

OWN(void *, mmap64, void *address, size_t bytes, int protection, int flags, int fd, off_t offset)
{
	return TNI_NEXT(mmap)(address, bytes, protection, flags, fd, offset);
}

OWN(int, munmap, void *address, size_t bytes)
{
	return TNI_NEXT(munmap)(address, bytes);
}

OWN(void *, mremap, void *address, size_t old_bytes, size_t bytes, int flags, void *wanted)
{
	return TNI_NEXT(mremap)(address, old_bytes, bytes, flags, wanted);
}

OWN(int, mprotect, void *address, size_t bytes, int protection)
{
	return TNI_NEXT(mprotect)(address, bytes, protection);
}

OWN(int, poll, struct pollfd *entries, nfds_t count, int timeout_ms)
{
	return TNI_NEXT(poll)(entries, count, timeout_ms);
}

OWN(int, ppoll, struct pollfd *entries, nfds_t count, const struct timespec *timeout,
    const sigset_t *mask)
{
	return TNI_NEXT(ppoll)(entries, count, timeout, mask);
}

OWN(int, epoll_ctl, int set, int operation, int fd, struct epoll_event *event)
{
	return TNI_NEXT(epoll_ctl)(set, operation, fd, event);
}

/* As many arguments as there can be, which costs nothing: they are in registers. */
OWN(long, syscall, long number, long a, long b, long c, long d, long e, long f)
{
	return TNI_NEXT(syscall)(number, a, b, c, d, e, f);
}

OWN(int, sigaction, int number, const struct sigaction *action, struct sigaction *ret_before)
{
	return TNI_NEXT(sigaction)(number, action, ret_before);
}

OWN(sighandler_t, signal, int number, sighandler_t handler)
{
	return TNI_NEXT(signal)(number, handler);
}
