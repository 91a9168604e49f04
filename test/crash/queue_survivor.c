/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What survivors do after the kill: the sleeper goes on as soon as there is something for it, and a
 * fresh process drains the queue, fills it, empties it, and looks at it from all sides.
 */

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "queue_crash.h"

#define CYCLES 2
/* More than can ever be in the queue: the end of every loop. */
#define MESSAGES_BOUND 64u

static char buffer[MESSAGE_MAX_BYTES];

static uint32_t rank_of(const struct run *run, uint32_t number)
{
	for (uint32_t position = 0; position < run->prefilled; position++)
		if (message_leaving(run, position) == number)
			return position;
	return UINT32_MAX;
}

int survivor_saw(struct run *run, const void *data, const struct tenon_message *message)
{
	uint32_t bytes = scenario_bytes(run->scenario);
	int number = message_read(data, message->bytes, bytes);

	if (number < 0)
		return fail(run, "a torn message (%llu bytes, sequence %llu)",
			    (unsigned long long)message->bytes,
			    (unsigned long long)message->sequence);
	if (bytes == 0) {
		if (message->sequence >= run->prefilled) {
			run->seen_unnumbered++;
			return 0;
		}
		number = (int)message->sequence;
	}
	run->seen[number]++;
	run->deliveries[number] = message->deliveries;
	if ((uint32_t)number >= run->prefilled)
		return 0;
	if (message->sequence != (uint64_t)number)
		return fail(run, "message %d says that it is number %llu of the queue", number,
			    (unsigned long long)message->sequence);
	if (message->key != message_key(run->scenario, (uint32_t)number))
		return fail(run, "message %d has another key", number);
	if (rank_of(run, (uint32_t)number) < run->next_rank)
		return fail(run, "message %d is out of order", number);
	run->next_rank = rank_of(run, (uint32_t)number) + 1;
	return 0;
}

static void be_sleeper(struct run *run)
{
	struct account *account = &run->accounts[ACTOR_SLEEPER];
	struct tenon_send_options options = {.size = sizeof(options),
					     .key = message_key(run->scenario, NUMBER_SLEEPER)};
	uint32_t bytes = scenario_bytes(run->scenario);
	struct tenon_message message;
	struct tenon_queue *queue;
	int result, number = 0;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	message_write(buffer, bytes, NUMBER_SLEEPER);
	if (tenon_queue_open(run->folder, QUEUE_NAME, 0, NULL, &queue) != 0)
		_exit(EXIT_FAILURE);
	atomic_store(&account->called, 1);
	if (run->scenario->peer == PEER_SENDER)
		result = tenon_queue_send(queue, buffer, bytes, &options);
	else
		result = tenon_queue_receive(queue, buffer, sizeof(buffer), NULL, &message);
	atomic_store(&account->returned_ns, step_now_ns());
	if (result == 0 && run->scenario->peer == PEER_RECEIVER) {
		number = message_read(buffer, message.bytes, bytes);
		if (bytes == 0)
			number = (int)message.sequence;
		atomic_store(&account->broken, number < 0);
		atomic_store(&account->number, (uint32_t)number);
		atomic_store(&account->deliveries, message.deliveries);
	}
	atomic_store(&account->result, result);
	step_notify(&account->returned);
	queue = tenon_queue_close(queue);
	_exit(EXIT_SUCCESS);
}

int sleeper_start(struct run *run)
{
	struct account *account = &run->accounts[ACTOR_SLEEPER];
	int64_t deadline_ns = step_now_ns() + run->patience_ns;
	uint32_t rounds = 0;

	run->sleeper = fork();
	if (run->sleeper < 0)
		return fail(run, "fork: %s", strerror(errno));
	if (run->sleeper == 0)
		be_sleeper(run);
	while (!atomic_load(&account->called) || !step_is_asleep(run->sleeper, NULL)) {
		if (waitpid(run->sleeper, NULL, WNOHANG) != 0) {
			run->sleeper = 0;
			return fail(run, "the sleeper ended");
		}
		if (atomic_load(&account->returned) || step_now_ns() > deadline_ns)
			return fail(run, "the sleeper does not go to sleep (result %d)",
				    (int)atomic_load(&account->result));
		step_give_way(&account->returned, &rounds);
	}
	return 0;
}

void sleeper_stop(struct run *run)
{
	if (run->sleeper <= 0)
		return;
	kill(run->sleeper, SIGKILL);
	waitpid(run->sleeper, NULL, 0);
	run->sleeper = 0;
}

/* Whether the queue, as it is now, has what the sleeper waits for.  What a dead process still has
 * under lease will be had. */
static bool sleeper_is_entitled(const struct run *run, const struct tenon_queue_status *status)
{
	if (run->scenario->peer == PEER_RECEIVER)
		return status->messages + status->leased > 0;
	return status->messages + status->leased < status->capacity;
}

