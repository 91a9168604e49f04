/* SPDX-License-Identifier: Apache-2.0 */

/* msgsnd: what is sent, how much, and until when. */

#include "sysv_msg.h"

REQUIREMENT(send_received, "msgsnd, DESCRIPTION", "what is received is what was sent, and its type")
{
	int id = make(MSG);

	put(id, 1, "text");
	put(id, LONG_MAX, "another text");
	take(id, 0, 1, "text");
	take(id, 0, LONG_MAX, "another text");
	expect_none(id, 0);
}

REQUIREMENT(send_order, "msgsnd, DESCRIPTION; msgrcv, DESCRIPTION",
	    "messages are received in the order in which they were sent")
{
	int id = make(MSG);
	char text[16];

	for (int i = 0; i < 300; i++) {
		snprintf(text, sizeof(text), "%d", i);
		put(id, 1 + i % 7, text);
	}
	for (int i = 0; i < 300; i++) {
		snprintf(text, sizeof(text), "%d", i);
		take(id, 0, 1 + i % 7, text);
	}
}

REQUIREMENT(send_empty, "msgop(2), DESCRIPTION", "a message may have no text")
{
	int id = make(MSG);

	put(id, 5, "");
	EXPECT_MESSAGES(id, 1);
	take(id, 5, 5, "");
	EXPECT_MESSAGES(id, 0);
}

REQUIREMENT(send_bytes_any, "msgsnd, DESCRIPTION", "a text may have any bytes, also zero")
{
	struct message sent = {.type = 3}, got;
	int id = make(MSG);

	for (int i = 0; i < 256; i++)
		sent.text[i] = (char)i;
	EXPECT_IS(msgsnd(id, &sent, 256, 0), 0);
	EXPECT_IS(receive(id, 0, &got, 256, 0), 256);
	EXPECT_IS(memcmp(sent.text, got.text, 256), 0);
}

REQUIREMENT(send_sizes, "msgsnd, DESCRIPTION", "each size up to the largest goes and comes whole")
{
	struct message sent = {.type = 1}, got;
	int id = make(MSG);

	for (size_t i = 0; i < MESSAGE_MAX; i++)
		sent.text[i] = (char)(i * 7 + i / 256);
	for (size_t bytes = 0; bytes <= MESSAGE_MAX; bytes += bytes < 300 ? 1 : 127) {
		EXPECT_IS(msgsnd(id, &sent, bytes, IPC_NOWAIT), 0);
		EXPECT_IS(receive(id, 0, &got, MESSAGE_MAX, IPC_NOWAIT), bytes);
		EXPECT_IS(memcmp(sent.text, got.text, bytes), 0);
	}
	EXPECT_IS(msgsnd(id, &sent, MESSAGE_MAX, IPC_NOWAIT), 0);
	EXPECT_IS(receive(id, 0, &got, MESSAGE_MAX, IPC_NOWAIT), MESSAGE_MAX);
	EXPECT_IS(memcmp(sent.text, got.text, MESSAGE_MAX), 0);
}

REQUIREMENT(send_too_long, "msgsnd, ERRORS, EINVAL; msgop(2), MSGMAX",
	    "more than the largest size is EINVAL, and so is a negative size")
{
	int id = make(MSG);

	EXPECT_IS(send_bytes(id, 1, MESSAGE_MAX, IPC_NOWAIT), 0);
	EXPECT_ERROR(send_bytes(id, 1, MESSAGE_MAX + 1, IPC_NOWAIT), EINVAL);
	EXPECT_ERROR(send_bytes(id, 1, (size_t)-1, IPC_NOWAIT), EINVAL);
	EXPECT_ERROR(send_bytes(id, 1, SIZE_MAX / 2, IPC_NOWAIT), EINVAL);
	EXPECT_MESSAGES(id, 1);
}

REQUIREMENT(send_no_type, "msgsnd, ERRORS, EINVAL", "a type below 1 is EINVAL")
{
	int id = make(MSG);

	EXPECT_ERROR(send_text(id, 0, "text", IPC_NOWAIT), EINVAL);
	EXPECT_ERROR(send_text(id, -1, "text", IPC_NOWAIT), EINVAL);
	EXPECT_ERROR(send_text(id, LONG_MIN, "text", IPC_NOWAIT), EINVAL);
	EXPECT_MESSAGES(id, 0);
}

REQUIREMENT(send_no_queue, "msgsnd, ERRORS, EINVAL", "an identifier that is nobody's is EINVAL")
{
	int id = make(MSG);

	EXPECT_ERROR(send_text(-1, 1, "text", 0), EINVAL);
	EXPECT_ERROR(send_text(INT32_MAX, 1, "text", 0), EINVAL);
	erase(MSG, id);
	EXPECT_ERROR(send_text(id, 1, "text", 0), EINVAL);
}

