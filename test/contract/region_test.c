/* SPDX-License-Identifier: Apache-2.0 */

/* What a region promises to processes and users: names, sizes, growth, snapshots, seals, and who
 * has it. */

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "region.h"
#include "users.h"

static bool is_all(const uint8_t *data, uint64_t bytes, uint8_t value)
{
	for (uint64_t i = 0; i < bytes; i++)
		if (data[i] != value)
			return false;
	return true;
}

static void test_sizes(void)
{
	static const uint64_t sizes[] = {1, PAGE - 1, PAGE, PAGE + 1, 3 * PAGE, 100000};

	for (uint32_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct tenon_region *region = region_make(sizes[i], 0, 0), *other = region_open(0);
		uint8_t *data = region_map(region, TENON_REGION_WRITE);
		const uint8_t *others = region_map(other, TENON_REGION_READ);

		EXPECT_IS((int64_t)region_bytes(region), (int64_t)sizes[i]);
		EXPECT_IS((int64_t)region_bytes(other), (int64_t)sizes[i]);
		EXPECT_IS((int64_t)region_status(region).max_bytes, (int64_t)sizes[i]);
		EXPECT(is_all(data, sizes[i], 0));
		memset(data, 7, sizes[i]);
		EXPECT(is_all(others, sizes[i], 7));
		EXPECT(region_map(region, TENON_REGION_WRITE) == data);
		EXPECT(region_map(region, TENON_REGION_READ) != data);
		EXPECT_IS(region_grow(region, sizes[i] + 1), -EFBIG);
		EXPECT_IS(region_grow(region, UINT64_MAX), -EFBIG);
		EXPECT_IS(tenon_region_remove(contract_folder, NAME), 0);
		other = tenon_region_close(other);
		region = tenon_region_close(region);
	}
}

static void test_nothing(void)
{
	struct tenon_region *region = region_make(0, 3, 0);
	uint8_t *data = region_map(region, TENON_REGION_WRITE);

	EXPECT_IS((int64_t)region_bytes(region), 0);
	EXPECT_IS(region_grow(region, 0), 0);
	EXPECT_IS(region_grow(region, 3), 0);
	memset(data, 1, 3);
	EXPECT_IS(region_grow(region, 4), -EFBIG);
	EXPECT_IS((int64_t)region_bytes(region), 3);
	region = tenon_region_close(region);
}

static int count_regions(uint32_t kind, const char *name, void *context)
{
	*(uint32_t *)context += kind == TENON_KIND_REGION && strcmp(name, NAME) == 0;
	return 0;
}

static int open_with(struct tenon_region_options options, uint32_t flags)
{
	struct tenon_region *region = NULL;
	int result;

	options.size = sizeof(options);
	result = tenon_region_open(contract_folder, "/other", flags, &options, &region);
	EXPECT((result == 0) == (region != NULL));
	region = tenon_region_close(region);
	if (result == 0)
		EXPECT_IS(tenon_region_remove(contract_folder, "/other"), 0);
	return result;
}

