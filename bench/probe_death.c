// SPDX-License-Identifier: Apache-2.0
/*
 * From the SIGKILL of a process to the moment at which the survivor runs in its own code again.
 *
 * The killer and the victim are on the first CPU, the survivor is asleep on the second.  What the
 * machine takes is measured in the same turn: "wake-robust" is a sleeper in a robust mutex whose
 * stopped owner dies, "wake-pipe" one in read(2) on a pipe whose last writer dies; the kernel lets go of a
 * robust futex early and of descriptors late while a process ends.  "wake-pipe-mapped" is a writer that
 * has a queue open, whose memory is taken apart before.  The pipes wait as long as "tenon-lease" does,
 * since what has rested for long takes longer to wake.
 *
 * "tenon-in-call": victim and survivor send and receive all the time.  The victim is stopped at any
 * moment; if the survivor then comes to a halt, the victim was in the middle of a call and holds what
 * the other needs; else it goes on and is stopped again.  Then it is killed, and the survivor's call
 * ends.  That somebody repaired is counted by the queue.  "tenon-lease": the victim has taken a
 * message and the survivor is asleep in receive; it is killed at any moment of a tenth of a second.
 */

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "futex.h"
#include "loops.h"
#include "probe.h"

#define DEATHS_MOST 1024u
#define DEATHS_LEAST 3u
#define STOPS_MOST 400u
#define WORK_SECONDS 0.001
#define HALT_SECONDS 0.002
#define LEASE_TICK_SECONDS 0.1
#define RUN_AT_LEAST_SECONDS 0.0002
#define TOLD_SECONDS 5

/* Shared by killer, victim and survivor. */
struct scene {
	uint32_t ready, killed, told;
	uint64_t told_ticks, turns;
	pthread_mutex_t mutex;
	int pipe[2];
	char name[PROBE_NAME_BYTES];
	struct tenon_queue *queue; /* the killer's */
	struct run *run;
};

struct death {
	uint32_t order;
	void (*victim)(struct scene *scene);
	void (*survivor)(struct scene *scene);
	bool is_working; /* the victim: it is stopped before, so that it is not at work when it dies */
	bool in_call, at_any_time;
};

static void say(uint32_t *word)
{
	store_release32(word, 1);
	futex_wake(word, 1);
}

/* False if it does not come to pass. */
static bool wait_for(uint32_t *word)
{
	struct timespec timeout = {TOLD_SECONDS, 0};

	while (load_acquire32(word) == 0) {
		if (syscall(SYS_futex, word, FUTEX_WAIT, 0, &timeout, NULL, 0) < 0 &&
		    errno == ETIMEDOUT)
			return false;
	}
	return true;
}

static void tell(struct scene *scene)
{
	scene->told_ticks = ticks_now();
	say(&scene->told);
}

static void stay(struct scene *scene)
{
	say(&scene->ready);
	for (;;)
		pause();
}

static struct tenon_queue *open_queue(struct scene *scene)
{
	struct tenon_queue *queue;

	if (probe_check(scene->run, "open", tenon_queue_open(NULL, scene->name, 0, NULL, &queue)) <
	    0)
		_exit(1);
	return queue;
}

/* Both are busy before, as in a call: a scheduler may prefer who has slept. */
static void lock_and_work(struct scene *scene)
{
	pthread_mutex_lock(&scene->mutex);
	say(&scene->ready);
	for (;;)
		cpu_relax();
}

static void work_and_lock(struct scene *scene)
{
	uint64_t until = ticks_now() + machine_ticks(WORK_SECONDS);

	while (ticks_now() < until)
		cpu_relax();
	if (pthread_mutex_lock(&scene->mutex) == EOWNERDEAD)
		tell(scene);
}

static void keep_pipe_open(struct scene *scene)
{
	close(scene->pipe[0]);
	stay(scene);
}

/* With as much memory to take apart as in "tenon-lease". */
static void open_queue_and_keep_pipe(struct scene *scene)
{
	open_queue(scene);
	keep_pipe_open(scene);
}

static void read_pipe(struct scene *scene)
{
	char byte;

	close(scene->pipe[1]);
	if (read(scene->pipe[0], &byte, 1) == 0)
		tell(scene);
}

