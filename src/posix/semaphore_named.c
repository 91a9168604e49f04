/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A named semaphore is a semaphore of Tenon's in the default namespace.  The sem_t that a program has lies in an arena of
 * the process, so that its address tells which kind of semaphore it is, and no byte that others can write.
 *
 * As long as a semaphore is open in a process, all who open it get one address.  It is known by its file and its id, not by its
 * name: after sem_unlink(3) the next of that name is another.
 *
 * One lock protects all of the arena but what is open, which the calls use without it.  fork(2) holds it, so that a
 * child finds everything in order.
 *
 * ORD arena: it is released by the store that makes it known, once and for all, and acquired by who asks for an address.
 */

#include "posix/semaphore_named.h"

#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "object/semaphore.h"
#include "posix/name.h"

#define SLOTS (TNI_ARENA_BYTES / sizeof(struct tni_named_semaphore))
#define ATTEMPTS 100

struct tni_apointer tni_named_arena_;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static uint32_t top; /* slots below have been used */

static void lock(void)
{
	pthread_mutex_lock(&mutex);
}

static void unlock(void)
{
	pthread_mutex_unlock(&mutex);
}

static void renew(void)
{
	pthread_mutex_init(&mutex, NULL);
}

static void make_arena(void)
{
	void *arena = mmap(NULL, TNI_ARENA_BYTES, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (arena == MAP_FAILED)
		return;
	pthread_atfork(lock, unlock, renew);
	tni_store_release_pointer(&tni_named_arena_, arena); /* ORD(arena) */
}

static struct tni_named_semaphore *first_slot(void)
{
	return tni_load_acquire_pointer(&tni_named_arena_); /* ORD(arena) */
}

static const struct tni_object *object_of(const struct tenon_semaphore *handle)
{
	return handle->sync.object;
}

static bool is_same(const struct tenon_semaphore *one, const struct tenon_semaphore *other)
{
	return object_of(one)->header.id == object_of(other)->header.id &&
	       object_of(one)->inode == object_of(other)->inode;
}

/* The slot in which it is open already, or a free one; NULL: there is none. */
static struct tni_named_semaphore *find_slot(const struct tenon_semaphore *handle)
{
	struct tni_named_semaphore *slots = first_slot(), *unused = NULL;

	for (uint32_t i = 0; i < top; i++) {
		if (slots[i].handle && is_same(slots[i].handle, handle))
			return &slots[i];
		if (!slots[i].handle && !unused)
			unused = &slots[i];
	}
	if (!unused && top < SLOTS)
		unused = &slots[top++];
	return unused;
}

/* What the mode denies the owner is taken away behind the opening, which it does not concern. */
static void deny_owner(int fd, mode_t mode)
{
	struct stat status;

	if ((mode & 0600) != 0600 && fstat(fd, &status) == 0)
		(void)!fchmod(fd, status.st_mode & (mode | 0077) & 0777);
}

/* A new one. */
static int make(const char *name, mode_t mode, uint32_t value, struct tenon_semaphore **ret_handle)
{
	struct tenon_semaphore_options options = {.size = sizeof(options),
						  .mode = (mode & 0777) | 0600,
						  .max_participants = TNI_PARTICIPANTS_MAX,
						  .value = value};
	int result = tenon_semaphore_open(NULL, name, TENON_CREATE | TENON_EXCLUSIVE, &options,
					  ret_handle);

	if (result == 0)
		deny_owner(object_of(*ret_handle)->fd, mode);
	return result;
}

static int open_or_make(const char *name, int flags, mode_t mode, uint32_t value,
			struct tenon_semaphore **ret_handle)
{
	int result = -EAGAIN;

	for (int i = 0; i < ATTEMPTS; i++) {
		if ((flags & (O_CREAT | O_EXCL)) != (O_CREAT | O_EXCL)) {
			result = tenon_semaphore_open(NULL, name, 0, NULL, ret_handle);
			if (result != -ENOENT || !(flags & O_CREAT))
				return result;
		}
		if (value > TENON_SEMAPHORE_MAX)
			return -EINVAL;
		result = make(name, mode, value, ret_handle);
		if (result != -EEXIST || (flags & O_EXCL))
			return result;
	}
	return result;
}

int tni_named_semaphore_open(const char *name, int flags, mode_t mode, uint32_t value,
			     struct tni_named_semaphore **ret_named)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct tni_named_semaphore *slot;
	struct tenon_semaphore *handle;
	const char *bare;
	int result = tni_posix_name(name, &bare);

	if (result != 0)
		return result;
	pthread_once(&once, make_arena);
	if (!first_slot())
		return -ENOMEM;
	result = open_or_make(bare, flags, mode, value, &handle);
	if (result != 0)
		return result;
	lock();
	slot = find_slot(handle);
	if (!slot) {
		result = -ENOMEM;
	} else if (!slot->handle) {
		*slot = (struct tni_named_semaphore){.handle = handle, .references = 1};
		handle = NULL;
	} else if (slot->references == UINT32_MAX) {
		result = -ENOMEM;
	} else {
		slot->references++;
	}
	unlock();
	tenon_semaphore_close(handle);
	if (result == 0)
		*ret_named = slot;
	return result;
}

int tni_named_semaphore_close(struct tni_named_semaphore *named)
{
	struct tenon_semaphore *handle = NULL;
	int result = 0;

	lock();
	if ((uintptr_t)named % sizeof(*named) != 0 || !named->handle) {
		result = -EINVAL;
	} else if (--named->references == 0) {
		handle = named->handle;
		named->handle = NULL;
	}
	unlock();
	tenon_semaphore_close(handle);
	return result;
}
