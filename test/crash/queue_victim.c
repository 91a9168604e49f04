/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What victims do.  Between the entry of operate() and the call itself lie only a table look-up and
 * two stores, so that nearly all instructions that are stepped belong to the library.
 */

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "queue_crash.h"

/* Set by a library that was built with seeded faults; absent in others. */
extern unsigned tni_seeded_fault __attribute__((weak));

/* The victim's own; it is alone in its process. */
static struct tenon_queue *queue;
static struct tenon_loan loan;
static struct tenon_lease lease;
static struct tenon_slice slices[BATCH_MESSAGES];
static struct tenon_message messages[BATCH_MESSAGES];
static struct tenon_send_options send_options;
static struct tenon_receive_options receive_options;
static char outgoing[BATCH_MESSAGES][MESSAGE_MAX_BYTES];
static char incoming[BATCH_MESSAGES * MESSAGE_MAX_BYTES];
static uint32_t bytes;
static uint64_t receipt;
static uint32_t wait_events;
static int64_t receipt_deadline_ns, wait_deadline_ns;

static uint32_t own_number(const struct run *run)
{
	return run->actor == ACTOR_FIRST_VICTIM ? NUMBER_FIRST_VICTIM : NUMBER_VICTIM;
}

static int call_send(struct run *run, struct account *account)
{
	(void)run;
	(void)account;
	return tenon_queue_send(queue, outgoing[0], bytes, &send_options);
}

static int call_receipt(struct run *run, struct account *account)
{
	int32_t receiver;

	(void)run;
	(void)account;
	return tenon_queue_receipt(queue, receipt, receipt_deadline_ns, &receiver);
}

static int call_wait(struct run *run, struct account *account)
{
	uint32_t events;

	(void)run;
	(void)account;
	return tenon_queue_wait(queue, wait_events, wait_deadline_ns, &events);
}

static int call_readable_fd(struct run *run, struct account *account)
{
	int fd;

	(void)run;
	(void)account;
	return tenon_queue_readable_fd(queue, &fd);
}

static int call_writable_fd(struct run *run, struct account *account)
{
	int fd;

	(void)run;
	(void)account;
	return tenon_queue_writable_fd(queue, &fd);
}

static int call_receive(struct run *run, struct account *account)
{
	(void)run;
	(void)account;
	return tenon_queue_receive(queue, incoming, sizeof(incoming), &receive_options, messages);
}

static int call_send_batch(struct run *run, struct account *account)
{
	uint32_t count;
	int result = tenon_queue_send_batch(queue, slices, BATCH_MESSAGES, &send_options, &count);

	(void)run;
	if (result == 0)
		atomic_store(&account->count, count);
	return result;
}

static int call_receive_batch(struct run *run, struct account *account)
{
	uint32_t count;
	int result = tenon_queue_receive_batch(queue, incoming, sizeof(incoming), BATCH_MESSAGES,
					       &receive_options, messages, &count);

	(void)run;
	if (result == 0)
		atomic_store(&account->count, count);
	return result;
}

static int call_loan(struct run *run, struct account *account)
{
	(void)run;
	(void)account;
	return tenon_queue_loan(queue, bytes, &loan);
}

static int call_commit(struct run *run, struct account *account)
{
	(void)run;
	(void)account;
	return tenon_queue_commit(queue, &loan, bytes, &send_options);
}

static int call_abandon(struct run *run, struct account *account)
{
	(void)run;
	(void)account;
	return tenon_queue_abandon(queue, &loan);
}

static int call_take(struct run *run, struct account *account)
{
	(void)run;
	(void)account;
	return tenon_queue_take(queue, &receive_options, &lease);
}

static int call_done(struct run *run, struct account *account)
{
	(void)run;
	(void)account;
	return tenon_queue_done(queue, &lease);
}

static int call_return(struct run *run, struct account *account)
{
	(void)run;
	(void)account;
	return tenon_queue_return(queue, &lease);
}

static int call_peek(struct run *run, struct account *account)
{
	(void)account;
	return tenon_queue_peek(queue, run->scenario->fill == FILL_FULL ? 2 : 0, incoming,
				sizeof(incoming), messages);
}

