/* SPDX-License-Identifier: Apache-2.0 */

#include "scribbled.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../crash/folder.h"
#include "abi/sync.h"
#include "object/region_private.h"

#define REGION "/attacked"
#define REGION_FILE "r.attacked"

bool scribbled_is_placed;

#define OF_REGION -EPROTO, -EIO, -EPERM, -EAGAIN

static int open_region(uint32_t flags, struct tenon_region **ret_region)
{
	struct tenon_region_options options = {.size = sizeof(options),
					       .max_participants = SCRIBBLED_PARTICIPANTS,
					       .bytes = 2 *
							TENON_PLACE_BYTES(SCRIBBLED_PARTICIPANTS)};

	return tenon_region_open(NULL, REGION, flags, &options, ret_region);
}

/* What the headers say of opening. */
static void told_of_opening(uint32_t flags, int result)
{
	if (scribbled_is_placed && (flags & TENON_CREATE))
		TOLD(result, -EEXIST, OF_REGION);
	else if (scribbled_is_placed)
		TOLD(result, -ENOENT, OF_REGION);
	else if (flags & TENON_CREATE)
		TOLD(result, -EPROTO, -EAGAIN, -EPERM, -EIDRM);
	else
		TOLD(result, -EPROTO, -ENOENT, -EIDRM);
}

int scribbled_open(const struct scribbled *kind, uint32_t flags,
		   struct scribbled_handle *ret_handle)
{
	struct scribbled_handle handle = {NULL, NULL};
	int result = scribbled_is_placed ? open_region(flags, &handle.region) : 0;

	if (result == 0)
		result = kind->open(handle.region, flags, &handle.object);
	told_of_opening(flags, result);
	if (result == 0)
		*ret_handle = handle;
	else
		handle.region = tenon_region_close(handle.region);
	return result;
}

struct scribbled_handle scribbled_must_open(const struct scribbled *kind)
{
	struct scribbled_handle handle = {NULL, NULL};

	if (scribbled_open(kind, TENON_CREATE, &handle) != 0)
		_exit(IMPOSSIBLE);
	return handle;
}

void scribbled_close(const struct scribbled *kind, struct scribbled_handle *handle)
{
	kind->close(handle->object);
	handle->region = tenon_region_close(handle->region);
}

void scribbled_remove(const struct scribbled *kind)
{
	if (scribbled_is_placed)
		tenon_region_remove(NULL, REGION);
	else
		kind->remove();
}

static int visit(uint32_t kind, uint64_t offset, void *context)
{
	(void)kind;
	(void)offset;
	(void)context;
	return 0;
}

/* In the region, which others may have scribbled on, anew at the same place. */
static void place_anew(const struct scribbled *kind, struct tenon_region *region)
{
	void *object;
	int result;

	TOLD(tenon_region_placed(region, visit, NULL), -EIO);
	TOLD(tenon_region_clear(region, 0), -ENOENT, OF_REGION);
	result = kind->open(region, TENON_CREATE, &object);
	told_of_opening(TENON_CREATE, result);
	if (result == 0)
		kind->close(object);
}

/* Everything, and lets go of it. */
void scribbled_use_up(const struct scribbled *kind, struct scribbled_handle *handle)
{
	struct scribbled_handle other;

	kind->call(handle->object);
	if (scribbled_open(kind, 0, &other) == 0) {
		if (kind->call_other)
			kind->call_other(other.object);
		scribbled_close(kind, &other);
	}
	if (kind->call_last)
		kind->call_last(handle->object);
	kind->close(handle->object);
	if (handle->region)
		place_anew(kind, handle->region);
	handle->region = tenon_region_close(handle->region);
}

int scribbled_file(const struct scribbled *kind)
{
	char path[FOLDER_BYTES + 32];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", getenv("TENON_NAMESPACE"),
		 scribbled_is_placed ? REGION_FILE : kind->file);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		_exit(IMPOSSIBLE);
	return fd;
}

