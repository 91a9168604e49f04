/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TNI_SYSV_LIMITS_H
#define TNI_SYSV_LIMITS_H

/* The limits: the kernel's own, which the administrator sets, as far as objects can do that; where
 * they cannot be read, or are 0, what they are by default.  They are read anew at each call. */

#include <stdbool.h>
#include <stdint.h>

uint64_t tni_sysv_message_most(void); /* MSGMAX: bytes of a message */
uint64_t tni_sysv_queue_bytes(void);  /* MSGMNB: of a new queue, and what may be asked for */
uint32_t tni_sysv_queues_most(void);  /* MSGMNI */

/* Whether a message may be so long, as of when this process last read MSGMAX: at its first message,
 * its last queue, or a longer message. */
bool tni_sysv_message_fits(uint64_t bytes);

struct tni_sysv_semaphore_limits {
	uint32_t of_set, of_all, operations, sets; /* SEMMSL, SEMMNS, SEMOPM, SEMMNI */
};
void tni_sysv_semaphore_limits(struct tni_sysv_semaphore_limits *ret_limits);
uint32_t tni_sysv_sets_most(void); /* SEMMNI */

/* Whether so many operations may be done at once, as of when it last read SEMOPM: at its first, its
 * last set, or more of them. */
bool tni_sysv_operations_fit(uint64_t count);

uint32_t tni_sysv_segments_most(void);	/* SHMMNI */
uint64_t tni_sysv_segment_bytes(void);	/* SHMMAX */
uint64_t tni_sysv_segments_pages(void); /* SHMALL */

#endif
