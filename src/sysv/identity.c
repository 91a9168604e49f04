/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The table of identifiers and keys is the namespace's folder, and the kernel decides who comes first:
 *
 *	identifier	the object's name, "sysv-" and the index of the identifier, of which the upper half is a random number
 *			that tells it from earlier ones
 *	key		another name of the same file, which is no object's: a letter for the kind, "-key.", the key
 *
 *	make	M1 a whole file without a name	dies: the kernel frees it
 *		M2 its key's name		dies: whoever finds the key goes on at M3; exclusive: one of those who come at once
 *		M3 its identifier's name	dies: whoever finds the key goes on at M4
 *		M4 the name of its memory, if it has	dies: who wants the memory makes it
 *		M5 BORN
 *		All of them locked, so that who goes on waits for who lives
 *	remove	R1 REMOVING			dies: it is not removed; who finds the key asks the object
 *		R2 the object is ended		dies: those who sleep are woken; who finds the key goes on at R3, and so does who
 *						learns of the end
 *		R3 the memory's name away, the identifier's	dies: who finds the key goes on at R4
 *		R4 the key's name away		dies: there is nobody who could find it
 *		   those of descriptors to poll	dies: object/queue_poll.c
 *		R5 REMOVED
 *		   of memory that is attached the identifier's name, and R5, when it is not any more (object/segment.c)
 *
 * Who lists the objects finds all keys.
 *
 * M2 to M5 (sysv/birth.c), R1 to R5, and changes of permissions (sysv/part.c) are done in turn (sysv/turn.h).  A name is taken away
 * in the turn of the file that it is a name of, and given only where there is none; so what was looked up in turn stays so.
 */

#include "sysv/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <tenon/tenon.h>

#include "core/clock.h"
#include "core/file.h"
#include "core/namespace.h"
#include "core/quiet.h"
#include "object/queue_descriptor.h"
#include "object/segment.h"
#include "sysv/look.h"
#include "sysv/permission.h"
#include "sysv/table.h"

#define ATTEMPTS 1000

void tni_sysv_name(uint32_t id, char name[static TNI_SYSV_NAME_BYTES])
{
	snprintf(name, TNI_SYSV_NAME_BYTES, "/sysv-%04x", id & TNI_SYSV_INDEX);
}

void tni_sysv_id_file(uint32_t kind, uint32_t id, char *file_name)
{
	char name[TNI_SYSV_NAME_BYTES];

	tni_sysv_name(id, name);
	tni_namespace_file(kind, name + 1, file_name);
}

int tni_sysv_look_lock(struct tni_sysv_look *look)
{
	return look->turn.is_taken ? 0 : tni_sysv_turn_take(&look->turn, look->fd);
}

int tni_sysv_look_guard(struct tni_sysv_look *look)
{
	look->guard = tni_guard_add(look->page, TNI_PAGE_BYTES, PROT_READ | PROT_WRITE, look->fd, 0,
				    &look->broken);
	return look->guard ? 0 : -ENOMEM;
}

void tni_sysv_look_end(struct tni_sysv_look *look)
{
	tni_sysv_turn_end(&look->turn);
	tni_guard_remove(look->guard);
	munmap(look->page, TNI_PAGE_BYTES);
	close(look->fd);
}

