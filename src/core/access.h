/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TNI_CORE_ACCESS_H
#define TNI_CORE_ACCESS_H

/* Permission bits that are not a file's own. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define TNI_ACCESS_READ 1u
#define TNI_ACCESS_WRITE 2u

/* Whether permission bits of an owner and a group let the caller do what is `wanted`; who may do
 * everything may this. */
bool tni_access_is_granted(mode_t mode, uid_t uid, gid_t gid, uint32_t wanted);

#endif
