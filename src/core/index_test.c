/* SPDX-License-Identifier: Apache-2.0 */

/* Shows that the index finds, orders, inserts and removes as a sorted array does, that a rolled-back
 * change leaves no trace, and that links that lead astray give an error and no endless walk. */

#include "core/index.h"

#include <errno.h>

#include "core/test.h"

#define KEYS 400

static struct {
	struct tni_a64 version;
	struct tni_journal journal;
	struct tni_pool pool;
	struct tni_a64 root;
	_Alignas(64) struct tni_node nodes[4 * KEYS];
} memory;

static int no_file = -1;
static struct tni_table table = {.base = (uint8_t *)&memory,
				 .offset = offsetof(__typeof__(memory), nodes),
				 .entry_bytes = sizeof(struct tni_node),
				 .max = 4 * KEYS,
				 .known = {4 * KEYS},
				 .fd = &no_file};
static struct tni_index index_ = {
	.pool = &memory.pool, .table = &table, .root = &memory.root, .tree = TNI_TREE_KEY};

static uint64_t random64(void)
{
	static uint64_t state = 88172645463325252;

	state ^= state << 13;
	state ^= state >> 7;
	return state ^= state << 17;
}

/* The reference: keys in order. */
static uint64_t keys[KEYS];
static uint32_t key_count;

static uint32_t place_of(uint64_t key)
{
	uint32_t i = 0;

	while (i < key_count && keys[i] < key)
		i++;
	return i;
}

static void begin(struct tni_txn *txn)
{
	tni_txn_begin(txn, &memory.journal, &memory, &memory.version);
}

static int insert(struct tni_txn *txn, uint64_t key)
{
	uint64_t node;
	int result = tni_pool_take(txn, &memory.pool, &table, &node);

	REQUIRE(result == 0);
	tni_set64(&memory.nodes[node].key[TNI_TREE_KEY], key);
	return tni_index_insert(txn, &index_, node);
}

static int removed(struct tni_txn *txn, uint64_t key)
{
	uint64_t node;
	int result = tni_index_find(&index_, key, &node);

	if (result == 0)
		result = tni_index_remove(txn, &index_, key);
	return result == 0 ? tni_pool_give(txn, &memory.pool, &table, node) : result;
}

static void compare(void)
{
	uint64_t node, key = 0;
	int result = tni_index_first(&index_, &node);

	for (uint32_t i = 0; i < key_count; i++) {
		REQUIRE(result == 0);
		key = tni_get64(&memory.nodes[node].key[TNI_TREE_KEY]);
		REQUIRE(key == keys[i]);
		REQUIRE(tni_index_find(&index_, key, &node) == 0);
		result = tni_index_next(&index_, key, &node);
	}
	REQUIRE(result == -ENOENT);
	for (uint32_t i = 0; i < 8; i++) {
		uint64_t probe = random64() >> (random64() % 64);
		uint32_t place = place_of(probe);
		bool there = place < key_count && keys[place] == probe;

		REQUIRE((tni_index_find(&index_, probe, &node) == 0) == there);
		result = tni_index_next(&index_, probe, &node);
		place += there;
		REQUIRE((result == 0) == (place < key_count));
		if (result == 0)
			REQUIRE(tni_get64(&memory.nodes[node].key[0]) == keys[place]);
	}
}

/* A key moves, as a bucket's age does: the fork that its removal frees is used again at once. */
static void move_one(struct tni_txn *txn)
{
	uint64_t key = key_count > 0 ? keys[random64() % key_count] : 0, other = random64(), node;

	if (key_count == 0 || tni_index_find(&index_, other, &node) == 0)
		return;
	REQUIRE(tni_index_find(&index_, key, &node) == 0);
	REQUIRE(tni_index_remove(txn, &index_, key) == 0);
	tni_txn_set(txn, &memory.nodes[node].key[TNI_TREE_KEY], other);
	REQUIRE(tni_index_insert(txn, &index_, node) == 0);
}

static void step(void)
{
	bool commits = random64() % 4 != 0;
	uint64_t key = random64() >> (random64() % 64);
	uint32_t place;
	struct tni_txn txn;

	begin(&txn);
	move_one(&txn);
	REQUIRE(tni_journal_undo(&memory.journal, &memory.version, -1, &memory, 0,
				 sizeof(memory)) == 0);
	if (key_count > 0 && random64() % 5 < (key_count > 200 ? 3 : 1))
		key = keys[random64() % key_count];
	place = place_of(key);
	begin(&txn);
	if (place < key_count && keys[place] == key) {
		REQUIRE(removed(&txn, key) == 0);
		if (commits) {
			memmove(keys + place, keys + place + 1,
				(--key_count - place) * sizeof(keys[0]));
		}
	} else if (key_count < KEYS) {
		REQUIRE(insert(&txn, key) == 0);
		if (commits) {
			memmove(keys + place + 1, keys + place,
				(key_count++ - place) * sizeof(keys[0]));
			keys[place] = key;
		}
	}
	if (commits)
		tni_commit(&memory.version);
	else
		REQUIRE(tni_journal_undo(&memory.journal, &memory.version, -1, &memory, 0,
					 sizeof(memory)) == 0);
}

static void test_astray(void)
{
	uint64_t node;

	for (uint32_t i = 0; i < 2000; i++) {
		uint64_t *word = (uint64_t *)&memory.nodes[random64() % (2 * KEYS)] +
				 random64() % 8;
		uint64_t before = *word;

		*word = random64() % 3 ? random64() : (random64() % (4 * KEYS)) | TNI_FORK_BIT;
		tni_index_first(&index_, &node);
		tni_index_find(&index_, keys[i % key_count], &node);
		tni_index_next(&index_, keys[i % key_count], &node);
		*word = before;
	}
}

int main(void)
{
	for (int i = 0; i < 20000; i++) {
		step();
		if (i % 16 == 0)
			compare();
	}
	REQUIRE(key_count > 50);
	test_astray();
	compare();
	return 0;
}
