/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What objects this process has used, by kind and index: System V has no closing, so they stay open until they are removed,
 * or the process ends.  Calls look into the table without a lock, as in posix/mq_table.c: a call counts itself at the
 * entry that it has found, and looks once more whether the entry is still in the table; who takes it out then looks whether
 * anybody is counted.
 *
 * ORD left: who forgets says so, and then looks whether anybody is counted at it; who leaves does that and then looks
 * whether it was forgotten.  One of them sees the other, and closes the object.
 *
 * ORD entry: a handle is filled in and then put into the table; who finds it there finds the rest.
 *
 * Under the mutex nobody waits for a lock in shared memory: opening and closing are done outside.
 *
 * The kernel's objects are there for who knows an identifier, whoever it becomes meanwhile.  These are opened when they are first
 * used, with the rights of that moment: so what a process has been given identifiers of and has not used yet is opened
 * before it becomes somebody else.  A child of vfork(2) has the very same table, but descriptors of its own: what it opens is not remembered.
 *
 * What others have removed, or this process while it had it attached, this process may never call again.  So whenever it
 * has twice as many open as it had after the last time, it closes what is over.
 */

#include "sysv/table.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/single_threaded.h>
#include <unistd.h>

#include <tenon/sysv.h>

#include "core/quiet.h"
#include "core/registry.h"
#include "core/thread.h"

#define INDICES (TNI_SYSV_INDEX + 1)
#define WORD_BITS 64u
/* More than these are not opened for a user to come: they would take all descriptors and mappings. */
#define HELD_MOST 256u
#define FEW 8u

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct tni_quiet quiet; /* of the thread that has locked */
static struct tni_apointer *table;
static struct tni_sysv_handle *used, *unused, *parted;
static struct tni_a64
	given[TNI_SYSV_KINDS]
	     [INDICES / WORD_BITS]; /* by index: identifiers, of what has not been opened since */
static struct tni_a32 has_given;
static uint32_t used_count, sweep_at = 2 * FEW;
/* Of this thread, that are at an object: a handler that interrupts one of them may fork. */
static __thread uint32_t calls;

static void lock(void)
{
	struct tni_quiet before;

	tni_quiet_begin(&before);
	pthread_mutex_lock(&mutex);
	quiet = before;
}

static void unlock(void)
{
	struct tni_quiet before = quiet;

	pthread_mutex_unlock(&mutex);
	tni_quiet_end(&before);
}

static void forget_calls(struct tni_sysv_handle *handle)
{
	if (tni_get64(&handle->users) > calls)
		tni_set64(&handle->users, calls);
}

/* Calls of other threads are the parent's.  What only they kept stays open: it is no harm. */
static void fork_child(void)
{
	struct tni_sysv_handle *handle;

	for (handle = used; handle; handle = handle->next)
		forget_calls(handle);
	for (handle = parted; handle; handle = handle->next)
		forget_calls(handle);
	unlock();
}

static void prepare(void)
{
	(void)tni_memory_is_borrowed();
	/* Whose handlers are registered later lock first. */
	tni_registry_forks();
	pthread_atfork(lock, unlock, fork_child);
}

static struct tni_a64 *given_word(const struct tni_sysv_kind *kind, uint32_t index)
{
	return &given[kind->row][index / WORD_BITS];
}

static uint64_t given_bit(uint32_t index)
{
	return UINT64_C(1) << index % WORD_BITS;
}

static struct tni_apointer *entry_of(const struct tni_sysv_kind *kind, uint32_t index)
{
	return &table[kind->row * INDICES + (index & TNI_SYSV_INDEX)];
}

static bool has_table(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, prepare);
	lock();
	if (!table) {
		void *memory = mmap(NULL, TNI_SYSV_KINDS * INDICES * sizeof(*table),
				    PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

		table = memory == MAP_FAILED ? NULL : memory;
	}
	unlock();
	return table != NULL;
}

static void unlink_from(struct tni_sysv_handle **at, const struct tni_sysv_handle *handle)
{
	while (*at && *at != handle)
		at = &(*at)->next;
	if (*at)
		*at = handle->next;
}

/* Closes what nobody is at any more. */
static void let_go(struct tni_sysv_handle *handle)
{
	const struct tni_sysv_kind *kind;
	void *object = NULL;

	lock();
	/* ORD(left) */
	if (handle->object && tni_get32(&handle->closed) && tni_load_total64(&handle->users) == 0) {
		object = handle->object;
		handle->object = NULL;
		unlink_from(&parted, handle);
		handle->next = unused;
		unused = handle;
	}
	kind = handle->kind;
	unlock();
	if (object)
		kind->close(object);
}

