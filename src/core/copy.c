/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Long copies.  A store of a vector first asks for the line that it will write over, and that line is with
 * the processor that read it last; `rep movsb` takes the line without its content, where the processor
 * says that it is good at that (Intel 64 and IA-32 Architectures Optimization Reference Manual, enhanced
 * REP MOVSB).  libc uses it too, but not beyond the size of a cache.
 */

#include "core/copy.h"

#include <stdbool.h>

#include "abi/atomic.h"

#if defined(__has_feature)
#define IS_SANITIZED (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_SANITIZED 1
#else
#define IS_SANITIZED 0
#endif

/* A sanitizer knows what memcpy() touches. */
#if defined(__x86_64__) && !IS_SANITIZED

#include <cpuid.h>

#define LEAF_FEATURES 7u
#define ENHANCED_REP_MOVSB (1u << 9)

enum { UNKNOWN, BY_LIBC, BY_PROCESSOR };

static bool is_by_processor(void)
{
	static struct tni_a32 way;
	uint32_t known = tni_get32(&way), eax, ebx = 0, ecx, edx;

	if (known == UNKNOWN) {
		known = __get_cpuid_count(LEAF_FEATURES, 0, &eax, &ebx, &ecx, &edx) &&
					ebx & ENHANCED_REP_MOVSB
				? BY_PROCESSOR
				: BY_LIBC;
		tni_set32(&way, known);
	}
	return known == BY_PROCESSOR;
}

static void copy_by_processor(void *to, const void *from, uint64_t bytes)
{
	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(bytes) : : "memory");
}

#else

static bool is_by_processor(void)
{
	return false;
}

static void copy_by_processor(void *to, const void *from, uint64_t bytes)
{
	memcpy(to, from, bytes);
}

#endif

void tni_copy_long(void *to, const void *from, uint64_t bytes)
{
	if (is_by_processor())
		copy_by_processor(to, from, bytes);
	else
		memcpy(to, from, bytes);
}
