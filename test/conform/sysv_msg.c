/* SPDX-License-Identifier: Apache-2.0 */

/* What the requirements of System V's message queues share. */

#include "sysv_msg.h"

int send_text(int id, long type, const char *text, int flags)
{
	struct message message = {.type = type};

	memcpy(message.text, text, strlen(text));
	return msgsnd(id, &message, strlen(text), flags);
}

int send_bytes(int id, long type, size_t bytes, int flags)
{
	struct message message = {.type = type};

	memset(message.text, 'x', sizeof(message.text));
	return msgsnd(id, &message, bytes, flags);
}

ssize_t receive(int id, long type, struct message *message, size_t bytes, int flags)
{
	memset(message, 0x77, sizeof(*message));
	return msgrcv(id, message, bytes, type, flags);
}

void put(int id, long type, const char *text)
{
	EXPECT_IS(send_text(id, type, text, IPC_NOWAIT), 0);
}

void take(int id, long wanted, long type, const char *text)
{
	struct message message;
	ssize_t bytes = receive(id, wanted, &message, MESSAGE_MAX, IPC_NOWAIT);

	EXPECT_IS(bytes, strlen(text));
	EXPECT_IS(message.type, type);
	EXPECT(bytes < 0 || memcmp(message.text, text, strlen(text)) == 0);
}

void expect_none(int id, long wanted)
{
	struct message message;

	EXPECT_ERROR(receive(id, wanted, &message, MESSAGE_MAX, IPC_NOWAIT), ENOMSG);
}

void fill(int id)
{
	struct msqid_ds queue = queue_of(id);
	size_t room = queue.msg_qbytes - queue.__msg_cbytes;

	while (room > 0) {
		size_t bytes = room < MESSAGE_MAX ? room : MESSAGE_MAX;

		REQUIRE(send_bytes(id, 9, bytes, IPC_NOWAIT) == 0);
		room -= bytes;
	}
}

struct msqid_ds queue_of(int id)
{
	return status_of(MSG, id).msg;
}

int set_bytes(int id, unsigned long bytes)
{
	struct msqid_ds queue = queue_of(id);

	queue.msg_qbytes = bytes;
	return msgctl(id, IPC_SET, &queue);
}

void process_calls(void *context)
{
	const struct caller *caller = context;
	struct message message;
	ssize_t result;

	errno = 0;
	if (caller->sends)
		result = caller->text
				 ? send_text(caller->id, caller->type, caller->text, caller->flags)
				 : send_bytes(caller->id, caller->type, caller->bytes,
					      caller->flags);
	else
		result = receive(caller->id, caller->type, &message,
				 caller->bytes ? caller->bytes : MESSAGE_MAX, caller->flags);
	if (caller->error) {
		EXPECT_IS(result, -1);
		EXPECT_IS(errno, caller->error);
	} else if (caller->sends) {
		EXPECT_IS(result, 0);
	} else {
		EXPECT_IS(result, strlen(caller->text));
		EXPECT_IS(message.type, caller->from);
		EXPECT_IS(memcmp(message.text, caller->text, strlen(caller->text)), 0);
	}
}

struct caller make_blocking(bool sends)
{
	struct caller caller = {.id = make(MSG), .sends = sends, .type = sends ? 1 : 0};

	caller.text = sends ? "sent" : "go";
	caller.from = 2;
	if (sends)
		fill(caller.id);
	return caller;
}

void let_go(const struct caller *caller)
{
	struct message message;

	if (caller->sends)
		EXPECT(receive(caller->id, 9, &message, MESSAGE_MAX, IPC_NOWAIT) > 0);
	else
		put(caller->id, 2, "go");
}

int main(int count, char **arguments)
{
	return sysv_main("msgsnd", count, arguments);
}