/* Waits until the sleeper has made progress or sleeps with good reason. */
static int settle(struct run *run)
{
	struct account *account = &run->accounts[ACTOR_SLEEPER];
	int64_t deadline_ns = step_now_ns() + run->patience_ns;
	struct tenon_queue_status status = {.size = sizeof(status)};
	uint32_t rounds = 0;

	run->progress_ns = -1;
	if (run->sleeper <= 0)
		return 0;
	if (atomic_load(&account->returned))
		return 0;
	for (;;) {
		bool asleep = step_is_asleep(run->sleeper, NULL);
		int result = tenon_queue_status(run->witness, &status);

		if (atomic_load(&account->returned))
			break;
		if (result != 0)
			return fail(run, "status: %s", strerror(-result));
		run->lease_was_open |= status.leased > 0;
		if (asleep && !sleeper_is_entitled(run, &status) &&
		    step_is_asleep(run->sleeper, NULL) && !atomic_load(&account->returned))
			return 0;
		if (step_now_ns() > deadline_ns)
			return fail(run, "the sleeper %s (%llu messages, %llu leased)",
				    asleep ? "sleeps on" : "runs for ever",
				    (unsigned long long)status.messages,
				    (unsigned long long)status.leased);
		step_give_way(&account->returned, &rounds);
	}
	run->progress_ns = atomic_load(&account->returned_ns) - run->victim.killed_ns;
	return 0;
}

static int await_sleeper(struct run *run)
{
	struct account *account = &run->accounts[ACTOR_SLEEPER];
	int64_t deadline_ns = step_now_ns() + run->patience_ns;
	struct tenon_message message = {.bytes = scenario_bytes(run->scenario)};
	int result;
	uint32_t rounds = 0;

	while (!atomic_load(&account->returned)) {
		if (step_now_ns() > deadline_ns)
			return fail(run, "the sleeper sleeps on though a fresh process came");
		step_give_way(&account->returned, &rounds);
	}
	waitpid(run->sleeper, NULL, 0);
	run->sleeper = 0;
	result = atomic_load(&account->result);
	if (result != 0)
		return fail(run, "the sleeper's call failed: %s", strerror(-result));
	if (run->scenario->peer == PEER_SENDER)
		return 0;
	if (atomic_load(&account->broken))
		return fail(run, "the sleeper got a torn message");
	if (message.bytes == 0 && atomic_load(&account->number) >= run->prefilled) {
		run->seen_unnumbered++;
		return 0;
	}
	run->seen[atomic_load(&account->number)]++;
	run->deliveries[atomic_load(&account->number)] = atomic_load(&account->deliveries);
	return 0;
}

static int send_one(struct run *run, struct tenon_queue *queue, uint32_t number)
{
	struct tenon_send_options options = {.size = sizeof(options),
					     .flags = TENON_NONBLOCK,
					     .key = message_key(run->scenario, number)};
	uint32_t bytes = scenario_bytes(run->scenario);

	message_write(buffer, bytes, number);
	return tenon_queue_send(queue, buffer, bytes, &options);
}

static int receive_one(struct tenon_queue *queue, struct tenon_message *ret_message)
{
	struct tenon_receive_options options = {.size = sizeof(options), .flags = TENON_NONBLOCK};

	return tenon_queue_receive(queue, buffer, sizeof(buffer), &options, ret_message);
}

/* A sleeper for whom there was nothing gets something from the fresh process. */
static int serve_sleeper(struct run *run, struct tenon_queue *fresh)
{
	struct tenon_message message;
	int result;

	if (run->sleeper <= 0)
		return 0;
	if (!atomic_load(&run->accounts[ACTOR_SLEEPER].returned)) {
		if (run->scenario->peer == PEER_RECEIVER) {
			result = send_one(run, fresh, NUMBER_FRESH);
			run->fresh_sent = result == 0;
		} else {
			result = receive_one(fresh, &message);
			if (result == 0 && survivor_saw(run, buffer, &message) != 0)
				return -1;
		}
		if (result != 0)
			return fail(run, "the fresh process's first call: %s", strerror(-result));
	}
	return await_sleeper(run);
}

static int drain(struct run *run, struct tenon_queue *fresh)
{
	struct tenon_message message;
	int result = 0;

	for (uint32_t i = 0; i < MESSAGES_BOUND; i++) {
		result = receive_one(fresh, &message);
		if (result != 0)
			break;
		if (survivor_saw(run, buffer, &message) != 0)
			return -1;
	}
	if (result != -EAGAIN)
		return fail(run, "draining the queue: %s", strerror(-result));
	return 0;
}

