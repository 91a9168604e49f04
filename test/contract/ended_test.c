/* SPDX-License-Identifier: Apache-2.0 */

/* What has ended is gone: loans and receipts of another time, messages that were dropped or withdrawn. */

#include <errno.h>
#include <string.h>

#include "contract.h"

#define NAME "/ended"

static const struct tenon_receive_options if_any = {.size = sizeof(if_any),
						    .flags = TENON_NONBLOCK};

/* The next one lies in the same entry, and is not meant. */
static void test_of_another_time(void)
{
	struct tenon_queue *queue = contract_make(NAME, TENON_QUEUE_WAIT, 8, 64);
	struct tenon_send_options options = {.size = sizeof(options), .flags = TENON_WANT_RECEIPT};
	struct tenon_loan loan, before, after;
	uint64_t receipt, next;

	EXPECT_IS(tenon_queue_loan(queue, 8, &loan), 0);
	before = loan;
	EXPECT_IS(tenon_queue_abandon(queue, &loan), 0);
	EXPECT_IS(tenon_queue_loan(queue, 8, &after), 0);
	EXPECT_IS(tenon_queue_abandon(queue, &before), -EINVAL);
	EXPECT_IS(tenon_queue_commit(queue, &before, 8, NULL), -EINVAL);
	EXPECT_IS(tenon_queue_abandon(queue, &after), 0);

	EXPECT_IS(tenon_queue_send(queue, "x", 1, &options), 0);
	EXPECT_IS(tenon_queue_last_receipt(queue, &receipt), 0);
	EXPECT_IS(tenon_queue_receive(queue, NULL, 0,
				      &(struct tenon_receive_options){
					      .size = sizeof(struct tenon_receive_options),
					      .flags = TENON_TRUNCATE},
				      NULL),
		  0);
	EXPECT_IS(tenon_queue_receipt(queue, receipt, 0, NULL), 0);
	EXPECT_IS(tenon_queue_send(queue, "y", 1, &options), 0);
	EXPECT_IS(tenon_queue_last_receipt(queue, &next), 0);
	EXPECT_IS(tenon_queue_receipt(queue, receipt, -1, NULL), -EINVAL);
	EXPECT_IS(tenon_queue_receipt(queue, next, -1, NULL), -ETIMEDOUT);
	queue = tenon_queue_close(queue);
}

static void test_withdrawn_loan(void)
{
	struct tenon_queue *queue = contract_make(NAME, TENON_QUEUE_WAIT, TENON_QUEUE_RENDEZVOUS,
						  64);
	struct tenon_send_options options = {.size = sizeof(options)};
	struct tenon_queue_status status = {.size = sizeof(status)};
	struct tenon_loan loan;

	EXPECT_IS(tenon_queue_loan(queue, 8, &loan), 0);
	options.deadline_ns = tenon_deadline_after(SECOND_NS / 50);
	EXPECT_IS(tenon_queue_commit(queue, &loan, 8, &options), -ETIMEDOUT);
	EXPECT(loan.data == NULL);
	EXPECT_IS(tenon_queue_status(queue, &status), 0);
	EXPECT_IS(status.loaned, 0);
	queue = tenon_queue_close(queue);
}

/* The receipt is of the message that was dropped, and says so. */
static void test_receipt_of_dropped(void)
{
	struct tenon_queue *queue = contract_make(NAME, TENON_QUEUE_DROP_NEWEST, 1, 64);
	struct tenon_send_options options = {.size = sizeof(options), .flags = TENON_WANT_RECEIPT};
	uint64_t first, second;

	EXPECT_IS(tenon_queue_send(queue, "one", 3, &options), 0);
	EXPECT_IS(tenon_queue_last_receipt(queue, &first), 0);
	EXPECT_IS(tenon_queue_send(queue, "two", 3, &options), 0);
	EXPECT_IS(tenon_queue_last_receipt(queue, &second), 0);
	EXPECT(first != second);
	EXPECT_IS(tenon_queue_receipt(queue, second, -1, NULL), -ECANCELED);
	EXPECT_IS(tenon_queue_receipt(queue, second, -1, NULL), -EINVAL);
	EXPECT_IS(tenon_queue_receipt(queue, first, -1, NULL), -ETIMEDOUT);
	queue = tenon_queue_close(queue);
}

