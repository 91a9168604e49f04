/* SPDX-License-Identifier: Apache-2.0 */

/*
 * tenon work: runs a command for each message.
 *
 * A message is under lease while its command runs, and leaves the queue when that succeeded.
 *
 *	what happens                       the message
 *	the command succeeds               is done with
 *	the command fails or is killed     goes back; after --tries deliveries to --dead, or is dropped
 *	this process is killed             goes back: the lease ends with its process
 *	SIGINT, SIGTERM                    its command may finish; a second signal ends it, and it
 *	                                   goes back
 *
 * One thread waits in poll() for the queue, for signals and thereby for children.
 */

#include "work.h"
#include "cli.h"

#include <errno.h>
#include <json-c/json.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_JOBS 1024

/* poll() is not told when a lease holder elsewhere dies, nor when it is done: look now and then. */
#define RECOVER_EVERY_MS 500
#define EMPTY_CHECK_MS 50

enum { OPTION_TRIES = 256, OPTION_DEAD, OPTION_EXIT_WHEN_EMPTY, OPTION_PROGRESS };

struct work_job {
	pid_t pid; /* 0: a free place */
	struct tenon_lease lease;
};

struct work {
	char name[258], dead_name[258];
	struct tenon_queue *queue, *dead;
	struct work_command command;
	struct work_job *jobs;
	uint32_t job_count, running;
	uint64_t tries; /* 0: without end */
	bool exit_when_empty, empty;
	uint64_t done, done_bytes, put_back, moved, dropped; /* messages, for the summary */
	bool json;
	bool show_progress; /* though the commands may write to the same terminal */
	int signal_fd, readable_fd;
	int stop_signal; /* the first that came; 0: none */
	bool stopping;	 /* no new messages */
	bool forced;	 /* commands were told to end */
	int status;
	struct cli_progress progress;
};

/* Ends the work with a status as soon as the running commands have ended. */
static void stop(struct work *work, int status)
{
	work->stopping = true;
	if (!work->status || work->status == CLI_GIVEN_UP)
		work->status = status;
}

static void put_back(struct work *work, struct tenon_lease *lease)
{
	int error = tenon_queue_return(work->queue, lease);

	if (error)
		stop(work, cli_queue_error(work->name, error));
	else
		++work->put_back;
}

static bool finish(struct work *work, struct tenon_lease *lease)
{
	int error = tenon_queue_done(work->queue, lease);

	if (error)
		stop(work, cli_queue_error(work->name, error));
	return !error;
}

static int send_dead(struct work *work, const struct tenon_lease *lease)
{
	struct tenon_queue_status status = {.size = sizeof(status)};
	struct tenon_send_options options = {.size = sizeof(options), .flags = TENON_NONBLOCK};
	int error;

	error = tenon_queue_status(work->dead, &status);
	if (error)
		return error;
	options.key = lease->message.key;
	if (status.order == TENON_QUEUE_PRIORITY && options.key > TENON_QUEUE_PRIORITY_MAX)
		options.key = TENON_QUEUE_PRIORITY_MAX;
	if (status.order == TENON_QUEUE_FIFO)
		options.key = 0;
	return tenon_queue_send(work->dead, lease->data, lease->message.bytes, &options);
}

/* The message is first in the other queue and then gone here: a death between the two doubles it,
 * and loses nothing. */
static void give_up(struct work *work, struct tenon_lease *lease, const char *why)
{
	unsigned long long sequence = lease->message.sequence;
	int error;

	if (!work->dead) {
		cli_queue_warn(work->name, "message %llu: %s; dropped (--dead keeps such messages)",
			       sequence, why);
	} else {
		error = send_dead(work, lease);
		if (error) {
			cli_queue_warn(work->name,
				       "message %llu: %s; put back, because it cannot "
				       "be moved:",
				       sequence, why);
			put_back(work, lease);
			stop(work, cli_queue_error(work->dead_name, error));
			return;
		}
		cli_queue_warn(work->name, "message %llu: %s; moved to '%s'", sequence, why,
			       work->dead_name);
	}
	if (finish(work, lease))
		++*(work->dead ? &work->moved : &work->dropped);
	if (!work->status)
		work->status = CLI_GIVEN_UP;
}

