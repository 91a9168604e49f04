/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_CRASH_FOLDER_H
#define TEST_CRASH_FOLDER_H

/* A namespace of the test's own, which nothing is left of. */

#include <stdint.h>

#define FOLDER_BYTES 64u

/* Makes a folder under /dev/shm and points TENON_NAMESPACE to it.  Negative errno. */
int folder_make(char ret_path[FOLDER_BYTES]);

/* How many files lie in it. */
uint32_t folder_files(const char *path);

/* Removes it with all that lies in it.  Answers how many objects were left there. */
int folder_remove(const char *path);

#endif
