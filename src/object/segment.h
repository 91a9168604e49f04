/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TNI_OBJECT_SEGMENT_H
#define TNI_OBJECT_SEGMENT_H

/* Shared memory of System V: the file that says who has it attached, and the data beside it.  See
 * object/segment.c.  Everything answers a negative errno value. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "abi/segment.h"
#include "abi/sysv.h"
#include "core/guard.h"
#include "core/object.h"

struct tenon_segment {
	struct tni_object object; /* first */
	struct tni_segment_control *control;
	const struct tni_sysv_part *part;
	/* Checked copies. */
	uint64_t bytes; /* as asked for */
	uint32_t flags, creator_pid;
	struct tni_guard *guard; /* of the object's own mapping */
	struct tni_a32 broken;	 /* a file was cut off */
	/* Told, if set, when this process has detached from one that is removed. */
	void (*left)(struct tenon_segment *segment);
	/* Changed under the registry's lock. */
	uint32_t references;  /* the handle, and attachments */
	uint32_t attachments; /* of this process */
	int data_fd;	      /* -1: it has none */
	dev_t data_device;
	ino_t data_inode;
};

/* Makes the file that says who has it attached, without a name.  `flags` as in struct
 * tni_segment_control. */
int tni_segment_make_nameless(int directory_fd, uint32_t flags, mode_t mode, int *ret_fd);

/* Makes the data, without a name and whole: -ENOSPC there is no memory for it; -ENOENT, -EACCES no
 * hugetlbfs with such pages is mounted, or none in which this user may make files.  `mode` is the
 * segment's. */
int tni_segment_make_data(int directory_fd, uint64_t bytes, uint32_t flags, mode_t mode,
			  int *ret_fd);

/* Gives it the name that belongs to the file `fd`, which is locked, and whose header says `id`. */
int tni_segment_name_data(int directory_fd, int fd, uint64_t id, int data_fd);

/* Takes the name away that belongs to the object with this page of a header, if there is one. */
int tni_segment_unname_data(int directory_fd, uint64_t inode, const uint8_t *header_page);

/* What of the object's data is called, and where it may lie: in the namespace's folder, or in the
 * first, second … hugetlbfs.  -ENOENT: there are no more. */
void tni_segment_data_file(uint32_t flags, uint64_t inode, uint64_t id, char *file_name);
int tni_segment_data_folder(int directory_fd, uint32_t flags, unsigned int nth, int *ret_fd);

/* What a page of the data has, and all of them. */
uint64_t tni_segment_page_bytes(uint32_t flags);
uint64_t tni_segment_extent(uint64_t bytes, uint32_t flags);

/* Opens by name; close() leaves what is attached as it is. */
int tni_segment_open(const char *name, struct tenon_segment **ret_segment);
void tni_segment_close(struct tenon_segment *segment);
/* Another reference, which close() gives back.  The registry is locked. */
void tni_segment_hold(struct tenon_segment *segment);

/* Before a call: in a child that has not come by fork(3) it attaches anew. */
int tni_segment_begin(struct tenon_segment *segment);

/* Removes it: the point is one store.  Whoever has it attached keeps it. */
void tni_segment_remove(struct tenon_segment *segment);
bool tni_segment_is_removed(const struct tenon_segment *segment);
/* Whether it is removed, and nobody has it attached. */
bool tni_segment_is_ended(struct tenon_segment *segment);

/* How often it is attached; by whom else than this process's handle `segment`. */
uint64_t tni_segment_count(struct tenon_segment *segment);
uint64_t tni_segment_count_others(struct tenon_segment *segment);

/* Clears away what the dead have left. */
void tni_segment_mend(struct tenon_segment *segment);

/* The data's file: `access` O_RDONLY, O_RDWR or O_PATH.  -ENOENT it has none; -EACCES; -EIO it is
 * cut off; -EIDRM it is ended. */
int tni_segment_find_data(struct tenon_segment *segment, int access, int *ret_fd);
/* The same, before it is attached: makes the data if its creator died too early.  The process has
 * counted itself. */
int tni_segment_find_data_slowly(struct tenon_segment *segment, int access, int *ret_fd);

struct tni_segment_wish {
	const void *address;
	int protection;
	bool is_fixed; /* or else wherever there is room */
	bool replaces; /* what is mapped there */
	bool is_held;  /* the caller has mapped as much there, to keep the room */
};

/* Attaches.  -EIDRM it is ended; -EINVAL the address is taken; -EACCES, -ENOMEM, -EIO. */
int tni_segment_attach(struct tenon_segment *segment, const struct tni_segment_wish *wish,
		       void **ret_address);

/* Detaches what was attached at this address.  -EINVAL: nothing is, or not any more. */
int tni_segment_detach(const void *address);

/* The program has unmapped that, or has mapped something else there. */
void tni_segment_unmapped(const void *address, uint64_t bytes);

/* Memory that the data takes, as far as this process can know. */
uint64_t tni_segment_memory(struct tenon_segment *segment);

/* Has who attaches it keep it in memory, beginning with what this process has attached; or nobody
 * any more.  -ENOMEM, -EPERM as mlock(2). */
int tni_segment_lock_memory(struct tenon_segment *segment, bool keeps);

static inline struct tni_participant *tni_segment_entry(struct tenon_segment *segment)
{
	return &segment->object.participants[segment->object.participant];
}

#endif
