/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TENON_COMPAT_SEMAPHORE_H
#define TENON_COMPAT_SEMAPHORE_H

#pragma GCC system_header

/* <semaphore.h> on Tenon: see tenon/posix.h.  With -I.../tenon/compat in front of the system's
 * folders. */

#include_next <semaphore.h>

#include <tenon/posix.h>

#define sem_open tenon_sem_open
#define sem_close tenon_sem_close
#define sem_unlink tenon_sem_unlink
#define sem_init tenon_sem_init
#define sem_destroy tenon_sem_destroy
#define sem_post tenon_sem_post
#define sem_wait tenon_sem_wait
#define sem_trywait tenon_sem_trywait
#define sem_timedwait tenon_sem_timedwait
#define sem_clockwait tenon_sem_clockwait
#define sem_getvalue tenon_sem_getvalue

#endif
