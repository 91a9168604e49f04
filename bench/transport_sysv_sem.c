// SPDX-License-Identifier: Apache-2.0
/*
 * System V semaphores, with and without SEM_UNDO.  One program, compiled several times, as transport_sysv.c is.
 */

#include <sys/ipc.h>
#include <sys/sem.h>

#include "sync.h"
#include "transports.h"

union semun {
	int value;
};

#if defined(BENCH_PRELOADED)
#include "preload.h"
#define TRANSPORT transport_sysv_sem_preload
#define TRANSPORT_UNDO transport_sysv_sem_undo_preload
#define NAME "-preload"
#define TITLE ", calls of the preload library"

static int (*get_call)(key_t key, int count, int flags);
static int (*operate_call)(int set, struct sembuf *operations, size_t count);
static int (*control_call)(int set, int number, int command, ...);

static bool has_calls(void)
{
	if (get_call)
		return true;
	*(void **)&operate_call = preload_find("semop");
	*(void **)&control_call = preload_find("semctl");
	if (operate_call && control_call)
		*(void **)&get_call = preload_find("semget");
	return get_call != NULL;
}

#define semget get_call
#define semop operate_call
#define semctl control_call
#elif !defined(TENON_COMPAT_SYS_SEM_H)
#define TRANSPORT transport_sysv_sem
#define TRANSPORT_UNDO transport_sysv_sem_undo
#define NAME ""
#define TITLE ""
#else
#define TRANSPORT transport_sysv_sem_face
#define TRANSPORT_UNDO transport_sysv_sem_undo_face
#define NAME "-face"
#define TITLE ", compiled for Tenon"
#endif

static const char *refuse(const struct shape *shape)
{
#ifdef BENCH_PRELOADED
	if (!has_calls())
		return PRELOAD_MISSING;
#endif
	return refuse_unless_semaphore(shape);
}

static const char *refuse_undo(const struct shape *shape)
{
	return shape->pattern == PAIRS ? refuse(shape) : refuse_all_but_pairs(shape);
}

static int create_sysv(struct link *link)
{
	const union semun count = {.value = (int)sync_first_count(link)};
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
	return change_sysv(link, -1, sync_is_polled(link) ? IPC_NOWAIT : 0);
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

static const struct sync_calls sysv_sync = {acquire_sysv, release_sysv};
static const struct sync_calls sysv_undo_sync = {acquire_sysv_undo, release_sysv_undo};
SYNC_LOOPS(sysv)
SYNC_LOOPS(sysv_undo)

const struct transport TRANSPORT = {.name = "sysv-sem" NAME,
				    .title = "System V semaphore" TITLE,
				    .refuse = refuse,
				    .create = create_sysv,
				    .destroy = destroy_sysv,
				    .loops = &sysv_loops};
const struct transport TRANSPORT_UNDO = {.name = "sysv-sem-undo" NAME,
					 .title = "System V semaphore, SEM_UNDO" TITLE,
					 .refuse = refuse_undo,
					 .create = create_sysv,
					 .destroy = destroy_sysv,
					 .loops = &sysv_undo_loops};
