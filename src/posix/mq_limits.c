/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The kernel's limits, for who asks for them (TENON_LIMITS=kernel): those of /proc/sys/fs/mqueue, and RLIMIT_MSGQUEUE
 * as getrlimit(2) counts it, for the queues of the namespace that belong to the caller's effective user.
 */

#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <tenon/tenon.h>

#include "posix/mq_table.h"

#define DEFAULT_CAPACITY 10u
#define DEFAULT_MESSAGE_BYTES 8192u
#define DEFAULT_QUEUES 256u
/* What no privilege goes beyond (mq_overview(7)). */
#define HARD_CAPACITY 65536u
#define HARD_MESSAGE_BYTES 16777216u
/* What the kernel counts for each message beside its bytes, and for each priority. */
#define KERNEL_MESSAGE_BYTES 48u
#define KERNEL_PRIORITY_BYTES 48u
#define KERNEL_PRIORITIES 32768u

static uint64_t figure(const char *name, uint64_t otherwise)
{
	char path[64], text[32];
	FILE *file;
	uint64_t value = otherwise;

	snprintf(path, sizeof(path), "/proc/sys/fs/mqueue/%s", name);
	file = fopen(path, "re");
	if (!file)
		return otherwise;
	if (fgets(text, sizeof(text), file))
		value = strtoull(text, NULL, 10);
	fclose(file);
	return value;
}

bool tni_mq_has_limits(void)
{
	const char *limits = secure_getenv("TENON_LIMITS");

	return limits && strcmp(limits, "kernel") == 0;
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

void tni_mq_defaults(uint64_t *ret_capacity, uint64_t *ret_message_bytes)
{
	*ret_capacity = figure("msg_default", DEFAULT_CAPACITY);
	*ret_message_bytes = figure("msgsize_default", DEFAULT_MESSAGE_BYTES);
	if (tni_mq_has_limits()) {
		*ret_capacity = least(*ret_capacity, figure("msg_max", DEFAULT_CAPACITY));
		*ret_message_bytes = least(*ret_message_bytes,
					   figure("msgsize_max", DEFAULT_MESSAGE_BYTES));
	}
}

static uint64_t cost(uint64_t capacity, uint64_t message_bytes)
{
	return capacity * (KERNEL_MESSAGE_BYTES + message_bytes) +
	       least(capacity, KERNEL_PRIORITIES) * KERNEL_PRIORITY_BYTES;
}

struct census {
	uint64_t queues, bytes;
};

static int count(uint32_t kind, const char *name, void *context)
{
	struct tenon_queue_status status = {.size = sizeof(status)};
	struct census *census = context;
	struct tenon_queue *queue;

	if (kind != TENON_KIND_QUEUE)
		return 0;
	census->queues++;
	if (tenon_queue_open(NULL, name, 0, NULL, &queue) != 0)
		return 0;
	if (tenon_queue_status(queue, &status) == 0 && status.uid == geteuid())
		census->bytes += cost(status.capacity, status.max_message_bytes);
	tenon_queue_close(queue);
	return 0;
}

/* CAP_SYS_RESOURCE, as capabilities(7) has it. */
static bool has_resource_privilege(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	return syscall(SYS_capget, &header, data) == 0 &&
	       data[CAP_TO_INDEX(CAP_SYS_RESOURCE)].effective & CAP_TO_MASK(CAP_SYS_RESOURCE);
}

int tni_mq_check_limits(uint64_t capacity, uint64_t message_bytes)
{
	bool is_privileged = has_resource_privilege();
	struct census census = {0, 0};
	struct rlimit limit;
	int result;

	if (capacity > (is_privileged ? HARD_CAPACITY : figure("msg_max", DEFAULT_CAPACITY)) ||
	    message_bytes > (is_privileged ? HARD_MESSAGE_BYTES
					   : figure("msgsize_max", DEFAULT_MESSAGE_BYTES)))
		return -EINVAL;
	result = tenon_namespace_list(NULL, count, &census);
	if (result != 0)
		return result;
	if (census.queues >= figure("queues_max", DEFAULT_QUEUES) && !is_privileged)
		return -ENOSPC;
	if (getrlimit(RLIMIT_MSGQUEUE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
	    census.bytes + cost(capacity, message_bytes) > limit.rlim_cur)
		return -EMFILE;
	return 0;
}
