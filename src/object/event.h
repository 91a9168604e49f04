/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TNI_OBJECT_EVENT_H
#define TNI_OBJECT_EVENT_H

/* The event, for the waitset.  See object/event.c. */

#include <tenon/event.h>

#include "object/turnstile.h"

struct tenon_event {
	struct tni_sync sync; /* first */
};

/* One who waits for it since the turnstile's word was `ticket`; the thread is to be filled in. */
struct tni_turn tni_event_turn(struct tenon_event *event, uint64_t ticket);

/* What its pass() answers: by what it has passed; and as if it had not. */
#define TNI_EVENT_BY_SET 1
#define TNI_EVENT_BY_PULSE 2
void tni_event_put_back(struct tenon_event *event, int by);

#endif
