/* SPDX-License-Identifier: Apache-2.0 */

/*
 * tenon send: messages from standard input, files or the command line into a queue.  What stdin
 * holds at once goes in one batch; a single line goes at once.
 */

#include "cli.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BATCH_MESSAGES 512

enum {
	OPTION_KEY = 256,
	OPTION_PRIORITY,
	OPTION_TYPE,
	OPTION_RECEIPT,
	OPTION_CREATE,
};

struct send_job {
	char name[258];
	struct tenon_queue *queue;
	struct tenon_queue_status status;
	struct tenon_send_options options;
	enum cli_framing framing;
	const char **texts, **files; /* of --message and --file */
	unsigned int text_count, file_count;
	const char *key_option; /* which of --key, --priority and --type was given, or NULL */
	struct cli_wait wait;
	bool receipt, create, json;
	uint64_t sent;
	struct cli_progress progress;
};

static int report_too_long(const struct send_job *job, const char *what)
{
	cli_queue_warn(job->name,
		       "%s is longer than the %llu bytes it takes; make it with --message-size "
		       "(%s sent)",
		       what, (unsigned long long)job->status.max_message_bytes,
		       cli_format_messages_were(job->sent));
	return CLI_TOO_LONG;
}

static int report_send(const struct send_job *job, int error)
{
	const char *sent = cli_format_messages_were(job->sent);

	if (error == -EMSGSIZE)
		return report_too_long(job, "a message");
	if (error == -EAGAIN && job->status.capacity == TENON_QUEUE_RENDEZVOUS)
		cli_queue_warn(job->name, "nobody is waiting to receive (%s sent)", sent);
	else if (error == -EAGAIN)
		cli_queue_warn(job->name, "it is full (%s sent)", sent);
	else if (error == -ETIMEDOUT && job->status.capacity == TENON_QUEUE_RENDEZVOUS)
		cli_queue_warn(job->name, "nobody received within %s (%s sent)",
			       cli_format_exactly(job->wait.timeout_ns), sent);
	else if (error == -ETIMEDOUT)
		cli_queue_warn(job->name, "no room within %s (%s sent)",
			       cli_format_exactly(job->wait.timeout_ns), sent);
	else
		return cli_queue_error(job->name, error);
	return CLI_NOTHING;
}

static const char *explain_receipt(int error)
{
	switch (error) {
	case -ETIMEDOUT:
		return "timed out";
	case -ECANCELED:
		return "dropped";
	default:
		return strerror(-error);
	}
}

/* `pid` is the receiver's, `error` 0 or what was answered instead. */
static int print_receipt_json(const struct send_job *job, size_t bytes, int error, int32_t pid)
{
	struct json_object *object = json_object_new_object();

	if (!object)
		return cli_queue_error(job->name, -ENOMEM);
	json_object_object_add(object, "message", json_object_new_uint64(job->sent));
	json_object_object_add(object, "bytes", json_object_new_uint64(bytes));
	json_object_object_add(object, "received", json_object_new_boolean(!error));
	if (error)
		json_object_object_add(object, "error",
				       json_object_new_string(explain_receipt(error)));
	else
		json_object_object_add(object, "receiver_pid", json_object_new_int(pid));
	cli_json_print(object, false);
	return cli_finish_stdout(CLI_OK);
}

/* Waits until somebody has received what was sent last, and says who. */
static int print_receipt(struct send_job *job, size_t bytes)
{
	uint64_t receipt;
	int32_t pid = 0;
	int64_t deadline_ns;
	int error, status = CLI_OK;

	error = tenon_queue_last_receipt(job->queue, &receipt);
	if (error)
		return cli_queue_error(job->name, error);
	deadline_ns = tenon_deadline_after(job->wait.timeout_ns);
	do {
		error = tenon_queue_receipt(job->queue, receipt, deadline_ns, &pid);
	} while (error == -EINTR);
	if (job->json)
		status = print_receipt_json(job, bytes, error, pid);
	if (error == -ETIMEDOUT) {
		cli_queue_warn(job->name, "it was sent, and nobody received it within %s",
			       cli_format_exactly(job->wait.timeout_ns));
		return CLI_NOTHING;
	}
	if (error == -ECANCELED) {
		cli_queue_warn(job->name, "the message was dropped before anybody received it");
		return CLI_NOTHING;
	}
	if (error)
		return cli_queue_error(job->name, error);
	if (job->json)
		return status;
	printf("%d\n", pid);
	return cli_finish_stdout(CLI_OK);
}

