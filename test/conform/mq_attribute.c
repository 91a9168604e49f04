/* SPDX-License-Identifier: Apache-2.0 */

/* mq_getattr, mq_setattr, and whose O_NONBLOCK it is. */

#include <sys/ioctl.h>
#include <sys/syscall.h>

#include "mq.h"

REQUIREMENT(getattr_all, "mq_getattr, DESCRIPTION",
	    "it tells the flags, both sizes, and how many messages there are now")
{
	mqd_t queue = make_queue(O_RDWR);
	struct mq_attr found = {
		.mq_flags = -1, .mq_maxmsg = -1, .mq_msgsize = -1, .mq_curmsgs = -1};

	EXPECT_IS(mq_getattr(queue, &found), 0);
	EXPECT_IS(found.mq_flags, 0);
	EXPECT_IS(found.mq_maxmsg, MESSAGES);
	EXPECT_IS(found.mq_msgsize, BYTES);
	EXPECT_IS(found.mq_curmsgs, 0);
}

REQUIREMENT(getattr_messages, "mq_getattr, DESCRIPTION, mq_curmsgs",
	    "each send and receive changes the number of messages")
{
	mqd_t queue = make_queue(O_RDWR), writer = open_queue(O_WRONLY);

	for (int i = 0; i < MESSAGES; i++) {
		EXPECT_MESSAGES(queue, i);
		put(writer, "x", (unsigned)i);
	}
	for (int i = MESSAGES; i > 0; i--) {
		EXPECT_MESSAGES(writer, i);
		take(queue, "x", (unsigned)i - 1);
	}
	EXPECT_MESSAGES(queue, 0);
}

REQUIREMENT(getattr_access, "mq_getattr, DESCRIPTION", "any access is enough to ask and to set")
{
	mqd_t queues[] = {make_queue(O_RDWR), open_queue(O_RDONLY), open_queue(O_WRONLY)};

	for (int i = 0; i < 3; i++) {
		struct mq_attr flags = {.mq_flags = O_NONBLOCK};

		EXPECT_IS(attributes_of(queues[i]).mq_msgsize, BYTES);
		EXPECT_IS(mq_setattr(queues[i], &flags, NULL), 0);
		EXPECT_IS(attributes_of(queues[i]).mq_flags, O_NONBLOCK);
	}
}

REQUIREMENT(setattr_nonblock, "mq_setattr, DESCRIPTION, mq_flags",
	    "it sets O_NONBLOCK and takes it away, and calls heed that")
{
	mqd_t queue = make_queue(O_RDWR);
	struct mq_attr flags = {.mq_flags = O_NONBLOCK};
	struct caller caller = {.call = RECEIVE, .queue = queue};
	char buffer[BYTES];

	EXPECT_IS(mq_setattr(queue, &flags, NULL), 0);
	EXPECT_IS(attributes_of(queue).mq_flags, O_NONBLOCK);
	EXPECT_ERROR(mq_receive(queue, buffer, sizeof(buffer), NULL), EAGAIN);
	flags.mq_flags = 0;
	EXPECT_IS(mq_setattr(queue, &flags, NULL), 0);
	EXPECT_IS(attributes_of(queue).mq_flags, 0);
	caller_block(&caller);
	put(queue, "go", 1);
	caller_join(&caller);
	EXPECT_IS(caller.result, 2);
}

REQUIREMENT(setattr_before, "mq_setattr, DESCRIPTION, omqstat",
	    "the attributes and the status that were before are stored where it says")
{
	mqd_t queue = make_queue(O_RDWR);
	struct mq_attr flags = {.mq_flags = O_NONBLOCK}, before = {.mq_flags = -1};

	put(queue, "x", 1);
	EXPECT_IS(mq_setattr(queue, &flags, &before), 0);
	EXPECT_IS(before.mq_flags, 0);
	EXPECT_IS(before.mq_maxmsg, MESSAGES);
	EXPECT_IS(before.mq_msgsize, BYTES);
	EXPECT_IS(before.mq_curmsgs, 1);
	flags.mq_flags = 0;
	EXPECT_IS(mq_setattr(queue, &flags, &before), 0);
	EXPECT_IS(before.mq_flags, O_NONBLOCK);
}

