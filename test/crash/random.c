/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Kills at random: senders, receivers, takers and their batching kin work on one queue; the main
 * process kills one after the other with SIGKILL, stops some and lets them go on, and starts
 * others in their places.  A ledger in shared memory knows of each message whether its send
 * returned and how often it was dealt with.  After every epoch the queue is drained and each message
 * has to be accounted for.
 *
 * A receiver that is killed in its call may have received what the ledger does not know of.  So in
 * every other epoch there are takers only, whose leases make the account exact.
 */

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <tenon/queue.h>

#include "folder.h"

#define NAME "/random"
#define CAPACITY 64u
#define MESSAGE_BYTES 20000u
#define BATCH 4u
#define WORKERS 12u
#define LEDGER_MESSAGES (1u << 23)
#define WORKER_NICENESS 10
#define WATCHDOG_NS INT64_C(5000000000)
/* The longest pause between two kills, less what the scheduler makes of it. */
#define PAUSE_MAX_NS 300000
/* Everything that may lie in a slot at once, and what the tables of the queue take. */
#define MEMORY_MAX_BYTES \
	((CAPACITY + WORKERS * (BATCH + 2)) * UINT64_C(24576) + (UINT64_C(8) << 20))

/* What the ledger knows of a message. */
#define STARTED 1u    /* somebody began to send it */
#define SENT 2u	      /* the send returned 0 */
#define MAYBE_DONE 4u /* its taker was killed while it said done */
#define WITHDRAWN 16u /* did not fit into a batch: must not arrive */
#define FINISHED 8u   /* received, or done; a second time is a failure of its own */

enum role { SENDER, BATCH_SENDER, LOANER, RECEIVER, BATCH_RECEIVER, TAKER, RETURNER };

/* A place for a worker; one after the other holds it. */
struct place {
	_Atomic uint32_t receiving; /* most messages that the call under way may receive */
	_Atomic uint32_t finishing; /* number + 1 of the message it says done to */
	_Atomic uint32_t failed;
	char why[200];
};

struct ledger {
	_Atomic uint32_t next; /* message */
	_Atomic uint64_t finished;
	_Atomic uint32_t pause; /* senders: the epoch is over */
	struct place place[WORKERS];
	_Atomic uint8_t message[LEDGER_MESSAGES];
};

static struct ledger *ledger;
static struct tenon_queue *queue;
static char folder[FOLDER_BYTES];
static uint32_t order = TENON_QUEUE_FIFO;
static uint64_t random_state;
static pid_t pids[WORKERS];
static bool stopped[WORKERS];
static uint64_t unaccounted_allowed, stops, kills_done;
static int64_t end_ns = INT64_MAX;
static volatile sig_atomic_t ended;

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* xorshift64*: seeds make runs alike, as far as the scheduler lets them be. */
static uint32_t random_below(uint32_t bound)
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return (uint32_t)((random_state * UINT64_C(0x2545f4914f6cdd1d)) >> 33) % bound;
}

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
static int64_t read_message(const void *data, uint64_t bytes)
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

static void finish(struct place *place, int64_t number)
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
		finish(place, read_message((const char *)data + at, messages[i].bytes));
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
	number = read_message(lease.data, lease.message.bytes);
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
		finish(place, number);
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

static void work(uint32_t index, bool exact)
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

static void start(uint32_t index, bool exact)
{
	struct place *place = &ledger->place[index];

	atomic_store(&place->receiving, 0);
	atomic_store(&place->finishing, 0);
	pids[index] = fork();
	if (pids[index] == 0)
		work(index, exact);
	if (pids[index] < 0) {
		perror("fork");
		exit(EXIT_FAILURE);
	}
}

static void end(uint32_t index)
{
	struct place *place = &ledger->place[index];
	uint32_t finishing;

	/* The dying one neither, where that is allowed. */
	setpriority(PRIO_PROCESS, (id_t)pids[index], 0);
	kill(pids[index], SIGKILL);
	waitpid(pids[index], NULL, 0);
	stopped[index] = false;
	unaccounted_allowed += atomic_load(&place->receiving);
	finishing = atomic_load(&place->finishing);
	if (finishing)
		atomic_fetch_or(&ledger->message[finishing - 1], MAYBE_DONE);
}

