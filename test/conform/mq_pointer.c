/* SPDX-License-Identifier: Apache-2.0 */

/* Pointers that lead nowhere, of which Linux says EFAULT. */

#include <sys/mman.h>
#include <sys/syscall.h>

#include "mq.h"

#define PAGE 4096

/* A page that may not be touched. */
static void *make_nowhere(void)
{
	void *page = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	REQUIRE(page != MAP_FAILED);
	return page;
}

REQUIREMENT(pointer_sent, "mq_send(3), mq_timedsend; errno(3), EFAULT",
	    "a message or a deadline that cannot be read is EFAULT, and nothing is sent")
{
	mqd_t queue = make_queue(O_RDWR);
	const void *nowhere = make_nowhere();

	EXPECT_ERROR(mq_send(queue, nowhere, BYTES, 0), EFAULT);
	EXPECT_ERROR(mq_send(queue, nowhere, BYTES + 1, 0), EMSGSIZE);
	EXPECT_ERROR(mq_send(NONE, nowhere, BYTES, 0), EBADF);
	EXPECT_ERROR(mq_timedsend(queue, "text", 4, 0, nowhere), EFAULT);
	EXPECT_MESSAGES(queue, 0);
	/* Of a message of no bytes none is read. */
	EXPECT_IS(mq_send(queue, nowhere, 0, 0), 0);
	take(queue, "", 0);
}

REQUIREMENT(pointer_received, "mq_receive(3), mq_timedreceive; errno(3), EFAULT",
	    "a buffer, a priority or a deadline that leads nowhere is EFAULT")
{
	mqd_t queue = make_queue(O_RDWR | O_NONBLOCK);
	void *nowhere = make_nowhere();
	char buffer[BYTES];

	EXPECT_ERROR(mq_timedreceive(queue, buffer, BYTES, NULL, nowhere), EFAULT);
	EXPECT_ERROR(mq_receive(queue, nowhere, BYTES - 1, NULL), EMSGSIZE);
	EXPECT_ERROR(mq_receive(queue, buffer, BYTES, nowhere), EAGAIN);
	EXPECT_IS(mq_send(queue, "text", 4, 0), 0);
	EXPECT_ERROR(mq_receive(queue, nowhere, BYTES, NULL), EFAULT);
	/* Linux has lost it. */
	(void)!mq_receive(queue, buffer, BYTES, NULL);
	EXPECT_IS(mq_send(queue, "text", 4, 0), 0);
	EXPECT_ERROR(mq_receive(queue, buffer, BYTES, nowhere), EFAULT);
}

REQUIREMENT(pointer_attributes, "mq_open(2), mq_getattr(3), mq_setattr; errno(3), EFAULT",
	    "attributes that lead nowhere are EFAULT; those that are NULL are not told")
{
	mqd_t queue = make_queue(O_RDWR);
	/* Not known to be one that cannot be NULL. */
	struct mq_attr attributes = {.mq_flags = O_NONBLOCK}, *volatile none = NULL;
	void *nowhere = make_nowhere();

	EXPECT_ERROR(mq_open(OTHER, O_RDWR | O_CREAT, 0600, nowhere), EFAULT);
	EXPECT_ERROR(mq_open(OTHER, O_RDWR), ENOENT);
	EXPECT_ERROR(mq_getattr(queue, nowhere), EFAULT);
	EXPECT_ERROR(mq_setattr(queue, nowhere, NULL), EFAULT);
	EXPECT_ERROR(mq_setattr(queue, &attributes, nowhere), EFAULT);
	EXPECT_IS(mq_getattr(queue, none), 0);
}

REQUIREMENT(pointer_direct, "mq_open(2), mq_unlink(2), mq_notify(2); errno(3), EFAULT",
	    "the system calls say it of names, attributes and notifications, too")
{
	mqd_t queue = make_queue(O_RDWR);
	void *nowhere = make_nowhere();

	if (strcmp(conform_implementation, "compat") == 0)
		conform_skip("the system calls are the kernel's");
	EXPECT_ERROR(syscall(SYS_mq_open, nowhere, O_RDWR, 0, NULL), EFAULT);
	EXPECT_ERROR(syscall(SYS_mq_open, NAME + 1, O_RDWR, 0, nowhere), EFAULT);
	EXPECT_ERROR(syscall(SYS_mq_unlink, nowhere), EFAULT);
	EXPECT_ERROR(syscall(SYS_mq_notify, queue, nowhere), EFAULT);
	EXPECT_ERROR(syscall(SYS_mq_getsetattr, queue, nowhere, NULL), EFAULT);
	EXPECT_ERROR(syscall(SYS_mq_getsetattr, queue, NULL, nowhere), EFAULT);
}
