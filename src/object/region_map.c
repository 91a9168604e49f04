/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Where a region's data lies in this process.  What is mapped is changed under the registry's lock,
 * under which this process does not fork, so that a child finds it whole.
 *
 *	map for writing	M1 set the bit among the writers	dies: the dead do not count
 *			M2 look at the seals
 *			M3 map
 *	unmap		U1 unmap
 *			U2 clear the bit
 */

#include "object/region_private.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/registry.h"

static int map_file(struct tenon_region *region, uint64_t bytes, int protection, int flags,
		    struct tni_region_map *map)
{
	struct tni_guard *guard = NULL;
	void *address = mmap(NULL, bytes, protection, flags | MAP_NORESERVE, region->fd,
			     (off_t)region->data_offset);

	if (address == MAP_FAILED)
		return -errno;
	if (region->is_guarded && region->kind != TNI_REGION_COPY) {
		guard = tni_guard_add(address, bytes, protection, region->fd, region->data_offset,
				      &region->broken);
		if (!guard) {
			munmap(address, bytes);
			return -ENOMEM;
		}
	}
	map->guard = guard;
	map->bytes = bytes;
	map->address = address;
	return 0;
}

static void unmap(struct tni_region_map *map)
{
	/* In this order: what is mapped there next is not the guard's. */
	tni_guard_remove(map->guard);
	munmap(map->address, map->bytes);
	map->address = NULL;
}

static struct tni_a64 *own_writers(struct tenon_region *region)
{
	return &region->control->writers[region->object.participant / 64];
}

static uint64_t own_bit(const struct tenon_region *region)
{
	return UINT64_C(1) << (region->object.participant % 64);
}

static void stop_writing(struct tenon_region *region)
{
	/* A child that has not attached has no bit, and the number is its parent's. */
	if (region->kind != TNI_REGION_ATTACHED ||
	    tni_get32(&region->object.generation) != tni_process_generation())
		return;
	tni_fetch_and64(own_writers(region), ~own_bit(region));
}

/* Makes known that this process writes. */
static int start_writing(struct tenon_region *region)
{
	struct tni_region_control control;
	uint64_t seals;
	int result;

	if (!region->may_write)
		return region->kind == TNI_REGION_COPY ? -EPERM : -EACCES;
	if (region->kind == TNI_REGION_GUEST) {
		result = tni_region_read_control(region->fd, region->control_offset, &control);
		if (result != 0)
			return result;
		return tni_get64(&control.seals) & TNI_REGION_SEAL_WRITE ? -EPERM : 0;
	}
	tni_fetch_or64(own_writers(region), own_bit(region));
	seals = tni_fetch_or64(&region->control->seals, 0);
	if (seals & TNI_REGION_SEALING) {
		tni_region_mend(region);
		seals = tni_fetch_or64(&region->control->seals, 0);
	}
	if (!(seals & (TNI_REGION_SEAL_WRITE | TNI_REGION_SEALING)))
		return 0;
	stop_writing(region);
	return seals & TNI_REGION_SEAL_WRITE ? -EPERM : -EAGAIN;
}

static uint64_t room_of(const struct tenon_region *region)
{
	return region->max_bytes == 0 ? TNI_PAGE_BYTES : tni_page_up(region->max_bytes);
}

/* Locked. */
static int map_data(struct tenon_region *region, bool writing)
{
	int result;

	if (region->map[writing].address)
		return 0;
	result = tni_region_refill(region, tni_get64(&region->known));
	if (result == 0 && writing)
		result = start_writing(region);
	if (result != 0)
		return result;
	/* What is sealed never changes, and older kernels do not share it. */
	result = map_file(region, room_of(region), writing ? PROT_READ | PROT_WRITE : PROT_READ,
			  region->kind == TNI_REGION_COPY ? MAP_PRIVATE : MAP_SHARED,
			  &region->map[writing]);
	if (result != 0 && writing)
		stop_writing(region);
	return result;
}

