/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TNI_POSIX_SEMAPHORE_NAMED_H
#define TNI_POSIX_SEMAPHORE_NAMED_H

/* Named semaphores that this process has open.  See posix/semaphore_named.c. */

#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tenon/semaphore.h>

#include "abi/atomic.h"

#define TNI_ARENA_BYTES (UINT64_C(1) << 21)

/* In the place of a sem_t. */
struct tni_named_semaphore {
	struct tenon_semaphore *handle; /* NULL: nobody has it */
	uint32_t references;
	uint32_t reserved[5];
};

_Static_assert(sizeof(struct tni_named_semaphore) == 32, "named semaphore");

/* Where they lie; NULL as long as there is none. */
extern struct tni_apointer tni_named_arena_;

/* The one of that address; NULL: it is none, but what a program has put into its own memory. */
static inline struct tni_named_semaphore *tni_named_semaphore(const void *address)
{
	char *arena = tni_load_acquire_pointer(&tni_named_arena_); /* ORD(arena) */
	uintptr_t offset = (uintptr_t)address - (uintptr_t)arena;

	if (__builtin_expect(!arena || offset >= TNI_ARENA_BYTES, 1))
		return NULL;
	return (struct tni_named_semaphore *)(arena + offset);
}

/* As sem_open(3): O_CREAT, O_EXCL of `flags` count.  0 or a negative errno. */
int tni_named_semaphore_open(const char *name, int flags, mode_t mode, uint32_t value,
			     struct tni_named_semaphore **ret_named);

/* -EINVAL: it is not open. */
int tni_named_semaphore_close(struct tni_named_semaphore *named);

#endif
