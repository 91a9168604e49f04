/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TENON_COMPAT_UNISTD_H
#define TENON_COMPAT_UNISTD_H

#pragma GCC system_header

/* <unistd.h> whose close() knows the descriptors of message queues: see tenon/posix.h. */

#include_next <unistd.h>

#include <tenon/posix.h>

#define close tenon_close

#endif
