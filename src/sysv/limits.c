/* SPDX-License-Identifier: Apache-2.0 */

#include "sysv/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <tenon/queue.h>

#include "abi/atomic.h"
#include "core/quiet.h"

#define MESSAGE_MOST 8192u
#define QUEUE_BYTES 16384u

static struct tni_a64 message_most, queue_bytes;

/* What a file of /proc says, but not less, and not more than a queue can do. */
static uint64_t read_limit(const char *path, uint64_t least, uint64_t most)
{
	char text[32] = "";
	int error = errno, fd = open(path, O_RDONLY | O_CLOEXEC);
	uint64_t value = 0;

	if (fd >= 0) {
		if (read(fd, text, sizeof(text) - 1) > 0)
			value = strtoull(text, NULL, 10);
		close(fd);
	}
	errno = error;
	return value < least ? least : value > most ? most : value;
}

static uint64_t known(struct tni_a64 *word, const char *path, uint64_t least, uint64_t most)
{
	uint64_t value = tni_get64(word);

	if (__builtin_expect(value != 0, 1))
		return value;
	TNI_NO_CANCEL;
	value = read_limit(path, least, most);
	tni_set64(word, value);
	return value;
}

uint64_t tni_sysv_message_most(void)
{
	return known(&message_most, "/proc/sys/kernel/msgmax", MESSAGE_MOST,
		     TENON_QUEUE_MAX_MESSAGE_BYTES);
}

uint64_t tni_sysv_queue_bytes(void)
{
	return known(&queue_bytes, "/proc/sys/kernel/msgmnb", QUEUE_BYTES, INT64_MAX);
}
