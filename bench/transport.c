// SPDX-License-Identifier: Apache-2.0
/* The list of transports, and what several of them share. */

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "bench.h"
#include "transports.h"

static const struct transport *const transports[] = {
	&transport_cache_line,
	&transport_cache_line_payload,
	&transport_spsc,
	&transport_mpmc,
	&transport_futex,
	&transport_spin_futex,
	&transport_pipe,
	&transport_mkfifo,
	&transport_seqpacket,
	&transport_dgram,
	&transport_stream,
	&transport_posix_mq,
	&transport_posix_face,
	&transport_posix_face_unpolled,
	&transport_posix_preload,
	&transport_sysv,
	&transport_sysv_face,
	&transport_sysv_preload,
	&transport_tenon_fifo,
	&transport_tenon_priority,
	&transport_tenon_typed,
	&transport_mutex,
	&transport_mutex_robust,
	&transport_cond,
	&transport_cond_robust,
	&transport_posix_sem,
	&transport_eventfd,
	&transport_epoll_eventfd,
	&transport_barrier,
	&transport_sysv_sem,
	&transport_sysv_sem_undo,
	&transport_sysv_sem_face,
	&transport_sysv_sem_undo_face,
	&transport_sysv_sem_preload,
	&transport_sysv_sem_undo_preload,
	&transport_sysv_shm,
	&transport_sysv_shm_face,
	&transport_sysv_shm_preload,
	&transport_tenon_lock,
	&transport_tenon_event,
	&transport_tenon_semaphore,
	&transport_tenon_semaphore_undo,
	&transport_tenon_condition,
	&transport_tenon_waitset,
	&transport_tenon_barrier,
	&transport_zeromq,
	&transport_nng,
	&transport_nanomsg,
	&transport_libqb,
	&transport_boost_queue,
	&transport_boost_mutex,
	&transport_iceoryx,
	&transport_aeron,
};

const struct transport *transport_at(size_t index)
{
	return index < sizeof(transports) / sizeof(transports[0]) ? transports[index] : NULL;
}

const struct transport *transport_find(const char *name, size_t length)
{
	const struct transport *transport;

	for (size_t i = 0; (transport = transport_at(i)); i++) {
		if (strlen(transport->name) == length && memcmp(transport->name, name, length) == 0)
			return transport;
	}
	return NULL;
}

/* Memory that the processes of the run share, touched so that no page is first used while the clock
 * runs. */
int link_map(struct link *link, size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (memory == MAP_FAILED)
		return -errno;
	link->shared = memory;
	link->shared_bytes = bytes;
	return 0;
}

/*
 * Rivals whose library was not there when this program was built: their rows say so.  Where it was,
 * the definition in transport_NAME.c takes the place of the one here.
 */
static const char *refuse_unpackaged(const struct shape *shape)
{
	(void)shape;
	return "not a package of Debian";
}

#define ABSENT(id, name_, title_, packages)                                                \
	static const char *refuse_##id(const struct shape *shape)                          \
	{                                                                                  \
		(void)shape;                                                               \
		return "built without " packages " (scripts/setup bench, and make clean)"; \
	}                                                                                  \
	const struct transport transport_##id __attribute__((__weak__)) = {                \
		.name = (name_), .title = (title_), .refuse = refuse_##id};

ABSENT(zeromq, "zeromq", "ZeroMQ ipc", "libzmq3-dev")
ABSENT(nng, "nng", "nng ipc", "libnng-dev")
ABSENT(nanomsg, "nanomsg", "nanomsg ipc", "libnanomsg-dev")
ABSENT(libqb, "libqb", "libqb ring buffer", "libqb-dev")
ABSENT(boost_queue, "boost-mq", "Boost.Interprocess message_queue",
       "libboost-dev or a C++ compiler to go with the C compiler")
ABSENT(boost_mutex, "boost-mutex", "Boost.Interprocess named_mutex",
       "libboost-dev or a C++ compiler to go with the C compiler")
ABSENT(iceoryx, "iceoryx", "iceoryx", "iceoryx and libiceoryx-binding-c-dev")

const struct transport transport_aeron = {
	.name = "aeron", .title = "Aeron IPC", .refuse = refuse_unpackaged};
