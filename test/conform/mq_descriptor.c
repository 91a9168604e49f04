/* SPDX-License-Identifier: Apache-2.0 */

/* On Linux a message queue descriptor is a file descriptor: mq_overview(7), "descriptors". */

#include <spawn.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "mq.h"

#define SECTION "mq_overview(7), descriptors; "

REQUIREMENT(descriptor_cloexec, SECTION "mq_open(3)", "it is closed by exec")
{
	mqd_t queue = make_queue(O_RDWR), again = open_queue(O_RDONLY);

	EXPECT_IS(fcntl(queue, F_GETFD), FD_CLOEXEC);
	EXPECT_IS(fcntl(again, F_GETFD), FD_CLOEXEC);
}

REQUIREMENT(descriptor_fstat, SECTION "fstat(2)",
	    "fstat succeeds, and tells descriptors of one queue from those of another")
{
	mqd_t one = make_queue(O_RDWR), same = open_queue(O_RDONLY),
	      other = make_sized(OTHER, O_RDWR, 2, 8);
	struct stat of_one, of_same, of_other;

	EXPECT_IS(fstat(one, &of_one), 0);
	EXPECT_IS(fstat(same, &of_same), 0);
	EXPECT_IS(fstat(other, &of_other), 0);
	EXPECT(of_one.st_ino == of_same.st_ino && of_one.st_dev == of_same.st_dev);
	EXPECT(of_one.st_ino != of_other.st_ino || of_one.st_dev != of_other.st_dev);
}

REQUIREMENT(descriptor_regular, SECTION "fstat(2)", "it is a regular file")
{
	struct stat status = {0};

	EXPECT_IS(fstat(make_queue(O_RDWR), &status), 0);
	EXPECT(S_ISREG(status.st_mode));
}

REQUIREMENT(descriptor_read, "mq_overview(7), Mounting the message queue filesystem; read(2)",
	    "what is read from it says how many bytes the queue holds")
{
	mqd_t queue = make_queue(O_RDWR);
	char text[200] = "";
	long bytes = -1;

	put(queue, "12345", 1);
	put(queue, "123", 1);
	EXPECT(read(queue, text, sizeof(text) - 1) > 0);
	EXPECT_IS(sscanf(text, "QSIZE:%ld", &bytes), 1);
	EXPECT_IS(bytes, 8);
	EXPECT(strstr(text, "NOTIFY:") != NULL);
	EXPECT_MESSAGES(queue, 2);
}

REQUIREMENT(descriptor_seek, SECTION "lseek(2)", "it can be sought in")
{
	mqd_t queue = make_queue(O_RDWR);

	EXPECT_IS(lseek(queue, 0, SEEK_SET), 0);
	EXPECT_IS(lseek(queue, 0, SEEK_CUR), 0);
}

REQUIREMENT(descriptor_write, SECTION "write(2)", "it cannot be written to: EINVAL")
{
	mqd_t queue = make_queue(O_RDWR);

	EXPECT_ERROR(write(queue, "x", 1), EINVAL);
	EXPECT_MESSAGES(queue, 0);
}

static void expect_closed(mqd_t queue)
{
	char buffer[BYTES];

	EXPECT_ERROR(mq_send(queue, "x", 1, 0), EBADF);
	EXPECT_ERROR(mq_receive(queue, buffer, sizeof(buffer), NULL), EBADF);
	EXPECT_ERROR(mq_close(queue), EBADF);
	EXPECT_ERROR(fcntl(queue, F_GETFD), EBADF);
}

REQUIREMENT(descriptor_close, SECTION "close(2)", "close closes it as mq_close does")
{
	mqd_t queue = make_queue(O_RDWR);

	put(queue, "stays", 1);
	EXPECT_IS(close(queue), 0);
	expect_closed(queue);
	take(open_queue(O_RDWR), "stays", 1);
}

REQUIREMENT(descriptor_reused, SECTION "close(2)",
	    "its number may become another file's, and then another queue's")
{
	mqd_t queue = make_queue(O_RDWR), other = make_sized(OTHER, O_RDWR, 2, 8);
	int pipes[2];
	char byte = 0;

	EXPECT_IS(close(queue), 0);
	REQUIRE(pipe(pipes) == 0);
	if (pipes[0] != queue)
		EXPECT_IS(fcntl(pipes[0], F_DUPFD, queue), queue);
	EXPECT_ERROR(mq_send(queue, "x", 1, 0), EBADF);
	EXPECT_ERROR(mq_send(pipes[1], "x", 1, 0), EBADF);
	EXPECT_IS(write(pipes[1], "y", 1), 1);
	EXPECT_IS(read(queue, &byte, 1), 1);
	EXPECT_IS(byte, 'y');
	EXPECT_IS(close(queue), 0);
	EXPECT_IS(fcntl(other, F_DUPFD, queue), queue);
	EXPECT_IS(attributes_of(queue).mq_msgsize, 8);
	put(queue, "other", 1);
	take(other, "other", 1);
	EXPECT_MESSAGES(open_queue(O_RDWR), 0);
}

