/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TENON_COMPAT_GRP_H
#define TENON_COMPAT_GRP_H

#pragma GCC system_header

/* <grp.h> whose calls have the permissions of System V's objects looked at anew: see
 * tenon/sysv.h. */

#include_next <grp.h>

#include <tenon/sysv.h>

#define setgroups(count, groups) (tenon_sysv_hold(), tenon_sysv_changed(setgroups(count, groups)))
#define initgroups(user, group) (tenon_sysv_hold(), tenon_sysv_changed(initgroups(user, group)))

#endif
