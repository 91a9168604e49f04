/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Shows that an operation is undone whole or done whole, wherever its process dies: the memory is
 * copied as it is between any two of its stores, and repaired there, once, twice, and by repairers that
 * die themselves; that an abort takes everything back and does not go by what stands in the shared
 * journal; and that entries which lead elsewhere are refused.
 */

#include "core/journal.h"

#include <errno.h>

#include "core/test.h"

#define WORDS 8u
#define SETS 5u
/* Stores of a whole operation: two to begin with, four to a word, one that commits. */
#define STORES (2u + 4u * SETS + 1u)

struct memory {
	struct tni_a64 word[WORDS];
	struct tni_a64 guard; /* before what may be repaired: see FROM */
	struct tni_a64 version;
	struct tni_journal journal;
};

#define FROM 16u /* the first two words are nobody's */
#define TO offsetof(struct memory, guard)

static struct memory memory;

/* What the operation sets: a word twice among them. */
static const struct {
	uint32_t word;
	uint64_t value;
} sets[SETS] = {{2, 20}, {5, 50}, {2, 21}, {7, UINT64_MAX}, {3, 0}};

static void reset(void)
{
	memset((void *)&memory, 0xee, sizeof(memory));
	for (uint32_t i = 0; i < WORDS; i++)
		tni_set64(&memory.word[i], 1000 + i);
	tni_set64(&memory.version, 41);
	tni_set64(&memory.journal.version, 40);
}

static bool is_before(const struct memory *seen)
{
	for (uint32_t i = 0; i < WORDS; i++)
		if (tni_get64(&seen->word[i]) != 1000 + i)
			return false;
	return true;
}

static bool is_behind(const struct memory *seen)
{
	uint64_t expected[WORDS];

	for (uint32_t i = 0; i < WORDS; i++)
		expected[i] = 1000 + i;
	for (uint32_t i = 0; i < SETS; i++)
		expected[sets[i].word] = sets[i].value;
	for (uint32_t i = 0; i < WORDS; i++)
		if (tni_get64(&seen->word[i]) != expected[i])
			return false;
	return true;
}

static int undo(struct memory *seen)
{
	return tni_journal_undo(&seen->journal, &seen->version, -1, seen, FROM, TO);
}

/* The first `count` stores of the operation, as its process would have made them.  The order is the one
 * of the table in core/journal.h; test_order() shows that it is the library's. */
static void store_first(struct memory *seen, uint32_t count)
{
	struct tni_journal *journal = &seen->journal;

	if (count-- == 0)
		return;
	tni_set64(&journal->count, 0);
	if (count-- == 0)
		return;
	tni_set64(&journal->version, tni_get64(&seen->version));
	for (uint32_t i = 0; i < SETS; i++) {
		struct tni_a64 *word = &seen->word[sets[i].word];

		if (count-- == 0)
			return;
		tni_set64(&journal->entry[i].offset, sets[i].word * sizeof(*word));
		if (count-- == 0)
			return;
		tni_set64(&journal->entry[i].old, tni_get64(word));
		if (count-- == 0)
			return;
		tni_set64(&journal->count, i + 1);
		if (count-- == 0)
			return;
		tni_set64(word, sets[i].value);
	}
	if (count > 0)
		tni_set64(&seen->version, tni_get64(&seen->version) + 1);
}

static void operate(struct memory *on, struct tni_txn *txn)
{
	tni_txn_begin(txn, &on->journal, on, &on->version);
	for (uint32_t i = 0; i < SETS; i++)
		tni_txn_set(txn, &on->word[sets[i].word], sets[i].value);
}

/* The stores above, all of them, are the library's. */
static void test_order(void)
{
	static struct memory other;
	struct tni_txn txn;

	reset();
	other = memory;
	operate(&memory, &txn);
	store_first(&other, STORES - 1);
	REQUIRE(memcmp(&memory, &other, sizeof(memory)) == 0);
	REQUIRE(tni_journal_is_open(&memory.journal, &memory.version));
	tni_commit(&memory.version);
	store_first(&other, 0);
	tni_set64(&other.version, 42);
	REQUIRE(memcmp(&memory, &other, sizeof(memory)) == 0);
	REQUIRE(!tni_journal_is_open(&memory.journal, &memory.version));
}

static void test_dies_between_stores(void)
{
	for (uint32_t stores = 0; stores <= STORES; stores++) {
		static struct memory once;

		reset();
		store_first(&memory, stores);
		REQUIRE(undo(&memory) == 0);
		REQUIRE(stores < STORES ? is_before(&memory) : is_behind(&memory));
		REQUIRE(!tni_journal_is_open(&memory.journal, &memory.version));
		once = memory;
		REQUIRE(undo(&memory) == 0);
		REQUIRE(memcmp(&memory, &once, sizeof(memory)) == 0);
		/* And the next operation is as ever. */
		store_first(&memory, STORES);
		REQUIRE(is_behind(&memory) && undo(&memory) == 0 && is_behind(&memory));
	}
}

