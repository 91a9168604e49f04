/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TNI_OBJECT_SYNC_H
#define TNI_OBJECT_SYNC_H

/* What all synchronization objects have in common.  See object/sync.c. */

#include <tenon/tenon.h>

#include "abi/sync.h"
#include "core/gate.h"
#include "core/object.h"
#include "object/named.h"

struct tni_sync;

/* A kind of them. */
struct tni_sync_kind {
	struct tni_kind named; /* first */
	uint32_t flags_known;
	bool is_held_long; /* struct tni_gatehouse */
	bool has_rows;
	/* Whether it may be made, or has been made, like that: what `flags` and `limit` mean is the
	 * kind's. */
	bool (*is_possible)(uint32_t flags, uint32_t limit);
	/* Gives back what a dead participant's row says, whose entry is locked, or this one's.  May
	 * be NULL.  -ETIMEDOUT. */
	int (*bury)(struct tni_sync *sync, uint32_t participant, int64_t deadline_ns);
	/* For turnstiles: the same by anybody, while somebody else has the entry locked and may not
	 * go on.  1: there was something left; 0; -ETIMEDOUT. */
	int (*help)(struct tni_sync *sync, uint32_t participant, int64_t deadline_ns);
	/* For turnstiles: what the word becomes by that; and whether claims count only while
	 * somebody waits. */
	bool claims_wait;
	uint64_t (*give_back)(const struct tni_sync *sync, uint64_t word, uint64_t claim);
	/* For kinds with memory of their own beside the cell: how much; its first contents, of an
	 * object that is being made; and what an opener does with it.  All of it is zero where
	 * nothing was written. */
	uint64_t (*extra_bytes)(uint32_t participants, uint32_t limit);
	int (*fill)(const struct tni_sync *sync, int fd, uint64_t offset, uint8_t *extra);
	int (*map)(struct tni_sync *sync);
	/* Under the gate, if not NULL: instead of what turnstiles do when its last owner died; and
	 * how many sleepers can go on. */
	int (*repair)(struct tni_sync *sync);
	uint32_t (*plan)(struct tni_sync *sync);
};

extern const struct tni_sync_kind tni_lock_kind, tni_semaphore_kind, tni_event_kind,
	tni_condition_kind, tni_barrier_kind, tni_once_kind, tni_semaphore_set_kind;

struct tenon_region;

struct tni_sync {
	struct tni_object own; /* first; of one that has a file of its own */
	struct tni_object *object;
	struct tenon_region *region; /* in which it is placed; NULL: it has a file of its own */
	uint64_t place;		     /* its offset there */
	struct tni_sync *next;	     /* of those that are placed there */
	const struct tni_sync_kind *kind;
	struct tni_gatehouse house;
	struct tni_cell *cell;
	struct tni_row *rows;
	uint8_t *extra;		   /* the kind's */
	struct tni_row *row;	   /* own; NULL: there was no memory for it, or the kind has none */
	struct tni_a32 rows_known; /* pages of rows whose memory is there */
	struct tni_a32 spin_ns;	   /* how long to spin before sleeping: object/turnstile.c */
	/* Bits of participants whose stake the kernel has marked since a thread of theirs ended:
	 * core/stake.c */
	struct tni_a64 outlives[TNI_BITMAP_WORDS];
	uint32_t flags, limit; /* checked copies */
	/* while it is opened */
	struct tenon_sync_options making;
	uint32_t making_limit;
	uint64_t making_word;
};

/* A lock with priority inheritance: object/lock_inherit.c. */
bool tni_sync_is_inheriting(const struct tni_sync *sync);

/* For a kind's struct tni_kind. */
int tni_sync_make(int directory_fd, const char *file_name, const char *name, void *context,
		  uint64_t *ret_inode);
/* Makes the file of one without a name, which is open then; what it is given is as below. */
int tni_sync_make_nameless(const struct tni_sync_kind *kind, int directory_fd,
			   const struct tenon_sync_options *options, uint32_t limit, uint64_t word,
			   int *ret_fd);
int tni_sync_open(int directory_fd, const char *file_name, void *context);
void tni_sync_close(void *context);

#define TNI_SYNC_KIND(number)                                                   \
	{                                                                       \
		.kind = (number), .make = tni_sync_make, .open = tni_sync_open, \
		.close = tni_sync_close                                         \
	}

