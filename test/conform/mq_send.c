/* SPDX-License-Identifier: Apache-2.0 */

/* mq_send and mq_receive where nobody waits, or in the end gets what he waits for. */

#include <sched.h>

#include "mq.h"

#define PRIORITY_MAX 32767u

REQUIREMENT(send_text, "mq_send, DESCRIPTION; mq_receive, RETURN VALUE",
	    "what is sent is received, with its length and its priority")
{
	mqd_t queue = make_queue(O_RDWR);
	char buffer[BYTES];
	unsigned priority = 0;

	memset(buffer, '-', sizeof(buffer));
	EXPECT_IS(mq_send(queue, "a\0b", 3, 9), 0);
	EXPECT_MESSAGES(queue, 1);
	EXPECT_IS(mq_receive(queue, buffer, sizeof(buffer), &priority), 3);
	EXPECT_IS(priority, 9);
	EXPECT(memcmp(buffer, "a\0b-", 4) == 0);
	EXPECT_MESSAGES(queue, 0);
}

REQUIREMENT(send_largest, "mq_send, DESCRIPTION, msg_len",
	    "a message may have all of mq_msgsize bytes")
{
	mqd_t queue = make_sized(NAME, O_RDWR, 2, 8192);
	char data[8192], buffer[8192];

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (char)(i * 7 + i / 256);
	EXPECT_IS(mq_send(queue, data, sizeof(data), 0), 0);
	EXPECT_IS(mq_receive(queue, buffer, sizeof(buffer), NULL), (ssize_t)sizeof(buffer));
	EXPECT(memcmp(data, buffer, sizeof(data)) == 0);
}

REQUIREMENT(send_too_long, "mq_send, ERRORS, EMSGSIZE", "more than mq_msgsize bytes are not sent")
{
	mqd_t queue = make_queue(O_RDWR);
	struct timespec far = after_ms(1000);
	char data[BYTES + 1] = "";

	EXPECT_ERROR(mq_send(queue, data, BYTES + 1, 0), EMSGSIZE);
	EXPECT_ERROR(mq_timedsend(queue, data, BYTES + 1, 0, &far), EMSGSIZE);
	EXPECT_MESSAGES(queue, 0);
}

REQUIREMENT(send_too_long_full, "mq_send, on Linux",
	    "that a message is too long is found before that the queue is full")
{
	mqd_t queue = make_queue(O_RDWR | O_NONBLOCK);
	char data[BYTES + 1] = "";

	fill(queue);
	EXPECT_ERROR(mq_send(queue, data, BYTES + 1, 0), EMSGSIZE);
}

REQUIREMENT(send_empty, "mq_send, DESCRIPTION, msg_len; mq_receive, RETURN VALUE",
	    "a message may have no bytes")
{
	mqd_t queue = make_queue(O_RDWR);
	char buffer[BYTES] = "-";
	unsigned priority = 0;

	EXPECT_IS(mq_send(queue, "", 0, 3), 0);
	EXPECT_IS(mq_send(queue, "unsent", 0, 2), 0);
	EXPECT_MESSAGES(queue, 2);
	EXPECT_IS(mq_receive(queue, buffer, sizeof(buffer), &priority), 0);
	EXPECT_IS(priority, 3);
	EXPECT_IS(mq_receive(queue, buffer, sizeof(buffer), &priority), 0);
	EXPECT_IS(priority, 2);
	EXPECT_IS(buffer[0], '-');
}

REQUIREMENT(send_priority_order, "mq_send, DESCRIPTION, msg_prio",
	    "messages of higher priority go before those of lower")
{
	mqd_t queue = make_sized(NAME, O_RDWR, 10, BYTES);

	put(queue, "five", 5);
	put(queue, "zero", 0);
	put(queue, "nine", 9);
	put(queue, "seven", 7);
	put(queue, "one", 1);
	take(queue, "nine", 9);
	put(queue, "eight", 8);
	take(queue, "eight", 8);
	take(queue, "seven", 7);
	take(queue, "five", 5);
	take(queue, "one", 1);
	take(queue, "zero", 0);
}

REQUIREMENT(send_order, "mq_send, DESCRIPTION, msg_prio; mq_receive, DESCRIPTION",
	    "messages of one priority leave in the order in which they came")
{
	mqd_t queue = make_sized(NAME, O_RDWR, 10, BYTES);

	put(queue, "low 1", 1);
	put(queue, "high 1", 2);
	put(queue, "low 2", 1);
	put(queue, "high 2", 2);
	put(queue, "low 3", 1);
	put(queue, "high 3", 2);
	take(queue, "high 1", 2);
	take(queue, "high 2", 2);
	put(queue, "high 4", 2);
	take(queue, "high 3", 2);
	take(queue, "high 4", 2);
	take(queue, "low 1", 1);
	take(queue, "low 2", 1);
	take(queue, "low 3", 1);
}

