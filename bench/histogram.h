/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

/* Counts of values in buckets of at most 1/64 of their value: quantiles are right to 1.6 %. */

#include <stdint.h>

#define HISTOGRAM_SUB_BITS 6u
#define HISTOGRAM_SUB (1u << HISTOGRAM_SUB_BITS)
#define HISTOGRAM_BUCKETS ((48u - HISTOGRAM_SUB_BITS) * HISTOGRAM_SUB)

struct histogram {
	uint64_t count, maximum;
	uint64_t buckets[HISTOGRAM_BUCKETS];
};

static inline void histogram_add(struct histogram *histogram, uint64_t value)
{
	uint32_t bucket = (uint32_t)value;

	if (value >= 2 * HISTOGRAM_SUB) {
		uint32_t shift = 63u - (uint32_t)__builtin_clzll(value) - HISTOGRAM_SUB_BITS;

		bucket = shift * HISTOGRAM_SUB + (uint32_t)(value >> shift);
		if (bucket >= HISTOGRAM_BUCKETS)
			bucket = HISTOGRAM_BUCKETS - 1;
	}
	histogram->buckets[bucket]++;
	histogram->count++;
	if (value > histogram->maximum)
		histogram->maximum = value;
}

void histogram_merge(struct histogram *histogram, const struct histogram *other);

/* The value that `share` (0 to 1) of the values do not exceed; 0 if there are none. */
uint64_t histogram_quantile(const struct histogram *histogram, double share);

#endif
