// SPDX-License-Identifier: Apache-2.0
/*
 * One repetition of one row: makes the links, forks a process for each end, starts them together,
 * waits for them, and checks that what was sent is what was received.  A probe gets one process and
 * does the rest itself.  The parent sleeps meanwhile.
 * A process that hangs or dies costs its row the figure, not the program its life.
 */

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#include "futex.h"
#include "loops.h"
#include "machine.h"

#define WARM_SHARE 0.15
#define TIMED_SHARE 0.30 /* of a round trip's run: the part with a clock around each trip */
#define START_SECONDS 5.0
#define HANG_SECONDS 10.0
#define STALL_NS 1e6
#define SLOW_NS_PER_BYTE 4 /* no stall yet: the slowest way to copy */

void loop_fault(struct run *run, const char *what, int error)
{
	char *fault = run->board->results[run->self].fault;

	snprintf(fault, sizeof(run->board->results[0].fault), "%s: %s", what,
		 error < 0 && error != -EILSEQ ? strerror(-error) : "wrong message");
}

void *loop_buffer(struct run *run)
{
	size_t bytes = run->shape.bytes;
	uint32_t count = run->shape.method == METHOD_BATCH ? BATCH_MAX : 1;
	char *memory = mmap(NULL, LINE_BYTES + bytes * count, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (memory == MAP_FAILED) {
		loop_fault(run, "buffer", -ENOMEM);
		_exit(1);
	}
	for (uint32_t i = 0; i < count; i++) {
		uint64_t *words = (uint64_t *)(memory + LINE_BYTES + i * bytes);

		for (size_t index = 0; index < bytes / 8; index++)
			words[index] = index * PATTERN_FACTOR;
	}
	return memory + LINE_BYTES;
}

void meter_start(struct meter *meter, const struct run *run, uint64_t now, uint64_t messages,
		 uint32_t messages_between)
{
	const struct shape *shape = &run->shape;
	bool has_own_cpu = shape->pattern == PAIRS
				   ? shape->producers == 1
				   : !shape->same_cpu && shape->producers + shape->consumers == 2;
	uint32_t batch = shape->depth < BATCH_MAX ? shape->depth : BATCH_MAX;
	double slow_ns = (double)shape->bytes * messages_between * SLOW_NS_PER_BYTE;

	if (shape->method == METHOD_BATCH)
		slow_ns *= batch;
	memset(meter, 0, sizeof(*meter));
	meter->last_ticks = now;
	meter->last_messages = messages;
	meter->stall_limit_ticks = has_own_cpu ? machine_ticks((STALL_NS + slow_ns) / 1e9)
					       : UINT64_MAX;
}

void meter_store(const struct meter *meter, struct process_result *result)
{
	result->messages = meter->messages;
	result->elapsed_ticks = meter->elapsed_ticks;
	result->stalled_ticks = meter->stalled_ticks;
}

/* Sleeps as long as the row says; the processor time that it took. */
uint64_t loop_gap(const struct run *run)
{
	struct timespec gap = {0, run->shape.gap_ns};
	uint64_t cpu;

	if (run->shape.gap_ns == 0)
		return 0;
	cpu = process_cpu_ns();
	clock_nanosleep(CLOCK_MONOTONIC, 0, &gap, NULL);
	return process_cpu_ns() - cpu;
}

static int link_create(struct link *link, const struct row *row)
{
	memset(link, 0, sizeof(*link));
	link->shape = &row->shape;
	link->read_fd = link->write_fd = link->epoll_fd = -1;
	return row->transport->create(link);
}

static void link_destroy(struct link *link, const struct row *row)
{
	if (row->transport->destroy)
		row->transport->destroy(link);
	if (link->shared)
		munmap(link->shared, link->shared_bytes);
}

static int link_attach(struct link *link, const struct transport *transport, enum end end)
{
	struct epoll_event event = {.events = EPOLLIN};
	int fd, result = transport->attach ? transport->attach(link, end) : 0;

	if (result < 0 || end == END_SEND || link->shape->wait != WAIT_EPOLL)
		return result;
	fd = transport->readable_fd(link);
	if (fd < 0)
		return fd;
	link->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (link->epoll_fd < 0 || epoll_ctl(link->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
		return -errno;
	return 0;
}

static void wait_for_start(struct run_board *board)
{
	add_ordered32(&board->ready, 1);
	futex_wake(&board->ready, 1);
	while (load_acquire32(&board->go) == 0)
		futex_wait(&board->go, 0);
}

/* See struct transport. */
static void linger(struct run_board *board, bool is_sender)
{
	uint32_t left;

	if (!is_sender) {
		add_ordered32(&board->consumers_left, UINT32_MAX);
		futex_wake(&board->consumers_left, (int)PROCESSES_MAX);
		return;
	}
	while ((left = load_acquire32(&board->consumers_left)) > 0)
		futex_wait(&board->consumers_left, left);
}

static void __attribute__((__noreturn__))
child_main(struct run *run, const struct transport *transport, bool is_sender)
{
	const struct shape *shape = &run->shape;
	enum end end = is_sender ? END_SEND : END_RECEIVE;
	uint32_t cpu = is_sender ? run->self + 1 : run->self - shape->producers;
	int result;

	/* Whatever ends the parent, no process stays behind spinning. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	machine_pin(shape->same_cpu ? 0 : cpu);
	result = link_attach(&run->there, transport, end);
	if (result == 0 && shape->pattern == ROUND_TRIP)
		result = link_attach(&run->back, transport, is_sender ? END_RECEIVE : END_SEND);
	if (result < 0)
		loop_fault(run, "attach", result);
	wait_for_start(run->board);
	if (result < 0)
		_exit(1);
	if (shape->pattern == PAIRS)
		transport->loops->hold(run);
	else if (shape->pattern == ROUND_TRIP && is_sender)
		transport->loops->ask(run);
	else if (shape->pattern == ROUND_TRIP)
		transport->loops->answer(run);
	else if (is_sender)
		transport->loops->produce(run);
	else
		transport->loops->consume(run);
	if (transport->lingers)
		linger(run->board, is_sender);
	if (transport->leave)
		transport->leave();
	_exit(0);
}

static void __attribute__((__noreturn__)) probe_main(struct run *run, const struct probe *probe)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	machine_pin(0);
	wait_for_start(run->board);
	probe->measure(run, probe);
	_exit(0);
}

static bool any_fault(const struct run_board *board)
{
	for (uint32_t i = 0; i < PROCESSES_MAX; i++) {
		if (board->results[i].fault[0])
			return true;
	}
	return false;
}

static void kill_all(pid_t *pids, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		if (pids[i] <= 0)
			continue;
		kill(pids[i], SIGKILL);
		waitpid(pids[i], NULL, 0);
		pids[i] = 0;
	}
}

/* How many are still running; a process that did not end by itself leaves a fault. */
static uint32_t reap(struct run_board *board, pid_t *pids, uint32_t count)
{
	uint32_t running = 0;
	int status;

	for (uint32_t i = 0; i < count; i++) {
		if (pids[i] <= 0)
			continue;
		if (waitpid(pids[i], &status, WNOHANG) == 0) {
			running++;
			continue;
		}
		pids[i] = 0;
		if (WIFSIGNALED(status))
			snprintf(board->results[i].fault, sizeof(board->results[i].fault),
				 "ended by signal %d", WTERMSIG(status));
	}
	return running;
}

/* Sleeps until the children have ended, one has a fault, or it took too long.  False: a signal asks
 * the program to end.  The signals are blocked from main() on, so none is missed. */
static bool wait_for_children(struct run_board *board, pid_t *pids, uint32_t count, double seconds)
{
	uint64_t deadline_ns = monotonic_ns() + (uint64_t)(seconds * 1e9);
	bool go_on = true;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	while (go_on && reap(board, pids, count) > 0 && !any_fault(board)) {
		uint64_t now_ns = monotonic_ns(), left_ns;
		struct timespec timeout;
		int signal_number;

		if (now_ns >= deadline_ns) {
			snprintf(board->results[0].fault, sizeof(board->results[0].fault),
				 "hung: no end %.0f s after it was due", HANG_SECONDS);
			board->timed_out = true;
			break;
		}
		left_ns = deadline_ns - now_ns;
		timeout.tv_sec = (time_t)(left_ns / 1000000000u);
		timeout.tv_nsec = (long)(left_ns % 1000000000u);
		signal_number = sigtimedwait(&set, NULL, &timeout);
		go_on = signal_number < 0 || signal_number == SIGCHLD;
	}
	kill_all(pids, count);
	return go_on;
}

static void start(struct run_board *board, const struct shape *shape, uint32_t count,
		  double seconds)
{
	uint64_t begin_ns = monotonic_ns(), begin;
	uint32_t ready;

	while ((ready = load_acquire32(&board->ready)) < count) {
		struct timespec timeout = {0, 100000000};

		(void)!syscall(SYS_futex, &board->ready, FUTEX_WAIT, ready, &timeout, NULL, 0);
		if (monotonic_ns() - begin_ns > (uint64_t)(START_SECONDS * 1e9)) {
			snprintf(board->results[0].fault, sizeof(board->results[0].fault),
				 "hung or died before its start");
			break;
		}
	}
	begin = ticks_now();
	board->warm_ticks = begin + machine_ticks(seconds * WARM_SHARE);
	board->end_ticks = begin + machine_ticks(seconds);
	board->plain_ticks = board->end_ticks;
	if (shape->gap_ns > 0)
		board->plain_ticks = board->warm_ticks;
	else if (shape->pattern == ROUND_TRIP || (shape->pattern == PAIRS && shape->producers == 1))
		board->plain_ticks = begin + machine_ticks(seconds * (1 - TIMED_SHARE));
	board->producers_left = shape->producers;
	board->consumers_left = shape->consumers;
	store_release32(&board->go, 1);
	futex_wake(&board->go, (int)count);
}

/* The sums of one side, and its share of a CPU. */
static struct process_result sum_results(const struct run_board *board, uint32_t from,
					 uint32_t count, struct sample *sample, uint32_t side)
{
	struct process_result sum = {0};

	sample->cpu_share[side] = 0;
	for (uint32_t i = from; i < from + count; i++) {
		const struct process_result *result = &board->results[i];

		sum.sent += result->sent;
		sum.sent_sum += result->sent_sum;
		sum.received += result->received;
		sum.received_sum += result->received_sum;
		if (result->cpu_window_ticks > 0)
			sample->cpu_share[side] += (double)result->cpu_ns /
						   ((double)result->cpu_window_ticks *
						    machine_ns_per_tick());
	}
	return sum;
}

/* A machine that others use can do this to any row: it may be tried again. */
static void note_starved(struct row *row, const char *what)
{
	snprintf(row->fault, sizeof(row->fault), "%s", what);
	row->starved = true;
}

static void evaluate_trips(struct row *row, const struct run_board *board, struct sample *sample)
{
	const struct process_result *asker = &board->results[0];
	double ns_per_tick = machine_ns_per_tick();

	if (row->shape.gap_ns > 0 && board->trips.count > 0)
		sample->figure = (double)histogram_quantile(&board->trips, 0.5) * ns_per_tick;
	else if (row->shape.gap_ns == 0 && asker->messages > 0)
		sample->figure = (double)asker->elapsed_ticks * ns_per_tick /
				 (double)asker->messages;
	else
		note_starved(row, "no round trip in the measured time");
	histogram_merge(&row->trips, &board->trips);
}

static void evaluate_probe(struct row *row, const struct run_board *board, struct sample *sample)
{
	sum_results(board, 0, 1, sample, 0);
	sample->cpu_share[1] = 0;
	sample->stall_share = 0;
	sample->figure = board->figure;
	if (board->figure < 0)
		note_starved(row, "nothing in the measured time");
	histogram_merge(&row->trips, &board->trips);
}

/* Of several processes the time is everybody's: who was not let in has had no part in it. */
static void evaluate_pairs(struct row *row, const struct run_board *board, struct sample *sample,
			   const struct process_result *sum)
{
	uint32_t count = row->shape.producers;
	uint64_t pairs = 0, least = UINT64_MAX, most = 0;
	double ns = (double)(count == 1 ? board->results[0].elapsed_ticks
					: board->plain_ticks - board->warm_ticks) *
		    machine_ns_per_tick();

	for (uint32_t i = 0; i < count; i++) {
		uint64_t own = board->results[i].messages;

		pairs += own;
		least = own < least ? own : least;
		most = own > most ? own : most;
	}
	if (sum->sent != sum->received) {
		snprintf(row->fault, sizeof(row->fault), "%llu pairs, of which %llu were alone",
			 (unsigned long long)sum->sent, (unsigned long long)sum->received);
	} else if (pairs == 0 || ns <= 0) {
		note_starved(row, "no pair in the measured time");
	} else {
		sample->figure = count == 1 ? ns / (double)pairs : (double)pairs / ns * 1e9;
		sample->least_share = (double)least / (double)pairs;
		sample->most_share = (double)most / (double)pairs;
	}
	histogram_merge(&row->trips, &board->trips);
}

static void evaluate(struct row *row, struct run_board *board, struct sample *sample)
{
	const struct shape *shape = &row->shape;
	double ns_per_tick = machine_ns_per_tick(), stalled = 0, elapsed = 0;
	struct process_result sent, received;

	sent = sum_results(board, 0, shape->producers, sample, 0);
	received = sum_results(board, shape->producers, shape->consumers, sample, 1);
	for (uint32_t i = 0; i < PROCESSES_MAX; i++) {
		stalled += (double)board->results[i].stalled_ticks;
		elapsed += (double)board->results[i].elapsed_ticks;
	}
	sample->stall_share = stalled > 0 ? stalled / (stalled + elapsed) : 0;
	sample->figure = 0;
	if (shape->pattern == ROUND_TRIP) {
		evaluate_trips(row, board, sample);
		return;
	}
	if (shape->pattern == PAIRS) {
		evaluate_pairs(row, board, sample, &sent);
		return;
	}
	for (uint32_t i = shape->producers; i < shape->producers + shape->consumers; i++) {
		const struct process_result *result = &board->results[i];

		if (result->elapsed_ticks > 0)
			sample->figure += (double)result->messages /
					  ((double)result->elapsed_ticks * ns_per_tick / 1e9);
	}
	if (sent.sent != received.received || sent.sent_sum != received.received_sum)
		snprintf(row->fault, sizeof(row->fault), "%llu messages sent, %llu received",
			 (unsigned long long)sent.sent, (unsigned long long)received.received);
	else if (sample->figure <= 0)
		note_starved(row, "no message in the measured time");
}

static void note_fault(struct row *row, const struct run_board *board)
{
	for (uint32_t i = 0; i < PROCESSES_MAX && !row->fault[0]; i++) {
		if (board->results[i].fault[0])
			snprintf(row->fault, sizeof(row->fault), "%s", board->results[i].fault);
	}
	row->starved = board->timed_out;
}

/* Forks one process for each end. */
static bool run_processes(struct row *row, struct run *run, double seconds)
{
	const struct shape *shape = &row->shape;
	uint32_t count = row->probe ? 1 : shape->producers + shape->consumers;
	pid_t pids[PROCESSES_MAX] = {0};

	fflush(NULL);
	for (uint32_t i = 0; i < count; i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			run->self = i;
			if (row->probe)
				probe_main(run, row->probe);
			child_main(run, row->transport, i < shape->producers);
		}
		if (pids[i] < 0) {
			snprintf(row->fault, sizeof(row->fault), "fork: %s", strerror(errno));
			kill_all(pids, count);
			return true;
		}
	}
	start(run->board, shape, count, seconds);
	return wait_for_children(run->board, pids, count, seconds + HANG_SECONDS);
}

static int run_transport(struct row *row, struct run *run, double seconds, bool *ret_go_on)
{
	int result = link_create(&run->there, row);

	if (result == 0) {
		result = link_create(&run->back, row);
		if (result == 0)
			*ret_go_on = run_processes(row, run, seconds);
		link_destroy(&run->back, row);
	}
	link_destroy(&run->there, row);
	return result;
}

bool run_row(struct row *row, uint32_t sample, double seconds)
{
	struct run run = {.shape = row->shape};
	bool go_on = true;
	int result = 0;

	run.board = mmap(NULL, sizeof(*run.board), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (run.board == MAP_FAILED) {
		snprintf(row->fault, sizeof(row->fault), "mmap: %s", strerror(errno));
		return true;
	}
	run.board->figure = -1;
	if (row->probe)
		go_on = run_processes(row, &run, seconds);
	else
		result = run_transport(row, &run, seconds, &go_on);
	if (result < 0)
		snprintf(row->fault, sizeof(row->fault), "create: %s", strerror(-result));
	note_fault(row, run.board);
	if (go_on && !row->fault[0] && row->probe)
		evaluate_probe(row, run.board, &row->samples[sample]);
	else if (go_on && !row->fault[0])
		evaluate(row, run.board, &row->samples[sample]);
	munmap(run.board, sizeof(*run.board));
	return go_on;
}