REQUIREMENT(send_32_priorities, "<limits.h>, _POSIX_MQ_PRIO_MAX",
	    "there are at least 32 priorities")
{
	mqd_t queue = make_sized(NAME, O_RDWR, 8, BYTES);

	/* Eight at a time, in an order that is neither up nor down. */
	for (unsigned round = 0; round < 4; round++) {
		for (unsigned i = 0; i < 8; i++)
			put(queue, "some", round + 4 * (i * 3 % 8));
		for (unsigned i = 8; i-- > 0;)
			take(queue, "some", round + 4 * i);
	}
}

REQUIREMENT(send_highest_priority, "mq_overview(7), MQ_PRIO_MAX", "the highest priority is 32767")
{
	mqd_t queue = make_queue(O_RDWR);

	EXPECT_IS(sysconf(_SC_MQ_PRIO_MAX), PRIORITY_MAX + 1);
	put(queue, "lower", PRIORITY_MAX - 1);
	put(queue, "highest", PRIORITY_MAX);
	put(queue, "lowest", 0);
	take(queue, "highest", PRIORITY_MAX);
	take(queue, "lower", PRIORITY_MAX - 1);
	take(queue, "lowest", 0);
}

REQUIREMENT(send_no_priority, "mq_send, ERRORS, EINVAL", "MQ_PRIO_MAX and more is no priority")
{
	mqd_t queue = make_queue(O_RDWR);
	struct timespec far = after_ms(1000);

	EXPECT_ERROR(mq_send(queue, "x", 1, PRIORITY_MAX + 1), EINVAL);
	EXPECT_ERROR(mq_send(queue, "x", 1, ~0u), EINVAL);
	EXPECT_ERROR(mq_timedsend(queue, "x", 1, PRIORITY_MAX + 1, &far), EINVAL);
	EXPECT_MESSAGES(queue, 0);
}

REQUIREMENT(send_full, "mq_send, ERRORS, EAGAIN",
	    "with O_NONBLOCK a full queue is EAGAIN, and nothing is sent")
{
	mqd_t queue = make_queue(O_RDWR | O_NONBLOCK);
	struct timespec far = after_ms(100000);

	fill(queue);
	EXPECT_ERROR(mq_send(queue, "x", 1, 1), EAGAIN);
	EXPECT_ERROR(mq_timedsend(queue, "x", 1, 1, &far), EAGAIN);
	EXPECT_ERROR(call_until(TIMEDSEND, queue, NULL), EAGAIN);
	EXPECT_MESSAGES(queue, MESSAGES);
	for (int i = 0; i < MESSAGES; i++)
		take(queue, "fill", 0);
}

REQUIREMENT(receive_empty, "mq_receive, ERRORS, EAGAIN", "with O_NONBLOCK an empty queue is EAGAIN")
{
	mqd_t queue = make_queue(O_RDWR | O_NONBLOCK);
	struct timespec far = after_ms(100000);
	char buffer[BYTES];

	EXPECT_ERROR(mq_receive(queue, buffer, sizeof(buffer), NULL), EAGAIN);
	EXPECT_ERROR(mq_timedreceive(queue, buffer, sizeof(buffer), NULL, &far), EAGAIN);
	EXPECT_ERROR(call_until(TIMEDRECEIVE, queue, NULL), EAGAIN);
}

REQUIREMENT(receive_short, "mq_receive, ERRORS, EMSGSIZE",
	    "a buffer of less than mq_msgsize bytes is too short for any message, which stays")
{
	mqd_t queue = make_queue(O_RDWR);
	struct timespec far = after_ms(1000);
	char buffer[BYTES];

	put(queue, "x", 6);
	EXPECT_ERROR(mq_receive(queue, buffer, BYTES - 1, NULL), EMSGSIZE);
	EXPECT_ERROR(mq_receive(queue, buffer, 0, NULL), EMSGSIZE);
	EXPECT_ERROR(mq_timedreceive(queue, buffer, BYTES - 1, NULL, &far), EMSGSIZE);
	EXPECT_MESSAGES(queue, 1);
	take(queue, "x", 6);
}

REQUIREMENT(receive_short_empty, "mq_receive, on Linux",
	    "that the buffer is too short is found before that the queue is empty")
{
	mqd_t queue = make_queue(O_RDWR | O_NONBLOCK);
	char buffer[BYTES];

	EXPECT_ERROR(mq_receive(queue, buffer, BYTES - 1, NULL), EMSGSIZE);
}

REQUIREMENT(receive_longer, "mq_receive, DESCRIPTION, msg_len",
	    "a longer buffer is left as it is behind the message")
{
	mqd_t queue = make_queue(O_RDWR);
	char buffer[BYTES * 2];

	memset(buffer, '-', sizeof(buffer));
	put(queue, "long", 1);
	EXPECT_IS(mq_receive(queue, buffer, sizeof(buffer), NULL), 4);
	EXPECT(memcmp(buffer, "long----", 8) == 0);
	EXPECT_IS(buffer[sizeof(buffer) - 1], '-');
}

