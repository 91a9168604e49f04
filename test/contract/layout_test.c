/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What docs/ABI.md promises of a queue's file that another library made, or that is none: opening it
 * gives the error that is documented, and changes nothing in it.
 */

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "abi/queue.h"
#include "contract.h"

#define NAME "/queue"
static char path[512];

static void make(void)
{
	struct tenon_queue_options options = {
		.size = sizeof(options), .capacity = 4, .max_message_bytes = 64};
	struct tenon_queue *queue = contract_create(NAME, &options);

	EXPECT_IS(contract_send(queue, 1, 0), 0);
	queue = tenon_queue_close(queue);
	snprintf(path, sizeof(path), "%s/q.queue", contract_folder);
}

/* Header, participants and both sides; how long the file is, and how much memory it has. */
struct image {
	struct stat status;
	ssize_t count;
	char bytes[16 * TNI_PAGE_BYTES];
};

static void look(struct image *image)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	REQUIRE(fd >= 0 && fstat(fd, &image->status) == 0);
	image->count = pread(fd, image->bytes, sizeof(image->bytes), 0);
	REQUIRE(image->count >= 0);
	close(fd);
}

/* Opening it, making it if it is missing and making it anew all leave it as it is. */
static void expect_refused(int expected)
{
	static struct image before, after;
	struct tenon_queue *queue = NULL;

	look(&before);
	EXPECT_IS(tenon_queue_open(contract_folder, NAME, 0, NULL, &queue), expected);
	EXPECT_IS(tenon_queue_open(contract_folder, NAME, TENON_QUEUE_CREATE, NULL, &queue),
		  expected);
	EXPECT_IS(tenon_queue_open(contract_folder, NAME,
				   TENON_QUEUE_CREATE | TENON_QUEUE_EXCLUSIVE, NULL, &queue),
		  -EEXIST);
	EXPECT(!queue);
	look(&after);
	EXPECT_IS(after.status.st_size, before.status.st_size);
	EXPECT_IS(after.status.st_blocks, before.status.st_blocks);
	EXPECT(after.count == before.count &&
	       memcmp(before.bytes, after.bytes, (size_t)before.count) == 0);
}

static void write_at(uint64_t offset, const void *bytes, size_t count)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	REQUIRE(fd >= 0 && pwrite(fd, bytes, count, (off_t)offset) == (ssize_t)count);
	close(fd);
}

static uint64_t read_at(uint64_t offset, size_t count)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint64_t value = 0;

	REQUIRE(fd >= 0 && pread(fd, &value, count, (off_t)offset) == (ssize_t)count);
	close(fd);
	return value;
}

/* Each of the values in the place of one number, then the old one, with which it opens. */
static void refused_with(uint64_t offset, size_t bytes, const uint64_t *values, size_t count,
			 int expected)
{
	uint64_t old;
	struct tenon_queue *queue;

	make();
	old = read_at(offset, bytes);
	for (size_t i = 0; i < count; i++) {
		EXPECT(values[i] != old);
		write_at(offset, &values[i], bytes);
		expect_refused(expected);
	}
	write_at(offset, &old, bytes);
	queue = contract_open(NAME);
	EXPECT_IS(contract_receive(queue, &old, 0), 0);
	queue = tenon_queue_close(queue);
}

#define REFUSED_WITH(structure, field, at, expected, ...)                                     \
	do {                                                                                  \
		const uint64_t refused_values[] = {__VA_ARGS__};                              \
		refused_with((at) + offsetof(struct structure, field),                        \
			     sizeof(((struct structure *)NULL)->field), refused_values,       \
			     sizeof(refused_values) / sizeof(refused_values[0]), (expected)); \
	} while (0)

static void test_version(void)
{
	REFUSED_WITH(tni_object_header, layout_version, 0, -EPROTO, TNI_LAYOUT_VERSION + 1,
		     TNI_LAYOUT_VERSION - 1, UINT32_MAX);
}

static void test_byte_order(void)
{
	REFUSED_WITH(tni_object_header, byte_order, 0, -EPROTO, 0x04030201, 0, 0x02010403);
}

static void test_fingerprint(void)
{
	uint64_t own;

	make();
	own = read_at(offsetof(struct tni_object_header, fingerprint), 8);
	REQUIRE(tenon_queue_remove(contract_folder, NAME) == 0);
	REFUSED_WITH(tni_object_header, fingerprint, 0, -EPROTO, own + 1, own ^ UINT64_C(1) << 63,
		     0);
}

static void test_magic(void)
{
	REFUSED_WITH(tni_object_header, magic, 0, -EBADMSG, TNI_MAGIC + 1, 0,
		     TNI_MAGIC ^ UINT64_C(0xff00000000000000));
}

/* As a machine with the other byte order would write it: another library's, not damage. */
static void test_other_machine(void)
{
	REFUSED_WITH(tni_object_header, magic, 0, -EPROTO, __builtin_bswap64(TNI_MAGIC));
}

static void test_kind(void)
{
	REFUSED_WITH(tni_object_header, kind, 0, -EBADMSG, 0, TENON_KIND_QUEUE + 1, UINT32_MAX);
}

static void test_participants(void)
{
	REFUSED_WITH(tni_object_header, participants_max, 0, -EBADMSG, 0, TNI_PARTICIPANTS_MAX,
		     TNI_PARTICIPANTS_MAX + 1, UINT32_MAX);
}

static void test_extent(void)
{
	uint64_t own;

	make();
	own = read_at(offsetof(struct tni_object_header, extent_bytes), 8);
	REQUIRE(tenon_queue_remove(contract_folder, NAME) == 0);
	REFUSED_WITH(tni_object_header, extent_bytes, 0, -EBADMSG, own - TNI_PAGE_BYTES,
		     own + TNI_PAGE_BYTES, own + 1, 2 * TNI_PAGE_BYTES);
}

