/* SPDX-License-Identifier: Apache-2.0 */

/* Shared memory: shmget(2), shmat(2), shmdt(2).  shmctl(2) is in sysv/shm_control.c, and what it all stands on in
 * object/segment.c. */

#include "sysv/shm.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sys/mman.h>
#include <unistd.h>

#include <tenon/sysv.h>

#include "core/huge.h"
#include "core/quiet.h"
#include "sysv/errmap.h"
#include "sysv/limits.h"
#include "sysv/status.h"

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif
#ifndef SHM_NORESERVE
#define SHM_NORESERVE 010000
#endif
#ifndef SHM_HUGE_SHIFT
#define SHM_HUGE_SHIFT 26
#endif
#ifndef SHM_HUGE_MASK
#define SHM_HUGE_MASK 0x3f
#endif

/* What the segment's header says of its memory. */
static int memory_flags(int flags, uint32_t *ret_flags)
{
	uint32_t power = (uint32_t)flags >> SHM_HUGE_SHIFT & SHM_HUGE_MASK;
	uint64_t huge = power != 0 ? UINT64_C(1) << power : 0;
	int result;

	*ret_flags = flags & SHM_NORESERVE ? TNI_SEGMENT_SPARSE : 0;
	if (!(flags & SHM_HUGETLB))
		return 0;
	if (huge == 0)
		huge = tni_huge_default_bytes();
	result = tni_huge_check(huge);
	if (result == 0)
		*ret_flags |= TNI_SEGMENT_HUGE_FLAG(__builtin_ctzll(huge));
	return result;
}

/* A full file system is want of memory: of System V's segments ENOSPC is of limits. */
static int make(int directory_fd, uint64_t size, int flags, mode_t mode, int *ret_fd)
{
	uint32_t kept;
	int result = memory_flags(flags, &kept);

	if (size == 0 || size > tni_sysv_segment_bytes())
		return -EINVAL;
	if (result == 0 && !tni_sysv_shm_fits(size))
		result = -ENOSPC;
	if (result != 0)
		return result;
	result = tni_segment_make_nameless(directory_fd, kept, mode, ret_fd);
	return result == -ENOSPC ? -ENOMEM : result;
}

static int make_memory(int directory_fd, uint64_t size, int flags, int *ret_fd)
{
	uint32_t kept;
	int result = memory_flags(flags, &kept);

	if (result == 0)
		result = tni_segment_make_data(directory_fd, size, kept, (mode_t)flags & 0777,
					       ret_fd);
	if (result == -ENOSPC)
		return -ENOMEM;
	/* Without a hugetlbfs it is as on a machine that has no huge pages left. */
	if (flags & SHM_HUGETLB && result == -ENOENT)
		return tni_sysv_is_capable(CAP_IPC_LOCK) ? -ENOMEM : -EPERM;
	if (flags & SHM_HUGETLB && (result == -EACCES || result == -EROFS))
		return -EPERM;
	return result;
}

/* The last to have it attached is gone: its names as well. */
static void on_left(struct tenon_segment *segment)
{
	struct tni_sysv_part *part;

	if (tni_segment_is_ended(segment) &&
	    tni_sysv_part_of(&segment->object, TENON_KIND_SEGMENT, &part) == 0)
		(void)!tni_sysv_clear(&tni_sysv_shm, segment, part);
}

static int open_segment(const char *name, void **ret_object)
{
	struct tenon_segment *segment;
	int result = tni_segment_open(name, &segment);

	if (result != 0)
		return result;
	segment->left = on_left;
	*ret_object = segment;
	return 0;
}

static void close_segment(void *object)
{
	tni_segment_close(object);
}

static int end(void *object)
{
	tni_segment_remove(object);
	return 0;
}

static bool is_ended(void *object)
{
	return tni_segment_is_ended(object);
}

static bool is_removed(void *object)
{
	return tni_segment_is_removed(object);
}

static int fits(uint64_t size, uint64_t wanted)
{
	return wanted > size ? -EINVAL : 0;
}

/* Of data that nobody else can have any more there is nothing to be settled. */
static int settle(void *object, uint64_t limit)
{
	struct tni_sysv_identity identity;
	struct tni_sysv_part *part;
	int fd, result = tni_sysv_part_of(object, TENON_KIND_SEGMENT, &part);

	(void)limit;
	if (result == 0)
		result = tni_sysv_read(part, &identity);
	if (result != 0)
		return result;
	if (tni_segment_find_data(object, O_PATH, &fd) != 0)
		return 0;
	result = tni_sysv_let_in_exactly(fd, &identity);
	close(fd);
	return result;
}

const struct tni_sysv_kind tni_sysv_shm = {.kind = TENON_KIND_SEGMENT,
					   .row = 2u,
					   .make = make,
					   .make_memory = make_memory,
					   .name_memory = tni_segment_name_data,
					   .open = open_segment,
					   .close = close_segment,
					   .end = end,
					   .is_ended = is_ended,
					   .is_removed = is_removed,
					   .settle = settle,
					   .fits = fits,
					   .most = tni_sysv_segments_most};

