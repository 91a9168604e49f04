/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Synchronization objects placed in a region: a cell, the rows behind it, and what the kind has beside, in the region's
 * data, whose memory is there.  Who is attached and alive, and the stakes, are the region's.  Where objects are placed
 * stands in the region's table, so that what a dead participant held is given back in all of them, also by those who have
 * none of them open.
 *
 *	place	P1 the region's gate is locked
 *		P2 all of it is zeroed and filled in		dies: nothing is there
 *		P3 table entry := kind, offset and limit	dies: it is there
 *		P4 the gate is unlocked
 *	clear	C1 the region's gate is locked
 *		C2 table entry := 0				dies: it is gone, or not
 *		C3 the gate is unlocked
 *
 * ORD place: who finds an entry finds what lies there filled in.
 *
 * By one handle of the region each is opened once, since what a participant has of it, its row and its bits, is one
 * handle's.  The handles are in a list that is changed under the registry's lock.
 */

#include "object/place.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "core/registry.h"
#include "object/options.h"
#include "object/region_private.h"
#include "object/semaphore_set.h"
#include "object/turnstile.h"

_Static_assert(TENON_PLACE_ALIGNMENT == TNI_PAGE_BYTES, "place");
_Static_assert(TENON_PLACE_BYTES(256) == sizeof(struct tni_cell) + 256 * sizeof(struct tni_row),
	       "place");

static const struct tni_sync_kind *const kinds[] = {&tni_lock_kind,	    &tni_semaphore_kind,
						    &tni_event_kind,	    &tni_condition_kind,
						    &tni_barrier_kind,	    &tni_once_kind,
						    &tni_semaphore_set_kind};

/* What an entry says, checked.  No kind: nothing that is known. */
struct found {
	const struct tni_sync_kind *kind;
	uint64_t offset, bytes;
	uint32_t limit; /* if the kind has memory beside, whose size depends on it; else 0 */
};

static const struct tni_sync_kind *kind_of(uint64_t number)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (kinds[i]->named.kind == number)
			return kinds[i];
	return NULL;
}

static struct tni_a64 *table_of(struct tenon_region *region)
{
	return (struct tni_a64 *)(region->control + 1);
}

/* Of the cell and the rows; of most kinds that is all. */
static uint64_t least_bytes(const struct tenon_region *region)
{
	return TENON_PLACE_BYTES((uint64_t)region->object.header.participants_max);
}

static uint64_t bytes_of(const struct tenon_region *region, const struct tni_sync_kind *kind,
			 uint32_t limit)
{
	return least_bytes(region) +
	       (kind->extra_bytes ? kind->extra_bytes(region->object.header.participants_max, limit)
				  : 0);
}

static struct found parse(const struct tenon_region *region, uint64_t entry)
{
	struct found found = {.kind = kind_of(entry & TNI_REGION_PLACE_KIND),
			      .offset = ((entry & TNI_REGION_PLACE_PAGE) >>
					 TNI_REGION_PLACE_PAGE_SHIFT) *
					TNI_PAGE_BYTES,
			      .bytes = least_bytes(region),
			      .limit = (uint32_t)(entry >> TNI_REGION_PLACE_LIMIT_SHIFT)};

	if (found.kind && found.kind->extra_bytes ? !found.kind->is_possible(0, found.limit)
						  : found.limit != 0)
		found.kind = NULL;
	if (found.kind)
		found.bytes = bytes_of(region, found.kind, found.limit);
	return found;
}

/* The next entry that is not 0, from number `*at` on, which becomes the one behind it.  False: there is none. */
static bool next(struct tenon_region *region, uint32_t *at, struct found *ret_found)
{
	struct tni_a64 *table = table_of(region);

	while (*at < TNI_REGION_PLACES) {
		uint64_t entry = tni_load_acquire64(&table[(*at)++]); /* ORD(place) */

		if (entry == 0)
			continue;
		*ret_found = parse(region, entry);
		return true;
	}
	return false;
}

/* Whether it is within what this process has seen of the region. */
static bool is_within(const struct tenon_region *region, uint64_t offset, uint64_t bytes)
{
	uint64_t known = tni_get64(&region->known);

	return offset <= known && bytes <= known - offset;
}

