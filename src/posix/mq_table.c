/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What descriptors of message queues this process has: a table by number, which calls look into without a lock.
 *
 * A call counts itself at the entry that it has found, and looks once more whether the entry is still in the table:
 * who closes takes it out and then looks whether anybody is counted.  One of them sees the other, and the last one
 * lets go of the queue; so a descriptor may be closed while a thread waits at it, which goes on, as in the kernel.
 *
 * Descriptors that nobody has told of, since they came by dup(2), exec(3) or a socket, are recognized by the name
 * of their FIFO when they are first used (/proc has to be there).  Those that were closed without a word are found when
 * the number is used again, when a call is about to wait at one, and by a sweep whenever a queue is opened.
 *
 * A child of fork(2) has the table as its parent had it.  One of vfork(2) has the very same table, and must not
 * change it: it is told by its process id.
 *
 * ORD table: the table is there before its size says so.
 *
 * Lock order: the mutex here, then those of the library's objects.
 */

#include "posix/mq_table.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/single_threaded.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/registry.h"
#include "core/thread.h"
#include "object/queue_descriptor.h"
#include "posix/mq.h"

/* Numbers above are not to be had: RLIMIT_NOFILE is rarely as high. */
#define DESCRIPTORS_MOST (1u << 20)

static struct tni_a64 no_entries[1];
static struct tni_apointer table = {no_entries}; /* of struct tni_a64: addresses of entries */
static struct tni_a32 table_top;		 /* 0 until the table is there */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static sigset_t mask_before; /* of the thread that has locked, and whether it may be cancelled */
static int cancel_before;
static struct tni_mq *queues;
static struct tni_mqd *used, *unused;
static pid_t owner; /* the process whose table it is */
static struct tni_a32 is_told_of_polls;

void tni_mq_lock(void)
{
	sigset_t all, before;
	int cancel;

	/* What is done under the mutex has cancellation points; a signal handler of this thread may call in. */
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pthread_mutex_lock(&mutex);
	mask_before = before;
	cancel_before = cancel;
}

void tni_mq_unlock(void)
{
	sigset_t before = mask_before;
	int cancel = cancel_before;

	pthread_mutex_unlock(&mutex);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_setcancelstate(cancel, NULL);
}

static void fork_parent(void)
{
	tni_mq_unlock();
}

/* The threads that waited for notice are the parent's, and so are the registrations. */
static void fork_child(void)
{
	owner = getpid();
	for (struct tni_mq *mq = queues; mq; mq = mq->next) {
		mq->references = 0;
		tni_set32(&mq->serial, 0);
	}
	for (struct tni_mqd *descriptor = used; descriptor; descriptor = descriptor->next) {
		descriptor->mq->references++;
		tni_set64(&descriptor->users, 0);
	}
	tni_mq_unlock();
}

/* By one thread at a time. */
static void map_table(void)
{
	void *entries = mmap(NULL, DESCRIPTORS_MOST * sizeof(struct tni_a64),
			     PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
			     -1, 0);

	if (entries == MAP_FAILED)
		return;
	tni_store_release_pointer(&table, entries); /* ORD(table) */
	tni_store_release32(&table_top, DESCRIPTORS_MOST);
}

static void prepare(void)
{
	owner = getpid();
	/* Whose handlers are registered later lock first. */
	tni_registry_forks();
	pthread_atfork(tni_mq_lock, fork_parent, fork_child);
	map_table();
}

static bool has_table(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, prepare);
	return tni_get32(&table_top) != 0;
}

static inline struct tni_a64 *entry_of(int fd)
{
	if (fd < 0 || (uint32_t)fd >= tni_load_acquire32(&table_top)) /* ORD(table) */
		return NULL;
	return (struct tni_a64 *)tni_load_acquire_pointer(&table) + fd;
}

static inline struct tni_mqd *known(int fd)
{
	const struct tni_a64 *entry = entry_of(fd);

	return entry ? (struct tni_mqd *)(uintptr_t)tni_load_total64(entry) : NULL;
}

static void put(int fd, const struct tni_mqd *descriptor)
{
	struct tni_a64 *entry = entry_of(fd);
	uint64_t before = tni_get64(entry);

	while (!tni_cas_total64(entry, &before, (uintptr_t)descriptor))
		;
}

