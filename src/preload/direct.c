/* SPDX-License-Identifier: Apache-2.0 */

/*
 * syscall(2), which some programs call for mq_open(2) and its neighbours, and for what is done to descriptors.
 * System calls that programs make by themselves, without libc, are out of reach.
 */

#include <tenon/sysv.h>

#include "preload/preload.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>

struct arguments {
	long a, b, c, d, e, f;
};

/* The kernel's calls have names without the slash. */
static bool add_slash(long text, char ret_name[static NAME_MAX + 3])
{
	const char *name = (const char *)text;

	tni_queue_begin();
	if (!name || tni_pointer_is_bad(name))
		return false;
	ret_name[0] = '/';
	strncpy(ret_name + 1, name, NAME_MAX + 1);
	ret_name[NAME_MAX + 2] = '\0';
	return true;
}

static long open_queue(const struct arguments *given)
{
	char name[NAME_MAX + 3];

	/* The attributes are looked at whether there is something to be made or not. */
	if (!add_slash(given->a, name) || tni_pointer_is_bad((const void *)given->d))
		return tni_fail(EFAULT);
	return mq_open(name, (int)given->b, (mode_t)given->c, (struct mq_attr *)given->d);
}

static long unlink_queue(const struct arguments *given)
{
	char name[NAME_MAX + 3];

	return add_slash(given->a, name) ? mq_unlink(name) : tni_fail(EFAULT);
}

/* mq_getsetattr(2) is both. */
static long attributes_of_queue(const struct arguments *given)
{
	const struct mq_attr *fresh = (const struct mq_attr *)given->b;
	struct mq_attr *before = (struct mq_attr *)given->c;

	if (fresh)
		return mq_setattr((mqd_t)given->a, fresh, before);
	return mq_getattr((mqd_t)given->a, before ? before : &(struct mq_attr){0});
}

/* True: it was one of these. */
static bool call_queue(long number, const struct arguments *given, long *ret_answer)
{
	switch (number) {
	case SYS_mq_open:
		*ret_answer = open_queue(given);
		return true;
	case SYS_mq_unlink:
		*ret_answer = unlink_queue(given);
		return true;
	case SYS_mq_timedsend:
		*ret_answer = mq_timedsend((mqd_t)given->a, (const char *)given->b,
					   (size_t)given->c, (unsigned)given->d,
					   (const struct timespec *)given->e);
		return true;
	case SYS_mq_timedreceive:
		*ret_answer = mq_timedreceive((mqd_t)given->a, (char *)given->b, (size_t)given->c,
					      (unsigned *)given->d,
					      (const struct timespec *)given->e);
		return true;
	case SYS_mq_notify:
		*ret_answer = mq_notify((mqd_t)given->a, (const struct sigevent *)given->b);
		return true;
	case SYS_mq_getsetattr:
		*ret_answer = attributes_of_queue(given);
		return true;
	default:
		return false;
	}
}

/* On the processors that this library is for, each of System V's has a number of its own. */
static bool call_sysv(long number, const struct arguments *given, long *ret_answer)
{
	switch (number) {
	case SYS_msgget:
		*ret_answer = msgget((key_t)given->a, (int)given->b);
		return true;
	case SYS_msgsnd:
		*ret_answer = msgsnd((int)given->a, (const void *)given->b, (size_t)given->c,
				     (int)given->d);
		return true;
	case SYS_msgrcv:
		*ret_answer = msgrcv((int)given->a, (void *)given->b, (size_t)given->c, given->d,
				     (int)given->e);
		return true;
	case SYS_msgctl:
		*ret_answer = msgctl((int)given->a, (int)given->b, (struct msqid_ds *)given->c);
		return true;
	case SYS_semget:
		*ret_answer = semget((key_t)given->a, (int)given->b, (int)given->c);
		return true;
	case SYS_semtimedop:
		*ret_answer = semtimedop((int)given->a, (struct sembuf *)given->b, (size_t)given->c,
					 (const struct timespec *)given->d);
		return true;
#ifdef SYS_semop
	case SYS_semop:
		*ret_answer = semop((int)given->a, (struct sembuf *)given->b, (size_t)given->c);
		return true;
#endif
	case SYS_semctl:
		*ret_answer = semctl((int)given->a, (int)given->b, (int)given->c, given->d);
		return true;
	case SYS_shmget:
		*ret_answer = shmget((key_t)given->a, (size_t)given->b, (int)given->c);
		return true;
	case SYS_shmat:
		*ret_answer = (long)shmat((int)given->a, (const void *)given->b, (int)given->c);
		return true;
	case SYS_shmdt:
		*ret_answer = shmdt((const void *)given->a);
		return true;
	case SYS_shmctl:
		*ret_answer = shmctl((int)given->a, (int)given->b, (struct shmid_ds *)given->c);
		return true;
	default:
		return false;
	}
}

