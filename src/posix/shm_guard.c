/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What a program has mapped of shared memory objects, as far as it is guarded (core/guard.c).  A mapping that loses
 * a part, or whose protection changes, becomes up to three; the new guards are there before the old one goes.
 *
 * A guard asks its descriptor how long the file is, to tell a file that was made shorter from a memory that is full.
 * A program may close all descriptors, and another file may get the number: so a descriptor is used, and closed,
 * only while it is of the same file.
 */

#include "posix/shm.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "abi/object.h"
#include "core/guard.h"
#include "core/namespace.h"
#include "core/object.h"
#include "core/quiet.h"

/* Out of the way of programs that count on the lowest numbers. */
#define DESCRIPTOR_LEAST 256

struct mapping {
	struct mapping *next;
	uintptr_t from, to;
	uint64_t offset;
	int fd, protection;
	dev_t device;
	ino_t inode;
	struct tni_guard *guard;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct mapping *mappings;
static struct tni_a32 count; /* of them */
static struct tni_a32 broken;

static struct {
	bool is_known;
	dev_t device;
	char path[4096];
	size_t bytes;
} folder;

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

static void register_fork_handlers(void)
{
	pthread_atfork(lock, unlock, renew);
}

/* Where a descriptor's file has its name; the number of bytes, or 0. */
static size_t path_of(int fd, char *ret_path, size_t capacity_bytes)
{
	char link[32];
	ssize_t bytes;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	bytes = readlink(link, ret_path, capacity_bytes);
	return bytes > 0 && (size_t)bytes < capacity_bytes ? (size_t)bytes : 0;
}

/* Locked. */
static bool know_folder(void)
{
	struct stat status;
	int fd;

	if (folder.is_known)
		return true;
	if (tni_namespace_open(NULL, 0, &fd) != 0)
		return false;
	folder.bytes = path_of(fd, folder.path, sizeof(folder.path));
	if (folder.bytes > 0 && fstat(fd, &status) == 0) {
		folder.device = status.st_dev;
		folder.is_known = true;
	}
	close(fd);
	return folder.is_known;
}

/* Whether it is a shared memory object of this namespace, with or without its name by now.  Locked. */
static bool is_object(int fd, struct stat *ret_status)
{
	char path[sizeof(folder.path)];
	size_t bytes;

	if (!know_folder() || fstat(fd, ret_status) != 0 || !S_ISREG(ret_status->st_mode) ||
	    ret_status->st_dev != folder.device)
		return false;
	bytes = path_of(fd, path, sizeof(path));
	return bytes > folder.bytes + 3 && memcmp(path, folder.path, folder.bytes) == 0 &&
	       path[folder.bytes] == '/' &&
	       (path[folder.bytes + 1] == 'm' || path[folder.bytes + 1] == 'M') &&
	       path[folder.bytes + 2] == '.';
}

static bool is_still(int fd, const struct mapping *mapping)
{
	struct stat status;

	return fd >= 0 && fstat(fd, &status) == 0 && status.st_dev == mapping->device &&
	       status.st_ino == mapping->inode;
}

/* Guards what `like` says, of which the descriptor is copied.  Locked. */
static void add(const struct mapping *like, int fd)
{
	struct mapping *mapping = malloc(sizeof(*mapping));
	struct tni_guard_file file = {
		.inode = like->inode, .offset = like->offset, .page_bytes = TNI_PAGE_BYTES};

	if (!mapping)
		return;
	*mapping = *like;
	mapping->fd = is_still(fd, like) ? fcntl(fd, F_DUPFD_CLOEXEC, DESCRIPTOR_LEAST) : -1;
	file.fd = mapping->fd;
	mapping->guard = tni_guard_add_sparse((void *)mapping->from, mapping->to - mapping->from,
					      mapping->protection, &file, &broken);
	if (!mapping->guard) {
		if (mapping->fd >= 0)
			close(mapping->fd);
		free(mapping);
		return;
	}
	mapping->next = mappings;
	mappings = mapping;
	tni_fetch_add32(&count, 1);
}

/* Locked. */
static void drop(struct mapping *mapping)
{
	tni_guard_remove(mapping->guard);
	if (is_still(mapping->fd, mapping))
		close(mapping->fd);
	free(mapping);
	tni_fetch_add32(&count, UINT32_MAX);
}

/* The part of a mapping from `from` to `to`, as far as it has it, at another place by `shift`.  Locked. */
static void add_part(const struct mapping *whole, uintptr_t from, uintptr_t to, uintptr_t shift,
		     int protection)
{
	struct mapping part = *whole;

	part.from = from > whole->from ? from : whole->from;
	part.to = to < whole->to ? to : whole->to;
	if (part.from >= part.to)
		return;
	part.offset += part.from - whole->from;
	part.from += shift;
	part.to += shift;
	part.protection = protection;
	add(&part, whole->fd);
}

/* Takes every mapping of the range apart: what lies before and behind it stays as it is, and what lies in it becomes what
 * `inside` makes of it.  Locked. */
static void change_locked(uintptr_t from, uintptr_t to,
			  void (*inside)(const struct mapping *mapping, uintptr_t from,
					 uintptr_t to, const void *context),
			  const void *context)
{
	struct mapping **link = &mappings, *mapping, *old = NULL;

	while ((mapping = *link)) {
		if (mapping->from >= to || mapping->to <= from) {
			link = &mapping->next;
			continue;
		}
		*link = mapping->next;
		mapping->next = old;
		old = mapping;
	}
	while ((mapping = old)) {
		old = mapping->next;
		add_part(mapping, mapping->from, from, 0, mapping->protection);
		add_part(mapping, to, mapping->to, 0, mapping->protection);
		if (inside)
			inside(mapping, from, to, context);
		drop(mapping);
	}
}

static void change(const void *address, size_t bytes,
		   void (*inside)(const struct mapping *mapping, uintptr_t from, uintptr_t to,
				  const void *context),
		   const void *context)
{
	uintptr_t from = (uintptr_t)address;

	if (tni_get32(&count) != 0) {
		TNI_NO_CANCEL;
		int error = errno;

		lock();
		change_locked(from, from + tni_page_up(bytes), inside, context);
		unlock();
		errno = error;
	}
}

void tni_shm_mapped(int fd, off_t offset, void *address, size_t bytes, int protection)
{
	TNI_NO_CANCEL;
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct mapping mapping = {.from = (uintptr_t)address,
				  .to = (uintptr_t)address + tni_page_up(bytes),
				  .offset = (uint64_t)offset,
				  .protection = protection};
	int error = errno;
	struct stat status;
	uint64_t there;

	pthread_once(&once, register_fork_handlers);
	lock();
	if (is_object(fd, &status) && status.st_size > offset) {
		there = tni_page_up((uint64_t)(status.st_size - offset));
		if (there < mapping.to - mapping.from)
			mapping.to = mapping.from + there;
		mapping.device = status.st_dev;
		mapping.inode = status.st_ino;
		add(&mapping, fd);
	}
	unlock();
	errno = error;
}

void tni_shm_unmapped(const void *address, size_t bytes)
{
	change(address, bytes, NULL, NULL);
}

/* What context is: where the range has gone to, and how much of it has room there. */
struct move {
	uintptr_t shift, room;
};

static void move(const struct mapping *mapping, uintptr_t from, uintptr_t to, const void *context)
{
	const struct move *move = context;

	add_part(mapping, from, to - from > move->room ? from + move->room : to, move->shift,
		 mapping->protection);
}

void tni_shm_moved(const void *old_address, size_t old_bytes, void *address, size_t bytes)
{
	struct move to = {.shift = (uintptr_t)address - (uintptr_t)old_address,
			  .room = tni_page_up(bytes)};

	change(old_address, old_bytes, move, &to);
}

static void protect(const struct mapping *mapping, uintptr_t from, uintptr_t to,
		    const void *context)
{
	add_part(mapping, from, to, 0, *(const int *)context);
}

void tni_shm_protected(void *address, size_t bytes, int protection)
{
	change(address, bytes, protect, &protection);
}
