/* SPDX-License-Identifier: Apache-2.0 */

/* What workers do until they are killed: send, receive and take, and keep the ledger. */

#include "random.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#define WORKER_NICENESS 10

struct ledger *ledger;
struct tenon_queue *queue;
uint32_t order = TENON_QUEUE_FIFO;

enum role { SENDER, BATCH_SENDER, LOANER, RECEIVER, BATCH_RECEIVER, TAKER, RETURNER };

static uint32_t bytes_of(uint32_t number)
{
	static const uint32_t sizes[] = {16, 64, 64, 64, 300, 1000, 64, MESSAGE_BYTES};

	return sizes[number * UINT32_C(2654435761) >> 29];
}

static void write_message(void *data, uint32_t number)
{
	uint64_t *words = data;

	for (uint32_t i = 0; i < bytes_of(number) / 8; i++)
		words[i] = number + i * UINT64_C(0x9e3779b97f4a7c15);
}

/* The number, or -1. */
int64_t worker_read_message(const void *data, uint64_t bytes)
{
	const char *at = data;
	uint64_t number, word;

	if (bytes < 16)
		return -1;
	memcpy(&number, at, 8);
	if (number >= LEDGER_MESSAGES || bytes != bytes_of((uint32_t)number))
		return -1;
	for (uint64_t i = 1; i < bytes / 8; i++) {
		memcpy(&word, at + 8 * i, 8);
		if (word != number + i * UINT64_C(0x9e3779b97f4a7c15))
			return -1;
	}
	return (int64_t)number;
}

static void complain(struct place *place, const char *what, int64_t detail)
{
	if (atomic_load(&place->failed))
		return;
	snprintf(place->why, sizeof(place->why), "%s (%" PRId64 ")", what, detail);
	atomic_store(&place->failed, 1);
}

void worker_finish(struct place *place, int64_t number)
{
	if (number < 0) {
		complain(place, "a torn message", number);
		return;
	}
	if (atomic_fetch_or(&ledger->message[number], FINISHED) & FINISHED)
		complain(place, "a message was delivered twice", number);
	atomic_fetch_add(&ledger->finished, 1);
}

static bool begin(uint32_t *ret_number)
{
	if (atomic_load(&ledger->pause))
		return false;
	*ret_number = atomic_fetch_add(&ledger->next, 1);
	if (*ret_number >= LEDGER_MESSAGES) {
		atomic_store(&ledger->next, LEDGER_MESSAGES);
		return false;
	}
	atomic_fetch_or(&ledger->message[*ret_number], STARTED);
	return true;
}

static struct tenon_send_options key_options(uint32_t number)
{
	return (struct tenon_send_options){.size = sizeof(struct tenon_send_options),
					   .key = order == TENON_QUEUE_FIFO ? 0 : 1 + number % 7};
}

static bool send_one(struct place *place, bool loaned)
{
	static uint64_t data[MESSAGE_BYTES / 8];
	struct tenon_send_options options;
	struct tenon_loan loan;
	uint32_t number;
	int result;

	if (!begin(&number))
		return false;
	options = key_options(number);
	if (loaned) {
		result = tenon_queue_loan(queue, bytes_of(number), &loan);
		if (result == 0) {
			write_message(loan.data, number);
			result = tenon_queue_commit(queue, &loan, bytes_of(number), &options);
		}
	} else {
		write_message(data, number);
		result = tenon_queue_send(queue, data, bytes_of(number), &options);
	}
	if (result == 0)
		atomic_fetch_or(&ledger->message[number], SENT);
	else
		complain(place, "send", result);
	return true;
}

static bool send_batch(struct place *place)
{
	static uint64_t data[BATCH][MESSAGE_BYTES / 8];
	struct tenon_slice slices[BATCH];
	uint32_t numbers[BATCH], count, sent = 0;
	struct tenon_send_options options = key_options(0);
	int result;

	for (count = 0; count < BATCH && begin(&numbers[count]); count++) {
		write_message(data[count], numbers[count]);
		slices[count].data = data[count];
		slices[count].bytes = bytes_of(numbers[count]);
	}
	if (count == 0)
		return false;
	result = tenon_queue_send_batch(queue, slices, count, &options, &sent);
	if (result != 0)
		complain(place, "send_batch", result);
	for (uint32_t i = 0; i < count; i++)
		atomic_fetch_or(&ledger->message[numbers[i]], i < sent ? SENT : WITHDRAWN);
	return true;
}

static void receive(struct place *place, uint32_t count)
{
	static uint64_t data[BATCH * MESSAGE_BYTES / 8];
	struct tenon_message messages[BATCH];
	uint32_t got = 1;
	uint64_t at = 0;
	int result;

	atomic_store(&place->receiving, count);
	if (count == 1)
		result = tenon_queue_receive(queue, data, sizeof(data), NULL, messages);
	else
		result = tenon_queue_receive_batch(queue, data, sizeof(data), count, NULL, messages,
						   &got);
	if (result != 0) {
		complain(place, "receive", result);
		return;
	}
	for (uint32_t i = 0; i < got; i++) {
		worker_finish(place,
			      worker_read_message((const char *)data + at, messages[i].bytes));
		at += messages[i].bytes;
	}
	atomic_store(&place->receiving, 0);
}

static void take(struct place *place, bool returns)
{
	struct tenon_lease lease;
	int64_t number;
	int result = tenon_queue_take(queue, NULL, &lease);

	if (result != 0) {
		complain(place, "take", result);
		return;
	}
	number = worker_read_message(lease.data, lease.message.bytes);
	if (number < 0) {
		complain(place, "a torn message was taken", number);
		return;
	}
	if (returns && lease.message.deliveries == 0 && number % 3 == 0) {
		result = tenon_queue_return(queue, &lease);
		if (result != 0)
			complain(place, "return", result);
		return;
	}
	atomic_store(&place->finishing, (uint32_t)number + 1);
	result = tenon_queue_done(queue, &lease);
	if (result != 0)
		complain(place, "done: a living process lost its lease", result);
	else
		worker_finish(place, number);
	atomic_store(&place->finishing, 0);
}

static enum role role_of(uint32_t index, bool exact)
{
	static const enum role roles[WORKERS] = {SENDER,	 RECEIVER, TAKER,    BATCH_SENDER,
						 BATCH_RECEIVER, LOANER,   RETURNER, SENDER,
						 RECEIVER,	 TAKER,	   SENDER,   TAKER};
	enum role role = roles[index];

	return exact && (role == RECEIVER || role == BATCH_RECEIVER) ? TAKER : role;
}

void worker_work(uint32_t index, bool exact, const char *folder)
{
	struct place *place = &ledger->place[index];
	bool goes_on = true;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* The main process must not wait for a CPU behind all the workers. */
	setpriority(PRIO_PROCESS, 0, WORKER_NICENESS);
	if (tenon_queue_open(folder, NAME, 0, NULL, &queue) != 0) {
		complain(place, "open", 0);
		_exit(EXIT_FAILURE);
	}
	while (goes_on && !atomic_load(&place->failed)) {
		switch (role_of(index, exact)) {
		case SENDER:
			goes_on = send_one(place, false);
			break;
		case LOANER:
			goes_on = send_one(place, true);
			break;
		case BATCH_SENDER:
			goes_on = send_batch(place);
			break;
		case RECEIVER:
			receive(place, 1);
			break;
		case BATCH_RECEIVER:
			receive(place, BATCH);
			break;
		case TAKER:
			take(place, false);
			break;
		case RETURNER:
			take(place, true);
			break;
		}
	}
	/* A sender at the end of an epoch lies idle until it is killed. */
	for (;;)
		pause();
}