/* Whether the caller is somebody else afterwards. */
static bool changes_user(long number)
{
	switch (number) {
	case SYS_setuid:
	case SYS_setreuid:
	case SYS_setresuid:
	case SYS_setgid:
	case SYS_setregid:
	case SYS_setresgid:
	case SYS_setgroups:
	case SYS_setfsuid:
	case SYS_setfsgid:
	case SYS_capset:
	case SYS_unshare:
	case SYS_setns:
		return true;
	default:
		return false;
	}
}

/* What comes and goes, of descriptors. */
static bool call_descriptor(long number, const struct arguments *given, long *ret_answer)
{
	switch (number) {
	case SYS_close:
		*ret_answer = __real_close((int)given->a);
		return true;
	case SYS_close_range:
		*ret_answer = close_range((unsigned)given->a, (unsigned)given->b, (int)given->c);
		return true;
	case SYS_dup:
		*ret_answer = dup((int)given->a);
		return true;
#ifdef SYS_dup2
	case SYS_dup2:
		*ret_answer = dup2((int)given->a, (int)given->b);
		return true;
#endif
	case SYS_dup3:
		*ret_answer = __real_dup3((int)given->a, (int)given->b, (int)given->c);
		return true;
	case SYS_fcntl:
		*ret_answer = fcntl((int)given->a, (int)given->b, given->c);
		return true;
	default:
		return false;
	}
}

static bool call_file(long number, const struct arguments *given, long *ret_answer)
{
	switch (number) {
	case SYS_read:
		*ret_answer = __real_read((int)given->a, (void *)given->b, (size_t)given->c);
		return true;
	case SYS_readv:
		*ret_answer = readv((int)given->a, (const struct iovec *)given->b, (int)given->c);
		return true;
	case SYS_pread64:
		*ret_answer = pread((int)given->a, (void *)given->b, (size_t)given->c, given->d);
		return true;
	case SYS_write:
		*ret_answer = __real_write((int)given->a, (const void *)given->b, (size_t)given->c);
		return true;
	case SYS_writev:
		*ret_answer = writev((int)given->a, (const struct iovec *)given->b, (int)given->c);
		return true;
	case SYS_pwrite64:
		*ret_answer = pwrite((int)given->a, (const void *)given->b, (size_t)given->c,
				     given->d);
		return true;
	case SYS_preadv:
		*ret_answer = preadv((int)given->a, (const struct iovec *)given->b, (int)given->c,
				     given->d);
		return true;
	case SYS_preadv2:
		*ret_answer = preadv2((int)given->a, (const struct iovec *)given->b, (int)given->c,
				      given->d, (int)given->f);
		return true;
	case SYS_pwritev:
		*ret_answer = pwritev((int)given->a, (const struct iovec *)given->b, (int)given->c,
				      given->d);
		return true;
	case SYS_pwritev2:
		*ret_answer = pwritev2((int)given->a, (const struct iovec *)given->b, (int)given->c,
				       given->d, (int)given->f);
		return true;
	case SYS_ioctl:
		*ret_answer = __real_ioctl((int)given->a, (unsigned long)given->b, given->c);
		return true;
	case SYS_lseek:
		*ret_answer = lseek((int)given->a, given->b, (int)given->c);
		return true;
	default:
		return false;
	}
}

static bool call_status(long number, const struct arguments *given, long *ret_answer)
{
	switch (number) {
	case SYS_fstat:
		*ret_answer = fstat((int)given->a, (struct stat *)given->b);
		return true;
#ifdef SYS_newfstatat
	case SYS_newfstatat:
		*ret_answer = fstatat((int)given->a, (const char *)given->b,
				      (struct stat *)given->c, (int)given->d);
		return true;
#endif
	case SYS_statx:
		*ret_answer = statx((int)given->a, (const char *)given->b, (int)given->c,
				    (unsigned)given->d, (struct statx *)given->e);
		return true;
	case SYS_fchmod:
		*ret_answer = __real_fchmod((int)given->a, (mode_t)given->b);
		return true;
	case SYS_fchown:
		*ret_answer = __real_fchown((int)given->a, (uid_t)given->b, (gid_t)given->c);
		return true;
	case SYS_fchownat:
		*ret_answer = fchownat((int)given->a, (const char *)given->b, (uid_t)given->c,
				       (gid_t)given->d, (int)given->e);
		return true;
	default:
		return false;
	}
}

