/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TENON_COMPAT_SYS_SEM_H
#define TENON_COMPAT_SYS_SEM_H

#pragma GCC system_header

/* <sys/sem.h> whose semaphore sets are Tenon's: see tenon/sysv.h.  With
 * -I.../tenon/compat in front of the system's folders. */

#include_next <sys/sem.h>

#include <tenon/sysv.h>

#define semget tenon_semget
#define semop tenon_semop
#define semtimedop tenon_semtimedop
#define semctl tenon_semctl

#endif
