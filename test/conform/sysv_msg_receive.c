/* SPDX-License-Identifier: Apache-2.0 */

/* msgrcv: which message, and how much of it. */

#include "sysv_msg.h"

/* With the types 5, 3, 7, 3, 9. */
static int make_types(void)
{
	int id = make(MSG);

	put(id, 5, "five");
	put(id, 3, "three");
	put(id, 7, "seven");
	put(id, 3, "three again");
	put(id, 9, "nine");
	return id;
}

REQUIREMENT(receive_any, "msgrcv, DESCRIPTION, msgtyp 0",
	    "the type 0 asks for the first of any type")
{
	int id = make_types();

	take(id, 0, 5, "five");
	take(id, 0, 3, "three");
	take(id, 0, 7, "seven");
	take(id, 0, 3, "three again");
	take(id, 0, 9, "nine");
	expect_none(id, 0);
}

REQUIREMENT(receive_type, "msgrcv, DESCRIPTION, msgtyp above 0",
	    "a type above 0 asks for the first of that type")
{
	int id = make_types();

	take(id, 3, 3, "three");
	take(id, 9, 9, "nine");
	take(id, 3, 3, "three again");
	expect_none(id, 3);
	expect_none(id, 4);
	take(id, 7, 7, "seven");
	take(id, 5, 5, "five");
}

REQUIREMENT(receive_lowest, "msgrcv, DESCRIPTION, msgtyp below 0",
	    "a type below 0 asks for the first of the lowest type that is not above its size")
{
	int id = make_types();

	take(id, -8, 3, "three");
	take(id, -8, 3, "three again");
	take(id, -8, 5, "five");
	take(id, -8, 7, "seven");
	expect_none(id, -8);
	take(id, -9, 9, "nine");
}

REQUIREMENT(receive_lowest_exact, "msgrcv, DESCRIPTION, msgtyp below 0",
	    "the lowest type is one that is equal to its size, too, and no higher one")
{
	int id = make_types();

	expect_none(id, -2);
	take(id, -3, 3, "three");
	take(id, -3, 3, "three again");
	expect_none(id, -4);
	take(id, -5, 5, "five");
}

REQUIREMENT(receive_lowest_extreme, "msgop(2), DESCRIPTION",
	    "the lowest of all longs asks for each type, and so does the one above")
{
	int id = make(MSG);

	put(id, LONG_MAX, "last");
	put(id, 1, "first");
	take(id, LONG_MIN, 1, "first");
	take(id, LONG_MIN, LONG_MAX, "last");
	put(id, LONG_MAX, "last");
	take(id, -LONG_MAX, LONG_MAX, "last");
}

REQUIREMENT(receive_except, "msgop(2), MSG_EXCEPT",
	    "with MSG_EXCEPT a type above 0 asks for the first of another type")
{
	struct message message;
	int id = make_types();

	EXPECT_IS(receive(id, 5, &message, 100, IPC_NOWAIT | MSG_EXCEPT), 5);
	EXPECT_IS(message.type, 3);
	EXPECT_IS(receive(id, 7, &message, 100, IPC_NOWAIT | MSG_EXCEPT), 4);
	EXPECT_IS(message.type, 5);
	EXPECT_IS(receive(id, 3, &message, 100, IPC_NOWAIT | MSG_EXCEPT), 5);
	EXPECT_IS(message.type, 7);
	EXPECT_IS(receive(id, 3, &message, 100, IPC_NOWAIT | MSG_EXCEPT), 4);
	EXPECT_IS(message.type, 9);
	EXPECT_ERROR(receive(id, 3, &message, 100, IPC_NOWAIT | MSG_EXCEPT), ENOMSG);
	EXPECT_MESSAGES(id, 1);
}

REQUIREMENT(receive_except_not, "msgop(2), MSG_EXCEPT",
	    "MSG_EXCEPT says nothing of types that are not above 0")
{
	struct message message;
	int id = make_types();

	EXPECT_IS(receive(id, 0, &message, 100, IPC_NOWAIT | MSG_EXCEPT), 4);
	EXPECT_IS(message.type, 5);
	EXPECT_IS(receive(id, -4, &message, 100, IPC_NOWAIT | MSG_EXCEPT), 5);
	EXPECT_IS(message.type, 3);
}

