/* SPDX-License-Identifier: Apache-2.0 */

/* Which names mq_open and mq_unlink take, and what is wrong with the others. */

#include <stdlib.h>

#include "mq.h"

#define NAME_BYTES_MAX 255

/* What a call that opens nothing says of it. */
#define EXPECT_OPEN_ERROR(name, error)                                            \
	do {                                                                      \
		EXPECT_ERROR(mq_open(name, O_RDWR), error);                       \
		EXPECT_ERROR(mq_open(name, O_RDWR | O_CREAT, 0600, NULL), error); \
	} while (0)

/* A slash and so many bytes, which begin as the requirement's own names do. */
static char *long_name(size_t bytes)
{
	char *name = malloc(bytes + 2);

	REQUIRE(name);
	memset(name, 'n', bytes + 1);
	memcpy(name, NAME, strlen(NAME));
	name[bytes + 1] = '\0';
	return name;
}

REQUIREMENT(open_no_slash, "mq_open, DESCRIPTION; mq_open(3), EINVAL",
	    "a name without its slash is EINVAL on Linux")
{
	EXPECT_OPEN_ERROR(NAME + 1, EINVAL);
	EXPECT_OPEN_ERROR("a/b", EINVAL);
}

REQUIREMENT(open_no_name, "mq_open(3), EINVAL", "an empty name has no slash either")
{
	EXPECT_OPEN_ERROR("", EINVAL);
}

REQUIREMENT(open_only_slash, "mq_open(3), ENOENT", "a slash with nothing behind it is ENOENT")
{
	EXPECT_OPEN_ERROR("/", ENOENT);
}

REQUIREMENT(open_second_slash, "mq_open(3), EACCES", "more than one slash is EACCES")
{
	EXPECT_OPEN_ERROR("/a/b", EACCES);
	EXPECT_OPEN_ERROR("//a", EACCES);
	EXPECT_OPEN_ERROR("/a/", EACCES);
	EXPECT_OPEN_ERROR("//", EACCES);
}

REQUIREMENT(open_dot, "mq_open, on Linux", "/. and /.. are EACCES")
{
	EXPECT_OPEN_ERROR("/.", EACCES);
	EXPECT_OPEN_ERROR("/..", EACCES);
}

REQUIREMENT(open_dots, "mq_overview(7), name", "dots are bytes as others in a longer name")
{
	char name[60];
	mqd_t queue;

	snprintf(name, sizeof(name), "/...%s", NAME + 1);
	queue = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, NULL);
	EXPECT(queue != NONE);
	EXPECT_IS(mq_unlink(name), 0);
}

REQUIREMENT(open_longest, "mq_overview(7), NAME_MAX", "255 bytes behind the slash are a name")
{
	char *name = long_name(NAME_BYTES_MAX);
	mqd_t queue = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, NULL);

	EXPECT(queue != NONE);
	EXPECT_ERROR(mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, NULL), EEXIST);
	EXPECT_IS(mq_unlink(name), 0);
	EXPECT_ERROR(mq_open(name, O_RDWR), ENOENT);
	free(name);
}

REQUIREMENT(open_too_long, "mq_open, ERRORS, ENAMETOOLONG",
	    "256 bytes behind the slash are too long")
{
	char *name = long_name(NAME_BYTES_MAX + 1);

	EXPECT_OPEN_ERROR(name, ENAMETOOLONG);
	free(name);
}

REQUIREMENT(open_much_too_long, "mq_open, ERRORS, ENAMETOOLONG", "PATH_MAX bytes are too long")
{
	char *name = long_name(5000);

	EXPECT_OPEN_ERROR(name, ENAMETOOLONG);
	free(name);
}

REQUIREMENT(open_bytes, "mq_overview(7), name", "any bytes but slash and zero make up a name")
{
	char name[60];
	mqd_t queue;

	snprintf(name, sizeof(name), "%s \n\xff%%\\*", NAME);
	queue = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, NULL);
	EXPECT(queue != NONE);
	put(queue, "bytes", 1);
	queue = mq_open(name, O_RDWR);
	EXPECT(queue != NONE);
	take(queue, "bytes", 1);
	EXPECT_IS(mq_unlink(name), 0);
}

REQUIREMENT(open_case, "mq_open, DESCRIPTION",
	    "two names are two queues, if only case or a dot differs")
{
	char upper[60], dot[60];
	mqd_t queue = make_queue(O_RDWR);

	snprintf(upper, sizeof(upper), "%s", NAME);
	upper[1] = 'T';
	snprintf(dot, sizeof(dot), "%s.", NAME);
	EXPECT_ERROR(mq_open(upper, O_RDWR), ENOENT);
	EXPECT_ERROR(mq_open(dot, O_RDWR), ENOENT);
	EXPECT_IS(mq_close(queue), 0);
}

REQUIREMENT(open_same_name, "mq_open, DESCRIPTION",
	    "processes that use the same name open the same queue, while it is not unlinked")
{
	mqd_t one = make_queue(O_RDWR), other = open_queue(O_RDWR);

	EXPECT(one != other);
	put(one, "same", 3);
	take(other, "same", 3);
}

REQUIREMENT(unlink_no_slash, "mq_unlink, on Linux", "a name without its slash is EINVAL")
{
	mqd_t queue = make_queue(O_RDWR);

	EXPECT_ERROR(mq_unlink(NAME + 1), EINVAL);
	EXPECT_ERROR(mq_unlink(""), EINVAL);
	EXPECT_IS(mq_close(queue), 0);
	EXPECT_IS(mq_unlink(NAME), 0);
}

REQUIREMENT(unlink_only_slash, "mq_unlink, on Linux", "a slash with nothing behind it is ENOENT")
{
	EXPECT_ERROR(mq_unlink("/"), ENOENT);
}

REQUIREMENT(unlink_second_slash, "mq_unlink, on Linux", "more than one slash is EACCES")
{
	EXPECT_ERROR(mq_unlink("/a/b"), EACCES);
	EXPECT_ERROR(mq_unlink("//a"), EACCES);
}

REQUIREMENT(unlink_dot, "mq_unlink, on Linux", "/. and /.. are EACCES")
{
	EXPECT_ERROR(mq_unlink("/."), EACCES);
	EXPECT_ERROR(mq_unlink("/.."), EACCES);
}

REQUIREMENT(unlink_too_long, "mq_unlink, ERRORS, ENAMETOOLONG",
	    "256 bytes behind the slash are too long; 255 of a queue that is not are ENOENT")
{
	char *name = long_name(NAME_BYTES_MAX + 1);

	EXPECT_ERROR(mq_unlink(name), ENAMETOOLONG);
	name[NAME_BYTES_MAX + 1] = '\0';
	EXPECT_ERROR(mq_unlink(name), ENOENT);
	free(name);
}
