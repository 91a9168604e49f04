/* SPDX-License-Identifier: Apache-2.0 */

#include "sysv/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <tenon/queue.h>
#include <tenon/semaphore_set.h>

#include "abi/atomic.h"
#include "abi/sysv.h"
#include "core/quiet.h"
#include "sysv/shm.h"

#define FOLDER "/proc/sys/kernel/"
#define NUMBERS 4u

/* What msgsnd(2) and semop(2) have been told. */
static struct tni_a64 message_most, operations_most;

/* The numbers of a file.  Those that it does not have stay as they are, which is by the kernel's defaults; so do those that
 * are 0, by which the kernel's own objects are switched off, and not these. */
static void read_limits(const char *path, uint64_t *numbers, unsigned count)
{
	TNI_NO_CANCEL;
	char text[128], *at = text;
	int error = errno, fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t bytes = fd >= 0 ? read(fd, text, sizeof(text) - 1) : 0;

	text[bytes > 0 ? bytes : 0] = '\0';
	for (unsigned i = 0; i < count; i++) {
		char *end;
		uint64_t number = strtoull(at, &end, 10);

		if (end == at)
			break;
		if (number != 0)
			numbers[i] = number;
		at = end;
	}
	if (fd >= 0)
		close(fd);
	errno = error;
}

static uint64_t limit(const char *path, uint64_t otherwise)
{
	read_limits(path, &otherwise, 1);
	return otherwise;
}

static uint64_t at_most(uint64_t value, uint64_t most)
{
	return value < most ? value : most;
}

uint64_t tni_sysv_message_most(void)
{
	uint64_t most = at_most(limit(FOLDER "msgmax", 8192), TENON_QUEUE_MAX_MESSAGE_BYTES);

	tni_set64(&message_most, most);
	return most;
}

bool tni_sysv_message_fits(uint64_t bytes)
{
	return __builtin_expect(bytes <= tni_get64(&message_most), 1) ||
	       bytes <= tni_sysv_message_most();
}

uint64_t tni_sysv_queue_bytes(void)
{
	return at_most(limit(FOLDER "msgmnb", 16384), INT64_MAX);
}

uint32_t tni_sysv_queues_most(void)
{
	return (uint32_t)at_most(limit(FOLDER "msgmni", 32000), TNI_SYSV_INDEX + 1);
}

void tni_sysv_semaphore_limits(struct tni_sysv_semaphore_limits *ret_limits)
{
	uint64_t numbers[NUMBERS] = {TENON_SEMAPHORE_SET_MOST, 1024000000,
				     TENON_SEMAPHORE_SET_OPERATIONS_MOST, 32000};

	read_limits(FOLDER "sem", numbers, NUMBERS);
	ret_limits->of_set = (uint32_t)at_most(numbers[0], TENON_SEMAPHORE_SET_MOST);
	ret_limits->of_all = (uint32_t)at_most(numbers[1], INT32_MAX);
	ret_limits->operations = (uint32_t)at_most(numbers[2], TENON_SEMAPHORE_SET_OPERATIONS_MOST);
	ret_limits->sets = (uint32_t)at_most(numbers[3], TNI_SYSV_INDEX + 1);
	tni_set64(&operations_most, ret_limits->operations);
}

bool tni_sysv_operations_fit(uint64_t count)
{
	struct tni_sysv_semaphore_limits limits;

	if (__builtin_expect(count <= tni_get64(&operations_most), 1))
		return true;
	tni_sysv_semaphore_limits(&limits);
	return count <= limits.operations;
}

uint32_t tni_sysv_sets_most(void)
{
	struct tni_sysv_semaphore_limits limits;

	tni_sysv_semaphore_limits(&limits);
	return limits.sets;
}

uint32_t tni_sysv_segments_most(void)
{
	return (uint32_t)at_most(limit(FOLDER "shmmni", 4096), TNI_SYSV_INDEX + 1);
}

uint64_t tni_sysv_segment_bytes(void)
{
	return at_most(limit(FOLDER "shmmax", TNI_SYSV_SHM_BYTES_MOST), TNI_SYSV_SHM_BYTES_MOST);
}

uint64_t tni_sysv_segments_pages(void)
{
	return limit(FOLDER "shmall", TNI_SYSV_SHM_BYTES_MOST);
}
