/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TENON_COMPAT_SYS_MMAN_H
#define TENON_COMPAT_SYS_MMAN_H

#pragma GCC system_header

/* <sys/mman.h> whose shared memory objects are Tenon's: see tenon/posix.h. */

#include_next <sys/mman.h>

#include <tenon/posix.h>

#define shm_open tenon_shm_open
#define shm_unlink tenon_shm_unlink

#endif