/* The command could not even be started. */
static void report_start(struct work *work, struct tenon_lease *lease, int error, bool exec)
{
	const char *program = work->command.arguments[0];

	if (error == -EILSEQ) {
		give_up(work, lease, "it has a null byte and cannot be an argument; leave out {}");
		return;
	}
	if (error == -E2BIG) {
		give_up(work, lease, "it is too long for an argument; leave out {}");
		return;
	}
	put_back(work, lease);
	if (!exec) {
		stop(work, cli_system_error("cannot start a process", error));
		return;
	}
	cli_warn("cannot run '%s': %s; the message was put back", program, strerror(-error));
	/* What shells and env(1) answer. */
	stop(work, error == -ENOENT ? 127 : 126);
}

/* A command that is not there shall cost no message a delivery. */
static int check_command(const struct work *work)
{
	int error = work_child_check(&work->command);

	if (!error)
		return CLI_OK;
	cli_warn("cannot run '%s': %s; no message was taken", work->command.arguments[0],
		 strerror(-error));
	return error == -ENOENT ? 127 : 126;
}

static void begin(struct work *work, struct tenon_lease *lease)
{
	CLI_CLEANUP(cli_cleanup_free) char *copy = NULL;
	struct work_job *job = work->jobs;
	char why[64];
	bool exec;
	int error;

	if (work->tries && lease->message.deliveries >= work->tries) {
		snprintf(why, sizeof(why), "it was delivered %u times without success",
			 lease->message.deliveries);
		give_up(work, lease, why);
		return;
	}
	/* The sender may still be able to write to the message: the command gets a copy. */
	copy = malloc(lease->message.bytes + 1);
	if (!copy) {
		put_back(work, lease);
		stop(work, cli_queue_error(work->name, -ENOMEM));
		return;
	}
	if (lease->message.bytes)
		memcpy(copy, lease->data, lease->message.bytes);
	while (job->pid)
		++job;
	error = work_child_start(&work->command, copy, &lease->message, &job->pid, &exec);
	if (error) {
		report_start(work, lease, error, exec);
		return;
	}
	job->lease = *lease;
	++work->running;
}

/* Gives messages to free places while there are both. */
static void fill(struct work *work)
{
	const struct tenon_receive_options options = {
		.size = sizeof(options),
		.flags = TENON_NONBLOCK,
	};
	struct tenon_lease lease;
	int error;

	work->empty = false;
	while (!work->stopping && work->running < work->job_count) {
		error = tenon_queue_take(work->queue, &options, &lease);
		if (error == -EINTR)
			continue;
		if (error == -EAGAIN) {
			work->empty = true;
			return;
		}
		if (error) {
			stop(work, cli_queue_error(work->name, error));
			return;
		}
		begin(work, &lease);
	}
}

static void judge(struct work *work, struct work_job *job, int wait_status)
{
	struct tenon_lease *lease = &job->lease;
	unsigned int attempt = lease->message.deliveries + 1;
	char how[64], why[96];

	if (WIFEXITED(wait_status) && !WEXITSTATUS(wait_status)) {
		if (finish(work, lease)) {
			++work->done;
			work->done_bytes += lease->message.bytes;
		}
		cli_progress_add(&work->progress, 1, lease->message.bytes);
		return;
	}
	if (WIFEXITED(wait_status))
		snprintf(how, sizeof(how), "the command ended with status %d",
			 WEXITSTATUS(wait_status));
	else
		snprintf(how, sizeof(how), "the command was killed by signal %d (SIG%s)",
			 WTERMSIG(wait_status), sigabbrev_np(WTERMSIG(wait_status)) ?: "?");
	/* A command that was told to end is not to blame. */
	if (!work->forced && work->tries && attempt >= work->tries) {
		snprintf(why, sizeof(why), "%s, delivery %u of %llu", how, attempt,
			 (unsigned long long)work->tries);
		give_up(work, lease, why);
		return;
	}
	cli_queue_warn(work->name, "message %llu: %s; put back",
		       (unsigned long long)lease->message.sequence, how);
	put_back(work, lease);
}

