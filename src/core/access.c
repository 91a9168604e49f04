/* SPDX-License-Identifier: Apache-2.0 */

/* What the kernel does for files (path_resolution(7)): the owner's bits, else the group's, else those of others.  Who has
 * effective user number 0 stands for who has CAP_DAC_OVERRIDE. */

#include "core/access.h"

#include <stdlib.h>
#include <unistd.h>

static bool is_member(gid_t gid)
{
	gid_t *groups;
	int count;
	bool found = gid == getegid();

	if (found)
		return true;
	count = getgroups(0, NULL);
	groups = count > 0 ? calloc((size_t)count, sizeof(*groups)) : NULL;
	if (!groups)
		return false;
	count = getgroups(count, groups);
	for (int i = 0; i < count && !found; i++)
		found = groups[i] == gid;
	free(groups);
	return found;
}

bool tni_access_is_granted(mode_t mode, uid_t uid, gid_t gid, uint32_t wanted)
{
	uid_t self = geteuid();
	mode_t bits;

	if (self == 0)
		return true;
	if (self == uid)
		bits = mode >> 6;
	else
		bits = is_member(gid) ? mode >> 3 : mode;
	return (!(wanted & TNI_ACCESS_READ) || (bits & 4)) &&
	       (!(wanted & TNI_ACCESS_WRITE) || (bits & 2));
}