/* Fills the queue and empties it: it has to hold its capacity, and give it back whole. */
static int cycle(struct run *run, struct tenon_queue *fresh)
{
	bool drops = run->scenario->operation == OP_DROP_OLDEST ||
		     run->scenario->first_operation == OP_DROP_OLDEST;
	uint32_t capacity = run->scenario->operation == OP_RENDEZVOUS ? 0 : QUEUE_CAPACITY;
	uint32_t sent = 0, received = 0;
	struct tenon_message message;
	int result = 0;

	while (sent < MESSAGES_BOUND && !(drops && sent == capacity) && result == 0) {
		result = send_one(run, fresh, NUMBER_FRESH + sent % 8);
		sent += result == 0;
	}
	if (sent != capacity || (result != 0 && result != -EAGAIN))
		return fail(run, "filling ended after %u messages: %s", sent, strerror(-result));
	for (result = 0; received < MESSAGES_BOUND && result == 0; received += result == 0) {
		result = receive_one(fresh, &message);
		if (result == 0 &&
		    message_read(buffer, message.bytes, scenario_bytes(run->scenario)) < 0)
			return fail(run, "a torn message after the repair");
	}
	if (received != sent || result != -EAGAIN)
		return fail(run, "%u messages sent, %u received: %s", sent, received,
			    strerror(-result));
	return 0;
}

/* Which of two survivors gets a message is a race, and the first lease brings its table's first page. */
#define LEASES_BYTES 4096u

/* The figures of an empty queue in which nobody does anything. */
static int status_adds_up(struct run *run, struct tenon_queue *fresh)
{
	struct tenon_queue_status status = {.size = sizeof(status)};
	uint32_t attached = 1 + (run->witness && run->witness != fresh);
	int result = tenon_queue_status(fresh, &status);

	if (result != 0)
		return fail(run, "status: %s", strerror(-result));
	run->repairs = status.repairs;
	run->ended_bytes = status.memory_bytes;
	if (status.messages || status.message_bytes)
		return fail(run, "an empty queue shows %llu messages, %llu bytes",
			    (unsigned long long)status.messages,
			    (unsigned long long)status.message_bytes);
	if (status.leased || status.loaned)
		return fail(run, "%llu leased and %llu loaned are left",
			    (unsigned long long)status.leased, (unsigned long long)status.loaned);
	if (status.sent != status.received + status.dropped)
		return fail(run, "%llu sent, but %llu received and %llu dropped",
			    (unsigned long long)status.sent, (unsigned long long)status.received,
			    (unsigned long long)status.dropped);
	if (!status.dropped && status.sent_bytes != status.received_bytes)
		return fail(run, "%llu bytes sent, %llu received",
			    (unsigned long long)status.sent_bytes,
			    (unsigned long long)status.received_bytes);
	if (status.receivers_waiting || status.senders_waiting)
		return fail(run, "%u receivers and %u senders seem to wait",
			    status.receivers_waiting, status.senders_waiting);
	if (status.participants != attached)
		return fail(run, "%u processes are attached, the queue shows %u", attached,
			    status.participants);
	if (status.damaged)
		return fail(run, "the queue is marked damaged");
	if (run->memory_bytes && status.memory_bytes > run->memory_bytes + LEASES_BYTES)
		return fail(run, "memory leaked: %llu bytes, %llu without the kill",
			    (unsigned long long)status.memory_bytes,
			    (unsigned long long)run->memory_bytes);
	return 0;
}

/* The name may be missing where the victim was making or removing it, and only there. */
static int fresh_open(struct run *run, struct tenon_queue **ret_fresh)
{
	uint32_t operation = run->scenario->operation;
	const struct account *account = &run->accounts[ACTOR_VICTIM];
	struct tenon_queue_options options = queue_options(run->scenario);
	bool returned = atomic_load(&account->returned);
	int result = tenon_queue_open(run->folder, QUEUE_NAME, 0, NULL, ret_fresh);

	if (result == -ENOENT && operation == OP_CREATE && !returned)
		result = tenon_queue_open(run->folder, QUEUE_NAME,
					  TENON_QUEUE_CREATE | TENON_QUEUE_EXCLUSIVE, &options,
					  ret_fresh);
	if (result == -ENOENT && operation == OP_REMOVE && atomic_load(&account->called)) {
		*ret_fresh = run->witness;
		return 0;
	}
	if (result == 0 && operation == OP_REMOVE && returned) {
		*ret_fresh = tenon_queue_close(*ret_fresh);
		return fail(run, "a removed queue can be opened");
	}
	if (result != 0)
		return fail(run, "a fresh process cannot open the queue: %s", strerror(-result));
	return 0;
}

static int prove_with(struct run *run, struct tenon_queue *fresh)
{
	char text[200] = "";
	int result = tenon_queue_recover(fresh, NULL);

	if (result != 0)
		return fail(run, "recover: %s", strerror(-result));
	if (serve_sleeper(run, fresh) != 0 || drain(run, fresh) != 0 || expect_kept(run) != 0)
		return -1;
	for (int i = 0; i < CYCLES; i++)
		if (cycle(run, fresh) != 0)
			return -1;
	result = tenon_queue_check(fresh, text, sizeof(text));
	if (result != 0)
		return fail(run, "check: %s: %s", strerror(-result), text);
	return status_adds_up(run, fresh);
}

int survivors_prove(struct run *run)
{
	struct tenon_queue *fresh;
	int result;

	if (settle(run) != 0 || fresh_open(run, &fresh) != 0)
		return -1;
	result = prove_with(run, fresh);
	if (fresh != run->witness)
		fresh = tenon_queue_close(fresh);
	return result;
}
