/* SPDX-License-Identifier: Apache-2.0 */

/* A queue that is destroyed ends for all who have it open, whatever they are at. */

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <tenon/waitset.h>

#include "contract.h"
#include "object/queue_private.h"

#define NAME "/destroyed"
#define PASSED_NS INT64_C(1) /* a moment long ago */

static struct tenon_queue *make(uint32_t order, uint64_t capacity)
{
	struct tenon_queue_options options = {.size = sizeof(options),
					      .order = order,
					      .capacity = capacity,
					      .max_message_bytes = 64};

	return contract_create(NAME, &options);
}

static void receive(void *context)
{
	struct tenon_queue *queue = contract_open(NAME);
	char buffer[64];

	(void)context;
	EXPECT_IS(tenon_queue_receive(queue, buffer, sizeof(buffer), NULL, NULL), -EIDRM);
	queue = tenon_queue_close(queue);
}

static void receive_type(void *context)
{
	struct tenon_receive_options options = {
		.size = sizeof(options), .select = TENON_SELECT_EXACTLY, .select_key = 7};
	struct tenon_queue *queue = contract_open(NAME);
	char buffer[64];

	(void)context;
	EXPECT_IS(tenon_queue_receive(queue, buffer, sizeof(buffer), &options, NULL), -EIDRM);
	queue = tenon_queue_close(queue);
}

static void take(void *context)
{
	struct tenon_queue *queue = contract_open(NAME);
	struct tenon_lease lease;

	(void)context;
	EXPECT_IS(tenon_queue_take(queue, NULL, &lease), -EIDRM);
	queue = tenon_queue_close(queue);
}

static void send_one(void *context)
{
	struct tenon_queue *queue = contract_open(NAME);

	(void)context;
	EXPECT_IS(tenon_queue_send(queue, "x", 1, NULL), -EIDRM);
	queue = tenon_queue_close(queue);
}

static void await_receipt(void *context)
{
	struct tenon_send_options options = {.size = sizeof(options), .flags = TENON_WANT_RECEIPT};
	struct tenon_queue *queue = contract_open(NAME);
	uint64_t receipt;

	(void)context;
	EXPECT_IS(tenon_queue_send(queue, "x", 1, &options), 0);
	EXPECT_IS(tenon_queue_last_receipt(queue, &receipt), 0);
	EXPECT_IS(tenon_queue_receipt(queue, receipt, 0, NULL), -EIDRM);
	queue = tenon_queue_close(queue);
}

static void wait_for(void *context)
{
	struct tenon_queue *queue = contract_open(NAME);

	EXPECT_IS(tenon_queue_wait(queue, (uint32_t)(uintptr_t)context, TENON_NO_DEADLINE, NULL),
		  -EIDRM);
	queue = tenon_queue_close(queue);
}

static void wait_in_set(void *context)
{
	struct tenon_queue *queue = contract_open(NAME);
	struct tenon_waitset_event event = {.result = 0};
	struct tenon_waitset *set;
	uint32_t count = 0;

	(void)context;
	EXPECT_IS(tenon_waitset_create(0, &set), 0);
	EXPECT_IS(tenon_waitset_add_queue(set, queue, TENON_READABLE, 5, NULL), 0);
	EXPECT_IS(tenon_waitset_wait(set, TENON_NO_DEADLINE, &event, 1, &count), 0);
	EXPECT_IS(count, 1);
	EXPECT_IS(event.result, -EIDRM);
	set = tenon_waitset_close(set);
	queue = tenon_queue_close(queue);
}

static void await_asleep(struct tenon_queue *queue, uint32_t class, uint32_t count)
{
	while (tni_gatehouse_count(&queue->house, class) < count)
		sched_yield();
}

static void destroy_beside(struct tenon_queue *queue, pid_t *sleepers, uint32_t count)
{
	EXPECT_IS(tenon_queue_destroy(queue), 0);
	for (uint32_t i = 0; i < count; i++)
		contract_await(sleepers[i]);
	queue = tenon_queue_close(queue);
}

