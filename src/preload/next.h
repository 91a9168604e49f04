/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TNI_PRELOAD_NEXT_H
#define TNI_PRELOAD_NEXT_H

/*
 * libc's own functions, behind those that stand in for them.  All are looked up when the library is
 * loaded; what is called before, by the constructor of another library, is looked up then.
 */

#include <dlfcn.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <mqueue.h>
#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/sendfile.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <unistd.h>

#include "abi/atomic.h"

/* What libc exports without a header that says so. */
extern mqd_t __mq_open_2(const char *name, int flags);
extern ssize_t __read_chk(int fd, void *buffer, size_t bytes, size_t capacity_bytes);
extern ssize_t __pread_chk(int fd, void *buffer, size_t bytes, off_t offset, size_t capacity_bytes);
extern int __fxstat(int version, int fd, struct stat *ret_status);
extern int __fxstatat(int version, int folder, const char *path, struct stat *ret_status,
		      int flags);
extern int __dprintf_chk(int fd, int checks, const char *format, ...);
extern int __vdprintf_chk(int fd, int checks, const char *format, va_list more);
extern FILE *_IO_fdopen(int fd, const char *mode);
extern int __poll_chk(struct pollfd *entries, nfds_t count, int timeout_ms, size_t capacity_bytes);
extern int __ppoll_chk(struct pollfd *entries, nfds_t count, const struct timespec *timeout,
		       const sigset_t *mask, size_t capacity_bytes);
extern int capset(cap_user_header_t header, const cap_user_data_t data);
extern void (*bsd_signal(int number, void (*handler)(int)))(int);

#define TNI_NEXT_NAMES(X)  \
	X(dlopen)          \
	X(mq_open)         \
	X(__mq_open_2)     \
	X(mq_close)        \
	X(mq_unlink)       \
	X(mq_send)         \
	X(mq_timedsend)    \
	X(mq_receive)      \
	X(mq_timedreceive) \
	X(mq_notify)       \
	X(mq_getattr)      \
	X(mq_setattr)      \
	X(sem_open)        \
	X(sem_close)       \
	X(sem_unlink)      \
	X(sem_init)        \
	X(sem_destroy)     \
	X(sem_wait)        \
	X(sem_trywait)     \
	X(sem_timedwait)   \
	X(sem_clockwait)   \
	X(sem_post)        \
	X(sem_getvalue)    \
	X(shm_open)        \
	X(shm_unlink)      \
	X(msgget)          \
	X(msgsnd)          \
	X(msgrcv)          \
	X(msgctl)          \
	X(semget)          \
	X(semop)           \
	X(semtimedop)      \
	X(semctl)          \
	X(shmget)          \
	X(shmat)           \
	X(shmdt)           \
	X(shmctl)          \
	X(setuid)          \
	X(seteuid)         \
	X(setreuid)        \
	X(setresuid)       \
	X(setgid)          \
	X(setegid)         \
	X(setregid)        \
	X(setresgid)       \
	X(setgroups)       \
	X(initgroups)      \
	X(capset)          \
	X(setfsuid)        \
	X(setfsgid)        \
	X(unshare)         \
	X(setns)           \
	X(mmap)            \
	X(munmap)          \
	X(mremap)          \
	X(mprotect)        \
	X(close)           \
	X(close_range)     \
	X(closefrom)       \
	X(dup)             \
	X(dup2)            \
	X(dup3)            \
	X(fcntl)           \
	X(read)            \
	X(__read_chk)      \
	X(readv)           \
	X(pread)           \
	X(__pread_chk)     \
	X(preadv)          \
	X(preadv2)         \
	X(write)           \
	X(writev)          \
	X(pwrite)          \
	X(pwritev)         \
	X(pwritev2)        \
	X(posix_fadvise)   \
	X(posix_fallocate) \
	X(fallocate)       \
	X(readahead)       \
	X(sync_file_range) \
	X(sendfile)        \
	X(splice)          \
	X(tee)             \
	X(copy_file_range) \
	X(vmsplice)        \
	X(ioctl)           \
	X(fdopen)          \
	X(vdprintf)        \
	X(__vdprintf_chk)  \
	X(lseek)           \
	X(fstat)           \
	X(__fxstat)        \
	X(fstatat)         \
	X(__fxstatat)      \
	X(statx)           \
	X(fchmod)          \
	X(fchown)          \
	X(fchownat)        \
	X(poll)            \
	X(ppoll)           \
	X(__poll_chk)      \
	X(__ppoll_chk)     \
	X(select)          \
	X(pselect)         \
	X(epoll_ctl)       \
	X(syscall)         \
	X(sigaction)       \
	X(signal)          \
	X(sysv_signal)     \
	X(sigset)          \
	X(sigignore)       \
	X(siginterrupt)    \
	X(open)            \
	X(fopen)           \
	X(openat)          \
	X(memfd_create)    \
	X(eventfd)         \
	X(epoll_create1)   \
	X(timerfd_create)  \
	X(inotify_init1)   \
	X(pipe2)           \
	X(socketpair)

enum tni_next_index {
#define TNI_NEXT_ENUM(name) TNI_NEXT_##name,
	TNI_NEXT_NAMES(TNI_NEXT_ENUM)
#undef TNI_NEXT_ENUM
		TNI_NEXT_COUNT
};

extern struct tni_apointer tni_next_[TNI_NEXT_COUNT];
void *tni_next_find(enum tni_next_index index);

static inline void *tni_next(enum tni_next_index index)
{
	/* ORD(next): what is behind it is libc's code. */
	void *found = tni_load_acquire_pointer(&tni_next_[index]);

	return __builtin_expect(found != NULL, 1) ? found : tni_next_find(index);
}

#define TNI_NEXT(name) ((__typeof__(name) *)tni_next(TNI_NEXT_##name))

#endif
