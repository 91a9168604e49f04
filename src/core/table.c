/* SPDX-License-Identifier: Apache-2.0 */

/*
 * ORD freed: the receivers' side writes an entry's link and then pushes it by a compare-and-swap; the
 * senders' side takes the stack by one and then reads the links.
 */

#include "core/table.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "core/file.h"

/* Of a table, not yet known to this process, that is taken to be there at once: a scribbled index must
 * not make it take all memory. */
#define RUN_MOST_BYTES (UINT64_C(256) << 20)

/* Of those that were grabbed; each is a word of the journal. */
#define TURNED_MOST 32u

__thread int tni_table_failure;

static uint64_t entry_offset(const struct tni_table *table, uint64_t index)
{
	return table->offset + index * table->entry_bytes;
}

int tni_table_reserve(struct tni_table *table, uint64_t index, uint64_t from, uint64_t bytes)
{
	return tni_file_reserve(*table->fd, entry_offset(table, index) + from, bytes);
}

int tni_table_back_slow(struct tni_table *table, uint64_t index, uint64_t bytes)
{
	uint32_t pages = (uint32_t)((bytes + TNI_PAGE_BYTES - 1) / TNI_PAGE_BYTES);
	int result;

	if (!table->pages)
		return tni_table_reach(table, index);
	if (index >= table->max || bytes > table->entry_bytes)
		return -EBADMSG;
	result = tni_table_reserve(table, index, 0, bytes);
	if (result == 0)
		tni_set32(&table->pages[index], pages);
	else
		tni_table_failure = result;
	return result;
}

/* Entries are used in order, so what somebody else has used is one run from the start; only pages that
 * were taken and not touched yet look like holes in it. */
static uint32_t find_run(const struct tni_table *table, bool *ret_found)
{
	uint64_t known = tni_get32(&table->known);
	off_t hole = lseek(*table->fd, (off_t)entry_offset(table, known), SEEK_HOLE);

	*ret_found = hole >= 0;
	if (hole > 0 && (uint64_t)hole > entry_offset(table, known))
		known = ((uint64_t)hole - table->offset) / table->entry_bytes;
	return known < table->max ? (uint32_t)known : table->max;
}

uint64_t tni_pool_extent(const struct tni_pool *pool, struct tni_table *table)
{
	uint64_t top = tni_pool_top(pool, table), run;
	bool found;

	if (top <= tni_get32(&table->known))
		return top;
	run = find_run(table, &found);
	return !found || top < run ? top : run;
}

static int reach_run(struct tni_table *table, uint64_t index)
{
	bool found;
	uint32_t known = index > tni_get32(&table->known) ? find_run(table, &found)
							  : tni_get32(&table->known);
	int result;

	if (index >= known) {
		if ((index - known) * table->entry_bytes > RUN_MOST_BYTES)
			return -EBADMSG;
		result = tni_table_reserve(table, known, 0,
					   (index + 1 - known) * table->entry_bytes);
		if (result != 0)
			return result;
		known = (uint32_t)index + 1;
	}
	if (known > tni_get32(&table->known))
		tni_set32(&table->known, known);
	return 0;
}

int tni_table_reach(struct tni_table *table, uint64_t index)
{
	int result;

	if (index >= table->max)
		return -EBADMSG;
	if (table->pages)
		return tni_table_back(table, index, 1);
	result = reach_run(table, index);
	if (result != 0 && result != -EBADMSG)
		tni_table_failure = result;
	return result;
}

int tni_pool_take(struct tni_txn *txn, struct tni_pool *pool, struct tni_table *table,
		  uint64_t *ret_index)
{
	uint64_t link = tni_get64(&pool->free_link);
	uint64_t index;
	int result;

	if (link != 0) {
		const struct tni_a64 *next;

		index = link - 1;
		next = tni_table_at(table, index);
		if (!next || index >= tni_get64(&pool->top))
			return -EBADMSG;
		link = tni_get64(next);
		tni_txn_set_again(txn, &pool->free_link, link);
		/* The next one will be needed next: it may be on another processor yet. */
		tni_prefetch_write((const void *)((uintptr_t)table->base + table->offset +
						  (link - 1) * table->entry_bytes));
	} else {
		index = tni_get64(&pool->top);
		if (index >= table->max)
			return -ENOSPC;
		result = tni_table_reach(table, index);
		if (result != 0)
			return result;
		tni_txn_set_again(txn, &pool->top, index + 1);
	}
	tni_txn_set_again(txn, &pool->used, tni_get64(&pool->used) + 1);
	*ret_index = index;
	return 0;
}

int tni_pool_give(struct tni_txn *txn, struct tni_pool *pool, struct tni_table *table,
		  uint64_t index)
{
	struct tni_a64 *next = tni_table_at(table, index);

	if (!next)
		return -EBADMSG;
	tni_txn_set(txn, next, tni_get64(&pool->free_link));
	tni_txn_set(txn, &pool->free_link, index + 1);
	tni_txn_set(txn, &pool->used, tni_get64(&pool->used) - 1);
	return 0;
}

