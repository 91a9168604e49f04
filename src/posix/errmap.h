/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TNI_POSIX_ERRMAP_H
#define TNI_POSIX_ERRMAP_H

/* A result of the library's as the standard has it: a negative errno is set as errno, by the
 * standard's number, and -1 answered; any other is the answer itself. */
long tni_posix_result(long result);

/* The same of a call that removes a name. */
int tni_posix_removed(int result);

#endif
