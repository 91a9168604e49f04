/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The longest message there may be, from one process to another.  Its content is a number every 64 KiB, so
 * that a part that is missing, or is another's, is seen, and not all of its memory has to be touched.
 */

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/statvfs.h>

#include "contract.h"

#define LARGEST TENON_QUEUE_MAX_MESSAGE_BYTES
#define ROOM_BYTES (UINT64_C(1200) << 20)
#define COPIED_BYTES (UINT64_C(64) << 20)
#define STEP_BYTES 65536u
#define LIMIT_NS (30 * SECOND_NS)

/* What /proc/meminfo says of the bytes that may be had; 0 if it does not. */
static uint64_t memory_bytes(void)
{
	FILE *file = fopen("/proc/meminfo", "r");
	unsigned long long kibibytes = 0;
	char line[200];

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "MemAvailable: %llu", &kibibytes) == 1)
			break;
	if (file)
		fclose(file);
	return (uint64_t)kibibytes * 1024;
}

static struct tenon_queue *begin(void)
{
	const struct tenon_queue_options options = {
		.size = sizeof(options), .capacity = 2, .max_message_bytes = LARGEST};
	struct statvfs folder;

	REQUIRE(statvfs(contract_folder, &folder) == 0);
	if (folder.f_bavail * folder.f_frsize < ROOM_BYTES)
		contract_skip("the file system has no room for a message of 1 GiB");
	if (memory_bytes() < ROOM_BYTES)
		contract_skip("there is no memory for a message of 1 GiB");
	return contract_create("/large", &options);
}

/* Others may have taken the memory meanwhile. */
static void loan_largest(struct tenon_queue *queue, struct tenon_loan *ret_loan)
{
	int result = tenon_queue_loan(queue, LARGEST, ret_loan);

	if (result == -ENOSPC || result == -ENOMEM)
		contract_skip("there is no memory for a message of 1 GiB any more");
	REQUIRE(result == 0);
}

static void stamp(uint8_t *data, uint64_t bytes)
{
	for (uint64_t at = 0; at < bytes; at += STEP_BYTES)
		memcpy(data + at, &(uint64_t){at + 1}, sizeof(at));
	data[bytes - 1] = 'e';
}

static void expect_stamps(const uint8_t *data, uint64_t bytes, const struct tenon_message *message)
{
	uint64_t wrong = 0;

	EXPECT_IS((int64_t)message->bytes, (int64_t)bytes);
	for (uint64_t at = 0; at < bytes; at += STEP_BYTES)
		wrong += memcmp(data + at, &(uint64_t){at + 1}, sizeof(at)) != 0;
	EXPECT_IS((int64_t)wrong, 0);
	EXPECT_IS(data[bytes - 1], 'e');
}

static void take_it(void *context)
{
	struct tenon_receive_options options = {.size = sizeof(options),
						.deadline_ns = tenon_deadline_after(LIMIT_NS)};
	struct tenon_queue *queue = contract_open("/large");
	struct tenon_lease lease;

	(void)context;
	REQUIRE(tenon_queue_take(queue, &options, &lease) == 0);
	expect_stamps(lease.data, LARGEST, &lease.message);
	EXPECT_IS(tenon_queue_done(queue, &lease), 0);
	queue = tenon_queue_close(queue);
}

static void test_loaned_and_taken(void)
{
	struct tenon_queue *queue = begin();
	pid_t child = contract_start(take_it, NULL);
	struct tenon_loan loan;

	EXPECT_IS(tenon_queue_loan(queue, LARGEST + 1, &loan), -EMSGSIZE);
	loan_largest(queue, &loan);
	EXPECT((uint64_t)loan.bytes >= LARGEST);
	stamp(loan.data, LARGEST);
	EXPECT_IS(tenon_queue_commit(queue, &loan, LARGEST, NULL), 0);
	contract_await(child);
	contract_expect_sound(queue);
	queue = tenon_queue_close(queue);
}

/* A receiver with a small buffer is told, and may have the beginning. */
static void test_cut(void)
{
	struct tenon_queue *queue = begin();
	struct tenon_receive_options cutting = {.size = sizeof(cutting), .flags = TENON_TRUNCATE};
	struct tenon_message message = {0};
	uint8_t buffer[64];
	struct tenon_loan loan;

	loan_largest(queue, &loan);
	stamp(loan.data, LARGEST);
	EXPECT_IS(tenon_queue_commit(queue, &loan, LARGEST, NULL), 0);
	EXPECT_IS(tenon_queue_receive(queue, buffer, sizeof(buffer), NULL, &message), -EMSGSIZE);
	EXPECT_IS(tenon_queue_receive(queue, buffer, sizeof(buffer), &cutting, &message), 0);
	EXPECT_IS((int64_t)message.bytes, (int64_t)LARGEST);
	EXPECT(memcmp(buffer, &(uint64_t){1}, sizeof(uint64_t)) == 0);
	contract_expect_sound(queue);
	queue = tenon_queue_close(queue);
}

static uint8_t *map(void)
{
	uint8_t *memory = mmap(NULL, COPIED_BYTES, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	REQUIRE(memory != MAP_FAILED);
	return memory;
}

static void receive_it(void *context)
{
	struct tenon_receive_options options = {.size = sizeof(options),
						.deadline_ns = tenon_deadline_after(LIMIT_NS)};
	struct tenon_queue *queue = contract_open("/large");
	struct tenon_message message = {0};
	uint8_t *buffer = map();

	(void)context;
	/* A byte too few, and it stays in the queue. */
	EXPECT_IS(tenon_queue_receive(queue, buffer, COPIED_BYTES - 1, &options, &message),
		  -EMSGSIZE);
	EXPECT_IS(tenon_queue_receive(queue, buffer, COPIED_BYTES, &options, &message), 0);
	expect_stamps(buffer, COPIED_BYTES, &message);
	queue = tenon_queue_close(queue);
}

/* A sixteenth of it: to touch all the memory of the longest, twice, takes some machines a minute. */
static void test_copied(void)
{
	struct tenon_queue *queue = begin();
	pid_t child = contract_start(receive_it, NULL);
	uint8_t *data = map();

	stamp(data, COPIED_BYTES);
	EXPECT_IS(tenon_queue_send(queue, data, LARGEST + 1, NULL), -EMSGSIZE);
	EXPECT_IS(tenon_queue_send(queue, data, COPIED_BYTES, NULL), 0);
	contract_await(child);
	contract_expect_sound(queue);
	queue = tenon_queue_close(queue);
}

int main(void)
{
	static const struct contract_case cases[] = {
		{"a message of 1 GiB is loaned and taken", test_loaned_and_taken, NULL},
		{"a message of 1 GiB is cut for a small buffer", test_cut, NULL},
		{"a message of 64 MiB is sent and received", test_copied, NULL},
	};

	return contract_main(cases, sizeof(cases) / sizeof(cases[0]));
}
