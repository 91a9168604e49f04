/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TNI_SYSV_STATUS_H
#define TNI_SYSV_STATUS_H

/* What the *ctl calls of all kinds have in common. */

#include <stdint.h>
#include <sys/ipc.h>

#include "sysv/identity.h"
#include "sysv/table.h"

/* What IPC_STAT says of who may do what. */
void tni_sysv_fill(const struct tni_sysv_identity *identity, struct ipc_perm *ret_permission);

/* IPC_SET: of that, and the limit of a queue, or TNI_SYSV_NO_LIMIT.  -EPERM; -EINVAL no such user
 * or group. */
int tni_sysv_change(struct tni_sysv_handle *handle, const struct ipc_perm *permission,
		    uint64_t limit);

/* The object, for what only owner and creator may do: where the file lets nobody else in, those it
 * keeps out are neither.  -EPERM. */
int tni_sysv_enter_to_change(const struct tni_sysv_kind *kind, int id,
			     struct tni_sysv_handle **ret_handle);

/* IPC_RMID.  -EPERM. */
int tni_sysv_end(const struct tni_sysv_kind *kind, int id);

/* The object that *_STAT (`is_any`: *_STAT_ANY) and IPC_STAT, with `by_index` 0, tell of, and its
 * identity, of which it answers the identifier, or 0; until tni_sysv_leave(). */
int tni_sysv_look(const struct tni_sysv_kind *kind, int id, bool by_index, bool is_any,
		  struct tni_sysv_handle **ret_handle, struct tni_sysv_identity *ret_identity);

/* How many there are, and the highest index; 0 if there are none. */
int tni_sysv_count(const struct tni_sysv_kind *kind, uint32_t *ret_count);

/* A call answered this: forgets the object if it is ended. */
int tni_sysv_learn(struct tni_sysv_handle *handle, int result);

#endif