REQUIREMENT(send_pointer, "msgop(2), ERRORS, EFAULT",
	    "a message that leads nowhere is EFAULT, and nothing is sent")
{
	int id = make(MSG);
	char *nowhere = make_nowhere();

	EXPECT_ERROR(msgsnd(id, nowhere, 4, IPC_NOWAIT), EFAULT);
	EXPECT_ERROR(msgsnd(-1, nowhere, 4, IPC_NOWAIT), EFAULT);
	EXPECT_MESSAGES(id, 0);
}

REQUIREMENT(send_full, "msgsnd, DESCRIPTION, IPC_NOWAIT; ERRORS, EAGAIN",
	    "what exceeds the bytes of the queue is EAGAIN with IPC_NOWAIT")
{
	int id = make(MSG);

	fill(id);
	EXPECT_IS(queue_of(id).__msg_cbytes, QUEUE_MAX);
	EXPECT_ERROR(send_text(id, 1, "x", IPC_NOWAIT), EAGAIN);
	/* No bytes are no more bytes. */
	put(id, 1, "");
	EXPECT_ERROR(send_text(id, 1, "x", IPC_NOWAIT), EAGAIN);
}

REQUIREMENT(send_fits, "msgsnd, DESCRIPTION", "what fills the queue to its last byte is sent")
{
	int id = make(MSG);

	EXPECT_IS(set_bytes(id, 10), 0);
	put(id, 1, "12345");
	EXPECT_ERROR(send_text(id, 1, "123456", IPC_NOWAIT), EAGAIN);
	put(id, 1, "12345");
	EXPECT_ERROR(send_text(id, 1, "1", IPC_NOWAIT), EAGAIN);
	take(id, 0, 1, "12345");
	put(id, 1, "1234");
	put(id, 1, "1");
}

REQUIREMENT(send_count, "msgop(2), DESCRIPTION",
	    "a queue has no more messages than bytes, so that those without text are limited too")
{
	int id = make(MSG);

	EXPECT_IS(set_bytes(id, 7), 0);
	for (int i = 0; i < 7; i++)
		put(id, 1, "");
	EXPECT_ERROR(send_text(id, 1, "", IPC_NOWAIT), EAGAIN);
	take(id, 0, 1, "");
	put(id, 1, "");
	EXPECT_ERROR(send_text(id, 1, "", IPC_NOWAIT), EAGAIN);
}

REQUIREMENT(send_many_empty, "msgop(2), DESCRIPTION",
	    "a queue as it is made takes as many messages without text as it takes bytes")
{
	int id = make(MSG);

	for (int i = 0; i < QUEUE_MAX; i++)
		REQUIRE(send_text(id, 1, "", IPC_NOWAIT) == 0);
	EXPECT_ERROR(send_text(id, 1, "", IPC_NOWAIT), EAGAIN);
	EXPECT_MESSAGES(id, QUEUE_MAX);
	for (int i = 0; i < QUEUE_MAX; i++) {
		struct message message;

		REQUIRE(msgrcv(id, &message, 0, 0, IPC_NOWAIT) == 0);
	}
	EXPECT_MESSAGES(id, 0);
}

REQUIREMENT(send_blocks, "msgsnd, DESCRIPTION", "without room it blocks until there is some")
{
	struct caller caller = make_blocking(true);
	pid_t child = block(process_calls, &caller);

	EXPECT_MESSAGES(caller.id, 2);
	let_go(&caller);
	conform_await(child);
	take(caller.id, 1, 1, "sent");
}

REQUIREMENT(send_blocks_count, "msgop(2), DESCRIPTION",
	    "it blocks also when there are as many messages as bytes")
{
	struct caller caller = {.id = make(MSG), .sends = true, .type = 2, .text = ""};
	pid_t child;

	EXPECT_IS(set_bytes(caller.id, 2), 0);
	put(caller.id, 1, "");
	put(caller.id, 1, "");
	child = block(process_calls, &caller);
	take(caller.id, 0, 1, "");
	conform_await(child);
	take(caller.id, 2, 2, "");
}

REQUIREMENT(send_small_passes, "msgsnd, DESCRIPTION",
	    "a message for which there is room is sent while a larger one waits for room")
{
	struct caller caller = {.id = make(MSG), .sends = true, .type = 2, .text = "123456"};
	pid_t child;

	EXPECT_IS(set_bytes(caller.id, 10), 0);
	put(caller.id, 1, "12345");
	child = block(process_calls, &caller);
	put(caller.id, 3, "123");
	take(caller.id, 3, 3, "123");
	conform_await_blocked(child, 0);
	take(caller.id, 1, 1, "12345");
	conform_await(child);
	take(caller.id, 2, 2, "123456");
}