/*
 * Makes the handle of a kind, `bytes` long, whose first member is its struct tni_sync, and opens
 * the object or makes it: `limit` and the first `word` are the kind's own.
 */
int tni_sync_open_named(const struct tni_sync_kind *kind, size_t bytes, const char *namespace_path,
			const char *name, uint32_t flags, const struct tenon_sync_options *options,
			uint32_t limit, uint64_t word, void *ret_sync);

/* Of one whose kind, object, cell and rows are set: the copies of its attributes, if they can be;
 * and then the rest. */
int tni_sync_check(struct tni_sync *sync);
void tni_sync_settle(struct tni_sync *sync);

/* For struct tni_object. */
void tni_sync_orphan(struct tni_sync *sync, uint32_t participant);
int tni_sync_bury(struct tni_sync *sync, uint32_t participant, int64_t deadline_ns);
void tni_sync_renew(struct tni_sync *sync);

/* Closes and frees it; NULL is allowed.  Answers NULL. */
void *tni_sync_free(struct tni_sync *sync);

/* Takes memory for a range of its file before it is used.  What is placed in a region has the
 * region's, which is there. */
int tni_sync_back(const struct tni_sync *sync, int fd, uint64_t offset, uint64_t bytes);
/* Where in the file of an object of its own the kind's own memory lies. */
uint64_t tni_sync_extra_offset(uint32_t participants);

/* A participant's row, whose memory is there then; NULL: there is none. */
struct tni_row *tni_sync_row(struct tni_sync *sync, uint32_t participant);

/* The own one, for which there may be memory by now. */
static inline struct tni_row *tni_sync_own_row(struct tni_sync *sync)
{
	return sync->row ? sync->row : tni_sync_row(sync, sync->object->participant);
}

/* Locks the gate, and repairs what its last owner left; `pending` as with tni_gate_lock().
 * -ETIMEDOUT; -EBADMSG.  Unlocking puts the pending entry back. */
int tni_sync_lock(struct tni_sync *sync, struct tni_thread *thread, void *pending,
		  int64_t deadline_ns);
void tni_sync_unlock(struct tni_sync *sync, struct tni_thread *thread, void *pending);

/* Takes over the gate of who died with it, and lets go of it. */
int tni_sync_heal(struct tni_sync *sync, struct tni_thread *thread, int64_t deadline_ns);

int tni_sync_damaged(struct tni_sync *sync);

/* Of which classes a participant, of those that there can be, has a thread asleep, as
 * TNI_CLASS_BIT(). */
uint32_t tni_sync_asleep(const struct tni_sync *sync, uint32_t participant);

/* A living process that has it open. */
struct tni_sync_user {
	uint32_t next; /* where to go on; the rest is the walk's */
	uint32_t participant;
	int32_t pid;
	uint32_t asleep;
};

/* Finds the next of them; the first when all of `user` is 0.  False: there are no more. */
bool tni_sync_next_user(struct tni_sync *sync, struct tni_sync_user *user);

/* What the status of every kind begins with: fields of `status` that are there have the same
 * names. */
struct tni_sync_status {
	uint32_t mode, uid, gid, max_participants;
	uint64_t id, memory_bytes;
	int64_t created_ns;
	uint32_t participants, waiting, damaged;
};
/* `classes`: of which those that sleep are `waiting`. */
void tni_sync_describe(struct tni_sync *sync, uint32_t classes, struct tni_sync_status *ret_status);

#define TNI_SYNC_STATUS_COPY(status, common)                             \
	do {                                                             \
		(status)->mode = (common)->mode;                         \
		(status)->uid = (common)->uid;                           \
		(status)->gid = (common)->gid;                           \
		(status)->max_participants = (common)->max_participants; \
		(status)->id = (common)->id;                             \
		(status)->memory_bytes = (common)->memory_bytes;         \
		(status)->created_ns = (common)->created_ns;             \
		(status)->participants = (common)->participants;         \
		(status)->waiting = (common)->waiting;                   \
		(status)->damaged = (common)->damaged;                   \
	} while (0)

/* The process id in an entry, as its own pid namespace has it. */
int32_t tni_sync_pid(struct tni_sync *sync, uint32_t participant);

/* Before a call: attaches anew in a child. */
static inline int tni_sync_begin(struct tni_sync *sync, const struct tni_thread *thread)
{
	if (__builtin_expect(tni_get32(&sync->object->generation) == thread->generation, 1))
		return 0;
	return tni_object_reattach(sync->object);
}

#endif
