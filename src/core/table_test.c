/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Shows that no index or link from shared memory leads out of a table; that a table's memory is taken
 * as it is reached, also where another process has grown it, and not without bound; that pools and
 * transfers give out each entry once, undo what they did, and are repaired whichever store was the last;
 * and that scribbled words give -EBADMSG or a number that is in the table, never anything else.
 */

#include "core/table.h"

#include <errno.h>
#include <sys/mman.h>

#include "core/file.h"
#include "core/test.h"

#define ENTRIES 100u
#define LARGE_BYTES (3u * TNI_PAGE_BYTES)
#define FIRST_OFFSET (UINT64_C(16) * TNI_PAGE_BYTES)

/* What lies before the table in the file. */
struct head {
	struct tni_a64 version;
	struct tni_journal journal;
	struct tni_pool pool;
	struct tni_transfer transfer;
};

static int fd;
static uint8_t *base;
static uint64_t mapped_bytes;
static struct head *head;
static struct tni_table table;

static void reset(uint64_t entry_bytes, uint32_t max)
{
	if (base)
		munmap(base, mapped_bytes);
	if (fd > 0)
		close(fd);
	free(table.pages);
	fd = memfd_create("table", MFD_CLOEXEC);
	mapped_bytes = FIRST_OFFSET + entry_bytes * max;
	REQUIRE(fd > 0 && ftruncate(fd, (off_t)FIRST_OFFSET) == 0);
	base = mmap(NULL, mapped_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
	REQUIRE(base != MAP_FAILED);
	head = (struct head *)base;
	table = (struct tni_table){.base = base,
				   .offset = FIRST_OFFSET,
				   .entry_bytes = entry_bytes,
				   .max = max,
				   .fd = &fd};
}

static void begin(struct tni_txn *txn)
{
	tni_txn_begin(txn, &head->journal, base, &head->version);
}

static uint64_t take(void)
{
	struct tni_txn txn;
	uint64_t index = UINT64_MAX;

	begin(&txn);
	REQUIRE(tni_pool_take(&txn, &head->pool, &table, &index) == 0);
	REQUIRE(index < table.max);
	tni_commit(&head->version);
	return index;
}

static void give(uint64_t index)
{
	struct tni_txn txn;

	begin(&txn);
	REQUIRE(tni_pool_give(&txn, &head->pool, &table, index) == 0);
	tni_commit(&head->version);
}

static const uint64_t hostile[] = {ENTRIES,	      ENTRIES + 1,	 UINT32_MAX,
				   UINT64_C(1) << 32, UINT64_C(1) << 58, UINT64_C(1) << 63,
				   UINT64_MAX - 1,    UINT64_MAX};

#define HOSTILE (sizeof(hostile) / sizeof(hostile[0]))

static void test_indices(void)
{
	reset(64, ENTRIES);
	for (size_t i = 0; i < HOSTILE; i++) {
		REQUIRE(tni_table_at(&table, hostile[i]) == NULL);
		REQUIRE(tni_table_reach(&table, hostile[i]) == -EBADMSG);
	}
	/* None of this is a lack of memory. */
	REQUIRE(tni_table_failure == 0);
	REQUIRE(tni_table_at(&table, ENTRIES - 1) ==
		base + FIRST_OFFSET + UINT64_C(64) * (ENTRIES - 1));
	REQUIRE(tni_table_at(&table, ENTRIES) == NULL);
}

static void test_grows(void)
{
	uint64_t before;

	reset(TNI_PAGE_BYTES, ENTRIES);
	for (uint64_t i = 0; i < ENTRIES; i += 10) {
		uint64_t *entry = tni_table_at(&table, i);

		REQUIRE(entry && tni_get32(&table.known) == i + 1);
		*entry = i + 1; /* would be SIGBUS behind the end */
		REQUIRE(tni_file_memory(fd) >= (i + 1) * TNI_PAGE_BYTES);
	}
	before = tni_file_memory(fd);
	for (uint64_t i = 0; i < ENTRIES - 10; i++)
		REQUIRE(tni_table_at(&table, i) == base + FIRST_OFFSET + i * TNI_PAGE_BYTES);
	REQUIRE(tni_file_memory(fd) == before);
}

/* Another process has grown the table: this one's view learns it at a stroke. */
static void test_grown_by_another(void)
{
	struct tni_table other;

	reset(TNI_PAGE_BYTES, ENTRIES);
	other = table;
	memset(tni_table_at(&other, 40), 1, 8);
	for (uint64_t i = 0; i < 40; i++)
		memset(tni_table_at(&other, i), 1, 8);
	REQUIRE(tni_get32(&table.known) == 0 && tni_table_at(&table, 20));
	REQUIRE(tni_get32(&table.known) == 41);
}

/* An index far behind everything that is used: memory for all up to it is not taken. */
static void test_far_index(void)
{
	uint64_t before;

	reset(TNI_PAGE_BYTES, 1u << 20);
	before = tni_file_memory(fd);
	REQUIRE(!tni_table_at(&table, (1u << 20) - 1) && tni_table_failure == 0);
	REQUIRE(tni_file_memory(fd) == before);
}

/* Entries of several pages: as much is there as somebody asked for. */
static void test_pages(void)
{
	reset(LARGE_BYTES, ENTRIES);
	table.pages = calloc(ENTRIES, sizeof(*table.pages));
	REQUIRE(table.pages && tni_table_back(&table, 7, 1) == 0);
	REQUIRE(tni_get32(&table.pages[7]) == 1 && tni_get32(&table.pages[6]) == 0);
	REQUIRE(tni_table_back(&table, 7, TNI_PAGE_BYTES + 1) == 0);
	REQUIRE(tni_get32(&table.pages[7]) == 2);
	REQUIRE(tni_table_back(&table, 7, 1) == 0 && tni_get32(&table.pages[7]) == 2);
	REQUIRE(tni_table_back(&table, 7, LARGE_BYTES) == 0);
	memset(tni_table_entry(&table, 7), 1, LARGE_BYTES);
	REQUIRE(tni_table_back(&table, 7, LARGE_BYTES + 1) == -EBADMSG);
	for (size_t i = 0; i < HOSTILE; i++)
		REQUIRE(tni_table_back(&table, hostile[i], 1) == -EBADMSG);
}

/* Memory that cannot be had is told apart from an index that cannot be. */
static void test_no_memory(void)
{
	int closed = -1;
	struct tni_txn txn;
	uint64_t index;

	reset(64, ENTRIES);
	table.fd = &closed;
	REQUIRE(!tni_table_at(&table, 3) && tni_table_failure == -EBADF);
	tni_table_failure = 0;
	begin(&txn);
	REQUIRE(tni_pool_take(&txn, &head->pool, &table, &index) == -EBADF);
	tni_table_failure = 0;
	table.fd = &fd;
	REQUIRE(tni_table_at(&table, 3) && tni_table_failure == 0);
}

static void test_pool(void)
{
	bool taken[ENTRIES] = {false};
	struct tni_txn txn;
	uint64_t index = 0;

	reset(64, ENTRIES);
	for (uint32_t i = 0; i < ENTRIES; i++) {
		index = take();
		REQUIRE(!taken[index]);
		taken[index] = true;
	}
	begin(&txn);
	REQUIRE(tni_pool_take(&txn, &head->pool, &table, &index) == -ENOSPC);
	REQUIRE(tni_get64(&head->pool.used) == ENTRIES);
	give(5);
	give(80);
	/* Newest freed on top. */
	REQUIRE(take() == 80 && take() == 5);
	/* Undone, it is as if nothing had been. */
	give(33);
	begin(&txn);
	REQUIRE(tni_pool_take(&txn, &head->pool, &table, &index) == 0 && index == 33);
	REQUIRE(tni_journal_undo(&head->journal, &head->version, fd, base, 0, mapped_bytes) == 0);
	REQUIRE(tni_get64(&head->pool.used) == ENTRIES - 1 && take() == 33);
	REQUIRE(tni_pool_top(&head->pool, &table) == ENTRIES);
}

static void test_hostile_pool(void)
{
	struct tni_txn txn;
	uint64_t index;

	reset(64, ENTRIES);
	for (uint32_t i = 0; i < 10; i++)
		take();
	for (size_t i = 0; i < HOSTILE; i++) {
		begin(&txn);
		tni_set64(&head->pool.free_link, hostile[i] + 1);
		/* 0 stands for none: then a fresh one. */
		REQUIRE(tni_pool_take(&txn, &head->pool, &table, &index) ==
			(hostile[i] + 1 == 0 ? 0 : -EBADMSG));
		tni_txn_abort(&txn);
		begin(&txn);
		REQUIRE(tni_pool_give(&txn, &head->pool, &table, hostile[i]) == -EBADMSG);
		tni_txn_abort(&txn);
		tni_set64(&head->pool.free_link, 0);
		tni_set64(&head->pool.top, hostile[i]);
		begin(&txn);
		REQUIRE(tni_pool_take(&txn, &head->pool, &table, &index) == -ENOSPC);
		REQUIRE(tni_pool_top(&head->pool, &table) == ENTRIES);
		tni_set64(&head->pool.top, 10);
	}
	/* One that is in the table, and was never used. */
	tni_set64(&head->pool.free_link, 50 + 1);
	begin(&txn);
	REQUIRE(tni_pool_take(&txn, &head->pool, &table, &index) == -EBADMSG);
	/* A list that leads back to itself gives what is in the table, and ends nowhere else. */
	tni_set64(&head->pool.free_link, 3 + 1);
	tni_set64(tni_table_at(&table, 3), 3 + 1);
	for (uint32_t i = 0; i < 3; i++)
		REQUIRE(take() == 3);
}

/* An entry of the pool comes back over the stack. */
static void push(uint64_t index)
{
	REQUIRE(tni_limbo_resolve(&head->transfer, &table, tni_limbo(&head->transfer, index)) == 0);
}

static uint64_t take_over(void)
{
	struct tni_txn txn;
	uint64_t index;

	tni_transfer_refill(&head->transfer, &table);
	begin(&txn);
	REQUIRE(tni_pool_take(&txn, &head->transfer.pool, &table, &index) == 0);
	tni_commit(&head->version);
	return index;
}

static void test_transfer(void)
{
	uint64_t limbo;

	reset(64, ENTRIES);
	for (uint64_t i = 0; i < 10; i++)
		REQUIRE(take_over() == i);
	push(2);
	REQUIRE(tni_transfer_is_short(&head->transfer, &table));
	limbo = tni_limbo(&head->transfer, 7);
	REQUIRE(tni_limbo_is_open(&head->transfer, limbo));
	/* Resolved by the owner, and by each repairer who comes behind it. */
	for (uint32_t i = 0; i < 3; i++)
		REQUIRE(tni_limbo_resolve(&head->transfer, &table, limbo) == 0);
	REQUIRE(!tni_limbo_is_open(&head->transfer, limbo));
	REQUIRE(take_over() == 7 && !tni_transfer_is_short(&head->transfer, &table));
	REQUIRE(take_over() == 2 && take_over() == 10);
}

static int turn(void)
{
	struct tni_txn txn;
	int result;

	begin(&txn);
	result = tni_transfer_turn(&txn, &head->transfer, &table);
	if (result > 0)
		tni_commit(&head->version);
	else
		tni_txn_abort(&txn);
	return result;
}

/* Of the newest 32 that were grabbed the one that was freed first comes first. */
static void test_turned(void)
{
	reset(64, ENTRIES);
	for (uint64_t i = 0; i < 50; i++)
		REQUIRE(take_over() == i);
	REQUIRE(turn() == 0);
	push(2);
	tni_transfer_refill(&head->transfer, &table);
	REQUIRE(turn() == 0);
	REQUIRE(take_over() == 2);
	for (uint64_t i = 0; i < 40; i++)
		push(i);
	tni_transfer_refill(&head->transfer, &table);
	REQUIRE(turn() == 1);
	for (uint64_t i = 8; i < 40; i++)
		REQUIRE(take_over() == i);
	for (uint64_t i = 8; i > 0; i--)
		REQUIRE(take_over() == i - 1);
	REQUIRE(take_over() == 50);
}

/* Nothing is changed that leads astray, and no list without end is followed. */
static void test_turned_hostile(void)
{
	for (size_t i = 0; i < HOSTILE; i++) {
		uint64_t link = (hostile[i] + 1) & TNI_FREED_LINK;

		reset(64, ENTRIES);
		take_over();
		take_over();
		tni_set64(&head->transfer.pool.free_link, 2);
		tni_set64(tni_table_at(&table, 1), link);
		if (link <= ENTRIES)
			continue;
		REQUIRE(turn() == -EBADMSG);
		REQUIRE(tni_get64(&head->transfer.pool.free_link) == 2);
		REQUIRE(tni_get64(tni_table_at(&table, 1)) == link);
	}
	tni_set64(tni_table_at(&table, 1), 2);
	REQUIRE(turn() == 0);
	REQUIRE(tni_get64(tni_table_at(&table, 1)) == 2);
}

/* The counts of pushes and of grabs have 16 bits: they go round. */
static void test_counts_go_round(void)
{
	reset(64, ENTRIES);
	take_over();
	for (uint32_t i = 0; i < 70000; i++) {
		push(0);
		REQUIRE(take_over() == 0);
	}
	REQUIRE(tni_pool_top(&head->transfer.pool, &table) == 1);
}

/* The grabber dies behind each of its stores; the stack is there once, here or there. */
static void test_grabber_dies(void)
{
	for (uint32_t stores = 0; stores <= 4; stores++) {
		struct tni_transfer *transfer;
		uint64_t freed;

		reset(64, ENTRIES);
		transfer = &head->transfer;
		take_over();
		take_over();
		push(0);
		push(1);
		freed = tni_get64(&transfer->freed);
		if (stores > 0)
			tni_set64(&transfer->grab_link, freed & TNI_FREED_LINK);
		if (stores > 1)
			tni_set64(&transfer->grab_expect,
				  TNI_GRAB_VALID | (freed & TNI_FREED_GRABS) >> 48);
		if (stores > 2)
			tni_set64(&transfer->freed, (freed & ~TNI_FREED_LINK) + TNI_FREED_GRAB_ONE);
		if (stores > 3)
			tni_set64(&transfer->pool.free_link, tni_get64(&transfer->grab_link));
		tni_transfer_repair_grab(transfer);
		tni_transfer_repair_grab(transfer);
		REQUIRE(tni_get64(&transfer->grab_expect) == 0);
		REQUIRE(take_over() == 1 && take_over() == 0 && take_over() == 2);
	}
}

static void test_hostile_transfer(void)
{
	for (size_t i = 0; i < HOSTILE; i++) {
		struct tni_transfer *transfer;
		struct tni_txn txn;
		uint64_t index, link;

		reset(64, ENTRIES);
		transfer = &head->transfer;
		take_over();
		link = (hostile[i] + 1) & TNI_FREED_LINK;
		tni_set64(&transfer->freed, link);
		tni_transfer_refill(transfer, &table);
		begin(&txn);
		REQUIRE(tni_pool_take(&txn, &transfer->pool, &table, &index) ==
				(link == 0 ? 0 : -EBADMSG) ||
			index < ENTRIES);
		/* In limbo: none, or nobody's. */
		tni_set64(&transfer->freed, 0);
		REQUIRE(tni_limbo_resolve(transfer, &table, TNI_LIMBO_VALID) == -EBADMSG);
		if (link > ENTRIES)
			REQUIRE(tni_limbo_resolve(transfer, &table, TNI_LIMBO_VALID | link) ==
				-EBADMSG);
		REQUIRE(tni_get64(&transfer->freed) == 0);
	}
}

int main(void)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} cases[] = {
		{"indices out of range", test_indices},
		{"a table grows", test_grows},
		{"a table was grown by another", test_grown_by_another},
		{"an index far behind all that is used", test_far_index},
		{"entries of several pages", test_pages},
		{"no memory", test_no_memory},
		{"a pool", test_pool},
		{"a hostile pool", test_hostile_pool},
		{"a transfer", test_transfer},
		{"grabbed and turned", test_turned},
		{"turned by a hostile one", test_turned_hostile},
		{"counts that go round", test_counts_go_round},
		{"whoever grabs dies", test_grabber_dies},
		{"a hostile transfer", test_hostile_transfer},
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