static void count(struct tni_sysv_handle *handle)
{
	calls++;
	tni_fetch_add_total64(&handle->users, 1); /* ORD(left) */
}

void tni_sysv_leave(struct tni_sysv_handle *handle)
{
	calls--;
	tni_fetch_add_total64(&handle->users, UINT64_MAX);	    /* ORD(left) */
	if (__builtin_expect(tni_load_total32(&handle->closed), 0)) /* ORD(left) */
		let_go(handle);
}

/* What the table has, counted at. */
static struct tni_sysv_handle *find(const struct tni_sysv_kind *kind, uint32_t index)
{
	struct tni_apointer *entry = entry_of(kind, index);
	struct tni_sysv_handle *handle = tni_load_acquire_pointer(entry); /* ORD(entry) */

	if (!handle)
		return NULL;
	count(handle);
	if (__builtin_expect(tni_load_acquire_pointer(entry) == handle, 1)) /* ORD(entry) */
		return handle;
	tni_sysv_leave(handle);
	return NULL;
}

/* Locked. */
static void part(struct tni_sysv_handle *handle)
{
	struct tni_apointer *entry = entry_of(handle->kind, handle->id);

	/* ORD(entry) */
	if (tni_load_acquire_pointer(entry) == handle)
		tni_store_release_pointer(entry, NULL); /* ORD(entry) */
	handle->next = parted;
	parted = handle;
	used_count--;
	tni_store_total32(&handle->closed, 1); /* ORD(left) */
}

void tni_sysv_forget(struct tni_sysv_handle *handle)
{
	lock();
	if (!tni_get32(&handle->closed)) {
		unlink_from(&used, handle);
		part(handle);
	}
	unlock();
}

/* The one in the table may be of an identifier that is not any more. */
static bool is_over(const struct tni_sysv_handle *handle)
{
	return tni_get32(&handle->part->state) & TNI_SYSV_REMOVED ||
	       handle->kind->is_ended(handle->object);
}

/* One that nobody is at and nobody will be. */
static struct tni_sysv_handle *find_left(void)
{
	struct tni_sysv_handle *handle;

	lock();
	handle = parted;
	while (handle && tni_load_total64(&handle->users) != 0) /* ORD(left) */
		handle = handle->next;
	unlock();
	return handle;
}

/* Closes what is over. */
static void sweep(void)
{
	struct tni_sysv_handle **link = &used, *handle;

	lock();
	while (*link) {
		handle = *link;
		if (is_over(handle)) {
			*link = handle->next;
			part(handle);
		} else {
			link = &handle->next;
		}
	}
	sweep_at = 2 * (used_count > FEW ? used_count : FEW);
	unlock();
	while ((handle = find_left()) != NULL)
		let_go(handle);
}

/* Opens what has the name now. */
static int open_index(const struct tni_sysv_kind *kind, uint32_t index, void **ret_object,
		      struct tni_sysv_identity *ret_identity, struct tni_sysv_part **ret_part)
{
	char name[TNI_SYSV_NAME_BYTES];
	struct tni_sysv_part *part;
	void *object;
	int result;

	tni_sysv_name(index, name);
	result = kind->open(name, &object);
	if (result == -EIDRM)
		(void)!tni_sysv_tidy(kind, index);
	if (result != 0)
		return result == -ENOENT || result == -EIDRM || result == -EISDIR ? -EINVAL
										  : result;
	result = tni_sysv_part_of(object, kind->kind, &part);
	if (result == 0)
		result = tni_sysv_read(part, ret_identity);
	if (result == 0 && (ret_identity->state & TNI_SYSV_REMOVED || kind->is_ended(object))) {
		(void)!tni_sysv_tidy(kind, index);
		result = -EINVAL;
	}
	if (result == 0 && (ret_identity->id & TNI_SYSV_INDEX) != index)
		result = -EINVAL;
	if (result != 0) {
		kind->close(object);
		return result;
	}
	*ret_object = object;
	*ret_part = part;
	return 0;
}

/* A handle of what was opened; locked.  NULL: there is no memory. */
static struct tni_sysv_handle *make(const struct tni_sysv_kind *kind, void *object,
				    const struct tni_sysv_identity *identity,
				    struct tni_sysv_part *part)
{
	struct tni_sysv_handle *handle = unused;