static void reap(struct work *work)
{
	uint32_t i;
	int wait_status;

	for (i = 0; i < work->job_count; ++i) {
		struct work_job *job = &work->jobs[i];

		if (!job->pid || waitpid(job->pid, &wait_status, WNOHANG) != job->pid)
			continue;
		job->pid = 0;
		--work->running;
		judge(work, job, wait_status);
	}
}

static void signal_children(const struct work *work, int signal)
{
	uint32_t i;

	for (i = 0; i < work->job_count; ++i) {
		if (work->jobs[i].pid)
			kill(-work->jobs[i].pid, signal);
	}
}

/* The first signal lets commands finish, the second tells them to end, the third kills them. */
static void take_signals(struct work *work)
{
	struct signalfd_siginfo information;

	while (read(work->signal_fd, &information, sizeof(information)) == sizeof(information)) {
		if (information.ssi_signo == SIGCHLD)
			continue;
		if (work->forced) {
			signal_children(work, SIGKILL);
		} else if (work->stop_signal) {
			work->forced = true;
			signal_children(work, SIGTERM);
		} else {
			work->stop_signal = (int)information.ssi_signo;
			work->stopping = true;
			if (work->running && isatty(STDERR_FILENO))
				cli_warn("%s running; once more ends %s",
					 cli_format_count(work->running, "command is",
							  "commands are"),
					 work->running == 1 ? "it" : "them");
		}
	}
}

/* Nothing queued, and nothing under lease that might come back. */
static bool is_drained(struct work *work)
{
	struct tenon_queue_status status = {.size = sizeof(status)};
	int error;

	if (!work->empty || work->running)
		return false;
	error = tenon_queue_status(work->queue, &status);
	if (error) {
		stop(work, cli_queue_error(work->name, error));
		return true;
	}
	return !status.messages && !status.leased;
}

static void wait_for_news(struct work *work)
{
	bool wants_message = !work->stopping && work->running < work->job_count;
	struct pollfd polled[2] = {
		{.fd = work->signal_fd, .events = POLLIN},
		{.fd = wants_message ? work->readable_fd : -1, .events = POLLIN},
	};
	int timeout_ms = wants_message ? RECOVER_EVERY_MS : -1;
	int error;

	if (wants_message && work->exit_when_empty && !work->running)
		timeout_ms = EMPTY_CHECK_MS;
	if (poll(polled, 2, timeout_ms) || !wants_message)
		return;
	error = tenon_queue_recover(work->queue, NULL);
	if (error)
		stop(work, cli_queue_error(work->name, error));
}

static int work_loop(struct work *work)
{
	for (;;) {
		take_signals(work);
		reap(work);
		fill(work);
		if (work->stopping && !work->running)
			break;
		if (work->exit_when_empty && is_drained(work))
			break;
		wait_for_news(work);
	}
	cli_progress_end(&work->progress);
	return work->status;
}

