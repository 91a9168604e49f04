/* SPDX-License-Identifier: Apache-2.0 */

/* The guard of POSIX shared memory (posix/shm.h) is told what a program maps, while that face is on; and System V's what is
 * unmapped, from the first attachment on. */

#include "object/segment.h"
#include "posix/shm.h"
#include "preload/preload.h"

struct tni_a32 tni_has_segments_;

static void forget_segments(void *address, size_t bytes)
{
	if (__builtin_expect(tni_get32(&tni_has_segments_) != 0, 0) && !tni_memory_is_borrowed())
		TNI_CALL_VOID(tni_segment_unmapped(address, bytes));
}

TNI_STAND_IN void *mmap(void *address, size_t bytes, int protection, int flags, int fd,
			off_t offset)
{
	bool is_on = tni_face_is_on(TNI_FACE_POSIX_SHM);
	void *mapped;

	if (is_on && flags & MAP_FIXED)
		TNI_CALL_VOID(tni_shm_unmapped(address, bytes));
	mapped = TNI_NEXT(mmap)(address, bytes, protection, flags, fd, offset);
	if (flags & MAP_FIXED && mapped != MAP_FAILED)
		forget_segments(address, bytes);
	if (is_on && fd >= 0 && !(flags & MAP_ANONYMOUS) && mapped != MAP_FAILED)
		TNI_CALL_VOID(tni_shm_mapped(fd, offset, mapped, bytes, protection));
	return mapped;
}

TNI_STAND_IN int munmap(void *address, size_t bytes)
{
	if (tni_face_is_on(TNI_FACE_POSIX_SHM))
		TNI_CALL_VOID(tni_shm_unmapped(address, bytes));
	/* Before another thread is given the address; what cannot be unmapped is another matter. */
	if ((uintptr_t)address % (uintptr_t)getpagesize() == 0 && bytes > 0)
		forget_segments(address, bytes);
	return TNI_NEXT(munmap)(address, bytes);
}

TNI_STAND_IN void *mremap(void *address, size_t old_bytes, size_t bytes, int flags, ...)
{
	void *wanted, *moved;
	va_list more;

	va_start(more, flags);
	wanted = va_arg(more, void *);
	va_end(more);
	moved = TNI_NEXT(mremap)(address, old_bytes, bytes, flags, wanted);
	if (tni_face_is_on(TNI_FACE_POSIX_SHM) && moved != MAP_FAILED)
		TNI_CALL_VOID(tni_shm_moved(address, old_bytes, moved, bytes));
	return moved;
}

TNI_STAND_IN int mprotect(void *address, size_t bytes, int protection)
{
	int result = TNI_NEXT(mprotect)(address, bytes, protection);

	if (result == 0 && tni_face_is_on(TNI_FACE_POSIX_SHM))
		TNI_CALL_VOID(tni_shm_protected(address, bytes, protection));
	return result;
}

TNI_STAND_IN_AS(mmap64, mmap);
