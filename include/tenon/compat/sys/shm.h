/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TENON_COMPAT_SYS_SHM_H
#define TENON_COMPAT_SYS_SHM_H

#pragma GCC system_header

/* <sys/shm.h> whose shared memory are Tenon's: see tenon/sysv.h.  With
 * -I.../tenon/compat in front of the system's folders. */

#include_next <sys/shm.h>

#include <tenon/sysv.h>

#define shmget tenon_shmget
#define shmat tenon_shmat
#define shmdt tenon_shmdt
#define shmctl tenon_shmctl

#endif
