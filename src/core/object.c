/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Who is alive.  Each attached process holds an open-file-description lock on one byte of the file,
 * far behind its end; the byte's number is the number of its participant entry.  The kernel drops the
 * lock when the process ends, however it ends.  Whoever holds the lock on a byte owns the entry:
 *
 *	attach	S1 lock the byte	dies: the entry is as it was
 *		S2 bury what the entry's last owner left, if it is not marked free: as below
 *		S3 fill in, mark attached	dies: the next one to look finds the byte unlocked
 *	detach	S1 give back what is held
 *		S2 let go of the stake (core/stake.c)
 *		S3 mark free
 *		S4 unlock
 *	bury	S1 lock the byte of the dead	dies: the entry is still marked
 *		S2 mark buried: who holds the	dies: the same; the byte is unlocked, so it is buried again
 *		   byte from here on is not its
 *		   owner, who is shown no more
 *		S3 give back what it held	dies: half of it is given back; the rest next time
 *		S4 mark free, unlock
 *
 * Memory is mapped through another open file description, on which there is never a lock: see map().
 * A forked child lets go of the description that it inherits, and attaches anew at its first call;
 * where it was forked while another thread had opened and not yet attached, that thread does: see core/registry.c.
 * Of an object that lends its parent has attached for it: core/object_lend.c.
 *
 * Lock order: an object's burying, the registry's, the gates of one object; the stakes' mutex is the last.
 * Nobody waits for `burying`: who has it is at what is to be done.
 *
 * ORD participant: whoever attaches fills the entry in and then marks it attached; whoever finds it
 * marked reads the rest afterwards.  Marking it free comes behind the giving back.  That it has a stake is said behind
 * taking it.
 *
 * ORD namespace: a thread that finds the process's generation noted finds its namespace as well.
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
		TNI_QUEUE_ATTRIBUTES_OFFSET, TNI_LIVENESS_OFFSET,
		/* fields within a word */
		TNI_LAYOUT_PARTS,
	};
	/* clang-format on */
	uint64_t mixed = TNI_LAYOUT_VERSION;

	for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++)
		mixed = (mixed ^ figures[i]) * UINT64_C(0x9e3779b97f4a7c15) + (mixed >> 31);
	return mixed;
}

static int byte_lock(int fd, uint32_t index, short type)
{
	struct flock lock = {.l_type = type,
			     .l_whence = SEEK_SET,
			     .l_start = TNI_LIVENESS_OFFSET + index,
			     .l_len = 1};

	return fcntl(fd, F_OFD_SETLK, &lock) == 0 ? 0 : -errno;
}