static int failure(const char *what, uint64_t a, uint64_t b)
{
	printf("FAIL: %s (%" PRIu64 ", %" PRIu64 ")\n", what, a, b);
	fflush(stdout);
	return -1;
}

static int places_are_well(void)
{
	for (uint32_t i = 0; i < WORKERS; i++)
		if (atomic_load(&ledger->place[i].failed)) {
			printf("worker %u: %s\n", i, ledger->place[i].why);
			return failure("a worker complains", i, 0);
		}
	return 0;
}

/* Lets the workers work for a moment that is as long as chance has it. */
static void pause_at_random(void)
{
	struct timespec moment = {0, random_below(PAUSE_MAX_NS)};

	clock_nanosleep(CLOCK_MONOTONIC, 0, &moment, NULL);
}

static int kill_some(uint32_t kills, bool exact)
{
	uint64_t last_finished = atomic_load(&ledger->finished);
	int64_t progress_ns = now_ns();

	for (uint32_t i = 0; i < kills && !ended && now_ns() < end_ns; i++) {
		uint32_t index = random_below(WORKERS);

		pause_at_random();
		if (random_below(16) == 0 && !stopped[index]) {
			/* Stopped, perhaps with a lock held: all wait for it, nobody evicts it. */
			kill(pids[index], SIGSTOP);
			stopped[index] = true;
			stops++;
			pause_at_random();
		}
		for (uint32_t other = 0; other < WORKERS; other++)
			if (stopped[other] && random_below(8) == 0) {
				kill(pids[other], SIGCONT);
				stopped[other] = false;
			}
		end(index);
		start(index, exact);
		kills_done++;
		if (places_are_well() != 0)
			return -1;
		if (atomic_load(&ledger->finished) != last_finished ||
		    atomic_load(&ledger->next) >= LEDGER_MESSAGES) {
			last_finished = atomic_load(&ledger->finished);
			progress_ns = now_ns();
		} else if (now_ns() > progress_ns + WATCHDOG_NS) {
			return failure("nothing was delivered for 5 s", last_finished, 0);
		}
	}
	return 0;
}

/* With all workers gone, what is left is received here. */
static int drain(void)
{
	struct tenon_receive_options options = {.size = sizeof(options), .flags = TENON_NONBLOCK};
	static uint64_t data[MESSAGE_BYTES / 8];
	struct place place = {0};
	struct tenon_message message;
	int result = tenon_queue_recover(queue, NULL);

	while (result == 0) {
		result = tenon_queue_receive(queue, data, sizeof(data), &options, &message);
		if (result == 0)
			finish(&place, read_message(data, message.bytes));
	}
	if (atomic_load(&place.failed)) {
		printf("draining: %s\n", place.why);
		return failure("what was left is wrong", 0, 0);
	}
	return result == -EAGAIN ? 0
				 : failure("draining ended with an error", (uint64_t)-result, 0);
}

static int account(bool exact)
{
	uint32_t count = atomic_load(&ledger->next);
	uint64_t missing = 0;

	if (count > LEDGER_MESSAGES)
		count = LEDGER_MESSAGES;
	for (uint32_t i = 0; i < count; i++) {
		uint8_t state = atomic_load(&ledger->message[i]);

		if ((state & WITHDRAWN) && (state & FINISHED))
			return failure("a message that was not sent arrived", i, state);
		if (!(state & SENT) || (state & (FINISHED | MAYBE_DONE)))
			continue;
		missing++;
		if (exact)
			return failure("a message was lost", i, state);
	}
	if (missing > unaccounted_allowed)
		return failure("messages were lost; so many may be missing", missing,
			       unaccounted_allowed);
	return 0;
}

static int inspect(struct tenon_queue_status *ret_status)
{
	char text[200] = "";
	int result = tenon_queue_check(queue, text, sizeof(text));

	if (result != 0) {
		printf("check: %s\n", text);
		return failure("the queue is not sound", (uint64_t)-result, 0);
	}
	memset(ret_status, 0, sizeof(*ret_status));
	ret_status->size = sizeof(*ret_status);
	if (tenon_queue_status(queue, ret_status) != 0)
		return failure("status", 0, 0);
	if (ret_status->messages || ret_status->leased || ret_status->loaned)
		return failure("leases or loans are left", ret_status->leased, ret_status->loaned);
	if (ret_status->sent != ret_status->received + ret_status->dropped)
		return failure("sent is not received and dropped", ret_status->sent,
			       ret_status->received + ret_status->dropped);
	if (ret_status->participants != 1)
		return failure("dead processes are still attached", ret_status->participants, 0);
	if (ret_status->memory_bytes > MEMORY_MAX_BYTES)
		return failure("memory was leaked", ret_status->memory_bytes, MEMORY_MAX_BYTES);
	return 0;
}