static void take_and_stay(struct scene *scene)
{
	struct tenon_queue *queue = open_queue(scene);
	struct tenon_lease lease;
	int result = tenon_queue_send(queue, "", 1, NULL);

	if (result == 0)
		result = tenon_queue_take(queue, NULL, &lease);
	if (probe_check(scene->run, "take", result) == 0)
		stay(scene);
}

static void receive(struct scene *scene)
{
	struct tenon_queue *queue = open_queue(scene);
	char message[64];
	int result = tenon_queue_receive(queue, message, sizeof(message), NULL, NULL);

	if (probe_check(scene->run, "receive", result) == 0)
		tell(scene);
}

/* The survivor has ended a call: tells it if the victim was killed before. */
static void count_turn(struct scene *scene)
{
	store_release(&scene->turns, scene->turns + 1);
	if (load_acquire32(&scene->killed) != 0 && load_relaxed32(&scene->told) == 0)
		tell(scene);
}

/* Sends and receives for ever: whatever one process does, there is a message for it. */
static void exchange(struct scene *scene)
{
	struct tenon_queue *queue = open_queue(scene);
	char message[64] = "";
	int result = 0;

	say(&scene->ready);
	while (result == 0) {
		result = tenon_queue_send(queue, message, sizeof(message), NULL);
		if (result == 0)
			result = tenon_queue_receive(queue, message, sizeof(message), NULL, NULL);
	}
	probe_check(scene->run, "exchange", result);
}

static void exchange_and_count(struct scene *scene)
{
	struct tenon_queue *queue = open_queue(scene);
	char message[64] = "";
	int result = 0;

	while (result == 0) {
		result = tenon_queue_send(queue, message, sizeof(message), NULL);
		count_turn(scene);
		if (result == 0)
			result = tenon_queue_receive(queue, message, sizeof(message), NULL, NULL);
		count_turn(scene);
	}
	probe_check(scene->run, "exchange", result);
}

static double any_part_of(double seconds)
{
	return seconds * drand48();
}

static bool stop(pid_t victim)
{
	int status;

	kill(victim, SIGSTOP);
	return waitpid(victim, &status, WUNTRACED) == victim && WIFSTOPPED(status);
}

/* Stops the victim in the middle of a call that the survivor has to wait for. */
static bool stop_in_call(struct scene *scene, pid_t victim)
{
	for (uint32_t stops = 0; stops < STOPS_MOST; stops++) {
		uint64_t turns;

		probe_sleep(RUN_AT_LEAST_SECONDS + any_part_of(RUN_AT_LEAST_SECONDS));
		if (!stop(victim))
			return false;
		probe_sleep(HALT_SECONDS);
		turns = load_acquire(&scene->turns);
		probe_sleep(HALT_SECONDS);
		if (turns > 0 && load_acquire(&scene->turns) == turns)
			return true;
		kill(victim, SIGCONT);
	}
	return false;
}

static bool set_scene(struct scene *scene, struct run *run, const struct death *death)
{
	const struct tenon_queue_options options = {
		.order = death->order, .capacity = 64, .max_message_bytes = 64};
	pthread_mutexattr_t attributes;

	memset(scene, 0, sizeof(*scene));
	scene->run = run;
	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(&scene->mutex, &attributes);
	pthread_mutexattr_destroy(&attributes);
	if (pipe2(scene->pipe, O_CLOEXEC) < 0)
		return probe_check(run, "pipe", -errno) == 0;
	return probe_queue(run, options, scene->name, &scene->queue) == 0;
}

static void strike_scene(struct scene *scene)
{
	close(scene->pipe[0]);
	tenon_queue_close(scene->queue);
	tenon_queue_remove(NULL, scene->name);
}

static bool was_repaired(struct scene *scene)
{
	struct tenon_queue_status status = {.size = sizeof(status)};

	return tenon_queue_status(scene->queue, &status) == 0 && status.repairs > 0;
}

static pid_t enter(struct scene *scene, uint32_t cpu, void (*role)(struct scene *scene))
{
	pid_t pid = probe_fork(scene->run, cpu);

	if (pid == 0) {
		role(scene);
		_exit(0);
	}
	return pid;
}

