/* SPDX-License-Identifier: Apache-2.0 */

/* mq_open: making and opening, access, and attributes. */

#include <dlfcn.h>
#include <limits.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "mq.h"

#define RACERS 4

REQUIREMENT(open_absent, "mq_open, DESCRIPTION, O_CREAT; ERRORS, ENOENT",
	    "without O_CREAT a queue that does not exist is ENOENT")
{
	EXPECT_ERROR(mq_open(NAME, O_RDWR), ENOENT);
	EXPECT_ERROR(mq_open(NAME, O_RDONLY), ENOENT);
	EXPECT_ERROR(mq_open(NAME, O_WRONLY | O_NONBLOCK), ENOENT);
}

REQUIREMENT(open_creates, "mq_open, DESCRIPTION, O_CREAT",
	    "O_CREAT makes the queue, and it is empty")
{
	mqd_t queue = mq_open(NAME, O_RDWR | O_CREAT, 0600, NULL);

	EXPECT(queue != NONE);
	EXPECT_MESSAGES(queue, 0);
	EXPECT(mq_open(NAME, O_RDWR) != NONE);
}

REQUIREMENT(open_create_existing, "mq_open, DESCRIPTION, O_CREAT",
	    "O_CREAT has no effect on a queue that exists")
{
	mqd_t queue = make_queue(O_RDWR);
	struct mq_attr others = {.mq_maxmsg = 2, .mq_msgsize = 8}, found;
	mqd_t again;

	put(queue, "kept", 7);
	again = mq_open(NAME, O_RDWR | O_CREAT, 0400, &others);
	REQUIRE(again != NONE);
	found = attributes_of(again);
	EXPECT_IS(found.mq_maxmsg, MESSAGES);
	EXPECT_IS(found.mq_msgsize, BYTES);
	EXPECT_IS(found.mq_curmsgs, 1);
	take(again, "kept", 7);
}

REQUIREMENT(open_attributes_existing, "mq_open, DESCRIPTION, O_CREAT",
	    "attributes are not looked at when the queue exists, even if they are none")
{
	mqd_t queue = make_queue(O_RDWR), again;
	struct mq_attr wrong = {.mq_maxmsg = -1, .mq_msgsize = 0};

	again = mq_open(NAME, O_RDWR | O_CREAT, 0600, &wrong);
	EXPECT(again != NONE);
	EXPECT_IS(mq_close(queue), 0);
}

REQUIREMENT(open_exclusive_existing, "mq_open, DESCRIPTION, O_EXCL; ERRORS, EEXIST",
	    "O_EXCL and O_CREAT fail if the queue exists")
{
	mqd_t queue = make_queue(O_RDWR);

	put(queue, "kept", 1);
	EXPECT_ERROR(mq_open(NAME, O_RDWR | O_CREAT | O_EXCL, 0600, NULL), EEXIST);
	EXPECT_IS(mq_close(queue), 0);
	EXPECT_ERROR(mq_open(NAME, O_RDWR | O_CREAT | O_EXCL, 0600, NULL), EEXIST);
	take(open_queue(O_RDONLY), "kept", 1);
}

REQUIREMENT(open_exclusive_new, "mq_open, DESCRIPTION, O_EXCL",
	    "O_EXCL and O_CREAT make a new queue")
{
	EXPECT(mq_open(NAME, O_RDWR | O_CREAT | O_EXCL, 0600, NULL) != NONE);
}

REQUIREMENT(open_exclusive_alone, "mq_open, on Linux", "O_EXCL without O_CREAT is passed over")
{
	mqd_t queue = make_queue(O_RDWR);

	EXPECT(mq_open(NAME, O_RDWR | O_EXCL) != NONE);
	EXPECT_IS(mq_close(queue), 0);
}

#define ROUNDS 200

struct race {
	int round, won, arrived;
};

