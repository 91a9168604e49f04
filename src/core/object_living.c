/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Who is alive.  Each attached process holds an open-file-description lock on one byte of the file, far behind its end; the
 * byte's number is the number of its participant entry.  The kernel drops the lock when the process ends, however it ends.
 * Nobody else ever locks that byte: an entry that is marked attached and whose byte is not locked is a dead one's, for all
 * who look, and for as long as it is marked.
 *
 * Who changes an entry that is not its own has locked another byte, the entry's: one at a time.  Nobody waits for that one.
 *
 *	attach	S1 lock the entry	dies: it is as it was
 *		S2 bury what its last owner left, if it is not marked free: S2 and S3 below
 *		S3 lock the byte	dies: the byte is not locked any more, and the entry free
 *		S4 fill in, mark attached	dies: it is a dead one's
 *		S5 unlock the entry
 *	detach	S1 give back what is held
 *		S2 let go of the stake (core/stake.c)
 *		S3 mark free
 *		S4 unlock the byte
 *	bury	S1 lock the entry of the dead, and see that it is still that	dies: it still is
 *		S2 give back what it held	dies: half of it is given back; the rest next time
 *		S3 mark free
 *		S4 unlock the entry
 *
 * Who buries may be stopped.  What is given back under a gate others may therefore give back as well, where they see under
 * that gate that it has not been, and then that its owner is dead: nobody has the entry before that gate was had for burying.
 *
 * Whoever attaches holds gates under the number of the entry that it buries, though its byte is not locked: so who is asked
 * about a holder looks at the entry's lock as well.
 *
 * A forked child lets go of the description that it inherits, and attaches anew at its first call; where it was forked while
 * another thread had opened and not yet attached, that thread does: see core/registry.c.  Of an object that lends its
 * parent has attached for it: core/object_lend.c.
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

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/file.h"
#include "core/object.h"
#include "core/registry.h"

static int byte_lock(int fd, int64_t offset, short type)
{
	struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = offset, .l_len = 1};

	return fcntl(fd, F_OFD_SETLK, &lock) == 0 ? 0 : -errno;
}

/* Of others: 0, -EAGAIN, or why that cannot be known. */
static int see_unlocked(int fd, int64_t offset)
{
	struct flock lock = {
		.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = offset, .l_len = 1};

	if (fcntl(fd, F_OFD_GETLK, &lock) != 0)
		return -errno;
	return lock.l_type == F_UNLCK ? 0 : -EAGAIN;
}

bool tni_object_is_dead(struct tni_object *object, uint32_t participant)
{
	return participant != object->participant &&
	       see_unlocked(object->fd, TNI_LIVENESS_OFFSET + participant) == 0;
}

bool tni_object_is_attached(struct tni_object *object, uint32_t participant)
{
	const struct tni_participant *entry = tni_object_participant(object, participant);

	/* ORD(participant): see above. */
	return entry && tni_load_acquire32(&entry->state) == TNI_PARTICIPANT_ATTACHED &&
	       !tni_object_is_dead(object, participant);
}

/* Somebody has it locked, but by another description.  To be asked before whether its owner is dead: who is not about to be
 * the owner any more has locked its byte by then. */
static bool is_taken(struct tni_object *object, uint32_t index)
{
	return see_unlocked(object->fd, TNI_ENTRY_LOCK_OFFSET + index) != 0;
}