/* What files are asked for, and these are not. */
static bool call_refused(long number, const struct arguments *given, long *ret_answer)
{
	int error;

	switch (number) {
	case SYS_fadvise64:
		error = posix_fadvise((int)given->a, given->b, given->c, (int)given->d);
		*ret_answer = error ? tni_fail(error) : 0;
		return true;
	case SYS_fallocate:
		*ret_answer = fallocate((int)given->a, (int)given->b, given->c, given->d);
		return true;
	case SYS_readahead:
		*ret_answer = readahead((int)given->a, given->b, (size_t)given->c);
		return true;
	case SYS_sync_file_range:
		*ret_answer = sync_file_range((int)given->a, given->b, given->c,
					      (unsigned)given->d);
		return true;
	case SYS_sendfile:
		*ret_answer = sendfile((int)given->a, (int)given->b, (off_t *)given->c,
				       (size_t)given->d);
		return true;
	case SYS_splice:
		*ret_answer = splice((int)given->a, (off64_t *)given->b, (int)given->c,
				     (off64_t *)given->d, (size_t)given->e, (unsigned)given->f);
		return true;
	case SYS_tee:
		*ret_answer = tee((int)given->a, (int)given->b, (size_t)given->c,
				  (unsigned)given->d);
		return true;
	case SYS_copy_file_range:
		*ret_answer = copy_file_range((int)given->a, (off64_t *)given->b, (int)given->c,
					      (off64_t *)given->d, (size_t)given->e,
					      (unsigned)given->f);
		return true;
	case SYS_vmsplice:
		*ret_answer = vmsplice((int)given->a, (const struct iovec *)given->b,
				       (size_t)given->c, (unsigned)given->d);
		return true;
	default:
		return false;
	}
}

/* The queues among these are told of; the call itself is not libc's, which would be a cancellation point. */
static void watch_polled(long number, const struct arguments *given)
{
	switch (number) {
#ifdef SYS_poll
	case SYS_poll:
#endif
	case SYS_ppoll:
		tni_watch_entries((const struct pollfd *)given->a, (nfds_t)given->b);
		return;
#ifdef SYS_select
	case SYS_select:
#endif
	case SYS_pselect6:
		tni_watch_sets((int)given->a, (const fd_set *)given->b, (const fd_set *)given->c);
		return;
	case SYS_epoll_ctl:
		if (given->b != EPOLL_CTL_DEL)
			tni_watch((int)given->c);
		return;
	default:
		return;
	}
}

TNI_STAND_IN long syscall(long number, ...)
{
	struct arguments given;
	va_list more;
	long answer;

	va_start(more, number);
	given.a = va_arg(more, long);
	given.b = va_arg(more, long);
	given.c = va_arg(more, long);
	given.d = va_arg(more, long);
	given.e = va_arg(more, long);
	given.f = va_arg(more, long);
	va_end(more);
	if (tni_face_is_on(TNI_FACE_POSIX_MQ) && call_queue(number, &given, &answer))
		return answer;
	if (tni_face_is_on(TNI_FACES_SYSV) && call_sysv(number, &given, &answer))
		return answer;
	if (__builtin_expect(tni_own_top() != 0, 0) && call_descriptor(number, &given, &answer))
		return answer;
	if (__builtin_expect(tni_get32(&tni_has_queues_) != 0, 0)) {
		if (call_descriptor(number, &given, &answer) ||
		    call_file(number, &given, &answer) || call_status(number, &given, &answer) ||
		    call_refused(number, &given, &answer))
			return answer;
		watch_polled(number, &given);
	}
	if (__builtin_expect(changes_user(number), 0))
		TNI_CALL_VOID(tenon_sysv_hold());
	answer = TNI_NEXT(syscall)(number, given.a, given.b, given.c, given.d, given.e, given.f);
	if (__builtin_expect(changes_user(number), 0))
		tenon_sysv_credentials();
	return answer;
}