static void race(void *context)
{
	struct race *race = context;

	for (int round = 1; round <= ROUNDS; round++) {
		mqd_t queue;

		while (conform_await_word(&race->round) < round)
			(void)sched_yield();
		queue = mq_open(NAME, O_RDWR | O_CREAT | O_EXCL, 0600, NULL);
		if (queue == NONE) {
			EXPECT_IS(errno, EEXIST);
		} else {
			__atomic_add_fetch(&race->won, 1, __ATOMIC_RELAXED);
			EXPECT_IS(mq_close(queue), 0);
		}
		__atomic_add_fetch(&race->arrived, 1, __ATOMIC_RELEASE);
	}
}

REQUIREMENT(open_exclusive_atomic, "mq_open, DESCRIPTION, O_EXCL",
	    "looking and making are atomic among those who do it with O_EXCL")
{
	struct race *shared = conform_share(sizeof(*shared));
	pid_t racers[RACERS];

	for (int i = 0; i < RACERS; i++)
		racers[i] = conform_start(race, shared);
	for (int round = 1; round <= ROUNDS; round++) {
		conform_set_word(&shared->round, round);
		while (__atomic_load_n(&shared->arrived, __ATOMIC_ACQUIRE) < RACERS * round)
			(void)sched_yield();
		EXPECT_IS(shared->won, round);
		EXPECT_IS(mq_unlink(NAME), 0);
	}
	for (int i = 0; i < RACERS; i++)
		conform_await(racers[i]);
}

REQUIREMENT(open_read_only, "mq_open, DESCRIPTION, O_RDONLY",
	    "one can receive with it, and not send")
{
	mqd_t both = make_queue(O_RDWR), queue = open_queue(O_RDONLY);
	struct timespec far = after_ms(1000);

	EXPECT_ERROR(mq_send(queue, "x", 1, 0), EBADF);
	EXPECT_ERROR(mq_timedsend(queue, "x", 1, 0, &far), EBADF);
	EXPECT_MESSAGES(both, 0);
	put(both, "read", 1);
	take(queue, "read", 1);
}

REQUIREMENT(open_write_only, "mq_open, DESCRIPTION, O_WRONLY",
	    "one can send with it, and not receive")
{
	mqd_t both = make_queue(O_RDWR), queue = open_queue(O_WRONLY);
	struct timespec far = after_ms(1000);
	char buffer[BYTES];

	put(queue, "written", 1);
	EXPECT_ERROR(mq_receive(queue, buffer, sizeof(buffer), NULL), EBADF);
	EXPECT_ERROR(mq_timedreceive(queue, buffer, sizeof(buffer), NULL, &far), EBADF);
	take(both, "written", 1);
}

REQUIREMENT(open_read_write, "mq_open, DESCRIPTION, O_RDWR",
	    "one can both send and receive with it")
{
	mqd_t queue = make_queue(O_RDWR), again = open_queue(O_RDWR);

	put(again, "both", 1);
	take(queue, "both", 1);
	put(queue, "ways", 1);
	take(again, "ways", 1);
}

REQUIREMENT(open_create_read_only, "mq_open, DESCRIPTION, O_RDONLY",
	    "whoever makes a queue has the access that is asked for")
{
	mqd_t queue = make_queue(O_RDONLY);
	char buffer[BYTES];

	EXPECT_ERROR(mq_send(queue, "x", 1, 0), EBADF);
	EXPECT_IS(mq_unlink(NAME), 0);
	queue = make_queue(O_WRONLY);
	EXPECT_ERROR(mq_receive(queue, buffer, sizeof(buffer), NULL), EBADF);
}

REQUIREMENT(open_several, "mq_open, DESCRIPTION, O_RDONLY",
	    "a queue may be open several times for receiving, in one process and in others")
{
	mqd_t both = make_queue(O_RDWR), one = open_queue(O_RDONLY), other = open_queue(O_RDONLY);

	put(both, "1", 1);
	put(both, "2", 1);
	take(other, "1", 1);
	take(one, "2", 1);
}

REQUIREMENT(open_access_none, "mq_open, on Linux", "O_WRONLY with O_RDWR is EINVAL")
{
	mqd_t queue = make_queue(O_RDWR);

	EXPECT_ERROR(mq_open(NAME, O_RDWR | O_WRONLY), EINVAL);
	EXPECT_IS(mq_close(queue), 0);
}

