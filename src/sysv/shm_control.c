/* SPDX-License-Identifier: Apache-2.0 */

/* shmctl(2). */

#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <tenon/sysv.h>

#include "core/clock.h"
#include "core/quiet.h"
#include "sysv/errmap.h"
#include "sysv/limits.h"
#include "sysv/shm.h"
#include "sysv/status.h"

#ifndef SHM_DEST
#define SHM_DEST 01000
#define SHM_LOCKED 02000
#endif
#ifndef SHM_STAT_ANY
#define SHM_STAT_ANY 15
#endif

static time_t seconds(const struct tni_a64 *at_ns)
{
	return (time_t)(tni_get64(at_ns) / (uint64_t)TNI_SECOND_NS);
}

static void fill(struct tenon_segment *segment, const struct tni_sysv_identity *identity,
		 struct shmid_ds *ret_status)
{
	const struct tni_segment_control *control = segment->control;
	uint32_t state = tni_get32(&control->state);
	struct shmid_ds answer;

	/* Who died, and when: as far as nobody has looked before. */
	tni_segment_mend(segment);
	memset(&answer, 0, sizeof(answer));
	tni_sysv_fill(identity, &answer.shm_perm);
	if (state & TNI_SEGMENT_REMOVED) {
		answer.shm_perm.mode |= SHM_DEST;
		answer.shm_perm.__key = IPC_PRIVATE;
	}
	if (state & TNI_SEGMENT_LOCKED)
		answer.shm_perm.mode |= SHM_LOCKED;
	answer.shm_segsz = segment->bytes;
	answer.shm_atime = seconds(&control->attached_ns);
	answer.shm_dtime = seconds(&control->detached_ns);
	answer.shm_ctime = identity->changed_ns / TNI_SECOND_NS;
	answer.shm_cpid = (pid_t)segment->creator_pid;
	answer.shm_lpid = (pid_t)tni_get32(&control->last_pid);
	answer.shm_nattch = tni_segment_count(segment);
	*ret_status = answer;
}

static int stat_segment(int id, int command, struct shmid_ds *ret_status)
{
	struct tni_sysv_identity identity;
	struct tni_sysv_handle *handle;
	struct tenon_segment *segment;
	int result = tni_sysv_look(&tni_sysv_shm, id, command != IPC_STAT, command == SHM_STAT_ANY,
				   &handle, &identity),
	    begun;

	if (result < 0)
		return result;
	segment = handle->object;
	begun = tni_segment_begin(segment);
	if (begun == 0 && tni_get32(&segment->broken))
		begun = -EIO;
	if (begun == 0 && !ret_status)
		begun = -EFAULT;
	if (begun == 0)
		fill(segment, &identity, ret_status);
	tni_sysv_leave(handle);
	return begun == 0 ? result : begun;
}

uint64_t tni_sysv_shm_memory(uint32_t index)
{
	struct tni_sysv_handle *handle;
	uint64_t bytes = 0;

	if (tni_sysv_look_at(&tni_sysv_shm, index, &handle) == 0) {
		bytes = tni_segment_memory(handle->object);
		tni_sysv_leave(handle);
	}
	return bytes;
}

struct sum {
	uint32_t count, highest;
	uint64_t pages, resident;
};

/* One that cannot be opened is counted as well. */
static int add_up(uint32_t index, void *context)
{
	struct tni_sysv_handle *handle;
	struct sum *sum = context;
	int result = tni_sysv_look_at(&tni_sysv_shm, index, &handle);

	if (result == -EINVAL)
		return 0;
	sum->count++;
	if (index > sum->highest)
		sum->highest = index;
	if (result == 0) {
		sum->pages += tni_page_up(handle->size) / TNI_PAGE_BYTES;
		sum->resident += tni_segment_memory(handle->object) / TNI_PAGE_BYTES;
		tni_sysv_leave(handle);
	}
	return 0;
}

