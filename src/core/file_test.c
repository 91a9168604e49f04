/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Shows that a file's memory is taken also beside a timer whose signals come faster than it can be had;
 * that none is taken beyond RLIMIT_FSIZE; and that files are told apart by their inodes.
 */

#include "core/file.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "core/test.h"

#define BYTES (UINT64_C(1) << 20)
/* So often an interrupted call is made again: it will not do anything else any more. */
#define INTERRUPTIONS_MOST 100

static bool is_interrupting;
static uint32_t interruptions;

/* In the place of the system's: beside a timer that is fast enough, older kernels interrupt it whenever
 * a signal can come. */
int fallocate(int fd, int mode, off_t offset, off_t bytes)
{
	sigset_t mask;

	pthread_sigmask(SIG_BLOCK, NULL, &mask);
	if (is_interrupting && !sigismember(&mask, SIGALRM)) {
		REQUIRE(++interruptions < INTERRUPTIONS_MOST);
		errno = EINTR;
		return -1;
	}
	return (int)syscall(SYS_fallocate, fd, mode, offset, bytes);
}

static void interrupted(void)
{
	int fd = memfd_create("file_test", MFD_CLOEXEC);
	sigset_t mask;

	REQUIRE(fd >= 0);
	is_interrupting = true;
	REQUIRE(tni_file_reserve(fd, 0, BYTES) == 0);
	is_interrupting = false;
	REQUIRE(interruptions > 0);
	pthread_sigmask(SIG_BLOCK, NULL, &mask);
	REQUIRE(sigismember(&mask, SIGALRM) == 0);
	REQUIRE(tni_file_memory(fd) >= BYTES);
	close(fd);
}

static void limited(void)
{
	struct rlimit before, limit;
	int fd = memfd_create("file_test", MFD_CLOEXEC);

	REQUIRE(fd >= 0 && getrlimit(RLIMIT_FSIZE, &before) == 0);
	limit = before;
	limit.rlim_cur = 8192;
	REQUIRE(setrlimit(RLIMIT_FSIZE, &limit) == 0);
	REQUIRE(tni_file_reserve(fd, 0, 8192) == 0);
	REQUIRE(tni_file_reserve(fd, 8192, 1) == -EFBIG);
	REQUIRE(setrlimit(RLIMIT_FSIZE, &before) == 0);
	REQUIRE(tni_file_reserve(fd, 8192, 1) == 0);
	close(fd);
}

static void named_once(void)
{
	uint64_t own, named;
	int directory_fd, fd, other;

	test_folder_make();
	directory_fd = open(getenv("TENON_NAMESPACE"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	REQUIRE(directory_fd >= 0 && tni_file_make(directory_fd, 0600, &fd) == 0);
	REQUIRE(tni_file_inode(fd, "", &own) == 0);
	REQUIRE(tni_file_inode(directory_fd, "name", &named) == -ENOENT);
	REQUIRE(tni_file_name(fd, directory_fd, "name") == 0);
	REQUIRE(tni_file_inode(directory_fd, "name", &named) == 0 && named == own);
	REQUIRE(tni_file_name(fd, directory_fd, "name") == -EEXIST);
	REQUIRE(tni_file_make(directory_fd, 0600, &other) == 0);
	REQUIRE(tni_file_inode(other, "", &named) == 0 && named != own);
	close(other);
	close(fd);
	close(directory_fd);
}

int main(void)
{
	interrupted();
	limited();
	named_once();
	return 0;
}
