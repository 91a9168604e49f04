/* SPDX-License-Identifier: Apache-2.0 */

/* The namespace in use: its folder, and the objects in it, sorted by name. */

#include "kind.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

const char *cli_namespace(void)
{
	static char path[PATH_MAX];

	if (tenon_namespace_path(path, sizeof(path)))
		return "?";
	return path;
}

bool cli_namespace_is_named(void)
{
	const char *named = getenv("TENON_NAMESPACE");

	return named && named[0];
}

bool cli_namespace_is_missing(void)
{
	return access(cli_namespace(), F_OK) && errno == ENOENT;
}

bool cli_namespace_is_sticky(void)
{
	struct stat information;

	return !stat(cli_namespace(), &information) && information.st_mode & S_ISVTX &&
	       !faccessat(AT_FDCWD, cli_namespace(), W_OK | X_OK, AT_EACCESS);
}

bool cli_is_on_disk(const char *path)
{
	struct statfs information;

	return !statfs(path, &information) && information.f_type != TMPFS_MAGIC &&
	       information.f_type != RAMFS_MAGIC;
}

const char *cli_namespace_remedy(void)
{
	static char remedy[PATH_MAX + 128];

	if (!cli_namespace_is_named())
		return "'tenon doctor' says what is in the way";
	snprintf(remedy, sizeof(remedy),
		 "make it with 'mkdir -m 700 %s', or look at TENON_NAMESPACE and --namespace",
		 cli_namespace());
	return remedy;
}

const char *cli_namespace_barrier(void)
{
	static char path[PATH_MAX];
	struct stat information;
	char *slash;

	if (!faccessat(AT_FDCWD, cli_namespace(), R_OK | X_OK, AT_EACCESS) || errno != EACCES)
		return NULL;
	snprintf(path, sizeof(path), "%s", cli_namespace());
	/* Of a folder that cannot even be seen, the one above it is in the way. */
	while (stat(path, &information) && errno == EACCES) {
		slash = strrchr(path, '/');
		if (!slash)
			return ".";
		slash[slash == path] = 0;
	}
	return path;
}

static int visit(uint32_t kind, const char *name, void *context)
{
	struct cli_listing *listing = context;
	struct cli_entry *entry;
	const struct cli_kind *known = cli_kind_of(kind);

	if (!known || (listing->only && listing->only != known))
		return 0;
	if (listing->count == listing->capacity) {
		size_t grown = listing->capacity ? listing->capacity * 2 : 64;
		struct cli_entry *moved = realloc(listing->entries, grown * sizeof(*moved));

		if (!moved)
			return -ENOMEM;
		listing->entries = moved;
		listing->capacity = grown;
	}
	entry = &listing->entries[listing->count];
	entry->kind = known;
	entry->name = strdup(name);
	if (!entry->name)
		return -ENOMEM;
	++listing->count;
	return 0;
}

static int compare(const void *left, const void *right)
{
	const struct cli_entry *one = left, *other = right;
	int order = strcmp(one->name, other->name);

	return order ? order : (int)one->kind->kind - (int)other->kind->kind;
}

int cli_listing_read(struct cli_listing *listing)
{
	int error = tenon_namespace_list(NULL, visit, listing);

	if (!error && listing->count)
		qsort(listing->entries, listing->count, sizeof(*listing->entries), compare);
	return error;
}

void cli_cleanup_listing(struct cli_listing *listing)
{
	size_t i;

	for (i = 0; i < listing->count; ++i)
		free(listing->entries[i].name);
	free(listing->entries);
}
