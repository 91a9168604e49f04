/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TNI_SYSV_SHM_H
#define TNI_SYSV_SHM_H

/* What the files of shared memory have in common. */

#include "object/segment.h"
#include "sysv/identity.h"
#include "sysv/table.h"

/* As Linux has them: SHMMIN is 1. */
#define TNI_SYSV_SHM_BYTES_MOST (UINT64_MAX - (UINT64_C(1) << 24))

/* The segment of an identifier; the child that has not come by fork(3) has what its parent had. */
int tni_sysv_shm_enter(int id, struct tni_sysv_handle **ret_handle);

/* Whether there may be so many bytes more in all. */
bool tni_sysv_shm_fits(uint64_t bytes);

/* Bytes of memory that the data of what has this index takes; 0 also: that cannot be known. */
uint64_t tni_sysv_shm_memory(uint32_t index);

#endif