static int call_open(struct run *run, struct account *account)
{
	(void)account;
	return tenon_queue_open(run->folder, QUEUE_NAME, 0, NULL, &queue);
}

static int call_create(struct run *run, struct account *account)
{
	struct tenon_queue_options options = queue_options(run->scenario);

	(void)account;
	/* Beside another creator, each may find the other's. */
	return tenon_queue_open(run->folder, QUEUE_NAME,
				run->scenario->first_operation
					? TENON_QUEUE_CREATE
					: TENON_QUEUE_CREATE | TENON_QUEUE_EXCLUSIVE,
				&options, &queue);
}

static int call_remove(struct run *run, struct account *account)
{
	(void)account;
	return tenon_queue_remove(run->folder, QUEUE_NAME);
}

static int call_close(struct run *run, struct account *account)
{
	(void)run;
	(void)account;
	queue = tenon_queue_close(queue);
	return 0;
}

static int call_status(struct run *run, struct account *account)
{
	struct tenon_queue_status status = {.size = sizeof(status)};

	(void)run;
	(void)account;
	return tenon_queue_status(queue, &status);
}

static int call_check(struct run *run, struct account *account)
{
	(void)run;
	(void)account;
	return tenon_queue_check(queue, incoming, 200);
}

static int call_recover(struct run *run, struct account *account)
{
	uint32_t freed;

	(void)run;
	(void)account;
	return tenon_queue_recover(queue, &freed);
}

typedef int (*call_function)(struct run *run, struct account *account);

static const call_function calls[OPERATIONS] = {
	[OP_SEND] = call_send,
	[OP_RECEIVE] = call_receive,
	[OP_SEND_BATCH] = call_send_batch,
	[OP_RECEIVE_BATCH] = call_receive_batch,
	[OP_LOAN] = call_loan,
	[OP_COMMIT] = call_commit,
	[OP_ABANDON] = call_abandon,
	[OP_TAKE] = call_take,
	[OP_DONE] = call_done,
	[OP_RETURN] = call_return,
	[OP_PEEK] = call_peek,
	[OP_OPEN] = call_open,
	[OP_CREATE] = call_create,
	[OP_REMOVE] = call_remove,
	[OP_CLOSE] = call_close,
	[OP_ATTACH] = call_send,
	[OP_STATUS] = call_status,
	[OP_CHECK] = call_check,
	[OP_RECOVER] = call_recover,
	[OP_DROP_OLDEST] = call_send,
	[OP_RENDEZVOUS] = call_send,
	[OP_SEND_ASLEEP] = call_send,
	[OP_RECEIVE_ASLEEP] = call_receive,
	[OP_TAKE_ASLEEP] = call_take,
	[OP_SEND_BATCH_ASLEEP] = call_send_batch,
	[OP_COMMIT_ASLEEP] = call_commit,
	[OP_RECEIPT] = call_receipt,
	[OP_RECEIPT_ASLEEP] = call_receipt,
	[OP_WAIT] = call_wait,
	[OP_WAIT_ASLEEP] = call_wait,
	[OP_READABLE_FD] = call_readable_fd,
	[OP_WRITABLE_FD] = call_writable_fd,
};

/* Memory that the operation writes first is faulted in before, so that runs do not differ. */
static void prepare_buffers(const struct run *run)
{
	struct selection selection = victim_selection(run->scenario);
	bool sleeps = operation_sleeps(run->operation);
	uint32_t number = own_number(run);

	bytes = scenario_bytes(run->scenario);
	memset(incoming, 1, BATCH_MESSAGES * (size_t)bytes + 1);
	memset(messages, 0, sizeof(messages));
	memset(&lease, 0, sizeof(lease));
	for (uint32_t i = 0; i < BATCH_MESSAGES; i++) {
		message_write(outgoing[i], bytes, number + i);
		slices[i].data = outgoing[i];
		slices[i].bytes = bytes;
	}
	send_options.size = sizeof(send_options);
	send_options.flags = sleeps ? 0 : TENON_NONBLOCK;
	if (run->scenario->variant == VARIANT_RECEIPT)
		send_options.flags |= TENON_WANT_RECEIPT;
	send_options.key = message_key(run->scenario, number);
	receive_options.size = sizeof(receive_options);
	receive_options.flags = sleeps ? 0 : TENON_NONBLOCK;
	/* The first victim takes what comes. */
	if (run->actor == ACTOR_VICTIM) {
		receive_options.select = selection.select;
		receive_options.select_key = selection.key;
	}
	receipt_deadline_ns = sleeps ? 0 : -1;
	wait_deadline_ns = sleeps ? TENON_NO_DEADLINE : 0;
	wait_events = TENON_READABLE | TENON_WRITABLE;
	if (sleeps)
		wait_events = run->scenario->fill == FILL_EMPTY ? TENON_READABLE : TENON_WRITABLE;
}