static void send_and_wait(void *context)
{
	struct tenon_send_options options = {.size = sizeof(options), .key = 1};

	(void)context;
	EXPECT_IS(tenon_queue_send(contract_open(NAME), "first", 5, &options), 0);
}

/* Behind one that still waits: it is gone at once, with its memory. */
static void withdraw_behind(uint32_t order)
{
	struct tenon_queue_options made = {.size = sizeof(made),
					   .order = order,
					   .capacity = TENON_QUEUE_RENDEZVOUS,
					   .max_message_bytes = UINT64_C(1) << 20};
	struct tenon_queue *queue = contract_create(NAME, &made);
	struct tenon_send_options options = {.size = sizeof(options), .key = 2};
	struct tenon_queue_status status = {.size = sizeof(status)};
	static uint8_t bytes[1 << 20];
	pid_t sender = contract_start(send_and_wait, NULL);

	contract_await_senders(queue, 1);
	for (uint32_t i = 0; i < 20; i++) {
		options.deadline_ns = tenon_deadline_after(SECOND_NS / 1000);
		EXPECT_IS(tenon_queue_send(queue, bytes, sizeof(bytes), &options), -ETIMEDOUT);
	}
	EXPECT_IS(tenon_queue_status(queue, &status), 0);
	EXPECT_IS((int64_t)status.messages, 1);
	EXPECT_IS((int64_t)status.message_bytes, 5);
	EXPECT_IS((int64_t)status.sent, 1);
	EXPECT_IS((int64_t)status.received, 0);
	EXPECT(status.memory_bytes < 4 * sizeof(bytes));
	EXPECT_IS(tenon_queue_peek(queue, 1, NULL, 0, NULL), -ENOENT);
	EXPECT_IS(tenon_queue_check(queue, NULL, 0), 0);
	EXPECT_IS(tenon_queue_receive(queue, bytes, sizeof(bytes), NULL, NULL), 0);
	contract_await(sender);
	EXPECT_IS(tenon_queue_wait(queue, TENON_READABLE, 0, NULL), -ETIMEDOUT);
	EXPECT_IS(tenon_queue_receive(queue, bytes, sizeof(bytes), &if_any, NULL), -EAGAIN);
	EXPECT_IS(tenon_queue_check(queue, NULL, 0), 0);
	EXPECT_IS(tenon_queue_status(queue, &status), 0);
	EXPECT_IS((int64_t)status.received, 1);
	queue = tenon_queue_close(queue);
}

static void test_withdrawn_behind(void)
{
	withdraw_behind(TENON_QUEUE_FIFO);
}

static void test_withdrawn_behind_typed(void)
{
	withdraw_behind(TENON_QUEUE_TYPED);
}

static void send_for_a_while(void *context)
{
	struct tenon_send_options options = {.size = sizeof(options),
					     .deadline_ns = *(const int64_t *)context};

	EXPECT_IS(tenon_queue_send(contract_open(NAME), "second", 6, &options), -ETIMEDOUT);
}

/* Takes both messages and puts them back.  False: the second one's time may have been up before. */
static bool take_and_return(struct tenon_queue *queue, int64_t deadline_ns)
{
	struct tenon_queue_status status = {.size = sizeof(status)};
	struct tenon_lease leases[2];
	uint32_t taken = 0;

	while (status.senders_waiting < 2 && tenon_deadline_after(0) < deadline_ns)
		EXPECT_IS(tenon_queue_status(queue, &status), 0);
	while (taken < 2 && tenon_queue_take(queue, &if_any, &leases[taken]) == 0)
		taken++;
	for (uint32_t i = 0; i < taken; i++)
		EXPECT_IS(tenon_queue_return(queue, &leases[i]), 0);
	if (tenon_deadline_after(0) >= deadline_ns)
		return false;
	EXPECT_IS(taken, 2);
	return true;
}

