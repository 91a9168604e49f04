/* SPDX-License-Identifier: Apache-2.0 */

/* Opening a queue of which the file is known, and not the name. */

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "core/file.h"
#include "core/namespace.h"
#include "object/queue_descriptor.h"
#include "object/queue_private.h"

/* What is looked for among the names of a namespace. */
struct search {
	int directory_fd;
	uint64_t inode;
	char name[TNI_NAME_MAX + 2];
};

/* 1: it is this one. */
static int is_sought(uint32_t kind, const char *name, void *context)
{
	char file_name[TNI_NAME_MAX + 1];
	struct search *search = context;
	uint64_t inode;

	if (kind != TENON_KIND_QUEUE)
		return 0;
	tni_namespace_file(kind, name + 1, file_name);
	if (tni_file_inode(search->directory_fd, file_name, &inode) != 0 || inode != search->inode)
		return 0;
	snprintf(search->name, sizeof(search->name), "%s", name);
	return 1;
}

int tni_queue_open_known(const char *namespace_path, uint64_t inode, uint64_t id, uint32_t access,
			 struct tenon_queue **ret_queue)
{
	struct search search = {.inode = inode};
	int result = tni_namespace_open(namespace_path, 0, &search.directory_fd);

	if (result != 0)
		return result;
	result = tenon_namespace_list(namespace_path, is_sought, &search);
	close(search.directory_fd);
	if (result <= 0)
		return result == 0 ? -ENOENT : result;
	result = tni_queue_open_for(namespace_path, search.name, 0, access, NULL, ret_queue);
	if (result == 0 &&
	    ((*ret_queue)->object.inode != inode || (*ret_queue)->object.header.id != id)) {
		*ret_queue = tenon_queue_close(*ret_queue);
		return -ENOENT;
	}
	return result;
}