static void test_receivers(void)
{
	struct tenon_queue *queue = make(TENON_QUEUE_FIFO, 4);
	pid_t sleepers[] = {contract_start(receive, NULL), contract_start(take, NULL),
			    contract_start(wait_for, (void *)(uintptr_t)TENON_READABLE),
			    contract_start(wait_in_set, NULL), contract_start(receive, NULL)};

	await_asleep(queue, TNI_CLASS_MESSAGE, 5);
	destroy_beside(queue, sleepers, 5);
}

static void test_selecting_receivers(void)
{
	struct tenon_queue *queue = make(TENON_QUEUE_TYPED, 4);
	pid_t sleepers[2];

	EXPECT_IS(contract_send(queue, 1, 0), 0);
	sleepers[0] = contract_start(receive_type, NULL);
	sleepers[1] = contract_start(receive_type, NULL);
	await_asleep(queue, TNI_CLASS_MESSAGE, 2);
	destroy_beside(queue, sleepers, 2);
}

static void test_senders(void)
{
	struct tenon_queue *queue = make(TENON_QUEUE_PRIORITY, 1);
	pid_t sleepers[3];

	EXPECT_IS(contract_send(queue, 1, 0), 0);
	sleepers[0] = contract_start(send_one, NULL);
	sleepers[1] = contract_start(send_one, NULL);
	sleepers[2] = contract_start(wait_for, (void *)(uintptr_t)TENON_WRITABLE);
	await_asleep(queue, TNI_CLASS_ROOM, 3);
	destroy_beside(queue, sleepers, 3);
}

static void test_receipts(void)
{
	struct tenon_queue *queue = make(TENON_QUEUE_FIFO, 4);
	pid_t sleepers[] = {contract_start(await_receipt, NULL),
			    contract_start(await_receipt, NULL)};

	await_asleep(queue, TNI_CLASS_RECEIPT, 2);
	destroy_beside(queue, sleepers, 2);
}

/* Nobody came, and the message was taken back. */
static void test_rendezvous(void)
{
	struct tenon_queue *queue = make(TENON_QUEUE_FIFO, TENON_QUEUE_RENDEZVOUS);
	pid_t sleepers[] = {contract_start(send_one, NULL), contract_start(send_one, NULL)};

	await_asleep(queue, TNI_CLASS_RECEIPT, 2);
	destroy_beside(queue, sleepers, 2);
}

/* Each call that there is. */
static void test_calls(void)
{
	static const struct tenon_receive_options if_any = {.size = sizeof(if_any),
							    .flags = TENON_NONBLOCK};
	struct tenon_queue *queue = make(TENON_QUEUE_FIFO, 8), *other = contract_open(NAME);
	struct tenon_queue_status status = {.size = sizeof(status)};
	struct tenon_slice slice = {.data = "x", .bytes = 1};
	struct tenon_message message;
	struct tenon_lease lease;
	struct tenon_loan loan, second;
	char buffer[64];
	uint32_t count;
	int fd;

	EXPECT_IS(contract_send(queue, 1, 0), 0);
	EXPECT_IS(contract_send(queue, 2, 0), 0);
	EXPECT_IS(tenon_queue_take(other, NULL, &lease), 0);
	EXPECT_IS(tenon_queue_loan(other, 8, &loan), 0);
	EXPECT_IS(tenon_queue_destroy(queue), 0);
	EXPECT_IS(tenon_queue_destroy(queue), -EIDRM);
	EXPECT_IS(tenon_queue_destroy(other), -EIDRM);
	EXPECT_IS(tenon_queue_destroy(NULL), -EINVAL);
	EXPECT_IS(tenon_queue_send(other, "x", 1, NULL), -EIDRM);
	EXPECT_IS(tenon_queue_send_batch(other, &slice, 1, NULL, &count), -EIDRM);
	EXPECT_IS(tenon_queue_receive(other, buffer, sizeof(buffer), NULL, NULL), -EIDRM);
	EXPECT_IS(tenon_queue_receive(other, buffer, sizeof(buffer), &if_any, NULL), -EIDRM);
	EXPECT_IS(tenon_queue_receive_batch(other, buffer, sizeof(buffer), 1, &if_any, &message,
					    &count),
		  -EIDRM);
	EXPECT_IS(tenon_queue_loan(other, 8, &second), -EIDRM);
	EXPECT_IS(tenon_queue_commit(other, &loan, 8, NULL), -EIDRM);
	EXPECT_IS(tenon_queue_abandon(other, &loan), -EIDRM);
	EXPECT_IS(tenon_queue_take(other, &if_any, &lease), -EIDRM);
	EXPECT_IS(tenon_queue_done(other, &lease), -EIDRM);
	EXPECT_IS(tenon_queue_return(other, &lease), -EIDRM);
	EXPECT_IS(tenon_queue_peek(other, 0, buffer, sizeof(buffer), NULL), -EIDRM);
	EXPECT_IS(tni_queue_copy(other, 0, buffer, sizeof(buffer), false, NULL), -EIDRM);
	EXPECT_IS(tenon_queue_wait(other, TENON_READABLE, PASSED_NS, NULL), -EIDRM);
	EXPECT_IS(tenon_queue_readable_fd(other, &fd), -EIDRM);
	EXPECT_IS(tenon_queue_writable_fd(other, &fd), -EIDRM);
	EXPECT_IS(tenon_queue_receipt(other, 1, PASSED_NS, NULL), -EIDRM);
	EXPECT_IS(tenon_queue_set_max_bytes(other, 8), -EIDRM);
	EXPECT_IS(tenon_queue_recover(other, NULL), -EIDRM);
	EXPECT_IS(tenon_queue_check(other, NULL, 0), -EIDRM);
	EXPECT_IS(tenon_queue_status(other, &status), 0);
	EXPECT_IS(status.destroyed, 1);
	EXPECT_IS((int64_t)status.messages, 1);
	EXPECT_IS((int64_t)status.damaged, 0);
	other = tenon_queue_close(other);
	queue = tenon_queue_close(queue);
}

