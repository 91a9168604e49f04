/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The kernel's message queues with one thing wrong, for selftest.py: each requirement has to be seen to
 * fail.  It is preloaded; TENON_MUTANT says what is wrong.
 */

#include <ctype.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <mqueue.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SHIFT 16u

mqd_t __mq_open_2(const char *name, int oflag);

static bool is(const char *mutant)
{
	const char *wanted = getenv("TENON_MUTANT");

	return wanted && strcmp(wanted, mutant) == 0;
}

#define REAL(name) ((__typeof__(&name))(uintptr_t)dlsym(RTLD_NEXT, #name))

static int fail(int error)
{
	errno = error;
	return -1;
}

/* The name that is used instead. */
static const char *name_for(const char *name, char *other, size_t bytes)
{
	snprintf(other, bytes, "%s%s", is("no-slash") && name[0] != '/' ? "/" : "", name);
	for (char *c = other; *c; c++) {
		if (is("slashes") && c > other && *c == '/')
			*c = '_';
		if (is("lower-case"))
			*c = (char)tolower(*c);
	}
	if (is("dots") && other[1] == '.')
		other[1] = '_';
	if (is("long") && strlen(other) > 256)
		other[256] = '\0';
	if (is("root") && strcmp(other, "/") == 0)
		snprintf(other, bytes, "/root");
	return other;
}

static bool is_refused(const char *name)
{
	return (is("short") && strlen(name) > 250) ||
	       (is("no-dots") && strchr(name, '.') == name + 1) ||
	       (is("ascii-only") && strchr(name, '\xff'));
}

static void fit(struct mq_attr *attributes)
{
	if (is("flags-given"))
		return;
	if (is("clamp")) {
		long *sizes[] = {&attributes->mq_maxmsg, &attributes->mq_msgsize};

		for (int i = 0; i < 2; i++) {
			if (*sizes[i] < 1)
				*sizes[i] = 1;
			if (*sizes[i] > 8192)
				*sizes[i] = 5;
		}
	}
}

static mqd_t open_with(const char *name, int oflag, mode_t mode, struct mq_attr *given)
{
	struct mq_attr attributes = {.mq_maxmsg = 3, .mq_msgsize = 100};
	struct mq_attr *used = given ? &attributes : NULL;
	mode_t mask = 0;
	mqd_t queue;

	if (given)
		attributes = *given;
	fit(&attributes);
	if (is("default-3"))
		used = &attributes;
	if (is("default-always"))
		used = NULL;
	if (is("mode-666") || is("mode-0"))
		mask = umask(0);
	if (is("mode-666"))
		mode |= 0666;
	if (is("mode-0"))
		mode &= 0700;
	if (is("no-umask"))
		mask = umask(0);
	queue = REAL(mq_open)(name, oflag, mode, used);
	if (is("mode-666") || is("mode-0") || is("no-umask"))
		umask(mask);
	return queue;
}

