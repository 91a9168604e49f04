/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TNI_CORE_DEATHWATCH_H
#define TNI_CORE_DEATHWATCH_H

/* A descriptor to poll that also tells when somebody may have died.  See core/deathwatch.c. */

#include <stdbool.h>
#include <stdint.h>

#include "abi/atomic.h"

struct tni_deathwatch {
	int set_fd; /* what is polled */
	int notice_fd, timer_fd;
	struct tni_a32 again;	   /* how often it was looked again */
	struct tni_a32 generation; /* of the process whose it is; 0: closed */
};

/* Watches the file behind `file_fd`; is readable when `ready_fd` is, too.  -EMFILE, -ENFILE,
 * -ENOSPC. */
int tni_deathwatch_open(struct tni_deathwatch *watch, int file_fd, int ready_fd);
void tni_deathwatch_close(struct tni_deathwatch *watch);

/* Takes what was told.  True: somebody may have died; look now. */
bool tni_deathwatch_take(struct tni_deathwatch *watch);

/* Nobody was found dead.  Who is just dying may have kept its lock: tell once more, soon, and
 * not for ever, unless somebody who is stopped kept what the dead had from being brought back
 * (`is_held_up`). */
void tni_deathwatch_again(struct tni_deathwatch *watch, bool is_held_up);

#endif
