/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TNI_SYSV_TURN_H
#define TNI_SYSV_TURN_H

/*
 * One at a time changes the names or the permissions of an object.  It is a lock on a byte of its
 * file, which the kernel drops when its holder dies.  A handler that calls in would wait for the
 * turn of the thread that it has interrupted: so there is none until its end.
 */

#include <errno.h>
#include <stdbool.h>

#include "abi/sysv.h"
#include "core/quiet.h"
#include "core/registry.h"

struct tni_sysv_turn {
	bool is_taken;
	struct tni_file_hold hold;
	struct tni_quiet before;
};

/* Takes it, at the file `fd`, if it is nobody's.  -EAGAIN; another negative errno. */
static inline int tni_sysv_turn_try(struct tni_sysv_turn *turn, int fd)
{
	int result;

	tni_quiet_begin(&turn->before);
	result = tni_registry_try_hold(&turn->hold, fd, TNI_SYSV_LOCK_OFFSET);
	turn->is_taken = result == 0;
	if (result != 0)
		tni_quiet_end(&turn->before);
	return result;
}

/* Waits for it; handlers run meanwhile. */
static inline int tni_sysv_turn_take(struct tni_sysv_turn *turn, int fd)
{
	struct tni_file_hold hold;
	int result;

	while ((result = tni_sysv_turn_try(turn, fd)) == -EAGAIN) {
		result = tni_registry_hold(&hold, fd, TNI_SYSV_LOCK_OFFSET);
		if (result != 0)
			return result;
		tni_registry_release(&hold);
	}
	return result;
}

/* If it is taken. */
static inline void tni_sysv_turn_end(struct tni_sysv_turn *turn)
{
	if (!turn->is_taken)
		return;
	tni_registry_release(&turn->hold);
	turn->is_taken = false;
	tni_quiet_end(&turn->before);
}

#endif