static void test_arguments(void)
{
	struct tenon_region *region = region_make(PAGE, 2 * PAGE, 0), *other = NULL;
	uint32_t found = 0;
	uint64_t bytes;
	void *address;
	int fd;

	EXPECT_IS(tenon_namespace_list(contract_folder, count_regions, &found), 0);
	EXPECT_IS(found, 1);
	EXPECT_IS(open_with((struct tenon_region_options){.bytes = 1}, 0), -ENOENT);
	EXPECT_IS(open_with((struct tenon_region_options){.bytes = 1}, TENON_CREATE), 0);
	EXPECT_IS(open_with((struct tenon_region_options){.bytes = 0}, TENON_CREATE), -EINVAL);
	EXPECT_IS(open_with((struct tenon_region_options){.bytes = 2, .max_bytes = 1},
			    TENON_CREATE),
		  -EINVAL);
	EXPECT_IS(open_with((struct tenon_region_options){.bytes = UINT64_MAX}, TENON_CREATE),
		  -EINVAL);
	EXPECT_IS(open_with((struct tenon_region_options){.bytes = 1, .max_bytes = UINT64_MAX},
			    TENON_CREATE),
		  -EINVAL);
	EXPECT_IS(open_with((struct tenon_region_options){.max_bytes = TENON_REGION_BYTES_MOST,
							  .max_participants = 1024},
			    TENON_CREATE),
		  0);
	EXPECT_IS(open_with((struct tenon_region_options){.bytes = 1, .flags = 1}, TENON_CREATE),
		  -EINVAL);
	EXPECT_IS(open_with((struct tenon_region_options){.bytes = 1, .mode = 01000}, TENON_CREATE),
		  -EINVAL);
	EXPECT_IS(open_with((struct tenon_region_options){.bytes = 1, .max_participants = 1025},
			    TENON_CREATE),
		  -EINVAL);
	EXPECT_IS(open_with((struct tenon_region_options){.bytes = 1}, TENON_EXCLUSIVE), -EINVAL);
	EXPECT_IS(open_with((struct tenon_region_options){.bytes = 1}, TENON_CREATE | 4), -EINVAL);
	EXPECT_IS(tenon_region_open(contract_folder, NAME, TENON_CREATE, NULL, &other), -EINVAL);
	EXPECT_IS(tenon_region_open(contract_folder, NAME, 0, NULL, NULL), -EINVAL);
	EXPECT_IS(tenon_region_map(NULL, TENON_REGION_READ, &address, NULL), -EINVAL);
	EXPECT_IS(tenon_region_map(region, 0, &address, NULL), -EINVAL);
	EXPECT_IS(tenon_region_map(region, 4, &address, NULL), -EINVAL);
	EXPECT_IS(tenon_region_map(region, TENON_REGION_READ, NULL, NULL), -EINVAL);
	EXPECT_IS(tenon_region_bytes(region, NULL), -EINVAL);
	EXPECT_IS(tenon_region_bytes(NULL, &bytes), -EINVAL);
	EXPECT_IS(tenon_region_snapshot(region, 2, &address, &bytes), -EINVAL);
	EXPECT_IS(tenon_region_snapshot(region, 0, NULL, &bytes), -EINVAL);
	EXPECT_IS(tenon_region_unmap(region, NULL), -EINVAL);
	EXPECT_IS(tenon_region_unmap(region, &bytes), -EINVAL);
	EXPECT_IS(region_seal(region, 0), -EINVAL);
	EXPECT_IS(region_seal(region, 4), -EINVAL);
	EXPECT_IS(tenon_region_fd(region, 0, &fd), -EINVAL);
	EXPECT_IS(tenon_region_fd(region, 5, &fd), -EINVAL);
	EXPECT_IS(tenon_region_fd(region, TENON_REGION_READ, NULL), -EINVAL);
	EXPECT_IS(tenon_region_attached(region, NULL, NULL), -EINVAL);
	EXPECT_IS(tenon_region_status(region, NULL), -EINVAL);
	EXPECT_IS(tenon_region_check(NULL), -EINVAL);
	EXPECT_IS(tenon_region_check(region), 0);
	EXPECT_IS(tenon_region_grow(NULL, 1, 0), -EINVAL);
	EXPECT_IS(tenon_region_grow(region, PAGE + 1, 0), 0);
	EXPECT(tenon_region_close(NULL) == NULL);
	region = tenon_region_close(region);
}

static void test_grows(void)
{
	struct tenon_region *region = region_make(100, 10 * PAGE, 0), *other = region_open(0);
	uint8_t *data = region_map(region, TENON_REGION_WRITE);
	uint8_t *others = region_map(other, TENON_REGION_WRITE);

	memset(data, 1, 100);
	/* Nobody's memory yet: what was written there is gone. */
	memset(data + 100, 9, 50);
	EXPECT_IS(region_grow(region, 120), 0);
	EXPECT(is_all(data + 100, 20, 0));
	EXPECT_IS(region_grow(region, 110), 0);
	EXPECT_IS((int64_t)region_bytes(other), 120);
	EXPECT_IS(region_grow(region, 9 * PAGE + 1), 0);
	EXPECT(region_map(region, TENON_REGION_WRITE) == data);
	EXPECT(is_all(data + 100, 9 * PAGE - 99, 0));
	memset(data, 2, 9 * PAGE + 1);
	EXPECT_IS((int64_t)region_bytes(other), 9 * PAGE + 1);
	EXPECT(is_all(others, 9 * PAGE + 1, 2));
	EXPECT_IS((int64_t)region_status(other).grown, 2);
	EXPECT(region_status(other).memory_bytes >= 10 * PAGE);
	EXPECT_IS(region_grow(other, 10 * PAGE + 1), -EFBIG);
	EXPECT_IS(region_grow(other, 10 * PAGE), 0);
	EXPECT_IS((int64_t)region_bytes(region), 10 * PAGE);
	other = tenon_region_close(other);
	region = tenon_region_close(region);
}

