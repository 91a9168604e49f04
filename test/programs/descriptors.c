/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What Linux lets one do with the descriptor of a message queue besides mq_…: prints an answer a line.
 * alike_test.py runs it with the kernel's queues and with Tenon's, and compares.
 *
 *	descriptors NAME
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <mqueue.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *name;

#define SAY(call)                                                   \
	do {                                                        \
		errno = 0;                                          \
		long answer_ = (long)(call);                        \
		printf("%d %s: %ld %s\n", __LINE__, #call, answer_, \
		       answer_ < 0 ? strerrorname_np(errno) : "");  \
	} while (0)

static mqd_t open_queue(int flags)
{
	struct mq_attr attributes = {.mq_maxmsg = 4, .mq_msgsize = 64};
	mqd_t queue = mq_open(name, flags | O_CREAT, 0640, &attributes);

	if (queue < 0) {
		perror("mq_open");
		exit(1);
	}
	return queue;
}

static int flags_of(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	/* The kernel knows of this one nothing, and some libcs set it. */
	return flags < 0 ? flags : flags & ~O_LARGEFILE;
}

static void flags(void)
{
	mqd_t both = open_queue(O_RDWR), reader = open_queue(O_RDONLY | O_NONBLOCK),
	      writer = open_queue(O_WRONLY);
	struct mq_attr attributes;

	SAY(flags_of(both));
	SAY(flags_of(reader));
	SAY(flags_of(writer));
	SAY(fcntl(both, F_GETFD));
	SAY(fcntl(both, F_SETFL, O_NONBLOCK));
	SAY(flags_of(both));
	SAY(mq_getattr(both, &attributes));
	SAY(attributes.mq_flags);
	SAY(mq_getattr(writer, &attributes));
	SAY(attributes.mq_flags);
	SAY(fcntl(both, F_SETFL, O_DIRECT));
	SAY(fcntl(both, F_SETFL, O_RDONLY));
	SAY(flags_of(both));
	attributes.mq_flags = O_NONBLOCK;
	SAY(mq_setattr(both, &attributes, NULL));
	SAY(flags_of(both));
	SAY(syscall(SYS_fcntl, both, F_GETFL) & ~O_LARGEFILE);
	SAY(fcntl(writer, F_SETFL, O_NONBLOCK));
	SAY(mq_send(writer, "x", 1, 0));
	SAY(mq_receive(writer, (char[64]){0}, 64, NULL));
	SAY(mq_send(reader, "x", 1, 0));
	SAY(mq_receive(reader, (char[64]){0}, 64, NULL));
	SAY(mq_receive(reader, (char[64]){0}, 64, NULL));
	mq_close(both);
	mq_close(reader);
	mq_close(writer);
}

static void say_text(const char *what, ssize_t bytes, const char *text)
{
	printf("%s: %zd [%.*s]\n", what, bytes, bytes > 0 ? (int)bytes : 0, text);
}

static void file(void)
{
	mqd_t both = open_queue(O_RDWR), reader = open_queue(O_RDONLY),
	      writer = open_queue(O_WRONLY);
	char text[200] = "", more[10] = "";
	struct iovec parts[2] = {{text, 7}, {more, 5}};

	SAY(mq_send(both, "hello", 5, 3));
	say_text("read", read(both, text, sizeof(text)), text);
	SAY(read(both, text, sizeof(text)));
	SAY(lseek(both, 6, SEEK_SET));
	say_text("read", read(both, text, 5), text);
	SAY(lseek(both, 0, SEEK_CUR));
	SAY(lseek(both, -5, SEEK_CUR));
	SAY(lseek(both, -50, SEEK_CUR));
	SAY(lseek(both, -10, SEEK_END));
	SAY(lseek(both, 20, SEEK_DATA));
	SAY(lseek(both, 20, SEEK_HOLE));
	SAY(lseek(both, 80, SEEK_HOLE));
	SAY(lseek(both, 0, 77));
	SAY(syscall(SYS_lseek, both, 3, SEEK_SET));
	SAY(readv(both, parts, 2));
	say_text("readv", 5, more);
	say_text("pread", pread(both, text, sizeof(text), 0), text);
	say_text("pread", pread(both, text, 4, 30), text);
	SAY(pread(both, text, 4, -1));
	say_text("syscall", syscall(SYS_pread64, reader, text, sizeof(text), 0L), text);
	SAY(read(writer, text, sizeof(text)));
	SAY(write(both, "x", 1));
	SAY(write(reader, "x", 1));
	SAY(write(writer, "x", 1));
	SAY(writev(both, parts, 2));
	SAY(writev(reader, parts, 2));
	SAY(pwrite(both, "x", 1, 0));
	SAY(pwrite(reader, "x", 1, 0));
	SAY(pwrite(both, "x", 1, -1));
	SAY(isatty(both));
	SAY(fsync(both));
	SAY(mq_receive(both, text, sizeof(text), NULL));
	say_text("pread", pread(both, text, sizeof(text), 0), text);
	mq_close(both);
	mq_close(reader);
	mq_close(writer);
}