static void test_extent_that_cannot_be_mapped(void)
{
	REFUSED_WITH(tni_object_header, extent_bytes, 0, -EBADMSG, 0, 1, UINT64_MAX,
		     UINT64_C(1) << 62);
}

static void test_attributes(void)
{
	for (uint64_t offset = 0; offset < sizeof(struct tni_queue_attributes); offset += 4) {
		uint64_t value;

		make();
		value = read_at(TNI_QUEUE_ATTRIBUTES_OFFSET + offset, 4) ^ 0x80000001;
		write_at(TNI_QUEUE_ATTRIBUTES_OFFSET + offset, &value, 4);
		expect_refused(-EBADMSG);
		REQUIRE(tenon_queue_remove(contract_folder, NAME) == 0);
	}
}

static void cut_at(const off_t *sizes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		make();
		REQUIRE(truncate(path, sizes[i]) == 0);
		expect_refused(-EBADMSG);
		REQUIRE(tenon_queue_remove(contract_folder, NAME) == 0);
	}
}

static void test_cut_off(void)
{
	static const off_t sizes[] = {0, 1, 8, 111, 112, 1024, 2048, 4095, 4096, 4097, 8191};

	cut_at(sizes, sizeof(sizes) / sizeof(sizes[0]));
}

static void test_cut_off_later(void)
{
	static const off_t sizes[] = {8192, 8193, 16384, 20480};

	cut_at(sizes, sizeof(sizes) / sizeof(sizes[0]));
}

/* Files that never were a queue. */
static void test_no_queue(void)
{
	static const char text[] = "This is a text, and no queue.\n";
	static const char line[4 * TNI_PAGE_BYTES];
	int fd;

	snprintf(path, sizeof(path), "%s/q.queue", contract_folder);
	for (size_t bytes = 0; bytes <= sizeof(line); bytes += TNI_PAGE_BYTES) {
		fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		REQUIRE(fd >= 0 && write(fd, line, bytes) == (ssize_t)bytes);
		expect_refused(-EBADMSG);
		REQUIRE(pwrite(fd, text, sizeof(text), 0) == sizeof(text));
		close(fd);
		expect_refused(-EBADMSG);
		REQUIRE(unlink(path) == 0);
	}
}

static void test_no_file(void)
{
	struct tenon_queue *queue = NULL;

	snprintf(path, sizeof(path), "%s/q.queue", contract_folder);
	REQUIRE(mkdir(path, 0700) == 0);
	EXPECT_IS(tenon_queue_open(contract_folder, NAME, 0, NULL, &queue), -EISDIR);
	REQUIRE(rmdir(path) == 0 && mkfifo(path, 0600) == 0);
	EXPECT_IS(tenon_queue_open(contract_folder, NAME, 0, NULL, &queue), -EBADMSG);
	EXPECT(!queue);
}

static void keep_making(void *context)
{
	uint32_t *rounds = context;

	for (;;) {
		struct tenon_queue *queue = NULL;
		int result = tenon_queue_open(contract_folder, NAME,
					      TENON_QUEUE_CREATE | TENON_QUEUE_EXCLUSIVE, NULL,
					      &queue);

		REQUIRE(result == 0 || result == -EEXIST);
		queue = tenon_queue_close(queue);
		result = tenon_queue_remove(contract_folder, NAME);
		REQUIRE(result == 0 || result == -ENOENT);
		__atomic_fetch_add(rounds, 1, __ATOMIC_SEQ_CST);
	}
}

/* Whoever is killed while it makes a queue leaves a whole one or none. */
static void test_maker_dies(void)
{
	uint32_t there = 0, *rounds = contract_share(sizeof(*rounds));

	for (uint32_t i = 0; i < 300; i++) {
		uint32_t before = __atomic_load_n(rounds, __ATOMIC_SEQ_CST);
		pid_t maker = contract_start(keep_making, rounds);
		struct tenon_queue *queue = NULL;
		uint64_t number;
		int result;

		while (__atomic_load_n(rounds, __ATOMIC_SEQ_CST) == before)
			sched_yield();
		usleep(i * 7 % 900);
		contract_kill(maker);
		result = tenon_queue_open(contract_folder, NAME, 0, NULL, &queue);
		if (result == -ENOENT)
			continue;
		there++;
		EXPECT_IS(result, 0);
		REQUIRE(queue);
		EXPECT_IS(contract_send(queue, 3, 0), 0);
		EXPECT_IS(contract_receive(queue, &number, 0), 0);
		contract_expect_sound(queue);
		queue = tenon_queue_close(queue);
		EXPECT_IS(tenon_queue_remove(contract_folder, NAME), 0);
	}
	printf("# %u of 300 had made one\n", there);
}

int main(void)
{
	static const struct contract_case cases[] = {
		{"another layout version", test_version, NULL},
		{"another byte order", test_byte_order, NULL},
		{"another machine's file", test_other_machine, NULL},
		{"another fingerprint", test_fingerprint, NULL},
		{"another magic", test_magic, NULL},
		{"another kind of object", test_kind, NULL},
		{"another number of participants", test_participants, NULL},
		{"another extent", test_extent, NULL},
		{"an extent that cannot be mapped", test_extent_that_cannot_be_mapped, NULL},
		{"other attributes", test_attributes, NULL},
		{"a file that is cut off", test_cut_off, NULL},
		{"a file that is cut off behind its header", test_cut_off_later, NULL},
		{"a file that never was a queue", test_no_queue, NULL},
		{"a folder and a FIFO", test_no_file, NULL},
		{"the maker of a queue dies", test_maker_dies, NULL},
	};

	return contract_main(cases, sizeof(cases) / sizeof(cases[0]));
}
