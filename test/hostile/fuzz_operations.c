/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Fuzz target: a victim has a queue open and holds messages of it; the input says what it does, and
 * which words change in between.  Behind the kind come steps:
 *
 *	below 126	an operation of test/hostile/victim.c: one of those, closing, or opening
 *	126, 127	the owner of a gate dies; a byte says how full its journal is
 *	from 128 on	a place and 8 bytes, of which the odd ones write 4, the even ones 8
 */

#include "fuzz.h"

#define VALUE_BYTES 8u
#define OPERATIONS_MOST 24u

const char fuzz_target[] = "operations";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct fuzz_case fuzz;
	size_t at = 1;

	if (bytes < 2)
		return 0;
	fuzz_begin(&fuzz, data[0]);
	victim_hold(fuzz.record, fuzz.kind, FUZZ_NAME, &fuzz.holdings);
	for (uint32_t done = 0; at < bytes && done < OPERATIONS_MOST;) {
		uint8_t step = data[at++];

		if (step >= 126 && step < 128) {
			fuzz_kill_owner(&fuzz, step % 2, at < bytes ? data[at++] : 1);
			continue;
		}
		if (step < 126) {
			victim_do(fuzz.record, fuzz.kind, FUZZ_NAME, &fuzz.holdings,
				  step % victim_operations());
			done++;
			continue;
		}
		if (bytes - at < FUZZ_PLACE_BYTES + VALUE_BYTES)
			break;
		fuzz_write(&fuzz, data + at, data + at + FUZZ_PLACE_BYTES, step % 2 ? 4 : 8);
		at += FUZZ_PLACE_BYTES + VALUE_BYTES;
	}
	victim_close(fuzz.record, &fuzz.holdings);
	fuzz_end(&fuzz);
	return 0;
}
