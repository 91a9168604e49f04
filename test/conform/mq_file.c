/* SPDX-License-Identifier: Apache-2.0 */

/*
 * On Linux a message queue descriptor is one of a file of the message queue filesystem: mq_overview(7).  What can be done to
 * such a file, and what cannot; that the queue is as it was shows that nothing else was done.
 */

#include <poll.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "mq.h"

#define SECTION "mq_overview(7), Mounting the message queue filesystem; "
#define FILE_BYTES 80

static void expect_text(const char *text)
{
	EXPECT(strncmp(text, "QSIZE:3 ", 8) == 0);
}

/* It has one message, as a poll says as well.  What would wait at a pipe is for queues that do not. */
static mqd_t filled(int flags)
{
	mqd_t queue = make_queue(flags);

	put(queue, "abc", 1);
	return queue;
}

static void expect_filled(mqd_t queue)
{
	struct pollfd entry = {.fd = queue, .events = POLLIN | POLLOUT};

	EXPECT_IS(poll(&entry, 1, 0), 1);
	EXPECT_IS(entry.revents, POLLIN | POLLOUT);
	take(queue, "abc", 1);
	EXPECT_IS(poll(&entry, 1, 0), 1);
	EXPECT_IS(entry.revents, POLLOUT);
}

REQUIREMENT(file_preadv, SECTION "preadv(2)", "preadv reads what it tells, in pieces")
{
	mqd_t queue = filled(O_RDWR);
	char text[100] = "", more[100] = "";
	struct iovec parts[] = {{text, 6}, {more, 60}};

	EXPECT(preadv(queue, parts, 2, 0) > 6);
	EXPECT(strcmp(text, "QSIZE:") == 0 && more[0] == '3');
	EXPECT(syscall(SYS_preadv, queue, parts, 1L, 0L, 0L) == 6);
	EXPECT_ERROR(preadv(queue, parts, 2, -1), EINVAL);
	expect_filled(queue);
}

REQUIREMENT(file_preadv2, SECTION "preadv2(2)",
	    "preadv2 reads what it tells, also from where it stands, and not without waiting")
{
	mqd_t queue = filled(O_RDWR | O_NONBLOCK);
	char text[100] = "";
	struct iovec part = {text, sizeof(text)};

	EXPECT(preadv2(queue, &part, 1, -1, 0) > 6);
	expect_text(text);
	EXPECT_IS(preadv2(queue, &part, 1, -1, 0), 0);
	EXPECT(preadv2(queue, &part, 1, 0, RWF_HIPRI) > 6);
	EXPECT_ERROR(preadv2(queue, &part, 1, 0, RWF_NOWAIT), EOPNOTSUPP);
	expect_filled(queue);
}

REQUIREMENT(file_pwritev, SECTION "pwritev(2)", "pwritev and pwritev2 write nothing: EINVAL")
{
	mqd_t queue = filled(O_RDWR);
	char text[] = "spoilt";
	struct iovec part = {text, sizeof(text)};

	EXPECT_ERROR(pwritev(queue, &part, 1, 0), EINVAL);
	EXPECT_ERROR(pwritev2(queue, &part, 1, -1, 0), EINVAL);
	EXPECT_ERROR(syscall(SYS_pwritev, open_queue(O_RDONLY), &part, 1L, 0L, 0L), EBADF);
	expect_filled(queue);
}

REQUIREMENT(file_stream, SECTION "fdopen(3)",
	    "a stream reads what it tells, can be sought in, and closes it at its end")
{
	mqd_t queue = filled(O_RDWR | O_NONBLOCK), kept = dup(queue);
	char line[200] = "";
	FILE *stream = fdopen(queue, "r");

	REQUIRE(stream);
	EXPECT_IS(fileno(stream), queue);
	EXPECT(fgets(line, sizeof(line), stream) == line);
	expect_text(line);
	EXPECT_IS(fgetc(stream), EOF);
	EXPECT(feof(stream));
	EXPECT_IS(fseek(stream, 6, SEEK_SET), 0);
	EXPECT_IS(fgetc(stream), '3');
	EXPECT_IS(ftell(stream), 7);
	rewind(stream);
	EXPECT_IS(fread(line, 1, 6, stream), 6);
	EXPECT_IS(fclose(stream), 0);
	EXPECT_ERROR(mq_send(queue, "x", 1, 0), EBADF);
	expect_filled(kept);
}

