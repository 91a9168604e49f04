/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The region's file, its size and its seals.  Both change under the gate, each by the one store
 * that commits it, so that no journal is needed:
 *
 *	grow	G1 lock the gate
 *		G2 release what lies behind the size	dies: nothing was there
 *		G3 take memory				dies: who takes the gate over gives it back
 *		G4 bytes := the new size		dies: it has grown
 *		G5 unlock
 *	seal	S1 lock the gate
 *		S2 seals |= SEALING			dies: who takes the gate over takes it back
 *		S3 look for writers
 *		S4 seals := the new ones		dies: it is sealed
 *		S5 unlock
 *	repair	R1 seals &= ~SEALING			dies: the gate is orphaned anew, and
 *		R2 release what lies behind the size	all of it is done once more
 *
 * ORD size: who stores the size has taken the memory before; who finds it maps and touches that.
 * The same for what this process has seen of it: who reads `known` and then the size does not find
 * a smaller one.
 *
 * Who maps for writing takes no gate.  It sets its bit among the writers and then looks at the
 * seals, in that order, and who seals sets SEALING and then looks at the bits, all by operations
 * that read and write at once: whoever is second sees the other.
 */

#include "object/region_private.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/file.h"
#include "core/registry.h"
#include "object/place.h"

#define SEALS (TNI_REGION_SEAL_GROW | TNI_REGION_SEAL_WRITE)

_Static_assert(TENON_REGION_SEAL_GROW == TNI_REGION_SEAL_GROW, "seals");
_Static_assert(TENON_REGION_SEAL_WRITE == TNI_REGION_SEAL_WRITE, "seals");

static uint64_t stakes_offset(uint32_t participants)
{
	return TNI_PARTICIPANTS_OFFSET + tni_page_up(participants * sizeof(struct tni_participant));
}

uint64_t tni_region_control_offset(uint32_t participants)
{
	return stakes_offset(participants) + tni_stakes_bytes(participants);
}

uint64_t tni_region_data_offset(uint32_t participants)
{
	return tni_region_control_offset(participants) + sizeof(struct tni_region_control) +
	       TNI_REGION_PLACES_BYTES;
}

/* What the dead held, or who lets go. */
static int bury(struct tni_object *object, uint32_t participant, int64_t deadline_ns)
{
	struct tenon_region *region = (struct tenon_region *)object;

	tni_gatehouse_forget(&region->house, participant);
	tni_fetch_and64(&region->control->writers[participant / 64],
			~(UINT64_C(1) << (participant % 64)));
	tni_gate_orphan(&region->house, 0, participant);
	return tni_places_bury(region, participant, deadline_ns);
}

/* A child has its parent's mappings. */
static void renew(struct tni_object *object)
{
	struct tenon_region *region = (struct tenon_region *)object;

	tni_gatehouse_renew(&region->house, object->participant);
	if (region->map[1].address)
		tni_fetch_or64(&region->control->writers[object->participant / 64],
			       UINT64_C(1) << (object->participant % 64));
	tni_places_renew(region);
}

static void rouse(struct tni_object *object)
{
	tni_places_rouse((struct tenon_region *)object);
}

int tni_region_read_control(int fd, uint64_t offset, struct tni_region_control *ret_control)
{
	ssize_t bytes;

	do
		bytes = pread(fd, ret_control, sizeof(*ret_control), (off_t)offset);
	while (bytes < 0 && errno == EINTR);
	if (bytes < 0)
		return -errno;
	return bytes == (ssize_t)sizeof(*ret_control) ? 0 : -EIO;
}

