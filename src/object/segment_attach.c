/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What this process has attached of segments: object/segment.c.  It is changed under the registry's lock, under which the
 * process does not fork, so that a child finds it whole, and its entry says what it has.  Mappings that the program has
 * unmapped by itself are found out when their addresses come up again.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/file.h"
#include "core/namespace.h"
#include "core/quiet.h"
#include "core/registry.h"
#include "object/segment.h"

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif
#ifndef MLOCK_ONFAULT
#define MLOCK_ONFAULT 1u
#endif

struct attachment {
	struct attachment *next;
	struct tenon_segment *segment;
	uintptr_t from, to;
	struct tni_guard *guard;
};

static struct attachment *attachments; /* of this process */

static void lend(struct tni_object *object, struct tni_participant *entry)
{
	const struct tenon_segment *segment = (struct tenon_segment *)object;

	tni_set32(&entry->data_fd, segment->data_fd > 0 ? (uint32_t)segment->data_fd : 0);
	tni_step();
	tni_store_total32(&entry->attachments, segment->attachments);
}

/* ORD(counted): see object/segment.c. */
static void add_count(struct tenon_segment *segment, uint32_t difference)
{
	struct tni_participant *entry = tni_segment_entry(segment);

	tni_fetch_add_total32(&entry->attachments, difference); /* ORD(counted) */
}

/* Behind those who have died before: else they would seem to have been the last. */
static void note(struct tenon_segment *segment, struct tni_a64 *at_ns)
{
	tni_segment_mend(segment);
	tni_set32(&segment->control->last_pid, (uint32_t)getpid());
	tni_set64(at_ns, (uint64_t)tni_stamp_ns());
}

/* Locked. */
static void keep(struct tenon_segment *segment, struct attachment *attachment, int fd)
{
	struct stat status;

	attachment->next = attachments;
	attachments = attachment;
	segment->attachments++;
	tni_segment_hold(segment);
	if (segment->data_fd < 0 && fstat(fd, &status) == 0) {
		segment->data_fd = fd;
		segment->data_device = status.st_dev;
		segment->data_inode = status.st_ino;
		tni_set32(&tni_segment_entry(segment)->data_fd, (uint32_t)fd);
	} else {
		close(fd);
	}
	segment->object.lend = lend;
}

/* Takes it out of the list.  Locked. */
static void drop(struct attachment **link)
{
	struct attachment *attachment = *link;
	struct tenon_segment *segment = attachment->segment;
	struct stat status;

	*link = attachment->next;
	tni_guard_remove(attachment->guard);
	if (--segment->attachments > 0)
		return;
	segment->object.lend = NULL;
	if (tni_get32(&segment->object.generation) == tni_process_generation())
		tni_set32(&tni_segment_entry(segment)->data_fd, 0);
	/* The program may have closed it, and another file have the number. */
	if (fstat(segment->data_fd, &status) == 0 && status.st_ino == segment->data_inode &&
	    status.st_dev == segment->data_device)
		close(segment->data_fd);
	segment->data_fd = -1;
}

/* Says so, behind drop(), and without the lock. */
static void leave(struct attachment *attachment)
{
	struct tenon_segment *segment = attachment->segment;

	free(attachment);
	/* One that may not say anything is counted no more anyway. */
	if (tni_get32(&segment->object.generation) == tni_process_generation()) {
		note(segment, &segment->control->detached_ns);
		tni_step();
		add_count(segment, UINT32_MAX);
		if (segment->left && tni_segment_is_removed(segment))
			segment->left(segment);
	}
	tni_segment_close(segment);
}

/* All of which the whole lies in a range.  Locked. */
static struct attachment *take_within(uintptr_t from, uintptr_t to)
{
	struct attachment **link = &attachments, *taken = NULL;

	while (*link) {
		struct attachment *attachment = *link;

		if (attachment->from < from || attachment->to > to) {
			link = &attachment->next;
			continue;
		}
		drop(link);
		attachment->next = taken;
		taken = attachment;
	}
	return taken;
}

static void leave_all(struct attachment *taken)
{
	while (taken) {
		struct attachment *next = taken->next;

		leave(taken);
		taken = next;
	}
}