REQUIREMENT(receive_short, "msgrcv, ERRORS, E2BIG",
	    "a message that is longer than the buffer is E2BIG, and stays as the first")
{
	struct message message;
	int id = make(MSG);

	put(id, 1, "12345");
	put(id, 1, "1");
	EXPECT_ERROR(receive(id, 0, &message, 4, 0), E2BIG);
	EXPECT_ERROR(receive(id, 1, &message, 0, 0), E2BIG);
	EXPECT_ERROR(receive(id, -1, &message, 4, IPC_NOWAIT), E2BIG);
	EXPECT_MESSAGES(id, 2);
	EXPECT_IS(receive(id, 0, &message, 5, 0), 5);
	EXPECT_IS(memcmp(message.text, "12345", 5), 0);
}

REQUIREMENT(receive_truncated, "msgrcv, DESCRIPTION, MSG_NOERROR",
	    "with MSG_NOERROR what does not fit is cut off, and lost")
{
	struct message message;
	int id = make(MSG);

	put(id, 1, "12345");
	put(id, 2, "67");
	EXPECT_IS(receive(id, 0, &message, 3, MSG_NOERROR), 3);
	EXPECT_IS(memcmp(message.text, "123", 3), 0);
	EXPECT_IS(message.text[3], 0x77);
	EXPECT_MESSAGES(id, 1);
	EXPECT_IS(queue_of(id).__msg_cbytes, 2);
	EXPECT_IS(receive(id, 0, &message, 0, MSG_NOERROR), 0);
	EXPECT_IS(message.type, 2);
	EXPECT_IS(message.text[0], 0x77);
	EXPECT_MESSAGES(id, 0);
}

REQUIREMENT(receive_longer, "msgrcv, DESCRIPTION",
	    "it returns the bytes of the text, and leaves the rest of the buffer alone")
{
	struct message message;
	int id = make(MSG);

	put(id, 1, "123");
	EXPECT_IS(receive(id, 0, &message, 100, 0), 3);
	for (int i = 3; i <= MESSAGE_MAX; i++)
		EXPECT_IS(message.text[i], 0x77);
}

REQUIREMENT(receive_large_buffer, "msgrcv, DESCRIPTION",
	    "a buffer may be larger than any message, and is not looked at beyond the text")
{
	struct message message;
	int id = make(MSG);

	put(id, 1, "123");
	EXPECT_IS(receive(id, 0, &message, SIZE_MAX / 2, 0), 3);
}

REQUIREMENT(receive_negative, "msgop(2), ERRORS, EINVAL", "a negative size is EINVAL")
{
	struct message message;
	int id = make(MSG);

	put(id, 1, "123");
	EXPECT_ERROR(receive(id, 0, &message, (size_t)-1, 0), EINVAL);
	EXPECT_ERROR(receive(id, 0, &message, (size_t)LONG_MIN, IPC_NOWAIT), EINVAL);
	EXPECT_MESSAGES(id, 1);
}

REQUIREMENT(receive_no_queue, "msgrcv, ERRORS, EINVAL", "an identifier that is nobody's is EINVAL")
{
	struct message message;
	int id = make(MSG);

	EXPECT_ERROR(receive(-1, 0, &message, 1, 0), EINVAL);
	EXPECT_ERROR(receive(INT32_MAX, 0, &message, 1, 0), EINVAL);
	erase(MSG, id);
	EXPECT_ERROR(receive(id, 0, &message, 1, 0), EINVAL);
}

REQUIREMENT(receive_pointer, "msgop(2), ERRORS, EFAULT", "a buffer that leads nowhere is EFAULT")
{
	int id = make(MSG);
	void *nowhere = make_nowhere();

	EXPECT_ERROR(msgrcv(id, nowhere, 10, 0, IPC_NOWAIT), ENOMSG);
	put(id, 1, "123");
	EXPECT_ERROR(msgrcv(id, nowhere, 2, 0, IPC_NOWAIT), E2BIG);
	EXPECT_ERROR(msgrcv(id, nowhere, 10, 0, IPC_NOWAIT), EFAULT);
}

