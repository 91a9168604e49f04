/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TNI_CORE_SAMPLE_H
#define TNI_CORE_SAMPLE_H

/*
 * A sample of a list of unknown length, which is read once: reservoir sampling (Vitter, "Random
 * Sampling with a Reservoir", 1985, algorithm R).  It is good enough for each to come to its turn:
 * the numbers are those of a linear congruential generator.
 */

#include <stdbool.h>
#include <stdint.h>

struct tni_sample {
	uint64_t random; /* any number at first */
	uint32_t seen;
};

/* Below a bound. */
static inline uint32_t tni_sample_draw(struct tni_sample *sample, uint32_t bound)
{
	sample->random = sample->random * UINT64_C(6364136223846793005) +
			 UINT64_C(1442695040888963407);
	return (uint32_t)(sample->random >> 33) % bound;
}

/* The next one of the list is seen: which of `room` places it takes, in order at first.  False:
 * none. */
static inline bool tni_sample_place(struct tni_sample *sample, uint32_t room, uint32_t *ret_place)
{
	uint32_t place = sample->seen++;

	if (place >= room)
		place = tni_sample_draw(sample, sample->seen);
	*ret_place = place;
	return place < room;
}

#endif
