/* SPDX-License-Identifier: Apache-2.0 */

/*
 * mq_notify(3).  A thread of the library waits for the notice (object/queue_notice.c), all signals blocked, and
 * sends this process its signal, or makes the thread that was asked for: nobody else would be allowed to, of another
 * user.  Where this process has itself sent the message, the sending thread does it before its call returns;
 * whichever of the two sees the notice first.
 *
 * One registration of a process at a queue at a time, under a mutex of the queue's own: who has it may wait for the queue's
 * locks, and so for whoever is stopped with one.  The waiting thread has a reference to the queue, and so nobody waits for
 * it.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <tenon/posix.h>

#include "core/clock.h"
#include "core/quiet.h"
#include "object/queue_descriptor.h"
#include "posix/errmap.h"
#include "posix/mq_table.h"

#define SIGNAL_MOST 64

/* The thread that waits. */
#define WAITER_STACK_BYTES (64u * 1024)

struct waiter {
	struct tni_mq *mq;
	uint32_t serial;
};

static void send_signal(const struct sigevent *how, int32_t sender_pid, uint32_t sender_uid)
{
	siginfo_t info;

	memset(&info, 0, sizeof(info));
	info.si_signo = how->sigev_signo;
	info.si_code = SI_MESGQ;
	info.si_pid = sender_pid;
	info.si_uid = sender_uid;
	info.si_value = how->sigev_value;
	if (how->sigev_signo != 0)
		syscall(SYS_rt_sigqueueinfo, getpid(), how->sigev_signo, &info);
}

struct start {
	void (*function)(union sigval value);
	union sigval value;
};

static void *run(void *context)
{
	struct start start = *(struct start *)context;
	sigset_t none;

	free(context);
	sigemptyset(&none);
	pthread_sigmask(SIG_SETMASK, &none, NULL);
	start.function(start.value);
	return NULL;
}

static void make_thread(const struct tni_mq_registration *registration)
{
	struct start *start = malloc(sizeof(*start));
	pthread_t thread;

	if (!start)
		return;
	*start = (struct start){registration->how.sigev_notify_function,
				registration->how.sigev_value};
	if (pthread_create(&thread, &registration->attributes, run, start) != 0)
		free(start);
}

/* What was said of its stack, its scheduling and its processors; its signals are not blocked, whatever was said (run()). */
static int copy_attributes(pthread_attr_t *copy, const pthread_attr_t *given)
{
	struct sched_param parameters;
	size_t guard_bytes, stack_bytes;
	int inherits, policy, result;
	cpu_set_t processors;
	void *stack;

	pthread_attr_getguardsize(given, &guard_bytes);
	pthread_attr_getstack(given, &stack, &stack_bytes);
	pthread_attr_getinheritsched(given, &inherits);
	pthread_attr_getschedpolicy(given, &policy);
	pthread_attr_getschedparam(given, &parameters);
	result = pthread_attr_setguardsize(copy, guard_bytes);
	/* It ends at 0 where none was given. */
	if (result == 0 && (uintptr_t)stack + stack_bytes != 0)
		result = pthread_attr_setstack(copy, stack, stack_bytes);
	else if (result == 0 && stack_bytes != 0)
		result = pthread_attr_setstacksize(copy, stack_bytes);
	if (result == 0)
		result = pthread_attr_setinheritsched(copy, inherits);
	if (result == 0)
		result = pthread_attr_setschedpolicy(copy, policy);
	if (result == 0)
		result = pthread_attr_setschedparam(copy, &parameters);
	/* All that there could be where none were given. */
	if (result == 0 &&
	    pthread_attr_getaffinity_np(given, sizeof(processors), &processors) == 0 &&
	    CPU_COUNT(&processors) < CPU_SETSIZE)
		result = pthread_attr_setaffinity_np(copy, sizeof(processors), &processors);
	return result;
}

/* The program may destroy its attributes as soon as it is registered, and a copy of the struct would share what it points
 * to. */
static int take_attributes(struct tni_mq_registration *registration)
{
	const pthread_attr_t *given = registration->how.sigev_notify_attributes;
	int result = pthread_attr_init(&registration->attributes);

	if (result != 0)
		return -result;
	registration->has_attributes = true;
	/* Nobody knows of the thread who could join it. */
	pthread_attr_setdetachstate(&registration->attributes, PTHREAD_CREATE_DETACHED);
	return given ? -copy_attributes(&registration->attributes, given) : 0;
}

void tni_mq_forget_attributes(struct tni_mq_registration *registration)
{
	if (registration->has_attributes)
		pthread_attr_destroy(&registration->attributes);
	registration->has_attributes = false;
}

static void tell(const struct tni_mq_registration *registration, int32_t sender_pid,
		 uint32_t sender_uid)
{
	if (registration->how.sigev_notify == SIGEV_SIGNAL)
		send_signal(&registration->how, sender_pid, sender_uid);
	else if (registration->how.sigev_notify == SIGEV_THREAD)
		make_thread(registration);
}

/* Under the mutex, so that who finds that another thread was faster finds that it has been told of, too. */
static void take_and_tell(struct tni_mq *mq, uint32_t serial, int64_t deadline_ns)
{
	uint32_t uid;
	int32_t pid;
	int result;

	if (serial == 0 || tni_get32(&mq->serial) != serial)
		return;
	result = tni_notice_take(mq->queue, serial, deadline_ns, &pid, &uid);
	if (result == -EAGAIN)
		return;
	/* The thread that waits does it when it can. */
	if (result == -ETIMEDOUT) {
		tni_notice_rouse(mq->queue);
		return;
	}
	tni_set32(&mq->serial, 0);
	if (result == 0)
		tell(&mq->registration, pid, uid);
	/* The thread that waits for it has nothing to wait for. */
	tni_notice_rouse(mq->queue);
}

