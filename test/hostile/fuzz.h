/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_HOSTILE_FUZZ_H
#define TEST_HOSTILE_FUZZ_H

/* What both fuzz targets stand on.  The first byte of an input chooses the kind of queue; a place
 * is 4 bytes, little endian: with the top bit one of the words that are in use, else any byte. */

#include <stddef.h>
#include <stdint.h>

#include "copies.h"
#include "victim.h"

#define FUZZ_NAME "copy"
#define FUZZ_PLACE_BYTES 4u

/* A target's own: libFuzzer calls it, and test/hostile/replay.c. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);
extern const char fuzz_target[];

struct fuzz_case {
	const struct kind *kind;
	const struct image *image;
	int fd;
	struct record *record;
	struct holdings holdings;
};

/* Puts a good queue of a kind under FUZZ_NAME.  Aborts if it cannot: then the test is broken. */
void fuzz_begin(struct fuzz_case *fuzz, uint8_t kind);
/* Writes over the queue's file.  Owners of gates are taken out again: one that does not exist costs
 * a second, and is for attacks and scribble. */
void fuzz_write(struct fuzz_case *fuzz, const uint8_t *place, const uint8_t *data, uint64_t bytes);
/* As if the owner of a gate had died with so many words in its journal: repair undoes what stands
 * there, which chance finds rarely. */
void fuzz_kill_owner(struct fuzz_case *fuzz, uint32_t side, uint64_t count);
/* Takes the queue away; aborts if a promise was broken. */
void fuzz_end(struct fuzz_case *fuzz);

/* Calls made so far. */
uint64_t fuzz_calls(void);

/* The inputs that fuzzing begins with: how many, and the `number`th; SEED_MOST_BYTES are enough. */
#define SEED_MOST_BYTES 512u
uint32_t seed_count(void);
size_t seed_make(const char *target, uint32_t number, uint8_t *ret_data);

#endif