REQUIREMENT(descriptor_replaced, SECTION "dup2(2)",
	    "what is put onto its number by dup2 takes its place")
{
	mqd_t one = make_queue(O_RDWR), other = make_sized(OTHER, O_RDWR, 2, 8);
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	EXPECT_IS(dup2(other, one), one);
	put(one, "other", 1);
	take(other, "other", 1);
	EXPECT_IS(attributes_of(one).mq_msgsize, 8);
	EXPECT_IS(dup2(null, one), one);
	EXPECT_ERROR(mq_send(one, "x", 1, 0), EBADF);
	put(other, "other", 1);
}

REQUIREMENT(descriptor_close_range, SECTION "close_range(2)",
	    "close_range closes it as mq_close does")
{
	mqd_t queue = make_queue(O_RDWR), again = open_queue(O_RDWR);

	EXPECT_IS(close_range((unsigned)queue, (unsigned)again, 0), 0);
	expect_closed(queue);
	expect_closed(again);
	queue = open_queue(O_RDWR);
	put(queue, "x", 1);
	take(queue, "x", 1);
}

REQUIREMENT(descriptor_closefrom, SECTION "closefrom(3)",
	    "a process that closes everything may open queues afterwards")
{
	mqd_t queue = make_queue(O_RDWR);

	put(queue, "x", 1);
	closefrom(3);
	expect_closed(queue);
	queue = open_queue(O_RDWR);
	take(queue, "x", 1);
	queue = make_sized(OTHER, O_RDWR, 2, 8);
	put(queue, "y", 1);
}

/* Copies are descriptors of the queue, and outlive the one they are copied from. */
static void expect_copy(mqd_t queue, mqd_t copy)
{
	EXPECT(copy >= 0 && copy != queue);
	put(copy, "copied", 1);
	take(queue, "copied", 1);
	EXPECT_IS(attributes_of(copy).mq_msgsize, BYTES);
	EXPECT_IS(mq_close(queue), 0);
	put(copy, "copied", 1);
	take(copy, "copied", 1);
	EXPECT_IS(mq_close(copy), 0);
	expect_closed(copy);
}

REQUIREMENT(descriptor_dup, SECTION "dup(2)", "what dup makes is a descriptor of the queue")
{
	mqd_t queue = make_queue(O_RDWR);

	expect_copy(queue, dup(queue));
}

REQUIREMENT(descriptor_dup2, SECTION "dup2(2)", "what dup2 makes is a descriptor of the queue")
{
	mqd_t queue = make_queue(O_RDWR);

	expect_copy(queue, dup2(queue, 100));
}

REQUIREMENT(descriptor_dup3, SECTION "dup3(2)",
	    "what dup3 makes is a descriptor of the queue, closed by exec if that is asked for")
{
	mqd_t queue = make_queue(O_RDWR), copy = dup3(queue, 101, O_CLOEXEC);

	EXPECT_IS(fcntl(copy, F_GETFD), FD_CLOEXEC);
	expect_copy(queue, copy);
}

REQUIREMENT(descriptor_dupfd, SECTION "fcntl(2), F_DUPFD",
	    "what F_DUPFD makes is a descriptor of the queue")
{
	mqd_t queue = make_queue(O_RDWR), copy = fcntl(queue, F_DUPFD, 50);

	EXPECT(copy >= 50);
	expect_copy(queue, copy);
}

REQUIREMENT(descriptor_dup_access, SECTION "dup(2)",
	    "a copy has the access of what it is copied from")
{
	mqd_t reader, writer;
	char buffer[BYTES];

	EXPECT_IS(mq_close(make_queue(O_RDWR)), 0);
	reader = dup(open_queue(O_RDONLY));
	writer = dup(open_queue(O_WRONLY));
	EXPECT_ERROR(mq_send(reader, "x", 1, 0), EBADF);
	EXPECT_ERROR(mq_receive(writer, buffer, sizeof(buffer), NULL), EBADF);
	put(writer, "x", 1);
	take(reader, "x", 1);
}

