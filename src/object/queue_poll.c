/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Descriptors to poll: FIFOs beside the queue's file, opened for reading and writing by everybody who
 * needs them, in which a byte lies while the queue is readable (or writable).
 *
 * Each descriptor has a level, a word under the lock of the side that raises it: senders raise
 * "readable", receivers raise "writable".  The byte is written before the change that it tells of, and
 * drained only under the raising side's lock, when there is nothing to tell: whoever dies in between
 * leaves a byte too much, which the next one who looks and finds nothing drains, never one too few.
 *
 * The descriptor that is handed out for "readable" is a set of the FIFO and of the notice of deaths
 * (core/deathwatch.c): what a dead process had taken can be received again, and nobody else may be there to
 * say so.
 *
 * The FIFOs go with the queue's name.  Whoever removes the queue removes its name (R1) and then theirs
 * (R2); whoever makes a FIFO looks at the queue's name before and behind:
 *
 *	make	M1 look: has the queue a name?	no: -ENOENT, nothing was made
 *		M2 make the FIFO	dies: R2, yet to come, removes it
 *		M3 open, owner, mode	dies: the same
 *		M4 look again	no name: R2 may have been before M2, and so it is removed here
 *	remove	R1 the queue's name	dies: the next one who closes the queue does R2
 *		R2 the FIFOs' names
 *
 * The FIFO of a descriptor that is both (object/queue_pair.c) comes and goes in the same way.
 *
 * An empty FIFO is left over if R1 and R2 both fell between M1 and M2 and the maker was killed before M4;
 * if the remover was killed between R1 and R2, and nobody closed the queue behind that; or if R1 removed
 * another queue's name than that of the file which was opened for it, since others removed and made one
 * meanwhile.  So one removal out of SWEEP_EVERY looks for FIFOs of queues that have no name, and there are never
 * many; `tenon doctor` names them.  There is no lock that both hold, since a stopped process must not keep
 * others from removing a queue.  In a sticky folder R2 does not remove what another user made: it stays.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/namespace.h"
#include "core/registry.h"
#include "object/queue_limit.h"
#include "object/queue_private.h"

/* Empties any FIFO, were it not filled meanwhile by somebody who has no business there. */
#define FIFO_READS 1025u

/* Sweeping reads the folder: seldom enough that removing all of many queues is not slow. */
#define SWEEP_EVERY 128u
#define SWEPT_MOST 64u

/* The identity alone would not do: it stands in memory that others write, and may be another queue's. */
static void file_name(uint64_t inode, uint64_t id, char which, char *name, size_t capacity_bytes)
{
	snprintf(name, capacity_bytes, ".q.%016llx.%016llx.%c", (unsigned long long)inode,
		 (unsigned long long)id, which);
}

/* Whether the queue still has its name; -ENOENT: it was removed. */
static int look_at_file(const struct tenon_queue *queue, struct stat *ret_status)
{
	if (fstat(queue->object.fd, ret_status) != 0)
		return -errno;
	return ret_status->st_nlink > 0 ? 0 : -ENOENT;
}

/* Lets those use one's own FIFO whom the mode lets use the queue, as far as that is the maker's to say:
 * root gives it to the queue's owner, a member of the queue's group to that group. */
static int adjust(int fd, const struct stat *queue_file)
{
	mode_t mode = queue_file->st_mode & 0666;

	/* Who is not of the group has been admitted as anybody is, and so is his own group. */
	if (fchown(fd, queue_file->st_uid, queue_file->st_gid) != 0 &&
	    fchown(fd, (uid_t)-1, queue_file->st_gid) != 0)
		mode = (mode & 0606) | (mode & 0006) << 3;
	return fchmod(fd, mode) == 0 ? 0 : -errno;
}

/* Why a FIFO could not be opened: by what open(2) says of other kinds of file (a folder, a link, a socket or a device
 * without a driver, a file with a lease) it is none. */
static int refusal(int error)
{
	switch (error) {
	case EISDIR:
	case ELOOP:
	case ENXIO:
	case ENODEV:
	case EBUSY:
	case EAGAIN:
	case ETXTBSY:
		return -EPERM;
	default:
		return -error;
	}
}

static int open_named(int directory, const char *name, struct stat *ret_status)
{
	int fd = openat(directory, name, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW), result;

	if (fd < 0)
		return refusal(errno);
	result = fstat(fd, ret_status) != 0 ? -errno : !S_ISFIFO(ret_status->st_mode) ? -EPERM : 0;
	if (result != 0) {
		close(fd);
		return result;
	}
	return fd;
}

