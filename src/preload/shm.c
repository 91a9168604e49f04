/* SPDX-License-Identifier: Apache-2.0 */

/* shm_overview(7). */

#include <tenon/posix.h>

#include "preload/preload.h"

TNI_STAND_IN int shm_open(const char *name, int flags, mode_t mode)
{
	int fd;

	if (!tni_face_is_on(TNI_FACE_POSIX_SHM))
		return TNI_NEXT(shm_open)(name, flags, mode);
	fd = TNI_CALL(tenon_shm_open(name, flags, mode));
	tni_own_give(fd);
	return fd;
}

TNI_STAND_IN int shm_unlink(const char *name)
{
	return tni_face_is_on(TNI_FACE_POSIX_SHM) ? TNI_CALL(tenon_shm_unlink(name))
						  : TNI_NEXT(shm_unlink)(name);
}
