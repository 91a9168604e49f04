/* SPDX-License-Identifier: Apache-2.0 */

/* What there is in the folder: all objects of a kind, and behind keys what somebody has left who died. */

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <tenon/tenon.h>

#include "core/file.h"
#include "core/namespace.h"
#include "sysv/identity.h"

#define KEY_DIGITS 8

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

void tni_sysv_take_keys(const struct tni_sysv_kind *kind, const char *name)
{
	char file_name[TNI_NAME_MAX + 1], beginning[TNI_NAME_MAX + 1];
	const struct dirent *entry;
	uint64_t inode, other;
	const char *bare;
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
	tni_namespace_key_file(kind->kind, 0, beginning);
	beginning[strlen(beginning) - KEY_DIGITS] = '\0';
	if (tni_file_inode(directory_fd, file_name, &inode) == 0)
		while ((entry = readdir(directory)) != NULL)
			if (strncmp(entry->d_name, beginning, strlen(beginning)) == 0 &&
			    tni_file_inode(directory_fd, entry->d_name, &other) == 0 &&
			    other == inode)
				unlinkat(directory_fd, entry->d_name, 0);
	closedir(directory);
}
