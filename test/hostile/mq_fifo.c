/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The FIFO beside a message queue, by which its descriptors are polled, in the hands of a stranger: who fills it, drains
 * it, makes it narrow, removes it or puts something else in its place has others see the wrong readiness, or errors that
 * the header names when they open the queue.  Messages come and go as ever, and nothing is written to what is there
 * instead.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tenon/posix.h>

#include "../crash/folder.h"
#include "core/clock.h"
#include "mq_calls.h"
#include "patience.h"
#include "scribbled.h"

#define PATIENCE_S 60u
#define MELEE_NS TNI_SECOND_NS
#define WIDE_BYTES (1024 * 1024)
#define NARROW_BYTES 4096
#define WRITES_MOST 5000u

static char folder[FOLDER_BYTES];

/* Finds the FIFO; false: there is none. */
static bool find_fifo(char path[PATH_MAX])
{
	DIR *directory = opendir(folder);
	const struct dirent *entry;
	bool found = false;

	if (!directory)
		_exit(IMPOSSIBLE);
	while (!found && (entry = readdir(directory)) != NULL) {
		size_t bytes = strlen(entry->d_name);

		found = strncmp(entry->d_name, ".q.", 3) == 0 &&
			strcmp(entry->d_name + bytes - 2, ".m") == 0;
		if (found)
			snprintf(path, PATH_MAX, "%s/%s", folder, entry->d_name);
	}
	closedir(directory);
	return found;
}

/* What a stranger does; a descriptor that he keeps, or a negative number. */

static int fill(const char *path, int flags)
{
	int fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC | flags);

	if (fd < 0)
		return fd;
	(void)!fcntl(fd, F_SETPIPE_SZ, WIDE_BYTES);
	for (uint32_t i = 0; i < WRITES_MOST && write(fd, "bytes", 5) == 5; i++)
		;
	return fd;
}

static int fill_with_bytes(const char *path)
{
	return fill(path, 0);
}

static int fill_with_packets(const char *path)
{
	return fill(path, O_DIRECT);
}

static int drain(const char *path)
{
	int fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	char bytes[64];

	if (fd < 0)
		return fd;
	for (uint32_t i = 0; i < WRITES_MOST && read(fd, bytes, sizeof(bytes)) > 0; i++)
		;
	return fd;
}

static int make_narrow(const char *path)
{
	int fd = drain(path);

	if (fd >= 0)
		(void)!fcntl(fd, F_SETPIPE_SZ, NARROW_BYTES);
	return fd;
}

/* Removes it, or what another attack has put there. */
static int take_away(const char *path)
{
	if (unlink(path) != 0 && errno == EISDIR)
		(void)!rmdir(path);
	return -1;
}

static int put_file(const char *path)
{
	take_away(path);
	return open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
}

static int put_folder(const char *path)
{
	take_away(path);
	(void)!mkdir(path, 0777);
	return -1;
}

static int put_link_to_nothing(const char *path)
{
	take_away(path);
	(void)!symlink("nothing", path);
	return -1;
}

static int put_link_to_itself(const char *path)
{
	take_away(path);
	(void)!symlink(path, path);
	return -1;
}

static int put_other(const char *path, mode_t mode, dev_t device)
{
	take_away(path);
	(void)!mknod(path, mode, device);
	return -1;
}

static int put_socket(const char *path)
{
	return put_other(path, S_IFSOCK | 0666, 0);
}

static int put_fifo(const char *path)
{
	return put_other(path, S_IFIFO | 0666, 0);
}

static int put_closed_fifo(const char *path)
{
	return put_other(path, S_IFIFO, 0);
}

/* One that no driver has, where that is allowed. */
static int put_device(const char *path)
{
	return put_other(path, S_IFCHR | 0666, (dev_t)0xfffff);
}

/* One that is somebody's who takes it when it is opened: opening it may not wait. */
static int put_leased_file(const char *path)
{
	int fd;

	take_away(path);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	signal(SIGIO, SIG_IGN);
	if (fd >= 0)
		(void)!fcntl(fd, F_SETLEASE, F_WRLCK);
	return fd;
}

static const struct attack {
	const char *name;
	int (*attack)(const char *path);
} attacks[] = {
	{"filled with bytes", fill_with_bytes},
	{"filled with packets", fill_with_packets},
	{"drained", drain},
	{"made narrow", make_narrow},
	{"removed", take_away},
	{"a file", put_file},
	{"a file with a lease", put_leased_file},
	{"a folder", put_folder},
	{"a link to nothing", put_link_to_nothing},
	{"a link to itself", put_link_to_itself},
	{"a socket", put_socket},
	{"another FIFO", put_fifo},
	{"a FIFO that nobody may open", put_closed_fifo},
	{"a device", put_device},
};
#define ATTACKS (sizeof(attacks) / sizeof(attacks[0]))

static void wrong(const char *what, long figure)
{
	fprintf(stderr, "%s: %ld\n", what, figure);
	_exit(UNDOCUMENTED);
}

