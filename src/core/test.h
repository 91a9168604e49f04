/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TNI_CORE_TEST_H
#define TNI_CORE_TEST_H

/* What the unit tests share: a requirement that says where it failed, a namespace of one's own. */

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define REQUIRE(condition)                                                              \
	do {                                                                            \
		if (!(condition)) {                                                     \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
			exit(1);                                                        \
		}                                                                       \
	} while (0)

static char test_folder_[64];
static pid_t test_folder_owner_;

static inline void test_folder_remove(void)
{
	char path[512];
	const struct dirent *entry;
	DIR *folder = getpid() == test_folder_owner_ ? opendir(test_folder_) : NULL;

	while (folder && (entry = readdir(folder)) != NULL) {
		snprintf(path, sizeof(path), "%s/%s", test_folder_, entry->d_name);
		unlink(path);
	}
	if (folder) {
		closedir(folder);
		rmdir(test_folder_);
	}
}

/* Makes a namespace and names it in the environment; it is removed at exit. */
static inline void test_folder_make(void)
{
	strcpy(test_folder_, "/dev/shm/tenon-test-XXXXXX");
	REQUIRE(mkdtemp(test_folder_));
	test_folder_owner_ = getpid();
	atexit(test_folder_remove);
	setenv("TENON_NAMESPACE", test_folder_, 1);
}

#endif
