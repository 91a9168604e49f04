/* SPDX-License-Identifier: Apache-2.0 */

/* The outer edge of the System V face: its calls answer -1 and set errno.  Nearly all numbers mean the same on both sides. */

#include "sysv/errmap.h"

#include <errno.h>

long tni_sysv_result(long result)
{
	if (result >= 0)
		return result;
	switch (result) {
	case -ENOTDIR:
		/* A namespace that is none: System V knows of no folders. */
		errno = EACCES;
		break;
	default:
		errno = (int)-result;
		break;
	}
	return -1;
}