static void say_status(const char *what, int result, const struct stat *status)
{
	printf("%s: %d %o %u %u %ld %ld %d\n", what, result, status->st_mode, status->st_uid,
	       status->st_gid, (long)status->st_size, (long)status->st_nlink, (int)status->st_rdev);
}

static void status(void)
{
	mqd_t both = open_queue(O_RDWR), other = open_queue(O_RDONLY);
	struct stat one, two;
	struct statx more;

	say_status("fstat", fstat(both, &one), &one);
	say_status("syscall", (int)syscall(SYS_fstat, other, &two), &two);
	SAY(statx(both, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &more));
	printf("statx: %o %u %u %ld\n", more.stx_mode, more.stx_uid, more.stx_gid,
	       (long)more.stx_size);
	printf("same file: %d\n", one.st_dev == two.st_dev && one.st_ino == two.st_ino);
	mq_close(both);
	mq_close(other);
}

static int polled(int fd)
{
	struct pollfd entry = {.fd = fd, .events = POLLIN | POLLOUT};

	return poll(&entry, 1, 0) < 0 ? -1 : entry.revents;
}

static int selected(int fd)
{
	fd_set readable, writable;
	struct timeval none = {0, 0};

	FD_ZERO(&readable);
	FD_ZERO(&writable);
	FD_SET(fd, &readable);
	FD_SET(fd, &writable);
	if (select(fd + 1, &readable, &writable, NULL, &none) < 0)
		return -1;
	return !!FD_ISSET(fd, &readable) + 2 * !!FD_ISSET(fd, &writable);
}

static void polls(void)
{
	mqd_t both = open_queue(O_RDWR), reader = open_queue(O_RDONLY);
	int set = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event event = {.events = EPOLLIN | EPOLLOUT};

	SAY(epoll_ctl(set, EPOLL_CTL_ADD, both, &event));
	SAY(epoll_ctl(set, EPOLL_CTL_ADD, both, &event));
	for (int i = 0; i <= 4; i++) {
		struct pollfd entry = {.fd = both, .events = POLLIN | POLLOUT};

		printf("%d messages\n", i);
		SAY(polled(both));
		SAY(polled(reader));
		SAY(selected(both));
		SAY(syscall(SYS_ppoll, &entry, 1, &(struct timespec){0, 0}, NULL, 8));
		SAY(entry.revents);
		event.events = 0;
		SAY(epoll_wait(set, &event, 1, 0));
		SAY(event.events);
		if (i < 4)
			SAY(mq_send(both, "x", 1, 0));
	}
	while (mq_receive(both, (char[64]){0}, 64, NULL) >= 0 && polled(both) & POLLIN)
		;
	SAY(polled(both));
	close(set);
	mq_close(both);
	mq_close(reader);
}