/* Steps M1 to M4 of the table above.  A descriptor or a negative errno. */
static int make_fifo(const struct tenon_queue *queue, int directory, const char *name)
{
	struct stat queue_file, fifo;
	int fd, result = look_at_file(queue, &queue_file);

	if (result != 0)
		return result;
	if (mkfifoat(directory, name, queue_file.st_mode & 0666) != 0 && errno != EEXIST)
		return -errno;
	fd = open_named(directory, name, &fifo);
	/* Also one that is there: its maker may have died before it did. */
	if (fd >= 0 && fifo.st_uid == geteuid())
		result = adjust(fd, &queue_file);
	if (result == 0)
		result = look_at_file(queue, &queue_file);
	if (result == -ENOENT)
		unlinkat(directory, name, 0);
	if (result != 0 && fd >= 0)
		close(fd);
	return result != 0 ? result : fd;
}

int tni_poll_open_fifo(const struct tenon_queue *queue, char which, bool make)
{
	int directory = open(queue->directory, O_PATH | O_DIRECTORY | O_CLOEXEC), fd;
	struct stat status;
	char name[64];

	if (directory < 0)
		return -errno;
	if (fstat(queue->object.fd, &status) != 0) {
		fd = -errno;
	} else {
		file_name(status.st_ino, queue->object.header.id, which, name, sizeof(name));
		fd = make ? make_fifo(queue, directory, name)
			  : open_named(directory, name, &status);
	}
	close(directory);
	return fd;
}

/* The descriptor that `side` raises, or a negative errno. */
static int descriptor(struct tenon_queue *queue, uint32_t side, bool make)
{
	int fd = (int)tni_get32(&queue->poll_fd[side]) - 1;
	uint32_t unset = 0;

	if (fd >= 0)
		return fd;
	fd = tni_poll_open_fifo(queue, side == TNI_SEND ? TNI_FIFO_READABLE : TNI_FIFO_WRITABLE,
				make);
	if (fd >= 0 && !tni_cas32(&queue->poll_fd[side], &unset, (uint32_t)fd + 1)) {
		close(fd);
		fd = (int)unset - 1;
	}
	return fd;
}

static bool wanted(const struct tenon_queue *queue, uint32_t side)
{
	uint32_t flag = side == TNI_SEND ? TENON_READABLE : TENON_WRITABLE;

	return __builtin_expect(tni_get32(&queue->control->poll_wanted) & flag, 0);
}

static struct tni_a64 *level_of(struct tenon_queue *queue, uint32_t side)
{
	return side == TNI_SEND ? &queue->control->send.level : &queue->control->receive.level;
}

static void raise_level(struct tenon_queue *queue, uint32_t side)
{
	int fd = descriptor(queue, side, false);

	if (fd >= 0 && write(fd, "", 1) == 1)
		tni_set64(level_of(queue, side), 1);
}

void tni_poll_raise(struct tenon_queue *queue, uint32_t side)
{
	if (wanted(queue, side) && tni_get64(level_of(queue, side)) == 0)
		raise_level(queue, side);
	if (tni_pair_is_wanted(queue))
		tni_pair_raise(queue, side);
}

void tni_poll_raise_returned(struct tenon_queue *queue)
{
	int fd;

	if (tni_pair_is_wanted(queue))
		tni_pair_raise(queue, TNI_SEND);
	if (!wanted(queue, TNI_SEND))
		return;
	fd = descriptor(queue, TNI_SEND, false);
	if (fd >= 0)
		(void)!write(fd, "", 1); /* fails where it is full of bytes: readable as it is */
}

bool tni_poll_is_ready(const struct tenon_queue *queue, uint32_t side)
{
	if (tni_is_destroyed(queue))
		return true;
	return side == TNI_SEND ? tni_queue_available(queue) > 0 : tni_queue_room(queue) > 0;
}

/* Whether there is a byte, whatever the level says: it went with the last one who had the FIFO open. */
static bool has_byte(int fd)
{
	struct pollfd entry = {.fd = fd, .events = POLLIN};

	return poll(&entry, 1, 0) == 1;
}