REQUIREMENT(file_stream_access, SECTION "fdopen(3)",
	    "a stream is for what the descriptor is for, or there is none: EINVAL")
{
	mqd_t both = filled(O_RDWR), reader = open_queue(O_RDONLY), writer = open_queue(O_WRONLY);

	errno = 0;
	EXPECT(!fdopen(reader, "w") && errno == EINVAL);
	errno = 0;
	EXPECT(!fdopen(writer, "r") && errno == EINVAL);
	errno = 0;
	EXPECT(!fdopen(writer, "w+") && errno == EINVAL);
	errno = 0;
	EXPECT(!fdopen(both, "x") && errno == EINVAL);
	EXPECT(fdopen(reader, "r") != NULL);
}

REQUIREMENT(file_stream_written, SECTION "fdopen(3), dprintf(3)",
	    "what is printed to it is not written: EINVAL")
{
	mqd_t queue = filled(O_RDWR);
	FILE *stream = fdopen(dup(queue), "r+");

	REQUIRE(stream);
	EXPECT(fputs("spoilt", stream) >= 0);
	EXPECT_ERROR(fflush(stream), EINVAL);
	EXPECT(ferror(stream));
	fclose(stream);
	EXPECT_ERROR(dprintf(queue, "spoilt %d", 1), EINVAL);
	EXPECT_ERROR(dprintf(open_queue(O_RDONLY), "spoilt %d", 1), EBADF);
	expect_filled(queue);
}

REQUIREMENT(file_fstatat, SECTION "fstatat(2), AT_EMPTY_PATH",
	    "fstatat and statx tell of it what fstat does: a regular file of 80 bytes")
{
	mqd_t queue = filled(O_RDWR);
	struct stat one, other;
	struct statx more;

	EXPECT_IS(fstat(queue, &one), 0);
	EXPECT_IS(fstatat(queue, "", &other, AT_EMPTY_PATH), 0);
	EXPECT(S_ISREG(other.st_mode) && other.st_size == FILE_BYTES);
	EXPECT(one.st_mode == other.st_mode && one.st_ino == other.st_ino);
	EXPECT_IS(statx(queue, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &more), 0);
	EXPECT(S_ISREG(more.stx_mode) && more.stx_size == FILE_BYTES);
#ifdef SYS_newfstatat
	EXPECT_IS(syscall(SYS_newfstatat, queue, "", &other, AT_EMPTY_PATH), 0);
	EXPECT(S_ISREG(other.st_mode));
#endif
	EXPECT_ERROR(fstatat(queue, "", &other, 0), ENOENT);
}

/* Since Linux 6.11; libc's header denies that there is such a path. */
REQUIREMENT(file_statx_null, SECTION "statx(2), AT_EMPTY_PATH",
	    "the path may be missing where the descriptor itself is meant, or that is EFAULT")
{
	mqd_t queue = filled(O_RDWR);
	const char *volatile none = NULL;
	struct statx more = {0};
	int result = statx(queue, none, AT_EMPTY_PATH, STATX_BASIC_STATS, &more);

	if (result == 0)
		EXPECT(S_ISREG(more.stx_mode));
	else
		EXPECT(errno == EFAULT);
	EXPECT_IS(statx(queue, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &more), 0);
	EXPECT(S_ISREG(more.stx_mode));
}

REQUIREMENT(file_advised, SECTION "posix_fadvise(2), readahead(2), sync_file_range(2)",
	    "advice is taken, as of any file")
{
	mqd_t queue = filled(O_RDWR);

	EXPECT_IS(posix_fadvise(queue, 0, 0, POSIX_FADV_SEQUENTIAL), 0);
	EXPECT_IS(posix_fadvise(queue, 0, 0, 77), EINVAL);
	EXPECT_IS(readahead(queue, 0, 80), 0);
	EXPECT_ERROR(readahead(open_queue(O_WRONLY), 0, 80), EBADF);
	EXPECT_IS(sync_file_range(queue, 0, 0, 0), 0);
}

REQUIREMENT(file_allocated, SECTION "fallocate(2), posix_fallocate(3)",
	    "nothing is allocated in it: EOPNOTSUPP and EINVAL")
{
	mqd_t queue = filled(O_RDWR), reader = open_queue(O_RDONLY);

	EXPECT_ERROR(fallocate(queue, 0, 0, 100), EOPNOTSUPP);
	EXPECT_ERROR(fallocate(queue, 0, -1, 100), EINVAL);
	EXPECT_ERROR(fallocate(reader, 0, 0, 100), EBADF);
	EXPECT_IS(posix_fallocate(queue, 0, 100), EINVAL);
	EXPECT_IS(posix_fallocate(reader, 0, 100), EBADF);
	expect_filled(queue);
}

REQUIREMENT(file_pipe_size, SECTION "fcntl(2), F_GETPIPE_SZ", "it is no pipe: EBADF")
{
	mqd_t queue = filled(O_RDWR);

	EXPECT_ERROR(fcntl(queue, F_GETPIPE_SZ), EBADF);
	EXPECT_ERROR(fcntl(queue, F_SETPIPE_SZ, 4096), EBADF);
	expect_filled(queue);
}

