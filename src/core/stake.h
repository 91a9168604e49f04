/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TNI_CORE_STAKE_H
#define TNI_CORE_STAKE_H

/* What a process holds between its calls, and the kernel's word for its death.  See
 * core/stake.c. */

#include <stdbool.h>
#include <stdint.h>

#include "abi/object.h"
#include "core/robust.h"
#include "core/thread.h"

/* A process's own stake in one object; plain memory of the process. */
struct tni_stake {
	struct tni_a64 held;   /* thread id of whose list it is in, generation << 32; 0: nobody's */
	struct tni_a32 had;    /* generation of the process whose threads have had it; 0: none */
	struct tni_hold *hold; /* NULL: there is none.  Under the mutex of core/robust.c. */
	struct tni_a32 *word;  /* by the object's own mapping; while there is a hold */
};

/* Whether the kernel will tell of the death of this process, whose word is `word` by another
 * mapping. */
static inline bool tni_stake_is_held(const struct tni_stake *stake, const struct tni_thread *thread,
				     const struct tni_a32 *word)
{
	uint64_t held = tni_get64(&stake->held);

	return held >> 32 == thread->generation && held != 0 &&
	       (tni_get32(word) & TNI_STAKE_OWNER) == (uint32_t)held;
}

/*
 * Puts a word of a participant into the calling thread's robust list, if no thread's has it.
 * `page` is where its page is mapped, `word` the word there.  1: put in; 0: it is there; -EBUSY:
 * the thread is in the midst of something of the kind (a signal handler), or has 1024; -ENOTSUP:
 * another C library; -ENOMEM.
 */
int tni_stake_hold(struct tni_stake *stake, struct tni_thread *thread, void *page,
		   struct tni_a32 *word);

/* Has another thread of the process take it, if the calling one, which is about to end, has it.
 * True: it did. */
bool tni_stake_leave(struct tni_stake *stake, const struct tni_thread *thread);

/* Lets go of it, whichever thread held it; `is_cut`: the file does not have its word any more. */
void tni_stake_release(struct tni_stake *stake, struct tni_thread *thread, bool is_cut);

#endif
