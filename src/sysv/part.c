/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What lies in an object's header of System V, and IPC_SET:
 *
 *	set	S1 the file lets in whom it did, and whom it will	dies: the old permissions hold, which the calls ask; the
 *									file lets in more until the next IPC_SET
 *		S2 the new ones, where none are that hold		dies: the same
 *		S3 the version that makes them hold, UNSETTLED		dies: the new ones hold; who looks at them goes on at S4
 *		S4 the file's mode, the limit, the sleepers woken	dies: the same
 *		S5 the version without that
 *
 * All of it is done in turn (sysv/turn.h).  Who settles and is not the creator cannot change the file's mode.
 *
 * ORD permission: they are written before the version that makes them hold; who has read them looks whether it is still the
 * same.
 */

#include <errno.h>

#include <tenon/tenon.h>

#include "core/clock.h"
#include "sysv/identity.h"
#include "sysv/permission.h"
#include "sysv/turn.h"

#define ATTEMPTS 1000

int tni_sysv_part_of(const struct tni_object *object, uint32_t kind,
		     struct tni_sysv_part **ret_part)
{
	struct tni_sysv_part *part = (struct tni_sysv_part *)(object->base + TNI_SYSV_OFFSET);

	if (*(const volatile uint32_t *)&part->kind != kind)
		return -EINVAL;
	*ret_part = part;
	return 0;
}

int tni_sysv_read(const struct tni_sysv_part *part, struct tni_sysv_identity *ret_identity)
{
	const volatile struct tni_sysv_part *fixed = part;

	for (int attempts = 0; attempts < ATTEMPTS; attempts++) {
		uint32_t version = tni_load_acquire32(&part->version); /* ORD(permission) */
		const struct tni_sysv_permission *permission = &part->permission[version & 1];
		struct tni_sysv_identity identity = {
			.key = fixed->key,
			.id = tni_get32(&part->id) & TNI_SYSV_ID,
			.state = tni_get32(&part->state),
			.uid = tni_load_acquire32(&permission->uid), /* ORD(permission) */
			.gid = tni_load_acquire32(&permission->gid), /* ORD(permission) */
			.creator_uid = fixed->creator_uid,
			.creator_gid = fixed->creator_gid,
			/* ORD(permission) */
			.mode = tni_load_acquire32(&permission->mode) & 0777,
			.size = fixed->size,
			/* ORD(permission) */
			.changed_ns = (int64_t)tni_load_acquire64(&permission->changed_ns),
			.limit = tni_load_acquire64(&permission->limit), /* ORD(permission) */
			.is_settled = !(version & TNI_SYSV_UNSETTLED),
		};

		if (tni_get32(&part->version) != version)
			continue;
		*ret_identity = identity;
		return 0;
	}
	return -EBADMSG;
}

/* In turn.  Who is not the creator leaves the file as it is. */
static int settle(const struct tni_sysv_kind *kind, void *object, struct tni_sysv_part *part)
{
	const struct tni_object *file = object;
	struct tni_sysv_identity identity;
	int result = tni_sysv_read(part, &identity);

	if (result != 0 || identity.is_settled)
		return result;
	result = tni_sysv_let_in(file->fd, &identity, NULL);
	tni_step();
	if ((result == 0 || result == -EPERM) && kind->settle)
		result = kind->settle(object, identity.limit);
	if (result != 0 && result != -EPERM)
		return result;
	tni_step();
	tni_set32(&part->version, tni_get32(&part->version) & ~TNI_SYSV_UNSETTLED);
	return 0;
}

static int change(const struct tni_sysv_kind *kind, void *object, struct tni_sysv_part *part,
		  const struct tni_sysv_identity *to)
{
	const struct tni_object *file = object;
	uint32_t version = tni_get32(&part->version) & ~TNI_SYSV_UNSETTLED;
	struct tni_sysv_permission *next = &part->permission[(version + 1) & 1];
	struct tni_sysv_identity identity;
	int result = tni_sysv_read(part, &identity);

	if (result == 0)
		result = tni_sysv_let_in(file->fd, to, &identity);
	/* Of an owner who is not the creator: the file stays as it is. */
	if (result != 0 && result != -EPERM)
		return result;
	tni_set32(&next->uid, to->uid);
	tni_set32(&next->gid, to->gid);
	tni_set32(&next->mode, to->mode & 0777);
	tni_set64(&next->limit, to->limit);
	tni_set64(&next->changed_ns, (uint64_t)tni_stamp_ns());
	tni_step();
	/* ORD(permission) */
	tni_store_release32(&part->version, (version + 1) | TNI_SYSV_UNSETTLED);
	tni_step();
	result = settle(kind, object, part);
	/* What could not be done now is for who looks next: they hold. */
	return result == -EIDRM || result == -EBADMSG ? result : 0;
}

int tni_sysv_set(const struct tni_sysv_kind *kind, void *object, struct tni_sysv_part *part,
		 const struct tni_sysv_identity *to)
{
	const struct tni_object *file = object;
	struct tni_sysv_turn turn = {.is_taken = false};
	int result = tni_sysv_turn_take(&turn, file->fd);

	if (result == 0)
		result = change(kind, object, part, to);
	tni_sysv_turn_end(&turn);
	return result;
}

/* Whoever changes it just now settles it himself. */
int tni_sysv_settle(const struct tni_sysv_kind *kind, void *object, struct tni_sysv_part *part)
{
	const struct tni_object *file = object;
	struct tni_sysv_turn turn = {.is_taken = false};
	int result = tni_sysv_turn_try(&turn, file->fd);

	if (result == 0)
		result = settle(kind, object, part);
	tni_sysv_turn_end(&turn);
	return result;
}
