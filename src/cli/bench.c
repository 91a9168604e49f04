/* SPDX-License-Identifier: Apache-2.0 */

/*
 * tenon bench: how fast a fresh queue is between two processes, here and now.  A quick look for
 * users; it compares with nothing.
 *
 * The two queues lose their names before the second process starts, so that nothing is left behind
 * however this ends.
 */

#include "cli.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_SAMPLES ((size_t)1 << 20)
#define WARM_UP 1000
#define MAX_BATCH 64

/* Longer silence than this means that the other process is gone. */
#define PATIENCE_NS INT64_C(10000000000)

enum { OPTION_JSON = 256, OPTION_DURATION };

struct bench_case {
	const char *name;
	uint32_t bytes, batch; /* batch 0: a round trip */
};

static const struct bench_case bench_cases[] = {
	{"round trip", 64, 0}, {"one way", 64, 1},   {"one way, batches of 32", 64, 32},
	{"one way", 1024, 1},  {"one way", 8192, 1},
};

struct bench_result {
	uint64_t messages;
	int64_t ns;
	uint32_t median_ns, p99_ns, max_ns; /* of round trips */
};

struct bench {
	struct tenon_queue *there, *back;
	char name[64]; /* of the last that was made, for errors */
	int64_t duration_ns;
	bool json;
	char *buffer;
	uint32_t *samples;
};

static struct tenon_receive_options patient_receive(void)
{
	return (struct tenon_receive_options){
		.size = sizeof(struct tenon_receive_options),
		.deadline_ns = tenon_deadline_after(PATIENCE_NS),
	};
}

static struct tenon_send_options patient_send(void)
{
	return (struct tenon_send_options){
		.size = sizeof(struct tenon_send_options),
		.deadline_ns = tenon_deadline_after(PATIENCE_NS),
	};
}

/* The other process of a round trip: sends everything back, ends with an empty message. */
static int echo(struct bench *bench)
{
	struct tenon_message message;
	int error;

	for (;;) {
		error = tenon_queue_receive(bench->there, bench->buffer, 8192, NULL, &message);
		if (error || !message.bytes)
			return error;
		error = tenon_queue_send(bench->back, bench->buffer, message.bytes, NULL);
		if (error)
			return error;
	}
}

/* The other process of one way: swallows everything, answers an empty message by its count. */
static int swallow(struct bench *bench, uint32_t batch)
{
	struct tenon_message messages[MAX_BATCH];
	uint64_t received = 0;
	uint32_t count = 1;
	int error;

	for (;;) {
		if (batch > 1)
			error = tenon_queue_receive_batch(bench->there, bench->buffer,
							  (uint64_t)8192 * MAX_BATCH, batch, NULL,
							  messages, &count);
		else
			error = tenon_queue_receive(bench->there, bench->buffer, 8192, NULL,
						    messages);
		if (error)
			return error;
		received += count;
		if (!messages[count - 1].bytes)
			break;
	}
	--received;
	return tenon_queue_send(bench->back, &received, sizeof(received), NULL);
}

static int compare(const void *left, const void *right)
{
	uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;

	return (a > b) - (a < b);
}

static int round_trip(struct bench *bench, uint32_t bytes, int64_t *ret_ns)
{
	struct tenon_receive_options receive_options = patient_receive();
	struct tenon_send_options send_options = patient_send();
	int64_t begin_ns = cli_now_ns();
	int error;

	error = tenon_queue_send(bench->there, bench->buffer, bytes, &send_options);
	if (!error)
		error = tenon_queue_receive(bench->back, bench->buffer, 8192, &receive_options,
					    NULL);
	*ret_ns = cli_now_ns() - begin_ns;
	return error;
}

static int measure_round_trips(struct bench *bench, uint32_t bytes, struct bench_result *result)
{
	int64_t begin_ns, ns;
	size_t count = 0;
	int error;

	for (count = 0; count < WARM_UP; ++count) {
		error = round_trip(bench, bytes, &ns);
		if (error)
			return error;
	}
	begin_ns = cli_now_ns();
	for (count = 0; count < MAX_SAMPLES; ++count) {
		error = round_trip(bench, bytes, &ns);
		if (error)
			return error;
		bench->samples[count] = ns < UINT32_MAX ? (uint32_t)ns : UINT32_MAX;
		result->ns = cli_now_ns() - begin_ns;
		if (result->ns >= bench->duration_ns) {
			++count;
			break;
		}
	}
	qsort(bench->samples, count, sizeof(*bench->samples), compare);
	result->messages = count;
	result->median_ns = bench->samples[count / 2];
	result->p99_ns = bench->samples[count * 99 / 100];
	result->max_ns = bench->samples[count - 1];
	return tenon_queue_send(bench->there, NULL, 0, NULL);
}

