/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A parent says hello to its child through a message queue, and the child answers: the textbooks' first program
 * about POSIX message queues.  Nothing of Tenon is in it.
 *
 *	cc -o hello_queue hello_queue.c && ./hello_queue		the kernel's queues
 *	tenon run -- ./hello_queue					the same program on Tenon's
 *	cc -I/usr/local/include/tenon/compat -o hello_queue hello_queue.c -ltenon
 *									compiled for them
 */

#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define MESSAGE_BYTES 128
#define NAME_BYTES 64

static void die(const char *what)
{
	perror(what);
	exit(EXIT_FAILURE);
}

static mqd_t open_queue(const char *name, int flags)
{
	struct mq_attr attributes = {.mq_maxmsg = 4, .mq_msgsize = MESSAGE_BYTES};
	mqd_t queue = mq_open(name, flags, (mode_t)0600, &attributes);

	if (queue == (mqd_t)-1)
		die("mq_open");
	return queue;
}

static void say(mqd_t queue, const char *text, unsigned priority)
{
	if (mq_send(queue, text, strlen(text) + 1, priority) != 0)
		die("mq_send");
}

static void hear(mqd_t queue, char *text)
{
	unsigned priority;

	if (mq_receive(queue, text, MESSAGE_BYTES, &priority) < 0)
		die("mq_receive");
	printf("the child hears \"%s\" (priority %u)\n", text, priority);
	fflush(stdout);
}

/* The child opens the queues by their names, as a program of its own would. */
static void child(const char *to_child, const char *to_parent)
{
	mqd_t in = open_queue(to_child, O_RDONLY), out = open_queue(to_parent, O_WRONLY);
	char text[MESSAGE_BYTES];

	/* What is more urgent comes first, whenever it was sent. */
	for (int i = 0; i < 3; i++)
		hear(in, text);
	say(out, "hello, parent", 0);
	mq_close(in);
	mq_close(out);
	exit(EXIT_SUCCESS);
}

int main(void)
{
	char to_child[NAME_BYTES], to_parent[NAME_BYTES], text[MESSAGE_BYTES];
	mqd_t out, in;
	pid_t pid;
	int status;

	snprintf(to_child, sizeof(to_child), "/hello-child.%d", (int)getpid());
	snprintf(to_parent, sizeof(to_parent), "/hello-parent.%d", (int)getpid());
	out = open_queue(to_child, O_WRONLY | O_CREAT | O_EXCL);
	in = open_queue(to_parent, O_RDONLY | O_CREAT | O_EXCL);
	say(out, "hello, child", 1);
	say(out, "how are you?", 1);
	say(out, "there is a fire", 9);
	fflush(stdout);
	pid = fork();
	if (pid < 0)
		die("fork");
	if (pid == 0)
		child(to_child, to_parent);
	if (mq_receive(in, text, sizeof(text), NULL) < 0)
		die("mq_receive");
	printf("the parent hears \"%s\"\n", text);
	mq_unlink(to_child);
	mq_unlink(to_parent);
	if (waitpid(pid, &status, 0) != pid)
		die("waitpid");
	return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE;
}
