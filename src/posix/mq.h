/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TNI_POSIX_MQ_H
#define TNI_POSIX_MQ_H

/* What the preload library, through which all calls of a program go, knows of the descriptors of
 * message queues.  None of these is async-signal-safe; all are thread-safe. */

#include <stdbool.h>
#include <stddef.h>

/* From now on all that this process does to its descriptors is told by the calls below.  So nobody
 * looks for what was closed without a word, what fcntl(2) says of O_NONBLOCK holds until a change
 * is told, and what is opened need not be ready for a poll before one is told. */
void tni_mq_tell_all(void);

/* Whether it is known as one: some nanoseconds, and no system call. */
bool tni_mq_is(int fd);

/* The same where it may have been closed by a call that nobody saw, as fclose(3) does: asks the
 * kernel. */
bool tni_mq_is_still(int fd);

/* Whether it looks like one of a queue that has its name, known or not: asks the kernel, and
 * opens nothing. */
bool tni_mq_is_named(int fd);

/* One that came by exec(3) gets known: whether it could. */
bool tni_mq_meet(int fd);

/* It is about to be polled, or put into a set. */
void tni_mq_watch(int fd);

/* It is about to be closed, or to become another by dup2(2).  In a child of vfork(2) nothing is
 * done. */
void tni_mq_closing(int fd);

/* `copy` has just been made of `fd` by dup(2), dup2(2), dup3(2), fcntl(2). */
void tni_mq_copied(int fd, int copy);

/* Its O_NONBLOCK is about to be changed, and has been or not. */
void tni_mq_flags_changing(int fd);
void tni_mq_flags_changed(int fd);

/* O_RDONLY, O_WRONLY or O_RDWR, as it was opened; -EBADF. */
int tni_mq_access(int fd);

/* What reading a queue of the kernel's gives (mq_overview(7)), with its null byte: the length
 * without that, or -EBADF. */
int tni_mq_describe(int fd, char *ret_text, size_t capacity_bytes);

/* The queue's permission bits, and owner: 0 or -EBADF. */
int tni_mq_owner(int fd, unsigned *ret_mode, unsigned *ret_uid, unsigned *ret_gid);

#endif
