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

#include "random.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "folder.h"

#define WATCHDOG_NS INT64_C(5000000000)
/* The longest pause between two kills, less what the scheduler makes of it. */
#define PAUSE_MAX_NS 300000
/* What is queued, and for each worker what it works on and what two dead ones before it left to be
 * cleared up; and the tables. */
#define MEMORY_MAX_BYTES ((CAPACITY + 3 * WORKERS) * UINT64_C(20480) + (UINT64_C(1) << 20))

static char folder[FOLDER_BYTES];
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

static void start(uint32_t index, bool exact)
{
	struct place *place = &ledger->place[index];

	atomic_store(&place->receiving, 0);
	atomic_store(&place->finishing, 0);
	pids[index] = fork();
	if (pids[index] == 0)
		worker_work(index, exact, folder);
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

/*
 * With all workers gone, what is left is received here.  A receive that does not wait has to find what
 * dead workers had taken, too, without anybody having looked for the dead on purpose: `looks_first`
 * is for the epochs that show that looking does not harm.
 */
static int drain(bool looks_first)
{
	struct tenon_receive_options options = {.size = sizeof(options), .flags = TENON_NONBLOCK};
	static uint64_t data[MESSAGE_BYTES / 8];
	struct place place = {0};
	struct tenon_message message;
	int result = looks_first ? tenon_queue_recover(queue, NULL) : 0;

	while (result == 0) {
		result = tenon_queue_receive(queue, data, sizeof(data), &options, &message);
		if (result == 0)
			worker_finish(&place, worker_read_message(data, message.bytes));
	}
	if (atomic_load(&place.failed)) {
		printf("draining: %s\n", place.why);
		return failure("what was left is wrong", 0, 0);
	}
	if (result != -EAGAIN)
		return failure("draining ended with an error", (uint64_t)-result, 0);
	result = tenon_queue_recover(queue, NULL);
	return result == 0 ? 0 : failure("recover", (uint64_t)-result, 0);
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
	if (ret_status->messages)
		return failure("messages are left that a receive did not find",
			       ret_status->messages, 0);
	if (ret_status->leased || ret_status->loaned)
		return failure("leases or loans are left", ret_status->leased, ret_status->loaned);
	if (ret_status->sent != ret_status->received + ret_status->dropped)
		return failure("sent is not received and dropped", ret_status->sent,
			       ret_status->received + ret_status->dropped);
	if (ret_status->high_messages < 1 || ret_status->high_messages > CAPACITY ||
	    ret_status->high_bytes > CAPACITY * MESSAGE_BYTES)
		return failure("the high-water marks are wrong", ret_status->high_messages,
			       ret_status->high_bytes);
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
		result = drain(number / 2 % 2 == 1);
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
