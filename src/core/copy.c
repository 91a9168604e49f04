/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Long copies.  A store of a vector first asks for the line that it will write over, and that line is with
 * the processor that read it last; `rep movsb` takes the line without its content, where the processor
 * says that it is good at that (Intel 64 and IA-32 Architectures Optimization Reference Manual, enhanced
 * REP MOVSB).  libc uses it too, but not beyond the size of a cache.
 */

#include "core/copy.h"

#include "abi/atomic.h"

#if defined(__x86_64__)

#include <cpuid.h>

#define LEAF_FEATURES 7u
#define ENHANCED_REP_MOVSB (1u << 9)

enum { UNKNOWN, BY_LIBC, BY_PROCESSOR };

static struct tni_a32 way;

static uint32_t find_way(void)
{
	uint32_t eax, ebx = 0, ecx, edx;
	uint32_t found = __get_cpuid_count(LEAF_FEATURES, 0, &eax, &ebx, &ecx, &edx) &&
					 ebx & ENHANCED_REP_MOVSB
				 ? BY_PROCESSOR
				 : BY_LIBC;

	tni_set32(&way, found);
	return found;
}

void tni_copy_long(void *to, const void *from, uint64_t bytes)
{
	uint32_t known = tni_get32(&way);

	if ((known == UNKNOWN ? find_way() : known) == BY_PROCESSOR)
		__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(bytes) : : "memory");
	else
		memcpy(to, from, bytes);
}

#else

void tni_copy_long(void *to, const void *from, uint64_t bytes)
{
	memcpy(to, from, bytes);
}

#endif
