/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TNI_OBJECT_SEMAPHORE_SET_H
#define TNI_OBJECT_SEMAPHORE_SET_H

/* The set of semaphores, for its own files.  See object/semaphore_set.c. */

#include <tenon/semaphore_set.h>

#include <errno.h>

#include "abi/semaphore_set.h"
#include "core/clock.h"
#include "object/sync.h"
#include "object/turnstile.h"

#define TNI_SET_UNDO_PAGES_MOST \
	(TNI_PARTICIPANTS_MAX * ((TNI_SET_MOST * 4u + TNI_PAGE_BYTES - 1) / TNI_PAGE_BYTES))

struct tenon_semaphore_set {
	struct tni_sync sync; /* first */
	struct tni_set_head *head;
	struct tni_set_entry *journal;
	struct tni_a64 *values, *next_values;
	struct tni_set_waiter *waiters;
	uint64_t undo_offset, undo_stride; /* in the extra memory; bytes */
	uint32_t maximum;	      /* checked copy, as the number of semaphores is sync.limit */
	struct tni_a32 journal_known; /* 1: all of its memory is there */
	struct tni_a32 next_known;    /* the same */
	struct tni_a32 waiters_known; /* records whose memory is there */
	struct tni_a64
		undo_known[TNI_SET_UNDO_PAGES_MOST / 64]; /* bits of the pages that are there */
};

/* So many operations' journal lies in the page of the head, whose memory is there. */
#define TNI_SET_JOURNAL_FEW 100u

/* A semaphore that a list of operations changes, or looks at. */
struct tni_set_touched {
	uint32_t number;
	uint32_t value; /* what it becomes */
	int32_t undo;
	uint32_t has_undo;
};

/* object/semaphore_set_memory.c, for struct tni_sync_kind */
uint64_t tni_set_extra_bytes(uint32_t participants, uint32_t limit);
int tni_set_fill(const struct tni_sync *sync, int fd, uint64_t offset, uint8_t *extra);
int tni_set_map(struct tni_sync *sync);
int tni_set_repair(struct tni_sync *sync);
int tni_set_bury(struct tni_sync *sync, uint32_t participant, int64_t deadline_ns);
int tni_set_help(struct tni_sync *sync, uint32_t participant, int64_t deadline_ns);

/* Memory that is there then.  0, -ENOSPC. */
int tni_set_back_undo(struct tenon_semaphore_set *set, uint32_t participant, uint32_t number);
int tni_set_back_journal(struct tenon_semaphore_set *set);
int tni_set_back_next(struct tenon_semaphore_set *set);
int tni_set_back_waiters(struct tenon_semaphore_set *set, uint32_t count);

/* An undo count, whose memory is there. */
static inline struct tni_a32 *tni_set_undo(const struct tenon_semaphore_set *set,
					   uint32_t participant, uint32_t number)
{
	return (struct tni_a32 *)(set->sync.extra + set->undo_offset +
				  participant * set->undo_stride + number * sizeof(uint32_t));
}

/* The own process's id, as others see it. */
static inline uint64_t tni_set_own_pid(const struct tenon_semaphore_set *set)
{
	const struct tni_object *object = set->sync.object;

	return (uint64_t)tni_get32(&object->participants[object->participant].pid)
	       << TNI_SET_PID_SHIFT;
}

/* Words of a process that wrote what it liked count as what they can be at most. */
static inline uint32_t tni_set_value(const struct tenon_semaphore_set *set, uint32_t number)
{
	uint64_t value = tni_get64(&set->values[number]) & TNI_SET_VALUE;

	return value < set->maximum ? (uint32_t)value : set->maximum;
}

/* Under the gate. */
static inline void tni_set_count_operation(struct tenon_semaphore_set *set)
{
	tni_set64(&set->head->operated_ns, (uint64_t)tni_stamp_ns());
	tni_set64(&set->head->operations, tni_get64(&set->head->operations) + 1);
}

/* Whether the set that this file is has been destroyed; without opening it as one. */
bool tni_set_is_over(int fd);

/* Makes the file of a set without a name, which is open then. */
int tni_set_make_nameless(int directory_fd, const struct tenon_semaphore_set_options *options,
			  int *ret_fd);

/* Does what touched semaphores become, all or nothing.  Under the gate; the memory is there. */
void tni_set_commit(struct tenon_semaphore_set *set, const struct tni_set_touched *touched,
		    uint32_t count);

/* Does what the note says, to the end.  Under the gate. */
int tni_set_follow_note(struct tenon_semaphore_set *set);
/* Takes the memory that it will need. */
int tni_set_back_note(struct tenon_semaphore_set *set);

/* Begins a call: attached, under the gate, not destroyed.  `deadline_ns`: for the gate.  -EIDRM,
 * -ETIMEDOUT, …. */
int tni_set_enter(struct tenon_semaphore_set *set, struct tni_thread *thread, void *pending,
		  int64_t deadline_ns);
void tni_set_leave(struct tenon_semaphore_set *set, struct tni_thread *thread, void *pending);

/* object/semaphore_set_wait.c */

/* One who may have to wait. */
struct tni_set_turn {
	struct tni_turn turn; /* first */
	struct tenon_semaphore_set *set;
	const struct tenon_semaphore_operation *operations;
	uint32_t count;
	uint32_t record; /* of the waiter; UINT32_MAX: none */
	/* Why it has to wait. */
	uint32_t number, needed;
	int32_t change;
	bool is_nowait;
	bool has_looked; /* for what the dead had, since it cannot have what it needs */
};

/* Under the gate: writes down why it waits, or that it does not any more.  -ENOSPC. */
int tni_set_record(struct tni_set_turn *turn);
void tni_set_record_end(struct tni_set_turn *turn);
/* Whether somebody else has done for it what it waits for; then its record is gone. */
bool tni_set_is_granted(struct tni_set_turn *turn);
/* For its tni_turn: whether it is worth while to look once more. */
bool tni_set_may_go_on(const struct tni_turn *turn, uint64_t word);

/* Under the gate: grants who waits for nothing but a zero, and tells how many sleepers may go
 * on. */
uint32_t tni_set_plan(struct tni_sync *sync);
/* Those of one who is dead, or lets go. */
void tni_set_forget(struct tenon_semaphore_set *set, uint32_t participant);

#endif
