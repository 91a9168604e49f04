/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TNI_SYSV_LIMITS_H
#define TNI_SYSV_LIMITS_H

/* Limits of message queues: Linux's own, or what the administrator has set them to if that is
 * more. */

#include <stdint.h>

uint64_t tni_sysv_message_most(void); /* MSGMAX: bytes of a message */
uint64_t tni_sysv_queue_bytes(void);  /* MSGMNB: of a new queue, and what may be asked for */

#endif
