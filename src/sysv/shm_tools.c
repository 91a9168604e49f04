/* SPDX-License-Identifier: Apache-2.0 */

/* Segments as tools see them: by their names. */

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include <tenon/sysv.h>

#include "core/file.h"
#include "core/quiet.h"
#include "object/named.h"
#include "object/options.h"
#include "sysv/permission.h"
#include "sysv/shm.h"

int tenon_segment_open(const char *name, struct tenon_segment **ret_segment)
{
	TNI_NO_CANCEL;
	struct tni_sysv_part *part;
	struct tni_object *object;
	void *opened;
	int result = ret_segment ? tni_sysv_shm.open(name, &opened) : -EINVAL;

	if (result != 0)
		return result;
	object = opened;
	result = tni_sysv_part_of(object, TENON_KIND_SEGMENT, &part) == 0 ? 0 : -EBADMSG;
	/* Who looks at what is ended clears it away. */
	if (result == 0 && tni_segment_is_ended(opened)) {
		(void)!tni_sysv_clear(&tni_sysv_shm, opened, part);
		result = -ENOENT;
	}
	if (result == 0)
		*ret_segment = opened;
	else
		tni_sysv_shm.close(opened);
	return result;
}

struct tenon_segment *tenon_segment_close(struct tenon_segment *segment)
{
	if (segment)
		tni_segment_close(segment);
	return NULL;
}

static int tell(struct tenon_segment *segment, const struct tni_sysv_identity *identity,
		struct tenon_segment_status *status)
{
	const struct tni_segment_control *control = segment->control;
	uint32_t state = tni_get32(&control->state);

	tni_segment_mend(segment);
	status->mode = identity->mode;
	status->uid = identity->uid;
	status->gid = identity->gid;
	status->max_participants = segment->object.header.participants_max;
	status->damaged = tni_get32(&segment->broken);
	status->is_removed = (state & TNI_SEGMENT_REMOVED) != 0;
	status->is_locked = (state & TNI_SEGMENT_LOCKED) != 0;
	status->is_sparse = (segment->flags & TNI_SEGMENT_SPARSE) != 0;
	status->id = segment->object.header.id;
	status->bytes = segment->bytes;
	status->page_bytes = tni_segment_page_bytes(segment->flags);
	status->memory_bytes = tni_file_memory(segment->object.fd) + tni_segment_memory(segment);
	status->attachments = tni_segment_count(segment);
	status->created_ns = segment->object.header.created_ns;
	status->attached_ns = (int64_t)tni_get64(&control->attached_ns);
	status->detached_ns = (int64_t)tni_get64(&control->detached_ns);
	status->creator_pid = (int32_t)segment->creator_pid;
	status->last_pid = (int32_t)tni_get32(&control->last_pid);
	status->identifier = (int32_t)identity->id;
	status->key = status->is_removed ? IPC_PRIVATE : (int32_t)identity->key;
	return 0;
}

static int count_one(const struct tenon_segment_user *user, void *context)
{
	uint32_t *count = context;

	(void)user;
	++*count;
	return 0;
}

int tenon_segment_status(struct tenon_segment *segment, struct tenon_segment_status *ret_status)
{
	TNI_NO_CANCEL;
	struct tenon_segment_status status = {.size = sizeof(status)};
	struct tni_sysv_identity identity;
	int result = segment && tni_status_check(ret_status) == 0 ? tni_segment_begin(segment)
								  : -EINVAL;

	if (result == 0)
		result = tni_sysv_read(segment->part, &identity);
	if (result == 0)
		result = tell(segment, &identity, &status);
	if (result == 0)
		result = tenon_segment_attached(segment, count_one, &status.participants);
	if (result == 0)
		tni_status_write(ret_status, &status, sizeof(status));
	return result;
}

int tenon_segment_attached(struct tenon_segment *segment,
			   int (*visit)(const struct tenon_segment_user *user, void *context),
			   void *context)
{
	struct tni_object *object = (struct tni_object *)segment;
	int result = segment && visit ? tni_segment_begin(segment) : -EINVAL;

	for (uint32_t i = 0; result == 0 && i < tni_object_participants_top(object); i++) {
		const struct tni_participant *entry = tni_object_participant(object, i);
		struct tenon_segment_user user = {0};

		if (!entry || tni_get32(&entry->attachments) == 0 ||
		    !tni_object_is_attached(object, i))
			continue;
		user.pid = (int32_t)tni_get32(&entry->pid);
		user.uid = tni_get32(&entry->uid);
		user.attachments = tni_get32(&entry->attachments);
		user.attached_ns = (int64_t)tni_get64(&entry->attached_ns);
		result = visit(&user, context);
	}
	return result;
}

int tenon_segment_remove(const char *name)
{
	TNI_NO_CANCEL;
	struct tenon_segment *segment;
	struct tni_sysv_identity identity;
	struct tni_sysv_part *part;
	int result = tenon_segment_open(name, &segment);

	/* What cannot be opened by anybody loses its name. */
	if (result == -EBADMSG || result == -EPROTO)
		return tni_named_remove(TENON_KIND_SEGMENT, NULL, name, NULL);
	if (result != 0)
		return result;
	result = tni_sysv_part_of(&segment->object, TENON_KIND_SEGMENT, &part);
	if (result == 0)
		result = tni_sysv_read(part, &identity);
	if (result == 0 && !tni_sysv_is_owner(&identity))
		result = -EPERM;
	if (result == 0)
		result = tni_sysv_remove(&tni_sysv_shm, segment, part);
	tni_segment_close(segment);
	return result;
}
