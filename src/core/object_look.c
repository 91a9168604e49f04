/* SPDX-License-Identifier: Apache-2.0 */

/* Looking at an object's file without opening it as one. */

#include <sys/stat.h>
#include <unistd.h>

#include "core/object.h"

uint32_t tni_object_read_word(int fd, uint32_t kind, uint64_t (*offset_of)(uint32_t participants))
{
	struct tni_object_header header;
	struct stat status;
	uint32_t word;

	if (tni_object_check(fd, kind, &header, &status) != 0 ||
	    pread(fd, &word, sizeof(word), (off_t)offset_of(header.participants_max)) !=
		    (ssize_t)sizeof(word))
		return 0;
	return word;
}