/* Takes `fd` over. */
static int look_at(int directory_fd, uint32_t kind, int fd, struct tni_sysv_look *ret_look)
{
	struct tni_sysv_look look = {.directory_fd = directory_fd, .fd = fd, .kind = kind};
	struct tni_object_header header;
	struct stat status;
	int result = tni_object_check(fd, kind, &header, &status);

	if (result == 0) {
		look.inode = status.st_ino;
		look.page = mmap(NULL, TNI_PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (look.page == MAP_FAILED)
			result = -errno;
	}
	if (result != 0) {
		close(fd);
		return result;
	}
	look.part = (struct tni_sysv_part *)(look.page + TNI_SYSV_OFFSET);
	*ret_look = look;
	result = tni_sysv_look_guard(ret_look);
	if (result == 0 && *(const volatile uint32_t *)&look.part->kind != kind)
		result = -EBADMSG;
	if (result != 0)
		tni_sysv_look_end(ret_look);
	return result;
}

static int look_up(int directory_fd, uint32_t kind, const char *file_name,
		   struct tni_sysv_look *ret_look)
{
	int fd = openat(directory_fd, file_name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0)
		return errno == ELOOP || errno == ENXIO || errno == EISDIR ? -EACCES : -errno;
	return look_at(directory_fd, kind, tni_file_lift(fd), ret_look);
}

/* Whether a name is this file's. */
bool tni_sysv_is_named(const struct tni_sysv_look *look, const char *file_name)
{
	uint64_t inode;

	return tni_file_inode(look->directory_fd, file_name, &inode) == 0 && inode == look->inode;
}

/* Whether it certainly is not. */
static bool is_away(const struct tni_sysv_look *look, const char *file_name)
{
	uint64_t inode;
	int result = tni_file_inode(look->directory_fd, file_name, &inode);

	return result == -ENOENT || (result == 0 && inode != look->inode);
}

static int take_name(const struct tni_sysv_look *look, const char *file_name)
{
	uint64_t inode;
	int result = tni_file_inode(look->directory_fd, file_name, &inode);

	if (result == -ENOENT || (result == 0 && inode != look->inode))
		return 0;
	if (result != 0)
		return result;
	if (unlinkat(look->directory_fd, file_name, 0) == 0)
		return 0;
	return errno == ENOENT ? 0 : errno == EPERM ? -EACCES : -errno;
}

/* The random number in the header of the object. */
uint64_t tni_sysv_object_id(const struct tni_sysv_look *look)
{
	const uint8_t *page = (const uint8_t *)look->part - TNI_SYSV_OFFSET;

	return *(const volatile uint64_t *)(page + offsetof(struct tni_object_header, id));
}

/* Locked. */
int tni_sysv_take_names(const struct tni_sysv_look *look, bool keep_id)
{
	char file_name[TNI_SYSV_FILE_NAME_BYTES];
	uint32_t key = *(const volatile uint32_t *)&look->part->key;
	int result = 0;

	/* It cannot be another object's, since the name says the inode of this one. */
	if (look->kind == TENON_KIND_SEGMENT)
		result = tni_segment_unname_data(look->directory_fd, look->inode,
						 (const uint8_t *)look->part - TNI_SYSV_OFFSET);
	if (result == 0 && !keep_id) {
		tni_sysv_id_file(look->kind, tni_get32(&look->part->id), file_name);
		result = take_name(look, file_name);
	}
	if (result == 0 && key != IPC_PRIVATE) {
		tni_namespace_key_file(look->kind, key, file_name);
		result = take_name(look, file_name);
	}
	if (result == 0 && look->kind == TENON_KIND_QUEUE)
		tni_fifo_remove(look->directory_fd, look->fd);
	if (result == 0 && !keep_id)
		tni_fetch_or32(&look->part->state, TNI_SYSV_REMOVED);
	return result;
}

/* Of an object that is open: takes its turn, and all that taking its names away needs. */
static int hold(const struct tni_sysv_kind *kind, const void *object, struct tni_sysv_part *part,
		struct tni_sysv_look *ret_look)
{
	const struct tni_object *file = object;
	int result;

	*ret_look = (struct tni_sysv_look){.kind = kind->kind, .fd = file->fd, .part = part};
	result = tni_file_inode(file->fd, "", &ret_look->inode);
	if (result == 0)
		result = tni_namespace_open(NULL, 0, &ret_look->directory_fd);
	if (result != 0)
		return result;
	result = tni_sysv_look_lock(ret_look);
	if (result != 0)
		close(ret_look->directory_fd);
	return result;
}

static void let_go(struct tni_sysv_look *look)
{
	tni_sysv_turn_end(&look->turn);
	close(look->directory_fd);
}

int tni_sysv_clear(const struct tni_sysv_kind *kind, void *object, struct tni_sysv_part *part)
{
	struct tni_sysv_look look;
	int result = hold(kind, object, part, &look);

	if (result != 0)
		return result;
	/* Asked in turn: who attaches what is removed asks so, too. */
	result = tni_sysv_take_names(&look, !kind->is_ended(object));
	let_go(&look);
	return result;
}

/* What has become of one. */
enum fate {
	THERE,
	REMOVED, /* but not ended: memory that is attached */
	ENDED,
};

static enum fate fate_of_object(const struct tni_sysv_kind *kind, void *object)
{
	if (kind->is_ended(object))
		return ENDED;
	return kind->is_removed && kind->is_removed(object) ? REMOVED : THERE;
}

/* Of one that somebody has begun to end. */
static enum fate ask(const struct tni_sysv_kind *kind, const struct tni_sysv_look *look,
		     uint32_t id)
{
	char name[TNI_SYSV_NAME_BYTES];
	enum fate fate;
	void *object;
	int result;

	if (kind->is_over)
		return kind->is_over(look->fd) ? ENDED : THERE;
	tni_sysv_name(id, name);
	result = kind->open(name, &object);
	if (result != 0)
		return THERE;
	fate = fate_of_object(kind, object);
	kind->close(object);
	return fate;
}

/* Also if the name of its identifier was removed as that of any object is. */
static enum fate fate_of(const struct tni_sysv_kind *kind, const struct tni_sysv_look *look)
{
	uint32_t state = tni_get32(&look->part->state), id = tni_get32(&look->part->id);
	char file_name[TNI_SYSV_FILE_NAME_BYTES];

	if (state & TNI_SYSV_REMOVED)
		return ENDED;
	tni_sysv_id_file(kind->kind, id, file_name);
	if (state & TNI_SYSV_BORN && is_away(look, file_name))
		return ENDED;
	return state & TNI_SYSV_REMOVING ? ask(kind, look, id) : THERE;
}

/* In turn: takes away the names that it has no right to any more.  Who attaches meanwhile what is removed leaves it REMOVED;
 * who could not end it after all (remove_closed) leaves it THERE: -EAGAIN. */
static int clear(const struct tni_sysv_kind *kind, struct tni_sysv_look *look, enum fate *fate)
{
	if (*fate == ENDED)
		*fate = fate_of(kind, look);
	return *fate == THERE ? -EAGAIN : tni_sysv_take_names(look, *fate != ENDED);
}

/* -EAGAIN: it was removed, and its key is free now.  In a sticky folder that is for its creator. */
static int bury(const struct tni_sysv_kind *kind, struct tni_sysv_look *look, const char *file_name,
		int flags)
{
	enum fate fate = fate_of(kind, look);
	int result = tni_sysv_look_lock(look);

	if (result == 0)
		result = clear(kind, look, &fate);
	/* By which it was found, whatever it says itself. */
	if (result == 0)
		result = take_name(look, file_name);
	if (result == -EACCES && !(flags & IPC_CREAT))
		return -ENOENT;
	return result == 0 ? -EAGAIN : result;
}

/* Whether the caller may have the identifier of what is there. */
static int allow(const struct tni_sysv_kind *kind, const struct tni_sysv_part *part, uint32_t key,
		 uint64_t size, int flags)
{
	uint32_t wanted = (uint32_t)(flags >> 6 | flags >> 3 | flags) & 7;
	struct tni_sysv_identity identity;
	int result;

	if (*(const volatile uint32_t *)&part->key != key)
		return -EACCES;
	if ((flags & (IPC_CREAT | IPC_EXCL)) == (IPC_CREAT | IPC_EXCL))
		return -EEXIST;
	result = tni_sysv_read(part, &identity);
	if (result == 0)
		result = kind->fits(identity.size, size);
	return result != 0 || tni_sysv_is_granted(&identity, wanted) ? result : -EACCES;
}

static int use(const struct tni_sysv_kind *kind, struct tni_sysv_look *look, uint32_t key,
	       uint64_t size, int flags)
{
	int result = allow(kind, look->part, key, size, flags);

	if (result == 0 && !(tni_get32(&look->part->state) & TNI_SYSV_BORN))
		result = tni_sysv_bear(look);
	return result == 0 ? (int)(tni_get32(&look->part->id) & TNI_SYSV_ID) : result;
}

/* What the file lets the caller not open, this process may have open: it was somebody else then. */
static int get_denied(const struct tni_sysv_kind *kind, int directory_fd, const char *file_name,
		      uint32_t key, uint64_t size, int flags)
{
	struct tni_sysv_handle *handle;
	uint64_t inode;
	int result;

	if (tni_file_inode(directory_fd, file_name, &inode) != 0)
		return -EACCES;
	if ((flags & (IPC_CREAT | IPC_EXCL)) == (IPC_CREAT | IPC_EXCL))
		return -EEXIST;
	if (tni_sysv_enter_inode(kind, inode, &handle) != 0)
		return -EACCES;
	/* Memory may be removed and attached. */
	if (fate_of_object(kind, handle->object) != THERE)
		result = flags & IPC_CREAT ? -EACCES : -ENOENT;
	else
		result = allow(kind, handle->part, key, size, flags);
	if (result == 0)
		result = (int)handle->id;
	tni_sysv_leave(handle);
	return result;
}

static int get_keyed(const struct tni_sysv_kind *kind, int directory_fd, uint32_t key,
		     uint64_t size, int flags)
{
	char file_name[TNI_SYSV_FILE_NAME_BYTES];
	int result = -EAGAIN;

	tni_namespace_key_file(kind->kind, key, file_name);
	for (int attempts = 0; result == -EAGAIN && attempts < ATTEMPTS; attempts++) {
		struct tni_sysv_look look;

		result = look_up(directory_fd, kind->kind, file_name, &look);
		if (result == 0) {
			result = fate_of(kind, &look) != THERE ? bury(kind, &look, file_name, flags)
							       : use(kind, &look, key, size, flags);
			tni_sysv_look_end(&look);
		} else if (result == -ENOENT && flags & IPC_CREAT) {
			result = tni_sysv_make_named(kind, directory_fd, key, size, flags);
		} else if (result == -EACCES) {
			result = get_denied(kind, directory_fd, file_name, key, size, flags);
		}
	}
	return result;
}

int tni_sysv_get(const struct tni_sysv_kind *kind, key_t key, uint64_t size, int flags)
{
	int directory_fd, result = tni_namespace_open(NULL, key == IPC_PRIVATE || flags & IPC_CREAT,
						      &directory_fd);

	if (result != 0)
		return result;
	if (key == IPC_PRIVATE)
		result = tni_sysv_make_named(kind, directory_fd, IPC_PRIVATE, size, flags);
	else
		result = get_keyed(kind, directory_fd, (uint32_t)key, size, flags);
	close(directory_fd);
	if (result >= 0)
		tni_sysv_give(kind, result);
	return result;
}

int tni_sysv_remove(const struct tni_sysv_kind *kind, void *object, struct tni_sysv_part *part)
{
	struct tni_sysv_look look;
	int result = hold(kind, object, part, &look), taken = 0;

	if (result != 0)
		return result;
	tni_fetch_or32(&part->state, TNI_SYSV_REMOVING);
	tni_step();
	result = kind->end(object);
	if (result == 0 || result == -EIDRM)
		taken = tni_sysv_take_names(&look, !kind->is_ended(object));
	let_go(&look);
	/* In a sticky folder only the creator, and root, take its names away: it is over all the same. */
	return result != 0 || taken == -EACCES ? result : taken;
}

bool tni_sysv_has_name(const struct tni_object *object, uint32_t kind, uint32_t index)
{
	struct tni_sysv_look look = {.inode = object->inode};
	char file_name[TNI_SYSV_FILE_NAME_BYTES];
	bool answer;

	if (tni_namespace_open(NULL, 0, &look.directory_fd) != 0)
		return false;
	tni_sysv_id_file(kind, index, file_name);
	answer = tni_sysv_is_named(&look, file_name);
	close(look.directory_fd);
	return answer;
}

/* Whether anybody has ever opened it. */
static bool is_used(const struct tni_sysv_look *look)
{
	const struct tni_object_header *header = (const struct tni_object_header *)look->page;

	return tni_load_total32(&header->participants_top) != 0;
}

/* Of one that there is no memory to open, and that nobody has ever opened: so nobody waits there.  Who opens it from now on sees
 * REMOVED; who has done so just before has taken the memory that this needs, too. */
static int remove_closed(const struct tni_sysv_kind *kind, struct tni_sysv_look *look)
{
	char name[TNI_SYSV_NAME_BYTES];
	void *object;
	int result = tni_sysv_look_lock(look);

	if (result != 0)
		return result;
	if (is_used(look))
		return -ENOMEM;
	tni_fetch_or32(&look->part->state, TNI_SYSV_REMOVED);
	if (is_used(look)) {
		tni_sysv_name(tni_get32(&look->part->id), name);
		result = kind->open(name, &object);
		if (result != 0) {
			tni_fetch_and32(&look->part->state, ~TNI_SYSV_REMOVED);
			return result;
		}
		(void)!kind->end(object);
		kind->close(object);
	}
	return tni_sysv_take_names(look, false);
}

int tni_sysv_remove_closed(const struct tni_sysv_kind *kind, uint32_t id)
{
	char file_name[TNI_SYSV_FILE_NAME_BYTES];
	struct tni_sysv_identity identity;
	struct tni_sysv_look look;
	int directory_fd, result = tni_namespace_open(NULL, 0, &directory_fd);

	if (result != 0)
		return result;
	tni_sysv_id_file(kind->kind, id, file_name);
	result = look_up(directory_fd, kind->kind, file_name, &look);
	if (result == 0) {
		result = tni_sysv_read(look.part, &identity);
		if (result == 0 && identity.id != id)
			result = -EINVAL;
		if (result == 0 && !tni_sysv_is_owner(&identity))
			result = -EPERM;
		if (result == 0)
			result = remove_closed(kind, &look);
		tni_sysv_look_end(&look);
	}
	close(directory_fd);
	return result == -ENOENT ? -EINVAL : result;
}

/* At once: whoever has its turn, and be he stopped, or one who will never give it back, is at the names himself. */
static int tidy(const struct tni_sysv_kind *kind, struct tni_sysv_look *look)
{
	enum fate fate = fate_of(kind, look);
	int result = -EEXIST;

	if (fate != THERE)
		result = tni_sysv_turn_try(&look->turn, look->fd);
	if (result == 0)
		result = clear(kind, look, &fate);
	return result == 0 && fate != ENDED ? -EEXIST : result;
}

int tni_sysv_tidy(const struct tni_sysv_kind *kind, uint32_t index)
{
	TNI_NO_CANCEL;
	char file_name[TNI_SYSV_FILE_NAME_BYTES];
	struct tni_sysv_look look;
	int directory_fd, result = tni_namespace_open(NULL, 0, &directory_fd);

	if (result != 0)
		return result;
	tni_sysv_id_file(kind->kind, index, file_name);
	result = look_up(directory_fd, kind->kind, file_name, &look);
	if (result == 0) {
		result = tidy(kind, &look);
		tni_sysv_look_end(&look);
	}
	close(directory_fd);
	return result;
}

int tni_sysv_identify(uint32_t kind, const char *name, struct tni_sysv_identity *ret_identity)
{
	char file_name[TNI_SYSV_FILE_NAME_BYTES];
	const char *bare;
	struct tni_sysv_look look;
	int directory_fd, result = tni_name_check(name, &bare);

	if (result == 0)
		result = tni_namespace_open(NULL, 0, &directory_fd);
	if (result != 0)
		return result;
	tni_namespace_file(kind, bare, file_name);
	result = look_up(directory_fd, kind, file_name, &look);
	if (result == 0) {
		result = tni_sysv_read(look.part, ret_identity);
		tni_sysv_look_end(&look);
	}
	close(directory_fd);
	return result == -EBADMSG ? -EINVAL : result;
}

void tni_sysv_go_on(const struct tni_sysv_kind *kind, int directory_fd, const char *file_name)
{
	struct tni_sysv_look look;
	bool is_there;

	if (look_up(directory_fd, kind->kind, file_name, &look) != 0)
		return;
	is_there = fate_of(kind, &look) == THERE;
	/* Whoever has the turn lives, and goes on himself; he may be stopped. */
	if ((!is_there || !(tni_get32(&look.part->state) & TNI_SYSV_BORN)) &&
	    tni_sysv_turn_try(&look.turn, look.fd) == 0)
		(void)!(is_there ? tni_sysv_bear(&look) : bury(kind, &look, file_name, 0));
	tni_sysv_look_end(&look);
}
