/* SPDX-License-Identifier: Apache-2.0 */

#include "folder.h"

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static int files_left;

int folder_make(char ret_path[FOLDER_BYTES])
{
	static const char template[] = "/dev/shm/tenon-crash-XXXXXX";

	memcpy(ret_path, template, sizeof(template));
	if (!mkdtemp(ret_path))
		return -errno;
	return setenv("TENON_NAMESPACE", ret_path, 1) == 0 ? 0 : -errno;
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *place)
{
	(void)status;
	(void)place;
	files_left += kind == FTW_F;
	remove(path);
	return 0;
}

uint32_t folder_files(const char *path)
{
	DIR *directory = opendir(path);
	const struct dirent *entry;
	uint32_t files = 0;

	while (directory && (entry = readdir(directory)) != NULL)
		files += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
	if (directory)
		closedir(directory);
	return files;
}

int folder_remove(const char *path)
{
	files_left = 0;
	nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	return files_left;
}
