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
 * Under the mutex nobody waits for a lock in shared memory: somebody may be stopped with that, and only who uses that very
 * queue is to wait for him.  What needs one, opening, closing and the withdrawal of a registration, is done before
 * locking or behind unlocking.
 *
 * A child of fork(2) has the table as its parent had it, but for the calls and the threads that were the parent's: what only
 * they kept open it lets go of.  One of vfork(2) has the very same table, and must not change it: it has another process id.
 *
 * ORD parted: who closes says so, and then looks whether anybody is counted at it or has registered; who leaves, or has
 * registered, does that and then looks whether it was closed.  One of them sees the other.
 *
 * Lock order: a queue's `registering`, the locks of the library's objects; either, and then the mutex here.
 */

#include "posix/mq_table.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/single_threaded.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/registry.h"
#include "core/thread.h"
#include "object/queue_descriptor.h"
#include "posix/mq.h"
#include "posix/mq_numbers.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct tni_quiet quiet; /* of the thread that has locked */
static struct tni_mq *queues;
static struct tni_mqd *used, *unused;
static struct tni_mqd *parted; /* closed, and calls are at them yet */
/* What is put off until the mutex is unlocked, by who has it: queues to be closed, registrations to be withdrawn. */
static struct tni_mq *ended;
static struct tni_mqd *withdrawn;
/* Of this thread, that are at a descriptor: a handler that interrupts one of them may fork. */
static __thread uint32_t calls;
static pid_t owner; /* the process whose table it is */

/* What is done under the mutex has cancellation points; a signal handler of this thread may call in. */
static void lock(void)
{
	struct tni_quiet before;

	tni_quiet_begin(&before);
	pthread_mutex_lock(&mutex);
	quiet = before;
}

static void close_all(struct tni_mq *mq)
{
	struct tni_mq *next;

	for (; mq; mq = next) {
		next = mq->next;
		tenon_queue_close(mq->queue);
		tni_mq_forget_attributes(&mq->registration);
		pthread_mutex_destroy(&mq->registering);
		free(mq);
	}
}

static void let_go(struct tni_mqd *descriptor);

static void withdraw_all(struct tni_mqd *first)
{
	struct tni_mqd *descriptor, *next;

	for (descriptor = first; descriptor; descriptor = descriptor->next_withdrawn)
		tni_mq_withdraw(descriptor->mq, descriptor->withdrawn);
	pthread_mutex_lock(&mutex);
	for (descriptor = first; descriptor; descriptor = next) {
		next = descriptor->next_withdrawn;
		tni_fetch_add_total64(&descriptor->users, UINT64_MAX);
		let_go(descriptor);
	}
}

/* And does what was put off. */
static void unlock(void)
{
	struct tni_quiet before = quiet;
	struct tni_mqd *first;
	struct tni_mq *closing;

	for (;;) {
		first = withdrawn;
		closing = ended;
		withdrawn = NULL;
		ended = NULL;
		pthread_mutex_unlock(&mutex);
		close_all(closing);
		if (!first)
			break;
		withdraw_all(first);
	}
	tni_quiet_end(&before);
}

static void release(struct tni_mq *mq)
{
	struct tni_mq **at = &queues;

	if (--mq->references > 0)
		return;
	while (*at != mq)
		at = &(*at)->next;
	*at = mq->next;
	mq->next = ended;
	ended = mq;
}

void tni_mq_keep(struct tni_mq *mq)
{
	lock();
	mq->references++;
	unlock();
}

void tni_mq_drop(struct tni_mq *mq)
{
	lock();
	release(mq);
	unlock();
}

/* Of the calls at it those remain that the forking thread was in. */
static void forget_calls(struct tni_mqd *descriptor)
{
	if (tni_get64(&descriptor->users) > calls)
		tni_set64(&descriptor->users, calls);
}

/* The threads that waited for notice are the parent's, and so are the registrations. */
static void fork_child(void)
{
	struct tni_mqd *descriptor, *next;
	struct tni_mq *mq, *next_mq;

	owner = getpid();
	for (mq = queues; mq; mq = mq->next) {
		mq->references = 1;
		tni_set32(&mq->serial, 0);
		pthread_mutex_init(&mq->registering, NULL);
	}
	for (descriptor = used; descriptor; descriptor = descriptor->next) {
		descriptor->mq->references++;
		forget_calls(descriptor);
	}
	for (descriptor = parted; descriptor; descriptor = descriptor->next)
		descriptor->mq->references++;
	for (descriptor = parted; descriptor; descriptor = next) {
		next = descriptor->next;
		forget_calls(descriptor);
		let_go(descriptor);
	}
	for (mq = queues; mq; mq = next_mq) {
		next_mq = mq->next;
		release(mq);
	}
	unlock();
}

static void prepare(void)
{
	owner = getpid();
	/* Whose handlers are registered later lock first. */
	tni_registry_forks();
	pthread_atfork(lock, unlock, fork_child);
	tni_mq_numbers_map();
}

static bool has_table(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, prepare);
	return tni_mq_numbers_are_there();
}