int tni_region_adopt(struct tenon_region *region, const struct tni_object_header *header)
{
	struct tni_region_control control;
	struct stat status;
	uint64_t size;
	int result;

	region->control_offset = tni_region_control_offset(header->participants_max);
	region->data_offset = tni_region_data_offset(header->participants_max);
	if (header->extent_bytes != region->data_offset)
		return -EBADMSG;
	/* The size before the file's, which may grow meanwhile. */
	result = tni_region_read_control(region->fd, region->control_offset, &control);
	if (result != 0)
		return result == -EIO ? -EBADMSG : result;
	if (fstat(region->fd, &status) != 0)
		return -errno;
	size = tni_get64(&control.bytes);
	/* Shorter: cut off. */
	if (control.max_bytes == 0 || control.max_bytes > TENON_REGION_BYTES_MOST ||
	    size > control.max_bytes || (uint64_t)status.st_size < region->data_offset + size)
		return -EBADMSG;
	region->max_bytes = control.max_bytes;
	tni_set64(&region->known, size);
	return 0;
}

/* Holes that another process has made in the file are filled. */
static int refill(const struct tenon_region *region)
{
	int result = tni_file_refill(region->fd, TNI_PAGE_BYTES);

	return result != 0 ? result
			   : tni_file_refill_range(region->fd, region->control_offset,
						   region->data_offset - region->control_offset);
}

int tni_region_attach(struct tenon_region *region)
{
	struct tni_object *object = &region->object;
	int result = refill(region);

	if (result == 0 && region->is_guarded) {
		region->guard = tni_guard_add(object->base, object->extent_bytes,
					      PROT_READ | PROT_WRITE, region->fd, 0,
					      &region->broken);
		if (!region->guard)
			result = -ENOMEM;
	}
	if (result != 0)
		return result;
	region->kind = TNI_REGION_ATTACHED;
	region->may_write = true;
	region->control = (struct tni_region_control *)(object->base + region->control_offset);
	region->house = (struct tni_gatehouse){
		.gate = {&region->control->gate},
		.gates = 1,
		.waitroom = &region->control->waitroom,
		.top = object->header.participants_max,
		.is_gone = tni_object_thread_is_gone,
		.is_doubtful = tni_object_may_live,
		.is_own = tni_object_is_own,
		.object = object,
	};
	object->stakes_offset = stakes_offset(object->header.participants_max);
	object->bury = bury;
	object->renew = renew;
	object->rouse = rouse;
	result = tni_object_attach(object);
	if (result == 0)
		tni_region_mend(region);
	return tni_region_answer(region, result);
}

void tni_region_let_go(struct tenon_region *region)
{
	tni_registry_lock();
	tni_region_unmap_all(region);
	tni_registry_unlock();
	/* Guarded to its end: letting go writes to the object. */
	if (region->kind == TNI_REGION_ATTACHED)
		tni_object_close(&region->object);
	tni_guard_remove(region->guard);
	if (region->fd >= 0)
		close(region->fd);
}

static int damaged(struct tenon_region *region)
{
	if (region->control)
		tni_object_damage(&region->object);
	return -EBADMSG;
}

/* The size as the control page has it. */
static int read_size(struct tenon_region *region, uint64_t *ret_bytes)
{
	struct tni_region_control control;
	int result = 0;

	if (region->kind == TNI_REGION_ATTACHED) {
		*ret_bytes = tni_load_acquire64(&region->control->bytes); /* ORD(size) */
	} else if (region->kind == TNI_REGION_GUEST) {
		result = tni_region_read_control(region->fd, region->control_offset, &control);
		*ret_bytes = tni_get64(&control.bytes);
	} else {
		*ret_bytes = region->max_bytes;
	}
	return result;
}

/* Fills holes that another process has made, if it seems to have: that touches all of the
 * memory, which takes time. One who hides holes of the data behind memory in front of it gets no
 * further than one who makes them later. */
static int fill_holes(const struct tenon_region *region, const struct stat *status, uint64_t from,
		      uint64_t to)
{
	/* The header, the first participants, and what lies before the data. */
	uint64_t needed = 2 * TNI_PAGE_BYTES + region->data_offset - region->control_offset;

	if (!region->may_write || (uint64_t)status->st_blocks * 512 >= needed + tni_page_up(to))
		return 0;
	return tni_file_refill_range(region->fd, region->data_offset + from, to - from);
}

