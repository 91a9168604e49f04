/* SPDX-License-Identifier: Apache-2.0 */

/* Whom the mode lets in.  Most of it is shown by other users than root, whom everything lets in. */

#include <sys/stat.h>

#include "mq.h"

/* What an access is expected to answer: 0, or the error. */
struct attempt {
	int read, write, both;
};

static void attempt(void *context)
{
	const struct attempt *expected = context;
	static const int access[] = {O_RDONLY, O_WRONLY, O_RDWR};
	int errors[] = {expected->read, expected->write, expected->both};

	for (int i = 0; i < 3; i++) {
		if (errors[i]) {
			EXPECT_ERROR(mq_open(NAME, access[i]), errors[i]);
		} else {
			mqd_t queue = mq_open(NAME, access[i]);

			EXPECT(queue != NONE);
			EXPECT_IS(mq_close(queue), 0);
		}
	}
}

REQUIREMENT(open_others_none, "mq_open, ERRORS, EACCES",
	    "others whom the mode gives nothing are refused")
{
	struct attempt expected = {EACCES, EACCES, EACCES};

	make_mode(0600);
	conform_act_as(NOBODY, attempt, &expected);
}

REQUIREMENT(open_others_read, "mq_open, DESCRIPTION, O_RDONLY",
	    "read permission lets others receive, not send")
{
	struct attempt expected = {0, EACCES, EACCES};

	make_mode(0604);
	conform_act_as(NOBODY, attempt, &expected);
}

REQUIREMENT(open_others_write, "mq_open, DESCRIPTION, O_WRONLY",
	    "write permission lets others send, not receive")
{
	struct attempt expected = {EACCES, 0, EACCES};

	make_mode(0602);
	conform_act_as(NOBODY, attempt, &expected);
}

REQUIREMENT(open_others_both, "mq_open, DESCRIPTION, O_RDWR", "both permissions let others do both")
{
	struct attempt expected = {0, 0, 0};

	make_mode(0606);
	conform_act_as(NOBODY, attempt, &expected);
}

static void make_own(void *context)
{
	make_mode(*(mode_t *)context);
}

REQUIREMENT(open_owner, "mq_open, DESCRIPTION, O_CREAT",
	    "the queue belongs to the effective user of who makes it")
{
	mode_t mode = 0400;
	struct attempt owner = {0, EACCES, EACCES}, other = {EACCES, EACCES, EACCES};

	conform_act_as(NOBODY, make_own, &mode);
	conform_act_as(NOBODY, attempt, &owner);
	conform_act_as(ANN, attempt, &other);
}

REQUIREMENT(open_owner_class, "mq_open, DESCRIPTION, O_CREAT",
	    "to the owner the permissions of the owner apply, even if others have more")
{
	mode_t mode = 0066;
	struct attempt owner = {EACCES, EACCES, EACCES}, other = {0, 0, 0};

	conform_act_as(NOBODY, make_own, &mode);
	conform_act_as(NOBODY, attempt, &owner);
	conform_act_as(ANN, attempt, &other);
}

static void make_and_use(void *context)
{
	struct mq_attr attributes = {.mq_maxmsg = MESSAGES, .mq_msgsize = BYTES};
	mqd_t queue = mq_open(NAME, O_RDWR | O_CREAT, 0, &attributes);

	(void)context;
	EXPECT(queue != NONE);
	put(queue, "made", 1);
	take(queue, "made", 1);
	EXPECT_ERROR(mq_open(NAME, O_RDONLY), EACCES);
}

REQUIREMENT(open_maker, "mq_open, on Linux; open(2)",
	    "the mode does not concern the opening that makes the queue")
{
	conform_act_as(NOBODY, make_and_use, NULL);
}

static void exclusive(void *context)
{
	(void)context;
	EXPECT_ERROR(mq_open(NAME, O_RDWR | O_CREAT | O_EXCL, 0600, NULL), EEXIST);
	EXPECT_ERROR(mq_open(NAME, O_RDWR | O_CREAT, 0600, NULL), EACCES);
}

REQUIREMENT(open_exclusive_others, "mq_open, ERRORS, EEXIST and EACCES",
	    "whom the mode refuses O_EXCL tells that the queue exists, O_CREAT alone that it is "
	    "refused")
{
	make_mode(0600);
	conform_act_as(NOBODY, exclusive, NULL);
}