REQUIREMENT(descriptor_dup_unlinked, SECTION "dup(2)",
	    "a copy that is made after the queue was unlinked is a descriptor of it")
{
	mqd_t queue = make_queue(O_RDWR);

	EXPECT_IS(mq_unlink(NAME), 0);
	expect_copy(queue, dup(queue));
}

REQUIREMENT(
	descriptor_dup_closed, SECTION "dup(2)",
	"a copy is one of the queue, also if what it is copied from is closed before its first use")
{
	mqd_t queue = make_queue(O_RDWR), copy = dup(queue);

	EXPECT_IS(mq_unlink(NAME), 0);
	EXPECT_IS(mq_close(queue), 0);
	put(copy, "copied", 1);
	take(copy, "copied", 1);
}

static void child_sends(void *context)
{
	put(*(mqd_t *)context, "of the child", 2);
}

REQUIREMENT(descriptor_fork, SECTION "fork(2)",
	    "a child sends with what it has inherited, and the parent receives")
{
	mqd_t queue = make_queue(O_RDWR);

	conform_act(child_sends, &queue);
	take(queue, "of the child", 2);
}

static void child_closes(void *context)
{
	EXPECT_IS(mq_close(*(mqd_t *)context), 0);
	expect_closed(*(mqd_t *)context);
}

REQUIREMENT(descriptor_fork_child_closes, SECTION "fork(2)",
	    "that the child closes it does not close the parent's")
{
	mqd_t queue = make_queue(O_RDWR);

	EXPECT_IS(mq_unlink(NAME), 0);
	conform_act(child_closes, &queue);
	put(queue, "x", 1);
	take(queue, "x", 1);
}

struct handed {
	mqd_t queue;
	int go;
};

static void child_waits_and_sends(void *context)
{
	struct handed *handed = context;

	(void)conform_await_word(&handed->go);
	put(handed->queue, "of the child", 2);
	take(handed->queue, "of the child", 2);
	put(handed->queue, "left", 3);
}

REQUIREMENT(descriptor_fork_parent_closes, SECTION "fork(2)",
	    "that the parent closes it does not close the child's, even if the queue is unlinked")
{
	struct handed *handed = conform_share(sizeof(*handed));
	pid_t child;

	handed->queue = make_queue(O_RDWR);
	child = conform_start(child_waits_and_sends, handed);
	EXPECT_IS(mq_unlink(NAME), 0);
	EXPECT_IS(mq_close(handed->queue), 0);
	conform_set_word(&handed->go, 1);
	conform_await(child);
}

static void grandchild(void *context)
{
	conform_act(child_sends, context);
}

REQUIREMENT(descriptor_fork_twice, SECTION "fork(2)", "a grandchild uses what the child never did")
{
	mqd_t queue = make_queue(O_RDWR);

	conform_act(grandchild, &queue);
	take(queue, "of the child", 2);
}

static void executes(void *context)
{
	char number[20];

	snprintf(number, sizeof(number), "%d", *(mqd_t *)context);
	conform_execute(fcntl(*(mqd_t *)context, F_GETFD) & FD_CLOEXEC ? "gone" : "use", number,
			NULL);
}

REQUIREMENT(descriptor_exec, SECTION "execve(2)", "after exec it is not open")
{
	mqd_t queue = make_queue(O_RDWR);

	conform_act(executes, &queue);
	EXPECT_MESSAGES(queue, 0);
}

REQUIREMENT(descriptor_exec_kept, SECTION "execve(2); fcntl(2), FD_CLOEXEC",
	    "without FD_CLOEXEC it is used after exec")
{
	mqd_t queue = make_queue(O_RDWR);

	put(queue, "before", 1);
	EXPECT_IS(fcntl(queue, F_SETFD, 0), 0);
	conform_act(executes, &queue);
	take(queue, "after", 2);
}

REQUIREMENT(descriptor_exec_unlinked, SECTION "execve(2)",
	    "without FD_CLOEXEC it is used after exec even if the queue was unlinked")
{
	mqd_t queue = make_queue(O_RDWR);

	put(queue, "before", 1);
	EXPECT_IS(mq_unlink(NAME), 0);
	EXPECT_IS(fcntl(queue, F_SETFD, 0), 0);
	conform_act(executes, &queue);
	take(queue, "after", 2);
}

static int pair[2];

static void send_descriptor(int socket, int descriptor)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {0};
	char byte = 0;
	struct iovec data = {&byte, 1};
	struct msghdr message = {.msg_iov = &data,
				 .msg_iovlen = 1,
				 .msg_control = control.bytes,
				 .msg_controllen = sizeof(control.bytes)};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &descriptor, sizeof(descriptor));
	REQUIRE(sendmsg(socket, &message, 0) == 1);
}