static int epoch(uint32_t number, uint32_t kills, struct tenon_queue_status *ret_status)
{
	bool exact = number % 2 == 0;
	int result;

	madvise((void *)ledger, sizeof(*ledger), MADV_REMOVE);
	unaccounted_allowed = 0;
	for (uint32_t i = 0; i < WORKERS; i++)
		start(i, exact);
	result = kill_some(kills, exact);
	atomic_store(&ledger->pause, 1);
	for (uint32_t i = 0; i < WORKERS; i++)
		end(i);
	if (result == 0)
		result = places_are_well();
	if (result == 0)
		result = drain();
	if (result == 0)
		result = account(exact);
	return result == 0 ? inspect(ret_status) : result;
}

static int run(uint64_t kills_wanted, uint32_t kills_an_epoch)
{
	struct tenon_queue_options options = {.size = sizeof(options),
					      .order = order,
					      .capacity = CAPACITY,
					      .max_message_bytes = MESSAGE_BYTES,
					      .mode = 0600,
					      .max_participants = 4 * WORKERS};
	struct tenon_queue_status status;
	int64_t start_ns = now_ns();
	int result = tenon_queue_open(folder, NAME, TENON_QUEUE_CREATE, &options, &queue);

	if (result != 0)
		return failure("create", (uint64_t)-result, 0);
	for (uint32_t i = 0;
	     result == 0 && kills_done < kills_wanted && !ended && now_ns() < end_ns; i++) {
		result = epoch(i, kills_an_epoch, &status);
		if (result == 0)
			printf("%" PRIu64 " kills, %.0f a second; %" PRIu64 " stops; %" PRIu64
			       " messages, %" PRIu64 " redelivered, %" PRIu64 " repairs, %" PRIu64
			       " KiB\n",
			       kills_done, (double)kills_done * 1e9 / (double)(now_ns() - start_ns),
			       stops, status.sent, status.redelivered, status.repairs,
			       status.memory_bytes / 1024);
		fflush(stdout);
	}
	queue = tenon_queue_close(queue);
	tenon_queue_remove(folder, NAME);
	return result;
}

static void note_end(int signal)
{
	(void)signal;
	ended = 1;
}

int main(int count, char **arguments)
{
	static const char usage[] =
		"usage: random [-n KILLS] [-e KILLS-AN-EPOCH] [-s SEED] [-t SECONDS] "
		"[-o fifo|priority|typed]\n";
	uint64_t kills = 2000;
	uint32_t an_epoch = 500;
	int option, result;

	random_state = (uint64_t)time(NULL);
	while ((option = getopt(count, arguments, "n:e:s:o:t:")) != -1) {
		switch (option) {
		case 'n':
			kills = strtoull(optarg, NULL, 0);
			break;
		case 'e':
			an_epoch = (uint32_t)strtoul(optarg, NULL, 0);
			break;
		case 't':
			end_ns = now_ns() + strtoll(optarg, NULL, 0) * INT64_C(1000000000);
			break;
		case 's':
			random_state = strtoull(optarg, NULL, 0);
			break;
		case 'o':
			order = optarg[0] == 'p'   ? TENON_QUEUE_PRIORITY
				: optarg[0] == 't' ? TENON_QUEUE_TYPED
						   : TENON_QUEUE_FIFO;
			break;
		default:
			fputs(usage, stderr);
			return 2;
		}
	}
	if (random_state == 0 || an_epoch == 0)
		random_state = an_epoch = 1;
	ledger = mmap(NULL, sizeof(*ledger), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (ledger == MAP_FAILED || folder_make(folder) != 0) {
		perror("random");
		return EXIT_FAILURE;
	}
	signal(SIGTERM, note_end);
	signal(SIGINT, note_end);
	printf("seed %" PRIu64 "\n", random_state);
	result = run(kills, an_epoch);
	folder_remove(folder);
	return result == 0 && !ended ? EXIT_SUCCESS : EXIT_FAILURE;
}
