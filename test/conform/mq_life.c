/* SPDX-License-Identifier: Apache-2.0 */

/* mq_close and mq_unlink, and how long a queue lives. */

#include <dirent.h>
#include <signal.h>

#include "mq.h"

/* All calls of a descriptor that is none. */
static void expect_none(mqd_t queue)
{
	struct timespec far = after_ms(1000);
	struct sigevent event = {.sigev_notify = SIGEV_NONE};
	struct mq_attr attributes = {0};
	char buffer[8192];

	EXPECT_ERROR(mq_send(queue, "x", 1, 0), EBADF);
	EXPECT_ERROR(mq_timedsend(queue, "x", 1, 0, &far), EBADF);
	EXPECT_ERROR(mq_receive(queue, buffer, sizeof(buffer), NULL), EBADF);
	EXPECT_ERROR(mq_timedreceive(queue, buffer, sizeof(buffer), NULL, &far), EBADF);
	EXPECT_ERROR(mq_getattr(queue, &attributes), EBADF);
	EXPECT_ERROR(mq_setattr(queue, &attributes, NULL), EBADF);
	EXPECT_ERROR(mq_notify(queue, &event), EBADF);
}

REQUIREMENT(close_succeeds, "mq_close, RETURN VALUE", "closing answers 0")
{
	mqd_t queue = make_queue(O_RDWR);

	EXPECT_IS(mq_close(queue), 0);
}

REQUIREMENT(close_again, "mq_close, ERRORS, EBADF",
	    "what was closed, and what never was open, is EBADF")
{
	mqd_t queue = make_queue(O_RDWR);

	EXPECT_IS(mq_close(queue), 0);
	EXPECT_ERROR(mq_close(queue), EBADF);
	EXPECT_ERROR(mq_close(NONE), EBADF);
	EXPECT_ERROR(mq_close((mqd_t)1000000), EBADF);
}

REQUIREMENT(close_other_kind, "mq_close, ERRORS, EBADF", "a descriptor of something else is EBADF")
{
	int pipes[2];

	REQUIRE(pipe(pipes) == 0);
	EXPECT_ERROR(mq_close((mqd_t)pipes[0]), EBADF);
}

REQUIREMENT(close_ends_use, "mq_close, DESCRIPTION",
	    "what was closed is no descriptor to any of the calls")
{
	mqd_t queue = make_queue(O_RDWR);

	EXPECT_IS(mq_close(queue), 0);
	expect_none(queue);
}

REQUIREMENT(never_open, "mq_send … mq_notify, ERRORS, EBADF",
	    "what never was open is EBADF to all of the calls")
{
	expect_none(NONE);
	expect_none((mqd_t)1000000);
}

REQUIREMENT(other_kind, "mq_send … mq_notify, ERRORS, EBADF",
	    "a descriptor of something else is EBADF to all of the calls")
{
	int pipes[2];
	FILE *file = tmpfile();

	REQUIRE(pipe(pipes) == 0 && file);
	expect_none((mqd_t)pipes[0]);
	expect_none((mqd_t)pipes[1]);
	expect_none((mqd_t)fileno(file));
}

REQUIREMENT(close_keeps_messages, "mq_close, DESCRIPTION; mq_overview(7)",
	    "a queue and its messages stay when nobody has it open")
{
	mqd_t queue = make_queue(O_RDWR);

	put(queue, "stays", 4);
	EXPECT_IS(mq_close(queue), 0);
	take(open_queue(O_RDONLY), "stays", 4);
}

static void make_and_end(void *context)
{
	mqd_t queue = make_queue(O_RDWR);

	put(queue, "stays", 4);
	if (context)
		kill(getpid(), SIGKILL);
}

REQUIREMENT(exit_keeps_messages, "mq_overview(7)",
	    "a queue and its messages outlive who made it, however he ends")
{
	conform_act(make_and_end, NULL);
	take(open_queue(O_RDONLY), "stays", 4);
	EXPECT_IS(mq_unlink(NAME), 0);
	EXPECT_IS(conform_status(conform_start(make_and_end, "")), SIGKILL);
	take(open_queue(O_RDONLY), "stays", 4);
}

REQUIREMENT(close_one, "mq_close, DESCRIPTION", "closing one descriptor leaves others of the queue")
{
	mqd_t one = make_queue(O_RDWR), other = open_queue(O_RDWR);

	EXPECT_IS(mq_close(one), 0);
	put(other, "left", 1);
	take(other, "left", 1);
}

REQUIREMENT(unlink_absent, "mq_unlink, ERRORS, ENOENT", "a queue that does not exist is ENOENT")
{
	EXPECT_ERROR(mq_unlink(NAME), ENOENT);
	EXPECT_IS(mq_close(make_queue(O_RDWR)), 0);
	EXPECT_IS(mq_unlink(NAME), 0);
	EXPECT_ERROR(mq_unlink(NAME), ENOENT);
}

