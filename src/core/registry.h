/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TNI_CORE_REGISTRY_H
#define TNI_CORE_REGISTRY_H

/* The objects that this process has open.  Thread-safe. */

#include "core/object.h"

/* How often this process has forked, for object->forks before its file is opened. */
uint64_t tni_registry_forks(void);

/* From here on a forked child lets go of the object's file.  Before any lock on it is taken. */
int tni_registry_enter(struct tni_object *object);
/* Closes the file. */
void tni_registry_leave(struct tni_object *object);

/* The calling thread has got a stake.  When it ends, threads of this process that sleep at the
 * object take it. */
void tni_registry_note_thread(struct tni_thread *thread);

/* Keeps this process from forking. */
void tni_registry_lock(void);
void tni_registry_unlock(void);

/* A lock on a byte of a file, waited for, that is this process's alone: a child that another thread
 * forks meanwhile does not keep it.  0 in `fd`: none. */
struct tni_file_hold {
	struct tni_file_hold *next;
	int fd;
};

int tni_registry_hold(struct tni_file_hold *hold, int fd, int64_t offset);
/* -EAGAIN instead of waiting. */
int tni_registry_try_hold(struct tni_file_hold *hold, int fd, int64_t offset);
void tni_registry_release(struct tni_file_hold *hold);

/* A file of one's own in place of one that another process may have as well.  Locked. */
int tni_registry_renew(struct tni_object *object);

#endif
