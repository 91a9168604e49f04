/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TNI_POSIX_NAME_H
#define TNI_POSIX_NAME_H

/* Names as glibc's sem_open and shm_open take them: with any number of slashes in front, or
 * none. */

#include "core/namespace.h"

static inline int tni_posix_name(const char *name, const char **ret_bare)
{
	while (name && name[0] == '/')
		name++;
	return tni_name_check(name, ret_bare);
}

#endif
