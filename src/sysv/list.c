/* SPDX-License-Identifier: Apache-2.0 */

/* What there is in the folder: all objects of a kind, and behind keys what somebody has left who died. */

#include <dirent.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <tenon/tenon.h>

#include "core/file.h"
#include "core/namespace.h"
#include "sysv/identity.h"

#define KEY_DIGITS 8
#define ID_DIGITS 16

struct walk {
	uint32_t kind;
	int (*visit)(uint32_t index, void *context);
	void *context;
};

static int visit_name(uint32_t kind, const char *name, void *context)
{
	const struct walk *walk = context;
	char called[TNI_SYSV_NAME_BYTES];
	unsigned long index;

	if (kind != walk->kind || strncmp(name, "/sysv-", 6) != 0 || strlen(name) != 10)
		return 0;
	index = strtoul(name + 6, NULL, 16);
	/* As it would be called. */
	tni_sysv_name((uint32_t)index, called);
	return index <= TNI_SYSV_INDEX && strcmp(called, name) == 0
		       ? walk->visit((uint32_t)index, walk->context)
		       : 0;
}

static void find_keys(const struct tni_sysv_kind *kind)
{
	char beginning[TNI_NAME_MAX + 1];
	const struct dirent *entry;
	int directory_fd;
	DIR *directory;

	if (tni_namespace_open(NULL, 0, &directory_fd) != 0)
		return;
	directory = fdopendir(directory_fd);
	if (!directory) {
		close(directory_fd);
		return;
	}
	tni_namespace_key_file(kind->kind, 0, beginning);
	beginning[strlen(beginning) - KEY_DIGITS] = '\0';
	while ((entry = readdir(directory)) != NULL)
		if (strncmp(entry->d_name, beginning, strlen(beginning)) == 0)
			tni_sysv_go_on(kind, directory_fd, entry->d_name);
	closedir(directory);
}

int tni_sysv_list_names(const struct tni_sysv_kind *kind,
			int (*visit)(uint32_t index, void *context), void *context)
{
	struct walk walk = {.kind = kind->kind, .visit = visit, .context = context};

	return tenon_namespace_list(NULL, visit_name, &walk);
}

int tni_sysv_list(const struct tni_sysv_kind *kind, int (*visit)(uint32_t index, void *context),
		  void *context)
{
	find_keys(kind);
	return tni_sysv_list_names(kind, visit, context);
}

/* What lies beside a file: names that begin so. */
struct beside {
	char key[TNI_NAME_MAX + 1], data[TNI_NAME_MAX + 1];
	uint64_t inode;
};

static void describe(uint32_t kind, uint64_t inode, struct beside *ret_beside)
{
	ret_beside->inode = inode;
	tni_namespace_key_file(kind, 0, ret_beside->key);
	ret_beside->key[strlen(ret_beside->key) - KEY_DIGITS] = '\0';
	tni_namespace_data_file(kind, inode, 0, ret_beside->data);
	ret_beside->data[strlen(ret_beside->data) - ID_DIGITS] = '\0';
}

static bool is_beside(int directory_fd, const char *file_name, const struct beside *beside)
{
	uint64_t inode;

	if (strncmp(file_name, beside->data, strlen(beside->data)) == 0)
		return true;
	return strncmp(file_name, beside->key, strlen(beside->key)) == 0 &&
	       tni_file_inode(directory_fd, file_name, &inode) == 0 && inode == beside->inode;
}

void tni_sysv_take_beside(const struct tni_sysv_kind *kind, const char *name)
{
	char file_name[TNI_NAME_MAX + 1];
	const struct dirent *entry;
	struct beside beside;
	const char *bare;
	uint64_t inode;
	int directory_fd;
	DIR *directory;

	if (tni_name_check(name, &bare) != 0 || tni_namespace_open(NULL, 0, &directory_fd) != 0)
		return;
	directory = fdopendir(directory_fd);
	if (!directory) {
		close(directory_fd);
		return;
	}
	tni_namespace_file(kind->kind, bare, file_name);
	if (tni_file_inode(directory_fd, file_name, &inode) == 0) {
		describe(kind->kind, inode, &beside);
		while ((entry = readdir(directory)) != NULL)
			if (is_beside(directory_fd, entry->d_name, &beside))
				unlinkat(directory_fd, entry->d_name, 0);
	}
	closedir(directory);
}
