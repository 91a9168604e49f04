/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TNI_SYSV_ERRMAP_H
#define TNI_SYSV_ERRMAP_H

/* A result of the library's as System V has it: a negative errno is set as errno, by the number
 * that Linux gives, and -1 answered; any other is the answer itself. */
long tni_sysv_result(long result);

#endif
