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

static int read_words(const void *data, uint64_t bytes, uint32_t expected_bytes, uint32_t stride)
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
	for (uint32_t at = sizeof(word); at < bytes; at += stride * (uint32_t)sizeof(word)) {
		size_t part = bytes - at < sizeof(word) ? bytes - at : sizeof(word);

		expected = word_at(number, expected_bytes, at);
		memcpy(&word, (const char *)data + at, part);
		if (memcmp(&word, &expected, part) != 0)
			return -1;
	}
	return (int)number;
}

int message_read(const void *data, uint64_t bytes, uint32_t expected_bytes)
{
	return read_words(data, bytes, expected_bytes, 1);
}

int message_glance(const void *data, uint64_t bytes, uint32_t expected_bytes)
{
	return read_words(data, bytes, expected_bytes, bytes < 512 ? 8 : 509);
}

static bool sleeps_selecting(const struct scenario *scenario)
{
	return scenario->variant >= VARIANT_SLEEPS_EXACTLY &&
	       scenario->variant <= VARIANT_SLEEPS_LOWEST_TO;
}

/* Keys that neither rise nor fall with the age of the messages.  Where sleepers select, what is there
 * at the beginning is not for them, and all that comes later is. */
uint64_t message_key(const struct scenario *scenario, uint32_t number)
{
	switch (scenario->order) {
	case TENON_QUEUE_PRIORITY:
		return (number * 7 + 3) % 5;
	case TENON_QUEUE_TYPED:
		if (sleeps_selecting(scenario))
			return number < NUMBER_FIRST_VICTIM		       ? 5
			       : scenario->variant == VARIANT_SLEEPS_LOWEST_TO ? 1
									       : 9;
		return 1 + (number * 5 + 2) % 3;
	default:
		return 0;
	}
}

struct selection sleeper_selection(const struct scenario *scenario)
{
	switch (scenario->variant) {
	case VARIANT_SLEEPS_EXACTLY:
		return (struct selection){TENON_SELECT_EXACTLY, 9};
	case VARIANT_SLEEPS_ALL_BUT:
		return (struct selection){TENON_SELECT_ALL_BUT, 5};
	case VARIANT_SLEEPS_LOWEST_TO:
		return (struct selection){TENON_SELECT_LOWEST_TO, 2};
	default:
		return (struct selection){TENON_SELECT_ANY, 0};
	}
}

/* Of the first four messages, whose keys are 3, 2, 1, 3: the second; the second and the third; the
 * third and then the second. */
struct selection victim_selection(const struct scenario *scenario)
{
	switch (scenario->variant) {
	case VARIANT_EXACTLY:
		return (struct selection){TENON_SELECT_EXACTLY, 2};
	case VARIANT_ALL_BUT:
		return (struct selection){TENON_SELECT_ALL_BUT, 3};
	case VARIANT_LOWEST_TO:
		return (struct selection){TENON_SELECT_LOWEST_TO, 2};
	default:
		return operation_sleeps(scenario->operation)
			       ? sleeper_selection(scenario)
			       : (struct selection){TENON_SELECT_ANY, 0};
	}
}

static bool is_selected(struct selection selection, uint64_t key)
{
	switch (selection.select) {
	case TENON_SELECT_EXACTLY:
		return key == selection.key;
	case TENON_SELECT_ALL_BUT:
		return key != selection.key;
	case TENON_SELECT_LOWEST_TO:
		return key <= selection.key;
	default:
		return true;
	}
}

/* Whether a receiver would rather have one key than another. */
static bool goes_before(const struct scenario *scenario, struct selection selection, uint64_t key,
			uint64_t than)
{
	if (scenario->order == TENON_QUEUE_PRIORITY)
		return key > than;
	return selection.select == TENON_SELECT_LOWEST_TO && key < than;
}

uint32_t message_chosen(const struct run *run, struct selection selection, uint32_t position)
{
	const struct scenario *scenario = run->scenario;
	bool left[NUMBERS] = {false};
	uint32_t best = NUMBERS;

	for (uint32_t i = 0; i <= position; i++) {
		best = NUMBERS;
		for (uint32_t number = 0; number < run->prefilled; number++) {
			uint64_t key = message_key(scenario, number);

			if (left[number] || !is_selected(selection, key))
				continue;
			if (best == NUMBERS ||
			    goes_before(scenario, selection, key, message_key(scenario, best)))
				best = number;
		}
		if (best == NUMBERS)
			return NUMBERS;
		left[best] = true;
	}
	return best;
}

uint32_t message_leaving(const struct run *run, uint32_t position)
{
	return message_chosen(run, (struct selection){TENON_SELECT_ANY, 0}, position);
}
