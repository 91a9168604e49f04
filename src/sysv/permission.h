/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TNI_SYSV_PERMISSION_H
#define TNI_SYSV_PERMISSION_H

/* Who may do what with an object of System V: svipc(7), capabilities(7). */

#include <stdbool.h>
#include <stdint.h>

#include "sysv/identity.h"

#define TNI_SYSV_READ 04u
#define TNI_SYSV_WRITE 02u
#define TNI_SYSV_EXECUTE 01u

/* Another value than before: the caller's identity may be another.  Never 0. */
uint32_t tni_sysv_credentials(void);

/* Whether the mode lets the caller do what is `wanted` (TNI_SYSV_READ, TNI_SYSV_WRITE), or
 * CAP_IPC_OWNER does. */
bool tni_sysv_is_granted(const struct tni_sysv_identity *identity, uint32_t wanted);

/* Whether the caller is the owner or the creator, or has CAP_SYS_ADMIN. */
bool tni_sysv_is_owner(const struct tni_sysv_identity *identity);

/* Whether the effective capabilities have this one. */
bool tni_sysv_is_capable(uint32_t capability);

/* Lets who may use an object open its file, which is its creator's: all whom the mode allows
 * anything, owner and creator; the rest is for the calls to ask.  And whom `other` lets in, or
 * NULL.  -EPERM the caller is not the creator. */
int tni_sysv_let_in(int fd, const struct tni_sysv_identity *identity,
		    const struct tni_sysv_identity *other);

/* The same of the file of an object's data, for which the kernel asks the very mode.  `fd` may be
 * of O_PATH. */
int tni_sysv_let_in_exactly(int fd, const struct tni_sysv_identity *identity);

#endif
