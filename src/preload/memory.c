/* SPDX-License-Identifier: Apache-2.0 */

/*
 * memcpy(3) and its like, as the library in here calls them: renamed by the linker, as what own.c has.
 *
 * The runtime of a sanitizer has such functions of its own, in front of libc's.  ThreadSanitizer's take two messages that
 * pass through one place of a queue for a race, since it does not see what orders them: the library's words are
 * not compiled for it.  So here it is libc's own, found in libc and not behind us; until the constructor has run, which
 * some runtimes do not wait for, it is the plain loops below.
 *
 * ORD memory: a function that was looked up is released by the constructor and acquired by who calls it.
 */

#include "preload/preload.h"

#include <dlfcn.h>
#include <gnu/lib-names.h>
#include <string.h>

/* Volatile, or the compiler makes calls of them to what they are. */
static void *copy(void *to, const void *from, size_t bytes)
{
	volatile uint8_t *t = to;
	const uint8_t *f = from;

	for (size_t i = 0; i < bytes; i++)
		t[i] = f[i];
	return to;
}

static void *fill(void *to, int byte, size_t bytes)
{
	volatile uint8_t *t = to;

	for (size_t i = 0; i < bytes; i++)
		t[i] = (uint8_t)byte;
	return to;
}

static int compare(const void *one, const void *other, size_t bytes)
{
	const volatile uint8_t *o = one;
	const uint8_t *t = other;

	for (size_t i = 0; i < bytes; i++) {
		uint8_t byte = o[i];

		if (byte != t[i])
			return byte < t[i] ? -1 : 1;
	}
	return 0;
}

static struct tni_apointer copies = {(void *)copy}, fills = {(void *)fill},
			   compares = {(void *)compare};

static void find(void *libc, const char *name, struct tni_apointer *ret_found)
{
	void *found = dlsym(libc, name);

	if (found)
		tni_store_release_pointer(ret_found, found); /* ORD(memory) */
}

void tni_memory_find(void)
{
	void *libc = dlopen(LIBC_SO, RTLD_LAZY | RTLD_NOLOAD);

	if (!libc)
		return;
	find(libc, "memcpy", &copies);
	find(libc, "memset", &fills);
	find(libc, "memcmp", &compares);
	/* It was there before, and stays. */
	dlclose(libc);
}

static inline void *found(const struct tni_apointer *function)
{
	return tni_load_acquire_pointer(function); /* ORD(memory) */
}

void *__wrap_memcpy(void *to, const void *from, size_t bytes);
void *__wrap_memcpy(void *to, const void *from, size_t bytes)
{
	return ((__typeof__(memcpy) *)found(&copies))(to, from, bytes);
}

void *__wrap_memset(void *to, int byte, size_t bytes);
void *__wrap_memset(void *to, int byte, size_t bytes)
{
	return ((__typeof__(memset) *)found(&fills))(to, byte, bytes);
}

int __wrap_memcmp(const void *one, const void *other, size_t bytes);
int __wrap_memcmp(const void *one, const void *other, size_t bytes)
{
	return ((__typeof__(memcmp) *)found(&compares))(one, other, bytes);
}
