/* SPDX-License-Identifier: Apache-2.0 */

/* Says what message queues it may have: limits_test.py runs it on the kernel's and on `tenon run --limits kernel`. */

#include <errno.h>
#include <mqueue.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#define NAME_BYTES 32
#define QUEUES_MOST 300

static void try_one(long messages, long bytes)
{
	struct mq_attr attributes = {.mq_maxmsg = messages, .mq_msgsize = bytes};
	mqd_t queue = mq_open("/limits", O_CREAT | O_EXCL | O_RDWR, (mode_t)0600, &attributes);

	printf("%ld of %ld bytes: %s\n", messages, bytes, queue < 0 ? strerror(errno) : "yes");
	if (queue >= 0) {
		mq_close(queue);
		mq_unlink("/limits");
	}
}

/* How many there can be. */
static void try_many(void)
{
	char name[NAME_BYTES];
	int count;

	for (count = 0; count < QUEUES_MOST; count++) {
		mqd_t queue;

		snprintf(name, sizeof(name), "/limits%d", count);
		queue = mq_open(name, O_CREAT | O_RDWR, (mode_t)0600, NULL);
		if (queue < 0)
			break;
		mq_close(queue);
	}
	printf("%d queues, then: %s\n", count, count < QUEUES_MOST ? strerror(errno) : "more");
	while (count-- > 0) {
		snprintf(name, sizeof(name), "/limits%d", count);
		mq_unlink(name);
	}
}

int main(void)
{
	static const long sizes[][2] = {{10, 8192}, {11, 8192},	   {10, 8193},	 {0, 1},
					{-1, 1},    {1, 0},	   {65536, 1},	 {65537, 1},
					{10, 1},    {1, 16777216}, {1, 16777217}};
	struct rlimit small = {100000, 100000};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		try_one(sizes[i][0], sizes[i][1]);
	try_many();
	if (setrlimit(RLIMIT_MSGQUEUE, &small) != 0)
		return 1;
	try_many();
	return 0;
}
