/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What fuzzing begins with, made anew each time: for every kind of queue an input that changes
 * nothing, and some that change words in use to values that have meant trouble before.
 */

#include <string.h>

#include "fuzz.h"

#define SEEDS_A_KIND 24u
#define CHANGES_MOST 4u

static const uint64_t values[] = {0,
				  1,
				  2,
				  UINT64_MAX,
				  UINT32_MAX,
				  UINT64_C(1) << 63,
				  UINT64_C(1) << 45,
				  UINT64_C(0x40000000), /* OWNER_DIED */
				  UINT64_C(0xf8000000) << 32};

uint32_t seed_count(void)
{
	return kinds_count * SEEDS_A_KIND;
}

static size_t put(uint8_t *data, size_t at, const void *bytes, size_t count)
{
	memcpy(data + at, bytes, count);
	return at + count;
}

static size_t put_change(uint8_t *data, size_t at, int is_open, uint64_t *random)
{
	uint32_t place = (uint32_t)hostile_random(random) | UINT32_C(1) << 31;
	uint64_t value = values[hostile_random(random) % (sizeof(values) / sizeof(values[0]))];
	uint8_t step = is_open ? 8 : (uint8_t)(128 | (hostile_random(random) & 127));

	if (!is_open)
		at = put(data, at, &step, 1);
	at = put(data, at, &place, FUZZ_PLACE_BYTES);
	if (is_open)
		at = put(data, at, &step, 1);
	return put(data, at, &value, sizeof(value));
}

size_t seed_make(const char *target, uint32_t number, uint8_t *ret_data)
{
	uint32_t of_kind = number / kinds_count, operations = victim_operations();
	int is_open = strcmp(target, "open") == 0;
	uint64_t random = number;
	size_t at = 1;

	ret_data[0] = (uint8_t)(number % kinds_count);
	/* The first has no change, and later ones up to four. */
	for (uint32_t i = 0; of_kind > 0 && i <= of_kind % CHANGES_MOST; i++) {
		at = put_change(ret_data, at, is_open, &random);
		for (uint32_t step = 0; !is_open && step < operations / CHANGES_MOST; step++)
			ret_data[at++] = (uint8_t)(hostile_random(&random) % operations);
	}
	/* A dead owner's journal, and whoever comes next. */
	if (!is_open && of_kind % 2 == 1) {
		ret_data[at++] = (uint8_t)(126 + (of_kind >> 1) % 2);
		ret_data[at++] = (uint8_t)(hostile_random(&random) % 97);
		at = put_change(ret_data, at, is_open, &random);
		ret_data[at++] = (uint8_t)(hostile_random(&random) % operations);
	}
	if (!is_open && of_kind <= CHANGES_MOST)
		for (uint32_t step = 0; step < operations; step++)
			ret_data[at++] = (uint8_t)((step + of_kind * 5) % operations);
	return at;
}
