/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TNI_SYSV_IDENTITY_H
#define TNI_SYSV_IDENTITY_H

/* Keys and identifiers: which files they stand for, how these get their names and lose them.  See
 * sysv/identity.c.  Everything answers a negative errno value. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/ipc.h>
#include <sys/types.h>

#include "abi/sysv.h"
#include "core/object.h"

#define TNI_SYSV_NAME_BYTES 16u

#define TNI_SYSV_KINDS 3u

/* A kind of System V objects. */
struct tni_sysv_kind {
	uint32_t kind; /* TENON_KIND_… */
	uint32_t row;  /* the kind's own, below TNI_SYSV_KINDS, of tables by kind */
	/* Makes the file, without a name, of a new object: `size` as in struct tni_sysv_part. */
	int (*make)(int directory_fd, uint64_t size, int flags, mode_t mode, int *ret_fd);
	/* Opens by name. */
	int (*open)(const char *name, void **ret_object);
	void (*close)(void *object);
	/* Ends it for all: the point of removing it. */
	int (*end)(void *object);
	/* Whether somebody has. */
	bool (*is_ended)(void *object);
	/* The same by the object's file: to open it as one is to wait for who holds its locks.
	 * NULL: it has none. */
	bool (*is_over)(int fd);
	/* What IPC_SET has changed beside owner and mode: TNI_SYSV_NO_LIMIT nothing; and who sleeps
	 * may not be allowed to any more.  May be NULL. */
	int (*settle)(void *object, uint64_t limit);
	/* Memory that has a file of its own beside the object's: made without a name, and given
	 * one, with the object's file locked, behind the object's.  NULL: there is none. */
	int (*make_memory)(int directory_fd, uint64_t size, int flags, int *ret_fd);
	int (*name_memory)(int directory_fd, int fd, uint64_t id, int memory_fd);
	/* Whether it is removed, though perhaps not ended, as memory is while it is attached: its
	 * key is free.  NULL: is_ended says. */
	bool (*is_removed)(void *object);
	/* msgget and so on of one that is there: 0, or what is wrong with that size. */
	int (*fits)(uint64_t size, uint64_t wanted);
	/* How many there may be. */
	uint32_t (*most)(void);
};

extern const struct tni_sysv_kind tni_sysv_msg, tni_sysv_sem, tni_sysv_shm;

/* What there is to know of an object. */
struct tni_sysv_identity {
	uint32_t key, id, state;
	bool is_settled; /* TNI_SYSV_UNSETTLED is not set */
	uint32_t uid, gid, creator_uid, creator_gid, mode;
	uint64_t size, limit;
	int64_t changed_ns;
};

/* The object's name, as the other interfaces have it: "/sysv-" and the index, hexadecimal. */
void tni_sysv_name(uint32_t id, char name[static TNI_SYSV_NAME_BYTES]);

/* The identity of what has this name, of which nothing else is looked at.  -EINVAL: it is none of
 * System V. */
int tni_sysv_identify(uint32_t kind, const char *name, struct tni_sysv_identity *ret_identity);

/* The part of an open object.  -EINVAL: it is none of System V. */
int tni_sysv_part_of(const struct tni_object *object, uint32_t kind,
		     struct tni_sysv_part **ret_part);

/* Reads it, all of one moment; -EBADMSG: it never is. */
int tni_sysv_read(const struct tni_sysv_part *part, struct tni_sysv_identity *ret_identity);

/* msgget, semget, shmget: the identifier. */
int tni_sysv_get(const struct tni_sysv_kind *kind, key_t key, uint64_t size, int flags);

/* Changes uid, gid, the lower nine bits of mode, and the limit, at once; the caller may. */
int tni_sysv_set(const struct tni_sysv_kind *kind, void *object, struct tni_sysv_part *part,
		 const struct tni_sysv_identity *to);

/* Does what follows from permissions that somebody has changed who died then. */
int tni_sysv_settle(const struct tni_sysv_kind *kind, void *object, struct tni_sysv_part *part);

/* IPC_RMID: ends it, and takes its names away; the caller may.  -EIDRM somebody else has. */
int tni_sysv_remove(const struct tni_sysv_kind *kind, void *object, struct tni_sysv_part *part);

/* Takes the names of one away that is removed: what a remover who died has left, too.  Not the
 * identifier's, of one that is not ended. */
int tni_sysv_clear(const struct tni_sysv_kind *kind, void *object, struct tni_sysv_part *part);

/* Whether what has the name of this index is this object. */
bool tni_sysv_has_name(const struct tni_object *object, uint32_t kind, uint32_t index);

/* The same by identifier, of one that cannot be opened since there is no memory left.  -EPERM. */
int tni_sysv_remove_closed(const struct tni_sysv_kind *kind, uint32_t id);

/* Takes away what lies beside the file that has this name, its keys and its data, and that may be
 * no object any more: nobody but who removes it knows. */
void tni_sysv_take_beside(const struct tni_sysv_kind *kind, const char *name);

/* Takes the names of what has this index away if it is removed, as tni_sysv_clear(); -EEXIST it is
 * not ended; -EAGAIN somebody else is at its names, who may be stopped and is not waited for: only
 * who wants its key for another has to. */
int tni_sysv_tidy(const struct tni_sysv_kind *kind, uint32_t index);

/* Goes on with what somebody has left, at this name of a key's, who died.  Waits for nobody. */
void tni_sysv_go_on(const struct tni_sysv_kind *kind, int directory_fd, const char *file_name);

/* The indices that are in use, in no particular order; a non-zero answer ends the walk and is
 * returned. */
int tni_sysv_list(const struct tni_sysv_kind *kind, int (*visit)(uint32_t index, void *context),
		  void *context);

/* The same, but of what somebody has left who died nothing is completed before. */
int tni_sysv_list_names(const struct tni_sysv_kind *kind,
			int (*visit)(uint32_t index, void *context), void *context);

/* Whether there may be one more, in this folder: -ENOSPC.  Now and then it first takes away some of
 * what the dead have left. */
int tni_sysv_room(const struct tni_sysv_kind *kind, int directory_fd);

#endif
