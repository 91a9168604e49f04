/* SPDX-License-Identifier: Apache-2.0 */

/* Making an object, from M1 to M5 of sysv/identity.c. */

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <tenon/tenon.h>

#include "core/clock.h"
#include "core/file.h"
#include "sysv/look.h"
#include "sysv/permission.h"

#define DRAWS 100u

static uint32_t random_id(void)
{
	uint32_t id;

	if (getrandom(&id, sizeof(id), GRND_NONBLOCK) != sizeof(id))
		id = (uint32_t)tni_clock_ns(CLOCK_MONOTONIC) * UINT32_C(0x9e3779b1);
	return id & TNI_SYSV_ID;
}

/* Gives the file the name of its identifier, or of another that is free.  Locked, or not yet known to others. */
static int name_id(const struct tni_sysv_look *look)
{
	char file_name[TNI_SYSV_FILE_NAME_BYTES];

	uint32_t id = tni_get32(&look->part->id) & TNI_SYSV_ID;

	for (uint32_t attempts = 0; attempts < DRAWS + TNI_SYSV_INDEX + 1; attempts++) {
		int result;

		tni_sysv_id_file(look->kind, id, file_name);
		result = tni_file_name(look->fd, look->directory_fd, file_name);
		if (result == 0 || (result == -EEXIST && tni_sysv_is_named(look, file_name)))
			return 0;
		if (result != -EEXIST)
			return result;
		/* Where most are taken, one after the other. */
		if (attempts < DRAWS)
			id = random_id();
		else
			id = (id & ~TNI_SYSV_INDEX) | ((id + 1) & TNI_SYSV_INDEX);
		tni_set32(&look->part->id, id);
	}
	return -ENOSPC;
}

int tni_sysv_bear(struct tni_sysv_look *look)
{
	int result = tni_sysv_look_lock(look);

	if (result != 0 || tni_get32(&look->part->state) & TNI_SYSV_BORN)
		return result;
	result = name_id(look);
	if (result == 0)
		tni_fetch_or32(&look->part->state, TNI_SYSV_BORN);
	return result;
}

static int set_up(const struct tni_sysv_look *look, uint32_t key, uint64_t size, uint32_t mode)
{
	struct tni_sysv_part *part = look->part;
	struct tni_sysv_identity identity;
	int result;

	*part = (struct tni_sysv_part){.kind = look->kind,
				       .key = key,
				       .creator_uid = geteuid(),
				       .creator_gid = getegid(),
				       .size = size};
	tni_set32(&part->id, random_id());
	tni_set32(&part->permission[0].uid, part->creator_uid);
	tni_set32(&part->permission[0].gid, part->creator_gid);
	tni_set32(&part->permission[0].mode, mode & 0777);
	tni_set64(&part->permission[0].changed_ns, (uint64_t)tni_stamp_ns());
	tni_set64(&part->permission[0].limit, TNI_SYSV_NO_LIMIT);
	result = tni_sysv_read(part, &identity);
	return result == 0 ? tni_sysv_let_in(look->fd, &identity, NULL) : result;
}

/* A file whose identity is not known to anybody else yet. */
static int make(const struct tni_sysv_kind *kind, int directory_fd, uint32_t key, uint64_t size,
		int flags, struct tni_sysv_look *ret_look)
{
	struct tni_sysv_look look = {.directory_fd = directory_fd, .kind = kind->kind};
	int result = kind->make(directory_fd, size, flags, 0600, &look.fd);

	if (result != 0)
		return result;
	look.page = mmap(NULL, TNI_PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, look.fd, 0);
	if (look.page == MAP_FAILED) {
		result = -errno;
		close(look.fd);
		return result;
	}
	look.part = (struct tni_sysv_part *)(look.page + TNI_SYSV_OFFSET);
	result = tni_file_inode(look.fd, "", &look.inode);
	if (result == 0)
		result = set_up(&look, key, size, (uint32_t)flags);
	*ret_look = look;
	if (result == 0)
		result = tni_sysv_look_guard(ret_look);
	if (result != 0)
		tni_sysv_look_end(ret_look);
	return result;
}

/* Gives it its names, that of its key first, if it has one.  Locked before anybody can find it: whoever does waits until all
 * is there, or its maker dead.  -EAGAIN: the key has another by now. */
static int name_all(const struct tni_sysv_kind *kind, struct tni_sysv_look *look, uint32_t key,
		    int memory_fd)
{
	char file_name[TNI_SYSV_FILE_NAME_BYTES];
	int result = tni_sysv_look_lock(look);

	if (result == 0 && key != IPC_PRIVATE) {
		tni_namespace_key_file(kind->kind, key, file_name);
		result = tni_file_name(look->fd, look->directory_fd, file_name);
		if (result == -EEXIST)
			return -EAGAIN;
	}
	if (result != 0)
		return result;
	/* One that only its identifier stands for is never found without it. */
	if (key == IPC_PRIVATE)
		tni_fetch_or32(&look->part->state, TNI_SYSV_BORN);
	result = name_id(look);
	if (result == 0 && memory_fd >= 0)
		result = kind->name_memory(look->directory_fd, look->fd, tni_sysv_object_id(look),
					   memory_fd);
	if (result == 0)
		tni_fetch_or32(&look->part->state, TNI_SYSV_BORN);
	else
		tni_sysv_take_names(look, false);
	return result;
}

/* The identifier of a new one.  -EAGAIN: the key has another by now. */
int tni_sysv_make_named(const struct tni_sysv_kind *kind, int directory_fd, uint32_t key,
			uint64_t size, int flags)
{
	struct tni_sysv_look look;
	int memory_fd = -1, result = make(kind, directory_fd, key, size, flags, &look);

	if (result != 0)
		return result;
	result = tni_sysv_room(kind, directory_fd);
	if (result == 0 && kind->make_memory)
		result = kind->make_memory(directory_fd, size, flags, &memory_fd);
	if (result == 0)
		result = name_all(kind, &look, key, memory_fd);
	if (result == 0)
		result = (int)(tni_get32(&look.part->id) & TNI_SYSV_ID);
	if (memory_fd >= 0)
		close(memory_fd);
	tni_sysv_look_end(&look);
	return result;
}