REQUIREMENT(receive_empty, "msgrcv, DESCRIPTION, IPC_NOWAIT; ERRORS, ENOMSG",
	    "without such a message it is ENOMSG with IPC_NOWAIT")
{
	int id = make(MSG);

	expect_none(id, 0);
	put(id, 2, "x");
	expect_none(id, 1);
	expect_none(id, 3);
	expect_none(id, -1);
	EXPECT_MESSAGES(id, 1);
}

static void copies_or_skips(int id, long index, long type, const char *text)
{
	struct message message;
	ssize_t bytes;

	errno = 0;
	bytes = receive(id, index, &message, 100, MSG_COPY | IPC_NOWAIT);
	if (bytes == -1 && errno == ENOSYS)
		conform_skip("the kernel has no MSG_COPY");
	EXPECT_IS(bytes, strlen(text));
	EXPECT_IS(message.type, type);
	EXPECT_IS(memcmp(message.text, text, strlen(text)), 0);
}

REQUIREMENT(receive_copy, "msgop(2), MSG_COPY",
	    "MSG_COPY gives a copy of the message of that number, from 0, and leaves it")
{
	struct message message;
	int id = make_types();

	copies_or_skips(id, 0, 5, "five");
	copies_or_skips(id, 2, 7, "seven");
	copies_or_skips(id, 4, 9, "nine");
	copies_or_skips(id, 2, 7, "seven");
	EXPECT_ERROR(receive(id, 5, &message, 100, MSG_COPY | IPC_NOWAIT), ENOMSG);
	EXPECT_MESSAGES(id, 5);
	take(id, 0, 5, "five");
	copies_or_skips(id, 0, 3, "three");
}

REQUIREMENT(receive_copy_flags, "msgop(2), ERRORS, EINVAL",
	    "MSG_COPY without IPC_NOWAIT, or with MSG_EXCEPT, is EINVAL")
{
	struct message message;
	int id = make_types();

	copies_or_skips(id, 0, 5, "five");
	EXPECT_ERROR(receive(id, 0, &message, 100, MSG_COPY), EINVAL);
	EXPECT_ERROR(receive(id, 0, &message, 100, MSG_COPY | IPC_NOWAIT | MSG_EXCEPT), EINVAL);
}

REQUIREMENT(receive_copy_short, "msgop(2), MSG_COPY; ERRORS, E2BIG",
	    "MSG_COPY of one that is longer than the buffer is E2BIG")
{
	struct message message;
	int id = make_types();

	copies_or_skips(id, 0, 5, "five");
	EXPECT_ERROR(receive(id, 2, &message, 4, MSG_COPY | IPC_NOWAIT), E2BIG);
	EXPECT_MESSAGES(id, 5);
}

REQUIREMENT(receive_copy_leaves, "msgop(2), MSG_COPY",
	    "MSG_COPY is no receipt: nothing of the queue's state changes")
{
	int id = make_types();
	struct msqid_ds before = queue_of(id), after;

	await_after(time(NULL));
	copies_or_skips(id, 1, 3, "three");
	after = queue_of(id);
	EXPECT_IS(memcmp(&before, &after, sizeof(after)), 0);
}

REQUIREMENT(receive_blocks, "msgrcv, DESCRIPTION", "without a message it blocks until there is one")
{
	struct caller caller = make_blocking(false);
	pid_t child = block(process_calls, &caller);

	let_go(&caller);
	conform_await(child);
	EXPECT_MESSAGES(caller.id, 0);
}

/* A receiver that asks for that. */
static struct caller receiver(int id, long type, int flags, long from, const char *text)
{
	return (struct caller){.id = id, .type = type, .flags = flags, .from = from, .text = text};
}

REQUIREMENT(receive_blocked_type, "msgrcv, DESCRIPTION",
	    "who is blocked is given only what it asks for: the others' messages stay")
{
	int id = make(MSG);
	struct caller exact = receiver(id, 4, 0, 4, "four");
	struct caller lowest = receiver(id, -2, 0, 2, "two");
	struct caller except = receiver(id, 6, MSG_EXCEPT, 8, "eight");
	pid_t first, second;

	first = block(process_calls, &exact);
	second = block(process_calls, &lowest);
	put(id, 6, "six");
	put(id, 3, "three");
	EXPECT_MESSAGES(id, 2);
	put(id, 2, "two");
	conform_await(second);
	put(id, 4, "four");
	conform_await(first);
	take(id, 3, 3, "three");
	EXPECT_MESSAGES(id, 1);
	first = block(process_calls, &except);
	put(id, 6, "six again");
	EXPECT_MESSAGES(id, 2);
	put(id, 8, "eight");
	conform_await(first);
	EXPECT_MESSAGES(id, 2);
}

