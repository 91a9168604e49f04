/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Walks directories as find(1) does with -type f: symbolic links are not followed, and a path may
 * hold any byte and be longer than PATH_MAX (fts changes into the directories).
 */

#include "demo.h"

#include <errno.h>
#include <fts.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int walk(char *const *directories,
	 int (*visit)(const char *path, size_t path_bytes, uint64_t file_bytes, void *context),
	 void *context)
{
	FTSENT *entry;
	FTS *fts;
	int result = 0;

	fts = fts_open(directories, FTS_PHYSICAL, NULL);
	if (!fts)
		return -errno;
	for (;;) {
		errno = 0;
		entry = fts_read(fts);
		if (!entry) {
			result = -errno;
			break;
		}
		/* A directory that cannot be read is left out, as find leaves it out. */
		if (entry->fts_info != FTS_F)
			continue;
		result = visit(entry->fts_path, strlen(entry->fts_path),
			       (uint64_t)entry->fts_statp->st_size, context);
		if (result)
			break;
	}
	fts_close(fts);
	return result;
}

static int survey_file(const char *path, size_t path_bytes, uint64_t file_bytes, void *context)
{
	struct demo *demo = context;
	struct sample *sample;

	demo->files++;
	demo->file_bytes += file_bytes;
	if (demo->sample_count == SAMPLES_MAX || path_bytes > SAMPLE_BYTES_MAX)
		return 0;
	sample = &demo->samples[demo->sample_count];
	sample->data = strdup(path);
	if (!sample->data)
		return -ENOMEM;
	sample->bytes = (uint32_t)path_bytes;
	demo->sample_count++;
	demo->sample_bytes += path_bytes;
	if (sample->bytes > demo->sample_bytes_max)
		demo->sample_bytes_max = sample->bytes;
	return 0;
}

/* Counts the files, and keeps some paths as the messages of the rate measurement. */
int survey(struct demo *demo)
{
	demo->samples = calloc(SAMPLES_MAX, sizeof(*demo->samples));
	if (!demo->samples)
		return -ENOMEM;
	return walk(demo->directories, survey_file, demo);
}

static bool lies_in(const char *path, const char *directory)
{
	size_t length = strlen(directory);

	if (!strcmp(directory, "/"))
		return true;
	return !strncmp(path, directory, length) && (path[length] == '/' || path[length] == 0);
}

/* A directory that lies in another one is left out: each file shall be found once. */
static void drop_nested(char **directories, size_t count)
{
	size_t i, j, kept = 0;

	for (i = 0; i < count; i++) {
		bool nested = false;

		for (j = 0; j < count && !nested; j++) {
			if (i == j || !directories[j])
				continue;
			nested = lies_in(directories[i], directories[j]);
		}
		if (nested) {
			free(directories[i]);
			directories[i] = NULL;
		}
	}
	for (i = 0; i < count; i++)
		if (directories[i])
			directories[kept++] = directories[i];
	directories[kept] = NULL;
}

char **resolve_directories(char *const *given, size_t count)
{
	struct stat status;
	char **directories;
	size_t i;

	if (count == 0) {
		complain("no directory was named; name some in DEMO_DIR, separated by ':'");
		return NULL;
	}
	directories = calloc(count + 1, sizeof(*directories));
	if (!directories) {
		complain_error("directories", ENOMEM);
		return NULL;
	}
	for (i = 0; i < count; i++) {
		directories[i] = realpath(given[i], NULL);
		if (!directories[i] || stat(directories[i], &status)) {
			complain("%s: %s; name directories in DEMO_DIR, separated by ':'", given[i],
				 strerror(errno));
			return NULL;
		}
		if (!S_ISDIR(status.st_mode)) {
			complain("%s is not a directory; name directories in DEMO_DIR", given[i]);
			return NULL;
		}
	}
	drop_nested(directories, count);
	return directories;
}
