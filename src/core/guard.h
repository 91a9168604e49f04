/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TNI_CORE_GUARD_H
#define TNI_CORE_GUARD_H

/* Mappings of files that another process may make shorter: zeros instead of SIGBUS.
 * Thread-safe.  See core/guard.c. */

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "abi/atomic.h"

struct tni_guard;

/*
 * Guards `bytes` (a multiple of the page) of memory at `address`, with the protection `protection`,
 * mapped from `offset` of the file `fd` on, which stays open meanwhile.  Where the memory turns out
 * to be gone it is replaced and `*broken` is set to 1.  NULL: there is no memory for it.
 */
struct tni_guard *tni_guard_add(void *address, uint64_t bytes, int protection, int fd,
				uint64_t offset, struct tni_a32 *broken);

struct tni_guard_file {
	int fd;
	uint64_t inode, offset;
	uint64_t page_bytes; /* of which `bytes` and `offset` are multiples */
};

/* The same of a file whose memory was not taken before: where the file is long enough, and there is
 * no memory, it is SIGBUS.  And `fd` may be closed meanwhile, and even be another file's: it is
 * looked at only if it has that inode. */
struct tni_guard *tni_guard_add_sparse(void *address, uint64_t bytes, int protection,
				       const struct tni_guard_file *file, struct tni_a32 *broken);

/* For who has the signal's handler in the place of this file's: whether it was for a guarded
 * mapping, which is mended. */
bool tni_guard_mend(const siginfo_t *info);

/* Of this file's handler, what was there before it; any other action stays as it is. */
void tni_guard_before(struct sigaction *action);

/* Ends it; NULL is allowed. */
void tni_guard_remove(struct tni_guard *guard);

#endif