/* What was done, for a program.  The commands' own output stands before it. */
static int print_summary(const struct work *work)
{
	struct json_object *object = json_object_new_object();
	const struct {
		const char *key;
		uint64_t number;
	} rows[] = {
		{"done", work->done},	      {"done_bytes", work->done_bytes},
		{"put_back", work->put_back}, {"given_up", work->moved + work->dropped},
		{"moved", work->moved},	      {"dropped", work->dropped},
	};
	size_t i;

	if (!object)
		return cli_queue_error(work->name, -ENOMEM);
	if (cli_json_add_text(object, "name", work->name, strlen(work->name))) {
		json_object_put(object);
		return cli_queue_error(work->name, -ENOMEM);
	}
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); ++i)
		json_object_object_add(object, rows[i].key, json_object_new_uint64(rows[i].number));
	cli_json_print(object, false);
	return cli_finish_stdout(CLI_OK);
}

static int open_dead(struct work *work, uint64_t max_message_bytes)
{
	struct tenon_queue_status status;
	int error;

	if (!work->dead_name[0])
		return CLI_OK;
	error = cli_queue_open(work->dead_name, 0, CLI_TO_SEND, &work->dead, &status);
	if (error)
		return error;
	if (!strcmp(work->dead_name, work->name))
		return cli_usage("--dead '%s': that is the queue itself", work->dead_name);
	if (status.capacity == TENON_QUEUE_RENDEZVOUS) {
		cli_queue_warn(work->dead_name, "it cannot keep messages: it is a rendezvous");
		return CLI_USAGE;
	}
	if (status.max_message_bytes < max_message_bytes) {
		cli_queue_warn(work->dead_name,
			       "it takes %llu bytes, less than the %llu of '%s'; make it with a "
			       "larger --message-size",
			       (unsigned long long)status.max_message_bytes,
			       (unsigned long long)max_message_bytes, work->name);
		return CLI_TOO_LONG;
	}
	return CLI_OK;
}

/* Signals become input of the loop; the commands get the mask back that was there before. */
static int catch_signals(struct work *work, sigset_t *ret_old_mask)
{
	sigset_t mask;

	signal(SIGCHLD, SIG_DFL);
	sigemptyset(&mask);
	sigaddset(&mask, SIGCHLD);
	sigaddset(&mask, SIGINT);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &mask, ret_old_mask))
		return cli_system_error("sigprocmask", -errno);
	work->signal_fd = signalfd(-1, &mask, SFD_NONBLOCK | SFD_CLOEXEC);
	if (work->signal_fd < 0)
		return cli_system_error("signalfd", -errno);
	return CLI_OK;
}

static int work_run(struct work *work, sigset_t *old_mask)
{
	struct tenon_queue_status queue_status;
	int status, error;

	status = cli_queue_open(work->name, 0, CLI_TO_RECEIVE, &work->queue, &queue_status);
	if (!status)
		status = open_dead(work, queue_status.max_message_bytes);
	if (!status)
		status = check_command(work);
	if (!status)
		status = catch_signals(work, old_mask);
	if (status)
		return status;
	work->command.old_mask = old_mask;
	error = tenon_queue_readable_fd(work->queue, &work->readable_fd);
	if (error)
		return cli_queue_error(work->name, error);
	work->jobs = calloc(work->job_count, sizeof(*work->jobs));
	if (!work->jobs)
		return cli_queue_error(work->name, -ENOMEM);
	cli_progress_begin(&work->progress, "done", CLI_PROGRESS_MESSAGES,
			   work->exit_when_empty ? queue_status.messages : 0,
			   !work->show_progress && isatty(STDOUT_FILENO));
	status = work_loop(work);
	error = work->json ? print_summary(work) : CLI_OK;
	return status ? status : error;
}

