/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TNI_SYSV_LOOK_H
#define TNI_SYSV_LOOK_H

/* The files that are behind keys and identifiers, for sysv/identity.c and sysv/birth.c. */

#include "core/guard.h"
#include "core/namespace.h"
#include "sysv/identity.h"
#include "sysv/turn.h"

#define TNI_SYSV_FILE_NAME_BYTES (TNI_NAME_MAX + 1)

/* A file of the folder, and the page of its header. */
struct tni_sysv_look {
	int directory_fd, fd;
	uint32_t kind;
	uint64_t inode;
	uint8_t *page;
	struct tni_sysv_part *part;
	struct tni_sysv_turn turn;
	struct tni_guard *guard; /* of the page, which others can cut off */
	struct tni_a32 broken;
};

/* What the file of an identifier is called. */
void tni_sysv_id_file(uint32_t kind, uint32_t id, char *file_name);

/* Takes its turn (sysv/turn.h), until the look ends, if it has not got it. */
int tni_sysv_look_lock(struct tni_sysv_look *look);
/* Of a page that is mapped: where the look stays. */
int tni_sysv_look_guard(struct tni_sysv_look *look);
void tni_sysv_look_end(struct tni_sysv_look *look);

/* Whether a name is this file's. */
bool tni_sysv_is_named(const struct tni_sysv_look *look, const char *file_name);

/* The random number in the object's header. */
uint64_t tni_sysv_object_id(const struct tni_sysv_look *look);

/* In turn: takes its names away; `keep_id`: but the identifier's. */
int tni_sysv_take_names(const struct tni_sysv_look *look, bool keep_id);

/* sysv/birth.c: goes on with making one that somebody has begun to make; and makes one with a key,
 * or IPC_PRIVATE, and answers its identifier.  -EAGAIN: the key has another by now. */
int tni_sysv_bear(struct tni_sysv_look *look);
int tni_sysv_make_named(const struct tni_sysv_kind *kind, int directory_fd, uint32_t key,
			uint64_t size, int flags);

#endif