	if (handle)
		unused = handle->next;
	else
		handle = calloc(1, sizeof(*handle));
	if (!handle)
		return NULL;
	tni_set32(&handle->closed, 0);
	tni_set64(&handle->granted, 0);
	handle->kind = kind;
	handle->object = object;
	handle->part = part;
	handle->id = identity->id;
	handle->size = identity->size;
	return handle;
}

/* Puts what was opened into the table, in the place of one that is over; another thread may have been faster. */
static int remember(const struct tni_sysv_kind *kind, uint32_t index, void *object,
		    const struct tni_sysv_identity *identity, struct tni_sysv_part *part)
{
	struct tni_apointer *entry = entry_of(kind, index);
	struct tni_sysv_handle *handle, *other;
	bool is_many;

	lock();
	other = tni_load_acquire_pointer(entry); /* ORD(entry) */
	handle = other ? NULL : make(kind, object, identity, part);
	if (!handle) {
		unlock();
		kind->close(object);
		return other ? 0 : -ENOMEM;
	}
	handle->next = used;
	used = handle;
	tni_store_release_pointer(entry, handle); /* ORD(entry) */
	tni_fetch_and64(given_word(kind, index), ~given_bit(index));
	is_many = ++used_count >= sweep_at;
	unlock();
	if (is_many)
		sweep();
	return 0;
}

int tni_sysv_enter_index(const struct tni_sysv_kind *kind, uint32_t index,
			 struct tni_sysv_handle **ret_handle)
{
	/* Opening has cancellation points. */
	TNI_NO_CANCEL;
	bool is_borrowed;

	if (index > TNI_SYSV_INDEX)
		return -EINVAL;
	if (!has_table())
		return -ENOMEM;
	is_borrowed = tni_memory_is_borrowed();
	for (int attempts = 0; attempts < 100; attempts++) {
		struct tni_sysv_handle *handle = find(kind, index);
		struct tni_sysv_identity identity;
		struct tni_sysv_part *part;
		void *object;
		int result;

		if (handle && !is_over(handle)) {
			*ret_handle = handle;
			return 0;
		}
		if (handle && !is_borrowed)
			tni_sysv_forget(handle);
		if (handle)
			tni_sysv_leave(handle);
		if (is_borrowed)
			return tni_sysv_look_at(kind, index, ret_handle);
		result = open_index(kind, index, &object, &identity, &part);
		if (result == 0)
			result = remember(kind, index, object, &identity, part);
		if (result != 0)
			return result;
	}
	return -EAGAIN;
}

int tni_sysv_enter_inode(const struct tni_sysv_kind *kind, uint64_t inode,
			 struct tni_sysv_handle **ret_handle)
{
	struct tni_sysv_handle *handle;

	lock();
	for (handle = used; handle; handle = handle->next) {
		const struct tni_object *object = handle->object;

		if (handle->kind == kind && object->inode == inode && !is_over(handle)) {
			count(handle);
			break;
		}
	}
	unlock();
	*ret_handle = handle;
	return handle ? 0 : -ENOENT;
}

void tni_sysv_give(const struct tni_sysv_kind *kind, int id)
{
	uint32_t index = (uint32_t)id & TNI_SYSV_INDEX;
	const struct tni_sysv_handle *handle;

	if (!has_table())
		return;
	handle = tni_load_acquire_pointer(entry_of(kind, index)); /* ORD(entry) */
	/* What is open already is in reach. */
	if (handle && handle->id == (uint32_t)id)
		return;
	tni_fetch_or64(given_word(kind, index), given_bit(index));
	tni_set32(&has_given, 1);
}

/* Whether there was one to be opened. */
static bool hold(const struct tni_sysv_kind *kind, uint32_t index)
{
	struct tni_sysv_handle *handle;

	if (tni_sysv_enter_index(kind, index, &handle) != 0)
		return false;
	tni_sysv_leave(handle);
	return true;
}

