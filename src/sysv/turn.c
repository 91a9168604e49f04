/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The turn is a lock on a byte of the object's file, which the kernel drops when its holder dies.  It is on an open file
 * description of its own: so threads of one process exclude each other, and a mapping, which keeps its description, keeps
 * no lock.  A child that is forked meanwhile has the description, too, and would keep the lock when its parent is long
 * dead: it closes those that are in the list.
 *
 * A handler that calls in would wait for the turn of the thread that it has interrupted; so there is none until its end.
 */

#include "sysv/turn.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include "abi/sysv.h"
#include "core/file.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct tni_sysv_turn *taken; /* or awaited */

static void lock(void)
{
	pthread_mutex_lock(&mutex);
}

static void unlock(void)
{
	pthread_mutex_unlock(&mutex);
}

static void fork_child(void)
{
	for (; taken; taken = taken->next)
		close(taken->fd);
	unlock();
}

static void prepare(void)
{
	pthread_atfork(lock, unlock, fork_child);
}

static void note(struct tni_sysv_turn *turn)
{
	lock();
	turn->next = taken;
	taken = turn;
	unlock();
}

static void strike(struct tni_sysv_turn *turn)
{
	struct tni_sysv_turn **at = &taken;

	lock();
	while (*at && *at != turn)
		at = &(*at)->next;
	if (*at)
		*at = turn->next;
	unlock();
}

static int set_lock(int fd, short type)
{
	struct flock lock = {
		.l_type = type, .l_whence = SEEK_SET, .l_start = TNI_SYSV_LOCK_OFFSET, .l_len = 1};
	int result;

	do
		result = fcntl(fd, F_OFD_SETLKW, &lock);
	while (result != 0 && errno == EINTR);
	return result == 0 ? 0 : -errno;
}

static void leave(struct tni_sysv_turn *turn)
{
	strike(turn);
	close(turn->fd);
	tni_quiet_end(&turn->before);
	turn->is_taken = false;
}

int tni_sysv_turn_take(struct tni_sysv_turn *turn, int fd)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	int result;

	pthread_once(&once, prepare);
	tni_quiet_begin(&turn->before);
	result = tni_file_reopen(fd, &turn->fd);
	if (result != 0) {
		tni_quiet_end(&turn->before);
		return result;
	}
	note(turn);
	turn->is_taken = true;
	result = set_lock(turn->fd, F_WRLCK);
	if (result != 0)
		leave(turn);
	return result;
}

void tni_sysv_turn_end(struct tni_sysv_turn *turn)
{
	if (!turn->is_taken)
		return;
	/* Also where others have got the description, as the child of vfork(2) has. */
	(void)!set_lock(turn->fd, F_UNLCK);
	leave(turn);
}