/* Locked. */
static int map(struct tenon_segment *segment, const struct tni_segment_wish *wish, int fd,
	       void **ret_address)
{
	uint64_t bytes = tni_segment_extent(segment->bytes, segment->flags);
	int flags = MAP_SHARED;
	void *address;

	if (segment->flags & TNI_SEGMENT_SPARSE)
		flags |= MAP_NORESERVE;
	if (wish->is_fixed)
		flags |= wish->replaces || wish->is_held ? MAP_FIXED : MAP_FIXED_NOREPLACE;
	address = mmap((void *)(uintptr_t)wish->address, bytes, wish->protection, flags, fd, 0);
	if (address == MAP_FAILED) {
		if (errno == EPERM && wish->protection & PROT_EXEC)
			return -EACCES;
		return errno == EEXIST ? -EINVAL : -errno;
	}
	/* An older kernel takes the address for a hint. */
	if (wish->is_fixed && address != wish->address) {
		munmap(address, bytes);
		return -EINVAL;
	}
	if (tni_get32(&segment->control->state) & TNI_SEGMENT_LOCKED)
		(void)!mlock2(address, bytes, MLOCK_ONFAULT);
	*ret_address = address;
	return 0;
}

/* Takes `fd` over. */
static int map_and_keep(struct tenon_segment *segment, const struct tni_segment_wish *wish, int fd,
			void **ret_address)
{
	struct attachment *attachment = calloc(1, sizeof(*attachment)), *taken = NULL;
	void *address = NULL;
	struct stat status;
	int result = attachment && fstat(fd, &status) == 0 ? 0 : -ENOMEM;

	tni_registry_lock();
	if (result == 0)
		result = map(segment, wish, fd, &address);
	if (result == 0) {
		uint64_t bytes = tni_segment_extent(segment->bytes, segment->flags);
		struct tni_guard_file file = {.inode = status.st_ino,
					      .page_bytes = tni_segment_page_bytes(segment->flags)};

		/* Where something is mapped now, what was there has gone. */
		taken = take_within((uintptr_t)address, (uintptr_t)address + bytes);
		attachment->segment = segment;
		attachment->from = (uintptr_t)address;
		attachment->to = attachment->from + bytes;
		keep(segment, attachment, fd);
		/* Without it is as without memory for it. */
		file.fd = segment->data_fd;
		attachment->guard = tni_guard_add_sparse(address, bytes, wish->protection, &file,
							 &segment->broken);
	}
	tni_registry_unlock();
	leave_all(taken);
	if (result != 0) {
		free(attachment);
		close(fd);
	} else {
		*ret_address = address;
	}
	return result;
}

int tni_segment_attach(struct tenon_segment *segment, const struct tni_segment_wish *wish,
		       void **ret_address)
{
	int fd = -1, result = tni_segment_begin(segment);

	if (result == 0 && tni_get32(&segment->broken))
		result = -EIO;
	if (result != 0)
		return result;
	add_count(segment, 1);
	result = tni_segment_find_data_slowly(
		segment, wish->protection & PROT_WRITE ? O_RDWR : O_RDONLY, &fd);
	if (result == 0)
		result = map_and_keep(segment, wish, fd, ret_address);
	if (result != 0) {
		add_count(segment, UINT32_MAX);
		/* Who has detached as the last one meanwhile took this for one more. */
		if (segment->left && tni_segment_is_removed(segment))
			segment->left(segment);
		return result;
	}
	note(segment, &segment->control->attached_ns);
	return 0;
}

/* The file behind a mapping, and its extent, as a line of /proc/self/maps has it. */
struct line {
	uintptr_t from, to;
	uint64_t offset;
	unsigned int major, minor;
	unsigned long long inode;
};

static bool is_of(const struct line *line, const struct attachment *attachment)
{
	const struct tenon_segment *segment = attachment->segment;

	return line->inode == segment->data_inode && line->from >= attachment->from &&
	       line->to <= attachment->to && line->offset == line->from - attachment->from &&
	       makedev(line->major, line->minor) == segment->data_device;
}

/* Calls munmap for what is left of it.  Whether that was any of it. */
static bool unmap_line(const char *text, const struct attachment *attachment)
{
	struct line line;
	unsigned long from, to, offset;

	if (sscanf(text, "%lx-%lx %*4s %lx %x:%x %llu", &from, &to, &offset, &line.major,
		   &line.minor, &line.inode) != 6)
		return false;
	line.from = from;
	line.to = to;
	line.offset = offset;
	if (!is_of(&line, attachment))
		return false;
	munmap((void *)line.from, line.to - line.from);
	return true;
}

