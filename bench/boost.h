/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_BOOST_H
#define BENCH_BOOST_H

/* What transport_boost.c uses of Boost.Interprocess.  Results are 0 or -errno, not exceptions. */

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

int boost_queue_create(const char *name, size_t depth, size_t bytes);
int boost_queue_open(const char *name, void **ret_queue);
/* -EAGAIN: it would have to wait, and must not. */
int boost_queue_send(void *queue, const void *data, size_t bytes, unsigned priority, bool wait);
int boost_queue_receive(void *queue, void *buffer, size_t bytes, bool wait);
void boost_queue_remove(const char *name);

int boost_mutex_create(const char *name);
int boost_mutex_open(const char *name, void **ret_mutex);
int boost_mutex_lock(void *mutex);
int boost_mutex_unlock(void *mutex);
void boost_mutex_remove(const char *name);

#ifdef __cplusplus
}
#endif

#endif
