/* SPDX-License-Identifier: Apache-2.0 */

/* A region's file is made shorter by another: with the guard, the program lives and the calls
 * say so. */

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "region.h"

#define PAGES 64u

static void cut(uint64_t bytes)
{
	REQUIRE(truncate(region_path(), (off_t)bytes) == 0);
}

/* Without the last `pages` of its data. */
static void cut_pages(uint64_t pages)
{
	struct stat status;

	REQUIRE(stat(region_path(), &status) == 0);
	cut((uint64_t)status.st_size - pages * PAGE);
}

static void expect_broken(struct tenon_region *region)
{
	struct tenon_region_status status = {.size = sizeof(status)};
	void *address;
	uint64_t bytes;
	int fd;

	EXPECT_IS(tenon_region_check(region), -EIO);
	EXPECT_IS(tenon_region_bytes(region, &bytes), -EIO);
	EXPECT_IS(tenon_region_map(region, TENON_REGION_READ, &address, &bytes), -EIO);
	EXPECT_IS(tenon_region_snapshot(region, 0, &address, &bytes), -EIO);
	EXPECT_IS(region_grow(region, PAGE), -EIO);
	EXPECT_IS(region_seal(region, TENON_REGION_SEAL_GROW), -EIO);
	EXPECT_IS(tenon_region_fd(region, TENON_REGION_READ, &fd), -EIO);
	EXPECT_IS(tenon_region_status(region, &status), -EIO);
}

static void test_cut(void)
{
	struct tenon_region *region = region_make(PAGES * PAGE, 2 * PAGES * PAGE,
						  TENON_REGION_GUARD);
	volatile uint8_t *data = region_map(region, TENON_REGION_WRITE);
	const volatile uint8_t *seen = region_map(region, TENON_REGION_READ);
	void *view = NULL;
	uint64_t bytes;

	memset((void *)(uintptr_t)data, 1, PAGES * PAGE);
	EXPECT_IS(tenon_region_snapshot(region, TENON_REGION_COPY_ON_WRITE, &view, &bytes), 0);
	REQUIRE(view);
	cut_pages(10);
	EXPECT_IS(tenon_region_check(region), 0);
	EXPECT_IS(data[54 * PAGE - 1], 1);
	EXPECT_IS(tenon_region_check(region), 0);
	EXPECT_IS(data[60 * PAGE + 1], 0);
	expect_broken(region);
	/* What the program writes there it finds there. */
	for (uint32_t i = 54; i < PAGES; i++)
		data[i * PAGE] = (uint8_t)i;
	for (uint32_t i = 54; i < PAGES; i++)
		EXPECT_IS(data[i * PAGE], i);
	EXPECT_IS(seen[63 * PAGE], 0);
	EXPECT_IS(((volatile uint8_t *)view)[63 * PAGE], 0);
	((volatile uint8_t *)view)[62 * PAGE] = 3;
	/* Shorter still. */
	cut_pages(10);
	EXPECT_IS(data[50 * PAGE], 0);
	EXPECT_IS(data[55 * PAGE], 55);
	EXPECT_IS(data[40 * PAGE], 1);
	EXPECT_IS(tenon_region_unmap(region, view), 0);
	region = tenon_region_close(region);
}

static int see_nobody(const struct tenon_region_user *user, void *context)
{
	(void)user;
	(void)context;
	return 0;
}

