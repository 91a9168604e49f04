/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TNI_OBJECT_SEMAPHORE_H
#define TNI_OBJECT_SEMAPHORE_H

/* The semaphore, for the waitset.  See object/semaphore.c. */

#include <tenon/semaphore.h>

#include "object/turnstile.h"

struct tenon_semaphore {
	struct tni_sync sync; /* first */
};

/* One who waits for `count` of it; the thread is to be filled in. */
struct tni_turn tni_semaphore_turn(struct tenon_semaphore *semaphore, uint32_t count,
				   uint32_t flags);

#endif
