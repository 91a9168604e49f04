/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TNI_OBJECT_NAMED_H
#define TNI_OBJECT_NAMED_H

/* Opening, making and removing objects by name: the same for all kinds. */

#include "core/object.h"

/* What a kind of object does about it.  `context` is the handle that is being opened, whose first
 * member is its struct tni_object. */
struct tni_kind {
	uint32_t kind; /* TENON_KIND_… */
	/* Makes the file.  -EEXIST. */
	int (*make)(int directory_fd, const char *file_name, const char *name, void *context,
		    uint64_t *ret_inode);
	/* Opens the file and attaches; on an error everything is as before. */
	int (*open)(int directory_fd, const char *file_name, void *context);
	/* Undoes open(). */
	void (*close)(void *context);
};

/* Flags: TENON_CREATE, TENON_EXCLUSIVE.  -EINVAL: the name or other flags. */
int tni_named_open(const struct tni_kind *kind, const char *namespace_path, const char *name,
		   uint32_t flags, void *context);

/* -EEXIST there is something of that name, whatever it is; 0 there is not, or no namespace
 * either. */
int tni_named_is_free(uint32_t kind, const char *namespace_path, const char *name);

/* Takes the name away.  `removed` (may be NULL) is told of the file once that is done. */
int tni_named_remove(uint32_t kind, const char *namespace_path, const char *name,
		     void (*removed)(int directory_fd, int fd));

#endif