bool tni_object_is_dead(struct tni_object *object, uint32_t participant)
{
	struct flock lock = {.l_type = F_WRLCK,
			     .l_whence = SEEK_SET,
			     .l_start = TNI_LIVENESS_OFFSET + participant,
			     .l_len = 1};

	if (participant == object->participant)
		return false;
	return fcntl(object->fd, F_OFD_GETLK, &lock) == 0 && lock.l_type == F_UNLCK;
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
	header->created_ns = tni_clock_ns(CLOCK_REALTIME);
	if (getrandom(&header->id, sizeof(header->id), GRND_NONBLOCK) != sizeof(header->id))
		header->id = (uint64_t)header->created_ns ^ (uint64_t)getpid() << 40;
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

/* Of a process it never changes; a child may be in another one. */
static uint64_t own_pid_namespace(void)
{
	static struct tni_a64 cached, cached_generation;
	uint64_t generation = tni_process_generation();
	struct stat status;

	/* ORD(namespace) */
	if (tni_load_acquire64(&cached_generation) != generation) {
		tni_set64(&cached, stat("/proc/self/ns/pid", &status) == 0 ? status.st_ino : 0);
		tni_store_release64(&cached_generation, generation); /* ORD(namespace) */
	}
	return tni_get64(&cached);
}

bool tni_object_thread_is_gone(struct tni_object *object, uint32_t tid)
{
	uint64_t own = own_pid_namespace();
	bool is_caller = tid == tni_thread_self()->tid;

	for (uint32_t i = 0; i < tni_object_participants_top(object); i++) {
		const struct tni_participant *entry = tni_object_participant(object, i);
		pid_t pid;

		/* ORD(participant): see above. */
		if (!entry || tni_load_acquire32(&entry->state) == TNI_PARTICIPANT_FREE ||
		    tni_object_is_dead(object, i))
			continue;
		pid = (pid_t)tni_get32(&entry->pid);
		/* Of its own process it knows without being told. */
		if (i == object->participant ||
		    (own != 0 && pid == getpid() && tni_get64(&entry->pid_namespace) == own)) {
			if (!is_caller &&
			    (syscall(SYS_tgkill, getpid(), tid, 0) == 0 || errno != ESRCH))
				return false;
			continue;
		}
		if (own == 0 || tni_get64(&entry->pid_namespace) != own ||
		    syscall(SYS_tgkill, pid, tid, 0) == 0 || errno != ESRCH)
			return false;
	}
	return true;
}

static void note_namespace(struct tni_object *object)
{
	uint64_t own = own_pid_namespace(), first = 0;

	if (own == 0 || (!tni_cas64(&object->shared->pid_namespace, &first, own) && first != own))
		tni_set64(&object->shared->mixed, 1);
}

bool tni_object_is_own(struct tni_object *object, uint32_t participant)
{
	const struct tni_participant *entry = tni_object_participant(object, participant);

	return participant == object->participant || !tni_get64(&object->shared->mixed) ||
	       (entry && (pid_t)tni_get32(&entry->pid) == getpid() &&
		tni_get64(&entry->pid_namespace) == own_pid_namespace());
}

void tni_object_sign(struct tni_participant *entry)
{
	tni_set32(&entry->pid, (uint32_t)getpid());
	tni_set32(&entry->uid, geteuid());
	tni_set64(&entry->pid_namespace, own_pid_namespace());
	tni_set64(&entry->attached_ns, (uint64_t)tni_clock_ns(CLOCK_REALTIME));
}

/* By the description `fd`, to which the lock belongs.  -EAGAIN: it is another's; or its dead owner cannot be buried until
 * then. */
static int claim(struct tni_object *object, int fd, uint32_t index, int64_t deadline_ns)
{
	struct tni_participant *entry = tni_object_participant(object, index);
	uint32_t top = tni_get32(&object->shared->participants_top);
	int result;

	if (!entry)
		return -ENOSPC;
	result = byte_lock(fd, index, F_WRLCK);
	if (result != 0)
		return result == -ENOLCK ? -ENOMEM : result;
	while (top <= index && !tni_cas32(&object->shared->participants_top, &top, index + 1))
		;
	note_namespace(object);
	if (tni_get32(&entry->state) != TNI_PARTICIPANT_FREE) {
		tni_set32(&entry->state, TNI_PARTICIPANT_BURIED);
		result = object->bury(object, index, deadline_ns);
	}
	if (result != 0) {
		byte_lock(fd, index, F_UNLCK);
		return result == -ETIMEDOUT ? -EAGAIN : result;
	}
	tni_set32(&entry->blocked, 0);
	tni_set32(&entry->notice_serial, 0);
	tni_set32(&entry->attachments, 0);
	tni_set32(&entry->data_fd, 0);
	tni_object_sign(entry);
	tni_store_release32(&entry->state, TNI_PARTICIPANT_ATTACHED); /* ORD(participant) */
	return 0;
}

static int find_entry_until(struct tni_object *object, int fd, int64_t deadline_ns,
			    uint32_t *ret_index)
{
	for (uint32_t i = 0; i < object->header.participants_max; i++) {
		int result = claim(object, fd, i, deadline_ns);

		if (result == 0)
			*ret_index = i;
		if (result != -EAGAIN)
			return result;
	}
	return -EUSERS;
}

/* The first entry that is free or whose owner is dead: so what the dead left is cleared away by those
 * who come.  Not where somebody is stopped who has the object locked, unless no other entry is left. */
int tni_object_find_entry(struct tni_object *object, int fd, uint32_t *ret_index)
{
	int result = find_entry_until(object, fd, tni_grace_ns(), ret_index);

	return result == -EUSERS ? find_entry_until(object, fd, INT64_MAX, ret_index) : result;
}

/* Takes an entry, and says so when all that depends on it is right. */
static int attach(struct tni_object *object, uint32_t generation)
{
	int result = tni_object_find_entry(object, object->fd, &object->participant);

	if (result != 0)
		return result;
	if (object->renew)
		object->renew(object);
	tni_step();
	tni_set32(&object->generation, generation);
	return 0;
}

int tni_object_attach(struct tni_object *object)
{
	uint32_t generation = tni_process_generation();
	int result = tni_registry_enter(object);

	if (result != 0)
		return result;
	result = attach(object, generation);
	if (result != 0)
		tni_registry_leave(object);
	return result;
}

int tni_object_reattach(struct tni_object *object)
{
	uint32_t generation = tni_process_generation();
	int result = 0;

	if (tni_get32(&object->generation) == generation)
		return 0;
	tni_registry_lock();
	if (tni_get32(&object->generation) != generation) {
		/* Raw clones do not run the fork handlers; who has run them may not be allowed to open it any more, as another
		 * user. */
		if (tni_get32(&object->renewed) != generation)
			result = tni_registry_renew(object);
		/* Once: what a failed attempt has locked goes with its description. */
		tni_set32(&object->renewed, 0);
		if (result == 0) {
			uint32_t before = object->participant;

			object->participant = UINT32_MAX;
			tni_stake_release(&object->stake, tni_thread_self(), false);
			result = attach(object, generation);
			/* It is an index, of whomever. */
			if (result != 0)
				object->participant = before;
		}
	}
	tni_registry_unlock();
	return result;
}

static void set_free(struct tni_object *object, uint32_t index)
{
	/* ORD(participant): what was given back, before. */
	tni_store_release32(&object->participants[index].state, TNI_PARTICIPANT_FREE);
	byte_lock(object->fd, index, F_UNLCK);
}

void tni_object_close(struct tni_object *object)
{
	uint32_t generation = tni_process_generation();

	if (tni_get32(&object->generation) != 0) {
		bool is_clear = tni_get32(&object->generation) == generation &&
				object->bury(object, object->participant, INT64_MAX) == 0;

		/* Before the entry is another's, and with it the word. */
		tni_stake_release(&object->stake, tni_thread_self(),
				  tni_file_is_shorter(object->fd, object->file_bytes));
		if (is_clear)
			set_free(object, object->participant);
		tni_registry_leave(object);
	}
	munmap(object->base, object->extent_bytes);
	if (object->fd >= 0)
		close(object->fd);
}

int tni_object_recover_one(struct tni_object *object, uint32_t participant, int64_t deadline_ns)
{
	struct tni_participant *entry;
	int result;

	if (participant == object->participant ||
	    participant >= tni_object_participants_top(object))
		return 0;
	entry = tni_object_participant(object, participant);
	/* ORD(participant): an entry that says attached is filled in. */
	if (!entry || tni_load_acquire32(&entry->state) == TNI_PARTICIPANT_FREE)
		return 0;
	/* The lock on the byte keeps out other processes; threads of this one share it. */
	if (pthread_mutex_trylock(&object->burying) != 0)
		return 0;
	result = byte_lock(object->fd, participant, F_WRLCK) == 0 ? 0 : -EAGAIN;
	if (result == 0 && tni_get32(&entry->state) != TNI_PARTICIPANT_FREE) {
		tni_set32(&entry->state, TNI_PARTICIPANT_BURIED);
		result = object->bury(object, participant, deadline_ns);
		if (result == 0)
			result = 1;
	}
	if (result == 1)
		set_free(object, participant);
	else if (result != -EAGAIN)
		byte_lock(object->fd, participant, F_UNLCK);
	pthread_mutex_unlock(&object->burying);
	return result == -EAGAIN ? 0 : result;
}

void tni_object_damage(struct tni_object *object)
{
	tni_set32(&object->shared->damaged, 1);
}