REQUIREMENT(receive_no_priority, "mq_receive, DESCRIPTION, msg_prio",
	    "where the priority goes may be NULL")
{
	mqd_t queue = make_queue(O_RDWR);
	struct timespec far = after_ms(1000);
	char buffer[BYTES];

	put(queue, "1", 1);
	put(queue, "22", 1);
	EXPECT_IS(mq_receive(queue, buffer, sizeof(buffer), NULL), 1);
	EXPECT_IS(mq_timedreceive(queue, buffer, sizeof(buffer), NULL, &far), 2);
}

REQUIREMENT_OF_CALLS(blocks, "DESCRIPTION, full or empty",
		     "the call waits until there is room, or a message, and then does it")
{
	struct caller caller = {.call = call, .queue = make_blocking(call)};

	caller_block(&caller);
	EXPECT_MESSAGES(caller.queue, UNTOUCHED(call));
	let_go(call, caller.queue);
	caller_join(&caller);
	EXPECT_IS(caller.result, is_send(call) ? 0 : 2);
	if (is_send(call))
		take(caller.queue, "sent", 1);
	else
		EXPECT(memcmp(caller.text, "go", 2) == 0 && caller.priority == 1);
	EXPECT_MESSAGES(caller.queue, is_send(call) ? MESSAGES - 1 : 0);
}

REQUIREMENT_OF_CALLS(blocks_elsewhere, "DESCRIPTION, full or empty",
		     "another process lets the blocked call go on")
{
	struct process process = {call, make_blocking(call), NULL, is_send(call) ? 0 : 2};
	pid_t child = conform_start(process_calls, &process);

	conform_await_blocked(child, 0);
	let_go(call, process.queue);
	conform_await(child);
	EXPECT_MESSAGES(process.queue, is_send(call) ? MESSAGES : 0);
}

REQUIREMENT_OF_CALLS(
	longest_first, "DESCRIPTION, Priority Scheduling",
	"of those who wait with one priority the one that has waited longest is let go on")
{
	struct caller callers[3];
	mqd_t queue = make_blocking(call);

	for (int i = 0; i < 3; i++) {
		callers[i] = (struct caller){.call = call, .queue = queue};
		caller_block(&callers[i]);
	}
	for (uint32_t i = 0; i < 3; i++) {
		let_go(call, queue);
		EXPECT_IS(callers_await_one(callers, 3), i);
	}
	for (int i = 0; i < 3; i++) {
		caller_join(&callers[i]);
		EXPECT_IS(callers[i].result, is_send(call) ? 0 : 2);
	}
	EXPECT_MESSAGES(queue, is_send(call) ? MESSAGES : 0);
}

REQUIREMENT_OF_CALLS(
	highest_first, "DESCRIPTION, Priority Scheduling",
	"of those who wait the thread of highest scheduling priority is let go on first")
{
	struct sched_param high = {.sched_priority = sched_get_priority_min(SCHED_FIFO)},
			   none = {0};
	struct caller callers[2];
	mqd_t queue = make_blocking(call);

	callers[0] = (struct caller){.call = call, .queue = queue};
	callers[1] = callers[0];
	caller_block(&callers[0]);
	if (sched_setscheduler(0, SCHED_FIFO, &high) != 0)
		conform_skip("real-time scheduling is not permitted");
	caller_block(&callers[1]);
	EXPECT_IS(sched_setscheduler(0, SCHED_OTHER, &none), 0);
	for (uint32_t i = 2; i-- > 0;) {
		let_go(call, queue);
		EXPECT_IS(callers_await_one(callers, 2), i);
	}
	for (int i = 0; i < 2; i++) {
		caller_join(&callers[i]);
		EXPECT_IS(callers[i].result, is_send(call) ? 0 : 2);
	}
}

REQUIREMENT(receive_all_at_once, "mq_receive, DESCRIPTION",
	    "as many messages as there are let as many who wait go on")
{
	struct caller callers[MESSAGES];
	mqd_t queue = make_queue(O_RDWR);

	for (int i = 0; i < MESSAGES; i++) {
		callers[i] = (struct caller){.call = RECEIVE, .queue = queue};
		caller_block(&callers[i]);
	}
	fill(queue);
	for (int i = 0; i < MESSAGES; i++) {
		caller_join(&callers[i]);
		EXPECT_IS(callers[i].result, 4);
	}
	EXPECT_MESSAGES(queue, 0);
}

REQUIREMENT(receive_highest_of_blocked_senders, "mq_send, DESCRIPTION, msg_prio",
	    "what a blocked sender sends in the end takes its place by its priority")
{
	struct caller caller = {.call = SEND, .queue = make_blocking(SEND)};

	caller_block(&caller);
	let_go(SEND, caller.queue);
	caller_join(&caller);
	take(caller.queue, "sent", 1);
	take(caller.queue, "fill", 0);
}
