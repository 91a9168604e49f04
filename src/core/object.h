/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TNI_CORE_OBJECT_H
#define TNI_CORE_OBJECT_H

/* A named object as one process has it open: its mapping, its header, and who is attached. */

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "abi/object.h"
#include "core/gate.h"
#include "core/stake.h"
#include "core/thread.h"

#define TNI_OBJECT_NAME_OFFSET 2048u

#define TNI_STAKE_PAGES_MAX ((TNI_PARTICIPANTS_MAX + TNI_STAKES_A_PAGE - 1) / TNI_STAKES_A_PAGE)
#define TNI_STAKE_KNOWN_WORDS ((TNI_STAKE_PAGES_MAX + 63) / 64)

/* Whole pages, in bytes. */
static inline uint64_t tni_page_up(uint64_t bytes)
{
	return (bytes + TNI_PAGE_BYTES - 1) & ~(uint64_t)(TNI_PAGE_BYTES - 1);
}

struct tni_object {
	int fd; /* its locks say that this process is alive */
	uint8_t *base;
	uint64_t extent_bytes;
	uint64_t file_bytes; /* as long as the file was when it was opened */
	uint64_t inode;
	struct tni_object_header *shared;
	struct tni_object_header header; /* checked copy */
	struct tni_participant *participants;
	uint32_t participant;		    /* own entry */
	struct tni_a32 generation;	    /* of the process that attached; 0 none */
	struct tni_a32 known;		    /* participant entries whose memory is there */
	struct tni_object *next, *previous; /* all that this process has open */
	uint64_t forks;			    /* of this process before the file was opened */
	struct tni_a32
		renewed; /* generation of the process whose fork handler has opened the file anew */
	struct tni_stake stake;
	struct tni_a32
		told; /* generation of the process whose stake all who sleep know: object/turnstile.c */
	uint64_t stakes_offset; /* of the stakes' pages in the file; set by the kind */
	struct tni_a64 stakes_known[TNI_STAKE_KNOWN_WORDS]; /* pages whose memory is there */
	/* Frees what a dead participant held, whose entry is locked, or this one.  -ETIMEDOUT;
	 * -EAGAIN: something of it is still to be found by others, so its entry has to stay. */
	int (*bury)(struct tni_object *object, uint32_t participant, int64_t deadline_ns);
	/* After attaching, before any other thread of the process takes it for done.  May be
	 * NULL. */
	void (*renew)(struct tni_object *object);
	/* Gives a child that is about to be forked what this process has, in an entry of its
	 * own, so that it is attached from its first moment on.  NULL: from its first call. */
	void (*lend)(struct tni_object *object, struct tni_participant *entry);
	int child_fd; /* what that entry's lock belongs to; 0: none */
	uint32_t child_participant;
	/* Wakes all who sleep at it, at whatever it consists of, who look for what has changed. */
	void (*rouse)(struct tni_object *object);
	pthread_mutex_t burying; /* threads of one process share its locks on bytes */
};

/*
 * Makes the file of an object: `header` but for magic, version, fingerprint, order, id and time is
 * the caller's; `fill` writes the rest of the mapping, for which it reserves memory.  Gives the
 * file its name, and tells its inode.  -EEXIST.
 */
int tni_object_make(int directory_fd, const char *file_name, const char *name, mode_t mode,
		    struct tni_object_header *header,
		    int (*fill)(int fd, uint8_t *base, const void *context), const void *context,
		    uint64_t *ret_inode);

/* The same of a file without a name, which is open then, for tni_object_open_fd(). */
int tni_object_make_nameless(int directory_fd, mode_t mode, struct tni_object_header *header,
			     int (*fill)(int fd, uint8_t *base, const void *context),
			     const void *context, int *ret_fd);

/* Opens and maps.  -EPROTO another layout; -EBADMSG not an object; -EPERM unexpected owner. */
int tni_object_open(int directory_fd, const char *file_name, uint32_t kind,
		    struct tni_object *ret_object);

/* The same for a file that is open already, which it opens anew; does not wait. */
int tni_object_open_fd(int fd, uint32_t kind, struct tni_object *ret_object);

/* What both check of the file, for who only reads it: `ret_header` is a checked copy. */
int tni_object_check(int fd, uint32_t kind, struct tni_object_header *ret_header,
		     struct stat *ret_status);

