/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Scribbles over what message queues of the POSIX face rely on, beside what every queue does: the notice, who is blocked,
 * the levels of the descriptor, from where on all priorities are one, who may do what; and over the locks (mq_gate.c has
 * those that seem to be held).  See scribbler.h.
 */

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <tenon/posix.h>

#include "mq_calls.h"
#include "object/queue_private.h"
#include "posix/mq_table.h"
#include "scribbled.h"

/* Descriptors as pointers. */
#define AS_OBJECT(fd) ((void *)((intptr_t)(fd) + 1))
#define AS_DESCRIPTOR(object) ((mqd_t)((intptr_t)(object)-1))

static int mq_open_attacked(struct tenon_region *region, uint32_t flags, void **ret_object)
{
	int result = region ? -EINVAL : 0, fd;

	if (result == 0 && flags & TENON_CREATE)
		result = mq_calls_make();
	if (result != 0)
		return result;
	fd = mq_calls_open(O_RDWR | O_NONBLOCK);
	if (fd < 0)
		return fd;
	*ret_object = AS_OBJECT(fd);
	return 0;
}

static void mq_remove(void)
{
	tenon_mq_unlink(MQ_CALLS_NAME);
}

static void mq_call(void *object)
{
	mq_calls_all(AS_DESCRIPTOR(object));
}

/* Nothing that might see that the registration is none any more. */
static void mq_withdraw(void *object)
{
	(void)!tenon_mq_notify(AS_DESCRIPTOR(object), NULL);
}

static void mq_only_close(void *object)
{
	(void)object;
}

static void mq_close_attacked(void *object)
{
	mq_calls_close(AS_DESCRIPTOR(object));
}

static int mq_hold(void *object)
{
	return mq_calls_register(AS_DESCRIPTOR(object));
}

static void mq_wait(void *object)
{
	mq_calls_wait(AS_DESCRIPTOR(object));
}

static uint32_t mq_waiting(void *object)
{
	struct tenon_queue_status status = {.size = sizeof(status)};
	struct tni_mqd *descriptor = tni_mqd_enter(AS_DESCRIPTOR(object));
	int result;

	if (!descriptor)
		_exit(IMPOSSIBLE);
	result = tenon_queue_status(descriptor->mq->queue, &status);
	tni_mqd_leave(descriptor);
	return result == 0 ? status.receivers_waiting : 0;
}

#define CONTROL_AT(member) \
	TNI_PARTICIPANTS_OFFSET + TNI_PAGE_BYTES + offsetof(struct tni_queue_control, member)
#define NOTICED_BYTES \
	(offsetof(struct tni_queue_control, idle) - offsetof(struct tni_queue_control, poll_wanted))

_Static_assert((CONTROL_AT(poll_wanted)) % 8 == 0, "words of the sweep");

/* poll_wanted, the notice and the levels lie in a row. */
static const struct scribbled_range ranges[] = {
	{0, sizeof(struct tni_object_header), false},
	{TNI_PARTICIPANTS_OFFSET, 2 * sizeof(struct tni_participant), false},
	{CONTROL_AT(send.gate.word), 8, true},
	{CONTROL_AT(receive.gate.word), 8, true},
	{CONTROL_AT(poll_wanted), NOTICED_BYTES, false},
	{CONTROL_AT(uniform), offsetof(struct tni_queue_uniform, reserved), false},
	{CONTROL_AT(waitroom.asleep[TNI_CLASS_MESSAGE][0]), 8, false},
	{0, 0, false},
};

#define KIND(noun, letters)                                                                  \
	.name = (noun), .file = "q.attacked", .open = mq_open_attacked, .remove = mq_remove, \
	.call = mq_##letters, .close = mq_close_attacked, .hold = mq_hold, .wait = mq_wait,  \
	.waiting = mq_waiting, .waits_for_held = true, .sample = 2, .ranges = ranges

int main(int argc, char **argv)
{
	static const struct scribbled kinds[] = {
		{KIND("mq", call)},
		{KIND("withdraw", withdraw)},
		{KIND("close", only_close)},
	};

	return scribbler_main(argc, argv, kinds, sizeof(kinds) / sizeof(kinds[0]));
}
