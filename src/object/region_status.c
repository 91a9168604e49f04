/* SPDX-License-Identifier: Apache-2.0 */

/* What can be told about a region, and who has it. */

#include "object/region_private.h"

#include <sys/stat.h>

#include "core/file.h"
#include "object/options.h"

/* Calls `visit` for each handle that lives. */
static int visit_living(struct tenon_region *region,
			int (*visit)(const struct tenon_region_user *user, void *context),
			void *context)
{
	struct tni_object *object = &region->object;
	int result = 0;

	for (uint32_t i = 0; result == 0 && i < tni_object_participants_top(object); i++) {
		const struct tni_participant *entry = tni_object_participant(object, i);
		struct tenon_region_user user = {0};

		if (!entry || !tni_object_is_attached(object, i))
			continue;
		user.pid = (int32_t)tni_get32(&entry->pid);
		user.uid = tni_get32(&entry->uid);
		user.writes = tni_region_writes(region, i);
		user.is_own = i == object->participant;
		user.attached_ns = (int64_t)tni_get64(&entry->attached_ns);
		result = visit(&user, context);
	}
	return result;
}

int tenon_region_attached(struct tenon_region *region,
			  int (*visit)(const struct tenon_region_user *user, void *context),
			  void *context)
{
	int result = visit ? tni_region_begin(region) : -EINVAL;

	if (result == 0 && region->kind != TNI_REGION_ATTACHED)
		result = -EACCES;
	if (result == 0)
		result = visit_living(region, visit, context);
	/* What `visit` answered is not to be hidden. */
	return result == 0 ? tni_region_answer(region, 0) : result;
}

static int count_one(const struct tenon_region_user *user, void *context)
{
	struct tenon_region_status *status = context;

	status->participants++;
	status->writers += user->writes;
	return 0;
}

static void tell_control(struct tenon_region_status *status,
			 const struct tni_region_control *control)
{
	status->seals = (uint32_t)tni_get64(&control->seals) &
			(TENON_REGION_SEAL_GROW | TENON_REGION_SEAL_WRITE);
	status->grown = tni_get64(&control->grown);
	status->repairs = tni_get32(&control->gate.repairs);
}

/* Of a handle that has a descriptor only. */
static int tell_guest(struct tenon_region *region, struct tenon_region_status *status)
{
	struct tni_region_control control;
	int result = tni_region_read_control(region->fd, region->control_offset, &control);

	if (result == 0)
		tell_control(status, &control);
	return result;
}

static int tell(struct tenon_region *region, struct tenon_region_status *status)
{
	const struct tni_object_header *header = &region->object.header;
	struct stat file;
	int result = 0;

	if (fstat(region->fd, &file) == 0) {
		status->mode = file.st_mode & 07777;
		status->uid = file.st_uid;
		status->gid = file.st_gid;
	}
	status->memory_bytes = tni_file_memory(region->fd);
	status->max_bytes = region->max_bytes;
	status->max_participants = header->participants_max;
	status->id = header->id;
	status->created_ns = header->created_ns;
	if (region->kind == TNI_REGION_ATTACHED) {
		tni_region_mend(region);
		tell_control(status, region->control);
		status->attached = 1;
		status->damaged = tni_get32(&region->object.shared->damaged);
		result = visit_living(region, count_one, status);
	} else if (region->kind == TNI_REGION_GUEST) {
		result = tell_guest(region, status);
	} else {
		status->seals = TENON_REGION_SEAL_GROW | TENON_REGION_SEAL_WRITE;
	}
	return result;
}

int tenon_region_status(struct tenon_region *region, struct tenon_region_status *ret_status)
{
	struct tenon_region_status status = {.size = sizeof(status)};
	int result = tni_status_check(ret_status) == 0 ? tni_region_begin(region) : -EINVAL;

	if (result == 0)
		result = tni_region_look(region, &status.bytes);
	if (result == 0)
		result = tni_region_answer(region, tell(region, &status));
	if (result == 0)
		tni_status_write(ret_status, &status, sizeof(status));
	return result;
}

int tenon_region_check(const struct tenon_region *region)
{
	return region ? tni_region_answer(region, 0) : -EINVAL;
}