REQUIREMENT(receive_blocked_order, "msgop(2), DESCRIPTION",
	    "of those who are blocked and ask for it, who came first is given it")
{
	enum { COUNT = 5 };
	static const char *const texts[] = {"0", "1", "2", "3", "4"};
	struct caller callers[COUNT];
	pid_t children[COUNT];
	int id = make(MSG);

	for (int i = 0; i < COUNT; i++) {
		callers[i] = receiver(id, 0, 0, i + 1, texts[i]);
		children[i] = block(process_calls, &callers[i]);
	}
	for (int i = 0; i < COUNT; i++)
		put(id, i + 1, texts[i]);
	for (int i = 0; i < COUNT; i++)
		conform_await(children[i]);
}

REQUIREMENT(
	receive_blocked_short, "msgrcv, ERRORS, E2BIG",
	"for who is blocked with a short buffer a longer message is E2BIG, and is the next one's")
{
	int id = make(MSG);
	struct caller narrow = {.id = id, .bytes = 2, .error = E2BIG};
	struct caller wide = receiver(id, 0, 0, 1, "12345");
	pid_t first = block(process_calls, &narrow), second;

	put(id, 1, "12345");
	conform_await(first);
	EXPECT_MESSAGES(id, 1);
	take(id, 0, 1, "12345");
	first = block(process_calls, &narrow);
	second = block(process_calls, &wide);
	put(id, 1, "12345");
	conform_await(first);
	conform_await(second);
	EXPECT_MESSAGES(id, 0);
}

REQUIREMENT(receive_blocked_truncated, "msgrcv, DESCRIPTION, MSG_NOERROR",
	    "for who is blocked with MSG_NOERROR a longer message is cut off")
{
	int id = make(MSG);
	struct caller caller = receiver(id, 0, MSG_NOERROR, 1, "123");
	pid_t child;

	caller.bytes = 3;
	child = block(process_calls, &caller);
	put(id, 1, "12345");
	conform_await(child);
	EXPECT_MESSAGES(id, 0);
}

REQUIREMENT(receive_killed, "msgrcv, DESCRIPTION",
	    "who is killed while it waits has received nothing")
{
	struct caller caller = make_blocking(false);
	pid_t child = block(process_calls, &caller);

	conform_kill(child);
	put(caller.id, 1, "here");
	take(caller.id, 0, 1, "here");
}

REQUIREMENT(send_killed, "msgsnd, DESCRIPTION", "who is killed while it waits has sent nothing")
{
	struct caller caller = make_blocking(true);
	pid_t child = block(process_calls, &caller);

	conform_kill(child);
	let_go(&caller);
	expect_none(caller.id, 1);
	EXPECT_MESSAGES(caller.id, 1);
	put(caller.id, 1, "usable");
	take(caller.id, 1, 1, "usable");
}

REQUIREMENT_OF_BOTH(removed, "ERRORS, EIDRM", "who is blocked when the queue is removed has EIDRM")
{
	struct caller caller = make_blocking(sends);
	struct caller other = caller;
	pid_t children[3];

	caller.error = EIDRM;
	other.error = EIDRM;
	other.type = 5;
	children[0] = block(process_calls, &caller);
	children[1] = block(process_calls, &other);
	children[2] = block(process_calls, &caller);
	erase(MSG, caller.id);
	for (int i = 0; i < 3; i++)
		conform_await(children[i]);
}

REQUIREMENT_OF_BOTH(excluded, "ERRORS, EACCES; msgctl(2), IPC_SET",
		    "who is blocked when the mode is taken away has EACCES")
{
	struct caller caller = make_blocking(sends);
	pid_t child;

	caller.error = EACCES;
	EXPECT_IS(set_perm(MSG, caller.id, 0666, geteuid(), getegid()), 0);
	child = block_as(NOBODY, process_calls, &caller);
	EXPECT_IS(set_perm(MSG, caller.id, 0600, geteuid(), getegid()), 0);
	/* Who sends is told when it could. */
	if (sends)
		let_go(&caller);
	conform_await(child);
}
