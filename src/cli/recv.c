/* SPDX-License-Identifier: Apache-2.0 */

/*
 * tenon recv: messages from a queue to standard output or into files.
 *
 * Usually messages are received in batches and then written.  With --lease, and into files always,
 * a message leaves the queue only when it has been written: if this process dies or the disk is
 * full, it goes back.
 */

#include "cli.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BATCH_MESSAGES 512
#define LEASES 64
#define BUFFER_BYTES ((size_t)256 << 10)

enum { OPTION_OUTPUT_DIR = 256, OPTION_LEASE };

struct recv_job {
	char name[258];
	struct tenon_queue *queue;
	struct tenon_queue_status status;
	struct tenon_receive_options options;
	struct cli_wait wait;
	uint64_t limit; /* messages; UINT64_MAX: no limit */
	struct cli_view view;
	bool drain, follow, lease, ended;
	const char *folder; /* of --output-dir, or NULL */
	int folder_fd;
	struct cli_progress progress;
	char *buffer;
	size_t buffer_bytes;
	uint64_t received;
};

static int write_message_file(const struct recv_job *job, const void *data,
			      const struct tenon_message *message)
{
	CLI_CLEANUP(cli_cleanup_fd) int fd = -1;
	char name[32], temporary[48];
	int error;

	snprintf(name, sizeof(name), "%020llu", (unsigned long long)message->sequence);
	snprintf(temporary, sizeof(temporary), ".%s.%d", name, (int)getpid());
	fd = openat(job->folder_fd, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (fd < 0)
		return -errno;
	error = cli_write_all(fd, data, message->bytes);
	/* The name appears with the whole message behind it, or not at all. */
	if (!error && renameat(job->folder_fd, temporary, job->folder_fd, name))
		error = -errno;
	if (error)
		unlinkat(job->folder_fd, temporary, 0);
	return error;
}

static int report_output(const struct recv_job *job, int error)
{
	return job->folder ? cli_system_error(job->folder, error) : cli_output_error(error);
}

/* Nothing there any more is how some calls are meant to end. */
static int report_receive(struct recv_job *job, int error)
{
	if (error == -EINTR)
		return CLI_OK;
	if (error != -EAGAIN && error != -ETIMEDOUT)
		return cli_queue_error(job->name, error);
	job->ended = true;
	if (job->received && (job->drain || job->follow))
		return CLI_OK;
	if (job->view.quiet)
		return CLI_NOTHING;
	if (error == -ETIMEDOUT && job->wait.timeout_ns > 0)
		cli_queue_warn(job->name, "no message within %s (%s received)",
			       cli_format_exactly(job->wait.timeout_ns),
			       cli_format_messages_were(job->received));
	else
		cli_queue_warn(job->name, "there is no message%s (%s received)",
			       job->options.select ? " of that type" : "",
			       cli_format_messages_were(job->received));
	return CLI_NOTHING;
}

static int grow_buffer(struct recv_job *job, size_t bytes)
{
	char *moved;

	if (bytes <= job->buffer_bytes)
		return 0;
	moved = realloc(job->buffer, bytes);
	if (!moved)
		return -ENOMEM;
	job->buffer = moved;
	job->buffer_bytes = bytes;
	return 0;
}

/* Puts the message into its file, or with those that are to be written to standard output. */
static int write_lease(struct recv_job *job, const struct tenon_lease *lease)
{
	int error;

	error = grow_buffer(job, lease->message.bytes);
	if (error)
		return error;
	/* Its sender may still be able to write to it: what is checked and shown is a copy. */
	if (lease->message.bytes)
		memcpy(job->buffer, lease->data, lease->message.bytes);
	if (job->folder)
		return write_message_file(job, job->buffer, &lease->message);
	return cli_output_message(&job->view.output, job->buffer, &lease->message);
}

/* Takes what is there, waiting for the first only; `*ret_error` is why there is no more. */
static uint32_t take_leases(struct recv_job *job, struct tenon_lease *leases, int *ret_error)
{
	struct tenon_receive_options options = job->options;
	uint64_t wanted = job->limit - job->received;
	uint64_t bytes = 0;
	uint32_t count = 0;

	*ret_error = 0;
	/* Whoever writes files takes one at a time, so that others get their share. */
	if (wanted > (job->folder ? 1 : LEASES))
		wanted = job->folder ? 1 : LEASES;
	while (count < wanted && bytes < BUFFER_BYTES) {
		*ret_error = tenon_queue_take(job->queue, &options, &leases[count]);
		if (*ret_error)
			break;
		bytes += leases[count++].message.bytes;
		options.flags |= TENON_NONBLOCK;
	}
	return count;
}

/* Takes messages, writes them, and only then lets the queue forget them. */
static int receive_leases(struct recv_job *job)
{
	struct tenon_lease leases[LEASES];
	uint32_t count, i;
	uint64_t bytes = 0;
	int error;

	count = take_leases(job, leases, &error);
	if (!count)
		return report_receive(job, error);
	for (error = 0, i = 0; i < count && !error; ++i) {
		error = write_lease(job, &leases[i]);
		bytes += leases[i].message.bytes;
	}
	if (!error && !job->folder)
		error = cli_output_flush(&job->view.output);
	if (error) {
		/* Each goes to the front: the last one first, and their order is as before. */
		while (count)
			tenon_queue_return(job->queue, &leases[--count]);
		return report_output(job, error);
	}
	for (i = 0; i < count; ++i) {
		error = tenon_queue_done(job->queue, &leases[i]);
		if (error)
			return cli_queue_error(job->name, error);
	}
	job->received += count;
	cli_progress_add(&job->progress, count, bytes);
	return CLI_OK;
}

static int write_batch(struct recv_job *job, const struct tenon_message *messages, uint32_t count)
{
	const char *data = job->buffer;
	uint64_t bytes = 0;
	uint32_t i;
	int error = 0;

	for (i = 0; i < count && !error; ++i) {
		error = cli_output_message(&job->view.output, data + bytes, &messages[i]);
		bytes += messages[i].bytes;
	}
	if (!error)
		error = cli_output_flush(&job->view.output);
	if (error)
		return report_output(job, error);
	job->received += count;
	cli_progress_add(&job->progress, count, bytes);
	return CLI_OK;
}

static int receive_batch(struct recv_job *job)
{
	struct tenon_message messages[BATCH_MESSAGES];
	uint64_t wanted = job->limit - job->received;
	uint32_t count;
	int error;

	error = tenon_queue_receive_batch(job->queue, job->buffer, job->buffer_bytes,
					  wanted < BATCH_MESSAGES ? (uint32_t)wanted
								  : BATCH_MESSAGES,
					  &job->options, messages, &count);
	/* The buffer grows with the messages that come, not with those that could come. */
	if (error == -EMSGSIZE && job->buffer_bytes < job->status.max_message_bytes) {
		error = grow_buffer(job, job->buffer_bytes * 2);
		return error ? cli_queue_error(job->name, error) : CLI_OK;
	}
	if (error)
		return report_receive(job, error);
	return write_batch(job, messages, count);
}

static int receive_all(struct recv_job *job)
{
	uint64_t total = job->limit < UINT64_MAX ? job->limit : 0;
	int status = CLI_OK;

	if (job->drain)
		total = job->status.messages;
	cli_progress_begin(&job->progress, "received", CLI_PROGRESS_MESSAGES, total,
			   !job->folder && isatty(STDOUT_FILENO));
	while (!status && !job->ended && job->received < job->limit) {
		job->options.deadline_ns = cli_wait_deadline(&job->wait);
		status = job->lease ? receive_leases(job) : receive_batch(job);
	}
	cli_progress_end(&job->progress);
	return status;
}

static int open_folder(struct recv_job *job)
{
	if (mkdir(job->folder, 0777) && errno != EEXIST)
		return cli_system_error(job->folder, -errno);
	job->folder_fd = open(job->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return job->folder_fd < 0 ? cli_system_error(job->folder, -errno) : CLI_OK;
}

static int receive_job_run(struct recv_job *job)
{
	CLI_CLEANUP(cli_cleanup_queue) struct tenon_queue *queue = NULL;
	int status;

	status = cli_queue_open(job->name, 0, CLI_TO_RECEIVE, &queue, &job->status);
	if (status)
		return status;
	job->queue = queue;
	status = cli_select_apply(&job->view.select, job->name, &job->status, &job->options);
	if (!status && job->folder)
		status = open_folder(job);
	if (status)
		return status;
	if (grow_buffer(job, BUFFER_BYTES))
		return cli_queue_error(job->name, -ENOMEM);
	return receive_all(job);
}

static int parse_option(int option, struct recv_job *job)
{
	int status;

	if (cli_wait_option(option, &job->wait, &status))
		return status;
	switch (option) {
	case 'a':
		job->drain = true;
		return CLI_OK;
	case 'n':
		if (cli_parse_count(optarg, &job->limit) || !job->limit)
			return cli_usage("--count '%s': not a number from 1 on", optarg);
		return CLI_OK;
	case 'F':
		job->follow = true;
		return CLI_OK;
	case OPTION_OUTPUT_DIR:
		job->folder = optarg;
		job->lease = true;
		return CLI_OK;
	case OPTION_LEASE:
		job->lease = true;
		return CLI_OK;
	default:
		return cli_view_option(option, &job->view);
	}
}

static int check_request(struct recv_job *job)
{
	if (job->drain && job->follow)
		return cli_usage("--all and --follow do not go together");
	if (job->wait.never && (job->wait.timeout_ns >= 0 || job->follow))
		return cli_usage("--no-wait goes neither with --timeout nor with --follow");
	if (job->folder && (job->view.output.json || job->view.output.framing != CLI_FRAMING_LINES))
		return cli_usage("--output-dir writes whole files; leave out the other format");
	if (!job->limit)
		job->limit = job->drain || job->follow ? UINT64_MAX : 1;
	if (job->wait.never || (job->drain && job->wait.timeout_ns < 0))
		job->options.flags |= TENON_NONBLOCK;
	return cli_view_check(&job->view);
}

static int run(int argc, char **argv)
{
	static const struct option options[] = {
		{"all", no_argument, NULL, 'a'},
		{"count", required_argument, NULL, 'n'},
		{"follow", no_argument, NULL, 'F'},
		{"output-dir", required_argument, NULL, OPTION_OUTPUT_DIR},
		{"lease", no_argument, NULL, OPTION_LEASE},
		CLI_WAIT_OPTIONS,
		CLI_VIEW_OPTIONS,
		CLI_COMMON_OPTIONS,
		{NULL, 0, NULL, 0},
	};
	struct recv_job job = {
		.options = {.size = sizeof(job.options)},
		.wait = {.timeout_ns = -1},
		.folder_fd = -1,
	};
	int option, status;

	while ((option = cli_option(argc, argv, "an:Ft:0q", options)) != -1) {
		status = parse_option(option, &job);
		if (status || option == 'h')
			return status;
	}
	status = cli_operand_queue(argc, argv, job.name);
	if (!status)
		status = check_request(&job);
	if (!status)
		status = receive_job_run(&job);
	cli_cleanup_output(&job.view.output);
	cli_cleanup_fd(&job.folder_fd);
	free(job.buffer);
	return status;
}

const struct cli_command cli_command_recv = {
	.name = "recv",
	.synopsis = "[OPTION…] NAME",
	.summary = "receive messages",
	.help = "Waits for a message and writes it and a newline.  On a terminal, what could steer "
		"it\n"
		"is escaped (not with --raw).\n"
		"\n"
		"  -a, --all              until the queue is empty; status 1 if it was\n"
		"  -n, --count N          N messages\n"
		"  -F, --follow           for ever\n"
		"      --no-wait          do not wait; status 1 if there is none\n"
		"  -t, --timeout D        wait so long for each message (500ms, 2s, 1m)\n"
		"      --output-dir DIR   each message into a file named by its sequence number\n"
		"      --lease            a message leaves the queue only when it was "
		"written\n" CLI_VIEW_HELP "\n"
		"Of System V's a NAME may also be key/0x2a or id/98304, as 'ipcs' shows them.\n",
	.run = run,
};