void tni_mq_release(struct tni_mq *mq)
{
	struct tni_mq **at = &queues;

	if (--mq->references > 0)
		return;
	while (*at != mq)
		at = &(*at)->next;
	*at = mq->next;
	tenon_queue_close(mq->queue);
	free(mq);
}

/* Under the mutex: nobody is at it any more. */
static void let_go(struct tni_mqd *descriptor)
{
	struct tni_mq *mq = descriptor->mq;

	/* A late one may have looked it up in vain. */
	if (!mq || tni_get32(&descriptor->closed) == 0 || tni_load_total64(&descriptor->users) != 0)
		return;
	descriptor->mq = NULL;
	descriptor->next = unused;
	unused = descriptor;
	tni_mq_release(mq);
}

/* Takes it out of the table. */
static void forget(struct tni_mqd *descriptor)
{
	struct tni_mqd **at = &used;

	while (*at != descriptor)
		at = &(*at)->next;
	*at = descriptor->next;
	put(descriptor->fd, NULL);
	/* As Linux does it, whichever descriptor was used to register. */
	tni_mq_withdraw(descriptor->mq);
	tni_set32(&descriptor->closed, 1);
	let_go(descriptor);
}

static int remember(int fd, int access, bool is_nonblocking, uint64_t inode, struct tni_mq *mq)
{
	struct tni_mqd *descriptor, *stale = known(fd);

	if (stale)
		forget(stale);
	descriptor = unused;
	if (descriptor)
		unused = descriptor->next;
	else
		descriptor = calloc(1, sizeof(*descriptor));
	if (!descriptor)
		return -ENOMEM;
	tni_set32(&descriptor->closed, 0);
	tni_set32(&descriptor->is_nonblocking, is_nonblocking);
	tni_set64(&descriptor->asked, 0);
	descriptor->mq = mq;
	descriptor->fd = fd;
	descriptor->access = access;
	descriptor->inode = inode;
	descriptor->next = used;
	used = descriptor;
	mq->references++;
	put(fd, descriptor);
	return 0;
}

/* The queue of a handle, which is closed if the queue is open already. */
static struct tni_mq *adopt(struct tenon_queue *queue)
{
	struct tenon_queue_status status = {.size = sizeof(status)};
	uint64_t inode, id;
	struct tni_mq *mq;

	tni_queue_identity(queue, &inode, &id);
	for (mq = queues; mq; mq = mq->next)
		if (mq->inode == inode && mq->id == id)
			break;
	if (mq || tenon_queue_status(queue, &status) != 0) {
		tenon_queue_close(queue);
		return mq;
	}
	mq = calloc(1, sizeof(*mq));
	if (!mq) {
		tenon_queue_close(queue);
		return NULL;
	}
	mq->queue = queue;
	mq->inode = inode;
	mq->id = id;
	mq->capacity = status.capacity;
	mq->message_bytes = status.max_message_bytes;
	mq->next = queues;
	queues = mq;
	return mq;
}

int tni_mqd_add(int fd, int access, bool is_nonblocking, struct tenon_queue *queue)
{
	struct tni_mq *mq = adopt(queue);
	struct stat status;
	int result;

	if (!mq)
		return -ENOMEM;
	mq->references++;
	/* There may have been no memory for it before. */
	if (!has_table())
		map_table();
	if (!has_table())
		result = -ENOMEM;
	else if (!entry_of(fd))
		result = -EMFILE;
	else if (fstat(fd, &status) != 0)
		result = -errno;
	else
		result = remember(fd, access, is_nonblocking, status.st_ino, mq);
	tni_mq_release(mq);
	return result;
}

#define CANNOT_SEND O_APPEND
#define CANNOT_RECEIVE O_DIRECT

int tni_mqd_flags(int access, bool is_nonblocking)
{
	return (is_nonblocking ? O_NONBLOCK : 0) | (access == O_RDONLY ? CANNOT_SEND : 0) |
	       (access == O_WRONLY ? CANNOT_RECEIVE : 0);
}

static int access_of(int flags)
{
	if (flags & CANNOT_SEND)
		return O_RDONLY;
	return flags & CANNOT_RECEIVE ? O_WRONLY : O_RDWR;
}

/* A descriptor that came in a way that nobody told of.  Under the mutex. */
static struct tni_mqd *recognize(int fd)
{
	char namespace_path[PATH_MAX];
	struct tenon_queue *queue;
	struct stat status;
	struct tni_mq *mq;
	uint64_t inode, id;
	int flags, access;

