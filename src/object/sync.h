/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TNI_OBJECT_SYNC_H
#define TNI_OBJECT_SYNC_H

/* What all synchronization objects that have a file of their own have in common. */

#include <tenon/tenon.h>

#include "abi/sync.h"
#include "core/gate.h"
#include "core/object.h"
#include "object/named.h"

struct tni_sync {
	struct tni_object object; /* first */
	struct tni_gatehouse house;
	struct tni_cell *cell;
	uint32_t flags; /* checked copy */
	/* while it is opened */
	const struct tni_kind *kind;
	uint32_t flags_known;
	struct tenon_sync_options making;
};

/* For a kind's struct tni_kind. */
int tni_sync_make(int directory_fd, const char *file_name, const char *name, void *context,
		  uint64_t *ret_inode);
int tni_sync_open(int directory_fd, const char *file_name, void *context);
void tni_sync_close(void *context);

/* Opens a handle whose first member is `sync`, zeroed but for kind and flags_known. */
int tni_sync_open_named(struct tni_sync *sync, const char *namespace_path, const char *name,
			uint32_t flags, const struct tenon_sync_options *options);

/* How many living processes have it open, and how many of these have a thread asleep for a class. */
void tni_sync_count(struct tni_sync *sync, uint32_t class, uint32_t *ret_attached,
		    uint32_t *ret_asleep);

/* Before a call: attaches anew in a child. */
static inline int tni_sync_begin(struct tni_sync *sync, const struct tni_thread *thread)
{
	if (__builtin_expect(tni_get32(&sync->object.generation) == thread->generation, 1))
		return 0;
	return tni_object_reattach(&sync->object);
}

#endif
