/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TNI_CORE_JOURNAL_H
#define TNI_CORE_JOURNAL_H

/*
 * All or nothing, for the words of one side, under the side's lock.
 *
 * A side has a version and two copies of its state; copy[version & 1] holds.  An operation writes
 * the other copy and then counts the version up: one store, before which nothing happened and
 * behind which everything did.  Words outside the state that change with it are written in place,
 * each after its old value went into the journal.  The journal names the version it was begun at,
 * so the same store that commits the state makes the journal worthless.
 *
 *	dies			version		journal		found by the next owner
 *	S1 journal begun	v		v, 0 entries	nothing to undo
 *	S2 entry written	v		v, n entries	undone, newest first
 *	S3 word written		v		v, n entries	undone
 *	S4 version counted up	v + 1		v		all done; journal ignored
 *
 * Undoing is writing old values, so it may be done any number of times, and a repairer may die too.
 */

#include <assert.h>
#include <stddef.h>

#include "abi/queue.h"
#include "core/fault.h"

struct tni_txn {
	/* The same as in the journal, out of others' reach: what an abort goes by. */
	struct {
		struct tni_a64 *word;
		uint64_t old;
	} undo[TNI_JOURNAL_ENTRIES];
	struct tni_journal *journal;
	uint8_t *base; /* of the file's mapping */
	uint32_t count;
};

static inline void tni_txn_begin(struct tni_txn *txn, struct tni_journal *journal, void *base,
				 const struct tni_a64 *version)
{
	txn->journal = journal;
	txn->base = base;
	txn->count = 0;
	tni_set64(&journal->count, 0);
	tni_step();
	tni_set64(&journal->version, tni_get64(version));
	tni_step();
}

/* Writes a word of the object.  An operation writes at most TNI_JOURNAL_ENTRIES. */
static inline void tni_txn_set(struct tni_txn *txn, struct tni_a64 *word, uint64_t value)
{
	uint32_t count = txn->count;
	uint64_t old = tni_get64(word);
	struct tni_journal_entry *entry = &txn->journal->entry[count];

	assert(count < TNI_JOURNAL_ENTRIES);
	txn->undo[count].word = word;
	txn->undo[count].old = old;
	if (!TNI_FAULT(TNI_FAULT_NO_JOURNAL)) {
		tni_set64(&entry->offset, (uint64_t)((uint8_t *)word - txn->base));
		tni_set64(&entry->old, old);
		tni_step();
		tni_set64(&txn->journal->count, ++txn->count);
		tni_step();
	}
	tni_set64(word, value);
}

static inline void tni_txn_add(struct tni_txn *txn, struct tni_a64 *counter, uint64_t value)
{
	tni_txn_set(txn, counter, tni_get64(counter) + value);
}

/* The same for a word that an operation writes again and again, one of a few: its first old value
 * is all that is needed. */
static inline void tni_txn_set_again(struct tni_txn *txn, struct tni_a64 *word, uint64_t value)
{
	for (uint32_t i = txn->count; i > 0 && i + 4 > txn->count; i--) {
		if (txn->undo[i - 1].word == word) {
			tni_set64(word, value);
			return;
		}
	}
	tni_txn_set(txn, word, value);
}

/* Takes back what was written since tni_txn_begin(). */
void tni_txn_abort(struct tni_txn *txn);

/* Repair: undoes what a dead owner had begun.  `bytes` bounds the offsets; memory that is
 * not in the file `fd` (-1: is there) is taken first.  0, -EBADMSG, -ENOSPC. */
int tni_journal_undo(struct tni_journal *journal, const struct tni_a64 *version, int fd, void *base,
		     uint64_t from, uint64_t bytes);

/* Whether an operation is open at this version. */
static inline bool tni_journal_is_open(const struct tni_journal *journal,
				       const struct tni_a64 *version)
{
	return tni_get64(&journal->version) == tni_get64(version) &&
	       tni_get64(&journal->count) != 0;
}

/* The one store that commits. */
static inline void tni_commit(struct tni_a64 *version)
{
	tni_step();
	tni_store_release64(version, tni_get64(version) + 1); /* ORD(look) */
	tni_step();
}

#endif