static int send_one(struct send_job *job, const void *data, size_t bytes)
{
	int error;

	do {
		job->options.deadline_ns = cli_wait_deadline(&job->wait);
		error = tenon_queue_send(job->queue, data, bytes, &job->options);
	} while (error == -EINTR);
	if (error)
		return report_send(job, error);
	++job->sent;
	cli_progress_add(&job->progress, 1, bytes);
	return job->receipt ? print_receipt(job, bytes) : CLI_OK;
}

static int send_slices(struct send_job *job, const struct tenon_slice *slices, uint32_t count)
{
	uint32_t done = 0, sent, i;
	uint64_t bytes;
	int error, status;

	while (done < count) {
		/* A receipt is for one message, and so is a rendezvous. */
		if (job->receipt || job->status.capacity == TENON_QUEUE_RENDEZVOUS) {
			status = send_one(job, slices[done].data, slices[done].bytes);
			if (status)
				return status;
			++done;
			continue;
		}
		job->options.deadline_ns = cli_wait_deadline(&job->wait);
		error = tenon_queue_send_batch(job->queue, slices + done, count - done,
					       &job->options, &sent);
		if (error == -EINTR)
			continue;
		if (error)
			return report_send(job, error);
		for (bytes = 0, i = 0; i < sent; ++i)
			bytes += slices[done + i].bytes;
		done += sent;
		job->sent += sent;
		cli_progress_add(&job->progress, sent, bytes);
	}
	return CLI_OK;
}

static int report_input(const struct send_job *job, const struct cli_input *input, int error)
{
	char what[64];

	snprintf(what, sizeof(what), "message %llu of standard input",
		 (unsigned long long)input->messages + 1);
	if (error == -EMSGSIZE)
		return report_too_long(job, what);
	if (error == -EOVERFLOW) {
		cli_queue_warn(job->name,
			       "%s would be %llu bytes long by its prefix, and none may be longer "
			       "than 1 GiB; is there a length of four bytes, big endian, before "
			       "each message? (%s sent)",
			       what, (unsigned long long)input->claimed,
			       cli_format_messages_were(job->sent));
		return CLI_TOO_LONG;
	}
	if (error == -EPROTO) {
		cli_queue_warn(job->name,
			       "standard input ends within message %llu; it was not sent",
			       (unsigned long long)input->messages + 1);
		return CLI_FAILED;
	}
	return cli_system_error("standard input", error);
}

static int send_stdin(struct send_job *job)
{
	struct tenon_slice slices[BATCH_MESSAGES];
	CLI_CLEANUP(cli_cleanup_input)
	struct cli_input input = {
		.fd = STDIN_FILENO,
		.framing = job->framing,
		.max_message_bytes = job->status.max_message_bytes,
	};
	struct stat information;
	uint64_t total = 0;
	uint32_t count;
	int error, status;

	if (!fstat(STDIN_FILENO, &information) && S_ISREG(information.st_mode))
		total = (uint64_t)information.st_size;
	cli_progress_begin(&job->progress, "sent", CLI_PROGRESS_BYTES, total,
			   isatty(STDIN_FILENO) || (job->receipt && isatty(STDOUT_FILENO)));
	for (;;) {
		error = cli_input_next(&input, slices, BATCH_MESSAGES, &count);
		if (error)
			return report_input(job, &input, error);
		if (!count)
			break;
		status = send_slices(job, slices, count);
		if (status)
			return status;
	}
	cli_progress_end(&job->progress);
	return CLI_OK;
}

