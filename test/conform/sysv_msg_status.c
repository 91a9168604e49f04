/* SPDX-License-Identifier: Apache-2.0 */

/* struct msqid_ds, and what msgctl tells of the system. */

#include "sysv_msg.h"

REQUIREMENT(status_new, "msgget, DESCRIPTION",
	    "a new queue has no messages, senders, receivers and times")
{
	struct msqid_ds queue = queue_of(make(MSG));

	EXPECT_IS(queue.msg_qnum, 0);
	EXPECT_IS(queue.__msg_cbytes, 0);
	EXPECT_IS(queue.msg_lspid, 0);
	EXPECT_IS(queue.msg_lrpid, 0);
	EXPECT_IS(queue.msg_stime, 0);
	EXPECT_IS(queue.msg_rtime, 0);
}

REQUIREMENT(status_sent, "msgsnd, DESCRIPTION",
	    "what is sent counts, and its sender and the time are told")
{
	int id = make(MSG);
	time_t before = time(NULL);
	struct msqid_ds queue;
	struct caller caller = {.id = id, .sends = true, .type = 1, .text = "more"};
	pid_t child;

	put(id, 1, "text");
	queue = queue_of(id);
	EXPECT_IS(queue.msg_qnum, 1);
	EXPECT_IS(queue.__msg_cbytes, 4);
	EXPECT_IS(queue.msg_lspid, getpid());
	EXPECT_SINCE(queue.msg_stime, before);
	EXPECT_IS(queue.msg_lrpid, 0);
	EXPECT_IS(queue.msg_rtime, 0);
	child = conform_start(process_calls, &caller);
	conform_await(child);
	queue = queue_of(id);
	EXPECT_IS(queue.msg_qnum, 2);
	EXPECT_IS(queue.__msg_cbytes, 8);
	EXPECT_IS(queue.msg_lspid, child);
}

REQUIREMENT(status_received, "msgrcv, DESCRIPTION",
	    "what is received counts no more, and its receiver and the time are told")
{
	int id = make(MSG);
	struct msqid_ds queue, old;
	struct caller caller = {.id = id, .text = "more", .from = 1};
	time_t before;
	pid_t child;

	put(id, 1, "text");
	put(id, 1, "more");
	old = queue_of(id);
	await_after(old.msg_stime);
	before = time(NULL);
	take(id, 0, 1, "text");
	queue = queue_of(id);
	EXPECT_IS(queue.msg_qnum, 1);
	EXPECT_IS(queue.__msg_cbytes, 4);
	EXPECT_IS(queue.msg_lrpid, getpid());
	EXPECT_SINCE(queue.msg_rtime, before);
	EXPECT_IS(queue.msg_stime, old.msg_stime);
	EXPECT_IS(queue.msg_ctime, old.msg_ctime);
	child = conform_start(process_calls, &caller);
	conform_await(child);
	EXPECT_IS(queue_of(id).msg_lrpid, child);
	EXPECT_IS(queue_of(id).msg_lspid, getpid());
	EXPECT_IS(queue_of(id).__msg_cbytes, 0);
}

REQUIREMENT(status_handed, "msgsnd, msgrcv, DESCRIPTION",
	    "sender and receiver are told also of what a blocked receiver is given")
{
	struct caller caller = make_blocking(false);
	pid_t child = block(process_calls, &caller);
	time_t before = time(NULL);
	struct msqid_ds queue;

	let_go(&caller);
	conform_await(child);
	queue = queue_of(caller.id);
	EXPECT_IS(queue.msg_lspid, getpid());
	EXPECT_IS(queue.msg_lrpid, child);
	EXPECT_SINCE(queue.msg_stime, before);
	EXPECT_SINCE(queue.msg_rtime, before);
	EXPECT_IS(queue.msg_qnum, 0);
	EXPECT_IS(queue.__msg_cbytes, 0);
}

REQUIREMENT(status_blocked, "msgsnd, DESCRIPTION",
	    "who is blocked has not sent yet; when it has, it is the last sender")
{
	struct caller caller = make_blocking(true);
	pid_t child = block(process_calls, &caller);

	EXPECT_IS(queue_of(caller.id).msg_lspid, getpid());
	EXPECT_MESSAGES(caller.id, 2);
	let_go(&caller);
	conform_await(child);
	EXPECT_IS(queue_of(caller.id).msg_lspid, child);
	EXPECT_IS(queue_of(caller.id).__msg_cbytes, QUEUE_MAX - MESSAGE_MAX + 4);
}

REQUIREMENT(status_failed, "msgsnd, msgrcv, RETURN VALUE", "a call that fails changes nothing")
{
	int id = make(MSG);
	struct msqid_ds before, after;
	struct message message;

	put(id, 9, "text");
	before = queue_of(id);
	await_after(time(NULL));
	EXPECT_ERROR(send_text(id, 0, "x", 0), EINVAL);
	EXPECT_ERROR(send_bytes(id, 1, MESSAGE_MAX + 1, 0), EINVAL);
	EXPECT_ERROR(receive(id, 0, &message, 1, 0), E2BIG);
	expect_none(id, 1);
	after = queue_of(id);
	EXPECT_IS(memcmp(&before, &after, sizeof(after)), 0);
}

REQUIREMENT(status_set, "msgctl, DESCRIPTION, IPC_SET",
	    "IPC_SET sets the bytes of the queue, and what was sent stays")
{
	int id = make(MSG);

	put(id, 1, "text");
	EXPECT_IS(set_bytes(id, 1000), 0);
	EXPECT_IS(queue_of(id).msg_qbytes, 1000);
	EXPECT_IS(queue_of(id).msg_qnum, 1);
	EXPECT_IS(queue_of(id).msg_lspid, getpid());
	take(id, 0, 1, "text");
}

REQUIREMENT(info_limits, "msgctl(2), IPC_INFO",
	    "IPC_INFO tells the limits: of a message, of a queue, and of queues")
{
	struct msginfo info;

	memset(&info, 0xee, sizeof(info));
	EXPECT(msgctl(0, IPC_INFO, (struct msqid_ds *)&info) >= 0);
	EXPECT_IS(info.msgmax, MESSAGE_MAX);
	EXPECT_IS(info.msgmnb, QUEUE_MAX);
	EXPECT(info.msgmni >= 1000);
	EXPECT_IS(info.msgssz, 16);
	EXPECT_IS(info.msgseg, 0xffff);
}

REQUIREMENT(info_used, "msgctl(2), MSG_INFO",
	    "MSG_INFO tells how many queues, messages and bytes there are")
{
	struct msginfo info;
	int first, second;

	need_alone();
	first = make(MSG);
	second = make(MSG);
	put(first, 1, "12345");
	put(second, 1, "1");
	put(second, 1, "");
	memset(&info, 0xee, sizeof(info));
	EXPECT(msgctl(0, MSG_INFO, (struct msqid_ds *)&info) >= 1);
	EXPECT_IS(info.msgpool, 2);
	EXPECT_IS(info.msgmap, 3);
	EXPECT_IS(info.msgtql, 6);
	EXPECT_IS(info.msgmax, MESSAGE_MAX);
	erase(MSG, first);
	EXPECT(msgctl(0, MSG_INFO, (struct msqid_ds *)&info) >= 0);
	EXPECT_IS(info.msgpool, 1);
	EXPECT_IS(info.msgmap, 2);
	EXPECT_IS(info.msgtql, 1);
}