mqd_t mq_open(const char *name, int oflag, ...)
{
	struct mq_attr *given = NULL;
	mode_t mode = 0600;
	char other[6000];
	mqd_t queue;
	va_list arguments;

	va_start(arguments, oflag);
	if (oflag & O_CREAT) {
		mode = va_arg(arguments, mode_t);
		given = va_arg(arguments, struct mq_attr *);
	}
	va_end(arguments);
	name = name_for(name, other, sizeof(other));
	if (is_refused(name))
		return fail(ENAMETOOLONG);
	if (is("no-default") && (oflag & O_CREAT) && !given)
		return fail(ENOSPC);
	if (is("always-create"))
		oflag |= O_CREAT;
	if (is("no-exclusive"))
		oflag &= ~O_EXCL;
	if (is("exclusive") && (oflag & O_CREAT))
		oflag |= O_EXCL;
	if (is("exclusive-racy") && (oflag & O_EXCL)) {
		queue = REAL(mq_open)(name, O_RDWR);
		if (queue != -1)
			return fail(EEXIST);
		oflag &= ~O_EXCL;
	}
	if (is("read-write"))
		oflag = (oflag & ~O_ACCMODE) | O_RDWR;
	if (is("read-only-all") && (oflag & O_ACCMODE) == O_RDWR)
		oflag &= ~O_ACCMODE;
	if (is("blocking"))
		oflag &= ~O_NONBLOCK;
	if (is("flags-given") && given)
		oflag |= (int)given->mq_flags & O_NONBLOCK;
	if (is("check-existing") && given && (given->mq_maxmsg <= 0 || given->mq_msgsize <= 0))
		return fail(EINVAL);
	if (is("recreates") && (oflag & O_CREAT) && !(oflag & O_EXCL))
		(void)REAL(mq_unlink)(name);
	if (is("one-owner") && geteuid() != 0)
		mode = 0666;
	queue = open_with(name, oflag, mode, given);
	if (queue == -1)
		return is("one-error") ? fail(EPERM) : -1;
	if (is("no-cloexec"))
		fcntl(queue, F_SETFD, 0);
	if (is("high") || is("leaks")) {
		int copy = fcntl(queue, F_DUPFD_CLOEXEC, 150);

		if (is("leaks"))
			return queue;
		REAL(close)(queue);
		return copy;
	}
	if (is("clears-errno"))
		errno = 0;
	if (is("pipe")) {
		int pipes[2];

		REAL(close)(queue);
		return pipe(pipes) == 0 ? pipes[0] : -1;
	}
	if (is("one-descriptor")) {
		static mqd_t only = -1;

		if (only == -1 || (oflag & O_EXCL))
			only = queue;
		return only;
	}
	return queue;
}

mqd_t __mq_open_2(const char *name, int oflag)
{
	return is("no-fortified") ? fail(ENOSYS) : mq_open(name, oflag);
}

int mq_unlink(const char *name)
{
	char other[6000];

	name = name_for(name, other, sizeof(other));
	if (is("no-unlink"))
		return 0;
	if (REAL(mq_unlink)(name) == 0)
		return 0;
	if (is("unlink-succeeds"))
		return 0;
	if (is("unlink-eperm") && errno == EACCES)
		return fail(EPERM);
	return is("one-error") ? fail(EPERM) : -1;
}

static int end(int fd)
{
	struct mq_attr attributes;

	if (is("close-nothing") && REAL(mq_getattr)(fd, &attributes) == 0)
		return 0;
	if (is("close-fails"))
		return fail(EBADF);
	if (is("close-drains") && REAL(mq_getattr)(fd, &attributes) == 0) {
		struct timespec passed = {0};
		char buffer[8192];

		while (REAL(mq_timedreceive)(fd, buffer, sizeof(buffer), NULL, &passed) >= 0)
			;
	}
	return REAL(close)(fd) == 0 ? 0 : is("close-succeeds") ? 0 : -1;
}

int mq_close(mqd_t queue)
{
	return end(queue);
}

int close(int fd)
{
	return is("close-plain") && fcntl(fd, F_GETFD) != -1 ? 0 : end(fd);
}

/* Waits by poll, as nobody must who has to be seen to be blocked. */
static int await_by_poll(mqd_t queue, short events, const struct timespec *deadline)
{
	struct pollfd one = {.fd = queue, .events = events};

	if ((fcntl(queue, F_GETFL) & O_NONBLOCK) || deadline)
		return 0;
	return poll(&one, 1, -1) < 0 ? -1 : 0;
}

/* What is wrong with deadlines. */
static int change_deadline(const struct timespec **deadline, struct timespec *other)
{
	if (!*deadline) {
		return is("null-einval") ? fail(EINVAL) : 0;
	}
	*other = **deadline;
	if (is("early") && other->tv_sec > 1000000000) {
		other->tv_nsec -= 500000;
		if (other->tv_nsec < 0 && other->tv_sec > 0) {
			other->tv_nsec += 1000000000;
			other->tv_sec--;
		}
	}
	if (is("unchecked")) {
		if (other->tv_nsec < 0 || other->tv_nsec > 999999999)
			other->tv_nsec = 0;
		if (other->tv_sec < 0)
			other->tv_sec = 0;
	}
	if (is("strict") && (other->tv_nsec == 0 || other->tv_nsec == 999999999))
		return fail(EINVAL);
	if (is("impatient") && other->tv_sec < 1000000000 && other->tv_sec >= 0)
		return fail(ETIMEDOUT);
	if (is("never"))
		other->tv_sec += 1000000;
	*deadline = other;
	return 0;
}

