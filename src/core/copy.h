/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TNI_CORE_COPY_H
#define TNI_CORE_COPY_H

#include <stdint.h>
#include <string.h>

/* At 64 KiB there is no difference; from the size of a cache on, libc's own way is the slower
 * one. */
#define TNI_COPY_LONG_BYTES (UINT64_C(128) << 10)

void tni_copy_long(void *to, const void *from, uint64_t bytes);

/* What memcpy() does, for messages: what a sender writes was last read by another processor, and
 * what a receiver reads was last written by one. */
static inline void tni_copy(void *to, const void *from, uint64_t bytes)
{
	if (__builtin_expect(bytes >= TNI_COPY_LONG_BYTES, 0))
		tni_copy_long(to, from, bytes);
	else
		memcpy(to, from, bytes);
}

#endif