bool tni_sysv_shm_fits(uint64_t bytes)
{
	uint64_t most = tni_sysv_segments_pages();
	struct sum sum = {.count = 0};

	/* By default it is more than there can be. */
	if (most >= UINT64_MAX / TNI_PAGE_BYTES)
		return true;
	(void)!tni_sysv_list(&tni_sysv_shm, add_up, &sum);
	return sum.pages + tni_page_up(bytes) / TNI_PAGE_BYTES <= most;
}

static int inform(int command, void *ret_information)
{
	uint32_t most = tni_sysv_segments_most();
	struct shminfo limits = {.shmmax = tni_sysv_segment_bytes(),
				 .shmmin = 1,
				 .shmmni = most,
				 .shmseg = most,
				 .shmall = tni_sysv_segments_pages()};
	struct shm_info used;
	struct sum sum = {.count = 0};
	int result = tni_sysv_list(&tni_sysv_shm, add_up, &sum);

	if (result == 0 && !ret_information)
		result = -EFAULT;
	if (result != 0)
		return result;
	memset(&used, 0, sizeof(used));
	used.used_ids = (int)sum.count;
	used.shm_tot = sum.pages;
	used.shm_rss = sum.resident;
	if (command == SHM_INFO)
		memcpy(ret_information, &used, sizeof(used));
	else
		memcpy(ret_information, &limits, sizeof(limits));
	return (int)sum.highest;
}

/* Who may is the owner whom his limit allows any, or the privileged. */
static int lock_memory(struct tni_sysv_handle *handle, bool keeps)
{
	struct tenon_segment *segment = handle->object;
	struct tni_sysv_identity identity;
	struct rlimit limit;
	uid_t self = geteuid();
	int result = tni_sysv_read(handle->part, &identity);

	if (result != 0)
		return result;
	if (!tni_sysv_is_capable(CAP_IPC_LOCK)) {
		if (self != identity.uid && self != identity.creator_uid)
			return -EPERM;
		if (keeps && getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur == 0)
			return -EPERM;
	}
	/* Huge pages are never swapped out, and Linux does not note it. */
	return TNI_SEGMENT_HUGE(segment->flags) != 0 ? 0 : tni_segment_lock_memory(segment, keeps);
}

static int control_entered(struct tni_sysv_handle *handle, int command,
			   const struct shmid_ds *status)
{
	struct ipc_perm permission;

	switch (command) {
	case IPC_SET:
		permission = status->shm_perm;
		return tni_sysv_change(handle, &permission, TNI_SYSV_NO_LIMIT);
	default:
		return lock_memory(handle, command == SHM_LOCK);
	}
}

static int control(int id, int command, struct shmid_ds *status)
{
	struct tni_sysv_handle *handle;
	int result;

	if (id < 0)
		return -EINVAL;
	if (command == IPC_SET && !status)
		return -EFAULT;
	if (command == IPC_INFO || command == SHM_INFO)
		return inform(command, status);
	if (command == IPC_STAT || command == SHM_STAT || command == SHM_STAT_ANY)
		return stat_segment(id, command, status);
	if (command == IPC_RMID)
		return tni_sysv_end(&tni_sysv_shm, id);
	if (command != IPC_SET && command != SHM_LOCK && command != SHM_UNLOCK)
		return -EINVAL;
	result = tni_sysv_shm_enter(id, &handle);
	/* None of these is for who is neither owner nor creator, whom alone the file may keep out. */
	if (result != 0)
		return result == -EACCES ? -EPERM : result;
	result = tni_sysv_learn(handle, control_entered(handle, command, status));
	tni_sysv_leave(handle);
	return result;
}

int tenon_shmctl(int id, int command, struct shmid_ds *status)
{
	int error = errno;
	TNI_NO_CANCEL;

	tenon_sysv_credentials();
	return (int)tni_sysv_finish(control(id, command, status), error);
}
