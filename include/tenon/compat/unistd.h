/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TENON_COMPAT_UNISTD_H
#define TENON_COMPAT_UNISTD_H

#pragma GCC system_header

/* <unistd.h> whose close() knows the descriptors of message queues (tenon/posix.h), and whose
 * set…id calls have the permissions of System V's objects looked at anew (tenon/sysv.h). */

#include_next <unistd.h>

#include <tenon/posix.h>
#include <tenon/sysv.h>

#define close tenon_close

#define TENON_CHANGES_USER(call) (tenon_sysv_hold(), tenon_sysv_changed(call))
#define setuid(uid) TENON_CHANGES_USER(setuid(uid))
#define setgid(gid) TENON_CHANGES_USER(setgid(gid))
#define seteuid(uid) TENON_CHANGES_USER(seteuid(uid))
#define setegid(gid) TENON_CHANGES_USER(setegid(gid))
#define setreuid(real, effective) TENON_CHANGES_USER(setreuid(real, effective))
#define setregid(real, effective) TENON_CHANGES_USER(setregid(real, effective))
#define setresuid(real, effective, saved) TENON_CHANGES_USER(setresuid(real, effective, saved))
#define setresgid(real, effective, saved) TENON_CHANGES_USER(setresgid(real, effective, saved))

#endif
