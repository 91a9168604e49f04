// SPDX-License-Identifier: Apache-2.0
/*
 * The rivals of Tenon's synchronization objects: process-shared mutexes, plain and robust, alone and with a
 * condition variable; sem_t; the System V semaphore, with and without SEM_UNDO; eventfd as a semaphore.
 */

#include <sys/eventfd.h>
#include <sys/ipc.h>
#include <sys/sem.h>
#include <unistd.h>

#include "sync.h"
#include "transports.h"

static bool is_polled(const struct link *link)
{
	return link->shape->wait == WAIT_POLL;
}

/* A semaphore that is a lock is free at first; what a round trip waits for has yet to come. */
static uint32_t first_count(const struct link *link)
{
	return link->shape->pattern == PAIRS ? 1 : 0;
}

static struct sync_shared *shared_of(const struct link *link)
{
	return link->shared;
}

static int create_mutex_of(struct link *link, int robustness)
{
	pthread_mutexattr_t attributes;
	pthread_condattr_t condition_attributes;
	int result = link_map(link, sizeof(struct sync_shared));

	if (result < 0)
		return result;
	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&attributes, robustness);
	result = -pthread_mutex_init(&shared_of(link)->mutex, &attributes);
	pthread_mutexattr_destroy(&attributes);
	pthread_condattr_init(&condition_attributes);
	pthread_condattr_setpshared(&condition_attributes, PTHREAD_PROCESS_SHARED);
	if (result == 0)
		result = -pthread_cond_init(&shared_of(link)->condition, &condition_attributes);
	pthread_condattr_destroy(&condition_attributes);
	return result;
}

static int create_mutex(struct link *link)
{
	return create_mutex_of(link, PTHREAD_MUTEX_STALLED);
}

static int create_robust(struct link *link)
{
	return create_mutex_of(link, PTHREAD_MUTEX_ROBUST);
}

ALWAYS_INLINE int acquire_mutex(struct link *link)
{
	return -pthread_mutex_lock(&shared_of(link)->mutex);
}

ALWAYS_INLINE int release_mutex(struct link *link)
{
	return -pthread_mutex_unlock(&shared_of(link)->mutex);
}

/* Waits for the other one's turn. */
ALWAYS_INLINE int wait_condition(struct link *link)
{
	struct sync_shared *shared = shared_of(link);
	int result = pthread_mutex_lock(&shared->mutex);

	if (result != 0)
		return -result;
	while (shared->turn == (uint32_t)link->position && result == 0)
		result = pthread_cond_wait(&shared->condition, &shared->mutex);
	link->position = shared->turn;
	pthread_mutex_unlock(&shared->mutex);
	return -result;
}

ALWAYS_INLINE int signal_condition(struct link *link)
{
	struct sync_shared *shared = shared_of(link);
	int result = pthread_mutex_lock(&shared->mutex);

	if (result != 0)
		return -result;
	shared->turn++;
	result = pthread_cond_signal(&shared->condition);
	pthread_mutex_unlock(&shared->mutex);
	return -result;
}

static int create_posix(struct link *link)
{
	int result = link_map(link, sizeof(struct sync_shared));

	if (result == 0 && sem_init(&shared_of(link)->semaphore, 1, first_count(link)) < 0)
		result = -errno;
	return result;
}

ALWAYS_INLINE int acquire_posix(struct link *link)
{
	sem_t *semaphore = &shared_of(link)->semaphore;
	int result = is_polled(link) ? sem_trywait(semaphore) : sem_wait(semaphore);

	return result < 0 ? -errno : 0;
}

ALWAYS_INLINE int release_posix(struct link *link)
{
	return sem_post(&shared_of(link)->semaphore) < 0 ? -errno : 0;
}

union semun {
	int value;
};

static int create_sysv(struct link *link)
{
	const union semun count = {.value = (int)first_count(link)};
	int result = link_map(link, sizeof(struct sync_shared));

	if (result < 0)
		return result;
	link->read_fd = semget(IPC_PRIVATE, 1, 0600);
	if (link->read_fd < 0 || semctl(link->read_fd, 0, SETVAL, count) < 0)
		return -errno;
	return 0;
}

static void destroy_sysv(struct link *link)
{
	if (link->read_fd >= 0)
		semctl(link->read_fd, 0, IPC_RMID);
}

