/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TNI_CORE_INDEX_H
#define TNI_CORE_INDEX_H

/*
 * A map from 64-bit keys to buckets, in order of the keys: a crit-bit tree in shared memory.  Its
 * depth is bounded by 64 whatever is in it, an insertion or removal changes a handful of words, and
 * nothing is ever rebalanced, so that the journal stays short.  A bucket may be in two trees at
 * once (TNI_TREE_KEY, TNI_TREE_AGE) under a key for each.
 *
 * A link is node index + 1; TNI_FORK_BIT marks one that leads to a fork.
 */

#include "core/table.h"

#define TNI_FORK_BIT (UINT64_C(1) << 63)

struct tni_index {
	struct tni_pool *pool;
	struct tni_table *table;
	struct tni_a64 *root;
	uint32_t tree; /* which key of a bucket */
};

/* Every call below: -EBADMSG if a link leads astray. */

/* The bucket with this key.  -ENOENT. */
int tni_index_find(const struct tni_index *index, uint64_t key, uint64_t *ret_node);

/* The bucket with the lowest key.  -ENOENT: the tree is empty. */
int tni_index_first(const struct tni_index *index, uint64_t *ret_node);

/* The bucket with the lowest key above `key`.  -ENOENT. */
int tni_index_next(const struct tni_index *index, uint64_t key, uint64_t *ret_node);

/* Puts a bucket in, whose key is set and not yet in the tree.  -ENOSPC, -EEXIST. */
int tni_index_insert(struct tni_txn *txn, const struct tni_index *index, uint64_t node);

/* Takes the bucket with this key out of the tree; the bucket stays the caller's.  -ENOENT. */
int tni_index_remove(struct tni_txn *txn, const struct tni_index *index, uint64_t key);

#endif