static void unlink_from(struct tni_mqd **at, const struct tni_mqd *descriptor)
{
	while (*at != descriptor)
		at = &(*at)->next;
	*at = descriptor->next;
}

/* Under the mutex: nobody is at it any more. */
static void let_go(struct tni_mqd *descriptor)
{
	struct tni_mq *mq = descriptor->mq;

	/* A late one may have looked it up in vain.  ORD(parted) */
	if (!mq || tni_get32(&descriptor->closed) == 0 || tni_load_total64(&descriptor->users) != 0)
		return;
	unlink_from(&parted, descriptor);
	descriptor->mq = NULL;
	descriptor->next = unused;
	unused = descriptor;
	release(mq);
}

/* Takes it out of the table. */
static void forget(struct tni_mqd *descriptor)
{
	unlink_from(&used, descriptor);
	tni_mq_put(descriptor->fd, NULL);
	descriptor->next = parted;
	parted = descriptor;
	tni_store_total32(&descriptor->closed, 1); /* ORD(parted) */
	/* As Linux does it, whichever descriptor was used to register.  Who withdraws is at it until that is done. */
	descriptor->withdrawn = tni_load_total32(&descriptor->mq->serial); /* ORD(parted) */
	if (descriptor->withdrawn != 0) {
		tni_fetch_add_total64(&descriptor->users, 1);
		descriptor->next_withdrawn = withdrawn;
		withdrawn = descriptor;
	}
	let_go(descriptor);
}

static int remember(int fd, int access, bool is_nonblocking, uint64_t inode, struct tni_mq *mq)
{
	struct tni_mqd *descriptor, *stale = tni_mq_known(fd);

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
	tni_mq_put(fd, descriptor);
	return 0;
}

static struct tni_mq *find_queue(uint64_t inode, uint64_t id)
{
	struct tni_mq *mq;

	for (mq = queues; mq; mq = mq->next)
		if (mq->inode == inode && mq->id == id)
			return mq;
	return NULL;
}

/* The queue of a handle, which is taken over unless the queue is open already.  NULL: there is no memory for it. */
static struct tni_mq *adopt(struct tenon_queue **queue)
{
	uint64_t inode, id;
	struct tni_mq *mq;

	tni_queue_identity(*queue, &inode, &id);
	mq = find_queue(inode, id);
	if (mq)
		return mq;
	mq = calloc(1, sizeof(*mq));
	if (!mq)
		return NULL;
	mq->queue = *queue;
	*queue = NULL;
	mq->inode = inode;
	mq->id = id;
	tni_queue_limits(mq->queue, &mq->capacity, &mq->message_bytes);
	pthread_mutex_init(&mq->registering, NULL);
	mq->next = queues;
	queues = mq;
	return mq;
}

static int add(int fd, int access, bool is_nonblocking, struct tenon_queue **queue)
{
	struct tni_mq *mq = adopt(queue);
	struct stat status;
	int result;

	if (!mq)
		return -ENOMEM;
	mq->references++;
	/* There may have been no memory for it before. */
	if (!tni_mq_numbers_are_there())
		tni_mq_numbers_map();
	if (!tni_mq_numbers_are_there())
		result = -ENOMEM;
	else if (!tni_mq_number(fd))
		result = -EMFILE;
	else if (fstat(fd, &status) != 0)
		result = -errno;
	else
		result = remember(fd, access, is_nonblocking, status.st_ino, mq);
	release(mq);
	return result;
}

