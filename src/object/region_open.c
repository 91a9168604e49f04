/* SPDX-License-Identifier: Apache-2.0 */

/* Making, opening and closing a region: by name, or of a file that has none. */

#include "object/region_private.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/file.h"
#include "core/namespace.h"
#include "core/registry.h"
#include "object/named.h"
#include "object/options.h"

#define MODE_DEFAULT 0600u
#define PARTICIPANTS_DEFAULT 256u

static int fill(int fd, uint8_t *base, const void *context)
{
	const struct tenon_region_options *making = context;
	uint64_t offset = tni_region_control_offset(making->max_participants);
	struct tni_region_control *control = (struct tni_region_control *)(base + offset);
	uint64_t end = tni_region_data_offset(making->max_participants) + making->bytes;
	int result = tni_file_reserve(fd, offset, end - offset);

	if (result == 0) {
		control->max_bytes = making->max_bytes;
		tni_set64(&control->bytes, making->bytes);
	}
	return result;
}

static struct tni_object_header header_of(const struct tenon_region_options *making)
{
	return (struct tni_object_header){
		.kind = TENON_KIND_REGION,
		.participants_max = making->max_participants,
		.extent_bytes = tni_region_data_offset(making->max_participants)};
}

static int make(int directory_fd, const char *file_name, const char *name, void *context,
		uint64_t *ret_inode)
{
	const struct tenon_region *region = context;
	const struct tenon_region_options *making = &region->making;
	struct tni_object_header header = header_of(making);

	return tni_object_make(directory_fd, file_name, name, (mode_t)making->mode, &header, fill,
			       making, ret_inode);
}

/* Another description of the file: by its name, or through /proc if that is another's by now. */
static int open_again(int directory_fd, const char *file_name, const struct tni_object *object,
		      int *ret_fd)
{
	int fd = openat(directory_fd, file_name, O_RDWR | O_CLOEXEC | O_NOFOLLOW), result;
	struct stat own, other;

	if (fd >= 0 && fstat(fd, &other) == 0 && fstat(object->fd, &own) == 0 &&
	    own.st_ino == other.st_ino && own.st_dev == other.st_dev) {
		*ret_fd = fd;
		return 0;
	}
	if (fd >= 0)
		close(fd);
	result = tni_file_reopen(object->fd, ret_fd);
	return result == -ENOENT ? -EACCES : result;
}

/* Of one whose object is open; `result`: whether its file is. */
static int finish(struct tenon_region *region, int result)
{
	region->kind = TNI_REGION_ATTACHED;
	if (result == 0)
		result = tni_region_adopt(region, &region->object.header);
	if (result == 0)
		result = tni_region_attach(region);
	if (result != 0)
		tni_region_let_go(region);
	return result;
}

static int open_file(int directory_fd, const char *file_name, void *context)
{
	struct tenon_region *region = context;
	int result = tni_object_open(directory_fd, file_name, TENON_KIND_REGION, &region->object);

	if (result != 0)
		return result;
	region->fd = -1;
	return finish(region, open_again(directory_fd, file_name, &region->object, &region->fd));
}

/* Of a file that has no name and gets none.  /proc leads to it. */
static int open_nameless(const char *namespace_path, uint32_t flags, struct tenon_region *region)
{
	struct tni_object_header header = header_of(&region->making);
	int directory_fd, result;

	if (!(flags & TENON_CREATE) || flags & ~(TENON_CREATE | TENON_EXCLUSIVE))
		return -EINVAL;
	result = tni_namespace_open(namespace_path, true, &directory_fd);
	if (result != 0)
		return result;
	result = tni_object_make_nameless(directory_fd, (mode_t)region->making.mode, &header, fill,
					  &region->making, &region->fd);
	close(directory_fd);
	if (result != 0)
		return result;
	result = tni_object_open_fd(region->fd, TENON_KIND_REGION, &region->object);
	if (result != 0) {
		close(region->fd);
		return result;
	}
	return finish(region, 0);
}

static void close_file(void *context)
{
	tni_region_let_go(context);
}

static const struct tni_kind region_kind = {
	.kind = TENON_KIND_REGION, .make = make, .open = open_file, .close = close_file};

static int options_check(const struct tenon_region_options *options,
			 struct tenon_region_options *checked)
{
	int result = tni_options_copy(checked, sizeof(*checked), options, 0);

	if (result != 0)
		return result;
	if (checked->mode == 0)
		checked->mode = MODE_DEFAULT;
	if (checked->max_participants == 0)
		checked->max_participants = PARTICIPANTS_DEFAULT;
	if (checked->max_bytes == 0)
		checked->max_bytes = checked->bytes;
	if (checked->max_participants > TNI_PARTICIPANTS_MAX || checked->mode & ~0777u ||
	    checked->max_bytes == 0 || checked->max_bytes > TENON_REGION_BYTES_MOST ||
	    checked->bytes > checked->max_bytes)
		return -EINVAL;
	return 0;
}

int tenon_region_open(const char *namespace_path, const char *name, uint32_t flags,
		      const struct tenon_region_options *options, struct tenon_region **ret_region)
{
	struct tenon_region *region;
	int result = 0;

	if (!ret_region)
		return -EINVAL;
	region = calloc(1, sizeof(*region));
	if (!region)
		return -ENOMEM;
	region->is_guarded = flags & TENON_REGION_GUARD;
	if (flags & TENON_CREATE)
		result = options_check(options, &region->making);
	flags &= ~TENON_REGION_GUARD;
	if (result == 0)
		result = name ? tni_named_open(&region_kind, namespace_path, name, flags, region)
			      : open_nameless(namespace_path, flags, region);
	if (result != 0) {
		free(region);
		return result;
	}
	*ret_region = region;
	return 0;
}

struct tenon_region *tenon_region_close(struct tenon_region *region)
{
	bool is_used;

	if (!region)
		return NULL;
	tni_registry_lock();
	region->is_closed = true;
	is_used = region->placed != NULL;
	tni_registry_unlock();
	/* Else what is placed in it is closed later, and with the last of that the region. */
	if (!is_used)
		tni_region_free(region);
	return NULL;
}

void tni_region_free(struct tenon_region *region)
{
	tni_region_let_go(region);
	free(region);
}

int tenon_region_remove(const char *namespace_path, const char *name)
{
	return tni_named_remove(TENON_KIND_REGION, namespace_path, name, NULL);
}