/* Nothing is queued, and who asks without waiting is not put off with that. */
static void test_empty(void)
{
	static const struct tenon_receive_options if_any = {.size = sizeof(if_any),
							    .flags = TENON_NONBLOCK};
	struct tenon_queue *queue = make(TENON_QUEUE_FIFO, 8);
	char buffer[64];

	EXPECT_IS(tenon_queue_receive(queue, buffer, sizeof(buffer), &if_any, NULL), -EAGAIN);
	EXPECT_IS(tenon_queue_destroy(queue), 0);
	EXPECT_IS(tenon_queue_receive(queue, buffer, sizeof(buffer), &if_any, NULL), -EIDRM);
	queue = tenon_queue_close(queue);
}

static void test_name(void)
{
	struct tenon_queue *queue = make(TENON_QUEUE_FIFO, 8), *other = NULL;

	EXPECT_IS(tenon_queue_destroy(queue), 0);
	EXPECT_IS(tenon_queue_open(contract_folder, NAME, 0, NULL, &other), -EIDRM);
	EXPECT_IS(tenon_queue_open(contract_folder, NAME, TENON_QUEUE_CREATE, NULL, &other),
		  -EIDRM);
	EXPECT_IS(tenon_queue_open(contract_folder, NAME,
				   TENON_QUEUE_CREATE | TENON_QUEUE_EXCLUSIVE, NULL, &other),
		  -EEXIST);
	EXPECT_IS(tenon_queue_remove(contract_folder, NAME), 0);
	other = make(TENON_QUEUE_FIFO, 8);
	EXPECT_IS(contract_send(other, 1, 0), 0);
	EXPECT_IS(tenon_queue_send(queue, "x", 1, NULL), -EIDRM);
	other = tenon_queue_close(other);
	queue = tenon_queue_close(queue);
}

static bool is_readable(int fd)
{
	struct pollfd entry = {.fd = fd, .events = POLLIN};

	return poll(&entry, 1, 0) == 1;
}

static void test_descriptors(void)
{
	struct tenon_queue *queue = make(TENON_QUEUE_FIFO, 1), *other = contract_open(NAME);
	int readable, writable;

	EXPECT_IS(tenon_queue_readable_fd(other, &readable), 0);
	EXPECT_IS(tenon_queue_writable_fd(other, &writable), 0);
	EXPECT(!is_readable(readable));
	EXPECT_IS(contract_send(queue, 1, 0), 0);
	EXPECT_IS(contract_send(queue, 1, 0), -ETIMEDOUT);
	EXPECT(!is_readable(writable));
	EXPECT_IS(tenon_queue_destroy(queue), 0);
	EXPECT(is_readable(readable));
	EXPECT(is_readable(writable));
	other = tenon_queue_close(other);
	queue = tenon_queue_close(queue);
}

