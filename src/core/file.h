/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TNI_CORE_FILE_H
#define TNI_CORE_FILE_H

/* The file of a named object: made whole or not at all, and never written where there is no
 * memory. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Takes memory for a range of the file.  0, -ENOSPC, -EIO; -EFBIG: the file would become longer
 * than RLIMIT_FSIZE, and no SIGXFSZ is sent.  -EINTR is not given. */
int tni_file_reserve(int fd, uint64_t offset, uint64_t bytes);

/* The same for the first bytes of a file that is as long already: it does not become longer. */
int tni_file_refill(int fd, uint64_t bytes);

/* And for a range of it, from a page boundary on. */
int tni_file_refill_range(int fd, uint64_t offset, uint64_t bytes);

/* Gives memory back; the range reads as zeros afterwards. */
void tni_file_release(int fd, uint64_t offset, uint64_t bytes);

/* Makes an unnamed file in the folder `directory_fd`, with the mode as the umask leaves it. */
int tni_file_make(int directory_fd, mode_t mode, int *ret_fd);

/* Gives an unnamed file its name.  0 or -EEXIST …. */
int tni_file_name(int fd, int directory_fd, const char *name);

/* Opens the same file anew: an open file description of one's own. */
int tni_file_reopen(int fd, int *ret_fd);

/* The same with `access` (O_RDONLY, O_RDWR), and without waiting for who has a lease on the file
 * (fcntl(2), F_SETLEASE): -EAGAIN. */
int tni_file_reopen_at_once(int fd, int access, int *ret_fd);

/* A descriptor that is kept must not be one of the standard ones, to which a program that has
 * closed them prints: the same by another number then.  Negative: as it is, errno too. */
int tni_file_lift(int fd);

/* The least number that it may get; more where programs know nothing of the library, and put their
 * own where they like (dup2(2)). */
extern int tni_file_least_;

/* Locks a byte of the file, which whoever has another open file description of it waits for; the
 * kernel unlocks it with the last descriptor of this one.  And unlocks all of them. */
int tni_file_lock(int fd, int64_t offset);
/* -EAGAIN instead of waiting. */
int tni_file_try_lock(int fd, int64_t offset);
void tni_file_unlock(int fd);

/* The inode of the file of that name, or of the descriptor itself if the name is empty. */
int tni_file_inode(int directory_fd, const char *name, uint64_t *ret_inode);

/* Whether somebody has cut it off. */
bool tni_file_is_shorter(int fd, uint64_t bytes);

/* Memory that the file has taken. */
uint64_t tni_file_memory(int fd);

#endif
