/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TNI_POSIX_ERRMAP_H
#define TNI_POSIX_ERRMAP_H

/* Sets errno to what the standard calls a result of the library's, and answers -1; what is none:
 * the result itself. */
long tni_posix_result(long result);

#endif