REQUIREMENT(unlink_removes, "mq_unlink, DESCRIPTION",
	    "the name is gone after it, and O_CREAT makes another queue")
{
	mqd_t queue = make_queue(O_RDWR);

	put(queue, "old", 1);
	EXPECT_IS(mq_unlink(NAME), 0);
	EXPECT_ERROR(mq_open(NAME, O_RDWR), ENOENT);
	EXPECT_MESSAGES(mq_open(NAME, O_RDWR | O_CREAT, 0600, NULL), 0);
}

REQUIREMENT(unlink_leaves_open, "mq_unlink, DESCRIPTION",
	    "who has it open uses it until it closes it")
{
	mqd_t queue = make_queue(O_RDWR), again = open_queue(O_RDWR);

	put(queue, "before", 1);
	EXPECT_IS(mq_unlink(NAME), 0);
	take(again, "before", 1);
	EXPECT_IS(mq_close(queue), 0);
	put(again, "after", 2);
	EXPECT_MESSAGES(again, 1);
	take(again, "after", 2);
}

REQUIREMENT(unlink_separates, "mq_unlink, DESCRIPTION",
	    "a new queue of the name has nothing to do with the old one")
{
	mqd_t old = make_queue(O_RDWR), new;

	EXPECT_IS(mq_unlink(NAME), 0);
	new = make_sized(NAME, O_RDWR, 2, 8);
	put(old, "old", 1);
	put(new, "new", 1);
	EXPECT_IS(attributes_of(old).mq_msgsize, BYTES);
	EXPECT_IS(attributes_of(new).mq_msgsize, 8);
	take(new, "new", 1);
	take(old, "old", 1);
	EXPECT_IS(mq_close(old), 0);
	put(new, "new", 1);
	EXPECT_IS(mq_close(new), 0);
	take(open_queue(O_RDWR), "new", 1);
}

static void use_unlinked(void *context)
{
	mqd_t queue = *(mqd_t *)context;

	take(queue, "before", 1);
	put(queue, "after", 1);
}

REQUIREMENT(unlink_open_elsewhere, "mq_unlink, DESCRIPTION",
	    "an unlinked queue lives while another process has it open")
{
	mqd_t queue = make_queue(O_RDWR);

	EXPECT_IS(mq_unlink(NAME), 0);
	put(queue, "before", 1);
	conform_act(use_unlinked, &queue);
	take(queue, "after", 1);
}

REQUIREMENT(unlink_does_not_wait, "mq_unlink, DESCRIPTION",
	    "it returns though somebody is blocked in a call of the queue, and he goes on")
{
	struct caller caller = {.call = RECEIVE, .queue = make_queue(O_RDWR)};

	caller_block(&caller);
	EXPECT_IS(mq_unlink(NAME), 0);
	put(caller.queue, "go", 1);
	caller_join(&caller);
	EXPECT_IS(caller.result, 2);
}

REQUIREMENT(last_close_frees, "mq_unlink, DESCRIPTION; mq_overview(7)",
	    "an unlinked queue goes with the last close, also if that is the end of a process")
{
	/* Many more than there would be room for in the limits of the kernel. */
	for (int i = 0; i < 300; i++) {
		mqd_t queue = make_queue(O_RDWR);

		EXPECT_IS(mq_unlink(NAME), 0);
		EXPECT_IS(mq_close(queue), 0);
	}
	for (int i = 0; i < 30; i++) {
		conform_act(make_and_end, NULL);
		EXPECT_IS(mq_unlink(NAME), 0);
	}
}

static int open_descriptors(void)
{
	DIR *folder = opendir("/proc/self/fd");
	int count = 0;

	REQUIRE(folder);
	while (readdir(folder))
		count++;
	closedir(folder);
	return count;
}

REQUIREMENT(close_gives_back, "mq_close, DESCRIPTION",
	    "opening and closing again and again uses up no descriptors")
{
	int before;

	make_queue(O_RDWR);
	EXPECT_IS(mq_close(open_queue(O_RDWR)), 0);
	before = open_descriptors();
	for (int i = 0; i < 200; i++) {
		mqd_t queue = open_queue(i % 2 ? O_RDWR : O_RDONLY);
		struct sigevent event = {.sigev_notify = SIGEV_NONE};

		EXPECT_IS(mq_notify(queue, &event), 0);
		EXPECT_IS(i % 3 ? mq_close(queue) : close(queue), 0);
	}
	EXPECT_IS(open_descriptors(), before);
}
