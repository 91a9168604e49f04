/* SPDX-License-Identifier: Apache-2.0 */

/* A library to be preloaded that has no message queues: the control of posix_test.py. */

#include <errno.h>
#include <mqueue.h>

mqd_t mq_open(const char *name, int oflag, ...)
{
	(void)name;
	(void)oflag;
	errno = ENOSYS;
	return (mqd_t)-1;
}

mqd_t __mq_open_2(const char *name, int oflag);

mqd_t __mq_open_2(const char *name, int oflag)
{
	return mq_open(name, oflag);
}

int mq_unlink(const char *name)
{
	(void)name;
	errno = ENOSYS;
	return -1;
}