static void copies(void)
{
	mqd_t queue = open_queue(O_RDWR | O_NONBLOCK);
	int copy = dup(queue), other, high;
	char text[64];

	SAY(copy >= 0);
	SAY(mq_send(copy, "one", 3, 0));
	SAY(fcntl(copy, F_SETFL, 0));
	SAY(flags_of(queue));
	SAY(fcntl(copy, F_SETFL, O_NONBLOCK));
	SAY(close(queue));
	SAY(mq_receive(queue, text, sizeof(text), NULL));
	SAY(mq_receive(copy, text, sizeof(text), NULL));
	other = open("/dev/null", O_RDONLY);
	SAY(dup2(copy, other) == other);
	SAY(mq_send(other, "two", 3, 0));
	SAY(dup2(-1, other));
	SAY(mq_receive(other, text, sizeof(text), NULL));
	SAY(dup3(copy, copy, 0));
	SAY(dup2(copy, copy) == copy);
	SAY(dup3(copy, 100, O_CLOEXEC));
	SAY(fcntl(100, F_GETFD));
	SAY(fcntl(copy, F_GETFD));
	high = fcntl(copy, F_DUPFD_CLOEXEC, 200);
	SAY(high);
	SAY(mq_send(high, "three", 5, 0));
	SAY(mq_receive(100, text, sizeof(text), NULL));
	/* Something else takes the number. */
	SAY(dup2(open("/dev/zero", O_RDONLY), copy) == copy);
	SAY(mq_send(copy, "x", 1, 0));
	SAY(read(copy, text, 4));
	SAY(close_range(100, 300, CLOSE_RANGE_CLOEXEC));
	SAY(fcntl(high, F_GETFD));
	SAY(mq_send(high, "four", 4, 0));
	SAY(close_range(100, 199, 0));
	SAY(mq_send(100, "x", 1, 0));
	SAY(mq_send(high, "five", 4, 0));
	SAY(close(other));
	SAY(close(other));
	closefrom(3);
	SAY(mq_send(high, "x", 1, 0));
	SAY(fcntl(high, F_GETFD));
	queue = open_queue(O_RDWR | O_NONBLOCK);
	SAY(mq_receive(queue, text, sizeof(text), NULL));
	SAY(mq_receive(queue, text, sizeof(text), NULL));
	SAY(mq_receive(queue, text, sizeof(text), NULL));
	SAY(syscall(SYS_close, queue));
	SAY(mq_close(queue));
}

/* As daemons do. */
static void closed_one_by_one(void)
{
	mqd_t queue = open_queue(O_RDWR | O_NONBLOCK), again;
	char text[64];

	SAY(mq_send(queue, "kept", 4, 0));
	for (int fd = 3; fd < 1024; fd++)
		if (fd != queue)
			close(fd);
	SAY(mq_send(queue, "kept", 4, 0));
	again = open_queue(O_RDWR | O_NONBLOCK);
	SAY(mq_receive(again, text, sizeof(text), NULL));
	SAY(close_range((unsigned)queue + 1, ~0u, 0));
	SAY(mq_receive(queue, text, sizeof(text), NULL));
	SAY(mq_receive(queue, text, sizeof(text), NULL));
	SAY(mq_close(queue));
}

/* What is printed while the standard descriptors are closed goes nowhere, and not into a queue. */
static void without_standard(void)
{
	int kept[3], copied[3];
	ssize_t written[3] = {0};
	mqd_t queue, high;
	char text[64];

	fflush(stdout);
	for (int fd = 0; fd < 3; fd++) {
		kept[fd] = fcntl(fd, F_DUPFD_CLOEXEC, 500);
		close(fd);
	}
	queue = open_queue(O_RDWR | O_NONBLOCK);
	high = fcntl(queue, F_DUPFD_CLOEXEC, 400);
	for (int fd = 1; fd < 3; fd++)
		written[fd] = write(fd, "spoilt", 6);
	for (int fd = 0; fd < 3; fd++)
		copied[fd] = dup2(kept[fd], fd);
	for (int fd = 0; fd < 3; fd++) {
		SAY(written[fd]);
		SAY(copied[fd]);
		close(kept[fd]);
	}
	if (queue > 2)
		mq_close(queue);
	SAY(mq_send(high, "kept", 4, 0));
	SAY(mq_receive(high, text, sizeof(text), NULL));
	SAY(mq_close(high));
}

