/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The supervisor of the job: starts its processes, replaces the workers that were killed, and shows
 * how far it is.  It holds no queue open while it starts processes; like everybody else it opens
 * them by name when it needs them.
 */

#include "demo.h"

#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <tenon/queue.h>

#define STALL_NS (30 * NS_PER_S)
#define DISMISS_NS (20 * NS_PER_S)

struct crew {
	struct demo *demo;
	struct board *board;
	struct killer killer;
	pid_t workers[WORKERS_MAX], producer, collector;
	struct round round;
	bool produced, collected, failed;
	int64_t begin_ns, least_ns; /* killing goes on for at least least_ns */
	int64_t line_ns;	    /* when the next line is due */
	uint64_t seen;		    /* what was done when progress was last seen */
	int64_t seen_ns;
	uint32_t rounds;
};

struct worker_start {
	const struct demo *demo;
	uint32_t index;
};

static int run_worker(const void *context)
{
	const struct worker_start *start = context;

	return worker_main(start->demo, start->index);
}

static int run_producer(const void *context)
{
	const struct round *round = context;

	return producer_main(round->demo);
}

static int run_collector(const void *context)
{
	const struct round *round = context;

	return collector_main(round->demo, round);
}

static void start_worker(struct crew *crew, uint32_t index)
{
	struct worker_start start = {.demo = crew->demo, .index = index};
	struct slot *slot = &crew->board->slots[index];

	memset(slot, 0, sizeof(*slot));
	if (crew->killer.ambush)
		slot->aim = PHASE_ATTACH;
	crew->killer.ambush = false;
	crew->workers[index] = spawn(run_worker, &start, false);
	crew->failed |= crew->workers[index] < 0;
}

static void ended(struct crew *crew, pid_t pid, int status)
{
	bool good = WIFEXITED(status) && WEXITSTATUS(status) == 0;
	const char *role = pid == crew->producer    ? "the producer"
			   : pid == crew->collector ? "the collector"
						    : "a worker";

	if (good && pid == crew->collector) {
		crew->collected = true;
		return;
	}
	if (good && pid == crew->producer) {
		crew->produced = true;
		return;
	}
	if (WIFSIGNALED(status))
		complain("%s (process %d) was ended from elsewhere: %s", role, (int)pid,
			 strsignal(WTERMSIG(status)));
	else
		complain("%s (process %d) ended too early", role, (int)pid);
	crew->failed = true;
}

static void see_children(struct crew *crew)
{
	uint32_t index;
	int status;
	pid_t pid;

	while (!crew->failed && (pid = reap(&status))) {
		if (!WIFSTOPPED(status)) {
			ended(crew, pid, status);
			continue;
		}
		for (index = 0; index < crew->demo->options.workers; index++)
			if (crew->workers[index] == pid)
				break;
		if (index == crew->demo->options.workers)
			continue;
		if (killer_stopped(&crew->killer, pid, index))
			start_worker(crew, index);
	}
}

static void see_progress(struct crew *crew, int64_t now)
{
	uint64_t done = board_read(&crew->board->bytes) + board_read(&crew->board->results) +
			board_read(&crew->board->queued);

	if (done != crew->seen) {
		crew->seen = done;
		crew->seen_ns = now;
	} else if (now - crew->seen_ns > STALL_NS) {
		complain(
			"nothing has moved for %d s: %s of %s results have come in this round, and "
			"the others seem to be lost",
			(int)(STALL_NS / NS_PER_S), with_commas(board_read(&crew->board->gathered)),
			with_commas(crew->demo->files));
		crew->failed = true;
	}
}