	if (!entry_of(fd) ||
	    tni_pair_identify(fd, namespace_path, sizeof(namespace_path), &inode, &id) != 0 ||
	    fstat(fd, &status) != 0)
		return NULL;
	flags = fcntl(fd, F_GETFL);
	if (flags < 0)
		return NULL;
	access = access_of(flags);
	for (mq = queues; mq; mq = mq->next)
		if (mq->inode == inode && mq->id == id)
			break;
	if (!mq) {
		if (tni_queue_open_known(namespace_path, inode, id, 0, &queue) != 0)
			return NULL;
		mq = adopt(queue);
		if (!mq)
			return NULL;
	}
	mq->references++;
	(void)!remember(fd, access, (flags & O_NONBLOCK) != 0, status.st_ino, mq);
	tni_mq_release(mq);
	return known(fd);
}

/* A call more or less at the descriptor; how many there were.  Of a process's only thread nobody else needs to see it, and
 * a handler that interrupts it leaves the number as it was. */
static inline uint64_t count_user(struct tni_mqd *descriptor, uint64_t change)
{
	uint64_t before;

	if (!__libc_single_threaded)
		return tni_fetch_add_total64(&descriptor->users, change);
	before = tni_get64(&descriptor->users);
	tni_set64(&descriptor->users, before + change);
	return before;
}

static inline struct tni_mqd *enter_known(int fd)
{
	for (;;) {
		struct tni_mqd *descriptor = known(fd);

		if (__builtin_expect(!descriptor, 0))
			return NULL;
		count_user(descriptor, 1);
		if (__builtin_expect(known(fd) == descriptor, 1))
			return descriptor;
		tni_mqd_leave(descriptor);
	}
}

struct tni_mqd *tni_mqd_enter(int fd)
{
	struct tni_mqd *descriptor = enter_known(fd);

	if (__builtin_expect(descriptor != NULL, 1) || fd < 0 || !has_table())
		return descriptor;
	tni_mq_lock();
	recognize(fd);
	tni_mq_unlock();
	return enter_known(fd);
}

void tni_mqd_leave(struct tni_mqd *descriptor)
{
	uint64_t before = count_user(descriptor, UINT64_MAX);

	/* A child that was forked by a handler amid its call: it was counted in the parent. */
	if (__builtin_expect(before == 0, 0))
		count_user(descriptor, 1);
	if (__builtin_expect(before != 1 || tni_get32(&descriptor->closed) == 0, 1))
		return;
	tni_mq_lock();
	let_go(descriptor);
	tni_mq_unlock();
}

static bool is_stale(const struct tni_mqd *descriptor)
{
	struct stat status;

	return fstat(descriptor->fd, &status) != 0 || status.st_ino != descriptor->inode ||
	       !S_ISFIFO(status.st_mode);
}

/* Whether the table is this process's to change. */
static bool is_owner(void)
{
	return getpid() == owner;
}

void tni_mqd_sweep(void)
{
	struct tni_mqd *descriptor = used, *next;

	if (tni_get32(&is_told_of_polls) || !is_owner())
		return;
	for (; descriptor; descriptor = next) {
		next = descriptor->next;
		if (is_stale(descriptor))
			forget(descriptor);
	}
}

/* It was closed by a call that nobody told of.  Whether that was so; if it was closed meanwhile by one who told of it, who is
 * at it goes on. */
static bool forget_stale(struct tni_mqd *descriptor)
{
	bool is_gone = false;

	tni_mq_lock();
	if (tni_get32(&descriptor->closed) == 0 && is_stale(descriptor)) {
		forget(descriptor);
		is_gone = true;
	}
	tni_mq_unlock();
	return is_gone;
}

/* What `asked` says: O_NONBLOCK was set when the changes of flags (the upper half) were so many; and, below that, how often
 * nobody asked since. */
#define ASKED_NONBLOCKING 1u
#define ASKED_USE 2u
#define ASKED_USES_MOST (ASKED_USE << 4)

bool tni_mqd_stays_nonblocking(struct tni_mqd *descriptor)
{
	uint64_t asked = tni_get64(&descriptor->asked);

	/* Once in a while all the same: somebody may have a way that nobody knows of. */
	if (!(asked & ASKED_NONBLOCKING) || (uint32_t)asked >= ASKED_USES_MOST ||
	    asked >> 32 != tni_pair_flags_count(descriptor->mq->queue))
		return false;
	return tni_cas64(&descriptor->asked, &asked, asked + ASKED_USE);
}

