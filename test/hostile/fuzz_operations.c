/* SPDX-License-Identifier: Apache-2.0 */

/*
 * libFuzzer: a victim has a queue open and holds messages of it; the input says which words change
 * between its operations.  The first byte chooses the kind; then come records of an offset in the
 * file's data (4 bytes, little endian) and a value (8 bytes), four of them before each round.
 */

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../crash/folder.h"
#include "copies.h"
#include "victim.h"

#define RECORD_BYTES 12u
#define RECORDS_A_ROUND 4u
#define ROUNDS_MOST 4u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static char folder[FOLDER_BYTES];
static struct image images[16];
static struct record record;

static void clean_up(void)
{
	folder_remove(folder);
}

static void path_of(char *path, const char *name)
{
	strcpy(path, folder);
	strcat(path, "/q.");
	strcat(path, name);
}

static void make_images(void)
{
	char path[FOLDER_BYTES + 16];

	if (folder_make(folder) != 0 || kinds_count > sizeof(images) / sizeof(images[0]))
		abort();
	atexit(clean_up);
	path_of(path, "good");
	for (uint32_t i = 0; i < kinds_count; i++) {
		if (victim_prepare(&kinds[i], "good") != 0 || image_read(&images[i], path) != 0 ||
		    tenon_queue_remove(NULL, "good") != 0)
			abort();
	}
}

static void change(int fd, const struct image *image, const uint8_t *data)
{
	uint32_t offset = data[0] | data[1] << 8 | data[2] << 16 | (uint32_t)data[3] << 24;
	uint64_t at = image_offset(image, offset % image->data_bytes & ~UINT64_C(3));

	if (pwrite(fd, data + 4, at % 8 == 0 ? 8 : 4, (off_t)at) < 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	char path[FOLDER_BYTES + 16];
	uint32_t kind;
	int fd;

	if (bytes < 1 + RECORD_BYTES)
		return 0;
	if (folder[0] == '\0')
		make_images();
	kind = data[0] % kinds_count;
	path_of(path, "copy");
	fd = image_write(&images[kind], path);
	if (fd < 0)
		abort();
	data++;
	bytes--;
	for (uint32_t round = 0; round < ROUNDS_MOST && bytes >= RECORD_BYTES; round++) {
		struct holdings holdings;

		victim_hold(&record, &kinds[kind], "copy", &holdings);
		for (uint32_t i = 0; i < RECORDS_A_ROUND && bytes >= RECORD_BYTES; i++) {
			change(fd, &images[kind], data);
			data += RECORD_BYTES;
			bytes -= RECORD_BYTES;
		}
		victim_operate(&record, &kinds[kind], &holdings, round);
	}
	tenon_queue_remove(NULL, "copy");
	close(fd);
	if (record.wrong)
		abort();
	return 0;
}