int tenon_region_map(struct tenon_region *region, uint32_t access, void **ret_address,
		     uint64_t *ret_bytes)
{
	int result = ret_address ? tni_region_begin(region) : -EINVAL;
	bool writing = access & TENON_REGION_WRITE;
	void *address = NULL;
	uint64_t bytes;

	if (result == 0 && (access == 0 || access & ~(TENON_REGION_READ | TENON_REGION_WRITE)))
		result = -EINVAL;
	if (result == 0)
		result = tni_region_look(region, &bytes);
	if (result != 0)
		return result;
	tni_registry_lock();
	result = map_data(region, writing);
	if (result == 0)
		address = region->map[writing].address;
	tni_registry_unlock();
	result = tni_region_answer(region, result);
	if (result != 0)
		return result;
	*ret_address = address;
	if (ret_bytes)
		*ret_bytes = bytes;
	return 0;
}

/* Not through a mapping, which may be cut off meanwhile. */
static int copy_data(const struct tenon_region *region, uint8_t *copy, uint64_t bytes)
{
	uint64_t done = 0;

	while (done < bytes) {
		ssize_t got = pread(region->fd, copy + done, bytes - done,
				    (off_t)(region->data_offset + done));

		if (got < 0 && errno != EINTR)
			return -errno;
		if (got == 0)
			return -EIO;
		if (got > 0)
			done += (uint64_t)got;
	}
	return 0;
}

static int make_copy(struct tenon_region *region, uint64_t bytes, struct tni_region_map *map)
{
	uint64_t room = bytes == 0 ? TNI_PAGE_BYTES : tni_page_up(bytes);
	void *address = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			     0);
	int result;

	if (address == MAP_FAILED)
		return -errno;
	result = copy_data(region, address, bytes);
	if (result != 0) {
		munmap(address, room);
		return result;
	}
	map->address = address;
	map->bytes = room;
	return 0;
}

static int make_view(struct tenon_region *region, uint64_t bytes, struct tni_region_map *map)
{
	int result;

	/* Not even a view of nothing reaches what is there later. */
	if (bytes == 0)
		return make_copy(region, 0, map);
	result = tni_region_refill(region, bytes);
	return result != 0 ? result
			   : map_file(region, tni_page_up(bytes), PROT_READ | PROT_WRITE,
				      MAP_PRIVATE, map);
}

int tenon_region_snapshot(struct tenon_region *region, uint32_t flags, void **ret_address,
			  uint64_t *ret_bytes)
{
	int result = ret_address && ret_bytes ? tni_region_begin(region) : -EINVAL;
	struct tni_region_map *map;
	uint64_t bytes;

	if (result == 0 && flags & ~TENON_REGION_COPY_ON_WRITE)
		result = -EINVAL;
	if (result == 0)
		result = tni_region_look(region, &bytes);
	if (result != 0)
		return result;
	map = calloc(1, sizeof(*map));
	if (!map)
		return -ENOMEM;
	result = flags & TENON_REGION_COPY_ON_WRITE ? make_view(region, bytes, map)
						    : make_copy(region, bytes, map);
	if (result == 0 && tni_get32(&region->broken)) {
		unmap(map);
		result = -EIO;
	}
	if (result != 0) {
		free(map);
		return result;
	}
	*ret_address = map->address;
	*ret_bytes = bytes;
	tni_registry_lock();
	map->next = region->snapshots;
	region->snapshots = map;
	tni_registry_unlock();
	return 0;
}

/* Locked.  0: it was one. */
static int unmap_snapshot(struct tenon_region *region, const void *address)
{
	for (struct tni_region_map **link = &region->snapshots; *link; link = &(*link)->next) {
		struct tni_region_map *map = *link;

		if (map->address != address)
			continue;
		*link = map->next;
		unmap(map);
		free(map);
		return 0;
	}
	return -EINVAL;
}

int tenon_region_unmap(struct tenon_region *region, void *address)
{
	int result = -EINVAL;

	if (!region || !address)
		return -EINVAL;
	tni_registry_lock();
	if (address == region->map[0].address) {
		unmap(&region->map[0]);
		result = 0;
	} else if (address == region->map[1].address && region->placed) {
		result = -EBUSY;
	} else if (address == region->map[1].address) {
		unmap(&region->map[1]);
		stop_writing(region);
		result = 0;
	} else {
		result = unmap_snapshot(region, address);
	}
	tni_registry_unlock();
	return result;
}

void tni_region_unmap_all(struct tenon_region *region)
{
	for (uint32_t i = 0; i < 2; i++)
		if (region->map[i].address)
			unmap(&region->map[i]);
	while (region->snapshots)
		unmap_snapshot(region, region->snapshots->address);
}