/* One death; false if it was none that counts. */
static bool let_die(struct scene *scene, const struct death *death, uint64_t *ret_ticks)
{
	pid_t victim = enter(scene, 0, death->victim), survivor = -1;
	bool is_set = victim > 0 && wait_for(&scene->ready), is_told = false;
	uint64_t killed_ticks;

	close(scene->pipe[1]);
	scene->pipe[1] = -1;
	if (is_set)
		survivor = enter(scene, 1, death->survivor);
	if (survivor > 0 && death->in_call)
		is_set = stop_in_call(scene, victim);
	else if (survivor > 0)
		is_set = probe_is_asleep(survivor) && (!death->is_working || stop(victim));
	if (is_set) {
		probe_sleep(HALT_SECONDS +
			    (death->at_any_time ? any_part_of(LEASE_TICK_SECONDS) : 0));
		store_release32(&scene->killed, 1);
		killed_ticks = ticks_now();
		kill(victim, SIGKILL);
		is_told = wait_for(&scene->told);
		if (!is_told)
			loop_fault(scene->run, "survivor", -ETIMEDOUT);
		*ret_ticks = scene->told_ticks - killed_ticks;
	}
	probe_kill(victim);
	probe_kill(survivor);
	return is_told && (!death->in_call || was_repaired(scene));
}

static void measure(struct run *run, const struct probe *probe)
{
	const struct death *death = probe->what;
	struct histogram *times = &run->board->trips;
	struct scene *scene = mmap(NULL, sizeof(*scene), PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	double exact[DEATHS_MOST];
	uint32_t tries = 0, deaths = 0;

	if (scene == MAP_FAILED) {
		loop_fault(run, "scene", -errno);
		return;
	}
	srand48(getpid());
	while (!run->board->results[0].fault[0] && tries++ < STOPS_MOST && deaths < DEATHS_MOST &&
	       (ticks_now() < run->board->end_ticks || times->count < DEATHS_LEAST)) {
		uint64_t ticks;

		if (!set_scene(scene, run, death))
			break;
		if (let_die(scene, death, &ticks)) {
			histogram_add(times, ticks);
			exact[deaths++] = (double)ticks;
		}
		strike_scene(scene);
	}
	/* A bucket of the histogram may be as wide as what two figures differ by. */
	if (deaths > 0)
		run->board->figure = median(exact, deaths) * machine_ns_per_tick();
}

static const struct death robust = {
	.victim = lock_and_work, .survivor = work_and_lock, .is_working = true};
static const struct death end_of_pipe = {
	.victim = keep_pipe_open, .survivor = read_pipe, .at_any_time = true};
static const struct death end_of_pipe_mapped = {
	.victim = open_queue_and_keep_pipe, .survivor = read_pipe, .at_any_time = true};
static const struct death in_call = {.order = TENON_QUEUE_FIFO,
				     .victim = exchange,
				     .survivor = exchange_and_count,
				     .in_call = true};
static const struct death in_call_priority = {.order = TENON_QUEUE_PRIORITY,
					      .victim = exchange,
					      .survivor = exchange_and_count,
					      .in_call = true};
static const struct death lease = {.order = TENON_QUEUE_FIFO,
				   .victim = take_and_stay,
				   .survivor = receive,
				   .at_any_time = true};

const struct probe probes_death[] = {
	{"wake-robust", "machine: owner of a robust mutex dies", UNIT_NS, measure, &robust},
	{"wake-pipe", "machine: last writer of a pipe dies", UNIT_NS, measure, &end_of_pipe},
	{"wake-pipe-mapped", "machine: the same, and the writer has a queue open", UNIT_NS, measure,
	 &end_of_pipe_mapped},
	{"tenon-in-call", "Tenon FIFO queue, peer dies in a call", UNIT_NS, measure, &in_call},
	{"tenon-in-call-priority", "Tenon priority queue, peer dies in a call", UNIT_NS, measure,
	 &in_call_priority},
	{"tenon-lease", "Tenon FIFO queue, peer dies with a lease", UNIT_NS, measure, &lease},
	{.name = NULL},
};