static void test_empty_descriptor(void)
{
	struct tenon_queue *queue = make(TENON_QUEUE_FIFO, 1);
	int readable;

	EXPECT_IS(tenon_queue_readable_fd(queue, &readable), 0);
	EXPECT(!is_readable(readable));
	EXPECT_IS(tenon_queue_destroy(queue), 0);
	EXPECT(is_readable(readable));
	queue = tenon_queue_close(queue);
}

/* The n-th that was sent, and what is too long. */
static void copy_of(uint32_t order)
{
	struct tenon_queue *queue = make(order, 8);
	struct tenon_send_options options = {.size = sizeof(options)};
	static const char text[] = "abcdefgh";
	struct tenon_message message;
	struct tenon_lease lease;
	char buffer[8] = "........";

	for (uint32_t i = 0; i < 4; i++) {
		options.key = 9 - i;
		EXPECT_IS(tenon_queue_send(queue, text + i, i + 1, &options), 0);
	}
	EXPECT_IS(tenon_queue_take(queue, NULL, &lease), 0);
	EXPECT_IS(tni_queue_copy(queue, 3, buffer, 8, false, NULL), -EAGAIN);
	EXPECT_IS(tenon_queue_return(queue, &lease), 0);
	for (uint32_t i = 4; i-- > 0;) {
		EXPECT_IS(tni_queue_copy(queue, i, buffer, 8, false, &message), 0);
		EXPECT_IS((int64_t)message.bytes, i + 1);
		EXPECT_IS((int64_t)message.key, order == TENON_QUEUE_TYPED ? 9 - i : 0);
		EXPECT(buffer[0] == text[i] && buffer[i] == text[2 * i]);
	}
	buffer[0] = buffer[3] = '.';
	EXPECT_IS(tni_queue_copy(queue, 3, buffer, 3, false, &message), -EMSGSIZE);
	EXPECT(buffer[0] == '.');
	EXPECT_IS(tni_queue_copy(queue, 3, buffer, 3, true, &message), 0);
	EXPECT(buffer[0] == 'd' && buffer[2] == 'f' && buffer[3] == '.');
	EXPECT_IS((int64_t)message.bytes, 4);
	EXPECT_IS(tni_queue_copy(queue, 4, buffer, 8, true, &message), -EAGAIN);
	EXPECT_IS(tni_queue_copy(queue, UINT64_MAX, buffer, 8, true, &message), -EAGAIN);
	queue = tenon_queue_close(queue);
}

static void test_copy_of_fifo(void)
{
	copy_of(TENON_QUEUE_FIFO);
}

static void test_copy_of_typed(void)
{
	copy_of(TENON_QUEUE_TYPED);
}

static void test_copy_of_priority(void)
{
	struct tenon_queue *queue = make(TENON_QUEUE_PRIORITY, 8);

	EXPECT_IS(tni_queue_copy(queue, 0, NULL, 0, true, NULL), -EOPNOTSUPP);
	EXPECT_IS(tni_queue_copy(NULL, 0, NULL, 0, true, NULL), -EINVAL);
	queue = tenon_queue_close(queue);
}

int main(void)
{
	static const struct contract_case cases[] = {
		{"who waits for a message", test_receivers, NULL},
		{"who selects", test_selecting_receivers, NULL},
		{"who waits for room", test_senders, NULL},
		{"who waits for a receipt", test_receipts, NULL},
		{"rendezvous", test_rendezvous, NULL},
		{"each call", test_calls, NULL},
		{"nothing queued, without waiting", test_empty, NULL},
		{"the name", test_name, NULL},
		{"descriptors", test_descriptors, NULL},
		{"the descriptor of an empty queue", test_empty_descriptor, NULL},
		{"the n-th of a fifo queue", test_copy_of_fifo, NULL},
		{"the n-th of a typed queue", test_copy_of_typed, NULL},
		{"the n-th of a priority queue", test_copy_of_priority, NULL},
	};

	return contract_main(cases, sizeof(cases) / sizeof(cases[0]));
}