#define GROWERS 4u
#define STEPS 100u
#define STEP_BYTES 700u

static void *grow_by_steps(void *context)
{
	struct tenon_region *region = context;
	uint8_t *data = region_map(region, TENON_REGION_WRITE);

	for (uint64_t i = 1; i <= STEPS; i++) {
		EXPECT_IS(region_grow(region, i * STEP_BYTES), 0);
		EXPECT(region_bytes(region) >= i * STEP_BYTES);
		data[i * STEP_BYTES - 1] = (uint8_t)i;
		EXPECT_IS(data[(i / 2 + 1) * STEP_BYTES - 1], (uint8_t)(i / 2 + 1));
	}
	return NULL;
}

static void grow_in_two_threads(void *context)
{
	struct tenon_region *region = region_open(0);
	pthread_t thread;

	(void)context;
	REQUIRE(pthread_create(&thread, NULL, grow_by_steps, region) == 0);
	grow_by_steps(region);
	REQUIRE(pthread_join(thread, NULL) == 0);
	region = tenon_region_close(region);
}

static void test_growers(void)
{
	struct tenon_region *region = region_make(0, 1 << 20, 0);
	pid_t growers[GROWERS];

	for (uint32_t i = 0; i < GROWERS; i++)
		growers[i] = contract_start(grow_in_two_threads, NULL);
	for (uint32_t i = 0; i < GROWERS; i++)
		contract_await(growers[i]);
	EXPECT_IS((int64_t)region_bytes(region), STEPS * STEP_BYTES);
	EXPECT_IS((int64_t)region_status(region).participants, 1);
	region = tenon_region_close(region);
}

static void test_snapshots(void)
{
	struct tenon_region *region = region_make(2 * PAGE + 10, 8 * PAGE, 0);
	uint8_t *data = region_map(region, TENON_REGION_WRITE);
	void *copy = NULL, *view = NULL, *nothing = NULL;
	uint64_t bytes = 0;

	memset(data, 1, 2 * PAGE + 10);
	EXPECT_IS(tenon_region_snapshot(region, 0, &copy, &bytes), 0);
	EXPECT_IS((int64_t)bytes, 2 * PAGE + 10);
	EXPECT_IS(tenon_region_snapshot(region, TENON_REGION_COPY_ON_WRITE, &view, &bytes), 0);
	EXPECT_IS((int64_t)bytes, 2 * PAGE + 10);
	REQUIRE(copy && view);
	memset(view, 3, 10);
	memset(data, 2, 2 * PAGE + 10);
	EXPECT(is_all(copy, 2 * PAGE + 10, 1));
	/* The page that was written to stays as it was, and the others are the region's. */
	EXPECT(is_all(view, 10, 3) && is_all((uint8_t *)view + 10, PAGE - 10, 1));
	EXPECT(is_all((uint8_t *)view + PAGE, PAGE + 10, 2));
	memset(copy, 4, 2 * PAGE + 10);
	EXPECT(is_all(data, 2 * PAGE + 10, 2));
	EXPECT_IS(tenon_region_unmap(region, copy), 0);
	EXPECT_IS(tenon_region_unmap(region, copy), -EINVAL);
	EXPECT_IS(region_status(region).writers, 1);
	EXPECT_IS(tenon_region_unmap(region, data), 0);
	EXPECT_IS(region_status(region).writers, 0);
	EXPECT(is_all((uint8_t *)view + PAGE, PAGE + 10, 2));
	region = tenon_region_close(region);
	EXPECT_IS(tenon_region_remove(contract_folder, NAME), 0);
	region = region_make(0, 1, 0);
	for (uint32_t flags = 0; flags < 2; flags++) {
		EXPECT_IS(tenon_region_snapshot(region, flags, &nothing, &bytes), 0);
		EXPECT_IS((int64_t)bytes, 0);
	}
	region = tenon_region_close(region);
}

static void write_there(void *address)
{
	*(volatile uint8_t *)address = 1;
}