/* Where what is the kind's own begins, behind the participants. */
static inline uint64_t tni_object_own_offset(uint32_t participants)
{
	return TNI_PARTICIPANTS_OFFSET + tni_page_up(participants * sizeof(struct tni_participant));
}

/* object_look.c: a word of the file, at an offset that depends on how many may participate, without
 * opening it as an object, which may have to wait for others.  0: there is none. */
uint32_t tni_object_read_word(int fd, uint32_t kind, uint64_t (*offset_of)(uint32_t participants));

/* Attaches this process; object->bury must be set.  -EUSERS. */
int tni_object_attach(struct tni_object *object);

/* Detaches, if this process is attached, and leaves the registry. */
void tni_object_detach(struct tni_object *object);

/* The same, and unmaps. */
void tni_object_close(struct tni_object *object);

/* What stands in the header of a file whose name is a hash. */
int tni_object_read_name(int directory_fd, const char *file_name, char *ret_name);

/* Attaches anew if this is a child that inherited the object. */
int tni_object_reattach(struct tni_object *object);

/* For that: an entry that is marked attached then, by a lock of the description `fd`; and says in
 * it who this process is. */
int tni_object_find_entry(struct tni_object *object, int fd, uint32_t *ret_index);
void tni_object_sign(struct tni_participant *entry);

/* Before a fork, with the registry locked: takes an entry for the child, if the object lends.  And
 * in the child, and in its parent, afterwards. */
void tni_object_lend(struct tni_object *object);
bool tni_object_borrow(struct tni_object *object);
void tni_object_lent(struct tni_object *object);

/* A participant entry, or NULL if `index` cannot be. */
struct tni_participant *tni_object_participant(struct tni_object *object, uint32_t index);

/* Room for the stakes of so many participants. */
static inline uint64_t tni_stakes_bytes(uint32_t participants)
{
	return (participants + TNI_STAKES_A_PAGE - 1) / TNI_STAKES_A_PAGE *
	       (uint64_t)TNI_PAGE_BYTES;
}

/* Has the kernel tell of this process's death, before it holds something between calls.  True: it
 * did not until now, and who sleeps does not know.  It cannot be had everywhere:
 * tni_object_has_stake() says. */
bool tni_object_ensure_stake(struct tni_object *object, struct tni_thread *thread);
bool tni_object_has_stake(struct tni_object *object, const struct tni_thread *thread);
/* Has the calling thread, which is about to sleep, take over the stake of one of its process that
 * has ended; who sleeps learns of that. */
void tni_object_hand_over(struct tni_object *object, struct tni_thread *thread);

/* Of a participant's stake: the word, or NULL if it has none.  Such words go into sleepers'
 * vectors. */
const struct tni_a32 *tni_object_stake(struct tni_object *object, uint32_t participant);

/* Whether a participant has a stake, and the kernel has not told of its death: no system call. */
bool tni_object_is_vouched(struct tni_object *object, uint32_t participant);

/* Puts all of others into a sleeper's vector. */
void tni_object_add_stakes(struct tni_object *object, struct tni_sleep *sleep);

/* How many participants may have one. */
uint32_t tni_object_stakes_top(struct tni_object *object);

/* How many entries were ever used. */
uint32_t tni_object_participants_top(struct tni_object *object);

/* Whether the process behind an entry has ended.  Never says so of one that is alive. */
bool tni_object_is_dead(struct tni_object *object, uint32_t participant);

/* Whether an entry is that of a process that has attached and has not ended. */
bool tni_object_is_attached(struct tni_object *object, uint32_t participant);

/* Whether no living participant can have a thread of this number, but for the calling thread; nor
 * somebody who is about to be participant `holder` (UINT32_MAX: nobody). */
bool tni_object_thread_is_gone(struct tni_object *object, uint32_t tid, uint32_t holder);

/* Whether a participant is this very process, perhaps by another handle, as far as thread numbers
 * go. */
bool tni_object_is_own(struct tni_object *object, uint32_t participant);

/* Whether a participant may live although the kernel told of its death, or somebody who attaches
 * has its number: see core/gate.c. */
bool tni_object_may_live(struct tni_object *object, uint32_t participant);

/* Buries a participant if it is dead.  1: done; 0: it lives, or somebody else is at it;
 * -ETIMEDOUT. */
int tni_object_recover_one(struct tni_object *object, uint32_t participant, int64_t deadline_ns);

void tni_object_damage(struct tni_object *object);

#endif