/* Closed by the C library itself, without a call that could be seen; its number is another file's then. */
static void closed_by_stdio(void)
{
	mqd_t queue = open_queue(O_RDWR | O_NONBLOCK);
	int others[64], count = 0, number = queue;
	char byte = 1;

	fclose(fdopen(queue, "r"));
	/* Until it gets the number. */
	do
		others[count] = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	while (others[count] != number && ++count < 64);
	while (count-- > 0)
		close(others[count]);
	SAY(read(number, &byte, 1));
	SAY(byte);
	SAY(mq_send(number, "closed", 6, 0));
	close(number);
}

static void children(void)
{
	mqd_t queue = open_queue(O_RDWR | O_NONBLOCK);
	char text[64];
	pid_t child = vfork();
	int ended;

	if (child == 0) {
		close(queue);
		dup2(0, queue);
		signal(SIGUSR1, SIG_DFL);
		_exit(0);
	}
	waitpid(child, NULL, 0);
	SAY(mq_send(queue, "one", 3, 0));
	SAY(mq_receive(queue, text, sizeof(text), NULL));
	fflush(stdout);
	child = fork();
	if (child == 0) {
		if (mq_send(queue, "child", 5, 0) != 0 || close(queue) != 0)
			_exit(1);
		_exit(mq_send(queue, "child", 5, 0) == 0);
	}
	waitpid(child, &ended, 0);
	SAY(ended);
	SAY(mq_receive(queue, text, sizeof(text), NULL));
	fflush(stdout);
	fcntl(queue, F_SETFD, 0);
	child = fork();
	if (child == 0) {
		char number[16];

		snprintf(number, sizeof(number), "%d", queue);
		execl("/proc/self/exe", "descriptors", name, number, NULL);
		_exit(1);
	}
	waitpid(child, &ended, 0);
	SAY(ended);
	SAY(mq_receive(queue, text, sizeof(text), NULL));
	mq_close(queue);
}

static void direct(void)
{
	struct mq_attr attributes = {.mq_maxmsg = 2, .mq_msgsize = 16}, seen;
	unsigned priority = 0;
	char text[16], long_name[300];
	long queue = syscall(SYS_mq_open, name + 1, O_RDWR | O_CREAT | O_NONBLOCK, 0600,
			     &attributes);

	SAY(queue > 0);
	SAY(syscall(SYS_mq_timedsend, queue, "abc", 3L, 7L, NULL));
	SAY(syscall(SYS_mq_getsetattr, queue, NULL, &seen));
	printf("%ld %ld %ld %ld\n", seen.mq_flags, seen.mq_maxmsg, seen.mq_msgsize,
	       seen.mq_curmsgs);
	SAY(syscall(SYS_mq_timedreceive, queue, text, sizeof(text), &priority, NULL));
	SAY(priority);
	SAY(syscall(SYS_mq_timedreceive, queue, text, sizeof(text), &priority, NULL));
	SAY(syscall(SYS_mq_notify, queue, NULL));
	SAY(syscall(SYS_mq_open, "a/b", O_RDWR | O_CREAT, 0600, NULL));
	SAY(syscall(SYS_mq_open, "", O_RDWR | O_CREAT, 0600, NULL));
	memset(long_name, 'x', sizeof(long_name) - 1);
	long_name[sizeof(long_name) - 1] = 0;
	SAY(syscall(SYS_mq_open, long_name, O_RDWR | O_CREAT, 0600, NULL));
	SAY(syscall(SYS_mq_unlink, long_name));
	SAY(syscall(SYS_mq_unlink, name + 1));
	SAY(syscall(SYS_mq_unlink, name + 1));
	SAY(syscall(SYS_close, queue));
	SAY(syscall(SYS_mq_timedsend, queue, "abc", 3L, 7L, NULL));
}

int main(int count, char **arguments)
{
	name = count > 1 ? arguments[1] : "/descriptors";
	if (count > 2)
		return mq_send(atoi(arguments[2]), "over exec", 9, 1) != 0;
	mq_unlink(name);
	flags();
	file();
	status();
	polls();
	mq_unlink(name);
	copies();
	mq_unlink(name);
	closed_one_by_one();
	mq_unlink(name);
	without_standard();
	mq_unlink(name);
	closed_by_stdio();
	mq_unlink(name);
	children();
	mq_unlink(name);
	direct();
	return 0;
}
