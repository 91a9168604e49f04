/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Messages that tell their number and whether they are whole: every word depends on the number and
 * on its place, so a word of another message, or of none, stands out.
 */

#include <string.h>

#include "queue_crash.h"

#define MAGIC UINT64_C(0x7e0a5eed00000000)

static uint64_t word_at(uint32_t number, uint32_t bytes, uint32_t index)
{
	uint64_t word = MAGIC + number * UINT64_C(0x9e3779b97f4a7c15) + bytes;

	word ^= (uint64_t)index * UINT64_C(0xbf58476d1ce4e5b9);
	return word ^ (word >> 29);
}

void message_write(void *data, uint32_t bytes, uint32_t number)
{
	uint64_t word;

	for (uint32_t at = 0; at < bytes; at += (uint32_t)sizeof(word)) {
		word = at == 0 ? MAGIC | number : word_at(number, bytes, at);
		memcpy((char *)data + at, &word,
		       bytes - at < sizeof(word) ? bytes - at : sizeof(word));
	}
}

int message_read(const void *data, uint64_t bytes, uint32_t expected_bytes)
{
	uint64_t first, word, expected;
	uint32_t number;

	if (bytes != expected_bytes)
		return -1;
	if (bytes == 0)
		return 0;
	memcpy(&first, data, sizeof(first));
	number = (uint32_t)(first ^ MAGIC);
	if ((first ^ MAGIC) >= NUMBERS)
		return -1;
	for (uint32_t at = sizeof(word); at < bytes; at += (uint32_t)sizeof(word)) {
		size_t part = bytes - at < sizeof(word) ? bytes - at : sizeof(word);

		expected = word_at(number, expected_bytes, at);
		memcpy(&word, (const char *)data + at, part);
		if (memcmp(&word, &expected, part) != 0)
			return -1;
	}
	return (int)number;
}

/* Keys that neither rise nor fall with the age of the messages. */
uint64_t message_key(const struct scenario *scenario, uint32_t number)
{
	switch (scenario->order) {
	case TENON_QUEUE_PRIORITY:
		return (number * 7 + 3) % 5;
	case TENON_QUEUE_TYPED:
		return 1 + (number * 5 + 2) % 3;
	default:
		return 0;
	}
}

uint32_t message_leaving(const struct run *run, uint32_t position)
{
	bool left[NUMBERS] = {false};
	uint32_t best = 0;

	if (run->scenario->order != TENON_QUEUE_PRIORITY)
		return NUMBER_PREFILLED + position;
	for (uint32_t i = 0; i <= position; i++) {
		best = UINT32_MAX;
		for (uint32_t number = 0; number < run->prefilled; number++) {
			if (left[number])
				continue;
			if (best == UINT32_MAX ||
			    message_key(run->scenario, number) > message_key(run->scenario, best))
				best = number;
		}
		if (best == UINT32_MAX)
			return NUMBERS;
		left[best] = true;
	}
	return best;
}
