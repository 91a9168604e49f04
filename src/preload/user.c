/* SPDX-License-Identifier: Apache-2.0 */

/* The program changes its user, its groups or its capabilities, and with that what it may do with objects of System V, which
 * are asked for permission at every call. */

#include <tenon/sysv.h>

#include "preload/preload.h"

#include <sched.h>
#include <sys/fsuid.h>

static int changed(int result)
{
	if (result == 0)
		tenon_sysv_credentials();
	return result;
}

#define CHANGES(call)                             \
	({                                        \
		TNI_CALL_VOID(tenon_sysv_hold()); \
		changed(call);                    \
	})

TNI_STAND_IN int setuid(uid_t uid)
{
	return CHANGES(TNI_NEXT(setuid)(uid));
}

TNI_STAND_IN int seteuid(uid_t uid)
{
	return CHANGES(TNI_NEXT(seteuid)(uid));
}

TNI_STAND_IN int setreuid(uid_t real, uid_t effective)
{
	return CHANGES(TNI_NEXT(setreuid)(real, effective));
}

TNI_STAND_IN int setresuid(uid_t real, uid_t effective, uid_t saved)
{
	return CHANGES(TNI_NEXT(setresuid)(real, effective, saved));
}

TNI_STAND_IN int setgid(gid_t gid)
{
	return CHANGES(TNI_NEXT(setgid)(gid));
}

TNI_STAND_IN int setegid(gid_t gid)
{
	return CHANGES(TNI_NEXT(setegid)(gid));
}

TNI_STAND_IN int setregid(gid_t real, gid_t effective)
{
	return CHANGES(TNI_NEXT(setregid)(real, effective));
}

TNI_STAND_IN int setresgid(gid_t real, gid_t effective, gid_t saved)
{
	return CHANGES(TNI_NEXT(setresgid)(real, effective, saved));
}

TNI_STAND_IN int setgroups(size_t count, const gid_t *groups)
{
	return CHANGES(TNI_NEXT(setgroups)(count, groups));
}

TNI_STAND_IN int initgroups(const char *user, gid_t group)
{
	return CHANGES(TNI_NEXT(initgroups)(user, group));
}

TNI_STAND_IN int capset(cap_user_header_t header, const cap_user_data_t data)
{
	return CHANGES(TNI_NEXT(capset)(header, data));
}

/* These two answer who it was before, and nothing else. */
TNI_STAND_IN int setfsuid(uid_t uid)
{
	int before;

	TNI_CALL_VOID(tenon_sysv_hold());
	before = TNI_NEXT(setfsuid)(uid);
	tenon_sysv_credentials();
	return before;
}

TNI_STAND_IN int setfsgid(gid_t gid)
{
	int before;

	TNI_CALL_VOID(tenon_sysv_hold());
	before = TNI_NEXT(setfsgid)(gid);
	tenon_sysv_credentials();
	return before;
}

/* Into another user namespace. */
TNI_STAND_IN int unshare(int flags)
{
	return CHANGES(TNI_NEXT(unshare)(flags));
}

TNI_STAND_IN int setns(int fd, int flags)
{
	return CHANGES(TNI_NEXT(setns)(fd, flags));
}
