/* SPDX-License-Identifier: Apache-2.0 */

/*
 * mq_notify(3).  A thread of the library waits for the notice (object/queue_notice.c), all signals blocked, and
 * sends this process its signal, or makes the thread that was asked for: nobody else would be allowed to, of another
 * user.  Where this process has itself sent the message, the sending thread does it before its call returns;
 * whichever of the two sees the notice first.
 *
 * One registration of a process at a queue at a time.  Under the mutex of posix/mq_table.c; the waiting thread has a
 * reference to the queue, and so nobody waits for it.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <tenon/posix.h>

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
	pthread_attr_t attributes;
	pthread_t thread;

	if (!start)
		return;
	*start = (struct start){registration->how.sigev_notify_function,
				registration->how.sigev_value};
	if (registration->has_attributes)
		attributes = registration->attributes;
	else
		pthread_attr_init(&attributes);
	/* Nobody knows of it who could join it. */
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	if (pthread_create(&thread, &attributes, run, start) != 0)
		free(start);
	if (!registration->has_attributes)
		pthread_attr_destroy(&attributes);
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
static void take_and_tell(struct tni_mq *mq, uint32_t serial)
{
	uint32_t uid;
	int32_t pid;
	int result;

	if (serial == 0 || tni_get32(&mq->serial) != serial)
		return;
	result = tni_notice_take(mq->queue, serial, &pid, &uid);
	if (result == -EAGAIN)
		return;
	tni_set32(&mq->serial, 0);
	if (result == 0)
		tell(&mq->registration, pid, uid);
	/* The thread that waits for it has nothing to wait for. */
	tni_notice_rouse(mq->queue);
}

void tni_mq_tell(struct tni_mq *mq)
{
	tni_mq_lock();
	take_and_tell(mq, tni_get32(&mq->serial));
	tni_mq_unlock();
}

void tni_mq_withdraw(struct tni_mq *mq)
{
	uint32_t serial = tni_get32(&mq->serial);

	if (serial == 0)
		return;
	tni_set32(&mq->serial, 0);
	(void)!tni_notice_withdraw(mq->queue, serial);
}

static void *wait_for_notice(void *context)
{
	struct waiter waiter = *(struct waiter *)context;
	struct tni_mq *mq = waiter.mq;
	int result;

	free(context);
	do
		result = tni_notice_wait(mq->queue, waiter.serial, INT64_MAX);
	while (result == -EINTR || result == -EAGAIN);
	tni_mq_lock();
	take_and_tell(mq, waiter.serial);
	tni_mq_release(mq);
	tni_mq_unlock();
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
	mq->references++;
	result = pthread_create(&thread, &attributes, wait_for_notice, waiter);
	pthread_attr_destroy(&attributes);
	if (result != 0) {
		mq->references--;
		free(waiter);
	}
	return -result;
}

static int enter(struct tni_mq *mq, const struct sigevent *how)
{
	uint32_t shown = (uint32_t)how->sigev_notify << 16, serial;
	int result;

	if (how->sigev_notify == SIGEV_SIGNAL)
		shown |= (uint32_t)how->sigev_signo;
	result = tni_notice_register(mq->queue, shown, &serial);
	if (result != 0)
		return result;
	mq->registration = (struct tni_mq_registration){.how = *how};
	if (how->sigev_notify == SIGEV_THREAD && how->sigev_notify_attributes) {
		mq->registration.attributes = *how->sigev_notify_attributes;
		mq->registration.has_attributes = true;
	}
	tni_set32(&mq->serial, serial);
	if (how->sigev_notify != SIGEV_NONE)
		result = start_waiter(mq, serial);
	if (result != 0)
		tni_mq_withdraw(mq);
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
	int result = 0;

	if (notification && !is_possible(notification))
		return (int)tni_posix_result(-EINVAL);
	descriptor = tni_mqd_enter(queue);
	if (!descriptor)
		return (int)tni_posix_result(-EBADF);
	if (notification) {
		/* What has come for an earlier one is told of first. */
		if (tni_get32(&descriptor->mq->serial) != 0)
			tni_mq_tell(descriptor->mq);
		tni_mq_lock();
		result = enter(descriptor->mq, notification);
		tni_mq_unlock();
	} else {
		tni_mq_lock();
		tni_mq_withdraw(descriptor->mq);
		tni_mq_unlock();
	}
	tni_mqd_leave(descriptor);
	return (int)tni_posix_result(result);
}
