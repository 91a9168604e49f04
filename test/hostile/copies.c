/* SPDX-License-Identifier: Apache-2.0 */

#include "copies.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "abi/queue.h"
#include "victim.h"

uint64_t control_offset(void)
{
	return TNI_PARTICIPANTS_OFFSET + TNI_PAGE_BYTES; /* few participants: one page */
}

bool is_gate(uint64_t offset)
{
	uint64_t send = control_offset() + offsetof(struct tni_queue_control, send);
	uint64_t receive = control_offset() + offsetof(struct tni_queue_control, receive);

	return (offset & ~UINT64_C(7)) == send || (offset & ~UINT64_C(7)) == receive;
}

/* The words that are not 0, and those of the control structure before and behind the journals. */
static int find_hot(struct image *image)
{
	image->hot = malloc((image->data_bytes / 8 + 1) * sizeof(*image->hot));
	if (!image->hot)
		return -ENOMEM;
	for (uint64_t at = 0; at < image->data_bytes; at += 8) {
		uint64_t in_control = image_offset(image, at) - control_offset();
		bool control = in_control < sizeof(struct tni_queue_control);
		bool journal = control && (in_control % sizeof(struct tni_send_side)) >
						  offsetof(struct tni_send_side, journal) + 64;

		if (image_word(image, at) != 0 || (control && !journal))
			image->hot[image->hot_count++] = at;
	}
	return 0;
}

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
	return image->count > 0 && image->count < EXTENTS_MAX ? find_hot(image) : -EFBIG;
}

void image_free(struct image *image)
{
	for (uint32_t i = 0; i < image->count; i++)
		free(image->extent[i].data);
	free(image->hot);
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

uint64_t image_value(const struct image *image, uint64_t which, uint64_t number, uint64_t *random)
{
	uint64_t old = image_word(image, number);

	switch (which) {
	case 0:
		return 0;
	case 1:
		return UINT64_MAX;
	case 2:
		return 1;
	case 3:
		return 2 + hostile_random(random) % 64;
	case 4:
		return old + 1;
	case 5:
		return old - 1;
	case 6:
		return image_word(image, number >= 8 ? number - 8 : number);
	case 7:
		return image_word(image, number + 8 < image->data_bytes ? number + 8 : number);
	case 8:
		return old ^ UINT64_C(1) << (hostile_random(random) % 64);
	case 9:
		return image_word(image, image->hot[hostile_random(random) % image->hot_count]);
	case 10:
		return UINT64_C(1) << (hostile_random(random) % 64);
	default:
		return hostile_random(random);
	}
}
