// SPDX-License-Identifier: Apache-2.0
/* Starts the daemon of iceoryx, waits until it says that it is ready, and stops it. */

#include "roudi.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOCK "/tmp/iox-unique-roudi.lock"
#define READY "RouDi is ready for clients"
#define ROUDI_MS 10000

static struct {
	pid_t pid;
	int output;
	bool is_ready;
} roudi = {.pid = 0, .output = -1};

/* Chunks of the sizes that the rows have: more than may be queued and held. */
static int write_configuration(const char *path)
{
	static const struct {
		uint32_t bytes, count;
	} pools[] = {{128, 2048}, {1024, 1024}, {8192, 256}, {65536, 64}, {1u << 20, 24}};
	FILE *file = fopen(path, "we");

	if (!file)
		return -errno;
	fprintf(file, "[general]\nversion = 1\n\n[[segment]]\n");
	for (size_t i = 0; i < sizeof(pools) / sizeof(pools[0]); i++)
		fprintf(file, "\n[[segment.mempool]]\nsize = %u\ncount = %u\n", pools[i].bytes,
			pools[i].count);
	return fclose(file) < 0 ? -errno : 0;
}

static void __attribute__((__noreturn__)) become_roudi(const char *configuration, int output)
{
	sigset_t none;

	prctl(PR_SET_PDEATHSIG, SIGTERM);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setpgid(0, 0);
	dup2(output, STDOUT_FILENO);
	dup2(output, STDERR_FILENO);
	execl(BENCH_ROUDI, BENCH_ROUDI, "-l", "error", "-c", configuration, (char *)NULL);
	_exit(127);
}

/* Reads what the daemon says, until it says `text`, or to the end of it.  -ETIMEDOUT it says nothing; -EIO it ended, or said
 * too much, and not that. */
static int roudi_says(const char *text)
{
	char said[8192] = "";
	size_t length = 0;
	struct pollfd pollfd = {.fd = roudi.output, .events = POLLIN};

	while (length + 1 < sizeof(said)) {
		ssize_t result;

		if (poll(&pollfd, 1, ROUDI_MS) <= 0)
			return -ETIMEDOUT;
		result = read(roudi.output, said + length, sizeof(said) - 1 - length);
		if (result <= 0)
			return text ? -EIO : 0;
		length += (size_t)result;
		said[length] = '\0';
		if (text && strstr(said, text))
			return 0;
	}
	return -EIO;
}

/* Whether none runs: one that does has its lock, also another's. */
static bool nobody_runs(void)
{
	int fd = open(LOCK, O_RDWR | O_CLOEXEC);
	bool is_free;

	if (fd < 0)
		return errno == ENOENT;
	is_free = flock(fd, LOCK_EX | LOCK_NB) == 0;
	close(fd);
	return is_free;
}

/* The daemon aborts at its end when a process that it knows has been killed, and gives up at its start where there is no room
 * in /dev/shm, and leaves its files. */
static void remove_files_of_roudi(void)
{
	static const char *const paths[] = {"/tmp/roudi", "/tmp/roudi.lock", LOCK};
	const struct group *group = getgrgid(getegid());

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		unlink(paths[i]);
	shm_unlink("iceoryx_mgmt");
	if (group)
		shm_unlink(group->gr_name); /* the segment with the chunks */
}

void roudi_stop(void)
{
	int status = 0;

	if (roudi.pid == 0)
		return;
	kill(roudi.pid, SIGTERM);
	if (roudi_says(NULL) != 0)
		kill(roudi.pid, SIGKILL);
	waitpid(roudi.pid, &status, 0);
	/* One that found another one running owns nothing. */
	if ((WIFSIGNALED(status) || !roudi.is_ready) && nobody_runs())
		remove_files_of_roudi();
	close(roudi.output);
	roudi.is_ready = false;
	roudi.pid = 0;
	roudi.output = -1;
}

int roudi_start(const char *folder)
{
	char path[128];
	int fds[2], result;
	pid_t pid;

	if (roudi.pid > 0)
		return 0;
	snprintf(path, sizeof(path), "%s/roudi.toml", folder);
	result = write_configuration(path);
	if (result < 0 || pipe2(fds, O_CLOEXEC) < 0)
		return result < 0 ? result : -errno;
	pid = fork();
	if (pid == 0)
		become_roudi(path, fds[1]);
	close(fds[1]);
	if (pid < 0) {
		close(fds[0]);
		return -EAGAIN;
	}
	roudi.pid = pid;
	roudi.output = fds[0];
	result = roudi_says(READY);
	roudi.is_ready = result == 0;
	if (roudi.is_ready)
		return 0;
	roudi_stop();
	return nobody_runs() ? result : -EBUSY;
}