ALWAYS_INLINE int change_sysv(struct link *link, short change, short flags)
{
	struct sembuf operation = {.sem_num = 0, .sem_op = change, .sem_flg = flags};

	return semop(link->read_fd, &operation, 1) < 0 ? -errno : 0;
}

ALWAYS_INLINE int acquire_sysv(struct link *link)
{
	return change_sysv(link, -1, is_polled(link) ? IPC_NOWAIT : 0);
}

ALWAYS_INLINE int release_sysv(struct link *link)
{
	return change_sysv(link, 1, 0);
}

ALWAYS_INLINE int acquire_sysv_undo(struct link *link)
{
	return change_sysv(link, -1, SEM_UNDO);
}

ALWAYS_INLINE int release_sysv_undo(struct link *link)
{
	return change_sysv(link, 1, SEM_UNDO);
}

static int create_eventfd(struct link *link)
{
	int result = link_map(link, sizeof(struct sync_shared));

	if (result < 0)
		return result;
	link->read_fd = eventfd(first_count(link),
				EFD_SEMAPHORE | EFD_CLOEXEC | (is_polled(link) ? EFD_NONBLOCK : 0));
	return link->read_fd < 0 ? -errno : 0;
}

static void destroy_eventfd(struct link *link)
{
	if (link->read_fd >= 0)
		close(link->read_fd);
}

ALWAYS_INLINE int acquire_eventfd(struct link *link)
{
	uint64_t count;

	return read(link->read_fd, &count, sizeof(count)) < 0 ? -errno : 0;
}

ALWAYS_INLINE int release_eventfd(struct link *link)
{
	const uint64_t count = 1;

	return write(link->read_fd, &count, sizeof(count)) < 0 ? -errno : 0;
}

static const struct sync_calls mutex_sync = {acquire_mutex, release_mutex};
static const struct sync_calls condition_sync = {wait_condition, signal_condition};
static const struct sync_calls posix_sync = {acquire_posix, release_posix};
static const struct sync_calls sysv_sync = {acquire_sysv, release_sysv};
static const struct sync_calls sysv_undo_sync = {acquire_sysv_undo, release_sysv_undo};
static const struct sync_calls eventfd_sync = {acquire_eventfd, release_eventfd};
SYNC_LOOPS(mutex)
SYNC_LOOPS(condition)
SYNC_LOOPS(posix)
SYNC_LOOPS(sysv)
SYNC_LOOPS(sysv_undo)
SYNC_LOOPS(eventfd)

const struct transport transport_mutex = {.name = "mutex",
					  .title = "process-shared mutex",
					  .refuse = refuse_all_but_pairs,
					  .create = create_mutex,
					  .loops = &mutex_loops};
const struct transport transport_mutex_robust = {.name = "mutex-robust",
						 .title = "robust process-shared mutex",
						 .refuse = refuse_all_but_pairs,
						 .create = create_robust,
						 .loops = &mutex_loops};
const struct transport transport_cond = {.name = "cond",
					 .title = "condition variable, plain mutex",
					 .refuse = refuse_all_but_trips,
					 .create = create_mutex,
					 .loops = &condition_loops};
const struct transport transport_cond_robust = {.name = "cond-robust",
						.title = "condition variable, robust mutex",
						.refuse = refuse_all_but_trips,
						.create = create_robust,
						.loops = &condition_loops};
const struct transport transport_posix_sem = {.name = "posix-sem",
					      .title = "POSIX semaphore (sem_t)",
					      .refuse = refuse_unless_semaphore,
					      .create = create_posix,
					      .loops = &posix_loops};
const struct transport transport_sysv_sem = {.name = "sysv-sem",
					     .title = "System V semaphore",
					     .refuse = refuse_unless_semaphore,
					     .create = create_sysv,
					     .destroy = destroy_sysv,
					     .loops = &sysv_loops};
const struct transport transport_sysv_sem_undo = {.name = "sysv-sem-undo",
						  .title = "System V semaphore, SEM_UNDO",
						  .refuse = refuse_all_but_pairs,
						  .create = create_sysv,
						  .destroy = destroy_sysv,
						  .loops = &sysv_undo_loops};
const struct transport transport_eventfd = {.name = "eventfd",
					    .title = "eventfd, EFD_SEMAPHORE",
					    .refuse = refuse_unless_semaphore,
					    .create = create_eventfd,
					    .destroy = destroy_eventfd,
					    .loops = &eventfd_loops};
