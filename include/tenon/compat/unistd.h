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

#define setuid(uid) tenon_sysv_changed(setuid(uid))
#define setgid(gid) tenon_sysv_changed(setgid(gid))
#define seteuid(uid) tenon_sysv_changed(seteuid(uid))
#define setegid(gid) tenon_sysv_changed(setegid(gid))
#define setreuid(real, effective) tenon_sysv_changed(setreuid(real, effective))
#define setregid(real, effective) tenon_sysv_changed(setregid(real, effective))
#define setresuid(real, effective, saved) tenon_sysv_changed(setresuid(real, effective, saved))
#define setresgid(real, effective, saved) tenon_sysv_changed(setresgid(real, effective, saved))

#endif
