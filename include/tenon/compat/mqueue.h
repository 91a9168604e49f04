/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TENON_COMPAT_MQUEUE_H
#define TENON_COMPAT_MQUEUE_H

#pragma GCC system_header

/* <mqueue.h> on Tenon: see tenon/posix.h.  With -I.../tenon/compat in front of the system's
 * folders. */

#include_next <mqueue.h>

#include <tenon/posix.h>

#define mq_open tenon_mq_open
#define mq_close tenon_mq_close
#define mq_unlink tenon_mq_unlink
#define mq_send tenon_mq_send
#define mq_timedsend tenon_mq_timedsend
#define mq_receive tenon_mq_receive
#define mq_timedreceive tenon_mq_timedreceive
#define mq_notify tenon_mq_notify
#define mq_getattr tenon_mq_getattr
#define mq_setattr tenon_mq_setattr

#endif
