/* SPDX-License-Identifier: Apache-2.0 */

/*
 * dlopen(3).  What is opened with RTLD_DEEPBIND looks for its calls in the libraries that it was linked with before it
 * looks in what is preloaded, so libc's would be found instead of those here, and a program would use the kernel's
 * objects beside Tenon's.  PHP opens all its modules in this way, among them those of System V.
 *
 * libc looks for what has no slash by the RUNPATH of who calls, whom it tells by the address it is to return to: so this
 * is a jump and not a call.
 */

#include "preload/preload.h"

#include <dlfcn.h>

TNI_STAND_IN void *dlopen(const char *path, int flags)
{
	return TNI_NEXT(dlopen)(path, flags & ~RTLD_DEEPBIND);
}