/* The library's own memory is gone: each call comes first, once, and the last one is closing. */
static void call(uint32_t which)
{
	struct tenon_region_status status = {.size = sizeof(status)};
	struct tenon_region *region = region_make(PAGE, 2 * PAGE, TENON_REGION_GUARD);
	void *address;
	uint64_t bytes;
	int result = -EIO, fd;

	cut(0);
	switch (which) {
	case 0:
		result = tenon_region_bytes(region, &bytes);
		break;
	case 1:
		result = region_grow(region, 2 * PAGE);
		break;
	case 2:
		result = region_seal(region, TENON_REGION_SEAL_WRITE);
		break;
	case 3:
		result = tenon_region_map(region, TENON_REGION_WRITE, &address, &bytes);
		break;
	case 4:
		result = tenon_region_snapshot(region, 0, &address, &bytes);
		break;
	case 5:
		result = tenon_region_fd(region, TENON_REGION_SEALED_COPY, &fd);
		break;
	case 6:
		result = tenon_region_status(region, &status);
		break;
	case 7:
		result = tenon_region_attached(region, see_nobody, NULL);
		break;
	}
	EXPECT_IS(result, -EIO);
	region = tenon_region_close(region);
	EXPECT_IS(tenon_region_remove(contract_folder, NAME), 0);
}

static void test_calls(void)
{
	for (uint32_t which = 0; which <= 8; which++)
		call(which);
}

static void test_looked_at(void)
{
	struct tenon_region *region = region_make(4 * PAGE, 8 * PAGE, 0), *other = NULL;
	struct stat status;
	void *address;
	uint64_t bytes;
	off_t before;

	cut_pages(2);
	REQUIRE(stat(region_path(), &status) == 0);
	before = status.st_size;
	/* The size is as it was, and nobody touches the memory. */
	EXPECT_IS(region_grow(region, 5 * PAGE), -EIO);
	EXPECT_IS(tenon_region_map(region, TENON_REGION_READ, &address, &bytes), -EIO);
	EXPECT_IS(tenon_region_snapshot(region, 0, &address, &bytes), -EIO);
	EXPECT_IS(tenon_region_snapshot(region, TENON_REGION_COPY_ON_WRITE, &address, &bytes),
		  -EIO);
	EXPECT(stat(region_path(), &status) == 0 && status.st_size == before);
	EXPECT_IS(tenon_region_open(contract_folder, NAME, 0, NULL, &other), -EBADMSG);
	region = tenon_region_close(region);
}

/* How a child ends that runs `run`. */
static int end_of(void (*run)(void))
{
	int status = 0;
	pid_t child = fork();

	if (child == 0) {
		contract_child_begins();
		/* A sanitizer has a handler of its own. */
		signal(SIGBUS, SIG_DFL);
		run();
		contract_child_ends();
	}
	EXPECT(waitpid(child, &status, 0) == child);
	return status;
}

static bool is_killed(int status)
{
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS;
}

/* Memory of a file of one's own, which is empty by now. */
static volatile uint8_t *make_gone(void)
{
	int fd = memfd_create("gone", MFD_CLOEXEC);
	void *memory;

	REQUIRE(fd >= 0 && ftruncate(fd, PAGE) == 0);
	memory = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	REQUIRE(memory != MAP_FAILED && ftruncate(fd, 0) == 0);
	return memory;
}

static void touch_unguarded(void)
{
	volatile uint8_t *data = region_map(region_open(0), TENON_REGION_WRITE);

	cut_pages(1);
	data[0] = 1;
}

static void touch_other(void)
{
	region_open(TENON_REGION_GUARD);
	make_gone()[0] = 1;
}

static void send_signal(void)
{
	region_open(TENON_REGION_GUARD);
	raise(SIGBUS);
}

static void ignore_signal(void)
{
	signal(SIGBUS, SIG_IGN);
	region_open(TENON_REGION_GUARD);
	raise(SIGBUS);
}

static void test_other_signals(void)
{
	struct tenon_region *region = region_make(PAGE, 0, 0);

	EXPECT(is_killed(end_of(touch_other)));
	EXPECT(is_killed(end_of(send_signal)));
	EXPECT_IS(end_of(ignore_signal), 0);
	EXPECT(is_killed(end_of(touch_unguarded)));
	region = tenon_region_close(region);
}

static volatile uint8_t *volatile expected_address;
static volatile sig_atomic_t handled;

