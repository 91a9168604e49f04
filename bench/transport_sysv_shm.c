// SPDX-License-Identifier: Apache-2.0
/*
 * System V shared memory: a pair is shmat and shmdt of a segment of 64 KiB that has been written to once.  One program,
 * compiled several times, as transport_sysv.c is.
 */

#include <sys/ipc.h>
#include <sys/shm.h>

#include "sync.h"
#include "transports.h"

#if defined(BENCH_PRELOADED)
#include "preload.h"
#define TRANSPORT transport_sysv_shm_preload
#define NAME "sysv-shm-preload"
#define TITLE "System V shared memory, calls of the preload library"

static int (*get_call)(key_t key, size_t bytes, int flags);
static void *(*attach_call)(int segment, const void *address, int flags);
static int (*detach_call)(const void *address);
static int (*control_call)(int segment, int command, struct shmid_ds *status);

static bool has_calls(void)
{
	if (get_call)
		return true;
	*(void **)&attach_call = preload_find("shmat");
	*(void **)&detach_call = preload_find("shmdt");
	*(void **)&control_call = preload_find("shmctl");
	if (attach_call && detach_call && control_call)
		*(void **)&get_call = preload_find("shmget");
	return get_call != NULL;
}

#define shmget get_call
#define shmat attach_call
#define shmdt detach_call
#define shmctl control_call
#elif !defined(TENON_COMPAT_SYS_SHM_H)
#define TRANSPORT transport_sysv_shm
#define NAME "sysv-shm"
#define TITLE "System V shared memory"
#else
#define TRANSPORT transport_sysv_shm_face
#define NAME "sysv-shm-face"
#define TITLE "System V shared memory, compiled for Tenon"
#endif

#define BYTES 65536u

static const char *refuse(const struct shape *shape)
{
#ifdef BENCH_PRELOADED
	if (!has_calls())
		return PRELOAD_MISSING;
#elif !defined(TENON_COMPAT_SYS_SHM_H)
	/* Only the kernel's is to be tried: Tenon's would make its folder outside of the benchmark's. */
	int segment = shmget(IPC_PRIVATE, BYTES, 0600);

	if (segment < 0 && errno == ENOSYS)
		return "has no System V shared memory";
	if (segment >= 0)
		shmctl(segment, IPC_RMID, NULL);
#endif
	return refuse_all_but_pairs(shape);
}

static int create(struct link *link)
{
	void *memory;
	int result = link_map(link, sizeof(struct sync_shared));

	if (result < 0)
		return result;
	link->read_fd = shmget(IPC_PRIVATE, BYTES, 0600);
	if (link->read_fd < 0)
		return -errno;
	memory = shmat(link->read_fd, NULL, 0);
	if (memory == (void *)-1)
		return -errno;
	memset(memory, 1, BYTES);
	return shmdt(memory) < 0 ? -errno : 0;
}

static void destroy(struct link *link)
{
	if (link->read_fd >= 0)
		shmctl(link->read_fd, IPC_RMID, NULL);
}

ALWAYS_INLINE int acquire_memory(struct link *link)
{
	link->handle = shmat(link->read_fd, NULL, 0);
	return link->handle == (void *)-1 ? -errno : 0;
}

ALWAYS_INLINE int release_memory(struct link *link)
{
	return shmdt(link->handle) < 0 ? -errno : 0;
}

static const struct sync_calls memory_sync = {acquire_memory, release_memory};
SYNC_LOOPS(memory)

const struct transport TRANSPORT = {.name = NAME,
				    .title = TITLE,
				    .refuse = refuse,
				    .create = create,
				    .destroy = destroy,
				    .loops = &memory_loops};
