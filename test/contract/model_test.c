/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Random operations, compared with a model (model.h) one by one: what each answers, the whole of each
 * message, and the statistics.  Several processes with two handles each take turns, so that nothing is
 * left to chance but the random numbers, which are the same in each run (but for another seed as first
 * argument).  Now and then a process is killed between two operations, another process being told to
 * clean up, or a handle is closed and opened anew.
 */

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "model_world.h"

#define NAME "/model"
#define TURNS 60u
#define CALLS_A_TURN 40u
#define ROUNDS 40u /* of each case */

struct world *world;
struct model *model;
uint32_t process;
struct tenon_queue *queues[HANDLES_EACH];

static uint64_t seed = 1;
static int descriptors[HANDLES_EACH][2];
static struct {
	pid_t pid;
	int go[2], done[2]; /* pipes */
} workers[PROCESSES];

static void open_handle(uint32_t own)
{
	queues[own] = contract_open(NAME);
	world->attached++;
	if (!world->polled)
		return;
	expect(tenon_queue_readable_fd(queues[own], &descriptors[own][0]), 0, "readable_fd");
	expect(tenon_queue_writable_fd(queues[own], &descriptors[own][1]), 0, "writable_fd");
}

static void forget(uint32_t number)
{
	struct handle *handle = &world->handles[number];

	for (uint32_t i = 0; i < HELD; i++)
		model->loaned -= handle->loans[i].is_held;
	model_forget(model, number);
	memset(handle, 0, sizeof(*handle));
}

/* Told for nothing: somebody has closed the queue, and might have died.  It ends with a few looks. */
static bool is_false_notice(uint32_t own, struct pollfd *entry)
{
	for (uint32_t i = 0; i < 20; i++) {
		if (tenon_queue_wait(queues[own], TENON_READABLE, 0, NULL) != -ETIMEDOUT)
			return false;
		if (poll(entry, 1, 0) == 0)
			return true;
	}
	return false;
}

static void expect_polled(uint32_t own)
{
	for (uint32_t i = 0; i < 2; i++) {
		uint64_t wanted = i == 0 ? model_queued(model) : model_room(model);
		struct pollfd entry = {.fd = descriptors[own][i], .events = POLLIN};

		int ready = poll(&entry, 1, 0);

		if (i == 0 && wanted == 0 && ready == 1)
			ready = is_false_notice(own, &entry) ? 0 : 1;
		/* What was received may have been less than is needed. */
		if (i == 1 && model->options.max_bytes != 0)
			ready = ready && wanted > 0;
		expect(ready, wanted > 0, i == 0 ? "readable" : "writable");
	}
}

static void take_turn(void)
{
	uint32_t freed = 0, calls = 1 + (uint32_t)rnd(CALLS_A_TURN);
	bool sends = one_in(2);

	if (world->dead_handles > 0) {
		trace("recover %u", world->dead_handles);
		expect(tenon_queue_recover(queues[0], &freed), 0, "recover");
		expect(freed, world->dead_handles, "dead handles found");
		world->attached -= freed;
		world->dead_handles = 0;
	}
	if (one_in(6))
		world->one_key = rnd(7);
	for (uint32_t i = 0; i < calls; i++) {
		uint32_t own = (uint32_t)rnd(HANDLES_EACH);

		if (one_in(200)) {
			trace("close");
			queues[own] = tenon_queue_close(queues[own]);
			world->attached--;
			forget(process * HANDLES_EACH + own);
			open_handle(own);
		}
		one_call(own, sends);
		if (world->polled)
			expect_polled((uint32_t)rnd(HANDLES_EACH));
	}
}

static void work(void *context)
{
	char byte;

	process = *(const uint32_t *)context;
	for (uint32_t i = 0; i < HANDLES_EACH; i++)
		open_handle(i);
	REQUIRE(write(workers[process].done[1], "", 1) == 1);
	while (read(workers[process].go[0], &byte, 1) == 1) {
		take_turn();
		REQUIRE(write(workers[process].done[1], "", 1) == 1);
	}
	for (uint32_t i = 0; i < HANDLES_EACH; i++)
		queues[i] = tenon_queue_close(queues[i]);
}

