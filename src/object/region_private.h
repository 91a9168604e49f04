/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TNI_OBJECT_REGION_PRIVATE_H
#define TNI_OBJECT_REGION_PRIVATE_H

/* What the files of the region share. */

#include <errno.h>

#include <tenon/region.h>

#include "abi/region.h"
#include "core/gate.h"
#include "core/guard.h"
#include "core/object.h"

enum tni_region_kind {
	TNI_REGION_ATTACHED,
	TNI_REGION_GUEST, /* has a descriptor only, perhaps for reading only */
	TNI_REGION_COPY,  /* a sealed file of data alone */
};

/* One mapping of the data. */
struct tni_region_map {
	struct tni_region_map *next; /* of snapshots */
	void *address;
	uint64_t bytes;
	struct tni_guard *guard;
};

struct tni_sync;

struct tenon_region {
	struct tni_object object; /* first; of an attached one, but for the header */
	struct tni_gatehouse house;
	struct tni_region_control *control; /* NULL: not attached */
	enum tni_region_kind kind;
	bool may_write, is_guarded;
	bool is_closed; /* by the program, which has placed objects open; under the registry's lock */
	int fd;		/* of the file; there is never a lock on its description */
	uint64_t control_offset, data_offset, max_bytes;
	struct tni_a64 known; /* size up to which the file was seen to have memory */
	struct tni_a32 broken;
	struct tni_guard *guard; /* of the object's own mapping */
	/* Changed under the registry's lock. */
	struct tni_region_map map[2]; /* for reading, for writing */
	struct tni_region_map *snapshots;
	struct tni_sync *placed; /* handles of objects in it: object/place.c */
	/* while it is opened */
	struct tenon_region_options making;
};

static inline int tni_region_answer(const struct tenon_region *region, int result)
{
	return __builtin_expect(tni_get32(&region->broken) != 0, 0) ? -EIO : result;
}

/* Before a call: attaches anew in a child. */
static inline int tni_region_begin(struct tenon_region *region)
{
	if (!region)
		return -EINVAL;
	if (tni_get32(&region->broken))
		return -EIO;
	if (region->kind != TNI_REGION_ATTACHED ||
	    tni_get32(&region->object.generation) == tni_thread_self()->generation)
		return 0;
	return tni_region_answer(region, tni_object_reattach(&region->object));
}

/* Where things lie in a file that is made for so many participants. */
uint64_t tni_region_control_offset(uint32_t participants);
uint64_t tni_region_data_offset(uint32_t participants);

/* The parts of the control page that everybody may read, by a system call.  -EIO: the file does
 * not have it. */
int tni_region_read_control(int fd, uint64_t offset, struct tni_region_control *ret_control);

/* Attributes of the file region->fd, whose header is checked.  -EBADMSG. */
int tni_region_adopt(struct tenon_region *region, const struct tni_object_header *header);

/* Attaches to what was opened as region->object and region->fd; after an error let go of it. */
int tni_region_attach(struct tenon_region *region);

/* Undoes opening, attaching and mapping; the structure itself stays. */
void tni_region_let_go(struct tenon_region *region);
/* The same, and frees it. */
void tni_region_free(struct tenon_region *region);

/* The size now, which the file is seen to have. */
int tni_region_look(struct tenon_region *region, uint64_t *ret_bytes);

/* Looks whether the file has the first `bytes` of the data, and takes memory for them: in a hole
 * that another process has made there may be none. */
int tni_region_refill(struct tenon_region *region, uint64_t bytes);

/* The gate, repaired if need be; `ret_pending` is for unlocking.  -ETIMEDOUT. */
int tni_region_lock(struct tenon_region *region, struct tni_thread *thread, int64_t deadline_ns,
		    void **ret_pending);
void tni_region_unlock(struct tenon_region *region, struct tni_thread *thread, void *pending);

/* Repairs what somebody left who died at the gate, if so; does not wait for anybody. */
void tni_region_mend(struct tenon_region *region);

/* Unmaps and forgets all data.  The registry is locked. */
void tni_region_unmap_all(struct tenon_region *region);

/* Bit of a participant among the writers. */
static inline bool tni_region_writes(const struct tenon_region *region, uint32_t participant)
{
	return tni_get64(&region->control->writers[participant / 64]) >> (participant % 64) & 1;
}

#endif
