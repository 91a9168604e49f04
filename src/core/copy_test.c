/* SPDX-License-Identifier: Apache-2.0 */

/* Shows that copies of lengths about the border between the two ways are whole, wherever they begin, and
 * write nothing beside. */

#include "core/copy.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/test.h"

#define BESIDE 64u

static uint8_t pattern(uint64_t at)
{
	return (uint8_t)((at * UINT64_C(0x9e3779b97f4a7c15)) >> 56);
}

static void copy_is_whole(uint64_t bytes, uint64_t to_offset, uint64_t from_offset)
{
	uint64_t size = bytes + 2 * BESIDE;
	uint8_t *from = malloc(size), *to = malloc(size);

	REQUIRE(from && to);
	for (uint64_t i = 0; i < size; i++)
		from[i] = pattern(i);
	memset(to, 0xa5, size);
	tni_copy(to + to_offset, from + from_offset, bytes);
	for (uint64_t i = 0; i < size; i++) {
		bool inside = i >= to_offset && i < to_offset + bytes;

		REQUIRE(to[i] == (inside ? pattern(i - to_offset + from_offset) : 0xa5));
	}
	free(from);
	free(to);
}

int main(void)
{
	static const uint64_t lengths[] = {0,
					   1,
					   4097,
					   TNI_COPY_LONG_BYTES - 1,
					   TNI_COPY_LONG_BYTES,
					   TNI_COPY_LONG_BYTES + 1,
					   3 * TNI_COPY_LONG_BYTES + 13};

	printf("TAP version 13\n1..1\n");
	for (uint32_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
		for (uint32_t offset = 0; offset < 4; offset++)
			copy_is_whole(lengths[i], offset * 5, offset * 11);
	printf("ok 1 - lengths and places\n");
	return 0;
}