REQUIREMENT(setattr_others, "mq_setattr, DESCRIPTION",
	    "mq_maxmsg, mq_msgsize and mq_curmsgs are passed over")
{
	mqd_t queue = make_queue(O_RDWR);
	struct mq_attr given = {.mq_maxmsg = 1, .mq_msgsize = -1, .mq_curmsgs = 7};
	struct mq_attr found;

	EXPECT_IS(mq_setattr(queue, &given, NULL), 0);
	found = attributes_of(queue);
	EXPECT_IS(found.mq_maxmsg, MESSAGES);
	EXPECT_IS(found.mq_msgsize, BYTES);
	EXPECT_IS(found.mq_curmsgs, 0);
	fill(queue);
}

REQUIREMENT(setattr_other_flags, "mq_setattr, on Linux",
	    "other flags than O_NONBLOCK are EINVAL, and nothing changes")
{
	mqd_t queue = make_queue(O_RDWR);
	struct mq_attr flags = {.mq_flags = O_NONBLOCK | O_APPEND}, before = {.mq_flags = 77};

	EXPECT_ERROR(mq_setattr(queue, &flags, &before), EINVAL);
	EXPECT_IS(before.mq_flags, 77);
	flags.mq_flags = 1;
	EXPECT_ERROR(mq_setattr(queue, &flags, NULL), EINVAL);
	flags.mq_flags = -1;
	EXPECT_ERROR(mq_setattr(queue, &flags, NULL), EINVAL);
	EXPECT_IS(attributes_of(queue).mq_flags, 0);
}

REQUIREMENT(setattr_one_description, "mq_setattr, DESCRIPTION; mq_getattr(3)",
	    "O_NONBLOCK is that of one opening: another one of the queue has its own")
{
	mqd_t one = make_queue(O_RDWR), other = open_queue(O_RDWR);
	struct mq_attr flags = {.mq_flags = O_NONBLOCK};

	EXPECT_IS(mq_setattr(one, &flags, NULL), 0);
	EXPECT_IS(attributes_of(one).mq_flags, O_NONBLOCK);
	EXPECT_IS(attributes_of(other).mq_flags, 0);
}

static void child_sets(void *context)
{
	struct mq_attr flags = {.mq_flags = O_NONBLOCK};

	EXPECT_IS(attributes_of(*(mqd_t *)context).mq_flags, 0);
	EXPECT_IS(mq_setattr(*(mqd_t *)context, &flags, NULL), 0);
}

REQUIREMENT(setattr_fork, "mq_open(3), NOTES; fork(2)",
	    "O_NONBLOCK is shared with a child that inherited the descriptor")
{
	mqd_t queue = make_queue(O_RDWR);
	char buffer[BYTES];

	conform_act(child_sets, &queue);
	EXPECT_IS(attributes_of(queue).mq_flags, O_NONBLOCK);
	EXPECT_ERROR(mq_receive(queue, buffer, sizeof(buffer), NULL), EAGAIN);
}

REQUIREMENT(setattr_dup, "mq_overview(7), descriptors; dup(2)",
	    "O_NONBLOCK is shared with copies of the descriptor")
{
	mqd_t queue = make_queue(O_RDWR), copy = dup(queue);
	struct mq_attr flags = {.mq_flags = O_NONBLOCK};

	EXPECT_IS(mq_setattr(copy, &flags, NULL), 0);
	EXPECT_IS(attributes_of(queue).mq_flags, O_NONBLOCK);
	flags.mq_flags = 0;
	EXPECT_IS(mq_setattr(queue, &flags, NULL), 0);
	EXPECT_IS(attributes_of(copy).mq_flags, 0);
}

REQUIREMENT(setattr_fcntl, "mq_overview(7), descriptors; fcntl(2), F_SETFL",
	    "what fcntl sets mq_getattr tells, and calls heed it")
{
	mqd_t queue = make_queue(O_RDWR);
	char buffer[BYTES];

	EXPECT_IS(fcntl(queue, F_SETFL, O_NONBLOCK), 0);
	EXPECT_IS(attributes_of(queue).mq_flags, O_NONBLOCK);
	EXPECT_ERROR(mq_receive(queue, buffer, sizeof(buffer), NULL), EAGAIN);
	EXPECT_IS(fcntl(queue, F_SETFL, 0), 0);
	EXPECT_IS(attributes_of(queue).mq_flags, 0);
}

/* A call that finds nothing, and does not wait: several times, since one may remember how it was. */
static void find_nothing(mqd_t queue)
{
	char buffer[BYTES];

	for (int i = 0; i < 3; i++)
		EXPECT_ERROR(mq_receive(queue, buffer, sizeof(buffer), NULL), EAGAIN);
}