static void put_memory(int number, siginfo_t *info, void *context)
{
	sigset_t mask;

	(void)context;
	EXPECT_IS(number, SIGBUS);
	EXPECT_IS((int64_t)((uintptr_t)info->si_addr - (uintptr_t)expected_address), 0);
	pthread_sigmask(SIG_BLOCK, NULL, &mask);
	EXPECT(sigismember(&mask, SIGUSR1) && !sigismember(&mask, SIGUSR2));
	handled++;
	mmap((void *)((uintptr_t)info->si_addr & ~(uintptr_t)(PAGE - 1)), PAGE,
	     PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

static void use_both(void)
{
	struct sigaction action = {.sa_sigaction = put_memory, .sa_flags = SA_SIGINFO};
	struct tenon_region *region;
	volatile uint8_t *data;

	sigaddset(&action.sa_mask, SIGUSR1);
	REQUIRE(sigaction(SIGBUS, &action, NULL) == 0);
	region = region_open(TENON_REGION_GUARD);
	data = region_map(region, TENON_REGION_WRITE);
	expected_address = make_gone() + 5;
	*expected_address = 1;
	EXPECT_IS(handled, 1);
	EXPECT_IS(tenon_region_check(region), 0);
	cut_pages(1);
	data[0] = 1;
	EXPECT_IS(handled, 1);
	EXPECT_IS(tenon_region_check(region), -EIO);
	region = tenon_region_close(region);
}

static void test_chained(void)
{
	struct tenon_region *region = region_make(PAGE, 0, 0);

	EXPECT_IS(end_of(use_both), 0);
	region = tenon_region_close(region);
}

static uint32_t ready;

/* Each thread has bytes of its own in every page. */
static void *write_everywhere(void *context)
{
	volatile uint8_t *data = context;
	uint32_t own = __atomic_fetch_add(&ready, 1, __ATOMIC_SEQ_CST);

	while (__atomic_load_n(&ready, __ATOMIC_SEQ_CST) < 4)
		sched_yield();
	for (uint32_t i = 0; i < PAGES; i++) {
		data[i * PAGE + own] = (uint8_t)(i + own);
		EXPECT_IS(data[i * PAGE + own], (uint8_t)(i + own));
	}
	for (uint32_t i = 0; i < PAGES; i++)
		EXPECT_IS(data[i * PAGE + own], (uint8_t)(i + own));
	return NULL;
}

static void test_threads(void)
{
	for (uint32_t round = 0; round < 20; round++) {
		struct tenon_region *region = region_make(PAGES * PAGE, 0, TENON_REGION_GUARD);
		uint8_t *data = region_map(region, TENON_REGION_WRITE);
		pthread_t threads[4];

		ready = 0;
		cut_pages(PAGES);
		for (uint32_t i = 0; i < 4; i++)
			REQUIRE(pthread_create(&threads[i], NULL, write_everywhere, data) == 0);
		for (uint32_t i = 0; i < 4; i++)
			pthread_join(threads[i], NULL);
		EXPECT_IS(tenon_region_check(region), -EIO);
		region = tenon_region_close(region);
		EXPECT_IS(tenon_region_remove(contract_folder, NAME), 0);
	}
}

static void test_fork(void)
{
	struct tenon_region *region = region_make(PAGE, 0, TENON_REGION_GUARD);
	volatile uint8_t *data = region_map(region, TENON_REGION_WRITE);
	pid_t child;

	cut_pages(1);
	child = fork();
	if (child == 0) {
		contract_child_begins();
		data[0] = 1;
		EXPECT_IS(tenon_region_check(region), -EIO);
		region = tenon_region_close(region);
		contract_child_ends();
	}
	contract_await(child);
	EXPECT_IS(tenon_region_check(region), 0);
	EXPECT_IS(data[0], 0);
	EXPECT_IS(tenon_region_check(region), -EIO);
	region = tenon_region_close(region);
}

/* More than a block of the table has room for. */
static void test_many(void)
{
	static struct tenon_region *regions[100];
	struct tenon_region *first = region_make(PAGE, 0, TENON_REGION_GUARD);

	for (uint32_t round = 0; round < 2; round++) {
		for (uint32_t i = 0; i < 100; i++) {
			regions[i] = region_open(TENON_REGION_GUARD);
			region_map(regions[i], TENON_REGION_WRITE);
		}
		if (round == 1)
			cut_pages(1);
		for (uint32_t i = 0; round == 1 && i < 100; i++) {
			volatile uint8_t *data = region_map(regions[i], TENON_REGION_WRITE);

			data[0] = 1;
			EXPECT_IS(tenon_region_check(regions[i]), -EIO);
		}
		for (uint32_t i = 0; i < 100; i++)
			regions[i] = tenon_region_close(regions[i]);
	}
	first = tenon_region_close(first);
}

/* The file is as long as ever, but has lost memory, and there is no more. */
static void test_hole(void)
{
	struct tenon_region *region, *other;
	void *address;
	uint64_t bytes;
	struct stat status;
	volatile uint8_t *data;
	int fd, filler;
	char path[512];

	if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
	    mount("full", contract_folder, "tmpfs", 0, "size=1m") != 0)
		contract_skip("no mount namespace of one's own");
	region = region_make(4 * PAGE, 8 * PAGE, TENON_REGION_GUARD);
	data = region_map(region, TENON_REGION_WRITE);
	memset((void *)(uintptr_t)data, 1, 4 * PAGE);
	fd = open(region_path(), O_RDWR);
	REQUIRE(fd >= 0 && fstat(fd, &status) == 0);
	REQUIRE(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			  status.st_size - 4 * (off_t)PAGE, PAGE) == 0);
	snprintf(path, sizeof(path), "%s/filler", contract_folder);
	filler = open(path, O_CREAT | O_RDWR, 0600);
	for (off_t offset = 0; fallocate(filler, 0, offset, PAGE) == 0;)
		offset += PAGE;
	/* Whoever has not mapped it is told, and whoever has, and no guard, would die. */
	other = region_open(0);
	EXPECT_IS(tenon_region_map(other, TENON_REGION_WRITE, &address, &bytes), -ENOSPC);
	EXPECT_IS(tenon_region_snapshot(other, TENON_REGION_COPY_ON_WRITE, &address, &bytes),
		  -ENOSPC);
	other = tenon_region_close(other);
	EXPECT_IS(data[PAGE], 1);
	EXPECT_IS(data[0], 0);
	expect_broken(region);
	data[0] = 2;
	EXPECT(data[0] == 2 && data[PAGE] == 1);
	region = tenon_region_close(region);
}