static uint64_t grabs_of(uint64_t freed)
{
	return freed & TNI_FREED_GRABS;
}

void tni_transfer_grab(struct tni_transfer *transfer)
{
	uint64_t freed = tni_load_acquire64(&transfer->freed); /* ORD(freed) */

	tni_set64(&transfer->grab_link, freed & TNI_FREED_LINK);
	tni_step();
	tni_set64(&transfer->grab_expect, TNI_GRAB_VALID | (grabs_of(freed) >> 48));
	tni_step();
	while (!tni_cas64(&transfer->freed, &freed,
			  (freed & TNI_FREED_PUSHES) | grabs_of(freed + TNI_FREED_GRAB_ONE)))
		tni_set64(&transfer->grab_link, freed & TNI_FREED_LINK);
	tni_transfer_repair_grab(transfer);
}

int tni_transfer_turn(struct tni_txn *txn, struct tni_transfer *transfer, struct tni_table *table)
{
	uint64_t newest = tni_get64(&transfer->pool.free_link), link = newest, before = 0;
	struct tni_a64 *last = NULL;

	for (uint32_t i = 0; i < TURNED_MOST && link != 0; i++) {
		struct tni_a64 *next = tni_table_at(table, link - 1);
		uint64_t following;

		if (!next)
			return -EBADMSG;
		following = tni_get64(next);
		if (i == 0)
			last = next;
		else
			tni_txn_set(txn, next, before);
		before = link;
		link = following;
	}
	if (before == newest)
		return 0;
	tni_txn_set(txn, last, link);
	tni_txn_set(txn, &transfer->pool.free_link, before);
	return 1;
}

int tni_transfer_gather(struct tni_txn *txn, struct tni_transfer *transfer, struct tni_table *table)
{
	uint64_t link = tni_load_acquire64(&transfer->freed) & TNI_FREED_LINK; /* ORD(freed) */
	uint64_t free_link = tni_get64(&transfer->pool.free_link);
	uint64_t top = tni_pool_top(&transfer->pool, table);
	uint64_t there = tni_file_memory(*table->fd) / sizeof(struct tni_slot);

	if (link == 0 || free_link == 0)
		return 0;
	/* What `top` says may be scribbled over. */
	top = top < there ? top : there;
	/* Receivers push on top; the lowest stays the lowest. */
	for (uint64_t i = 0; i <= top; i++) {
		struct tni_a64 *next = tni_table_at(table, link - 1);

		if (!next)
			return -EBADMSG;
		link = tni_get64(next);
		if (link == 0) {
			tni_txn_set(txn, next, free_link);
			tni_txn_set(txn, &transfer->pool.free_link, 0);
			return 1;
		}
	}
	return -EBADMSG;
}

void tni_transfer_repair_grab(struct tni_transfer *transfer)
{
	uint64_t expect = tni_get64(&transfer->grab_expect);
	uint64_t grabs = grabs_of(tni_get64(&transfer->freed)) >> 48;

	if (!(expect & TNI_GRAB_VALID))
		return;
	if (grabs == (((expect & ~TNI_GRAB_VALID) + 1) & 0xffff))
		tni_set64(&transfer->pool.free_link, tni_get64(&transfer->grab_link));
	tni_step();
	tni_set64(&transfer->grab_expect, 0);
	tni_step();
}

uint64_t tni_limbo(const struct tni_transfer *transfer, uint64_t index)
{
	uint64_t pushes = (tni_get64(&transfer->freed) & TNI_FREED_PUSHES) >> 32;

	return TNI_LIMBO_VALID | pushes << 32 | (index + 1);
}

bool tni_limbo_is_open(const struct tni_transfer *transfer, uint64_t limbo)
{
	uint64_t freed = tni_get64(&transfer->freed);

	return (limbo & TNI_LIMBO_VALID) &&
	       (freed & TNI_FREED_PUSHES) == (limbo & TNI_FREED_PUSHES);
}

int tni_limbo_resolve(struct tni_transfer *transfer, struct tni_table *table, uint64_t limbo)
{
	uint64_t freed = tni_get64(&transfer->freed);
	uint64_t link = limbo & TNI_FREED_LINK;
	struct tni_a64 *next;

	if (!tni_limbo_is_open(transfer, limbo))
		return 0;
	next = link == 0 ? NULL : tni_table_at(table, link - 1);
	if (!next)
		return -EBADMSG;
	do
		tni_set64(next, freed & TNI_FREED_LINK);
	/* ORD(freed): the link is written before the entry can be seen. */
	while (!tni_cas64(&transfer->freed, &freed,
			  (freed & TNI_FREED_GRABS) |
				  ((freed + TNI_FREED_PUSH_ONE) & TNI_FREED_PUSHES) | link));
	return 0;
}