int tni_mqd_add(int fd, int access, bool is_nonblocking, struct tenon_queue *queue)
{
	int result;

	(void)!has_table();
	lock();
	result = add(fd, access, is_nonblocking, &queue);
	unlock();
	tenon_queue_close(queue);
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

/* What /proc tells of a descriptor that came in a way that nobody told of. */
struct arrival {
	int fd, flags;
	uint64_t fifo; /* its inode */
	uint64_t inode, id;
	char namespace_path[PATH_MAX];
};

static bool look_at(int fd, struct arrival *ret_arrival)
{
	struct stat status;

	ret_arrival->fd = fd;
	if (!tni_mq_number(fd) ||
	    tni_pair_identify(fd, ret_arrival->namespace_path, sizeof(ret_arrival->namespace_path),
			      &ret_arrival->inode, &ret_arrival->id) != 0 ||
	    fstat(fd, &status) != 0)
		return false;
	ret_arrival->fifo = status.st_ino;
	ret_arrival->flags = fcntl(fd, F_GETFL);
	return ret_arrival->flags >= 0;
}

/* False: its queue has to be opened first. */
static bool receive(const struct arrival *arrival, struct tenon_queue **queue)
{
	struct tni_mq *mq;
	struct stat status;
	bool is_done = true;

	lock();
	mq = *queue ? adopt(queue) : find_queue(arrival->inode, arrival->id);
	if (mq) {
		mq->references++;
		/* Unless it was closed meanwhile, or another thread was faster. */
		if (!tni_mq_known(arrival->fd) && fstat(arrival->fd, &status) == 0 &&
		    status.st_ino == arrival->fifo)
			(void)!remember(arrival->fd, access_of(arrival->flags),
					(arrival->flags & O_NONBLOCK) != 0, arrival->fifo, mq);
		release(mq);
	} else {
		is_done = *queue != NULL;
	}
	unlock();
	return is_done;
}

static void recognize(int fd)
{
	struct tenon_queue *queue = NULL;
	struct arrival arrival;
	struct tni_quiet before;

	tni_quiet_begin(&before);
	if (look_at(fd, &arrival) && !receive(&arrival, &queue) &&
	    tni_queue_open_known(arrival.namespace_path, arrival.inode, arrival.id, 0, &queue) ==
		    0) {
		(void)!receive(&arrival, &queue);
		tenon_queue_close(queue);
	}
	tni_quiet_end(&before);
}

/* A call more or less at the descriptor; how many there were.  Of a process's only thread nobody else needs to see it, and
 * a handler that interrupts it leaves the number as it was. */
static inline uint64_t count_user(struct tni_mqd *descriptor, uint64_t change)
{
	uint64_t before;

	calls += (uint32_t)change;
	if (!__libc_single_threaded)
		return tni_fetch_add_total64(&descriptor->users, change);
	before = tni_get64(&descriptor->users);
	tni_set64(&descriptor->users, before + change);
	return before;
}

struct tni_mqd *tni_mqd_enter_known(int fd)
{
	for (;;) {
		struct tni_mqd *descriptor = tni_mq_known(fd);

		if (__builtin_expect(!descriptor, 0))
			return NULL;
		count_user(descriptor, 1);
		if (__builtin_expect(tni_mq_known(fd) == descriptor, 1))
			return descriptor;
		tni_mqd_leave(descriptor);
	}
}

struct tni_mqd *tni_mqd_enter(int fd)
{
	struct tni_mqd *descriptor = tni_mqd_enter_known(fd);

	if (__builtin_expect(descriptor != NULL, 1) || fd < 0 || !has_table())
		return descriptor;
	recognize(fd);
	return tni_mqd_enter_known(fd);
}

void tni_mqd_leave(struct tni_mqd *descriptor)
{
	uint64_t before = count_user(descriptor, UINT64_MAX);

	if (__builtin_expect(before != 1 || tni_load_total32(&descriptor->closed) == 0, 1))
		return; /* ORD(parted) */
	lock();
	let_go(descriptor);
	unlock();
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
	struct tni_mqd *descriptor, *next;

	if (tni_mq_is_told_all() || !is_owner())
		return;
	lock();
	for (descriptor = used; descriptor; descriptor = next) {
		next = descriptor->next;
		if (is_stale(descriptor))
			forget(descriptor);
	}
	unlock();
}

/* It was closed by a call that nobody told of.  Whether that was so; if it was closed meanwhile by one who told of it, who is
 * at it goes on. */
static bool forget_stale(struct tni_mqd *descriptor)
{
	bool is_gone = false;

	lock();
	if (tni_get32(&descriptor->closed) == 0 && is_stale(descriptor)) {
		forget(descriptor);
		is_gone = true;
	}
	unlock();
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
	uint32_t changes = tni_mq_is_told_all() ? tni_pair_flags_count(descriptor->mq->queue) : 1;
	int flags = fcntl(descriptor->fd, F_GETFL);
	/* Who does not wait learns of it with the next message at the latest; who waits might wait for ever. */
	bool is_doubtful = flags < 0 || (!(flags & O_NONBLOCK) && !tni_mq_is_told_all());

	if (is_doubtful && is_stale(descriptor) && forget_stale(descriptor))
		return -EBADF;
	if (flags >= 0 && tni_get32(&descriptor->closed) == 0) {
		bool is_set = flags & O_NONBLOCK;

		tni_set32(&descriptor->is_nonblocking, is_set);
		tni_set64(&descriptor->asked, is_set && !(changes & 1)
						      ? (uint64_t)changes << 32 | ASKED_NONBLOCKING
						      : 0);
	}
	return (int)tni_get32(&descriptor->is_nonblocking);
}

bool tni_mq_is_still(int fd)
{
	struct tni_mqd *descriptor;
	bool is_gone = false;

	if (!tni_mq_known(fd) || !is_owner())
		return tni_mq_known(fd) != NULL;
	lock();
	descriptor = tni_mq_known(fd);
	if (descriptor && is_stale(descriptor)) {
		forget(descriptor);
		is_gone = true;
	}
	unlock();
	return descriptor && !is_gone;
}

void tni_mq_closing(int fd)
{
	struct tni_mqd *descriptor;

	if (!tni_mq_known(fd) || !is_owner())
		return;
	lock();
	descriptor = tni_mq_known(fd);
	if (descriptor)
		forget(descriptor);
	unlock();
}

void tni_mq_copied(int fd, int copy)
{
	struct tni_mqd *descriptor;

	if (!tni_mq_known(fd) || !is_owner() || !tni_mq_number(copy))
		return;
	lock();
	descriptor = tni_mq_known(fd);
	if (descriptor)
		(void)!remember(copy, descriptor->access, tni_get32(&descriptor->is_nonblocking),
				descriptor->inode, descriptor->mq);
	unlock();
}