/* The entry that is the first to lie in that many bytes from an offset on; NULL: none.  With 0 bytes: exactly there. */
static struct tni_a64 *find(struct tenon_region *region, uint64_t offset, uint64_t bytes)
{
	struct found found;
	uint32_t at = 0;

	while (next(region, &at, &found))
		if (bytes == 0
			    ? found.offset == offset
			    : found.offset < offset + bytes && offset < found.offset + found.bytes)
			return &table_of(region)[at - 1];
	return NULL;
}

/* Of a handle that has `kind`: where its memory is, and the rest of it.  -EIDRM: all that is done, and it was ended. */
static int settle(struct tni_sync *sync, struct tenon_region *region, const struct found *found,
		  void *memory)
{
	int result;

	sync->object = &region->object;
	sync->region = region;
	sync->place = found->offset;
	sync->cell = memory;
	sync->rows = (struct tni_row *)(sync->cell + 1);
	sync->extra = (uint8_t *)memory + least_bytes(region);
	result = tni_sync_check(sync);
	if (result == 0 && sync->kind->extra_bytes && sync->limit != found->limit)
		result = -EBADMSG;
	if (result != 0)
		return result;
	tni_sync_settle(sync);
	return sync->kind->map ? sync->kind->map(sync) : 0;
}

/* P2. */
static int fill(struct tni_sync *sync, struct tenon_region *region, uint8_t *memory, uint64_t bytes)
{
	struct tni_cell *cell = (struct tni_cell *)memory;

	memset(memory, 0, bytes);
	cell->flags = sync->making.flags;
	cell->limit = sync->making_limit;
	tni_set64(&cell->turnstile.word, sync->making_word);
	sync->region = region;
	return sync->kind->fill ? sync->kind->fill(sync, -1, 0, memory + least_bytes(region)) : 0;
}

/* Locked. */
static int place(struct tni_sync *sync, struct tenon_region *region, const struct found *new)
{
	struct tni_a64 *table = table_of(region);
	int result;

	if (find(region, new->offset, new->bytes))
		return -EEXIST;
	for (uint32_t i = 0; i < TNI_REGION_PLACES; i++) {
		if (tni_get64(&table[i]) != 0)
			continue;
		result = fill(sync, region, (uint8_t *)region->map[1].address + new->offset,
			      new->bytes);
		if (result != 0)
			return result;
		tni_step();
		tni_store_release64(&table[i], /* ORD(place) */
				    sync->kind->named.kind |
					    new->offset / TNI_PAGE_BYTES
						    << TNI_REGION_PLACE_PAGE_SHIFT |
					    (uint64_t) new->limit << TNI_REGION_PLACE_LIMIT_SHIFT);
		return 0;
	}
	return -ENOSPC;
}

/* 0: it is there; 1: nothing is that begins there. */
static int look_up(const struct tni_sync *sync, struct tenon_region *region, uint64_t offset,
		   uint32_t flags, struct found *ret_found)
{
	struct tni_a64 *entry = find(region, offset, 0);
	uint64_t word = entry ? tni_load_acquire64(entry) : 0; /* ORD(place) */
	struct found found = parse(region, word);

	if (word == 0)
		return 1;
	if (flags & TENON_EXCLUSIVE || found.offset != offset || found.kind != sync->kind)
		return flags & TENON_CREATE ? -EEXIST : -ENOENT;
	if (!is_within(region, offset, found.bytes))
		return -EBADMSG;
	*ret_found = found;
	return 0;
}

/* What is there is found without the gate, also when who has that does not run. */
static int find_or_place(struct tni_sync *sync, struct tenon_region *region, uint64_t offset,
			 uint32_t flags, struct found *ret_found)
{
	struct tni_thread *thread = tni_thread_self();
	int result = look_up(sync, region, offset, flags, ret_found);
	struct found new = {.kind = sync->kind, .offset = offset};
	void *pending;

	if (result <= 0)
		return result;
	if (!(flags & TENON_CREATE))
		return -ENOENT;
	new.limit = sync->kind->extra_bytes ? sync->making_limit : 0;
	new.bytes = bytes_of(region, sync->kind, sync->making_limit);
	if (!is_within(region, offset, new.bytes))
		return -EINVAL;
	result = tni_region_lock(region, thread, INT64_MAX, &pending);
	if (result != 0)
		return result;
	result = look_up(sync, region, offset, flags, ret_found);
	if (result > 0) {
		*ret_found = new;
		result = place(sync, region, &new);
	}
	tni_region_unlock(region, thread, pending);
	return result;
}

