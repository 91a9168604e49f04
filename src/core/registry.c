/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The objects that this process has open, for its forks.
 *
 * A participant's lock belongs to an open file description, which a forked child shares: whatever the fork
 * handlers know of gets a description of its own in the child.  What another thread was just opening they do
 * not know of.  So whoever enters an object here opens its file anew if the process forked since it was
 * opened:
 *
 *	E1 count the forks	E2 open the file	fork: the child has the file	E3 enter: another file
 *	E4 lock a byte		fork: the handlers know of the object
 */

#include "core/registry.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include "core/file.h"
#include "core/quiet.h"
#include "core/robust.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct tni_object *registry;
static struct tni_file_hold *holds;
static uint64_t forks;		  /* that this process made */
static __thread int cancel_state; /* of the thread before it locked */
static pthread_key_t thread_key;  /* set in those that have a stake */
static bool has_thread_key;

/* What is done under the lock may be a cancellation point: a thread that ended there would keep it. */
void tni_registry_lock(void)
{
	int before = tni_cancel_off();

	pthread_mutex_lock(&mutex);
	cancel_state = before;
}

void tni_registry_unlock(void)
{
	int before = cancel_state;

	pthread_mutex_unlock(&mutex);
	tni_cancel_back(&before);
}

int tni_registry_renew(struct tni_object *object)
{
	int fd, result = tni_file_reopen(object->fd, &fd);

	if (result != 0)
		return result;
	if (dup3(fd, object->fd, O_CLOEXEC) < 0)
		result = -errno;
	close(fd);
	return result;
}

static void fork_prepare(void)
{
	TNI_NO_CANCEL;

	pthread_mutex_lock(&mutex);
	forks++;
	for (struct tni_object *object = registry; object; object = object->next)
		tni_object_lend(object);
	tni_robust_lock();
}

static void fork_parent(void)
{
	TNI_NO_CANCEL;

	tni_robust_unlock();
	for (struct tni_object *object = registry; object; object = object->next)
		tni_object_lent(object);
	pthread_mutex_unlock(&mutex);
}

/* The locks belong to the open file description, which the child shares: it must let go of it, or
 * its parent would seem alive for as long as the child lives. */
static void fork_child(void)
{
	for (struct tni_object *object = registry; object; object = object->next) {
		pthread_mutex_init(&object->burying, NULL);
		if (tni_object_borrow(object))
			continue;
		if (tni_registry_renew(object) != 0) {
			/* One who may not open it any more, and has it attached, shares the lock with its parent. */
			if (object->lend)
				continue;
			/* Without one of its own the child must do without the object. */
			close(object->fd);
			object->fd = -1;
		} else {
			tni_set32(&object->renewed, tni_process_generation());
		}
	}
	for (struct tni_file_hold *hold = holds; hold; hold = hold->next)
		close(hold->fd);
	holds = NULL;
	pthread_mutex_init(&mutex, NULL);
	tni_robust_renew();
}

static void register_fork_handlers(void)
{
	pthread_atfork(fork_prepare, fork_parent, fork_child);
}

uint64_t tni_registry_forks(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	uint64_t count;

	pthread_once(&once, register_fork_handlers);
	tni_registry_lock();
	count = forks;
	tni_registry_unlock();
	return count;
}

/* Destructors of others may run behind, and take stakes once more: then this runs again. */
static void end_thread(void *context)
{
	struct tni_thread *thread = tni_thread_self();

	(void)context;
	tni_registry_lock();
	for (struct tni_object *object = registry; object; object = object->next)
		if (tni_stake_leave(&object->stake, thread))
			object->rouse(object);
	tni_registry_unlock();
}

static void make_thread_key(void)
{
	has_thread_key = pthread_key_create(&thread_key, end_thread) == 0;
}

/* Where the library is unloaded, its code is gone before threads end. */
static __attribute__((destructor)) void drop_thread_key(void)
{
	if (has_thread_key)
		pthread_key_delete(thread_key);
}

void tni_registry_note_thread(struct tni_thread *thread)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, make_thread_key);
	if (has_thread_key)
		pthread_setspecific(thread_key, thread);
}

/* The description is opened where no child can come that the list does not say it to. */
static int hold_by(struct tni_file_hold *hold, int fd, int64_t offset,
		   int (*lock)(int fd, int64_t offset))
{
	int result;

	tni_registry_forks();
	tni_registry_lock();
	result = tni_file_reopen(fd, &hold->fd);
	if (result == 0) {
		hold->fd = tni_file_lift(hold->fd);
		hold->next = holds;
		holds = hold;
	} else {
		hold->fd = 0;
	}
	tni_registry_unlock();
	if (result != 0)
		return result;
	result = lock(hold->fd, offset);
	if (result != 0)
		tni_registry_release(hold);
	return result;
}

int tni_registry_hold(struct tni_file_hold *hold, int fd, int64_t offset)
{
	return hold_by(hold, fd, offset, tni_file_lock);
}

int tni_registry_try_hold(struct tni_file_hold *hold, int fd, int64_t offset)
{
	return hold_by(hold, fd, offset, tni_file_try_lock);
}

void tni_registry_release(struct tni_file_hold *hold)
{
	struct tni_file_hold **link = &holds;

	if (hold->fd == 0)
		return;
	tni_registry_lock();
	while (*link && *link != hold)
		link = &(*link)->next;
	if (*link)
		*link = hold->next;
	/* A child that has come without the fork handlers has the description, too. */
	tni_file_unlock(hold->fd);
	close(hold->fd);
	hold->fd = 0;
	tni_registry_unlock();
}

int tni_registry_enter(struct tni_object *object)
{
	int result = 0;

	tni_registry_lock();
	if (object->forks != forks)
		result = tni_registry_renew(object);
	if (result == 0) {
		object->next = registry;
		object->previous = NULL;
		if (registry)
			registry->previous = object;
		registry = object;
	}
	tni_registry_unlock();
	return result;
}

void tni_registry_leave(struct tni_object *object)
{
	tni_registry_lock();
	if (object->previous)
		object->previous->next = object->next;
	else
		registry = object->next;
	if (object->next)
		object->next->previous = object->previous;
	/* Before a fork can come, whose child would keep it. */
	close(object->fd);
	object->fd = -1;
	tni_registry_unlock();
}