int tenon_shmget(key_t key, size_t bytes, int flags)
{
	int error = errno;
	TNI_NO_CANCEL;

	return (int)tni_sysv_finish(tni_sysv_get(&tni_sysv_shm, key, bytes, flags), error);
}

int tni_sysv_shm_enter(int id, struct tni_sysv_handle **ret_handle)
{
	int result = tni_sysv_enter(&tni_sysv_shm, id, ret_handle);

	if (result != 0)
		return result;
	result = tni_segment_begin((*ret_handle)->object);
	if (result != 0)
		tni_sysv_leave(*ret_handle);
	return result;
}

/* What the flags and the address ask for, and which permission that takes. */
static int translate(const void *address, int flags, struct tni_segment_wish *wish,
		     uint32_t *ret_wanted)
{
	uintptr_t at = (uintptr_t)address, page = (uintptr_t)SHMLBA;

	if (at % page != 0 && !(flags & SHM_RND))
		return -EINVAL;
	/* Wherever there is room would be replaced. */
	if (at / page == 0 && flags & SHM_REMAP)
		return -EINVAL;
	wish->address = (const void *)(at - at % page);
	wish->is_fixed = at != 0;
	wish->replaces = flags & SHM_REMAP;
	wish->is_held = false;
	wish->protection = flags & SHM_RDONLY ? PROT_READ : PROT_READ | PROT_WRITE;
	*ret_wanted = flags & SHM_RDONLY ? TNI_SYSV_READ : TNI_SYSV_READ | TNI_SYSV_WRITE;
	if (flags & SHM_EXEC) {
		wish->protection |= PROT_EXEC;
		*ret_wanted |= TNI_SYSV_EXECUTE;
	}
	return 0;
}

static int attach_entered(struct tni_sysv_handle *handle, const struct tni_segment_wish *wish,
			  uint32_t wanted, void **ret_address)
{
	struct tni_sysv_identity identity;
	int result = tni_sysv_read(handle->part, &identity);

	if (result == 0 && !tni_sysv_is_granted(&identity, wanted))
		result = -EACCES;
	if (result == 0)
		result = tni_segment_attach(handle->object, wish, ret_address);
	return result == -ENOSPC ? -ENOMEM : tni_sysv_learn(handle, result);
}

#define HOLD_MOST_BYTES (UINT64_C(1) << 30)

/* Memory at the address that was asked for, so that nothing which is mapped meanwhile gets there: as much as can be had.  How
 * long the segment is will be known when it is open. */
static uint64_t hold_room(const struct tni_segment_wish *wish)
{
	if (!wish->is_fixed || wish->replaces)
		return 0;
	for (uint64_t bytes = HOLD_MOST_BYTES; bytes >= TNI_PAGE_BYTES; bytes /= 2) {
		void *held = mmap((void *)(uintptr_t)wish->address, bytes, PROT_NONE,
				  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE,
				  -1, 0);

		if (held == wish->address)
			return bytes;
		/* A kernel that does not know the flag has put it elsewhere. */
		if (held != MAP_FAILED)
			munmap(held, bytes);
	}
	return 0;
}

/* What is behind the first `bytes` of it. */
static void let_go(const struct tni_segment_wish *wish, uint64_t bytes, uint64_t *held)
{
	if (*held > bytes)
		munmap((char *)(uintptr_t)wish->address + bytes, *held - bytes);
	*held = 0;
}

static uint64_t extent_of(const struct tni_sysv_handle *handle)
{
	const struct tenon_segment *segment = handle->object;

	return tni_segment_extent(segment->bytes, segment->flags);
}

void *tenon_shmat(int id, const void *address, int flags)
{
	int error = errno;
	TNI_NO_CANCEL;
	struct tni_segment_wish wish;
	struct tni_sysv_handle *handle;
	uint32_t wanted;
	void *where = NULL;
	uint64_t held, bytes = 0;
	int result = id < 0 ? -EINVAL : translate(address, flags, &wish, &wanted);

	if (result == 0) {
		held = hold_room(&wish);
		result = tni_sysv_shm_enter(id, &handle);
		if (result == 0) {
			bytes = extent_of(handle);
			wish.is_held = held >= bytes;
			if (!wish.is_held)
				let_go(&wish, 0, &held);
			result = attach_entered(handle, &wish, wanted, &where);
			tni_sysv_leave(handle);
		}
		let_go(&wish, result == 0 ? bytes : 0, &held);
	}
	if (result != 0) {
		tni_sysv_result(result);
		return (void *)-1;
	}
	errno = error;
	return where;
}

int tenon_shmdt(const void *address)
{
	int error = errno;
	TNI_NO_CANCEL;

	return (int)tni_sysv_finish(tni_segment_detach(address), error);
}
