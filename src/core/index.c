/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A fork holds the number of the highest bit in which the keys below it differ (63 is the top bit) in
 * key[0]; child[0] has that bit clear.  Bits fall on the way down, which is checked at every step:
 * that bounds every walk to 64 steps whatever somebody wrote into the links.
 */

#include "core/index.h"

#include <errno.h>

static struct tni_node *node_at(const struct tni_index *index, uint64_t link)
{
	link &= ~TNI_FORK_BIT;
	return link == 0 ? NULL : tni_table_at(index->table, link - 1);
}

/* Follows a link of a fork's bit below `bound`.  1: *ret_node is a fork; 0: a bucket. */
static int follow(const struct tni_index *index, uint64_t link, uint64_t bound,
		  struct tni_node **ret_node, uint64_t *ret_bit)
{
	struct tni_node *node = node_at(index, link);

	if (!node)
		return -EBADMSG;
	*ret_node = node;
	if (!(link & TNI_FORK_BIT))
		return 0;
	*ret_bit = tni_get64(&node->key[0]);
	return *ret_bit < bound ? 1 : -EBADMSG;
}

/* Goes down by the bits of `key`; ends at some bucket. */
static int descend(const struct tni_index *index, uint64_t link, uint64_t key, uint64_t *ret_link)
{
	uint64_t bound = 64;

	for (;;) {
		struct tni_node *node;
		int result = follow(index, link, bound, &node, &bound);

		if (result <= 0) {
			*ret_link = link;
			return result;
		}
		link = tni_get64(&node->child[key >> bound & 1]);
	}
}

/* Goes down to the lowest bucket below a link. */
static int lowest(const struct tni_index *index, uint64_t link, uint64_t bound, uint64_t *ret_node)
{
	for (;;) {
		struct tni_node *node;
		int result = follow(index, link, bound, &node, &bound);

		if (result < 0)
			return result;
		if (result == 0) {
			*ret_node = link - 1;
			return 0;
		}
		link = tni_get64(&node->child[0]);
	}
}

static uint64_t key_of(const struct tni_index *index, uint64_t link)
{
	return tni_get64(&node_at(index, link)->key[index->tree]);
}

int tni_index_find(const struct tni_index *index, uint64_t key, uint64_t *ret_node)
{
	uint64_t link = tni_get64(index->root);
	int result;

	if (link == 0)
		return -ENOENT;
	result = descend(index, link, key, &link);
	if (result != 0)
		return result;
	if (key_of(index, link) != key)
		return -ENOENT;
	*ret_node = link - 1;
	return 0;
}

int tni_index_first(const struct tni_index *index, uint64_t *ret_node)
{
	uint64_t link = tni_get64(index->root);

	return link == 0 ? -ENOENT : lowest(index, link, 64, ret_node);
}

static int find_next(const struct tni_index *index, uint64_t key, uint64_t *ret_node)
{
	uint64_t link = tni_get64(index->root), found, differs, bit;
	uint64_t higher = 0, higher_bound = 0, bound = 64;
	int result;

	if (link == 0)
		return -ENOENT;
	result = descend(index, link, key, &found);
	if (result != 0)
		return result;
	differs = key_of(index, found) ^ key;
	bit = differs ? 63 - (uint64_t)__builtin_clzll(differs) : 0;
	/* Down again, up to where `key` leaves the tree, keeping the last way to the higher side. */
	for (;;) {
		struct tni_node *node;
		uint64_t at = link;

		result = follow(index, link, bound, &node, &bound);
		if (result < 0)
			return result;
		if (result == 0 || (differs && bound < bit)) {
			if (differs && !(key >> bit & 1))
				return lowest(index, at, 64, ret_node);
			break;
		}
		if (!(key >> bound & 1)) {
			higher = tni_get64(&node->child[1]);
			higher_bound = bound;
		}
		link = tni_get64(&node->child[key >> bound & 1]);
	}
	return higher == 0 ? -ENOENT : lowest(index, higher, higher_bound, ret_node);
}

int tni_index_next(const struct tni_index *index, uint64_t key, uint64_t *ret_node)
{
	int result = find_next(index, key, ret_node);

	/* Whoever walks on from here must come to an end. */
	if (result == 0 && key_of(index, *ret_node + 1) <= key)
		return -EBADMSG;
	return result;
}

int tni_index_insert(struct tni_txn *txn, const struct tni_index *index, uint64_t node)
{
	struct tni_node *bucket = tni_table_at(index->table, node);
	struct tni_a64 *place = index->root;
	uint64_t link = tni_get64(place), found, key, differs, bit, fork, bound = 64;
	struct tni_node *forked;
	int result;

	if (!bucket)
		return -EBADMSG;
	if (link == 0) {
		tni_txn_set(txn, place, node + 1);
		return 0;
	}
	key = tni_get64(&bucket->key[index->tree]);
	result = descend(index, link, key, &found);
	if (result != 0)
		return result;
	differs = key_of(index, found) ^ key;
	if (differs == 0)
		return -EEXIST;
	bit = 63 - (uint64_t)__builtin_clzll(differs);
	for (;;) {
		struct tni_node *at;

		link = tni_get64(place);
		result = follow(index, link, bound, &at, &bound);
		if (result < 0)
			return result;
		if (result == 0 || bound < bit)
			break;
		place = &at->child[key >> bound & 1];
	}
	result = tni_pool_take(txn, index->pool, index->table, &fork);
	if (result != 0)
		return result;
	forked = tni_table_at(index->table, fork);
	/* Journaled, since it may be a fork that this very operation took out of the tree. */
	tni_txn_set(txn, &forked->key[0], bit);
	tni_txn_set(txn, &forked->child[key >> bit & 1], node + 1);
	tni_txn_set(txn, &forked->child[~key >> bit & 1], link);
	tni_txn_set(txn, place, (fork + 1) | TNI_FORK_BIT);
	return 0;
}

int tni_index_remove(struct tni_txn *txn, const struct tni_index *index, uint64_t key)
{
	struct tni_a64 *place = index->root, *above = NULL;
	uint64_t link = tni_get64(place), above_link = 0, bound = 64, above_bit = 0;
	struct tni_node *node, *fork = NULL;
	int result;

	if (link == 0)
		return -ENOENT;
	while ((result = follow(index, link, bound, &node, &bound)) > 0) {
		above = place;
		above_link = link;
		above_bit = bound;
		fork = node;
		place = &node->child[key >> bound & 1];
		link = tni_get64(place);
	}
	if (result < 0)
		return result;
	if (tni_get64(&node->key[index->tree]) != key)
		return -ENOENT;
	if (!above) {
		tni_txn_set(txn, place, 0);
		return 0;
	}
	tni_txn_set(txn, above, tni_get64(&fork->child[~key >> above_bit & 1]));
	return tni_pool_give(txn, index->pool, index->table, (above_link & ~TNI_FORK_BIT) - 1);
}