void tni_poll_confirm_returned(struct tenon_queue *queue)
{
	int fd;

	if (tni_pair_is_wanted(queue) && tni_poll_is_ready(queue, TNI_SEND))
		tni_pair_raise(queue, TNI_SEND);
	if (!wanted(queue, TNI_SEND) || !tni_poll_is_ready(queue, TNI_SEND))
		return;
	fd = descriptor(queue, TNI_SEND, false);
	if (fd >= 0 && !has_byte(fd))
		(void)!write(fd, "", 1);
}

/* Makes the descriptor that `side` raises say what is.  Messages are put back under the receivers' lock, and
 * told of before and behind that: whoever looks last, here or there, sees that there are some and no byte. */
static void settle(struct tni_call *call, uint32_t side, int64_t deadline_ns)
{
	struct tenon_queue *queue = call->queue;
	int fd = descriptor(queue, side, false);
	char bytes[64];
	uint32_t cpu;

	if (fd < 0 || tni_side_visit(call, side, deadline_ns, &cpu) != 0)
		return;
	if (tni_poll_is_ready(queue, side)) {
		if (tni_get64(level_of(queue, side)) == 0 || !has_byte(fd))
			raise_level(queue, side);
	} else {
		for (uint32_t i = 0; i < FIFO_READS && read(fd, bytes, sizeof(bytes)) > 0; i++)
			;
		tni_set64(level_of(queue, side), 0);
		if (tni_poll_is_ready(queue, side))
			raise_level(queue, side);
	}
	tni_side_part(call, side, cpu);
}

void tni_poll_lower(struct tni_call *call, uint32_t side)
{
	uint32_t other = side == TNI_SEND ? TNI_RECEIVE : TNI_SEND;

	/* Who is stopped with the lock leaves the hint as it is, for the next one who looks. */
	if (wanted(call->queue, other) && !tni_poll_is_ready(call->queue, other))
		settle(call, other, tni_grace_ns());
	if (tni_pair_is_wanted(call->queue))
		tni_pair_lower(call, other);
}

/* The descriptor to poll for messages: also told of by the death of who has taken one, where that can be
 * had. */
static int watched(struct tenon_queue *queue, int fd)
{
	/* One thread at a time, and no fork meanwhile, whose child could not go on. */
	tni_registry_lock();
	/* The parent's is not this process's own. */
	if (tni_get32(&queue->watch.generation) != tni_process_generation()) {
		tni_deathwatch_close(&queue->watch);
		tni_deathwatch_open(&queue->watch, queue->object.fd, fd);
	}
	if (tni_get32(&queue->watch.generation) != 0)
		fd = queue->watch.set_fd;
	tni_registry_unlock();
	return fd;
}

static int get_descriptor(struct tenon_queue *queue, uint32_t side, int *ret_fd)
{
	uint32_t flag = side == TNI_SEND ? TENON_READABLE : TENON_WRITABLE;
	struct tni_call call;
	int fd, result;

	if (!queue || !ret_fd)
		return -EINVAL;
	result = tni_call_begin(&call, queue);
	if (result != 0)
		return result;
	fd = descriptor(queue, side, true);
	if (fd < 0)
		return fd;
	tni_queue_mark(queue, flag);
	settle(&call, side, INT64_MAX);
	*ret_fd = side == TNI_SEND ? watched(queue, fd) : fd;
	return 0;
}

int tenon_queue_readable_fd(struct tenon_queue *queue, int *ret_fd)
{
	return get_descriptor(queue, TNI_SEND, ret_fd);
}

int tenon_queue_writable_fd(struct tenon_queue *queue, int *ret_fd)
{
	return get_descriptor(queue, TNI_RECEIVE, ret_fd);
}