int tni_region_refill(struct tenon_region *region, uint64_t bytes)
{
	struct stat status;

	if (fstat(region->fd, &status) != 0)
		return -errno;
	if ((uint64_t)status.st_size < region->data_offset + bytes)
		return -EIO;
	return fill_holes(region, &status, 0, bytes);
}

/* Whether the file is as long as the size says, and as it was before. */
static int check_file(struct tenon_region *region, uint64_t known, uint64_t bytes)
{
	struct stat status;

	if (fstat(region->fd, &status) != 0)
		return -errno;
	if ((uint64_t)status.st_size < region->data_offset + known)
		return -EIO;
	if ((uint64_t)status.st_size < region->data_offset + bytes)
		return damaged(region);
	return fill_holes(region, &status, known, bytes);
}

int tni_region_look(struct tenon_region *region, uint64_t *ret_bytes)
{
	uint64_t known = tni_load_acquire64(&region->known), bytes = 0; /* ORD(size) */
	int result = read_size(region, &bytes);

	if (result != 0)
		return result;
	if (bytes != known || region->kind == TNI_REGION_GUEST) {
		if (bytes < known || bytes > region->max_bytes)
			return tni_region_answer(region, damaged(region));
		result = check_file(region, known, bytes);
		if (result != 0)
			return tni_region_answer(region, result);
		while (known < bytes && !tni_cas64(&region->known, &known, bytes)) /* ORD(size) */
			;
	}
	*ret_bytes = bytes;
	return tni_region_answer(region, 0);
}

int tenon_region_bytes(struct tenon_region *region, uint64_t *ret_bytes)
{
	int result = ret_bytes ? tni_region_begin(region) : -EINVAL;
	uint64_t bytes;

	if (result == 0)
		result = tni_region_look(region, &bytes);
	if (result == 0)
		*ret_bytes = bytes;
	return result;
}

static void plan_nobody(void *context, uint64_t flags, struct tni_wakes *wakes)
{
	(void)context;
	(void)flags;
	(void)wakes;
}

void tni_region_unlock(struct tenon_region *region, struct tni_thread *thread, void *pending)
{
	region->house.top = tni_object_participants_top(&region->object);
	tni_gate_unlock(&region->house, 0, plan_nobody, NULL);
	tni_pending_put(thread, pending);
}

/* Memory behind the size, of who died growing, and what somebody wrote there. */
static void release_behind(struct tenon_region *region, uint64_t bytes)
{
	uint64_t end = region->data_offset + bytes;
	struct stat status;

	if (fstat(region->fd, &status) == 0 && (uint64_t)status.st_size > end)
		tni_file_release(region->fd, end, (uint64_t)status.st_size - end);
}

static int repair(struct tenon_region *region)
{
	uint64_t bytes = 0;
	int result;

	tni_fetch_add32(&region->control->gate.repairs, 1);
	tni_fetch_and64(&region->control->seals, SEALS);
	result = tni_region_look(region, &bytes);
	if (result == 0)
		release_behind(region, bytes);
	return result;
}

int tni_region_lock(struct tenon_region *region, struct tni_thread *thread, int64_t deadline_ns,
		    void **ret_pending)
{
	void *pending = tni_pending_get(thread);
	int result;

	region->house.top = tni_object_participants_top(&region->object);
	result = tni_gate_lock(&region->house, 0, thread, pending, deadline_ns);
	if (result == TNI_OWNER_DIED) {
		result = repair(region);
		if (result != 0) {
			tni_region_unlock(region, thread, pending);
			return result;
		}
	}
	if (result != 0)
		tni_pending_put(thread, pending);
	else
		*ret_pending = pending;
	return result;
}