static int begin(mqd_t queue, short events, const struct timespec **deadline,
		 struct timespec *other)
{
	if (change_deadline(deadline, other) != 0)
		return -1;
	if (is("polls") && await_by_poll(queue, events, *deadline) != 0)
		return -1;
	if (is("no-wait")) {
		struct pollfd one = {.fd = queue, .events = events};

		if (poll(&one, 1, 0) == 0)
			return fail(EAGAIN);
	}
	return 0;
}

static ssize_t cancellation(int *state)
{
	if (is("no-point"))
		pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, state);
	if (is("always-point"))
		pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, state);
	return 0;
}

static int send_until(mqd_t queue, const char *data, size_t bytes, unsigned priority,
		      const struct timespec *deadline)
{
	static unsigned counter;
	struct mq_attr attributes = {0};
	struct timespec other;
	int result, state = PTHREAD_CANCEL_ENABLE;

	(void)REAL(mq_getattr)(queue, &attributes);
	if (is("truncates") && bytes > (size_t)attributes.mq_msgsize)
		bytes = (size_t)attributes.mq_msgsize;
	if (is("no-empty") && bytes == 0)
		return 0;
	if (is("priority-0"))
		priority = 0;
	if (is("upside-down") && priority < 32768)
		priority = 32767 - priority;
	if (is("newest-first") && priority < 1000)
		priority = priority * SHIFT + counter++ % SHIFT;
	if (is("priority-any"))
		priority &= 32767;
	if (is("priority-31") && priority > 31)
		return fail(EINVAL);
	if (is("loses") && counter++ % 100 == 99)
		return 0;
	if (is("doubles") && counter++ % 100 == 99)
		(void)REAL(mq_send)(queue, data, bytes, priority);
	if (begin(queue, POLLOUT, &deadline, &other) != 0)
		return -1;
	(void)cancellation(&state);
	do
		result = deadline ? REAL(mq_timedsend)(queue, data, bytes, priority, deadline)
				  : REAL(mq_send)(queue, data, bytes, priority);
	while (result < 0 && errno == EINTR && is("no-eintr"));
	if (is("no-point") || is("always-point"))
		pthread_setcancelstate(state, NULL);
	if (result < 0 && errno == EAGAIN && is("full-succeeds"))
		return 0;
	return result < 0 && is("one-error") ? fail(EPERM) : result;
}

int mq_send(mqd_t queue, const char *data, size_t bytes, unsigned priority)
{
	return send_until(queue, data, bytes, priority, NULL);
}

int mq_timedsend(mqd_t queue, const char *data, size_t bytes, unsigned priority,
		 const struct timespec *deadline)
{
	return send_until(queue, data, bytes, priority, deadline);
}

static ssize_t receive_until(mqd_t queue, char *buffer, size_t bytes, unsigned *ret_priority,
			     const struct timespec *deadline)
{
	char large[8192];
	struct timespec other;
	unsigned priority = 0;
	ssize_t result;
	int state = PTHREAD_CANCEL_ENABLE;
	size_t given = bytes;
	char *place = buffer;

	if (is("short-buffer") && bytes < sizeof(large)) {
		place = large;
		bytes = sizeof(large);
	}
	if (begin(queue, POLLIN, &deadline, &other) != 0)
		return -1;
	(void)cancellation(&state);
	do
		result = deadline ? REAL(mq_timedreceive)(queue, place, bytes, &priority, deadline)
				  : REAL(mq_receive)(queue, place, bytes, &priority);
	while (result < 0 && errno == EINTR && is("no-eintr"));
	if (is("no-point") || is("always-point"))
		pthread_setcancelstate(state, NULL);
	if (result < 0)
		return is("one-error") ? fail(EPERM) : result;
	if (place == large)
		memcpy(buffer, large, given);
	if (is("clears") && bytes > (size_t)result)
		memset(buffer + result, 0, bytes - (size_t)result);
	if (is("newest-first"))
		priority /= SHIFT;
	if (is("upside-down"))
		priority = 32767 - priority;
	if (ret_priority || is("null-priority"))
		*ret_priority = priority;
	return is("full-length") ? (ssize_t)bytes : result;
}