/* A call waits. */
static void find_nothing_in_time(mqd_t queue)
{
	struct timespec past = {.tv_sec = 1};
	char buffer[BYTES];

	EXPECT_ERROR(mq_timedreceive(queue, buffer, sizeof(buffer), NULL, &past), ETIMEDOUT);
}

static void child_clears(void *context)
{
	EXPECT_IS(fcntl(*(mqd_t *)context, F_SETFL, 0), 0);
}

REQUIREMENT(setattr_fork_clear, "fork(2); fcntl(2), F_SETFL",
	    "a child that inherited the descriptor takes O_NONBLOCK away, also from who has just "
	    "met it")
{
	mqd_t queue = make_queue(O_RDWR | O_NONBLOCK);

	find_nothing(queue);
	conform_act(child_clears, &queue);
	find_nothing_in_time(queue);
}

#ifdef __x86_64__
/* By a system call that no library can see, as a program without the C library makes it. */
static void child_sets_unseen(void *context)
{
	long result = SYS_fcntl;

	__asm__ volatile("syscall"
			 : "+a"(result)
			 : "D"((long)*(mqd_t *)context), "S"((long)F_SETFL), "d"((long)O_NONBLOCK)
			 : "rcx", "r11", "memory");
	EXPECT_IS(result, 0);
}

REQUIREMENT(
	setattr_unseen, "fork(2); fcntl(2), F_SETFL",
	"a call does not wait, whoever has set O_NONBLOCK of the description, and by whatever way")
{
	mqd_t queue = make_queue(O_RDWR);

	put(queue, "x", 1);
	take(queue, "x", 1);
	conform_act(child_sets_unseen, &queue);
	find_nothing(queue);
}
#endif

REQUIREMENT(setattr_ioctl, "ioctl(2), FIONBIO",
	    "what ioctl sets and takes away mq_getattr tells, and calls heed it")
{
	mqd_t queue = make_queue(O_RDWR);
	int on = 1, off = 0;

	EXPECT_IS(ioctl(queue, FIONBIO, &on), 0);
	EXPECT_IS(attributes_of(queue).mq_flags, O_NONBLOCK);
	find_nothing(queue);
	EXPECT_IS(ioctl(queue, FIONBIO, &off), 0);
	find_nothing_in_time(queue);
	EXPECT_IS(attributes_of(queue).mq_flags, 0);
}

REQUIREMENT(setattr_fcntl_back, "mq_overview(7), descriptors; fcntl(2), F_GETFL",
	    "what mq_setattr and mq_open set fcntl tells, and the access")
{
	mqd_t queue = make_queue(O_RDWR), reader = open_queue(O_RDONLY),
	      writer = open_queue(O_WRONLY | O_NONBLOCK);
	struct mq_attr flags = {.mq_flags = O_NONBLOCK};

	EXPECT_IS(fcntl(queue, F_GETFL) & O_NONBLOCK, 0);
	EXPECT_IS(fcntl(writer, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	EXPECT_IS(mq_setattr(queue, &flags, NULL), 0);
	EXPECT_IS(fcntl(queue, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	flags.mq_flags = 0;
	EXPECT_IS(mq_setattr(queue, &flags, NULL), 0);
	EXPECT_IS(fcntl(queue, F_GETFL) & O_NONBLOCK, 0);
	EXPECT_IS(fcntl(queue, F_GETFL) & O_ACCMODE, O_RDWR);
	EXPECT_IS(fcntl(reader, F_GETFL) & O_ACCMODE, O_RDONLY);
	EXPECT_IS(fcntl(writer, F_GETFL) & O_ACCMODE, O_WRONLY);
}

REQUIREMENT(setattr_while_blocked, "mq_setattr, on Linux",
	    "who is blocked already stays so when O_NONBLOCK is set")
{
	struct caller caller = {.call = RECEIVE, .queue = make_queue(O_RDWR)};
	struct mq_attr flags = {.mq_flags = O_NONBLOCK};

	caller_block(&caller);
	EXPECT_IS(mq_setattr(caller.queue, &flags, NULL), 0);
	conform_await_blocked(getpid(), caller.tid);
	put(caller.queue, "go", 1);
	caller_join(&caller);
	EXPECT_IS(caller.result, 2);
}
