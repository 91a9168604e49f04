/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Shows that a file's memory is taken also beside a timer whose signals come faster than it can be had,
 * with the handler run and the mask as it was; that none is taken beyond RLIMIT_FSIZE; and that files
 * are told apart by their inodes.
 */

#include "core/file.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>

#include "core/test.h"

#define LARGE_BYTES (UINT64_C(64) << 20)
#define EVERY_US 100
/* Ten seconds of them: nothing will come of it any more. */
#define SIGNALS_MOST 100000

static volatile sig_atomic_t signals;

static void on_alarm(int number)
{
	static const char said[] = "interrupted for ever\n";

	(void)number;
	if (++signals > SIGNALS_MOST && write(2, said, sizeof(said) - 1) > 0)
		_exit(1);
}

static void interrupted(void)
{
	struct sigaction action = {.sa_handler = on_alarm};
	struct itimerval timer = {{0, EVERY_US}, {0, EVERY_US}}, none = {{0, 0}, {0, 0}};
	int fd = memfd_create("file_test", MFD_CLOEXEC);
	sigset_t before, after;

	REQUIRE(fd >= 0 && sigaction(SIGALRM, &action, NULL) == 0);
	pthread_sigmask(SIG_BLOCK, NULL, &before);
	setitimer(ITIMER_REAL, &timer, NULL);
	REQUIRE(tni_file_reserve(fd, 0, LARGE_BYTES) == 0);
	setitimer(ITIMER_REAL, &none, NULL);
	pthread_sigmask(SIG_BLOCK, NULL, &after);
	REQUIRE(signals > 0);
	REQUIRE(sigismember(&before, SIGALRM) == 0 && sigismember(&after, SIGALRM) == 0);
	REQUIRE(tni_file_memory(fd) >= LARGE_BYTES);
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
	int directory_fd, fd;

	test_folder_make();
	directory_fd = open(getenv("TENON_NAMESPACE"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	REQUIRE(directory_fd >= 0 && tni_file_make(directory_fd, 0600, &fd) == 0);
	REQUIRE(tni_file_inode(fd, "", &own) == 0);
	REQUIRE(tni_file_inode(directory_fd, "name", &named) == -ENOENT);
	REQUIRE(tni_file_name(fd, directory_fd, "name") == 0);
	REQUIRE(tni_file_inode(directory_fd, "name", &named) == 0 && named == own);
	REQUIRE(tni_file_name(fd, directory_fd, "name") == -EEXIST);
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
