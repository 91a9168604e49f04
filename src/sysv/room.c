/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Whether there may be one more object of a kind.  To count them is to walk the folder.  In a tmpfs that is done again only
 * when the folder has grown by so much that there could be as many as there may be, the nearer that is, the more often: there
 * each name has at least ENTRY_BYTES in what stat(2) calls the size of the folder.  Who comes at the same time as another may
 * get in beyond the limit, and so may who comes when names of another kind have gone, since the folder has not grown then: a
 * limit that is there for order needs no lock.
 *
 * What the dead have left and nobody looks for is not to become more and more: one out of TIDY_EVERY who make an object
 * looks at TIDIED_MOST of those that are there, others each time.  It waits for nobody there: they are none of the caller's.
 */

#include <errno.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <tenon/tenon.h>

#include "abi/atomic.h"
#include "core/clock.h"
#include "core/sample.h"
#include "sysv/identity.h"
#include "sysv/status.h"

#define ENTRY_BYTES 16u
#define TIDY_EVERY 128u
#define TIDIED_MOST 64u

/* What the last count told, by kind.  In the high half of `known`, up to which size the folder surely has room; in the low half,
 * for which limit that was reckoned.  `folder` is the one that was counted, and none at first. */
static struct tni_a64 known[TNI_SYSV_KINDS], folder[TNI_SYSV_KINDS];

/* What stat(2) calls the size of the folder, and which folder it is.  A size of UINT32_MAX: outside of a tmpfs it tells nothing
 * of how many names there are. */
static int measure(int directory_fd, uint64_t *ret_bytes, uint64_t *ret_folder)
{
	struct statfs system;
	struct stat status;

	if (fstat(directory_fd, &status) != 0 || fstatfs(directory_fd, &system) != 0)
		return -errno;
	*ret_folder = (uint64_t)status.st_ino * UINT64_C(0x9e3779b97f4a7c15) ^
		      (uint64_t)status.st_dev;
	*ret_bytes = system.f_type != TMPFS_MAGIC || status.st_size > UINT32_MAX
			     ? UINT32_MAX
			     : (uint64_t)status.st_size;
	return 0;
}

static int count_name(uint32_t index, void *context)
{
	(void)index;
	++*(uint32_t *)context;
	return 0;
}

static int tidy_name(uint32_t index, void *context)
{
	(void)!tni_sysv_tidy(context, index);
	return 0;
}

/* Names alone; where those are too many, what somebody has left who died is completed before: also of what has no key, as memory
 * has none that was removed and that the last to have it attached did not detach. */
static int count_to(const struct tni_sysv_kind *kind, uint32_t most, uint32_t *ret_count)
{
	uint32_t count = 0;
	int result = tni_sysv_list_names(kind, count_name, &count);

	if (result == 0 && count >= most)
		result = tni_sysv_list_names(kind, tidy_name, (void *)(uintptr_t)kind);
	if (result == 0 && count >= most)
		result = tni_sysv_count(kind, &count);
	*ret_count = count;
	return result < 0 ? result : 0;
}

struct some {
	struct tni_sample sample;
	uint32_t indices[TIDIED_MOST];
};

static int note_name(uint32_t index, void *context)
{
	struct some *some = context;
	uint32_t place;

	if (tni_sample_place(&some->sample, TIDIED_MOST, &place))
		some->indices[place] = index;
	return 0;
}

static void tidy_some(const struct tni_sysv_kind *kind)
{
	struct some some = {.sample.random = (uint64_t)tni_clock_ns(CLOCK_MONOTONIC)};

	if (tni_sample_draw(&some.sample, TIDY_EVERY) != 0 ||
	    tni_sysv_list_names(kind, note_name, &some) != 0)
		return;
	for (uint32_t i = 0; i < some.sample.seen && i < TIDIED_MOST; i++)
		(void)!tni_sysv_tidy(kind, some.indices[i]);
}

int tni_sysv_room(const struct tni_sysv_kind *kind, int directory_fd)
{
	uint32_t row = kind->row;
	uint64_t before = tni_get64(&known[row]), bytes, which;
	uint32_t most = kind->most(), count;
	int result;

	tidy_some(kind);
	/* There are no more indices than this: making one fails by itself when they are used up. */
	if (most > TNI_SYSV_INDEX)
		return 0;
	result = measure(directory_fd, &bytes, &which);
	if (result != 0)
		return result;
	if (bytes < (uint64_t)most * ENTRY_BYTES)
		return 0;
	if (tni_get64(&folder[row]) == which && (uint32_t)before == most && bytes <= before >> 32)
		return 0;
	result = count_to(kind, most, &count);
	if (result != 0)
		return result;
	if (count >= most)
		return -ENOSPC;
	bytes += (uint64_t)(most - count - 1) * ENTRY_BYTES;
	if (bytes >= UINT32_MAX)
		return 0;
	tni_set64(&known[row], bytes << 32 | most);
	tni_set64(&folder[row], which);
	return 0;
}
