/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TNI_POSIX_SHM_H
#define TNI_POSIX_SHM_H

/*
 * The guard of shared memory objects, for the preload library, which sees what a program maps:
 * where somebody makes the file shorter later, the program reads zeros instead of being sent
 * SIGBUS.  Guarded is what the file has when it is mapped; behind that a touch is SIGBUS, as the
 * standard says.  It is sent, too, when the memory of the file system is full.  All are
 * thread-safe, keep errno, and are none of a signal handler's.
 *
 * The handler of SIGBUS is installed with the first mapping; one that the program installs later
 * takes its place, unless the preload library keeps it from that.  Each mapping that is guarded
 * costs a descriptor (FD_CLOEXEC).
 */

#include <stddef.h>
#include <sys/types.h>

/* `bytes` of the file `fd` are mapped at `address`, from `offset` on, with the protection
 * `protection` (mmap(2)).  Does nothing if the file is no shared memory object of this namespace:
 * one system call for what lies on another file system, two for others. */
void tni_shm_mapped(int fd, off_t offset, void *address, size_t bytes, int protection);

/* That range is about to be unmapped, or to be mapped over, whatever it is: munmap(2), MAP_FIXED.
 * One load while nothing is guarded. */
void tni_shm_unmapped(const void *address, size_t bytes);

/* mremap(2) has made `bytes` at `address` of `old_bytes` at `old_address`.  What was not guarded is
 * not. */
void tni_shm_moved(const void *old_address, size_t old_bytes, void *address, size_t bytes);

/* mprotect(2) has changed the protection of that range. */
void tni_shm_protected(void *address, size_t bytes, int protection);

#endif