static void test_read_only(void)
{
	struct tenon_region *region = region_make(PAGE, 0, 0);
	uint8_t *data = region_map(region, TENON_REGION_READ);
	int status;
	pid_t child = fork();

	if (child == 0) {
		contract_child_begins();
		signal(SIGSEGV, SIG_DFL);
		write_there(data);
		_exit(0);
	}
	EXPECT(waitpid(child, &status, 0) == child);
	EXPECT(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	EXPECT_IS(data[0], 0);
	region = tenon_region_close(region);
}

static int *told;

/* Attaches, perhaps maps, and waits to be killed. */
static void stay(void *context)
{
	struct tenon_region *region = region_open(0);
	uint8_t byte = 0;

	if (context)
		region_map(region, TENON_REGION_WRITE);
	EXPECT(write(told[1], &byte, 1) == 1);
	for (;;)
		pause();
}

static pid_t start_staying(bool writing)
{
	pid_t child = contract_start(stay, writing ? told : NULL);
	uint8_t byte;

	REQUIRE(read(told[0], &byte, 1) == 1);
	return child;
}

static void test_seals(void)
{
	struct tenon_region *region = region_make(PAGE, 4 * PAGE, 0), *other = region_open(0);
	uint8_t *data = region_map(region, TENON_REGION_WRITE);
	void *address = NULL;
	int ends[2], fd;
	pid_t writer;

	told = ends;
	REQUIRE(pipe(ends) == 0);
	memset(data, 5, PAGE);
	EXPECT_IS(region_seal(other, TENON_REGION_SEAL_WRITE | TENON_REGION_SEAL_GROW), -EBUSY);
	EXPECT_IS(region_status(region).seals, 0);
	EXPECT_IS(region_grow(region, 2 * PAGE), 0);
	writer = start_staying(true);
	EXPECT_IS(tenon_region_unmap(region, data), 0);
	EXPECT_IS(region_seal(region, TENON_REGION_SEAL_WRITE), -EBUSY);
	contract_kill(writer);
	EXPECT_IS(region_seal(region, TENON_REGION_SEAL_WRITE), 0);
	EXPECT_IS(region_seal(region, TENON_REGION_SEAL_WRITE), 0);
	EXPECT_IS(tenon_region_map(other, TENON_REGION_WRITE, &address, NULL), -EPERM);
	EXPECT_IS(tenon_region_fd(other, TENON_REGION_WRITE, &fd), -EPERM);
	EXPECT_IS(region_map(other, TENON_REGION_READ)[PAGE - 1], 5);
	EXPECT_IS(region_grow(other, 3 * PAGE), 0);
	EXPECT_IS(region_seal(other, TENON_REGION_SEAL_GROW), 0);
	EXPECT_IS(region_grow(region, 3 * PAGE), 0);
	EXPECT_IS(region_grow(region, 3 * PAGE + 1), -EPERM);
	EXPECT_IS(region_status(region).seals, TENON_REGION_SEAL_WRITE | TENON_REGION_SEAL_GROW);
	EXPECT_IS(region_status(region).writers, 0);
	other = tenon_region_close(other);
	region = tenon_region_close(region);
	region = region_open(0);
	EXPECT_IS(tenon_region_map(region, TENON_REGION_WRITE, &address, NULL), -EPERM);
	region = tenon_region_close(region);
}

struct seen {
	uint32_t count, writing;
	pid_t pid; /* looked for */
	bool found;
};

static int see(const struct tenon_region_user *user, void *context)
{
	struct seen *seen = context;

	seen->count++;
	seen->writing += user->writes;
	seen->found |= user->pid == seen->pid;
	EXPECT_IS(user->uid, geteuid());
	EXPECT(user->attached_ns > 0);
	return 0;
}

static struct seen see_all(struct tenon_region *region, pid_t pid)
{
	struct seen seen = {.pid = pid};

	EXPECT_IS(tenon_region_attached(region, see, &seen), 0);
	return seen;
}

static void test_attached(void)
{
	struct tenon_region *region = region_make(PAGE, 0, 0), *other = region_open(0);
	int ends[2];
	pid_t children[8];

	told = ends;
	REQUIRE(pipe(ends) == 0);
	EXPECT_IS(see_all(region, getpid()).count, 2);
	for (uint32_t i = 0; i < 8; i++)
		children[i] = start_staying(i % 2);
	EXPECT_IS(see_all(region, children[7]).writing, 4);
	for (uint32_t i = 0; i < 8; i++) {
		EXPECT(see_all(region, children[i]).found);
		contract_kill(children[i]);
		EXPECT(!see_all(region, children[i]).found);
		EXPECT_IS(see_all(region, 0).count, 9 - i);
		EXPECT_IS(region_status(region).participants, 9 - i);
	}
	other = tenon_region_close(other);
	EXPECT_IS(see_all(region, getpid()).count, 1);
	region = tenon_region_close(region);
}

static void test_removed(void)
{
	struct tenon_region *region = region_make(PAGE, 2 * PAGE, 0), *next;
	uint8_t *data = region_map(region, TENON_REGION_WRITE);

	memset(data, 8, PAGE);
	EXPECT_IS(tenon_region_remove(contract_folder, NAME), 0);
	EXPECT_IS(tenon_region_remove(contract_folder, NAME), -ENOENT);
	next = region_make(1, 0, 0);
	EXPECT(region_status(next).id != region_status(region).id);
	EXPECT_IS(region_grow(region, 2 * PAGE), 0);
	EXPECT(is_all(data, PAGE, 8) && is_all(data + PAGE, PAGE, 0));
	EXPECT(region_map(region, TENON_REGION_READ)[0] == 8);
	region = tenon_region_close(region);
	next = tenon_region_close(next);
}

static void test_fork(void)
{
	struct tenon_region *region = region_make(PAGE, 4 * PAGE, 0);
	uint8_t *data = region_map(region, TENON_REGION_WRITE);
	pid_t child = fork();

	if (child == 0) {
		contract_child_begins();
		data[0] = 1;
		EXPECT_IS(region_grow(region, 2 * PAGE), 0);
		EXPECT(region_map(region, TENON_REGION_WRITE) == data);
		data[2 * PAGE - 1] = 2;
		EXPECT_IS(region_status(region).participants, 2);
		EXPECT_IS(region_status(region).writers, 2);
		region = tenon_region_close(region);
		contract_child_ends();
	}
	contract_await(child);
	/* One that only lets go of it takes nothing from its parent. */
	child = fork();
	if (child == 0) {
		contract_child_begins();
		EXPECT_IS(tenon_region_unmap(region, data), 0);
		region = tenon_region_close(region);
		contract_child_ends();
	}
	contract_await(child);
	EXPECT_IS((int64_t)region_bytes(region), 2 * PAGE);
	EXPECT(data[0] == 1 && data[2 * PAGE - 1] == 2);
	EXPECT_IS(region_status(region).participants, 1);
	EXPECT_IS(region_status(region).writers, 1);
	region = tenon_region_close(region);
}

static void use(const struct part *part)
{
	struct tenon_region *region = NULL;

	EXPECT_IS(tenon_region_open(contract_folder, NAME, 0, NULL, &region), part->expected);
	if (region)
		region_map(region, TENON_REGION_WRITE)[0]++;
	region = tenon_region_close(region);
}

static void make_for(const struct part *part)
{
	struct tenon_region_options options = {
		.size = sizeof(options), .bytes = 1, .mode = part->mode};
	struct tenon_region *region = NULL;

	umask(0);
	EXPECT_IS(tenon_region_open(contract_folder, NAME, TENON_CREATE, &options, &region), 0);
	EXPECT_IS(region_status(region).mode, part->mode);
	region = tenon_region_close(region);
}

static void test_users(void)
{
	users_begin();
	for (uint32_t i = 0; i < 3; i++) {
		static const mode_t modes[] = {0600, 0644, 0666};
		int expected = modes[i] == 0666 ? 0 : -EACCES;

		users_act((struct part){.uid = ANN, .play = make_for, .mode = modes[i]});
		users_act((struct part){.uid = ANN, .play = use});
		users_act((struct part){.uid = BOB, .play = use, .expected = expected});
		EXPECT_IS(tenon_region_remove(contract_folder, NAME), 0);
	}
}

static void test_file_size_limit(void)
{
	struct rlimit limit = {64 * PAGE, 64 * PAGE};
	struct tenon_region_options options = {.size = sizeof(options), .bytes = 100 * PAGE};
	struct tenon_region *region, *other = NULL;
	int fd;

	REQUIRE(setrlimit(RLIMIT_FSIZE, &limit) == 0);
	options.max_participants = 4;
	EXPECT_IS(tenon_region_open(contract_folder, NAME, TENON_CREATE, &options, &other), -EFBIG);
	options.bytes = 1;
	options.max_bytes = 100 * PAGE;
	EXPECT_IS(tenon_region_open(contract_folder, NAME, TENON_CREATE, &options, &region), 0);
	REQUIRE(region);
	EXPECT_IS(region_grow(region, 100 * PAGE), -EFBIG);
	EXPECT_IS((int64_t)region_bytes(region), 1);
	EXPECT_IS(region_grow(region, 50 * PAGE), 0);
	limit.rlim_cur = PAGE;
	REQUIRE(setrlimit(RLIMIT_FSIZE, &limit) == 0);
	EXPECT_IS(tenon_region_fd(region, TENON_REGION_SEALED_COPY, &fd), -EFBIG);
	region_map(region, TENON_REGION_WRITE)[0] = 1;
	region = tenon_region_close(region);
}

/* A small file system, filled by growing: an error, and nothing has changed. */
static void test_full(void)
{
	struct tenon_region_options options = {.size = sizeof(options), .bytes = 1 << 21};
	struct tenon_region *region = NULL, *other = NULL;
	uint64_t bytes = 0, memory;
	uint8_t *data;

	if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
	    mount("full", contract_folder, "tmpfs", 0, "size=1m") != 0)
		contract_skip("no mount namespace of one's own");
	EXPECT_IS(tenon_region_open(contract_folder, NAME, TENON_CREATE, &options, &region),
		  -ENOSPC);
	EXPECT_IS(tenon_region_remove(contract_folder, NAME), -ENOENT);
	region = region_make(0, 1 << 30, 0);
	data = region_map(region, TENON_REGION_WRITE);
	EXPECT_IS(region_grow(region, 1 << 30), -ENOSPC);
	EXPECT_IS((int64_t)region_bytes(region), 0);
	memory = region_status(region).memory_bytes;
	EXPECT(memory < 10 * PAGE);
	while (region_grow(region, bytes + 5000) == 0) {
		bytes += 5000;
		memset(data + bytes - 5000, 1, 5000);
	}
	EXPECT(bytes > 500000);
	EXPECT_IS(region_grow(region, bytes + 5000), -ENOSPC);
	EXPECT_IS((int64_t)region_bytes(region), (int64_t)bytes);
	EXPECT(is_all(data, bytes, 1));
	EXPECT_IS(region_seal(region, TENON_REGION_SEAL_GROW), 0);
	options.bytes = PAGE;
	(void)!tenon_region_open(contract_folder, "/other", TENON_CREATE, &options, &other);
	EXPECT(!other);
	region = tenon_region_close(region);
	EXPECT_IS(tenon_region_remove(contract_folder, NAME), 0);
	/* The memory goes with the last one who has it. */
	region = region_make(600000, 0, 0);
	EXPECT_IS(tenon_region_remove(contract_folder, NAME), 0);
	options.bytes = 600000;
	EXPECT_IS(tenon_region_open(contract_folder, NAME, TENON_CREATE, &options, &other),
		  -ENOSPC);
	memset(region_map(region, TENON_REGION_WRITE), 1, 600000);
	region = tenon_region_close(region);
	EXPECT_IS(tenon_region_open(contract_folder, NAME, TENON_CREATE, &options, &other), 0);
	other = tenon_region_close(other);
}

int main(void)
{
	static const struct contract_case cases[] = {
		{"sizes around a page's", test_sizes, NULL},
		{"of nothing", test_nothing, NULL},
		{"names, flags and bad arguments", test_arguments, NULL},
		{"grows, and its address stays", test_grows, NULL},
		{"eight growers at once", test_growers, NULL},
		{"snapshots", test_snapshots, NULL},
		{"mapped for reading it cannot be written", test_read_only, NULL},
		{"sealed", test_seals, NULL},
		{"who is attached, killed or not", test_attached, NULL},
		{"removed while it is mapped", test_removed, NULL},
		{"over fork", test_fork, NULL},
		{"two users and three modes", test_users, NULL},
		{"a limit on the size of files", test_file_size_limit, NULL},
		{"a full file system", test_full, NULL},
	};

	return contract_main(cases, sizeof(cases) / sizeof(cases[0]));
}
