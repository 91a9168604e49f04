/* SPDX-License-Identifier: Apache-2.0 */

/* Regions that are sent as descriptors, to who may open the file and who may not, and sealed
 * copies. */

#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "region.h"
#include "users.h"

static int fd_of(struct tenon_region *region, uint32_t access)
{
	int fd = -1;

	EXPECT_IS(tenon_region_fd(region, access, &fd), 0);
	REQUIRE(fd >= 0);
	EXPECT(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	return fd;
}

static struct tenon_region *from_fd(int fd)
{
	struct tenon_region *region = NULL;

	EXPECT_IS(tenon_region_from_fd(fd, 0, &region), 0);
	REQUIRE(region);
	return region;
}

static void send_fd(int end, int fd)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {.head = {CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
	struct iovec byte = {"x", 1};
	struct msghdr message = {.msg_iov = &byte,
				 .msg_iovlen = 1,
				 .msg_control = &control,
				 .msg_controllen = sizeof(control)};

	memcpy(CMSG_DATA(&control.head), &fd, sizeof(fd));
	EXPECT_IS(sendmsg(end, &message, 0), 1);
}

static int receive_fd(int end)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	char text;
	struct iovec byte = {&text, 1};
	struct msghdr message = {.msg_iov = &byte,
				 .msg_iovlen = 1,
				 .msg_control = &control,
				 .msg_controllen = sizeof(control)};
	int fd = -1;

	EXPECT_IS(recvmsg(end, &message, MSG_CMSG_CLOEXEC), 1);
	REQUIRE(message.msg_controllen != 0 && control.head.cmsg_len == CMSG_LEN(sizeof(int)));
	memcpy(&fd, CMSG_DATA(&control.head), sizeof(fd));
	return fd;
}

static int ends[2];

static void receive_and_write(void *context)
{
	struct tenon_region *region = from_fd(receive_fd(ends[1]));
	struct tenon_region_status status = region_status(region);

	(void)context;
	EXPECT_IS(status.attached, 1);
	EXPECT_IS(status.participants, 2);
	EXPECT_IS(region_grow(region, 2 * PAGE), 0);
	region_map(region, TENON_REGION_WRITE)[2 * PAGE - 1] = 7;
	region = tenon_region_close(region);
}

static void test_for_writing(void)
{
	struct tenon_region *region = region_make(PAGE, 4 * PAGE, 0);
	int fd = fd_of(region, TENON_REGION_WRITE);
	pid_t child;

	EXPECT_IS(tenon_region_remove(contract_folder, NAME), 0);
	REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
	child = contract_start(receive_and_write, NULL);
	send_fd(ends[0], fd);
	contract_await(child);
	EXPECT_IS((int64_t)region_bytes(region), 2 * PAGE);
	EXPECT_IS(region_map(region, TENON_REGION_READ)[2 * PAGE - 1], 7);
	close(fd);
	region = tenon_region_close(region);
}

static int visit_none(const struct tenon_region_user *user, void *context)
{
	(void)user;
	(void)context;
	return 1;
}

/* What who has a descriptor only may and may not. */
static void expect_guest(struct tenon_region *region, bool may_write)
{
	struct tenon_region_status status = region_status(region);
	void *address = NULL;
	uint64_t bytes;
	int fd = -1;

	EXPECT_IS(status.attached, 0);
	EXPECT_IS((int64_t)status.bytes, PAGE);
	EXPECT_IS((int64_t)status.max_bytes, 4 * PAGE);
	EXPECT_IS(region_map(region, TENON_REGION_READ)[1], 5);
	EXPECT_IS(tenon_region_map(region, TENON_REGION_WRITE, &address, NULL),
		  may_write ? 0 : -EACCES);
	EXPECT_IS(region_grow(region, PAGE), 0);
	EXPECT_IS(region_grow(region, PAGE + 1), -EACCES);
	EXPECT_IS(region_seal(region, TENON_REGION_SEAL_GROW), -EACCES);
	EXPECT_IS(tenon_region_attached(region, visit_none, NULL), -EACCES);
	EXPECT_IS(tenon_region_fd(region, TENON_REGION_WRITE, &fd), may_write ? 0 : -EACCES);
	for (uint32_t flags = 0; flags < 2; flags++) {
		EXPECT_IS(tenon_region_snapshot(region, flags, &address, &bytes), 0);
		EXPECT_IS((int64_t)bytes, PAGE);
		EXPECT_IS(((uint8_t *)address)[1], 5);
		((uint8_t *)address)[1] = 9;
	}
	EXPECT_IS(region_map(region, TENON_REGION_READ)[1], 5);
}

static void test_for_reading(void)
{
	struct tenon_region *region = region_make(PAGE, 4 * PAGE, 0), *guest, *second;
	int fd = fd_of(region, TENON_REGION_READ), other;

	region_map(region, TENON_REGION_WRITE)[1] = 5;
	EXPECT(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED);
	guest = from_fd(fd);
	expect_guest(guest, false);
	other = fd_of(guest, TENON_REGION_READ);
	second = from_fd(other);
	expect_guest(second, false);
	EXPECT_IS(region_status(region).participants, 1);
	EXPECT_IS(region_grow(region, 3 * PAGE), 0);
	region_map(region, TENON_REGION_WRITE)[3 * PAGE - 1] = 6;
	EXPECT_IS((int64_t)region_bytes(guest), 3 * PAGE);
	EXPECT_IS(region_map(guest, TENON_REGION_READ)[3 * PAGE - 1], 6);
	close(fd);
	close(other);
	second = tenon_region_close(second);
	guest = tenon_region_close(guest);
	region = tenon_region_close(region);
}

/* Inherited by one whom the mode does not admit. */
static int passed[2];

static void use_passed(const struct part *part)
{
	struct tenon_region *region = NULL;

	(void)part;
	EXPECT_IS(tenon_region_open(contract_folder, NAME, 0, NULL, &region), -EACCES);
	region = from_fd(passed[0]);
	expect_guest(region, false);
	region = tenon_region_close(region);
	region = from_fd(passed[1]);
	expect_guest(region, true);
	region_map(region, TENON_REGION_WRITE)[2] = 3;
	region = tenon_region_close(region);
}

static void refuse_passed(const struct part *part)
{
	struct tenon_region *region = from_fd(passed[1]);
	void *address = NULL;

	(void)part;
	EXPECT_IS(tenon_region_map(region, TENON_REGION_WRITE, &address, NULL), -EPERM);
	region = tenon_region_close(region);
}

static void test_a_stranger(void)
{
	struct tenon_region *region;
	uint8_t *data;

	users_begin();
	region = region_make(PAGE, 4 * PAGE, 0);
	data = region_map(region, TENON_REGION_WRITE);
	data[1] = 5;
	passed[0] = fd_of(region, TENON_REGION_READ);
	passed[1] = fd_of(region, TENON_REGION_WRITE);
	users_act((struct part){.uid = ANN, .play = use_passed});
	EXPECT_IS(data[2], 3);
	EXPECT_IS(tenon_region_unmap(region, data), 0);
	EXPECT_IS(region_seal(region, TENON_REGION_SEAL_WRITE), 0);
	users_act((struct part){.uid = ANN, .play = refuse_passed});
	region = tenon_region_close(region);
}

static void test_sealed_copies(void)
{
	static const uint64_t sizes[] = {0, 1, PAGE - 1, PAGE, PAGE + 1, 300000};

	for (uint32_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct tenon_region *region = region_make(sizes[i], 1 << 20, 0), *copy;
		uint8_t *data = region_map(region, TENON_REGION_WRITE);
		void *address = NULL;
		uint64_t bytes = 0;
		struct stat status;
		int fd;

		memset(data, 4, sizes[i]);
		fd = fd_of(region, TENON_REGION_SEALED_COPY);
		memset(data, 5, sizes[i]);
		EXPECT(fstat(fd, &status) == 0 && (uint64_t)status.st_size == sizes[i]);
		EXPECT(write(fd, "x", 1) < 0 && (ftruncate(fd, 0) < 0) == (sizes[i] > 0));
		EXPECT(ftruncate(fd, 1 << 20) < 0);
		EXPECT(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED);
		copy = from_fd(fd);
		close(fd);
		EXPECT_IS((int64_t)region_bytes(copy), (int64_t)sizes[i]);
		EXPECT_IS(region_status(copy).seals,
			  TENON_REGION_SEAL_GROW | TENON_REGION_SEAL_WRITE);
		if (sizes[i] > 0) {
			data = region_map(copy, TENON_REGION_READ);
			EXPECT(data[0] == 4 && data[sizes[i] - 1] == 4);
		}
		EXPECT_IS(tenon_region_map(copy, TENON_REGION_WRITE, &address, NULL), -EPERM);
		EXPECT_IS(region_grow(copy, sizes[i] + 1), -EPERM);
		EXPECT_IS(region_seal(copy, TENON_REGION_SEAL_WRITE), 0);
		for (uint32_t flags = 0; flags < 2; flags++) {
			EXPECT_IS(tenon_region_snapshot(copy, flags, &address, &bytes), 0);
			EXPECT_IS((int64_t)bytes, (int64_t)sizes[i]);
			if (sizes[i] > 0)
				((uint8_t *)address)[0]++;
		}
		fd = fd_of(copy, TENON_REGION_SEALED_COPY);
		close(fd);
		EXPECT_IS(tenon_region_fd(copy, TENON_REGION_WRITE, &fd), -EPERM);
		copy = tenon_region_close(copy);
		region = tenon_region_close(region);
		EXPECT_IS(tenon_region_remove(contract_folder, NAME), 0);
	}
}

static int answer_to(int fd)
{
	struct tenon_region *region = NULL;
	int result = tenon_region_from_fd(fd, 0, &region);

	EXPECT((result == 0) == (region != NULL));
	region = tenon_region_close(region);
	if (fd >= 0)
		close(fd);
	return result;
}

static int memory_file(uint64_t bytes, int seals)
{
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	REQUIRE(fd >= 0 && ftruncate(fd, (off_t)bytes) == 0);
	if (seals)
		REQUIRE(fcntl(fd, F_ADD_SEALS, seals) == 0);
	return fd;
}

/* The region's file, word for word, where reading may wait for a disk. */
static int copy_on_disk(void)
{
	char path[] = "/var/tmp/tenon-region-XXXXXX", data[PAGE];
	int fd = mkstemp(path), own = open(region_path(), O_RDONLY | O_CLOEXEC);
	struct statfs system;
	ssize_t got;

	REQUIRE(own >= 0);
	if (fd >= 0)
		unlink(path);
	if (fd < 0 || fstatfs(fd, &system) != 0 || system.f_type == TMPFS_MAGIC)
		return open("/dev/zero", O_RDWR | O_CLOEXEC);
	while ((got = read(own, data, sizeof(data))) > 0)
		REQUIRE(write(fd, data, (size_t)got) == got);
	close(own);
	return fd;
}

static void test_others(void)
{
	int all = F_SEAL_SEAL | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_WRITE, pipes[2];
	struct tenon_queue *queue = contract_create(NAME, NULL);
	struct tenon_region *region = region_make(PAGE, 0, 0);
	char path[512];

	REQUIRE(pipe(pipes) == 0);
	snprintf(path, sizeof(path), "%s/q.%s", contract_folder, &NAME[1]);
	EXPECT_IS(answer_to(-1), -EBADF);
	EXPECT_IS(answer_to(pipes[0]), -EBADMSG);
	EXPECT_IS(answer_to(pipes[1]), -EBADF);
	EXPECT_IS(answer_to(open("/", O_RDONLY)), -EBADMSG);
	EXPECT_IS(answer_to(open("/dev/zero", O_RDWR)), -EBADMSG);
	EXPECT_IS(answer_to(open("/proc/self/exe", O_RDONLY)), -EBADMSG);
	EXPECT_IS(answer_to(copy_on_disk()), -EBADMSG);
	EXPECT_IS(answer_to(open(region_path(), O_PATH)), -EBADF);
	EXPECT_IS(answer_to(open(region_path(), O_WRONLY)), -EBADF);
	EXPECT_IS(answer_to(open(region_path(), O_RDWR)), 0);
	EXPECT_IS(answer_to(open(region_path(), O_RDONLY)), 0);
	EXPECT_IS(answer_to(open(path, O_RDWR)), -EBADMSG);
	EXPECT_IS(answer_to(memory_file(0, 0)), -EBADMSG);
	EXPECT_IS(answer_to(memory_file(PAGE, 0)), -EBADMSG);
	EXPECT_IS(answer_to(memory_file(0, all)), 0);
	/* Not all of its seals; and of memory that is not there. */
	EXPECT_IS(answer_to(memory_file(0, all & ~F_SEAL_SHRINK)), -EBADMSG);
	EXPECT_IS(answer_to(memory_file(PAGE, all)), -EBADMSG);
	EXPECT_IS(answer_to(memory_file(UINT64_C(1) << 44, all)), -EBADMSG);
	EXPECT_IS(tenon_region_from_fd(0, 1, &region), -EINVAL);
	EXPECT_IS(tenon_region_from_fd(0, 0, NULL), -EINVAL);
	EXPECT(truncate(region_path(), 100) == 0);
	EXPECT_IS(answer_to(open(region_path(), O_RDONLY)), -EBADMSG);
	queue = tenon_queue_close(queue);
}

/* Its sender has a lease on the file: opening it would wait until the lease is broken, 45 seconds. */
static void test_lease(void)
{
	struct tenon_region *region = region_make(PAGE, 0, 0);
	int fd;

	region = tenon_region_close(region);
	signal(SIGIO, SIG_IGN);
	fd = open(region_path(), O_RDWR | O_CLOEXEC);
	REQUIRE(fd >= 0);
	if (fcntl(fd, F_SETLEASE, F_WRLCK) != 0)
		contract_skip("no leases here");
	region = from_fd(fd);
	EXPECT_IS(region_status(region).attached, 0);
	region = tenon_region_close(region);
	close(fd);
}

int main(void)
{
	static const struct contract_case cases[] = {
		{"for writing, of a removed region", test_for_writing, NULL},
		{"for reading", test_for_reading, NULL},
		{"to somebody whom the mode does not admit", test_a_stranger, NULL},
		{"sealed copies", test_sealed_copies, NULL},
		{"descriptors of anything else", test_others, NULL},
		{"of a file with a lease", test_lease, NULL},
	};

	return contract_main(cases, sizeof(cases) / sizeof(cases[0]));
}
