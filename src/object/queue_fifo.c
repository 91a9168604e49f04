/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The files of the FIFOs beside a queue's file.
 *
 * They go with the queue's name.  Whoever removes the queue removes its name (R1) and then theirs
 * (R2); whoever makes a FIFO looks at the queue's name before and behind:
 *
 *	make	M1 look: has the queue a name?	no: -ENOENT, nothing was made
 *		M2 make the FIFO	dies: R2, yet to come, removes it
 *		M3 open, owner, mode	dies: the same
 *		M4 look again	no name: R2 may have been before M2, and so it is removed here
 *	remove	R1 the queue's name	dies: the next one who closes the queue does R2
 *		R2 the FIFOs' names
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
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/namespace.h"
#include "core/sample.h"
#include "object/queue_private.h"

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

int tni_fifo_open(const struct tenon_queue *queue, char which, bool make)
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
	struct tni_sample sample;
	uint32_t count;
	uint64_t inodes[SWEPT_MOST];
	char names[SWEPT_MOST][48];
};

static void note_fifo(struct sweep *sweep, const char *name)
{
	char called[sizeof(sweep->names[0])];
	uint32_t place;
	uint64_t inode, id;
	char which;

	if (sscanf(name, ".q.%16" SCNx64 ".%16" SCNx64 ".%c", &inode, &id, &which) != 3 ||
	    !strchr(TNI_FIFOS, which))
		return;
	/* As it would be called. */
	file_name(inode, id, which, called, sizeof(called));
	if (strcmp(called, name) != 0)
		return;
	if (!tni_sample_place(&sweep->sample, SWEPT_MOST, &place))
		return;
	if (place == sweep->count)
		sweep->count++;
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

/* Once more by what stat(2) says, which on some file systems is not what the folder says.  False: not all was seen. */
static bool note_all_named(struct sweep *sweep, DIR *directory)
{
	const struct dirent *entry;
	struct stat status;

	rewinddir(directory);
	for (errno = 0; (entry = readdir(directory)); errno = 0) {
		if (entry->d_name[0] == '.')
			continue;
		if (fstatat(dirfd(directory), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0)
			note_named(sweep, status.st_ino);
		else if (errno != ENOENT)
			return false;
	}
	return errno == 0;
}

/* The FIFOs are looked at first: each was made when its queue had a name. */
static void sweep_in(DIR *directory, uint64_t random)
{
	struct sweep sweep = {.sample.random = random};
	const struct dirent *entry;
	uint32_t left;

	while ((entry = readdir(directory)))
		note_fifo(&sweep, entry->d_name);
	left = sweep.count;
	rewinddir(directory);
	while (left > 0 && (entry = readdir(directory)))
		if (entry->d_name[0] != '.')
			left = note_named(&sweep, entry->d_ino);
	if (left == 0 || !note_all_named(&sweep, directory))
		return;
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

void tni_fifo_remove(int directory_fd, int fd)
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

void tni_fifo_remove_left(const struct tenon_queue *queue)
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
	tni_fifo_remove(directory, queue->object.fd);
	close(directory);
}