ssize_t mq_receive(mqd_t queue, char *buffer, size_t bytes, unsigned *ret_priority)
{
	return receive_until(queue, buffer, bytes, ret_priority, NULL);
}

ssize_t mq_timedreceive(mqd_t queue, char *buffer, size_t bytes, unsigned *ret_priority,
			const struct timespec *deadline)
{
	return receive_until(queue, buffer, bytes, ret_priority, deadline);
}

int mq_getattr(mqd_t queue, struct mq_attr *ret_attributes)
{
	int result = REAL(mq_getattr)(queue, ret_attributes);

	if (result == 0 && is("stale"))
		ret_attributes->mq_curmsgs = 0;
	if (result == 0 && is("flags-0"))
		ret_attributes->mq_flags = 0;
	return result;
}

int mq_setattr(mqd_t queue, const struct mq_attr *attributes, struct mq_attr *ret_before)
{
	struct mq_attr used = *attributes;

	if (is("any-flags"))
		used.mq_flags &= O_NONBLOCK;
	if (is("strict-set") && (used.mq_maxmsg || used.mq_curmsgs))
		return fail(EINVAL);
	if (is("sets-nothing"))
		return REAL(mq_getattr)(queue, &used);
	if (is("tells-after")) {
		int result = REAL(mq_setattr)(queue, &used, NULL);

		return ret_before ? REAL(mq_getattr)(queue, ret_before) : result;
	}
	return REAL(mq_setattr)(queue, &used, ret_before);
}

int mq_notify(mqd_t queue, const struct sigevent *event)
{
	struct sigevent other, none = {.sigev_notify = SIGEV_NONE};
	struct mq_attr attributes;
	int result;

	if (is("notify-succeeds")) {
		result = REAL(mq_getattr)(queue, &attributes);
		return result;
	}
	if (!event) {
		if (is("stays-registered"))
			return 0;
		if (is("null-refused") && REAL(mq_notify)(queue, &none) == 0) {
			(void)REAL(mq_notify)(queue, NULL);
			return fail(EINVAL);
		}
		return REAL(mq_notify)(queue, event);
	}
	other = *event;
	if (is("no-value"))
		other.sigev_value.sival_ptr = NULL;
	if (is("no-signal") && other.sigev_notify == SIGEV_SIGNAL)
		other = none;
	if (is("no-thread") && other.sigev_notify == SIGEV_THREAD)
		other = none;
	if (is("no-attributes"))
		other.sigev_notify_attributes = NULL;
	if (is("any-signal") && (other.sigev_signo < 0 || other.sigev_signo > 64))
		other.sigev_signo = SIGUSR1;
	if (is("any-way") && (other.sigev_notify < 0 || other.sigev_notify > 2))
		other.sigev_notify = SIGEV_NONE;
	if (is("signal-checked") && other.sigev_notify == SIGEV_SIGNAL && other.sigev_signo == 0)
		return fail(EINVAL);
	if (is("registers-again"))
		(void)REAL(mq_notify)(queue, NULL);
	if (is("reader-only") && (fcntl(queue, F_GETFL) & O_ACCMODE) == O_WRONLY)
		return fail(EBADF);
	if (is("at-once") && REAL(mq_getattr)(queue, &attributes) == 0 && attributes.mq_curmsgs > 0)
		raise(other.sigev_signo);
	result = REAL(mq_notify)(queue, &other);
	return result < 0 && is("one-error") ? fail(EPERM) : result;
}