void tni_region_mend(struct tenon_region *region)
{
	struct tni_thread *thread = tni_thread_self();
	void *pending;

	if (tni_gate_is_orphaned(&region->control->gate) &&
	    tni_region_lock(region, thread, 0, &pending) == 0)
		tni_region_unlock(region, thread, pending);
}

/* Locked. */
static int grow(struct tenon_region *region, uint64_t bytes)
{
	struct tni_region_control *control = region->control;
	uint64_t size;
	int result = tni_region_look(region, &size);

	if (result != 0 || bytes <= size)
		return result;
	if (tni_get64(&control->seals) & TNI_REGION_SEAL_GROW)
		return -EPERM;
	/* What is reserved here may not hide that the file was cut off. */
	result = check_file(region, size, size);
	if (result != 0)
		return result;
	release_behind(region, size);
	result = tni_file_reserve(region->fd, region->data_offset + size, bytes - size);
	if (result != 0)
		return result;
	tni_set64(&control->grown, tni_get64(&control->grown) + 1);
	tni_step();
	tni_store_release64(&control->bytes, bytes); /* ORD(size) */
	return 0;
}

int tenon_region_grow(struct tenon_region *region, uint64_t bytes, int64_t deadline_ns)
{
	struct tni_thread *thread = tni_thread_self();
	int result = tni_region_begin(region);
	uint64_t size;
	void *pending;

	if (result == 0)
		result = tni_region_look(region, &size);
	if (result != 0 || bytes <= size)
		return result;
	if (region->kind != TNI_REGION_ATTACHED)
		return region->kind == TNI_REGION_COPY ? -EPERM : -EACCES;
	if (bytes > region->max_bytes)
		return -EFBIG;
	result = tni_region_lock(region, thread, deadline_ns, &pending);
	if (result == 0) {
		result = grow(region, bytes);
		tni_region_unlock(region, thread, pending);
	}
	if (result == 0)
		result = tni_region_look(region, &size);
	return tni_region_answer(region, result);
}

/* Whether a living process has it mapped for writing.  Reads so that it cannot miss one that
 * does not see SEALING. */
static bool is_written(struct tenon_region *region)
{
	struct tni_object *object = &region->object;
	uint32_t top = tni_object_participants_top(object);

	for (uint32_t i = 0; i * 64 < top; i++) {
		uint64_t bits = tni_fetch_or64(&region->control->writers[i], 0);

		for (; bits != 0; bits &= bits - 1) {
			uint32_t participant = i * 64 + (uint32_t)__builtin_ctzll(bits);

			if (participant < top && !tni_object_is_dead(object, participant))
				return true;
		}
	}
	return false;
}

/* Locked. */
static int seal(struct tenon_region *region, uint32_t seals)
{
	struct tni_a64 *word = &region->control->seals;
	uint64_t before = tni_get64(word) & SEALS;

	if ((seals & ~before) & TNI_REGION_SEAL_WRITE) {
		tni_fetch_or64(word, TNI_REGION_SEALING);
		if (is_written(region)) {
			tni_fetch_and64(word, SEALS);
			return -EBUSY;
		}
	}
	tni_step();
	tni_set64(word, before | seals);
	tni_step();
	return 0;
}

int tenon_region_seal(struct tenon_region *region, uint32_t seals, int64_t deadline_ns)
{
	struct tni_thread *thread = tni_thread_self();
	int result = tni_region_begin(region);
	void *pending;

	if (result != 0)
		return result;
	if (seals == 0 || seals & ~SEALS)
		return -EINVAL;
	if (region->kind != TNI_REGION_ATTACHED)
		return region->kind == TNI_REGION_COPY ? 0 : -EACCES;
	result = tni_region_lock(region, thread, deadline_ns, &pending);
	if (result == 0) {
		result = seal(region, seals);
		tni_region_unlock(region, thread, pending);
	}
	return tni_region_answer(region, result);
}
