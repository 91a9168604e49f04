/* SPDX-License-Identifier: Apache-2.0 */

/* The n-th allocation of the library fails: the linker sends its calls here (--wrap).  What the C library
 * allocates for itself is not seen. */

#include "failing.h"

#include <errno.h>
#include <stddef.h>

struct failing_memory *failing_memory;

static uint32_t allocations;
static bool counts;

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *memory, size_t bytes);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *memory, size_t bytes);
char *__wrap_strdup(const char *text);

void failing_memory_begin(void)
{
	allocations = 0;
	counts = true;
}

void failing_memory_end(void)
{
	counts = false;
}

static bool fails(void)
{
	if (!counts || allocations++ != failing_memory->nth)
		return false;
	failing_memory->failed = true;
	errno = ENOMEM;
	return true;
}

void *__wrap_malloc(size_t bytes)
{
	return fails() ? NULL : __real_malloc(bytes);
}

void *__wrap_calloc(size_t count, size_t bytes)
{
	return fails() ? NULL : __real_calloc(count, bytes);
}

void *__wrap_realloc(void *memory, size_t bytes)
{
	return fails() ? NULL : __real_realloc(memory, bytes);
}

char *__wrap_strdup(const char *text)
{
	return fails() ? NULL : __real_strdup(text);
}
