/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The file of a synchronization object: header, participants, stakes, rows, what the kind has beside, one cell.  The
 * memory of the header, of the first participants and of the cell is taken when it is made, that of the others with the
 * first use.
 *
 * A row says what its participant holds between its calls, and what is given back when it dies
 * (object/turnstile.c).
 */

#include "object/sync.h"

#include <tenon/lock.h>

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "core/file.h"
#include "object/options.h"
#include "object/place.h"
#include "object/turnstile.h"

#define MODE_DEFAULT 0600u
#define PARTICIPANTS_DEFAULT 256u

struct layout {
	uint64_t stakes, rows, extra, cell, end;
};

uint64_t tni_sync_extra_offset(uint32_t participants)
{
	return tni_object_own_offset(participants) + tni_stakes_bytes(participants) +
	       tni_page_up(participants * sizeof(struct tni_row));
}

static struct layout layout_of(const struct tni_sync_kind *kind, uint32_t participants,
			       uint32_t limit)
{
	struct layout layout;

	layout.stakes = tni_object_own_offset(participants);
	layout.rows = layout.stakes + tni_stakes_bytes(participants);
	layout.extra = tni_sync_extra_offset(participants);
	layout.cell = layout.extra +
		      (kind->extra_bytes ? kind->extra_bytes(participants, limit) : 0);
	layout.end = layout.cell + sizeof(struct tni_cell);
	return layout;
}