static int check(struct tenon_region *region, uint64_t offset, uint32_t flags)
{
	uint64_t bytes;
	void *address;
	int result = tni_region_begin(region);

	if (result != 0)
		return result;
	if (flags & ~(TENON_CREATE | TENON_EXCLUSIVE) || flags == TENON_EXCLUSIVE)
		return -EINVAL;
	if (region->kind != TNI_REGION_ATTACHED)
		return -EACCES;
	result = tenon_region_map(region, TENON_REGION_WRITE, &address, &bytes);
	if (result == 0 && (offset % TENON_PLACE_ALIGNMENT != 0 ||
			    !is_within(region, offset, least_bytes(region))))
		result = -EINVAL;
	return result;
}

/* Looks up, and enters the list. */
static int open_at(struct tni_sync *sync, struct tenon_region *region, uint64_t offset,
		   uint32_t flags)
{
	struct found found;
	int result = find_or_place(sync, region, offset, flags, &found);

	if (result == 0)
		result = settle(sync, region, &found, (uint8_t *)region->map[1].address + offset);
	if (result != 0)
		return result;
	tni_registry_lock();
	for (const struct tni_sync *other = region->placed; other; other = other->next)
		if (other->place == offset)
			result = -EBUSY;
	if (result == 0) {
		sync->next = region->placed;
		region->placed = sync;
		tni_sync_renew(sync);
	}
	tni_registry_unlock();
	return result;
}

int tni_sync_open_at(const struct tni_sync_kind *kind, size_t bytes, struct tenon_region *region,
		     uint64_t offset, uint32_t flags, const struct tenon_sync_options *options,
		     uint32_t limit, uint64_t word, void *ret_sync)
{
	struct tni_sync *sync;
	int result;

	if (!ret_sync || !region)
		return -EINVAL;
	sync = calloc(1, bytes);
	if (!sync)
		return -ENOMEM;
	sync->kind = kind;
	sync->making_limit = limit;
	sync->making_word = word;
	tni_turnstile_begin(sync);
	result = check(region, offset, flags);
	if (result == 0 && (flags & TENON_CREATE))
		result = tni_options_copy(&sync->making, sizeof(sync->making), options,
					  kind->flags_known);
	/* Who may use it, and how many, is the region's. */
	if (result == 0 &&
	    (sync->making.mode != 0 || sync->making.max_participants != 0 ||
	     ((flags & TENON_CREATE) && !kind->is_possible(sync->making.flags, limit))))
		result = -EINVAL;
	if (result == 0)
		result = open_at(sync, region, offset, flags);
	if (result != 0) {
		free(sync);
		return tni_region_answer(region, result);
	}
	*(void **)ret_sync = sync;
	return 0;
}

void tni_place_close(struct tni_sync *sync)
{
	struct tenon_region *region = sync->region;
	struct tni_sync **at = &region->placed;
	struct tni_object *object = sync->object;
	bool is_last;

	if (tni_get32(&object->generation) == tni_process_generation())
		tni_sync_bury(sync, object->participant, INT64_MAX);
	tni_registry_lock();
	while (*at && *at != sync)
		at = &(*at)->next;
	if (*at)
		*at = sync->next;
	is_last = region->is_closed && !region->placed;
	tni_registry_unlock();
	if (is_last)
		tni_region_free(region);
}

/* In a mapping of its own: this process may have none, and whoever maps for good takes the registry's lock, which may
 * be held.  `looked`: why the region may be larger than this process knows. */