static int measure_one_way(struct bench *bench, const struct bench_case *bench_case,
			   struct bench_result *result)
{
	struct tenon_slice slices[MAX_BATCH];
	struct tenon_receive_options receive_options;
	struct tenon_send_options send_options = patient_send();
	int64_t begin_ns = cli_now_ns();
	uint64_t sent = 0, received;
	uint32_t count, i;
	int error;

	for (i = 0; i < MAX_BATCH; ++i)
		slices[i] = (struct tenon_slice){bench->buffer, bench_case->bytes};
	/* The clock is looked at once in a while: reading it takes as long as sending. */
	while (cli_now_ns() - begin_ns < bench->duration_ns) {
		send_options = patient_send();
		for (i = 0; i < MAX_BATCH; i += count) {
			count = 1;
			if (bench_case->batch > 1)
				error = tenon_queue_send_batch(bench->there, slices,
							       bench_case->batch, &send_options,
							       &count);
			else
				error = tenon_queue_send(bench->there, bench->buffer,
							 bench_case->bytes, &send_options);
			if (error)
				return error;
			sent += count;
		}
	}
	error = tenon_queue_send(bench->there, NULL, 0, &send_options);
	if (error)
		return error;
	receive_options = patient_receive();
	error = tenon_queue_receive(bench->back, &received, sizeof(received), &receive_options,
				    NULL);
	if (error)
		return error;
	result->ns = cli_now_ns() - begin_ns;
	result->messages = received;
	return received == sent ? 0 : -EIO;
}

/* Two queues without names. */
static int open_queues(struct bench *bench)
{
	struct tenon_queue_options options = {
		.size = sizeof(options),
		.capacity = 1024,
		.max_message_bytes = 8192,
		.mode = 0600,
	};
	struct tenon_queue **queues[] = {&bench->there, &bench->back};
	size_t i;
	int error;

	for (i = 0; i < 2; ++i) {
		snprintf(bench->name, sizeof(bench->name), "/tenon-bench.%d.%zu", (int)getpid(), i);
		error = tenon_queue_open(NULL, bench->name,
					 TENON_QUEUE_CREATE | TENON_QUEUE_EXCLUSIVE, &options,
					 queues[i]);
		if (error)
			return error;
		error = tenon_queue_remove(NULL, bench->name);
		if (error)
			return error;
	}
	return 0;
}

static void close_queues(struct bench *bench)
{
	bench->there = tenon_queue_close(bench->there);
	bench->back = tenon_queue_close(bench->back);
}

static int run_child(struct bench *bench, const struct bench_case *bench_case, pid_t parent)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent)
		return -ESRCH;
	return bench_case->batch ? swallow(bench, bench_case->batch) : echo(bench);
}

static int measure(struct bench *bench, const struct bench_case *bench_case,
		   struct bench_result *result)
{
	pid_t parent = getpid(), child;
	int error, wait_status;

	error = open_queues(bench);
	if (error)
		return error;
	child = fork();
	if (child < 0)
		return -errno;
	if (!child)
		_exit(run_child(bench, bench_case, parent) ? 1 : 0);
	error = bench_case->batch ? measure_one_way(bench, bench_case, result)
				  : measure_round_trips(bench, bench_case->bytes, result);
	if (error)
		kill(child, SIGKILL);
	while (waitpid(child, &wait_status, 0) < 0 && errno == EINTR)
		;
	if (!error && wait_status)
		error = -EIO;
	close_queues(bench);
	return error;
}

