/* SPDX-License-Identifier: Apache-2.0 */

#include "copies.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int image_read(struct image *image, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat status;
	off_t at = 0;

	memset(image, 0, sizeof(*image));
	if (fd < 0 || fstat(fd, &status) != 0)
		return -errno;
	image->file_bytes = (uint64_t)status.st_size;
	while ((at = lseek(fd, at, SEEK_DATA)) >= 0 && image->count < EXTENTS_MAX) {
		struct extent *extent = &image->extent[image->count];
		off_t end = lseek(fd, at, SEEK_HOLE);

		extent->offset = (uint64_t)at;
		extent->bytes = (uint64_t)(end - at);
		extent->data = malloc(extent->bytes);
		if (!extent->data ||
		    pread(fd, extent->data, extent->bytes, at) != (ssize_t)extent->bytes) {
			close(fd);
			return -ENOMEM;
		}
		image->data_bytes += extent->bytes;
		image->count++;
		at = end;
	}
	close(fd);
	return image->count > 0 && image->count < EXTENTS_MAX ? 0 : -EFBIG;
}

void image_free(struct image *image)
{
	for (uint32_t i = 0; i < image->count; i++)
		free(image->extent[i].data);
	memset(image, 0, sizeof(*image));
}

int image_write(const struct image *image, const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)image->file_bytes) != 0) {
		close(fd);
		return -EIO;
	}
	for (uint32_t i = 0; i < image->count; i++) {
		const struct extent *extent = &image->extent[i];

		if (pwrite(fd, extent->data, extent->bytes, (off_t)extent->offset) !=
		    (ssize_t)extent->bytes) {
			close(fd);
			return -EIO;
		}
	}
	return fd;
}

uint64_t image_offset(const struct image *image, uint64_t number)
{
	uint32_t i = 0;

	while (i + 1 < image->count && number >= image->extent[i].bytes)
		number -= image->extent[i++].bytes;
	return image->extent[i].offset + number;
}

uint64_t image_word(const struct image *image, uint64_t number)
{
	uint64_t word;
	uint32_t i = 0;

	number &= ~UINT64_C(7);
	while (i + 1 < image->count && number >= image->extent[i].bytes)
		number -= image->extent[i++].bytes;
	memcpy(&word, image->extent[i].data + number, sizeof(word));
	return word;
}