static int receive_descriptor(int socket)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {0};
	char byte;
	struct iovec data = {&byte, 1};
	struct msghdr message = {.msg_iov = &data,
				 .msg_iovlen = 1,
				 .msg_control = control.bytes,
				 .msg_controllen = sizeof(control.bytes)};
	int descriptor = -1;

	REQUIRE(recvmsg(socket, &message, MSG_CMSG_CLOEXEC) == 1 && CMSG_FIRSTHDR(&message));
	memcpy(&descriptor, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(descriptor));
	return descriptor;
}

static void uses_received(void *context)
{
	mqd_t queue = receive_descriptor(pair[1]);

	(void)context;
	take(queue, "before", 1);
	put(queue, "after", 2);
	EXPECT_IS(mq_close(queue), 0);
}

REQUIREMENT(descriptor_passed, SECTION "unix(7), SCM_RIGHTS",
	    "another process uses what it was sent over a socket")
{
	pid_t child;
	mqd_t queue;

	REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	child = conform_start(uses_received, NULL);
	queue = make_queue(O_RDWR);
	put(queue, "before", 1);
	send_descriptor(pair[0], queue);
	conform_await(child);
	take(queue, "after", 2);
}

static void sends_descriptor(void *context)
{
	mqd_t queue = make_queue(O_RDWR);

	(void)context;
	put(queue, "before", 1);
	send_descriptor(pair[0], queue);
}

REQUIREMENT(descriptor_passed_on, SECTION "unix(7), SCM_RIGHTS",
	    "it is used when he who sent it has ended")
{
	REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	conform_act(sends_descriptor, NULL);
	uses_received(NULL);
	take(open_queue(O_RDWR), "after", 2);
}

REQUIREMENT(descriptor_passed_unlinked, SECTION "unix(7), SCM_RIGHTS",
	    "it is used even if the queue was unlinked before it was received")
{
	pid_t child;
	mqd_t queue;

	REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	child = conform_start(uses_received, NULL);
	queue = make_queue(O_RDWR);
	put(queue, "before", 1);
	EXPECT_IS(mq_unlink(NAME), 0);
	send_descriptor(pair[0], queue);
	conform_await(child);
	take(queue, "after", 2);
}

static void waits_received(void *context)
{
	int queue = receive_descriptor(pair[1]), flags = fcntl(queue, F_GETFL);

	(void)context;
	EXPECT_IS(flags & (O_ACCMODE | O_NONBLOCK), O_RDWR | O_NONBLOCK);
	EXPECT_IS(fcntl(queue, F_SETFL, flags & ~O_NONBLOCK), 0);
}

/* The bug: nobody was told of flags that were changed before the descriptor was used as a queue. */
REQUIREMENT(descriptor_passed_flags, SECTION "unix(7), SCM_RIGHTS; mq_setattr(3)",
	    "O_NONBLOCK is changed by another process that was sent it over a socket")
{
	struct timespec soon;
	mqd_t queue;
	pid_t child;

	REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	child = conform_start(waits_received, NULL);
	queue = make_queue(O_RDWR | O_NONBLOCK);
	EXPECT_ERROR(make_call(RECEIVE, queue), EAGAIN);
	send_descriptor(pair[0], queue);
	conform_await(child);
	soon = after_ms(1);
	EXPECT_ERROR(call_until(TIMEDRECEIVE, queue, &soon), ETIMEDOUT);
}

REQUIREMENT(descriptor_spawned, SECTION "posix_spawn(3)",
	    "a process that posix_spawn starts uses what it inherits")
{
	mqd_t queue = make_queue(O_RDWR);
	char number[20];
	char *arguments[] = {"conform", "--executed", "use", number, NULL};
	pid_t child;

	put(queue, "before", 1);
	EXPECT_IS(fcntl(queue, F_SETFD, 0), 0);
	snprintf(number, sizeof(number), "%d", queue);
	REQUIRE(posix_spawn(&child, "/proc/self/exe", NULL, NULL, arguments, environ) == 0);
	conform_await(child);
	take(queue, "after", 2);
}

REQUIREMENT(descriptor_in_vfork, SECTION "vfork(2)",
	    "a child of vfork that executes leaves the parent's descriptors as they are")
{
	mqd_t queue = make_queue(O_RDWR);
	char *arguments[] = {"true", NULL};
	pid_t child;

	/* As a shell does: what is closed by exec is closed in the child only. */
	REQUIRE(posix_spawnp(&child, "true", NULL, NULL, arguments, environ) == 0);
	conform_await(child);
	put(queue, "x", 1);
	take(queue, "x", 1);
}
