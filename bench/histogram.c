// SPDX-License-Identifier: Apache-2.0
/* Merging and reading histograms; adding is in the header, for it lies on a timed path. */

#include "histogram.h"

void histogram_merge(struct histogram *histogram, const struct histogram *other)
{
	for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++)
		histogram->buckets[i] += other->buckets[i];
	histogram->count += other->count;
	if (other->maximum > histogram->maximum)
		histogram->maximum = other->maximum;
}

static uint64_t bucket_middle(uint32_t bucket)
{
	uint32_t shift;
	uint64_t low;

	if (bucket < 2 * HISTOGRAM_SUB)
		return bucket;
	shift = bucket / HISTOGRAM_SUB - 1;
	low = (uint64_t)(bucket - shift * HISTOGRAM_SUB) << shift;
	return low + ((UINT64_C(1) << shift) >> 1);
}

uint64_t histogram_quantile(const struct histogram *histogram, double share)
{
	uint64_t wanted = (uint64_t)(share * (double)histogram->count), seen = 0;

	for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
		seen += histogram->buckets[i];
		if (seen > wanted) {
			uint64_t middle = bucket_middle(i);

			return middle < histogram->maximum ? middle : histogram->maximum;
		}
	}
	return histogram->maximum;
}
