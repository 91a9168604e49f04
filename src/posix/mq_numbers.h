/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TNI_POSIX_MQ_NUMBERS_H
#define TNI_POSIX_MQ_NUMBERS_H

/* The table of posix/mq_table.c itself: by the number of a descriptor, what it stands for.  It is
 * looked into without a lock.
 *
 * ORD table: the table is there before its size says so. */

#include "posix/mq_table.h"

extern struct tni_apointer tni_mq_numbers_; /* of struct tni_a64: addresses of entries */
extern struct tni_a32 tni_mq_numbers_top_;  /* 0 until the table is there */

/* Makes it, if there is memory for it; one thread at a time. */
void tni_mq_numbers_map(void);

static inline bool tni_mq_numbers_are_there(void)
{
	return tni_get32(&tni_mq_numbers_top_) != 0;
}

/* NULL: no entry can have this number. */
static inline struct tni_a64 *tni_mq_number(int fd)
{
	if (fd < 0 || (uint32_t)fd >= tni_load_acquire32(&tni_mq_numbers_top_)) /* ORD(table) */
		return NULL;
	return (struct tni_a64 *)tni_load_acquire_pointer(&tni_mq_numbers_) + fd;
}

static inline struct tni_mqd *tni_mq_known(int fd)
{
	const struct tni_a64 *entry = tni_mq_number(fd);

	return entry ? (struct tni_mqd *)(uintptr_t)tni_load_total64(entry) : NULL;
}

static inline void tni_mq_put(int fd, const struct tni_mqd *descriptor)
{
	struct tni_a64 *entry = tni_mq_number(fd);
	uint64_t before = tni_get64(entry);

	while (!tni_cas_total64(entry, &before, (uintptr_t)descriptor))
		;
}

#endif