REQUIREMENT(open_umask, "mq_open, DESCRIPTION, O_CREAT",
	    "the bits of the umask are taken off the mode")
{
	struct mq_attr attributes = {.mq_maxmsg = MESSAGES, .mq_msgsize = BYTES};
	struct attempt expected = {0, EACCES, EACCES};
	mqd_t queue;

	umask(0022);
	queue = mq_open(NAME, O_RDWR | O_CREAT, 0666, &attributes);
	EXPECT(queue != NONE);
	conform_act_as(NOBODY, attempt, &expected);
	EXPECT_IS(mq_unlink(NAME), 0);
	umask(0);
	expected = (struct attempt){0, 0, 0};
	queue = mq_open(NAME, O_RDWR | O_CREAT, 0666, &attributes);
	EXPECT(queue != NONE);
	conform_act_as(NOBODY, attempt, &expected);
}

REQUIREMENT(open_mode_seen, "mq_overview(7), descriptors; fstat(2)",
	    "fstat shows the mode less the umask, and the owner")
{
	struct mq_attr attributes = {.mq_maxmsg = MESSAGES, .mq_msgsize = BYTES};
	struct stat status = {0};
	mqd_t queue;

	umask(0027);
	queue = mq_open(NAME, O_RDWR | O_CREAT, 0666, &attributes);
	REQUIRE(queue != NONE);
	EXPECT_IS(fstat(queue, &status), 0);
	EXPECT_IS(status.st_mode & 07777, 0640);
	EXPECT_IS(status.st_uid, geteuid());
	EXPECT_IS(status.st_gid, getegid());
}

static void use_inherited(void *context)
{
	mqd_t queue = *(mqd_t *)context;

	take(queue, "before", 1);
	put(queue, "after", 1);
	EXPECT_ERROR(mq_open(NAME, O_RDONLY), EACCES);
}

REQUIREMENT(permission_of_child, "mq_open, DESCRIPTION; fork(2), credentials(7)",
	    "permission is asked when the queue is opened: a child that changes its user uses what "
	    "it inherited")
{
	mqd_t queue = make_queue(O_RDWR);

	put(queue, "before", 1);
	conform_act_as(NOBODY, use_inherited, &queue);
	take(queue, "after", 1);
}

static void drop_and_use(void *context)
{
	mqd_t queue = open_queue(O_RDWR);

	(void)context;
	REQUIRE(setresgid(NOBODY, NOBODY, NOBODY) == 0 && setresuid(NOBODY, NOBODY, NOBODY) == 0);
	use_inherited(&queue);
}

static void use_and_drop_and_use(void *context)
{
	mqd_t queue = open_queue(O_RDWR);

	put(queue, "once", 2);
	take(queue, "once", 2);
	EXPECT_IS(mq_close(queue), 0);
	drop_and_use(context);
}

REQUIREMENT(permission_dropped, "mq_open, DESCRIPTION; credentials(7)",
	    "permission is asked when the queue is opened: who then changes his user keeps what he "
	    "has open")
{
	mqd_t queue = make_queue(O_RDWR);

	if (geteuid() != 0)
		conform_skip("only root can be several users");
	put(queue, "before", 1);
	conform_act(drop_and_use, NULL);
	take(queue, "after", 1);
	put(queue, "before", 1);
	conform_act(use_and_drop_and_use, NULL);
	take(queue, "after", 1);
}

static void try_unlink(void *context)
{
	(void)context;
	EXPECT_ERROR(mq_unlink(NAME), EACCES);
}

REQUIREMENT(unlink_foreign, "mq_unlink, ERRORS, EACCES",
	    "another user's queue cannot be unlinked, whatever its mode, and stays as it was")
{
	mqd_t queue;

	make_mode(0666);
	queue = open_queue(O_RDWR);
	put(queue, "stays", 1);
	conform_act_as(NOBODY, try_unlink, NULL);
	take(open_queue(O_RDWR), "stays", 1);
}

static void do_unlink(void *context)
{
	(void)context;
	EXPECT_IS(mq_unlink(NAME), 0);
}

REQUIREMENT(unlink_own, "mq_unlink(3); mq_overview(7)",
	    "the owner may unlink it, even with no permission in its mode")
{
	mode_t mode = 0;

	conform_act_as(NOBODY, make_own, &mode);
	conform_act_as(NOBODY, do_unlink, NULL);
	EXPECT_ERROR(mq_open(NAME, O_RDONLY), ENOENT);
}