/* A message of the victim's own, with a receipt, which it has received itself or has not. */
static int prepare_receipt(bool received)
{
	struct tenon_send_options options = send_options;
	int result;

	options.flags = TENON_WANT_RECEIPT;
	result = tenon_queue_send(queue, outgoing[0], bytes, &options);
	if (result == 0)
		result = tenon_queue_last_receipt(queue, &receipt);
	if (result == 0 && received)
		result = tenon_queue_receive(queue, incoming, sizeof(incoming), NULL, messages);
	return result;
}

/* What the victim has loaned and taken before. */
static int prepare_holdings(struct run *run, struct account *account)
{
	uint32_t operation = run->operation;
	struct tenon_lease all_but_one;
	int result = 0;

	if (operation_commits(operation) || operation == OP_ABANDON || operation == OP_CLOSE) {
		result = tenon_queue_loan(queue, bytes, &loan);
		if (result == 0)
			message_write(loan.data, bytes, own_number(run));
	}
	if (result == 0 && operation_holds_lease(operation)) {
		result = tenon_queue_take(queue, &receive_options, &lease);
		atomic_store(&account->number, (uint32_t)lease.message.sequence);
	}
	if (operation == OP_TAKE && run->scenario->variant == VARIANT_DROP_OLDEST)
		for (uint32_t i = 1; i < run->prefilled && result == 0; i++)
			result = tenon_queue_take(queue, &receive_options, &all_but_one);
	return result;
}

int victim_prepare(void *context)
{
	struct run *run = context;
	uint32_t operation = run->operation;
	int result = 0;

	prepare_buffers(run);
	if (operation == OP_ATTACH)
		queue = run->witness;
	else if (operation != OP_OPEN && operation != OP_CREATE && operation != OP_REMOVE)
		result = tenon_queue_open(run->folder, QUEUE_NAME, 0, NULL, &queue);
	if (result == 0)
		result = prepare_holdings(run, &run->accounts[run->actor]);
	if (result == 0 && (operation == OP_RECEIPT || operation == OP_RECEIPT_ASLEEP))
		result = prepare_receipt(operation == OP_RECEIPT);
	/* The seeded mistake is the victim's alone: survivors must find it, not share it. */
	if (&tni_seeded_fault)
		tni_seeded_fault = run->fault;
	return result;
}

/* Which message it was, where the operation got one. */
static void note_message(const struct run *run, struct account *account)
{
	const void *data = incoming;
	int number;

	switch (run->operation) {
	case OP_TAKE:
	case OP_TAKE_ASLEEP:
		messages[0] = lease.message;
		data = lease.data;
		break;
	case OP_RECEIVE:
	case OP_RECEIVE_ASLEEP:
		break;
	default:
		return;
	}
	number = message_glance(data, messages[0].bytes, bytes);
	if (number < 0)
		atomic_store(&account->broken, 1);
	else
		atomic_store(&account->number, (uint32_t)number);
}

void victim_operate(void *context)
{
	struct run *run = context;
	struct account *account = &run->accounts[run->actor];
	int result;

	atomic_store(&account->called, 1);
	result = calls[run->operation](run, account);
	atomic_store(&account->result, result);
	if (result == 0)
		note_message(run, account);
	atomic_store(&account->returned, 1);
}
