/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TNI_CORE_COPY_H
#define TNI_CORE_COPY_H

#include <stdint.h>
#include <string.h>

/* From here on libc may copy with vectors, where the processor's own copying is better. */
#define TNI_COPY_LONG_BYTES (UINT64_C(128) << 10)

void tni_copy_long(void *to, const void *from, uint64_t bytes);

/* What memcpy() does, for messages: what is written goes to another processor, and was read by it the last
 * time. */
static inline void tni_copy(void *to, const void *from, uint64_t bytes)
{
	if (__builtin_expect(bytes >= TNI_COPY_LONG_BYTES, 0))
		tni_copy_long(to, from, bytes);
	else
		memcpy(to, from, bytes);
}

#endif
