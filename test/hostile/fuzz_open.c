/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Fuzz target: the input lies over a good queue's file, which is then opened, used in every way, and
 * opened once more.  Behind the kind come records of a place, a length (1 byte) and as many bytes.
 */

#include "fuzz.h"

const char fuzz_target[] = "open";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct fuzz_case fuzz;
	size_t at = 1;

	if (bytes < 1)
		return 0;
	fuzz_begin(&fuzz, data[0]);
	while (at + FUZZ_PLACE_BYTES + 1 < bytes) {
		size_t from = at + FUZZ_PLACE_BYTES + 1, length = data[from - 1];

		if (length > bytes - from)
			length = bytes - from;
		fuzz_write(&fuzz, data + at, data + from, length);
		at = from + length;
	}
	for (uint32_t i = 0; i < 2; i++) {
		victim_hold(fuzz.record, fuzz.kind, FUZZ_NAME, &fuzz.holdings);
		victim_operate(fuzz.record, fuzz.kind, FUZZ_NAME, &fuzz.holdings, bytes);
	}
	fuzz_end(&fuzz);
	return 0;
}
