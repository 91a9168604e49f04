/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TNI_CORE_TABLE_H
#define TNI_CORE_TABLE_H

/*
 * A table of equal entries in an object's file, as one process sees it.  Indices come from shared
 * memory: tni_table_at() is where they are checked.  An entry is only touched when its memory is
 * known to be there, so that a full file system is an error and not a signal.
 */

#include <stdint.h>

#include "core/journal.h"

struct tni_table {
	uint8_t *base;	 /* of the file's mapping */
	uint64_t offset; /* of entry 0 in the file */
	uint64_t entry_bytes;
	uint32_t max;
	/* So many are used before freed ones are fetched: the fewer the entries, the more often
	 * both sides would need the word that the freed ones hang on. */
	uint32_t spare;
	struct tni_a32 known; /* entries below are backed by memory */
	/* Of entries whose memory is taken, and given back, one by one and page by page: how many
	 * pages of each are known to be there.  Else NULL: all of an entry is there or nothing, and
	 * nothing is ever given back. */
	struct tni_a32 *pages;
	const int *fd;
};

/* Why the calling thread's last tni_table_at() gave NULL, or tni_table_back() failed, if the index
 * was not to blame: -ENOSPC …. */
extern __thread int tni_table_failure;

int tni_table_reach(struct tni_table *table, uint64_t index);

/* The entry, or NULL if `index` cannot be.  Of one with pages of its own, only the first is
 * there. */
static inline void *tni_table_at(struct tni_table *table, uint64_t index)
{
	if (__builtin_expect(index >= tni_get32(&table->known), 0) &&
	    tni_table_reach(table, index) != 0)
		return NULL;
	return table->base + table->offset + index * table->entry_bytes;
}

/* Makes sure that there is memory.  0, -ENOSPC, -EIO. */
int tni_table_reserve(struct tni_table *table, uint64_t index, uint64_t from, uint64_t bytes);

int tni_table_back_slow(struct tni_table *table, uint64_t index, uint64_t bytes);

/* Makes sure that the first `bytes` bytes of an entry are there.  0, -ENOSPC, -EIO, -EBADMSG. */
static inline int tni_table_back(struct tni_table *table, uint64_t index, uint64_t bytes)
{
	if (!table->pages
		    ? index < tni_get32(&table->known)
		    : index < table->max &&
			      bytes <= (uint64_t)tni_get32(&table->pages[index]) * TNI_PAGE_BYTES)
		return 0;
	return tni_table_back_slow(table, index, bytes);
}

/* An entry whose memory was made sure of before. */
static inline void *tni_table_entry(const struct tni_table *table, uint64_t index)
{
	return table->base + table->offset + index * table->entry_bytes;
}

/* How many entries were ever used, as far as that can be. */
static inline uint64_t tni_pool_top(const struct tni_pool *pool, const struct tni_table *table)
{
	uint64_t top = tni_get64(&pool->top);

	return top < table->max ? top : table->max;
}

/* The same as far as their memory is there, for walks: what says `top` may be scribbled over, and a
 * walk must neither take memory nor ask for it entry by entry.  Not for slots. */
uint64_t tni_pool_extent(const struct tni_pool *pool, struct tni_table *table);

/*
 * Pools.  The first word of each entry links it to the next free one (index + 1).  Every entry that
 * was ever used stays in the pool, newest freed on top.  -ENOSPC; -EBADMSG a link leads astray.
 */
int tni_pool_take(struct tni_txn *txn, struct tni_pool *pool, struct tni_table *table,
		  uint64_t *ret_index);
int tni_pool_give(struct tni_txn *txn, struct tni_pool *pool, struct tni_table *table,
		  uint64_t index);

/*
 * Transfers: entries that one side takes from a pool and the other gives back.  Freed ones lie on a
 * stack that both sides change by compare-and-swap; counts of pushes and of grabs in the same word
 * tell a repairer whether the dead one's push or grab happened.
 *
 *	push (receivers)		the receivers' state names the entry as "in limbo" and the
 *					number of pushes before, from the commit that freed it on:
 *					dies before the swap: number equal, the repairer pushes;
 *					behind: number moved, nothing to do
 *	grab (senders, whole stack)	grab_link and the number of grabs before are written first:
 *					dies before the swap: number equal, forgotten; behind: number
 *					moved, grab_link becomes the free list
 */

/* Whether the next one taken would be a fresh one beyond the spare ones, although freed ones are
 * there to be fetched. */
static inline bool tni_transfer_is_short(const struct tni_transfer *transfer,
					 const struct tni_table *table)
{
	return tni_get64(&transfer->pool.free_link) == 0 &&
	       tni_get64(&transfer->pool.top) >= table->spare &&
	       (tni_get64(&transfer->freed) & TNI_FREED_LINK) != 0;
}

void tni_transfer_grab(struct tni_transfer *transfer);

/* Fetches the freed ones if that is due. */
static inline void tni_transfer_refill(struct tni_transfer *transfer, const struct tni_table *table)
{
	if (tni_transfer_is_short(transfer, table))
		tni_transfer_grab(transfer);
}

/*
 * Turns the newest ones of the free list, as they were grabbed, so that of these the one that was
 * freed first is taken first.  1: to be committed; 0: there are not two; -EBADMSG.
 */
int tni_transfer_turn(struct tni_txn *txn, struct tni_transfer *transfer, struct tni_table *table);

/* Hangs the pool's free list below the stack of freed ones, so that a grab brings all that is free.
 * 1: to be committed; 0: one of them is empty; -EBADMSG. */
int tni_transfer_gather(struct tni_txn *txn, struct tni_transfer *transfer,
			struct tni_table *table);

void tni_transfer_repair_grab(struct tni_transfer *transfer);
uint64_t tni_limbo(const struct tni_transfer *transfer, uint64_t index);
/* Whether the entry has not been pushed yet. */
bool tni_limbo_is_open(const struct tni_transfer *transfer, uint64_t limbo);
int tni_limbo_resolve(struct tni_transfer *transfer, struct tni_table *table, uint64_t limbo);

#endif