int tni_mqd_is_nonblocking(struct tni_mqd *descriptor)
{
	/* Where not all calls of the program are seen, it may change at any time. */
	uint32_t changes = tni_get32(&is_told_of_polls)
				   ? tni_pair_flags_count(descriptor->mq->queue)
				   : 1;
	int flags = fcntl(descriptor->fd, F_GETFL);
	/* Who does not wait learns of it with the next message at the latest; who waits might wait for ever. */
	bool is_doubtful = flags < 0 || (!(flags & O_NONBLOCK) && !tni_get32(&is_told_of_polls));

	if (is_doubtful && is_stale(descriptor) && forget_stale(descriptor))
		return -EBADF;
	if (flags >= 0 && tni_get32(&descriptor->closed) == 0) {
		bool is_sure = flags & O_NONBLOCK && !(changes & 1);

		tni_set32(&descriptor->is_nonblocking, (flags & O_NONBLOCK) != 0);
		tni_set64(&descriptor->asked,
			  is_sure ? (uint64_t)changes << 32 | ASKED_NONBLOCKING : 0);
	}
	return (int)tni_get32(&descriptor->is_nonblocking);
}

void tni_mq_tell_of_polls(void)
{
	tni_set32(&is_told_of_polls, 1);
}

bool tni_mq_is_told_of_polls(void)
{
	return tni_get32(&is_told_of_polls);
}

bool tni_mq_is(int fd)
{
	return known(fd) != NULL;
}

bool tni_mq_is_named(int fd)
{
	char namespace_path[PATH_MAX];
	uint64_t inode, id;

	return tni_pair_is_likely(fd) &&
	       tni_pair_identify(fd, namespace_path, sizeof(namespace_path), &inode, &id) == 0;
}

bool tni_mq_meet(int fd)
{
	struct tni_mqd *descriptor = tni_mqd_enter(fd);

	if (!descriptor)
		return false;
	tni_mqd_leave(descriptor);
	return true;
}

bool tni_mq_is_still(int fd)
{
	struct tni_mqd *descriptor;
	bool is_gone = false;

	if (!known(fd) || !is_owner())
		return known(fd) != NULL;
	tni_mq_lock();
	descriptor = known(fd);
	if (descriptor && is_stale(descriptor)) {
		forget(descriptor);
		is_gone = true;
	}
	tni_mq_unlock();
	return descriptor && !is_gone;
}

void tni_mq_watch(int fd)
{
	struct tni_mqd *descriptor = enter_known(fd);

	if (!descriptor)
		return;
	if (!tni_pair_is_watched(descriptor->mq->queue))
		(void)!tni_pair_watch(descriptor->mq->queue);
	tni_mqd_leave(descriptor);
}

void tni_mq_flags_changing(int fd)
{
	struct tni_mqd *descriptor = enter_known(fd);

	if (descriptor) {
		tni_pair_flags_begin(descriptor->mq->queue);
		tni_mqd_leave(descriptor);
	}
}

void tni_mq_flags_changed(int fd)
{
	struct tni_mqd *descriptor = enter_known(fd);

	if (descriptor) {
		tni_pair_flags_end(descriptor->mq->queue);
		tni_mqd_leave(descriptor);
	}
}

void tni_mq_closing(int fd)
{
	struct tni_mqd *descriptor;

	if (!known(fd) || !is_owner())
		return;
	tni_mq_lock();
	descriptor = known(fd);
	if (descriptor)
		forget(descriptor);
	tni_mq_unlock();
}

void tni_mq_copied(int fd, int copy)
{
	struct tni_mqd *descriptor;

	if (!known(fd) || !is_owner() || !entry_of(copy))
		return;
	tni_mq_lock();
	descriptor = known(fd);
	if (descriptor)
		(void)!remember(copy, descriptor->access, tni_get32(&descriptor->is_nonblocking),
				descriptor->inode, descriptor->mq);
	tni_mq_unlock();
}

int tni_mq_access(int fd)
{
	struct tni_mqd *descriptor = enter_known(fd);
	int access;

	if (!descriptor)
		return -EBADF;
	access = descriptor->access;
	tni_mqd_leave(descriptor);
	return access;
}