static int fill(int fd, uint8_t *base, const void *context)
{
	const struct tni_sync *sync = context;
	struct layout layout = layout_of(sync->kind, sync->making.max_participants,
					 sync->making_limit);
	struct tni_cell *cell = (struct tni_cell *)(base + layout.cell);
	int result = tni_file_reserve(fd, layout.cell, sizeof(*cell));

	/* Who makes it can attach, or it would leave the name behind. */
	if (result == 0)
		result = tni_file_reserve(fd, TNI_PARTICIPANTS_OFFSET, 1);
	if (result == 0 && sync->kind->fill)
		result = sync->kind->fill(sync, fd, layout.extra, base + layout.extra);
	if (result != 0)
		return result;
	cell->flags = sync->making.flags;
	cell->limit = sync->making_limit;
	tni_set64(&cell->turnstile.word, sync->making_word);
	return 0;
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

static struct tni_object_header header_of(const struct tni_sync *sync)
{
	uint32_t participants = sync->making.max_participants;

	return (struct tni_object_header){
		.kind = sync->kind->named.kind,
		.participants_max = participants,
		.extent_bytes = layout_of(sync->kind, participants, sync->making_limit).end};
}

int tni_sync_make(int directory_fd, const char *file_name, const char *name, void *context,
		  uint64_t *ret_inode)
{
	const struct tni_sync *sync = context;
	struct tni_object_header header = header_of(sync);

	return tni_object_make(directory_fd, file_name, name, (mode_t)sync->making.mode, &header,
			       fill, sync, ret_inode);
}

int tni_sync_make_nameless(const struct tni_sync_kind *kind, int directory_fd,
			   const struct tenon_sync_options *options, uint32_t limit, uint64_t word,
			   int *ret_fd)
{
	struct tni_sync sync = {.kind = kind, .making_limit = limit, .making_word = word};
	struct tni_object_header header;
	int result = options_check(options, kind->flags_known, &sync.making);

	if (result == 0 && !kind->is_possible(sync.making.flags, limit))
		result = -EINVAL;
	if (result != 0)
		return result;
	header = header_of(&sync);
	return tni_object_make_nameless(directory_fd, (mode_t)sync.making.mode, &header, fill,
					&sync, ret_fd);
}

int tni_sync_back(const struct tni_sync *sync, int fd, uint64_t offset, uint64_t bytes)
{
	return sync->region ? 0 : tni_file_reserve(fd, offset, bytes);
}

struct tni_row *tni_sync_row(struct tni_sync *sync, uint32_t participant)
{
	uint32_t a_page = TNI_PAGE_BYTES / sizeof(struct tni_row), page = participant / a_page;
	uint32_t known = tni_get32(&sync->rows_known);

	if (participant >= sync->object->header.participants_max)
		return NULL;
	if (!(known >> page & 1)) {
		uint64_t offset = (uint64_t)((uint8_t *)&sync->rows[page * a_page] -
					     sync->object->base);

		if (tni_sync_back(sync, sync->object->fd, offset, TNI_PAGE_BYTES) != 0)
			return NULL;
		while (!tni_cas32(&sync->rows_known, &known, known | 1u << page))
			;
	}
	return &sync->rows[participant];
}

int tni_sync_damaged(struct tni_sync *sync)
{
	tni_object_damage(sync->object);
	return -EBADMSG;
}

/* Who shares a lock waits for its gate; sleepers at a turnstile do not. */
static void plan_wakes(void *context, uint64_t flags, struct tni_wakes *wakes)
{
	struct tni_sync *sync = context;

	if (!(flags & TNI_GATE_FLAG(TNI_CLASS_MESSAGE)))
		return;
	if (sync->kind->is_held_long)
		wakes->count[TNI_CLASS_MESSAGE] = UINT32_MAX;
	else if (sync->kind->plan)
		wakes->count[TNI_CLASS_MESSAGE] = sync->kind->plan(sync);
}

void tni_sync_unlock(struct tni_sync *sync, struct tni_thread *thread, void *pending)
{
	if (!tni_gate_unlock_quiet(&sync->cell->gate))
		tni_gate_unlock(&sync->house, 0, plan_wakes, sync);
	tni_pending_put(thread, pending);
}

/* Whoever repairs wakes all: whom the dead one would have is not known. */
int tni_sync_lock(struct tni_sync *sync, struct tni_thread *thread, void *pending,
		  int64_t deadline_ns)
{
	int result = tni_gate_lock(&sync->house, 0, thread, pending, deadline_ns);

	if (result == TNI_OWNER_DIED) {
		result = sync->kind->repair ? sync->kind->repair(sync) : tni_turnstile_repair(sync);
		tni_set32(&sync->cell->gate.repairs, tni_get32(&sync->cell->gate.repairs) + 1);
		tni_gatehouse_wake(&sync->house, TNI_CLASS_MESSAGE, UINT32_MAX);
		if (result != 0)
			tni_sync_unlock(sync, thread, pending);
	} else if (result < 0) {
		tni_pending_put(thread, pending);
	}
	/* That the thread holds it cannot be: calls that lock are not for signal handlers. */
	return result == -EDEADLK ? tni_sync_damaged(sync) : result;
}

int tni_sync_heal(struct tni_sync *sync, struct tni_thread *thread, int64_t deadline_ns)
{
	void *pending = tni_pending_get(thread);
	int result = tni_sync_lock(sync, thread, pending, deadline_ns);

	if (result == 0)
		tni_sync_unlock(sync, thread, pending);
	return result;
}

bool tni_sync_is_inheriting(const struct tni_sync *sync)
{
	return sync->kind == &tni_lock_kind && (sync->flags & TENON_LOCK_INHERIT);
}

/* What the dead held, or who lets go: its bits, and the gate. */
void tni_sync_orphan(struct tni_sync *sync, uint32_t participant)
{
	tni_gatehouse_forget(&sync->house, participant);
	/* Of a lock with priority inheritance the kernel sees to that, and the word may say of another who had it; it
	 * tells nobody who waits in a waitset. */
	if (tni_sync_is_inheriting(sync))
		tni_gate_wake_all(&sync->house, 0, TNI_CLASS_LOCK_0);
	else
		tni_gate_orphan(&sync->house, 0, participant);
}

/* The same, and then what its row says. */
int tni_sync_bury(struct tni_sync *sync, uint32_t participant, int64_t deadline_ns)
{
	tni_sync_orphan(sync, participant);
	return sync->kind->bury ? sync->kind->bury(sync, participant, deadline_ns) : 0;
}

void tni_sync_renew(struct tni_sync *sync)
{
	uint32_t participant = sync->object->participant;

	tni_gatehouse_renew(&sync->house, participant);
	sync->row = sync->kind->has_rows ? tni_sync_row(sync, participant) : NULL;
	if (!sync->row)
		return;
	tni_set32(&sync->row->waiting, 0);
	tni_set32(&sync->row->owing, 0);
	tni_turnstile_attach(sync);
}

static int bury(struct tni_object *object, uint32_t participant, int64_t deadline_ns)
{
	struct tni_sync *sync = (struct tni_sync *)object;

	/* Whoever attaches holds gates under the number that it takes over. */
	if (object->participant == UINT32_MAX)
		sync->house.participant = participant;
	return tni_sync_bury(sync, participant, deadline_ns);
}

static void rouse(struct tni_object *object)
{
	tni_gatehouse_rouse(&((struct tni_sync *)object)->house);
}

static void renew(struct tni_object *object)
{
	tni_sync_renew((struct tni_sync *)object);
}

/* Of others, for who waits for a lock. */
static void add_stakes(struct tni_object *object, struct tni_sleep *sleep)
{
	tni_object_hand_over(object, tni_thread_self());
	tni_object_add_stakes(object, sleep);
}

void tni_sync_settle(struct tni_sync *sync)
{
	struct tni_object *object = sync->object;

	sync->house = (struct tni_gatehouse){
		.gate = {&sync->cell->gate},
		.gates = 1,
		.waitroom = &sync->cell->waitroom,
		.top = object->header.participants_max,
		.is_held_long = sync->kind->is_held_long,
		.is_inheriting = tni_sync_is_inheriting(sync),
		.is_gone = tni_object_thread_is_gone,
		.is_doubtful = tni_object_may_live,
		.is_own = tni_object_is_own,
		.add_stakes = sync->kind->is_held_long ? add_stakes : NULL,
		.rouse = object->rouse,
		.object = object,
	};
}

int tni_sync_check(struct tni_sync *sync)
{
	sync->flags = *(const volatile uint32_t *)&sync->cell->flags;
	sync->limit = *(const volatile uint32_t *)&sync->cell->limit;
	if (sync->flags & ~sync->kind->flags_known)
		return -EBADMSG;
	return sync->kind->is_possible(sync->flags, sync->limit) ? 0 : -EBADMSG;
}

static int map_cell(struct tni_sync *sync)
{
	struct tni_object *object = sync->object;
	struct layout layout;
	int result;

	/* Shorter: cut off. */
	if (object->extent_bytes <= sizeof(*sync->cell) ||
	    object->file_bytes < object->extent_bytes)
		return -EBADMSG;
	sync->cell = (struct tni_cell *)(object->base + object->extent_bytes - sizeof(*sync->cell));
	/* Holes that another process has made in the file are filled. */
	result = tni_file_reserve(object->fd, object->extent_bytes - sizeof(*sync->cell),
				  sizeof(*sync->cell));
	if (result != 0)
		return result;
	result = tni_sync_check(sync);
	if (result != 0)
		return result;
	layout = layout_of(sync->kind, object->header.participants_max, sync->limit);
	if (object->extent_bytes != layout.end)
		return -EBADMSG;
	object->stakes_offset = layout.stakes;
	sync->rows = (struct tni_row *)(object->base + layout.rows);
	sync->extra = object->base + layout.extra;
	tni_sync_settle(sync);
	return sync->kind->map ? sync->kind->map(sync) : 0;
}

int tni_sync_open(int directory_fd, const char *file_name, void *context)
{
	struct tni_sync *sync = context;
	struct tni_object *object = &sync->own;
	int result = tni_object_open(directory_fd, file_name, sync->kind->named.kind, object);

	if (result != 0)
		return result;
	sync->object = object;
	object->bury = bury;
	object->renew = renew;
	object->rouse = rouse;
	result = map_cell(sync);
	if (result == 0)
		result = tni_file_refill(object->fd, TNI_PARTICIPANTS_OFFSET);
	if (result == 0)
		result = tni_object_attach(object);
	if (result != 0) {
		tni_object_close(object);
		return result;
	}
	return 0;
}

void tni_sync_close(void *context)
{
	struct tni_sync *sync = context;

	if (sync->region)
		tni_place_close(sync);
	else
		tni_object_close(sync->object);
}

int tni_sync_open_named(const struct tni_sync_kind *kind, size_t bytes, const char *namespace_path,
			const char *name, uint32_t flags, const struct tenon_sync_options *options,
			uint32_t limit, uint64_t word, void *ret_sync)
{
	struct tni_sync *sync;
	int result = 0;

	if (!ret_sync)
		return -EINVAL;
	sync = calloc(1, bytes);
	if (!sync)
		return -ENOMEM;
	sync->kind = kind;
	sync->making_limit = limit;
	sync->making_word = word;
	tni_turnstile_begin(sync);
	if (flags & TENON_CREATE)
		result = options_check(options, kind->flags_known, &sync->making);
	if (result == 0 && (flags & TENON_CREATE) && !kind->is_possible(sync->making.flags, limit))
		result = -EINVAL;
	if (result == 0)
		result = tni_named_open(&kind->named, namespace_path, name, flags, sync);
	if (result != 0) {
		free(sync);
		return result;
	}
	*(void **)ret_sync = sync;
	return 0;
}

void *tni_sync_free(struct tni_sync *sync)
{
	if (sync) {
		tni_sync_close(sync);
		free(sync);
	}
	return NULL;
}

int32_t tni_sync_pid(struct tni_sync *sync, uint32_t participant)
{
	const struct tni_participant *entry = tni_object_participant(sync->object, participant);

	return entry ? (int32_t)tni_get32(&entry->pid) : 0;
}

uint32_t tni_sync_asleep(const struct tni_sync *sync, uint32_t participant)
{
	uint32_t asleep = 0;

	for (uint32_t class = 0; class < TNI_CLASSES; class ++) {
		const struct tni_a64 *bits = sync->cell->waitroom.asleep[class];

		if (tni_get64(&bits[participant / 64]) >> (participant % 64) & 1)
			asleep |= TNI_CLASS_BIT(class);
	}
	return asleep;
}

bool tni_sync_next_user(struct tni_sync *sync, struct tni_sync_user *user)
{
	while (user->next < tni_object_participants_top(sync->object)) {
		uint32_t i = user->next++;

		if (!tni_object_is_attached(sync->object, i))
			continue;
		user->participant = i;
		user->pid = tni_sync_pid(sync, i);
		user->asleep = tni_sync_asleep(sync, i);
		return true;
	}
	return false;
}

void tni_sync_describe(struct tni_sync *sync, uint32_t classes, struct tni_sync_status *ret_status)
{
	struct tni_object *object = sync->object;
	struct tni_sync_user user = {0};
	struct tni_sync_status status = {.max_participants = object->header.participants_max,
					 .id = object->header.id,
					 .created_ns = object->header.created_ns,
					 .memory_bytes = tni_file_memory(object->fd),
					 .damaged = tni_get32(&object->shared->damaged)};
	struct stat file;

	if (fstat(object->fd, &file) == 0) {
		status.mode = file.st_mode & 07777;
		status.uid = file.st_uid;
		status.gid = file.st_gid;
	}
	while (tni_sync_next_user(sync, &user)) {
		status.participants++;
		status.waiting += (user.asleep & classes) != 0;
	}
	*ret_status = status;
}