REQUIREMENT(send_blocked_many, "msgsnd, DESCRIPTION",
	    "all of several blocked get through in the end")
{
	enum { COUNT = 6 };
	struct caller caller = make_blocking(true);
	pid_t children[COUNT];
	struct message message;

	for (int i = 0; i < COUNT; i++)
		children[i] = block(process_calls, &caller);
	for (int i = 0; i < 2; i++)
		EXPECT_IS(receive(caller.id, 9, &message, MESSAGE_MAX, 0), MESSAGE_MAX);
	for (int i = 0; i < COUNT; i++)
		conform_await(children[i]);
	for (int i = 0; i < COUNT; i++)
		take(caller.id, 1, 1, "sent");
	expect_none(caller.id, 0);
}

REQUIREMENT(send_raised, "msgctl, DESCRIPTION, IPC_SET; msgop(2)",
	    "who is blocked goes on when the bytes of the queue are raised")
{
	struct caller caller = {.id = make(MSG), .sends = true, .type = 2, .text = "123456"};
	pid_t child;

	EXPECT_IS(set_bytes(caller.id, 5), 0);
	child = block(process_calls, &caller);
	EXPECT_IS(set_bytes(caller.id, 6), 0);
	conform_await(child);
	take(caller.id, 2, 2, "123456");
}

REQUIREMENT(send_beyond, "msgsnd, DESCRIPTION, msg_qbytes",
	    "what is larger than the queue's bytes is not sent, even if a receiver waits for it")
{
	struct caller caller = {.id = make(MSG), .text = "1234", .from = 1};
	pid_t child;

	EXPECT_IS(set_bytes(caller.id, 4), 0);
	child = block(process_calls, &caller);
	EXPECT_ERROR(send_text(caller.id, 1, "12345", IPC_NOWAIT), EAGAIN);
	put(caller.id, 1, "1234");
	conform_await(child);
}

REQUIREMENT(send_lowered, "msgctl, DESCRIPTION, IPC_SET",
	    "bytes may be set below what lies there: it stays, and nothing is added")
{
	int id = make(MSG);

	put(id, 1, "12345");
	put(id, 1, "67890");
	EXPECT_IS(set_bytes(id, 6), 0);
	EXPECT_ERROR(send_text(id, 1, "", IPC_NOWAIT), EAGAIN);
	take(id, 0, 1, "12345");
	put(id, 1, "1");
	EXPECT_ERROR(send_text(id, 1, "1", IPC_NOWAIT), EAGAIN);
	take(id, 0, 1, "67890");
	EXPECT_IS(set_bytes(id, 0), 0);
	take(id, 0, 1, "1");
	EXPECT_ERROR(send_text(id, 1, "", IPC_NOWAIT), EAGAIN);
}

static void raises(void *context)
{
	int id = *(int *)context;

	EXPECT_IS(set_bytes(id, 100), 0);
	EXPECT_IS(set_bytes(id, QUEUE_MAX), 0);
	EXPECT_ERROR(set_bytes(id, QUEUE_MAX + 1), EPERM);
	EXPECT_IS(queue_of(id).msg_qbytes, QUEUE_MAX);
}

REQUIREMENT(bytes_limit, "msgctl, ERRORS, EPERM; msgctl(2), MSGMNB",
	    "the owner sets the bytes up to the limit; beyond, only who has CAP_SYS_RESOURCE")
{
	int id;

	if (geteuid() != 0)
		conform_skip("only root can be several users");
	id = make_as(MSG, NOBODY, 0600);
	conform_act_as(NOBODY, raises, &id);
	if (!has_capability(CAPABILITY_RESOURCE)) {
		EXPECT_ERROR(set_bytes(id, QUEUE_MAX + 1), EPERM);
		return;
	}
	EXPECT_IS(set_bytes(id, QUEUE_MAX + 1000), 0);
	EXPECT_IS(queue_of(id).msg_qbytes, QUEUE_MAX + 1000);
	fill(id);
	EXPECT_IS(queue_of(id).__msg_cbytes, QUEUE_MAX + 1000);
	EXPECT_ERROR(send_text(id, 1, "x", IPC_NOWAIT), EAGAIN);
}

REQUIREMENT(bytes_default, "msgget(2), DESCRIPTION, msg_qbytes; MSGMNB",
	    "a new queue has as many bytes as the limit says")
{
	struct msginfo info;

	EXPECT(msgctl(0, IPC_INFO, (struct msqid_ds *)&info) >= 0);
	EXPECT_IS(queue_of(make(MSG)).msg_qbytes, info.msgmnb);
}