static int send_file(struct send_job *job, const char *path)
{
	CLI_CLEANUP(cli_cleanup_fd) int opened = -1;
	CLI_CLEANUP(cli_cleanup_free) char *data = NULL;
	size_t bytes;
	int fd = STDIN_FILENO;
	int error;

	if (strcmp(path, "-")) {
		opened = open(path, O_RDONLY | O_CLOEXEC);
		if (opened < 0)
			return cli_system_error(path, -errno);
		fd = opened;
	}
	error = cli_read_all(fd, job->status.max_message_bytes, &data, &bytes);
	if (error == -EMSGSIZE)
		return report_too_long(job, path);
	if (error)
		return cli_system_error(path, error);
	return send_one(job, data, bytes);
}

/* The messages of the command line, whole files or not. */
static int send_given(struct send_job *job)
{
	unsigned int i, count = job->text_count + job->file_count;
	int status;

	cli_progress_begin(&job->progress, "sent", CLI_PROGRESS_MESSAGES, count,
			   job->receipt && isatty(STDOUT_FILENO));
	for (i = 0; i < count; ++i) {
		status = job->text_count ? send_one(job, job->texts[i], strlen(job->texts[i]))
					 : send_file(job, job->files[i]);
		if (status)
			return status;
	}
	cli_progress_end(&job->progress);
	return CLI_OK;
}

/* Of System V: a type that nobody has said is 1; msgsnd(2) takes no other than those. */
static int check_type(struct send_job *job)
{
	if (!job->key_option)
		job->options.key = 1;
	if (job->options.key >= 1 && job->options.key <= INT64_MAX)
		return CLI_OK;
	cli_queue_warn(job->name, "it is System V's, whose types are numbers from 1 to %lld",
		       (long long)INT64_MAX);
	return CLI_USAGE;
}

/* A key that the queue's order would ignore or refuse is a mistake that is better told. */
static int check_key(const struct send_job *job)
{
	uint32_t order = job->status.order;

	if (!job->key_option)
		return CLI_OK;
	if (order == TENON_QUEUE_FIFO ||
	    (order == TENON_QUEUE_PRIORITY && !strcmp(job->key_option, "type")) ||
	    (order == TENON_QUEUE_TYPED && !strcmp(job->key_option, "priority"))) {
		cli_queue_warn(job->name, "it is in %s order, for which --%s means nothing%s",
			       cli_word(cli_order_words, order), job->key_option,
			       order == TENON_QUEUE_PRIORITY ? "; --priority is meant for it"
			       : order == TENON_QUEUE_TYPED  ? "; --type is meant for it"
							     : "");
		return CLI_USAGE;
	}
	if (order == TENON_QUEUE_PRIORITY && job->options.key > TENON_QUEUE_PRIORITY_MAX) {
		cli_queue_warn(job->name, "a priority is a number from 0 to %u",
			       TENON_QUEUE_PRIORITY_MAX);
		return CLI_USAGE;
	}
	return CLI_OK;
}

static int send_job_run(struct send_job *job)
{
	CLI_CLEANUP(cli_cleanup_queue) struct tenon_queue *queue = NULL;
	int status;

	status = cli_queue_open(job->name, job->create ? TENON_QUEUE_CREATE : 0, CLI_TO_SEND,
				&queue, &job->status);
	if (status)
		return status;
	job->queue = queue;
	status = check_key(job);
	if (!status && cli_sysv_is_queue(job->name))
		status = check_type(job);
	if (status)
		return status;
	return job->text_count || job->file_count ? send_given(job) : send_stdin(job);
}

static int parse_key(struct send_job *job, const char *name)
{
	if (job->key_option)
		return cli_usage("--%s and --%s: one key at a time", job->key_option, name);
	if (cli_parse_number(optarg, &job->options.key))
		return cli_usage("--%s '%s': not a number from 0 on", name, optarg);
	job->key_option = name;
	return CLI_OK;
}

static int parse_option(int option, struct send_job *job)
{
	int status;

	if (cli_framing_option(option, &job->framing))
		return CLI_OK;
	if (cli_wait_option(option, &job->wait, &status))
		return status;
	switch (option) {
	case 'f':
		job->files[job->file_count++] = optarg;
		return CLI_OK;
	case 'm':
		job->texts[job->text_count++] = optarg;
		return CLI_OK;
	case OPTION_KEY:
		return parse_key(job, "key");
	case OPTION_PRIORITY:
		return parse_key(job, "priority");
	case OPTION_TYPE:
		return parse_key(job, "type");
	case OPTION_RECEIPT:
		job->options.flags |= TENON_WANT_RECEIPT;
		job->receipt = true;
		return CLI_OK;
	case OPTION_CREATE:
		job->create = true;
		return CLI_OK;
	case CLI_OPTION_JSON:
		job->json = true;
		return CLI_OK;
	default:
		return cli_option_status(option);
	}
}

