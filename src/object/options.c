/* SPDX-License-Identifier: Apache-2.0 */

/* Structures of another header's size are met half-way: see docs/ABI.md. */

#include "object/options.h"

#include <errno.h>
#include <string.h>

int tni_options_copy(void *copy, uint32_t known_bytes, const void *options, uint32_t flags_known)
{
	uint32_t bytes, flags;

	memset(copy, 0, known_bytes);
	if (!options)
		return 0;
	memcpy(&bytes, options, sizeof(bytes));
	if (bytes < 2 * sizeof(uint32_t))
		return -EINVAL;
	memcpy(copy, options, bytes < known_bytes ? bytes : known_bytes);
	for (uint32_t i = known_bytes; i < bytes; i++)
		if (((const uint8_t *)options)[i] != 0)
			return -E2BIG;
	memcpy(&flags, (uint8_t *)copy + sizeof(bytes), sizeof(flags));
	return flags & ~flags_known ? -EINVAL : 0;
}

int tni_status_check(const void *status)
{
	uint32_t head[2];

	if (!status)
		return -EINVAL;
	memcpy(head, status, sizeof(head));
	return head[0] < sizeof(head) || head[1] != 0 ? -EINVAL : 0;
}

void tni_status_write(void *ret_status, const void *status, uint32_t known_bytes)
{
	uint32_t bytes;

	memcpy(&bytes, ret_status, sizeof(bytes));
	memcpy(ret_status, status, bytes < known_bytes ? bytes : known_bytes);
	if (bytes > known_bytes)
		memset((uint8_t *)ret_status + known_bytes, 0, bytes - known_bytes);
	memcpy(ret_status, &bytes, sizeof(bytes));
}
