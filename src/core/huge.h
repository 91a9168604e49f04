/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TNI_CORE_HUGE_H
#define TNI_CORE_HUGE_H

/* Huge pages, which Linux gives to files of hugetlbfs: where that is mounted. */

#include <stdint.h>

/* What a page has where the caller does not say: 0, there are none. */
uint64_t tni_huge_default_bytes(void);

/* 0, or -EINVAL: the machine has none of this size. */
int tni_huge_check(uint64_t page_bytes);

/* Opens the folder at which the first, second … hugetlbfs with pages of this size is mounted.
 * -ENOENT: there are no more. */
int tni_huge_open(uint64_t page_bytes, unsigned int nth, int *ret_directory_fd);

/* What a page of an open file has: of hugetlbfs; 0: it lies elsewhere. */
uint64_t tni_huge_bytes_of(int fd);

#endif
