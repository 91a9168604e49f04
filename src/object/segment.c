/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A segment is two files: a small one, the object, in which each process says how often it has attached the memory; and the
 * data, which is nothing but the program's bytes.  What a dead process said does not count, so there is nothing to repair.
 *
 *	make	M1 the object, nameless and locked; the data, nameless, with all of its memory	dies: the kernel frees both
 *		M2 the object's names			dies: who attaches it finds no data, and makes it
 *		M3 the data's name			dies: all is there
 *	attach	A1 count, in the own entry		dies: the dead do not count
 *		A2 look whether it is removed, open the data, map it
 *		A3 the mapping is known to the process	dies: the kernel unmaps it
 *	detach	D1 unmap	D2 count		dies: the dead do not count
 *		D3 removed, and nobody has it attached:	dies: who next looks for the object does it
 *		   its names away
 *	remove	R1 REMOVED: nobody gets it by its key	dies: it is removed; who looks for the key, or attaches, or looks at it, goes on
 *		R2 the key's name away, the data's: the kernel frees the memory with the last who has it mapped or open
 *		R3 nobody has it attached: the identifier's name away
 *	fork	core/object_lend.c: the child's entry has its count before there is a child
 *
 * ORD counted: who attaches counts himself and then looks whether it is removed; who removes says so and then looks
 * who is counted.  One sees the other.  Who attaches and sees it removed locks the file and asks whether anybody else has it
 * attached, from whom he can have it; who takes the last name away asks the same under the same lock.  So what is being
 * attached is not freed.
 *
 * Once the data has no name it is found by the descriptor that each who has it attached says in its entry, in /proc: what
 * that leads to is looked at before it is opened, since the numbers are anybody's words.  The data's name says
 * the inode of the object, so that no header can make one object's data another's.
 */

#include "object/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <tenon/tenon.h>

#include "core/clock.h"
#include "core/file.h"
#include "core/namespace.h"
#include "core/registry.h"
#include "object/named.h"

#define PARTICIPANTS TNI_PARTICIPANTS_MAX
/* What Linux takes. */
#define BYTES_MOST (UINT64_MAX - (UINT64_C(1) << 24))
/* Of the sizes of huge pages, as powers of two, that any processor has. */
#define HUGE_LEAST 13u
#define HUGE_MOST 40u

static uint64_t extent_bytes(uint32_t participants)
{
	return TNI_PARTICIPANTS_OFFSET + tni_page_up(participants * sizeof(struct tni_participant));
}

static int fill(int fd, uint8_t *base, const void *context)
{
	struct tni_segment_control *control = (struct tni_segment_control *)(base +
									     TNI_SEGMENT_OFFSET);

	control->flags = *(const uint32_t *)context;
	control->creator_pid = (uint32_t)getpid();
	/* What was given can be attached, by the first processes at least. */
	return tni_file_reserve(fd, TNI_PARTICIPANTS_OFFSET, TNI_PAGE_BYTES);
}

int tni_segment_make_nameless(int directory_fd, uint32_t flags, mode_t mode, int *ret_fd)
{
	struct tni_object_header header = {.kind = TENON_KIND_SEGMENT,
					   .participants_max = PARTICIPANTS,
					   .extent_bytes = extent_bytes(PARTICIPANTS)};

	return tni_object_make_nameless(directory_fd, mode, &header, fill, &flags, ret_fd);
}

static struct tenon_segment *segment_of(struct tni_object *object)
{
	return (struct tenon_segment *)object;
}

/* What a dead process had attached, or one that lets go. */
static int bury(struct tni_object *object, uint32_t participant, int64_t deadline_ns)
{
	struct tni_segment_control *control = segment_of(object)->control;
	struct tni_participant *entry = &object->participants[participant];
	uint32_t pid = tni_get32(&entry->pid);

	(void)deadline_ns;
	/* None: of a child that never came to be. */
	if (tni_get32(&entry->attachments) != 0 && pid != 0) {
		tni_set64(&control->detached_ns, (uint64_t)tni_stamp_ns());
		tni_set32(&control->last_pid, pid);
	}
	tni_set32(&entry->data_fd, 0);
	tni_step();
	tni_store_total32(&entry->attachments, 0);
	return 0;
}

/* In a child that has not come by fork(3): what its parent had mapped is mapped there, too. */
static void renew(struct tni_object *object)
{
	struct tenon_segment *segment = segment_of(object);

	if (object->lend)
		object->lend(object, tni_segment_entry(segment));
}

/* Nobody sleeps at it. */
static void rouse(struct tni_object *object)
{
	(void)object;
}

