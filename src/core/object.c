/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The file of a named object: making it, opening and checking it, and its mapping.  Memory is mapped through another open
 * file description than the one whose locks say who is alive (core/object_living.c): see map().
 */

#include "core/object.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/file.h"
#include "core/layout.h"
#include "core/namespace.h"
#include "core/registry.h"

/* No kind of object asks for as much address space. */
#define EXTENT_MOST_BYTES (UINT64_C(1) << 44)

#define FIGURES_OF_MEMBER(structure, member) \
	offsetof(struct structure, member), sizeof(((struct structure *)NULL)->member),
#define FIGURES_OF(structure, list) sizeof(struct structure), list(FIGURES_OF_MEMBER)

/* Changes when a size or an offset of anything in shared memory does.  The figures are mixed, not added,
 * so that two changes do not cancel out. */
static uint64_t fingerprint(void)
{
	/* clang-format off */
	static const uint64_t figures[] = {
		TNI_LAYOUT(FIGURES_OF)
		TNI_PAGE_BYTES, TNI_PARTICIPANTS_OFFSET, TNI_OBJECT_NAME_OFFSET,
		TNI_QUEUE_ATTRIBUTES_OFFSET, TNI_LIVENESS_OFFSET, TNI_ENTRY_LOCK_OFFSET,
		/* fields within a word */
		TNI_LAYOUT_PARTS,
	};
	/* clang-format on */
	uint64_t mixed = TNI_LAYOUT_VERSION;

	for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++)
		mixed = (mixed ^ figures[i]) * UINT64_C(0x9e3779b97f4a7c15) + (mixed >> 31);
	return mixed;
}

/* Where the mode says who may do what: keeps it, as the umask has left it, and lets those whom it allows anything,
 * and the owner, who could change it, read and write the file. */
static int widen(int fd, struct tni_object_header *header)
{
	struct stat status;
	mode_t mode = 0600;

	if (header->access == 0)
		return 0;
	if (fstat(fd, &status) != 0)
		return -errno;
	header->access = TNI_ACCESS_GIVEN | (status.st_mode & 0777);
	for (mode_t class = 0; class < 9; class += 3)
		if (status.st_mode >> class & 6)
			mode |= (mode_t)(6u << class);
	return fchmod(fd, mode) == 0 ? 0 : -errno;
}

static int make(int directory_fd, const char *name, mode_t mode, struct tni_object_header *header,
		int (*fill)(int fd, uint8_t *base, const void *context), const void *context,
		int *ret_fd)
{
	uint8_t *base;
	int fd, result = tni_file_make(directory_fd, mode, &fd);

	if (result != 0)
		return result;
	result = widen(fd, header);
	if (result != 0) {
		close(fd);
		return result;
	}
	header->magic = TNI_MAGIC;
	header->layout_version = TNI_LAYOUT_VERSION;
	header->byte_order = TNI_BYTE_ORDER;
	header->fingerprint = fingerprint();
	header->created_ns = tni_stamp_ns();
	if (getrandom(&header->id, sizeof(header->id), GRND_NONBLOCK) != sizeof(header->id))
		header->id = (uint64_t)tni_clock_ns(CLOCK_REALTIME) ^ (uint64_t)getpid() << 40;
	base = mmap(NULL, header->extent_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE,
		    fd, 0);
	if (base == MAP_FAILED) {
		result = -errno;
		close(fd);
		return result;
	}
	result = tni_file_reserve(fd, 0, TNI_PAGE_BYTES);
	if (result == 0) {
		memcpy(base, header, sizeof(*header));
		memcpy(base + TNI_OBJECT_NAME_OFFSET, name, strlen(name) + 1);
		result = fill(fd, base, context);
	}
	munmap(base, header->extent_bytes);
	if (result == 0)
		*ret_fd = fd;
	else
		close(fd);
	return result;
}

int tni_object_make(int directory_fd, const char *file_name, const char *name, mode_t mode,
		    struct tni_object_header *header,
		    int (*fill)(int fd, uint8_t *base, const void *context), const void *context,
		    uint64_t *ret_inode)
{
	uint64_t inode;
	int fd, result = make(directory_fd, name, mode, header, fill, context, &fd);

	if (result != 0)
		return result;
	result = tni_file_inode(fd, "", &inode);
	if (result == 0)
		result = tni_file_name(fd, directory_fd, file_name);
	close(fd);
	if (result == 0)
		*ret_inode = inode;
	return result;
}

int tni_object_make_nameless(int directory_fd, mode_t mode, struct tni_object_header *header,
			     int (*fill)(int fd, uint8_t *base, const void *context),
			     const void *context, int *ret_fd)
{
	return make(directory_fd, "", mode, header, fill, context, ret_fd);
}

int tni_object_check(int fd, uint32_t kind, struct tni_object_header *ret_header,
		     struct stat *ret_status)
{
	ssize_t bytes;

	if (fstat(fd, ret_status) != 0)
		return -errno;
	if (!S_ISREG(ret_status->st_mode))
		return -EBADMSG;
	do
		bytes = pread(fd, ret_header, sizeof(*ret_header), 0);
	while (bytes < 0 && errno == EINTR);
	if (bytes < 0)
		return -errno;
	if (bytes != (ssize_t)sizeof(*ret_header))
		return -EBADMSG;
	if (ret_header->magic == __builtin_bswap64(TNI_MAGIC))
		return -EPROTO; /* of a machine with the other byte order */
	if (ret_header->magic != TNI_MAGIC)
		return -EBADMSG;
	if (ret_header->layout_version != TNI_LAYOUT_VERSION ||
	    ret_header->byte_order != TNI_BYTE_ORDER || ret_header->fingerprint != fingerprint())
		return -EPROTO;
	if (ret_header->kind != kind || ret_header->participants_max == 0 ||
	    ret_header->participants_max > TNI_PARTICIPANTS_MAX ||
	    ret_header->extent_bytes % TNI_PAGE_BYTES != 0 || ret_header->extent_bytes == 0 ||
	    ret_header->extent_bytes > EXTENT_MOST_BYTES)
		return -EBADMSG;
	return 0;
}

