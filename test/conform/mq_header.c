/* SPDX-License-Identifier: Apache-2.0 */

/* <mqueue.h>: what it defines.  It is the first header here, since it has to stand alone. */

#include <mqueue.h>

/* What it has to declare, of these types. */
static int (*const closes)(mqd_t) = mq_close;
static int (*const gets)(mqd_t, struct mq_attr *) = mq_getattr;
static int (*const notifies)(mqd_t, const struct sigevent *) = mq_notify;
static mqd_t (*const opens)(const char *, int, ...) = mq_open;
static ssize_t (*const receives)(mqd_t, char *, size_t, unsigned *) = mq_receive;
static int (*const sends)(mqd_t, const char *, size_t, unsigned) = mq_send;
static int (*const sets)(mqd_t, const struct mq_attr *, struct mq_attr *) = mq_setattr;
static ssize_t (*const receives_until)(mqd_t, char *, size_t, unsigned *,
				       const struct timespec *) = mq_timedreceive;
static int (*const sends_until)(mqd_t, const char *, size_t, unsigned,
				const struct timespec *) = mq_timedsend;
static int (*const unlinks)(const char *) = mq_unlink;

#include "mq.h"

REQUIREMENT(header_types, "<mqueue.h>, DESCRIPTION",
	    "it defines mqd_t, struct mq_attr and what its functions take")
{
	struct mq_attr all = {.mq_flags = 0, .mq_maxmsg = 1, .mq_msgsize = 2, .mq_curmsgs = 3};

	EXPECT(sizeof(mqd_t) >= sizeof(int));
	EXPECT_IS(sizeof(all.mq_flags), sizeof(long));
	EXPECT_IS(sizeof(all.mq_maxmsg), sizeof(long));
	EXPECT_IS(sizeof(all.mq_msgsize), sizeof(long));
	EXPECT_IS(sizeof(all.mq_curmsgs), sizeof(long));
}

REQUIREMENT(header_functions, "<mqueue.h>, DESCRIPTION",
	    "it declares the ten functions, and their addresses can be called")
{
	struct mq_attr given = {.mq_maxmsg = MESSAGES, .mq_msgsize = BYTES}, found = {0};
	struct timespec passed = {0};
	char buffer[BYTES];
	mqd_t queue = opens(NAME, O_RDWR | O_CREAT | O_EXCL, 0600, &given);

	EXPECT(queue != NONE);
	EXPECT_IS(sends(queue, "x", 1, 1), 0);
	EXPECT_IS(sends_until(queue, "y", 1, 1, &passed), 0);
	EXPECT_IS(gets(queue, &found), 0);
	EXPECT_IS(found.mq_curmsgs, 2);
	EXPECT_IS(receives(queue, buffer, sizeof(buffer), NULL), 1);
	EXPECT_IS(receives_until(queue, buffer, sizeof(buffer), NULL, &passed), 1);
	EXPECT_IS(sets(queue, &found, NULL), 0);
	EXPECT_IS(notifies(queue, NULL), 0);
	EXPECT_IS(unlinks(NAME), 0);
	EXPECT_IS(closes(queue), 0);
}

REQUIREMENT(header_limits, "<limits.h> and sysconf, MQ_PRIO_MAX, MQ_OPEN_MAX",
	    "the limits are at least what the standard wants")
{
	long open_max = sysconf(_SC_MQ_OPEN_MAX);

	EXPECT(sysconf(_SC_MQ_PRIO_MAX) >= 32);
	EXPECT(open_max == -1 || open_max >= 8);
	EXPECT(sysconf(_SC_MESSAGE_PASSING) >= 200112L);
}

REQUIREMENT(success_keeps_errno, "XSH 2.3, Error Numbers", "no call sets errno to zero")
{
	char buffer[BYTES];
	mqd_t queue;

	errno = ERANGE;
	queue = make_queue(O_RDWR);
	EXPECT_IS(mq_send(queue, "x", 1, 1), 0);
	EXPECT_IS(mq_receive(queue, buffer, sizeof(buffer), NULL), 1);
	(void)attributes_of(queue);
	EXPECT_IS(mq_close(queue), 0);
	EXPECT_IS(mq_unlink(NAME), 0);
	EXPECT(errno != 0);
}