static void await_worker(uint32_t number)
{
	char byte;

	if (read(workers[number].done[0], &byte, 1) == 1)
		return;
	EXPECT(!"a process has ended");
	contract_give_up();
}

static void start(uint32_t number)
{
	REQUIRE(pipe(workers[number].go) == 0 && pipe(workers[number].done) == 0);
	workers[number].pid = fork();
	REQUIRE(workers[number].pid >= 0);
	if (workers[number].pid == 0) {
		contract_child_begins();
		for (uint32_t i = 0; i < PROCESSES; i++)
			if (workers[i].pid >= 0)
				close(workers[i].go[1]);
		work(&number);
		contract_child_ends();
	}
	close(workers[number].go[0]);
	close(workers[number].done[1]);
	await_worker(number);
}

static void stop(uint32_t number, bool kill_it)
{
	if (kill_it)
		contract_kill(workers[number].pid);
	close(workers[number].go[1]);
	close(workers[number].done[0]);
	if (!kill_it)
		contract_await(workers[number].pid);
	workers[number].pid = -1;
	for (uint32_t i = 0; i < HANDLES_EACH; i++)
		forget(number * HANDLES_EACH + i);
}

static void turn(uint32_t number)
{
	REQUIRE(write(workers[number].go[1], "", 1) == 1);
	await_worker(number);
}

static void run_round(const struct tenon_queue_options *options)
{
	struct tenon_queue *queue = contract_create(NAME, options);

	queue = tenon_queue_close(queue);
	model_begin(model, options);
	memset(world->handles, 0, sizeof(world->handles));
	world->dead_handles = 0;
	world->attached = 0;
	world->polled = one_in(4);
	for (uint32_t i = 0; i < PROCESSES; i++)
		workers[i].pid = -1;
	for (uint32_t i = 0; i < PROCESSES; i++)
		start(i);
	for (uint32_t i = 0; i < TURNS; i++) {
		uint32_t number = (uint32_t)rnd(PROCESSES);

		turn(number);
		if (one_in(20)) {
			trace("kill process %u", number);
			stop(number, true);
			world->dead_handles = HANDLES_EACH;
			turn((number + 1) % PROCESSES);
			start(number);
		}
	}
	for (uint32_t i = 0; i < PROCESSES; i++)
		stop(i, false);
	EXPECT_IS(tenon_queue_remove(contract_folder, NAME), 0);
}

static void run_order(uint32_t order)
{
	static const uint64_t capacities[] = {1, 2, 7, 1000, TENON_QUEUE_UNBOUNDED};
	static const uint64_t lengths[] = {0, 1, 64, 65, 2048, 8192, 16384, 20000, 65536};

	world = contract_share(sizeof(*world));
	model = &world->model;
	world->seed = seed;
	world->random = (seed + order) * UINT64_C(0x9e3779b97f4a7c15);
	for (uint32_t i = 0; i < ROUNDS; i++) {
		struct tenon_queue_options options = {
			.size = sizeof(options),
			.order = order,
			.full = (uint32_t)rnd(4),
			.capacity = capacities[rnd(sizeof(capacities) / sizeof(capacities[0]))],
			.max_message_bytes = lengths[rnd(sizeof(lengths) / sizeof(lengths[0]))]};

		if (one_in(3) && options.full != TENON_QUEUE_DROP_OLDEST)
			options.max_bytes = 1 + rnd(4 * options.max_message_bytes + 8);
		run_round(&options);
	}
}

static void test_fifo(void)
{
	run_order(TENON_QUEUE_FIFO);
}

static void test_priority(void)
{
	run_order(TENON_QUEUE_PRIORITY);
}

static void test_typed(void)
{
	run_order(TENON_QUEUE_TYPED);
}

int main(int count, char **arguments)
{
	static const struct contract_case cases[] = {
		{"FIFO: as the model has it", test_fifo, NULL},
		{"priority: as the model has it", test_priority, NULL},
		{"typed: as the model has it", test_typed, NULL},
	};

	if (count > 1)
		seed = strtoull(arguments[1], NULL, 0);
	return contract_main(cases, sizeof(cases) / sizeof(cases[0]));
}
