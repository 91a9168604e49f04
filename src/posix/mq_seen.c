/* SPDX-License-Identifier: Apache-2.0 */

/* What the preload library asks and tells about descriptors, and what needs no lock: posix/mq.h. */

#include <errno.h>
#include <limits.h>

#include "object/queue_descriptor.h"
#include "posix/mq.h"
#include "posix/mq_numbers.h"

static struct tni_a32 is_told_all;

void tni_mq_tell_all(void)
{
	tni_set32(&is_told_all, 1);
}

bool tni_mq_is_told_all(void)
{
	return tni_get32(&is_told_all);
}

bool tni_mq_is(int fd)
{
	return tni_mq_known(fd) != NULL;
}

bool tni_mq_is_named(int fd)
{
	char namespace_path[PATH_MAX];
	uint64_t inode, id;

	return tni_pair_is_likely(fd) &&
	       tni_pair_identify(fd, namespace_path, sizeof(namespace_path), &inode, &id) == 0;
}

bool tni_mq_meet(int fd)
{
	struct tni_mqd *descriptor = tni_mqd_enter(fd);

	if (!descriptor)
		return false;
	tni_mqd_leave(descriptor);
	return true;
}

void tni_mq_watch(int fd)
{
	struct tni_mqd *descriptor = tni_mqd_enter_known(fd);

	if (!descriptor)
		return;
	if (!tni_pair_is_watched(descriptor->mq->queue))
		(void)!tni_pair_watch(descriptor->mq->queue);
	tni_mqd_leave(descriptor);
}

void tni_mq_flags_changing(int fd)
{
	struct tni_mqd *descriptor = tni_mqd_enter_known(fd);

	if (descriptor) {
		tni_pair_flags_begin(descriptor->mq->queue);
		tni_mqd_leave(descriptor);
	}
}

void tni_mq_flags_changed(int fd)
{
	struct tni_mqd *descriptor = tni_mqd_enter_known(fd);

	if (descriptor) {
		tni_pair_flags_end(descriptor->mq->queue);
		tni_mqd_leave(descriptor);
	}
}

int tni_mq_access(int fd)
{
	struct tni_mqd *descriptor = tni_mqd_enter_known(fd);
	int access;

	if (!descriptor)
		return -EBADF;
	access = descriptor->access;
	tni_mqd_leave(descriptor);
	return access;
}