REQUIREMENT(file_unread, SECTION "ioctl(2), FIONREAD",
	    "as much is still to be read of it as of a file of 80 bytes")
{
	mqd_t queue = filled(O_RDWR);
	int bytes = -1;

	EXPECT_IS(ioctl(queue, FIONREAD, &bytes), 0);
	EXPECT_IS(bytes, FILE_BYTES);
	EXPECT_IS(lseek(queue, 10, SEEK_SET), 10);
	EXPECT_IS(syscall(SYS_ioctl, queue, FIONREAD, &bytes), 0);
	EXPECT_IS(bytes, FILE_BYTES - 10);
}

/* With ten bytes in it. */
static void make_pipe(int ends[2])
{
	REQUIRE(pipe(ends) == 0);
	EXPECT_IS(write(ends[1], "0123456789", 10), 10);
}

REQUIREMENT(
	file_spliced, SECTION "splice(2), tee(2), vmsplice(2)",
	"nothing is spliced into it, out of it or past it: EINVAL, and EBADF where it is no pipe")
{
	mqd_t queue = filled(O_RDWR), reader = open_queue(O_RDONLY), writer = open_queue(O_WRONLY);
	char text[] = "spoilt";
	struct iovec part = {text, sizeof(text)};
	int ends[2];

	make_pipe(ends);
	EXPECT_ERROR(splice(queue, NULL, ends[1], NULL, 20, SPLICE_F_NONBLOCK), EINVAL);
	EXPECT_ERROR(splice(ends[0], NULL, queue, NULL, 5, SPLICE_F_NONBLOCK), EINVAL);
	EXPECT_ERROR(splice(writer, NULL, ends[1], NULL, 20, SPLICE_F_NONBLOCK), EBADF);
	EXPECT_ERROR(splice(ends[0], NULL, reader, NULL, 5, SPLICE_F_NONBLOCK), EBADF);
	EXPECT_ERROR(syscall(SYS_splice, queue, NULL, ends[1], NULL, 20L, SPLICE_F_NONBLOCK),
		     EINVAL);
	EXPECT_ERROR(tee(queue, ends[1], 10, SPLICE_F_NONBLOCK), EINVAL);
	EXPECT_ERROR(tee(ends[0], queue, 10, SPLICE_F_NONBLOCK), EINVAL);
	EXPECT_ERROR(vmsplice(queue, &part, 1, SPLICE_F_NONBLOCK), EBADF);
	expect_filled(queue);
}

REQUIREMENT(file_sent, SECTION "sendfile(2), copy_file_range(2)",
	    "nothing is copied into it or out of it: EINVAL, and EXDEV")
{
	mqd_t queue = filled(O_RDWR);
	int file = memfd_create("conform", MFD_CLOEXEC);
	off_t offset = 0;

	REQUIRE(file >= 0);
	EXPECT_IS(write(file, "0123456789", 10), 10);
	EXPECT_IS(lseek(file, 0, SEEK_SET), 0);
	EXPECT_ERROR(sendfile(file, queue, NULL, 20), EINVAL);
	EXPECT_ERROR(sendfile(file, queue, &offset, 20), EINVAL);
	EXPECT_ERROR(sendfile(queue, file, NULL, 5), EINVAL);
	EXPECT_ERROR(copy_file_range(queue, NULL, file, NULL, 5, 0), EXDEV);
	EXPECT_ERROR(copy_file_range(file, NULL, queue, NULL, 5, 0), EXDEV);
	expect_filled(queue);
}

static void looks(void *context)
{
	char number[20];

	snprintf(number, sizeof(number), "%d", *(mqd_t *)context);
	conform_execute("look", number, NULL);
}

/* What it looks at is in mq.c: it is a file, before it has been used as a queue. */
REQUIREMENT(file_executed, SECTION "execve(2)",
	    "a program that has inherited it finds a file, and a copy of it is one of the queue")
{
	mqd_t queue = filled(O_RDWR);

	EXPECT_IS(fcntl(queue, F_SETFD, 0), 0);
	conform_act(looks, &queue);
	take(queue, "after", 2);
}

static void closes_and_looks(void *context)
{
	char number[20];

	snprintf(number, sizeof(number), "%d", *(mqd_t *)context);
	conform_execute("close", number, NULL);
}

REQUIREMENT(file_executed_closed, SECTION "execve(2)",
	    "a program may close what it has inherited, and its number becomes another file's")
{
	mqd_t queue = filled(O_RDWR);

	EXPECT_IS(fcntl(queue, F_SETFD, 0), 0);
	conform_act(closes_and_looks, &queue);
	expect_filled(queue);
}