struct scribbled_places scribbled_find_places(const struct scribbled *kind)
{
	struct scribbled_handle handle = scribbled_must_open(kind);
	struct scribbled_places places = {.stakes = TNI_PARTICIPANTS_OFFSET + TNI_PAGE_BYTES,
					  .ranges = kind->ranges};
	int fd = scribbled_file(kind);
	struct stat status;

	if (fstat(fd, &status) != 0)
		_exit(IMPOSSIBLE);
	places.end = (uint64_t)status.st_size;
	places.cell = places.end - TNI_PAGE_BYTES;
	places.rows = places.cell - TNI_PAGE_BYTES;
	if (scribbled_is_placed) {
		places.control = tni_region_control_offset(SCRIBBLED_PARTICIPANTS);
		places.cell = places.control + sizeof(struct tni_region_control) +
			      TNI_REGION_PLACES_BYTES;
		places.rows = places.cell + TNI_PAGE_BYTES;
	}
	close(fd);
	scribbled_close(kind, &handle);
	scribbled_remove(kind);
	return places;
}

static bool is_within(uint64_t offset, uint64_t from, uint64_t bytes)
{
	return offset >= from && offset < from + bytes;
}

#define OF(structure, member) \
	offsetof(struct structure, member), sizeof(((struct structure *)NULL)->member)

static bool is_in_room(uint64_t in_room)
{
	return in_room < TNI_CLASSES * sizeof(uint32_t) ||
	       (is_within(in_room, OF(tni_waitroom, asleep)) &&
		in_room % (TNI_BITMAP_WORDS * 8) == 0);
}

static bool is_in_cell(uint64_t offset)
{
	return offset == 0 || is_in_room(offset - offsetof(struct tni_cell, waitroom)) ||
	       is_within(offset, OF(tni_cell, turnstile)) ||
	       is_within(offset, OF(tni_cell, lock)) || is_within(offset, OF(tni_cell, gate));
}

/* And two entries of the table of what lies where. */
static bool is_in_control(uint64_t offset)
{
	return offset == 0 || is_within(offset, OF(tni_region_control, gate)) ||
	       is_within(offset, OF(tni_region_control, bytes)) ||
	       is_within(offset, OF(tni_region_control, grown)) ||
	       is_within(offset, OF(tni_region_control, seals)) ||
	       is_in_room(offset - offsetof(struct tni_region_control, waitroom)) ||
	       offset == offsetof(struct tni_region_control, writers) ||
	       is_within(offset, sizeof(struct tni_region_control), 2 * sizeof(uint64_t));
}

/* Words that mean something, or lie beside those. */
static const struct scribbled_range *find_range(const struct scribbled_range *range,
						uint64_t offset)
{
	while (range->bytes && !is_within(offset, range->from, range->bytes))
		range++;
	return range->bytes ? range : NULL;
}

bool scribbled_is_target(const struct scribbled_places *places, uint64_t offset)
{
	if (places->ranges)
		return find_range(places->ranges, offset) != NULL;
	return is_within(offset, 0, sizeof(struct tni_object_header)) ||
	       is_within(offset, TNI_PARTICIPANTS_OFFSET, 2 * sizeof(struct tni_participant)) ||
	       is_within(offset, places->stakes + TNI_STAKE_FIRST_OFFSET,
			 TNI_STAKES_A_PAGE * TNI_STAKE_BYTES) ||
	       is_within(offset, places->rows, 2 * sizeof(struct tni_row)) ||
	       is_in_cell(offset - places->cell) ||
	       (places->control && is_in_control(offset - places->control));
}

bool scribbled_is_regions_gate(const struct scribbled_places *places, uint64_t offset)
{
	return places->control &&
	       offset == places->control + offsetof(struct tni_region_control, gate);
}

bool scribbled_is_gate(const struct scribbled_places *places, uint64_t offset)
{
	if (places->ranges) {
		const struct scribbled_range *range = find_range(places->ranges, offset);

		return range && range->is_gate;
	}
	return offset == places->cell + offsetof(struct tni_cell, gate) ||
	       scribbled_is_regions_gate(places, offset);
}