static void test_guests(void)
{
	struct tenon_region *region = region_make(PAGE, 0, 0), *guest = NULL;
	const volatile uint8_t *data;
	int fd = -1;

	EXPECT_IS(tenon_region_fd(region, TENON_REGION_READ, &fd), 0);
	EXPECT_IS(tenon_region_from_fd(fd, TENON_REGION_GUARD, &guest), 0);
	REQUIRE(guest);
	data = region_map(guest, TENON_REGION_READ);
	cut_pages(1);
	EXPECT_IS(data[1], 0);
	expect_broken(guest);
	guest = tenon_region_close(guest);
	region = tenon_region_close(region);
}

int main(void)
{
	static const struct contract_case cases[] = {
		{"cut off, guarded", test_cut, NULL},
		{"cut off to nothing, each call first", test_calls, NULL},
		{"cut off, found without touching it", test_looked_at, NULL},
		{"other signals of that kind do what they did", test_other_signals, NULL},
		{"chained to the program's handler", test_chained, NULL},
		{"four threads at once", test_threads, NULL},
		{"over fork", test_fork, NULL},
		{"more than a hundred", test_many, NULL},
		{"a hole in a full file system", test_hole, NULL},
		{"of a descriptor for reading", test_guests, NULL},
	};

	return contract_main(cases, sizeof(cases) / sizeof(cases[0]));
}
