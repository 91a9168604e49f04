/* SPDX-License-Identifier: Apache-2.0 */

/*
 * libFuzzer: the input lies over a good queue's file, which is then opened and used.  The first byte
 * chooses the kind; then come records of an offset in the file's data (4 bytes, little endian), a
 * length (1 byte) and as many bytes.
 */

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../crash/folder.h"
#include "copies.h"
#include "victim.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static char folder[FOLDER_BYTES];
static struct image images[16];
static struct record record;

static void clean_up(void)
{
	folder_remove(folder);
}

static void make_images(void)
{
	char path[FOLDER_BYTES + 16];

	if (folder_make(folder) != 0 || kinds_count > sizeof(images) / sizeof(images[0]))
		abort();
	atexit(clean_up);
	strcpy(path, folder);
	strcat(path, "/q.good");
	for (uint32_t i = 0; i < kinds_count; i++) {
		if (victim_prepare(&kinds[i], "good") != 0 || image_read(&images[i], path) != 0 ||
		    tenon_queue_remove(NULL, "good") != 0)
			abort();
	}
}

static void lay_over(int fd, const struct image *image, const uint8_t *data, size_t bytes)
{
	while (bytes > 5) {
		uint32_t offset = data[0] | data[1] << 8 | data[2] << 16 | (uint32_t)data[3] << 24;
		size_t length = data[4] < bytes - 5 ? data[4] : bytes - 5;
		uint64_t at = image_offset(image, offset % image->data_bytes);

		if (at + length <= image->file_bytes &&
		    pwrite(fd, data + 5, length, (off_t)at) != (ssize_t)length)
			abort();
		data += 5 + length;
		bytes -= 5 + length;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	char path[FOLDER_BYTES + 16];
	struct holdings holdings;
	uint32_t kind;
	int fd;

	if (bytes < 1)
		return 0;
	if (folder[0] == '\0')
		make_images();
	kind = data[0] % kinds_count;
	strcpy(path, folder);
	strcat(path, "/q.copy");
	fd = image_write(&images[kind], path);
	if (fd < 0)
		abort();
	lay_over(fd, &images[kind], data + 1, bytes - 1);
	victim_hold(&record, &kinds[kind], "copy", &holdings);
	victim_operate(&record, &kinds[kind], &holdings, bytes);
	tenon_queue_remove(NULL, "copy");
	close(fd);
	if (record.wrong)
		abort();
	return 0;
}
