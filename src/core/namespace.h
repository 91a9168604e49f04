/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TNI_CORE_NAMESPACE_H
#define TNI_CORE_NAMESPACE_H

/* Where objects have their names. */

#include <stdbool.h>
#include <stdint.h>

#define TNI_NAME_MAX 255u

/* A name without its slash; -EINVAL, -ENAMETOOLONG. */
int tni_name_check(const char *name, const char **ret_name);

/* Opens the namespace folder; `make`: makes the caller's own if it is missing.  -EPERM: it belongs
 * to somebody unexpected.  Close the descriptor. */
int tni_namespace_open(const char *path, int make, int *ret_directory_fd);

/* What the file of an object of a kind is called in the folder.  `file_name` has room for NAME_MAX
 * + 1. */
void tni_namespace_file(uint32_t kind, const char *name, char *file_name);

/* What a second name of such a file is called that stands for a key of System V, and is no
 * object's. */
void tni_namespace_key_file(uint32_t kind, uint32_t key, char *file_name);

/* What a file is called that has the memory of such an object, of which it says the inode, which is
 * nobody's word, and the random number in its header. */
void tni_namespace_data_file(uint32_t kind, uint64_t inode, uint64_t id, char *file_name);

/* What a symbolic link beside that file is called which has the whole name, of a kind whose files
 * have no header; false: the file's name has it.  `link_name` has room for TNI_NAME_LINK_MAX +
 * 1. */
#define TNI_NAME_LINK_MAX 48u
bool tni_namespace_link(const char *file_name, const char *name, char *link_name);

#endif
