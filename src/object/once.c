/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Once: a lock (object/lock.c) that is held by who does it, and that says at last that it is done.
 *
 *	done	D1 state := DONE	dies: the next owner finds it done
 *		D2 the lock released	dies: all that waits is woken, one after the other
 *
 * ORD once: what was done is released with the state, and acquired by who finds it there.
 */

#include <tenon/once.h>

#include <errno.h>

#include "object/lock.h"
#include "object/options.h"
#include "object/place.h"

struct tenon_once {
	struct tenon_lock lock; /* first */
};

static bool is_possible(uint32_t flags, uint32_t limit)
{
	return flags == 0 && limit == 0;
}

const struct tni_sync_kind tni_once_kind = {
	.named = TNI_SYNC_KIND(TENON_KIND_ONCE), .is_held_long = true, .is_possible = is_possible};

int tenon_once_open(const char *namespace_path, const char *name, uint32_t flags,
		    const struct tenon_sync_options *options, struct tenon_once **ret_once)
{
	return tni_sync_open_named(&tni_once_kind, sizeof(struct tenon_once), namespace_path, name,
				   flags, options, 0, 0, ret_once);
}

int tenon_once_open_at(struct tenon_region *region, uint64_t offset, uint32_t flags,
		       const struct tenon_sync_options *options, struct tenon_once **ret_once)
{
	return tni_sync_open_at(&tni_once_kind, sizeof(struct tenon_once), region, offset, flags,
				options, 0, 0, ret_once);
}

struct tenon_once *tenon_once_close(struct tenon_once *once)
{
	if (once)
		tni_lock_close(&once->lock);
	return NULL;
}

int tenon_once_remove(const char *namespace_path, const char *name)
{
	return tni_named_remove(TENON_KIND_ONCE, namespace_path, name, NULL);
}

int tenon_once_begin(struct tenon_once *once, int64_t deadline_ns, uint32_t *ret_what)
{
	struct tni_thread *thread = tni_thread_self();
	int result;

	if (!once || !ret_what)
		return -EINVAL;
	result = tni_sync_begin(&once->lock.sync, thread);
	if (result != 0)
		return result;
	/* ORD(once) */
	if (tni_load_acquire32(&tni_lock_words(&once->lock)->state) == TNI_LOCK_DONE)
		result = -EALREADY;
	else
		result = tenon_lock_acquire(&once->lock, deadline_ns);
	switch (result) {
	case 0:
		*ret_what = TENON_ONCE_FIRST;
		return 0;
	case -EOWNERDEAD:
		*ret_what = TENON_ONCE_AGAIN;
		return 0;
	case -EALREADY:
		*ret_what = TENON_ONCE_DONE;
		return 0;
	case -ENOTRECOVERABLE: /* no lock of this kind is given up */
		return tni_sync_damaged(&once->lock.sync);
	default:
		return result;
	}
}

static int end(struct tenon_once *once, bool is_done)
{
	struct tni_thread *thread = tni_thread_self();

	if (!once)
		return -EINVAL;
	if (!tni_lock_is_held(&once->lock, thread))
		return -EPERM;
	if (is_done)
		/* ORD(once) */
		tni_store_release32(&tni_lock_words(&once->lock)->state, TNI_LOCK_DONE);
	tni_lock_let_go(&once->lock, thread);
	return 0;
}

int tenon_once_done(struct tenon_once *once)
{
	return end(once, true);
}

int tenon_once_failed(struct tenon_once *once)
{
	return end(once, false);
}

int tenon_once_status(struct tenon_once *once, struct tenon_once_status *ret_status)
{
	struct tenon_once_status status = {.size = sizeof(status)};
	struct tenon_lock_status lock = {.size = sizeof(lock)};
	struct tni_sync_status common;
	int result;

	if (!once || tni_status_check(ret_status) != 0)
		return -EINVAL;
	result = tenon_lock_status(&once->lock, &lock);
	if (result != 0)
		return result;
	tni_sync_describe(&once->lock.sync, TNI_CLASS_BIT(TNI_CLASS_LOCK_0), &common);
	TNI_SYNC_STATUS_COPY(&status, &common);
	status.is_done = lock.state == TNI_LOCK_DONE;
	status.owner_pid = lock.owner_pid;
	status.owner_deaths = lock.owner_deaths;
	status.owner_died = lock.state == TNI_LOCK_OWNER_DIED;
	tni_status_write(ret_status, &status, sizeof(status));
	return 0;
}

struct look {
	int (*visit)(const struct tenon_once_user *user, void *context);
	void *context;
};

static int visit_user(const struct tenon_lock_user *lock_user, void *context)
{
	const struct look *look = context;
	struct tenon_once_user user = {.pid = lock_user->pid,
				       .is_doing = lock_user->depth > 0,
				       .waiting = lock_user->waiting};

	return user.is_doing || user.waiting ? look->visit(&user, look->context) : 0;
}

int tenon_once_users(struct tenon_once *once,
		     int (*visit)(const struct tenon_once_user *user, void *context), void *context)
{
	struct look look = {visit, context};

	return once && visit ? tenon_lock_users(&once->lock, visit_user, &look) : -EINVAL;
}
