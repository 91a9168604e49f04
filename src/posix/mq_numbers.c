/* SPDX-License-Identifier: Apache-2.0 */

/* See posix/mq_numbers.h. */

#include "posix/mq_numbers.h"

#include <sys/mman.h>

/* Numbers above are not to be had: RLIMIT_NOFILE is rarely as high. */
#define DESCRIPTORS_MOST (1u << 20)

static struct tni_a64 no_entries[1];
struct tni_apointer tni_mq_numbers_ = {no_entries};
struct tni_a32 tni_mq_numbers_top_;

void tni_mq_numbers_map(void)
{
	void *entries = mmap(NULL, DESCRIPTORS_MOST * sizeof(struct tni_a64),
			     PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
			     -1, 0);

	if (entries == MAP_FAILED)
		return;
	tni_store_release_pointer(&tni_mq_numbers_, entries); /* ORD(table) */
	tni_store_release32(&tni_mq_numbers_top_, DESCRIPTORS_MOST);
}