REQUIREMENT(open_nonblock, "mq_open, DESCRIPTION, O_NONBLOCK", "O_NONBLOCK says whether calls wait")
{
	mqd_t queue = make_queue(O_RDWR | O_NONBLOCK), again = open_queue(O_RDWR);
	char buffer[BYTES];

	EXPECT_IS(attributes_of(queue).mq_flags, O_NONBLOCK);
	EXPECT_IS(attributes_of(again).mq_flags, 0);
	EXPECT_ERROR(mq_receive(queue, buffer, sizeof(buffer), NULL), EAGAIN);
}

REQUIREMENT(open_default_attributes, "mq_open, DESCRIPTION, O_CREAT; mq_overview(7), msg_default",
	    "without attributes the queue has default ones")
{
	mqd_t queue = mq_open(NAME, O_RDWR | O_CREAT | O_EXCL, 0600, NULL);
	static const char *const paths[] = {"/proc/sys/fs/mqueue/msg_default",
					    "/proc/sys/fs/mqueue/msgsize_default"};
	long expected[] = {10, 8192};
	struct mq_attr found;

	REQUIRE(queue != NONE);
	for (int i = 0; i < 2; i++) {
		FILE *file = fopen(paths[i], "re");

		if (file) {
			EXPECT_IS(fscanf(file, "%ld", &expected[i]), 1);
			fclose(file);
		}
	}
	found = attributes_of(queue);
	EXPECT_IS(found.mq_maxmsg, expected[0]);
	EXPECT_IS(found.mq_msgsize, expected[1]);
	EXPECT_IS(found.mq_flags, 0);
	EXPECT_IS(found.mq_curmsgs, 0);
}

REQUIREMENT(open_given_attributes, "mq_open, DESCRIPTION, O_CREAT",
	    "the queue has the mq_maxmsg and mq_msgsize that are given")
{
	static const long messages[] = {1, 3, 10}, bytes[] = {1, 100, 8192};

	for (int i = 0; i < 3; i++) {
		mqd_t queue = make_sized(NAME, O_RDWR, messages[i], bytes[i]);
		struct mq_attr found = attributes_of(queue);
		char data[8192] = "";

		EXPECT_IS(found.mq_maxmsg, messages[i]);
		EXPECT_IS(found.mq_msgsize, bytes[i]);
		for (long count = 0; count < messages[i]; count++)
			EXPECT_IS(mq_send(queue, data, (size_t)bytes[i], 0), 0);
		EXPECT_MESSAGES(queue, messages[i]);
		EXPECT_IS(mq_close(queue), 0);
		EXPECT_IS(mq_unlink(NAME), 0);
	}
}

REQUIREMENT(open_attribute_flags, "mq_open, DESCRIPTION, O_CREAT",
	    "mq_flags and mq_curmsgs of the given attributes are passed over")
{
	struct mq_attr given = {
		.mq_flags = O_NONBLOCK | 5, .mq_maxmsg = 2, .mq_msgsize = 8, .mq_curmsgs = 2};
	mqd_t queue = mq_open(NAME, O_RDWR | O_CREAT | O_EXCL, 0600, &given);

	REQUIRE(queue != NONE);
	EXPECT_IS(attributes_of(queue).mq_flags, 0);
	EXPECT_MESSAGES(queue, 0);
	EXPECT_IS(mq_unlink(NAME), 0);
	given.mq_flags = 0;
	queue = mq_open(NAME, O_RDWR | O_CREAT | O_EXCL | O_NONBLOCK, 0600, &given);
	EXPECT_IS(attributes_of(queue).mq_flags, O_NONBLOCK);
	EXPECT_IS(given.mq_curmsgs, 2);
}

static void refused(long messages, long bytes)
{
	struct mq_attr given = {.mq_maxmsg = messages, .mq_msgsize = bytes};

	EXPECT_ERROR(mq_open(NAME, O_RDWR | O_CREAT, 0600, &given), EINVAL);
	EXPECT_ERROR(mq_open(NAME, O_RDWR), ENOENT);
}

REQUIREMENT(open_no_messages, "mq_open, ERRORS, EINVAL", "mq_maxmsg is 0 or less")
{
	refused(0, BYTES);
	refused(-1, BYTES);
	refused(LONG_MIN, BYTES);
}