void tni_mq_tell(struct tni_mq *mq)
{
	int64_t grace_ns = tni_grace_ns();
	struct timespec grace = tni_timespec(grace_ns);
	struct tni_quiet before;

	tni_quiet_begin(&before);
	/* The call that this ends may have a deadline. */
	if (pthread_mutex_clocklock(&mq->registering, CLOCK_MONOTONIC, &grace) == 0) {
		take_and_tell(mq, tni_get32(&mq->serial), grace_ns);
		pthread_mutex_unlock(&mq->registering);
	} else {
		tni_notice_rouse(mq->queue);
	}
	tni_quiet_end(&before);
}

static void lock(struct tni_mq *mq, struct tni_quiet *ret_before)
{
	tni_quiet_begin(ret_before);
	pthread_mutex_lock(&mq->registering);
}

static void unlock(struct tni_mq *mq, const struct tni_quiet *before)
{
	pthread_mutex_unlock(&mq->registering);
	tni_quiet_end(before);
}

static void withdraw(struct tni_mq *mq, uint32_t serial)
{
	tni_set32(&mq->serial, 0);
	(void)!tni_notice_withdraw(mq->queue, serial);
}

void tni_mq_withdraw(struct tni_mq *mq, uint32_t serial)
{
	struct tni_quiet before;

	lock(mq, &before);
	if (serial != 0 && tni_get32(&mq->serial) == serial)
		withdraw(mq, serial);
	unlock(mq, &before);
}

static void *wait_for_notice(void *context)
{
	struct waiter waiter = *(struct waiter *)context;
	struct tni_mq *mq = waiter.mq;
	struct tni_quiet before;
	int result;

	free(context);
	do
		result = tni_notice_wait(mq->queue, waiter.serial, INT64_MAX);
	while (result == -EINTR || result == -EAGAIN);
	lock(mq, &before);
	take_and_tell(mq, waiter.serial, INT64_MAX);
	unlock(mq, &before);
	tni_mq_drop(mq);
	return NULL;
}

/* Under the mutex, and so with all signals blocked, which the thread inherits. */
static int start_waiter(struct tni_mq *mq, uint32_t serial)
{
	struct waiter *waiter = malloc(sizeof(*waiter));
	pthread_attr_t attributes;
	pthread_t thread;
	int result;

	if (!waiter)
		return -ENOMEM;
	*waiter = (struct waiter){mq, serial};
	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attributes, WAITER_STACK_BYTES);
	tni_mq_keep(mq);
	result = pthread_create(&thread, &attributes, wait_for_notice, waiter);
	pthread_attr_destroy(&attributes);
	if (result != 0) {
		tni_mq_drop(mq);
		free(waiter);
	}
	return -result;
}

static int enter(struct tni_mq *mq, const struct sigevent *how)
{
	struct tni_mq_registration registration = {.how = *how};
	uint32_t shown = (uint32_t)how->sigev_notify << 16, serial;
	int result = 0;

	if (how->sigev_notify == SIGEV_SIGNAL)
		shown |= (uint32_t)how->sigev_signo;
	if (how->sigev_notify == SIGEV_THREAD)
		result = take_attributes(&registration);
	if (result == 0) {
		/* What has come for an earlier one is told of first; also what came just now, which has made room for this one. */
		take_and_tell(mq, tni_get32(&mq->serial), INT64_MAX);
		result = tni_notice_register(mq->queue, shown, &serial);
	}
	if (result != 0) {
		tni_mq_forget_attributes(&registration);
		return result;
	}
	take_and_tell(mq, tni_get32(&mq->serial), INT64_MAX);
	tni_mq_forget_attributes(&mq->registration);
	mq->registration = registration;
	tni_store_total32(&mq->serial, serial); /* ORD(parted) */
	if (how->sigev_notify != SIGEV_NONE)
		result = start_waiter(mq, serial);
	if (result != 0)
		withdraw(mq, serial);
	return result;
}

static bool is_possible(const struct sigevent *how)
{
	switch (how->sigev_notify) {
	case SIGEV_SIGNAL:
		return how->sigev_signo >= 0 && how->sigev_signo <= SIGNAL_MOST;
	case SIGEV_THREAD:
	case SIGEV_NONE:
		return true;
	default:
		return false;
	}
}

int tenon_mq_notify(mqd_t queue, const struct sigevent *notification)
{
	struct tni_mqd *descriptor;
	struct tni_quiet before;
	int result = 0;

	if (notification && !is_possible(notification))
		return (int)tni_posix_result(-EINVAL);
	descriptor = tni_mqd_enter(queue);
	if (!descriptor)
		return (int)tni_posix_result(-EBADF);
	if (notification) {
		lock(descriptor->mq, &before);
		result = enter(descriptor->mq, notification);
		/* Who closed it meanwhile has found nothing to withdraw. */
		if (result == 0 && tni_load_total32(&descriptor->closed) != 0) /* ORD(parted) */
			withdraw(descriptor->mq, tni_get32(&descriptor->mq->serial));
		unlock(descriptor->mq, &before);
	} else {
		tni_mq_withdraw(descriptor->mq, tni_get32(&descriptor->mq->serial));
	}
	tni_mqd_leave(descriptor);
	return (int)tni_posix_result(result);
}
