/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Descriptors that were open before the program began.  Those of queues are looked for at the beginning, when the program has not
 * yet forbidden itself any system call, and noted; only when one is used it gets known, since that makes this process
 * one of the queue's.
 */

#include "preload/preload.h"

/* As many are looked at. */
#define INHERITED_MOST 256
#define WORD_BITS 64

static struct tni_a64 noted[INHERITED_MOST / WORD_BITS];

static void note(int fd)
{
	tni_fetch_or64(&noted[fd / WORD_BITS], UINT64_C(1) << (fd % WORD_BITS));
	tni_set32(&tni_has_queues_, 1);
}

/* To read /proc/self/fd takes ten times as long as one poll, which tells of each number whether it is open. */
void tni_inherited_find(void)
{
	struct pollfd entries[INHERITED_MOST];
	nfds_t count = INHERITED_MOST;

	for (int fd = 0; fd < INHERITED_MOST; fd++)
		entries[fd] = (struct pollfd){.fd = fd};
	/* More than RLIMIT_NOFILE are not taken. */
	while (TNI_NEXT(poll)(entries, count, 0) < 0)
		if ((count /= 2) == 0)
			return;
	for (nfds_t i = 0; i < count; i++)
		if (!(entries[i].revents & POLLNVAL) && tni_mq_is_named((int)i))
			note((int)i);
}

bool tni_inherited_take(int fd)
{
	uint64_t bit = UINT64_C(1) << (fd % WORD_BITS);

	return fd < INHERITED_MOST && tni_get64(&noted[fd / WORD_BITS]) & bit &&
	       !tni_memory_is_borrowed() && tni_fetch_and64(&noted[fd / WORD_BITS], ~bit) & bit;
}

bool tni_inherited_is(int fd)
{
	return tni_inherited_take(fd) && TNI_CALL(tni_mq_meet(fd));
}