static void show(struct crew *crew, int64_t now)
{
	double elapsed = (double)(now - crew->begin_ns) / NS_PER_S;
	uint64_t gathered = board_read(&crew->board->gathered);
	uint64_t files = crew->demo->files > gathered ? crew->demo->files : gathered;
	double rate = ((double)crew->rounds * (double)files + (double)gathered) / elapsed;
	/* What came in the first second says little of the rest. */
	double left = elapsed > 1 && rate > 0 ? (double)(files - gathered) / rate : 0;
	double killing = (double)crew->least_ns / NS_PER_S - elapsed;

	report_live("%4.1f s  round %u: %s/%s files, %s/s, %s killed, %s redelivered, %.0f s left",
		    elapsed, crew->rounds + 1, with_commas(gathered), with_commas(files),
		    with_commas((uint64_t)rate), with_commas(crew->killer.kills),
		    with_commas(board_read(&crew->board->redelivered)),
		    killing > left ? killing : left);
	crew->line_ns = now + (report_is_terminal() ? NS_PER_S / 5 : NS_PER_S);
}

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static void run_round(struct crew *crew)
{
	uint32_t index;
	int64_t now;

	crew->round.demo = crew->demo;
	crew->round.base = board_read(&crew->board->queued);
	crew->produced = crew->collected = false;
	board_write(&crew->board->gathered, 0);
	board_write(&crew->board->unreadable, 0);
	crew->collector = spawn(run_collector, &crew->round, false);
	crew->producer = crew->collector < 0 ? -1 : spawn(run_producer, &crew->round, false);
	crew->failed |= crew->producer < 0;
	while (!crew->failed && !(crew->produced && crew->collected)) {
		crew->failed |= !wait_event(earlier(crew->killer.next_ns, crew->line_ns));
		see_children(crew);
		now = now_ns();
		if (!crew->failed && now >= crew->killer.next_ns &&
		    killer_strike(&crew->killer, crew->workers, &index))
			start_worker(crew, index);
		if (now >= crew->line_ns)
			show(crew, now);
		see_progress(crew, now);
	}
	crew->rounds++;
	crew->round.first = false;
}

/*
 * An empty message for each worker, behind everything else that is queued.  What workers that are
 * dead by now had taken is brought back first: nobody may have had to wait since, and noticed.
 */
static int send_ends(struct crew *crew)
{
	struct tenon_queue *paths;
	uint32_t i;
	int error;

	error = tenon_queue_open(crew->demo->names, PATHS_QUEUE, 0, NULL, &paths);
	if (error)
		return error;
	error = tenon_queue_recover(paths, NULL);
	for (i = 0; i < crew->demo->options.workers && !error; i++) {
		error = tenon_queue_send(paths, NULL, 0, NULL);
		if (!error)
			board_add(&crew->board->queued, 1);
	}
	tenon_queue_close(paths);
	return error;
}

/* Lets the workers finish what is queued, and end. */
static void dismiss(struct crew *crew)
{
	int64_t until = now_ns() + DISMISS_NS;
	uint32_t i, left = crew->demo->options.workers;
	int error, status;
	pid_t pid;

	crew->killer.per_second = 0;
	for (i = 0; i < crew->demo->options.workers; i++)
		__atomic_store_n(&crew->board->slots[i].aim, (uint32_t)PHASE_NONE,
				 __ATOMIC_RELEASE);
	error = send_ends(crew);
	if (error)
		complain_error("telling the workers to end", -error);
	crew->failed |= error != 0;
	while (!crew->failed && left > 0) {
		pid = reap(&status);
		if (!pid) {
			crew->failed |= !wait_event(until);
			if (now_ns() < until)
				continue;
			complain("%u workers did not end when they were told to", left);
			crew->failed = true;
		} else if (WIFSTOPPED(status)) {
			/* It was about to be killed inside a call: aim is taken back. */
			killer_stopped(&crew->killer, pid, 0);
		} else if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
			left--;
		} else {
			ended(crew, pid, status);
		}
	}
}

/* Receives the doubles that came after the last round; they are the only messages left. */
static int drain(struct crew *crew, struct tenon_queue *results)
{
	static uint8_t buffer[sizeof(struct result) + PATH_BYTES_MAX];
	struct tenon_receive_options options = {.size = sizeof(options), .flags = TENON_NONBLOCK};
	int error;

	for (;;) {
		error = tenon_queue_receive(results, buffer, sizeof(buffer), &options, NULL);
		if (error)
			return error == -EAGAIN ? 0 : error;
		board_add(&crew->board->results, 1);
		board_add(&crew->board->doubles, 1);
	}
}

/* Whether the books of a queue are in order: nothing left in it, in anybody's hands or lost. */
static int audit_queue(const char *name, struct tenon_queue *queue,
		       struct tenon_queue_status *ret_status)
{
	char text[256] = "";
	int error;