static int check_request(struct send_job *job)
{
	bool given = job->text_count || job->file_count;

	if (job->text_count && job->file_count)
		return cli_usage("--message and --file do not go together");
	if (job->framing != CLI_FRAMING_LINES && given)
		return cli_usage("--null and --length-prefixed are for standard input, not for "
				 "--message and --file");
	if (job->json && !job->receipt)
		return cli_usage("--json is for --receipt: without it nothing is printed");
	if (job->wait.never && job->wait.timeout_ns >= 0 && !job->receipt)
		return cli_usage("--no-wait and --timeout do not go together");
	if (job->wait.never)
		job->options.flags |= TENON_NONBLOCK;
	return CLI_OK;
}

static int run(int argc, char **argv)
{
	static const struct option options[] = {
		{"file", required_argument, NULL, 'f'},
		{"message", required_argument, NULL, 'm'},
		{"key", required_argument, NULL, OPTION_KEY},
		{"priority", required_argument, NULL, OPTION_PRIORITY},
		{"type", required_argument, NULL, OPTION_TYPE},
		{"receipt", no_argument, NULL, OPTION_RECEIPT},
		{"create", no_argument, NULL, OPTION_CREATE},
		{"json", no_argument, NULL, CLI_OPTION_JSON},
		CLI_FRAMING_OPTIONS,
		CLI_WAIT_OPTIONS,
		CLI_COMMON_OPTIONS,
		{NULL, 0, NULL, 0},
	};
	/* Each of either kind takes a word of the command line at least. */
	CLI_CLEANUP(cli_cleanup_free)
	const char **given = calloc((size_t)argc * 2, sizeof(*given));
	struct send_job job = {
		.options = {.size = sizeof(job.options)},
		.framing = CLI_FRAMING_LINES,
		.wait = {.timeout_ns = -1},
		.texts = given,
		.files = given + argc,
	};
	int option, status;

	if (!given)
		return cli_system_error("send", -ENOMEM);
	while ((option = cli_option(argc, argv, "0f:m:t:", options)) != -1) {
		status = parse_option(option, &job);
		if (status || option == 'h')
			return status;
	}
	if (optind + 2 == argc && !job.text_count && !job.file_count)
		return cli_usage("'%s' is too much: a message is read from standard input, or "
				 "given with --message",
				 argv[optind + 1]);
	status = cli_operand_queue(argc, argv, job.name);
	if (!status)
		status = check_request(&job);
	return status ? status : send_job_run(&job);
}

const struct cli_command cli_command_send = {
	.name = "send",
	.synopsis = "[OPTION…] NAME",
	.summary = "send messages",
	.help = "Sends each line of standard input as a message, without its newline.\n"
		"\n"
		"  -0, --null             messages end with a null byte instead\n"
		"      --length-prefixed  four bytes of length, big endian, before each message\n"
		"  -f, --file FILE        a whole file is one message; - is standard input; may "
		"be\n"
		"                         given again\n"
		"  -m, --message TEXT     this is a message; may be given again\n"
		"      --priority K       0 to 32767, for a queue in priority order\n"
		"      --type K           the type, for a typed queue; of System V's from 1 on, or "
		"else "
		"1\n"
		"      --key K            either\n"
		"      --no-wait          fail with status 1 if the queue is full\n"
		"  -t, --timeout D        wait so long for room for each message (500ms, 2s, 1m)\n"
		"      --receipt          wait until each message was received, print by which "
		"process\n"
		"      --json             with --receipt: print an object a line, for each "
		"message\n"
		"      --create           make the queue if it is missing\n"
		"\n"
		"Of System V's a NAME may also be key/0x2a or id/98304, as 'ipcs' shows them.\n",
	.run = run,
};
