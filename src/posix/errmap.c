/* SPDX-License-Identifier: Apache-2.0 */

/* The outer edge of the POSIX face: its calls answer -1 and set errno.  Nearly all numbers mean the same on both sides. */

#include "posix/errmap.h"

#include <errno.h>

long tni_posix_result(long result)
{
	if (result >= 0)
		return result;
	switch (result) {
	case -ENODATA:
		/* Inside: it would have to wait, and is not to (posix/mq.c). */
		errno = EAGAIN;
		break;
	case -ENOTDIR:
		/* A namespace that is none: the standard knows of no folders. */
		errno = EACCES;
		break;
	default:
		errno = (int)-result;
		break;
	}
	return -1;
}

int tni_posix_removed(int result)
{
	/* Another user's, in a sticky folder: the standard has one number for all that is not allowed. */
	return (int)tni_posix_result(result == -EPERM ? -EACCES : result);
}
