/* SPDX-License-Identifier: Apache-2.0 */

#include "sysv/status.h"

#include <errno.h>

#include <tenon/sysv.h>

#include "core/quiet.h"
#include "object/options.h"

void tni_sysv_fill(const struct tni_sysv_identity *identity, struct ipc_perm *ret_permission)
{
	ret_permission->__key = (key_t)identity->key;
	ret_permission->uid = identity->uid;
	ret_permission->gid = identity->gid;
	ret_permission->cuid = identity->creator_uid;
	ret_permission->cgid = identity->creator_gid;
	ret_permission->mode = (unsigned short)identity->mode;
	ret_permission->__seq = (unsigned short)(identity->id >> TNI_SYSV_INDEX_BITS);
}

int tni_sysv_change(struct tni_sysv_handle *handle, const struct ipc_perm *permission,
		    uint64_t limit)
{
	struct tni_sysv_identity identity;
	int result = tni_sysv_read(handle->part, &identity);

	if (result == 0 && !tni_sysv_is_owner(&identity))
		result = -EPERM;
	if (result == 0 && (permission->uid == UINT32_MAX || permission->gid == UINT32_MAX))
		result = -EINVAL;
	if (result != 0)
		return result;
	identity.uid = permission->uid;
	identity.gid = permission->gid;
	identity.mode = permission->mode & 0777;
	identity.limit = limit;
	return tni_sysv_set(handle->kind, handle->object, handle->part, &identity);
}

int tni_sysv_enter_to_change(const struct tni_sysv_kind *kind, int id,
			     struct tni_sysv_handle **ret_handle)
{
	int result = tni_sysv_enter(kind, id, ret_handle);

	return result == -EACCES ? -EPERM : result;
}

static int end_entered(struct tni_sysv_handle *handle)
{
	struct tni_sysv_identity identity;
	int result = tni_sysv_read(handle->part, &identity);

	if (result == 0 && !tni_sysv_is_owner(&identity))
		result = -EPERM;
	if (result == 0)
		result = tni_sysv_remove(handle->kind, handle->object, handle->part);
	if (result == 0 && handle->kind->is_ended(handle->object))
		tni_sysv_forget(handle);
	return tni_sysv_learn(handle, result);
}

int tni_sysv_end(const struct tni_sysv_kind *kind, int id)
{
	struct tni_sysv_handle *handle;
	int result = tni_sysv_enter_to_change(kind, id, &handle);

	if (result == -ENOSPC || result == -ENOMEM)
		return tni_sysv_remove_closed(kind, (uint32_t)id);
	if (result != 0)
		return result;
	result = end_entered(handle);
	tni_sysv_leave(handle);
	return result;
}

int tni_sysv_look(const struct tni_sysv_kind *kind, int id, bool by_index, bool is_any,
		  struct tni_sysv_handle **ret_handle, struct tni_sysv_identity *ret_identity)
{
	int result = by_index ? tni_sysv_look_at(kind, (uint32_t)id, ret_handle)
			      : tni_sysv_enter(kind, id, ret_handle);

	if (result != 0)
		return result;
	result = tni_sysv_read((*ret_handle)->part, ret_identity);
	if (result == 0 && !ret_identity->is_settled)
		(void)!tni_sysv_settle(kind, (*ret_handle)->object, (*ret_handle)->part);
	if (result == 0 && !is_any)
		result = tni_sysv_admit(*ret_handle, TNI_SYSV_READ);
	if (result != 0) {
		tni_sysv_leave(*ret_handle);
		return result;
	}
	return by_index ? (int)(*ret_handle)->id : 0;
}

struct count {
	uint32_t count, highest;
};

static int count_one(uint32_t index, void *context)
{
	struct count *count = context;

	count->count++;
	if (index > count->highest)
		count->highest = index;
	return 0;
}

int tni_sysv_count(const struct tni_sysv_kind *kind, uint32_t *ret_count)
{
	struct count count = {.count = 0};
	int result = tni_sysv_list(kind, count_one, &count);

	if (result != 0)
		return result;
	*ret_count = count.count;
	return (int)count.highest;
}

int tni_sysv_learn(struct tni_sysv_handle *handle, int result)
{
	if (__builtin_expect(result == -EIDRM, 0)) {
		(void)!tni_sysv_tidy(handle->kind, handle->id & TNI_SYSV_INDEX);
		tni_sysv_forget(handle);
	}
	return result;
}

static const struct tni_sysv_kind *kind_of(uint32_t kind)
{
	switch (kind) {
	case TENON_KIND_QUEUE:
		return &tni_sysv_msg;
	case TENON_KIND_SEMAPHORE_SET:
		return &tni_sysv_sem;
	case TENON_KIND_SEGMENT:
		return &tni_sysv_shm;
	default:
		return NULL;
	}
}

int tenon_sysv_name(int id, char ret_name[TENON_SYSV_NAME_BYTES])
{
	if (id < 0 || !ret_name)
		return -EINVAL;
	tni_sysv_name((uint32_t)id, ret_name);
	return 0;
}

int tenon_sysv_identify(uint32_t kind, const char *name, struct tenon_sysv_identity *ret_identity)
{
	struct tenon_sysv_identity answer = {.size = sizeof(answer)};
	struct tni_sysv_identity identity;
	TNI_NO_CANCEL;
	int result = tni_status_check(ret_identity);

	if (result == 0 && !kind_of(kind))
		result = -EINVAL;
	if (result == 0)
		result = tni_sysv_identify(kind, name, &identity);
	if (result != 0)
		return result;
	answer.id = (int32_t)identity.id;
	answer.key = (int32_t)identity.key;
	answer.uid = identity.uid;
	answer.gid = identity.gid;
	answer.creator_uid = identity.creator_uid;
	answer.creator_gid = identity.creator_gid;
	answer.mode = identity.mode;
	answer.changed_ns = identity.changed_ns;
	if (tni_sysv_is_granted(&identity, TNI_SYSV_READ))
		answer.granted |= TNI_SYSV_READ;
	if (tni_sysv_is_granted(&identity, TNI_SYSV_WRITE))
		answer.granted |= TNI_SYSV_WRITE;
	tni_status_write(ret_identity, &answer, sizeof(answer));
	return 0;
}

int tenon_sysv_remove(uint32_t kind, const char *name)
{
	const struct tni_sysv_kind *of = kind_of(kind);
	struct tni_sysv_identity identity;
	TNI_NO_CANCEL;
	int result = of ? tni_sysv_identify(kind, name, &identity) : -EINVAL;

	/* Damaged: its name is for who removes it as any object. */
	if (result == -EINVAL && of)
		tni_sysv_take_beside(of, name);
	if (result != 0)
		return result;
	result = tni_sysv_end(of, (int)identity.id);
	return result == -EINVAL ? -ENOENT : result;
}
