/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TNI_SYSV_TABLE_H
#define TNI_SYSV_TABLE_H

/* The objects of System V that this process has used, by identifier.  See sysv/table.c. */

#include <stdbool.h>
#include <stdint.h>

#include "abi/atomic.h"
#include "sysv/identity.h"
#include "sysv/permission.h"

/* Their memory is used again, and never given back: whoever looks one up may be late. */
struct tni_sysv_handle {
	struct tni_a64 users;	/* calls that are at it */
	struct tni_a32 closed;	/* 1: the last of them closes the object */
	struct tni_a64 granted; /* as of which version and credentials, and what: table.c */
	const struct tni_sysv_kind *kind;
	void *object; /* its first member is a struct tni_object */
	struct tni_sysv_part *part;
	uint32_t id;
	uint64_t size; /* checked copy */
	struct tni_sysv_handle *next;
};

/*
 * The object of an identifier, until tni_sysv_leave().  -EINVAL there is none, -EACCES it cannot be
 * opened, or as opening it says.  The quick way is in line.
 */
int tni_sysv_enter_slow(const struct tni_sysv_kind *kind, int id,
			struct tni_sysv_handle **ret_handle);
void tni_sysv_leave(struct tni_sysv_handle *handle);

/* By index instead of identifier; and for who only looks at it: what this process does not have is
 * opened for that, and closed when it is left. */
int tni_sysv_enter_index(const struct tni_sysv_kind *kind, uint32_t index,
			 struct tni_sysv_handle **ret_handle);
int tni_sysv_look_at(const struct tni_sysv_kind *kind, uint32_t index,
		     struct tni_sysv_handle **ret_handle);

/* By inode, among those that are open.  -ENOENT. */
int tni_sysv_enter_inode(const struct tni_sysv_kind *kind, uint64_t inode,
			 struct tni_sysv_handle **ret_handle);

/* The program has been given the identifier: see tenon_sysv_hold(). */
void tni_sysv_give(const struct tni_sysv_kind *kind, int id);

/* Forgets the object, which is ended; the handle is still to be left. */
void tni_sysv_forget(struct tni_sysv_handle *handle);

/* Whether it may be used for that: TNI_SYSV_READ, TNI_SYSV_WRITE.  0, -EACCES; -EBADMSG. */
int tni_sysv_admit_slow(struct tni_sysv_handle *handle, uint32_t wanted);

int tni_sysv_enter(const struct tni_sysv_kind *kind, int id, struct tni_sysv_handle **ret_handle);

/* None of permissions that are not settled, which admit_slow() is for. */
static inline uint64_t tni_sysv_grant(const struct tni_sysv_handle *handle)
{
	uint32_t version = tni_get32(&handle->part->version);

	return (uint64_t)tni_sysv_credentials() << 32 | (version & TNI_SYSV_UNSETTLED) |
	       (version & 0x0fffffff) << 3;
}

static inline int tni_sysv_admit(struct tni_sysv_handle *handle, uint32_t wanted)
{
	uint64_t granted = tni_get64(&handle->granted);

	if (__builtin_expect((granted & ~UINT64_C(7)) == tni_sysv_grant(handle) &&
				     (granted & wanted) == wanted,
			     1))
		return 0;
	return tni_sysv_admit_slow(handle, wanted);
}

#endif
