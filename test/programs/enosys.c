/* SPDX-License-Identifier: Apache-2.0 */

/* A library to be preloaded that has nothing of all this: the control of posix_test.py and sysv_test.py. */

#include <dlfcn.h>
#include <errno.h>
#include <mqueue.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>

/* What PHP opens with RTLD_DEEPBIND would find the C library's calls before those here. */
void *dlopen(const char *path, int flags)
{
	void *(*next)(const char *path, int flags);

	*(void **)&next = dlsym(RTLD_NEXT, "dlopen");
	return next(path, flags & ~RTLD_DEEPBIND);
}

static int fail(void)
{
	errno = ENOSYS;
	return -1;
}

mqd_t mq_open(const char *name, int oflag, ...)
{
	(void)name;
	(void)oflag;
	return (mqd_t)fail();
}

mqd_t __mq_open_2(const char *name, int oflag);

mqd_t __mq_open_2(const char *name, int oflag)
{
	return mq_open(name, oflag);
}

int mq_unlink(const char *name)
{
	(void)name;
	return fail();
}

int msgget(key_t key, int flags)
{
	(void)key;
	(void)flags;
	return fail();
}

int semget(key_t key, int count, int flags)
{
	(void)key;
	(void)count;
	(void)flags;
	return fail();
}

int shmget(key_t key, size_t bytes, int flags)
{
	(void)key;
	(void)bytes;
	(void)flags;
	return fail();
}
