/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TENON_COMPAT_SYS_MSG_H
#define TENON_COMPAT_SYS_MSG_H

#pragma GCC system_header

/* <sys/msg.h> whose message queues are Tenon's: see tenon/sysv.h.  With
 * -I.../tenon/compat in front of the system's folders. */

#include_next <sys/msg.h>

#include <tenon/sysv.h>

#define msgget tenon_msgget
#define msgsnd tenon_msgsnd
#define msgrcv tenon_msgrcv
#define msgctl tenon_msgctl

#endif