/* Of a file whose header says nothing: all that are called by its inode. */
static void remove_by_inode(int directory_fd, uint64_t inode)
{
	const struct dirent *entry;
	char beginning[32];
	DIR *directory;
	int bytes = snprintf(beginning, sizeof(beginning), ".q.%016llx.",
			     (unsigned long long)inode);
	int fd = openat(directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	directory = fd >= 0 ? fdopendir(fd) : NULL;
	if (!directory) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((entry = readdir(directory)))
		if (strncmp(entry->d_name, beginning, (size_t)bytes) == 0)
			unlinkat(directory_fd, entry->d_name, 0);
	closedir(directory);
}

/* Some of the FIFOs, others each time if there are many, and the inodes of their queues; 0: that one has a name. */
struct sweep {
	uint64_t random;
	uint32_t seen, count;
	uint64_t inodes[SWEPT_MOST];
	char names[SWEPT_MOST][48];
};

static void note_fifo(struct sweep *sweep, const char *name)
{
	uint32_t place = sweep->count;
	uint64_t inode, id;
	char which;

	if (strlen(name) >= sizeof(sweep->names[0]) ||
	    sscanf(name, ".q.%16" SCNx64 ".%16" SCNx64 ".%c", &inode, &id, &which) != 3 ||
	    !strchr(TNI_FIFOS, which))
		return;
	sweep->seen++;
	if (place == SWEPT_MOST) {
		sweep->random = sweep->random * UINT64_C(6364136223846793005) + 1;
		place = (uint32_t)(sweep->random >> 33) % sweep->seen;
	} else {
		sweep->count++;
	}
	if (place >= SWEPT_MOST)
		return;
	sweep->inodes[place] = inode;
	strcpy(sweep->names[place], name);
}

/* How many there are whose queue has not been seen. */
static uint32_t note_named(struct sweep *sweep, uint64_t inode)
{
	uint32_t left = 0;

	for (uint32_t i = 0; i < sweep->count; i++) {
		if (sweep->inodes[i] == inode)
			sweep->inodes[i] = 0;
		left += sweep->inodes[i] != 0;
	}
	return left;
}

/* Once more by what stat(2) says, which on some file systems is not what the folder says. */
static void note_all_named(struct sweep *sweep, DIR *directory)
{
	const struct dirent *entry;
	struct stat status;

	rewinddir(directory);
	while ((entry = readdir(directory)))
		if (entry->d_name[0] != '.' &&
		    fstatat(dirfd(directory), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0)
			note_named(sweep, status.st_ino);
}

/* The FIFOs are looked at first: each was made when its queue had a name. */
static void sweep_in(DIR *directory, uint64_t random)
{
	struct sweep sweep = {.random = random};
	const struct dirent *entry;
	uint32_t left;

	while ((entry = readdir(directory)))
		note_fifo(&sweep, entry->d_name);
	left = sweep.count;
	rewinddir(directory);
	while (left > 0 && (entry = readdir(directory)))
		if (entry->d_name[0] != '.')
			left = note_named(&sweep, entry->d_ino);
	if (left == 0)
		return;
	note_all_named(&sweep, directory);
	for (uint32_t i = 0; i < sweep.count; i++)
		if (sweep.inodes[i] != 0)
			unlinkat(dirfd(directory), sweep.names[i], 0);
}

static void sweep(int directory_fd, uint64_t random)
{
	int fd = openat(directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *directory = fd >= 0 ? fdopendir(fd) : NULL;

	if (directory) {
		sweep_in(directory, random);
		closedir(directory);
	} else if (fd >= 0) {
		close(fd);
	}
}

void tni_poll_remove(int directory_fd, int fd)
{
	struct tni_object_header header;
	struct stat status = {.st_ino = 0};
	char name[64];

	if (tni_object_check(fd, TENON_KIND_QUEUE, &header, &status) != 0) {
		if (status.st_ino != 0)
			remove_by_inode(directory_fd, status.st_ino);
		return;
	}
	for (const char *which = TNI_FIFOS; *which; which++) {
		file_name(status.st_ino, header.id, *which, name, sizeof(name));
		unlinkat(directory_fd, name, 0);
	}
	/* Identities are random. */
	if (header.id % SWEEP_EVERY == 0)
		sweep(directory_fd, header.id);
}

/* Whether a FIFO is open here (a descriptor, + 1) and has its name. */
static bool is_named(const struct tni_a32 *fd)
{
	struct stat status;

	return tni_get32(fd) != 0 && fstat((int)tni_get32(fd) - 1, &status) == 0 &&
	       status.st_nlink > 0;
}

void tni_poll_remove_left(const struct tenon_queue *queue)
{
	struct stat status;
	int directory;

	if (!(is_named(&queue->pair_fd) || is_named(&queue->poll_fd[TNI_SEND]) ||
	      is_named(&queue->poll_fd[TNI_RECEIVE])) ||
	    look_at_file(queue, &status) != -ENOENT)
		return;
	directory = open(queue->directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (directory < 0)
		return;
	tni_poll_remove(directory, queue->object.fd);
	close(directory);
}
