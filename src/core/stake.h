/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TNI_CORE_STAKE_H
#define TNI_CORE_STAKE_H

/* What a process holds between its calls, and the kernel's word for its death.  See core/stake.c. */

#include <stdbool.h>
#include <stdint.h>

#include "abi/object.h"
#include "core/thread.h"

/* A process's own stake in one object; plain memory of the process. */
struct tni_stake {
	uint8_t *pages; /* the word's page, and one of this process's own; NULL: there is none */
	struct tni_a32 *word;
	uint32_t tid;	     /* of the thread in whose robust list it is */
	uint32_t generation; /* of the process */
};

/* Whether the kernel will tell of this process's death.  Behind tni_thread_self(), which sees forks. */
static inline bool tni_stake_is_held(const struct tni_stake *stake)
{
	return stake->pages && stake->generation == tni_get32(&tni_generation_) &&
	       (tni_get32(stake->word) & TNI_STAKE_OWNER) == stake->tid;
}

/* Both under one mutex of the caller's. */

/*
 * Puts the word of a participant into the calling thread's robust list, by the page at `page_offset` of
 * the file `fd`, whose memory is there.  0; -EBUSY: the thread is in the midst of something of the kind
 * (a signal handler); -ENOTSUP: another C library; -ENOMEM …: not held then.
 */
int tni_stake_hold(struct tni_stake *stake, struct tni_thread *thread, int fd, uint64_t page_offset,
		   uint32_t slot);

/* Lets go of it, whichever thread held it. */
void tni_stake_release(struct tni_stake *stake, struct tni_thread *thread);

#endif