	*ret_status = (struct tenon_queue_status){.size = sizeof(*ret_status)};
	error = tenon_queue_check(queue, text, sizeof(text));
	if (error) {
		complain("the queue %s is damaged: %s", name, text);
		return error;
	}
	error = tenon_queue_status(queue, ret_status);
	if (error) {
		complain_error(name, -error);
		return error;
	}
	if (ret_status->messages || ret_status->leased || ret_status->loaned) {
		complain("the queue %s still holds %llu messages, %llu leases, %llu loans", name,
			 (unsigned long long)ret_status->messages,
			 (unsigned long long)ret_status->leased,
			 (unsigned long long)ret_status->loaned);
		return -EBADMSG;
	}
	return 0;
}

static int audit(struct crew *crew)
{
	struct tenon_queue_status paths_status, results_status;
	struct tenon_queue *paths = NULL, *results = NULL;
	struct board *board = crew->board;
	int error;

	error = tenon_queue_open(crew->demo->names, PATHS_QUEUE, 0, NULL, &paths);
	if (!error)
		error = tenon_queue_open(crew->demo->names, RESULTS_QUEUE, 0, NULL, &results);
	if (!error)
		error = drain(crew, results);
	if (error)
		complain_error("looking at the queues", -error);
	if (!error)
		error = audit_queue(PATHS_QUEUE, paths, &paths_status);
	if (!error)
		error = audit_queue(RESULTS_QUEUE, results, &results_status);
	if (!error) {
		board_write(&board->redelivered,
			    paths_status.redelivered + results_status.redelivered);
		board_write(&board->repairs, paths_status.repairs + results_status.repairs);
		if (paths_status.sent != board->queued || results_status.sent != board->results ||
		    results_status.received != board->results) {
			complain("the statistics of the queues do not add up: %llu paths queued, "
				 "%llu counted; %llu results sent, %llu received, %llu counted",
				 (unsigned long long)board->queued,
				 (unsigned long long)paths_status.sent,
				 (unsigned long long)results_status.sent,
				 (unsigned long long)results_status.received,
				 (unsigned long long)board->results);
			error = -EBADMSG;
		}
	}
	tenon_queue_close(paths);
	tenon_queue_close(results);
	return error;
}

static void take_figures(const struct crew *crew, struct job_figures *ret_figures)
{
	ret_figures->rounds = crew->rounds;
	ret_figures->kills = crew->killer.kills;
	memcpy(ret_figures->kills_in, crew->killer.kills_in, sizeof(ret_figures->kills_in));
	ret_figures->redelivered = crew->board->redelivered;
	ret_figures->doubles = crew->board->doubles;
	ret_figures->repairs = crew->board->repairs;
	ret_figures->unreadable = crew->board->unreadable;
	ret_figures->untraceable = crew->board->untraceable != 0;
}

int job_run(struct demo *demo, int64_t seconds, uint32_t kills_per_second, bool first,
	    struct job_figures *ret_figures)
{
	struct crew crew = {.demo = demo, .board = demo->board, .round.first = first};
	int64_t round_ns, begin = now_ns();
	uint64_t messages = demo->board->queued + demo->board->results;
	uint32_t i;

	*ret_figures = (struct job_figures){.round_ns = INT64_MAX};
	crew.begin_ns = crew.seen_ns = begin;
	crew.least_ns = seconds * NS_PER_S;
	crew.line_ns = kills_per_second ? begin + NS_PER_S / 4 : INT64_MAX;
	killer_init(&crew.killer, demo, kills_per_second);
	for (i = 0; i < demo->options.workers && !crew.failed; i++)
		start_worker(&crew, i);
	while (!crew.failed && (!crew.rounds || now_ns() - begin < crew.least_ns)) {
		round_ns = now_ns();
		run_round(&crew);
		ret_figures->round_ns = earlier(ret_figures->round_ns, now_ns() - round_ns);
	}
	ret_figures->ns = now_ns() - begin;
	report_live_end();
	if (!crew.failed)
		dismiss(&crew);
	if (crew.failed || audit(&crew)) {
		end_children();
		return 1;
	}
	ret_figures->messages = demo->board->queued + demo->board->results - messages;
	take_figures(&crew, ret_figures);
	return 0;
}
