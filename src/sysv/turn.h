/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TNI_SYSV_TURN_H
#define TNI_SYSV_TURN_H

/* One at a time changes the names or the permissions of an object.  See sysv/turn.c. */

#include <stdbool.h>

#include "core/quiet.h"

struct tni_sysv_turn {
	bool is_taken;
	int fd;
	struct tni_quiet before;
	struct tni_sysv_turn *next;
};

/* Waits for it, at the file `fd`; until tni_sysv_turn_end() the thread is neither cancelled nor
 * interrupted.  A negative errno. */
int tni_sysv_turn_take(struct tni_sysv_turn *turn, int fd);

/* If it is taken. */
void tni_sysv_turn_end(struct tni_sysv_turn *turn);

#endif
