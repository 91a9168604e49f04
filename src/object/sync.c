/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The file of a synchronization object: header, participants, one cell.  All of its memory but that of the
 * participants is taken when it is made.
 */

#include "object/sync.h"

#include <errno.h>

#include "core/file.h"
#include "object/options.h"

#define MODE_DEFAULT 0600u
#define PARTICIPANTS_DEFAULT 256u

static uint64_t cell_offset(uint32_t participants)
{
	uint64_t bytes = participants * sizeof(struct tni_participant);

	return TNI_PARTICIPANTS_OFFSET +
	       (bytes + TNI_PAGE_BYTES - 1) / TNI_PAGE_BYTES * TNI_PAGE_BYTES;
}

static int fill(int fd, uint8_t *base, const void *context)
{
	const struct tni_sync *sync = context;
	uint64_t offset = cell_offset(sync->making.max_participants);
	struct tni_cell *cell = (struct tni_cell *)(base + offset);
	int result = tni_file_reserve(fd, offset, sizeof(*cell));

	if (result == 0)
		cell->flags = sync->making.flags;
	return result;
}

int tni_sync_make(int directory_fd, const char *file_name, const char *name, void *context,
		  uint64_t *ret_inode)
{
	const struct tni_sync *sync = context;
	const struct tenon_sync_options *making = &sync->making;
	struct tni_object_header header = {.kind = sync->kind->kind,
					   .participants_max = making->max_participants,
					   .extent_bytes = cell_offset(making->max_participants) +
							   sizeof(struct tni_cell)};

	return tni_object_make(directory_fd, file_name, name, (mode_t)making->mode, &header, fill,
			       sync, ret_inode);
}

/* What the dead held, or who lets go: its bits, and the gate. */
static int bury(struct tni_object *object, uint32_t participant, int64_t deadline_ns)
{
	struct tni_sync *sync = (struct tni_sync *)object;

	(void)deadline_ns;
	tni_gatehouse_forget(&sync->house, participant);
	tni_gate_orphan(&sync->house, 0, participant);
	return 0;
}

static void renew(struct tni_object *object)
{
	tni_gatehouse_renew(&((struct tni_sync *)object)->house, object->participant);
}

static int map_cell(struct tni_sync *sync)
{
	struct tni_object *object = &sync->object;
	uint64_t offset = cell_offset(object->header.participants_max);

	/* Shorter: cut off. */
	if (object->extent_bytes != offset + sizeof(*sync->cell) ||
	    object->file_bytes < object->extent_bytes)
		return -EBADMSG;
	sync->cell = (struct tni_cell *)(object->base + offset);
	sync->flags = *(const volatile uint32_t *)&sync->cell->flags;
	return sync->flags & ~sync->flags_known ? -EBADMSG : 0;
}

int tni_sync_open(int directory_fd, const char *file_name, void *context)
{
	struct tni_sync *sync = context;
	struct tni_object *object = &sync->object;
	int result = tni_object_open(directory_fd, file_name, sync->kind->kind, object);

	if (result != 0)
		return result;
	result = map_cell(sync);
	/* A hole that another process has made in the file is filled. */
	if (result == 0)
		result = tni_file_refill(object->fd, object->extent_bytes);
	if (result == 0) {
		tni_set32(&object->known, object->header.participants_max);
		sync->house = (struct tni_gatehouse){
			.gate = {&sync->cell->gate},
			.gates = 1,
			.waitroom = &sync->cell->waitroom,
			.top = object->header.participants_max,
			.is_held_long = true,
			.is_gone = tni_object_thread_is_gone,
			.is_doubtful = tni_object_may_live,
			.is_own = tni_object_is_own,
			.object = object,
		};
		object->bury = bury;
		object->renew = renew;
		result = tni_object_attach(object);
	}
	if (result != 0) {
		tni_object_close(object);
		return result;
	}
	return 0;
}

void tni_sync_close(void *context)
{
	struct tni_sync *sync = context;

	tni_object_close(&sync->object);
}

static int options_check(const struct tenon_sync_options *options, uint32_t flags_known,
			 struct tenon_sync_options *checked)
{
	int result = tni_options_copy(checked, sizeof(*checked), options, flags_known);

	if (result != 0)
		return result;
	if (checked->mode == 0)
		checked->mode = MODE_DEFAULT;
	if (checked->max_participants == 0)
		checked->max_participants = PARTICIPANTS_DEFAULT;
	if (checked->max_participants > TNI_PARTICIPANTS_MAX || checked->mode & ~0777u)
		return -EINVAL;
	return 0;
}

int tni_sync_open_named(struct tni_sync *sync, const char *namespace_path, const char *name,
			uint32_t flags, const struct tenon_sync_options *options)
{
	int result = flags & TENON_CREATE ? options_check(options, sync->flags_known, &sync->making)
					  : 0;

	return result == 0 ? tni_named_open(sync->kind, namespace_path, name, flags, sync) : result;
}

void tni_sync_count(struct tni_sync *sync, uint32_t class, uint32_t *ret_attached,
		    uint32_t *ret_asleep)
{
	const struct tni_a64 *row = sync->cell->waitroom.asleep[class];

	*ret_attached = *ret_asleep = 0;
	for (uint32_t i = 0; i < tni_object_participants_top(&sync->object); i++) {
		const struct tni_participant *entry = tni_object_participant(&sync->object, i);

		/* ORD(participant): see core/object.c. */
		if (!entry || tni_load_acquire32(&entry->state) == TNI_PARTICIPANT_FREE ||
		    tni_object_is_dead(&sync->object, i))
			continue;
		++*ret_attached;
		*ret_asleep += tni_get64(&row[i / 64]) >> (i % 64) & 1;
	}
}