/* Maps through a description of its own, on which there is never a lock: a mapping keeps its
 * description, in a forked child too, and with it the locks.  Without a name: opens the file again. */
static void *map(int directory_fd, const char *file_name, const struct tni_object *object,
		 const struct stat *status)
{
	int fd = -1, error;
	struct stat other;
	void *base;

	if (file_name)
		fd = openat(directory_fd, file_name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd >= 0 && (fstat(fd, &other) != 0 || other.st_ino != status->st_ino ||
			other.st_dev != status->st_dev)) {
		close(fd);
		fd = -1;
	}
	/* The name is another's, or nobody's, by now.  Nobody can have a lease: the file is open. */
	if (fd < 0 && tni_file_reopen(object->fd, &fd) != 0)
		return MAP_FAILED;
	base = mmap(NULL, object->extent_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE,
		    fd, 0);
	error = errno;
	close(fd);
	errno = error;
	return base;
}

/* A file of somebody unexpected: not the caller's, nor root's, in a folder that only its owner, and he not
 * the file's, writes to. */
static bool is_foreign(int directory_fd, const struct stat *status)
{
	struct stat directory;

	if (status->st_uid == geteuid() || status->st_uid == 0)
		return false;
	return fstat(directory_fd, &directory) != 0 ||
	       (directory.st_uid != status->st_uid && !(directory.st_mode & 022));
}

/* Maps what was opened as object->fd, or closes it. */
static int adopt(int directory_fd, const char *file_name, uint32_t kind, struct tni_object *object)
{
	struct stat status;
	int result = tni_object_check(object->fd, kind, &object->header, &status);

	if (result == 0 && file_name && is_foreign(directory_fd, &status))
		result = -EPERM;
	if (result == 0) {
		object->extent_bytes = object->header.extent_bytes;
		object->file_bytes = (uint64_t)status.st_size;
		object->inode = status.st_ino;
		object->base = map(directory_fd, file_name, object, &status);
		if (object->base == MAP_FAILED)
			result = -errno;
	}
	if (result != 0) {
		close(object->fd);
		return result;
	}
	object->shared = (struct tni_object_header *)object->base;
	object->participants = (struct tni_participant *)(object->base + TNI_PARTICIPANTS_OFFSET);
	object->participant = UINT32_MAX;
	return 0;
}

int tni_object_open(int directory_fd, const char *file_name, uint32_t kind,
		    struct tni_object *ret_object)
{
	struct tni_object object = {.burying = PTHREAD_MUTEX_INITIALIZER};
	int result;

	object.forks = tni_registry_forks();
	object.fd = tni_file_lift(openat(directory_fd, file_name, O_RDWR | O_CLOEXEC | O_NOFOLLOW));
	if (object.fd < 0)
		return errno == ELOOP ? -EPERM : -errno;
	result = adopt(directory_fd, file_name, kind, &object);
	if (result == 0)
		*ret_object = object;
	return result;
}

int tni_object_open_fd(int fd, uint32_t kind, struct tni_object *ret_object)
{
	struct tni_object object = {.burying = PTHREAD_MUTEX_INITIALIZER};
	int result;

	object.forks = tni_registry_forks();
	result = tni_file_reopen_at_once(fd, O_RDWR, &object.fd);
	if (result == 0)
		object.fd = tni_file_lift(object.fd);
	if (result == 0)
		result = adopt(-1, NULL, kind, &object);
	if (result == 0)
		*ret_object = object;
	return result;
}

int tni_object_read_name(int directory_fd, const char *file_name, char *ret_name)
{
	int fd = openat(directory_fd, file_name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	ssize_t bytes;

	if (fd < 0)
		return -errno;
	bytes = pread(fd, ret_name, TNI_NAME_MAX, TNI_OBJECT_NAME_OFFSET);
	close(fd);
	if (bytes != (ssize_t)TNI_NAME_MAX)
		return -EBADMSG;
	ret_name[TNI_NAME_MAX] = '\0';
	return 0;
}

struct tni_participant *tni_object_participant(struct tni_object *object, uint32_t index)
{
	uint64_t offset = index * sizeof(struct tni_participant);

	if (index >= object->header.participants_max)
		return NULL;
	if (index >= tni_get32(&object->known)) {
		uint32_t page = TNI_PAGE_BYTES / sizeof(struct tni_participant);

		if (tni_file_reserve(object->fd, TNI_PARTICIPANTS_OFFSET + offset, 1) != 0)
			return NULL;
		if (index / page == tni_get32(&object->known) / page)
			tni_set32(&object->known, (index / page + 1) * page);
	}
	return &object->participants[index];
}

uint32_t tni_object_participants_top(struct tni_object *object)
{
	uint32_t top = tni_get32(&object->shared->participants_top);

	return top < object->header.participants_max ? top : object->header.participants_max;
}

void tni_object_close(struct tni_object *object)
{
	tni_object_detach(object);
	munmap(object->base, object->extent_bytes);
	if (object->fd >= 0)
		close(object->fd);
}

void tni_object_damage(struct tni_object *object)
{
	tni_set32(&object->shared->damaged, 1);
}