static int parse_option(int option, struct work *work)
{
	uint64_t number;

	switch (option) {
	case 1:
		return cli_parse_queue(optarg, work->name);
	case 'j':
		if (cli_parse_number(optarg, &number) || !number || number > MAX_JOBS)
			return cli_usage("-j '%s': not a number from 1 to %d", optarg, MAX_JOBS);
		work->job_count = (uint32_t)number;
		return CLI_OK;
	case OPTION_TRIES:
		if (!strcmp(optarg, "unlimited")) {
			work->tries = 0;
			return CLI_OK;
		}
		if (cli_parse_number(optarg, &work->tries) || !work->tries)
			return cli_usage("--tries '%s': neither a number from 1 on nor "
					 "'unlimited'",
					 optarg);
		return CLI_OK;
	case OPTION_DEAD:
		return cli_parse_queue(optarg, work->dead_name);
	case OPTION_EXIT_WHEN_EMPTY:
		work->exit_when_empty = true;
		return CLI_OK;
	case OPTION_PROGRESS:
		work->show_progress = true;
		return CLI_OK;
	case CLI_OPTION_JSON:
		work->json = true;
		return CLI_OK;
	default:
		return cli_option_status(option);
	}
}

static int run(int argc, char **argv)
{
	static const struct option options[] = {
		{"jobs", required_argument, NULL, 'j'},
		{"tries", required_argument, NULL, OPTION_TRIES},
		{"dead", required_argument, NULL, OPTION_DEAD},
		{"exit-when-empty", no_argument, NULL, OPTION_EXIT_WHEN_EMPTY},
		{"progress", no_argument, NULL, OPTION_PROGRESS},
		{"json", no_argument, NULL, CLI_OPTION_JSON},
		CLI_COMMON_OPTIONS,
		{NULL, 0, NULL, 0},
	};
	struct work work = {.job_count = 1, .tries = 3, .signal_fd = -1};
	sigset_t old_mask;
	int option, status;

	/* The second operand is the command: what follows belongs to it, "--" or not. */
	while ((option = cli_option(argc, argv, "-j:", options)) != -1) {
		if (option == 1 && work.name[0]) {
			--optind;
			break;
		}
		status = parse_option(option, &work);
		if (status || option == 'h')
			return status;
	}
	if (!work.name[0] && optind < argc && cli_parse_queue(argv[optind++], work.name))
		return CLI_USAGE;
	if (!work.name[0])
		return cli_usage("the name of a queue is missing");
	if (optind == argc)
		return cli_usage("the command is missing: 'tenon work QUEUE -- COMMAND {}'");
	work.command.arguments = argv + optind;

	status = work_run(&work, &old_mask);
	work.queue = tenon_queue_close(work.queue);
	work.dead = tenon_queue_close(work.dead);
	cli_cleanup_fd(&work.signal_fd);
	free(work.jobs);
	if (!work.stop_signal || status)
		return status;
	/* Whoever sent the signal sees that it was obeyed. */
	signal(work.stop_signal, SIG_DFL);
	sigprocmask(SIG_SETMASK, &old_mask, NULL);
	raise(work.stop_signal);
	return 128 + work.stop_signal;
}

const struct cli_command cli_command_work = {
	.name = "work",
	.synopsis = "[OPTION…] QUEUE [--] COMMAND [ARGUMENT…]",
	.summary = "run a command for each message",
	.help = "Runs the command for each message, with {} replaced by the message; without {} "
		"the\n"
		"message is its standard input.  The message leaves the queue when the command "
		"has\n"
		"succeeded; it goes back, and is tried again at once, when it fails or is killed, "
		"or\n"
		"when 'tenon work' itself is.\n"
		"\n"
		"  -j, --jobs N           run so many at once (1)\n"
		"      --tries N          give a message up after so many deliveries (3), or\n"
		"                         'unlimited'\n"
		"      --dead QUEUE       where given up messages go; they are dropped, and lost,\n"
		"                         otherwise\n"
		"      --exit-when-empty  end when nothing is queued or under lease any more\n"
		"      --progress         show how far it is even if standard output is the "
		"terminal\n"
		"      --json             at the end, an object that tells how many messages were "
		"done,\n"
		"                         put back and given up\n"
		"\n"
		"SIGINT or SIGTERM lets running commands finish; a second one ends them and their\n"
		"messages go back.  Status 10 if a message was given up.\n",
	.run = run,
};
