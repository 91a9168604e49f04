/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Children that are attached from their first moment on: core/object_living.c.  The parent takes an entry for the child, by a
 * description of the file that is to be the child's.
 *
 *	lend	S1 open the file anew, attach by that	dies: nobody has the description, and the entry is a dead one's
 *		S2 write what the child will have	dies: the same
 *		S3 fork					dies, either: the entry is the other's, or nobody's
 *		S4 the parent closes its descriptor
 *		S5 the child says who it is
 */

#include <fcntl.h>
#include <unistd.h>

#include "core/file.h"
#include "core/object.h"

/* The lock belongs to a description that this process has no other descriptor of: so it is the child's alone as soon as the
 * parent has closed its own, and nobody's if no child came of it. */
void tni_object_lend(struct tni_object *object)
{
	struct tni_participant *entry;
	int fd;

	if (!object->lend || tni_file_reopen(object->fd, &fd) != 0)
		return;
	fd = tni_file_lift(fd);
	if (tni_object_find_entry(object, fd, &object->child_participant) != 0) {
		close(fd);
		return;
	}
	entry = tni_object_participant(object, object->child_participant);
	/* Whose it will be is not known yet. */
	tni_set32(&entry->pid, 0);
	object->lend(object, entry);
	object->child_fd = fd;
}

bool tni_object_borrow(struct tni_object *object)
{
	int fd = object->child_fd;
	struct tni_participant *entry;

	object->child_fd = 0;
	if (fd == 0)
		return false;
	if (object->fd < 0) {
		object->fd = fd;
	} else {
		if (dup3(fd, object->fd, O_CLOEXEC) < 0) {
			close(fd);
			return false;
		}
		close(fd);
	}
	object->participant = object->child_participant;
	entry = tni_object_participant(object, object->participant);
	tni_object_sign(entry);
	tni_set32(&object->generation, tni_process_generation());
	return true;
}

void tni_object_lent(struct tni_object *object)
{
	if (object->child_fd != 0)
		close(object->child_fd);
	object->child_fd = 0;
}