static int adopt(struct tenon_segment *segment)
{
	struct tni_object *object = &segment->object;
	uint32_t huge;

	if (object->extent_bytes != extent_bytes(object->header.participants_max))
		return -EBADMSG;
	segment->part = (const struct tni_sysv_part *)(object->base + TNI_SYSV_OFFSET);
	segment->control = (struct tni_segment_control *)(object->base + TNI_SEGMENT_OFFSET);
	segment->bytes = *(const volatile uint64_t *)&segment->part->size;
	segment->flags = *(const volatile uint32_t *)&segment->control->flags;
	segment->creator_pid = *(const volatile uint32_t *)&segment->control->creator_pid;
	huge = TNI_SEGMENT_HUGE(segment->flags);
	if (huge != 0 && (huge < HUGE_LEAST || huge > HUGE_MOST || segment->bytes > INT64_MAX))
		return -EBADMSG;
	return segment->bytes == 0 || segment->bytes > BYTES_MOST ? -EBADMSG : 0;
}

static int open_file(int directory_fd, const char *file_name, void *context)
{
	struct tenon_segment *segment = context;
	struct tni_object *object = &segment->object;
	int result = tni_object_open(directory_fd, file_name, TENON_KIND_SEGMENT, object);

	if (result != 0)
		return result;
	segment->guard = tni_guard_add(object->base, object->extent_bytes, PROT_READ | PROT_WRITE,
				       object->fd, 0, &segment->broken);
	/* Holes that another process has made in it are filled. */
	result = segment->guard ? tni_file_refill(object->fd, TNI_PAGE_BYTES) : -ENOMEM;
	if (result == 0)
		result = adopt(segment);
	object->bury = bury;
	object->renew = renew;
	object->rouse = rouse;
	if (result == 0)
		result = tni_object_attach(object);
	if (result != 0) {
		tni_object_close(object);
		tni_guard_remove(segment->guard);
	}
	return result;
}

static void close_file(void *context)
{
	struct tenon_segment *segment = context;

	/* Guarded to its end: letting go writes to the object. */
	tni_object_close(&segment->object);
	tni_guard_remove(segment->guard);
}

static const struct tni_kind segment_kind = {
	.kind = TENON_KIND_SEGMENT, .open = open_file, .close = close_file};

int tni_segment_open(const char *name, struct tenon_segment **ret_segment)
{
	struct tenon_segment *segment = calloc(1, sizeof(*segment));
	int result;

	if (!segment)
		return -ENOMEM;
	segment->references = 1;
	segment->data_fd = -1;
	result = tni_named_open(&segment_kind, NULL, name, 0, segment);
	if (result != 0) {
		free(segment);
		return result;
	}
	*ret_segment = segment;
	return 0;
}

void tni_segment_hold(struct tenon_segment *segment)
{
	segment->references++;
}

void tni_segment_close(struct tenon_segment *segment)
{
	bool is_last;

	tni_registry_lock();
	is_last = --segment->references == 0;
	tni_registry_unlock();
	if (!is_last)
		return;
	close_file(segment);
	free(segment);
}

int tni_segment_begin(struct tenon_segment *segment)
{
	if (tni_get32(&segment->object.generation) == tni_thread_self()->generation)
		return 0;
	return tni_object_reattach(&segment->object);
}

void tni_segment_remove(struct tenon_segment *segment)
{
	uint32_t state = tni_get32(&segment->control->state);

	/* ORD(counted) */
	while (!tni_cas_total32(&segment->control->state, &state, state | TNI_SEGMENT_REMOVED))
		;
}

bool tni_segment_is_removed(const struct tenon_segment *segment)
{
	return tni_load_total32(&segment->control->state) & TNI_SEGMENT_REMOVED; /* ORD(counted) */
}

static bool is_own(struct tenon_segment *segment, uint32_t participant)
{
	return participant == segment->object.participant &&
	       tni_get32(&segment->object.generation) == tni_process_generation();
}

static uint64_t count(struct tenon_segment *segment, bool with_own)
{
	struct tni_object *object = &segment->object;
	uint64_t sum = 0;

	for (uint32_t i = 0; i < tni_object_participants_top(object); i++) {
		const struct tni_participant *entry = tni_object_participant(object, i);
		/* ORD(counted) */
		uint32_t attachments = entry ? tni_load_total32(&entry->attachments) : 0;

		if (attachments == 0 || (!with_own && is_own(segment, i)))
			continue;
		if (is_own(segment, i) || tni_object_is_attached(object, i))
			sum += attachments;
	}
	return sum;
}

uint64_t tni_segment_count(struct tenon_segment *segment)
{
	return count(segment, true);
}

uint64_t tni_segment_count_others(struct tenon_segment *segment)
{
	return count(segment, false);
}

bool tni_segment_is_ended(struct tenon_segment *segment)
{
	uint32_t own;

	if (!tni_segment_is_removed(segment))
		return false;
	tni_registry_lock();
	own = segment->attachments;
	tni_registry_unlock();
	/* Of itself this process needs no word of others. */
	return own == 0 && tni_segment_count(segment) == 0;
}

void tni_segment_mend(struct tenon_segment *segment)
{
	struct tni_object *object = &segment->object;

	/* Who has nothing attached leaves nothing behind that anybody is told of. */
	for (uint32_t i = 0; i < tni_object_participants_top(object); i++)
		if (tni_get32(&object->participants[i].attachments) != 0)
			(void)!tni_object_recover_one(object, i, tni_grace_ns());
}
