/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TNI_OBJECT_OPTIONS_H
#define TNI_OBJECT_OPTIONS_H

/* Structures of the public interface that begin with their size and flags. */

#include <stdint.h>

/* Copies options that may be of an older or a newer header; NULL: zeros.  -EINVAL an unknown flag,
 * or too small to be any; -E2BIG more than is known is asked for. */
int tni_options_copy(void *copy, uint32_t known_bytes, const void *options, uint32_t flags_known);

/* Whether a status may be written into what the caller gave: sized, and without flags.  0,
 * -EINVAL. */
int tni_status_check(const void *status);

/* Writes as much of `status` as the caller's structure has room for, and zeros behind. */
void tni_status_write(void *ret_status, const void *status, uint32_t known_bytes);

#endif
