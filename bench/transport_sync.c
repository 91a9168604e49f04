// SPDX-License-Identifier: Apache-2.0
/*
 * The rivals of Tenon's synchronization objects: process-shared mutexes, plain and robust, alone and with a
 * condition variable; sem_t; eventfd as a semaphore, also behind epoll; a barrier.
 */

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "sync.h"
#include "transports.h"

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

	if (result == 0 && sem_init(&shared_of(link)->semaphore, 1, sync_first_count(link)) < 0)
		result = -errno;
	return result;
}

ALWAYS_INLINE int acquire_posix(struct link *link)
{
	sem_t *semaphore = &shared_of(link)->semaphore;
	int result = sync_is_polled(link) ? sem_trywait(semaphore) : sem_wait(semaphore);

	return result < 0 ? -errno : 0;
}

ALWAYS_INLINE int release_posix(struct link *link)
{
	return sem_post(&shared_of(link)->semaphore) < 0 ? -errno : 0;
}

static int create_eventfd(struct link *link)
{
	int result = link_map(link, sizeof(struct sync_shared));

	if (result < 0)
		return result;
	link->read_fd = eventfd(sync_first_count(link),
				EFD_SEMAPHORE | EFD_CLOEXEC |
					(sync_is_polled(link) ? EFD_NONBLOCK : 0));
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

/* What waits for many things, of one. */
static int attach_epoll(struct link *link, enum end end)
{
	struct epoll_event event = {.events = EPOLLIN};

	(void)end;
	link->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (link->epoll_fd < 0 ||
	    epoll_ctl(link->epoll_fd, EPOLL_CTL_ADD, link->read_fd, &event) < 0)
		return -errno;
	return 0;
}

ALWAYS_INLINE int acquire_epoll(struct link *link)
{
	struct epoll_event event;

	return epoll_wait(link->epoll_fd, &event, 1, -1) < 0 ? -errno : acquire_eventfd(link);
}

static int create_barrier(struct link *link)
{
	pthread_barrierattr_t attributes;
	int result = link_map(link, sizeof(struct sync_shared));

	if (result < 0)
		return result;
	pthread_barrierattr_init(&attributes);
	pthread_barrierattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
	result = -pthread_barrier_init(&shared_of(link)->barrier, &attributes, 2);
	pthread_barrierattr_destroy(&attributes);
	return result;
}

/* Who sends and who receives meet. */
ALWAYS_INLINE int meet_barrier(struct link *link)
{
	int result = pthread_barrier_wait(&shared_of(link)->barrier);

	return result == PTHREAD_BARRIER_SERIAL_THREAD ? 0 : -result;
}

static const struct sync_calls mutex_sync = {acquire_mutex, release_mutex};
static const struct sync_calls condition_sync = {wait_condition, signal_condition};
static const struct sync_calls posix_sync = {acquire_posix, release_posix};
static const struct sync_calls eventfd_sync = {acquire_eventfd, release_eventfd};
static const struct sync_calls epoll_sync = {acquire_epoll, release_eventfd};
static const struct sync_calls barrier_sync = {meet_barrier, meet_barrier};
SYNC_LOOPS(mutex)
SYNC_LOOPS(condition)
SYNC_LOOPS(posix)
SYNC_LOOPS(eventfd)
SYNC_LOOPS(epoll)
SYNC_LOOPS(barrier)

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
const struct transport transport_eventfd = {.name = "eventfd",
					    .title = "eventfd, EFD_SEMAPHORE",
					    .refuse = refuse_unless_semaphore,
					    .create = create_eventfd,
					    .destroy = destroy_eventfd,
					    .loops = &eventfd_loops};
const struct transport transport_epoll_eventfd = {.name = "epoll-eventfd",
						  .title = "epoll of an eventfd",
						  .refuse = refuse_all_but_trips,
						  .create = create_eventfd,
						  .attach = attach_epoll,
						  .destroy = destroy_eventfd,
						  .loops = &epoll_loops};
const struct transport transport_barrier = {.name = "barrier",
					    .title = "process-shared barrier",
					    .refuse = refuse_all_but_trips,
					    .create = create_barrier,
					    .loops = &barrier_loops};