static int bury_one(struct tenon_region *region, const struct found *found, uint32_t participant,
		    int looked, bool is_waiting, int64_t deadline_ns)
{
	/* Of the kinds that have something to give back, the longest. */
	struct tenon_semaphore_set longest = {.sync = {.kind = found->kind}};
	struct tni_sync *sync = &longest.sync;
	int result;
	struct stat status;
	void *memory;

	if (!found->kind)
		return 0;
	if (!is_within(region, found->offset, found->bytes))
		return looked;
	if (fstat(region->fd, &status) != 0)
		return -errno;
	/* Of a file that was cut off there is nothing left. */
	if ((uint64_t)status.st_size < region->data_offset + found->offset + found->bytes)
		return 0;
	memory = mmap(NULL, found->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, region->fd,
		      (off_t)(region->data_offset + found->offset));
	if (memory == MAP_FAILED)
		return -errno;
	result = settle(sync, region, found, memory);
	if (result == 0 || result == -EIDRM) {
		/* Whoever attaches holds gates under the number that it takes over. */
		sync->house.participant = region->object.participant == UINT32_MAX
						  ? participant
						  : region->object.participant;
		result = 0;
		if (is_waiting)
			result = tni_sync_bury(sync, participant, deadline_ns);
		else
			tni_sync_orphan(sync, participant);
	} else {
		result = 0;
	}
	munmap(memory, found->bytes);
	return result;
}

int tni_places_bury(struct tenon_region *region, uint32_t participant, int64_t deadline_ns)
{
	struct found found;
	uint32_t at = 0;
	uint64_t bytes;
	/* It may have grown since this process looked. */
	int looked = tni_region_look(region, &bytes), result = 0;

	/* What lies behind its end is nothing to wait for. */
	if (looked == -EBADMSG || looked == -EIO)
		looked = 0;
	/* Where others would wait for who may be about to have this number: all gates before any is waited for. */
	while (tni_get64(&region->object.shared->mixed) && result == 0 && next(region, &at, &found))
		result = bury_one(region, &found, participant, looked, false, deadline_ns);
	at = 0;
	while (result == 0 && next(region, &at, &found))
		result = bury_one(region, &found, participant, looked, true, deadline_ns);
	return result;
}

/* Who has something placed open has the data mapped, and nobody unmaps it meanwhile; nor where the registry is locked, for a
 * thread that ends.  Somebody who has damaged what lies there does not keep its sleepers from being woken. */
void tni_places_rouse(struct tenon_region *region)
{
	uint8_t *base = region->map[1].address;
	struct found found;
	uint32_t at = 0;
	uint64_t bytes;
	struct stat status;

	(void)!tni_region_look(region, &bytes);
	if (!base || fstat(region->fd, &status) != 0)
		return;
	while (next(region, &at, &found)) {
		struct tni_gatehouse house = {.top = region->object.header.participants_max};

		if (!found.kind || !is_within(region, found.offset, least_bytes(region)) ||
		    (uint64_t)status.st_size <
			    region->data_offset + found.offset + sizeof(struct tni_cell))
			continue;
		house.waitroom = &((struct tni_cell *)(base + found.offset))->waitroom;
		tni_gatehouse_rouse(&house);
	}
}

void tni_places_renew(struct tenon_region *region)
{
	for (struct tni_sync *sync = region->placed; sync; sync = sync->next)
		tni_sync_renew(sync);
}

uint64_t tenon_region_place_bytes(const struct tenon_region *region)
{
	return region && region->kind == TNI_REGION_ATTACHED ? least_bytes(region) : 0;
}

uint64_t tni_place_bytes(const struct tenon_region *region, const struct tni_sync_kind *kind,
			 uint32_t limit)
{
	return region && region->kind == TNI_REGION_ATTACHED && kind->is_possible(0, limit)
		       ? bytes_of(region, kind, limit)
		       : 0;
}

int tenon_region_clear(struct tenon_region *region, uint64_t offset)
{
	struct tni_thread *thread = tni_thread_self();
	struct tni_a64 *entry;
	void *pending;
	int result = check(region, offset, 0);

	if (result == 0)
		result = tni_region_lock(region, thread, INT64_MAX, &pending);
	if (result != 0)
		return result;
	entry = find(region, offset, 0);
	if (entry)
		tni_set64(entry, 0);
	else
		result = -ENOENT;
	tni_region_unlock(region, thread, pending);
	return tni_region_answer(region, result);
}

int tenon_region_placed(struct tenon_region *region,
			int (*visit)(uint32_t kind, uint64_t offset, void *context), void *context)
{
	struct found found;
	uint32_t at = 0;
	int result = visit ? tni_region_begin(region) : -EINVAL;

	if (result == 0 && region->kind != TNI_REGION_ATTACHED)
		result = -EACCES;
	if (result != 0)
		return result;
	while (result == 0 && next(region, &at, &found))
		if (found.kind)
			result = visit(found.kind->named.kind, found.offset, context);
	return result;
}