void tenon_sysv_hold(void)
{
	static const struct tni_sysv_kind *const kinds[TNI_SYSV_KINDS] = {
		&tni_sysv_msg, &tni_sysv_sem, &tni_sysv_shm};
	int error = errno;
	uint32_t held = 0;

	if (__builtin_expect(tni_get32(&has_given) == 0, 1) || tni_memory_is_borrowed())
		return;
	tni_set32(&has_given, 0);
	for (uint32_t i = 0; i < TNI_SYSV_KINDS * INDICES / WORD_BITS; i++) {
		const struct tni_sysv_kind *kind = kinds[i / (INDICES / WORD_BITS)];
		uint32_t at = i % (INDICES / WORD_BITS);
		uint64_t bits = tni_get64(&given[kind->row][at]);

		tni_fetch_and64(&given[kind->row][at], ~bits);
		for (; bits != 0 && held < HELD_MOST; bits &= bits - 1)
			held += hold(kind, at * WORD_BITS + (uint32_t)__builtin_ctzll(bits));
	}
	errno = error;
}

int tni_sysv_look_at(const struct tni_sysv_kind *kind, uint32_t index,
		     struct tni_sysv_handle **ret_handle)
{
	/* Opening has cancellation points. */
	TNI_NO_CANCEL;
	struct tni_sysv_identity identity;
	struct tni_sysv_handle *handle;
	struct tni_sysv_part *part;
	void *object;
	int result;

	if (index > TNI_SYSV_INDEX)
		return -EINVAL;
	if (!has_table())
		return -ENOMEM;
	handle = find(kind, index);
	if (handle && !is_over(handle)) {
		*ret_handle = handle;
		return 0;
	}
	if (handle)
		tni_sysv_leave(handle);
	result = open_index(kind, index, &object, &identity, &part);
	if (result != 0)
		return result;
	lock();
	handle = make(kind, object, &identity, part);
	if (handle) {
		handle->next = parted;
		parted = handle;
		count(handle);
		tni_store_total32(&handle->closed, 1); /* ORD(left) */
	}
	unlock();
	if (!handle)
		kind->close(object);
	*ret_handle = handle;
	return handle ? 0 : -ENOMEM;
}

int tni_sysv_enter_slow(const struct tni_sysv_kind *kind, int id,
			struct tni_sysv_handle **ret_handle)
{
	uint32_t index = (uint32_t)id & TNI_SYSV_INDEX;
	bool is_other = true;

	for (int attempts = 0; id >= 0 && is_other && attempts < 2; attempts++) {
		int result = tni_sysv_enter_index(kind, index, ret_handle);

		if (result != 0 || (*ret_handle)->id == (uint32_t)id)
			return result;
		/* Of one whose name was removed, as that of any object is, the index may have come again. */
		is_other = !tni_sysv_has_name((*ret_handle)->object, kind->kind, index);
		if (is_other)
			tni_sysv_forget(*ret_handle);
		tni_sysv_leave(*ret_handle);
	}
	return -EINVAL;
}

int tni_sysv_enter(const struct tni_sysv_kind *kind, int id, struct tni_sysv_handle **ret_handle)
{
	struct tni_sysv_handle *handle;

	if (__builtin_expect(table && id >= 0, 1)) {
		handle = find(kind, (uint32_t)id);
		/* Of one that somebody has begun to end it has to be looked whether it is. */
		if (__builtin_expect(handle && handle->id == (uint32_t)id &&
					     tni_get32(&handle->part->state) == TNI_SYSV_BORN,
				     1)) {
			*ret_handle = handle;
			return 0;
		}
		if (handle)
			tni_sysv_leave(handle);
	}
	return tni_sysv_enter_slow(kind, id, ret_handle);
}

int tni_sysv_admit_slow(struct tni_sysv_handle *handle, uint32_t wanted)
{
	struct tni_sysv_identity identity;
	uint32_t granted = 0;
	uint64_t grant;
	int result = tni_sysv_read(handle->part, &identity);

	/* What cannot be done now is for the next call. */
	if (result == 0 && !identity.is_settled)
		(void)!tni_sysv_settle(handle->kind, handle->object, handle->part);
	/* As of before it is read: what changes meanwhile is another version. */
	grant = tni_sysv_grant(handle);
	if (result == 0)
		result = tni_sysv_read(handle->part, &identity);
	if (result != 0)
		return result;
	if (tni_sysv_is_granted(&identity, TNI_SYSV_READ))
		granted |= TNI_SYSV_READ;
	if (tni_sysv_is_granted(&identity, TNI_SYSV_WRITE))
		granted |= TNI_SYSV_WRITE;
	if (!(grant & TNI_SYSV_UNSETTLED))
		tni_set64(&handle->granted, grant | granted);
	return (granted & wanted) == wanted ? 0 : -EACCES;
}