/* -1: it cannot be opened, which the header says. */
static int try_open(int oflag)
{
	static const int named[] = {-EACCES, -EINVAL,  -EMFILE, -ENFILE, -ENOENT, -ENOSPC,
				    -EFBIG,  -EBADMSG, -EUSERS, -EPROTO, -EPERM};
	int fd = mq_calls_open(oflag);

	for (uint32_t i = 0; fd < 0 && i < sizeof(named) / sizeof(named[0]); i++)
		if (fd == named[i])
			return -1;
	if (fd < 0)
		wrong("opened", fd);
	return fd;
}

/* What is sent is received, whatever the descriptor says. */
static void check_messages(mqd_t queue)
{
	char message[MQ_CALLS_MESSAGE_BYTES];
	unsigned priority = 0;
	long bytes;

	if (tenon_mq_send(queue, "hello", 5, 2) != 0)
		wrong("sent", -errno);
	bytes = tenon_mq_receive(queue, message, sizeof(message), &priority);
	if (bytes != 5 || memcmp(message, "hello", 5) != 0 || priority != 2)
		wrong("received", bytes < 0 ? -errno : bytes);
}

/* Where nobody else uses it. */
static void use(mqd_t queue)
{
	mq_calls_all(queue);
	check_messages(queue);
}

/* That is there in its place: it is as it was. */
static void check_file(int fd)
{
	struct stat status;

	if (fd >= 0 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_size != 0)
		wrong("written to a stranger's file", (long)status.st_size);
}

static void remove_queue(void)
{
	if (tenon_mq_unlink(MQ_CALLS_NAME) != 0)
		wrong("removed", -errno);
}

/* It is there, and open or not, when the stranger comes. */
static void suffer(const struct attack *attack, bool is_open)
{
	char path[PATH_MAX];
	int first, kept, second;

	if (mq_calls_make() != 0)
		_exit(IMPOSSIBLE);
	first = mq_calls_open(O_RDWR);
	if (first < 0 || !find_fifo(path))
		_exit(IMPOSSIBLE);
	if (!is_open)
		mq_calls_close((mqd_t)first);
	kept = attack->attack(path);
	if (is_open)
		use((mqd_t)first);
	second = try_open(O_RDWR);
	if (second >= 0) {
		use((mqd_t)second);
		mq_calls_close((mqd_t)second);
	}
	if (is_open) {
		use((mqd_t)first);
		mq_calls_close((mqd_t)first);
	}
	check_file(kept);
	if (kept >= 0)
		close(kept);
	remove_queue();
}

static void suffer_open(const void *context)
{
	suffer(context, true);
	_exit(0);
}

static void suffer_closed(const void *context)
{
	suffer(context, false);
	_exit(0);
}

/* All of it, again and again, until it is ended. */
static void attack_for_ever(void)
{
	char path[PATH_MAX];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (uint32_t i = 0;; i++)
		if (find_fifo(path)) {
			int fd = attacks[i % ATTACKS].attack(path);

			if (fd >= 0)
				close(fd);
		}
}

static void melee(const void *context)
{
	int64_t end_ns = tni_clock_ns(CLOCK_MONOTONIC) + MELEE_NS;
	pid_t stranger = fork();
	uint32_t uses = 0;

	(void)context;
	if (stranger == 0)
		attack_for_ever();
	/* Once at least, however slow it is. */
	while (uses == 0 || tni_clock_ns(CLOCK_MONOTONIC) < end_ns) {
		int fd;

		if (mq_calls_make() != 0)
			_exit(IMPOSSIBLE);
		fd = try_open(O_RDWR);
		if (fd >= 0) {
			use((mqd_t)fd);
			mq_calls_close((mqd_t)fd);
			uses++;
		}
		remove_queue();
	}
	kill(stranger, SIGKILL);
	waitpid(stranger, NULL, 0);
	_exit(0);
}

static uint32_t number, failed;

/* What a victim left that was ended. */
static void clean_up(void)
{
	char path[PATH_MAX];

	(void)!tenon_mq_unlink(MQ_CALLS_NAME);
	while (find_fifo(path))
		take_away(path);
}

static void tell(const char *what, const char *when, int status)
{
	printf("%sok %u - %s%s\n", status == 0 ? "" : "not ", ++number, what, when);
	if (status != 0)
		printf("# status %x\n", (unsigned)status);
	failed += status != 0;
	clean_up();
}

int main(void)
{
	if (folder_make(folder) != 0)
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (uint32_t i = 0; i < ATTACKS; i++) {
		tell(attacks[i].name, ", the queue is open",
		     patience_run(suffer_open, &attacks[i], PATIENCE_S));
		tell(attacks[i].name, ", nobody has the queue open",
		     patience_run(suffer_closed, &attacks[i], PATIENCE_S));
	}
	tell("all of it", " meanwhile", patience_run(melee, NULL, PATIENCE_S));
	printf("1..%u\n", number);
	folder_remove(folder);
	return failed > 0;
}
