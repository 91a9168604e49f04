/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_CONTRACT_SANITIZED_H
#define TEST_CONTRACT_SANITIZED_H

/* Whether this is compiled with the address sanitizer. */
#if defined(__SANITIZE_ADDRESS__)
#define IS_SANITIZED 1
#elif defined(__has_feature)
#define IS_SANITIZED __has_feature(address_sanitizer)
#else
#define IS_SANITIZED 0
#endif

#endif