bool tni_object_may_live(struct tni_object *object, uint32_t participant)
{
	return tni_get64(&object->shared->mixed) &&
	       (is_taken(object, participant) || !tni_object_is_dead(object, participant));
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

bool tni_object_thread_is_gone(struct tni_object *object, uint32_t tid, uint32_t holder)
{
	uint64_t own = own_pid_namespace();
	bool is_caller = tid == tni_thread_self()->tid;

	if (holder != UINT32_MAX && is_taken(object, holder))
		return false;
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
	tni_set64(&entry->attached_ns, (uint64_t)tni_stamp_ns());
}

/* S2 and S3 of burying, by who has locked the entry by the description `fd`.  -EAGAIN: it lives, or nobody can tell by then
 * that it does not; -ETIMEDOUT. */
static int bury(struct tni_object *object, int fd, uint32_t index, int64_t deadline_ns)
{
	struct tni_participant *entry = &object->participants[index];
	int result;

	if (see_unlocked(fd, TNI_LIVENESS_OFFSET + index) != 0)
		return -EAGAIN;
	result = object->bury(object, index, deadline_ns);
	/* ORD(participant): what was given back, before. */
	if (result == 0)
		tni_store_release32(&entry->state, TNI_PARTICIPANT_FREE);
	return result;
}

/* S2 to S4 of attaching. */
static int take(struct tni_object *object, int fd, uint32_t index, int64_t deadline_ns)
{
	struct tni_participant *entry = &object->participants[index];
	uint32_t top = tni_get32(&object->shared->participants_top);
	int result = 0;

	while (top <= index && !tni_cas32(&object->shared->participants_top, &top, index + 1))
		;
	note_namespace(object);
	if (tni_get32(&entry->state) != TNI_PARTICIPANT_FREE)
		result = bury(object, fd, index, deadline_ns);
	if (result == 0)
		result = byte_lock(fd, TNI_LIVENESS_OFFSET + index, F_WRLCK);
	if (result != 0)
		return result;
	tni_set32(&entry->blocked, 0);
	tni_set32(&entry->notice_serial, 0);
	tni_set32(&entry->attachments, 0);
	tni_set32(&entry->data_fd, 0);
	tni_object_sign(entry);
	tni_store_release32(&entry->state, TNI_PARTICIPANT_ATTACHED); /* ORD(participant) */
	return 0;
}

/* By the description `fd`, to which the locks belong.  -EAGAIN: it is another's; or its dead owner cannot be buried until
 * then. */
static int claim(struct tni_object *object, int fd, uint32_t index, int64_t deadline_ns)
{
	int result;

	if (!tni_object_participant(object, index))
		return -ENOSPC;
	result = see_unlocked(fd, TNI_LIVENESS_OFFSET + index);
	if (result == 0)
		result = byte_lock(fd, TNI_ENTRY_LOCK_OFFSET + index, F_WRLCK);
	if (result == 0) {
		result = take(object, fd, index, deadline_ns);
		byte_lock(fd, TNI_ENTRY_LOCK_OFFSET + index, F_UNLCK);
	}
	return result == -ETIMEDOUT ? -EAGAIN : result == -ENOLCK ? -ENOMEM : result;
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

void tni_object_detach(struct tni_object *object)
{
	uint32_t index = object->participant;
	bool is_clear;

	if (tni_get32(&object->generation) == 0)
		return;
	is_clear = tni_get32(&object->generation) == tni_process_generation() &&
		   object->bury(object, index, INT64_MAX) == 0;
	/* Before the entry is another's, and with it the word. */
	tni_stake_release(&object->stake, tni_thread_self(),
			  tni_file_is_shorter(object->fd, object->file_bytes));
	if (is_clear) {
		/* ORD(participant): what was given back, before. */
		tni_store_release32(&object->participants[index].state, TNI_PARTICIPANT_FREE);
		byte_lock(object->fd, TNI_LIVENESS_OFFSET + index, F_UNLCK);
	}
	tni_registry_leave(object);
}

int tni_object_recover_one(struct tni_object *object, uint32_t participant, int64_t deadline_ns)
{
	const struct tni_participant *entry;
	int result;

	if (participant >= tni_object_participants_top(object))
		return 0;
	entry = tni_object_participant(object, participant);
	/* ORD(participant): an entry that says attached is filled in. */
	if (!entry || tni_load_acquire32(&entry->state) == TNI_PARTICIPANT_FREE ||
	    !tni_object_is_dead(object, participant))
		return 0;
	/* The lock keeps out other processes; threads of this one share it. */
	if (pthread_mutex_trylock(&object->burying) != 0)
		return 0;
	result = byte_lock(object->fd, TNI_ENTRY_LOCK_OFFSET + participant, F_WRLCK);
	if (result == 0) {
		/* Its burying, or its new owner's coming, may have been seen to meanwhile. */
		if (tni_get32(&entry->state) != TNI_PARTICIPANT_FREE)
			result = bury(object, object->fd, participant, deadline_ns);
		else
			result = -EAGAIN;
		byte_lock(object->fd, TNI_ENTRY_LOCK_OFFSET + participant, F_UNLCK);
	} else {
		result = -EAGAIN;
	}
	pthread_mutex_unlock(&object->burying);
	return result == 0 ? 1 : result == -EAGAIN ? 0 : result;
}
