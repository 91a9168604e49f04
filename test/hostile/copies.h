/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_HOSTILE_COPIES_H
#define TEST_HOSTILE_COPIES_H

/* A queue's file as bytes: copied, scribbled over, put back. */

#include <stdbool.h>
#include <stdint.h>

struct extent {
	uint64_t offset, bytes; /* in the file; multiples of 8 */
	uint8_t *data;
};

#define EXTENTS_MAX 64u

struct image {
	struct extent extent[EXTENTS_MAX];
	uint32_t count;
	uint64_t file_bytes, data_bytes;
	uint64_t *hot; /* numbers of bytes whose words are in use */
	uint64_t hot_count;
};

/* Reads what is not a hole, and finds the words that are in use. */
int image_read(struct image *image, const char *path);
void image_free(struct image *image);
/* Writes a file with the same bytes and holes; gives its descriptor, open for both. */
int image_write(const struct image *image, const char *path);
/* Offset in the file of the `number`th byte of data. */
uint64_t image_offset(const struct image *image, uint64_t number);
/* The 8-byte word at an offset in the data, as the image has it. */
uint64_t image_word(const struct image *image, uint64_t number);

/* One of the values that a word is scribbled over with: some are made from what is there. */
#define IMAGE_VALUES 12u
uint64_t image_value(const struct image *image, uint64_t which, uint64_t number, uint64_t *random);

/* Where a queue of few participants has its control structure. */
uint64_t control_offset(void);
/* Whether the word at an offset in the file is one of a gate. */
bool is_gate(uint64_t offset);

#endif
