/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_TRANSPORTS_H
#define BENCH_TRANSPORTS_H

/* The transports, each defined in its own transport_*.c. */

#include "bench.h"

extern const struct transport transport_cache_line, transport_cache_line_payload;
extern const struct transport transport_spsc, transport_mpmc;
extern const struct transport transport_futex, transport_spin_futex;
extern const struct transport transport_pipe, transport_mkfifo;
extern const struct transport transport_seqpacket, transport_dgram, transport_stream;
extern const struct transport transport_posix_mq, transport_sysv;
extern const struct transport transport_posix_face, transport_posix_face_unpolled;
extern const struct transport transport_posix_preload;
extern const struct transport transport_tenon_fifo, transport_tenon_priority;
extern const struct transport transport_tenon_typed;
extern const struct transport transport_mutex, transport_mutex_robust;
extern const struct transport transport_cond, transport_cond_robust;
extern const struct transport transport_posix_sem, transport_eventfd;
extern const struct transport transport_epoll_eventfd, transport_barrier;
extern const struct transport transport_sysv_sem, transport_sysv_sem_undo;
extern const struct transport transport_sysv_face, transport_sysv_preload;
extern const struct transport transport_sysv_sem_face, transport_sysv_sem_undo_face;
extern const struct transport transport_sysv_sem_preload, transport_sysv_sem_undo_preload;
extern const struct transport transport_sysv_shm, transport_sysv_shm_face;
extern const struct transport transport_sysv_shm_preload;
extern const struct transport transport_tenon_lock, transport_tenon_event;
extern const struct transport transport_tenon_semaphore, transport_tenon_semaphore_undo;
extern const struct transport transport_tenon_condition, transport_tenon_waitset;
extern const struct transport transport_tenon_barrier;
/* Libraries of others; those that were not there at the build are defined in transport.c. */
extern const struct transport transport_zeromq, transport_nng, transport_nanomsg;
extern const struct transport transport_libqb, transport_iceoryx, transport_aeron;
extern const struct transport transport_boost_queue, transport_boost_mutex;

#endif