/* Piece by piece, as the program may have changed or unmapped some of it. */
static bool unmap_pieces(const struct attachment *attachment)
{
	char buffer[4096], line[128];
	int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	size_t held = 0;
	ssize_t got;
	bool was_there = false;

	while (fd >= 0 && (got = read(fd, buffer, sizeof(buffer))) > 0) {
		for (ssize_t i = 0; i < got; i++) {
			/* Names, behind the figures, are left out. */
			if (buffer[i] != '\n' && held < sizeof(line) - 1)
				line[held++] = buffer[i];
			if (buffer[i] != '\n')
				continue;
			line[held] = '\0';
			was_there |= unmap_line(line, attachment);
			held = 0;
		}
	}
	if (fd >= 0)
		close(fd);
	return was_there;
}

/* Whether the whole of it is mapped as it was: what lies there says its name. */
static bool is_whole(const struct attachment *attachment)
{
	const struct tni_object *object = &attachment->segment->object;
	char path[64], target[4096], file_name[TNI_NAME_MAX + 1];
	ssize_t bytes;

	snprintf(path, sizeof(path), "/proc/self/map_files/%lx-%lx",
		 (unsigned long)attachment->from, (unsigned long)attachment->to);
	bytes = readlink(path, target, sizeof(target) - 1);
	if (bytes <= 0)
		return false;
	target[bytes] = '\0';
	tni_segment_data_file(attachment->segment->flags, object->inode, object->header.id,
			      file_name);
	return strstr(target, file_name) != NULL;
}

/* Locked. */
static bool unmap(const struct attachment *attachment)
{
	if (is_whole(attachment) || access("/proc/self/maps", F_OK) != 0)
		return munmap((void *)attachment->from, attachment->to - attachment->from) == 0;
	return unmap_pieces(attachment);
}

/* Locked. */
static struct attachment **find(const void *address)
{
	struct attachment **link = &attachments;

	while (*link && (*link)->from != (uintptr_t)address)
		link = &(*link)->next;
	return link;
}

int tni_segment_detach(const void *address)
{
	struct attachment **link, *attachment;
	struct tenon_segment *segment = NULL;
	bool was_there = false;

	tni_registry_lock();
	link = find(address);
	if (*link) {
		segment = (*link)->segment;
		tni_segment_hold(segment);
	}
	tni_registry_unlock();
	if (!segment)
		return -EINVAL;
	/* If it cannot say anything to others, it detaches all the same. */
	(void)!tni_segment_begin(segment);
	tni_registry_lock();
	link = find(address);
	attachment = *link;
	if (attachment) {
		was_there = unmap(attachment);
		drop(link);
	}
	tni_registry_unlock();
	if (attachment)
		leave(attachment);
	tni_segment_close(segment);
	return was_there ? 0 : -EINVAL;
}

void tni_segment_unmapped(const void *address, uint64_t bytes)
{
	struct attachment *taken;

	tni_registry_lock();
	taken = take_within((uintptr_t)address, (uintptr_t)address + tni_page_up(bytes));
	tni_registry_unlock();
	leave_all(taken);
}

int tni_segment_lock_memory(struct tenon_segment *segment, bool keeps)
{
	int result = 0;

	if (!keeps)
		tni_fetch_and32(&segment->control->state, ~TNI_SEGMENT_LOCKED);

	tni_registry_lock();
	for (const struct attachment *one = attachments; one && result == 0; one = one->next) {
		if (one->segment != segment)
			continue;
		if (!keeps)
			munlock((void *)one->from, one->to - one->from);
		else if (mlock2((void *)one->from, one->to - one->from, MLOCK_ONFAULT) != 0)
			result = -errno;
	}
	if (keeps && result == 0)
		tni_fetch_or32(&segment->control->state, TNI_SEGMENT_LOCKED);
	tni_registry_unlock();
	return result;
}

/* Whoever ends in an orderly way says when.  The memory is the program's to its end. */
static __attribute__((destructor)) void leave_at_exit(void)
{
	TNI_NO_CANCEL;
	struct attachment *taken;

	tni_registry_lock();
	taken = take_within(0, UINTPTR_MAX);
	tni_registry_unlock();
	leave_all(taken);
}