/* Both were taken and put back; the second one's time is up first.  False: it was up before that. */
static bool withdraw_after_return(int64_t time_ns)
{
	struct tenon_queue *queue = contract_make(NAME, TENON_QUEUE_WAIT, TENON_QUEUE_RENDEZVOUS,
						  64);
	struct tenon_queue_status status = {.size = sizeof(status)};
	pid_t first = contract_start(send_and_wait, NULL), second;
	int64_t deadline_ns;
	uint8_t bytes[64];
	bool is_in_time;

	contract_await_senders(queue, 1);
	deadline_ns = tenon_deadline_after(time_ns);
	second = contract_start(send_for_a_while, &deadline_ns);
	is_in_time = take_and_return(queue, deadline_ns);
	if (is_in_time) {
		contract_await(second);
		EXPECT_IS(tenon_queue_status(queue, &status), 0);
		EXPECT_IS((int64_t)status.messages, 1);
		EXPECT_IS(tenon_queue_peek(queue, 1, NULL, 0, NULL), -ENOENT);
		EXPECT_IS(tenon_queue_check(queue, NULL, 0), 0);
		EXPECT_IS(tenon_queue_receive(queue, bytes, sizeof(bytes), NULL, NULL), 0);
		EXPECT_IS(tenon_queue_receive(queue, bytes, sizeof(bytes), &if_any, NULL), -EAGAIN);
		contract_await(first);
	} else {
		contract_kill(second);
		contract_kill(first);
	}
	queue = tenon_queue_close(queue);
	EXPECT_IS(tenon_queue_remove(contract_folder, NAME), 0);
	return is_in_time;
}

static void test_withdrawn_after_return(void)
{
	int64_t time_ns = SECOND_NS / 5;

	/* Longer and longer, until all have a processor within that time. */
	while (!withdraw_after_return(time_ns)) {
		REQUIRE(time_ns < 20 * SECOND_NS);
		time_ns *= 2;
	}
}

/* Those of closed handles are taken back. */
static void test_receipts_of_closed_handles(void)
{
	struct tenon_queue *queue = contract_make(NAME, TENON_QUEUE_DROP_NEWEST, 1, 64);
	struct tenon_send_options options = {.size = sizeof(options), .flags = TENON_WANT_RECEIPT};
	struct tenon_queue_status status = {.size = sizeof(status)};
	uint64_t before;

	EXPECT_IS(tenon_queue_send(queue, "one", 3, NULL), 0);
	EXPECT_IS(tenon_queue_status(queue, &status), 0);
	before = status.memory_bytes;
	for (uint32_t i = 0; i < 2000; i++) {
		struct tenon_queue *other = contract_open(NAME);

		EXPECT_IS(tenon_queue_send(other, "two", 3, &options), 0);
		other = tenon_queue_close(other);
	}
	EXPECT_IS(tenon_queue_status(queue, &status), 0);
	EXPECT(status.memory_bytes <= before + 8192);
	queue = tenon_queue_close(queue);
}

int main(void)
{
	static const struct contract_case cases[] = {
		{"rendezvous: withdrawn after it was put back", test_withdrawn_after_return, NULL},
		{"receipts of closed handles", test_receipts_of_closed_handles, NULL},
		{"a loan and a receipt of another time", test_of_another_time, NULL},
		{"rendezvous: a loan that was withdrawn", test_withdrawn_loan, NULL},
		{"drop newest: with a receipt", test_receipt_of_dropped, NULL},
		{"rendezvous: withdrawn behind another", test_withdrawn_behind, NULL},
		{"rendezvous: withdrawn behind another, typed", test_withdrawn_behind_typed, NULL},
	};

	return contract_main(cases, sizeof(cases) / sizeof(cases[0]));
}