/* A repairer dies behind some of its stores: it writes old values, newest first. */
static void test_repairer_dies(void)
{
	for (uint32_t stores = 2; stores < STORES; stores++) {
		uint64_t entries;

		reset();
		store_first(&memory, stores);
		entries = tni_get64(&memory.journal.count);
		for (uint64_t undone = 0; undone <= entries; undone++) {
			reset();
			store_first(&memory, stores);
			for (uint64_t i = entries; i-- > entries - undone;)
				tni_set64(&memory.word[sets[i].word],
					  tni_get64(&memory.journal.entry[i].old));
			REQUIRE(undo(&memory) == 0 && is_before(&memory));
		}
	}
}

static void test_abort(void)
{
	struct tni_txn txn;

	reset();
	operate(&memory, &txn);
	tni_txn_abort(&txn);
	REQUIRE(is_before(&memory) && tni_get64(&memory.version) == 41);
	REQUIRE(!tni_journal_is_open(&memory.journal, &memory.version));
	REQUIRE(undo(&memory) == 0 && is_before(&memory));
	/* A hostile writer has the journal; the abort goes by its own memory. */
	reset();
	operate(&memory, &txn);
	memset((void *)&memory.journal, 0xff, sizeof(memory.journal));
	tni_txn_abort(&txn);
	REQUIRE(is_before(&memory));
}

/* An operation that was committed, or never got beyond its begin, leaves nothing to be undone. */
static void test_empty(void)
{
	struct tni_txn txn;

	reset();
	tni_txn_begin(&txn, &memory.journal, &memory, &memory.version);
	REQUIRE(undo(&memory) == 0 && is_before(&memory));
	tni_commit(&memory.version);
	REQUIRE(undo(&memory) == 0 && is_before(&memory));
}

/* As many entries as there is room for. */
static void test_full(void)
{
	struct tni_txn txn;

	reset();
	tni_txn_begin(&txn, &memory.journal, &memory, &memory.version);
	for (uint32_t i = 0; i < TNI_JOURNAL_ENTRIES; i++)
		tni_txn_set(&txn, &memory.word[2 + i % (WORDS - 2)], i);
	REQUIRE(tni_get64(&memory.journal.count) == TNI_JOURNAL_ENTRIES);
	REQUIRE(undo(&memory) == 0 && is_before(&memory));
}

/* One entry with this offset, and two good ones behind it: what lies outside stays as it is. */
static int undo_at(uint64_t offset)
{
	static struct memory before;
	int result;

	reset();
	store_first(&memory, 2 + 4 * 3);
	tni_set64(&memory.journal.entry[0].offset, offset);
	before = memory;
	result = undo(&memory);
	REQUIRE(memcmp(&memory.word[0], &before.word[0], FROM) == 0);
	REQUIRE(tni_get64(&memory.guard) == tni_get64(&before.guard));
	REQUIRE(tni_get64(&memory.version) == 41);
	return result;
}

static void test_out_of_bounds(void)
{
	static const uint64_t refused[] = {
		0,  8,	    FROM - 8, FROM - 1,	  FROM + 1,	  FROM + 4,	    TO - 7,
		TO, TO - 4, TO + 8,   UINT64_MAX, UINT64_MAX - 7, UINT64_C(1) << 63};
	static const uint64_t counts[] = {TNI_JOURNAL_ENTRIES + 1, UINT32_MAX, UINT64_MAX,
					  UINT64_C(1) << 63};

	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		REQUIRE(undo_at(refused[i]) == -EBADMSG);
	REQUIRE(undo_at(FROM) == 0);
	REQUIRE(undo_at(TO - 8) == 0);
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		reset();
		store_first(&memory, STORES - 1);
		/* Each entry by itself is a good one. */
		for (uint32_t j = 0; j < TNI_JOURNAL_ENTRIES; j++)
			tni_set64(&memory.journal.entry[j].offset, FROM);
		tni_set64(&memory.journal.count, counts[i]);
		REQUIRE(undo(&memory) == -EBADMSG);
		/* At another version the journal is nobody's. */
		tni_set64(&memory.version, 43);
		REQUIRE(undo(&memory) == 0);
	}
}

int main(void)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} cases[] = {
		{"the stores of an operation", test_order},
		{"dies between any two stores", test_dies_between_stores},
		{"the repairer dies", test_repairer_dies},
		{"an abort", test_abort},
		{"nothing was written", test_empty},
		{"as many words as there is room for", test_full},
		{"entries out of bounds", test_out_of_bounds},
	};
	const uint32_t count = sizeof(cases) / sizeof(cases[0]);

	printf("TAP version 13\n1..%u\n", count);
	for (uint32_t i = 0; i < count; i++) {
		cases[i].run();
		printf("ok %u - %s\n", i + 1, cases[i].name);
		fflush(stdout);
	}
	return 0;
}