REQUIREMENT(open_no_bytes, "mq_open, ERRORS, EINVAL", "mq_msgsize is 0 or less")
{
	refused(MESSAGES, 0);
	refused(MESSAGES, -1);
	refused(MESSAGES, LONG_MIN);
	refused(0, 0);
}

REQUIREMENT(open_huge, "mq_open(3), EINVAL", "more than any limit of messages or bytes is EINVAL")
{
	refused(LONG_MAX, BYTES);
	refused(MESSAGES, LONG_MAX);
	refused(LONG_MAX, LONG_MAX);
}

REQUIREMENT(open_new_descriptor, "mq_open, RETURN VALUE",
	    "each opening gives a descriptor that no other open one has")
{
	mqd_t queues[8];

	queues[0] = make_queue(O_RDWR);
	for (int i = 1; i < 8; i++) {
		queues[i] = open_queue(O_RDWR);
		for (int k = 0; k < i; k++)
			EXPECT(queues[k] != queues[i]);
	}
	for (int i = 0; i < 8; i++)
		EXPECT_IS(mq_close(queues[i]), 0);
}

REQUIREMENT(open_eight_queues, "<limits.h>, _POSIX_MQ_OPEN_MAX",
	    "a process may have eight queues open at once")
{
	mqd_t queues[8];

	for (int i = 0; i < 8; i++) {
		queues[i] = make_sized(name_of(i), O_RDWR, 2, 8);
		put(queues[i], name_of(i) + strlen(name_of(i)) - 1, (unsigned)i);
	}
	for (int i = 0; i < 8; i++)
		take(queues[i], name_of(i) + strlen(name_of(i)) - 1, (unsigned)i);
}

REQUIREMENT(open_no_descriptors, "mq_open, ERRORS, EMFILE",
	    "all descriptors of the process are used")
{
	mqd_t queue = make_queue(O_RDWR);
	struct rlimit limit;
	int unused = dup(queue);

	close(unused);
	REQUIRE(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	limit.rlim_cur = (rlim_t)unused;
	REQUIRE(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	EXPECT_ERROR(mq_open(NAME, O_RDWR), EMFILE);
	EXPECT_ERROR(mq_open(OTHER, O_RDWR | O_CREAT, 0600, NULL), EMFILE);
	put(queue, "usable", 1);
	take(queue, "usable", 1);
}

REQUIREMENT(open_last_descriptor, "mq_open, ERRORS, EMFILE",
	    "one descriptor that is free is enough on Linux")
{
	mqd_t queue = make_queue(O_RDWR);
	struct rlimit limit;
	int unused = dup(queue);

	close(unused);
	REQUIRE(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	limit.rlim_cur = (rlim_t)unused + 1;
	REQUIRE(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	EXPECT_IS(mq_open(NAME, O_RDWR), unused);
}

REQUIREMENT(open_lowest, "mq_overview(7), descriptors; open(2)",
	    "as of a file the descriptor is the lowest that is free")
{
	mqd_t queue = make_queue(O_RDWR), lowest = open_queue(O_RDWR), next = open_queue(O_RDWR);

	EXPECT_IS(mq_close(lowest), 0);
	EXPECT_IS(mq_open(NAME, O_RDWR), lowest);
	EXPECT(next > lowest && queue != lowest);
}

static void fortified(void *context)
{
	mqd_t (*open_2)(const char *, int) = (mqd_t(*)(const char *, int))(uintptr_t)context;
	mqd_t queue = make_queue(O_RDWR);
	mqd_t again = open_2(NAME, O_RDWR);

	EXPECT(again != NONE);
	put(queue, "fortified", 1);
	take(again, "fortified", 1);
}

REQUIREMENT(open_fortified, "__mq_open_2 of the Linux Standard Base",
	    "programs that were compiled with _FORTIFY_SOURCE open queues")
{
	void *open_2 = dlsym(RTLD_DEFAULT, "__mq_open_2");

	if (!open_2 || strcmp(conform_implementation, "compat") == 0)
		conform_skip("such programs call the C library's function");
	fortified(open_2);
}