static void print_text(const struct bench_case *bench_case, const struct bench_result *result)
{
	double per_second = (double)result->messages * 1e9 / (double)result->ns;

	if (!bench_case->batch) {
		printf("%-24s %5u B   median %s, 99 %% %s, longest %s, %.0f/s\n", bench_case->name,
		       bench_case->bytes, cli_format_duration(result->median_ns),
		       cli_format_duration(result->p99_ns), cli_format_duration(result->max_ns),
		       per_second);
		return;
	}
	printf("%-24s %5u B   %.2f million/s, %s/s\n", bench_case->name, bench_case->bytes,
	       per_second / 1e6,
	       cli_format_bytes((uint64_t)(per_second * (double)bench_case->bytes)));
}

static void add_json(struct json_object *array, const struct bench_case *bench_case,
		     const struct bench_result *result)
{
	struct json_object *object = json_object_new_object();
	double per_second = (double)result->messages * 1e9 / (double)result->ns;

	json_object_object_add(object, "measured",
			       json_object_new_string(bench_case->batch ? "one way"
									: "round trip"));
	json_object_object_add(object, "bytes", json_object_new_uint64(bench_case->bytes));
	json_object_object_add(object, "batch", json_object_new_uint64(bench_case->batch));
	json_object_object_add(object, "messages", json_object_new_uint64(result->messages));
	json_object_object_add(object, "ns", json_object_new_int64(result->ns));
	json_object_object_add(object, "messages_per_second",
			       json_object_new_uint64((uint64_t)per_second));
	if (!bench_case->batch) {
		json_object_object_add(object, "median_ns",
				       json_object_new_uint64(result->median_ns));
		json_object_object_add(object, "p99_ns", json_object_new_uint64(result->p99_ns));
		json_object_object_add(object, "max_ns", json_object_new_uint64(result->max_ns));
	}
	json_object_array_add(array, object);
}

static int measure_all(struct bench *bench)
{
	struct json_object *array = bench->json ? json_object_new_array() : NULL;
	size_t i;
	int error, status;

	for (i = 0; i < sizeof(bench_cases) / sizeof(bench_cases[0]); ++i) {
		struct bench_result result = {.messages = 0};

		error = measure(bench, &bench_cases[i], &result);
		close_queues(bench);
		if (error) {
			json_object_put(array);
			return cli_queue_error(bench->name, error);
		}
		if (bench->json)
			add_json(array, &bench_cases[i], &result);
		else
			print_text(&bench_cases[i], &result);
		/* Each row at once, and none of them in the next child's buffer. */
		status = cli_finish_stdout(CLI_OK);
		if (status) {
			json_object_put(array);
			return status;
		}
	}
	if (bench->json)
		cli_json_print(array, true);
	return CLI_OK;
}

static int run(int argc, char **argv)
{
	static const struct option options[] = {
		{"json", no_argument, NULL, OPTION_JSON},
		{"duration", required_argument, NULL, OPTION_DURATION},
		CLI_COMMON_OPTIONS,
		{NULL, 0, NULL, 0},
	};
	CLI_CLEANUP(cli_cleanup_free) char *buffer = NULL;
	CLI_CLEANUP(cli_cleanup_free) uint32_t *samples = NULL;
	struct bench bench = {.duration_ns = 500000000};
	int option;

	while ((option = cli_option(argc, argv, "", options)) != -1) {
		if (option == OPTION_JSON)
			bench.json = true;
		else if (option != OPTION_DURATION)
			return cli_option_status(option);
		else if (cli_option_duration("--duration", 1, &bench.duration_ns))
			return CLI_USAGE;
	}
	if (optind < argc)
		return cli_usage("'%s' is too much: the benchmark makes queues of its own",
				 argv[optind]);
	buffer = calloc(MAX_BATCH, 8192);
	samples = malloc(MAX_SAMPLES * sizeof(*samples));
	if (!buffer || !samples)
		return cli_system_error("bench", -ENOMEM);
	bench.buffer = buffer;
	bench.samples = samples;
	return measure_all(&bench);
}

const struct cli_command cli_command_bench = {
	.name = "bench",
	.synopsis = "[--duration D] [--json]",
	.summary = "measure a fresh queue between two processes",
	.help = "Measures round trips and one-way throughput of fresh queues in the namespace "
		"between\n"
		"two processes.  Nothing is left behind.\n"
		"\n"
		"      --duration D  of each measurement (500ms)\n"
		"      --json        an array of results\n",
	.run = run,
};
